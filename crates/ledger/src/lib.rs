//! The books: one event log, its projections, and the only maker of a [`Grant`].
//!
//! Every change is an event, appended and hash-chained by the one writer; every table that
//! answers a question is what the log adds up to. A decision, its counters, its hold and its
//! event are one transaction, and a [`Grant`] exists only after that transaction is on the disk.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agents;
mod apply;
mod error;
mod event;
mod grant;
mod payments;
mod read;
mod refills;
mod reserve;
mod store;
mod verify;

pub use agents::{Agent, NewAgent};
pub use error::LedgerError;
pub use event::{Answer, Delivery, Event, Head, Order};
pub use grant::{Grant, TransactionTerms, TreasuryGrant};
pub use payments::OpenPayment;
pub use read::{
    ApprovalRecord, BookBalance, EventRecord, LastPaid, PaymentFilter, PaymentPage, PaymentRecord,
    Totals, WindowUse,
};
pub use refills::OpenRefill;
pub use reserve::{Approved, Preview, Reserved};
pub use verify::Findings;

use imprest_domain::{Outcome, Reason, Verdict};
use std::path::Path;
use store::Store;

/// One desk's books.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
}

impl Ledger {
    /// Opens the ledger at `path`, making it when it is not there.
    ///
    /// # Errors
    /// [`LedgerError::Unreadable`], [`LedgerError::Newer`] and [`LedgerError::OldSqlite`] name
    /// the file and the way out; nothing is changed in any of these cases.
    pub async fn open(path: &Path) -> Result<Ledger, LedgerError> {
        Ok(Ledger { store: Store::open(path).await? })
    }

    /// Closes the file after everything written is on the disk.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// The log's end.
    pub fn head(&self) -> Head {
        *self.store.head.borrow()
    }

    /// Tells of every commit.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<Head> {
        self.store.head.clone()
    }

    /// The one clock: the system's, but never behind the last event.
    pub fn now(&self) -> jiff::Timestamp {
        let mark = jiff::Timestamp::from_millisecond(self.head().at_ms).unwrap_or_default();
        jiff::Timestamp::now().max(mark)
    }

    /// Lets the file grow to `pages` pages at most, so that a test can run out of disk.
    ///
    /// # Errors
    /// When the write fails.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let sql = format!("PRAGMA max_page_count = {pages}");
                    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx.conn).await?;
                    Ok(())
                })
            })
            .await
    }

    async fn record(&self, event: Event) -> Result<u64, LedgerError> {
        self.store.write(move |tx| Box::pin(async move { tx.append(&event).await })).await
    }
}

/// A verdict that something later than the rules turned into a no.
fn turned_down(mut verdict: Verdict, reason: Reason) -> Verdict {
    verdict.outcome = Outcome::Deny;
    verdict.reasons.insert(0, reason);
    verdict
}

/// A short unique tail for identifiers, ordered by time.
fn fresh_tail() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
