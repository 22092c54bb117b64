//! The books under everything that may happen to them, on a real file.

mod common;

use common::*;
use imprest_domain::{Address, B256, Danger, Grade, PaymentState, ReasonCode, Window};
use imprest_ledger::{Approved, Delivery, Ledger, LedgerError, PaymentFilter, Reserved};
use jiff::SignedDuration;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_never_pass_the_limit() {
    let desk = Desk::open(10, 370).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (ledger, order) = (desk.ledger.clone(), desk.order(10, None));
        all.spawn(async move { ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await });
    }
    let outcomes = all.join_all().await;
    let granted = outcomes.iter().filter(|o| matches!(o, Ok(Reserved::Granted { .. }))).count();
    let refused = outcomes.iter().filter(|o| matches!(o, Ok(Reserved::Refused { .. }))).count();
    assert_eq!((granted, refused), (37, 63));
    desk.whole().await;
}

#[tokio::test]
async fn a_retry_with_the_same_key_is_the_same_payment() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Granted { payment: first, .. } = desk.reserve(10, Some("k1")).await else {
        panic!("not granted")
    };
    let Reserved::Known { payment: second } = desk.reserve(10, Some("k1")).await else {
        panic!("not recognised")
    };
    assert_eq!(first, second);
    let mut other = desk.order(10, Some("k1"));
    other.request_sha256 = B256::repeat_byte(2);
    let reused = desk.ledger.reserve(other, usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(reused, Err(LedgerError::KeyReused { payment }) if payment == first));
}

#[tokio::test]
async fn a_void_hold_gives_everything_back() {
    let desk = Desk::open(10, 10).await;
    let grant = desk.held(10).await;
    assert!(matches!(desk.reserve(10, None).await, Reserved::Refused { .. }));
    desk.ledger.void(grant, "the vault was locked".into()).await.expect("voids");
    let used = desk
        .ledger
        .window_use(desk.agent.id.as_str(), &desk.agent.budget, Window::Day)
        .await
        .expect("reads");
    assert!(used.held.is_zero() && used.settled.is_zero());
    let _kept = desk.held(10).await;
    desk.whole().await;
}

#[tokio::test]
async fn an_unclear_payment_stays_spent_until_the_chain_tells() {
    let desk = Desk::open(10, 10).await;
    let grant = desk.held(10).await;
    let unknown = Delivery::Unknown { status: None, why: "the connection was cut".into() };
    desk.ledger.record_delivery(grant.payment(), unknown).await.expect("records");
    assert!(matches!(desk.reserve(1, None).await, Reserved::Refused { .. }));
    let open = desk.ledger.open_payments().await.expect("reads");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].authorization, *grant.authorization());
    desk.ledger.expire(grant.payment(), 9).await.expect("expires");
    let _kept = desk.held(10).await;
    desk.whole().await;
}

#[tokio::test]
async fn settling_moves_the_money_once() {
    let desk = Desk::open(10, 100).await;
    let grant = desk.held(10).await;
    for _ in 0..2 {
        desk.ledger.settle(grant.payment(), B256::repeat_byte(7), 5).await.expect("settles");
    }
    let balance = desk.ledger.balance(&desk.agent.id).await.expect("reads");
    assert_eq!((balance.free, balance.held, balance.paid), (units(999_990), units(0), units(10)));
    // The payee's answer may arrive after the chain's.
    let answer = Delivery::Delivered {
        status: 200,
        response_sha256: B256::repeat_byte(3),
        claimed_transaction: None,
    };
    desk.ledger.record_delivery(grant.payment(), answer).await.expect("records");
    let record = desk.ledger.payment(grant.payment()).await.expect("reads");
    assert_eq!(record.state, PaymentState::Settled);
    assert_eq!(record.response_status, Some(200));
    assert!(desk.ledger.expire(grant.payment(), 6).await.is_err());
    desk.whole().await;
}

#[tokio::test]
async fn a_yes_is_for_exactly_one_payment_and_lifts_no_limit() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    assert_eq!(desk.ledger.waiting_approvals().await.expect("reads").len(), 1);
    let approve = |order| desk.ledger.approve(&approval, order, usdc(), Danger::Calm);
    let Ok(Approved::Granted { payment: held, .. }) = approve(desk.order(60, None)).await else {
        panic!("not granted")
    };
    assert_eq!(held, payment);
    assert!(matches!(
        approve(desk.order(60, None)).await,
        Err(LedgerError::NotWaiting { state, .. }) if state == "approved"
    ));
    // Another question of 60 would pass the day's 100, whatever the owner says.
    let Reserved::Refused { verdict, .. } = desk.reserve(60, None).await else {
        panic!("not refused")
    };
    assert_eq!(verdict.objections().next().map(|r| r.code), Some(ReasonCode::OverPerDay));
    desk.whole().await;
}

#[tokio::test]
async fn a_changed_offer_voids_the_question() {
    let desk = Desk::open(10, 100).await;
    let Reserved::Asked { approval, payment, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    let dearer = desk.order(61, None);
    let outcome = desk.ledger.approve(&approval, dearer, usdc(), Danger::Calm).await;
    assert!(matches!(outcome, Ok(Approved::Changed { .. })));
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!(record.state, PaymentState::Refused);
    assert_eq!(record.verdict.objections().next().map(|r| r.code), Some(ReasonCode::QuoteChanged));
    desk.whole().await;
}

#[tokio::test]
async fn silence_is_a_no() {
    let desk = Desk::open(10, 100).await;
    let at_once = SignedDuration::ZERO;
    let asked = desk.ledger.reserve(desk.order(60, None), usdc(), Danger::Calm, at_once).await;
    let Ok(Reserved::Asked { payment, approval, .. }) = asked else { panic!("not asked") };
    assert_eq!(desk.ledger.lapse().await.expect("lapses"), std::slice::from_ref(&payment));
    assert!(desk.ledger.refuse(&approval, None).await.is_err());
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!(record.verdict.objections().next().map(|r| r.code), Some(ReasonCode::NoAnswer));
    desk.whole().await;
}

#[tokio::test]
async fn frozen_survives_a_restart() {
    let desk = Desk::open(10, 100).await;
    desk.ledger.freeze().await.expect("freezes");
    let path = desk.folder.path().join("ledger.db");
    desk.ledger.clone().close().await;
    drop(desk.ledger);
    let ledger = Ledger::open(&path).await.expect("opens");
    assert!(ledger.is_frozen().await.expect("reads"));
    let refused =
        ledger.reserve(order(&desk.agent.id, 1, None), usdc(), Danger::Calm, MINUTES).await;
    assert!(matches!(refused, Ok(Reserved::Refused { .. })));
    ledger.thaw().await.expect("thaws");
    assert!(ledger.verify(None).await.expect("reads").faults.is_empty());
}

#[tokio::test]
async fn a_revoked_agent_is_nobody() {
    let desk = Desk::open(10, 100).await;
    assert_eq!(desk.ledger.agent_by_token("aa").await.expect("reads"), Some(desk.agent.id.clone()));
    desk.ledger.revoke_agent(&desk.agent.id).await.expect("revokes");
    assert_eq!(desk.ledger.agent_by_token("aa").await.expect("reads"), None);
    assert!(matches!(desk.reserve(1, None).await, Reserved::Refused { .. }));
    assert!(matches!(
        desk.ledger.set_grade(&desk.agent.id, Grade::L4).await,
        Err(LedgerError::Revoked { .. })
    ));
    assert_eq!(desk.ledger.next_account().await.expect("reads"), 2);
    desk.whole().await;
}

#[tokio::test]
async fn another_address_at_a_known_origin_is_a_question() {
    let desk = Desk::open(10, 100).await;
    let mut order = desk.order(5, None);
    order.intent.payee.pay_to = Address::repeat_byte(0xBB);
    let outcome = desk.ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await;
    let Ok(Reserved::Asked { verdict, .. }) = outcome else { panic!("not asked: {outcome:?}") };
    assert!(verdict.objections().any(|reason| reason.code == ReasonCode::PayeeChanged));
}

#[tokio::test]
async fn pages_and_filters_tell_all_of_it_once() {
    let desk = Desk::open(10, 10_000).await;
    for _ in 0..25 {
        let _kept = desk.held(1).await;
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page =
            desk.ledger.payments(&PaymentFilter::default(), before, 10).await.expect("reads");
        seen.extend(page.payments.into_iter().map(|p| p.seq));
        before = page.next_before_seq;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    let none = PaymentFilter { text: Some("100%".into()), ..PaymentFilter::default() };
    assert_eq!(desk.ledger.count_payments(&none).await.expect("reads"), 0);
    let some = PaymentFilter { text: Some("WEATH".into()), ..PaymentFilter::default() };
    assert_eq!(desk.ledger.count_payments(&some).await.expect("reads"), 25);
}

/// What `verify` says of a file that somebody has edited and left looking untouched.
async fn tampered(sql: &str) -> Vec<String> {
    let desk = Desk::open(10, 100).await;
    let grant = desk.held(10).await;
    desk.ledger.settle(grant.payment(), B256::repeat_byte(7), 5).await.expect("settles");
    let path = desk.path();
    desk.ledger.clone().close().await;
    let file = rusqlite::Connection::open(&path).expect("opens");
    let guards: String = file
        .query_row(
            "SELECT group_concat(sql, ';') FROM sqlite_master WHERE type = 'trigger'",
            [],
            |row| row.get(0),
        )
        .expect("reads");
    file.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF;
         DROP TRIGGER events_are_never_edited; DROP TRIGGER events_are_never_deleted;
         {sql}; {guards}"
    ))
    .expect("tampers");
    drop(file);
    Ledger::open(&path).await.expect("opens").verify(None).await.expect("reads").faults
}

#[tokio::test]
async fn the_log_refuses_edits_and_verify_notices_what_gets_past() {
    for (what, sql) in [
        (
            "an edit",
            "UPDATE events SET body = replace(body, '\"10\"', '\"11\"') WHERE kind = 'payment_held'",
        ),
        ("a deletion", "DELETE FROM events WHERE seq = 2"),
        ("a new date", "UPDATE events SET at_ms = at_ms - 1 WHERE seq = 3"),
        ("a label", "UPDATE events SET kind = 'thawed' WHERE seq = 3"),
        ("a counter", "UPDATE counters SET settled = 0"),
        ("a balance", "UPDATE accounts SET units = units + 1 WHERE account LIKE 'float/%'"),
        ("a budget", "UPDATE agents SET budget = replace(budget, '\"100\"', '\"999\"')"),
    ] {
        let faults = tampered(sql).await;
        assert!(!faults.is_empty(), "{what} went unnoticed");
    }
    assert!(tampered("SELECT 1").await.is_empty());
}

#[tokio::test]
async fn the_triggers_hold() {
    let desk = Desk::open(10, 100).await;
    let path = desk.folder.path().join("ledger.db");
    use sqlx::ConnectOptions;
    let mut conn =
        sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.expect("opens");
    for sql in ["UPDATE events SET at_ms = 0", "DELETE FROM events"] {
        assert!(sqlx::query(sql).execute(&mut conn).await.is_err(), "{sql} went through");
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, "this is no database, but it is long enough to be looked at twice")
        .expect("writes");
    let Err(error) = Ledger::open(&path).await else { panic!("opened nonsense") };
    assert!(matches!(error, LedgerError::Unreadable { .. }), "{error:?}");
    assert!(error.to_string().contains("ledger.db"));

    let newer = folder.path().join("newer.db");
    Ledger::open(&newer).await.expect("opens").close().await;
    use sqlx::ConnectOptions;
    let mut conn =
        sqlx::sqlite::SqliteConnectOptions::new().filename(&newer).connect().await.expect("opens");
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut conn).await.expect("sets");
    sqlx::Connection::close(conn).await.expect("closes");
    assert!(matches!(Ledger::open(&newer).await, Err(LedgerError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_full_disk_reserves_nothing_and_heals() {
    let desk = Desk::open(10, 1_000_000).await;
    // SQLite itself plays the full disk: no page may be added beyond what is there.
    let path = desk.folder.path().join("ledger.db");
    let size = std::fs::metadata(&path).expect("is there").len();
    let before = desk.ledger.head();
    desk.ledger.limit_pages(u32::try_from(size / 4096).expect("small") + 4).await.expect("limits");
    let mut failed = None;
    for _ in 0..2_000 {
        match desk.ledger.reserve(desk.order(1, None), usdc(), Danger::Calm, MINUTES).await {
            Ok(_) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    assert!(matches!(failed, Some(LedgerError::DiskFull)), "{failed:?}");
    assert!(desk.ledger.head().seq >= before.seq);
    desk.ledger.limit_pages(u32::MAX - 1).await.expect("frees");
    let _kept = desk.held(1).await;
    desk.whole().await;
}

#[tokio::test]
async fn an_agent_cannot_bury_its_owner_in_questions() {
    let desk = Desk::open(10, 1_000).await;
    for n in 0..5 {
        let asked = desk.reserve(60, Some(&format!("q{n}"))).await;
        assert!(matches!(asked, Reserved::Asked { .. }), "{asked:?}");
    }
    let Reserved::Refused { verdict, .. } = desk.reserve(60, Some("q5")).await else {
        panic!("a sixth question was asked")
    };
    let codes: Vec<_> = verdict.objections().map(|r| r.code).collect();
    assert!(codes.contains(&ReasonCode::TooManyQuestions), "{codes:?}");
    desk.whole().await;
}

#[tokio::test]
async fn the_same_question_without_a_key_is_one_card() {
    let desk = Desk::open(10, 1_000).await;
    let Reserved::Asked { payment, .. } = desk.reserve(60, None).await else { panic!("not asked") };
    let again = desk.reserve(60, None).await;
    assert!(matches!(again, Reserved::Known { payment: same } if same == payment));
    // A key of its own says that another purchase is meant.
    assert!(matches!(desk.reserve(60, Some("another")).await, Reserved::Asked { .. }));
}

#[tokio::test]
async fn a_yes_answers_only_what_was_asked() {
    let desk = Desk::open(10, 1_000).await;
    let Reserved::Asked { approval, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    // Meanwhile the agent is put under L2: a question the owner was not shown on this card.
    desk.ledger.set_grade(&desk.agent.id, Grade::L2).await.expect("sets");
    let order = desk.order(60, None);
    let outcome = desk.ledger.approve(&approval, order, usdc(), Danger::Calm).await;
    assert!(matches!(outcome, Ok(Approved::Changed { .. })), "{outcome:?}");
    assert!(desk.ledger.open_payments().await.expect("reads").is_empty());
    desk.whole().await;
}

#[tokio::test]
async fn a_late_yes_is_no_yes() {
    let desk = Desk::open(10, 1_000).await;
    let order = desk.order(60, None);
    let asked = desk.ledger.reserve(order, usdc(), Danger::Calm, SignedDuration::ZERO).await;
    let Ok(Reserved::Asked { approval, .. }) = asked else { panic!("not asked") };
    let late = desk.ledger.approve(&approval, desk.order(60, None), usdc(), Danger::Calm).await;
    assert!(matches!(late, Err(LedgerError::NotWaiting { state, .. }) if state == "lapsed"));
}

#[tokio::test]
async fn a_question_is_never_without_its_request() {
    let desk = Desk::open(10, 1_000).await;
    let mut order = desk.order(60, None);
    order.kept_request = Some(b"the request".to_vec());
    let asked = desk.ledger.reserve(order, usdc(), Danger::Calm, MINUTES).await;
    let Ok(Reserved::Asked { payment, .. }) = asked else { panic!("not asked") };
    let kept = desk.ledger.kept_request(&payment).await.expect("reads");
    assert_eq!(kept.as_deref(), Some(&b"the request"[..]));
    desk.ledger.forget_request(&payment).await.expect("forgets");
    assert_eq!(desk.ledger.kept_request(&payment).await.expect("reads"), None);
    desk.whole().await;
}
