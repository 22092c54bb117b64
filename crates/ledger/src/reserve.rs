//! Deciding and reserving: one transaction, and the one place a [`Grant`] is made.

use crate::error::LedgerError;
use crate::event::{Answer, Event, GasCounted, Later, Order, SharedHold};
use crate::facts::{Alarm, Facts, Sighting};
use crate::rows::*;
use crate::signals;
use crate::store::Tx;
use crate::{Grant, Ledger, apply, fresh_tail, read, turned_down};
use alloy_primitives::B256;
use imprest_domain::{
    ApprovalId, Asset, Authorization, Effect, Outcome, PayeeStanding, PaymentId, PaymentState,
    Reason, ReasonCode, Remedy, ValidityWindow, Verdict,
};
use jiff::SignedDuration;

/// How many questions of one agent may wait at once: more would bury the owner.
const QUESTIONS_MAX: usize = 5;

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
        alarm: impl Into<Alarm>,
        question_for: SignedDuration,
    ) -> Result<Reserved, LedgerError> {
        let (alarm, registry) = (alarm.into(), asset.clone());
        let step = self
            .store
            .write(move |tx| decide_and_hold(tx, order, &registry, alarm, question_for))
            .await?;
        // The transaction is on the disk: only now may leave to sign come into being.
        Ok(match step {
            Step::Held { payment, verdict, account, held: (authorization, gas) } => {
                Reserved::Granted {
                    grant: Grant { payment: payment.clone(), account, authorization, asset, gas },
                    payment,
                    verdict,
                }
            }
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
    /// [`LedgerError::NotWaiting`] when the question is answered or lapsed,
    /// [`LedgerError::ClockBehind`] while the clock is, or a failed write. The question stays as it
    /// was.
    pub async fn approve(
        &self,
        approval: &ApprovalId,
        fresh: Order,
        asset: Asset,
        alarm: impl Into<Alarm>,
    ) -> Result<Approved, LedgerError> {
        let (approval, alarm, registry) = (approval.clone(), alarm.into(), asset.clone());
        let step = self
            .store
            .write(move |tx| approve_and_hold(tx, approval, fresh, &registry, alarm))
            .await?;
        Ok(match step {
            ApprovedStep::Held { payment, account, held: (authorization, gas) } => {
                Approved::Granted {
                    grant: Grant { payment: payment.clone(), account, authorization, asset, gas },
                    payment,
                }
            }
            ApprovedStep::Refused { payment, verdict } => Approved::Refused { payment, verdict },
            ApprovedStep::Changed { payment } => Approved::Changed { payment },
        })
    }

    /// What the rules would say to an order now. Writes nothing.
    ///
    /// # Errors
    /// When the agent is unknown or the ledger cannot be read.
    pub async fn preview(
        &self,
        order: Order,
        asset: Asset,
        alarm: impl Into<Alarm>,
    ) -> Result<Preview, LedgerError> {
        let alarm = alarm.into();
        self.store
            .write(move |tx| {
                let facts = facts(tx, &order, alarm)?;
                let seen = facts.sightings(&order, &asset);
                let verdict = decide(tx, &facts, &order, &seen)?;
                Ok(Preview { verdict, payee: facts.payee })
            })
            .await
    }

    /// Gives back a hold whose grant was never signed, and the gas it counted with; the grant itself
    /// is the proof. One that the chain's clock has freed already needs nothing.
    ///
    /// # Errors
    /// [`LedgerError::Transition`] for a payment that is beyond that, or a failed write; the hold then
    /// stays until the chain's clock frees it.
    pub async fn void(&self, grant: Grant, why: String) -> Result<(), LedgerError> {
        let Grant { payment, gas, .. } = grant;
        self.store
            .write(move |tx| {
                if tx.books.payment(&payment)?.state == PaymentState::Expired {
                    return Ok(());
                }
                tx.append(Event::PaymentVoided { payment, why, gas }).map(|_| ())
            })
            .await
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
                let asked = waiting(tx, &approval)?;
                let why = finding(ReasonCode::OwnerRefused, reason.clone());
                close_question(tx, approval, &asked, Answer::Refused { reason }, why)?;
                Ok(asked.row.payment)
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
            let approval: ApprovalId = read::id(approval)?;
            let outcome = self.store.write(move |tx| let_lapse(tx, approval)).await;
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

/// What a hold lets be signed, and what it counts with in the day's gas.
type Held = (Authorization, Option<GasCounted>);

enum Step {
    Held { payment: PaymentId, verdict: Verdict, account: u32, held: Held },
    Asked { payment: PaymentId, approval: ApprovalId, verdict: Verdict },
    Refused { payment: PaymentId, verdict: Verdict },
    Known { payment: PaymentId },
}

fn facts(tx: &mut Tx<'_>, order: &Order, alarm: Alarm) -> Result<Facts, LedgerError> {
    Facts::load(tx.books, order, alarm, (tx.now, tx.clock_behind))
}

/// What the rules say to an order that nobody has said yes to.
fn decide(
    tx: &mut Tx<'_>,
    facts: &Facts,
    order: &Order,
    seen: &[Sighting],
) -> Result<Verdict, LedgerError> {
    let verdict = facts.decide(order, seen, false);
    Ok(match is_answered(tx, order)? {
        true => turned_down(verdict, finding(ReasonCode::OfferAnswered, None)),
        false => verdict,
    })
}

fn decide_and_hold(
    tx: &mut Tx<'_>,
    order: Order,
    asset: &Asset,
    alarm: Alarm,
    question_for: SignedDuration,
) -> Result<Step, LedgerError> {
    if let Some(payment) = same_key(tx, &order)? {
        return Ok(Step::Known { payment });
    }
    let facts = facts(tx, &order, alarm)?;
    let seen = facts.sightings(&order, asset);
    let mut verdict = decide(tx, &facts, &order, &seen)?;
    if verdict.outcome == Outcome::Ask {
        if let Some(payment) = same_question(tx, &facts.agent, &order)? {
            return Ok(Step::Known { payment });
        }
        if facts.agent.questions.0.len() >= QUESTIONS_MAX {
            verdict = turned_down(verdict, finding(ReasonCode::TooManyQuestions, None));
        }
    }
    signals::raise(tx, &seen)?;
    let payment = fresh::<PaymentId>(PaymentId::from_tail)?;
    match verdict.outcome {
        Outcome::Deny => refuse(tx, payment, order, verdict),
        Outcome::Ask => ask(tx, payment, order, verdict, question_for),
        Outcome::Allow => {
            let held = hold(tx, &facts, payment.clone(), order, &verdict)?;
            Ok(Step::Held { payment, verdict, account: facts.agent.account, held })
        }
    }
}

fn refuse(
    tx: &mut Tx<'_>,
    payment: PaymentId,
    order: Order,
    verdict: Verdict,
) -> Result<Step, LedgerError> {
    let agent = order.intent.agent.clone();
    let hard = is_hard(&verdict);
    tx.append(Event::PaymentRefused {
        payment: payment.clone(),
        order,
        verdict: Later::of(&verdict)?,
        hard,
    })?;
    if hard {
        signals::after_refusal(tx, &agent)?;
    }
    Ok(Step::Refused { payment, verdict })
}

fn ask(
    tx: &mut Tx<'_>,
    payment: PaymentId,
    mut order: Order,
    verdict: Verdict,
    question_for: SignedDuration,
) -> Result<Step, LedgerError> {
    let kept = order.kept_request.take();
    let approval = fresh::<ApprovalId>(ApprovalId::from_tail)?;
    tx.append(Event::PaymentAsked {
        payment: payment.clone(),
        order,
        verdict: Later::of(&verdict)?,
        approval: approval.clone(),
        expires_at: tx.now.checked_add(question_for).unwrap_or(tx.now),
    })?;
    if let Some(body) = kept {
        // In this transaction, so that no question is ever without its request.
        tx.keep_request(payment.clone(), body);
    }
    Ok(Step::Asked { payment, approval, verdict })
}

/// Whether a refusal is the agent running against what its owner set, and not against a freeze,
/// an hour's pace or its own maximum: three of these in ten minutes are no accident.
fn is_hard(verdict: &Verdict) -> bool {
    let refused = |reason: &&Reason| reason.effect == Effect::Deny;
    let stopped = verdict.reasons.iter().filter(refused).any(|reason| {
        matches!(
            reason.code,
            ReasonCode::Frozen | ReasonCode::AgentRevoked | ReasonCode::GradeTooLow
        )
    });
    !stopped
        && verdict.reasons.iter().filter(refused).any(|reason| {
            matches!(
                reason.code,
                ReasonCode::OverPerPayment
                    | ReasonCode::OverPerDay
                    | ReasonCode::OverPerWeek
                    | ReasonCode::OverPerMonth
                    | ReasonCode::OverLifetime
                    | ReasonCode::OverPayeeDay
                    | ReasonCode::NewPayee
                    | ReasonCode::OtherAsset
            )
        })
}

enum ApprovedStep {
    Held { payment: PaymentId, account: u32, held: Held },
    Refused { payment: PaymentId, verdict: Verdict },
    Changed { payment: PaymentId },
}

fn approve_and_hold(
    tx: &mut Tx<'_>,
    approval: ApprovalId,
    fresh: Order,
    asset: &Asset,
    alarm: Alarm,
) -> Result<ApprovedStep, LedgerError> {
    let asked = waiting(tx, &approval)?;
    if tx.now.as_millisecond() >= asked.expires_ms {
        // Its time is up, whether or not it has been written down as lapsed yet.
        return Err(LedgerError::NotWaiting { approval, state: "lapsed".into() });
    }
    if tx.clock_behind {
        return Err(LedgerError::ClockBehind);
    }
    let payment = asked.row.payment.clone();
    let facts = facts(tx, &fresh, alarm)?;
    let seen = facts.sightings(&fresh, asset);
    let verdict = facts.decide(&fresh, &seen, true);
    if is_answered(tx, &fresh)? || !asked.is_about(&fresh, &verdict) {
        let why = finding(ReasonCode::QuoteChanged, None);
        close_question(tx, approval, &asked, Answer::Changed, why)?;
        return Ok(ApprovedStep::Changed { payment });
    }
    signals::raise(tx, &seen)?;
    tx.append(Event::ApprovalAnswered {
        approval,
        payment: payment.clone(),
        answer: Answer::Approved,
        verdict: Later::of(&verdict)?,
    })?;
    if verdict.outcome != Outcome::Allow {
        return Ok(ApprovedStep::Refused { payment, verdict });
    }
    // The owner has seen what was odd about this payee and says yes to it.
    signals::answered_by_approval(tx, &seen)?;
    let held = hold(tx, &facts, payment.clone(), fresh, &verdict)?;
    Ok(ApprovedStep::Held { payment, account: facts.agent.account, held })
}

/// The nonce to sign: a random one, or the one that the payee's protocol prescribes.
fn nonce(order: &Order) -> Result<B256, LedgerError> {
    if let Some(nonce) = order.nonce {
        return Ok(nonce);
    }
    let mut nonce = B256::ZERO;
    getrandom::fill(nonce.as_mut_slice())
        .map_err(|e| LedgerError::Stopped { why: format!("no random numbers: {e}") })?;
    Ok(nonce)
}

/// Whether the nonce that the payee's protocol prescribes was signed before: two payments would
/// then be one to the chain.
fn is_answered(tx: &mut Tx<'_>, order: &Order) -> Result<bool, LedgerError> {
    let Some(nonce) = order.nonce else { return Ok(false) };
    Ok(tx.books.get::<NonceRow>((order.intent.agent.clone(), nonce))?.is_some())
}

/// Appends the hold: counters, accounts and the authorisation's fields, all in this transaction.
///
/// None is made while the clock is behind: the signature's window would begin at the books' time,
/// which the chain's clock may reach in an hour or in a year, and the money be held until then.
fn hold(
    tx: &mut Tx<'_>,
    facts: &Facts,
    payment: PaymentId,
    order: Order,
    verdict: &Verdict,
) -> Result<Held, LedgerError> {
    if tx.clock_behind {
        return Err(LedgerError::ClockBehind);
    }
    let nonce = nonce(&order)?;
    let now_s = u64::try_from(tx.now.as_second()).unwrap_or_default();
    let payee = &order.intent.payee;
    let authorization = Authorization {
        asset: payee.asset,
        from: facts.agent.address,
        to: payee.pay_to,
        value: order.intent.value,
        window: ValidityWindow::clamped(now_s, order.max_timeout_s),
        nonce,
    };
    let new = facts.payee == PayeeStanding::New;
    let spans = facts.agent.budget.0.counted(payee, new, tx.now)?;
    let shared = match facts.shared_budget() {
        None => None,
        Some(row) => {
            let spans = row.budget.0.counted(payee, new, tx.now)?;
            Some(SharedHold { shared: row.shared.clone(), spans })
        }
    };
    let gas = order.gas;
    tx.append(Event::PaymentHeld {
        payment,
        order,
        verdict: Later::of(verdict)?,
        authorization: authorization.clone(),
        spans,
        shared,
    })?;
    let day = apply::gas_day(tx.head.at_ms);
    Ok((authorization, gas.map(|gas| GasCounted { day, wei: gas.fee_max_wei })))
}

/// The payment an agent's key already stands for.
fn same_key(tx: &mut Tx<'_>, order: &Order) -> Result<Option<PaymentId>, LedgerError> {
    let Some(key) = &order.client_key else { return Ok(None) };
    let known = tx.books.get::<ClientKeyRow>((order.intent.agent.clone(), key.clone()))?;
    match known {
        None => Ok(None),
        Some(row) if row.request_sha256 == order.request_sha256 => Ok(Some(row.payment)),
        Some(row) => Err(LedgerError::KeyReused { payment: row.payment }),
    }
}

/// The waiting question that asks the very same: asking twice makes no second card. A key of its
/// own says that it is meant as another purchase.
fn same_question(
    tx: &mut Tx<'_>,
    agent: &AgentRow,
    order: &Order,
) -> Result<Option<PaymentId>, LedgerError> {
    if order.client_key.is_some() {
        return Ok(None);
    }
    for waiting in &agent.questions.0 {
        let row = tx.books.payment(waiting)?;
        let same = row.client_key.is_none()
            && row.request_sha256 == order.request_sha256
            && row.payee() == order.intent.payee
            && row.value == order.intent.value;
        if same {
            return Ok(Some(row.payment));
        }
    }
    Ok(None)
}

/// What a waiting question is about.
struct Asked {
    row: PaymentRow,
    verdict: Verdict,
    expires_ms: i64,
}

impl Asked {
    /// Whether a fresh order is the one the owner saw, and every rule that a yes would now answer
    /// is one the owner saw too.
    fn is_about(&self, fresh: &Order, verdict: &Verdict) -> bool {
        let row = &self.row;
        let same = row.request_sha256 == fresh.request_sha256
            && row.agent == fresh.intent.agent
            && row.payee() == fresh.intent.payee
            && row.value == fresh.intent.value
            && row.what == fresh.what;
        let seen = |now: &Reason| {
            self.verdict.reasons.iter().any(|then| {
                then.code == now.code && then.scope == now.scope && then.effect == Effect::Ask
            })
        };
        same && verdict.reasons.iter().filter(|now| now.effect == Effect::Approved).all(seen)
    }
}

fn waiting(tx: &mut Tx<'_>, approval: &ApprovalId) -> Result<Asked, LedgerError> {
    let gone = |state: &str| LedgerError::NotWaiting {
        approval: approval.clone(),
        state: state.to_owned(),
    };
    let question =
        tx.books.get::<ApprovalRow>((approval.clone(),))?.ok_or_else(|| gone("unknown"))?;
    let row = tx.books.payment(&question.payment)?;
    if question.state != "waiting" {
        return Err(gone(&question.state));
    }
    let Event::PaymentAsked { verdict, .. } = tx.event(row.verdict_seq)? else {
        return Err(LedgerError::damaged("a question that was never asked"));
    };
    Ok(Asked { row, verdict: verdict.read()?, expires_ms: question.expires_ms })
}

/// Ends a question that nobody answered in time.
pub(crate) fn let_lapse(tx: &mut Tx<'_>, approval: ApprovalId) -> Result<PaymentId, LedgerError> {
    let asked = waiting(tx, &approval)?;
    let why = finding(ReasonCode::NoAnswer, None);
    close_question(tx, approval, &asked, Answer::Lapsed, why)?;
    Ok(asked.row.payment)
}

fn close_question(
    tx: &mut Tx<'_>,
    approval: ApprovalId,
    asked: &Asked,
    answer: Answer,
    why: Reason,
) -> Result<(), LedgerError> {
    tx.append(Event::ApprovalAnswered {
        approval,
        payment: asked.row.payment.clone(),
        answer,
        verdict: Later::of(&turned_down(asked.verdict.clone(), why))?,
    })
    .map(|_| ())
}

fn finding(code: ReasonCode, detail: Option<String>) -> Reason {
    let remedy = match code {
        ReasonCode::QuoteChanged | ReasonCode::OfferAnswered => Remedy::Agent,
        _ => Remedy::Owner,
    };
    Reason { detail, ..Reason::new(code, Effect::Deny, remedy) }
}

fn fresh<T>(from_tail: fn(&str) -> Result<T, imprest_domain::IdError>) -> Result<T, LedgerError> {
    from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))
}
