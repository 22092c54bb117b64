//! A thousand cheats are given nothing outside the rules, and the official client meets the same.

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::eip712_domain;
use imprest_desk::view::BudgetForm;
use imprest_tests::hostile::{Judgement, Market, Rules, UNITS_MAX, cases};
use imprest_tests::{HttpDoor, Inside, Obstacle, official_among};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A key of this test alone.
const BUYER_KEY: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const STALLS: usize = 160;
/// Each stays within what the door lets one agent ask in a burst.
const AGENTS: usize = 8;
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cheats_are_given_nothing_outside_the_rules() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let inside = Inside::open(folder.path()).await?;
    let practice = inside.practice()?.clone();
    let market = Market::open(STALLS).await?;
    let all = cases(&practice, market.elsewhere());
    let addresses = market.put_up(all.clone());
    assert!(all.len() >= 1_000, "{} cases", all.len());
    for host in market.hosts() {
        inside.desk.allow_host(host).await?;
    }
    let budget = BudgetForm {
        per_payment: Some("0.001".into()),
        per_day: Some("4.00".into()),
        over_payment: "deny".into(),
        new_payee: "allow".into(),
        ..BudgetForm::default()
    };
    let (mut doors, mut payers) = (Vec::new(), Vec::new());
    for number in 1..=AGENTS {
        let made = inside.agent(&format!("Scout {number}"), "L4", budget.clone(), None).await?;
        inside.desk.refill(made.agent.name, "1.00".into()).await?;
        payers.push(made.agent.address.parse::<Address>().expect("an address"));
        doors.push(inside.door(&made.token)?);
    }

    let ends = fetch_all(&doors, &addresses).await?;
    let domain = eip712_domain! {
        name: "USD Coin",
        version: "2",
        chain_id: practice.chain_id,
        verifying_contract: practice.usdc.parse().expect("an address"),
    };
    let mut rules = Rules { payers, units_max: UNITS_MAX, domain };
    let ours = rules.judge(&all, &market.take_paid());
    println!("{} cases · the desk: {ends:?}", all.len());
    tell("the desk", &ours);

    let ended = official_among(&practice.terms(), &addresses, BUYER_KEY, UNITS_MAX)?;
    let key: PrivateKeySigner = BUYER_KEY.parse().expect("a key");
    rules.payers = vec![key.address()];
    println!("{} cases · @x402/fetch: {ended}", all.len());
    tell("@x402/fetch", &rules.judge(&all, &market.take_paid()));

    assert_eq!(ours.outside(), 0, "{ours:?}");
    // The honest prices among them were paid, or nothing would have been shown.
    assert!(ours.signatures >= 100, "{ours:?}");
    let proof = inside.desk.verify().await?;
    assert!(proof.whole, "{proof:?}");
    inside.close().await;
    Ok(())
}

/// Fetches every address, a few at a time, and counts how the desk answered.
async fn fetch_all(
    doors: &[HttpDoor],
    addresses: &[String],
) -> Result<BTreeMap<String, usize>, Obstacle> {
    let shared = doors.iter().cycle().cloned().zip(addresses.iter().cloned());
    let left: Arc<Mutex<VecDeque<(HttpDoor, String)>>> = Arc::new(Mutex::new(shared.collect()));
    let mut buyers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let left = Arc::clone(&left);
        buyers.spawn(async move {
            let mut ends = Vec::new();
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((door, url)) = next else { return Ok::<_, Obstacle>(ends) };
                let (status, answer) =
                    door.post("/v1/fetch", &json!({ "url": url, "wait_ms": 0 })).await?;
                assert!(status < 500 || status == 502 || status == 504, "{url}: {status} {answer}");
                ends.push(match answer["status"].as_str() {
                    Some(word) if status == 200 => word.to_owned(),
                    _ => format!("HTTP {status}"),
                });
            }
        });
    }
    let mut count = BTreeMap::new();
    for ends in buyers.join_all().await {
        for end in ends? {
            *count.entry(end).or_default() += 1;
        }
    }
    Ok(count)
}

fn tell(who: &str, judgement: &Judgement) {
    println!("  {who}: {} signatures, {} faults", judgement.signatures, judgement.outside());
    for (fault, count) in &judgement.faults {
        println!("    {count:>5} × {fault} (such as: {})", judgement.examples[fault]);
    }
}
