//! Verdicts: which way a case went, and what every rule found.

use crate::{Grade, Units, Window};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which way a verdict went. Ordered: a stricter outcome is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Pay.
    Allow,
    /// Ask the owner first.
    Ask,
    /// Do not pay.
    Deny,
}

/// What one rule says. Ordered: a stricter effect is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The rule is content.
    Pass,
    /// The rule is content, and says that something is worth seeing. It never changes an outcome.
    Warn,
    /// The owner must be asked.
    Ask,
    /// The owner was asked for this rule and said yes.
    Approved,
    /// No.
    Deny,
}

/// Who can change the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// The agent, by asking for something else.
    Agent,
    /// The owner, at the desk.
    Owner,
    /// Waiting.
    Time,
}

/// The rules, by name. A closed set: agents and the window branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The owner has frozen the desk.
    Frozen,
    /// The agent's credential was taken away.
    AgentRevoked,
    /// The grade in force lets it pay nothing (L0, L1).
    GradeTooLow,
    /// The grade in force makes every payment a question (L2).
    GradeAsks,
    /// The budget is in another asset than the payee wants.
    OtherAsset,
    /// The budget has ended.
    BudgetEnded,
    /// More than the agent itself said it would pay.
    OverAgentMax,
    /// More than the per-payment limit.
    OverPerPayment,
    /// More than is left today.
    OverPerDay,
    /// More than is left this week.
    OverPerWeek,
    /// More than is left this month.
    OverPerMonth,
    /// More than is left in all.
    OverLifetime,
    /// This origin has never been paid.
    NewPayee,
    /// This origin now names another address.
    PayeeChanged,
    /// The offer names another resource than the one that was fetched.
    OtherResource,
    /// The agent's float does not cover it.
    FloatTooSmall,
    /// Nothing to pay: zero is not a payment.
    ZeroAmount,
    /// The owner said no.
    OwnerRefused,
    /// The owner did not answer in time.
    NoAnswer,
    /// The offer changed between the question and the answer.
    QuoteChanged,
    /// The agent has as many questions waiting as the owner can be asked.
    TooManyQuestions,
    /// More than is left of the last 60 minutes.
    OverPerHour,
    /// More than is left for this payee today.
    OverPayeeDay,
    /// More than may go to new payees unasked today.
    OverNewPayeeDay,
    /// More payments in 60 minutes than allowed.
    OverCountPerHour,
    /// The local time of day is outside the budget's hours.
    OutsideHours,
    /// More in open holds than allowed at once.
    OverExposure,
    /// More than twice what the same thing usually costs.
    PriceJumped,
    /// The offer prescribes a nonce that was signed before: two payments would be one to the chain.
    OfferAnswered,
    /// The address looks like one that is known, and is another.
    LookalikePayee,
    /// More than the treasury pays in a day for taking transfers to the chain.
    OverGasDay,
}

impl ReasonCode {
    /// Every code, in the order they were introduced.
    pub const ALL: [ReasonCode; 31] = [
        ReasonCode::Frozen,
        ReasonCode::AgentRevoked,
        ReasonCode::GradeTooLow,
        ReasonCode::GradeAsks,
        ReasonCode::OtherAsset,
        ReasonCode::BudgetEnded,
        ReasonCode::OverAgentMax,
        ReasonCode::OverPerPayment,
        ReasonCode::OverPerDay,
        ReasonCode::OverPerWeek,
        ReasonCode::OverPerMonth,
        ReasonCode::OverLifetime,
        ReasonCode::NewPayee,
        ReasonCode::PayeeChanged,
        ReasonCode::OtherResource,
        ReasonCode::FloatTooSmall,
        ReasonCode::ZeroAmount,
        ReasonCode::OwnerRefused,
        ReasonCode::NoAnswer,
        ReasonCode::QuoteChanged,
        ReasonCode::TooManyQuestions,
        ReasonCode::OverPerHour,
        ReasonCode::OverPayeeDay,
        ReasonCode::OverNewPayeeDay,
        ReasonCode::OverCountPerHour,
        ReasonCode::OutsideHours,
        ReasonCode::OverExposure,
        ReasonCode::PriceJumped,
        ReasonCode::OfferAnswered,
        ReasonCode::LookalikePayee,
        ReasonCode::OverGasDay,
    ];

    /// The word stored and sent.
    pub fn word(self) -> &'static str {
        match self {
            ReasonCode::Frozen => "frozen",
            ReasonCode::AgentRevoked => "agent_revoked",
            ReasonCode::GradeTooLow => "grade_too_low",
            ReasonCode::GradeAsks => "grade_asks",
            ReasonCode::OtherAsset => "other_asset",
            ReasonCode::BudgetEnded => "budget_ended",
            ReasonCode::OverAgentMax => "over_agent_max",
            ReasonCode::OverPerPayment => "over_per_payment",
            ReasonCode::OverPerDay => "over_per_day",
            ReasonCode::OverPerWeek => "over_per_week",
            ReasonCode::OverPerMonth => "over_per_month",
            ReasonCode::OverLifetime => "over_lifetime",
            ReasonCode::NewPayee => "new_payee",
            ReasonCode::PayeeChanged => "payee_changed",
            ReasonCode::OtherResource => "other_resource",
            ReasonCode::FloatTooSmall => "float_too_small",
            ReasonCode::ZeroAmount => "zero_amount",
            ReasonCode::OwnerRefused => "owner_refused",
            ReasonCode::NoAnswer => "no_answer",
            ReasonCode::QuoteChanged => "quote_changed",
            ReasonCode::TooManyQuestions => "too_many_questions",
            ReasonCode::OverPerHour => "over_per_hour",
            ReasonCode::OverPayeeDay => "over_payee_day",
            ReasonCode::OverNewPayeeDay => "over_new_payee_day",
            ReasonCode::OverCountPerHour => "over_count_per_hour",
            ReasonCode::OutsideHours => "outside_hours",
            ReasonCode::OverExposure => "over_exposure",
            ReasonCode::PriceJumped => "price_jumped",
            ReasonCode::OfferAnswered => "offer_answered",
            ReasonCode::LookalikePayee => "lookalike_payee",
            ReasonCode::OverGasDay => "over_gas_day",
        }
    }

    /// Reads [`ReasonCode::word`] back.
    pub fn from_word(word: &str) -> Option<ReasonCode> {
        ReasonCode::ALL.into_iter().find(|code| code.word() == word)
    }

    /// The rule that a window's limit is.
    pub fn of_window(window: Window) -> ReasonCode {
        match window {
            Window::Hour => ReasonCode::OverPerHour,
            Window::PayeeDay => ReasonCode::OverPayeeDay,
            Window::NewPayeeDay => ReasonCode::OverNewPayeeDay,
            Window::Day => ReasonCode::OverPerDay,
            Window::Week => ReasonCode::OverPerWeek,
            Window::Month => ReasonCode::OverPerMonth,
            Window::Lifetime => ReasonCode::OverLifetime,
        }
    }
}

/// What one rule found, with the figures it compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule.
    pub code: ReasonCode,
    /// What it says.
    pub effect: Effect,
    /// The figure it compares with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Units>,
    /// The figure it found, this payment included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Units>,
    /// The number of payments it compares with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_count: Option<u32>,
    /// The number of payments it found, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_count: Option<u32>,
    /// Who can change the answer.
    pub remedy: Remedy,
    /// When time alone changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
    /// What the rule saw besides figures: a grade, two addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The name of the shared budget whose rule this is; the agent's own have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl Reason {
    /// A finding with no figures yet.
    pub fn new(code: ReasonCode, effect: Effect, remedy: Remedy) -> Reason {
        Reason {
            code,
            effect,
            limit: None,
            observed: None,
            limit_count: None,
            observed_count: None,
            remedy,
            resets_at: None,
            detail: None,
            scope: None,
        }
    }
}

/// Yes, ask or no, with every rule that had something to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which way it went.
    pub outcome: Outcome,
    /// The grade that was in force.
    pub grade: Grade,
    /// Each rule's finding, strictest first.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// The findings that stand in the way: those that ask, or those that deny.
    pub fn objections(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| matches!(reason.effect, Effect::Ask | Effect::Deny))
    }

    /// The findings that are worth seeing and stand in no way.
    pub fn warnings(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| reason.effect == Effect::Warn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_what_serde_writes() {
        for (i, code) in ReasonCode::ALL.into_iter().enumerate() {
            assert_eq!(ReasonCode::from_word(code.word()), Some(code));
            let json = serde_json::to_string(&code).expect("written");
            assert_eq!(json, format!("\"{}\"", code.word()));
            assert_eq!(code as usize, i, "every code is listed, in order");
        }
        assert_eq!(ReasonCode::from_word("because"), None);
        assert_eq!(ReasonCode::OverGasDay as usize + 1, ReasonCode::ALL.len());
    }

    #[test]
    fn stricter_is_greater() {
        use Effect::*;
        assert!([Pass, Warn, Ask, Approved, Deny].is_sorted());
        assert!([Outcome::Allow, Outcome::Ask, Outcome::Deny].is_sorted());
    }

    #[test]
    fn each_window_is_a_rule_of_its_own() {
        let mut codes: Vec<_> = Window::ALL.into_iter().map(ReasonCode::of_window).collect();
        codes.sort_by_key(|code| code.word());
        codes.dedup();
        assert_eq!(codes.len(), Window::ALL.len());
    }

    /// Older books hold reasons without the newer fields; and what is not set is not written.
    #[test]
    fn reads_what_older_books_hold() {
        let old = r#"{"code":"over_per_day","effect":"deny","limit":"5","observed":"6","remedy":"time","resets_at":"2026-11-23T00:00:00Z"}"#;
        let reason: Reason = serde_json::from_str(old).expect("still read");
        assert_eq!((reason.scope.as_deref(), reason.limit_count), (None, None));
        assert_eq!(serde_json::to_string(&reason).expect("written"), old);
        let new = Reason {
            scope: Some("Household".into()),
            limit_count: Some(2),
            observed_count: Some(3),
            ..Reason::new(ReasonCode::OverCountPerHour, Effect::Warn, Remedy::Time)
        };
        let json = serde_json::to_string(&new).expect("written");
        assert_eq!(
            json,
            r#"{"code":"over_count_per_hour","effect":"warn","limit_count":2,"observed_count":3,"remedy":"time","scope":"Household"}"#
        );
        assert_eq!(serde_json::from_str::<Reason>(&json).expect("read"), new);
    }
}
