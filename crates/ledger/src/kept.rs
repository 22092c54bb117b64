//! What lies beside the books for a while: requests that wait, responses that were paid, and marks.

use crate::Ledger;
use crate::error::LedgerError;
use imprest_domain::PaymentId;

impl Ledger {
    /// Keeps what was bought, so that a retry gets it again.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn keep_response(
        &self,
        payment: &PaymentId,
        body: Vec<u8>,
    ) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                tx.file()?
                    .prepare_cached(
                        "INSERT OR REPLACE INTO kept_responses (payment, body) VALUES (?, ?)",
                    )?
                    .execute((payment.as_str(), body))?;
                Ok(())
            })
            .await
    }

    /// Forgets all but the newest kept responses.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn prune_responses(&self, keep: u32) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                // Identifiers begin with their time, so their order is the order of time.
                tx.file()?.execute(
                    "DELETE FROM kept_responses WHERE payment NOT IN
                         (SELECT payment FROM kept_responses ORDER BY payment DESC LIMIT ?)",
                    [keep],
                )?;
                Ok(())
            })
            .await
    }

    /// Forgets the request of a payment that will not be sent again.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn forget_request(&self, payment: &PaymentId) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                tx.file()?
                    .execute("DELETE FROM kept_requests WHERE payment = ?", [payment.as_str()])?;
                Ok(())
            })
            .await
    }

    /// The kept request of a waiting payment.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn kept_request(&self, payment: &PaymentId) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(sqlx::query_scalar("SELECT body FROM kept_requests WHERE payment = ?")
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?)
    }

    /// The kept response of a paid payment.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn kept_response(&self, payment: &PaymentId) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(sqlx::query_scalar("SELECT body FROM kept_responses WHERE payment = ?")
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?)
    }

    /// A remembered number, such as the last block that was searched for deposits.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn mark(&self, mark: &'static str) -> Result<Option<u64>, LedgerError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT value FROM marks WHERE mark = ?")
            .bind(mark)
            .fetch_optional(&self.store.readers)
            .await?;
        Ok(value.map(i64::unsigned_abs))
    }

    /// Remembers a number.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn set_mark(&self, mark: &'static str, value: u64) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                tx.file()?.execute(
                    "INSERT OR REPLACE INTO marks (mark, value) VALUES (?, ?)",
                    (mark, i64::try_from(value).unwrap_or(i64::MAX)),
                )?;
                Ok(())
            })
            .await
    }
}
