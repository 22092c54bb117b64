//! What an agent's own commands take.

use super::values::{address, agent, amount, header, payment};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// How an agent's command finds its desk and says who it is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Agent")]
pub struct DoorArgs {
    /// Takes this agent's token from the keychain; without it, IMPREST_TOKEN holds the token
    #[arg(long, value_name = "NAME", value_parser = agent)]
    pub agent: Option<String>,
    /// The running desk's address, such as http://127.0.0.1:4040; else IMPREST_URL, else found by
    /// the data folder
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub desk: Option<String>,
}

/// A request to a payee.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The address to fetch
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub url: String,
    /// HTTP method; GET if left out, POST if there is a body
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub method: Option<String>,
    /// A request header, `name: value`; may be given again
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// The request's body
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,
    /// A file with the request's body
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body_file: Option<PathBuf>,
    /// The most to pay, as a decimal in the budget's asset
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub max: Option<String>,
}

/// `imprest fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// What to fetch.
    #[command(flatten)]
    pub request: RequestArgs,
    /// What it is for; shown to the owner as the agent's own words
    #[arg(long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// The task it serves
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Idempotency key: the same key with the same request never pays twice
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// How long to wait for the owner or the chain, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: Option<u64>,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The server's address; it has to speak streamable HTTP
    #[arg(value_name = "SERVER", value_hint = ValueHint::Url)]
    pub server: String,
    /// The tool's name
    #[arg(value_name = "TOOL")]
    pub tool: String,
    /// The tool's arguments, a JSON object; none if left out
    #[arg(long, value_name = "JSON")]
    pub arguments: Option<String>,
    /// The most to pay, as a decimal in the budget's asset
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub max: Option<String>,
    /// What it is for; shown to the owner as the agent's own words
    #[arg(long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// The task it serves
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Idempotency key: the same key with the same call never pays twice
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// How long to wait for the owner or the chain, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: Option<u64>,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest transfer`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The address that gets the money
    #[arg(value_name = "TO", value_parser = address)]
    pub to: String,
    /// How much, as a decimal in the budget's asset
    #[arg(value_name = "AMOUNT", value_parser = amount)]
    pub amount: String,
    /// Idempotency key: the same key with the same transfer never pays twice
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// What it is for; shown to the owner as the agent's own words
    #[arg(long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// How long to wait for the owner or the chain, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: Option<u64>,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest quote`.
#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// What to ask the price of.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest payment`.
#[derive(Debug, Args)]
pub struct PaymentArgs {
    /// The payment, as fetch named it
    #[arg(value_name = "PAYMENT", value_parser = payment)]
    pub payment: String,
    /// How long to wait for an end, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: u64,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest payments`.
#[derive(Debug, Args)]
pub struct PaymentsArgs {
    /// At most this many
    #[arg(long, value_name = "ROWS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}
