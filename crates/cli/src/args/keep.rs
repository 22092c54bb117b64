//! Backups, and the way back from one.

use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `imprest backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; best on another disk, and named .age
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replaces an earlier backup of that name and passphrase once the new one is proven
    #[arg(long)]
    pub replace: bool,
}

/// `imprest restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Moves the files of a desk that lies in the folder aside
    #[arg(long)]
    pub replace: bool,
    /// Only says what the backup holds; writes nothing
    #[arg(long, conflicts_with = "replace")]
    pub inspect: bool,
}
