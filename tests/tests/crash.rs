//! Pulling the plug in the middle of payments, again and again, on a real desk and chain.

use imprest_tests::{Desk, Obstacle, token_balance};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

const ROUNDS: u64 = 10;
/// Buyers at work when the plug is pulled.
const BUYERS: usize = 4;
const PRICE_UNITS: u128 = 10_000;
/// An unused signature is given back after its window, a margin, and two blocks.
const PATIENCE: Duration = Duration::from_secs(300);

/// What each key was answered with, as far as an answer arrived.
type Answers = Arc<Mutex<BTreeMap<String, Value>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_power_cuts_lose_no_hold_and_pay_nothing_twice() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let mut desk = Desk::serve_practice(folder.path())?;
    let made = desk.owner(&["agent", "add", "Stream", "--grade", "L3", "--per-day", "9.00"])?;
    let token = made.done()?["token"].as_str().unwrap_or_default().to_owned();
    let answers = Answers::default();
    let chance = RandomState::new();

    let (url, good) = (desk.ready()?.url.clone(), good(&desk)?);
    let first = fetch(&url, &token, &good, "before the cuts").await?;
    assert_eq!(first["status"], "settled", "{first}");
    note(&answers, "before the cuts", first);

    for round in 0..ROUNDS {
        // Anywhere from before the first hold to well into settlements.
        let cut_after = Duration::from_millis(50 + chance.hash_one(round) % 6_000);
        println!("round {round}: the plug is pulled after {cut_after:?}");
        stream_until_cut(&mut desk, &token, round, cut_after, &answers).await?;
        desk.serve()?;
        let proof = desk.read(&["verify"])?;
        assert_eq!(proof.done()?["whole"], true, "after round {round}: {proof:?}");
    }

    let paid = settle_all(&desk, &answers).await?;
    no_answer_was_forgotten(&desk, &token, &answers).await?;
    no_key_pays_twice(&desk, &token, &answers, paid).await
}

async fn stream_until_cut(
    desk: &mut Desk,
    token: &str,
    round: u64,
    cut_after: Duration,
    answers: &Answers,
) -> Result<(), Obstacle> {
    let url = desk.ready()?.url.clone();
    let good = good(desk)?;
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (url, good, token) = (url.clone(), good.clone(), token.to_owned());
        let answers = answers.clone();
        buyers.spawn(async move {
            for purchase in 0.. {
                let key = format!("r{round}-b{buyer}-p{purchase}");
                note(&answers, &key, Value::Null);
                match fetch(&url, &token, &good, &key).await {
                    Ok(answer) => note(&answers, &key, answer),
                    Err(_) => return,
                }
            }
        });
    }
    // The cut is what is tested, so its moment is drawn, not awaited.
    tokio::time::timeout(cut_after, std::future::pending::<()>()).await.unwrap_or_default();
    desk.kill();
    buyers.join_all().await;
    Ok(())
}

/// Waits until nothing is in flight, and answers how many payments settled; books equal chain.
async fn settle_all(desk: &Desk, answers: &Answers) -> Result<u64, Obstacle> {
    let end = Instant::now() + PATIENCE;
    loop {
        let books = desk.read(&["books"])?;
        let books = books.done()?;
        if books["in_flight"] == "0.00" {
            assert_eq!(books["equal"], true, "books and chain differ: {books}");
            break;
        }
        if Instant::now() > end {
            return Err(Obstacle::new(format!("Still in flight: {books}")));
        }
        tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>())
            .await
            .unwrap_or_default();
    }
    let settled = settled(desk)?;
    let practice =
        desk.ready()?.practice.clone().ok_or_else(|| Obstacle::new("No practice network."))?;
    let shop = answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
        .find_map(|answer| answer["payment"]["pay_to"].as_str().map(str::to_owned))
        .ok_or_else(|| Obstacle::new("The plug was always pulled before anything was paid."))?;
    let on_chain = token_balance(&practice.rpc, &practice.usdc, &shop).await?;
    assert_eq!(on_chain, PRICE_UNITS * u128::from(settled), "paid on chain and in the books");
    println!("{settled} payments settled");
    Ok(settled)
}

/// Every payment a buyer was told of is in the books, and settled ones stayed settled.
async fn no_answer_was_forgotten(
    desk: &Desk,
    token: &str,
    answers: &Answers,
) -> Result<(), Obstacle> {
    let told: Vec<Value> =
        answers.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    for answer in told {
        let Some(id) = answer["payment"]["id"].as_str() else { continue };
        let now = desk.agent(token, &["payment", id])?;
        let state = now.documents.first().map(|d| d["payment"]["state"].clone());
        if answer["status"] == "settled" {
            assert_eq!(state, Some(json!("settled")), "{id} was forgotten: {now:?}");
        }
    }
    Ok(())
}

/// Asking again with every key, cut off or answered: each stands for one payment, and what was
/// settled is not paid again.
async fn no_key_pays_twice(
    desk: &Desk,
    token: &str,
    answers: &Answers,
    paid: u64,
) -> Result<(), Obstacle> {
    let url = desk.ready()?.url.clone();
    let good = good(desk)?;
    let told = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut payments = BTreeSet::new();
    let mut settled_keys = 0;
    for (key, before) in &told {
        let now = fetch(&url, token, &good, key).await?;
        if let Some(id) = before["payment"]["id"].as_str() {
            assert_eq!(now["payment"]["id"], id, "{key} became another payment: {now}");
        }
        let id = now["payment"]["id"].as_str().unwrap_or_default().to_owned();
        assert!(payments.insert(id), "{key} shares its payment with another key: {now}");
        settled_keys += u64::from(now["status"] == "settled");
    }
    // Keys whose hold was lost with the plug were bought just now; none was bought a second time.
    assert_eq!(settled(desk)?, settled_keys, "more was settled than there are keys for it");
    println!("{} keys asked again, {} of them paid only now", told.len(), settled_keys - paid);
    settle_all(desk, answers).await.map(|_| ())
}

/// How many payments the books call settled.
fn settled(desk: &Desk) -> Result<u64, Obstacle> {
    let exported = desk.data().join("settled.csv").display().to_string();
    let answer = desk.read(&["export", "--state", "settled", "--csv", &exported])?;
    answer.done()?["rows"].as_u64().ok_or_else(|| Obstacle::new("No rows were counted."))
}

fn good(desk: &Desk) -> Result<String, Obstacle> {
    let practice = desk.ready()?.practice.clone();
    let practice = practice.ok_or_else(|| Obstacle::new("No practice network."))?;
    Ok(practice.good("weather"))
}

fn note(answers: &Answers, key: &str, answer: Value) {
    answers.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), answer);
}

async fn fetch(url: &str, token: &str, good: &str, key: &str) -> Result<Value, Obstacle> {
    let body = json!({ "url": good, "idempotency_key": key, "wait_ms": 20_000 });
    let trouble = |e: reqwest::Error| Obstacle::new(e.to_string());
    let client = Client::builder().timeout(Duration::from_secs(60)).build().map_err(trouble)?;
    let sent = client.post(format!("{url}/v1/fetch")).bearer_auth(token).json(&body).send().await;
    sent.map_err(trouble)?.json().await.map_err(trouble)
}
