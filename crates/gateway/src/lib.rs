//! The agents' door: MCP and HTTP; authenticates, never decides.
//!
//! [`serve`] opens the door on a loopback listener: the HTTP API under `/v1` and MCP under `/mcp`,
//! both behind one lock that checks the host, the origin and the bearer token of every request.
//! What an agent asks goes to a [`Teller`]; who asks comes from a [`Doorkeeper`], never from the
//! request. [`stdio_bridge`] offers the same MCP tools on standard input and output by asking a
//! running desk through [`HttpTeller`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(test)]
extern crate self as imprest_gateway;

mod bounds;
mod bridge;
#[cfg(test)]
mod conformance;
mod door;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod lock;
mod mcp;
mod openapi;
mod peer;
mod problem;
mod routes;
mod teller;
mod token;
mod turnstile;
pub mod wire;

pub use bridge::{HttpTeller, bridge, stdio_bridge};
pub use door::{Door, serve};
pub use error::DoorError;
pub use openapi::openapi_document;
pub use problem::Problem;
pub use teller::{Doorkeeper, Failure, FailureCode, Teller};
pub use token::Token;
