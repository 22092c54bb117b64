//! Where a desk lives: its data folder, the lock that keeps it to one desk, and what is in it.

use crate::problem::ErrorCode;
use crate::view::Problem;
use imprest_domain::{AgentName, Asset};
use imprest_gateway::Token;
use imprest_ledger::Locks;
use imprest_vault::{Keychain, Vault};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The data folder: the one given, else `IMPREST_DATA`, else the platform's own place.
///
/// # Errors
/// When the platform names no place for a person's data.
pub fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Problem> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || set("HOME").or_else(|| set("USERPROFILE"));
    let own_place = || {
        if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support/app.imprest.desk"))
        } else if cfg!(windows) {
            set("APPDATA").map(|data| data.join("Imprest"))
        } else {
            set("XDG_DATA_HOME")
                .or_else(|| home().map(|home| home.join(".local/share")))
                .map(|data| data.join("imprest"))
        }
    };
    let dir = given.or_else(|| set("IMPREST_DATA")).or_else(own_place).ok_or_else(|| {
        Problem::new(
            ErrorCode::BadInput,
            "This system names no folder for your data.",
            "Give one with --data FOLDER.",
        )
    })?;
    std::path::absolute(&dir).map_err(|error| unusable(&dir, &error))
}

/// The bearer token of an agent, from the system's keychain.
///
/// # Errors
/// When there is no vault, no keychain, or no token of that name in it.
pub async fn agent_token(data_dir: &Path, agent: &str) -> Result<Token, Problem> {
    let name: AgentName =
        agent.parse().map_err(|e| crate::problem::bad_input("the agent’s name", e))?;
    let vault = Vault::open(Place::new(data_dir.to_owned()).vault())?;
    let keychain = Keychain::open(&vault.id());
    let missing = |why: String| {
        Problem::new(
            ErrorCode::NotFound,
            format!("The keychain gave no token for the agent “{name}”: {why}"),
            "Set IMPREST_TOKEN to its token instead, or make a new one with `imprest agent rotate`.",
        )
    };
    let kept = keychain.load(&token_entry(&name)).await.map_err(|e| missing(e.to_string()))?;
    let text = kept.ok_or_else(|| missing("it has none.".into()))?;
    Token::parse(&text).map_err(|e| missing(e.to_string()))
}

/// The keychain entry of an agent's token.
pub(crate) fn token_entry(name: &AgentName) -> String {
    format!("agent-token:{}", name.key())
}

/// What a desk remembers about itself between runs, beside books and vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Version of this file's form.
    pub(crate) version: u32,
    /// Whether this desk runs on practice money; never changes.
    pub(crate) practice: bool,
    /// The key of the network it pays on, if that is not the practice one; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<String>,
    /// The asset it pays in, once the network has been seen.
    pub(crate) asset: Option<Asset>,
    /// The port agents connect to; kept, so that their configuration stays true.
    pub(crate) port: Option<u16>,
    /// When vault and window lock themselves, as earlier programs kept it here, where anybody can
    /// edit it. The log says it now; read once for what is stricter, and never written again.
    #[serde(default, skip_serializing)]
    pub(crate) locks: Option<Locks>,
}

/// A data folder and what lies in it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    dir: PathBuf,
}

impl Place {
    pub(crate) fn new(dir: PathBuf) -> Place {
        Place { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.db")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.dir.join("vault.json")
    }

    pub(crate) fn practice(&self) -> PathBuf {
        self.dir.join("practice")
    }

    fn settings(&self) -> PathBuf {
        self.dir.join("desk.json")
    }

    /// Makes the folder, readable by its owner only; one that is there keeps its permissions.
    pub(crate) fn make(&self) -> Result<(), Problem> {
        let failed = |error: std::io::Error| unusable(&self.dir, &error);
        let fresh = !self.dir.is_dir();
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        #[cfg(unix)]
        if fresh {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&self.dir, std::fs::Permissions::from_mode(0o700))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Takes the folder for one desk; the operating system gives it back when the desk dies.
    pub(crate) fn take(&self) -> Result<File, Problem> {
        let path = self.dir.join("desk.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(Problem::new(
                ErrorCode::InUse,
                format!("Another desk is open on {}.", self.dir.display()),
                "Use that one, close it first, or choose another folder with --data.",
            )),
            Err(std::fs::TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }

    pub(crate) fn load_settings(&self) -> Result<Option<Settings>, Problem> {
        let path = self.settings();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        };
        // The version first: a newer form may have fields this program does not know.
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        if serde_json::from_str::<Form>(&text).is_ok_and(|form| form.version > 2) {
            return Err(Problem::new(
                ErrorCode::Disk,
                format!("The settings {} were written by a newer version.", path.display()),
                "Update Imprest to open this folder; nothing was changed.",
            ));
        }
        let settings: Settings = serde_json::from_str(&text).map_err(|error| {
            Problem::new(
                ErrorCode::Disk,
                format!("The settings {} cannot be read: {error}.", path.display()),
                "Move that file away; the desk makes a new one. Books and keys are not in it.",
            )
        })?;
        Ok(Some(settings))
    }

    pub(crate) fn save_settings(&self, settings: &Settings) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(settings).map_err(|error| {
            Problem::new(ErrorCode::Internal, error.to_string(), "Report this fault.")
        })?;
        write_whole(&self.settings(), text.as_bytes())
    }
}

/// Writes a file so that a power cut leaves the old one or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        unusable(path, &error)
    })
}

/// Writes a new file that only its owner can read, and never over another.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Problem::new(
            ErrorCode::Conflict,
            format!("There is a file {} already.", path.display()),
            "Choose another name; nothing was written.",
        ),
        _ => unusable(path, &error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = std::fs::remove_file(path);
        unusable(path, &error)
    })
}

/// A path the system would not let us use.
pub(crate) fn unusable(path: &Path, error: &std::io::Error) -> Problem {
    let (message, recovery) = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            ("the disk is full", "Free some space and try again; nothing was lost.")
        }
        std::io::ErrorKind::PermissionDenied => {
            ("you may not use it", "Make the folder yours, or choose another one with --data.")
        }
        std::io::ErrorKind::NotFound => ("it is not there", "Check the path and try again."),
        _ => ("the system refused", "Check the path and the disk, or choose another folder."),
    };
    Problem::new(
        ErrorCode::Disk,
        format!("{} cannot be used: {message} ({error}).", path.display()),
        recovery,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_folder_has_one_desk_at_a_time() {
        let folder = TempDir::new().expect("a folder");
        let place = Place::new(folder.path().join("desk"));
        place.make().expect("makes it");
        let first = place.take().expect("takes it");
        let second = place.take().expect_err("it is taken");
        assert_eq!(second.code, "in_use");
        drop(first);
        place.take().expect("takes it again");
    }

    fn settings_of(port: u16) -> Settings {
        Settings {
            version: 1,
            practice: true,
            network: None,
            asset: None,
            port: Some(port),
            locks: None,
        }
    }

    #[test]
    fn settings_survive_and_strangers_are_refused() {
        let folder = TempDir::new().expect("a folder");
        let place = Place::new(folder.path().to_owned());
        assert_eq!(place.load_settings().expect("reads"), None);
        let settings = settings_of(4020);
        place.save_settings(&settings).expect("writes");
        assert_eq!(place.load_settings().expect("reads"), Some(settings));
        for bad in [
            "",
            "{",
            "[]",
            r#"{"version":1}"#,
            r#"{"version":1,"practice":true,"asset":null,"port":1,"x":1}"#,
        ] {
            std::fs::write(place.settings(), bad).expect("writes");
            let problem = place.load_settings().expect_err(bad);
            assert!(problem.message.contains("desk.json"), "{problem}");
        }
        std::fs::write(place.settings(), r#"{"version":9,"practice":true,"asset":null,"port":1}"#)
            .expect("writes");
        assert!(place.load_settings().expect_err("newer").message.contains("newer"));
    }

    #[test]
    fn locks_of_an_earlier_program_are_read_and_never_written() {
        let folder = TempDir::new().expect("a folder");
        let place = Place::new(folder.path().to_owned());
        let load = |locks: &str| {
            let text = format!(r#"{{"version":1,"practice":true,"asset":null,"port":1{locks}}}"#);
            std::fs::write(place.settings(), text).expect("writes");
            place.load_settings().expect("reads").expect("there")
        };
        assert_eq!(load("").locks, None);
        let settings = load(r#","locks":{"window_idle_min":5}"#);
        let five = Locks { window_idle_min: Some(5), ..Locks::default() };
        assert_eq!(settings.locks, Some(five));
        place.save_settings(&settings).expect("writes");
        assert_eq!(place.load_settings().expect("reads").expect("there").locks, None);
    }

    #[test]
    fn a_private_file_is_new_and_its_owners() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("key.json");
        write_private(&path, b"one").expect("writes");
        assert_eq!(write_private(&path, b"two").expect_err("there").code, "conflict");
        assert_eq!(std::fs::read(&path).expect("reads"), b"one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_named() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("taken");
        std::fs::write(&path, "a file").expect("writes");
        let problem = Place::new(path).make().expect_err("it is a file");
        assert_eq!(problem.code, "disk");
        assert!(problem.message.contains("taken"));
    }

    #[test]
    fn a_whole_file_replaces_another_or_nothing() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("out.csv");
        write_whole(&path, b"one").expect("writes");
        write_whole(&path, b"two").expect("writes");
        assert_eq!(std::fs::read(&path).expect("reads"), b"two");
        assert!(write_whole(&folder.path().join("no/where.csv"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 1);
    }
}
