//! The rules over real books: windows, shared budgets, danger and the clock.

mod common;

use common::*;
use imprest_domain::{
    Address, B256, Budget, Danger, Effect, Grade, NewPayeeRule, Outcome, Payee, ReasonCode,
    SignalKind, Subject, Units, Window,
};
use imprest_ledger::{Approved, Delivery, LedgerError, NewAgent, Order, Reserved};
use jiff::{SignedDuration, Timestamp};

const NOON: &str = "2026-11-22T12:00:00Z";

async fn used(desk: &Desk, budget: &Budget, window: Window) -> Units {
    let used = desk.ledger.window_use(desk.agent.id.as_str(), budget, window).await.expect("reads");
    used.settled.checked_add(used.held).expect("small")
}

#[tokio::test]
async fn the_rolling_hour_frees_what_is_older_than_an_hour() {
    let hands = Hands::at(NOON);
    let limits = Budget { limit_units_per_hour: Some(units(30)), ..budget(10, 1_000) };
    let desk = Desk::with(limits, hands.options()).await;
    for _ in 0..3 {
        let _held = desk.held(10).await;
        hands.turn(SignedDuration::from_mins(10));
    }
    let refused = desk.reserve(10, None).await;
    let Reserved::Refused { verdict, .. } = &refused else { panic!("not refused: {refused:?}") };
    let reason = verdict.objections().next().expect("a reason");
    assert_eq!(reason.code, ReasonCode::OverPerHour);
    assert_eq!((reason.limit, reason.observed), (Some(units(30)), Some(units(40))));
    let frees_at = reason.resets_at.expect("time frees it");
    hands.set(&frees_at.to_string());
    let _held = desk.held(10).await;
    assert_eq!(verdict_of(&desk, 10).await, ("refused", vec![ReasonCode::OverPerHour]));
    desk.whole().await;
}

async fn verdict_of(desk: &Desk, value: u128) -> (&'static str, Vec<ReasonCode>) {
    verdict(&desk.reserve(value, None).await)
}

#[tokio::test]
async fn a_count_an_hour_counts_payments_and_gives_back_what_was_never_signed() {
    let hands = Hands::at(NOON);
    let limits = Budget { limit_count_per_hour: Some(2), ..budget(10, 1_000) };
    let desk = Desk::with(limits, hands.options()).await;
    let first = desk.held(1).await;
    let _second = desk.held(1).await;
    assert_eq!(verdict_of(&desk, 1).await, ("refused", vec![ReasonCode::OverCountPerHour]));
    desk.ledger.void(first, "locked".into()).await.expect("voids");
    let _third = desk.held(1).await;
    desk.whole().await;
}

#[tokio::test]
async fn one_payee_a_day_and_exposure_stop_what_the_day_would_allow() {
    let hands = Hands::at(NOON);
    let limits = Budget {
        limit_units_per_payee_day: Some(units(15)),
        limit_units_exposure: Some(units(20)),
        ..budget(10, 1_000)
    };
    let desk = Desk::with(limits, hands.options()).await;
    let other = Payee { origin: "http://other.example".into(), ..shop() };
    desk.ledger.trust_payee(other.clone()).await.expect("trusts");
    let first = desk.held(10).await;
    assert_eq!(verdict_of(&desk, 10).await, ("refused", vec![ReasonCode::OverPayeeDay]));
    let mut elsewhere = desk.order(10, None);
    elsewhere.intent.payee = other.clone();
    let second = desk.ask(elsewhere.clone()).await;
    assert_eq!(verdict(&second).0, "granted");
    elsewhere.intent.value = units(1);
    let third = verdict(&desk.ask(elsewhere.clone()).await);
    assert_eq!(third, ("refused", vec![ReasonCode::OverExposure]));
    // Settled money is exposed no more.
    desk.ledger.settle(first.payment(), common_tx(), 1).await.expect("settles");
    assert_eq!(verdict(&desk.ask(elsewhere).await).0, "granted");
    desk.whole().await;
}

fn common_tx() -> imprest_domain::B256 {
    imprest_domain::B256::repeat_byte(7)
}

#[tokio::test]
async fn no_change_of_zone_reopens_a_window() {
    let hands = Hands::at("2026-11-22T22:30:00Z");
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let open = desk.held(10).await;
    for _ in 0..4 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), common_tx(), 1).await.expect("settles");
    }
    let mut before = used(&desk, &desk.agent.budget, Window::Day).await;
    // Tokyo lives in tomorrow already, Honolulu still in today, Auckland in tomorrow again.
    for zone in ["Asia/Tokyo", "Pacific/Honolulu", "Pacific/Auckland", "UTC", "Asia/Tokyo"] {
        let limits = Budget { zone: zone.into(), ..budget(10, 100) };
        desk.ledger.set_budget(&desk.agent.id, limits.clone()).await.expect("sets");
        let after = used(&desk, &limits, Window::Day).await;
        assert!(after >= before, "{zone}: {after} after {before}");
        let _held = desk.held(1).await;
        before = used(&desk, &limits, Window::Day).await;
    }
    assert_eq!(before, units(55));
    // An open hold carried along comes back from every window it lies in.
    desk.ledger.expire(open.payment(), 9).await.expect("expires");
    for zone in ["Asia/Tokyo", "UTC"] {
        let limits = Budget { zone: zone.into(), ..budget(10, 100) };
        assert!(used(&desk, &limits, Window::Day).await <= units(45), "{zone}");
    }
    desk.whole().await;
}

#[tokio::test]
async fn switching_a_limit_off_and_on_forgets_nothing() {
    let desk = Desk::open(10, 20).await;
    let _held = (desk.held(10).await, desk.held(10).await);
    let without = Budget {
        limit_units_per_day: None,
        limit_units_lifetime: Some(units(1_000)),
        ..budget(10, 0)
    };
    desk.ledger.set_budget(&desk.agent.id, without).await.expect("sets");
    desk.ledger.set_budget(&desk.agent.id, budget(10, 20)).await.expect("sets");
    assert_eq!(verdict_of(&desk, 1).await, ("refused", vec![ReasonCode::OverPerDay]));
}

#[tokio::test]
async fn a_shared_budget_stops_all_its_agents_together() {
    let desk = Desk::open(10, 1_000).await;
    let other = desk.another("Night shift", 2, budget(10, 1_000)).await;
    let team = desk.ledger.add_shared(
        "Team".parse().expect("a name"),
        Budget { limit_units_per_day: Some(units(50)), ..Budget::blank(usdc().id) },
    );
    let team = team.await.expect("adds");
    for agent in [&desk.agent, &other] {
        desk.ledger.join_shared(&agent.id, Some(team.id.clone())).await.expect("joins");
    }
    let mut granted = 0;
    for round in 0..10 {
        let agent = if round % 2 == 0 { &desk.agent.id } else { &other.id };
        let reserved = desk.ask(order(agent, 10, None)).await;
        granted += u32::from(matches!(reserved, Reserved::Granted { .. }));
        if let Reserved::Refused { verdict, .. } = reserved {
            let reason = verdict.objections().next().expect("a reason");
            assert_eq!(
                (reason.code, reason.scope.as_deref()),
                (ReasonCode::OverPerDay, Some("Team"))
            );
        }
    }
    assert_eq!(granted, 5);
    // Whoever leaves is free of it; what was spent under it stays spent there.
    desk.ledger.acknowledge_all().await;
    desk.ledger.join_shared(&other.id, None).await.expect("leaves");
    assert_eq!(verdict(&desk.ask(order(&other.id, 10, None)).await).0, "granted");
    desk.ledger.join_shared(&other.id, Some(team.id)).await.expect("joins");
    assert_eq!(verdict(&desk.ask(order(&other.id, 1, None)).await).0, "refused");
    desk.whole().await;
}

/// The owner sees everything that is open.
trait Acknowledge {
    async fn acknowledge_all(&self);
}

impl Acknowledge for imprest_ledger::Ledger {
    async fn acknowledge_all(&self) {
        for record in self.signals(100).await.expect("reads") {
            if record.ack.is_none() {
                self.acknowledge(record.signal.seq).await.expect("acknowledges");
            }
        }
    }
}

#[tokio::test]
async fn a_changed_address_raises_danger_until_the_owner_has_seen_it() {
    let desk = Desk::open(10, 1_000).await;
    let mut moved = desk.order(5, None);
    moved.intent.payee.pay_to = Address::repeat_byte(0xBB);
    let Reserved::Asked { approval, verdict: asked, .. } = desk.ask(moved.clone()).await else {
        panic!("not asked")
    };
    assert_eq!(asked.grade, Grade::L2);
    // The old address asks too now: one of the two is wrong, and nobody knows which.
    assert_eq!(verdict(&desk.reserve(5, None).await), ("asked", vec![ReasonCode::GradeAsks]));
    let signals = desk.ledger.signals(10).await.expect("reads");
    assert_eq!(signals.len(), 1, "said once");
    assert_eq!(signals[0].signal.kind, SignalKind::PayToChanged);
    // A yes to the payment is a yes to what was shown with it.
    let approved = desk.ledger.approve(&approval, moved.clone(), usdc(), Danger::Calm).await;
    let Ok(Approved::Granted { grant, .. }) = approved else { panic!("not granted: {approved:?}") };
    desk.ledger.settle(grant.payment(), common_tx(), 3).await.expect("settles");
    assert_eq!(verdict(&desk.ask(moved).await).0, "granted");
    desk.whole().await;
}

#[tokio::test]
async fn a_price_far_above_the_usual_asks() {
    let desk = Desk::open(1_000, 100_000).await;
    for _ in 0..4 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), common_tx(), 3).await.expect("settles");
    }
    assert_eq!(verdict_of(&desk, 20).await.0, "granted");
    let Reserved::Granted { verdict: dear, .. } = desk.reserve(21, None).await else {
        panic!("not granted")
    };
    let warned: Vec<_> = dear.warnings().map(|reason| reason.code).collect();
    assert_eq!(warned, [ReasonCode::PriceJumped]);
    assert_eq!(verdict_of(&desk, 51).await, ("asked", vec![ReasonCode::GradeAsks]));
    let kinds: Vec<_> =
        desk.ledger.signals(10).await.expect("reads").iter().map(|s| s.signal.kind).collect();
    assert_eq!(kinds, [SignalKind::PriceSoared, SignalKind::PriceJumped]);
    // Another thing of the same payee has its own price, and the payee is under suspicion still.
    let mut other = desk.order(500, None);
    other.url = "http://127.0.0.1:4021/map?size=9".into();
    assert_eq!(verdict(&desk.ask(other).await).0, "asked");
    desk.whole().await;
}

#[tokio::test]
async fn three_hard_refusals_in_ten_minutes_make_an_agent_ask() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 20), hands.options()).await;
    for _ in 0..2 {
        assert_eq!(verdict_of(&desk, 25).await.0, "refused");
        hands.turn(SignedDuration::from_mins(6));
    }
    assert_eq!(verdict_of(&desk, 25).await.0, "refused");
    assert_eq!(verdict_of(&desk, 5).await.0, "granted", "two in six minutes are no burst");
    assert_eq!(verdict_of(&desk, 25).await.0, "refused");
    let asked = desk.reserve(5, None).await;
    assert_eq!(verdict(&asked), ("asked", vec![ReasonCode::GradeAsks]));
    let desk = desk.again().await;
    desk.ledger.acknowledge_all().await;
    assert_eq!(verdict_of(&desk, 4).await.0, "granted");
    // What was seen before does not count again, and an agent's own maximum is no burst.
    assert_eq!(verdict_of(&desk, 25).await.0, "refused");
    assert_eq!(verdict_of(&desk, 1).await.0, "granted");
    desk.whole().await;
}

#[tokio::test]
async fn a_payee_that_keeps_the_money_is_not_paid_unasked() {
    let desk = Desk::open(10, 1_000).await;
    for _ in 0..3 {
        let held = desk.held(1).await;
        let unknown = Delivery::Unknown { status: Some(402), why: "asked again".into() };
        desk.ledger.record_delivery(held.payment(), unknown).await.expect("records");
    }
    assert_eq!(verdict_of(&desk, 1).await, ("asked", vec![ReasonCode::GradeAsks]));
    desk.whole().await;
}

#[tokio::test]
async fn a_credential_used_from_two_places_signs_nothing_until_it_is_replaced() {
    let desk = Desk::open(10, 1_000).await;
    let agent = desk.agent.id.clone();
    let used = |place: &str| desk.ledger.credential_used(&agent, place.to_owned());
    used("user 1000").await.expect("records");
    used("user 1000").await.expect("records");
    assert_eq!(verdict_of(&desk, 1).await.0, "granted");
    used("user 65534").await.expect("records");
    assert_eq!(verdict_of(&desk, 1).await, ("refused", vec![ReasonCode::GradeTooLow]));
    let subject = Subject::Agent { agent: agent.clone() };
    let (danger, why) = desk.ledger.danger_of(subject).await.expect("reads");
    assert_eq!(danger, Danger::Halted);
    assert!(why.is_some_and(|why| why.contains("user 65534") && why.contains("user 1000")));
    desk.ledger.rotate_token(&agent, "bb".into()).await.expect("rotates");
    assert_eq!(verdict_of(&desk, 1).await.0, "granted");
    desk.whole().await;
}

#[tokio::test]
async fn a_clock_set_back_stops_unattended_payments_and_says_so() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 20), hands.options()).await;
    let _held = desk.held(10).await;
    hands.turn(-SignedDuration::from_secs(119));
    assert_eq!(verdict_of(&desk, 1).await.0, "granted", "two minutes are forgiven");
    hands.turn(-SignedDuration::from_secs(2));
    let asked = desk.reserve(2, None).await;
    let Reserved::Asked { verdict: why, .. } = &asked else { panic!("not asked: {asked:?}") };
    let detail = why.objections().next().and_then(|reason| reason.detail.clone());
    assert!(detail.is_some_and(|detail| detail.contains("clock was set back")));
    assert!(desk.ledger.clock_behind().is_some());
    hands.turn(SignedDuration::from_secs(2));
    assert_eq!(verdict_of(&desk, 1).await.0, "granted");
}

#[tokio::test]
async fn only_the_owner_takes_the_clock_back_and_no_window_reopens() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 20), hands.options()).await;
    let _today = desk.held(10).await;
    assert!(matches!(desk.ledger.accept_clock().await, Err(LedgerError::ClockAgrees)));
    // Once far ahead, by mistake.
    hands.set("2027-06-01T12:00:00Z");
    let _then = desk.held(10).await;
    hands.set("2026-11-22T13:00:00Z");
    assert_eq!(verdict_of(&desk, 1).await.0, "asked");
    desk.ledger.accept_clock().await.expect("accepts");
    assert_eq!(desk.ledger.clock_behind(), None);
    assert_eq!(used(&desk, &desk.agent.budget, Window::Day).await, units(10));
    let _rest = desk.held(10).await;
    assert_eq!(verdict_of(&desk, 1).await, ("refused", vec![ReasonCode::OverPerDay]));
    let desk = desk.again().await;
    assert_eq!(used(&desk, &desk.agent.budget, Window::Day).await, units(20));
    desk.whole().await;
}

#[tokio::test]
async fn the_rolling_hour_survives_a_clock_that_was_ahead() {
    let hands = Hands::at("2027-06-01T12:00:00Z");
    let limits = Budget { limit_units_per_hour: Some(units(20)), ..budget(10, 1_000) };
    let desk = Desk::with(limits, hands.options()).await;
    let _then = (desk.held(10).await, desk.held(5).await);
    hands.set(NOON);
    desk.ledger.accept_clock().await.expect("accepts");
    let _now = desk.held(5).await;
    assert_eq!(verdict_of(&desk, 1).await, ("refused", vec![ReasonCode::OverPerHour]));
    hands.turn(SignedDuration::from_mins(61));
    let _later = desk.held(10).await;
    desk.whole().await;
}

#[tokio::test]
async fn a_steward_pays_strangers_only_up_to_its_cap() {
    let limits = Budget {
        new_payee: NewPayeeRule::Allow,
        limit_units_per_new_payee_day: Some(units(15)),
        ..budget(10, 1_000)
    };
    let desk = Desk::with(limits, imprest_ledger::OpenOptions::default()).await;
    desk.ledger.set_grade(&desk.agent.id, Grade::L4).await.expect("sets");
    let stranger = |n: u8| {
        let mut order = desk.order(10, None);
        order.intent.payee.origin = format!("https://stranger-{n}.example");
        order
    };
    assert_eq!(verdict(&desk.ask(stranger(1)).await).0, "granted");
    let asked = desk.ask(stranger(2)).await;
    assert_eq!(verdict(&asked), ("asked", vec![ReasonCode::OverNewPayeeDay]));
    // A payee it knows is no stranger.
    assert_eq!(verdict_of(&desk, 10).await.0, "granted");
    desk.whole().await;
}

#[tokio::test]
async fn eighty_percent_warns_and_changes_nothing() {
    let desk = Desk::open(100, 100).await;
    let Reserved::Granted { verdict, .. } = desk.reserve(79, None).await else { panic!("no") };
    assert_eq!(verdict.warnings().count(), 0);
    let Reserved::Granted { verdict, .. } = desk.reserve(1, None).await else { panic!("no") };
    let warned = verdict.warnings().next().expect("warned");
    assert_eq!((warned.code, warned.effect), (ReasonCode::OverPerDay, Effect::Warn));
    assert_eq!(verdict.outcome, Outcome::Allow);
}

#[tokio::test]
async fn open_holds_say_when_enough_of_them_has_ended() {
    let hands = Hands::at(NOON);
    let limits = Budget { limit_units_exposure: Some(units(20)), ..budget(20, 1_000) };
    let desk = Desk::with(limits, hands.options()).await;
    for (value, lives_s) in [(3, 120), (12, 60), (5, 90)] {
        let mut order = desk.order(value, None);
        order.max_timeout_s = lives_s;
        assert_eq!(verdict(&desk.ask(order).await).0, "granted");
    }
    let frees_after_s = async |value: u128| {
        let asked = desk.reserve(value, None).await;
        let Reserved::Refused { verdict: why, .. } = &asked else { panic!("{asked:?}") };
        let noon: Timestamp = NOON.parse().expect("a time");
        let at = why.objections().find(|r| r.code == ReasonCode::OverExposure)?.resets_at?;
        Some(at.duration_since(noon).as_secs())
    };
    // A signature's end, and the half minute until its hold can come back.
    assert_eq!(frees_after_s(12).await, Some(60 + 30));
    assert_eq!(frees_after_s(13).await, Some(90 + 30), "the first one to end is not enough");
    assert_eq!(frees_after_s(18).await, Some(120 + 30));
    // What should have ended by now is no promise.
    hands.turn(SignedDuration::from_secs(90));
    assert_eq!(frees_after_s(1).await, Some(90 + 30));
    assert_eq!(frees_after_s(9).await, None);
}

#[tokio::test]
async fn a_price_that_jumped_says_when_it_is_forgotten() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(20, 1_000), hands.options()).await;
    let subject = Subject::Payee { origin: shop().origin };
    let detail = "it asks three times as much".to_owned();
    desk.ledger
        .raise_signal(SignalKind::PriceJumped, subject.clone(), detail)
        .await
        .expect("raises");
    let tomorrow = NOON.parse::<Timestamp>().expect("a time") + SignedDuration::from_hours(24);
    let per_payment = async || {
        let asked = desk.reserve(11, None).await;
        let Reserved::Asked { verdict: why, .. } = &asked else { panic!("{asked:?}") };
        why.objections().find(|r| r.code == ReasonCode::OverPerPayment).and_then(|r| r.resets_at)
    };
    assert_eq!(per_payment().await, Some(tomorrow));
    // What only the owner ends has no moment, and no alarm of the desk's own has one.
    let detail = "it names another address".to_owned();
    let order = desk.order(11, Some("with an alarm"));
    let asked = desk.ledger.reserve(order, usdc(), Danger::Wary, MINUTES).await.expect("decides");
    let Reserved::Asked { verdict: why, .. } = &asked else { panic!("{asked:?}") };
    assert!(why.objections().all(|reason| reason.resets_at.is_none()), "{why:?}");
    desk.ledger.raise_signal(SignalKind::PayToChanged, subject, detail).await.expect("raises");
    let order = desk.order(11, Some("another address"));
    let asked = desk.ask(order).await;
    let Reserved::Asked { verdict: why, .. } = &asked else { panic!("{asked:?}") };
    assert!(why.objections().all(|reason| reason.resets_at.is_none()), "{why:?}");
}

#[tokio::test]
async fn an_agent_that_cannot_be_is_refused_and_nobody_else_is_stopped() {
    let desk = Desk::open(10, 100).await;
    let new = |name: &str| NewAgent {
        name: name.parse().expect("a name"),
        account: 7,
        address: Address::repeat_byte(0x77),
        grade: Grade::L3,
        budget: budget(10, 100),
        shared: None,
        token_sha256: "77".into(),
    };
    let scout = &desk.agent;
    for (taken, agent) in [
        ("account", NewAgent { account: scout.account, ..new("Other") }),
        ("address", NewAgent { address: scout.address, ..new("Other") }),
        ("token", NewAgent { token_sha256: "aa".into(), ..new("Other") }),
    ] {
        let refused = desk.ledger.add_agent(agent).await.expect_err(taken);
        assert!(matches!(refused, LedgerError::AgentClash { what } if what == taken), "{refused}");
    }
    let mut other_asset = budget(10, 100);
    other_asset.asset.chain_id += 1;
    let shared = desk.ledger.add_shared("Team".parse().expect("a name"), budget(10, 100)).await;
    let shared = Some(shared.expect("adds").id);
    let foreign = NewAgent { budget: other_asset, shared: shared.clone(), ..new("Other") };
    let refused = desk.ledger.add_agent(foreign).await.expect_err("another asset");
    assert!(matches!(refused, LedgerError::OtherAsset), "{refused}");
    let other = desk.ledger.add_agent(NewAgent { shared, ..new("Other") }).await.expect("adds");
    let refused = desk.ledger.rotate_token(&other.id, "aa".into()).await.expect_err("taken");
    assert!(matches!(refused, LedgerError::AgentClash { what: "token" }), "{refused}");
    assert_eq!(verdict_of(&desk, 1).await.0, "granted", "the writer goes on");
    desk.whole().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_empty_hour() {
    let desk = Desk::open(10, 100).await;
    let _held = desk.held(1).await;
    let holder = desk.agent.id.as_str();
    assert_eq!(desk.ledger.count_this_hour(holder).await.expect("reads"), 1);
    let file = rusqlite::Connection::open(desk.path()).expect("opens");
    file.execute("UPDATE hours SET minutes = 'none'", []).expect("writes");
    let read = desk.ledger.count_this_hour(holder).await;
    assert!(matches!(read, Err(LedgerError::Damaged { .. })), "{read:?}");
}

#[tokio::test]
async fn a_budget_keeps_its_asset() {
    let desk = Desk::open(10, 100).await;
    let mut other = budget(10, 100);
    other.asset.chain_id += 1;
    let refused = desk.ledger.set_budget(&desk.agent.id, other).await;
    assert!(matches!(refused, Err(LedgerError::OtherAsset)));
}

#[tokio::test]
async fn many_addresses_of_one_payee_are_one_signal() {
    let desk = Desk::open(10, 1_000).await;
    let halt = Subject::Agent { agent: desk.agent.id.clone() };
    let seen = "seen".to_owned();
    desk.ledger.raise_signal(SignalKind::Undelivered, halt, seen).await.expect("raises");
    for n in 1..=40 {
        let mut order = desk.order(1, None);
        order.intent.payee.pay_to = Address::repeat_byte(n);
        order.url = format!("http://127.0.0.1:4021/{n}");
        let answer = desk.ask(order).await;
        assert_ne!(verdict(&answer).0, "granted", "{answer:?}");
    }
    let desk = desk.again().await;
    let kinds: Vec<_> =
        desk.ledger.signals(1).await.expect("reads").iter().map(|s| s.signal.kind).collect();
    let burst = kinds.iter().filter(|kind| **kind == SignalKind::RefusalBurst).count();
    assert!(burst <= 1, "{kinds:?}");
    let kinds: Vec<_> = kinds.into_iter().filter(|k| *k != SignalKind::RefusalBurst).collect();
    assert_eq!(kinds, [SignalKind::PayToChanged, SignalKind::Undelivered], "asked for one only");
}

#[tokio::test]
async fn a_price_that_goes_on_jumping_keeps_its_danger() {
    let hands = Hands::at("2026-03-02T10:00:00Z");
    let desk = Desk::with(budget(100, 10_000), hands.options()).await;
    for _ in 0..3 {
        let held = desk.held(10).await;
        desk.ledger.settle(held.payment(), B256::random(), 1).await.expect("settles");
    }
    let payee = Subject::Payee { origin: shop().origin };
    let danger = async || desk.ledger.danger_of(payee.clone()).await.expect("reads").0;
    for day in 0..3 {
        desk.reserve(25, None).await;
        assert_eq!(danger().await, Danger::Wary, "on day {day}");
        // Said once an hour at most.
        desk.reserve(26, None).await;
        let jumps = desk.ledger.signals(50).await.expect("reads");
        assert_eq!(jumps.len(), day + 1, "{jumps:?}");
        hands.turn(SignedDuration::from_hours(23));
        assert_eq!(danger().await, Danger::Wary);
        hands.turn(SignedDuration::from_hours(2));
        assert_eq!(danger().await, Danger::Calm);
    }
}

#[tokio::test]
async fn a_credential_that_was_replaced_meanwhile_gets_nothing() {
    let desk = Desk::open(10, 100).await;
    let with =
        |credential: &str| Order { credential: Some(credential.to_owned()), ..desk.order(1, None) };
    let known = desk.ledger.credential_of(&desk.agent.id).await.expect("reads");
    assert_eq!(known.as_deref(), Some("aa"));
    assert_eq!(verdict(&desk.ask(with("aa")).await).0, "granted");
    desk.ledger.rotate_token(&desk.agent.id, "bb".into()).await.expect("rotates");
    let late = desk.ask(with("aa")).await;
    assert_eq!(verdict(&late), ("refused", vec![ReasonCode::AgentRevoked]));
    assert_eq!(verdict(&desk.ask(with("bb")).await).0, "granted");
}

#[tokio::test]
async fn a_hold_its_hour_had_forgotten_gives_nothing_back_to_it() {
    let hands = Hands::at("2026-03-02T15:00:00Z");
    let limits = Budget { limit_count_per_hour: Some(2), ..budget(10, 1_000) };
    let desk = Desk::with(limits, hands.options()).await;
    let forgotten = desk.held(1).await;
    hands.set("2026-03-02T17:00:00Z");
    let _counted = desk.held(1).await;
    // The clock was ahead all the time; what counts at five counts from noon on.
    hands.set("2026-03-02T12:00:00Z");
    desk.ledger.accept_clock().await.expect("accepts");
    desk.ledger.void(forgotten, "not signed".into()).await.expect("gives back");
    let _second = desk.held(1).await;
    let third = desk.reserve(1, None).await;
    assert_ne!(verdict(&third).0, "granted", "two an hour: {third:?}");
    desk.whole().await;
}
