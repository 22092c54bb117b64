//! Books that came out of a backup: a state that stands in the log itself, from the copy in the
//! backup on, until the chain was read and the owner has thawed the desk.
//!
//! The event that says so is the last one of every copy that goes into a backup, under the vault's
//! seal. Whoever takes it away takes away what was sealed; whoever writes what ends the wait has the
//! vault's key.

use crate::apply::{Place, misplaced};
use crate::books::Books;
use crate::cell::Json;
use crate::clock::Clock;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use crate::rows::{DeskRow, StrangerRow};
use crate::seal::SealKey;
use crate::store::{Tx, write_alone};
use crate::{Ledger, verify};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The form of the events about a restore.
const VERSION: u32 = 1;

/// How far books are that came out of a backup; kept until the owner thaws the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// When the backup was made, milliseconds since 1970: what was spent since is only known to the
    /// chain.
    made_ms: i64,
    /// From when on the wait for signatures counts, milliseconds since 1970: when the chain was
    /// first asked, by its own clock or the books', whichever is later.
    waits_from_ms: Option<i64>,
    /// The block up to which the chain was read, once nothing more can come from before.
    read_to: Option<u64>,
}

impl Restored {
    /// When the backup was made.
    pub fn made_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.made_ms).unwrap_or_default()
    }

    /// From when on the wait for signatures counts, once the chain was asked.
    pub fn waits_from(&self) -> Option<Timestamp> {
        self.waits_from_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
    }

    /// The block up to which the chain was read, once that is enough.
    pub fn read_to(&self) -> Option<u64> {
        self.read_to
    }

    /// Whether the chain may know of something that the books do not.
    pub fn is_pending(&self) -> bool {
        self.read_to.is_none()
    }

    /// Whether a search of the chain up to a finalised block of the time `finalized` finds all that
    /// was spent before the restore.
    ///
    /// A signature that was made after the backup and has not been used yet is in no book and on no
    /// chain, and can still be spent until its end. `validity` is the longest time that a signature
    /// of this desk is good for, with the margin for clocks that differ.
    pub fn is_all_on_chain(&self, finalized: Timestamp, validity: SignedDuration) -> bool {
        self.waits_from().is_some_and(|from| finalized.duration_since(from) > validity)
    }
}

impl Ledger {
    /// How far these books are, if they came out of a backup and the owner has not thawed the desk
    /// since.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn restored(&self) -> Result<Option<Restored>, LedgerError> {
        let found: Option<Option<String>> = sqlx::query_scalar("SELECT restored FROM desk")
            .fetch_optional(&self.store.readers)
            .await?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| LedgerError::damaged(error.to_string()))
        };
        found.flatten().map(read).transpose()
    }

    /// How many accounts of this vault that no agent here has were seen to spend.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn strangers(&self) -> Result<u64, LedgerError> {
        let found: i64 = sqlx::query_scalar("SELECT count(DISTINCT account) FROM strangers")
            .fetch_one(&self.store.readers)
            .await?;
        Ok(found.unsigned_abs())
    }

    /// Whether the event of this number says that the log up to it came out of a backup.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn is_from_backup_at(&self, seq: u64) -> Result<bool, LedgerError> {
        let kind: Option<String> = sqlx::query_scalar("SELECT kind FROM events WHERE seq = ?")
            .bind(i64::try_from(seq).unwrap_or(i64::MAX))
            .fetch_optional(&self.store.readers)
            .await?;
        Ok(kind.as_deref() == Some("from_backup"))
    }

    /// Writes down that these books came out of a backup: for one that does not say so itself. They
    /// are taken to be as old as their last event. It only takes authority, so it needs no open vault.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn came_from_backup(&self) -> Result<(), LedgerError> {
        self.store
            .write(|tx| {
                let made_at = Timestamp::from_millisecond(tx.head.at_ms).unwrap_or_default();
                tx.append(Event::FromBackup { version: VERSION, made_at }).map(|_| ())
            })
            .await
    }

    /// Writes down that the chain was asked for the first time since the restore, and answers from
    /// when on the wait counts. Asked before is no error.
    ///
    /// # Errors
    /// [`LedgerError::Locked`]: a time that anybody could write would end the wait early. Or a
    /// failed write.
    pub async fn restore_seen(&self, chain_at: Timestamp) -> Result<Restored, LedgerError> {
        self.store
            .write(move |tx| {
                if pending(tx)?.waits_from_ms.is_none() {
                    tx.append(Event::RestoreSeen { version: VERSION, chain_at })?;
                }
                pending(tx)
            })
            .await
    }

    /// Ends the wait: everything is in the books that the chain knows up to `block`, and `account`
    /// is the last account index of this vault that was ever used on it. The desk stays frozen.
    ///
    /// # Errors
    /// [`LedgerError::Locked`], or a failed write.
    pub async fn reconciled(&self, block: u64, account: u32) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                pending(tx)?;
                tx.append(Event::Reconciled { version: VERSION, block, account }).map(|_| ())
            })
            .await
    }
}

/// The state of books that are waiting for the chain.
fn pending(tx: &mut Tx<'_>) -> Result<Restored, LedgerError> {
    tx.books.awaited()
}

/// Refuses what has to wait until the chain was read.
pub(crate) fn refuse_unreconciled(desk: &DeskRow) -> Result<(), LedgerError> {
    match &desk.restored {
        Some(Json(restored)) if restored.is_pending() => Err(LedgerError::Unreconciled),
        _ => Ok(()),
    }
}

/// Ends a copy of a ledger, which no desk has open, with the event that says what it is, and
/// answers the copy's head. With the vault's key the event is under the seal, after that was checked.
///
/// # Errors
/// [`LedgerError::Forged`] when the seal in the copy is not the vault's, or a failed write.
pub fn mark_copy(
    copy: &Path,
    key: Option<SealKey>,
    made_at: Timestamp,
) -> Result<Head, LedgerError> {
    write_alone(copy, Clock::new(move || made_at), move |tx| {
        if let Some(key) = key {
            verify::take_key(tx, key, false)?;
        }
        tx.append(Event::FromBackup { version: VERSION, made_at }).map(|_| ())
    })
}

impl Books {
    /// The state of books out of a backup that wait for the chain.
    fn awaited(&mut self) -> Result<Restored, LedgerError> {
        match self.desk()?.restored {
            Some(Json(restored)) if restored.is_pending() => Ok(restored),
            _ => Err(LedgerError::damaged("the end of a wait that had not begun")),
        }
    }

    /// Stops all payments.
    pub(crate) fn freeze(&mut self) -> Result<(), LedgerError> {
        let desk = self.desk()?;
        self.put(DeskRow { frozen: true, ..desk });
        Ok(())
    }

    /// Lets them go on, and with that ends what a restore began.
    pub(crate) fn thaw(&mut self) -> Result<(), LedgerError> {
        let desk = self.desk()?;
        refuse_unreconciled(&desk)?;
        self.put(DeskRow { frozen: false, restored: None, ..desk });
        Ok(())
    }

    /// What events about a restore do.
    pub(crate) fn apply_to_restored(
        &mut self,
        event: Event,
        place: Place,
    ) -> Result<(), LedgerError> {
        match event {
            Event::FromBackup { version, made_at } => {
                known(version)?;
                self.come_from_backup(made_at.as_millisecond().min(place.at_ms))
            }
            Event::RestoreSeen { version, chain_at } => {
                known(version)?;
                // A chain that lags, or lies, does not shorten the wait; nor does a slow clock here.
                let from = chain_at.as_millisecond().max(place.at_ms);
                let restored = Restored { waits_from_ms: Some(from), ..self.awaited()? };
                self.put_restored(restored)
            }
            Event::Reconciled { version, block, account } => {
                known(version)?;
                let restored = Restored { read_to: Some(block), ..self.awaited()? };
                self.put_restored(restored)?;
                let desk = self.desk()?;
                self.put(DeskRow { account: desk.account.max(account), ..desk });
                Ok(())
            }
            Event::StrangerSpent { account, value, transaction, log_index, shared, .. } => {
                self.put(StrangerRow { tx: transaction, log_index, account });
                shared
                    .iter()
                    .try_for_each(|hold| self.count_spent(hold.shared.as_str(), &hold.spans, value))
            }
            _ => Err(misplaced()),
        }
    }

    /// Frozen, and as old as the oldest backup whose chain was never read.
    fn come_from_backup(&mut self, made_ms: i64) -> Result<(), LedgerError> {
        let desk = self.desk()?;
        let before = desk.restored.as_ref().filter(|before| before.0.is_pending());
        let made_ms = before.map_or(made_ms, |before| before.0.made_ms.min(made_ms));
        let restored = Some(Json(Restored { made_ms, waits_from_ms: None, read_to: None }));
        self.put(DeskRow { frozen: true, restored, ..desk });
        Ok(())
    }

    fn put_restored(&mut self, restored: Restored) -> Result<(), LedgerError> {
        let desk = self.desk()?;
        self.put(DeskRow { restored: Some(Json(restored)), ..desk });
        Ok(())
    }
}

fn known(version: u32) -> Result<(), LedgerError> {
    match version {
        VERSION => Ok(()),
        _ => Err(LedgerError::damaged("a restore in a form that this program does not know")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_is_not_known_is_not_guessed_at() {
        let mut books = Books::empty();
        let place = Place { seq: 1, at_ms: 0 };
        let made_at = Timestamp::UNIX_EPOCH;
        for version in [0, VERSION + 1] {
            let event = Event::FromBackup { version, made_at };
            assert!(books.apply_to_restored(event, place).is_err(), "{version}");
        }
        let event = Event::FromBackup { version: VERSION, made_at };
        assert!(books.apply_to_restored(event, place).is_ok());
        let event = Event::RestoreSeen { version: VERSION + 1, chain_at: made_at };
        assert!(books.apply_to_restored(event, place).is_err());
    }
}
