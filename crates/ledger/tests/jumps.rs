//! A clock that was ahead and goes back: the edges of the hour, of the tolerance and of a group.

mod common;

use common::*;
use imprest_ledger::{Clock, Ledger, OpenOptions};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use tempfile::TempDir;

const NOON: &str = "2026-03-02T12:00:00Z";
const LATER: &str = "2026-03-02T15:00:00Z";

async fn this_hour(desk: &Desk) -> u32 {
    desk.ledger.count_this_hour(desk.agent.id.as_str()).await.expect("reads")
}

async fn desk_at(text: &str) -> (Hands, Desk) {
    let hands = Hands::at(text);
    let desk = Desk::with(budget(10, 1_000), hands.options()).await;
    (hands, desk)
}

#[tokio::test]
async fn two_minutes_behind_are_forgiven_to_the_millisecond() {
    let (hands, desk) = desk_at(NOON).await;
    let _held = desk.held(1).await;
    hands.turn(-SignedDuration::from_mins(2));
    assert_eq!(desk.ledger.clock_behind(), None);
    assert_eq!(verdict(&desk.reserve(1, None).await).0, "granted");
    hands.turn(-SignedDuration::from_millis(1));
    assert_eq!(desk.ledger.clock_behind(), Some(SignedDuration::from_millis(120_001)));
    assert_eq!(verdict(&desk.reserve(1, None).await).0, "asked");
}

#[tokio::test]
async fn a_hold_of_the_minute_the_clock_goes_back_to_comes_back_from_it() {
    let (hands, desk) = desk_at(NOON).await;
    let first = desk.held(1).await;
    hands.set(LATER);
    // Pushes noon out of the rolling hour.
    let _ahead = desk.held(1).await;
    hands.set("2026-03-02T12:00:30Z");
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(this_hour(&desk).await, 2);
    desk.ledger.void(first, "not signed".into()).await.expect("gives back");
    assert_eq!(this_hour(&desk).await, 1);
    desk.whole().await;
}

#[tokio::test]
async fn the_true_hour_is_read_off_the_log_from_its_first_minute_on() {
    let (hands, desk) = desk_at("2026-03-02T11:59:59Z").await;
    let _before = desk.held(1).await;
    hands.set(NOON);
    let _first = desk.held(1).await;
    hands.set("2026-03-02T12:00:59Z");
    let _second = desk.held(1).await;
    hands.set(LATER);
    let _ahead = desk.held(1).await;
    hands.set("2026-03-02T13:00:00Z");
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(this_hour(&desk).await, 3, "both of noon's, and the one ahead");
    hands.turn(SignedDuration::from_mins(1));
    assert_eq!(this_hour(&desk).await, 1);
    desk.whole().await;
}

#[tokio::test]
async fn a_question_that_lapses_with_the_clock_hides_no_true_hour() {
    let (hands, desk) = desk_at(NOON).await;
    let _noon = desk.held(1).await;
    hands.set(LATER);
    let _ahead = desk.held(1).await;
    assert_eq!(verdict(&desk.reserve(60, None).await).0, "asked");
    hands.set("2026-03-02T12:05:00Z");
    // The lapse and the change of the clock are written together.
    let lapsed = desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(lapsed.len(), 1);
    assert_eq!(this_hour(&desk).await, 2);
    desk.whole().await;
}

#[tokio::test]
async fn a_question_asked_ahead_before_a_restart_lapses_too() {
    let (hands, desk) = desk_at(NOON).await;
    let asked = |reserved| match reserved {
        imprest_ledger::Reserved::Asked { payment, approval, .. } => (payment, approval),
        other => panic!("not asked: {other:?}"),
    };
    let (_, early) = asked(desk.reserve(60, None).await);
    hands.set(LATER);
    let (late, question) = asked(desk.reserve(61, None).await);
    let desk = desk.again().await;
    hands.set("2026-03-02T12:05:00Z");
    assert_eq!(desk.ledger.accept_clock().await.expect("accepts"), [late]);
    assert_eq!(desk.ledger.approval(&question).await.expect("reads").state, "lapsed");
    assert_eq!(desk.ledger.approval(&early).await.expect("reads").state, "waiting");
    desk.whole().await;
}

/// Books whose first event of all is ahead of the clock, and is written together with the change.
#[tokio::test]
async fn a_clock_can_go_back_in_the_group_that_begins_the_log() {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let (open_gate, gate) = mpsc::channel::<()>();
    let (gate, asked) = (Mutex::new(gate), AtomicUsize::new(0));
    let clock = Clock::new(move || {
        if std::thread::current().name() != Some("ledger-writer") {
            return at(NOON);
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            // The writer waits with this one until the next two are in its queue.
            0 => {
                gate.lock().expect("whole").recv().expect("opens");
                at(NOON)
            }
            1 => at(LATER),
            _ => at(NOON),
        }
    });
    let folder = TempDir::new().expect("a folder");
    let options = OpenOptions { clock: Some(clock), vfs: None };
    let ledger = Ledger::open_with(&folder.path().join("ledger.db"), options).await.expect("opens");
    let (calm, frozen, accepted, ()) =
        tokio::join!(ledger.dangers(), ledger.freeze(), ledger.accept_clock(), async {
            open_gate.send(()).expect("waits");
        });
    assert!(calm.expect("folds").is_empty());
    frozen.expect("freezes");
    assert_eq!(accepted.expect("accepts"), []);
    let head = ledger.head();
    assert_eq!((head.seq, head.at_ms), (2, at(NOON).as_millisecond()));
    let found = ledger.verify(None).await.expect("reads");
    assert_eq!(found.faults, Vec::<String>::new());
}
