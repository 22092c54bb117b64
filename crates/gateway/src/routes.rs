//! The HTTP API: thin handlers that parse strictly, ask the teller and answer.

use crate::bounds::{
    MAX_BODY_BYTES, bad_request, check_cursor, check_wait, parse_json, parse_payment,
};
use crate::lock::{Lock, OPENAPI_PATH, check, nowhere};
use crate::mcp;
use crate::openapi::openapi_document;
use crate::problem::TurnedAway;
use crate::teller::{Doorkeeper, Failure, FailureCode, Teller};
use crate::turnstile::{Admission, Place};
use crate::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, PaymentsPage, QuoteAnswer,
    TransferRequest,
};
use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, post_service};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use imprest_domain::AgentId;
use rmcp::handler::server::ServerHandler;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

type Answer<A> = Result<Json<A>, TurnedAway>;
type Caller = Extension<Admission<AgentId>>;

/// Everything behind the door, the lock included; `mcp` is what answers MCP.
pub(crate) fn router<T, D, H>(
    teller: Arc<T>,
    lock: Arc<Lock<D>>,
    mcp: H,
    stop: CancellationToken,
) -> Router
where
    T: Teller<Caller = AgentId>,
    D: Doorkeeper,
    H: ServerHandler + Clone,
{
    let mcp = mcp::http(mcp, lock.authorities(), stop);
    Router::new()
        .route("/v1/fetch", post(fetch::<T>))
        .route("/v1/tools/call", post(call_tool::<T>))
        .route("/v1/quote", post(quote::<T>))
        .route("/v1/transfers", post(transfer::<T>))
        .route("/v1/payments", get(payments::<T>))
        .route("/v1/payments/{id}", get(payment::<T>))
        .route("/v1/budget", get(budget::<T>))
        .route(OPENAPI_PATH, get(async || Json(openapi_document())))
        .route("/mcp", post_service(mcp).layer(middleware::from_fn(as_json_rpc)))
        .fallback(async || TurnedAway::from(nowhere()))
        .with_state(teller)
        .layer(middleware::from_fn_with_state(lock, check::<D>))
}

/// Answers what is no JSON-RPC message as JSON-RPC 2.0 §5.1 has it, under 400 as MCP does (2026-07-28,
/// streamable HTTP). The transport takes it for another media type, which the lock has ruled out.
async fn as_json_rpc(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return TurnedAway::from(bad_request("the body broke off")).into_response();
    };
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return response;
    }
    let (code, message) = match is_json {
        true => (-32_600, "This is no message of MCP."),
        false => (-32_700, "This is no JSON."),
    };
    let error = json!({ "code": code, "message": message });
    let answer = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}

/// Runs a teller's work to its end, even when the asker hangs up: a payment is never dropped
/// half-way because a client lost patience. The place stays taken until then.
pub(crate) async fn to_its_end<A: Send + 'static>(
    place: Option<Place>,
    work: impl Future<Output = Result<A, Failure>> + Send + 'static,
) -> Result<A, Failure> {
    let running = tokio::spawn(async move {
        let answer = work.await;
        drop(place);
        answer
    });
    running.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an agent's request did not run to its end");
        Err(Failure::new(
            FailureCode::Internal,
            "The desk failed while it dealt with the request.",
            "Ask for your payments before trying again: one may have been made.",
        ))
    })
}

async fn fetch<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(Admission { caller, place }): Caller,
    body: Bytes,
) -> Answer<FetchAnswer> {
    let request: FetchRequest = parse_json(&body)?;
    request.check()?;
    let work = async move { teller.fetch(&caller, request).await };
    Ok(Json(to_its_end(place, work).await?))
}

async fn call_tool<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(Admission { caller, place }): Caller,
    body: Bytes,
) -> Answer<FetchAnswer> {
    let request: CallRequest = parse_json(&body)?;
    request.check()?;
    let work = async move { teller.call_tool(&caller, request).await };
    Ok(Json(to_its_end(place, work).await?))
}

async fn quote<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(admission): Caller,
    body: Bytes,
) -> Answer<QuoteAnswer> {
    let request: FetchRequest = parse_json(&body)?;
    request.check()?;
    Ok(Json(teller.quote(&admission.caller, request).await?))
}

async fn transfer<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(Admission { caller, place }): Caller,
    body: Bytes,
) -> Answer<FetchAnswer> {
    let request: TransferRequest = parse_json(&body)?;
    request.check()?;
    let work = async move { teller.transfer(&caller, request).await };
    Ok(Json(to_its_end(place, work).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentQuery {
    #[serde(default)]
    wait_ms: u64,
}

async fn payment<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(admission): Caller,
    Path(id): Path<String>,
    query: Result<Query<PaymentQuery>, QueryRejection>,
) -> Answer<FetchAnswer> {
    let id = parse_payment(&id)?;
    let Query(query) = query.map_err(bad_query)?;
    let wait_ms = check_wait(query.wait_ms)?;
    Ok(Json(teller.payment(&admission.caller, id, wait_ms).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentsQuery {
    cursor: Option<String>,
}

async fn payments<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(admission): Caller,
    query: Result<Query<PaymentsQuery>, QueryRejection>,
) -> Answer<PaymentsPage> {
    let Query(query) = query.map_err(bad_query)?;
    let cursor = check_cursor(query.cursor)?;
    Ok(Json(teller.payments(&admission.caller, cursor).await?))
}

async fn budget<T: Teller<Caller = AgentId>>(
    State(teller): State<Arc<T>>,
    Extension(admission): Caller,
) -> Answer<BudgetAnswer> {
    Ok(Json(teller.budget(&admission.caller).await?))
}

fn bad_query(rejection: QueryRejection) -> Failure {
    bad_request(rejection.body_text())
}
