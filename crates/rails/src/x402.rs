//! x402: a price in an answer of status 402, and a signature in the next request.
//!
//! Scheme `exact` on EVM chains by EIP-3009 is paid, in both versions of the protocol. Others are
//! named to whoever asked.

pub(crate) mod signed;
pub(crate) mod v1;
pub(crate) mod v2;

use crate::Payload;
use crate::json;
use crate::offer::{OFFERS_MAX, Terms, bad, named, words};
use crate::pay::{Claim, Receipt};
use crate::{Quote, RailsError, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Address, Asset, B256};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use signed::{Paid, receipt_in};

/// The most that payment terms may measure as they are sent, in bytes.
pub(crate) const TERMS_BYTES_MAX: usize = 64 * 1024;

/// What tells offers apart before anything else in them is read.
#[derive(Deserialize)]
struct Kind {
    scheme: String,
    network: String,
}

impl Kind {
    /// Reads it, and lets only the scheme through that the desk pays by.
    fn exact(raw: &RawValue) -> Result<Kind, String> {
        let kind: Kind = json::object(raw.get()).map_err(|e| words(&e))?;
        if kind.scheme == "exact" {
            return Ok(kind);
        }
        Err(format!(
            "the scheme “{}” on {} is not one the desk pays",
            named(&kind.scheme),
            named(&kind.network)
        ))
    }

    fn not_paid_on(&self) -> String {
        format!("the network “{}” is not one the desk pays on", named(&self.network))
    }
}

/// Takes the first offer, in the payee's order, that the desk can pay. A bad offer among good ones
/// is a reason, not an error.
fn first_payable(
    offers: &[&RawValue],
    assets: &[Asset],
    read: impl Fn(&RawValue, &[Asset]) -> Result<Quote, String>,
) -> Result<Terms, RailsError> {
    match offers.len() {
        0 => return Err(bad("they offer no way to pay".into())),
        1..=OFFERS_MAX => {}
        n => return Err(bad(format!("they make {n} offers; at most {OFFERS_MAX} are read"))),
    }
    let mut reasons = Vec::new();
    for (at, raw) in offers.iter().enumerate() {
        match read(raw, assets) {
            Ok(quote) => return Ok(Terms::Payable(Box::new(quote))),
            Err(why) => reasons.push(format!("offer {}: {why}", at + 1)),
        }
    }
    Ok(Terms::Unpayable(reasons))
}

/// Decodes a payment header: bounded, standard base64, and JSON that reads one way only.
fn decode(header: &[u8]) -> Result<String, String> {
    if header.len() > TERMS_BYTES_MAX {
        return Err("the header is longer than 64 KiB".into());
    }
    let json = STANDARD.decode(header).map_err(|_| "the header is not standard base64")?;
    let json = String::from_utf8(json).map_err(|_| "the header is not UTF-8")?;
    json::check(json.as_bytes()).map_err(|e| words(&e))?;
    Ok(json)
}

/// Writes a payment header; whoever reads it has the money.
pub(crate) fn encode(json: &impl Serialize) -> Result<HeaderValue, String> {
    let json = serde_json::to_vec(json).map_err(|e| e.to_string())?;
    let mut value = HeaderValue::try_from(STANDARD.encode(json)).map_err(|e| e.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// `payload` of the scheme `exact` on EVM chains.
#[derive(Serialize)]
struct Exact {
    authorization: SignedFields,
    signature: String,
}

/// All numbers travel as decimal strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedFields {
    from: Address,
    to: Address,
    value: String,
    valid_after: String,
    valid_before: String,
    nonce: B256,
}

impl From<&Payload> for Exact {
    fn from(payload: &Payload) -> Exact {
        let signed = &payload.authorization;
        Exact {
            authorization: SignedFields {
                from: signed.from,
                to: signed.to,
                value: signed.value.to_string(),
                valid_after: signed.window.valid_after_s.to_string(),
                valid_before: signed.window.valid_before_s.to_string(),
                nonce: signed.nonce,
            },
            signature: payload.signature_hex(),
        }
    }
}

/// Reads a `PAYMENT-RESPONSE` or `X-PAYMENT-RESPONSE` header; nothing when it is unreadable.
pub(crate) fn read_receipt(header: &[u8]) -> Option<Receipt> {
    settlement(&decode(header).ok()?)
}

/// Reads a `PAYMENT-RESPONSE` header with the receipt that the payee signed, if it did.
pub(crate) fn read_signed_receipt(
    header: &[u8],
    request: &Request,
    quote: &Quote,
    payload: &Payload,
) -> Option<Receipt> {
    signed_settlement(&decode(header).ok()?, request, quote, payload)
}

/// Reads what a payee says of a settlement, with the receipt that it signed, if it did; JSON that
/// has been found bounded and to read one way only.
pub(crate) fn signed_settlement(
    json: &str,
    request: &Request,
    quote: &Quote,
    payload: &Payload,
) -> Option<Receipt> {
    let mut receipt = settlement(json)?;
    let now_s = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let paid = Paid { request, quote, payload, transaction: receipt.transaction, now_s };
    receipt.signed = receipt_in(json, &paid);
    Some(receipt)
}

fn settlement(json: &str) -> Option<Receipt> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Settled {
        success: bool,
        #[serde(default)]
        transaction: Option<String>,
        #[serde(default)]
        network: Option<String>,
        #[serde(default)]
        payer: Option<String>,
        #[serde(default)]
        amount: Option<String>,
        #[serde(default)]
        error_reason: Option<String>,
    }
    let settled: Settled = json::object(json).ok()?;
    let claim = Claim {
        success: settled.success,
        transaction: settled.transaction.as_deref(),
        network: settled.network.as_deref(),
        payer: settled.payer.as_deref(),
        amount: settled.amount.as_deref(),
        error: settled.error_reason.as_deref(),
    };
    Some(claim.read())
}
