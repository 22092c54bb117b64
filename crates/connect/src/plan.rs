//! A change to an agent program's settings, worked out and not yet made.

use crate::disk::{Seen, look};
use crate::edit::{BOM, line_and_column};
use crate::error::ConnectError;
use crate::form::{Edited, Form, Refusal};
use crate::machine::Machine;
use crate::program::Program;
use crate::server::{Server, ServerName};
use crate::show::diff;
use std::fmt;
use std::path::{Path, PathBuf};

/// What stands under a name in a program's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// An entry that starts `imprest mcp` for an agent.
    Ours {
        /// The agent's name, as it stands there.
        agent: String,
    },
    /// Somebody else's server.
    Taken,
}

/// Says what stands under a name in a program's settings.
///
/// # Errors
/// [`ConnectError`] for settings that cannot be read.
pub fn standing(
    machine: &Machine,
    program: Program,
    name: &ServerName,
) -> Result<Standing, ConnectError> {
    let file = machine.settings(program)?;
    let seen = look(&file)?;
    let Some(text) = &seen.text else { return Ok(Standing::Free) };
    let form = match form(program, without_bom(text), name.as_str()) {
        Ok(form) => form,
        Err(refusal) => return Err(refused(program, &file, text, name.as_str(), refusal)),
    };
    match form.agent() {
        Ok(None) => Ok(Standing::Free),
        Ok(Some(agent)) => Ok(Standing::Ours { agent: agent.to_owned() }),
        Err(_) => Ok(Standing::Taken),
    }
}

/// A change to one settings file. Nothing is written before it is [applied](crate::apply).
#[derive(Clone)]
pub struct Plan {
    pub(crate) program: Program,
    pub(crate) server: Server,
    /// The path as the program has it, which may be a link.
    pub(crate) file: PathBuf,
    pub(crate) seen: Seen,
    pub(crate) after: String,
    pub(crate) made: usize,
    replaces: bool,
    diff: String,
}

impl Plan {
    /// Works out how `server` gets into the settings of a program: as a new entry behind the others,
    /// or, where an entry of ours has the name, by changing in it the command and the agent only.
    ///
    /// # Errors
    /// [`ConnectError::Taken`] for a name that is somebody else's, and what keeps the file from being
    /// read or changed.
    pub fn new(machine: &Machine, program: Program, server: Server) -> Result<Plan, ConnectError> {
        let name = server.name().as_str().to_owned();
        if program.facts().reserved.contains(&name.as_str()) {
            return Err(ConnectError::Reserved { program: program.title(), name });
        }
        let file = machine.settings(program)?;
        let seen = look(&file)?;
        let before = seen.text.as_deref().unwrap_or_default();
        let body = without_bom(before);
        let worked_out = form(program, body, &name)
            .and_then(|form| Ok((form.with(&server)?, form.agent()?.is_some())));
        let (edited, replaces) =
            worked_out.map_err(|refusal| refused(program, &file, before, &name, refusal))?;
        let diff = diff(program.facts().format, &file, body, &edited);
        let after = with_bom_of(before, &edited);
        Ok(Plan { program, server, file, after, made: edited.made, replaces, diff, seen })
    }

    /// The program.
    pub fn program(&self) -> Program {
        self.program
    }

    /// The entry.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The settings file, by the path the program knows.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The whole text as it is; `None` where there is no file yet. It may hold secrets of others.
    pub fn before(&self) -> Option<&str> {
        self.seen.text.as_deref()
    }

    /// The whole text as it will be. It may hold secrets of others.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// The change as a unified diff, to be shown: values that are not part of the change are shown
    /// as `…`, because they may be secrets.
    pub fn diff(&self) -> &str {
        &self.diff
    }

    /// Whether an entry of ours has the name already.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// Whether there is anything to be written.
    pub fn is_needed(&self) -> bool {
        self.before() != Some(self.after())
    }
}

impl fmt::Debug for Plan {
    /// Without the texts, which may hold secrets of others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("program", &self.program)
            .field("file", &self.file)
            .field("server", &self.server)
            .field("replaces", &self.replaces)
            .finish_non_exhaustive()
    }
}

/// Reads a program's settings from a text without a byte order mark.
pub(crate) fn form<'a>(
    program: Program,
    body: &'a str,
    name: &'a str,
) -> Result<Form<'a>, Refusal> {
    let facts = program.facts();
    Form::read(body, facts.format, facts.keys, facts.shape, name)
}

pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix(BOM).unwrap_or(text)
}

/// The new text with the byte order mark that the old one had.
pub(crate) fn with_bom_of(before: &str, edited: &Edited) -> String {
    let mark = before.starts_with(BOM).then_some(BOM);
    mark.into_iter().chain(edited.text.chars()).collect()
}

/// A refusal as an error that names the file and the place.
pub(crate) fn refused(
    program: Program,
    file: &Path,
    text: &str,
    name: &str,
    refusal: Refusal,
) -> ConnectError {
    let path = file.to_owned();
    match refusal {
        Refusal::Bad(bad) => {
            let (line, column) = line_and_column(without_bom(text), bad.at);
            ConnectError::Malformed { path, line, column, why: bad.why }
        }
        Refusal::Shape(key, why) => ConnectError::Shape { path, key, why },
        Refusal::Taken if program.facts().reserved.contains(&name) => {
            ConnectError::Reserved { program: program.title(), name: name.to_owned() }
        }
        Refusal::Taken => ConnectError::Taken { path, name: name.to_owned() },
        Refusal::Absent => ConnectError::NotConnected { path, name: name.to_owned() },
        Refusal::Unsafe => ConnectError::Unsafe { path, doing: "changed" },
    }
}
