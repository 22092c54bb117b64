//! What the books know that a verdict depends on, read at one moment.

use crate::apply;
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::Order;
use crate::rows::*;
use imprest_domain::{
    Ack, Address, AgentStanding, Asset, Budget, Case, Danger, Gas, Intent, Lowers, Payee,
    PayeeStanding, Shared, Signal, SignalKind, Subject, Units, Usage, ValidityWindow, Verdict,
    Window, danger_for, decide, looks_like, lowers_at, median, price_signal,
};
use jiff::Timestamp;

/// How suspicious the world looks to whoever asks, besides what the books themselves have seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarm {
    /// How suspicious.
    pub danger: Danger,
    /// Why, in a few words without a full stop.
    pub why: Option<&'static str>,
}

impl From<Danger> for Alarm {
    fn from(danger: Danger) -> Alarm {
        Alarm { danger, why: None }
    }
}

impl Alarm {
    fn stricter(self, other: Alarm) -> Alarm {
        if other.danger > self.danger { other } else { self }
    }

    /// An alarm is no signal, and nobody knows when it ends.
    fn holds_up(self, by_itself: Lowers) -> Lowers {
        let unless_above = |level: Danger| by_itself.to(level).filter(|_| self.danger <= level);
        Lowers {
            to_calm: unless_above(Danger::Calm),
            to_wary: unless_above(Danger::Wary),
            to_guarded: unless_above(Danger::Guarded),
        }
    }
}

/// What a clock that runs behind does to trust.
pub(crate) const CLOCK_ALARM: Alarm = Alarm {
    danger: Danger::Guarded,
    why: Some("the computer’s clock was set back by more than two minutes"),
};

/// A signal that a decision itself brings up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) kind: SignalKind,
    pub(crate) subject: Subject,
    pub(crate) detail: String,
}

/// What is known at the moment of a decision.
pub(crate) struct Facts {
    pub(crate) agent: AgentRow,
    pub(crate) payee: PayeeStanding,
    lookalike: Option<Address>,
    gas: Option<Gas>,
    standing: AgentStanding,
    usage: Usage,
    shared: Option<(SharedRow, Usage)>,
    usual_price: Option<Units>,
    frozen: bool,
    signals: Vec<Signal>,
    acks: Vec<Ack>,
    alarm: Alarm,
    now: Timestamp,
}

impl Facts {
    /// Reads them: a fixed number of rows, however long the history is.
    pub(crate) fn load(
        books: &mut Books,
        order: &Order,
        alarm: Alarm,
        (now, clock_behind): (Timestamp, bool),
    ) -> Result<Facts, LedgerError> {
        let (intent, payee) = (&order.intent, &order.intent.payee);
        let agent = books.agent(&intent.agent)?;
        let float_free = account(books, &apply::float(&agent.agent))?;
        let payee_standing = payee_standing(books, payee)?;
        let lookalike = match payee_standing {
            PayeeStanding::Known => None,
            _ => lookalike(books, payee.pay_to)?,
        };
        let gas = gas(books, order, now)?;
        let usage = usage(books, agent.agent.as_str(), &agent.budget.0, intent, now)?;
        let shared = match &agent.shared {
            None => None,
            Some(shared) => {
                let row = books.shared(shared)?;
                let usage =
                    crate::facts::usage(books, shared.as_str(), &row.budget.0, intent, now)?;
                Some((row, usage))
            }
        };
        let item = item_of(&order.url);
        let prices = match payee.is_transfer() {
            true => None,
            false => books.get::<PriceRow>((payee.origin.clone(), item))?,
        };
        let (signals, acks) = signals_about(books, &subjects(order));
        Ok(Facts {
            standing: AgentStanding {
                id: agent.agent.clone(),
                name: agent.name.parse().map_err(|_| LedgerError::damaged("an agent’s name"))?,
                granted: agent.grade,
                revoked: agent.token_sha256.is_none()
                    || order
                        .credential
                        .as_ref()
                        .is_some_and(|asked| agent.token_sha256.as_ref() != Some(asked)),
                float_free,
            },
            usual_price: prices.and_then(|row| median(&row.last.0)),
            frozen: books.desk()?.frozen,
            alarm: if clock_behind { alarm.stricter(CLOCK_ALARM) } else { alarm },
            payee: payee_standing,
            lookalike,
            gas,
            agent,
            usage,
            shared,
            signals,
            acks,
            now,
        })
    }

    /// The rules' answer. `seen` is what this very order brings to light.
    pub(crate) fn decide(&self, order: &Order, seen: &[Sighting], approved: bool) -> Verdict {
        let (danger, why, danger_until) = self.danger(order, seen);
        decide(&Case {
            intent: &order.intent,
            agent: &self.standing,
            budget: &self.agent.budget.0,
            usage: &self.usage,
            shared: self.shared.as_ref().map(|(row, usage)| Shared {
                name: &row.name,
                budget: &row.budget.0,
                usage,
            }),
            payee: self.payee,
            lookalike: self.lookalike,
            gas: self.gas,
            usual_price: self.usual_price,
            danger,
            danger_why: why.as_deref(),
            danger_until,
            frozen: self.frozen,
            approved,
            now: self.now,
        })
    }

    /// The strictest of what the asker knows, what the books remember and what is seen now; why,
    /// and when it comes down by itself.
    fn danger(&self, order: &Order, seen: &[Sighting]) -> (Danger, Option<String>, Lowers) {
        let mut signals = self.signals.clone();
        signals.extend(seen.iter().map(|sighting| Signal {
            seq: u64::MAX,
            at: self.now,
            kind: sighting.kind,
            subject: sighting.subject.clone(),
            detail: sighting.detail.clone(),
        }));
        let subjects = subjects(order);
        let (danger, active) = danger_for(&signals, &self.acks, &subjects, self.now);
        let alarm = self.alarm;
        let lowers = match danger.max(alarm.danger) {
            Danger::Calm => Lowers::default(),
            _ => alarm.holds_up(lowers_at(&signals, &self.acks, &subjects, self.now)),
        };
        if alarm.danger >= danger && alarm.why.is_some() {
            return (alarm.danger, alarm.why.map(str::to_owned), lowers);
        }
        let why = active.first().map(|signal| signal.detail.clone());
        (danger.max(alarm.danger), why, lowers)
    }

    /// What this order brings to light about its payee.
    pub(crate) fn sightings(&self, order: &Order, asset: &Asset) -> Vec<Sighting> {
        let payee = &order.intent.payee;
        let subject = || Subject::Payee { origin: payee.origin.clone() };
        let mut seen = Vec::new();
        if let PayeeStanding::Changed { was } = self.payee {
            let detail =
                format!("{} asks to be paid at {} instead of {was}", payee.origin, payee.pay_to);
            seen.push(Sighting { kind: SignalKind::PayToChanged, subject: subject(), detail });
        }
        if let Some(kind) = price_signal(order.intent.value, self.usual_price) {
            let usual = self.usual_price.unwrap_or_default();
            let detail = format!(
                "{} asks {} where {} was usual",
                payee.origin,
                asset.format_with_symbol(order.intent.value),
                asset.format(usual)
            );
            seen.push(Sighting { kind, subject: subject(), detail });
        }
        seen
    }

    /// The shared budget a hold counts against too.
    pub(crate) fn shared_budget(&self) -> Option<&SharedRow> {
        self.shared.as_ref().map(|(row, _)| row)
    }
}

/// Whom a payment's danger is read from.
fn subjects(order: &Order) -> [Subject; 5] {
    let payee = &order.intent.payee;
    [
        Subject::Desk,
        Subject::Network { chain_id: payee.asset.chain_id },
        Subject::Token { asset: payee.asset },
        Subject::Payee { origin: payee.origin.clone() },
        Subject::Agent { agent: order.intent.agent.clone() },
    ]
}

/// All signals at hand, and their answers.
pub(crate) fn signals(books: &Books) -> (Vec<Signal>, Vec<Ack>) {
    read(books.at_hand::<SignalRow>())
}

/// The signals at hand about some subjects, and their answers.
fn signals_about(books: &Books, subjects: &[Subject]) -> (Vec<Signal>, Vec<Ack>) {
    read(books.at_hand::<SignalRow>().filter(|row| subjects.contains(&row.subject)))
}

fn read<'b>(rows: impl Iterator<Item = &'b SignalRow>) -> (Vec<Signal>, Vec<Ack>) {
    let mut signals = Vec::new();
    let mut acks = Vec::new();
    let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
    for row in rows {
        signals.push(Signal {
            seq: row.seq,
            at: at(row.at_ms),
            kind: row.kind,
            subject: row.subject.clone(),
            detail: row.detail.clone(),
        });
        acks.extend(row.ack_ms.map(|ms| Ack { seq: row.seq, at: at(ms) }));
    }
    (signals, acks)
}

/// What an account holds; only the accounts of agents and payees are asked for, which are never
/// below zero.
pub(crate) fn account(books: &mut Books, account: &str) -> Result<Units, LedgerError> {
    let row = books.get::<AccountRow>((account.to_owned(),))?;
    Units::try_from(row.map_or(0, |row| row.units))
        .map_err(|_| LedgerError::damaged(format!("the account {account} below zero")))
}

/// What each current window of one holder holds: one row a window.
fn usage(
    books: &mut Books,
    holder: &str,
    budget: &Budget,
    intent: &Intent,
    now: Timestamp,
) -> Result<Usage, LedgerError> {
    let mut usage = Usage { hour: books.hour(holder)?, ..Usage::default() };
    for counted in budget.counted(&intent.payee, true, now)? {
        if counted.window == Window::Hour {
            continue;
        }
        let row = books.counter(holder, counted.window, &counted.label)?;
        if counted.window == Window::Lifetime {
            usage.exposure = row.held;
        }
        if let Some(figure) = usage.of_mut(counted.window) {
            *figure = row
                .settled
                .checked_add(row.held)
                .ok_or_else(|| LedgerError::damaged("a counter past all limits"))?;
        }
    }
    // Only who is over the limit wants to know, and looking for it goes through all open holds.
    if let Some(limit) = budget.limit_units_exposure
        && usage.exposure.checked_add(intent.value).is_none_or(|after| after > limit)
    {
        let room = |open: Units| open.checked_add(intent.value).is_some_and(|sum| sum <= limit);
        usage.exposure_frees_at = frees_at(books, holder, usage.exposure, now, room);
    }
    Ok(usage)
}

/// The first moment at which a holder's open holds leave `room`, if none of them is taken and none
/// is added. What should have ended by now is not counted on: the chain may be slow to say so.
fn frees_at(
    books: &Books,
    holder: &str,
    exposure: Units,
    now: Timestamp,
    room: impl Fn(Units) -> bool,
) -> Option<Timestamp> {
    let mut ends: Vec<(Timestamp, Units)> = books
        .at_hand::<PaymentRow>()
        .filter(|row| row.state.is_open())
        .filter(|row| row.spans.iter().flat_map(|s| &s.0).any(|span| &*span.0 == holder))
        .filter_map(|row| Some((ValidityWindow::released_at(row.valid_before_s?)?, row.value)))
        .filter(|(ends_at, _)| *ends_at > now)
        .collect();
    ends.sort_unstable_by_key(|(ends_at, _)| *ends_at);
    let mut open = exposure;
    for (ends_at, value) in ends {
        open = open.checked_sub(value)?;
        if room(open) {
            return Some(ends_at);
        }
    }
    None
}

/// What the treasury pays for transfers today, this one included.
fn gas(books: &mut Books, order: &Order, now: Timestamp) -> Result<Option<Gas>, LedgerError> {
    let Some(terms) = order.gas else { return Ok(None) };
    let label = apply::gas_day(now.as_millisecond());
    let used = books.counter(apply::GAS, Window::Day, &label)?.settled;
    let tomorrow = now.as_second().div_euclid(86_400).saturating_add(1).saturating_mul(86_400);
    Ok(Some(Gas {
        limit_wei: terms.per_day_wei,
        after_wei: used.checked_add(terms.fee_max_wei),
        resets_at: Timestamp::from_second(tomorrow).ok(),
    }))
}

/// A known address, of a payee or of one of the desk's own agents, that this one looks like. One
/// that is known itself is not taken for another.
fn lookalike(books: &Books, pay_to: Address) -> Result<Option<Address>, LedgerError> {
    let mut known: Vec<Address> = books.at_hand::<PayeeRow>().map(|row| row.pay_to).collect();
    known.extend(books.at_hand::<AgentRow>().map(|row| row.address));
    if let Some(disk) = &books.disk {
        let digits = format!("{pay_to:x}");
        let mut statement = disk.prepare_cached(
            "SELECT DISTINCT pay_to FROM payees
                 WHERE lower(substr(pay_to, 3, 4)) = ? AND lower(substr(pay_to, -4)) = ?",
        )?;
        let mut rows = statement.query((&digits[..4], &digits[36..]))?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            known.push(text.parse().map_err(|_| LedgerError::damaged("a payee’s address"))?);
        }
    }
    if known.contains(&pay_to) {
        return Ok(None);
    }
    // The smallest, so that the answer does not depend on what happens to be in memory.
    Ok(known.into_iter().filter(|known| looks_like(pay_to, *known)).min())
}

fn payee_standing(books: &mut Books, payee: &Payee) -> Result<PayeeStanding, LedgerError> {
    let (origin, chain_id, contract) =
        (payee.origin.clone(), payee.asset.chain_id, payee.asset.contract);
    if books.get::<PayeeRow>((origin.clone(), payee.pay_to, chain_id, contract))?.is_some() {
        return Ok(PayeeStanding::Known);
    }
    Ok(match books.get::<OriginRow>((origin, chain_id, contract))? {
        None => PayeeStanding::New,
        Some(row) => PayeeStanding::Changed { was: row.pay_to },
    })
}
