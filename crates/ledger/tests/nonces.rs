//! A nonce that a payee's protocol prescribes is signed once, whatever happens in between.

mod common;

use common::*;
use imprest_domain::{B256, Danger};
use imprest_ledger::{LedgerError, Order, Reserved};

fn bound(desk: &Desk, byte: u8) -> Order {
    Order { nonce: Some(B256::repeat_byte(byte)), ..desk.order(1, None) }
}

#[tokio::test]
async fn a_prescribed_nonce_is_signed_once() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Granted { grant, payment, .. } = desk.ask(bound(&desk, 7)).await else {
        panic!("not granted");
    };
    assert_eq!(grant.authorization().nonce, B256::repeat_byte(7));
    let again = desk.ledger.reserve(bound(&desk, 7), usdc(), Danger::Calm, MINUTES).await;
    let Err(LedgerError::NonceUsed { payment: known }) = again else { panic!("{again:?}") };
    assert_eq!(known, payment);
    // Given back unsigned, it is still the one nonce of that one payment.
    desk.ledger.void(grant, "not signed".into()).await.expect("voids");
    let desk = desk.again().await;
    let again = desk.ledger.reserve(bound(&desk, 7), usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(again, Err(LedgerError::NonceUsed { .. })), "{again:?}");
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
