//! Limits that are nearly used: shown for as long as they are, and told once a span of time.

use crate::desk::Desk;
use crate::view::Problem;
use imprest_domain::{Budget, PaymentId, Reason, ReasonCode, Units, Window, minute_of};
use imprest_ledger::{Agent, LedgerError, PaymentRecord, SharedBudget};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// How many spans are remembered as told; more than anybody's agents use in a month.
const TOLD_MAX: usize = 10_000;

/// Which nearness was told: whose limit, which window, which one of its kind.
type Told = (String, Window, String);

/// What was told already, for as long as the desk runs.
#[derive(Default)]
pub(crate) struct Warned(Mutex<BTreeSet<Told>>);

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

/// Whether more than 80 % of a limit is used.
pub(crate) fn is_near(limit: Units, used: Units) -> bool {
    used.get() * 5 > limit.get() * 4
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
            // A limit of zero allows nothing, so nothing of it can be nearly used.
            if is_near(limit, used) && !limit.is_zero() {
                near.push(self.near_sentence(who, window, limit, used));
            }
        }
        Ok(near)
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
            let (window, who) = (told.1, reason.scope.as_deref().unwrap_or(agent.name.as_str()));
            if self.inner.warned.is_new(told) {
                let limit = reason.limit.unwrap_or_default();
                let used = reason.observed.unwrap_or_default();
                let text = self.near_sentence(who, window, limit, used);
                // Nobody may be listening; the window shows it all the same.
                let _ = self.inner.warnings.send(text);
            }
        }
        Ok(())
    }

    /// Under what a warning is remembered; nothing for one that is about no window.
    fn told_as(&self, record: &PaymentRecord, budget: &Budget, reason: &Reason) -> Option<Told> {
        let window = Window::ALL.into_iter().find(|w| ReasonCode::of_window(*w) == reason.code)?;
        let now = self.inner.ledger.now();
        let mut label = match window {
            // It rolls, so it would have another name each minute.
            Window::Hour => minute_of(now).div_euclid(60).to_string(),
            // The shared budget's zone may be another; its day is told of once all the same.
            window => budget.span(window, now).ok()?.label,
        };
        if window == Window::PayeeDay {
            label.push_str(&record.payee.origin);
        }
        let holder = match &reason.scope {
            Some(shared) => format!("shared {shared}"),
            None => record.agent.to_string(),
        };
        Some((holder, window, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(n: u128) -> Units {
        Units::new(n).unwrap()
    }

    #[test]
    fn near_is_above_eighty_percent() {
        assert!(!is_near(units(100), units(80)));
        assert!(is_near(units(100), units(81)));
        assert!(is_near(Units::MAX, Units::MAX));
        assert!(!is_near(Units::ZERO, Units::ZERO));
        assert_eq!(percent(units(5_000_000), units(4_100_000)), 82);
        assert_eq!(percent(Units::ZERO, units(1)), 100);
        assert_eq!(percent(Units::MAX, Units::MAX), 100);
    }

    #[test]
    fn each_span_is_told_once() {
        let warned = Warned::default();
        let day = |label: &str| ("agt_1".to_owned(), Window::Day, label.to_owned());
        assert!(warned.is_new(day("2026-11-22")));
        assert!(!warned.is_new(day("2026-11-22")));
        assert!(warned.is_new(day("2026-11-23")));
        assert!(warned.is_new(("agt_2".to_owned(), Window::Day, "2026-11-22".to_owned())));
    }
}
