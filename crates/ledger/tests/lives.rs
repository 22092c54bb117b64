//! The life of a payment: what its record says at each step, and how its question ends.

mod common;

use common::*;
use imprest_domain::{B256, Danger, PaymentId, PaymentState, ReasonCode};
use imprest_ledger::{Approved, Delivery, PaymentFilter, PaymentRecord, Reserved};

async fn record(desk: &Desk, payment: &PaymentId) -> PaymentRecord {
    desk.ledger.payment(payment).await.expect("reads")
}

/// State, HTTP status, the answer's hash, transaction, block and note.
type Life =
    (PaymentState, Option<u16>, Option<String>, Option<String>, Option<u64>, Option<String>);

async fn life(desk: &Desk, payment: &PaymentId) -> Life {
    let r = record(desk, payment).await;
    (r.state, r.response_status, r.response_sha256, r.transaction, r.block, r.note)
}

fn unknown() -> Delivery {
    Delivery::Unknown { status: Some(502), why: "the connection was cut".into() }
}

#[tokio::test]
async fn what_was_never_signed_says_why() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(1).await;
    let payment = held.payment().clone();
    assert_eq!(life(&desk, &payment).await, (PaymentState::Held, None, None, None, None, None));
    desk.ledger.void(held, "the vault was locked".into()).await.expect("voids");
    let desk = desk.again().await;
    let why = Some("the vault was locked".to_owned());
    assert_eq!(life(&desk, &payment).await, (PaymentState::Void, None, None, None, None, why));
    desk.whole().await;
}

#[tokio::test]
async fn what_was_signed_and_never_taken_names_the_block_that_proves_it() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(1).await;
    let payment = held.payment();
    desk.ledger.record_delivery(payment, unknown()).await.expect("records");
    let why = Some("the connection was cut".to_owned());
    let unclear = (PaymentState::Unknown, Some(502), None, None, None, why.clone());
    assert_eq!(life(&desk, payment).await, unclear);
    desk.ledger.expire(payment, 9).await.expect("expires");
    let desk = desk.again().await;
    let over = (PaymentState::Expired, Some(502), None, None, Some(9), why);
    assert_eq!(life(&desk, payment).await, over);
    desk.whole().await;
}

#[tokio::test]
async fn what_was_delivered_and_paid_keeps_the_answer_and_names_the_transaction() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(1).await;
    let payment = held.payment();
    let (response_sha256, transaction) = (B256::repeat_byte(3), B256::repeat_byte(7));
    let answer = Delivery::Delivered { status: 201, response_sha256, claimed_transaction: None };
    desk.ledger.record_delivery(payment, answer).await.expect("records");
    let sha256 = Some(response_sha256.to_string());
    let delivered = (PaymentState::Delivered, Some(201), sha256.clone(), None, None, None);
    assert_eq!(life(&desk, payment).await, delivered);
    desk.ledger.settle(payment, transaction, 5).await.expect("settles");
    let desk = desk.again().await;
    let tx = Some(transaction.to_string());
    let paid = (PaymentState::Settled, Some(201), sha256, tx, Some(5), None);
    assert_eq!(life(&desk, payment).await, paid);
    desk.whole().await;
}

#[tokio::test]
async fn what_was_unclear_is_not_unclear_any_more_once_the_chain_says_paid() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(1).await;
    let (payment, transaction) = (held.payment(), B256::repeat_byte(7));
    desk.ledger.record_delivery(payment, unknown()).await.expect("records");
    desk.ledger.settle(payment, transaction, 5).await.expect("settles");
    let desk = desk.again().await;
    let tx = Some(transaction.to_string());
    let paid = (PaymentState::Settled, Some(502), None, tx, Some(5), None);
    assert_eq!(life(&desk, payment).await, paid);
    desk.whole().await;
}

#[tokio::test]
async fn every_payment_is_counted_whatever_became_of_it() {
    let desk = Desk::open(10, 100).await;
    let count = async |desk: &Desk| {
        desk.ledger.count_payments(&PaymentFilter::default()).await.expect("reads")
    };
    assert_eq!(count(&desk).await, 0);
    let _held = desk.held(1).await;
    let asked = desk.reserve(60, Some("asked")).await;
    let refused = desk.reserve(1_000, Some("refused")).await;
    assert_eq!((verdict(&asked).0, verdict(&refused).0), ("asked", "refused"));
    // The same again is no other payment.
    assert_eq!(verdict(&desk.reserve(60, Some("asked")).await).0, "known");
    assert_eq!(count(&desk).await, 3);
    let desk = desk.again().await;
    let _held = desk.held(1).await;
    assert_eq!(count(&desk).await, 4);
    desk.whole().await;
}

#[tokio::test]
async fn an_answer_ends_its_own_question_and_no_other() {
    let desk = Desk::open(10, 1_000).await;
    let Reserved::Asked { approval, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    let Reserved::Asked { payment: other, .. } = desk.reserve(61, None).await else {
        panic!("not asked")
    };
    desk.ledger.refuse(&approval, Some("too dear".into())).await.expect("refuses");
    let desk = desk.again().await;
    let again = desk.reserve(61, None).await;
    assert!(matches!(&again, Reserved::Known { payment } if *payment == other), "{again:?}");
    // What was answered is asked anew, and is not held against the agent.
    for value in [60, 62, 63, 64] {
        let asked = desk.reserve(value, None).await;
        assert_eq!(verdict(&asked).0, "asked", "{asked:?}");
    }
    let sixth = verdict(&desk.reserve(65, None).await);
    assert_eq!(sixth.0, "refused");
    assert!(sixth.1.contains(&ReasonCode::TooManyQuestions), "{sixth:?}");
    desk.whole().await;
}

#[tokio::test]
async fn a_yes_that_a_freeze_turns_down_leaves_no_question_behind() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    desk.ledger.freeze().await.expect("freezes");
    let order = desk.order(60, None);
    let outcome = desk.ledger.approve(&approval, order, usdc(), Danger::Calm).await;
    let Ok(Approved::Refused { payment: refused, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refused, payment);
    let desk = desk.again().await;
    let found = record(&desk, &payment).await;
    assert_eq!(found.state, PaymentState::Refused);
    assert!(found.verdict.objections().any(|reason| reason.code == ReasonCode::Frozen));
    assert_eq!(desk.ledger.approval(&approval).await.expect("reads").state, "approved");
    assert_eq!(desk.ledger.waiting_approvals().await.expect("reads"), []);
    assert!(desk.ledger.balance(&desk.agent.id).await.expect("reads").held.is_zero());
    desk.whole().await;
}
