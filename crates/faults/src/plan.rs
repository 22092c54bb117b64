//! What is to fail, when, and for how long; and how often each thing was done.

use crate::dice::Dice;
use libsqlite3_sys as ffi;
use std::ffi::c_int;

/// A kind of operation on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Reading bytes of a file.
    Read,
    /// Writing bytes of a file.
    Write,
    /// Bringing a file's changes to the platter.
    Sync,
    /// Changing a file's length.
    Truncate,
    /// Opening or making a file.
    Open,
    /// Deleting a file.
    Delete,
    /// Taking or asking for a file lock. Giving one back never fails and is not counted.
    Lock,
    /// Mapping the shared memory of the write-ahead log or taking one of its locks. Giving either
    /// back never fails and is not counted.
    Shm,
    /// Asking whether a file is there or how long it is.
    Stat,
}

impl Class {
    /// Every class, in the order of the declaration.
    pub const ALL: [Class; 9] = [
        Class::Read,
        Class::Write,
        Class::Sync,
        Class::Truncate,
        Class::Open,
        Class::Delete,
        Class::Lock,
        Class::Shm,
        Class::Stat,
    ];
}

/// SQLite's word for a failure, one of its extended result codes (<https://sqlite.org/rescode.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(c_int);

impl Code {
    /// `SQLITE_IOERR_READ`
    pub const IOERR_READ: Code = Code(ffi::SQLITE_IOERR_READ);
    /// `SQLITE_IOERR_SHORT_READ`: the file is said to end within the bytes asked for, and the rest
    /// reads as zeros. The one code that SQLite takes for an answer and not for a failure.
    pub const IOERR_SHORT_READ: Code = Code(ffi::SQLITE_IOERR_SHORT_READ);
    /// `SQLITE_IOERR_WRITE`
    pub const IOERR_WRITE: Code = Code(ffi::SQLITE_IOERR_WRITE);
    /// `SQLITE_IOERR_FSYNC`
    pub const IOERR_FSYNC: Code = Code(ffi::SQLITE_IOERR_FSYNC);
    /// `SQLITE_IOERR_DIR_FSYNC`; for a delete, the file is gone all the same, though not durably.
    pub const IOERR_DIR_FSYNC: Code = Code(ffi::SQLITE_IOERR_DIR_FSYNC);
    /// `SQLITE_IOERR_TRUNCATE`
    pub const IOERR_TRUNCATE: Code = Code(ffi::SQLITE_IOERR_TRUNCATE);
    /// `SQLITE_IOERR_DELETE`
    pub const IOERR_DELETE: Code = Code(ffi::SQLITE_IOERR_DELETE);
    /// `SQLITE_IOERR_LOCK`
    pub const IOERR_LOCK: Code = Code(ffi::SQLITE_IOERR_LOCK);
    /// `SQLITE_IOERR_CHECKRESERVEDLOCK`
    pub const IOERR_CHECKRESERVEDLOCK: Code = Code(ffi::SQLITE_IOERR_CHECKRESERVEDLOCK);
    /// `SQLITE_IOERR_SHMMAP`
    pub const IOERR_SHMMAP: Code = Code(ffi::SQLITE_IOERR_SHMMAP);
    /// `SQLITE_IOERR_SHMLOCK`
    pub const IOERR_SHMLOCK: Code = Code(ffi::SQLITE_IOERR_SHMLOCK);
    /// `SQLITE_IOERR_ACCESS`
    pub const IOERR_ACCESS: Code = Code(ffi::SQLITE_IOERR_ACCESS);
    /// `SQLITE_IOERR_FSTAT`
    pub const IOERR_FSTAT: Code = Code(ffi::SQLITE_IOERR_FSTAT);
    /// `SQLITE_IOERR_NOMEM`
    pub const IOERR_NOMEM: Code = Code(ffi::SQLITE_IOERR_NOMEM);
    /// `SQLITE_FULL`
    pub const FULL: Code = Code(ffi::SQLITE_FULL);
    /// `SQLITE_CANTOPEN`
    pub const CANTOPEN: Code = Code(ffi::SQLITE_CANTOPEN);
    /// `SQLITE_BUSY`: another process holds the lock.
    pub const BUSY: Code = Code(ffi::SQLITE_BUSY);
    /// `SQLITE_READONLY`
    pub const READONLY: Code = Code(ffi::SQLITE_READONLY);

    /// The number, as SQLite has it.
    pub fn get(self) -> i32 {
        self.0
    }
}

/// How long a failure lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Once,
    ForEver,
    PowerOff,
}

/// One failure to come: which operation it strikes, what it says and how long it lasts.
///
/// Operations are counted from the moment the plan is given to [`Disk::fail`](crate::Disk::fail).
#[derive(Debug, Clone)]
pub struct Plan {
    class: Option<Class>,
    nth: u64,
    code: Option<Code>,
    lasting: Lasting,
    seed: u64,
}

impl Plan {
    /// The `n`-th operation of any class fails once, with the code usual for what it does. The
    /// first is number 1; 0 is taken for 1.
    pub fn nth(n: u64) -> Plan {
        Plan { class: None, nth: n.max(1), code: None, lasting: Lasting::Once, seed: 0 }
    }

    /// Counts and strikes operations of this class only.
    #[must_use]
    pub fn of(self, class: Class) -> Plan {
        Plan { class: Some(class), ..self }
    }

    /// Answers with this code.
    #[must_use]
    pub fn with(self, code: Code) -> Plan {
        Plan { code: Some(code), ..self }
    }

    /// Strikes the `n`-th operation and each one after it.
    #[must_use]
    pub fn for_ever(self) -> Plan {
        Plan { lasting: Lasting::ForEver, ..self }
    }

    /// Stops the machine at the `n`-th operation: a write, a change of length, a deletion or a new
    /// file is still under way, so that a [`cut`](crate::Disk::cut) may find it or not; a sync
    /// brings nothing to the platter; every later operation of every class fails and changes
    /// nothing at all.
    #[must_use]
    pub fn power_off(self) -> Plan {
        Plan { lasting: Lasting::PowerOff, ..self }
    }

    /// Decides by this seed how much of a failing write or truncate happens.
    #[must_use]
    pub fn seed(self, seed: u64) -> Plan {
        Plan { seed, ..self }
    }
}

/// How many operations of each class were asked for, the failed ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ops {
    counts: [u64; Class::ALL.len()],
    failed: u64,
}

impl Ops {
    /// The operations of one class.
    pub fn of(&self, class: Class) -> u64 {
        self.counts[class as usize]
    }

    /// The operations of all classes together.
    pub fn all(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many of them a [`Plan`] made fail.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// What was done since an earlier count of the same disk.
    #[must_use]
    pub fn since(&self, earlier: &Ops) -> Ops {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Ops { counts, failed: self.failed.saturating_sub(earlier.failed) }
    }
}

/// How an operation is struck.
#[derive(Debug)]
pub(crate) enum Strike {
    /// It fails; the dice say how much of it happens all the same.
    Fail { code: Option<Code>, dice: Dice },
    /// It is the one under way when the power goes.
    PowerGoes,
    /// The power is gone.
    PowerGone,
}

impl Strike {
    /// The code to answer with; `usual` when the plan names none.
    pub(crate) fn code(&self, usual: Code) -> c_int {
        match self {
            Strike::Fail { code, .. } => code.unwrap_or(usual).0,
            Strike::PowerGoes | Strike::PowerGone => usual.0,
        }
    }
}

/// The plans in force and the counts.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    ops: Ops,
    /// Each with the number of operations it has counted.
    active: Vec<(Plan, u64)>,
    power_gone: bool,
}

impl Plans {
    pub(crate) fn add(&mut self, plan: Plan) {
        self.active.push((plan, 0));
    }

    /// Forgets every plan, the power back on.
    pub(crate) fn clear(&mut self) {
        self.active.clear();
        self.power_gone = false;
    }

    pub(crate) fn is_power_gone(&self) -> bool {
        self.power_gone
    }

    pub(crate) fn ops(&self) -> Ops {
        self.ops
    }

    /// Counts one operation, and tells whether and how it is struck.
    pub(crate) fn tick(&mut self, class: Class) -> Option<Strike> {
        self.ops.counts[class as usize] += 1;
        let strike = if self.power_gone { Some(Strike::PowerGone) } else { self.strike(class) };
        if let Some(strike) = &strike {
            self.ops.failed += 1;
            self.power_gone |= matches!(strike, Strike::PowerGoes);
        }
        strike
    }

    fn strike(&mut self, class: Class) -> Option<Strike> {
        let mut strike = None;
        for (plan, counted) in &mut self.active {
            if plan.class.is_some_and(|only| only != class) {
                continue;
            }
            *counted += 1;
            let due = match plan.lasting {
                Lasting::Once | Lasting::PowerOff => *counted == plan.nth,
                Lasting::ForEver => *counted >= plan.nth,
            };
            match plan.lasting {
                // The end of the machine outdoes any other failure of the same operation.
                Lasting::PowerOff if due => strike = Some(Strike::PowerGoes),
                Lasting::Once | Lasting::ForEver if due && strike.is_none() => {
                    let dice = Dice::nth(plan.seed, *counted);
                    strike = Some(Strike::Fail { code: plan.code, dice });
                }
                _ => {}
            }
        }
        strike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `n` operations of this class are struck.
    fn struck(plans: &mut Plans, class: Class, n: u64) -> Vec<u64> {
        (1..=n).filter(|_| plans.tick(class).is_some()).collect()
    }

    #[test]
    fn once_strikes_one_operation_of_its_class() {
        let mut plans = Plans::default();
        plans.add(Plan::nth(3).of(Class::Write));
        assert!(struck(&mut plans, Class::Read, 9).is_empty());
        assert_eq!(struck(&mut plans, Class::Write, 9), [3]);
    }

    #[test]
    fn without_a_class_every_operation_counts() {
        let mut plans = Plans::default();
        plans.add(Plan::nth(4));
        assert!(struck(&mut plans, Class::Read, 3).is_empty());
        assert_eq!(struck(&mut plans, Class::Sync, 3), [1]);
    }

    #[test]
    fn for_ever_strikes_from_there_on_until_it_is_cleared() {
        let mut plans = Plans::default();
        plans.add(Plan::nth(2).of(Class::Sync).for_ever().with(Code::FULL));
        assert_eq!(struck(&mut plans, Class::Sync, 4), [2, 3, 4]);
        assert_eq!(plans.tick(Class::Sync).map(|s| s.code(Code::IOERR_FSYNC)), Some(13));
        plans.clear();
        assert!(struck(&mut plans, Class::Sync, 4).is_empty());
    }

    #[test]
    fn when_the_power_goes_everything_fails() {
        let mut plans = Plans::default();
        plans.add(Plan::nth(2).of(Class::Write).power_off());
        assert!(plans.tick(Class::Write).is_none());
        assert!(matches!(plans.tick(Class::Write), Some(Strike::PowerGoes)));
        for class in Class::ALL {
            assert!(matches!(plans.tick(class), Some(Strike::PowerGone)));
        }
    }

    #[test]
    fn counts_are_kept_for_each_class() {
        let mut plans = Plans::default();
        plans.tick(Class::Open);
        let before = plans.ops();
        plans.add(Plan::nth(1).of(Class::Lock));
        plans.tick(Class::Lock);
        plans.tick(Class::Lock);
        let done = plans.ops().since(&before);
        assert_eq!((done.of(Class::Lock), done.of(Class::Open)), (2, 0));
        assert_eq!((done.all(), done.failed(), plans.ops().all()), (2, 1, 3));
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }
}
