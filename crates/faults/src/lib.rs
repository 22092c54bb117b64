//! A disk in memory that fails on demand and loses power, mounted as an SQLite VFS.
//!
//! For tests only: nothing that is shipped depends on it. It answers the question that a real disk
//! answers once in a bad night: is what was said to be committed still there?
//!
//! - Every file has bytes on the platter and changes on their way to it. A sync brings them there;
//!   [`Disk::cut`] leaves a disk on which each unsynced change was kept, dropped or torn at the
//!   512-byte sectors, in any order. Names of files behave alike.
//! - A [`Plan`] makes the `n`-th operation fail, once or for ever, or stops the machine there. A
//!   failed sync is what Linux makes of it: the changes may be lost, and later syncs succeed
//!   without bringing them to the platter.
//! - [`Disk::ops`] counts, so that a test runs clean first to learn how many operations there are,
//!   and then lets each of them fail in turn.
//!
//! ```
//! # use imprest_faults::{Class, Code, Disk, Plan};
//! # use rusqlite::{Connection, OpenFlags};
//! let disk = Disk::new();
//! let mount = disk.mount();
//! let open = || Connection::open_with_flags_and_vfs("/t", OpenFlags::default(), mount.name());
//! let books = open()?;
//! books.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER) STRICT")?;
//! disk.fail(Plan::nth(1).of(Class::Sync).with(Code::IOERR_FSYNC));
//! assert!(books.execute("INSERT INTO t VALUES (1)", ()).is_err());
//!
//! let after = disk.cut(42);
//! let mount = after.mount();
//! let books = Connection::open_with_flags_and_vfs("/t", OpenFlags::default(), mount.name())?;
//! let rows: i64 = books.query_row("SELECT count(*) FROM t", (), |row| row.get(0))?;
//! assert!(rows <= 1, "the failed commit is there or not; the table is there in any case");
//! # Ok::<(), rusqlite::Error>(())
//! ```
//!
//! What it does not do: keep several processes apart (everything is in this process), map files
//! into memory, or let bytes rot that were never written again. A failing read gives an error
//! code, never wrong bytes; [`Code::IOERR_SHORT_READ`] is the exception, and says so.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod content;
mod dice;
mod directory;
mod locks;
mod plan;
mod state;
mod vfs;

pub use plan::{Class, Code, Ops, Plan};

use directory::full_path;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::{Registration, Shared};

/// A disk. A clone is the same disk, and any thread may use it.
///
/// Paths are taken from the root: `ledger.db`, `/ledger.db` and `/x/../ledger.db` are one file.
/// Folders need not be made.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    shared: Arc<Shared>,
}

impl Disk {
    /// An empty disk on which nothing fails.
    pub fn new() -> Disk {
        Disk::default()
    }

    /// Registers it with SQLite under a name that nobody else has.
    ///
    /// # Panics
    /// When SQLite cannot register a VFS, which only a lack of memory explains.
    pub fn mount(&self) -> Mount {
        static MOUNTS: AtomicU64 = AtomicU64::new(1);
        let name = format!("imprest-faults-{}", MOUNTS.fetch_add(1, Ordering::Relaxed));
        match self.mount_as(&name) {
            Ok(mount) => mount,
            Err(why) => panic!("{why}"),
        }
    }

    /// Registers it with SQLite under this name.
    ///
    /// # Errors
    /// When another VFS of this process has the name, or it has a NUL in it.
    pub fn mount_as(&self, name: &str) -> Result<Mount, MountError> {
        match Registration::new(name, Arc::clone(&self.shared)) {
            Ok(registration) => Ok(Mount { registration }),
            Err(code) => Err(MountError { name: name.to_owned(), code }),
        }
    }

    /// Adds a failure to come. Several may be in force; of two that strike the same operation the
    /// older one does.
    pub fn fail(&self, plan: Plan) {
        self.shared.state().plans.add(plan);
    }

    /// Forgets every plan and turns the power on again; what has happened has happened.
    pub fn heal(&self) {
        self.shared.state().plans.clear();
    }

    /// What was asked of the disk since it was made.
    pub fn ops(&self) -> Ops {
        self.shared.state().plans.ops()
    }

    /// The disk that a power cut at this moment leaves, as the seed has it; this one goes on.
    ///
    /// Each unsynced change is kept, dropped or torn, in the order in which it was made or in
    /// another. A new or deleted name is kept or dropped. What a failed sync left behind is kept
    /// or dropped. The new disk is closed, has no plans, and all of it is on the platter.
    #[must_use]
    pub fn cut(&self, seed: u64) -> Disk {
        let left = self.shared.state().after_cut(seed);
        Disk { shared: Shared::new(left) }
    }

    /// What a reader of the file sees now; nothing when there is no such file.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.state().seen(&full_path(path)).map(<[u8]>::to_vec)
    }

    /// What of the file is certain to survive a power cut; nothing when its name is not.
    pub fn durable(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.state().durable(&full_path(path))
    }

    /// The paths of all files, as a reader sees them now, in order.
    pub fn paths(&self) -> Vec<String> {
        self.shared.state().directory.seen().keys().cloned().collect()
    }

    /// Lays a file on the platter, in the place of any other of that name. Who has the old one
    /// open keeps it.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.state().put(full_path(path), bytes.into());
    }

    /// Gives a file another name, in the place of any other of that name; tells whether there was
    /// such a file. Durable, as for a new file, with the next sync of it. SQLite never does this;
    /// a program that swaps a restored copy in does.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        self.shared.state().directory.rename(&full_path(from), &full_path(to))
    }

    /// Writes what is certain to survive a power cut into a real folder, so that a real program
    /// can look at it. To see what a cut leaves, export the disk that [`Disk::cut`] gave.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn export(&self, folder: &Path) -> io::Result<()> {
        let state = self.shared.state();
        for path in state.directory.durable().keys() {
            let Some(bytes) = state.durable(path) else { continue };
            let real = folder.join(path.trim_start_matches('/'));
            if let Some(parent) = real.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(real, bytes)?;
        }
        Ok(())
    }
}

/// A disk that SQLite knows by a name; forgotten when this is dropped and no file is open.
#[derive(Debug)]
pub struct Mount {
    registration: &'static Registration,
}

impl Mount {
    /// The name to open a database with.
    pub fn name(&self) -> &str {
        self.registration.name()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.registration.leave();
    }
}

/// Why a disk could not be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountError {
    name: String,
    code: i32,
}

impl std::fmt::Display for MountError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SQLite takes no VFS named {:?} (code {})", self.name, self.code)
    }
}

impl std::error::Error for MountError {}
