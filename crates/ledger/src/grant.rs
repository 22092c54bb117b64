//! Grants: leave to sign, which only a committed hold can give.

use alloy_primitives::Address;
use imprest_domain::{Asset, Authorization, PaymentId, RefillId, Units};

/// Leave to sign one authorisation, once.
///
/// Its fields are private and this crate builds it in one place only: after the transaction that
/// holds the money has reached the disk. It cannot be copied, stored or sent over a wire, so a
/// signature without a durable hold cannot be written down in this program.
#[derive(Debug)]
#[must_use = "a grant stands for a hold; sign it, or give it back with Ledger::void"]
pub struct Grant {
    pub(crate) payment: PaymentId,
    pub(crate) account: u32,
    pub(crate) authorization: Authorization,
    pub(crate) asset: Asset,
}

impl Grant {
    /// The payment the hold belongs to.
    pub fn payment(&self) -> &PaymentId {
        &self.payment
    }

    /// The account index of the agent whose key signs.
    pub fn account(&self) -> u32 {
        self.account
    }

    /// What is to be signed.
    pub fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// The token as the desk's own registry has it, for the EIP-712 domain.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }
}

/// The terms of an EIP-1559 transaction that are not about money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionTerms {
    /// The treasury's transaction count on that chain.
    pub nonce: u64,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// The most it may pay per unit of gas, in wei.
    pub max_fee_per_gas_wei: u128,
    /// The tip per unit of gas, in wei.
    pub max_priority_fee_per_gas_wei: u128,
}

/// Leave to sign one ERC-20 transfer from the treasury to an agent's float, once.
#[derive(Debug)]
#[must_use = "a grant stands for a recorded refill; sign it"]
pub struct TreasuryGrant {
    pub(crate) refill: RefillId,
    pub(crate) asset: Asset,
    pub(crate) to: Address,
    pub(crate) value: Units,
    pub(crate) terms: TransactionTerms,
}

impl TreasuryGrant {
    /// The refill it belongs to.
    pub fn refill(&self) -> &RefillId {
        &self.refill
    }

    /// The token that moves.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The float that is refilled.
    pub fn to(&self) -> Address {
        self.to
    }

    /// How much moves.
    pub fn value(&self) -> Units {
        self.value
    }

    /// Gas and nonce.
    pub fn terms(&self) -> TransactionTerms {
        self.terms
    }
}
