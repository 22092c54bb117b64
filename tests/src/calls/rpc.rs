//! What an agent says by MCP: JSON-RPC 2.0 over HTTP, of both eras of the protocol.

use super::draw::{self, CURSORS, one_of, value_of};
use super::{Call, Role, Stage};
use imprest_fuzz::Dice;
use serde_json::{Value, json};

const VERSIONS: [&str; 6] =
    ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01"];
/// What is asked besides calling a tool; some of it is no server's, some of it no method at all.
const METHODS: [&str; 20] = [
    "tools/list",
    "tools/list",
    "ping",
    "server/discover",
    "server/discover",
    "resources/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "logging/setLevel",
    "completion/complete",
    "tasks/get",
    "tasks/result",
    "tasks/cancel",
    "notifications/initialized",
    "notifications/cancelled",
    "sampling/createMessage",
    "tools/call/",
    "rpc.discover",
    "",
];

/// Any message, in an envelope that fits it or does not.
pub(super) fn call(dice: &mut Dice, stage: &Stage, role: &Role) -> Call {
    let era =
        one_of(dice, &[Era::Sessions, Era::Sessions, Era::Stateless, Era::Stateless, Era::Mixed]);
    let message = match dice.roll(24) {
        0 => Value::Array(vec![request(dice, stage, role, era), request(dice, stage, role, era)]),
        1 => json!({ "jsonrpc": "2.0", "id": 7, "result": { "approved": true } }),
        _ => request(dice, stage, role, era),
    };
    let headers = headers(dice, &message, era);
    let body = draw::altered(dice, message.to_string().into_bytes());
    Call {
        method: if dice.once_in(40) { one_of(dice, &["GET", "DELETE", "PUT"]) } else { "POST" },
        path: "/mcp".to_owned(),
        headers,
        body,
        with_token: !dice.once_in(60),
        nth: dice.roll(1_000),
    }
}

/// How a message says which revision it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// In the greeting, if at all: up to 2025-11-25.
    Sessions,
    /// In each message and its headers: from 2026-07-28 on.
    Stateless,
    /// In no way that fits.
    Mixed,
}

fn headers(dice: &mut Dice, message: &Value, era: Era) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !dice.once_in(20) {
        headers.push(("accept", "application/json, text/event-stream".to_owned()));
    }
    let mut version = |text: &str| headers.push(("mcp-protocol-version", text.to_owned()));
    match era {
        Era::Sessions if dice.once_in(2) => version(one_of(dice, &VERSIONS[..4])),
        Era::Sessions => {}
        Era::Stateless => version("2026-07-28"),
        Era::Mixed => version(one_of(dice, &VERSIONS)),
    }
    let named = era == Era::Stateless || era == Era::Mixed && dice.once_in(2);
    let says = [("mcp-method", &message["method"]), ("mcp-name", &message["params"]["name"])];
    for (name, said) in says.into_iter().filter(|_| named) {
        headers.extend(said.as_str().map(|text| (name, text.to_owned())));
    }
    if dice.once_in(12) {
        headers.push(("mcp-session-id", one_of(dice, &["1", "agt_other", ""]).to_owned()));
    }
    headers
}

fn request(dice: &mut Dice, stage: &Stage, role: &Role, era: Era) -> Value {
    let (method, params) = match dice.roll(10) {
        0..=5 => ("tools/call", tool(dice, stage, role)),
        6 => ("initialize", greeting(dice)),
        _ => (one_of(dice, &METHODS), params(dice)),
    };
    let mut request =
        json!({ "jsonrpc": "2.0", "id": id(dice), "method": method, "params": params });
    let version = match era {
        Era::Sessions => None,
        Era::Stateless => Some("2026-07-28"),
        Era::Mixed => Some(one_of(dice, &VERSIONS)),
    };
    if let Some(version) = version {
        request["params"]["_meta"] = meta(dice, version);
    }
    match dice.roll(20) {
        0 => request["jsonrpc"] = json!("1.0"),
        1 => drop(request.as_object_mut().map(|fields| fields.remove("id"))),
        2 => request["params"] = value_of(dice, [Value::Null, json!([]), json!("x")]),
        _ => {}
    }
    request
}

fn id(dice: &mut Dice) -> Value {
    match dice.roll(48) {
        0 => json!("a"),
        1 => json!(""),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => Value::Null,
        5 => json!({}),
        n => json!(n),
    }
}

fn meta(dice: &mut Dice, version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities":
            value_of(dice, [json!({}), json!({}), json!({ "elicitation": {} }), json!(7)]),
        "io.modelcontextprotocol/clientInfo": { "name": "dice", "version": "1" },
    })
}

fn greeting(dice: &mut Dice) -> Value {
    json!({
        "protocolVersion": one_of(dice, &VERSIONS),
        "capabilities": {},
        "clientInfo": { "name": "dice", "version": "1" },
    })
}

fn params(dice: &mut Dice) -> Value {
    match dice.roll(6) {
        0 => json!({ "cursor": one_of(dice, &CURSORS) }),
        1 => json!({ "taskId": "1" }),
        2 => json!({ "requestId": 3, "reason": "changed my mind" }),
        3 => json!({ "uri": "file:///etc/passwd", "name": "x" }),
        _ => json!({}),
    }
}

fn tool(dice: &mut Dice, stage: &Stage, role: &Role) -> Value {
    let (name, arguments) = match dice.roll(16) {
        0..=3 => ("fetch", draw::fetch(dice, stage, role)),
        4..=5 => ("quote", draw::fetch(dice, stage, role)),
        6 => ("transfer", draw::transfer(dice, stage, role)),
        7..=8 => ("budget", json!({})),
        9..=11 => ("payment_status", json!({ "payment": draw::payment(dice), "wait_ms": 20 })),
        12..=13 => (
            "payments",
            match dice.once_in(2) {
                true => json!({}),
                false => json!({ "cursor": one_of(dice, &CURSORS) }),
            },
        ),
        14 => (one_of(dice, &["approve", "thaw", "Fetch", ""]), json!({})),
        _ => (
            one_of(dice, &["budget", "payments", "fetch"]),
            value_of(dice, [json!([]), json!({ "agent": "agt_other" }), Value::Null]),
        ),
    };
    let mut call = json!({ "name": name, "arguments": arguments });
    if dice.once_in(30) {
        call["task"] = json!({ "ttl": 60_000 });
    }
    call
}
