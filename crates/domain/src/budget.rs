//! Budgets: the limits of one agent, and the calendar windows they run in.

use crate::{AssetId, Units};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
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

/// The limits of one agent, in one asset.
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
    /// Ask or refuse above the per-payment limit.
    #[serde(default)]
    pub over_payment: OverPayment,
    /// Ask, allow or refuse a payee never paid before.
    #[serde(default)]
    pub new_payee: NewPayeeRule,
    /// IANA time zone the calendar windows run in, `Europe/Amsterdam`.
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
    /// No window bounds it, so there is no honest worst case.
    #[error("set at least one limit over time: per day, week, month or lifetime")]
    Unbounded,
}

/// A span of time that a limit runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// A calendar day in the budget's zone; 23 or 25 hours when the clocks change.
    Day,
    /// A calendar week, Monday first.
    Week,
    /// A calendar month.
    Month,
    /// From the agent's first day on.
    Lifetime,
}

/// One particular window: this day, this week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpan {
    /// Which kind.
    pub window: Window,
    /// Names this span among those of its kind: the local date it starts on, `2026-11-22`.
    pub label: String,
    /// When the next one starts; a lifetime never ends.
    pub resets_at: Option<Timestamp>,
}

impl Window {
    /// All windows, shortest first.
    pub const ALL: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Lifetime];

    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
            Window::Lifetime => "lifetime",
        }
    }
}

impl Budget {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// [`BudgetError`], each saying what to write instead.
    pub fn check(&self, now: Timestamp) -> Result<(), BudgetError> {
        self.time_zone()?;
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(BudgetError::ExpiresInThePast);
        }
        if Window::ALL.into_iter().all(|window| self.limit(window).is_none()) {
            return Err(BudgetError::Unbounded);
        }
        Ok(())
    }

    /// The limit over a window, if one is set.
    pub fn limit(&self, window: Window) -> Option<Units> {
        match window {
            Window::Day => self.limit_units_per_day,
            Window::Week => self.limit_units_per_week,
            Window::Month => self.limit_units_per_month,
            Window::Lifetime => self.limit_units_lifetime,
        }
    }

    /// The window of one kind that `now` falls into.
    ///
    /// # Errors
    /// [`BudgetError::UnknownZone`] when the zone is not in the database.
    pub fn span(&self, window: Window, now: Timestamp) -> Result<WindowSpan, BudgetError> {
        let local = now.to_zoned(self.time_zone()?);
        let (label, resets_at) = match window {
            Window::Lifetime => ("all".to_owned(), None),
            Window::Day => labelled(&local, local.date(), 1.day()),
            Window::Week => {
                let since_monday = local.weekday().since(Weekday::Monday);
                let monday = local.date().saturating_sub(i64::from(since_monday).days());
                labelled(&local, monday, 7.days())
            }
            Window::Month => labelled(&local, local.date().first_of_month(), 1.month()),
        };
        Ok(WindowSpan { window, label, resets_at })
    }

    /// Every window that `now` falls into, shortest first.
    ///
    /// # Errors
    /// [`BudgetError::UnknownZone`] when the zone is not in the database.
    pub fn spans(&self, now: Timestamp) -> Result<Vec<WindowSpan>, BudgetError> {
        Window::ALL.into_iter().map(|window| self.span(window, now)).collect()
    }

    fn time_zone(&self) -> Result<TimeZone, BudgetError> {
        TimeZone::get(&self.zone)
            .map_err(|_| BudgetError::UnknownZone { zone: self.zone.chars().take(64).collect() })
    }
}

fn labelled(
    local: &Zoned,
    first_day: jiff::civil::Date,
    length: jiff::Span,
) -> (String, Option<Timestamp>) {
    let next = first_day.saturating_add(length);
    // A midnight that the clocks skip becomes the first moment that exists on that day.
    let resets_at = next.to_zoned(local.time_zone().clone()).ok().map(|z| z.timestamp());
    (first_day.to_string(), resets_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    fn budget(zone: &str) -> Budget {
        Budget {
            asset: AssetId { chain_id: 1, contract: Address::ZERO },
            limit_units_per_payment: None,
            limit_units_per_day: Units::new(5).ok(),
            limit_units_per_week: None,
            limit_units_per_month: None,
            limit_units_lifetime: None,
            over_payment: OverPayment::Ask,
            new_payee: NewPayeeRule::Ask,
            zone: zone.into(),
            expires_at: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn a_day_is_the_zones_own() {
        let day = |zone: &str, now: &str| budget(zone).span(Window::Day, at(now)).expect("known");
        assert_eq!(day("UTC", "2026-11-22T23:59:59Z").label, "2026-11-22");
        assert_eq!(day("Asia/Tokyo", "2026-11-22T23:59:59Z").label, "2026-11-23");
        // Clocks go back on 25 October 2026 in Amsterdam: that day has 25 hours.
        let long = day("Europe/Amsterdam", "2026-10-25T10:00:00Z");
        assert_eq!(long.resets_at, Some(at("2026-10-25T23:00:00Z")));
        let before = day("Europe/Amsterdam", "2026-10-24T10:00:00Z");
        assert_eq!(before.resets_at, Some(at("2026-10-24T22:00:00Z")));
    }

    #[test]
    fn weeks_start_on_monday_and_months_on_the_first() {
        let b = budget("UTC");
        let now = at("2026-11-22T12:00:00Z"); // a Sunday
        assert_eq!(b.span(Window::Week, now).expect("known").label, "2026-11-16");
        assert_eq!(b.span(Window::Month, now).expect("known").label, "2026-11-01");
        assert_eq!(
            b.span(Window::Month, now).expect("known").resets_at,
            Some(at("2026-12-01T00:00:00Z"))
        );
        assert_eq!(b.span(Window::Lifetime, now).expect("known").resets_at, None);
    }

    #[test]
    fn contradictions_are_explained() {
        let now = at("2026-11-22T12:00:00Z");
        assert!(matches!(budget("Mars/Olympus").check(now), Err(BudgetError::UnknownZone { .. })));
        let mut b = budget("UTC");
        b.expires_at = Some(now);
        assert_eq!(b.check(now), Err(BudgetError::ExpiresInThePast));
        let mut b = budget("UTC");
        b.limit_units_per_day = None;
        assert_eq!(b.check(now), Err(BudgetError::Unbounded));
    }
}
