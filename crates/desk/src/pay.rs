//! The path of a payment: quote → decide and hold → sign → deliver → outcome.

use crate::asked::Asked;
use crate::desk::{Desk, Inner};
use crate::kept::Kept;
use crate::problem::ledger_failure;
use crate::wording::{outcome, verdict_view};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use imprest_domain::{
    AgentId, B256, Effect, Grade, Intent, PaymentId, PaymentState, Reason, ReasonCode, Remedy,
    Units, Verdict, plain, plain_line,
};
use imprest_gateway::wire::{
    Amount, FetchAnswer, FetchStatus, PaymentView, ResponseView, VerdictView,
};
use imprest_gateway::{Failure, FailureCode};
use imprest_ledger::{Delivery, Grant, Order, PaymentRecord, Reserved};
use imprest_rails::{Outcome, Payload, Probe, Quote, Request, Response};
use imprest_vault::VaultError;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// How long a question waits for the owner before silence is a no.
pub(crate) const QUESTION_FOR: SignedDuration = SignedDuration::from_mins(10);
/// How much of a payee's offer the books keep.
const OFFER_CHARS_MAX: usize = 4_000;
/// How long a fetch waits for the chain or the owner when the agent does not say.
const WAIT_DEFAULT_MS: u64 = 5_000;

impl Desk {
    /// Fetches or calls for an agent, paying if need be and if the rules allow.
    pub(crate) async fn buy_for(
        &self,
        agent: &AgentId,
        asked: Asked,
    ) -> Result<FetchAnswer, Failure> {
        let until = deadline(asked.wait_ms());
        // Taken before anything is waited for: a payee may keep a request until the owner has
        // replaced a credential that leaked.
        let credential = self.inner.ledger.credential_of(agent).await.map_err(ledger_failure)?;
        let request = asked.request()?;
        let (key, digest) = (asked.key(), B256::from(request.digest()));
        if let Some(known) = self.known_by_key(agent, key, digest).await? {
            return self.answer_when_ended(known, until).await;
        }
        if let Some(verdict) = self.stopped(agent).await? {
            return Ok(refused_unseen(verdict));
        }
        let quote = match self.own_quote(agent, &request).await? {
            Probe::Free(response) => return Ok(free(Kept::of(response, None))),
            Probe::Unpayable { reasons, response } => {
                return Ok(unpayable(&reasons, Kept::of(response, None)));
            }
            Probe::Offer(quote) => quote,
        };
        self.need_open_vault()?;
        let order = self.inner.order(agent, &asked, &request, &quote)?;
        let order = Order { credential, ..order };
        let payment = self.place_order(order, request, *quote).await?;
        self.answer_when_ended(payment, until).await
    }

    /// What a stopped agent (L0) is told: it does not even look, so nothing is asked of anyone.
    pub(crate) async fn stopped(&self, agent: &AgentId) -> Result<Option<VerdictView>, Failure> {
        let agent = self.inner.ledger.agent(agent).await.map_err(ledger_failure)?;
        // Danger lowers nobody to L0, so what was granted says it all.
        let grade = agent.grade;
        if grade > Grade::L0 {
            return Ok(None);
        }
        let reason = Reason {
            detail: Some(format!("{grade} {}", grade.word())),
            ..Reason::new(ReasonCode::GradeTooLow, Effect::Deny, Remedy::Owner)
        };
        let verdict =
            Verdict { outcome: imprest_domain::Outcome::Deny, grade, reasons: vec![reason] };
        Ok(Some(verdict_view(&verdict, &self.inner.asset)))
    }

    /// The payment that the agent's key stands for, if the request is the same one.
    pub(crate) async fn known_by_key(
        &self,
        agent: &AgentId,
        key: Option<&str>,
        digest: B256,
    ) -> Result<Option<PaymentId>, Failure> {
        let Some(key) = key else { return Ok(None) };
        let known = self.inner.ledger.payment_by_key(agent, key).await.map_err(ledger_failure)?;
        match known {
            Some(known) if known.request_sha256 != digest.to_string() => {
                let payment = known.payment;
                Err(ledger_failure(imprest_ledger::LedgerError::KeyReused { payment }))
            }
            known => Ok(known.map(|record| record.payment)),
        }
    }

    /// Decides, and carries out what was granted.
    async fn place_order(
        &self,
        order: Order,
        request: Request,
        quote: Quote,
    ) -> Result<PaymentId, Failure> {
        let inner = &self.inner;
        let reserved = inner
            .ledger
            .reserve(order, inner.asset.clone(), inner.alarm(), QUESTION_FOR)
            .await
            .map_err(ledger_failure)?;
        inner.changed(&["overview", "activity", "agents", "status"]);
        match reserved {
            Reserved::Granted { payment, grant, verdict } => {
                if verdict.warnings().next().is_some() {
                    self.tell_near_limits(&payment).await;
                }
                self.carry_out(grant, request, quote).await?;
                Ok(payment)
            }
            Reserved::Asked { payment, .. } => {
                self.ask_owner(&payment).await;
                Ok(payment)
            }
            Reserved::Refused { payment, .. } | Reserved::Known { payment } => Ok(payment),
        }
    }

    /// Tells whoever can ask the owner.
    pub(crate) async fn ask_owner(&self, payment: &PaymentId) {
        if let Ok(Some(approval)) = self.inner.ledger.approval_about(payment).await
            && let Ok(card) = self.approval_card(&approval).await
        {
            let _ = self.inner.questions.send(card);
        }
    }

    /// Signs under the grant and delivers, in a task of its own: an agent that hangs up must not
    /// leave a payment half done.
    pub(crate) async fn carry_out(
        &self,
        grant: Grant,
        request: Request,
        quote: Quote,
    ) -> Result<(), Failure> {
        let desk = self.clone();
        let task = self
            .inner
            .tasks
            .spawn(async move { desk.sign_and_deliver(grant, request, quote).await });
        task.await.map_err(|e| internal(&e))?
    }

    async fn sign_and_deliver(
        &self,
        grant: Grant,
        request: Request,
        quote: Quote,
    ) -> Result<(), Failure> {
        let inner = &self.inner;
        let payment = grant.payment().clone();
        let vault = inner.vault().ok_or_else(locked)?;
        let signed = match vault.sign(grant) {
            Ok(signed) => signed,
            Err(refused) => {
                // No signature exists, and the grant that came back proves it: undo the hold.
                let (grant, error) = (refused.grant, refused.error);
                inner.ledger.void(grant, error.to_string()).await.map_err(ledger_failure)?;
                inner.changed(&["overview", "activity", "agents"]);
                return Err(match error {
                    VaultError::Locked | VaultError::LockedMeanwhile => locked(),
                    other => Failure::new(
                        FailureCode::Unavailable,
                        format!("The payment was not signed: {other}"),
                        "Nothing was spent.",
                    ),
                });
            }
        };
        let payload = Payload { authorization: signed.authorization, signature: signed.signature };
        let outcome = inner.rails.deliver(&request, &quote, &payload).await;
        if let Err(error) = self.record_outcome(&payment, outcome).await {
            tracing::error!(%error, %payment, "an outcome could not be written");
            return Err(Failure::new(
                FailureCode::Unavailable,
                format!(
                    "The payment {payment} was signed and sent, and its outcome could not be written: {error}"
                ),
                "It counts as spent. Ask after it by its identifier; do not buy again.",
            ));
        }
        inner.reconcile_now.notify_one();
        // A payee that delivers nothing may have raised a signal.
        inner.changed(&["overview", "activity", "agents", "status"]);
        Ok(())
    }

    async fn record_outcome(
        &self,
        payment: &PaymentId,
        outcome: Outcome,
    ) -> Result<(), imprest_ledger::LedgerError> {
        let (delivery, kept) = match outcome {
            Outcome::Delivered { response, receipt } => {
                let claimed = receipt.as_ref().and_then(|r| r.transaction);
                let delivery = Delivery::Delivered {
                    status: response.status,
                    response_sha256: B256::from(response.sha256),
                    claimed_transaction: claimed.map(|tx| tx.to_string()),
                };
                (delivery, Some(Kept::of(response, receipt)))
            }
            Outcome::Rejected { response, error } => {
                let why = format!("the payee asked for payment again: {error}");
                let status = Some(response.status);
                let kept = Kept::of(response, None);
                (Delivery::Unknown { status, why: plain_line(&why, 300) }, Some(kept))
            }
            Outcome::Unclear { why, response, receipt, .. } => {
                let status = response.as_ref().map(|r| r.status);
                let kept = response.map(|response| Kept::of(response, receipt));
                (Delivery::Unknown { status, why: plain_line(&why, 300) }, kept)
            }
        };
        self.inner.ledger.record_delivery(payment, delivery).await?;
        // What was bought is for a retry to find; the books do without it.
        if let Some(kept) = kept
            && let Ok(body) = serde_json::to_vec(&kept)
            && let Err(error) = self.inner.ledger.keep_response(payment, body).await
        {
            tracing::warn!(%error, %payment, "a response could not be kept");
        }
        Ok(())
    }

    /// Waits until the payment has ended or the time is up, and answers with what is known.
    pub(crate) async fn answer_when_ended(
        &self,
        payment: PaymentId,
        until: Instant,
    ) -> Result<FetchAnswer, Failure> {
        let mut commits = self.inner.ledger.watch();
        loop {
            // Mark before reading, so that a commit in between wakes the wait below.
            commits.borrow_and_update();
            let record = self.inner.ledger.payment(&payment).await.map_err(ledger_failure)?;
            if record.state.is_final() || Instant::now() >= until {
                return self.answer(record).await;
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return self.answer(record).await },
                () = tokio::time::sleep_until(until) => {}
                () = self.inner.closing.cancelled() => return self.answer(record).await,
            }
        }
    }

    /// What an agent is told of one of its payments.
    pub(crate) async fn answer(&self, record: PaymentRecord) -> Result<FetchAnswer, Failure> {
        let status = match record.state {
            PaymentState::Refused => FetchStatus::Refused,
            PaymentState::Waiting => FetchStatus::Pending,
            PaymentState::Delivered => FetchStatus::Delivered,
            // The treasury has signed its transaction for it.
            PaymentState::Held if record.transaction.is_some() => FetchStatus::Delivered,
            PaymentState::Held | PaymentState::Unknown => FetchStatus::Unknown,
            PaymentState::Settled => FetchStatus::Settled,
            PaymentState::Void | PaymentState::Expired => FetchStatus::Failed,
        };
        let Kept { response, result, receipt } =
            self.inner.kept(&record).await.map_err(ledger_failure)?;
        let asset = &self.inner.asset;
        let note = match record.state {
            PaymentState::Waiting => {
                Some("The owner has been asked. Poll the payment; do not ask again.".to_owned())
            }
            PaymentState::Held if record.transaction.is_some() => {
                Some("Sent; the chain has not confirmed it yet. Poll the payment.".to_owned())
            }
            PaymentState::Delivered | PaymentState::Unknown | PaymentState::Void => {
                record.note.as_deref().map(|note| plain(note, 300))
            }
            PaymentState::Expired => Some(format!(
                "{}. To buy it again, use a new idempotency key.",
                outcome(&record, asset)
            )),
            PaymentState::Refused => {
                Some("To ask again later, use a new idempotency key.".to_owned())
            }
            _ => None,
        };
        Ok(FetchAnswer {
            status,
            verdict: Some(verdict_view(&record.verdict, asset)),
            payment: Some(self.payment_view(&record)),
            response,
            result,
            receipt,
            note,
        })
    }

    pub(crate) fn payment_view(&self, record: &PaymentRecord) -> PaymentView {
        PaymentView {
            id: record.payment.to_string(),
            state: record.state.word().into(),
            amount: self.inner.amount(record.value),
            origin: record.payee.origin.clone(),
            pay_to: record.payee.pay_to.to_string(),
            url: record.url.clone(),
            at: at_ms(record.at_ms),
            transaction: record.transaction.clone(),
            valid_before: record.valid_before_s.and_then(at_s),
            purpose: record.purpose.clone(),
        }
    }

    /// Asking the owner about something that could not be signed afterwards helps nobody.
    pub(crate) fn need_open_vault(&self) -> Result<(), Failure> {
        match self.inner.vault() {
            Some(vault) if vault.is_unlocked() => Ok(()),
            _ => Err(locked()),
        }
    }
}

impl Inner {
    /// Binds what an agent asked for to the quote it got.
    pub(crate) fn order(
        &self,
        agent: &AgentId,
        asked: &Asked,
        request: &Request,
        quote: &Quote,
    ) -> Result<Order, Failure> {
        let agent_max = match asked.max_amount() {
            None => None,
            Some(text) => Some(self.asset.parse(text).map_err(|error| {
                Failure::new(
                    FailureCode::BadRequest,
                    format!("max_amount cannot be used: {error}."),
                    "Write it as a decimal in your budget’s asset, such as \"0.25\".",
                )
            })?),
        };
        let name = request.tool().unwrap_or_else(|| request.url().path());
        let what = if quote.description.is_empty() { name } else { &quote.description };
        Ok(Order {
            intent: Intent {
                agent: agent.clone(),
                payee: quote.payee.clone(),
                value: quote.value,
                agent_max,
                for_other_resource: !quote.resource_matches,
            },
            client_key: asked.key().map(ToOwned::to_owned),
            request_sha256: B256::from(request.digest()),
            url: plain_line(request.subject().as_str(), 2_000),
            method: request.method().to_owned(),
            what: plain_line(what, 200),
            purpose: asked.purpose().map(|text| plain(text, 500)),
            task: asked.task().map(|text| plain_line(text, 200)),
            offer: plain(&quote.evidence(), OFFER_CHARS_MAX),
            max_timeout_s: quote.max_timeout_s,
            nonce: quote.nonce(),
            gas: None,
            kept_request: Some(serde_json::to_vec(asked).map_err(|e| internal(&e))?),
            credential: None,
        })
    }

    pub(crate) fn amount(&self, units: Units) -> Amount {
        Amount {
            amount: self.asset.format(units),
            asset: self.asset.symbol.clone(),
            network: self.asset.id.network(),
        }
    }
}

pub(crate) fn deadline(wait_ms: Option<u64>) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.unwrap_or(WAIT_DEFAULT_MS).min(60_000))
}

fn free(Kept { response, result, receipt }: Kept) -> FetchAnswer {
    FetchAnswer {
        status: FetchStatus::Free,
        payment: None,
        verdict: None,
        response,
        result,
        receipt,
        note: None,
    }
}

/// A refusal before anything was looked at.
pub(crate) fn refused_unseen(verdict: VerdictView) -> FetchAnswer {
    FetchAnswer {
        status: FetchStatus::Refused,
        payment: None,
        verdict: Some(verdict),
        response: None,
        result: None,
        receipt: None,
        note: None,
    }
}

fn unpayable(reasons: &[String], Kept { response, result, receipt }: Kept) -> FetchAnswer {
    FetchAnswer {
        status: FetchStatus::Failed,
        payment: None,
        verdict: None,
        response,
        result,
        receipt,
        note: Some(format!("It has a price, but none the desk pays: {}", reasons.join(" "))),
    }
}

pub(crate) fn response_view(response: Response) -> ResponseView {
    let (body, body_base64) = match String::from_utf8(response.body.to_vec()) {
        Ok(text) => (Some(text), None),
        Err(not_text) => (None, Some(BASE64.encode(not_text.as_bytes()))),
    };
    ResponseView {
        status: response.status,
        headers: response.headers,
        body,
        body_base64,
        truncated: response.truncated,
    }
}

pub(crate) fn locked() -> Failure {
    Failure::new(
        FailureCode::Locked,
        "The vault is locked, so nothing can be signed.",
        "Ask the owner to unlock the desk; nothing was spent.",
    )
}

pub(crate) fn internal(error: &dyn std::fmt::Display) -> Failure {
    tracing::error!(%error, "a fault of the desk’s own");
    Failure::new(
        FailureCode::Internal,
        "The desk failed in a way it should not have.",
        "Ask after the payment before trying again; the owner finds the reason in the log.",
    )
}

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn at_ms(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// Seconds since 1970 as RFC 3339.
pub(crate) fn at_s(s: u64) -> Option<String> {
    i64::try_from(s).ok().and_then(|s| Timestamp::from_second(s).ok()).map(|at| at.to_string())
}
