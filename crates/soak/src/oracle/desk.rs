//! The real ledger and the oracle's books side by side, and the steps that both take.

use super::books::*;
use super::limits::{Limits, Newcomers};
use super::peek::{Names, Peek};
use super::rules::group_name;
use super::step::{Fresh, Step};
use super::world::{AGENTS, GROUPS};
use crate::chance::Chance;
use crate::proof::Figures;
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, Grade, SharedId, Units};
use imprest_ledger::{
    Clock, Grant, Ledger, LedgerError, NewAgent, OpenOptions, SealKey, TransactionTerms,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What was seen otherwise than expected, in a sentence.
pub type Seen<T = ()> = Result<T, String>;

/// Both books, and what lies between them.
pub struct Desk {
    pub ledger: Ledger,
    path: PathBuf,
    clock: Arc<AtomicI64>,
    pub names: Names,
    pub books: Books,
    pub peek: Peek,
    /// Leave to sign that was not given back, by the payment's place in the list.
    pub grants: BTreeMap<usize, Grant>,
    pub receipts: Vec<(B256, u64)>,
    pub refills: Vec<B256>,
    /// Chooses what is looked at after a step.
    pub looks: Chance,
    pub figures: Figures,
}

/// The key of the vault that seals every other ledger.
pub fn seal_key() -> SealKey {
    SealKey::new([0x5E; 32])
}

/// A timestamp of milliseconds since 1970.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// An error of the ledger where there should be none.
pub fn unexpected(doing: &str) -> impl Fn(LedgerError) -> String + '_ {
    move |error| format!("{doing}: {error}")
}

/// The same for a look into the file.
pub fn unread(error: rusqlite::Error) -> String {
    format!("looking into the file: {error}")
}

async fn open(path: &Path, clock: &Arc<AtomicI64>) -> Seen<Ledger> {
    let clock = Arc::clone(clock);
    let clock = Clock::new(move || at(clock.load(Ordering::SeqCst)));
    let options = OpenOptions { clock: Some(clock), vfs: None };
    Ledger::open_with(path, options).await.map_err(unexpected("opening"))
}

impl Desk {
    /// Opens a new ledger with three agents, two shared budgets and some money.
    pub async fn open(folder: &Path, seed: u64, start_ms: i64) -> Seen<Desk> {
        let path = folder.join("ledger.db");
        let clock = Arc::new(AtomicI64::new(start_ms));
        let ledger = open(&path, &clock).await?;
        let mut chance = Chance::new(seed ^ 0x0DD);
        let sealed = chance.percent(50);
        if sealed {
            ledger.open_seal(seal_key(), false).await.map_err(unexpected("sealing"))?;
        }
        let mut account = || Account { limits: easy_limits(&mut chance, start_ms), zone_since: 0 };
        let group_accounts = [account(), account()];
        let agent_accounts = [account(), account(), account()];
        let groups = add_groups(&ledger, &group_accounts).await?;
        let agents = add_agents(&ledger, &agent_accounts, &groups[0]).await?;
        let agent = |group| Agent { grade: Grade::L4, group, place: None, received: 0 };
        let books = Books {
            system_ms: start_ms,
            mark_ms: start_ms,
            events: ledger.head().seq,
            frozen: false,
            sealed,
            open: sealed,
            agents: [agent(Some(0)), agent(Some(0)), agent(None)],
            agent_accounts,
            group_accounts,
            payments: Vec::new(),
            holds: 0,
            carried: BTreeMap::new(),
            payees: Vec::new(),
            sales: Vec::new(),
            signals: Vec::new(),
            refusals: Default::default(),
            undelivered: Default::default(),
        };
        let peek = Peek::open(&path).map_err(unread)?;
        let mut desk = Desk {
            ledger,
            path,
            clock,
            names: Names { agents, groups },
            books,
            peek,
            grants: BTreeMap::new(),
            receipts: Vec::new(),
            refills: Vec::new(),
            looks: Chance::new(seed ^ 0x100C),
            figures: Figures::default(),
        };
        for agent in 0..AGENTS {
            desk.refill(agent, 400, false).await?;
        }
        Ok(desk)
    }

    /// Takes one step with both books, and compares what they answer.
    pub async fn take(&mut self, step: &Step) -> Seen {
        match step {
            Step::Reserve(wish) => self.reserve(std::slice::from_ref(wish)).await,
            Step::Together(wishes) => self.reserve(wishes).await,
            Step::Approve { pick, fresh } => self.approve(*pick, *fresh).await,
            Step::Refuse { pick } => self.refuse(*pick).await,
            Step::Lapse => self.lapse().await,
            Step::Void { pick } => self.void(*pick).await,
            Step::Deliver { pick, unknown } => self.deliver(*pick, *unknown).await,
            Step::Settle { pick } => self.settle(*pick).await,
            Step::Reopen { pick } => self.reopen(*pick).await,
            Step::Expire { pick } => self.expire(*pick).await,
            Step::Freeze => self.freeze().await,
            Step::Thaw => self.thaw().await,
            Step::SetBudget { agent, limits } => {
                self.set_limits(Holder::Agent(*agent), limits.clone()).await
            }
            Step::SetShared { group, limits } => {
                self.set_limits(Holder::Group(*group), limits.clone()).await
            }
            Step::MoveZone { shared, which, zone } => {
                let group = Holder::Group(which % GROUPS);
                let holder = if *shared { group } else { Holder::Agent(*which) };
                let limits = Limits { zone, ..self.books.account(holder).limits.clone() };
                self.set_limits(holder, limits).await
            }
            Step::SetGrade { agent, grade } => self.set_grade(*agent, *grade).await,
            Step::Join { agent, group } => self.join(*agent, *group).await,
            Step::Acknowledge { pick } => self.acknowledge(*pick).await,
            Step::AcknowledgeAll => self.acknowledge_all().await,
            Step::Differ => self.differ().await,
            Step::Agree => self.agree().await,
            Step::UsedFrom { agent, place } => self.used_from(*agent, *place).await,
            Step::Rotate { agent } => self.rotate(*agent).await,
            Step::Refill { agent, value, fails } => self.refill(*agent, *value, *fails).await,
            Step::Received { agent, value, again } => self.received(*agent, *value, *again).await,
            Step::Trust { item } => self.trust(*item).await,
            Step::Clock { by_ms } => {
                self.turn_clock(*by_ms);
                Ok(())
            }
            Step::AcceptClock => self.accept_clock().await,
            Step::Lock => self.lock().await,
            Step::Unlock => self.unlock().await,
            Step::Restart => self.restart().await,
        }
    }

    fn turn_clock(&mut self, by_ms: i64) {
        self.books.system_ms += by_ms;
        self.clock.store(self.books.system_ms, Ordering::SeqCst);
    }

    /// Closes the file and opens it again: the head is the same, and the vault as it was.
    pub async fn restart(&mut self) -> Seen {
        let head = self.ledger.head();
        self.ledger.clone().close().await;
        self.ledger = open(&self.path, &self.clock).await?;
        self.peek = Peek::open(&self.path).map_err(unread)?;
        // What was not signed before the desk closed never will be.
        self.grants.clear();
        if self.books.open {
            self.ledger.open_seal(seal_key(), true).await.map_err(unexpected("sealing again"))?;
        }
        let again = self.ledger.head();
        if again == head { Ok(()) } else { Err(format!("reopened at {again:?}, not {head:?}")) }
    }

    /// The proof of the books finds nothing.
    pub async fn verify(&self) -> Seen {
        let found = self.ledger.verify(None).await.map_err(unexpected("verifying"))?;
        match found.faults.is_empty() && found.events == self.books.events {
            true => Ok(()),
            false => Err(format!("verify found {found:?}")),
        }
    }

    /// Counts a step by what came of it.
    pub fn saw(&mut self, what: &str) {
        self.figures.count(what);
    }
}

/// Limits to begin with, wide enough that something can be paid.
fn easy_limits(chance: &mut Chance, start_ms: i64) -> Limits {
    let limits = Limits::draw(chance, start_ms);
    let hours = limits.hours.filter(|_| chance.percent(30));
    let newcomers = if chance.percent(80) { Newcomers::Allowed } else { limits.newcomers };
    Limits { hours, newcomers, ends_ms: None, ..limits }
}

async fn add_groups(ledger: &Ledger, accounts: &[Account; GROUPS]) -> Seen<[SharedId; GROUPS]> {
    let mut ids = Vec::new();
    for (group, account) in accounts.iter().enumerate() {
        let name = group_name(group).parse().map_err(|e| format!("a group’s name: {e}"))?;
        let added = ledger.add_shared(name, account.limits.budget()).await;
        ids.push(added.map_err(unexpected("adding a shared budget"))?.id);
    }
    ids.try_into().map_err(|_| "as many shared budgets as there are".to_owned())
}

async fn add_agents(
    ledger: &Ledger,
    accounts: &[Account; AGENTS],
    shared: &SharedId,
) -> Seen<[AgentId; AGENTS]> {
    let mut ids = Vec::new();
    for (agent, account) in accounts.iter().enumerate() {
        let new = NewAgent {
            name: format!("Agent {agent}").parse().map_err(|e| format!("a name: {e}"))?,
            account: ledger.next_account().await.map_err(unexpected("counting agents"))?,
            address: Address::repeat_byte(0x10 + agent as u8),
            grade: Grade::L4,
            budget: account.limits.budget(),
            shared: (agent < 2).then(|| shared.clone()),
            token_sha256: format!("token {agent}"),
        };
        ids.push(ledger.add_agent(new).await.map_err(unexpected("adding an agent"))?.id);
    }
    ids.try_into().map_err(|_| "as many agents as there are".to_owned())
}

/// Gas and nonce, which no rule looks at.
pub fn terms() -> TransactionTerms {
    TransactionTerms {
        nonce: 0,
        gas_limit: 0,
        max_fee_per_gas_wei: 0,
        max_priority_fee_per_gas_wei: 0,
    }
}

/// An amount in the product's form.
pub fn units(value: u128) -> Units {
    Units::new(value).unwrap_or(Units::MAX)
}

/// A digest that nothing else has.
pub fn digest(kind: u8, number: u64) -> B256 {
    let mut bytes = [kind; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    B256::from(bytes)
}

/// The order with which the owner's yes is carried out.
pub fn freshened(wish: &super::step::Wish, fresh: Fresh) -> super::step::Wish {
    let mut other = wish.clone();
    match fresh {
        Fresh::Same => {}
        Fresh::Dearer => other.value = (other.value + 1).min(i64::MAX as u128),
        Fresh::OtherAddress => other.item.address = 1 - other.item.address,
        Fresh::OtherWords => other.item.path = 1 - other.item.path,
    }
    other
}
