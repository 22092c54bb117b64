//! What limits hold already: the rolling hour by the minute, the calendar windows as sums.

use crate::{Units, Window, minute_of};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was held in one minute, stored as `[29400000,"250000",2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, Units, u32)", into = "(i64, Units, u32)")]
pub struct Minute {
    /// Whole minutes since 1970 ([`minute_of`]).
    pub minute: i64,
    /// The sum of its payments.
    pub units: Units,
    /// How many payments.
    pub count: u32,
}

impl From<(i64, Units, u32)> for Minute {
    fn from((minute, units, count): (i64, Units, u32)) -> Minute {
        Minute { minute, units, count }
    }
}

impl From<Minute> for (i64, Units, u32) {
    fn from(minute: Minute) -> (i64, Units, u32) {
        (minute.minute, minute.units, minute.count)
    }
}

/// How many whole minutes before the current one still count.
const MINUTES_BACK: i64 = 60;

/// The payments of the last hour, by the minute, oldest first; at most 61 minutes are kept.
///
/// The window is the current minute and the 60 whole minutes before it: 60 to 61 minutes long,
/// never shorter, so no 60 minutes ever hold more than a limit checked against it. The clock it
/// is fed from must not run backwards; it may stand still.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Minute>", into = "Vec<Minute>")]
pub struct HourUse(Vec<Minute>);

/// Minutes that are no rolling hour: out of order, twice the same, or too far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the minutes of an hour are in order, each once, and within 60 of the newest")]
pub struct HourUseError;

impl TryFrom<Vec<Minute>> for HourUse {
    type Error = HourUseError;
    fn try_from(minutes: Vec<Minute>) -> Result<HourUse, HourUseError> {
        let in_order = minutes.windows(2).all(|pair| pair[0].minute < pair[1].minute);
        let near = match (minutes.first(), minutes.last()) {
            (Some(oldest), Some(newest)) => {
                newest.minute.saturating_sub(oldest.minute) <= MINUTES_BACK
            }
            _ => true,
        };
        if in_order && near { Ok(HourUse(minutes)) } else { Err(HourUseError) }
    }
}

impl From<HourUse> for Vec<Minute> {
    fn from(hour: HourUse) -> Vec<Minute> {
        hour.0
    }
}

impl HourUse {
    /// Adds one payment and drops minutes more than 60 before the newest. Nothing changes and
    /// `None` comes back when a figure would not fit.
    pub fn add(&mut self, minute: i64, units: Units) -> Option<()> {
        self.add_minute(Minute { minute, units, count: 1 })
    }

    /// Adds all that another hour holds, as [`HourUse::add`] adds one payment.
    pub fn add_all(&mut self, other: &HourUse) -> Option<()> {
        other.0.iter().try_for_each(|minute| self.add_minute(*minute))
    }

    fn add_minute(&mut self, more: Minute) -> Option<()> {
        match self.0.binary_search_by_key(&more.minute, |m| m.minute) {
            Ok(at) => {
                let there = &mut self.0[at];
                let units = there.units.checked_add(more.units)?;
                let count = there.count.checked_add(more.count)?;
                (there.units, there.count) = (units, count);
            }
            Err(at) => self.0.insert(at, more),
        }
        self.drop_old();
        Some(())
    }

    /// The clock was set back to `minute`: what lies after it moves into it, so that it counts for
    /// one more hour and not until the time it once was. A figure that would not fit is kept as
    /// the most there can be.
    pub fn set_back(&mut self, minute: i64) {
        let later: Vec<Minute> = self.0.iter().copied().filter(|m| m.minute > minute).collect();
        if later.is_empty() {
            return;
        }
        self.0.retain(|m| m.minute <= minute);
        let start = self.0.last().copied().filter(|m| m.minute == minute);
        let empty = Minute { minute, units: Units::ZERO, count: 0 };
        let sum = later.iter().fold(start.unwrap_or(empty), |sum, m| Minute {
            minute,
            units: sum.units.checked_add(m.units).unwrap_or(Units::MAX),
            count: sum.count.saturating_add(m.count),
        });
        self.0.retain(|m| m.minute != minute);
        self.0.push(sum);
        self.0.retain(|m| minute.saturating_sub(m.minute) <= MINUTES_BACK);
    }

    /// What a clock set back to `minute` leaves of this hour, when `before` is what the sixty
    /// minutes up to that one held. Later minutes push out what is more than an hour before them,
    /// so this hour alone no longer knows it.
    pub fn set_back_onto(&self, minute: i64, before: &HourUse) -> HourUse {
        let mut hour = before.clone();
        hour.0.retain(|m| m.minute <= minute);
        for known in &self.0 {
            hour.at_least(*known);
        }
        hour.set_back(minute);
        hour.0.retain(|m| minute.saturating_sub(m.minute) <= MINUTES_BACK);
        hour
    }

    /// Takes over what another hour knows: of each minute the larger figures.
    pub fn raise_to(&mut self, other: &HourUse) {
        for minute in &other.0 {
            self.at_least(*minute);
        }
        self.drop_old();
    }

    fn at_least(&mut self, known: Minute) {
        match self.0.binary_search_by_key(&known.minute, |m| m.minute) {
            Ok(at) => {
                let there = &mut self.0[at];
                there.units = there.units.max(known.units);
                there.count = there.count.max(known.count);
            }
            Err(at) => self.0.insert(at, known),
        }
    }

    fn drop_old(&mut self) {
        let Some(newest) = self.0.last().map(|m| m.minute) else { return };
        self.0.retain(|m| newest.saturating_sub(m.minute) <= MINUTES_BACK);
    }

    /// Takes one payment back, for a hold that was given back, if its minute is still kept.
    pub fn take(&mut self, minute: i64, units: Units) {
        if let Ok(at) = self.0.binary_search_by_key(&minute, |m| m.minute) {
            let there = &mut self.0[at];
            there.units = there.units.saturating_sub(units);
            there.count = there.count.saturating_sub(1);
            if there.units.is_zero() && there.count == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Makes a minute hold all there can be, where [`HourUse::add`] could not add to it.
    pub(crate) fn fill(&mut self, minute: i64) {
        if let Ok(at) = self.0.binary_search_by_key(&minute, |m| m.minute) {
            self.0[at].units = Units::MAX;
            self.0[at].count = self.0[at].count.saturating_add(1);
        }
    }

    /// Whether something of a minute is kept.
    pub fn knows(&self, minute: i64) -> bool {
        self.0.binary_search_by_key(&minute, |m| m.minute).is_ok()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first minute of the window that ends with `minute`.
    pub fn first_minute(minute: i64) -> i64 {
        minute.saturating_sub(MINUTES_BACK)
    }

    /// The sum in the window that ends now, or nothing past [`Units::MAX`].
    pub fn units(&self, now: Timestamp) -> Option<Units> {
        self.sums(minute_of(now)).0
    }

    /// How many payments lie in the window that ends now.
    pub fn count(&self, now: Timestamp) -> u32 {
        self.sums(minute_of(now)).1
    }

    /// The first moment from `now` on at which the sum and the count satisfy `need`, if nothing
    /// is added meanwhile: `now` itself when they do already, `None` when not even an empty hour
    /// does.
    pub fn frees_at(&self, now: Timestamp, need: impl Fn(Units, u32) -> bool) -> Option<Timestamp> {
        let fits = |minute: i64| {
            let (units, count) = self.sums(minute);
            units.is_some_and(|units| need(units, count))
        };
        let minute_now = minute_of(now);
        if fits(minute_now) {
            return Some(now);
        }
        // Something changes only when a minute leaves the window.
        let leaves = self.0.iter().map(|m| m.minute.saturating_add(MINUTES_BACK + 1));
        leaves
            .filter(|minute| *minute > minute_now)
            .find(|minute| fits(*minute))
            .and_then(|minute| Timestamp::from_second(minute.checked_mul(60)?).ok())
    }

    /// Sum and count of the window that ends with a minute. Later minutes count too: a clock that
    /// ran backwards must not forget them.
    fn sums(&self, ends: i64) -> (Option<Units>, u32) {
        let inside = self.0.iter().filter(|m| ends.saturating_sub(m.minute) <= MINUTES_BACK);
        inside.fold((Some(Units::ZERO), 0u32), |(units, count), m| {
            (units.and_then(|sum| sum.checked_add(m.units)), count.saturating_add(m.count))
        })
    }
}

/// What a budget's limits hold already: settled plus reserved, per window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The last 60 minutes.
    pub hour: HourUse,
    /// This calendar day.
    pub day: Units,
    /// This calendar week.
    pub week: Units,
    /// This calendar month.
    pub month: Units,
    /// Since the beginning.
    pub lifetime: Units,
    /// This calendar day, to the payee in question.
    pub payee_day: Units,
    /// This calendar day, to payees never paid before, together.
    pub new_payee_day: Units,
    /// Open holds together, whenever they were made.
    pub exposure: Units,
    /// The first moment at which enough open holds can have ended by themselves for the payment
    /// in question to fit, as far as the books know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure_frees_at: Option<Timestamp>,
}

impl Usage {
    /// The figure of one window, or nothing past [`Units::MAX`].
    pub fn of(&self, window: Window, now: Timestamp) -> Option<Units> {
        match window {
            Window::Hour => self.hour.units(now),
            Window::Day => Some(self.day),
            Window::Week => Some(self.week),
            Window::Month => Some(self.month),
            Window::Lifetime => Some(self.lifetime),
            Window::PayeeDay => Some(self.payee_day),
            Window::NewPayeeDay => Some(self.new_payee_day),
        }
    }

    /// The figure of one window, to be set; an hour is no one figure and has none.
    pub fn of_mut(&mut self, window: Window) -> Option<&mut Units> {
        match window {
            Window::Hour => None,
            Window::Day => Some(&mut self.day),
            Window::Week => Some(&mut self.week),
            Window::Month => Some(&mut self.month),
            Window::Lifetime => Some(&mut self.lifetime),
            Window::PayeeDay => Some(&mut self.payee_day),
            Window::NewPayeeDay => Some(&mut self.new_payee_day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn units(n: u128) -> Units {
        Units::new(n).expect("fits")
    }

    fn at_minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("in range")
    }

    fn hour(minutes: &[(i64, u128)]) -> HourUse {
        let mut hour = HourUse::default();
        for (minute, value) in minutes {
            hour.add(*minute, units(*value)).expect("fits");
        }
        hour
    }

    #[test]
    fn a_clock_set_back_keeps_what_lay_ahead_for_one_more_hour() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).expect("a time");
        let units = |n: u128| Units::new(n).expect("fits");
        let mut hour = HourUse::default();
        for (minute, value) in [(1_000, 1), (1_030, 2), (1_050, 4)] {
            hour.add(minute, units(value)).expect("small");
        }
        hour.set_back(1_020);
        assert_eq!((hour.units(at(1_020)), hour.count(at(1_020))), (Some(units(7)), 3));
        hour.add(1_021, units(8)).expect("small");
        assert_eq!(hour.units(at(1_080)), Some(units(14)), "the earliest has left");
        assert_eq!(hour.units(at(1_081)), Some(units(8)));
        assert_eq!(hour.units(at(1_082)), Some(Units::ZERO));
        let before = hour.clone();
        hour.set_back(2_000);
        assert_eq!(hour, before, "nothing lay ahead");
    }

    #[test]
    fn what_a_jump_pushed_out_comes_back_with_the_clock() {
        let mut h = hour(&[(1_000, 20)]);
        h.add(1_180, units(1)).expect("small");
        assert_eq!(h.count(at_minute(1_005)), 1, "the jump pushed the first one out");
        let before = hour(&[(940, 7), (1_000, 20)]);
        let back = h.set_back_onto(1_005, &before);
        assert_eq!(
            (back.units(at_minute(1_005)), back.count(at_minute(1_005))),
            (Some(units(21)), 2)
        );
        assert_eq!(
            back.units(at_minute(1_061)),
            Some(units(1)),
            "each leaves when its hour is over"
        );
        // What is known already is not counted twice, and nothing later than the clock stays.
        let kept = hour(&[(1_000, 20), (1_005, 3)]);
        assert_eq!(kept.set_back_onto(1_005, &kept), kept);
        assert_eq!(
            kept.set_back_onto(1_002, &hour(&[(1_000, 20)])),
            hour(&[(1_000, 20), (1_002, 3)])
        );
        // A replay comes to the same from the books' own hour and what the log says.
        h.set_back(1_005);
        h.raise_to(&back);
        assert_eq!(h, back);
        h.raise_to(&HourUse::default());
        assert_eq!(h, back);
    }

    #[test]
    fn a_payment_counts_for_sixty_minutes_and_the_rest_of_that_one() {
        let h = hour(&[(100, 5), (100, 7), (130, 1)]);
        assert_eq!((h.units(at_minute(130)), h.count(at_minute(130))), (Some(units(13)), 3));
        let last = at_minute(161) - SignedDuration::from_nanos(1);
        assert_eq!((h.units(last), h.count(last)), (Some(units(13)), 3));
        assert_eq!((h.units(at_minute(161)), h.count(at_minute(161))), (Some(units(1)), 1));
        assert_eq!((h.units(at_minute(191)), h.count(at_minute(191))), (Some(Units::ZERO), 0));
    }

    #[test]
    fn only_an_hour_is_kept() {
        let mut h = HourUse::default();
        for minute in 0..500 {
            h.add(minute, units(1)).expect("fits");
        }
        assert_eq!(Vec::from(h.clone()).len(), 61);
        assert_eq!(h.units(at_minute(499)), Some(units(61)));
        // Too old to count in any window that is still to come.
        h.add(100, units(1)).expect("fits");
        assert_eq!(Vec::from(h).len(), 61);
    }

    #[test]
    fn a_hold_that_came_back_is_taken_out() {
        let mut h = hour(&[(100, 5), (100, 7), (130, 1)]);
        h.take(100, units(5));
        assert_eq!((h.units(at_minute(130)), h.count(at_minute(130))), (Some(units(8)), 2));
        h.take(100, units(7));
        assert_eq!(Vec::from(h.clone()).len(), 1);
        // Gone already, or never there.
        h.take(100, units(7));
        h.take(7, units(1));
        assert_eq!(h, hour(&[(130, 1)]));
    }

    #[test]
    fn a_minute_is_kept_until_neither_figure_is_left() {
        let mut h = hour(&[(100, 5), (100, 0)]);
        h.take(100, units(5));
        assert_eq!((h.units(at_minute(100)), h.count(at_minute(100))), (Some(Units::ZERO), 1));
        h.take(100, Units::ZERO);
        assert_eq!(h, HourUse::default());
        let mut h = hour(&[(100, 5)]);
        h.take(100, units(3));
        assert_eq!((h.units(at_minute(100)), h.count(at_minute(100))), (Some(units(2)), 0));
    }

    #[test]
    fn says_which_minutes_it_knows_and_whether_any() {
        let mut h = hour(&[(100, 5), (130, 1)]);
        assert_eq!([99, 100, 101, 130].map(|minute| h.knows(minute)), [false, true, false, true]);
        assert!(!h.is_empty());
        h.take(100, units(5));
        assert!(!h.knows(100) && h.knows(130) && !h.is_empty());
        h.take(130, units(1));
        assert!(!h.knows(130) && h.is_empty() && HourUse::default().is_empty());
    }

    #[test]
    fn the_first_minute_of_a_window_is_the_oldest_that_counts() {
        let first = HourUse::first_minute(1_000);
        assert_eq!(first, 940);
        assert_eq!(hour(&[(first, 5)]).units(at_minute(1_000)), Some(units(5)));
        assert_eq!(hour(&[(first - 1, 5)]).units(at_minute(1_000)), Some(Units::ZERO));
        assert_eq!(HourUse::first_minute(i64::MIN), i64::MIN);
    }

    #[test]
    fn two_hours_are_added_minute_by_minute() {
        let mut h = hour(&[(100, 5), (130, 1)]);
        assert_eq!(h.add_all(&hour(&[(120, 9), (130, 2), (130, 3)])), Some(()));
        assert_eq!(h, hour(&[(100, 5), (120, 9), (130, 1), (130, 2), (130, 3)]));
        assert_eq!(h.count(at_minute(130)), 5);
        // A newer minute pushes out what is more than an hour before it.
        assert_eq!(h.add_all(&hour(&[(161, 4)])), Some(()));
        assert_eq!(h, hour(&[(120, 9), (130, 1), (130, 2), (130, 3), (161, 4)]));
        let mut full = hour(&[(1, Units::MAX.get())]);
        assert_eq!(full.add_all(&hour(&[(1, 1)])), None);
        assert_eq!(full, hour(&[(1, Units::MAX.get())]));
    }

    #[test]
    fn a_sum_that_does_not_fit_changes_nothing() {
        let mut h = hour(&[(1, Units::MAX.get())]);
        assert_eq!(h.add(1, units(1)), None);
        assert_eq!(h, hour(&[(1, Units::MAX.get())]));
        h.add(2, units(1)).expect("a minute of its own");
        assert_eq!((h.units(at_minute(2)), h.count(at_minute(2))), (None, 2));
        let mut full = HourUse(vec![Minute { minute: 1, units: units(1), count: u32::MAX }]);
        assert_eq!(full.add(1, units(1)), None);
        assert_eq!(full.units(at_minute(1)), Some(units(1)));
        full.fill(1);
        assert_eq!(full.units(at_minute(1)), Some(Units::MAX));
    }

    #[test]
    fn says_when_enough_comes_free() {
        let h = hour(&[(100, 5), (110, 7), (130, 1)]);
        let now = at_minute(130);
        let frees = |limit: u128| h.frees_at(now, |used, _| used <= units(limit));
        assert_eq!(frees(13), Some(now));
        assert_eq!(frees(12), Some(at_minute(161)));
        assert_eq!(frees(8), Some(at_minute(161)));
        assert_eq!(frees(7), Some(at_minute(171)));
        assert_eq!(frees(0), Some(at_minute(191)));
        assert_eq!(h.frees_at(now, |_, count| count < 2), Some(at_minute(171)));
        assert_eq!(h.frees_at(now, |_, _| false), None);
        assert_eq!(
            HourUse::default().frees_at(now, |used, count| used.is_zero() && count == 0),
            Some(now)
        );
    }

    #[test]
    fn reads_back_what_it_writes_and_nothing_else() {
        let h = hour(&[(100, 5), (100, 7), (130, 1)]);
        let json = serde_json::to_string(&h).expect("written");
        assert_eq!(json, r#"[[100,"12",2],[130,"1",1]]"#);
        assert_eq!(serde_json::from_str::<HourUse>(&json).expect("read"), h);
        for bad in [
            r#"[[130,"1",1],[100,"12",2]]"#,
            r#"[[100,"1",1],[100,"1",1]]"#,
            r#"[[100,"1",1],[161,"1",1]]"#,
            r#"[[100,"-1",1]]"#,
            r#"[[100,1,1]]"#,
            r#"[[100,"1",-1]]"#,
            r#"[[100,"1"]]"#,
            r#"[[-9223372036854775808,"1",1],[9223372036854775807,"1",1]]"#,
        ] {
            assert!(serde_json::from_str::<HourUse>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_window_has_its_own_figure() {
        let mut usage = Usage { hour: hour(&[(100, 9)]), ..Usage::default() };
        for (i, window) in Window::ALL.into_iter().enumerate().skip(1) {
            *usage.of_mut(window).expect("a figure") = units(i as u128);
        }
        assert_eq!(usage.of_mut(Window::Hour), None);
        let now = at_minute(100);
        let read: Vec<_> = Window::ALL.into_iter().map(|w| usage.of(w, now)).collect();
        let expected: Vec<_> = [9u128, 1, 2, 3, 4, 5, 6].map(|n| Some(units(n))).into();
        assert_eq!(read, expected);
        // Older books hold less.
        let old: Usage =
            serde_json::from_str(r#"{"day":"1","week":"1","month":"1","lifetime":"2"}"#)
                .expect("read");
        assert_eq!((old.lifetime, old.payee_day, old.hour.count(now)), (units(2), Units::ZERO, 0));
    }

    /// Steps between payments in milliseconds: none, within a minute, and up to two hours.
    fn steps() -> impl Strategy<Value = Vec<(i64, u128, bool)>> {
        let step = prop_oneof![Just(0i64), 0i64..60_000, 0i64..1_200_000, 0i64..7_200_000];
        prop::collection::vec((step, 1u128..50, prop::bool::weighted(0.1)), 1..50)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever is let in, no 60 minutes by exact time hold more than the limits.
        #[test]
        fn no_sixty_minutes_hold_more_than_the_limit(
            start in -1_000_000_000_000i64..1_000_000_000_000,
            steps in steps(),
            limit in 1u128..200,
            limit_count in 1u32..20,
        ) {
            let mut h = HourUse::default();
            let mut let_in: Vec<(Timestamp, u128)> = Vec::new();
            let mut now = Timestamp::from_millisecond(start).expect("in range");
            for (step, value, gives_back) in steps {
                now += SignedDuration::from_millis(step);
                let after = h.units(now).and_then(|used| used.checked_add(units(value)));
                if after.is_some_and(|sum| sum <= units(limit)) && h.count(now) < limit_count {
                    h.add(minute_of(now), units(value)).expect("small");
                    let_in.push((now, value));
                }
                if gives_back && let Some((when, value)) = let_in.pop() {
                    h.take(minute_of(when), units(value));
                }
            }
            prop_assert!(Vec::from(h.clone()).len() <= 61);
            for (from, _) in &let_in {
                let until = *from + SignedDuration::from_hours(1);
                let inside = let_in.iter().filter(|(at, _)| at >= from && *at <= until);
                let (sum, count) =
                    inside.fold((0, 0), |(sum, count), (_, value)| (sum + value, count + 1));
                prop_assert!(sum <= limit, "{sum} within an hour of {from}");
                prop_assert!(count <= limit_count, "{count} within an hour of {from}");
            }
            let json = serde_json::to_string(&h).expect("written");
            prop_assert_eq!(serde_json::from_str::<HourUse>(&json).expect("read"), h);
        }

        /// The moment named is the first: there it fits, and at no whole minute before.
        #[test]
        fn the_moment_it_frees_is_the_first(steps in steps(), limit in 0u128..200, later in 0i64..70) {
            let mut h = HourUse::default();
            let mut now = at_minute(1_000);
            for (step, value, _) in steps {
                now += SignedDuration::from_millis(step);
                h.add(minute_of(now), units(value)).expect("small");
            }
            now += SignedDuration::from_mins(later);
            let fits = |at| h.units(at).is_some_and(|used| used <= units(limit));
            let frees = h.frees_at(now, |used, _| used <= units(limit)).expect("an empty hour fits");
            prop_assert!(fits(frees) && frees >= now);
            let whole = (minute_of(now) + 1..minute_of(frees)).map(at_minute);
            prop_assert!(frees == now || !fits(now));
            prop_assert!(whole.into_iter().all(|at| !fits(at)));
        }

        /// Adding in any order, or adding and taking back, comes to the same.
        #[test]
        fn order_does_not_matter(mut minutes in prop::collection::vec((0i64..60, 1u128..9), 1..40)) {
            let in_order = hour(&minutes);
            minutes.reverse();
            let mut h = hour(&minutes);
            prop_assert_eq!(&h, &in_order);
            h.add(30, units(4)).expect("small");
            h.take(30, units(4));
            prop_assert_eq!(h, in_order);
        }
    }
}
