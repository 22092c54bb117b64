//! Agents, the desk's switch, and local addresses: what the owner sets.

use crate::error::LedgerError;
use crate::event::{Carried, Event};
use crate::rows::{AgentRow, HostRow, PayeeRow};
use crate::store::Tx;
use crate::{Ledger, fresh_tail, read, restored, signals};
use alloy_primitives::Address;
use imprest_domain::{AgentId, AgentName, Budget, Grade, Payee, SharedId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// An agent as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its identifier.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its account index in the vault (BIP-44), from 1 on; 0 is the treasury.
    pub account: u32,
    /// Its own address: the float.
    pub address: Address,
    /// What its owner granted.
    pub grade: Grade,
    /// Its limits.
    pub budget: Budget,
    /// The shared budget it is under, if any.
    pub shared: Option<SharedId>,
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
    /// The shared budget it is put under, if any.
    pub shared: Option<SharedId>,
    /// SHA-256 of its bearer token, hex.
    pub token_sha256: String,
}

impl Ledger {
    /// The next account index that was never used.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn next_account(&self) -> Result<u32, LedgerError> {
        // An agent that these books do not know may have had the last one: see `Reconciled`.
        let last: i64 = sqlx::query_scalar(
            "SELECT max(coalesce((SELECT max(account) FROM agents), 0),
                        coalesce((SELECT account FROM desk), 0))",
        )
        .fetch_one(&self.store.readers)
        .await?;
        u32::try_from(last + 1).map_err(|_| LedgerError::damaged("an account out of range"))
    }

    /// Makes an agent.
    ///
    /// # Errors
    /// [`LedgerError::NameTaken`], [`LedgerError::AgentClash`], [`LedgerError::Budget`],
    /// [`LedgerError::NoShared`], [`LedgerError::OtherAsset`] when the shared budget is in another
    /// one, [`LedgerError::Unreconciled`], or a failed write.
    pub async fn add_agent(&self, new: NewAgent) -> Result<Agent, LedgerError> {
        let agent =
            AgentId::from_tail(&fresh_tail()).map_err(|e| LedgerError::damaged(e.to_string()))?;
        let id = agent.clone();
        self.store.write(move |tx| add(tx, agent, new)).await?;
        self.agent(&id).await
    }

    /// Changes limits. What is lowered holds from the next decision on; what was spent in a
    /// window stays spent, whatever changes.
    ///
    /// # Errors
    /// When the limits are no budget or in another asset, the agent is revoked or unknown, or the
    /// write fails.
    pub async fn set_budget(&self, agent: &AgentId, budget: Budget) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| {
                budget.check(tx.now)?;
                let old = active(tx, &agent)?.budget.0;
                if old.asset != budget.asset {
                    return Err(LedgerError::OtherAsset);
                }
                let carried = Carried::between(&old, &budget, tx.now)?;
                tx.append(Event::BudgetSet { agent, budget, carried }).map(|_| ())
            })
            .await
    }

    /// Changes a grade.
    ///
    /// # Errors
    /// When the agent is revoked or unknown, or the write fails.
    pub async fn set_grade(&self, agent: &AgentId, grade: Grade) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| {
                active(tx, &agent)?;
                tx.append(Event::GradeSet { agent, grade }).map(|_| ())
            })
            .await
    }

    /// Replaces a credential; the old one stops at once, and with it the suspicion that it leaked.
    ///
    /// # Errors
    /// When the agent is revoked or unknown, the token is an agent's already, or the write fails.
    pub async fn rotate_token(
        &self,
        agent: &AgentId,
        token_sha256: String,
    ) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| {
                active(tx, &agent)?;
                refuse_known_token(tx, Some(&agent), &token_sha256)?;
                tx.append(Event::TokenRotated { agent: agent.clone(), token_sha256 })?;
                signals::credential_replaced(tx, &agent)
            })
            .await
    }

    /// Takes a credential away for good. Holds stay until the chain says otherwise.
    ///
    /// # Errors
    /// When the agent is unknown or revoked already, or the write fails.
    pub async fn revoke_agent(&self, agent: &AgentId) -> Result<(), LedgerError> {
        let agent = agent.clone();
        self.store
            .write(move |tx| {
                active(tx, &agent)?;
                tx.append(Event::AgentRevoked { agent }).map(|_| ())
            })
            .await
    }

    /// One agent.
    ///
    /// # Errors
    /// [`LedgerError::NoAgent`] when there is none.
    pub async fn agent(&self, agent: &AgentId) -> Result<Agent, LedgerError> {
        let row = sqlx::query("SELECT * FROM agents WHERE agent = ?")
            .bind(agent.as_str())
            .fetch_optional(&self.store.readers)
            .await?
            .ok_or_else(|| LedgerError::NoAgent { name: agent.to_string() })?;
        agent_of(&row)
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
        found.map(read::id).transpose()
    }

    /// The hash of an agent's credential, hex; none once it is revoked.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn credential_of(&self, agent: &AgentId) -> Result<Option<String>, LedgerError> {
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT token_sha256 FROM agents WHERE agent = ?")
                .bind(agent.as_str())
                .fetch_optional(&self.store.readers)
                .await?;
        Ok(found.flatten())
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
    /// [`LedgerError::Unreconciled`] as long as the chain knows more than books out of a backup, or
    /// when the write fails.
    pub async fn thaw(&self) -> Result<(), LedgerError> {
        self.switch(false).await
    }

    async fn switch(&self, to: bool) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                let desk = tx.books.desk()?;
                if !to {
                    restored::refuse_unreconciled(&desk)?;
                }
                if desk.frozen != to {
                    tx.append(if to { Event::Frozen {} } else { Event::Thawed {} })?;
                }
                Ok(())
            })
            .await
    }

    /// Whether the owner has stopped all payments.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn is_frozen(&self) -> Result<bool, LedgerError> {
        let frozen: Option<bool> = sqlx::query_scalar("SELECT frozen FROM desk")
            .fetch_optional(&self.store.readers)
            .await?;
        Ok(frozen.unwrap_or(false))
    }

    /// Names a payee as known, so that its first payment is no question for that reason.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn trust_payee(&self, payee: Payee) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| {
                let asset = payee.asset;
                let key = (payee.origin.clone(), payee.pay_to, asset.chain_id, asset.contract);
                if tx.books.get::<PayeeRow>(key)?.is_none() {
                    tx.append(Event::PayeeTrusted { payee })?;
                }
                Ok(())
            })
            .await
    }

    /// Lets agents reach a local `host:port`.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn allow_host(&self, host: String) -> Result<(), LedgerError> {
        self.store
            .write(move |tx| match tx.books.get::<HostRow>((host.clone(),))? {
                Some(_) => Ok(()),
                None => tx.append(Event::HostAllowed { host }).map(|_| ()),
            })
            .await
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

fn add(tx: &mut Tx<'_>, agent: AgentId, new: NewAgent) -> Result<(), LedgerError> {
    new.budget.check(tx.now)?;
    let desk = tx.books.desk()?;
    // Until then nobody knows which accounts were used, and one that was is never used again.
    restored::refuse_unreconciled(&desk)?;
    if new.account <= desk.account {
        return Err(LedgerError::AgentClash { what: "account" });
    }
    refuse_clashes(tx, &new)?;
    if let Some(shared) = &new.shared
        && tx.books.shared(shared)?.budget.0.asset != new.budget.asset
    {
        return Err(LedgerError::OtherAsset);
    }
    tx.append(Event::AgentAdded {
        agent: agent.clone(),
        name: new.name,
        account: new.account,
        address: new.address,
        grade: new.grade,
        budget: new.budget,
        token_sha256: new.token_sha256,
    })?;
    if new.shared.is_some() {
        tx.append(Event::AgentShared { agent, shared: new.shared })?;
    }
    Ok(())
}

/// Refuses what the tables would refuse only when the whole group is written, and stop the writer
/// for everybody. Agents are in memory always.
fn refuse_clashes(tx: &Tx<'_>, new: &NewAgent) -> Result<(), LedgerError> {
    let key = new.name.key();
    let known = || tx.books.at_hand::<AgentRow>();
    if known().any(|row| row.name_key == key) {
        return Err(LedgerError::NameTaken { name: new.name.to_string() });
    }
    if known().any(|row| row.account == new.account) {
        return Err(LedgerError::AgentClash { what: "account" });
    }
    if known().any(|row| row.address == new.address) {
        return Err(LedgerError::AgentClash { what: "address" });
    }
    refuse_known_token(tx, None, &new.token_sha256)
}

/// A credential names one agent.
fn refuse_known_token(
    tx: &Tx<'_>,
    own: Option<&AgentId>,
    token_sha256: &str,
) -> Result<(), LedgerError> {
    let known = |row: &AgentRow| {
        row.token_sha256.as_deref() == Some(token_sha256) && Some(&row.agent) != own
    };
    match tx.books.at_hand::<AgentRow>().any(known) {
        true => Err(LedgerError::AgentClash { what: "token" }),
        false => Ok(()),
    }
}

/// An agent that may still be changed.
pub(crate) fn active(tx: &mut Tx<'_>, agent: &AgentId) -> Result<AgentRow, LedgerError> {
    let row = tx.books.agent(agent)?;
    match row.token_sha256 {
        Some(_) => Ok(row),
        None => Err(LedgerError::Revoked { agent: agent.clone() }),
    }
}

fn agent_of(row: &SqliteRow) -> Result<Agent, LedgerError> {
    let bad = |what: &str| LedgerError::damaged(format!("an agent’s {what}"));
    Ok(Agent {
        id: read::id(row.try_get("agent")?)?,
        name: row.try_get::<String, _>("name")?.parse().map_err(|_| bad("name"))?,
        account: u32::try_from(row.try_get::<i64, _>("account")?).map_err(|_| bad("account"))?,
        address: row.try_get::<String, _>("address")?.parse().map_err(|_| bad("address"))?,
        grade: row.try_get::<String, _>("grade")?.parse().map_err(|_| bad("grade"))?,
        budget: serde_json::from_str(row.try_get("budget")?).map_err(|_| bad("budget"))?,
        shared: row.try_get::<Option<String>, _>("shared")?.map(read::id).transpose()?,
        revoked: row.try_get::<Option<String>, _>("token_sha256")?.is_none(),
        added_ms: row.try_get("added_ms")?,
    })
}
