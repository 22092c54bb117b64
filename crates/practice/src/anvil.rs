//! Anvil as a child of the desk: started, watched, saved, and never outliving it.

use crate::error::PracticeError;
use crate::kit::Kit;
use crate::rpc::Rpc;
use crate::state::{self, CHAIN_FILE};
use imprest_chain::Networks;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use url::Url;

/// What anvil prints, for when it does not start. In the practice folder.
const LOG_FILE: &str = "anvil.log";

/// Runs anvil on a leash. The shell's standard input is a pipe that only the desk can write to
/// and never does: when the desk is gone, however it went, `read` ends and anvil is killed. The
/// job keeps its own copy of the pipe because a shell gives background jobs an empty input.
#[cfg(unix)]
const LEASH: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
anvil=$!
{ read -r nothing <&3; kill -9 "$anvil"; } 2>/dev/null &
leash=$!
exec 3<&-
wait "$anvil"
code=$?
kill "$leash" 2>/dev/null
exit "$code"
"#;

/// How long anvil may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the keeper looks for something to save.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Longest time between two saves when only empty blocks were added.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// Blocks added after a restart: more than can have been mined since the last save, so that
/// block numbers never go back, and enough for `finalized` to have a state that can be read.
const CATCH_UP_BLOCKS: u64 = 67;

/// Time without a transaction after which blocks come at [`IDLE_BLOCK_S`].
const IDLE_AFTER: Duration = Duration::from_secs(600);
const BUSY_BLOCK_S: u64 = 1;
const IDLE_BLOCK_S: u64 = 5;

/// Failed looks in a row after which a live but silent anvil is replaced.
const SILENT_LOOKS: u32 = 40;

/// A running practice chain.
///
/// The chain is saved within a second of every block with a transaction, whole or not at all,
/// and loaded again at the next start, also after the desk was killed. Kept are balances,
/// contract storage (with it every used nonce), blocks with transactions, receipts and logs. Not
/// kept are the states of blocks before the restart (reads at such a block fail), old blocks
/// without transactions, and what happened in the last moment before a kill, which on a real
/// network could not be undone. Anvil is restarted on the same port when it dies.
pub struct Anvil {
    url: Url,
    port: u16,
    rpc: Rpc,
    orders: mpsc::Sender<Order>,
    keeper: JoinHandle<()>,
    is_fresh: bool,
}

type Reply = oneshot::Sender<Result<(), PracticeError>>;

enum Order {
    Save(Reply),
    Stop(Reply),
}

impl Anvil {
    /// Starts the chain in a folder, from what is saved there.
    ///
    /// A given port is used if it is free, else another free one of 127.0.0.1.
    ///
    /// # Errors
    /// [`PracticeError::Anvil`] when it does not start or does not answer in 20 seconds;
    /// [`PracticeError::File`] when the saved chain is unreadable.
    pub async fn start(
        kit: &Kit,
        state_dir: &Path,
        port: Option<u16>,
    ) -> Result<Anvil, PracticeError> {
        let networks = Networks::built_in()?;
        let chain_id = networks
            .practice()
            .ok_or_else(|| PracticeError::anvil("the registry has no practice network"))?
            .chain_id;
        std::fs::create_dir_all(state_dir).map_err(|e| PracticeError::file(state_dir, e))?;
        let mut setup = Setup::new(kit, state_dir, chain_id, free_port(port)?)?;
        let (running, is_fresh) = loop {
            match setup.bring_up().await {
                Ok(up) => break up,
                // Somebody took the port between the look and anvil's start.
                Err(PracticeError::Anvil { .. }) if free_port(Some(setup.port))? != setup.port => {
                    setup = Setup::new(kit, state_dir, chain_id, free_port(None)?)?;
                }
                Err(error) => return Err(error),
            }
        };
        let (url, port, rpc) = (setup.url.clone(), setup.port, setup.rpc.clone());
        let (orders, inbox) = mpsc::channel(8);
        let keeper = tokio::spawn(Keeper::new(setup, running, is_fresh).keep(inbox));
        Ok(Anvil { url, port, rpc, orders, keeper, is_fresh })
    }

    /// Where the chain answers JSON-RPC.
    pub fn rpc_url(&self) -> &Url {
        &self.url
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether this chain began now, with nothing loaded.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    pub(crate) fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Saves the chain now and waits until it is on disk.
    ///
    /// # Errors
    /// [`PracticeError::File`] or [`PracticeError::Rpc`] when it could not be saved.
    pub async fn save(&self) -> Result<(), PracticeError> {
        self.order(Order::Save).await
    }

    /// Saves the chain and ends anvil.
    ///
    /// # Errors
    /// As [`Anvil::save`]; anvil has ended all the same.
    pub async fn stop(self) -> Result<(), PracticeError> {
        let saved = self.order(Order::Stop).await;
        let _ = self.keeper.await;
        saved
    }

    async fn order(&self, order: fn(Reply) -> Order) -> Result<(), PracticeError> {
        let (reply, answer) = oneshot::channel();
        let gone = || PracticeError::anvil("its keeper has ended");
        self.orders.send(order(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl std::fmt::Debug for Anvil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Anvil").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Takes the wanted port if it is free, else any free one.
fn free_port(wanted: Option<u16>) -> Result<u16, PracticeError> {
    let free = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|socket| socket.local_addr())
    };
    wanted
        .filter(|port| *port != 0)
        .and_then(|port| free(port).ok())
        .map_or_else(|| free(0), Ok)
        .map(|address| address.port())
        .map_err(|error| PracticeError::anvil(format!("no free port on 127.0.0.1: {error}")))
}

/// A live child and the pipe that keeps it alive.
struct Running {
    child: Child,
    leash: Option<ChildStdin>,
}

impl Running {
    /// Ends it and waits until it is gone.
    async fn end(mut self) {
        drop(self.leash.take());
        if timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// What is needed to start anvil, again and again.
struct Setup {
    program: PathBuf,
    folder: PathBuf,
    chain_id: u64,
    port: u16,
    url: Url,
    rpc: Rpc,
}

impl Setup {
    fn new(kit: &Kit, folder: &Path, chain_id: u64, port: u16) -> Result<Setup, PracticeError> {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).map_err(PracticeError::anvil)?;
        let rpc = Rpc::new(url.clone())?;
        let (program, folder) = (kit.anvil.clone(), folder.to_owned());
        Ok(Setup { program, folder, chain_id, port, url, rpc })
    }

    /// Starts anvil, loads the saved chain and lets it mine. Tells whether the chain is new.
    async fn bring_up(&self) -> Result<(Running, bool), PracticeError> {
        let path = self.folder.join(CHAIN_FILE);
        let saved = tokio::task::spawn_blocking(move || state::load_chain(&path))
            .await
            .map_err(PracticeError::anvil)??;
        let mut running = self.launch()?;
        match self.prepare(&mut running, saved.as_deref()).await {
            Ok(()) => Ok((running, saved.is_none())),
            Err(error) => {
                running.end().await;
                Err(error)
            }
        }
    }

    async fn prepare(
        &self,
        running: &mut Running,
        saved: Option<&[u8]>,
    ) -> Result<(), PracticeError> {
        self.wait_ready(running).await?;
        // Nothing has been mined yet: whoever has blocks is not the child just started.
        if self.rpc.number("eth_blockNumber", json!([])).await? != 0 {
            return Err(PracticeError::anvil("another chain answers on its port"));
        }
        if let Some(saved) = saved {
            let state = format!("0x{}", hex::encode(saved));
            let loaded: bool = self.rpc.ask("anvil_loadState", json!([state])).await?;
            if !loaded {
                return Err(PracticeError::rpc("anvil_loadState", "it did not take the state"));
            }
            self.rpc.tell("anvil_mine", json!([format!("{CATCH_UP_BLOCKS:#x}")])).await?;
        }
        self.rpc.tell("anvil_setIntervalMining", json!([BUSY_BLOCK_S])).await
    }

    fn launch(&self) -> Result<Running, PracticeError> {
        let log = self.folder.join(LOG_FILE);
        let log_file = std::fs::File::create(&log).map_err(|e| PracticeError::file(&log, e))?;
        let mut child = command(&self.program)
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--chain-id", &self.chain_id.to_string()])
            // Blocks come from interval mining, once the saved chain is loaded.
            .arg("--no-mining")
            // `finalized` is then two blocks behind the newest.
            .args(["--slots-in-an-epoch", "1"])
            // States of the newest blocks only, and none on disk outside of our folder.
            .args(["--prune-history", "64"])
            .args(["--hardfork", "prague", "--accounts", "10"])
            .args(["--no-cors", "--no-request-size-limit", "--quiet"])
            .env_remove("ANVIL_IP_ADDR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log_file)
            .kill_on_drop(true)
            .spawn()
            .map_err(PracticeError::anvil)?;
        let leash = child.stdin.take();
        Ok(Running { child, leash })
    }

    async fn wait_ready(&self, running: &mut Running) -> Result<(), PracticeError> {
        let end = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = running.child.try_wait().map_err(PracticeError::anvil)? {
                return Err(PracticeError::anvil(format!(
                    "it ended at once, {status}{}",
                    self.last_words()
                )));
            }
            if let Ok(chain_id) = self.rpc.number("eth_chainId", json!([])).await {
                if chain_id == self.chain_id {
                    return Ok(());
                }
                return Err(PracticeError::anvil("another chain answers on its port"));
            }
            if Instant::now() > end {
                return Err(PracticeError::anvil(format!(
                    "it did not answer in {} s{}",
                    START_TIMEOUT.as_secs(),
                    self.last_words()
                )));
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// The last line of anvil's own log, if it left one.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join(LOG_FILE)).unwrap_or_default();
        log.lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .map_or_else(String::new, |line| format!(" ({line})"))
    }
}

#[cfg(unix)]
fn command(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    // Its own process group: Ctrl-C in a terminal ends the desk, which then saves and ends anvil.
    command.process_group(0).args(["-c", LEASH, "imprest-anvil"]).arg(program);
    command
}

#[cfg(not(unix))]
fn command(program: &Path) -> Command {
    Command::new(program)
}

/// Watches one anvil, saves its chain and replaces it when it dies.
struct Keeper {
    setup: Setup,
    running: Running,
    seen_block: u64,
    /// A fresh chain is kept once somebody has asked for it: until then it may be one that began
    /// only because the saved one is missing, and must not take its place.
    is_wanted: bool,
    saved_at: Instant,
    transaction_at: Instant,
    block_s: u64,
    failed_looks: u32,
}

impl Keeper {
    fn new(setup: Setup, running: Running, is_fresh: bool) -> Keeper {
        let now = Instant::now();
        Keeper {
            setup,
            running,
            seen_block: 0,
            is_wanted: !is_fresh,
            saved_at: now,
            transaction_at: now,
            block_s: BUSY_BLOCK_S,
            failed_looks: 0,
        }
    }

    /// Works until told to stop, or until nobody is left to tell.
    async fn keep(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Save(reply)) => {
                        self.is_wanted = true;
                        let _ = reply.send(self.save().await);
                    }
                    Some(Order::Stop(reply)) => {
                        let saved = self.save().await;
                        self.running.end().await;
                        let _ = reply.send(saved);
                        return;
                    }
                    None => {
                        if self.is_wanted {
                            let _ = self.save().await;
                        }
                        return self.running.end().await;
                    }
                },
                status = self.running.child.wait() => {
                    tracing::warn!(?status, "anvil ended; starting it again");
                    if !self.restart(&mut inbox).await {
                        return;
                    }
                }
                _ = looks.tick() => {
                    if let Err(error) = self.look().await {
                        self.failed_looks += 1;
                        tracing::debug!(%error, "the practice chain did not answer");
                        if self.failed_looks >= SILENT_LOOKS {
                            tracing::warn!("anvil is silent; starting it again");
                            drop(self.running.leash.take());
                        }
                    } else {
                        self.failed_looks = 0;
                    }
                }
            }
        }
    }

    /// Tries until anvil runs again, waiting longer each time. Tells whether to go on.
    async fn restart(&mut self, inbox: &mut mpsc::Receiver<Order>) -> bool {
        // Closing the pipe ends an anvil whose shell was killed, and so frees the port.
        drop(self.running.leash.take());
        let mut pause = LOOK_INTERVAL;
        loop {
            let order = tokio::select! {
                order = inbox.recv() => order,
                () = sleep(pause) => {
                    match self.setup.bring_up().await {
                        Ok((running, _)) => {
                            self.running = running;
                            self.block_s = BUSY_BLOCK_S;
                            self.failed_looks = 0;
                            return true;
                        }
                        Err(error) => tracing::warn!(%error, "anvil did not start again"),
                    }
                    pause = (pause * 2).min(Duration::from_secs(10));
                    continue;
                }
            };
            match order {
                Some(Order::Save(reply)) => {
                    let _ = reply.send(Err(PracticeError::anvil("it is being restarted")));
                }
                Some(Order::Stop(reply)) => {
                    // All that can be kept was saved before it died.
                    let _ = reply.send(Ok(()));
                    return false;
                }
                None => return false,
            }
        }
    }

    /// Saves if a block brought a transaction, or if it is time.
    async fn look(&mut self) -> Result<(), PracticeError> {
        let newest = self.setup.rpc.number("eth_blockNumber", json!([])).await?;
        let mut has_transaction = false;
        // After a pause only the newest blocks are asked about; the rest is saved all the same.
        let first = (self.seen_block + 1).max(newest.saturating_sub(31));
        has_transaction |= first > self.seen_block + 1;
        for block in first..=newest {
            let params = json!([format!("{block:#x}")]);
            let method = "eth_getBlockTransactionCountByNumber";
            has_transaction |= self.setup.rpc.number(method, params).await? > 0;
        }
        if has_transaction {
            self.transaction_at = Instant::now();
        }
        if self.is_wanted && (has_transaction || self.saved_at.elapsed() > SAVE_INTERVAL) {
            self.save().await?;
        }
        self.seen_block = newest;
        let idle = self.transaction_at.elapsed() > IDLE_AFTER;
        self.set_block_s(if idle { IDLE_BLOCK_S } else { BUSY_BLOCK_S }).await
    }

    async fn set_block_s(&mut self, block_s: u64) -> Result<(), PracticeError> {
        if block_s != self.block_s {
            self.setup.rpc.tell("anvil_setIntervalMining", json!([block_s])).await?;
            self.block_s = block_s;
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), PracticeError> {
        let state: String = self.setup.rpc.ask("anvil_dumpState", json!([])).await?;
        let bytes = state
            .strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or_else(|| PracticeError::rpc("anvil_dumpState", "the state is not hexadecimal"))?;
        let path = self.setup.folder.join(CHAIN_FILE);
        tokio::task::spawn_blocking(move || state::replace(&path, &bytes))
            .await
            .map_err(PracticeError::anvil)??;
        self.saved_at = Instant::now();
        Ok(())
    }
}
