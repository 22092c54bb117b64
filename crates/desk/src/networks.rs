//! The network a desk pays on, and the nodes it asks about it.

use crate::desk::Desk;
use crate::place::Settings;
use crate::problem::{ErrorCode, bad_input};
use crate::view::{NetworkRow, Problem};
use imprest_chain::{Chain, Network, Networks};
use imprest_ledger::{Ledger, NODES_MAX, Nodes};
use std::sync::atomic::Ordering;
use url::Url;

/// The chain that a ledger's budgets are on, once there is one.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn chain_of_books(ledger: &Ledger) -> Result<Option<u64>, Problem> {
    let agents = ledger.agents().await?;
    Ok(agents.first().map(|agent| agent.budget.asset.chain_id))
}

/// Finds the network of a folder: what its settings say, else what its books are on, else what is
/// wished, else practice.
///
/// # Errors
/// `bad_input` for a network that the registry does not know, `conflict` for another one than the
/// folder's own or than its books': payments of one chain would be looked for on another, and found
/// to have run out.
pub(crate) fn of_folder(
    wished: Option<&str>,
    settings: Option<&Settings>,
    books: Option<u64>,
) -> Result<Network, Problem> {
    let networks = registry()?;
    let practice = || networks.practice().cloned();
    let by_key = |key: &str| {
        let known: Vec<_> = networks.all().iter().map(|network| network.key.as_str()).collect();
        let unknown = || bad_input("Network", format!("it is one of {}", known.join(", ")));
        networks.by_key(key).cloned().ok_or_else(unknown)
    };
    let nothing =
        || Problem::new(ErrorCode::Internal, "There is no practice network.", "Report this fault.");
    let own = match settings {
        None => books.and_then(|chain_id| networks.by_chain_id(chain_id)).cloned(),
        Some(Settings { practice: true, .. }) => Some(practice().ok_or_else(nothing)?),
        Some(Settings { network: Some(key), .. }) => Some(by_key(key)?),
        Some(_) => {
            return Err(Problem::new(
                ErrorCode::Disk,
                "The settings of this folder name no network.",
                "Put a backup copy of desk.json in its place.",
            ));
        }
    };
    let wished = wished.map(by_key).transpose()?;
    let network = match (own, wished) {
        (Some(own), Some(wished)) if own.key != wished.key => Err(Problem::new(
            ErrorCode::Conflict,
            format!("The desk in this folder pays on {}, not on {}.", own.name, wished.name),
            "Choose another folder with --data: a desk keeps to one network.",
        )),
        (Some(network), _) | (None, Some(network)) => Ok(network),
        (None, None) => practice().ok_or_else(nothing),
    }?;
    match books {
        Some(chain_id) if chain_id != network.chain_id => Err(Problem::new(
            ErrorCode::Conflict,
            format!(
                "The books in this folder are on eip155:{chain_id}, and not on {}.",
                network.name
            ),
            "Put the desk.json back that belongs to them, or move that file away: without it the books \
             say which network it is.",
        )),
        _ => Ok(network),
    }
}

fn registry() -> Result<Networks, Problem> {
    Networks::built_in()
        .map_err(|e| Problem::new(ErrorCode::Internal, e.to_string(), "Report this fault."))
}

/// The nodes that are asked: those the owner chose, else the network's own.
async fn nodes(ledger: &Ledger, network: &Network) -> Result<Vec<Url>, Problem> {
    let Some(chosen) = ledger.nodes().await? else { return Ok(network.rpc_urls.clone()) };
    chosen.urls().iter().map(|text| node(text)).collect()
}

/// Reads a node's address.
fn node(text: &str) -> Result<Url, Problem> {
    let wrong = |why: &str| bad_input("RPC address", why);
    let url: Url = text.trim().parse().map_err(|_| wrong("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it starts with https:// or http:// and names a host"));
    }
    Ok(url)
}

/// The network with the nodes that are asked about it.
pub(crate) async fn with_nodes(ledger: &Ledger, network: Network) -> Result<Network, Problem> {
    Ok(Network { rpc_urls: nodes(ledger, &network).await?, ..network })
}

impl Desk {
    /// The networks of the registry, the desk's own first.
    ///
    /// # Errors
    /// When the registry or the books cannot be read.
    pub async fn networks(&self) -> Result<Vec<NetworkRow>, Problem> {
        let own = &self.inner.network.key;
        let mut rows = Vec::new();
        for network in registry()?.all() {
            let is_own = network.key == *own;
            let nodes = match (is_own, network.practice) {
                (_, true) => Vec::new(),
                (true, _) => nodes(&self.inner.ledger, network).await?,
                (false, _) => network.rpc_urls.clone(),
            };
            let row = NetworkRow {
                key: network.key.clone(),
                name: network.name.clone(),
                id: network.caip2(),
                practice: network.practice,
                own: is_own,
                assets: symbols(network),
                // A URL's path may hold an access key.
                nodes: nodes.iter().filter_map(Url::host_str).map(ToOwned::to_owned).collect(),
                reachable: is_own && self.inner.reachable.load(Ordering::Relaxed),
            };
            rows.insert(if is_own { 0 } else { rows.len() }, row);
        }
        Ok(rows)
    }

    /// Chooses the nodes that are asked about the desk's own network; none stands for the
    /// registry's. Each one is asked first whether it is of this chain and has the asset.
    ///
    /// # Errors
    /// `bad_input` for an address that is none, `conflict` for another network than the desk's, or
    /// what a node answered; nothing is changed then.
    pub async fn set_nodes(
        &self,
        network: String,
        urls: Vec<String>,
    ) -> Result<Vec<NetworkRow>, Problem> {
        self.inner.need_sound_books()?;
        let own = &self.inner.network;
        if own.key != network.trim() {
            return Err(Problem::new(
                ErrorCode::Conflict,
                format!("This desk pays on {} ({}).", own.name, own.key),
                "Choose nodes for that one; a desk keeps to one network.",
            ));
        }
        if own.practice {
            return Err(Problem::new(
                ErrorCode::Conflict,
                "The practice network is this desk’s own and has no other node.",
                "Make a desk on a real network in another folder: imprest init --network base-sepolia.",
            ));
        }
        let nodes: Vec<Url> = urls.iter().map(|text| node(text)).collect::<Result<_, _>>()?;
        if nodes.len() > NODES_MAX {
            return Err(bad_input("RPC address", format!("at most {NODES_MAX} are asked")));
        }
        self.inner.need_presence()?;
        let asset = &self.inner.asset;
        for node in &nodes {
            let alone = Chain::connect(own.clone(), node.clone(), asset.clone())?;
            alone.confirm_asset().await?;
        }
        let registry = registry()?;
        let usual = || registry.by_key(&own.key).unwrap_or(own).rpc_urls.clone();
        let asked = if nodes.is_empty() { usual() } else { nodes.clone() };
        // Before it is written: what cannot be asked must not be what the next start asks.
        let chain = Chain::connect_all(own.clone(), asked, asset.clone())?;
        let texts: Vec<String> = nodes.iter().map(Url::to_string).collect();
        let chosen = Nodes::try_from(texts).map_err(|why| bad_input("RPC address", why))?;
        self.inner.ledger.set_nodes(chosen).await?;
        if self.inner.serves {
            self.inner.use_chain(chain);
        }
        self.inner.changed(&["status", "overview"]);
        self.networks().await
    }
}

fn symbols(network: &Network) -> Vec<String> {
    let placed = network.assets.iter().map(|asset| asset.symbol.clone());
    placed.chain(network.unplaced.iter().map(|asset| asset.symbol.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(practice: bool, network: Option<&str>) -> Settings {
        Settings {
            version: 2,
            practice,
            network: network.map(ToOwned::to_owned),
            asset: None,
            port: None,
            locks: None,
        }
    }

    fn key(wished: Option<&str>, settings: Option<Settings>) -> Result<String, &'static str> {
        key_beside(wished, settings, None)
    }

    fn key_beside(
        wished: Option<&str>,
        settings: Option<Settings>,
        books: Option<u64>,
    ) -> Result<String, &'static str> {
        let found = of_folder(wished, settings.as_ref(), books);
        found.map(|network| network.key).map_err(|problem| problem.code.leak() as &str)
    }

    #[test]
    fn a_folder_keeps_to_its_network() {
        assert_eq!(key(None, None), Ok("practice".into()));
        assert_eq!(key(Some("base"), None), Ok("base".into()));
        assert_eq!(key(None, Some(settings(true, None))), Ok("practice".into()));
        assert_eq!(key(None, Some(settings(false, Some("base")))), Ok("base".into()));
        assert_eq!(key(Some("base"), Some(settings(false, Some("base")))), Ok("base".into()));
        assert_eq!(key(Some("base"), Some(settings(true, None))), Err("conflict"));
        assert_eq!(key(Some("practice"), Some(settings(false, Some("base")))), Err("conflict"));
        assert_eq!(key(Some("Base"), None), Err("bad_input"));
        assert_eq!(key(None, Some(settings(false, Some("moon")))), Err("bad_input"));
        assert_eq!(key(None, Some(settings(false, None))), Err("disk"));
    }

    /// An edited or lost `desk.json` must not have payments of one chain looked for on another.
    #[test]
    fn the_books_keep_to_their_chain() {
        let base = Some(8453);
        assert_eq!(key_beside(None, None, base), Ok("base".into()));
        assert_eq!(key_beside(Some("base"), None, base), Ok("base".into()));
        assert_eq!(key_beside(Some("practice"), None, base), Err("conflict"));
        assert_eq!(key_beside(None, Some(settings(true, None)), base), Err("conflict"));
        let other = settings(false, Some("base-sepolia"));
        assert_eq!(key_beside(None, Some(other), base), Err("conflict"));
        assert_eq!(
            key_beside(None, Some(settings(true, None)), Some(402_402)),
            Ok("practice".into())
        );
        // Books of a chain that the registry does not know are not taken for practice either.
        assert_eq!(key_beside(None, None, Some(5)), Err("conflict"));
    }

    #[test]
    fn a_node_is_a_web_address() {
        for good in ["https://rpc.example/v1/key", " http://127.0.0.1:8545 "] {
            assert!(node(good).is_ok(), "{good}");
        }
        for bad in ["", "rpc.example", "ws://rpc.example", "file:///etc/passwd", "https://"] {
            assert!(node(bad).is_err(), "{bad}");
        }
    }
}
