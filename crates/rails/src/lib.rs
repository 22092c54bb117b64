//! Ways to pay over HTTP: ask what it costs, pay exactly that, and say honestly what came of it.
//!
//! One way so far: x402 version 2, scheme `exact` on EVM chains by EIP-3009. Nothing here decides,
//! holds or signs. The desk takes a [`Quote`], has it decided and signed elsewhere, and brings the
//! signature back to [`Rails::deliver`].
//!
//! Everything read from a merchant is hostile until parsed: bounded first, then strict. Every
//! connection goes through an [`AddressGuard`], so that an agent cannot use the desk to reach the
//! machine it runs on or the network around it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod guard;
mod json;
mod offer;
mod pay;
mod rails;
mod request;
mod response;

pub use error::RailsError;
pub use guard::{
    AddressGuard, AddressRefusal, HostPort, HostPortError, Lookup, SystemLookup, is_global,
};
pub use offer::{MAX_TIMEOUT_S, Quote};
pub use pay::{Outcome, Payload, Receipt};
pub use rails::{Options, Probe, Rails};
pub use request::Request;
pub use response::Response;
