//! What the owner sees: the shapes that cross to the window and to the owner's commands.
//!
//! Figures cross as exact decimals with their asset named, times as RFC 3339, states as words.
//! Nothing here carries a key or a token, but for the two answers that show one once.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Derives what every shape needs; the TypeScript side exists only where tests write it.
macro_rules! shapes {
    ($($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[cfg_attr(test, derive(ts_rs::TS))]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($body)* }
        )*
    };
}

mod money;
pub use money::*;

impl Drop for NewVault {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

shapes! {
    /// How the desk is doing; the first thing a window asks.
    pub struct DeskStatus {
        /// "new" (no vault yet), "locked" or "open".
        pub stage: String,
        /// Whether this desk runs on practice money.
        pub practice: bool,
        /// Whether the owner has frozen all payments.
        pub frozen: bool,
        /// "calm", "wary", "guarded" or "halted": how suspicious the world looks to all payments.
        pub danger: String,
        /// What makes it look so, one sentence; absent when it is calm.
        pub danger_why: Option<String>,
        /// How many signals are open, whomever they are about.
        pub signals: u32,
        /// By how many seconds the computer's clock stands behind the books, when that stops
        /// payments from going unasked; see the command `accept_clock`.
        pub clock_behind_s: Option<u32>,
        /// "ready", "absent", "locked", "denied", "late" or "gone": the operating system's keychain.
        pub keychain: String,
        /// One sentence about the keychain when it is not ready.
        pub keychain_note: Option<String>,
        /// One sentence when no copy of the ledger's head lies in the keychain, so that an older
        /// ledger put in its place would not be noticed.
        pub copy_note: Option<String>,
        /// For books that came out of a backup, until the owner thaws the desk: what it still has to
        /// learn from the chain, and what the owner should do.
        pub restored_note: Option<String>,
        /// The last backup, and whether it is time for another.
        pub backup: BackupView,
        /// The network the desk pays on.
        pub network: NetworkView,
        /// Where agents connect over HTTP, such as "http://127.0.0.1:4020".
        pub http_url: Option<String>,
        /// Where agents connect over MCP.
        pub mcp_url: Option<String>,
        /// The practice shop, in practice mode.
        pub shop_url: Option<String>,
        /// How many questions wait.
        pub waiting: u32,
        /// How many agents there are, revoked ones left out.
        pub agents: u32,
        /// Seconds until the vault locks itself; absent when it is locked, or never does.
        pub locks_in_s: Option<u32>,
        /// After how many minutes without a signature the vault locks itself; absent for never.
        pub signing_idle_min: Option<u32>,
        /// After how many minutes without a touch the window locks; absent for never.
        pub window_idle_min: Option<u32>,
        /// Whether the vault locks with the desktop session.
        pub lock_with_session: bool,
        /// One sentence when the system does not tell of sleep and of locked sessions.
        pub system_locks_note: Option<String>,
        /// For how many seconds raising acts still go through without the passphrase; absent when
        /// they ask for it.
        pub presence_left_s: Option<u32>,
        /// Whether the window is locked: approving and raising ask for the passphrase, while agents
        /// go on being served.
        pub window_locked: bool,
        /// One sentence when the vault file is not the last one that was here, or when the disk did
        /// not confirm its last change.
        pub vault_note: Option<String>,
        /// The data folder.
        pub data_dir: String,
        /// The version of the desk.
        pub version: String,
        /// The last event's number; grows with every change.
        pub seq: u64,
    }

    /// The last backup, and whether it is time for another.
    pub struct BackupView {
        /// When it was made; absent when there never was one.
        pub last_at: Option<String>,
        /// How many events it lacks.
        pub events_since: u64,
        /// One sentence when a backup is due.
        pub note: Option<String>,
    }

    /// A backup that was made, read back and proven.
    pub struct BackupMade {
        /// The file.
        pub path: String,
        /// Its size in bytes.
        pub bytes: u64,
        /// SHA-256 of the file, hex.
        pub sha256: String,
        /// When it was made.
        pub made_at: String,
        /// How many events its log has.
        pub events: u64,
    }

    /// How far a backup is.
    pub struct BackupProgress {
        /// Whether one is being made.
        pub running: bool,
        /// "copying", "sealing", "reading", "proving" or "placing"; empty when none is being made.
        pub step: String,
        /// How far the step is, in thousandths; absent where nobody knows.
        pub permille: Option<u32>,
    }

    /// A network and whether it answers.
    pub struct NetworkView {
        /// "Practice", "Base".
        pub name: String,
        /// CAIP-2.
        pub id: String,
        /// The asset's symbol.
        pub asset: String,
        /// The asset's contract.
        pub contract: String,
        /// Whether the last read succeeded.
        pub reachable: bool,
        /// The newest block seen.
        pub block: Option<u64>,
        /// The treasury's address, once the vault exists.
        pub treasury: Option<String>,
    }

    /// A network of the registry.
    pub struct NetworkRow {
        /// "base-sepolia".
        pub key: String,
        /// "Base Sepolia".
        pub name: String,
        /// CAIP-2.
        pub id: String,
        /// Whether its money is worth nothing.
        pub practice: bool,
        /// Whether this desk pays on it.
        pub own: bool,
        /// The symbols of its assets, the one that is paid in first.
        pub assets: Vec<String>,
        /// The hosts of the nodes that are asked about it.
        pub nodes: Vec<String>,
        /// Whether the last read succeeded; of the desk's own network only.
        pub reachable: bool,
    }

    /// Somebody who was paid, or whom the owner trusts.
    pub struct PayeeView {
        /// Scheme, host and port, or "transfer:0x…" for an address that was sent money.
        pub origin: String,
        /// The host, "Corner shop" for the practice shop, or the address.
        pub name: String,
        /// Where it is paid now.
        pub pay_to: String,
        /// Where it was paid before, the latest first.
        pub earlier: Vec<PayeeAddressView>,
        /// Since when the present address is known, RFC 3339.
        pub first_seen: String,
        /// When it was paid or named last, RFC 3339.
        pub last_seen: String,
        /// The sum it has been paid, settled, as a decimal.
        pub paid: String,
        /// What was paid last.
        pub last_amount: Option<String>,
        /// What for, in the payee's words.
        pub last_what: Option<String>,
        /// The asset's symbol.
        pub asset: String,
        /// The lowest price lately, of whatever it sells.
        pub low: Option<String>,
        /// The highest.
        pub high: Option<String>,
        /// What its goods cost lately, by path.
        pub prices: Vec<PriceBand>,
        /// How many open signals are about it.
        pub signals: u32,
    }

    /// An address a payee was paid at before.
    pub struct PayeeAddressView {
        /// The address.
        pub pay_to: String,
        /// Since when it is known, RFC 3339.
        pub first_seen: String,
        /// When it was paid there last, RFC 3339.
        pub last_seen: String,
    }

    /// What one thing cost lately, at most ten times.
    pub struct PriceBand {
        /// The path that is fetched.
        pub item: String,
        /// The lowest, as a decimal.
        pub low: String,
        /// The highest.
        pub high: String,
        /// The last.
        pub last: String,
        /// How many prices these are.
        pub times: u32,
    }

    /// An agent program on this machine, and whose purse the desk opens to it.
    pub struct ProgramRow {
        /// "claude-code".
        pub program: String,
        /// "Claude Code".
        pub title: String,
        /// The path of its settings.
        pub settings: String,
        /// "connected", "free", "taken" where the desk's name is another server's, or "unreadable".
        pub state: String,
        /// The agent that is connected, where it is one of this desk's that is not revoked.
        pub agent_id: Option<String>,
        /// The agent's name; as it stands in the settings, where the desk does not know it.
        pub agent: Option<String>,
        /// Why its settings cannot be read.
        pub problem: Option<String>,
    }

    /// What connecting an agent in a program would change.
    pub struct ConnectionPlan {
        /// "claude-code".
        pub program: String,
        /// "Claude Code".
        pub title: String,
        /// The path of its settings.
        pub settings: String,
        /// Whether there is anything to change.
        pub needed: bool,
        /// Whether an entry of a desk's is changed instead of a new one made.
        pub replaces: bool,
        /// The change as a unified diff; values that are not part of it stand as "…".
        pub diff: String,
    }

    /// What a new vault gives its owner once.
    pub struct NewVault {
        /// The 24 recovery words.
        pub words: Vec<String>,
        /// What opens it from now on: "strong" for keychain and passphrase together, "passphrase"
        /// for the passphrase alone.
        pub way: String,
        /// The keychain that has its part, such as "Secret Service (GNOME)".
        pub keychain: Option<String>,
    }

    /// The recovery words again.
    pub struct Words {
        /// All 24, in order.
        pub words: Vec<String>,
    }

    /// A way into the vault.
    pub struct WayView {
        /// Its name, 32 hex digits; empty in a vault of an older form.
        pub id: String,
        /// "strong" for keychain and passphrase together, "everyday" for the keychain alone,
        /// "passphrase" for the passphrase alone, "words" for the recovery words.
        pub kind: String,
        /// The keychain that keeps its part, such as "Secret Service (GNOME)".
        pub keychain: Option<String>,
        /// Whether that keychain is this session's; always so without one.
        pub here: bool,
    }

    /// Whose key pays for refills.
    pub struct TreasuryView {
        /// "own" for the vault's own account, "imported" for a key from elsewhere, "watched" for an
        /// address without its key, "device" for a Ledger device.
        pub kind: String,
        /// Its address; absent for the own one while the vault is locked.
        pub address: Option<String>,
    }

    /// A key that was written to a file.
    pub struct ExportedKeyView {
        /// Where it is.
        pub path: String,
        /// The address it signs for.
        pub address: String,
    }

    /// The home screen.
    pub struct Overview {
        /// The asset all figures are in.
        pub asset: String,
        /// The desk's local date, `2026-11-22`.
        pub date: String,
        /// Settled today, all agents.
        pub spent_today: String,
        /// Reserved or signed and not yet settled, all agents.
        pub in_flight: String,
        /// The most that could still be lost today: what is left of each agent's limits, bounded by its float.
        pub at_worst_today: String,
        /// Limits that are nearly used, one sentence each: "Scout has used 82 % of today’s 5.00."
        pub warnings: Vec<String>,
        /// Questions, oldest first.
        pub approvals: Vec<ApprovalCard>,
        /// The latest decisions, newest first, at most 20.
        pub live: Vec<ActivityRow>,
        /// Each agent's pace over its longest calendar window.
        pub pace: Vec<Pace>,
    }

    /// A question to the owner: facts from the ledger, never from the agent's prose.
    pub struct ApprovalCard {
        /// Identifier, `apv_…`.
        pub id: String,
        /// The payment it is about.
        pub payment_id: String,
        /// The agent's name.
        pub agent: String,
        /// The agent's identifier.
        pub agent_id: String,
        /// What is bought: the payee's own description, bounded, or the path.
        pub what: String,
        /// How much, exact decimal.
        pub amount: String,
        /// The asset's symbol.
        pub asset: String,
        /// Where the offer came from.
        pub origin: String,
        /// The address that would be paid, EIP-55.
        pub pay_to: String,
        /// The whole address fetched.
        pub url: String,
        /// Why it is a question, one sentence a reason, with figures.
        pub reasons: Vec<String>,
        /// What would be left in the shortest window afterwards: "2.50 of 5.00 left today".
        pub left_after: Option<String>,
        /// What changed since the last payment to this origin, one sentence each.
        pub changes: Vec<String>,
        /// The agent's own words, if it gave any.
        pub purpose: Option<String>,
        /// The task it serves, as the agent named it.
        pub task: Option<String>,
        /// When it was asked.
        pub asked_at: String,
        /// When silence becomes a no.
        pub expires_at: String,
    }

    /// One row of what happened.
    pub struct ActivityRow {
        /// The payment or event this row opens.
        pub payment_id: String,
        /// When it was asked for.
        pub at: String,
        /// The agent's name.
        pub agent: String,
        /// The agent's identifier.
        pub agent_id: String,
        /// What was bought.
        pub what: String,
        /// The payee's host, or "Corner shop" for the practice shop.
        pub payee: String,
        /// How much.
        pub amount: String,
        /// The asset's symbol.
        pub asset: String,
        /// "refused", "waiting", "held", "delivered", "unknown", "settled", "void" or "expired".
        pub state: String,
        /// The outcome in a few words: "Settled, block 1204", "Refused: 4.00 is above 1.00 per payment".
        pub outcome: String,
    }

    /// A page of activity.
    pub struct ActivityPage {
        /// Rows, newest first.
        pub rows: Vec<ActivityRow>,
        /// Where the next page starts; absent on the last.
        pub next_cursor: Option<String>,
        /// How many rows match in all.
        pub total: u64,
        /// Whether `total` is exact; otherwise there are that many or more.
        pub total_is_exact: bool,
    }

    /// Which activity to show or export.
    pub struct ActivityFilter {
        /// One agent's only.
        pub agent_id: Option<String>,
        /// One state's only.
        pub state: Option<String>,
        /// Payee, address, purpose or task contains this.
        pub text: Option<String>,
        /// At or after, RFC 3339.
        pub from: Option<String>,
        /// Before, RFC 3339.
        pub until: Option<String>,
    }

    /// Everything known about one payment.
    pub struct Evidence {
        /// The row it belongs to.
        pub row: ActivityRow,
        /// The whole address fetched.
        pub url: String,
        /// HTTP method.
        pub method: String,
        /// Who pays.
        pub from: String,
        /// Who is paid.
        pub pay_to: String,
        /// CAIP-2 network.
        pub network: String,
        /// The token's contract.
        pub contract: String,
        /// The agent's own words.
        pub purpose: Option<String>,
        /// "allow", "ask" or "deny".
        pub verdict: String,
        /// Who or what answered a question: "owner at the desk".
        pub answered_by: Option<String>,
        /// The grade in force at the decision.
        pub grade: String,
        /// Every rule's finding.
        pub findings: Vec<Finding>,
        /// The offer as it was received, JSON, bounded.
        pub offer: String,
        /// The authorisation's nonce, once held.
        pub nonce: Option<String>,
        /// The signature's window, once held.
        pub valid_after: Option<String>,
        /// The signature's window, once held.
        pub valid_before: Option<String>,
        /// The transaction that settled it.
        pub transaction: Option<String>,
        /// The block that settled it.
        pub block: Option<u64>,
        /// SHA-256 of the response that was delivered.
        pub response_sha256: Option<String>,
        /// The HTTP status that was answered.
        pub response_status: Option<u16>,
        /// The receipt that the payee signed, while the answer it came with is kept.
        pub receipt: Option<SignedReceiptView>,
        /// Every event of this payment, oldest first.
        pub events: Vec<EventView>,
    }

    /// A receipt that a payee signed: its claim, which moves no money.
    pub struct SignedReceiptView {
        /// The document as it came, JSON; a stranger's text.
        pub document: String,
        /// Whose signature it bears, where the desk can check it.
        pub signer: Option<String>,
        /// What speaks against it, one clause each; empty when nothing does.
        pub faults: Vec<String>,
    }

    /// One rule's finding.
    pub struct Finding {
        /// The rule's word, "over_per_day".
        pub code: String,
        /// "pass", "ask", "approved" or "deny".
        pub effect: String,
        /// One sentence with its figures.
        pub message: String,
        /// What is worth seeing although it passes: "That is 80 % of the limit or more."
        pub note: Option<String>,
    }

    /// One event of the log.
    pub struct EventView {
        /// Its place in the chain.
        pub seq: u64,
        /// When.
        pub at: String,
        /// What kind, in a few words.
        pub kind: String,
        /// Its hash, hex.
        pub hash: String,
    }

    /// How an agent spends against the month, or its longest window.
    pub struct Pace {
        /// The agent's identifier.
        pub agent_id: String,
        /// The agent's name.
        pub agent: String,
        /// "day", "week", "month" or "lifetime".
        pub window: String,
        /// Settled.
        pub spent: String,
        /// In flight.
        pub in_flight: String,
        /// The limit.
        pub limit: String,
        /// Share of the limit settled, in thousandths.
        pub spent_permille: u32,
        /// Share of the limit in flight, in thousandths.
        pub in_flight_permille: u32,
        /// Share of the window's time gone, in thousandths.
        pub elapsed_permille: u32,
        /// Whether 80 % of the limit or more is used.
        pub warn: bool,
        /// One sentence: "Under pace. L3, asks above 0.25."
        pub note: String,
    }

    /// One agent in the list.
    pub struct AgentRow {
        /// Identifier.
        pub id: String,
        /// Name.
        pub name: String,
        /// Granted grade, "L3".
        pub grade: String,
        /// Grade in force.
        pub grade_in_force: String,
        /// Whether it was revoked.
        pub revoked: bool,
        /// Its float's address.
        pub address: String,
        /// What its float holds by the books.
        pub float: String,
        /// The asset's symbol.
        pub asset: String,
        /// Its pace.
        pub pace: Option<Pace>,
        /// Its limits that are nearly used, one sentence each.
        pub warnings: Vec<String>,
        /// The name of the budget it shares with others.
        pub shared: Option<String>,
        /// When it last asked for anything.
        pub last_seen: Option<String>,
        /// The budget as one sentence.
        pub sentence: String,
    }

    /// An agent's page.
    pub struct AgentPage {
        /// The row it belongs to.
        pub row: AgentRow,
        /// Its limits.
        pub budget: BudgetForm,
        /// Each limit over time, and how far along.
        pub windows: Vec<WindowRow>,
        /// What is allowed in the budget but may not be meant, one sentence each.
        pub notes: Vec<String>,
        /// The budget it shares with others.
        pub shared: Option<SharedView>,
        /// The most that can be lost, one sentence.
        pub worst_case: String,
        /// Why the grade in force is what it is.
        pub grade_reason: String,
        /// What its float holds on chain, when the chain answers.
        pub float_on_chain: Option<String>,
        /// The MCP entry to paste into an agent program, JSON.
        pub mcp_snippet: String,
        /// The same for MCP over HTTP; the token is left as a placeholder.
        pub http_snippet: String,
        /// Whether the token is in the keychain, so that `imprest mcp --agent` finds it.
        pub token_in_keychain: bool,
        /// Its latest activity, at most 10 rows.
        pub activity: Vec<ActivityRow>,
    }

    /// A limit over time.
    pub struct WindowRow {
        /// "hour", "day", "week", "month" or "lifetime"; an hour is any 60 minutes.
        pub window: String,
        /// The limit.
        pub limit: String,
        /// Settled; of an hour, all that was paid or reserved in the last 60 minutes.
        pub spent: String,
        /// In flight; of an hour it is in `spent`.
        pub in_flight: String,
        /// Left.
        pub left: String,
        /// When the next one starts; an hour rolls and a lifetime never ends.
        pub resets_at: Option<String>,
        /// Whether 80 % of the limit or more is used.
        pub warn: bool,
    }

    /// A budget that several agents stay within together.
    pub struct SharedView {
        /// Identifier.
        pub id: String,
        /// Name.
        pub name: String,
        /// Its limits.
        pub budget: BudgetForm,
        /// Each limit over time, and how far along, all its agents together.
        pub windows: Vec<WindowRow>,
        /// The names of the agents under it, revoked ones left out.
        pub agents: Vec<String>,
        /// The budget as one sentence.
        pub sentence: String,
        /// What is allowed in it but may not be meant, one sentence each.
        pub notes: Vec<String>,
    }

    /// Something that looked odd, and what it does to trust.
    pub struct SignalView {
        /// Its number in the log; what `acknowledge` names it by.
        pub seq: u64,
        /// When it was seen.
        pub at: String,
        /// What was seen: "price_jumped", "pay_to_changed", "refusal_burst", …
        pub kind: String,
        /// "wary", "guarded" or "halted": what it means while it is fresh.
        pub level: String,
        /// Whom or what it is about: "the desk", "shop.example", "Scout".
        pub subject: String,
        /// One sentence.
        pub detail: String,
        /// Whether it still counts, or may count again.
        pub open: bool,
        /// Whether the owner's acknowledgement ends it.
        pub needs_ack: bool,
        /// How it ends, one sentence.
        pub clears: String,
        /// When the owner acknowledged it, or what disagreed agreed again.
        pub ack_at: Option<String>,
    }

    /// What a budget would have done with an agent's payments of the last days.
    pub struct RehearsalView {
        /// How many days were looked at.
        pub days: u32,
        /// The asset all figures are in.
        pub asset: String,
        /// How many payments were asked for, whatever became of them.
        pub payments: u32,
        /// Of these it would have paid unasked.
        pub allowed: u32,
        /// Of these the owner would have been asked.
        pub asked: u32,
        /// Of these it would have refused.
        pub refused: u32,
        /// The sum of those paid unasked.
        pub amount_allowed: String,
        /// The sum of those asked about.
        pub amount_asked: String,
        /// The sum of those refused.
        pub amount_refused: String,
        /// The most that would have been spent in one calendar day.
        pub most_in_a_day: String,
        /// That day, `2026-11-22`; absent when nothing would have been spent.
        pub most_on: Option<String>,
        /// Which rules would have objected, the busiest first.
        pub rules: Vec<RuleCount>,
        /// All of it in one sentence.
        pub sentence: String,
    }

    /// How often a rule objected.
    pub struct RuleCount {
        /// The rule's word, "over_per_day".
        pub code: String,
        /// How many payments it objected to.
        pub times: u32,
    }

    #[derive(Default)]
    /// A budget as a form: decimals in the desk's asset; absent means no limit, "0" means nothing.
    pub struct BudgetForm {
        /// At most this for one payment.
        pub per_payment: Option<String>,
        /// In any 60 minutes.
        pub per_hour: Option<String>,
        /// Per calendar day.
        pub per_day: Option<String>,
        /// Per calendar week.
        pub per_week: Option<String>,
        /// Per calendar month.
        pub per_month: Option<String>,
        /// In all.
        pub lifetime: Option<String>,
        /// To one payee per calendar day.
        pub per_payee_day: Option<String>,
        /// To payees never paid before, together, unasked, per calendar day.
        pub per_new_payee_day: Option<String>,
        /// In flight at once.
        pub exposure: Option<String>,
        /// How many payments in any 60 minutes, a plain number.
        pub max_count_hour: Option<String>,
        /// The local time of day in which anything may be spent, `09:00-18:00`.
        pub hours: Option<String>,
        /// Above the per-payment limit: "ask" or "deny".
        pub over_payment: String,
        /// A payee never paid before: "ask", "allow" or "deny"; empty is "ask", and "allow" for a
        /// shared budget, which then leaves it to the agents' own.
        pub new_payee: String,
        /// IANA zone; the desk's own when empty.
        pub zone: String,
        /// When it ends, RFC 3339.
        pub expires_at: Option<String>,
    }

    /// A new credential; the token is shown this once.
    pub struct NewCredential {
        /// The agent.
        pub agent: AgentRow,
        /// The bearer token.
        pub token: String,
        /// Whether the keychain keeps it for the stdio bridge.
        pub token_in_keychain: bool,
        /// One sentence when it does not.
        pub note: Option<String>,
        /// What is allowed in the agent's budget but may not be meant, one sentence each.
        pub notes: Vec<String>,
    }

    /// Ledger and chain, side by side.
    pub struct Books {
        /// The asset's symbol.
        pub asset: String,
        /// Each float.
        pub floats: Vec<BookLine>,
        /// Whether every line is equal to the last unit.
        pub equal: bool,
        /// The block the chain was read at.
        pub block: u64,
        /// Money in flight, which the books reserve and the chain has not moved.
        pub in_flight: String,
    }

    /// One float in ledger and chain.
    pub struct BookLine {
        /// The agent's name.
        pub agent: String,
        /// The address.
        pub address: String,
        /// What the ledger says.
        pub ledger: String,
        /// What the chain says.
        pub chain: String,
        /// Whether they are equal.
        pub equal: bool,
    }

    /// What an export wrote.
    pub struct Exported {
        /// Where.
        pub path: String,
        /// How many rows.
        pub rows: u64,
        /// SHA-256 of the file, hex.
        pub sha256: String,
    }

    /// What `verify` found.
    pub struct Verified {
        /// How many events were read.
        pub events: u64,
        /// The head's hash, hex.
        pub head: String,
        /// Whether chain and projections are whole.
        pub whole: bool,
        /// What is wrong, one sentence each.
        pub faults: Vec<String>,
        /// Up to which event the vault has sealed the log; absent when it never has.
        pub sealed: Option<u64>,
        /// Whether the seal was checked with the vault's key, which takes an open vault.
        pub seal_checked: bool,
        /// Whether the log was compared with the copy of its head in the keychain.
        pub copy_checked: bool,
    }

    /// An error as it crosses: the window words the code, a terminal prints the sentences.
    pub struct Problem {
        /// A closed set of words, see `desk::ErrorCode`.
        pub code: String,
        /// What happened.
        pub message: String,
        /// What to do.
        pub recovery: String,
    }

    /// Something changed; ask again.
    pub struct Changed {
        /// Any of "status", "overview", "agents", "activity". Signals change with "status", shared
        /// budgets with "agents".
        pub topics: Vec<String>,
        /// The last event's number.
        pub seq: u64,
    }
}
