//! Proving the books: the hash chain recomputed, the seal and the copy compared, and every
//! projection rebuilt from the log.

use crate::Ledger;
use crate::apply::Place;
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use crate::seal::{Seal, SealKey};
use alloy_primitives::B256;
use rusqlite::Connection;
use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How many events travel together from the reader to whoever replays them.
const BATCH: usize = 512;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// How many events were read.
    pub events: u64,
    /// The head the chain leads to.
    pub head: Head,
    /// Up to which event the vault has sealed the log; `None` when it never has.
    pub sealed: Option<u64>,
    /// Whether the seal was checked with the vault's key, which takes an open vault.
    pub seal_checked: bool,
    /// What is wrong, one sentence each; empty when all is whole.
    pub faults: Vec<String>,
}

/// A copy of the log's end that is kept away from the file, so that an older file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadCopy {
    /// The last event's number when the copy was made.
    pub seq: u64,
    /// Its hash.
    pub hash: B256,
}

/// `1204:0x…`
impl fmt::Display for HeadCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for HeadCopy {
    type Err = LedgerError;
    fn from_str(text: &str) -> Result<HeadCopy, LedgerError> {
        text.split_once(':')
            .and_then(|(seq, hash)| {
                Some(HeadCopy { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
            })
            .ok_or_else(|| LedgerError::damaged("a copy of the head in another form"))
    }
}

impl From<Head> for HeadCopy {
    fn from(head: Head) -> HeadCopy {
        HeadCopy { seq: head.seq, hash: head.hash }
    }
}

impl Ledger {
    /// Recomputes the hash chain, compares the seal and `copy` with it, replays the log into empty
    /// books and compares every table.
    ///
    /// # Errors
    /// When the file cannot be opened; what is wrong inside it is a finding, not an error.
    pub async fn verify(&self, copy: Option<HeadCopy>) -> Result<Findings, LedgerError> {
        // A writer that has stopped has no key to give, and is all the more reason to look.
        let key = self.store.write(|tx| Ok(tx.seals.key())).await.unwrap_or_default();
        let conn = self.store.read_only()?;
        tokio::task::spawn_blocking(move || verify(&conn, key.as_ref(), copy))
            .await
            .map_err(|e| LedgerError::Database(e.to_string()))
    }

    /// Compares a copy of the head with the log; the answer is what is wrong, if anything is.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn compare_copy(&self, copy: HeadCopy) -> Result<Option<String>, LedgerError> {
        let found: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM events WHERE seq = ?")
            .bind(i64::try_from(copy.seq).unwrap_or(i64::MAX))
            .fetch_optional(&self.store.readers)
            .await?;
        Ok(differs_from_copy(copy, self.head().seq, found.as_deref()))
    }

    /// Takes the vault's key, after checking that the log is the one it sealed. From now on every
    /// commit is sealed. `expected` says that there has to be a seal.
    ///
    /// # Errors
    /// [`LedgerError::Forged`] when the seal, or what stands behind it, is not the vault's work;
    /// the key is not taken then.
    pub async fn open_seal(&self, key: SealKey, expected: bool) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                let file = tx.file()?;
                let fault = match Seal::read(file)? {
                    Some(seal) => broken_seal(file, &seal, &key)?,
                    None if expected => Some("its seal is gone".to_owned()),
                    None => None,
                };
                if let Some(what) = fault {
                    return Err(LedgerError::Forged { what });
                }
                tx.seals.set_key(Some(key));
                Ok(())
            })
            .await
    }

    /// Lets go of the vault's key: nothing that gives authority can be written from here on.
    ///
    /// # Errors
    /// When the ledger's writer has stopped, and holds nothing any more.
    pub async fn close_seal(&self) -> Result<(), LedgerError> {
        self.store
            .write(|tx| {
                tx.seals.set_key(None);
                Ok(())
            })
            .await
    }
}

/// What is wrong with a seal and with the events behind it.
fn broken_seal(
    conn: &Connection,
    seal: &Seal,
    key: &SealKey,
) -> Result<Option<String>, LedgerError> {
    if !seal.is_made_with(key) {
        return Ok(Some("its seal is not this vault’s".into()));
    }
    if hash_at(conn, seal.seq)? != Some(seal.hash) && seal.seq > 0 {
        return Ok(Some(format!("event {} is not the one that was sealed", seal.seq)));
    }
    let mut statement =
        conn.prepare("SELECT seq, kind, body FROM events WHERE seq > ? ORDER BY seq")?;
    let mut rows = statement.query([seal.seq])?;
    while let Some(row) = rows.next()? {
        let (kind, body): (String, String) = (row.get(1)?, row.get(2)?);
        if Event::parse(&kind, &body).is_ok_and(|event| event.needs_the_vault()) {
            let seq: u64 = row.get(0)?;
            return Ok(Some(format!("event {seq} ({kind}) was written without the vault")));
        }
    }
    Ok(None)
}

fn hash_at(conn: &Connection, seq: u64) -> Result<Option<B256>, LedgerError> {
    let mut statement = conn.prepare("SELECT hash FROM events WHERE seq = ?")?;
    let mut rows = statement.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(row.get_ref(0)?.as_blob().ok().and_then(|hash| B256::try_from(hash).ok()))
}

fn differs_from_copy(copy: HeadCopy, last: u64, found: Option<&[u8]>) -> Option<String> {
    if copy.seq == 0 {
        None
    } else if copy.seq > last {
        Some(format!(
            "The ledger is older than it was: it ends at event {last}, and event {} had been written.",
            copy.seq
        ))
    } else if found != Some(copy.hash.as_slice()) {
        Some(format!("Event {} is not the one that had been written.", copy.seq))
    } else {
        None
    }
}

/// An event on its way from the file to the replay.
struct Raw {
    seq: u64,
    at_ms: i64,
    kind: String,
    payment: Option<String>,
    body: String,
}

/// What the reader of the log saw besides the events.
struct Walk {
    head: Head,
    /// The hashes at the two places that something is compared with.
    at_seal: Option<B256>,
    at_copy: Option<B256>,
    faults: Vec<String>,
}

fn verify(conn: &Connection, key: Option<&SealKey>, copy: Option<HeadCopy>) -> Findings {
    let unread = |error: LedgerError| Findings {
        events: 0,
        head: Head::EMPTY,
        sealed: None,
        seal_checked: false,
        faults: vec![format!("The file cannot be read: {error}")],
    };
    // One read transaction, so that writes going on meanwhile do not look like faults.
    let begun = conn.execute_batch("BEGIN").map_err(LedgerError::from);
    let seal = match begun.and_then(|()| Seal::read(conn)) {
        Ok(seal) => seal,
        Err(error) => return unread(error),
    };
    let (walk, mut books, mut faults) = walk_and_replay(conn, seal.as_ref(), copy);
    faults.extend(walk.faults);
    if let Some(seal) = &seal {
        if seal.seq > 0 && walk.at_seal != Some(seal.hash) {
            faults.push(format!("Event {} is not the one the vault sealed.", seal.seq));
        }
        if key.is_some_and(|key| !seal.is_made_with(key)) {
            faults.push("The seal under the log is not this vault’s.".into());
        }
    }
    let at_copy = walk.at_copy.map(|hash| hash.to_vec());
    faults.extend(copy.and_then(|copy| differs_from_copy(copy, walk.head.seq, at_copy.as_deref())));
    if faults.is_empty() {
        match books.compare(conn) {
            Ok(differences) => faults.extend(differences),
            Err(error) => faults.push(format!("A table cannot be read: {error}")),
        }
    }
    books.forget();
    Findings {
        events: walk.head.seq,
        head: walk.head,
        sealed: seal.map(|seal| seal.seq),
        seal_checked: seal.is_some() && key.is_some(),
        faults,
    }
}

/// Reads and hashes on one thread, takes apart and applies on another.
fn walk_and_replay(
    conn: &Connection,
    seal: Option<&Seal>,
    copy: Option<HeadCopy>,
) -> (Walk, Books, Vec<String>) {
    let (batches, incoming) = sync_channel::<Vec<Raw>>(8);
    let sealed = seal.map(|seal| seal.seq);
    std::thread::scope(|scope| {
        let replayer = scope.spawn(move || replay(&incoming, sealed));
        let walk = walk(conn, &batches, sealed, copy.map(|copy| copy.seq));
        drop(batches);
        let (books, faults) = replayer.join().unwrap_or_else(|_| {
            (Books::empty(), vec!["The replay itself failed; report this fault.".into()])
        });
        (walk, books, faults)
    })
}

fn walk(
    conn: &Connection,
    batches: &SyncSender<Vec<Raw>>,
    sealed: Option<u64>,
    copied: Option<u64>,
) -> Walk {
    let mut walk = Walk { head: Head::EMPTY, at_seal: None, at_copy: None, faults: Vec::new() };
    if let Err(error) = walk_on(conn, batches, sealed, copied, &mut walk) {
        walk.faults.push(format!("The log cannot be read past event {}: {error}", walk.head.seq));
    }
    walk
}

fn walk_on(
    conn: &Connection,
    batches: &SyncSender<Vec<Raw>>,
    sealed: Option<u64>,
    copied: Option<u64>,
    walk: &mut Walk,
) -> Result<(), LedgerError> {
    let mut statement =
        conn.prepare("SELECT seq, at_ms, kind, payment, body, hash FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        let (seq, at_ms): (u64, i64) = (row.get(0)?, row.get(1)?);
        let (kind, payment): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let body: String = row.get(4)?;
        let next = walk.head.next(at_ms, &body);
        if seq != next.seq {
            walk.faults.push(format!("Event {} is missing: the log goes on at {seq}.", next.seq));
            break;
        }
        if row.get_ref(5)?.as_blob().ok() != Some(next.hash.as_slice()) {
            walk.faults.push(format!(
                "Event {seq} is not what was written: its hash does not fit the chain."
            ));
            break;
        }
        if at_ms < walk.head.at_ms && kind != "clock_set" {
            walk.faults.push(format!("Event {seq} is older than the one before it."));
        }
        if sealed == Some(seq) {
            walk.at_seal = Some(next.hash);
        }
        if copied == Some(seq) {
            walk.at_copy = Some(next.hash);
        }
        walk.head = next;
        batch.push(Raw { seq, at_ms, kind, payment, body });
        if batch.len() == BATCH && batches.send(std::mem::take(&mut batch)).is_err() {
            // The replay has found a fault and listens no more.
            return Ok(());
        }
    }
    let _ = batches.send(batch);
    Ok(())
}

/// Applies every event to empty books, until one cannot have happened.
fn replay(incoming: &Receiver<Vec<Raw>>, sealed: Option<u64>) -> (Books, Vec<String>) {
    let mut books = Books::empty();
    let mut faults = Vec::new();
    for raw in incoming.iter().flatten() {
        let seq = raw.seq;
        let event = match Event::parse(&raw.kind, &raw.body) {
            Ok(event) => event,
            Err(error) => {
                faults.push(format!("Event {seq} cannot be read: {error}."));
                break;
            }
        };
        if raw.payment.as_deref() != event.payment().map(|id| id.as_str()) {
            faults.push(format!("Event {seq} is labelled as something it is not."));
        }
        if sealed.is_some_and(|sealed| seq > sealed) && event.needs_the_vault() {
            faults.push(format!("Event {seq} gives authority and is not under the vault’s seal."));
        }
        if let Err(error) = books.apply(&event, Place { seq, at_ms: raw.at_ms }) {
            faults.push(format!("Event {seq} cannot have happened: {error}"));
            break;
        }
        books.keep();
    }
    (books, faults)
}
