//! What the owner sees of agents: rows, pages, pace, and the honest worst case.

use crate::desk::Desk;
use crate::limits::notes;
use crate::pay::at_ms;
use crate::shared::BOUNDING;
use crate::show::{add, this_window};
use crate::trust::Mood;
use crate::view::*;
use crate::warn::is_near;
use crate::wording::{grade_reason, or_no_limit};
use imprest_domain::{Budget, Grade, OverPayment, SharedId, Units, Window};
use imprest_ledger::{Agent, PaymentFilter, SharedBudget};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many rows an agent's page shows.
const PAGE_ACTIVITY: u32 = 10;

impl Desk {
    /// All agents, oldest first, revoked ones last.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, Problem> {
        let mut rows = Vec::new();
        let shared = self.inner.ledger.shared_budgets().await?;
        let mood = self.inner.mood().await;
        for agent in self.inner.ledger.agents().await? {
            rows.push(self.row_of(&agent, &shared, &mood).await?);
        }
        rows.sort_by_key(|row| row.revoked);
        Ok(rows)
    }

    /// One agent's page, by identifier or name.
    ///
    /// # Errors
    /// `not_found`, or when the books cannot be read.
    pub async fn agent(&self, agent: String) -> Result<AgentPage, Problem> {
        let inner = &self.inner;
        let agent = inner.ledger.find_agent(&agent).await?;
        let filter = PaymentFilter { agent: Some(agent.id.clone()), ..PaymentFilter::default() };
        let recent = inner.ledger.payments(&filter, None, PAGE_ACTIVITY).await?;
        let float_on_chain = match inner.chain() {
            Some(chain) => chain.balance(agent.address).await.ok().map(|u| inner.asset.format(u)),
            None => None,
        };
        let entry = crate::place::token_entry(&agent.name);
        let token_in_keychain = matches!(inner.keychain().load(&entry).await, Ok(Some(_)));
        let (danger, why) = inner.danger_and_why(Some(&agent.id)).await;
        let in_force = agent.grade.in_force(danger);
        let shared = inner.ledger.shared_budgets().await?;
        let shared = shared.into_iter().find(|it| agent.shared.as_ref() == Some(&it.id));
        Ok(AgentPage {
            budget: self.budget_form(&agent.budget),
            windows: self.window_rows(agent.id.as_str(), &agent.budget).await?,
            notes: notes(&agent.budget),
            worst_case: self.worst_case(&agent, shared.as_ref()).await?,
            shared: match &shared {
                Some(shared) => Some(self.shared_view(shared).await?),
                None => None,
            },
            grade_reason: grade_reason(agent.grade, in_force, why.as_deref()),
            float_on_chain,
            mcp_snippet: self.stdio_snippet(&agent)?,
            http_snippet: self.http_snippet(&agent)?,
            token_in_keychain,
            activity: self.activity_rows(&recent.payments).await?,
            row: self.agent_row(&agent).await?,
        })
    }

    pub(crate) async fn agent_row(&self, agent: &Agent) -> Result<AgentRow, Problem> {
        let shared = self.inner.ledger.shared_budgets().await?;
        self.row_of(agent, &shared, &self.inner.mood().await).await
    }

    async fn row_of(
        &self,
        agent: &Agent,
        shared: &[SharedBudget],
        mood: &Mood,
    ) -> Result<AgentRow, Problem> {
        let inner = &self.inner;
        let balance = inner.ledger.balance(&agent.id).await?;
        let shared = shared.iter().find(|it| agent.shared.as_ref() == Some(&it.id));
        let mut sentence =
            self.budget_sentence(&format!("{} may spend", agent.name), &agent.budget);
        if let Some(shared) = shared {
            sentence += &format!(" Under {}, together with others.", shared.name);
        }
        Ok(AgentRow {
            id: agent.id.to_string(),
            name: agent.name.to_string(),
            grade: agent.grade.to_string(),
            grade_in_force: agent.grade.in_force(mood.towards(&agent.id)).to_string(),
            revoked: agent.revoked,
            address: agent.address.to_string(),
            float: inner.asset.format(add(balance.free, balance.held)),
            asset: inner.asset.symbol.clone(),
            pace: self.pace(agent).await?,
            warnings: self.agent_warnings(agent).await?,
            shared: shared.map(|it| it.name.to_string()),
            last_seen: inner.ledger.last_asked_ms(&agent.id).await?.map(at_ms),
            sentence,
        })
    }

    /// What an agent could still lose by its own limits: the least any window leaves, and never
    /// more than its float, which is all its key can spend.
    async fn still_losable(&self, agent: &Agent, mood: &Mood) -> Result<Units, Problem> {
        if agent.revoked || agent.grade.in_force(mood.towards(&agent.id)) < Grade::L2 {
            return Ok(Units::ZERO);
        }
        let free = self.inner.ledger.balance(&agent.id).await?.free;
        let left = self.least_left(agent.id.as_str(), &agent.budget).await?;
        Ok(left.map_or(free, |left| left.min(free)))
    }

    /// What all agents together could still lose: those under a shared budget no more together
    /// than that leaves.
    pub(crate) async fn all_losable(
        &self,
        agents: &[Agent],
        shared: &[SharedBudget],
        mood: &Mood,
    ) -> Result<Units, Problem> {
        let mut alone = Units::ZERO;
        let mut together: BTreeMap<&SharedId, Units> = BTreeMap::new();
        for agent in agents {
            let losable = self.still_losable(agent, mood).await?;
            let sum =
                agent.shared.as_ref().map_or(&mut alone, |id| together.entry(id).or_default());
            *sum = add(*sum, losable);
        }
        let mut all = alone;
        for (id, sum) in together {
            let left = match shared.iter().find(|it| it.id == *id) {
                Some(it) => self.least_left(it.id.as_str(), &it.budget).await?,
                None => None,
            };
            all = add(all, left.map_or(sum, |left| left.min(sum)));
        }
        Ok(all)
    }

    /// “At worst, 5.00 today, 20.00 this month can be lost, whatever Scout is told: …”
    async fn worst_case(
        &self,
        agent: &Agent,
        shared: Option<&SharedBudget>,
    ) -> Result<String, Problem> {
        let asset = &self.inner.asset;
        let mood = self.inner.mood().await;
        let mut least = self.still_losable(agent, &mood).await?;
        let limits = |budget: &Budget| -> Vec<String> {
            let limit = |window| Some(asset.format(budget.limit(window)?));
            let words = |window| Some(format!("{} {}", limit(window)?, this_window(window)));
            BOUNDING.into_iter().filter_map(words).collect()
        };
        let pace = match agent.budget.limit_units_per_hour {
            Some(limit) => format!(", no faster than {} in any 60 minutes", asset.format(limit)),
            None => String::new(),
        };
        let mut text = format!(
            "At worst, {} can be lost{pace}, whatever {} is told",
            limits(&agent.budget).join(", "),
            agent.name
        );
        if let Some(shared) = shared {
            if let Some(left) = self.least_left(shared.id.as_str(), &shared.budget).await? {
                least = least.min(left);
            }
            let shared_limits = limits(&shared.budget).join(", ");
            text += &format!(", and no more than {shared_limits} with all under {}", shared.name);
        }
        Ok(format!("{text}: {} is left of that now.", asset.format_with_symbol(least)))
    }

    /// How an agent spends against its longest calendar window.
    pub(crate) async fn pace(&self, agent: &Agent) -> Result<Option<Pace>, Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let longest = [Window::Month, Window::Week, Window::Day, Window::Lifetime]
            .into_iter()
            .find_map(|window| Some((window, agent.budget.limit(window)?)));
        let Some((window, limit)) = longest else { return Ok(None) };
        let used = ledger.window_use(agent.id.as_str(), &agent.budget, window).await?;
        let elapsed_permille = elapsed(&agent.budget, window, ledger.now());
        let spent_permille = share(used.settled, limit);
        let pace = match window {
            Window::Lifetime => "",
            _ if spent_permille > elapsed_permille => "Ahead of pace. ",
            _ => "Under pace. ",
        };
        let asks = match (agent.grade, agent.budget.over_payment) {
            (Grade::L0 | Grade::L1, _) => format!("{}, pays nothing.", agent.grade),
            (Grade::L2, _) => "L2, asks every time.".to_owned(),
            (grade, OverPayment::Ask) => match agent.budget.limit_units_per_payment {
                Some(limit) => format!("{grade}, asks above {}.", asset.format(limit)),
                None => format!("{grade}."),
            },
            (grade, OverPayment::Deny) => format!(
                "{grade}, at most {} each.",
                or_no_limit(agent.budget.limit_units_per_payment, asset)
            ),
        };
        Ok(Some(Pace {
            agent_id: agent.id.to_string(),
            agent: agent.name.to_string(),
            window: window.word().into(),
            spent: asset.format(used.settled),
            in_flight: asset.format(used.held),
            limit: asset.format(limit),
            spent_permille,
            in_flight_permille: share(used.held, limit),
            elapsed_permille,
            warn: is_near(limit, add(used.settled, used.held)),
            note: format!("{pace}{asks}"),
        }))
    }
}

/// A share in thousandths, at most 1000.
fn share(part: Units, whole: Units) -> u32 {
    if whole.is_zero() {
        return 0;
    }
    let permille = part.get().saturating_mul(1_000) / whole.get();
    u32::try_from(permille.min(1_000)).unwrap_or(1_000)
}

/// How much of the window's time has gone, in thousandths.
fn elapsed(budget: &Budget, window: Window, now: Timestamp) -> u32 {
    let bounds = || {
        let span = budget.span(window, now).ok()?;
        let zone = jiff::tz::TimeZone::get(&budget.zone).ok()?;
        let start = span.label.parse::<jiff::civil::Date>().ok()?.to_zoned(zone).ok()?.timestamp();
        Some((start.as_millisecond(), span.resets_at?.as_millisecond()))
    };
    let Some((start, end)) = bounds() else { return 0 };
    let length = (end - start).max(1);
    let gone = (now.as_millisecond() - start).clamp(0, length);
    u32::try_from(gone * 1_000 / length).unwrap_or(1_000)
}
