//! Lies: which part of which answer is false, and how.

use alloy::sol_types::{SolCall, SolEvent};
use imprest_chain::usdc;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One lie, told in every answer to one kind of question.
#[derive(Debug, Clone)]
pub struct Lie {
    /// The kind of question, as [`kind_of`] names it; every kind when absent.
    pub about: Option<String>,
    pub what: What,
    /// Told only every second time, from the first or from the second on.
    pub turn: Option<usize>,
}

/// What is false.
#[derive(Debug, Clone)]
pub enum What {
    /// One field of the result, by its JSON pointer.
    Field(String, Change),
    /// The answer as a whole.
    Whole(Whole),
    /// Everything, and all of it fits together.
    Story(Story),
}

/// How a field is changed.
#[derive(Debug, Clone)]
pub enum Change {
    Set(Value),
    Remove,
    /// A quantity is so much more.
    Up(u64),
    /// A quantity is so much less.
    Down(u64),
    /// The last digit is another.
    Flip,
    /// More bytes at the end.
    Longer,
}

/// How an answer as a whole is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Null,
    EmptyList,
    Twice,
    OtherId,
    NoVersion,
    Bare,
    InAList,
    Html,
    CutShort,
    TooLong,
    Refusal,
    ServerError,
    Redirect,
    /// It comes, and takes its time.
    Late,
    /// It never comes.
    Never,
}

/// A world that is not the chain's and is free of contradictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// Nothing was ever used, and it is much later than it is.
    LaterAndUnused,
    /// Everything was used, and paid as it was signed.
    AllPaid,
    /// Everything was cancelled.
    AllCancelled,
    /// The chain ended where it was when the test began.
    Stale,
    /// The chain is a thousand blocks longer.
    Longer,
}

const WHOLES: [Whole; 15] = [
    Whole::Null,
    Whole::EmptyList,
    Whole::Twice,
    Whole::OtherId,
    Whole::NoVersion,
    Whole::Bare,
    Whole::InAList,
    Whole::Html,
    Whole::CutShort,
    Whole::TooLong,
    Whole::Refusal,
    Whole::ServerError,
    Whole::Redirect,
    Whole::Late,
    Whole::Never,
];

pub const STORIES: [Story; 5] =
    [Story::LaterAndUnused, Story::AllPaid, Story::AllCancelled, Story::Stale, Story::Longer];

/// The first four bytes of the calls that are told apart.
const CALLS: [([u8; 4], &str); 6] = [
    (usdc::authorizationStateCall::SELECTOR, "authorizationState"),
    (usdc::balanceOfCall::SELECTOR, "balanceOf"),
    (usdc::nameCall::SELECTOR, "name"),
    (usdc::versionCall::SELECTOR, "version"),
    (usdc::decimalsCall::SELECTOR, "decimals"),
    (usdc::DOMAIN_SEPARATORCall::SELECTOR, "DOMAIN_SEPARATOR"),
];

/// Names the kind of a question: its method, and what tells it from others of that method.
pub fn kind_of(request: &Value) -> String {
    let method = request["method"].as_str().unwrap_or_default();
    let of = match method {
        "eth_getBlockByNumber" => {
            let tag = request["params"][0].as_str();
            tag.filter(|tag| ["latest", "finalized"].contains(tag)).unwrap_or("a number")
        }
        "eth_call" => {
            let data = request["params"][0]["input"].as_str().unwrap_or_default();
            let is_to = |word: &[u8; 4]| data.starts_with(&format!("0x{}", hex::encode(word)));
            CALLS.iter().find(|(word, _)| is_to(word)).map_or("a call", |call| call.1)
        }
        "eth_getLogs" if is_for_transfers(request) => "transfers",
        "eth_getLogs" => "authorisations",
        _ => return method.to_owned(),
    };
    format!("{method} {of}")
}

pub fn is_for_transfers(request: &Value) -> bool {
    let transfer = usdc::Transfer::SIGNATURE_HASH.to_string();
    request["params"][0]["topics"][0].to_string().contains(&transfer)
}

/// Whether anything rests on a field; of the others one wrong value each is enough.
fn decides(pointer: &str, kind: &str) -> bool {
    if kind.starts_with("eth_getBlockByNumber") {
        return ["", "/number", "/timestamp"].contains(&pointer);
    }
    let idle = ["/transactionIndex", "/blockTimestamp", "/blockHash"];
    !pointer.starts_with("/logs") && !idle.iter().any(|field| pointer.ends_with(field))
}

/// Every lie about one field of these true results, by kind of question.
pub fn about_fields(truths: &BTreeMap<String, Value>) -> Vec<Lie> {
    let mut lies = Vec::new();
    for (kind, truth) in truths {
        let mut fields = Vec::new();
        leaves(truth, String::new(), &mut fields);
        for (pointer, value) in fields {
            let mut changes = changes(value);
            if !decides(&pointer, kind) {
                changes.truncate(1);
            }
            let lie = |change| Lie {
                about: Some(kind.clone()),
                what: What::Field(pointer.clone(), change),
                turn: None,
            };
            lies.extend(changes.into_iter().map(lie));
        }
    }
    lies
}

/// A word of the contract that is told only now and then.
pub fn now_and_then() -> Vec<Lie> {
    let word = |last: u8| json!(format!("0x{last:064x}"));
    let mut lies = Vec::new();
    for turn in [0, 1] {
        for last in [0, 1] {
            let what = What::Field(String::new(), Change::Set(word(last)));
            let about = Some("eth_call authorizationState".to_owned());
            lies.push(Lie { about, what, turn: Some(turn) });
        }
    }
    lies
}

/// Every answer that is wrong as a whole.
pub fn about_answers(kinds: impl Iterator<Item = String>) -> Vec<Lie> {
    let of = |kind: String| {
        WHOLES.map(|whole| Lie { about: Some(kind.clone()), what: What::Whole(whole), turn: None })
    };
    kinds.flat_map(of).collect()
}

/// Worlds that are free of contradictions.
pub fn stories() -> Vec<Lie> {
    STORIES.map(|story| Lie { about: None, what: What::Story(story), turn: None }).to_vec()
}

/// Everything in a result that is neither a list nor an object, and each list and object too.
fn leaves<'v>(value: &'v Value, at: String, into: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                leaves(item, format!("{at}/{n}"), into);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, format!("{at}/{name}"), into);
            }
        }
        _ => {}
    }
    into.push((at, value));
}

fn changes(value: &Value) -> Vec<Change> {
    let set = |values: &[Value]| values.iter().cloned().map(Change::Set).collect::<Vec<_>>();
    let huge = json!(format!("0x1{}", "0".repeat(64)));
    match value {
        Value::String(text) if text.len() <= 18 => [
            set(&[Value::Null, json!(7), json!("x"), json!("0x"), json!("0x0"), huge]),
            set(&[json!("0xffffffffffffffff"), json!([]), json!(-1), json!(1e300)]),
            vec![Change::Up(1), Change::Down(1), Change::Up(5_000), Change::Remove],
        ]
        .concat(),
        Value::String(text) => {
            let zero = json!(format!("0x{}", "0".repeat(text.len() - 2)));
            let one = json!(format!("0x{}1", "0".repeat(text.len() - 3)));
            let most = json!(format!("0x{}", "f".repeat(text.len() - 2)));
            let mut all = set(&[Value::Null, zero, one, most, json!("0x"), json!(7), json!({})]);
            all.extend([Change::Flip, Change::Longer, Change::Remove]);
            all
        }
        Value::Bool(is_so) => {
            let mut all = set(&[Value::Null, json!(!is_so), json!("true"), json!(0)]);
            all.push(Change::Remove);
            all
        }
        Value::Array(_) | Value::Object(_) => {
            set(&[Value::Null, json!([]), json!({}), json!("0x1"), json!([[]])])
        }
        _ => set(&[json!("0x1"), json!(true)]),
    }
}

impl Lie {
    /// Whether anything rests on what is false.
    pub fn decides(&self) -> bool {
        match (&self.what, &self.about) {
            (What::Field(pointer, _), Some(kind)) => decides(pointer, kind),
            _ => true,
        }
    }
}

impl Change {
    /// Tells it about one field of a result, if the result has that field.
    pub fn tell(&self, result: &mut Value, pointer: &str) {
        if matches!(self, Change::Remove) {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", ""));
            match result.pointer_mut(parent) {
                Some(Value::Object(fields)) => drop(fields.remove(name)),
                Some(Value::Array(items)) => {
                    if let Some(at) = name.parse().ok().filter(|at| *at < items.len()) {
                        items.remove(at);
                    }
                }
                _ => {}
            }
            return;
        }
        let Some(field) = result.pointer_mut(pointer) else { return };
        let text = field.as_str().unwrap_or_default().to_owned();
        let number = u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default();
        *field = match self {
            Change::Set(value) => value.clone(),
            Change::Up(by) => json!(format!("{:#x}", number.saturating_add(*by))),
            Change::Down(by) => json!(format!("{:#x}", number.saturating_sub(*by))),
            Change::Longer => json!(format!("{text}00")),
            Change::Flip => {
                let other = if text.ends_with('7') { "8" } else { "7" };
                json!(format!("{}{other}", &text[..text.len().saturating_sub(1)]))
            }
            Change::Remove => return,
        };
    }
}
