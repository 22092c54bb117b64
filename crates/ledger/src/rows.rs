//! The rows the log adds up to: one struct a table, in the tables' own words.

use crate::apply::Place;
use crate::cell::{Cell, Json, column};
use crate::error::LedgerError;
use crate::event::Order;
use crate::locks::Locks;
use crate::nodes::Nodes;
use crate::restored::Restored;
use crate::table::{Row, Sql};
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, ApprovalId, AssetId, Budget, Grade, HourUse, Intent, Payee, PaymentId, PaymentState,
    RefillId, SharedId, SignalKind, Subject, SweepId, Units, Window,
};
use rusqlite::types::ToSqlOutput;
use std::sync::{Arc, LazyLock};

macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $name:ident in $table:literal {
            $($key:ident: $key_type:ty),+;
            $($field:ident: $type:ty),* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $(pub(crate) $key: $key_type,)+
            $(pub(crate) $field: $type,)*
        }

        impl Row for $name {
            type Key = ($($key_type,)+);
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] =
                &[$(stringify!($key),)+ $(stringify!($field),)*];
            const KEYS: usize = [$(stringify!($key)),+].len();
            fn sql() -> &'static Sql {
                static SQL: LazyLock<Sql> =
                    LazyLock::new(|| Sql::new($name::TABLE, $name::COLUMNS, $name::KEYS));
                &SQL
            }
            fn key(&self) -> Self::Key {
                ($(self.$key.clone(),)+)
            }
            fn key_cells(key: &Self::Key) -> Vec<ToSqlOutput<'_>> {
                let ($($key,)+) = key;
                vec![$(Cell::cell($key)),+]
            }
            fn own_key_cells(&self) -> Vec<ToSqlOutput<'_>> {
                vec![$(Cell::cell(&self.$key)),+]
            }
            fn cells(&self) -> Vec<ToSqlOutput<'_>> {
                vec![$(Cell::cell(&self.$key),)+ $(Cell::cell(&self.$field),)*]
            }
            fn read(row: &rusqlite::Row<'_>) -> Result<$name, LedgerError> {
                let mut at = 0..;
                let mut next = || at.next().unwrap_or(usize::MAX);
                Ok($name {
                    $($key: column(row, next(), stringify!($key))?,)+
                    $($field: column(row, next(), stringify!($field))?,)*
                })
            }
            fn is(&self, row: &rusqlite::Row<'_>) -> Result<bool, LedgerError> {
                let mut at = 0..;
                let mut next = || at.next().unwrap_or(usize::MAX);
                Ok($(self.$key.is(row.get_ref(next())?))&&+
                    $(&& self.$field.is(row.get_ref(next())?))*)
            }
        }
    )*};
}

rows! {
    /// The desk itself; there is one.
    DeskRow in "desk" {
        only_row: u32;
        frozen: bool,
        payments: u64,
        restored: Option<Json<Restored>>,
        account: u32,
        locks: Option<Json<Locks>>,
        nodes: Option<Json<Nodes>>,
    }
    /// An agent.
    AgentRow in "agents" {
        agent: AgentId;
        name: String,
        name_key: String,
        account: u32,
        address: Address,
        grade: Grade,
        budget: Json<Budget>,
        shared: Option<SharedId>,
        token_sha256: Option<String>,
        place: Option<String>,
        questions: Json<Vec<PaymentId>>,
        last_ms: Option<i64>,
        added_ms: i64,
    }
    /// A budget that several agents share.
    SharedRow in "shared_budgets" {
        shared: SharedId;
        name: String,
        name_key: String,
        budget: Json<Budget>,
        added_ms: i64,
    }
    /// A payment, whatever became of it. What was ordered and decided stays in its events.
    PaymentRow in "payments" {
        payment: PaymentId;
        seq: u64,
        agent: AgentId,
        client_key: Option<String>,
        request_sha256: B256,
        state: PaymentState,
        what: String,
        url: String,
        method: String,
        purpose: Option<String>,
        task: Option<String>,
        origin: String,
        pay_to: Address,
        chain_id: u64,
        contract: Address,
        value: Units,
        verdict_seq: u64,
        spans: Option<Json<Vec<Span>>>,
        from_address: Option<Address>,
        nonce: Option<B256>,
        valid_after_s: Option<u64>,
        valid_before_s: Option<u64>,
        response_status: Option<u16>,
        response_sha256: Option<B256>,
        tx: Option<String>,
        block: Option<u64>,
        note: Option<String>,
        at_ms: i64,
        updated_ms: i64,
    }
    /// The payment an agent's idempotency key stands for.
    ClientKeyRow in "client_keys" {
        agent: AgentId, client_key: String;
        payment: PaymentId,
        request_sha256: B256,
    }
    /// What one window of one holder holds.
    CounterRow in "counters" {
        holder: String, span: Window, label: String;
        held: Units,
        settled: Units,
    }
    /// The rolling hour of one holder.
    HourRow in "hours" {
        holder: String;
        minutes: Json<HourUse>,
    }
    /// One movement between two accounts.
    EntryRow in "entries" {
        seq: u64;
        debit: String,
        credit: String,
        units: Units,
    }
    /// What an account adds up to; only `treasury` and `outside` may be below zero.
    AccountRow in "accounts" {
        account: String;
        units: i64,
    }
    /// An address an origin was paid at, or that the owner named.
    PayeeRow in "payees" {
        origin: String, pay_to: Address, chain_id: u64, contract: Address;
        first_seen_ms: i64,
        last_seen_ms: i64,
        last_value: Option<Units>,
        last_what: Option<String>,
    }
    /// The address an origin was paid at last.
    OriginRow in "origins" {
        origin: String, chain_id: u64, contract: Address;
        pay_to: Address,
    }
    /// The last prices paid for one thing, oldest first.
    PriceRow in "prices" {
        origin: String, item: String;
        last: Json<Vec<Units>>,
    }
    /// A question to the owner.
    ApprovalRow in "approvals" {
        approval: ApprovalId;
        payment: PaymentId,
        state: String,
        asked_ms: i64,
        expires_ms: i64,
        answered_ms: Option<i64>,
        answer: Option<String>,
    }
    /// Money on its way from the treasury to a float.
    RefillRow in "refills" {
        refill: RefillId;
        agent: AgentId,
        value: Units,
        chain_id: u64,
        contract: Address,
        state: String,
        tx: Option<B256>,
        block: Option<u64>,
        note: Option<String>,
        at_ms: i64,
    }
    /// Money on its way from a float back to the treasury.
    SweepRow in "sweeps" {
        sweep: SweepId;
        agent: AgentId,
        state: String,
        chain_id: u64,
        contract: Address,
        from_address: Address,
        to_address: Address,
        value: Units,
        nonce: B256,
        valid_after_s: u64,
        valid_before_s: u64,
        tx: Option<B256>,
        block: Option<u64>,
        note: Option<String>,
        at_ms: i64,
    }
    /// A local address agents may reach.
    HostRow in "hosts" {
        host: String;
    }
    /// Money that reached a float from outside.
    ReceiptRow in "receipts" {
        tx: B256, log_index: u64;
        agent: AgentId,
    }
    /// What was spent from an account that no agent here has.
    StrangerRow in "strangers" {
        tx: B256, log_index: u64;
        account: u32,
    }
    /// Something odd.
    SignalRow in "signals" {
        seq: u64;
        at_ms: i64,
        kind: SignalKind,
        subject: Subject,
        detail: String,
        ack_ms: Option<i64>,
    }
    /// A nonce that a payee's protocol prescribed, and the one payment that it was signed for; none
    /// where the chain told of it.
    NonceRow in "nonces" {
        agent: AgentId, nonce: B256;
        payment: Option<PaymentId>,
    }
    /// When something odd happened lately, milliseconds since 1970, oldest first.
    TallyRow in "tallies" {
        subject: Subject, kind: SignalKind;
        times: Json<Vec<i64>>,
    }
}

/// One counter a hold lies in: whose, which window, which one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Span(pub(crate) Arc<str>, pub(crate) Window, pub(crate) String);

impl DeskRow {
    /// The desk of an empty log.
    pub(crate) const FRESH: DeskRow = DeskRow {
        only_row: 1,
        frozen: false,
        payments: 0,
        restored: None,
        account: 0,
        locks: None,
        nodes: None,
    };
}

impl PaymentRow {
    /// A payment of which only the beginning has happened.
    pub(crate) fn begun(
        payment: PaymentId,
        order: Order,
        state: PaymentState,
        place: Place,
    ) -> PaymentRow {
        let Intent { agent, payee, value, .. } = order.intent;
        PaymentRow {
            payment,
            seq: place.seq,
            agent,
            client_key: order.client_key,
            request_sha256: order.request_sha256,
            state,
            what: order.what,
            url: order.url,
            method: order.method,
            purpose: order.purpose,
            task: order.task,
            origin: payee.origin,
            pay_to: payee.pay_to,
            chain_id: payee.asset.chain_id,
            contract: payee.asset.contract,
            value,
            verdict_seq: place.seq,
            spans: None,
            from_address: None,
            nonce: None,
            valid_after_s: None,
            valid_before_s: None,
            response_status: None,
            response_sha256: None,
            tx: None,
            block: None,
            note: None,
            at_ms: place.at_ms,
            updated_ms: place.at_ms,
        }
    }

    /// Who is paid.
    pub(crate) fn payee(&self) -> Payee {
        Payee {
            origin: self.origin.clone(),
            pay_to: self.pay_to,
            asset: AssetId { chain_id: self.chain_id, contract: self.contract },
        }
    }

    /// The thing that was fetched, whatever the payee calls it: the path of its address.
    pub(crate) fn item(&self) -> String {
        item_of(&self.url)
    }
}

/// The path of an address: what a price is compared by.
pub(crate) fn item_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path[..end].chars().take(500).collect()
}
