//! The file under the books: what a look at it names, under which seal it stands, and who may
//! hold it meanwhile.

mod common;

use common::*;
use imprest_domain::{B256, Danger, Grade, SignalKind, Subject};
use imprest_ledger::{
    Clock, Delivery, Event, Head, HeadCopy, Ledger, LedgerError, OpenOptions, Reserved, SealKey,
};
use jiff::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

const NONE: [&str; 0] = [];

fn key(byte: u8) -> SealKey {
    SealKey::new([byte; 32])
}

/// Changes a closed file, as a program of the same user could.
fn change(path: &Path, sql: &str) {
    Connection::open(path).expect("opens").execute_batch(sql).expect(sql);
}

/// Changes rows while an index looks away, so that it does not fit its table afterwards.
fn change_behind(path: &Path, index: &str, sql: &str) {
    let file = Connection::open(path).expect("opens");
    let (table, page, made): (String, i64, String) = file
        .query_row(
            "SELECT tbl_name, rootpage, sql FROM sqlite_master WHERE name = ?",
            [index],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("is there");
    let reread = || {
        let version: i64 =
            file.query_row("PRAGMA schema_version", (), |row| row.get(0)).expect("reads");
        file.pragma_update(None, "schema_version", version + 1).expect("sets");
    };
    file.execute_batch("PRAGMA writable_schema = ON").expect("sets");
    file.execute("DELETE FROM sqlite_master WHERE name = ?", [index]).expect("hides");
    reread();
    assert_eq!(file.execute(sql, ()).expect(sql), 1);
    file.execute(
        "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('index', ?, ?, ?, ?)",
        (index, table, page, made),
    )
    .expect("puts back");
    reread();
}

/// Changes the log past its triggers, which are put back.
fn change_log(path: &Path, sql: &str, given: &[&dyn rusqlite::ToSql]) {
    let file = Connection::open(path).expect("opens");
    let guards: String = file
        .query_row(
            "SELECT group_concat(sql, ';') FROM sqlite_master WHERE type = 'trigger'",
            (),
            |row| row.get(0),
        )
        .expect("reads");
    file.execute_batch(
        "DROP TRIGGER events_are_never_edited; DROP TRIGGER events_are_never_deleted",
    )
    .expect("drops");
    assert_eq!(file.execute(sql, given).expect(sql), 1);
    file.execute_batch(&guards).expect("puts back");
}

/// The head before the last event, and the last event's time and body.
fn last_event(path: &Path) -> (Head, i64, String) {
    let file = Connection::open(path).expect("opens");
    let mut statement = file
        .prepare("SELECT seq, at_ms, hash, body FROM events ORDER BY seq DESC LIMIT 2")
        .expect("has a log");
    let mut rows = statement
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, row.get(3)?)))
        .expect("reads")
        .map(|row| row.expect("reads"));
    let (_, at_ms, _, body): (u64, i64, Vec<u8>, String) = rows.next().expect("has events");
    let (seq, before_ms, hash, _): (u64, i64, Vec<u8>, String) = rows.next().expect("has two");
    (Head { seq, at_ms: before_ms, hash: B256::from_slice(&hash) }, at_ms, body)
}

/// Books under a seal, with some payments; the file is closed.
async fn sealed() -> Desk {
    let desk = Desk::open(10, 1_000).await;
    desk.ledger.adopt(key(1)).await.expect("takes the key");
    for _ in 0..3 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), B256::random(), 1).await.expect("settles");
    }
    desk.ledger.clone().close().await;
    desk
}

async fn faults(path: &Path, copy: Option<HeadCopy>) -> Vec<String> {
    let ledger = Ledger::open(path).await.expect("opens");
    let found = ledger.verify(copy).await.expect("looks");
    ledger.close().await;
    found.faults
}

#[tokio::test]
async fn an_index_that_lost_or_kept_a_row_is_named() {
    let desk = Desk::open(10, 100).await;
    let _held = desk.held(1).await;
    assert!(matches!(desk.reserve(60, None).await, Reserved::Asked { .. }));
    assert_eq!(desk.ledger.check_file().await.expect("looks"), NONE);
    let path = desk.path();
    desk.ledger.clone().close().await;
    // The question is found as waiting, and waits no more.
    change_behind(&path, "approvals_waiting", "UPDATE approvals SET state = 'lapsed'");
    let ledger = Ledger::open(&path).await.expect("opens");
    let said = ledger.check_file().await.expect("looks");
    let stale = "The file is damaged: the index approvals_waiting finds 1 rows and there are 0.";
    assert_eq!(said, [stale]);
    ledger.close().await;
    // A transaction that no refill has is found as one of a refill.
    change_behind(&path, "refills_by_tx", "UPDATE refills SET tx = NULL");
    let ledger = Ledger::open(&path).await.expect("opens");
    let said = ledger.check_file().await.expect("looks");
    let refill = "The file is damaged: the index refills_by_tx finds 1 rows and there are 0.";
    assert_eq!(said, [stale, refill]);
    ledger.close().await;
    // The payment is there, and not where its time says.
    let later = "UPDATE payments SET at_ms = at_ms + 1 WHERE state = 'held'";
    change_behind(&path, "payments_by_time", later);
    let ledger = Ledger::open(&path).await.expect("opens");
    let said = ledger.check_file().await.expect("looks");
    let lost = |line: &String| line.contains("missing from index payments_by_time");
    assert!(said.iter().any(lost) && said.contains(&stale.to_owned()), "{said:?}");
}

#[tokio::test]
async fn an_empty_log_can_stand_under_a_seal() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledger = Ledger::open(&path).await.expect("makes");
    // Nothing in it gives authority, so it needs no seal; but one that is expected is missed.
    let lost = ledger.open_seal(key(1), true).await;
    assert!(matches!(lost, Err(LedgerError::Forged { .. })), "{lost:?}");
    ledger.open_seal(key(1), false).await.expect("takes the key");
    ledger.dangers().await.expect("is sealed with the next write, whatever it is");
    let found = ledger.verify(None).await.expect("looks");
    assert_eq!((found.sealed, found.seal_checked), (Some(0), true));
    assert_eq!(found.faults, NONE);
    ledger.close().await;
    let ledger = Ledger::open(&path).await.expect("opens");
    let other = ledger.open_seal(key(2), true).await;
    assert!(matches!(other, Err(LedgerError::Forged { .. })), "{other:?}");
    ledger.open_seal(key(1), true).await.expect("is under its seal");
}

#[tokio::test]
async fn a_rewritten_end_of_the_log_is_not_the_one_that_was_sealed() {
    let desk = sealed().await;
    let path = desk.path();
    assert_eq!(faults(&path, None).await, NONE);
    // Another event that does the same, under a hash that fits.
    let (before, at_ms, body) = last_event(&path);
    let body = format!("{body} ");
    let forged = before.next(at_ms, &body);
    let sql = "UPDATE events SET body = ?, hash = ? WHERE seq = ?";
    change_log(&path, sql, &[&body, &forged.hash.as_slice(), &forged.seq]);
    let not_sealed = format!("Event {} is not the one the vault sealed.", forged.seq);
    assert_eq!(faults(&path, None).await, [not_sealed]);
    let ledger = Ledger::open(&path).await.expect("opens");
    let refused = ledger.open_seal(key(1), true).await.expect_err("it is not the vault's work");
    assert!(refused.to_string().contains("is not the one that was sealed"), "{refused}");
}

#[tokio::test]
async fn authority_may_stand_under_the_seal_and_not_behind_it() {
    let desk = Desk::open(10, 1_000).await;
    desk.ledger.adopt(key(1)).await.expect("takes the key");
    let _held = desk.held(10).await;
    let head = desk.ledger.head();
    let found = desk.ledger.verify(None).await.expect("looks");
    assert_eq!((found.sealed, found.faults), (Some(head.seq), Vec::new()));
    let path = desk.path();
    desk.ledger.clone().close().await;
    // Somebody without the vault raises the agent's grade, and all of it adds up.
    let raised = Event::GradeSet { agent: desk.agent.id.clone(), grade: Grade::L4 };
    for _ in 0..2 {
        let body = serde_json::to_string(&raised).expect("is JSON");
        let file = Connection::open(&path).expect("opens");
        let (seq, hash): (u64, Vec<u8>) = file
            .query_row("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("reads");
        let last = Head { seq, at_ms: head.at_ms, hash: B256::from_slice(&hash) };
        let next = last.next(head.at_ms, &body);
        file.execute(
            "INSERT INTO events (seq, at_ms, kind, body, hash) VALUES (?, ?, ?, ?, ?)",
            (next.seq, next.at_ms, raised.kind(), body, next.hash.as_slice()),
        )
        .expect("appends");
    }
    change(&path, "UPDATE agents SET grade = 'L4'");
    let behind =
        |seq: u64| format!("Event {seq} gives authority and is not under the vault’s seal.");
    assert_eq!(faults(&path, None).await, [behind(head.seq + 1), behind(head.seq + 2)]);
}

#[tokio::test]
async fn an_event_that_is_gone_is_named_once() {
    let desk = sealed().await;
    let path = desk.path();
    let last = last_event(&path).0.seq + 1;
    change_log(&path, "DELETE FROM events WHERE seq = ?", &[&(last - 2)]);
    let found = faults(&path, None).await;
    let (gone, next) = (last - 2, last - 1);
    let missing = format!("Event {gone} is missing: the log goes on at {next}.");
    assert_eq!(found, [missing, format!("Event {last} is not the one the vault sealed.")]);
}

#[tokio::test]
async fn the_copy_of_the_end_is_compared_where_it_was_made() {
    let desk = Desk::open(10, 1_000).await;
    let _held = desk.held(10).await;
    let early = HeadCopy::from(desk.ledger.head());
    let _more = (desk.held(10).await, desk.held(10).await);
    let late = HeadCopy::from(desk.ledger.head());
    let faults = async |copy| desk.ledger.verify(Some(copy)).await.expect("looks").faults;
    for right in [early, late] {
        assert_eq!(faults(right).await, NONE);
    }
    let wrong = HeadCopy { hash: late.hash, ..early };
    let said = format!("Event {} is not the one that had been written.", early.seq);
    assert_eq!(faults(wrong).await, [said]);
}

#[tokio::test]
async fn the_same_answer_after_a_long_time_is_no_difference() {
    // By a clock that stands still, an answer that is said again changes nothing at all.
    let hands = Hands::at("2026-11-22T12:00:00Z");
    let desk = Desk::with(budget(10, 1_000), hands.options()).await;
    let many = async || {
        let mut payments = Vec::new();
        for _ in 0..60 {
            let held = desk.held(1).await;
            desk.ledger.settle(held.payment(), B256::random(), 7).await.expect("settles");
            payments.push(held.payment().clone());
        }
        payments
    };
    let early = many().await;
    for _ in 0..2 {
        many().await;
        for payment in &early {
            let answer = Delivery::Delivered {
                status: 200,
                response_sha256: B256::repeat_byte(3),
                claimed_transaction: None,
            };
            desk.ledger.record_delivery(payment, answer).await.expect("records");
        }
    }
    desk.whole().await;
}

#[tokio::test]
async fn lost_keys_are_counted() {
    let desk = Desk::open(10, 1_000).await;
    for at in 0..12 {
        assert_eq!(verdict(&desk.reserve(1, Some(&format!("k-{at}"))).await).0, "granted");
    }
    let path = desk.path();
    desk.ledger.clone().close().await;
    change(&path, "DELETE FROM client_keys WHERE client_key IN ('k-3', 'k-4')");
    let found = faults(&path, None).await;
    let said = "The table client_keys is not what the log adds up to: 10 rows instead of 12.";
    assert_eq!(found, [said]);
}

#[tokio::test]
async fn whoever_watches_is_told_of_commits_and_of_nothing_else() {
    let desk = Desk::open(10, 100).await;
    let mut watch = desk.ledger.watch();
    watch.borrow_and_update();
    desk.ledger.dangers().await.expect("looks");
    desk.ledger.preview(desk.order(1, None), usdc(), Danger::Calm).await.expect("looks");
    assert!(!watch.has_changed().expect("goes on"), "nothing was written");
    desk.ledger.freeze().await.expect("freezes");
    assert!(watch.has_changed().expect("goes on"));
    assert_eq!(*watch.borrow(), desk.ledger.head());
}

/// The system's clock, telling of each time that it is read: the writer reads it as it begins a job.
fn clock_that_tells(begun: &Arc<Notify>) -> OpenOptions {
    let begun = Arc::clone(begun);
    let read = move || {
        begun.notify_one();
        Timestamp::now()
    };
    OpenOptions { clock: Some(Clock::new(read)), vfs: None }
}

#[tokio::test]
async fn who_only_looks_waits_for_nobody_and_who_writes_does() {
    let begun = Arc::new(Notify::new());
    let desk = Desk::with(budget(10, 100), clock_that_tells(&begun)).await;
    let other = Connection::open(desk.path()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("takes the file");
    let at_once = Duration::from_secs(3);
    let looked = tokio::time::timeout(at_once, desk.ledger.dangers()).await;
    looked.expect("takes no lock").expect("folds");
    let look = desk.ledger.preview(desk.order(1, None), usdc(), Danger::Calm);
    let seen = tokio::time::timeout(at_once, look).await;
    seen.expect("takes no lock").expect("decides");
    let head = desk.ledger.head();
    // A notice kept from before would end the wait below too early.
    begun.notify_one();
    begun.notified().await;
    let ledger = desk.ledger.clone();
    let freezing = tokio::spawn(async move { ledger.freeze().await });
    begun.notified().await;
    assert!(!freezing.is_finished());
    assert_eq!(desk.ledger.head(), head, "begun, and not written while another has the file");
    other.execute_batch("ROLLBACK").expect("lets go");
    freezing.await.expect("goes on").expect("freezes");
    assert_eq!(desk.ledger.head().seq, head.seq + 1);
    desk.whole().await;
}

#[tokio::test]
async fn a_writer_that_stopped_answers_nothing_any_more() {
    let desk = Desk::open(10, 100).await;
    change(&desk.path(), "UPDATE accounts SET units = units + 1");
    let stopped = desk.ledger.freeze().await;
    assert!(matches!(stopped, Err(LedgerError::Stopped { .. })), "{stopped:?}");
    // What it has in memory may be another file's.
    let looked = desk.ledger.dangers().await;
    assert!(matches!(looked, Err(LedgerError::Stopped { .. })), "{looked:?}");
}

#[tokio::test]
async fn a_response_that_finds_the_disk_full_stops_nobody() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(1).await;
    let keep = || desk.ledger.keep_response(held.payment(), vec![7; 1_000_000]);
    let size = std::fs::metadata(desk.path()).expect("is there").len();
    desk.ledger.limit_pages(u32::try_from(size / 4096).expect("small") + 4).await.expect("limits");
    let full = keep().await;
    assert!(matches!(full, Err(LedgerError::DiskFull)), "{full:?}");
    desk.ledger.limit_pages(u32::MAX - 1).await.expect("frees");
    keep().await.expect("keeps");
    let kept = desk.ledger.kept_response(held.payment()).await.expect("reads");
    assert_eq!(kept.map(|body| body.len()), Some(1_000_000));
    desk.whole().await;
}

#[tokio::test]
async fn a_version_that_no_desk_writes_is_no_newer_one() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("ledger.db");
    change(&path, "PRAGMA user_version = -1");
    let refused = Ledger::open_with(&path, OpenOptions::default()).await.err().expect("refuses");
    let said = refused.to_string();
    assert!(matches!(refused, LedgerError::Unreadable { .. }), "{said}");
    assert!(said.contains("its version is -1, which no desk writes"), "{said}");
}

#[tokio::test]
async fn what_halts_the_desk_halts_it_after_a_restart_too() {
    let desk = Desk::open(10, 100).await;
    let broken = (SignalKind::BooksBroken, Subject::Desk, "the chain is broken".to_owned());
    desk.ledger.raise_signal(broken.0, broken.1, broken.2).await.expect("raises");
    let desk = desk.again().await;
    let dangers = desk.ledger.dangers().await.expect("folds");
    assert_eq!(dangers.into_iter().collect::<Vec<_>>(), [(Subject::Desk, Danger::Halted)]);
}

#[test]
fn a_key_is_named_and_not_shown() {
    let shown = format!("{:?}", key(7));
    assert!(shown.contains("SealKey") && !shown.contains('7'), "{shown}");
}
