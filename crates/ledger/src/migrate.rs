//! From one form of the books to the next: a backup first, then the log replayed into new tables.

use crate::apply::Place;
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The version of the tables; a file with a greater one is refused.
pub(crate) const SCHEMA_VERSION: i64 = 4;
/// The tables as they are now. The log's own has never changed.
const SCHEMA: &str = include_str!("../migrations/0004_books.sql");

/// Projections of the first form.
const FIRST_TABLES: [&str; 11] = [
    "receipts",
    "hosts",
    "refills",
    "approvals",
    "payees",
    "entries",
    "accounts",
    "counters",
    "payments",
    "agents",
    "desk",
];

/// What the second form had besides; seals and what is kept for a while stay as they are.
const SECOND_TABLES: [&str; 8] = [
    "shared_budgets",
    "client_keys",
    "hours",
    "origins",
    "prices",
    "signals",
    "tallies",
    "payments_text",
];

/// What the third form had besides those.
const THIRD_TABLES: [&str; 2] = ["strangers", "nonces"];

/// Makes the tables in an empty file, or brings an older file to the present form.
///
/// # Errors
/// [`LedgerError::Newer`] for a file of a later version, [`LedgerError::Unreadable`] for one that
/// is something else; in both cases, and when the migration fails, the file stays as it was.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        SCHEMA_VERSION => {}
        0 => make(conn, path)?,
        1 => upgrade(conn, path, found, &[])?,
        2 => upgrade(conn, path, found, &[&SECOND_TABLES])?,
        3 => upgrade(conn, path, found, &[&SECOND_TABLES, &THIRD_TABLES])?,
        ..SCHEMA_VERSION => {
            let why = format!("its version is {found}, which no desk writes");
            return Err(LedgerError::Unreadable { path: path.into(), why });
        }
        _ => return Err(LedgerError::Newer { path: path.into(), found, known: SCHEMA_VERSION }),
    }
    check_schema(conn, path)
}

/// Tables, indexes and triggers have to be this program's own to the letter: a trigger that somebody
/// added would run inside every write, and one that somebody dropped no longer guards the log.
fn check_schema(conn: &Connection, path: &Path) -> Result<(), LedgerError> {
    match schema_differs(conn)? {
        None => Ok(()),
        Some(why) => Err(LedgerError::Unreadable { path: path.into(), why }),
    }
}

/// What differs between a file's tables, indexes and triggers and this program's own, if anything.
pub(crate) fn schema_differs(conn: &Connection) -> Result<Option<String>, LedgerError> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    let (ours, theirs) = (schema(&fresh)?, schema(conn)?);
    let odd = theirs.symmetric_difference(&ours).next();
    Ok(odd.map(|(kind, name, _)| format!("its {kind} {name} is not the one this program made")))
}

fn schema(conn: &Connection) -> Result<BTreeSet<(String, String, Option<String>)>, LedgerError> {
    let mut statement = conn.prepare("SELECT type, name, sql FROM sqlite_master")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn make(conn: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables > 0 {
        let why = "it is another program’s database".to_owned();
        return Err(LedgerError::Unreadable { path: path.into(), why });
    }
    let tx = conn.transaction()?;
    tx.execute_batch(SCHEMA)?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(tx.commit()?)
}

/// The projections are thrown away and made anew from the log, which stays as it is.
fn upgrade(
    conn: &mut Connection,
    path: &Path,
    from: i64,
    more: &[&[&str]],
) -> Result<(), LedgerError> {
    let backup = back_up(conn, path, from)?;
    tracing::info!(backup = %backup.display(), "the ledger is brought to a newer form");
    conn.pragma_update(None, "foreign_keys", "OFF")?;
    let tx = conn.transaction()?;
    for table in FIRST_TABLES.iter().chain(more.iter().copied().flatten()) {
        tx.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    tx.execute_batch(SCHEMA)?;
    let mut books = Books::empty();
    replay(&tx, &mut books)?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    books.write_all(&tx)?;
    tx.commit()?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    Ok(())
}

/// A whole copy beside the file, made before anything is changed.
fn back_up(conn: &Connection, path: &Path, from: i64) -> Result<PathBuf, LedgerError> {
    let name = |n: u32| {
        let again = if n == 0 { String::new() } else { format!("-{n}") };
        path.with_extension(format!("v{from}{again}.backup"))
    };
    let backup = (0..1_000).map(name).find(|path| !path.exists()).ok_or_else(|| {
        LedgerError::Unreadable { path: path.into(), why: "a thousand backups lie there".into() }
    })?;
    let text = backup.to_string_lossy().into_owned();
    conn.execute("VACUUM INTO ?", [text])?;
    Ok(backup)
}

/// Walks the log in order and applies each event.
fn replay(log: &Connection, books: &mut Books) -> Result<Head, LedgerError> {
    let mut statement =
        log.prepare("SELECT seq, at_ms, kind, body, hash FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut head = Head::EMPTY;
    while let Some(row) = rows.next()? {
        let (at_ms, body) = (row.get(1)?, row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?);
        let next = head.next(at_ms, body);
        if row.get::<_, u64>(0)? != next.seq
            || row.get_ref(4)?.as_blob().ok() != Some(&next.hash[..])
        {
            return Err(LedgerError::damaged(format!("event {} breaks the chain", next.seq)));
        }
        let event = Event::parse(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?, body)?;
        books.apply(event, Place { seq: next.seq, at_ms })?;
        books.keep();
        head = next;
    }
    Ok(head)
}
