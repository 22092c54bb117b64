//! Budgets: the limits of one agent, or of several that share one.

use crate::{AssetId, HoursOfDay, Units, Window};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// What happens above the per-payment limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverPayment {
    /// The owner is asked.
    #[default]
    Ask,
    /// It is refused.
    Deny,
}

/// What happens with a payee never paid before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewPayeeRule {
    /// The owner is asked.
    #[default]
    Ask,
    /// A steward (L4) may pay it unasked; a lower grade still asks.
    Allow,
    /// It is refused.
    Deny,
}

/// The limits of one agent, or of several that share one budget, in one asset.
///
/// An absent limit does not limit; a limit of zero allows nothing. A limit holds for the sum of
/// what settled, what is reserved and what was signed and may still be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The only asset this agent may spend.
    pub asset: AssetId,
    /// Above this for one payment, [`Budget::over_payment`] applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_payment: Option<Units>,
    /// In any 60 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_hour: Option<Units>,
    /// Per calendar day in [`Budget::zone`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_day: Option<Units>,
    /// Per calendar week, Monday first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_week: Option<Units>,
    /// Per calendar month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_month: Option<Units>,
    /// In all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_lifetime: Option<Units>,
    /// To one payee (origin and address) per calendar day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_payee_day: Option<Units>,
    /// What a steward (L4) may pay unasked per calendar day to payees never paid before,
    /// together; above it the owner is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_per_new_payee_day: Option<Units>,
    /// Open holds together, at any instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_units_exposure: Option<Units>,
    /// How many payments in any 60 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_count_per_hour: Option<u32>,
    /// The local time of day in [`Budget::zone`] outside of which nothing may be spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<HoursOfDay>,
    /// Ask or refuse above the per-payment limit.
    #[serde(default)]
    pub over_payment: OverPayment,
    /// Ask, allow or refuse a payee never paid before.
    #[serde(default)]
    pub new_payee: NewPayeeRule,
    /// The time zone the calendar windows run in, by its name in the IANA database
    /// (<https://www.iana.org/time-zones>), `Europe/Amsterdam`: the same names that RFC 9557 puts
    /// behind a time. A mere offset would not know when the clocks change.
    pub zone: String,
    /// From this moment on nothing may be spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Why limits cannot be a budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// The zone is in no time zone database.
    #[error("“{zone}” is no time zone; write one such as Europe/Amsterdam or UTC")]
    UnknownZone {
        /// What was given.
        zone: String,
    },
    /// The end lies before the beginning.
    #[error("the budget would have ended before it starts")]
    ExpiresInThePast,
    /// No calendar window bounds it, so there is no honest worst case.
    #[error(
        "set at least one limit over time: per day, week, month or lifetime; a limit per hour or on open holds alone bounds nothing over time"
    )]
    Unbounded,
}

impl Budget {
    /// A budget with no limit at all, to be filled in: zone `UTC`, asking above and for the new,
    /// no end. [`Budget::check`] refuses it as it is.
    pub fn blank(asset: AssetId) -> Budget {
        Budget {
            asset,
            limit_units_per_payment: None,
            limit_units_per_hour: None,
            limit_units_per_day: None,
            limit_units_per_week: None,
            limit_units_per_month: None,
            limit_units_lifetime: None,
            limit_units_per_payee_day: None,
            limit_units_per_new_payee_day: None,
            limit_units_exposure: None,
            limit_count_per_hour: None,
            hours: None,
            over_payment: OverPayment::Ask,
            new_payee: NewPayeeRule::Ask,
            zone: "UTC".into(),
            expires_at: None,
        }
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    /// [`BudgetError`], each saying what to write instead.
    pub fn check(&self, now: Timestamp) -> Result<(), BudgetError> {
        self.time_zone()?;
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(BudgetError::ExpiresInThePast);
        }
        let bounding = [Window::Day, Window::Week, Window::Month, Window::Lifetime];
        if bounding.into_iter().all(|window| self.limit(window).is_none()) {
            return Err(BudgetError::Unbounded);
        }
        Ok(())
    }

    /// The limit over a window, if one is set.
    pub fn limit(&self, window: Window) -> Option<Units> {
        match window {
            Window::Hour => self.limit_units_per_hour,
            Window::Day => self.limit_units_per_day,
            Window::Week => self.limit_units_per_week,
            Window::Month => self.limit_units_per_month,
            Window::Lifetime => self.limit_units_lifetime,
            Window::PayeeDay => self.limit_units_per_payee_day,
            Window::NewPayeeDay => self.limit_units_per_new_payee_day,
        }
    }

    /// Whether this budget gives any authority that `before` did not: a limit that is higher or
    /// gone, a milder rule, other hours, a later end, other days. What cannot be compared counts
    /// as more, so that only what surely takes authority away passes for less.
    pub fn gives_more_than(&self, before: &Budget) -> bool {
        // Every field by name: a new one has to be compared before this compiles.
        let Budget {
            asset,
            limit_units_per_payment,
            limit_units_per_hour,
            limit_units_per_day,
            limit_units_per_week,
            limit_units_per_month,
            limit_units_lifetime,
            limit_units_per_payee_day,
            limit_units_per_new_payee_day,
            limit_units_exposure,
            limit_count_per_hour,
            hours,
            over_payment,
            new_payee,
            zone,
            expires_at,
        } = self;
        *asset != before.asset
            // Other days: what is spent today would count for another one.
            || *zone != before.zone
            || is_higher(limit_units_per_payment, &before.limit_units_per_payment)
            || is_higher(limit_units_per_hour, &before.limit_units_per_hour)
            || is_higher(limit_units_per_day, &before.limit_units_per_day)
            || is_higher(limit_units_per_week, &before.limit_units_per_week)
            || is_higher(limit_units_per_month, &before.limit_units_per_month)
            || is_higher(limit_units_lifetime, &before.limit_units_lifetime)
            || is_higher(limit_units_per_payee_day, &before.limit_units_per_payee_day)
            || is_higher(limit_units_per_new_payee_day, &before.limit_units_per_new_payee_day)
            || is_higher(limit_units_exposure, &before.limit_units_exposure)
            || is_higher(limit_count_per_hour, &before.limit_count_per_hour)
            || is_higher(expires_at, &before.expires_at)
            || reach_beyond(hours, &before.hours)
            || (*over_payment == OverPayment::Ask && before.over_payment == OverPayment::Deny)
            || leave(*new_payee) > leave(before.new_payee)
    }

    pub(crate) fn time_zone(&self) -> Result<TimeZone, BudgetError> {
        let unknown = || BudgetError::UnknownZone { zone: self.zone.chars().take(64).collect() };
        let zone = TimeZone::get(&self.zone).map_err(|_| unknown())?;
        // “Etc/Unknown” is in the database and stands for no place.
        if zone.is_unknown() { Err(unknown()) } else { Ok(zone) }
    }
}

/// Whether a limit is higher than before; none at all is the highest.
fn is_higher<T: PartialOrd>(now: &Option<T>, before: &Option<T>) -> bool {
    match (now, before) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(now), Some(before)) => now > before,
    }
}

/// Whether hours hold a minute that they did not before; none at all is the whole day.
fn reach_beyond(now: &Option<HoursOfDay>, before: &Option<HoursOfDay>) -> bool {
    match (now, before) {
        (_, None) => false,
        (None, Some(before)) => !before.is_whole_day(),
        (Some(now), Some(before)) => !now.is_within(before),
    }
}

/// How much a rule leaves to the agent.
fn leave(rule: NewPayeeRule) -> u8 {
    match rule {
        NewPayeeRule::Deny => 0,
        NewPayeeRule::Ask => 1,
        NewPayeeRule::Allow => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    fn blank() -> Budget {
        Budget::blank(AssetId { chain_id: 1, contract: Address::ZERO })
    }

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().expect("a timestamp")
    }

    #[test]
    fn contradictions_are_explained() {
        let mut b = blank();
        b.limit_units_per_day = Units::new(5).ok();
        assert_eq!(b.check(now()), Ok(()));
        for zone in ["Mars/Olympus", "", "local", "+01:00", "Etc/Unknown", "Europe/Amsterdam "] {
            b.zone = zone.into();
            assert_eq!(b.check(now()), Err(BudgetError::UnknownZone { zone: zone.into() }));
        }
        b.zone = "x".repeat(1_000);
        assert_eq!(b.check(now()), Err(BudgetError::UnknownZone { zone: "x".repeat(64) }));
    }

    #[test]
    fn an_end_lies_ahead() {
        let mut b = blank();
        b.limit_units_per_day = Units::new(5).ok();
        for (end, answer) in [
            ("2026-11-22T11:59:59Z", Err(BudgetError::ExpiresInThePast)),
            ("2026-11-22T12:00:00Z", Err(BudgetError::ExpiresInThePast)),
            ("2026-11-22T12:00:00.000000001Z", Ok(())),
        ] {
            b.expires_at = end.parse().ok();
            assert_eq!(b.check(now()), answer, "{end}");
        }
    }

    #[test]
    fn only_a_calendar_window_bounds_anything() {
        type Set = fn(&mut Budget);
        let bounding: [Set; 4] = [
            |b| b.limit_units_per_day = Some(Units::ZERO),
            |b| b.limit_units_per_week = Some(Units::ZERO),
            |b| b.limit_units_per_month = Some(Units::ZERO),
            |b| b.limit_units_lifetime = Some(Units::ZERO),
        ];
        let not_bounding: [Set; 7] = [
            |_| (),
            |b| b.limit_units_per_payment = Some(Units::ZERO),
            |b| b.limit_units_per_hour = Some(Units::ZERO),
            |b| b.limit_units_exposure = Some(Units::ZERO),
            |b| b.limit_count_per_hour = Some(0),
            |b| b.limit_units_per_payee_day = Some(Units::ZERO),
            |b| b.limit_units_per_new_payee_day = Some(Units::ZERO),
        ];
        let check = |set: &Set| {
            let mut b = blank();
            set(&mut b);
            b.check(now())
        };
        assert!(bounding.iter().all(|set| check(set) == Ok(())));
        assert!(not_bounding.iter().all(|set| check(set) == Err(BudgetError::Unbounded)));
        assert!(BudgetError::Unbounded.to_string().contains("a limit per hour"));
    }

    #[test]
    fn each_window_has_its_own_limit() {
        let units = |n| Units::new(n).ok();
        let b = Budget {
            limit_units_per_hour: units(1),
            limit_units_per_day: units(2),
            limit_units_per_week: units(3),
            limit_units_per_month: units(4),
            limit_units_lifetime: units(5),
            limit_units_per_payee_day: units(6),
            limit_units_per_new_payee_day: units(7),
            ..blank()
        };
        let limits: Vec<_> = Window::ALL.into_iter().map(|window| b.limit(window)).collect();
        assert_eq!(limits, (1..=7).map(units).collect::<Vec<_>>());
    }

    /// A budget with every limit, and in its middle.
    fn full() -> Budget {
        let five = Units::new(5).ok();
        Budget {
            limit_units_per_payment: five,
            limit_units_per_hour: five,
            limit_units_per_day: five,
            limit_units_per_week: five,
            limit_units_per_month: five,
            limit_units_lifetime: five,
            limit_units_per_payee_day: five,
            limit_units_per_new_payee_day: five,
            limit_units_exposure: five,
            limit_count_per_hour: Some(5),
            hours: "09:00-18:00".parse().ok(),
            over_payment: OverPayment::Ask,
            new_payee: NewPayeeRule::Ask,
            expires_at: "2027-01-01T00:00:00Z".parse().ok(),
            ..blank()
        }
    }

    /// Each change with whether it gives more.
    #[test]
    fn every_limit_is_compared() {
        type Set = fn(&mut Budget, Option<u128>);
        let limits: [Set; 10] = [
            |b, n| b.limit_units_per_payment = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_hour = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_day = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_week = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_month = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_lifetime = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_payee_day = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_per_new_payee_day = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_units_exposure = n.and_then(|n| Units::new(n).ok()),
            |b, n| b.limit_count_per_hour = n.and_then(|n| u32::try_from(n).ok()),
        ];
        assert!(!full().gives_more_than(&full()));
        for (at, set) in limits.iter().enumerate() {
            for (to, more) in [(Some(0), false), (Some(4), false), (Some(6), true), (None, true)] {
                let mut b = full();
                set(&mut b, to);
                assert_eq!(b.gives_more_than(&full()), more, "limit {at} to {to:?}");
                // A lower limit elsewhere does not make up for it.
                b.limit_count_per_hour = b.limit_count_per_hour.map(|count| count.min(1));
                let other = if at == 9 { more && to.is_none() } else { more };
                assert_eq!(b.gives_more_than(&full()), other, "limit {at} to {to:?}");
            }
            let mut unlimited = full();
            set(&mut unlimited, None);
            assert!(!full().gives_more_than(&unlimited), "limit {at} is new");
        }
    }

    #[test]
    fn rules_hours_days_and_ends_are_compared() {
        type Set = fn(&mut Budget);
        let more: [Set; 6] = [
            |b| b.hours = None,
            |b| b.hours = "08:59-18:00".parse().ok(),
            |b| b.new_payee = NewPayeeRule::Allow,
            |b| b.expires_at = None,
            |b| b.expires_at = "2027-01-01T00:00:01Z".parse().ok(),
            |b| b.zone = "Asia/Tokyo".into(),
        ];
        let not_more: [Set; 4] = [
            |b| b.hours = "10:00-17:30".parse().ok(),
            |b| b.new_payee = NewPayeeRule::Deny,
            |b| b.over_payment = OverPayment::Deny,
            |b| b.expires_at = "2026-12-01T00:00:00Z".parse().ok(),
        ];
        for (sets, expected) in [(&more[..], true), (&not_more[..], false)] {
            for (at, set) in sets.iter().enumerate() {
                let mut b = full();
                set(&mut b);
                assert_eq!(b.gives_more_than(&full()), expected, "{at}");
            }
        }
        let mut denies = full();
        denies.over_payment = OverPayment::Deny;
        assert!(full().gives_more_than(&denies));
        let mut always = full();
        always.hours = None;
        assert!(!full().gives_more_than(&always));
        let mut other = full();
        other.asset.chain_id = 2;
        assert!(other.gives_more_than(&full()));
    }

    /// Older books hold budgets without the newer limits; and what is not set is not written.
    #[test]
    fn reads_what_older_books_hold() {
        let old = r#"{"asset":{"chain_id":1,"contract":"0x0000000000000000000000000000000000000000"},
            "limit_units_per_day":"5","over_payment":"ask","new_payee":"ask","zone":"UTC"}"#;
        let read: Budget = serde_json::from_str(old).expect("still read");
        let mut b = blank();
        b.limit_units_per_day = Units::new(5).ok();
        assert_eq!(read, b);
        let written = serde_json::to_value(&b).expect("written");
        let keys: Vec<_> = written.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys, ["asset", "limit_units_per_day", "new_payee", "over_payment", "zone"]);
        b.hours = "09:00-18:00".parse().ok();
        b.limit_count_per_hour = Some(3);
        b.limit_units_exposure = Units::new(7).ok();
        let text = serde_json::to_string(&b).expect("written");
        assert!(text.contains(r#""hours":"09:00-18:00""#), "{text}");
        assert_eq!(serde_json::from_str::<Budget>(&text).expect("read back"), b);
    }

    #[test]
    fn hours_in_bad_form_are_no_budget() {
        let with = |hours: &str| {
            let text = format!(
                r#"{{"asset":{{"chain_id":1,"contract":"{}"}},"zone":"UTC","hours":"{hours}"}}"#,
                Address::ZERO
            );
            serde_json::from_str::<Budget>(&text).map_err(|e| e.to_string())
        };
        assert!(with("22:00-06:00").is_ok());
        assert!(with("9-18").is_err_and(|e| e.contains("such as 09:00-18:00")));
        assert!(with("09:00-09:00").is_err_and(|e| e.contains("leave them out")));
    }
}
