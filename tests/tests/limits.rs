//! Many purchases at once against a limit that covers some of them: in the books and on chain.

use imprest_tests::{Desk, Obstacle, Swarm, token_balance};
use reqwest::Client;
use serde_json::{Value, json};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

const AT_ONCE: usize = 100;
const COVERED: usize = 37;
/// The price of the shop's weather report, in atomic units.
const PRICE_UNITS: u128 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_against_a_limit_for_thirty_seven() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let desk = Desk::serve_practice(folder.path())?;
    let made = desk.owner(&["agent", "add", "Swarm", "--grade", "L3", "--per-day", "0.37"])?;
    let token = made.done()?["token"].as_str().unwrap_or_default().to_owned();
    let ready = desk.ready()?.clone();
    let practice = ready.practice.ok_or_else(|| Obstacle::new("No practice network."))?;
    let good = practice.good("weather");

    let client = Client::new();
    let quote = ask(&client, &ready.url, "quote", &token, &json!({ "url": good })).await?;
    let shop = quote["pay_to"].as_str().unwrap_or_default().to_owned();
    let before = token_balance(&practice.rpc, &practice.usdc, &shop).await?;

    let mut swarm = JoinSet::new();
    for purchase in 1..=AT_ONCE {
        let (client, url, token, good) =
            (client.clone(), ready.url.clone(), token.clone(), good.clone());
        swarm.spawn(async move { buy(&client, &url, &token, &good, purchase).await });
    }
    let mut statuses = Vec::new();
    for answer in swarm.join_all().await {
        let answer = answer?;
        if answer["status"] == "refused" {
            assert_eq!(answer["verdict"]["reasons"][0]["code"], "over_per_day", "{answer}");
        }
        statuses.push(answer["status"].as_str().unwrap_or_default().to_owned());
    }
    let count = |status: &str| statuses.iter().filter(|s| *s == status).count();
    let outcome = (count("settled"), count("refused"));
    assert_eq!(outcome, (COVERED, AT_ONCE - COVERED), "{statuses:?}");

    let after = token_balance(&practice.rpc, &practice.usdc, &shop).await?;
    assert_eq!(after - before, PRICE_UNITS * COVERED as u128, "on chain");
    let books = desk.read(&["books"])?;
    assert_eq!(books.done()?["equal"], true, "{books:?}");
    let proof = desk.read(&["verify"])?;
    assert_eq!(proof.done()?["whole"], true, "{proof:?}");
    Ok(())
}

/// Agent programs at work at once, each a process with its own agent.
const PROCESSES: usize = 4;
/// Purchases that each of them begins at the same moment.
const TASKS: usize = 256;
/// How many of them the budget above all four covers.
const COVERED_TOGETHER: usize = 137;
/// A signature that nobody takes is given back after its window and a margin.
const PATIENCE: Duration = Duration::from_secs(300);

/// Each agent's own limit would cover 50 and so all four together 200: the shared budget stops
/// them at exactly 137, and the shop gets exactly that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_fifty_six_tasks_in_four_processes() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let desk = Desk::serve_practice(folder.path())?;
    desk.owner(&["shared", "add", "Team", "--per-day", "1.37"])?.done()?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.clone().ok_or_else(|| Obstacle::new("No practice network."))?;
    let good = practice.good("weather");
    let mut swarms = Vec::new();
    for name in ["Anna", "Bert", "Cleo", "Dora"] {
        let options = ["--grade", "L3", "--per-day", "0.50", "--shared", "team"];
        let token = desk.add_agent(name, &options)?;
        swarms.push(Swarm::new(name, &ready, &token, &good, TASKS));
    }
    assert_eq!(swarms.len(), PROCESSES);
    let client = Client::new();
    let wanted = json!({ "url": good });
    let quote = ask(&client, &ready.url, "quote", &swarms[0].token, &wanted).await?;
    let shop = quote["pay_to"].as_str().unwrap_or_default().to_owned();

    let program = Path::new(env!("CARGO_BIN_EXE_imprest-swarm"));
    let answers: Vec<Vec<Value>> = thread::scope(|scope| {
        let running: Vec<_> =
            swarms.iter().map(|swarm| scope.spawn(|| swarm.run(program))).collect();
        running.into_iter().map(|run| run.join().expect("runs")).collect::<Result<_, _>>()
    })?;
    let granted = |answers: &[Value]| answers.iter().filter(|a| was_granted(a)).count();
    let each: Vec<usize> = answers.iter().map(|answers| granted(answers)).collect();
    println!("granted to each process: {each:?}");
    assert_eq!(each.iter().sum::<usize>(), COVERED_TOGETHER, "{each:?}");
    assert!(each.iter().all(|n| *n <= 50), "{each:?}");

    until_nothing_is_in_flight(&desk)?;
    let paid = token_balance(&practice.rpc, &practice.usdc, &shop).await?;
    assert_eq!(paid, PRICE_UNITS * COVERED_TOGETHER as u128, "on chain");
    let proof = desk.read(&["verify"])?;
    assert_eq!(proof.done()?["whole"], true, "{proof:?}");
    Ok(())
}

/// Whether a hold was granted; a refusal has to be one by the limits and nothing else.
fn was_granted(answer: &Value) -> bool {
    if answer["status"] != "refused" {
        let status = answer["status"].as_str().unwrap_or_default();
        assert!(["delivered", "settled", "unknown", "pending"].contains(&status), "{answer}");
        return true;
    }
    let reasons = answer["verdict"]["reasons"].as_array().cloned().unwrap_or_default();
    assert!(reasons.iter().any(|reason| reason["code"] == "over_per_day"), "{answer}");
    false
}

fn until_nothing_is_in_flight(desk: &Desk) -> Result<(), Obstacle> {
    let end = Instant::now() + PATIENCE;
    loop {
        // While payments settle, the chain is ahead of the books, which is no failure yet.
        let answer = desk.read(&["books"])?;
        let books = answer.documents.first().ok_or_else(|| Obstacle::new(format!("{answer:?}")))?;
        if books["in_flight"] == "0.00" {
            assert_eq!(books["equal"], true, "{books}");
            return Ok(());
        }
        if Instant::now() > end {
            return Err(Obstacle::new(format!("Still in flight: {books}")));
        }
    }
}

async fn buy(
    client: &Client,
    desk: &str,
    token: &str,
    good: &str,
    purchase: usize,
) -> Result<Value, Obstacle> {
    let body = json!({
        "url": good,
        "purpose": format!("purchase {purchase}"),
        "idempotency_key": format!("swarm-{purchase}"),
        "wait_ms": 60_000,
    });
    ask(client, desk, "fetch", token, &body).await
}

async fn ask(
    client: &Client,
    desk: &str,
    what: &str,
    token: &str,
    body: &Value,
) -> Result<Value, Obstacle> {
    let trouble = |e: reqwest::Error| Obstacle::new(format!("Asking for a {what}: {e}"));
    let sent = client.post(format!("{desk}/v1/{what}")).bearer_auth(token).json(body).send().await;
    sent.map_err(trouble)?.json().await.map_err(trouble)
}
