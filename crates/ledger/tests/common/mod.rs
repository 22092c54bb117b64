//! A ledger on a real file with one funded agent, for the tests of the books.
#![allow(dead_code, reason = "each test file uses its own part")]

use imprest_domain::{
    Address, AgentId, Asset, AssetId, B256, Budget, Danger, Grade, Intent, Payee, ReasonCode, Units,
};
use imprest_ledger::{
    Agent, Clock, Grant, Ledger, NewAgent, OpenOptions, Order, Reserved, TransactionTerms,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

pub const MINUTES: SignedDuration = SignedDuration::from_mins(10);

pub fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 402402, contract: Address::repeat_byte(0xA5) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

/// What a transaction of the treasury is granted with.
pub const TERMS: TransactionTerms = TransactionTerms {
    nonce: 4,
    gas_limit: 200_000,
    max_fee_per_gas_wei: 20,
    max_priority_fee_per_gas_wei: 2,
};

pub fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

pub fn shop() -> Payee {
    Payee {
        origin: "http://127.0.0.1:4021".into(),
        pay_to: Address::repeat_byte(0x5A),
        asset: usdc().id,
    }
}

pub fn budget(each: u128, day: u128) -> Budget {
    Budget {
        limit_units_per_payment: Some(units(each)),
        limit_units_per_day: Some(units(day)),
        ..Budget::blank(usdc().id)
    }
}

/// A clock that is turned by hand.
#[derive(Clone)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn at(text: &str) -> Hands {
        let at: Timestamp = text.parse().expect("a time");
        Hands(Arc::new(AtomicI64::new(at.as_millisecond())))
    }

    pub fn set(&self, text: &str) {
        let at: Timestamp = text.parse().expect("a time");
        self.0.store(at.as_millisecond(), Ordering::SeqCst);
    }

    pub fn turn(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_millis()).expect("not for ever");
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    pub fn options(&self) -> OpenOptions {
        let hands = Arc::clone(&self.0);
        let read = move || {
            Timestamp::from_millisecond(hands.load(Ordering::SeqCst)).expect("a time there is")
        };
        OpenOptions { clock: Some(Clock::new(read)), vfs: None }
    }
}

/// A ledger with one funded agent that may spend at a known shop.
pub struct Desk {
    pub folder: TempDir,
    pub ledger: Ledger,
    pub agent: Agent,
    options: OpenOptions,
}

impl Desk {
    /// An agent that may pay `each` at once and `day` a day, by the system's clock.
    pub async fn open(each: u128, day: u128) -> Desk {
        Desk::with(budget(each, day), OpenOptions::default()).await
    }

    pub async fn with(budget: Budget, options: OpenOptions) -> Desk {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.db");
        let ledger = Ledger::open_with(&path, options.clone()).await.expect("opens");
        let agent = add_agent(&ledger, "Scout", 1, budget).await;
        let desk = Desk { folder, ledger, agent, options };
        desk.fund(&desk.agent, 1_000_000).await;
        desk.ledger.trust_payee(shop()).await.expect("trusts");
        desk
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// What a query finds in the file as it lies there: a line a row, a bar between two columns,
    /// and a dash for nothing.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = rusqlite::Connection::open_with_flags(self.path(), flags).expect("opens");
        let mut statement = file.prepare(sql).expect(sql);
        let columns = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| {
            let cell = |at| match row.get_unwrap(at) {
                Value::Null => "-".to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => text,
                other => panic!("neither number nor text: {other:?}"),
            };
            Ok((0..columns).map(cell).collect::<Vec<_>>().join("|"))
        };
        statement.query_map((), line).expect("reads").collect::<Result<_, _>>().expect("reads")
    }

    /// Closes the file and opens it again.
    pub async fn again(self) -> Desk {
        let Desk { folder, ledger, agent, options } = self;
        ledger.close().await;
        let path = folder.path().join("ledger.db");
        let ledger = Ledger::open_with(&path, options.clone()).await.expect("opens again");
        Desk { folder, ledger, agent, options }
    }

    /// Another funded agent.
    pub async fn another(&self, name: &str, number: u8, budget: Budget) -> Agent {
        let agent = add_agent(&self.ledger, name, number, budget).await;
        self.fund(&agent, 1_000_000).await;
        agent
    }

    pub async fn fund(&self, agent: &Agent, value: u128) {
        let grant =
            self.ledger.begin_refill(&agent.id, units(value), usdc(), TERMS).await.expect("grants");
        let tx = B256::random();
        self.ledger.refill_sent(grant.refill(), tx).await.expect("records");
        self.ledger.refill_settled(grant.refill(), tx, 1).await.expect("books");
    }

    pub fn order(&self, value: u128, key: Option<&str>) -> Order {
        order(&self.agent.id, value, key)
    }

    pub async fn reserve(&self, value: u128, key: Option<&str>) -> Reserved {
        self.ledger
            .reserve(self.order(value, key), usdc(), Danger::Calm, MINUTES)
            .await
            .expect("decides")
    }

    pub async fn held(&self, value: u128) -> Grant {
        match self.reserve(value, None).await {
            Reserved::Granted { grant, .. } => grant,
            other => panic!("not granted: {other:?}"),
        }
    }

    pub async fn ask(&self, order: Order) -> Reserved {
        self.ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await.expect("decides")
    }

    pub async fn whole(&self) {
        let found = self.ledger.verify(None).await.expect("reads");
        assert_eq!(found.faults, Vec::<String>::new());
    }
}

/// What a decision came to, and the rules that objected.
pub fn verdict(reserved: &Reserved) -> (&'static str, Vec<ReasonCode>) {
    match reserved {
        Reserved::Granted { .. } => ("granted", Vec::new()),
        Reserved::Asked { verdict, .. } => {
            ("asked", verdict.objections().map(|reason| reason.code).collect())
        }
        Reserved::Refused { verdict, .. } => {
            ("refused", verdict.objections().map(|reason| reason.code).collect())
        }
        Reserved::Known { .. } => ("known", Vec::new()),
    }
}

pub async fn add_agent(ledger: &Ledger, name: &str, number: u8, budget: Budget) -> Agent {
    ledger
        .add_agent(NewAgent {
            name: name.parse().expect("a name"),
            account: ledger.next_account().await.expect("reads"),
            address: Address::repeat_byte(0x10 + number),
            grade: Grade::L3,
            budget,
            shared: None,
            token_sha256: if number == 1 { "aa".into() } else { format!("{number:02x}") },
        })
        .await
        .expect("adds")
}

pub fn order(agent: &AgentId, value: u128, key: Option<&str>) -> Order {
    Order {
        intent: Intent {
            agent: agent.clone(),
            payee: shop(),
            value: units(value),
            agent_max: None,
            for_other_resource: false,
        },
        client_key: key.map(str::to_owned),
        request_sha256: B256::repeat_byte(1),
        url: "http://127.0.0.1:4021/weather".into(),
        method: "GET".into(),
        what: "Weather".into(),
        purpose: None,
        task: None,
        offer: "{}".into(),
        max_timeout_s: 60,
        nonce: None,
        gas: None,
        kept_request: None,
        credential: None,
    }
}
