//! What the journeys share: the real programs they start, and how they speak to them.
//!
//! Nothing here stands in for a part of the desk. A journey starts the built `imprest`, a real
//! chain and the official seller, each as a process of its own, and every process ends with the
//! value that owns it. Where a journey turns the clock or looks into the keychain, the same desk
//! runs inside the test ([`Inside`]).

pub mod calls;
mod chain;
mod desk;
mod door;
pub mod hostile;
mod inside;
#[cfg(target_os = "linux")]
mod memory;
mod merchant;
#[cfg(target_os = "linux")]
mod permissions;
mod relay;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod small_disk;
mod started;
mod swarm;
mod till;
#[cfg(target_os = "linux")]
mod window;

pub use chain::{rpc, token_balance};
pub use desk::{Answer, Desk, PASSPHRASE, PracticeAddresses, Ready};
pub use door::HttpDoor;
pub use inside::{DialledClock, Inside};
#[cfg(target_os = "linux")]
pub use memory::{Secret, found_in_memory};
pub use merchant::{
    Late, Merchant, OwnChain, Protocol, Purchase, Settlement, Terms, buy, official_among,
};
#[cfg(target_os = "linux")]
pub use permissions::not_bound_by_permissions;
pub use relay::RelayNode;
#[cfg(target_os = "linux")]
pub use session::{DesktopSession, comes_true, until};
#[cfg(target_os = "linux")]
pub use small_disk::SmallDisk;
pub use started::Started;
pub use swarm::Swarm;
pub use till::Till;
#[cfg(target_os = "linux")]
pub use window::Window;

use std::path::{Path, PathBuf};
use std::{env, io};

/// What kept a journey from going on.
#[derive(Debug)]
pub struct Obstacle(String);

impl Obstacle {
    /// An obstacle, said in a sentence.
    pub fn new(what: impl Into<String>) -> Obstacle {
        Obstacle(what.into())
    }

    pub(crate) fn io(doing: impl std::fmt::Display, error: &io::Error) -> Obstacle {
        Obstacle(format!("{doing}: {error}"))
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Obstacle {}

/// The root of the workspace.
pub fn workspace_root() -> PathBuf {
    // tests/ sits directly under the root, and always has a parent.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// A built program, such as `imprest`.
///
/// Looks in `IMPREST_BIN_DIR`, which `cargo xtask test` sets, else where cargo put this test.
///
/// # Errors
/// When it has not been built.
pub fn built_program(name: &str) -> Result<PathBuf, Obstacle> {
    let folder = match env::var_os("IMPREST_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let test = env::current_exe().map_err(|e| Obstacle::io("this test's own path", &e))?;
            test.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
        }
    };
    let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if path.is_file() {
        return Ok(path);
    }
    Err(Obstacle::new(format!(
        "{} is not there. Run `cargo build --workspace --bins` first, or `cargo xtask test`.",
        path.display()
    )))
}
