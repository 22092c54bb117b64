//! Budgets on the command line: the flags they are written with, and the form they become.

use crate::args::amount;
use clap::Args;
use imprest_desk::view::BudgetForm;
use imprest_domain::HoursOfDay;

/// What can happen above the per-payment limit.
const OVER: [&str; 2] = ["ask", "deny"];
/// What can happen with a payee never paid before.
const NEW_PAYEE: [&str; 3] = ["ask", "allow", "deny"];
/// The word that takes a limit away.
pub const NONE: &str = "none";

/// The limits of a budget. What is not named stays as it is, and in a new budget does not limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// The most for one payment; above it, see --over
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_payment: Option<String>,
    /// The most in any 60 minutes
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_hour: Option<String>,
    /// The most in a calendar day
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_day: Option<String>,
    /// The most in a calendar week, Monday first
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_week: Option<String>,
    /// The most in a calendar month
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_month: Option<String>,
    /// The most in all
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub lifetime: Option<String>,
    /// The most to one payee in a calendar day
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_payee_day: Option<String>,
    /// The most in a calendar day to payees never paid before, together, where --new-payee allows
    /// them; above it you are asked
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub per_new_payee_day: Option<String>,
    /// The most in flight at once: signed, and not yet settled or expired
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    pub exposure: Option<String>,
    /// The most payments in any 60 minutes
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub max_count_hour: Option<String>,
    /// The local time of day in which anything may be spent, such as 09:00-18:00
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub hours: Option<String>,
    /// Above the per-payment limit: ask the owner (the rule if none is named), or refuse
    #[arg(long, value_name = "RULE", value_parser = OVER)]
    pub over: Option<String>,
    /// For a payee never paid before: ask the owner, let an agent of grade L4 pay it, or refuse;
    /// if none is named, ask, and for a shared budget leave it to the agents’ own
    #[arg(long, value_name = "RULE", value_parser = NEW_PAYEE)]
    pub new_payee: Option<String>,
    /// The time zone its days and hours run in, such as Europe/Amsterdam; the desk's own if none
    /// is named
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// When the budget ends, such as 2026-12-31T23:00:00Z
    #[arg(long, value_name = "TIME", value_parser = end)]
    pub expires: Option<String>,
}

impl Limits {
    /// A new budget with these limits and no others.
    pub fn form(&self) -> BudgetForm {
        self.applied_to(&BudgetForm::default())
    }

    /// The budget with what was named changed.
    pub fn applied_to(&self, before: &BudgetForm) -> BudgetForm {
        let mut after = before.clone();
        let limits = [
            (&mut after.per_payment, &self.per_payment),
            (&mut after.per_hour, &self.per_hour),
            (&mut after.per_day, &self.per_day),
            (&mut after.per_week, &self.per_week),
            (&mut after.per_month, &self.per_month),
            (&mut after.lifetime, &self.lifetime),
            (&mut after.per_payee_day, &self.per_payee_day),
            (&mut after.per_new_payee_day, &self.per_new_payee_day),
            (&mut after.exposure, &self.exposure),
            (&mut after.max_count_hour, &self.max_count_hour),
            (&mut after.hours, &self.hours),
            (&mut after.expires_at, &self.expires),
        ];
        for (limit, change) in limits {
            if let Some(change) = change {
                *limit = (change != NONE).then(|| change.clone());
            }
        }
        let words = [
            (&mut after.over_payment, &self.over),
            (&mut after.new_payee, &self.new_payee),
            (&mut after.zone, &self.zone),
        ];
        for (word, change) in words {
            if let Some(change) = change {
                word.clone_from(change);
            }
        }
        after
    }
}

/// An amount, or `none`.
fn limit(text: &str) -> Result<String, String> {
    if text == NONE { Ok(text.to_owned()) } else { amount(text) }
}

/// A count, or `none`.
fn count(text: &str) -> Result<String, String> {
    // The standard reading would take a plus sign too.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if text == NONE || (digits && text.parse::<u32>().is_ok()) {
        return Ok(text.to_owned());
    }
    Err("a count is a whole number such as 12".to_owned())
}

/// Hours of the day, or `none`.
fn hours(text: &str) -> Result<String, String> {
    if text == NONE {
        return Ok(text.to_owned());
    }
    text.parse::<HoursOfDay>().map(|hours| hours.to_string()).map_err(|error| error.to_string())
}

/// A moment, or `none`.
fn end(text: &str) -> Result<String, String> {
    if text == NONE { Ok(text.to_owned()) } else { crate::args::moment(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> BudgetForm {
        BudgetForm {
            per_payment: Some("0.25".into()),
            per_day: Some("1.00".into()),
            over_payment: "ask".into(),
            new_payee: "ask".into(),
            zone: "UTC".into(),
            ..BudgetForm::default()
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(Limits::default().applied_to(&budget()), budget());
        let changes = Limits {
            per_day: Some("2".into()),
            per_payment: Some(NONE.into()),
            max_count_hour: Some("3".into()),
            hours: Some("09:00-18:00".into()),
            over: Some("deny".into()),
            ..Limits::default()
        };
        let expected = BudgetForm {
            per_payment: None,
            per_day: Some("2".into()),
            max_count_hour: Some("3".into()),
            hours: Some("09:00-18:00".into()),
            over_payment: "deny".into(),
            ..budget()
        };
        assert_eq!(changes.applied_to(&budget()), expected);
    }

    #[test]
    fn every_flag_reaches_the_form() {
        let word = || Some("1".to_owned());
        let all = Limits {
            per_payment: word(),
            per_hour: word(),
            per_day: word(),
            per_week: word(),
            per_month: word(),
            lifetime: word(),
            per_payee_day: word(),
            per_new_payee_day: word(),
            exposure: word(),
            max_count_hour: word(),
            hours: word(),
            over: word(),
            new_payee: word(),
            zone: word(),
            expires: word(),
        };
        let form = serde_json::to_value(all.form()).unwrap();
        let unset: Vec<_> = form.as_object().unwrap().iter().filter(|(_, v)| *v != "1").collect();
        assert!(unset.is_empty(), "{unset:?}");
    }

    #[test]
    fn words_are_checked_before_a_desk_is_asked() {
        assert_eq!(limit("none").as_deref(), Ok("none"));
        for good in ["0", "12", "none"] {
            assert_eq!(count(good).as_deref(), Ok(good));
        }
        for bad in ["-1", "+1", "1.5", "1e2", "0x1", " 1", "4294967296", ""] {
            assert!(count(bad).is_err(), "{bad:?}");
        }
        for good in ["09:00-18:00", "22:00-06:00", "none"] {
            assert_eq!(hours(good).as_deref(), Ok(good));
        }
        for bad in ["9-18", "09:00", "09:00-09:00", "09:00-25:00", "all", ""] {
            assert!(hours(bad).is_err(), "{bad:?}");
        }
    }
}
