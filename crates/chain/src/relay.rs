//! Sending transactions that were signed elsewhere, and what became of them.

use crate::client::Chain;
use crate::error::ChainError;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Gas for a plain transfer of USDC. The costliest case measured, a first transfer to a new
/// holder through the proxy, uses about 63 000.
const TRANSFER_GAS: u64 = 100_000;

/// Gas for taking an agent's signed authorisation to the chain, or a cancellation. The costliest
/// case measured, a first transfer to a new holder through the proxy, uses about 110 000.
const RELAY_GAS: u64 = 200_000;

/// Most gas the desk offers for one call.
const MAX_GAS: u64 = 1_000_000;

/// What a transaction by one sender has to state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionTerms {
    /// The sender's next nonce, transactions that wait included.
    pub nonce: u64,
    /// Gas for what it does with the asset.
    pub gas_limit: u64,
    /// EIP-1559 `maxFeePerGas`, in wei; within the network's own limit.
    pub max_fee_per_gas_wei: u128,
    /// EIP-1559 `maxPriorityFeePerGas`, in wei.
    pub max_priority_fee_per_gas_wei: u128,
}

impl TransactionTerms {
    /// The most it can cost, in wei.
    pub fn fee_max_wei(&self) -> U256 {
        U256::from(self.gas_limit).saturating_mul(U256::from(self.max_fee_per_gas_wei))
    }
}

/// What became of a transaction that is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Whether it did what it says; otherwise it reverted, and only gas was spent.
    pub ok: bool,
    /// The block's number.
    pub block: u64,
    /// What its gas cost, in wei.
    pub fee_wei: u128,
}

impl Chain {
    /// What a sender's next transaction has to state.
    ///
    /// # Errors
    /// [`ChainError::FeeTooHigh`] past the registry's limit; every [`ChainError`] of a read.
    pub async fn transaction_terms(&self, sender: Address) -> Result<TransactionTerms, ChainError> {
        let ask =
            |node: RootProvider| async move { node.get_transaction_count(sender).pending().await };
        let nonce = self.ask("eth_getTransactionCount", ask).await?;
        let ask = |node: RootProvider| async move { node.estimate_eip1559_fees().await };
        let fees = self.ask("eth_feeHistory", ask).await?;
        let limit_wei = self.network().max_fee_per_gas_wei;
        if fees.max_fee_per_gas > limit_wei {
            return Err(ChainError::FeeTooHigh {
                max_fee_per_gas_wei: fees.max_fee_per_gas,
                limit_wei,
            });
        }
        Ok(TransactionTerms {
            nonce,
            gas_limit: TRANSFER_GAS,
            max_fee_per_gas_wei: fees.max_fee_per_gas,
            // A tip above the whole fee is refused by every node.
            max_priority_fee_per_gas_wei: fees.max_priority_fee_per_gas.min(fees.max_fee_per_gas),
        })
    }

    /// What a sender's next transaction has to state when it takes to the chain what another key
    /// has signed (EIP-3009): a transfer, or a cancellation.
    ///
    /// # Errors
    /// As [`Chain::transaction_terms`].
    pub async fn relay_terms(&self, sender: Address) -> Result<TransactionTerms, ChainError> {
        Ok(TransactionTerms { gas_limit: RELAY_GAS, ..self.transaction_terms(sender).await? })
    }

    /// How much gas a call to the asset's contract needs, with a quarter to spare; at most one
    /// million. The node simulates the call, so that one that would fail is refused here.
    ///
    /// # Errors
    /// [`ChainError::Refused`] with the contract's reason when the call would revert.
    pub async fn gas_for(&self, sender: Address, data: &[u8]) -> Result<u64, ChainError> {
        const CALL: &str = "eth_estimateGas";
        let request = TransactionRequest::default()
            .from(sender)
            .to(self.asset().id.contract)
            .input(Bytes::copy_from_slice(data).into());
        let ask = |node: RootProvider| {
            let request = request.clone();
            async move { node.estimate_gas(request).await }
        };
        let gas = self.ask(CALL, ask).await?;
        match gas.checked_add(gas / 4) {
            Some(with_spare) if with_spare <= MAX_GAS => Ok(with_spare),
            _ => Err(ChainError::unexpected(CALL, "the call needs more than a million gas")),
        }
    }

    /// Hands a signed transaction to the node.
    ///
    /// A transaction the node already has counts as handed over, so a retry is harmless.
    ///
    /// # Errors
    /// [`ChainError::Refused`] with the node's reason; [`ChainError::Unreachable`] leaves open
    /// whether the node got it: look for its receipt, or send the same bytes again.
    pub async fn send_raw(&self, signed: &[u8]) -> Result<B256, ChainError> {
        const CALL: &str = "eth_sendRawTransaction";
        let own_hash = keccak256(signed);
        let ask = |node: RootProvider| async move {
            node.send_raw_transaction(signed).await.map(|pending| *pending.tx_hash())
        };
        match self.ask(CALL, ask).await {
            Ok(hash) if hash == own_hash => Ok(own_hash),
            Ok(_) => Err(ChainError::unexpected(CALL, "it names another transaction")),
            Err(ChainError::Refused { message, .. }) if is_known_already(&message) => Ok(own_hash),
            Err(error) => Err(error),
        }
    }

    /// What became of a transaction, if it is in a block.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        const CALL: &str = "eth_getTransactionReceipt";
        let ask =
            |node: RootProvider| async move { node.get_transaction_receipt(transaction).await };
        let Some(receipt) = self.ask(CALL, ask).await? else { return Ok(None) };
        if receipt.transaction_hash != transaction {
            return Err(ChainError::unexpected(CALL, "it is about another transaction"));
        }
        // Some nodes show a receipt for a transaction that is in no block yet.
        let Some(block) = receipt.block_number else { return Ok(None) };
        let fee_wei = u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price);
        Ok(Some(Receipt { ok: receipt.status(), block, fee_wei }))
    }

    /// Waits until a transaction is in a block.
    ///
    /// A node that cannot be reached meanwhile is asked again until the time is up.
    ///
    /// # Errors
    /// [`ChainError::NotMined`] when the time is up; the last error if the node never answered.
    pub async fn wait_receipt(
        &self,
        transaction: B256,
        timeout: Duration,
    ) -> Result<Receipt, ChainError> {
        let end = Instant::now() + timeout;
        let pause = Duration::from_millis((self.network().block_time_ms / 5).clamp(50, 2_000));
        loop {
            let last_error = match self.receipt(transaction).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => None,
                Err(error @ ChainError::Unreachable { .. }) => Some(error),
                Err(error) => return Err(error),
            };
            let next = Instant::now() + pause;
            if next > end {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                return Err(last_error.unwrap_or(ChainError::NotMined { transaction, timeout_ms }));
            }
            sleep_until(next).await;
        }
    }
}

/// What nodes say of a transaction they have: geth, reth, anvil, erigon and nethermind.
fn is_known_already(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["already known", "already imported", "already exists", "known transaction"]
        .iter()
        .any(|known| message.contains(known))
}
