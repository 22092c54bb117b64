//! The real books while the clock is turned, and after a restart.

mod common;

use common::{order, shop, units, usdc};
use imprest_domain::{
    Address, ApprovalId, B256, Budget, Danger, Grade, PaymentId, SignalKind, Subject, Units, Window,
};
use imprest_ledger::{
    Agent, Approved, Clock, Event, Grant, Ledger, LedgerError, NewAgent, OpenOptions, Order,
    Reserved,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

async fn open(folder: &TempDir, minute: &Arc<AtomicI64>) -> Ledger {
    let minute = Arc::clone(minute);
    let clock = Clock::new(move || {
        Timestamp::from_second(minute.load(Ordering::SeqCst) * 60).expect("in range")
    });
    let options = OpenOptions { clock: Some(clock), vfs: None };
    Ledger::open_with(&folder.path().join("ledger.db"), options).await.expect("opens")
}

/// A ledger whose clock the test turns, with one agent that may spend so much an hour.
struct Desk {
    folder: TempDir,
    ledger: Ledger,
    agent: Agent,
    minute: Arc<AtomicI64>,
}

impl Desk {
    async fn open() -> Desk {
        Desk::with(20).await
    }

    async fn with(per_hour: u128) -> Desk {
        let folder = TempDir::new().expect("a folder");
        let minute = Arc::new(AtomicI64::new(29_400_000));
        let ledger = open(&folder, &minute).await;
        let budget = Budget {
            limit_units_per_hour: Some(units(per_hour)),
            limit_units_lifetime: Some(units(1_000_000)),
            ..Budget::blank(usdc().id)
        };
        let new = NewAgent {
            name: "Scout".parse().expect("a name"),
            account: 1,
            address: Address::repeat_byte(0x11),
            grade: Grade::L3,
            budget,
            shared: None,
            token_sha256: "aa".into(),
        };
        let agent = ledger.add_agent(new).await.expect("adds");
        let (from, tx) = (Address::repeat_byte(9), B256::repeat_byte(1));
        ledger.float_received(&agent.id, from, units(1_000_000), tx, 0, 1).await.expect("books");
        ledger.trust_payee(shop()).await.expect("trusts");
        Desk { folder, ledger, agent, minute }
    }

    fn turn(&self, minutes: i64) {
        self.minute.fetch_add(minutes, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.minute.load(Ordering::SeqCst)
    }

    async fn again(&mut self) {
        self.ledger.clone().close().await;
        self.ledger = open(&self.folder, &self.minute).await;
    }

    async fn whole(&self) {
        let found = self.ledger.verify(None).await.expect("reads");
        assert_eq!(found.faults, Vec::<String>::new());
    }

    async fn hold(&self, value: u128) -> Grant {
        self.try_hold(value).await.expect("granted")
    }

    /// Holds a value of its own, and tells when.
    async fn pay_one(&self, value: i64) -> (i64, u128, Option<Grant>) {
        let value = u128::try_from(value + 1).expect("small");
        (self.now(), value, Some(self.hold(value).await))
    }

    async fn try_hold(&self, value: u128) -> Option<Grant> {
        match self.reserve(value).await {
            Reserved::Granted { grant, .. } => Some(grant),
            Reserved::Refused { .. } => None,
            other => panic!("neither yes nor no: {other:?}"),
        }
    }

    async fn ask(&self, value: u128) -> (PaymentId, ApprovalId) {
        match self.reserve(value).await {
            Reserved::Asked { payment, approval, .. } => (payment, approval),
            other => panic!("not asked: {other:?}"),
        }
    }

    async fn approve(&self, question: &ApprovalId, value: u128) -> Result<Approved, LedgerError> {
        self.ledger.approve(question, self.order(value), usdc(), Danger::Calm).await
    }

    async fn reserve(&self, value: u128) -> Reserved {
        let wait = SignedDuration::from_mins(10);
        self.ledger.reserve(self.order(value), usdc(), Danger::Calm, wait).await.expect("decides")
    }

    fn order(&self, value: u128) -> Order {
        order(&self.agent.id, value, None)
    }

    async fn this_hour(&self) -> (u128, u32) {
        let (holder, budget) = (self.agent.id.as_str(), &self.agent.budget);
        let used = self.ledger.window_use(holder, budget, Window::Hour).await.expect("reads");
        (used.settled.get(), self.ledger.count_this_hour(holder).await.expect("reads"))
    }
}

#[tokio::test]
async fn a_clock_set_back_reopens_no_hour() {
    let desk = Desk::open().await;
    let _first = desk.hold(1).await;
    desk.turn(-180);
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(desk.this_hour().await, (1, 1), "what lay ahead counts");
    let _second = desk.hold(12).await;
    assert_eq!(desk.this_hour().await, (13, 2));
    desk.turn(60);
    assert_eq!(desk.this_hour().await, (13, 2));
    desk.turn(1);
    assert_eq!(desk.this_hour().await, (0, 0));
}

#[tokio::test]
async fn a_hold_from_before_the_clock_was_set_back_comes_back_from_where_it_lies() {
    let desk = Desk::open().await;
    let first = desk.hold(9).await;
    desk.turn(-30);
    desk.ledger.accept_clock().await.expect("accepts");
    // The same minute by the books, half an hour later.
    desk.turn(30);
    let _second = desk.hold(5).await;
    desk.ledger.void(first, "not signed".into()).await.expect("voids");
    assert_eq!(desk.this_hour().await, (5, 1));
    desk.turn(31);
    assert_eq!(desk.this_hour().await, (5, 1), "the second one is not an hour old");
    let found = desk.ledger.verify(None).await.expect("reads");
    assert_eq!(found.faults, Vec::<String>::new());
}

#[tokio::test]
async fn accepting_the_clock_brings_back_the_true_hour() {
    let mut desk = Desk::open().await;
    let _noon = desk.hold(20).await;
    desk.turn(180);
    let _ahead = desk.hold(1).await;
    assert_eq!(desk.this_hour().await, (1, 1), "three hours later noon is over");
    desk.turn(-175);
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(desk.this_hour().await, (21, 2), "it is five past noon again");
    assert!(desk.try_hold(1).await.is_none());
    desk.again().await;
    assert_eq!(desk.this_hour().await, (21, 2));
    desk.whole().await;
    desk.turn(56);
    assert_eq!(desk.this_hour().await, (1, 1));
}

/// All that was held, against what the books say after each change of the clock.
#[tokio::test]
async fn whatever_the_clock_does_an_hour_holds_what_was_paid_in_it() {
    // The state of a small generator of numbers: the same walk every time.
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = move |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice % sides) as i64
    };
    let mut desk = Desk::with(1_000_000).await;
    let mut paid: Vec<(i64, u128, Option<Grant>)> = Vec::new();
    for round in 0..40 {
        for _ in 0..roll(4) {
            desk.turn(roll(25));
            paid.push(desk.pay_one(round).await);
        }
        let mut ahead = 61 + roll(500);
        desk.turn(ahead);
        for step in 0..=roll(2) {
            if roll(3) > 0 {
                paid.push(desk.pay_one(round).await);
            }
            if roll(3) == 0 && !paid.is_empty() {
                let at = roll(paid.len() as u64) as usize;
                if let Some(grant) = paid[at].2.take() {
                    desk.ledger.void(grant, "not signed".into()).await.expect("voids");
                    paid.remove(at);
                }
            }
            if roll(4) == 0 {
                desk.again().await;
            }
            // Back by a part of the way first, and then by the rest.
            let back = if step == 0 { ahead / 2 } else { ahead };
            (ahead, _) = (ahead - back, desk.turn(-back));
            match desk.ledger.accept_clock().await {
                Ok(_) => paid.iter_mut().for_each(|(at, ..)| *at = (*at).min(desk.now())),
                // Nothing was written ahead of it.
                Err(LedgerError::ClockAgrees) => {}
                Err(error) => panic!("{error}"),
            }
            let inside = paid.iter().filter(|(at, ..)| desk.now() - at <= 60);
            let known = inside.fold((0, 0), |(sum, n), (_, value, _)| (sum + value, n + 1));
            assert_eq!(desk.this_hour().await, known, "round {round}, step {step}");
        }
        desk.turn(roll(40));
    }
    desk.whole().await;
}

/// An event that an older desk wrote, without the hours, is read as it was meant.
#[test]
fn a_change_of_the_clock_by_an_older_desk_is_read() {
    let body = r#"{"event":"clock_set","from":"2026-11-22T15:00:00Z","to":"2026-11-22T12:05:00Z"}"#;
    let event = Event::parse("clock_set", body).expect("read");
    assert!(matches!(&event, Event::ClockSet { hours, .. } if hours.is_empty()));
    assert_eq!(serde_json::to_string(&event).expect("written"), body);
}

#[tokio::test]
async fn nothing_is_signed_ahead_of_the_clock_and_no_question_outlives_it() {
    let desk = Desk::open().await;
    desk.ledger.set_grade(&desk.agent.id, Grade::L2).await.expect("sets");
    let (_, early) = desk.ask(2).await;
    // A year ahead, and back.
    desk.turn(525_600);
    let (late, question) = desk.ask(3).await;
    desk.turn(-525_600);
    for question in [&early, &question] {
        let refused = desk.approve(question, 3).await.expect_err("its time is not now");
        assert!(
            matches!(refused, LedgerError::ClockBehind | LedgerError::NotWaiting { .. }),
            "{refused}"
        );
    }
    let refused = desk.approve(&question, 3).await.expect_err("its time is not now");
    assert!(refused.to_string().contains("`imprest clock accept`"), "{refused}");
    assert_eq!(desk.ledger.approval(&question).await.expect("reads").state, "waiting");
    assert_eq!(desk.ledger.balance(&desk.agent.id).await.expect("reads").held, Units::ZERO);

    assert_eq!(desk.ledger.accept_clock().await.expect("accepts"), [late]);
    assert_eq!(desk.ledger.approval(&question).await.expect("reads").state, "lapsed");
    // What was asked at the true time still waits, and can be paid.
    assert_eq!(desk.ledger.approval(&early).await.expect("reads").state, "waiting");
    let Approved::Granted { grant, .. } = desk.approve(&early, 2).await.expect("decides") else {
        panic!("not granted");
    };
    let end_s = i64::try_from(grant.authorization().window.valid_before_s).expect("in range");
    assert_eq!(end_s, desk.now() * 60 + 60);
    desk.whole().await;
}

#[tokio::test]
async fn no_restart_makes_the_books_less_suspicious() {
    let mut desk = Desk::open().await;
    let payee = || Subject::Payee { origin: shop().origin };
    let detail = "it asks three times as much".to_owned();
    desk.ledger.raise_signal(SignalKind::PriceJumped, payee(), detail).await.expect("raises");
    let signal = desk.ledger.signals(1).await.expect("reads")[0].signal.seq;
    // Seen by the owner, but only a quiet day ends it.
    desk.ledger.acknowledge(signal).await.expect("acknowledges");
    for (hours, danger) in [(0, Danger::Wary), (23, Danger::Wary), (2, Danger::Calm)] {
        desk.turn(hours * 60);
        // An event of this hour, as any desk at work has them.
        desk.ledger.freeze().await.expect("freezes");
        desk.ledger.thaw().await.expect("thaws");
        assert_eq!(desk.ledger.danger_of(payee()).await.expect("folds").0, danger);
        desk.ledger.clone().close().await;
        desk.ledger = open(&desk.folder, &desk.minute).await;
        assert_eq!(desk.ledger.danger_of(payee()).await.expect("folds").0, danger, "{hours}");
    }
}
