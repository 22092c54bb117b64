//! The file: opening it safely, one writer that commits in groups, readers beside it.

use crate::apply::apply;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use alloy_primitives::B256;
use futures::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The version of the tables; a file with a greater one is refused.
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = include_str!("../migrations/0001_books.sql");

/// How many writes share one fsync at most, so that the first of them never waits for ever.
const GROUP_MAX: usize = 256;

/// One write, as it sees the books: the connection inside the group's transaction, the head of
/// the log, and the one clock.
pub(crate) struct Tx<'c> {
    pub(crate) conn: &'c mut SqliteConnection,
    pub(crate) head: Head,
    pub(crate) now: jiff::Timestamp,
}

impl Tx<'_> {
    /// Appends an event and lets it change the projections.
    pub(crate) async fn append(&mut self, event: &Event) -> Result<u64, LedgerError> {
        let body = serde_json::to_string(event)
            .map_err(|e| LedgerError::damaged(format!("an event that cannot be written: {e}")))?;
        let head = self.head.next(self.now.as_millisecond(), &body);
        sqlx::query(
            "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(head.seq as i64)
        .bind(head.at_ms)
        .bind(event.kind())
        .bind(event.payment().map(|id| id.as_str()))
        .bind(body)
        .bind(head.hash.to_vec())
        .execute(&mut *self.conn)
        .await?;
        apply(self.conn, event, head.seq, head.at_ms).await?;
        self.head = head;
        Ok(head.seq)
    }
}

type Job = Box<dyn for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Settle> + Send>;
/// What to do with a job's answer once its group is on the disk, or is known not to be.
type Settle = (JobEnd, Reply);
type Reply = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// How one job of a group ended, as far as the group must know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JobEnd {
    Done,
    Failed,
    /// SQLite then has rolled back the whole transaction by itself, not the job alone.
    DiskFull,
}

/// The ledger's file and its one writer.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Job>,
    pub(crate) readers: SqlitePool,
    pub(crate) head: watch::Receiver<Head>,
    /// Why the writer stopped, once it has.
    stopped: watch::Receiver<Option<String>>,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl Store {
    /// Opens the file, making it if it is not there, and starts the writer.
    pub(crate) async fn open(path: &Path) -> Result<Store, LedgerError> {
        let unreadable = |error: sqlx::Error| match LedgerError::from(error) {
            LedgerError::DiskFull => LedgerError::DiskFull,
            other => LedgerError::Unreadable { path: path.into(), why: other.to_string() },
        };
        let options = options(path);
        let mut conn =
            options.clone().create_if_missing(true).connect().await.map_err(unreadable)?;
        check_sqlite(&mut conn).await?;
        migrate(&mut conn, path).await?;
        let head = read_head(&mut conn).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.read_only(true).pragma("query_only", "ON"))
            .await
            .map_err(unreadable)?;
        let (jobs, queue) = mpsc::channel(1024);
        let (heads, head) = watch::channel(head);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let (stop, stopped) = watch::channel(None);
        let writer = Writer { conn, heads, stopped: stop };
        tokio::spawn(writer.run(queue, closing.clone(), closed.clone().drop_guard()));
        Ok(Store { jobs, readers, head, stopped, closing, closed })
    }

    /// Runs one write inside the next group; answers only after the group is on the disk.
    ///
    /// A write that fails leaves nothing behind, and does not disturb the others of its group.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, LedgerError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            Box::pin(async move {
                let result = job(tx).await;
                let end = match &result {
                    Ok(_) => JobEnd::Done,
                    Err(LedgerError::DiskFull) => JobEnd::DiskFull,
                    Err(_) => JobEnd::Failed,
                };
                let settle = move |committed: Result<(), LedgerError>| {
                    let _ = reply.send(committed.and(result));
                };
                (end, Box::new(settle) as Reply)
            })
        });
        let gone = || LedgerError::Stopped {
            why: self.stopped.borrow().clone().unwrap_or_else(|| "the desk is closing".into()),
        };
        self.jobs.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Waits until everything written is on the disk and the file is closed; whoever still holds
    /// a clone gets errors from here on.
    pub(crate) async fn close(self) {
        self.readers.close().await;
        self.closing.cancel();
        self.closed.cancelled().await;
    }
}

struct Writer {
    conn: SqliteConnection,
    heads: watch::Sender<Head>,
    /// Set by the first failure whose result on the disk is unclear; nothing is written after it.
    stopped: watch::Sender<Option<String>>,
}

impl Writer {
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Job>,
        closing: CancellationToken,
        _closed: DropGuard,
    ) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            // Everything that queued up while the last group was being written forms the next.
            tokio::select! {
                biased;
                taken = queue.recv_many(&mut group, GROUP_MAX) => if taken == 0 { break },
                () = closing.cancelled() => {
                    // No new jobs; those already queued are still answered above.
                    queue.close();
                    continue;
                }
            }
            let mut jobs: VecDeque<Job> = group.drain(..).collect();
            while !jobs.is_empty() && self.stopped.borrow().is_none() {
                self.commit_group(&mut jobs).await;
            }
            // Jobs that a stopped writer drops tell their askers so by hanging up.
        }
        let _ = self.conn.close().await;
    }

    /// Commits as many of the jobs as one transaction takes, and answers those.
    async fn commit_group(&mut self, jobs: &mut VecDeque<Job>) {
        let mut head = *self.heads.borrow();
        let mut replies = Vec::new();
        match self.try_group(jobs, &mut head, &mut replies).await {
            Ok(()) => {
                self.heads.send_replace(head);
                replies.into_iter().for_each(|reply| reply(Ok(())));
            }
            Err(error) => {
                // After a failed fsync nobody knows what the disk holds (the page cache may lie),
                // so only a full disk, which SQLite reports before it commits, lets the writer go
                // on. The rollback may find nothing to do: SQLite does it by itself then.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
                let full = matches!(error, LedgerError::DiskFull);
                if !full {
                    tracing::error!(%error, "the ledger stops writing");
                    self.stopped.send_replace(Some(error.to_string()));
                }
                for reply in replies {
                    reply(Err(match full {
                        true => LedgerError::DiskFull,
                        false => LedgerError::Stopped { why: error.to_string() },
                    }));
                }
            }
        }
    }

    /// Starts the transaction, waiting out any other program that holds the file: nothing has been
    /// written yet, so waiting loses nothing.
    async fn begin(&mut self) -> Result<(), LedgerError> {
        loop {
            match sqlx::query("BEGIN IMMEDIATE").execute(&mut self.conn).await {
                Ok(_) => return Ok(()),
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("5") => {
                    tracing::warn!("another program holds the ledger’s file; waiting for it");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn try_group(
        &mut self,
        jobs: &mut VecDeque<Job>,
        head: &mut Head,
        replies: &mut Vec<Reply>,
    ) -> Result<(), LedgerError> {
        self.begin().await?;
        while let Some(job) = jobs.pop_front() {
            sqlx::query("SAVEPOINT job").execute(&mut self.conn).await?;
            let mut tx = Tx { conn: &mut self.conn, head: *head, now: now_after(head) };
            let (end, reply) = job(&mut tx).await;
            let reached = tx.head;
            replies.push(reply);
            match end {
                JobEnd::Done => *head = reached,
                JobEnd::Failed => {
                    sqlx::query("ROLLBACK TO job").execute(&mut self.conn).await?;
                }
                JobEnd::DiskFull => return Err(LedgerError::DiskFull),
            }
            sqlx::query("RELEASE job").execute(&mut self.conn).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.conn).await?;
        Ok(())
    }
}

/// The desk's clock: the system's, but never behind the last event.
fn now_after(head: &Head) -> jiff::Timestamp {
    let high_water = jiff::Timestamp::from_millisecond(head.at_ms).unwrap_or_default();
    jiff::Timestamp::now().max(high_water)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "OFF")
        // Kept requests may hold an agent's own credentials; what is deleted is to be gone.
        .pragma("secure_delete", "ON")
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
}

/// 3.51.3 fixed a race in the write-ahead log that could lose committed writes.
async fn check_sqlite(conn: &mut SqliteConnection) -> Result<(), LedgerError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(conn).await?;
    let parts: Vec<u32> = found.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.as_slice() >= [3, 51, 3].as_slice() {
        Ok(())
    } else {
        Err(LedgerError::OldSqlite { found })
    }
}

async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let read = sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(&mut *conn).await;
    let found =
        read.map_err(|e| LedgerError::Unreadable { path: path.into(), why: e.to_string() })?;
    if found > SCHEMA_VERSION {
        return Err(LedgerError::Newer { path: path.into(), found, known: SCHEMA_VERSION });
    }
    if found == 0 {
        let mut tx = conn.begin().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub(crate) async fn read_head(conn: &mut SqliteConnection) -> Result<Head, LedgerError> {
    let row = sqlx::query("SELECT seq, hash, at_ms FROM events ORDER BY seq DESC LIMIT 1")
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(Head::EMPTY) };
    let hash: Vec<u8> = row.try_get("hash")?;
    Ok(Head {
        seq: row.try_get::<i64, _>("seq")? as u64,
        hash: B256::try_from(hash.as_slice())
            .map_err(|_| LedgerError::damaged("a hash that is not 32 bytes"))?,
        at_ms: row.try_get("at_ms")?,
    })
}

/// An empty set of books in memory, for replaying a log into.
pub(crate) async fn scratch() -> Result<SqliteConnection, LedgerError> {
    let mut conn = SqliteConnectOptions::new()
        .filename(PathBuf::from(":memory:"))
        .foreign_keys(true)
        .connect()
        .await?;
    sqlx::raw_sql(SCHEMA).execute(&mut conn).await?;
    Ok(conn)
}
