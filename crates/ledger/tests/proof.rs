//! The proof of the books meets every row, whatever order things happened in, and names what is
//! not the log's work.

mod common;

use common::{Desk, MINUTES, usdc};
use imprest_domain::{B256, Danger, PaymentId};
use imprest_ledger::{Delivery, Reserved};
use rusqlite::Connection;

/// More than the events of one batch of the walk, so that what came before has been let go of.
const MANY: u128 = 60;

fn answered() -> Delivery {
    let response_sha256 = B256::repeat_byte(3);
    Delivery::Delivered { status: 200, response_sha256, claimed_transaction: None }
}

/// Pays so many times with a key, and settles each.
async fn paid(desk: &Desk, times: u128, name: &str) -> Vec<PaymentId> {
    let mut payments = Vec::new();
    for at in 0..times {
        let Reserved::Granted { grant, .. } = desk.reserve(1, Some(&format!("{name}-{at}"))).await
        else {
            panic!("not granted")
        };
        desk.ledger.settle(grant.payment(), B256::random(), 7).await.expect("settles");
        payments.push(grant.payment().clone());
    }
    payments
}

#[tokio::test]
async fn answers_that_come_long_after_the_chain_are_no_difference() {
    let desk = Desk::open(10, 1_000).await;
    let early = paid(&desk, MANY, "early").await;
    paid(&desk, MANY, "later").await;
    for payment in &early {
        desk.ledger.record_delivery(payment, answered()).await.expect("records");
    }
    paid(&desk, MANY, "last").await;
    desk.whole().await;
    // Once more, when the first answers have been let go of as well.
    for payment in &early {
        desk.ledger.record_delivery(payment, answered()).await.expect("records");
    }
    desk.whole().await;
}

#[tokio::test]
async fn holds_that_stay_open_are_compared_too() {
    let desk = Desk::open(10, 1_000).await;
    let mut open = Vec::new();
    for at in 0..MANY {
        let Reserved::Granted { grant, .. } = desk.reserve(1, Some(&format!("k{at}"))).await else {
            panic!("not granted")
        };
        open.push(grant);
        paid(&desk, 1, &format!("between-{at}")).await;
    }
    desk.whole().await;
    let path = desk.path();
    let seq: i64 = {
        let file = Connection::open(&path).expect("opens");
        file.query_row("SELECT min(seq) FROM payments WHERE state = 'held'", (), |row| row.get(0))
            .expect("there is one")
    };
    let sql = format!("UPDATE payments SET value = value + 1 WHERE seq = {seq}");
    let found = changed(desk, &sql).await;
    assert!(found.contains("The table payments is not what the log adds up to"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_meanwhile_is_no_difference() {
    let desk = Desk::open(10, 1_000_000).await;
    paid(&desk, MANY, "before").await;
    let (ledger, agent) = (desk.ledger.clone(), desk.agent.id.clone());
    let writing = tokio::spawn(async move {
        for at in 0..400_u32 {
            let order = common::order(&agent, 1, Some(&format!("meanwhile-{at}")));
            let reserved = ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await;
            let Ok(Reserved::Granted { grant, .. }) = reserved else { panic!("not granted") };
            ledger.settle(grant.payment(), B256::random(), 7).await.expect("settles");
        }
    });
    let mut looks = 0;
    while !writing.is_finished() || looks == 0 {
        desk.whole().await;
        looks += 1;
    }
    writing.await.expect("writes");
    desk.whole().await;
}

/// What the proof says after somebody changed the file.
async fn changed(desk: Desk, sql: &str) -> String {
    let Desk { folder, ledger, .. } = desk;
    let path = folder.path().join("ledger.db");
    ledger.close().await;
    let file = Connection::open(&path).expect("opens");
    assert_eq!(file.execute(sql, ()).expect(sql), 1, "{sql}");
    drop(file);
    let ledger = imprest_ledger::Ledger::open(&path).await.expect("opens");
    let found = ledger.verify(None).await.expect("reads");
    ledger.close().await;
    found.faults.join("\n")
}

#[tokio::test]
async fn every_kind_of_difference_is_named() {
    const COPY: &str = "INSERT INTO payments SELECT ";
    let columns = "agent, client_key, request_sha256, state, what, url, method, purpose, task,
        origin, pay_to, chain_id, contract, value, verdict_seq, spans, from_address, nonce,
        valid_after_s, valid_before_s, response_status, response_sha256, tx, block, note, at_ms,
        updated_ms FROM payments WHERE state = 'settled' LIMIT 1";
    let cases = [
        ("payments", "DELETE FROM payments WHERE seq = (SELECT max(seq) FROM payments)", "missing"),
        (
            "payments",
            "UPDATE payments SET note = 'x' WHERE seq = (SELECT min(seq) FROM payments)",
            "instead of",
        ),
        ("payments", &format!("{COPY} 1, 'pay_0', {columns}"), "which no event made"),
        ("payments", &format!("{COPY} -1, 'pay_0', {columns}"), "cannot be read"),
        ("payments", &format!("{COPY} 1000000, 'pay_0', {columns}"), "which no event made"),
        ("entries", "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)", "missing"),
        (
            "entries",
            "UPDATE entries SET units = units + 1 WHERE seq = (SELECT max(seq) FROM entries)",
            "instead of",
        ),
        (
            "entries",
            "INSERT INTO entries VALUES (2, 'treasury', 'outside', 5)",
            "which no event made",
        ),
        (
            "entries",
            "INSERT INTO entries VALUES (1000000, 'treasury', 'outside', 5)",
            "which no event made",
        ),
        ("client_keys", "DELETE FROM client_keys WHERE client_key = 'k-7'", "rows instead of"),
        (
            "client_keys",
            "UPDATE client_keys SET client_key = 'k-x' WHERE client_key = 'k-7'",
            "which no event made",
        ),
        (
            "client_keys",
            "INSERT INTO client_keys SELECT agent, 'k-x', payment, request_sha256 FROM client_keys LIMIT 1",
            "which no event made",
        ),
        ("counters", "UPDATE counters SET settled = settled - 1 WHERE span = 'day'", "instead of"),
    ];
    for (table, sql, said) in cases {
        let desk = Desk::open(10, 1_000).await;
        paid(&desk, 12, "k").await;
        desk.whole().await;
        let found = changed(desk, sql).await;
        let wrong = format!("The table {table} is not what the log adds up to");
        assert!(found.contains(&wrong) && found.contains(said), "{sql}: {found}");
    }
}
