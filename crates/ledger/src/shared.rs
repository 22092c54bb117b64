//! Shared budgets: limits that several agents stay within together.

use crate::agents::active;
use crate::error::LedgerError;
use crate::event::{Carried, Event};
use crate::rows::SharedRow;
use crate::{Ledger, fresh_tail, read};
use imprest_domain::{AgentId, AgentName, Budget, SharedId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A shared budget as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedBudget {
    /// Its identifier.
    pub id: SharedId,
    /// Its name.
    pub name: AgentName,
    /// Its limits, for all agents under it together.
    pub budget: Budget,
}

impl Ledger {
    /// Makes a shared budget.
    ///
    /// # Errors
    /// [`LedgerError::NameTaken`], [`LedgerError::Budget`], or a failed write.
    pub async fn add_shared(
        &self,
        name: AgentName,
        budget: Budget,
    ) -> Result<SharedBudget, LedgerError> {
        let id =
            SharedId::from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))?;
        let made = SharedBudget { id: id.clone(), name: name.clone(), budget: budget.clone() };
        self.store
            .write(move |tx| {
                budget.check(tx.now)?;
                let key = name.key();
                if tx.books.at_hand::<SharedRow>().any(|row| row.name_key == key) {
                    return Err(LedgerError::NameTaken { name: name.to_string() });
                }
                tx.append(Event::SharedAdded { shared: id, name, budget }).map(|_| ())
            })
            .await?;
        Ok(made)
    }

    /// Changes a shared budget's limits.
    ///
    /// # Errors
    /// When the limits are no budget or in another asset, it is unknown, or the write fails.
    pub async fn set_shared(&self, shared: &SharedId, budget: Budget) -> Result<(), LedgerError> {
        let shared = shared.clone();
        self.store
            .write(move |tx| {
                budget.check(tx.now)?;
                let old = tx.books.shared(&shared)?.budget.0;
                if old.asset != budget.asset {
                    return Err(LedgerError::OtherAsset);
                }
                let carried = Carried::between(&old, &budget, tx.now)?;
                tx.append(Event::SharedSet { shared, budget, carried }).map(|_| ())
            })
            .await
    }

    /// Puts an agent under a shared budget, or takes it out. What it has spent so far counts
    /// where it was spent.
    ///
    /// # Errors
    /// When either is unknown, the agent is revoked, the assets differ, or the write fails.
    pub async fn join_shared(
        &self,
        agent: &AgentId,
        shared: Option<SharedId>,
    ) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| {
                let row = active(tx, &agent)?;
                if let Some(shared) = &shared
                    && tx.books.shared(shared)?.budget.0.asset != row.budget.0.asset
                {
                    return Err(LedgerError::OtherAsset);
                }
                if row.shared == shared {
                    return Ok(());
                }
                tx.append(Event::AgentShared { agent, shared }).map(|_| ())
            })
            .await
    }

    /// All shared budgets, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn shared_budgets(&self) -> Result<Vec<SharedBudget>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM shared_budgets ORDER BY added_ms, shared")
            .fetch_all(&self.store.readers)
            .await?;
        rows.iter().map(shared_of).collect()
    }

    /// One shared budget, by identifier or name.
    ///
    /// # Errors
    /// [`LedgerError::NoShared`] when there is none.
    pub async fn find_shared(&self, name_or_id: &str) -> Result<SharedBudget, LedgerError> {
        let none = || LedgerError::NoShared { name: name_or_id.chars().take(64).collect() };
        let key = name_or_id.parse::<AgentName>().map(|name| name.key()).unwrap_or_default();
        let row = sqlx::query("SELECT * FROM shared_budgets WHERE shared = ? OR name_key = ?")
            .bind(name_or_id)
            .bind(key)
            .fetch_optional(&self.store.readers)
            .await?;
        shared_of(&row.ok_or_else(none)?)
    }
}

fn shared_of(row: &SqliteRow) -> Result<SharedBudget, LedgerError> {
    let bad = |what: &str| LedgerError::damaged(format!("a shared budget’s {what}"));
    Ok(SharedBudget {
        id: read::id(row.try_get("shared")?)?,
        name: row.try_get::<String, _>("name")?.parse().map_err(|_| bad("name"))?,
        budget: serde_json::from_str(row.try_get("budget")?).map_err(|_| bad("budget"))?,
    })
}
