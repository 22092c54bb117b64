//! What each event does to the books. Live writes, migrations and replays run this same code.

use crate::books::Books;
use crate::cell::Json;
use crate::error::LedgerError;
use crate::event::{Answer, Carried, Delivery, Event, HourSet, Order, SharedHold, SignalAnswer};
use crate::rows::*;
use crate::table::{One, Three};
use alloy_primitives::B256;
use imprest_domain::{
    AgentId, Authorization, Clears, Counted, HourUse, Intent, Outcome, Payee, PaymentId,
    PaymentState, SignalKind, Subject, Units, Window, minute_of,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type Done = Result<(), LedgerError>;

/// A minute in which no payment was ever made.
const FORGOTTEN: i64 = -1;

/// How many prices of one thing are remembered.
const PRICES_KEPT: usize = 10;
/// How many odd moments of one kind are remembered, and for how long, in milliseconds.
const TALLIES_KEPT: usize = 10;
const TALLY_MS: i64 = 24 * 60 * 60 * 1000;

/// The account of what an agent's address holds and no hold claims.
pub(crate) fn float(agent: &AgentId) -> String {
    format!("float/{agent}")
}

/// The account of what holds claim from an agent's address.
pub(crate) fn held(agent: &AgentId) -> String {
    format!("held/{agent}")
}

/// The account of what an origin was paid.
fn payee_account(origin: &str) -> String {
    format!("payee/{origin}")
}

/// How a hold ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was paid.
    Settled,
    /// It was signed and never taken.
    Unused,
    /// It was never signed.
    Unsigned,
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
            | Event::PaymentExpired { .. } => self.apply_to_payment(event, place),
            Event::RefillGranted { .. }
            | Event::RefillSent { .. }
            | Event::RefillSettled { .. }
            | Event::RefillFailed { .. }
            | Event::FloatReceived { .. }
            | Event::SpendFound { .. } => self.apply_to_float(&event, place),
            Event::Frozen {} => self.freeze(),
            Event::Thawed {} => self.thaw(),
            Event::StrangerSpent { .. }
            | Event::FromBackup { .. }
            | Event::RestoreSeen { .. }
            | Event::Reconciled { .. } => self.apply_to_restored(event, place),
            Event::LocksSet { version, locks } => self.set_locks(version, locks),
            Event::LocksTightened { version, locks } => self.tighten_locks(version, locks),
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

    /// What the rolling hours hold from later moves into this minute, and open holds with it, so
    /// that one that is given back is taken from where it lies; one that its hour had forgotten
    /// lies nowhere any more.
    fn set_hours_back(&mut self, to: i64) -> Done {
        let mut before = BTreeMap::new();
        for mut row in self.hours()? {
            before.insert(row.holder.clone(), row.minutes.0.clone());
            row.minutes.0.set_back(to);
            self.put(row);
        }
        let lies = |span: &Span| {
            let hour = before.get(&*span.0);
            minute(&span.2).is_ok_and(|at| hour.is_some_and(|hour| hour.knows(at)))
        };
        let later = |span: &Span| span.1 == Window::Hour && minute(&span.2).is_ok_and(|m| m > to);
        let open: Vec<PaymentRow> = self
            .at_hand::<PaymentRow>()
            .filter(|row| row.state.is_open())
            .filter(|row| row.spans.iter().flat_map(|spans| &spans.0).any(later))
            .cloned()
            .collect();
        for mut row in open {
            for span in row.spans.iter_mut().flat_map(|spans| &mut spans.0) {
                if later(span) {
                    span.2 = if lies(span) { to } else { FORGOTTEN }.to_string();
                }
            }
            self.put(row);
        }
        Ok(())
    }

    fn change_agent(&mut self, agent: &AgentId, change: impl FnOnce(&mut AgentRow)) -> Done {
        let row = self
            .edit::<AgentRow>(&One(agent))?
            .ok_or_else(|| LedgerError::NoAgent { name: agent.to_string() })?;
        change(row);
        Ok(())
    }

    fn apply_to_agents(&mut self, event: &Event, place: Place) -> Done {
        match event {
            Event::AgentAdded { agent, name, account, address, grade, budget, token_sha256 } => {
                self.put(AgentRow {
                    agent: agent.clone(),
                    name: name.to_string(),
                    name_key: name.key(),
                    account: *account,
                    address: *address,
                    grade: *grade,
                    budget: Json(budget.clone()),
                    shared: None,
                    token_sha256: Some(token_sha256.clone()),
                    place: None,
                    questions: Json(Vec::new()),
                    last_ms: None,
                    added_ms: place.at_ms,
                });
                Ok(())
            }
            Event::BudgetSet { agent, budget, carried } => {
                self.carry_windows(agent.as_str(), carried)?;
                self.change_agent(agent, |row| row.budget = Json(budget.clone()))
            }
            Event::GradeSet { agent, grade } => self.change_agent(agent, |row| row.grade = *grade),
            Event::TokenRotated { agent, token_sha256 } => self.change_agent(agent, |row| {
                row.token_sha256 = Some(token_sha256.clone());
                row.place = None;
            }),
            Event::AgentRevoked { agent } => {
                self.change_agent(agent, |row| row.token_sha256 = None)
            }
            Event::AgentShared { agent, shared } => {
                self.change_agent(agent, |row| row.shared = shared.clone())
            }
            Event::PlaceSeen { agent, place } => {
                self.change_agent(agent, |row| row.place = Some(place.clone()))
            }
            Event::SharedAdded { shared, name, budget } => {
                self.put(SharedRow {
                    shared: shared.clone(),
                    name: name.to_string(),
                    name_key: name.key(),
                    budget: Json(budget.clone()),
                    added_ms: place.at_ms,
                });
                Ok(())
            }
            Event::SharedSet { shared, budget, carried } => {
                let row = self.shared(shared)?;
                self.carry_windows(shared.as_str(), carried)?;
                self.put(SharedRow { budget: Json(budget.clone()), ..row });
                Ok(())
            }
            _ => Err(misplaced()),
        }
    }

    /// Another time zone gives today another name. What the window of the old name holds goes on
    /// to count in the window of the new one, so that no change of zone ever reopens a window.
    fn carry_windows(&mut self, holder: &str, carried: &[Carried]) -> Done {
        for Carried { window, from, to } in carried {
            for counter in self.counters_from(holder, *window, from)? {
                let label = counter.label.replacen(from, to, 1);
                let mut carried = self.counter(holder, *window, &label)?;
                carried.settled = carried.settled.max(counter.settled);
                self.put(carried);
                self.carry_holds(holder, *window, &counter.label, &label)?;
            }
        }
        Ok(())
    }

    /// Open holds of a window also lie in the one it is carried into, and come back from both.
    fn carry_holds(&mut self, holder: &str, window: Window, from: &str, to: &str) -> Done {
        let lies = |row: &PaymentRow, label: &str| {
            row.spans.as_ref().is_some_and(|spans| {
                spans.0.iter().any(|s| &*s.0 == holder && s.1 == window && s.2 == label)
            })
        };
        let open: Vec<PaymentRow> = self
            .at_hand::<PaymentRow>()
            .filter(|row| row.state.is_open() && lies(row, from) && !lies(row, to))
            .cloned()
            .collect();
        for mut row in open {
            let mut counter = self.counter(holder, window, to)?;
            counter.held = sum(counter.held, row.value)?;
            self.put(counter);
            if let Some(spans) = &mut row.spans {
                spans.0.push(Span(holder.into(), window, to.to_owned()));
            }
            self.put(row);
        }
        Ok(())
    }

    fn apply_to_payment(&mut self, event: Event, place: Place) -> Done {
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
            Event::PaymentVoided { payment, why } => {
                let row = self.step(&payment, PaymentState::Void, place)?;
                self.release(&row, true, place)?;
                self.put(PaymentRow { note: Some(why), ..row });
                Ok(())
            }
            Event::PaymentDelivered { payment, delivery } => {
                self.deliver(&payment, delivery, place)
            }
            Event::PaymentSettled { payment, transaction, block } => {
                self.settle(&payment, &transaction, block, place)
            }
            Event::PaymentExpired { payment, block } => {
                let row = self.step(&payment, PaymentState::Expired, place)?;
                self.release(&row, false, place)?;
                self.put(PaymentRow { block: Some(block), ..row });
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
        let Intent { agent, payee, value, .. } = order.intent;
        self.change_agent(&agent, |row| row.last_ms = Some(place.at_ms))?;
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
        self.put(PaymentRow {
            payment,
            seq: place.seq,
            agent,
            client_key: order.client_key,
            request_sha256: order.request_sha256,
            state,
            what: order.what,
            url: order.url,
            method: order.method,
            purpose: order.purpose,
            task: order.task,
            origin: payee.origin,
            pay_to: payee.pay_to,
            chain_id: payee.asset.chain_id,
            contract: payee.asset.contract,
            value,
            verdict_seq: place.seq,
            spans: None,
            from_address: None,
            nonce: None,
            valid_after_s: None,
            valid_before_s: None,
            response_status: None,
            response_sha256: None,
            tx: None,
            block: None,
            note: None,
            at_ms: place.at_ms,
            updated_ms: place.at_ms,
        });
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
        if to == PaymentState::Unknown {
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
        self.see_price(&row)?;
        self.move_units(held(&row.agent), payee_account(&row.origin), row.value, place)?;
        self.put(PaymentRow { tx: Some(tx.to_string()), block: Some(block), note: None, ..row });
        Ok(())
    }

    /// Takes a hold out of its counters, into what is settled or out altogether.
    fn uncount(&mut self, row: &PaymentRow, end: End) -> Done {
        let gone = || LedgerError::damaged("a hold that no counter holds");
        for Span(holder, window, label) in row.spans.iter().flat_map(|spans| &spans.0) {
            if *window == Window::Hour {
                if end == End::Unsigned {
                    self.hour_of(holder)?.take(minute(label)?, row.value);
                }
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.held = counter.held.checked_sub(row.value).ok_or_else(gone)?;
            if end == End::Settled {
                counter.settled = sum(counter.settled, row.value)?;
            }
        }
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

    /// A counter, to be changed where it is; an empty one first if there is none.
    fn counter_of(
        &mut self,
        holder: &str,
        span: Window,
        label: &str,
    ) -> Result<&mut CounterRow, LedgerError> {
        self.edit_or_make(&Three(holder, span, label), || empty_counter(holder, span, label))
    }

    /// The rolling hour of a holder, to be changed where it is.
    fn hour_of(&mut self, holder: &str) -> Result<&mut HourUse, LedgerError> {
        let none = || HourRow { holder: holder.to_owned(), minutes: Json(HourUse::default()) };
        Ok(&mut self.edit_or_make(&One(holder), none)?.minutes.0)
    }

    /// A counter, or an empty one.
    pub(crate) fn counter(
        &mut self,
        holder: &str,
        span: Window,
        label: &str,
    ) -> Result<CounterRow, LedgerError> {
        let known = self.find::<CounterRow>(&Three(holder, span, label))?;
        Ok(known.cloned().unwrap_or_else(|| empty_counter(holder, span, label)))
    }

    /// The rolling hour of a holder.
    pub(crate) fn hour(&mut self, holder: &str) -> Result<HourUse, LedgerError> {
        let row = self.find::<HourRow>(&One(holder))?;
        Ok(row.map(|row| row.minutes.0.clone()).unwrap_or_default())
    }

    fn see_payee(&mut self, payee: &Payee, place: Place, paid: Option<(Units, &str)>) -> Done {
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

    fn apply_to_float(&mut self, event: &Event, place: Place) -> Done {
        match event {
            Event::RefillGranted { refill, agent, value, asset, .. } => {
                self.put(RefillRow {
                    refill: refill.clone(),
                    agent: agent.clone(),
                    value: *value,
                    chain_id: asset.chain_id,
                    contract: asset.contract,
                    state: "granted".into(),
                    tx: None,
                    block: None,
                    note: None,
                    at_ms: place.at_ms,
                });
                Ok(())
            }
            Event::RefillSent { refill, transaction } => {
                let row = self.refill(refill, &["granted"])?;
                self.put(RefillRow { state: "sent".into(), tx: Some(*transaction), ..row });
                Ok(())
            }
            Event::RefillSettled { refill, transaction, block } => {
                let row = self.refill(refill, &["granted", "sent"])?;
                self.move_units("treasury".into(), float(&row.agent), row.value, place)?;
                self.put(RefillRow {
                    state: "settled".into(),
                    tx: Some(*transaction),
                    block: Some(*block),
                    ..row
                });
                Ok(())
            }
            Event::RefillFailed { refill, why } => {
                let row = self.refill(refill, &["granted", "sent"])?;
                self.put(RefillRow { state: "failed".into(), note: Some(why.clone()), ..row });
                Ok(())
            }
            Event::FloatReceived { agent, value, transaction, log_index, .. } => {
                self.put(ReceiptRow {
                    tx: *transaction,
                    log_index: *log_index,
                    agent: agent.clone(),
                });
                self.move_units("outside".into(), float(agent), *value, place)
            }
            Event::SpendFound {
                agent,
                pay_to,
                value,
                transaction,
                log_index,
                spans,
                shared,
                also,
                ..
            } => {
                self.agent(agent)?;
                self.put(ReceiptRow {
                    tx: *transaction,
                    log_index: *log_index,
                    agent: agent.clone(),
                });
                self.count_spent(agent.as_str(), spans, *value)?;
                for hold in shared.iter().chain(also) {
                    self.count_spent(hold.shared.as_str(), &hold.spans, *value)?;
                }
                let payee = payee_account(&pay_to.to_string());
                self.move_units(float(agent), payee, *value, place)
            }
            _ => Err(misplaced()),
        }
    }

    /// Counts what was spent without ever having been held.
    pub(crate) fn count_spent(&mut self, holder: &str, spans: &[Counted], value: Units) -> Done {
        for Counted { window, label } in spans {
            if *window == Window::Hour {
                let hour = self.hour_of(holder)?;
                hour.add(minute(label)?, value).ok_or_else(overflow)?;
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.settled = sum(counter.settled, value)?;
        }
        Ok(())
    }

    /// A refill that stands where it has to for the next step.
    fn refill(
        &mut self,
        refill: &imprest_domain::RefillId,
        states: &[&str],
    ) -> Result<RefillRow, LedgerError> {
        self.get::<RefillRow>((refill.clone(),))?
            .filter(|row| states.contains(&row.state.as_str()))
            .ok_or_else(|| LedgerError::damaged("a refill that is not under way"))
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

fn empty_counter(holder: &str, span: Window, label: &str) -> CounterRow {
    CounterRow {
        holder: holder.to_owned(),
        span,
        label: label.to_owned(),
        held: Units::ZERO,
        settled: Units::ZERO,
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

/// The minute an hour's counter is named after.
fn minute(label: &str) -> Result<i64, LedgerError> {
    label.parse().map_err(|_| LedgerError::damaged("a minute that is no number"))
}
