//! Keys at rest and in use: slots, derivation, and signing under a Grant.
//!
//! The vault file holds 256 bits of entropy, and treasury keys from elsewhere if there are any,
//! sealed under a random data key. Slots wrap that key: keychain and passphrase together (the
//! default), the keychain alone (chosen knowingly), the passphrase alone (machines without a
//! keychain), and always the 24 recovery words, which need nothing else. Every other key of the
//! desk is derived from the entropy, so the words alone bring all of it back but an imported
//! treasury key, which takes the file too. While the vault is unlocked, the entropy and the keys
//! derived so far stay in memory that is kept out of swap where the system allows it, and wiped
//! on lock.
//!
//! What raises authority asks for a [`Presence`], which [`Vault::verify_owner`] gives an owner
//! who has just typed the passphrase, and which a lock ends.
//!
//! The only things it signs are a [`Grant`](imprest_ledger::Grant), a
//! [`TreasuryGrant`](imprest_ledger::TreasuryGrant), a [`SweepGrant`](imprest_ledger::SweepGrant)
//! and a [`CancelGrant`](imprest_ledger::CancelGrant), which only the ledger can make, and none of
//! them can be written down anywhere else. The last one is signed in a frozen desk, too: it burns
//! signatures. Reading one compiles:
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
//! ```compile_fail,E0451
//! fn forge(grant: imprest_ledger::CancelGrant) -> imprest_ledger::CancelGrant {
//!     imprest_ledger::CancelGrant { account: 2, ..grant }
//! }
//! ```
//!
//! ```compile_fail,E0382
//! fn twice(vault: &imprest_vault::Vault, grant: imprest_ledger::SweepGrant) {
//!     let _ = vault.sign_sweep(grant);
//!     let _ = vault.sign_sweep(grant);
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
#[cfg(feature = "ledger-device")]
mod device;
mod error;
mod file;
#[doc(hidden)]
pub mod fuzzing;
mod harden;
mod kdf;
mod keychain;
mod keystore;
mod locked;
mod presence;
mod secret;
mod sign;
mod slots;
mod statement;
mod treasury;
mod vault;
#[cfg(test)]
mod vectors;
mod words;

#[cfg(feature = "ledger-device")]
pub use device::{DeviceError, LedgerDevice};
pub use error::{NotSigned, VaultError};
pub use harden::harden_process;
pub use kdf::{KdfCost, PASSPHRASE_CHARS_MIN};
pub use keychain::{Keychain, KeychainError, KeychainState};
pub use keystore::{Keystore, KeystoreError};
pub use presence::Presence;
pub use secret::SecretText;
pub use sign::{SignedAuthorization, SignedTransaction};
pub use slots::{KeychainSecret, OwnerKey, SlotId, SlotInfo, SlotKind, WayIn};
pub use statement::{STATEMENT_NAMESPACE, StatementKey};
pub use treasury::{ImportedKey, Treasury};
pub use vault::{ExportedKey, NewTreasury, Vault};
pub use words::{RecoveryWords, WordsError};
