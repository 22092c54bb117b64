//! Questions and refusals: what is the same question, what a yes is still about, and which
//! refusals are held against an agent.

mod common;

use common::*;
use imprest_domain::{
    AgentId, B256, Budget, Danger, Grade, Outcome, Payee, PaymentId, Reason, ReasonCode, Remedy,
};
use imprest_ledger::{Approved, LedgerError, Order, Reserved};
use jiff::SignedDuration;

const NOON: &str = "2026-11-22T12:00:00Z";

fn other_shop() -> Payee {
    Payee { origin: "http://other.example".into(), ..shop() }
}

/// A desk that knows two payees.
async fn desk() -> Desk {
    let desk = Desk::open(10, 1_000).await;
    desk.ledger.trust_payee(other_shop()).await.expect("trusts");
    desk
}

/// What the books say stood in the way of a payment.
async fn why(desk: &Desk, payment: &PaymentId) -> Reason {
    let verdict = desk.ledger.payment(payment).await.expect("reads").verdict;
    assert_eq!(verdict.outcome, Outcome::Deny);
    verdict.objections().next().expect("a reason").clone()
}

#[tokio::test]
async fn only_the_very_same_question_is_the_same_question() {
    type Change = fn(&mut Order);
    let changes: [(&str, Change); 3] = [
        ("request", |order| order.request_sha256 = B256::repeat_byte(2)),
        ("payee", |order| order.intent.payee = other_shop()),
        ("price", |order| order.intent.value = units(61)),
    ];
    let desk = desk().await;
    assert_eq!(verdict(&desk.reserve(60, None).await).0, "asked");
    for (what, change) in changes {
        let mut order = desk.order(60, None);
        change(&mut order);
        assert_eq!(verdict(&desk.ask(order.clone()).await).0, "asked", "another {what}");
        assert_eq!(verdict(&desk.ask(order).await).0, "known", "the same {what} again");
    }
}

#[tokio::test]
async fn a_question_with_a_key_is_no_other_requests_question() {
    let desk = desk().await;
    assert_eq!(verdict(&desk.reserve(60, Some("mine")).await).0, "asked");
    // What waits was meant as a purchase of its own.
    assert_eq!(verdict(&desk.reserve(60, None).await).0, "asked");
}

#[tokio::test]
async fn a_yes_is_about_nothing_but_what_was_shown() {
    let desk = desk().await;
    let other = desk.another("Night shift", 2, budget(10, 1_000)).await;
    type Change = fn(&mut Order, &AgentId);
    let changes: [(&str, Change); 5] = [
        ("request", |order, _| order.request_sha256 = B256::repeat_byte(2)),
        ("agent", |order, other| order.intent.agent = other.clone()),
        ("payee", |order, _| order.intent.payee = other_shop()),
        ("price", |order, _| order.intent.value = units(59)),
        ("thing", |order, _| order.what = "Map".into()),
    ];
    for (what, change) in changes {
        let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
            panic!("not asked")
        };
        let mut fresh = desk.order(60, None);
        change(&mut fresh, &other.id);
        let outcome = desk.ledger.approve(&approval, fresh, usdc(), Danger::Calm).await;
        assert!(matches!(outcome, Ok(Approved::Changed { .. })), "another {what}: {outcome:?}");
        // The agent can ask again with what is offered now; its owner has nothing to do.
        let why = why(&desk, &payment).await;
        assert_eq!((why.code, why.remedy), (ReasonCode::QuoteChanged, Remedy::Agent));
    }
    assert!(desk.ledger.open_payments().await.expect("reads").is_empty());
    let Reserved::Asked { approval, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    let order = desk.order(60, None);
    let outcome = desk.ledger.approve(&approval, order, usdc(), Danger::Calm).await;
    assert!(matches!(outcome, Ok(Approved::Granted { .. })), "{outcome:?}");
    desk.whole().await;
}

#[tokio::test]
async fn a_no_keeps_the_owners_words() {
    let desk = desk().await;
    let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    let refused = desk.ledger.refuse(&approval, Some("too dear".into())).await.expect("refuses");
    assert_eq!(refused, payment);
    let why = why(&desk, &payment).await;
    assert_eq!((why.code, why.remedy), (ReasonCode::OwnerRefused, Remedy::Owner));
    assert_eq!(why.detail.as_deref(), Some("too dear"));
    // It is answered, whatever anybody says later.
    let order = desk.order(60, None);
    let late = desk.ledger.approve(&approval, order, usdc(), Danger::Calm).await;
    assert!(matches!(late, Err(LedgerError::NotWaiting { state, .. }) if state == "refused"));
    assert!(desk.ledger.lapse().await.expect("looks").is_empty());
    desk.whole().await;
}

#[tokio::test]
async fn a_question_lapses_when_its_time_is_up_and_not_before() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 1_000), hands.options()).await;
    let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    hands.turn(MINUTES - SignedDuration::from_millis(1));
    assert!(desk.ledger.lapse().await.expect("looks").is_empty());
    hands.turn(SignedDuration::from_millis(1));
    let order = desk.order(60, None);
    let late = desk.ledger.approve(&approval, order, usdc(), Danger::Calm).await;
    assert!(matches!(late, Err(LedgerError::NotWaiting { state, .. }) if state == "lapsed"));
    assert_eq!(desk.ledger.lapse().await.expect("lapses"), std::slice::from_ref(&payment));
    assert_eq!(desk.ledger.approval(&approval).await.expect("reads").state, "lapsed");
    let why = why(&desk, &payment).await;
    assert_eq!((why.code, why.remedy), (ReasonCode::NoAnswer, Remedy::Owner));
    assert!(desk.ledger.lapse().await.expect("looks").is_empty(), "once");
    desk.whole().await;
}

/// Asks for something three times and then for what is allowed; the last answer.
async fn after_three(desk: &Desk, order: Order) -> &'static str {
    for _ in 0..3 {
        assert_eq!(verdict(&desk.ask(order.clone()).await).0, "refused");
    }
    desk.ledger.thaw().await.expect("thaws");
    desk.ledger.set_grade(&desk.agent.id, Grade::L3).await.expect("sets");
    verdict(&desk.reserve(1, None).await).0
}

#[tokio::test]
async fn refusals_that_are_no_fault_of_the_agents_are_not_held_against_it() {
    // Its own maximum, with every limit of its owner's kept.
    let desk = Desk::open(10, 20).await;
    let mut dear = desk.order(5, None);
    dear.intent.agent_max = Some(units(4));
    assert_eq!(after_three(&desk, dear).await, "granted");
    // A pace, which time alone frees.
    let desk = Desk::with(
        Budget { limit_count_per_hour: Some(0), ..budget(10, 20) },
        imprest_ledger::OpenOptions::default(),
    )
    .await;
    let order = desk.order(5, None);
    for _ in 0..3 {
        assert_eq!(verdict(&desk.ask(order.clone()).await).0, "refused");
    }
    desk.ledger.set_budget(&desk.agent.id, budget(10, 20)).await.expect("sets");
    assert_eq!(verdict(&desk.ask(order).await).0, "granted");
    // A freeze, and a grade that pays nothing, even where a limit would have refused as well.
    let desk = Desk::open(10, 20).await;
    desk.ledger.freeze().await.expect("freezes");
    assert_eq!(after_three(&desk, desk.order(25, None)).await, "granted");
    desk.ledger.set_grade(&desk.agent.id, Grade::L1).await.expect("sets");
    assert_eq!(after_three(&desk, desk.order(25, None)).await, "granted");
    // What is: asking again and again for more than its day.
    assert_eq!(after_three(&desk, desk.order(25, None)).await, "asked");
    desk.whole().await;
}
