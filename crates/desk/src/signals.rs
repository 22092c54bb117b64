//! Signals: what looked odd, how each ends, and the owner's word to those that wait for it.

use crate::desk::Desk;
use crate::pay::at_ms;
use crate::problem::ErrorCode;
use crate::view::{DeskStatus, Problem, SignalView};
use crate::wording::sentence;
use imprest_domain::{Clears, SignalKind, Subject};
use imprest_ledger::{Agent, LedgerError, SignalRecord};

/// How many signals are read: as many as the books themselves keep in mind.
const READ: u32 = 5_000;
/// How many are looked through for the number of open ones.
const COUNTED: u32 = 1_000;
/// How many that are over are still shown.
const OVER_SHOWN: usize = 100;

impl Desk {
    /// What looked odd, newest first: all that is open, and the last that is over.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        let agents = self.inner.ledger.agents().await?;
        let records = self.inner.ledger.signals(READ).await?;
        let mut over = 0;
        Ok(records
            .iter()
            .filter(|record| {
                over += usize::from(record.over);
                !record.over || over <= OVER_SHOWN
            })
            .map(|record| self.signal_view(record, &agents))
            .collect())
    }

    /// How many signals are open.
    pub(crate) async fn open_signals(&self) -> Result<u32, Problem> {
        let records = self.inner.ledger.signals(COUNTED).await?;
        let open = records.iter().filter(|record| !record.over).count();
        Ok(u32::try_from(open).unwrap_or(u32::MAX))
    }

    /// Ends a signal that waits for the owner to have seen it.
    ///
    /// # Errors
    /// `locked`, `not_found` when it is not open, `conflict` when something else ends it.
    pub async fn acknowledge(&self, signal: u64) -> Result<Vec<SignalView>, Problem> {
        let records = self.inner.ledger.signals(READ).await?;
        let record = records
            .iter()
            .find(|record| record.signal.seq == signal && !record.over)
            .ok_or(LedgerError::NoSignal { signal })?;
        let kind = record.signal.kind;
        if matches!(kind, SignalKind::RolledBack | SignalKind::BooksBroken) {
            self.inner.need_presence()?;
            // The ledger on the disk may be sound and yet not be the one the owner knows.
            self.adopt_log().await?;
            self.inner.ledger.acknowledge(signal).await?;
            self.accept_log().await;
        } else {
            self.inner.need_sound_books()?;
            if !needs_ack(kind) {
                return Err(Problem::new(
                    ErrorCode::Conflict,
                    "This signal does not wait for you.",
                    ends(kind),
                ));
            }
            self.inner.need_presence()?;
            self.inner.ledger.acknowledge(signal).await?;
        }
        self.inner.changed(&["status", "overview", "agents"]);
        self.signals().await
    }

    /// Takes the computer's clock as right where it stands behind the books.
    ///
    /// # Errors
    /// `locked`, or `bad_input` when it is not behind.
    pub async fn accept_clock(&self) -> Result<DeskStatus, Problem> {
        self.inner.need_sound_books()?;
        let ledger = &self.inner.ledger;
        // A clock that agrees has nothing to accept, which the books say.
        if ledger.clock_behind().is_some() {
            self.inner.need_presence()?;
        }
        let mut clock = self.inner.clock.lock().await;
        let lapsed = ledger.accept_clock().await?;
        // At once, and not with the job's next look: the owner sees the answer to this.
        clock.look(ledger).await?;
        drop(clock);
        for payment in lapsed {
            ledger.forget_request(&payment).await?;
        }
        self.inner.changed(&["status", "overview", "agents", "activity"]);
        self.status().await
    }

    fn signal_view(&self, record: &SignalRecord, agents: &[Agent]) -> SignalView {
        let signal = &record.signal;
        SignalView {
            seq: signal.seq,
            at: at_ms(signal.at.as_millisecond()),
            kind: signal.kind.word().into(),
            level: signal.kind.level().word().into(),
            subject: self.subject_in_words(&signal.subject, agents),
            detail: sentence(&signal.detail),
            open: !record.over,
            needs_ack: !record.over && needs_ack(signal.kind),
            clears: ends(signal.kind),
            ack_at: record.ack.map(|ack| at_ms(ack.at.as_millisecond())),
        }
    }

    fn subject_in_words(&self, subject: &Subject, agents: &[Agent]) -> String {
        let asset = &self.inner.asset;
        match subject {
            Subject::Desk => "the desk".into(),
            Subject::Network { chain_id } if *chain_id == asset.id.chain_id => {
                format!("the network {}", self.inner.network.name)
            }
            Subject::Token { asset: token } if *token == asset.id => {
                format!("the token {}", asset.symbol)
            }
            Subject::Payee { origin } => self.payee_name(origin),
            Subject::Agent { agent } => agents
                .iter()
                .find(|known| known.id == *agent)
                .map_or_else(|| agent.to_string(), |known| known.name.to_string()),
            Subject::Network { .. } | Subject::Token { .. } => subject.to_string(),
        }
    }
}

/// Whether the owner's acknowledgement is what ends it. A credential that leaked is replaced.
fn needs_ack(kind: SignalKind) -> bool {
    kind.clears() == Clears::Acknowledged && kind != SignalKind::CredentialElsewhere
}

/// How a signal ends, one sentence.
fn ends(kind: SignalKind) -> String {
    match (kind, kind.clears()) {
        (SignalKind::CredentialElsewhere, _) => {
            "It ends when the agent gets a new token: imprest agent rotate NAME.".into()
        }
        (SignalKind::RolledBack | SignalKind::BooksBroken, _) => {
            "Put the right ledger in its place, or acknowledge that this one is right, and start the desk again.".into()
        }
        (_, Clears::Acknowledged) => "It ends when you acknowledge it.".into(),
        (_, Clears::Quiet { hours }) => {
            format!("It ends by itself after {hours} hours without another of its kind.")
        }
        (_, Clears::Agreement { hours: 0 }) => "It ends as soon as both sides agree again.".into(),
        (_, Clears::Agreement { hours: 1 }) => {
            "It ends by itself one hour after both sides agree again.".into()
        }
        (_, Clears::Agreement { hours }) => {
            format!("It ends by itself {hours} hours after both sides agree again.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_how_it_ends() {
        for kind in SignalKind::ALL {
            let text = ends(kind);
            assert!(text.ends_with('.') && !text.contains(". "), "{text}");
        }
        assert!(needs_ack(SignalKind::RefusalBurst) && needs_ack(SignalKind::RolledBack));
        for by_itself in
            [SignalKind::PriceJumped, SignalKind::BooksDiffer, SignalKind::CredentialElsewhere]
        {
            assert!(!needs_ack(by_itself), "{by_itself:?}");
        }
    }
}
