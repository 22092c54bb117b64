//! What lies beside the books for a while: responses that were paid, and remembered numbers.

mod common;

use common::Desk;
use imprest_domain::{B256, PaymentId};

async fn paid(desk: &Desk) -> PaymentId {
    let held = desk.held(1).await;
    desk.ledger.settle(held.payment(), B256::random(), 1).await.expect("settles");
    held.payment().clone()
}

async fn kept(desk: &Desk, payment: &PaymentId) -> Option<Vec<u8>> {
    desk.ledger.kept_response(payment).await.expect("reads")
}

#[tokio::test]
async fn what_was_bought_is_kept_until_newer_responses_take_its_place() {
    let desk = Desk::open(10, 100).await;
    let payments = [paid(&desk).await, paid(&desk).await, paid(&desk).await];
    assert_eq!(kept(&desk, &payments[0]).await, None);
    let body = |at: usize| format!("response {at}").into_bytes();
    // In another order than they were paid in: what counts is when they were paid.
    for at in [2, 0, 1] {
        desk.ledger.keep_response(&payments[at], body(at)).await.expect("keeps");
    }
    desk.ledger.keep_response(&payments[1], b"whole".to_vec()).await.expect("keeps");
    let desk = desk.again().await;
    assert_eq!(kept(&desk, &payments[0]).await, Some(body(0)));
    assert_eq!(kept(&desk, &payments[1]).await, Some(b"whole".to_vec()));
    assert_eq!(kept(&desk, &payments[2]).await, Some(body(2)));
    desk.ledger.prune_responses(3).await.expect("prunes");
    assert_eq!(kept(&desk, &payments[0]).await, Some(body(0)));
    desk.ledger.prune_responses(2).await.expect("prunes");
    assert_eq!(kept(&desk, &payments[0]).await, None);
    assert_eq!(kept(&desk, &payments[1]).await, Some(b"whole".to_vec()));
    assert_eq!(kept(&desk, &payments[2]).await, Some(body(2)));
    desk.ledger.prune_responses(0).await.expect("prunes");
    assert_eq!(kept(&desk, &payments[2]).await, None);
    desk.whole().await;
}

#[tokio::test]
async fn a_mark_is_the_last_number_that_was_set() {
    let desk = Desk::open(10, 100).await;
    let mark = async |desk: &Desk, mark| desk.ledger.mark(mark).await.expect("reads");
    assert_eq!(mark(&desk, "block").await, None);
    for number in [7, 9] {
        desk.ledger.set_mark("block", number).await.expect("sets");
    }
    desk.ledger.set_mark("zero", 0).await.expect("sets");
    let desk = desk.again().await;
    assert_eq!(mark(&desk, "block").await, Some(9));
    assert_eq!(mark(&desk, "zero").await, Some(0));
    assert_eq!(mark(&desk, "other").await, None);
    desk.whole().await;
}
