//! The HTTP API, route by route.

use crate::support::{FAILING, PANICKING, REFUSED, SLOW, Stand, client, raw};
use imprest_gateway::{DoorError, FailureCode, Token, serve};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn every_route_answers_its_own_agent() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let body = json!({"url": "https://shop.example/a", "max_amount": "0.25", "purpose": "weather"});
    let (status, fetched) = stand.ask(&token, Method::POST, "/v1/fetch", Some(body.clone())).await;
    assert_eq!((status, &fetched["status"]), (200, &json!("settled")));
    let id = fetched["payment"]["id"].as_str().expect("an id").to_owned();

    let (status, quoted) = stand.ask(&token, Method::POST, "/v1/quote", Some(body)).await;
    assert_eq!((status, &quoted["amount"]["amount"]), (200, &json!("0.01")));

    let to = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let body = json!({"to": to, "amount": "2.50", "idempotency_key": "rent"});
    let (status, sent) = stand.ask(&token, Method::POST, "/v1/transfers", Some(body)).await;
    assert_eq!((status, &sent["status"]), (200, &json!("refused")));
    let typo = json!({"to": to.replace("5aA", "5aB"), "amount": "2.50", "idempotency_key": "rent"});
    let (status, refused) = stand.ask(&token, Method::POST, "/v1/transfers", Some(typo)).await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad_request")), "{refused}");

    let path = format!("/v1/payments/{id}?wait_ms=5");
    let (status, payment) = stand.ask(&token, Method::GET, &path, None).await;
    assert_eq!((status, &payment["payment"]["id"]), (200, &json!(id)));

    let (status, page) = stand.ask(&token, Method::GET, "/v1/payments?cursor=c1", None).await;
    assert_eq!((status, page["payments"].as_array().map(Vec::len)), (200, Some(1)));

    let (status, budget) = stand.ask(&token, Method::GET, "/v1/budget", None).await;
    assert_eq!((status, &budget["windows"][0]["left"]), (200, &json!("0.8")));

    let calls: Vec<String> = stand.teller.calls().into_iter().map(|(_, call)| call).collect();
    assert_eq!(
        calls,
        [
            "fetch https://shop.example/a",
            "quote https://shop.example/a",
            "transfer 2.50 to 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "payment pay_1 5",
            "payments Some(\"c1\")",
            "budget",
        ]
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_doorkeeper_hears_where_a_credential_is_used() {
    use std::os::unix::fs::MetadataExt;
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let stranger = Token::generate().expect("the system has randomness");
    for token in [&token, &stranger, &token] {
        stand.ask(token, Method::GET, "/v1/budget", None).await;
    }
    let own = std::fs::metadata("/proc/self").expect("this process").uid();
    let places = stand.book.places();
    assert_eq!(places.len(), 2, "a credential nobody knows has no place: {places:?}");
    for (agent, place) in places {
        assert_eq!((agent.as_str(), place), ("agt_anna", format!("user {own}")));
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_failure_is_a_problem() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let ask = async |url: &str| {
        stand.ask(&token, Method::POST, "/v1/fetch", Some(json!({ "url": url }))).await
    };
    let (status, refused) = ask(REFUSED).await;
    assert_eq!((status, &refused["status"]), (200, &json!("refused")));
    assert_eq!(refused["verdict"]["reasons"][0]["remedy"], "time");

    let (status, problem) = ask(FAILING).await;
    assert_eq!(status, 502);
    assert_eq!(
        problem,
        json!({
            "type": "urn:imprest:problem:payee_failed",
            "title": "The payee failed",
            "status": 502,
            "detail": "The payee hung up.",
            "code": "payee_failed",
            "recovery": "Try again later with the same key.",
        })
    );
    let (status, problem) = ask(PANICKING).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal")));
}

#[tokio::test]
async fn malformed_requests_are_named_and_never_reach_the_desk() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let post = async |body: &str| {
        let request = client().post(stand.url("/v1/fetch")).bearer_auth(token.expose());
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await.expect("the door answers");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    for body in [
        "",
        "{",
        "[]",
        r#"{"url":"https://a.example/","max_ammount":"1"}"#,
        r#"{"url":"https://a.example/","max_amount":1}"#,
        r#"{"url":"https://a.example/"} {}"#,
        r#"{"url":"ftp://a.example/"}"#,
        r#"{"url":"https://a.example/","wait_ms":60001}"#,
    ] {
        let (status, problem) = post(body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{body}");
    }
    let (_, problem) = post(r#"{"url":"https://a.example/","max_ammount":"1"}"#).await;
    assert!(problem["detail"].as_str().expect("text").contains("max_ammount"));
    for path in [
        "/v1/payments/agt_1",
        "/v1/payments/pay_UP",
        "/v1/payments/pay_1?wait_ms=x",
        "/v1/payments/pay_1?wait_ms=60001",
        "/v1/payments/pay_1?other=1",
        "/v1/payments?cursor=",
        "/v1/payments?page=2",
    ] {
        let (status, problem) = stand.ask(&token, Method::GET, path, None).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{path}");
    }
    assert!(stand.teller.calls().is_empty());
}

#[tokio::test]
async fn large_bodies_are_refused_declared_or_not() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let body = format!(r#"{{"url":"https://a.example/","body":"{}"}}"#, "x".repeat(2 << 20));
    for path in ["/v1/fetch", "/mcp"] {
        let request = client().post(stand.url(path)).bearer_auth(token.expose());
        let request = request.header("content-type", "application/json").body(body.clone());
        let response = request.send().await.expect("the door answers");
        assert_eq!(response.status(), 413, "{path}");
        let problem: Value = response.json().await.expect("JSON");
        assert_eq!(problem["code"], "too_large");
    }
    // The same without a declared length.
    let addr = stand.door.local_addr;
    let mut chunked = format!(
        "POST /v1/fetch HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        token.expose()
    );
    for _ in 0..33 {
        chunked.push_str(&format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(raw(addr, chunked.as_bytes()).await.status, 413);
    // Just within the bound passes.
    let within =
        format!(r#"{{"url":"https://a.example/","body":"{}"}}"#, "x".repeat((2 << 20) - 100));
    let (status, _) = stand
        .ask(&token, Method::POST, "/v1/fetch", Some(serde_json::from_str(&within).expect("JSON")))
        .await;
    assert_eq!(status, 200);
    assert_eq!(stand.teller.calls().len(), 1);
}

/// A connection on which something is left unread is not used again, and whoever sent it is told.
#[tokio::test]
async fn a_body_that_is_not_read_ends_its_connection() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let stranger = Token::generate().expect("the system has randomness");
    let post = |path: &str, token: &Token| {
        client().post(stand.url(path)).bearer_auth(token.expose()).body("{}")
    };
    let json =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    for (request, status, ends) in [
        (json(post("/v1/fetch", &stranger)), 401, true),
        (json(post("/v1/fetch", &token)).header("origin", "null"), 403, true),
        (json(post("/v1/nowhere", &token)), 404, true),
        (post("/v1/fetch", &token), 415, true),
        // This one is read, and is what is wrong.
        (json(post("/v1/fetch", &token)), 400, false),
        (client().get(stand.url("/v1/budget")), 401, false),
        (client().get(stand.url("/v1/budget")).bearer_auth(token.expose()), 200, false),
    ] {
        let answer = request.send().await.expect("the door answers");
        assert_eq!(answer.status(), status);
        let said = answer.headers().get("connection").is_some_and(|value| value == "close");
        assert_eq!(said, ends, "{status}");
    }
}

#[tokio::test]
async fn the_description_is_public_and_whole() {
    let stand = Stand::open().await;
    let response = client().get(stand.url("/v1/openapi.json")).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let document: Value = response.json().await.expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    for (path, method) in [
        ("/v1/fetch", "post"),
        ("/v1/tools/call", "post"),
        ("/v1/quote", "post"),
        ("/v1/transfers", "post"),
        ("/v1/payments/{id}", "get"),
        ("/v1/payments", "get"),
        ("/v1/budget", "get"),
        ("/v1/openapi.json", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path} is missing");
    }
    let codes = document["components"]["schemas"]["FailureCode"].to_string();
    for code in FailureCode::ALL {
        assert!(codes.contains(code.word()), "{code} is missing");
    }
}

#[tokio::test]
async fn agents_see_their_own_payments_only() {
    let stand = Stand::open().await;
    let (anna, bert) = (stand.book.add("anna"), stand.book.add("bert"));
    let body = Some(json!({"url": "https://shop.example/secret"}));
    let (_, fetched) = stand.ask(&anna, Method::POST, "/v1/fetch", body).await;
    let path = format!("/v1/payments/{}", fetched["payment"]["id"].as_str().expect("an id"));
    assert_eq!(stand.ask(&anna, Method::GET, &path, None).await.0, 200);
    let (status, problem) = stand.ask(&bert, Method::GET, &path, None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    let (_, page) = stand.ask(&bert, Method::GET, "/v1/payments", None).await;
    assert_eq!(page, json!({"payments": []}));
    stand.book.revoke(&anna);
    assert_eq!(stand.ask(&anna, Method::GET, &path, None).await.0, 401);
}

#[tokio::test]
async fn a_hundred_at_once_pass_and_a_flood_is_slowed() {
    let stand = Stand::open().await;
    let (busy, calm) = (stand.book.add("busy"), stand.book.add("calm"));
    let http = client();
    let send = async |token: &Token| {
        let request = http.get(stand.url("/v1/budget")).bearer_auth(token.expose());
        request.send().await.expect("the door answers")
    };
    let hundred = futures::future::join_all((0..100).map(|_| send(&busy))).await;
    assert!(hundred.iter().all(|response| response.status() == 200));
    let mut slowed = None;
    for _ in 0..2000 {
        let response = send(&busy).await;
        if response.status() == 429 {
            slowed = Some(response);
            break;
        }
    }
    let slowed = slowed.expect("a flood is slowed");
    assert_eq!(slowed.headers()["retry-after"], "1");
    let problem: Value = slowed.json().await.expect("JSON");
    assert_eq!(problem["code"], "rate_limited");
    assert_eq!(send(&calm).await.status(), 200, "another agent is not slowed");
}

#[tokio::test]
async fn one_agent_cannot_take_every_place() {
    let stand = Stand::open().await;
    let (busy, calm) = (stand.book.add("busy"), stand.book.add("calm"));
    let http = client();
    let slow = |_| {
        let request = http.post(stand.url("/v1/fetch")).bearer_auth(busy.expose());
        tokio::spawn(request.json(&json!({ "url": SLOW })).send())
    };
    let held: Vec<_> = (0..128).map(slow).collect();
    for _ in 0..128 {
        stand.teller.begun.take().await;
    }
    let (status, problem) = stand.ask(&busy, Method::GET, "/v1/budget", None).await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")));
    assert_eq!(stand.ask(&calm, Method::GET, "/v1/budget", None).await.0, 200);
    stand.teller.let_go.0.add_permits(128);
    for answer in held {
        let response = answer.await.expect("not cancelled").expect("the door answers");
        assert_eq!(response.status(), 200);
    }
    assert_eq!(stand.ask(&busy, Method::GET, "/v1/budget", None).await.0, 200);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_payment_half_way() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let request = client().post(stand.url("/v1/fetch")).bearer_auth(token.expose());
    let asked = tokio::spawn(request.json(&json!({ "url": SLOW })).send());
    stand.teller.begun.take().await;
    asked.abort();
    assert!(asked.await.expect_err("the client hung up").is_cancelled());
    // A later answer shows that the door has gone on since.
    assert_eq!(stand.ask(&token, Method::GET, "/v1/budget", None).await.0, 200);
    stand.teller.let_go.0.add_permits(1);
    let ended = async {
        while !stand.teller.calls().iter().any(|(_, call)| call == "slow fetch ended") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the fetch ran to its end");
}

#[tokio::test]
async fn only_a_loopback_listener_is_a_door() {
    let stand = Stand::open().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let refused =
        serve(listener, stand.teller.clone(), stand.book.clone(), stand.shutdown.clone()).await;
    assert!(matches!(refused, Err(DoorError::NotLoopback { .. })));
}

#[tokio::test]
async fn closing_lets_requests_end_and_then_refuses() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let url = stand.url("/v1/fetch");
    let request = client().post(&url).bearer_auth(token.expose()).json(&json!({ "url": SLOW }));
    let asked = tokio::spawn(request.send());
    stand.teller.begun.take().await;
    stand.shutdown.cancel();
    stand.teller.let_go.0.add_permits(1);
    let response = asked.await.expect("not cancelled").expect("the door answers");
    assert_eq!(response.status(), 200);
    tokio::time::timeout(Duration::from_secs(20), stand.door.closed()).await.expect("it closes");
    let error = client().get(&url).send().await.expect_err("the door is shut");
    assert!(error.is_connect());
}
