//! What is said to an MCP server whose tool is called, and what its answers mean.
//!
//! A tool's price and its payment are those of x402 version 2: an unpaid call ends in a result that
//! is an error and holds the terms, the payment travels in `_meta` of the same call made again, and
//! what became of it in `_meta` of the result.
//!
//! Source: MCP revision 2025-11-25 (transports, lifecycle, tools), and x402 specification v2,
//! `transports-v2/mcp.md`.

mod events;

use crate::json;
use crate::offer::words;
use crate::x402::TERMS_BYTES_MAX;
use events::Events;
use imprest_domain::plain_line;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a server names its session, and a client repeats it.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Where a client names the revision that was agreed on.
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The revisions that a server may choose, the one that is asked for first.
const REVISIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The longest session identifier that is repeated, in bytes.
const SESSION_ID_BYTES_MAX: usize = 1024;
/// The identifier of the message that opens a session.
pub(crate) const OPENING: u64 = 0;
/// The identifier of the message that calls the tool.
pub(crate) const CALL: u64 = 1;
/// The notification that ends the opening.
pub(crate) const OPENED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What a server wants to hear with each message.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Option<HeaderValue>,
    pub(crate) revision: HeaderValue,
}

impl Session {
    /// Reads the answer to [`opening`].
    ///
    /// # Errors
    /// A clause, when it is none that can be talked to.
    pub(crate) fn read(headers: &HeaderMap, result: &str) -> Result<Session, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Opened {
            protocol_version: String,
        }
        let opened: Opened = json::object(result).map_err(|e| words(&e))?;
        let agreed = REVISIONS.into_iter().find(|revision| *revision == opened.protocol_version);
        let Some(revision) = agreed else {
            let theirs = plain_line(&opened.protocol_version, 40);
            return Err(format!("it speaks revision “{theirs}” of MCP, which the desk does not"));
        };
        let id = headers.get(&SESSION_ID).cloned();
        let is_visible = |id: &HeaderValue| {
            (1..=SESSION_ID_BYTES_MAX).contains(&id.len())
                && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        if !id.as_ref().is_none_or(is_visible) {
            return Err("its session’s identifier is malformed".into());
        }
        Ok(Session { id, revision: HeaderValue::from_static(revision) })
    }
}

/// The message that opens a session.
pub(crate) fn opening() -> String {
    serde_json::json!({
        "jsonrpc": "2.0",
        "id": OPENING,
        "method": "initialize",
        "params": {
            "protocolVersion": REVISIONS[0],
            "capabilities": {},
            "clientInfo": {"name": "imprest", "version": env!("CARGO_PKG_VERSION")},
        },
    })
    .to_string()
}

/// The message that calls a tool, with its payment when it is paid; `arguments` is a JSON object.
///
/// # Errors
/// A sentence, when it cannot be written.
pub(crate) fn call(
    tool: &str,
    arguments: &str,
    payment: Option<&RawValue>,
) -> Result<String, String> {
    #[derive(Serialize)]
    struct Call<'a> {
        jsonrpc: &'a str,
        id: u64,
        method: &'a str,
        params: Params<'a>,
    }
    #[derive(Serialize)]
    struct Params<'a> {
        name: &'a str,
        arguments: &'a RawValue,
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Meta<'a>>,
    }
    #[derive(Serialize)]
    struct Meta<'a> {
        #[serde(rename = "x402/payment")]
        payment: &'a RawValue,
    }
    let arguments: &RawValue = serde_json::from_str(arguments).map_err(|e| words(&e))?;
    let params = Params { name: tool, arguments, meta: payment.map(|payment| Meta { payment }) };
    let call = Call { jsonrpc: "2.0", id: CALL, method: "tools/call", params };
    serde_json::to_string(&call).map_err(|e| words(&e))
}

/// A server's answer to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Its result, JSON.
    Result(String),
    /// Its error, bounded; a stranger's text.
    Error(String),
}

impl Reply {
    /// Reads one JSON-RPC message; nothing when it is not the answer to `id`.
    fn read(message: &[u8], id: u64) -> Option<Reply> {
        #[derive(Deserialize)]
        struct Message<'a> {
            jsonrpc: String,
            #[serde(borrow, default)]
            id: Option<&'a RawValue>,
            #[serde(borrow, default)]
            result: Option<&'a RawValue>,
            #[serde(default)]
            error: Option<Fault>,
        }
        #[derive(Deserialize)]
        struct Fault {
            code: i64,
            message: String,
        }
        let text = std::str::from_utf8(message).ok()?;
        let message: Message<'_> = json::object(text).ok()?;
        if message.jsonrpc != "2.0" || message.id?.get() != id.to_string() {
            return None;
        }
        match (message.result, message.error) {
            (Some(result), None) => Some(Reply::Result(result.get().to_owned())),
            (None, Some(fault)) => {
                Some(Reply::Error(format!("{} ({})", plain_line(&fault.message, 120), fault.code)))
            }
            _ => None,
        }
    }
}

/// Listens for the answer to one message, in a body that is the answer or in a stream of events.
#[derive(Debug)]
pub(crate) struct Listener {
    id: u64,
    stream: Option<Events>,
    heard: Option<Reply>,
}

impl Listener {
    /// Listens for the answer to `id`, in a body of this kind.
    pub(crate) fn new(headers: &HeaderMap, id: u64) -> Listener {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        let is_stream = kind.eq_ignore_ascii_case("text/event-stream");
        Listener { id, stream: is_stream.then(Events::default), heard: None }
    }

    /// Hears what has arrived so far; whether that is enough.
    pub(crate) fn hear(&mut self, arrived: &[u8]) -> bool {
        let Some(events) = &mut self.stream else { return false };
        while self.heard.is_none()
            && let Some(event) = events.next(arrived)
        {
            self.heard = Reply::read(&event, self.id);
        }
        self.heard.is_some()
    }

    /// The answer, once all has arrived.
    pub(crate) fn answer(mut self, arrived: &[u8]) -> Option<Reply> {
        match self.stream {
            None => Reply::read(arrived, self.id),
            Some(_) => {
                self.hear(arrived);
                self.heard
            }
        }
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    /// The result as it came, JSON.
    pub(crate) result: String,
    /// Whether the tool says that it failed.
    pub(crate) is_error: bool,
    /// The terms it asks to be paid by, JSON, if it does.
    pub(crate) terms: Option<String>,
    /// What it says became of a payment, JSON, if it says anything.
    pub(crate) settlement: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(borrow, default)]
    structured_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

/// What may stand for a price, and where else one may stand.
#[derive(Deserialize)]
struct Priced<'a> {
    #[serde(borrow, default, rename = "x402Version")]
    version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    accepts: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "x402/error")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "x402/payment-response")]
    settlement: Option<&'a RawValue>,
}

impl Called {
    /// Reads a tool's result.
    ///
    /// # Errors
    /// A clause, when it is no result, or could be read in two ways.
    pub(crate) fn read(result: String) -> Result<Called, String> {
        let parts: ToolResult<'_> = json::object(&result).map_err(|e| words(&e))?;
        let is_error = parts.is_error.unwrap_or(false);
        let priced = |raw: &RawValue| json::object::<Priced<'_>>(raw.get()).ok().is_some();
        let structured = parts.structured_content.filter(|raw| priced(raw)).map(RawValue::get);
        let text = parts.content.as_ref().and_then(|content| first_text(content));
        let terms = match is_error {
            true => structured.and_then(terms_in).or_else(|| text.as_deref().and_then(terms_in)),
            false => None,
        };
        let settlement = [parts.meta.map(RawValue::get), structured.filter(|_| is_error)]
            .into_iter()
            .flatten()
            .find_map(|holder| json::object::<Priced<'_>>(holder).ok()?.settlement);
        let settlement =
            settlement.map(|raw| raw.get().to_owned()).filter(|text| reads_one_way(text));
        if terms.as_deref().is_some_and(|terms| !reads_one_way(terms)) {
            return Err("its terms are too long, or could be read in two ways".into());
        }
        Ok(Called { is_error, terms, settlement, result })
    }
}

/// The text of the first item, if it is one of text.
fn first_text(content: &[&RawValue]) -> Option<String> {
    #[derive(Deserialize)]
    struct Item {
        r#type: String,
        text: String,
    }
    let item: Item = json::object(content.first()?.get()).ok()?;
    (item.r#type == "text").then_some(item.text)
}

/// The terms that a document is, or has in it as an error's data.
fn terms_in(document: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Wrapper<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let priced: Priced<'_> = json::object(document).ok()?;
    if priced.version.is_some() && priced.accepts.is_some() {
        return Some(document.to_owned());
    }
    let wrapper: Wrapper<'_> = json::object(priced.error?.get()).ok()?;
    let data = wrapper.data.get();
    let inner: Priced<'_> = json::object(data).ok()?;
    (inner.version.is_some() && inner.accepts.is_some()).then(|| data.to_owned())
}

fn reads_one_way(json: &str) -> bool {
    json.len() <= TERMS_BYTES_MAX && json::check(json.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests;
