//! The ledger after somebody edited its file.
//!
//! A desk's books, sealed by a vault's key and with a copy of their end kept elsewhere, are written
//! once. Each round copies the file, changes it in one drawn way, as a program of the same user
//! could that knows the format but not the key, and opens it as a desk does. The change has to be
//! noticed: the file is refused, or the vault does not take it for its own, or `verify` names a
//! fault. A round whose change left the books as they were does not count and is drawn again.

mod books;
mod forgery;

use crate::chance::Chance;
use crate::place;
use crate::proof::{Broken, Figures, Proof};
use books::Books;
use forgery::Forgery;
use imprest_ledger::{HeadCopy, Ledger, LedgerError, SealKey};
use std::fs;
use std::path::Path;

/// How many draws may make no difference before that is a fault of this proof.
const DRAWS_MAX: u64 = 1_000;

/// Tampers once for each of `rounds` seeds.
///
/// A seed draws what is done and where; identifiers and times are each run's own.
///
/// # Errors
/// [`Broken`] with the first change that nobody noticed.
pub fn run(seed: u64, rounds: u64) -> Result<Figures, Broken> {
    let broken = |seed: u64, what: String| Broken { proof: Proof::Tampering, seed, what };
    let started = |what: String| broken(seed, what);
    let folder = place::folder().map_err(|e| started(e.to_string()))?;
    let runtime = place::runtime().map_err(|e| started(e.to_string()))?;
    let books = runtime.block_on(Books::write(folder.path())).map_err(started)?;
    let mut figures = Figures::default();
    figures.add("events in the books", books.copy.seq);
    let path = folder.path().join("tampered.db");
    for seed in seed..seed.saturating_add(rounds) {
        let mut chance = Chance::new(seed);
        let told = runtime.block_on(tamper(&books, &path, &mut chance, &mut figures));
        told.map_err(|what| broken(seed, what))?;
    }
    figures.add("tamperings", rounds);
    Ok(figures)
}

/// Draws until something makes a difference, and looks whether it is noticed.
async fn tamper(
    books: &Books,
    path: &Path,
    chance: &mut Chance,
    figures: &mut Figures,
) -> Result<(), String> {
    // Every kind comes up, and none of them often enough to hide another.
    let forgery = *chance.one_of::<Forgery>(&Forgery::ALL);
    let name = forgery.name();
    for _ in 0..DRAWS_MAX {
        let Some(what) = forgery.commit(books, path, chance)? else { continue };
        let told = |by: Result<_, String>| by.map_err(|why| format!("{name}: {what}: {why}"));
        figures.count(name);
        let tampered = fs::read(path).map_err(|e| e.to_string())?;
        let by = told(noticed(path, &books.key, Some(books.copy)).await)?;
        figures.count(by.ok_or_else(|| format!("{name}: {what} went unnoticed"))?);
        // An older file is whole in itself; everything else the file has to tell by itself.
        if forgery != Forgery::RestoreOlder {
            put(&tampered, path)?;
            let by = told(noticed(path, &books.key, None).await)?;
            by.ok_or_else(|| format!("{name}: {what} went unnoticed without a copy of the end"))?;
            figures.count("noticed without a copy of the end too");
        }
        return Ok(());
    }
    Err(format!("{name}: nothing makes a difference"))
}

/// Opens the file as a desk does; says what noticed that it is not the one that was written.
async fn noticed(
    path: &Path,
    key: &SealKey,
    copy: Option<HeadCopy>,
) -> Result<Option<&'static str>, String> {
    let ledger = match Ledger::open(path).await {
        Ok(ledger) => ledger,
        Err(error) => return named(error, "noticed on opening"),
    };
    let by = notice_open(&ledger, key, copy).await;
    ledger.close().await;
    by
}

async fn notice_open(
    ledger: &Ledger,
    key: &SealKey,
    copy: Option<HeadCopy>,
) -> Result<Option<&'static str>, String> {
    // First as anybody may, then with the vault open.
    match ledger.verify(copy).await {
        Ok(found) if found.faults.is_empty() => {}
        Ok(_) => return Ok(Some("noticed by verify")),
        Err(error) => return named(error, "noticed by verify"),
    }
    // As a desk does: only a copy of the end tells that there has to be a seal.
    if let Err(error) = ledger.open_seal(key.clone(), copy.is_some()).await {
        return named(error, "noticed by the vault’s seal");
    }
    match ledger.verify(copy).await {
        Ok(found) if found.faults.is_empty() => {}
        Ok(_) => return Ok(Some("noticed by verify with the vault open")),
        Err(error) => return named(error, "noticed by verify with the vault open"),
    }
    match ledger.check_file().await {
        Ok(faults) if faults.is_empty() => Ok(None),
        Ok(_) => Ok(Some("noticed by the check of the file itself")),
        Err(error) => named(error, "noticed by the check of the file itself"),
    }
}

/// An error that says what is wrong with the file is a notice; a thread that died is none.
fn named(error: LedgerError, by: &'static str) -> Result<Option<&'static str>, String> {
    match error {
        LedgerError::Database(why) if why.contains("panic") => Err(why),
        _ => Ok(Some(by)),
    }
}

/// Puts a file in place of another, without what SQLite may have left beside it.
fn put(bytes: &[u8], path: &Path) -> Result<(), String> {
    for tail in ["-wal", "-shm"] {
        let beside = path.with_file_name(format!("tampered.db{tail}"));
        if beside.exists() {
            fs::remove_file(beside).map_err(|e| e.to_string())?;
        }
    }
    fs::write(path, bytes).map_err(|e| e.to_string())
}
