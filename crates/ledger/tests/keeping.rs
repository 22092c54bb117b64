//! Keeping the file: seals, copies, older and newer forms, and files that are no ledger.

mod common;

use common::*;
use imprest_domain::{B256, Danger, Grade, SignalKind, Subject};
use imprest_ledger::{Head, HeadCopy, Ledger, LedgerError, PaymentFilter, Reserved, SealKey};
use rusqlite::Connection;
use std::fs;
use tempfile::TempDir;

fn key(byte: u8) -> SealKey {
    SealKey::new([byte; 32])
}

/// Books under a seal, with a few payments.
async fn sealed() -> Desk {
    let desk = Desk::open(10, 1_000).await;
    desk.ledger.adopt(key(1)).await.expect("takes the key");
    for _ in 0..3 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), imprest_domain::B256::ZERO, 1).await.expect("settles");
    }
    desk
}

#[tokio::test]
async fn the_seal_follows_every_commit() {
    let desk = sealed().await;
    let found = desk.ledger.verify(None).await.expect("reads");
    assert_eq!(found.faults, Vec::<String>::new());
    assert_eq!(found.sealed, Some(desk.ledger.head().seq));
    assert!(found.seal_checked);
    let desk = desk.again().await;
    let found = desk.ledger.verify(None).await.expect("reads");
    assert!(found.faults.is_empty() && !found.seal_checked, "without the key it is not checked");
}

#[tokio::test]
async fn nothing_gives_authority_while_the_vault_is_locked() {
    let desk = sealed().await;
    desk.ledger.close_seal().await.expect("lets go");
    let raised = desk.ledger.set_grade(&desk.agent.id, Grade::L4).await;
    assert!(matches!(raised, Err(LedgerError::Locked)));
    let held = desk.ledger.reserve(desk.order(1, None), usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(held, Err(LedgerError::Locked)));
    // Freezing, refusing and what the chain says go on.
    desk.ledger.freeze().await.expect("freezes");
    assert!(matches!(desk.reserve(1, None).await, Reserved::Refused { .. }));
    assert!(matches!(desk.ledger.thaw().await, Err(LedgerError::Locked)));
    let head = desk.ledger.head().seq;
    desk.whole().await;
    desk.ledger.open_seal(key(1), true).await.expect("takes the key");
    let found = desk.ledger.verify(None).await.expect("reads");
    assert_eq!((found.sealed, found.faults.len()), (Some(head), 0));
}

/// Rewrites history behind the desk's back as a program of the same user could: consistent hashes
/// and projections, no key.
fn forge(path: &std::path::Path, sql: &str) {
    let conn = Connection::open(path).expect("opens");
    conn.execute_batch(sql).expect("forges");
}

#[tokio::test]
async fn another_vaults_key_and_a_missing_seal_are_noticed() {
    let desk = sealed().await.again().await;
    let other = desk.ledger.open_seal(key(2), true).await;
    assert!(matches!(other, Err(LedgerError::Forged { .. })));
    let path = desk.path();
    desk.ledger.clone().close().await;
    forge(&path, "DELETE FROM seals");
    let ledger = Ledger::open(&path).await.expect("opens");
    assert!(matches!(ledger.open_seal(key(1), true).await, Err(LedgerError::Forged { .. })));
}

#[tokio::test]
async fn a_lost_seal_is_noticed_by_itself_and_only_the_owner_gets_over_it() {
    let desk = sealed().await;
    let path = desk.path();
    desk.ledger.clone().close().await;
    forge(&path, "DELETE FROM seals");
    let ledger = Ledger::open(&path).await.expect("opens");
    // Nothing else is known: there is no copy of the end that tells of a seal.
    let lost = ledger.open_seal(key(1), false).await;
    assert!(matches!(lost, Err(LedgerError::Forged { .. })), "{lost:?}");
    ledger.adopt(key(1)).await.expect("seals");
    let found = ledger.verify(None).await.expect("reads");
    assert_eq!((found.sealed, found.faults.len()), (Some(ledger.head().seq), 0));
    ledger.close().await;
    let ledger = Ledger::open(&path).await.expect("opens");
    ledger.open_seal(key(1), false).await.expect("it is under its seal again");
}

/// Appends an event with a right hash behind everything that was sealed.
fn append(path: &std::path::Path, kind: &str, payment: Option<&str>, body: &str) {
    let conn = Connection::open(path).expect("opens");
    let (seq, at_ms, hash) = conn
        .query_row("SELECT seq, at_ms, hash FROM events ORDER BY seq DESC LIMIT 1", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .expect("has events");
    let head = Head { seq, at_ms, hash: B256::from_slice(&hash) };
    let next = head.next(at_ms, body);
    conn.execute(
        "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (next.seq, at_ms, kind, payment, body, next.hash.as_slice()),
    )
    .expect("appends");
}

async fn faults_after(desk: Desk, forge: impl FnOnce(&std::path::Path)) -> Vec<String> {
    let path = desk.path();
    desk.ledger.clone().close().await;
    forge(&path);
    let ledger = Ledger::open(&path).await.expect("opens");
    let found = ledger.verify(None).await.expect("reads");
    ledger.close().await;
    found.faults
}

#[tokio::test]
async fn what_only_the_owner_ends_never_ends_by_itself() {
    let desk = sealed().await;
    let (kind, subject) = (SignalKind::RefusalBurst, Subject::Desk);
    desk.ledger.raise_signal(kind, subject.clone(), "seen".into()).await.expect("raises");
    desk.ledger.agreed(kind, subject).await.expect("does nothing");
    let signal = desk.ledger.head().seq;
    assert!(!desk.ledger.signals(10).await.expect("reads")[0].over);
    let faults = faults_after(desk, |path| {
        let body = format!(r#"{{"event":"signal_answered","signal":{signal},"by":"agreement"}}"#);
        append(path, "signal_answered", None, &body);
        let ended = "UPDATE signals SET ack_ms = (SELECT max(at_ms) FROM events)";
        Connection::open(path).expect("opens").execute(ended, ()).expect("ends");
    })
    .await;
    assert!(faults.iter().any(|fault| fault.contains("cannot have happened")), "{faults:?}");
}

#[tokio::test]
async fn a_payment_begins_once() {
    let desk = sealed().await;
    let open = desk.held(10).await;
    let payment = open.payment().to_string();
    let refused = {
        let Reserved::Refused { .. } = desk.reserve(1_000, None).await else { panic!("over") };
        let conn = Connection::open(desk.path()).expect("opens");
        let body: String = conn
            .query_row("SELECT body FROM events WHERE kind = 'payment_refused'", (), |row| {
                row.get(0)
            })
            .expect("was refused");
        let was: serde_json::Value = serde_json::from_str(&body).expect("is JSON");
        body.replace(was["payment"].as_str().expect("has one"), &payment)
    };
    let faults = faults_after(desk, |path| {
        append(path, "payment_refused", Some(&payment), &refused);
    })
    .await;
    assert!(faults.iter().any(|fault| fault.contains("beginning a second time")), "{faults:?}");
}

#[tokio::test]
async fn nothing_is_decided_on_a_file_that_somebody_else_writes() {
    let desk = Desk::open(10, 30).await;
    let _held = desk.held(10).await;
    forge(&desk.path(), "UPDATE counters SET held = 0, settled = 0");
    let order = || desk.order(10, None);
    let stopped = desk.ledger.reserve(order(), usdc(), Danger::Calm, MINUTES).await;
    let said = stopped.expect_err("stops").to_string();
    assert!(said.contains("another program has written to the ledger"), "{said}");
    let again = desk.ledger.reserve(order(), usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(again, Err(LedgerError::Stopped { .. })));
}

#[tokio::test]
async fn an_older_file_is_noticed_by_the_copy() {
    let desk = sealed().await;
    let path = desk.path();
    let backup = desk.folder.path().join("older.db");
    Connection::open(&path)
        .expect("opens")
        .execute("VACUUM INTO ?", [backup.to_string_lossy()])
        .expect("copies");
    let _more = desk.held(10).await;
    let copy = HeadCopy::from(desk.ledger.head());
    assert_eq!(copy.to_string().parse::<HeadCopy>().expect("reads back"), copy);
    assert_eq!(desk.ledger.compare_copy(copy).await.expect("reads"), None);
    desk.ledger.clone().close().await;
    fs::copy(&backup, &path).expect("puts the older file back");
    for tail in ["-wal", "-shm"] {
        let _ = fs::remove_file(path.with_file_name(format!("ledger.db{tail}")));
    }
    let ledger = Ledger::open(&path).await.expect("opens");
    let told = ledger.compare_copy(copy).await.expect("reads").expect("a difference");
    assert!(told.contains("older"), "{told}");
    let found = ledger.verify(Some(copy)).await.expect("reads");
    assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
    assert!("12".parse::<HeadCopy>().is_err() && "x:0x00".parse::<HeadCopy>().is_err());
}

fn first_form(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("ledger.db");
    let conn = Connection::open(&path).expect("makes");
    conn.execute_batch(include_str!("fixtures/first_form.sql")).expect("fills");
    path
}

#[tokio::test]
async fn books_of_the_first_form_are_brought_forward_with_a_backup() {
    let folder = TempDir::new().expect("a folder");
    let path = first_form(&folder);
    let ledger = Ledger::open(&path).await.expect("brings it forward");
    let found = ledger.verify(None).await.expect("reads");
    assert_eq!((found.events, found.faults), (25, Vec::new()));
    let agents = ledger.agents().await.expect("reads");
    let names: Vec<_> = agents.iter().map(|agent| agent.name.to_string()).collect();
    assert_eq!(names, ["Scout", "Night shift"]);
    let balance = ledger.balance(&agents[0].id).await.expect("reads");
    assert_eq!(
        (balance.free, balance.held, balance.paid),
        (units(9_970_000), units(0), units(30_000))
    );
    let page = ledger.payments(&PaymentFilter::default(), None, 50).await.expect("reads");
    assert_eq!(page.payments.len(), 5);
    let words = PaymentFilter { text: Some("weath".into()), ..PaymentFilter::default() };
    assert_eq!(ledger.count_payments(&words).await.expect("reads"), 5);
    ledger.close().await;
    // The copy is the old file, whole.
    let backup = Connection::open(folder.path().join("ledger.v1.backup")).expect("is there");
    let version: i64 =
        backup.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("reads");
    let events: i64 =
        backup.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("reads");
    assert_eq!((version, events), (1, 25));
}

#[tokio::test]
async fn a_damaged_first_form_stays_as_it_was() {
    let folder = TempDir::new().expect("a folder");
    let path = first_form(&folder);
    forge(
        &path,
        "DROP TRIGGER events_are_never_edited; UPDATE events SET body = replace(body, 'L3', 'L4')",
    );
    let before = fs::read(&path).expect("reads");
    let refused = Ledger::open(&path).await.err().expect("refuses").to_string();
    assert!(refused.contains("ledger.db") && refused.contains("chain"), "{refused}");
    let conn = Connection::open(&path).expect("opens");
    let version: i64 = conn.query_row("PRAGMA user_version", [], |r| r.get(0)).expect("reads");
    let old: i64 =
        conn.query_row("SELECT count(*) FROM counters", [], |r| r.get(0)).expect("reads");
    assert_eq!((version, old), (1, 8));
    assert!(!before.is_empty());
}

#[tokio::test]
async fn a_later_version_another_database_and_a_read_only_file_are_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let later = folder.path().join("later.db");
    forge(&later, "PRAGMA user_version = 5");
    let refused = Ledger::open(&later).await.err().expect("refuses");
    assert!(matches!(refused, LedgerError::Newer { found: 5, known: 4, .. }));
    let other = folder.path().join("other.db");
    forge(&other, "CREATE TABLE cats (name TEXT)");
    let refused = Ledger::open(&other).await.err().expect("refuses").to_string();
    assert!(refused.contains("other.db") && refused.contains("another program"), "{refused}");
    let tables: i64 = Connection::open(&other)
        .expect("opens")
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .expect("reads");
    assert_eq!(tables, 1, "nothing was added");
}

#[tokio::test]
async fn a_trigger_that_somebody_added_or_dropped_is_refused_by_name() {
    for (sql, name) in [
        (
            "CREATE TRIGGER helpful AFTER UPDATE ON counters
             BEGIN UPDATE counters SET held = 0, settled = 0; END",
            "helpful",
        ),
        ("DROP TRIGGER events_are_never_edited", "events_are_never_edited"),
        ("CREATE VIEW spare AS SELECT 1", "spare"),
        ("DROP INDEX payments_by_agent", "payments_by_agent"),
    ] {
        let desk = sealed().await;
        desk.ledger.clone().close().await;
        forge(&desk.path(), sql);
        let refused = Ledger::open(&desk.path()).await.err().expect("refuses").to_string();
        assert!(refused.contains(name) && refused.contains("ledger.db"), "{refused}");
    }
}

#[tokio::test]
async fn a_truncated_file_is_refused_or_found_out() {
    let desk = sealed().await;
    let path = desk.path();
    let copy = HeadCopy::from(desk.ledger.head());
    desk.ledger.clone().close().await;
    let whole = fs::read(&path).expect("reads");
    for share in [1, 2, 4, 8, 15] {
        fs::write(&path, &whole[..whole.len() * share / 16]).expect("cuts");
        match Ledger::open(&path).await {
            Err(error) => assert!(error.to_string().contains("ledger.db"), "{error}"),
            Ok(ledger) => {
                let found = ledger.verify(Some(copy)).await.expect("looks");
                assert!(!found.faults.is_empty(), "{share}/16 of the file went unnoticed");
                ledger.close().await;
            }
        }
        for tail in ["-wal", "-shm"] {
            let _ = fs::remove_file(path.with_file_name(format!("ledger.db{tail}")));
        }
    }
}
