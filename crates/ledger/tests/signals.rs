//! What looked odd: what ends a signal and what does not, when it is said again, and what is
//! counted for a burst.

mod common;

use common::*;
use imprest_domain::{Address, AgentId, B256, Danger, Payee, SignalKind, Subject};
use imprest_ledger::{Approved, Reserved};
use jiff::SignedDuration;
use std::collections::BTreeMap;

const NOON: &str = "2026-11-22T12:00:00Z";

fn agent(agent: &AgentId) -> Subject {
    Subject::Agent { agent: agent.clone() }
}

fn payee() -> Subject {
    Subject::Payee { origin: shop().origin }
}

async fn raise(desk: &Desk, kind: SignalKind, subject: Subject, detail: &str) {
    desk.ledger.raise_signal(kind, subject, detail.into()).await.expect("raises");
}

/// The signals that nobody has answered, oldest first.
async fn unanswered(desk: &Desk) -> Vec<(SignalKind, Subject, String)> {
    let mut signals = desk.ledger.signals(100).await.expect("reads");
    signals.retain(|record| record.ack.is_none());
    signals.reverse();
    signals.into_iter().map(|it| (it.signal.kind, it.signal.subject, it.signal.detail)).collect()
}

#[tokio::test]
async fn agreement_ends_what_differed_and_nothing_else() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let other = desk.another("Night shift", 2, budget(10, 100)).await;
    let (scout, night) = (agent(&desk.agent.id), agent(&other.id));
    raise(&desk, SignalKind::BooksDiffer, scout.clone(), "by 5").await;
    raise(&desk, SignalKind::BooksDiffer, night.clone(), "by 7").await;
    raise(&desk, SignalKind::ClockBehind, scout.clone(), "by an hour").await;
    desk.ledger.agreed(SignalKind::BooksDiffer, scout.clone()).await.expect("records");
    let open: Vec<_> =
        unanswered(&desk).await.into_iter().map(|(kind, who, _)| (kind, who)).collect();
    let rest = [(SignalKind::BooksDiffer, night.clone()), (SignalKind::ClockBehind, scout.clone())];
    assert_eq!(open, rest);
    desk.ledger.agreed(SignalKind::ClockBehind, scout.clone()).await.expect("records");
    // It has to agree for an hour.
    let dangers = async || desk.ledger.dangers().await.expect("folds");
    let both = BTreeMap::from([(scout, Danger::Guarded), (night.clone(), Danger::Guarded)]);
    assert_eq!(dangers().await, both);
    hands.turn(SignedDuration::from_hours(1));
    assert_eq!(dangers().await, BTreeMap::from([(night, Danger::Guarded)]));
    desk.whole().await;
}

#[tokio::test]
async fn a_clock_set_back_is_danger_and_hides_no_greater_one() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let danger = async || desk.ledger.danger_of(payee()).await.expect("folds");
    assert_eq!(danger().await, (Danger::Calm, None));
    hands.turn(-SignedDuration::from_mins(3));
    let (level, why) = danger().await;
    assert_eq!(level, Danger::Guarded);
    assert!(why.is_some_and(|why| why.contains("clock was set back")));
    // As great a danger that was seen says more than the clock does, and a greater one stays.
    raise(&desk, SignalKind::Undelivered, payee(), "it keeps the money").await;
    assert_eq!(danger().await, (Danger::Guarded, Some("it keeps the money".into())));
    raise(&desk, SignalKind::BooksBroken, Subject::Desk, "the chain is broken").await;
    assert_eq!(danger().await, (Danger::Halted, Some("the chain is broken".into())));
}

#[tokio::test]
async fn a_price_that_jumped_is_said_again_after_an_hour() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let times = async || {
        raise(&desk, SignalKind::PriceJumped, payee(), "it asks three times as much").await;
        desk.ledger.signals(10).await.expect("reads").len()
    };
    assert_eq!(times().await, 1);
    hands.turn(SignedDuration::from_hours(1) - SignedDuration::from_millis(1));
    assert_eq!(times().await, 1);
    hands.turn(SignedDuration::from_millis(1));
    assert_eq!(times().await, 2);
}

#[tokio::test]
async fn a_yes_answers_only_what_its_question_showed() {
    let desk = Desk::open(10, 1_000).await;
    let second = Payee { origin: "http://other.example".into(), ..shop() };
    desk.ledger.trust_payee(second.clone()).await.expect("trusts");
    let moved = |payee: &Payee, to: u8| {
        let mut order = desk.order(5, None);
        order.intent.payee = Payee { pay_to: Address::repeat_byte(to), ..payee.clone() };
        order
    };
    let asked = async |order| match desk.ask(order).await {
        Reserved::Asked { approval, .. } => approval,
        other => panic!("not asked: {other:?}"),
    };
    let approve = async |question, order| {
        let answer = desk.ledger.approve(&question, order, usdc(), Danger::Calm).await;
        assert!(matches!(answer, Ok(Approved::Granted { .. })), "{answer:?}");
    };
    let named = asked(moved(&shop(), 0xBB)).await;
    let elsewhere = asked(moved(&second, 0xBB)).await;
    // A second address while the first is open: its signal is not said again.
    let again = asked(moved(&shop(), 0xCC)).await;
    raise(&desk, SignalKind::Undelivered, payee(), "it keeps the money").await;
    let all = unanswered(&desk).await;
    let kinds: Vec<_> = all.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(
        kinds,
        [SignalKind::PayToChanged, SignalKind::PayToChanged, SignalKind::Undelivered]
    );

    approve(again, moved(&shop(), 0xCC)).await;
    assert_eq!(unanswered(&desk).await, all, "the owner was shown another address");
    approve(named, moved(&shop(), 0xBB)).await;
    assert_eq!(unanswered(&desk).await, all[1..]);
    approve(elsewhere, moved(&second, 0xBB)).await;
    assert_eq!(unanswered(&desk).await, all[2..]);
    desk.whole().await;
}

#[tokio::test]
async fn a_new_credential_ends_only_the_suspicion_against_the_old_one() {
    let desk = Desk::open(10, 1_000).await;
    let other = desk.another("Night shift", 2, budget(10, 100)).await;
    for agent in [&desk.agent.id, &other.id] {
        for place in ["user 1000", "user 65534"] {
            desk.ledger.credential_used(agent, place.into()).await.expect("records");
        }
    }
    raise(&desk, SignalKind::RefusalBurst, agent(&desk.agent.id), "refused three times").await;
    let all = unanswered(&desk).await;
    assert_eq!(all.len(), 3);
    desk.ledger.rotate_token(&desk.agent.id, "cc".into()).await.expect("rotates");
    assert_eq!(unanswered(&desk).await, all[1..]);
    assert_eq!((&all[1].1, all[2].0), (&agent(&other.id), SignalKind::RefusalBurst));
}

/// The agent is refused for more than its day; whether it has to ask for everything now.
async fn refused(desk: &Desk) -> bool {
    assert_eq!(verdict(&desk.reserve(1_001, None).await).0, "refused");
    let (danger, _) = desk.ledger.danger_of(agent(&desk.agent.id)).await.expect("folds");
    danger == Danger::Guarded
}

#[tokio::test]
async fn three_refusals_are_a_burst_within_ten_minutes_and_not_at_ten() {
    for (apart_ms, burst) in [(300_000, false), (299_999, true)] {
        let hands = Hands::at(NOON);
        let desk = Desk::with(budget(10, 1_000), hands.options()).await;
        assert!(!refused(&desk).await);
        hands.turn(SignedDuration::from_millis(apart_ms));
        assert!(!refused(&desk).await);
        hands.turn(SignedDuration::from_millis(apart_ms));
        assert_eq!(refused(&desk).await, burst, "{apart_ms} ms apart");
    }
}

#[tokio::test]
async fn another_answer_begins_no_new_count() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 1_000), hands.options()).await;
    let other = desk.another("Night shift", 2, budget(10, 1_000)).await;
    assert!(!refused(&desk).await);
    assert!(!refused(&desk).await);
    // Another thing about the same agent, and the same about another one.
    raise(&desk, SignalKind::PayToChanged, agent(&desk.agent.id), "seen").await;
    raise(&desk, SignalKind::RefusalBurst, agent(&other.id), "seen").await;
    hands.turn(SignedDuration::from_mins(1));
    for record in desk.ledger.signals(10).await.expect("reads") {
        desk.ledger.acknowledge(record.signal.seq).await.expect("acknowledges");
    }
    hands.turn(SignedDuration::from_mins(1));
    assert!(refused(&desk).await, "the third in two minutes");
    // Its own answer does: what was counted is answered with it.
    let burst = desk.ledger.signals(1).await.expect("reads")[0].signal.seq;
    desk.ledger.acknowledge(burst).await.expect("acknowledges");
    hands.turn(SignedDuration::from_mins(1));
    assert!(!refused(&desk).await);
    assert!(!refused(&desk).await);
    assert!(refused(&desk).await);
    desk.whole().await;
}

#[tokio::test]
async fn a_suspicion_that_could_not_be_written_is_none() {
    let desk = Desk::open(1_000, 100_000).await;
    for _ in 0..4 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), B256::random(), 3).await.expect("settles");
    }
    desk.ledger.adopt(imprest_ledger::SealKey::new([1; 32])).await.expect("takes the key");
    desk.ledger.close_seal().await.expect("lets go");
    // The price would be noted before the hold, and the hold needs the vault.
    let order = desk.order(25, None);
    let locked = desk.ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(locked, Err(imprest_ledger::LedgerError::Locked)), "{locked:?}");
    assert_eq!(desk.ledger.danger_of(payee()).await.expect("folds"), (Danger::Calm, None));
    desk.ledger.freeze().await.expect("freezes");
    assert!(desk.ledger.signals(10).await.expect("reads").is_empty());
    desk.whole().await;
}
