//! How large and of what form an agent's request may be; the same for every way in.
//!
//! Nothing here decides about money. It keeps what no honest request contains away from the parts
//! that do.

use crate::teller::{Failure, FailureCode};
use crate::wire::{CallRequest, FetchRequest, TransferRequest};
use imprest_domain::PaymentId;
use url::Url;

/// Largest request body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// Longest wait an agent may ask for, in milliseconds.
pub(crate) const MAX_WAIT_MS: u64 = 60_000;
/// Longest address, in bytes.
const MAX_URL_BYTES: usize = 8 * 1024;
/// Most request headers.
const MAX_HEADERS: usize = 64;
/// Longest header value, in bytes.
const MAX_HEADER_VALUE_BYTES: usize = 8 * 1024;
/// Longest short text (a header's name, a key, a cursor, a task), in bytes.
const MAX_SHORT_BYTES: usize = 256;
/// Longest purpose, in bytes.
const MAX_PURPOSE_BYTES: usize = 2000;
/// Longest decimal amount: more digits than any asset has.
const MAX_AMOUNT_BYTES: usize = 100;
/// Longest part of an agent's own text that a message repeats, in characters.
const MAX_ECHO_CHARS: usize = 200;

/// A malformed request, said plainly; `what` is cut, since it may repeat the agent's own text.
pub(crate) fn bad_request(what: impl AsRef<str>) -> Failure {
    let what: String = what.as_ref().chars().take(MAX_ECHO_CHARS).collect();
    Failure::new(
        FailureCode::BadRequest,
        format!("The request is malformed: {what}."),
        "Correct the request; GET /v1/openapi.json describes its form.",
    )
}

/// Reads JSON strictly: one document of the type, known fields only, nothing behind it.
///
/// # Errors
/// `bad_request` with the reason.
pub(crate) fn parse_json<A: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<A, Failure> {
    serde_json::from_slice(bytes).map_err(|error| bad_request(error.to_string()))
}

/// Reads a payment's identifier.
///
/// # Errors
/// `bad_request` when it has another form.
pub(crate) fn parse_payment(text: &str) -> Result<PaymentId, Failure> {
    text.parse().map_err(|error: imprest_domain::IdError| bad_request(error.to_string()))
}

/// Checks how long an agent wants to wait.
///
/// # Errors
/// `bad_request` above [`MAX_WAIT_MS`].
pub(crate) fn check_wait(wait_ms: u64) -> Result<u64, Failure> {
    if wait_ms > MAX_WAIT_MS {
        return Err(bad_request(format!("wait_ms is {wait_ms} and at most {MAX_WAIT_MS}")));
    }
    Ok(wait_ms)
}

/// Checks where a page should start.
///
/// # Errors
/// `bad_request` when it cannot be one of our cursors.
pub(crate) fn check_cursor(cursor: Option<String>) -> Result<Option<String>, Failure> {
    match &cursor {
        Some(text) => short("cursor", text).map(|()| cursor),
        None => Ok(None),
    }
}

/// One line of printable ASCII, 1 to [`MAX_SHORT_BYTES`] long.
fn short(field: &str, text: &str) -> Result<(), Failure> {
    let fits = (1..=MAX_SHORT_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits {
        Ok(())
    } else {
        Err(bad_request(format!(
            "{field} has to be 1 to {MAX_SHORT_BYTES} printable ASCII characters"
        )))
    }
}

fn at_most(field: &str, text: &str, max_bytes: usize) -> Result<(), Failure> {
    if text.len() <= max_bytes {
        Ok(())
    } else {
        Err(bad_request(format!("{field} is longer than {max_bytes} bytes")))
    }
}

impl FetchRequest {
    /// Checks the request's form and size. The desk checks what it means.
    ///
    /// # Errors
    /// `bad_request` with the first thing that is wrong.
    pub fn check(&self) -> Result<(), Failure> {
        check_url("url", &self.url)?;
        self.check_headers()?;
        if self.body.is_some() && self.body_base64.is_some() {
            return Err(bad_request("body and body_base64 cannot both be given"));
        }
        if let Some(method) = &self.method {
            let token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic());
            if !token || method.len() > 16 {
                return Err(bad_request("method has to be an HTTP method such as GET or POST"));
            }
        }
        check_purchase([&self.max_amount, &self.purpose, &self.task, &self.idempotency_key])?;
        self.wait_ms.map_or(Ok(()), |wait_ms| check_wait(wait_ms).map(drop))
    }

    fn check_headers(&self) -> Result<(), Failure> {
        if self.headers.len() > MAX_HEADERS {
            return Err(bad_request(format!("there are more than {MAX_HEADERS} headers")));
        }
        for (name, value) in &self.headers {
            short("a header's name", name)?;
            at_most("a header's value", value, MAX_HEADER_VALUE_BYTES)?;
            if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
                return Err(bad_request("a header's value contains a control character"));
            }
        }
        Ok(())
    }
}

impl CallRequest {
    /// Checks the request's form and size. The desk checks what it means.
    ///
    /// # Errors
    /// `bad_request` with the first thing that is wrong.
    pub fn check(&self) -> Result<(), Failure> {
        check_url("server", &self.server)?;
        short("tool", &self.tool)?;
        check_purchase([&self.max_amount, &self.purpose, &self.task, &self.idempotency_key])?;
        self.wait_ms.map_or(Ok(()), |wait_ms| check_wait(wait_ms).map(drop))
    }
}

/// What every purchase may say of itself: the most it may cost, its purpose, task and key.
fn check_purchase([amount, purpose, task, key]: [&Option<String>; 4]) -> Result<(), Failure> {
    if let Some(amount) = amount {
        at_most("max_amount", amount, MAX_AMOUNT_BYTES)?;
    }
    if let Some(purpose) = purpose {
        at_most("purpose", purpose, MAX_PURPOSE_BYTES)?;
    }
    if let Some(task) = task {
        short("task", task)?;
    }
    key.as_ref().map_or(Ok(()), |key| short("idempotency_key", key))
}

impl TransferRequest {
    /// Checks the request's form and size. The desk checks what it means.
    ///
    /// # Errors
    /// `bad_request` with the first thing that is wrong.
    pub fn check(&self) -> Result<(), Failure> {
        imprest_domain::read_address(&self.to)
            .map_err(|error| bad_request(format!("to: {error}")))?;
        at_most("amount", &self.amount, MAX_AMOUNT_BYTES)?;
        if let Some(asset) = &self.asset {
            short("asset", asset)?;
        }
        if let Some(purpose) = &self.purpose {
            at_most("purpose", purpose, MAX_PURPOSE_BYTES)?;
        }
        short("idempotency_key", &self.idempotency_key)?;
        self.wait_ms.map_or(Ok(()), |wait_ms| check_wait(wait_ms).map(drop))
    }
}

fn check_url(field: &str, text: &str) -> Result<(), Failure> {
    at_most(field, text, MAX_URL_BYTES)?;
    let url = Url::parse(text).map_err(|error| bad_request(format!("{field}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad_request(format!("{field} has to be an absolute http or https address")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad_request(format!("{field} must not carry a user name or password")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(extra: serde_json::Value) -> Result<(), Failure> {
        let mut json = serde_json::json!({"url": "https://shop.example/a"});
        let fields = extra.as_object().expect("an object of fields").clone();
        json.as_object_mut().expect("an object").extend(fields);
        parse_json::<FetchRequest>(json.to_string().as_bytes())?.check()
    }

    #[test]
    fn an_ordinary_request_passes() {
        request(serde_json::json!({
            "method": "POST", "headers": {"accept": "text/html"}, "body": "x", "max_amount": "0.25",
            "purpose": "weather for the trip", "task": "t1", "idempotency_key": "k-1",
            "wait_ms": 60000
        }))
        .expect("an ordinary request");
        request(serde_json::json!({})).expect("the smallest request");
    }

    #[test]
    fn malformed_requests_are_named() {
        let long = "x".repeat(9000);
        let many: std::collections::BTreeMap<String, &str> =
            (0..65).map(|n| (format!("h{n}"), "v")).collect();
        for bad in [
            serde_json::json!({"url": ""}),
            serde_json::json!({"url": "/relative"}),
            serde_json::json!({"url": "file:///etc/passwd"}),
            serde_json::json!({"url": "http://u:p@shop.example/"}),
            serde_json::json!({"url": "http://u@shop.example/"}),
            serde_json::json!({"url": format!("http://shop.example/{long}")}),
            serde_json::json!({"url": 7}),
            serde_json::json!({"method": ""}),
            serde_json::json!({"method": "GET /"}),
            serde_json::json!({"method": "G\r\nX: y"}),
            serde_json::json!({"headers": {"a": "b\r\nc: d"}}),
            serde_json::json!({"headers": {"": "b"}}),
            serde_json::json!({"headers": {"a": long}}),
            serde_json::json!({"headers": many}),
            serde_json::json!({"body": "a", "body_base64": "YQ=="}),
            serde_json::json!({"max_amount": "1".repeat(101)}),
            serde_json::json!({"max_amount": 0.25}),
            serde_json::json!({"purpose": long}),
            serde_json::json!({"task": ""}),
            serde_json::json!({"idempotency_key": ""}),
            serde_json::json!({"idempotency_key": "a\nb"}),
            serde_json::json!({"idempotency_key": "x".repeat(257)}),
            serde_json::json!({"wait_ms": 60001}),
            serde_json::json!({"wait_ms": -1}),
            serde_json::json!({"wait_ms": 1.5}),
            serde_json::json!({"max_ammount": "0.25"}),
        ] {
            let failure = request(bad.clone()).expect_err(&format!("{bad} was accepted"));
            assert_eq!(failure.code, FailureCode::BadRequest);
            assert!(failure.message.chars().count() < 300, "the message repeats too much");
        }
    }

    #[test]
    fn calls_are_checked_alike() {
        let call = |extra: serde_json::Value| {
            let mut json =
                serde_json::json!({"server": "https://a.example/mcp", "tool": "weather"});
            let fields = extra.as_object().expect("an object of fields").clone();
            json.as_object_mut().expect("an object").extend(fields);
            parse_json::<CallRequest>(json.to_string().as_bytes())?.check()
        };
        call(serde_json::json!({})).expect("the smallest one");
        call(serde_json::json!({
            "arguments": {"city": "Oslo"}, "max_amount": "0.25", "purpose": "a trip", "task": "t1",
            "idempotency_key": "k", "wait_ms": 60000
        }))
        .expect("an ordinary one");
        for bad in [
            serde_json::json!({"server": ""}),
            serde_json::json!({"server": "file:///etc/passwd"}),
            serde_json::json!({"server": "http://u:p@a.example/"}),
            serde_json::json!({"server": null}),
            serde_json::json!({"tool": ""}),
            serde_json::json!({"tool": "a\nb"}),
            serde_json::json!({"tool": "x".repeat(257)}),
            serde_json::json!({"tool": 7}),
            serde_json::json!({"arguments": []}),
            serde_json::json!({"arguments": "{}"}),
            serde_json::json!({"arguments": null}),
            serde_json::json!({"max_amount": 0.25}),
            serde_json::json!({"max_amount": "1".repeat(101)}),
            serde_json::json!({"purpose": "x".repeat(2001)}),
            serde_json::json!({"task": ""}),
            serde_json::json!({"idempotency_key": ""}),
            serde_json::json!({"wait_ms": 60001}),
            serde_json::json!({"headers": {}}),
            serde_json::json!({"_meta": {}}),
            serde_json::json!({"url": "https://shop.example/"}),
        ] {
            let failure = call(bad.clone()).expect_err(&format!("{bad} was accepted"));
            assert_eq!(failure.code, FailureCode::BadRequest);
        }
    }

    #[test]
    fn transfers_are_checked_alike() {
        let to = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let transfer = |extra: serde_json::Value| {
            let mut json = serde_json::json!({"to": to, "amount": "0.25", "idempotency_key": "k"});
            let fields = extra.as_object().expect("an object of fields").clone();
            json.as_object_mut().expect("an object").extend(fields);
            parse_json::<TransferRequest>(json.to_string().as_bytes())?.check()
        };
        transfer(serde_json::json!({})).expect("the smallest one");
        transfer(serde_json::json!({
            "to": to.to_lowercase(), "asset": "USDC", "purpose": "rent", "wait_ms": 0
        }))
        .expect("an ordinary one");
        for bad in [
            serde_json::json!({"to": ""}),
            serde_json::json!({"to": to.replace("f39", "f49")}),
            serde_json::json!({"to": to.replace("0x", "")}),
            serde_json::json!({"to": format!("{to}00")}),
            serde_json::json!({"to": "scout.eth"}),
            serde_json::json!({"to": null}),
            serde_json::json!({"amount": 0.25}),
            serde_json::json!({"amount": "1".repeat(101)}),
            serde_json::json!({"asset": ""}),
            serde_json::json!({"purpose": "x".repeat(2001)}),
            serde_json::json!({"idempotency_key": ""}),
            serde_json::json!({"idempotency_key": null}),
            serde_json::json!({"wait_ms": 60001}),
            serde_json::json!({"from": to}),
            serde_json::json!({"url": "https://shop.example/"}),
        ] {
            let failure = transfer(bad.clone()).expect_err(&format!("{bad} was accepted"));
            assert_eq!(failure.code, FailureCode::BadRequest);
        }
        let no_key = format!(r#"{{"to":"{to}","amount":"1"}}"#);
        assert!(parse_json::<TransferRequest>(no_key.as_bytes()).is_err(), "a key is needed");
    }

    #[test]
    fn json_is_read_to_its_end() {
        for bad in ["", "{}", "[]", "null", r#"{"url":"http://a/"} x"#, r#"{"url":"http://a/"}{}"#]
        {
            assert!(parse_json::<FetchRequest>(bad.as_bytes()).is_err(), "{bad} was accepted");
        }
        assert!(parse_json::<FetchRequest>(br#"{"url":"http://a/","url":"http://b/"}"#).is_err());
        assert!(parse_json::<FetchRequest>(b"{\"url\":\"http://a/\xff\"}").is_err());
    }
}
