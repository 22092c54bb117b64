//! What the owner does, taken by both books.

use super::books::*;
use super::desk::{Desk, Seen, digest, seal_key, terms, unexpected, units, unread};
use super::limits::Limits;
use super::payments::{agree, chosen};
use super::world::{Item, usdc};
use alloy_primitives::Address;
use imprest_domain::{Grade, PaymentState, SignalKind, Subject, Window};
use imprest_ledger::LedgerError;

impl Desk {
    /// Whether an owner's act went through; while the vault is locked it must not.
    fn authority<T: std::fmt::Debug>(
        &mut self,
        what: &str,
        answer: Result<T, LedgerError>,
    ) -> Seen<Option<T>> {
        match (answer, self.books.may_write()) {
            (Ok(done), true) => Ok(Some(done)),
            (Err(LedgerError::Locked), false) => {
                self.saw("locked");
                Ok(None)
            }
            (other, open) => {
                Err(format!("{what} answered {other:?}, the vault being open: {open}"))
            }
        }
    }

    pub(super) async fn freeze(&mut self) -> Seen {
        self.ledger.freeze().await.map_err(unexpected("freezing"))?;
        if !self.books.frozen {
            self.books.event();
            self.books.frozen = true;
        }
        Ok(())
    }

    pub(super) async fn thaw(&mut self) -> Seen {
        let answer = self.ledger.thaw().await;
        if !self.books.frozen {
            return answer.map_err(unexpected("thawing what is not frozen"));
        }
        if self.authority("thaw", answer)?.is_some() {
            self.books.event();
            self.books.frozen = false;
        }
        Ok(())
    }

    pub(super) async fn set_limits(&mut self, holder: Holder, limits: Limits) -> Seen {
        let before = self.windows_of(holder)?;
        let answer = match holder {
            Holder::Agent(agent) => {
                self.ledger.set_budget(&self.names.agents[agent], limits.budget()).await
            }
            Holder::Group(group) => {
                self.ledger.set_shared(&self.names.groups[group], limits.budget()).await
            }
        };
        let over = limits.ends_ms.is_some_and(|end| end <= self.books.now_ms());
        if over || !limits.is_bounded() {
            return match answer {
                Err(LedgerError::Budget(_)) => Ok(()),
                other => Err(format!("{other:?} for limits that are none")),
            };
        }
        if self.authority("set_budget", answer)?.is_none() {
            return Ok(());
        }
        self.saw("limits changed");
        self.books.event();
        self.books.set_limits(holder, limits);
        self.nothing_reopened(holder, before, self.windows_of(holder)?)
    }

    /// What the file says each current calendar window holds, one by one.
    fn windows_of(&self, holder: Holder) -> Seen<Vec<(Window, String, u128)>> {
        let mut all = Vec::new();
        let zone = self.books.account(holder).limits.zone;
        for kind in CALENDAR {
            let first = Books::label(kind, zone, self.books.now_ms(), (0, 0, false)).first;
            let (name, first) = (self.names.of(holder), first.to_string());
            let counters = self.peek.counters_from(name, kind, &first).map_err(unread)?;
            for (label, sum) in counters {
                let whose = label.strip_prefix(&first).unwrap_or_default().to_owned();
                all.push((kind, whose, sum));
            }
        }
        Ok(all)
    }

    /// No change of limits takes anything out of a current window.
    fn nothing_reopened(
        &self,
        holder: Holder,
        before: Vec<(Window, String, u128)>,
        after: Vec<(Window, String, u128)>,
    ) -> Seen {
        for (kind, whose, held) in before {
            let now = after.iter().find(|(k, w, _)| (*k, w) == (kind, &whose));
            let now = now.map_or(0, |(_, _, sum)| *sum);
            if now < held {
                return Err(format!(
                    "{holder:?}’s current {} fell from {held} to {now} with its limits",
                    kind.word()
                ));
            }
        }
        Ok(())
    }

    pub(super) async fn set_grade(&mut self, agent: usize, grade: Grade) -> Seen {
        let answer = self.ledger.set_grade(&self.names.agents[agent], grade).await;
        if self.authority("set_grade", answer)?.is_some() {
            self.books.event();
            self.books.agents[agent].grade = grade;
        }
        Ok(())
    }

    pub(super) async fn join(&mut self, agent: usize, group: Option<usize>) -> Seen {
        let shared = group.map(|group| self.names.groups[group].clone());
        let answer = self.ledger.join_shared(&self.names.agents[agent], shared).await;
        if self.books.agents[agent].group == group {
            return answer.map_err(unexpected("joining again"));
        }
        if self.authority("join_shared", answer)?.is_some() {
            self.books.event();
            self.books.agents[agent].group = group;
        }
        Ok(())
    }

    pub(super) async fn acknowledge(&mut self, pick: u64) -> Seen {
        let open = self.books.signals.iter().enumerate().filter(|(_, s)| s.ack_ms.is_none());
        let Some(place) = chosen(open.map(|(place, _)| place).collect(), pick) else {
            return match self.ledger.acknowledge(pick | (1 << 40)).await {
                Err(LedgerError::NoSignal { .. }) => Ok(()),
                other => Err(format!("{other:?} for a signal that is none")),
            };
        };
        let seq = self.books.signals[place].seq;
        let answer = self.ledger.acknowledge(seq).await;
        if self.authority("acknowledge", answer)?.is_some() {
            self.books.answer(|signal| signal.seq == seq);
        }
        Ok(())
    }

    pub(super) async fn acknowledge_all(&mut self) -> Seen {
        if self.books.may_write() {
            while self.books.signals.iter().any(|signal| signal.ack_ms.is_none()) {
                self.acknowledge(0).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn differ(&mut self) -> Seen {
        let subject = Subject::Network { chain_id: usdc().id.chain_id };
        let said = self.ledger.raise_signal(SignalKind::BooksDiffer, subject, "differ".into());
        said.await.map_err(unexpected("raising a signal"))?;
        let unsaid = |s: &Signal| s.ack_ms.is_some() || s.oddity != Oddity::Differ;
        if self.books.signals.iter().all(unsaid) {
            self.books.raise(About::Network, Oddity::Differ);
        }
        Ok(())
    }

    pub(super) async fn agree(&mut self) -> Seen {
        let subject = Subject::Network { chain_id: usdc().id.chain_id };
        let agreed = self.ledger.agreed(SignalKind::BooksDiffer, subject).await;
        agreed.map_err(unexpected("agreeing"))?;
        self.books.answer(|signal| signal.oddity == Oddity::Differ);
        Ok(())
    }

    pub(super) async fn used_from(&mut self, agent: usize, place: u8) -> Seen {
        let name = format!("place {place}");
        let used = self.ledger.credential_used(&self.names.agents[agent], name).await;
        used.map_err(unexpected("using a credential"))?;
        match self.books.agents[agent].place {
            None => {
                self.books.event();
                self.books.agents[agent].place = Some(place);
            }
            Some(known) if known == place => {}
            Some(known) => {
                let seen = vec![(About::Agent(agent), Oddity::Elsewhere { known, place })];
                for (about, oddity) in super::rules::unsaid(&self.books, seen) {
                    self.books.raise(about, oddity);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn rotate(&mut self, agent: usize) -> Seen {
        let token = format!("token {agent} after {}", self.books.events);
        let answer = self.ledger.rotate_token(&self.names.agents[agent], token).await;
        if self.authority("rotate_token", answer)?.is_some() {
            self.books.event();
            self.books.agents[agent].place = None;
            self.books.answer(|signal| {
                signal.about == About::Agent(agent)
                    && matches!(signal.oddity, Oddity::Elsewhere { .. })
            });
        }
        Ok(())
    }

    pub(super) async fn refill(&mut self, agent: usize, value: u128, fails: bool) -> Seen {
        let name = &self.names.agents[agent];
        let answer = self.ledger.begin_refill(name, units(value), usdc(), terms()).await;
        let Some(grant) = self.authority("begin_refill", answer)? else { return Ok(()) };
        self.books.event();
        if fails {
            let failed = self.ledger.refill_failed(grant.refill(), "no gas".into()).await;
            self.books.event();
            return failed.map_err(unexpected("failing a refill"));
        }
        let tx = digest(1, self.refills.len() as u64);
        let sent = self.ledger.refill_sent(grant.refill(), tx).await;
        sent.map_err(unexpected("sending a refill"))?;
        let settled = self.ledger.refill_settled(grant.refill(), tx, 1).await;
        settled.map_err(unexpected("settling a refill"))?;
        self.books.event();
        self.books.event();
        self.refills.push(tx);
        self.books.agents[agent].received += value;
        Ok(())
    }

    pub(super) async fn received(&mut self, agent: usize, value: u128, again: bool) -> Seen {
        let fresh = (digest(2, self.receipts.len() as u64), 7);
        let known = self.receipts.last().copied().filter(|_| again);
        let refill =
            self.refills.last().filter(|_| again && value.is_multiple_of(2)).map(|tx| (*tx, 0));
        let (tx, log) = refill.or(known).unwrap_or(fresh);
        let name = &self.names.agents[agent];
        let from = Address::repeat_byte(0x99);
        let booked = self.ledger.float_received(name, from, units(value), tx, log, 5).await;
        let is_new = refill.or(known).is_none();
        if booked.map_err(unexpected("receiving"))? != is_new {
            return Err(format!("money booked: {}, though it was new: {is_new}", !is_new));
        }
        if is_new {
            self.books.event();
            self.receipts.push(fresh);
            self.books.agents[agent].received += value;
        }
        Ok(())
    }

    pub(super) async fn trust(&mut self, item: Item) -> Seen {
        let answer = self.ledger.trust_payee(item.payee()).await;
        if self.books.standing(item) == Standing::Known {
            return answer.map_err(unexpected("trusting a known payee"));
        }
        if self.authority("trust_payee", answer)?.is_some() {
            self.books.event();
            self.books.see_payee(item.payee_key());
        }
        Ok(())
    }

    pub(super) async fn accept_clock(&mut self) -> Seen {
        let answer = self.ledger.accept_clock().await;
        if !self.books.clock_behind() {
            return match answer {
                Err(LedgerError::ClockAgrees) => Ok(()),
                other => Err(format!("{other:?} for a clock that agrees")),
            };
        }
        if let Some(mut lapsed) = self.authority("accept_clock", answer)? {
            self.saw("clock set back");
            let to = self.books.system_ms;
            let ahead = self.books.places(|p| {
                let asked = p.question.as_ref().is_some_and(|question| question.asked_ms > to);
                asked && p.state == PaymentState::Waiting
            });
            let mut expected = Vec::new();
            for place in ahead {
                self.books.event();
                self.books.payments[place].state = PaymentState::Refused;
                expected.push(self.books.payments[place].id.clone());
            }
            lapsed.sort_unstable();
            expected.sort_unstable();
            agree("what lapsed with the clock", lapsed, expected)?;
            self.books.set_clock_back();
        }
        Ok(())
    }

    pub(super) async fn lock(&mut self) -> Seen {
        self.books.open = false;
        self.ledger.close_seal().await.map_err(unexpected("locking"))
    }

    pub(super) async fn unlock(&mut self) -> Seen {
        if !self.books.sealed || self.books.open {
            return Ok(());
        }
        self.books.open = true;
        self.ledger.open_seal(seal_key(), true).await.map_err(unexpected("unlocking"))
    }
}
