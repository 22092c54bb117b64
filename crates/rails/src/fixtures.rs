//! What the tests of every protocol start from.

use crate::Request;
use imprest_domain::{Asset, AssetId};

pub(crate) const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub(crate) const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// USDC on Base Sepolia.
pub(crate) fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 84532, contract: TOKEN.parse().unwrap() },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USDC".into(),
        eip712_version: "2".into(),
    }
}

pub(crate) fn request() -> Request {
    Request::new("GET", "https://shop.example/a", [], bytes::Bytes::new()).unwrap()
}
