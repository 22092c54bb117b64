//! Another time zone, or other limits: what was spent stays spent where it was, and nowhere else.

mod common;

use common::*;
use imprest_domain::{B256, Budget, ReasonCode, SharedId, Window};
use imprest_ledger::{Grant, LedgerError, Reserved};
use jiff::SignedDuration;

/// Tokyo lives in tomorrow already.
const EVENING: &str = "2026-11-22T22:30:00Z";

fn in_zone(zone: &str) -> Budget {
    Budget { zone: zone.into(), ..budget(100, 1_000) }
}

/// What a holder's day holds by one zone: settled and held.
async fn day(desk: &Desk, holder: &str, zone: &str) -> (u128, u128) {
    let used = desk.ledger.window_use(holder, &in_zone(zone), Window::Day).await.expect("reads");
    (used.settled.get(), used.held.get())
}

async fn settle(desk: &Desk, grant: &Grant) {
    desk.ledger.settle(grant.payment(), B256::random(), 1).await.expect("settles");
}

async fn moves_to(desk: &Desk, zone: &str) {
    desk.ledger.set_budget(&desk.agent.id, in_zone(zone)).await.expect("sets");
}

#[tokio::test]
async fn what_another_agent_spent_is_not_carried_along() {
    let hands = Hands::at(EVENING);
    let desk = Desk::with(in_zone("UTC"), hands.options()).await;
    let other = desk.another("Night shift", 2, in_zone("UTC")).await;
    settle(&desk, &desk.held(10).await).await;
    for settled in [true, false] {
        let asked = desk.ask(order(&other.id, 50, None)).await;
        let Reserved::Granted { grant, .. } = asked else { panic!("{asked:?}") };
        if settled {
            settle(&desk, &grant).await;
        }
    }
    moves_to(&desk, "Asia/Tokyo").await;
    let (own, other) = (desk.agent.id.as_str(), other.id.as_str());
    assert_eq!(day(&desk, own, "Asia/Tokyo").await, (10, 0));
    assert_eq!(day(&desk, other, "UTC").await, (50, 50));
    assert_eq!(day(&desk, other, "Asia/Tokyo").await, (0, 0), "it has not moved");
    desk.whole().await;
}

#[tokio::test]
async fn what_was_spent_before_a_restart_is_carried_too() {
    let hands = Hands::at(EVENING);
    let desk = Desk::with(in_zone("UTC"), hands.options()).await;
    settle(&desk, &desk.held(10).await).await;
    let _open = desk.held(7).await;
    let desk = desk.again().await;
    moves_to(&desk, "Asia/Tokyo").await;
    assert_eq!(day(&desk, desk.agent.id.as_str(), "Asia/Tokyo").await, (10, 7));
    desk.whole().await;
}

#[tokio::test]
async fn a_hold_of_yesterday_is_not_carried_into_tomorrow() {
    let hands = Hands::at(EVENING);
    let desk = Desk::with(in_zone("UTC"), hands.options()).await;
    let yesterday = desk.held(7).await;
    hands.turn(SignedDuration::from_hours(24));
    let today = desk.held(10).await;
    moves_to(&desk, "Asia/Tokyo").await;
    let own = desk.agent.id.as_str();
    assert_eq!(day(&desk, own, "UTC").await, (0, 10));
    assert_eq!(day(&desk, own, "Asia/Tokyo").await, (0, 10));
    // Each comes back from where it lies.
    desk.ledger.expire(yesterday.payment(), 9).await.expect("expires");
    assert_eq!(day(&desk, own, "Asia/Tokyo").await, (0, 10));
    desk.ledger.expire(today.payment(), 9).await.expect("expires");
    assert_eq!(day(&desk, own, "UTC").await, (0, 0));
    assert_eq!(day(&desk, own, "Asia/Tokyo").await, (0, 0));
    desk.whole().await;
}

#[tokio::test]
async fn other_limits_of_a_shared_budget_hold_from_the_next_decision_on() {
    let hands = Hands::at(EVENING);
    let desk = Desk::with(in_zone("UTC"), hands.options()).await;
    let ledger = &desk.ledger;
    let team = ledger.add_shared("Team".parse().expect("a name"), in_zone("UTC")).await;
    let team = team.expect("adds");
    ledger.join_shared(&desk.agent.id, Some(team.id.clone())).await.expect("joins");
    settle(&desk, &desk.held(10).await).await;
    let _open = desk.held(7).await;

    let lower = Budget { limit_units_per_day: Some(units(20)), ..in_zone("Asia/Tokyo") };
    ledger.set_shared(&team.id, lower.clone()).await.expect("sets");
    let nobody = SharedId::from_tail("nobody").expect("an identifier");
    let unknown = ledger.set_shared(&nobody, lower.clone()).await;
    assert!(matches!(unknown, Err(LedgerError::NoShared { .. })), "{unknown:?}");

    let desk = desk.again().await;
    let found = desk.ledger.find_shared("team").await.expect("is there");
    assert_eq!((found.id, found.name, found.budget), (team.id.clone(), team.name, lower));
    // Its day in the new zone holds what the old one held.
    assert_eq!(day(&desk, team.id.as_str(), "Asia/Tokyo").await, (10, 7));
    assert_eq!(day(&desk, desk.agent.id.as_str(), "Asia/Tokyo").await, (0, 0));
    assert_eq!(
        verdict(&desk.reserve(4, None).await),
        ("refused", vec![ReasonCode::OverPerDay]),
        "the team has three left"
    );
    assert_eq!(verdict(&desk.reserve(3, None).await).0, "granted");
    desk.whole().await;
}
