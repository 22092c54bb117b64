//! Paying: what one authorisation costs beside one bare write, and many payers beside one.

use crate::history::add_agent;
use crate::machine::Appending;
use crate::orders::{self, Body, PRICE_UNITS};
use crate::sample::{median, side_by_side, timed};
use crate::store::Store;
use crate::table::{Bar, Line, Report, fact, time};
use anyhow::{Context, Result, bail};
use imprest_domain::{AgentId, Danger, PaymentId, Units};
use imprest_ledger::{Grant, Ledger, Reserved};
use imprest_vault::{KdfCost, SecretText, Vault};
use jiff::SignedDuration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many pay at once.
const PAYERS: u64 = 64;
/// How many payments one payer makes in a round, alone and among the others.
const ALONE: u64 = 100;
const AMONG: u64 = 25;
/// How many rounds of each.
const ROUNDS: usize = 7;
/// How many single payments are timed.
const SINGLES: usize = 400;

/// What opens its vault.
const PASSPHRASE: &str = "measured in public";

/// A desk with an open vault and one agent, on a disk of its own.
#[derive(Clone)]
pub struct Desk {
    ledger: Ledger,
    vault: Arc<Vault>,
    agent: AgentId,
    number: Arc<AtomicU64>,
}

impl Desk {
    /// A new one, its books under the vault's seal.
    ///
    /// # Errors
    /// When one of its parts cannot be made.
    pub async fn open(folder: &TempDir) -> Result<Desk> {
        let passphrase = SecretText::new(PASSPHRASE.into());
        let cost = KdfCost::FLOOR;
        let (vault, _words) = Vault::create(folder.path().join("vault"), &passphrase, cost)?;
        let ledger = Ledger::open(&folder.path().join("ledger.db")).await?;
        let agent = add_agent(&ledger, 0, Some(vault.address(1)?)).await?;
        for number in 0..orders::PAYEES {
            ledger.trust_payee(orders::payee(number)).await?;
        }
        ledger.adopt(vault.seal_key()?).await?;
        let number = Arc::new(AtomicU64::new(0));
        Ok(Desk { ledger, vault: Arc::new(vault), agent: agent.id, number })
    }

    /// Authorises one payment: decided, held, on the disk.
    ///
    /// # Errors
    /// When it is refused or the disk fails.
    pub async fn reserve(&self) -> Result<Grant> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let value = Units::new(PRICE_UNITS)?;
        let order = orders::order(&self.agent, number, value, Body::Full, false);
        let wait = SignedDuration::from_mins(10);
        match self.ledger.reserve(order, orders::usdc(), Danger::Calm, wait).await? {
            Reserved::Granted { grant, .. } => Ok(grant),
            other => bail!("not granted: {other:?}"),
        }
    }

    /// Locks the vault and opens it again, so that no account's key is in memory.
    ///
    /// # Errors
    /// When the vault refuses.
    pub fn forget_accounts(&self) -> Result<()> {
        self.vault.lock();
        Ok(self.vault.unlock(&SecretText::new(PASSPHRASE.into()))?)
    }

    /// Signs under a grant.
    ///
    /// # Errors
    /// When the vault refuses.
    pub fn sign(&self, grant: Grant) -> Result<PaymentId> {
        let signed = self.vault.sign(grant).map_err(|not_signed| not_signed.error)?;
        Ok(signed.payment)
    }

    /// Settles what was held, so that no round finds more open than the one before it.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn settle(&self, held: Vec<PaymentId>) -> Result<()> {
        let mut all = JoinSet::new();
        for (at, payment) in held.into_iter().enumerate() {
            let ledger = self.ledger.clone();
            let tx = orders::scrambled(at as u64, 9);
            all.spawn(async move { ledger.settle(&payment, tx, 1).await });
        }
        all.join_all().await.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }

    /// Closes its books.
    pub async fn close(self) {
        self.ledger.close().await;
    }

    /// So many payers, each making so many payments one after the other; answers the whole time.
    async fn round(&self, payers: u64, each: u64, sign: bool) -> Result<Duration> {
        let began = Instant::now();
        let mut all = JoinSet::new();
        for _ in 0..payers {
            let desk = self.clone();
            all.spawn(async move {
                let mut paid = Vec::new();
                for _ in 0..each {
                    let grant = desk.reserve().await?;
                    paid.push(match sign {
                        true => desk.sign(grant)?,
                        false => grant.payment().clone(),
                    });
                }
                anyhow::Ok(paid)
            });
        }
        let paid = all.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let took = began.elapsed();
        self.settle(paid.into_iter().flatten().collect()).await?;
        Ok(took)
    }
}

/// One authorisation with its signature, beside a bare append of 4 KiB.
///
/// # Errors
/// When the desk refuses what it should grant, or the disk fails.
pub fn authorise(store: &Store<'_>, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let folder = TempDir::new_in(store.folder())?;
    let desk = runtime.block_on(Desk::open(&folder))?;
    let mut bare = Appending::new(folder.path())?;
    runtime.block_on(desk.round(1, ALONE, true))?;
    let (mut reserves, mut signs) = (Vec::new(), Vec::new());
    let pair = side_by_side(
        SINGLES,
        || {
            let began = Instant::now();
            let grant = runtime.block_on(desk.reserve())?;
            reserves.push(began.elapsed());
            let (sign, payment) = timed(|| desk.sign(grant));
            signs.push(sign);
            let took = began.elapsed();
            runtime.block_on(desk.settle(vec![payment?]))?;
            Ok(took)
        },
        || bare.append(),
    )?;
    let what = "authorise, on the disk, and sign / 4 KiB append + fdatasync";
    report.lines.push(Line::slower(what, pair, Bar::AtMost(300)));
    let parts = format!("{} and {}", time(median(reserves)?), time(median(signs)?));
    report.facts.push(fact("reserve alone, sign alone", parts));
    runtime.block_on(desk.close());
    Ok(())
}

/// Sixty-four payers beside one.
///
/// # Errors
/// When the desk refuses what it should grant, or the disk fails.
pub fn payers(store: &Store<'_>, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let folder = TempDir::new_in(store.folder())?;
    let desk = runtime.block_on(Desk::open(&folder))?;
    for sign in [true, false] {
        let round = |payers, each| runtime.block_on(desk.round(payers, each, sign));
        round(PAYERS, AMONG)?;
        let (many, one) = side_by_side(ROUNDS, || round(PAYERS, AMONG), || round(1, ALONE))?;
        let what = match sign {
            true => "64 payers / one payer, authorise and sign",
            false => "64 payers / one payer, authorise alone",
        };
        let line =
            Line::more_a_second(what, (many, PAYERS * AMONG), (one, ALONE), Bar::AtLeast(1_500));
        report.lines.push(if sign { line } else { line.only_told() });
    }
    let found =
        runtime.block_on(desk.ledger.verify(None)).context("the books that were paid from")?;
    anyhow::ensure!(found.faults.is_empty(), "the books are not whole: {:?}", found.faults);
    runtime.block_on(desk.close());
    Ok(())
}
