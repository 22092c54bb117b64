//! A thousand honest sales, by two official sellers and the corner shop, many at once: none is
//! refused, none is asked about, none is paid twice, and books, chain and the sellers' own counts
//! agree to the last unit.

use imprest_tests::{Desk, HttpDoor, Merchant, Obstacle, Protocol, Ready, token_balance};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many purchases are under way at once.
const AT_ONCE: usize = 24;
/// Purchases of the official x402 seller's report, at 0.02.
const REPORTS: usize = 350;
/// Purchases of what it says back, each with a body of its own, at 0.03.
const ECHOES: usize = 150;
/// Purchases at the official seller by challenges, at 0.02.
const CHALLENGES: usize = 250;
/// Purchases at the corner shop, at 0.01.
const WEATHERS: usize = 250;

/// How long a purchase waits for its settlement, two blocks deep.
const SETTLE_WAIT_MS: u64 = 60_000;

/// Whom the official sellers are paid as. Nobody else ever pays these addresses.
const X402_PAY_TO: &str = "0x0000000000000000000000000000000000002001";
const CHALLENGE_PAY_TO: &str = "0x0000000000000000000000000000000000002002";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_honest_sales_and_no_false_refusal() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let desk = Desk::serve_practice(folder.path())?;
    let options =
        ["--grade", "L4", "--new-payee", "allow", "--per-payment", "0.25", "--per-day", "40"];
    let token = desk.add_agent("Buyer", &options)?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.clone().ok_or_else(|| Obstacle::new("No practice network."))?;
    let paid = async |to| token_balance(&practice.rpc, &practice.usdc, to).await;

    let seller = Merchant::start(&practice.terms(), X402_PAY_TO)?;
    allow(&desk, &seller)?;
    let reports = (0..REPORTS).map(|_| json!({ "url": seller.url("/report") }));
    let echoes = (0..ECHOES).map(
        |n| json!({ "url": seller.url("/echo"), "method": "POST", "body": format!("said {n}") }),
    );
    let weathers = (0..WEATHERS).map(|_| json!({ "url": practice.good("weather") }));
    buy(&ready, &token, reports.chain(echoes).chain(weathers)).await?;
    let count = served(&seller).await?;
    assert_eq!((&count["/report"], &count["/echo"]), (&json!(REPORTS), &json!(ECHOES)));
    let units = (REPORTS * 20_000 + ECHOES * 30_000) as u128;
    assert_eq!(paid(X402_PAY_TO).await?, units);
    // The next seller relays by the same account, whose transactions only one may number.
    drop(seller);

    let seller = Merchant::speaking(Protocol::Mpp, &practice.terms(), CHALLENGE_PAY_TO)?;
    allow(&desk, &seller)?;
    let challenges = (0..CHALLENGES).map(|_| json!({ "url": seller.url("/report") }));
    buy(&ready, &token, challenges).await?;
    assert_eq!(served(&seller).await?["/report"], json!(CHALLENGES));
    assert_eq!(paid(CHALLENGE_PAY_TO).await?, (CHALLENGES * 20_000) as u128);

    let units = REPORTS * 20_000 + ECHOES * 30_000 + CHALLENGES * 20_000 + WEATHERS * 10_000;
    let door = HttpDoor::new(&ready, &token)?;
    let (_, budget) = door.get("/v1/budget").await?;
    let day = budget["windows"].as_array().into_iter().flatten().find(|w| w["window"] == "day");
    assert_eq!(day.map(|day| &day["spent"]), Some(&json!(decimal(units as u128))), "{budget}");
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);
    assert_eq!(desk.read(&["verify"])?.done()?["whole"], true);
    Ok(())
}

fn allow(desk: &Desk, seller: &Merchant) -> Result<(), Obstacle> {
    let host = seller.origin().trim_start_matches("http://");
    let answer = desk.owner(&["hosts", "allow", host])?;
    assert_eq!(answer.code, 0, "{answer:?}");
    Ok(())
}

/// Buys each, so many at once, under a key of its own; all of them have to settle.
async fn buy(
    ready: &Ready,
    token: &str,
    wanted: impl Iterator<Item = Value>,
) -> Result<(), Obstacle> {
    let door = HttpDoor::new(ready, token)?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for (n, mut wanted) in wanted.enumerate() {
        wanted["idempotency_key"] = json!(format!("{} {n}", wanted["url"]));
        wanted["wait_ms"] = json!(SETTLE_WAIT_MS);
        let place = places.clone().acquire_owned().await;
        let place = place.map_err(|e| Obstacle::new(e.to_string()))?;
        let door = door.clone();
        under_way.spawn(async move {
            let _place = place;
            let answer = door.fetch(&wanted).await?;
            assert_eq!(answer["status"], "settled", "{answer}");
            assert_eq!(answer["response"]["status"], 200, "{answer}");
            assert_eq!(answer["verdict"]["outcome"], "allow", "{answer}");
            Ok(())
        });
    }
    under_way.join_all().await.into_iter().collect()
}

/// The seller's own count of its deliveries.
async fn served(seller: &Merchant) -> Result<Value, Obstacle> {
    let answer = reqwest::get(seller.url("/served")).await;
    let count = async { answer?.json().await };
    count.await.map_err(|e: reqwest::Error| Obstacle::new(e.to_string()))
}

/// Atomic units of an asset with six decimals, as people write them.
fn decimal(units: u128) -> String {
    let text = format!("{}.{:06}", units / 1_000_000, units % 1_000_000);
    let short = text.trim_end_matches('0');
    let point = short.find('.').unwrap_or(short.len());
    // At least cents.
    format!("{short:0<width$}", width = point + 3)
}
