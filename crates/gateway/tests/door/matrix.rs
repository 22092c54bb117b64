//! Host × origin × method × content type × path × token: nothing gets in that should not.

use crate::support::{Raw, Stand, raw, raw_or_reset};
use futures::StreamExt;
use imprest_gateway::Token;

/// The first two are this door's.
const HOSTS: [&str; 14] = [
    "127.0.0.1:PORT",
    "localhost:PORT",
    "127.0.0.1",
    "127.0.0.1:1",
    "evil.example:PORT",
    "LOCALHOST:PORT",
    "localhost.:PORT",
    "127.0.0.1:PORT, evil.example",
    "evil.example@127.0.0.1:PORT",
    "127.1:PORT",
    "0.0.0.0:PORT",
    "[::1]:PORT",
    "[::ffff:127.0.0.1]:PORT",
    "",
];
/// What a browser adds for a page; the first is none.
const PAGES: [&str; 8] = [
    "",
    "Origin: null",
    "Origin: http://127.0.0.1:PORT",
    "Origin: http://localhost:PORT",
    "Origin: https://evil.example",
    "Origin: file://",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: none",
];
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];
/// The first three are JSON.
const TYPES: [Option<&str>; 8] = [
    Some("application/json"),
    Some("application/json; charset=utf-8"),
    Some("Application/JSON"),
    Some("text/plain"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
    Some("application/json, text/plain"),
    None,
];
const PATHS: [Path; 11] = [
    Path::taking("/v1/fetch", "POST"),
    Path::taking("/v1/quote", "POST"),
    Path::taking("/v1/transfers", "POST"),
    Path::taking("/v1/budget", "GET"),
    Path::taking("/v1/payments", "GET"),
    Path::taking("/mcp", "POST"),
    Path::taking("/v1/openapi.json", "GET"),
    Path::nowhere("/v1/nowhere"),
    Path::nowhere("/v1/fetch/"),
    Path::nowhere("/mcp/"),
    Path::nowhere("/"),
];
/// The first two are a good one.
const TOKENS: [&str; 9] =
    ["good", "lower", "unknown", "malformed", "basic", "none", "revoked", "twice", "cookie"];

/// One in so many of those with two faults is tried, and each of those with one; a prime, so that
/// all values come by.
const EVERY: usize = 23;

#[derive(Clone, Copy)]
struct Path {
    at: &'static str,
    takes: Option<&'static str>,
}

impl Path {
    const fn taking(at: &'static str, method: &'static str) -> Path {
        Path { at, takes: Some(method) }
    }

    const fn nowhere(at: &'static str) -> Path {
        Path { at, takes: None }
    }

    /// What is asked for there when it is let in.
    fn body(self) -> &'static str {
        match self.at {
            "/mcp" => {
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"budget","arguments":{}}}"#
            }
            "/v1/transfers" => {
                r#"{"to":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","amount":"1","idempotency_key":"k"}"#
            }
            _ => r#"{"url":"https://shop.example/a"}"#,
        }
    }
}

#[derive(Clone, Copy)]
struct Combination {
    host: &'static str,
    page: &'static str,
    method: &'static str,
    kind: Option<&'static str>,
    path: Path,
    token: &'static str,
}

impl Combination {
    fn has_our_host(self) -> bool {
        HOSTS[..2].contains(&self.host)
    }

    fn has_token(self) -> bool {
        TOKENS[..2].contains(&self.token)
    }

    fn is_json(self) -> bool {
        TYPES[..3].contains(&self.kind)
    }

    /// The one thing that a stranger may read.
    fn is_open(self) -> bool {
        self.path.at == "/v1/openapi.json" && self.method == "GET"
    }

    /// All that may be let in, written apart from the lock and from [`Combination::expected`].
    fn may_enter(self) -> bool {
        let who = self.has_token() || self.is_open();
        let what = match (self.method, self.path.at) {
            ("GET", "/v1/budget" | "/v1/payments" | "/v1/openapi.json") => true,
            ("POST", "/v1/fetch" | "/v1/quote" | "/v1/transfers" | "/mcp") => self.is_json(),
            _ => false,
        };
        self.has_our_host() && self.page.is_empty() && who && what
    }

    /// How each of them is answered.
    fn expected(self) -> u16 {
        match () {
            // Without a Host at all the request is not HTTP/1.1; the lock says the same.
            () if !self.has_our_host() => 403,
            () if !self.page.is_empty() => 403,
            () if !self.has_token() && !self.is_open() => 401,
            () if self.path.takes.is_none() => 404,
            () if self.path.takes != Some(self.method) => 405,
            () if self.method == "POST" && !self.is_json() => 415,
            () => 200,
        }
    }

    /// How many things are wrong.
    fn faults(self) -> usize {
        usize::from(!self.has_our_host())
            + usize::from(!self.page.is_empty())
            + usize::from(!self.has_token())
            + usize::from(self.path.takes != Some(self.method))
            + usize::from(!self.is_json())
    }

    fn bytes(self, port: u16, tokens: &Tokens) -> Vec<u8> {
        let body =
            if matches!(self.method, "POST" | "PUT" | "PATCH") { self.path.body() } else { "" };
        let port = port.to_string();
        let mut head =
            format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path.at);
        if !self.host.is_empty() {
            head.push_str(&format!("Host: {}\r\n", self.host.replace("PORT", &port)));
        }
        if !self.page.is_empty() {
            head.push_str(&format!("{}\r\n", self.page.replace("PORT", &port)));
        }
        if let Some(kind) = self.kind {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        head.push_str("Accept: application/json, text/event-stream\r\n");
        head.push_str(&tokens.header(self.token));
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

struct Tokens {
    good: Token,
    unknown: Token,
    revoked: Token,
}

impl Tokens {
    fn header(&self, kind: &str) -> String {
        match kind {
            "none" => String::new(),
            "basic" => "Authorization: Basic aW1wOnNlY3JldA==\r\n".to_owned(),
            "malformed" => "Authorization: Bearer imp_short\r\n".to_owned(),
            "unknown" => bearer(&self.unknown),
            "revoked" => bearer(&self.revoked),
            "lower" => bearer(&self.good).replace("Bearer", "bearer"),
            "twice" => bearer(&self.good).repeat(2),
            "cookie" => bearer(&self.good).replace("Authorization: Bearer ", "Cookie: token="),
            _ => bearer(&self.good),
        }
    }
}

fn bearer(token: &Token) -> String {
    format!("Authorization: Bearer {}\r\n", token.expose())
}

fn combinations() -> Vec<Combination> {
    let mut all = Vec::new();
    for host in HOSTS {
        for page in PAGES {
            for method in METHODS {
                for kind in TYPES {
                    for path in PATHS {
                        for token in TOKENS {
                            all.push(Combination { host, page, method, kind, path, token });
                        }
                    }
                }
            }
        }
    }
    let mut twice = 0;
    all.retain(|combination| match combination.faults() {
        0 | 1 => true,
        2 => {
            twice += 1;
            twice % EVERY == 0
        }
        _ => false,
    });
    all
}

fn check(combination: Combination, answer: &Raw) {
    let Combination { host, page, method, kind, path, token } = combination;
    let what = format!("{method} {} host={host:?} {page:?} {kind:?} token={token}", path.at);
    let entered = answer.status < 400;
    assert_eq!(entered, combination.may_enter(), "wrongly let in or kept out: {what}");
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
        assert_eq!(answer.header("allow"), path.takes, "{what}");
    }
    if answer.status >= 400 && method != "HEAD" {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{what}");
    }
    if entered && path.at == "/mcp" {
        assert!(answer.json()["result"]["structuredContent"].is_object(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_in_that_should_not() {
    let stand = Stand::open().await;
    let addr = stand.door.local_addr;
    let all = combinations();
    let revoked = stand.book.add("gone");
    stand.book.revoke(&revoked);
    let (mut let_in, mut asked) = (0, 0);
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
            let_in += usize::from(combination.may_enter());
            asked += usize::from(combination.may_enter() && !combination.is_open());
        }
    }
    println!("{} combinations, {let_in} let in, 0 of them wrongly", all.len());
    assert!(all.len() >= 2_000 && asked >= 20, "{} combinations, {asked} let in", all.len());
    assert_eq!(stand.teller.calls().len(), asked, "the teller saw what the door let in, no more");
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
