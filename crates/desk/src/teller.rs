//! The desk behind the agents' door: the gateway's teller and doorkeeper.

use crate::asked::Asked;
use crate::desk::Desk;
use crate::pay::{at_ms, deadline};
use crate::problem::{ledger_failure, rails_failure};
use crate::wording::{grade_reason, verdict_view, word};
use async_trait::async_trait;
use imprest_domain::{AgentId, Budget, PaymentId};
use imprest_gateway::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, PaymentsPage, QuoteAnswer,
    TransferRequest, WindowView,
};
use imprest_gateway::{Doorkeeper, Failure, FailureCode, Teller, Token};
use imprest_ledger::PaymentFilter;
use imprest_rails::Probe;
use std::sync::PoisonError;

/// The desk as the gateway knows it.
pub(crate) struct DeskTeller(pub(crate) Desk);

#[async_trait]
impl Doorkeeper for DeskTeller {
    async fn recognise(&self, token: &str) -> Result<Option<AgentId>, Failure> {
        // What is looked up is a hash: how long the look-up takes says nothing about the token.
        let Ok(token) = Token::parse(token) else { return Ok(None) };
        self.0.inner.ledger.agent_by_token(&token.hash()).await.map_err(ledger_failure)
    }

    async fn used_from(&self, agent: &AgentId, place: &str) {
        let inner = &self.0.inner;
        let known = inner.places.lock().unwrap_or_else(PoisonError::into_inner).get(agent).cloned();
        if known.as_deref() == Some(place) {
            return;
        }
        let seq = inner.ledger.head().seq;
        match inner.ledger.credential_used(agent, place.to_owned()).await {
            Ok(()) => {
                let mut places = inner.places.lock().unwrap_or_else(PoisonError::into_inner);
                places.insert(agent.clone(), place.to_owned());
            }
            // It is asked again at the next call; nothing is paid while the books cannot be written.
            Err(error) => tracing::warn!(%error, %agent, "a credential’s place could not be noted"),
        }
        if inner.ledger.head().seq != seq {
            inner.changed(&["status", "overview", "agents"]);
        }
    }
}

#[async_trait]
impl Teller for DeskTeller {
    type Caller = AgentId;

    async fn fetch(&self, agent: &AgentId, asked: FetchRequest) -> Result<FetchAnswer, Failure> {
        self.0.buy_for(agent, Asked::Fetch(asked)).await
    }

    async fn call_tool(&self, agent: &AgentId, asked: CallRequest) -> Result<FetchAnswer, Failure> {
        self.0.buy_for(agent, Asked::Call(asked)).await
    }

    async fn transfer(
        &self,
        agent: &AgentId,
        asked: TransferRequest,
    ) -> Result<FetchAnswer, Failure> {
        self.0.transfer_for(agent, asked).await
    }

    async fn quote(&self, agent: &AgentId, asked: FetchRequest) -> Result<QuoteAnswer, Failure> {
        let inner = &self.0.inner;
        let asked = Asked::Fetch(asked);
        let request = asked.request()?;
        let nothing = QuoteAnswer {
            free: false,
            amount: None,
            origin: None,
            pay_to: None,
            description: None,
            verdict: None,
            note: None,
        };
        if let Some(verdict) = self.0.stopped(agent).await? {
            return Ok(QuoteAnswer { verdict: Some(verdict), ..nothing });
        }
        let quote = match inner.rails.quote(&request).await.map_err(rails_failure)? {
            Probe::Free(_) => return Ok(QuoteAnswer { free: true, ..nothing }),
            Probe::Unpayable { reasons, .. } => {
                return Ok(QuoteAnswer { note: Some(reasons.join(" ")), ..nothing });
            }
            Probe::Offer(quote) => quote,
        };
        let order = inner.order(agent, &asked, &request, &quote)?;
        let description = order.what.clone();
        let preview = inner
            .ledger
            .preview(order, inner.asset.clone(), inner.alarm())
            .await
            .map_err(ledger_failure)?;
        Ok(QuoteAnswer {
            free: false,
            amount: Some(inner.amount(quote.value)),
            origin: Some(quote.payee.origin),
            pay_to: Some(quote.payee.pay_to.to_string()),
            description: Some(description),
            verdict: Some(verdict_view(&preview.verdict, &inner.asset)),
            note: None,
        })
    }

    async fn payment(
        &self,
        agent: &AgentId,
        id: PaymentId,
        wait_ms: u64,
    ) -> Result<FetchAnswer, Failure> {
        let record = self.0.inner.ledger.payment(&id).await.map_err(ledger_failure)?;
        if record.agent != *agent {
            // Another agent's payment and no payment at all look the same.
            let payment = id;
            return Err(ledger_failure(imprest_ledger::LedgerError::NoPayment { payment }));
        }
        self.0.answer_when_ended(id, deadline(Some(wait_ms))).await
    }

    async fn payments(
        &self,
        agent: &AgentId,
        cursor: Option<String>,
    ) -> Result<PaymentsPage, Failure> {
        let before = cursor.map(|text| text.parse::<u64>()).transpose().map_err(|_| {
            Failure::new(
                FailureCode::BadRequest,
                "The cursor is not one this desk gave.",
                "Start again without a cursor.",
            )
        })?;
        let filter = PaymentFilter { agent: Some(agent.clone()), ..PaymentFilter::default() };
        let page =
            self.0.inner.ledger.payments(&filter, before, 100).await.map_err(ledger_failure)?;
        Ok(PaymentsPage {
            payments: page.payments.iter().map(|record| self.0.payment_view(record)).collect(),
            next_cursor: page.next_before_seq.map(|seq| seq.to_string()),
        })
    }

    async fn budget(&self, agent: &AgentId) -> Result<BudgetAnswer, Failure> {
        let inner = &self.0.inner;
        let (ledger, asset) = (&inner.ledger, &inner.asset);
        let agent = ledger.agent(agent).await.map_err(ledger_failure)?;
        let mut windows = self.windows(agent.id.as_str(), &agent.budget, None).await?;
        if let Some(id) = &agent.shared {
            let shared = ledger.find_shared(id.as_str()).await.map_err(ledger_failure)?;
            let name = Some(shared.name.to_string());
            windows.extend(self.windows(id.as_str(), &shared.budget, name).await?);
        }
        let (danger, why) = inner.danger_and_why(Some(&agent.id)).await;
        let in_force = agent.grade.in_force(danger);
        let balance = ledger.balance(&agent.id).await.map_err(ledger_failure)?;
        Ok(BudgetAnswer {
            agent: agent.name.to_string(),
            asset: asset.symbol.clone(),
            network: asset.id.network(),
            grade_granted: agent.grade.to_string(),
            grade_in_force: in_force.to_string(),
            grade_reason: grade_reason(agent.grade, in_force, why.as_deref()),
            frozen: ledger.is_frozen().await.map_err(ledger_failure)?,
            per_payment: agent.budget.limit_units_per_payment.map(|units| asset.format(units)),
            over_payment: word(&agent.budget.over_payment),
            per_payee_day: agent.budget.limit_units_per_payee_day.map(|units| asset.format(units)),
            exposure: agent.budget.limit_units_exposure.map(|units| asset.format(units)),
            max_count_hour: agent.budget.limit_count_per_hour,
            hours: agent.budget.hours.map(|hours| format!("{hours} {}", agent.budget.zone)),
            windows,
            float_free: asset.format(balance.free),
            expires_at: agent.budget.expires_at.map(|at| at_ms(at.as_millisecond())),
        })
    }
}

impl DeskTeller {
    /// The limits over time of one holder, as an agent sees them.
    async fn windows(
        &self,
        holder: &str,
        budget: &Budget,
        scope: Option<String>,
    ) -> Result<Vec<WindowView>, Failure> {
        let rows = self.0.window_rows(holder, budget).await.map_err(|problem| {
            Failure::new(FailureCode::Unavailable, problem.message, problem.recovery)
        })?;
        let view = |row: crate::view::WindowRow| WindowView {
            window: row.window,
            scope: scope.clone(),
            limit: row.limit,
            spent: row.spent,
            in_flight: row.in_flight,
            left: row.left,
            resets_at: row.resets_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }
}
