//! The log: what happened, in the order it happened, each event chained to the one before.

use crate::error::LedgerError;
pub use crate::head::Head;
pub use crate::later::Later;
use crate::locks::Locks;
use crate::nodes::Nodes;
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, AgentName, ApprovalId, AssetId, Authorization, Budget, Counted, Grade, HourUse,
    Intent, Payee, PaymentId, RefillId, SharedId, SignalKind, Subject, SweepId, Units, Verdict,
    Window,
};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// What an agent asked for, bound to one quote: the frozen subject of a decision. What is paid and
/// how is the payee's offer (x402, <https://www.x402.org>), and what is signed an EIP-3009
/// authorisation ([`Authorization`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who, to whom, how much.
    pub intent: Intent,
    /// The agent's own idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// SHA-256 over the request: what the key and an approval are bound to.
    pub request_sha256: B256,
    /// The address fetched.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// What is bought, in the payee's words, bounded and made plain.
    pub what: String,
    /// The agent's own words, bounded and made plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The task it serves, as the agent named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The chosen offer as it was received, JSON. An order that is read with its event has left
    /// it in the log, where whoever wants to show it finds it.
    #[serde(deserialize_with = "left_in_the_log")]
    pub offer: String,
    /// How long the payee says it needs, in seconds.
    pub max_timeout_s: u64,
    /// The nonce that the signature has to carry, where the payee's protocol prescribes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<B256>,
    /// What the treasury pays at most to take it to the chain; only a plain transfer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<GasTerms>,
    /// What is needed to go on after a question, kept beside the books and not in the log: it may
    /// hold the agent's own credentials for the payee.
    #[serde(skip)]
    pub kept_request: Option<Vec<u8>>,
    /// The hash of the credential that asked, hex: nothing is held for one that has been replaced
    /// meanwhile. Absent when the owner acts. Not written down.
    #[serde(skip)]
    pub credential: Option<String>,
}

/// What the treasury pays for taking one transfer to the chain, in wei of the chain's own coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasTerms {
    /// The most that this one costs.
    pub fee_max_wei: Units,
    /// The most that all of a day cost, as the registry had it.
    pub per_day_wei: Units,
}

/// What one transfer counts with in the treasury's gas of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasCounted {
    /// The day of UTC, as the counters name it.
    pub day: String,
    /// How much, in wei.
    pub wei: Units,
}

/// Reads over a text that no replay looks at.
fn left_in_the_log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Ok(String::new())
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// The owner said yes; the payment goes on as `payment_held`, or is refused by a limit.
    Approved,
    /// The owner said no.
    Refused {
        /// Why, if the owner said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Lapsed,
    /// The offer had changed when the owner said yes, so the question is void.
    Changed,
}

/// What is known right after the paid request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "delivery")]
pub enum Delivery {
    /// The payee answered as if paid.
    Delivered {
        /// HTTP status.
        status: u16,
        /// SHA-256 of the body.
        response_sha256: B256,
        /// The transaction the payee claims; a claim until the chain agrees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claimed_transaction: Option<String>,
    },
    /// The signature went out and nobody knows.
    Unknown {
        /// HTTP status, if there was an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Why it is unclear.
        why: String,
    },
}

macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $name:ident $word:literal {
            $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)?
        }
    )*) => {
        /// Everything that can happen to the books.
        #[derive(Debug, Clone, Serialize)]
        #[serde(tag = "event")]
        #[allow(
            clippy::large_enum_variant,
            reason = "an event lives for one write"
        )]
        pub enum Event {
            $($(#[$doc])* #[serde(rename = $word)] $name { $($(#[$attribute])* $field: $type),* },)*
        }

        impl Event {
            /// The word it is stored under, the same as in its JSON.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Event::$name { .. } => $word,)*
                }
            }

            /// Reads an event that was stored under `kind`.
            ///
            /// # Errors
            /// [`LedgerError::Damaged`] for a body of another form or another kind.
            pub fn parse(kind: &str, body: &str) -> Result<Event, LedgerError> {
                match kind {
                    $($word => {
                        // Each kind has its own reader: one that tries all of them would have to
                        // take the whole body apart first.
                        #[derive(Deserialize)]
                        struct Fields {
                            event: Box<str>,
                            $($(#[$attribute])* $field: $type,)*
                        }
                        let Fields { event, $($field),* } = serde_json::from_str(body)
                            .map_err(|e| LedgerError::damaged(e.to_string()))?;
                        if &*event != $word {
                            return Err(LedgerError::damaged(format!(
                                "“{event}” stored as {}", $word
                            )));
                        }
                        Ok(Event::$name { $($field),* })
                    })*
                    other => Err(LedgerError::damaged(format!("an event of the kind “{other}”"))),
                }
            }
        }
    };
}

events! {
    /// The owner made an agent.
    AgentAdded "agent_added" {
        /// Its identifier.
        agent: AgentId,
        /// Its name, unique without regard to case.
        name: AgentName,
        /// Its account index in the vault (BIP-44), from 1 on.
        account: u32,
        /// Its own address, its float.
        address: Address,
        /// What it may do unasked.
        grade: Grade,
        /// Its limits, in atomic units of the budget's asset.
        budget: Budget,
        /// SHA-256 of its bearer token, hex.
        token_sha256: String,
    }
    /// The owner changed limits.
    BudgetSet "budget_set" {
        /// Whose.
        agent: AgentId,
        /// The limits from now on, in atomic units of the budget's asset.
        budget: Budget,
        /// The windows that another time zone gives another name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        carried: Vec<Carried>,
    }
    /// The owner changed a grade.
    GradeSet "grade_set" {
        /// Whose.
        agent: AgentId,
        /// What it may do unasked from now on.
        grade: Grade,
    }
    /// The owner replaced a credential.
    TokenRotated "token_rotated" {
        /// Whose.
        agent: AgentId,
        /// SHA-256 of its new bearer token, hex.
        token_sha256: String,
    }
    /// The owner took a credential away for good.
    AgentRevoked "agent_revoked" {
        /// Whose.
        agent: AgentId,
    }
    /// The owner made a budget for several agents to share.
    SharedAdded "shared_added" {
        /// Its identifier.
        shared: SharedId,
        /// Its name, unique without regard to case.
        name: AgentName,
        /// Its limits, for all its agents together, in atomic units of the budget's asset.
        budget: Budget,
    }
    /// The owner changed a shared budget.
    SharedSet "shared_set" {
        /// Which.
        shared: SharedId,
        /// The limits from now on, in atomic units of the budget's asset.
        budget: Budget,
        /// The windows that another time zone gives another name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        carried: Vec<Carried>,
    }
    /// The owner put an agent under a shared budget, or took it out.
    AgentShared "agent_shared" {
        /// Which agent.
        agent: AgentId,
        /// The budget it is under from now on; none when it was taken out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shared: Option<SharedId>,
    }
    /// The owner stopped all payments.
    Frozen "frozen" {}
    /// The owner let them go on.
    Thawed "thawed" {}
    /// The owner accepted that the system's clock is right and the books' was ahead of it.
    ClockSet "clock_set" {
        /// The books' time until then, UTC.
        from: Timestamp,
        /// The system's time, UTC, from which the books go on.
        to: Timestamp,
        /// What the rolling hours hold at `to`, read off the log: the hours themselves have lost
        /// what the jump ahead pushed out of them. An hour that is not named is only set back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hours: Vec<HourSet>,
    }
    /// The owner (or practice mode, for its own shop) named a payee as known.
    PayeeTrusted "payee_trusted" {
        /// Origin, address and asset.
        payee: Payee,
    }
    /// The owner let agents reach a local address.
    HostAllowed "host_allowed" {
        /// `host:port`.
        host: String,
    }
    /// The owner took that back.
    HostRemoved "host_removed" {
        /// `host:port`.
        host: String,
    }
    /// The rules said no.
    PaymentRefused "payment_refused" {
        /// Its identifier.
        payment: PaymentId,
        /// What was asked for; its value in atomic units.
        order: Order,
        /// What the rules found.
        #[serde(deserialize_with = "Later::left")]
        verdict: Later<Verdict>,
        /// Whether it counts towards a burst: the agent ran against a limit or a rule, and not
        /// against a freeze or its own maximum.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hard: bool,
    }
    /// The rules said ask.
    PaymentAsked "payment_asked" {
        /// Its identifier.
        payment: PaymentId,
        /// What was asked for; its value in atomic units.
        order: Order,
        /// What the rules found, as the owner sees it.
        verdict: Later<Verdict>,
        /// The question.
        approval: ApprovalId,
        /// When silence becomes a no, UTC by the books' clock.
        expires_at: Timestamp,
    }
    /// A question ended.
    ApprovalAnswered "approval_answered" {
        /// The question.
        approval: ApprovalId,
        /// The payment it was about.
        payment: PaymentId,
        /// How it ended.
        answer: Answer,
        /// What the rules found at that moment.
        verdict: Later<Verdict>,
    }
    /// Money is reserved; from here on a signature may exist.
    PaymentHeld "payment_held" {
        /// Its identifier.
        payment: PaymentId,
        /// What was asked for; its value in atomic units.
        order: Order,
        /// What the rules found.
        #[serde(deserialize_with = "Later::left")]
        verdict: Later<Verdict>,
        /// What may be signed (EIP-3009): atomic units, and seconds since 1970.
        authorization: Authorization,
        /// The agent's own counters it lies in.
        spans: Vec<Counted>,
        /// The shared budget's counters it lies in, if the agent is under one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shared: Option<SharedHold>,
    }
    /// The hold came back; no signature ever existed.
    PaymentVoided "payment_voided" {
        /// Which.
        payment: PaymentId,
        /// Why nothing was signed, in a few words.
        why: String,
        /// What the day of its hold counts less for the treasury's gas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gas: Option<GasCounted>,
    }
    /// The payee answered, or did not.
    PaymentDelivered "payment_delivered" {
        /// Which.
        payment: PaymentId,
        /// What is known of the answer.
        delivery: Delivery,
    }
    /// The chain says it was paid.
    PaymentSettled "payment_settled" {
        /// Which.
        payment: PaymentId,
        /// The hash of the transaction that took it.
        transaction: B256,
        /// The number of that transaction's block.
        block: u64,
    }
    /// The chain undid the block in which it was paid: the money is reserved again. It is the first
    /// step by which a payment that was over could be given back, so it takes the vault.
    PaymentReopened "payment_reopened" {
        /// Which.
        payment: PaymentId,
        /// The number of the newest block when it was seen to be gone.
        block: u64,
    }
    /// The signature's time ran out unused.
    PaymentExpired "payment_expired" {
        /// Which.
        payment: PaymentId,
        /// The number of the finalised block that proves it.
        block: u64,
    }
    /// The treasury's transaction that takes a plain transfer to the chain was signed.
    RelaySent "relay_sent" {
        /// The payment.
        payment: PaymentId,
        /// The transaction's hash.
        transaction: B256,
    }
    /// The owner sends money from the treasury to a float.
    RefillGranted "refill_granted" {
        /// Its identifier.
        refill: RefillId,
        /// Whose float.
        agent: AgentId,
        /// The float's address.
        to: Address,
        /// How much, in atomic units of `asset`.
        value: Units,
        /// Chain and token.
        asset: AssetId,
    }
    /// The refill's transaction was signed.
    RefillSent "refill_sent" {
        /// Which.
        refill: RefillId,
        /// The transaction's hash.
        transaction: B256,
    }
    /// The chain says it arrived.
    RefillSettled "refill_settled" {
        /// Which.
        refill: RefillId,
        /// The transaction's hash.
        transaction: B256,
        /// The number of its block.
        block: u64,
    }
    /// It did not.
    RefillFailed "refill_failed" {
        /// Which.
        refill: RefillId,
        /// Why, in a few words.
        why: String,
    }
    /// The owner burns a payment's signature before anybody takes it.
    CancelGranted "cancel_granted" {
        /// The payment.
        payment: PaymentId,
        /// The address that signed it, and signs that it is void (EIP-3009).
        authorizer: Address,
        /// The nonce of what it signed.
        nonce: B256,
    }
    /// The transaction that burns it was signed.
    CancelSent "cancel_sent" {
        /// The payment.
        payment: PaymentId,
        /// The transaction's hash.
        transaction: B256,
    }
    /// The owner moves money from a float back to the treasury; it is reserved from here on.
    SweepHeld "sweep_held" {
        /// Its identifier.
        sweep: SweepId,
        /// Whose float.
        agent: AgentId,
        /// What may be signed (EIP-3009): atomic units, and seconds since 1970.
        authorization: Authorization,
    }
    /// The sweep's transaction was signed.
    SweepSent "sweep_sent" {
        /// Which.
        sweep: SweepId,
        /// The transaction's hash.
        transaction: B256,
    }
    /// The chain says it arrived.
    SweepSettled "sweep_settled" {
        /// Which.
        sweep: SweepId,
        /// The transaction's hash.
        transaction: B256,
        /// The number of its block.
        block: u64,
    }
    /// The sweep's hold came back; nothing was signed for it.
    SweepVoided "sweep_voided" {
        /// Which.
        sweep: SweepId,
        /// Why nothing was signed, in a few words.
        why: String,
    }
    /// The sweep's signature can never be used any more, and never was.
    SweepExpired "sweep_expired" {
        /// Which.
        sweep: SweepId,
        /// The number of the block that proves it.
        block: u64,
    }
    /// Money reached a float from somewhere else.
    FloatReceived "float_received" {
        /// Whose float.
        agent: AgentId,
        /// Who sent it.
        from: Address,
        /// How much, in atomic units of the agent's asset.
        value: Units,
        /// The transaction's hash.
        transaction: B256,
        /// Which log of its block says so, from 0 on.
        log_index: u64,
        /// The number of its block.
        block: u64,
    }
    /// Money left a float, and only the chain knew: found after an older backup was put back.
    SpendFound "spend_found" {
        /// Whose float.
        agent: AgentId,
        /// Who got the money.
        pay_to: Address,
        /// How much, in atomic units of the agent's asset.
        value: Units,
        /// The transaction's hash.
        transaction: B256,
        /// Which log of its block says so, from 0 on.
        log_index: u64,
        /// The number of its block.
        block: u64,
        /// The block's time, or the books' if that is behind it, UTC.
        at: Timestamp,
        /// The nonce of the authorisation that moved it, where it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<B256>,
        /// The agent's own counters it lies in.
        spans: Vec<Counted>,
        /// Those of every shared budget: the agent may have been under any of them by then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shared: Vec<SharedHold>,
    }
    /// Money left an address of this vault that no agent here has: one that was made after the
    /// backup had it.
    StrangerSpent "stranger_spent" {
        /// The address's account index in the vault (BIP-44).
        account: u32,
        /// Who got the money.
        pay_to: Address,
        /// How much, in atomic units of the desk's asset.
        value: Units,
        /// The transaction's hash.
        transaction: B256,
        /// Which log of its block says so, from 0 on.
        log_index: u64,
        /// The number of its block.
        block: u64,
        /// The block's time, or the books' if that is behind it, UTC.
        at: Timestamp,
        /// The counters of every shared budget: nobody knows under which it was.
        shared: Vec<SharedHold>,
    }
    /// The log up to here is the copy in a backup: whoever opens it has put an older state back.
    /// Nothing is paid before the chain was read and the owner has thawed the desk.
    FromBackup "from_backup" {
        /// The version of this event's form.
        version: u32,
        /// When the copy was made, UTC: what was spent since is only known to the chain.
        made_at: Timestamp,
    }
    /// The chain was asked for the first time since the backup was put back.
    RestoreSeen "restore_seen" {
        /// The version of this event's form.
        version: u32,
        /// The newest block's time, UTC.
        chain_at: Timestamp,
    }
    /// Everything is in the books that the chain knows since the backup.
    Reconciled "reconciled" {
        /// The version of this event's form.
        version: u32,
        /// Up to which finalised block.
        block: u64,
        /// The last account index of this vault that was ever used on the chain.
        account: u32,
    }
    /// The owner set when vault and window lock themselves.
    LocksSet "locks_set" {
        /// The version of this event's form.
        version: u32,
        /// When they lock from now on.
        locks: Locks,
    }
    /// As `locks_set`, and whatever was stricter before stays so.
    LocksTightened "locks_tightened" {
        /// The version of this event's form.
        version: u32,
        /// When they lock at the latest.
        locks: Locks,
    }
    /// The owner chose the nodes that are asked about the chain.
    NodesSet "nodes_set" {
        /// The version of this event's form.
        version: u32,
        /// Their addresses, the preferred first; none stands for the network's own.
        nodes: Nodes,
    }
    /// Something looked odd; danger rises.
    SignalRaised "signal_raised" {
        /// What was seen.
        kind: SignalKind,
        /// Of what.
        subject: Subject,
        /// One sentence without its full stop, for the owner.
        detail: String,
    }
    /// The owner acknowledged a signal, or what disagreed agrees again.
    SignalAnswered "signal_answered" {
        /// The number of the event that raised it.
        signal: u64,
        /// Who or what ended it.
        by: SignalAnswer,
    }
    /// An agent's credential was used from a place for the first time.
    PlaceSeen "place_seen" {
        /// Whose.
        agent: AgentId,
        /// The user account that owns the calling socket, in words.
        place: String,
    }
}

/// What a hold under a shared budget counts against besides the agent's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedHold {
    /// Which shared budget.
    pub shared: SharedId,
    /// Its counters.
    pub spans: Vec<Counted>,
}

/// The rolling hour of one holder, as it is from a change of the clock on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourSet {
    /// Whose: an agent's identifier, or a shared budget's.
    pub holder: String,
    /// What it holds, by the minute.
    pub minutes: HourUse,
}

/// A window that another time zone gives another name. Both are written down, so that a replay
/// needs no time zones and cannot come to another result when those change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Which kind.
    pub window: Window,
    /// Its label in the old zone.
    pub from: String,
    /// Its label in the new one.
    pub to: String,
}

impl Carried {
    /// The windows that `now` falls into and that change their names from one budget to the other.
    ///
    /// # Errors
    /// When a zone is unknown.
    pub(crate) fn between(
        old: &Budget,
        new: &Budget,
        now: Timestamp,
    ) -> Result<Vec<Carried>, LedgerError> {
        let mut carried = Vec::new();
        for window in
            [Window::Day, Window::Week, Window::Month, Window::PayeeDay, Window::NewPayeeDay]
        {
            let (from, to) = (old.span(window, now)?.label, new.span(window, now)?.label);
            if from != to {
                carried.push(Carried { window, from, to });
            }
        }
        Ok(carried)
    }
}

/// Who or what ended a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalAnswer {
    /// The owner, who saw it.
    Owner,
    /// What disagreed agrees again.
    Agreement,
}

impl Event {
    /// The payment it is about, if it is about one.
    pub fn payment(&self) -> Option<&PaymentId> {
        match self {
            Event::PaymentRefused { payment, .. }
            | Event::PaymentAsked { payment, .. }
            | Event::ApprovalAnswered { payment, .. }
            | Event::PaymentHeld { payment, .. }
            | Event::PaymentVoided { payment, .. }
            | Event::PaymentDelivered { payment, .. }
            | Event::PaymentSettled { payment, .. }
            | Event::PaymentReopened { payment, .. }
            | Event::PaymentExpired { payment, .. }
            | Event::RelaySent { payment, .. }
            | Event::CancelGranted { payment, .. }
            | Event::CancelSent { payment, .. } => Some(payment),
            _ => None,
        }
    }

    /// Whether only an owner with an open vault can have caused it: what gives authority, reserves
    /// money for a signature, or takes back that money was spent. Such an event is always under the vault's seal.
    pub fn needs_the_vault(&self) -> bool {
        matches!(
            self,
            Event::AgentAdded { .. }
                | Event::BudgetSet { .. }
                | Event::GradeSet { .. }
                | Event::TokenRotated { .. }
                | Event::SharedAdded { .. }
                | Event::SharedSet { .. }
                | Event::AgentShared { .. }
                | Event::Thawed {}
                | Event::RestoreSeen { .. }
                | Event::Reconciled { .. }
                | Event::LocksSet { .. }
                | Event::NodesSet { .. }
                | Event::ClockSet { .. }
                | Event::PayeeTrusted { .. }
                | Event::HostAllowed { .. }
                | Event::PaymentHeld { .. }
                | Event::PaymentReopened { .. }
                | Event::RefillGranted { .. }
                | Event::SweepHeld { .. }
                | Event::SignalAnswered { by: SignalAnswer::Owner, .. }
        )
    }
}
