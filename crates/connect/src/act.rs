//! Making a planned change, all of it or nothing.

use crate::disk::{Step, Watch, back_up, prepare};
use crate::error::ConnectError;
use crate::plan::Plan;
use crate::record::{Connection, Record, Turn, digest, load, save};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The settings file.
    pub file: PathBuf,
    /// The copy of it as it was; none where there was no file.
    pub backup: Option<PathBuf>,
    /// Whether anything was written: an entry that is there already is left as it is.
    pub written: bool,
}

/// Makes a planned change: backs the file up beside it as `NAME.imprest-backup-YYYYMMDD-HHMMSS`
/// (`now`, in UTC), notes the change in the list of connections at `record`, and replaces the file in one step, its mode and owner kept.
///
/// # Errors
/// [`ConnectError::Changed`] for a file that is no longer what the plan saw, and what the disk says.
/// After an error the file is as it was.
pub fn apply(plan: &Plan, record: &Path, now: Timestamp) -> Result<Applied, ConnectError> {
    apply_watched(plan, record, now, &|_| Ok(()))
}

pub(crate) fn apply_watched(
    plan: &Plan,
    record: &Path,
    now: Timestamp,
    watch: Watch<'_>,
) -> Result<Applied, ConnectError> {
    let _turn = Turn::take(record)?;
    check(plan)?;
    let mut applied = Applied { file: plan.file.clone(), backup: None, written: false };
    if !plan.is_needed() {
        return Ok(applied);
    }
    let known = load(record)?;
    if plan.seen.text.is_some() {
        watch(Step::Backup).map_err(ConnectError::io("back up", &plan.file))?;
        applied.backup = Some(back_up(&plan.file, &plan.seen, now)?);
    }
    let noted = known.with(plan, applied.backup.clone(), now);
    if let Err(error) = write(plan, record, &noted, watch) {
        // The note of a change that was not made would be wrong, and the backup is of no use.
        let _ = save(record, &known);
        if let Some(backup) = &applied.backup {
            let _ = std::fs::remove_file(backup);
        }
        return Err(error);
    }
    applied.written = true;
    Ok(applied)
}

fn check(plan: &Plan) -> Result<(), ConnectError> {
    if plan.seen.is_still(&plan.file)? {
        Ok(())
    } else {
        Err(ConnectError::Changed { path: plan.file.clone() })
    }
}

/// The list is written first: a note without a change does no harm, a change without a note would
/// not be taken back as it should.
fn write(plan: &Plan, record: &Path, noted: &Record, watch: Watch<'_>) -> Result<(), ConnectError> {
    watch(Step::Temporary).map_err(ConnectError::io("write", &plan.file))?;
    let ready = prepare(&plan.seen, &plan.after)?;
    watch(Step::Record).map_err(ConnectError::io("write", record))?;
    save(record, noted)?;
    watch(Step::Place).map_err(ConnectError::io("replace", &plan.file))?;
    // As late as can be: what another program wrote until here is not lost.
    check(plan)?;
    ready.place(plan.seen.text.is_some())
}

impl Record {
    /// The list with a change in it. Where ours follows ours, what was before the first one counts,
    /// so that taking it back does not bring an older entry of ours to life.
    fn with(&self, plan: &Plan, backup: Option<PathBuf>, now: Timestamp) -> Record {
        let name = plan.server.name().as_str();
        let before = plan.seen.text.as_deref().map(digest);
        let mut connection = Connection {
            program: plan.program,
            file: plan.file.clone(),
            name: name.to_owned(),
            agent: plan.server.agent().as_str().to_owned(),
            connected_at: now,
            backup,
            created: before.is_none(),
            before_sha256: before.clone(),
            after_sha256: digest(&plan.after),
            made: plan.made,
        };
        if let Some(earlier) = self.get(&plan.file, name).filter(|_| plan.replaces()) {
            let untouched = before.as_ref() == Some(&earlier.after_sha256);
            connection.backup = earlier.backup.clone().filter(|_| untouched);
            connection.before_sha256 = earlier.before_sha256.clone().filter(|_| untouched);
            // What others wrote in between would go with the file.
            connection.created = earlier.created && untouched;
            connection.made = earlier.made;
        }
        let mut record = self.without(&plan.file, name);
        record.connections.push(connection);
        record
    }
}
