//! `imprest-swarm`: one agent program that buys the same thing with many tasks at once.
//!
//! A journey starts several of these, so that what happens at once does so between processes too.
//! The order is one line of JSON on standard input; the answer is one on standard output.

use imprest_tests::{HttpDoor, Obstacle, Swarm};
use serde_json::{Value, json};
use std::io::{Read, stdin};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Far more than an order needs.
const MAX_ORDER_BYTES: u64 = 64 * 1024;
/// What the desk says to whoever has too many requests under way.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// A task that has come so often in vain gives up.
const ATTEMPTS_MAX: usize = 60;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match order_and_buy().await {
        Ok(answers) => {
            println!("{}", Value::Array(answers));
            ExitCode::SUCCESS
        }
        Err(obstacle) => {
            eprintln!("imprest-swarm: {obstacle}");
            ExitCode::FAILURE
        }
    }
}

async fn order_and_buy() -> Result<Vec<Value>, Obstacle> {
    let mut order = String::new();
    let read = stdin().take(MAX_ORDER_BYTES).read_to_string(&mut order);
    read.map_err(|e| Obstacle::new(format!("reading the order: {e}")))?;
    let swarm: Swarm = serde_json::from_str(&order)
        .map_err(|e| Obstacle::new(format!("the order is no JSON of its form: {e}")))?;
    let door = HttpDoor::at(&swarm.desk, &swarm.token)?;
    let gate = Arc::new(Barrier::new(swarm.tasks));
    let mut tasks = JoinSet::new();
    for task in 0..swarm.tasks {
        let (door, gate, good) = (door.clone(), gate.clone(), swarm.good.clone());
        let body = json!({
            "url": good,
            "purpose": format!("task {task} of {}", swarm.name),
            "idempotency_key": format!("{}-{task}", swarm.name),
            "wait_ms": 0,
        });
        tasks.spawn(async move {
            gate.wait().await;
            buy(&door, &body).await
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Buys; as long as the desk says that too many ask at once, comes again when it said.
async fn buy(door: &HttpDoor, body: &Value) -> Result<Value, Obstacle> {
    for _ in 0..ATTEMPTS_MAX {
        match door.post("/v1/fetch", body).await? {
            (200, answer) => return Ok(answer),
            (429, _) => tokio::time::sleep(COME_AGAIN).await,
            (status, failure) => return Err(Obstacle::new(format!("HTTP {status}: {failure}"))),
        }
    }
    Err(Obstacle::new("The desk is busy and stays so."))
}
