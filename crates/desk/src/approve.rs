//! The owner's yes and no to one question.

use crate::asked::Asked;
use crate::desk::Desk;
use crate::problem::{ErrorCode, bad_input, failure_problem, rails_failure};
use crate::view::{ActivityRow, Problem};
use imprest_domain::{ApprovalId, PaymentId, plain_line};
use imprest_gateway::wire::TransferRequest;
use imprest_ledger::{Approved, Grant, Order, PaymentRecord};
use imprest_rails::{Probe, Quote, Request};
use serde::de::DeserializeOwned;

impl Desk {
    /// Says yes to exactly one payment.
    ///
    /// The payee is asked again first: what is paid is what the owner saw, or nothing. When the
    /// offer has changed the question is void, and the agent is told to ask anew.
    ///
    /// # Errors
    /// When the question is not waiting any more, the vault is locked or the payee does not answer.
    pub async fn approve(&self, approval: String) -> Result<ActivityRow, Problem> {
        self.inner.need_sound_books()?;
        let approval: ApprovalId = approval.parse().map_err(|e| bad_input("the question", e))?;
        let waiting = self.inner.ledger.approval(&approval).await?;
        if waiting.state != "waiting" {
            let state = waiting.state;
            return Err(imprest_ledger::LedgerError::NotWaiting { approval, state }.into());
        }
        self.need_open_vault().map_err(failure_problem)?;
        self.inner.need_attention()?;
        let payment = waiting.payment.payment.clone();
        match waiting.payment.payee.is_transfer() {
            true => self.approve_transfer(&approval, &waiting.payment).await?,
            false => self.approve_purchase(&approval, &waiting.payment).await?,
        }
        self.end_question(&payment).await
    }

    async fn approve_purchase(
        &self,
        approval: &ApprovalId,
        asked: &PaymentRecord,
    ) -> Result<(), Problem> {
        let wanted: Asked = self.kept(&asked.payment).await?;
        let request = wanted.request().map_err(failure_problem)?;
        let quote = self.ask_again(&request).await?;
        let order = self.inner.order(&asked.agent, &wanted, &request, &quote);
        let order = order.map_err(failure_problem)?;
        let Some(grant) = self.granted(approval, order).await? else { return Ok(()) };
        // The yes is durable; how the payee takes it need not keep the owner waiting.
        let desk = self.clone();
        self.inner.tasks.spawn(async move {
            if let Err(error) = desk.carry_out(grant, request, quote).await {
                tracing::warn!(%error, "an approved payment was not carried out");
            }
        });
        Ok(())
    }

    async fn approve_transfer(
        &self,
        approval: &ApprovalId,
        asked: &PaymentRecord,
    ) -> Result<(), Problem> {
        let transfer: TransferRequest = self.kept(&asked.payment).await?;
        let order = self.transfer_again(&asked.agent, &transfer).await.map_err(failure_problem)?;
        let Some(grant) = self.granted(approval, order).await? else { return Ok(()) };
        let desk = self.clone();
        self.inner.tasks.spawn(async move {
            if let Err(error) = desk.carry_out_transfer(grant).await {
                tracing::warn!(%error, "an approved transfer was not carried out");
            }
        });
        Ok(())
    }

    /// Writes the yes down; nothing when a limit refuses it or the offer is another. Nothing is paid
    /// then: the agent is told, and asks anew if it still wants it.
    async fn granted(&self, approval: &ApprovalId, order: Order) -> Result<Option<Grant>, Problem> {
        let inner = &self.inner;
        let approved =
            inner.ledger.approve(approval, order, inner.asset.clone(), inner.alarm()).await?;
        match approved {
            Approved::Granted { grant, payment } => {
                self.tell_near_limits(&payment).await;
                Ok(Some(grant))
            }
            Approved::Refused { .. } | Approved::Changed { .. } => Ok(None),
        }
    }

    /// Says no.
    ///
    /// # Errors
    /// When the question is not waiting any more.
    pub async fn refuse(
        &self,
        approval: String,
        reason: Option<String>,
    ) -> Result<ActivityRow, Problem> {
        let approval: ApprovalId = approval.parse().map_err(|e| bad_input("the question", e))?;
        let reason =
            reason.map(|text| plain_line(text.trim(), 200)).filter(|text| !text.is_empty());
        let payment = self.inner.ledger.refuse(&approval, reason).await?;
        self.end_question(&payment).await
    }

    async fn end_question(&self, payment: &PaymentId) -> Result<ActivityRow, Problem> {
        self.inner.ledger.forget_request(payment).await?;
        self.inner.changed(&["overview", "activity", "agents", "status"]);
        let record = self.inner.ledger.payment(payment).await?;
        self.activity_row(&record).await
    }

    async fn kept<T: DeserializeOwned>(&self, payment: &PaymentId) -> Result<T, Problem> {
        let lost = || {
            Problem::new(
                ErrorCode::Conflict,
                "The request behind this question was not kept.",
                "Refuse it; the agent can ask again.",
            )
        };
        let body = self.inner.ledger.kept_request(payment).await?.ok_or_else(lost)?;
        serde_json::from_slice(&body).map_err(|_| lost())
    }

    async fn ask_again(&self, request: &Request) -> Result<Quote, Problem> {
        let gone = |message: &str| {
            Problem::new(
                ErrorCode::Conflict,
                message,
                "Refuse the question; the agent can ask again.",
            )
        };
        match self.inner.rails.quote(request).await {
            Ok(Probe::Offer(quote)) => Ok(*quote),
            Ok(Probe::Free(_)) => Err(gone("The payee asks nothing for it any more.")),
            Ok(Probe::Unpayable { .. }) => {
                Err(gone("The payee’s offer is none the desk pays any more."))
            }
            Err(error) => Err(failure_problem(rails_failure(error))),
        }
    }
}
