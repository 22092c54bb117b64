//! The registry of networks and assets: the desk's own word on what a token is.

use alloy_primitives::Address;
use imprest_domain::{Asset, AssetId, Units};
use serde::Deserialize;
use std::collections::HashSet;
use url::Url;

/// The registry that is part of the program.
const BUILT_IN: &str = include_str!("../../../assets/networks.toml");

/// Most bytes of a registry text.
const MAX_BYTES: usize = 256 << 10;

/// How the desk learns that a block cannot be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// The node's own `finalized` block tag.
    Tag,
    /// The block this many behind the newest.
    Depth {
        /// How many blocks.
        blocks: u64,
    },
}

/// A chain the desk can pay on, with its assets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Short stable name, `base-sepolia`.
    pub key: String,
    /// What people call it, `Base Sepolia`.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Whether its money is practice money.
    pub practice: bool,
    /// RPC endpoints, the preferred first. Empty for the practice network.
    pub rpc_urls: Vec<Url>,
    /// Usual time between blocks, in milliseconds.
    pub block_time_ms: u64,
    /// When a block counts as final.
    pub finality: Finality,
    /// Most blocks to search for logs in one call.
    pub log_range_blocks: u64,
    /// Most wei per gas the desk offers.
    pub max_fee_per_gas_wei: u128,
    /// Most wei the treasury pays in a day for taking agents' transfers to the chain.
    pub gas_wei_per_day: Units,
    /// A block explorer, for links the owner opens.
    pub explorer_url: Option<Url>,
    /// Tokens with a known contract.
    pub assets: Vec<Asset>,
    /// Tokens whose contract is deployed at run time; only the practice network has them.
    pub unplaced: Vec<UnplacedAsset>,
}

/// A token that has no address before it is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnplacedAsset {
    /// What people call it.
    pub symbol: String,
    /// Digits after the point.
    pub decimals: u8,
    /// The EIP-712 domain's `name`.
    pub eip712_name: String,
    /// The EIP-712 domain's `version`.
    pub eip712_version: String,
}

impl UnplacedAsset {
    /// The asset, once its contract's address is known.
    pub fn place(&self, chain_id: u64, contract: Address) -> Asset {
        Asset {
            id: AssetId { chain_id, contract },
            symbol: self.symbol.clone(),
            decimals: self.decimals,
            eip712_name: self.eip712_name.clone(),
            eip712_version: self.eip712_version.clone(),
        }
    }
}

impl Network {
    /// The chain in CAIP-2 form, `eip155:84532`.
    pub fn caip2(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }

    /// The asset at this contract, if the registry knows it.
    pub fn asset(&self, contract: Address) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.id.contract == contract)
    }
}

/// All networks of a registry, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// The registry this program was built with.
    ///
    /// # Errors
    /// Never in a build whose tests passed; a mistake in the embedded text otherwise.
    pub fn built_in() -> Result<Networks, NetworkError> {
        BUILT_IN.parse()
    }

    /// The networks, in the registry's order.
    pub fn all(&self) -> &[Network] {
        &self.0
    }

    /// The network with this key.
    pub fn by_key(&self, key: &str) -> Option<&Network> {
        self.0.iter().find(|network| network.key == key)
    }

    /// The network with this EIP-155 chain id.
    pub fn by_chain_id(&self, chain_id: u64) -> Option<&Network> {
        self.0.iter().find(|network| network.chain_id == chain_id)
    }

    /// The practice network, if the registry has one.
    pub fn practice(&self) -> Option<&Network> {
        self.0.iter().find(|network| network.practice)
    }
}

/// A registry text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not TOML of the expected form.
    #[error("The registry of networks cannot be read: {0} Correct the file.")]
    Form(String),
    /// A value that makes no sense.
    #[error("In the registry of networks, {entry} has a wrong {field}: {why}. Correct the file.")]
    Value {
        /// The network's key, or its place in the file.
        entry: String,
        /// Which field.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Two entries with the same key or chain id.
    #[error("The registry of networks names {0} twice. Remove one.")]
    Twice(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    network: Vec<RawNetwork>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    key: String,
    name: String,
    chain_id: u64,
    practice: bool,
    rpc_urls: Vec<Url>,
    block_time_ms: u64,
    finality: RawFinality,
    log_range_blocks: u64,
    max_fee_per_gas_wei: u64,
    gas_wei_per_day: u64,
    explorer_url: Option<Url>,
    asset: Vec<RawAsset>,
}

/// `Tag` has braces so that serde refuses unknown fields beside it.
#[derive(Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
enum RawFinality {
    Tag {},
    Depth { blocks: u64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAsset {
    symbol: String,
    contract: Option<String>,
    decimals: u8,
    eip712_name: String,
    eip712_version: String,
}

impl std::str::FromStr for Networks {
    type Err = NetworkError;

    /// Reads a registry strictly: unknown fields, doubtful values and doubles are refused.
    fn from_str(text: &str) -> Result<Networks, NetworkError> {
        if text.len() > MAX_BYTES {
            return Err(NetworkError::Form("it is larger than 256 KiB.".into()));
        }
        let raw: RawFile =
            toml::from_str(text).map_err(|error| NetworkError::Form(error.to_string()))?;
        let mut keys = HashSet::new();
        let mut chains = HashSet::new();
        let mut networks = Vec::new();
        for entry in raw.network {
            let network = checked(entry)?;
            if !keys.insert(network.key.clone()) {
                return Err(NetworkError::Twice(network.key));
            }
            if !chains.insert(network.chain_id) {
                return Err(NetworkError::Twice(network.caip2()));
            }
            networks.push(network);
        }
        Ok(Networks(networks))
    }
}

fn checked(raw: RawNetwork) -> Result<Network, NetworkError> {
    let entry = raw.key.clone();
    let wrong = |field, why| Err(NetworkError::Value { entry: entry.clone(), field, why });
    let plain_key = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !(1..=32).contains(&raw.key.len()) || !raw.key.bytes().all(plain_key) {
        return wrong("key", "1 to 32 of a-z, 0-9 and hyphen are allowed");
    }
    if !is_label(&raw.name) {
        return wrong("name", "1 to 64 printable characters are allowed");
    }
    // x402 clients read the number as a JavaScript integer, and zero is no chain.
    if raw.chain_id == 0 || raw.chain_id > (1 << 53) - 1 {
        return wrong("chain_id", "it must lie between 1 and 2^53-1");
    }
    if !(100..=600_000).contains(&raw.block_time_ms) {
        return wrong("block_time_ms", "it must lie between 100 and 600000");
    }
    if !(1..=1_000_000).contains(&raw.log_range_blocks) {
        return wrong("log_range_blocks", "it must lie between 1 and 1000000");
    }
    if raw.max_fee_per_gas_wei == 0 {
        return wrong("max_fee_per_gas_wei", "zero would forbid every transaction");
    }
    let gas_wei_per_day = match Units::new(raw.gas_wei_per_day.into()) {
        Ok(units) => units,
        Err(_) => return wrong("gas_wei_per_day", "it is more than the books can hold"),
    };
    let finality = match raw.finality {
        RawFinality::Tag {} => Finality::Tag,
        RawFinality::Depth { blocks } if (1..=100_000).contains(&blocks) => {
            Finality::Depth { blocks }
        }
        RawFinality::Depth { .. } => {
            return wrong("finality", "depth must lie between 1 and 100000 blocks");
        }
    };
    if raw.practice != raw.rpc_urls.is_empty() {
        return wrong("rpc_urls", "real networks need one, the practice network has none");
    }
    if !raw.rpc_urls.iter().all(is_web) {
        return wrong("rpc_urls", "only http and https with a host are allowed");
    }
    if !raw.explorer_url.iter().all(is_web) {
        return wrong("explorer_url", "only http and https with a host are allowed");
    }
    let (assets, unplaced) = checked_assets(&raw)?;
    Ok(Network {
        key: raw.key,
        name: raw.name,
        chain_id: raw.chain_id,
        practice: raw.practice,
        rpc_urls: raw.rpc_urls,
        block_time_ms: raw.block_time_ms,
        finality,
        log_range_blocks: raw.log_range_blocks,
        max_fee_per_gas_wei: raw.max_fee_per_gas_wei.into(),
        gas_wei_per_day,
        explorer_url: raw.explorer_url,
        assets,
        unplaced,
    })
}

fn checked_assets(raw: &RawNetwork) -> Result<(Vec<Asset>, Vec<UnplacedAsset>), NetworkError> {
    let wrong = |field, why| Err(NetworkError::Value { entry: raw.key.clone(), field, why });
    let mut assets: Vec<Asset> = Vec::new();
    let mut unplaced = Vec::new();
    for asset in &raw.asset {
        if ![&asset.symbol, &asset.eip712_name, &asset.eip712_version].into_iter().all(is_label) {
            return wrong("asset", "texts are 1 to 64 printable characters");
        }
        if asset.decimals > 24 {
            return wrong("asset", "24 decimals are the most the books can hold");
        }
        let known = UnplacedAsset {
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            eip712_name: asset.eip712_name.clone(),
            eip712_version: asset.eip712_version.clone(),
        };
        let Some(contract) = &asset.contract else {
            if !raw.practice {
                return wrong("contract", "only the practice network deploys its own");
            }
            unplaced.push(known);
            continue;
        };
        // The checksum catches a mistyped digit.
        let Ok(contract) = Address::parse_checksummed(contract, None) else {
            return wrong("contract", "it is not an address with a right EIP-55 checksum");
        };
        if contract.is_zero() || assets.iter().any(|a| a.id.contract == contract) {
            return wrong("contract", "it is zero or named twice");
        }
        assets.push(known.place(raw.chain_id, contract));
    }
    Ok((assets, unplaced))
}

/// A name from the registry: 1–64 characters, none of them a control character.
fn is_label(text: impl AsRef<str>) -> bool {
    let text = text.as_ref();
    (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_registry_is_whole() {
        let networks = Networks::built_in().expect("the embedded registry parses");
        let keys: Vec<_> = networks.all().iter().map(|n| n.key.as_str()).collect();
        let real =
            ["base-sepolia", "base", "ethereum", "polygon", "arbitrum", "optimism", "avalanche"];
        assert_eq!(keys[0], "practice");
        assert_eq!(keys[1..], real);
        let practice = networks.practice().expect("there is a practice network");
        assert!(practice.assets.is_empty(), "its contract is not known before deployment");
        let placed = practice.unplaced[0].place(practice.chain_id, Address::repeat_byte(7));
        assert_eq!(placed.id.network(), practice.caip2());
        for network in networks.all().iter().filter(|n| !n.practice) {
            assert_eq!(network.assets.len(), 1, "{}", network.key);
            // What was reserved is given back on the word of more than one.
            let hosts: HashSet<_> = network.rpc_urls.iter().map(Url::host_str).collect();
            assert!(hosts.len() >= 2, "{}", network.key);
            assert_eq!(network.asset(network.assets[0].id.contract), network.assets.first());
        }
        // Base Sepolia's USDC has another EIP-712 name than Base's.
        let name = |id| networks.by_chain_id(id).expect("known").assets[0].eip712_name.clone();
        assert_eq!((name(84532), name(8453)), ("USDC".into(), "USD Coin".into()));
    }

    fn edited(from: &str, to: &str) -> Result<Networks, NetworkError> {
        assert!(BUILT_IN.contains(from), "{from} is in the registry");
        BUILT_IN.replacen(from, to, 1).parse()
    }

    #[test]
    fn refuses_what_it_does_not_know_and_what_makes_no_sense() {
        for (from, to) in [
            ("practice = true", "practice = true\nsurprise = 1"),
            ("symbol = \"USDC\"", "symbol = \"USDC\"\nprice = 1"),
            ("finality = { by = \"tag\" }", "finality = { by = \"hope\" }"),
            ("finality = { by = \"tag\" }", "finality = { by = \"depth\", blocks = 0 }"),
            ("finality = { by = \"tag\" }", "finality = { by = \"tag\", blocks = 3 }"),
            ("chain_id = 402402", "chain_id = 0"),
            ("chain_id = 402402", "chain_id = -1"),
            ("chain_id = 402402", "chain_id = 9007199254740992"),
            ("chain_id = 402402", "chain_id = 8453"),
            ("key = \"practice\"", "key = \"Practice\""),
            ("key = \"practice\"", "key = \"base\""),
            ("name = \"Practice\"", "name = \"\""),
            ("name = \"Practice\"", "name = \"a\\u0007\""),
            ("block_time_ms = 1000", "block_time_ms = 0"),
            ("log_range_blocks = 100000", "log_range_blocks = 0"),
            ("max_fee_per_gas_wei = 1000000000000", "max_fee_per_gas_wei = 0"),
            ("gas_wei_per_day = 1000000000000000000", "gas_wei_per_day = -1"),
            ("gas_wei_per_day = 1000000000000000000", "gas_wei_per_day = 9223372036854775808"),
            ("gas_wei_per_day = 1000000000000000000\n", ""),
            ("decimals = 6", "decimals = 25"),
            ("decimals = 6", "decimals = 6.5"),
            ("rpc_urls = []", "rpc_urls = [\"http://127.0.0.1:1\"]"),
            ("rpc_urls = [\"https://sepolia.base.org\", ", "rpc_urls = [1, "),
            ("practice = true", "practice = false"),
            ("https://sepolia.base.org", "ftp://sepolia.base.org"),
            ("https://sepolia.base.org", "sepolia"),
            ("https://sepolia.basescan.org", "javascript:alert(1)"),
            (
                "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
                "0x036cbD53842c5426634e7929541eC2318f3dCF7e",
            ),
            (
                "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
                "0x036CbD53842c5426634e7929541eC2318f3dCF7",
            ),
            ("contract = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\n", ""),
        ] {
            assert!(edited(from, to).is_err(), "{to:?} was accepted");
        }
        assert!("".parse::<Networks>().is_err());
        assert!(" ".repeat(MAX_BYTES + 1).parse::<Networks>().is_err());
    }

    #[test]
    fn reads_finality_by_depth() {
        let networks =
            edited("finality = { by = \"tag\" }", "finality = { by = \"depth\", blocks = 12 }")
                .expect("fits");
        assert_eq!(networks.all()[0].finality, Finality::Depth { blocks: 12 });
    }
}
