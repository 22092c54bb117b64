//! Rehearsals: what a budget would have done with orders of the past.

use crate::{
    AgentId, AgentName, AgentStanding, Budget, BudgetError, Case, Counted, Danger, Grade, HourUse,
    Intent, Lowers, Outcome, Payee, PayeeStanding, ReasonCode, Units, Usage, Window, decide,
    minute_of,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// One order of the past, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOrder {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who was to be paid.
    pub payee: Payee,
    /// How much.
    pub value: Units,
    /// Whether the owner was asked and said yes.
    pub owner_said_yes: bool,
    /// Whether the chain said that it was paid: only that makes a payee known.
    pub paid: bool,
}

/// What a budget would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Orders it would have paid unasked.
    pub allowed: u32,
    /// Orders it would have asked about.
    pub asked: u32,
    /// Orders it would have refused.
    pub refused: u32,
    /// The sum of those paid unasked.
    pub units_allowed: Units,
    /// The sum of those asked about.
    pub units_asked: Units,
    /// The sum of those refused.
    pub units_refused: Units,
    /// The most that would have been spent on one calendar day of the budget's zone.
    pub most_in_a_day: Units,
    /// That day, `2026-11-22`; the first of several; none when nothing would have been spent.
    pub most_in_a_day_label: Option<String>,
    /// How many orders each rule objected to, the busiest rule first.
    pub rules: Vec<(ReasonCode, u32)>,
    /// The outcome of each order, oldest first.
    pub verdicts: Vec<Outcome>,
}

/// Tells what this budget would have done with orders of the past, by the very same [`decide`].
///
/// Nothing is read from what was really spent: the counters start empty and run in memory. An
/// order the budget would have asked about counts as spent only where the owner had said yes. A
/// payee becomes known once the budget would have let an order through that was in fact paid: an
/// order that never was teaches nothing about its payee. `known` are those paid before. The
/// float is no limit, danger is calm, and every hold is taken to end at once, so the limit on
/// open holds sees one payment at a time. Orders may come in any order; they are rehearsed oldest
/// first.
///
/// # Errors
/// [`BudgetError::UnknownZone`] when the budget's zone is not in the database.
pub fn rehearse(
    budget: &Budget,
    grade: Grade,
    known: &[Payee],
    orders: &[PastOrder],
) -> Result<Rehearsal, BudgetError> {
    budget.time_zone()?;
    let mut sorted: Vec<&PastOrder> = orders.iter().collect();
    sorted.sort_by_key(|order| order.at);
    let mut stage = Stage::new(budget, grade, known);
    for order in sorted {
        stage.play(order)?;
    }
    Ok(stage.into_rehearsal())
}

/// A desk in memory: counters and known payees of one agent.
struct Stage<'a> {
    budget: &'a Budget,
    agent: AgentStanding,
    known: Vec<Payee>,
    counters: BTreeMap<Counted, Units>,
    hour: HourUse,
    rules: BTreeMap<&'static str, (ReasonCode, u32)>,
    so_far: Rehearsal,
}

impl Stage<'_> {
    fn new<'a>(budget: &'a Budget, grade: Grade, known: &[Payee]) -> Stage<'a> {
        Stage {
            budget,
            agent: AgentStanding {
                id: AgentId::of_rehearsal(),
                name: AgentName::of_rehearsal(),
                granted: grade,
                revoked: false,
                float_free: Units::MAX,
            },
            known: known.to_vec(),
            counters: BTreeMap::new(),
            hour: HourUse::default(),
            rules: BTreeMap::new(),
            so_far: Rehearsal::default(),
        }
    }

    fn play(&mut self, order: &PastOrder) -> Result<(), BudgetError> {
        let payee = self.standing(&order.payee);
        let is_new = payee == PayeeStanding::New;
        // Read as if new, so that the sum for new payees is at hand; it is added to only if so.
        let counted = self.budget.counted(&order.payee, true, order.at)?;
        let verdict = decide(&Case {
            intent: &Intent {
                agent: self.agent.id.clone(),
                payee: order.payee.clone(),
                value: order.value,
                agent_max: None,
                for_other_resource: false,
            },
            agent: &self.agent,
            budget: self.budget,
            usage: &self.usage(&counted),
            shared: None,
            payee,
            lookalike: None,
            gas: None,
            danger: Danger::Calm,
            danger_why: None,
            danger_until: Lowers::default(),
            usual_price: None,
            frozen: false,
            approved: false,
            now: order.at,
        });
        for reason in verdict.objections() {
            self.rules.entry(reason.code.word()).or_insert((reason.code, 0)).1 += 1;
        }
        self.note(verdict.outcome, order.value);
        let spent = match verdict.outcome {
            Outcome::Allow => true,
            Outcome::Ask => order.owner_said_yes,
            Outcome::Deny => false,
        };
        if spent {
            self.spend(order, counted, is_new);
        }
        Ok(())
    }

    /// What the desk would know of this payee, by the rule the books go by.
    fn standing(&self, payee: &Payee) -> PayeeStanding {
        let same = |known: &&Payee| known.origin == payee.origin && known.asset == payee.asset;
        let mut paid_at = self.known.iter().filter(same).map(|known| known.pay_to);
        match paid_at.clone().next() {
            None => PayeeStanding::New,
            Some(_) if paid_at.any(|pay_to| pay_to == payee.pay_to) => PayeeStanding::Known,
            Some(was) => PayeeStanding::Changed { was },
        }
    }

    fn usage(&self, counted: &[Counted]) -> Usage {
        let mut usage = Usage { hour: self.hour.clone(), ..Usage::default() };
        for counter in counted {
            if let Some(figure) = usage.of_mut(counter.window) {
                *figure = self.counters.get(counter).copied().unwrap_or_default();
            }
        }
        usage
    }

    fn note(&mut self, outcome: Outcome, value: Units) {
        let so_far = &mut self.so_far;
        let (number, sum) = match outcome {
            Outcome::Allow => (&mut so_far.allowed, &mut so_far.units_allowed),
            Outcome::Ask => (&mut so_far.asked, &mut so_far.units_asked),
            Outcome::Deny => (&mut so_far.refused, &mut so_far.units_refused),
        };
        *number = number.saturating_add(1);
        *sum = sum.saturating_add(value);
        so_far.verdicts.push(outcome);
    }

    fn spend(&mut self, order: &PastOrder, counted: Vec<Counted>, is_new: bool) {
        // A sum too large to hold stays at the most there is, which is over every limit.
        if self.hour.add(minute_of(order.at), order.value).is_none() {
            self.hour.fill(minute_of(order.at));
        }
        for counter in counted {
            match counter.window {
                Window::Hour => continue,
                Window::NewPayeeDay if !is_new => continue,
                _ => {}
            }
            let sum = self.counters.entry(counter.clone()).or_default();
            *sum = sum.saturating_add(order.value);
            if counter.window == Window::Day && *sum > self.so_far.most_in_a_day {
                self.so_far.most_in_a_day = *sum;
                self.so_far.most_in_a_day_label = Some(counter.label);
            }
        }
        if order.paid && !self.known.contains(&order.payee) {
            self.known.push(order.payee.clone());
        }
    }

    fn into_rehearsal(self) -> Rehearsal {
        let mut rules: Vec<_> = self.rules.into_values().collect();
        // The map is in the order of words, which settles ties.
        rules.sort_by_key(|(_, objected)| std::cmp::Reverse(*objected));
        Rehearsal { rules, ..self.so_far }
    }
}

#[cfg(test)]
mod tests;
