//! Who may do what: SQLite's five-step file lock, and the eight locks of a write-ahead log.

use libsqlite3_sys as ffi;
use std::collections::BTreeMap;
use std::ffi::c_int;

/// One open file of one connection.
pub(crate) type HandleId = u64;

/// Someone else holds what was asked for; the answer is `SQLITE_BUSY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// The lock on one file: `NONE`, `SHARED`, `RESERVED`, `PENDING` or `EXCLUSIVE` for each handle
/// (<https://sqlite.org/lockingv3.html>).
#[derive(Debug, Clone, Default)]
pub(crate) struct FileLock {
    held: BTreeMap<HandleId, c_int>,
}

impl FileLock {
    /// Raises a handle's lock to `level`; asking for less than it has changes nothing.
    pub(crate) fn lock(&mut self, who: HandleId, level: c_int) -> Result<(), Busy> {
        let own = self.level(who);
        if own >= level {
            return Ok(());
        }
        let others = self.held.iter().filter(|(id, _)| **id != who).map(|(_, level)| *level);
        let highest = others.max().unwrap_or(ffi::SQLITE_LOCK_NONE);
        if level == ffi::SQLITE_LOCK_SHARED {
            if highest >= ffi::SQLITE_LOCK_PENDING {
                return Err(Busy);
            }
        } else if highest > ffi::SQLITE_LOCK_SHARED {
            return Err(Busy);
        } else if level == ffi::SQLITE_LOCK_EXCLUSIVE && highest == ffi::SQLITE_LOCK_SHARED {
            // No new reader comes in from here on; the ones inside are waited for.
            self.held.insert(who, ffi::SQLITE_LOCK_PENDING);
            return Err(Busy);
        }
        self.held.insert(who, level);
        Ok(())
    }

    /// Lowers a handle's lock to `level`.
    pub(crate) fn unlock(&mut self, who: HandleId, level: c_int) {
        if level == ffi::SQLITE_LOCK_NONE {
            self.held.remove(&who);
        } else if self.level(who) > level {
            self.held.insert(who, level);
        }
    }

    /// Whether any handle means to write.
    pub(crate) fn is_reserved(&self) -> bool {
        self.held.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED)
    }

    fn level(&self, who: HandleId) -> c_int {
        self.held.get(&who).copied().unwrap_or(ffi::SQLITE_LOCK_NONE)
    }
}

/// Which of the eight locks one handle holds, one bit for each.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    shared: u8,
    exclusive: u8,
}

/// The eight locks that go with the shared memory of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShmLocks {
    users: BTreeMap<HandleId, Masks>,
}

impl ShmLocks {
    /// Lets a handle take part.
    pub(crate) fn enter(&mut self, who: HandleId) {
        self.users.entry(who).or_default();
    }

    /// Gives back all that a handle holds; tells whether it was the last.
    pub(crate) fn leave(&mut self, who: HandleId) -> bool {
        self.users.remove(&who);
        self.users.is_empty()
    }

    pub(crate) fn is_user(&self, who: HandleId) -> bool {
        self.users.contains_key(&who)
    }

    /// Takes the locks of `mask` for readers or for one alone.
    pub(crate) fn lock(&mut self, who: HandleId, mask: u8, exclusive: bool) -> Result<(), Busy> {
        let taken = |other: &Masks| {
            let by_other = if exclusive { other.shared | other.exclusive } else { other.exclusive };
            by_other & mask != 0
        };
        if self.users.iter().any(|(id, other)| *id != who && taken(other)) {
            return Err(Busy);
        }
        let own = self.users.entry(who).or_default();
        if exclusive {
            own.exclusive |= mask;
        } else {
            own.shared |= mask;
        }
        Ok(())
    }

    /// Gives the locks of `mask` back.
    pub(crate) fn unlock(&mut self, who: HandleId, mask: u8) {
        if let Some(own) = self.users.get_mut(&who) {
            own.shared &= !mask;
            own.exclusive &= !mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffi::{
        SQLITE_LOCK_EXCLUSIVE as EXCLUSIVE, SQLITE_LOCK_NONE as NONE,
        SQLITE_LOCK_PENDING as PENDING, SQLITE_LOCK_RESERVED as RESERVED,
        SQLITE_LOCK_SHARED as SHARED,
    };

    #[test]
    fn readers_share_and_one_may_mean_to_write() {
        let mut lock = FileLock::default();
        assert_eq!(lock.lock(1, SHARED), Ok(()));
        assert_eq!(lock.lock(2, SHARED), Ok(()));
        assert_eq!(lock.lock(1, RESERVED), Ok(()));
        assert!(lock.is_reserved());
        assert_eq!(lock.lock(2, RESERVED), Err(Busy));
        assert_eq!(lock.lock(2, EXCLUSIVE), Err(Busy));
        assert_eq!(lock.lock(3, SHARED), Ok(()), "readers still come in");
    }

    #[test]
    fn a_writer_waits_for_readers_and_lets_no_new_one_in() {
        let mut lock = FileLock::default();
        for who in [1, 2] {
            assert_eq!(lock.lock(who, SHARED), Ok(()));
        }
        assert_eq!(lock.lock(1, RESERVED), Ok(()));
        assert_eq!(lock.lock(1, EXCLUSIVE), Err(Busy));
        assert_eq!(lock.level(1), PENDING);
        assert_eq!(lock.lock(3, SHARED), Err(Busy));
        lock.unlock(2, NONE);
        assert_eq!(lock.lock(1, EXCLUSIVE), Ok(()));
        assert_eq!(lock.lock(2, SHARED), Err(Busy));
        lock.unlock(1, SHARED);
        assert_eq!(lock.lock(2, SHARED), Ok(()));
        assert!(!lock.is_reserved());
    }

    #[test]
    fn shared_memory_locks_exclude_each_other_place_by_place() {
        let mut locks = ShmLocks::default();
        for who in [1, 2] {
            locks.enter(who);
            assert_eq!(locks.lock(who, 0b1000, false), Ok(()));
        }
        assert_eq!(locks.lock(1, 0b1000, true), Err(Busy));
        assert_eq!(locks.lock(1, 0b0001, true), Ok(()));
        assert_eq!(locks.lock(2, 0b0001, true), Err(Busy));
        assert_eq!(locks.lock(2, 0b0011, false), Err(Busy));
        locks.unlock(1, 0b0001);
        assert_eq!(locks.lock(2, 0b0011, true), Ok(()));
        assert!(!locks.leave(2));
        assert_eq!(locks.lock(1, 0b0011, true), Ok(()));
        assert!(locks.is_user(1) && !locks.is_user(2));
        assert!(locks.leave(1));
    }
}
