//! Altered bytes at every parser of what comes from a file (vaults, keystores, recovery words,
//! backups), from a payee (offers, challenges, receipts) or from an agent (bodies of requests,
//! JSON-RPC).
//!
//! Each [`Target`] is a parser with what must hold of whatever it accepts, and seeds it accepts.
//! A run alters them, by bytes and by what they mean, repairs what only guards against accidents
//! (checksums, the sums of a tar's headers), and calls the target. The same seed number makes the
//! same run. Key stretching is never reached: its bounds are checked when a file is read.
//!
//! The same targets stand in the `fuzz` folders of vault, backup, rails and gateway for libFuzzer, which
//! looks for ways through the code where this only throws dice.

pub mod alter;
mod dice;
mod tar;
mod target;

pub use dice::Dice;
pub use target::{TARGETS, Tally, Target, run};
