use super::*;
use crate::fixtures::{TOKEN, request, usdc};
use crate::offer::Terms;
use crate::quote::Way;
use crate::x402::{signed_settlement, v2};
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Authorization, ValidityWindow};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// What the official package signs; `tests/merchant/signed.mjs` writes it.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("vectors.json")).unwrap());

fn now() -> Timestamp {
    Timestamp::from_second(VECTORS["now_s"].as_i64().unwrap()).unwrap()
}

fn known(name: &str) -> Address {
    VECTORS[name].as_str().unwrap().parse().unwrap()
}

fn terms(offers: Value) -> Value {
    json!({
        "x402Version": 2,
        "resource": {"url": "https://shop.example/a"},
        "accepts": [{
            "scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": TOKEN,
            "payTo": VECTORS["paid"], "maxTimeoutSeconds": 60,
        }],
        "extensions": {"offer-receipt": {"info": {"offers": offers}, "schema": {}}},
    })
}

fn read(terms: &Value) -> Result<Terms, RailsError> {
    let header = STANDARD.encode(terms.to_string());
    v2::read_terms(header.as_bytes(), &request(), &[usdc()], now())
}

fn offered(offers: Value) -> Quote {
    match read(&terms(offers)) {
        Ok(Terms::Payable(quote)) => *quote,
        other => panic!("not payable: {other:?}"),
    }
}

fn not_payable(offers: Value) -> String {
    match read(&terms(offers)) {
        Ok(Terms::Unpayable(reasons)) => reasons.join(" "),
        other => panic!("not refused: {other:?}"),
    }
}

fn offer(name: &str) -> Value {
    VECTORS["offers"][name].clone()
}

fn changed(name: &str, pointer: &str, value: Value) -> Value {
    let mut offer = offer(name);
    *offer.pointer_mut(pointer).unwrap() = value;
    offer
}

#[test]
fn an_offer_under_the_payees_signature_is_payable() {
    let quote = offered(json!([offer("good")]));
    let signed = quote.signed.as_ref().unwrap();
    assert_eq!(signed.signer, Some(known("paid")));
    assert!(quote.resource_matches);
    let kept: Value = serde_json::from_str(&quote.evidence()).unwrap();
    assert_eq!(kept["signed"], offer("good"));
    assert_eq!(kept["accepted"]["amount"], "10000");
    assert_eq!(kept["signed_by"], known("paid").to_string());
    // Whoever signed it is named; that it is the payee is for others to find out.
    let quote = offered(json!([offer("by_another")]));
    assert_eq!(quote.signed.unwrap().signer, Some(known("other")));
    offered(json!([offer("endless")]));
    // The index beside an offer is nobody's word.
    offered(json!([offer("dearer"), changed("good", "/acceptIndex", json!(7))]));
    // Each signature is over everything that is signed.
    let moved = changed("good", "/payload/resourceUrl", json!("https://shop.example/b"));
    assert_ne!(offered(json!([moved])).signed.unwrap().signer, Some(known("paid")));
}

#[test]
fn what_is_not_signed_is_payable_as_ever() {
    assert!(offered(json!([])).signed.is_none());
    for extensions in [
        json!(null),
        json!({}),
        json!({"offer-receipt": null}),
        json!({"offer-receipt": {}}),
        json!({"offer-receipt": {"info": null}}),
        json!({"offer-receipt": {"info": {"receipt": {}}}}),
        json!({"offer-receipt": {"info": {"offers": null}}}),
    ] {
        let mut terms = terms(json!([]));
        terms["extensions"] = extensions;
        let Ok(Terms::Payable(quote)) = read(&terms) else { panic!("{terms}") };
        assert!(quote.signed.is_none());
        assert_eq!(quote.evidence(), quote.offer());
    }
}

#[test]
fn other_terms_than_were_signed_are_not_paid() {
    for (name, why) in [
        ("dearer", "the amount “10001”"),
        ("to_another", "the address to pay “0x17c5"),
        ("of_another_asset", "the asset “0x17c5"),
        ("on_another_network", "the network “eip155:8453”"),
        ("by_another_scheme", "the scheme “upto”"),
        ("ended", "has run out"),
        ("jws_dearer", "the amount “10001”"),
    ] {
        let said = not_payable(json!([offer(name)]));
        assert!(said.starts_with("offer 1: ") && said.contains(why), "{name}: {said}");
    }
    // All of several have to be another one.
    offered(json!([offer("dearer"), offer("ended"), offer("good")]));
    not_payable(json!([offer("dearer"), offer("to_another")]));
    let torn = format!("0x{}1b", "ff".repeat(64));
    assert!(not_payable(json!([changed("good", "/signature", json!(torn))])).contains("broken"));
}

#[test]
fn an_offer_signed_for_another_resource_is_a_question() {
    let quote = offered(json!([offer("elsewhere")]));
    assert!(!quote.resource_matches);
    assert_eq!(quote.signed.unwrap().signer, Some(known("paid")));
}

#[test]
fn a_form_that_is_not_checked_names_nobody() {
    let unchecked = |offer: Value| {
        let quote = offered(json!([offer]));
        assert!(quote.signed.as_ref().unwrap().signer.is_none());
        assert!(!quote.evidence().contains("signed_by"));
        assert!(quote.resource_matches);
    };
    unchecked(offer("jws"));
    unchecked(changed("good", "/format", json!("cose")));
    unchecked(changed("good", "/payload/version", json!(2)));
}

#[test]
fn malformed_offers_are_an_error() {
    let short = format!("0x{}", "11".repeat(64));
    let odd_v = format!("0x{}05", "11".repeat(64));
    for bad in [
        json!({}),
        json!("x"),
        json!(["x"]),
        json!([[]]),
        json!([{}]),
        json!([{"format": "eip712", "signature": "0x"}]),
        json!([{"format": "eip712", "payload": {}, "signature": "0x"}]),
        json!([changed("good", "/signature", json!(short))]),
        json!([changed("good", "/signature", json!(odd_v))]),
        json!([changed("good", "/signature", json!(7))]),
        json!([changed("good", "/payload", json!([]))]),
        json!([changed("good", "/payload/amount", json!(10000))]),
        json!([changed("good", "/payload/validUntil", json!(-1))]),
        json!([changed("good", "/payload/validUntil", json!("1"))]),
        json!([changed("good", "/payload/version", json!("1"))]),
        json!([changed("jws", "/signature", json!(""))]),
        json!([changed("jws", "/signature", json!("e30.e30"))]),
        json!([changed("jws", "/signature", json!("e30.e30.e30.e30"))]),
        json!([changed("jws", "/signature", json!("e30.e30."))]),
        json!([changed("jws", "/signature", json!("!.!.!"))]),
        json!([{"format": "jws", "payload": {}, "signature": "e30.e30.e30"}]),
        json!(vec![offer("good"); 33]),
    ] {
        let shown = bad.to_string();
        assert!(matches!(read(&terms(bad)), Err(RailsError::BadTerms { .. })), "{shown:.200}");
    }
    let mut odd = terms(json!([]));
    for extension in [json!([]), json!(1), json!({"info": []}), json!({"info": "x"})] {
        odd["extensions"]["offer-receipt"] = extension;
        assert!(matches!(read(&odd), Err(RailsError::BadTerms { .. })), "{odd}");
    }
}

fn payload(quote: &Quote) -> Payload {
    Payload {
        authorization: Authorization {
            asset: quote.payee.asset,
            from: known("payer"),
            to: quote.payee.pay_to,
            value: quote.value,
            window: ValidityWindow { valid_after_s: 1, valid_before_s: 2 },
            nonce: B256::ZERO,
        },
        signature: [3; 65],
    }
}

/// Checks a receipt of a payment for this offer, at the time it was made.
fn checked(receipt: &Value, offers: Value) -> Option<SignedReceipt> {
    let quote = offered(offers);
    let settlement = json!({"extensions": {"offer-receipt": {"info": {"receipt": receipt}}}});
    let paid = Paid {
        request: &request(),
        quote: &quote,
        payload: &payload(&quote),
        transaction: Some(VECTORS["transaction"].as_str().unwrap().parse().unwrap()),
        now_s: u64::try_from(now().as_second()).unwrap() + 2,
    };
    receipt_in(&settlement.to_string(), &paid)
}

fn receipt(name: &str) -> Value {
    VECTORS["receipts"][name].clone()
}

#[test]
fn a_good_receipt_has_no_faults() {
    let good = checked(&receipt("good"), json!([])).unwrap();
    assert_eq!((good.signer, &good.faults), (Some(known("paid")), &vec![]));
    assert_eq!(good.transaction.map(|tx| json!(tx)), Some(VECTORS["transaction"].clone()));
    assert_eq!(serde_json::from_str::<Value>(&good.raw).unwrap(), receipt("good"));
    let good = checked(&receipt("without_transaction"), json!([])).unwrap();
    assert_eq!((good.transaction, &good.faults), (None, &vec![]));
    // Who signed the offer may sign the receipt.
    let good = checked(&receipt("by_another"), json!([offer("by_another")])).unwrap();
    assert_eq!((good.signer, &good.faults), (Some(known("other")), &vec![]));
}

#[test]
fn what_speaks_against_a_receipt_is_written_down() {
    for (name, why) in [
        ("by_another", "neither who was paid nor who signed the offer"),
        ("of_another_payer", "the payer “0x17c5"),
        ("elsewhere", "the resource “https://evil.example/a”"),
        ("on_another_network", "the network “eip155:8453”"),
        ("of_another_transaction", "the transaction “0xcdcd"),
        ("jws", "(ES256K) is not one the desk checks"),
    ] {
        let found = checked(&receipt(name), json!([offer("good")])).unwrap();
        assert!(found.faults.len() == 1 && found.faults[0].contains(why), "{name}: {found:?}");
    }
    let mut old = receipt("good");
    old["payload"]["issuedAt"] = json!(1_794_990_000);
    let found = checked(&old, json!([])).unwrap();
    // The time is under the signature, so that it names somebody else now.
    assert_eq!(found.faults.len(), 2, "{found:?}");
    assert!(found.faults[0].contains("the time"), "{found:?}");
}

#[test]
fn a_malformed_receipt_is_kept_and_never_believed() {
    for bad in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"format": "eip712", "payload": {}, "signature": "0x"}),
        json!({"format": "cose", "payload": {}, "signature": "0x"}),
        json!({"format": "jws", "signature": "a.b.c"}),
    ] {
        let found = checked(&bad, json!([])).unwrap();
        assert_eq!(found.faults.len(), 1, "{found:?}");
        assert!(found.signer.is_none());
        assert_eq!(found.raw, bad.to_string());
    }
    let long = json!({"format": "x".repeat(20_000), "signature": ""});
    let found = checked(&long, json!([])).unwrap();
    assert!(found.raw.chars().count() <= KEPT_CHARS_MAX + 1 && found.faults[0].len() < 200);
    assert_eq!(checked(&json!(null), json!([])), None);
}

#[test]
fn a_receipt_changes_nothing_about_what_is_claimed() {
    let quote = offered(json!([]));
    let mut settlement = json!({"success": false, "errorReason": "no",
        "extensions": {"offer-receipt": {"info": {"receipt": receipt("good")}}}});
    let read = |settlement: &Value| {
        signed_settlement(&settlement.to_string(), &request(), &quote, &payload(&quote)).unwrap()
    };
    let claim = read(&settlement);
    assert!(!claim.success && claim.transaction.is_none() && claim.signed.is_some());
    for odd in [json!(null), json!([]), json!({"offer-receipt": 1})] {
        settlement["extensions"] = odd;
        assert!(read(&settlement).signed.is_none());
    }
    assert!(matches!(quote.way, Way::X402V2 { .. }));
}

proptest! {
    #[test]
    fn no_mutation_makes_it_panic_or_name_who_did_not_sign(
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        put in "[\\x00-\\x7f]{0,12}",
    ) {
        let text = offer("good").to_string();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let mutated = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Ok(mutated) = serde_json::from_str::<Value>(&mutated) {
            let is_same = ["payload", "signature", "format"].iter().all(|key| mutated[key] == offer("good")[key]);
            if let Ok(Terms::Payable(quote)) = read(&terms(json!([mutated]))) {
                let signer = quote.signed.and_then(|signed| signed.signer);
                prop_assert!(is_same || signer != Some(known("paid")));
            }
        }
        let _ = checked(&json!({"format": "jws", "signature": mutated}), json!([]));
    }
}
