//! Money that left a float and that the books do not know: what was spent between a backup and the
//! day it was put back.

use crate::Ledger;
use crate::error::LedgerError;
use crate::event::{Event, SharedHold};
use crate::rows::{PayeeRow, PaymentRow, ReceiptRow, SharedRow, StrangerRow, SweepRow};
use crate::store::Tx;
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, AssetId, Budget, Counted, Payee, PaymentState, Units, Window};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A transfer out of a float, as the chain tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSpend {
    /// Whose float.
    pub agent: AgentId,
    /// Who got the money.
    pub pay_to: Address,
    /// How much, in atomic units of the agent's asset.
    pub value: Units,
    /// The nonce of the authorisation that moved it, where it was one.
    pub nonce: Option<B256>,
    /// The transaction's hash.
    pub transaction: B256,
    /// Which log of its block says so, from 0 on.
    pub log_index: u64,
    /// The number of its block.
    pub block: u64,
    /// The block's time.
    pub at: Timestamp,
}

/// A transfer out of an address of this vault that no agent of these books has: one that was made
/// after the backup had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrangerSpend {
    /// The address's account index in the vault (BIP-44).
    pub account: u32,
    /// In which asset.
    pub asset: AssetId,
    /// Who got the money.
    pub pay_to: Address,
    /// How much, in atomic units of the asset.
    pub value: Units,
    /// The transaction's hash.
    pub transaction: B256,
    /// Which log of its block says so, from 0 on.
    pub log_index: u64,
    /// The number of its block.
    pub block: u64,
    /// The block's time.
    pub at: Timestamp,
}

impl Ledger {
    /// Books money that left a float without the books knowing, and counts it in every window that
    /// it falls into, in those of every shared budget too: the owner may have put the agent under
    /// another one meanwhile. Answers whether it was news. The same log is booked once, and a payment that
    /// the books hold or have settled is not booked again.
    ///
    /// It only ever takes from what may be spent, so it needs no open vault.
    ///
    /// # Errors
    /// When the agent is unknown, when the float never held so much by the books, or when the write
    /// fails.
    pub async fn spend_found(&self, found: FoundSpend) -> Result<bool, LedgerError> {
        self.store.write(move |tx| book(tx, found)).await
    }

    /// Counts what an agent spent that these books do not know, in every shared budget of the asset:
    /// nobody can tell any more under which it was. Answers whether it was news; the same log is
    /// counted once.
    ///
    /// It only ever takes from what may be spent, so it needs no open vault.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn stranger_spent(&self, found: StrangerSpend) -> Result<bool, LedgerError> {
        self.store.write(move |tx| count_stranger(tx, found)).await
    }
}

fn count_stranger(tx: &mut Tx<'_>, found: StrangerSpend) -> Result<bool, LedgerError> {
    let log = (found.transaction, found.log_index);
    if found.value.is_zero() || tx.books.get::<StrangerRow>(log)?.is_some() {
        return Ok(false);
    }
    let paid = Paid {
        at: found.at.min(tx.now),
        origins: origins_at(tx, found.pay_to)?,
        pay_to: found.pay_to,
        asset: found.asset,
    };
    let shared = paid.in_shared(tx)?;
    tx.append(Event::StrangerSpent {
        account: found.account,
        pay_to: found.pay_to,
        value: found.value,
        transaction: found.transaction,
        log_index: found.log_index,
        block: found.block,
        at: paid.at,
        shared,
    })?;
    Ok(true)
}

fn book(tx: &mut Tx<'_>, found: FoundSpend) -> Result<bool, LedgerError> {
    // Anybody can log a transfer of nothing in anybody's name.
    if found.value.is_zero() || is_booked(tx, &found)? {
        return Ok(false);
    }
    let agent = tx.books.agent(&found.agent)?;
    let paid = Paid {
        // A block from ahead of the books would fill windows that have not begun.
        at: found.at.min(tx.now),
        origins: origins_at(tx, found.pay_to)?,
        pay_to: found.pay_to,
        asset: agent.budget.0.asset,
    };
    let spans = paid.counted(&agent.budget.0)?;
    let shared = paid.in_shared(tx)?;
    tx.append(Event::SpendFound {
        agent: found.agent,
        pay_to: found.pay_to,
        value: found.value,
        transaction: found.transaction,
        log_index: found.log_index,
        block: found.block,
        at: paid.at,
        nonce: found.nonce,
        spans,
        shared,
    })?;
    Ok(true)
}

/// Whether the books know of it: as the same log, or as a payment or a sweep of their own.
fn is_booked(tx: &mut Tx<'_>, found: &FoundSpend) -> Result<bool, LedgerError> {
    let log = (found.transaction, found.log_index);
    // The same log can also be what another float of this desk received.
    if tx.books.get::<ReceiptRow>(log)?.is_some_and(|row| row.agent == found.agent) {
        return Ok(true);
    }
    let Some(nonce) = found.nonce else { return Ok(false) };
    let ours = |row: &PaymentRow| {
        row.agent == found.agent
            && row.nonce == Some(nonce)
            && (row.state.is_open() || row.state == PaymentState::Settled)
    };
    let swept = |row: &SweepRow| {
        row.agent == found.agent
            && row.nonce == nonce
            && matches!(row.state.as_str(), "held" | "sent" | "settled")
    };
    if tx.books.at_hand::<PaymentRow>().any(ours) || tx.books.at_hand::<SweepRow>().any(swept) {
        return Ok(true);
    }
    Ok(tx
        .file()?
        .prepare_cached(
            "SELECT 1 FROM payments WHERE agent = ?1 AND nonce = ?2
                 AND state IN ('held', 'delivered', 'unknown', 'settled')
             UNION ALL SELECT 1 FROM sweeps WHERE agent = ?1 AND nonce = ?2
                 AND state IN ('held', 'sent', 'settled')",
        )?
        .exists([found.agent.as_str(), &nonce.to_string()])?)
}

/// The origins that the books have seen paid at an address.
fn origins_at(tx: &mut Tx<'_>, pay_to: Address) -> Result<BTreeSet<String>, LedgerError> {
    let at_hand = tx.books.at_hand::<PayeeRow>().filter(|row| row.pay_to == pay_to);
    let mut origins: BTreeSet<String> = at_hand.map(|row| row.origin.clone()).collect();
    let mut statement =
        tx.file()?.prepare_cached("SELECT DISTINCT origin FROM payees WHERE pay_to = ?")?;
    let mut rows = statement.query([pay_to.to_string()])?;
    while let Some(row) = rows.next()? {
        origins.insert(row.get(0)?);
    }
    Ok(origins)
}

/// What was paid, as far as limits ask.
struct Paid {
    at: Timestamp,
    origins: BTreeSet<String>,
    pay_to: Address,
    asset: AssetId,
}

impl Paid {
    /// The counters of shared budgets that it lies in, in the order of their identifiers.
    fn in_shared(&self, tx: &Tx<'_>) -> Result<Vec<SharedHold>, LedgerError> {
        let is_one = |row: &&SharedRow| row.budget.0.asset == self.asset;
        let mut rows: Vec<&SharedRow> = tx.books.at_hand::<SharedRow>().filter(is_one).collect();
        rows.sort_by(|a, b| a.shared.cmp(&b.shared));
        rows.into_iter()
            .map(|row| {
                let spans = self.counted(&row.budget.0)?;
                Ok(SharedHold { shared: row.shared.clone(), spans })
            })
            .collect()
    }

    /// The counters of a budget that it lies in. The chain does not say which origin was paid:
    /// every one that is known at the address counts as paid, and an unknown address as new.
    fn counted(&self, budget: &Budget) -> Result<Vec<Counted>, LedgerError> {
        let payee = |origin: String| Payee { origin, pay_to: self.pay_to, asset: self.asset };
        let mut origins = self.origins.iter().cloned();
        let first = origins.next().unwrap_or_else(|| self.pay_to.to_string());
        let mut spans = budget.counted(&payee(first), self.origins.is_empty(), self.at)?;
        for origin in origins {
            let more = budget.counted(&payee(origin), false, self.at)?;
            spans.extend(more.into_iter().filter(|span| span.window == Window::PayeeDay));
        }
        Ok(spans)
    }
}
