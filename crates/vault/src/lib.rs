//! Keys at rest and in use: slots, derivation, and signing under a Grant.
//!
//! The vault file holds one secret, 256 bits of entropy, sealed under a random data key that two
//! slots wrap: the owner's passphrase (Argon2id) and the 24 recovery words. Every key of the desk
//! is derived from that entropy, so the words alone bring everything back. While the vault is
//! unlocked the entropy and the keys derived so far stay in memory that is wiped on lock.
//!
//! The only things it signs are a [`Grant`](imprest_ledger::Grant) and a
//! [`TreasuryGrant`](imprest_ledger::TreasuryGrant), which only the ledger can make, and neither
//! can be written down anywhere else. Reading one compiles:
//!
//! ```
//! fn read(grant: &imprest_ledger::Grant) -> u32 {
//!     grant.account()
//! }
//! ```
//!
//! Making one does not, not even from another:
//!
//! ```compile_fail,E0451
//! fn forge(grant: imprest_ledger::Grant) -> imprest_ledger::Grant {
//!     imprest_ledger::Grant { account: 2, ..grant }
//! }
//! ```
//!
//! nor does changing one, nor copying it to sign twice:
//!
//! ```compile_fail,E0616
//! fn redirect(grant: &mut imprest_ledger::Grant) {
//!     grant.account = 2;
//! }
//! ```
//!
//! ```compile_fail,E0382
//! fn twice(vault: &imprest_vault::Vault, grant: imprest_ledger::Grant) {
//!     let _ = vault.sign(grant);
//!     let _ = vault.sign(grant);
//! }
//! ```
//!
//! ```compile_fail,E0382
//! fn twice(vault: &imprest_vault::Vault, grant: imprest_ledger::TreasuryGrant) {
//!     let _ = vault.sign_treasury(grant);
//!     let _ = vault.sign_treasury(grant);
//! }
//! ```
//!
//! What the vault promises: locked, a copy of every file gives no key; unlocked, a program of the
//! same user that can read this process's memory has won, and what it can take is capped by the
//! floats. What was in memory is wiped on lock, and the stack behind derivation and signing is
//! overwritten; `tests/memory.rs` searches a locked process for what should not be there. Copies
//! the operating system made (swap, hibernation, registers saved elsewhere) are out of reach.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod derive;
mod error;
mod file;
mod harden;
mod kdf;
mod keychain;
mod secret;
mod sign;
mod vault;
mod words;

pub use error::{NotSigned, VaultError};
pub use harden::harden_process;
pub use kdf::KdfCost;
pub use keychain::{Keychain, KeychainError, KeychainState};
pub use secret::SecretText;
pub use sign::{SignedAuthorization, SignedTransaction};
pub use vault::Vault;
pub use words::{RecoveryWords, WordsError};
