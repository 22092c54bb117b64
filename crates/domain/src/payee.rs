//! Payees: who is paid, and what the desk has seen of them before.

use crate::AssetId;
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// Someone to pay: where the offer came from and which address it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    /// Scheme, host and port the offer came from, an origin as RFC 6454 writes it:
    /// `https://api.example`, without the default port.
    pub origin: String,
    /// The address that gets the money, written with the checksum of EIP-55.
    pub pay_to: Address,
    /// What it wants to be paid in.
    pub asset: AssetId,
}

/// What a plain transfer's origin begins with; no web origin does.
const TRANSFER: &str = "transfer:";

impl Payee {
    /// The payee of a plain transfer: nobody offered anything, so the address stands for its own
    /// origin, and limits per payee and the rule for new ones hold for the address.
    pub fn of_transfer(pay_to: Address, asset: AssetId) -> Payee {
        Payee { origin: format!("{TRANSFER}{}", pay_to.to_checksum(None)), pay_to, asset }
    }

    /// Whether it is that of a plain transfer.
    pub fn is_transfer(&self) -> bool {
        self.origin.starts_with(TRANSFER)
    }
}

/// What the desk knows of a payee at the moment of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PayeeStanding {
    /// This origin has never been paid.
    New,
    /// This origin has been paid at this address.
    Known,
    /// This origin has been paid, but at another address.
    Changed {
        /// The address paid last.
        was: Address,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_told_by_its_origin() {
        let asset = AssetId { chain_id: 1, contract: Address::ZERO };
        let to = alloy_primitives::address!("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
        let payee = Payee::of_transfer(to, asset);
        assert_eq!(payee.origin, "transfer:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
        assert!(payee.is_transfer());
        let web = Payee { origin: "https://transfer.example".into(), ..payee };
        assert!(!web.is_transfer());
    }
}
