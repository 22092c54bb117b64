//! A proxy on loopback, in front of a true node, that lies as it is told to.

use crate::lies::{Lie, Story, What, Whole, is_for_transfers, kind_of};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use imprest_chain::usdc;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// The transaction that stories tell of.
pub const TOLD_TX: B256 = B256::repeat_byte(0x66);

/// What one path lies, and how often it was asked about that.
#[derive(Default)]
struct Mouth {
    lie: Option<Lie>,
    asked: usize,
}

/// The proxy, which speaks with another mouth on every path.
#[derive(Clone)]
pub struct Liar {
    node: Url,
    at: Url,
    http: reqwest::Client,
    mouths: Arc<Mutex<HashMap<String, Mouth>>>,
    /// The first telling answer to each kind of question.
    heard: Arc<Mutex<BTreeMap<String, Value>>>,
    contract: Address,
    /// Where the chain ends in [`Story::Stale`].
    stale: u64,
    /// What every authorisation of the test pays, and to whom.
    pays: (Address, u128),
}

impl Liar {
    pub async fn start(node: Url, contract: Address, stale: u64, pays: (Address, u128)) -> Liar {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let liar = Liar {
            node,
            at: Url::parse(&format!("http://{address}/")).expect("a URL"),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            mouths: Arc::default(),
            heard: Arc::default(),
            contract,
            stale,
            pays,
        };
        let router = Router::new().fallback(post(speak)).with_state(liar.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        liar
    }

    pub fn url(&self, mouth: &str) -> Url {
        self.at.join(mouth).expect("a URL")
    }

    /// From now on this mouth tells this lie.
    pub fn tell(&self, mouth: &str, lie: Option<Lie>) {
        let mut mouths = self.mouths.lock().expect("nobody panicked");
        mouths.insert(format!("/{mouth}"), Mouth { lie, asked: 0 });
    }

    /// What was truly answered so far, by kind of question.
    pub fn heard(&self) -> BTreeMap<String, Value> {
        self.heard.lock().expect("nobody panicked").clone()
    }

    /// The lie to tell about this question, if it is its turn.
    fn lie(&self, path: &str, kind: &str) -> Option<What> {
        let mut mouths = self.mouths.lock().expect("nobody panicked");
        let mouth = mouths.get_mut(path)?;
        let lie = mouth.lie.as_ref()?;
        if lie.about.as_ref().is_some_and(|about| about != kind) {
            return None;
        }
        let turn = mouth.asked;
        mouth.asked += 1;
        lie.turn.is_none_or(|told| turn % 2 == told).then(|| lie.what.clone())
    }

    /// The true answer.
    async fn truth(&self, request: &Value) -> Value {
        let answer = self.http.post(self.node.clone()).json(request).send().await;
        answer.expect("the node answers").json().await.expect("JSON")
    }

    async fn story(&self, story: Story, request: &Value) -> Value {
        let kind = kind_of(request);
        let mut request = request.clone();
        if kind == "eth_call authorizationState" && story != Story::Stale {
            if story == Story::Longer {
                request["params"][1] = json!("latest");
                return self.truth(&request).await;
            }
            let word = u8::from(story != Story::LaterAndUnused);
            return result(&request, json!(format!("0x{word:064x}")));
        }
        if kind.starts_with("eth_getLogs") {
            match story {
                Story::LaterAndUnused => return result(&request, json!([])),
                Story::AllPaid | Story::AllCancelled => {
                    return result(&request, self.told_log(story, &request));
                }
                Story::Stale => {}
                Story::Longer => {
                    request["params"][0]["toBlock"] = json!("latest");
                }
            }
        }
        if story == Story::Stale
            && let Some(tag) = request["params"].as_array_mut().and_then(|all| all.first_mut())
            && ["latest", "finalized"].contains(&tag.as_str().unwrap_or_default())
        {
            *tag = json!(format!("{:#x}", self.stale));
        }
        let mut answer = self.truth(&request).await;
        let up = |field: &mut Value, by: u64| {
            let text = field.as_str().unwrap_or_default().trim_start_matches("0x").to_owned();
            let number = u64::from_str_radix(&text, 16).unwrap_or_default();
            *field = json!(format!("{:#x}", number + by));
        };
        if kind.starts_with("eth_getBlockByNumber") && answer["result"].is_object() {
            match story {
                Story::LaterAndUnused => up(&mut answer["result"]["timestamp"], 1_000_000),
                Story::Longer => {
                    up(&mut answer["result"]["number"], 1_000);
                    up(&mut answer["result"]["timestamp"], 1_000_000);
                }
                _ => {}
            }
        }
        answer
    }

    /// The log that a story has for a filter: made of what is asked for.
    fn told_log(&self, story: Story, request: &Value) -> Value {
        let filter = &request["params"][0];
        let height = |name: &str| {
            let text = filter[name].as_str().unwrap_or_default();
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
        };
        // Deep enough to be final, and within what is asked for.
        let block = height("toBlock").saturating_sub(3).max(height("fromBlock"));
        let mut log = json!({
            "address": self.contract, "data": "0x", "blockNumber": format!("{block:#x}"),
            "blockHash": B256::ZERO, "transactionHash": TOLD_TX, "transactionIndex": "0x0",
            "logIndex": "0x1", "removed": false,
        });
        let (to, value) = self.pays;
        if is_for_transfers(request) {
            let payer = &filter["topics"][1];
            log["topics"] = json!([usdc::Transfer::SIGNATURE_HASH, payer, to.into_word()]);
            log["data"] = json!(format!("0x{value:064x}"));
            log["logIndex"] = json!("0x2");
        } else {
            let word = match story {
                Story::AllPaid => usdc::AuthorizationUsed::SIGNATURE_HASH,
                _ => usdc::AuthorizationCanceled::SIGNATURE_HASH,
            };
            log["topics"] = json!([word, filter["topics"][1], filter["topics"][2]]);
        }
        json!([log])
    }
}

fn result(request: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

async fn speak(State(liar): State<Liar>, OriginalUri(uri): OriginalUri, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).expect("JSON-RPC");
    let kind = kind_of(&request);
    match liar.lie(uri.path(), &kind) {
        None => {
            let answer = liar.truth(&request).await;
            let told = &answer["result"];
            if !told.is_null() && *told != json!([]) {
                let mut heard = liar.heard.lock().expect("nobody panicked");
                heard.entry(kind).or_insert_with(|| told.clone());
            }
            axum::Json(answer).into_response()
        }
        Some(What::Story(story)) => axum::Json(liar.story(story, &request).await).into_response(),
        Some(What::Field(pointer, change)) => {
            let mut answer = liar.truth(&request).await;
            change.tell(&mut answer, &format!("/result{pointer}"));
            axum::Json(answer).into_response()
        }
        Some(What::Whole(whole)) => wrong(whole, liar.truth(&request).await).await,
    }
}

/// A true answer, made wrong as a whole.
async fn wrong(whole: Whole, mut answer: Value) -> Response {
    let text = answer.to_string();
    match whole {
        Whole::Null => answer["result"] = Value::Null,
        Whole::EmptyList => answer["result"] = json!([]),
        Whole::Twice => {
            if let Some(items) = answer["result"].as_array_mut() {
                items.extend_from_within(..);
            }
        }
        Whole::OtherId => answer["id"] = json!(4_711),
        Whole::NoVersion => {
            answer.as_object_mut().and_then(|fields| fields.remove("jsonrpc"));
        }
        Whole::Bare => answer = answer["result"].clone(),
        Whole::InAList => answer = json!([answer]),
        Whole::Html => return "<html><body>Welcome</body></html>".into_response(),
        Whole::CutShort => return text[..text.len() / 2].to_owned().into_response(),
        Whole::TooLong => {
            let spaces = stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1 << 16]))
            });
            return Body::from_stream(spaces).into_response();
        }
        Whole::Refusal => {
            answer = json!({
                "jsonrpc": "2.0", "id": answer["id"],
                "error": { "code": -32000, "message": "no\u{202e}pe\n" },
            });
        }
        Whole::ServerError => return StatusCode::BAD_GATEWAY.into_response(),
        Whole::Redirect => {
            let elsewhere = [("location", "http://127.0.0.1:1/")];
            return (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response();
        }
        Whole::Late => tokio::time::sleep(Duration::from_millis(300)).await,
        Whole::Never => std::future::pending().await,
    }
    axum::Json(answer).into_response()
}
