//! When the vault and the window lock themselves: a setting that gives authority when it is
//! loosened, and so stands in the log and not in a file that anybody can edit.

use crate::Ledger;
use crate::books::Books;
use crate::cell::Json;
use crate::error::LedgerError;
use crate::event::Event;
use crate::rows::DeskRow;
use crate::store::Tx;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The form of the events that set locks.
const VERSION: u32 = 1;
/// How long nobody has to touch the window before it locks, unless the owner chose otherwise.
const WINDOW_IDLE_MIN: u32 = 15;

/// The longest and the shortest that a lock may wait, in minutes: none at all would lock faster than
/// its owner can open it again to change that.
pub const LOCK_MINUTES: RangeInclusive<u32> = 1..=7 * 24 * 60;

/// When vault and window lock themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Locks {
    /// After so many minutes without a signature the vault locks. Not by itself when absent: the
    /// usual, because agents work while their owner is away.
    pub signing_idle_min: Option<u32>,
    /// After so many minutes in which nobody touched the window it locks.
    pub window_idle_min: Option<u32>,
    /// Whether the vault locks with the desktop session.
    pub with_session: bool,
}

impl Default for Locks {
    fn default() -> Locks {
        Locks { signing_idle_min: None, window_idle_min: Some(WINDOW_IDLE_MIN), with_session: true }
    }
}

impl Locks {
    /// Whether anything stays open for longer than before.
    pub fn keeps_open_longer_than(self, before: Locks) -> bool {
        self.stricter(before) != self
    }

    /// The same with every wait within [`LOCK_MINUTES`].
    #[must_use]
    fn bounded(self) -> Locks {
        let bounded = |minutes: u32| minutes.clamp(*LOCK_MINUTES.start(), *LOCK_MINUTES.end());
        Locks {
            signing_idle_min: self.signing_idle_min.map(bounded),
            window_idle_min: self.window_idle_min.map(bounded),
            ..self
        }
    }

    /// The earlier lock of each pair.
    #[must_use]
    pub fn stricter(self, other: Locks) -> Locks {
        let sooner = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Locks {
            signing_idle_min: sooner(self.signing_idle_min, other.signing_idle_min),
            window_idle_min: sooner(self.window_idle_min, other.window_idle_min),
            with_session: self.with_session || other.with_session,
        }
    }
}

impl Ledger {
    /// When vault and window lock themselves; the usual where the owner never said.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn locks(&self) -> Result<Locks, LedgerError> {
        Ok(self.locks_said().await?.unwrap_or_default())
    }

    /// The same, if the log says anything about it.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn locks_said(&self) -> Result<Option<Locks>, LedgerError> {
        let found: Option<Option<String>> = sqlx::query_scalar("SELECT locks FROM desk")
            .fetch_optional(&self.store.readers)
            .await?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| LedgerError::damaged(error.to_string()))
        };
        found.flatten().map(read).transpose()
    }

    /// Sets when vault and window lock themselves. What locks sooner than before is written whether
    /// or not the vault is open; anything that stays open for longer takes it.
    ///
    /// # Errors
    /// [`LedgerError::Locked`], or a failed write.
    pub async fn set_locks(&self, locks: Locks) -> Result<(), LedgerError> {
        self.store.write(move |tx| set(tx, locks)).await
    }
}

fn set(tx: &mut Tx<'_>, locks: Locks) -> Result<(), LedgerError> {
    let (before, locks) = (tx.books.locks()?, locks.bounded());
    if locks == before {
        return Ok(());
    }
    let event = match locks.keeps_open_longer_than(before) {
        true => Event::LocksSet { version: VERSION, locks },
        false => Event::LocksTightened { version: VERSION, locks },
    };
    tx.append(event).map(|_| ())
}

impl Books {
    fn locks(&mut self) -> Result<Locks, LedgerError> {
        Ok(self.desk()?.locks.map(|locks| locks.0).unwrap_or_default())
    }

    /// Sets when vault and window lock themselves.
    pub(crate) fn set_locks(&mut self, version: u32, locks: Locks) -> Result<(), LedgerError> {
        if version != VERSION {
            return Err(LedgerError::damaged("locks in a form that this program does not know"));
        }
        let desk = self.desk()?;
        // Whoever wrote the event, the owner must stay able to change it.
        self.put(DeskRow { locks: Some(Json(locks.bounded())), ..desk });
        Ok(())
    }

    /// Sets them where they lock sooner: such an event is written without the vault, so it must not
    /// be able to do more, whoever wrote it.
    pub(crate) fn tighten_locks(&mut self, version: u32, locks: Locks) -> Result<(), LedgerError> {
        let before = self.locks()?;
        self.set_locks(version, locks.stricter(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(signing: Option<u32>, window: Option<u32>, session: bool) -> Locks {
        Locks { signing_idle_min: signing, window_idle_min: window, with_session: session }
    }

    #[test]
    fn longer_is_what_stays_open_longer() {
        let usual = Locks::default();
        for (locks, longer) in [
            (usual, false),
            (with(Some(60), Some(15), true), false),
            (with(Some(60), Some(5), true), false),
            (with(None, Some(16), true), true),
            (with(None, None, true), true),
            (with(None, Some(15), false), true),
        ] {
            assert_eq!(locks.keeps_open_longer_than(usual), longer, "{locks:?}");
        }
        let strict = with(Some(5), Some(5), true);
        assert!(usual.keeps_open_longer_than(strict));
        assert!(with(Some(6), Some(5), true).keeps_open_longer_than(strict));
        // One that locks sooner here and later there stays open for longer.
        assert!(with(Some(1), Some(6), true).keeps_open_longer_than(strict));
    }

    #[test]
    fn no_wait_is_too_short_to_be_changed_again() {
        let zero = with(Some(0), Some(u32::MAX), true).bounded();
        assert_eq!(zero, with(Some(1), Some(10_080), true));
        assert_eq!(with(None, None, false).bounded(), with(None, None, false));
        let mut books = Books::empty();
        books.tighten_locks(VERSION, with(Some(0), Some(0), true)).unwrap();
        assert_eq!(books.locks().unwrap(), with(Some(1), Some(1), true));
    }

    #[test]
    fn stricter_is_the_sooner_of_each() {
        let (a, b) = (with(Some(9), None, false), with(None, Some(3), true));
        for both in [a.stricter(b), b.stricter(a)] {
            assert_eq!(both, with(Some(9), Some(3), true));
        }
    }
}
