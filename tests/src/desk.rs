//! The real desk, started from its built program, and its command line.

#[cfg(target_os = "linux")]
use crate::SmallDisk;
use crate::{Obstacle, Started, Terms, built_program};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a desk may take to get ready (a chain is started and a contract deployed), and a
/// command to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// The passphrase of every desk in the journeys. It guards practice money only.
pub const PASSPHRASE: &str = "correct horse battery staple, practice only";

/// A desk in a data folder of its own, running or not.
///
/// Its programs get an empty home folder and no session bus, so that a journey can touch neither
/// the person's own desk nor their keychain.
#[derive(Debug)]
pub struct Desk {
    data: PathBuf,
    home: TempDir,
    /// What its programs are started with, to be on a disk that others do not see.
    through: Vec<OsString>,
    /// The bus on which its programs listen to the system's session manager.
    system_bus: String,
    running: Option<(Started, Ready)>,
}

/// Where a running desk is to be found, from its ready line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The agents' HTTP door.
    pub url: String,
    /// The agents' MCP door.
    pub mcp: String,
    /// The practice network; present in practice mode only.
    pub practice: Option<PracticeAddresses>,
}

/// Where the parts of the practice network are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PracticeAddresses {
    /// The chain's RPC address.
    pub rpc: String,
    /// The corner shop's origin.
    pub shop: String,
    /// The USDC contract.
    pub usdc: String,
    /// The chain's EIP-155 id.
    pub chain_id: u64,
}

impl PracticeAddresses {
    fn of(process: &Started) -> Result<PracticeAddresses, Obstacle> {
        Ok(PracticeAddresses {
            rpc: process.ready_text("/practice/rpc")?,
            shop: process.ready_text("/practice/shop")?,
            usdc: process.ready_text("/practice/usdc")?,
            chain_id: process.ready()["practice"]["chain_id"]
                .as_u64()
                .ok_or_else(|| Obstacle::new("The desk did not tell its chain's id."))?,
        })
    }

    /// The address of one of the corner shop's goods, such as `weather`.
    pub fn good(&self, name: &str) -> String {
        format!("{}/{name}", self.shop.trim_end_matches('/'))
    }

    /// What the official seller has to know to be paid on the practice network.
    ///
    /// The contract is the genuine one, initialised as on Base, hence the EIP-712 domain.
    pub fn terms(&self) -> Terms {
        Terms {
            rpc_url: self.rpc.clone(),
            chain_id: self.chain_id,
            usdc: self.usdc.clone(),
            usdc_name: "USD Coin".to_owned(),
            usdc_version: "2".to_owned(),
        }
    }
}

/// What one run of the command `imprest` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The exit code: 0 done, 1 failed, 2 wrong usage, 3 refused by the rules, 4 waiting for the
    /// owner, 5 no desk is running, 6 locked or wrong passphrase.
    pub code: i32,
    /// The JSON documents on standard output, one a line or a single one over many lines.
    pub documents: Vec<Value>,
    /// Standard output as it came.
    pub stdout: String,
    /// Standard error as it came.
    pub stderr: String,
}

impl Answer {
    /// The one document of an answer that is done.
    ///
    /// # Errors
    /// When the exit code is not 0 or there is not exactly one document.
    pub fn done(&self) -> Result<&Value, Obstacle> {
        match (self.code, self.documents.as_slice()) {
            (0, [document]) => Ok(document),
            _ => Err(Obstacle::new(format!("This was to be done with one document: {self:?}"))),
        }
    }

    /// Runs a command with one line on its standard input, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be run or has not ended after [`PATIENCE`]; it is killed then.
    pub fn of(mut command: Command, input: &str) -> Result<Answer, Obstacle> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| Obstacle::io("starting imprest", &e))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not want the line may have closed the pipe; its answer tells.
            let _ = writeln!(stdin, "{input}");
        }
        let (stdout, stderr) = (child.stdout.take().map(whole), child.stderr.take().map(whole));
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().map_err(|e| Obstacle::io("running imprest", &e))? {
                Some(status) => break status,
                None if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
                None => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Obstacle::new(format!("This does not end: {command:?}")));
                }
            }
        };
        let text = |reading: Option<thread::JoinHandle<Vec<u8>>>| {
            let bytes = reading.and_then(|reading| reading.join().ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        let documents: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(&stdout).into_iter().collect();
        Ok(Answer {
            // A signal has no code, and is no answer that the interface knows.
            code: status.code().unwrap_or(-1),
            // Output that is not JSON through and through counts as no document at all.
            documents: documents.unwrap_or_default(),
            stdout,
            stderr,
        })
    }
}

/// Reads a pipe to its end in a thread of its own, so that the program never blocks on a full one.
fn whole(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before a failure is still the answer.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

impl Desk {
    /// Creates the vault and the ledger of a practice desk in `data`.
    ///
    /// # Errors
    /// When `imprest init` does not end well.
    pub fn init_practice(data: &Path) -> Result<Desk, Obstacle> {
        let desk = Desk::at(data)?;
        desk.owner(&["init", "--practice"])?.done()?;
        Ok(desk)
    }

    /// Starts a desk on a network that is asked by way of `rpc_urls`, in an empty folder.
    ///
    /// # Errors
    /// When the desk is not made or does not get ready.
    pub fn serve_on(data: &Path, network: &str, rpc_urls: &[&str]) -> Result<Desk, Obstacle> {
        let mut desk = Desk::at(data)?;
        let nodes = rpc_urls.iter().flat_map(|url| ["--rpc", url]);
        let words: Vec<_> = ["init", "--network", network].into_iter().chain(nodes).collect();
        desk.owner(&words)?.done()?;
        desk.serve()?;
        Ok(desk)
    }

    /// Starts a practice desk in `data`, creating it first if there is none.
    ///
    /// # Errors
    /// When the desk does not get ready; the message carries what it said.
    pub fn serve_practice(data: &Path) -> Result<Desk, Obstacle> {
        let fresh = fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
        let mut desk = if fresh { Desk::init_practice(data)? } else { Desk::at(data)? };
        desk.serve()?;
        Ok(desk)
    }

    /// The desk in `data`, as it lies there and not running.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn at(data: &Path) -> Result<Desk, Obstacle> {
        fs::create_dir_all(data).map_err(|e| Obstacle::io("making the data folder", &e))?;
        let home = TempDir::new().map_err(|e| Obstacle::io("making a home folder", &e))?;
        // Nobody is there: whether the person's own computer sleeps is no journey's business.
        let system_bus = format!("unix:path={}/no-bus", home.path().display());
        let (data, through) = (data.to_path_buf(), Vec::new());
        Ok(Desk { data, home, through, system_bus, running: None })
    }

    /// The desk that has a small disk for itself, not running.
    ///
    /// # Errors
    /// When its home folder cannot be made.
    #[cfg(target_os = "linux")]
    pub fn on(disk: &SmallDisk) -> Result<Desk, Obstacle> {
        let mut desk = Desk::at(disk.path())?;
        desk.through = disk.through();
        Ok(desk)
    }

    /// Has its programs started by another one, which is given theirs and its words, such as
    /// `["nice"]`.
    pub fn run_through(&mut self, words: impl IntoIterator<Item = impl Into<OsString>>) {
        self.through = words.into_iter().map(Into::into).collect();
    }

    /// Has its programs listen to the session manager on another bus than none.
    pub fn listen_on(&mut self, system_bus: &str) {
        self.system_bus = system_bus.to_owned();
    }

    /// Starts the desk, or starts it again after [`Desk::kill`].
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn serve(&mut self) -> Result<&Ready, Obstacle> {
        self.kill();
        let mut command = self.command()?;
        command.args(["serve", "--passphrase-stdin", "--data"]).arg(&self.data);
        let process = Started::start(&mut command, Some(PASSPHRASE), PATIENCE)?;
        let practice = match process.ready()["practice"].is_object() {
            true => Some(PracticeAddresses::of(&process)?),
            false => None,
        };
        let ready =
            Ready { url: process.ready_text("/url")?, mcp: process.ready_text("/mcp")?, practice };
        Ok(&self.running.insert((process, ready)).1)
    }

    /// Where the running desk is to be found.
    ///
    /// # Errors
    /// When it is not running.
    pub fn ready(&self) -> Result<&Ready, Obstacle> {
        let (_, ready) =
            self.running.as_ref().ok_or_else(|| Obstacle::new("No desk is running."))?;
        Ok(ready)
    }

    /// The process of the running desk.
    ///
    /// # Errors
    /// When it is not running.
    pub fn process(&self) -> Result<u32, Obstacle> {
        let (process, _) =
            self.running.as_ref().ok_or_else(|| Obstacle::new("No desk is running."))?;
        Ok(process.id())
    }

    /// Pulls the plug: the desk ends at once, without a chance to tidy up.
    pub fn kill(&mut self) {
        if let Some((mut process, _)) = self.running.take() {
            process.kill();
        }
    }

    /// Closes the desk in order.
    ///
    /// # Errors
    /// When it does not end.
    #[cfg(unix)]
    pub fn stop(&mut self) -> Result<(), Obstacle> {
        let running = self.running.take();
        let (mut process, _) = running.ok_or_else(|| Obstacle::new("No desk is running."))?;
        process.terminate(PATIENCE)
    }

    /// The home folder that the desk's programs are given; empty at first.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the running desk has complained of on standard error.
    pub fn complaints(&self) -> String {
        self.running.as_ref().map(|(process, _)| process.complaints()).unwrap_or_default()
    }

    /// Runs an owner's command with the passphrase on standard input, such as `["freeze"]`.
    ///
    /// # Errors
    /// When the program cannot be run; a refusal is an [`Answer`].
    pub fn owner(&self, arguments: &[&str]) -> Result<Answer, Obstacle> {
        self.owner_with(PASSPHRASE, arguments)
    }

    /// Runs an owner's command with another passphrase than the right one.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn owner_with(&self, passphrase: &str, arguments: &[&str]) -> Result<Answer, Obstacle> {
        let mut command = self.command()?;
        command.args(arguments).args(["--json", "--passphrase-stdin", "--data"]).arg(&self.data);
        Answer::of(command, passphrase)
    }

    /// Makes an agent and answers its token; `options` such as `["--per-day", "5"]`.
    ///
    /// # Errors
    /// When it is not made.
    pub fn add_agent(&self, name: &str, options: &[&str]) -> Result<String, Obstacle> {
        let made = self.owner(&[&["agent", "add", name], options].concat())?;
        let token = made.done()?["token"].as_str().map(String::from);
        token.ok_or_else(|| Obstacle::new(format!("There is no token in {made:?}")))
    }

    /// Runs a command that needs no passphrase, such as `["activity"]`.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn read(&self, arguments: &[&str]) -> Result<Answer, Obstacle> {
        let mut command = self.command()?;
        command.args(arguments).args(["--json", "--data"]).arg(&self.data);
        Answer::of(command, "")
    }

    /// Runs an agent's command under its token, such as `["fetch", URL]`.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn agent(&self, token: &str, arguments: &[&str]) -> Result<Answer, Obstacle> {
        let mut command = self.command()?;
        command.env("IMPREST_TOKEN", token);
        command.args(arguments).args(["--json", "--data"]).arg(&self.data);
        Answer::of(command, "")
    }

    /// The built `imprest`, away from the person's own home folder, data folder and keychain.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command(&self) -> Result<Command, Obstacle> {
        let program = built_program("imprest")?;
        let mut command = match self.through.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        for variable in ["HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_RUNTIME_DIR"] {
            command.env(variable, self.home.path());
        }
        let taken_out = [
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
            "DBUS_SESSION_BUS_ADDRESS",
            "IMPREST_DATA",
            "IMPREST_TOKEN",
        ];
        for variable in taken_out {
            command.env_remove(variable);
        }
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.system_bus);
        Ok(command)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // At once, because a desk goes on without its standard input.
        self.kill();
    }
}
