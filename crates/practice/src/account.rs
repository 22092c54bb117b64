//! An account of the practice network that sends its own transactions.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::signers::local::coins_bip39::English;
use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner};
use alloy_primitives::{Address, B256, Bytes, TxKind};
use imprest_chain::{Chain, ChainError};
use std::time::Duration;
use tokio::sync::Mutex;

use crate::error::PracticeError;

/// Anvil's published development phrase. Everybody knows these keys: fine where money is worth
/// nothing, and the reason that nothing outside of the practice network may use them.
const PHRASE: &str = "test test test test test test test test test test test junk";

/// How long a transaction may take into a block.
pub(crate) const MINING_TIMEOUT: Duration = Duration::from_secs(20);

/// Which of anvil's development accounts does what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// Deploys USDC, owns its roles and mints.
    Issuer = 0,
    /// Administers the proxy, which may not be the issuer: an admin cannot call through it.
    ProxyAdmin = 1,
    /// Is paid by the shop's customers.
    Shop = 2,
    /// Takes the customers' authorisations to the chain.
    Relayer = 3,
}

impl Role {
    /// The account's key.
    pub(crate) fn key(self) -> Result<PrivateKeySigner, PracticeError> {
        MnemonicBuilder::<English>::default()
            .phrase(PHRASE)
            .index(self as u32)
            .and_then(|builder| builder.build())
            .map_err(|error| {
                PracticeError::anvil(format!("a practice key cannot be made: {error}"))
            })
    }
}

/// A key that sends its own transactions.
pub(crate) struct Account {
    key: PrivateKeySigner,
    chain: Chain,
    /// Held from asking for the nonce until the node has the transaction. The node counts what
    /// waits in its pool, so parallel senders never choose the same nonce nor leave a gap, and a
    /// transaction lost with a dead anvil leaves none either.
    sending: Mutex<()>,
}

impl Account {
    pub(crate) fn new(role: Role, chain: Chain) -> Result<Account, PracticeError> {
        Ok(Account { key: role.key()?, chain, sending: Mutex::new(()) })
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// Signs a transaction and hands it to the chain.
    pub(crate) async fn send(
        &self,
        to: TxKind,
        data: Vec<u8>,
        gas_limit: u64,
    ) -> Result<B256, ChainError> {
        let _one_at_a_time = self.sending.lock().await;
        let terms = self.chain.transaction_terms(self.address()).await?;
        let mut transaction = TxEip1559 {
            chain_id: self.chain.network().chain_id,
            nonce: terms.nonce,
            gas_limit,
            max_fee_per_gas: terms.max_fee_per_gas_wei,
            max_priority_fee_per_gas: terms.max_priority_fee_per_gas_wei,
            to,
            input: Bytes::from(data),
            ..TxEip1559::default()
        };
        let signature = self
            .key
            .sign_transaction_sync(&mut transaction)
            .map_err(|error| ChainError::Unexpected { call: "signing", why: error.to_string() })?;
        let signed = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
        self.chain.send_raw(&signed).await
    }

    /// Sends a call and waits until it has worked.
    pub(crate) async fn run(
        &self,
        what: &'static str,
        to: Address,
        data: Vec<u8>,
        gas_limit: u64,
    ) -> Result<(), PracticeError> {
        let transaction = self.send(TxKind::Call(to), data, gas_limit).await?;
        confirm(&self.chain, what, transaction).await
    }
}

/// Waits for a transaction and checks that it did not revert.
pub(crate) async fn confirm(
    chain: &Chain,
    what: &'static str,
    transaction: B256,
) -> Result<(), PracticeError> {
    if chain.wait_receipt(transaction, MINING_TIMEOUT).await?.ok {
        return Ok(());
    }
    Err(PracticeError::Transaction { what, why: format!("transaction {transaction} reverted") })
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("address", &self.address()).finish_non_exhaustive()
    }
}
