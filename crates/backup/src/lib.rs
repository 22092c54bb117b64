//! Books, keys and settings in one sealed file, and back.
//!
//! A backup is an [age](https://age-encryption.org/v1) file sealed with a passphrase, and inside it
//! a plain tar of `manifest.json`, `vault.json`, `desk.json` and `ledger.db`. The programs `age` or
//! `rage` and `tar` open it without this one:
//!
//! ```text
//! age --decrypt desk.age | tar x
//! ```
//!
//! [`write`] copies a running desk as it is at one moment, reads back what it wrote, and proves it
//! before it calls it done. [`restore`] proves a backup in a scratch folder before it puts it in
//! place, and never deletes what was there. Everything that comes from a file is bounded before it
//! is read.
//!
//! The vault in a backup is sealed by its own slots as well: the backup's passphrase does not open
//! the vault, and a slot that needs this machine's keychain does not open on another machine.
//!
//! # An older backup never refills a budget
//!
//! Restored books may be older than what happened. The last event of the log in every backup says so,
//! under the vault's seal, so that it is there even if somebody unpacked the file by hand, and cannot
//! be taken away unnoticed. Books that end so are frozen: they pay nothing until the desk has read the
//! chain for every account of the vault since, has booked what it found, and the owner has thawed it.
//! The note that [`restore`] leaves ([`pending`]) only guards the moving of files.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod container;
mod envelope;
mod error;
mod hashed;
mod manifest;
mod note;
mod place;
mod progress;
mod prove;
mod reminder;
mod restore;
mod scratch;
mod snapshot;
mod write;

pub use envelope::WORK_FACTOR_MAX;
pub use error::BackupError;
pub use manifest::{BackupHead, FileEntry, Manifest, Part};
pub use note::{NOTE_NAME, Pending, forget_note, pending};
pub use progress::{Progress, Step};
pub use reminder::{Reminder, Schedule, due};
pub use restore::{RestorePlan, Restored, inspect, restore};
pub use snapshot::FROM_BACKUP;
pub use write::{BackupPlan, Written, write};

#[doc(hidden)]
pub mod fuzzing;

/// Runs what waits for the disk, or stretches a passphrase, away from the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(BackupError::internal)?
}
