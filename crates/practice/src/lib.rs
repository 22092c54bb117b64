//! The practice network: a supervised anvil, genuine USDC and a corner shop.
//!
//! [`Practice::start`] gives a chain that behaves like a real one, with the contract Circle
//! deploys, practice money, and a shop that sells by x402. Its keys are anvil's published ones
//! and its money is worth nothing.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod anvil;
mod deploy;
mod error;
mod kit;
mod practice;
mod rpc;
mod shop;
mod state;

pub use anvil::Anvil;
pub use error::PracticeError;
pub use kit::Kit;
pub use practice::Practice;
pub use shop::Shop;
