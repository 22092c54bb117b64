//! Paid tools over real sockets: what is said to a server, and what its answers mean.

mod support;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt;
use imprest_rails::{Outcome, Probe, Quote, RailsError, Request};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use support::*;

/// How a server answers.
#[derive(Clone)]
enum Does {
    /// With this result.
    Result(Value),
    /// With this error.
    Error(Value),
    /// With the same result in a stream that goes on afterwards, silent.
    Stream(Value),
    /// With a stream of notes and no end.
    Endless,
    /// With this status and this body, of this kind.
    Http(u16, &'static str, String),
}

struct Server {
    opens: Does,
    unpaid: Does,
    paid: Does,
    /// Everything that was said to it: the method, the headers, the message.
    heard: Mutex<Vec<(Method, HeaderMap, Value)>>,
}

impl Server {
    async fn open(unpaid: Does, paid: Does) -> (Arc<Server>, SocketAddr) {
        let opens = Does::Result(json!({"protocolVersion": "2025-11-25", "capabilities": {}}));
        Server::opening(opens, unpaid, paid).await
    }

    async fn opening(opens: Does, unpaid: Does, paid: Does) -> (Arc<Server>, SocketAddr) {
        let server = Arc::new(Server { opens, unpaid, paid, heard: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let app = Router::new().route("/mcp", any(serve)).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (server, address)
    }

    /// The methods of the messages it was sent, and HTTP's own where there was none.
    fn said(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("messages");
        let name =
            |(method, _, message): &(Method, HeaderMap, Value)| match message["method"].as_str() {
                Some(name) => name.to_owned(),
                None => method.to_string(),
            };
        heard.iter().map(name).collect()
    }

    /// The payments it was given.
    fn payments(&self) -> Vec<Value> {
        let heard = self.heard.lock().expect("messages");
        let payments = heard.iter().map(|(_, _, m)| m["params"]["_meta"]["x402/payment"].clone());
        payments.filter(|payment| !payment.is_null()).collect()
    }
}

async fn serve(
    State(server): State<Arc<Server>>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    let message: Value = serde_json::from_str(&body).unwrap_or_default();
    server.heard.lock().expect("messages").push((method.clone(), headers, message.clone()));
    match message["method"].as_str() {
        Some("initialize") => ([("mcp-session-id", "s-1")], server.opens.answer(0)).into_response(),
        Some("notifications/initialized") => StatusCode::ACCEPTED.into_response(),
        Some("tools/call") if message["params"]["_meta"].is_null() => server.unpaid.answer(1),
        Some("tools/call") => server.paid.answer(1),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

impl Does {
    fn answer(&self, id: u64) -> Response {
        let kind = |kind: &'static str| [("content-type", kind)];
        match self {
            Does::Result(result) => (
                kind("application/json"),
                json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string(),
            )
                .into_response(),
            Does::Error(error) => (
                kind("application/json"),
                json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string(),
            )
                .into_response(),
            Does::Stream(result) => {
                let note = json!({"jsonrpc": "2.0", "method": "notifications/message"});
                let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
                let first = format!(": hello\r\n\r\ndata: {note}\r\n\r\ndata: {answer}\r\n\r\n");
                let said = futures::stream::iter([Ok::<_, std::io::Error>(first)]);
                let open = Body::from_stream(said.chain(futures::stream::pending()));
                (kind("text/event-stream"), open).into_response()
            }
            Does::Endless => {
                let note = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";
                let notes =
                    std::iter::repeat_with(move || Ok::<_, std::io::Error>(note.repeat(99)));
                let body = Body::from_stream(futures::stream::iter(notes));
                (kind("text/event-stream"), body).into_response()
            }
            Does::Http(status, kind, body) => {
                let status = StatusCode::from_u16(*status).expect("a status");
                let headers = [("content-type", *kind), ("location", "http://127.0.0.1:1/")];
                (status, headers, body.clone()).into_response()
            }
        }
    }
}

fn asks() -> Value {
    let mut terms = terms(vec![offer()]);
    terms["resource"]["url"] = "mcp://tool/rates".into();
    json!({"isError": true, "structuredContent": terms,
        "content": [{"type": "text", "text": terms.to_string()}]})
}

fn gives() -> Value {
    json!({"content": [{"type": "text", "text": "1840"}], "structuredContent": {"rate": 1840},
        "_meta": {"x402/payment-response": {"success": true, "network": "eip155:84532",
            "transaction": format!("0x{}", "ab".repeat(32))}}})
}

fn call(address: SocketAddr) -> Request {
    Request::call(&format!("http://{address}/mcp"), "rates", r#"{"week": 47}"#).expect("a call")
}

async fn quoted(address: SocketAddr) -> Quote {
    match rails(&[address]).quote(&call(address)).await {
        Ok(Probe::Offer(quote)) => *quote,
        other => panic!("no offer: {other:?}"),
    }
}

/// Pays a server that answers its payment so; one payment goes out.
async fn outcome_of(paid: Does) -> Outcome {
    let (server, address) = Server::open(Does::Result(asks()), paid).await;
    let quote = quoted(address).await;
    let outcome = rails(&[address]).deliver(&call(address), &quote, &signed(&quote)).await;
    assert_eq!(server.payments().len(), 1, "one attempt and no more");
    outcome
}

#[tokio::test]
async fn a_call_is_quoted_paid_and_given() {
    for stream in [false, true] {
        let does = |result| if stream { Does::Stream(result) } else { Does::Result(result) };
        let (server, address) = Server::open(does(asks()), does(gives())).await;
        let quote = quoted(address).await;
        assert_eq!(quote.payee.origin, format!("http://{address}"));
        assert_eq!(quote.value.get(), 10_000);
        assert!(quote.resource_matches);
        let opened = ["initialize", "notifications/initialized", "tools/call", "DELETE"];
        assert_eq!(server.said(), opened);

        let outcome = rails(&[address]).deliver(&call(address), &quote, &signed(&quote)).await;
        let Outcome::Delivered { response, receipt } = outcome else { panic!("{outcome:?}") };
        assert_eq!(serde_json::from_slice::<Value>(&response.body).expect("JSON"), gives());
        assert!(receipt.is_some_and(|receipt| receipt.success && receipt.transaction.is_some()));
        assert_eq!(server.said(), [opened, opened].concat());

        let heard = server.heard.lock().expect("messages");
        for (at, (_, headers, message)) in heard.iter().enumerate() {
            let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let is_first = at % 4 == 0;
            assert_eq!(of("mcp-session-id"), (!is_first).then_some("s-1"), "{message}");
            assert_eq!(of("mcp-protocol-version"), (!is_first).then_some("2025-11-25"));
            assert_eq!(of("accept"), Some("application/json, text/event-stream"));
            assert!(of("payment-signature").is_none());
        }
        let (unpaid, paid) = (&heard[2].2["params"], &heard[6].2["params"]);
        assert_eq!(unpaid, &json!({"name": "rates", "arguments": {"week": 47}}));
        assert_eq!((&paid["name"], &paid["arguments"]), (&unpaid["name"], &unpaid["arguments"]));
        let payment = &paid["_meta"]["x402/payment"];
        assert_eq!(payment["x402Version"], 2);
        assert_eq!(payment["accepted"], offer());
        assert_eq!(payment["resource"]["url"], "mcp://tool/rates");
        assert_eq!(payment["payload"]["authorization"]["value"], "10000");
    }
}

#[tokio::test]
async fn what_costs_nothing_is_handed_over() {
    for result in [
        json!({"content": [{"type": "text", "text": "hello"}]}),
        json!({"content": [], "isError": true}),
        json!({}),
    ] {
        let (server, address) =
            Server::open(Does::Result(result.clone()), Does::Result(gives())).await;
        let probe = rails(&[address]).quote(&call(address)).await;
        let Ok(Probe::Free(response)) = probe else { panic!("{probe:?}") };
        assert_eq!(serde_json::from_slice::<Value>(&response.body).expect("JSON"), result);
        assert!(server.payments().is_empty());
    }
    let mut odd = asks();
    odd["structuredContent"]["accepts"][0]["network"] = "eip155:1".into();
    let (_, address) = Server::open(Does::Result(odd), Does::Result(gives())).await;
    let probe = rails(&[address]).quote(&call(address)).await;
    assert!(matches!(probe, Ok(Probe::Unpayable { .. })), "{probe:?}");
}

#[tokio::test]
async fn a_price_for_another_tool_is_noticed() {
    let mut odd = asks();
    odd["structuredContent"]["resource"]["url"] = "mcp://tool/other".into();
    let (_, address) = Server::open(Does::Result(odd), Does::Result(gives())).await;
    assert!(!quoted(address).await.resource_matches);
}

#[tokio::test]
async fn a_server_that_does_not_answer_as_one_is_not_paid() {
    let json = "application/json";
    let mut twice = asks().to_string();
    twice = twice.replacen(r#""amount":"#, r#""amount":"1","amount":"#, 1);
    let twice = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{twice}}}"#);
    for does in [
        Does::Error(json!({"code": -32602, "message": "no such tool"})),
        Does::Http(200, json, String::new()),
        Does::Http(200, json, "[]".into()),
        Does::Http(200, json, r#"{"jsonrpc":"2.0","id":9,"result":{}}"#.into()),
        Does::Http(200, json, twice),
        Does::Http(200, json, "x".repeat(2 << 20)),
        Does::Http(200, "text/event-stream", "data: {}\n\n".into()),
        Does::Http(202, json, String::new()),
        Does::Http(307, json, String::new()),
        Does::Http(402, json, "{}".into()),
        Does::Http(404, json, "{}".into()),
        Does::Http(500, json, "{}".into()),
        Does::Endless,
    ] {
        let (server, address) = Server::open(does, Does::Result(gives())).await;
        let probe = rails(&[address]).quote(&call(address)).await;
        assert!(
            matches!(
                probe,
                Err(RailsError::NotDone { .. }
                    | RailsError::BadTerms { .. }
                    | RailsError::TimedOut { .. })
            ),
            "{probe:?}"
        );
        assert!(server.payments().is_empty());
    }
}

#[tokio::test]
async fn without_a_session_nothing_is_called() {
    let json = "application/json";
    for opens in [
        Does::Error(json!({"code": -32022, "message": "unsupported protocol version"})),
        Does::Result(json!({"protocolVersion": "2024-11-05"})),
        Does::Result(json!({})),
        Does::Http(302, json, String::new()),
        Does::Http(405, json, String::new()),
        Does::Endless,
    ] {
        let (server, address) =
            Server::opening(opens, Does::Result(asks()), Does::Result(gives())).await;
        let probe = rails(&[address]).quote(&call(address)).await;
        assert!(matches!(probe, Err(RailsError::NotDone { .. })), "{probe:?}");
        assert_eq!(server.said(), ["initialize"]);
    }
}

#[tokio::test]
async fn whatever_is_not_plain_after_paying_is_unclear_or_a_rejection() {
    let json = "application/json";
    let again = outcome_of(Does::Result(asks())).await;
    let Outcome::Rejected { error, .. } = again else { panic!("{again:?}") };
    assert_eq!(error, "Payment required");
    let outcome = outcome_of(Does::Http(402, json, "{}".into())).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");

    let mut pending = asks();
    pending["structuredContent"]["x402/payment-response"] =
        json!({"success": false, "errorReason": "settlement_pending"});
    let mut failed = gives();
    failed["_meta"]["x402/payment-response"]["success"] = false.into();
    let mut paid_and_asks = asks();
    paid_and_asks["_meta"] = gives()["_meta"].clone();
    for does in [
        Does::Result(pending),
        Does::Result(failed),
        Does::Result(paid_and_asks),
        Does::Result(json!({"content": [], "isError": true})),
        Does::Result(json!([])),
        Does::Error(json!({"code": -32603, "message": "internal"})),
        Does::Http(200, json, "half".into()),
        Does::Http(200, json, "x".repeat(2 << 20)),
        Does::Http(307, json, String::new()),
        Does::Http(500, json, "{}".into()),
        Does::Endless,
    ] {
        let outcome = outcome_of(does).await;
        assert!(matches!(&outcome, Outcome::Unclear { sent: true, .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_signature_that_is_not_for_this_call_is_not_sent() {
    let (server, address) = Server::open(Does::Result(asks()), Does::Result(gives())).await;
    let quote = quoted(address).await;
    let url = format!("http://{address}/mcp");
    let mut dearer = signed(&quote);
    dearer.authorization.value = "10001".parse().expect("units");
    for (request, payload) in [
        (Request::call(&url, "rates", "{}").expect("a call"), signed(&quote)),
        (Request::call(&url, "other", r#"{"week": 47}"#).expect("a call"), signed(&quote)),
        (call(address), dearer),
    ] {
        let outcome = rails(&[address]).deliver(&request, &quote, &payload).await;
        assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    }
    // Nor to a server that has gone, or may not be reached.
    let outcome = rails(&[]).deliver(&call(address), &quote, &signed(&quote)).await;
    assert!(matches!(outcome, Outcome::Unclear { sent: false, .. }), "{outcome:?}");
    let gone = "127.0.0.1:1".parse().expect("an address");
    let probe = rails(&[gone]).quote(&call(gone)).await;
    assert!(matches!(probe, Err(RailsError::Unreachable { .. })), "{probe:?}");
    assert!(server.payments().is_empty());
    let probe = rails(&[]).quote(&call(address)).await;
    assert!(matches!(probe, Err(RailsError::AddressRefused { .. })), "{probe:?}");
}
