//! Small books on a disk that fails: what is written, and whether what is left is true.

#![allow(dead_code, reason = "each test file uses its own part")]

use imprest_faults::{Disk, Mount, Plan};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// Where the books are on the disk.
pub const PATH: &str = "/desk/books.db";

/// How the books are kept.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub journal: &'static str,
    pub synchronous: &'static str,
}

/// As the desk keeps its ledger.
pub const WAL_FULL: Style = Style { journal: "WAL", synchronous: "FULL" };

/// Numbers that depend on their seed alone (xorshift64*).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// The number of a transaction.
pub type Tx = u32;

/// What one transaction writes: cells, each with its new body or without one.
fn changes(tx: Tx) -> Vec<(u32, Option<Vec<u8>>)> {
    let mut chance = Chance::new(u64::from(tx));
    (0..=chance.below(3))
        .map(|_| {
            let cell = chance.below(9) as u32;
            let bytes = chance.below(2_500) as usize;
            let body = (chance.below(5) > 0).then(|| vec![tx as u8; bytes]);
            (cell, body)
        })
        .collect()
}

/// Opens the books and sets how they are kept; makes the tables when they are not there.
pub fn open(
    mount: &Mount,
    style: Style,
    autocheckpoint_pages: u64,
) -> rusqlite::Result<Connection> {
    let books = Connection::open_with_flags_and_vfs(PATH, OpenFlags::default(), mount.name())?;
    books.execute_batch(&format!(
        "PRAGMA page_size = 1024;
         PRAGMA journal_mode = {};
         PRAGMA synchronous = {};
         PRAGMA wal_autocheckpoint = {autocheckpoint_pages};
         BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS log (tx INTEGER PRIMARY KEY) STRICT;
         CREATE TABLE IF NOT EXISTS cells (
            cell INTEGER PRIMARY KEY, tx INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
         COMMIT",
        style.journal, style.synchronous
    ))?;
    Ok(books)
}

/// Runs one transaction; `Ok` is the database's word that it is committed.
pub fn commit(books: &Connection, tx: Tx) -> rusqlite::Result<()> {
    books.execute_batch("BEGIN IMMEDIATE")?;
    books.execute("INSERT INTO log VALUES (?1)", [tx])?;
    for (cell, body) in changes(tx) {
        match body {
            Some(body) => books.execute(
                "INSERT INTO cells VALUES (?1, ?2, ?3)
                 ON CONFLICT (cell) DO UPDATE SET tx = ?2, body = ?3",
                params![cell, tx, body],
            )?,
            None => books.execute("DELETE FROM cells WHERE cell = ?1", [cell])?,
        };
    }
    books.execute_batch("COMMIT")
}

/// What was asked of the books, and what they said.
#[derive(Debug, Default, Clone)]
pub struct Story {
    /// Every transaction that was begun.
    pub tried: BTreeSet<Tx>,
    /// Those of which the database said that they are committed.
    pub promised: BTreeSet<Tx>,
    /// The last number given; none is given twice.
    last: Tx,
}

impl Story {
    /// Runs one transaction and writes down what became of it.
    pub fn tell(&mut self, books: &Connection) -> rusqlite::Result<()> {
        self.last += 1;
        let tx = self.last;
        self.tried.insert(tx);
        commit(books, tx)?;
        self.promised.insert(tx);
        Ok(())
    }
}

/// How the books differ from the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untrue {
    /// A transaction that was promised is not there.
    Lost(Tx),
    /// The database cannot be read, or says itself that it is broken, or contradicts itself.
    Broken(String),
}

impl From<rusqlite::Error> for Untrue {
    fn from(error: rusqlite::Error) -> Untrue {
        Untrue::Broken(error.to_string())
    }
}

/// Opens what is on the disk and compares it with the story: everything promised is there,
/// nothing is there that was never tried, every transaction is there whole or not at all.
pub fn check(disk: &Disk, story: &Story) -> Result<(), Untrue> {
    let mount = disk.mount();
    let books = Connection::open_with_flags_and_vfs(PATH, OpenFlags::default(), mount.name())?;
    check_open(&books, story)
}

/// The same for books that are open.
pub fn check_open(books: &Connection, story: &Story) -> Result<(), Untrue> {
    let integrity: String = books.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if integrity != "ok" {
        return Err(Untrue::Broken(integrity));
    }
    let table: Option<i64> = books
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'log'", (), |row| row.get(0))
        .optional()?;
    let logged: BTreeSet<Tx> = match table {
        None => BTreeSet::new(),
        Some(_) => books
            .prepare("SELECT tx FROM log")?
            .query_map((), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    };
    if let Some(lost) = story.promised.difference(&logged).next() {
        return Err(Untrue::Lost(*lost));
    }
    if let Some(invented) = logged.difference(&story.tried).next() {
        return Err(Untrue::Broken(format!("transaction {invented} was never tried")));
    }
    if table.is_some() && cells(books)? != cells_after(&logged) {
        return Err(Untrue::Broken("the cells are not what the log adds up to".into()));
    }
    Ok(())
}

type Cells = BTreeMap<u32, (Tx, Vec<u8>)>;

fn cells(books: &Connection) -> rusqlite::Result<Cells> {
    books
        .prepare("SELECT cell, tx, body FROM cells")?
        .query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
        .collect()
}

fn cells_after(logged: &BTreeSet<Tx>) -> Cells {
    let mut cells = Cells::new();
    for tx in logged {
        for (cell, body) in changes(*tx) {
            match body {
                Some(body) => cells.insert(cell, (*tx, body)),
                None => cells.remove(&cell),
            };
        }
    }
    cells
}

/// Three sessions, each ended by a power cut at an operation that the seed chooses; between them
/// the books are compared with the story. Tells how many promises were kept, over all nights.
pub fn three_nights(style: Style, seed: u64) -> Result<usize, Untrue> {
    let mut chance = Chance::new(seed);
    let mut disk = Disk::new();
    let mut story = Story::default();
    let mut kept = 0;
    for night in 0..3 {
        disk.fail(Plan::nth(1 + chance.below(300)).power_off());
        let mount = disk.mount();
        // The connection is open while the power is cut; what it does afterwards is of no account.
        let books = one_night(&mount, style, &mut chance, &mut story);
        let left = disk.cut(seed ^ night);
        drop(books);
        check(&left, &story)?;
        kept += story.promised.len();
        // What was in doubt is decided by now, one way or the other.
        story = decided(&left, &story)?;
        disk = left;
    }
    Ok(kept)
}

/// The story as the books now tell it: what is there is promised, what is not was never tried.
fn decided(disk: &Disk, story: &Story) -> Result<Story, Untrue> {
    let mount = disk.mount();
    let books = Connection::open_with_flags_and_vfs(PATH, OpenFlags::default(), mount.name())?;
    let mut decided = Story { last: story.last, ..Story::default() };
    for tx in &story.tried {
        let there: rusqlite::Result<i64> =
            books.query_row("SELECT count(*) FROM log WHERE tx = ?1", [tx], |row| row.get(0));
        if there.is_ok_and(|n| n == 1) {
            decided.promised.insert(*tx);
        }
    }
    decided.tried = decided.promised.clone();
    Ok(decided)
}

/// Writes until something fails or it is enough.
fn one_night(
    mount: &Mount,
    style: Style,
    chance: &mut Chance,
    story: &mut Story,
) -> rusqlite::Result<Connection> {
    let books = open(mount, style, [0, 4, 16, 1000][chance.below(4) as usize])?;
    for _ in 0..chance.below(16) {
        story.tell(&books)?;
        if chance.below(6) == 0 {
            let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][chance.below(4) as usize];
            books.execute_batch(&format!("PRAGMA wal_checkpoint({mode})"))?;
        }
    }
    Ok(books)
}
