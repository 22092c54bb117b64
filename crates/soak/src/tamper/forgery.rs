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
const PROJECTIONS: [&str; 18] = [
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
    "signals",
    "tallies",
];

/// One way of changing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgery {
    EditEvent,
    FlipBodyByte,
    SwapEvents,
    SwapEventsAndHashAgain,
    DeleteEvent,
    DeleteEventAndRenumber,
    DeleteEventAndCloseTheGap,
    InsertEvent,
    InsertEventAndHashAgain,
    CutOffTheEnd,
    AppendAuthority,
    RewriteAndHashAgain,
    EditProjection,
    DeleteProjection,
    CopyProjection,
    StaleIndex,
    DropSeal,
    EditSeal,
    ForgeSeal,
    DropGuard,
    AddTrigger,
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
    pub(super) const ALL: [Forgery; 26] = [
        Forgery::EditEvent,
        Forgery::FlipBodyByte,
        Forgery::SwapEvents,
        Forgery::SwapEventsAndHashAgain,
        Forgery::DeleteEvent,
        Forgery::DeleteEventAndRenumber,
        Forgery::DeleteEventAndCloseTheGap,
        Forgery::InsertEvent,
        Forgery::InsertEventAndHashAgain,
        Forgery::CutOffTheEnd,
        Forgery::AppendAuthority,
        Forgery::RewriteAndHashAgain,
        Forgery::EditProjection,
        Forgery::DeleteProjection,
        Forgery::CopyProjection,
        Forgery::StaleIndex,
        Forgery::DropSeal,
        Forgery::EditSeal,
        Forgery::ForgeSeal,
        Forgery::DropGuard,
        Forgery::AddTrigger,
        Forgery::RestoreOlder,
        Forgery::RestoreOlderUnderNewSeal,
        Forgery::OtherHistory,
        Forgery::FlipByte,
        Forgery::CutFile,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Forgery::EditEvent => "event edited",
            Forgery::FlipBodyByte => "byte of an event’s body flipped",
            Forgery::SwapEvents => "events swapped",
            Forgery::SwapEventsAndHashAgain => "events swapped, hashed again",
            Forgery::DeleteEvent => "event deleted",
            Forgery::DeleteEventAndRenumber => "event deleted, gap closed",
            Forgery::InsertEvent => "event inserted",
            Forgery::InsertEventAndHashAgain => "event inserted, hashed again",
            Forgery::DeleteEventAndCloseTheGap => "event deleted, gap closed, hashed again",
            Forgery::CutOffTheEnd => "end cut off",
            Forgery::AppendAuthority => "authority appended",
            Forgery::RewriteAndHashAgain => "event rewritten, hashed again",
            Forgery::EditProjection => "projection edited",
            Forgery::DeleteProjection => "projection row deleted",
            Forgery::CopyProjection => "projection row added",
            Forgery::StaleIndex => "index apart from its table",
            Forgery::DropSeal => "seal dropped",
            Forgery::EditSeal => "seal edited",
            Forgery::ForgeSeal => "seal forged",
            Forgery::DropGuard => "guard of the log dropped",
            Forgery::AddTrigger => "trigger added",
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
        if self != Forgery::DropGuard {
            // A careful forger leaves the guards as they were.
            file.execute_batch(&guarded).map_err(told)?;
        }
        Ok(what)
    }

    fn edit(self, file: &Connection, chance: &mut Chance) -> Outcome {
        let last: u64 =
            file.query_row("SELECT max(seq) FROM events", [], |row| row.get(0)).map_err(told)?;
        let any = |chance: &mut Chance| chance.between(1, last);
        match self {
            Forgery::EditEvent => edit_cell(file, any(chance), chance),
            Forgery::FlipBodyByte => flip_body_byte(file, any(chance), chance),
            Forgery::SwapEvents => swap(file, any(chance), any(chance)),
            Forgery::SwapEventsAndHashAgain => {
                let what = swap(file, any(chance), any(chance))?;
                hash_again(file)?;
                Ok(what)
            }
            Forgery::DeleteEvent => run(file, "DELETE FROM events WHERE seq = ?", any(chance)),
            Forgery::DeleteEventAndRenumber | Forgery::DeleteEventAndCloseTheGap => {
                let gone = any(chance);
                run(file, "DELETE FROM events WHERE seq = ?", gone)?;
                for seq in gone + 1..=last {
                    run(file, "UPDATE events SET seq = seq - 1 WHERE seq = ?", seq)?;
                }
                if self == Forgery::DeleteEventAndCloseTheGap {
                    hash_again(file)?;
                }
                Ok(Some(format!("event {gone} of {last}")))
            }
            Forgery::InsertEvent | Forgery::InsertEventAndHashAgain => {
                let (copied, place) = (any(chance), any(chance));
                insert(file, last, copied, place)?;
                if self == Forgery::InsertEventAndHashAgain {
                    hash_again(file)?;
                }
                Ok(Some(format!("a copy of event {copied} before {place}")))
            }
            Forgery::CutOffTheEnd => run(file, "DELETE FROM events WHERE seq > ?", any(chance) - 1),
            Forgery::AppendAuthority => append_authority(file, last),
            Forgery::RewriteAndHashAgain => {
                let what = edit_body(file, any(chance), chance)?;
                hash_again(file)?;
                Ok(what)
            }
            Forgery::EditSeal => self.project(file, "seals", chance),
            Forgery::EditProjection | Forgery::DeleteProjection | Forgery::CopyProjection => {
                self.project(file, PROJECTIONS[chance.index(PROJECTIONS.len())], chance)
            }
            Forgery::StaleIndex => stale_index(file, chance),
            Forgery::DropSeal => run(file, "DELETE FROM seals WHERE only_row = ?", 1),
            Forgery::DropGuard => Ok(Some("the log’s guards".into())),
            Forgery::AddTrigger => {
                file.execute_batch(
                    "CREATE TRIGGER forget AFTER UPDATE ON counters BEGIN
                         UPDATE counters SET held = 0 WHERE holder = new.holder;
                     END",
                )
                .map_err(told)?;
                Ok(Some("one that forgets what is held".into()))
            }
            Forgery::ForgeSeal => {
                let bytes: Vec<u8> = (0..32).map(|_| chance.any() as u8).collect();
                file.execute("UPDATE seals SET mac = ?", [bytes]).map_err(told)?;
                Ok(Some("another seal".into()))
            }
            _ => Ok(None),
        }
    }

    fn project(self, file: &Connection, table: &str, chance: &mut Chance) -> Outcome {
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
                    *cell = other(cell, chance);
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
                let cell = other(&row[at], chance);
                if same(&row[at], &cell) {
                    return Ok(None);
                }
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

/// Lets an index find a row under a value that the row does not have: the row is changed, and
/// changed back while the index is out of sight.
fn stale_index(file: &Connection, chance: &mut Chance) -> Outcome {
    let mut statement = file
        .prepare(
            "SELECT m.name, m.tbl_name, m.sql, i.name FROM sqlite_master m, pragma_index_info(m.name) i
             WHERE m.type = 'index' AND m.sql IS NOT NULL AND i.seqno = 0 AND i.name IS NOT NULL
                 AND m.tbl_name NOT IN (SELECT name FROM pragma_table_list WHERE wr = 1)",
        )
        .map_err(told)?;
    let found = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .and_then(Iterator::collect::<Result<Vec<(String, String, String, String)>, _>>)
        .map_err(told)?;
    drop(statement);
    let (index, table, sql, column) = &found[chance.index(found.len())];
    let rows: Vec<(i64, Value)> = file
        .prepare(&format!("SELECT rowid, {column} FROM {table}"))
        .and_then(|mut rows| rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(told)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let (rowid, was) = &rows[chance.index(rows.len())];
    let now = other(was, chance);
    let set = format!("UPDATE {table} SET {column} = ? WHERE rowid = ?");
    if same(was, &now) || file.execute(&set, rusqlite::params![now, rowid]).is_err() {
        return Ok(None);
    }
    let row = |sql: &str, given: &[&dyn rusqlite::ToSql]| file.execute(sql, given).map_err(told);
    let page: i64 = file
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = ?", [index], |row| row.get(0))
        .map_err(told)?;
    file.execute_batch("PRAGMA writable_schema = ON").map_err(told)?;
    row("DELETE FROM sqlite_master WHERE name = ?", &[index])?;
    reread_schema(file)?;
    row(&set, &[was, rowid])?;
    row(
        "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('index', ?, ?, ?, ?)",
        &[index, table, &page, sql],
    )?;
    reread_schema(file)?;
    file.execute_batch("PRAGMA writable_schema = OFF").map_err(told)?;
    Ok(Some(format!("{index}: {was:?} is found as {now:?}")))
}

/// Makes SQLite forget what it knows of the tables and indexes.
fn reread_schema(file: &Connection) -> Result<(), String> {
    let version: i64 =
        file.query_row("PRAGMA schema_version", [], |row| row.get(0)).map_err(told)?;
    file.pragma_update(None, "schema_version", version + 1).map_err(told)
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

/// Another value, mostly of the same kind.
fn other(cell: &Value, chance: &mut Chance) -> Value {
    if chance.percent(5) {
        return Value::Null;
    }
    match cell {
        Value::Integer(number) => Value::Integer(match chance.below(4) {
            0 => number.wrapping_neg(),
            1 => 0,
            2 => number.wrapping_sub(1),
            _ => number.wrapping_add(1 + chance.below(1_000) as i64),
        }),
        Value::Text(text) => Value::Text(other_text(text, chance)),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let at = chance.index(bytes.len());
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 1 << chance.below(8),
                None => bytes.push(1),
            }
            Value::Blob(bytes)
        }
        Value::Null if chance.percent(50) => Value::Text("7".into()),
        Value::Null | Value::Real(_) => Value::Integer(7),
    }
}

/// Another character, another case, a little more or nothing at all.
fn other_text(text: &str, chance: &mut Chance) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = chance.index(letters.len());
    match (chance.below(8), letters.get(at).copied()) {
        (0, _) => letters.push(' '),
        (1, _) => letters.insert(at, ' '),
        (2, _) => letters.clear(),
        (3, _) => return text.to_uppercase(),
        (4, _) => return text.to_lowercase(),
        (5, Some(letter)) if letter.is_ascii_lowercase() => {
            letters[at] = letter.to_ascii_uppercase()
        }
        (5, Some(letter)) => letters[at] = letter.to_ascii_lowercase(),
        (_, Some('7')) => letters[at] = '8',
        (_, Some(_)) => letters[at] = '7',
        (_, None) => letters.push('7'),
    }
    letters.into_iter().collect()
}

/// Whether a cell says the same as before: JSON may be spaced otherwise.
fn same(before: &Value, after: &Value) -> bool {
    let json = |cell: &Value| match cell {
        Value::Text(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str::<serde_json::Value>(text).ok()
        }
        _ => None,
    };
    before == after || json(before).is_some_and(|before| Some(before) == json(after))
}

fn edit_cell(file: &Connection, seq: u64, chance: &mut Chance) -> Outcome {
    let columns = columns(file, "events")?;
    let name = chance.one_of::<String>(&columns);
    let sql = format!("SELECT {name} FROM events WHERE seq = ?");
    let before: Value = file.query_row(&sql, [seq], |row| row.get(0)).map_err(told)?;
    let after = other(&before, chance);
    if before == after {
        return Ok(None);
    }
    let sql = format!("UPDATE events SET {name} = ? WHERE seq = ?");
    match file.execute(&sql, rusqlite::params![after, seq]) {
        Ok(_) => Ok(Some(format!("{name} of event {seq} is {after:?} and was {before:?}"))),
        Err(_) => Ok(None),
    }
}

fn flip_body_byte(file: &Connection, seq: u64, chance: &mut Chance) -> Outcome {
    let body: String = file
        .query_row("SELECT body FROM events WHERE seq = ?", [seq], |row| row.get(0))
        .map_err(told)?;
    let mut bytes = body.into_bytes();
    let at = chance.index(bytes.len());
    bytes[at] ^= 1 << chance.below(8);
    // SQLite stores whatever bytes it is told are text.
    file.execute("UPDATE events SET body = CAST(? AS TEXT) WHERE seq = ?", (bytes, seq))
        .map_err(told)?;
    Ok(Some(format!("byte {at} of event {seq}")))
}

/// Makes room before a place, and puts a copy of an event there.
fn insert(file: &Connection, last: u64, copied: u64, place: u64) -> Result<(), String> {
    let sql =
        "INSERT INTO events SELECT ?2, at_ms, kind, payment, body, hash FROM events WHERE seq = ?1";
    file.execute(sql, (copied, last + 1_000)).map_err(told)?;
    for seq in (place..=last).rev() {
        run(file, "UPDATE events SET seq = seq + 1 WHERE seq = ?", seq)?;
    }
    let sql = "UPDATE events SET seq = ? WHERE seq = ?";
    file.execute(sql, (place, last + 1_000)).map_err(told)?;
    Ok(())
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

/// What the books in a file say, and whether each table and its indexes fit each other; an error
/// is something else than any books.
fn contents(path: &Path) -> Result<Vec<Vec<Vec<Value>>>, String> {
    let file = Connection::open(path).map_err(told)?;
    let mut all = vec![rows(&file, "pragma_user_version")?, schema(&file)?];
    for table in PROJECTIONS.into_iter().chain(["events", "seals"]) {
        all.push(rows(&file, table)?);
        all.push(rows(&file, &format!("pragma_integrity_check('{table}')"))?);
    }
    Ok(all)
}

/// Every table, index and trigger, as SQLite understands them: without comments.
fn schema(file: &Connection) -> Result<Vec<Vec<Value>>, String> {
    let mut all = rows(file, "sqlite_master")?;
    for cell in all.iter_mut().flatten() {
        if let Value::Text(text) = cell {
            let code = text.lines().map(|line| line.split("--").next().unwrap_or_default());
            *text = code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        }
    }
    Ok(all)
}
