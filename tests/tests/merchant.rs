//! The official seller is what it says: the official client pays it, on a chain with genuine USDC,
//! and cannot pay with the same signature twice.

use imprest_tests::{Merchant, OwnChain, buy};

/// A key of this test alone, and its address.
const BUYER_KEY: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const BUYER: &str = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
const PAY_TO: &str = "0x00000000000000000000000000000000000000AA";

#[tokio::test]
async fn the_official_client_pays_the_official_seller_once() {
    let chain = OwnChain::start(BUYER).expect("the chain starts");
    let merchant = Merchant::start(chain.terms(), PAY_TO).expect("the seller starts");

    let goods = [("GET", "/report"), ("GET", "/big"), ("POST", "/echo")];
    for (method, path) in goods {
        let purchase = buy(chain.terms(), method, &merchant.url(path), BUYER_KEY).expect("it buys");
        assert_eq!(purchase.status, 200, "{path}: {purchase:?}");
        let settlement = purchase.settlement.clone().expect("the seller says how it was paid");
        assert!(settlement.success, "{path}: {purchase:?}");
        assert_eq!(settlement.payer, BUYER);
        assert_eq!(settlement.network, format!("eip155:{}", chain.terms().chain_id));
        assert_eq!(purchase.replay_status, 402, "{path}: a payment is good for one delivery");
    }

    let served: serde_json::Value = reqwest::get(merchant.url("/served"))
        .await
        .expect("the seller answers")
        .json()
        .await
        .expect("with its counts");
    assert_eq!(served, serde_json::json!({ "/report": 1, "/big": 1, "/echo": 1 }));
}

#[tokio::test]
async fn an_unpaid_request_is_answered_with_the_terms_in_the_header() {
    let chain = OwnChain::start(BUYER).expect("the chain starts");
    let mut merchant = Merchant::start(chain.terms(), PAY_TO).expect("the seller starts");
    let url = merchant.url("/big");

    let unpaid = reqwest::get(&url).await.expect("the seller answers");
    assert_eq!(unpaid.status(), 402);
    assert!(unpaid.headers().contains_key("payment-required"), "{:?}", unpaid.headers());

    merchant.kill();
    assert!(reqwest::get(&url).await.is_err(), "a seller that is gone does not answer");
}
