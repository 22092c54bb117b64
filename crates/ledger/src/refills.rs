//! Money into floats: refills from the treasury, and what arrives from elsewhere.

use crate::error::LedgerError;
use crate::event::Event;
use crate::rows::{ReceiptRow, RefillRow};
use crate::store::Tx;
use crate::{Ledger, TransactionTerms, TreasuryGrant, fresh_tail, read};
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, Asset, RefillId, Units};
use sqlx::Row;

/// A refill that was sent and not yet confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRefill {
    /// Which.
    pub refill: RefillId,
    /// For whom.
    pub agent: AgentId,
    /// Its transaction, once signed.
    pub transaction: Option<B256>,
}

impl Ledger {
    /// Records that the owner refills a float, and gives leave to sign that one transfer.
    ///
    /// # Errors
    /// When the agent is unknown or the write fails.
    pub async fn begin_refill(
        &self,
        agent: &AgentId,
        value: Units,
        asset: Asset,
        terms: TransactionTerms,
    ) -> Result<TreasuryGrant, LedgerError> {
        let to = self.agent(agent).await?.address;
        let refill =
            RefillId::from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))?;
        self.record(Event::RefillGranted {
            refill: refill.clone(),
            agent: agent.clone(),
            to,
            value,
            asset: asset.id,
        })
        .await?;
        Ok(TreasuryGrant { refill, asset, to, value, terms })
    }

    /// Records the signed transaction, before it is sent.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn refill_sent(
        &self,
        refill: &RefillId,
        transaction: B256,
    ) -> Result<(), LedgerError> {
        self.record(Event::RefillSent { refill: refill.clone(), transaction }).await.map(|_| ())
    }

    /// Books a refill the chain confirmed. Booked already is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn refill_settled(
        &self,
        refill: &RefillId,
        transaction: B256,
        block: u64,
    ) -> Result<(), LedgerError> {
        let event = Event::RefillSettled { refill: refill.clone(), transaction, block };
        self.close_refill(refill, event).await
    }

    /// Records that a refill came to nothing. Closed already is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn refill_failed(&self, refill: &RefillId, why: String) -> Result<(), LedgerError> {
        self.close_refill(refill, Event::RefillFailed { refill: refill.clone(), why }).await
    }

    async fn close_refill(&self, refill: &RefillId, event: Event) -> Result<(), LedgerError> {
        let refill = refill.clone();
        self.store
            .write(move |tx| {
                let row = tx.books.get::<RefillRow>((refill,))?;
                if row.is_some_and(|row| matches!(row.state.as_str(), "granted" | "sent")) {
                    tx.append(event)?;
                }
                Ok(())
            })
            .await
    }

    /// Refills whose end is not known, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn open_refills(&self) -> Result<Vec<OpenRefill>, LedgerError> {
        let rows = sqlx::query(
            "SELECT refill, agent, tx FROM refills WHERE state IN ('granted', 'sent') ORDER BY at_ms",
        )
        .fetch_all(&self.store.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let tx: Option<String> = row.try_get("tx")?;
                Ok(OpenRefill {
                    refill: read::id(row.try_get("refill")?)?,
                    agent: read::id(row.try_get("agent")?)?,
                    transaction: tx
                        .map(|tx| tx.parse().map_err(|_| LedgerError::damaged("a transaction")))
                        .transpose()?,
                })
            })
            .collect()
    }

    /// Books money that reached a float from outside; the same log is booked once, and a
    /// refill's own transfer is not booked again.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn float_received(
        &self,
        agent: &AgentId,
        from: Address,
        value: Units,
        transaction: B256,
        log_index: u64,
        block: u64,
    ) -> Result<bool, LedgerError> {
        let event = Event::FloatReceived {
            agent: agent.clone(),
            from,
            value,
            transaction,
            log_index,
            block,
        };
        self.store
            .write(move |tx| {
                let known = tx.books.get::<ReceiptRow>((transaction, log_index))?.is_some();
                // A refill's own transfer is booked as a refill, now or later.
                let refill = !known && is_refill(tx, transaction)?;
                if !known && !refill {
                    tx.append(event)?;
                }
                Ok(!known && !refill)
            })
            .await
    }
}

fn is_refill(tx: &mut Tx<'_>, transaction: B256) -> Result<bool, LedgerError> {
    let at_hand = |row: &RefillRow| row.tx == Some(transaction);
    if tx.books.at_hand::<RefillRow>().any(at_hand) {
        return Ok(true);
    }
    Ok(tx
        .file()?
        .prepare_cached("SELECT 1 FROM refills WHERE tx = ?")?
        .exists([transaction.to_string()])?)
}
