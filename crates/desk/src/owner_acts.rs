//! What the owner does: lock, agents, freeze, refills, local addresses.

use crate::command_table;
use crate::desk::Desk;
use crate::jobs::wait_depth;
use crate::limits::{Whose, notes};
use crate::place::token_entry;
use crate::problem::{ErrorCode, bad_amount, bad_form, bad_input};
use crate::view::*;
use futures::future::BoxFuture;
use imprest_domain::{AgentName, Grade, Units};
use imprest_gateway::Token;
use imprest_ledger::{Agent, NewAgent};
use imprest_rails::HostPort;
use imprest_vault::{KeychainError, KeychainState, VaultError};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// What a practice agent's float starts with, when its day allows no more: 10 USDC.
const FIRST_FLOAT_UNITS: u128 = 10_000_000;
/// The most a practice agent's float starts with: 50 USDC.
const FIRST_FLOAT_UNITS_MAX: u128 = 50_000_000;
/// What the practice treasury is filled up to: 250 USDC.
const PRACTICE_TREASURY_UNITS: u128 = 250_000_000;
/// How long opening the vault waits for the practice treasury to be filled.
const FILL_WAIT: Duration = Duration::from_secs(15);
/// How long a refill may take to reach a block.
const REFILL_WAIT: Duration = Duration::from_secs(30);

impl Desk {
    pub(crate) async fn opened(&self) -> Result<DeskStatus, Problem> {
        self.after_opening().await;
        self.status().await
    }

    /// What follows an open vault, and must not make its opening look like a failure.
    pub(crate) async fn after_opening(&self) {
        if let Err(problem) = self.halt_if_frozen().await {
            tracing::warn!(%problem, "whether the desk is frozen cannot be read, so nothing is signed");
            if let Some(vault) = self.inner.vault() {
                vault.halt();
            }
        }
        self.open_seal().await;
        if let Err(problem) = self.know_the_shop().await {
            tracing::warn!(%problem, "the practice shop could not be named as known");
        }
        match tokio::time::timeout(FILL_WAIT, self.fill_practice_treasury()).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(%problem, "the practice treasury could not be filled yet");
            }
            Err(_) => tracing::warn!("the practice chain takes long to fill the treasury"),
        }
        self.inner.changed(&["status", "overview", "agents"]);
    }

    /// Forgets the keys until the passphrase comes again.
    ///
    /// # Errors
    /// `no_vault`.
    pub async fn lock(&self) -> Result<DeskStatus, Problem> {
        self.inner.need_vault()?;
        self.lock_vault().await;
        self.status().await
    }

    /// Wipes the keys and takes the seal's key away from the books.
    pub(crate) async fn lock_vault(&self) {
        let Some(vault) = self.inner.vault() else { return };
        vault.lock();
        self.close_seal().await;
        self.inner.changed(&["status", "overview"]);
    }

    async fn fill_practice_treasury(&self) -> Result<(), Problem> {
        let practice = self.inner.practice.lock().await;
        let (Some(practice), Some(treasury)) = (practice.as_ref(), self.inner.treasury()) else {
            return Ok(());
        };
        let level = Units::new(PRACTICE_TREASURY_UNITS).unwrap_or_default();
        Ok(practice.fund_treasury(treasury, level).await?)
    }

    /// Makes an agent with its own address, budget and credential, under a shared budget if one is
    /// named; with practice money its float is filled at once.
    ///
    /// # Errors
    /// `locked`, `name_taken`, `not_found` for the shared budget, `conflict` while a restore is not
    /// through, or `bad_input` naming the field.
    pub async fn add_agent(
        &self,
        name: String,
        grade: String,
        budget: BudgetForm,
        shared: Option<String>,
    ) -> Result<NewCredential, Problem> {
        self.inner.need_sound_books()?;
        let name: AgentName = name.trim().parse().map_err(|e| bad_input("Name", e))?;
        let grade = read_grade(&grade)?;
        let budget = self.read_budget(&budget, Whose::Agent)?;
        self.inner.need_presence()?;
        let vault = self.inner.need_vault()?;
        let shared = match shared {
            Some(shared) => Some(self.inner.ledger.find_shared(&shared).await?.id),
            None => None,
        };
        // One at a time, or two would take the same account.
        let alone = self.inner.adding.lock().await;
        let account = self.inner.ledger.next_account().await?;
        let address = vault.address(account)?;
        let token = new_token()?;
        let token_sha256 = token.hash();
        let agent = self
            .inner
            .ledger
            .add_agent(NewAgent { name, account, address, grade, budget, shared, token_sha256 })
            .await?;
        drop(alone);
        self.inner.changed(&["overview", "agents", "status"]);
        let mut credential = self.keep_token(&agent, token).await?;
        if let Err(problem) = self.first_float(&agent).await {
            let note = format!("The float could not be filled yet: {}", problem.message);
            credential.note = Some(match credential.note {
                Some(first) => format!("{first} {note}"),
                None => note,
            });
        }
        credential.agent = self.agent_row(&agent).await?;
        Ok(credential)
    }

    async fn first_float(&self, agent: &Agent) -> Result<(), Problem> {
        if !self.inner.practice_mode || self.inner.chain().is_none() {
            return Ok(());
        }
        let floor = Units::new(FIRST_FLOAT_UNITS).unwrap_or_default();
        let ceiling = Units::new(FIRST_FLOAT_UNITS_MAX).unwrap_or_default();
        let day = agent.budget.limit_units_per_day.unwrap_or(floor);
        self.refill_units(agent, day.clamp(floor, ceiling)).await
    }

    async fn keep_token(&self, agent: &Agent, token: Token) -> Result<NewCredential, Problem> {
        let kept = self.inner.keychain().store(&token_entry(&agent.name), token.expose()).await;
        let note = kept.as_ref().err().map(|error| {
            let why = match error {
                KeychainError::Absent => "this system has no keychain to keep it in",
                KeychainError::Locked => "the system keychain is locked",
                KeychainError::TimedOut => "the system keychain has not answered in time",
                KeychainError::Gone => "the system keychain has ended",
                _ => "the system keychain did not take it",
            };
            format!("Copy the token now: {why}, and it is not shown again.")
        });
        Ok(NewCredential {
            agent: self.agent_row(agent).await?,
            token: token.expose().to_owned(),
            token_in_keychain: kept.is_ok(),
            note,
            notes: notes(&agent.budget),
        })
    }

    /// Sets an agent's limits. A limit that is lowered holds from the next payment on.
    ///
    /// # Errors
    /// `not_found`, or `bad_input` naming the field.
    pub async fn set_budget(
        &self,
        agent: String,
        budget: BudgetForm,
    ) -> Result<AgentPage, Problem> {
        self.inner.need_sound_books()?;
        let budget = self.read_budget(&budget, Whose::Agent)?;
        let _alone = self.inner.setting.lock().await;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        self.inner.may_set(&budget, &agent.budget)?;
        self.inner.ledger.set_budget(&agent.id, budget).await?;
        self.agent_changed(&agent).await
    }

    /// Sets an agent's grade.
    ///
    /// # Errors
    /// `not_found` or `bad_input`.
    pub async fn set_grade(&self, agent: String, grade: String) -> Result<AgentPage, Problem> {
        self.inner.need_sound_books()?;
        let grade = read_grade(&grade)?;
        let _alone = self.inner.setting.lock().await;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        if grade > agent.grade {
            self.inner.need_presence()?;
        }
        self.inner.ledger.set_grade(&agent.id, grade).await?;
        self.agent_changed(&agent).await
    }

    pub(crate) async fn agent_changed(&self, agent: &Agent) -> Result<AgentPage, Problem> {
        self.inner.changed(&["overview", "agents"]);
        self.agent(agent.id.to_string()).await
    }

    /// Replaces an agent's credential; the old one stops at once.
    ///
    /// # Errors
    /// `not_found`, or `conflict` for a revoked agent.
    pub async fn rotate_token(&self, agent: String) -> Result<NewCredential, Problem> {
        self.inner.need_sound_books()?;
        self.inner.need_presence()?;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        let token = new_token()?;
        self.inner.ledger.rotate_token(&agent.id, token.hash()).await?;
        // The books have forgotten where it was used; so do we, or the first place goes unseen.
        self.inner.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&agent.id);
        self.inner.changed(&["status", "overview", "agents"]);
        self.keep_token(&agent, token).await
    }

    /// Takes an agent's credential away for good. What is in flight stays reserved.
    ///
    /// # Errors
    /// `not_found`, or `conflict` when it was revoked before.
    pub async fn revoke_agent(&self, agent: String) -> Result<AgentRow, Problem> {
        let agent = self.inner.ledger.find_agent(&agent).await?;
        self.inner.ledger.revoke_agent(&agent.id).await?;
        if let Err(error) = self.inner.keychain().delete(&token_entry(&agent.name)).await {
            tracing::debug!(%error, "a revoked token stays in the keychain, where it opens nothing");
        }
        self.inner.changed(&["overview", "agents", "status"]);
        self.agent_row(&self.inner.ledger.agent(&agent.id).await?).await
    }

    /// Moves money from the treasury to an agent's float and waits for the chain.
    ///
    /// # Errors
    /// `locked`, `not_found`, `bad_input`, or `chain_unreachable`; a refill that was sent and not
    /// seen in time is booked as soon as the chain shows it.
    pub async fn refill(&self, agent: String, amount: String) -> Result<AgentPage, Problem> {
        self.inner.need_sound_books()?;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        let value = self.inner.asset.parse(amount.trim()).map_err(|e| bad_amount("Amount", e))?;
        if value.is_zero() {
            return Err(bad_input("Amount", "zero moves nothing"));
        }
        self.inner.need_presence()?;
        self.refill_units(&agent, value).await?;
        self.agent_changed(&agent).await
    }

    async fn refill_units(&self, agent: &Agent, value: Units) -> Result<(), Problem> {
        let inner = &self.inner;
        let (vault, chain) = (inner.need_vault()?, self.need_chain()?);
        let treasury = vault.treasury_address()?;
        self.fill_practice_treasury().await?;
        let mut turn = inner.treasury.lock().await;
        let held = chain.balance(treasury).await?;
        if held < value {
            let asset = &inner.asset;
            return Err(Problem::new(
                ErrorCode::Conflict,
                format!(
                    "The treasury holds {} and {} is wanted.",
                    asset.format(held),
                    asset.format_with_symbol(value)
                ),
                "Ask for less, or fill the treasury first.",
            ));
        }
        let terms = chain.transaction_terms(treasury).await?;
        let terms = imprest_ledger::TransactionTerms {
            nonce: turn.nonce(terms.nonce, Instant::now()),
            gas_limit: terms.gas_limit,
            max_fee_per_gas_wei: terms.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei: terms.max_priority_fee_per_gas_wei,
        };
        let grant = inner.ledger.begin_refill(&agent.id, value, inner.asset.clone(), terms).await?;
        let refill = grant.refill().clone();
        let signed = match vault.sign_treasury(grant) {
            Ok(signed) => signed,
            Err(refused) => {
                inner.ledger.refill_failed(&refill, refused.error.to_string()).await?;
                return Err(refused.error.into());
            }
        };
        inner.ledger.refill_sent(&refill, signed.hash).await?;
        chain.send_raw(&signed.raw).await?;
        turn.sent(terms.nonce, Instant::now());
        let receipt = chain.wait_receipt(signed.hash, REFILL_WAIT).await?;
        if receipt.ok {
            let deep = wait_depth(&chain, receipt.block, REFILL_WAIT).await?;
            // Looked at again: the chain may have gone another way meanwhile.
            if !deep || chain.receipt(signed.hash).await?.as_ref() != Some(&receipt) {
                return Err(Problem::new(
                    ErrorCode::ChainUnreachable,
                    "The refill was sent and the chain has not confirmed it for good yet.",
                    "Wait: it is booked as soon as the chain confirms it. Do not send it again.",
                ));
            }
            inner.ledger.refill_settled(&refill, signed.hash, receipt.block).await?;
            Ok(())
        } else {
            inner.ledger.refill_failed(&refill, "the chain refused it".into()).await?;
            Err(Problem::new(
                ErrorCode::ChainUnreachable,
                "The chain refused the transfer.",
                "Look at the treasury’s balance and try again; nothing moved.",
            ))
        }
    }

    /// Stops all signing at once, durably.
    ///
    /// # Errors
    /// When the books cannot be written; signing has stopped all the same until the desk closes.
    pub async fn freeze(&self) -> Result<DeskStatus, Problem> {
        // The latch first: a signature in the making is thrown away before the disk is asked.
        self.halt();
        // A thaw under way may open it again; it is closed once more when that thaw is through, and
        // no thaw begins before this freeze is.
        let _alone = self.inner.switch.lock().await;
        self.halt();
        if let Err(error) = self.inner.ledger.freeze().await {
            let mut problem = Problem::from(error);
            problem.message = format!(
                "Signing has stopped, but the freeze could not be written down and would not \
                 survive a restart. {}",
                problem.message
            );
            return Err(problem);
        }
        self.inner.changed(&["status", "overview", "agents"]);
        self.status().await
    }

    fn halt(&self) {
        if let Some(vault) = self.inner.vault() {
            vault.halt();
        }
    }

    /// Lets payments go on.
    ///
    /// # Errors
    /// `conflict` as long as the chain knows more than books out of a backup; `presence_needed`, or
    /// when the books cannot be written. Payments stay stopped then.
    pub async fn thaw(&self) -> Result<DeskStatus, Problem> {
        self.inner.need_sound_books()?;
        let _alone = self.inner.switch.lock().await;
        // Nothing is given where nothing is frozen.
        if self.inner.ledger.is_frozen().await? {
            self.inner.need_presence()?;
        }
        self.inner.ledger.thaw().await?;
        self.inner.trust.note_restored(None);
        if let Some(vault) = self.inner.vault() {
            vault.resume();
        }
        // A freeze that another program wrote has the last word.
        self.halt_if_frozen().await?;
        self.inner.changed(&["status", "overview", "agents"]);
        self.status().await
    }

    /// Lets agents reach a local `host:port` in spite of the private-address guard.
    ///
    /// # Errors
    /// `bad_input` when it is no host and port.
    pub async fn allow_host(&self, host: String) -> Result<Vec<String>, Problem> {
        self.inner.need_sound_books()?;
        let host: HostPort = host.trim().parse().map_err(|e| bad_input("Address", e))?;
        self.inner.need_presence()?;
        self.inner.ledger.allow_host(host.to_string()).await?;
        self.inner.rails.guard().allow(host);
        self.hosts().await
    }

    /// Takes that leave back.
    ///
    /// # Errors
    /// `bad_input` when it is no host and port.
    pub async fn remove_host(&self, host: String) -> Result<Vec<String>, Problem> {
        let host: HostPort = host.trim().parse().map_err(|e| bad_input("Address", e))?;
        self.inner.ledger.remove_host(host.to_string()).await?;
        self.inner.rails.guard().disallow(&host);
        self.hosts().await
    }

    /// Local addresses that agents may reach, the practice shop aside.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn hosts(&self) -> Result<Vec<String>, Problem> {
        Ok(self.inner.ledger.hosts().await?)
    }

    pub(crate) fn need_chain(&self) -> Result<imprest_chain::Chain, Problem> {
        self.inner.chain().ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "No desk is running, so there is no chain to ask.",
                "Start one with `imprest serve`.",
            )
        })
    }

    /// The keychain's state as a word and a sentence.
    pub(crate) async fn keychain_words(&self) -> (String, Option<String>) {
        let state = self.inner.keychain().state().await;
        let (word, note) = match state {
            KeychainState::Ready => return ("ready".into(), None),
            KeychainState::Absent => (
                "absent",
                "There is no system keychain here. Everything works, but you have to give agents their token yourself.",
            ),
            KeychainState::Locked => (
                "locked",
                "The system keychain is locked. Unlock it so that agents can be connected without a token in their files.",
            ),
            KeychainState::Denied => (
                "denied",
                "The system keychain refused Imprest. Allow it so that agents can be connected without a token in their files.",
            ),
            KeychainState::TimedOut => (
                "late",
                "The system keychain has not answered in time. Look for its question on the screen; until then agents need their token from you.",
            ),
            KeychainState::Gone => (
                "gone",
                "The system keychain has ended. Start it again, then close Imprest and open it; until then agents need their token from you.",
            ),
        };
        (word.into(), Some(note.into()))
    }
}

fn read_grade(text: &str) -> Result<Grade, Problem> {
    text.trim().parse().map_err(|e| bad_input("Grade", e))
}

fn new_token() -> Result<Token, Problem> {
    Token::generate().map_err(|e| {
        Problem::new(ErrorCode::Internal, e.to_string(), "Restart the computer and try again.")
    })
}

/// Key stretching takes a good part of a second and must not hold up everything else.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Problem::new(ErrorCode::Internal, error.to_string(), "Try again.")),
    }
}

macro_rules! dispatch {
    ($($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $type:ty),* $(,)?) -> $answer:ty;)*) => {
        impl Desk {
            /// Carries out one line of the command table, by name.
            ///
            /// # Errors
            /// `bad_input` for an unknown name or arguments of another form; else the command's own.
            pub fn call<'a>(
                &'a self,
                command: &'a str,
                args: serde_json::Value,
            ) -> BoxFuture<'a, Result<serde_json::Value, Problem>> {
                // Boxed, so that one future does not hold the states of all commands.
                Box::pin(async move { match command {
                    $(stringify!($name) => {
                        #[derive(serde::Deserialize)]
                        #[serde(deny_unknown_fields)]
                        struct Args { $($arg: $type),* }
                        #[allow(unused_variables, reason = "some commands take nothing")]
                        let Args { $($arg),* } = serde_json::from_value(args)
                            .map_err(|e| bad_form(command, &e))?;
                        let answer: $answer = self.$name($($arg),*).await?;
                        serde_json::to_value(answer).map_err(|e| {
                            Problem::new(ErrorCode::Internal, e.to_string(), "Report this fault.")
                        })
                    })*
                    other => {
                        let other: String = other.chars().take(40).collect();
                        Err(bad_input("Command", format!("there is no “{other}”")))
                    }
                } })
            }
        }
    };
}
command_table!(dispatch);
