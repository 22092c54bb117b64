//! Signals: what looked odd, who ended it, and the bursts the ledger sees by itself.

use crate::error::LedgerError;
use crate::event::{Event, SignalAnswer};
use crate::facts::{self, Sighting};
use crate::rows::*;
use crate::store::Tx;
use crate::{Ledger, read};
use imprest_domain::{
    Ack, AgentId, Clears, Danger, PaymentId, Signal, SignalKind, Subject, danger_for, fold, is_over,
};
use sqlx::Row as _;
use std::collections::BTreeMap;

/// How many hard refusals in how many milliseconds are a burst (docs/decisions/0014).
const BURST: (usize, i64) = (3, 10 * 60 * 1000);
/// How many undelivered payments of one payee in how many milliseconds are too many
/// (docs/decisions/0014).
const UNDELIVERED: (usize, i64) = (3, 24 * 60 * 60 * 1000);

/// A signal as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecord {
    /// What was seen.
    pub signal: Signal,
    /// When it was acknowledged, or agreed again.
    pub ack: Option<Ack>,
    /// Whether it can never count again.
    pub over: bool,
}

impl Ledger {
    /// Records that something looks odd. While a signal of a kind and subject is open it stands for
    /// all of them; one that ends by quiet stands for an hour.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn raise_signal(
        &self,
        kind: SignalKind,
        subject: Subject,
        detail: String,
    ) -> Result<(), LedgerError> {
        self.store.write(move |tx| raise(tx, &[Sighting { kind, subject, detail }])).await
    }

    /// The owner acknowledges a signal that waits for that.
    ///
    /// # Errors
    /// [`LedgerError::NoSignal`] when it is not open, [`LedgerError::Locked`], or a failed write.
    pub async fn acknowledge(&self, signal: u64) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                let row = tx.books.get::<SignalRow>((signal,))?;
                if row.is_none_or(|row| row.ack_ms.is_some()) {
                    return Err(LedgerError::NoSignal { signal });
                }
                tx.append(Event::SignalAnswered { signal, by: SignalAnswer::Owner }).map(|_| ())
            })
            .await
    }

    /// Records that what disagreed agrees again; only signals that end that way are ended.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn agreed(&self, kind: SignalKind, subject: Subject) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                if !matches!(kind.clears(), Clears::Agreement { .. }) {
                    return Ok(());
                }
                for signal in open(tx, |row| row.kind == kind && row.subject == subject) {
                    tx.append(Event::SignalAnswered { signal, by: SignalAnswer::Agreement })?;
                }
                Ok(())
            })
            .await
    }

    /// Records where a credential is used from. A second place is a sign that it leaked: the
    /// agent is halted until its credential is replaced.
    ///
    /// # Errors
    /// When the agent is unknown or the write fails.
    pub async fn credential_used(&self, agent: &AgentId, place: String) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| match tx.books.agent(&agent)?.place {
                Some(known) if known == place => Ok(()),
                None => tx.append(Event::PlaceSeen { agent, place }).map(|_| ()),
                Some(known) => {
                    let detail = format!("its credential is used by {place} and by {known}");
                    let kind = SignalKind::CredentialElsewhere;
                    raise(tx, &[Sighting { kind, subject: Subject::Agent { agent }, detail }])
                }
            })
            .await
    }

    /// Signals, newest first: all that wait for an answer, and the last `limit` of all.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn signals(&self, limit: u32) -> Result<Vec<SignalRecord>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM signals
             WHERE seq IN (SELECT seq FROM signals ORDER BY seq DESC LIMIT ?)
                OR (ack_ms IS NULL AND kind <> 'price_jumped')
             ORDER BY seq DESC",
        )
        .bind(i64::from(limit.clamp(1, 5_000)))
        .fetch_all(&self.store.readers)
        .await?;
        let now = self.now();
        rows.iter()
            .map(|row| {
                let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
                let seq = row.try_get::<i64, _>("seq")?.unsigned_abs();
                let signal = Signal {
                    seq,
                    at: at(row.try_get("at_ms")?),
                    kind: SignalKind::from_word(row.try_get("kind")?)
                        .ok_or_else(|| LedgerError::damaged("a signal of another kind"))?,
                    subject: read::id(row.try_get("subject")?)?,
                    detail: row.try_get("detail")?,
                };
                let ack =
                    row.try_get::<Option<i64>, _>("ack_ms")?.map(|ms| Ack { seq, at: at(ms) });
                let over = is_over(&signal, ack.as_ref(), now);
                Ok(SignalRecord { signal, ack, over })
            })
            .collect()
    }

    /// The danger of every subject that has any.
    ///
    /// # Errors
    /// When the ledger's writer has stopped.
    pub async fn dangers(&self) -> Result<BTreeMap<Subject, Danger>, LedgerError> {
        self.store
            .write(|tx| {
                let (signals, acks) = facts::signals(tx.books);
                Ok(fold(&signals, &acks, tx.now))
            })
            .await
    }

    /// How suspicious the books are of a subject and of the desk as a whole, and why.
    ///
    /// # Errors
    /// When the ledger's writer has stopped.
    pub async fn danger_of(
        &self,
        subject: Subject,
    ) -> Result<(Danger, Option<String>), LedgerError> {
        self.store
            .write(move |tx| {
                let (signals, acks) = facts::signals(tx.books);
                let (danger, active) =
                    danger_for(&signals, &acks, &[Subject::Desk, subject], tx.now);
                let why = active.first().map(|signal| signal.detail.clone());
                Ok(match tx.clock_behind && danger < facts::CLOCK_ALARM.danger {
                    true => (facts::CLOCK_ALARM.danger, facts::CLOCK_ALARM.why.map(str::to_owned)),
                    false => (danger, why),
                })
            })
            .await
    }
}

/// How long a signal that ends by quiet is not said again, in milliseconds: its quiet begins
/// anew with each, and a payee that is asked often would fill the log.
const SAID_FOR_MS: i64 = 60 * 60 * 1000;

/// Appends each sighting that no open signal of its kind and subject stands for already. Another
/// address or price of the same payee says nothing new, and whoever names one would otherwise
/// decide how many signals there are.
pub(crate) fn raise(tx: &mut Tx<'_>, seen: &[Sighting]) -> Result<(), LedgerError> {
    for Sighting { kind, subject, detail } in seen {
        let since = tx.now.as_millisecond().saturating_sub(SAID_FOR_MS);
        let stands =
            |row: &SignalRow| !matches!(kind.clears(), Clears::Quiet { .. }) || row.at_ms > since;
        let said = |row: &SignalRow| row.kind == *kind && row.subject == *subject && stands(row);
        if open(tx, said).is_empty() {
            tx.append(Event::SignalRaised {
                kind: *kind,
                subject: subject.clone(),
                detail: detail.clone(),
            })?;
        }
    }
    Ok(())
}

/// A yes of the owner answers the signals that the question showed.
pub(crate) fn answered_by_approval(tx: &mut Tx<'_>, seen: &[Sighting]) -> Result<(), LedgerError> {
    for sighting in seen {
        let same = |row: &SignalRow| {
            row.kind == sighting.kind
                && row.subject == sighting.subject
                && row.detail == sighting.detail
        };
        for signal in open(tx, same) {
            tx.append(Event::SignalAnswered { signal, by: SignalAnswer::Owner })?;
        }
    }
    Ok(())
}

/// A new credential ends the suspicion against the old one.
pub(crate) fn credential_replaced(tx: &mut Tx<'_>, agent: &AgentId) -> Result<(), LedgerError> {
    let subject = Subject::Agent { agent: agent.clone() };
    let same =
        |row: &SignalRow| row.kind == SignalKind::CredentialElsewhere && row.subject == subject;
    for signal in open(tx, same) {
        tx.append(Event::SignalAnswered { signal, by: SignalAnswer::Owner })?;
    }
    Ok(())
}

/// A burst of hard refusals makes every payment of the agent a question.
pub(crate) fn after_refusal(tx: &mut Tx<'_>, agent: &AgentId) -> Result<(), LedgerError> {
    let subject = Subject::Agent { agent: agent.clone() };
    let detail = "it was refused three times in ten minutes".to_owned();
    burst(tx, subject, SignalKind::RefusalBurst, BURST, detail)
}

/// A payee that takes signatures and delivers nothing is not paid unasked.
pub(crate) fn after_unknown(tx: &mut Tx<'_>, payment: &PaymentId) -> Result<(), LedgerError> {
    let origin = tx.books.payment(payment)?.origin;
    let detail = format!("{origin} left three payments undelivered within a day");
    burst(tx, Subject::Payee { origin }, SignalKind::Undelivered, UNDELIVERED, detail)
}

fn burst(
    tx: &mut Tx<'_>,
    subject: Subject,
    kind: SignalKind,
    (many, within_ms): (usize, i64),
    detail: String,
) -> Result<(), LedgerError> {
    let since = tx.now.as_millisecond().saturating_sub(within_ms);
    // What came before the last answer was answered with it.
    let answered = tx
        .books
        .at_hand::<SignalRow>()
        .filter(|row| row.kind == kind && row.subject == subject)
        .filter_map(|row| row.ack_ms)
        .max()
        .unwrap_or(i64::MIN);
    let row = tx.books.get::<TallyRow>((subject.clone(), kind))?;
    let times = row.map(|row| row.times.0).unwrap_or_default();
    let recent = times.iter().filter(|at| **at > since && **at > answered).count();
    if recent >= many { raise(tx, &[Sighting { kind, subject, detail }]) } else { Ok(()) }
}

fn open(tx: &Tx<'_>, wanted: impl Fn(&SignalRow) -> bool) -> Vec<u64> {
    let mut found: Vec<u64> = tx
        .books
        .at_hand::<SignalRow>()
        .filter(|row| row.ack_ms.is_none() && wanted(row))
        .map(|row| row.seq)
        .collect();
    found.sort_unstable();
    found
}
