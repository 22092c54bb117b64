use super::*;
use crate::{AssetId, NewPayeeRule};
use alloy_primitives::Address;
use jiff::SignedDuration;
use proptest::prelude::*;

fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

fn asset() -> AssetId {
    AssetId { chain_id: 84532, contract: Address::repeat_byte(1) }
}

fn payee(shop: u8) -> Payee {
    Payee {
        origin: format!("https://shop{shop}.example"),
        pay_to: Address::repeat_byte(shop),
        asset: asset(),
    }
}

fn budget() -> Budget {
    Budget { limit_units_per_day: Some(units(20)), ..Budget::blank(asset()) }
}

fn order(at: &str, shop: u8, value: u128) -> PastOrder {
    PastOrder {
        at: at.parse().expect("a time"),
        payee: payee(shop),
        value: units(value),
        owner_said_yes: false,
        paid: true,
    }
}

use Outcome::{Allow, Ask, Deny};

#[test]
fn nothing_rehearsed_is_nothing_found() {
    assert_eq!(rehearse(&budget(), Grade::L3, &[], &[]), Ok(Rehearsal::default()));
    let nowhere = Budget { zone: "Mars/Olympus".into(), ..budget() };
    assert!(rehearse(&nowhere, Grade::L3, &[], &[]).is_err());
}

#[test]
fn counts_what_it_would_have_let_through() {
    let orders = [
        order("2026-11-22T08:00:00Z", 1, 10),
        order("2026-11-22T09:00:00Z", 1, 10),
        order("2026-11-22T10:00:00Z", 1, 5),
        order("2026-11-23T08:00:00Z", 1, 5),
        order("2026-11-23T09:00:00Z", 1, 30),
        // As much as the day before: the first such day is named.
        order("2026-11-23T10:00:00Z", 1, 15),
    ];
    let found = rehearse(&budget(), Grade::L3, &[payee(1)], &orders).expect("a known zone");
    assert_eq!(found.verdicts, [Allow, Allow, Deny, Allow, Deny, Allow]);
    assert_eq!((found.allowed, found.asked, found.refused), (4, 0, 2));
    assert_eq!(
        (found.units_allowed, found.units_asked, found.units_refused),
        (units(40), units(0), units(35))
    );
    assert_eq!(found.most_in_a_day, units(20));
    assert_eq!(found.most_in_a_day_label.as_deref(), Some("2026-11-22"));
    assert_eq!(found.rules, [(ReasonCode::OverPerDay, 2)]);
    // The order they come in does not matter.
    let mut shuffled = orders.to_vec();
    shuffled.reverse();
    assert_eq!(rehearse(&budget(), Grade::L3, &[payee(1)], &shuffled), Ok(found));
}

#[test]
fn a_question_counts_as_spent_only_where_the_owner_said_yes() {
    let asked = |yes| {
        let orders = [
            PastOrder { owner_said_yes: yes, ..order("2026-11-22T08:00:00Z", 1, 15) },
            order("2026-11-22T09:00:00Z", 2, 15),
        ];
        let b = Budget { limit_units_per_payment: Some(units(15)), ..budget() };
        rehearse(&b, Grade::L3, &[payee(2)], &orders).expect("a known zone")
    };
    let no = asked(false);
    assert_eq!(no.verdicts, [Ask, Allow]);
    assert_eq!(no.most_in_a_day, units(15));
    assert_eq!(no.rules, [(ReasonCode::NewPayee, 1)]);
    let yes = asked(true);
    assert_eq!(yes.verdicts, [Ask, Deny]);
    assert_eq!(
        (yes.units_asked, yes.units_refused, yes.most_in_a_day),
        (units(15), units(15), units(15))
    );
}

#[test]
fn a_payee_becomes_known_once_it_would_have_been_paid() {
    let twice = |first: PastOrder| {
        let orders = [first, order("2026-11-22T09:00:00Z", 1, 1)];
        rehearse(&budget(), Grade::L3, &[], &orders).expect("a known zone").verdicts
    };
    let first = order("2026-11-22T08:00:00Z", 1, 1);
    // Asked, and nobody said yes: the next is a question too.
    assert_eq!(twice(first.clone()), [Ask, Ask]);
    let yes = PastOrder { owner_said_yes: true, ..first };
    assert_eq!(twice(yes.clone()), [Ask, Allow]);
    // A yes to what then was never paid teaches nothing.
    assert_eq!(twice(PastOrder { paid: false, ..yes.clone() }), [Ask, Ask]);
    // What this budget refuses is not paid, whatever happened then.
    let deny = Budget { new_payee: NewPayeeRule::Deny, ..budget() };
    let orders = [yes, order("2026-11-22T09:00:00Z", 1, 1)];
    let found = rehearse(&deny, Grade::L4, &[], &orders).expect("a known zone");
    assert_eq!(found.verdicts, [Deny, Deny]);
    assert_eq!((found.most_in_a_day, found.most_in_a_day_label), (Units::ZERO, None));
}

#[test]
fn the_same_origin_at_another_address_is_a_change() {
    let moved = Payee { pay_to: Address::repeat_byte(9), ..payee(1) };
    let change = PastOrder {
        payee: moved.clone(),
        owner_said_yes: true,
        ..order("2026-11-22T08:00:00Z", 1, 1)
    };
    let again = PastOrder { payee: moved, ..order("2026-11-22T09:00:00Z", 1, 1) };
    let back = order("2026-11-22T10:00:00Z", 1, 1);
    let found =
        rehearse(&budget(), Grade::L4, &[payee(1)], &[change, again, back]).expect("a known zone");
    assert_eq!(found.verdicts, [Ask, Allow, Allow]);
    assert_eq!(found.rules, [(ReasonCode::PayeeChanged, 1)]);
}

#[test]
fn every_limit_runs_as_it_does_at_the_desk() {
    let run = |set: fn(&mut Budget), orders: &[PastOrder]| {
        let mut b = Budget { new_payee: NewPayeeRule::Allow, ..Budget::blank(asset()) };
        set(&mut b);
        rehearse(&b, Grade::L4, &[payee(1)], orders).expect("a known zone")
    };
    let hourly = [
        order("2026-11-22T08:00:30Z", 1, 6),
        order("2026-11-22T09:00:29Z", 1, 6),
        order("2026-11-22T09:01:00Z", 1, 6),
    ];
    let found = run(|b| b.limit_units_per_hour = Some(units(10)), &hourly);
    assert_eq!(found.verdicts, [Allow, Deny, Allow]);
    let found = run(|b| b.limit_count_per_hour = Some(1), &hourly);
    assert_eq!(found.verdicts, [Allow, Deny, Allow]);
    let found = run(|b| b.hours = "09:00-10:00".parse().ok(), &hourly);
    assert_eq!(found.verdicts, [Deny, Allow, Allow]);
    let found = run(|b| b.limit_units_exposure = Some(units(6)), &hourly);
    assert_eq!(found.verdicts, [Allow, Allow, Allow], "each hold ends at once");
    let payees = [
        order("2026-11-22T08:00:00Z", 1, 6),
        order("2026-11-22T08:00:00Z", 2, 6),
        order("2026-11-22T08:00:00Z", 2, 6),
        order("2026-11-22T08:00:00Z", 3, 6),
        order("2026-11-23T08:00:00Z", 4, 6),
    ];
    let found = run(|b| b.limit_units_per_payee_day = Some(units(10)), &payees);
    assert_eq!(found.verdicts, [Allow, Allow, Deny, Allow, Allow]);
    // Only what went to the new counts against their cap: six of ten, and another day.
    let found = run(|b| b.limit_units_per_new_payee_day = Some(units(10)), &payees);
    assert_eq!(found.verdicts, [Allow, Allow, Allow, Ask, Allow]);
}

#[test]
fn a_day_takes_the_same_counters_however_many_minutes_it_spends_in() {
    let b = budget();
    let known = [payee(1)];
    let mut stage = Stage::new(&b, Grade::L3, &known);
    stage.play(&order("2026-11-22T08:00:00Z", 1, 1)).expect("a known zone");
    let counters = stage.counters.len();
    stage.play(&order("2026-11-22T08:01:00Z", 1, 1)).expect("a known zone");
    assert_eq!(stage.so_far.verdicts, [Allow, Allow]);
    assert_eq!(stage.counters.len(), counters);
    // The hour is kept by the minute instead, and only for an hour.
    assert_eq!(stage.hour.count("2026-11-22T08:01:00Z".parse().expect("a time")), 2);
    stage.play(&order("2026-11-22T12:00:00Z", 1, 1)).expect("a known zone");
    assert_eq!((stage.counters.len(), Vec::from(stage.hour).len()), (counters, 1));
}

#[test]
fn the_busiest_rule_comes_first() {
    let orders = [
        order("2026-11-22T08:00:00Z", 1, 30),
        order("2026-11-22T08:00:00Z", 1, 15),
        order("2026-11-22T08:00:00Z", 1, 12),
        order("2026-11-22T08:00:00Z", 2, 30),
    ];
    let b = Budget { limit_units_per_payment: Some(units(10)), ..budget() };
    let found = rehearse(&b, Grade::L3, &[payee(1)], &orders).expect("a known zone");
    assert_eq!(
        found.rules,
        [(ReasonCode::OverPerPayment, 4), (ReasonCode::OverPerDay, 2), (ReasonCode::NewPayee, 1)]
    );
    assert_eq!((found.asked, found.refused), (2, 2));
}

#[test]
fn sums_past_all_figures_stay_at_the_most_there_is() {
    let most = |at| PastOrder { value: Units::MAX, ..order(at, 1, 0) };
    let orders = [most("2026-11-22T08:00:00Z"), most("2026-11-22T08:00:00Z")];
    let found =
        rehearse(&Budget::blank(asset()), Grade::L3, &[payee(1)], &orders).expect("a known zone");
    assert_eq!(found.verdicts, [Allow, Allow]);
    assert_eq!((found.units_allowed, found.most_in_a_day), (Units::MAX, Units::MAX));
    let b = Budget { limit_units_per_hour: Some(Units::MAX), ..Budget::blank(asset()) };
    let found = rehearse(&b, Grade::L3, &[payee(1)], &orders).expect("a known zone");
    assert_eq!(found.verdicts, [Allow, Deny]);
}

fn any_orders() -> impl Strategy<Value = Vec<PastOrder>> {
    let one = (0i64..5 * 86_400, 0u8..4, 0u128..30, any::<bool>(), any::<bool>());
    prop::collection::vec(one, 0..16).prop_map(|all| {
        let start: Timestamp = "2026-10-23T00:00:00Z".parse().expect("a time");
        let mut orders: Vec<_> = all
            .into_iter()
            .map(|(after_s, shop, value, owner_said_yes, paid)| PastOrder {
                at: start + SignedDuration::from_secs(after_s),
                payee: payee(shop),
                value: units(value),
                owner_said_yes,
                paid,
            })
            .collect();
        orders.sort_by_key(|order| order.at);
        orders.dedup_by_key(|order| order.at);
        orders
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is let through keeps the limits, added up again by hand, and the figures add up.
    #[test]
    fn the_figures_add_up(
        orders in any_orders().prop_shuffle(),
        limits in (1u128..60, 1u128..60, 1u128..40),
        grade in 0usize..5,
        allow in any::<bool>(),
    ) {
        let b = Budget {
            limit_units_per_day: Some(units(limits.0)),
            limit_units_per_hour: Some(units(limits.1)),
            limit_units_per_payee_day: Some(units(limits.2)),
            new_payee: if allow { NewPayeeRule::Allow } else { NewPayeeRule::Ask },
            zone: "Europe/Amsterdam".into(),
            ..Budget::blank(asset())
        };
        let found = rehearse(&b, Grade::ALL[grade], &[payee(0)], &orders).expect("a known zone");
        let mut sorted = orders.clone();
        sorted.sort_by_key(|order| order.at);
        prop_assert_eq!(rehearse(&b, Grade::ALL[grade], &[payee(0)], &sorted), Ok(found.clone()));
        let with = |outcome| sorted.iter().zip(&found.verdicts).filter(move |(_, v)| **v == outcome);
        let sum = |outcome| with(outcome).map(|(order, _)| order.value.get()).sum::<u128>();
        prop_assert_eq!(found.units_allowed, units(sum(Allow)));
        prop_assert_eq!(found.units_asked, units(sum(Ask)));
        prop_assert_eq!(found.units_refused, units(sum(Deny)));
        let counts = [found.allowed, found.asked, found.refused];
        prop_assert_eq!(counts, [Allow, Ask, Deny].map(|o| with(o).count() as u32));
        let mut days: BTreeMap<String, u128> = BTreeMap::new();
        let mut payee_days: BTreeMap<(String, String), u128> = BTreeMap::new();
        let spent: Vec<&PastOrder> = with(Allow)
            .chain(with(Ask).filter(|(order, _)| order.owner_said_yes))
            .map(|(order, _)| order)
            .collect();
        for order in &spent {
            let day = b.span(Window::Day, order.at).expect("a known zone").label;
            *days.entry(day.clone()).or_default() += order.value.get();
            *payee_days.entry((day, order.payee.origin.clone())).or_default() += order.value.get();
            let hour = order.at..=order.at + SignedDuration::from_hours(1);
            let in_hour = spent.iter().filter(|other| hour.contains(&other.at));
            prop_assert!(in_hour.map(|other| other.value.get()).sum::<u128>() <= limits.1);
        }
        prop_assert!(payee_days.values().all(|sum| *sum <= limits.2));
        prop_assert!(days.values().all(|sum| *sum <= limits.0));
        prop_assert_eq!(found.most_in_a_day, units(days.values().copied().max().unwrap_or(0)));
        let labelled = found.most_in_a_day_label.as_ref().map(|day| days[day]);
        prop_assert_eq!(labelled.unwrap_or(0), found.most_in_a_day.get());
        prop_assert!(found.rules.is_sorted_by_key(|(_, n)| std::cmp::Reverse(*n)));
    }
}
