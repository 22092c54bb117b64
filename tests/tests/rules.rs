//! The rules of a budget over the real desk, chain and door: shared limits, hours of the day, what
//! looks odd, and what a limit would have done.

use imprest_desk::view::{BudgetForm, SignalView};
use imprest_tests::{
    DialledClock, HttpDoor, Inside, Obstacle, Till, comes_true, rpc, token_balance,
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The price of the shop's weather report, in atomic units.
const WEATHER_UNITS: u128 = 10_000;
/// How long the desk may take to notice something by itself.
const PATIENCE: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    TempDir::new().expect("makes a folder")
}

fn per_day(limit: &str) -> BudgetForm {
    BudgetForm { per_day: Some(limit.into()), zone: "UTC".into(), ..BudgetForm::default() }
}

async fn buy(door: &HttpDoor, url: &str, key: &str) -> Result<Value, Obstacle> {
    door.fetch(&json!({ "url": url, "idempotency_key": key, "wait_ms": 30_000 })).await
}

/// Buys without waiting for the owner.
async fn ask(door: &HttpDoor, url: &str, key: &str) -> Result<Value, Obstacle> {
    door.fetch(&json!({ "url": url, "idempotency_key": key, "wait_ms": 0 })).await
}

/// The reason of one rule in an answer.
fn reason<'a>(answer: &'a Value, code: &str) -> &'a Value {
    let reasons = answer["verdict"]["reasons"].as_array().expect("reasons");
    reasons.iter().find(|r| r["code"] == code).unwrap_or_else(|| panic!("no {code} in {answer}"))
}

async fn open_signals(inside: &Inside) -> Result<Vec<SignalView>, Obstacle> {
    Ok(inside.desk.signals().await?.into_iter().filter(|signal| signal.open).collect())
}

/// Waits until something is so.
async fn until(
    what: &str,
    is_so: impl AsyncFnMut() -> Result<bool, Obstacle>,
) -> Result<(), Obstacle> {
    comes_true(what, PATIENCE, is_so).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_budget_stops_two_agents_exactly() -> Result<(), Obstacle> {
    const COVERED: usize = 7;
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let team = inside.desk.add_shared("Team".into(), per_day("0.07")).await?;
    assert_eq!(team.sentence, "Agents under Team may together spend 0.07 USDC per day.");
    assert_eq!(team.budget.new_payee, "allow", "new payees are left to the agents’ own budgets");
    let mut doors = Vec::new();
    for name in ["Anna", "Bert"] {
        let made = inside.agent(name, "L3", per_day("1.00"), Some("team")).await?;
        assert_eq!(made.agent.shared.as_deref(), Some("Team"));
        doors.push(inside.door(&made.token)?);
    }
    let weather = inside.practice()?.good("weather");
    let mut swarm = JoinSet::new();
    for at in 0..10 {
        for door in &doors {
            let (door, weather) = (door.clone(), weather.clone());
            swarm.spawn(async move { buy(&door, &weather, &format!("swarm-{at}")).await });
        }
    }
    let mut settled = 0;
    for answer in swarm.join_all().await {
        let answer = answer?;
        if answer["status"] == "settled" {
            settled += 1;
            continue;
        }
        assert_eq!(answer["status"], "refused", "{answer}");
        let reason = reason(&answer, "over_per_day");
        assert_eq!((&reason["scope"], &reason["limit"]), (&json!("Team"), &json!("0.07")));
        let message = reason["message"].as_str().expect("a sentence");
        assert!(message.ends_with(", of the shared budget Team."), "{message}");
        assert!(reason["resets_at"].as_str().is_some_and(|at| at.ends_with("T00:00:00Z")));
    }
    assert_eq!(settled, COVERED);

    the_shared_limit_is_shown(&inside, &doors[0]).await?;

    // Out of it, only its own limits hold.
    let page = inside.desk.join_shared("Bert".into(), None).await?;
    assert_eq!((page.row.shared, page.shared), (None, None));
    for signal in open_signals(&inside).await?.iter().filter(|signal| signal.needs_ack) {
        inside.desk.acknowledge(signal.seq).await?;
    }
    assert_eq!(buy(&doors[1], &weather, "alone").await?["status"], "settled");
    let books = inside.desk.books().await?;
    assert!(books.equal, "{books:?}");
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

/// What the owner and an agent under it see of a shared budget that is used up.
async fn the_shared_limit_is_shown(inside: &Inside, door: &HttpDoor) -> Result<(), Obstacle> {
    let views = inside.desk.shared_budgets().await?;
    let [view] = &views[..] else { panic!("{views:?}") };
    let [day] = &view.windows[..] else { panic!("{view:?}") };
    assert_eq!((day.spent.as_str(), day.left.as_str(), day.warn), ("0.07", "0.00", true));
    assert_eq!(view.agents, ["Anna", "Bert"]);
    let overview = inside.desk.overview().await?;
    assert_eq!(overview.spent_today, "0.07");
    assert_eq!(overview.at_worst_today, "0.00", "the shared limit bounds both");
    assert!(overview.warnings.iter().any(|w| w == "Team has used 100 % of today’s 0.07."));
    let (_, own) = door.get("/v1/budget").await?;
    let scopes: Vec<&Value> =
        own["windows"].as_array().expect("windows").iter().map(|w| &w["scope"]).collect();
    assert_eq!(scopes, [&Value::Null, &json!("Team")], "{own}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_its_hours_it_is_told_when_they_open() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    // Two to three hours from now, so that the test's own minutes do not matter.
    let opens = (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour() + 2) % 24;
    let hours = format!("{opens:02}:00-{:02}:00", (opens + 1) % 24);
    let budget = BudgetForm { hours: Some(hours.clone()), ..per_day("1.00") };
    let made = inside.agent("Clerk", "L3", budget, None).await?;
    assert!(made.agent.sentence.ends_with(&format!("Only {hours}, UTC.")), "{:?}", made.agent);
    let door = inside.door(&made.token)?;
    let weather = inside.practice()?.good("weather");
    let refused = buy(&door, &weather, "too early").await?;
    assert_eq!(refused["status"], "refused", "{refused}");
    let reason = reason(&refused, "outside_hours");
    assert_eq!(reason["remedy"], "time");
    let at: jiff::Timestamp =
        reason["resets_at"].as_str().expect("a time").parse().expect("a time");
    assert!(at > jiff::Timestamp::now());
    let opening = at.to_zoned(jiff::tz::TimeZone::UTC);
    assert_eq!((opening.hour(), opening.minute()), (opens, 0));

    let whole_day = BudgetForm { hours: Some("00:00-24:00".into()), ..per_day("1.00") };
    let page = inside.desk.set_budget("Clerk".into(), whole_day).await?;
    assert_eq!(page.notes, ["The hours are the whole day, so they have no effect."]);
    assert_eq!(buy(&door, &weather, "in time").await?["status"], "settled");
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_address_asks_until_the_owner_says_yes() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let budget = BudgetForm { new_payee: "allow".into(), ..per_day("5.00") };
    let made = inside.agent("Steward", "L4", budget, None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let (first, second) = (
        "0x00000000000000000000000000000000000000A1",
        "0x00000000000000000000000000000000000000A2",
    );
    let till = Till::open(&practice, first, 20_000).await?;
    inside.desk.allow_host(till.host()).await?;
    for at in 0..3 {
        let paid = buy(&door, &till.thing(), &format!("first-{at}")).await?;
        assert_eq!(paid["status"], "settled", "{paid}");
    }
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, first).await?, 60_000);

    till.pay_to(second);
    let asked = ask(&door, &till.thing(), "elsewhere").await?;
    assert_eq!(asked["status"], "pending", "{asked}");
    let detail = reason(&asked, "payee_changed")["message"].as_str().expect("a sentence");
    assert!(detail.contains(first) && detail.contains(second), "{detail}");
    // The danger that this raises makes every payment to this payee a question.
    let why = reason(&asked, "grade_asks")["message"].as_str().expect("a sentence");
    assert!(why.contains("asks to be paid at"), "{why}");
    let signals = open_signals(&inside).await?;
    let [signal] = &signals[..] else { panic!("{signals:?}") };
    assert_eq!((signal.kind.as_str(), signal.level.as_str()), ("pay_to_changed", "guarded"));
    assert!(signal.needs_ack, "{signal:?}");
    assert_eq!(signal.subject, till.host());
    assert_eq!(inside.desk.status().await?.signals, 1);
    assert_eq!(inside.desk.status().await?.danger, "calm", "others are paid as before");
    let weather = buy(&door, &practice.good("weather"), "elsewhere entirely").await?;
    assert_eq!(weather["status"], "settled", "{weather}");

    let cards = inside.desk.approvals().await?;
    let [card] = &cards[..] else { panic!("{cards:?}") };
    let changed = card.changes.iter().any(|change| change.contains("another one than last time"));
    assert!(changed, "{card:?}");
    inside.desk.approve(card.id.clone()).await?;
    let id = asked["payment"]["id"].as_str().expect("a payment");
    assert_eq!(door.settled(id).await?["status"], "settled");
    assert_eq!(open_signals(&inside).await?, [], "the yes was the owner’s word on it");
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, second).await?, 20_000);
    assert_eq!(buy(&door, &till.thing(), "known now").await?["status"], "settled");

    a_jump_in_price_is_seen(&inside, &door, &till).await?;
    inside.close().await;
    Ok(())
}

/// More than twice the usual price is worth seeing, more than five times asks.
async fn a_jump_in_price_is_seen(
    inside: &Inside,
    door: &HttpDoor,
    till: &Till,
) -> Result<(), Obstacle> {
    till.ask(60_000);
    let jumped = buy(door, &till.thing(), "dearer").await?;
    assert_eq!(jumped["status"], "settled", "a known payee is still paid: {jumped}");
    let id = jumped["payment"]["id"].as_str().expect("a payment").to_owned();
    let evidence = inside.desk.evidence(id).await?;
    let finding = evidence.findings.iter().find(|f| f.code == "price_jumped").expect("it is found");
    assert_eq!(finding.effect, "pass");
    assert_eq!(finding.message, "0.06 is asked where 0.02 is usual for the same thing");
    assert_eq!(finding.note.as_deref(), Some("That is more than twice the usual price."));
    let signals = open_signals(inside).await?;
    assert_eq!(signals.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>(), ["price_jumped"]);

    till.ask(500_000);
    let soared = ask(door, &till.thing(), "much dearer").await?;
    assert_eq!(soared["status"], "pending", "{soared}");
    let kinds: Vec<String> = open_signals(inside).await?.into_iter().map(|s| s.kind).collect();
    assert_eq!(kinds, ["price_soared", "price_jumped"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refusals_in_a_row_ask_until_they_are_acknowledged() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let budget = BudgetForm {
        per_payment: Some("0.05".into()),
        over_payment: "deny".into(),
        ..per_day("1.00")
    };
    let made = inside.agent("Pusher", "L3", budget, None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let dear = practice.good("supplier-prices");
    let weather = practice.good("weather");
    assert_eq!(buy(&door, &weather, "before").await?["status"], "settled");
    for at in 0..3 {
        assert_eq!(open_signals(&inside).await?, [], "{at} refusals are none too many");
        let refused = buy(&door, &dear, &format!("dear-{at}")).await?;
        assert_eq!(refused["status"], "refused", "{refused}");
    }
    let signals = open_signals(&inside).await?;
    let [signal] = &signals[..] else { panic!("{signals:?}") };
    assert_eq!((signal.kind.as_str(), signal.subject.as_str()), ("refusal_burst", "Pusher"));
    assert_eq!(signal.detail, "It was refused three times in ten minutes.");
    let page = inside.desk.agent("Pusher".into()).await?;
    assert_eq!((page.row.grade.as_str(), page.row.grade_in_force.as_str()), ("L3", "L2"));
    assert!(page.grade_reason.contains("refused three times"), "{}", page.grade_reason);
    let (_, own) = door.get("/v1/budget").await?;
    assert_eq!(own["grade_in_force"], "L2", "{own}");

    let asked = ask(&door, &weather, "after").await?;
    assert_eq!(asked["status"], "pending", "{asked}");
    let why = reason(&asked, "grade_asks")["message"].as_str().expect("a sentence");
    assert!(why.contains("refused three times in ten minutes"), "{why}");
    let cards = inside.desk.approvals().await?;
    inside.desk.refuse(cards[0].id.clone(), None).await?;

    let unknown = inside.desk.acknowledge(signal.seq + 1_000).await.expect_err("there is none");
    assert_eq!(unknown.code, "not_found");
    let after = inside.desk.acknowledge(signal.seq).await?;
    assert!(after.iter().all(|signal| !signal.open && signal.ack_at.is_some()), "{after:?}");
    let again = inside.desk.acknowledge(signal.seq).await.expect_err("it is over");
    assert_eq!(again.code, "not_found");
    assert_eq!(inside.desk.agent("Pusher".into()).await?.row.grade_in_force, "L3");
    assert_eq!(buy(&door, &weather, "again").await?["status"], "settled");
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_asks_until_it_is_accepted() -> Result<(), Obstacle> {
    let folder = folder();
    let clock = DialledClock::default();
    clock.turn_to(600);
    let inside = Inside::open_by(folder.path(), &clock).await?;
    let made = inside.agent("Punctual", "L3", per_day("1.00"), None).await?;
    let door = inside.door(&made.token)?;
    let weather = inside.practice()?.good("weather");
    assert_eq!(inside.desk.status().await?.clock_behind_s, None);
    let nothing = inside.desk.accept_clock().await.expect_err("it is not behind");
    assert_eq!(nothing.code, "bad_input");

    clock.turn_to(0);
    let status = inside.desk.status().await?;
    let behind_s = status.clock_behind_s.expect("it is behind");
    assert!((540..=600).contains(&behind_s), "{behind_s}");
    assert_eq!(status.danger, "guarded");
    assert!(status.danger_why.as_deref().is_some_and(|why| why.contains("clock")), "{status:?}");
    let asked = ask(&door, &weather, "too early").await?;
    assert_eq!(asked["status"], "pending", "{asked}");
    let why = reason(&asked, "grade_asks")["message"].as_str().expect("a sentence");
    assert!(why.contains("clock was set back"), "{why}");
    let cards = inside.desk.approvals().await?;
    inside.desk.refuse(cards[0].id.clone(), None).await?;

    let status = inside.desk.accept_clock().await?;
    assert_eq!((status.clock_behind_s, status.danger.as_str()), (None, "calm"));
    assert_eq!(buy(&door, &weather, "in time").await?["status"], "settled");
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_differ_from_the_chain_ask() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open_comparing(folder.path(), Duration::from_millis(200)).await?;
    let made = inside.agent("Holder", "L3", per_day("1.00"), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let weather = practice.good("weather");
    // Payments, refills and their settlements are no difference, however often it is compared.
    for at in 0..3 {
        assert_eq!(buy(&door, &weather, &format!("before-{at}")).await?["status"], "settled");
    }
    inside.desk.refill("Holder".into(), "1.00".into()).await?;
    settles_down(&inside).await?;
    assert_eq!(open_signals(&inside).await?, []);

    let float = made.agent.address.clone();
    let held = token_balance(&practice.rpc, &practice.usdc, &float).await?;
    let set = async |units: u128| {
        let params = json!([float, practice.usdc, format!("{units:#x}")]);
        rpc(&practice.rpc, "anvil_dealERC20", params).await
    };
    set(held - 1).await?;
    until("a signal", async || Ok(!open_signals(&inside).await?.is_empty())).await?;
    let signals = open_signals(&inside).await?;
    let [signal] = &signals[..] else { panic!("{signals:?}") };
    assert_eq!((signal.kind.as_str(), signal.needs_ack), ("books_differ", false));
    assert_eq!(signal.subject, "the network Practice");
    assert!(signal.detail.contains("Holder’s float holds"), "{}", signal.detail);
    let status = inside.desk.status().await?;
    assert_eq!(status.danger, "guarded", "{status:?}");
    let asked = ask(&door, &weather, "differs").await?;
    assert_eq!(asked["status"], "pending", "{asked}");
    let cannot = inside.desk.acknowledge(signal.seq).await.expect_err("it ends by itself");
    assert_eq!(cannot.code, "conflict");

    set(held).await?;
    until("agreement", async || {
        Ok(inside.desk.signals().await?.iter().all(|signal| signal.ack_at.is_some()))
    })
    .await?;
    let still = inside.desk.status().await?;
    assert_eq!(still.danger, "guarded", "an hour of agreement has to pass first");
    inside.close().await;
    Ok(())
}

/// Waits until nothing is in flight and some comparisons have been made.
async fn settles_down(inside: &Inside) -> Result<(), Obstacle> {
    until("nothing in flight", async || {
        let books = inside.desk.books().await?;
        Ok(books.equal && books.in_flight == "0.00")
    })
    .await?;
    let block = inside.desk.status().await?.network.block.unwrap_or_default();
    until("some more blocks", async || {
        Ok(inside.desk.status().await?.network.block.unwrap_or_default() > block + 8)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_rehearsed_and_its_nearness_is_told_once() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let budget = BudgetForm { per_payment: Some("0.05".into()), ..per_day("0.65") };
    let made = inside.agent("Scout", "L3", budget.clone(), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let (weather, dear) = (practice.good("weather"), practice.good("supplier-prices"));
    let mut told = inside.desk.warnings();
    assert_eq!(buy(&door, &weather, "one").await?["status"], "settled");
    assert_eq!(told.try_recv().ok(), None, "0.01 of 0.65 is nothing");
    let asked = ask(&door, &dear, "dear").await?;
    let cards = inside.desk.approvals().await?;
    inside.desk.approve(cards[0].id.clone()).await?;
    door.settled(asked["payment"]["id"].as_str().expect("a payment")).await?;
    assert_eq!(told.recv().await.as_deref(), Ok("Scout has used 93 % of today’s 0.65."));
    assert_eq!(buy(&door, &weather, "two").await?["status"], "settled");
    assert_eq!(told.try_recv().ok(), None, "it is told once a day");
    let row = inside.desk.agents().await?.remove(0);
    assert_eq!(row.warnings, ["Scout has used 95 % of today’s 0.65."]);
    assert!(row.pace.is_some_and(|pace| pace.warn));

    let before = inside.desk.verify().await?;
    let as_it_was = inside.desk.rehearse("Scout".into(), budget, 30).await?;
    assert_eq!(
        as_it_was.sentence,
        "Of the last 30 days’ 3 payments, 2 would have been paid, 1 asked about, 0 refused; at most 0.62 in a day."
    );
    let tight = BudgetForm {
        per_payment: Some("0.05".into()),
        over_payment: "deny".into(),
        max_count_hour: Some("1".into()),
        ..per_day("0.65")
    };
    let tight = inside.desk.rehearse("Scout".into(), tight, 1).await?;
    assert_eq!((tight.allowed, tight.asked, tight.refused), (1, 0, 2));
    assert_eq!((tight.amount_allowed.as_str(), tight.amount_refused.as_str()), ("0.01", "0.61"));
    let rules: Vec<(&str, u32)> = tight.rules.iter().map(|r| (r.code.as_str(), r.times)).collect();
    assert_eq!(rules, [("over_count_per_hour", 2), ("over_per_payment", 1)]);
    for (field, days) in [("Days", 0), ("Days", 4_000)] {
        let wrong = inside.desk.rehearse("Scout".into(), per_day("1"), days).await;
        let wrong = wrong.expect_err("no number of days");
        assert!(wrong.code == "bad_input" && wrong.message.starts_with(field), "{wrong}");
    }
    let after = inside.desk.verify().await?;
    assert_eq!(after.head, before.head, "a rehearsal writes nothing");
    let weather_paid = WEATHER_UNITS * 2;
    assert_eq!(as_it_was.amount_allowed, format!("0.{:02}", weather_paid / 10_000));
    inside.close().await;
    Ok(())
}

/// Limits that are none, through the command line: two lines, exit code 2, and nothing changed.
#[test]
fn bad_limits_are_named_and_change_nothing() -> Result<(), Obstacle> {
    let folder = folder();
    let desk = imprest_tests::Desk::serve_practice(folder.path())?;
    desk.add_agent("Scout", &["--per-day", "1"])?;
    let before = desk.read(&["agent", "show", "Scout"])?.done()?["budget"].clone();
    let amounts = ["-1", "+1", "1e3", "0x10", " 1", "1 ", "1,50", ".5", "1.", "1.0000001", "", "٣"];
    let mut cases: Vec<(String, String, &str)> = Vec::new();
    let flags = [
        ("--per-payment", "Per payment"),
        ("--per-hour", "Per hour"),
        ("--per-day", "Per day"),
        ("--lifetime", "In all"),
        ("--per-payee-day", "Per payee and day"),
        ("--per-new-payee-day", "New payees per day"),
        ("--exposure", "In flight"),
    ];
    for (flag, field) in flags {
        for amount in amounts {
            cases.push((
                flag.into(),
                amount.into(),
                if amount == "1.0000001" { field } else { flag },
            ));
        }
        cases.push((flag.into(), "9".repeat(30), flag));
    }
    cases.push(("--per-day".into(), "9223372036855".into(), "Per day"));
    for count in ["-1", "+1", "1.5", "1e1", "0x1", "4294967296", "many"] {
        cases.push(("--max-count-hour".into(), count.into(), "--max-count-hour"));
    }
    for hours in ["9-18", "09:00", "09:00-09:00", "25:00-26:00", "09:00-18:00 CET"] {
        cases.push(("--hours".into(), hours.into(), "--hours"));
    }
    for zone in ["Mars/Olympus", "local", "+01:00", "Etc/Unknown"] {
        cases.push(("--zone".into(), zone.into(), "Zone"));
    }
    cases.push(("--expires".into(), "2020-01-01T00:00:00Z".into(), "Ends"));
    cases.push(("--expires".into(), "tomorrow".into(), "--expires"));
    cases.push(("--per-day".into(), "none".into(), "Limits"));
    for (flag, value, named) in &cases {
        let argument = format!("{flag}={value}");
        let answer = desk.owner(&["agent", "set", "Scout", &argument])?;
        assert_eq!(answer.code, 2, "{argument}: {answer:?}");
        assert_eq!(answer.stderr.lines().count(), 2, "{argument}: {answer:?}");
        let what = answer.stderr.lines().next().unwrap_or_default();
        assert!(what.contains(named), "{named} is not named: {answer:?}");
    }
    let after = desk.read(&["agent", "show", "Scout"])?.done()?["budget"].clone();
    assert_eq!(after, before);
    let added = desk.owner(&["agent", "add", "Second", "--per-hour", "1"])?;
    assert!(added.code == 2 && added.stderr.contains("per hour"), "{added:?}");
    let unknown = desk.owner(&["agent", "set", "Scout", "--shared", "nobody"])?;
    assert_eq!((unknown.code, unknown.stderr.lines().count()), (1, 2), "{unknown:?}");
    every_flag_comes_back(&desk)
}

/// What is set by a flag is what is shown, for an agent and for a shared budget.
fn every_flag_comes_back(desk: &imprest_tests::Desk) -> Result<(), Obstacle> {
    let flags = [
        ("--per-payment", "per_payment", "0.25"),
        ("--per-hour", "per_hour", "0.50"),
        ("--per-day", "per_day", "1.00"),
        ("--per-week", "per_week", "2.00"),
        ("--per-month", "per_month", "3.00"),
        ("--lifetime", "lifetime", "4.00"),
        ("--per-payee-day", "per_payee_day", "0.75"),
        ("--per-new-payee-day", "per_new_payee_day", "0.10"),
        ("--exposure", "exposure", "0.40"),
        ("--max-count-hour", "max_count_hour", "12"),
        ("--hours", "hours", "09:00-18:00"),
        ("--over", "over_payment", "deny"),
        ("--new-payee", "new_payee", "allow"),
        ("--zone", "zone", "Europe/Amsterdam"),
        ("--expires", "expires_at", "2099-01-01T00:00:00Z"),
    ];
    let arguments: Vec<&str> = flags.iter().flat_map(|(flag, _, value)| [*flag, *value]).collect();
    let made = desk.owner(&[&["shared", "add", "Team"], &arguments[..]].concat())?;
    let set =
        desk.owner(&[&["agent", "set", "Scout", "--shared", "team"], &arguments[..]].concat())?;
    for answer in [&made, &set] {
        for (_, field, value) in flags {
            assert_eq!(answer.done()?["budget"][field], value, "{field}");
        }
    }
    assert_eq!(set.done()?["row"]["shared"], "Team");
    let windows: Vec<&str> = set.done()?["windows"]
        .as_array()
        .expect("windows")
        .iter()
        .filter_map(|window| window["window"].as_str())
        .collect();
    assert_eq!(windows, ["hour", "day", "week", "month", "lifetime"]);
    let listed = desk.read(&["shared", "list"])?;
    assert_eq!(listed.done()?["agents"], json!(["Scout"]));
    let shown = desk.read(&["shared", "show", "TEAM"])?;
    assert_eq!(shown.done()?["name"], "Team");
    let smaller = desk.owner(&["shared", "set", "team", "--per-day", "0.50", "--hours", "none"])?;
    assert_eq!(smaller.done()?["budget"]["per_day"], "0.50");
    assert_eq!(smaller.done()?["budget"]["hours"], Value::Null);
    let out = desk.owner(&["agent", "set", "Scout", "--shared", "none"])?;
    assert_eq!(out.done()?["row"]["shared"], Value::Null);
    let third = desk.owner(&["agent", "add", "Third", "--per-day", "1", "--shared", "team"])?;
    assert_eq!(third.done()?["agent"]["shared"], "Team");
    assert_eq!(desk.read(&["shared", "show", "team"])?.done()?["agents"], json!(["Third"]));
    let rehearsed = desk.read(&["agent", "rehearse", "Scout", "--per-day", "2", "--days", "7"])?;
    assert_eq!(
        rehearsed.done()?["sentence"],
        "There were no payments in the last 7 days to rehearse."
    );
    assert_eq!(desk.read(&["signals"])?.documents, Vec::<Value>::new());
    Ok(())
}
