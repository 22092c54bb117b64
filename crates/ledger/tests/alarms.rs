//! Two reasons to be careful at once: the stricter one counts, and it is the one that is named.

mod common;

use common::*;
use imprest_domain::{Danger, SignalKind, Subject};
use imprest_ledger::{Alarm, Reserved};
use jiff::SignedDuration;

const NOON: &str = "2026-11-22T12:00:00Z";
const CHAIN: &str = "the chain cannot be reached";
const ADDRESS: &str = "it names another address";

/// What came of an order under an alarm, and the details of what objects.
async fn under(desk: &Desk, alarm: Alarm, key: &str) -> (&'static str, String) {
    let order = desk.order(1, Some(key));
    let reserved = desk.ledger.reserve(order, usdc(), alarm, MINUTES).await.expect("decides");
    let said = match &reserved {
        Reserved::Asked { verdict, .. } | Reserved::Refused { verdict, .. } => {
            verdict.objections().filter_map(|reason| reason.detail.clone()).collect()
        }
        _ => String::new(),
    };
    (verdict(&reserved).0, said)
}

/// A desk that has seen a known payee name another address: danger two, until the owner says.
async fn suspicious() -> Desk {
    let desk = Desk::open(10, 100).await;
    let subject = Subject::Payee { origin: shop().origin };
    let raised = desk.ledger.raise_signal(SignalKind::PayToChanged, subject, ADDRESS.into()).await;
    raised.expect("raises");
    desk
}

#[tokio::test]
async fn a_small_alarm_hides_no_greater_danger() {
    let desk = suspicious().await;
    let alarm = Alarm { danger: Danger::Wary, why: Some(CHAIN) };
    let (came_to, said) = under(&desk, alarm, "small").await;
    assert_eq!(came_to, "asked");
    assert!(said.contains(ADDRESS) && !said.contains(CHAIN), "{said}");
}

#[tokio::test]
async fn an_alarm_without_a_reason_leaves_the_reason_that_is_known() {
    let desk = suspicious().await;
    let (came_to, said) = under(&desk, Danger::Guarded.into(), "silent").await;
    assert_eq!(came_to, "asked");
    assert!(said.contains(ADDRESS), "{said}");
    // One that has a reason says it first.
    let alarm = Alarm { danger: Danger::Guarded, why: Some(CHAIN) };
    let (came_to, said) = under(&desk, alarm, "loud").await;
    assert_eq!(came_to, "asked");
    assert!(said.contains(CHAIN), "{said}");
    let alarm = Alarm { danger: Danger::Halted, why: None };
    assert_eq!(under(&desk, alarm, "halted").await.0, "refused");
}

#[tokio::test]
async fn a_clock_that_is_behind_takes_no_equal_alarms_place() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    hands.turn(-SignedDuration::from_mins(3));
    let alarm = Alarm { danger: Danger::Guarded, why: Some(CHAIN) };
    let (came_to, said) = under(&desk, alarm, "equal").await;
    assert_eq!(came_to, "asked");
    assert!(said.contains(CHAIN), "{said}");
    let alarm = Alarm { danger: Danger::Wary, why: Some(CHAIN) };
    let (came_to, said) = under(&desk, alarm, "smaller").await;
    assert_eq!(came_to, "asked");
    assert!(said.contains("clock") && !said.contains(CHAIN), "{said}");
}

#[tokio::test]
async fn what_is_a_day_old_is_not_remembered_for_a_burst() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let times = || desk.rows("SELECT kind, times FROM tallies");
    let noon = NOON.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let day = 24 * 60 * 60 * 1000;
    assert_eq!(verdict(&desk.reserve(1_000, None).await).0, "refused");
    hands.turn(SignedDuration::from_millis(1));
    assert_eq!(verdict(&desk.reserve(1_000, None).await).0, "refused");
    assert_eq!(times(), [format!("refusal_burst|[{noon},{}]", noon + 1)]);
    // To the millisecond: the first one is a day old, the second one not yet.
    hands.turn(SignedDuration::from_millis(day - 1));
    assert_eq!(verdict(&desk.reserve(1_000, None).await).0, "refused");
    assert_eq!(times(), [format!("refusal_burst|[{},{}]", noon + 1, noon + day)]);
    desk.whole().await;
}
