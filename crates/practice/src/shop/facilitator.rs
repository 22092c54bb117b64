//! The shop's own facilitator: verifies a payment and takes it to the chain.

use super::wire::{ExactPayload, Requirements, SignedTerms};
use crate::account::{Account, MINING_TIMEOUT};
use alloy::signers::Signature;
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct};
use alloy_primitives::{Address, B256, TxKind, U256};
use imprest_chain::{At, Chain, ChainError, usdc};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds an authorisation must still be good for when it arrives.
const MIN_LEFT_S: u64 = 6;

/// Why a payment is not taken, in x402's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    reason: &'static str,
    transaction: Option<B256>,
}

impl Refusal {
    const fn new(reason: &'static str) -> Refusal {
        Refusal { reason, transaction: None }
    }

    /// A fault of the shop or its chain.
    pub(crate) const fn unexpected() -> Refusal {
        Refusal::new("unexpected_settle_error")
    }

    /// x402's `errorReason`.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    /// The transaction that was sent all the same, if one was.
    pub(crate) fn transaction(&self) -> Option<B256> {
        self.transaction
    }
}

/// Verifies and settles. One per shop.
pub(crate) struct Facilitator {
    chain: Chain,
    relayer: Account,
    under_way: Arc<Mutex<HashSet<(Address, B256)>>>,
}

/// A verified payment, held against a second settlement until it is dropped.
pub(crate) struct Claim {
    call: usdc::transferWithAuthorizationCall,
    under_way: Arc<Mutex<HashSet<(Address, B256)>>>,
}

impl Claim {
    /// Who pays.
    pub(crate) fn payer(&self) -> Address {
        self.call.from
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let key = (self.call.from, self.call.nonce);
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

impl Facilitator {
    pub(crate) fn new(chain: Chain, relayer: Account) -> Facilitator {
        Facilitator { chain, relayer, under_way: Arc::default() }
    }

    /// Checks a payment against the terms: sum, payee, time, signature, nonce and balance.
    ///
    /// Source: the x402 specification, scheme `exact` on EVM, "Verification".
    pub(crate) async fn verify(
        &self,
        terms: &Requirements,
        payload: &ExactPayload,
    ) -> Result<Claim, Refusal> {
        let signed = &payload.authorization;
        check_terms(terms, signed, now_s())?;
        check_signature(&self.domain(), payload)?;
        let claim = self.claim(payload)?;
        let chain_failed = |_: ChainError| Refusal::new("unexpected_verify_error");
        let used = self.chain.authorization_state(signed.from, signed.nonce, At::Latest).await;
        if used.map_err(chain_failed)? {
            return Err(Refusal::new("invalid_exact_evm_nonce_already_used"));
        }
        if self.chain.balance(signed.from).await.map_err(chain_failed)? < signed.value {
            return Err(Refusal::new("invalid_exact_evm_insufficient_balance"));
        }
        Ok(claim)
    }

    /// Moves the money: simulates, sends and waits for the receipt. Gives the transaction.
    pub(crate) async fn settle(&self, claim: Claim) -> Result<B256, Refusal> {
        let data = claim.call.abi_encode();
        let gas = match self.chain.gas_for(self.relayer.address(), &data).await {
            Ok(gas) => gas,
            Err(ChainError::Refused { .. }) => {
                return Err(Refusal::new("invalid_exact_evm_transaction_simulation_failed"));
            }
            Err(_) => return Err(Refusal::unexpected()),
        };
        let contract = TxKind::Call(self.chain.asset().id.contract);
        let sent = self.relayer.send(contract, data, gas).await;
        let transaction = sent.map_err(|error| {
            tracing::warn!(%error, "the corner shop could not send a settlement");
            Refusal::unexpected()
        })?;
        let failed = |reason| Refusal { reason, transaction: Some(transaction) };
        match self.chain.wait_receipt(transaction, MINING_TIMEOUT).await {
            Ok(receipt) if receipt.ok => Ok(transaction),
            Ok(_) => Err(failed("invalid_transaction_state")),
            // Sent, and nobody knows yet: the payer has to look at the chain.
            Err(_) => Err(failed("settlement_pending")),
        }
    }

    fn claim(&self, payload: &ExactPayload) -> Result<Claim, Refusal> {
        let signed = &payload.authorization;
        let key = (signed.from, signed.nonce);
        if !self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            return Err(Refusal::new("duplicate_settlement"));
        }
        Ok(Claim {
            call: usdc::transferWithAuthorizationCall {
                from: signed.from,
                to: signed.to,
                value: U256::from(signed.value.get()),
                validAfter: U256::from(signed.valid_after),
                validBefore: U256::from(signed.valid_before),
                nonce: signed.nonce,
                signature: payload.signature.into(),
            },
            under_way: Arc::clone(&self.under_way),
        })
    }

    fn domain(&self) -> Eip712Domain {
        let asset = self.chain.asset();
        Eip712Domain::new(
            Some(asset.eip712_name.clone().into()),
            Some(asset.eip712_version.clone().into()),
            Some(U256::from(asset.id.chain_id)),
            Some(asset.id.contract),
            None,
        )
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What can be told without the chain and without the key.
fn check_terms(terms: &Requirements, signed: &SignedTerms, now_s: u64) -> Result<(), Refusal> {
    if signed.to != terms.pay_to {
        return Err(Refusal::new("invalid_exact_evm_payload_recipient_mismatch"));
    }
    if signed.value != terms.amount {
        return Err(Refusal::new("invalid_exact_evm_payload_authorization_value_mismatch"));
    }
    if signed.valid_before < now_s.saturating_add(MIN_LEFT_S) {
        return Err(Refusal::new("invalid_exact_evm_payload_authorization_valid_before"));
    }
    if signed.valid_after > now_s {
        return Err(Refusal::new("invalid_exact_evm_payload_authorization_valid_after"));
    }
    Ok(())
}

fn check_signature(domain: &Eip712Domain, payload: &ExactPayload) -> Result<(), Refusal> {
    const BAD: Refusal = Refusal::new("invalid_exact_evm_payload_signature");
    let signed = &payload.authorization;
    let message = usdc::TransferWithAuthorization {
        from: signed.from,
        to: signed.to,
        value: U256::from(signed.value.get()),
        validAfter: U256::from(signed.valid_after),
        validBefore: U256::from(signed.valid_before),
        nonce: signed.nonce,
    };
    let signature = Signature::from_raw_array(&payload.signature).map_err(|_| BAD)?;
    let signer = signature
        .recover_address_from_prehash(&message.eip712_signing_hash(domain))
        .map_err(|_| BAD)?;
    if signer == signed.from { Ok(()) } else { Err(BAD) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_domain::{Asset, AssetId, Units};

    const NOW_S: u64 = 1_000_000;

    fn terms() -> Requirements {
        let asset = Asset {
            id: AssetId { chain_id: 1, contract: Address::repeat_byte(9) },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USD Coin".into(),
            eip712_version: "2".into(),
        };
        let price = Units::new(10_000).expect("fits");
        Requirements::exact(&asset, price, Address::repeat_byte(2), 60)
    }

    fn signed() -> SignedTerms {
        SignedTerms {
            from: Address::repeat_byte(1),
            to: Address::repeat_byte(2),
            value: Units::new(10_000).expect("fits"),
            valid_after: 0,
            valid_before: NOW_S + 60,
            nonce: B256::repeat_byte(3),
        }
    }

    #[test]
    fn every_difference_has_its_reason() {
        let why = |edit: fn(&mut SignedTerms)| {
            let mut signed = signed();
            edit(&mut signed);
            check_terms(&terms(), &signed, NOW_S).map_err(|refusal| refusal.reason())
        };
        assert_eq!(why(|_| {}), Ok(()));
        assert_eq!(
            why(|s| s.to = Address::ZERO),
            Err("invalid_exact_evm_payload_recipient_mismatch")
        );
        let mismatch = Err("invalid_exact_evm_payload_authorization_value_mismatch");
        assert_eq!(why(|s| s.value = Units::new(9_999).expect("fits")), mismatch);
        assert_eq!(why(|s| s.value = Units::new(10_001).expect("fits")), mismatch);
        let late = Err("invalid_exact_evm_payload_authorization_valid_before");
        assert_eq!(why(|s| s.valid_before = NOW_S + 5), late);
        assert_eq!(why(|s| s.valid_before = NOW_S + 6), Ok(()));
        let early = Err("invalid_exact_evm_payload_authorization_valid_after");
        assert_eq!(why(|s| s.valid_after = NOW_S + 1), early);
    }
}
