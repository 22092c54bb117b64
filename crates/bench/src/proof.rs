//! Proving: a full verification beside bare hashing of the same bytes.

use crate::history::Shape;
use crate::machine;
use crate::orders::Body;
use crate::sample::{side_by_side, timed};
use crate::store::{History, Store};
use crate::table::{Bar, Line, Report, fact, grouped, rate_of, size};
use anyhow::{Result, ensure};
use imprest_ledger::Ledger;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use tokio::runtime::Runtime;

/// How often each is done.
const ROUNDS: usize = 5;
/// How many of a hundred payments were paid, which takes three events instead of one.
const PAID_PERCENT: u64 = 60;

/// A full verification of so many events, beside SHA-256 over the same bytes in memory.
///
/// # Errors
/// When the history cannot be written or is not whole.
pub fn verify(
    store: &Store<'_>,
    events: u64,
    runtime: &Runtime,
    report: &mut Report,
) -> Result<()> {
    let shape = |events: u64| Shape {
        payments: events * 100 / (100 + 2 * PAID_PERCENT),
        body: Body::Full,
        paid_percent: PAID_PERCENT,
    };
    store.proved(shape((events / 100).max(1_000)))?;
    let history = store.history(shape(events))?;
    let ledger = runtime.block_on(Ledger::open(&history.path))?;
    let whole = || {
        let (took, found) = timed(|| runtime.block_on(ledger.verify(None)));
        let found = found?;
        ensure!(found.faults.is_empty(), "not whole: {}", found.faults.join(" "));
        ensure!(found.events == history.written.events, "{} events", found.events);
        Ok(took)
    };

    machine::forget_peak();
    let before = machine::resident_bytes();
    whole()?;
    if let (Some(before), Some(peak)) = (before, machine::peak_bytes()) {
        let figure =
            format!("{} above the {} before it", size(peak.saturating_sub(before)), size(before));
        report.facts.push(fact("resident memory of a verification", figure));
    }

    let bytes = hashed(&history)?;
    let (ours, raw) = side_by_side(ROUNDS, whole, || {
        let (took, digest) = timed(|| Sha256::digest(black_box(&bytes)));
        black_box(digest);
        Ok(took)
    })?;
    let events = history.written.events;
    let what = format!("full verification of {} events / SHA-256 in memory", grouped(events));
    report.lines.push(Line::slower(what, (ours, raw), Bar::AtMost(500)));
    let figure = format!("{}, {} of events", rate_of(ours, events), size(bytes.len() as u64));
    report.facts.push(fact("verified", figure));
    let (took, faults) = timed(|| runtime.block_on(ledger.check_file()));
    ensure!(faults?.is_empty(), "the file's own structure is damaged");
    let figure = format!("{} ms, which `imprest verify` adds", took.as_millis());
    report.facts.push(fact("SQLite's own structures checked", figure));
    report.facts.push(history.fact());
    runtime.block_on(ledger.close());
    Ok(())
}

/// What the chain runs over: every event's body, one behind the other.
fn hashed(history: &History) -> Result<Vec<u8>> {
    let conn = Connection::open(&history.path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(history.written.hashed_bytes)?);
    let mut statement = conn.prepare("SELECT body FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        bytes.extend_from_slice(row.get_ref(0)?.as_bytes()?);
    }
    Ok(bytes)
}
