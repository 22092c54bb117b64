//! The file itself: SQLite's own structures, and every index beside its table.

use crate::Ledger;
use crate::error::LedgerError;
use rusqlite::Connection;

/// How many faults of one file are named at most.
const FAULTS_MAX: u32 = 20;

impl Ledger {
    /// Checks what the proof of the books takes for granted: that every index fits its table, so
    /// that what is looked up is what [`Ledger::verify`] walked over. Reads the whole file; the
    /// answer is what is wrong, one sentence each.
    ///
    /// # Errors
    /// When the file cannot be opened; what is wrong inside it is a finding, not an error.
    pub async fn check_file(&self) -> Result<Vec<String>, LedgerError> {
        let conn = self.store.read_only()?;
        tokio::task::spawn_blocking(move || Ok(structure(&conn)))
            .await
            .map_err(|e| LedgerError::Database(e.to_string()))?
    }
}

/// What SQLite says of its own structures.
fn structure(conn: &Connection) -> Vec<String> {
    let read = || -> Result<Vec<String>, LedgerError> {
        let mut statement = conn.prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})"))?;
        let lines = statement.query_map([], |row| row.get(0))?;
        let mut lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        lines.retain(|line| line != "ok");
        lines.extend(stale_entries(conn)?);
        Ok(lines)
    };
    match read() {
        Ok(lines) => lines.iter().map(|line| format!("The file is damaged: {line}.")).collect(),
        Err(error) => vec![format!("The file cannot be read: {error}")],
    }
}

/// Indexes that find more rows than their tables have: SQLite looks for every row in the index,
/// and not for every entry of a partial index in the table.
fn stale_entries(conn: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut statement = conn.prepare(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    )?;
    let indexes = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, String, String)>, _>>()?;
    let mut stale = Vec::new();
    for (index, table, sql) in indexes {
        let which = sql.split_once(" WHERE ").map_or("1", |(_, which)| which);
        let count = |sql: &str| -> Result<u64, LedgerError> {
            Ok(conn.query_row(sql, [], |row| row.get(0))?)
        };
        let found = format!("SELECT count(*) FROM {table} INDEXED BY {index} WHERE {which}");
        // SQLite takes a partial index whose condition it is given even where it is told not to, if
        // the table has no rowid. So every row is looked at, and the condition is not its to use.
        let there = format!("SELECT count(*) FILTER (WHERE {which}) FROM {table} NOT INDEXED");
        let (found, there) = (count(&found)?, count(&there)?);
        if found != there {
            stale.push(format!("the index {index} finds {found} rows and there are {there}"));
        }
    }
    Ok(stale)
}
