//! A nonce that a payee's protocol prescribes is signed once, whatever happens in between.

mod common;

use common::*;
use imprest_domain::{B256, Danger, Outcome, PaymentState, ReasonCode, Remedy};
use imprest_ledger::{Approved, FoundSpend, Order, Reserved};

fn bound(desk: &Desk, byte: u8) -> Order {
    Order { nonce: Some(B256::repeat_byte(byte)), ..desk.order(1, None) }
}

/// A refusal like any other: with its reason, and written down.
async fn refused_as_answered(desk: &Desk, byte: u8) {
    let Reserved::Refused { payment, verdict } = desk.ask(bound(desk, byte)).await else {
        panic!("not refused");
    };
    assert_eq!(verdict.outcome, Outcome::Deny);
    let reason = &verdict.reasons[0];
    assert_eq!((reason.code, reason.remedy), (ReasonCode::OfferAnswered, Remedy::Agent));
    let written = desk.ledger.payment(&payment).await.expect("is there");
    assert_eq!(written.state, PaymentState::Refused);
}

#[tokio::test]
async fn a_prescribed_nonce_is_signed_once() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Granted { grant, .. } = desk.ask(bound(&desk, 7)).await else {
        panic!("not granted");
    };
    assert_eq!(grant.authorization().nonce, B256::repeat_byte(7));
    refused_as_answered(&desk, 7).await;
    // Given back unsigned, it is still the one nonce of that one payment.
    desk.ledger.void(grant, "not signed".into()).await.expect("voids");
    let desk = desk.again().await;
    refused_as_answered(&desk, 7).await;
    desk.whole().await;
}

#[tokio::test]
async fn the_same_nonce_of_another_agent_is_another_one() {
    let desk = Desk::open(10, 100).await;
    let other = add_agent(&desk.ledger, "Other", 2, budget(10, 100)).await;
    desk.fund(&other, 1_000).await;
    for agent in [&desk.agent.id, &other.id] {
        let order = Order { nonce: Some(B256::repeat_byte(7)), ..order(agent, 1, None) };
        let reserved = desk.ask(order).await;
        assert!(matches!(reserved, Reserved::Granted { .. }), "{reserved:?}");
    }
    assert!(matches!(desk.ask(bound(&desk, 8)).await, Reserved::Granted { .. }));
    desk.whole().await;
}

#[tokio::test]
async fn a_nonce_that_the_chain_told_of_is_not_signed_again() {
    let desk = Desk::open(10, 100).await;
    let found = FoundSpend {
        agent: desk.agent.id.clone(),
        pay_to: shop().pay_to,
        value: units(1),
        nonce: Some(B256::repeat_byte(7)),
        transaction: B256::repeat_byte(8),
        log_index: 0,
        block: 9,
        at: desk.ledger.now(),
    };
    assert!(desk.ledger.spend_found(found).await.expect("books"));
    let desk = desk.again().await;
    refused_as_answered(&desk, 7).await;
    assert!(matches!(desk.ask(bound(&desk, 9)).await, Reserved::Granted { .. }));
    desk.whole().await;
}

/// The owner's yes came too late for the challenge: the question is over, and nothing is held.
#[tokio::test]
async fn a_yes_to_an_answered_challenge_ends_the_question() {
    let desk = Desk::open(10, 100).await;
    let dear = Order { nonce: Some(B256::repeat_byte(7)), ..desk.order(20, None) };
    let Reserved::Asked { approval, .. } = desk.ask(dear.clone()).await else {
        panic!("not asked")
    };
    let Reserved::Granted { .. } = desk.ask(bound(&desk, 7)).await else { panic!("not granted") };
    let answered = desk.ledger.approve(&approval, dear, usdc(), Danger::Calm).await;
    assert!(matches!(answered, Ok(Approved::Changed { .. })), "{answered:?}");
    desk.whole().await;
}
