//! Where connected programs wait until they have asked: few places, and nobody can fill them. Who
//! comes when all are taken sends away whoever has taken longest to ask, so a program that asks at
//! once is always heard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The programs that are asking, those that came first in front.
#[derive(Debug, Clone)]
pub(crate) struct Anteroom {
    places: usize,
    asking: Arc<Mutex<VecDeque<(u64, CancellationToken)>>>,
}

/// One program's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    room: Anteroom,
    number: u64,
    sent_away: CancellationToken,
}

impl Anteroom {
    /// A room with so many places.
    pub(crate) fn new(places: usize) -> Anteroom {
        Anteroom { places, asking: Arc::default() }
    }

    /// Lets one more in.
    pub(crate) fn enter(&self) -> Guest {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        while asking.len() >= self.places {
            let Some((_, longest)) = asking.pop_front() else { break };
            longest.cancel();
        }
        let number = asking.back().map_or(0, |(last, _)| last.wrapping_add(1));
        let sent_away = CancellationToken::new();
        asking.push_back((number, sent_away.clone()));
        Guest { room: self.clone(), number, sent_away }
    }
}

impl Guest {
    /// Waits until the place is needed for another.
    pub(crate) async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // One that was sent away is out already, and its number may be another's by now.
        if !self.sent_away.is_cancelled() {
            let mut asking = self.room.asking.lock().unwrap_or_else(PoisonError::into_inner);
            asking.retain(|(number, _)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longest_goes_and_who_asks_makes_room() {
        let room = Anteroom::new(2);
        let (first, second) = (room.enter(), room.enter());
        let third = room.enter();
        assert!(first.sent_away.is_cancelled());
        assert!(!second.sent_away.is_cancelled() && !third.sent_away.is_cancelled());
        drop(first);
        drop(third);
        // A place is free, so nobody goes.
        let fourth = room.enter();
        assert!(!second.sent_away.is_cancelled());
        let _fifth = room.enter();
        assert!(second.sent_away.is_cancelled() && !fourth.sent_away.is_cancelled());
    }
}
