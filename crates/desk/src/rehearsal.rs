//! Rehearsals: what a budget would have done with the payments an agent asked for lately.

use crate::desk::Desk;
use crate::limits::Whose;
use crate::problem::bad_input;
use crate::view::{BudgetForm, Problem, RehearsalView, RuleCount};
use imprest_domain::{
    Address, AgentId, Effect, PastOrder, Payee, PaymentState, ReasonCode, Rehearsal, rehearse,
};
use imprest_ledger::{PaymentFilter, PaymentRecord};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// How many days back a rehearsal may look: ten years.
const DAYS_MAX: u32 = 3_650;
/// How many payments are read at once.
const PAGE: u32 = 1_000;

impl Desk {
    /// What a budget would have done with an agent's last days, by the very rules that decide.
    /// Nothing is written.
    ///
    /// # Errors
    /// `not_found`, or `bad_input` naming the field.
    pub async fn rehearse(
        &self,
        agent: String,
        budget: BudgetForm,
        days: u32,
    ) -> Result<RehearsalView, Problem> {
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(bad_input("Days", format!("write 1 to {DAYS_MAX}")));
        }
        let budget = self.read_budget(&budget, Whose::Agent)?;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        let past = self.past_of(&agent.id, days).await?;
        let orders: Vec<PastOrder> = past.iter().map(order).collect();
        let outcome = rehearse(&budget, agent.grade, &known_before(&past), &orders)?;
        Ok(self.rehearsal_view(days, &outcome))
    }

    /// The agent's payments of the last days, oldest first.
    async fn past_of(&self, agent: &AgentId, days: u32) -> Result<Vec<PaymentRecord>, Problem> {
        let ledger = &self.inner.ledger;
        let from = ledger.now() - SignedDuration::from_hours(24 * i64::from(days));
        let filter = PaymentFilter {
            agent: Some(agent.clone()),
            from_ms: Some(from.as_millisecond()),
            ..PaymentFilter::default()
        };
        let (mut past, mut before) = (Vec::new(), None);
        loop {
            let page = ledger.payments(&filter, before, PAGE).await?;
            past.extend(page.payments);
            before = page.next_before_seq;
            if before.is_none() {
                break;
            }
        }
        past.reverse();
        Ok(past)
    }

    fn rehearsal_view(&self, days: u32, it: &Rehearsal) -> RehearsalView {
        let asset = &self.inner.asset;
        let payments = it.allowed + it.asked + it.refused;
        let most = asset.format(it.most_in_a_day);
        RehearsalView {
            days,
            asset: asset.symbol.clone(),
            payments,
            allowed: it.allowed,
            asked: it.asked,
            refused: it.refused,
            amount_allowed: asset.format(it.units_allowed),
            amount_asked: asset.format(it.units_asked),
            amount_refused: asset.format(it.units_refused),
            most_in_a_day: most.clone(),
            most_on: it.most_in_a_day_label.clone(),
            rules: it
                .rules
                .iter()
                .map(|(code, times)| RuleCount { code: code.word().into(), times: *times })
                .collect(),
            sentence: sentence(days, it, payments, &most),
        }
    }
}

/// “Of the last 30 days’ 41 payments, 38 would have been paid, 2 asked about, 1 refused; at most
/// 0.84 in a day.”
fn sentence(days: u32, it: &Rehearsal, payments: u32, most: &str) -> String {
    let (span, of_span) = match days {
        1 => ("day".to_owned(), "day’s".to_owned()),
        days => (format!("{days} days"), format!("{days} days’")),
    };
    match payments {
        0 => format!("There were no payments in the last {span} to rehearse."),
        payments => format!(
            "Of the last {of_span} {payments} {}, {} would have been paid, {} asked about, {} refused; at most {most} in a day.",
            if payments == 1 { "payment" } else { "payments" },
            it.allowed,
            it.asked,
            it.refused
        ),
    }
}

fn order(record: &PaymentRecord) -> PastOrder {
    PastOrder {
        at: jiff::Timestamp::from_millisecond(record.at_ms).unwrap_or_default(),
        payee: record.payee.clone(),
        value: record.value,
        // A rule that the owner answered with yes is marked so in the verdict.
        owner_said_yes: record.verdict.reasons.iter().any(|r| r.effect == Effect::Approved),
        paid: matches!(
            record.state,
            PaymentState::Settled
                | PaymentState::Delivered
                | PaymentState::Unknown
                | PaymentState::Expired
        ),
    }
}

/// Whom the desk knew before the first of these payments: each payee whose first payment here was
/// not held against it for being new, and the address that a changed one had before.
fn known_before(past: &[PaymentRecord]) -> Vec<Payee> {
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    for record in past {
        let payee = &record.payee;
        let key = (payee.origin.clone(), payee.pay_to, payee.asset);
        if !seen.insert(key) {
            continue;
        }
        let found = |code| record.verdict.reasons.iter().find(|reason| reason.code == code);
        if let Some(changed) = found(ReasonCode::PayeeChanged) {
            let was = changed.detail.as_deref().and_then(|d| d.split_once(" → "));
            if let Some(was) = was.and_then(|(was, _)| was.parse::<Address>().ok()) {
                let old = Payee { pay_to: was, ..payee.clone() };
                // Only if it is not among these payments itself: then its own first one tells.
                if seen.insert((old.origin.clone(), old.pay_to, old.asset)) {
                    known.push(old);
                }
            }
        } else if found(ReasonCode::NewPayee).is_none() {
            known.push(payee.clone());
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_says_it_all() {
        let it = Rehearsal { allowed: 38, asked: 2, refused: 1, ..Rehearsal::default() };
        assert_eq!(
            sentence(30, &it, 41, "0.84"),
            "Of the last 30 days’ 41 payments, 38 would have been paid, 2 asked about, 1 refused; at most 0.84 in a day."
        );
        let it = Rehearsal { refused: 1, ..Rehearsal::default() };
        assert!(sentence(1, &it, 1, "0.00").starts_with("Of the last day’s 1 payment, 0 would"));
        let none = Rehearsal::default();
        assert_eq!(
            sentence(30, &none, 0, "0.00"),
            "There were no payments in the last 30 days to rehearse."
        );
        assert_eq!(
            sentence(1, &none, 0, "0.00"),
            "There were no payments in the last day to rehearse."
        );
    }
}
