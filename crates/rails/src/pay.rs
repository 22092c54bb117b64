//! The paid leg: the `PAYMENT-SIGNATURE` header, and what the answer to it means.

use crate::json::{self, Members};
use crate::offer::{address, decode};
use crate::response::BodyEnd;
use crate::{Quote, Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Address, Authorization, B256, Units, plain_line};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;

/// What was signed, and the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The authorisation.
    pub authorization: Authorization,
    /// r, s and v over it, as EIP-3009's `transferWithAuthorization` takes them.
    pub signature: [u8; 65],
}

/// The signature is money while it lives, so it is never printed.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}

/// What the payee says became of the payment: a claim until the chain agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether it says the payment went through.
    pub success: bool,
    /// The transaction it names.
    pub transaction: Option<B256>,
    /// The CAIP-2 network it names, at most 60 characters.
    pub network: Option<String>,
    /// Who it says paid.
    pub payer: Option<Address>,
    /// How much it says was taken, in atomic units.
    pub amount: Option<Units>,
    /// Its word for what went wrong, at most 120 characters.
    pub error: Option<String>,
}

/// What came of the one attempt to pay.
///
/// Whatever it is, the signature can be taken to the chain until its window ends, unless it was
/// used or, under [`Outcome::Unclear`], never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The payee answered with success and the whole answer is here.
    Delivered {
        /// The answer.
        response: Response,
        /// What the payee says of the payment; absent when it says nothing readable.
        receipt: Option<Receipt>,
    },
    /// The payee asked for payment again. The signature it holds stays live.
    Rejected {
        /// The answer.
        response: Response,
        /// The payee's word for why; a stranger's text, at most 120 characters.
        error: String,
    },
    /// What became of it cannot be told from the answer.
    Unclear {
        /// What happened, in a sentence.
        why: String,
        /// What arrived of the answer, if any did.
        response: Option<Response>,
        /// What the payee says of the payment, if anything readable.
        receipt: Option<Receipt>,
        /// Whether the signature may have left this machine. False is certain: it did not.
        sent: bool,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentPayload<'a> {
    x402_version: u8,
    payload: Exact,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a RawValue>,
    accepted: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<&'a RawValue>,
}

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

/// Makes the header of the paid leg.
///
/// # Errors
/// A sentence, when what was signed is not what this quote of this request asks: such a signature
/// must not go out.
pub(crate) fn signature_header(
    request: &Request,
    quote: &Quote,
    payload: &Payload,
) -> Result<HeaderValue, String> {
    let signed = &payload.authorization;
    let same = quote.request_digest == request.digest()
        && signed.to == quote.payee.pay_to
        && signed.value == quote.value
        && signed.asset == quote.payee.asset;
    if !same {
        return Err("what was signed is not what the quote asks, so it was not sent".into());
    }
    let extensions = match &quote.extensions_raw {
        Some(raw) => Some(with_payment_id(raw, signed.nonce).map_err(|e| e.to_string())?),
        None => None,
    };
    let json = serde_json::to_vec(&PaymentPayload {
        x402_version: 2,
        payload: Exact {
            authorization: SignedFields {
                from: signed.from,
                to: signed.to,
                value: signed.value.to_string(),
                valid_after: signed.window.valid_after_s.to_string(),
                valid_before: signed.window.valid_before_s.to_string(),
                nonce: signed.nonce,
            },
            signature: format!("0x{}", hex::encode(payload.signature)),
        },
        resource: quote.resource_raw.as_deref(),
        accepted: &quote.offer_raw,
        extensions: extensions.as_deref(),
    })
    .map_err(|e| e.to_string())?;
    let mut value = HeaderValue::try_from(STANDARD.encode(json)).map_err(|e| e.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Answers the extension `payment-identifier` with an id of ours; everything else stays as it came.
///
/// The id follows from the nonce, so that sending the same signature again is the same payment to
/// the payee too. Source: x402 specification v2 §5.1.2 (echo, and only add).
fn with_payment_id(raw: &RawValue, nonce: B256) -> Result<Box<RawValue>, serde_json::Error> {
    let mut extensions: Members = serde_json::from_str(raw.get())?;
    let members = |raw: &RawValue| serde_json::from_str::<Members>(raw.get()).ok();
    let offered = extensions.get("payment-identifier").and_then(members);
    let Some(mut offered) = offered else { return Ok(raw.to_owned()) };
    let Some(mut info) = offered.get("info").and_then(members) else { return Ok(raw.to_owned()) };
    if info.get("id").is_some() {
        return Ok(raw.to_owned());
    }
    let mut hash = Sha256::new();
    hash.update(b"imprest payment identifier 1\n");
    hash.update(nonce);
    let id = format!("imprest_{}", hex::encode(&hash.finalize()[..16]));
    info.set("id", serde_json::value::to_raw_value(&id)?);
    offered.set("info", info.write()?);
    extensions.set("payment-identifier", offered.write()?);
    extensions.write()
}

/// Reads a `PAYMENT-RESPONSE` header; nothing when it is absent or unreadable.
pub(crate) fn read_receipt(header: Option<&[u8]>) -> Option<Receipt> {
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
    let json = decode(header?).ok()?;
    let settled: Settled = json::object(&json).ok()?;
    Some(Receipt {
        success: settled.success,
        transaction: settled.transaction.as_deref().and_then(transaction),
        network: settled.network.map(|network| plain_line(&network, 60)),
        payer: settled.payer.as_deref().and_then(|payer| address(payer).ok()),
        amount: settled.amount.as_deref().and_then(|amount| amount.parse().ok()),
        error: settled
            .error_reason
            .filter(|reason| !reason.is_empty())
            .map(|reason| plain_line(&reason, 120)),
    })
}

/// `0x` and 64 hexadecimal digits.
fn transaction(text: &str) -> Option<B256> {
    let digits = text.strip_prefix("0x")?;
    if digits.len() == 64 { digits.parse().ok() } else { None }
}

/// An answer to the paid leg, as far as it arrived.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) end: BodyEnd,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) asks_again: Option<String>,
}

/// Says what an answer to the paid leg means. Anything that is not plainly one thing is unclear.
pub(crate) fn judge(answer: Answer) -> Outcome {
    let Answer { response, end, receipt, asks_again } = answer;
    let status = response.status;
    let claims = receipt.as_ref().map(|receipt| receipt.success);
    let word = receipt.as_ref().and_then(|receipt| receipt.error.clone());
    let why = match (status, claims) {
        (402, Some(true)) => "the payee says it was paid and asks for payment again".into(),
        (402, _) if word.as_deref() == Some("settlement_pending") => {
            "the payee says the payment is on its way to the chain".into()
        }
        (402, _) => {
            let error = word.or(asks_again).unwrap_or_else(|| "it gave no reason".into());
            return Outcome::Rejected { response, error };
        }
        (200..=299, Some(false)) => match word {
            Some(word) => format!("the payee answered, but says the payment failed: {word}"),
            None => "the payee answered, but says the payment failed".into(),
        },
        (200..=299, _) => match end {
            BodyEnd::Read => return Outcome::Delivered { response, receipt },
            BodyEnd::Cut(why) => format!("the answer broke off: {why}"),
        },
        (300..=399, _) => {
            format!("the payee answered with a redirect ({status}), which was not followed")
        }
        _ => format!("the payee answered with status {status}"),
    };
    Outcome::Unclear { why, response: Some(response), receipt, sent: true }
}
