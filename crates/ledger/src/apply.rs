//! What each event does to the books. Live writes, migrations and replays run this same code.
//!
//! Here each event finds its way: to the agents, to a payment's life, to the floats or to sweeps;
//! all of them count in the windows and move units between the accounts.

mod agents;
mod floats;
mod payments;
mod sweeps;
mod windows;

use crate::books::Books;
use crate::error::LedgerError;
use crate::event::{Event, HourSet, SignalAnswer};
use crate::rows::{AccountRow, AgentRow, EntryRow, HostRow, SignalRow};
use crate::table::One;
use imprest_domain::{AgentId, Clears, Units, minute_of};

type Done = Result<(), LedgerError>;

/// The account of what an agent's address holds and no hold claims.
pub(crate) fn float(agent: &AgentId) -> String {
    format!("float/{agent}")
}

/// The account of what holds claim from an agent's address.
pub(crate) fn held(agent: &AgentId) -> String {
    format!("held/{agent}")
}

/// The account of what an origin was paid.
pub(crate) fn payee_account(origin: &str) -> String {
    format!("payee/{origin}")
}

/// Who holds the counter of what the treasury pays for agents' transfers, in wei.
pub(crate) const GAS: &str = "gas";

/// The day of UTC that a moment lies in, as counters name it: it depends on no zone, so a replay
/// cannot come to another one.
pub(crate) fn gas_day(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

/// One event on its way into the books: where it stands in the log, and when it happened.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
}

impl Books {
    /// Applies one event.
    ///
    /// # Errors
    /// When it cannot have happened to these books; what it changed so far has to be taken back.
    pub(crate) fn apply(&mut self, event: Event, place: Place) -> Done {
        match event {
            Event::AgentAdded { .. }
            | Event::BudgetSet { .. }
            | Event::GradeSet { .. }
            | Event::TokenRotated { .. }
            | Event::AgentRevoked { .. }
            | Event::AgentShared { .. }
            | Event::PlaceSeen { .. }
            | Event::SharedAdded { .. }
            | Event::SharedSet { .. } => self.apply_to_agents(&event, place),
            Event::PaymentRefused { .. }
            | Event::PaymentAsked { .. }
            | Event::ApprovalAnswered { .. }
            | Event::PaymentHeld { .. }
            | Event::PaymentVoided { .. }
            | Event::PaymentDelivered { .. }
            | Event::PaymentSettled { .. }
            | Event::PaymentReopened { .. }
            | Event::PaymentExpired { .. }
            | Event::RelaySent { .. }
            | Event::CancelGranted { .. }
            | Event::CancelSent { .. } => self.apply_to_payment(event, place),
            Event::RefillGranted { .. }
            | Event::RefillSent { .. }
            | Event::RefillSettled { .. }
            | Event::RefillFailed { .. }
            | Event::FloatReceived { .. }
            | Event::SpendFound { .. } => self.apply_to_float(&event, place),
            Event::SweepHeld { .. }
            | Event::SweepSent { .. }
            | Event::SweepSettled { .. }
            | Event::SweepVoided { .. }
            | Event::SweepExpired { .. } => self.apply_to_sweep(event, place),
            Event::Frozen {} => self.freeze(),
            Event::Thawed {} => self.thaw(),
            Event::StrangerSpent { .. }
            | Event::FromBackup { .. }
            | Event::RestoreSeen { .. }
            | Event::Reconciled { .. } => self.apply_to_restored(event, place),
            Event::LocksSet { version, locks } => self.set_locks(version, locks),
            Event::LocksTightened { version, locks } => self.tighten_locks(version, locks),
            Event::NodesSet { version, nodes } => self.set_nodes(version, nodes),
            Event::ClockSet { to, hours, .. } => {
                self.set_hours_back(minute_of(to))?;
                for HourSet { holder, minutes } in hours {
                    self.hour_of(&holder)?.raise_to(&minutes);
                }
                Ok(())
            }
            Event::PayeeTrusted { payee } => self.see_payee(&payee, place, None),
            Event::HostAllowed { host } => {
                self.put(HostRow { host });
                Ok(())
            }
            Event::HostRemoved { host } => {
                self.remove::<HostRow>((host,));
                Ok(())
            }
            Event::SignalRaised { kind, subject, detail } => {
                let (seq, at_ms) = (place.seq, place.at_ms);
                self.put(SignalRow { seq, at_ms, kind, subject, detail, ack_ms: None });
                Ok(())
            }
            Event::SignalAnswered { signal, by } => {
                let row = self.edit::<SignalRow>(&(signal,))?.ok_or_else(|| {
                    LedgerError::damaged("an answer to a signal that is not there")
                })?;
                let agrees = matches!(row.kind.clears(), Clears::Agreement { .. });
                if by == SignalAnswer::Agreement && !agrees {
                    // Written without the vault, it would end what only the owner ends.
                    return Err(LedgerError::damaged("a signal that ended by itself and cannot"));
                }
                row.ack_ms = Some(place.at_ms);
                Ok(())
            }
        }
    }

    fn change_agent(&mut self, agent: &AgentId, change: impl FnOnce(&mut AgentRow)) -> Done {
        let row = self
            .edit::<AgentRow>(&One(agent))?
            .ok_or_else(|| LedgerError::NoAgent { name: agent.to_string() })?;
        change(row);
        Ok(())
    }

    /// One double entry: out of one account and into another.
    fn move_units(&mut self, credit: String, debit: String, units: Units, place: Place) -> Done {
        if units.is_zero() {
            return Ok(());
        }
        for (account, change) in [(&credit, -units.as_i64()), (&debit, units.as_i64())] {
            let none = || AccountRow { account: account.clone(), units: 0 };
            let row = self.edit_or_make(&One(account.as_str()), none)?;
            row.units = row.units.checked_add(change).ok_or_else(overflow)?;
            if row.units < 0 && !matches!(account.as_str(), "treasury" | "outside") {
                return Err(LedgerError::damaged(format!("the account {account} below zero")));
            }
        }
        self.put(EntryRow { seq: place.seq, debit, credit, units });
        Ok(())
    }
}

fn sum(a: Units, b: Units) -> Result<Units, LedgerError> {
    a.checked_add(b).ok_or_else(overflow)
}

fn overflow() -> LedgerError {
    LedgerError::damaged("a sum past all limits")
}

pub(crate) fn misplaced() -> LedgerError {
    LedgerError::damaged("an event of another kind")
}
