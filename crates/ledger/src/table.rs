//! One table of the books in memory: what was read, what has changed, and the way back.
//!
//! The writer keeps the rows it works with here, so that a decision reads no disk and a group of
//! writes touches each row once. A replay keeps all of them here and no disk at all.

use crate::error::LedgerError;
use hashbrown::{Equivalent, HashMap, HashSet};
use imprest_domain::PaymentId;
use rusqlite::types::ToSqlOutput;
use std::borrow::Borrow;
use std::fmt::Debug;
use std::hash::Hash;

/// One kind of row: what names it, and how it lies in its SQLite table.
pub(crate) trait Row: Clone + PartialEq + Debug {
    /// What names a row among its kind.
    type Key: Clone + Ord + Hash + Debug;
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
    /// The row's own key's columns, in order.
    fn own_key_cells(&self) -> Vec<ToSqlOutput<'_>>;
    /// All columns, in order.
    fn cells(&self) -> Vec<ToSqlOutput<'_>>;
    /// Reads all columns, in order.
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, LedgerError>;
    /// Whether all columns, in order, hold this very row; the same as comparing with
    /// [`Row::read`], without making a row of them.
    fn is(&self, row: &rusqlite::Row<'_>) -> Result<bool, LedgerError>;
    /// The statements for one row of this kind.
    fn sql() -> &'static Sql;
}

/// Something that names a row: its key, or the key's parts borrowed, so that looking a row up
/// copies nothing.
pub(crate) trait Names<K>: Hash + Equivalent<K> {
    /// The key itself.
    fn to_key(&self) -> K;
}

impl<K: Clone + Eq + Hash> Names<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }
}

/// The one part of a key, borrowed.
#[derive(Hash)]
pub(crate) struct One<'p, P: ?Sized>(pub(crate) &'p P);

impl<K: Borrow<P>, P: Eq + ?Sized> Equivalent<(K,)> for One<'_, P> {
    fn equivalent(&self, key: &(K,)) -> bool {
        key.0.borrow() == self.0
    }
}

impl<K: Borrow<P>, P: Eq + Hash + ToOwned<Owned = K> + ?Sized> Names<(K,)> for One<'_, P> {
    fn to_key(&self) -> (K,) {
        (self.0.to_owned(),)
    }
}

/// The text of the one part of a key that is an identifier.
#[derive(Hash)]
pub(crate) struct Text<'p>(pub(crate) &'p str);

impl Equivalent<(PaymentId,)> for Text<'_> {
    fn equivalent(&self, key: &(PaymentId,)) -> bool {
        key.0.as_str() == self.0
    }
}

/// The three parts of a key, two of them borrowed.
#[derive(Hash)]
pub(crate) struct Three<'p, M>(pub(crate) &'p str, pub(crate) M, pub(crate) &'p str);

impl<M: Eq> Equivalent<(String, M, String)> for Three<'_, M> {
    fn equivalent(&self, key: &(String, M, String)) -> bool {
        // What differs most often comes first.
        key.1 == self.1 && key.2 == self.2 && key.0 == self.0
    }
}

impl<M: Copy + Eq + Hash> Names<(String, M, String)> for Three<'_, M> {
    fn to_key(&self) -> (String, M, String) {
        (self.0.to_owned(), self.1, self.2.to_owned())
    }
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
    /// What has changed, and the way back; absent where nothing is written and nothing taken
    /// back.
    journal: Option<Journal<R>>,
}

struct Journal<R: Row> {
    changed: HashSet<R::Key>,
    /// What the job under way replaced, newest last; `None` where nothing was in memory.
    undo: Vec<(R::Key, Option<Option<R>>, bool)>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Table<R> {
        let journal = Journal { changed: HashSet::new(), undo: Vec::new() };
        Table { rows: HashMap::new(), journal: Some(journal) }
    }
}

impl<R: Row> Journal<R> {
    fn note(&mut self, key: R::Key, before: Option<Option<R>>) {
        let fresh = self.changed.insert(key.clone());
        self.undo.push((key, before, fresh));
    }
}

impl<R: Row> Table<R> {
    /// An empty table from which nothing will be written or taken back.
    pub(crate) fn without_journal() -> Table<R> {
        Table { rows: HashMap::new(), journal: None }
    }

    /// The row in memory: `None` when it has to be looked for on the disk.
    pub(crate) fn peek(&self, key: &(impl Hash + Equivalent<R::Key>)) -> Option<Option<&R>> {
        self.rows.get(key).map(Option::as_ref)
    }

    /// Remembers what the disk holds; no change.
    pub(crate) fn learn(&mut self, key: R::Key, row: Option<R>) {
        self.rows.insert(key, row);
    }

    /// Puts a row, or takes one away.
    pub(crate) fn put(&mut self, key: R::Key, row: Option<R>) {
        match &mut self.journal {
            None => drop(self.rows.insert(key, row)),
            Some(journal) => {
                let before = self.rows.insert(key.clone(), row);
                journal.note(key, before);
            }
        }
    }

    /// The row in memory, to be changed where it is.
    pub(crate) fn edit(&mut self, key: &impl Names<R::Key>) -> Option<&mut R> {
        let row = self.rows.get_mut(key)?.as_mut()?;
        if let Some(journal) = &mut self.journal {
            journal.note(key.to_key(), Some(Some(row.clone())));
        }
        Some(row)
    }

    /// The row in memory, to be changed and put back; until then it may be gone.
    pub(crate) fn lift(&mut self, key: &impl Names<R::Key>) -> Option<R> {
        match &self.journal {
            None => self.rows.remove(key)?,
            Some(_) => self.rows.get(key)?.clone(),
        }
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
        if let Some(journal) = &mut self.journal {
            journal.undo.clear();
        }
    }

    /// The job failed: everything is as it was before it.
    pub(crate) fn take_back(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        while let Some((key, before, fresh)) = journal.undo.pop() {
            if fresh {
                journal.changed.remove(&key);
            }
            match before {
                Some(before) => self.rows.insert(key, before),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Hands over what has changed, in order, and counts it as written. SQLite fills its pages
    /// best with rows that come in order.
    pub(crate) fn drain_changed(&mut self) -> Vec<R::Key> {
        let Some(journal) = &mut self.journal else { return Vec::new() };
        let mut changed: Vec<R::Key> = journal.changed.drain().collect();
        changed.sort_unstable();
        changed
    }

    /// Hands over all rows; nothing stays in memory.
    pub(crate) fn drain_rows(&mut self) -> impl Iterator<Item = R> {
        self.rows.drain().filter_map(|(_, row)| row)
    }

    /// Forgets one row; the disk is asked again.
    pub(crate) fn release(&mut self, key: &(impl Hash + Equivalent<R::Key>)) {
        self.rows.remove(key);
    }

    /// Forgets everything; the disk is asked again.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        if let Some(journal) = &mut self.journal {
            journal.changed.clear();
            journal.undo.clear();
        }
    }

    /// Lets go of rows for which `keep` says no; only where nothing is unwritten.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        self.rows.retain(|_, row| row.as_ref().is_some_and(&mut keep));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::HostRow;

    fn row(host: &str) -> HostRow {
        HostRow { host: host.to_owned() }
    }

    #[test]
    fn rows_that_are_let_go_of_are_looked_for_on_the_disk_again() {
        let mut table = Table::default();
        for host in ["a", "b", "c"] {
            table.learn(row(host).key(), Some(row(host)));
        }
        table.learn(row("none").key(), None);
        assert_eq!(table.len(), 4);
        table.retain(|row| row.host == "b");
        assert_eq!(table.len(), 1);
        assert_eq!(table.peek(&row("b").key()), Some(Some(&row("b"))));
        assert_eq!(table.peek(&row("none").key()), None);
    }

    #[test]
    fn a_failed_job_leaves_nothing_behind() {
        let mut table = Table::default();
        table.put(row("a").key(), Some(row("a")));
        table.keep();
        table.put(row("a").key(), None);
        table.put(row("b").key(), Some(row("b")));
        table.take_back();
        assert_eq!(table.values().collect::<Vec<_>>(), [&row("a")]);
        assert_eq!(table.peek(&row("b").key()), None);
        assert_eq!(table.drain_changed(), [row("a").key()]);
    }
}
