//! The log: what happened, in the order it happened, each event chained to the one before.

use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, AgentName, ApprovalId, AssetId, Authorization, Budget, Grade, Intent, Payee,
    PaymentId, RefillId, Units, Verdict, Window,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What an agent asked for, bound to one quote: the frozen subject of a decision.
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
    /// The chosen offer as it was received, JSON.
    pub offer: String,
    /// How long the payee says it needs, in seconds.
    pub max_timeout_s: u64,
    /// What is needed to go on after a question, kept beside the books and not in the log: it may
    /// hold the agent's own credentials for the payee.
    #[serde(skip)]
    pub kept_request: Option<Vec<u8>>,
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

/// Everything that can happen to the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[allow(
    missing_docs,
    reason = "each variant is documented; its fields are named for what they are"
)]
pub enum Event {
    /// The owner made an agent.
    AgentAdded {
        agent: AgentId,
        name: AgentName,
        account: u32,
        address: Address,
        grade: Grade,
        budget: Budget,
        token_sha256: String,
    },
    /// The owner changed limits.
    BudgetSet { agent: AgentId, budget: Budget },
    /// The owner changed a grade.
    GradeSet { agent: AgentId, grade: Grade },
    /// The owner replaced a credential.
    TokenRotated { agent: AgentId, token_sha256: String },
    /// The owner took a credential away for good.
    AgentRevoked { agent: AgentId },
    /// The owner stopped all payments.
    Frozen,
    /// The owner let them go on.
    Thawed,
    /// The owner (or practice mode, for its own shop) named a payee as known.
    PayeeTrusted { payee: Payee },
    /// The owner let agents reach a local address.
    HostAllowed { host: String },
    /// The owner took that back.
    HostRemoved { host: String },
    /// The rules said no.
    PaymentRefused { payment: PaymentId, order: Order, verdict: Verdict },
    /// The rules said ask.
    PaymentAsked {
        payment: PaymentId,
        order: Order,
        verdict: Verdict,
        approval: ApprovalId,
        expires_at: Timestamp,
    },
    /// A question ended.
    ApprovalAnswered { approval: ApprovalId, payment: PaymentId, answer: Answer, verdict: Verdict },
    /// Money is reserved; from here on a signature may exist.
    PaymentHeld {
        payment: PaymentId,
        order: Order,
        verdict: Verdict,
        authorization: Authorization,
        spans: Vec<(Window, String)>,
    },
    /// The hold came back; no signature ever existed.
    PaymentVoided { payment: PaymentId, why: String },
    /// The payee answered, or did not.
    PaymentDelivered { payment: PaymentId, delivery: Delivery },
    /// The chain says it was paid.
    PaymentSettled { payment: PaymentId, transaction: B256, block: u64 },
    /// The signature's time ran out unused.
    PaymentExpired { payment: PaymentId, block: u64 },
    /// The owner sends money from the treasury to a float.
    RefillGranted { refill: RefillId, agent: AgentId, to: Address, value: Units, asset: AssetId },
    /// The refill's transaction was signed.
    RefillSent { refill: RefillId, transaction: B256 },
    /// The chain says it arrived.
    RefillSettled { refill: RefillId, transaction: B256, block: u64 },
    /// It did not.
    RefillFailed { refill: RefillId, why: String },
    /// Money reached a float from somewhere else.
    FloatReceived {
        agent: AgentId,
        from: Address,
        value: Units,
        transaction: B256,
        log_index: u64,
        block: u64,
    },
}

impl Event {
    /// The word it is stored under, the same as in its JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::AgentAdded { .. } => "agent_added",
            Event::BudgetSet { .. } => "budget_set",
            Event::GradeSet { .. } => "grade_set",
            Event::TokenRotated { .. } => "token_rotated",
            Event::AgentRevoked { .. } => "agent_revoked",
            Event::Frozen => "frozen",
            Event::Thawed => "thawed",
            Event::PayeeTrusted { .. } => "payee_trusted",
            Event::HostAllowed { .. } => "host_allowed",
            Event::HostRemoved { .. } => "host_removed",
            Event::PaymentRefused { .. } => "payment_refused",
            Event::PaymentAsked { .. } => "payment_asked",
            Event::ApprovalAnswered { .. } => "approval_answered",
            Event::PaymentHeld { .. } => "payment_held",
            Event::PaymentVoided { .. } => "payment_voided",
            Event::PaymentDelivered { .. } => "payment_delivered",
            Event::PaymentSettled { .. } => "payment_settled",
            Event::PaymentExpired { .. } => "payment_expired",
            Event::RefillGranted { .. } => "refill_granted",
            Event::RefillSent { .. } => "refill_sent",
            Event::RefillSettled { .. } => "refill_settled",
            Event::RefillFailed { .. } => "refill_failed",
            Event::FloatReceived { .. } => "float_received",
        }
    }

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
            | Event::PaymentExpired { payment, .. } => Some(payment),
            _ => None,
        }
    }
}

/// The hash chain's end: how many events there are, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last event's number; zero for an empty log.
    pub seq: u64,
    /// The last event's hash; all zeros for an empty log.
    pub hash: B256,
    /// The last event's time, milliseconds since 1970: the clock's high-water mark.
    pub at_ms: i64,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Head = Head { seq: 0, hash: B256::ZERO, at_ms: 0 };

    /// The head after one more event: SHA-256 over the hash before, number, time and body.
    pub fn next(&self, at_ms: i64, body: &str) -> Head {
        let seq = self.seq + 1;
        let mut sha = Sha256::new();
        sha.update(b"imprest event v1\0");
        sha.update(self.hash);
        sha.update(seq.to_be_bytes());
        sha.update(at_ms.to_be_bytes());
        sha.update((body.len() as u64).to_be_bytes());
        sha.update(body);
        Head { seq, hash: B256::from_slice(&sha.finalize()), at_ms }
    }
}
