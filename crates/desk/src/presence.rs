//! Whether the owner is here. What raises authority asks; what lowers it never does.
//!
//! Two things are kept apart. *Presence* is a passphrase given less than two minutes ago, and what
//! raising acts ask for. *The window's lock* closes when nobody has touched the window for a while:
//! then nothing in it raises, approves, exports or reveals, while agents go on being served. The
//! vault's own lock, which stops all signing, is a third thing and lives in `locks.rs`.

use crate::desk::{Desk, Inner};
use crate::view::{DeskStatus, Problem};
use imprest_domain::Budget;
use imprest_vault::{Presence, SecretText, Vault, VaultError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

tokio::task_local! {
    /// Set while a command from outside the window is carried out: the presence by the passphrase
    /// that came with that very command, if one did. It ends with the command, and what was given in
    /// the window is not for others.
    static OUTSIDE: Option<Arc<Presence>>;
}

/// Carries out a command that came from outside the window.
pub(crate) async fn from_outside<F: Future>(presence: Option<Presence>, command: F) -> F::Output {
    OUTSIDE.scope(presence.map(Arc::new), command).await
}

fn is_outside() -> bool {
    OUTSIDE.try_with(|_| ()).is_ok()
}

/// What is known of the owner's being here.
pub(crate) struct Attendance {
    presence: Mutex<Option<Arc<Presence>>>,
    window: Mutex<WindowLock>,
}

/// The window's lock. It stays closed until the passphrase is given.
#[derive(Debug, Clone, Copy)]
struct WindowLock {
    touched: Instant,
    closed: bool,
}

impl WindowLock {
    /// Closed by hand, or because nobody touched the window for so long.
    fn is_closed(self, after: Option<Duration>, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.touched);
        self.closed || after.is_some_and(|after| idle >= after)
    }
}

impl Default for Attendance {
    fn default() -> Attendance {
        let window = WindowLock { touched: Instant::now(), closed: false };
        Attendance { presence: Mutex::default(), window: Mutex::new(window) }
    }
}

impl Inner {
    /// The owner was at the window at this moment. A passphrase that a command brings from elsewhere
    /// opens nothing here: it counts for that command.
    pub(crate) fn note_presence(&self, presence: Presence) {
        if is_outside() {
            return;
        }
        let now = Instant::now();
        *self.attendance.presence.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(presence));
        *self.attendance.window.lock().unwrap_or_else(PoisonError::into_inner) =
            WindowLock { touched: now, closed: false };
    }

    /// Ends the owner's presence and closes the window's lock.
    pub(crate) fn end_presence(&self) {
        *self.attendance.presence.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.attendance.window.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }

    /// For how long raising acts still go through without the passphrase.
    pub(crate) fn presence_left(&self) -> Duration {
        let presence = self.attendance.presence.lock().unwrap_or_else(PoisonError::into_inner);
        presence.as_ref().map_or(Duration::ZERO, |presence| presence.left(Instant::now()))
    }

    /// Whether the window's lock is closed.
    pub(crate) fn window_is_locked(&self) -> bool {
        let window = *self.attendance.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.is_closed(self.window_after(), Instant::now())
    }

    /// Lets an act go on that gives authority, and answers the presence that it goes on by.
    pub(crate) fn need_presence(&self) -> Result<Arc<Presence>, Problem> {
        self.lock_if_slept();
        let vault = self.open_vault()?;
        let presence = OUTSIDE.try_with(Clone::clone).unwrap_or_else(|_| self.at_the_window());
        let presence = presence.ok_or(VaultError::OwnerNotPresent)?;
        vault.require(&presence, Instant::now())?;
        Ok(presence)
    }

    fn at_the_window(&self) -> Option<Arc<Presence>> {
        self.attendance.presence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets an act go on that stays within limits the owner has set, such as a yes to one payment:
    /// an open window is enough, and outside the window the passphrase.
    pub(crate) fn need_attention(&self) -> Result<(), Problem> {
        self.lock_if_slept();
        match !is_outside() && !self.window_is_locked() {
            true => Ok(()),
            false => self.need_presence().map(drop),
        }
    }

    /// Lets a change of limits go on: more than before needs the owner, less never does.
    pub(crate) fn may_set(&self, budget: &Budget, before: &Budget) -> Result<(), Problem> {
        if budget.gives_more_than(before) { self.need_presence().map(drop) } else { Ok(()) }
    }

    fn open_vault(&self) -> Result<Arc<Vault>, Problem> {
        let vault = self.need_vault()?;
        if vault.is_unlocked() { Ok(vault) } else { Err(VaultError::Locked.into()) }
    }
}

impl Desk {
    /// Takes the owner's passphrase as a sign that the owner is here: for two minutes what raises
    /// authority goes through without it.
    ///
    /// # Errors
    /// `wrong_passphrase`, `keychain` when the vault's keychain does not answer, or `no_vault`.
    pub async fn confirm(&self, passphrase: String) -> Result<DeskStatus, Problem> {
        self.owner_key(&SecretText::new(passphrase)).await?;
        self.inner.changed(&["status"]);
        self.status().await
    }

    /// Ends the owner's presence and locks the window; agents go on being served.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn leave(&self) -> Result<DeskStatus, Problem> {
        self.inner.end_presence();
        self.inner.changed(&["status"]);
        self.status().await
    }

    /// Says that somebody moved the pointer or typed in the window. It opens nothing.
    ///
    /// # Errors
    /// Never.
    pub async fn here(&self) -> Result<bool, Problem> {
        let inner = &self.inner;
        let locked = inner.window_is_locked();
        // Only the window can tell; a program outside it would keep it open.
        if !locked && !is_outside() {
            let mut window = inner.attendance.window.lock().unwrap_or_else(PoisonError::into_inner);
            window.touched = Instant::now();
        }
        Ok(!locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_nobody_touches_locks_and_stays_locked() {
        let start = Instant::now();
        let window = WindowLock { touched: start, closed: false };
        let after = Some(Duration::from_secs(900));
        assert!(!window.is_closed(after, start));
        assert!(!window.is_closed(after, start + Duration::from_secs(899)));
        assert!(window.is_closed(after, start + Duration::from_secs(900)));
        assert!(!window.is_closed(None, start + Duration::from_secs(1_000_000)));
        let closed = WindowLock { closed: true, ..window };
        assert!(closed.is_closed(None, start) && closed.is_closed(after, start));
    }
}
