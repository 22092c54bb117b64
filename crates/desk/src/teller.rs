//! The desk behind the agents' door: the gateway's teller and doorkeeper.

use crate::desk::Desk;
use crate::pay::{at_ms, deadline, request_of};
use crate::problem::{ledger_failure, rails_failure};
use crate::wording::{grade_reason, verdict_view, word};
use async_trait::async_trait;
use imprest_domain::{AgentId, PaymentId, Window};
use imprest_gateway::wire::{
    BudgetAnswer, FetchAnswer, FetchRequest, PaymentsPage, QuoteAnswer, WindowView,
};
use imprest_gateway::{Doorkeeper, Failure, FailureCode, Teller, Token};
use imprest_ledger::PaymentFilter;
use imprest_rails::Probe;

/// The desk as the gateway knows it.
pub(crate) struct DeskTeller(pub(crate) Desk);

#[async_trait]
impl Doorkeeper for DeskTeller {
    async fn recognise(&self, token: &str) -> Result<Option<AgentId>, Failure> {
        // What is looked up is a hash: how long the look-up takes says nothing about the token.
        let Ok(token) = Token::parse(token) else { return Ok(None) };
        self.0.inner.ledger.agent_by_token(&token.hash()).await.map_err(ledger_failure)
    }
}

#[async_trait]
impl Teller for DeskTeller {
    type Caller = AgentId;

    async fn fetch(&self, agent: &AgentId, asked: FetchRequest) -> Result<FetchAnswer, Failure> {
        self.0.fetch_for(agent, asked).await
    }

    async fn quote(&self, agent: &AgentId, asked: FetchRequest) -> Result<QuoteAnswer, Failure> {
        let inner = &self.0.inner;
        let request = request_of(&asked)?;
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
        let preview = inner.ledger.preview(&order, inner.danger()).await.map_err(ledger_failure)?;
        Ok(QuoteAnswer {
            free: false,
            amount: Some(inner.amount(quote.value)),
            origin: Some(quote.payee.origin),
            pay_to: Some(quote.payee.pay_to.to_string()),
            description: Some(order.what),
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
        let mut windows = Vec::new();
        for window in Window::ALL {
            let Some(limit) = agent.budget.limit(window) else { continue };
            let used = ledger
                .window_use(&agent.id, &agent.budget, window)
                .await
                .map_err(ledger_failure)?;
            let span = agent.budget.span(window, ledger.now());
            windows.push(WindowView {
                window: window.word().into(),
                limit: asset.format(limit),
                spent: asset.format(used.settled),
                in_flight: asset.format(used.held),
                left: asset.format(limit.saturating_sub(used.settled).saturating_sub(used.held)),
                resets_at: span.ok().and_then(|s| s.resets_at).map(|at| at.to_string()),
            });
        }
        let (danger, why) = inner.suspicion();
        let in_force = agent.grade.in_force(danger);
        let balance = ledger.balance(&agent.id).await.map_err(ledger_failure)?;
        Ok(BudgetAnswer {
            agent: agent.name.to_string(),
            asset: asset.symbol.clone(),
            network: asset.id.network(),
            grade_granted: agent.grade.to_string(),
            grade_in_force: in_force.to_string(),
            grade_reason: grade_reason(agent.grade, in_force, why),
            frozen: ledger.is_frozen().await.map_err(ledger_failure)?,
            per_payment: agent.budget.limit_units_per_payment.map(|units| asset.format(units)),
            over_payment: word(&agent.budget.over_payment),
            windows,
            float_free: asset.format(balance.free),
            expires_at: agent.budget.expires_at.map(|at| at_ms(at.as_millisecond())),
        })
    }
}
