//! The list of connections: what was written where, so that exactly that can be taken back.
//!
//! It holds paths, names and digests, and nothing of what stands in the files.

use crate::disk::{Seen, folder_of, make_folder, prepare};
use crate::error::ConnectError;
use crate::program::Program;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const VERSION: u64 = 1;
const RECORD_MAX_BYTES: u64 = 1024 * 1024;

/// One entry that the desk has put into a program's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Whose settings.
    pub program: Program,
    /// The settings file.
    pub file: PathBuf,
    /// The name of the entry.
    pub name: String,
    /// The agent whose purse it opens.
    pub agent: String,
    /// When it was written.
    pub connected_at: Timestamp,
    /// The copy of the file as it was before; none where there was no file, or where the file was
    /// changed by others between two changes of ours.
    pub backup: Option<PathBuf>,
    /// SHA-256 of the file before, in lower-case hex, where the backup is that file.
    pub before_sha256: Option<String>,
    /// SHA-256 of the file as it was written, in lower-case hex.
    pub after_sha256: String,
    /// Whether there was no file before.
    pub created: bool,
    /// How many empty collections were made around the entry.
    pub made: usize,
}

/// The connections that a file lists, oldest first; none where there is no file.
///
/// # Errors
/// [`ConnectError::Record`] for a file that is no such list.
pub fn connections(record: &Path) -> Result<Vec<Connection>, ConnectError> {
    Ok(load(record)?.connections)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u64,
    pub connections: Vec<Connection>,
}

impl Record {
    /// The connection under a name in a file.
    pub(crate) fn get(&self, file: &Path, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|known| known.file == file && known.name == name)
    }

    /// The same list without it.
    pub(crate) fn without(&self, file: &Path, name: &str) -> Record {
        let mut record = self.clone();
        record.connections.retain(|known| known.file != file || known.name != name);
        record
    }
}

pub(crate) fn load(path: &Path) -> Result<Record, ConnectError> {
    let unreadable = |why: String| ConnectError::Record { path: path.to_owned(), why };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Record { version: VERSION, connections: Vec::new() });
        }
        Err(error) => return Err(ConnectError::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(RECORD_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(ConnectError::io("read", path))?;
    if bytes.len() as u64 > RECORD_MAX_BYTES {
        return Err(unreadable("it is too large".to_owned()));
    }
    #[derive(Deserialize)]
    struct Head {
        version: u64,
    }
    let bad = |error: serde_json::Error| {
        unreadable(format!("it is not as it was written (line {})", error.line()))
    };
    let head: Head = serde_json::from_slice(&bytes).map_err(bad)?;
    if head.version > VERSION {
        return Err(unreadable("it is a newer version's".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(bad)
}

/// Writes the list in one step, readable by its owner only.
pub(crate) fn save(path: &Path, record: &Record) -> Result<(), ConnectError> {
    let unwritable =
        |error: serde_json::Error| ConnectError::io("write", path)(io::Error::other(error));
    let mut text = serde_json::to_string_pretty(record).map_err(unwritable)?;
    text.push('\n');
    let place = Seen { real: path.to_owned(), text: None, metadata: None };
    prepare(&place, &text)?.place(true)
}

/// Only one program at a time changes connections. The system gives it back when the program dies.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
}

impl Turn {
    pub(crate) fn take(record: &Path) -> Result<Turn, ConnectError> {
        let folder = folder_of(record);
        let name = record.file_name().unwrap_or_default().to_string_lossy();
        make_folder(folder)?;
        let path = folder.join(format!("{name}.lock"));
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(&path).map_err(ConnectError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Turn { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ConnectError::Busy { path: record.to_owned() }),
            Err(TryLockError::Error(error)) => Err(ConnectError::io("lock", &path)(error)),
        }
    }
}

pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
