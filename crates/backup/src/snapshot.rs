//! A copy of the ledger as it was at one moment, while the desk goes on writing.
//!
//! `VACUUM INTO` reads the whole file inside one read transaction, so the copy is of exactly one
//! commit, however long it takes and whoever writes meanwhile; in write-ahead mode it makes no
//! writer wait. SQLite's online backup would copy page by page, free pages and all, and begin anew
//! whenever another connection writes between two steps. This one writes every row afresh: what
//! was deleted is not in it, and a page that cannot be read is an error here and now.

use crate::error::BackupError;
use crate::manifest::{BackupHead, Part};
use imprest_ledger::{LedgerError, SealKey, mark_copy};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// The mark by which earlier programs said in a backup's ledger that it is one; zero, or no mark, says
/// nothing. Now the last event of the log says so (`Ledger::restored`).
pub const FROM_BACKUP: &str = "from_backup";

/// How long another program that holds the file is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// What the copy holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) head: BackupHead,
    pub(crate) next_account: u32,
}

/// Copies the ledger at `ledger` to the new file `to`, and ends the copy with the event that says
/// what it is, under the vault's seal if there is a key.
pub(crate) fn take(
    ledger: &Path,
    to: &Path,
    key: Option<SealKey>,
    made_at: Timestamp,
) -> Result<Snapshot, BackupError> {
    let failed = BackupError::ledger(ledger);
    let bytes = match std::fs::metadata(ledger) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(BackupError::Missing { what: "ledger", path: ledger.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::Missing { what: "ledger", path: ledger.to_owned() });
        }
        Err(error) => return Err(BackupError::io("read", ledger)(error)),
    };
    let max = Part::Ledger.max_bytes();
    if bytes > max {
        return Err(BackupError::TooLarge {
            path: ledger.to_owned(),
            what: "a ledger",
            bytes,
            max,
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(ledger, flags).map_err(&failed)?;
    source.busy_timeout(BUSY).map_err(&failed)?;
    // Nothing of the books may lie about in the system's folder for temporary files.
    source
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")
        .map_err(&failed)?;
    source.execute("VACUUM INTO ?", [sqlite_name(to)?]).map_err(&failed)?;
    drop(source);
    finish(to, key, made_at).map_err(|error| match error {
        LedgerError::DiskFull => BackupError::DiskFull { path: to.to_owned() },
        source => BackupError::Ledger { path: ledger.to_owned(), source },
    })
}

/// SQLite takes names in UTF-8 only; another one must not become a file somewhere else.
fn sqlite_name(path: &Path) -> Result<&str, BackupError> {
    let odd = || std::io::Error::new(std::io::ErrorKind::InvalidFilename, "it is not in UTF-8");
    path.to_str().ok_or_else(|| BackupError::io("use the name of", path)(odd()))
}

/// Has the copy say what it is, and reads which moment it is of.
fn finish(copy: &Path, key: Option<SealKey>, made_at: Timestamp) -> Result<Snapshot, LedgerError> {
    let head = mark_copy(copy, key, made_at)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(copy, flags)?;
    let last: u32 = conn.query_row(
        "SELECT max(coalesce((SELECT max(account) FROM agents), 0),
                    coalesce((SELECT account FROM desk), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(Snapshot { head: head.into(), next_account: last.saturating_add(1) })
}
