//! Many purchases at once against a limit that covers some of them: in the books and on chain.

use imprest_tests::{Desk, Obstacle, token_balance};
use reqwest::Client;
use serde_json::{Value, json};
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
