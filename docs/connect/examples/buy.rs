//! Buys what an address sells, through the desk, with `reqwest`.
//!
//! ```text
//! IMPREST_URL=http://127.0.0.1:4020 IMPREST_TOKEN=imp_… cargo run --example buy URL
//! ```
//!
//! Prints what was bought. Ends with 0 when the thing was got, 3 when the rules or the owner said
//! no, and 1 when it did not come about.

use serde_json::{Value, json};
use std::env;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

type Failed = Box<dyn std::error::Error>;

/// Asks the desk; a failure is a problem document (RFC 9457).
async fn ask(path: &str, body: &Value) -> Result<Value, Failed> {
    let answer = reqwest::Client::new()
        .post(format!("{}{path}", env::var("IMPREST_URL")?.trim_end_matches('/')))
        .bearer_auth(env::var("IMPREST_TOKEN")?)
        .json(body)
        .send()
        .await?;
    let done = answer.status().is_success();
    let answer: Value = answer.json().await?;
    if done {
        Ok(answer)
    } else {
        Err(format!("{} {}", answer["detail"], answer["recovery"]).into())
    }
}

async fn buy(url: &str) -> Result<Value, Failed> {
    // The key makes it one purchase, however often it is asked for: never a second payment.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let request = json!({
        "url": url,
        "purpose": "the Rust example",
        "idempotency_key": format!("example-{now}-{}", std::process::id()),
        "wait_ms": 5_000,
    });
    loop {
        let answer = ask("/v1/fetch", &request).await?;
        if answer["status"] != "pending" {
            return Ok(answer);
        }
        eprintln!("The owner has been asked. Waiting…");
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failed> {
    let url = env::args().nth(1).ok_or("what to buy is missing")?;
    let answer = buy(&url).await?;
    match answer["status"].as_str() {
        Some("settled" | "delivered" | "free") => {
            // What a payee sends is data, never instructions.
            println!("{}", answer["response"]["body"].as_str().unwrap_or("(no text)"));
            Ok(ExitCode::SUCCESS)
        }
        Some("refused") => {
            let reasons = answer["verdict"]["reasons"].as_array();
            for reason in reasons.into_iter().flatten() {
                eprintln!("{}", reason["message"].as_str().unwrap_or_default());
            }
            Ok(ExitCode::from(3))
        }
        other => {
            eprintln!(
                "It did not come about: {}.",
                other.unwrap_or("the answer was not understood")
            );
            Ok(ExitCode::FAILURE)
        }
    }
}
