//! Proving the books: the hash chain recomputed, the seal and the copy compared, and every
//! projection rebuilt from the log.

use crate::Ledger;
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use crate::migrate::schema_differs;
use crate::proof::{KeySum, Proof};
use crate::seal::{Seal, SealKey};
use crate::store::Tx;
use crate::walk::{self, Walk};
use alloy_primitives::B256;
use rusqlite::Connection;
use std::fmt;
use std::hash::RandomState;
use std::str::FromStr;

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
        let open = || -> Result<[Connection; 3], LedgerError> {
            Ok([self.store.read_only()?, self.store.read_only()?, self.store.read_only()?])
        };
        let files = open()?;
        // Between two groups, so that all connections see the same moment.
        let stilled = self.store.write(move |tx| Ok((tx.seals.key(), Still::begin(files))));
        let (key, still) = match stilled.await {
            Ok(stilled) => stilled,
            // A writer that has stopped has no key to give, and is all the more reason to look.
            Err(_) => (None, Still::begin(open()?)),
        };
        tokio::task::spawn_blocking(move || verify(still, key.as_ref(), copy))
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
    /// commit is sealed. There has to be a seal when `expected`, and always once the log holds
    /// something that gives authority, which only an open vault can have written.
    ///
    /// # Errors
    /// [`LedgerError::Forged`] when the seal, or what stands behind it, is not the vault's work;
    /// the key is not taken then.
    pub async fn open_seal(&self, key: SealKey, expected: bool) -> Result<(), LedgerError> {
        self.store.write(move |tx| take_key(tx, key, expected)).await
    }

    /// Takes the vault's key and seals the log as it is, because its owner says that it is right:
    /// after an upgrade from books without a seal, or when a seal was lost.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn adopt(&self, key: SealKey) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
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

/// Gives the writer the vault's key, if the log is the one the vault sealed.
pub(crate) fn take_key(tx: &mut Tx<'_>, key: SealKey, expected: bool) -> Result<(), LedgerError> {
    let file = tx.file()?;
    let fault = match Seal::read(file)? {
        Some(seal) => broken_seal(file, &seal, &key)?,
        None if expected || authority_after(file, 0)?.is_some() => {
            Some("its seal is gone".to_owned())
        }
        None => None,
    };
    if let Some(what) = fault {
        return Err(LedgerError::Forged { what });
    }
    tx.seals.set_key(Some(key));
    Ok(())
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
    let unsealed = authority_after(conn, seal.seq)?;
    Ok(unsealed.map(|(seq, kind)| format!("event {seq} ({kind}) was written without the vault")))
}

/// The first event after another that gives authority.
fn authority_after(conn: &Connection, seq: u64) -> Result<Option<(u64, String)>, LedgerError> {
    let mut statement =
        conn.prepare("SELECT seq, kind, body FROM events WHERE seq > ? ORDER BY seq")?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        let (kind, body): (String, String) = (row.get(1)?, row.get(2)?);
        if Event::parse(&kind, &body).is_ok_and(|event| event.needs_the_vault()) {
            return Ok(Some((row.get(0)?, kind)));
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

/// The file as it was at one moment, seen by those who look at it at the same time.
struct Still {
    log: Connection,
    tables: Connection,
    keys: Connection,
    seal: Option<Seal>,
}

impl Still {
    /// Begins a read transaction on each, so that writes going on meanwhile do not look like
    /// faults.
    fn begin([log, tables, keys]: [Connection; 3]) -> Result<Still, LedgerError> {
        for file in [&log, &tables, &keys] {
            file.execute_batch("BEGIN")?;
            // The first read is what takes hold of the moment.
            Seal::read(file)?;
        }
        let seal = Seal::read(&log)?;
        Ok(Still { log, tables, keys, seal })
    }
}

fn verify(
    still: Result<Still, LedgerError>,
    key: Option<&SealKey>,
    copy: Option<HeadCopy>,
) -> Findings {
    let hasher = RandomState::new();
    let begun = still.and_then(|Still { log, tables, keys, seal }| {
        Ok((log, Books::proving(Proof::against(tables, hasher.clone())?), keys, seal))
    });
    let (log, books, keys, seal) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            return Findings {
                events: 0,
                head: Head::EMPTY,
                sealed: None,
                seal_checked: false,
                faults: vec![format!("The file cannot be read: {error}")],
            };
        }
    };
    let sealed = seal.map(|seal| seal.seq);
    let (beside, (walk, mut books)) = std::thread::scope(|scope| {
        let beside = move || (KeySum::of_file(&keys, hasher), schema_differs(&keys));
        let beside = scope.spawn(beside);
        let walked = walk::walk(log, books, sealed, copy.map(|copy| copy.seq));
        (beside.join(), walked)
    });
    let died = || LedgerError::damaged("the check itself failed; report this");
    let (keys, schema) = beside.unwrap_or_else(|_| (Err(died()), Err(died())));
    let Walk { head, at_seal, at_copy, mut faults, .. } = walk;
    if let Some(seal) = &seal {
        if seal.seq > 0 && at_seal != Some(seal.hash) {
            faults.push(format!("Event {} is not the one the vault sealed.", seal.seq));
        }
        if key.is_some_and(|key| !seal.is_made_with(key)) {
            faults.push("The seal under the log is not this vault’s.".into());
        }
    }
    let at_copy = at_copy.map(|hash| hash.to_vec());
    faults.extend(copy.and_then(|copy| differs_from_copy(copy, head.seq, at_copy.as_deref())));
    if faults.is_empty() {
        match keys.and_then(|keys| books.differences(head.seq, &keys)) {
            Ok(differences) => faults.extend(differences),
            Err(error) => faults.push(format!("A table cannot be read: {error}")),
        }
    }
    match schema {
        Ok(None) => {}
        Ok(Some(what)) => faults.push(format!("The file was changed: {what}.")),
        Err(error) => faults.push(format!("The list of tables cannot be read: {error}")),
    }
    let seal_checked = seal.is_some() && key.is_some();
    Findings { events: head.seq, head, sealed, seal_checked, faults }
}
