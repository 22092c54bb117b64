//! A desk's data folder with a real ledger, a real vault and settings.
#![allow(dead_code, reason = "each test file uses its own part")]

use imprest_backup::{BackupError, BackupPlan, RestorePlan, Restored, Written};
use imprest_domain::{Address, Asset, AssetId, B256, Budget, Danger, Grade, Intent, Payee, Units};
use imprest_ledger::{Agent, Ledger, NewAgent, Order, Reserved};
use imprest_vault::{KdfCost, SecretText, Vault};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const PASSPHRASE: &str = "a backup for bad days";
pub const VAULT_PASSPHRASE: &str = "another one for the keys";
pub const SETTINGS: &str = r#"{"version":1,"practice":true,"asset":null,"port":4020}"#;

pub fn secret(text: &str) -> SecretText {
    SecretText::new(text.into())
}

pub fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 402402, contract: Address::repeat_byte(0xA5) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

pub fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A desk's folder, and its ledger open as a running desk has it.
pub struct Desk {
    pub home: TempDir,
    pub folder: PathBuf,
    pub ledger: Ledger,
    pub agent: Agent,
    pub treasury: Address,
}

impl Desk {
    pub async fn open() -> Desk {
        let home = TempDir::new().expect("a folder");
        let folder = home.path().join("desk");
        std::fs::create_dir(&folder).expect("makes it");
        std::fs::write(folder.join("desk.json"), SETTINGS).expect("writes");
        let cost = KdfCost::new(19 * 1024, 1, 1).expect("the cheapest");
        let (vault, _words) =
            Vault::create(folder.join("vault.json"), &secret(VAULT_PASSPHRASE), cost)
                .expect("makes a vault");
        let ledger = Ledger::open(&folder.join("ledger.db")).await.expect("makes a ledger");
        let (treasury, address) =
            (vault.treasury_address().expect("is open"), vault.address(1).expect("is open"));
        let agent = add_agent(&ledger, "Scout", address).await;
        ledger
            .float_received(&agent.id, Address::ZERO, units(1_000_000), B256::ZERO, 0, 1)
            .await
            .expect("books");
        ledger.trust_payee(shop()).await.expect("trusts");
        Desk { home, folder, ledger, agent, treasury }
    }

    /// Where backups of this desk go to in tests.
    pub fn shelf(&self) -> PathBuf {
        let shelf = self.home.path().join("shelf");
        std::fs::create_dir_all(&shelf).expect("makes it");
        shelf
    }

    pub fn plan(&self, name: &str) -> BackupPlan {
        BackupPlan::new(&self.folder, self.shelf().join(name), at("2026-11-22T17:11:01Z"))
            .on_chain(402402)
            .lightly_sealed()
    }

    pub async fn back_up(&self, name: &str) -> Result<Written, BackupError> {
        imprest_backup::write(self.plan(name), &secret(PASSPHRASE), |_| ()).await
    }

    /// Holds and settles one payment of one unit: two events.
    pub async fn pay(&self) {
        pay(&self.ledger, &self.agent).await;
    }
}

pub async fn pay(ledger: &Ledger, agent: &Agent) {
    let order = Order {
        intent: Intent {
            agent: agent.id.clone(),
            payee: shop(),
            value: units(1),
            agent_max: None,
            for_other_resource: false,
        },
        client_key: None,
        request_sha256: B256::repeat_byte(1),
        url: "http://127.0.0.1:4021/weather".into(),
        method: "GET".into(),
        what: "Weather".into(),
        purpose: None,
        task: None,
        offer: "{}".into(),
        max_timeout_s: 60,
        nonce: None,
        gas: None,
        kept_request: None,
        credential: None,
    };
    let hold = SignedDuration::from_mins(10);
    match ledger.reserve(order, usdc(), Danger::Calm, hold).await.expect("decides") {
        Reserved::Granted { grant, .. } => {
            ledger.settle(grant.payment(), B256::ZERO, 1).await.expect("settles");
        }
        other => panic!("not granted: {other:?}"),
    }
}

async fn add_agent(ledger: &Ledger, name: &str, address: Address) -> Agent {
    ledger
        .add_agent(NewAgent {
            name: name.parse().expect("a name"),
            account: ledger.next_account().await.expect("reads"),
            address,
            grade: Grade::L3,
            budget: Budget {
                limit_units_per_payment: Some(units(10)),
                limit_units_per_day: Some(units(1_000_000)),
                ..Budget::blank(usdc().id)
            },
            shared: None,
            token_sha256: "aa".into(),
        })
        .await
        .expect("adds")
}

fn shop() -> Payee {
    Payee {
        origin: "http://127.0.0.1:4021".into(),
        pay_to: Address::repeat_byte(0x5A),
        asset: usdc().id,
    }
}

pub async fn restore(from: &Path, into: &Path) -> Result<Restored, BackupError> {
    let plan = RestorePlan::new(from, into, at("2026-11-23T08:00:00Z"));
    imprest_backup::restore(plan, &secret(PASSPHRASE), |_| ()).await
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("reads");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
