//! Which activity is read, and where it goes.

use super::values::{agent, moment};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Which activity is meant.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// One agent's only
    #[arg(long, value_name = "NAME", value_parser = agent)]
    pub agent: Option<String>,
    /// One state's only
    #[arg(long, value_name = "STATE", value_parser = [
        "refused", "waiting", "held", "delivered", "unknown", "settled", "void", "expired",
    ])]
    pub state: Option<String>,
    /// Whose payee, address, purpose or task contains this
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// At or after, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<String>,
    /// Before, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<String>,
}

/// `imprest activity`.
#[derive(Debug, Args)]
pub struct ActivityArgs {
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// At most this many rows
    #[arg(long, value_name = "ROWS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// `imprest export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write
    #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub csv: PathBuf,
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,
}
