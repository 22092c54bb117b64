//! One table of the books in memory: what was read, what has changed, and the way back.
//!
//! The writer keeps the rows it works with here, so that a decision reads no disk and a group of
//! writes touches each row once. A replay keeps all of them here and no disk at all.

use crate::error::LedgerError;
use rusqlite::types::ToSqlOutput;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// One kind of row: what names it, and how it lies in its SQLite table.
pub(crate) trait Row: Clone + PartialEq + Debug {
    /// What names a row among its kind.
    type Key: Clone + Eq + Hash + Debug;
    /// The table's name.
    const TABLE: &'static str;
    /// All columns, those of the key first.
    const COLUMNS: &'static [&'static str];
    /// How many of them are the key.
    const KEYS: usize;
    /// The row's own key.
    fn key(&self) -> Self::Key;
    /// The key's columns, in order.
    fn key_cells(key: &Self::Key) -> Vec<ToSqlOutput<'_>>;
    /// All columns, in order.
    fn cells(&self) -> Vec<ToSqlOutput<'_>>;
    /// Reads all columns, in order.
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, LedgerError>;
    /// The statements for one row of this kind.
    fn sql() -> &'static Sql;
}

/// The statements for one row of one kind.
pub(crate) struct Sql {
    /// Reads the row of a key.
    pub(crate) select: String,
    /// Reads all rows.
    pub(crate) all: String,
    /// Writes a row, over an older one of the same key.
    pub(crate) upsert: String,
    /// Takes the row of a key away.
    pub(crate) delete: String,
}

impl Sql {
    /// The statements for a table with these columns, those of the key first.
    pub(crate) fn new(table: &str, columns: &[&str], keys: usize) -> Sql {
        let (key, rest) = columns.split_at(keys);
        let given = |names: &[&str], between: &str| {
            names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>().join(between)
        };
        let taken = |names: &[&str]| {
            names.iter().map(|name| format!("{name} = excluded.{name}")).collect::<Vec<_>>()
        };
        let all = format!("SELECT {} FROM {table}", columns.join(", "));
        let otherwise = match rest.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", taken(rest).join(", ")),
        };
        Sql {
            select: format!("{all} WHERE {}", given(key, " AND ")),
            upsert: format!(
                "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO {otherwise}",
                columns.join(", "),
                vec!["?"; columns.len()].join(", "),
                key.join(", "),
            ),
            delete: format!("DELETE FROM {table} WHERE {}", given(key, " AND ")),
            all,
        }
    }
}

/// The rows of one kind that are in memory.
pub(crate) struct Table<R: Row> {
    /// A key without a row is known to have none on the disk either.
    rows: HashMap<R::Key, Option<R>>,
    changed: HashSet<R::Key>,
    /// What the job under way replaced, newest last; `None` where nothing was in memory.
    undo: Vec<(R::Key, Option<Option<R>>, bool)>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Table<R> {
        Table { rows: HashMap::new(), changed: HashSet::new(), undo: Vec::new() }
    }
}

impl<R: Row> Table<R> {
    /// The row in memory: `None` when it has to be looked for on the disk.
    pub(crate) fn peek(&self, key: &R::Key) -> Option<Option<&R>> {
        self.rows.get(key).map(Option::as_ref)
    }

    /// Remembers what the disk holds; no change.
    pub(crate) fn learn(&mut self, key: R::Key, row: Option<R>) {
        self.rows.insert(key, row);
    }

    /// Puts a row, or takes one away.
    pub(crate) fn put(&mut self, key: R::Key, row: Option<R>) {
        let before = self.rows.insert(key.clone(), row);
        let fresh = self.changed.insert(key.clone());
        self.undo.push((key, before, fresh));
    }

    /// All rows in memory.
    pub(crate) fn values(&self) -> impl Iterator<Item = &R> {
        self.rows.values().flatten()
    }

    /// How many rows, and known gaps, are in memory.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The job is done: there is no way back before this.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The job failed: everything is as it was before it.
    pub(crate) fn take_back(&mut self) {
        while let Some((key, before, fresh)) = self.undo.pop() {
            if fresh {
                self.changed.remove(&key);
            }
            match before {
                Some(before) => self.rows.insert(key, before),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Hands over what has changed and counts it as written.
    pub(crate) fn drain_changed(&mut self) -> Vec<R::Key> {
        self.changed.drain().collect()
    }

    /// Forgets everything; the disk is asked again.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.changed.clear();
        self.undo.clear();
    }

    /// Lets go of rows for which `keep` says no; only where nothing is unwritten.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        self.rows.retain(|_, row| row.as_ref().is_some_and(&mut keep));
    }
}
