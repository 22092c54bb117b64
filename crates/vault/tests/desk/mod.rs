//! A small desk for tests: real books, a real vault, a shop that may be paid.

use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, Asset, AssetId, Budget, Danger, Grade, Intent, Payee, Units};
use imprest_ledger::{GasTerms, Grant, Ledger, NewAgent, Order, Reserved};
use imprest_vault::Vault;

/// A vault and a ledger, and one agent that may pay one shop.
pub struct Desk {
    pub ledger: Ledger,
    pub vault: Vault,
    pub agent: AgentId,
}

pub fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 31_337, contract: Address::repeat_byte(7) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

pub fn units(count: u128) -> Units {
    Units::new(count).expect("fits")
}

fn payee() -> Payee {
    Payee {
        origin: "https://shop.example".into(),
        pay_to: Address::repeat_byte(9),
        asset: usdc().id,
    }
}

/// Puts a fresh ledger beside the vault; `float` is what the books say of the agent's address.
pub async fn desk(vault: Vault, float: Address) -> Desk {
    let ledger = Ledger::open(&vault.path().with_file_name("ledger.db")).await.expect("opens");
    let budget =
        Budget { limit_units_per_day: Some(units(10_000_000)), ..Budget::blank(usdc().id) };
    let new = NewAgent {
        name: "Scout".parse().expect("a name"),
        account: ledger.next_account().await.expect("an account"),
        address: float,
        grade: Grade::L3,
        budget,
        shared: None,
        token_sha256: "0".repeat(64),
    };
    let agent = ledger.add_agent(new).await.expect("added").id;
    ledger
        .float_received(&agent, Address::ZERO, units(5_000_000), B256::repeat_byte(1), 0, 1)
        .await
        .expect("booked");
    ledger.trust_payee(payee()).await.expect("trusted");
    Desk { ledger, vault, agent }
}

/// Leave to sign one payment to the shop.
pub async fn grant(desk: &Desk) -> Grant {
    grant_with_gas(desk, None).await
}

/// The same, which the treasury takes to the chain for so much at most.
pub async fn grant_with_gas(desk: &Desk, fee_max_wei: Option<u128>) -> Grant {
    let order = Order {
        intent: Intent {
            agent: desk.agent.clone(),
            payee: payee(),
            value: units(250_000),
            agent_max: None,
            for_other_resource: false,
        },
        client_key: None,
        request_sha256: B256::repeat_byte(2),
        url: "https://shop.example/report".into(),
        method: "GET".into(),
        what: "a report".into(),
        purpose: None,
        task: None,
        offer: "{}".into(),
        max_timeout_s: 60,
        nonce: None,
        gas: fee_max_wei.map(|most| GasTerms { fee_max_wei: units(most), per_day_wei: Units::MAX }),
        kept_request: None,
        credential: None,
    };
    let question_for = jiff::SignedDuration::from_mins(10);
    let reserved = desk.ledger.reserve(order, usdc(), Danger::default(), question_for).await;
    match reserved.expect("decided") {
        Reserved::Granted { grant, .. } => grant,
        other => panic!("not granted: {other:?}"),
    }
}
