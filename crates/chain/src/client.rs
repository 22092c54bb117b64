//! One node of one network, and the blocks it reports.

use crate::error::ChainError;
use crate::networks::{Finality, Network};
use crate::transport::BoundedHttp;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::transports::TransportError;
use alloy_primitives::B256;
use imprest_domain::Asset;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OnceCell;
use url::Url;

/// A block as the desk refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its time, in seconds since 1970 by the chain's clock.
    pub timestamp_s: u64,
    /// Its hash.
    pub hash: B256,
}

/// The state a read refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest block the node has.
    Latest,
    /// After this block; take the number from [`Chain::finalized`] for final facts.
    Block(u64),
}

impl From<At> for BlockId {
    fn from(at: At) -> BlockId {
        match at {
            At::Latest => BlockId::latest(),
            At::Block(number) => BlockId::number(number),
        }
    }
}

/// A connection to one node, for one network and one asset. Cheap to clone.
///
/// Every call takes at most 5 seconds and 8 MiB. The node's chain id is compared with the
/// registry before the first other answer is used.
#[derive(Clone)]
pub struct Chain {
    pub(crate) provider: RootProvider<Ethereum>,
    pub(crate) asset: Arc<Asset>,
    network: Arc<Network>,
    host: Arc<str>,
    chain_checked: Arc<OnceCell<()>>,
}

impl std::fmt::Debug for Chain {
    /// Names network and host; the URL's path may hold an access key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("network", &self.network.key)
            .field("host", &self.host)
            .finish()
    }
}

impl Chain {
    /// Prepares a connection; nothing is sent before the first call.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`] for a URL that is not HTTP, or when TLS cannot be set up;
    /// [`ChainError::WrongChain`] for an asset of another chain.
    pub fn connect(network: Network, rpc_url: Url, asset: Asset) -> Result<Chain, ChainError> {
        let host = rpc_url.host_str().unwrap_or("(no host)").to_owned();
        if asset.id.chain_id != network.chain_id {
            return Err(ChainError::WrongChain {
                host,
                expected: network.chain_id,
                found: asset.id.chain_id,
            });
        }
        let unreachable =
            |why: &str| ChainError::Unreachable { host: host.clone(), why: why.into() };
        if !matches!(rpc_url.scheme(), "http" | "https") || !rpc_url.has_host() {
            return Err(unreachable("an RPC endpoint starts with http:// or https://"));
        }
        let transport = BoundedHttp::new(rpc_url).map_err(|why| unreachable(&why))?;
        Ok(Chain {
            // `is_local` only shortens alloy's polling, which the desk does not use.
            provider: RootProvider::new(RpcClient::new(transport, false)),
            asset: Arc::new(asset),
            network: Arc::new(network),
            host: host.into(),
            chain_checked: Arc::new(OnceCell::new()),
        })
    }

    /// The registry's entry for this chain.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The asset the reads are about.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The newest block.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn head(&self) -> Result<Block, ChainError> {
        self.block(BlockNumberOrTag::Latest).await
    }

    /// The newest block that cannot be undone, by the network's own rule of finality.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn finalized(&self) -> Result<Block, ChainError> {
        match self.network.finality {
            Finality::Tag => self.block(BlockNumberOrTag::Finalized).await,
            Finality::Depth { blocks } => {
                let head = self.head().await?;
                // A chain younger than the depth has nothing final but its first block.
                self.block(BlockNumberOrTag::Number(head.number.saturating_sub(blocks))).await
            }
        }
    }

    /// A block by number.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read; [`ChainError::Unexpected`] if the node does not have it.
    pub async fn block_at(&self, number: u64) -> Result<Block, ChainError> {
        self.block(BlockNumberOrTag::Number(number)).await
    }

    async fn block(&self, which: BlockNumberOrTag) -> Result<Block, ChainError> {
        const CALL: &str = "eth_getBlockByNumber";
        self.ensure_chain().await?;
        let block = self
            .provider
            .get_block_by_number(which)
            .await
            .map_err(|error| self.failed(CALL, error))?
            .ok_or_else(|| ChainError::unexpected(CALL, "it has no such block"))?;
        let header = block.header;
        if matches!(which, BlockNumberOrTag::Number(n) if n != header.inner.number) {
            return Err(ChainError::unexpected(CALL, "it is another block than asked for"));
        }
        Ok(Block {
            number: header.inner.number,
            timestamp_s: header.inner.timestamp,
            hash: header.hash,
        })
    }

    /// Compares the node's chain id with the registry's, once per connection.
    pub(crate) async fn ensure_chain(&self) -> Result<(), ChainError> {
        self.chain_checked
            .get_or_try_init(|| async {
                let found = self
                    .provider
                    .get_chain_id()
                    .await
                    .map_err(|error| self.failed("eth_chainId", error))?;
                if found == self.network.chain_id {
                    return Ok(());
                }
                Err(ChainError::WrongChain {
                    host: self.host.to_string(),
                    expected: self.network.chain_id,
                    found,
                })
            })
            .await
            .copied()
    }

    pub(crate) fn failed(&self, call: &'static str, error: TransportError) -> ChainError {
        ChainError::from_transport(call, &self.host, error)
    }
}
