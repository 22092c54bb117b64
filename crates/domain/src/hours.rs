//! Hours of the day in which an agent may pay, and walking through a zone's clock changes.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part of every day by the local clock, `09:00-18:00`; the end is not part of it.
///
/// It may pass midnight: `22:00-06:00`. An end may be `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HoursOfDay {
    /// Minutes after midnight, 0–1439.
    from_minute: u16,
    /// Minutes after midnight, 0–1440, never the same as `from_minute`.
    until_minute: u16,
}

/// A text that is no part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Not two times of the day with a hyphen between them.
    #[error("hours are two times of the day with a hyphen, such as 09:00-18:00")]
    NotHours,
    /// Both ends are the same: that could mean always or never.
    #[error("the hours end when they begin; leave them out to allow the whole day")]
    EqualEnds,
}

const MINUTES_PER_DAY: u16 = 24 * 60;

impl HoursOfDay {
    /// Whether no minute of these hours lies outside the others.
    pub fn is_within(&self, other: &HoursOfDay) -> bool {
        (0..i32::from(MINUTES_PER_DAY))
            .all(|minute| !self.open_at_minute(minute) || other.open_at_minute(minute))
    }

    /// Whether the hours contain this time of the local clock.
    pub fn open_at(&self, time: Time) -> bool {
        self.open_at_minute(i32::from(time.hour()) * 60 + i32::from(time.minute()))
    }

    fn open_at_minute(&self, minute: i32) -> bool {
        let (from, until) = (i32::from(self.from_minute), i32::from(self.until_minute));
        if from < until {
            (from..until).contains(&minute)
        } else {
            minute >= from || minute < until
        }
    }

    /// The first moment from `now` on at which the zone's local clock is inside the hours: `now`
    /// itself when it is inside already.
    ///
    /// Exact when the clocks change: an opening that they skip is the moment after the skip if
    /// that is still inside, and an opening that they repeat happens twice. `None` only where
    /// time itself ends (the year 9999).
    pub fn next_opening(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        first_moment(now, zone, |local| self.until_open(local))
    }

    /// Whether no time of the day is outside.
    pub fn is_whole_day(&self) -> bool {
        self.from_minute == 0 && self.until_minute == MINUTES_PER_DAY
    }

    /// How long by a clock that does not change, zero inside.
    fn until_open(&self, local: DateTime) -> SignedDuration {
        if self.open_at(local.time()) {
            return SignedDuration::ZERO;
        }
        let since_midnight = local.time().duration_since(Time::midnight());
        let wait = SignedDuration::from_mins(i64::from(self.from_minute)) - since_midnight;
        if wait.is_negative() { wait + SignedDuration::from_hours(24) } else { wait }
    }
}

/// The most clock changes looked past. A zone has a few a year and everything asked for lies
/// within two months, so this only bounds the walk on damaged zone data.
const CHANGES_MAX: usize = 64;

/// The first moment from `now` on that a zone's local clock is told to wait for.
///
/// `wait` says how long it still is at a local time, by a clock that does not change; zero means
/// here. Time is cut into stretches of one offset, so no answer lies beyond a clock change that
/// would have made it another.
pub(crate) fn first_moment(
    now: Timestamp,
    zone: &TimeZone,
    wait: impl Fn(DateTime) -> SignedDuration,
) -> Option<Timestamp> {
    let mut changes = zone.following(now);
    let mut start = now;
    for _ in 0..CHANGES_MAX {
        let end = changes.next().map(|change| change.timestamp());
        let moment = start.checked_add(wait(zone.to_datetime(start))).ok()?;
        match end {
            Some(end) if moment >= end => start = end,
            _ => return Some(moment),
        }
    }
    None
}

/// `09:00-18:00`.
impl fmt::Display for HoursOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from_minute, self.until_minute);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// Strictly `HH:MM-HH:MM`.
impl FromStr for HoursOfDay {
    type Err = HoursError;
    fn from_str(text: &str) -> Result<HoursOfDay, HoursError> {
        let (from, until) = text.split_once('-').ok_or(HoursError::NotHours)?;
        let from_minute = minute(from).ok_or(HoursError::NotHours)?;
        let until_minute = minute(until).ok_or(HoursError::NotHours)?;
        if from_minute == MINUTES_PER_DAY {
            return Err(HoursError::NotHours);
        }
        if from_minute == until_minute {
            return Err(HoursError::EqualEnds);
        }
        Ok(HoursOfDay { from_minute, until_minute })
    }
}

/// Minutes after midnight of `HH:MM`, `24:00` included.
fn minute(text: &str) -> Option<u16> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return None };
    let two = |tens: u8, ones: u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
    };
    let (hour, minute) = (two(h1, h2)?, two(m1, m2)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= MINUTES_PER_DAY).then_some(minutes)
}

impl TryFrom<String> for HoursOfDay {
    type Error = HoursError;
    fn try_from(text: String) -> Result<HoursOfDay, HoursError> {
        text.parse()
    }
}

impl From<HoursOfDay> for String {
    fn from(hours: HoursOfDay) -> String {
        hours.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(text: &str) -> HoursOfDay {
        text.parse().expect("hours")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn opening(text: &str, zone: &str, now: &str) -> Timestamp {
        let zone = TimeZone::get(zone).expect("a zone");
        hours(text).next_opening(at(now), &zone).expect("an opening")
    }

    #[test]
    fn reads_back_what_it_writes() {
        for text in ["09:00-18:00", "22:00-06:00", "00:00-24:00", "23:59-00:00", "00:00-00:01"] {
            assert_eq!(hours(text).to_string(), text);
            let json = serde_json::to_string(&hours(text)).expect("written");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<HoursOfDay>(&json).expect("read"), hours(text));
        }
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        for bad in [
            "",
            "-",
            "09:00",
            "09:00-",
            "-18:00",
            "9:00-18:00",
            "09:00-18:0",
            "09:00–18:00",
            "09:00 - 18:00",
            "09:00-18:00 ",
            "24:00-06:00",
            "09:00-24:01",
            "25:00-26:00",
            "09:60-18:00",
            "09:00-17:60",
            "09.00-18.00",
            "+9:00-18:00",
            "0900-1800",
            "09:00-18:00-20:00",
            "٠٩:00-18:00",
            "09:00:00-18:00:00",
            "9am-6pm",
        ] {
            assert_eq!(bad.parse::<HoursOfDay>(), Err(HoursError::NotHours), "{bad:?}");
        }
        for bad in ["09:00-09:00", "00:00-00:00"] {
            assert_eq!(bad.parse::<HoursOfDay>(), Err(HoursError::EqualEnds), "{bad:?}");
        }
    }

    #[test]
    fn the_end_is_outside() {
        let open = |text: &str, time: &str| hours(text).open_at(time.parse().expect("a time"));
        for (text, inside, outside) in [
            ("09:00-18:00", ["09:00", "12:34", "17:59:59.999"], ["08:59:59.999", "18:00", "00:00"]),
            ("22:00-06:00", ["22:00", "00:00", "05:59:59.999"], ["21:59:59.999", "06:00", "12:00"]),
            ("12:00-24:00", ["12:00", "18:00", "23:59:59.999"], ["00:00", "06:00", "11:59:59.999"]),
            ("22:00-00:00", ["22:00", "23:00", "23:59:59.999"], ["00:00", "06:00", "21:59:59.999"]),
        ] {
            for time in inside {
                assert!(open(text, time), "{text} at {time}");
            }
            for time in outside {
                assert!(!open(text, time), "{text} at {time}");
            }
        }
        assert!(hours("00:00-24:00").is_whole_day() && !hours("00:00-23:59").is_whole_day());
    }

    #[test]
    fn opens_today_or_tomorrow_by_the_local_clock() {
        let nine_to_six = |now| opening("09:00-18:00", "Europe/Amsterdam", now);
        assert_eq!(nine_to_six("2026-11-22T05:00:00Z"), at("2026-11-22T08:00:00Z"));
        assert_eq!(nine_to_six("2026-11-22T17:00:00Z"), at("2026-11-23T08:00:00Z"));
        // Inside already.
        assert_eq!(nine_to_six("2026-11-22T08:00:00.5Z"), at("2026-11-22T08:00:00.5Z"));
        // A fraction of a second before.
        assert_eq!(nine_to_six("2026-11-22T07:59:59.999Z"), at("2026-11-22T08:00:00Z"));
    }

    #[test]
    fn nights_of_23_and_25_hours_open_on_time() {
        let seven = |now| opening("07:00-08:00", "Europe/Amsterdam", now);
        // 23 hours: clocks go forward on 29 March 2026.
        assert_eq!(seven("2026-03-28T07:00:00Z"), at("2026-03-29T05:00:00Z"));
        // 25 hours: clocks go back on 25 October 2026.
        assert_eq!(seven("2026-10-24T06:00:00Z"), at("2026-10-25T06:00:00Z"));
        let new_york = |now| opening("07:00-08:00", "America/New_York", now);
        assert_eq!(new_york("2026-03-07T13:00:00Z"), at("2026-03-08T11:00:00Z"));
        assert_eq!(new_york("2026-10-31T12:00:00Z"), at("2026-11-01T12:00:00Z"));
    }

    #[test]
    fn an_opening_that_the_clocks_skip_or_repeat() {
        // 02:00 to 03:00 does not exist on 29 March: 02:30 becomes 03:00.
        let skipped = |text| opening(text, "Europe/Amsterdam", "2026-03-29T00:00:00Z");
        assert_eq!(skipped("02:30-05:00"), at("2026-03-29T01:00:00Z"));
        // Nothing of it exists that day, so it is the next.
        assert_eq!(skipped("02:15-02:45"), at("2026-03-30T00:15:00Z"));
        // 02:00 to 03:00 comes twice on 25 October.
        let repeated = |now| opening("02:15-02:45", "Europe/Amsterdam", now);
        assert_eq!(repeated("2026-10-24T23:30:00Z"), at("2026-10-25T00:15:00Z"));
        assert_eq!(repeated("2026-10-25T00:45:00Z"), at("2026-10-25T01:15:00Z"));
        // The clock going back can itself be the opening.
        let back = |now| opening("01:00-02:30", "Europe/Amsterdam", now);
        assert_eq!(back("2026-10-25T00:40:00Z"), at("2026-10-25T01:00:00Z"));
        // Half an hour on Lord Howe, and a whole day that Samoa skipped.
        let lord_howe = |now| opening("02:00-02:20", "Australia/Lord_Howe", now);
        assert_eq!(lord_howe("2026-10-03T15:00:00Z"), at("2026-10-04T15:00:00Z"));
        let apia = opening("09:00-18:00", "Pacific/Apia", "2011-12-30T09:00:00Z");
        assert_eq!(apia, at("2011-12-30T19:00:00Z"));
    }

    #[test]
    fn the_end_of_time_is_no_opening() {
        let zone = TimeZone::UTC;
        assert_eq!(hours("21:00-21:30").next_opening(Timestamp::MAX, &zone), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The opening is the first open minute found by looking at every one of them.
        #[test]
        fn the_opening_is_the_first_open_minute(
            ends in (0u16..1440, 1u16..=1440).prop_filter("equal", |(a, b)| a != b),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe",
                "Africa/Casablanca", "Antarctica/Troll", "Asia/Kathmandu",
            ]),
            change in 0usize..20,
            offset_s in -172_800i64..172_800,
        ) {
            let hours = HoursOfDay { from_minute: ends.0, until_minute: ends.1 };
            let zone = TimeZone::get(zone).expect("a zone");
            // Near a clock change, where there is one.
            let base = at("2020-01-01T00:00:00Z");
            let near = zone.following(base).nth(change).map_or(base, |t| t.timestamp());
            let now = near + SignedDuration::from_secs(offset_s);
            let open = |t: Timestamp| hours.open_at(zone.to_datetime(t).time());
            let next_minute = now.as_second().div_euclid(60) * 60 + 60;
            let by_minute = (0..5_000)
                .filter_map(|i| Timestamp::from_second(next_minute + i * 60).ok());
            let expected = std::iter::once(now).chain(by_minute).find(|t| open(*t));
            prop_assert_eq!(hours.next_opening(now, &zone), expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = text.parse::<HoursOfDay>();
        }
    }
}
