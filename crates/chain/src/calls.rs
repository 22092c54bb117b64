//! Reads of the asset's contract.

use crate::abi::usdc;
use crate::client::{At, Chain};
use crate::error::ChainError;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{Eip712Domain, SolCall};
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::{StreamExt, TryStreamExt, stream};
use imprest_domain::{Asset, Units, plain_line};

/// Balance reads under way at once; public nodes throttle more.
const PARALLEL_READS: usize = 8;

impl Chain {
    /// What an address holds now.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read; [`ChainError::Unexpected`] past [`Units::MAX`].
    pub async fn balance(&self, address: Address) -> Result<Units, ChainError> {
        self.balance_at(address, At::Latest).await
    }

    /// What an address held after a block.
    ///
    /// # Errors
    /// As [`Chain::balance`].
    pub async fn balance_at(&self, address: Address, at: At) -> Result<Units, ChainError> {
        let units = self.call(usdc::balanceOfCall { account: address }, "balanceOf", at).await?;
        to_units("balanceOf", units)
    }

    /// What several addresses held after one block, in the order asked.
    ///
    /// # Errors
    /// As [`Chain::balance`].
    pub async fn balances(&self, addresses: &[Address], at: At) -> Result<Vec<Units>, ChainError> {
        // Owned items: a closure over borrowed ones makes a future that cannot be sent.
        stream::iter(addresses.to_vec())
            .map(|address| self.balance_at(address, at))
            .buffered(PARALLEL_READS)
            .try_collect()
            .await
    }

    /// What an address holds of the chain's own coin, in wei; gas is paid from it.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn gas_balance_wei(&self, address: Address) -> Result<U256, ChainError> {
        let ask = |node: RootProvider| async move { node.get_balance(address).await };
        self.ask("eth_getBalance", ask).await
    }

    /// Whether an authorisation's nonce is used or cancelled, as of a block (EIP-3009).
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn authorization_state(
        &self,
        from: Address,
        nonce: B256,
        at: At,
    ) -> Result<bool, ChainError> {
        let call = usdc::authorizationStateCall { authorizer: from, nonce };
        self.call(call, "authorizationState", at).await
    }

    /// Confirms that the contract is what the registry says: chain id, code, name, version,
    /// decimals and the EIP-712 domain separator.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`], [`ChainError::NoCode`] or [`ChainError::AssetDiffers`] when it
    /// is not; every [`ChainError`] of a read when it cannot be told.
    pub async fn confirm_asset(&self) -> Result<(), ChainError> {
        let asset = self.asset();
        let name = self.call(usdc::nameCall {}, "name", At::Latest).await?;
        same("name", &asset.eip712_name, &name)?;
        let version = self.call(usdc::versionCall {}, "version", At::Latest).await?;
        same("version", &asset.eip712_version, &version)?;
        let decimals = self.call(usdc::decimalsCall {}, "decimals", At::Latest).await?;
        same("decimals", &asset.decimals.to_string(), &decimals.to_string())?;
        let separator =
            self.call(usdc::DOMAIN_SEPARATORCall {}, "DOMAIN_SEPARATOR", At::Latest).await?;
        same("DOMAIN_SEPARATOR", &domain(asset).separator().to_string(), &separator.to_string())
    }

    /// One `eth_call` to the asset's contract, strictly decoded.
    async fn call<C: SolCall>(
        &self,
        call: C,
        name: &'static str,
        at: At,
    ) -> Result<C::Return, ChainError> {
        let contract = self.asset().id.contract;
        let request = TransactionRequest::default().to(contract).input(call.abi_encode().into());
        let ask = |node: RootProvider| {
            let request = request.clone();
            async move { node.call(request).block(at.into()).await }
        };
        let answer = self.ask(name, ask).await?;
        if answer.is_empty() {
            // A call to an address without code succeeds and returns nothing.
            return Err(self.nothing_there(name, at).await);
        }
        C::abi_decode_returns_validate(&answer).map_err(|why| ChainError::unexpected(name, why))
    }

    async fn nothing_there(&self, name: &'static str, at: At) -> ChainError {
        let id = self.asset().id;
        match self.code_at(at).await {
            Ok(code) if code.is_empty() => {
                ChainError::NoCode { contract: id.contract, chain_id: id.chain_id }
            }
            Ok(_) => ChainError::unexpected(name, "it is empty"),
            Err(error) => error,
        }
    }

    /// The contract's code, as of a block.
    pub(crate) async fn code_at(&self, at: At) -> Result<Bytes, ChainError> {
        let contract = self.asset().id.contract;
        let ask = |node: RootProvider| async move {
            node.get_code_at(contract).block_id(at.into()).await
        };
        self.ask("eth_getCode", ask).await
    }
}

/// The EIP-712 domain of an asset, from the registry alone.
pub(crate) fn domain(asset: &Asset) -> Eip712Domain {
    Eip712Domain::new(
        Some(asset.eip712_name.clone().into()),
        Some(asset.eip712_version.clone().into()),
        Some(U256::from(asset.id.chain_id)),
        Some(asset.id.contract),
        None,
    )
}

/// A uint256 as the books hold it.
pub(crate) fn to_units(call: &'static str, value: U256) -> Result<Units, ChainError> {
    let value = u128::try_from(value).map_err(|_| {
        ChainError::unexpected(call, "the amount is larger than the books can hold")
    })?;
    Units::new(value).map_err(|why| ChainError::amount(call, why))
}

fn same(field: &'static str, expected: &str, found: &str) -> Result<(), ChainError> {
    if expected == found {
        return Ok(());
    }
    Err(ChainError::AssetDiffers { field, expected: expected.into(), found: plain_line(found, 80) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_past_the_books_are_refused_not_wrapped() {
        assert_eq!(to_units("x", U256::from(7)), Ok(Units::new(7).expect("fits")));
        assert!(to_units("x", U256::from(u64::MAX)).is_err());
        assert!(to_units("x", U256::MAX).is_err());
        assert!(to_units("x", U256::from(1) << 128).is_err());
    }
}
