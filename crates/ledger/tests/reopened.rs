//! What the chain takes back: a settlement whose block was undone counts as before, is open again,
//! and ends once more.

mod common;

use common::*;
use imprest_domain::{AgentName, B256, Budget, PaymentId, PaymentState, ReasonCode, Units};
use imprest_ledger::{Delivery, LedgerError, SealKey};

const TX: B256 = B256::repeat_byte(7);

/// A payment of 4 that was delivered and settled in block 5.
async fn settled(desk: &Desk) -> PaymentId {
    let payment = desk.held(4).await.payment().clone();
    let delivered = Delivery::Delivered {
        status: 200,
        response_sha256: B256::repeat_byte(3),
        claimed_transaction: None,
    };
    desk.ledger.record_delivery(&payment, delivered).await.expect("records");
    desk.ledger.settle(&payment, TX, 5).await.expect("settles");
    payment
}

/// Held and settled in the counters, summed over their windows, and the agent's accounts.
fn sums(desk: &Desk) -> (Vec<String>, Vec<String>) {
    let counters = "SELECT holder = (SELECT agent FROM agents), span, label, held, settled
        FROM counters ORDER BY holder, span, label";
    let accounts =
        "SELECT CASE WHEN account LIKE 'payee%' THEN 'payee' ELSE substr(account, 1, 4) END,
        units FROM accounts WHERE units <> 0 ORDER BY account";
    (desk.rows(counters), desk.rows(accounts))
}

/// What each window holds, held or settled.
fn totals(desk: &Desk) -> Vec<String> {
    desk.rows("SELECT span, label, held + settled FROM counters ORDER BY holder, span, label")
}

async fn state(desk: &Desk, payment: &PaymentId) -> PaymentState {
    desk.ledger.payment(payment).await.expect("reads").state
}

#[tokio::test]
async fn what_the_chain_takes_back_counts_as_before_and_ends_again() {
    let desk = Desk::open(10, 100).await;
    let payment = desk.held(4).await.payment().clone();
    let unclear = Delivery::Unknown { status: None, why: "the connection was cut".into() };
    desk.ledger.record_delivery(&payment, unclear).await.expect("records");
    let held = sums(&desk);
    desk.ledger.settle(&payment, TX, 5).await.expect("settles");
    let (paid, all) = (sums(&desk), totals(&desk));
    assert_ne!(held, paid);

    desk.ledger.reopen(&payment, 9).await.expect("reopens");
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!(record.state, PaymentState::Unknown);
    assert_eq!((record.transaction, record.block), (None, None));
    assert_eq!(record.note.as_deref(), Some("the chain took back the block in which it was paid"));
    assert_eq!(sums(&desk), held, "reserved as before it settled");
    assert_eq!(totals(&desk), all, "no window holds less");
    let open = desk.ledger.open_payments().await.expect("reads");
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0].payment, open[0].authorization.value), (&payment, units(4)));
    desk.whole().await;

    // Said again it changes nothing, also after a restart; then the chain shows it in another block.
    let desk = desk.again().await;
    let seq = desk.ledger.head().seq;
    desk.ledger.reopen(&payment, 10).await.expect("is open");
    assert_eq!(desk.ledger.head().seq, seq);
    let again = B256::repeat_byte(8);
    desk.ledger.settle(&payment, again, 11).await.expect("settles again");
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!((record.block, record.note), (Some(11), None));
    assert_eq!(record.transaction, Some(again.to_string()));
    assert_eq!(sums(&desk), paid);
    desk.whole().await;

    // Or it is undone for good, and its time runs out: only then does the money come back.
    desk.ledger.reopen(&payment, 12).await.expect("reopens");
    let before = desk.ledger.balance(&desk.agent.id).await.expect("reads");
    assert_eq!(before.held, units(4));
    desk.ledger.expire(&payment, 90).await.expect("expires");
    let after = desk.ledger.balance(&desk.agent.id).await.expect("reads");
    assert_eq!((after.free, after.held), (units(1_000_000), Units::ZERO));
    assert_eq!(state(&desk, &payment).await, PaymentState::Expired);
    let kinds = desk.rows("SELECT kind FROM events WHERE payment IS NOT NULL ORDER BY seq");
    assert_eq!(
        kinds,
        [
            "payment_held",
            "payment_delivered",
            "payment_settled",
            "payment_reopened",
            "payment_settled",
            "payment_reopened",
            "payment_expired"
        ]
    );
    desk.whole().await;
}

/// What was delivered stays delivered: the payee's answer is kept, and only the chain is waited for.
#[tokio::test]
async fn what_was_delivered_is_delivered_again() {
    let desk = Desk::open(10, 100).await;
    let payment = settled(&desk).await;
    desk.ledger.reopen(&payment, 9).await.expect("reopens");
    let desk = desk.again().await;
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!((record.state, record.response_status), (PaymentState::Delivered, Some(200)));
    assert!(record.response_sha256.is_some());
    desk.whole().await;
}

#[tokio::test]
async fn the_limits_hold_as_if_it_were_spent() {
    let desk = Desk::open(10, 10).await;
    let payment = settled(&desk).await;
    let spent = || desk.rows("SELECT span, held + settled FROM counters ORDER BY span, label");
    let before = spent();
    for _ in 0..3 {
        desk.ledger.reopen(&payment, 9).await.expect("reopens");
        assert_eq!(spent(), before);
        let refused = verdict(&desk.reserve(7, None).await);
        assert_eq!(refused, ("refused", vec![ReasonCode::OverPerDay]));
        desk.ledger.settle(&payment, TX, 5).await.expect("settles");
        assert_eq!(spent(), before);
    }
    assert_ne!(verdict(&desk.reserve(6, None).await).0, "refused");
    desk.whole().await;
}

#[tokio::test]
async fn a_shared_budget_and_a_day_in_another_zone_keep_what_they_held() {
    let hands = Hands::at("2026-11-22T23:30:00Z");
    let mut limits = budget(10, 100);
    limits.zone = "UTC".into();
    let desk = Desk::with(limits.clone(), hands.options()).await;
    let name: AgentName = "Team".parse().expect("a name");
    let day = Budget { limit_units_per_day: Some(units(50)), ..Budget::blank(usdc().id) };
    let team = desk.ledger.add_shared(name, day).await.expect("adds");
    desk.ledger.join_shared(&desk.agent.id, Some(team.id)).await.expect("joins");
    let payment = settled(&desk).await;
    // Today is another day there, and what was settled counts in both.
    limits.zone = "Pacific/Auckland".into();
    desk.ledger.set_budget(&desk.agent.id, limits).await.expect("sets");
    let before = totals(&desk);
    desk.ledger.reopen(&payment, 9).await.expect("reopens");
    assert_eq!(totals(&desk), before);
    desk.whole().await;
    desk.ledger.expire(&payment, 90).await.expect("expires");
    desk.whole().await;
    let desk = desk.again().await;
    desk.whole().await;
}

/// A price that was not paid is none to compare with.
#[tokio::test]
async fn a_price_counts_once_however_often_it_settles() {
    let desk = Desk::open(10, 100).await;
    let prices = || desk.rows("SELECT last FROM prices");
    let payment = settled(&desk).await;
    let once = prices();
    desk.ledger.reopen(&payment, 9).await.expect("reopens");
    assert_ne!(prices(), once);
    desk.ledger.settle(&payment, TX, 5).await.expect("settles");
    assert_eq!(prices(), once);
    desk.whole().await;
}

#[tokio::test]
async fn nothing_but_a_settlement_reopens() {
    let desk = Desk::open(60, 1_000).await;
    let held = desk.held(1).await;
    let seq = desk.ledger.head().seq;
    desk.ledger.reopen(held.payment(), 9).await.expect("is open");
    assert_eq!(desk.ledger.head().seq, seq);
    let expired = desk.held(2).await;
    desk.ledger.expire(expired.payment(), 9).await.expect("expires");
    let void = desk.held(3).await;
    let never_signed = void.payment().clone();
    desk.ledger.void(void, "the vault was locked".into()).await.expect("voids");
    for payment in [expired.payment(), &never_signed] {
        let refused = desk.ledger.reopen(payment, 9).await;
        assert!(matches!(refused, Err(LedgerError::Transition(_))), "{refused:?}");
    }
    desk.whole().await;
}

/// With an expiry behind it, it would give back what was spent long ago: it takes the vault.
#[tokio::test]
async fn a_settlement_is_taken_back_under_the_seal_only() {
    let desk = Desk::open(10, 100).await;
    desk.ledger.adopt(SealKey::new([1; 32])).await.expect("takes the key");
    let payment = settled(&desk).await;
    desk.ledger.close_seal().await.expect("lets go of it");
    let refused = desk.ledger.reopen(&payment, 9).await;
    assert!(matches!(refused, Err(LedgerError::Locked)), "{refused:?}");
    assert_eq!(state(&desk, &payment).await, PaymentState::Settled);
    desk.ledger.open_seal(SealKey::new([1; 32]), true).await.expect("takes the key");
    desk.ledger.reopen(&payment, 9).await.expect("reopens");
    assert_eq!(state(&desk, &payment).await, PaymentState::Delivered);
}

#[tokio::test]
async fn what_settled_later_than_a_block_is_found() {
    let desk = Desk::open(10, 100).await;
    let (first, second) = (settled(&desk).await, desk.held(3).await);
    desk.ledger.settle(second.payment(), TX, 8).await.expect("settles");
    let _open = desk.held(1).await;
    let found = async |block| {
        let found = desk.ledger.settled_after(block).await.expect("reads");
        found.into_iter().map(|it| (it.payment, it.block)).collect::<Vec<_>>()
    };
    assert_eq!(found(0).await, [(first, 5), (second.payment().clone(), 8)]);
    assert_eq!(found(5).await, [(second.payment().clone(), 8)]);
    assert_eq!(found(8).await, []);
    assert_eq!(found(u64::MAX).await, []);
}
