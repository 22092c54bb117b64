//! The real books while the clock is turned, and after a restart.

use imprest_domain::{
    Address, Asset, AssetId, B256, Budget, Danger, Grade, Intent, Payee, SignalKind, Subject,
    Units, Window,
};
use imprest_ledger::{Agent, Clock, Grant, Ledger, NewAgent, OpenOptions, Order, Reserved};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 402402, contract: Address::repeat_byte(0xA5) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

fn shop() -> Payee {
    Payee {
        origin: "https://shop.example".into(),
        pay_to: Address::repeat_byte(0x5A),
        asset: usdc().id,
    }
}

fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

async fn open(folder: &TempDir, minute: &Arc<AtomicI64>) -> Ledger {
    let minute = Arc::clone(minute);
    let clock = Clock::new(move || {
        Timestamp::from_second(minute.load(Ordering::SeqCst) * 60).expect("in range")
    });
    let options = OpenOptions { clock: Some(clock), vfs: None };
    Ledger::open_with(&folder.path().join("ledger.db"), options).await.expect("opens")
}

/// A ledger whose clock the test turns, with one agent that may spend 20 units an hour.
struct Desk {
    folder: TempDir,
    ledger: Ledger,
    agent: Agent,
    minute: Arc<AtomicI64>,
}

impl Desk {
    async fn open() -> Desk {
        let folder = TempDir::new().expect("a folder");
        let minute = Arc::new(AtomicI64::new(29_400_000));
        let ledger = open(&folder, &minute).await;
        let budget = Budget {
            limit_units_per_hour: Some(units(20)),
            limit_units_lifetime: Some(units(1_000)),
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
        ledger.float_received(&agent.id, from, units(1_000), tx, 0, 1).await.expect("books");
        ledger.trust_payee(shop()).await.expect("trusts");
        Desk { folder, ledger, agent, minute }
    }

    fn turn(&self, minutes: i64) {
        self.minute.fetch_add(minutes, Ordering::SeqCst);
    }

    async fn hold(&self, value: u128) -> Grant {
        let order = Order {
            intent: Intent {
                agent: self.agent.id.clone(),
                payee: shop(),
                value: units(value),
                agent_max: None,
                for_other_resource: false,
            },
            client_key: None,
            request_sha256: B256::repeat_byte(1),
            url: "https://shop.example/weather".into(),
            method: "GET".into(),
            what: "Weather".into(),
            purpose: None,
            task: None,
            offer: "{}".into(),
            max_timeout_s: 60,
            kept_request: None,
            credential: None,
        };
        let wait = SignedDuration::from_mins(10);
        match self.ledger.reserve(order, usdc(), Danger::Calm, wait).await.expect("decides") {
            Reserved::Granted { grant, .. } => grant,
            other => panic!("not granted: {other:?}"),
        }
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
