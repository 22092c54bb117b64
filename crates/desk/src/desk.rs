//! The desk: opening it, what it holds, and closing it.

use crate::awake::{SleepClock, Sleeper};
use crate::backup::BackingUp;
use crate::challenges::Challenges;
use crate::jobs::ClockWatch;
use crate::place::{Place, Settings, unusable};
use crate::presence::Attendance;
use crate::problem::ErrorCode;
use crate::relays::TreasuryTurn;
use crate::teller::DeskTeller;
use crate::trust::Trust;
use crate::view::{ApprovalCard, Changed, Problem};
use crate::warn::Warned;
use crate::{jobs, locks, networks, owner, restored};
use imprest_chain::{Chain, Finality, Network};
use imprest_domain::{Address, AgentId, Asset, Payee};
use imprest_gateway::Door;
use imprest_ledger::{Clock, Ledger, LedgerError, Locks, OpenOptions, Restored};
use imprest_practice::{Kit, Practice};
use imprest_rails::{AddressGuard, HostPort, Options, Rails};
use imprest_vault::{KdfCost, Keychain, Vault};
use jiff::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The port agents connect to when nobody says otherwise.
const DOOR_PORT: u16 = 4020;
/// How often books and chain are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// The namespace of the vault's secrets in the system's keychain. It is no vault's own, because a
/// secret is made before its vault is; the names under it are random.
const SLOTS_NAMESPACE: &str = "vault-slots";
/// How many changes a slow window may lag behind before it is told to ask for everything.
const CHANGES_KEPT: usize = 256;

/// Which keychain a desk uses.
#[derive(Clone)]
pub enum KeychainChoice {
    /// The operating system's.
    System,
    /// None: tokens are shown once and kept nowhere.
    None,
    /// One that the caller holds, such as one in memory.
    Given(Keychain),
}

impl fmt::Debug for KeychainChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeychainChoice::System => "System",
            KeychainChoice::None => "None",
            KeychainChoice::Given(_) => "Given",
        })
    }
}

/// How to open a desk.
#[derive(Debug, Clone)]
pub struct DeskOptions {
    /// Its data folder.
    pub data_dir: PathBuf,
    /// The network it pays on, by its key in the registry: what the folder’s settings say, else
    /// practice, when absent.
    pub network: Option<String>,
    /// Where agents connect; loopback only. The last port, or 4020, or a free one, when absent.
    pub listen: Option<SocketAddr>,
    /// Whether to run: network, agents' door, owner's socket and jobs. Otherwise the books only.
    pub serve: bool,
    /// The cost of a new vault's passphrase; measured on this machine when absent.
    pub kdf: Option<KdfCost>,
    /// Which keychain to use.
    pub keychain: KeychainChoice,
    /// A clock of one's own, for tests that turn it; the system's when absent.
    #[doc(hidden)]
    pub clock: Option<Clock>,
    /// Clocks of one's own, for tests that send the computer to sleep; the system's when absent.
    #[doc(hidden)]
    pub sleep_clock: Option<SleepClock>,
    /// How often books and chain are compared, for tests that cannot wait a minute.
    #[doc(hidden)]
    pub compare_every: Option<Duration>,
    /// How many blocks behind the newest a block is final, for tests that undo blocks; the
    /// network's own rule when absent.
    #[doc(hidden)]
    pub final_depth_blocks: Option<u64>,
    /// Nodes of the chain besides its own, for tests of several.
    #[doc(hidden)]
    pub more_nodes: Vec<url::Url>,
}

impl DeskOptions {
    /// A running desk on the folder's own network, or practice, with the system's keychain.
    pub fn new(data_dir: PathBuf) -> DeskOptions {
        DeskOptions {
            data_dir,
            network: None,
            listen: None,
            serve: true,
            kdf: None,
            keychain: KeychainChoice::System,
            clock: None,
            sleep_clock: None,
            compare_every: None,
            final_depth_blocks: None,
            more_nodes: Vec::new(),
        }
    }
}

/// Where a running desk can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The agents' HTTP API.
    pub http_url: Option<String>,
    /// The agents' MCP endpoint.
    pub mcp_url: Option<String>,
    /// The practice network, in practice mode.
    pub practice: Option<PracticeEndpoints>,
}

/// Where the practice network can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PracticeEndpoints {
    /// JSON-RPC.
    pub rpc: String,
    /// The corner shop.
    pub shop: String,
    /// The USDC contract.
    pub usdc: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
}

/// The desk. Clones are the same desk.
#[derive(Clone)]
pub struct Desk {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) place: Place,
    pub(crate) practice_mode: bool,
    pub(crate) serves: bool,
    pub(crate) ledger: Ledger,
    vault: RwLock<Option<Arc<Vault>>>,
    listen: Option<SocketAddr>,
    pub(crate) kdf: Option<KdfCost>,
    keychain_choice: KeychainChoice,
    keychain: RwLock<Keychain>,
    /// Where the vault's own secrets are kept.
    pub(crate) slot_keychain: Keychain,
    /// One sentence about a vault file that is an older copy.
    pub(crate) vault_note: RwLock<Option<String>>,
    /// Whether the owner is here.
    pub(crate) attendance: Attendance,
    /// Notices that the computer slept.
    pub(crate) sleeper: Sleeper,
    /// The vault was locked because it did, and the books still have the seal's key.
    pub(crate) seal_to_close: AtomicBool,
    /// When vault and window lock, by the log.
    pub(crate) locks: RwLock<Locks>,
    /// One sentence when the system does not tell of sleep and of locked sessions.
    pub(crate) system_locks_note: RwLock<Option<String>>,
    pub(crate) asset: Asset,
    pub(crate) network: Network,
    pub(crate) rails: Rails,
    /// The network is there only while the desk serves.
    chain: RwLock<Option<Chain>>,
    /// Whether the asset's contract was found to be what the registry says.
    pub(crate) confirmed: AtomicBool,
    pub(crate) practice: Mutex<Option<Practice>>,
    pub(crate) shop_origin: Option<String>,
    endpoints: RwLock<Endpoints>,
    pub(crate) changes: broadcast::Sender<Changed>,
    pub(crate) questions: broadcast::Sender<ApprovalCard>,
    pub(crate) reachable: AtomicBool,
    pub(crate) block: AtomicU64,
    /// When the chain was last read, by a clock that cannot be set and by the one on the wall.
    looked: RwLock<(Instant, Timestamp)>,
    pub(crate) compare_every: Duration,
    /// Limits, grades and locks are compared and set one at a time: otherwise whoever sets what was
    /// no more a moment ago could take back what the owner lowers meanwhile.
    pub(crate) setting: Mutex<()>,
    /// Agents are made one at a time.
    pub(crate) adding: Mutex<()>,
    /// What is known of the books' soundness.
    pub(crate) trust: Trust,
    /// The last event's number when the books were opened.
    pub(crate) opened_seq: u64,
    /// How far the backup that is being made is.
    pub(crate) backing_up: BackingUp,
    /// Which limits' nearness was told already.
    pub(crate) warned: Warned,
    pub(crate) warnings: broadcast::Sender<String>,
    /// Where each agent's credential was used from last, so that the books are asked only when
    /// that changes.
    pub(crate) places: std::sync::Mutex<HashMap<AgentId, String>>,
    /// Challenges of payees that are being answered.
    pub(crate) challenges: Challenges,
    /// Wakes the reconciling job before its time.
    pub(crate) reconcile_now: Notify,
    /// Treasury transactions go one after the other, or two would take the same nonce.
    pub(crate) treasury: Mutex<TreasuryTurn>,
    /// Freezing and thawing go one after the other, each with its latch and its event: otherwise a
    /// thaw under way could open the latch of a freeze that was already promised.
    pub(crate) switch: Mutex<()>,
    /// What was last said about the system's clock. Whoever accepts it holds this, so that nobody
    /// says meanwhile what was true a moment before.
    pub(crate) clock: Mutex<ClockWatch>,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    /// Held as long as the desk is open; the system lets go of it when the process dies.
    lock: std::sync::Mutex<Option<File>>,
}

impl Desk {
    /// Opens a desk on its data folder, making the folder when it is not there.
    ///
    /// # Errors
    /// A [`Problem`] for a folder that cannot be used or is in use, books that cannot be opened, a
    /// port that is taken, or a practice network that does not start. Nothing keeps running then.
    pub async fn open(options: DeskOptions) -> Result<Desk, Problem> {
        let place = Place::new(options.data_dir.clone());
        place.make()?;
        let lock = place.take()?;
        // A folder in which a restore was stopped midway holds no books to be opened.
        let note = imprest_backup::pending(place.dir())?;
        let settings = place.load_settings()?;
        let vault = open_vault(&place)?;
        if vault.is_some() {
            books_must_be_there(&place)?;
        }
        let clock = OpenOptions { clock: options.clock.clone(), ..OpenOptions::default() };
        let ledger = Ledger::open_with(&place.ledger(), clock).await?;
        let restored = restored::of(place.dir(), note, &ledger).await?;
        let books = networks::chain_of_books(&ledger).await?;
        let network = networks::of_folder(options.network.as_deref(), settings.as_ref(), books)?;
        let practice = match options.serve && network.practice {
            true => Some(start_practice(&place, vault.as_deref()).await?),
            false => None,
        };
        let remembered = settings.as_ref().and_then(|s| s.asset.clone());
        let asset = match (&practice, network.assets.first(), remembered) {
            (Some(practice), ..) => practice.asset().clone(),
            // The registry's word, and not that of a file anybody can edit.
            (None, Some(asset), _) => asset.clone(),
            (None, None, Some(asset)) => asset,
            (None, None, None) => unplaced(&network)?,
        };
        let network = networks::with_nodes(&ledger, network).await?;
        let locks = locks::of(&ledger, settings.as_ref()).await?;
        let desk = Desk::assemble(
            options, place, ledger, restored, locks, vault, network, asset, practice, lock,
        )?;
        if desk.inner.serves
            && let Err(problem) = desk.start(settings).await
        {
            // Nothing keeps running: neither the chain, nor the lock on the folder.
            desk.close().await;
            return Err(problem);
        }
        Ok(desk)
    }

    #[allow(clippy::too_many_arguments, reason = "each part is made by its own step of `open`")]
    fn assemble(
        options: DeskOptions,
        place: Place,
        ledger: Ledger,
        restored: Option<Restored>,
        locks: Locks,
        vault: Option<Arc<Vault>>,
        network: Network,
        asset: Asset,
        practice: Option<Practice>,
        lock: File,
    ) -> Result<Desk, Problem> {
        let rails = Rails::new(Options::new(AddressGuard::default(), vec![asset.clone()]))
            .map_err(|e| {
                Problem::new(
                    ErrorCode::Unavailable,
                    e.to_string(),
                    "Install CA certificates and start again.",
                )
            })?;
        let keychain = keychain_of(&options.keychain, vault.as_deref());
        let slot_keychain = match &options.keychain {
            KeychainChoice::System => Keychain::open(SLOTS_NAMESPACE),
            KeychainChoice::Given(keychain) => keychain.clone(),
            KeychainChoice::None => Keychain::none(),
        };
        let mut network = practice.as_ref().map_or(network, |p| p.network().clone());
        network.rpc_urls.extend(options.more_nodes);
        if let Some(blocks) = options.final_depth_blocks {
            network.finality = Finality::Depth { blocks };
        }
        let urls = network.rpc_urls.clone();
        let chain = options
            .serve
            .then(|| Chain::connect_all(network.clone(), urls, asset.clone()))
            .transpose()?;
        let endpoints = endpoints_of(practice.as_ref(), &asset);
        let opened_seq = ledger.head().seq;
        Ok(Desk {
            inner: Arc::new(Inner {
                place,
                practice_mode: network.practice,
                serves: options.serve,
                ledger,
                vault: RwLock::new(vault),
                listen: options.listen,
                kdf: options.kdf,
                keychain_choice: options.keychain,
                keychain: RwLock::new(keychain),
                slot_keychain,
                vault_note: RwLock::default(),
                attendance: Attendance::default(),
                sleeper: Sleeper::new(options.sleep_clock.unwrap_or_default()),
                seal_to_close: AtomicBool::new(false),
                locks: RwLock::new(locks),
                system_locks_note: RwLock::default(),
                asset,
                // The practice contract is the desk's own; any other has to be looked at.
                confirmed: AtomicBool::new(network.practice),
                network,
                rails,
                chain: RwLock::new(chain),
                shop_origin: practice.as_ref().map(|p| origin_of(p.shop_url())),
                practice: Mutex::new(practice),
                endpoints: RwLock::new(endpoints),
                changes: broadcast::Sender::new(CHANGES_KEPT),
                questions: broadcast::Sender::new(CHANGES_KEPT),
                reachable: AtomicBool::new(options.serve),
                block: AtomicU64::new(0),
                looked: RwLock::new((Instant::now(), Timestamp::now())),
                compare_every: options.compare_every.unwrap_or(COMPARE_EVERY),
                setting: Mutex::new(()),
                adding: Mutex::new(()),
                trust: Trust::of(restored),
                opened_seq,
                backing_up: BackingUp::default(),
                warned: Warned::default(),
                warnings: broadcast::Sender::new(CHANGES_KEPT),
                places: std::sync::Mutex::default(),
                challenges: Challenges::default(),
                reconcile_now: Notify::new(),
                treasury: Mutex::default(),
                switch: Mutex::new(()),
                clock: Mutex::default(),
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                lock: std::sync::Mutex::new(Some(lock)),
            }),
        })
    }

    /// Everything that runs: known hosts, the freeze, jobs, the owner's socket, the agents' door.
    async fn start(&self, settings: Option<Settings>) -> Result<(), Problem> {
        self.know_the_shop().await?;
        for host in self.inner.ledger.hosts().await? {
            if let Ok(host) = host.parse::<HostPort>() {
                self.inner.rails.guard().allow(host);
            }
        }
        self.halt_if_frozen().await?;
        self.look_for_older_vault().await;
        let copy = match self.inner.vault() {
            Some(_) => self.check_copy().await,
            None => None,
        };
        jobs::prove(self, copy).await;
        let kept_port = settings.as_ref().and_then(|s| s.port);
        let listener = listen(self.inner.listen, kept_port).await?;
        let port = listener.local_addr().ok().map(|at| at.port());
        if let (Some(kept), Some(port), None) = (kept_port, port, self.inner.listen)
            && kept != port
        {
            tracing::warn!(
                "port {kept}, which this desk's agents know, is taken by another program; they are served on {port} this time"
            );
        }
        // A stand-in port is for this time only; a port that was asked for is kept.
        let port = if self.inner.listen.is_some() { port } else { kept_port.or(port) };
        self.inner.place.save_settings(&self.inner.settings(port))?;
        jobs::start(self);
        locks::start(self);
        owner::listen(self)?;
        let teller = Arc::new(DeskTeller(self.clone()));
        let door: Door =
            imprest_gateway::serve(listener, teller.clone(), teller, self.inner.closing.clone())
                .await
                .map_err(|e| {
                    Problem::new(
                        ErrorCode::Unavailable,
                        e.to_string(),
                        "Choose another address with --listen.",
                    )
                })?;
        {
            let mut endpoints =
                self.inner.endpoints.write().unwrap_or_else(PoisonError::into_inner);
            endpoints.http_url = Some(door.http_url.clone());
            endpoints.mcp_url = Some(door.mcp_url.clone());
        }
        self.inner.tasks.spawn(door.closed());
        self.open_by_itself().await;
        Ok(())
    }

    /// The practice shop is the desk's own, so it is no stranger and no forbidden address. Trust is
    /// authority: while the vault is locked it cannot be written down, and is when it opens.
    pub(crate) async fn know_the_shop(&self) -> Result<(), Problem> {
        let practice = self.inner.practice.lock().await;
        let Some(practice) = practice.as_ref() else { return Ok(()) };
        let url = practice.shop_url();
        if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            && let Ok(host) = format!("{host}:{port}").parse::<HostPort>()
        {
            self.inner.rails.guard().allow(host);
        }
        // Whom to pay is authority, which only an open vault gives.
        if !self.inner.vault().is_some_and(|vault| vault.is_unlocked()) {
            return Ok(());
        }
        let shop = Payee {
            origin: origin_of(url),
            pay_to: practice.shop().pay_to(),
            asset: self.inner.asset.id,
        };
        match self.inner.ledger.trust_payee(shop).await {
            Ok(()) | Err(LedgerError::Locked) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The freeze is in the books; the vault's latch only lives as long as the process.
    pub(crate) async fn halt_if_frozen(&self) -> Result<(), Problem> {
        let frozen = self.inner.ledger.is_frozen().await?;
        if (frozen || self.inner.trust.broken().is_some())
            && let Some(vault) = self.inner.vault()
        {
            vault.halt();
        }
        Ok(())
    }

    /// Tells of everything that changes; ask again for what is shown.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.inner.changes.subscribe()
    }

    /// Tells of each new question to the owner.
    pub fn questions(&self) -> broadcast::Receiver<ApprovalCard> {
        self.inner.questions.subscribe()
    }

    /// Tells, once for each span of time, of a limit that is nearly used; one sentence.
    pub fn warnings(&self) -> broadcast::Receiver<String> {
        self.inner.warnings.subscribe()
    }

    /// Where the desk can be reached.
    pub fn endpoints(&self) -> Endpoints {
        self.inner.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the door, lets payments under way end, stops the practice network and the books.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        if let Some(practice) = self.inner.practice.lock().await.take()
            && let Err(error) = practice.stop().await
        {
            tracing::warn!(%error, "the practice network did not stop cleanly");
        }
        if let Some(vault) = self.inner.vault() {
            vault.lock();
            self.close_seal().await;
        }
        owner::forget_socket(self.inner.place.dir());
        self.inner.ledger.clone().close().await;
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Inner {
    /// The vault, once there is one.
    pub(crate) fn vault(&self) -> Option<Arc<Vault>> {
        self.vault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The vault, or what to do about there being none.
    pub(crate) fn need_vault(&self) -> Result<Arc<Vault>, Problem> {
        self.vault().ok_or_else(|| {
            Problem::new(
                ErrorCode::NoVault,
                "This desk has no vault yet.",
                "Make one in the window, or with `imprest init`.",
            )
        })
    }

    /// Takes a vault that was just made.
    pub(crate) fn adopt_vault(&self, vault: Vault) {
        let keychain = keychain_of(&self.keychain_choice, Some(&vault));
        *self.keychain.write().unwrap_or_else(PoisonError::into_inner) = keychain;
        *self.vault.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(vault));
    }

    pub(crate) fn keychain(&self) -> Keychain {
        self.keychain.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long ago the chain was last read. One clock stands still while the computer sleeps, the
    /// other may be set back; the later one counts.
    pub(crate) fn looked_ago(&self) -> Duration {
        let (at, on_the_wall) = *self.looked.read().unwrap_or_else(PoisonError::into_inner);
        let passed = Timestamp::now().duration_since(on_the_wall);
        at.elapsed().max(Duration::try_from(passed).unwrap_or_default())
    }

    /// The chain was read just now.
    pub(crate) fn note_look(&self) {
        *self.looked.write().unwrap_or_else(PoisonError::into_inner) =
            (Instant::now(), Timestamp::now());
    }

    /// What the desk remembers about itself beside books and vault.
    pub(crate) fn settings(&self, port: Option<u16>) -> Settings {
        Settings {
            // A program that knows no other network must not take this for its own.
            version: if self.practice_mode { 1 } else { 2 },
            practice: self.practice_mode,
            network: (!self.practice_mode).then(|| self.network.key.clone()),
            asset: Some(self.asset.clone()),
            port,
            locks: None,
        }
    }

    /// The chain, while the desk serves.
    pub(crate) fn chain(&self) -> Option<Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks other nodes from now on.
    pub(crate) fn use_chain(&self, chain: Chain) {
        *self.chain.write().unwrap_or_else(PoisonError::into_inner) = Some(chain);
    }

    /// Tells whoever watches that something changed.
    pub(crate) fn changed(&self, topics: &[&str]) {
        let _ = self.changes.send(Changed {
            topics: topics.iter().map(|&t| t.to_owned()).collect(),
            seq: self.ledger.head().seq,
        });
    }

    /// The owner's own address, while the vault is open.
    pub(crate) fn treasury(&self) -> Option<Address> {
        self.vault().and_then(|vault| vault.treasury_address().ok())
    }
}

/// Where the practice network is; the doors are not open yet.
fn endpoints_of(practice: Option<&Practice>, asset: &Asset) -> Endpoints {
    Endpoints {
        practice: practice.map(|practice| PracticeEndpoints {
            rpc: practice.rpc_url().to_string(),
            shop: practice.shop_url().to_string(),
            usdc: asset.id.contract.to_string(),
            chain_id: asset.id.chain_id,
        }),
        ..Endpoints::default()
    }
}

/// A keychain is the vault's: without a vault nothing is kept.
fn keychain_of(choice: &KeychainChoice, vault: Option<&Vault>) -> Keychain {
    match (choice, vault) {
        (KeychainChoice::System, Some(vault)) => Keychain::open(&vault.id()),
        (KeychainChoice::Given(keychain), Some(_)) => keychain.clone(),
        _ => Keychain::none(),
    }
}

fn open_vault(place: &Place) -> Result<Option<Arc<Vault>>, Problem> {
    match place.vault().try_exists() {
        Ok(true) => Ok(Some(Arc::new(Vault::open(place.vault())?))),
        Ok(false) => Ok(None),
        Err(error) => Err(unusable(&place.vault(), &error)),
    }
}

/// The vault is only ever made after the books, so a vault without books has lost them: new ones
/// would forget a freeze, and give old addresses to new agents.
fn books_must_be_there(place: &Place) -> Result<(), Problem> {
    let path = place.ledger();
    match std::fs::metadata(&path) {
        Ok(file) if file.len() > 0 => Ok(()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(&path, &error)),
        _ => Err(Problem::new(
            ErrorCode::Disk,
            format!(
                "The ledger {} is missing or empty, though this desk has a vault.",
                path.display()
            ),
            "Put a backup copy in its place. Nothing is paid without the books.",
        )),
    }
}

async fn start_practice(place: &Place, vault: Option<&Vault>) -> Result<Practice, Problem> {
    let kit = Kit::find()?;
    // The treasury's address needs an open vault; it is filled when the vault is unlocked.
    let treasury = vault.and_then(|vault| vault.treasury_address().ok());
    Ok(Practice::start(&kit, &place.practice(), treasury).await?)
}

/// The network's first asset before its contract is known: enough to read old books.
fn unplaced(network: &Network) -> Result<Asset, Problem> {
    let placed = network.assets.first().cloned();
    let unplaced =
        network.unplaced.first().map(|asset| asset.place(network.chain_id, Address::ZERO));
    placed.or(unplaced).ok_or_else(|| {
        Problem::new(
            ErrorCode::Internal,
            "The practice network has no asset.",
            "Report this fault.",
        )
    })
}

/// Scheme, host and port as rails writes a payee's origin.
fn origin_of(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

/// Takes the address asked for; else the last port, so that agents' settings stay true; else any.
async fn listen(wanted: Option<SocketAddr>, kept: Option<u16>) -> Result<TcpListener, Problem> {
    let taken = |at: SocketAddr, error: &std::io::Error| {
        Problem::new(
            ErrorCode::Unavailable,
            format!("The address {at} cannot be listened on ({error})."),
            "Close the program that uses it, or choose another with --listen 127.0.0.1:PORT.",
        )
    };
    if let Some(at) = wanted {
        return TcpListener::bind(at).await.map_err(|error| taken(at, &error));
    }
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for port in [kept.unwrap_or(DOOR_PORT), DOOR_PORT] {
        if let Ok(listener) = TcpListener::bind(local(port)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind(local(0)).await.map_err(|error| taken(local(0), &error))
}
