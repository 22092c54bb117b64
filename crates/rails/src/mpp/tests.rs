use super::*;
use crate::fixtures::{PAYEE, TOKEN, request, usdc};
use imprest_domain::{Address, Authorization, Units, ValidityWindow};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T12:00:00Z";

fn charge() -> Value {
    json!({
        "amount": "10000",
        "currency": TOKEN,
        "recipient": PAYEE,
        "description": "A report",
        "methodDetails": {"chainId": 84532, "credentialTypes": ["authorization"], "decimals": 6}
    })
}

fn encoded(charge: &Value) -> String {
    URL_SAFE_NO_PAD.encode(charge.to_string())
}

/// A challenge whose parameters are the usual ones, changed by `edit`.
fn header(edit: impl FnOnce(&mut Vec<(String, String)>)) -> String {
    let mut parameters: Vec<(String, String)> = [
        ("id", "qB3wErTy"),
        ("realm", "shop.example"),
        ("method", "evm"),
        ("intent", "charge"),
        ("request", &encoded(&charge())),
        ("expires", "2026-11-22T12:05:00Z"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    edit(&mut parameters);
    let quoted = parameters.iter().map(|(name, value)| format!("{name}=\"{value}\""));
    format!("Payment {}", quoted.collect::<Vec<_>>().join(", "))
}

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    parameters.retain(|(known, _)| known != name);
    parameters.push((name.to_owned(), value.to_owned()));
}

fn read_for(request: &Request, headers: &[&str]) -> Option<Result<Terms, RailsError>> {
    let headers: Vec<HeaderValue> =
        headers.iter().map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap()).collect();
    read_terms(headers.iter(), request, &[usdc()], NOW.parse().unwrap())
}

fn read(header: &str) -> Terms {
    read_for(&request(), &[header]).expect("a challenge").expect("readable")
}

fn with(name: &str, value: &str) -> Terms {
    read(&header(|parameters| set(parameters, name, value)))
}

fn with_charge(edit: impl FnOnce(&mut Value)) -> Terms {
    let mut charge = charge();
    edit(&mut charge);
    with("request", &encoded(&charge))
}

fn taken(terms: Terms) -> Quote {
    match terms {
        Terms::Payable(quote) => *quote,
        Terms::Unpayable(reasons) => panic!("not payable: {reasons:?}"),
    }
}

fn refused(terms: Terms) -> String {
    match terms {
        Terms::Unpayable(reasons) if reasons.len() == 1 => reasons[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ordinary_challenge_is_payable() {
    let quote = taken(read(&header(|_| {})));
    assert_eq!(quote.value.get(), 10_000);
    assert_eq!(quote.payee.asset, usdc().id);
    assert_eq!(quote.payee.pay_to, PAYEE.parse::<Address>().unwrap());
    assert_eq!(quote.payee.origin, "https://shop.example");
    assert_eq!((quote.network.as_str(), quote.max_timeout_s), ("eip155:84532", 300));
    assert_eq!(quote.description, "A report");
    assert!(quote.resource_matches && !quote.settles_first);
    assert_eq!(quote.nonce(), Some(keccak256("qB3wErTyshop.example")));
    assert_eq!(quote.offer(), charge().to_string());
    let stored = serde_json::to_string(&quote).unwrap();
    let read_back: Quote = serde_json::from_str(&stored).unwrap();
    assert_eq!(read_back.nonce(), quote.nonce());
}

#[test]
fn what_it_leaves_out_is_taken_as_the_draft_has_it() {
    let endless = taken(read(&header(|all| all.retain(|(name, _)| name != "expires"))));
    assert_eq!(endless.max_timeout_s, UNBOUNDED_TIMEOUT_S);
    assert_eq!(taken(with("expires", "2026-11-23T12:00:00Z")).max_timeout_s, MAX_TIMEOUT_S);
    let plain = |details: &mut Value| {
        details["methodDetails"] = json!({"chainId": 84532});
        details["description"] = Value::Null;
    };
    let text = encoded(&{
        let mut charge = charge();
        plain(&mut charge);
        charge
    });
    let quote = taken(read(&header(|all| {
        set(all, "request", &text);
        set(all, "description", "Said outside");
    })));
    assert_eq!(quote.description, "Said outside");
}

#[test]
fn bad_challenges_are_named_and_not_paid() {
    for (name, bad) in [
        ("method", "tempo"),
        ("method", "EVM"),
        ("intent", "session"),
        ("intent", ""),
        ("id", ""),
        ("request", ""),
        ("request", "e30="),
        ("request", "!!"),
        ("request", "e30"),
        ("expires", "tomorrow"),
        ("expires", "2026-11-22T12:00:00Z"),
        ("expires", "2020-01-01T00:00:00Z"),
        ("header", "X-Api-Key"),
        ("digest", "sha-256=AAAA"),
        ("digest", ""),
    ] {
        let why = refused(with(name, bad));
        assert!(why.starts_with("MPP challenge 1: "), "{name} = {bad}: {why}");
    }
    for gone in ["id", "realm", "method", "intent", "request"] {
        refused(read(&header(|all| all.retain(|(name, _)| name != gone))));
    }
    refused(with("request", &"A".repeat(REQUEST_BYTES_MAX + 4)));
}

#[test]
fn bad_charges_are_named_and_not_paid() {
    let table: [(&str, Vec<Value>); 4] = [
        ("amount", vec![json!("0"), json!("-1"), json!("1.5"), json!(1), json!("1e3"), json!("")]),
        ("currency", vec![json!(PAYEE), json!("USDC"), json!(null)]),
        ("recipient", vec![json!(TOKEN), json!("0x0"), json!(null)]),
        (
            "methodDetails",
            vec![
                json!(null),
                json!({}),
                json!({"chainId": "84532"}),
                json!({"chainId": 1}),
                json!({"chainId": 84532, "decimals": 18}),
                json!({"chainId": 84532, "credentialTypes": []}),
                json!({"chainId": 84532, "credentialTypes": ["permit2"]}),
                json!({"chainId": 84532, "splits": [{"amount": "1", "recipient": PAYEE}]}),
            ],
        ),
    ];
    for (key, values) in table {
        for value in values {
            refused(with_charge(|charge| charge[key] = value));
        }
        refused(with_charge(|charge| drop(charge.as_object_mut().unwrap().remove(key))));
    }
    let twice = format!(r#"{{"amount":"1",{}"#, &charge().to_string()[1..]);
    refused(with("request", &URL_SAFE_NO_PAD.encode(twice)));
}

#[test]
fn challenges_are_found_among_others() {
    let ours = header(|_| {});
    let tempo = header(|all| set(all, "method", "tempo"));
    for headers in [
        vec![format!("Basic realm=\"a, Payment id=x\", {ours}")],
        vec![format!("{tempo}, {ours}")],
        vec!["L402 token=\"a\", invoice=\"b\"".to_owned(), ours.clone()],
        vec!["Negotiate abc==".to_owned(), tempo.clone(), ours.clone()],
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        taken(read_for(&request(), &headers).expect("a challenge").expect("readable"));
    }
    for none in ["", "Basic realm=\"x\"", "Paymentish id=\"x\"", "L402 token=\"a\""] {
        assert!(read_for(&request(), &[none]).is_none(), "{none}");
    }
    let twice = format!("{ours}, id=\"other\"");
    let result = read_for(&request(), &[&twice]);
    assert!(matches!(result, Some(Err(RailsError::BadTerms { .. }))), "{result:?}");
    let many = vec![ours.as_str(); CHALLENGES_MAX + 1];
    let result = read_for(&request(), &many);
    assert!(matches!(result, Some(Err(RailsError::BadTerms { .. }))), "{result:?}");
    let long = format!("Payment id=\"{}\"", "x".repeat(CHALLENGES_BYTES_MAX));
    let result = read_for(&request(), &[&long]);
    assert!(matches!(result, Some(Err(RailsError::BadTerms { .. }))), "{result:?}");
}

#[test]
fn a_challenge_for_another_body_is_not_answered() {
    let request = Request::new("POST", "https://shop.example/a", [], "tides".into()).unwrap();
    let ours = format!("sha-256={}", STANDARD.encode(Sha256::digest("tides")));
    let challenge = header(|all| set(all, "digest", &ours));
    taken(read_for(&request, &[&challenge]).expect("a challenge").expect("readable"));
    refused(read(&challenge));
}

#[test]
fn the_agents_own_credentials_are_not_overwritten() {
    let own = [("authorization".to_owned(), "Bearer x".to_owned())];
    let request = Request::new("GET", "https://shop.example/a", own, bytes::Bytes::new()).unwrap();
    let why = refused(read_for(&request, &[&header(|_| {})]).unwrap().unwrap());
    assert!(why.contains("Authorization"), "{why}");
    let beside = header(|all| set(all, "header", "payment-authorization"));
    let quote = taken(read_for(&request, &[&beside]).unwrap().unwrap());
    let Way::Mpp { challenge, .. } = &quote.way else { panic!("{:?}", quote.way) };
    let (name, _) = payment(challenge, &request, &signed(&quote)).unwrap();
    assert_eq!(name, PAYMENT_AUTHORIZATION);
}

fn signed(quote: &Quote) -> Payload {
    Payload {
        authorization: Authorization {
            asset: quote.payee.asset,
            from: Address::repeat_byte(0xaa),
            to: quote.payee.pay_to,
            value: Units::new(10_000).unwrap(),
            window: ValidityWindow { valid_after_s: 1, valid_before_s: 61 },
            nonce: quote.nonce().unwrap(),
        },
        signature: [0x5a; 65],
    }
}

#[test]
fn the_credential_echoes_the_challenge_and_pays_it() {
    let extra = header(|all| {
        set(all, "opaque", "b3BhcXVl");
        set(all, "unheard", "of");
    });
    let quote = taken(read(&extra));
    let Way::Mpp { challenge, .. } = &quote.way else { panic!("{:?}", quote.way) };
    let (name, value) = payment(challenge, &request(), &signed(&quote)).unwrap();
    assert_eq!(name, AUTHORIZATION);
    assert!(value.is_sensitive());
    let text = value.to_str().unwrap().strip_prefix("Payment ").expect("the scheme");
    let json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let from = Address::repeat_byte(0xaa).to_checksum(None);
    assert_eq!(
        json,
        json!({
            "challenge": {
                "id": "qB3wErTy", "realm": "shop.example", "method": "evm", "intent": "charge",
                "request": encoded(&charge()), "expires": "2026-11-22T12:05:00Z",
                "opaque": "b3BhcXVl"
            },
            "source": format!("did:pkh:eip155:84532:{from}"),
            "payload": {
                "type": "authorization", "from": from, "to": PAYEE, "value": "10000",
                "validAfter": "1", "validBefore": "61",
                "nonce": keccak256("qB3wErTyshop.example"),
                "signature": format!("0x{}", "5a".repeat(65)),
            }
        })
    );
}

#[test]
fn receipts_and_problems_are_strangers_words() {
    let receipt = |json: Value| read_receipt(URL_SAFE_NO_PAD.encode(json.to_string()).as_bytes());
    let hash = format!("0x{}", "ab".repeat(32));
    let good = receipt(json!({"status": "success", "method": "evm", "reference": hash})).unwrap();
    assert!(good.success && good.transaction.is_some());
    let odd = receipt(json!({"status": "success", "reference": "somewhere"})).unwrap();
    assert!(odd.success && odd.transaction.is_none());
    assert!(!receipt(json!({"status": "pending"})).unwrap().success);
    for bad in [json!({}), json!([]), json!({"status": 1})] {
        assert_eq!(receipt(bad), None);
    }
    assert_eq!(read_receipt(b"*"), None);
    assert_eq!(read_receipt(&vec![b'A'; CHALLENGES_BYTES_MAX + 1]), None);
    let word = |json: Value| error_word(json.to_string().as_bytes());
    assert_eq!(
        word(json!({"title": "t", "detail": "no\nmoney"})).as_deref(),
        Some("no⟨U+000A⟩money")
    );
    assert_eq!(word(json!({"title": "t"})).as_deref(), Some("t"));
    assert_eq!(word(json!({"detail": ""})), None);
    assert_eq!(error_word(b"<html>"), None);
}

proptest! {
    #[test]
    fn no_mutation_makes_it_panic_or_pay_another_way(
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        put in "[\\x20-\\x7e]{0,12}",
        inside in any::<bool>(),
    ) {
        let cut = |text: &str| {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            format!("{}{put}{}", &text[..start], &text[end..])
        };
        let challenge = match inside {
            true => {
                let json = cut(&charge().to_string());
                header(|all| set(all, "request", &URL_SAFE_NO_PAD.encode(json)))
            }
            false => cut(&header(|_| {})),
        };
        if let Some(Ok(Terms::Payable(quote))) = read_for(&request(), &[&challenge]) {
            prop_assert_eq!(quote.payee.asset, usdc().id);
            prop_assert_eq!(&quote.payee.origin, "https://shop.example");
            prop_assert!(!quote.value.is_zero());
            prop_assert!((1..=MAX_TIMEOUT_S).contains(&quote.max_timeout_s));
            prop_assert!(quote.nonce().is_some());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(header) = HeaderValue::from_bytes(&bytes) {
            let _ = read_terms([&header].into_iter(), &request(), &[usdc()], Timestamp::UNIX_EPOCH);
        }
        let _ = read_receipt(&bytes);
        let _ = error_word(&bytes);
    }
}
