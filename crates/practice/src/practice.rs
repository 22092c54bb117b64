//! The practice network as a whole.

use crate::account::{Account, Role};
use crate::anvil::Anvil;
use crate::deploy;
use crate::error::PracticeError;
use crate::kit::Kit;
use crate::shop::Shop;
use crate::state::Places;
use alloy_primitives::{Address, U256};
use imprest_chain::{Chain, Network, Networks};
use imprest_domain::{Asset, Units};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// The level a treasury is filled to at the start: 250 USDC.
const TREASURY_LEVEL_UNITS: u128 = 250_000_000;

/// What a funded account has for gas, and the level below which it is topped up, in wei.
const GAS_LEVEL_WEI: u128 = 10_000_000_000_000_000_000;
const GAS_LOW_WEI: u128 = 1_000_000_000_000_000_000;

/// A running practice network: chain, USDC and corner shop.
///
/// [`Practice::stop`] saves and ends it in order. Dropped, or with the desk killed, anvil ends
/// just the same, and the next start goes on from the last saved block.
#[derive(Debug)]
pub struct Practice {
    anvil: Anvil,
    shop: Shop,
    chain: Chain,
    network: Network,
    asset: Asset,
    issuer: Arc<Account>,
    /// Level checks and mints go one after the other, or two calls would both mint.
    funding: Mutex<()>,
}

impl Practice {
    /// Starts the practice network in a folder of its own, and fills the treasury if one is
    /// given.
    ///
    /// The first start deploys USDC; later ones find it again and confirm it against the
    /// registry. Ports of the last run are taken again if they are free.
    ///
    /// # Errors
    /// Every [`PracticeError`]; nothing is left running then.
    pub async fn start(
        kit: &Kit,
        dir: &Path,
        treasury: Option<Address>,
    ) -> Result<Practice, PracticeError> {
        std::fs::create_dir_all(dir).map_err(|error| PracticeError::file(dir, error))?;
        let known = Places::load(dir)?;
        let anvil = Anvil::start(kit, dir, known.as_ref().map(|k| k.rpc_port)).await?;
        let (network, asset) = describe(&anvil, known.as_ref())?;
        let chain = Chain::connect_all(network.clone(), network.rpc_urls.clone(), asset.clone())?;
        let issuer = Arc::new(Account::new(Role::Issuer, chain.clone())?);
        if !chain.has_code().await? {
            deploy::deploy(kit, &chain, anvil.rpc(), &issuer).await?;
        }
        chain.confirm_asset().await?;
        let shop = Shop::open(chain.clone(), known.as_ref().map(|k| k.shop_port)).await?;
        let places = Places {
            chain_id: network.chain_id,
            usdc: asset.id.contract,
            rpc_port: anvil.port(),
            shop_port: shop.port(),
        };
        // The chain first: addresses without a chain would look like damage.
        anvil.save().await?;
        places.save(dir)?;
        let funding = Mutex::new(());
        let practice = Practice { anvil, shop, chain, network, asset, issuer, funding };
        if let Some(treasury) = treasury {
            let level = Units::new(TREASURY_LEVEL_UNITS).unwrap_or(Units::ZERO);
            practice.fund_treasury(treasury, level).await?;
        }
        Ok(practice)
    }

    /// Where the chain answers JSON-RPC.
    pub fn rpc_url(&self) -> &Url {
        self.anvil.rpc_url()
    }

    /// Practice USDC.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The practice network's entry, with its RPC endpoint and its asset filled in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A connection to the chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The corner shop.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Where the corner shop is, `http://127.0.0.1:PORT/`.
    pub fn shop_url(&self) -> &Url {
        self.shop.url()
    }

    /// Fills an address up to a level of practice USDC and gives it coin for gas. What it has
    /// above the level stays.
    ///
    /// # Errors
    /// [`PracticeError::Chain`] or [`PracticeError::Transaction`] when the chain refuses.
    pub async fn fund_treasury(&self, address: Address, level: Units) -> Result<(), PracticeError> {
        let _one_at_a_time = self.funding.lock().await;
        if self.chain.gas_balance_wei(address).await? < U256::from(GAS_LOW_WEI) {
            let params = json!([address, format!("{GAS_LEVEL_WEI:#x}")]);
            self.anvil.rpc().tell("anvil_setBalance", params).await?;
        }
        let missing = level.saturating_sub(self.chain.balance(address).await?);
        if !missing.is_zero() {
            deploy::mint(&self.issuer, self.asset.id.contract, address, missing).await?;
        }
        self.anvil.save().await
    }

    /// Closes the shop, saves the chain and ends anvil.
    ///
    /// # Errors
    /// [`PracticeError::File`] or [`PracticeError::Rpc`] when the last blocks could not be saved;
    /// everything has ended all the same.
    pub async fn stop(self) -> Result<(), PracticeError> {
        self.shop.close().await;
        self.anvil.stop().await
    }
}

/// The registry's practice network, completed with what this run knows.
fn describe(anvil: &Anvil, known: Option<&Places>) -> Result<(Network, Asset), PracticeError> {
    let damaged = |why: &str| PracticeError::Damaged { why: why.into() };
    let networks = Networks::built_in()?;
    let mut network = networks
        .practice()
        .cloned()
        .ok_or_else(|| damaged("the registry has no practice network"))?;
    let usdc = match known {
        Some(known) if known.chain_id != network.chain_id => {
            return Err(damaged("it belongs to another chain id"));
        }
        Some(known) if known.usdc != deploy::address_of_usdc()? => {
            return Err(damaged("it names another contract than this desk deploys"));
        }
        // Without its chain, the ledger's practice payments could never be reconciled.
        Some(_) if anvil.is_fresh() => return Err(damaged("the saved chain is missing")),
        _ => deploy::address_of_usdc()?,
    };
    let template =
        network.unplaced.pop().ok_or_else(|| damaged("the registry has no practice asset"))?;
    let asset = template.place(network.chain_id, usdc);
    network.rpc_urls = vec![anvil.rpc_url().clone()];
    network.assets = vec![asset.clone()];
    Ok((network, asset))
}
