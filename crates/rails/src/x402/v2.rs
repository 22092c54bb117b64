//! Version 2: terms in the header `PAYMENT-REQUIRED`, the payment in `PAYMENT-SIGNATURE`.
//!
//! Source: x402 specification v2, `transports-v2/http.md` and `scheme_exact_evm.md`.

use super::signed::SignedOffers;
use super::{Exact, Kind, decode, first_payable};
use crate::json::{self, Members};
use crate::offer::{Asked, Extra, Payable, Shown, Terms, bad, payable, words};
use crate::quote::Way;
use crate::{Payload, Quote, RailsError, Request};
use imprest_domain::{Asset, B256, plain_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "x402Version")]
    version: u64,
}

#[derive(Deserialize)]
struct Required<'a> {
    #[serde(borrow)]
    accepts: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    extensions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    url: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "mimeType")]
    mime: Option<String>,
}

#[derive(Deserialize)]
struct Offer {
    amount: String,
    asset: String,
    #[serde(rename = "payTo")]
    pay_to: String,
    #[serde(rename = "maxTimeoutSeconds")]
    max_timeout_s: u64,
    #[serde(default)]
    extra: Option<Box<RawValue>>,
}

/// Reads a `PAYMENT-REQUIRED` header.
///
/// # Errors
/// [`RailsError::BadTerms`] when the header as a whole cannot be trusted.
pub(crate) fn read_terms(
    header: &[u8],
    request: &Request,
    assets: &[Asset],
    now: Timestamp,
) -> Result<Terms, RailsError> {
    read_json(&decode(header).map_err(bad)?, request, assets, now)
}

/// Reads `PaymentRequired`, JSON that has been found bounded and to read one way only.
///
/// # Errors
/// [`RailsError::BadTerms`] when it cannot be trusted as a whole.
pub(crate) fn read_json(
    json: &str,
    request: &Request,
    assets: &[Asset],
    now: Timestamp,
) -> Result<Terms, RailsError> {
    let head: Head = json::object(json).map_err(|e| bad(words(&e)))?;
    if head.version != 2 {
        return Err(bad(format!("x402 version {} is not one the desk speaks", head.version)));
    }
    let required: Required<'_> = json::object(json).map_err(|e| bad(words(&e)))?;
    if let Some(extensions) = required.extensions {
        serde_json::from_str::<Members>(extensions.get())
            .map_err(|_| bad("their extensions are no object".into()))?;
    }
    let resource: Option<Resource> = match required.resource {
        None => None,
        Some(raw) => {
            let unreadable = |e| bad(format!("their resource is unreadable: {}", words(&e)));
            Some(json::object(raw.get()).map_err(unreadable)?)
        }
    };
    let signed = SignedOffers::read(required.extensions)?;
    let now_s = u64::try_from(now.as_second()).unwrap_or_default();
    first_payable(&required.accepts, assets, |raw, assets| {
        let payable = read_offer(raw, assets)?;
        let signed = signed.of(&payable, request, now_s)?;
        let shown = match &resource {
            None => Shown { signed, ..Shown::default() },
            Some(resource) => Shown {
                description: resource.description.clone(),
                mime: resource.mime.clone(),
                resource_matches: request.is_for(&resource.url),
                signed,
            },
        };
        let way = Way::X402V2 {
            offer: raw.to_owned(),
            resource: required.resource.map(ToOwned::to_owned),
            extensions: required.extensions.map(ToOwned::to_owned),
        };
        Ok(Quote::new(payable, shown, request, way))
    })
}

fn read_offer(raw: &RawValue, assets: &[Asset]) -> Result<Payable, String> {
    let kind = Kind::exact(raw)?;
    let chain_id = chain_id(&kind.network).ok_or_else(|| kind.not_paid_on())?;
    let offer: Offer = json::object(raw.get()).map_err(|e| words(&e))?;
    let asked = Asked {
        network: kind.network,
        chain_id,
        amount: &offer.amount,
        asset: &offer.asset,
        pay_to: &offer.pay_to,
        max_timeout_s: offer.max_timeout_s,
    };
    payable(asked, &Extra::read(offer.extra.as_deref())?, assets)
}

/// `eip155:` and a chain id of 1 to 16 digits without a leading zero.
fn chain_id(network: &str) -> Option<u64> {
    let digits = network.strip_prefix("eip155:")?;
    let plain = (1..=16).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The payee's own word for why it asks, from a `PAYMENT-REQUIRED` header; a stranger's text.
pub(crate) fn error_word(header: &[u8]) -> Option<String> {
    error_of(&decode(header).ok()?)
}

/// The payee's own word for why it asks, from terms; a stranger's text.
pub(crate) fn error_of(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Word {
        #[serde(default)]
        error: Option<String>,
    }
    let word: Word = json::object(json).ok()?;
    word.error.filter(|word| !word.is_empty()).map(|word| plain_line(&word, 120))
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

/// Makes what the paid leg carries: JSON, which a header carries as base64.
///
/// # Errors
/// A sentence, when it cannot be written.
pub(crate) fn payment(
    offer: &RawValue,
    resource: Option<&RawValue>,
    extensions: Option<&RawValue>,
    payload: &Payload,
) -> Result<Box<RawValue>, String> {
    let nonce = payload.authorization.nonce;
    let extensions = match extensions {
        Some(raw) => Some(with_payment_id(raw, nonce).map_err(|e| e.to_string())?),
        None => None,
    };
    let payment = PaymentPayload {
        x402_version: 2,
        payload: payload.into(),
        resource,
        accepted: offer,
        extensions: extensions.as_deref(),
    };
    serde_json::value::to_raw_value(&payment).map_err(|e| e.to_string())
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

#[cfg(test)]
mod tests;
