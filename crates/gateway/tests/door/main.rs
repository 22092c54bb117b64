//! The door over real sockets, with a teller that remembers what it was asked.

mod api;
mod matrix;
mod mcp;
mod support;
