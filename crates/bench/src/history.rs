//! Books with a long history, written as fast as the disk takes them.
//!
//! The ledger itself writes the first pages: agents, floats, payees. What follows is appended in
//! bulk: genuine events in one chain, and in every table what those events add up to. The rules'
//! findings are genuine too; they are asked for once and repeated.

use crate::orders::{self, Body, DEAR_UNITS, PAYEES, PRICE_UNITS};
use crate::sums::{Paid, Sums};
use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use imprest_domain::{
    Authorization, Counted, Danger, Grade, Outcome, PaymentId, Units, ValidityWindow, Verdict,
    Window,
};
use imprest_ledger::{
    Agent, Clock, Delivery, Event, Head, Later, Ledger, NewAgent, OpenOptions, Order,
};
use jiff::Timestamp;
use rusqlite::{Connection, Statement};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How many agents a history has.
const AGENTS: u64 = 4;
/// When a history begins: 2025-01-01, milliseconds since 1970.
const BEGINS_MS: i64 = 1_735_689_600_000;
/// How long after one payment the next is asked for, in milliseconds.
const APART_MS: i64 = 3_000;
/// How many payments carry [`orders::RARE_WORD`].
const RARE: u64 = 60;
/// How many payments are written before progress is told.
const STRIDE: u64 = 1 << 14;

/// What a history is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// How many payments it has.
    pub payments: u64,
    /// How long their events are.
    pub body: Body,
    /// How many of a hundred were paid, which takes three events; the others were refused, which
    /// takes one.
    pub paid_percent: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Events in the log.
    pub events: u64,
    /// What the hash chain runs over, in bytes.
    pub hashed_bytes: u64,
}

/// Writes a history into a new file.
///
/// # Errors
/// When the file is there, or cannot be written.
pub async fn write(path: &Path, shape: Shape, tell: &dyn Fn(u64)) -> Result<Written> {
    ensure!(!path.exists(), "{} is there already", path.display());
    let cast = found(path, shape.body).await?;
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -262144; PRAGMA temp_store = FILE; BEGIN",
    )?;
    let indexes = drop_indexes(&conn)?;
    let mut writer = Writer::new(&conn, cast.head)?;
    let rare_every = (shape.payments / RARE).max(1);
    for number in 0..shape.payments {
        let rare = number % rare_every == rare_every / 2;
        // The paid ones are spread evenly over the history.
        let paid = number * shape.paid_percent / 100 != (number + 1) * shape.paid_percent / 100;
        writer.payment(&cast, shape.body, number, (paid, rare))?;
        if number % STRIDE == 0 {
            tell(number);
        }
    }
    let written = Written { events: writer.head.seq, hashed_bytes: writer.hashed_bytes };
    writer.sums.write(&conn)?;
    drop(writer);
    for index in indexes {
        conn.execute_batch(&index)?;
    }
    conn.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    conn.close().map_err(|(_, error)| error)?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(written)
}

/// Who acts in a history, and what the rules say to them.
struct Cast {
    agents: Vec<Agent>,
    allowed: Verdict,
    refused: Verdict,
    head: Head,
}

/// Lets the ledger write the first pages.
async fn found(path: &Path, body: Body) -> Result<Cast> {
    let begins = Timestamp::from_millisecond(BEGINS_MS)?;
    let clock = Some(Clock::new(move || begins));
    let ledger = Ledger::open_with(path, OpenOptions { clock, ..OpenOptions::default() }).await?;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        agents.push(add_agent(&ledger, number, None).await?);
    }
    for number in 0..PAYEES {
        ledger.trust_payee(orders::payee(number)).await?;
    }
    let mut verdicts = Vec::new();
    for (units, outcome) in [(PRICE_UNITS, Outcome::Allow), (DEAR_UNITS, Outcome::Deny)] {
        let order = orders::order(&agents[0].id, 0, Units::new(units)?, body, false);
        let mut verdict = ledger.preview(order, orders::usdc(), Danger::Calm).await?.verdict;
        ensure!(verdict.outcome == outcome, "not {outcome:?} but {verdict:?}");
        if body == Body::Lean {
            verdict.reasons.truncate(1);
        }
        verdicts.push(verdict);
    }
    let head = ledger.head();
    ledger.close().await;
    let refused = verdicts.pop().context("two verdicts")?;
    let allowed = verdicts.pop().context("two verdicts")?;
    Ok(Cast { agents, allowed, refused, head })
}

/// Adds an agent with a float that lasts; its address is made up unless one is given.
///
/// # Errors
/// When the ledger refuses.
pub async fn add_agent(ledger: &Ledger, number: u64, address: Option<Address>) -> Result<Agent> {
    let account = ledger.next_account().await?;
    let made_up = Address::from_word(orders::scrambled(number, 3));
    let new = NewAgent {
        name: format!("Agent {number}").parse()?,
        account,
        address: address.unwrap_or(made_up),
        grade: Grade::L4,
        budget: orders::budget()?,
        shared: None,
        token_sha256: format!("{:x}", orders::scrambled(number, 4)),
    };
    let agent = ledger.add_agent(new).await?;
    let funds = Units::new(1_000_000_000_000_000)?;
    let (from, tx) = (Address::repeat_byte(0xF0), orders::scrambled(number, 5));
    ledger.float_received(&agent.id, from, funds, tx, 0, 1).await?;
    Ok(agent)
}

/// Takes away what is made faster in one go at the end, and answers how to make it.
fn drop_indexes(conn: &Connection) -> Result<Vec<String>> {
    let mut statement = conn.prepare(
        "SELECT name, sql FROM sqlite_master
         WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('events', 'payments')",
    )?;
    let found = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    drop(statement);
    for (name, _) in &found {
        conn.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    Ok(found.into_iter().map(|(_, sql)| sql).collect())
}

/// The end of a history while it grows.
struct Writer<'c> {
    head: Head,
    sums: Sums,
    hashed_bytes: u64,
    events: Statement<'c>,
    payments: Statement<'c>,
    client_keys: Statement<'c>,
    entries: Statement<'c>,
}

/// What a paid payment's row has beyond a refused one's.
struct Hold {
    authorization: Authorization,
    spans: Vec<(Window, String)>,
}

impl<'c> Writer<'c> {
    fn new(conn: &'c Connection, head: Head) -> Result<Writer<'c>> {
        Ok(Writer {
            head,
            sums: Sums::default(),
            hashed_bytes: 0,
            events: conn.prepare(
                "INSERT INTO events (seq, at_ms, kind, payment, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
            )?,
            payments: conn.prepare(
                "INSERT INTO payments (seq, payment, agent, client_key, request_sha256, state, what,
                     url, method, purpose, task, origin, pay_to, chain_id, contract, value,
                     verdict_seq, at_ms, updated_ms, spans, from_address, nonce, valid_after_s,
                     valid_before_s, response_status, response_sha256, tx, block)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                     ?, ?)",
            )?,
            client_keys: conn.prepare(
                "INSERT INTO client_keys (agent, client_key, payment, request_sha256)
                 VALUES (?, ?, ?, ?)",
            )?,
            entries: conn
                .prepare("INSERT INTO entries (seq, debit, credit, units) VALUES (?, ?, ?, ?)")?,
        })
    }

    /// One payment, from asked to accounted for.
    fn payment(
        &mut self,
        cast: &Cast,
        body: Body,
        number: u64,
        (paid, rare): (bool, bool),
    ) -> Result<()> {
        let at_ms = BEGINS_MS + APART_MS * (1 + i64::try_from(number)?);
        let agent = &cast.agents[(number / PAYEES % AGENTS) as usize];
        let value = Units::new(if paid { PRICE_UNITS } else { DEAR_UNITS })?;
        let order = orders::order(&agent.id, number, value, body, rare);
        // As real ones: the time first, so that their order is the order of time.
        let payment = PaymentId::from_tail(&format!("{at_ms:012x}7{number:019x}"))?;
        self.sums.asked(&agent.id, at_ms);
        if paid {
            self.paid(cast, agent, payment, order, at_ms)
        } else {
            self.refused(cast, payment, order, at_ms)
        }
    }

    fn refused(&mut self, cast: &Cast, payment: PaymentId, order: Order, at_ms: i64) -> Result<()> {
        let seq = self.append(
            at_ms,
            &Event::PaymentRefused {
                payment: payment.clone(),
                order: order.clone(),
                verdict: Later::of(&cast.refused)?,
                hard: false,
            },
        )?;
        self.row(&payment, &order, (seq, at_ms, at_ms), None)
    }

    fn paid(
        &mut self,
        cast: &Cast,
        agent: &Agent,
        payment: PaymentId,
        order: Order,
        at_ms: i64,
    ) -> Result<()> {
        let (settled_ms, now) = (at_ms + 2_000, Timestamp::from_millisecond(at_ms)?);
        let payee = &order.intent.payee;
        let authorization = Authorization {
            asset: payee.asset,
            from: agent.address,
            to: payee.pay_to,
            value: order.intent.value,
            window: ValidityWindow::clamped(now.as_second().unsigned_abs(), order.max_timeout_s),
            nonce: orders::scrambled(self.head.seq, 6),
        };
        let spans: Vec<Counted> = agent.budget.counted(payee, false, now)?;
        let held = self.append(
            at_ms,
            &Event::PaymentHeld {
                payment: payment.clone(),
                order: order.clone(),
                verdict: Later::of(&cast.allowed)?,
                authorization: authorization.clone(),
                spans: spans.clone(),
                shared: None,
            },
        )?;
        let delivery = Delivery::Delivered {
            status: 200,
            response_sha256: orders::scrambled(held, 7),
            claimed_transaction: Some(orders::scrambled(held, 8).to_string()),
        };
        self.append(at_ms + 400, &Event::PaymentDelivered { payment: payment.clone(), delivery })?;
        let settled = Event::PaymentSettled {
            payment: payment.clone(),
            transaction: orders::scrambled(held, 8),
            block: held,
        };
        let settled = self.append(settled_ms, &settled)?;

        let spans: Vec<(Window, String)> = spans.into_iter().map(Into::into).collect();
        let (float, held_account) = (format!("float/{}", agent.id), format!("held/{}", agent.id));
        let (units, payee_account) =
            (order.intent.value.as_i64(), format!("payee/{}", payee.origin));
        self.entries.execute((held, &held_account, &float, units))?;
        self.entries.execute((settled, &payee_account, &held_account, units))?;
        self.sums.paid(&Paid {
            agent: &agent.id,
            payee,
            value: order.intent.value,
            what: &order.what,
            item: path_of(&order.url),
            spans: &spans,
            at_ms: settled_ms,
        })?;
        let hold = Hold { authorization, spans };
        self.row(&payment, &order, (held, at_ms, settled_ms), Some(hold))
    }

    /// Appends an event to the log.
    fn append(&mut self, at_ms: i64, event: &Event) -> Result<u64> {
        let body = serde_json::to_string(event)?;
        let head = self.head.next(at_ms, &body);
        let payment = event.payment().map(PaymentId::as_str);
        let hash = head.hash.as_slice();
        self.events.execute((head.seq, at_ms, event.kind(), payment, &body, hash))?;
        self.hashed_bytes += body.len() as u64;
        self.head = head;
        Ok(head.seq)
    }

    /// A payment's row as it is in the end.
    fn row(
        &mut self,
        payment: &PaymentId,
        order: &Order,
        (seq, at_ms, updated_ms): (u64, i64, i64),
        hold: Option<Hold>,
    ) -> Result<()> {
        let (agent, payee) = (order.intent.agent.as_str(), &order.intent.payee);
        let request_sha256 = order.request_sha256.to_string();
        let row = &mut self.payments;
        let state = if hold.is_some() { "settled" } else { "refused" };
        row.raw_bind_parameter(1, seq)?;
        row.raw_bind_parameter(2, payment.as_str())?;
        row.raw_bind_parameter(3, agent)?;
        row.raw_bind_parameter(4, order.client_key.as_deref())?;
        row.raw_bind_parameter(5, &request_sha256)?;
        row.raw_bind_parameter(6, state)?;
        row.raw_bind_parameter(7, &order.what)?;
        row.raw_bind_parameter(8, &order.url)?;
        row.raw_bind_parameter(9, &order.method)?;
        row.raw_bind_parameter(10, order.purpose.as_deref())?;
        row.raw_bind_parameter(11, order.task.as_deref())?;
        row.raw_bind_parameter(12, &payee.origin)?;
        row.raw_bind_parameter(13, payee.pay_to.to_string())?;
        row.raw_bind_parameter(14, payee.asset.chain_id)?;
        row.raw_bind_parameter(15, payee.asset.contract.to_string())?;
        row.raw_bind_parameter(16, order.intent.value.as_i64())?;
        row.raw_bind_parameter(17, seq)?;
        row.raw_bind_parameter(18, at_ms)?;
        row.raw_bind_parameter(19, updated_ms)?;
        for column in 20..=28 {
            row.raw_bind_parameter(column, rusqlite::types::Null)?;
        }
        if let Some(Hold { authorization, spans }) = hold {
            let of_holder: Vec<_> =
                spans.iter().map(|(window, label)| (agent, *window, label)).collect();
            row.raw_bind_parameter(20, serde_json::to_string(&of_holder)?)?;
            row.raw_bind_parameter(21, authorization.from.to_string())?;
            row.raw_bind_parameter(22, authorization.nonce.to_string())?;
            row.raw_bind_parameter(23, authorization.window.valid_after_s)?;
            row.raw_bind_parameter(24, authorization.window.valid_before_s)?;
            row.raw_bind_parameter(25, 200)?;
            row.raw_bind_parameter(26, orders::scrambled(seq, 7).to_string())?;
            row.raw_bind_parameter(27, orders::scrambled(seq, 8).to_string())?;
            row.raw_bind_parameter(28, seq)?;
        }
        row.raw_execute()?;
        if let Some(key) = &order.client_key {
            self.client_keys.execute((agent, key, payment.as_str(), &request_sha256))?;
        }
        Ok(())
    }
}

/// The path of an address without its query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    &path[..path.find('?').unwrap_or(path.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_written_history_is_whole_and_of_its_shape() {
        let folder = tempfile::TempDir::new().expect("a folder");
        for (body, paid_percent) in [(Body::Full, 60), (Body::Lean, 0), (Body::Full, 100)] {
            let path = folder.path().join(format!("{body:?}{paid_percent}.db"));
            let shape = Shape { payments: 200, body, paid_percent };
            let written = write(&path, shape, &|_| ()).await.expect("writes");
            let ledger = Ledger::open(&path).await.expect("opens");
            let found = ledger.verify(None).await.expect("reads");
            assert_eq!(found.faults, Vec::<String>::new());
            assert_eq!(found.events, written.events);
            let filter = imprest_ledger::PaymentFilter {
                state: Some(imprest_domain::PaymentState::Settled),
                ..Default::default()
            };
            assert_eq!(ledger.count_payments(&filter).await.expect("counts"), 2 * paid_percent);
            assert_eq!(ledger.count_payments(&Default::default()).await.expect("counts"), 200);
            ledger.close().await;
        }
    }

    #[tokio::test]
    async fn one_wrong_row_is_found() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("books.db");
        let shape = Shape { payments: 50, body: Body::Full, paid_percent: 60 };
        write(&path, shape, &|_| ()).await.expect("writes");
        let conn = Connection::open(&path).expect("opens");
        conn.execute("UPDATE payments SET value = value + 1 WHERE seq = 40", ()).expect("changes");
        drop(conn);
        let ledger = Ledger::open(&path).await.expect("opens");
        assert_eq!(ledger.verify(None).await.expect("reads").faults.len(), 1);
    }
}
