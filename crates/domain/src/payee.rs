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
