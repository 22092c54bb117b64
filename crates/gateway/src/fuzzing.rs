//! What fuzzing feeds (`crates/fuzz`, and libFuzzer in `fuzz/`); not for use.
//!
//! Each takes any bytes as an agent may send them for a body, puts them through the whole door but
//! for its listener (lock, routes, MCP), must not make it fail, checks what must hold of whatever
//! reaches the desk, and answers whether the request was dealt with.

use crate::bounds::{MAX_BODY_BYTES, MAX_WAIT_MS};
use crate::lock::Lock;
use crate::mcp::McpDoor;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::routes::router;
use crate::teller::{Doorkeeper, Failure, FailureCode, Teller};
use crate::token::Token;
use crate::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, FetchStatus, PaymentsPage, QuoteAnswer,
    TransferRequest,
};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use imprest_domain::{AgentId, PaymentId};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Where the door would listen.
const DOOR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4020);

/// The body of a fetch, and as it stands that of a quote.
pub fn fetch_body(json: &[u8]) -> bool {
    let fetched = post("/v1/fetch", json).is_some();
    assert_eq!(post("/v1/quote", json).is_some(), fetched, "one of the two is stricter");
    fetched
}

/// The body of a transfer.
pub fn transfer_body(json: &[u8]) -> bool {
    post("/v1/transfers", json).is_some()
}

/// A JSON-RPC message to the MCP server.
pub fn json_rpc(json: &[u8]) -> bool {
    let Some(answer) = post("/mcp", json) else { return false };
    let Some(message) = answer else { return true };
    assert_eq!(message["jsonrpc"], "2.0", "{message}");
    assert!(message["result"].is_null() != message["error"].is_null(), "{message}");
    // A fault of ours, by JSON-RPC 2.0 §5.1.
    assert!(message["error"]["code"] != -32_603, "{message}");
    let text = message["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(!text.contains(r#""code":"internal""#), "{message}");
    message["error"].is_null() && message["result"]["isError"] != true
}

/// Posts a body; answers with what the answer's body says if the request was dealt with.
fn post(path: &str, body: &[u8]) -> Option<Option<Value>> {
    static BEHIND: LazyLock<Option<(Runtime, Router, Token)>> = LazyLock::new(behind);
    let (runtime, router, token) = BEHIND.as_ref()?;
    let request = Request::post(path)
        .header(HOST, DOOR.to_string())
        .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(Body::from(body.to_vec()))
        .ok()?;
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.ok()?;
        let (parts, body) = response.into_parts();
        assert!(!parts.status.is_server_error(), "{path} answers {}", parts.status);
        let body = to_bytes(body, MAX_BODY_BYTES).await.ok()?;
        let is = |kind: &str| parts.headers.get(CONTENT_TYPE).is_some_and(|found| found == kind);
        if is(PROBLEM_JSON) {
            let problem: Problem = serde_json::from_slice(&body).ok()?;
            assert_eq!(problem.status, parts.status.as_u16());
            assert!(problem.detail.chars().count() < 300, "it repeats too much");
        } else if path != "/mcp" {
            assert_eq!(parts.status, StatusCode::OK, "{path} answers without a problem");
        }
        let said = || serde_json::from_slice(&body).ok();
        parts.status.is_success().then(|| said().filter(|_| is("application/json")))
    })
}

/// Everything behind the listener, or nothing where the system gives no threads or no randomness.
fn behind() -> Option<(Runtime, Router, Token)> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().ok()?;
    let lock = Arc::new(Lock::new(Arc::new(Crowd::default()), DOOR));
    let teller = Arc::new(Strict);
    let mcp = McpDoor::over_http(teller.clone());
    let router = router(teller, lock, mcp, CancellationToken::new());
    Some((runtime, router, Token::generate().ok()?))
}

/// Takes each request for another agent's, so that nobody has to wait.
#[derive(Default)]
struct Crowd(AtomicU64);

#[async_trait]
impl Doorkeeper for Crowd {
    async fn recognise(&self, _token: &str) -> Result<Option<AgentId>, Failure> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(AgentId::from_tail(&number.to_string()).ok())
    }

    async fn used_from(&self, _agent: &AgentId, _place: &str) {}
}

/// Does nothing, and fails when what reaches it is not as the desk may expect it.
struct Strict;

impl Strict {
    fn expect(request: &FetchRequest) {
        let url = url::Url::parse(&request.url).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        assert!(url.username().is_empty() && url.password().is_none());
        assert!(request.url.len() <= 8 * 1024 && request.headers.len() <= 64);
        for (name, value) in &request.headers {
            assert!(!name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            assert!(!value.contains(['\r', '\n', '\0']), "a header goes on in a new line");
        }
        assert!(request.body.is_none() || request.body_base64.is_none());
        assert!(request.wait_ms.unwrap_or_default() <= MAX_WAIT_MS);
        Strict::short(request.purpose.as_deref(), 2_000);
        Strict::short(request.max_amount.as_deref(), 100);
        Strict::short(request.idempotency_key.as_deref(), 256);
        Strict::short(request.task.as_deref(), 256);
    }

    fn short(text: Option<&str>, bytes_max: usize) {
        assert!(text.is_none_or(|text| text.len() <= bytes_max), "a text of any length");
    }

    fn free() -> FetchAnswer {
        FetchAnswer {
            status: FetchStatus::Free,
            payment: None,
            verdict: None,
            response: None,
            result: None,
            receipt: None,
            note: None,
        }
    }

    fn nothing() -> Failure {
        Failure::new(FailureCode::NotFound, "There is nothing.", "Ask for something else.")
    }
}

#[async_trait]
impl Teller for Strict {
    type Caller = AgentId;

    async fn fetch(&self, _: &AgentId, request: FetchRequest) -> Result<FetchAnswer, Failure> {
        Strict::expect(&request);
        Ok(Strict::free())
    }

    async fn quote(&self, _: &AgentId, request: FetchRequest) -> Result<QuoteAnswer, Failure> {
        Strict::expect(&request);
        let (amount, origin, pay_to, description) = (None, None, None, None);
        let (verdict, note) = (None, None);
        Ok(QuoteAnswer { free: true, amount, origin, pay_to, description, verdict, note })
    }

    async fn call_tool(&self, _: &AgentId, request: CallRequest) -> Result<FetchAnswer, Failure> {
        let url = url::Url::parse(&request.server).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        assert!(url.username().is_empty() && url.password().is_none());
        assert!(!request.tool.is_empty());
        Strict::short(Some(&request.server), 8 * 1024);
        Strict::short(Some(&request.tool), 256);
        Strict::short(request.purpose.as_deref(), 2_000);
        Strict::short(request.max_amount.as_deref(), 100);
        Strict::short(request.idempotency_key.as_deref(), 256);
        Strict::short(request.task.as_deref(), 256);
        assert!(request.wait_ms.unwrap_or_default() <= MAX_WAIT_MS);
        Ok(Strict::free())
    }

    async fn transfer(
        &self,
        _: &AgentId,
        request: TransferRequest,
    ) -> Result<FetchAnswer, Failure> {
        assert!(imprest_domain::read_address(&request.to).is_ok());
        assert!(!request.idempotency_key.is_empty());
        Strict::short(Some(&request.idempotency_key), 256);
        Strict::short(Some(&request.amount), 100);
        Strict::short(request.asset.as_deref(), 256);
        Strict::short(request.purpose.as_deref(), 2_000);
        assert!(request.wait_ms.unwrap_or_default() <= MAX_WAIT_MS);
        Ok(Strict::free())
    }

    async fn payment(
        &self,
        _: &AgentId,
        id: PaymentId,
        wait_ms: u64,
    ) -> Result<FetchAnswer, Failure> {
        assert!(
            id.as_str().starts_with("pay_") && id.as_str().len() <= 68 && wait_ms <= MAX_WAIT_MS
        );
        Ok(Strict::free())
    }

    async fn payments(&self, _: &AgentId, cursor: Option<String>) -> Result<PaymentsPage, Failure> {
        Strict::short(cursor.as_deref(), 256);
        Ok(PaymentsPage { payments: Vec::new(), next_cursor: None })
    }

    async fn budget(&self, _: &AgentId) -> Result<BudgetAnswer, Failure> {
        Err(Strict::nothing())
    }
}
