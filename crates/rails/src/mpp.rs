//! The `Payment` authentication scheme (Machine Payments Protocol), with an EVM charge.
//!
//! The payee challenges in `WWW-Authenticate`, the payment comes as a credential in
//! `Authorization`, and what became of it stands in `Payment-Receipt`. What is signed is the same
//! EIP-3009 authorisation as with x402, except that its nonce is made from the challenge, so that a
//! signature answers this one challenge only.
//!
//! Source: draft-httpauth-payment-01, and npm `mppx` 0.11 for the method `evm`.

use crate::json;
use crate::offer::{Asked, Extra, Payable, Shown, Terms, bad, named, payable, words};
use crate::pay::{Claim, Receipt};
use crate::quote::{MAX_TIMEOUT_S, Quote, Way};
use crate::{Payload, RailsError, Request};
use alloy_primitives::keccak256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_auth::parser::ChallengeParser;
use imprest_domain::{Asset, B256, plain_line};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The most that a challenge's header may measure, in bytes.
const CHALLENGES_BYTES_MAX: usize = 64 * 1024;
/// The most that the encoded request may measure, in bytes; the protocol's own limit.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The most challenges taken in one answer.
const CHALLENGES_MAX: usize = 32;
/// How long a signature lives when the challenge names no end, in seconds.
const UNBOUNDED_TIMEOUT_S: u64 = 300;
/// The parameters of a challenge, all of which are echoed.
const PARAMETERS: [&str; 10] = [
    "id",
    "realm",
    "method",
    "intent",
    "request",
    "description",
    "digest",
    "expires",
    "header",
    "opaque",
];
/// The header that carries the payment where the challenge says so.
const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");

/// A challenge's parameters by name.
type Challenge = BTreeMap<String, String>;

/// What is charged: amounts in atomic units.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    amount: String,
    currency: String,
    recipient: String,
    #[serde(default)]
    description: Option<String>,
    method_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    chain_id: u64,
    #[serde(default)]
    credential_types: Option<Vec<String>>,
    #[serde(default)]
    decimals: Option<u8>,
    #[serde(default)]
    splits: Option<Vec<serde::de::IgnoredAny>>,
}

/// Reads `WWW-Authenticate` headers; nothing when none of them is a `Payment` challenge.
///
/// # Errors
/// [`RailsError::BadTerms`] when there are too many, or more than they may be.
pub(crate) fn read_terms<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    request: &Request,
    assets: &[Asset],
    now: Timestamp,
) -> Option<Result<Terms, RailsError>> {
    let challenges = match challenges(headers) {
        Ok(challenges) if challenges.is_empty() => return None,
        Ok(challenges) => challenges,
        Err(why) => return Some(Err(bad(why))),
    };
    let mut reasons = Vec::new();
    for (at, challenge) in challenges.into_iter().enumerate() {
        match read_challenge(challenge, request, assets, now) {
            Ok(quote) => return Some(Ok(Terms::Payable(Box::new(quote)))),
            Err(why) => reasons.push(format!("MPP challenge {}: {why}", at + 1)),
        }
    }
    Some(Ok(Terms::Unpayable(reasons)))
}

/// Every `Payment` challenge, in the payee's order. A header that is not a list of challenges is
/// another scheme's affair.
fn challenges<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
) -> Result<Vec<Challenge>, String> {
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    for header in headers {
        bytes = bytes.saturating_add(header.len());
        if bytes > CHALLENGES_BYTES_MAX {
            return Err("their challenges are longer than 64 KiB".into());
        }
        let Ok(text) = header.to_str() else { continue };
        for challenge in ChallengeParser::new(text) {
            let Ok(challenge) = challenge else { break };
            if !challenge.scheme.eq_ignore_ascii_case("payment") {
                continue;
            }
            let mut parameters = Challenge::new();
            for (name, value) in challenge.params {
                let name = name.to_ascii_lowercase();
                if parameters.insert(name.clone(), value.to_unescaped()).is_some() {
                    return Err(format!("their challenge says “{}” twice", named(&name)));
                }
            }
            found.push(parameters);
            if found.len() > CHALLENGES_MAX {
                return Err(format!("they make more than {CHALLENGES_MAX} challenges"));
            }
        }
    }
    Ok(found)
}

/// Reads one challenge, or says why the desk does not pay it.
fn read_challenge(
    mut challenge: Challenge,
    request: &Request,
    assets: &[Asset],
    now: Timestamp,
) -> Result<Quote, String> {
    challenge.retain(|name, _| PARAMETERS.contains(&name.as_str()));
    let said = |name: &str| challenge.get(name).map(String::as_str);
    let need = |name: &str| said(name).ok_or_else(|| format!("it says no {name}"));
    let (method, intent) = (need("method")?, need("intent")?);
    if (method, intent) != ("evm", "charge") {
        let (method, intent) = (named(method), named(intent));
        return Err(format!("the way “{method}/{intent}” is not one the desk pays by"));
    }
    let (id, realm) = (need("id")?, need("realm")?);
    if id.is_empty() {
        return Err("its id is empty".into());
    }
    check_body(said("digest"), request)?;
    credential_header(said("header"), request)?;
    let raw = decode_request(need("request")?)?;
    let charge: Charge = json::object(raw.get()).map_err(|e| words(&e))?;
    let payable = read_charge(&charge, timeout_s(said("expires"), now)?, assets)?;
    let nonce = nonce(id, realm);
    let description = charge.description.or_else(|| said("description").map(ToOwned::to_owned));
    // A challenge names no resource: it was made by the origin that was asked, for this answer.
    let shown = Shown { description, mime: None, resource_matches: true, signed: None };
    let way = Way::Mpp { challenge, request: raw, nonce };
    Ok(Quote::new(payable, shown, request, way))
}

/// Reads what is charged.
fn read_charge(charge: &Charge, max_timeout_s: u64, assets: &[Asset]) -> Result<Payable, String> {
    let details = &charge.method_details;
    let authorization = |types: &Vec<String>| types.iter().any(|kind| kind == "authorization");
    if !details.credential_types.as_ref().is_none_or(authorization) {
        return Err("it takes no signed authorisation".into());
    }
    if details.splits.as_ref().is_some_and(|splits| !splits.is_empty()) {
        return Err("it splits the payment, which the desk does not pay".into());
    }
    let asked = Asked {
        network: format!("eip155:{}", details.chain_id),
        chain_id: details.chain_id,
        amount: &charge.amount,
        asset: &charge.currency,
        pay_to: &charge.recipient,
        max_timeout_s,
    };
    let payable = payable(asked, &Extra::default(), assets)?;
    let ours = assets.iter().find(|asset| asset.id == payable.asset).map(|asset| asset.decimals);
    match details.decimals {
        Some(theirs) if Some(theirs) != ours => {
            Err(format!("it gives the token {theirs} decimals, which it does not have"))
        }
        _ => Ok(payable),
    }
}

/// How long the signature may live: until the challenge ends.
fn timeout_s(expires: Option<&str>, now: Timestamp) -> Result<u64, String> {
    let Some(expires) = expires else { return Ok(UNBOUNDED_TIMEOUT_S) };
    let end: Timestamp =
        expires.parse().map_err(|_| format!("its end “{}” is no time", named(expires)))?;
    let left_s = end.as_second().saturating_sub(now.as_second());
    match u64::try_from(left_s) {
        Ok(0) | Err(_) => Err("it has ended".into()),
        // A later end is the payee's patience and no wish for a longer life.
        Ok(left_s) => Ok(left_s.min(MAX_TIMEOUT_S)),
    }
}

/// A challenge can be made for one body. Source: RFC 9530, as the draft writes it: `sha-256=` and
/// base64.
fn check_body(digest: Option<&str>, request: &Request) -> Result<(), String> {
    let Some(digest) = digest else { return Ok(()) };
    let ours = format!("sha-256={}", STANDARD.encode(Sha256::digest(request.body())));
    let bare = |text: &str| text.trim_end_matches('=').to_owned();
    if bare(digest) == bare(&ours) {
        Ok(())
    } else {
        Err("it was made for another body than the one that was sent".into())
    }
}

/// Where the payment goes.
fn credential_header(asked: Option<&str>, request: &Request) -> Result<HeaderName, String> {
    let header = match asked {
        None => AUTHORIZATION,
        Some(name) if name.eq_ignore_ascii_case(AUTHORIZATION.as_str()) => AUTHORIZATION,
        Some(name) if name.eq_ignore_ascii_case(PAYMENT_AUTHORIZATION.as_str()) => {
            PAYMENT_AUTHORIZATION
        }
        Some(name) => {
            return Err(format!("it wants the payment in the header “{}”", named(name)));
        }
    };
    if header == AUTHORIZATION && request.headers().contains_key(AUTHORIZATION) {
        return Err(
            "it wants the payment where the request has credentials of its own (Authorization)"
                .into(),
        );
    }
    Ok(header)
}

/// Decodes what is charged: bounded, base64url without padding, and JSON that reads one way only.
fn decode_request(text: &str) -> Result<Box<RawValue>, String> {
    if text.len() > REQUEST_BYTES_MAX {
        return Err("its request is longer than 16 KiB".into());
    }
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| "its request is not base64url")?;
    let json = String::from_utf8(json).map_err(|_| "its request is not UTF-8")?;
    json::check(json.as_bytes()).map_err(|e| words(&e))?;
    RawValue::from_string(json).map_err(|e| words(&e))
}

/// The nonce that binds a signature to a challenge: Keccak-256 of its id and its realm.
fn nonce(id: &str, realm: &str) -> B256 {
    keccak256(format!("{id}{realm}"))
}

#[derive(Serialize)]
struct Credential<'a> {
    challenge: &'a Challenge,
    payload: Signed,
    source: String,
}

/// All numbers travel as decimal strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    r#type: &'static str,
    from: String,
    to: String,
    value: String,
    valid_after: String,
    valid_before: String,
    nonce: B256,
    signature: String,
}

/// Makes the header of the paid leg.
///
/// # Errors
/// A sentence, when it cannot be written.
pub(crate) fn payment(
    challenge: &Challenge,
    request: &Request,
    payload: &Payload,
) -> Result<(HeaderName, HeaderValue), String> {
    let header = credential_header(challenge.get("header").map(String::as_str), request)?;
    let signed = &payload.authorization;
    let from = signed.from.to_checksum(None);
    let credential = Credential {
        challenge,
        source: format!("did:pkh:eip155:{}:{from}", signed.asset.chain_id),
        payload: Signed {
            r#type: "authorization",
            from,
            to: signed.to.to_checksum(None),
            value: signed.value.to_string(),
            valid_after: signed.window.valid_after_s.to_string(),
            valid_before: signed.window.valid_before_s.to_string(),
            nonce: signed.nonce,
            signature: payload.signature_hex(),
        },
    };
    let json = serde_json::to_vec(&credential).map_err(|e| e.to_string())?;
    let value = format!("Payment {}", URL_SAFE_NO_PAD.encode(json));
    let mut value = HeaderValue::try_from(value).map_err(|e| e.to_string())?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// Reads a `Payment-Receipt` header; nothing when it is unreadable. There are none of failures.
pub(crate) fn read_receipt(header: &[u8]) -> Option<Receipt> {
    #[derive(Deserialize)]
    struct Settled {
        status: String,
        #[serde(default)]
        reference: Option<String>,
    }
    if header.len() > CHALLENGES_BYTES_MAX {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(header).ok()?;
    json::check(&json).ok()?;
    let settled: Settled = json::object(std::str::from_utf8(&json).ok()?).ok()?;
    let claim = Claim {
        success: settled.status == "success",
        transaction: settled.reference.as_deref(),
        ..Claim::default()
    };
    Some(claim.read())
}

/// The payee's own word for why it asks again, from a problem document (RFC 9457); a stranger's
/// text.
pub(crate) fn error_word(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        detail: Option<String>,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let word = problem.detail.or(problem.title).filter(|word| !word.is_empty())?;
    Some(plain_line(&word, 120))
}

#[cfg(test)]
mod tests;
