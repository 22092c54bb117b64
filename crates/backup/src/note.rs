//! The note that a restore leaves beside the restored files: while they are being moved no desk opens
//! the folder, and afterwards the ledger has to say itself that it comes out of a backup.

use crate::error::BackupError;
use crate::manifest::{BackupHead, Manifest};
use crate::scratch::sync_folder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;

/// The note's file in the data folder.
pub const NOTE_NAME: &str = "restored.json";
const VERSION: u64 = 1;
const NOTE_MAX_BYTES: u64 = 16 * 1024;

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restoring {
    /// Files are being moved.
    Placing,
    /// All files are in place; the chain has not been read.
    Placed,
}

/// What a restore says of itself: for people to read, and for a desk to look whether its books know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    version: u64,
    state: Restoring,
    /// When the backup was made. What was spent since is only known to the chain.
    pub made_at: Timestamp,
    /// When it was put back.
    pub restored_at: Timestamp,
    /// The end of the log in the backup.
    pub head: BackupHead,
    /// The first account index that no agent had then.
    pub next_account: u32,
    /// The chain the desk pays on, where it knew one.
    pub chain_id: Option<u64>,
}

/// The note in a folder that a restore put there and no desk has opened since.
///
/// # Errors
/// [`BackupError::Interrupted`] for a folder in which a restore was stopped midway: a desk must not
/// open it. [`BackupError::BadNote`] for a note that cannot be read, which is never taken for none.
pub fn pending(folder: &Path) -> Result<Option<Pending>, BackupError> {
    let path = folder.join(NOTE_NAME);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io("read", &path)(error)),
    };
    let mut text = Vec::new();
    file.take(NOTE_MAX_BYTES + 1).read_to_end(&mut text).map_err(BackupError::io("read", &path))?;
    let bad = |why: String| BackupError::BadNote { path: path.clone(), why };
    if text.len() as u64 > NOTE_MAX_BYTES {
        return Err(bad("it is too long".into()));
    }
    let note: Pending = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    match (note.version, note.state) {
        (VERSION, Restoring::Placed) => Ok(Some(note)),
        (VERSION, Restoring::Placing) => {
            Err(BackupError::Interrupted { folder: folder.to_owned() })
        }
        _ => Err(bad("it is of another version".into())),
    }
}

/// Takes the note away, once the books themselves say that they come out of a backup.
///
/// # Errors
/// When the file cannot be removed; the note then still holds.
pub fn forget_note(folder: &Path) -> Result<(), BackupError> {
    let path = folder.join(NOTE_NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::io("remove", &path)(error))
        }
        _ => sync_folder(folder),
    }
}

/// Writes the note, whole or not at all.
pub(crate) fn save(
    folder: &Path,
    manifest: &Manifest,
    now: Timestamp,
    state: Restoring,
) -> Result<(), BackupError> {
    let path = folder.join(NOTE_NAME);
    let note = Pending {
        version: VERSION,
        state,
        made_at: manifest.made_at,
        restored_at: now,
        head: manifest.head,
        next_account: manifest.next_account,
        chain_id: manifest.chain_id,
    };
    let text = serde_json::to_vec_pretty(&note).map_err(BackupError::internal)?;
    let failed = || BackupError::io("write", &path);
    let mut file =
        tempfile::Builder::new().prefix(".imprest-note-").tempfile_in(folder).map_err(failed())?;
    file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
    file.persist(&path).map_err(|refused| failed()(refused.error))?;
    sync_folder(folder)
}
