//! The way in for agents that speak MCP on standard input and output: a bridge to the running
//! desk. It holds one agent's token and nothing else; every rule is applied in the desk.

use crate::error::DoorError;
use crate::mcp::McpDoor;
use crate::problem::Problem;
use crate::teller::{Failure, FailureCode, Teller};
use crate::token::Token;
use crate::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, PaymentsPage, QuoteAnswer,
    TransferRequest,
};
use async_trait::async_trait;
use bytes::BytesMut;
use imprest_domain::PaymentId;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use rmcp::service::{QuitReason, ServerInitializeError, ServiceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Host, Url};

/// How long connecting to this very machine may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole call may take: the longest wait an agent may ask for, and the payee's time.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);
/// Shorter than the door keeps an idle connection, so that a dead one is not used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer of the desk that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

type Locate = dyn Fn() -> Option<Url> + Send + Sync;

/// A [`Teller`] that asks a running desk over its HTTP API, for one agent.
#[derive(Clone)]
pub struct HttpTeller {
    client: Client,
    authorization: HeaderValue,
    locate: Arc<Locate>,
}

impl HttpTeller {
    /// Makes a teller for the desk at a fixed loopback address, such as `http://127.0.0.1:4040`.
    ///
    /// # Errors
    /// [`DoorError::NotADesk`] for an address that is not `http` on this machine, and
    /// [`DoorError::Client`] when no HTTP client can be made.
    pub fn new(url: &str, token: &Token) -> Result<HttpTeller, DoorError> {
        let not_a_desk = || DoorError::NotADesk { url: url.chars().take(200).collect() };
        let url = Url::parse(url).ok().filter(is_loopback).ok_or_else(not_a_desk)?;
        HttpTeller::located(move || Some(url.clone()), token)
    }

    /// Makes a teller that looks up the desk's address for each call, so that it finds a desk
    /// that was started later or again on another port.
    ///
    /// # Errors
    /// [`DoorError::Client`] when no HTTP client can be made.
    pub fn located(
        locate: impl Fn() -> Option<Url> + Send + Sync + 'static,
        token: &Token,
    ) -> Result<HttpTeller, DoorError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| DoorError::MalformedToken)?;
        authorization.set_sensitive(true);
        // No proxy, no redirect and no name lookup: the token goes to this machine or nowhere.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .tls_certs_only(std::iter::empty())
            .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(DoorError::Client)?;
        Ok(HttpTeller { client, authorization, locate: Arc::new(locate) })
    }

    fn at(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = (self.locate)().filter(is_loopback).ok_or_else(no_desk)?;
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut().map_err(|()| no_desk())?.clear().push("v1").extend(path);
        Ok(url)
    }

    async fn get<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<A, Failure> {
        let mut url = self.at(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(self.client.get(url)).await
    }

    async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Q,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(body).map_err(|_| not_understood())?;
        let request = self.client.post(self.at(path)?);
        self.ask(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    async fn ask<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, Failure> {
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let response = request.send().await.map_err(|error| unreachable_desk(&error))?;
        let status = response.status();
        let body = read(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| not_understood());
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(|_| not_understood())?;
        Err(problem.into())
    }
}

async fn read(mut response: Response) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable_desk(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(not_understood());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_loopback(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    local && url.scheme() == "http" && url.username().is_empty() && url.password().is_none()
}

fn no_desk() -> Failure {
    Failure::new(
        FailureCode::Unavailable,
        "No desk is running, so nothing was paid.",
        "Ask the owner to start the desk: open Imprest, or run `imprest serve`.",
    )
}

fn unreachable_desk(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        return no_desk();
    }
    Failure::new(
        FailureCode::Unavailable,
        "The desk was reached but did not answer, so it is unclear what became of the request.",
        "Repeat it with the same idempotency_key, or look at your payments before buying again.",
    )
}

fn not_understood() -> Failure {
    Failure::new(
        FailureCode::Unavailable,
        "What answered at the desk's address did not answer as a desk does.",
        "Ask the owner to check that the desk is running and is as new as this bridge.",
    )
}

#[async_trait]
impl Teller for HttpTeller {
    type Caller = ();

    async fn fetch(&self, _caller: &(), request: FetchRequest) -> Result<FetchAnswer, Failure> {
        self.post(&["fetch"], &request).await
    }

    async fn call_tool(&self, _caller: &(), request: CallRequest) -> Result<FetchAnswer, Failure> {
        self.post(&["tools", "call"], &request).await
    }

    async fn quote(&self, _caller: &(), request: FetchRequest) -> Result<QuoteAnswer, Failure> {
        self.post(&["quote"], &request).await
    }

    async fn transfer(
        &self,
        _caller: &(),
        request: TransferRequest,
    ) -> Result<FetchAnswer, Failure> {
        self.post(&["transfers"], &request).await
    }

    async fn payment(
        &self,
        _caller: &(),
        id: PaymentId,
        wait_ms: u64,
    ) -> Result<FetchAnswer, Failure> {
        self.get(&["payments", id.as_str()], &[("wait_ms", &wait_ms.to_string())]).await
    }

    async fn payments(
        &self,
        _caller: &(),
        cursor: Option<String>,
    ) -> Result<PaymentsPage, Failure> {
        let query: Vec<(&str, &str)> = cursor.iter().map(|at| ("cursor", at.as_str())).collect();
        self.get(&["payments"], &query).await
    }

    async fn budget(&self, _caller: &()) -> Result<BudgetAnswer, Failure> {
        self.get(&["budget"], &[]).await
    }
}

/// Serves MCP on standard input and output until the input ends.
///
/// A desk that cannot be reached is a tool's answer, not the bridge's end: the bridge stays up
/// and finds the desk when it is started.
///
/// # Errors
/// [`DoorError::Conversation`] when the other side does not speak MCP.
pub async fn stdio_bridge(teller: HttpTeller) -> Result<(), DoorError> {
    let (input, output) = rmcp::transport::stdio();
    bridge(teller, input, output).await
}

/// Serves MCP on any pair of streams, one JSON-RPC message a line, until the input ends.
///
/// # Errors
/// [`DoorError::Conversation`] when the other side does not speak MCP.
pub async fn bridge<T, I, O>(teller: T, input: I, output: O) -> Result<(), DoorError>
where
    T: Teller<Caller = ()>,
    I: AsyncRead + Send + Unpin + 'static,
    O: AsyncWrite + Send + Unpin + 'static,
{
    let broke = |reason: String| DoorError::Conversation { reason };
    let door = McpDoor::over_stdio(Arc::new(teller));
    let running = match door.serve((input, output)).await {
        Ok(running) => running,
        // The client went away before it said anything; there is nothing to complain about.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(broke(error.to_string())),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(broke(error.to_string())),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::generate().expect("the system has randomness")
    }

    #[test]
    fn only_this_machine_is_a_desk() {
        for good in ["http://127.0.0.1:4040", "http://localhost:4040/", "http://[::1]:4040"] {
            HttpTeller::new(good, &token()).map(drop).expect(good);
        }
        for bad in [
            "",
            "127.0.0.1:4040",
            "https://127.0.0.1:4040",
            "http://10.0.0.1:4040",
            "http://example.com",
            "http://localhost.example.com",
            "http://u:p@127.0.0.1:4040",
            "http://0.0.0.0:4040",
            "file:///tmp/desk",
        ] {
            let error = HttpTeller::new(bad, &token()).map(drop);
            assert!(matches!(error, Err(DoorError::NotADesk { .. })), "{bad} was accepted");
        }
    }

    #[tokio::test]
    async fn a_missing_desk_says_what_to_do() {
        let nowhere = HttpTeller::located(|| None, &token()).expect("a client");
        let failure = nowhere.budget(&()).await.expect_err("there is no desk");
        assert_eq!(failure.code, FailureCode::Unavailable);
        assert!(failure.recovery.contains("imprest serve"));
    }

    #[tokio::test]
    async fn the_token_is_not_sent_to_another_machine() {
        let url = Url::parse("http://192.0.2.1:4040").expect("an address");
        let elsewhere = HttpTeller::located(move || Some(url.clone()), &token());
        let failure = elsewhere.expect("a client").budget(&()).await.expect_err("not a desk");
        assert_eq!(failure.code, FailureCode::Unavailable);
    }
}
