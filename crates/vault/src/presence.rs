//! That the owner was here a moment ago.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Proof that the owner gave a passphrase or the words a moment ago, which acts that raise
/// authority ask for: raising a limit or a grade, exporting a key, changing networks, revealing
/// the words. Only [`Vault::verify_owner`] makes one.
///
/// It lasts two minutes and is void as soon as the vault is locked. It cannot be made elsewhere,
/// nor copied:
///
/// ```compile_fail,E0451
/// fn forge(real: imprest_vault::Presence) -> imprest_vault::Presence {
///     imprest_vault::Presence { until: std::time::Instant::now(), ..real }
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn copy(real: &imprest_vault::Presence) -> imprest_vault::Presence {
///     imprest_vault::Presence::clone(real)
/// }
/// ```
///
/// [`Vault::verify_owner`]: crate::Vault::verify_owner
pub struct Presence {
    /// The vault's count of locks, shared with it.
    locks: Arc<AtomicU64>,
    locks_seen: u64,
    from: Instant,
    until: Instant,
}

impl Presence {
    /// How long it lasts.
    pub const WINDOW: Duration = Duration::from_secs(120);

    pub(crate) fn new(locks: &Arc<AtomicU64>, locks_seen: u64, now: Instant) -> Self {
        // An end past what the clock can say is an end now: silence means no.
        let until = now.checked_add(Self::WINDOW).unwrap_or(now);
        Self { locks: locks.clone(), locks_seen, from: now, until }
    }

    /// Whether it still counts at `now`. The system's steady clock may stand still while the
    /// machine sleeps; locking on suspend, which voids it, is the desk's part.
    pub fn is_current(&self, now: Instant) -> bool {
        !self.left(now).is_zero()
    }

    /// How long it still counts, for the window to show; nothing once it is void.
    pub fn left(&self, now: Instant) -> Duration {
        let unlocked_since = self.locks.load(Ordering::SeqCst) == self.locks_seen;
        if unlocked_since && now >= self.from {
            self.until.saturating_duration_since(now)
        } else {
            Duration::ZERO
        }
    }

    /// Whether it was given at the vault that counts locks here.
    pub(crate) fn is_of(&self, locks: &Arc<AtomicU64>) -> bool {
        Arc::ptr_eq(&self.locks, locks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_two_minutes_and_no_lock() {
        let locks = Arc::new(AtomicU64::new(3));
        let now = Instant::now();
        let presence = Presence::new(&locks, 3, now);
        assert!(presence.is_current(now));
        assert!(presence.is_current(now + Duration::from_secs(119)));
        assert_eq!(presence.left(now + Duration::from_secs(100)), Duration::from_secs(20));
        assert!(!presence.is_current(now + Presence::WINDOW));
        assert!(!presence.is_current(now - Duration::from_secs(1)), "before it was given");
        locks.fetch_add(1, Ordering::SeqCst);
        assert!(!presence.is_current(now));
    }

    #[test]
    fn a_lock_while_the_passphrase_was_stretched_voids_it() {
        let locks = Arc::new(AtomicU64::new(4));
        let now = Instant::now();
        assert!(!Presence::new(&locks, 3, now).is_current(now));
    }

    #[test]
    fn it_belongs_to_one_vault() {
        let locks = Arc::new(AtomicU64::new(0));
        let presence = Presence::new(&locks, 0, Instant::now());
        assert!(presence.is_of(&locks));
        assert!(!presence.is_of(&Arc::new(AtomicU64::new(0))));
    }
}
