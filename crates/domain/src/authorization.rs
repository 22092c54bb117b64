//! What an agent's key signs: an EIP-3009 transfer authorisation.

use crate::{AssetId, Units};
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// When a signature may be taken to the chain, in seconds since 1970 by the chain's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidityWindow {
    /// Not at or before this second.
    pub valid_after_s: u64,
    /// Not at or after this second.
    pub valid_before_s: u64,
}

/// The fields of EIP-3009 `TransferWithAuthorization`, with the asset they bind.
///
/// Source: <https://eips.ethereum.org/EIPS/eip-3009>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The token whose contract verifies the signature.
    pub asset: AssetId,
    /// The agent's own address, which pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// How much, in atomic units.
    pub value: Units,
    /// When it can be used.
    pub window: ValidityWindow,
    /// Random, once; the chain refuses a second use.
    pub nonce: B256,
}
