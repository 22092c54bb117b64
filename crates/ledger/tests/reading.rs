//! What the books answer when they are asked: found again, counted, and paged.

mod common;

use common::*;
use imprest_domain::{AgentId, B256, Payee};
use imprest_ledger::{Delivery, PaymentFilter, Reserved, Totals};
use jiff::{SignedDuration, Timestamp};

const NOON: &str = "2026-11-22T12:00:00Z";
const WEATHER: &str = "http://127.0.0.1:4021/weather";

fn noon_ms() -> i64 {
    NOON.parse::<Timestamp>().expect("a time").as_millisecond()
}

/// Pays for something and lets the chain say so.
async fn paid(desk: &Desk, value: u128, url: &str) {
    let mut order = desk.order(value, None);
    order.url = url.into();
    let Reserved::Granted { grant, .. } = desk.ask(order).await else { panic!("not granted") };
    desk.ledger.settle(grant.payment(), B256::random(), 5).await.expect("settles");
}

#[tokio::test]
async fn a_payment_is_found_again_by_its_own_agents_key() {
    let desk = Desk::open(10, 100).await;
    let other = desk.another("Night shift", 2, budget(10, 100)).await;
    let mut order = desk.order(7, Some("k1"));
    order.offer = r#"{"price":"7"}"#.into();
    let Reserved::Granted { grant, .. } = desk.ask(order).await else { panic!("not granted") };
    let by_key = async |agent: &AgentId, key: &str| {
        desk.ledger.payment_by_key(agent, key).await.expect("reads")
    };
    let found = by_key(&desk.agent.id, "k1").await.expect("is there");
    assert_eq!((&found.payment, found.value), (grant.payment(), units(7)));
    assert_eq!(found.offer, r#"{"price":"7"}"#, "the offer as it was chosen");
    // A key is one agent's own.
    assert_eq!(by_key(&desk.agent.id, "k2").await, None);
    assert_eq!(by_key(&other.id, "k1").await, None);
}

#[tokio::test]
async fn the_last_page_says_that_it_is_the_last() {
    let desk = Desk::open(10, 1_000).await;
    for _ in 0..6 {
        let _kept = desk.held(1).await;
    }
    let page = async |before: Option<u64>, limit: u32| {
        let all = PaymentFilter::default();
        let page = desk.ledger.payments(&all, before, limit).await.expect("reads");
        (page.payments.len(), page.next_before_seq)
    };
    let (first, next) = page(None, 3).await;
    assert!(first == 3 && next.is_some());
    // As many as fit, and none behind them.
    assert_eq!(page(next, 3).await, (3, None));
    assert_eq!(page(None, 6).await, (6, None));
}

#[tokio::test]
async fn a_question_is_found_by_the_payment_it_is_about() {
    let desk = Desk::open(10, 1_000).await;
    let Reserved::Asked { payment, approval, .. } = desk.reserve(60, None).await else {
        panic!("not asked")
    };
    let about = async || desk.ledger.approval_about(&payment).await.expect("reads");
    let waits = about().await.expect("was asked");
    assert_eq!((&waits.approval, waits.state.as_str()), (&approval, "waiting"));
    assert_eq!(waits.payment.payment, payment);
    desk.ledger.refuse(&approval, Some("too dear".into())).await.expect("refuses");
    let answered = about().await.expect("was asked");
    assert_eq!(
        (answered.state.as_str(), answered.answer.as_deref()),
        ("refused", Some("too dear"))
    );
    let held = desk.held(1).await;
    assert_eq!(desk.ledger.approval_about(held.payment()).await.expect("reads"), None);
}

#[tokio::test]
async fn what_a_thing_cost_last_is_known_by_its_path() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(100, 1_000), hands.options()).await;
    let last = async |payee: &Payee, url: &str| {
        let last = desk.ledger.last_price(payee, url).await.expect("reads");
        last.map(|paid| (paid.value.get(), paid.pay_to, paid.at_ms))
    };
    assert_eq!(last(&shop(), WEATHER).await, None);
    paid(&desk, 10, WEATHER).await;
    hands.turn(SignedDuration::from_mins(1));
    paid(&desk, 12, "http://127.0.0.1:4021/weather?city=Bern").await;
    let twelve = Some((12, shop().pay_to, noon_ms() + 60_000));
    // Whatever is asked about the same thing, and nothing else of the same payee.
    assert_eq!(last(&shop(), WEATHER).await, twelve);
    assert_eq!(last(&shop(), "http://127.0.0.1:4021/weather#now").await, twelve);
    assert_eq!(last(&shop(), "http://127.0.0.1:4021/map").await, None);
    let other = Payee { origin: "http://other.example".into(), ..shop() };
    assert_eq!(last(&other, WEATHER).await, None);
    // So another thing may cost what it costs, and nobody calls it a jump.
    paid(&desk, 13, WEATHER).await;
    paid(&desk, 90, "http://127.0.0.1:4021/map").await;
    assert!(desk.ledger.signals(10).await.expect("reads").is_empty());
}

#[tokio::test]
async fn a_payments_history_is_told_in_order() {
    let desk = Desk::open(10, 100).await;
    let grant = desk.held(10).await;
    let _another = desk.held(1).await;
    let unknown = Delivery::Unknown { status: None, why: "the connection was cut".into() };
    desk.ledger.record_delivery(grant.payment(), unknown).await.expect("records");
    desk.ledger.settle(grant.payment(), B256::repeat_byte(7), 5).await.expect("settles");
    let told = desk.ledger.events_of(grant.payment()).await.expect("reads");
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["payment_held", "payment_delivered", "payment_settled"]);
    assert!(told.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let (last, head) = (told.last().expect("three"), desk.ledger.head());
    assert_eq!((last.seq, last.at_ms), (head.seq, head.at_ms));
    assert_eq!(format!("0x{}", last.hash), head.hash.to_string());
}

#[tokio::test]
async fn the_books_know_when_an_agent_last_asked() {
    let hands = Hands::at(NOON);
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    let other = desk.another("Night shift", 2, budget(10, 100)).await;
    let last = async |agent: &AgentId| desk.ledger.last_asked_ms(agent).await.expect("reads");
    assert_eq!(last(&desk.agent.id).await, None);
    let _held = desk.held(1).await;
    assert_eq!(last(&desk.agent.id).await, Some(noon_ms()));
    // A refusal was asked for too.
    hands.turn(SignedDuration::from_mins(3));
    assert_eq!(verdict(&desk.reserve(101, None).await).0, "refused");
    assert_eq!(last(&desk.agent.id).await, Some(noon_ms() + 180_000));
    assert_eq!(last(&other.id).await, None);
}

#[tokio::test]
async fn the_status_line_counts_what_waits_and_who_works() {
    let desk = Desk::open(10, 1_000).await;
    let totals = async || desk.ledger.totals().await.expect("reads");
    assert_eq!(totals().await, Totals { waiting: 0, agents: 1 });
    let other = desk.another("Night shift", 2, budget(10, 100)).await;
    let Reserved::Asked { approval, .. } = desk.reserve(60, Some("a")).await else {
        panic!("not asked")
    };
    assert_eq!(verdict(&desk.reserve(60, Some("b")).await).0, "asked");
    assert_eq!(totals().await, Totals { waiting: 2, agents: 2 });
    desk.ledger.refuse(&approval, None).await.expect("refuses");
    desk.ledger.revoke_agent(&other.id).await.expect("revokes");
    assert_eq!(totals().await, Totals { waiting: 1, agents: 1 });
}
