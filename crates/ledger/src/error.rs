//! What can go wrong with the books.

use imprest_domain::{
    AgentId, ApprovalId, BudgetError, PaymentId, PaymentState, TransitionError, Units,
};
use std::path::PathBuf;

/// Why the ledger could not do what was asked. A refusal by the rules is not among these.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened, read or created.
    #[error("The ledger {} cannot be opened: {why}. Check that the folder is yours and writable, or restore a backup.", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file was written by a newer desk.
    #[error("The ledger {} was written by a newer version ({found}, this one knows {known}). Update Imprest to open it; nothing was changed.", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The bundled SQLite is older than the one with the fixed write-ahead log.
    #[error(
        "SQLite {found} has a write-ahead log fault that can lose payments; 3.51.3 or newer is needed"
    )]
    OldSqlite {
        /// The version linked.
        found: String,
    },
    /// The disk is full; nothing was changed.
    #[error("The disk is full and the books could not be written. Free some space and try again.")]
    DiskFull,
    /// A write failed in a way that leaves its result unclear; nothing more is written.
    #[error(
        "The ledger stopped after a disk error ({why}). Restart the desk: it will read the file again and compare it with the chain."
    )]
    Stopped {
        /// What the system said first.
        why: String,
    },
    /// The idempotency key belongs to another request.
    #[error(
        "The idempotency key was already used for another request. Use a new key for a new request."
    )]
    KeyReused {
        /// The payment it belongs to.
        payment: PaymentId,
    },
    /// No such agent.
    #[error("There is no agent “{name}” at this desk.")]
    NoAgent {
        /// What was asked for.
        name: String,
    },
    /// Another agent has the name.
    #[error("There already is an agent named “{name}”. Choose another name.")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another agent has the account, the address or the token.
    #[error(
        "Another agent has the same {what} already. Make the agent anew, so that it gets its own."
    )]
    AgentClash {
        /// `account`, `address` or `token`.
        what: &'static str,
    },
    /// The agent was revoked and takes no changes.
    #[error("The agent {agent} was revoked; make a new one instead.")]
    Revoked {
        /// Which.
        agent: AgentId,
    },
    /// No such shared budget.
    #[error("There is no shared budget “{name}” at this desk.")]
    NoShared {
        /// What was asked for.
        name: String,
    },
    /// A budget keeps the asset it was made in, and shares only with budgets in the same one.
    #[error(
        "A budget’s asset cannot change, because what was spent is counted in it. Make a new agent instead."
    )]
    OtherAsset,
    /// What gives authority is written only while the vault that seals the books is open.
    #[error(
        "The vault is locked, so nothing that gives authority can be written. Unlock it first."
    )]
    Locked,
    /// The vault's seal under the log is not the vault's, or not under this log.
    #[error(
        "The ledger is not the one the vault sealed: {what}. Nothing is signed. Run `imprest verify`; then put a backup in its place, or, if these are your books, acknowledge the signal (`imprest signals`)."
    )]
    Forged {
        /// What does not fit.
        what: String,
    },
    /// No such signal, or it is over.
    #[error("There is no open signal {signal}.")]
    NoSignal {
        /// Its number.
        signal: u64,
    },
    /// The system's clock is not behind the books'.
    #[error("The clock is not behind the books, so there is nothing to accept.")]
    ClockAgrees,
    /// The system's clock is so far behind the books' that a signature made now would outlive its
    /// time.
    #[error(
        "The computer’s clock stands behind the books, so nothing can be paid. Set it right; or, if it is right, run `imprest clock accept`."
    )]
    ClockBehind,
    /// The books come out of a backup, and the chain knows more than they do.
    #[error(
        "The books come from a backup, and the chain has not been read yet for what was spent since. Unlock the vault, let the desk run, and wait until `imprest status` says that this is done."
    )]
    Unreconciled,
    /// No such payment.
    #[error("There is no payment {payment} in the books.")]
    NoPayment {
        /// Which.
        payment: PaymentId,
    },
    /// The payment has no signature that could still be used.
    #[error(
        "The payment {payment} is {}, so there is no signature of it to cancel. Look at `imprest evidence {payment}`.", state.word()
    )]
    NothingToCancel {
        /// Which.
        payment: PaymentId,
        /// Where it stands.
        state: PaymentState,
    },
    /// The money is in another asset than the one asked for.
    #[error("The money is in another asset than the desk pays in. Choose its network first.")]
    ForeignAsset,
    /// The float has less that no payment has reserved than is to be moved, or nothing at all.
    #[error("The float holds too little that no payment has reserved. Ask for less, or wait.")]
    NotInFloat {
        /// The most that can be moved, in atomic units.
        movable: Units,
    },
    /// No such question, or it is answered.
    #[error("The question {approval} is not waiting any more ({state}).")]
    NotWaiting {
        /// Which.
        approval: ApprovalId,
        /// What became of it.
        state: String,
    },
    /// A step the life of a payment does not have.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Limits that are no budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The file holds something this program never wrote.
    #[error(
        "The ledger holds something this program never wrote ({what}). Run `imprest verify`, and restore a backup if it finds a fault."
    )]
    Damaged {
        /// What, in a few words.
        what: String,
    },
    /// The disk could not be read, or holds no database any more.
    #[error(
        "The ledger’s disk failed ({0}). Nothing more is decided on it. Check the disk, and start the desk again."
    )]
    Unsound(String),
    /// SQLite refused for another reason.
    #[error("The ledger could not be used: {0}. Run `imprest verify` to see what it holds.")]
    Database(String),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> LedgerError {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(DiskFull) => LedgerError::DiskFull,
            Some(SystemIoFailure | DatabaseCorrupt | NotADatabase) => {
                LedgerError::Unsound(error.to_string())
            }
            _ => LedgerError::Database(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> LedgerError {
        match &error {
            sqlx::Error::Database(db) if db.code().as_deref() == Some("13") => {
                LedgerError::DiskFull
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                LedgerError::Damaged { what: error.to_string() }
            }
            _ => LedgerError::Database(error.to_string()),
        }
    }
}

impl LedgerError {
    pub(crate) fn damaged(what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection, SqliteConnection};

    fn of_sqlite(code: i32) -> LedgerError {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into()
    }

    /// The writer goes on after the first, stops at once after the second, and only fails the one
    /// job after anything else.
    #[test]
    fn what_the_disk_did_is_told_from_what_sqlite_refused() {
        use rusqlite::ffi::*;
        assert!(matches!(of_sqlite(SQLITE_FULL), LedgerError::DiskFull));
        for code in [SQLITE_IOERR, SQLITE_IOERR_READ, SQLITE_CORRUPT, SQLITE_NOTADB] {
            assert!(matches!(of_sqlite(code), LedgerError::Unsound(_)), "{code}");
        }
        for code in [SQLITE_CONSTRAINT, SQLITE_BUSY, SQLITE_ERROR] {
            assert!(matches!(of_sqlite(code), LedgerError::Database(_)), "{code}");
        }
    }

    #[tokio::test]
    async fn readers_tell_a_full_disk_from_a_damaged_cell_and_from_the_rest() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        sqlx::raw_sql("CREATE TABLE t (x); PRAGMA max_page_count = 3")
            .execute(&mut conn)
            .await
            .expect("limits");
        let full = sqlx::query("INSERT INTO t VALUES (zeroblob(100000))").execute(&mut conn).await;
        let full = LedgerError::from(full.expect_err("is full"));
        assert!(matches!(full, LedgerError::DiskFull), "{full}");
        let refused = sqlx::query("SELECT * FROM nothing").execute(&mut conn).await;
        let refused = LedgerError::from(refused.expect_err("is not there"));
        assert!(matches!(refused, LedgerError::Database(_)), "{refused}");
        let text = sqlx::query_scalar::<_, i64>("SELECT 'a text'").fetch_one(&mut conn).await;
        let text = LedgerError::from(text.expect_err("is no number"));
        assert!(matches!(text, LedgerError::Damaged { .. }), "{text}");
        let other = LedgerError::from(sqlx::Error::Decode("another form".into()));
        assert!(matches!(other, LedgerError::Damaged { .. }), "{other}");
        let closed = LedgerError::from(sqlx::Error::PoolClosed);
        assert!(matches!(closed, LedgerError::Database(_)), "{closed}");
    }
}
