//! The file: opening it safely, one writer that commits in groups, readers beside it.
//!
//! The writer is a thread of its own that speaks to SQLite directly: a decision is some twenty
//! small steps, and handing each of them to another thread would cost more than all of them
//! (docs/decisions/0011). Readers are a pool that never waits for it.

use crate::apply::Place;
use crate::books::Books;
use crate::clock::Clock;
use crate::error::LedgerError;
use crate::event::{Event, Head};
use crate::migrate;
use crate::seal::Seals;
use imprest_domain::PaymentId;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many writes share one fsync at most, so that the first of them never waits for ever.
const GROUP_MAX: usize = 256;
/// How long another program that holds the file is waited for before it is mentioned.
const BUSY: Duration = Duration::from_secs(5);

/// How a ledger is opened; the defaults are for everyone but tests.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// The clock; the system's when absent.
    pub clock: Option<Clock>,
    /// The name of a registered SQLite file layer; the system's own when absent.
    pub vfs: Option<String>,
}

/// One write, as it sees the books: everything up to here, its own group's writes included.
pub(crate) struct Tx<'g> {
    pub(crate) books: &'g mut Books,
    pub(crate) seals: &'g mut Seals,
    log: &'g mut Pending,
    begun: &'g mut bool,
    version: i64,
    pub(crate) head: Head,
    /// The one clock.
    pub(crate) now: Timestamp,
    /// Whether the system's clock stands well behind the books'.
    pub(crate) clock_behind: bool,
}

/// What the group will write besides the books' rows.
#[derive(Default)]
struct Pending {
    events: Vec<Stored>,
    kept_requests: Vec<(PaymentId, Vec<u8>)>,
}

struct Stored {
    head: Head,
    kind: &'static str,
    payment: Option<PaymentId>,
    body: String,
}

impl Tx<'_> {
    /// Appends an event and lets it change the books.
    pub(crate) fn append(&mut self, event: Event) -> Result<u64, LedgerError> {
        self.seals.allow(&event)?;
        let body = serde_json::to_string(&event)
            .map_err(|e| LedgerError::damaged(format!("an event that cannot be written: {e}")))?;
        let head = self.head.next(self.now.as_millisecond(), &body);
        let (kind, payment) = (event.kind(), event.payment().cloned());
        self.books.apply(event, Place { seq: head.seq, at_ms: head.at_ms })?;
        self.log.events.push(Stored { head, kind, payment, body });
        self.head = head;
        Ok(head.seq)
    }

    /// An event of the log, those of this very group included.
    pub(crate) fn event(&self, seq: u64) -> Result<Event, LedgerError> {
        if let Some(stored) = self.log.events.iter().find(|stored| stored.head.seq == seq) {
            return Event::parse(stored.kind, &stored.body);
        }
        let mut statement =
            disk(self.books)?.prepare_cached("SELECT kind, body FROM events WHERE seq = ?")?;
        let (kind, body): (String, String) =
            statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Event::parse(&kind, &body)
    }

    /// Keeps what is needed to go on after a question, in this very write.
    pub(crate) fn keep_request(&mut self, payment: PaymentId, body: Vec<u8>) {
        self.log.kept_requests.push((payment, body));
    }

    /// Goes on at another time: only the owner turns the clock back.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The file itself, inside the group's transaction, for what is not part of the books.
    pub(crate) fn file(&mut self) -> Result<&Connection, LedgerError> {
        let disk = disk(self.books)?;
        if !*self.begun {
            begin(disk, self.version)?;
            *self.begun = true;
        }
        still_in_transaction(disk)?;
        Ok(disk)
    }
}

type Job = Box<dyn FnOnce(&mut Tx<'_>) -> (JobEnd, Reply) + Send>;
/// Answers a job once its group is on the disk, or is known not to be.
type Reply = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

enum Message {
    Job(Job),
    Close,
}

/// How one job of a group ended, as far as the group must know.
#[derive(Clone, PartialEq, Eq)]
enum JobEnd {
    Done,
    Failed,
    /// SQLite then has rolled back the whole transaction by itself.
    DiskFull,
    /// The disk could not be read, or not as what was written: nothing more is decided on it.
    Unsound(String),
}

/// The ledger's file and its one writer.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Message>,
    pub(crate) readers: SqlitePool,
    pub(crate) head: watch::Receiver<Head>,
    pub(crate) clock: Clock,
    pub(crate) path: PathBuf,
    vfs: Option<String>,
    /// Why the writer stopped, once it has.
    stopped: watch::Receiver<Option<String>>,
    closed: CancellationToken,
}

impl Store {
    /// Opens the file, making it if it is not there, and starts the writer.
    pub(crate) async fn open(path: &Path, options: OpenOptions) -> Result<Store, LedgerError> {
        let clock = options.clock.unwrap_or_default();
        let (heads, head) = watch::channel(Head::EMPTY);
        let (stop, stopped) = watch::channel(None);
        let (jobs, queue) = mpsc::channel(1024);
        let closed = CancellationToken::new();
        let writer = {
            let (file, vfs, clock) = (path.to_owned(), options.vfs.clone(), clock.clone());
            let start = move || Writer::open(&file, vfs.as_deref(), clock, heads, stop);
            tokio::task::spawn_blocking(start).await.map_err(|e| unreadable(path, &e))??
        };
        let readers = reader_pool(path, options.vfs.as_deref()).await?;
        let guard = closed.clone().drop_guard();
        std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || writer.run(queue, guard))
            .map_err(|e| unreadable(path, &e))?;
        let (path, vfs) = (path.to_owned(), options.vfs);
        Ok(Store { jobs, readers, head, clock, path, vfs, stopped, closed })
    }

    /// Runs one write inside the next group; answers only after the group is on the disk.
    ///
    /// A write that fails leaves nothing behind, and does not disturb the others of its group.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        let (job, answer) = answered(job);
        let gone = || LedgerError::Stopped {
            why: self.stopped.borrow().clone().unwrap_or_else(|| "the desk is closing".into()),
        };
        self.jobs.send(Message::Job(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// A connection of its own that can only read, for long walks through the log.
    pub(crate) fn read_only(&self) -> Result<Connection, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = connect(&self.path, flags, self.vfs.as_deref())?;
        conn.busy_timeout(BUSY)?;
        Ok(conn)
    }

    /// Waits until everything written is on the disk and the file is closed; whoever still holds
    /// a clone gets errors from here on.
    pub(crate) async fn close(self) {
        self.readers.close().await;
        let _ = self.jobs.send(Message::Close).await;
        self.closed.cancelled().await;
    }
}

/// A job, and where its answer will be.
fn answered<T, F>(job: F) -> (Job, oneshot::Receiver<Result<T, LedgerError>>)
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |tx| {
        let result = job(tx);
        let end = match &result {
            Ok(_) => JobEnd::Done,
            Err(LedgerError::DiskFull) => JobEnd::DiskFull,
            Err(LedgerError::Unsound(why)) => JobEnd::Unsound(why.clone()),
            Err(_) => JobEnd::Failed,
        };
        let settle = move |committed: Result<(), LedgerError>| {
            let _ = reply.send(committed.and(result));
        };
        (end, Box::new(settle) as Reply)
    });
    (job, answer)
}

/// Runs one write on a file that no desk has open, and leaves it one plain file; answers its head.
pub(crate) fn write_alone<F>(path: &Path, clock: Clock, job: F) -> Result<Head, LedgerError>
where
    F: FnOnce(&mut Tx<'_>) -> Result<(), LedgerError> + Send + 'static,
{
    let (heads, head) = watch::channel(Head::EMPTY);
    let (stop, _stopped) = watch::channel(None);
    let mut writer = Writer::open(path, None, clock, heads, stop)?;
    let (job, mut answer) = answered(job);
    writer.commit_group(vec![job]);
    let stopped = |_| LedgerError::Stopped { why: "the write was not answered".into() };
    answer.try_recv().map_err(stopped)??;
    disk(&writer.books)?.execute_batch("PRAGMA journal_mode = DELETE")?;
    let head = *head.borrow();
    Ok(head)
}

struct Writer {
    books: Books,
    /// The file's [`file_version`] when it was opened: nobody else writes to it.
    version: i64,
    seals: Seals,
    clock: Clock,
    heads: watch::Sender<Head>,
    /// Set by the first failure whose result on the disk is unclear; nothing is written after it.
    stopped: watch::Sender<Option<String>>,
}

impl Writer {
    fn open(
        path: &Path,
        vfs: Option<&str>,
        clock: Clock,
        heads: watch::Sender<Head>,
        stopped: watch::Sender<Option<String>>,
    ) -> Result<Writer, LedgerError> {
        let named = |error: LedgerError| match error {
            named @ (LedgerError::DiskFull
            | LedgerError::Newer { .. }
            | LedgerError::OldSqlite { .. }
            | LedgerError::Unreadable { .. }) => named,
            other => LedgerError::Unreadable { path: path.to_owned(), why: other.to_string() },
        };
        let mut conn = open_file(path, vfs).map_err(named)?;
        migrate::migrate(&mut conn, path).map_err(named)?;
        let head = read_head(&conn).map_err(named)?;
        let seals = Seals::read(&conn).map_err(named)?;
        let version = file_version(&conn).map_err(named)?;
        let books = Books::over(conn).map_err(named)?;
        heads.send_replace(head);
        Ok(Writer { books, version, seals, clock, heads, stopped })
    }

    fn run(mut self, mut queue: mpsc::Receiver<Message>, closed: DropGuard) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        // Everything that queued up while the last group was being written forms the next.
        while queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            let mut jobs = Vec::with_capacity(group.len());
            for message in group.drain(..) {
                match message {
                    Message::Job(job) => jobs.push(job),
                    // No new jobs; those already queued are still answered.
                    Message::Close => queue.close(),
                }
            }
            // Jobs that a stopped writer drops tell their askers so by hanging up.
            if self.stopped.borrow().is_none() {
                self.commit_group(jobs);
            }
        }
        // The file is closed, and its log folded into it, before anyone is told.
        drop(self);
        drop(closed);
    }

    /// Runs a group of jobs, commits what they did in one transaction, and answers them.
    fn commit_group(&mut self, jobs: Vec<Job>) {
        let mut head = *self.heads.borrow();
        let mut replies = Vec::with_capacity(jobs.len());
        let written = self.try_group(jobs, &mut head, &mut replies);
        match written {
            Ok(()) => {
                self.books.thin_out();
                self.heads.send_if_modified(|known| {
                    let news = *known != head;
                    *known = head;
                    news
                });
                replies.into_iter().for_each(|reply| reply(Ok(())));
            }
            Err(error) => self.fail_group(error, replies),
        }
    }

    /// After a failed fsync nobody knows what the disk holds (the page cache may lie), so only a
    /// full disk, which SQLite reports before it commits, lets the writer go on.
    fn fail_group(&mut self, error: LedgerError, replies: Vec<Reply>) {
        if let Some(disk) = &self.books.disk {
            // It may find nothing to do: SQLite rolls back by itself when the disk is full.
            let _ = disk.execute_batch("ROLLBACK");
        }
        self.books.forget();
        let full = matches!(error, LedgerError::DiskFull);
        let reloaded = self.books.load_resident();
        if !full || reloaded.is_err() {
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

    fn try_group(
        &mut self,
        jobs: Vec<Job>,
        head: &mut Head,
        replies: &mut Vec<Reply>,
    ) -> Result<(), LedgerError> {
        let mut log = Pending::default();
        let mut begun = false;
        let (mut full, mut unsound) = (false, None);
        for job in jobs {
            let (now, clock_behind) = self.clock.now_after(head);
            let (events, kept) = (log.events.len(), log.kept_requests.len());
            let mut tx = Tx {
                books: &mut self.books,
                seals: &mut self.seals,
                log: &mut log,
                begun: &mut begun,
                version: self.version,
                head: *head,
                now,
                clock_behind,
            };
            let (end, reply) = job(&mut tx);
            let reached = tx.head;
            replies.push(reply);
            match end {
                JobEnd::Done => {
                    self.books.keep();
                    *head = reached;
                }
                // The rest of the group runs in vain, so that all of it is told why.
                JobEnd::Unsound(why) => unsound = Some(why),
                JobEnd::Failed | JobEnd::DiskFull => {
                    self.books.take_back();
                    log.events.truncate(events);
                    log.kept_requests.truncate(kept);
                    full |= end == JobEnd::DiskFull;
                }
            }
        }
        if let Some(why) = unsound {
            return Err(LedgerError::Unsound(why));
        }
        if full {
            return Err(LedgerError::DiskFull);
        }
        if begun {
            still_in_transaction(disk(&self.books)?)?;
        }
        if log.events.is_empty() && log.kept_requests.is_empty() && !self.seals.pending(head) {
            if begun {
                disk(&self.books)?.execute_batch("COMMIT")?;
            }
            return Ok(());
        }
        if !begun {
            begin(disk(&self.books)?, self.version)?;
        }
        self.write_down(&log, head)?;
        disk(&self.books)?.execute_batch("COMMIT")?;
        Ok(())
    }

    fn write_down(&mut self, log: &Pending, head: &Head) -> Result<(), LedgerError> {
        let conn = disk(&self.books)?;
        let mut insert = conn.prepare_cached(
            "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        for event in &log.events {
            let payment = event.payment.as_ref().map(PaymentId::as_str);
            insert.execute((
                event.head.seq,
                event.head.at_ms,
                event.kind,
                payment,
                &event.body,
                event.head.hash.as_slice(),
            ))?;
        }
        drop(insert);
        for (payment, body) in &log.kept_requests {
            conn.prepare_cached("INSERT INTO kept_requests (payment, body) VALUES (?, ?)")?
                .execute((payment.as_str(), body))?;
        }
        self.books.flush()?;
        self.seals.write(disk(&self.books)?, head)
    }
}

fn disk(books: &Books) -> Result<&Connection, LedgerError> {
    books.disk.as_ref().ok_or_else(|| LedgerError::Stopped { why: "there is no file".into() })
}

/// SQLite's count of what other connections have committed to the file.
fn file_version(conn: &Connection) -> Result<i64, LedgerError> {
    Ok(conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Starts the transaction, waiting out any other program that holds the file: nothing has been
/// written yet, so waiting loses nothing. A file that another program has written to since it was
/// opened is not the one that decisions were made on.
fn begin(conn: &Connection, version: i64) -> Result<(), LedgerError> {
    loop {
        match conn.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) if file_version(conn)? == version => return Ok(()),
            Ok(()) => {
                let why = "another program has written to the ledger’s file";
                return Err(LedgerError::Stopped { why: why.into() });
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                tracing::warn!("another program holds the ledger’s file; waiting for it");
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// An I/O error inside a job makes SQLite take back the whole transaction by itself; what came
/// after it would then be committed statement by statement.
fn still_in_transaction(conn: &Connection) -> Result<(), LedgerError> {
    if conn.is_autocommit() {
        return Err(LedgerError::Database("a disk error undid the transaction".into()));
    }
    Ok(())
}

fn connect(path: &Path, flags: OpenFlags, vfs: Option<&str>) -> Result<Connection, LedgerError> {
    Ok(match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    })
}

fn open_file(path: &Path, vfs: Option<&str>) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = connect(path, flags, vfs)?;
    check_sqlite(rusqlite::version_number())?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(
        // Kept requests may hold an agent's own credentials; what is deleted is to be gone.
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA secure_delete = ON;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         -- Pages that every payment changes go from the log into the file once in 16 MB, not 4.
         PRAGMA wal_autocheckpoint = 4000;",
    )?;
    if conn.is_readonly(rusqlite::MAIN_DB)? {
        let why = "the file is read-only".to_owned();
        return Err(LedgerError::Unreadable { path: path.to_owned(), why });
    }
    Ok(conn)
}

async fn reader_pool(path: &Path, vfs: Option<&str>) -> Result<SqlitePool, LedgerError> {
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("trusted_schema", "OFF")
        .pragma("query_only", "ON");
    if let Some(vfs) = vfs {
        options = options.vfs(vfs.to_owned());
    }
    SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .map_err(|error| unreadable(path, &error))
}

/// 3.51.3 fixed a race in the write-ahead log that could lose committed writes.
fn check_sqlite(number: i32) -> Result<(), LedgerError> {
    if number >= 3_051_003 {
        Ok(())
    } else {
        Err(LedgerError::OldSqlite { found: rusqlite::version().to_owned() })
    }
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Unreadable { path: path.to_owned(), why: why.to_string() }
}

/// The log's end as the file has it.
pub(crate) fn read_head(conn: &Connection) -> Result<Head, LedgerError> {
    let mut statement =
        conn.prepare("SELECT seq, hash, at_ms FROM events ORDER BY seq DESC LIMIT 1")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(Head::EMPTY) };
    let hash: Vec<u8> = row.get(1)?;
    Ok(Head {
        seq: row.get(0)?,
        hash: alloy_primitives::B256::try_from(hash.as_slice())
            .map_err(|_| LedgerError::damaged("a hash that is not 32 bytes"))?,
        at_ms: row.get(2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use tempfile::TempDir;

    const SOON: Duration = Duration::from_secs(10);

    /// A file that two programs have open; neither waits by itself.
    fn two() -> (TempDir, Connection, Connection) {
        let folder = TempDir::new().unwrap();
        let open = || {
            let conn = Connection::open(folder.path().join("t.db")).unwrap();
            conn.busy_timeout(Duration::from_millis(1)).unwrap();
            conn
        };
        let (ours, other) = (open(), open());
        ours.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        (folder, ours, other)
    }

    /// Begins in a thread of its own, so that waiting for ever is a failure and not a stop.
    fn begun(conn: Connection) -> mpsc::Receiver<Result<(), LedgerError>> {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let version = file_version(&conn).unwrap();
            tell.send(begin(&conn, version)).unwrap();
        });
        told
    }

    #[test]
    fn another_program_that_holds_the_file_is_waited_for() {
        let (_folder, ours, other) = two();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let told = begun(ours);
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "it goes on waiting");
        other.execute_batch("ROLLBACK").unwrap();
        told.recv_timeout(SOON).unwrap().unwrap();
    }

    #[test]
    fn what_no_waiting_helps_against_is_said_at_once() {
        let (_folder, ours, _other) = two();
        ours.execute_batch("BEGIN").unwrap();
        let failed = begun(ours).recv_timeout(SOON).unwrap().unwrap_err().to_string();
        assert!(failed.contains("within a transaction"), "{failed}");
    }

    #[test]
    fn a_transaction_that_sqlite_took_back_is_noticed() {
        let (_folder, ours, _other) = two();
        assert!(still_in_transaction(&ours).is_err());
        ours.execute_batch("BEGIN").unwrap();
        still_in_transaction(&ours).unwrap();
    }

    #[test]
    fn a_sqlite_before_the_fixed_log_is_refused() {
        assert!(matches!(check_sqlite(3_051_002), Err(LedgerError::OldSqlite { .. })));
        check_sqlite(3_051_003).unwrap();
        check_sqlite(rusqlite::version_number()).unwrap();
    }
}
