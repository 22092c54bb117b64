//! Why the practice network cannot work.

use imprest_chain::{ChainError, NetworkError};
use imprest_domain::plain;
use std::path::{Path, PathBuf};

/// Why the practice network cannot work.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    /// The folder with anvil and the contracts is nowhere.
    #[error(
        "The practice kit was not found. Looked in: {}. Run `cargo xtask setup`, or set IMPREST_PRACTICE_KIT to the folder.",
        list(.looked)
    )]
    NoKit {
        /// Every place tried, in order.
        looked: Vec<PathBuf>,
    },
    /// A contract of the kit cannot be read.
    #[error("The practice kit's {name} cannot be used: {why}. Run `cargo xtask setup` again.")]
    BadArtifact {
        /// Which contract.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A file of the practice folder cannot be read or written.
    #[error("The practice file {} cannot be used: {why}. Free it, or move the practice folder away to begin anew.", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Anvil did not start, or stopped and cannot be brought back.
    #[error("The practice chain does not run: {why}. See anvil.log in the practice folder.")]
    Anvil {
        /// What was observed.
        why: String,
    },
    /// The corner shop cannot open.
    #[error(
        "The corner shop cannot open: {why}. Close programs that listen on many ports, then try again."
    )]
    Shop {
        /// What was observed.
        why: String,
    },
    /// Anvil answered something else than asked for.
    #[error(
        "The practice chain refused {call}: {why}. Restart the desk; move the practice folder away if it stays."
    )]
    Rpc {
        /// The JSON-RPC method.
        call: String,
        /// The reason.
        why: String,
    },
    /// The saved chain and the saved addresses do not belong together.
    #[error(
        "The practice folder does not fit together: {why}. Move the folder away to begin with fresh practice money."
    )]
    Damaged {
        /// What does not fit.
        why: String,
    },
    /// A transaction of the practice network's own accounts failed.
    #[error(
        "The practice network could not {what}: {why}. Move the practice folder away to begin anew."
    )]
    Transaction {
        /// What it was for.
        what: &'static str,
        /// The reason.
        why: String,
    },
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The registry of networks is unusable.
    #[error(transparent)]
    Registry(#[from] NetworkError),
}

impl PracticeError {
    pub(crate) fn file(path: &Path, why: impl std::fmt::Display) -> PracticeError {
        PracticeError::File { path: path.to_owned(), why: why.to_string() }
    }

    pub(crate) fn anvil(why: impl std::fmt::Display) -> PracticeError {
        PracticeError::Anvil { why: plain(&why.to_string(), 400) }
    }

    pub(crate) fn rpc(call: &str, why: impl std::fmt::Display) -> PracticeError {
        PracticeError::Rpc { call: call.into(), why: plain(&why.to_string(), 400) }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
