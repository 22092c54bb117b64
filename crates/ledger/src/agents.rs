//! Agents, the desk's switch, and local addresses: what the owner sets.

use crate::error::LedgerError;
use crate::event::Event;
use crate::{Ledger, apply, fresh_tail};
use alloy_primitives::Address;
use imprest_domain::{AgentId, AgentName, Budget, Grade, Payee};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// An agent as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its identifier.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its account index in the vault, from 1 on; 0 is the treasury.
    pub account: u32,
    /// Its own address: the float.
    pub address: Address,
    /// What its owner granted.
    pub grade: Grade,
    /// Its limits.
    pub budget: Budget,
    /// Whether its credential was taken away for good.
    pub revoked: bool,
    /// When it was made, milliseconds since 1970.
    pub added_ms: i64,
}

/// What is needed to make an agent.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// Its name; unique without regard to case.
    pub name: AgentName,
    /// From [`Ledger::next_account`].
    pub account: u32,
    /// The address the vault derives for that account.
    pub address: Address,
    /// What it may do unasked.
    pub grade: Grade,
    /// Its limits.
    pub budget: Budget,
    /// SHA-256 of its bearer token, hex.
    pub token_sha256: String,
}

impl Ledger {
    /// The next account index that was never used.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn next_account(&self) -> Result<u32, LedgerError> {
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(account), 0) FROM agents")
            .fetch_one(&self.store.readers)
            .await?;
        u32::try_from(last + 1).map_err(|_| LedgerError::damaged("an account out of range"))
    }

    /// Makes an agent.
    ///
    /// # Errors
    /// [`LedgerError::NameTaken`], [`LedgerError::Budget`], or a failed write.
    pub async fn add_agent(&self, new: NewAgent) -> Result<Agent, LedgerError> {
        let agent =
            AgentId::from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))?;
        let id = agent.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    new.budget.check(tx.now)?;
                    let taken: Option<i64> =
                        sqlx::query_scalar("SELECT 1 FROM agents WHERE name_key = ?")
                            .bind(new.name.key())
                            .fetch_optional(&mut *tx.conn)
                            .await?;
                    if taken.is_some() {
                        return Err(LedgerError::NameTaken { name: new.name.to_string() });
                    }
                    tx.append(&Event::AgentAdded {
                        agent,
                        name: new.name,
                        account: new.account,
                        address: new.address,
                        grade: new.grade,
                        budget: new.budget,
                        token_sha256: new.token_sha256,
                    })
                    .await
                })
            })
            .await?;
        self.agent(&id).await
    }

    /// Changes limits.
    ///
    /// # Errors
    /// When the limits are no budget, the agent is revoked or unknown, or the write fails.
    pub async fn set_budget(&self, agent: &AgentId, budget: Budget) -> Result<(), LedgerError> {
        budget.check(self.now())?;
        let id = agent.clone();
        self.change_agent(agent, Event::BudgetSet { agent: id, budget }).await
    }

    /// Changes a grade.
    ///
    /// # Errors
    /// When the agent is revoked or unknown, or the write fails.
    pub async fn set_grade(&self, agent: &AgentId, grade: Grade) -> Result<(), LedgerError> {
        self.change_agent(agent, Event::GradeSet { agent: agent.clone(), grade }).await
    }

    /// Replaces a credential; the old one stops at once.
    ///
    /// # Errors
    /// When the agent is revoked or unknown, or the write fails.
    pub async fn rotate_token(
        &self,
        agent: &AgentId,
        token_sha256: String,
    ) -> Result<(), LedgerError> {
        self.change_agent(agent, Event::TokenRotated { agent: agent.clone(), token_sha256 }).await
    }

    /// Takes a credential away for good. Holds stay until the chain says otherwise.
    ///
    /// # Errors
    /// When the agent is unknown or revoked already, or the write fails.
    pub async fn revoke_agent(&self, agent: &AgentId) -> Result<(), LedgerError> {
        self.change_agent(agent, Event::AgentRevoked { agent: agent.clone() }).await
    }

    async fn change_agent(&self, agent: &AgentId, event: Event) -> Result<(), LedgerError> {
        let id = agent.clone();
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    if load_agent(tx.conn, &id).await?.revoked {
                        return Err(LedgerError::Revoked { agent: id });
                    }
                    tx.append(&event).await.map(|_| ())
                })
            })
            .await
    }

    /// One agent.
    ///
    /// # Errors
    /// [`LedgerError::NoAgent`] when there is none.
    pub async fn agent(&self, agent: &AgentId) -> Result<Agent, LedgerError> {
        load_agent(&mut *self.store.readers.acquire().await?, agent).await
    }

    /// One agent, by identifier or name.
    ///
    /// # Errors
    /// [`LedgerError::NoAgent`] when there is none.
    pub async fn find_agent(&self, name_or_id: &str) -> Result<Agent, LedgerError> {
        let none = || LedgerError::NoAgent { name: name_or_id.chars().take(64).collect() };
        if let Ok(id) = name_or_id.parse::<AgentId>() {
            return self.agent(&id).await.map_err(|_| none());
        }
        let name: AgentName = name_or_id.parse().map_err(|_| none())?;
        let row = sqlx::query("SELECT * FROM agents WHERE name_key = ?")
            .bind(name.key())
            .fetch_optional(&self.store.readers)
            .await?;
        agent_of(&row.ok_or_else(none)?)
    }

    /// The agent a credential belongs to, if any; a revoked one belongs to nobody.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn agent_by_token(&self, token_sha256: &str) -> Result<Option<AgentId>, LedgerError> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT agent FROM agents WHERE token_sha256 = ?")
                .bind(token_sha256)
                .fetch_optional(&self.store.readers)
                .await?;
        found.map(apply::id).transpose()
    }

    /// All agents, oldest first, revoked ones too.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn agents(&self) -> Result<Vec<Agent>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM agents ORDER BY account")
            .fetch_all(&self.store.readers)
            .await?;
        rows.iter().map(agent_of).collect()
    }

    /// Stops all payments, durably. Already frozen is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn freeze(&self) -> Result<(), LedgerError> {
        self.switch(true).await
    }

    /// Lets payments go on. Not frozen is no error.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn thaw(&self) -> Result<(), LedgerError> {
        self.switch(false).await
    }

    async fn switch(&self, to: bool) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    if frozen(tx.conn).await? != to {
                        tx.append(if to { &Event::Frozen } else { &Event::Thawed }).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Whether the owner has stopped all payments.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn is_frozen(&self) -> Result<bool, LedgerError> {
        frozen(&mut *self.store.readers.acquire().await?).await
    }

    /// Names a payee as known, so that its first payment is no question for that reason.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn trust_payee(&self, payee: Payee) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let known: Option<i64> = sqlx::query_scalar(
                        "SELECT 1 FROM payees WHERE origin = ? AND pay_to = ? AND chain_id = ? AND contract = ?",
                    )
                    .bind(&payee.origin)
                    .bind(payee.pay_to.to_string())
                    .bind(payee.asset.chain_id as i64)
                    .bind(payee.asset.contract.to_string())
                    .fetch_optional(&mut *tx.conn)
                    .await?;
                    if known.is_none() {
                        tx.append(&Event::PayeeTrusted { payee }).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Lets agents reach a local `host:port`.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn allow_host(&self, host: String) -> Result<(), LedgerError> {
        self.record(Event::HostAllowed { host }).await.map(|_| ())
    }

    /// Takes that leave back.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn remove_host(&self, host: String) -> Result<(), LedgerError> {
        self.record(Event::HostRemoved { host }).await.map(|_| ())
    }

    /// The local addresses agents may reach.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn hosts(&self) -> Result<Vec<String>, LedgerError> {
        Ok(sqlx::query_scalar("SELECT host FROM hosts ORDER BY host")
            .fetch_all(&self.store.readers)
            .await?)
    }
}

pub(crate) async fn frozen(conn: &mut SqliteConnection) -> Result<bool, LedgerError> {
    Ok(sqlx::query_scalar("SELECT frozen FROM desk").fetch_one(conn).await?)
}

pub(crate) async fn load_agent(
    conn: &mut SqliteConnection,
    agent: &AgentId,
) -> Result<Agent, LedgerError> {
    let row = sqlx::query("SELECT * FROM agents WHERE agent = ?")
        .bind(agent.as_str())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| LedgerError::NoAgent { name: agent.to_string() })?;
    agent_of(&row)
}

fn agent_of(row: &SqliteRow) -> Result<Agent, LedgerError> {
    let bad = |what: &str| LedgerError::damaged(format!("an agent’s {what}"));
    Ok(Agent {
        id: apply::id(row.try_get("agent")?)?,
        name: row.try_get::<String, _>("name")?.parse().map_err(|_| bad("name"))?,
        account: u32::try_from(row.try_get::<i64, _>("account")?).map_err(|_| bad("account"))?,
        address: row.try_get::<String, _>("address")?.parse().map_err(|_| bad("address"))?,
        grade: row.try_get::<String, _>("grade")?.parse().map_err(|_| bad("grade"))?,
        budget: serde_json::from_str(row.try_get("budget")?).map_err(|_| bad("budget"))?,
        revoked: row.try_get::<Option<String>, _>("token_sha256")?.is_none(),
        added_ms: row.try_get("added_ms")?,
    })
}
