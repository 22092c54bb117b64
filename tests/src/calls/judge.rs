//! What an answer may be, whoever asked for whatever: of a documented kind, whole, and about nobody
//! but the one who asked.

use super::{Call, Role};
use imprest_gateway::wire::{BudgetAnswer, FetchAnswer, PaymentsPage, QuoteAnswer};
use imprest_gateway::{FailureCode, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the door said to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The HTTP status.
    pub status: u16,
    /// The content type, empty when there is none.
    pub kind: String,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(600).collect();
        write!(f, "HTTP {} {:?} {body}", self.status, self.kind)
    }
}

/// Sees every answer, and knows which payment is whose.
#[derive(Debug)]
pub struct Witness {
    roles: Vec<Role>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    owner: HashMap<String, usize>,
    of: Vec<Vec<String>>,
}

impl Witness {
    /// Agents are numbered in the order of their roles.
    pub fn new(roles: Vec<Role>) -> Witness {
        let of = vec![Vec::new(); roles.len()];
        Witness { roles, known: Mutex::new(Known { owner: HashMap::new(), of }) }
    }

    /// The payments that answers have named so far: the agent's own, and some of the others'.
    pub fn payments(&self, agent: usize) -> (Vec<String>, Vec<String>) {
        let known = self.known();
        let next = (agent + 1) % self.roles.len();
        (known.of[agent].clone(), known.of[next].clone())
    }

    /// Judges an answer; answers what kind it is, such as `settled` or `bad_request`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn hear(&self, agent: usize, call: &Call, heard: &Heard) -> Result<String, String> {
        self.about_nobody_else(agent, call, heard)?;
        if call.method == "HEAD" && (400..500).contains(&heard.status) {
            return Ok(format!("HEAD {}", heard.status));
        }
        if heard.status >= 400 && heard.kind == "application/problem+json" {
            return problem(heard);
        }
        if call.path == "/mcp" {
            return self.message(agent, call, heard);
        }
        if heard.status != 200 || heard.kind != "application/json" {
            return Err("neither an answer nor a problem".to_owned());
        }
        let route = call.path.split('?').next().unwrap_or_default();
        let answer = json(&heard.body)?;
        let word = match route {
            "/v1/fetch" | "/v1/transfers" => fetched(&answer)?,
            "/v1/quote" => typed::<QuoteAnswer>(&answer).map(|_| "quoted".to_owned())?,
            "/v1/budget" => self.budget(agent, &answer)?,
            "/v1/payments" => typed::<PaymentsPage>(&answer).map(|_| "page".to_owned())?,
            "/v1/openapi.json" if answer["openapi"].is_string() => "openapi".to_owned(),
            path if path.starts_with("/v1/payments/") => fetched(&answer)?,
            _ => return Err("there is nothing at this address".to_owned()),
        };
        self.learn(agent, &answer)?;
        Ok(word)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing in the text belongs to another agent, but for what the agent said itself.
    fn about_nobody_else(&self, agent: usize, call: &Call, heard: &Heard) -> Result<(), String> {
        let text = String::from_utf8_lossy(&heard.body).to_lowercase();
        let asked = format!("{} {}", call.path, String::from_utf8_lossy(&call.body)).to_lowercase();
        if text.contains("imp_") {
            return Err("it has a token in it".to_owned());
        }
        for (other, role) in self.roles.iter().enumerate().filter(|(other, _)| *other != agent) {
            for word in [role.mark.to_lowercase(), role.float.to_lowercase()] {
                if text.contains(&word) && !asked.contains(&word) {
                    return Err(format!("it has {word} of agent {other} in it"));
                }
            }
        }
        let known = self.known();
        for id in payments_in(&text).filter(|id| !asked.contains(*id)) {
            if known.owner.get(id).is_some_and(|owner| *owner != agent) {
                return Err(format!("it names {id}, which is another agent's"));
            }
        }
        Ok(())
    }

    /// Notes the payments that an answer is about; they are the agent's from then on.
    fn learn(&self, agent: usize, answer: &Value) -> Result<(), String> {
        let page = answer["payments"].as_array().into_iter().flatten();
        let mut known = self.known();
        for id in page.chain([&answer["payment"]]).filter_map(|payment| payment["id"].as_str()) {
            match known.owner.get(id) {
                Some(owner) if *owner != agent => {
                    return Err(format!("it tells about {id}, which is another agent's"));
                }
                Some(_) => {}
                None => {
                    known.owner.insert(id.to_owned(), agent);
                    known.of[agent].push(id.to_owned());
                }
            }
        }
        Ok(())
    }

    fn budget(&self, agent: usize, answer: &Value) -> Result<String, String> {
        let budget: BudgetAnswer = typed(answer)?;
        if budget.agent == self.roles[agent].mark {
            return Ok("budget".to_owned());
        }
        Err(format!("it is the budget of {}", budget.agent))
    }

    /// A JSON-RPC message, or none where none is due.
    fn message(&self, agent: usize, call: &Call, heard: &Heard) -> Result<String, String> {
        if heard.status >= 500 {
            return Err("a server error".to_owned());
        }
        if heard.body.is_empty() || heard.kind != "application/json" {
            return match heard.status {
                202 => Ok("MCP accepted".to_owned()),
                400 | 405 | 406 => Ok(format!("MCP HTTP {}", heard.status)),
                status => Err(format!("nothing is said with {status}")),
            };
        }
        let message = json(&heard.body)?;
        if message["jsonrpc"] != "2.0" || message["result"].is_null() == message["error"].is_null()
        {
            return Err("no JSON-RPC answer".to_owned());
        }
        if let Some(code) = message["error"]["code"].as_i64() {
            let internal = code == -32_603;
            return if internal {
                Err("an internal error".into())
            } else {
                Ok(format!("MCP {code}"))
            };
        }
        if heard.status != 200 {
            return Err("a result with another status than 200".to_owned());
        }
        let result = &message["result"];
        let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if asked["id"].is_i64() && asked["id"] != message["id"] {
            return Err(format!("it answers another call than {}", asked["id"]));
        }
        if asked["method"] != "tools/call" {
            return Ok(format!("MCP {}", asked["method"].as_str().unwrap_or("?")));
        }
        self.tool(agent, asked["params"]["name"].as_str().unwrap_or_default(), result)
    }

    fn tool(&self, agent: usize, name: &str, result: &Value) -> Result<String, String> {
        if result["isError"] == true {
            let text = result["content"][0]["text"].as_str().unwrap_or_default();
            let failure: Value = json(text.as_bytes())?;
            let code: FailureCode =
                typed(&failure["code"]).map_err(|why| format!("the failure's code: {why}"))?;
            return known_failure(code).map(|word| format!("MCP {word}"));
        }
        let answer = &result["structuredContent"];
        let word = match name {
            "fetch" | "transfer" | "payment_status" => fetched(answer)?,
            "quote" => typed::<QuoteAnswer>(answer).map(|_| "quoted".to_owned())?,
            "budget" => self.budget(agent, answer)?,
            "payments" => typed::<PaymentsPage>(answer).map(|_| "page".to_owned())?,
            _ => return Err(format!("there is no tool {name:?}")),
        };
        self.learn(agent, answer)?;
        Ok(format!("MCP {word}"))
    }
}

/// Everything in a text that has the form of a payment's identifier.
fn payments_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("pay_").map(|(at, _)| {
        let rest = &text[at + 4..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        &text[at..at + 4 + end.unwrap_or(rest.len())]
    })
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"))
}

fn typed<A: DeserializeOwned>(value: &Value) -> Result<A, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("of another form: {error}"))
}

/// An answer about a payment; a refusal has its reasons.
fn fetched(answer: &Value) -> Result<String, String> {
    let fetched: FetchAnswer = typed(answer)?;
    let word = answer["status"].as_str().unwrap_or_default().to_owned();
    let reasons = fetched.verdict.map(|verdict| verdict.reasons).unwrap_or_default();
    if word == "refused" && reasons.is_empty() {
        return Err("a refusal without a reason".to_owned());
    }
    Ok(word)
}

/// A problem of the closed set, under its own status.
fn problem(heard: &Heard) -> Result<String, String> {
    let problem: Problem = typed(&json(&heard.body)?)?;
    if problem.status != heard.status || problem.code.status() != heard.status {
        return Err(format!("{} under HTTP {}", problem.code, heard.status));
    }
    known_failure(problem.code)
}

/// A fault of the desk's own is none of the answers that are due.
fn known_failure(code: FailureCode) -> Result<String, String> {
    match code {
        FailureCode::Internal => Err("a fault of the desk's own".to_owned()),
        code => Ok(code.word().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn witness() -> Witness {
        let role = |n: usize| Role { mark: format!("mark-{n}"), float: format!("0x{n:040}") };
        Witness::new((0..2).map(role).collect())
    }

    fn call(path: &str, body: &str) -> Call {
        Call {
            method: "POST",
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
            with_token: true,
            nth: 0,
        }
    }

    fn heard(status: u16, kind: &str, body: &Value) -> Heard {
        Heard { status, kind: kind.to_owned(), body: body.to_string().into_bytes() }
    }

    fn payment(id: &str) -> Value {
        let amount = json!({ "amount": "0.01", "asset": "USDC", "network": "eip155:1" });
        json!({
            "id": id, "state": "settled", "amount": amount, "origin": "x", "pay_to": "x",
            "url": "x", "at": "x",
        })
    }

    #[test]
    fn what_is_anothers_is_seen() {
        let witness = witness();
        let fetch = call("/v1/fetch", "{}");
        let ok = |body: &Value| heard(200, "application/json", body);
        let mine = ok(&json!({ "status": "settled", "payment": payment("pay_1") }));
        assert_eq!(witness.hear(0, &fetch, &mine), Ok("settled".to_owned()));
        assert_eq!(witness.hear(0, &fetch, &mine), Ok("settled".to_owned()));
        for foreign in [
            mine,
            ok(&json!({ "status": "free", "note": "see pay_1" })),
            ok(&json!({ "status": "free", "note": "mark-0" })),
            ok(&json!({ "status": "free", "note": format!("0x{:040}", 0) })),
            ok(&json!({ "status": "free", "note": "imp_" })),
        ] {
            assert!(witness.hear(1, &fetch, &foreign).is_err(), "{foreign}");
        }
        let naming = call("/v1/payments/pay_1", "");
        let not_found = json!({
            "type": "urn:x", "title": "Not found", "status": 404, "detail": "There is no pay_1.",
            "code": "not_found", "recovery": "Look.",
        });
        let said = heard(404, "application/problem+json", &not_found);
        assert_eq!(witness.hear(1, &naming, &said), Ok("not_found".to_owned()));
        assert_eq!(witness.payments(0).0, ["pay_1"]);
        assert_eq!(witness.payments(1).1, ["pay_1"]);
    }

    #[test]
    fn what_is_no_answer_is_seen() {
        let witness = witness();
        let problem = |status: u16, code: &str| {
            let body = json!({
                "type": "urn:x", "title": "x", "status": status, "detail": "x", "code": code,
                "recovery": "x",
            });
            heard(status, "application/problem+json", &body)
        };
        let (fetch, mcp) = (call("/v1/fetch", "{}"), call("/mcp", r#"{"id":3}"#));
        let plain = |body: Value| heard(200, "application/json", &body);
        for (call, bad) in [
            (&fetch, problem(500, "internal")),
            (&fetch, problem(404, "bad_request")),
            (&fetch, problem(400, "no_such_code")),
            (&fetch, plain(json!({ "status": "done" }))),
            (&fetch, plain(json!({ "status": "refused" }))),
            (&fetch, heard(200, "text/html", &json!({ "status": "free" }))),
            (&mcp, plain(json!({ "jsonrpc": "2.0", "id": 3 }))),
            (&mcp, plain(json!({ "jsonrpc": "2.0", "id": 4, "result": {} }))),
            (&mcp, plain(json!({ "jsonrpc": "2.0", "id": 3, "error": { "code": -32603 } }))),
            (&mcp, Heard { status: 500, kind: String::new(), body: Vec::new() }),
            (&mcp, Heard { status: 200, kind: String::new(), body: Vec::new() }),
        ] {
            assert!(witness.hear(0, call, &bad).is_err(), "{bad}");
        }
        assert_eq!(
            witness.hear(0, &fetch, &problem(502, "payee_failed")),
            Ok("payee_failed".into())
        );
    }
}
