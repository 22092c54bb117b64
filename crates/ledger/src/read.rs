//! Questions to the books. Reading changes nothing and needs no key.

use crate::error::LedgerError;
use crate::{Ledger, apply};
use alloy_primitives::Address;
use imprest_domain::{
    AgentId, ApprovalId, AssetId, Budget, Payee, PaymentId, PaymentState, Units, Verdict, Window,
};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

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
        let row = sqlx::query("SELECT * FROM payments WHERE payment = ?")
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
        let row = sqlx::query("SELECT * FROM payments WHERE agent = ? AND client_key = ?")
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
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM payments WHERE 1");
        narrow(&mut query, filter);
        if let Some(before) = before_seq {
            query.push(" AND seq < ").push_bind(i64::try_from(before).unwrap_or(i64::MAX));
        }
        query.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = query.build().fetch_all(&self.store.readers).await?;
        let mut payments = rows.iter().map(payment_of).collect::<Result<Vec<_>, _>>()?;
        let more = payments.len() > limit as usize;
        payments.truncate(limit as usize);
        let next_before_seq = payments.last().filter(|_| more).map(|last| last.seq);
        Ok(PaymentPage { payments, next_before_seq })
    }

    /// How many payments match.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn count_payments(&self, filter: &PaymentFilter) -> Result<u64, LedgerError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM payments WHERE 1");
        narrow(&mut query, filter);
        let count: i64 = query.build_query_scalar().fetch_one(&self.store.readers).await?;
        Ok(count.unsigned_abs())
    }

    /// Questions that wait, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn waiting_approvals(&self) -> Result<Vec<ApprovalRecord>, LedgerError> {
        let rows = sqlx::query(
            "SELECT p.*, a.approval, a.state AS approval_state, a.asked_ms, a.expires_ms, a.answer
             FROM approvals a JOIN payments p USING (payment) WHERE a.state = 'waiting' ORDER BY a.asked_ms",
        )
        .fetch_all(&self.store.readers)
        .await?;
        rows.iter().map(approval_of).collect()
    }

    /// One question, whatever became of it.
    ///
    /// # Errors
    /// [`LedgerError::NotWaiting`] with state “unknown” when there is none.
    pub async fn approval(&self, approval: &ApprovalId) -> Result<ApprovalRecord, LedgerError> {
        let row = sqlx::query(
            "SELECT p.*, a.approval, a.state AS approval_state, a.asked_ms, a.expires_ms, a.answer
             FROM approvals a JOIN payments p USING (payment) WHERE a.approval = ?",
        )
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
        let row = sqlx::query(
            "SELECT p.*, a.approval, a.state AS approval_state, a.asked_ms, a.expires_ms, a.answer
             FROM approvals a JOIN payments p USING (payment) WHERE a.payment = ?",
        )
        .bind(payment.as_str())
        .fetch_optional(&self.store.readers)
        .await?;
        row.as_ref().map(approval_of).transpose()
    }

    /// What was last paid at an origin for the same thing.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn last_price(
        &self,
        origin: &str,
        what: &str,
        before_seq: u64,
    ) -> Result<Option<LastPaid>, LedgerError> {
        let row = sqlx::query(
            "SELECT * FROM payments WHERE origin = ? AND what = ? AND state = 'settled' AND seq < ?
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(origin)
        .bind(what)
        .bind(i64::try_from(before_seq).unwrap_or(i64::MAX))
        .fetch_optional(&self.store.readers)
        .await?;
        row.map(|row| {
            Ok(LastPaid {
                value: apply::units(row.try_get("value")?)?,
                pay_to: payee_of(&row)?.pay_to,
                at_ms: row.try_get("at_ms")?,
            })
        })
        .transpose()
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

    /// What the window of one kind that `now` falls into holds.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn window_use(
        &self,
        agent: &AgentId,
        budget: &Budget,
        window: Window,
    ) -> Result<WindowUse, LedgerError> {
        let mut conn = self.store.readers.acquire().await?;
        window_use(&mut conn, agent, budget, window, self.now()).await
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
        let paid = account(&mut tx, &format!("paid/{agent}")).await?;
        tx.commit().await?;
        Ok(BookBalance { agent: agent.clone(), free, held, paid })
    }

    /// When an agent last asked for anything, milliseconds since 1970.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn last_asked_ms(&self, agent: &AgentId) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(
            "SELECT at_ms FROM payments WHERE agent = ? ORDER BY seq DESC LIMIT 1",
        )
        .bind(agent.as_str())
        .fetch_optional(&self.store.readers)
        .await?)
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

    /// Keeps what was bought, so that a retry gets it again.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn keep_response(
        &self,
        payment: &PaymentId,
        body: Vec<u8>,
    ) -> Result<(), LedgerError> {
        self.keep(
            "INSERT OR REPLACE INTO kept_responses (payment, body) VALUES (?, ?)",
            payment,
            body,
        )
        .await
    }

    /// Forgets all but the newest kept responses.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn prune_responses(&self, keep: u32) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    // Identifiers begin with their time, so their order is the order of time.
                    sqlx::query(
                        "DELETE FROM kept_responses WHERE payment NOT IN
                             (SELECT payment FROM kept_responses ORDER BY payment DESC LIMIT ?)",
                    )
                    .bind(keep)
                    .execute(&mut *tx.conn)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Forgets the request of a payment that will not be sent again.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn forget_request(&self, payment: &PaymentId) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM kept_requests WHERE payment = ?")
                        .bind(payment.as_str())
                        .execute(&mut *tx.conn)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// The kept request of a waiting payment.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn kept_request(&self, payment: &PaymentId) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(sqlx::query_scalar("SELECT body FROM kept_requests WHERE payment = ?")
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?)
    }

    /// The kept response of a paid payment.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn kept_response(&self, payment: &PaymentId) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(sqlx::query_scalar("SELECT body FROM kept_responses WHERE payment = ?")
            .bind(payment.as_str())
            .fetch_optional(&self.store.readers)
            .await?)
    }

    async fn keep(
        &self,
        sql: &'static str,
        payment: &PaymentId,
        body: Vec<u8>,
    ) -> Result<(), LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query(sql)
                        .bind(payment.as_str())
                        .bind(body)
                        .execute(&mut *tx.conn)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// A remembered number, such as the last block that was searched for deposits.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn mark(&self, mark: &'static str) -> Result<Option<u64>, LedgerError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT value FROM marks WHERE mark = ?")
            .bind(mark)
            .fetch_optional(&self.store.readers)
            .await?;
        Ok(value.map(i64::unsigned_abs))
    }

    /// Remembers a number.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn set_mark(&self, mark: &'static str, value: u64) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("INSERT OR REPLACE INTO marks (mark, value) VALUES (?, ?)")
                        .bind(mark)
                        .bind(i64::try_from(value).unwrap_or(i64::MAX))
                        .execute(&mut *tx.conn)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &PaymentFilter) {
    if let Some(agent) = &filter.agent {
        query.push(" AND agent = ").push_bind(agent.as_str().to_owned());
    }
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.word());
    }
    if let Some(from) = filter.from_ms {
        query.push(" AND at_ms >= ").push_bind(from);
    }
    if let Some(until) = filter.until_ms {
        query.push(" AND at_ms < ").push_bind(until);
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        query.push(" AND (what || ' ' || url || ' ' || pay_to || ' ' || coalesce(purpose, '') || ' ' || coalesce(task, '')) LIKE ");
        query.push_bind(format!("%{literal}%")).push(" ESCAPE '\\'");
    }
}

pub(crate) async fn account(
    conn: &mut SqliteConnection,
    account: &str,
) -> Result<Units, LedgerError> {
    let stored: Option<i64> = sqlx::query_scalar("SELECT units FROM accounts WHERE account = ?")
        .bind(account)
        .fetch_optional(conn)
        .await?;
    apply::units(stored.unwrap_or(0))
}

pub(crate) async fn window_use(
    conn: &mut SqliteConnection,
    agent: &AgentId,
    budget: &Budget,
    window: Window,
    now: Timestamp,
) -> Result<WindowUse, LedgerError> {
    let span = budget.span(window, now)?;
    let row = sqlx::query(
        "SELECT held, settled FROM counters WHERE agent = ? AND span = ? AND label = ?",
    )
    .bind(agent.as_str())
    .bind(window.word())
    .bind(span.label)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(WindowUse::default()) };
    Ok(WindowUse {
        settled: apply::units(row.try_get("settled")?)?,
        held: apply::units(row.try_get("held")?)?,
    })
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
        payment: apply::id(row.try_get("payment")?)?,
        seq: row.try_get::<i64, _>("seq")?.unsigned_abs(),
        agent: apply::id(row.try_get("agent")?)?,
        state: apply::state(row.try_get("state")?)?,
        what: row.try_get("what")?,
        url: row.try_get("url")?,
        method: row.try_get("method")?,
        purpose: row.try_get("purpose")?,
        task: row.try_get("task")?,
        payee: payee_of(row)?,
        value: apply::units(row.try_get("value")?)?,
        offer: row.try_get("offer")?,
        verdict: serde_json::from_str(row.try_get("verdict")?)
            .map_err(|_| LedgerError::damaged("a verdict"))?,
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

fn approval_of(row: &SqliteRow) -> Result<ApprovalRecord, LedgerError> {
    Ok(ApprovalRecord {
        approval: apply::id(row.try_get("approval")?)?,
        payment: payment_of(row)?,
        state: row.try_get("approval_state")?,
        asked_ms: row.try_get("asked_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        answer: row.try_get("answer")?,
    })
}
