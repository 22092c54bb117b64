//! What the owner switches: local addresses that agents may reach, and all payments at once.

mod common;

use common::Desk;

async fn hosts(desk: &Desk) -> Vec<String> {
    desk.ledger.hosts().await.expect("reads")
}

#[tokio::test]
async fn a_local_address_is_open_from_the_owners_yes_to_the_owners_no() {
    let desk = Desk::open(10, 100).await;
    assert_eq!(hosts(&desk).await, Vec::<String>::new());
    for host in ["localhost:3000", "127.0.0.1:8402"] {
        desk.ledger.allow_host(host.into()).await.expect("allows");
    }
    let head = desk.ledger.head();
    desk.ledger.allow_host("localhost:3000".into()).await.expect("is allowed already");
    assert_eq!(desk.ledger.head(), head, "nothing new is no event");
    let desk = desk.again().await;
    assert_eq!(hosts(&desk).await, ["127.0.0.1:8402", "localhost:3000"]);
    desk.ledger.remove_host("localhost:3000".into()).await.expect("removes");
    assert_eq!(hosts(&desk).await, ["127.0.0.1:8402"]);
    let desk = desk.again().await;
    assert_eq!(hosts(&desk).await, ["127.0.0.1:8402"]);
    desk.whole().await;
    // What was taken back can be given again.
    desk.ledger.allow_host("localhost:3000".into()).await.expect("allows");
    assert_eq!(hosts(&desk).await, ["127.0.0.1:8402", "localhost:3000"]);
    desk.whole().await;
}

#[tokio::test]
async fn a_desk_is_frozen_only_between_the_freeze_and_the_thaw() {
    let desk = Desk::open(10, 100).await;
    let is_frozen = async |desk: &Desk| desk.ledger.is_frozen().await.expect("reads");
    assert!(!is_frozen(&desk).await);
    desk.ledger.freeze().await.expect("freezes");
    let head = desk.ledger.head();
    desk.ledger.freeze().await.expect("is frozen already");
    assert_eq!(desk.ledger.head(), head, "nothing new is no event");
    assert!(is_frozen(&desk).await);
    let desk = desk.again().await;
    assert!(is_frozen(&desk).await);
    desk.ledger.thaw().await.expect("thaws");
    assert!(!is_frozen(&desk).await);
    let desk = desk.again().await;
    assert!(!is_frozen(&desk).await);
    desk.whole().await;
}
