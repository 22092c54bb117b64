use super::super::{TERMS_BYTES_MAX, read_receipt};
use super::*;
use crate::MAX_TIMEOUT_S;
use crate::fixtures::{PAYEE, TOKEN, request, usdc};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

fn offer() -> Value {
    json!({
        "scheme": "exact",
        "network": "eip155:84532",
        "amount": "10000",
        "asset": TOKEN,
        "payTo": PAYEE,
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"}
    })
}

fn terms() -> Value {
    json!({
        "x402Version": 2,
        "resource": {"url": "https://shop.example/a", "description": "A report"},
        "accepts": [offer()]
    })
}

fn read(text: &str) -> Result<Terms, RailsError> {
    read_header(STANDARD.encode(text).as_bytes())
}

fn read_header(header: &[u8]) -> Result<Terms, RailsError> {
    read_terms(header, &request(), &[usdc()], Timestamp::now())
}

fn with(edit: impl FnOnce(&mut Value)) -> Result<Terms, RailsError> {
    let mut terms = terms();
    edit(&mut terms);
    read(&terms.to_string())
}

/// Reads terms whose only offer has one field changed, or taken out when `value` is absent.
fn with_field(key: &str, value: Option<Value>) -> Result<Terms, RailsError> {
    with(|terms| {
        let offer = terms["accepts"][0].as_object_mut().expect("an object");
        match value {
            Some(value) => drop(offer.insert(key.to_owned(), value)),
            None => drop(offer.remove(key)),
        }
    })
}

fn taken(terms: Result<Terms, RailsError>) -> Quote {
    match terms {
        Ok(Terms::Payable(quote)) => *quote,
        other => panic!("not payable: {other:?}"),
    }
}

#[test]
fn ordinary_terms_are_payable() {
    let quote = taken(with(|_| {}));
    assert_eq!(quote.value.get(), 10_000);
    assert!(quote.resource_matches);
    for nulls in ["error", "extensions"] {
        taken(with(|terms| terms[nulls] = Value::Null));
    }
    for extra in [
        None,
        Some(Value::Null),
        Some(json!({})),
        Some(json!({"name": null, "version": null, "assetTransferMethod": null})),
        Some(json!({"assetTransferMethod": "eip3009", "paymentFlow": "authorization"})),
    ] {
        assert!(!taken(with_field("extra", extra)).settles_first);
    }
    let upfront = json!({"paymentFlow": "upfront"});
    assert!(taken(with_field("extra", Some(upfront))).settles_first);
    taken(with_field("asset", Some(TOKEN.to_lowercase().into())));
    taken(with_field("maxTimeoutSeconds", Some(3600.into())));
}

#[test]
fn what_cannot_be_trusted_as_a_whole_is_an_error() {
    let raw = read_header;
    let good = STANDARD.encode(terms().to_string());
    assert!(raw(good.as_bytes()).is_ok());
    let unpadded = format!("{}A", good.trim_end_matches('='));
    let url_safe = STANDARD.encode(r#"{"a":"???>>>"}"#).replace(['+', '/'], "_");
    let long = "A".repeat(TERMS_BYTES_MAX + 4);
    let spaced = format!("{} {}", &good[..8], &good[8..]);
    for bad in ["", "*", "{}", &unpadded, &url_safe, &long, &spaced, "e30", "e30==", "e31="] {
        let result = raw(bad.as_bytes());
        assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{bad:.40} {result:?}");
    }
    let text = terms().to_string();
    let deep = format!(r#"{{"x402Version":2,"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    for bad in [
        "",
        "null",
        "[]",
        "{}",
        "{",
        &deep,
        &format!("{text}{text}"),
        &text.replacen('{', r#"{"x402Version":2,"#, 1),
        &text.replace(r#""amount":"#, r#""amount":"1","amount":"#),
        &text.replace(r#""amount":"#, r#""\u0061mount":"1","amount":"#),
        &text.replace(r#""x402Version":2"#, r#""x402Version":1"#),
        &text.replace(r#""x402Version":2"#, r#""x402Version":3"#),
        &text.replace(r#""x402Version":2"#, r#""x402Version":"2""#),
        &text.replace(r#""x402Version":2"#, r#""x402Version":2.0"#),
        &text.replace(r#""x402Version":2"#, r#""x402Version":-2"#),
    ] {
        let result = read(bad);
        assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{bad:.80} {result:?}");
    }
    for result in [
        with(|terms| terms["accepts"] = json!([])),
        with(|terms| terms["accepts"] = json!({})),
        with(|terms| terms["accepts"] = Value::Null),
        with(|terms| terms["accepts"] = vec![offer(); 33].into()),
        with(|terms| terms["resource"] = "https://shop.example/a".into()),
        with(|terms| terms["resource"] = json!({"description": "x"})),
        with(|terms| terms["resource"] = json!(["https://shop.example/a", "x", "y"])),
        with(|terms| terms["extensions"] = json!([])),
        with(|terms| terms["extensions"] = 1.into()),
    ] {
        assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{result:?}");
    }
    taken(with(|terms| terms["accepts"] = vec![offer(); 32].into()));
}

#[test]
fn what_is_not_plainly_payable_is_not_paid() {
    let digits = |n: usize| Value::from("9".repeat(n));
    let zero = "0x0000000000000000000000000000000000000000";
    let bad_checksum = PAYEE.replace("Bc6", "bC6");
    let table: Vec<(&str, Vec<Value>)> = vec![
        ("scheme", vec!["upto".into(), "Exact".into(), "".into(), 1.into(), Value::Null]),
        (
            "network",
            ["eip155:1", "base-sepolia", "eip155:084532", "eip155:", "eip155:0x14a34"]
                .into_iter()
                .chain(["EIP155:84532", "eip155:84532 ", "eip155:+84532", "eip155:-1"])
                .chain(["eip155:99999999999999999", "solana:84532", "eip155:84532:1", ""])
                .map(Value::from)
                .chain([84532.into()])
                .collect(),
        ),
        (
            "amount",
            ["-1", "0x10", "1e6", "1.5", "010", "+1", " 1", "1 ", "1_000", "1,000", "٣", ""]
                .into_iter()
                .chain(["0", "NaN", "Infinity", "9223372036854775808"])
                .map(Value::from)
                .chain([digits(78), digits(79), 10_000.into(), 1.5.into(), Value::Null])
                .collect(),
        ),
        ("asset", vec![PAYEE.into(), zero.into(), TOKEN.to_uppercase().into(), "USDC".into()]),
        (
            "payTo",
            vec![
                bad_checksum.as_str().into(),
                zero.into(),
                TOKEN.into(),
                PAYEE[2..].into(),
                PAYEE[..41].into(),
                format!("{PAYEE}0").into(),
                format!(" {PAYEE}").into(),
                PAYEE.replacen("0x", "0X", 1).into(),
                format!("0x{}", "g".repeat(40)).into(),
                "".into(),
                "shop.eth".into(),
                json!([PAYEE]),
            ],
        ),
        (
            "maxTimeoutSeconds",
            vec![0.into(), 3601.into(), (-1).into(), 60.5.into(), "60".into(), Value::Null]
                .into_iter()
                .chain([json!(1e15), u64::MAX.into()])
                .collect(),
        ),
        (
            "extra",
            vec![
                json!([]),
                json!("x"),
                json!({"name": "USD Coin"}),
                json!({"version": "1"}),
                json!({"version": 2}),
                json!({"assetTransferMethod": "permit2"}),
                json!({"assetTransferMethod": "erc7710"}),
                json!({"assetTransferMethod": ""}),
                json!({"paymentFlow": "escrow"}),
                json!({"paymentFlow": "later"}),
            ],
        ),
    ];
    for (key, values) in table {
        for value in values {
            let shown = value.to_string();
            let result = with_field(key, Some(value));
            let Ok(Terms::Unpayable(reasons)) = &result else {
                panic!("{key} = {shown} came to {result:?}");
            };
            assert_eq!(reasons.len(), 1);
            assert!(reasons[0].starts_with("offer 1: "), "{reasons:?}");
            assert!(reasons[0].len() < 400, "{reasons:?}");
        }
        if key != "extra" {
            let result = with_field(key, None);
            assert!(matches!(result, Ok(Terms::Unpayable(_))), "no {key} came to {result:?}");
        }
    }
}

#[test]
fn the_first_payable_offer_is_taken_in_the_payees_order() {
    let offer_of = |amount: &str, network: &str| {
        let mut offer = offer();
        offer["amount"] = amount.into();
        offer["network"] = network.into();
        offer
    };
    let quote = taken(with(|terms| {
        terms["accepts"] = json!([
            "not an offer",
            ["exact", "eip155:84532"],
            {"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
            offer_of("1", "eip155:1"),
            offer_of("-1", "eip155:84532"),
            offer_of("20000", "eip155:84532"),
            offer_of("10000", "eip155:84532"),
        ]);
    }));
    assert_eq!(quote.value.get(), 20_000);
    let result = with(|terms| {
        terms["accepts"] = json!([
            {"scheme": "upto\u{202e}", "network": "eip155:84532"},
            offer_of("1", "eip155:1"),
        ]);
    });
    let Ok(Terms::Unpayable(reasons)) = result else { panic!("{result:?}") };
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].contains("upto⟨U+202E⟩"), "{reasons:?}");
    assert!(reasons[1].contains("eip155:1"), "{reasons:?}");
}

#[test]
fn a_resource_elsewhere_is_noticed() {
    for (url, same) in [
        ("https://shop.example/other", true),
        ("https://shop.example:443/", true),
        ("http://shop.example/a", false),
        ("https://shop.example:8443/a", false),
        ("https://evil.example/a", false),
        ("https://shop.example.evil.example/a", false),
        ("https://shop.example@evil.example/a", false),
        ("/a", false),
        ("", false),
        ("mcp://tool/x", false),
    ] {
        let quote = taken(with(|terms| terms["resource"]["url"] = url.into()));
        assert_eq!(quote.resource_matches, same, "{url}");
        assert_eq!(quote.payee.origin, "https://shop.example");
    }
    let quote = taken(with(|terms| terms["resource"] = Value::Null));
    assert!(!quote.resource_matches);
    assert_eq!(quote.description, "");
    let long = "x".repeat(5000);
    let quote = taken(with(|terms| {
        terms["resource"]["description"] = long.as_str().into();
        terms["resource"]["mimeType"] = long.as_str().into();
    }));
    assert_eq!(quote.description.chars().count(), 201);
    assert_eq!(quote.mime.map(|mime| mime.chars().count()), Some(101));
}

#[test]
fn the_digest_follows_the_money_and_not_the_words() {
    let base = taken(with(|_| {})).digest;
    assert_eq!(base, taken(with(|t| t["resource"]["description"] = "new".into())).digest);
    assert_eq!(base, taken(with(|t| t["extensions"] = json!({"nonce": 1}))).digest);
    assert_ne!(base, taken(with_field("amount", Some("10001".into()))).digest);
    let other = "0x1111111111111111111111111111111111111111";
    assert_ne!(base, taken(with_field("payTo", Some(other.into()))).digest);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_header(&bytes);
        let _ = read_header(STANDARD.encode(&bytes).as_bytes());
        let _ = error_word(&bytes);
        let _ = read_receipt(&bytes);
    }

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
        if let Ok(Terms::Payable(quote)) = read(&mutated) {
            prop_assert_eq!(quote.payee.asset, usdc().id);
            prop_assert_eq!(&quote.payee.origin, "https://shop.example");
            prop_assert!(!quote.value.is_zero());
            prop_assert!((1..=MAX_TIMEOUT_S).contains(&quote.max_timeout_s));
            prop_assert!(mutated.contains(quote.offer()));
        }
    }
}
