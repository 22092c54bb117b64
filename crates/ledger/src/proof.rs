//! Comparing a replay with the tables it should add up to, while it runs.
//!
//! Three tables grow with every payment: payments, entries and client keys. A replay of millions
//! of events cannot hold them, and need not. A payment or an entry that nothing will change any
//! more is compared with the file's own, counted, and let go of; what was let go of was the same
//! as what the file holds, so the file may be asked for it should the log come back to it after
//! all. Client keys lie in no order of the log's: they are added up on both sides.

use crate::books::{Books, bind, not_the_sum, select};
use crate::error::LedgerError;
use crate::rows::{ClientKeyRow, EntryRow, PaymentRow};
use crate::table::{One, Row, Table, Text};
use imprest_domain::PaymentId;
use rusqlite::Connection;
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// How much of the file one proof keeps in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;

/// Reads the payments that events of a range began, and the entries they made.
static PAYMENTS_OF: LazyLock<String> = LazyLock::new(of_range::<PaymentRow>);
static ENTRIES_OF: LazyLock<String> = LazyLock::new(of_range::<EntryRow>);

fn of_range<R: Row>() -> String {
    format!("{} WHERE seq BETWEEN ? AND ?", R::sql().all)
}

/// What was compared so far.
pub(crate) struct Proof {
    file: Connection,
    payments: Tally,
    entries: Tally,
    client_keys: KeySum,
}

/// One table's rows, and the first that differs.
#[derive(Default)]
struct Tally {
    /// How many the file has.
    there: i64,
    /// How many of them were the same as the replay's; below zero while a forged log goes on with
    /// a payment that it has not begun.
    same: i64,
    fault: Option<String>,
}

impl Proof {
    /// A proof against a file as one read transaction sees it.
    pub(crate) fn against(file: Connection, hasher: RandomState) -> Result<Proof, LedgerError> {
        file.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let (payments, entries) = Default::default();
        Ok(Proof { file, payments, entries, client_keys: KeySum::empty(hasher) })
    }

    /// Whether a table is compared while the replay runs, and not at its end.
    pub(crate) fn covers(table: &str) -> bool {
        [PaymentRow::TABLE, ClientKeyRow::TABLE, EntryRow::TABLE].contains(&table)
    }

    /// A payment that was let go of: it is what the file holds. One that never was compared makes
    /// the count come out wrong.
    pub(crate) fn take_up_again(
        &mut self,
        payment: &PaymentId,
    ) -> Result<Option<PaymentRow>, LedgerError> {
        let row = select::<PaymentRow>(&self.file, &(payment.clone(),))?;
        if row.is_some() {
            self.payments.same -= 1;
        }
        Ok(row)
    }
}

impl Tally {
    /// Keeps what differs about the first row that does.
    fn differs<R: Row>(&mut self, what: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(|| not_the_sum::<R>(what()));
    }

    /// Compares a row that was not met on the way with the file's.
    fn compare<R: Row>(&mut self, file: &Connection, row: &R) -> Result<(), LedgerError> {
        let mut statement = file.prepare_cached(&R::sql().select)?;
        bind(&mut statement, row.own_key_cells())?;
        let mut rows = statement.raw_query();
        match rows.next()? {
            Some(live) if row.is(live)? => self.same += 1,
            Some(live) => self.differs::<R>(|| instead(live, row)),
            None => self.differs::<R>(|| format!("“{row:?}” is missing")),
        }
        Ok(())
    }

    /// What is wrong with a table, now that all rows of the log's events were met.
    fn close<R: Row>(&mut self, file: &Connection, last: u64) -> Result<(), LedgerError> {
        let outside = format!("{} WHERE seq < 1 OR seq > ? LIMIT 1", R::sql().all);
        let mut statement = file.prepare(&outside)?;
        let mut rows = statement.query([last])?;
        if let Some(live) = rows.next()? {
            self.differs::<R>(|| unmade::<R>(live));
        }
        if self.there != self.same {
            let (there, same) = (self.there, self.same);
            self.differs::<R>(|| format!("{there} rows instead of {same}"));
        }
        Ok(())
    }
}

fn unmade<R: Row>(live: &rusqlite::Row<'_>) -> String {
    R::read(live).map_or_else(unreadable, |live| format!("“{live:?}”, which no event made"))
}

fn instead<R: Row>(live: &rusqlite::Row<'_>, row: &R) -> String {
    R::read(live).map_or_else(unreadable, |live| format!("“{live:?}” instead of “{row:?}”"))
}

fn unreadable(_: LedgerError) -> String {
    "a row of it cannot be read".to_owned()
}

/// Rows of the table of client keys, added up: equal rows in whatever order have equal sums, and
/// as each row counts with a hash whose key is drawn anew for every proof, nobody can choose other
/// rows that have the same.
pub(crate) struct KeySum {
    hasher: RandomState,
    rows: u64,
    sum: u64,
}

impl KeySum {
    fn empty(hasher: RandomState) -> KeySum {
        KeySum { hasher, rows: 0, sum: 0 }
    }

    /// The sum of what a file holds.
    pub(crate) fn of_file(file: &Connection, hasher: RandomState) -> Result<KeySum, LedgerError> {
        let mut sum = KeySum::empty(hasher);
        let mut statement = file.prepare(&ClientKeyRow::sql().all)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            sum.add(&ClientKeyRow::read(row)?);
        }
        Ok(sum)
    }

    fn add(&mut self, row: &ClientKeyRow) {
        let ClientKeyRow { agent, client_key, payment, request_sha256 } = row;
        let hash = self.hasher.hash_one((agent, client_key, payment, request_sha256));
        self.sum = self.sum.wrapping_add(hash);
        self.rows += 1;
    }

    /// What is wrong with the file's keys; the payments are known to be right.
    fn differs_from(
        &self,
        there: &KeySum,
        file: &Connection,
    ) -> Result<Option<String>, LedgerError> {
        if (self.rows, self.sum) == (there.rows, there.sum) {
            return Ok(None);
        }
        let unmade = format!(
            "{} AS k WHERE NOT EXISTS (SELECT 1 FROM payments p WHERE p.payment = k.payment
                 AND p.agent = k.agent AND p.client_key = k.client_key
                 AND p.request_sha256 = k.request_sha256) LIMIT 1",
            ClientKeyRow::sql().all
        );
        let mut statement = file.prepare(&unmade)?;
        let mut rows = statement.query([])?;
        let what = match rows.next()? {
            Some(row) => format!("“{:?}”, which no event made", ClientKeyRow::read(row)?),
            None => format!("{} rows instead of {}", there.rows, self.rows),
        };
        Ok(Some(not_the_sum::<ClientKeyRow>(what)))
    }
}

impl Books {
    /// Compares what the events of a range have made for good, `touched` being the payments they
    /// are about, and lets go of it. Ranges follow each other without gaps.
    pub(crate) fn prove(
        &mut self,
        range: RangeInclusive<u64>,
        touched: &[PaymentId],
    ) -> Result<(), LedgerError> {
        let Some(proof) = &mut self.proof else { return Ok(()) };
        for row in self.tables.client_keys.drain_rows() {
            proof.client_keys.add(&row);
        }
        proof.prove_entries(&mut self.tables.entries, &range)?;
        proof.prove_payments(&mut self.tables.payments, &range, touched)
    }

    /// Compares all that is left, `last` being the log's last event and `keys` what the file's
    /// client keys add up to; one sentence a difference.
    pub(crate) fn differences(
        &mut self,
        last: u64,
        keys: &KeySum,
    ) -> Result<Vec<String>, LedgerError> {
        let Some(proof) = &mut self.proof else { return Ok(Vec::new()) };
        for row in self.tables.payments.drain_rows() {
            proof.payments.compare(&proof.file, &row)?;
        }
        proof.payments.close::<PaymentRow>(&proof.file, last)?;
        proof.entries.close::<EntryRow>(&proof.file, last)?;
        let mut faults: Vec<String> =
            proof.payments.fault.take().into_iter().chain(proof.entries.fault.take()).collect();
        faults.extend(proof.client_keys.differs_from(keys, &proof.file)?);
        let Some(proof) = &self.proof else { return Ok(faults) };
        faults.extend(self.compare(&proof.file)?);
        Ok(faults)
    }
}

impl Proof {
    /// An entry never changes: it is compared with the events that make it.
    fn prove_entries(
        &mut self,
        table: &mut Table<EntryRow>,
        range: &RangeInclusive<u64>,
    ) -> Result<(), LedgerError> {
        let mut statement = self.file.prepare_cached(&ENTRIES_OF)?;
        let mut rows = statement.query([range.start(), range.end()])?;
        while let Some(live) = rows.next()? {
            self.entries.there += 1;
            let key = (live.get::<_, u64>(0)?,);
            match table.peek(&key).flatten() {
                Some(row) if row.is(live)? => self.entries.same += 1,
                Some(row) => self.entries.differs::<EntryRow>(|| instead(live, row)),
                None => self.entries.differs::<EntryRow>(|| unmade::<EntryRow>(live)),
            }
            table.release(&key);
        }
        for row in table.drain_rows() {
            self.entries.differs::<EntryRow>(|| format!("“{row:?}” is missing"));
        }
        Ok(())
    }

    /// A payment that is final seldom changes again: it is let go of if it is the same.
    fn prove_payments(
        &mut self,
        table: &mut Table<PaymentRow>,
        range: &RangeInclusive<u64>,
        touched: &[PaymentId],
    ) -> Result<(), LedgerError> {
        // Most payments begin and end within a few events: those are met on the way.
        let mut statement = self.file.prepare_cached(&PAYMENTS_OF)?;
        let mut rows = statement.query([range.start(), range.end()])?;
        while let Some(live) = rows.next()? {
            self.payments.there += 1;
            let id = live.get_ref(0)?.as_str().unwrap_or_default();
            match table.peek(&Text(id)).flatten() {
                // One that differs may only be waiting for an answer that comes late.
                Some(row) if row.state.is_final() && row.is(live)? => {
                    self.payments.same += 1;
                    table.release(&Text(id));
                }
                Some(_) => {}
                None => self.payments.differs::<PaymentRow>(|| unmade::<PaymentRow>(live)),
            }
        }
        let mut statement = self.file.prepare_cached(&PaymentRow::sql().select)?;
        for payment in touched {
            let Some(Some(row)) = table.peek(&One(payment)) else { continue };
            if row.state.is_final() && !range.contains(&row.seq) {
                bind(&mut statement, row.own_key_cells())?;
                let mut rows = statement.raw_query();
                if rows.next()?.map_or(Ok(false), |live| row.is(live))? {
                    self.payments.same += 1;
                    table.release(&One(payment));
                }
            }
        }
        Ok(())
    }
}
