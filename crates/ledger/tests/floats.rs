//! Money on its way: from the treasury into floats, into holds and on to payees.

mod common;

use common::*;
use imprest_domain::{Address, B256};
use imprest_ledger::{Agent, LedgerError, TreasuryGrant};

fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

async fn begin(desk: &Desk, agent: &Agent, value: u128) -> TreasuryGrant {
    desk.ledger.begin_refill(&agent.id, units(value), usdc(), TERMS).await.expect("grants")
}

/// Where a refill stands by the file.
fn stands(desk: &Desk, grant: &TreasuryGrant) -> String {
    let of = format!("FROM refills WHERE refill = '{}'", grant.refill());
    desk.rows(&format!("SELECT agent, value, state, tx, block, note {of}")).join("\n")
}

async fn free(desk: &Desk, agent: &Agent) -> u128 {
    desk.ledger.balance(&agent.id).await.expect("reads").free.get()
}

#[tokio::test]
async fn a_refill_is_in_the_float_once_the_chain_says_so() {
    let desk = Desk::open(10, 100).await;
    let agent = desk.another("Night shift", 2, budget(10, 100)).await;
    let grant = begin(&desk, &agent, 500).await;
    assert_eq!((grant.to(), grant.value(), grant.terms()), (agent.address, units(500), TERMS));
    assert_eq!(*grant.asset(), usdc());
    let stood =
        |state: &str, tx: &str, block: &str| format!("{}|500|{state}|{tx}|{block}|-", agent.id);
    assert_eq!(stands(&desk, &grant), stood("granted", "-", "-"));
    let open = desk.ledger.open_refills().await.expect("reads");
    assert_eq!(open.len(), 1);
    assert_eq!(
        (&open[0].refill, &open[0].agent, open[0].transaction),
        (grant.refill(), &agent.id, None)
    );

    desk.ledger.refill_sent(grant.refill(), tx(1)).await.expect("records");
    let desk = desk.again().await;
    assert_eq!(stands(&desk, &grant), stood("sent", &tx(1).to_string(), "-"));
    assert_eq!(desk.ledger.open_refills().await.expect("reads")[0].transaction, Some(tx(1)));
    assert_eq!(free(&desk, &agent).await, 1_000_000, "nothing has arrived");

    // The one that arrived may be another than the one that was sent first.
    for _ in 0..2 {
        desk.ledger.refill_settled(grant.refill(), tx(2), 77).await.expect("books");
        assert_eq!(free(&desk, &agent).await, 1_000_500);
    }
    let desk = desk.again().await;
    assert_eq!(stands(&desk, &grant), stood("settled", &tx(2).to_string(), "77"));
    assert_eq!(desk.ledger.open_refills().await.expect("reads"), []);
    let late = desk.ledger.refill_sent(grant.refill(), tx(3)).await;
    assert!(matches!(late, Err(LedgerError::Damaged { .. })), "{late:?}");
    desk.whole().await;
}

#[tokio::test]
async fn a_refill_that_failed_says_why_and_moves_nothing() {
    let desk = Desk::open(10, 100).await;
    let unsent = begin(&desk, &desk.agent, 500).await;
    let sent = begin(&desk, &desk.agent, 600).await;
    desk.ledger.refill_sent(sent.refill(), tx(1)).await.expect("records");
    for (grant, why) in [(&unsent, "the node was away"), (&sent, "it was reverted")] {
        desk.ledger.refill_failed(grant.refill(), why.into()).await.expect("records");
    }
    let desk = desk.again().await;
    let agent = &desk.agent.id;
    assert_eq!(stands(&desk, &unsent), format!("{agent}|500|failed|-|-|the node was away"));
    assert_eq!(stands(&desk, &sent), format!("{agent}|600|failed|{}|-|it was reverted", tx(1)));
    assert_eq!(desk.ledger.open_refills().await.expect("reads"), []);
    // It is closed, whatever comes after.
    desk.ledger.refill_settled(sent.refill(), tx(1), 9).await.expect("does nothing");
    assert_eq!(free(&desk, &desk.agent).await, 1_000_000);
    desk.whole().await;
}

#[tokio::test]
async fn every_unit_lies_in_the_account_that_the_books_promise() {
    let desk = Desk::open(10, 100).await;
    let (ledger, agent) = (&desk.ledger, &desk.agent.id);
    let from = Address::repeat_byte(9);
    assert!(ledger.float_received(agent, from, units(5), tx(9), 0, 1).await.expect("books"));
    let paid = desk.held(10).await;
    ledger.settle(paid.payment(), tx(7), 1).await.expect("settles");
    let _open = desk.held(3).await;
    let accounts = || desk.rows("SELECT account, units FROM accounts ORDER BY account");
    assert_eq!(
        accounts(),
        [
            format!("float/{agent}|999992"),
            format!("held/{agent}|3"),
            "outside|-5".to_owned(),
            "payee/http://127.0.0.1:4021|10".to_owned(),
            "treasury|-1000000".to_owned(),
        ]
    );
    assert_eq!(
        desk.rows("SELECT credit, debit, units FROM entries ORDER BY seq"),
        [
            format!("treasury|float/{agent}|1000000"),
            format!("outside|float/{agent}|5"),
            format!("float/{agent}|held/{agent}|10"),
            format!("held/{agent}|payee/http://127.0.0.1:4021|10"),
            format!("float/{agent}|held/{agent}|3"),
        ]
    );
    desk.whole().await;
}

#[tokio::test]
async fn a_grant_names_the_key_that_signs_and_what_is_signed() {
    let desk = Desk::open(10, 100).await;
    let agent = desk.another("Night shift", 2, budget(10, 100)).await;
    let own = desk.held(1).await;
    let others = desk.ask(order(&agent.id, 2, None)).await;
    let imprest_ledger::Reserved::Granted { grant, .. } = others else { panic!("not granted") };
    assert_eq!((own.account(), grant.account()), (desk.agent.account, agent.account));
    assert_eq!((own.account(), grant.account()), (1, 2));
    let signed = grant.authorization();
    assert_eq!((signed.from, signed.to, signed.value), (agent.address, shop().pay_to, units(2)));
    assert_eq!((signed.asset, grant.asset()), (usdc().id, &usdc()));
}
