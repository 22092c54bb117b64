//! Histories on the disk, made once and kept while they are what is wanted.

use crate::history::{self, Shape, Written};
use crate::orders::Body;
use crate::progress;
use crate::table::{Fact, fact, grouped, rate_of, size};
use alloy_primitives::B256;
use anyhow::{Context, Result, ensure};
use imprest_ledger::Ledger;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Raised whenever a history of the same shape is written differently.
const FORM: u32 = 1;

/// A history at hand.
pub struct History {
    /// Its file.
    pub path: PathBuf,
    /// What it is like.
    pub shape: Shape,
    /// What was written.
    pub written: Written,
    /// How long that took, at the time.
    pub took: Duration,
}

/// What a kept file is, beside it as JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    form: u32,
    /// SHA-256 over the tables of an empty ledger: another form of the books is another history.
    tables_sha256: String,
    shape: Shape,
    written: Written,
    took_ms: u64,
}

/// The folder of histories.
pub struct Store<'r> {
    folder: PathBuf,
    tables_sha256: String,
    runtime: &'r Runtime,
}

impl<'r> Store<'r> {
    /// The store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn open(folder: &Path, runtime: &'r Runtime) -> Result<Store<'r>> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let scratch = tempfile::TempDir::new_in(folder)?;
        let path = scratch.path().join("ledger.db");
        runtime.block_on(async {
            Ledger::open(&path).await?.close().await;
            anyhow::Ok(())
        })?;
        let conn = rusqlite::Connection::open(&path)?;
        let mut sha = Sha256::new();
        let mut statement = conn.prepare("SELECT sql FROM sqlite_master ORDER BY name")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            sha.update(row.get::<_, Option<String>>(0)?.unwrap_or_default());
        }
        let tables_sha256 = B256::from_slice(&sha.finalize()).to_string();
        Ok(Store { folder: folder.to_owned(), tables_sha256, runtime })
    }

    /// The folder, on the disk that is measured.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The history of a shape: the kept one, or a new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn history(&self, shape: Shape) -> Result<History> {
        let body = match shape.body {
            Body::Full => "full",
            Body::Lean => "lean",
        };
        let name = format!("history-{}-{body}-{}", shape.payments, shape.paid_percent);
        let path = self.folder.join(format!("{name}.db"));
        let label_path = self.folder.join(format!("{name}.json"));
        if let Some(label) = self.kept(&path, &label_path, shape) {
            let took = Duration::from_millis(label.took_ms);
            return Ok(History { path, shape, written: label.written, took });
        }
        remove(&path, &label_path)?;
        let step = progress::begin(format!("writing a history of {}", payments(shape)));
        let began = Instant::now();
        let tell = |done| {
            if done % 1_000_000 < 16_384 && done > 16_384 {
                step.at(done, shape.payments);
            }
        };
        let written = self.runtime.block_on(history::write(&path, shape, &tell))?;
        let took = began.elapsed();
        step.done();
        let label = Label {
            form: FORM,
            tables_sha256: self.tables_sha256.clone(),
            shape,
            written,
            took_ms: u64::try_from(took.as_millis())?,
        };
        std::fs::write(&label_path, serde_json::to_vec_pretty(&label)?)?;
        Ok(History { path, shape, written, took })
    }

    fn kept(&self, path: &Path, label: &Path, shape: Shape) -> Option<Label> {
        let label: Label = serde_json::from_slice(&std::fs::read(label).ok()?).ok()?;
        let fits = path.exists()
            && label.form == FORM
            && label.tables_sha256 == self.tables_sha256
            && label.shape == shape;
        fits.then_some(label)
    }

    /// A history small enough to be proved each time, and proved: what it is a small copy of is
    /// written by the same code.
    ///
    /// # Errors
    /// When it cannot be written, or is not whole; then nothing of its kind is measured.
    pub fn proved(&self, shape: Shape) -> Result<History> {
        let history = self.history(shape)?;
        let found = self.runtime.block_on(async {
            let ledger = Ledger::open(&history.path).await?;
            let found = ledger.verify(None).await?;
            ledger.close().await;
            anyhow::Ok(found)
        })?;
        let path = history.path.display();
        ensure!(found.faults.is_empty(), "{path} is not whole: {}", found.faults.join(" "));
        ensure!(found.events == history.written.events, "{path} has another number of events");
        Ok(history)
    }
}

impl History {
    /// What writing it took, and what lies there now.
    pub fn fact(&self) -> Fact {
        let bytes = std::fs::metadata(&self.path).map_or(0, |found| found.len());
        let (rate, events) = (rate_of(self.took, self.shape.payments), self.written.events);
        fact(
            format!("history of {}", payments(self.shape)),
            format!("{}, {} events, written at {rate}", size(bytes), grouped(events)),
        )
    }
}

fn payments(shape: Shape) -> String {
    let kind = match shape.body {
        Body::Full => "with everything an event tells",
        Body::Lean => "told briefly",
    };
    format!("{} payments {kind}", grouped(shape.payments))
}

/// Removes a history that is not the wanted one, and what SQLite left beside it.
fn remove(path: &Path, label: &Path) -> Result<()> {
    let beside = |ending: &str| path.with_extension(format!("db{ending}"));
    for path in [label.to_owned(), path.to_owned(), beside("-wal"), beside("-shm")] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}
