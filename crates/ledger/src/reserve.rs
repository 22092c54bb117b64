//! Deciding and reserving: one transaction, and the one place a [`Grant`] is made.

use crate::agents::{Agent, frozen, load_agent};
use crate::error::LedgerError;
use crate::event::{Answer, Event, Order};
use crate::store::Tx;
use crate::{Grant, Ledger, apply, fresh_tail, read, turned_down};
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, AgentStanding, ApprovalId, Asset, Authorization, Budget, Case, Danger, Effect,
    Outcome, Payee, PayeeStanding, PaymentId, PaymentState, Reason, ReasonCode, Remedy, Units,
    Usage, ValidityWindow, Verdict, Window, decide,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row, SqliteConnection};

/// How many questions of one agent may wait at once: more would bury the owner.
const QUESTIONS_MAX: u32 = 5;

/// What became of an order.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "each one lives for a single match")]
pub enum Reserved {
    /// The money is held, on the disk; sign under the grant.
    Granted {
        /// The payment.
        payment: PaymentId,
        /// What the rules found.
        verdict: Verdict,
        /// Leave to sign.
        grant: Grant,
    },
    /// The owner has to be asked; nothing is held.
    Asked {
        /// The payment.
        payment: PaymentId,
        /// The question.
        approval: ApprovalId,
        /// What the rules found.
        verdict: Verdict,
    },
    /// The rules said no.
    Refused {
        /// The payment.
        payment: PaymentId,
        /// What the rules found.
        verdict: Verdict,
    },
    /// The same key and request came before: this is that payment.
    Known {
        /// The payment.
        payment: PaymentId,
    },
}

/// What became of an approved order.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "each one lives for a single match")]
pub enum Approved {
    /// The money is held, on the disk; sign under the grant.
    Granted {
        /// The payment.
        payment: PaymentId,
        /// Leave to sign.
        grant: Grant,
    },
    /// The owner said yes, but a limit, or a freeze, says no.
    Refused {
        /// The payment.
        payment: PaymentId,
        /// What the rules found.
        verdict: Verdict,
    },
    /// The offer is not the one the owner saw; the question is void.
    Changed {
        /// The payment that was asked about.
        payment: PaymentId,
    },
}

/// What a verdict would be now; nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The verdict.
    pub verdict: Verdict,
    /// What the desk knows of the payee.
    pub payee: PayeeStanding,
}

impl Ledger {
    /// Decides an order and, if it may be paid, holds its money: one durable transaction.
    ///
    /// `asset` is the desk's own registry entry for what the order is in; `question_for` is how
    /// long a question may wait.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`], [`LedgerError::NoAgent`], or a failed write. On any error
    /// nothing is held and no grant exists.
    pub async fn reserve(
        &self,
        order: Order,
        asset: Asset,
        danger: Danger,
        question_for: SignedDuration,
    ) -> Result<Reserved, LedgerError> {
        let step = self
            .store
            .write(move |tx| Box::pin(decide_and_hold(tx, order, danger, question_for)))
            .await?;
        // The transaction is on the disk: only now may leave to sign come into being.
        Ok(match step {
            Step::Held { payment, verdict, account, authorization } => Reserved::Granted {
                grant: Grant { payment: payment.clone(), account, authorization, asset },
                payment,
                verdict,
            },
            Step::Asked { payment, approval, verdict } => {
                Reserved::Asked { payment, approval, verdict }
            }
            Step::Refused { payment, verdict } => Reserved::Refused { payment, verdict },
            Step::Known { payment } => Reserved::Known { payment },
        })
    }

    /// Carries out the owner's yes to one question, if `fresh` is still what was asked about.
    ///
    /// The limits are checked again at this moment: a yes lifts none of them.
    ///
    /// # Errors
    /// [`LedgerError::NotWaiting`] when the question is answered or lapsed, or a failed write.
    pub async fn approve(
        &self,
        approval: &ApprovalId,
        fresh: Order,
        asset: Asset,
        danger: Danger,
    ) -> Result<Approved, LedgerError> {
        let approval = approval.clone();
        let step = self
            .store
            .write(move |tx| Box::pin(approve_and_hold(tx, approval, fresh, danger)))
            .await?;
        Ok(match step {
            ApprovedStep::Held { payment, account, authorization } => Approved::Granted {
                grant: Grant { payment: payment.clone(), account, authorization, asset },
                payment,
            },
            ApprovedStep::Refused { payment, verdict } => Approved::Refused { payment, verdict },
            ApprovedStep::Changed { payment } => Approved::Changed { payment },
        })
    }

    /// What the rules would say to an order now. Writes nothing.
    ///
    /// # Errors
    /// When the agent is unknown or the ledger cannot be read.
    pub async fn preview(&self, order: &Order, danger: Danger) -> Result<Preview, LedgerError> {
        let mut conn = self.store.readers.acquire().await?;
        let facts =
            Facts::load(&mut conn, &order.intent.agent, &order.intent.payee, self.now()).await?;
        Ok(Preview { verdict: facts.decide(order, danger, false), payee: facts.payee })
    }

    /// Gives back a hold whose grant was never signed; the grant itself is the proof.
    ///
    /// # Errors
    /// When the write fails; the hold then stays until the chain's clock frees it.
    pub async fn void(&self, grant: Grant, why: String) -> Result<(), LedgerError> {
        self.record(Event::PaymentVoided { payment: grant.payment, why }).await.map(|_| ())
    }

    /// The owner says no.
    ///
    /// # Errors
    /// [`LedgerError::NotWaiting`] when the question is answered or lapsed, or a failed write.
    pub async fn refuse(
        &self,
        approval: &ApprovalId,
        reason: Option<String>,
    ) -> Result<PaymentId, LedgerError> {
        let approval = approval.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let asked = waiting(tx, &approval).await?;
                    let why = finding(ReasonCode::OwnerRefused, reason.clone());
                    close_question(tx, approval, &asked, Answer::Refused { reason }, why).await?;
                    Ok(asked.payment)
                })
            })
            .await
    }

    /// Turns every question whose time is up into a no; silence is never a yes.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn lapse(&self) -> Result<Vec<PaymentId>, LedgerError> {
        let due: Vec<String> = sqlx::query_scalar(
            "SELECT approval FROM approvals WHERE state = 'waiting' AND expires_ms <= ? ORDER BY expires_ms",
        )
        .bind(self.now().as_millisecond())
        .fetch_all(&self.store.readers)
        .await?;
        let mut lapsed = Vec::new();
        for approval in due {
            let approval: ApprovalId = apply::id(approval)?;
            let outcome = self
                .store
                .write(move |tx| {
                    Box::pin(async move {
                        let asked = waiting(tx, &approval).await?;
                        let why = finding(ReasonCode::NoAnswer, None);
                        close_question(tx, approval, &asked, Answer::Lapsed, why).await?;
                        Ok(asked.payment)
                    })
                })
                .await;
            match outcome {
                Ok(payment) => lapsed.push(payment),
                // Answered between the look and the write: then it did not lapse.
                Err(LedgerError::NotWaiting { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lapsed)
    }
}

enum Step {
    Held { payment: PaymentId, verdict: Verdict, account: u32, authorization: Authorization },
    Asked { payment: PaymentId, approval: ApprovalId, verdict: Verdict },
    Refused { payment: PaymentId, verdict: Verdict },
    Known { payment: PaymentId },
}

async fn decide_and_hold(
    tx: &mut Tx<'_>,
    order: Order,
    danger: Danger,
    question_for: SignedDuration,
) -> Result<Step, LedgerError> {
    if let Some(payment) = same_key(tx.conn, &order).await? {
        return Ok(Step::Known { payment });
    }
    let facts = Facts::load(tx.conn, &order.intent.agent, &order.intent.payee, tx.now).await?;
    let mut verdict = facts.decide(&order, danger, false);
    if verdict.outcome == Outcome::Ask && facts.questions >= QUESTIONS_MAX {
        verdict = turned_down(verdict, finding(ReasonCode::TooManyQuestions, None));
    }
    let payment = fresh::<PaymentId>(PaymentId::from_tail)?;
    match verdict.outcome {
        Outcome::Deny => {
            let event =
                Event::PaymentRefused { payment: payment.clone(), order, verdict: verdict.clone() };
            tx.append(&event).await?;
            Ok(Step::Refused { payment, verdict })
        }
        Outcome::Ask => {
            if let Some(payment) = same_question(tx.conn, &order).await? {
                return Ok(Step::Known { payment });
            }
            let mut order = order;
            let kept = order.kept_request.take();
            let approval = fresh::<ApprovalId>(ApprovalId::from_tail)?;
            let event = Event::PaymentAsked {
                payment: payment.clone(),
                order,
                verdict: verdict.clone(),
                approval: approval.clone(),
                expires_at: tx.now + question_for,
            };
            tx.append(&event).await?;
            if let Some(body) = kept {
                // In this transaction, so that no question is ever without its request.
                sqlx::query("INSERT INTO kept_requests (payment, body) VALUES (?, ?)")
                    .bind(payment.as_str())
                    .bind(body)
                    .execute(&mut *tx.conn)
                    .await?;
            }
            Ok(Step::Asked { payment, approval, verdict })
        }
        Outcome::Allow => {
            let authorization = hold(tx, &facts, payment.clone(), order, verdict.clone()).await?;
            Ok(Step::Held { payment, verdict, account: facts.agent.account, authorization })
        }
    }
}

enum ApprovedStep {
    Held { payment: PaymentId, account: u32, authorization: Authorization },
    Refused { payment: PaymentId, verdict: Verdict },
    Changed { payment: PaymentId },
}

async fn approve_and_hold(
    tx: &mut Tx<'_>,
    approval: ApprovalId,
    fresh: Order,
    danger: Danger,
) -> Result<ApprovedStep, LedgerError> {
    let asked = waiting(tx, &approval).await?;
    if tx.now.as_millisecond() >= asked.expires_ms {
        // Its time is up, whether or not it has been written down as lapsed yet.
        return Err(LedgerError::NotWaiting { approval, state: "lapsed".into() });
    }
    let payment = asked.payment.clone();
    let facts = Facts::load(tx.conn, &fresh.intent.agent, &fresh.intent.payee, tx.now).await?;
    let verdict = facts.decide(&fresh, danger, true);
    let same = asked.request_sha256 == fresh.request_sha256.to_string()
        && asked.agent == fresh.intent.agent
        && asked.payee == fresh.intent.payee
        && asked.value == fresh.intent.value
        && asked.what == fresh.what
        && asked.covers(&verdict);
    if !same {
        let why = finding(ReasonCode::QuoteChanged, None);
        close_question(tx, approval, &asked, Answer::Changed, why).await?;
        return Ok(ApprovedStep::Changed { payment });
    }
    let answered = Event::ApprovalAnswered {
        approval,
        payment: payment.clone(),
        answer: Answer::Approved,
        verdict: verdict.clone(),
    };
    tx.append(&answered).await?;
    if verdict.outcome != Outcome::Allow {
        return Ok(ApprovedStep::Refused { payment, verdict });
    }
    let authorization = hold(tx, &facts, payment.clone(), fresh, verdict).await?;
    Ok(ApprovedStep::Held { payment, account: facts.agent.account, authorization })
}

/// Appends the hold: counters, accounts and the authorisation's fields, all in this transaction.
async fn hold(
    tx: &mut Tx<'_>,
    facts: &Facts,
    payment: PaymentId,
    order: Order,
    verdict: Verdict,
) -> Result<Authorization, LedgerError> {
    let mut nonce = B256::ZERO;
    getrandom::fill(nonce.as_mut_slice())
        .map_err(|e| LedgerError::Stopped { why: format!("no random numbers: {e}") })?;
    let now_s = u64::try_from(tx.now.as_second()).unwrap_or_default();
    let authorization = Authorization {
        asset: order.intent.payee.asset,
        from: facts.agent.address,
        to: order.intent.payee.pay_to,
        value: order.intent.value,
        window: ValidityWindow::clamped(now_s, order.max_timeout_s),
        nonce,
    };
    let spans = facts.agent.budget.spans(tx.now)?;
    let event = Event::PaymentHeld {
        payment,
        order,
        verdict,
        authorization: authorization.clone(),
        spans: spans.into_iter().map(|span| (span.window, span.label)).collect(),
    };
    tx.append(&event).await?;
    Ok(authorization)
}

/// The payment an agent's key already stands for.
async fn same_key(
    conn: &mut SqliteConnection,
    order: &Order,
) -> Result<Option<PaymentId>, LedgerError> {
    let Some(key) = &order.client_key else { return Ok(None) };
    let row = sqlx::query(
        "SELECT payment, request_sha256 FROM payments WHERE agent = ? AND client_key = ?",
    )
    .bind(order.intent.agent.as_str())
    .bind(key)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let payment: PaymentId = apply::id(row.try_get("payment")?)?;
    if row.try_get::<String, _>("request_sha256")? == order.request_sha256.to_string() {
        Ok(Some(payment))
    } else {
        Err(LedgerError::KeyReused { payment })
    }
}

/// The waiting question that asks the very same: asking twice makes no second card.
async fn same_question(
    conn: &mut SqliteConnection,
    order: &Order,
) -> Result<Option<PaymentId>, LedgerError> {
    let intent = &order.intent;
    let waiting: Option<String> = sqlx::query_scalar(
        "SELECT payment FROM payments WHERE agent = ? AND state = 'waiting' AND request_sha256 = ?
             AND origin = ? AND pay_to = ? AND value = ? AND client_key IS NULL LIMIT 1",
    )
    .bind(intent.agent.as_str())
    .bind(order.request_sha256.to_string())
    .bind(&intent.payee.origin)
    .bind(intent.payee.pay_to.to_string())
    .bind(intent.value.as_i64())
    .fetch_optional(conn)
    .await?;
    // A key of its own says that it is meant as another purchase.
    match (&order.client_key, waiting) {
        (None, Some(payment)) => Ok(Some(apply::id(payment)?)),
        _ => Ok(None),
    }
}

/// What the books know that a verdict depends on, read in one transaction.
struct Facts {
    agent: Agent,
    standing: AgentStanding,
    usage: Usage,
    payee: PayeeStanding,
    frozen: bool,
    /// How many of the agent's questions wait.
    questions: u32,
    now: Timestamp,
}

impl Facts {
    async fn load(
        conn: &mut SqliteConnection,
        agent: &AgentId,
        payee: &Payee,
        now: Timestamp,
    ) -> Result<Facts, LedgerError> {
        let agent = load_agent(conn, agent).await?;
        let float_free = read::account(conn, &apply::float(&agent.id)).await?;
        Ok(Facts {
            standing: AgentStanding {
                id: agent.id.clone(),
                name: agent.name.clone(),
                granted: agent.grade,
                revoked: agent.revoked,
                float_free,
            },
            usage: usage(conn, &agent.id, &agent.budget, now).await?,
            payee: payee_standing(conn, payee).await?,
            frozen: frozen(conn).await?,
            questions: sqlx::query_scalar(
                "SELECT count(*) FROM payments WHERE agent = ? AND state = 'waiting'",
            )
            .bind(agent.id.as_str())
            .fetch_one(&mut *conn)
            .await?,
            agent,
            now,
        })
    }

    fn decide(&self, order: &Order, danger: Danger, approved: bool) -> Verdict {
        decide(&Case {
            intent: &order.intent,
            agent: &self.standing,
            budget: &self.agent.budget,
            usage: &self.usage,
            payee: self.payee,
            danger,
            frozen: self.frozen,
            approved,
            now: self.now,
        })
    }
}

/// What each current window holds: one indexed read a window, however long the history is.
async fn usage(
    conn: &mut SqliteConnection,
    agent: &AgentId,
    budget: &Budget,
    now: Timestamp,
) -> Result<Usage, LedgerError> {
    let mut usage = Usage::default();
    for window in Window::ALL {
        let used = read::window_use(conn, agent, budget, window, now).await?;
        *usage.of_mut(window) = used
            .settled
            .checked_add(used.held)
            .ok_or_else(|| LedgerError::damaged("a counter past all limits"))?;
    }
    Ok(usage)
}

async fn payee_standing(
    conn: &mut SqliteConnection,
    payee: &Payee,
) -> Result<PayeeStanding, LedgerError> {
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT pay_to FROM payees WHERE origin = ? AND chain_id = ? AND contract = ? ORDER BY last_seen_ms DESC",
    )
    .bind(&payee.origin)
    .bind(payee.asset.chain_id as i64)
    .bind(payee.asset.contract.to_string())
    .fetch_all(conn)
    .await?;
    let addresses = known
        .iter()
        .map(|text| text.parse::<Address>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| LedgerError::damaged("a payee’s address"))?;
    Ok(match addresses.first() {
        None => PayeeStanding::New,
        Some(_) if addresses.contains(&payee.pay_to) => PayeeStanding::Known,
        Some(&was) => PayeeStanding::Changed { was },
    })
}

/// What a waiting question is about.
struct Asked {
    payment: PaymentId,
    agent: AgentId,
    payee: Payee,
    value: Units,
    what: String,
    request_sha256: String,
    verdict: Verdict,
    expires_ms: i64,
}

impl Asked {
    /// Whether the owner saw every rule that a yes would now answer.
    fn covers(&self, verdict: &Verdict) -> bool {
        verdict.reasons.iter().filter(|now| now.effect == Effect::Approved).all(|now| {
            self.verdict
                .reasons
                .iter()
                .any(|then| then.code == now.code && then.effect == Effect::Ask)
        })
    }
}

async fn waiting(tx: &mut Tx<'_>, approval: &ApprovalId) -> Result<Asked, LedgerError> {
    let gone = |state: &str| LedgerError::NotWaiting {
        approval: approval.clone(),
        state: state.to_owned(),
    };
    let row = sqlx::query(
        "SELECT p.*, a.state AS approval_state, a.expires_ms FROM approvals a JOIN payments p USING (payment) WHERE a.approval = ?",
    )
    .bind(approval.as_str())
    .fetch_optional(&mut *tx.conn)
    .await?
    .ok_or_else(|| gone("unknown"))?;
    let state: String = row.try_get("approval_state")?;
    if state != "waiting" || row.try_get::<String, _>("state")? != PaymentState::Waiting.word() {
        return Err(gone(&state));
    }
    Ok(Asked {
        payment: apply::id(row.try_get("payment")?)?,
        agent: apply::id(row.try_get("agent")?)?,
        payee: read::payee_of(&row)?,
        value: apply::units(row.try_get("value")?)?,
        what: row.try_get("what")?,
        request_sha256: row.try_get("request_sha256")?,
        expires_ms: row.try_get("expires_ms")?,
        verdict: serde_json::from_str(row.try_get("verdict")?)
            .map_err(|_| LedgerError::damaged("a verdict"))?,
    })
}

async fn close_question(
    tx: &mut Tx<'_>,
    approval: ApprovalId,
    asked: &Asked,
    answer: Answer,
    why: Reason,
) -> Result<(), LedgerError> {
    let event = Event::ApprovalAnswered {
        approval,
        payment: asked.payment.clone(),
        answer,
        verdict: turned_down(asked.verdict.clone(), why),
    };
    tx.append(&event).await.map(|_| ())
}

fn finding(code: ReasonCode, detail: Option<String>) -> Reason {
    Reason {
        code,
        effect: Effect::Deny,
        limit: None,
        observed: None,
        remedy: if code == ReasonCode::QuoteChanged { Remedy::Agent } else { Remedy::Owner },
        resets_at: None,
        detail,
    }
}

fn fresh<T>(from_tail: fn(&str) -> Result<T, imprest_domain::IdError>) -> Result<T, LedgerError> {
    from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))
}
