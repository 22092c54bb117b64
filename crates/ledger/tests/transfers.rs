//! Plain transfers: the same rules as for every payment, an address as its own payee, addresses that
//! look like known ones, and what the treasury pays for taking them to the chain.

mod common;

use common::*;
use imprest_domain::{Address, B256, NewPayeeRule, Payee, PaymentState, ReasonCode};
use imprest_ledger::{Delivery, GasTerms, Grant, LedgerError, Order, Reserved};
use jiff::SignedDuration;

const KNOWN: Address = alloy_primitives::address!("1234aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcd");
const TWIN: Address = alloy_primitives::address!("1234bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbabcd");

fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// A transfer that costs 40 of the 100 that a day may cost.
fn transfer(desk: &Desk, to: Address, value: u128) -> Order {
    let mut order = desk.order(value, None);
    order.intent.payee = Payee::of_transfer(to, usdc().id);
    (order.url, order.method) = (order.intent.payee.origin.clone(), "TRANSFER".into());
    order.gas = Some(GasTerms { fee_max_wei: units(40), per_day_wei: units(100) });
    order
}

/// A desk whose agent pays strangers unasked.
async fn steward(hands: &Hands) -> Desk {
    let budget = imprest_domain::Budget { new_payee: NewPayeeRule::Allow, ..budget(100, 1_000) };
    let desk = Desk::with(budget, hands.options()).await;
    desk.ledger.set_grade(&desk.agent.id, imprest_domain::Grade::L4).await.expect("sets");
    desk
}

fn noon() -> Hands {
    Hands::at("2026-11-22T12:00:00Z")
}

#[tokio::test]
async fn a_transfer_is_held_relayed_and_settled_like_a_payment() {
    let desk = steward(&noon()).await;
    let Reserved::Granted { grant, payment, .. } = desk.ask(transfer(&desk, KNOWN, 10)).await
    else {
        panic!("not granted")
    };
    assert_eq!(grant.fee_max_wei(), Some(units(40)));
    assert_eq!((grant.authorization().to, grant.authorization().value), (KNOWN, units(10)));
    desk.ledger.relay_sent(&payment, tx(1)).await.expect("records");
    let desk = desk.again().await;
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!((record.state, record.transaction), (PaymentState::Held, Some(tx(1).to_string())));
    assert_eq!(record.payee.origin, format!("transfer:{KNOWN}"));
    desk.ledger.settle(&payment, tx(2), 9).await.expect("settles");
    // What was sent late changes nothing of what the chain said.
    desk.ledger.relay_sent(&payment, tx(3)).await.expect("records");
    let record = desk.ledger.payment(&payment).await.expect("reads");
    assert_eq!(
        (record.state, record.transaction),
        (PaymentState::Settled, Some(tx(2).to_string()))
    );
    assert_eq!(desk.rows("SELECT origin FROM prices"), [""; 0], "what is sent has no price");
    let known = desk.held(1).await;
    assert_eq!(known.fee_max_wei(), None, "who sells takes the money himself");
    let nobody = "pay_none".parse().expect("an identifier");
    let none = desk.ledger.relay_sent(&nobody, tx(1)).await;
    assert!(matches!(none, Err(LedgerError::NoPayment { .. })), "{none:?}");
    desk.whole().await;
}

/// The file names the moment of the last change, whatever it was.
#[tokio::test]
async fn what_was_sent_changed_the_payment() {
    let hands = noon();
    let desk = steward(&hands).await;
    let payment = granted(&desk).await.payment().clone();
    let changed = |desk: &Desk| {
        let rows = desk.rows("SELECT updated_ms FROM payments");
        rows[0].parse::<i64>().expect("a number")
    };
    let held = changed(&desk);
    hands.turn(SignedDuration::from_secs(5));
    desk.ledger.relay_sent(&payment, tx(1)).await.expect("records");
    assert_eq!(changed(&desk), held + 5_000);
    let _grant = desk.ledger.begin_cancel(&payment, usdc(), TERMS).await.expect("grants");
    hands.turn(SignedDuration::from_secs(5));
    desk.ledger.cancel_sent(&payment, tx(2)).await.expect("records");
    assert_eq!(changed(&desk), held + 10_000);
    desk.whole().await;
}

#[tokio::test]
async fn an_address_is_known_once_it_was_paid_and_counts_by_itself() {
    let budget =
        imprest_domain::Budget { limit_units_per_payee_day: Some(units(15)), ..budget(100, 1_000) };
    let desk = Desk::with(budget, noon().options()).await;
    let asked = desk.ask(transfer(&desk, KNOWN, 10)).await;
    assert_eq!(verdict(&asked), ("asked", vec![ReasonCode::NewPayee]));
    desk.ledger.trust_payee(Payee::of_transfer(KNOWN, usdc().id)).await.expect("trusts");
    assert_eq!(verdict(&desk.ask(transfer(&desk, KNOWN, 10)).await).0, "granted");
    let over = desk.ask(transfer(&desk, KNOWN, 6)).await;
    assert_eq!(verdict(&over), ("refused", vec![ReasonCode::OverPayeeDay]));
    desk.whole().await;
}

/// The ends of an address are what people compare, so an address with another's ends is a question,
/// whatever else the rules allow.
#[tokio::test]
async fn an_address_with_the_ends_of_a_known_one_is_a_question() {
    let desk = steward(&noon()).await;
    assert_eq!(verdict(&desk.ask(transfer(&desk, TWIN, 1)).await).0, "granted", "alone it is none");
    let desk = steward(&noon()).await;
    desk.ledger.trust_payee(Payee::of_transfer(KNOWN, usdc().id)).await.expect("trusts");
    // Known from the file alone as well as from memory.
    let desk = desk.again().await;
    let asked = desk.ask(transfer(&desk, TWIN, 1)).await;
    assert_eq!(verdict(&asked), ("asked", vec![ReasonCode::LookalikePayee]));
    let Reserved::Asked { verdict: seen, .. } = asked else { panic!("not asked") };
    let reason = seen.objections().next().expect("a reason");
    assert_eq!(reason.detail, Some(format!("{TWIN} is not {KNOWN}")), "both are shown");
    // A shop that names it is no better.
    let mut shop = desk.order(1, None);
    shop.intent.payee.origin = "https://shop.example".into();
    shop.intent.payee.pay_to = TWIN;
    assert_eq!(verdict(&desk.ask(shop).await), ("asked", vec![ReasonCode::LookalikePayee]));
    // Once it is known itself, it is itself.
    desk.ledger.trust_payee(Payee::of_transfer(TWIN, usdc().id)).await.expect("trusts");
    assert_eq!(verdict(&desk.ask(transfer(&desk, TWIN, 1)).await).0, "granted");
    // The desk's own floats are imitated, too.
    let mut bytes = desk.agent.address.into_array();
    bytes[9] ^= 1;
    let asked = desk.ask(transfer(&desk, Address::from(bytes), 1)).await;
    assert_eq!(verdict(&asked), ("asked", vec![ReasonCode::LookalikePayee]));
}

#[tokio::test]
async fn the_treasury_pays_for_so_much_a_day_and_no_more() {
    let hands = noon();
    let desk = steward(&hands).await;
    for _ in 0..2 {
        assert_eq!(verdict(&desk.ask(transfer(&desk, KNOWN, 1)).await).0, "granted");
    }
    let over = desk.ask(transfer(&desk, KNOWN, 1)).await;
    assert_eq!(verdict(&over), ("refused", vec![ReasonCode::OverGasDay]));
    let Reserved::Refused { verdict: seen, .. } = over else { panic!("not refused") };
    let reason = seen.objections().next().expect("a reason");
    assert_eq!(reason.detail.as_deref(), Some("120 of 100 wei"));
    assert_eq!(reason.resets_at.map(|at| at.to_string()).as_deref(), Some("2026-11-23T00:00:00Z"));
    assert_eq!(verdict(&desk.reserve(1, None).await).0, "granted", "who sells pays its own gas");
    // A restart forgets nothing of it, another agent has no other treasury, and a new day is one.
    let desk = desk.again().await;
    let other = desk.another("Night shift", 2, budget(100, 1_000)).await;
    desk.ledger.trust_payee(Payee::of_transfer(KNOWN, usdc().id)).await.expect("trusts");
    let theirs = {
        let mut order = transfer(&desk, KNOWN, 1);
        order.intent.agent = other.id.clone();
        order
    };
    let refused = desk.ask(theirs).await;
    assert_eq!(verdict(&refused), ("refused", vec![ReasonCode::OverGasDay]));
    desk.whole().await;
    hands.turn(SignedDuration::from_hours(12));
    assert_eq!(verdict(&desk.ask(transfer(&desk, KNOWN, 1)).await).0, "granted");
    desk.whole().await;
}

async fn granted(desk: &Desk) -> Grant {
    match desk.ask(transfer(desk, KNOWN, 1)).await {
        Reserved::Granted { grant, .. } => grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// The gas of each day.
fn gas(desk: &Desk) -> Vec<String> {
    desk.rows("SELECT label, held, settled FROM counters WHERE holder = 'gas' ORDER BY label")
}

#[tokio::test]
async fn what_was_never_signed_costs_no_gas_of_the_day_it_was_held_in() {
    let hands = Hands::at("2026-11-22T23:59:30Z");
    let desk = steward(&hands).await;
    let (first, second) = (granted(&desk).await, granted(&desk).await);
    assert_eq!(gas(&desk), ["2026-11-22|0|80"]);
    desk.ledger.void(first, "its turn came too late".into()).await.expect("voids");
    assert_eq!(gas(&desk), ["2026-11-22|0|40"]);
    let third = granted(&desk).await;
    assert_eq!(verdict(&desk.ask(transfer(&desk, KNOWN, 1)).await).0, "refused");
    hands.turn(SignedDuration::from_mins(1));
    let fourth = granted(&desk).await;
    desk.ledger.void(second, "its turn came too late".into()).await.expect("voids");
    assert_eq!(gas(&desk), ["2026-11-22|0|40", "2026-11-23|0|40"]);
    desk.whole().await;
    // What the chain has ended stays ended, and what is signed costs what it costs.
    let payment = third.payment().clone();
    desk.ledger.expire(&payment, 9).await.expect("expires");
    desk.ledger.void(third, "too late".into()).await.expect("it has ended");
    assert_eq!(desk.ledger.payment(&payment).await.expect("reads").state, PaymentState::Expired);
    desk.ledger.relay_sent(fourth.payment(), tx(1)).await.expect("records");
    desk.ledger.expire(fourth.payment(), 10).await.expect("expires");
    let desk = desk.again().await;
    assert_eq!(gas(&desk), ["2026-11-22|0|40", "2026-11-23|0|40"]);
    desk.whole().await;
}

#[tokio::test]
async fn what_a_node_refused_stays_held_and_says_nothing_against_the_payee() {
    let desk = steward(&noon()).await;
    for hours in 0..3 {
        let mut order = transfer(&desk, KNOWN, 1);
        order.gas = Some(GasTerms { fee_max_wei: units(1), per_day_wei: units(100) });
        let Reserved::Granted { payment, .. } = desk.ask(order).await else {
            panic!("not granted")
        };
        desk.ledger.relay_sent(&payment, tx(hours)).await.expect("records");
        let refused = Delivery::Unknown { status: None, why: "the node refused it".into() };
        desk.ledger.record_delivery(&payment, refused).await.expect("records");
        let record = desk.ledger.payment(&payment).await.expect("reads");
        assert_eq!(record.state, PaymentState::Unknown);
        assert_eq!(record.transaction, Some(tx(hours).to_string()));
        assert_eq!(record.note.as_deref(), Some("the node refused it"));
    }
    assert_eq!(desk.ledger.balance(&desk.agent.id).await.expect("reads").held, units(3));
    assert!(desk.ledger.signals(10).await.expect("reads").is_empty());
    desk.whole().await;
}
