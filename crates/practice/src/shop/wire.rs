//! x402 version 2 over HTTP, the merchant's side.
//!
//! Source: the x402 specification, transports-v2/http.md and schemes/exact/scheme_exact_evm.md.

use super::facilitator::Refusal;
use super::goods::Good;
use alloy_primitives::{Address, B256, hex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Asset, Units};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

/// Most bytes of a `PAYMENT-SIGNATURE`; an `exact` payment has about 1 KiB.
pub(crate) const MAX_HEADER_BYTES: usize = 16 << 10;

/// One way to pay, as the shop offers it: x402's `PaymentRequirements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Requirements {
    scheme: &'static str,
    pub(crate) network: String,
    pub(crate) amount: Units,
    asset: String,
    #[serde(serialize_with = "checksummed")]
    pub(crate) pay_to: Address,
    max_timeout_seconds: u64,
    extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Extra {
    name: String,
    version: String,
}

fn checksummed<S: serde::Serializer>(address: &Address, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(address)
}

impl Requirements {
    pub(crate) fn exact(asset: &Asset, amount: Units, pay_to: Address, timeout_s: u64) -> Self {
        Requirements {
            scheme: "exact",
            network: asset.id.network(),
            amount,
            asset: asset.id.contract.to_string(),
            pay_to,
            max_timeout_seconds: timeout_s,
            extra: Extra { name: asset.eip712_name.clone(), version: asset.eip712_version.clone() },
        }
    }

    /// Whether the customer echoes these very terms; the order of keys does not matter.
    pub(crate) fn equals(&self, echoed: &Value) -> bool {
        serde_json::to_value(self).is_ok_and(|own| own == *echoed)
    }
}

/// The 402's `PAYMENT-REQUIRED`.
pub(crate) fn payment_required(good: &Good, url: &Url, why: &str, terms: &Requirements) -> Value {
    json!({
        "x402Version": 2,
        "error": why,
        "resource": {
            "url": url.as_str(),
            "description": good.title,
            "mimeType": "application/json",
            "serviceName": "Corner shop",
        },
        "accepts": [terms],
    })
}

/// A customer's `PAYMENT-SIGNATURE`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    x402_version: u64,
    /// The chosen terms, echoed.
    pub(crate) accepted: Value,
    pub(crate) payload: ExactPayload,
}

/// The `exact` scheme's part, by EIP-3009.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ExactPayload {
    pub(crate) authorization: SignedTerms,
    /// r‖s‖v in hexadecimal.
    #[serde(deserialize_with = "signature")]
    pub(crate) signature: [u8; 65],
}

/// What the customer signed. Numbers are decimal strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedTerms {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: Units,
    #[serde(deserialize_with = "seconds")]
    pub(crate) valid_after: u64,
    #[serde(deserialize_with = "seconds")]
    pub(crate) valid_before: u64,
    pub(crate) nonce: B256,
}

fn signature<'de, D: serde::Deserializer<'de>>(from: D) -> Result<[u8; 65], D::Error> {
    use serde::de::Error;
    let text = String::deserialize(from)?;
    let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("no 0x"))?;
    let mut bytes = [0; 65];
    hex::decode_to_slice(digits, &mut bytes).map_err(D::Error::custom)?;
    Ok(bytes)
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(from)?;
    let is_plain = text == "0"
        || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    if !is_plain {
        return Err(D::Error::custom("not a plain number"));
    }
    text.parse().map_err(D::Error::custom)
}

/// Reads a `PAYMENT-SIGNATURE` header.
///
/// # Errors
/// A short reason for the 402.
pub(crate) fn read_payment(header: &[u8]) -> Result<Payment, &'static str> {
    let text = STANDARD.decode(header).map_err(|_| "the PAYMENT-SIGNATURE is not base64")?;
    let payment: Payment = serde_json::from_slice(&text)
        .map_err(|_| "the PAYMENT-SIGNATURE is not an exact payment")?;
    if payment.x402_version != 2 {
        return Err("the PAYMENT-SIGNATURE is not of x402 version 2");
    }
    Ok(payment)
}

/// The `PAYMENT-RESPONSE`: x402's `SettleResponse`.
pub(crate) fn settle_response(
    terms: &Requirements,
    payer: Address,
    settled: Result<&B256, &Refusal>,
) -> Value {
    let payer = payer.to_string();
    match settled {
        Ok(transaction) => json!({
            "success": true,
            "payer": payer,
            "transaction": transaction.to_string(),
            "network": terms.network,
        }),
        Err(why) => json!({
            "success": false,
            "errorReason": why.reason(),
            "payer": payer,
            "transaction": why.transaction().map_or_else(String::new, |hash| hash.to_string()),
            "network": terms.network,
        }),
    }
}

/// x402's header form: JSON in standard base64.
pub(crate) fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(edit: impl Fn(&mut Value)) -> Result<Payment, &'static str> {
        let mut value = json!({
            "x402Version": 2,
            "accepted": {},
            "payload": {
                "signature": format!("0x{}", "11".repeat(65)),
                "authorization": {
                    "from": Address::repeat_byte(1), "to": Address::repeat_byte(2),
                    "value": "10000", "validAfter": "0", "validBefore": "99",
                    "nonce": B256::repeat_byte(3),
                },
            },
        });
        edit(&mut value);
        read_payment(encode(&value).as_bytes())
    }

    #[test]
    fn reads_a_payment() {
        let payment = payment(|_| {}).expect("it is whole");
        assert_eq!(payment.payload.authorization.value.get(), 10_000);
        assert_eq!(payment.payload.signature, [0x11; 65]);
    }

    #[test]
    fn refuses_what_is_malformed() {
        for (path, bad) in [
            ("/x402Version", json!(1)),
            ("/x402Version", json!("2")),
            ("/payload", json!({})),
            ("/payload/signature", json!("0x11")),
            ("/payload/signature", json!("11".repeat(65))),
            ("/payload/signature", json!(format!("0x{}", "zz".repeat(65)))),
            ("/payload/authorization/from", json!("0x1")),
            ("/payload/authorization/value", json!(10_000)),
            ("/payload/authorization/value", json!("-1")),
            ("/payload/authorization/value", json!("1e4")),
            ("/payload/authorization/value", json!("9".repeat(60))),
            ("/payload/authorization/validAfter", json!("00")),
            ("/payload/authorization/validAfter", json!("+1")),
            ("/payload/authorization/validBefore", json!("18446744073709551616")),
            ("/payload/authorization/validBefore", json!(99)),
            ("/payload/authorization/nonce", json!("0x03")),
        ] {
            let result = payment(|value| {
                *value.pointer_mut(path).expect("the path exists") = bad.clone();
            });
            assert!(result.is_err(), "{path} = {bad} was accepted");
        }
        let deep = "[".repeat(4_000);
        for bad in ["", "!!", "bm90IGpzb24=", &STANDARD.encode(deep), &STANDARD.encode("{}")] {
            assert!(read_payment(bad.as_bytes()).is_err(), "{bad:?} was accepted");
        }
        assert!(read_payment(&[0xff, 0xfe]).is_err());
    }
}
