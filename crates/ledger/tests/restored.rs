//! Books that came out of a backup: what says so stands under the vault's seal, nothing is paid
//! before the chain was read and the owner has thawed, and no account is used a second time.

mod common;

use common::*;
use imprest_domain::{Address, B256, Budget, Units, Window};
use imprest_ledger::{
    Event, FoundSpend, Head, Ledger, LedgerError, Locks, NewAgent, Nodes, Restored, SealKey,
    StrangerSpend, mark_copy,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NOON: &str = "2026-11-22T12:00:00Z";
const TRIGGERS: [&str; 2] = [
    "CREATE TRIGGER events_are_never_edited BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END",
    "CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END",
];

fn key() -> SealKey {
    SealKey::new([7; 32])
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A desk whose ledger is sealed, and a copy of it as it goes into a backup.
async fn copied() -> (Desk, TempDir, PathBuf) {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    desk.ledger.adopt(key()).await.expect("seals");
    let (shelf, copy) = copy_of(&desk);
    mark_copy(&copy, Some(key()), at(NOON)).expect("marks");
    (desk, shelf, copy)
}

fn copy_of(desk: &Desk) -> (TempDir, PathBuf) {
    let shelf = TempDir::new().expect("a folder");
    let copy = shelf.path().join("ledger.db");
    let live = Connection::open(desk.path()).expect("opens");
    live.execute("VACUUM INTO ?", [copy.to_str().expect("is text")]).expect("copies");
    (shelf, copy)
}

async fn open(copy: &Path) -> Ledger {
    Ledger::open_with(copy, Hands::at(NOON).options()).await.expect("opens")
}

async fn put_back(copy: &Path) -> Ledger {
    let ledger = open(copy).await;
    ledger.open_seal(key(), true).await.expect("is the vault's");
    ledger
}

async fn state(ledger: &Ledger) -> Option<Restored> {
    ledger.restored().await.expect("reads")
}

/// What a program of the same user can do to a file, the guards of the log put back as they were.
fn forge(path: &Path, sql: &str) {
    let file = Connection::open(path).expect("opens");
    file.execute_batch(
        "DROP TRIGGER events_are_never_edited; DROP TRIGGER events_are_never_deleted",
    )
    .expect("drops");
    file.execute_batch(sql).expect(sql);
    TRIGGERS.into_iter().for_each(|trigger| file.execute_batch(trigger).expect("guards"));
}

/// Writes an event behind the end of a log, or in the place of its last, with a hash that fits.
fn write_on(path: &Path, event: &Event, instead: bool) {
    if instead {
        forge(path, "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)");
    }
    let file = Connection::open(path).expect("opens");
    let head = file
        .query_row("SELECT seq, hash, at_ms FROM events ORDER BY seq DESC LIMIT 1", [], |row| {
            let hash: Vec<u8> = row.get(1)?;
            Ok(Head { seq: row.get(0)?, hash: B256::from_slice(&hash), at_ms: row.get(2)? })
        })
        .expect("reads");
    let body = serde_json::to_string(event).expect("writes");
    let next = head.next(head.at_ms, &body);
    file.execute(
        "INSERT INTO events (seq, at_ms, kind, body, hash) VALUES (?, ?, ?, ?, ?)",
        (next.seq, next.at_ms, event.kind(), &body, next.hash.as_slice()),
    )
    .expect("appends");
}

#[tokio::test]
async fn a_copy_says_what_it_is_and_the_desk_it_is_of_does_not() {
    let (desk, _shelf, copy) = copied().await;
    assert_eq!(state(&desk.ledger).await, None);
    assert!(!desk.ledger.is_frozen().await.expect("reads"));
    let live = desk.ledger.head();
    let ledger = put_back(&copy).await;
    assert_eq!(ledger.head().seq, live.seq + 1);
    assert!(ledger.is_from_backup_at(live.seq + 1).await.expect("reads"));
    assert!(!ledger.is_from_backup_at(live.seq).await.expect("reads"));
    assert!(ledger.is_frozen().await.expect("reads"));
    let restored = state(&ledger).await.expect("says so");
    assert!(restored.is_pending() && restored.waits_from().is_none());
    assert_eq!(restored.made_at(), at(NOON));
    let found = ledger.verify(None).await.expect("reads");
    assert!(found.faults.is_empty() && found.seal_checked, "{found:?}");
}

#[tokio::test]
async fn only_a_chain_that_was_read_ends_the_wait_and_only_the_owner_the_freeze() {
    let (_desk, _shelf, copy) = copied().await;
    let ledger = put_back(&copy).await;
    assert!(matches!(ledger.thaw().await, Err(LedgerError::Unreconciled)));
    ledger.freeze().await.expect("frozen already is no error");
    // A chain whose clock is behind does not shorten the wait, and asking again does not either.
    let seen = ledger.restore_seen(at("2020-01-01T00:00:00Z")).await.expect("writes");
    assert_eq!(seen.waits_from(), Some(at(NOON)));
    let again = ledger.restore_seen(at("2026-11-22T13:00:00Z")).await.expect("knows it");
    assert_eq!(again, seen);
    let minutes = SignedDuration::from_mins;
    assert!(!seen.is_all_on_chain(at(NOON) + minutes(4), minutes(4)));
    assert!(seen.is_all_on_chain(at(NOON) + minutes(5), minutes(4)));
    assert!(matches!(ledger.thaw().await, Err(LedgerError::Unreconciled)));
    ledger.reconciled(77, 3).await.expect("ends the wait");
    assert_eq!(state(&ledger).await.and_then(|it| it.read_to()), Some(77));
    assert!(ledger.is_frozen().await.expect("reads"), "it is for the owner to thaw");
    assert!(ledger.reconciled(78, 3).await.is_err(), "it ends once");
    ledger.thaw().await.expect("thaws");
    assert_eq!((state(&ledger).await, ledger.is_frozen().await.expect("reads")), (None, false));
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
    ledger.close().await;
    let ledger = put_back(&copy).await;
    assert_eq!(state(&ledger).await, None, "and so it stays");
}

/// An account that was used on the chain is never used again; until that is known, none is.
#[tokio::test]
async fn no_account_is_used_again() {
    let (_desk, _shelf, copy) = copied().await;
    let ledger = put_back(&copy).await;
    let new = |account: u32, number: u8| NewAgent {
        name: format!("Helper {number}").parse().expect("a name"),
        account,
        address: Address::repeat_byte(0x60 + number),
        grade: imprest_domain::Grade::L1,
        budget: budget(10, 10),
        shared: None,
        token_sha256: format!("{number:02x}"),
    };
    assert_eq!(ledger.next_account().await.expect("reads"), 2);
    let early = ledger.add_agent(new(2, 2)).await;
    assert!(matches!(early, Err(LedgerError::Unreconciled)), "{early:?}");
    ledger.restore_seen(at(NOON)).await.expect("writes");
    ledger.reconciled(77, 5).await.expect("ends the wait");
    assert_eq!(ledger.next_account().await.expect("reads"), 6);
    for used in [2, 5] {
        let again = ledger.add_agent(new(used, 3)).await;
        assert!(matches!(again, Err(LedgerError::AgentClash { what: "account" })), "{again:?}");
    }
    ledger.add_agent(new(6, 4)).await.expect("adds");
    assert_eq!(ledger.next_account().await.expect("reads"), 7);
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
}

/// Each way to take away that these books are a backup's, as a program of the same user could.
#[tokio::test]
async fn what_says_so_cannot_be_taken_away() {
    let away = "DELETE FROM events WHERE kind = 'from_backup';";
    let as_if = "UPDATE desk SET restored = NULL, frozen = 0;";
    let resealed = "UPDATE seals SET seq = seq - 1,
        hash = (SELECT hash FROM events ORDER BY seq DESC LIMIT 1);";
    for sql in [
        away.to_owned(),
        format!("{away}{as_if}"),
        format!("{away}{as_if}{resealed}"),
        format!("{away}{as_if}DELETE FROM seals;"),
        format!("UPDATE events SET kind = 'frozen' WHERE kind = 'from_backup';{as_if}"),
        "UPDATE events SET at_ms = 0 WHERE kind = 'from_backup'".to_owned(),
    ] {
        let (_desk, _shelf, copy) = copied().await;
        forge(&copy, &sql);
        let ledger = open(&copy).await;
        let sealed = ledger.open_seal(key(), true).await;
        let faults = ledger.verify(None).await.expect("reads").faults;
        let is_noticed = matches!(sealed, Err(LedgerError::Forged { .. })) || !faults.is_empty();
        assert!(is_noticed, "{sql}");
        // A changed table alone is what the replay finds, before anything is signed.
        assert!(sql.starts_with("UPDATE") || sealed.is_err(), "{sql}: {sealed:?}");
    }
    let (_desk, _shelf, copy) = copied().await;
    forge(&copy, as_if);
    assert_eq!(open(&copy).await.verify(None).await.expect("reads").faults.len(), 1);
    // Another event in its place, with a hash that fits.
    let (_desk, _shelf, copy) = copied().await;
    write_on(&copy, &Event::Frozen {}, true);
    let sealed = open(&copy).await.open_seal(key(), true).await;
    assert!(matches!(sealed, Err(LedgerError::Forged { .. })), "{sealed:?}");
}

/// What would end the wait, or shorten it, takes the vault's key.
#[tokio::test]
async fn the_end_of_the_wait_cannot_be_forged() {
    let long_ago = at("2020-01-01T00:00:00Z");
    for event in [
        Event::RestoreSeen { version: 1, chain_at: long_ago },
        Event::Reconciled { version: 1, block: 1, account: 1 },
        Event::Thawed {},
        Event::LocksSet { version: 1, locks: Locks::default() },
        Event::NodesSet { version: 1, nodes: nodes(&["http://127.0.0.1:1"]) },
    ] {
        let (_desk, _shelf, copy) = copied().await;
        let ledger = open(&copy).await;
        assert!(matches!(ledger.restore_seen(long_ago).await, Err(LedgerError::Locked)));
        assert!(matches!(ledger.reconciled(1, 1).await, Err(LedgerError::Locked)));
        ledger.close().await;
        write_on(&copy, &event, false);
        let ledger = open(&copy).await;
        let sealed = ledger.open_seal(key(), true).await;
        assert!(matches!(sealed, Err(LedgerError::Forged { .. })), "{event:?}: {sealed:?}");
        assert!(!ledger.verify(None).await.expect("reads").faults.is_empty(), "{event:?}");
    }
}

/// A forged log does not become the vault's by being backed up.
#[tokio::test]
async fn a_copy_is_sealed_only_if_its_log_was() {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    desk.ledger.adopt(key()).await.expect("seals");
    let (_shelf, copy) = copy_of(&desk);
    write_on(&copy, &Event::Thawed {}, false);
    let refused = mark_copy(&copy, Some(key()), at(NOON));
    assert!(matches!(refused, Err(LedgerError::Forged { .. })), "{refused:?}");
    let (_shelf, copy) = copy_of(&desk);
    let refused = mark_copy(&copy, Some(SealKey::new([8; 32])), at(NOON));
    assert!(matches!(refused, Err(LedgerError::Forged { .. })), "{refused:?}");
}

/// A backup of books that still wait is as old as the first one.
#[tokio::test]
async fn a_backup_of_a_backup_waits_from_the_first() {
    let (_desk, _shelf, copy) = copied().await;
    let ledger = put_back(&copy).await;
    ledger.restore_seen(at(NOON)).await.expect("writes");
    ledger.close().await;
    mark_copy(&copy, Some(key()), at("2026-11-25T12:00:00Z")).expect("marks");
    let ledger = put_back(&copy).await;
    let restored = state(&ledger).await.expect("says so");
    assert_eq!((restored.made_at(), restored.waits_from()), (at(NOON), None));
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
}

async fn shared_day(ledger: &Ledger, holder: &str, budget: &Budget) -> u128 {
    let used = ledger.window_use(holder, budget, Window::Day).await.expect("reads");
    used.settled.get()
}

/// Nobody knows any more under which shared budget an agent was that spent since the backup.
#[tokio::test]
async fn no_shared_budget_is_refilled() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(1_000, 1_000), hands.options()).await;
    let ledger = &desk.ledger;
    let limits = budget(1_000, 100);
    let team = ledger.add_shared("team".parse().expect("a name"), limits.clone()).await;
    let team = team.expect("adds");
    let night = ledger.add_shared("night".parse().expect("a name"), limits.clone()).await;
    let night = night.expect("adds");
    ledger.join_shared(&desk.agent.id, Some(team.id.clone())).await.expect("joins");
    let stranger = |value: u128, log_index: u64| StrangerSpend {
        account: 4,
        asset: usdc().id,
        pay_to: shop().pay_to,
        value: units(value),
        transaction: B256::repeat_byte(3),
        log_index,
        block: 9,
        at: at(NOON),
    };
    assert!(ledger.stranger_spent(stranger(30, 1)).await.expect("counts"));
    assert!(!ledger.stranger_spent(stranger(30, 1)).await.expect("knows it"));
    assert!(!ledger.stranger_spent(stranger(0, 2)).await.expect("is nothing"));
    assert_eq!(ledger.strangers().await.expect("reads"), 1);
    let another = StrangerSpend { account: 5, ..stranger(0, 8) };
    assert!(!ledger.stranger_spent(another).await.expect("is nothing"));
    assert_eq!(ledger.strangers().await.expect("reads"), 1, "accounts that spent");
    let own = FoundSpend {
        agent: desk.agent.id.clone(),
        pay_to: shop().pay_to,
        value: units(20),
        nonce: None,
        transaction: B256::repeat_byte(3),
        log_index: 3,
        block: 9,
        at: at(NOON),
    };
    assert!(ledger.spend_found(own).await.expect("books"));
    for id in [&team.id, &night.id] {
        assert_eq!(shared_day(ledger, id.as_str(), &limits).await, 50, "{id}");
    }
    // No float is lighter by what a stranger spent, and the agent's own day holds its own.
    assert_eq!(ledger.balance(&desk.agent.id).await.expect("reads").free, units(1_000_000 - 20));
    assert_eq!(shared_day(ledger, desk.agent.id.as_str(), &desk.agent.budget).await, 20);
    assert_eq!(verdict(&desk.reserve(51, None).await).0, "refused");
    assert_eq!(verdict(&desk.reserve(49, None).await).0, "granted");
    desk.whole().await;
    // The rolling hour is read off the log where the clock was ahead.
    hands.set("2026-11-22T15:00:00Z");
    let _ahead = desk.held(1).await;
    hands.set("2026-11-22T12:05:00Z");
    desk.ledger.accept_clock().await.expect("accepts");
    let hour = desk.ledger.window_use(night.id.as_str(), &limits, Window::Hour).await;
    assert_eq!(hour.expect("reads").settled, units(50));
    // The team's hour had forgotten it for the payment ahead.
    let hour = desk.ledger.window_use(team.id.as_str(), &limits, Window::Hour).await;
    assert_eq!(hour.expect("reads").settled, units(50 + 49 + 1));
    let desk = desk.again().await;
    assert_eq!(shared_day(&desk.ledger, night.id.as_str(), &limits).await, 50);
    desk.whole().await;
}

fn nodes(urls: &[&str]) -> Nodes {
    let urls: Vec<_> = urls.iter().map(|&url| url.to_owned()).collect();
    urls.try_into().expect("fits")
}

/// Whoever chooses the nodes chooses what the desk believes: that takes the vault.
#[tokio::test]
async fn nodes_stand_in_the_log() {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    desk.ledger.adopt(key()).await.expect("seals");
    assert_eq!(desk.ledger.nodes().await.expect("reads"), None);
    let two = nodes(&["https://one.example/key", "https://two.example"]);
    desk.ledger.set_nodes(two.clone()).await.expect("the vault is open");
    let five = vec!["https://one.example".to_owned(); 5];
    assert_eq!(nodes(&["https://one.example"; 4]).urls(), &five[..4]);
    assert!(Nodes::try_from(five).is_err(), "four are the most");
    desk.ledger.close_seal().await.expect("closes");
    let other = desk.ledger.set_nodes(nodes(&["http://127.0.0.1:1"])).await;
    assert!(matches!(other, Err(LedgerError::Locked)), "{other:?}");
    let desk = desk.again().await;
    assert_eq!(desk.ledger.nodes().await.expect("reads"), Some(two));
    desk.ledger.open_seal(key(), true).await.expect("opens");
    desk.ledger.set_nodes(nodes(&[])).await.expect("back to the network's own");
    assert_eq!(desk.ledger.nodes().await.expect("reads"), None);
    desk.whole().await;
}

/// What locks sooner needs no vault; what stays open longer does, and nothing forged loosens.
#[tokio::test]
async fn locks_stand_in_the_log() {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    let ledger = &desk.ledger;
    let with = |signing: Option<u32>, window: Option<u32>, session: bool| Locks {
        signing_idle_min: signing,
        window_idle_min: window,
        with_session: session,
    };
    assert_eq!(ledger.locks().await.expect("reads"), Locks::default());
    ledger.adopt(key()).await.expect("seals");
    let long = with(Some(60), Some(30), false);
    ledger.set_locks(long).await.expect("the vault is open");
    let seq = ledger.head().seq;
    ledger.set_locks(long).await.expect("is so already");
    assert_eq!((ledger.locks().await.expect("reads"), ledger.head().seq), (long, seq));
    ledger.close_seal().await.expect("closes");
    let longer = ledger.set_locks(with(Some(61), Some(30), false)).await;
    assert!(matches!(longer, Err(LedgerError::Locked)), "{longer:?}");
    let sooner = with(Some(5), Some(30), true);
    ledger.set_locks(sooner).await.expect("less is never refused");
    let desk = desk.again().await;
    assert_eq!(desk.ledger.locks().await.expect("reads"), sooner);
    desk.ledger.open_seal(key(), true).await.expect("gave nothing");
    desk.whole().await;
    // An event that is written without the vault tightens only, whatever it says.
    let path = desk.path();
    desk.ledger.clone().close().await;
    write_on(&path, &Event::LocksTightened { version: 1, locks: with(None, None, false) }, false);
    let ledger = Ledger::open(&path).await.expect("opens");
    assert_eq!(ledger.locks().await.expect("reads"), sooner);
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
}

/// Books of an earlier form keep their log, their seal and what is remembered beside them.
#[tokio::test]
async fn books_of_an_earlier_form_are_brought_forward() {
    brought_forward(include_str!("../migrations/0002_books.sql"), 2).await;
    brought_forward(include_str!("../migrations/0003_books.sql"), 3).await;
}

async fn brought_forward(tables: &str, version: u32) {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    desk.ledger.adopt(key()).await.expect("seals");
    let _held = desk.held(40).await;
    desk.ledger.set_mark("deposits_block", 12).await.expect("remembers");
    let path = desk.path();
    desk.ledger.clone().close().await;
    let folder = TempDir::new().expect("a folder");
    let older = folder.path().join("ledger.db");
    let file = Connection::open(&older).expect("makes");
    file.execute_batch(tables).expect("makes");
    file.execute("ATTACH ? AS newer", [path.to_str().expect("is text")]).expect("attaches");
    file.execute_batch(
        "INSERT INTO main.events SELECT * FROM newer.events;
         INSERT INTO main.seals SELECT * FROM newer.seals;
         INSERT INTO main.marks SELECT * FROM newer.marks;
         INSERT INTO main.agents SELECT * FROM newer.agents;
         INSERT INTO main.hosts VALUES ('left by nobody:1');
         INSERT INTO main.tallies VALUES ('nobody', 'left', '[]');",
    )
    .expect("copies");
    file.pragma_update(None, "user_version", version).expect("sets");
    drop(file);
    let ledger = put_back(&older).await;
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
    assert_eq!(ledger.mark("deposits_block").await.expect("reads"), Some(12));
    assert_eq!(ledger.balance(&desk.agent.id).await.expect("reads").held, units(40));
    assert_eq!(
        (state(&ledger).await, ledger.locks().await.expect("reads")),
        (None, Locks::default())
    );
    assert!(ledger.hosts().await.expect("reads").is_empty());
    assert!(folder.path().join(format!("ledger.v{version}.backup")).exists());
    assert_eq!(Units::ZERO, ledger.balance(&desk.agent.id).await.expect("reads").paid);
}

/// A copy that an earlier program made does not say what it is; the desk that finds one says it.
#[tokio::test]
async fn books_that_do_not_say_so_themselves_are_told_to_wait() {
    let desk = Desk::with(budget(100, 1_000), Hands::at(NOON).options()).await;
    assert_eq!(desk.ledger.strangers().await.expect("reads"), 0);
    desk.ledger.adopt(key()).await.expect("seals");
    desk.ledger.close_seal().await.expect("closes");
    desk.ledger.came_from_backup().await.expect("takes no key");
    assert!(desk.ledger.is_frozen().await.expect("reads"));
    let restored = desk.ledger.restored().await.expect("reads").expect("waits");
    assert!(restored.is_pending() && restored.made_at() == at(NOON), "{restored:?}");
    let desk = desk.again().await;
    desk.ledger.open_seal(key(), true).await.expect("nothing behind the seal gives authority");
    assert!(matches!(desk.ledger.thaw().await, Err(LedgerError::Unreconciled)));
    desk.whole().await;
}
