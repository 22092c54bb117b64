//! Hostile web pages in a real browser get nothing from the agents' door, whether they come from
//! another port, from another site, or under a name that was turned to this machine (DNS
//! rebinding), and whether they have guessed a token or not.

// A second loopback address, which the rebound name leads to, is there without asking on Linux only.
#![cfg(target_os = "linux")]

use imprest_tests::{Desk, HttpDoor, Obstacle, workspace_root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A token of the right form that nobody was given.
const GUESS: &str = "imp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Somebody else's address.
const TO: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Pages, and how many tokens each of them tries.
const STAGES: [&str; 4] =
    ["another port", "another site", "another name of the same machine", "rebound"];
const TOKENS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_pages_get_nothing() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let desk = Desk::serve_practice(folder.path())?;
    let token = desk.add_agent("Anna", &["--grade", "L4", "--per-day", "1.00"])?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.clone().ok_or_else(|| Obstacle::new("No practice network."))?;
    let good = practice.good("weather");
    let anna = HttpDoor::new(&ready, &token)?;
    // Where a token is used for the first time is noted; the pages shall change nothing at all.
    let budget = anna.get("/v1/budget").await?;
    let before = state(&desk)?;

    let report = browse(&ready.url, &token, &good)?;

    assert_eq!(state(&desk)?, before, "the books have changed");
    assert_eq!(anna.get("/v1/budget").await?, budget, "the budget has changed");
    assert_eq!(anna.payments().await?, Vec::<Value>::new());
    nothing_was_got(&report);
    the_attempts_were_real(&report);

    // The token was good all the time, and the pages have not shut its agent out.
    let bought = anna.fetch(&json!({ "url": good, "wait_ms": 60_000 })).await?;
    assert_eq!(bought["status"], "settled", "{bought}");
    Ok(())
}

/// What the books are, to the last event.
fn state(desk: &Desk) -> Result<(Value, Value, Value), Obstacle> {
    let proof = desk.read(&["verify"])?.done()?.clone();
    assert_eq!(proof["whole"], true, "{proof}");
    let activity = desk.read(&["activity"])?.documents;
    Ok((proof["events"].clone(), proof["head"].clone(), Value::from(activity)))
}

/// Opens the pages in Chromium against the door, and answers what came of it.
fn browse(door: &str, token: &str, good: &str) -> Result<Value, Obstacle> {
    let output = Command::new("node")
        .arg(workspace_root().join("tests/browser/stranger.mjs"))
        .env("DOOR", door)
        .env("TOKEN", token)
        .env("GUESS", GUESS)
        .env("GOOD", good)
        .env("TO", TO)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Obstacle::new(format!("starting node: {e}")))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        Obstacle::new(format!(
            "The pages gave no report ({error}). `cargo xtask setup` installs what they need. \
             Node said: {said}"
        ))
    })
}

/// Every answer was the same refusal, and a page of another origin could not even read that.
fn nothing_was_got(report: &Value) {
    let visits = report["visits"].as_array().expect("visits");
    assert_eq!(visits.len(), STAGES.len() * TOKENS);
    let (mut tried, mut refused) = (0, 0);
    let mut read_by: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for visit in visits {
        let stage = visit["stage"].as_str().expect("a stage");
        let token = &visit["token"];
        let answers = visit["answers"].as_object().expect("answers");
        assert!(answers.keys().all(|status| status == "403"), "{stage} {token}: {answers:?}");
        refused += answers.values().filter_map(Value::as_u64).sum::<u64>();
        let mut read = String::new();
        for (attempt, got) in visit["got"].as_object().expect("attempts") {
            tried += 1;
            let Some(text) = got.as_str() else { continue };
            let refusal =
                text.starts_with("403 ") || attempt.starts_with("iframe") || is_form(attempt);
            assert!(refusal, "{stage}, {token} token, {attempt}: {text}");
            assert!(text.contains(r#""code":"forbidden""#), "{stage}, {attempt}: {text}");
            // Only what is loaded in place of the page, or is of its own origin, can be read.
            let readable = stage == "rebound" || attempt == "navigation";
            assert!(readable, "{stage}, {token} token, {attempt} was read: {text}");
            read.push_str(&format!("{attempt}: {text}\n"));
        }
        read_by.entry(stage).or_default().insert(read);
    }
    println!("{} visits, {tried} attempts, {refused} answers, each of them 403", visits.len());
    for (stage, read) in read_by {
        assert_eq!(read.len(), 1, "{stage}: what a page reads tells whether its token is good");
    }
    let said = report["rebound_said"].as_object().expect("statuses");
    assert!(said.keys().eq(["403"]), "the rebound door said {said:?}");
}

fn is_form(attempt: &str) -> bool {
    attempt.starts_with("form ")
}

/// The same pages against a door without a lock: what they send arrives, and they read the answers.
fn the_attempts_were_real(report: &Value) {
    let unlocked = report["unlocked"].as_array().expect("visits");
    assert_eq!(unlocked.len(), STAGES.len());
    for visit in unlocked {
        let stage = &visit["stage"];
        let arrived: BTreeSet<&str> =
            visit["arrived"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for wanted in [
            "GET /v1/budget",
            "GET /v1/payments",
            "GET /v1/openapi.json",
            "POST /v1/fetch",
            "POST /v1/quote",
            "POST /v1/transfers",
            "POST /mcp",
            "GET /mcp",
            "WS /mcp",
        ] {
            assert!(arrived.contains(wanted), "{stage}: {wanted} never left the page: {arrived:?}");
        }
        for attempt in [
            "fetch /v1/budget",
            "fetch /v1/budget with the header",
            "xhr /v1/payments",
            "fetch /v1/transfers application/json",
            "xhr /mcp application/json",
            "script /v1/budget",
            "events /mcp",
            "socket /mcp",
        ] {
            assert!(visit["got"][attempt].is_string(), "{stage}: {attempt} gets nothing anywhere");
        }
    }
}
