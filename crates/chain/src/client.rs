//! The nodes of one network, and the blocks they report.

use crate::error::ChainError;
use crate::networks::{Finality, Network};
use crate::transport::BoundedHttp;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::transports::TransportError;
use alloy_primitives::B256;
use futures::future::try_join_all;
use imprest_domain::Asset;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Most endpoints one network may have; each is asked on its own before money is given back.
const MAX_NODES: usize = 8;

/// One endpoint, and whether its chain id has been compared.
#[derive(Clone)]
struct Node {
    provider: RootProvider<Ethereum>,
    host: Arc<str>,
    chain_checked: Arc<OnceCell<()>>,
}

/// The nodes of one network, asked about one asset. Cheap to clone.
///
/// Every call takes at most 5 seconds and 8 MiB a node. A node's chain id is compared with the
/// registry before the first other answer of it is used. A read is one node's word: the preferred
/// one's, and the next one's when that cannot be reached. What gives money back is asked of every
/// node on its own ([`Chain::look`]).
#[derive(Clone)]
pub struct Chain {
    nodes: Arc<[Node]>,
    /// Which one answered last; it is asked first, so that one that is down is not waited for again.
    current: Arc<AtomicUsize>,
    pub(crate) asset: Arc<Asset>,
    network: Arc<Network>,
}

impl std::fmt::Debug for Chain {
    /// Names network and hosts; a URL's path may hold an access key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("network", &self.network.key)
            .field("hosts", &self.hosts().collect::<Vec<_>>())
            .finish()
    }
}

impl Node {
    fn new(rpc_url: Url) -> Result<Node, ChainError> {
        let host = rpc_url.host_str().unwrap_or("(no host)").to_owned();
        let unreachable =
            |why: &str| ChainError::Unreachable { host: host.clone(), why: why.into() };
        if !matches!(rpc_url.scheme(), "http" | "https") || !rpc_url.has_host() {
            return Err(unreachable("an RPC endpoint starts with http:// or https://"));
        }
        let transport = BoundedHttp::new(rpc_url).map_err(|why| unreachable(&why))?;
        Ok(Node {
            // `is_local` only shortens alloy's polling, which the desk does not use.
            provider: RootProvider::new(RpcClient::new(transport, false)),
            host: host.into(),
            chain_checked: Arc::new(OnceCell::new()),
        })
    }

    /// Compares the node's chain id with the registry's, once per node.
    async fn ensure_chain(&self, expected: u64) -> Result<(), ChainError> {
        let compare = || async {
            let found = self.provider.get_chain_id().await;
            let found = found.map_err(|error| self.failed("eth_chainId", error))?;
            let host = self.host.to_string();
            let wrong = ChainError::WrongChain { host, expected, found };
            if found == expected { Ok(()) } else { Err(wrong) }
        };
        self.chain_checked.get_or_try_init(compare).await.copied()
    }

    fn failed(&self, call: &'static str, error: TransportError) -> ChainError {
        ChainError::from_transport(call, &self.host, error)
    }
}

impl Chain {
    /// Prepares a connection to one node; nothing is sent before the first call.
    ///
    /// # Errors
    /// As [`Chain::connect_all`].
    pub fn connect(network: Network, rpc_url: Url, asset: Asset) -> Result<Chain, ChainError> {
        Chain::connect_all(network, vec![rpc_url], asset)
    }

    /// Prepares connections to the nodes of a network, the preferred first; nothing is sent before
    /// the first call.
    ///
    /// With one node everything rests on that node's word. With more, what gives money back takes
    /// the same word from each of them, so that a single one that lies or lags only makes the desk
    /// stricter; whether the endpoints are independent of each other is the owner's to know.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`] for a URL that is not HTTP, or when TLS cannot be set up;
    /// [`ChainError::WrongChain`] for an asset of another chain; [`ChainError::Endpoints`] for none,
    /// for more than 8, and for the same one twice.
    pub fn connect_all(
        network: Network,
        rpc_urls: Vec<Url>,
        asset: Asset,
    ) -> Result<Chain, ChainError> {
        if !(1..=MAX_NODES).contains(&rpc_urls.len()) {
            return Err(ChainError::Endpoints { why: "a network has 1 to 8 of them" });
        }
        let distinct: HashSet<&Url> = rpc_urls.iter().collect();
        if distinct.len() < rpc_urls.len() {
            return Err(ChainError::Endpoints { why: "one is named twice" });
        }
        if asset.id.chain_id != network.chain_id {
            let host = rpc_urls.first().and_then(Url::host_str).unwrap_or("(no host)").to_owned();
            let (expected, found) = (network.chain_id, asset.id.chain_id);
            return Err(ChainError::WrongChain { host, expected, found });
        }
        let nodes: Vec<Node> = rpc_urls.into_iter().map(Node::new).collect::<Result<_, _>>()?;
        Ok(Chain {
            nodes: nodes.into(),
            current: Arc::default(),
            asset: Arc::new(asset),
            network: Arc::new(network),
        })
    }

    /// The hosts of the nodes, without path or credentials, the preferred first.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| &*node.host)
    }

    /// Each node as a chain of its own, the preferred first.
    pub fn sources(&self) -> Vec<Chain> {
        let alone = |node: &Node| Chain {
            nodes: Arc::new([node.clone()]),
            current: Arc::default(),
            asset: Arc::clone(&self.asset),
            network: Arc::clone(&self.network),
        };
        self.nodes.iter().map(alone).collect()
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

    /// The newest block that cannot be undone, by the network's own rule of finality. Of several
    /// nodes every one has to answer, and the oldest block is taken.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn finalized(&self) -> Result<Block, ChainError> {
        let sources = self.sources();
        let all = try_join_all(sources.iter().map(Chain::finalized_by_one)).await?;
        let lowest = all.into_iter().min_by_key(|block| block.number);
        lowest.ok_or(ChainError::Endpoints { why: "there is none" })
    }

    async fn finalized_by_one(&self) -> Result<Block, ChainError> {
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
        let ask = |node: RootProvider| async move { node.get_block_by_number(which).await };
        let block = self.ask(CALL, ask).await?;
        let block = block.ok_or_else(|| ChainError::unexpected(CALL, "it has no such block"))?;
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

    /// Asks the node that answered last, and the next one whenever one cannot be reached or serves
    /// another chain. What a node refuses, or answers with nonsense, is its answer.
    pub(crate) async fn ask<T, F>(
        &self,
        call: &'static str,
        request: impl Fn(RootProvider) -> F,
    ) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let mut why = None;
        let nodes = self.nodes.iter().enumerate().cycle().skip(first).take(self.nodes.len());
        for (place, node) in nodes {
            let answer = match node.ensure_chain(self.network.chain_id).await {
                Ok(()) => request(node.provider.clone()).await.map_err(|e| node.failed(call, e)),
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if error.is_another_nodes_turn() => {
                    if self.nodes.len() > 1 {
                        tracing::warn!(call, %error, "a node is passed over");
                    }
                    why.get_or_insert(error);
                }
                answer => {
                    self.current.store(place, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(why.unwrap_or(ChainError::Endpoints { why: "there is none" }))
    }
}
