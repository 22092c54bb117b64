//! What fuzzing feeds (`crates/fuzz`, and libFuzzer in `fuzz/`); not for use.
//!
//! Each takes any bytes as a payee may send them, must not panic, checks what must hold of whatever
//! is accepted, and answers whether it was.

use crate::mcp::{self, Called, Listener, Reply};
use crate::offer::Terms;
use crate::x402::{self, v1, v2};
use crate::{MAX_TIMEOUT_S, Payload, Quote, Request, mpp, pay};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use imprest_domain::{Address, Asset, AssetId, Authorization, B256, Units, ValidityWindow};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

/// The seeds' asset, which is USDC's contract on Base Sepolia.
const CONTRACT: Address = Address::new([
    0x03, 0x6c, 0xbd, 0x53, 0x84, 0x2c, 0x54, 0x26, 0x63, 0x4e, 0x79, 0x29, 0x54, 0x1e, 0xc2, 0x31,
    0x8f, 0x3d, 0xcf, 0x7e,
]);

fn assets() -> [Asset; 1] {
    [Asset {
        id: AssetId { chain_id: 84532, contract: CONTRACT },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USDC".into(),
        eip712_version: "2".into(),
    }]
}

fn request() -> Option<Request> {
    Request::new("GET", "https://shop.example/a", [], bytes::Bytes::new()).ok()
}

/// When everything here happens.
fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap_or_default()
}

/// The JSON of a `PAYMENT-REQUIRED` header (x402 version 2).
pub fn x402_v2(json: &[u8]) -> bool {
    let header = STANDARD.encode(json);
    v2::error_word(header.as_bytes());
    let Some(request) = request() else { return false };
    match v2::read_terms(header.as_bytes(), &request, &assets(), now()) {
        Ok(terms) => is_sound(terms, &request, json),
        Err(_) => false,
    }
}

/// The body of a 402 (x402 version 1).
pub fn x402_v1(body: &[u8]) -> bool {
    v1::error_word(body);
    let Some(request) = request() else { return false };
    match v1::read_terms(body, &request, &assets()) {
        Some(Ok(terms)) => is_sound(terms, &request, body),
        _ => false,
    }
}

/// The JSON that a `Payment` challenge charges by, in a challenge around it.
pub fn payment_charge(json: &[u8]) -> bool {
    let charge = URL_SAFE_NO_PAD.encode(json);
    let header = format!(
        "Payment id=\"a1\", realm=\"shop.example\", method=\"evm\", intent=\"charge\", \
         request=\"{charge}\""
    );
    challenged(header.as_bytes(), json)
}

/// A `WWW-Authenticate` header as it stands.
pub fn payment_challenge(header: &[u8]) -> bool {
    challenged(header, &[])
}

/// `echoed` is the JSON that the quote has to repeat byte for byte, where it is known.
fn challenged(header: &[u8], echoed: &[u8]) -> bool {
    let (Ok(header), Some(request)) = (HeaderValue::from_bytes(header), request()) else {
        return false;
    };
    match mpp::read_terms([&header].into_iter(), &request, &assets(), now()) {
        Some(Ok(terms)) => is_sound(terms, &request, echoed),
        _ => false,
    }
}

/// The JSON of any receipt, and the body of a refusal.
pub fn receipt(json: &[u8]) -> bool {
    mpp::error_word(json);
    let x402 = x402::read_receipt(STANDARD.encode(json).as_bytes());
    let mpp = mpp::read_receipt(URL_SAFE_NO_PAD.encode(json).as_bytes());
    let read: Vec<_> = x402.into_iter().chain(mpp).collect();
    for receipt in &read {
        let long = |text: &Option<String>, most| {
            text.as_ref().is_some_and(|text| text.chars().count() > shown_most(most))
        };
        assert!(!long(&receipt.network, 60) && !long(&receipt.error, 120), "not bounded");
    }
    !read.is_empty()
}

/// The JSON of what a tool of an MCP server gives, or asks for.
pub fn tool_result(json: &[u8]) -> bool {
    let Ok(text) = String::from_utf8(json.to_vec()) else { return false };
    let (Ok(called), Ok(request)) =
        (Called::read(text), Request::call("https://shop.example/mcp", "rates", "{}"))
    else {
        return false;
    };
    assert_eq!(called.result.as_bytes(), json, "another result than came");
    let Some(terms) = called.terms else { return !called.is_error };
    assert!(called.is_error, "a price for what was given");
    match v2::read_json(&terms, &request, &assets(), now()) {
        Ok(terms) => is_sound(terms, &request, &[]),
        Err(_) => false,
    }
}

/// What an MCP server answers in a stream of events.
pub fn tool_stream(body: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let whole = Listener::new(&headers, mcp::CALL).answer(body);
    let mut listener = Listener::new(&headers, mcp::CALL);
    (0..body.len()).find(|end| listener.hear(&body[..*end]));
    assert_eq!(listener.answer(body), whole, "it depends on how the stream is cut");
    matches!(whole, Some(Reply::Result(_)))
}

/// The JSON of an offer or a receipt that a payee signed.
pub fn signed(json: &[u8]) -> bool {
    let (Ok(document), Some(request)) = (std::str::from_utf8(json), request()) else {
        return false;
    };
    let extensions =
        |name, value: &str| format!(r#"{{"offer-receipt":{{"info":{{"{name}":{value}}}}}}}"#);
    let offer = br#"{"x402Version":2,"accepts":[{"scheme":"exact","network":"eip155:84532","amount":"10000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0xa267E4f15c979289993a95E22cA9cDf077B708Ba","maxTimeoutSeconds":60}],"extensions":"#;
    let offers = extensions("offers", &format!("[{document}]"));
    let terms = [&offer[..], offers.as_bytes(), b"}"].concat();
    let header = STANDARD.encode(&terms);
    let (mut is_offer, mut is_receipt) = (false, false);
    if let Ok(Terms::Payable(quote)) = v2::read_terms(header.as_bytes(), &request, &assets(), now())
    {
        is_offer = quote.signed.as_ref().is_some_and(|signed| signed.signer.is_some());
        assert!(quote.signed.is_some(), "an offer was read and forgotten");
        assert!(serde_json::from_str::<serde_json::Value>(&quote.evidence()).is_ok(), "no JSON");
        is_sound(Terms::Payable(quote), &request, &terms);
    }
    let plain = [&offer[..], b"{}}"].concat();
    let plain = v2::read_terms(STANDARD.encode(plain).as_bytes(), &request, &assets(), now());
    let settlement =
        format!(r#"{{"success":true,"extensions":{}}}"#, extensions("receipt", document));
    if let Ok(Terms::Payable(quote)) = plain
        && let header = STANDARD.encode(settlement)
        && let Some(receipt) =
            x402::read_signed_receipt(header.as_bytes(), &request, &quote, &payload(&quote))
        && let Some(signed) = receipt.signed
    {
        let long = |fault: &String| fault.chars().count() > shown_most(200);
        assert!(!signed.faults.iter().any(long) && signed.raw.len() <= 9 * 4 * 8193, "not bounded");
        assert!(!signed.faults.is_empty(), "of another time and payer, and yet believed");
        is_receipt = signed.signer.is_some();
    }
    is_offer || is_receipt
}

/// How long so many characters of a stranger's text can be when they are shown: each may be one that
/// hides, and is written out then (`⟨U+E0000⟩`).
fn shown_most(chars: usize) -> usize {
    9 * chars + 1
}

/// Whatever may be paid is one of our assets, more than nothing, for an hour at most; only what it
/// asks is sent, and what it said is repeated as it stood.
fn is_sound(terms: Terms, request: &Request, echoed: &[u8]) -> bool {
    let quote = match terms {
        Terms::Unpayable(reasons) => {
            let most = shown_most(400);
            assert!(reasons.iter().all(|why| why.chars().count() < most), "a reason of any length");
            return false;
        }
        Terms::Payable(quote) => quote,
    };
    assert_eq!(quote.payee.asset, assets()[0].id);
    assert_eq!(quote.payee.origin, "https://shop.example");
    assert!(!quote.payee.pay_to.is_zero() && quote.payee.pay_to != CONTRACT);
    assert!(!quote.value.is_zero() && (1..=MAX_TIMEOUT_S).contains(&quote.max_timeout_s));
    assert!(quote.description.chars().count() <= shown_most(200));
    let said = quote.offer().as_bytes();
    assert!(echoed.is_empty() || echoed.windows(said.len()).any(|part| part == said));
    let asked = payload(&quote);
    assert!(pay::payment(request, &quote, &asked).is_ok(), "what it asks cannot be sent");
    let mut dearer = asked;
    dearer.authorization.value = Units::new(1 << 100).unwrap_or_default();
    assert!(
        dearer.authorization.value == quote.value
            || pay::payment(request, &quote, &dearer).is_err(),
        "more than it asks was sent"
    );
    true
}

fn payload(quote: &Quote) -> Payload {
    Payload {
        authorization: Authorization {
            asset: quote.payee.asset,
            from: Address::repeat_byte(1),
            to: quote.payee.pay_to,
            value: quote.value,
            window: ValidityWindow { valid_after_s: 1, valid_before_s: 2 },
            nonce: quote.nonce().unwrap_or(B256::repeat_byte(2)),
        },
        signature: [3; 65],
    }
}
