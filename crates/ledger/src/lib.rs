//! The books: one event log, its projections, and the only maker of a [`Grant`].
//!
//! Every change is an event, appended and hash-chained by the one writer; every table that
//! answers a question is what the log adds up to. A decision, its counters, its hold and its
//! event are one transaction, and a [`Grant`] exists only after that transaction is on the disk.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agents;
mod apply;
mod books;
mod cancels;
mod cell;
mod clock;
mod error;
mod event;
mod facts;
mod found;
mod grant;
mod head;
mod kept;
mod later;
mod locks;
mod migrate;
mod nodes;
mod payees;
mod payments;
mod proof;
mod read;
mod refills;
mod reserve;
mod restored;
mod rows;
mod seal;
mod search;
mod shared;
mod signals;
mod sound;
mod store;
mod sweeps;
mod table;
mod verify;
mod walk;

pub use agents::{Agent, NewAgent};
pub use clock::{CLOCK_TOLERANCE, Clock};
pub use error::LedgerError;
pub use event::{
    Answer, Carried, Delivery, Event, GasCounted, GasTerms, Head, HourSet, Later, Order,
    SharedHold, SignalAnswer,
};
pub use facts::Alarm;
pub use found::{FoundSpend, StrangerSpend};
pub use grant::{CancelGrant, Grant, SweepGrant, TransactionTerms, TreasuryGrant};
pub use locks::{LOCK_MINUTES, Locks};
pub use nodes::{NODE_BYTES_MAX, NODES_MAX, Nodes};
pub use payees::{ItemPrices, PAYEES_MAX, PayeeAddress, PayeeRecord};
pub use payments::{OpenPayment, SettledPayment};
pub use read::{
    ApprovalRecord, BookBalance, COUNT_MAX, EventRecord, LastPaid, PaymentFilter, PaymentPage,
    PaymentRecord, Totals, WindowUse,
};
pub use refills::OpenRefill;
pub use reserve::{Approved, Preview, Reserved};
pub use restored::{Restored, mark_copy};
pub use seal::SealKey;
pub use shared::SharedBudget;
pub use signals::SignalRecord;
pub use store::OpenOptions;
pub use sweeps::OpenSweep;
pub use verify::{Findings, HeadCopy};

use imprest_domain::{Outcome, PaymentId, Reason, Verdict};
use jiff::Timestamp;
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
        Ledger::open_with(path, OpenOptions::default()).await
    }

    /// Opens the ledger with a clock, or a file layer, of one's own.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub async fn open_with(path: &Path, options: OpenOptions) -> Result<Ledger, LedgerError> {
        Ok(Ledger { store: Store::open(path, options).await? })
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
    pub fn now(&self) -> Timestamp {
        self.store.clock.now_after(&self.head()).0
    }

    /// By how much the system's clock stands behind the books', when that is more than
    /// [`CLOCK_TOLERANCE`]; nothing is held or signed meanwhile.
    pub fn clock_behind(&self) -> Option<jiff::SignedDuration> {
        let head = self.head();
        let (now, behind) = self.store.clock.now_after(&head);
        behind.then(|| now.duration_since(self.store.clock.system()))
    }

    /// The owner says that the system's clock is right and the books' was ahead: time goes on
    /// from there. Windows that lie ahead stay as spent as they are, the rolling hours hold again
    /// what the jump pushed out of them, and questions that were asked ahead of the clock lapse.
    /// The payments of those questions come back.
    ///
    /// # Errors
    /// [`LedgerError::ClockAgrees`] when it is not behind, [`LedgerError::Locked`], or a failed
    /// write.
    pub async fn accept_clock(&self) -> Result<Vec<PaymentId>, LedgerError> {
        let to = self.store.clock.system();
        self.store.write(move |tx| clock::accept(tx, to)).await
    }

    /// Lets the file grow to `pages` pages at most, so that a test can run out of disk.
    ///
    /// # Errors
    /// When the write fails.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                tx.file()?.pragma_update(None, "max_page_count", pages)?;
                Ok(())
            })
            .await
    }

    async fn record(&self, event: Event) -> Result<u64, LedgerError> {
        self.store.write(move |tx| tx.append(event)).await
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
