//! The one clock: the system's, but never behind the log.

use crate::event::Head;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::sync::Arc;

/// How far the system's clock may fall behind the books' before nothing is paid unasked.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock of one's own, for tests that turn it.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(read))
    }

    /// What the system says, right or wrong.
    pub fn system(&self) -> Timestamp {
        (self.0)()
    }

    /// The books' time after `head`, and whether the system's clock stands more than
    /// [`CLOCK_TOLERANCE`] behind it.
    pub(crate) fn now_after(&self, head: &Head) -> (Timestamp, bool) {
        let mark = Timestamp::from_millisecond(head.at_ms).unwrap_or_default();
        let system = self.system();
        (system.max(mark), mark.duration_since(system) > CLOCK_TOLERANCE)
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
