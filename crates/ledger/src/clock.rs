//! The one clock: the system's, but never behind the log; and what the owner's word that the
//! system's is right does.

use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, Head, HourSet};
use crate::rows::{ApprovalRow, Span};
use crate::store::Tx;
use crate::{read, reserve};
use imprest_domain::{ApprovalId, Counted, HourUse, PaymentId, Units, Window, minute_of};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// How far the system's clock may fall behind the books' before nothing is held or signed: more
/// than time servers ever correct, and less than the shortest window.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock of one's own, for tests that turn it.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(read))
    }

    /// What the system says, right or wrong.
    pub fn system(&self) -> Timestamp {
        (self.0)()
    }

    /// The books' time after `head`, and whether the system's clock stands more than
    /// [`CLOCK_TOLERANCE`] behind it.
    pub(crate) fn now_after(&self, head: &Head) -> (Timestamp, bool) {
        let mark = Timestamp::from_millisecond(head.at_ms).unwrap_or_default();
        let system = self.system();
        (system.max(mark), mark.duration_since(system) > CLOCK_TOLERANCE)
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Sets the books' clock back to `to`, and answers the payments whose questions lapsed by it.
pub(crate) fn accept(tx: &mut Tx<'_>, to: Timestamp) -> Result<Vec<PaymentId>, LedgerError> {
    if !tx.clock_behind {
        return Err(LedgerError::ClockAgrees);
    }
    let from = tx.now;
    let lapsed = lapse_ahead(tx, to)?;
    let hours = hours_at(tx, minute_of(to))?;
    tx.set_now(to);
    tx.append(Event::ClockSet { from, to, hours })?;
    Ok(lapsed)
}

/// Lets every question lapse that was asked ahead of `to`: its end lies ahead too, and it would
/// wait for as long as the clock had jumped.
fn lapse_ahead(tx: &mut Tx<'_>, to: Timestamp) -> Result<Vec<PaymentId>, LedgerError> {
    let to_ms = to.as_millisecond();
    let is_ahead = |row: &ApprovalRow| row.state == "waiting" && row.asked_ms > to_ms;
    let at_hand = tx.books.at_hand::<ApprovalRow>().filter(|row| is_ahead(row));
    let mut ahead: BTreeSet<ApprovalId> = at_hand.map(|row| row.approval.clone()).collect();
    ahead.extend(written_ahead(file(tx.books)?, to_ms)?);
    let mut lapsed = Vec::new();
    for approval in ahead {
        // What is in memory wins: its question may have been answered in this very group.
        let row = tx.books.get::<ApprovalRow>((approval.clone(),))?;
        if row.as_ref().is_some_and(is_ahead) {
            lapsed.push(reserve::let_lapse(tx, approval)?);
        }
    }
    Ok(lapsed)
}

fn written_ahead(file: &Connection, to_ms: i64) -> Result<Vec<ApprovalId>, LedgerError> {
    let mut statement =
        file.prepare("SELECT approval FROM approvals WHERE state = 'waiting' AND asked_ms > ?")?;
    let mut rows = statement.query([to_ms])?;
    let mut ahead = Vec::new();
    while let Some(row) = rows.next()? {
        ahead.push(read::id(row.get(0)?)?);
    }
    Ok(ahead)
}

/// What every rolling hour holds once the clock is back at a minute.
///
/// The hours in the books are not enough: an hour forgets what lies more than sixty minutes before
/// its newest payment, and a payment ahead of the clock made it forget the true hour.
fn hours_at(tx: &mut Tx<'_>, minute: i64) -> Result<Vec<HourSet>, LedgerError> {
    let before = Before::read(tx, minute)?;
    let known = tx.books.hours()?.into_iter().map(|row| (row.holder, row.minutes.0));
    let mut known: BTreeMap<String, HourUse> = known.collect();
    for holder in before.keys() {
        known.entry(holder.clone()).or_default();
    }
    let none = HourUse::default();
    let hours = known.into_iter().map(|(holder, hour)| {
        let minutes = hour.set_back_onto(minute, before.get(&holder).unwrap_or(&none));
        HourSet { holder, minutes }
    });
    Ok(hours.filter(|hour| !hour.minutes.is_empty()).collect())
}

/// The rolling hours as they were at a minute of the past, read off the log from its end back.
///
/// The log's times only ever fall behind where the clock was set back, and an event of that kind
/// says what the hours then held. So the walk ends with the last of these, or an hour before the
/// minute in question, however long the log is.
struct Before {
    /// The first minute that counts.
    first: i64,
    /// The last: what lies after it is in the books' own hours, or was moved when the clock was
    /// last set back.
    last: i64,
    /// Holds that were given back and never signed, and whose begin the walk has not met yet.
    unsigned: BTreeSet<PaymentId>,
    hours: BTreeMap<String, HourUse>,
    /// Whether the walk ended with a change of the clock.
    from_there: bool,
}

impl Before {
    fn read(tx: &mut Tx<'_>, minute: i64) -> Result<BTreeMap<String, HourUse>, LedgerError> {
        let first = HourUse::first_minute(minute);
        let (unsigned, hours) = Default::default();
        let mut it = Before { first, last: minute, unsigned, hours, from_there: false };
        it.walk(tx)?;
        if it.from_there {
            it.give_back(tx.books)?;
        }
        Ok(it.hours)
    }

    fn walk(&mut self, tx: &Tx<'_>) -> Result<(), LedgerError> {
        let file = file(tx.books)?;
        let written: u64 =
            file.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
        // This very group's first: they are not in the file yet.
        for seq in (written + 1..=tx.head.seq).rev() {
            if !self.goes_on_before(tx.event(seq)?)? {
                return Ok(());
            }
        }
        let mut statement =
            file.prepare("SELECT at_ms, kind, body FROM events ORDER BY seq DESC")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let minute = row.get::<_, i64>(0)?.div_euclid(60_000);
            if minute < self.first {
                break;
            }
            let kind: String = row.get(1)?;
            let counts = match kind.as_str() {
                "payment_held" => minute <= self.last,
                kind => {
                    let counts = ["payment_voided", "clock_set", "spend_found", "stranger_spent"];
                    counts.contains(&kind)
                }
            };
            let body = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            if counts && !self.goes_on_before(Event::parse(&kind, body)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes one event in; answers whether what came before it can still matter.
    fn goes_on_before(&mut self, event: Event) -> Result<bool, LedgerError> {
        match event {
            Event::PaymentVoided { payment, .. } => {
                self.unsigned.insert(payment);
            }
            Event::PaymentHeld { payment, order, spans, shared, .. } => {
                if self.unsigned.remove(&payment) {
                    return Ok(true);
                }
                let value = order.intent.value;
                self.hold(order.intent.agent.as_str(), &spans, value)?;
                if let Some(shared) = shared {
                    self.hold(shared.shared.as_str(), &shared.spans, value)?;
                }
            }
            Event::SpendFound { agent, value, spans, shared, .. } => {
                self.hold(agent.as_str(), &spans, value)?;
                for shared in &shared {
                    self.hold(shared.shared.as_str(), &shared.spans, value)?;
                }
            }
            Event::StrangerSpent { value, shared, .. } => {
                for shared in &shared {
                    self.hold(shared.shared.as_str(), &shared.spans, value)?;
                }
            }
            Event::ClockSet { to, hours, .. } => {
                let to = minute_of(to);
                // From an older desk there is nothing to read here, so the walk goes on.
                if to <= self.last && !hours.is_empty() {
                    self.begin_with(&hours)?;
                    return Ok(false);
                }
                self.last = self.last.min(to);
            }
            _ => {}
        }
        Ok(true)
    }

    fn hold(&mut self, holder: &str, spans: &[Counted], value: Units) -> Result<(), LedgerError> {
        for counted in spans.iter().filter(|counted| counted.window == Window::Hour) {
            let minute = minute_named(&counted.label)?;
            if (self.first..=self.last).contains(&minute) {
                let hour = self.hours.entry(holder.to_owned()).or_default();
                hour.add(minute, value).ok_or_else(too_much)?;
            }
        }
        Ok(())
    }

    /// The hours as they were when the clock was last set back.
    fn begin_with(&mut self, hours: &[HourSet]) -> Result<(), LedgerError> {
        for HourSet { holder, minutes } in hours {
            let hour = self.hours.entry(holder.clone()).or_default();
            hour.add_all(minutes).ok_or_else(too_much)?;
        }
        self.from_there = true;
        Ok(())
    }

    /// Takes out what those hours held and was given back since.
    fn give_back(&mut self, books: &mut Books) -> Result<(), LedgerError> {
        for payment in &self.unsigned {
            let row = books.payment(payment)?;
            for Span(holder, window, label) in row.spans.iter().flat_map(|spans| &spans.0) {
                if *window == Window::Hour
                    && let Some(hour) = self.hours.get_mut(&**holder)
                {
                    hour.take(minute_named(label)?, row.value);
                }
            }
        }
        Ok(())
    }
}

fn file(books: &Books) -> Result<&Connection, LedgerError> {
    books.disk.as_ref().ok_or_else(|| LedgerError::Stopped { why: "there is no file".into() })
}

fn minute_named(label: &str) -> Result<i64, LedgerError> {
    label.parse().map_err(|_| LedgerError::damaged("a minute that is no number"))
}

fn too_much() -> LedgerError {
    LedgerError::damaged("a sum past all limits")
}
