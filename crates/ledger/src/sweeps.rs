//! Money from floats back to the treasury.
//!
//! A sweep is signed like a payment and held like one: what is signed can be used until its end,
//! whoever takes it to the chain, so only the chain ends the hold.

use crate::apply::{float, held};
use crate::error::LedgerError;
use crate::event::Event;
use crate::facts::account;
use crate::restored::refuse_unreconciled;
use crate::rows::SweepRow;
use crate::store::Tx;
use crate::{Ledger, SweepGrant, TransactionTerms, fresh_tail, read};
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, Asset, AssetId, Authorization, SIGNATURE_S_MAX, SweepId, Units, ValidityWindow,
};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A sweep whose money is reserved and may still move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSweep {
    /// Which.
    pub sweep: SweepId,
    /// Whose float.
    pub agent: AgentId,
    /// What was, or may have been, signed.
    pub authorization: Authorization,
}

impl Ledger {
    /// Holds money of a float for the treasury, and gives leave to sign that one transfer.
    ///
    /// `amount` is all that no payment has reserved when it is left out; `on_chain` is what the
    /// chain says that the float holds, in atomic units, and `to` the treasury. What open holds
    /// claim is taken off both the books' figure and the chain's: the chain may have paid one
    /// already that the books have not booked, which only makes it less.
    ///
    /// # Errors
    /// [`LedgerError::NotInFloat`] with the most that can be moved, [`LedgerError::NoAgent`],
    /// [`LedgerError::ForeignAsset`], [`LedgerError::ClockBehind`], [`LedgerError::Unreconciled`],
    /// [`LedgerError::Locked`], or a failed write. Nothing is held then.
    pub async fn begin_sweep(
        &self,
        agent: &AgentId,
        amount: Option<Units>,
        on_chain: Units,
        to: Address,
        asset: Asset,
        terms: TransactionTerms,
    ) -> Result<SweepGrant, LedgerError> {
        let (agent, asset_id) = (agent.clone(), asset.id);
        let (sweep, account, authorization) =
            self.store.write(move |tx| hold(tx, agent, amount, on_chain, (to, asset_id))).await?;
        // The hold is on the disk: only now may leave to sign come into being.
        Ok(SweepGrant { sweep, account, authorization, asset, terms })
    }

    /// Records the signed transaction, before it is sent.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn sweep_sent(&self, sweep: &SweepId, transaction: B256) -> Result<(), LedgerError> {
        self.record(Event::SweepSent { sweep: sweep.clone(), transaction }).await.map(|_| ())
    }

    /// Books a sweep that the chain confirmed. Ended already is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn settle_sweep(
        &self,
        sweep: &SweepId,
        transaction: B256,
        block: u64,
    ) -> Result<(), LedgerError> {
        let event = Event::SweepSettled { sweep: sweep.clone(), transaction, block };
        self.end_sweep(sweep, event).await
    }

    /// Gives a sweep's hold back because the chain's finalised clock passed the signature's end and
    /// the nonce was never used. Ended already is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn expire_sweep(&self, sweep: &SweepId, block: u64) -> Result<(), LedgerError> {
        let event = Event::SweepExpired { sweep: sweep.clone(), block };
        self.end_sweep(sweep, event).await
    }

    /// Gives back a hold whose grant was never signed; the grant itself is the proof.
    ///
    /// # Errors
    /// When the write fails; the hold then stays until the chain's clock frees it.
    pub async fn void_sweep(&self, grant: SweepGrant, why: String) -> Result<(), LedgerError> {
        self.record(Event::SweepVoided { sweep: grant.sweep, why }).await.map(|_| ())
    }

    async fn end_sweep(&self, sweep: &SweepId, event: Event) -> Result<(), LedgerError> {
        let sweep = sweep.clone();
        self.store
            .write(move |tx| {
                let row = tx.books.get::<SweepRow>((sweep,))?;
                if row.is_some_and(|row| matches!(row.state.as_str(), "held" | "sent")) {
                    tx.append(event)?;
                }
                Ok(())
            })
            .await
    }

    /// Sweeps whose end is not known, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn open_sweeps(&self) -> Result<Vec<OpenSweep>, LedgerError> {
        let rows =
            sqlx::query("SELECT * FROM sweeps WHERE state IN ('held', 'sent') ORDER BY at_ms")
                .fetch_all(&self.store.readers)
                .await?;
        rows.iter().map(open_of).collect()
    }
}

fn hold(
    tx: &mut Tx<'_>,
    agent: AgentId,
    amount: Option<Units>,
    on_chain: Units,
    (to, asset): (Address, AssetId),
) -> Result<(SweepId, u32, Authorization), LedgerError> {
    if tx.clock_behind {
        return Err(LedgerError::ClockBehind);
    }
    refuse_unreconciled(&tx.books.desk()?)?;
    let row = tx.books.agent(&agent)?;
    if row.budget.0.asset != asset {
        return Err(LedgerError::ForeignAsset);
    }
    let free = account(tx.books, &float(&agent))?;
    let claimed = account(tx.books, &held(&agent))?;
    let movable = free.min(on_chain.saturating_sub(claimed));
    let value = amount.unwrap_or(movable);
    if value.is_zero() || value > movable {
        return Err(LedgerError::NotInFloat { movable });
    }
    let mut nonce = B256::ZERO;
    getrandom::fill(nonce.as_mut_slice())
        .map_err(|e| LedgerError::Stopped { why: format!("no random numbers: {e}") })?;
    let now_s = u64::try_from(tx.now.as_second()).unwrap_or_default();
    let authorization = Authorization {
        asset,
        from: row.address,
        to,
        value,
        window: ValidityWindow::clamped(now_s, SIGNATURE_S_MAX),
        nonce,
    };
    let sweep =
        SweepId::from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))?;
    tx.append(Event::SweepHeld {
        sweep: sweep.clone(),
        agent,
        authorization: authorization.clone(),
    })?;
    Ok((sweep, row.account, authorization))
}

fn open_of(row: &SqliteRow) -> Result<OpenSweep, LedgerError> {
    let bad = |what: &str| LedgerError::damaged(format!("a sweep’s {what}"));
    let seconds = |column: &str| -> Result<u64, LedgerError> {
        u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| bad(column))
    };
    let address = |column: &str| -> Result<Address, LedgerError> {
        row.try_get::<String, _>(column)?.parse().map_err(|_| bad(column))
    };
    Ok(OpenSweep {
        sweep: read::id(row.try_get("sweep")?)?,
        agent: read::id(row.try_get("agent")?)?,
        authorization: Authorization {
            asset: AssetId { chain_id: seconds("chain_id")?, contract: address("contract")? },
            from: address("from_address")?,
            to: address("to_address")?,
            value: read::units(row.try_get("value")?)?,
            window: ValidityWindow {
                valid_after_s: seconds("valid_after_s")?,
                valid_before_s: seconds("valid_before_s")?,
            },
            nonce: row.try_get::<String, _>("nonce")?.parse().map_err(|_| bad("nonce"))?,
        },
    })
}
