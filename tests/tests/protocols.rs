//! The official sellers of x402 version 1 and of the `Payment` scheme (MPP) are paid by the rails,
//! with the genuine contract on a real chain: once, and only once.

use alloy::primitives::{Address, U256, address};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::eip712_domain;
use imprest_domain::{Asset, AssetId, Authorization, B256, ValidityWindow};
use imprest_rails::{AddressGuard, Options, Outcome, Payload, Probe, Quote, Rails, Request, Way};
use imprest_tests::{Desk, HttpDoor, Merchant, Obstacle, OwnChain, Protocol, Terms, token_balance};
use serde_json::json;
use tempfile::TempDir;

/// A key of this test alone, and its address.
const BUYER_KEY: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const BUYER: Address = address!("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
const PAY_TO: &str = "0x00000000000000000000000000000000000000AA";

sol! {
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// A seller, the chain it settles on, and rails that may reach it.
struct Market {
    chain: OwnChain,
    merchant: Merchant,
    rails: Rails,
    asset: Asset,
}

impl Market {
    fn open(protocol: Protocol) -> Market {
        let buyer = BUYER.to_string();
        let chain = OwnChain::with_id(OwnChain::V1_CHAIN_ID, &buyer).expect("the chain starts");
        let merchant =
            Merchant::speaking(protocol, chain.terms(), PAY_TO).expect("the seller starts");
        let asset = asset(chain.terms());
        let guard = AddressGuard::default();
        let host = merchant.origin().trim_start_matches("http://");
        guard.allow(host.parse().expect("a host and port"));
        let rails = Rails::new(Options::new(guard, vec![asset.clone()])).expect("rails");
        Market { chain, merchant, rails, asset }
    }

    async fn quote(&self, request: &Request) -> Quote {
        match self.rails.quote(request).await {
            Ok(Probe::Offer(quote)) => *quote,
            other => panic!("no offer: {other:?}"),
        }
    }

    async fn paid_units(&self) -> u128 {
        let terms = self.chain.terms();
        token_balance(&terms.rpc_url, &terms.usdc, PAY_TO).await.expect("the chain answers")
    }

    /// Signs for a quote as the desk's vault does; `nonce` is for protocols that prescribe none.
    fn sign(&self, quote: &Quote, nonce: B256) -> Payload {
        let now_s = u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970");
        let authorization = Authorization {
            asset: quote.payee.asset,
            from: BUYER,
            to: quote.payee.pay_to,
            value: quote.value,
            window: ValidityWindow::clamped(now_s, quote.max_timeout_s),
            nonce: quote.nonce().unwrap_or(nonce),
        };
        let domain = eip712_domain! {
            name: self.asset.eip712_name.clone(),
            version: self.asset.eip712_version.clone(),
            chain_id: self.asset.id.chain_id,
            verifying_contract: self.asset.id.contract,
        };
        let typed = TransferWithAuthorization {
            from: authorization.from,
            to: authorization.to,
            value: U256::from(authorization.value.get()),
            validAfter: U256::from(authorization.window.valid_after_s),
            validBefore: U256::from(authorization.window.valid_before_s),
            nonce: authorization.nonce,
        };
        let key: PrivateKeySigner = BUYER_KEY.parse().expect("a key");
        let signature = key.sign_typed_data_sync(&typed, &domain).expect("signs").as_bytes();
        Payload { authorization, signature }
    }
}

fn asset(terms: &Terms) -> Asset {
    let contract = terms.usdc.parse().expect("an address");
    Asset {
        id: AssetId { chain_id: terms.chain_id, contract },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: terms.usdc_name.clone(),
        eip712_version: terms.usdc_version.clone(),
    }
}

fn get(url: &str) -> Request {
    Request::new("GET", url, [], Vec::new().into()).expect("a good request")
}

/// Buys both goods, tries each payment a second time, and holds all of it against the chain.
async fn both_goods_once(protocol: Protocol, is_way: fn(&Way) -> bool) {
    let market = Market::open(protocol);
    let mut paid = 0;
    for (path, units) in [("/report", 20_000), ("/big", 750_000)] {
        let request = get(&market.merchant.url(path));
        let quote = market.quote(&request).await;
        assert!(is_way(&quote.way), "{:?}", quote.way);
        assert_eq!((quote.value.get(), quote.payee.asset), (units, market.asset.id));
        assert!(quote.resource_matches, "{quote:?}");
        let payload = market.sign(&quote, B256::left_padding_from(path.as_bytes()));
        let outcome = market.rails.deliver(&request, &quote, &payload).await;
        let Outcome::Delivered { response, receipt } = outcome else { panic!("{outcome:?}") };
        assert_eq!(response.status, 200);
        assert!(
            serde_json::from_slice::<serde_json::Value>(&response.body).is_ok(),
            "{response:?}"
        );
        let receipt = receipt.expect("the seller says how it was paid");
        assert!(receipt.success && receipt.transaction.is_some(), "{receipt:?}");
        paid += units;
        assert_eq!(market.paid_units().await, paid);

        let again = market.rails.deliver(&request, &quote, &payload).await;
        assert!(!matches!(again, Outcome::Delivered { .. }), "{again:?}");
        assert_eq!(market.paid_units().await, paid, "a signature is good for one payment");
    }
}

#[tokio::test]
async fn the_official_seller_of_the_first_version_is_paid_once() {
    both_goods_once(Protocol::X402V1, |way| matches!(way, Way::X402V1 { .. })).await;
}

#[tokio::test]
async fn the_official_seller_by_challenges_is_paid_once() {
    both_goods_once(Protocol::Mpp, |way| matches!(way, Way::Mpp { .. })).await;
}

/// Whom the seller by challenges is paid as at the desk. Nobody else ever pays this address.
const DESK_PAY_TO: &str = "0x00000000000000000000000000000000000000Ab";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_answers_challenges_and_asks_its_owner_about_dear_ones() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let desk = Desk::serve_practice(folder.path())?;
    let options =
        ["--grade", "L4", "--new-payee", "allow", "--per-payment", "0.25", "--per-day", "5"];
    let token = desk.add_agent("Buyer", &options)?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.clone().ok_or_else(|| Obstacle::new("No practice network."))?;
    let seller = Merchant::speaking(Protocol::Mpp, &practice.terms(), DESK_PAY_TO)?;
    let host = seller.origin().trim_start_matches("http://");
    assert_eq!(desk.owner(&["hosts", "allow", host])?.code, 0);
    let door = HttpDoor::new(&ready, &token)?;
    let paid = async || token_balance(&practice.rpc, &practice.usdc, DESK_PAY_TO).await;

    let ask = json!({ "url": seller.url("/report"), "idempotency_key": "one" });
    let bought = door.fetch(&ask).await?;
    assert_eq!(bought["response"]["status"], 200, "{bought}");
    let id = bought["payment"]["id"].as_str().expect("a payment").to_owned();
    assert_eq!(door.settled(&id).await?["payment"]["state"], "settled");
    assert_eq!(paid().await?, 20_000);
    let again = door.fetch(&ask).await?;
    assert_eq!(again["payment"]["id"], id.as_str(), "{again}");

    // The owner's yes is to the price; what is signed answers the challenge of that moment.
    let dear = json!({ "url": seller.url("/big"), "idempotency_key": "two", "wait_ms": 0 });
    let waits = door.fetch(&dear).await?;
    assert_eq!(waits["status"], "pending", "{waits}");
    let cards = desk.read(&["approvals"])?;
    let question = cards.done()?["id"].as_str().unwrap_or_default().to_owned();
    desk.owner(&["approve", &question])?.done()?;
    let id = waits["payment"]["id"].as_str().expect("a payment").to_owned();
    assert_eq!(door.settled(&id).await?["payment"]["state"], "settled");
    assert_eq!(paid().await?, 770_000);
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);
    assert_eq!(desk.read(&["verify"])?.done()?["whole"], true);
    Ok(())
}
