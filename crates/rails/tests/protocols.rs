//! The older x402 and the `Payment` scheme over real sockets: asked in their own way, paid in their
//! own header, and preferred in the order in which their clients look.

mod support;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use imprest_domain::B256;
use imprest_rails::{Outcome, Payload, Probe, Quote, Rails, Request, Way};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use support::*;

const PAYING: [&str; 4] =
    ["payment-signature", "x-payment", "authorization", "payment-authorization"];

/// A payee that asks in the ways it is told and keeps what it is paid with.
#[derive(Default)]
struct Shop {
    /// What it asks with: headers and a body.
    asks: Mutex<(Vec<(&'static str, String)>, String)>,
    /// What it answers a payment with.
    receipt: Mutex<Option<(&'static str, String)>>,
    paid: Mutex<Vec<(String, String)>>,
    accepts: Mutex<Vec<String>>,
}

impl Shop {
    async fn open() -> (Arc<Shop>, SocketAddr) {
        let shop = Arc::new(Shop::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let app = Router::new().route("/report", any(serve)).with_state(Arc::clone(&shop));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (shop, address)
    }

    fn ask(&self, headers: &[(&'static str, String)], body: &str) {
        *self.asks.lock().expect("terms") = (headers.to_vec(), body.to_owned());
    }

    fn paid(&self) -> (String, String) {
        let paid = self.paid.lock().expect("payments");
        assert_eq!(paid.len(), 1, "{paid:?}");
        paid[0].clone()
    }
}

async fn serve(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(accepts) = text("accept-payment") {
        shop.accepts.lock().expect("notes").push(accepts.to_owned());
    }
    let paid = PAYING.iter().find_map(|name| Some((*name, text(name)?)));
    let Some((name, value)) = paid else {
        let (asks, body) = shop.asks.lock().expect("terms").clone();
        return with_headers(StatusCode::PAYMENT_REQUIRED, asks, body);
    };
    shop.paid.lock().expect("payments").push((name.to_owned(), value.to_owned()));
    let receipt = shop.receipt.lock().expect("a receipt").clone();
    with_headers(StatusCode::OK, receipt.into_iter().collect(), "the report".into())
}

fn with_headers(status: StatusCode, all: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response = (status, body).into_response();
    for (name, value) in all {
        let value = value.parse().expect("a header");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response
}

fn v1_offer(address: SocketAddr, amount: &str) -> Value {
    json!({
        "scheme": "exact",
        "network": "base-sepolia",
        "maxAmountRequired": amount,
        "resource": format!("http://{address}/report"),
        "description": "A report",
        "mimeType": "text/plain",
        "payTo": PAYEE,
        "maxTimeoutSeconds": 60,
        "asset": TOKEN,
        "extra": {"name": "USDC", "version": "2"}
    })
}

fn v1_terms(address: SocketAddr, amount: &str) -> String {
    json!({"x402Version": 1, "error": "pay", "accepts": [v1_offer(address, amount)]}).to_string()
}

fn challenge(amount: &str) -> (&'static str, String) {
    let charge = json!({"amount": amount, "currency": TOKEN, "recipient": PAYEE,
        "methodDetails": {"chainId": 84532}});
    let request = URL_SAFE_NO_PAD.encode(charge.to_string());
    let challenge = format!(
        "Payment id=\"c1\", realm=\"shop\", method=\"evm\", intent=\"charge\", request=\"{request}\""
    );
    ("www-authenticate", challenge)
}

fn v2_terms(amount: &str) -> (&'static str, String) {
    let mut offer = offer();
    offer["amount"] = amount.into();
    ("payment-required", base64(terms(vec![offer]).to_string()))
}

fn receipt(encode: impl Fn(String) -> String, mut json: Value) -> String {
    json["network"] = "base-sepolia".into();
    encode(json.to_string())
}

async fn quoted(rails: &Rails, request: &Request) -> Quote {
    match rails.quote(request).await {
        Ok(Probe::Offer(quote)) => *quote,
        other => panic!("no offer: {other:?}"),
    }
}

fn signed_for(quote: &Quote) -> Payload {
    let mut payload = signed(quote);
    payload.authorization.nonce = quote.nonce().unwrap_or(payload.authorization.nonce);
    payload
}

#[tokio::test]
async fn the_first_version_is_paid_in_its_own_header() {
    let (shop, address) = Shop::open().await;
    let (rails, request) = (rails(&[address]), get(&format!("http://{address}/report")));
    shop.ask(&[], &v1_terms(address, "10000"));
    let hash = format!("0x{}", "ab".repeat(32));
    let said = receipt(base64, json!({"success": true, "transaction": hash}));
    *shop.receipt.lock().expect("a receipt") = Some(("x-payment-response", said));

    let quote = quoted(&rails, &request).await;
    assert!(matches!(quote.way, Way::X402V1 { .. }), "{:?}", quote.way);
    assert_eq!((quote.value.get(), quote.network.as_str()), (10_000, "eip155:84532"));
    assert!(quote.resource_matches);
    let outcome = rails.deliver(&request, &quote, &signed_for(&quote)).await;
    let Outcome::Delivered { response, receipt } = outcome else { panic!("{outcome:?}") };
    assert_eq!(&response.body[..], b"the report");
    assert!(receipt.is_some_and(|it| it.success && it.transaction.is_some()));

    let (name, value) = shop.paid();
    assert_eq!(name, "x-payment");
    let json: Value =
        serde_json::from_slice(&STANDARD.decode(value).expect("base64")).expect("JSON");
    assert_eq!(
        (&json["x402Version"], &json["scheme"], &json["network"]),
        (&json!(1), &json!("exact"), &json!("base-sepolia"))
    );
    assert_eq!(json["payload"]["authorization"]["value"], "10000");
    assert_eq!(json["payload"]["signature"], format!("0x{}", "5a".repeat(65)));
    assert_eq!(json.as_object().map(|members| members.len()), Some(4));
}

#[tokio::test]
async fn a_payment_challenge_is_answered_with_a_credential() {
    let (shop, address) = Shop::open().await;
    let (rails, request) = (rails(&[address]), get(&format!("http://{address}/report")));
    shop.ask(&[challenge("10000")], "");
    let said = json!({"status": "success", "method": "evm", "reference": format!("0x{}", "ab".repeat(32))});
    *shop.receipt.lock().expect("a receipt") =
        Some(("payment-receipt", receipt(|json| URL_SAFE_NO_PAD.encode(json), said)));

    let quote = quoted(&rails, &request).await;
    assert!(quote.nonce().is_some());
    let mut free_nonce = signed_for(&quote);
    free_nonce.authorization.nonce = B256::repeat_byte(7);
    let outcome = rails.deliver(&request, &quote, &free_nonce).await;
    assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");

    let outcome = rails.deliver(&request, &quote, &signed_for(&quote)).await;
    let Outcome::Delivered { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert!(receipt.is_some_and(|it| it.success && it.transaction.is_some()));
    let (name, value) = shop.paid();
    assert_eq!(name, "authorization");
    let json = URL_SAFE_NO_PAD.decode(value.strip_prefix("Payment ").expect("the scheme"));
    let json: Value = serde_json::from_slice(&json.expect("base64url")).expect("JSON");
    assert_eq!(json["challenge"]["id"], "c1");
    assert_eq!(json["payload"]["nonce"], json!(quote.nonce()));
    assert_eq!(*shop.accepts.lock().expect("notes"), ["evm/charge"], "on the unpaid leg only");
}

#[tokio::test]
async fn of_several_ways_the_first_that_can_be_paid_is_taken() {
    let (shop, address) = Shop::open().await;
    let (rails, request) = (rails(&[address]), get(&format!("http://{address}/report")));
    let price = async || quoted(&rails, &request).await.value.get();
    shop.ask(&[v2_terms("1"), challenge("3")], &v1_terms(address, "2"));
    assert_eq!(price().await, 1);
    shop.ask(&[v2_terms("-1"), challenge("3")], &v1_terms(address, "2"));
    assert_eq!(price().await, 2);
    shop.ask(&[v2_terms("-1"), challenge("3")], &v1_terms(address, "0"));
    assert_eq!(price().await, 3);
    shop.ask(&[v2_terms("-1"), challenge("-3")], &v1_terms(address, "0"));
    let probe = rails.quote(&request).await;
    let Ok(Probe::Unpayable { reasons, .. }) = probe else { panic!("{probe:?}") };
    assert_eq!(reasons.len(), 3, "{reasons:?}");
}

#[tokio::test]
async fn being_asked_again_is_a_rejection_in_every_protocol() {
    let (v1, mpp) =
        (v1_terms_anywhere(), json!({"title": "Payment required", "detail": "no money"}));
    let problem = mpp.to_string();
    for (headers, body, word) in
        [(vec![], v1.as_str(), "pay"), (vec![challenge("5")], &problem, "no money")]
    {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value): &(&str, String)| (*name, value.as_str())).collect();
        let answer = http("402 Payment Required", &headers, body.as_bytes());
        let payee = RawPayee::answering(answer.clone(), Script::Say(answer)).await;
        let (rails, request) = (rails(&[payee.address]), get(&payee.url()));
        let quote = quoted(&rails, &request).await;
        let outcome = rails.deliver(&request, &quote, &signed_for(&quote)).await;
        let Outcome::Rejected { error, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(error, word);
        assert_eq!((payee.seen(), payee.signatures()), (2, 1));
    }
}

fn v1_terms_anywhere() -> String {
    v1_terms("127.0.0.1:1".parse().expect("an address"), "10000")
}
