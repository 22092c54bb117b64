//! Ways to pay over HTTP: ask what it costs, pay exactly that, and say honestly what came of it.
//!
//! Three ways, all of them an EIP-3009 authorisation in a header: x402 version 2 and version 1 with
//! the scheme `exact` on EVM chains, and the `Payment` authentication scheme (MPP) with an EVM
//! charge. A tool of an MCP server is paid by the first of them, inside the messages that call it.
//! Nothing here decides, holds or signs. The desk takes a [`Quote`], has it decided and signed
//! elsewhere, and brings the signature back to [`Rails::deliver`].
//!
//! Everything read from a merchant is hostile until parsed: bounded first, then strict. Every
//! connection goes through an [`AddressGuard`], so that an agent cannot use the desk to reach the
//! machine it runs on or the network around it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod calls;
mod error;
#[cfg(test)]
mod fixtures;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod json;
mod mcp;
mod mpp;
mod offer;
mod pay;
mod quote;
mod rails;
mod request;
mod response;
mod x402;

pub use error::RailsError;
pub use guard::{
    AddressGuard, AddressRefusal, HostPort, HostPortError, Lookup, SystemLookup, is_global,
};
pub use pay::{Outcome, Payload, Receipt};
pub use quote::{MAX_TIMEOUT_S, Quote, Way};
pub use rails::{Options, Probe, Rails};
pub use request::Request;
pub use response::Response;
pub use x402::signed::{SignedOffer, SignedReceipt};
