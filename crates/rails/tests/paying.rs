//! Paying over real sockets: what goes out byte for byte, and what each answer means.

mod support;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::HeaderName};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprest_rails::{
    AddressGuard, Lookup, Options, Outcome, Probe, Quote, Rails, RailsError, Request, is_global,
};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

/// The chosen offer as this payee writes it: odd spacing, escapes and keys that must survive.
const ODD_OFFER: &str = r#"{ "scheme":"exact" ,"network":"eip155:84532","amount":"10000",
 "asset":"0x036cbd53842c5426634e7929541ec2318f3dcf7e","payTo":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
 "maxTimeoutSeconds":60, "extra":{"name":"USDC","version":"2","note":"caf\u00e9 é","rate":1.50e0} }"#;

struct Shop {
    terms: Mutex<String>,
    paid_with: Mutex<Vec<String>>,
}

/// A payee that asks for a price and answers whoever pays it.
async fn shop() -> (Arc<Shop>, SocketAddr) {
    let shop = Arc::new(Shop { terms: Mutex::default(), paid_with: Mutex::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    *shop.terms.lock().expect("terms") = format!(
        r#"{{"x402Version":2,"error":null,"resource":{{"url":"http://{address}/report", "description":"A \u202ereport","mimeType":"text/plain"}},"accepts":[{},{ODD_OFFER}],"extensions":{{"bazaar":{{"info": {{}} }},"payment-identifier":{{"info":{{"required":true}},"schema":{{}}}}}}}}"#,
        json!({"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
            "amount": "1", "asset": "EPjF", "payTo": "abc", "maxTimeoutSeconds": 60}),
    );
    let app = Router::new()
        .route("/report", any(serve))
        .route("/free", any(async || "nothing to pay"))
        .with_state(Arc::clone(&shop));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (shop, address)
}

async fn serve(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: String) -> Response {
    let Some(paid) = headers.get("payment-signature") else {
        let terms = base64(shop.terms.lock().expect("terms").as_bytes());
        let name = HeaderName::from_static("payment-required");
        return (StatusCode::PAYMENT_REQUIRED, [(name, terms)], "{}").into_response();
    };
    let paid = paid.to_str().expect("ASCII").to_owned();
    shop.paid_with.lock().expect("payments").push(paid);
    let receipt = json!({"success": true, "transaction": format!("0x{}", "ab".repeat(32)),
        "network": "eip155:84532", "payer": format!("0x{}", "aa".repeat(20)), "amount": "10000"});
    let name = HeaderName::from_static("payment-response");
    ([(name, base64(receipt.to_string()))], format!("the report on {body}")).into_response()
}

async fn quoted(rails: &Rails, request: &Request) -> Quote {
    match rails.quote(request).await {
        Ok(Probe::Offer(quote)) => *quote,
        other => panic!("no offer: {other:?}"),
    }
}

#[tokio::test]
async fn a_payment_carries_exactly_what_was_offered() {
    let (shop, address) = shop().await;
    let rails = rails(&[address]);
    let url = format!("http://{address}/report");
    let request =
        Request::new("POST", &url, [("x-api-key".into(), "k".into())], "tides".into()).expect("ok");

    let quote = quoted(&rails, &request).await;
    assert_eq!(quote.payee.origin, format!("http://{address}"));
    assert_eq!(quote.payee.pay_to, PAYEE.parse::<imprest_domain::Address>().expect("an address"));
    assert_eq!(quote.payee.asset, usdc().id);
    assert_eq!(quote.value.get(), 10_000);
    assert_eq!(quote.max_timeout_s, 60);
    assert_eq!(quote.network, "eip155:84532");
    assert_eq!(quote.description, "A ⟨U+202E⟩report");
    assert_eq!(quote.mime.as_deref(), Some("text/plain"));
    assert!(quote.resource_matches);
    assert!(!quote.settles_first);
    assert_eq!(quote.digest, quoted(&rails, &request).await.digest);
    assert_ne!(quote.digest, quoted(&rails, &get(&url)).await.digest);
    // A quote survives being stored while the owner is asked.
    let stored = serde_json::to_string(&quote).expect("writes");
    let quote: Quote = serde_json::from_str(&stored).expect("reads");

    let Outcome::Delivered { response, receipt } =
        rails.deliver(&request, &quote, &signed(&quote)).await
    else {
        panic!("not delivered");
    };
    assert_eq!((response.status, &response.body[..]), (200, &b"the report on tides"[..]));
    assert!(!response.truncated);
    assert_eq!(response.headers.get("content-length").map(String::as_str), Some("19"));
    let receipt = receipt.expect("a receipt");
    assert!(receipt.success && receipt.transaction.is_some() && receipt.payer.is_some());
    assert_eq!(receipt.amount.map(|a| a.get()), Some(10_000));

    let paid = shop.paid_with.lock().expect("payments").clone();
    assert_eq!(paid.len(), 1);
    let json = String::from_utf8(STANDARD.decode(&paid[0]).expect("base64")).expect("text");
    assert!(json.contains(&format!(r#""accepted":{ODD_OFFER}"#)), "{json}");
    let resource = format!(
        r#""resource":{{"url":"http://{address}/report", "description":"A \u202ereport","mimeType":"text/plain"}}"#
    );
    assert!(json.contains(&resource), "{json}");
    assert!(json.contains(r#""bazaar":{"info": {} }"#), "{json}");
    let sent: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(sent["x402Version"], 2);
    assert_eq!(
        sent["payload"],
        json!({
            "authorization": {
                "from": "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "to": "0x209693bc6afc0c5328ba36faf03c514ef312287c",
                "value": "10000",
                "validAfter": "1794999400",
                "validBefore": "1795000060",
                "nonce": format!("0x{}", "11".repeat(32)),
            },
            "signature": format!("0x{}", "5a".repeat(65)),
        })
    );
    let identifier = &sent["extensions"]["payment-identifier"];
    assert_eq!(identifier["info"]["required"], true);
    assert_eq!(identifier["schema"], json!({}));
    let id = identifier["info"]["id"].as_str().expect("an id");
    assert!((16..=128).contains(&id.len()) && id.starts_with("imprest_"), "{id}");
}

#[tokio::test]
async fn what_is_free_is_handed_over() {
    let (_, address) = shop().await;
    let rails = rails(&[address]);
    let probe = rails.quote(&get(&format!("http://{address}/free"))).await;
    let Ok(Probe::Free(response)) = probe else { panic!("not free: {probe:?}") };
    assert_eq!(&response.body[..], b"nothing to pay");
}

#[tokio::test]
async fn a_redirect_is_handed_back_before_paying_and_never_followed_after() {
    let other = RawPayee::answering(http("200 OK", &[], b""), Script::Cut).await;
    let away = format!("http://{}/", other.address);
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let redirect = http(status, &[("location", &away)], b"");
        let payee =
            RawPayee::answering(asks(&terms(vec![offer()])), Script::Say(redirect.clone())).await;
        let rails = rails(&[payee.address, other.address]);
        let quote = quoted(&rails, &get(&payee.url())).await;
        let outcome = rails.deliver(&get(&payee.url()), &quote, &signed(&quote)).await;
        let Outcome::Unclear { response: Some(response), sent: true, .. } = outcome else {
            panic!("{status}: {outcome:?}");
        };
        assert_eq!(response.headers.get("location"), Some(&away));
        assert_eq!(payee.signatures(), 1);

        let payee = RawPayee::answering(redirect, Script::Cut).await;
        let rails = self::rails(&[payee.address, other.address]);
        let probe = rails.quote(&get(&payee.url())).await;
        assert!(matches!(probe, Ok(Probe::Free(r)) if (300..400).contains(&r.status)));
    }
    assert_eq!(other.seen(), 0, "a redirect was followed");
}

/// Pays a payee that does as told, and returns what came of it; at most one signature goes out.
async fn outcome_of(script: Script) -> Outcome {
    let payee = RawPayee::answering(asks(&terms(vec![offer()])), script).await;
    let rails = rails(&[payee.address]);
    let request = get(&payee.url());
    let quote = quoted(&rails, &request).await;
    let outcome = rails.deliver(&request, &quote, &signed(&quote)).await;
    assert_eq!(payee.signatures(), 1, "one attempt and no more");
    assert_eq!(payee.seen(), 2);
    outcome
}

fn receipt(receipt: &Value) -> String {
    base64(receipt.to_string())
}

#[tokio::test]
async fn being_asked_again_is_a_rejection() {
    let again = asks(&json!({"x402Version": 2, "error": "insufficient\u{202e} funds",
        "accepts": [offer()]}));
    let outcome = outcome_of(Script::Say(again)).await;
    let Outcome::Rejected { error, response } = outcome else { panic!("{outcome:?}") };
    assert_eq!((response.status, error.as_str()), (402, "insufficient⟨U+202E⟩ funds"));

    let failed = receipt(&json!({"success": false, "errorReason": "invalid_signature",
        "transaction": "", "network": "eip155:84532"}));
    let answer = http("402 Payment Required", &[("payment-response", &failed)], b"{}");
    let outcome = outcome_of(Script::Say(answer)).await;
    assert!(
        matches!(&outcome, Outcome::Rejected { error, .. } if error == "invalid_signature"),
        "{outcome:?}"
    );
    let outcome = outcome_of(Script::Say(http("402 Payment Required", &[], b""))).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
}

#[tokio::test]
async fn success_without_a_readable_receipt_is_still_a_delivery() {
    let long = "A".repeat(70_000);
    for bad in ["", "!!!", "e30=", "bnVsbA==", &receipt(&json!({"success": "yes"})), &long] {
        let answer = http("200 OK", &[("payment-response", bad)], b"here");
        let outcome = outcome_of(Script::Say(answer)).await;
        assert!(matches!(outcome, Outcome::Delivered { receipt: None, .. }), "{outcome:?}");
    }
    let vague = receipt(&json!({"success": true, "transaction": "0x12", "payer": "me",
        "network": "n".repeat(200), "amount": "-1"}));
    let outcome =
        outcome_of(Script::Say(http("200 OK", &[("payment-response", &vague)], b""))).await;
    let Outcome::Delivered { receipt: Some(receipt), .. } = outcome else { panic!("{outcome:?}") };
    assert!(receipt.success && receipt.transaction.is_none() && receipt.payer.is_none());
    assert!(receipt.amount.is_none());
    assert_eq!(receipt.network.map(|n| n.chars().count()), Some(61));
}

#[tokio::test]
async fn whatever_is_not_plain_is_unclear() {
    let says = |value: Value| receipt(&value);
    let failed = says(json!({"success": false, "errorReason": "settle_failed"}));
    let pending = says(json!({"success": false, "errorReason": "settlement_pending",
        "transaction": format!("0x{}", "cd".repeat(32))}));
    let paid = says(json!({"success": true}));
    for answer in [
        http("200 OK", &[("payment-response", &failed)], b"here"),
        http("402 Payment Required", &[("payment-response", &pending)], b"{}"),
        http("402 Payment Required", &[("payment-response", &paid)], b"{}"),
        http("400 Bad Request", &[], b""),
        http("404 Not Found", &[("payment-response", &paid)], b""),
        http("412 Precondition Failed", &[], b""),
        http("500 Internal Server Error", &[], b"oops"),
        http("504 Gateway Timeout", &[], b""),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let outcome = outcome_of(Script::Say(answer)).await;
        assert!(
            matches!(outcome, Outcome::Unclear { response: Some(_), sent: true, .. }),
            "{shown}\n{outcome:?}"
        );
    }
    for script in [
        Script::Cut,
        Script::Say(b"HTTP/1.1 200".to_vec()),
        Script::Say(b"SMTP ready\r\n".to_vec()),
        Script::SayAndHang(Vec::new()),
        Script::SayAndHang(b"HTTP/1.1 200 OK\r\n".to_vec()),
    ] {
        let outcome = outcome_of(script).await;
        assert!(
            matches!(outcome, Outcome::Unclear { response: None, sent: true, .. }),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_left_in_time() {
    let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe first part".to_vec();
    let started = Instant::now();
    let outcome = outcome_of(Script::SayAndHang(slow.clone())).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    let Outcome::Unclear { response: Some(response), why, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(&response.body[..], b"the first part");
    assert!(response.truncated);
    assert!(why.contains("1500 ms"), "{why}");

    // The unpaid leg: a payee that reads nothing and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    let result = rails(&[address]).quote(&get(&format!("http://{address}/"))).await;
    assert!(matches!(result, Err(RailsError::TimedOut { timeout_ms: 1_500, .. })), "{result:?}");
}

#[tokio::test]
async fn bodies_are_bounded_after_decompression() {
    let bomb = gzip_of_zeros(128 << 20);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let answer = http("200 OK", &[("content-encoding", "gzip")], &bomb);
    let outcome = outcome_of(Script::Say(answer.clone())).await;
    let Outcome::Delivered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert!(response.truncated);
    assert_eq!(response.body.len(), 1 << 20);
    assert!(response.body.iter().all(|byte| *byte == 0));

    let payee = RawPayee::answering(answer, Script::Cut).await;
    let probe = rails(&[payee.address]).quote(&get(&payee.url())).await;
    let Ok(Probe::Free(response)) = probe else { panic!("{probe:?}") };
    assert!(response.truncated && response.body.len() == 1 << 20);
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_a_clean_error() {
    let huge = "A".repeat(1 << 20);
    let answer = http("402 Payment Required", &[("payment-required", &huge)], b"");
    let payee = RawPayee::answering(answer, Script::Cut).await;
    let result = rails(&[payee.address]).quote(&get(&payee.url())).await;
    assert!(matches!(result, Err(RailsError::TooLarge { .. })), "{result:?}");
    // What HTTP still lets through, the desk bounds itself.
    let large = "A".repeat(65_540);
    let answer = http("402 Payment Required", &[("payment-required", &large)], b"");
    let payee = RawPayee::answering(answer, Script::Cut).await;
    let result = rails(&[payee.address]).quote(&get(&payee.url())).await;
    assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{result:?}");
}

#[tokio::test]
async fn a_signature_for_something_else_is_not_sent() {
    let payee = RawPayee::answering(asks(&terms(vec![offer()])), Script::Cut).await;
    let rails = rails(&[payee.address]);
    let request = get(&payee.url());
    let quote = quoted(&rails, &request).await;
    let mut other_value = signed(&quote);
    other_value.authorization.value = imprest_domain::Units::new(10_001).expect("units");
    let mut other_payee = signed(&quote);
    other_payee.authorization.to = imprest_domain::Address::repeat_byte(9);
    let mut other_asset = signed(&quote);
    other_asset.authorization.asset.chain_id = 1;
    let elsewhere = get(&format!("{}?other", payee.url()));
    for (request, payload) in [
        (&request, other_value),
        (&request, other_payee),
        (&request, other_asset),
        (&elsewhere, signed(&quote)),
    ] {
        let outcome = rails.deliver(request, &quote, &payload).await;
        assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    }
    // Listed when it was quoted, not listed any more.
    rails.guard().disallow(&payee.address.to_string().parse().expect("a host"));
    let outcome = rails.deliver(&request, &quote, &signed(&quote)).await;
    assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    assert_eq!((payee.seen(), payee.signatures()), (1, 0));
    assert!(!format!("{:?}", signed(&quote)).contains("90"), "a signature is printed");
}

#[tokio::test]
async fn a_closed_port_is_certainly_not_paid() {
    let payee = RawPayee::answering(asks(&terms(vec![offer()])), Script::Cut).await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let closed = free.local_addr().expect("its address");
    drop(free);
    let rails = rails(&[payee.address, closed]);
    let mut quote = quoted(&rails, &get(&payee.url())).await;
    let request = get(&format!("http://{closed}/"));
    quote.request_digest = request.digest();
    let outcome = rails.deliver(&request, &quote, &signed(&quote)).await;
    assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    let result = rails.quote(&request).await;
    assert!(matches!(result, Err(RailsError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_failed_handshake_is_certainly_not_paid() {
    let payee = RawPayee::answering(asks(&terms(vec![offer()])), Script::Cut).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let deaf = listener.local_addr().expect("its address");
    // Accepts connections and closes them: no TLS is ever spoken.
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let rails = rails(&[payee.address, deaf]);
    let mut quote = quoted(&rails, &get(&payee.url())).await;
    let request = get(&format!("https://{deaf}/"));
    quote.request_digest = request.digest();
    let outcome = rails.deliver(&request, &quote, &signed(&quote)).await;
    assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    let result = rails.quote(&request).await;
    assert!(matches!(result, Err(RailsError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn other_ways_to_pay_are_named() {
    let solana = json!({"scheme": "exact", "network": "solana"});
    let v1 = json!({"x402Version": 1, "error": "pay", "accepts": [solana]}).to_string();
    let tempo = "Payment id=\"x\", realm=\"y\", method=\"tempo\", intent=\"charge\"";
    let mpp = [("www-authenticate", tempo)];
    let l402 = [("www-authenticate", "L402 macaroon=\"x\", invoice=\"lnbc\"")];
    let basic = [("www-authenticate", "Basic realm=\"x\"")];
    for (headers, body, word) in [
        (&[][..], v1.as_str(), "“solana”"),
        (&mpp[..], "", "“tempo/charge”"),
        (&l402[..], "", "L402"),
        (&basic[..], "", "“Basic”"),
        (&[][..], "pay me", "no way to pay"),
    ] {
        let answer = http("402 Payment Required", headers, body.as_bytes());
        let payee = RawPayee::answering(answer, Script::Cut).await;
        let probe = rails(&[payee.address]).quote(&get(&payee.url())).await;
        let Ok(Probe::Unpayable { reasons, response }) = probe else { panic!("{probe:?}") };
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{reasons:?}");
        assert_eq!(&response.body[..], body.as_bytes());
    }
    let twice = base64(terms(vec![offer()]).to_string());
    let twice = [("payment-required", twice.as_str()), ("payment-required", twice.as_str())];
    let payee = RawPayee::answering(http("402 Payment Required", &twice, b""), Script::Cut).await;
    let result = rails(&[payee.address]).quote(&get(&payee.url())).await;
    assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{result:?}");
}

/// Public the first time it is asked, the machine itself from then on.
struct Flips(Arc<AtomicBool>);

impl Lookup for Flips {
    fn lookup(&self, _: &str) -> futures::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let asked_before = self.0.swap(true, Ordering::SeqCst);
        let address = if asked_before { "127.0.0.1" } else { "93.184.215.14" };
        Box::pin(async move { Ok(vec![address.parse().expect("an address")]) })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_reaches_nothing() {
    let payee = RawPayee::answering(http("200 OK", &[], b"secret"), Script::Cut).await;
    let flipped = Arc::new(AtomicBool::new(false));
    let guard = AddressGuard::new(Flips(Arc::clone(&flipped)));
    let rails = Rails::new(Options::new(guard, vec![usdc()])).expect("rails");
    // Whoever asked before the request was made has seen its public face.
    let before = Flips(flipped).lookup("shop.example").await.expect("an answer");
    assert!(before.into_iter().all(is_global));
    for port in [payee.address.port(), 80] {
        let result = rails.quote(&get(&format!("http://shop.example:{port}/"))).await;
        assert!(matches!(result, Err(RailsError::AddressRefused { .. })), "{result:?}");
    }
    for host in ["127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", payee.address.port());
        let result = rails.quote(&get(&url)).await;
        assert!(matches!(result, Err(RailsError::AddressRefused { .. })), "{host}: {result:?}");
    }
    assert_eq!(payee.seen(), 0);
    // Listed by its owner, the same name is let through, on that port only.
    let listed = format!("shop.example:{}", payee.address.port());
    rails.guard().allow(listed.parse().expect("a host"));
    let result = rails.quote(&get(&format!("http://{listed}/"))).await;
    assert!(matches!(result, Ok(Probe::Free(_))), "{result:?}");
    let result = rails.quote(&get("http://shop.example:1/")).await;
    assert!(matches!(result, Err(RailsError::AddressRefused { .. })), "{result:?}");
    assert_eq!(payee.seen(), 1);
}

#[tokio::test]
async fn an_unknown_name_is_unreachable() {
    let result = rails(&[]).quote(&get("http://nowhere.invalid/?key=secret")).await;
    let Err(RailsError::Unreachable { host, why }) = result else { panic!("{result:?}") };
    assert_eq!(host, "nowhere.invalid");
    assert!(!why.contains("secret"), "{why}");
}
