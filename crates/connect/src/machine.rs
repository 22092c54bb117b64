//! The machine as far as agent programs' settings go: whose home, which system, what is on the path.

use crate::error::ConnectError;
use crate::facts::{Base, Place};
use crate::program::Program;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// An operating system, as far as it decides where settings lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux, and whatever else follows the XDG folders.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    /// The system this program was built for.
    pub fn here() -> Os {
        if cfg!(windows) {
            Os::Windows
        } else if cfg!(target_os = "macos") {
            Os::MacOs
        } else {
            Os::Linux
        }
    }
}

/// One user's machine: where to look for programs and their settings. Made by hand it is any
/// machine, which is how tests have one.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The system.
    pub os: Os,
    /// The user's home folder.
    pub home: PathBuf,
    /// Folders in which commands are looked for.
    pub path: Vec<PathBuf>,
    /// Variables that move settings elsewhere, such as `XDG_CONFIG_HOME` or `CODEX_HOME`. One whose
    /// value is no absolute path counts as not set.
    pub variables: BTreeMap<String, OsString>,
}

/// The variables that are read, apart from those of home and path.
const VARIABLES: [&str; 7] = [
    "XDG_CONFIG_HOME",
    "APPDATA",
    "LOCALAPPDATA",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
    "GEMINI_CLI_HOME",
    "GOOSE_PATH_ROOT",
];

impl Machine {
    /// This machine as its user has it; `None` where the home folder is not known.
    pub fn here() -> Option<Machine> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Some(Machine {
            os: Os::here(),
            home: std::env::home_dir().filter(|home| home.is_absolute())?,
            path: std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
            variables: VARIABLES
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)))
                .collect(),
        })
    }

    fn variable(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn base(&self, base: Base) -> Option<PathBuf> {
        match base {
            Base::Home => Some(self.home.clone()),
            Base::Config => {
                Some(self.variable("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config")))
            }
            Base::AppSupport => Some(self.home.join("Library/Application Support")),
            Base::AppData => {
                Some(self.variable("APPDATA").unwrap_or_else(|| self.home.join("AppData/Roaming")))
            }
            Base::LocalAppData => Some(
                self.variable("LOCALAPPDATA").unwrap_or_else(|| self.home.join("AppData/Local")),
            ),
            Base::Variable(name) => self.variable(name),
        }
    }

    /// The paths that the places mean here, best first.
    fn resolve(&self, places: &[Place]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for place in places.iter().filter(|place| place.on.contains(&self.os)) {
            let Some(base) = self.base(place.base) else { continue };
            paths.push(place.path.split('/').fold(base, |path, part| path.join(part)));
            // A program whose folder was moved by a variable does not look at the usual one.
            if matches!(place.base, Base::Variable(_)) {
                break;
            }
        }
        paths
    }

    /// The program's settings file: the one that is there, else the one that would be made.
    pub(crate) fn settings(&self, program: Program) -> Result<PathBuf, ConnectError> {
        let facts = program.facts();
        let paths = self.resolve(facts.files);
        // A link to nothing is there too: it has to be refused and not passed over.
        let there = paths.iter().find(|path| path.symlink_metadata().is_ok());
        // Where several could be made, a folder that is there tells which one the program reads.
        let homely = || paths.iter().find(|path| path.parent().is_some_and(Path::is_dir));
        there
            .or_else(homely)
            .or(paths.last())
            .cloned()
            .ok_or(ConnectError::NoPlace { program: program.title() })
    }

    fn has_command(&self, name: &str) -> bool {
        let endings: &[&str] =
            if self.os == Os::Windows { &[".exe", ".cmd", ".bat"] } else { &[""] };
        self.path.iter().any(|folder| {
            endings.iter().any(|ending| is_command(&folder.join(format!("{name}{ending}"))))
        })
    }
}

fn is_command(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

/// A program that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub program: Program,
    /// Its settings file.
    pub file: PathBuf,
    /// Whether that file is there; without it the program is found, without a config yet.
    pub has_config: bool,
}

/// Looks for all programs; answers those that are here, in the order of [`Program::ALL`].
pub fn find(machine: &Machine) -> Vec<Found> {
    Program::ALL.into_iter().filter_map(|program| found(machine, program)).collect()
}

/// Looks for one program: by its settings file, its folder or its command on the path.
pub fn found(machine: &Machine, program: Program) -> Option<Found> {
    let facts = program.facts();
    let file = machine.settings(program).ok()?;
    let has_config = file.symlink_metadata().is_ok();
    let is_here = has_config
        || machine.resolve(facts.folders).iter().any(|folder| folder.is_dir())
        || facts.commands.iter().any(|command| machine.has_command(command));
    is_here.then_some(Found { program, file, has_config })
}
