//! Money into floats: refills from the treasury, and what arrives from elsewhere.

mod common;

use common::*;
use imprest_domain::{Address, B256, RefillId};
use imprest_ledger::{OpenRefill, TransactionTerms};

const FUNDED: u128 = 1_000_000;

/// Begins a refill of so much; nothing is sent yet.
async fn begun(desk: &Desk, value: u128) -> RefillId {
    let terms = TransactionTerms {
        nonce: 1,
        gas_limit: 60_000,
        max_fee_per_gas_wei: 2,
        max_priority_fee_per_gas_wei: 1,
    };
    let grant = desk.ledger.begin_refill(&desk.agent.id, units(value), usdc(), terms).await;
    grant.expect("grants").refill().clone()
}

async fn free(desk: &Desk) -> u128 {
    desk.ledger.balance(&desk.agent.id).await.expect("reads").free.get()
}

async fn open(desk: &Desk) -> Vec<OpenRefill> {
    desk.ledger.open_refills().await.expect("reads")
}

#[tokio::test]
async fn a_refill_is_open_until_the_chain_tells_its_end() {
    let desk = Desk::open(10, 100).await;
    assert_eq!(open(&desk).await, [], "the first one has come in");
    let (refill, tx) = (begun(&desk, 500).await, B256::repeat_byte(2));
    let agent = desk.agent.id.clone();
    let mut under_way = OpenRefill { refill: refill.clone(), agent, transaction: None };
    assert_eq!(open(&desk).await, [under_way.clone()]);
    desk.ledger.refill_sent(&refill, tx).await.expect("records");
    // What was signed is what the chain is asked about after a restart.
    let desk = desk.again().await;
    under_way.transaction = Some(tx);
    assert_eq!(open(&desk).await, [under_way]);
    assert_eq!(free(&desk).await, FUNDED, "sent is not arrived");
    for _ in 0..2 {
        desk.ledger.refill_settled(&refill, tx, 9).await.expect("books, and once only");
    }
    assert_eq!((open(&desk).await, free(&desk).await), (Vec::new(), FUNDED + 500));
    desk.ledger.refill_failed(&refill, "too late".into()).await.expect("changes nothing");
    assert_eq!(free(&desk).await, FUNDED + 500);
    desk.whole().await;
}

#[tokio::test]
async fn a_refill_that_came_to_nothing_is_open_no_more_and_books_nothing() {
    let desk = Desk::open(10, 100).await;
    let (refill, other) = (begun(&desk, 500).await, begun(&desk, 600).await);
    desk.ledger.refill_sent(&refill, B256::repeat_byte(2)).await.expect("records");
    desk.ledger.refill_failed(&refill, "the chain refused it".into()).await.expect("records");
    let left: Vec<_> = open(&desk).await.into_iter().map(|open| open.refill).collect();
    assert_eq!(left, [other]);
    desk.ledger.refill_settled(&refill, B256::repeat_byte(2), 9).await.expect("changes nothing");
    assert_eq!(free(&desk).await, FUNDED);
    desk.whole().await;
}

#[tokio::test]
async fn a_deposit_is_booked_once_and_a_refills_own_transfer_never_as_one() {
    let desk = Desk::open(10, 100).await;
    let (refill, sent) = (begun(&desk, 500).await, B256::repeat_byte(2));
    desk.ledger.refill_sent(&refill, sent).await.expect("records");
    let arrived = async |desk: &Desk, value: u128, tx: B256, log: u64| {
        let from = Address::repeat_byte(9);
        let booked =
            desk.ledger.float_received(&desk.agent.id, from, units(value), tx, log, 7).await;
        (booked.expect("books"), free(desk).await - FUNDED)
    };
    let deposit = B256::repeat_byte(3);
    assert_eq!(arrived(&desk, 30, deposit, 0).await, (true, 30));
    assert_eq!(arrived(&desk, 30, deposit, 0).await, (false, 30), "the same log once more");
    assert_eq!(arrived(&desk, 4, deposit, 1).await, (true, 34), "another one of the same");
    assert_eq!(arrived(&desk, 500, sent, 0).await, (false, 34), "it is booked as a refill");
    // The same after a restart, when nothing of it is at hand.
    let desk = desk.again().await;
    assert_eq!(arrived(&desk, 30, deposit, 0).await, (false, 34));
    assert_eq!(arrived(&desk, 500, sent, 0).await, (false, 34));
    assert_eq!(arrived(&desk, 6, B256::repeat_byte(4), 0).await, (true, 40));
    desk.ledger.refill_settled(&refill, sent, 9).await.expect("books");
    assert_eq!(arrived(&desk, 500, sent, 0).await, (false, 540));
    desk.whole().await;
}
