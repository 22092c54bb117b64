//! What an agent asks to buy: something to fetch, or a tool to call.

use crate::problem::rails_failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use imprest_gateway::wire::{CallRequest, FetchRequest};
use imprest_gateway::{Failure, FailureCode};
use imprest_rails::Request;
use serde::{Deserialize, Serialize};

/// Either, as it is kept while the owner is asked; no document is both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Asked {
    /// Something on the web.
    Fetch(FetchRequest),
    /// A tool of an MCP server.
    Call(CallRequest),
}

impl Asked {
    /// The request that was described, checked strictly.
    pub(crate) fn request(&self) -> Result<Request, Failure> {
        match self {
            Asked::Fetch(fetch) => fetched(fetch),
            Asked::Call(call) => {
                let arguments = serde_json::Value::Object(call.arguments.clone()).to_string();
                Request::call(&call.server, &call.tool, &arguments).map_err(rails_failure)
            }
        }
    }

    pub(crate) fn max_amount(&self) -> Option<&str> {
        match self {
            Asked::Fetch(fetch) => fetch.max_amount.as_deref(),
            Asked::Call(call) => call.max_amount.as_deref(),
        }
    }

    pub(crate) fn purpose(&self) -> Option<&str> {
        match self {
            Asked::Fetch(fetch) => fetch.purpose.as_deref(),
            Asked::Call(call) => call.purpose.as_deref(),
        }
    }

    pub(crate) fn task(&self) -> Option<&str> {
        match self {
            Asked::Fetch(fetch) => fetch.task.as_deref(),
            Asked::Call(call) => call.task.as_deref(),
        }
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Asked::Fetch(fetch) => fetch.idempotency_key.as_deref(),
            Asked::Call(call) => call.idempotency_key.as_deref(),
        }
    }

    pub(crate) fn wait_ms(&self) -> Option<u64> {
        match self {
            Asked::Fetch(fetch) => fetch.wait_ms,
            Asked::Call(call) => call.wait_ms,
        }
    }
}

fn fetched(asked: &FetchRequest) -> Result<Request, Failure> {
    let body = match (&asked.body, &asked.body_base64) {
        (Some(text), None) => Bytes::from(text.clone()),
        (None, Some(text)) => Bytes::from(BASE64.decode(text).map_err(|error| {
            Failure::new(
                FailureCode::BadRequest,
                format!("body_base64 is not base64: {error}."),
                "Encode the body with the standard alphabet and padding.",
            )
        })?),
        (None, None) => Bytes::new(),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                FailureCode::BadRequest,
                "Both body and body_base64 were given.",
                "Give one of them.",
            ));
        }
    };
    let method = asked.method.as_deref().unwrap_or("GET");
    let headers = asked.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    Request::new(method, &asked.url, headers, body).map_err(rails_failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_kept_is_read_as_what_it_was() {
        let fetch = json!({"url": "https://shop.example/a", "purpose": "tea", "wait_ms": 5});
        let call = json!({
            "server": "https://tools.example/mcp", "tool": "weather",
            "arguments": {"city": "Oslo"}, "max_amount": "0.05", "idempotency_key": "k",
        });
        for (document, is_call) in [(fetch, false), (call, true)] {
            let asked: Asked = serde_json::from_value(document.clone()).unwrap();
            assert_eq!(matches!(asked, Asked::Call(_)), is_call);
            assert_eq!(serde_json::to_value(&asked).unwrap(), document);
            let request = asked.request().unwrap();
            assert_eq!(request.tool().is_some(), is_call);
        }
        for bad in [json!({}), json!({"url": "https://a.example/", "tool": "x"}), json!([])] {
            assert!(serde_json::from_value::<Asked>(bad.clone()).is_err(), "{bad}");
        }
    }
}
