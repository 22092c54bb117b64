//! What the suite asks of a server under test, around the desk's own handler. What is answered is
//! written as the suite's own descriptions have it.

// Older revisions subscribe in a way that the newest has given up.
#![allow(deprecated)]

use crate::mcp::McpDoor;
use crate::teller::Teller;
use imprest_domain::AgentId;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult,
    InputResponses, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A moment of silence.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
/// What is echoed to the tools that keep state with the client.
const STATES: [&str; 2] = ["round-1", "round-2"];

/// Tools that the suite calls.
const TOOLS: [&str; 17] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_logging_tool",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
];
const PROMPTS: [(&str, &[&str]); 5] = [
    ("test_simple_prompt", &[]),
    ("test_prompt_with_arguments", &["arg1", "arg2"]),
    ("test_prompt_with_embedded_resource", &["resourceUri"]),
    ("test_prompt_with_image", &[]),
    ("test_input_required_result_prompt", &[]),
];

/// The desk's own handler, and the suite's fixtures around it.
pub(super) struct Fixtures<T: Teller>(McpDoor<T>);

impl<T: Teller> Clone for Fixtures<T> {
    fn clone(&self) -> Self {
        Fixtures(self.0.clone())
    }
}

impl<T: Teller<Caller = AgentId>> Fixtures<T> {
    pub(super) fn around(door: McpDoor<T>) -> Fixtures<T> {
        Fixtures(door)
    }
}

/// A part of the protocol, as its JSON is written.
fn part<P: DeserializeOwned>(json: Value) -> P {
    serde_json::from_value(json).expect("a part of the protocol")
}

/// A result that is one, as its JSON is written.
fn complete<P: DeserializeOwned>(mut json: Value) -> P {
    json["resultType"] = json!("complete");
    part(json)
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn resource(uri: &str, kind: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } })
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

/// What the tools answer that need nothing.
fn plain_tool(name: &str) -> Option<Value> {
    Some(match name {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => json!({ "content": [image()] }),
        "test_audio_content" => {
            json!({ "content": [{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }] })
        }
        "test_embedded_resource" => json!({ "content": [resource(
            "test://embedded-resource", "text/plain", "This is an embedded resource content.",
        )] }),
        "test_multiple_content_types" => json!({ "content": [
            { "type": "text", "text": "Multiple content types test:" },
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data"}"#),
        ] }),
        "test_error_handling" => {
            let mut failed = text("This tool intentionally returns an error for testing");
            failed["isError"] = json!(true);
            failed
        }
        "test_logging_tool" => text("Nothing was logged."),
        _ => return None,
    })
}

fn elicitation(message: &str, field: &str, kind: &str) -> Value {
    json!({
        "method": "elicitation/create",
        "params": {
            "message": message,
            "requestedSchema": {
                "type": "object", "properties": { field: { "type": kind } }, "required": [field],
            },
        },
    })
}

fn sampling(question: &str) -> Value {
    json!({
        "method": "sampling/createMessage",
        "params": {
            "messages": [{ "role": "user", "content": { "type": "text", "text": question } }],
            "maxTokens": 100,
        },
    })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// What has to be asked before a tool or a prompt of this name can answer.
fn questions(name: &str, state: Option<&str>) -> Value {
    let name_of = |message| elicitation(message, "name", "string");
    match name {
        "test_input_required_result_elicitation" => {
            json!({ "user_name": name_of("What is your name?") })
        }
        "test_input_required_result_sampling" => {
            json!({ "capital_question": sampling("What is the capital of France?") })
        }
        "test_input_required_result_list_roots" => json!({ "client_roots": roots() }),
        "test_input_required_result_multiple_inputs" => json!({
            "user_name": name_of("What is your name?"),
            "greeting": sampling("Generate a greeting"),
            "client_roots": roots(),
        }),
        "test_input_required_result_multi_round" if state == Some(STATES[0]) => {
            json!({ "step2": elicitation("Step 2: What is your favorite color?", "color", "string") })
        }
        "test_input_required_result_multi_round" => {
            json!({ "step1": name_of("Step 1: What is your name?") })
        }
        "test_input_required_result_prompt" => json!({
            "user_context":
                elicitation("What context should the prompt use?", "context", "string"),
        }),
        _ => json!({ "confirm": elicitation("Please confirm", "ok", "boolean") }),
    }
}

/// Asks for what is missing, or answers with what was said.
fn asked(
    name: &str,
    state: Option<&str>,
    said: Option<&InputResponses>,
) -> Result<Result<String, InputRequiredResult>, ErrorData> {
    let keeps_state = ["request_state", "multiple_inputs", "multi_round", "tampered_state"]
        .iter()
        .any(|kind| name.ends_with(kind));
    if let Some(state) = state
        && keeps_state
        && !STATES.contains(&state)
    {
        return Err(ErrorData::invalid_params("The state is not one of ours.", None));
    }
    let rounds = if name.ends_with("multi_round") { 2 } else { 1 };
    let round = STATES.iter().position(|one| Some(*one) == state).map_or(0, |at| at + 1);
    let questions = questions(name, state.filter(|_| round < rounds));
    let wanted = questions.as_object().into_iter().flat_map(|fields| fields.keys());
    let answered = |said: &InputResponses| wanted.clone().all(|key| is_answer(said.get(key)));
    if let Some(said) = said.filter(|said| {
        if rounds == 2 && round < rounds { false } else { rounds == 2 || answered(said) }
    }) {
        let said = serde_json::to_string(said).unwrap_or_default();
        return Ok(Ok(format!("state-ok, and this was said: {said}")));
    }
    let mut result = json!({ "resultType": "input_required", "inputRequests": questions });
    if keeps_state {
        result["requestState"] = json!(STATES[usize::from(said.is_some() && rounds == 2)]);
    }
    Ok(Err(part(result)))
}

/// Whether an answer to a question is a JSON object at all.
fn is_answer(said: Option<&Value>) -> bool {
    said.is_some_and(Value::is_object)
}

fn tools() -> Vec<Tool> {
    let schema: Arc<JsonObject> = Arc::new(part(json!({ "type": "object", "properties": {} })));
    TOOLS.map(|name| Tool::new(name, "For the conformance suite.", schema.clone())).into()
}

impl<T: Teller> Fixtures<T> {
    fn tool(
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(result) = plain_tool(&request.name) {
            return Ok(complete::<CallToolResult>(result).into());
        }
        let capabilities = context.client_capabilities().unwrap_or_default();
        let can = serde_json::to_value(&capabilities).unwrap_or_default();
        if request.name == "test_missing_capability" && can["sampling"].is_null() {
            let needed = part(json!({ "sampling": {} }));
            return Err(ErrorData::missing_required_client_capability(needed));
        }
        if request.name == "test_input_required_result_capabilities" {
            let mut questions = json!({});
            for (kind, question) in [
                ("elicitation", elicitation("What is your name?", "name", "string")),
                ("sampling", sampling("What is the capital of France?")),
                ("roots", roots()),
            ] {
                if !can[kind].is_null() {
                    questions[kind] = question;
                }
            }
            let asks = json!({ "resultType": "input_required", "inputRequests": questions });
            return Ok(part::<InputRequiredResult>(asks).into());
        }
        let (state, said) = (request.request_state.as_deref(), request.input_responses.as_ref());
        Ok(match asked(&request.name, state, said)? {
            Ok(answer) => complete::<CallToolResult>(text(&answer)).into(),
            Err(question) => question.into(),
        })
    }
}

impl<T: Teller> ServerHandler for Fixtures<T> {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.0.get_info();
        info.capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions()
            .enable_logging()
            .build();
        info
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut all = self.0.list_tools(request, context).await?;
        all.tools.extend(tools());
        Ok(all)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match TOOLS.contains(&request.name.as_ref()) {
            true => Self::tool(&request, &context),
            false => self.0.call_tool(request, context).await,
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.get_tool(name).or_else(|| tools().into_iter().find(|tool| tool.name == name))
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let argument = |name: &&str| json!({ "name": name, "required": true });
        let prompts: Vec<Value> = PROMPTS
            .iter()
            .map(|(name, arguments)| {
                let arguments: Vec<Value> = arguments.iter().map(argument).collect();
                json!({ "name": name, "description": "For the suite.", "arguments": arguments })
            })
            .collect();
        Ok(ListPromptsResult::with_all_items(part(Value::from(prompts))))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let given = Value::from(request.arguments.unwrap_or_default());
        let argument = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        let says = |text: String| json!({ "type": "text", "text": text });
        let contents = match request.name.as_str() {
            "test_simple_prompt" => vec![says("This is a simple prompt for testing.".into())],
            "test_prompt_with_arguments" => vec![says(format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                argument("arg1"),
                argument("arg2")
            ))],
            "test_prompt_with_embedded_resource" => vec![
                resource(&argument("resourceUri"), "text/plain", "Embedded resource content."),
                says("Please process the embedded resource above.".into()),
            ],
            "test_prompt_with_image" => {
                vec![image(), says("Please analyze the image above.".into())]
            }
            "test_input_required_result_prompt" => {
                match asked(&request.name, None, request.input_responses.as_ref())? {
                    Ok(answer) => vec![says(answer)],
                    Err(question) => return Ok(question.into()),
                }
            }
            _ => return Err(ErrorData::invalid_params("There is no such prompt.", None)),
        };
        let message = |content: &Value| json!({ "role": "user", "content": content });
        let messages: Vec<Value> = contents.iter().map(message).collect();
        Ok(complete::<GetPromptResult>(json!({ "messages": messages })).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let listed = ["test://static-text", "test://static-binary"]
            .map(|uri| json!({ "uri": uri, "name": uri, "description": "For the suite." }));
        Ok(ListResourcesResult::with_all_items(part(json!(listed))))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = json!([{ "uriTemplate": "test://template/{id}/data", "name": "template" }]);
        Ok(ListResourceTemplatesResult::with_all_items(part(template)))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, id) {
            ("test://static-text", _) => {
                json!({ "uri": uri, "mimeType": "text/plain", "text": "The static text." })
            }
            ("test://static-binary", _) => {
                json!({ "uri": uri, "mimeType": "image/png", "blob": PNG })
            }
            (_, Some(id)) => {
                let text = json!({ "id": id, "templateTest": true }).to_string();
                json!({ "uri": uri, "mimeType": "application/json", "text": text })
            }
            _ => {
                let which = Some(json!({ "uri": uri }));
                return Err(ErrorData::resource_not_found("There is no such resource.", which));
            }
        };
        Ok(complete::<ReadResourceResult>(
            json!({ "contents": [contents], "ttlMs": 0, "cacheScope": "private" }),
        )
        .into())
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(CompleteResult::default())
    }
}
