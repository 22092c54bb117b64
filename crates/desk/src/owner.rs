//! The owner's door to a running desk: a Unix socket in the data folder.
//!
//! One JSON line asks, one JSON line answers. The folder and the socket are the user's own; since
//! agents often run as the same user, every command that gives authority needs the passphrase with
//! it, and what reads or lowers does not. A passphrase that was given in the window does not count
//! here.

use crate::command_table;
use crate::desk::Desk;
use crate::presence::from_outside;
use crate::problem::{ErrorCode, bad_form, bad_input};
use crate::view::Problem;
use imprest_vault::SecretText;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use zeroize::{Zeroize, Zeroizing};

/// The most one line may be, in bytes.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How much is read at once, in bytes; most lines are shorter.
const PIECE_BYTES: usize = 4 * 1024;
/// How long a connected program may take to ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a running desk may take to say that it runs.
const RUNNING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a command may take; a refill waits for the chain.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);
/// How many owner's programs are served at once.
const CONNECTIONS_MAX: usize = 32;
/// How long a wrong passphrase keeps the next try waiting.
const WRONG_PAUSE: Duration = Duration::from_millis(500);
/// The longest path a Unix socket can have, with some room.
const SOCKET_PATH_MAX: usize = 100;

/// These carry their own secret, or need none: it is what they are about.
const CARRIES_ITS_OWN: [&str; 12] = [
    "create_vault",
    "unlock",
    "unlock_with_keychain",
    "recover",
    "confirm",
    "change_passphrase",
    "add_way",
    "remove_way",
    "move_to_keychain",
    "import_treasury",
    "watch_treasury",
    "own_treasury",
];
/// These may just as well lower, which needs no passphrase: the desk compares and asks if not.
pub const MAY_LOWER: [&str; 5] =
    ["set_budget", "set_grade", "set_shared", "join_shared", "set_locks"];

/// What a command does to authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing.
    Read,
    /// Only takes authority away.
    Lower,
    /// Can give authority, so it needs the passphrase.
    Raise,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $type:ty),* $(,)?) -> $answer:ty;)*) => {
        /// What a command of the table does to authority; nothing for an unknown name.
        pub fn kind(command: &str) -> Option<Kind> {
            match command {
                $(stringify!($name) => Some(kind_word(stringify!($kind))),)*
                _ => None,
            }
        }
    };
}
command_table!(kinds);

fn kind_word(word: &str) -> Kind {
    match word {
        "read" => Kind::Read,
        "lower" => Kind::Lower,
        _ => Kind::Raise,
    }
}

/// Why a running desk did not answer as wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerError {
    /// No desk runs on that folder.
    NotRunning,
    /// It runs, and said no.
    Refused(Problem),
}

/// Where a running desk can be reached by agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The agents' HTTP API.
    pub http_url: Option<String>,
    /// The agents' MCP endpoint.
    pub mcp_url: Option<String>,
    /// Its process.
    pub pid: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    command: String,
    #[serde(default)]
    args: Value,
    #[serde(default)]
    passphrase: Option<String>,
}

/// Asks the desk that runs on a data folder.
///
/// # Errors
/// [`OwnerError::NotRunning`] when there is none, [`OwnerError::Refused`] with its problem.
pub async fn call(
    data_dir: &Path,
    command: &str,
    args: Value,
    passphrase: Option<&SecretText>,
) -> Result<Value, OwnerError> {
    call_within(CALL_TIMEOUT, data_dir, command, args, passphrase).await
}

/// As [`call`], for what may take longer than most.
///
/// # Errors
/// As [`call`].
pub async fn call_within(
    patience: Duration,
    data_dir: &Path,
    command: &str,
    args: Value,
    passphrase: Option<&SecretText>,
) -> Result<Value, OwnerError> {
    let ask = json!({
        "command": command,
        "args": args,
        "passphrase": passphrase.map(SecretText::expose),
    });
    within(patience, exchange(data_dir, &ask)).await
}

/// Where the desk that runs on a data folder can be reached, if one runs.
pub async fn running(data_dir: &Path) -> Option<Running> {
    let ask = json!({ "command": "running" });
    let answer = within(RUNNING_TIMEOUT, exchange(data_dir, &ask)).await.ok()?;
    serde_json::from_value(answer).ok()
}

async fn within(
    patience: Duration,
    exchange: impl Future<Output = Result<Value, OwnerError>>,
) -> Result<Value, OwnerError> {
    tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| {
        Err(OwnerError::Refused(Problem::new(
            ErrorCode::Unavailable,
            format!("The desk gave no answer within {} seconds.", patience.as_secs()),
            "Look whether it still runs; end it and start it again if it hangs.",
        )))
    })
}

async fn exchange(data_dir: &Path, ask: &Value) -> Result<Value, OwnerError> {
    let mut stream =
        UnixStream::connect(socket(data_dir)).await.map_err(|_| OwnerError::NotRunning)?;
    if !is_ours(&stream, data_dir) {
        return Err(OwnerError::Refused(Problem::new(
            ErrorCode::Unavailable,
            "Another user's program answers where this desk should.",
            "Nothing was sent to it. Start the desk with a shorter data folder path.",
        )));
    }
    let cut = |error: std::io::Error| {
        OwnerError::Refused(Problem::new(
            ErrorCode::Unavailable,
            format!("The desk hung up: {error}."),
            "Look whether it still runs, and try again.",
        ))
    };
    let mut line = ask.to_string();
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(cut)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(cut)?;
    let garbled = |why: String| {
        OwnerError::Refused(Problem::new(
            ErrorCode::Internal,
            format!("The desk gave an answer that cannot be read: {why}."),
            "Use the `imprest` of the same version as the desk.",
        ))
    };
    match serde_json::from_str::<Value>(&answer).map_err(|e| garbled(e.to_string()))? {
        Value::Object(mut object) => match (object.remove("ok"), object.remove("problem")) {
            (Some(ok), None) => Ok(ok),
            (None, Some(problem)) => Err(serde_json::from_value(problem)
                .map_or_else(|e| garbled(e.to_string()), OwnerError::Refused)),
            _ => Err(garbled("neither ok nor problem".into())),
        },
        _ => Err(garbled("no object".into())),
    }
}

/// Whether the program at the other end runs as the user whose folder this is: a passphrase is not
/// for anyone else.
fn is_ours(stream: &UnixStream, data_dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let folder = std::fs::metadata(data_dir).map(|folder| folder.uid());
    matches!((stream.peer_cred(), folder), (Ok(peer), Ok(owner)) if peer.uid() == owner)
}

/// The socket's path: in the folder, or in the run-time folder under a name made from it when
/// the folder's path is too long for a socket.
fn socket(data_dir: &Path) -> PathBuf {
    let inside = data_dir.join("owner.sock");
    if inside.as_os_str().len() <= SOCKET_PATH_MAX {
        return inside;
    }
    let name = hex::encode(&Sha256::digest(data_dir.as_os_str().as_encoded_bytes())[..12]);
    // The user's own run-time folder, where there is one: nobody else can make files in it.
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    own.unwrap_or_else(std::env::temp_dir).join(format!("imprest-{name}.sock"))
}

pub(crate) fn forget_socket(data_dir: &Path) {
    let _ = std::fs::remove_file(socket(data_dir));
}

/// Opens the door. The folder's lock is held, so a socket that is there is a dead desk's.
pub(crate) fn listen(desk: &Desk) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let path = socket(desk.inner.place.dir());
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .and_then(|listener| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        })
        .map_err(|error| crate::place::unusable(&path, &error))?;
    let desk = desk.clone();
    let tasks = desk.inner.tasks.clone();
    tasks.spawn(async move {
        // One passphrase at a time, and a pause after a wrong one: guessing is slow.
        let guard = Arc::new(Mutex::new(()));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = desk.inner.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // No file handles left, most likely: trying again at once would only burn time.
                tokio::time::sleep(WRONG_PAUSE).await;
                continue;
            };
            let (desk, guard) = (desk.clone(), guard.clone());
            let Ok(place) = places.clone().acquire_owned().await else { return };
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = serve_one(desk, stream, guard).await {
                    tracing::debug!(%error, "an owner's program hung up");
                }
            });
        }
    });
    Ok(())
}

async fn serve_one(desk: Desk, stream: UnixStream, guard: Arc<Mutex<()>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let answer = match tokio::time::timeout(ASK_TIMEOUT, read_ask(read)).await {
        Err(_) => return Ok(()),
        Ok(Err(problem)) => Err(problem),
        Ok(Ok(ask)) => {
            tokio::select! {
                () = desk.inner.closing.cancelled() => return Ok(()),
                answer = answer(&desk, ask, &guard) => answer,
            }
        }
    };
    let (name, mut document) = match answer {
        Ok(ok) => ("ok", ok),
        Err(problem) => ("problem", json!(problem)),
    };
    // Sized for any answer with a secret, so that it does not grow and leave pieces behind.
    let mut line = Zeroizing::new(Vec::with_capacity(PIECE_BYTES));
    line.extend_from_slice(format!("{{\"{name}\":").as_bytes());
    let written = serde_json::to_writer(&mut *line, &document);
    wipe(&mut document);
    written?;
    line.extend_from_slice(b"}\n");
    write.write_all(&line).await
}

/// Reads one line into memory that is wiped: it may carry a passphrase or the recovery words.
async fn read_ask(read: impl AsyncRead + Unpin) -> Result<Ask, Problem> {
    let mut read = read.take(LINE_BYTES_MAX);
    let mut line = Zeroizing::new(Vec::with_capacity(PIECE_BYTES));
    let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
    let end = loop {
        let count = read.read(&mut piece).await.map_err(|e| bad_input("Line", e))?;
        if line.capacity() - line.len() < count {
            // By hand, because a vector that grows by itself leaves what it had behind.
            let mut longer = Zeroizing::new(Vec::with_capacity(2 * line.capacity()));
            longer.extend_from_slice(&line);
            line = longer;
        }
        let before = line.len();
        line.extend_from_slice(&piece[..count]);
        match piece[..count].iter().position(|byte| *byte == b'\n') {
            Some(at) => break before + at,
            None if count == 0 => break before,
            None => {}
        }
    };
    serde_json::from_slice(&line[..end]).map_err(|e| bad_form("Line", &e))
}

/// Wipes every text of a document that may have shown a secret.
fn wipe(document: &mut Value) {
    match document {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn answer(desk: &Desk, ask: Ask, guard: &Mutex<()>) -> Result<Value, Problem> {
    if ask.command == "running" {
        let endpoints = desk.endpoints();
        return Ok(json!(Running {
            http_url: endpoints.http_url,
            mcp_url: endpoints.mcp_url,
            pid: std::process::id(),
        }));
    }
    let carries_its_own = CARRIES_ITS_OWN.contains(&ask.command.as_str());
    let raises = kind(&ask.command) == Some(Kind::Raise);
    let asks = raises && !MAY_LOWER.contains(&ask.command.as_str());
    let args = if ask.args.is_null() { json!({}) } else { ask.args };
    if !asks && ask.passphrase.is_none() {
        return from_outside(false, desk.call(&ask.command, args)).await;
    }
    let _one_at_a_time = guard.lock().await;
    let outcome = if carries_its_own {
        from_outside(false, desk.call(&ask.command, args)).await
    } else {
        let passphrase = ask.passphrase.map(SecretText::new).ok_or_else(|| {
            Problem::new(
                ErrorCode::WrongPassphrase,
                "This needs the owner’s passphrase.",
                "Give it at the prompt, or with --passphrase-stdin.",
            )
        })?;
        match desk.owner_key(&passphrase).await {
            Ok(_) => {
                drop(_one_at_a_time);
                return from_outside(true, desk.call(&ask.command, args)).await;
            }
            Err(problem) => Err(problem),
        }
    };
    if outcome.as_ref().is_err_and(|problem| problem.code == ErrorCode::WrongPassphrase.word()) {
        tokio::time::sleep(WRONG_PAUSE).await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_authority_needs_the_passphrase() {
        for command in [
            "add_agent",
            "set_budget",
            "set_grade",
            "approve",
            "thaw",
            "refill",
            "allow_host",
            "rotate_token",
        ] {
            assert_eq!(kind(command), Some(Kind::Raise), "{command}");
        }
        for command in ["freeze", "refuse", "lock", "revoke_agent", "remove_host"] {
            assert_eq!(kind(command), Some(Kind::Lower), "{command}");
        }
        assert_eq!(kind("status"), Some(Kind::Read));
        assert_eq!(kind("drop_table"), None);
    }

    #[test]
    fn the_exceptions_are_commands_that_raise() {
        for command in CARRIES_ITS_OWN.into_iter().chain(MAY_LOWER) {
            assert_eq!(kind(command), Some(Kind::Raise), "{command}");
        }
    }

    #[tokio::test]
    async fn lines_are_read_strictly_and_bounded() {
        let ok = br#"{"command":"status","args":{}}"#;
        assert_eq!(read_ask(&ok[..]).await.expect("reads").command, "status");
        for bad in [
            &b""[..],
            b"{",
            b"[]",
            br#"{"args":{}}"#,
            br#"{"command":"status","extra":1}"#,
            b"\xff\xfe",
        ] {
            assert!(read_ask(bad).await.is_err(), "{bad:?}");
        }
        let endless = vec![b'['; usize::try_from(LINE_BYTES_MAX).expect("fits") + 10];
        assert!(read_ask(&endless[..]).await.is_err());
    }

    #[test]
    fn long_folders_get_a_short_socket() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
        assert!(socket(&long).as_os_str().len() <= SOCKET_PATH_MAX);
        assert_ne!(socket(&long), socket(&long.join("y")));
        assert_eq!(socket(Path::new("/tmp/desk")), Path::new("/tmp/desk/owner.sock"));
    }

    #[tokio::test]
    async fn nobody_home_is_said_so() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let answer = call(folder.path(), "status", json!({}), None).await;
        assert_eq!(answer, Err(OwnerError::NotRunning));
        assert_eq!(running(folder.path()).await, None);
    }
}
