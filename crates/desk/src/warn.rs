//! Limits that are nearly used: shown for as long as they are, and told once a span of time (an
//! hour, for those that have none).

use crate::desk::Desk;
use crate::view::Problem;
use imprest_domain::{
    Budget, PaymentId, Reason, ReasonCode, Units, Window, minute_of, reaches_80_percent,
};
use imprest_ledger::{Agent, LedgerError, PaymentRecord, SharedBudget};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// How many spans are remembered as told; more than anybody's agents use in a month.
const TOLD_MAX: usize = 10_000;

/// Which nearness was told: whose limit, which rule, which span of its kind.
type Told = (String, ReasonCode, String);

/// What was told already, for as long as the desk runs.
#[derive(Default)]
pub(crate) struct Warned(Mutex<HashSet<Told>>);

impl Warned {
    /// Whether this is to be told now.
    fn is_new(&self, told: Told) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOLD_MAX {
            // Telling something twice is better than remembering without end.
            known.clear();
        }
        known.insert(told)
    }
}

/// Whether 80 % of a limit or more is used.
pub(crate) fn is_near(limit: Units, used: Units) -> bool {
    reaches_80_percent(limit.get(), used.get())
}

/// How much of a limit is used, in whole percent.
fn percent(limit: Units, used: Units) -> u128 {
    (used.get() * 100).checked_div(limit.get()).unwrap_or(100)
}

impl Desk {
    /// “Scout has used 82 % of today’s 5.00.”
    fn near_sentence(&self, who: &str, window: Window, limit: Units, used: Units) -> String {
        let shown = self.inner.asset.format(limit);
        let whole = match window {
            Window::Hour => format!("{shown} for any 60 minutes"),
            Window::Day | Window::PayeeDay | Window::NewPayeeDay => format!("today’s {shown}"),
            Window::Week => format!("this week’s {shown}"),
            Window::Month => format!("this month’s {shown}"),
            Window::Lifetime => format!("its {shown} in all"),
        };
        let payees = if window == Window::NewPayeeDay { " for new payees" } else { "" };
        format!("{who} has used {} % of {whole}{payees}.", percent(limit, used))
    }

    /// The limits over time of one holder that are nearly used, shortest first.
    pub(crate) async fn near_limits(
        &self,
        holder: &str,
        who: &str,
        budget: &Budget,
    ) -> Result<Vec<String>, Problem> {
        let mut near = Vec::new();
        for window in Window::OVER_TIME {
            let Some(limit) = budget.limit(window) else { continue };
            let found = self.inner.ledger.window_use(holder, budget, window).await?;
            let used = crate::show::add(found.settled, found.held);
            if is_near(limit, used) {
                near.push(self.near_sentence(who, window, limit, used));
            }
        }
        if let Some(limit) = budget.limit_count_per_hour {
            let count = self.inner.ledger.count_this_hour(holder).await?;
            if reaches_80_percent(limit.into(), count.into()) {
                near.push(count_sentence(who, limit, count));
            }
        }
        if let Some(limit) = budget.limit_units_exposure {
            // What is held lies in the lifetime's counter, whenever it was held.
            let held = self.inner.ledger.window_use(holder, budget, Window::Lifetime).await?.held;
            if is_near(limit, held) {
                near.push(self.exposure_sentence(who, limit, held));
            }
        }
        Ok(near)
    }

    /// “Scout has 4.10 in flight, of the 5.00 that may be at once.”
    fn exposure_sentence(&self, who: &str, limit: Units, held: Units) -> String {
        let asset = &self.inner.asset;
        let (held, limit) = (asset.format(held), asset.format(limit));
        format!("{who} has {held} in flight, of the {limit} that may be at once.")
    }

    /// An agent's limits that are nearly used.
    pub(crate) async fn agent_warnings(&self, agent: &Agent) -> Result<Vec<String>, Problem> {
        if agent.revoked {
            return Ok(Vec::new());
        }
        self.near_limits(agent.id.as_str(), agent.name.as_str(), &agent.budget).await
    }

    /// A shared budget's limits that are nearly used.
    pub(crate) async fn shared_warnings(&self, it: &SharedBudget) -> Result<Vec<String>, Problem> {
        self.near_limits(it.id.as_str(), it.name.as_str(), &it.budget).await
    }

    /// Tells of the limits that a payment that was just held has brought near their end. That it
    /// cannot be told is no reason not to pay.
    pub(crate) async fn tell_near_limits(&self, payment: &PaymentId) {
        if let Err(error) = self.try_to_tell(payment).await {
            tracing::warn!(%error, "a limit’s nearness could not be told");
        }
    }

    async fn try_to_tell(&self, payment: &PaymentId) -> Result<(), LedgerError> {
        let record = self.inner.ledger.payment(payment).await?;
        let agent = self.inner.ledger.agent(&record.agent).await?;
        for reason in record.verdict.warnings() {
            let Some(told) = self.told_as(&record, &agent.budget, reason) else { continue };
            let who = reason.scope.as_deref().unwrap_or(agent.name.as_str());
            if self.inner.warned.is_new(told) {
                let text = self.warning(who, reason);
                // Nobody may be listening; the window shows it all the same.
                let _ = self.inner.warnings.send(text);
            }
        }
        Ok(())
    }

    /// What a warning of the rules says.
    fn warning(&self, who: &str, reason: &Reason) -> String {
        let limit = reason.limit.unwrap_or_default();
        let used = reason.observed.unwrap_or_default();
        match window_of(reason.code) {
            Some(window) => self.near_sentence(who, window, limit, used),
            None if reason.code == ReasonCode::OverCountPerHour => {
                let count = reason.observed_count.unwrap_or_default();
                count_sentence(who, reason.limit_count.unwrap_or_default(), count)
            }
            None => self.exposure_sentence(who, limit, used),
        }
    }

    /// Under what a warning is remembered; nothing for one that is about no limit.
    fn told_as(&self, record: &PaymentRecord, budget: &Budget, reason: &Reason) -> Option<Told> {
        let now = self.inner.ledger.now();
        let mut label = match (window_of(reason.code), reason.code) {
            // It rolls, so it would have another name each minute; and what is in flight has none.
            (Some(Window::Hour), _)
            | (None, ReasonCode::OverCountPerHour | ReasonCode::OverExposure) => {
                minute_of(now).div_euclid(60).to_string()
            }
            // The shared budget's zone may be another; its day is told of once all the same.
            (Some(window), _) => budget.span(window, now).ok()?.label,
            (None, _) => return None,
        };
        if reason.code == ReasonCode::OverPayeeDay {
            label.push_str(&record.payee.origin);
        }
        let holder = match &reason.scope {
            Some(shared) => format!("shared {shared}"),
            None => record.agent.to_string(),
        };
        Some((holder, reason.code, label))
    }
}

/// The window whose limit a rule is.
fn window_of(code: ReasonCode) -> Option<Window> {
    Window::ALL.into_iter().find(|window| ReasonCode::of_window(*window) == code)
}

/// “Scout has made 10 of the 12 payments it may make in any 60 minutes.”
fn count_sentence(who: &str, limit: u32, count: u32) -> String {
    format!("{who} has made {count} of the {limit} payments it may make in any 60 minutes.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(n: u128) -> Units {
        Units::new(n).unwrap()
    }

    #[test]
    fn near_is_eighty_percent_and_above() {
        assert!(!is_near(units(100), units(79)));
        assert!(is_near(units(100), units(80)));
        assert!(is_near(Units::MAX, Units::MAX));
        assert!(!is_near(Units::ZERO, Units::ZERO));
        assert_eq!(percent(units(5_000_000), units(4_100_000)), 82);
        assert_eq!(percent(Units::ZERO, units(1)), 100);
        assert_eq!(percent(Units::MAX, Units::MAX), 100);
    }

    #[test]
    fn each_span_is_told_once() {
        let warned = Warned::default();
        let day = |label: &str| ("agt_1".to_owned(), ReasonCode::OverPerDay, label.to_owned());
        assert!(warned.is_new(day("2026-11-22")));
        assert!(!warned.is_new(day("2026-11-22")));
        assert!(warned.is_new(day("2026-11-23")));
        assert!(warned.is_new((
            "agt_2".to_owned(),
            ReasonCode::OverPerDay,
            "2026-11-22".to_owned()
        )));
        let count = ("agt_1".to_owned(), ReasonCode::OverCountPerHour, "2026-11-22".to_owned());
        assert!(warned.is_new(count));
        assert_eq!(
            count_sentence("Scout", 12, 10),
            "Scout has made 10 of the 12 payments it may make in any 60 minutes."
        );
    }
}
