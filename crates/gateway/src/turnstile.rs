//! Fairness between agents: how often and how many at once, so that one cannot starve the others.

use imprest_domain::AgentId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests an agent may send in one go after a pause.
pub(crate) const BURST_REQUESTS: u64 = 256;
/// Requests per second an agent may keep up.
pub(crate) const REFILL_REQUESTS_PER_S: u64 = 20;
/// Requests of one agent that may be under way at once.
pub(crate) const MAX_REQUESTS_AT_ONCE: usize = 128;
/// One request, in the thousandths the bucket counts in: N per second are then N per millisecond.
const REQUEST_MILLI: u64 = 1000;

/// A place among the requests under way; given back when the last clone is dropped.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

/// Who asks, and the place they hold while they ask.
#[derive(Clone)]
pub(crate) struct Admission<C> {
    /// Who asks.
    pub(crate) caller: C,
    /// Held for as long as the work goes on, even if the asker hangs up. Nothing in the bridge,
    /// where the desk's own door counts.
    pub(crate) place: Option<Place>,
}

/// Why an agent has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too often; a request is possible again after so many seconds.
    TooOften {
        /// Whole seconds, at least one.
        wait_s: u64,
    },
    /// Too many at once.
    TooManyAtOnce,
}

/// One agent's token bucket and its places.
struct Gate {
    level_milli: u64,
    filled_at: Instant,
    places: Arc<Semaphore>,
}

impl Gate {
    fn new(now: Instant) -> Gate {
        Gate {
            level_milli: BURST_REQUESTS * REQUEST_MILLI,
            filled_at: now,
            places: Arc::new(Semaphore::new(MAX_REQUESTS_AT_ONCE)),
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed_ms = now.saturating_duration_since(self.filled_at).as_millis();
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
        if elapsed_ms == 0 {
            // Keep the fraction of a millisecond for the next time.
            return;
        }
        let gained_milli = elapsed_ms.saturating_mul(REFILL_REQUESTS_PER_S);
        self.level_milli =
            self.level_milli.saturating_add(gained_milli).min(BURST_REQUESTS * REQUEST_MILLI);
        self.filled_at = now;
    }

    fn is_idle(&self) -> bool {
        self.level_milli == BURST_REQUESTS * REQUEST_MILLI
            && self.places.available_permits() == MAX_REQUESTS_AT_ONCE
    }

    fn enter(&mut self, now: Instant) -> Result<Place, Full> {
        self.refill(now);
        if self.level_milli < REQUEST_MILLI {
            let missing_milli = REQUEST_MILLI - self.level_milli;
            let wait_ms = missing_milli.div_ceil(REFILL_REQUESTS_PER_S);
            return Err(Full::TooOften { wait_s: wait_ms.div_ceil(1000).max(1) });
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| Full::TooManyAtOnce)?;
        self.level_milli -= REQUEST_MILLI;
        Ok(Arc::new(place))
    }
}

/// The gates of all agents seen lately. Only recognised agents get one, so their number is
/// bounded by the desk's own record; idle gates are forgotten as others come.
#[derive(Default)]
pub(crate) struct Turnstile {
    gates: Mutex<HashMap<AgentId, Gate>>,
}

impl Turnstile {
    /// How many gates may pile up before the idle ones are forgotten.
    const SWEEP_AT: usize = 1024;

    /// Lets one request of an agent in, or says why it has to wait.
    pub(crate) fn enter(&self, agent: &AgentId, now: Instant) -> Result<Place, Full> {
        // A panic elsewhere cannot leave a gate half-changed: every change is a plain assignment.
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= Turnstile::SWEEP_AT && !gates.contains_key(agent) {
            gates.retain(|_, gate| {
                gate.refill(now);
                !gate.is_idle()
            });
        }
        match gates.entry(agent.clone()) {
            Entry::Occupied(gate) => gate.into_mut().enter(now),
            Entry::Vacant(space) => space.insert(Gate::new(now)).enter(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn agent(tail: &str) -> AgentId {
        AgentId::from_tail(tail).expect("a valid tail")
    }

    #[test]
    fn a_burst_passes_then_the_refill_decides() {
        let turnstile = Turnstile::default();
        let start = Instant::now();
        for _ in 0..BURST_REQUESTS {
            turnstile.enter(&agent("a"), start).expect("within the burst");
        }
        assert_eq!(turnstile.enter(&agent("a"), start).err(), Some(Full::TooOften { wait_s: 1 }));
        turnstile.enter(&agent("b"), start).expect("another agent is not held up");
        let later = start + Duration::from_millis(50);
        turnstile.enter(&agent("a"), later).expect("one more after 50 ms at 20 per second");
        assert!(turnstile.enter(&agent("a"), later).is_err());
    }

    #[test]
    fn slivers_of_a_millisecond_are_not_lost() {
        let turnstile = Turnstile::default();
        let start = Instant::now();
        for _ in 0..BURST_REQUESTS {
            turnstile.enter(&agent("a"), start).expect("within the burst");
        }
        let mut entered = 0;
        for step in 1..=1000u32 {
            let now = start + Duration::from_micros(100) * step;
            entered += u64::from(turnstile.enter(&agent("a"), now).is_ok());
        }
        assert_eq!(entered, 2, "100 ms at 20 per second");
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let turnstile = Turnstile::default();
        let now = Instant::now();
        let held: Vec<Place> = (0..MAX_REQUESTS_AT_ONCE)
            .map(|_| turnstile.enter(&agent("a"), now).expect("a free place"))
            .collect();
        assert_eq!(turnstile.enter(&agent("a"), now).err(), Some(Full::TooManyAtOnce));
        turnstile.enter(&agent("b"), now).expect("another agent has its own places");
        drop(held);
        turnstile.enter(&agent("a"), now).expect("a place came free");
    }

    #[test]
    fn idle_gates_are_forgotten() {
        let turnstile = Turnstile::default();
        let now = Instant::now();
        for n in 0..Turnstile::SWEEP_AT {
            turnstile.enter(&agent(&n.to_string()), now).expect("first request");
        }
        turnstile.enter(&agent("late"), now + Duration::from_secs(60)).expect("first request");
        assert_eq!(turnstile.gates.lock().expect("not poisoned").len(), 1);
    }
}
