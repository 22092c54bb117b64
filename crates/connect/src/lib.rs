//! The desk's entry in agent programs' own settings: found, planned, made and taken back.
//!
//! An agent program reads the MCP servers it may use from a file of its own. This crate knows where
//! those files lie ([`Program`], [`find`]), and puts one entry into them that starts
//! `imprest mcp --agent NAME`. The entry holds a command and a name, never a token: the bridge takes
//! its token from the keychain.
//!
//! The file is somebody else's. So a change is first a [`Plan`] that can be looked at and holds the
//! whole text before and after; only text is put in or taken out, and every other byte stays as it
//! was; what comes out is parsed again and compared with what went in before anything is written;
//! and [`apply`] keeps a backup, refuses a file that changed meanwhile, and notes what it did so
//! that [`undo`] can take exactly that back.
//!
//! Plain file work: no network, no async, no clock.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod act;
#[cfg(test)]
mod act_tests;
mod disk;
mod edit;
mod error;
mod facts;
mod flow;
mod form;
mod json;
mod machine;
mod plan;
mod program;
mod record;
mod render;
mod server;
mod show;
mod snippet;
mod toml;
mod tree;
mod undo;
mod yaml;

pub use act::{Applied, apply};
pub use disk::FILE_MAX_BYTES;
pub use error::ConnectError;
pub use machine::{Found, Machine, Os, find, found};
pub use plan::{Plan, Standing, standing};
pub use program::{Program, UnknownProgram};
pub use record::{Connection, connections};
pub use server::{Server, ServerName, ServerNameError};
pub use snippet::{TOKEN_PLACE, http_snippet, stdio_snippet};
pub use undo::{Undone, undo};
