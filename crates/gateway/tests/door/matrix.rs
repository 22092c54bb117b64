//! Host × origin × method × content type × path × token: nothing gets in that should not.

use crate::support::{Raw, Stand, raw, raw_or_reset};
use futures::StreamExt;
use imprest_gateway::Token;

const HOSTS: [&str; 9] = [
    "127.0.0.1:PORT",
    "localhost:PORT",
    "127.0.0.1",
    "127.0.0.1:1",
    "evil.example:PORT",
    "LOCALHOST:PORT",
    "127.0.0.1:PORT, evil.example",
    "[::1]:PORT",
    "",
];
const ORIGINS: [Option<&str>; 4] =
    [None, Some("null"), Some("http://127.0.0.1:PORT"), Some("https://evil.example")];
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];
const TYPES: [Option<&str>; 5] = [
    Some("application/json"),
    Some("application/json; charset=utf-8"),
    Some("text/plain"),
    Some("application/x-www-form-urlencoded"),
    None,
];
const PATHS: [&str; 7] = [
    "/v1/fetch",
    "/v1/budget",
    "/v1/payments",
    "/mcp",
    "/v1/openapi.json",
    "/v1/nowhere",
    "/v1/fetch/",
];
const TOKENS: [&str; 6] = ["good", "unknown", "malformed", "basic", "none", "revoked"];

#[derive(Clone, Copy)]
struct Combination {
    host: &'static str,
    origin: Option<&'static str>,
    method: &'static str,
    kind: Option<&'static str>,
    path: &'static str,
    token: &'static str,
}

impl Combination {
    fn takes(self) -> Option<&'static str> {
        match self.path {
            "/v1/fetch" | "/mcp" => Some("POST"),
            "/v1/budget" | "/v1/payments" | "/v1/openapi.json" => Some("GET"),
            _ => None,
        }
    }

    fn is_open(self) -> bool {
        self.path == "/v1/openapi.json" && self.method == "GET"
    }

    /// What the contract says, written apart from the lock.
    fn expected(self) -> u16 {
        let json = self.kind.is_some_and(|kind| kind.starts_with("application/json"));
        match () {
            // Without a Host at all the request is not HTTP/1.1; the lock says the same.
            () if !HOSTS[..2].contains(&self.host) => 403,
            () if self.origin.is_some() => 403,
            () if self.token != "good" && !self.is_open() => 401,
            () if self.takes().is_none() => 404,
            () if self.takes() != Some(self.method) => 405,
            () if self.method == "POST" && !json => 415,
            () => 200,
        }
    }

    /// How many things are wrong; the matrix is cut where three already are.
    fn faults(self) -> usize {
        let json = self.kind.is_some_and(|kind| kind.starts_with("application/json"));
        usize::from(!HOSTS[..2].contains(&self.host))
            + usize::from(self.origin.is_some())
            + usize::from(self.token != "good")
            + usize::from(self.takes() != Some(self.method))
            + usize::from(!json)
    }

    fn bytes(self, port: u16, tokens: &Tokens) -> Vec<u8> {
        let body = match (self.method, self.path) {
            ("POST" | "PUT" | "PATCH", "/mcp") => {
                r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#
            }
            ("POST" | "PUT" | "PATCH", _) => r#"{"url":"https://shop.example/a"}"#,
            _ => "",
        };
        let port = port.to_string();
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        if !self.host.is_empty() {
            head.push_str(&format!("Host: {}\r\n", self.host.replace("PORT", &port)));
        }
        if let Some(origin) = self.origin {
            head.push_str(&format!("Origin: {}\r\n", origin.replace("PORT", &port)));
        }
        if let Some(kind) = self.kind {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        head.push_str("Accept: application/json, text/event-stream\r\n");
        match self.token {
            "none" => {}
            "basic" => head.push_str("Authorization: Basic aW1wOnNlY3JldA==\r\n"),
            "malformed" => head.push_str("Authorization: Bearer imp_short\r\n"),
            "unknown" => head.push_str(&bearer(&tokens.unknown)),
            "revoked" => head.push_str(&bearer(&tokens.revoked)),
            _ => head.push_str(&bearer(&tokens.good)),
        }
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

struct Tokens {
    good: Token,
    unknown: Token,
    revoked: Token,
}

fn bearer(token: &Token) -> String {
    format!("Authorization: Bearer {}\r\n", token.expose())
}

fn combinations() -> Vec<Combination> {
    let mut all = Vec::new();
    for host in HOSTS {
        for origin in ORIGINS {
            for method in METHODS {
                for kind in TYPES {
                    for path in PATHS {
                        for token in TOKENS {
                            all.push(Combination { host, origin, method, kind, path, token });
                        }
                    }
                }
            }
        }
    }
    all.retain(|combination| combination.faults() <= 2);
    all
}

fn check(combination: Combination, answer: &Raw) {
    let Combination { host, origin, method, kind, path, token } = combination;
    let what = format!("{method} {path} host={host:?} origin={origin:?} {kind:?} token={token}");
    assert_eq!(answer.status, combination.expected(), "{what}");
    for (name, _) in &answer.headers {
        assert!(!name.starts_with("access-control-"), "{what}: {name}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
    }
    if answer.status == 405 {
        assert_eq!(answer.header("allow"), combination.takes(), "{what}");
    }
    if answer.status >= 400 && method != "HEAD" {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_in_that_should_not() {
    let stand = Stand::open().await;
    let addr = stand.door.local_addr;
    let all = combinations();
    assert!(all.len() > 500, "only {} combinations", all.len());
    let revoked = stand.book.add("gone");
    stand.book.revoke(&revoked);
    let mut let_in = 0;
    // A new agent for every stretch, so that no bucket runs empty.
    for (n, stretch) in all.chunks(200).enumerate() {
        let tokens = Tokens {
            good: stand.book.add(&format!("agent-{n}")),
            unknown: Token::generate().expect("the system has randomness"),
            revoked: revoked.clone(),
        };
        let answers = futures::stream::iter(stretch.iter().copied())
            .map(|combination| {
                let bytes = combination.bytes(addr.port(), &tokens);
                async move { (combination, raw(addr, &bytes).await) }
            })
            .buffer_unordered(16);
        let mut answers = std::pin::pin!(answers);
        while let Some((combination, answer)) = answers.next().await {
            check(combination, &answer);
            let reaches_teller =
                matches!(combination.path, "/v1/fetch" | "/v1/budget" | "/v1/payments");
            let_in += usize::from(answer.status == 200 && reaches_teller);
        }
    }
    assert!(let_in > 0);
    assert_eq!(stand.teller.calls().len(), let_in, "the teller saw what the door let in, no more");
}

#[tokio::test]
async fn odd_requests_are_refused_too() {
    let stand = Stand::open().await;
    let addr = stand.door.local_addr;
    let port = addr.port();
    let good = bearer(&stand.book.add("odd"));
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let end = "Connection: close\r\n\r\n";
    for (request, status) in [
        // Two hosts, one of them ours.
        (format!("GET /v1/budget HTTP/1.1\r\n{host}Host: evil.example\r\n{good}{end}"), 403),
        // An authority in the request line that is not ours.
        (format!("GET http://evil.example/v1/budget HTTP/1.1\r\n{host}{good}{end}"), 403),
        (format!("GET http://127.0.0.1:{port}/v1/budget HTTP/1.1\r\n{host}{good}{end}"), 200),
        // An empty origin is an origin; a page's image or link carries none but says its site.
        (format!("GET /v1/budget HTTP/1.1\r\n{host}Origin: \r\n{good}{end}"), 403),
        (format!("GET /v1/openapi.json HTTP/1.1\r\n{host}Origin: null\r\n{end}"), 403),
        (
            format!("GET /v1/openapi.json HTTP/1.1\r\n{host}Sec-Fetch-Site: cross-site\r\n{end}"),
            403,
        ),
        // Two credentials, a credential in the address, other spellings.
        (format!("GET /v1/budget HTTP/1.1\r\n{host}{good}{good}{end}"), 401),
        (
            format!(
                "GET /v1/budget?{} HTTP/1.1\r\n{host}{end}",
                good.trim().replace(": Bearer ", "=")
            ),
            401,
        ),
        (
            format!(
                "GET /v1/budget HTTP/1.1\r\n{host}{}{end}",
                good.replace("Bearer ", "Bearer  ")
            ),
            401,
        ),
        (
            format!("GET /v1/budget HTTP/1.1\r\n{host}{}{end}", good.replace("Bearer", "bearer")),
            200,
        ),
        // Queries only where there are any.
        (format!("GET /v1/budget?x=1 HTTP/1.1\r\n{host}{good}{end}"), 400),
        (format!("GET /v1/openapi.json?x=1 HTTP/1.1\r\n{host}{end}"), 400),
        // Other spellings of an address.
        (format!("GET /v1/%62udget HTTP/1.1\r\n{host}{good}{end}"), 404),
        (format!("GET //v1/budget HTTP/1.1\r\n{host}{good}{end}"), 404),
        (format!("GET /v1/../v1/budget HTTP/1.1\r\n{host}{good}{end}"), 404),
        // Unknown addresses look like known ones to a stranger.
        (format!("GET /v1/nowhere HTTP/1.1\r\n{host}{end}"), 401),
        (format!("TRACE /v1/budget HTTP/1.1\r\n{host}{good}{end}"), 405),
    ] {
        let answer = raw(addr, request.as_bytes()).await;
        let line = request.lines().next().unwrap_or_default();
        assert_eq!(answer.status, status, "{line}");
    }
    assert_eq!(stand.teller.calls().len(), 2);
}

#[tokio::test]
async fn huge_heads_and_other_protocols_are_cut_off() {
    let stand = Stand::open().await;
    let addr = stand.door.local_addr;
    let padding = "x".repeat(300_000);
    let huge = format!(
        "GET /v1/openapi.json HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nX: {padding}\r\n\r\n"
    );
    // Hanging up on someone who still sends may lose the answer on the way.
    let answer = raw_or_reset(addr, huge.as_bytes()).await;
    assert!(answer.is_none_or(|answer| answer.status == 431), "a huge head was read");
    let http2 = raw_or_reset(addr, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(http2.is_none_or(|answer| answer.status >= 400), "HTTP/2 was spoken");
}
