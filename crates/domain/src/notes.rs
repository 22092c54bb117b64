//! What is allowed in a budget but worth explaining before it is granted.

use crate::{Budget, NewPayeeRule, OverPayment, Units, Window};
use std::fmt;

/// One thing about a budget that its owner may not have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetNote {
    /// A limit is zero, so nothing can be paid at all.
    NothingAllowed {
        /// Which, in words: `per day`, `on open holds`.
        limit: &'static str,
    },
    /// The per-payment limit is above a window's, which stops every such payment anyway.
    PerPaymentAbove {
        /// The window with the lowest limit.
        window: Window,
    },
    /// A window's limit is above that of a wider one, which is met first.
    WindowAbove {
        /// The shorter or narrower window.
        window: Window,
        /// The wider one, with the lowest limit.
        above: Window,
    },
    /// A cap on new payees is set, but the rule for them lets none be paid unasked.
    NewPayeeCapUnused,
    /// The cap on new payees is zero, so each is asked about although the rule says allow.
    NewPayeeCapZero,
    /// Refusing above the per-payment limit is set, but there is no such limit.
    OverPaymentUnused,
    /// The limit on open holds is above the lifetime limit.
    ExposureAboveLifetime,
    /// The hours are the whole day.
    HoursWholeDay,
}

impl Budget {
    /// What is allowed but worth explaining; empty for a budget that says what it does.
    pub fn notes(&self) -> Vec<BudgetNote> {
        let mut notes = self.zero_notes();
        // No payment is larger than what any window takes; the cap on new payees only asks.
        let all = Window::ALL.into_iter().filter(|window| *window != Window::NewPayeeDay);
        let per_payment = self.lowest_below(self.limit_units_per_payment, all);
        notes.extend(per_payment.map(|window| BudgetNote::PerPaymentAbove { window }));
        notes.extend(Window::ALL.into_iter().filter_map(|window| {
            let above = self.lowest_below(self.limit(window), wider(window).iter().copied())?;
            Some(BudgetNote::WindowAbove { window, above })
        }));
        let cap = self.limit_units_per_new_payee_day;
        let lets_new_in = self.new_payee == NewPayeeRule::Allow;
        let per_payment = self.limit_units_per_payment;
        let exposure = self.lowest_below(self.limit_units_exposure, [Window::Lifetime]);
        let rest = [
            (cap.is_some() && !lets_new_in, BudgetNote::NewPayeeCapUnused),
            (cap.is_some_and(Units::is_zero) && lets_new_in, BudgetNote::NewPayeeCapZero),
            (
                self.over_payment == OverPayment::Deny && per_payment.is_none(),
                BudgetNote::OverPaymentUnused,
            ),
            (exposure.is_some(), BudgetNote::ExposureAboveLifetime),
            (self.hours.is_some_and(|hours| hours.is_whole_day()), BudgetNote::HoursWholeDay),
        ];
        notes.extend(rest.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note));
        notes
    }

    /// Of these windows the one with the lowest limit, if that is below this limit.
    fn lowest_below(
        &self,
        limit: Option<Units>,
        windows: impl IntoIterator<Item = Window>,
    ) -> Option<Window> {
        let limit = limit?;
        windows
            .into_iter()
            .filter_map(|window| Some((self.limit(window)?, window)))
            .filter(|(lower, _)| *lower < limit)
            .min_by_key(|(lower, _)| *lower)
            .map(|(_, window)| window)
    }

    /// Every limit that is zero and so stops all payments.
    fn zero_notes(&self) -> Vec<BudgetNote> {
        let per_payment = self.limit_units_per_payment.map(|l| ("per payment", l.is_zero()));
        let windows = Window::ALL
            .into_iter()
            // Zero there only makes each new payee a question.
            .filter(|window| *window != Window::NewPayeeDay)
            .map(|window| self.limit(window).map(|limit| (in_words(window), limit.is_zero())));
        let exposure = self.limit_units_exposure.map(|l| ("on open holds", l.is_zero()));
        let count = self.limit_count_per_hour.map(|l| ("on payments per hour", l == 0));
        std::iter::once(per_payment)
            .chain(windows)
            .chain([exposure, count])
            .flatten()
            .filter(|(_, zero)| *zero)
            .map(|(limit, _)| BudgetNote::NothingAllowed { limit })
            .collect()
    }
}

/// The windows that a window's payments all count in too, but for an hour over midnight or a week
/// over the turn of a month.
fn wider(window: Window) -> &'static [Window] {
    const LONGEST_LAST: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Lifetime];
    match window {
        Window::Hour | Window::PayeeDay | Window::NewPayeeDay => &LONGEST_LAST,
        Window::Day => &LONGEST_LAST[1..],
        Window::Week => &LONGEST_LAST[2..],
        Window::Month => &LONGEST_LAST[3..],
        Window::Lifetime => &[],
    }
}

fn in_words(window: Window) -> &'static str {
    match window {
        Window::Hour => "per hour",
        Window::Day => "per day",
        Window::Week => "per week",
        Window::Month => "per month",
        Window::Lifetime => "in all",
        Window::PayeeDay => "per payee and day",
        Window::NewPayeeDay => "for new payees per day",
    }
}

/// One sentence for the owner.
impl fmt::Display for BudgetNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BudgetNote::NothingAllowed { limit } => {
                write!(f, "The limit {limit} is zero, so nothing can be paid.")
            }
            BudgetNote::PerPaymentAbove { window } => write!(
                f,
                "The limit per payment is above the limit {}, so it has no effect.",
                in_words(*window)
            ),
            BudgetNote::WindowAbove { window, above } => write!(
                f,
                "The limit {} is above the limit {}, so it has next to no effect.",
                in_words(*window),
                in_words(*above)
            ),
            BudgetNote::NewPayeeCapUnused => f.write_str(
                "The limit for new payees per day has no effect, because no new payee is paid unasked.",
            ),
            BudgetNote::NewPayeeCapZero => f.write_str(
                "The limit for new payees per day is zero, so the owner is asked about each of them.",
            ),
            BudgetNote::OverPaymentUnused => f.write_str(
                "Refusing above the limit per payment has no effect, because no such limit is set.",
            ),
            BudgetNote::ExposureAboveLifetime => f.write_str(
                "The limit on open holds is above the limit in all, so it has no effect.",
            ),
            BudgetNote::HoursWholeDay => {
                f.write_str("The hours are the whole day, so they have no effect.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssetId;
    use alloy_primitives::Address;

    fn blank() -> Budget {
        Budget::blank(AssetId { chain_id: 1, contract: Address::ZERO })
    }

    fn units(n: u128) -> Option<Units> {
        Units::new(n).ok()
    }

    #[test]
    fn a_plain_budget_needs_no_explaining() {
        assert_eq!(blank().notes(), []);
        let b = Budget {
            limit_units_per_payment: units(10),
            limit_units_per_hour: units(10),
            limit_units_per_day: units(10),
            limit_units_per_week: units(20),
            limit_units_per_month: units(20),
            limit_units_lifetime: units(20),
            limit_units_per_payee_day: units(10),
            limit_units_per_new_payee_day: units(1),
            limit_units_exposure: units(20),
            limit_count_per_hour: Some(1),
            new_payee: NewPayeeRule::Allow,
            over_payment: OverPayment::Deny,
            hours: "09:00-18:00".parse().ok(),
            ..blank()
        };
        assert_eq!(b.notes(), []);
    }

    #[test]
    fn each_limit_of_zero_is_named() {
        let b = Budget {
            limit_units_per_payment: units(0),
            limit_units_per_hour: units(0),
            limit_units_per_day: units(0),
            limit_units_per_week: units(0),
            limit_units_per_month: units(0),
            limit_units_lifetime: units(0),
            limit_units_per_payee_day: units(0),
            limit_units_exposure: units(0),
            limit_count_per_hour: Some(0),
            ..blank()
        };
        let limits: Vec<_> = b
            .notes()
            .into_iter()
            .map(|note| match note {
                BudgetNote::NothingAllowed { limit } => limit,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            limits,
            [
                "per payment",
                "per hour",
                "per day",
                "per week",
                "per month",
                "in all",
                "per payee and day",
                "on open holds",
                "on payments per hour"
            ]
        );
    }

    #[test]
    fn a_limit_that_another_makes_useless_is_named_once_with_the_lowest() {
        let b = Budget {
            limit_units_per_payment: units(50),
            limit_units_per_day: units(40),
            limit_units_per_week: units(30),
            limit_units_per_month: units(20),
            limit_units_per_payee_day: units(20),
            limit_units_per_new_payee_day: units(21),
            new_payee: NewPayeeRule::Allow,
            ..blank()
        };
        let above = |window, above| BudgetNote::WindowAbove { window, above };
        assert_eq!(
            b.notes(),
            [
                BudgetNote::PerPaymentAbove { window: Window::Month },
                above(Window::Day, Window::Month),
                above(Window::Week, Window::Month),
                above(Window::NewPayeeDay, Window::Month),
            ]
        );
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let mut b = blank();
        b.limit_units_per_new_payee_day = units(5);
        assert_eq!(b.notes(), [BudgetNote::NewPayeeCapUnused]);
        b.limit_units_per_new_payee_day = units(0);
        b.new_payee = NewPayeeRule::Allow;
        assert_eq!(b.notes(), [BudgetNote::NewPayeeCapZero]);
        let mut b = blank();
        b.over_payment = OverPayment::Deny;
        b.limit_units_exposure = units(8);
        b.limit_units_lifetime = units(7);
        b.hours = "00:00-24:00".parse().ok();
        assert_eq!(
            b.notes(),
            [
                BudgetNote::OverPaymentUnused,
                BudgetNote::ExposureAboveLifetime,
                BudgetNote::HoursWholeDay
            ]
        );
    }

    #[test]
    fn every_note_is_a_sentence() {
        use BudgetNote::*;
        for note in [
            NothingAllowed { limit: "per day" },
            PerPaymentAbove { window: Window::Hour },
            WindowAbove { window: Window::Day, above: Window::Week },
            NewPayeeCapUnused,
            NewPayeeCapZero,
            OverPaymentUnused,
            ExposureAboveLifetime,
            HoursWholeDay,
        ] {
            let text = note.to_string();
            assert!(text.starts_with("The ") || text.starts_with("Refusing "), "{text}");
            assert!(text.ends_with('.') && !text.contains("  "), "{text}");
        }
        assert_eq!(
            WindowAbove { window: Window::Day, above: Window::Week }.to_string(),
            "The limit per day is above the limit per week, so it has next to no effect."
        );
    }
}
