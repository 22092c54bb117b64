//! Who and what there is: three agents, two shared budgets, three origins with two addresses each.

use super::step::Wish;
use crate::chance::Chance;
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, Asset, AssetId, Intent, Payee, Units};
use imprest_ledger::Order;

/// How many agents there are.
pub const AGENTS: usize = 3;
/// How many shared budgets there are.
pub const GROUPS: usize = 2;

/// Who sells.
pub const ORIGINS: [&str; 3] = ["https://a.example", "https://b.example", "https://c.example:8443"];
const ADDRESSES: [u8; 2] = [0xA1, 0xB2];
const PATHS: [&str; 2] = ["weather", "map/tile"];

/// What all budgets are in.
pub fn usdc() -> Asset {
    asset(0xA5, "USDC")
}

/// What no budget is in.
pub fn other_asset() -> Asset {
    asset(0xEE, "EURC")
}

fn asset(contract: u8, symbol: &str) -> Asset {
    Asset {
        id: AssetId { chain_id: 402_402, contract: Address::repeat_byte(contract) },
        symbol: symbol.to_owned(),
        decimals: 6,
        eip712_name: symbol.to_owned(),
        eip712_version: "2".to_owned(),
    }
}

/// Something to buy, and from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub origin: usize,
    pub address: usize,
    pub path: usize,
    pub foreign: bool,
}

/// Who is paid, as the books tell payees apart.
pub type PayeeKey = (usize, usize, bool);

impl Item {
    /// Mostly the usual address, mostly the usual asset.
    pub fn draw(chance: &mut Chance) -> Item {
        Item {
            origin: chance.index(ORIGINS.len()),
            address: usize::from(chance.percent(8)),
            path: chance.index(PATHS.len()),
            foreign: chance.percent(2),
        }
    }

    /// Who is paid.
    pub fn payee_key(self) -> PayeeKey {
        (self.origin, self.address, self.foreign)
    }

    /// Who is paid, in the product's form.
    pub fn payee(self) -> Payee {
        let asset = if self.foreign { other_asset() } else { usdc() };
        Payee {
            origin: ORIGINS[self.origin].to_owned(),
            pay_to: Address::repeat_byte(ADDRESSES[self.address]),
            asset: asset.id,
        }
    }

    /// The registry's entry for what it is paid in.
    pub fn asset(self) -> Asset {
        if self.foreign { other_asset() } else { usdc() }
    }

    /// The request's digest: as with the real ones, another address or path is another request.
    pub fn request(self) -> B256 {
        let words = [self.origin, self.address, self.path, usize::from(self.foreign)];
        let mut bytes = [7_u8; 32];
        for (byte, word) in bytes.iter_mut().zip(words) {
            *byte = word as u8;
        }
        B256::from(bytes)
    }
}

impl Wish {
    /// The order in the product's form.
    pub fn order(&self, agent: &AgentId) -> Order {
        let (payee, path) = (self.item.payee(), PATHS[self.item.path]);
        Order {
            url: format!("{}/{path}?day={}", payee.origin, self.value),
            intent: Intent {
                agent: agent.clone(),
                payee,
                value: Units::new(self.value).unwrap_or(Units::MAX),
                agent_max: self.agent_max.and_then(|max| Units::new(max).ok()),
                for_other_resource: self.other_resource,
            },
            client_key: self.key.map(|key| format!("key-{key}")),
            request_sha256: self.item.request(),
            method: "GET".to_owned(),
            what: path.to_owned(),
            purpose: None,
            task: None,
            offer: "{}".to_owned(),
            max_timeout_s: 60,
            nonce: None,
            gas: None,
            kept_request: None,
            credential: None,
        }
    }
}
