//! Reading: what a long history costs whoever asks, beside a short one.

use crate::history::Shape;
use crate::machine;
use crate::orders::{self, Body, PRICE_UNITS, RARE_WORD, USUAL_WORD};
use crate::sample::{median, side_by_side, timed};
use crate::store::{History, Store};
use crate::table::{Bar, Line, Report, fact, grouped, time};
use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use imprest_domain::{Danger, PaymentState, Units, Window};
use imprest_ledger::{Agent, Ledger, PaymentFilter};
use rusqlite::Connection;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many times each question is asked of each history.
const ROUNDS: usize = 300;
/// How many limit checks are asked at once.
const AT_ONCE: u32 = 64;
/// How many payments a first page shows.
const PAGE: u32 = 50;
/// How many times a history is opened.
const OPENINGS: usize = 9;

/// A short history and a long one, of the same kind.
pub struct Pair {
    /// The short one, proved.
    pub short: History,
    /// The long one.
    pub long: History,
}

impl Pair {
    /// A long history of so many payments, and a short one.
    ///
    /// # Errors
    /// When they cannot be written, or the short one is not whole.
    pub fn open(store: &Store<'_>, payments: u64) -> Result<Pair> {
        let shape = |payments| Shape { payments, body: Body::Lean, paid_percent: 5 };
        let short = store.proved(shape((payments / 1_000).clamp(1_000, 10_000)))?;
        Ok(Pair { short, long: store.history(shape(payments))? })
    }

    fn words(&self) -> String {
        let (long, short) = (self.long.shape.payments, self.short.shape.payments);
        format!("{} payments / {}", grouped(long), grouped(short))
    }
}

/// One opened history, and the agent that asks.
struct Book {
    ledger: Ledger,
    agent: Agent,
}

impl Book {
    fn open(history: &History, runtime: &Runtime) -> Result<Book> {
        runtime.block_on(async {
            let ledger = Ledger::open(&history.path).await?;
            let agent = ledger.agents().await?.into_iter().next().context("an agent")?;
            Ok(Book { ledger, agent })
        })
    }

    /// One of many checks that were asked at once: handing a question to the writer's thread and
    /// back takes longer than the check, and how long is the machine's mood. In a crowd that is paid
    /// once.
    fn preview(&self, runtime: &Runtime) -> Result<Duration> {
        let value = Units::new(PRICE_UNITS)?;
        let (took, answers) = runtime.block_on(async {
            let asked = (0..AT_ONCE).map(|_| {
                let order = orders::order(&self.agent.id, 1, value, Body::Full, false);
                self.ledger.preview(order, orders::usdc(), Danger::Calm)
            });
            let asked: Vec<_> = asked.collect();
            let began = std::time::Instant::now();
            let answers = join_all(asked).await;
            (began.elapsed(), answers)
        });
        for answer in answers {
            ensure!(answer?.verdict.objections().next().is_none(), "the limits object");
        }
        Ok(took / AT_ONCE)
    }

    fn window_use(&self, runtime: &Runtime) -> Result<Duration> {
        let (holder, budget) = (self.agent.id.as_str(), &self.agent.budget);
        let (took, answer) =
            timed(|| runtime.block_on(self.ledger.window_use(holder, budget, Window::Lifetime)));
        ensure!(!answer?.settled.is_zero(), "the history has paid nothing");
        Ok(took)
    }

    fn first_page(&self, runtime: &Runtime, filter: &PaymentFilter) -> Result<Duration> {
        let (took, page) = timed(|| runtime.block_on(self.ledger.payments(filter, None, PAGE)));
        let found = page?.payments.len();
        ensure!(found == PAGE as usize, "{found} payments on a page of {PAGE}: {filter:?}");
        Ok(took)
    }
}

/// Checking limits: short beside long, and beside adding up a million rows.
///
/// # Errors
/// When a history or the table of rows cannot be read.
pub fn limits(
    store: &Store<'_>,
    pair: &Pair,
    runtime: &Runtime,
    report: &mut Report,
) -> Result<()> {
    let (short, long) = (Book::open(&pair.short, runtime)?, Book::open(&pair.long, runtime)?);
    long.preview(runtime)?;
    let times = side_by_side(ROUNDS, || long.preview(runtime), || short.preview(runtime))?;
    let what = format!("limit check (preview, 64 at once), {}", pair.words());
    report.lines.push(Line::slower(what, times, Bar::AtMost(120)));
    let times = side_by_side(ROUNDS, || long.window_use(runtime), || short.window_use(runtime))?;
    let what = format!("one window’s use, {}", pair.words());
    report.lines.push(Line::slower(what, times, Bar::AtMost(120)).only_told());

    let rows = (pair.long.shape.payments / 10).max(1_000);
    let folder = TempDir::new_in(store.folder())?;
    let summed = Summed::new(&folder, rows)?;
    summed.sum()?;
    let times = side_by_side(15, || long.preview(runtime), || summed.sum())?;
    let what = format!(
        "limit check (preview, 64 at once) / SUM over {} rows, covering index",
        grouped(rows)
    );
    report.lines.push(Line::faster(what, times, Bar::AtLeast(100_000)));
    runtime.block_on(async {
        short.ledger.close().await;
        long.ledger.close().await;
    });
    Ok(())
}

/// What a limit check would be without counters: a sum over an agent's history.
struct Summed {
    conn: Connection,
    total: i64,
}

impl Summed {
    fn new(folder: &TempDir, rows: u64) -> Result<Summed> {
        let conn = Connection::open(folder.path().join("rows.db"))?;
        conn.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;
             CREATE TABLE spent (agent TEXT NOT NULL, at_ms INTEGER NOT NULL, value INTEGER NOT NULL) STRICT;",
        )?;
        conn.execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
             INSERT INTO spent SELECT 'agt_0192f0c1a2b37c4d8e5f60718293a4b5', 3000 * i, 1000 + i % 999 FROM n",
            [rows],
        )?;
        conn.execute_batch("CREATE INDEX spent_by_agent ON spent (agent, at_ms, value); ANALYZE")?;
        let total =
            conn.query_row("SELECT SUM(value) FROM spent NOT INDEXED", [], |row| row.get(0))?;
        Ok(Summed { conn, total })
    }

    fn sum(&self) -> Result<Duration> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT SUM(value) FROM spent WHERE agent = ? AND at_ms >= ?")?;
        let key = ("agt_0192f0c1a2b37c4d8e5f60718293a4b5", 0);
        let (took, sum) = timed(|| statement.query_row(key, |row| row.get::<_, i64>(0)));
        ensure!(sum? == self.total, "the sum is another one");
        Ok(took)
    }
}

/// The first page of activity: short beside long.
///
/// # Errors
/// When a history cannot be read, or a page is not full.
pub fn activity(pair: &Pair, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let (short, long) = (Book::open(&pair.short, runtime)?, Book::open(&pair.long, runtime)?);
    let agent = |book: &Book| Some(book.agent.id.clone());
    let text = |word: &str| PaymentFilter { text: Some(word.into()), ..PaymentFilter::default() };
    let of_agent = |book| PaymentFilter { agent: agent(book), ..PaymentFilter::default() };
    let settled = PaymentFilter { state: Some(PaymentState::Settled), ..PaymentFilter::default() };
    let both = |filter: PaymentFilter| (filter.clone(), filter);
    let pages = [
        ("no filter", both(PaymentFilter::default())),
        ("one agent", (of_agent(&long), of_agent(&short))),
        ("one state", both(settled)),
        ("a rare word", both(text(RARE_WORD))),
        ("a usual word", both(text(USUAL_WORD))),
        ("the beginning of a word", both(text(&USUAL_WORD[..5]))),
        ("two words", both(text(&format!("{USUAL_WORD} forecast")))),
    ];
    for (name, (of_long, of_short)) in pages {
        // The first search catches the index up; that is told, and not measured.
        let first = long.first_page(runtime, &of_long)?;
        short.first_page(runtime, &of_short)?;
        if first > Duration::from_secs(5) {
            report.facts.push(fact(format!("the very first search ({name})"), time(first)));
        }
        let times = side_by_side(
            ROUNDS / 3,
            || long.first_page(runtime, &of_long),
            || short.first_page(runtime, &of_short),
        )?;
        let what = format!("first page, {name}, {}", pair.words());
        report.lines.push(Line::slower(what, times, Bar::AtMost(150)));
    }
    runtime.block_on(async {
        short.ledger.close().await;
        long.ledger.close().await;
    });
    Ok(())
}

/// Opening the long history, from nothing to the first page.
///
/// # Errors
/// When it cannot be opened.
pub fn opening(pair: &Pair, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let second = Duration::from_secs(1);
    for (name, cold) in [("in the system’s cache", false), ("out of the system’s cache", true)]
    {
        let mut times = Vec::with_capacity(OPENINGS);
        for _ in 0..OPENINGS {
            if cold {
                machine::forget_cached(&pair.long.path)?;
            }
            let (took, ledger) = timed(|| {
                runtime.block_on(async {
                    let ledger = Ledger::open(&pair.long.path).await?;
                    ledger.payments(&PaymentFilter::default(), None, PAGE).await?;
                    anyhow::Ok(ledger)
                })
            });
            times.push(took);
            runtime.block_on(ledger?.close());
        }
        let payments = grouped(pair.long.shape.payments);
        let what = format!("opening {payments} payments to the first page, {name} / 1 s");
        report.lines.push(Line::slower(what, (median(times)?, second), Bar::AtMost(100)));
    }
    Ok(())
}
