//! Version 1: terms in the body of the answer, the payment in `X-PAYMENT`.
//!
//! Source: x402 specification v1, `transports-v1/http.md`, and the npm package `x402` 1.2 where it
//! says more.

use super::{Exact, Kind, TERMS_BYTES_MAX, encode, first_payable};
use crate::json;
use crate::offer::{Asked, Extra, Payable, Shown, Terms, bad, payable, words};
use crate::quote::Way;
use crate::{Payload, Quote, RailsError, Request};
use imprest_domain::{Asset, plain_line};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The short names of EVM chains, with their EIP-155 chain ids. Source: npm `x402` 1.2.
const CHAINS: [(&str, u64); 15] = [
    ("abstract", 2741),
    ("abstract-testnet", 11_124),
    ("avalanche", 43_114),
    ("avalanche-fuji", 43_113),
    ("base", 8453),
    ("base-sepolia", 84_532),
    ("educhain", 41_923),
    ("iotex", 4689),
    ("peaq", 3338),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("sei", 1329),
    ("sei-testnet", 1328),
    ("skale-base-sepolia", 324_705_682),
    ("story", 1514),
];

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "x402Version")]
    version: u64,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Required<'a> {
    #[serde(borrow)]
    accepts: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Offer {
    #[serde(rename = "maxAmountRequired")]
    amount: String,
    asset: String,
    #[serde(rename = "payTo")]
    pay_to: String,
    #[serde(rename = "maxTimeoutSeconds")]
    max_timeout_s: u64,
    resource: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "mimeType")]
    mime: Option<String>,
    #[serde(default)]
    extra: Option<Box<RawValue>>,
}

/// Reads the body of a 402; nothing when it is not of this version.
///
/// # Errors
/// [`RailsError::BadTerms`] when it is, and cannot be trusted as a whole.
pub(crate) fn read_terms(
    body: &[u8],
    request: &Request,
    assets: &[Asset],
) -> Option<Result<Terms, RailsError>> {
    let json = speaks(body)?;
    Some(read_offers(json, request, assets))
}

/// The body as text, if it is terms of this version.
fn speaks(body: &[u8]) -> Option<&str> {
    let json = std::str::from_utf8(body).ok()?;
    let head: Head = serde_json::from_str(json).ok()?;
    (head.version == 1).then_some(json)
}

fn read_offers(json: &str, request: &Request, assets: &[Asset]) -> Result<Terms, RailsError> {
    if json.len() > TERMS_BYTES_MAX {
        return Err(bad("they are longer than 64 KiB".into()));
    }
    json::check(json.as_bytes()).map_err(|e| bad(words(&e)))?;
    let required: Required<'_> = json::object(json).map_err(|e| bad(words(&e)))?;
    first_payable(&required.accepts, assets, |raw, assets| {
        let (payable, network, offer) = read_offer(raw, assets)?;
        let shown = Shown {
            resource_matches: request.is_for(&offer.resource),
            description: offer.description,
            mime: offer.mime,
            signed: None,
        };
        Ok(Quote::new(payable, shown, request, Way::X402V1 { offer: raw.to_owned(), network }))
    })
}

fn read_offer(raw: &RawValue, assets: &[Asset]) -> Result<(Payable, String, Offer), String> {
    let kind = Kind::exact(raw)?;
    let known = CHAINS.iter().find(|(name, _)| *name == kind.network);
    let chain_id = known.map(|(_, chain_id)| *chain_id).ok_or_else(|| kind.not_paid_on())?;
    let offer: Offer = json::object(raw.get()).map_err(|e| words(&e))?;
    let asked = Asked {
        network: format!("eip155:{chain_id}"),
        chain_id,
        amount: &offer.amount,
        asset: &offer.asset,
        pay_to: &offer.pay_to,
        max_timeout_s: offer.max_timeout_s,
    };
    let payable = payable(asked, &Extra::read(offer.extra.as_deref())?, assets)?;
    Ok((payable, kind.network, offer))
}

/// The payee's own word for why it asks again, from the body of a 402; a stranger's text.
pub(crate) fn error_word(body: &[u8]) -> Option<String> {
    let json = speaks(body.get(..TERMS_BYTES_MAX.min(body.len()))?)?;
    let head: Head = serde_json::from_str(json).ok()?;
    head.error.filter(|word| !word.is_empty()).map(|word| plain_line(&word, 120))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentPayload<'a> {
    x402_version: u8,
    scheme: &'a str,
    network: &'a str,
    payload: Exact,
}

/// Makes the header of the paid leg.
///
/// # Errors
/// A sentence, when it cannot be written.
pub(crate) fn payment(network: &str, payload: &Payload) -> Result<HeaderValue, String> {
    encode(&PaymentPayload { x402_version: 1, scheme: "exact", network, payload: payload.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{PAYEE, TOKEN, request, usdc};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn terms() -> Value {
        json!({
            "x402Version": 1,
            "error": "X-PAYMENT header is required",
            "accepts": [{
                "scheme": "exact",
                "network": "base-sepolia",
                "maxAmountRequired": "10000",
                "resource": "https://shop.example/a",
                "description": "A report",
                "mimeType": "text/plain",
                "payTo": PAYEE,
                "maxTimeoutSeconds": 60,
                "asset": TOKEN,
                "outputSchema": {"input": {"type": "http"}},
                "extra": {"name": "USDC", "version": "2"}
            }]
        })
    }

    fn read(text: &str) -> Option<Result<Terms, RailsError>> {
        read_terms(text.as_bytes(), &request(), &[usdc()])
    }

    fn with_field(key: &str, value: Option<Value>) -> Terms {
        let mut terms = terms();
        let offer = terms["accepts"][0].as_object_mut().unwrap();
        match value {
            Some(value) => drop(offer.insert(key.to_owned(), value)),
            None => drop(offer.remove(key)),
        }
        read(&terms.to_string()).expect("of version 1").expect("readable")
    }

    fn taken(terms: Terms) -> Quote {
        match terms {
            Terms::Payable(quote) => *quote,
            Terms::Unpayable(reasons) => panic!("not payable: {reasons:?}"),
        }
    }

    #[test]
    fn ordinary_terms_are_payable() {
        let quote = taken(read(&terms().to_string()).unwrap().unwrap());
        assert_eq!(quote.value.get(), 10_000);
        assert_eq!(quote.payee.asset, usdc().id);
        assert_eq!(quote.payee.pay_to, PAYEE.parse::<imprest_domain::Address>().unwrap());
        assert_eq!((quote.network.as_str(), quote.max_timeout_s), ("eip155:84532", 60));
        assert_eq!(
            (quote.description.as_str(), quote.mime.as_deref()),
            ("A report", Some("text/plain"))
        );
        assert!(quote.resource_matches && !quote.settles_first);
        assert!(quote.nonce().is_none());
        assert_eq!(quote.offer(), terms()["accepts"][0].to_string());
        for gone in ["description", "mimeType", "outputSchema", "extra"] {
            taken(with_field(gone, None));
            taken(with_field(gone, Some(Value::Null)));
        }
        assert!(
            !taken(with_field("resource", Some("https://evil.example/a".into()))).resource_matches
        );
    }

    #[test]
    fn bad_offers_are_named_and_not_paid() {
        let table: [(&str, Vec<Value>); 8] = [
            ("scheme", vec![json!("upto"), json!("Exact"), json!(""), json!(1)]),
            (
                "network",
                vec![json!("base"), json!("eip155:84532"), json!("Base-Sepolia"), json!(84532)],
            ),
            (
                "maxAmountRequired",
                vec![json!("0"), json!("-1"), json!("1e3"), json!(10000), json!(" 1")],
            ),
            (
                "payTo",
                vec![json!(""), json!(TOKEN), json!("0x0000000000000000000000000000000000000000")],
            ),
            ("asset", vec![json!(PAYEE), json!("0x36CbD53842c5426634e7929541eC2318f3dCF7e")]),
            ("maxTimeoutSeconds", vec![json!(0), json!(3601), json!(-1), json!("60"), json!(1.5)]),
            ("resource", vec![json!(1), json!({})]),
            ("extra", vec![json!({"name": "USD Coin"}), json!({"version": "1"}), json!([])]),
        ];
        for (key, values) in table {
            for value in values {
                let shown = value.to_string();
                let Terms::Unpayable(reasons) = with_field(key, Some(value)) else {
                    panic!("{key} = {shown} was taken");
                };
                assert!(reasons.len() == 1 && reasons[0].starts_with("offer 1: "), "{reasons:?}");
            }
        }
        for key in [
            "scheme",
            "network",
            "maxAmountRequired",
            "payTo",
            "asset",
            "maxTimeoutSeconds",
            "resource",
        ] {
            assert!(matches!(with_field(key, None), Terms::Unpayable(_)), "no {key} was taken");
        }
    }

    #[test]
    fn what_is_of_another_version_is_left_to_others_and_what_is_broken_is_an_error() {
        let text = terms().to_string();
        for other in [
            "",
            "{}",
            "[]",
            "<html>",
            "{\"x402Version\":2}",
            "{\"x402Version\":\"1\"}",
            "{\"x402Version\":1",
        ] {
            assert!(read(other).is_none(), "{other}");
        }
        let many = format!(r#"{{"x402Version":1,"accepts":[{}]}}"#, vec!["1"; 33].join(","));
        let long = text.replacen("A report", &"x".repeat(TERMS_BYTES_MAX), 1);
        for bad in [
            r#"{"x402Version":1}"#,
            r#"{"x402Version":1,"accepts":[]}"#,
            r#"{"x402Version":1,"accepts":{}}"#,
            &many,
            &long,
            &text.replacen(r#""payTo":"#, r#""payTo":"0x1","payTo":"#, 1),
        ] {
            let result = read(bad);
            assert!(
                matches!(result, Some(Err(RailsError::BadTerms { .. }))),
                "{bad:.60} {result:?}"
            );
        }
    }

    #[test]
    fn the_word_for_asking_again_is_bounded() {
        assert_eq!(
            error_word(terms().to_string().as_bytes()).as_deref(),
            Some("X-PAYMENT header is required")
        );
        assert_eq!(error_word(br#"{"x402Version":1,"error":""}"#), None);
        assert_eq!(error_word(br#"{"error":"no version"}"#), None);
        let long = json!({"x402Version": 1, "error": "e".repeat(500)}).to_string();
        assert_eq!(error_word(long.as_bytes()).map(|word| word.chars().count()), Some(121));
    }

    proptest! {
        #[test]
        fn no_mutation_makes_it_panic_or_pay_another_way(
            at in any::<prop::sample::Index>(),
            length in 0_usize..12,
            put in "[\\x00-\\x7f]{0,12}",
        ) {
            let text = terms().to_string();
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            let mutated = format!("{}{put}{}", &text[..start], &text[end..]);
            if let Some(Ok(Terms::Payable(quote))) = read(&mutated) {
                prop_assert_eq!(quote.payee.asset, usdc().id);
                prop_assert_eq!(&quote.payee.origin, "https://shop.example");
                prop_assert!(!quote.value.is_zero());
                prop_assert!((1..=crate::MAX_TIMEOUT_S).contains(&quote.max_timeout_s));
                prop_assert!(mutated.contains(quote.offer()));
            }
        }
    }
}
