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
        Ok(lines.collect::<Result<_, _>>()?)
    };
    match read() {
        Ok(lines) if lines == ["ok"] => Vec::new(),
        Ok(lines) => lines.iter().map(|line| format!("The file is damaged: {line}.")).collect(),
        Err(error) => vec![format!("The file cannot be read: {error}")],
    }
}
