//! The one interface behind the door: what an agent, once known, can ask of the desk.

use crate::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, PaymentsPage, QuoteAnswer,
    TransferRequest,
};
use async_trait::async_trait;
use imprest_domain::{AgentId, PaymentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A failure, as opposed to a refusal: the request could not be dealt with at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} {recovery}")]
pub struct Failure {
    /// What kind; a closed set that callers branch on.
    pub code: FailureCode,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do about it, in one sentence.
    pub recovery: String,
}

impl Failure {
    /// A failure with its two sentences.
    pub fn new(
        code: FailureCode,
        message: impl Into<String>,
        recovery: impl Into<String>,
    ) -> Failure {
        Failure { code, message: message.into(), recovery: recovery.into() }
    }
}

/// The kinds of failure, with their HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: no such credential, or revoked.
    Unauthorized,
    /// 403: the request came through a web page or under another host name.
    Forbidden,
    /// 404: no such payment of yours, or no such address here.
    NotFound,
    /// 405: this address takes another HTTP method.
    WrongMethod,
    /// 408: the request did not arrive in time.
    TooSlow,
    /// 409: the idempotency key was used for another request.
    KeyReused,
    /// 413: the request is larger than the desk reads.
    TooLarge,
    /// 415: the request body is not declared as JSON.
    NotJson,
    /// 423: the vault is locked; the owner has to unlock it.
    Locked,
    /// 429: too many requests of one agent.
    RateLimited,
    /// 500: a fault of ours.
    Internal,
    /// 502: the payee could not be reached or answered nonsense.
    PayeeFailed,
    /// 503: the desk cannot work now (no disk, no chain).
    Unavailable,
}

impl FailureCode {
    /// All kinds.
    pub const ALL: [FailureCode; 14] = [
        FailureCode::BadRequest,
        FailureCode::Unauthorized,
        FailureCode::Forbidden,
        FailureCode::NotFound,
        FailureCode::WrongMethod,
        FailureCode::TooSlow,
        FailureCode::KeyReused,
        FailureCode::TooLarge,
        FailureCode::NotJson,
        FailureCode::Locked,
        FailureCode::RateLimited,
        FailureCode::Internal,
        FailureCode::PayeeFailed,
        FailureCode::Unavailable,
    ];

    /// The word sent in `code`.
    pub fn word(self) -> &'static str {
        match self {
            FailureCode::BadRequest => "bad_request",
            FailureCode::Unauthorized => "unauthorized",
            FailureCode::Forbidden => "forbidden",
            FailureCode::NotFound => "not_found",
            FailureCode::WrongMethod => "wrong_method",
            FailureCode::TooSlow => "too_slow",
            FailureCode::KeyReused => "key_reused",
            FailureCode::TooLarge => "too_large",
            FailureCode::NotJson => "not_json",
            FailureCode::Locked => "locked",
            FailureCode::RateLimited => "rate_limited",
            FailureCode::Internal => "internal",
            FailureCode::PayeeFailed => "payee_failed",
            FailureCode::Unavailable => "unavailable",
        }
    }

    /// The HTTP status it travels with.
    pub fn status(self) -> u16 {
        match self {
            FailureCode::BadRequest => 400,
            FailureCode::Unauthorized => 401,
            FailureCode::Forbidden => 403,
            FailureCode::NotFound => 404,
            FailureCode::WrongMethod => 405,
            FailureCode::TooSlow => 408,
            FailureCode::KeyReused => 409,
            FailureCode::TooLarge => 413,
            FailureCode::NotJson => 415,
            FailureCode::Locked => 423,
            FailureCode::RateLimited => 429,
            FailureCode::Internal => 500,
            FailureCode::PayeeFailed => 502,
            FailureCode::Unavailable => 503,
        }
    }

    /// The short title of its kind, the same for every occurrence (RFC 9457 §3.1.3).
    pub fn title(self) -> &'static str {
        match self {
            FailureCode::BadRequest => "The request is malformed",
            FailureCode::Unauthorized => "Unknown credential",
            FailureCode::Forbidden => "Not allowed from here",
            FailureCode::NotFound => "Not found",
            FailureCode::WrongMethod => "Wrong method",
            FailureCode::TooSlow => "Too slow",
            FailureCode::KeyReused => "Idempotency key reused",
            FailureCode::TooLarge => "Too large",
            FailureCode::NotJson => "Not JSON",
            FailureCode::Locked => "The desk is locked",
            FailureCode::RateLimited => "Too many requests",
            FailureCode::Internal => "Fault of the desk",
            FailureCode::PayeeFailed => "The payee failed",
            FailureCode::Unavailable => "The desk cannot work now",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the desk does for an agent that the door has recognised.
///
/// Two implementations exist: the desk itself, and [`crate::HttpTeller`], which asks a running
/// desk over HTTP on behalf of the stdio bridge. `Caller` is how each knows who asks: the agent's
/// identity in the desk, nothing at all in the bridge (its token travels with each request).
#[async_trait]
pub trait Teller: Send + Sync + 'static {
    /// Who asks.
    type Caller: Clone + Send + Sync + 'static;

    /// Fetches, paying if need be and if the rules allow.
    async fn fetch(
        &self,
        caller: &Self::Caller,
        request: FetchRequest,
    ) -> Result<FetchAnswer, Failure>;

    /// Calls a tool of an MCP server, paying if need be and if the rules allow.
    async fn call_tool(
        &self,
        caller: &Self::Caller,
        request: CallRequest,
    ) -> Result<FetchAnswer, Failure>;

    /// Says what a fetch would cost and what the rules would say; pays nothing, records nothing.
    async fn quote(
        &self,
        caller: &Self::Caller,
        request: FetchRequest,
    ) -> Result<QuoteAnswer, Failure>;

    /// Sends money to an address, if the rules allow.
    async fn transfer(
        &self,
        caller: &Self::Caller,
        request: TransferRequest,
    ) -> Result<FetchAnswer, Failure>;

    /// What became of one of the caller's own payments, waiting up to `wait_ms` for an end.
    async fn payment(
        &self,
        caller: &Self::Caller,
        id: PaymentId,
        wait_ms: u64,
    ) -> Result<FetchAnswer, Failure>;

    /// The caller's own payments, newest first, at most 100 a page.
    async fn payments(
        &self,
        caller: &Self::Caller,
        cursor: Option<String>,
    ) -> Result<PaymentsPage, Failure>;

    /// The caller's own budget.
    async fn budget(&self, caller: &Self::Caller) -> Result<BudgetAnswer, Failure>;
}

/// Recognises credentials. The scopes of an agent come from the desk's record, never from the
/// caller.
#[async_trait]
pub trait Doorkeeper: Send + Sync + 'static {
    /// Finds the agent that a bearer token belongs to; nothing for unknown, revoked or malformed
    /// tokens alike.
    async fn recognise(&self, token: &str) -> Result<Option<AgentId>, Failure>;

    /// Hears where an agent's credential is used from, such as “user 1000”, before anything is
    /// done for it; not called where the system cannot tell.
    async fn used_from(&self, agent: &AgentId, place: &str);
}
