//! A budget as its owner writes it: read strictly, shown again exactly, and said in a sentence.

use crate::desk::Desk;
use crate::problem::{bad_amount, bad_input};
use crate::view::{BudgetForm, Problem};
use crate::wording::word;
use imprest_domain::{Budget, HoursOfDay, NewPayeeRule, OverPayment, Units, Window};
use jiff::Timestamp;

/// Whose budget a form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One agent's own.
    Agent,
    /// Several agents' together.
    Shared,
}

impl Desk {
    /// Reads a form, and says which field cannot be used.
    pub(crate) fn read_budget(&self, form: &BudgetForm, whose: Whose) -> Result<Budget, Problem> {
        let asset = &self.inner.asset;
        let read = |field: &str, text: &Option<String>| match given(field, text)? {
            None => Ok(None),
            Some(text) => asset.parse(text).map(Some).map_err(|e| bad_amount(field, e)),
        };
        let zone = match form.zone.trim() {
            "" => jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned(),
            zone => zone.to_owned(),
        };
        let budget = Budget {
            limit_units_per_payment: read("Per payment", &form.per_payment)?,
            limit_units_per_hour: read("Per hour", &form.per_hour)?,
            limit_units_per_day: read("Per day", &form.per_day)?,
            limit_units_per_week: read("Per week", &form.per_week)?,
            limit_units_per_month: read("Per month", &form.per_month)?,
            limit_units_lifetime: read("In all", &form.lifetime)?,
            limit_units_per_payee_day: read("Per payee and day", &form.per_payee_day)?,
            limit_units_per_new_payee_day: read("New payees per day", &form.per_new_payee_day)?,
            limit_units_exposure: read("In flight", &form.exposure)?,
            limit_count_per_hour: given(COUNT, &form.max_count_hour)?
                .map(read_count)
                .transpose()?,
            hours: given(HOURS, &form.hours)?.map(read_hours).transpose()?,
            over_payment: match form.over_payment.as_str() {
                "ask" | "" => OverPayment::Ask,
                "deny" => OverPayment::Deny,
                _ => return Err(bad_input("Above the limit", "write ask or deny")),
            },
            new_payee: match (form.new_payee.as_str(), whose) {
                ("ask", _) | ("", Whose::Agent) => NewPayeeRule::Ask,
                ("allow", _) | ("", Whose::Shared) => NewPayeeRule::Allow,
                ("deny", _) => NewPayeeRule::Deny,
                _ => return Err(bad_input("New payees", "write ask, allow or deny")),
            },
            zone,
            expires_at: given(ENDS, &form.expires_at)?.map(read_end).transpose()?,
            ..Budget::blank(asset.id)
        };
        budget.check(self.inner.ledger.now())?;
        Ok(budget)
    }

    /// The form that reads as this budget again.
    pub(crate) fn budget_form(&self, budget: &Budget) -> BudgetForm {
        let show = |units: Option<Units>| units.map(|units| self.inner.asset.format(units));
        BudgetForm {
            per_payment: show(budget.limit_units_per_payment),
            per_hour: show(budget.limit_units_per_hour),
            per_day: show(budget.limit_units_per_day),
            per_week: show(budget.limit_units_per_week),
            per_month: show(budget.limit_units_per_month),
            lifetime: show(budget.limit_units_lifetime),
            per_payee_day: show(budget.limit_units_per_payee_day),
            per_new_payee_day: show(budget.limit_units_per_new_payee_day),
            exposure: show(budget.limit_units_exposure),
            max_count_hour: budget.limit_count_per_hour.map(|count| count.to_string()),
            hours: budget.hours.map(|hours| hours.to_string()),
            over_payment: word(&budget.over_payment),
            new_payee: word(&budget.new_payee),
            zone: budget.zone.clone(),
            expires_at: budget.expires_at.map(|at| at.to_string()),
        }
    }

    /// “Scout may spend 5.00 USDC per day, at most 0.25 each, then ask me.”, and in a second
    /// sentence what else holds.
    pub(crate) fn budget_sentence(&self, who: &str, budget: &Budget) -> String {
        let asset = &self.inner.asset;
        let over_time: Vec<String> = Window::OVER_TIME
            .into_iter()
            .filter_map(|window| {
                let limit = asset.format_with_symbol(budget.limit(window)?);
                Some(match window {
                    Window::Lifetime => format!("{limit} in all"),
                    window => format!("{limit} per {}", window.word()),
                })
            })
            .collect();
        let each = match budget.limit_units_per_payment {
            Some(limit) => {
                let then = match budget.over_payment {
                    OverPayment::Ask => "then ask me",
                    OverPayment::Deny => "never more",
                };
                format!(", at most {} each, {then}", asset.format(limit))
            }
            None => String::new(),
        };
        format!("{who} {}{each}.{}", over_time.join(" and "), self.further_limits(budget))
    }

    /// The limits that are no sum over time, as a sentence of their own.
    fn further_limits(&self, budget: &Budget) -> String {
        let asset = &self.inner.asset;
        let per_payee = budget.limit_units_per_payee_day.map(|l| (l, "a day to one payee"));
        let per_new =
            budget.limit_units_per_new_payee_day.map(|l| (l, "a day to new payees unasked"));
        let exposure = budget.limit_units_exposure.map(|l| (l, "in flight at once"));
        let count = budget.limit_count_per_hour.map(|n| match n {
            1 => "1 payment in any 60 minutes".to_owned(),
            n => format!("{n} payments in any 60 minutes"),
        });
        let sums = [per_payee, per_new, exposure].into_iter().flatten();
        let limits: Vec<String> = count
            .into_iter()
            .chain(sums.map(|(limit, what)| format!("{} {what}", asset.format(limit))))
            .collect();
        let mut text = match &limits[..] {
            [] => String::new(),
            limits => format!(" At most {}.", limits.join(", ")),
        };
        if let Some(hours) = budget.hours {
            text += &format!(" Only {hours}, {}.", budget.zone);
        }
        text
    }
}

/// What may be unmeant in a budget, one sentence each.
pub(crate) fn notes(budget: &Budget) -> Vec<String> {
    budget.notes().iter().map(ToString::to_string).collect()
}

/// The fields that are no amount, as they are called.
const COUNT: &str = "Payments per hour";
const HOURS: &str = "Hours";
const ENDS: &str = "Ends";

/// What was written into a field. Nothing at all is no limit; an empty text could mean none or
/// zero, so it is asked about.
fn given<'t>(field: &str, text: &'t Option<String>) -> Result<Option<&'t str>, Problem> {
    let Some(text) = text.as_deref() else { return Ok(None) };
    if text.trim().is_empty() {
        return Err(bad_input(field, "it is empty; leave it out for no limit"));
    }
    if text.trim() != text {
        return Err(bad_input(field, "write it without spaces before or behind it"));
    }
    Ok(Some(text))
}

fn read_count(text: &str) -> Result<u32, Problem> {
    let wrong = || bad_input(COUNT, "write a whole number such as 12");
    // The standard reading would take a plus sign too.
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

fn read_hours(text: &str) -> Result<HoursOfDay, Problem> {
    text.parse().map_err(|e| bad_input(HOURS, e))
}

fn read_end(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| bad_input(ENDS, "write a time such as 2027-02-22T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty text is no way to write that there is no limit.
    #[test]
    fn a_field_is_written_or_left_out() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(given("Per day", &None), Ok(None));
        assert_eq!(given("Per day", &text("5.00")), Ok(Some("5.00")));
        for bad in ["", " ", " 5 ", "5 ", "\t5", "5\u{a0}"] {
            let problem = given("Per day", &text(bad)).expect_err(bad);
            assert_eq!(problem.code, "bad_input");
            assert!(problem.message.starts_with("Per day: "), "{problem}");
        }
    }

    #[test]
    fn counts_are_plain_digits() {
        for (text, count) in [("0", 0), ("12", 12), ("007", 7), ("4294967295", u32::MAX)] {
            assert_eq!(read_count(text), Ok(count));
        }
        for bad in ["-1", "+1", "1.0", "1e3", "0x1", "1 2", "٣", "4294967296", "many"] {
            let problem = read_count(bad).expect_err(bad);
            assert_eq!(problem.code, "bad_input");
            assert!(problem.message.starts_with("Payments per hour:"), "{problem}");
        }
    }

    #[test]
    fn hours_and_ends_are_named_when_they_are_wrong() {
        assert_eq!(read_hours("22:00-06:00").map(|h| h.to_string()), Ok("22:00-06:00".into()));
        for bad in ["9-18", "09:00", "09:00-09:00", "25:00-26:00"] {
            assert!(read_hours(bad).is_err_and(|p| p.message.starts_with("Hours:")), "{bad}");
        }
        assert!(read_end("tomorrow").is_err_and(|p| p.message.starts_with("Ends:")));
    }
}
