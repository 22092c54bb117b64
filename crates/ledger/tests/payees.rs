//! What the books tell of payees: addresses, prices and sums, the latest first.

mod common;

use common::*;
use imprest_domain::{Address, B256, Payee, Units};
use imprest_ledger::{PayeeRecord, Reserved};
use jiff::SignedDuration;

const MOVED: Address = Address::repeat_byte(0x6b);

async fn settle(desk: &Desk, order: imprest_ledger::Order) {
    let Reserved::Granted { payment, .. } = desk.ask(order).await else { panic!("not granted") };
    desk.ledger.settle(&payment, B256::random(), 3).await.expect("settles");
}

async fn payees(desk: &Desk, text: Option<&str>) -> Vec<PayeeRecord> {
    desk.ledger.payees(text, 10).await.expect("reads")
}

fn prices(payee: &PayeeRecord) -> Vec<(&str, Vec<u128>)> {
    let units = |last: &[Units]| last.iter().map(|units| units.get()).collect();
    payee.prices.iter().map(|it| (it.item.as_str(), units(&it.last))).collect()
}

#[tokio::test]
async fn a_payee_is_what_was_paid_and_where() {
    let hands = Hands::at("2026-11-22T12:00:00Z");
    let desk = Desk::with(budget(100, 1_000), hands.options()).await;
    let [named] = &payees(&desk, None).await[..] else { panic!("one is trusted") };
    assert_eq!((named.origin.as_str(), named.asset), (shop().origin.as_str(), usdc().id));
    assert_eq!((named.paid, &named.last, prices(named)), (Units::ZERO, &None, vec![]));
    let first_ms = named.addresses[0].first_seen_ms;

    hands.turn(SignedDuration::from_secs(60));
    settle(&desk, desk.order(10, None)).await;
    settle(&desk, desk.order(12, None)).await;
    let mut other = desk.order(7, None);
    other.url = other.url.replace("/weather", "/zebra");
    other.what = "A zebra".into();
    settle(&desk, other.clone()).await;
    // What is only held is not paid.
    let _held = desk.held(40).await;
    let desk = desk.again().await;
    let [paid] = &payees(&desk, None).await[..] else { panic!("still one") };
    assert_eq!(paid.paid, units(29));
    assert_eq!(paid.last, Some((units(7), "A zebra".into())));
    assert_eq!(
        prices(paid).iter().map(|it| it.1.clone()).collect::<Vec<_>>(),
        [vec![10, 12], vec![7]]
    );
    let [at] = paid.addresses[..] else { panic!("one address") };
    assert_eq!((at.pay_to, at.first_seen_ms), (shop().pay_to, first_ms));
    assert_eq!(at.last_seen_ms, first_ms + 60_000);
}

#[tokio::test]
async fn the_present_address_comes_first_and_the_latest_payee() {
    let hands = Hands::at("2026-11-22T12:00:00Z");
    let desk = Desk::with(budget(100, 1_000), hands.options()).await;
    settle(&desk, desk.order(10, None)).await;
    hands.turn(SignedDuration::from_secs(60));
    let moved = Payee { pay_to: MOVED, ..shop() };
    desk.ledger.trust_payee(moved.clone()).await.expect("trusts");
    let mut order = desk.order(11, None);
    order.intent.payee = moved;
    settle(&desk, order).await;
    hands.turn(SignedDuration::from_secs(60));
    let to = Payee::of_transfer(MOVED, usdc().id);
    desk.ledger.trust_payee(to.clone()).await.expect("trusts");

    let all = payees(&desk, None).await;
    let origins: Vec<&str> = all.iter().map(|payee| payee.origin.as_str()).collect();
    assert_eq!(origins, [to.origin.as_str(), shop().origin.as_str()]);
    let addresses: Vec<Address> = all[1].addresses.iter().map(|at| at.pay_to).collect();
    assert_eq!(addresses, [MOVED, shop().pay_to], "where it is paid now, and where it was");
    assert_eq!(
        (all[1].paid, &all[1].last.as_ref().map(|last| last.0)),
        (units(21), &Some(units(11)))
    );
    assert_eq!(desk.ledger.payees(None, 1).await.expect("reads").len(), 1);
    assert_eq!(desk.ledger.payees(None, 0).await.expect("reads").len(), 1, "at least one");
    desk.whole().await;
}

#[tokio::test]
async fn a_payee_is_found_by_a_part_of_its_origin_or_address() {
    let desk = Desk::open(100, 1_000).await;
    desk.ledger.trust_payee(Payee::of_transfer(MOVED, usdc().id)).await.expect("trusts");
    let host = shop().origin.trim_start_matches("http://").to_uppercase();
    for (text, found) in
        [(host.as_str(), 1), ("6B6B6B", 1), ("transfer:", 1), ("nobody", 0), ("%", 0)]
    {
        assert_eq!(payees(&desk, Some(text)).await.len(), found, "{text}");
    }
}
