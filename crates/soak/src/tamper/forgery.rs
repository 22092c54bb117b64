//! The ways in which a file is changed.

use super::books::Books;
use super::put;
use crate::chance::Chance;
use imprest_ledger::Head;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::fs;
use std::path::Path;

/// Everything a replay rebuilds.
const PROJECTIONS: [&str; 17] = [
    "desk",
    "agents",
    "shared_budgets",
    "payments",
    "client_keys",
    "counters",
    "hours",
    "entries",
    "accounts",
    "payees",
    "origins",
    "prices",
    "approvals",
    "refills",
    "hosts",
    "receipts",
    "tallies",
];

/// One way of changing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgery {
    EditEvent,
    SwapEvents,
    DeleteEvent,
    DeleteEventAndCloseTheGap,
    CutOffTheEnd,
    AppendAuthority,
    RewriteAndHashAgain,
    EditProjection,
    DeleteProjection,
    CopyProjection,
    DropSeal,
    ForgeSeal,
    RestoreOlder,
    RestoreOlderUnderNewSeal,
    OtherHistory,
    FlipByte,
    CutFile,
}

type Outcome = Result<Option<String>, String>;

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Forgery {
    pub(super) const ALL: [Forgery; 17] = [
        Forgery::EditEvent,
        Forgery::SwapEvents,
        Forgery::DeleteEvent,
        Forgery::DeleteEventAndCloseTheGap,
        Forgery::CutOffTheEnd,
        Forgery::AppendAuthority,
        Forgery::RewriteAndHashAgain,
        Forgery::EditProjection,
        Forgery::DeleteProjection,
        Forgery::CopyProjection,
        Forgery::DropSeal,
        Forgery::ForgeSeal,
        Forgery::RestoreOlder,
        Forgery::RestoreOlderUnderNewSeal,
        Forgery::OtherHistory,
        Forgery::FlipByte,
        Forgery::CutFile,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Forgery::EditEvent => "event edited",
            Forgery::SwapEvents => "events swapped",
            Forgery::DeleteEvent => "event deleted",
            Forgery::DeleteEventAndCloseTheGap => "event deleted, gap closed, hashed again",
            Forgery::CutOffTheEnd => "end cut off",
            Forgery::AppendAuthority => "authority appended",
            Forgery::RewriteAndHashAgain => "event rewritten, hashed again",
            Forgery::EditProjection => "projection edited",
            Forgery::DeleteProjection => "projection row deleted",
            Forgery::CopyProjection => "projection row added",
            Forgery::DropSeal => "seal dropped",
            Forgery::ForgeSeal => "seal forged",
            Forgery::RestoreOlder => "older file restored",
            Forgery::RestoreOlderUnderNewSeal => "older file under the new seal",
            Forgery::OtherHistory => "another history under the old seal",
            Forgery::FlipByte => "byte of the file flipped",
            Forgery::CutFile => "file cut short",
        }
    }

    /// Writes the changed file; says what was changed, or nothing when it made no difference.
    pub(super) fn commit(self, books: &Books, path: &Path, chance: &mut Chance) -> Outcome {
        match self {
            Forgery::RestoreOlder => {
                let older = chance.one_of::<Vec<u8>>(&books.older);
                put(older, path)?;
                return Ok(Some(format!("a file of {} bytes", older.len())));
            }
            Forgery::RestoreOlderUnderNewSeal => {
                put(chance.one_of::<Vec<u8>>(&books.older), path)?;
                return with_seal_of(books, path);
            }
            Forgery::OtherHistory => {
                put(&books.other_history, path)?;
                return with_seal_of(books, path);
            }
            Forgery::FlipByte | Forgery::CutFile => return self.damage(books, path, chance),
            _ => put(&books.file, path)?,
        }
        let file = Connection::open(path).map_err(told)?;
        let guarded = triggers(&file)?;
        file.execute_batch(
            "PRAGMA foreign_keys = OFF;
             DROP TRIGGER events_are_never_edited; DROP TRIGGER events_are_never_deleted;",
        )
        .map_err(told)?;
        let what = self.edit(&file, chance)?;
        // A careful forger leaves the guards as they were.
        file.execute_batch(&guarded).map_err(told)?;
        Ok(what)
    }

    fn edit(self, file: &Connection, chance: &mut Chance) -> Outcome {
        let last: u64 =
            file.query_row("SELECT max(seq) FROM events", [], |row| row.get(0)).map_err(told)?;
        let any = |chance: &mut Chance| chance.between(1, last);
        match self {
            Forgery::EditEvent => edit_cell(file, "events", any(chance), chance),
            Forgery::SwapEvents => swap(file, any(chance), any(chance)),
            Forgery::DeleteEvent => run(file, "DELETE FROM events WHERE seq = ?", any(chance)),
            Forgery::DeleteEventAndCloseTheGap => {
                let gone = any(chance);
                run(file, "DELETE FROM events WHERE seq = ?", gone)?;
                for seq in gone + 1..=last {
                    run(file, "UPDATE events SET seq = seq - 1 WHERE seq = ?", seq)?;
                }
                hash_again(file)?;
                Ok(Some(format!("event {gone}")))
            }
            Forgery::CutOffTheEnd => run(file, "DELETE FROM events WHERE seq > ?", any(chance) - 1),
            Forgery::AppendAuthority => append_authority(file, last),
            Forgery::RewriteAndHashAgain => {
                let what = edit_body(file, any(chance), chance)?;
                hash_again(file)?;
                Ok(what)
            }
            Forgery::EditProjection | Forgery::DeleteProjection | Forgery::CopyProjection => {
                self.project(file, chance)
            }
            Forgery::DropSeal => run(file, "DELETE FROM seals WHERE only_row = ?", 1),
            Forgery::ForgeSeal => {
                let bytes: Vec<u8> = (0..32).map(|_| chance.any() as u8).collect();
                file.execute("UPDATE seals SET mac = ?", [bytes]).map_err(told)?;
                Ok(Some("another seal".into()))
            }
            _ => Ok(None),
        }
    }

    fn project(self, file: &Connection, chance: &mut Chance) -> Outcome {
        let table = *chance.one_of(&PROJECTIONS);
        let columns = columns(file, table)?;
        let rows = rows(file, table)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = &rows[chance.index(rows.len())];
        let (names, key) = (columns.join(", "), matches(&columns));
        match self {
            Forgery::DeleteProjection => {
                let sql = format!("DELETE FROM {table} WHERE {key}");
                file.execute(&sql, params_from_iter(row)).map_err(told)?;
                Ok(Some(format!("{table}: {row:?}")))
            }
            Forgery::CopyProjection => {
                let mut copy = row.clone();
                // Every column that may have to be unique gets another value.
                for cell in &mut copy {
                    other(cell, chance);
                }
                let given = vec!["?"; columns.len()].join(", ");
                let sql = format!("INSERT INTO {table} ({names}) VALUES ({given})");
                match file.execute(&sql, params_from_iter(&copy)) {
                    Ok(_) => Ok(Some(format!("{table}: {copy:?}"))),
                    // A check of the table's own forbids it.
                    Err(_) => Ok(None),
                }
            }
            _ => {
                let at = chance.index(columns.len());
                let mut cell = row[at].clone();
                other(&mut cell, chance);
                let sql = format!("UPDATE {table} SET {} = ? WHERE {key}", columns[at]);
                let given = std::iter::once(&cell).chain(row);
                match file.execute(&sql, params_from_iter(given)) {
                    Ok(_) => Ok(Some(format!("{table}.{}: {cell:?}", columns[at]))),
                    Err(_) => Ok(None),
                }
            }
        }
    }

    /// Changes the file without knowing what is in it.
    fn damage(self, books: &Books, path: &Path, chance: &mut Chance) -> Outcome {
        let mut bytes = books.file.clone();
        let what = if self == Forgery::CutFile {
            let left = chance.index(bytes.len());
            bytes.truncate(left);
            format!("{left} of {} bytes left", books.file.len())
        } else {
            let at = chance.index(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
            format!("byte {at}")
        };
        put(&books.file, path)?;
        let before = contents(path);
        put(&bytes, path)?;
        let after = contents(path);
        put(&bytes, path)?;
        // Space that nothing uses, and what is no part of the books, may hold anything.
        Ok((before != after).then_some(what))
    }
}

/// The old seal under another log.
fn with_seal_of(books: &Books, path: &Path) -> Outcome {
    let original = path.with_file_name("original.db");
    fs::write(&original, &books.file).map_err(told)?;
    let file = Connection::open(path).map_err(told)?;
    file.execute("ATTACH ? AS original", [original.to_string_lossy()]).map_err(told)?;
    file.execute_batch(
        "DELETE FROM seals; INSERT INTO seals SELECT * FROM original.seals; DETACH original",
    )
    .map_err(told)?;
    Ok(Some("the seal of the newest file".into()))
}

fn triggers(file: &Connection) -> Result<String, String> {
    let mut statement = file
        .prepare("SELECT sql || ';' FROM sqlite_master WHERE type = 'trigger'")
        .map_err(told)?;
    let all = statement.query_map([], |row| row.get::<_, String>(0)).map_err(told)?;
    all.collect::<Result<String, _>>().map_err(told)
}

fn run(file: &Connection, sql: &str, number: u64) -> Outcome {
    let changed = file.execute(sql, [number]).map_err(told)?;
    Ok((changed > 0).then(|| format!("{sql} with {number}")))
}

fn swap(file: &Connection, one: u64, two: u64) -> Outcome {
    if one == two {
        return Ok(None);
    }
    for (from, to) in [(one, 1_000_000_000), (two, one), (1_000_000_000, two)] {
        file.execute("UPDATE events SET seq = ? WHERE seq = ?", (to, from)).map_err(told)?;
    }
    Ok(Some(format!("events {one} and {two}")))
}

fn columns(file: &Connection, table: &str) -> Result<Vec<String>, String> {
    let mut statement = file.prepare("SELECT name FROM pragma_table_info(?)").map_err(told)?;
    let names = statement.query_map([table], |row| row.get(0)).map_err(told)?;
    names.collect::<Result<_, _>>().map_err(told)
}

fn rows(file: &Connection, table: &str) -> Result<Vec<Vec<Value>>, String> {
    let mut statement = file.prepare(&format!("SELECT * FROM {table}")).map_err(told)?;
    let width = statement.column_count();
    let all = statement
        .query_map([], |row| (0..width).map(|at| row.get::<_, Value>(at)).collect())
        .map_err(told)?;
    all.collect::<Result<_, _>>().map_err(told)
}

fn matches(columns: &[String]) -> String {
    columns.iter().map(|name| format!("{name} IS ?")).collect::<Vec<_>>().join(" AND ")
}

/// Another value of the same kind.
fn other(cell: &mut Value, chance: &mut Chance) {
    match cell {
        Value::Integer(number) => *number = number.wrapping_add(1 + chance.below(1_000) as i64),
        Value::Text(text) => {
            let at = chance.index(text.len().max(1));
            match text.get(at..=at) {
                Some(c) => text.replace_range(at..=at, if c == "7" { "8" } else { "7" }),
                None => text.push('7'),
            }
        }
        Value::Blob(bytes) => match bytes.first_mut() {
            Some(byte) => *byte ^= 1,
            None => bytes.push(1),
        },
        Value::Null => *cell = Value::Integer(7),
        Value::Real(_) => *cell = Value::Null,
    }
}

fn edit_cell(file: &Connection, table: &str, seq: u64, chance: &mut Chance) -> Outcome {
    let columns = columns(file, table)?;
    let name = &columns[1 + chance.index(columns.len() - 1)];
    let sql = format!("SELECT {name} FROM {table} WHERE seq = ?");
    let before: Value = file.query_row(&sql, [seq], |row| row.get(0)).map_err(told)?;
    let mut after = before.clone();
    other(&mut after, chance);
    let sql = format!("UPDATE {table} SET {name} = ? WHERE seq = ?");
    match file.execute(&sql, rusqlite::params![after, seq]) {
        Ok(_) => Ok(Some(format!("{name} of event {seq}"))),
        Err(_) => Ok(None),
    }
}

/// Changes a digit of an event's body, so that it still reads.
fn edit_body(file: &Connection, seq: u64, chance: &mut Chance) -> Outcome {
    let body: String = file
        .query_row("SELECT body FROM events WHERE seq = ?", [seq], |row| row.get(0))
        .map_err(told)?;
    let digits: Vec<usize> =
        body.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
    if digits.is_empty() {
        return Ok(None);
    }
    let at = digits[chance.index(digits.len())];
    let mut changed = body.clone();
    changed.replace_range(at..=at, if &body[at..=at] == "9" { "8" } else { "9" });
    file.execute("UPDATE events SET body = ? WHERE seq = ?", (changed, seq)).map_err(told)?;
    Ok(Some(format!("a digit of event {seq}")))
}

/// Makes the chain fit again, as anybody can, and points the seal at its end.
fn hash_again(file: &Connection) -> Result<(), String> {
    let mut head = Head::EMPTY;
    let mut statement =
        file.prepare("SELECT at_ms, body FROM events ORDER BY seq").map_err(told)?;
    let events = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .map_err(told)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(told)?;
    for (at_ms, body) in events {
        head = head.next(at_ms, &body);
        file.execute("UPDATE events SET hash = ? WHERE seq = ?", (head.hash.as_slice(), head.seq))
            .map_err(told)?;
    }
    file.execute("UPDATE seals SET seq = ?, hash = ?", (head.seq, head.hash.as_slice()))
        .map_err(told)?;
    Ok(())
}

/// A limit a thousand times as high, behind the seal, with a hash that fits and the agent's row
/// changed to suit it.
fn append_authority(file: &Connection, last: u64) -> Outcome {
    let (agent, budget): (String, String) = file
        .query_row("SELECT agent, budget FROM agents LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?)))
        .map_err(told)?;
    let raised = budget.replace("\"100\"", "\"100000\"");
    let body = format!("{{\"event\":\"budget_set\",\"agent\":\"{agent}\",\"budget\":{raised}}}");
    let (at_ms, hash): (i64, Vec<u8>) = file
        .query_row("SELECT at_ms, hash FROM events WHERE seq = ?", [last], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(told)?;
    let hash = hash.as_slice().try_into().map_err(told)?;
    let head = Head { seq: last, hash, at_ms }.next(at_ms, &body);
    file.execute(
        "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, 'budget_set', NULL, ?, ?)",
        (head.seq, at_ms, &body, head.hash.as_slice()),
    )
    .map_err(told)?;
    file.execute("UPDATE agents SET budget = ? WHERE agent = ?", (&raised, &agent))
        .map_err(told)?;
    Ok(Some("a budget a thousand times as high".into()))
}

/// What the books in a file say; an error is something else than any books.
fn contents(path: &Path) -> Result<Vec<Vec<Vec<Value>>>, String> {
    let file = Connection::open(path).map_err(told)?;
    let mut all =
        vec![rows(&file, "events")?, rows(&file, "seals")?, rows(&file, "sqlite_master")?];
    for table in PROJECTIONS {
        all.push(rows(&file, table)?);
    }
    all.push(rows(&file, "signals")?);
    all.push(rows(&file, "pragma_user_version")?);
    Ok(all)
}
