//! Whether what came out of a backup is what the desk needs: proven in a scratch folder, before a
//! backup is called done and before a restored one is put in its place.

use crate::container::Unpack;
use crate::error::{BackupError, Fault};
use crate::manifest::{Manifest, Part};
use crate::scratch;
use crate::snapshot::FROM_BACKUP;
use imprest_ledger::{HeadCopy, Ledger, LedgerError};
use imprest_vault::Vault;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Puts the parts into a folder, each written through to the disk.
pub(crate) struct Folder {
    folder: PathBuf,
    open: Option<(File, PathBuf)>,
}

impl Folder {
    pub(crate) fn new(folder: &Path) -> Folder {
        Folder { folder: folder.to_owned(), open: None }
    }
}

impl Unpack for Folder {
    fn piece(&mut self, part: Part, bytes: &[u8]) -> Result<(), Fault> {
        if self.open.is_none() {
            let path = self.folder.join(part.name());
            self.open = Some((scratch::new_file(&path).map_err(Fault::Beside)?, path));
        }
        let Some((file, path)) = &mut self.open else { return Ok(()) };
        file.write_all(bytes).map_err(|error| Fault::Beside(BackupError::io("write", path)(error)))
    }

    fn end(&mut self, _: Part) -> Result<(), Fault> {
        let Some((file, path)) = self.open.take() else { return Ok(()) };
        file.sync_all().map_err(|error| Fault::Beside(BackupError::io("write", &path)(error)))
    }
}

/// Proves what lies in `folder`: the vault's file and the settings can be read, the ledger is sound
/// through and through, and it ends where the manifest says. `backup` is the file to name.
pub(crate) async fn prove(
    folder: &Path,
    manifest: &Manifest,
    backup: &Path,
) -> Result<(), BackupError> {
    let (files, named) = (folder.to_owned(), backup.to_owned());
    let settings = manifest.files.iter().any(|file| file.name == Part::Settings);
    crate::blocking(move || {
        Vault::open(files.join(Part::Vault.name()))
            .map_err(|error| BackupError::unsound_vault(&named, &error))?;
        if settings { check_settings(&files, &named) } else { Ok(()) }
    })
    .await?;
    let path = folder.join(Part::Ledger.name());
    let unsound = |error| BackupError::unsound_ledger(backup, error);
    let ledger = Ledger::open(&path).await.map_err(unsound)?;
    let faults = faults(&ledger, manifest).await;
    ledger.close().await;
    let faults = faults.map_err(unsound)?;
    if let Some(first) = faults.first() {
        let more = faults.len() - 1;
        return Err(BackupError::unsound(backup, format_args!("{first} ({more} more faults)")));
    }
    let (path, backup) = (path.clone(), backup.to_owned());
    crate::blocking(move || check_closed(&path, &backup)).await
}

/// What is wrong with the ledger, in sentences.
async fn faults(ledger: &Ledger, manifest: &Manifest) -> Result<Vec<String>, LedgerError> {
    let head = manifest.head;
    let found = ledger.verify(Some(HeadCopy::from(head))).await?;
    let mut faults = found.faults;
    if (found.head.seq, found.head.hash, found.head.at_ms) != (head.seq, head.hash, head.at_ms) {
        let (is, should) = (found.head.seq, head.seq);
        faults.push(format!("The ledger ends at event {is}, and the manifest says {should}."));
    }
    if ledger.next_account().await? != manifest.next_account {
        faults.push("The ledger has other accounts than the manifest says.".into());
    }
    let says_so = ledger.restored().await?.is_some_and(|restored| restored.is_pending());
    if !says_so && ledger.mark(FROM_BACKUP).await?.unwrap_or_default() == 0 {
        faults.push("The ledger does not say that it comes out of a backup.".into());
    }
    Ok(faults)
}

fn check_settings(folder: &Path, backup: &Path) -> Result<(), BackupError> {
    let path = folder.join(Part::Settings.name());
    let text = std::fs::read(&path).map_err(BackupError::io("read", &path))?;
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text)
        .map(drop)
        .map_err(|error| BackupError::unsound(backup, format_args!("its settings: {error}")))
}

/// A ledger that was closed is one file, on the disk.
fn check_closed(ledger: &Path, backup: &Path) -> Result<(), BackupError> {
    let log = ledger.with_extension("db-wal");
    if std::fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
        return Err(BackupError::unsound(backup, "its ledger did not close"));
    }
    // Opened for writing, which some systems ask for before they write a file through.
    File::options()
        .write(true)
        .open(ledger)
        .and_then(|file| file.sync_all())
        .map_err(BackupError::io("write", ledger))
}
