//! What each event does to the projections. Live writes and replay run this same code.

use crate::error::LedgerError;
use crate::event::{Answer, Delivery, Event, Order};
use imprest_domain::{AgentId, Outcome, Payee, PaymentId, PaymentState, Units, Verdict, Window};
use sqlx::{Row, SqliteConnection};

type Done = Result<(), LedgerError>;

/// Applies one event that stands at `seq` in the log.
pub(crate) async fn apply(
    conn: &mut SqliteConnection,
    event: &Event,
    seq: u64,
    at_ms: i64,
) -> Done {
    let mut books = Books { conn, seq: seq as i64, at_ms };
    match event {
        Event::AgentAdded { agent, name, account, address, grade, budget, token_sha256 } => {
            sqlx::query(
                "INSERT INTO agents (agent, name, name_key, account, address, grade, budget, token_sha256, added_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(agent.as_str())
            .bind(name.as_str())
            .bind(name.key())
            .bind(i64::from(*account))
            .bind(address.to_string())
            .bind(grade.to_string())
            .bind(json(budget)?)
            .bind(token_sha256)
            .bind(at_ms)
            .execute(&mut *books.conn)
            .await?;
            Ok(())
        }
        Event::BudgetSet { agent, budget } => {
            books
                .set_agent(
                    "UPDATE agents SET budget = ? WHERE agent = ?",
                    agent,
                    Some(json(budget)?),
                )
                .await
        }
        Event::GradeSet { agent, grade } => {
            books
                .set_agent(
                    "UPDATE agents SET grade = ? WHERE agent = ?",
                    agent,
                    Some(grade.to_string()),
                )
                .await
        }
        Event::TokenRotated { agent, token_sha256 } => {
            books
                .set_agent(
                    "UPDATE agents SET token_sha256 = ? WHERE agent = ?",
                    agent,
                    Some(token_sha256.clone()),
                )
                .await
        }
        Event::AgentRevoked { agent } => {
            books.set_agent("UPDATE agents SET token_sha256 = ? WHERE agent = ?", agent, None).await
        }
        Event::Frozen => books.set_frozen(true).await,
        Event::Thawed => books.set_frozen(false).await,
        Event::PayeeTrusted { payee } => books.see_payee(payee, None, None).await,
        Event::HostAllowed { host } => {
            books.run("INSERT OR IGNORE INTO hosts (host) VALUES (?)", host).await
        }
        Event::HostRemoved { host } => books.run("DELETE FROM hosts WHERE host = ?", host).await,
        Event::PaymentRefused { payment, order, verdict } => {
            books.insert_payment(payment, order, verdict, PaymentState::Refused).await
        }
        Event::PaymentAsked { payment, order, verdict, approval, expires_at } => {
            books.insert_payment(payment, order, verdict, PaymentState::Waiting).await?;
            sqlx::query(
                "INSERT INTO approvals (approval, payment, state, asked_ms, expires_ms) VALUES (?, ?, 'waiting', ?, ?)",
            )
            .bind(approval.as_str())
            .bind(payment.as_str())
            .bind(at_ms)
            .bind(expires_at.as_millisecond())
            .execute(&mut *books.conn)
            .await?;
            Ok(())
        }
        Event::ApprovalAnswered { payment, answer, verdict, .. } => {
            books.answer(payment, answer, verdict).await
        }
        Event::PaymentHeld { .. } => books.hold(event).await,
        Event::PaymentVoided { payment, why } => {
            books.release(payment, PaymentState::Void, Some(why), None).await
        }
        Event::PaymentDelivered { payment, delivery } => books.deliver(payment, delivery).await,
        Event::PaymentSettled { payment, transaction, block } => {
            books.settle(payment, &transaction.to_string(), *block).await
        }
        Event::PaymentExpired { payment, block } => {
            books.release(payment, PaymentState::Expired, None, Some(*block)).await
        }
        Event::RefillGranted { .. }
        | Event::RefillSent { .. }
        | Event::RefillSettled { .. }
        | Event::RefillFailed { .. } => books.refill(event).await,
        Event::FloatReceived { agent, value, transaction, log_index, .. } => {
            sqlx::query("INSERT INTO receipts (tx, log_index, agent) VALUES (?, ?, ?)")
                .bind(transaction.to_string())
                .bind(*log_index as i64)
                .bind(agent.as_str())
                .execute(&mut *books.conn)
                .await?;
            books.move_units("outside", &float(agent), *value).await
        }
    }
}

/// The account of what an agent's address holds and no hold claims.
pub(crate) fn float(agent: &AgentId) -> String {
    format!("float/{agent}")
}

/// The account of what holds claim from an agent's address.
pub(crate) fn held(agent: &AgentId) -> String {
    format!("held/{agent}")
}

fn paid(agent: &AgentId) -> String {
    format!("paid/{agent}")
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|e| LedgerError::damaged(e.to_string()))
}

/// The facts of a stored payment that a later event needs.
struct Stored {
    agent: AgentId,
    state: PaymentState,
    value: Units,
    payee: Payee,
    what: String,
    spans: Vec<(Window, String)>,
}

struct Books<'c> {
    conn: &'c mut SqliteConnection,
    seq: i64,
    at_ms: i64,
}

impl Books<'_> {
    async fn run(&mut self, sql: &'static str, value: &str) -> Done {
        sqlx::query(sql).bind(value).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn set_agent(&mut self, sql: &'static str, agent: &AgentId, to: Option<String>) -> Done {
        let done = sqlx::query(sql).bind(to).bind(agent.as_str()).execute(&mut *self.conn).await?;
        one_row(done.rows_affected(), "an event about an agent that is not there")
    }

    async fn set_frozen(&mut self, frozen: bool) -> Done {
        sqlx::query("UPDATE desk SET frozen = ?").bind(frozen).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn insert_payment(
        &mut self,
        payment: &PaymentId,
        order: &Order,
        verdict: &Verdict,
        state: PaymentState,
    ) -> Done {
        let payee = &order.intent.payee;
        sqlx::query(
            "INSERT INTO payments (payment, seq, agent, client_key, request_sha256, state, what, url, method,
                 purpose, task, origin, pay_to, chain_id, contract, value, offer, verdict, at_ms, updated_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(payment.as_str())
        .bind(self.seq)
        .bind(order.intent.agent.as_str())
        .bind(order.client_key.as_deref())
        .bind(order.request_sha256.to_string())
        .bind(state.word())
        .bind(&order.what)
        .bind(&order.url)
        .bind(&order.method)
        .bind(order.purpose.as_deref())
        .bind(order.task.as_deref())
        .bind(&payee.origin)
        .bind(payee.pay_to.to_string())
        .bind(payee.asset.chain_id as i64)
        .bind(payee.asset.contract.to_string())
        .bind(order.intent.value.as_i64())
        .bind(&order.offer)
        .bind(json(verdict)?)
        .bind(self.at_ms)
        .bind(self.at_ms)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A question ended; but for a yes that the limits accept, so did the payment.
    async fn answer(&mut self, payment: &PaymentId, answer: &Answer, verdict: &Verdict) -> Done {
        let (state, note) = match answer {
            Answer::Approved => ("approved", None),
            Answer::Refused { reason } => ("refused", reason.as_deref()),
            Answer::Lapsed => ("lapsed", None),
            Answer::Changed => ("changed", None),
        };
        let done = sqlx::query(
            "UPDATE approvals SET state = ?, answered_ms = ?, answer = ? WHERE payment = ? AND state = 'waiting'",
        )
        .bind(state)
        .bind(self.at_ms)
        .bind(note)
        .bind(payment.as_str())
        .execute(&mut *self.conn)
        .await?;
        one_row(done.rows_affected(), "an answer to a question that was not waiting")?;
        if *answer == Answer::Approved && verdict.outcome == Outcome::Allow {
            return Ok(());
        }
        self.step(payment, PaymentState::Refused).await?;
        sqlx::query("UPDATE payments SET verdict = ? WHERE payment = ?")
            .bind(json(verdict)?)
            .bind(payment.as_str())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Reserves: float → held, and one line in each window's counter.
    async fn hold(&mut self, event: &Event) -> Done {
        let Event::PaymentHeld { payment, order, verdict, authorization, spans } = event else {
            return Err(LedgerError::damaged("a hold that is none"));
        };
        let waiting: Option<String> =
            sqlx::query_scalar("SELECT state FROM payments WHERE payment = ?")
                .bind(payment.as_str())
                .fetch_optional(&mut *self.conn)
                .await?;
        match waiting {
            Some(_) => self.step(payment, PaymentState::Held).await.map(|_| ())?,
            None => self.insert_payment(payment, order, verdict, PaymentState::Held).await?,
        }
        sqlx::query(
            "UPDATE payments SET spans = ?, from_address = ?, nonce = ?, valid_after_s = ?, valid_before_s = ?,
                 verdict = ? WHERE payment = ?",
        )
        .bind(json(spans)?)
        .bind(authorization.from.to_string())
        .bind(authorization.nonce.to_string())
        .bind(authorization.window.valid_after_s as i64)
        .bind(authorization.window.valid_before_s as i64)
        .bind(json(verdict)?)
        .bind(payment.as_str())
        .execute(&mut *self.conn)
        .await?;
        let (agent, value) = (&order.intent.agent, order.intent.value);
        for (window, label) in spans {
            sqlx::query(
                "INSERT INTO counters (agent, span, label, held, settled) VALUES (?, ?, ?, ?, 0)
                 ON CONFLICT (agent, span, label) DO UPDATE SET held = held + excluded.held",
            )
            .bind(agent.as_str())
            .bind(window.word())
            .bind(label)
            .bind(value.as_i64())
            .execute(&mut *self.conn)
            .await?;
        }
        self.move_units(&float(agent), &held(agent), value).await
    }

    /// Gives a hold back: held → float, and out of every counter.
    async fn release(
        &mut self,
        payment: &PaymentId,
        to: PaymentState,
        note: Option<&String>,
        block: Option<u64>,
    ) -> Done {
        let stored = self.step(payment, to).await?;
        self.count(&stored, false).await?;
        sqlx::query(
            // A void payment never was one, so its key is free for another try.
            "UPDATE payments SET note = ?, block = ?, client_key = iif(state = 'void', NULL, client_key)
             WHERE payment = ?",
        )
        .bind(note)
        .bind(block.map(|b| b as i64))
        .bind(payment.as_str())
        .execute(&mut *self.conn)
        .await?;
        self.move_units(&held(&stored.agent), &float(&stored.agent), stored.value).await
    }

    async fn deliver(&mut self, payment: &PaymentId, delivery: &Delivery) -> Done {
        let (to, status, sha, note) = match delivery {
            Delivery::Delivered { status, response_sha256, .. } => {
                (PaymentState::Delivered, Some(*status), Some(response_sha256.to_string()), None)
            }
            Delivery::Unknown { status, why } => {
                (PaymentState::Unknown, *status, None, Some(why.as_str()))
            }
        };
        // The chain can be faster than the payee's answer: then only the answer is kept.
        if self.stored(payment).await?.state != PaymentState::Settled {
            self.step(payment, to).await?;
        }
        sqlx::query(
            "UPDATE payments SET response_status = ?, response_sha256 = ?, note = ?, updated_ms = ? WHERE payment = ?",
        )
        .bind(status)
        .bind(sha)
        .bind(note)
        .bind(self.at_ms)
        .bind(payment.as_str())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Spends a hold: held → paid, and from held to settled in every counter.
    async fn settle(&mut self, payment: &PaymentId, transaction: &str, block: u64) -> Done {
        let stored = self.step(payment, PaymentState::Settled).await?;
        self.count(&stored, true).await?;
        sqlx::query("UPDATE payments SET tx = ?, block = ?, note = NULL WHERE payment = ?")
            .bind(transaction)
            .bind(block as i64)
            .bind(payment.as_str())
            .execute(&mut *self.conn)
            .await?;
        self.see_payee(&stored.payee, Some(stored.value), Some(&stored.what)).await?;
        self.move_units(&held(&stored.agent), &paid(&stored.agent), stored.value).await
    }

    async fn count(&mut self, stored: &Stored, settled: bool) -> Done {
        for (window, label) in &stored.spans {
            let done = sqlx::query(
                "UPDATE counters SET held = held - ?1, settled = settled + iif(?2, ?1, 0)
                 WHERE agent = ?3 AND span = ?4 AND label = ?5",
            )
            .bind(stored.value.as_i64())
            .bind(settled)
            .bind(stored.agent.as_str())
            .bind(window.word())
            .bind(label)
            .execute(&mut *self.conn)
            .await?;
            one_row(done.rows_affected(), "a hold that no counter holds")?;
        }
        Ok(())
    }

    async fn refill(&mut self, event: &Event) -> Done {
        match event {
            Event::RefillGranted { refill, agent, value, asset, .. } => {
                sqlx::query(
                    "INSERT INTO refills (refill, agent, value, chain_id, contract, state, at_ms)
                     VALUES (?, ?, ?, ?, ?, 'granted', ?)",
                )
                .bind(refill.as_str())
                .bind(agent.as_str())
                .bind(value.as_i64())
                .bind(asset.chain_id as i64)
                .bind(asset.contract.to_string())
                .bind(self.at_ms)
                .execute(&mut *self.conn)
                .await?;
                Ok(())
            }
            Event::RefillSent { refill, transaction } => {
                let done = sqlx::query("UPDATE refills SET state = 'sent', tx = ? WHERE refill = ? AND state = 'granted'")
                    .bind(transaction.to_string())
                    .bind(refill.as_str())
                    .execute(&mut *self.conn)
                    .await?;
                one_row(done.rows_affected(), "a refill that was not granted")
            }
            Event::RefillSettled { refill, transaction, block } => {
                let row = sqlx::query(
                    "UPDATE refills SET state = 'settled', tx = ?, block = ?
                     WHERE refill = ? AND state IN ('granted', 'sent') RETURNING agent, value",
                )
                .bind(transaction.to_string())
                .bind(*block as i64)
                .bind(refill.as_str())
                .fetch_optional(&mut *self.conn)
                .await?
                .ok_or_else(|| LedgerError::damaged("a refill that was not sent"))?;
                let agent = id(row.try_get("agent")?)?;
                let value = units(row.try_get("value")?)?;
                self.move_units("treasury", &float(&agent), value).await
            }
            Event::RefillFailed { refill, why } => {
                sqlx::query("UPDATE refills SET state = 'failed', note = ? WHERE refill = ?")
                    .bind(why)
                    .bind(refill.as_str())
                    .execute(&mut *self.conn)
                    .await?;
                Ok(())
            }
            _ => Err(LedgerError::damaged("a refill that is none")),
        }
    }

    async fn see_payee(&mut self, payee: &Payee, value: Option<Units>, what: Option<&str>) -> Done {
        sqlx::query(
            "INSERT INTO payees (origin, pay_to, chain_id, contract, first_seen_ms, last_seen_ms, last_value, last_what)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET last_seen_ms = ?5, last_value = coalesce(?6, last_value),
                 last_what = coalesce(?7, last_what)",
        )
        .bind(&payee.origin)
        .bind(payee.pay_to.to_string())
        .bind(payee.asset.chain_id as i64)
        .bind(payee.asset.contract.to_string())
        .bind(self.at_ms)
        .bind(value.map(Units::as_i64))
        .bind(what)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// One step in a payment's life, checked against the drawn one.
    async fn step(&mut self, payment: &PaymentId, to: PaymentState) -> Result<Stored, LedgerError> {
        let stored = self.stored(payment).await?;
        stored.state.to(to)?;
        sqlx::query("UPDATE payments SET state = ?, updated_ms = ? WHERE payment = ?")
            .bind(to.word())
            .bind(self.at_ms)
            .bind(payment.as_str())
            .execute(&mut *self.conn)
            .await?;
        Ok(stored)
    }

    async fn stored(&mut self, payment: &PaymentId) -> Result<Stored, LedgerError> {
        let row = sqlx::query(
            "SELECT agent, state, value, origin, pay_to, chain_id, contract, what, spans FROM payments WHERE payment = ?",
        )
        .bind(payment.as_str())
        .fetch_optional(&mut *self.conn)
        .await?
        .ok_or_else(|| LedgerError::NoPayment { payment: payment.clone() })?;
        let spans: Option<String> = row.try_get("spans")?;
        Ok(Stored {
            agent: id(row.try_get("agent")?)?,
            state: state(row.try_get("state")?)?,
            value: units(row.try_get("value")?)?,
            payee: crate::read::payee_of(&row)?,
            what: row.try_get("what")?,
            spans: spans.map_or(Ok(Vec::new()), |text| {
                serde_json::from_str(&text).map_err(|e| LedgerError::damaged(e.to_string()))
            })?,
        })
    }

    /// One double entry: out of one account and into another.
    async fn move_units(&mut self, from: &str, to: &str, value: Units) -> Done {
        for (account, units) in [(from, -value.as_i64()), (to, value.as_i64())] {
            sqlx::query("INSERT INTO entries (seq, account, units) VALUES (?, ?, ?)")
                .bind(self.seq)
                .bind(account)
                .bind(units)
                .execute(&mut *self.conn)
                .await?;
            sqlx::query("INSERT OR IGNORE INTO accounts (account, units) VALUES (?, 0)")
                .bind(account)
                .execute(&mut *self.conn)
                .await?;
            sqlx::query("UPDATE accounts SET units = units + ? WHERE account = ?")
                .bind(units)
                .bind(account)
                .execute(&mut *self.conn)
                .await?;
        }
        Ok(())
    }
}

fn one_row(rows: u64, otherwise: &str) -> Done {
    if rows == 1 { Ok(()) } else { Err(LedgerError::damaged(otherwise)) }
}

pub(crate) fn id<T: std::str::FromStr>(text: String) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::damaged(format!("“{text}” where an identifier belongs")))
}

pub(crate) fn state(word: String) -> Result<PaymentState, LedgerError> {
    PaymentState::from_word(&word)
        .ok_or_else(|| LedgerError::damaged(format!("“{word}” where a state belongs")))
}

pub(crate) fn units(stored: i64) -> Result<Units, LedgerError> {
    Units::try_from(stored).map_err(|_| LedgerError::damaged("a negative amount"))
}
