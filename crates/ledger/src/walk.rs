//! Walking the whole log: read, hashed, taken apart and applied to books that should come out as
//! the tables are.
//!
//! Every worker does all of it: it reads the next batch, takes it apart, and applies it when all
//! batches before it have been. Reading goes one after the other because the chain does, applying
//! because the books do; but one worker reads while another takes apart and a third applies, so
//! that however many cores there are, none of them waits for long.

use crate::apply::Place;
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use alloy_primitives::B256;
use imprest_domain::PaymentId;
use rusqlite::Connection;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many events are read at a time: few enough to stay in a core's own cache until they are
/// applied, and to be made and dropped without going to the system for memory.
const BATCH: usize = 32;
/// The most workers; more only wait for each other.
const WORKERS_MAX: usize = 4;

/// An event as it lies in the file, its words being parts of its batch's text.
struct Raw {
    seq: u64,
    at_ms: i64,
    kind: Range<usize>,
    payment: Option<Range<usize>>,
    body: Range<usize>,
}

/// Some events, one behind the other.
#[derive(Default)]
struct Batch {
    number: u64,
    text: String,
    raws: Vec<Raw>,
}

impl Batch {
    /// Takes a word in, and answers where it lies.
    fn keep(&mut self, word: &str) -> Range<usize> {
        let begins = self.text.len();
        self.text.push_str(word);
        begins..self.text.len()
    }

    fn parse_into(&self, events: &mut Vec<Result<Event, LedgerError>>) {
        let parse = |raw: &Raw| Event::parse(self.word(&raw.kind), self.word(&raw.body));
        events.extend(self.raws.iter().map(parse));
    }

    fn word(&self, at: &Range<usize>) -> &str {
        &self.text[at.clone()]
    }
}

/// The reading side: how far the chain holds.
pub(crate) struct Walk {
    log: Connection,
    /// The head the chain leads to.
    pub(crate) head: Head,
    /// The hashes at the two places that something is compared with.
    pub(crate) at_seal: Option<B256>,
    pub(crate) at_copy: Option<B256>,
    /// What is wrong with the chain, and then with what the events say.
    pub(crate) faults: Vec<String>,
    sealed: Option<u64>,
    copied: Option<u64>,
    batches: u64,
    ended: bool,
}

/// The applying side: what the log adds up to so far.
struct Replay {
    books: Books,
    sealed: Option<u64>,
    /// Whose turn it is, by the number of its batch.
    turn: u64,
    faults: Vec<String>,
    /// Nothing is applied after an event that cannot have happened.
    ended: bool,
}

/// Walks the log as `log` sees it and applies it to `books`. `sealed` and `copied` are the events
/// at which hashes are remembered; nothing that gives authority may stand after `sealed`.
pub(crate) fn walk(
    log: Connection,
    books: Books,
    sealed: Option<u64>,
    copied: Option<u64>,
) -> (Walk, Books) {
    let walk = Mutex::new(Walk {
        log,
        head: Head::EMPTY,
        at_seal: None,
        at_copy: None,
        faults: Vec::new(),
        sealed,
        copied,
        batches: 0,
        ended: false,
    });
    let replay = Replay { books, sealed, turn: 0, faults: Vec::new(), ended: false };
    let (replay, turns) = (Mutex::new(replay), Condvar::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..(cores + 1).min(WORKERS_MAX) {
            scope.spawn(|| work(&walk, &replay, &turns));
        }
    });
    let mut walk = walk.into_inner().unwrap_or_else(PoisonError::into_inner);
    let replay = replay.into_inner().unwrap_or_else(PoisonError::into_inner);
    walk.faults.extend(replay.faults);
    (walk, replay.books)
}

/// What one worker does until the log ends.
fn work(walk: &Mutex<Walk>, replay: &Mutex<Replay>, turns: &Condvar) {
    let _alarm = Alarm { replay, turns };
    // Both are filled again and again: what is allocated once is never given back in between.
    let (mut batch, mut events) = (Batch::default(), Vec::new());
    loop {
        events.clear();
        if !lock(walk).read(&mut batch) {
            return;
        }
        batch.parse_into(&mut events);
        let mut replay = lock(replay);
        while replay.turn != batch.number && !replay.ended {
            replay = turns.wait(replay).unwrap_or_else(PoisonError::into_inner);
        }
        // The rest of the chain is still looked at when the events make no sense any more.
        if !replay.ended {
            replay.apply(&batch, &mut events);
            replay.turn += 1;
        }
        drop(replay);
        turns.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes the others when a worker dies, so that none waits for its turn for ever.
struct Alarm<'w> {
    replay: &'w Mutex<Replay>,
    turns: &'w Condvar,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut replay = lock(self.replay);
            replay.faults.push("The replay itself failed; report this fault.".into());
            replay.ended = true;
            drop(replay);
            self.turns.notify_all();
        }
    }
}

impl Walk {
    /// Reads and hashes the next events into a batch; no when there are none.
    fn read(&mut self, batch: &mut Batch) -> bool {
        batch.text.clear();
        batch.raws.clear();
        if !self.ended
            && let Err(error) = self.read_on(batch)
        {
            let last = self.head.seq;
            self.faults.push(format!("The log cannot be read past event {last}: {error}"));
            self.ended = true;
        }
        self.ended |= batch.raws.len() < BATCH;
        batch.number = self.batches;
        self.batches += 1;
        !batch.raws.is_empty()
    }

    fn read_on(&mut self, batch: &mut Batch) -> Result<(), LedgerError> {
        let mut statement = self.log.prepare_cached(
            "SELECT seq, at_ms, kind, payment, body, hash FROM events WHERE seq > ? ORDER BY seq",
        )?;
        let mut rows = statement.query([self.head.seq])?;
        while batch.raws.len() < BATCH
            && let Some(row) = rows.next()?
        {
            let (seq, at_ms): (u64, i64) = (row.get(0)?, row.get(1)?);
            let text = |at: usize| row.get_ref(at)?.as_str_or_null().map_err(rusqlite::Error::from);
            let kind = batch.keep(text(2)?.unwrap_or_default());
            let payment = text(3)?.map(|payment| batch.keep(payment));
            let body = batch.keep(text(4)?.unwrap_or_default());
            let next = self.head.next(at_ms, batch.word(&body));
            if seq != next.seq {
                let missing = next.seq;
                self.faults.push(format!("Event {missing} is missing: the log goes on at {seq}."));
                break;
            }
            if row.get_ref(5)?.as_blob().ok() != Some(next.hash.as_slice()) {
                self.faults.push(format!(
                    "Event {seq} is not what was written: its hash does not fit the chain."
                ));
                break;
            }
            if at_ms < self.head.at_ms && batch.word(&kind) != "clock_set" {
                self.faults.push(format!("Event {seq} is older than the one before it."));
            }
            if self.sealed == Some(seq) {
                self.at_seal = Some(next.hash);
            }
            if self.copied == Some(seq) {
                self.at_copy = Some(next.hash);
            }
            self.head = next;
            batch.raws.push(Raw { seq, at_ms, kind, payment, body });
        }
        Ok(())
    }
}

impl Replay {
    /// Applies a batch, until an event in it cannot have happened.
    fn apply(&mut self, batch: &Batch, events: &mut Vec<Result<Event, LedgerError>>) {
        let mut touched = Vec::with_capacity(events.len());
        for (raw, event) in batch.raws.iter().zip(events.drain(..)) {
            if let Err(fault) = self.apply_one(batch, raw, event, &mut touched) {
                self.faults.push(fault);
                self.ended = true;
                return;
            }
        }
        let (Some(first), Some(last)) = (batch.raws.first(), batch.raws.last()) else { return };
        if let Err(error) = self.books.prove(first.seq..=last.seq, &touched) {
            self.faults.push(format!("A table cannot be read: {error}"));
            self.ended = true;
        }
    }

    fn apply_one(
        &mut self,
        batch: &Batch,
        raw: &Raw,
        event: Result<Event, LedgerError>,
        touched: &mut Vec<PaymentId>,
    ) -> Result<(), String> {
        let seq = raw.seq;
        let event = event.map_err(|error| format!("Event {seq} cannot be read: {error}."))?;
        let label = raw.payment.as_ref().map(|payment| batch.word(payment));
        if label != event.payment().map(|id| id.as_str()) {
            self.faults.push(format!("Event {seq} is labelled as something it is not."));
        }
        if self.sealed.is_some_and(|sealed| seq > sealed) && event.needs_the_vault() {
            self.faults
                .push(format!("Event {seq} gives authority and is not under the vault’s seal."));
        }
        touched.extend(event.payment().cloned());
        self.books
            .apply(event, Place { seq, at_ms: raw.at_ms })
            .map_err(|error| format!("Event {seq} cannot have happened: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_the_turn_of_a_worker_that_died() {
        let (books, faults) = (Books::empty(), Vec::new());
        let replay = Replay { books, sealed: None, turn: 0, faults, ended: false };
        let (replay, turns) = (Mutex::new(replay), Condvar::new());
        let died = std::thread::scope(|scope| {
            let dies = || {
                let _alarm = Alarm { replay: &replay, turns: &turns };
                panic!("a worker dies, as this test wants it to");
            };
            scope.spawn(dies).join()
        });
        assert!(died.is_err());
        let replay = lock(&replay);
        assert!(replay.ended);
        assert_eq!(replay.faults, ["The replay itself failed; report this fault."]);
    }
}
