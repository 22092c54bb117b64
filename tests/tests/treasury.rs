//! Money between treasury, floats and others, over the real desk and chain: what nobody took is
//! burnt, floats are swept, and no stop in the middle loses a unit.

use imprest_desk::view::{ActivityFilter, BudgetForm};
use imprest_tests::{
    Desk, DialledClock, HttpDoor, Inside, Obstacle, PASSPHRASE, PracticeAddresses, Till,
    comes_true as until, rpc, token_balance,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whom the till is paid at; nobody else ever pays these addresses.
const PAY_TO: &str = "0x00000000000000000000000000000000000000C1";
const HURRIED: &str = "0x00000000000000000000000000000000000000C2";
/// How long the desk may take to notice what the chain says.
const PATIENCE: Duration = Duration::from_secs(45);
const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY;
/// An unused signature is given back after its window, a margin, and two blocks.
const EXPIRY_PATIENCE: Duration = Duration::from_secs(300);

fn folder() -> TempDir {
    TempDir::new().expect("makes a folder")
}

fn steward() -> BudgetForm {
    BudgetForm {
        per_day: Some("5.00".into()),
        new_payee: "allow".into(),
        zone: "UTC".into(),
        ..BudgetForm::default()
    }
}

/// Buys without waiting for the owner or the chain.
async fn ask(door: &HttpDoor, url: &str, key: &str) -> Result<Value, Obstacle> {
    door.fetch(&json!({ "url": url, "idempotency_key": key, "wait_ms": 0 })).await
}

async fn nothing_in_flight(inside: &Inside, patience: Duration) -> Result<(), Obstacle> {
    until("nothing in flight", patience, async || {
        let books = inside.desk.books().await?;
        Ok(books.equal && books.in_flight == "0.00")
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_took_is_burnt_oldest_first_in_a_frozen_desk() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let made = inside.agent("Buyer", "L4", steward(), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let till = Till::open(&practice, PAY_TO, 250_000).await?;
    inside.desk.allow_host(till.host()).await?;
    till.deliver_nothing();
    let mut open = Vec::new();
    for key in ["one", "two"] {
        let answer = ask(&door, &till.thing(), key).await?;
        assert_eq!(answer["status"], "unknown", "{answer}");
        open.push(answer["payment"]["id"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(inside.desk.overview().await?.in_flight, "0.50");
    inside.desk.freeze().await?;
    let burnt = inside.desk.cancel_all().await?;
    let found: Vec<_> = burnt.iter().map(|view| (&view.payment_id, view.end.as_str())).collect();
    assert_eq!(found, [(&open[0], "burnt"), (&open[1], "burnt")], "{burnt:?}");
    assert!(burnt.iter().all(|view| view.sentence.contains("Burnt in block")), "{burnt:?}");

    // Long before their time would have run out, the money is back, and no payee has any of it.
    nothing_in_flight(&inside, PATIENCE).await?;
    for payment in &open {
        let evidence = inside.desk.evidence(payment.clone()).await?;
        assert_eq!(evidence.row.state, "expired", "{evidence:?}");
        let kinds: Vec<&str> = evidence.events.iter().map(|event| event.kind.as_str()).collect();
        assert!(kinds.windows(2).any(|two| two == ["cancel granted", "cancel sent"]), "{kinds:?}");
        let over = inside.desk.cancel(payment.clone()).await.expect_err("it has ended");
        assert_eq!(over.code, "conflict");
        assert!(over.message.contains("is expired"), "{over}");
    }
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, PAY_TO).await?, 0);
    assert_eq!(inside.desk.cancel_all().await?, []);
    let unknown = inside.desk.cancel("pay_none".into()).await.expect_err("there is none");
    assert_eq!(unknown.code, "not_found");
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

/// A payee that takes its money at the last moment is told of as what it is: paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payee_that_is_faster_is_paid_and_told_of() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let made = inside.agent("Buyer", "L4", steward(), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let till = Till::open(&practice, HURRIED, 250_000).await?;
    inside.desk.allow_host(till.host()).await?;
    let every =
        async |seconds: u64| rpc(&practice.rpc, "anvil_setIntervalMining", json!([seconds])).await;
    // No block comes: the payee's transaction waits, and the cancellation behind it.
    every(0).await?;
    let answer = ask(&door, &till.thing(), "hurry").await?;
    assert_eq!(answer["status"], "delivered", "{answer}");
    let payment = answer["payment"]["id"].as_str().unwrap_or_default().to_owned();
    let (desk, id) = (inside.desk.clone(), payment.clone());
    let cancelling = tokio::spawn(async move { desk.cancel(id).await });
    waits(&practice, "0x2").await?;
    rpc(&practice.rpc, "anvil_mine", json!(["0x1"])).await?;
    let view = cancelling.await.map_err(|e| Obstacle::new(e.to_string()))??;
    assert_eq!(view.end, "paid", "{view:?}");
    assert!(view.sentence.contains("The payee was faster"), "{view:?}");
    // Once more, while the books have not booked it: no gas is spent on what is over.
    let again = inside.desk.cancel(payment.clone()).await?;
    assert_eq!((again.end, again.transaction), ("paid".to_owned(), view.transaction));
    every(1).await?;
    door.settled(&payment).await?;
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, HURRIED).await?, 250_000);
    let over = inside.desk.cancel(payment).await.expect_err("it is paid");
    assert!(over.code == "conflict" && over.message.contains("It was paid in block"), "{over}");

    // One whose time is over needs no burning, and costs no gas.
    till.deliver_nothing();
    let late = ask(&door, &till.thing(), "late").await?;
    assert_eq!(late["status"], "unknown", "{late}");
    rpc(&practice.rpc, "evm_increaseTime", json!([200])).await?;
    rpc(&practice.rpc, "anvil_mine", json!(["0x1"])).await?;
    let treasury = inside.desk.fund().await?;
    let all = inside.desk.cancel_all().await?;
    assert_eq!(all.iter().map(|view| view.end.as_str()).collect::<Vec<_>>(), ["over"]);
    assert_eq!(inside.desk.fund().await?.coin, treasury.coin, "no gas was spent");
    nothing_in_flight(&inside, PATIENCE).await?;
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_float_is_swept_but_for_what_payments_may_take() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open_comparing(folder.path(), Duration::from_millis(200)).await?;
    let made = inside.agent("Buyer", "L4", steward(), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let fund = inside.desk.fund().await?;
    let holds = async |address: &str| token_balance(&practice.rpc, &practice.usdc, address).await;
    let float = made.agent.address.clone();
    let (before, in_float) = (holds(&fund.address).await?, holds(&float).await?);
    assert_eq!((in_float, fund.balance.as_deref()), (10_000_000, Some("240.00")));

    let till = Till::open(&practice, PAY_TO, 250_000).await?;
    inside.desk.allow_host(till.host()).await?;
    till.deliver_nothing();
    let answer = ask(&door, &till.thing(), "kept").await?;
    assert_eq!(answer["status"], "unknown", "{answer}");
    let too_much = inside.desk.sweep("Buyer".into(), Some("9.76".into())).await;
    let too_much = too_much.expect_err("a payment may take the rest");
    assert_eq!(too_much.code, "conflict");
    assert!(too_much.message.contains("9.75 USDC"), "{too_much}");

    let page = inside.desk.sweep("Buyer".into(), Some("1.75".into())).await?;
    assert_eq!((page.row.float.as_str(), holds(&float).await?), ("8.25", 8_250_000));
    let page = inside.desk.sweep("Buyer".into(), None).await?;
    assert_eq!((page.row.float.as_str(), holds(&float).await?), ("0.25", 250_000));
    assert_eq!(holds(&fund.address).await?, before + 9_750_000);
    let nothing = inside.desk.sweep("Buyer".into(), None).await.expect_err("it is all reserved");
    assert!(nothing.code == "conflict" && nothing.message.contains("nothing"), "{nothing}");
    let refused = ask(&door, &till.thing(), "no more").await?;
    assert_eq!(refused["status"], "refused", "{refused}");
    for bad in ["0", "-1", "1.2345678", "x"] {
        let bad = inside.desk.sweep("Buyer".into(), Some(bad.into())).await.expect_err(bad);
        assert_eq!(bad.code, "bad_input");
    }

    // What is burnt is free, and an agent that was revoked has money all the same.
    let burnt = inside.desk.cancel_all().await?;
    assert_eq!(burnt.iter().map(|view| view.end.as_str()).collect::<Vec<_>>(), ["burnt"]);
    nothing_in_flight(&inside, PATIENCE).await?;
    inside.desk.revoke_agent("Buyer".into()).await?;
    inside.desk.freeze().await?;
    let frozen = inside.desk.sweep("Buyer".into(), None).await.expect_err("it is frozen");
    assert!(frozen.code == "conflict" && frozen.message.contains("frozen"), "{frozen}");
    inside.desk.thaw().await?;
    inside.desk.sweep("Buyer".into(), None).await?;
    assert_eq!((holds(&float).await?, holds(&fund.address).await?), (0, before + 10_000_000));
    nothing_in_flight(&inside, PATIENCE).await?;
    let odd: Vec<_> = inside.desk.signals().await?.into_iter().map(|signal| signal.kind).collect();
    assert!(!odd.contains(&"books_differ".to_owned()), "{odd:?}");
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

/// By command: who may, what it exits with, and where the money is to be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_ask_for_the_passphrase_where_they_should() -> Result<(), Obstacle> {
    let folder = folder();
    let desk = Desk::serve_practice(folder.path())?;
    desk.add_agent("Scout", &["--per-day", "5"])?;
    let status = desk.read(&["status"])?;
    let treasury = status.done()?["network"]["treasury"].clone();
    let fund = desk.read(&["fund"])?;
    let fund = fund.done()?;
    assert_eq!((&fund["address"], &fund["balance"]), (&treasury, &json!("240.00")));
    assert!(fund["note"].as_str().is_some_and(|note| note.contains("practice money")), "{fund}");

    let wrong = desk.owner_with("not the passphrase", &["sweep", "Scout"])?;
    assert_eq!(wrong.code, 6, "{wrong:?}");
    let swept = desk.owner(&["sweep", "Scout", "4"])?;
    assert_eq!(swept.done()?["row"]["float"], "6.00");
    let burnt = desk.read(&["cancel", "--all"])?;
    assert_eq!((burnt.code, burnt.documents.len()), (0, 0), "nothing is signed: {burnt:?}");
    let unknown = desk.read(&["cancel", "pay_none"])?;
    assert_eq!(unknown.code, 1, "{unknown:?}");

    // A freeze offers to burn what is still out, and that needs no passphrase either.
    let options = ["--grade", "L4", "--new-payee", "allow", "--per-day", "5"];
    let token = desk.add_agent("Buyer", &options)?;
    let practice = desk.ready()?.practice.clone().ok_or_else(|| Obstacle::new("No network."))?;
    let till = Till::open(&practice, PAY_TO, 250_000).await?;
    desk.owner(&["hosts", "allow", &till.host()])?.done()?;
    till.deliver_nothing();
    let bought = desk.agent(&token, &["fetch", &till.thing(), "--wait", "0"])?;
    assert_eq!(bought.documents[0]["status"], "unknown", "{bought:?}");
    let mut freeze = desk.command()?;
    freeze.args(["freeze", "--data"]).arg(desk.data());
    let frozen = imprest_tests::Answer::of(freeze, "")?;
    assert!(frozen.code == 0 && frozen.stdout.contains("imprest cancel --all"), "{frozen:?}");
    assert!(frozen.stdout.contains("0.25 USDC is signed"), "{frozen:?}");
    let burnt = desk.read(&["cancel", "--all"])?;
    assert_eq!(burnt.done()?["end"], "burnt");
    desk.read(&["lock"])?.done()?;
    assert_eq!(desk.read(&["fund"])?.code, 6, "the address takes the keys to know");
    Ok(())
}

/// How many events of one kind the log of a desk holds.
fn logged(desk: &Desk, kind: &str) -> rusqlite::Result<u64> {
    let log = Connection::open_with_flags(desk.data().join("ledger.db"), READ_ONLY)?;
    log.query_row("SELECT count(*) FROM events WHERE kind = ?", [kind], |row| row.get(0))
}

/// What the chain says has moved from one address to another, in units.
async fn moved(practice: &PracticeAddresses, from: &str, to: &str) -> Result<u128, Obstacle> {
    // keccak256("Transfer(address,address,uint256)")
    const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
    let word =
        |address: &str| format!("0x{:0>64}", address.trim_start_matches("0x").to_lowercase());
    let topics = json!([TRANSFER, word(from), word(to)]);
    let wanted = json!({ "address": practice.usdc, "fromBlock": "0x0", "topics": topics });
    let logs = rpc(&practice.rpc, "eth_getLogs", json!([wanted])).await?;
    let logs = logs.as_array().ok_or_else(|| Obstacle::new("No list of logs."))?;
    let value = |log: &Value| {
        let data = log["data"].as_str().unwrap_or_default().trim_start_matches("0x");
        u128::from_str_radix(data, 16).map_err(|_| Obstacle::new(format!("An odd log: {log}")))
    };
    logs.iter().map(value).sum()
}

/// The plug is pulled in the middle of sweeps: when one is held, when it is sent, when it is booked.
/// What left the float arrived at the treasury, and the books say how much that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_survives_a_stop_at_any_point() -> Result<(), Obstacle> {
    let folder = folder();
    let mut desk = Desk::serve_practice(folder.path())?;
    desk.add_agent("Scout", &["--per-day", "5"])?;
    let agents = desk.read(&["agent", "list"])?;
    let float = agents.done()?["address"].as_str().unwrap_or_default().to_owned();
    let fund = desk.read(&["fund"])?;
    let treasury = fund.done()?["address"].as_str().unwrap_or_default().to_owned();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    for cut_at in ["sweep_held", "sweep_sent", "sweep_settled", "sweep_sent"] {
        let before = logged(&desk, cut_at).expect("reads the log");
        let mut command = desk.command()?;
        command.args(["sweep", "Scout", "1", "--json", "--passphrase-stdin", "--data"]);
        command.arg(desk.data());
        let sweeping =
            std::thread::spawn(move || imprest_tests::Answer::of(command, PASSPHRASE).map(drop));
        let end = Instant::now() + PATIENCE;
        // The desk may be writing at this very moment: then the next look tells.
        while logged(&desk, cut_at).is_ok_and(|now| now == before) {
            assert!(Instant::now() < end, "no {cut_at} in time");
            tick.tick().await;
        }
        desk.kill();
        // Its command may fail: the desk is gone.
        let _ = sweeping.join();
        desk.serve()?;
        assert_eq!(desk.read(&["verify"])?.done()?["whole"], true, "after {cut_at}");
    }
    until("nothing in flight", EXPIRY_PATIENCE, async || {
        let books = desk.read(&["books"])?;
        let books = books.done()?;
        Ok(books["in_flight"] == "0.00" && books["equal"] == true)
    })
    .await?;
    let [held, sent, settled] = ["sweep_held", "sweep_sent", "sweep_settled"]
        .map(|kind| u128::from(logged(&desk, kind).expect("reads the log")));
    assert!((3..=4).contains(&held), "{held} were held");
    assert!((3..=held).contains(&sent) && (1..=sent).contains(&settled), "{sent}, {settled}");
    let practice = desk.ready()?.practice.clone().ok_or_else(|| Obstacle::new("No network."))?;
    let in_float = token_balance(&practice.rpc, &practice.usdc, &float).await?;
    let arrived = moved(&practice, &float, &treasury).await?;
    assert_eq!(in_float + arrived, 10_000_000, "what left the float arrived");
    assert_eq!(arrived, settled * 1_000_000, "what is booked is what arrived");
    let listed = desk.read(&["agent", "list"])?;
    let booked = listed.done()?["float"].as_str().unwrap_or_default().to_owned();
    assert_eq!(booked, format!("{}.00", in_float / 1_000_000));
    Ok(())
}

/// Waits until so many transactions wait for a block.
async fn waits(practice: &PracticeAddresses, many: &str) -> Result<(), Obstacle> {
    until("transactions that wait", PATIENCE, async || {
        Ok(rpc(&practice.rpc, "txpool_status", json!([])).await?["pending"] == many)
    })
    .await
}

/// Sends without waiting for the owner, and long enough for the chain.
async fn send(door: &HttpDoor, to: &str, amount: &str, key: &str) -> Result<Value, Obstacle> {
    let body = json!({ "to": to, "amount": amount, "idempotency_key": key, "wait_ms": 0 });
    match door.post("/v1/transfers", &body).await? {
        (200, answer) => Ok(answer),
        (status, failure) => Err(Obstacle::new(format!("HTTP {status}: {failure}"))),
    }
}

/// The codes of what stands in the way.
fn reasons(answer: &Value) -> Vec<&str> {
    let reasons = answer["verdict"]["reasons"].as_array().expect("reasons");
    reasons.iter().filter_map(|reason| reason["code"].as_str()).collect()
}

/// An agent without gas sends money: within its limits by itself, to strangers after a yes, and to
/// an address that only looks like a known one not without a look at both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_goes_the_way_of_every_payment() -> Result<(), Obstacle> {
    const TO: &str = "0x1234567890AbcdEF1234567890aBcdef12345678";
    const TWIN: &str = "0x1234000000000000000000000000000000005678";
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    let budget = BudgetForm { new_payee: "ask".into(), ..steward() };
    let made = inside.agent("Payer", "L4", budget, None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let holds = async |address: &str| token_balance(&practice.rpc, &practice.usdc, address).await;
    let coin = async |address: &str| {
        rpc(&practice.rpc, "eth_getBalance", json!([address, "latest"])).await
    };

    let asked = send(&door, TO, "1.25", "rent").await?;
    assert_eq!((asked["status"].as_str(), reasons(&asked)), (Some("pending"), vec!["new_payee"]));
    let cards = inside.desk.approvals().await?;
    let [card] = &cards[..] else { panic!("{cards:?}") };
    assert_eq!(
        (card.pay_to.as_str(), card.amount.as_str(), card.what.as_str()),
        (TO, "1.25", "Transfer")
    );
    inside.desk.approve(card.id.clone()).await?;
    let id = asked["payment"]["id"].as_str().unwrap_or_default().to_owned();
    let settled = door.settled(&id).await?;
    assert!(settled["payment"]["transaction"].as_str().is_some_and(|tx| tx.len() == 66));
    assert_eq!((holds(TO).await?, holds(&made.agent.address).await?), (1_250_000, 8_750_000));
    assert_eq!(coin(&made.agent.address).await?, "0x0", "agents hold no gas");
    // The same key is the same transfer, for ever; another transfer under it is refused.
    assert_eq!(send(&door, TO, "1.25", "rent").await?["payment"]["id"], id.as_str());
    let other = json!({ "to": TO, "amount": "1.26", "idempotency_key": "rent" });
    let (status, reused) = door.post("/v1/transfers", &other).await?;
    assert_eq!((status, &reused["code"]), (409, &json!("key_reused")), "{reused}");

    // Known now, it is paid unasked, up to the day's limit.
    let sent = send(&door, &TO.to_lowercase(), "0.50", "more").await?;
    assert!(matches!(sent["status"].as_str(), Some("delivered" | "settled")), "{sent}");
    door.settled(sent["payment"]["id"].as_str().unwrap_or_default()).await?;
    assert_eq!(holds(TO).await?, 1_750_000);
    let over = send(&door, TO, "3.26", "too much").await?;
    assert_eq!((over["status"].as_str(), reasons(&over)), (Some("refused"), vec!["over_per_day"]));

    let alike = send(&door, TWIN, "0.50", "poisoned").await?;
    assert_eq!(alike["status"], "pending", "{alike}");
    assert_eq!(reasons(&alike), ["lookalike_payee", "new_payee"]);
    let said = alike["verdict"]["reasons"][0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains(TO) && said.contains(TWIN), "{said}");
    let cards = inside.desk.approvals().await?;
    assert!(cards[0].reasons.iter().any(|reason| reason.contains(TO)), "{cards:?}");
    inside.desk.refuse(cards[0].id.clone(), None).await?;

    // What can only be a mistake never gets as far as a rule.
    let usdc = practice.usdc.clone();
    let zero = "0x0000000000000000000000000000000000000000";
    for to in [
        zero,
        usdc.as_str(),
        made.agent.address.as_str(),
        "0x1234567890AbcdEF1234567890aBcdef1234567A",
    ] {
        let body = json!({ "to": to, "amount": "0.10", "idempotency_key": "mistake" });
        let (status, failure) = door.post("/v1/transfers", &body).await?;
        assert_eq!((status, &failure["code"]), (400, &json!("bad_request")), "{to}: {failure}");
    }
    for bad in [json!({ "asset": "EURC" }), json!({ "amount": "0.0000001" }), json!({ "to": "x" })]
    {
        let mut body = json!({ "to": TO, "amount": "0.10", "idempotency_key": "mistake" });
        body.as_object_mut().expect("fields").extend(bad.as_object().expect("fields").clone());
        let (status, failure) = door.post("/v1/transfers", &body).await?;
        assert_eq!((status, &failure["code"]), (400, &json!("bad_request")), "{body}: {failure}");
    }
    let nothing = send(&door, TO, "0", "nothing").await?;
    assert!(reasons(&nothing).contains(&"zero_amount"), "{nothing}");

    inside.desk.freeze().await?;
    let frozen = send(&door, TO, "0.10", "frozen").await?;
    assert_eq!(reasons(&frozen), ["frozen"]);
    nothing_in_flight(&inside, PATIENCE).await?;
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

/// Where every payment stands, the newest first.
async fn states(inside: &Inside) -> Result<Vec<String>, Obstacle> {
    let all = ActivityFilter { agent_id: None, state: None, text: None, from: None, until: None };
    let page = inside.desk.activity(all, None, 50).await?;
    Ok(page.rows.into_iter().map(|row| row.state).collect())
}

/// Asks for a transfer of 0.50 while a sweep has the treasury's turn, and lets the sweep's blocks come
/// once `meanwhile` is through.
async fn send_behind_a_sweep<F: Future<Output = Result<(), Obstacle>>>(
    inside: &Inside,
    door: &HttpDoor,
    key: &str,
    meanwhile: impl FnOnce() -> F,
) -> Result<(u16, Value), Obstacle> {
    let practice = inside.practice()?.clone();
    rpc(&practice.rpc, "evm_setIntervalMining", json!([0])).await?;
    let desk = inside.desk.clone();
    let sweeping = tokio::spawn(async move { desk.sweep("Payer".into(), Some("1".into())).await });
    waits(&practice, "0x1").await?;
    let body = json!({ "to": HURRIED, "amount": "0.50", "idempotency_key": key, "wait_ms": 0 });
    let door = door.clone();
    let sending = tokio::spawn(async move { door.post("/v1/transfers", &body).await });
    until("a transfer that is held", PATIENCE, async || {
        Ok(states(inside).await?.first().is_some_and(|newest| newest == "held"))
    })
    .await?;
    meanwhile().await?;
    rpc(&practice.rpc, "evm_setIntervalMining", json!([1])).await?;
    sweeping.await.map_err(|e| Obstacle::new(e.to_string()))??;
    sending.await.map_err(|e| Obstacle::new(e.to_string()))?
}

/// What a transfer's turn comes too late for is not signed: it costs no gas, frees its money at once,
/// and nothing that the treasury sends later waits behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_whose_turn_comes_too_late_is_not_signed() -> Result<(), Obstacle> {
    let (folder, clock) = (folder(), DialledClock::default());
    let inside = Inside::open_by(folder.path(), &clock).await?;
    let made = inside.agent("Payer", "L4", steward(), None).await?;
    let door = inside.door(&made.token)?;
    let practice = inside.practice()?.clone();
    let treasury = inside.desk.fund().await?.address;
    let sent = async || {
        let count = json!([treasury, "pending"]);
        let count = rpc(&practice.rpc, "eth_getTransactionCount", count).await?;
        let count = count.as_str().unwrap_or_default().trim_start_matches("0x").to_owned();
        u64::from_str_radix(&count, 16).map_err(|_| Obstacle::new("No count."))
    };
    let before = sent().await?;

    let dearer = async || {
        rpc(&practice.rpc, "anvil_mine", json!(["0x1"])).await?;
        let fee = json!(["0x2540be400"]);
        rpc(&practice.rpc, "anvil_setNextBlockBaseFeePerGas", fee).await.map(drop)
    };
    let (status, answer) = send_behind_a_sweep(&inside, &door, "dearer", dearer).await?;
    assert_eq!(status, 503, "{answer}");
    let said = answer["detail"].as_str().unwrap_or_default();
    assert!(said.contains("not sent") && said.contains("fee has risen"), "{answer}");
    assert_eq!(
        (sent().await?, inside.desk.overview().await?.in_flight.as_str()),
        (before + 1, "0.00")
    );

    // What the treasury has no coin for is not even held, and uses up nobody's day.
    let coin = async |wei: &str| {
        rpc(&practice.rpc, "anvil_setBalance", json!([treasury, wei])).await.map(drop)
    };
    let full = rpc(&practice.rpc, "eth_getBalance", json!([treasury, "latest"])).await?;
    let known = states(&inside).await?;
    coin("0x1").await?;
    let poor = json!({ "to": HURRIED, "amount": "0.50", "idempotency_key": "poor" });
    let (status, answer) = door.post("/v1/transfers", &poor).await?;
    assert_eq!((status, states(&inside).await?), (503, known), "{answer}");
    assert!(answer["detail"].as_str().is_some_and(|said| said.contains("wei for gas")), "{answer}");
    coin(full.as_str().unwrap_or_default()).await?;

    let later = async || {
        clock.turn_to(100);
        Ok(())
    };
    let (status, answer) = send_behind_a_sweep(&inside, &door, "late", later).await?;
    assert_eq!(status, 503, "{answer}");
    let said = answer["detail"].as_str().unwrap_or_default();
    assert!(said.contains("not sent") && said.contains("too late"), "{answer}");
    assert_eq!(sent().await?, before + 2, "both sweeps, and nothing else");
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, HURRIED).await?, 0);
    nothing_in_flight(&inside, PATIENCE).await?;
    assert_eq!(states(&inside).await?, ["void", "void"]);
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;
    Ok(())
}

/// The same from a shell: one payment a key, and exit codes that tell how it went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_from_a_shell_is_one_payment_and_exits_as_it_went() -> Result<(), Obstacle> {
    const TO: &str = "0x00000000000000000000000000000000000000c3";
    let folder = folder();
    let desk = Desk::serve_practice(folder.path())?;
    let options = ["--grade", "L4", "--new-payee", "allow", "--per-day", "2"];
    let token = desk.add_agent("Payer", &options)?;
    let key = ["--key", "gift", "--purpose", "a gift", "--wait", "30000"];
    let sent = desk.agent(&token, &[&["transfer", TO, "0.75"][..], &key].concat())?;
    assert_eq!(sent.done()?["status"], "settled");
    let again = desk.agent(&token, &[&["transfer", TO, "0.75"][..], &key].concat())?;
    assert_eq!(again.done()?["payment"]["id"], sent.done()?["payment"]["id"]);
    let over = desk.agent(&token, &["transfer", TO, "1.26", "--key", "dear"])?;
    assert_eq!(over.code, 3, "{over:?}");
    let practice = desk.ready()?.practice.clone().ok_or_else(|| Obstacle::new("No network."))?;
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, TO).await?, 750_000);
    let rows = desk.read(&["activity"])?;
    let row = rows.documents.iter().find(|row| row["state"] == "settled").expect("it is there");
    assert_eq!((&row["what"], &row["amount"]), (&json!("Transfer"), &json!("0.75")));
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);
    desk.read(&["lock"])?.done()?;
    let locked = desk.agent(&token, &["transfer", TO, "0.10", "--key", "locked"])?;
    assert_eq!(locked.code, 6, "{locked:?}");
    Ok(())
}
