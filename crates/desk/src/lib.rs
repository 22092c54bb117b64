//! The application: use cases over rules, books, keys, chain and rails. Knows no window.
//!
//! [`Desk`] is the whole of it. Agents reach it through the gateway (the desk is the gateway's
//! teller), the owner through the [`command_table!`], in the window or over the [`owner`]'s
//! socket. Everything shown comes from the books; the desk itself keeps no second truth.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod anteroom;
mod approve;
mod asked;
mod awake;
pub mod backup;
#[cfg(test)]
mod bindings;
mod challenges;
mod command;
mod compare;
mod desk;
mod doubts;
mod export;
mod fund;
mod jobs;
mod kept;
mod keys;
mod limits;
mod locks;
#[cfg(target_os = "linux")]
mod logind;
mod networks;
pub mod owner;
mod owner_acts;
mod pay;
mod payees;
mod place;
mod presence;
mod problem;
mod programs;
mod rehearsal;
mod relays;
mod restored;
mod shared;
mod show;
mod show_agents;
mod signals;
mod teller;
mod transfer;
mod trust;
pub mod view;
mod warn;
mod watch;
mod ways;
mod wording;

#[doc(hidden)]
pub use awake::{SleepClock, TwoClocks};
pub use desk::{Desk, DeskOptions, Endpoints, KeychainChoice, PracticeEndpoints};
pub use imprest_gateway::{Token, wire};
pub use imprest_ledger::Clock;
pub use imprest_vault::{KdfCost, Keychain, PASSPHRASE_CHARS_MIN, SecretText, harden_process};
pub use place::{agent_token, data_dir};
pub use problem::ErrorCode;
pub use programs::{connections_file, mcp_server};
pub use view::Problem;
