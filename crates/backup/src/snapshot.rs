//! A copy of the ledger as it was at one moment, while the desk goes on writing.
//!
//! `VACUUM INTO` reads the whole file inside one read transaction, so the copy is of exactly one
//! commit, however long it takes and whoever writes meanwhile; in write-ahead mode it makes no
//! writer wait. SQLite's online backup would copy page by page, free pages and all, and begin anew
//! whenever another connection writes between two steps. This one writes every row afresh: what
//! was deleted is not in it, and a page that cannot be read is an error here and now.

use crate::error::BackupError;
use crate::manifest::{BackupHead, Part};
use alloy_primitives::B256;
use imprest_ledger::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// The mark in the ledger's own file that says it came out of a backup, and with which last event.
///
/// It travels inside the ledger, so that a copy put back by hand, without this program, is known
/// for one too. Zero, or no mark, says that the chain has been read since.
pub const FROM_BACKUP: &str = "from_backup";

/// How long another program that holds the file is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// What the copy holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) head: BackupHead,
    pub(crate) next_account: u32,
}

/// Copies the ledger at `ledger` to the new file `to`.
pub(crate) fn take(ledger: &Path, to: &Path) -> Result<Snapshot, BackupError> {
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
    finish(to).map_err(|error| match error {
        LedgerError::DiskFull => BackupError::DiskFull { path: to.to_owned() },
        source => BackupError::Ledger { path: ledger.to_owned(), source },
    })
}

/// SQLite takes names in UTF-8 only; another one must not become a file somewhere else.
fn sqlite_name(path: &Path) -> Result<&str, BackupError> {
    let odd = || std::io::Error::new(std::io::ErrorKind::InvalidFilename, "it is not in UTF-8");
    path.to_str().ok_or_else(|| BackupError::io("use the name of", path)(odd()))
}

/// Marks the copy as one, and reads which moment it is of.
fn finish(copy: &Path) -> Result<Snapshot, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(copy, flags)?;
    conn.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
    let head = read_head(&conn)?;
    let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
    conn.execute(
        "INSERT OR REPLACE INTO marks (mark, value) VALUES (?, ?)",
        (FROM_BACKUP, seq.max(1)),
    )?;
    let last: u32 =
        conn.query_row("SELECT coalesce(max(account), 0) FROM agents", [], |row| row.get(0))?;
    Ok(Snapshot { head, next_account: last.saturating_add(1) })
}

fn read_head(conn: &Connection) -> Result<BackupHead, LedgerError> {
    let mut statement =
        conn.prepare("SELECT seq, hash, at_ms FROM events ORDER BY seq DESC LIMIT 1")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(BackupHead { seq: 0, hash: B256::ZERO, at_ms: 0 });
    };
    let hash: Vec<u8> = row.get(1)?;
    let hash = B256::try_from(hash.as_slice())
        .map_err(|_| LedgerError::Damaged { what: "a hash that is not 32 bytes".into() })?;
    Ok(BackupHead { seq: row.get(0)?, hash, at_ms: row.get(2)? })
}
