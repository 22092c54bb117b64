//! Keeping the desk in one sealed file, and putting it back.

use crate::desk::{Desk, Inner};
use crate::problem::{ErrorCode, bad_input};
use crate::view::{BackupMade, BackupProgress, BackupView, Problem};
use imprest_backup::{BackupPlan, Manifest, Progress, RestorePlan, Schedule, Step, due};
use imprest_vault::SecretText;
use jiff::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last event that the last backup holds.
const BACKUP_SEQ_MARK: &str = "backup_seq";
/// When it was made, milliseconds since 1970.
const BACKUP_MS_MARK: &str = "backup_ms";

/// How far the backup that is being made is; none most of the time.
#[derive(Debug, Clone, Default)]
pub(crate) struct BackingUp(Arc<Mutex<Option<Progress>>>);

impl BackingUp {
    /// Begins one, if none is being made; it ends with what this answers.
    fn begin(&self) -> Option<Ended> {
        let mut now = self.now();
        if now.is_some() {
            return None;
        }
        *now = Some(Progress { step: Step::Copying, done_bytes: 0, total_bytes: 0 });
        Some(Ended(self.clone()))
    }

    /// Notes how far it is; nothing once it has ended.
    fn note(&self, progress: Progress) {
        if let Some(now) = self.now().as_mut() {
            *now = progress;
        }
    }

    fn view(&self) -> BackupProgress {
        match *self.now() {
            None => BackupProgress { running: false, step: String::new(), permille: None },
            Some(progress) => view_of(progress),
        }
    }

    fn now(&self) -> MutexGuard<'_, Option<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the progress however the backup ends.
struct Ended(BackingUp);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.now() = None;
    }
}

/// Progress as it is shown.
fn view_of(progress: Progress) -> BackupProgress {
    let step = match progress.step {
        Step::Copying => "copying",
        Step::Sealing => "sealing",
        Step::Reading => "reading",
        Step::Proving => "proving",
        Step::Placing => "placing",
    };
    let part = progress.done_bytes.saturating_mul(1_000).checked_div(progress.total_bytes);
    let permille = part.map(|part| u32::try_from(part.min(1_000)).unwrap_or(1_000));
    BackupProgress { running: true, step: step.into(), permille }
}

/// What a backup says of itself, for the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupContents {
    /// When it was made.
    pub made_at: String,
    /// The version of the program that made it.
    pub program: String,
    /// The chain it pays on, EIP-155, where the desk knew one.
    pub chain_id: Option<u64>,
    /// How many events its log has.
    pub events: u64,
    /// The last event's hash, hex.
    pub head: String,
    /// Its parts and their sizes in bytes.
    pub files: Vec<BackupPart>,
}

/// One part of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupPart {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// A backup that was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoredView {
    /// The data folder.
    pub folder: String,
    /// Where the files from before are, if there were any.
    pub moved_to: Option<String>,
    /// What it holds.
    pub contents: BackupContents,
}

impl From<Manifest> for BackupContents {
    fn from(manifest: Manifest) -> BackupContents {
        BackupContents {
            made_at: manifest.made_at.to_string(),
            events: manifest.head.seq,
            head: hex::encode(manifest.head.hash),
            program: manifest.program,
            chain_id: manifest.chain_id,
            files: manifest
                .files
                .iter()
                .map(|file| BackupPart { name: file.name.name().into(), bytes: file.bytes })
                .collect(),
        }
    }
}

/// Reads a backup to its end and says what it holds; writes nothing.
///
/// # Errors
/// `wrong_passphrase`, `bad_input` for another file, `disk` for a damaged one.
pub async fn inspect(file: &Path, passphrase: &SecretText) -> Result<BackupContents, Problem> {
    Ok(imprest_backup::inspect(file, passphrase).await?.into())
}

/// Puts a backup into a data folder on which no desk is open. What lies there already is moved
/// aside if `replace` says so.
///
/// # Errors
/// As [`inspect`]; `in_use` while a desk is open on the folder, `bad_input` when something lies
/// there. What was there before is then as it was.
pub async fn restore(
    file: &Path,
    folder: &Path,
    passphrase: &SecretText,
    replace: bool,
    mut progress: impl FnMut(BackupProgress) + Send + 'static,
) -> Result<RestoredView, Problem> {
    let mut plan = RestorePlan::new(file, folder, Timestamp::now());
    if replace {
        plan = plan.replacing();
    }
    let tell = move |now| progress(view_of(now));
    let restored = imprest_backup::restore(plan, passphrase, tell).await?;
    Ok(RestoredView {
        folder: folder.display().to_string(),
        moved_to: restored.moved_to.map(|path| path.display().to_string()),
        contents: restored.manifest.into(),
    })
}

impl Desk {
    /// Makes a backup at a path the owner chose, sealed with a passphrase of its own, and reads it
    /// back before it calls it done. Payments go on meanwhile.
    ///
    /// It takes everything out, so it asks for the owner; and the vault has to be open, because what
    /// the copy says of itself stands under its seal.
    ///
    /// # Errors
    /// `presence_needed` or `locked`; `bad_input` for a path that is taken by anything but an earlier
    /// backup or lies among the books, or a passphrase that is too short; `in_use` while another
    /// backup is made; `disk`.
    pub async fn backup(
        &self,
        path: String,
        passphrase: String,
        replace: bool,
    ) -> Result<BackupMade, Problem> {
        let (inner, passphrase) = (&self.inner, SecretText::new(passphrase));
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(bad_input("File", "give the whole path"));
        }
        inner.need_presence()?;
        let key = inner.need_vault()?.seal_key()?;
        let made_at = inner.ledger.now();
        let mut plan = BackupPlan::new(inner.place.dir(), path, made_at)
            .on_chain(inner.asset.id.chain_id)
            .sealed_with(key);
        if replace {
            plan = plan.replacing();
        }
        let written = inner.write_backup(plan, &passphrase).await?;
        let head = written.manifest.head;
        let ms = u64::try_from(made_at.as_millisecond()).unwrap_or_default();
        // The copy's last event is its own.
        inner.ledger.set_mark(BACKUP_SEQ_MARK, head.seq.saturating_sub(1)).await?;
        inner.ledger.set_mark(BACKUP_MS_MARK, ms).await?;
        inner.changed(&["status"]);
        Ok(BackupMade {
            path: written.path.display().to_string(),
            bytes: written.bytes,
            sha256: hex::encode(written.sha256),
            made_at: made_at.to_string(),
            events: head.seq,
        })
    }

    /// How far the backup that is being made is.
    ///
    /// # Errors
    /// None; the form is every command's.
    pub async fn backup_progress(&self) -> Result<BackupProgress, Problem> {
        Ok(self.inner.backing_up.view())
    }

    /// The last backup, and whether it is time for another.
    pub(crate) async fn backup_view(&self) -> Result<BackupView, Problem> {
        let ledger = &self.inner.ledger;
        let last_ms = ledger.mark(BACKUP_MS_MARK).await?.unwrap_or_default();
        let last_ms = i64::try_from(last_ms).ok().filter(|ms| *ms > 0);
        let held = ledger.mark(BACKUP_SEQ_MARK).await?.unwrap_or_default();
        let since = ledger.head().seq.saturating_sub(held);
        let last = last_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let reminder = due(last, since, Schedule::default(), ledger.now());
        Ok(BackupView {
            last_at: last.map(|last| last.to_string()),
            events_since: since,
            note: reminder.map(|reminder| match reminder.last_backup {
                None => {
                    "No backup has been made yet. Without one, a lost disk loses the books.".into()
                }
                Some(_) => format!(
                    "The last backup is more than a week old, and {} came since.",
                    counted(reminder.events)
                ),
            }),
        })
    }
}

/// “1 event”, “12 events”.
fn counted(events: u64) -> String {
    if events == 1 { "1 event".into() } else { format!("{events} events") }
}

impl Inner {
    async fn write_backup(
        &self,
        plan: BackupPlan,
        passphrase: &SecretText,
    ) -> Result<imprest_backup::Written, Problem> {
        let _begun = self.backing_up.begin().ok_or_else(|| {
            Problem::new(
                ErrorCode::InUse,
                "Another backup is being made.",
                "Wait for its end, then try again.",
            )
        })?;
        let noting = self.backing_up.clone();
        let tell = move |progress| noting.note(progress);
        Ok(imprest_backup::write(plan, passphrase, tell).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_passes_the_whole() {
        let at = |done_bytes, total_bytes| {
            view_of(Progress { step: Step::Sealing, done_bytes, total_bytes }).permille
        };
        assert_eq!(at(0, 0), None);
        assert_eq!((at(0, 10), at(5, 10), at(10, 10)), (Some(0), Some(500), Some(1_000)));
        assert_eq!(at(11, 10), Some(1_000));
        assert_eq!(at(u64::MAX, 1), Some(1_000));
    }

    #[test]
    fn an_end_is_an_end() {
        let backing_up = BackingUp::default();
        let proving = Progress { step: Step::Proving, done_bytes: 0, total_bytes: 0 };
        assert!(!backing_up.view().running);
        let begun = backing_up.begin();
        assert!(begun.is_some() && backing_up.begin().is_none());
        backing_up.note(proving);
        assert_eq!(backing_up.view().step, "proving");
        drop(begun);
        // What still runs behind an end does not begin anything.
        backing_up.note(proving);
        assert!(!backing_up.view().running && backing_up.begin().is_some());
        assert_eq!((counted(1), counted(2)), ("1 event".into(), "2 events".into()));
    }
}
