//! What the chain says: reads, receipts, reconciliation and relayed transactions.
//!
//! A node is an outsider. What it answers is bounded in size and time, decoded strictly, and
//! compared with the desk's own registry of [`Network`]s before anything rests on it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod abi;
mod calls;
mod client;
mod error;
mod events;
mod networks;
mod reconcile;
mod relay;
mod transport;

pub use abi::usdc;
pub use client::{At, Block, Chain};
pub use error::ChainError;
pub use events::{AuthorizationEnd, Cancellation, Moved, Settlement, TransferLog};
pub use networks::{Finality, Network, NetworkError, Networks, UnplacedAsset};
pub use reconcile::{Contradiction, Facts, Finding, Look, judge};
pub use relay::{Receipt, TransactionTerms};
