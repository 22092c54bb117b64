//! What the nodes of a network leave open about single payments: said once in the log, and to the
//! owner when it stays.

use imprest_chain::{Contradiction, Finding, Look};
use imprest_domain::PaymentId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is odd about payments, for as long as the desk runs.
#[derive(Debug, Default)]
pub(crate) struct Doubts(HashMap<PaymentId, Doubt>);

#[derive(Debug)]
struct Doubt {
    /// How much was said of it last.
    said: usize,
    why: Option<Contradiction>,
    /// Since when it has been contradicted without a break.
    since: Instant,
    /// A use without its log was found once, so the log may be older than it should be.
    is_searched_deep: bool,
}

impl Doubts {
    /// Forgets the payments that nobody asks after any more.
    pub(crate) fn retain(&mut self, is_asked_after: impl Fn(&PaymentId) -> bool) {
        self.0.retain(|payment, _| is_asked_after(payment));
    }

    /// Whether a payment's end has to be looked for further back than it should be.
    pub(crate) fn is_searched_deep(&self, payment: &PaymentId) -> bool {
        self.0.get(payment).is_some_and(|doubt| doubt.is_searched_deep)
    }

    /// Takes in one look, and says what is new about it.
    pub(crate) fn note(&mut self, payment: &PaymentId, look: &Look, now: Instant) {
        let why = match look.finding {
            Finding::Inconsistent(why) => Some(why),
            _ => None,
        };
        if why.is_none() && look.doubts.is_empty() && !self.0.contains_key(payment) {
            return;
        }
        let doubt = self.0.entry(payment.clone()).or_insert_with(|| Doubt {
            said: 0,
            why: None,
            since: now,
            is_searched_deep: false,
        });
        if doubt.why != why || doubt.said != look.doubts.len() {
            if let Some(why) = why {
                tracing::warn!(%payment, %why, "the hold stays");
            }
            for said in &look.doubts {
                tracing::warn!(%payment, said, "a node has another word for it");
            }
            doubt.said = look.doubts.len();
        }
        if doubt.why.is_none() || why.is_none() {
            doubt.since = now;
        }
        doubt.why = why;
        doubt.is_searched_deep |= why == Some(Contradiction::UsedWithoutLog);
    }

    /// Why the nodes contradict themselves or each other about a payment, and have for so long. A
    /// node that only is not heard contradicts nobody.
    pub(crate) fn lasting(&self, patience: Duration, now: Instant) -> Option<Contradiction> {
        let is_one = |doubt: &&Doubt| {
            doubt.why.is_some_and(|why| why != Contradiction::SourceSilent)
                && now.saturating_duration_since(doubt.since) >= patience
        };
        self.0.values().find(is_one).and_then(|doubt| doubt.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(finding: Finding) -> Look {
        let is_unanimous = !matches!(finding, Finding::Inconsistent(_));
        Look { finding, head: 9, is_final: false, is_unanimous, doubts: Vec::new() }
    }

    #[test]
    fn only_what_is_contradicted_without_a_break_lasts() {
        let payment = PaymentId::from_tail("1").unwrap();
        let (mut doubts, patience) = (Doubts::default(), Duration::from_secs(10));
        let begin = Instant::now();
        let at = |s: u64| begin + Duration::from_secs(s);
        let odd = look(Finding::Inconsistent(Contradiction::SourcesDisagree));
        doubts.note(&payment, &odd, at(0));
        doubts.note(&payment, &odd, at(9));
        assert_eq!(doubts.lasting(patience, at(9)), None);
        doubts.note(&payment, &look(Finding::StillOpen), at(10));
        doubts.note(&payment, &odd, at(11));
        assert_eq!(doubts.lasting(patience, at(20)), None, "they agreed in between");
        let lasting = Some(Contradiction::SourcesDisagree);
        assert_eq!(doubts.lasting(patience, at(21)), lasting);
        doubts.retain(|_| false);
        assert_eq!(doubts.lasting(patience, at(99)), None);
    }

    #[test]
    fn a_node_that_is_down_contradicts_nobody_and_only_a_missing_log_is_searched_for() {
        let payment = PaymentId::from_tail("1").unwrap();
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        doubts.note(&payment, &look(Finding::Inconsistent(Contradiction::SourceSilent)), now);
        assert_eq!(doubts.lasting(Duration::ZERO, now), None);
        assert!(!doubts.is_searched_deep(&payment));
        doubts.note(&payment, &look(Finding::Inconsistent(Contradiction::UsedWithoutLog)), now);
        doubts.note(&payment, &look(Finding::StillOpen), now);
        assert!(doubts.is_searched_deep(&payment), "once is enough");
    }
}
