//! kill −9 at any moment: whatever was granted before is in the books after.
//!
//! A child process pays from several tasks and says of everything it did that it is done, only
//! after the ledger said so. It is killed at a drawn moment: while it opens the file, pays, folds
//! the log in or closes. Then the file is opened again and asked for everything that was said.

mod payer;
mod said;

pub use payer::child;

use crate::chance::Chance;
use crate::disk::world::{add_agent, budget, shop, units};
use crate::oracle::seal_key;
use crate::proof::{Broken, Figures, Proof};
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, PaymentId, PaymentState, Units};
use imprest_ledger::{HeadCopy, Ledger, LedgerError};
use rusqlite::Connection;
use said::{Said, pay_and_kill};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What was seen otherwise than said, in a sentence.
type Seen<T = ()> = Result<T, String>;

/// How many agents pay, all under one shared budget.
const PAYERS: u64 = 2;
/// After how many rounds a new file is begun, so that proving one stays quick.
const FILE_ROUNDS: u64 = 25;
/// Every so many rounds the file lies on the disk and not in memory.
const DISK_EVERY: u64 = 10;
/// The most lines that a child is let say.
const LINES_MAX: u64 = 120;

/// Lets a child pay, and kills it, so many times. The child is `imprest-soak-child`, beside the
/// program that is running or one folder up.
///
/// A seed draws what is paid and after how many words the child is killed; how far it is then, the
/// machine's schedule decides, so that a seed leads to the same neighbourhood and not to the same
/// instruction.
///
/// # Errors
/// [`Broken`] when something that was said is not in the books, or they are not whole.
pub fn run(seed: u64, rounds: u64) -> Result<Figures, Broken> {
    let broken = |seed: u64, what: String| Broken { proof: Proof::Killed, seed, what };
    let started = |what: String| broken(seed, what);
    let runtime = crate::place::runtime().map_err(|e| started(e.to_string()))?;
    let program = said::program().map_err(started)?;
    let mut figures = Figures::default();
    let (mut memory, mut disk) = (None, None);
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let on_disk = round % DISK_EVERY == DISK_EVERY - 1;
        let place = if on_disk { &mut disk } else { &mut memory };
        let told = runtime.block_on(async {
            let file = match place.take() {
                Some(file) => file,
                None => File::begin(on_disk).await?,
            };
            file.round(&mut Chance::new(seed), &program, &mut figures).await
        });
        let file = told.map_err(|what| broken(seed, format!("round {round}: {what}")))?;
        *place = Some(file).filter(|file| file.rounds < FILE_ROUNDS);
        figures.count(if on_disk { "rounds on the disk" } else { "rounds in memory" });
    }
    Ok(figures)
}

/// One ledger file, and what was ever said about it.
struct File {
    folder: TempDir,
    rounds: u64,
    /// Every payment that was said to be granted.
    payments: BTreeMap<PaymentId, Known>,
    keys: BTreeMap<String, PaymentId>,
    /// The furthest end of the log that was said.
    furthest: Option<HeadCopy>,
}

/// What was said of a payment.
struct Known {
    value: u64,
    /// The last state that was said, or found.
    state: PaymentState,
    /// Whether no child can have changed it since.
    sure: bool,
}

impl File {
    async fn begin(on_disk: bool) -> Seen<File> {
        let folder =
            if on_disk { TempDir::with_prefix("imprest-soak") } else { crate::place::folder() };
        let folder = folder.map_err(|e| e.to_string())?;
        let none = BTreeMap::new();
        let file =
            File { folder, rounds: 0, payments: none, keys: BTreeMap::new(), furthest: None };
        let ledger = Ledger::open(&file.path()).await.map_err(|e| format!("beginning: {e}"))?;
        let made = add_agents(&ledger).await;
        ledger.close().await;
        made.map_err(|e| format!("beginning: {e}"))?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Kills one child or several, and then looks.
    async fn round(
        mut self,
        chance: &mut Chance,
        program: &Path,
        figures: &mut Figures,
    ) -> Seen<File> {
        self.prepare(chance).await.map_err(|e| format!("preparing: {e}"))?;
        loop {
            // Some are killed before they have said a word.
            let lines = if chance.percent(10) { 0 } else { chance.below(LINES_MAX) };
            let last_us = chance.below(if lines == 0 { 40_000 } else { 3_000 });
            let said = pay_and_kill(program, &self.path(), chance.any(), lines, last_us)?;
            figures.count("children killed");
            figures.add("lines said", said.len() as u64);
            self.hear(said, figures)?;
            // At times the next child is the one that has to find its way.
            if !chance.percent(25) {
                break;
            }
        }
        self.check(figures).await?;
        self.rounds += 1;
        Ok(self)
    }

    /// Frees some of what is held, and gives the agents a little more to spend.
    async fn prepare(&mut self, chance: &mut Chance) -> Result<(), LedgerError> {
        let ledger = open(&self.path()).await?;
        for hold in ledger.open_payments().await? {
            let state = match chance.below(4) {
                0 => continue,
                1 => {
                    ledger.expire(&hold.payment, 1).await?;
                    PaymentState::Expired
                }
                _ => {
                    ledger.settle(&hold.payment, some_hash(chance), 1).await?;
                    PaymentState::Settled
                }
            };
            if let Some(known) = self.payments.get_mut(&hold.payment) {
                known.state = state;
            }
        }
        for signal in ledger.signals(100).await? {
            if signal.ack.is_none() {
                ledger.acknowledge(signal.signal.seq).await?;
            }
        }
        let (more, mut together) = (chance.between(60, 900), chance.between(80, 1_400));
        for agent in ledger.agents().await? {
            let spent = spent(&ledger, &agent.id).await?;
            together += spent;
            ledger.set_budget(&agent.id, budget(units(spent + more))).await?;
        }
        for shared in ledger.shared_budgets().await? {
            ledger.set_shared(&shared.id, budget(units(together))).await?;
        }
        ledger.close().await;
        Ok(())
    }

    /// Takes down what a child said.
    fn hear(&mut self, said: Vec<Said>, figures: &mut Figures) -> Seen {
        for said in said {
            match said {
                Said::Granted { payment, value, key, head } => {
                    figures.count("grants said");
                    let known = Known { value, state: PaymentState::Held, sure: false };
                    if self.payments.insert(payment.clone(), known).is_some() {
                        return Err(format!("{payment} was granted twice"));
                    }
                    if let Some(first) = key.and_then(|key| self.keys.insert(key, payment.clone()))
                    {
                        return Err(format!("{payment} was granted under the key of {first}"));
                    }
                    self.furthest =
                        self.furthest.filter(|furthest| furthest.seq >= head.seq).or(Some(head));
                }
                Said::Known { payment, key } => {
                    figures.count("keys known again");
                    let first = self.keys.entry(key).or_insert_with(|| payment.clone());
                    if *first != payment {
                        return Err(format!("a key stood for {first}, and then for {payment}"));
                    }
                }
                Said::Moved { payment, to } => {
                    let known = self.payments.get_mut(&payment);
                    known.ok_or_else(|| format!("{payment} was never granted"))?.state = to;
                }
                Said::Closing => figures.count("children killed while closing, or after"),
            }
        }
        Ok(())
    }

    /// Opens the file again and asks for everything that was ever said.
    async fn check(&mut self, figures: &mut Figures) -> Seen {
        let ledger = open(&self.path()).await.map_err(|e| format!("reopening: {e}"))?;
        let found = ledger.verify(self.furthest).await.map_err(|e| format!("verify: {e}"))?;
        if !found.faults.is_empty() || !found.seal_checked {
            return Err(format!("verify found {found:?}; {:?} was said", self.furthest));
        }
        if self.furthest.is_some_and(|said| found.head.seq < said.seq) {
            return Err(format!("the log ends at {:?}; {:?} was said", found.head, self.furthest));
        }
        figures.add("events proved", found.events);
        let books = Books::read(&self.path()).map_err(|e| format!("looking: {e}"))?;
        self.all_there(&books, figures)?;
        within_limits(&ledger, &books).await?;
        ledger.close().await;
        figures.count("files proved");
        Ok(())
    }

    /// Each payment is there with its value, where it was said to be or one step further; each
    /// key stands for its payment.
    fn all_there(&mut self, books: &Books, figures: &mut Figures) -> Seen {
        for (payment, known) in &mut self.payments {
            let there = books.payments.get(payment.as_str());
            let (value, word) =
                there.ok_or_else(|| format!("{payment} was granted and is gone"))?;
            let state = PaymentState::from_word(word).unwrap_or(PaymentState::Refused);
            let one_further = !known.sure && known.state.to(state).is_ok();
            if *value != known.value || (state != known.state && !one_further) {
                let said = (known.value, known.state);
                return Err(format!("{payment} was said to be {said:?} and is {there:?}"));
            }
            (known.state, known.sure) = (state, true);
            figures.count("grants found again");
        }
        for (key, payment) in &self.keys {
            let stands_for = books.keys.get(key);
            if stands_for.is_none_or(|found| found != payment.as_str()) {
                return Err(format!("{key} stood for {payment}, and now for {stands_for:?}"));
            }
        }
        Ok(())
    }
}

/// What each agent, and all together, spent and hold is within its limit, added up from the
/// payments themselves; no nonce was given twice.
async fn within_limits(ledger: &Ledger, books: &Books) -> Seen {
    let text = |e: LedgerError| e.to_string();
    if books.nonces_twice > 0 {
        return Err(format!("{} nonces were given twice", books.nonces_twice));
    }
    for agent in ledger.agents().await.map_err(text)? {
        let sum = books.sums.get(agent.id.as_str()).copied().unwrap_or(0);
        let spent = spent(ledger, &agent.id).await.map_err(text)?;
        let limit = agent.budget.limit_units_lifetime.unwrap_or_default();
        if sum != spent || units(sum) > limit {
            return Err(format!("{} paid {sum}, booked {spent}, of {limit}", agent.name));
        }
    }
    let together: u64 = books.sums.values().sum();
    for shared in ledger.shared_budgets().await.map_err(text)? {
        let limit = shared.budget.limit_units_lifetime.unwrap_or_default();
        if units(together) > limit {
            return Err(format!("all together paid {together} of {limit}"));
        }
    }
    Ok(())
}

/// What the file says, read without the ledger.
struct Books {
    /// Value and state of every payment.
    payments: BTreeMap<String, (u64, String)>,
    keys: BTreeMap<String, String>,
    /// What each agent's payments add up to that were not given back.
    sums: BTreeMap<String, u64>,
    nonces_twice: u64,
}

impl Books {
    fn read(path: &Path) -> rusqlite::Result<Books> {
        let file = Connection::open(path)?;
        let twice = "SELECT count(nonce) - count(DISTINCT nonce) FROM payments";
        let mut books = Books {
            payments: BTreeMap::new(),
            keys: BTreeMap::new(),
            sums: BTreeMap::new(),
            nonces_twice: file.query_row(twice, (), |row| row.get(0))?,
        };
        let mut payments = file.prepare("SELECT payment, agent, value, state FROM payments")?;
        let mut rows = payments.query(())?;
        while let Some(row) = rows.next()? {
            let (value, state): (u64, String) = (row.get(2)?, row.get(3)?);
            if matches!(state.as_str(), "held" | "delivered" | "unknown" | "settled") {
                *books.sums.entry(row.get(1)?).or_default() += value;
            }
            books.payments.insert(row.get(0)?, (value, state));
        }
        let mut keys = file.prepare("SELECT client_key, payment FROM client_keys")?;
        let mut rows = keys.query(())?;
        while let Some(row) = rows.next()? {
            books.keys.insert(row.get(0)?, row.get(1)?);
        }
        Ok(books)
    }
}

async fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let ledger = Ledger::open(path).await?;
    ledger.open_seal(seal_key(), true).await?;
    Ok(ledger)
}

async fn spent(ledger: &Ledger, agent: &AgentId) -> Result<u64, LedgerError> {
    let balance = ledger.balance(agent).await?;
    Ok(u64::try_from(balance.paid.get() + balance.held.get()).unwrap_or(u64::MAX))
}

async fn add_agents(ledger: &Ledger) -> Result<(), LedgerError> {
    ledger.open_seal(seal_key(), false).await?;
    let household = "Household".parse();
    let household = household.map_err(|_| LedgerError::NoShared { name: "Household".into() })?;
    let shared = ledger.add_shared(household, budget(Units::ZERO)).await?;
    for number in 1..=PAYERS {
        let agent = add_agent(ledger, number, Units::ZERO).await?;
        ledger.join_shared(&agent.id, Some(shared.id.clone())).await?;
        let funds = units(1_000_000_000);
        let transaction = B256::with_last_byte(number as u8);
        ledger.float_received(&agent.id, Address::ZERO, funds, transaction, 0, 1).await?;
    }
    ledger.trust_payee(shop()).await
}

fn some_hash(chance: &mut Chance) -> B256 {
    B256::left_padding_from(&chance.any().to_be_bytes())
}
