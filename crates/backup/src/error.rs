//! What can go wrong with a backup, and the way out of it.

use imprest_ledger::LedgerError;
use imprest_vault::VaultError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a backup was not made, not read or not put in place. Every refusal names the file and what
/// to do; no variant holds any part of a passphrase.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The operating system refused a file operation.
    #[error("could not {doing} {}: {source}. Check the disk and the folder's permissions, then try again.", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full; what had been written is gone again.
    #[error("the disk is full, so {} could not be written. Nothing was left behind. Free some space, or choose another disk.", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Something already has the backup's name.
    #[error("{} already exists. Choose another name, or say that it may be replaced.", path.display())]
    AlreadyThere {
        /// What is there.
        path: PathBuf,
    },
    /// What has the name is not an earlier backup, as far as can be seen.
    #[error("{} is not replaced, because it cannot be shown to be an earlier backup sealed with this passphrase: {why} Choose another name, or move that file away yourself.", path.display())]
    NotReplaced {
        /// What is there.
        path: PathBuf,
        /// Why it is not taken for one; a sentence.
        why: String,
    },
    /// The backup would lie among the books themselves.
    #[error("{} lies in the desk's own folder, and a backup there is lost together with the books. Choose another folder, best on another disk.", path.display())]
    BesideTheBooks {
        /// Where it was to be written.
        path: PathBuf,
    },
    /// There is nothing to back up, or no backup, at a place.
    #[error("there is no {what} at {}. Check the path.", path.display())]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a backup of this desk: {why}. Choose the file that the desk wrote; its name ends in .age.", path.display())]
    NotABackup {
        /// Which file.
        path: PathBuf,
        /// What it is, or what it lacks.
        why: &'static str,
    },
    /// The passphrase does not open the file.
    #[error("the passphrase does not open {}. Use the one the backup was made with; if it is right, the file's first lines are damaged, so use another copy.", path.display())]
    WrongPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// The file asks for more work than a backup of this desk ever needs.
    #[error("{} asks for 2^{log_n} steps of key stretching, and a backup is opened with at most 2^{max}. Use another copy; if it was sealed again by hand, do that with less work.", path.display())]
    TooMuchWork {
        /// Which file.
        path: PathBuf,
        /// The logarithm of the work asked for.
        log_n: u8,
        /// The logarithm of the most that is done.
        max: u8,
    },
    /// The file is not as it was written.
    #[error("the backup {} is damaged: {why}. Nothing was restored from it. Use another copy.", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file was written by a later version.
    #[error("the backup {} has form {found}, and this program knows forms up to {known}. Update Imprest to open it.", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its form.
        found: u64,
        /// The newest form understood here.
        known: u64,
    },
    /// A part is larger than is taken.
    #[error("{} has {bytes} bytes, and at most {max} are taken as {what}. Choose the right file, or report this.", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// As what it was to be taken.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The most that is taken.
        max: u64,
    },
    /// What came out of the file does not hold up.
    #[error("what {} holds is not sound: {why}. It was not put in place. Use another copy.", path.display())]
    Unsound {
        /// Which file.
        path: PathBuf,
        /// What does not hold up.
        why: String,
    },
    /// A new backup does not hold up when it is read back.
    #[error("no backup was made: what was written for {} does not hold up when it is read back ({why}). Nothing was left behind. If it is about the ledger, run `imprest verify`; if it is about the file, choose another disk.", path.display())]
    NotVerified {
        /// Where it was to be written.
        path: PathBuf,
        /// What does not hold up.
        why: String,
    },
    /// The folder to restore into already has a desk's files.
    #[error("{} already has {found}. Restore into an empty folder, or say that what is there may be moved aside; it is then kept in a folder of its own.", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// The first file found.
        found: &'static str,
    },
    /// A desk, a backup or a restore is at work on the folder.
    #[error("{} is in use by a running desk, or by another backup or restore. Close it, or wait for it, and try again.", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A restore was stopped midway.
    #[error("a restore into {} was stopped midway. Restore once more, saying that what is there may be moved aside; the files from before are kept in the folders named “replaced-…”.", folder.display())]
    Interrupted {
        /// The folder.
        folder: PathBuf,
    },
    /// The note about a restore cannot be read.
    #[error("{} cannot be read: {why}. It keeps a restored desk from paying before the chain was read. Restore the backup once more.", path.display())]
    BadNote {
        /// The note.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A passphrase for a new backup that is out of bounds.
    #[error("this passphrase cannot be used for a backup: {why}")]
    Passphrase {
        /// Why, and what to do.
        why: &'static str,
    },
    /// The ledger could not be read or copied.
    #[error("the ledger {} could not be copied: {source}", path.display())]
    Ledger {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: LedgerError,
    },
    /// A part of this program broke off.
    #[error("the backup's own work broke off ({why}). Nothing was left behind; report this.")]
    Internal {
        /// Where.
        why: String,
    },
}

impl BackupError {
    /// For `map_err` behind a file operation.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BackupError::DiskFull { path }
            }
            _ => BackupError::Io { doing, path, source },
        }
    }

    pub(crate) fn internal(why: impl std::fmt::Display) -> BackupError {
        BackupError::Internal { why: why.to_string() }
    }

    /// For `map_err` behind SQLite's own copy of a ledger.
    pub(crate) fn ledger(path: &Path) -> impl Fn(rusqlite::Error) -> BackupError {
        let path = path.to_owned();
        move |error| match LedgerError::from(error) {
            LedgerError::DiskFull => BackupError::DiskFull { path: path.clone() },
            source => BackupError::Ledger { path: path.clone(), source },
        }
    }

    /// The same, said of a backup that was only just written to `to`.
    pub(crate) fn of_a_new_backup(self, to: &Path) -> BackupError {
        let why = match self {
            BackupError::Damaged { why, .. } | BackupError::Unsound { why, .. } => why,
            BackupError::NotABackup { why, .. } => why.to_owned(),
            other @ (BackupError::WrongPassphrase { .. }
            | BackupError::TooMuchWork { .. }
            | BackupError::Newer { .. }) => other.to_string(),
            other => return other,
        };
        BackupError::NotVerified { path: to.to_owned(), why }
    }

    pub(crate) fn unsound(path: &Path, why: impl std::fmt::Display) -> BackupError {
        BackupError::Unsound { path: path.to_owned(), why: why.to_string() }
    }

    /// What a ledger or a vault that came out of a backup says of itself.
    pub(crate) fn unsound_ledger(path: &Path, error: LedgerError) -> BackupError {
        match error {
            LedgerError::DiskFull => BackupError::DiskFull { path: path.to_owned() },
            other => BackupError::unsound(path, format_args!("its ledger says: {other}")),
        }
    }

    pub(crate) fn unsound_vault(path: &Path, error: &VaultError) -> BackupError {
        BackupError::unsound(path, format_args!("its vault says: {error}"))
    }
}

/// What is wrong with a backup's bytes, by someone who does not know the file's name.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The bytes could not be read.
    Reading(io::Error),
    /// The bytes could not be written.
    Sealing(io::Error),
    /// A file beside the backup failed.
    Beside(BackupError),
    NotABackup(&'static str),
    WrongPassphrase,
    TooMuchWork(u8),
    Damaged(String),
    Newer(u64),
}

impl Fault {
    pub(crate) fn damaged(why: impl std::fmt::Display) -> Fault {
        Fault::Damaged(why.to_string())
    }

    /// A read that failed: sealed bytes that do not fit say so by their kind of error.
    pub(crate) fn reading(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::InvalidData => Fault::damaged("its seal does not fit its contents"),
            io::ErrorKind::UnexpectedEof => Fault::damaged("it is cut short"),
            _ => Fault::Reading(error),
        }
    }

    /// The fault as a refusal of the file at `path`.
    pub(crate) fn of(self, path: &Path) -> BackupError {
        let path = path.to_owned();
        match self {
            Fault::Reading(source) => BackupError::Io { doing: "read", path, source },
            Fault::Sealing(source) => BackupError::io("write", &path)(source),
            Fault::Beside(error) => error,
            Fault::NotABackup(why) => BackupError::NotABackup { path, why },
            Fault::WrongPassphrase => BackupError::WrongPassphrase { path },
            Fault::TooMuchWork(log_n) => {
                BackupError::TooMuchWork { path, log_n, max: crate::WORK_FACTOR_MAX }
            }
            Fault::Damaged(why) => BackupError::Damaged { path, why },
            Fault::Newer(found) => {
                BackupError::Newer { path, found, known: crate::manifest::VERSION }
            }
        }
    }
}
