//! Questions to the books. Reading changes nothing and needs no key.

use crate::error::LedgerError;
use crate::{Ledger, apply, search};
use alloy_primitives::Address;
use imprest_domain::{
    AgentId, ApprovalId, AssetId, Budget, HourUse, Payee, PaymentId, PaymentState, Units, Verdict,
    Window,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteConnection};

/// The most matches that are counted one by one.
pub const COUNT_MAX: u64 = 10_000;
/// A payment's columns, with the events that hold what was ordered and decided.
const COLUMNS: &str = "p.*, o.body AS ordered, e.body AS decided";
const JOINED: &str =
    "FROM payments p JOIN events o ON o.seq = p.seq JOIN events e ON e.seq = p.verdict_seq";

fn questions() -> String {
    format!(
        "SELECT {COLUMNS}, a.approval, a.state AS approval_state, a.asked_ms, a.expires_ms, a.answer
         {JOINED} JOIN approvals a ON a.payment = p.payment"
    )
}

/// A payment as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Its identifier.
    pub payment: PaymentId,
    /// Its place in activity: the number of its first event.
    pub seq: u64,
    /// Whose.
    pub agent: AgentId,
    /// Where it stands.
    pub state: PaymentState,
    /// What was bought, in the payee's words.
    pub what: String,
    /// The address fetched.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// The agent's words.
    pub purpose: Option<String>,
    /// The task it serves.
    pub task: Option<String>,
    /// Who is paid, and in what.
    pub payee: Payee,
    /// How much.
    pub value: Units,
    /// The chosen offer, JSON.
    pub offer: String,
    /// What the rules, or the owner, said.
    pub verdict: Verdict,
    /// Who pays, once held.
    pub from: Option<String>,
    /// The authorisation's nonce, once held.
    pub nonce: Option<String>,
    /// The signature's window in seconds since 1970, once held.
    pub valid_after_s: Option<u64>,
    /// The signature's window in seconds since 1970, once held.
    pub valid_before_s: Option<u64>,
    /// HTTP status of the paid request's answer.
    pub response_status: Option<u16>,
    /// SHA-256 of its body.
    pub response_sha256: Option<String>,
    /// The transaction that settled it.
    pub transaction: Option<String>,
    /// The block that settled it, or that proved it expired.
    pub block: Option<u64>,
    /// Why it is void or unknown.
    pub note: Option<String>,
    /// When it was asked for, milliseconds since 1970.
    pub at_ms: i64,
    /// SHA-256 of the request.
    pub request_sha256: String,
}

/// Which payments to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// One agent's only.
    pub agent: Option<AgentId>,
    /// One state's only.
    pub state: Option<PaymentState>,
    /// What, origin, address, purpose or task contains this, without regard to case.
    pub text: Option<String>,
    /// At or after, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Before, milliseconds since 1970.
    pub until_ms: Option<i64>,
}

/// Some payments, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPage {
    /// The payments.
    pub payments: Vec<PaymentRecord>,
    /// Give this to read on; absent on the last page.
    pub next_before_seq: Option<u64>,
}

/// A question to the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// Its identifier.
    pub approval: ApprovalId,
    /// What it is about.
    pub payment: PaymentRecord,
    /// "waiting", "approved", "refused", "lapsed" or "changed".
    pub state: String,
    /// When it was asked, milliseconds since 1970.
    pub asked_ms: i64,
    /// When silence becomes a no, milliseconds since 1970.
    pub expires_ms: i64,
    /// What the owner said with it.
    pub answer: Option<String>,
}

/// One event of a payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its place in the chain.
    pub seq: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Its kind.
    pub kind: String,
    /// Its hash, hex.
    pub hash: String,
}

/// What one window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowUse {
    /// Settled.
    pub settled: Units,
    /// Reserved, or signed and not yet settled.
    pub held: Units,
}

/// An agent's money by the books; `free + held` is what its address should hold on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookBalance {
    /// Whose.
    pub agent: AgentId,
    /// Claimed by no payment.
    pub free: Units,
    /// Claimed by holds.
    pub held: Units,
    /// Settled since the beginning.
    pub paid: Units,
}

/// The last time something was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPaid {
    /// How much.
    pub value: Units,
    /// To which address.
    pub pay_to: Address,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// Counts for the desk's status line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Questions waiting.
    pub waiting: u32,
    /// Agents not revoked.
    pub agents: u32,
}

impl Ledger {
    /// One payment.
    ///
    /// # Errors
    /// [`LedgerError::NoPayment`] when there is none.
    pub async fn payment(&self, payment: &PaymentId) -> Result<PaymentRecord, LedgerError> {
        let sql = format!("SELECT {COLUMNS} {JOINED} WHERE p.payment = ?");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?
            .ok_or_else(|| LedgerError::NoPayment { payment: payment.clone() })?;
        payment_of(&row)
    }

    /// The payment an agent's idempotency key stands for, with the request it belongs to.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn payment_by_key(
        &self,
        agent: &AgentId,
        key: &str,
    ) -> Result<Option<PaymentRecord>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} {JOINED} WHERE p.payment =
                 (SELECT payment FROM client_keys WHERE agent = ? AND client_key = ?)"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(agent.as_str())
            .bind(key)
            .fetch_optional(&self.store.readers)
            .await?;
        row.as_ref().map(payment_of).transpose()
    }

    /// A page of payments, newest first, by keyset.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn payments(
        &self,
        filter: &PaymentFilter,
        before_seq: Option<u64>,
        limit: u32,
    ) -> Result<PaymentPage, LedgerError> {
        let limit = limit.clamp(1, 1_000);
        self.catch_up_if_searching(filter).await?;
        let mut query = matching(COLUMNS, filter);
        if let Some(before) = before_seq {
            query.push(" AND p.seq < ").push_bind(i64::try_from(before).unwrap_or(i64::MAX));
        }
        // The text index is walked in its own order, which is the same.
        let order = if filter.text.is_some() { "t.rowid" } else { "p.seq" };
        query.push(format!(" ORDER BY {order} DESC LIMIT ")).push_bind(i64::from(limit) + 1);
        let rows = query.build().fetch_all(&self.store.readers).await?;
        let mut payments = rows.iter().map(payment_of).collect::<Result<Vec<_>, _>>()?;
        let more = payments.len() > limit as usize;
        payments.truncate(limit as usize);
        let next_before_seq = payments.last().filter(|_| more).map(|last| last.seq);
        Ok(PaymentPage { payments, next_before_seq })
    }

    /// How many payments match: exactly where that is cheap, and at least [`COUNT_MAX`] where a
    /// filter matches more than anybody counts.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn count_payments(&self, filter: &PaymentFilter) -> Result<u64, LedgerError> {
        if *filter == PaymentFilter::default() {
            let all: Option<i64> = sqlx::query_scalar("SELECT payments FROM desk")
                .fetch_optional(&self.store.readers)
                .await?;
            return Ok(all.unwrap_or(0).unsigned_abs());
        }
        self.catch_up_if_searching(filter).await?;
        let mut query = matching("p.seq", filter);
        query.push(" LIMIT ").push_bind(i64::try_from(COUNT_MAX).unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(&self.store.readers).await?;
        Ok(rows.len() as u64)
    }

    async fn catch_up_if_searching(&self, filter: &PaymentFilter) -> Result<(), LedgerError> {
        match filter.text {
            Some(_) => self.index_words().await,
            None => Ok(()),
        }
    }

    /// Questions that wait, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn waiting_approvals(&self) -> Result<Vec<ApprovalRecord>, LedgerError> {
        let sql = format!("{} WHERE a.state = 'waiting' ORDER BY a.asked_ms, p.seq", questions());
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.store.readers).await?;
        rows.iter().map(approval_of).collect()
    }

    /// One question, whatever became of it.
    ///
    /// # Errors
    /// [`LedgerError::NotWaiting`] with state “unknown” when there is none.
    pub async fn approval(&self, approval: &ApprovalId) -> Result<ApprovalRecord, LedgerError> {
        let row = sqlx::query(AssertSqlSafe(format!("{} WHERE a.approval = ?", questions())))
            .bind(approval.as_str())
            .fetch_optional(&self.store.readers)
            .await?;
        row.as_ref().map(approval_of).transpose()?.ok_or_else(|| LedgerError::NotWaiting {
            approval: approval.clone(),
            state: "unknown".into(),
        })
    }

    /// The question that was asked about a payment, if one was.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn approval_about(
        &self,
        payment: &PaymentId,
    ) -> Result<Option<ApprovalRecord>, LedgerError> {
        let row = sqlx::query(AssertSqlSafe(format!("{} WHERE a.payment = ?", questions())))
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?;
        row.as_ref().map(approval_of).transpose()
    }

    /// What was last paid for the same thing: the same path at the same origin.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn last_price(
        &self,
        payee: &Payee,
        url: &str,
    ) -> Result<Option<LastPaid>, LedgerError> {
        let row = sqlx::query(
            "SELECT p.last, y.pay_to, y.last_seen_ms FROM prices p
             JOIN origins o ON o.origin = p.origin AND o.chain_id = ?3 AND o.contract = ?4
             JOIN payees y ON y.origin = o.origin AND y.pay_to = o.pay_to
                 AND y.chain_id = o.chain_id AND y.contract = o.contract
             WHERE p.origin = ?1 AND p.item = ?2",
        )
        .bind(&payee.origin)
        .bind(crate::rows::item_of(url))
        .bind(payee.asset.chain_id as i64)
        .bind(payee.asset.contract.to_string())
        .fetch_optional(&self.store.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let prices: Vec<Units> = serde_json::from_str(row.try_get("last")?)
            .map_err(|_| LedgerError::damaged("a list of prices"))?;
        let pay_to = row.try_get::<String, _>("pay_to")?;
        let pay_to = pay_to.parse().map_err(|_| LedgerError::damaged("a payee’s address"))?;
        let at_ms = row.try_get("last_seen_ms")?;
        Ok(prices.last().map(|&value| LastPaid { value, pay_to, at_ms }))
    }

    /// Every event of a payment, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn events_of(&self, payment: &PaymentId) -> Result<Vec<EventRecord>, LedgerError> {
        let rows =
            sqlx::query("SELECT seq, at_ms, kind, hash FROM events WHERE payment = ? ORDER BY seq")
                .bind(payment.as_str())
                .fetch_all(&self.store.readers)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(EventRecord {
                    seq: row.try_get::<i64, _>("seq")?.unsigned_abs(),
                    at_ms: row.try_get("at_ms")?,
                    kind: row.try_get("kind")?,
                    hash: hex::encode(row.try_get::<Vec<u8>, _>("hash")?),
                })
            })
            .collect()
    }

    /// What the window of one kind that the desk's time falls into holds, for an agent or a
    /// shared budget.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn window_use(
        &self,
        holder: &str,
        budget: &Budget,
        window: Window,
    ) -> Result<WindowUse, LedgerError> {
        let now = self.now();
        if window == Window::Hour {
            let minutes: Option<String> =
                sqlx::query_scalar("SELECT minutes FROM hours WHERE holder = ?")
                    .bind(holder)
                    .fetch_optional(&self.store.readers)
                    .await?;
            let settled = hour_of(minutes)?.units(now).unwrap_or(Units::MAX);
            return Ok(WindowUse { settled, held: Units::ZERO });
        }
        let row = sqlx::query(
            "SELECT held, settled FROM counters WHERE holder = ? AND span = ? AND label = ?",
        )
        .bind(holder)
        .bind(window.word())
        .bind(budget.span(window, now)?.label)
        .fetch_optional(&self.store.readers)
        .await?;
        let Some(row) = row else { return Ok(WindowUse::default()) };
        Ok(WindowUse {
            settled: units(row.try_get("settled")?)?,
            held: units(row.try_get("held")?)?,
        })
    }

    /// How many payments a holder made in the rolling hour.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn count_this_hour(&self, holder: &str) -> Result<u32, LedgerError> {
        let minutes: Option<String> =
            sqlx::query_scalar("SELECT minutes FROM hours WHERE holder = ?")
                .bind(holder)
                .fetch_optional(&self.store.readers)
                .await?;
        Ok(hour_of(minutes)?.count(self.now()))
    }

    /// An agent's money by the books.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn balance(&self, agent: &AgentId) -> Result<BookBalance, LedgerError> {
        // One transaction, so that money moving between the three is never seen twice or not at all.
        let mut tx = self.store.readers.begin().await?;
        let free = account(&mut tx, &apply::float(agent)).await?;
        let held = account(&mut tx, &apply::held(agent)).await?;
        let paid: Option<i64> = sqlx::query_scalar(
            "SELECT settled FROM counters WHERE holder = ? AND span = 'lifetime' AND label = 'all'",
        )
        .bind(agent.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(BookBalance { agent: agent.clone(), free, held, paid: units(paid.unwrap_or(0))? })
    }

    /// When an agent last asked for anything, milliseconds since 1970.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn last_asked_ms(&self, agent: &AgentId) -> Result<Option<i64>, LedgerError> {
        let last: Option<Option<i64>> =
            sqlx::query_scalar("SELECT last_ms FROM agents WHERE agent = ?")
                .bind(agent.as_str())
                .fetch_optional(&self.store.readers)
                .await?;
        Ok(last.flatten())
    }

    /// Counts for the status line.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn totals(&self) -> Result<Totals, LedgerError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM approvals WHERE state = 'waiting') AS waiting,
                    (SELECT count(*) FROM agents WHERE token_sha256 IS NOT NULL) AS agents",
        )
        .fetch_one(&self.store.readers)
        .await?;
        Ok(Totals { waiting: row.try_get("waiting")?, agents: row.try_get("agents")? })
    }
}

/// A rolling hour as its cell holds it; none is an empty one, and one that cannot be read is not.
fn hour_of(minutes: Option<String>) -> Result<HourUse, LedgerError> {
    let Some(text) = minutes else { return Ok(HourUse::default()) };
    serde_json::from_str(&text).map_err(|_| LedgerError::damaged("a rolling hour"))
}

/// Starts a query over payments that match, with `what` as its columns.
fn matching(what: &'static str, filter: &PaymentFilter) -> QueryBuilder<Sqlite> {
    let words = filter.text.as_deref().map(search::expression);
    let from = match &words {
        Some(_) => "FROM payments_text t JOIN payments p ON p.seq = t.rowid",
        None => "FROM payments p",
    };
    let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {what} {from}"));
    query.push(" LEFT JOIN events e ON e.seq = p.verdict_seq LEFT JOIN events o ON o.seq = p.seq");
    query.push(" WHERE 1");
    if let Some(words) = words {
        query.push(" AND payments_text MATCH ").push_bind(words);
    }
    if let Some(agent) = &filter.agent {
        query.push(" AND p.agent = ").push_bind(agent.as_str().to_owned());
    }
    if let Some(state) = filter.state {
        query.push(" AND p.state = ").push_bind(state.word());
    }
    if let Some(from) = filter.from_ms {
        query.push(" AND p.at_ms >= ").push_bind(from);
    }
    if let Some(until) = filter.until_ms {
        query.push(" AND p.at_ms < ").push_bind(until);
    }
    query
}

/// An identifier as a cell holds it.
pub(crate) fn id<T: std::str::FromStr>(text: String) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::damaged(format!("“{text}” where an identifier belongs")))
}

/// A payment's state as a cell holds it.
pub(crate) fn state(word: String) -> Result<PaymentState, LedgerError> {
    PaymentState::from_word(&word)
        .ok_or_else(|| LedgerError::damaged(format!("“{word}” where a state belongs")))
}

/// An amount as a cell holds it.
pub(crate) fn units(stored: i64) -> Result<Units, LedgerError> {
    Units::try_from(stored).map_err(|_| LedgerError::damaged("a negative amount"))
}

pub(crate) async fn account(
    conn: &mut SqliteConnection,
    account: &str,
) -> Result<Units, LedgerError> {
    let stored: Option<i64> = sqlx::query_scalar("SELECT units FROM accounts WHERE account = ?")
        .bind(account)
        .fetch_optional(conn)
        .await?;
    units(stored.unwrap_or(0))
}

pub(crate) fn payee_of(row: &SqliteRow) -> Result<Payee, LedgerError> {
    let address = |column: &str| -> Result<Address, LedgerError> {
        row.try_get::<String, _>(column)?
            .parse()
            .map_err(|_| LedgerError::damaged(format!("a payment’s {column}")))
    };
    Ok(Payee {
        origin: row.try_get("origin")?,
        pay_to: address("pay_to")?,
        asset: AssetId {
            chain_id: row.try_get::<i64, _>("chain_id")?.unsigned_abs(),
            contract: address("contract")?,
        },
    })
}

fn payment_of(row: &SqliteRow) -> Result<PaymentRecord, LedgerError> {
    let unsigned = |column: &str| -> Result<Option<u64>, LedgerError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(i64::unsigned_abs))
    };
    Ok(PaymentRecord {
        payment: id(row.try_get("payment")?)?,
        seq: row.try_get::<i64, _>("seq")?.unsigned_abs(),
        agent: id(row.try_get("agent")?)?,
        state: state(row.try_get("state")?)?,
        what: row.try_get("what")?,
        url: row.try_get("url")?,
        method: row.try_get("method")?,
        purpose: row.try_get("purpose")?,
        task: row.try_get("task")?,
        payee: payee_of(row)?,
        value: units(row.try_get("value")?)?,
        offer: ordered(row.try_get("ordered")?)?,
        verdict: decided(row.try_get("decided")?)?,
        from: row.try_get("from_address")?,
        nonce: row.try_get("nonce")?,
        valid_after_s: unsigned("valid_after_s")?,
        valid_before_s: unsigned("valid_before_s")?,
        response_status: unsigned("response_status")?.and_then(|s| u16::try_from(s).ok()),
        response_sha256: row.try_get("response_sha256")?,
        transaction: row.try_get("tx")?,
        block: unsigned("block")?,
        note: row.try_get("note")?,
        at_ms: row.try_get("at_ms")?,
        request_sha256: row.try_get("request_sha256")?,
    })
}

/// What an event says was decided.
fn decided(body: &str) -> Result<Verdict, LedgerError> {
    #[derive(serde::Deserialize)]
    struct Decided {
        verdict: Verdict,
    }
    serde_json::from_str::<Decided>(body)
        .map(|event| event.verdict)
        .map_err(|_| LedgerError::damaged("a verdict"))
}

/// The offer an event says was chosen.
fn ordered(body: &str) -> Result<String, LedgerError> {
    #[derive(serde::Deserialize)]
    struct Ordered {
        order: Offered,
    }
    #[derive(serde::Deserialize)]
    struct Offered {
        offer: String,
    }
    serde_json::from_str::<Ordered>(body)
        .map(|event| event.order.offer)
        .map_err(|_| LedgerError::damaged("an offer"))
}

fn approval_of(row: &SqliteRow) -> Result<ApprovalRecord, LedgerError> {
    Ok(ApprovalRecord {
        approval: id(row.try_get("approval")?)?,
        payment: payment_of(row)?,
        state: row.try_get("approval_state")?,
        asked_ms: row.try_get("asked_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        answer: row.try_get("answer")?,
    })
}
