//! The life of a payment: refused or asked, held, delivered, settled or expired; and a settlement that
//! the chain takes back.

use super::windows::{End, minute};
use super::{Done, GAS, Place, float, gas_day, held, misplaced, overflow, payee_account, sum};
use crate::books::Books;
use crate::cell::Json;
use crate::error::LedgerError;
use crate::event::{Answer, Delivery, Event, Order, SharedHold};
use crate::rows::*;
use crate::table::One;
use alloy_primitives::B256;
use imprest_domain::{
    AgentId, Authorization, Counted, Outcome, Payee, PaymentId, PaymentState, SignalKind, Subject,
    Units, Window,
};
use std::sync::Arc;

/// How many prices of one thing are remembered.
const PRICES_KEPT: usize = 10;
/// How many odd moments of one kind are remembered, and for how long, in milliseconds.
const TALLIES_KEPT: usize = 10;
const TALLY_MS: i64 = 24 * 60 * 60 * 1000;
/// What is said of a payment whose block the chain has undone.
const UNDONE: &str = "the chain took back the block in which it was paid";

impl Books {
    pub(super) fn apply_to_payment(&mut self, event: Event, place: Place) -> Done {
        match event {
            Event::PaymentRefused { payment, order, hard, .. } => {
                let agent = order.intent.agent.clone();
                self.insert_payment(payment, order, PaymentState::Refused, place)?;
                let tally = SignalKind::RefusalBurst;
                if hard { self.tally(Subject::Agent { agent }, tally, place) } else { Ok(()) }
            }
            Event::PaymentAsked { payment, order, approval, expires_at, .. } => {
                let agent = order.intent.agent.clone();
                self.insert_payment(payment.clone(), order, PaymentState::Waiting, place)?;
                self.change_agent(&agent, |row| row.questions.0.push(payment.clone()))?;
                self.put(ApprovalRow {
                    approval,
                    payment,
                    state: "waiting".into(),
                    asked_ms: place.at_ms,
                    expires_ms: expires_at.as_millisecond(),
                    answered_ms: None,
                    answer: None,
                });
                Ok(())
            }
            Event::ApprovalAnswered { approval, payment, answer, verdict } => {
                let yes = answer == Answer::Approved && verdict.read()?.outcome == Outcome::Allow;
                self.answer(&approval, &answer, place)?;
                self.end_question(&payment)?;
                // A yes that the limits accept goes on as a hold; anything else ends here.
                if yes { Ok(()) } else { self.refuse(&payment, place) }
            }
            Event::PaymentHeld { payment, order, authorization, spans, shared, .. } => {
                self.hold(payment, order, &authorization, (spans, shared), place)
            }
            Event::PaymentVoided { payment, why, gas } => {
                let row = self.step(&payment, PaymentState::Void, place)?;
                self.release(&row, true, place)?;
                if let Some(gas) = gas {
                    let counter = self.counter_of(GAS, Window::Day, &gas.day)?;
                    let gone = || LedgerError::damaged("gas that no day counts");
                    counter.settled = counter.settled.checked_sub(gas.wei).ok_or_else(gone)?;
                }
                self.put(PaymentRow { note: Some(why), ..row });
                Ok(())
            }
            Event::PaymentDelivered { payment, delivery } => {
                self.deliver(&payment, delivery, place)
            }
            Event::PaymentSettled { payment, transaction, block } => {
                self.settle(&payment, &transaction, block, place)
            }
            Event::PaymentReopened { payment, .. } => self.reopen(&payment, place),
            Event::PaymentExpired { payment, block } => {
                let row = self.step(&payment, PaymentState::Expired, place)?;
                self.release(&row, false, place)?;
                self.put(PaymentRow { block: Some(block), ..row });
                Ok(())
            }
            Event::RelaySent { payment, transaction } => {
                let mut row = self.lift_payment(&payment)?;
                if row.from_address.is_none() {
                    return Err(LedgerError::damaged("a relay of what was never held"));
                }
                // The chain may have ended it since, and then knows better by what.
                if row.state.is_open() {
                    row.tx = Some(transaction.to_string());
                }
                self.put(PaymentRow { updated_ms: place.at_ms, ..row });
                Ok(())
            }
            Event::CancelGranted { payment, authorizer, nonce } => {
                let mut row = self.lift_payment(&payment)?;
                let signed = (row.from_address, row.nonce) == (Some(authorizer), Some(nonce));
                if !signed || !row.state.is_open() {
                    return Err(LedgerError::damaged("a cancellation of what was not signed"));
                }
                row.updated_ms = place.at_ms;
                self.put(row);
                Ok(())
            }
            // The chain may have ended the payment since; what was sent was sent.
            Event::CancelSent { payment, .. } => {
                let row = self.lift_payment(&payment)?;
                self.put(PaymentRow { updated_ms: place.at_ms, ..row });
                Ok(())
            }
            _ => Err(misplaced()),
        }
    }

    fn insert_payment(
        &mut self,
        payment: PaymentId,
        order: Order,
        state: PaymentState,
        place: Place,
    ) -> Done {
        self.check_new(&payment)?;
        let agent = &order.intent.agent;
        self.change_agent(agent, |row| row.last_ms = Some(place.at_ms))?;
        let desk = self.desk()?;
        self.put(DeskRow { payments: desk.payments + 1, ..desk });
        if let Some(client_key) = &order.client_key {
            self.put(ClientKeyRow {
                agent: agent.clone(),
                client_key: client_key.clone(),
                payment: payment.clone(),
                request_sha256: order.request_sha256,
            });
        }
        self.put(PaymentRow::begun(payment, order, state, place));
        Ok(())
    }

    /// A payment begins once: a second beginning would hide what the first one holds. One that a
    /// proof has let go of is missed here, and then is not what the file holds.
    fn check_new(&self, payment: &PaymentId) -> Done {
        match self.tables.payments.peek(&One(payment)).flatten() {
            None => Ok(()),
            Some(_) => Err(LedgerError::damaged(format!("{payment} beginning a second time"))),
        }
    }

    fn answer(
        &mut self,
        approval: &imprest_domain::ApprovalId,
        answer: &Answer,
        place: Place,
    ) -> Done {
        let mut row = self
            .get::<ApprovalRow>((approval.clone(),))?
            .filter(|row| row.state == "waiting")
            .ok_or_else(|| LedgerError::damaged("an answer to a question that was not waiting"))?;
        let (state, note) = match answer {
            Answer::Approved => ("approved", None),
            Answer::Refused { reason } => ("refused", reason.clone()),
            Answer::Lapsed => ("lapsed", None),
            Answer::Changed => ("changed", None),
        };
        row.state = state.to_owned();
        row.answered_ms = Some(place.at_ms);
        row.answer = note;
        self.put(row);
        Ok(())
    }

    fn end_question(&mut self, payment: &PaymentId) -> Done {
        let agent = self.payment(payment)?.agent;
        self.change_agent(&agent, |row| row.questions.0.retain(|waiting| waiting != payment))
    }

    fn refuse(&mut self, payment: &PaymentId, place: Place) -> Done {
        let row = self.step(payment, PaymentState::Refused, place)?;
        self.put(PaymentRow { verdict_seq: place.seq, ..row });
        Ok(())
    }

    /// Reserves: float → held, and one line in each counter.
    fn hold(
        &mut self,
        payment: PaymentId,
        order: Order,
        authorization: &Authorization,
        (own, shared): (Vec<Counted>, Option<SharedHold>),
        place: Place,
    ) -> Done {
        let (agent, value) = (order.intent.agent.clone(), order.intent.value);
        if let Some(gas) = order.gas {
            let counter = self.counter_of(GAS, Window::Day, &gas_day(place.at_ms))?;
            counter.settled = sum(counter.settled, gas.fee_max_wei)?;
        }
        if let Some(nonce) = order.nonce {
            self.sign_once(&agent, nonce, &payment)?;
        }
        // A payment that waits is in memory always, so the disk need not be asked for a new one.
        if self.tables.payments.peek(&One(&payment)).flatten().is_some() {
            let row = self.step(&payment, PaymentState::Held, place)?;
            self.put(row);
        } else {
            self.insert_payment(payment.clone(), order, PaymentState::Held, place)?;
        }
        let of = |holder: &str, counted: Vec<Counted>| {
            let holder: Arc<str> = holder.into();
            counted.into_iter().map(move |c| Span(holder.clone(), c.window, c.label))
        };
        let mut spans: Vec<Span> = of(agent.as_str(), own).collect();
        spans.extend(shared.into_iter().flat_map(|hold| of(hold.shared.as_str(), hold.spans)));
        for Span(holder, window, label) in &spans {
            if *window == Window::Hour {
                let hour = self.hour_of(holder)?;
                hour.add(minute(label)?, value).ok_or_else(overflow)?;
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.held = sum(counter.held, value)?;
        }
        let row =
            self.edit::<PaymentRow>(&One(&payment))?.ok_or(LedgerError::NoPayment { payment })?;
        row.spans = Some(Json(spans));
        row.from_address = Some(authorization.from);
        row.nonce = Some(authorization.nonce);
        row.valid_after_s = Some(authorization.window.valid_after_s);
        row.valid_before_s = Some(authorization.window.valid_before_s);
        row.verdict_seq = place.seq;
        self.move_units(float(&agent), held(&agent), value, place)
    }

    /// Remembers a nonce that a payee prescribed.
    fn sign_once(&mut self, agent: &AgentId, nonce: B256, payment: &PaymentId) -> Done {
        if self.get::<NonceRow>((agent.clone(), nonce))?.is_some() {
            return Err(LedgerError::damaged(format!("the nonce {nonce} held a second time")));
        }
        self.put(NonceRow { agent: agent.clone(), nonce, payment: Some(payment.clone()) });
        Ok(())
    }

    /// Gives a hold back: held → float, and out of each counter. What was signed stays in the
    /// rolling hour, which is there to slow things down.
    fn release(&mut self, row: &PaymentRow, unsigned: bool, place: Place) -> Done {
        self.uncount(row, if unsigned { End::Unsigned } else { End::Unused })?;
        self.move_units(held(&row.agent), float(&row.agent), row.value, place)
    }

    fn deliver(&mut self, payment: &PaymentId, delivery: Delivery, place: Place) -> Done {
        let (to, status, sha256, note) = match delivery {
            Delivery::Delivered { status, response_sha256, .. } => {
                (PaymentState::Delivered, Some(status), Some(response_sha256), None)
            }
            Delivery::Unknown { status, why } => (PaymentState::Unknown, status, None, Some(why)),
        };
        let mut row = self.lift_payment(payment)?;
        // The chain can be faster than the payee's answer: then only the answer is kept.
        if row.state != PaymentState::Settled {
            row.state = row.state.to(to)?;
        }
        row.updated_ms = place.at_ms;
        // Whoever is sent money owes nothing for it.
        if to == PaymentState::Unknown && !row.payee().is_transfer() {
            let origin = row.origin.clone();
            self.tally(Subject::Payee { origin }, SignalKind::Undelivered, place)?;
        }
        self.put(PaymentRow { response_status: status, response_sha256: sha256, note, ..row });
        Ok(())
    }

    /// Spends a hold: held → payee, and from held to settled in every counter.
    fn settle(&mut self, payment: &PaymentId, tx: &B256, block: u64, place: Place) -> Done {
        let row = self.step(payment, PaymentState::Settled, place)?;
        self.uncount(&row, End::Settled)?;
        self.see_payee(&row.payee(), place, Some((row.value, &row.what)))?;
        // What somebody is sent has no price.
        if !row.payee().is_transfer() {
            self.see_price(&row)?;
        }
        self.move_units(held(&row.agent), payee_account(&row.origin), row.value, place)?;
        self.put(PaymentRow { tx: Some(tx.to_string()), block: Some(block), note: None, ..row });
        Ok(())
    }

    /// Takes a settlement back: payee → held, and from settled to held in every counter it was
    /// settled in. What it made known of the payee stays known; its price is no longer one that was
    /// paid.
    fn reopen(&mut self, payment: &PaymentId, place: Place) -> Done {
        let mut row = self.lift_payment(payment)?;
        row.state = row.state.reopened(row.response_sha256.is_some())?;
        row.updated_ms = place.at_ms;
        self.count_again(&row)?;
        self.forget_price(&row)?;
        self.move_units(payee_account(&row.origin), held(&row.agent), row.value, place)?;
        self.put(PaymentRow { tx: None, block: None, note: Some(UNDONE.to_owned()), ..row });
        Ok(())
    }

    /// One step in a payment's life, checked against the drawn one; the caller puts the row back.
    fn step(
        &mut self,
        payment: &PaymentId,
        to: PaymentState,
        place: Place,
    ) -> Result<PaymentRow, LedgerError> {
        let mut row = self.lift_payment(payment)?;
        row.state = row.state.to(to)?;
        row.updated_ms = place.at_ms;
        Ok(row)
    }

    pub(super) fn see_payee(
        &mut self,
        payee: &Payee,
        place: Place,
        paid: Option<(Units, &str)>,
    ) -> Done {
        let (chain_id, contract) = (payee.asset.chain_id, payee.asset.contract);
        let key = (payee.origin.clone(), payee.pay_to, chain_id, contract);
        let row = self.edit_or_make(&key, || PayeeRow {
            origin: payee.origin.clone(),
            pay_to: payee.pay_to,
            chain_id,
            contract,
            first_seen_ms: place.at_ms,
            last_seen_ms: place.at_ms,
            last_value: None,
            last_what: None,
        })?;
        row.last_seen_ms = place.at_ms;
        if let Some((value, what)) = paid {
            (row.last_value, row.last_what) = (Some(value), Some(what.to_owned()));
        }
        let origin = payee.origin.clone();
        self.put(OriginRow { origin, chain_id, contract, pay_to: payee.pay_to });
        Ok(())
    }

    fn see_price(&mut self, paid: &PaymentRow) -> Done {
        let key = (paid.origin.clone(), paid.item());
        let row = self.edit_or_make(&key, || PriceRow {
            origin: key.0.clone(),
            item: key.1.clone(),
            last: Json(Vec::new()),
        })?;
        let last = &mut row.last.0;
        last.push(paid.value);
        let too_many = last.len().saturating_sub(PRICES_KEPT);
        last.drain(..too_many);
        Ok(())
    }

    /// Takes back that a price was paid, if it is remembered still.
    fn forget_price(&mut self, undone: &PaymentRow) -> Done {
        let key = (undone.origin.clone(), undone.item());
        if let Some(row) = self.edit::<PriceRow>(&key)?
            && let Some(place) = row.last.0.iter().rposition(|paid| *paid == undone.value)
        {
            row.last.0.remove(place);
        }
        Ok(())
    }

    /// Notes that something odd happened.
    fn tally(&mut self, subject: Subject, kind: SignalKind, place: Place) -> Done {
        let row = self.get::<TallyRow>((subject.clone(), kind))?;
        let mut times = row.map(|row| row.times.0).unwrap_or_default();
        times.push(place.at_ms);
        times.retain(|at| *at > place.at_ms.saturating_sub(TALLY_MS));
        let too_many = times.len().saturating_sub(TALLIES_KEPT);
        times.drain(..too_many);
        self.put(TallyRow { subject, kind, times: Json(times) });
        Ok(())
    }
}
