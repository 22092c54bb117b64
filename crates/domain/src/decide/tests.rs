use super::*;
use crate::{AssetId, HourUse, minute_of};
use alloy_primitives::Address;
use jiff::SignedDuration;

pub(super) fn asset() -> AssetId {
    AssetId { chain_id: 84532, contract: Address::repeat_byte(1) }
}

pub(super) fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A case that owns its parts, so that a test can change one.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) intent: Intent,
    pub(super) agent: AgentStanding,
    pub(super) budget: Budget,
    pub(super) usage: Usage,
    pub(super) shared: Option<(Budget, Usage)>,
    pub(super) payee: PayeeStanding,
    pub(super) lookalike: Option<Address>,
    pub(super) gas: Option<Gas>,
    pub(super) danger: Danger,
    pub(super) danger_why: Option<String>,
    pub(super) danger_until: Lowers,
    pub(super) usual_price: Option<Units>,
    pub(super) frozen: bool,
    pub(super) approved: bool,
    pub(super) now: Timestamp,
}

impl World {
    /// An allowance that may pay 25 each and 100 a day, wanting to pay 10.
    pub(super) fn calm() -> World {
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
                limit_units_per_payment: Some(units(25)),
                limit_units_per_day: Some(units(100)),
                ..Budget::blank(asset())
            },
            usage: Usage::default(),
            shared: None,
            payee: PayeeStanding::Known,
            lookalike: None,
            gas: None,
            danger: Danger::Calm,
            danger_why: None,
            danger_until: Lowers::default(),
            usual_price: None,
            frozen: false,
            approved: false,
            now: at("2026-11-22T12:00:00Z"),
        }
    }

    /// The same, with a shared budget of no limit that leaves new payees to the agent's own.
    fn sharing() -> World {
        let budget = Budget { new_payee: NewPayeeRule::Allow, ..Budget::blank(asset()) };
        World { shared: Some((budget, Usage::default())), ..World::calm() }
    }

    fn steward() -> World {
        let mut w = World::calm();
        w.agent.granted = Grade::L4;
        w.budget.new_payee = NewPayeeRule::Allow;
        w.payee = PayeeStanding::New;
        w
    }

    pub(super) fn verdict(&self) -> Verdict {
        let shared = self.shared.as_ref();
        decide(&Case {
            intent: &self.intent,
            agent: &self.agent,
            budget: &self.budget,
            usage: &self.usage,
            shared: shared.map(|(budget, usage)| Shared { name: "Household", budget, usage }),
            payee: self.payee,
            lookalike: self.lookalike,
            gas: self.gas,
            danger: self.danger,
            danger_why: self.danger_why.as_deref(),
            danger_until: self.danger_until,
            usual_price: self.usual_price,
            frozen: self.frozen,
            approved: self.approved,
            now: self.now,
        })
    }

    /// What one rule of the agent's own budget found.
    #[track_caller]
    fn finding(&self, code: ReasonCode) -> Reason {
        let own = |r: &Reason| r.code == code && r.scope.is_none();
        self.verdict().reasons.into_iter().find(own).expect("the rule looked")
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
    assert_eq!(w.finding(ReasonCode::OverPerPayment).effect, Effect::Approved);
    w.budget.over_payment = OverPayment::Deny;
    assert_eq!(w.verdict().outcome, Outcome::Deny);
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
    assert_eq!(reason.resets_at, Some(at("2026-11-23T00:00:00Z")));
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
    type Set = fn(&mut Budget);
    let to_zero: [Set; 9] = [
        |b| b.limit_units_per_payment = Some(Units::ZERO),
        |b| b.limit_units_per_hour = Some(Units::ZERO),
        |b| b.limit_units_per_day = Some(Units::ZERO),
        |b| b.limit_units_per_week = Some(Units::ZERO),
        |b| b.limit_units_per_month = Some(Units::ZERO),
        |b| b.limit_units_lifetime = Some(Units::ZERO),
        |b| b.limit_units_per_payee_day = Some(Units::ZERO),
        |b| b.limit_units_exposure = Some(Units::ZERO),
        |b| b.limit_count_per_hour = Some(0),
    ];
    for (i, set) in to_zero.into_iter().enumerate() {
        let mut own = World::calm();
        set(&mut own.budget);
        own.approved = true;
        let mut shared = World::sharing();
        set(&mut shared.shared.as_mut().expect("one").0);
        for w in [own, shared] {
            let verdict = w.verdict();
            assert_eq!(verdict.outcome, Outcome::Deny, "limit {i}");
            let reason = verdict.objections().next().expect("one");
            // Nothing to wait for: only the owner can change a zero.
            assert_eq!((reason.remedy, reason.resets_at), (Remedy::Owner, None), "limit {i}");
        }
    }
    let mut w = World::calm();
    w.intent.value = Units::ZERO;
    assert_eq!(objections(&w.verdict()), [ReasonCode::ZeroAmount]);
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

/// The whole matrix: what is granted against how the world looks, for a known payee.
#[test]
fn danger_takes_grades_away() {
    use Outcome::{Allow, Ask, Deny};
    let matrix = [
        (Grade::L0, [Deny, Deny, Deny, Deny]),
        (Grade::L1, [Deny, Deny, Deny, Deny]),
        (Grade::L2, [Ask, Ask, Ask, Deny]),
        (Grade::L3, [Allow, Allow, Ask, Deny]),
        (Grade::L4, [Allow, Allow, Ask, Deny]),
    ];
    for (granted, row) in matrix {
        for (danger, outcome) in Danger::ALL.into_iter().zip(row) {
            let mut w = World::calm();
            (w.agent.granted, w.danger) = (granted, danger);
            assert_eq!(w.verdict().outcome, outcome, "{granted} while {}", danger.word());
            assert_eq!(w.verdict().grade, granted.in_force(danger));
        }
    }
    // A steward's new payee: unasked only while all is calm.
    for (danger, outcome) in Danger::ALL.into_iter().zip([Allow, Ask, Ask, Deny]) {
        let w = World { danger, ..World::steward() };
        assert_eq!(w.verdict().outcome, outcome, "{}", danger.word());
    }
}

#[test]
fn a_lowered_grade_says_which_signal_lowered_it() {
    let detail = |granted, danger, why: Option<&str>| {
        let mut w = World::calm();
        (w.agent.granted, w.danger) = (granted, danger);
        w.danger_why = why.map(str::to_owned);
        let code =
            if danger == Danger::Halted { ReasonCode::GradeTooLow } else { ReasonCode::GradeAsks };
        w.finding(code).detail.expect("a detail")
    };
    let why = Some("https://shop.example names another address");
    assert_eq!(
        detail(Grade::L4, Danger::Guarded, why),
        "L2 Ask (granted L4): https://shop.example names another address"
    );
    assert_eq!(
        detail(Grade::L3, Danger::Halted, why),
        "L1 Look (granted L3): https://shop.example names another address"
    );
    assert_eq!(detail(Grade::L3, Danger::Guarded, None), "L2 Ask (granted L3)");
    // Danger that lowered nothing explains nothing.
    assert_eq!(detail(Grade::L2, Danger::Guarded, why), "L2 Ask");
}

#[test]
fn while_wary_one_payment_may_be_half() {
    let mut w = World::calm();
    w.danger = Danger::Wary;
    // Half of 25, rounded down.
    w.intent.value = units(12);
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.intent.value = units(13);
    assert_eq!(w.verdict().outcome, Outcome::Ask);
    let reason = w.finding(ReasonCode::OverPerPayment);
    assert_eq!((reason.limit, reason.observed), (Some(units(12)), Some(units(13))));
    assert_eq!(reason.detail.as_deref(), Some("halved while danger is wary"));
    w.budget.over_payment = OverPayment::Deny;
    assert_eq!(w.verdict().outcome, Outcome::Deny);
    // It stays halved above wary: more danger is never kinder.
    w.danger = Danger::Guarded;
    assert_eq!(w.verdict().outcome, Outcome::Deny);
    assert_eq!(
        w.finding(ReasonCode::OverPerPayment).detail.as_deref(),
        Some("halved while danger is guarded")
    );
    w.danger = Danger::Calm;
    assert_eq!(w.finding(ReasonCode::OverPerPayment).detail, None);
    // The half of one is nothing, but its owner did not say zero: it asks.
    let mut w = World::calm();
    (w.danger, w.intent.value) = (Danger::Wary, units(1));
    w.budget.limit_units_per_payment = Some(units(1));
    assert_eq!(w.verdict().outcome, Outcome::Ask);
    // The shared one's is halved alike.
    let mut w = World::sharing();
    w.danger = Danger::Wary;
    w.shared.as_mut().expect("one").0.limit_units_per_payment = Some(units(19));
    assert_eq!(objections(&w.verdict()), [ReasonCode::OverPerPayment]);
}

#[test]
fn each_window_denies_by_its_own_rule_and_says_when() {
    let hour = |minute, value| {
        let mut hour = crate::HourUse::default();
        hour.add(minute, units(value)).expect("fits");
        hour
    };
    let minute = crate::minute_of(World::calm().now);
    let all = |limit| {
        let mut w = World::calm();
        w.budget.limit_units_per_hour = Some(limit);
        w.budget.limit_units_per_day = Some(limit);
        w.budget.limit_units_per_week = Some(limit);
        w.budget.limit_units_per_month = Some(limit);
        w.budget.limit_units_lifetime = Some(limit);
        w.budget.limit_units_per_payee_day = Some(limit);
        w.usage = Usage {
            hour: hour(minute - 20, 1),
            day: units(2),
            week: units(3),
            month: units(4),
            lifetime: units(5),
            payee_day: units(6),
            ..Usage::default()
        };
        w
    };
    use ReasonCode::*;
    let w = all(units(10));
    let expected = [
        (OverPerHour, 11, Remedy::Time, Some("2026-11-22T12:41:00Z")),
        (OverPerDay, 12, Remedy::Time, Some("2026-11-23T00:00:00Z")),
        (OverPerWeek, 13, Remedy::Time, Some("2026-11-23T00:00:00Z")),
        (OverPerMonth, 14, Remedy::Time, Some("2026-12-01T00:00:00Z")),
        (OverLifetime, 15, Remedy::Owner, None),
        (OverPayeeDay, 16, Remedy::Time, Some("2026-11-23T00:00:00Z")),
    ];
    assert_eq!(objections(&w.verdict()), expected.map(|(code, ..)| code));
    for (code, observed, remedy, resets_at) in expected {
        let reason = w.finding(code);
        assert_eq!(reason.effect, Effect::Deny, "{code:?}");
        assert_eq!((reason.limit, reason.observed), (Some(units(10)), Some(units(observed))));
        assert_eq!((reason.remedy, reason.resets_at), (remedy, resets_at.map(at)), "{code:?}");
    }
    // What is larger than the whole limit does not fit tomorrow either.
    let w = all(units(9));
    for (code, ..) in expected {
        let reason = w.finding(code);
        assert_eq!((reason.remedy, reason.resets_at), (Remedy::Owner, None), "{code:?}");
    }
    // Everything fits.
    let w = all(units(20));
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    assert_eq!(w.finding(OverPerHour).resets_at, None);
}

#[test]
fn too_many_payments_in_an_hour() {
    let mut w = World::calm();
    w.budget.limit_count_per_hour = Some(2);
    let minute = crate::minute_of(w.now);
    w.usage.hour.add(minute - 50, units(1)).expect("fits");
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.usage.hour.add(minute - 20, units(1)).expect("fits");
    let reason = w.finding(ReasonCode::OverCountPerHour);
    assert_eq!((reason.effect, reason.remedy), (Effect::Deny, Remedy::Time));
    assert_eq!((reason.limit_count, reason.observed_count), (Some(2), Some(3)));
    assert_eq!((reason.limit, reason.observed), (None, None));
    assert_eq!(reason.resets_at, Some(at("2026-11-22T12:11:00Z")));
}

#[test]
fn the_hour_frees_when_enough_is_out_of_it() {
    let mut w = World::calm();
    w.budget.limit_units_per_hour = Some(units(30));
    let minute = crate::minute_of(w.now);
    for (ago, value) in [(50, 5), (40, 5), (30, 20)] {
        w.usage.hour.add(minute - ago, units(value)).expect("fits");
    }
    // 10 more fit into 30 when 10 of the 30 are gone: after the second.
    let reason = w.finding(ReasonCode::OverPerHour);
    assert_eq!(
        (reason.observed, reason.resets_at),
        (Some(units(40)), Some(at("2026-11-22T12:21:00Z")))
    );
    // At that moment it does fit.
    w.now = at("2026-11-22T12:20:59.999Z");
    assert_eq!(w.verdict().outcome, Outcome::Deny);
    w.now = at("2026-11-22T12:21:00Z");
    assert_eq!(w.verdict().outcome, Outcome::Allow);
}

#[test]
fn outside_the_hours_nothing_is_paid() {
    let mut w = World::calm();
    w.budget.zone = "Europe/Amsterdam".into();
    w.budget.hours = "09:00-18:00".parse().ok();
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.now = at("2026-11-22T17:00:00Z");
    w.approved = true;
    assert_eq!(objections(&w.verdict()), [ReasonCode::OutsideHours]);
    let reason = w.finding(ReasonCode::OutsideHours);
    assert_eq!(reason.detail.as_deref(), Some("09:00-18:00 Europe/Amsterdam"));
    assert_eq!((reason.remedy, reason.resets_at), (Remedy::Time, Some(at("2026-11-23T08:00:00Z"))));
    // Where nobody knows what time it is, it is outside.
    w.budget.zone = "Mars/Olympus".into();
    let reason = w.finding(ReasonCode::OutsideHours);
    assert_eq!((reason.effect, reason.remedy), (Effect::Deny, Remedy::Owner));
}

#[test]
fn open_holds_are_bounded_at_any_instant() {
    let mut w = World::calm();
    w.budget.limit_units_exposure = Some(units(30));
    w.usage.exposure = units(20);
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.usage.exposure = units(21);
    w.usage.exposure_frees_at = Some(w.now + SignedDuration::from_secs(90));
    let reason = w.finding(ReasonCode::OverExposure);
    assert_eq!((reason.effect, reason.remedy), (Effect::Deny, Remedy::Time));
    assert_eq!((reason.limit, reason.observed), (Some(units(30)), Some(units(31))));
    assert_eq!(reason.resets_at, w.usage.exposure_frees_at);
    // A moment that has passed is no promise.
    w.usage.exposure_frees_at = Some(w.now);
    assert_eq!(w.finding(ReasonCode::OverExposure).resets_at, None);
    w.usage.exposure_frees_at = Some(w.now + SignedDuration::from_secs(90));
    w.intent.value = units(31);
    let reason = w.finding(ReasonCode::OverExposure);
    assert_eq!((reason.remedy, reason.resets_at), (Remedy::Owner, None));
}

/// Danger that ends by quiet says when, as far as it stands in the way; the rest is the owner's.
#[test]
fn what_danger_takes_away_comes_back_at_a_moment() {
    let later = |minutes| Some(World::calm().now + SignedDuration::from_mins(minutes));
    let mut w = World::calm();
    w.danger_until = Lowers { to_calm: later(30), to_wary: later(20), to_guarded: later(10) };
    w.danger = Danger::Halted;
    let reason = w.finding(ReasonCode::GradeTooLow);
    assert_eq!((reason.resets_at, reason.remedy), (later(10), Remedy::Time));
    w.danger = Danger::Guarded;
    let reason = w.finding(ReasonCode::GradeAsks);
    assert_eq!((reason.resets_at, reason.remedy), (later(20), Remedy::Owner), "it is a question");
    // A grade that was never given does not come back.
    w.agent.granted = Grade::L2;
    assert_eq!(w.finding(ReasonCode::GradeAsks).resets_at, None);
    w.agent.granted = Grade::L1;
    let reason = w.finding(ReasonCode::GradeTooLow);
    assert_eq!((reason.resets_at, reason.remedy), (None, Remedy::Owner));
    // Half of 25 is not enough, and the whole would be.
    let mut w = World { danger: Danger::Wary, danger_until: w.danger_until, ..World::calm() };
    w.intent.value = units(13);
    let reason = w.finding(ReasonCode::OverPerPayment);
    assert_eq!((reason.resets_at, reason.remedy), (later(30), Remedy::Owner));
    w.budget.over_payment = OverPayment::Deny;
    let reason = w.finding(ReasonCode::OverPerPayment);
    assert_eq!((reason.resets_at, reason.remedy), (later(30), Remedy::Time));
    w.intent.value = units(26);
    let reason = w.finding(ReasonCode::OverPerPayment);
    assert_eq!((reason.resets_at, reason.remedy), (None, Remedy::Owner));
    w.intent.value = units(12);
    assert_eq!(w.finding(ReasonCode::OverPerPayment).resets_at, None, "it fits");
    // What waits for the owner says no moment, as before.
    w.danger_until = Lowers::default();
    w.intent.value = units(13);
    let reason = w.finding(ReasonCode::OverPerPayment);
    assert_eq!((reason.resets_at, reason.remedy), (None, Remedy::Owner));
}

#[test]
fn a_moment_that_has_come_already_is_no_promise() {
    let found = |danger, code, until: Timestamp| {
        let lowers = Lowers { to_calm: Some(until), to_wary: Some(until), to_guarded: Some(until) };
        let mut w = World { danger, danger_until: lowers, ..World::calm() };
        w.intent.value = units(13);
        w.budget.over_payment = OverPayment::Deny;
        let reason = w.finding(code);
        (reason.effect, reason.resets_at, reason.remedy)
    };
    let now = World::calm().now;
    let soon = now + SignedDuration::from_nanos(1);
    for (danger, code) in
        [(Danger::Halted, ReasonCode::GradeTooLow), (Danger::Wary, ReasonCode::OverPerPayment)]
    {
        assert_eq!(found(danger, code, soon), (Effect::Deny, Some(soon), Remedy::Time));
        assert_eq!(found(danger, code, now), (Effect::Deny, None, Remedy::Owner));
    }
}

#[test]
fn nothing_comes_near_a_limit_of_zero() {
    assert!(!reaches_80_percent(0, 0) && !reaches_80_percent(0, 1));
    assert!(reaches_80_percent(1, 1) && !reaches_80_percent(1, 0));
    // Nothing at all fits into nothing, and that is no reason to warn.
    let mut w = World::calm();
    w.intent.value = Units::ZERO;
    w.budget.limit_units_per_day = Some(Units::ZERO);
    assert_eq!(w.finding(ReasonCode::OverPerDay).effect, Effect::Pass);
}

#[test]
fn counts_and_open_holds_warn_like_the_other_limits() {
    let mut w = World::calm();
    w.budget.limit_count_per_hour = Some(10);
    w.budget.limit_units_exposure = Some(units(100));
    for (before, effect) in
        [(6, Effect::Pass), (7, Effect::Warn), (9, Effect::Warn), (10, Effect::Deny)]
    {
        w.usage.hour = HourUse::default();
        for _ in 0..before {
            w.usage.hour.add(minute_of(w.now), units(1)).expect("small");
        }
        assert_eq!(w.finding(ReasonCode::OverCountPerHour).effect, effect, "{before}");
        w.usage.exposure = units(10 * before + 5 * u128::from(before == 10));
        assert_eq!(w.finding(ReasonCode::OverExposure).effect, effect, "{before}");
    }
    // None at all is a no, and nothing comes near it.
    w.budget.limit_count_per_hour = Some(0);
    assert_eq!(w.finding(ReasonCode::OverCountPerHour).effect, Effect::Deny);
}

#[test]
fn warns_from_eighty_percent_on_and_changes_nothing() {
    for (used, effect) in [
        (69, Effect::Pass), // with this payment 79
        (70, Effect::Warn),
        (90, Effect::Warn),
        (91, Effect::Deny),
    ] {
        let mut w = World::calm();
        w.usage.day = units(used);
        assert_eq!(w.finding(ReasonCode::OverPerDay).effect, effect, "{used}");
        let warned: Vec<_> = w.verdict().warnings().map(|r| r.code).collect();
        let expected = if effect == Effect::Warn { vec![ReasonCode::OverPerDay] } else { vec![] };
        assert_eq!(warned, expected);
        let outcome = if effect == Effect::Deny { Outcome::Deny } else { Outcome::Allow };
        assert_eq!(w.verdict().outcome, outcome);
    }
    // Five times 9 is 45, not below four times 11; the figures are whole.
    let mut w = World::calm();
    w.budget.limit_units_per_day = Some(units(11));
    w.intent.value = units(9);
    assert_eq!(w.finding(ReasonCode::OverPerDay).effect, Effect::Warn);
    w.intent.value = units(8);
    assert_eq!(w.finding(ReasonCode::OverPerDay).effect, Effect::Pass);
}

#[test]
fn a_price_that_jumped_is_said_and_changes_nothing() {
    let mut w = World::calm();
    w.usual_price = Some(units(5));
    assert!(w.verdict().reasons.iter().all(|r| r.code != ReasonCode::PriceJumped));
    w.intent.value = units(11);
    let reason = w.finding(ReasonCode::PriceJumped);
    assert_eq!((reason.effect, w.verdict().outcome), (Effect::Warn, Outcome::Allow));
    assert_eq!((reason.limit, reason.observed), (Some(units(5)), Some(units(11))));
}

#[test]
fn a_steward_pays_new_payees_up_to_the_cap() {
    let mut w = World::steward();
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    assert_eq!(w.finding(ReasonCode::NewPayee).effect, Effect::Pass);
    w.budget.limit_units_per_new_payee_day = Some(units(30));
    w.usage.new_payee_day = units(20);
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    assert_eq!(w.finding(ReasonCode::OverNewPayeeDay).effect, Effect::Warn);
    w.usage.new_payee_day = units(21);
    assert_eq!(objections(&w.verdict()), [ReasonCode::OverNewPayeeDay]);
    let reason = w.finding(ReasonCode::OverNewPayeeDay);
    assert_eq!((reason.effect, reason.remedy), (Effect::Ask, Remedy::Owner));
    assert_eq!((reason.limit, reason.observed), (Some(units(30)), Some(units(31))));
    assert_eq!(reason.resets_at, Some(at("2026-11-23T00:00:00Z")));
    w.approved = true;
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.approved = false;
    // What asks anyway is one question, not two.
    w.agent.granted = Grade::L3;
    assert_eq!(objections(&w.verdict()), [ReasonCode::NewPayee]);
    w.agent.granted = Grade::L4;
    // A cap of zero asks about each; and a known payee is none of its business.
    w.budget.limit_units_per_new_payee_day = Some(Units::ZERO);
    assert_eq!(objections(&w.verdict()), [ReasonCode::OverNewPayeeDay]);
    w.payee = PayeeStanding::Known;
    assert_eq!(w.verdict().outcome, Outcome::Allow);
}

#[test]
fn an_offer_for_something_else_asks() {
    let mut w = World::calm();
    w.intent.for_other_resource = true;
    assert_eq!(objections(&w.verdict()), [ReasonCode::OtherResource]);
}

#[test]
fn a_changed_address_asks_even_a_steward() {
    let mut w = World::steward();
    w.payee = PayeeStanding::Changed { was: Address::repeat_byte(9) };
    assert_eq!(objections(&w.verdict()), [ReasonCode::PayeeChanged]);
    let detail = w.finding(ReasonCode::PayeeChanged).detail.expect("both addresses");
    assert_eq!(detail, format!("{} → {}", Address::repeat_byte(9), Address::repeat_byte(2)));
}

#[test]
fn a_budget_that_ended_or_is_in_another_asset_pays_nothing() {
    let mut w = World::calm();
    w.approved = true;
    w.budget.expires_at = Some(w.now);
    assert_eq!(objections(&w.verdict()), [ReasonCode::BudgetEnded]);
    assert_eq!(w.finding(ReasonCode::BudgetEnded).detail.as_deref(), Some("2026-11-22T12:00:00Z"));
    w.budget.expires_at = Some(w.now + SignedDuration::from_nanos(1));
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.intent.payee.asset.chain_id = 1;
    assert_eq!(objections(&w.verdict()), [ReasonCode::OtherAsset]);
}

#[test]
fn what_stands_in_the_way_of_the_agent_itself() {
    let mut w = World::calm();
    w.approved = true;
    w.agent.revoked = true;
    w.intent.agent_max = Some(units(9));
    w.agent.float_free = units(9);
    assert_eq!(
        objections(&w.verdict()),
        [ReasonCode::AgentRevoked, ReasonCode::OverAgentMax, ReasonCode::FloatTooSmall]
    );
    assert_eq!(w.finding(ReasonCode::OverAgentMax).remedy, Remedy::Agent);
    let mut w = World::calm();
    w.intent.agent_max = Some(units(10));
    w.agent.float_free = units(10);
    assert_eq!(w.verdict().outcome, Outcome::Allow);
}

#[test]
fn a_shared_budget_holds_like_its_own_and_says_its_name() {
    let mut w = World::sharing();
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    let (budget, usage) = w.shared.as_mut().expect("one");
    budget.limit_units_per_month = Some(units(50));
    usage.month = units(41);
    let verdict = w.verdict();
    let [reason] = verdict.objections().collect::<Vec<_>>()[..] else {
        panic!("one objection: {verdict:?}")
    };
    assert_eq!(
        (reason.code, reason.scope.as_deref()),
        (ReasonCode::OverPerMonth, Some("Household"))
    );
    assert_eq!((reason.limit, reason.observed), (Some(units(50)), Some(units(51))));
    assert_eq!(reason.resets_at, Some(at("2026-12-01T00:00:00Z")));
    // Both can object to the same thing.
    w.usage.day = units(95);
    let (budget, usage) = w.shared.as_mut().expect("one");
    (budget.limit_units_per_day, usage.day) = (Some(units(60)), units(55));
    let verdict = w.verdict();
    let scopes: Vec<_> = verdict
        .objections()
        .filter(|r| r.code == ReasonCode::OverPerDay)
        .map(|r| (r.scope.as_deref(), r.limit))
        .collect();
    assert_eq!(scopes, [(None, Some(units(100))), (Some("Household"), Some(units(60)))]);
}

#[test]
fn every_rule_of_the_shared_budget_counts() {
    type Set = fn(&mut Budget);
    let rules: [(Set, ReasonCode); 5] = [
        (|b| b.limit_units_per_payment = Some(units(9)), ReasonCode::OverPerPayment),
        (|b| b.hours = "00:00-06:00".parse().ok(), ReasonCode::OutsideHours),
        (|b| b.expires_at = Some(at("2026-11-22T12:00:00Z")), ReasonCode::BudgetEnded),
        (|b| b.asset.chain_id = 1, ReasonCode::OtherAsset),
        (|b| b.limit_units_exposure = Some(units(9)), ReasonCode::OverExposure),
    ];
    for (set, code) in rules {
        let mut w = World::sharing();
        set(&mut w.shared.as_mut().expect("one").0);
        let verdict = w.verdict();
        let found: Vec<_> = verdict.objections().map(|r| (r.code, r.scope.as_deref())).collect();
        assert_eq!(found, [(code, Some("Household"))]);
    }
}

#[test]
fn of_two_rules_for_new_payees_the_stricter_holds() {
    use NewPayeeRule as Rule;
    let found = |own, shared| {
        let mut w = World::steward();
        w.budget.new_payee = own;
        let budget = Budget { new_payee: shared, ..Budget::blank(asset()) };
        w.shared = Some((budget, Usage::default()));
        let verdict = w.verdict();
        let scopes: Vec<_> = verdict.objections().map(|r| r.scope.is_some()).collect();
        (verdict.outcome, scopes)
    };
    assert_eq!(found(Rule::Allow, Rule::Allow), (Outcome::Allow, vec![]));
    assert_eq!(found(Rule::Allow, Rule::Ask), (Outcome::Ask, vec![true]));
    assert_eq!(found(Rule::Ask, Rule::Ask), (Outcome::Ask, vec![false]));
    assert_eq!(found(Rule::Ask, Rule::Allow), (Outcome::Ask, vec![false]));
    assert_eq!(found(Rule::Ask, Rule::Deny), (Outcome::Deny, vec![true, false]));
    assert_eq!(found(Rule::Deny, Rule::Deny), (Outcome::Deny, vec![false]));
    // And of two caps, both.
    let mut w = World { shared: World::sharing().shared, ..World::steward() };
    let (budget, usage) = w.shared.as_mut().expect("one");
    budget.limit_units_per_new_payee_day = Some(units(30));
    usage.new_payee_day = units(21);
    let verdict = w.verdict();
    let found: Vec<_> = verdict.objections().map(|r| (r.code, r.scope.as_deref())).collect();
    assert_eq!(found, [(ReasonCode::OverNewPayeeDay, Some("Household"))]);
}

#[test]
fn a_sum_that_does_not_fit_is_over_every_limit() {
    let mut w = World::calm();
    w.budget.limit_units_per_day = Some(Units::MAX);
    w.usage.day = Units::MAX;
    let reason = w.finding(ReasonCode::OverPerDay);
    assert_eq!((reason.effect, reason.observed), (Effect::Deny, Some(Units::MAX)));
    let mut w = World::calm();
    w.budget.limit_units_per_hour = Some(Units::MAX);
    let minute = crate::minute_of(w.now);
    w.usage.hour.add(minute, Units::MAX).expect("fits");
    w.usage.hour.add(minute - 1, Units::MAX).expect("fits");
    assert_eq!(objections(&w.verdict()), [ReasonCode::OverPerHour]);
}

/// Who compares only the ends of an address would take one for the other: nobody pays it unasked.
#[test]
fn an_address_that_looks_like_a_known_one_always_asks() {
    let mut w = World::steward();
    assert_eq!(w.verdict().outcome, Outcome::Allow);
    w.lookalike = Some(Address::repeat_byte(3));
    let verdict = w.verdict();
    assert_eq!(verdict.outcome, Outcome::Ask);
    assert_eq!(objections(&verdict), [ReasonCode::LookalikePayee]);
    let detail = w.finding(ReasonCode::LookalikePayee).detail.expect("both addresses");
    let both = [Address::repeat_byte(2), Address::repeat_byte(3)].map(|at| at.to_string());
    assert_eq!(detail, format!("{} is not {}", both[0], both[1]));
    w.budget.new_payee = NewPayeeRule::Deny;
    assert_eq!(w.verdict().outcome, Outcome::Deny);
    w.budget.new_payee = NewPayeeRule::Allow;
    w.approved = true;
    assert_eq!(w.verdict().outcome, Outcome::Allow, "the owner has seen both");
}

#[test]
fn the_treasury_pays_for_transfers_up_to_a_sum_a_day() {
    let mut w = World::calm();
    let resets_at = Some(at("2026-11-23T00:00:00Z"));
    for (after_wei, fits) in [(Some(units(10)), true), (Some(units(11)), false), (None, false)] {
        w.gas = Some(Gas { limit_wei: units(10), after_wei, resets_at });
        let reason = w.finding(ReasonCode::OverGasDay);
        assert_eq!(w.verdict().outcome == Outcome::Allow, fits, "{after_wei:?}");
        assert_eq!(reason.resets_at, resets_at.filter(|_| !fits));
        assert_eq!((reason.remedy, reason.limit), (Remedy::Time, None), "wei are no asset’s units");
        assert!(reason.detail.is_some_and(|detail| detail.ends_with(" of 10 wei")));
        // No yes lifts a limit.
        assert_eq!(World { approved: true, ..w.clone() }.verdict().outcome == Outcome::Allow, fits);
    }
}
