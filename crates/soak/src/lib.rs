//! Long proofs of the books.
//!
//! Each is a function of a seed, so that whatever it finds can be found again; the tests of this
//! crate call them for a moment, `imprest-soak` for an hour.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chance;
pub mod disk;
pub mod killed;
pub mod oracle;
pub mod place;
pub mod proof;
pub mod tamper;

pub use proof::{Broken, Figures, Proof};
