//! Grants: leave to sign, which only a committed hold can give.

use crate::event::GasCounted;
use alloy_primitives::{Address, B256};
use imprest_domain::{Asset, Authorization, PaymentId, RefillId, SweepId, Units};

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
    pub(crate) gas: Option<GasCounted>,
}

impl Grant {
    /// What the treasury may pay at most for taking it to the chain, in wei; nothing where that is
    /// the payee's part.
    pub fn fee_max_wei(&self) -> Option<Units> {
        self.gas.as_ref().map(|gas| gas.wei)
    }

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

/// Leave to burn one authorisation that an agent's key signed, and to have the treasury take that
/// to the chain, once. It moves no money: what it makes can only take a signature's worth away.
#[derive(Debug)]
#[must_use = "a grant stands for a recorded cancellation; sign it"]
pub struct CancelGrant {
    pub(crate) payment: PaymentId,
    pub(crate) account: u32,
    pub(crate) authorizer: Address,
    pub(crate) nonce: B256,
    pub(crate) asset: Asset,
    pub(crate) terms: TransactionTerms,
}

impl CancelGrant {
    /// The payment whose authorisation is burnt.
    pub fn payment(&self) -> &PaymentId {
        &self.payment
    }

    /// The account index of the agent whose key signed, and signs that it is void.
    pub fn account(&self) -> u32 {
        self.account
    }

    /// The agent's own address.
    pub fn authorizer(&self) -> Address {
        self.authorizer
    }

    /// The nonce of the authorisation that is burnt.
    pub fn nonce(&self) -> B256 {
        self.nonce
    }

    /// The token as the desk's own registry has it, for the EIP-712 domain.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Gas and nonce of the treasury's transaction.
    pub fn terms(&self) -> TransactionTerms {
        self.terms
    }
}

/// Leave to sign one authorisation from a float to the treasury, and to have the treasury take it
/// to the chain, once. Like a [`Grant`] it exists only after its hold has reached the disk.
#[derive(Debug)]
#[must_use = "a grant stands for a hold; sign it, or give it back with Ledger::void_sweep"]
pub struct SweepGrant {
    pub(crate) sweep: SweepId,
    pub(crate) account: u32,
    pub(crate) authorization: Authorization,
    pub(crate) asset: Asset,
    pub(crate) terms: TransactionTerms,
}

impl SweepGrant {
    /// The sweep the hold belongs to.
    pub fn sweep(&self) -> &SweepId {
        &self.sweep
    }

    /// The account index of the agent whose key signs.
    pub fn account(&self) -> u32 {
        self.account
    }

    /// What is to be signed; it pays the treasury.
    pub fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// The token as the desk's own registry has it, for the EIP-712 domain.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Gas and nonce of the treasury's transaction.
    pub fn terms(&self) -> TransactionTerms {
        self.terms
    }
}
