//! An agent's plain transfer: decided and held like every payment, signed by the agent's key, and
//! taken to the chain by the treasury, because agents hold no gas (docs/decisions/0023).

use crate::desk::{Desk, Inner};
use crate::pay::{QUESTION_FOR, deadline, internal, locked, refused_unseen};
use crate::problem::ledger_failure;
use crate::relays::{Relay, need_coin};
use crate::view::Problem;
use alloy_primitives::U256;
use imprest_chain::ChainError;
use imprest_domain::{
    Address, AgentId, B256, Intent, Payee, PaymentId, PaymentState, Units, ValidityWindow, plain,
    plain_line, read_address,
};
use imprest_gateway::wire::{FetchAnswer, TransferRequest};
use imprest_gateway::{Failure, FailureCode};
use imprest_ledger::{Delivery, GasTerms, Grant, Order, Reserved, TransactionTerms};
use imprest_vault::{Treasury, VaultError};
use sha2::{Digest, Sha256};

/// The method that stands in the books where a payment has one of HTTP.
const METHOD: &str = "TRANSFER";
/// How long a signature has to be good for when it is made, in seconds: a transaction takes some
/// blocks, and one that comes too late costs gas and moves nothing.
const LEFT_S_MIN: u64 = 30;

/// A transfer whose form was checked.
struct Checked {
    to: Address,
    value: Units,
    digest: B256,
}

impl Desk {
    /// Sends money for an agent, if the rules allow.
    pub(crate) async fn transfer_for(
        &self,
        agent: &AgentId,
        asked: TransferRequest,
    ) -> Result<FetchAnswer, Failure> {
        let until = deadline(asked.wait_ms);
        let inner = &self.inner;
        // Taken before anything is waited for, as with a fetch.
        let credential = inner.ledger.credential_of(agent).await.map_err(ledger_failure)?;
        let float = inner.ledger.agent(agent).await.map_err(ledger_failure)?.address;
        let checked = inner.checked_transfer(&asked, float)?;
        let key = &asked.idempotency_key;
        if let Some(known) = self.known_by_key(agent, Some(key), checked.digest).await? {
            return self.answer_when_ended(known, until).await;
        }
        if let Some(verdict) = self.stopped(agent).await? {
            return Ok(refused_unseen(verdict));
        }
        self.need_open_vault()?;
        let gas = self.gas_terms().await?;
        let order = inner.transfer_order(agent, &asked, &checked, gas)?;
        let order = Order { credential, ..order };
        let payment = self.place_transfer(order).await?;
        self.answer_when_ended(payment, until).await
    }

    async fn place_transfer(&self, order: Order) -> Result<PaymentId, Failure> {
        let inner = &self.inner;
        let asset = inner.asset.clone();
        let reserved = inner.ledger.reserve(order, asset, inner.alarm(), QUESTION_FOR).await;
        let reserved = reserved.map_err(ledger_failure)?;
        inner.changed(&["overview", "activity", "agents", "status"]);
        match reserved {
            Reserved::Granted { payment, grant, verdict } => {
                if verdict.warnings().next().is_some() {
                    self.tell_near_limits(&payment).await;
                }
                self.carry_out_transfer(grant).await?;
                Ok(payment)
            }
            Reserved::Asked { payment, .. } => {
                self.ask_owner(&payment).await;
                Ok(payment)
            }
            Reserved::Refused { payment, .. } | Reserved::Known { payment } => Ok(payment),
        }
    }

    /// Signs and sends in a task of its own: an agent that hangs up must not leave a transfer half
    /// done.
    pub(crate) async fn carry_out_transfer(&self, grant: Grant) -> Result<(), Failure> {
        let desk = self.clone();
        let task = self.inner.tasks.spawn(async move { desk.sign_and_relay(grant).await });
        task.await.map_err(|e| internal(&e))?
    }

    async fn sign_and_relay(&self, grant: Grant) -> Result<(), Failure> {
        let inner = &self.inner;
        let payment = grant.payment().clone();
        let (mut relay, terms) = match self.turn_for(&grant).await {
            Ok(turn) => turn,
            Err(why) => return self.not_sent(grant, why).await,
        };
        let vault = inner.vault().ok_or_else(locked)?;
        let signed = match vault.sign_relayed(grant, terms) {
            Ok(signed) => signed,
            Err(refused) => {
                // No signature left the vault, and the grant that came back proves it.
                let (grant, error) = (refused.grant, refused.error);
                let locked_now = matches!(error, VaultError::Locked | VaultError::LockedMeanwhile);
                let told = self.not_sent(grant, error.to_string()).await;
                return if locked_now { Err(locked()) } else { told };
            }
        };
        inner.ledger.relay_sent(&payment, signed.hash).await.map_err(ledger_failure)?;
        if let Err(error) = relay.send(&signed.raw, terms).await {
            self.note_unsent(&payment, error).await?;
        }
        inner.reconcile_now.notify_one();
        inner.changed(&["overview", "activity", "agents", "status"]);
        Ok(())
    }

    /// A node may have it in spite of what it says: only the chain tells, and until then it is spent.
    async fn note_unsent(&self, payment: &PaymentId, error: ChainError) -> Result<(), Failure> {
        tracing::warn!(%error, %payment, "a transfer may not have been sent");
        let ChainError::Refused { message, .. } = error else { return Ok(()) };
        let why = format!("the network’s node refused the treasury’s transaction: {message}");
        let delivery = Delivery::Unknown { status: None, why: plain_line(&why, 300) };
        self.inner.ledger.record_delivery(payment, delivery).await.map_err(ledger_failure)
    }

    /// The treasury's turn, and what its transaction states. Others may have had the turn for minutes
    /// before, so that what is over by now, or costs more than was granted, is not signed.
    async fn turn_for(&self, grant: &Grant) -> Result<(Relay<'_>, TransactionTerms), String> {
        let mut relay = self.relay().await.map_err(|problem| problem.to_string())?;
        let ledger = &self.inner.ledger;
        let held = ledger.payment(grant.payment()).await.map_err(|error| error.to_string())?;
        if held.state != PaymentState::Held {
            return Err(format!("It is {} by now.", held.state.word()));
        }
        let now_s = u64::try_from(ledger.now().as_second()).unwrap_or_default();
        if is_late(grant.authorization().window, now_s) {
            return Err("The treasury’s turn came too late for it.".into());
        }
        if relay.is_spent(grant.authorization()).await.map_err(|error| error.to_string())? {
            return Err("It was cancelled before it was signed.".into());
        }
        let terms = relay.terms().await.map_err(|problem| problem.to_string())?;
        let granted = grant.fee_max_wei().unwrap_or_default().get();
        let most = granted.checked_div(terms.gas_limit.into()).unwrap_or_default();
        // Less than the network's fee would stand in the way of all that the treasury sends next.
        if terms.max_fee_per_gas_wei > most {
            return Err("The network’s fee has risen since it was granted.".into());
        }
        Ok((relay, terms))
    }

    async fn not_sent(&self, grant: Grant, why: String) -> Result<(), Failure> {
        let told = Failure::new(
            FailureCode::Unavailable,
            format!("The transfer was not sent: {}", plain_line(&why, 300)),
            "Nothing was spent. To try again use a new idempotency_key.",
        );
        self.inner.ledger.void(grant, why).await.map_err(ledger_failure)?;
        self.inner.changed(&["overview", "activity", "agents"]);
        Err(told)
    }

    /// The most that taking a transfer to the chain costs now, and the most that a day may cost.
    async fn gas_terms(&self) -> Result<GasTerms, Failure> {
        let unavailable = |what: String| {
            Failure::new(
                FailureCode::Unavailable,
                what,
                "Nothing was spent. Ask the owner to look at `imprest fund`, or try again later.",
            )
        };
        let treasury = self.inner.vault().ok_or_else(locked)?.treasury();
        if matches!(treasury, Treasury::Watched { .. } | Treasury::Device { .. }) {
            let what =
                "The treasury’s key is not at this desk, so it takes no transfer to the chain.";
            return Err(unavailable(what.into()));
        }
        let fee_max_wei = self.fee_with_spare().await.map_err(|why| unavailable(why.message))?;
        let fee_max_wei =
            u128::try_from(fee_max_wei).ok().and_then(|wei| Units::new(wei).ok()).ok_or_else(
                || unavailable("The network asks for more gas than any day allows.".into()),
            )?;
        Ok(GasTerms { fee_max_wei, per_day_wei: self.inner.network.gas_wei_per_day })
    }

    /// What a transfer costs at most now and a quarter more, in wei: fees rise until it is the
    /// treasury's turn. The treasury holds as much.
    async fn fee_with_spare(&self) -> Result<U256, Problem> {
        let (vault, chain) = (self.inner.need_vault()?, self.need_chain()?);
        let treasury = vault.treasury_address()?;
        let now_wei = chain.relay_terms(treasury).await?.fee_max_wei();
        let with_spare = now_wei.saturating_add(now_wei / U256::from(4));
        need_coin(&chain, treasury, with_spare).await?;
        Ok(with_spare)
    }

    /// The order that the owner is asked about, anew: the same transfer, at the gas of this moment.
    pub(crate) async fn transfer_again(
        &self,
        agent: &AgentId,
        asked: &TransferRequest,
    ) -> Result<Order, Failure> {
        let float = self.inner.ledger.agent(agent).await.map_err(ledger_failure)?.address;
        let checked = self.inner.checked_transfer(asked, float)?;
        let gas = self.gas_terms().await?;
        self.inner.transfer_order(agent, asked, &checked, gas)
    }
}

impl Inner {
    fn checked_transfer(
        &self,
        asked: &TransferRequest,
        float: Address,
    ) -> Result<Checked, Failure> {
        let bad = |what: String, next: &str| Failure::new(FailureCode::BadRequest, what, next);
        let to = read_address(&asked.to).map_err(|error| {
            bad(format!("The address cannot be used: {error}."), "Copy it again, whole.")
        })?;
        let never = if to.is_zero() {
            Some("is nobody’s, and what is sent there is lost")
        } else if to == self.asset.id.contract {
            Some("is the token’s own contract, and what is sent there is lost")
        } else if to == float {
            Some("is your own float")
        } else {
            None
        };
        if let Some(why) = never {
            return Err(bad(format!("The address {to} {why}."), "Give the payee’s address."));
        }
        if let Some(asset) = &asked.asset
            && !asset.eq_ignore_ascii_case(&self.asset.symbol)
        {
            return Err(bad(
                format!("{} is not what this desk pays in.", plain_line(asset, 40)),
                "Leave the asset out, or give your budget’s.",
            ));
        }
        let value = self.asset.parse(&asked.amount).map_err(|error| {
            bad(
                format!("The amount cannot be used: {error}."),
                "Write it as a decimal in your budget’s asset, such as \"0.25\".",
            )
        })?;
        let mut sha = Sha256::new();
        sha.update(b"imprest transfer v1\0");
        sha.update(self.asset.id.chain_id.to_be_bytes());
        sha.update(self.asset.id.contract);
        sha.update(to);
        sha.update(value.get().to_be_bytes());
        Ok(Checked { to, value, digest: B256::from_slice(&sha.finalize()) })
    }

    fn transfer_order(
        &self,
        agent: &AgentId,
        asked: &TransferRequest,
        checked: &Checked,
        gas: GasTerms,
    ) -> Result<Order, Failure> {
        let payee = Payee::of_transfer(checked.to, self.asset.id);
        Ok(Order {
            url: payee.origin.clone(),
            intent: Intent {
                agent: agent.clone(),
                payee,
                value: checked.value,
                agent_max: None,
                for_other_resource: false,
            },
            client_key: Some(asked.idempotency_key.clone()),
            request_sha256: checked.digest,
            method: METHOD.into(),
            what: "Transfer".into(),
            purpose: asked.purpose.as_deref().map(|text| plain(text, 500)),
            task: None,
            offer: "{}".into(),
            max_timeout_s: imprest_domain::SIGNATURE_S_MAX,
            nonce: None,
            gas: Some(gas),
            kept_request: Some(serde_json::to_vec(asked).map_err(|e| internal(&e))?),
            credential: None,
        })
    }
}

/// Whether too little of a window is left at this second since 1970 to begin with a transfer.
fn is_late(window: ValidityWindow, now_s: u64) -> bool {
    window.valid_before_s.saturating_sub(now_s) < LEFT_S_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_begins_while_half_a_minute_is_left() {
        let window = ValidityWindow { valid_after_s: 400, valid_before_s: 1_120 };
        assert!(!is_late(window, 1_000) && !is_late(window, 1_090));
        assert!(is_late(window, 1_091) && is_late(window, 1_120) && is_late(window, u64::MAX));
    }
}
