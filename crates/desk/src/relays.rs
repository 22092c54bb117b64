//! What the treasury takes to the chain for the owner, signed by agents that hold no gas:
//! cancellations, and sweeps of floats. How each ends is the chain's word (docs/decisions/0022).

use crate::desk::Desk;
use crate::jobs::{search_from, wait_depth};
use crate::problem::{ErrorCode, bad_amount, bad_input};
use crate::view::{AgentPage, CancelView, Problem};
use alloy_primitives::U256;
use imprest_chain::{At, AuthorizationEnd, Chain, ChainError};
use imprest_domain::{Address, Authorization, B256, PaymentId, PaymentState, Units};
use imprest_ledger::{Agent, LedgerError, OpenPayment, PaymentRecord, TransactionTerms};
use std::time::Duration;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

/// How long a transaction may take to reach a block before the owner is told to wait.
const RELAY_WAIT: Duration = Duration::from_secs(30);
/// How long cancelling all goes on sending; a command may take three minutes in all.
const SEND_FOR: Duration = Duration::from_secs(90);
/// How long a nonce is remembered that no node shows: what was sent before it may be lost.
const REMEMBERED_FOR: Duration = Duration::from_secs(180);

/// How an attempt to burn a signature ended, as far as it is known.
enum Burn {
    /// It is burnt, in this transaction and block.
    Burnt(B256, u64),
    /// The payee was faster.
    Paid(B256, u64),
    /// No block has the transaction yet.
    Sent(B256),
    /// It can never be used any more: its time ran out.
    Over,
    /// It was not burnt.
    Failed(String),
    /// Nothing was tried.
    Left,
}

/// The treasury's turn to send, which one at a time has, and the number of what it sends next: a node
/// may not show yet what it, or another one, was just given.
#[derive(Debug, Default)]
pub(crate) struct TreasuryTurn {
    /// The next nonce, and since when no node has shown all that was sent before it.
    next: Option<(u64, Instant)>,
}

impl TreasuryTurn {
    /// The next nonce, where a node says it is `told`; what no node has shown for long is forgotten.
    pub(crate) fn nonce(&mut self, told: u64, now: Instant) -> u64 {
        let is_over = |(next, since): (u64, Instant)| {
            told >= next || now.saturating_duration_since(since) >= REMEMBERED_FOR
        };
        if self.next.is_some_and(is_over) {
            self.next = None;
        }
        self.next.map_or(told, |(next, _)| next)
    }

    /// Notes that a node has taken the transaction with this nonce.
    pub(crate) fn sent(&mut self, nonce: u64, now: Instant) {
        let since = self.next.map_or(now, |(_, since)| since);
        self.next = Some((nonce.saturating_add(1), since));
    }
}

/// The chain, the treasury, and its turn to send for as long as this is held.
pub(crate) struct Relay<'a> {
    chain: Chain,
    treasury: Address,
    turn: MutexGuard<'a, TreasuryTurn>,
}

impl Desk {
    /// Burns the signature of one payment, so that it can never be used (EIP-3009), and waits for
    /// the chain. The money comes back once the block that says so is final.
    ///
    /// It only lowers what can be spent, so it asks for no passphrase and works while the desk is
    /// frozen; the agent's key and the treasury's are needed, so the vault has to be open.
    ///
    /// # Errors
    /// `not_found`, `conflict` for a payment that has no open signature or a treasury whose key is
    /// elsewhere, `locked`, or `chain_unreachable`.
    pub async fn cancel(&self, payment: String) -> Result<CancelView, Problem> {
        let payment: PaymentId = payment.parse().map_err(|e| bad_input("Payment", e))?;
        let record = self.inner.ledger.payment(&payment).await?;
        if record.state == PaymentState::Settled {
            return Err(paid_before(&record));
        }
        let open = self.inner.ledger.open_payments().await?;
        let Some(open) = open.into_iter().find(|open| open.payment == payment) else {
            let state = record.state;
            return Err(LedgerError::NothingToCancel { payment, state }.into());
        };
        let mut relay = self.relay().await?;
        let sent = self.send_cancel(&mut relay, &open).await?;
        let end = self.end_of_cancel(&relay, &open, sent, RELAY_WAIT).await;
        self.after_cancels();
        self.cancel_view(&payment, &end).await
    }

    /// Burns the signatures of all payments that nobody has taken, oldest first. What is not
    /// reached in a minute and a half is answered as left.
    ///
    /// # Errors
    /// As [`Desk::cancel`], when not even the first could be sent.
    pub async fn cancel_all(&self) -> Result<Vec<CancelView>, Problem> {
        let open = self.inner.ledger.open_payments().await?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let mut relay = self.relay().await?;
        let until = Instant::now() + SEND_FOR;
        let mut sent = Vec::with_capacity(open.len());
        for payment in &open {
            sent.push(match Instant::now() < until {
                false => Burn::Left,
                true => match self.send_cancel(&mut relay, payment).await {
                    Ok(burn) => burn,
                    Err(problem) if sent.is_empty() => return Err(problem),
                    Err(problem) => Burn::Failed(problem.to_string()),
                },
            });
        }
        // All of them wait for the same blocks, so all of them together wait no longer than one.
        let patient_until = Instant::now() + RELAY_WAIT;
        let mut views = Vec::with_capacity(open.len());
        for (payment, burn) in open.iter().zip(sent) {
            let patience = patient_until.saturating_duration_since(Instant::now());
            let end = self.end_of_cancel(&relay, payment, burn, patience).await;
            views.push(self.cancel_view(&payment.payment, &end).await?);
        }
        self.after_cancels();
        Ok(views)
    }

    fn after_cancels(&self) {
        self.inner.reconcile_now.notify_one();
        self.inner.changed(&["overview", "activity", "agents"]);
    }

    /// The way to the chain, once it is the caller's turn.
    pub(crate) async fn relay(&self) -> Result<Relay<'_>, Problem> {
        let turn = self.inner.treasury.lock().await;
        let (vault, chain) = (self.inner.need_vault()?, self.need_chain()?);
        let treasury = vault.treasury_address()?;
        Ok(Relay { chain, treasury, turn })
    }

    /// Signs and sends one cancellation, unless the chain has an end of the payment already.
    async fn send_cancel(
        &self,
        relay: &mut Relay<'_>,
        open: &OpenPayment,
    ) -> Result<Burn, Problem> {
        let inner = &self.inner;
        if let Some(end) = self.end_on_chain(&relay.chain, &open.authorization).await? {
            return Ok(end);
        }
        let terms = relay.terms().await?;
        let grant = match inner.ledger.begin_cancel(&open.payment, inner.asset.clone(), terms).await
        {
            Err(LedgerError::NothingToCancel { state, .. }) => {
                let why = format!("It is {} by now, and nothing was sent.", state.word());
                return Ok(Burn::Failed(why));
            }
            granted => granted?,
        };
        let signed = inner.need_vault()?.sign_cancel(grant).map_err(|refused| refused.error)?;
        inner.ledger.cancel_sent(&open.payment, signed.hash).await?;
        relay.send(&signed.raw, terms).await?;
        Ok(Burn::Sent(signed.hash))
    }

    /// What became of a cancellation that was sent; anything else stays what it is.
    async fn end_of_cancel(
        &self,
        relay: &Relay<'_>,
        open: &OpenPayment,
        burn: Burn,
        patience: Duration,
    ) -> Burn {
        let Burn::Sent(transaction) = burn else { return burn };
        let receipt = match relay.chain.wait_receipt(transaction, patience).await {
            Ok(receipt) => receipt,
            Err(error) => {
                tracing::warn!(%error, payment = %open.payment, "a cancellation is not in a block yet");
                return burn;
            }
        };
        if receipt.ok {
            return Burn::Burnt(transaction, receipt.block);
        }
        // The contract refuses to burn what was used: then the payee was faster.
        match self.end_on_chain(&relay.chain, &open.authorization).await {
            Ok(Some(end)) => end,
            Ok(None) => Burn::Failed("The chain refused the cancellation; nothing changed.".into()),
            Err(error) => Burn::Failed(format!(
                "The chain refused the cancellation, and did not say what became of the payment: {error}"
            )),
        }
    }

    /// What the chain says of an authorisation's end, if it has one.
    async fn end_on_chain(
        &self,
        chain: &Chain,
        authorization: &Authorization,
    ) -> Result<Option<Burn>, ChainError> {
        let (from, nonce) = (authorization.from, authorization.nonce);
        let head = chain.head().await?;
        if !chain.authorization_state(from, nonce, At::Latest).await? {
            // The contract takes it only in blocks before its end (EIP-3009), and this is none.
            let over = head.timestamp_s >= authorization.window.valid_before_s;
            return Ok(over.then_some(Burn::Over));
        }
        let from_block = search_from(self, chain, head.number, authorization);
        Ok(chain.find_end(from, nonce, from_block).await?.map(|end| match end {
            AuthorizationEnd::Used(paid) => Burn::Paid(paid.transaction, paid.block),
            AuthorizationEnd::Cancelled(gone) => Burn::Burnt(gone.transaction, gone.block),
        }))
    }

    async fn cancel_view(&self, payment: &PaymentId, burn: &Burn) -> Result<CancelView, Problem> {
        let record = self.inner.ledger.payment(payment).await?;
        let row = self.activity_row(&record).await?;
        let (end, transaction, sentence) = told(burn);
        Ok(CancelView {
            payment_id: row.payment_id,
            agent: row.agent,
            payee: row.payee,
            amount: row.amount,
            asset: row.asset,
            end: end.into(),
            sentence,
            transaction: transaction.map(|hash| hash.to_string()),
        })
    }

    /// Moves money from an agent's float back to the treasury and waits for the chain: so much, or
    /// all that no payment has reserved.
    ///
    /// # Errors
    /// `locked`, `presence_needed`, `not_found`, `bad_input`, `conflict` when the float holds too
    /// little or the desk is frozen, or `chain_unreachable`; a sweep that was sent and not seen in
    /// time is booked as soon as the chain shows it.
    pub async fn sweep(&self, agent: String, amount: Option<String>) -> Result<AgentPage, Problem> {
        self.inner.need_sound_books()?;
        let agent = self.inner.ledger.find_agent(&agent).await?;
        let amount = match amount {
            None => None,
            Some(text) => {
                Some(self.inner.asset.parse(text.trim()).map_err(|e| bad_amount("Amount", e))?)
            }
        };
        if amount.is_some_and(Units::is_zero) {
            return Err(bad_input("Amount", "zero moves nothing"));
        }
        self.inner.need_presence()?;
        self.sweep_units(&agent, amount).await?;
        self.agent_changed(&agent).await
    }

    async fn sweep_units(&self, agent: &Agent, amount: Option<Units>) -> Result<(), Problem> {
        let inner = &self.inner;
        let mut relay = self.relay().await?;
        let on_chain = relay.chain.balance(agent.address).await?;
        let terms = relay.terms().await?;
        let (treasury, asset) = (relay.treasury, inner.asset.clone());
        let begun =
            inner.ledger.begin_sweep(&agent.id, amount, on_chain, treasury, asset, terms).await;
        let grant = begun.map_err(|error| self.not_swept(error))?;
        let sweep = grant.sweep().clone();
        let signed = match inner.need_vault()?.sign_sweep(grant) {
            Ok(signed) => signed,
            Err(refused) => {
                // No signature left the vault, and the grant that came back proves it.
                let (grant, error) = (refused.grant, refused.error);
                inner.ledger.void_sweep(grant, error.to_string()).await?;
                return Err(error.into());
            }
        };
        inner.ledger.sweep_sent(&sweep, signed.hash).await?;
        inner.changed(&["overview", "agents"]);
        relay.send(&signed.raw, terms).await?;
        let receipt = relay.chain.wait_receipt(signed.hash, RELAY_WAIT).await?;
        inner.reconcile_now.notify_one();
        if !receipt.ok {
            return Err(Problem::new(
                ErrorCode::ChainUnreachable,
                "The chain refused the transfer.",
                "Nothing moved so far. What was signed for it can be used for two more minutes and stays reserved until the chain shows that it was not.",
            ));
        }
        let deep = wait_depth(&relay.chain, receipt.block, RELAY_WAIT).await?;
        // Looked at again: the chain may have gone another way meanwhile.
        if !deep || relay.chain.receipt(signed.hash).await?.as_ref() != Some(&receipt) {
            return Err(Problem::new(
                ErrorCode::ChainUnreachable,
                "The sweep was sent and the chain has not confirmed it for good yet.",
                "Wait: it is booked as soon as the chain confirms it. Do not send it again.",
            ));
        }
        Ok(inner.ledger.settle_sweep(&sweep, signed.hash, receipt.block).await?)
    }

    fn not_swept(&self, error: LedgerError) -> Problem {
        let LedgerError::NotInFloat { movable } = error else { return error.into() };
        let left = self.inner.asset.format_with_symbol(movable);
        match movable.is_zero() {
            true => Problem::new(
                ErrorCode::Conflict,
                "The float holds nothing that no payment has reserved.",
                "Wait until its payments have ended, or cancel them: `imprest cancel --all`.",
            ),
            false => Problem::new(
                ErrorCode::Conflict,
                format!("The float holds {left} that no payment has reserved."),
                "Ask for that or less, or leave the amount out.",
            ),
        }
    }
}

impl Relay<'_> {
    /// What the treasury's next transaction states.
    pub(crate) async fn terms(&mut self) -> Result<TransactionTerms, Problem> {
        let found = self.chain.relay_terms(self.treasury).await?;
        need_coin(&self.chain, self.treasury, found.fee_max_wei()).await?;
        Ok(TransactionTerms {
            nonce: self.turn.nonce(found.nonce, Instant::now()),
            gas_limit: found.gas_limit,
            max_fee_per_gas_wei: found.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei: found.max_priority_fee_per_gas_wei,
        })
    }

    /// Hands the signed transaction of these terms to a node.
    pub(crate) async fn send(
        &mut self,
        raw: &[u8],
        terms: TransactionTerms,
    ) -> Result<(), ChainError> {
        self.chain.send_raw(raw).await?;
        self.turn.sent(terms.nonce, Instant::now());
        Ok(())
    }

    /// Whether an authorisation can be used no more: it was, or it is burnt.
    pub(crate) async fn is_spent(&self, authorization: &Authorization) -> Result<bool, ChainError> {
        let (from, nonce) = (authorization.from, authorization.nonce);
        self.chain.authorization_state(from, nonce, At::Latest).await
    }
}

/// Whether the treasury holds so much of the network's own coin, in wei.
///
/// # Errors
/// `conflict` when it does not, or when no node tells.
pub(crate) async fn need_coin(
    chain: &Chain,
    treasury: Address,
    fee_max_wei: U256,
) -> Result<(), Problem> {
    let held_wei = chain.gas_balance_wei(treasury).await?;
    if held_wei >= fee_max_wei {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::Conflict,
        format!("The treasury holds {held_wei} wei for gas, and up to {fee_max_wei} are needed."),
        "Send some of the network’s own coin to its address; `imprest fund` shows it.",
    ))
}

/// How an attempt ended: its word, the transaction that decided it, and what that means.
fn told(burn: &Burn) -> (&'static str, Option<B256>, String) {
    match burn {
        Burn::Burnt(transaction, block) => (
            "burnt",
            Some(*transaction),
            format!(
                "Burnt in block {block}: it can never be paid. The money is free once that block is final."
            ),
        ),
        Burn::Paid(transaction, block) => (
            "paid",
            Some(*transaction),
            format!("The payee was faster: it was paid in block {block}."),
        ),
        Burn::Sent(transaction) => (
            "sent",
            Some(*transaction),
            "Sent, and in no block yet. The money stays reserved until the chain tells.".into(),
        ),
        Burn::Over => (
            "over",
            None,
            "Its time ran out, and nobody took it. The money is free once that is final.".into(),
        ),
        Burn::Failed(why) => ("failed", None, why.clone()),
        Burn::Left => ("left", None, "Not reached in time. Cancel again to go on.".into()),
    }
}

fn paid_before(record: &PaymentRecord) -> Problem {
    let block = record.block.map(|block| format!(" in block {block}")).unwrap_or_default();
    Problem::new(
        ErrorCode::Conflict,
        format!("It was paid{block}, so there is nothing left to cancel."),
        format!("Look at `imprest evidence {}`.", record.payment),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_said_in_words_of_its_own() {
        let hash = B256::repeat_byte(7);
        let ends = [
            (Burn::Burnt(hash, 9), "burnt", true, "block 9"),
            (Burn::Paid(hash, 9), "paid", true, "The payee was faster"),
            (Burn::Sent(hash), "sent", true, "stays reserved"),
            (Burn::Over, "over", false, "Its time ran out"),
            (Burn::Failed("It is void by now.".into()), "failed", false, "void by now"),
            (Burn::Left, "left", false, "Cancel again"),
        ];
        for (burn, word, has_transaction, part) in ends {
            let (end, transaction, sentence) = told(&burn);
            assert_eq!((end, transaction.is_some()), (word, has_transaction));
            assert!(sentence.contains(part) && sentence.ends_with('.'), "{sentence}");
        }
    }

    /// Nodes that do not show what waits say the same number again and again.
    #[tokio::test]
    async fn no_number_is_given_twice_and_none_is_waited_for_for_ever() {
        let (mut turn, start) = (TreasuryTurn::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (nonce, seconds) in [(7, 0), (8, 1), (9, 100)] {
            assert_eq!(turn.nonce(7, at(seconds)), nonce, "after {seconds} s");
            turn.sent(nonce, at(seconds));
        }
        assert_eq!(turn.nonce(7, at(179)), 10, "what was not sent takes no number");
        assert_eq!(turn.nonce(7, at(180)), 7, "what no node has shown for so long is lost");
        turn.sent(7, at(200));
        assert_eq!(turn.nonce(12, at(201)), 12, "somebody else has sent meanwhile");
        turn.sent(12, at(300));
        assert_eq!(turn.nonce(12, at(450)), 13, "its time begins anew");
        assert_eq!(turn.nonce(u64::MAX, at(451)), u64::MAX);
        turn.sent(u64::MAX, at(451));
        assert_eq!(turn.nonce(0, at(452)), u64::MAX, "no number is too large");
    }
}
