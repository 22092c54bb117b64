//! What the owner sees of agents: rows, pages, pace, and the honest worst case.

use crate::desk::Desk;
use crate::pay::at_ms;
use crate::show::{add, this_window};
use crate::view::*;
use crate::wording::{grade_reason, or_no_limit, word};
use imprest_domain::{Budget, Grade, OverPayment, Units, Window};
use imprest_ledger::{Agent, PaymentFilter};
use jiff::Timestamp;
use serde_json::json;

/// How many rows an agent's page shows.
const PAGE_ACTIVITY: u32 = 10;

impl Desk {
    /// All agents, oldest first, revoked ones last.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, Problem> {
        let mut rows = Vec::new();
        for agent in self.inner.ledger.agents().await? {
            rows.push(self.agent_row(&agent).await?);
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
        let float_on_chain = match &inner.chain {
            Some(chain) => chain.balance(agent.address).await.ok().map(|u| inner.asset.format(u)),
            None => None,
        };
        let entry = crate::place::token_entry(&agent.name);
        let token_in_keychain = matches!(inner.keychain().load(&entry).await, Ok(Some(_)));
        let (danger, why) = inner.suspicion();
        let in_force = agent.grade.in_force(danger);
        Ok(AgentPage {
            budget: self.budget_form(&agent.budget),
            windows: self.window_rows(&agent).await?,
            worst_case: self.worst_case(&agent).await?,
            grade_reason: grade_reason(agent.grade, in_force, why),
            float_on_chain,
            mcp_snippet: self.stdio_snippet(&agent),
            http_snippet: self.http_snippet(),
            token_in_keychain,
            activity: self.activity_rows(&recent.payments).await?,
            row: self.agent_row(&agent).await?,
        })
    }

    pub(crate) async fn agent_row(&self, agent: &Agent) -> Result<AgentRow, Problem> {
        let inner = &self.inner;
        let balance = inner.ledger.balance(&agent.id).await?;
        Ok(AgentRow {
            id: agent.id.to_string(),
            name: agent.name.to_string(),
            grade: agent.grade.to_string(),
            grade_in_force: agent.grade.in_force(inner.danger()).to_string(),
            revoked: agent.revoked,
            address: agent.address.to_string(),
            float: inner.asset.format(add(balance.free, balance.held)),
            asset: inner.asset.symbol.clone(),
            pace: self.pace(agent).await?,
            last_seen: inner.ledger.last_asked_ms(&agent.id).await?.map(at_ms),
            sentence: self.sentence(agent),
        })
    }

    /// “Scout may spend 5.00 USDC per day, at most 0.25 each, then ask me.”
    fn sentence(&self, agent: &Agent) -> String {
        let asset = &self.inner.asset;
        let budget = &agent.budget;
        let over_time: Vec<String> = Window::ALL
            .into_iter()
            .filter_map(|window| {
                let limit = asset.format_with_symbol(budget.limit(window)?);
                Some(match window {
                    Window::Lifetime => format!("{limit} in all"),
                    window => format!("{limit} per {}", window.word()),
                })
            })
            .collect();
        let each = match budget.limit_units_per_payment {
            Some(limit) => {
                let then = match budget.over_payment {
                    OverPayment::Ask => "then ask me",
                    OverPayment::Deny => "never more",
                };
                format!(", at most {} each, {then}", asset.format(limit))
            }
            None => String::new(),
        };
        format!("{} may spend {}{each}.", agent.name, over_time.join(" and "))
    }

    fn budget_form(&self, budget: &Budget) -> BudgetForm {
        let show = |units: Option<Units>| units.map(|units| self.inner.asset.format(units));
        BudgetForm {
            per_payment: show(budget.limit_units_per_payment),
            per_day: show(budget.limit_units_per_day),
            per_week: show(budget.limit_units_per_week),
            per_month: show(budget.limit_units_per_month),
            lifetime: show(budget.limit_units_lifetime),
            over_payment: word(&budget.over_payment),
            new_payee: word(&budget.new_payee),
            zone: budget.zone.clone(),
            expires_at: budget.expires_at.map(|at| at.to_string()),
        }
    }

    async fn window_rows(&self, agent: &Agent) -> Result<Vec<WindowRow>, Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let mut rows = Vec::new();
        for window in Window::ALL {
            let Some(limit) = agent.budget.limit(window) else { continue };
            let used = ledger.window_use(&agent.id, &agent.budget, window).await?;
            let left = limit.saturating_sub(used.settled).saturating_sub(used.held);
            rows.push(WindowRow {
                window: window.word().into(),
                limit: asset.format(limit),
                spent: asset.format(used.settled),
                in_flight: asset.format(used.held),
                left: asset.format(left),
                resets_at: agent
                    .budget
                    .span(window, ledger.now())
                    .ok()
                    .and_then(|span| span.resets_at)
                    .map(|at| at.to_string()),
            });
        }
        Ok(rows)
    }

    /// What an agent could still lose today: the least any window leaves, and never more than
    /// its float, which is all its key can spend.
    pub(crate) async fn still_losable(&self, agent: &Agent, free: Units) -> Result<Units, Problem> {
        if agent.grade.in_force(self.inner.danger()) < Grade::L2 {
            return Ok(Units::ZERO);
        }
        let mut least = free;
        for window in Window::ALL {
            let Some(limit) = agent.budget.limit(window) else { continue };
            let used = self.inner.ledger.window_use(&agent.id, &agent.budget, window).await?;
            least = least.min(limit.saturating_sub(used.settled).saturating_sub(used.held));
        }
        Ok(least)
    }

    async fn worst_case(&self, agent: &Agent) -> Result<String, Problem> {
        let asset = &self.inner.asset;
        let balance = self.inner.ledger.balance(&agent.id).await?;
        let least = self.still_losable(agent, balance.free).await?;
        let limits: Vec<String> = Window::ALL
            .into_iter()
            .filter_map(|window| {
                let limit = asset.format(agent.budget.limit(window)?);
                Some(format!("{limit} {}", this_window(window)))
            })
            .collect();
        Ok(format!(
            "At worst, {} can be lost, whatever {} is told: {} is left of that now.",
            limits.join(", "),
            agent.name,
            asset.format_with_symbol(least)
        ))
    }

    /// How an agent spends against its longest calendar window.
    pub(crate) async fn pace(&self, agent: &Agent) -> Result<Option<Pace>, Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let longest = [Window::Month, Window::Week, Window::Day, Window::Lifetime]
            .into_iter()
            .find_map(|window| Some((window, agent.budget.limit(window)?)));
        let Some((window, limit)) = longest else { return Ok(None) };
        let used = ledger.window_use(&agent.id, &agent.budget, window).await?;
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
            note: format!("{pace}{asks}"),
        }))
    }

    /// The entry for an agent program that speaks MCP over stdio. It holds no secret.
    fn stdio_snippet(&self, agent: &Agent) -> String {
        let mut args = vec![json!("mcp"), json!("--agent"), json!(agent.name.key())];
        // The folder is only named when the command would not find it by itself.
        let dir = self.inner.place.dir();
        if crate::place::data_dir(None).ok().as_deref() != Some(dir) {
            args.extend([json!("--data"), json!(dir.display().to_string())]);
        }
        let command = command_path();
        pretty(&json!({ "mcpServers": { "imprest": { "command": command, "args": args } } }))
    }

    fn http_snippet(&self) -> String {
        let url = self.endpoints().mcp_url.unwrap_or_default();
        pretty(&json!({ "mcpServers": { "imprest": {
            "type": "http",
            "url": url,
            "headers": { "Authorization": "Bearer <token>" },
        } } }))
    }
}

/// The command `imprest` beside this program, so that an agent program finds it without a search
/// path; the bare name where there is none.
fn command_path() -> String {
    let name = format!("imprest{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(&name));
    match beside {
        Some(path) if path.is_file() => path.display().to_string(),
        _ => "imprest".to_owned(),
    }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
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
