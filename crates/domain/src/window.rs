//! The spans of time that limits run over, and the counters a hold lies in.

use crate::hours::first_moment;
use crate::{Budget, BudgetError, Payee};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A span of time that a limit runs over, and whose payments count in it. What each means to its
/// owner is in `docs/ledger.md`; what a change of zone does to it is in
/// `docs/decisions/0013-zones-carry-their-windows.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Any 60 minutes: it rolls and never resets at one moment.
    Hour,
    /// A calendar day in the budget's zone; 23 or 25 hours when the clocks change.
    Day,
    /// A calendar week, Monday first, as in ISO 8601.
    Week,
    /// A calendar month.
    Month,
    /// From the agent's first day on.
    Lifetime,
    /// A calendar day, but only what goes to one payee.
    PayeeDay,
    /// A calendar day, but only what goes to payees never paid before, together.
    NewPayeeDay,
}

/// One particular window: this day, this week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpan {
    /// Which kind.
    pub window: Window,
    /// Names this span among those of its kind: the local date it starts on, `2026-11-22`; for an
    /// hour the minute it ends with ([`minute_of`]); for a lifetime `all`.
    pub label: String,
    /// When the next one starts; a lifetime never ends, and an hour rolls.
    pub resets_at: Option<Timestamp>,
}

/// One counter that a hold adds to, stored as `["day","2026-11-22"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(Window, String)", into = "(Window, String)")]
pub struct Counted {
    /// Which kind of window.
    pub window: Window,
    /// [`WindowSpan::label`]; a payee's day adds the payee, `2026-11-22 https://shop.example 0x…`.
    pub label: String,
}

impl From<(Window, String)> for Counted {
    fn from((window, label): (Window, String)) -> Counted {
        Counted { window, label }
    }
}

impl From<Counted> for (Window, String) {
    fn from(counted: Counted) -> (Window, String) {
        (counted.window, counted.label)
    }
}

/// Whole minutes since 1970, rounded down; what the rolling hour counts in.
pub fn minute_of(now: Timestamp) -> i64 {
    // jiff's own range is ±10,000 years, far inside an i64 of minutes.
    now.as_nanosecond().div_euclid(60_000_000_000) as i64
}

impl Window {
    /// All windows: those of one agent's own sums, shortest first, then the two about payees.
    pub const ALL: [Window; 7] = [
        Window::Hour,
        Window::Day,
        Window::Week,
        Window::Month,
        Window::Lifetime,
        Window::PayeeDay,
        Window::NewPayeeDay,
    ];

    /// The windows that are one agent's own sums, whoever was paid, shortest first.
    pub const OVER_TIME: [Window; 5] =
        [Window::Hour, Window::Day, Window::Week, Window::Month, Window::Lifetime];

    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
            Window::Lifetime => "lifetime",
            Window::PayeeDay => "payee_day",
            Window::NewPayeeDay => "new_payee_day",
        }
    }

    /// Reads [`Window::word`] back.
    pub fn from_word(word: &str) -> Option<Window> {
        Window::ALL.into_iter().find(|window| window.word() == word)
    }
}

impl Budget {
    /// The window of one kind that `now` falls into.
    ///
    /// # Errors
    /// [`BudgetError::UnknownZone`] when the zone is not in the database.
    pub fn span(&self, window: Window, now: Timestamp) -> Result<WindowSpan, BudgetError> {
        Ok(span_in(&self.time_zone()?, window, now))
    }

    /// Every window of [`Window::OVER_TIME`] that `now` falls into, shortest first.
    ///
    /// # Errors
    /// [`BudgetError::UnknownZone`] when the zone is not in the database.
    pub fn spans(&self, now: Timestamp) -> Result<Vec<WindowSpan>, BudgetError> {
        let zone = self.time_zone()?;
        Ok(Window::OVER_TIME.into_iter().map(|window| span_in(&zone, window, now)).collect())
    }

    /// Every counter that a hold made now lies in, whether or not a limit is set for it today.
    ///
    /// [`Window::NewPayeeDay`] is among them only when `payee_is_new`.
    ///
    /// # Errors
    /// [`BudgetError::UnknownZone`] when the zone is not in the database.
    pub fn counted(
        &self,
        payee: &Payee,
        payee_is_new: bool,
        now: Timestamp,
    ) -> Result<Vec<Counted>, BudgetError> {
        let zone = self.time_zone()?;
        let counters = Window::ALL
            .into_iter()
            .filter(|window| *window != Window::NewPayeeDay || payee_is_new)
            .map(|window| {
                let label = span_in(&zone, window, now).label;
                match window {
                    Window::PayeeDay => Counted {
                        window,
                        label: format!("{label} {} {}", payee.origin, payee.pay_to),
                    },
                    _ => Counted { window, label },
                }
            });
        Ok(counters.collect())
    }
}

fn span_in(zone: &TimeZone, window: Window, now: Timestamp) -> WindowSpan {
    let today = zone.to_datetime(now).date();
    let (label, resets_at) = match window {
        Window::Hour => (minute_of(now).to_string(), None),
        Window::Lifetime => ("all".to_owned(), None),
        Window::Day | Window::PayeeDay | Window::NewPayeeDay => dated(now, zone, today, 1.day()),
        Window::Week => {
            let since_monday = today.weekday().since(Weekday::Monday);
            let monday = today.saturating_sub(i64::from(since_monday).days());
            dated(now, zone, monday, 7.days())
        }
        Window::Month => dated(now, zone, today.first_of_month(), 1.month()),
    };
    WindowSpan { window, label, resets_at }
}

/// A span that starts on a local date and lasts so many dates.
fn dated(
    now: Timestamp,
    zone: &TimeZone,
    first: Date,
    length: Span,
) -> (String, Option<Timestamp>) {
    // Where the clocks skip midnight, or whole days, the next span starts with the first moment
    // that exists on or after its date. Where they repeat it, the one still to come counts.
    let resets_at = first.checked_add(length).ok().and_then(|next| {
        let midnight = next.at(0, 0, 0, 0);
        first_moment(now, zone, |local| midnight.duration_since(local).max(SignedDuration::ZERO))
    });
    (first.to_string(), resets_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssetId;
    use alloy_primitives::Address;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn budget(zone: &str) -> Budget {
        let asset = AssetId { chain_id: 1, contract: Address::ZERO };
        Budget { zone: zone.into(), ..Budget::blank(asset) }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn span(zone: &str, window: Window, now: &str) -> WindowSpan {
        budget(zone).span(window, at(now)).expect("a known zone")
    }

    #[track_caller]
    fn check(zone: &str, window: Window, now: &str, label: &str, resets_at: &str) {
        let span = span(zone, window, now);
        assert_eq!((span.label.as_str(), span.resets_at), (label, Some(at(resets_at))));
    }

    #[test]
    fn words_read_back_and_are_what_serde_writes() {
        for window in Window::ALL {
            assert_eq!(Window::from_word(window.word()), Some(window));
            let json = serde_json::to_string(&window).expect("written");
            assert_eq!(json, format!("\"{}\"", window.word()));
        }
        assert_eq!(Window::from_word("year"), None);
        assert_eq!(Window::ALL[..5], Window::OVER_TIME);
    }

    #[test]
    fn a_day_is_the_zones_own() {
        check("UTC", Window::Day, "2026-11-22T23:59:59Z", "2026-11-22", "2026-11-23T00:00:00Z");
        check(
            "Asia/Tokyo",
            Window::Day,
            "2026-11-22T23:59:59Z",
            "2026-11-23",
            "2026-11-23T15:00:00Z",
        );
    }

    #[test]
    fn days_of_23_and_25_hours() {
        let amsterdam = |now, label, next| check("Europe/Amsterdam", Window::Day, now, label, next);
        amsterdam("2026-03-28T23:00:00Z", "2026-03-29", "2026-03-29T22:00:00Z");
        amsterdam("2026-10-24T10:00:00Z", "2026-10-24", "2026-10-24T22:00:00Z");
        amsterdam("2026-10-24T22:00:00Z", "2026-10-25", "2026-10-25T23:00:00Z");
        let new_york = |now, label, next| check("America/New_York", Window::Day, now, label, next);
        new_york("2026-03-08T05:00:00Z", "2026-03-08", "2026-03-09T04:00:00Z");
        new_york("2026-11-01T04:00:00Z", "2026-11-01", "2026-11-02T05:00:00Z");
        // Lord Howe moves its clocks by half an hour.
        let howe = |now, label, next| check("Australia/Lord_Howe", Window::Day, now, label, next);
        howe("2026-10-03T13:30:00Z", "2026-10-04", "2026-10-04T13:00:00Z");
        howe("2026-04-04T13:00:00Z", "2026-04-05", "2026-04-05T13:30:00Z");
    }

    #[test]
    fn a_day_that_never_was_is_no_day() {
        // Samoa went from 29 to 31 December 2011.
        let apia = |now, label, next| check("Pacific/Apia", Window::Day, now, label, next);
        apia("2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T10:00:00Z");
        apia("2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z");
    }

    #[test]
    fn a_midnight_that_is_skipped_or_comes_twice() {
        // São Paulo put its clocks forward at midnight, so that day began at one.
        let paulo = |now, label, next| check("America/Sao_Paulo", Window::Day, now, label, next);
        paulo("2017-10-14T12:00:00Z", "2017-10-14", "2017-10-15T03:00:00Z");
        // Toronto went from 23:30 to 00:30 once: the day began at half past.
        let toronto = |now, label, next| check("America/Toronto", Window::Day, now, label, next);
        toronto("1919-03-31T04:00:00Z", "1919-03-30", "1919-03-31T04:30:00Z");
        // St John's went back from 00:01 to 23:01: the day before came again for an hour.
        let johns = |now, label, next| check("America/St_Johns", Window::Day, now, label, next);
        johns("2010-11-07T02:29:30Z", "2010-11-06", "2010-11-07T02:30:00Z");
        johns("2010-11-07T02:31:30Z", "2010-11-06", "2010-11-07T03:30:00Z");
    }

    #[test]
    fn weeks_start_on_monday_and_months_on_the_first() {
        let utc = |window, now, label, next| check("UTC", window, now, label, next);
        // 22 November 2026 is a Sunday.
        utc(Window::Week, "2026-11-22T23:59:59.9Z", "2026-11-16", "2026-11-23T00:00:00Z");
        utc(Window::Week, "2026-11-23T00:00:00Z", "2026-11-23", "2026-11-30T00:00:00Z");
        utc(Window::Week, "2026-12-31T12:00:00Z", "2026-12-28", "2027-01-04T00:00:00Z");
        utc(Window::Month, "2026-11-30T23:59:59.9Z", "2026-11-01", "2026-12-01T00:00:00Z");
        utc(Window::Month, "2026-12-01T00:00:00Z", "2026-12-01", "2027-01-01T00:00:00Z");
        utc(Window::Month, "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01T00:00:00Z");
        check(
            "Europe/Amsterdam",
            Window::Month,
            "2026-10-31T12:00:00Z",
            "2026-10-01",
            "2026-10-31T23:00:00Z",
        );
    }

    #[test]
    fn an_hour_rolls_and_a_lifetime_never_ends() {
        let hour = span("UTC", Window::Hour, "1970-01-01T02:03:59.9Z");
        assert_eq!((hour.label.as_str(), hour.resets_at), ("123", None));
        let lifetime = span("UTC", Window::Lifetime, "2026-11-22T12:00:00Z");
        assert_eq!((lifetime.label.as_str(), lifetime.resets_at), ("all", None));
        assert_eq!(minute_of(at("1969-12-31T23:59:59.9Z")), -1);
        assert_eq!(minute_of(at("1970-01-01T00:00:59.999999999Z")), 0);
        assert_eq!(minute_of(at("2026-11-22T12:00:00Z")), 29_922_480);
    }

    #[test]
    fn the_end_of_time_has_no_next_day() {
        let day = budget("UTC").span(Window::Day, Timestamp::MAX).expect("known");
        assert_eq!((day.label.as_str(), day.resets_at), ("9999-12-30", None));
        assert!(budget("Asia/Tokyo").span(Window::Month, Timestamp::MIN).is_ok());
    }

    #[test]
    fn a_hold_lies_in_every_counter_it_could_be_asked_about() {
        let payee = Payee {
            origin: "https://shop.example".into(),
            pay_to: Address::repeat_byte(0xab),
            asset: AssetId { chain_id: 1, contract: Address::ZERO },
        };
        let now = at("2026-11-22T12:00:00Z");
        let known = budget("UTC").counted(&payee, false, now).expect("known zone");
        let json = serde_json::to_string(&known).expect("written");
        assert_eq!(
            json,
            r#"[["hour","29922480"],["day","2026-11-22"],["week","2026-11-16"],["month","2026-11-01"],["lifetime","all"],["payee_day","2026-11-22 https://shop.example 0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB"]]"#
        );
        assert_eq!(serde_json::from_str::<Vec<Counted>>(&json).expect("read"), known);
        let new = budget("UTC").counted(&payee, true, now).expect("known zone");
        assert_eq!(new[..6], known);
        let cap = Counted { window: Window::NewPayeeDay, label: "2026-11-22".into() };
        assert_eq!(new[6..], [cap]);
        // What older books hold reads back.
        let old: Vec<Counted> =
            serde_json::from_str(r#"[["day","2026-11-22"],["lifetime","all"]]"#).expect("read");
        assert_eq!(old[1], Counted { window: Window::Lifetime, label: "all".into() });
        assert!(budget("Mars/Olympus").counted(&payee, true, now).is_err());
        let spans = budget("UTC").spans(now).expect("known zone");
        assert_eq!(spans.iter().map(|s| s.window).collect::<Vec<_>>(), Window::OVER_TIME);
    }

    static ZONES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let names = jiff::tz::db().available().map(|name| name.as_str().to_owned());
        let known = names.filter(|name| budget(name).time_zone().is_ok());
        let zones: Vec<String> = known.collect();
        assert!(zones.len() > 300, "only {} zones", zones.len());
        zones
    });

    /// A random zone, and an instant within ten years of 2026-11-22.
    fn anywhere() -> impl Strategy<Value = (String, Timestamp)> {
        let decade_ms = 3_653 * 86_400_000i64;
        let instant = (-decade_ms..decade_ms)
            .prop_map(|ms| at("2026-11-22T12:00:00Z") + SignedDuration::from_millis(ms));
        (any::<prop::sample::Index>(), instant).prop_map(|(i, now)| (i.get(&ZONES).clone(), now))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Spans of one kind tile time: no gap, no overlap, and each later one has a later name.
        #[test]
        fn spans_tile_time((zone, now) in anywhere(), within in 0u32..1_000) {
            let b = budget(&zone);
            let label = |window, t| b.span(window, t).expect("a known zone").label;
            for window in [Window::Day, Window::Week, Window::Month] {
                let this = b.span(window, now).expect("a known zone");
                let resets_at = this.resets_at.expect("it ends");
                prop_assert!(resets_at > now);
                let left = resets_at.duration_since(now);
                let longest = match window {
                    Window::Day => 49,
                    Window::Week => 8 * 24,
                    _ => 32 * 24,
                };
                prop_assert!(left <= SignedDuration::from_hours(longest), "{left}");
                // All the way to its end it is the same span, and from there on another.
                let inside = now + left / 1_000 * i32::try_from(within).expect("small");
                prop_assert_eq!(&label(window, inside), &this.label);
                let last = resets_at - SignedDuration::from_nanos(1);
                prop_assert_eq!(&label(window, last), &this.label);
                prop_assert!(label(window, resets_at) > this.label);
            }
        }
    }
}
