//! What happens to a payment after its hold: answers, settlement, expiry, and a settlement undone.

use crate::error::LedgerError;
use crate::event::{Delivery, Event};
use crate::{Ledger, read, signals};
use alloy_primitives::B256;
use imprest_domain::{Authorization, PaymentId, PaymentState, ValidityWindow};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A payment whose money is reserved and may still move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPayment {
    /// Which.
    pub payment: PaymentId,
    /// Held, delivered or unknown.
    pub state: PaymentState,
    /// What was, or may have been, signed.
    pub authorization: Authorization,
}

/// A payment that the books call settled, and whose block may not be final yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledPayment {
    /// Which.
    pub payment: PaymentId,
    /// What was signed.
    pub authorization: Authorization,
    /// The hash of the transaction that took it.
    pub transaction: B256,
    /// The number of that transaction's block.
    pub block: u64,
}

impl Ledger {
    /// Records what is known right after the paid request.
    ///
    /// # Errors
    /// When there is no such hold, or the write fails; the hold stays in either case.
    pub async fn record_delivery(
        &self,
        payment: &PaymentId,
        delivery: Delivery,
    ) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                let unknown = matches!(delivery, Delivery::Unknown { .. });
                tx.append(Event::PaymentDelivered { payment: payment.clone(), delivery })?;
                if unknown { signals::after_unknown(tx, &payment) } else { Ok(()) }
            })
            .await
    }

    /// Records the treasury's signed transaction that takes a plain transfer to the chain, before it
    /// is sent.
    ///
    /// # Errors
    /// When there is no such hold, or the write fails.
    pub async fn relay_sent(
        &self,
        payment: &PaymentId,
        transaction: B256,
    ) -> Result<(), LedgerError> {
        self.record(Event::RelaySent { payment: payment.clone(), transaction }).await.map(|_| ())
    }

    /// Records that the chain paid it. Settled already is no error.
    ///
    /// # Errors
    /// When there is no such hold, or the write fails.
    pub async fn settle(
        &self,
        payment: &PaymentId,
        transaction: B256,
        block: u64,
    ) -> Result<(), LedgerError> {
        let event = Event::PaymentSettled { payment: payment.clone(), transaction, block };
        self.close_payment(payment, PaymentState::Settled, event).await
    }

    /// Records that the chain undid the block in which a payment was settled: its money is reserved
    /// again, and every window holds what it held. `block` is the newest block's number. Open
    /// already is no error.
    ///
    /// # Errors
    /// When it was never settled, [`LedgerError::Locked`], or a failed write; it stays settled then.
    pub async fn reopen(&self, payment: &PaymentId, block: u64) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                if !tx.books.payment(&payment)?.state.is_open() {
                    tx.append(Event::PaymentReopened { payment, block })?;
                }
                Ok(())
            })
            .await
    }

    /// Gives a hold back because the chain's finalised clock passed the signature's end and the
    /// nonce was never used. Expired already is no error.
    ///
    /// # Errors
    /// When there is no such hold, or the write fails.
    pub async fn expire(&self, payment: &PaymentId, block: u64) -> Result<(), LedgerError> {
        let event = Event::PaymentExpired { payment: payment.clone(), block };
        self.close_payment(payment, PaymentState::Expired, event).await
    }

    async fn close_payment(
        &self,
        payment: &PaymentId,
        to: PaymentState,
        event: Event,
    ) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                if tx.books.payment(&payment)?.state != to {
                    tx.append(event)?;
                }
                Ok(())
            })
            .await
    }

    /// Every payment whose money is reserved, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn open_payments(&self) -> Result<Vec<OpenPayment>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM payments WHERE state IN ('held', 'delivered', 'unknown') ORDER BY seq",
        )
        .fetch_all(&self.store.readers)
        .await?;
        rows.iter().map(open_of).collect()
    }
}

impl Ledger {
    /// Every settled payment whose block is later than one, oldest first. It reads over all that
    /// ever settled, so it is for the start.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn settled_after(&self, block: u64) -> Result<Vec<SettledPayment>, LedgerError> {
        // A block number that SQLite cannot hold is later than every one it does.
        let Ok(after) = i64::try_from(block) else { return Ok(Vec::new()) };
        let rows = sqlx::query(
            "SELECT * FROM payments WHERE state = 'settled' AND block > ? ORDER BY seq",
        )
        .bind(after)
        .fetch_all(&self.store.readers)
        .await?;
        let settled = |row: &SqliteRow| {
            let bad = |what: &str| LedgerError::damaged(format!("a settlement’s {what}"));
            let block = row.try_get::<i64, _>("block")?.try_into().map_err(|_| bad("block"))?;
            let transaction = row.try_get::<String, _>("tx")?;
            let transaction = transaction.parse().map_err(|_| bad("transaction"))?;
            let OpenPayment { payment, authorization, .. } = open_of(row)?;
            Ok(SettledPayment { payment, authorization, transaction, block })
        };
        rows.iter().map(settled).collect()
    }
}

fn open_of(row: &SqliteRow) -> Result<OpenPayment, LedgerError> {
    let bad = |what: &str| LedgerError::damaged(format!("a hold’s {what}"));
    let seconds = |column: &str| -> Result<u64, LedgerError> {
        u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| bad(column))
    };
    let payee = read::payee_of(row)?;
    Ok(OpenPayment {
        payment: read::id(row.try_get("payment")?)?,
        state: read::state(row.try_get("state")?)?,
        authorization: Authorization {
            asset: payee.asset,
            from: row.try_get::<String, _>("from_address")?.parse().map_err(|_| bad("payer"))?,
            to: payee.pay_to,
            value: read::units(row.try_get("value")?)?,
            window: ValidityWindow {
                valid_after_s: seconds("valid_after_s")?,
                valid_before_s: seconds("valid_before_s")?,
            },
            nonce: row.try_get::<String, _>("nonce")?.parse().map_err(|_| bad("nonce"))?,
        },
    })
}
