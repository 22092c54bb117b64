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
use imprest_ledger::{HeadCopy, Ledger, SealKey};
use std::fs;
use std::path::Path;

/// Tampers `rounds` times, drawn from a seed.
///
/// # Errors
/// [`Broken`] with the first change that nobody noticed.
pub fn run(seed: u64, rounds: u64) -> Result<Figures, Broken> {
    let broken = |what: String| Broken { proof: Proof::Tampering, seed, what };
    let folder = place::folder().map_err(|e| broken(e.to_string()))?;
    let runtime = place::runtime().map_err(|e| broken(e.to_string()))?;
    let books = runtime.block_on(Books::write(folder.path())).map_err(&broken)?;
    let mut chance = Chance::new(seed);
    let mut figures = Figures::default();
    let path = folder.path().join("tampered.db");
    let mut counted = 0;
    while counted < rounds {
        // Every kind comes up, and none of them often enough to hide another.
        let forgery = Forgery::ALL[chance.index(Forgery::ALL.len())];
        let what = forgery.commit(&books, &path, &mut chance).map_err(&broken)?;
        let Some(what) = what else { continue };
        let noticed = runtime.block_on(noticed(&path, &books.key, books.copy));
        let Some(by) = noticed else {
            return Err(broken(format!("{}: {what} went unnoticed", forgery.name())));
        };
        figures.count(forgery.name());
        figures.count(by);
        counted += 1;
    }
    figures.add("tamperings", rounds);
    Ok(figures)
}

/// Opens the file as a desk does; says what noticed that it is not the one that was written.
async fn noticed(path: &Path, key: &SealKey, copy: HeadCopy) -> Option<&'static str> {
    let Ok(ledger) = Ledger::open(path).await else { return Some("noticed on opening") };
    let mut by = None;
    if ledger.open_seal(key.clone(), true).await.is_err() {
        by = Some("noticed by the seal");
    }
    match ledger.verify(Some(copy)).await {
        Ok(found) if found.faults.is_empty() => {}
        _ => by = by.or(Some("noticed by verify")),
    }
    ledger.close().await;
    by
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
