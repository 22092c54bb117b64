//! Why an agent program's settings were not changed, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a change was not planned, not made or not taken back. Every message names the file and what
/// to do, and none repeats a value that stands in the file: it may be somebody's secret.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// This machine has no place where the program keeps its settings.
    #[error(
        "the settings of {program} have no place here: its folder is not known on this system. Use the snippet."
    )]
    NoPlace {
        /// The program's name.
        program: &'static str,
    },
    /// The operating system refused a file operation.
    #[error("could not {doing} {}: {source}. Check the folder's permissions, then try again; the settings are as they were.", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("the disk is full, so {} could not be written; the settings are as they were. Free some space, then try again.", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The file is larger than settings ever are.
    #[error("{} has {bytes} bytes, and at most {max} are taken as settings. Add the entry by hand with the snippet.", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is taken.
        max: u64,
    },
    /// Something else than a plain file of this user stands at the path.
    #[error("{} {why}, so it is left alone. Add the entry by hand with the snippet.", path.display())]
    NotYours {
        /// Which path.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// The path is a link to nothing.
    #[error("{} is a link to a place where nothing is. Make the file it points to, or remove the link, then try again.", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// The file cannot be read in its format.
    #[error("{} cannot be read at line {line}, column {column}: {why}. It was left alone; correct that place, then try again.", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// A key of the file holds something else than it should.
    #[error("{}: “{key}” {why}. It was left alone; correct that, then try again.", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// The key, with the keys above it.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name is another server's.
    #[error("{} already has a server called “{name}” that is not this desk's. Choose another name.", path.display())]
    Taken {
        /// Which file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The name means something else to the program.
    #[error("{program} does not take “{name}” as a server's name. Choose another name.")]
    Reserved {
        /// The program's name.
        program: &'static str,
        /// The name.
        name: String,
    },
    /// The command cannot be written into settings.
    #[error("the path {} cannot be used in settings: {why}. Install Imprest in a folder with a plain name, then try again.", path.display())]
    Command {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The change would not leave everything else as it was.
    #[error("{} is written in a way in which the entry cannot be {doing} without touching something else, so it was left alone. Do it by hand.", path.display())]
    Unsafe {
        /// Which file.
        path: PathBuf,
        /// What was to happen to the entry.
        doing: &'static str,
    },
    /// The file is not what it was when the change was planned.
    #[error("{} was changed by another program meanwhile, so nothing was written. Try again, and look at the change once more.", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// There is nothing of ours to take out.
    #[error("{} has no server called “{name}” that is this desk's. `imprest connect list` says what is connected.", path.display())]
    NotConnected {
        /// Which file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The list of connections cannot be read.
    #[error("the list of connections {} cannot be read: {why}. Move it aside; entries are found without it.", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another program is connecting or disconnecting at this moment.
    #[error("another program is changing the connections in {} at this moment. Try again.", path.display())]
    Busy {
        /// The list of connections.
        path: PathBuf,
    },
}

impl ConnectError {
    /// For `map_err` behind a file operation.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ConnectError {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ConnectError::DiskFull { path }
            }
            _ => ConnectError::Io { doing, path, source },
        }
    }
}
