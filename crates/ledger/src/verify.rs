//! Proving the books: the hash chain recomputed, and every projection rebuilt from the log.

use crate::apply::apply;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use crate::{Ledger, store};
use sqlx::{Row, SqliteConnection};

/// The projections a replay must rebuild, each with what puts its rows in one order.
const PROJECTIONS: [(&str, &str); 11] = [
    ("desk", "SELECT * FROM desk ORDER BY 1"),
    ("agents", "SELECT * FROM agents ORDER BY 1"),
    ("payments", "SELECT * FROM payments ORDER BY 1"),
    ("counters", "SELECT * FROM counters ORDER BY 1, 2, 3"),
    ("entries", "SELECT * FROM entries ORDER BY 1, 2"),
    ("accounts", "SELECT * FROM accounts ORDER BY 1"),
    ("payees", "SELECT * FROM payees ORDER BY 1, 2, 3, 4"),
    ("approvals", "SELECT * FROM approvals ORDER BY 1"),
    ("refills", "SELECT * FROM refills ORDER BY 1"),
    ("hosts", "SELECT * FROM hosts ORDER BY 1"),
    ("receipts", "SELECT * FROM receipts ORDER BY 1, 2"),
];

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// How many events were read.
    pub events: u64,
    /// The head the chain leads to.
    pub head: Head,
    /// What is wrong, one sentence each; empty when all is whole.
    pub faults: Vec<String>,
}

impl Ledger {
    /// Recomputes the hash chain, replays the log into empty books and compares every table.
    ///
    /// # Errors
    /// When the file cannot be read; what is wrong inside it is a finding, not an error.
    pub async fn verify(&self) -> Result<Findings, LedgerError> {
        // One read transaction, so that writes going on meanwhile do not look like faults.
        let mut tx = self.store.readers.begin().await?;
        let mut replayed = store::scratch().await?;
        let mut faults = Vec::new();
        let head = replay(&mut tx, &mut replayed, &mut faults).await?;
        if faults.is_empty() {
            compare(&mut tx, &mut replayed, &mut faults).await?;
        }
        tx.commit().await?;
        Ok(Findings { events: head.seq, head, faults })
    }
}

/// Walks the log in order, checking each link, and applies each event to the empty books.
async fn replay(
    log: &mut SqliteConnection,
    books: &mut SqliteConnection,
    faults: &mut Vec<String>,
) -> Result<Head, LedgerError> {
    let mut head = Head::EMPTY;
    sqlx::query("BEGIN").execute(&mut *books).await?;
    loop {
        let rows = sqlx::query("SELECT seq, at_ms, kind, payment, body, hash FROM events WHERE seq > ? ORDER BY seq LIMIT 1000")
            .bind(head.seq as i64)
            .fetch_all(&mut *log)
            .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let seq = row.try_get::<i64, _>("seq")?.unsigned_abs();
            let (at_ms, body) =
                (row.try_get::<i64, _>("at_ms")?, row.try_get::<String, _>("body")?);
            let next = head.next(at_ms, &body);
            if seq != next.seq {
                faults.push(format!("Event {} is missing: the log goes on at {seq}.", next.seq));
                return Ok(head);
            }
            if row.try_get::<Vec<u8>, _>("hash")? != next.hash.to_vec() {
                faults.push(format!(
                    "Event {seq} is not what was written: its hash does not fit the chain."
                ));
                return Ok(head);
            }
            if at_ms < head.at_ms {
                faults.push(format!("Event {seq} is older than the one before it."));
            }
            let event: Event = match serde_json::from_str(&body) {
                Ok(event) => event,
                Err(error) => {
                    faults.push(format!("Event {seq} cannot be read: {error}."));
                    return Ok(head);
                }
            };
            let labelled = row.try_get::<String, _>("kind")? == event.kind()
                && row.try_get::<Option<String>, _>("payment")?.as_deref()
                    == event.payment().map(|id| id.as_str());
            if !labelled {
                faults.push(format!("Event {seq} is labelled as something it is not."));
            }
            copy_event(books, &row).await?;
            if let Err(error) = apply(books, &event, seq, at_ms).await {
                faults.push(format!("Event {seq} cannot have happened: {error}"));
                return Ok(head);
            }
            head = next;
        }
    }
    sqlx::query("COMMIT").execute(books).await?;
    Ok(head)
}

/// Entries refer to their event, so the replayed books need the log's rows too.
async fn copy_event(
    books: &mut SqliteConnection,
    row: &sqlx::sqlite::SqliteRow,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, NULL, '', ?)",
    )
    .bind(row.try_get::<i64, _>("seq")?)
    .bind(row.try_get::<i64, _>("at_ms")?)
    .bind(row.try_get::<String, _>("kind")?)
    .bind(row.try_get::<Vec<u8>, _>("hash")?)
    .execute(books)
    .await?;
    Ok(())
}

async fn compare(
    live: &mut SqliteConnection,
    replayed: &mut SqliteConnection,
    faults: &mut Vec<String>,
) -> Result<(), LedgerError> {
    for (table, sql) in PROJECTIONS {
        let (live, replayed) = (dump(live, sql).await?, dump(replayed, sql).await?);
        if live != replayed {
            let differs = live.iter().zip(&replayed).find(|(a, b)| a != b).map_or_else(
                || format!("{} rows instead of {}", live.len(), replayed.len()),
                |(a, b)| format!("“{a}” instead of “{b}”"),
            );
            faults.push(format!("The table {table} is not what the log adds up to: {differs}."));
        }
    }
    let unbalanced: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY seq HAVING sum(units) <> 0)",
    )
    .fetch_one(live)
    .await?;
    if unbalanced > 0 {
        faults.push(format!("{unbalanced} entries do not balance."));
    }
    Ok(())
}

/// Each row as SQLite's own literals, so that types and texts compare exactly.
async fn dump(conn: &mut SqliteConnection, sql: &'static str) -> Result<Vec<String>, LedgerError> {
    let rows = sqlx::query(sql).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let mut cells = Vec::with_capacity(row.len());
            for column in 0..row.len() {
                cells.push(match row.try_get::<Option<i64>, _>(column) {
                    Ok(number) => number.map_or("NULL".to_owned(), |n| n.to_string()),
                    Err(_) => format!("'{}'", row.try_get::<String, _>(column)?),
                });
            }
            Ok(cells.join(", "))
        })
        .collect()
}
