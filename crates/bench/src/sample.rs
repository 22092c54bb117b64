//! Taking times side by side: one of ours, one of theirs, again and again, and the middle of each.

use anyhow::Result;
use std::time::{Duration, Instant};

/// The middle of some times.
///
/// # Errors
/// When there are none.
pub fn median(mut times: Vec<Duration>) -> Result<Duration> {
    anyhow::ensure!(!times.is_empty(), "nothing was measured");
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Runs two things in turn, so that whatever else the machine does falls on both; answers the
/// middle time of each.
///
/// # Errors
/// When either fails.
pub fn side_by_side(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut beside: impl FnMut() -> Result<Duration>,
) -> Result<(Duration, Duration)> {
    let (mut mine, mut other) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for _ in 0..rounds {
        mine.push(ours()?);
        other.push(beside()?);
    }
    Ok((median(mine)?, median(other)?))
}

/// How long something took, and what it answered.
pub fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let answer = act();
    (began.elapsed(), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_not_moved_by_one_slow_moment() {
        let times = [5, 3, 900, 4, 2].map(Duration::from_millis).to_vec();
        assert_eq!(median(times).expect("some"), Duration::from_millis(4));
        assert!(median(Vec::new()).is_err());
    }

    #[test]
    fn both_run_in_turn_and_equally_often() {
        let turns = std::cell::RefCell::new(String::new());
        let turn = |who: &str, ms| {
            turns.borrow_mut().push_str(who);
            Ok(Duration::from_millis(ms))
        };
        let (ours, beside) = side_by_side(3, || turn("a", 1), || turn("b", 2)).expect("runs");
        assert_eq!(turns.into_inner(), "ababab");
        assert_eq!((ours.as_millis(), beside.as_millis()), (1, 2));
    }
}
