//! Burning what was signed: leave to do it, and that nothing comes back by it alone.

mod common;

use common::*;
use imprest_domain::{B256, PaymentState};
use imprest_ledger::{Delivery, Event, LedgerError, SealKey};

fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn unclear() -> Delivery {
    Delivery::Unknown { status: None, why: "nobody answered".into() }
}

#[tokio::test]
async fn a_grant_names_what_was_signed_and_frees_nothing() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(10).await;
    let (payment, signed) = (held.payment().clone(), held.authorization().clone());
    desk.ledger.record_delivery(&payment, unclear()).await.expect("records");
    let grant = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    assert_eq!((grant.payment(), grant.account()), (&payment, 1));
    assert_eq!((grant.authorizer(), grant.nonce()), (signed.from, signed.nonce));
    assert_eq!((grant.asset(), grant.terms()), (&usdc(), TERMS));
    desk.ledger.cancel_sent(&payment, tx(1)).await.expect("records");
    let desk = desk.again().await;
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!((record.state, record.transaction), (PaymentState::Unknown, None));
    assert_eq!(desk.ledger.balance(&desk.agent.id).await.expect("reads").held, units(10));
    let kinds: Vec<String> = desk
        .rows("SELECT kind FROM events WHERE payment IS NOT NULL ORDER BY seq")
        .into_iter()
        .collect();
    assert_eq!(kinds, ["payment_held", "payment_delivered", "cancel_granted", "cancel_sent"]);
    // Lost transactions are sent again, and only the chain ends the payment.
    let _again = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    desk.ledger.expire(&payment, 9).await.expect("gives back");
    assert_eq!(desk.ledger.balance(&desk.agent.id).await.expect("reads").held, units(0));
    desk.whole().await;
}

#[tokio::test]
async fn the_key_that_signs_is_that_of_the_agent() {
    let desk = Desk::open(10, 100).await;
    let second = desk.another("Night shift", 2, budget(10, 100)).await;
    let held = desk.ask(order(&second.id, 10, None)).await;
    let imprest_ledger::Reserved::Granted { payment, .. } = held else { panic!("not granted") };
    let grant = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    assert_eq!((grant.account(), grant.authorizer()), (2, second.address));
    desk.whole().await;
}

#[tokio::test]
async fn what_has_no_open_signature_cannot_be_cancelled() {
    let desk = Desk::open(10, 10).await;
    let settled = desk.held(4).await.payment().clone();
    desk.ledger.settle(&settled, tx(7), 3).await.expect("settles");
    let void = desk.held(3).await;
    let voided = void.payment().clone();
    desk.ledger.void(void, "not signed".into()).await.expect("voids");
    let imprest_ledger::Reserved::Refused { payment: refused, .. } = desk.reserve(100, None).await
    else {
        panic!("over the limit")
    };
    let before = desk.ledger.head().seq;
    for (payment, stands) in [
        (&settled, PaymentState::Settled),
        (&voided, PaymentState::Void),
        (&refused, PaymentState::Refused),
    ] {
        let none = desk.ledger.begin_cancel(payment, usdc(), TERMS).await;
        match none {
            Err(LedgerError::NothingToCancel { state, .. }) => assert_eq!(state, stands),
            other => panic!("{other:?}"),
        }
    }
    let nobody = "pay_none".parse().expect("an identifier");
    let none = desk.ledger.begin_cancel(&nobody, usdc(), TERMS).await;
    assert!(matches!(none, Err(LedgerError::NoPayment { .. })), "{none:?}");
    let mut other = usdc();
    other.id.chain_id += 1;
    let open = desk.held(1).await.payment().clone();
    let foreign = desk.ledger.begin_cancel(&open, other, TERMS).await;
    assert!(matches!(foreign, Err(LedgerError::ForeignAsset)), "{foreign:?}");
    assert_eq!(desk.ledger.head().seq, before + 1, "only the hold was written");
    desk.whole().await;
}

/// The chain may settle a payment while its cancellation is being sent.
#[tokio::test]
async fn a_payee_that_was_faster_is_booked_as_paid() {
    let desk = Desk::open(10, 100).await;
    let payment = desk.held(10).await.payment().clone();
    let _grant = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    desk.ledger.settle(&payment, tx(7), 3).await.expect("settles");
    desk.ledger.cancel_sent(&payment, tx(1)).await.expect("what was sent was sent");
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!(record.state, PaymentState::Settled);
    assert_eq!(record.transaction, Some(tx(7).to_string()));
    desk.whole().await;
}

/// It only lowers, so it gives no authority: the books take it while the vault's seal is closed,
/// and in a frozen desk.
#[tokio::test]
async fn it_needs_no_seal_and_no_thaw() {
    let desk = Desk::open(10, 100).await;
    desk.ledger.adopt(SealKey::new([1; 32])).await.expect("seals");
    let payment = desk.held(10).await.payment().clone();
    desk.ledger.freeze().await.expect("freezes");
    desk.ledger.close_seal().await.expect("lets go");
    let _grant = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    desk.ledger.cancel_sent(&payment, tx(1)).await.expect("records");
    desk.whole().await;
}

/// A log that burns another nonce than was signed, or one that has ended, is no log of a desk.
#[tokio::test]
async fn a_cancellation_of_something_else_does_not_replay() {
    let desk = Desk::open(10, 100).await;
    let held = desk.held(10).await;
    let (payment, signed) = (held.payment().clone(), held.authorization().clone());
    let whole = Event::CancelGranted {
        payment: payment.clone(),
        authorizer: signed.from,
        nonce: signed.nonce,
    };
    let other = Event::CancelGranted { payment, authorizer: signed.from, nonce: tx(1) };
    let path = desk.path();
    desk.ledger.clone().close().await;
    for (event, fits) in [(whole, true), (other, false)] {
        append(&path, &event);
        let ledger = imprest_ledger::Ledger::open(&path).await.expect("opens");
        let faults = ledger.verify(None).await.expect("reads").faults;
        ledger.close().await;
        let said = faults.iter().any(|fault| fault.contains("of what was not signed"));
        assert_eq!(said, !fits, "{faults:?}");
    }
}

/// Appends an event with a right hash behind everything that is there.
fn append(path: &std::path::Path, event: &Event) {
    let conn = rusqlite::Connection::open(path).expect("opens");
    let (seq, at_ms, hash) = conn
        .query_row("SELECT seq, at_ms, hash FROM events ORDER BY seq DESC LIMIT 1", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .expect("has events");
    let head = imprest_ledger::Head { seq, at_ms, hash: B256::from_slice(&hash) };
    let body = serde_json::to_string(event).expect("writes");
    let next = head.next(at_ms, &body);
    conn.execute(
        "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (
            next.seq,
            at_ms,
            event.kind(),
            event.payment().map(|id| id.as_str()),
            body,
            next.hash.as_slice(),
        ),
    )
    .expect("appends");
}
