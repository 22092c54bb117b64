//! When the owner is reminded of making a backup.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How often a backup should be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Every so many days, one at least, and only if something changed.
    EveryDays(u16),
    /// The owner does not want to be reminded.
    Never,
}

/// Once a week.
impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::EveryDays(7)
    }
}

/// Why a backup is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// When the last one was made; `None` when there never was one.
    pub last_backup: Option<Timestamp>,
    /// How many events it lacks.
    pub events: u64,
}

/// Whether a backup is due: when something changed since the last one, and that is as old as the
/// schedule says, or there never was one.
///
/// A last backup that lies in the future says that the clock was changed; its age is unknown, so
/// it is due.
pub fn due(
    last_backup: Option<Timestamp>,
    changed_since: u64,
    schedule: Schedule,
    now: Timestamp,
) -> Option<Reminder> {
    let Schedule::EveryDays(days) = schedule else { return None };
    let reminder = Reminder { last_backup, events: changed_since };
    let is_recent = last_backup.is_some_and(|last| {
        let age = now.duration_since(last);
        !age.is_negative() && age < SignedDuration::from_hours(24 * i64::from(days.max(1)))
    });
    (changed_since > 0 && !is_recent).then_some(reminder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const WEEKLY: Schedule = Schedule::EveryDays(7);

    #[test]
    fn once_a_week_and_only_if_something_changed() {
        let made = at("2026-11-01T10:00:00Z");
        assert_eq!(Schedule::default(), WEEKLY);
        assert_eq!(due(Some(made), 3, WEEKLY, at("2026-11-08T09:59:59Z")), None);
        let reminder = Reminder { last_backup: Some(made), events: 3 };
        assert_eq!(due(Some(made), 3, WEEKLY, at("2026-11-08T10:00:00Z")), Some(reminder));
        assert_eq!(due(Some(made), 0, WEEKLY, at("2030-01-01T00:00:00Z")), None);
        assert_eq!(due(Some(made), 9, Schedule::Never, at("2030-01-01T00:00:00Z")), None);
    }

    #[test]
    fn the_first_one_is_due_at_once_and_not_for_an_empty_desk() {
        let now = at("2026-11-01T10:00:00Z");
        assert_eq!(due(None, 0, WEEKLY, now), None);
        assert_eq!(due(None, 1, WEEKLY, now), Some(Reminder { last_backup: None, events: 1 }));
    }

    #[test]
    fn a_last_one_in_the_future_does_not_silence_it() {
        let (now, later) = (at("2026-11-01T10:00:00Z"), at("2099-01-01T00:00:00Z"));
        assert!(due(Some(later), 1, WEEKLY, now).is_some());
        // Nought days would remind after every event; it means a day.
        assert_eq!(due(Some(now), 1, Schedule::EveryDays(0), now), None);
    }

    proptest! {
        #[test]
        fn never_without_a_change_and_never_twice_a_day(
            last in -1_000_000_000_i64..4_000_000_000,
            age in 0_i64..86_400,
            events: u64,
            days: u16,
        ) {
            let last = Timestamp::from_second(last).unwrap();
            let now = last + SignedDuration::from_secs(age);
            prop_assert_eq!(due(Some(last), events, Schedule::EveryDays(days), now), None);
            prop_assert_eq!(due(Some(last), 0, Schedule::EveryDays(days), now), None);
        }
    }
}
