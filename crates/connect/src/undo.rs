//! Taking an entry back out.

use crate::disk::{Seen, back_up, look, prepare, remove};
use crate::error::ConnectError;
use crate::form::Refusal;
use crate::machine::Machine;
use crate::plan::{form, refused, with_bom_of, without_bom};
use crate::program::Program;
use crate::record::{Connection, Turn, digest, load, save};
use crate::server::ServerName;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// How an entry was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// The file was exactly what was written, and is now byte for byte what it was before.
    AsBefore {
        /// The settings file.
        file: PathBuf,
    },
    /// Others had changed the file meanwhile; the entry alone was taken out.
    EntryRemoved {
        /// The settings file.
        file: PathBuf,
        /// The copy of it with the entry.
        backup: PathBuf,
    },
    /// The file had been made for the entry and held nothing else; it is gone.
    FileRemoved {
        /// Where it was.
        file: PathBuf,
    },
    /// The entry was gone already; only the note of it was removed.
    AlreadyGone {
        /// The settings file.
        file: PathBuf,
    },
}

/// Takes the entry `name` out of a program's settings again. An entry that starts `imprest mcp` is
/// taken out even if the list at `record` does not know of it; anybody else's is not.
///
/// # Errors
/// [`ConnectError::NotConnected`] where there is neither entry nor note, [`ConnectError::Taken`]
/// where the name is somebody else's now. After an error the file is as it was.
pub fn undo(
    machine: &Machine,
    program: Program,
    name: &ServerName,
    record: &Path,
    now: Timestamp,
) -> Result<Undone, ConnectError> {
    let _turn = Turn::take(record)?;
    let known = load(record)?;
    let name = name.as_str();
    let noted = known
        .connections
        .iter()
        .rev()
        .find(|connection| connection.program == program && connection.name == name);
    let file = match noted {
        Some(connection) => connection.file.clone(),
        None => machine.settings(program)?,
    };
    let undone = take_out(program, &file, name, noted, now)?;
    if noted.is_some() {
        save(record, &known.without(&file, name))?;
    }
    Ok(undone)
}

fn take_out(
    program: Program,
    file: &Path,
    name: &str,
    noted: Option<&Connection>,
    now: Timestamp,
) -> Result<Undone, ConnectError> {
    let seen = look(file)?;
    let absent = || ConnectError::NotConnected { path: file.to_owned(), name: name.to_owned() };
    let gone = || match noted {
        Some(_) => Ok(Undone::AlreadyGone { file: file.to_owned() }),
        None => Err(absent()),
    };
    let Some(text) = seen.text.as_deref() else { return gone() };
    if let Some(connection) = noted.filter(|noted| noted.after_sha256 == digest(text)) {
        if connection.created && connection.backup.is_none() {
            still(&seen, file)?;
            remove(&seen.real)?;
            return Ok(Undone::FileRemoved { file: file.to_owned() });
        }
        if let Some(before) = before(connection) {
            replace(&seen, file, &before)?;
            return Ok(Undone::AsBefore { file: file.to_owned() });
        }
    }
    let body = without_bom(text);
    let refuse = |refusal| match refusal {
        Refusal::Unsafe => ConnectError::Unsafe { path: file.to_owned(), doing: "taken out" },
        other => refused(program, file, text, name, other),
    };
    let without = form(program, body, name)
        .and_then(|form| form.without(noted.map_or(0, |connection| connection.made)));
    let edited = match without {
        Err(Refusal::Absent) => return gone(),
        other => other.map_err(refuse)?,
    };
    let is_empty = form(program, &edited.text, name).is_ok_and(|form| form.is_empty());
    if is_empty && noted.is_some_and(|connection| connection.created) {
        still(&seen, file)?;
        remove(&seen.real)?;
        return Ok(Undone::FileRemoved { file: file.to_owned() });
    }
    let after = with_bom_of(text, &edited);
    let backup = back_up(file, &seen, now)?;
    if let Err(error) = replace(&seen, file, &after) {
        let _ = std::fs::remove_file(&backup);
        return Err(error);
    }
    Ok(Undone::EntryRemoved { file: file.to_owned(), backup })
}

/// What stood in the file before, if the backup is still that.
fn before(connection: &Connection) -> Option<String> {
    let backup = look(connection.backup.as_deref()?).ok()?.text?;
    (Some(digest(&backup)) == connection.before_sha256).then_some(backup)
}

fn replace(seen: &Seen, file: &Path, text: &str) -> Result<(), ConnectError> {
    let ready = prepare(seen, text)?;
    still(seen, file)?;
    ready.place(true)
}

fn still(seen: &Seen, file: &Path) -> Result<(), ConnectError> {
    if seen.is_still(file)? { Ok(()) } else { Err(ConnectError::Changed { path: file.to_owned() }) }
}
