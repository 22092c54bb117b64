//! Rehearsals: what a budget would have done with the payments an agent asked for lately.

use crate::desk::Desk;
use crate::limits::Whose;
use crate::problem::bad_input;
use crate::view::{BudgetForm, Problem, RehearsalView, RuleCount};
use imprest_domain::{
    Address, AgentId, AssetId, Effect, PastOrder, Payee, PaymentState, ReasonCode, Rehearsal,
    Verdict, rehearse,
};
use imprest_ledger::{PaymentFilter, PaymentRecord};
use jiff::SignedDuration;
use std::collections::BTreeMap;

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
        let outcome = rehearse(&budget, agent.grade, &past.known_before(), &past.orders)?;
        Ok(self.rehearsal_view(days, &outcome))
    }

    /// What a rehearsal needs of the agent's payments of the last days, page by page: a payment
    /// holds its whole offer and verdict, and ten years of them are many.
    async fn past_of(&self, agent: &AgentId, days: u32) -> Result<Past, Problem> {
        let ledger = &self.inner.ledger;
        let from = ledger.now() - SignedDuration::from_hours(24 * i64::from(days));
        let filter = PaymentFilter {
            agent: Some(agent.clone()),
            from_ms: Some(from.as_millisecond()),
            ..PaymentFilter::default()
        };
        let (mut past, mut before) = (Past::default(), None);
        loop {
            let page = ledger.payments(&filter, before, PAGE).await?;
            page.payments.iter().for_each(|record| past.goes_back_to(record));
            before = page.next_before_seq;
            if before.is_none() {
                return Ok(past);
            }
        }
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
        // As in the books: what was signed and never taken teaches nothing about its payee.
        paid: record.state == PaymentState::Settled,
    }
}

/// An agent's payments, as far as a rehearsal needs them.
#[derive(Default)]
struct Past {
    orders: Vec<PastOrder>,
    /// How each payee stood when it was first asked to be paid here.
    first: BTreeMap<(String, Address, AssetId), Stood>,
}

/// How a payee stood with the desk.
enum Stood {
    Known,
    New,
    /// Paid before, but at another address, if it says which.
    Changed(Option<Address>),
}

impl Past {
    /// Takes in the payment before all those taken in so far.
    fn goes_back_to(&mut self, record: &PaymentRecord) {
        self.orders.push(order(record));
        let payee = &record.payee;
        let key = (payee.origin.clone(), payee.pay_to, payee.asset);
        self.first.insert(key, stood(&record.verdict));
    }

    /// Whom the desk knew before the first of these payments: each payee whose first payment here
    /// was not held against it for being new, and the address that a changed one had before.
    fn known_before(&self) -> Vec<Payee> {
        let payee = |origin: &str, pay_to: Address, asset: AssetId| Payee {
            origin: origin.to_owned(),
            pay_to,
            asset,
        };
        let known = self.first.iter().filter_map(|((origin, pay_to, asset), stood)| match stood {
            Stood::Known => Some(payee(origin, *pay_to, *asset)),
            // One that is among these payments itself is told about by its own first one.
            Stood::Changed(Some(was))
                if !self.first.contains_key(&(origin.clone(), *was, *asset)) =>
            {
                Some(payee(origin, *was, *asset))
            }
            Stood::New | Stood::Changed(_) => None,
        });
        known.collect()
    }
}

/// How a payee stood, by what the rules found.
fn stood(verdict: &Verdict) -> Stood {
    let found = |code| verdict.reasons.iter().find(|reason| reason.code == code);
    if let Some(changed) = found(ReasonCode::PayeeChanged) {
        let was = changed.detail.as_deref().and_then(|detail| detail.split_once(" → "));
        return Stood::Changed(was.and_then(|(was, _)| was.parse().ok()));
    }
    if found(ReasonCode::NewPayee).is_some() { Stood::New } else { Stood::Known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_domain::{Grade, Outcome, Reason, Remedy, Units};

    fn record(state: PaymentState, pay_to: u8, found: Option<(ReasonCode, &str)>) -> PaymentRecord {
        let reasons = found.map(|(code, detail)| Reason {
            detail: Some(detail.to_owned()),
            ..Reason::new(code, Effect::Ask, Remedy::Owner)
        });
        PaymentRecord {
            payment: "pay_1".parse().unwrap(),
            seq: 1,
            agent: "agt_1".parse().unwrap(),
            state,
            what: "Weather".into(),
            url: "https://shop.example/weather".into(),
            method: "GET".into(),
            purpose: None,
            task: None,
            payee: payee(pay_to),
            value: Units::new(5).unwrap(),
            offer: "{}".into(),
            verdict: Verdict {
                outcome: Outcome::Allow,
                grade: Grade::L3,
                reasons: reasons.into_iter().collect(),
            },
            from: None,
            nonce: None,
            valid_after_s: None,
            valid_before_s: None,
            response_status: None,
            response_sha256: None,
            transaction: None,
            block: None,
            note: None,
            at_ms: 0,
            request_sha256: String::new(),
        }
    }

    fn payee(pay_to: u8) -> Payee {
        Payee {
            origin: "https://shop.example".into(),
            pay_to: Address::repeat_byte(pay_to),
            asset: AssetId { chain_id: 1, contract: Address::ZERO },
        }
    }

    /// The books learn a payee when the chain says that it was paid, and a rehearsal the same.
    #[test]
    fn only_what_settled_was_paid() {
        use PaymentState::*;
        for state in [Waiting, Refused, Held, Void, Delivered, Unknown, Settled, Expired] {
            let paid = order(&record(state, 1, None)).paid;
            assert_eq!(paid, state == Settled, "{state:?}");
        }
    }

    #[test]
    fn whom_the_desk_knew_before_is_told_by_each_first_payment() {
        let settled = PaymentState::Settled;
        let was = format!("{} → {}", Address::repeat_byte(1), Address::repeat_byte(2));
        let new = Some((ReasonCode::NewPayee, ""));
        let changed = Some((ReasonCode::PayeeChanged, was.as_str()));
        let known = |newest_first: &[(u8, Option<(ReasonCode, &str)>)]| {
            let mut past = Past::default();
            for (pay_to, found) in newest_first {
                past.goes_back_to(&record(settled, *pay_to, *found));
            }
            assert_eq!(past.orders.len(), newest_first.len());
            past.known_before()
        };
        assert_eq!(known(&[]), []);
        assert_eq!(known(&[(1, None), (1, new)]), [], "its first payment here was its first");
        assert_eq!(known(&[(1, None), (1, None)]), [payee(1)]);
        assert_eq!(known(&[(2, None), (2, changed)]), [payee(1)], "it had another address");
        assert_eq!(known(&[(2, changed), (1, new)]), [], "which was new here itself");
        assert_eq!(known(&[(2, changed), (1, None)]), [payee(1)]);
    }

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
