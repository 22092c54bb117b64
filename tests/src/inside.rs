//! The desk inside the test's own process: the same desk, with a clock that can be turned and a
//! keychain that outlasts it.

use crate::{HttpDoor, Obstacle, PASSPHRASE, PracticeAddresses, Ready, RelayNode};
use imprest_desk::view::{BudgetForm, NewCredential, Problem};
use imprest_desk::{Clock, Desk, DeskOptions, KdfCost, Keychain, KeychainChoice};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock that runs as fast as the system's, and as far from it as it is turned.
#[derive(Debug, Clone, Default)]
pub struct DialledClock(Arc<AtomicI64>);

impl DialledClock {
    /// Turns it so many seconds ahead of the system's clock; behind it when negative.
    pub fn turn_to(&self, ahead_s: i64) {
        self.0.store(ahead_s, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let dial = self.0.clone();
        Clock::new(move || {
            Timestamp::now() + SignedDuration::from_secs(dial.load(Ordering::SeqCst))
        })
    }
}

/// A practice desk that runs in this process, with its vault open.
pub struct Inside {
    /// The desk itself; its commands are the owner's.
    pub desk: Desk,
    ready: Ready,
}

impl Inside {
    /// Opens the desk of a folder, making it if it is not there, and unlocks it.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open(folder: &Path) -> Result<Inside, Obstacle> {
        Inside::open_with(Inside::options(folder)).await
    }

    /// The options of a desk in a folder: without a keychain, and quick to make a vault.
    pub fn options(folder: &Path) -> DeskOptions {
        let mut options = DeskOptions::new(folder.to_path_buf());
        options.keychain = KeychainChoice::None;
        // It guards practice money for a minute: the least that a real vault would use.
        options.kdf = Some(KdfCost::FLOOR);
        options
    }

    /// As [`Inside::open`], with a keychain that the test holds.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_beside(folder: &Path, keychain: &Keychain) -> Result<Inside, Obstacle> {
        let mut options = Inside::options(folder);
        options.keychain = KeychainChoice::Given(keychain.clone());
        Inside::open_with(options).await
    }

    /// As [`Inside::open`], with a clock that the test turns.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_by(folder: &Path, clock: &DialledClock) -> Result<Inside, Obstacle> {
        let mut options = Inside::options(folder);
        options.clock = Some(clock.clock());
        Inside::open_with(options).await
    }

    /// As [`Inside::open`], comparing books and chain so often.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_comparing(folder: &Path, every: Duration) -> Result<Inside, Obstacle> {
        let mut options = Inside::options(folder);
        options.compare_every = Some(every);
        Inside::open_with(options).await
    }

    /// As [`Inside::open`], on a chain whose blocks are final so many blocks later; books and chain
    /// are compared every second.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_with_late_finality(folder: &Path, blocks: u64) -> Result<Inside, Obstacle> {
        let mut options = Inside::options(folder);
        options.final_depth_blocks = Some(blocks);
        options.compare_every = Some(Duration::from_secs(1));
        Inside::open_with(options).await
    }

    /// As [`Inside::open_with_late_finality`], with another node of the chain besides its own.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_with_another_node(
        folder: &Path,
        blocks: u64,
        node: &RelayNode,
    ) -> Result<Inside, Obstacle> {
        let mut options = Inside::options(folder);
        options.final_depth_blocks = Some(blocks);
        options.compare_every = Some(Duration::from_secs(1));
        let url = node.url().parse();
        options.more_nodes = vec![url.map_err(|_| Obstacle::new("The node has no address."))?];
        Inside::open_with(options).await
    }

    async fn open_with(options: DeskOptions) -> Result<Inside, Obstacle> {
        let inside = Inside::open_locked(options).await?;
        if inside.desk.status().await.map_err(said)?.stage == "new" {
            inside.desk.create_vault(PASSPHRASE.to_owned()).await.map_err(said)?;
        } else {
            inside.unlock().await?;
        }
        Ok(inside)
    }

    /// Opens the desk and leaves its vault as it is.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn open_locked(options: DeskOptions) -> Result<Inside, Obstacle> {
        let desk = Desk::open(options).await.map_err(said)?;
        let endpoints = desk.endpoints();
        let missing = || Obstacle::new("The desk runs without its practice network.");
        let practice = endpoints.practice.ok_or_else(missing)?;
        let ready = Ready {
            url: endpoints.http_url.ok_or_else(missing)?,
            mcp: endpoints.mcp_url.ok_or_else(missing)?,
            practice: Some(PracticeAddresses {
                rpc: practice.rpc,
                shop: practice.shop,
                usdc: practice.usdc,
                chain_id: practice.chain_id,
            }),
        };
        Ok(Inside { desk, ready })
    }

    /// Opens the vault.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn unlock(&self) -> Result<(), Obstacle> {
        self.desk.unlock(PASSPHRASE.to_owned()).await.map(drop).map_err(said)
    }

    /// Closes the desk in order.
    pub async fn close(self) {
        self.desk.close().await;
    }

    /// Where the practice network is.
    ///
    /// # Errors
    /// When there is none.
    pub fn practice(&self) -> Result<&PracticeAddresses, Obstacle> {
        self.ready.practice.as_ref().ok_or_else(|| Obstacle::new("No practice network."))
    }

    /// The agents' door with a token.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn door(&self, token: &str) -> Result<HttpDoor, Obstacle> {
        HttpDoor::new(&self.ready, token)
    }

    /// Makes an agent, under a shared budget if one is named.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn agent(
        &self,
        name: &str,
        grade: &str,
        budget: BudgetForm,
        shared: Option<&str>,
    ) -> Result<NewCredential, Obstacle> {
        let shared = shared.map(str::to_owned);
        self.desk.add_agent(name.into(), grade.into(), budget, shared).await.map_err(said)
    }
}

impl From<Problem> for Obstacle {
    fn from(problem: Problem) -> Obstacle {
        said(problem)
    }
}

fn said(problem: Problem) -> Obstacle {
    Obstacle::new(format!("{}: {problem}", problem.code))
}
