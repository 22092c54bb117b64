//! The one place that says yes, ask or no.

use crate::{
    AgentId, AgentName, Budget, Danger, Effect, Grade, Lowers, NewPayeeRule, Outcome, OverPayment,
    Payee, PayeeStanding, Reason, ReasonCode, Remedy, Units, Usage, Verdict, Window, price_signal,
};
use alloy_primitives::Address;
use jiff::Timestamp;
use jiff::tz::TimeZone;
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

/// A budget that several agents share, beside each one's own.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// Its limits: every one of them holds as the agent's own do, its rule for new payees and its
    /// hours too. One that should leave new payees to the agents' own budgets says allow.
    pub budget: &'a Budget,
    /// What its limits hold already, of all its agents together.
    pub usage: &'a Usage,
}

/// What the treasury would pay for taking a plain transfer to the chain, in wei of the chain's own
/// coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gas {
    /// The most it pays in a day, for all agents' transfers together.
    pub limit_wei: Units,
    /// What the day would have cost at most, this one included; nothing for a sum past all limits.
    pub after_wei: Option<Units>,
    /// When the next day begins.
    pub resets_at: Option<Timestamp>,
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
    /// The budget it shares with others, if it does.
    pub shared: Option<Shared<'a>>,
    /// What is known of the payee.
    pub payee: PayeeStanding,
    /// A known address that the payee's looks like and is not.
    pub lookalike: Option<Address>,
    /// What taking it to the chain costs, where the treasury does that.
    pub gas: Option<Gas>,
    /// How suspicious the world looks.
    pub danger: Danger,
    /// Which signal makes it look so: one sentence without its full stop.
    pub danger_why: Option<&'a str>,
    /// When danger comes down by itself.
    pub danger_until: Lowers,
    /// The median of what the same thing cost the last times.
    pub usual_price: Option<Units>,
    /// Whether the owner has frozen the desk.
    pub frozen: bool,
    /// Whether the owner has approved exactly this payment. Answers questions, lifts no limit.
    pub approved: bool,
    /// The desk's clock.
    pub now: Timestamp,
}

/// Decides one case: pure and total. What each rule means to its owner is in `docs/ledger.md`
/// (windows) and `docs/decisions/0014-signals-and-danger.md` (danger).
///
/// Deny beats ask beats allow, and every finding is returned, not the first. An owner's approval
/// turns questions into yes; it never turns a refusal. The agent's own budget and the one it
/// shares are held to alike: all limits of both must pass.
pub fn decide(case: &Case<'_>) -> Verdict {
    let grade = case.agent.granted.in_force(case.danger);
    let mut findings = Findings { reasons: Vec::new(), approved: case.approved, scope: None };
    standing(case, grade, &mut findings);
    amounts(case, &mut findings);
    limits(case, case.budget, case.usage, &mut findings);
    if let Some(shared) = case.shared {
        findings.in_scope(shared.name, |f| limits(case, shared.budget, shared.usage, f));
    }
    payee(case, grade, &mut findings);
    gas(case, &mut findings);
    findings.into_verdict(grade)
}

struct Findings<'a> {
    reasons: Vec<Reason>,
    approved: bool,
    /// The shared budget whose rules are being looked at.
    scope: Option<&'a str>,
}

impl<'a> Findings<'a> {
    /// Runs rules of the shared budget, so that what they find carries its name.
    fn in_scope(&mut self, name: &'a str, rules: impl FnOnce(&mut Findings<'a>)) {
        self.scope = Some(name);
        rules(self);
        self.scope = None;
    }

    fn add(&mut self, code: ReasonCode, effect: Effect, remedy: Remedy) -> &mut Reason {
        let effect = if effect == Effect::Ask && self.approved { Effect::Approved } else { effect };
        let at = self.reasons.len();
        let scope = self.scope.map(str::to_owned);
        self.reasons.push(Reason { scope, ..Reason::new(code, effect, remedy) });
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
fn standing(case: &Case<'_>, grade: Grade, findings: &mut Findings<'_>) {
    if case.frozen {
        findings.add(ReasonCode::Frozen, Effect::Deny, Remedy::Owner);
    }
    if case.agent.revoked {
        findings.add(ReasonCode::AgentRevoked, Effect::Deny, Remedy::Owner);
    }
    let explain = |reason: &mut Reason| {
        let granted = case.agent.granted;
        let mut detail = format!("{grade} {}", grade.word());
        if grade != granted {
            detail.push_str(&format!(" (granted {granted})"));
            if let Some(why) = case.danger_why {
                detail.push_str(&format!(": {why}"));
            }
        }
        reason.detail = Some(detail);
    };
    match grade {
        Grade::L0 | Grade::L1 => {
            let resets_at = grade_returns_at(case, Grade::L2);
            let remedy = if resets_at.is_some() { Remedy::Time } else { Remedy::Owner };
            let reason = findings.add(ReasonCode::GradeTooLow, Effect::Deny, remedy);
            reason.resets_at = resets_at;
            explain(reason);
        }
        Grade::L2 => {
            let reason = findings.add(ReasonCode::GradeAsks, Effect::Ask, Remedy::Owner);
            reason.resets_at = grade_returns_at(case, Grade::L3);
            explain(reason);
        }
        Grade::L3 | Grade::L4 => {}
    }
}

/// When the grade in force reaches one by itself: never, where not even a calm world gives it.
fn grade_returns_at(case: &Case<'_>, wanted: Grade) -> Option<Timestamp> {
    let gives = |danger: &&Danger| case.agent.granted.in_force(**danger) >= wanted;
    let enough = Danger::ALL.iter().rev().find(gives)?;
    case.danger_until.to(*enough).filter(|at| *at > case.now)
}

/// This one payment's size, whatever the budgets say.
fn amounts(case: &Case<'_>, findings: &mut Findings<'_>) {
    let value = case.intent.value;
    if value.is_zero() {
        findings.add(ReasonCode::ZeroAmount, Effect::Deny, Remedy::Agent);
    }
    if let Some(max) = case.intent.agent_max {
        findings.compare(ReasonCode::OverAgentMax, Effect::Deny, Remedy::Agent, max, Some(value));
    }
    let float = case.agent.float_free;
    findings.compare(ReasonCode::FloatTooSmall, Effect::Deny, Remedy::Owner, float, Some(value));
    if price_signal(value, case.usual_price).is_some() {
        let reason = findings.add(ReasonCode::PriceJumped, Effect::Warn, Remedy::Agent);
        (reason.limit, reason.observed) = (case.usual_price, Some(value));
    }
}

/// One budget's limits, the agent's own or the shared one's.
fn limits(case: &Case<'_>, budget: &Budget, usage: &Usage, findings: &mut Findings<'_>) {
    if let Some(end) = budget.expires_at.filter(|end| case.now >= *end) {
        let reason = findings.add(ReasonCode::BudgetEnded, Effect::Deny, Remedy::Owner);
        reason.detail = Some(end.to_string());
    }
    if case.intent.payee.asset != budget.asset {
        let reason = findings.add(ReasonCode::OtherAsset, Effect::Deny, Remedy::Owner);
        reason.detail = Some(case.intent.payee.asset.to_string());
    }
    hours(case, budget, findings);
    per_payment(case, budget, findings);
    for window in Window::ALL {
        // The cap on new payees is no limit on all payments: see `payee`.
        if window != Window::NewPayeeDay {
            over_window(case, budget, usage, window, Effect::Deny, findings);
        }
    }
    count(case, budget, usage, findings);
    exposure(case, budget, usage, findings);
}

/// The local time of day.
fn hours(case: &Case<'_>, budget: &Budget, findings: &mut Findings<'_>) {
    let Some(hours) = budget.hours else { return };
    let zone = budget.time_zone().ok();
    let open = |zone: &TimeZone| hours.open_at(zone.to_datetime(case.now).time());
    let (effect, remedy, resets_at) = match &zone {
        Some(zone) if open(zone) => (Effect::Pass, Remedy::Time, None),
        Some(zone) => (Effect::Deny, Remedy::Time, hours.next_opening(case.now, zone)),
        // Nobody knows what time it is there, and silence means no.
        None => (Effect::Deny, Remedy::Owner, None),
    };
    let reason = findings.add(ReasonCode::OutsideHours, effect, remedy);
    reason.resets_at = resets_at;
    reason.detail = Some(format!("{hours} {}", budget.zone));
}

/// The limit for one payment: half of it from the first sign of danger on.
fn per_payment(case: &Case<'_>, budget: &Budget, findings: &mut Findings<'_>) {
    let Some(limit) = budget.limit_units_per_payment else { return };
    let over = match budget.over_payment {
        // Zero means nothing: there is no "over" to be asked about.
        OverPayment::Ask if !limit.is_zero() => Effect::Ask,
        OverPayment::Ask | OverPayment::Deny => Effect::Deny,
    };
    // More danger must never be kinder, so the half stays in force above wary too.
    let halved = case.danger > Danger::Calm;
    let in_force = if halved { limit.half() } else { limit };
    let value = case.intent.value;
    let until = case.danger_until.to(Danger::Calm).filter(|at| *at > case.now);
    let resets_at = until.filter(|_| halved && value > in_force && value <= limit);
    // A question is the owner's to answer, whatever time would do.
    let time_helps = resets_at.is_some() && over == Effect::Deny;
    let remedy = if time_helps { Remedy::Time } else { Remedy::Owner };
    let code = ReasonCode::OverPerPayment;
    let reason = findings.compare(code, over, remedy, in_force, Some(value));
    if halved {
        reason.resets_at = resets_at;
        reason.detail = Some(format!("halved while danger is {}", case.danger.word()));
    }
}

/// One sum over time. What is reserved counts like what is spent.
fn over_window(
    case: &Case<'_>,
    budget: &Budget,
    usage: &Usage,
    window: Window,
    over: Effect,
    findings: &mut Findings<'_>,
) {
    let Some(limit) = budget.limit(window) else { return };
    let value = case.intent.value;
    let after = usage.of(window, case.now).and_then(|used| used.checked_add(value));
    // What is larger than the whole limit does not fit in any later window either.
    let time_helps = value <= limit && window != Window::Lifetime;
    // A question is the owner's to answer, whatever time would do.
    let remedy = if time_helps && over == Effect::Deny { Remedy::Time } else { Remedy::Owner };
    let reason = findings.compare(ReasonCode::of_window(window), over, remedy, limit, after);
    if reason.effect == Effect::Pass && nearly(limit, after) {
        reason.effect = Effect::Warn;
    }
    if !time_helps {
        return;
    }
    reason.resets_at = match window {
        Window::Hour if reason.effect > Effect::Warn => usage
            .hour
            .frees_at(case.now, |used, _| used.checked_add(value).is_some_and(|sum| sum <= limit)),
        // An hour rolls: while it fits there is nothing to wait for, and it has no span to end.
        // An unknown zone never reaches this point: the ledger refuses such a budget.
        _ => budget.span(window, case.now).ok().and_then(|span| span.resets_at),
    };
}

/// Whether a sum has reached 80 % of its limit: late enough to be no noise, and early enough to
/// raise the limit, or to slow down, before anything is refused.
fn nearly(limit: Units, sum: Option<Units>) -> bool {
    sum.is_some_and(|sum| reaches_80_percent(limit.get(), sum.get()))
}

/// Whether so much is 80 % of a limit or more. A limit of zero allows nothing, so nothing comes
/// near it.
pub fn reaches_80_percent(limit: u128, used: u128) -> bool {
    limit > 0 && used.saturating_mul(5) >= limit.saturating_mul(4)
}

/// How many payments in 60 minutes.
fn count(case: &Case<'_>, budget: &Budget, usage: &Usage, findings: &mut Findings<'_>) {
    let Some(limit) = budget.limit_count_per_hour else { return };
    let after = usage.hour.count(case.now).checked_add(1);
    let within = after.is_some_and(|after| after <= limit);
    let effect = match after {
        Some(after) if within && reaches_80_percent(limit.into(), after.into()) => Effect::Warn,
        _ if within => Effect::Pass,
        _ => Effect::Deny,
    };
    // None at all is the owner's word, not a matter of time.
    let remedy = if limit == 0 { Remedy::Owner } else { Remedy::Time };
    let reason = findings.add(ReasonCode::OverCountPerHour, effect, remedy);
    (reason.limit_count, reason.observed_count) = (Some(limit), Some(after.unwrap_or(u32::MAX)));
    if !within {
        reason.resets_at = usage.hour.frees_at(case.now, |_, count| count < limit);
    }
}

/// What is at risk at once: open holds together.
fn exposure(case: &Case<'_>, budget: &Budget, usage: &Usage, findings: &mut Findings<'_>) {
    let Some(limit) = budget.limit_units_exposure else { return };
    let value = case.intent.value;
    let after = usage.exposure.checked_add(value);
    let time_helps = value <= limit;
    let remedy = if time_helps { Remedy::Time } else { Remedy::Owner };
    let reason = findings.compare(ReasonCode::OverExposure, Effect::Deny, remedy, limit, after);
    if reason.effect == Effect::Pass && nearly(limit, after) {
        reason.effect = Effect::Warn;
    }
    if reason.effect == Effect::Deny && time_helps {
        reason.resets_at = usage.exposure_frees_at.filter(|frees_at| *frees_at > case.now);
    }
}

/// What the treasury pays for plain transfers. The figures are wei and not the payment's asset, so
/// they stand in the detail.
fn gas(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(Gas { limit_wei, after_wei, resets_at }) = case.gas else { return };
    let within = after_wei.is_some_and(|after| after <= limit_wei);
    let effect = if within { Effect::Pass } else { Effect::Deny };
    let reason = findings.add(ReasonCode::OverGasDay, effect, Remedy::Time);
    let after = after_wei.unwrap_or(Units::MAX);
    reason.detail = Some(format!("{after} of {limit_wei} wei"));
    reason.resets_at = resets_at.filter(|_| !within);
}

/// Who would be paid, and whether for what was asked.
fn payee<'a>(case: &Case<'a>, grade: Grade, findings: &mut Findings<'a>) {
    if case.intent.for_other_resource {
        findings.add(ReasonCode::OtherResource, Effect::Ask, Remedy::Owner);
    }
    if let Some(known) = case.lookalike {
        let reason = findings.add(ReasonCode::LookalikePayee, Effect::Ask, Remedy::Owner);
        reason.detail = Some(format!("{} is not {known}", case.intent.payee.pay_to));
    }
    match case.payee {
        PayeeStanding::Known => {}
        PayeeStanding::New => new_payee(case, grade, findings),
        PayeeStanding::Changed { was } => {
            let reason = findings.add(ReasonCode::PayeeChanged, Effect::Ask, Remedy::Owner);
            reason.detail = Some(format!("{was} → {}", case.intent.payee.pay_to));
        }
    }
}

/// A payee never paid before: the stricter rule of both budgets, and both caps.
fn new_payee<'a>(case: &Case<'a>, grade: Grade, findings: &mut Findings<'a>) {
    let effect = |budget: &Budget| match budget.new_payee {
        NewPayeeRule::Deny => Effect::Deny,
        NewPayeeRule::Allow if grade == Grade::L4 => Effect::Pass,
        NewPayeeRule::Allow | NewPayeeRule::Ask => Effect::Ask,
    };
    let add = |findings: &mut Findings<'a>, effect: Effect| {
        let reason = findings.add(ReasonCode::NewPayee, effect, Remedy::Owner);
        reason.detail = Some(case.intent.payee.pay_to.to_string());
    };
    let own = effect(case.budget);
    add(findings, own);
    let mut strictest = own;
    // One question is one line: the shared rule is said only where it is the stricter one.
    if let Some(shared) = case.shared.filter(|shared| effect(shared.budget) > own) {
        strictest = effect(shared.budget);
        findings.in_scope(shared.name, |findings| add(findings, strictest));
    }
    if strictest != Effect::Pass {
        return;
    }
    // The caps are about what is paid unasked; what asks anyway needs none.
    let cap = |findings: &mut Findings<'a>, budget: &Budget, usage: &Usage| {
        over_window(case, budget, usage, Window::NewPayeeDay, Effect::Ask, findings);
    };
    cap(findings, case.budget, case.usage);
    if let Some(shared) = case.shared {
        findings.in_scope(shared.name, |findings| cap(findings, shared.budget, shared.usage));
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
