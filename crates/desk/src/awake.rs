//! Whether the computer slept. The clock by which waiting is measured stands still meanwhile, so
//! it is compared with one that does not; where the two come apart, time has passed unseen.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// By how much the two may come apart between two looks: both are read one after the other.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Two clocks read at one moment, each from a beginning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoClocks {
    /// Time in which the computer was awake.
    pub awake: Duration,
    /// All time, sleep included.
    pub all: Duration,
}

/// Where the two clocks are read.
#[derive(Clone)]
pub struct SleepClock(Arc<dyn Fn() -> TwoClocks + Send + Sync>);

impl SleepClock {
    /// Clocks of one's own, for tests that send the computer to sleep.
    pub fn new(read: impl Fn() -> TwoClocks + Send + Sync + 'static) -> SleepClock {
        SleepClock(Arc::new(read))
    }
}

impl fmt::Debug for SleepClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SleepClock")
    }
}

/// Linux counts sleep in a clock that nobody can set.
#[cfg(target_os = "linux")]
impl Default for SleepClock {
    fn default() -> SleepClock {
        use rustix::time::{ClockId, clock_gettime};
        let read = |clock| {
            let at = clock_gettime(clock);
            let (s, ns) = (u64::try_from(at.tv_sec), u32::try_from(at.tv_nsec));
            Duration::new(s.unwrap_or_default(), ns.unwrap_or_default())
        };
        SleepClock::new(move || TwoClocks {
            awake: read(ClockId::Monotonic),
            all: read(ClockId::Boottime),
        })
    }
}

/// Elsewhere the clock on the wall has to do: one that is set looks like sleep, and locks.
#[cfg(not(target_os = "linux"))]
impl Default for SleepClock {
    fn default() -> SleepClock {
        use std::time::{Instant, SystemTime, UNIX_EPOCH};
        let begun = Instant::now();
        SleepClock::new(move || TwoClocks {
            awake: begun.elapsed(),
            all: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        })
    }
}

/// Notices that the computer slept.
pub(crate) struct Sleeper {
    clock: SleepClock,
    /// The two clocks when they were last compared.
    seen: Mutex<TwoClocks>,
}

impl Sleeper {
    pub(crate) fn new(clock: SleepClock) -> Sleeper {
        let seen = Mutex::new((clock.0)());
        Sleeper { clock, seen }
    }

    /// Whether the two clocks have come apart, one way or the other, since this was last asked.
    pub(crate) fn has_slept(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock.0)();
        let awake = now.awake.saturating_sub(seen.awake);
        // A clock on the wall that was set back looks like no time at all, or less.
        let all = now.all.checked_sub(seen.all);
        *seen = now;
        all.is_none_or(|all| all.abs_diff(awake) > TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clocks_run_together_while_nobody_sleeps() {
        let sleeper = Sleeper::new(SleepClock::default());
        assert!(!sleeper.has_slept() && !sleeper.has_slept());
    }

    #[test]
    fn any_jump_is_sleep_and_is_said_once() {
        let now = Arc::new(Mutex::new(TwoClocks {
            awake: Duration::from_secs(100),
            all: Duration::from_secs(5_000),
        }));
        let hands = Arc::clone(&now);
        let sleeper = Sleeper::new(SleepClock::new(move || *hands.lock().unwrap()));
        let turn = |awake_ms: u64, all_ms: i64| {
            let mut now = now.lock().unwrap();
            now.awake += Duration::from_millis(awake_ms);
            let by = Duration::from_millis(all_ms.unsigned_abs());
            now.all = if all_ms < 0 { now.all - by } else { now.all + by };
        };
        for (awake_ms, all_ms, slept) in [
            (1_000, 1_000, false),
            (3_600_000, 3_600_000, false),
            (1_000, 1_900, false),
            (1_000, 2_001, true),
            (1_000, 1_000, false),
            (500, 8 * 3_600_000, true),
            (1_000, 1_000, false),
            // A clock on the wall that was set back, by much and by little.
            (1_000, -60_000, true),
            (5_000, 3_000, true),
        ] {
            turn(awake_ms, all_ms);
            assert_eq!(sleeper.has_slept(), slept, "{awake_ms} and {all_ms} ms");
            assert!(!sleeper.has_slept(), "once");
        }
    }
}
