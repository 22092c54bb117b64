//! The life of payments, taken by both books.

use super::books::*;
use super::desk::{Desk, Seen, digest, freshened, unexpected};
use super::rules::{Expected, sightings, unsaid};
use super::step::{Fresh, Wish};
use imprest_domain::{Outcome, PaymentId, PaymentState};
use imprest_ledger::{Approved, Delivery, Grant, LedgerError, Reserved};
use jiff::SignedDuration;

/// An answer that both books should give.
pub(super) fn agree<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Seen {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} instead of {expected:?}")),
    }
}

/// Whether a step that a payment's life does not have was refused as such.
fn refused_as_no_step(what: &str, answer: Result<(), LedgerError>) -> Seen {
    match answer {
        Err(LedgerError::Transition(_) | LedgerError::Damaged { .. }) => Ok(()),
        other => Err(format!("{what} answered {other:?} where there is no such step")),
    }
}

impl Desk {
    pub(super) async fn reserve(&mut self, wishes: &[Wish]) -> Seen {
        let calls = wishes.iter().map(|wish| {
            let order = wish.order(&self.names.agents[wish.agent]);
            let wait = SignedDuration::from_mins(wish.question_minutes);
            self.ledger.reserve(order, wish.item.asset(), wish.danger, wait)
        });
        // Polled in this order, so this is the order in which the writer gets them.
        let answers = futures::future::join_all(calls).await;
        for (wish, answer) in wishes.iter().zip(answers) {
            self.reserved(wish, answer)?;
        }
        Ok(())
    }

    fn reserved(&mut self, wish: &Wish, answer: Result<Reserved, LedgerError>) -> Seen {
        if let Some(known) = self.same_key(wish).cloned() {
            self.saw("same key again");
            let same = known.wish.item.request() == wish.item.request();
            return match answer {
                Ok(Reserved::Known { payment }) if same => agree("a retry", &payment, &known.id),
                Err(LedgerError::KeyReused { payment }) if !same => {
                    agree("a key reused", &payment, &known.id)
                }
                other => Err(format!("{other:?} for a key of {known:?}")),
            };
        }
        let mut expected = Expected::of(&self.books, wish);
        if expected.outcome(false) == Outcome::Ask {
            if let Some(known) = self.same_question(wish).cloned() {
                self.saw("same question again");
                return match answer {
                    Ok(Reserved::Known { payment }) => agree("a question", &payment, &known.id),
                    other => Err(format!("{other:?} for a question that waits as {known:?}")),
                };
            }
            if self.books.waiting(wish.agent).count() >= 5 {
                expected.denies.insert(("too_many_questions", None));
            }
        }
        let outcome = expected.outcome(false);
        if outcome == Outcome::Allow && !self.books.may_write() {
            self.saw("locked");
            return match answer {
                Err(LedgerError::Locked) => Ok(()),
                other => Err(format!("{other:?} while the vault is locked")),
            };
        }
        self.raise_sightings(wish);
        match answer.map_err(unexpected("reserving"))? {
            Reserved::Granted { payment, verdict, grant } if outcome == Outcome::Allow => {
                self.same_verdict(&expected, &verdict, false)?;
                self.saw("granted");
                self.books.event();
                let place = self.note(payment, wish, PaymentState::Held);
                self.held(place, wish, grant)
            }
            Reserved::Asked { payment, approval, verdict } if outcome == Outcome::Ask => {
                self.same_verdict(&expected, &verdict, false)?;
                self.saw("asked");
                self.books.event();
                let asked_ms = self.books.now_ms();
                let expires_ms = asked_ms + wish.question_minutes * 60_000;
                let asks = expected.asks.clone();
                let place = self.note(payment, wish, PaymentState::Waiting);
                self.books.payments[place].question =
                    Some(Question { approval, asked_ms, expires_ms, asks });
                Ok(())
            }
            Reserved::Refused { payment, verdict } if outcome == Outcome::Deny => {
                self.same_verdict(&expected, &verdict, false)?;
                self.saw("refused");
                self.books.event();
                self.note(payment, wish, PaymentState::Refused);
                self.after_refusal(wish.agent, expected.is_hard());
                Ok(())
            }
            other => Err(format!("{other:?} instead of {expected:?}")),
        }
    }

    fn same_verdict(
        &mut self,
        expected: &Expected,
        verdict: &imprest_domain::Verdict,
        approved: bool,
    ) -> Seen {
        for (code, _) in expected.denies.iter().chain(&expected.asks) {
            self.figures.count(&format!("rule {code}"));
        }
        expected.differs(verdict, approved).map_or(Ok(()), Err)
    }

    fn same_key(&self, wish: &Wish) -> Option<&Payment> {
        wish.key?;
        let same = |p: &&Payment| p.wish.agent == wish.agent && p.wish.key == wish.key;
        self.books.payments.iter().find(same)
    }

    fn same_question(&self, wish: &Wish) -> Option<&Payment> {
        let same = |p: &&Payment| {
            p.wish.key.is_none()
                && p.wish.item.request() == wish.item.request()
                && p.wish.item.payee_key() == wish.item.payee_key()
                && p.wish.value == wish.value
        };
        self.books.waiting(wish.agent).find(same).filter(|_| wish.key.is_none())
    }

    fn note(&mut self, id: PaymentId, wish: &Wish, state: PaymentState) -> usize {
        let wish = wish.clone();
        let (question, hold) = (None, None);
        self.books.payments.push(Payment { id, wish, state, question, hold, answered: false });
        self.books.payments.len() - 1
    }

    /// Money was reserved: the grant says what was asked for, and no limit is passed.
    fn held(&mut self, place: usize, wish: &Wish, grant: Grant) -> Seen {
        let signed = grant.authorization();
        let payee = wish.item.payee();
        agree("the grant’s value", signed.value.get(), wish.value)?;
        agree("the grant’s payee", (signed.to, signed.asset), (payee.pay_to, payee.asset))?;
        agree("the grant’s payment", grant.payment(), &self.books.payments[place].id)?;
        self.grants.insert(place, grant);
        let hold = self.books.hold(wish);
        self.books.payments[place].state = PaymentState::Held;
        self.books.payments[place].hold = Some(hold);
        self.books.limits_hold(place)
    }

    /// Writes down what an order brings to light.
    fn raise_sightings(&mut self, wish: &Wish) {
        for (about, oddity) in unsaid(&self.books, sightings(&self.books, wish)) {
            self.books.raise(about, oddity);
        }
    }

    fn after_refusal(&mut self, agent: usize, hard: bool) {
        if !hard {
            return;
        }
        let now = self.books.now_ms();
        let times = noted(&mut self.books.refusals[agent], now);
        self.books.burst(About::Agent(agent), Oddity::Burst, &times, 600_000);
    }

    /// A payment at hand that has, or had, a question.
    fn question(&self, pick: u64) -> Option<usize> {
        let asked = |waits: bool| {
            self.books
                .places(|p| p.question.is_some() && (!waits || p.state == PaymentState::Waiting))
        };
        // Now and then one that is answered already.
        chosen(asked(true), pick)
            .filter(|_| !pick.is_multiple_of(16))
            .or(chosen(asked(false), pick))
    }

    pub(super) async fn approve(&mut self, pick: u64, fresh: Fresh) -> Seen {
        let Some(place) = self.question(pick) else { return Ok(()) };
        let Payment { id, wish, state, question, .. } = self.books.payments[place].clone();
        let Some(question) = question else { return Ok(()) };
        let wish = freshened(&wish, fresh);
        let order = wish.order(&self.names.agents[wish.agent]);
        let asset = wish.item.asset();
        let answer = self.ledger.approve(&question.approval, order, asset, wish.danger).await;
        if state != PaymentState::Waiting || self.books.now_ms() >= question.expires_ms {
            return match answer {
                Err(LedgerError::NotWaiting { .. }) => Ok(()),
                other => Err(format!("{other:?} for a question that does not wait")),
            };
        }
        if self.books.clock_behind() {
            return match answer {
                Err(LedgerError::ClockBehind) => Ok(()),
                other => Err(format!("{other:?} while the clock is behind")),
            };
        }
        let expected = Expected::of(&self.books, &wish);
        let seen = expected.asks.is_subset(&question.asks);
        let allowed = expected.outcome(true) == Outcome::Allow;
        if fresh == Fresh::Same && seen && allowed && !self.books.may_write() {
            return match answer {
                Err(LedgerError::Locked) => Ok(()),
                other => Err(format!("{other:?} while the vault is locked")),
            };
        }
        match answer.map_err(unexpected("approving"))? {
            Approved::Changed { payment } if fresh != Fresh::Same || !seen => {
                self.saw("approved, but changed");
                self.books.event();
                self.books.payments[place].state = PaymentState::Refused;
                agree("a changed offer", payment, id)
            }
            Approved::Refused { payment, verdict } if fresh == Fresh::Same && seen && !allowed => {
                self.saw("approved, but refused");
                self.same_verdict(&expected, &verdict, true)?;
                self.raise_sightings(&wish);
                self.books.event();
                self.books.payments[place].state = PaymentState::Refused;
                agree("a refused yes", payment, id)
            }
            Approved::Granted { payment, grant } if fresh == Fresh::Same && seen && allowed => {
                self.saw("approved");
                self.raise_sightings(&wish);
                self.books.event();
                for (about, oddity) in sightings(&self.books, &wish) {
                    self.books.answer(|s| s.about == about && s.oddity == oddity);
                }
                self.books.event();
                agree("an approved payment", payment, id)?;
                self.held(place, &wish, grant)
            }
            other => Err(format!("{other:?} for a yes to {expected:?}, asked {question:?}")),
        }
    }

    pub(super) async fn refuse(&mut self, pick: u64) -> Seen {
        let Some(place) = self.question(pick) else { return Ok(()) };
        let payment = self.books.payments[place].clone();
        let Some(question) = payment.question else { return Ok(()) };
        match self.ledger.refuse(&question.approval, None).await {
            Ok(id) if payment.state == PaymentState::Waiting => {
                self.books.event();
                self.books.payments[place].state = PaymentState::Refused;
                agree("a no", id, payment.id)
            }
            Err(LedgerError::NotWaiting { .. }) if payment.state != PaymentState::Waiting => Ok(()),
            other => Err(format!("{other:?} for a no to {:?}", payment.state)),
        }
    }

    pub(super) async fn lapse(&mut self) -> Seen {
        let mut lapsed = self.ledger.lapse().await.map_err(unexpected("lapsing"))?;
        let now = self.books.now_ms();
        let due = self.books.places(|p| {
            let over = p.question.as_ref().is_some_and(|question| question.expires_ms <= now);
            over && p.state == PaymentState::Waiting
        });
        let mut expected = Vec::new();
        for place in due {
            self.books.event();
            self.books.payments[place].state = PaymentState::Refused;
            expected.push(self.books.payments[place].id.clone());
        }
        lapsed.sort_unstable();
        expected.sort_unstable();
        agree("what lapsed", lapsed, expected)
    }

    pub(super) async fn void(&mut self, pick: u64) -> Seen {
        let at_hand = self.grants.keys().copied().collect();
        let Some(place) = chosen(at_hand, pick) else { return Ok(()) };
        let Some(grant) = self.grants.remove(&place) else { return Ok(()) };
        let answer = self.ledger.void(grant, "not signed".into()).await;
        match self.books.payments[place].state {
            PaymentState::Held => {}
            PaymentState::Expired => return answer.map_err(unexpected("voiding what is free")),
            _ => return refused_as_no_step("void", answer),
        }
        answer.map_err(unexpected("voiding"))?;
        self.saw("voided");
        self.books.event();
        self.books.payments[place].state = PaymentState::Void;
        Ok(())
    }

    /// A payment that was held; mostly one that is open, at times any.
    fn once_held(&self, pick: u64) -> Option<usize> {
        let open = self.books.places(|p| p.state.is_open());
        let any = || self.books.places(|_| true);
        chosen(open, pick).filter(|_| !pick.is_multiple_of(12)).or_else(|| chosen(any(), pick))
    }

    pub(super) async fn deliver(&mut self, pick: u64, unknown: bool) -> Seen {
        use PaymentState::*;
        let Some(place) = self.once_held(pick) else { return Ok(()) };
        let Payment { id, wish, state, .. } = self.books.payments[place].clone();
        let delivery = match unknown {
            true => Delivery::Unknown { status: None, why: "cut".into() },
            false => Delivery::Delivered {
                status: 200,
                response_sha256: digest(3, pick),
                claimed_transaction: None,
            },
        };
        let answer = self.ledger.record_delivery(&id, delivery).await;
        let next = if unknown { Unknown } else { Delivered };
        let next = match state {
            Settled => Settled,
            Held | Delivered | Unknown if state != next => next,
            _ => return refused_as_no_step("a delivery", answer),
        };
        answer.map_err(unexpected("recording a delivery"))?;
        self.saw(if unknown { "unknown" } else { "delivered" });
        self.books.event();
        self.books.payments[place].state = next;
        self.books.payments[place].answered = !unknown;
        if unknown {
            let (origin, now) = (wish.item.origin, self.books.now_ms());
            let times = noted(&mut self.books.undelivered[origin], now);
            self.books.burst(About::Origin(origin), Oddity::Undelivered, &times, 86_400_000);
        }
        Ok(())
    }

    pub(super) async fn settle(&mut self, pick: u64) -> Seen {
        let Some(place) = self.once_held(pick) else { return Ok(()) };
        let Payment { id, wish, state, .. } = self.books.payments[place].clone();
        let answer = self.ledger.settle(&id, digest(4, place as u64), pick % 1_000_000).await;
        if state == PaymentState::Settled {
            return answer.map_err(unexpected("settling twice"));
        }
        if !state.is_open() {
            return refused_as_no_step("a settlement", answer);
        }
        answer.map_err(unexpected("settling"))?;
        self.saw("settled");
        self.books.event();
        self.books.payments[place].state = PaymentState::Settled;
        self.books.see_payee(wish.item.payee_key());
        self.books.sell((wish.item.origin, wish.item.path, wish.value));
        Ok(())
    }

    /// The chain takes a settlement back; mostly one that there is, at times any payment's.
    pub(super) async fn reopen(&mut self, pick: u64) -> Seen {
        let settled = self.books.places(|p| p.state == PaymentState::Settled);
        let any = || self.books.places(|_| true);
        let some = chosen(settled, pick).filter(|_| !pick.is_multiple_of(12));
        let Some(place) = some.or_else(|| chosen(any(), pick)) else { return Ok(()) };
        let Payment { id, wish, state, answered, .. } = self.books.payments[place].clone();
        let answer = self.ledger.reopen(&id, pick % 1_000_000).await;
        if state.is_open() {
            return answer.map_err(unexpected("reopening what is open"));
        }
        if !self.books.may_write() {
            self.saw("locked");
            return match answer {
                Err(LedgerError::Locked) => Ok(()),
                other => Err(format!("reopening answered {other:?} while the vault is locked")),
            };
        }
        if state != PaymentState::Settled {
            return refused_as_no_step("a reopening", answer);
        }
        answer.map_err(unexpected("reopening"))?;
        self.saw("reopened");
        self.books.event();
        self.books.unsell((wish.item.origin, wish.item.path, wish.value));
        self.books.payments[place].state =
            if answered { PaymentState::Delivered } else { PaymentState::Unknown };
        Ok(())
    }

    pub(super) async fn expire(&mut self, pick: u64) -> Seen {
        let Some(place) = self.once_held(pick) else { return Ok(()) };
        let Payment { id, state, .. } = self.books.payments[place].clone();
        let answer = self.ledger.expire(&id, pick % 1_000_000).await;
        if state == PaymentState::Expired {
            return answer.map_err(unexpected("expiring twice"));
        }
        if !state.is_open() {
            return refused_as_no_step("an expiry", answer);
        }
        answer.map_err(unexpected("expiring"))?;
        self.saw("expired");
        self.books.event();
        self.books.payments[place].state = PaymentState::Expired;
        Ok(())
    }
}

/// One of those at hand, if there are any.
pub fn chosen(at_hand: Vec<usize>, pick: u64) -> Option<usize> {
    let len = at_hand.len().max(1) as u64;
    at_hand.get((pick % len) as usize).copied()
}

/// Notes one more time; a day's last ten are remembered.
fn noted(times: &mut Vec<i64>, now_ms: i64) -> Vec<i64> {
    times.push(now_ms);
    times.retain(|at| *at > now_ms - 86_400_000);
    times.drain(..times.len().saturating_sub(10));
    times.clone()
}
