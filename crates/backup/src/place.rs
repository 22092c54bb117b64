//! Moving proven files into a data folder, so that a stop in between is known and nothing is lost.
//!
//! The note comes first and says that files are being moved; a desk does not open on a folder that
//! says so. Only when every file is in its place does the note say that a desk may.

use crate::error::BackupError;
use crate::manifest::{Manifest, Part};
use crate::note::{self, NOTE_NAME, Restoring};
use crate::scratch::sync_folder;
use jiff::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a desk, in the order in which old ones are moved aside. SQLite's own files beside a
/// ledger go with it: beside another ledger they would be taken for its own.
const FILES: [&str; 7] = [
    "ledger.db",
    "ledger.db-wal",
    "ledger.db-shm",
    "ledger.db-journal",
    "vault.json",
    "desk.json",
    NOTE_NAME,
];
/// How many folders of replaced files of the same second there may be.
const ASIDE_MAX: u32 = 1_000;

/// Refuses a folder that has a desk's files, unless they may be moved aside.
pub(crate) fn check_free(folder: &Path, replace: bool) -> Result<(), BackupError> {
    if replace {
        return Ok(());
    }
    match FILES.into_iter().find(|name| is_there(&folder.join(name))) {
        Some(found) => Err(BackupError::Occupied { folder: folder.to_owned(), found }),
        None => Ok(()),
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A folder that was made for a restore, and goes again when the restore comes to nothing.
pub(crate) struct MadeFolder(Option<PathBuf>);

impl MadeFolder {
    /// Makes the folder, readable by its owner only; one that is there keeps its permissions.
    pub(crate) fn make(folder: &Path) -> Result<MadeFolder, BackupError> {
        if folder.is_dir() {
            return Ok(MadeFolder(None));
        }
        let failed = || BackupError::io("make", folder);
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above).map_err(failed())?;
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(folder).map_err(failed())?;
        Ok(MadeFolder(Some(folder.to_owned())))
    }

    /// The restore came to something.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        let Some(folder) = &self.0 else { return };
        // Only the locks can be left in it. Whatever else there is makes the last call fail.
        for lock in ["desk.lock", "backup.lock"] {
            let _ = fs::remove_file(folder.join(lock));
        }
        let _ = fs::remove_dir(folder);
    }
}

/// Moves the proven files from `scratch` into `into`, and what was there aside; answers where that
/// is now. When a move fails, everything is moved back.
pub(crate) fn put(
    scratch: &Path,
    into: &Path,
    replace: bool,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<Option<PathBuf>, BackupError> {
    check_free(into, replace)?;
    let mut moves = Moves::default();
    let placed = place(scratch, into, manifest, now, &mut moves);
    if placed.is_err() {
        moves.undo(into);
    }
    placed
}

fn place(
    scratch: &Path,
    into: &Path,
    manifest: &Manifest,
    now: Timestamp,
    moves: &mut Moves,
) -> Result<Option<PathBuf>, BackupError> {
    let there: Vec<&str> = FILES.into_iter().filter(|name| is_there(&into.join(name))).collect();
    let aside = if there.is_empty() { None } else { Some(make_aside(into, now)?) };
    moves.aside.clone_from(&aside);
    if let Some(aside) = &aside {
        // The note of an earlier restore is copied first: the new one is about to take its place.
        if there.contains(&NOTE_NAME) {
            let (from, to) = (into.join(NOTE_NAME), aside.join(NOTE_NAME));
            fs::copy(&from, &to).map_err(BackupError::io("move aside", &from))?;
        }
    }
    moves.noted = true;
    note::save(into, manifest, now, Restoring::Placing)?;
    if let Some(aside) = &aside {
        for name in there.into_iter().filter(|name| *name != NOTE_NAME) {
            moves.go("move aside", into.join(name), aside.join(name))?;
        }
        sync_folder(aside)?;
    }
    for file in &manifest.files {
        let name = file.name.name();
        moves.go("put in place", scratch.join(name), into.join(name))?;
    }
    debug_assert!(manifest.files.iter().any(|file| file.name == Part::Ledger));
    sync_folder(into)?;
    note::save(into, manifest, now, Restoring::Placed)?;
    Ok(aside)
}

/// Makes a folder for what is moved aside, named after the time.
fn make_aside(into: &Path, now: Timestamp) -> Result<PathBuf, BackupError> {
    let at = now.strftime("%Y-%m-%dT%H-%M-%SZ");
    for again in 1..=ASIDE_MAX {
        let folder = into.join(match again {
            1 => format!("replaced-{at}"),
            _ => format!("replaced-{at}-{again}"),
        });
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(BackupError::io("make", &folder)(error)),
        }
    }
    Err(BackupError::internal("a thousand folders of replaced files lie there"))
}

/// The moves that were made, so that they can be undone.
#[derive(Default)]
struct Moves {
    aside: Option<PathBuf>,
    noted: bool,
    made: Vec<(PathBuf, PathBuf)>,
}

impl Moves {
    fn go(&mut self, doing: &'static str, from: PathBuf, to: PathBuf) -> Result<(), BackupError> {
        // Renaming would silently replace a file; nothing may be there.
        if is_there(&to) {
            return Err(BackupError::AlreadyThere { path: to });
        }
        fs::rename(&from, &to).map_err(BackupError::io(doing, &from))?;
        self.made.push((from, to));
        Ok(())
    }

    /// Moves everything back, last things first. If even that fails, the note stays, and says to
    /// every desk that the folder is half done.
    fn undo(self, into: &Path) {
        let stuck = |(from, to): &&(PathBuf, PathBuf)| fs::rename(to, from).is_err();
        // All of them are tried, also behind one that fails.
        if self.made.iter().rev().filter(stuck).count() > 0 {
            tracing::error!(folder = %into.display(), "a restore failed, and could not be undone");
            return;
        }
        let note = into.join(NOTE_NAME);
        let earlier = self.aside.as_ref().map(|aside| aside.join(NOTE_NAME));
        match earlier.filter(|earlier| is_there(earlier)) {
            Some(earlier) => drop(fs::rename(earlier, &note)),
            None if self.noted => drop(fs::remove_file(&note)),
            None => {}
        }
        if let Some(aside) = &self.aside {
            let _ = fs::remove_dir(aside);
        }
        let _ = sync_folder(into);
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
