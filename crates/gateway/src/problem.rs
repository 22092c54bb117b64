//! Failures on the wire: problem details (RFC 9457) with a closed set of codes.

use crate::teller::{Failure, FailureCode};
use axum::http::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of problem details (RFC 9457 §3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The body of every failed request, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:imprest:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short title of the kind.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What happened, in one sentence.
    pub detail: String,
    /// The kind; branch on this.
    pub code: FailureCode,
    /// What to do about it, in one sentence.
    pub recovery: String,
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Problem {
        Problem {
            kind: format!("urn:imprest:problem:{}", failure.code),
            title: failure.code.title().to_owned(),
            status: failure.code.status(),
            detail: failure.message.clone(),
            code: failure.code,
            recovery: failure.recovery.clone(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::new(problem.code, problem.detail, problem.recovery)
    }
}

/// A failure on its way out, with what the status has to say in a header.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    failure: Failure,
    hint: Option<Hint>,
}

/// What some statuses say in a header of their own.
#[derive(Debug, Clone, Copy)]
enum Hint {
    /// How to authenticate, for 401.
    Bearer,
    /// The methods an address takes, for 405 (RFC 9110 §15.5.6).
    Allow(&'static str),
    /// When to come again, in whole seconds, for 429.
    RetryAfter(u64),
}

impl Hint {
    fn header(self) -> (HeaderName, HeaderValue) {
        match self {
            Hint::Bearer => (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Hint::Allow(methods) => (ALLOW, HeaderValue::from_static(methods)),
            Hint::RetryAfter(wait_s) => (RETRY_AFTER, HeaderValue::from(wait_s)),
        }
    }
}

impl TurnedAway {
    /// Names the methods that the address takes.
    pub(crate) fn allowing(failure: Failure, methods: &'static str) -> TurnedAway {
        TurnedAway { failure, hint: Some(Hint::Allow(methods)) }
    }

    /// Says when to come again, in whole seconds.
    pub(crate) fn retry_after(failure: Failure, wait_s: u64) -> TurnedAway {
        TurnedAway { failure, hint: Some(Hint::RetryAfter(wait_s)) }
    }
}

impl From<Failure> for TurnedAway {
    fn from(failure: Failure) -> TurnedAway {
        let hint = (failure.code == FailureCode::Unauthorized).then_some(Hint::Bearer);
        TurnedAway { failure, hint }
    }
}

impl IntoResponse for TurnedAway {
    fn into_response(self) -> Response<axum::body::Body> {
        let status = StatusCode::from_u16(self.failure.code.status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::Json(Problem::from(&self.failure));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some((name, value)) = self.hint.map(Hint::header) {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_travels_there_and_back() {
        for code in FailureCode::ALL {
            let failure = Failure::new(code, "It happened.", "Do this.");
            let problem = Problem::from(&failure);
            assert_eq!(problem.kind, format!("urn:imprest:problem:{}", code.word()));
            assert_eq!(problem.status, code.status());
            let json = serde_json::to_value(&problem).expect("a problem is JSON");
            assert_eq!(json["code"], code.word());
            let read: Problem = serde_json::from_value(json).expect("and is read back");
            assert_eq!(Failure::from(read), failure);
        }
    }
}
