//! Folders and files that live for one run: nobody else can read them, one run at a time works on
//! a folder, and what a killed run left behind is gone after the next one.

use crate::error::BackupError;
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// Held by a desk for as long as it is open on a folder.
const DESK_LOCK: &str = "desk.lock";
/// Held by a backup or a restore for as long as it works on a folder.
const BACKUP_LOCK: &str = "backup.lock";
const SCRATCH_PREFIX: &str = ".imprest-scratch-";
const PARTIAL_ENDING: &str = ".partial";

/// A data folder that only this run makes backups of, or restores into. The operating system gives
/// it back when the run dies.
#[derive(Debug)]
pub(crate) struct Turn {
    folder: PathBuf,
    _locks: Vec<File>,
}

impl Turn {
    /// Takes the folder beside a desk that may be running, and clears away what a killed run left.
    pub(crate) fn beside_the_desk(folder: &Path) -> Result<Turn, BackupError> {
        Turn::take(folder, &[BACKUP_LOCK])
    }

    /// Takes the folder from every desk, and clears away what a killed run left.
    pub(crate) fn instead_of_the_desk(folder: &Path) -> Result<Turn, BackupError> {
        Turn::take(folder, &[DESK_LOCK, BACKUP_LOCK])
    }

    fn take(folder: &Path, names: &[&str]) -> Result<Turn, BackupError> {
        let locks = names.iter().map(|name| lock(folder, name)).collect::<Result<_, _>>()?;
        let turn = Turn { folder: folder.to_owned(), _locks: locks };
        turn.sweep_scratch()?;
        Ok(turn)
    }

    /// An empty folder inside, gone when dropped. Whatever is not sealed lies there and nowhere
    /// else: the place a backup goes to may be anyone's.
    pub(crate) fn scratch(&self) -> Result<TempDir, BackupError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(SCRATCH_PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        builder
            .tempdir_in(&self.folder)
            .map_err(BackupError::io("make a scratch folder in", &self.folder))
    }

    /// Nobody else is at work here, so a scratch folder that is there is a killed run's.
    fn sweep_scratch(&self) -> Result<(), BackupError> {
        let failed = || BackupError::io("clear away a killed run's folder in", &self.folder);
        for entry in std::fs::read_dir(&self.folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let own = entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX);
            // A link of that name is not followed: only the type of the entry itself counts.
            if own && entry.file_type().map_err(failed())?.is_dir() {
                std::fs::remove_dir_all(entry.path()).map_err(failed())?;
            }
        }
        Ok(())
    }

    /// A new file in `folder`, gone when dropped unless it is [published](publish). Its name until
    /// then tells whose it is, so that what a killed run left is cleared away by the next run for
    /// the same desk and by nobody else.
    pub(crate) fn partial(&self, folder: &Path) -> Result<NamedTempFile, BackupError> {
        let prefix = format!(".imprest-{}-", self.tag());
        self.sweep_partial(folder, &prefix)?;
        tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(PARTIAL_ENDING)
            .tempfile_in(folder)
            .map_err(BackupError::io("write into", folder))
    }

    fn sweep_partial(&self, folder: &Path, prefix: &str) -> Result<(), BackupError> {
        for entry in std::fs::read_dir(folder).map_err(BackupError::io("read", folder))? {
            let entry = entry.map_err(BackupError::io("read", folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = name.starts_with(prefix) && name.ends_with(PARTIAL_ENDING);
            let path = entry.path();
            if own && entry.file_type().map_err(BackupError::io("read", &path))?.is_file() {
                std::fs::remove_file(&path).map_err(BackupError::io("clear away", &path))?;
            }
        }
        Ok(())
    }

    /// Which desk's file it is: 16 hex digits made from its folder's path, which they do not tell.
    fn tag(&self) -> String {
        let path = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        hex::encode(&digest[..8])
    }
}

fn lock(folder: &Path, name: &str) -> Result<File, BackupError> {
    let path = folder.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(BackupError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BackupError::io("lock", &path)(error)),
    }
}

/// Gives a finished file its name; `replace` says whether it may take another file's place.
pub(crate) fn publish(file: NamedTempFile, to: &Path, replace: bool) -> Result<(), BackupError> {
    let taken = std::fs::symlink_metadata(to);
    match taken {
        Ok(found) if !replace || found.is_dir() => {
            return Err(BackupError::AlreadyThere { path: to.to_owned() });
        }
        _ => {}
    }
    let published = match replace {
        true => file.persist(to),
        // Where the file system can, this is one step that never replaces anything.
        false => file.persist_noclobber(to).or_else(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => Err(refused),
            // Some cannot (those of many sticks); nothing was there a moment ago.
            _ => refused.file.persist(to),
        }),
    };
    match published {
        Ok(_) => sync_folder(parent(to)),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::AlreadyThere { path: to.to_owned() })
        }
        Err(refused) => Err(BackupError::io("write", to)(refused.error)),
    }
}

/// The folder that a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Has the names in a folder written to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    // Windows has no such call for folders, and writes names in order by itself.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::io("write", folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Makes a new file that only its owner can read.
pub(crate) fn new_file(path: &Path) -> Result<File, BackupError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(BackupError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_at_a_time_and_beside_a_desk() {
        let folder = tempfile::tempdir().unwrap();
        let desk = File::create(folder.path().join(DESK_LOCK)).unwrap();
        desk.lock().unwrap();
        let turn = Turn::beside_the_desk(folder.path()).unwrap();
        let second = Turn::beside_the_desk(folder.path());
        assert!(matches!(second, Err(BackupError::InUse { .. })));
        drop(turn);
        let instead = Turn::instead_of_the_desk(folder.path());
        assert!(matches!(instead, Err(BackupError::InUse { .. })));
        drop(desk);
        let turn = Turn::instead_of_the_desk(folder.path()).unwrap();
        assert!(matches!(Turn::beside_the_desk(folder.path()), Err(BackupError::InUse { .. })));
        drop(turn);
    }

    #[test]
    fn a_killed_runs_files_are_cleared_away_and_nobody_elses() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = tempfile::tempdir().unwrap();
        let killed = |folder: &Path| {
            let turn = Turn::beside_the_desk(folder).unwrap();
            let scratch = turn.scratch().unwrap().keep();
            fs::write(scratch.join("ledger.db"), "the books").unwrap();
            turn.partial(target.path()).unwrap().keep().unwrap();
        };
        killed(ours.path());
        killed(theirs.path());
        fs::write(target.path().join("other.partial"), "not ours").unwrap();
        fs::write(ours.path().join(".imprest-scratch-file"), "a file of that name").unwrap();
        assert_eq!((names(target.path()).len(), names(ours.path()).len()), (3, 3));
        let turn = Turn::beside_the_desk(ours.path()).unwrap();
        assert_eq!(names(ours.path()), [".imprest-scratch-file", "backup.lock"]);
        assert_eq!(names(theirs.path()).len(), 2);
        drop(turn.partial(target.path()).unwrap());
        let left = names(target.path());
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&"other.partial".to_owned()));
        let theirs = Turn::beside_the_desk(theirs.path()).unwrap();
        drop(theirs.partial(target.path()).unwrap());
        assert_eq!(names(target.path()), ["other.partial"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_others_cannot_read() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("precious"), "").unwrap();
        let link = folder.path().join(".imprest-scratch-link");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let turn = Turn::beside_the_desk(folder.path()).unwrap();
        assert!(elsewhere.path().join("precious").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let scratch = turn.scratch().unwrap();
        assert_eq!(mode(scratch.path()), 0o700);
        new_file(&scratch.path().join("x")).unwrap();
        assert_eq!(mode(&scratch.path().join("x")), 0o600);
        let partial = turn.partial(folder.path()).unwrap();
        assert_eq!(mode(partial.path()), 0o600);
    }

    #[test]
    fn a_name_that_is_taken_stays_taken() {
        let folder = tempfile::tempdir().unwrap();
        let turn = Turn::beside_the_desk(folder.path()).unwrap();
        let to = folder.path().join("desk.age");
        let fresh = || turn.partial(folder.path()).unwrap();
        publish(fresh(), &to, false).unwrap();
        fs::write(&to, "earlier").unwrap();
        assert!(matches!(publish(fresh(), &to, false), Err(BackupError::AlreadyThere { .. })));
        assert_eq!(fs::read(&to).unwrap(), b"earlier");
        publish(fresh(), &to, true).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"");
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(matches!(publish(fresh(), &taken, true), Err(BackupError::AlreadyThere { .. })));
        assert_eq!(names(folder.path()), ["backup.lock", "desk.age", "taken"]);
    }
}
