//! What an agent may ask to be fetched, or to be called.

use crate::RailsError;
use crate::json::Members;
use crate::offer::words;
use bytes::Bytes;
use imprest_domain::plain_line;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use url::Url;

/// The longest address taken, in bytes.
const URL_BYTES_MAX: usize = 8 * 1024;
/// The most headers an agent may set.
const HEADERS_MAX: usize = 64;
/// The longest header name, in bytes.
const HEADER_NAME_BYTES_MAX: usize = 128;
/// The longest header value, in bytes.
const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;
/// The largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Headers that belong to the connection or to the desk. Source: RFC 9110 §7.6.1 for the
/// hop-by-hop ones.
const REFUSED_HEADERS: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];
/// Families of headers that belong to proxies or to payment.
const REFUSED_PREFIXES: [&str; 4] = ["proxy-", "payment-", "x-payment", "accept-payment"];
/// Authentication schemes that are payments.
const REFUSED_SCHEMES: [&str; 3] = ["payment", "l402", "lsat"];

/// The longest name of a tool, in bytes; the protocol's own limit.
const TOOL_BYTES_MAX: usize = 128;

/// One HTTP request, or one call of a tool over HTTP, checked: what is quoted is exactly what is
/// paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    /// What is sent, or the arguments of what is called.
    body: Bytes,
    /// The tool that is called.
    tool: Option<String>,
}

impl Request {
    /// Checks an agent's request.
    ///
    /// The address is absolute http or https, at most 8 KiB, without user information; its
    /// fragment is dropped. At most 64 headers, each at most 8 KiB of visible ASCII and none twice.
    /// The body is at most 1 MiB.
    ///
    /// # Errors
    /// [`RailsError::BadUrl`], [`RailsError::BadMethod`], [`RailsError::BadHeader`] and
    /// [`RailsError::TooLarge`], each saying which rule was broken.
    pub fn new(
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = (String, String)>,
        body: Bytes,
    ) -> Result<Request, RailsError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(RailsError::TooLarge {
                what: "the request body",
                bytes_max: BODY_BYTES_MAX,
            });
        }
        Ok(Request {
            method: checked_method(method)?,
            url: checked_url(url)?,
            headers: checked_headers(headers)?,
            body,
            tool: None,
        })
    }

    /// Checks an agent's call of a tool on an MCP server that speaks streamable HTTP.
    ///
    /// The server's address is checked as [`Request::new`] does. The name is 1 to 128 bytes of
    /// visible ASCII, `arguments` one JSON object of at most 1 MiB.
    ///
    /// # Errors
    /// [`RailsError::BadUrl`], [`RailsError::BadCall`] and [`RailsError::TooLarge`].
    pub fn call(server: &str, tool: &str, arguments: &str) -> Result<Request, RailsError> {
        let bad = |why: String| RailsError::BadCall { why };
        let is_name = (1..=TOOL_BYTES_MAX).contains(&tool.len())
            && tool.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return Err(bad("a tool’s name is 1 to 128 visible ASCII characters".into()));
        }
        serde_json::from_str::<Members>(arguments)
            .map_err(|e| bad(format!("its arguments are no JSON object: {}", words(&e))))?;
        let body = Bytes::from(arguments.to_owned());
        let request = Request::new("POST", server, [], body)?;
        Ok(Request { tool: Some(tool.to_owned()), ..request })
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The address that is fetched, normalised, without a fragment.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port, without the scheme's own port: `https://api.example`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The headers the agent set.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tool that is called, if one is; the body is its arguments then.
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// What is bought, as an address: the one that is fetched, or the server's with the tool's name
    /// as its fragment, which nothing that is fetched has.
    pub fn subject(&self) -> Url {
        let mut subject = self.url.clone();
        subject.set_fragment(self.tool());
        subject
    }

    /// SHA-256 over method, address, sorted headers, body and tool, each with its length before it.
    ///
    /// Two requests have the same digest exactly if they ask for the same thing, so it binds a
    /// payment to its request and an idempotency key to its first use.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        match &self.tool {
            None => hash.update(b"imprest request 1\n"),
            Some(tool) => {
                hash.update(b"imprest tool call 1\n");
                add(&mut hash, tool.as_bytes());
            }
        }
        add(&mut hash, self.method.as_str().as_bytes());
        add(&mut hash, self.url.as_str().as_bytes());
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        hash.update((headers.len() as u64).to_be_bytes());
        for (name, value) in headers {
            add(&mut hash, name.as_str().as_bytes());
            add(&mut hash, value.as_bytes());
        }
        add(&mut hash, &self.body);
        hash.finalize().into()
    }

    /// Whether an address that a payee names stands for what is asked for here: one of the same
    /// origin, or `mcp://tool/NAME` of the tool that is called.
    pub(crate) fn is_for(&self, resource: &str) -> bool {
        if let Some(named) = resource.strip_prefix("mcp://tool/") {
            return self.tool() == Some(named);
        }
        Url::parse(resource).is_ok_and(|url| url.origin() == self.url.origin())
    }

    /// The host as people write it, without brackets.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }

    pub(crate) fn to_reqwest(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        request
    }
}

/// Adds one field with its length before it, so that no two lists of fields hash alike.
pub(crate) fn add(hash: &mut Sha256, field: &[u8]) {
    hash.update((field.len() as u64).to_be_bytes());
    hash.update(field);
}

fn checked_method(method: &str) -> Result<Method, RailsError> {
    match method {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(RailsError::BadMethod { method: plain_line(method, 20) }),
    }
}

fn checked_url(text: &str) -> Result<Url, RailsError> {
    let bad = |why: &str| Err(RailsError::BadUrl { why: why.to_owned() });
    if text.len() > URL_BYTES_MAX {
        return bad("it is longer than 8 KiB");
    }
    // The URL standard drops tabs and line breaks and reads `\` as `/`: two readers could see two
    // addresses, so neither is let in.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return bad("it contains a space, a control character or a backslash; percent-encode them");
    }
    let Ok(mut url) = Url::parse(text) else {
        return bad("it is no absolute URL; write one such as https://api.example/data");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return bad("only http and https are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("it carries a user name or password; send them in a header instead");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return bad("it names no host");
    }
    if url.port() == Some(0) {
        return bad("port 0 cannot be reached");
    }
    url.set_fragment(None);
    // Percent-encoding can make it longer than what was given.
    if url.as_str().len() > URL_BYTES_MAX {
        return bad("it is longer than 8 KiB");
    }
    Ok(url)
}

fn checked_headers(
    headers: impl IntoIterator<Item = (String, String)>,
) -> Result<HeaderMap, RailsError> {
    let mut checked = HeaderMap::new();
    for (name, value) in headers {
        if checked.len() == HEADERS_MAX {
            return Err(bad_header(&name, "at most 64 headers are sent; leave some out"));
        }
        let (key, value) = checked_header(&name, &value)?;
        if checked.insert(key, value).is_some() {
            return Err(bad_header(&name, "it is given twice; join the values into one"));
        }
    }
    Ok(checked)
}

fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), RailsError> {
    if name.len() > HEADER_NAME_BYTES_MAX {
        return Err(bad_header(name, "its name is longer than 128 bytes"));
    }
    let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(bad_header(name, "that is no header name"));
    };
    let word = key.as_str();
    if REFUSED_HEADERS.contains(&word) || REFUSED_PREFIXES.iter().any(|p| word.starts_with(p)) {
        return Err(bad_header(name, "the desk sets payment and connection headers; leave it out"));
    }
    if value.len() > HEADER_VALUE_BYTES_MAX {
        return Err(bad_header(name, "its value is longer than 8 KiB"));
    }
    // Visible ASCII and inner spaces: no line break can start another header.
    if value.bytes().any(|b| !(0x20..=0x7e).contains(&b)) {
        return Err(bad_header(name, "its value may only hold visible ASCII"));
    }
    let scheme = value.split([' ', ',']).find(|word| !word.is_empty()).unwrap_or_default();
    let pays = REFUSED_SCHEMES.iter().any(|refused| scheme.eq_ignore_ascii_case(refused));
    if key == AUTHORIZATION && pays {
        return Err(bad_header(name, "the desk pays by itself; leave it out"));
    }
    let Ok(value) = HeaderValue::from_str(value) else {
        return Err(bad_header(name, "its value may only hold visible ASCII"));
    };
    Ok((key, value))
}

fn bad_header(name: &str, why: &str) -> RailsError {
    RailsError::BadHeader { name: plain_line(name, 64), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(url: &str) -> Result<Request, RailsError> {
        Request::new("GET", url, [], Bytes::new())
    }

    fn with_header(name: &str, value: &str) -> Result<Request, RailsError> {
        let headers = [(name.to_owned(), value.to_owned())];
        Request::new("GET", "https://shop.example/", headers, Bytes::new())
    }

    #[test]
    fn plain_requests_pass() {
        let request = get("https://Shop.Example:443/a?b=c#secret").expect("a good address");
        assert_eq!(request.url().as_str(), "https://shop.example/a?b=c");
        assert_eq!(request.origin(), "https://shop.example");
        assert_eq!(get("http://[::1]:8080/").expect("good").host(), "::1");
        for (name, value) in
            [("Authorization", "Bearer x"), ("Content-Type", "a/b"), ("X-Api-Key", "a b")]
        {
            assert!(with_header(name, value).is_ok(), "{name} was refused");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        let long = format!("https://shop.example/{}", "a".repeat(URL_BYTES_MAX));
        let grows = format!("https://shop.example/{}", "é".repeat(URL_BYTES_MAX / 4));
        for bad in [
            "",
            "shop.example",
            "/path",
            "ftp://shop.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/plain,x",
            "https://",
            "https://user@shop.example/",
            "https://user:pass@shop.example/",
            "https://:pass@shop.example/",
            "https://shop.example@127.0.0.1/",
            "https://shop.example\\@evil.example/",
            "https://shop.example/a b",
            " https://shop.example/",
            "https://shop.exa\tmple/",
            "https://shop.example/\r\nHost: evil.example",
            "https://shop.example:0/",
            "https://shop.example:99999/",
            "https://shop.example/\u{0}",
            "http://1.2.3.4.5/",
            "http://[::1/",
            "http://exa%00mple/",
            &long,
            &grows,
        ] {
            assert!(matches!(get(bad), Err(RailsError::BadUrl { .. })), "{bad:?} was accepted");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        for bad in ["", "get", "CONNECT", "TRACE", "OPTIONS", "GET /", "G\u{202e}ET"] {
            let result = Request::new(bad, "https://shop.example/", [], Bytes::new());
            assert!(matches!(result, Err(RailsError::BadMethod { .. })), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_desks_own_headers_are_refused() {
        for bad in [
            "Payment-Signature",
            "PAYMENT-REQUIRED",
            "payment-response",
            "X-Payment",
            "x-payment-response",
            "Payment-Authorization",
            "Accept-Payment",
            "Host",
            "Content-Length",
            "Connection",
            "Keep-Alive",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Cookie",
            "Expect",
            "Accept-Encoding",
            "",
            "a b",
            "a:b",
            "é",
            "a\r\nb",
            &"a".repeat(129),
        ] {
            let result = with_header(bad, "x");
            assert!(matches!(result, Err(RailsError::BadHeader { .. })), "{bad:?} was accepted");
        }
        let long = "a".repeat(HEADER_VALUE_BYTES_MAX + 1);
        for bad in ["a\r\nPayment-Signature: x", "\u{0}", "é", "\u{7f}", "a\tb", &long] {
            let result = with_header("x-note", bad);
            assert!(matches!(result, Err(RailsError::BadHeader { .. })), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_agent_pays_nobody_by_itself() {
        for bad in ["Payment eyJ9", "payment  x", " PAYMENT x", "L402 a:b", "lsat x", "Payment,x"] {
            let result = with_header("authorization", bad);
            assert!(matches!(result, Err(RailsError::BadHeader { .. })), "{bad:?} was accepted");
        }
        for good in ["Bearer payment", "Paymentish x", "Basic eA=="] {
            assert!(with_header("authorization", good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn headers_and_bodies_are_counted() {
        let many = |n: usize| (0..n).map(|i| (format!("x-{i}"), String::new()));
        let url = "https://shop.example/";
        assert!(Request::new("GET", url, many(64), Bytes::new()).is_ok());
        assert!(Request::new("GET", url, many(65), Bytes::new()).is_err());
        let twice = [("x-a".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())];
        assert!(Request::new("GET", url, twice, Bytes::new()).is_err());
        let body = |n| Request::new("POST", url, [], Bytes::from(vec![0; n]));
        assert!(body(BODY_BYTES_MAX).is_ok());
        assert!(matches!(body(BODY_BYTES_MAX + 1), Err(RailsError::TooLarge { .. })));
    }

    #[test]
    fn the_digest_names_the_request() {
        let make = |method: &str, url: &str, headers: &[(&str, &str)], body: &'static str| {
            let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            Request::new(method, url, headers, Bytes::from(body)).expect("good").digest()
        };
        let base = make("POST", "https://a.example/x", &[("a", "1"), ("b", "2")], "body");
        assert_eq!(base, make("POST", "https://A.example/x#f", &[("B", "2"), ("A", "1")], "body"));
        for other in [
            make("PUT", "https://a.example/x", &[("a", "1"), ("b", "2")], "body"),
            make("POST", "https://a.example/y", &[("a", "1"), ("b", "2")], "body"),
            make("POST", "https://a.example/x", &[("a", "1"), ("b", "3")], "body"),
            make("POST", "https://a.example/x", &[("a", "1b2")], "body"),
            make("POST", "https://a.example/x", &[("a", "1"), ("b", "2")], "bodY"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn calls_are_checked_and_named() {
        let server = "https://tools.example/mcp";
        let call = Request::call(server, "get_weather", r#"{"city":"Oslo"}"#).expect("a call");
        assert_eq!((call.method(), call.tool()), ("POST", Some("get_weather")));
        assert_eq!(call.subject().as_str(), "https://tools.example/mcp#get_weather");
        assert_eq!(call.url().as_str(), server);
        let plain = Request::new("POST", server, [], r#"{"city":"Oslo"}"#.into()).expect("good");
        assert_eq!(plain.subject().as_str(), server);
        for other in [
            plain,
            Request::call(server, "get_weather", r#"{"city":"Rome"}"#).expect("a call"),
            Request::call(server, "get_report", r#"{"city":"Oslo"}"#).expect("a call"),
            Request::call("https://tools.example/", "get_weather", r#"{"city":"Oslo"}"#)
                .expect("a call"),
        ] {
            assert_ne!(call.digest(), other.digest(), "{other:?}");
        }
        for (resource, is_for) in [
            ("mcp://tool/get_weather", true),
            ("https://tools.example/other", true),
            ("mcp://tool/get_report", false),
            ("mcp://tool/", false),
            ("mcp://other/get_weather", false),
            ("https://evil.example/mcp", false),
        ] {
            assert_eq!(call.is_for(resource), is_for, "{resource}");
        }
        let long = "x".repeat(TOOL_BYTES_MAX + 1);
        for (tool, arguments) in [
            ("", "{}"),
            ("a b", "{}"),
            ("a\n", "{}"),
            ("é", "{}"),
            (&long, "{}"),
            ("a", ""),
            ("a", "[]"),
            ("a", "1"),
            ("a", "{} {}"),
            ("a", "{"),
        ] {
            let result = Request::call(server, tool, arguments);
            assert!(matches!(result, Err(RailsError::BadCall { .. })), "{tool:?} {arguments:?}");
        }
        let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
        assert!(matches!(Request::call(server, "a", &big), Err(RailsError::TooLarge { .. })));
        assert!(matches!(Request::call("ftp://a/", "a", "{}"), Err(RailsError::BadUrl { .. })));
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(
            method in ".{0,10}", url in ".{0,200}", name in ".{0,40}", value in ".{0,40}",
        ) {
            let _ = Request::new(&method, &url, [(name, value)], Bytes::new());
        }
    }
}
