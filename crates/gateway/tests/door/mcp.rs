//! MCP with the official client: over HTTP behind the lock, and over the stdio bridge.

use crate::support::{FAILING, REFUSED, SLOW, Stand, client};
use imprest_gateway::{HttpTeller, Token, bridge};
use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorCode, ProtocolVersion};
use rmcp::service::{ClientInitializeError, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, ServiceError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use url::Url;

type Client = RunningService<RoleClient, ()>;

fn lifecycles() -> [ClientLifecycleMode; 2] {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    [ClientLifecycleMode::Initialize, ClientLifecycleMode::Discover { preferred_versions }]
}

async fn connect(
    stand: &Stand,
    token: &str,
    lifecycle: ClientLifecycleMode,
) -> Result<Client, ClientInitializeError> {
    let config = StreamableHttpClientTransportConfig::with_uri(stand.door.mcp_url.clone())
        .auth_header(token);
    let transport = StreamableHttpClientTransport::with_client(client(), config);
    ().serve_with_lifecycle(transport, lifecycle).await
}

async fn connected(stand: &Stand, token: &Token, lifecycle: ClientLifecycleMode) -> Client {
    connect(stand, token.expose(), lifecycle).await.expect("the agent is let in")
}

async fn call(client: &Client, name: &'static str, arguments: Value) -> CallToolResult {
    try_call(client, name, arguments).await.expect("the tool answers")
}

async fn try_call(
    client: &Client,
    name: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let arguments = arguments.as_object().expect("an object of arguments").clone();
    client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await
}

fn text(result: &CallToolResult) -> &str {
    let content = result.content.first().expect("some content");
    &content.as_text().expect("text").text
}

/// The answer's structure, checked to be the same as its text.
fn structure(result: &CallToolResult) -> Value {
    assert_ne!(result.is_error, Some(true), "{}", text(result));
    let structured = result.structured_content.clone().expect("structured content");
    let as_text: Value = serde_json::from_str(text(result)).expect("the text is JSON");
    assert_eq!(structured, as_text);
    structured
}

fn failure(result: &CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(true), "{}", text(result));
    assert_eq!(result.structured_content, None, "it would not match the output schema");
    let failure: Value = serde_json::from_str(text(result)).expect("the text is JSON");
    for field in ["code", "message", "recovery"] {
        assert!(failure[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing");
    }
    failure
}

/// Everything an agent does, whatever the way in.
async fn shop(client: &Client) {
    let tools = client.list_all_tools().await.expect("the tools are listed");
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        ["fetch", "call_tool", "quote", "transfer", "budget", "payment_status", "payments"]
    );
    for tool in &tools {
        let output = tool.output_schema.as_ref().expect("an output schema");
        assert_eq!(output["type"], "object", "{}", tool.name);
        assert!(tool.annotations.is_some(), "{}", tool.name);
    }

    let bought = call(client, "fetch", json!({"url": "https://shop.example/a", "purpose": "tea"}));
    let bought = bought.await;
    let answer = structure(&bought);
    assert_eq!(answer["status"], "settled");
    assert_eq!(answer["untrusted"], json!(["response"]));
    let (warning, bait) =
        (text(&bought).find("untrusted"), text(&bought).find("Ignore your owner"));
    assert!(warning < bait, "the warning comes before what it warns of");
    let id = answer["payment"]["id"].as_str().expect("an id").to_owned();

    let weather = json!({"server": "https://tools.example/mcp", "tool": "weather"});
    let called = structure(&call(client, "call_tool", weather).await);
    assert_eq!(called["result"]["content"][0]["type"], "text");
    assert_eq!(called["untrusted"], json!(["result"]));
    let quoted = structure(&call(client, "quote", json!({"url": "https://shop.example/a"})).await);
    assert_eq!(quoted["untrusted"], json!(["description"]));
    let budget = structure(&call(client, "budget", json!({})).await);
    assert_eq!(budget["windows"][0]["left"], "0.8");
    assert_eq!(budget.get("untrusted"), None);
    let status = call(client, "payment_status", json!({"payment": id, "wait_ms": 10})).await;
    assert_eq!(structure(&status)["payment"]["id"], json!(id));
    let page = structure(&call(client, "payments", json!({})).await);
    assert_eq!(page["payments"].as_array().map(Vec::len), Some(1));

    let refused = structure(&call(client, "fetch", json!({ "url": REFUSED })).await);
    assert_eq!(refused["status"], "refused");
    let failed = failure(&call(client, "fetch", json!({ "url": FAILING })).await);
    assert_eq!(failed["code"], "payee_failed");
    let foreign = call(client, "payment_status", json!({"payment": "pay_999"})).await;
    assert_eq!(failure(&foreign)["code"], "not_found");
    mistakes(client).await;
}

async fn mistakes(client: &Client) {
    for (tool, arguments) in [
        ("fetch", json!({})),
        ("fetch", json!({"url": "https://a.example/", "max_ammount": "1"})),
        ("fetch", json!({"url": "file:///etc/passwd"})),
        ("quote", json!({"url": 7})),
        ("call_tool", json!({"server": "https://a.example/"})),
        ("call_tool", json!({"server": "https://a.example/", "tool": "a", "arguments": []})),
        ("transfer", json!({"to": "scout.eth", "amount": "1", "idempotency_key": "k"})),
        ("budget", json!({"agent": "agt_other"})),
        ("payment_status", json!({"payment": "x"})),
        ("payment_status", json!({"payment": "pay_1", "wait_ms": 60001})),
        ("payments", json!({"cursor": ""})),
    ] {
        let result = call(client, tool, arguments.clone()).await;
        assert_eq!(failure(&result)["code"], "bad_request", "{tool} {arguments}");
    }
    let unknown = try_call(client, "approve", json!({})).await;
    assert!(matches!(unknown, Err(ServiceError::McpError(_))), "{unknown:?}");
}

#[tokio::test]
async fn agents_shop_over_http_in_both_eras() {
    for (n, lifecycle) in lifecycles().into_iter().enumerate() {
        let stand = Stand::open().await;
        let token = stand.book.add(&format!("era-{n}"));
        let client = connected(&stand, &token, lifecycle).await;
        let info = client.peer_info().expect("the server introduces itself");
        let instructions = info.instructions.clone().expect("instructions");
        assert!(instructions.contains("idempotency_key"));
        shop(&client).await;
        assert!(
            stand.teller.calls().iter().all(|(agent, _)| agent.as_str() == format!("agt_era-{n}"))
        );
        client.cancel().await.expect("the client closes");
    }
}

#[tokio::test]
async fn what_the_desk_does_not_declare_it_does_not_answer() {
    for (n, lifecycle) in lifecycles().into_iter().enumerate() {
        let stand = Stand::open().await;
        let token = stand.book.add(&format!("era-{n}"));
        let client = connected(&stand, &token, lifecycle).await;
        let info = client.peer_info().expect("the server introduces itself");
        let declared = serde_json::to_value(&info.capabilities).expect("JSON");
        assert_eq!(declared, json!({ "tools": {} }));
        for (what, ended) in [
            ("prompts", client.list_all_prompts().await.map(drop)),
            ("resources", client.list_all_resources().await.map(drop)),
            ("templates", client.list_all_resource_templates().await.map(drop)),
        ] {
            let Err(ServiceError::McpError(error)) = ended else { panic!("{what}: {ended:?}") };
            assert_eq!(error.code, ErrorCode::METHOD_NOT_FOUND, "{what}");
        }
        client.cancel().await.expect("the client closes");
    }
}

#[tokio::test]
async fn what_is_no_message_is_answered_as_json_rpc() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    for (body, code) in [
        ("", -32_700),
        ("{", -32_700),
        ("{}{}", -32_700),
        ("null", -32_600),
        ("[]", -32_600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32_600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32_600),
    ] {
        let request = client().post(&stand.door.mcp_url).bearer_auth(token.expose());
        let request = request.header("content-type", "application/json").body(body);
        let request = request.header("accept", "application/json, text/event-stream");
        let answer = request.send().await.expect("the door answers");
        assert_eq!(answer.status(), 400, "{body}");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &Value::Null), "{body}");
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    assert!(stand.teller.calls().is_empty());
}

#[tokio::test]
async fn wrong_tokens_are_refused_over_mcp() {
    let stand = Stand::open().await;
    let unknown = Token::generate().expect("the system has randomness");
    let revoked = stand.book.add("gone");
    stand.book.revoke(&revoked);
    for token in [unknown.expose(), revoked.expose(), "imp_short", ""] {
        for lifecycle in lifecycles() {
            assert!(connect(&stand, token, lifecycle).await.is_err(), "{token:?} was let in");
        }
    }
    let token = stand.book.add("anna");
    let client = connected(&stand, &token, ClientLifecycleMode::Initialize).await;
    stand.book.revoke(&token);
    assert!(try_call(&client, "budget", json!({})).await.is_err(), "a revoked token still works");
    assert!(stand.teller.calls().is_empty());
}

#[tokio::test]
async fn two_agents_never_see_each_other() {
    let stand = Stand::open().await;
    let (anna, bert) = (stand.book.add("anna"), stand.book.add("bert"));
    for lifecycle in lifecycles() {
        let annas = connected(&stand, &anna, lifecycle.clone()).await;
        let berts = connected(&stand, &bert, lifecycle).await;
        let bought = call(&annas, "fetch", json!({"url": "https://shop.example/secret"})).await;
        let id = structure(&bought)["payment"]["id"].clone();
        let peek = call(&berts, "payment_status", json!({ "payment": id })).await;
        assert_eq!(failure(&peek)["code"], "not_found");
        assert_eq!(structure(&call(&berts, "payments", json!({})).await)["payments"], json!([]));
        let budgets = futures::future::join_all((0..20).map(|n| {
            let who = if n % 2 == 0 { &annas } else { &berts };
            call(who, "budget", json!({}))
        }));
        for (n, budget) in budgets.await.iter().enumerate() {
            let expected = if n % 2 == 0 { "agt_anna" } else { "agt_bert" };
            assert_eq!(structure(budget)["agent"], expected);
        }
    }
}

#[tokio::test]
async fn no_session_can_be_taken_over() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let send = async |session: Option<&str>, body: Value| {
        let request = client().post(&stand.door.mcp_url).bearer_auth(token.expose()).json(&body);
        let request = request.header("accept", "application/json, text/event-stream");
        let request = match session {
            Some(session) => request.header("mcp-session-id", session),
            None => request,
        };
        request.send().await.expect("the door answers")
    };
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}});
    let greeted = send(None, hello).await;
    assert_eq!(greeted.status(), 200);
    assert!(!greeted.headers().contains_key("mcp-session-id"), "there is no session to take over");
    let greeting: Value = greeted.json().await.expect("JSON");
    assert_eq!(greeting["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(greeting["result"]["serverInfo"]["name"], "imprest");
    // A session identifier of one's own invention changes nothing about who asks.
    let budget = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "budget", "arguments": {}}});
    let answer: Value = send(Some("agt_bert"), budget).await.json().await.expect("JSON");
    assert_eq!(answer["result"]["structuredContent"]["agent"], "agt_anna");
}

/// A client at one end of the bridge, the desk at the other.
async fn bridged(teller: HttpTeller, lifecycle: ClientLifecycleMode) -> Client {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(far);
    tokio::spawn(bridge(teller, input, output));
    ().serve_with_lifecycle(near, lifecycle).await.expect("the bridge speaks MCP")
}

#[tokio::test]
async fn agents_shop_over_the_bridge_in_both_eras() {
    for (n, lifecycle) in lifecycles().into_iter().enumerate() {
        let stand = Stand::open().await;
        let token = stand.book.add(&format!("era-{n}"));
        let teller = HttpTeller::new(&stand.door.http_url, &token).expect("a teller");
        let client = bridged(teller, lifecycle).await;
        shop(&client).await;
        assert!(
            stand.teller.calls().iter().all(|(agent, _)| agent.as_str() == format!("agt_era-{n}"))
        );
    }
}

#[tokio::test]
async fn the_bridge_outlives_the_desk_and_finds_it_again() {
    let address: Arc<Mutex<Option<Url>>> = Arc::default();
    let seen = address.clone();
    let move_to = |stand: Option<&Stand>| {
        let url = stand.map(|stand| Url::parse(&stand.door.http_url).expect("an address"));
        *address.lock().expect("not poisoned") = url;
    };
    let first = Stand::open().await;
    let token = first.book.add("anna");
    let locate = move || seen.lock().expect("not poisoned").clone();
    let client = bridged(
        HttpTeller::located(locate, &token).expect("a teller"),
        ClientLifecycleMode::Initialize,
    )
    .await;
    let missing = failure(&call(&client, "budget", json!({})).await);
    assert_eq!(missing["code"], "unavailable");
    assert!(missing["recovery"].as_str().expect("text").contains("imprest serve"));

    move_to(Some(&first));
    assert_eq!(structure(&call(&client, "budget", json!({})).await)["agent"], "agt_anna");
    first.shutdown.cancel();
    first.door.closed().await;
    assert_eq!(failure(&call(&client, "budget", json!({})).await)["code"], "unavailable");

    // Another desk, which does not know this token, and then one that has been told.
    let second = Stand::open().await;
    move_to(Some(&second));
    assert_eq!(failure(&call(&client, "budget", json!({})).await)["code"], "unauthorized");
}

#[tokio::test]
async fn the_bridge_ends_when_its_input_does() {
    let token = Token::generate().expect("the system has randomness");
    for said in [
        "",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\
         \"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}\n\
         {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n",
    ] {
        let teller = HttpTeller::located(|| None, &token).expect("a teller");
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let mut printed = String::new();
        let ended = async {
            bridge(teller, std::io::Cursor::new(said), far).await.expect("it ends in order");
            near.read_to_string(&mut printed).await.expect("text");
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends");
        assert_eq!(printed.lines().count(), usize::from(!said.is_empty()), "{printed}");
    }
}

#[tokio::test]
async fn slow_tools_do_not_hold_up_the_bridge() {
    let stand = Stand::open().await;
    let token = stand.book.add("anna");
    let teller = HttpTeller::new(&stand.door.http_url, &token).expect("a teller");
    let client = Arc::new(bridged(teller, ClientLifecycleMode::Initialize).await);
    let waiting = client.clone();
    let slow = tokio::spawn(async move { call(&waiting, "fetch", json!({ "url": SLOW })).await });
    stand.teller.begun.take().await;
    structure(&call(&client, "budget", json!({})).await);
    stand.teller.let_go.0.add_permits(1);
    assert_eq!(structure(&slow.await.expect("not cancelled"))["status"], "settled");
}
