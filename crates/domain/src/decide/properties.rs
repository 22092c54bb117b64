//! What must hold for every case, not only for those somebody thought of.

use super::tests::{World, asset, units};
use super::*;
use crate::{HourUse, HoursOfDay, minute_of};
use alloy_primitives::Address;
use jiff::SignedDuration;
use proptest::prelude::*;

fn small() -> impl Strategy<Value = Units> {
    (0u128..200).prop_map(units)
}

fn limit() -> impl Strategy<Value = Option<Units>> {
    prop::option::of(small())
}

fn now() -> Timestamp {
    World::calm().now
}

/// Up to four payments of the last two hours.
fn any_hour() -> impl Strategy<Value = HourUse> {
    prop::collection::vec((-120i64..=0, 0u128..60), 0..4).prop_map(|mut added| {
        added.sort_unstable();
        let mut hour = HourUse::default();
        for (minute, value) in added {
            hour.add(minute_of(now()) + minute, units(value)).expect("small");
        }
        hour
    })
}

fn any_usage() -> impl Strategy<Value = Usage> {
    (any_hour(), small(), small(), small(), small(), small(), small(), small()).prop_map(
        |(hour, day, week, month, lifetime, payee_day, new_payee_day, exposure)| Usage {
            hour,
            day,
            week,
            month,
            lifetime,
            payee_day,
            new_payee_day,
            exposure,
            exposure_frees_at: Some(now() + SignedDuration::from_secs(60)),
        },
    )
}

fn any_hours() -> impl Strategy<Value = Option<HoursOfDay>> {
    prop::option::weighted(
        0.2,
        prop::sample::select(vec!["09:00-18:00", "22:00-13:00", "00:00-06:00", "13:00-12:00"])
            .prop_map(|text| text.parse().expect("hours")),
    )
}

fn any_budget() -> impl Strategy<Value = Budget> {
    (
        (limit(), limit(), limit(), limit(), limit(), limit()),
        (limit(), limit(), limit(), prop::option::of(0u32..5)),
        (any_hours(), 0usize..3, any::<bool>(), prop::bool::weighted(0.05)),
    )
        .prop_map(|(over_time, others, rules)| Budget {
            limit_units_per_payment: over_time.0,
            limit_units_per_hour: over_time.1,
            limit_units_per_day: over_time.2,
            limit_units_per_week: over_time.3,
            limit_units_per_month: over_time.4,
            limit_units_lifetime: over_time.5,
            limit_units_per_payee_day: others.0,
            limit_units_per_new_payee_day: others.1,
            limit_units_exposure: others.2,
            limit_count_per_hour: others.3,
            hours: rules.0,
            new_payee: [NewPayeeRule::Ask, NewPayeeRule::Allow, NewPayeeRule::Deny][rules.1],
            over_payment: if rules.2 { OverPayment::Deny } else { OverPayment::Ask },
            expires_at: rules.3.then(now),
            ..Budget::blank(asset())
        })
}

fn any_world() -> impl Strategy<Value = World> {
    (
        (1u128..100, limit(), 0usize..5, 0u128..300, limit()),
        (any_budget(), any_usage(), prop::option::of((any_budget(), any_usage()))),
        (0usize..3, 0usize..4, prop::bool::weighted(0.1), any::<bool>(), prop::bool::weighted(0.1)),
    )
        .prop_map(
            |((value, agent_max, grade, float, usual), (budget, usage, shared), flags)| {
                let mut w = World::calm();
                (w.intent.value, w.intent.agent_max) = (units(value), agent_max);
                w.agent.granted = Grade::ALL[grade];
                w.agent.float_free = units(float);
                (w.usual_price, w.budget, w.usage, w.shared) = (usual, budget, usage, shared);
                w.payee = [
                    PayeeStanding::New,
                    PayeeStanding::Known,
                    PayeeStanding::Changed { was: Address::ZERO },
                ][flags.0];
                w.danger = Danger::ALL[flags.1];
                (w.frozen, w.approved, w.agent.revoked) = (flags.2, flags.3, flags.4);
                w
            },
        )
}

/// Both budgets of a case, its own first.
fn budgets(w: &World) -> impl Iterator<Item = (Option<&str>, &Budget, &Usage)> {
    let shared = w.shared.iter().map(|(budget, usage)| (Some("Household"), budget, usage));
    std::iter::once((None, &w.budget, &w.usage)).chain(shared)
}

/// The hard limits one budget is past, told independently of the rules.
fn broken_limits(w: &World, budget: &Budget, usage: &Usage) -> Vec<ReasonCode> {
    let value = w.intent.value.get();
    let past = |limit: Option<Units>, used: u128| limit.is_some_and(|l| used + value > l.get());
    let last_hour = |m: &crate::Minute| m.minute >= minute_of(w.now) - 60;
    let minutes: Vec<_> = Vec::from(usage.hour.clone()).into_iter().filter(last_hour).collect();
    let hour: u128 = minutes.iter().map(|m| m.units.get()).sum();
    let count: u32 = minutes.iter().map(|m| m.count).sum();
    // It is noon in UTC, always.
    let closed = budget
        .hours
        .is_some_and(|h| ["09:00-18:00", "22:00-13:00"].iter().all(|open| h.to_string() != *open));
    [
        (ReasonCode::OverPerHour, past(budget.limit_units_per_hour, hour)),
        (ReasonCode::OverPerDay, past(budget.limit_units_per_day, usage.day.get())),
        (ReasonCode::OverPerWeek, past(budget.limit_units_per_week, usage.week.get())),
        (ReasonCode::OverPerMonth, past(budget.limit_units_per_month, usage.month.get())),
        (ReasonCode::OverLifetime, past(budget.limit_units_lifetime, usage.lifetime.get())),
        (ReasonCode::OverPayeeDay, past(budget.limit_units_per_payee_day, usage.payee_day.get())),
        (ReasonCode::OverExposure, past(budget.limit_units_exposure, usage.exposure.get())),
        (ReasonCode::OverCountPerHour, budget.limit_count_per_hour.is_some_and(|l| count + 1 > l)),
        (ReasonCode::OutsideHours, closed),
        (ReasonCode::BudgetEnded, budget.expires_at.is_some()),
    ]
    .into_iter()
    .filter(|(_, broken)| *broken)
    .map(|(code, _)| code)
    .collect()
}

type Lower = fn(&mut Budget, Units);

/// Each field of a budget, made stricter.
const LOWER: [(&str, Lower); 14] = [
    ("per payment", |b, to| lower(&mut b.limit_units_per_payment, to)),
    ("per hour", |b, to| lower(&mut b.limit_units_per_hour, to)),
    ("per day", |b, to| lower(&mut b.limit_units_per_day, to)),
    ("per week", |b, to| lower(&mut b.limit_units_per_week, to)),
    ("per month", |b, to| lower(&mut b.limit_units_per_month, to)),
    ("lifetime", |b, to| lower(&mut b.limit_units_lifetime, to)),
    ("per payee day", |b, to| lower(&mut b.limit_units_per_payee_day, to)),
    ("per new payee day", |b, to| lower(&mut b.limit_units_per_new_payee_day, to)),
    ("exposure", |b, to| lower(&mut b.limit_units_exposure, to)),
    ("count", |b, to| {
        let to = u32::try_from(to.get()).expect("small");
        b.limit_count_per_hour = Some(b.limit_count_per_hour.map_or(to, |limit| limit.min(to)));
    }),
    ("hours", |b, _| {
        // Nothing is inside this at noon but what was inside before.
        b.hours = b.hours.or_else(|| "00:00-06:00".parse().ok());
    }),
    ("over payment", |b, _| b.over_payment = OverPayment::Deny),
    ("new payee", |b, to| {
        b.new_payee = match b.new_payee {
            NewPayeeRule::Allow if to.get() % 2 == 0 => NewPayeeRule::Ask,
            _ => NewPayeeRule::Deny,
        };
    }),
    ("end", |b, _| b.expires_at = Some(now())),
];

fn lower(limit: &mut Option<Units>, to: Units) {
    *limit = Some(limit.map_or(to, |limit| limit.min(to)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Every hard limit of both budgets is kept, approved or not, and each that is not is named.
    #[test]
    fn all_limits_hold_or_it_is_denied(w in any_world()) {
        let verdict = w.verdict();
        let mut broken = Vec::new();
        for (scope, budget, usage) in budgets(&w) {
            let codes = broken_limits(&w, budget, usage);
            broken.extend(codes.into_iter().map(|code| (code, scope.map(str::to_owned))));
        }
        for (code, scope) in &broken {
            let named = verdict
                .reasons
                .iter()
                .any(|r| (r.code, &r.scope, r.effect) == (*code, scope, Effect::Deny));
            prop_assert!(named, "{code:?} of {scope:?} in {verdict:?}");
        }
        let over = |r: &&Reason| {
            broken_limits(&w, &w.budget, &w.usage).contains(&r.code)
                || w.shared.as_ref().is_some_and(|(b, u)| broken_limits(&w, b, u).contains(&r.code))
        };
        let denied = verdict.reasons.iter().filter(|r| r.effect == Effect::Deny);
        prop_assert_eq!(denied.filter(over).count(), broken.len());
        if verdict.outcome == Outcome::Allow {
            prop_assert!(broken.is_empty());
            prop_assert!(w.intent.value <= w.agent.float_free);
            prop_assert!(w.intent.agent_max.is_none_or(|max| w.intent.value <= max));
            prop_assert!(!w.frozen && !w.agent.revoked && w.danger != Danger::Halted);
        }
    }

    /// What is let through unasked is also within every limit for which it would be asked.
    #[test]
    fn unasked_means_nothing_to_ask_about(mut w in any_world()) {
        w.approved = false;
        if w.verdict().outcome == Outcome::Allow {
            prop_assert!(w.agent.granted >= Grade::L3 && w.danger <= Danger::Wary);
            for (_, budget, usage) in budgets(&w) {
                let halves = if w.danger == Danger::Wary { 2 } else { 1 };
                let per_payment = budget.limit_units_per_payment;
                prop_assert!(per_payment.is_none_or(|l| w.intent.value.get() <= l.get() / halves));
                match w.payee {
                    PayeeStanding::Known => {}
                    PayeeStanding::New => {
                        prop_assert_eq!(budget.new_payee, NewPayeeRule::Allow);
                        prop_assert_eq!((w.agent.granted, w.danger), (Grade::L4, Danger::Calm));
                        let after = usage.new_payee_day.checked_add(w.intent.value).expect("small");
                        prop_assert!(budget.limit_units_per_new_payee_day.is_none_or(|l| after <= l));
                    }
                    PayeeStanding::Changed { .. } => prop_assert!(false, "a changed address"),
                }
            }
        }
    }

    /// More danger, a freeze or a revoked credential never make an answer kinder.
    #[test]
    fn suspicion_never_helps(mut w in any_world()) {
        let mut before = None;
        for danger in Danger::ALL {
            w.danger = danger;
            let outcome = w.verdict().outcome;
            prop_assert!(before.is_none_or(|before| outcome >= before), "at {danger:?}");
            before = Some(outcome);
        }
        w.danger = Danger::Calm;
        w.frozen = true;
        prop_assert_eq!(w.verdict().outcome, Outcome::Deny);
        (w.frozen, w.agent.revoked) = (false, true);
        prop_assert_eq!(w.verdict().outcome, Outcome::Deny);
    }

    /// Making any one field stricter, in either budget, never makes an answer kinder.
    #[test]
    fn a_lower_limit_never_helps(w in any_world(), to in small()) {
        let before = w.verdict().outcome;
        for (name, lower) in LOWER {
            let mut own = w.clone();
            lower(&mut own.budget, to);
            prop_assert!(own.verdict().outcome >= before, "own {name} to {to}");
            let mut shared = w.clone();
            if let Some((budget, _)) = &mut shared.shared {
                lower(budget, to);
                prop_assert!(shared.verdict().outcome >= before, "shared {name} to {to}");
            }
        }
    }

    /// Having spent more, sharing a budget, paying more or being trusted less never helps either.
    #[test]
    fn more_spent_or_less_trust_never_helps(w in any_world(), more in any_usage(), grade in 0usize..5) {
        let before = w.verdict().outcome;
        let mut spent = w.clone();
        for window in Window::ALL {
            if let Some(figure) = spent.usage.of_mut(window) {
                *figure = figure.checked_add(more.of(window, w.now).expect("small")).expect("small");
            }
        }
        spent.usage.exposure = spent.usage.exposure.checked_add(more.exposure).expect("small");
        for minute in Vec::from(more.hour) {
            spent.usage.hour.add(minute.minute, minute.units).expect("small");
        }
        prop_assert!(spent.verdict().outcome >= before);
        let alone = World { shared: None, ..w.clone() };
        prop_assert!(alone.verdict().outcome <= before);
        let mut lower = w.clone();
        lower.agent.granted = w.agent.granted.min(Grade::ALL[grade]);
        prop_assert!(lower.verdict().outcome >= before);
    }

    /// An approval answers every question and lifts no refusal.
    #[test]
    fn approval_answers_questions_only(mut w in any_world()) {
        w.approved = false;
        let unasked = w.verdict();
        w.approved = true;
        let approved = w.verdict();
        let expected = match unasked.outcome {
            Outcome::Allow | Outcome::Ask => Outcome::Allow,
            Outcome::Deny => Outcome::Deny,
        };
        prop_assert_eq!(approved.outcome, expected);
        let asked = unasked.reasons.iter().filter(|r| r.effect == Effect::Ask).count();
        let answered = approved.reasons.iter().filter(|r| r.effect == Effect::Approved).count();
        prop_assert_eq!(asked, answered);
    }

    /// The verdict says why: an outcome other than allow has an objection of that kind, and none
    /// has figures that contradict it.
    #[test]
    fn every_no_has_a_reason(w in any_world()) {
        let verdict = w.verdict();
        let strictest = verdict.objections().map(|r| r.effect).max();
        prop_assert_eq!(strictest, match verdict.outcome {
            Outcome::Allow => None,
            Outcome::Ask => Some(Effect::Ask),
            Outcome::Deny => Some(Effect::Deny),
        });
        for reason in &verdict.reasons {
            let over = match (reason.limit, reason.observed) {
                (Some(limit), Some(observed)) => Some(observed > limit),
                _ => reason.limit_count.zip(reason.observed_count).map(|(l, o)| o > l),
            };
            if reason.code != ReasonCode::PriceJumped && let Some(over) = over {
                prop_assert_eq!(over, reason.effect >= Effect::Ask, "{:?}", reason);
            }
            prop_assert!(reason.resets_at.is_none_or(|at| at > w.now), "{:?}", reason);
        }
        prop_assert!(verdict.reasons.is_sorted_by_key(|r| std::cmp::Reverse(r.effect)));
        let json = serde_json::to_string(&verdict).expect("written");
        prop_assert_eq!(serde_json::from_str::<Verdict>(&json).expect("read"), verdict);
    }

    /// A warning stands exactly at sums of 80 % of a window's limit or more and within it, and taking
    /// it away would change nothing.
    #[test]
    fn warns_exactly_from_eighty_percent_on(w in any_world()) {
        let verdict = w.verdict();
        for (scope, budget, usage) in budgets(&w) {
            for window in Window::ALL {
                let code = ReasonCode::of_window(window);
                let found = verdict
                    .reasons
                    .iter()
                    .find(|r| r.code == code && r.scope.as_deref() == scope);
                let Some(found) = found else { continue };
                let limit = budget.limit(window).expect("it compared").get();
                let after = usage.of(window, w.now).expect("small").get() + w.intent.value.get();
                let warned = limit > 0 && after * 100 >= limit * 80 && after <= limit;
                prop_assert_eq!(found.effect == Effect::Warn, warned, "{:?}", found);
            }
        }
        let without = verdict.reasons.iter().filter(|r| r.effect != Effect::Warn);
        let outcome = match without.map(|r| r.effect).filter(|e| *e != Effect::Approved).max() {
            Some(Effect::Deny) => Outcome::Deny,
            Some(Effect::Ask) => Outcome::Ask,
            _ => Outcome::Allow,
        };
        prop_assert_eq!(verdict.outcome, outcome);
    }

    /// When the agent is told that time helps, it does: with nothing else in the way, the payment
    /// passes that rule at the moment named.
    #[test]
    fn a_promised_moment_is_kept(mut w in any_world()) {
        w.shared = None;
        for reason in w.verdict().objections() {
            let Some(at) = reason.resets_at else { continue };
            let mut then = w.clone();
            then.now = at;
            // What the books would say then: calendar sums of new spans, the same rolling hour.
            then.usage = Usage { hour: w.usage.hour.clone(), ..Usage::default() };
            let verdict = then.verdict();
            let again = verdict.objections().find(|r| r.code == reason.code);
            prop_assert!(again.is_none(), "{:?}", again);
            prop_assert!(reason.remedy == Remedy::Time || reason.effect == Effect::Ask);
        }
    }
}

fn any_units() -> impl Strategy<Value = Units> {
    let edge = prop::sample::select(vec![Units::ZERO, units(1), Units::MAX]);
    prop_oneof![edge, (0..=i64::MAX as u128).prop_map(units)]
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
    let any = range.prop_map(|ns| Timestamp::from_nanosecond(ns).expect("in range"));
    prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX), Just(now()), any]
}

fn wild_usage() -> impl Strategy<Value = Usage> {
    let minute = prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()];
    let figures = prop::collection::vec(any_units(), 7);
    let hour = prop::collection::vec((minute, any_units()), 0..5);
    (hour, figures, prop::option::of(any_time())).prop_map(|(hour, figures, frees_at)| {
        let mut usage = Usage { exposure_frees_at: frees_at, ..Usage::default() };
        for (minute, value) in hour {
            let _ = usage.hour.add(minute, value);
        }
        for (window, figure) in Window::ALL.into_iter().zip(&figures) {
            if let Some(there) = usage.of_mut(window) {
                *there = *figure;
            }
        }
        Usage { exposure: figures[0], ..usage }
    })
}

fn wild_budget() -> impl Strategy<Value = Budget> {
    let zone = prop_oneof![
        Just("UTC".to_owned()),
        Just("Pacific/Kiritimati".to_owned()),
        Just("Pacific/Niue".to_owned()),
        ".{0,20}",
    ];
    let limits = prop::collection::vec(prop::option::of(any_units()), 9);
    (any_budget(), limits, zone, prop::option::of(any::<u32>()), prop::option::of(any_time()))
        .prop_map(|(budget, limits, zone, count, expires_at)| Budget {
            limit_units_per_payment: limits[0],
            limit_units_per_hour: limits[1],
            limit_units_per_day: limits[2],
            limit_units_per_week: limits[3],
            limit_units_per_month: limits[4],
            limit_units_lifetime: limits[5],
            limit_units_per_payee_day: limits[6],
            limit_units_per_new_payee_day: limits[7],
            limit_units_exposure: limits[8],
            limit_count_per_hour: count,
            zone,
            expires_at,
            ..budget
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No figure, zone or time makes it panic, and the answer always has a form.
    #[test]
    fn it_is_total(
        mut w in any_world(),
        figures in (any_units(), any_units(), prop::option::of(any_units()), any_time()),
        own in (wild_budget(), wild_usage()),
        shared in prop::option::of((wild_budget(), wild_usage())),
        why in prop::option::of(".{0,20}"),
    ) {
        (w.intent.value, w.agent.float_free, w.usual_price, w.now) = figures;
        ((w.budget, w.usage), w.shared, w.danger_why) = (own, shared, why);
        let verdict = w.verdict();
        prop_assert!(!verdict.reasons.is_empty());
        prop_assert_eq!(verdict.objections().next().is_none(), verdict.outcome == Outcome::Allow);
        let _ = (w.budget.check(w.now), w.budget.notes());
    }
}
