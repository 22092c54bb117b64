//! Shared budgets: made and set by the owner, shown with what all their agents use together.

use crate::desk::Desk;
use crate::limits::{Whose, notes};
use crate::problem::bad_input;
use crate::view::{AgentPage, BudgetForm, Problem, SharedView, WindowRow};
use crate::warn::is_near;
use imprest_domain::{Budget, Units, Window};
use imprest_ledger::SharedBudget;

impl Desk {
    /// Budgets that several agents share, oldest first.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn shared_budgets(&self) -> Result<Vec<SharedView>, Problem> {
        let mut views = Vec::new();
        for shared in self.inner.ledger.shared_budgets().await? {
            views.push(self.shared_view(&shared).await?);
        }
        Ok(views)
    }

    /// Makes a budget for several agents to share.
    ///
    /// # Errors
    /// `locked`, `name_taken`, or `bad_input` naming the field.
    pub async fn add_shared(
        &self,
        name: String,
        budget: BudgetForm,
    ) -> Result<SharedView, Problem> {
        self.inner.need_sound_books()?;
        let name = name.trim().parse().map_err(|e| bad_input("Name", e))?;
        let budget = self.read_budget(&budget, Whose::Shared)?;
        self.inner.need_presence()?;
        let shared = self.inner.ledger.add_shared(name, budget).await?;
        self.inner.changed(&["overview", "agents"]);
        self.shared_view(&shared).await
    }

    /// Sets a shared budget's limits. A limit that is lowered holds from the next payment on.
    ///
    /// # Errors
    /// `locked`, `not_found`, or `bad_input` naming the field.
    pub async fn set_shared(
        &self,
        shared: String,
        budget: BudgetForm,
    ) -> Result<SharedView, Problem> {
        self.inner.need_sound_books()?;
        let budget = self.read_budget(&budget, Whose::Shared)?;
        let _alone = self.inner.setting.lock().await;
        let shared = self.inner.ledger.find_shared(&shared).await?;
        self.inner.may_set(&budget, &shared.budget)?;
        self.inner.ledger.set_shared(&shared.id, budget.clone()).await?;
        self.inner.changed(&["overview", "agents"]);
        self.shared_view(&SharedBudget { budget, ..shared }).await
    }

    /// Puts an agent under a shared budget, or takes it out. What it has spent so far counts where
    /// it was spent.
    ///
    /// # Errors
    /// `locked`, `not_found`, or `conflict` for a revoked agent.
    pub async fn join_shared(
        &self,
        agent: String,
        shared: Option<String>,
    ) -> Result<AgentPage, Problem> {
        self.inner.need_sound_books()?;
        let _alone = self.inner.setting.lock().await;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        let shared = match shared {
            Some(shared) => Some(self.inner.ledger.find_shared(&shared).await?.id),
            None => None,
        };
        // To come under a shared budget is one limit more; to leave one, or change it, is not.
        if agent.shared.is_some() && agent.shared != shared {
            self.inner.need_presence()?;
        }
        self.inner.ledger.join_shared(&agent.id, shared).await?;
        self.agent_changed(&agent).await
    }

    pub(crate) async fn shared_view(&self, shared: &SharedBudget) -> Result<SharedView, Problem> {
        let agents = self.inner.ledger.agents().await?;
        let under = agents.iter().filter(|a| !a.revoked && a.shared.as_ref() == Some(&shared.id));
        let who = format!("Agents under {} may together spend", shared.name);
        Ok(SharedView {
            id: shared.id.to_string(),
            name: shared.name.to_string(),
            budget: self.budget_form(&shared.budget),
            windows: self.window_rows(shared.id.as_str(), &shared.budget).await?,
            agents: under.map(|agent| agent.name.to_string()).collect(),
            sentence: self.budget_sentence(&who, &shared.budget),
            notes: notes(&shared.budget),
        })
    }

    /// Each limit over time of one holder, and how far along it is.
    pub(crate) async fn window_rows(
        &self,
        holder: &str,
        budget: &Budget,
    ) -> Result<Vec<WindowRow>, Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let mut rows = Vec::new();
        for window in Window::OVER_TIME {
            let Some(limit) = budget.limit(window) else { continue };
            let used = ledger.window_use(holder, budget, window).await?;
            let left = limit.saturating_sub(used.settled).saturating_sub(used.held);
            let span = budget.span(window, ledger.now()).ok();
            rows.push(WindowRow {
                window: window.word().into(),
                limit: asset.format(limit),
                spent: asset.format(used.settled),
                in_flight: asset.format(used.held),
                left: asset.format(left),
                resets_at: span.and_then(|span| span.resets_at).map(|at| at.to_string()),
                warn: is_near(limit, crate::show::add(used.settled, used.held)),
            });
        }
        Ok(rows)
    }

    /// The least that any window that bounds a sum leaves of a budget. An hour is only a pace: the
    /// next one comes.
    pub(crate) async fn least_left(
        &self,
        holder: &str,
        budget: &Budget,
    ) -> Result<Option<Units>, Problem> {
        let mut least: Option<Units> = None;
        for window in BOUNDING {
            let Some(limit) = budget.limit(window) else { continue };
            let used = self.inner.ledger.window_use(holder, budget, window).await?;
            let left = limit.saturating_sub(used.settled).saturating_sub(used.held);
            least = Some(least.map_or(left, |least| least.min(left)));
        }
        Ok(least)
    }
}

/// The windows that bound what can be lost.
pub(crate) const BOUNDING: [Window; 4] =
    [Window::Day, Window::Week, Window::Month, Window::Lifetime];
