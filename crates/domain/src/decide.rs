//! The one place that says yes, ask or no.

use crate::{
    AgentId, AgentName, Budget, Danger, Grade, NewPayeeRule, OverPayment, Payee, PayeeStanding,
    Units, Window,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What an agent wants to do, already bound to one quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Who wants to pay.
    pub agent: AgentId,
    /// Who would be paid, and in what.
    pub payee: Payee,
    /// How much.
    pub value: Units,
    /// The most the agent itself said it would pay, if it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_max: Option<Units>,
    /// Whether the offer names another resource than the one that was fetched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_other_resource: bool,
}

/// The agent as the books have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStanding {
    /// Its identifier.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// The grade its owner granted.
    pub granted: Grade,
    /// Whether its owner took its credential away for good.
    pub revoked: bool,
    /// What its float still holds that no hold is laid on, in the budget's asset.
    pub float_free: Units,
}

/// What a budget's windows hold already: settled plus reserved, per window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// This calendar day.
    pub day: Units,
    /// This calendar week.
    pub week: Units,
    /// This calendar month.
    pub month: Units,
    /// Since the beginning.
    pub lifetime: Units,
}

impl Usage {
    /// The figure of one window.
    pub fn of(&self, window: Window) -> Units {
        match window {
            Window::Day => self.day,
            Window::Week => self.week,
            Window::Month => self.month,
            Window::Lifetime => self.lifetime,
        }
    }

    /// The figure of one window, to be set.
    pub fn of_mut(&mut self, window: Window) -> &mut Units {
        match window {
            Window::Day => &mut self.day,
            Window::Week => &mut self.week,
            Window::Month => &mut self.month,
            Window::Lifetime => &mut self.lifetime,
        }
    }
}

/// Everything a verdict depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is wanted.
    pub intent: &'a Intent,
    /// Who wants it.
    pub agent: &'a AgentStanding,
    /// Under which limits.
    pub budget: &'a Budget,
    /// What the limits hold already.
    pub usage: &'a Usage,
    /// What is known of the payee.
    pub payee: PayeeStanding,
    /// How suspicious the world looks.
    pub danger: Danger,
    /// Whether the owner has frozen the desk.
    pub frozen: bool,
    /// Whether the owner has approved exactly this payment. Answers questions, lifts no limit.
    pub approved: bool,
    /// The desk's clock.
    pub now: Timestamp,
}

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
}

impl ReasonCode {
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
        }
    }

    fn of_window(window: Window) -> ReasonCode {
        match window {
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
    /// Who can change the answer.
    pub remedy: Remedy,
    /// When time alone changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
    /// What the rule saw besides figures: a grade, two addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
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
}

/// Decides one case: pure and total.
///
/// Deny beats ask beats allow, and every finding is returned, not the first. An owner's approval
/// turns questions into yes; it never turns a refusal.
pub fn decide(case: &Case<'_>) -> Verdict {
    let grade = case.agent.granted.in_force(case.danger);
    let mut findings = Findings { reasons: Vec::new(), approved: case.approved };
    standing(case, grade, &mut findings);
    amounts(case, &mut findings);
    windows(case, &mut findings);
    payee(case, grade, &mut findings);
    findings.into_verdict(grade)
}

struct Findings {
    reasons: Vec<Reason>,
    approved: bool,
}

impl Findings {
    fn add(&mut self, code: ReasonCode, effect: Effect, remedy: Remedy) -> &mut Reason {
        let effect = if effect == Effect::Ask && self.approved { Effect::Approved } else { effect };
        let at = self.reasons.len();
        self.reasons.push(Reason {
            code,
            effect,
            limit: None,
            observed: None,
            remedy,
            resets_at: None,
            detail: None,
        });
        &mut self.reasons[at]
    }

    /// Compares, and keeps the figures whichever way it goes.
    fn compare(
        &mut self,
        code: ReasonCode,
        over: Effect,
        remedy: Remedy,
        limit: Units,
        observed: Option<Units>,
    ) -> &mut Reason {
        // A sum too large to hold is over every limit.
        let within = observed.is_some_and(|observed| observed <= limit);
        let reason = self.add(code, if within { Effect::Pass } else { over }, remedy);
        reason.limit = Some(limit);
        reason.observed = Some(observed.unwrap_or(Units::MAX));
        reason
    }

    fn into_verdict(mut self, grade: Grade) -> Verdict {
        self.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.effect));
        let outcome = if self.reasons.iter().any(|r| r.effect == Effect::Deny) {
            Outcome::Deny
        } else if self.reasons.iter().any(|r| r.effect == Effect::Ask) {
            Outcome::Ask
        } else {
            Outcome::Allow
        };
        Verdict { outcome, grade, reasons: self.reasons }
    }
}

/// The desk and the agent: may anything be paid at all?
fn standing(case: &Case<'_>, grade: Grade, findings: &mut Findings) {
    if case.frozen {
        findings.add(ReasonCode::Frozen, Effect::Deny, Remedy::Owner);
    }
    if case.agent.revoked {
        findings.add(ReasonCode::AgentRevoked, Effect::Deny, Remedy::Owner);
    }
    let explain = |reason: &mut Reason| {
        reason.detail = Some(if grade == case.agent.granted {
            format!("{grade} {}", grade.word())
        } else {
            format!("{grade} {} (granted {})", grade.word(), case.agent.granted)
        });
    };
    match grade {
        Grade::L0 | Grade::L1 => {
            explain(findings.add(ReasonCode::GradeTooLow, Effect::Deny, Remedy::Owner));
        }
        Grade::L2 => explain(findings.add(ReasonCode::GradeAsks, Effect::Ask, Remedy::Owner)),
        Grade::L3 | Grade::L4 => {}
    }
    if case.budget.expires_at.is_some_and(|end| case.now >= end) {
        findings.add(ReasonCode::BudgetEnded, Effect::Deny, Remedy::Owner);
    }
    if case.intent.payee.asset != case.budget.asset {
        let reason = findings.add(ReasonCode::OtherAsset, Effect::Deny, Remedy::Owner);
        reason.detail = Some(case.intent.payee.asset.to_string());
    }
}

/// This one payment's size.
fn amounts(case: &Case<'_>, findings: &mut Findings) {
    let value = case.intent.value;
    if value.is_zero() {
        findings.add(ReasonCode::ZeroAmount, Effect::Deny, Remedy::Agent);
    }
    if let Some(max) = case.intent.agent_max {
        findings.compare(ReasonCode::OverAgentMax, Effect::Deny, Remedy::Agent, max, Some(value));
    }
    if let Some(limit) = case.budget.limit_units_per_payment {
        let over = match case.budget.over_payment {
            // Zero means nothing: there is no "over" to be asked about.
            OverPayment::Ask if !limit.is_zero() => Effect::Ask,
            OverPayment::Ask | OverPayment::Deny => Effect::Deny,
        };
        findings.compare(ReasonCode::OverPerPayment, over, Remedy::Owner, limit, Some(value));
    }
    findings.compare(
        ReasonCode::FloatTooSmall,
        Effect::Deny,
        Remedy::Owner,
        case.agent.float_free,
        Some(value),
    );
}

/// The sums over time. What is reserved counts like what is spent.
fn windows(case: &Case<'_>, findings: &mut Findings) {
    for window in Window::ALL {
        let Some(limit) = case.budget.limit(window) else { continue };
        let after = case.usage.of(window).checked_add(case.intent.value);
        let remedy = if window == Window::Lifetime { Remedy::Owner } else { Remedy::Time };
        let reason =
            findings.compare(ReasonCode::of_window(window), Effect::Deny, remedy, limit, after);
        // An unknown zone never reaches this point: the ledger refuses such a budget.
        reason.resets_at = case.budget.span(window, case.now).ok().and_then(|s| s.resets_at);
    }
}

/// Who would be paid, and whether for what was asked.
fn payee(case: &Case<'_>, grade: Grade, findings: &mut Findings) {
    if case.intent.for_other_resource {
        findings.add(ReasonCode::OtherResource, Effect::Ask, Remedy::Owner);
    }
    match case.payee {
        PayeeStanding::Known => {}
        PayeeStanding::New => {
            let effect = match case.budget.new_payee {
                NewPayeeRule::Deny => Effect::Deny,
                NewPayeeRule::Allow if grade == Grade::L4 => Effect::Pass,
                NewPayeeRule::Allow | NewPayeeRule::Ask => Effect::Ask,
            };
            let reason = findings.add(ReasonCode::NewPayee, effect, Remedy::Owner);
            reason.detail = Some(case.intent.payee.pay_to.to_string());
        }
        PayeeStanding::Changed { was } => {
            let reason = findings.add(ReasonCode::PayeeChanged, Effect::Ask, Remedy::Owner);
            reason.detail = Some(format!("{was} → {}", case.intent.payee.pay_to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssetId;
    use alloy_primitives::Address;
    use proptest::prelude::*;

    fn asset() -> AssetId {
        AssetId { chain_id: 84532, contract: Address::repeat_byte(1) }
    }

    fn units(n: u128) -> Units {
        Units::new(n).expect("fits")
    }

    #[derive(Debug)]
    struct World {
        intent: Intent,
        agent: AgentStanding,
        budget: Budget,
        usage: Usage,
        payee: PayeeStanding,
        danger: Danger,
        frozen: bool,
        approved: bool,
    }

    impl World {
        /// An allowance that may pay 25 each and 100 a day, wanting to pay 10.
        fn calm() -> World {
            let id: AgentId = "agt_1".parse().expect("an id");
            World {
                intent: Intent {
                    agent: id.clone(),
                    payee: Payee {
                        origin: "https://shop.example".into(),
                        pay_to: Address::repeat_byte(2),
                        asset: asset(),
                    },
                    value: units(10),
                    agent_max: None,
                    for_other_resource: false,
                },
                agent: AgentStanding {
                    id,
                    name: "Scout".parse().expect("a name"),
                    granted: Grade::L3,
                    revoked: false,
                    float_free: units(1_000),
                },
                budget: Budget {
                    asset: asset(),
                    limit_units_per_payment: Some(units(25)),
                    limit_units_per_day: Some(units(100)),
                    limit_units_per_week: None,
                    limit_units_per_month: None,
                    limit_units_lifetime: None,
                    over_payment: OverPayment::Ask,
                    new_payee: NewPayeeRule::Ask,
                    zone: "UTC".into(),
                    expires_at: None,
                },
                usage: Usage::default(),
                payee: PayeeStanding::Known,
                danger: Danger::Calm,
                frozen: false,
                approved: false,
            }
        }

        fn verdict(&self) -> Verdict {
            decide(&Case {
                intent: &self.intent,
                agent: &self.agent,
                budget: &self.budget,
                usage: &self.usage,
                payee: self.payee,
                danger: self.danger,
                frozen: self.frozen,
                approved: self.approved,
                now: "2026-11-22T12:00:00Z".parse().expect("a time"),
            })
        }
    }

    fn objections(verdict: &Verdict) -> Vec<ReasonCode> {
        verdict.objections().map(|r| r.code).collect()
    }

    #[test]
    fn pays_a_known_payee_inside_the_limits() {
        let verdict = World::calm().verdict();
        assert_eq!(verdict.outcome, Outcome::Allow);
        // It still shows what it compared.
        let day = verdict.reasons.iter().find(|r| r.code == ReasonCode::OverPerDay);
        assert_eq!(day.and_then(|r| r.observed), Some(units(10)));
    }

    #[test]
    fn asks_above_the_per_payment_limit_and_obeys_the_answer() {
        let mut w = World::calm();
        w.intent.value = units(26);
        assert_eq!(w.verdict().outcome, Outcome::Ask);
        assert_eq!(objections(&w.verdict()), [ReasonCode::OverPerPayment]);
        w.approved = true;
        assert_eq!(w.verdict().outcome, Outcome::Allow);
    }

    #[test]
    fn approval_lifts_no_day_limit() {
        let mut w = World::calm();
        w.usage.day = units(95);
        w.approved = true;
        let verdict = w.verdict();
        assert_eq!(verdict.outcome, Outcome::Deny);
        assert_eq!(objections(&verdict), [ReasonCode::OverPerDay]);
        let reason = verdict.objections().next().expect("one");
        assert_eq!(
            (reason.limit, reason.observed, reason.remedy),
            (Some(units(100)), Some(units(105)), Remedy::Time)
        );
        assert_eq!(reason.resets_at, "2026-11-23T00:00:00Z".parse().ok());
    }

    #[test]
    fn says_every_objection_not_the_first() {
        let mut w = World::calm();
        w.frozen = true;
        w.intent.value = units(500);
        w.payee = PayeeStanding::New;
        assert_eq!(
            objections(&w.verdict()),
            [
                ReasonCode::Frozen,
                ReasonCode::OverPerDay,
                ReasonCode::OverPerPayment,
                ReasonCode::NewPayee
            ]
        );
    }

    #[test]
    fn zero_allows_nothing() {
        let mut w = World::calm();
        w.budget.limit_units_per_payment = Some(Units::ZERO);
        assert_eq!(w.verdict().outcome, Outcome::Deny);
        let mut w = World::calm();
        w.budget.limit_units_per_day = Some(Units::ZERO);
        assert_eq!(w.verdict().outcome, Outcome::Deny);
    }

    #[test]
    fn each_grade_does_what_the_ladder_says() {
        let outcome = |grade, payee, rule| {
            let mut w = World::calm();
            w.agent.granted = grade;
            w.payee = payee;
            w.budget.new_payee = rule;
            w.verdict().outcome
        };
        use NewPayeeRule as Rule;
        use PayeeStanding::{Known, New};
        assert_eq!(outcome(Grade::L0, Known, Rule::Ask), Outcome::Deny);
        assert_eq!(outcome(Grade::L1, Known, Rule::Ask), Outcome::Deny);
        assert_eq!(outcome(Grade::L2, Known, Rule::Ask), Outcome::Ask);
        assert_eq!(outcome(Grade::L3, Known, Rule::Ask), Outcome::Allow);
        assert_eq!(outcome(Grade::L3, New, Rule::Allow), Outcome::Ask);
        assert_eq!(outcome(Grade::L4, New, Rule::Ask), Outcome::Ask);
        assert_eq!(outcome(Grade::L4, New, Rule::Allow), Outcome::Allow);
        assert_eq!(outcome(Grade::L4, New, Rule::Deny), Outcome::Deny);
    }

    #[test]
    fn an_offer_for_something_else_asks() {
        let mut w = World::calm();
        w.intent.for_other_resource = true;
        assert_eq!(objections(&w.verdict()), [ReasonCode::OtherResource]);
    }

    #[test]
    fn a_changed_address_asks_even_a_steward() {
        let mut w = World::calm();
        w.agent.granted = Grade::L4;
        w.budget.new_payee = NewPayeeRule::Allow;
        w.payee = PayeeStanding::Changed { was: Address::repeat_byte(9) };
        assert_eq!(w.verdict().outcome, Outcome::Ask);
    }

    fn any_world() -> impl Strategy<Value = World> {
        let limit = || prop::option::of((0u128..200).prop_map(units));
        (
            (0u128..200, prop::option::of((0u128..200).prop_map(units)), 0usize..5, 0u128..300),
            (limit(), limit(), limit(), limit(), limit()),
            (0u128..200, 0u128..200, 0u128..200, 0u128..200),
            (0usize..3, 0usize..3, 0usize..4, any::<bool>(), any::<bool>(), any::<bool>()),
            any::<bool>(),
        )
            .prop_map(|(intent, limits, used, flags, over_denies)| {
                let mut w = World::calm();
                (w.intent.value, w.intent.agent_max) = (units(intent.0), intent.1);
                w.agent.granted = Grade::ALL[intent.2];
                w.agent.float_free = units(intent.3);
                w.budget.limit_units_per_payment = limits.0;
                w.budget.limit_units_per_day = limits.1;
                w.budget.limit_units_per_week = limits.2;
                w.budget.limit_units_per_month = limits.3;
                w.budget.limit_units_lifetime = limits.4;
                w.usage = Usage {
                    day: units(used.0),
                    week: units(used.1),
                    month: units(used.2),
                    lifetime: units(used.3),
                };
                w.budget.new_payee =
                    [NewPayeeRule::Ask, NewPayeeRule::Allow, NewPayeeRule::Deny][flags.0];
                w.payee = [
                    PayeeStanding::New,
                    PayeeStanding::Known,
                    PayeeStanding::Changed { was: Address::ZERO },
                ][flags.1];
                w.danger = [Danger::Calm, Danger::Wary, Danger::Guarded, Danger::Halted][flags.2];
                (w.frozen, w.approved, w.agent.revoked) = (flags.3, flags.4, flags.5);
                if over_denies {
                    w.budget.over_payment = OverPayment::Deny;
                }
                w
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// No window is ever passed by an allowed payment, approved or not.
        #[test]
        fn allowed_means_within_every_limit(w in any_world()) {
            let verdict = w.verdict();
            if verdict.outcome == Outcome::Allow {
                for window in Window::ALL {
                    let after = w.usage.of(window).checked_add(w.intent.value).expect("small");
                    prop_assert!(w.budget.limit(window).is_none_or(|limit| after <= limit));
                }
                prop_assert!(w.intent.value <= w.agent.float_free);
                prop_assert!(!w.frozen && !w.agent.revoked && w.danger != Danger::Halted);
            }
        }

        /// More danger, a freeze or a withdrawn approval never make an answer kinder.
        #[test]
        fn suspicion_never_helps(mut w in any_world()) {
            let before = w.verdict().outcome;
            w.danger = Danger::Halted;
            prop_assert!(w.verdict().outcome >= before);
            w.frozen = true;
            prop_assert_eq!(w.verdict().outcome, Outcome::Deny);
        }

        /// Lowering any limit never makes an answer kinder.
        #[test]
        fn a_lower_limit_never_helps(mut w in any_world(), to in 0u128..200) {
            let before = w.verdict().outcome;
            let lowered = |limit: Option<Units>| Some(limit.map_or(units(to), |l| l.min(units(to))));
            w.budget.limit_units_per_day = lowered(w.budget.limit_units_per_day);
            w.budget.limit_units_per_payment = lowered(w.budget.limit_units_per_payment);
            prop_assert!(w.verdict().outcome >= before);
        }

        /// The verdict says why: an outcome other than allow has an objection of that kind.
        #[test]
        fn every_no_has_a_reason(w in any_world()) {
            let verdict = w.verdict();
            let strictest = verdict.objections().map(|r| r.effect).max();
            prop_assert_eq!(strictest, match verdict.outcome {
                Outcome::Allow => None,
                Outcome::Ask => Some(Effect::Ask),
                Outcome::Deny => Some(Effect::Deny),
            });
        }
    }
}
