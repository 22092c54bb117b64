//! The owner's door to a running desk: a Unix socket in the data folder.
//!
//! One JSON line asks, one JSON line answers. The folder and the socket are the user's own; since
//! agents often run as the same user, every command that gives authority needs the passphrase with
//! it, and what reads or lowers does not. A passphrase that was given in the window does not count
//! here, and one that comes here counts for its one command and opens nothing in the window.

use crate::anteroom::Anteroom;
use crate::command_table;
use crate::desk::Desk;
use crate::presence::from_outside;
use crate::problem::{ErrorCode, bad_form, bad_input};
use crate::view::Problem;
use imprest_vault::SecretText;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use zeroize::{Zeroize, Zeroizing};

/// The most one line may be, in bytes; a keystore is the longest thing there is.
const LINE_BYTES_MAX: u64 = 512 * 1024;
/// How much is read at once, in bytes; most lines are shorter.
const PIECE_BYTES: usize = 4 * 1024;
/// How long a connected program may take to ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a running desk may take to say that it runs.
const RUNNING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a command may take; a refill and cancellations wait for the chain.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a program may take to read its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connected programs may be asking at once; one more sends away who has taken longest.
const ASKING_MAX: usize = 48;
/// How many commands that read or raise are carried out at once.
const SERVED_MAX: usize = 32;
/// How many commands of one kind that only lowers are carried out at once.
const LOWERING_MAX: usize = 4;
/// How many more commands may wait for each of these places.
const QUEUED_MAX: usize = 64;
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

        /// All commands of the table.
        const COMMANDS: [&str; [$(stringify!($name)),*].len()] = [$(stringify!($name)),*];
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
    match kind(command) {
        Some(Kind::Lower) => within(patience, heard(data_dir, &ask)).await,
        _ => within(patience, async { exchange(data_dir, &ask).await?.ok_or_else(hung_up) }).await,
    }
}

/// Where the desk that runs on a data folder can be reached, if one runs.
pub async fn running(data_dir: &Path) -> Option<Running> {
    let ask = json!({ "command": "running" });
    let answer = within(RUNNING_TIMEOUT, heard(data_dir, &ask)).await.ok()?;
    serde_json::from_value(answer).ok()
}

/// Asks until it is heard: in a crowd the desk hangs up on whoever takes longest to ask. Only for
/// what may be done twice.
async fn heard(data_dir: &Path, ask: &Value) -> Result<Value, OwnerError> {
    loop {
        if let Some(answer) = exchange(data_dir, ask).await? {
            return Ok(answer);
        }
        tokio::task::yield_now().await;
    }
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

fn hung_up() -> OwnerError {
    OwnerError::Refused(Problem::new(
        ErrorCode::Unavailable,
        "The desk hung up.",
        "Look whether it still runs, and try again.",
    ))
}

/// Asks once; nothing when the desk hangs up without an answer.
async fn exchange(data_dir: &Path, ask: &Value) -> Result<Option<Value>, OwnerError> {
    let mut stream =
        UnixStream::connect(socket(data_dir)).await.map_err(|_| OwnerError::NotRunning)?;
    if !is_ours(&stream, data_dir) {
        return Err(OwnerError::Refused(Problem::new(
            ErrorCode::Unavailable,
            "Another user's program answers where this desk should.",
            "Nothing was sent to it. Start the desk with a shorter data folder path.",
        )));
    }
    let mut line = ask.to_string();
    line.push('\n');
    let mut answer = String::new();
    if stream.write_all(line.as_bytes()).await.is_err()
        || !matches!(BufReader::new(stream).read_line(&mut answer).await, Ok(1..))
    {
        return Ok(None);
    }
    let garbled = |why: String| {
        OwnerError::Refused(Problem::new(
            ErrorCode::Internal,
            format!("The desk gave an answer that cannot be read: {why}."),
            "Use the `imprest` of the same version as the desk.",
        ))
    };
    match serde_json::from_str::<Value>(&answer).map_err(|e| garbled(e.to_string()))? {
        Value::Object(mut object) => match (object.remove("ok"), object.remove("problem")) {
            (Some(ok), None) => Ok(Some(ok)),
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
        let (door, anteroom) = (Arc::new(Door::new()), Anteroom::new(ASKING_MAX));
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
            let (desk, door, guest) = (desk.clone(), door.clone(), anteroom.enter());
            tokio::spawn(async move {
                let (read, write) = stream.into_split();
                let asked = tokio::select! {
                    () = guest.sent_away() => return,
                    asked = tokio::time::timeout(ASK_TIMEOUT, read_ask(read)) => asked,
                };
                drop(guest);
                let Ok(asked) = asked else { return };
                if let Err(error) = serve_one(&desk, asked, write, &door).await {
                    tracing::debug!(%error, "an owner's program hung up");
                }
            });
        }
    });
    Ok(())
}

/// Places for what programs ask. Whoever fills one kind of places leaves the others free: each
/// command that only lowers has its own, so that nobody can keep the owner from freezing.
struct Door {
    served: Places,
    lowering: HashMap<&'static str, Places>,
    /// One passphrase at a time, and a pause after a wrong one: guessing is slow.
    guard: Mutex<()>,
}

/// Some places, and a queue before them that has an end.
struct Places {
    queue: Semaphore,
    served: Semaphore,
}

impl Places {
    fn new(count: usize) -> Places {
        Places { queue: Semaphore::new(count + QUEUED_MAX), served: Semaphore::new(count) }
    }
}

impl Door {
    fn new() -> Door {
        let lowering = COMMANDS.into_iter().filter(|command| kind(command) == Some(Kind::Lower));
        Door {
            served: Places::new(SERVED_MAX),
            lowering: lowering.map(|command| (command, Places::new(LOWERING_MAX))).collect(),
            guard: Mutex::new(()),
        }
    }

    /// Carries out what was asked, when there is a place for it.
    async fn answer(&self, desk: &Desk, ask: Ask) -> Result<Value, Problem> {
        if ask.command == "running" {
            // Whoever wants to freeze asks this first, so it takes no place.
            return Ok(running_here(desk));
        }
        let places = self.lowering.get(ask.command.as_str()).unwrap_or(&self.served);
        let busy = || {
            Problem::new(
                ErrorCode::Unavailable,
                "Too many programs ask the desk for this at once.",
                "Try again; if it stays so, look which program of yours asks so much.",
            )
        };
        let _queued = places.queue.try_acquire().map_err(|_| busy())?;
        let _served = places.served.acquire().await.map_err(|_| busy())?;
        answer(desk, ask, &self.guard).await
    }
}

async fn serve_one(
    desk: &Desk,
    asked: Result<Ask, Problem>,
    mut write: impl AsyncWrite + Unpin,
    door: &Door,
) -> std::io::Result<()> {
    let answer = match asked {
        Err(problem) => Err(problem),
        Ok(ask) => {
            tokio::select! {
                () = desk.inner.closing.cancelled() => return Ok(()),
                answer = door.answer(desk, ask) => answer,
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
    tokio::time::timeout(ANSWER_TIMEOUT, write.write_all(&line)).await?
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

fn running_here(desk: &Desk) -> Value {
    let endpoints = desk.endpoints();
    json!(Running {
        http_url: endpoints.http_url,
        mcp_url: endpoints.mcp_url,
        pid: std::process::id(),
    })
}

async fn answer(desk: &Desk, ask: Ask, guard: &Mutex<()>) -> Result<Value, Problem> {
    let carries_its_own = CARRIES_ITS_OWN.contains(&ask.command.as_str());
    let raises = kind(&ask.command) == Some(Kind::Raise);
    let asks = raises && !MAY_LOWER.contains(&ask.command.as_str());
    let args = if ask.args.is_null() { json!({}) } else { ask.args };
    // What only lowers needs no passphrase, and one that comes along is not looked at: it would let
    // wrong ones stand in the way of whoever wants to freeze.
    let lowers = kind(&ask.command) == Some(Kind::Lower) && !carries_its_own;
    if lowers || (!asks && ask.passphrase.is_none()) {
        return from_outside(None, desk.call(&ask.command, args)).await;
    }
    let _one_at_a_time = guard.lock().await;
    let outcome = if carries_its_own {
        from_outside(None, desk.call(&ask.command, args)).await
    } else {
        let passphrase = ask.passphrase.map(SecretText::new).ok_or_else(|| {
            Problem::new(
                ErrorCode::WrongPassphrase,
                "This needs the owner’s passphrase.",
                "Give it at the prompt, or with --passphrase-stdin.",
            )
        })?;
        match desk.prove_owner(&passphrase).await {
            Ok((_, _, presence)) => {
                drop(_one_at_a_time);
                return from_outside(Some(presence), desk.call(&ask.command, args)).await;
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
            "sweep",
            "allow_host",
            "rotate_token",
        ] {
            assert_eq!(kind(command), Some(Kind::Raise), "{command}");
        }
        for command in
            ["freeze", "refuse", "lock", "revoke_agent", "remove_host", "cancel", "cancel_all"]
        {
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

    /// A desk on its books alone, whose owner's socket is open.
    async fn listening(folder: &Path) -> Desk {
        let mut options = crate::DeskOptions::new(folder.to_owned());
        options.serve = false;
        options.kdf = Some(crate::KdfCost::FLOOR);
        options.keychain = crate::KeychainChoice::None;
        let desk = Desk::open(options).await.expect("opens");
        desk.create_vault("seven grey herons".into()).await.expect("makes a vault");
        listen(&desk).expect("listens");
        desk
    }

    /// Programs that only hold the line, or talk slowly, or try passphrases, keep nobody from
    /// freezing, locking and revoking.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crowd_keeps_nobody_from_freezing() {
        const SOON: Duration = Duration::from_secs(2);
        let folder = tempfile::TempDir::new().expect("a folder");
        let desk = listening(folder.path()).await;
        let mut crowd = Vec::new();
        for number in 0..128 {
            let mut one = UnixStream::connect(socket(folder.path())).await.expect("connects");
            if number % 2 == 0 {
                one.write_all(b"{\"command\":").await.expect("begins to ask");
            }
            crowd.push(one);
        }
        let mut guesses = tokio::task::JoinSet::new();
        // Wrong ones with what needs none, too: nobody stretches them first.
        for command in ["thaw", "freeze", "lock", "revoke_agent"] {
            for _ in 0..SERVED_MAX + 8 {
                let folder = folder.path().to_owned();
                guesses.spawn(async move {
                    let wrong = SecretText::new("not this passphrase".into());
                    let args = match command {
                        "revoke_agent" => json!({ "agent": "nobody" }),
                        _ => json!({}),
                    };
                    call(&folder, command, args, Some(&wrong)).await
                });
            }
        }
        let runs = tokio::time::timeout(SOON, running(folder.path())).await.expect("is heard");
        assert!(runs.is_some(), "whoever wants to freeze asks this first");
        for command in ["freeze", "lock"] {
            let asked = call(folder.path(), command, json!({}), None);
            let answer = tokio::time::timeout(SOON, asked).await.expect("is heard");
            assert_eq!(answer.expect("is done")["frozen"], true, "{command}");
        }
        let revoked = call(folder.path(), "revoke_agent", json!({ "agent": "nobody" }), None);
        let revoked = tokio::time::timeout(SOON, revoked).await.expect("is heard");
        assert!(matches!(revoked, Err(OwnerError::Refused(it)) if it.code == "not_found"));
        guesses.abort_all();
        drop(crowd);
        desk.close().await;
    }

    /// A passphrase that comes here counts for its one command, and opens nothing in the window.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_passphrase_by_the_socket_opens_no_window() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let desk = listening(folder.path()).await;
        desk.leave().await.expect("leaves");
        let owner = || SecretText::new("seven grey herons".into());
        let given = json!({ "passphrase": "seven grey herons" });
        let closed = async || {
            let status = desk.status().await.expect("reads");
            assert_eq!((status.window_locked, status.presence_left_s), (true, None));
            assert_eq!(desk.reveal_words().await.expect_err("nobody").code, "presence_needed");
        };
        for (command, args, passphrase) in [
            ("reveal_words", json!({}), Some(owner())),
            ("confirm", given.clone(), None),
            ("freeze", json!({}), Some(owner())),
            ("thaw", json!({}), Some(owner())),
            ("lock", json!({}), None),
            ("unlock", given, None),
        ] {
            let answer = call(folder.path(), command, args, passphrase.as_ref()).await;
            assert!(answer.is_ok(), "{command}: {answer:?}");
            if command != "lock" {
                closed().await;
            }
        }
        // And what the window was given is not the socket's.
        desk.confirm("seven grey herons".into()).await.expect("is here");
        let words = call(folder.path(), "reveal_words", json!({}), None).await;
        assert!(matches!(words, Err(OwnerError::Refused(it)) if it.code == "wrong_passphrase"));
        desk.close().await;
    }

    /// Taking everything out asks for the owner, and overwrites nothing of theirs.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_by_the_socket_takes_the_passphrase() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let shelf = tempfile::TempDir::new().expect("a folder");
        let desk = listening(folder.path()).await;
        let file = shelf.path().join("precious.txt");
        std::fs::write(&file, "what I wrote").expect("writes");
        let args = json!({ "path": file, "passphrase": "kept elsewhere", "replace": true });
        let asked = call(folder.path(), "backup", args.clone(), None).await;
        assert!(matches!(asked, Err(OwnerError::Refused(it)) if it.code == "wrong_passphrase"));
        let owner = SecretText::new("seven grey herons".into());
        let asked = call(folder.path(), "backup", args, Some(&owner)).await;
        assert!(
            matches!(&asked, Err(OwnerError::Refused(it)) if it.code == "bad_input"),
            "{asked:?}"
        );
        assert_eq!(std::fs::read_to_string(&file).expect("is there"), "what I wrote");
        assert_eq!(desk.status().await.expect("reads").backup.last_at, None, "none was made");
        desk.close().await;
    }

    #[tokio::test]
    async fn nobody_home_is_said_so() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let answer = call(folder.path(), "status", json!({}), None).await;
        assert_eq!(answer, Err(OwnerError::NotRunning));
        assert_eq!(running(folder.path()).await, None);
    }
}
