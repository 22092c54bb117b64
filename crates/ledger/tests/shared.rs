//! Budgets that several agents share: made, changed and read back.

mod common;

use common::*;
use imprest_domain::{AgentName, Budget, ReasonCode};
use imprest_ledger::LedgerError;

fn name(name: &str) -> AgentName {
    name.parse().expect("a name")
}

fn together(day: u128) -> Budget {
    Budget { limit_units_per_day: Some(units(day)), ..Budget::blank(usdc().id) }
}

#[tokio::test]
async fn shared_budgets_are_read_back_as_they_were_made() {
    let desk = Desk::open(10, 100).await;
    let list = async || desk.ledger.shared_budgets().await.expect("reads");
    assert_eq!(list().await, []);
    let team = desk.ledger.add_shared(name("Team"), together(50)).await.expect("adds");
    let night = desk.ledger.add_shared(name("Night"), together(70)).await.expect("adds");
    // A name is one budget's, however it is written.
    for taken in ["Team", "TEAM"] {
        let refused = desk.ledger.add_shared(name(taken), together(1)).await;
        assert!(matches!(refused, Err(LedgerError::NameTaken { .. })), "{refused:?}");
    }
    assert_eq!(list().await, [team.clone(), night.clone()]);
    assert_eq!(desk.ledger.find_shared("team").await.expect("finds"), team);
    assert_eq!(desk.ledger.find_shared(night.id.as_str()).await.expect("finds"), night);
    let nobody = desk.ledger.find_shared("Day").await;
    assert!(matches!(nobody, Err(LedgerError::NoShared { .. })));
    desk.whole().await;
}

#[tokio::test]
async fn a_changed_shared_limit_holds_from_the_next_decision_on() {
    let desk = Desk::open(10, 100).await;
    let team = desk.ledger.add_shared(name("Team"), together(50)).await.expect("adds");
    desk.ledger.join_shared(&desk.agent.id, Some(team.id.clone())).await.expect("joins");
    let _held = desk.held(10).await;
    desk.ledger.set_shared(&team.id, together(15)).await.expect("sets");
    assert_eq!(desk.ledger.find_shared("Team").await.expect("finds").budget, together(15));
    let refused = verdict(&desk.reserve(6, None).await);
    assert_eq!(refused, ("refused", vec![ReasonCode::OverPerDay]));
    // It keeps its asset: what was spent is counted in that one.
    let mut foreign = together(1_000);
    foreign.asset.chain_id += 1;
    let refused = desk.ledger.set_shared(&team.id, foreign).await;
    assert!(matches!(refused, Err(LedgerError::OtherAsset)), "{refused:?}");
    assert_eq!(desk.ledger.find_shared("Team").await.expect("finds").budget, together(15));
    assert_eq!(verdict(&desk.reserve(5, None).await).0, "granted");
    desk.whole().await;
}
