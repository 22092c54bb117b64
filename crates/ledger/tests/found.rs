//! Money that left a float while the books were an older copy of themselves.

mod common;

use common::*;
use imprest_domain::{Address, B256, Budget, Payee, ReasonCode, Units, Window};
use imprest_ledger::{Clock, FoundSpend, LedgerError, OpenOptions, Order, Reserved, SealKey};
use rusqlite::Connection;
use std::sync::Arc;
use tokio::sync::Notify;

const NOON: &str = "2026-11-22T12:00:00Z";

/// Every window of this much, and no limit on one payment.
fn limits(each: impl Fn(Window) -> Option<u128>) -> Budget {
    let limit = |window| each(window).map(units);
    Budget {
        limit_units_per_hour: limit(Window::Hour),
        limit_units_per_day: limit(Window::Day),
        limit_units_per_week: limit(Window::Week),
        limit_units_per_month: limit(Window::Month),
        limit_units_lifetime: limit(Window::Lifetime),
        limit_units_per_payee_day: limit(Window::PayeeDay),
        ..Budget::blank(usdc().id)
    }
}

fn found(desk: &Desk, value: u128, log_index: u64, at: &str) -> FoundSpend {
    FoundSpend {
        agent: desk.agent.id.clone(),
        pay_to: shop().pay_to,
        value: units(value),
        nonce: Some(B256::repeat_byte(0xEE)),
        transaction: B256::repeat_byte(7),
        log_index,
        block: 9,
        at: at.parse().expect("a time"),
    }
}

async fn used(desk: &Desk, window: Window) -> u128 {
    let holder = desk.agent.id.as_str();
    let used = desk.ledger.window_use(holder, &desk.agent.budget, window).await.expect("reads");
    assert_eq!(used.held, Units::ZERO);
    used.settled.get()
}

async fn free(desk: &Desk) -> u128 {
    desk.ledger.balance(&desk.agent.id).await.expect("reads").free.get()
}

#[tokio::test]
async fn it_counts_in_every_window_and_once() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(limits(|_| Some(100)), hands.options()).await;
    let seen = found(&desk, 60, 3, "2026-11-22T11:30:00Z");
    assert!(desk.ledger.spend_found(seen.clone()).await.expect("books"));
    let seq = desk.ledger.head().seq;
    for _ in 0..3 {
        assert!(!desk.ledger.spend_found(seen.clone()).await.expect("knows it"));
    }
    assert_eq!(desk.ledger.head().seq, seq);
    assert_eq!(free(&desk).await, 1_000_000 - 60);
    for window in [Window::Hour, Window::Day, Window::Week, Window::Month, Window::Lifetime] {
        assert_eq!(used(&desk, window).await, 60, "{window:?}");
    }
    let desk = desk.again().await;
    desk.whole().await;
    // Another log of the same transaction is another payment.
    assert!(desk.ledger.spend_found(found(&desk, 5, 4, NOON)).await.expect("books"));
    assert_eq!(used(&desk, Window::Day).await, 65);
    desk.whole().await;
}

#[tokio::test]
async fn each_limit_says_no_to_what_would_pass_it() {
    for (window, code) in [
        (Window::Hour, ReasonCode::OverPerHour),
        (Window::Day, ReasonCode::OverPerDay),
        (Window::Week, ReasonCode::OverPerWeek),
        (Window::Month, ReasonCode::OverPerMonth),
        (Window::Lifetime, ReasonCode::OverLifetime),
        (Window::PayeeDay, ReasonCode::OverPayeeDay),
    ] {
        let budget = limits(|it| match it {
            it if it == window => Some(100),
            Window::Lifetime => Some(1_000_000),
            _ => None,
        });
        let desk = Desk::with(budget, Hands::at(NOON).options()).await;
        desk.ledger.spend_found(found(&desk, 60, 0, NOON)).await.expect("books");
        assert!(matches!(desk.reserve(40, None).await, Reserved::Granted { .. }), "{window:?}");
        let over = desk.reserve(1, None).await;
        let (word, codes) = verdict(&over);
        assert!(word == "refused" && codes.contains(&code), "{window:?}: {word} {codes:?}");
        desk.whole().await;
    }
}

#[tokio::test]
async fn a_shared_budget_counts_it_too() {
    let desk = Desk::with(budget(1_000, 1_000), Hands::at(NOON).options()).await;
    let name = "team".parse().expect("a name");
    let team = desk.ledger.add_shared(name, budget(1_000, 100)).await.expect("adds");
    desk.ledger.join_shared(&desk.agent.id, Some(team.id)).await.expect("joins");
    desk.ledger.spend_found(found(&desk, 60, 0, NOON)).await.expect("books");
    let over = desk.reserve(41, None).await;
    assert_eq!(verdict(&over).0, "refused");
    assert!(matches!(desk.reserve(40, None).await, Reserved::Granted { .. }));
    desk.whole().await;
}

/// It falls into the windows of its own time: yesterday's is not today's.
#[tokio::test]
async fn it_counts_when_it_was_spent() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    desk.ledger.spend_found(found(&desk, 60, 0, "2026-11-21T23:59:00Z")).await.expect("books");
    assert_eq!((used(&desk, Window::Day).await, used(&desk, Window::Hour).await), (0, 0));
    assert_eq!((used(&desk, Window::Week).await, used(&desk, Window::Lifetime).await), (60, 60));
    // A chain that is ahead of the books does not fill windows that have not begun.
    desk.ledger.spend_found(found(&desk, 7, 1, "2026-11-23T12:00:00Z")).await.expect("books");
    assert_eq!((used(&desk, Window::Day).await, used(&desk, Window::Hour).await), (7, 7));
    desk.whole().await;
}

#[tokio::test]
async fn what_the_books_hold_or_settled_is_no_news() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    let grant = desk.held(30).await;
    let (payment, nonce) = (grant.payment().clone(), grant.authorization().nonce);
    let known = FoundSpend { nonce: Some(nonce), ..found(&desk, 30, 0, NOON) };
    assert!(!desk.ledger.spend_found(known.clone()).await.expect("knows it"));
    desk.ledger.settle(&payment, known.transaction, known.block).await.expect("settles");
    assert!(!desk.ledger.spend_found(known.clone()).await.expect("knows it"));
    assert_eq!(used(&desk, Window::Day).await, 30);
    // Nobody made a float lighter by saying so.
    let nothing = FoundSpend { value: Units::ZERO, ..found(&desk, 0, 1, NOON) };
    assert!(!desk.ledger.spend_found(nothing).await.expect("is nothing"));
    // What was never signed by the books and is on the chain all the same, is news.
    let void = desk.held(10).await;
    let nonce = void.authorization().nonce;
    desk.ledger.void(void, "not signed".into()).await.expect("voids");
    let odd = FoundSpend { nonce: Some(nonce), ..found(&desk, 10, 2, NOON) };
    assert!(desk.ledger.spend_found(odd).await.expect("books"));
    assert_eq!(used(&desk, Window::Day).await, 40);
    desk.whole().await;
}

#[tokio::test]
async fn from_one_float_to_another_is_both() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    let other = desk.another("Helper", 2, budget(10, 10)).await;
    let spent = FoundSpend { pay_to: other.address, ..found(&desk, 20, 0, NOON) };
    let (from, tx, log) = (desk.agent.address, spent.transaction, spent.log_index);
    let ledger = &desk.ledger;
    for first in [true, false] {
        let received = ledger.float_received(&other.id, from, units(20), tx, log, 9).await;
        assert_eq!(received.expect("books"), first);
        assert_eq!(ledger.spend_found(spent.clone()).await.expect("books"), first);
    }
    assert_eq!(free(&desk).await, 1_000_000 - 20);
    assert_eq!(ledger.balance(&other.id).await.expect("reads").free, units(1_000_020));
    desk.whole().await;
}

#[tokio::test]
async fn more_than_the_float_ever_held_is_refused() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    let too_much = found(&desk, 1_000_001, 0, NOON);
    assert!(matches!(desk.ledger.spend_found(too_much).await, Err(LedgerError::Damaged { .. })));
    assert_eq!((used(&desk, Window::Day).await, free(&desk).await), (0, 1_000_000));
    desk.whole().await;
}

/// It takes authority away, so it waits for no passphrase.
#[tokio::test]
async fn no_vault_has_to_be_open() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    let key = || SealKey::new([5; 32]);
    desk.ledger.adopt(key()).await.expect("the first seal");
    desk.ledger.close_seal().await.expect("closes");
    let stranger =
        Payee { origin: "http://other".into(), pay_to: Address::repeat_byte(9), asset: usdc().id };
    assert!(matches!(desk.ledger.trust_payee(stranger).await, Err(LedgerError::Locked)));
    assert!(desk.ledger.spend_found(found(&desk, 60, 0, NOON)).await.expect("books"));
    desk.ledger.open_seal(key(), true).await.expect("nothing behind the seal gives authority");
    desk.whole().await;
}

/// The rolling hour is read off the log again when the clock was ahead; found money is in it.
#[tokio::test]
async fn an_accepted_clock_brings_it_back() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(limits(|_| Some(1_000)), hands.options()).await;
    desk.ledger.spend_found(found(&desk, 60, 0, NOON)).await.expect("books");
    hands.set("2026-11-22T15:00:00Z");
    let _ahead = desk.held(1).await;
    let hour = async |desk: &Desk| {
        let holder = desk.agent.id.as_str();
        let used = desk.ledger.window_use(holder, &desk.agent.budget, Window::Hour).await;
        used.expect("reads").settled.get()
    };
    assert_eq!(hour(&desk).await, 1);
    hands.set("2026-11-22T12:05:00Z");
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(hour(&desk).await, 61);
    desk.whole().await;
}

fn payee(origin: &str, pay_to: Address) -> Payee {
    Payee { origin: origin.into(), pay_to, asset: usdc().id }
}

/// The chain does not say which origin was paid: all that are known at the address count as paid,
/// each once, and nobody else.
#[tokio::test]
async fn it_counts_for_every_origin_at_the_address_and_for_no_other() {
    let desk = Desk::with(limits(|_| Some(100)), Hands::at(NOON).options()).await;
    let (twin, other) = ("http://twin", "http://other");
    desk.ledger.trust_payee(payee(twin, shop().pay_to)).await.expect("trusts");
    desk.ledger.trust_payee(payee(other, Address::repeat_byte(9))).await.expect("trusts");
    desk.ledger.spend_found(found(&desk, 60, 0, NOON)).await.expect("books");
    for window in [Window::Hour, Window::Day, Window::Lifetime] {
        assert_eq!(used(&desk, window).await, 60, "{window:?}");
    }
    let counted =
        desk.rows("SELECT label, settled FROM counters WHERE span = 'payee_day' ORDER BY label");
    assert_eq!(counted.len(), 2, "{counted:?}");
    for (row, origin) in counted.iter().zip(["http://127.0.0.1", twin]) {
        assert!(row.contains(origin) && row.ends_with("|60"), "{counted:?}");
    }
    desk.whole().await;
}

/// A hold that is not on the disk yet is known all the same: both come in one commit.
#[tokio::test]
async fn what_is_held_in_the_same_commit_is_no_news() {
    let (begun, hands) = (Arc::new(Notify::new()), Hands::at(NOON));
    let desk = Desk::with(limits(|_| Some(100)), telling(&begun, &hands)).await;
    let nonce = Some(B256::repeat_byte(0x77));
    let order = Order { nonce, ..desk.order(30, None) };
    let known = FoundSpend { nonce, ..found(&desk, 30, 0, NOON) };
    let file = Connection::open(desk.path()).expect("opens");
    file.execute_batch("BEGIN IMMEDIATE").expect("takes the file");
    // A notice kept from before would end the wait below too early.
    begun.notify_one();
    begun.notified().await;
    let ledger = desk.ledger.clone();
    let first = tokio::spawn(async move {
        ledger.trust_payee(payee("http://a", Address::repeat_byte(3))).await
    });
    begun.notified().await;
    let (held, news, _) = tokio::join!(
        biased;
        desk.ask(order),
        desk.ledger.spend_found(known),
        async { file.execute_batch("ROLLBACK").expect("lets go") }
    );
    first.await.expect("goes on").expect("trusts");
    assert!(matches!(held, Reserved::Granted { .. }), "{held:?}");
    assert!(!news.expect("knows it"));
    assert_eq!(free(&desk).await, 1_000_000 - 30);
    desk.whole().await;
}

/// Hands whose clock tells of each time that it is read: the writer reads it as it begins a job.
fn telling(begun: &Arc<Notify>, hands: &Hands) -> OpenOptions {
    let (begun, hands) = (Arc::clone(begun), hands.options().clock.expect("a clock"));
    let read = move || {
        begun.notify_one();
        hands.system()
    };
    OpenOptions { clock: Some(Clock::new(read)), vfs: None }
}
