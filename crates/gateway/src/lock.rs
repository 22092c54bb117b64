//! The lock on the door: every request passes it before anything else looks at the request.
//!
//! The order is the point. Host and origin first, so that a web page learns nothing, not even
//! whether a token is good. The token next, so that a stranger cannot tell which addresses exist.
//! Then fairness, and only then the address, the method and the body.

use crate::bounds::{MAX_BODY_BYTES, bad_request};
use crate::peer::Peer;
use crate::problem::TurnedAway;
use crate::teller::{Doorkeeper, Failure, FailureCode};
use crate::token::Token;
use crate::turnstile::{Admission, Full, Turnstile};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use imprest_domain::AgentId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The one address that needs no token.
pub(crate) const OPENAPI_PATH: &str = "/v1/openapi.json";
/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Only browsers send it and no script can take it away (Fetch Metadata, W3C).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What an address takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    method: &'static str,
    query: bool,
}

/// Every address behind the door; axum's routes are the same list with their handlers.
fn place(path: &str) -> Option<Place> {
    let (method, query) = match path {
        "/v1/fetch" | "/v1/tools/call" | "/v1/quote" | "/v1/transfers" | "/mcp" => ("POST", false),
        "/v1/budget" | OPENAPI_PATH => ("GET", false),
        "/v1/payments" => ("GET", true),
        _ => {
            let id = path.strip_prefix("/v1/payments/")?;
            if id.is_empty() || id.contains('/') {
                return None;
            }
            ("GET", true)
        }
    };
    Some(Place { method, query })
}

/// What the lock needs to know.
pub(crate) struct Lock<D> {
    doorkeeper: Arc<D>,
    /// The exact `Host` values that mean this door.
    authorities: [String; 2],
    turnstile: Turnstile,
}

impl<D: Doorkeeper> Lock<D> {
    pub(crate) fn new(doorkeeper: Arc<D>, local_addr: SocketAddr) -> Lock<D> {
        let authorities = [local_addr.to_string(), format!("localhost:{}", local_addr.port())];
        Lock { doorkeeper, authorities, turnstile: Turnstile::default() }
    }

    /// The exact `Host` values that mean this door.
    pub(crate) fn authorities(&self) -> &[String] {
        &self.authorities
    }

    /// Lets a request in, with its agent and its whole body attached.
    async fn admit(&self, mut request: Request) -> Result<Request, TurnedAway> {
        self.check_host(&request)?;
        check_not_a_web_page(request.headers())?;
        if request.uri().path() == OPENAPI_PATH && request.method() == Method::GET {
            check_address(&request)?;
            return Ok(request);
        }
        let agent = self.recognise(request.headers()).await?;
        let place = self.turnstile.enter(&agent, Instant::now()).map_err(|full| wait(&full))?;
        let peer = request.extensions().get::<Peer>().cloned();
        if let Some(peer) = peer
            && let Some(from) = peer.place().await
        {
            self.doorkeeper.used_from(&agent, &from).await;
        }
        check_address(&request)?;
        if request.method() == Method::POST {
            check_json(request.headers())?;
            request = read_body(request, BODY_TIMEOUT).await?;
        }
        request.extensions_mut().insert(Admission { caller: agent, place: Some(place) });
        Ok(request)
    }

    fn check_host(&self, request: &Request) -> Result<(), TurnedAway> {
        let ours = |text: &str| self.authorities.iter().any(|authority| authority == text);
        let named = only(request.headers(), HOST).is_some_and(ours);
        // A request line may carry an authority of its own; both have to be ours.
        let asked = request.uri().authority().is_none_or(|authority| ours(authority.as_str()));
        if named && asked { Ok(()) } else { Err(forbidden("under another host name").into()) }
    }

    async fn recognise(&self, headers: &HeaderMap) -> Result<AgentId, TurnedAway> {
        let token = only(headers, AUTHORIZATION).and_then(bearer).ok_or_else(unknown)?;
        // A malformed token never reaches the record, and fails like an unknown one.
        let token = Token::parse(token).map_err(|_| unknown())?;
        match self.doorkeeper.recognise(token.expose()).await? {
            Some(agent) => Ok(agent),
            None => Err(unknown().into()),
        }
    }
}

/// The middleware on every route and on the fallbacks.
pub(crate) async fn check<D: Doorkeeper>(
    State(lock): State<Arc<Lock<D>>>,
    request: Request,
    next: Next,
) -> Response {
    let has_body = !request.body().is_end_stream();
    let mut response = match lock.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(turned_away) => {
            let mut response = turned_away.into_response();
            if has_body {
                // It was not read to its end, so the connection ends here, and has to say so: the
                // next request on it would be lost (RFC 9112 §9.3 and §9.6).
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A header that occurs exactly once and is text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn check_not_a_web_page(headers: &HeaderMap) -> Result<(), TurnedAway> {
    if headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        return Err(forbidden("from a web page").into());
    }
    Ok(())
}

fn check_address(request: &Request) -> Result<(), TurnedAway> {
    let Some(place) = place(request.uri().path()) else {
        return Err(nowhere().into());
    };
    if request.method().as_str() != place.method {
        let failure = Failure::new(
            FailureCode::WrongMethod,
            format!("This address takes {} only.", place.method),
            format!("Send the request with {}.", place.method),
        );
        return Err(TurnedAway::allowing(failure, place.method));
    }
    if !place.query && request.uri().query().is_some() {
        return Err(bad_request("this address takes no query").into());
    }
    Ok(())
}

fn check_json(headers: &HeaderMap) -> Result<(), TurnedAway> {
    if only(headers, CONTENT_TYPE).is_some_and(is_json) {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::NotJson,
        "The request body is not declared as JSON.",
        "Send it with the header Content-Type: application/json.",
    )
    .into())
}

/// `application/json`, alone or with `charset=utf-8`.
fn is_json(value: &str) -> bool {
    let (essence, parameter) = match value.split_once(';') {
        Some((essence, parameter)) => (essence, Some(parameter.trim())),
        None => (value, None),
    };
    essence.trim().eq_ignore_ascii_case("application/json")
        && parameter.is_none_or(|parameter| {
            parameter.split_once('=').is_some_and(|(name, charset)| {
                name.eq_ignore_ascii_case("charset")
                    && charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

/// Reads the whole body here, once for every route, so that size and time are bounded for all.
async fn read_body(request: Request, timeout: Duration) -> Result<Request, TurnedAway> {
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large().into());
    }
    match tokio::time::timeout(timeout, collect(body)).await {
        Ok(bytes) => Ok(Request::from_parts(parts, Body::from(bytes?))),
        Err(_) => Err(Failure::new(
            FailureCode::TooSlow,
            "The request body did not arrive in time.",
            "Send the request again.",
        )
        .into()),
    }
}

async fn collect(body: Body) -> Result<Bytes, Failure> {
    let mut chunks = body.into_data_stream();
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| bad_request("the body broke off"))?;
        if all.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

fn forbidden(how: &str) -> Failure {
    Failure::new(
        FailureCode::Forbidden,
        format!("The request came {how}, and the desk answers agents on this machine only."),
        "Call the desk directly at the address it gave you, without an Origin header.",
    )
}

fn unknown() -> Failure {
    Failure::new(
        FailureCode::Unauthorized,
        "The desk knows no agent by this credential.",
        "Send “Authorization: Bearer …” with your own token, or ask the owner to rotate it.",
    )
}

/// There is nothing at this address.
pub(crate) fn nowhere() -> Failure {
    Failure::new(
        FailureCode::NotFound,
        "There is nothing at this address.",
        "GET /v1/openapi.json lists every address of the desk.",
    )
}

fn too_large() -> Failure {
    Failure::new(
        FailureCode::TooLarge,
        format!("The request body is larger than {MAX_BODY_BYTES} bytes."),
        "Send a smaller body.",
    )
}

fn wait(full: &Full) -> TurnedAway {
    let (message, wait_s) = match full {
        Full::TooOften { wait_s } => ("You have sent too many requests in a short time.", *wait_s),
        Full::TooManyAtOnce => ("You have too many requests under way at once.", 1),
    };
    let recovery = format!("Wait {wait_s} s and send the request again.");
    TurnedAway::retry_after(Failure::new(FailureCode::RateLimited, message, recovery), wait_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_declared_in_few_ways() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(good), "{good} was refused");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; x=y",
            "application/json, text/plain",
            "text/plain; a=application/json",
            "application/json;",
        ] {
            assert!(!is_json(bad), "{bad} was accepted");
        }
    }

    #[test]
    fn places_are_exact() {
        assert_eq!(place("/v1/fetch"), Some(Place { method: "POST", query: false }));
        assert_eq!(place("/v1/payments/pay_1"), Some(Place { method: "GET", query: true }));
        for nowhere in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/fetch/",
            "/V1/fetch",
            "/v1//fetch",
            "/mcp/",
            "/v1/payments/",
            "/v1/payments/a/b",
            "/v1/%66etch",
            "/v1/transfers/",
            "/v1/transfer",
        ] {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_cut_off() {
        let stalled = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::new(Body::from_stream(stalled));
        let turned_away = read_body(request, Duration::from_millis(20)).await;
        let response = turned_away.expect_err("a stalled body was read").into_response();
        assert_eq!(response.status(), 408);
    }
}
