// Generated from the desk's shapes. Do not edit.

/** Which activity to show or export. */
export interface ActivityFilter {
  /** One agent's only. */
  agent_id: string | null;
  /** One state's only. */
  state: string | null;
  /** Payee, address, purpose or task contains this. */
  text: string | null;
  /** At or after, RFC 3339. */
  from: string | null;
  /** Before, RFC 3339. */
  until: string | null;
}

/** A page of activity. */
export interface ActivityPage {
  /** Rows, newest first. */
  rows: ActivityRow[];
  /** Where the next page starts; absent on the last. */
  next_cursor: string | null;
  /** How many rows match in all. */
  total: number;
  /** Whether `total` is exact; otherwise there are that many or more. */
  total_is_exact: boolean;
}

/** One row of what happened. */
export interface ActivityRow {
  /** The payment or event this row opens. */
  payment_id: string;
  /** When it was asked for. */
  at: string;
  /** The agent's name. */
  agent: string;
  /** The agent's identifier. */
  agent_id: string;
  /** What was bought. */
  what: string;
  /** The payee's host, or "Corner shop" for the practice shop. */
  payee: string;
  /** How much. */
  amount: string;
  /** The asset's symbol. */
  asset: string;
  /** "refused", "waiting", "held", "delivered", "unknown", "settled", "void" or "expired". */
  state: string;
  /** The outcome in a few words: "Settled, block 1204", "Refused: 4.00 is above 1.00 per payment". */
  outcome: string;
}

/** An agent's page. */
export interface AgentPage {
  /** The row it belongs to. */
  row: AgentRow;
  /** Its limits. */
  budget: BudgetForm;
  /** Each limit over time, and how far along. */
  windows: WindowRow[];
  /** What is allowed in the budget but may not be meant, one sentence each. */
  notes: string[];
  /** The budget it shares with others. */
  shared: SharedView | null;
  /** The most that can be lost, one sentence. */
  worst_case: string;
  /** Why the grade in force is what it is. */
  grade_reason: string;
  /** What its float holds on chain, when the chain answers. */
  float_on_chain: string | null;
  /** The MCP entry to paste into an agent program, JSON. */
  mcp_snippet: string;
  /** The same for MCP over HTTP; the token is left as a placeholder. */
  http_snippet: string;
  /** Whether the token is in the keychain, so that `imprest mcp --agent` finds it. */
  token_in_keychain: boolean;
  /** Its latest activity, at most 10 rows. */
  activity: ActivityRow[];
}

/** One agent in the list. */
export interface AgentRow {
  /** Identifier. */
  id: string;
  /** Name. */
  name: string;
  /** Granted grade, "L3". */
  grade: string;
  /** Grade in force. */
  grade_in_force: string;
  /** Whether it was revoked. */
  revoked: boolean;
  /** Its float's address. */
  address: string;
  /** What its float holds by the books. */
  float: string;
  /** The asset's symbol. */
  asset: string;
  /** Its pace. */
  pace: Pace | null;
  /** Its limits that are nearly used, one sentence each. */
  warnings: string[];
  /** The name of the budget it shares with others. */
  shared: string | null;
  /** When it last asked for anything. */
  last_seen: string | null;
  /** The budget as one sentence. */
  sentence: string;
}

/** A question to the owner: facts from the ledger, never from the agent's prose. */
export interface ApprovalCard {
  /** Identifier, `apv_…`. */
  id: string;
  /** The payment it is about. */
  payment_id: string;
  /** The agent's name. */
  agent: string;
  /** The agent's identifier. */
  agent_id: string;
  /** What is bought: the payee's own description, bounded, or the path. */
  what: string;
  /** How much, exact decimal. */
  amount: string;
  /** The asset's symbol. */
  asset: string;
  /** Where the offer came from. */
  origin: string;
  /** The address that would be paid, EIP-55. */
  pay_to: string;
  /** The whole address fetched. */
  url: string;
  /** Why it is a question, one sentence a reason, with figures. */
  reasons: string[];
  /** What would be left in the shortest window afterwards: "2.50 of 5.00 left today". */
  left_after: string | null;
  /** What changed since the last payment to this origin, one sentence each. */
  changes: string[];
  /** The agent's own words, if it gave any. */
  purpose: string | null;
  /** The task it serves, as the agent named it. */
  task: string | null;
  /** When it was asked. */
  asked_at: string;
  /** When silence becomes a no. */
  expires_at: string;
}

/** A backup that was made, read back and proven. */
export interface BackupMade {
  /** The file. */
  path: string;
  /** Its size in bytes. */
  bytes: number;
  /** SHA-256 of the file, hex. */
  sha256: string;
  /** When it was made. */
  made_at: string;
  /** How many events its log has. */
  events: number;
}

/** How far a backup is. */
export interface BackupProgress {
  /** Whether one is being made. */
  running: boolean;
  /** "copying", "sealing", "reading", "proving" or "placing"; empty when none is being made. */
  step: string;
  /** How far the step is, in thousandths; absent where nobody knows. */
  permille: number | null;
}

/** The last backup, and whether it is time for another. */
export interface BackupView {
  /** When it was made; absent when there never was one. */
  last_at: string | null;
  /** How many events it lacks. */
  events_since: number;
  /** One sentence when a backup is due. */
  note: string | null;
}

/** One float in ledger and chain. */
export interface BookLine {
  /** The agent's name. */
  agent: string;
  /** The address. */
  address: string;
  /** What the ledger says. */
  ledger: string;
  /** What the chain says. */
  chain: string;
  /** Whether they are equal. */
  equal: boolean;
}

/** Ledger and chain, side by side. */
export interface Books {
  /** The asset's symbol. */
  asset: string;
  /** Each float. */
  floats: BookLine[];
  /** Whether every line is equal to the last unit. */
  equal: boolean;
  /** The block the chain was read at. */
  block: number;
  /** Money in flight, which the books reserve and the chain has not moved. */
  in_flight: string;
}

/** A budget as a form: decimals in the desk's asset; absent means no limit, "0" means nothing. */
export interface BudgetForm {
  /** At most this for one payment. */
  per_payment: string | null;
  /** In any 60 minutes. */
  per_hour: string | null;
  /** Per calendar day. */
  per_day: string | null;
  /** Per calendar week. */
  per_week: string | null;
  /** Per calendar month. */
  per_month: string | null;
  /** In all. */
  lifetime: string | null;
  /** To one payee per calendar day. */
  per_payee_day: string | null;
  /** To payees never paid before, together, unasked, per calendar day. */
  per_new_payee_day: string | null;
  /** In flight at once. */
  exposure: string | null;
  /** How many payments in any 60 minutes, a plain number. */
  max_count_hour: string | null;
  /** The local time of day in which anything may be spent, `09:00-18:00`. */
  hours: string | null;
  /** Above the per-payment limit: "ask" or "deny". */
  over_payment: string;
  /** A payee never paid before: "ask", "allow" or "deny"; empty is "ask", and "allow" for a shared budget, which then leaves it to the agents' own. */
  new_payee: string;
  /** IANA zone; the desk's own when empty. */
  zone: string;
  /** When it ends, RFC 3339. */
  expires_at: string | null;
}

/** What became of an attempt to burn a payment's signature. */
export interface CancelView {
  /** The payment. */
  payment_id: string;
  /** The agent's name. */
  agent: string;
  /** The payee's host, or "Corner shop" for the practice shop. */
  payee: string;
  /** How much. */
  amount: string;
  /** The asset's symbol. */
  asset: string;
  /** "burnt", "paid" (the payee was faster), "over" (its time ran out), "sent" (not in a block yet), "failed", or "left" (not reached in time). */
  end: string;
  /** What that means, in one sentence or two. */
  sentence: string;
  /** The transaction that decided it, once known. */
  transaction: string | null;
}

/** Something changed; ask again. */
export interface Changed {
  /** Any of "status", "overview", "agents", "activity". Signals change with "status", shared budgets with "agents". */
  topics: string[];
  /** The last event's number. */
  seq: number;
}

/** What connecting an agent in a program would change. */
export interface ConnectionPlan {
  /** "claude-code". */
  program: string;
  /** "Claude Code". */
  title: string;
  /** The path of its settings. */
  settings: string;
  /** Whether there is anything to change. */
  needed: boolean;
  /** Whether an entry of a desk's is changed instead of a new one made. */
  replaces: boolean;
  /** The change as a unified diff; values that are not part of it stand as "…". */
  diff: string;
}

/** How the desk is doing; the first thing a window asks. */
export interface DeskStatus {
  /** "new" (no vault yet), "locked" or "open". */
  stage: string;
  /** Whether this desk runs on practice money. */
  practice: boolean;
  /** Whether the owner has frozen all payments. */
  frozen: boolean;
  /** "calm", "wary", "guarded" or "halted": how suspicious the world looks to all payments. */
  danger: string;
  /** What makes it look so, one sentence; absent when it is calm. */
  danger_why: string | null;
  /** How many signals are open, whomever they are about. */
  signals: number;
  /** By how many seconds the computer's clock stands behind the books, when that stops payments from going unasked; see the command `accept_clock`. */
  clock_behind_s: number | null;
  /** "ready", "absent", "locked", "denied", "late" or "gone": the operating system's keychain. */
  keychain: string;
  /** One sentence about the keychain when it is not ready. */
  keychain_note: string | null;
  /** One sentence when no copy of the ledger's head lies in the keychain, so that an older ledger put in its place would not be noticed. */
  copy_note: string | null;
  /** For books that came out of a backup, until the owner thaws the desk: what it still has to learn from the chain, and what the owner should do. */
  restored_note: string | null;
  /** The last backup, and whether it is time for another. */
  backup: BackupView;
  /** The network the desk pays on. */
  network: NetworkView;
  /** Where agents connect over HTTP, such as "http://127.0.0.1:4020". */
  http_url: string | null;
  /** Where agents connect over MCP. */
  mcp_url: string | null;
  /** The practice shop, in practice mode. */
  shop_url: string | null;
  /** How many questions wait. */
  waiting: number;
  /** How many agents there are, revoked ones left out. */
  agents: number;
  /** Seconds until the vault locks itself; absent when it is locked, or never does. */
  locks_in_s: number | null;
  /** After how many minutes without a signature the vault locks itself; absent for never. */
  signing_idle_min: number | null;
  /** After how many minutes without a touch the window locks; absent for never. */
  window_idle_min: number | null;
  /** Whether the vault locks with the desktop session. */
  lock_with_session: boolean;
  /** One sentence when the system does not tell of sleep and of locked sessions. */
  system_locks_note: string | null;
  /** For how many seconds raising acts still go through without the passphrase; absent when they ask for it. */
  presence_left_s: number | null;
  /** Whether the window is locked: approving and raising ask for the passphrase, while agents go on being served. */
  window_locked: boolean;
  /** One sentence when the vault file is not the last one that was here, or when the disk did not confirm its last change. */
  vault_note: string | null;
  /** The data folder. */
  data_dir: string;
  /** The version of the desk. */
  version: string;
  /** The last event's number; grows with every change. */
  seq: number;
}

/** One event of the log. */
export interface EventView {
  /** Its place in the chain. */
  seq: number;
  /** When. */
  at: string;
  /** What kind, in a few words. */
  kind: string;
  /** Its hash, hex. */
  hash: string;
}

/** Everything known about one payment. */
export interface Evidence {
  /** The row it belongs to. */
  row: ActivityRow;
  /** The whole address fetched. */
  url: string;
  /** HTTP method. */
  method: string;
  /** Who pays. */
  from: string;
  /** Who is paid. */
  pay_to: string;
  /** CAIP-2 network. */
  network: string;
  /** The token's contract. */
  contract: string;
  /** The agent's own words. */
  purpose: string | null;
  /** "allow", "ask" or "deny". */
  verdict: string;
  /** Who or what answered a question: "owner at the desk". */
  answered_by: string | null;
  /** The grade in force at the decision. */
  grade: string;
  /** Every rule's finding. */
  findings: Finding[];
  /** The offer as it was received, JSON, bounded. */
  offer: string;
  /** The authorisation's nonce, once held. */
  nonce: string | null;
  /** The signature's window, once held. */
  valid_after: string | null;
  /** The signature's window, once held. */
  valid_before: string | null;
  /** The transaction that settled it. */
  transaction: string | null;
  /** The block that settled it. */
  block: number | null;
  /** SHA-256 of the response that was delivered. */
  response_sha256: string | null;
  /** The HTTP status that was answered. */
  response_status: number | null;
  /** The receipt that the payee signed, while the answer it came with is kept. */
  receipt: SignedReceiptView | null;
  /** Every event of this payment, oldest first. */
  events: EventView[];
}

/** What an export wrote. */
export interface Exported {
  /** Where. */
  path: string;
  /** How many rows. */
  rows: number;
  /** SHA-256 of the file, hex. */
  sha256: string;
}

/** A key that was written to a file. */
export interface ExportedKeyView {
  /** Where it is. */
  path: string;
  /** The address it signs for. */
  address: string;
}

/** One rule's finding. */
export interface Finding {
  /** The rule's word, "over_per_day". */
  code: string;
  /** "pass", "ask", "approved" or "deny". */
  effect: string;
  /** One sentence with its figures. */
  message: string;
  /** What is worth seeing although it passes: "That is 80 % of the limit or more." */
  note: string | null;
}

/** Where money for the desk is sent to. */
export interface FundView {
  /** The treasury's address, EIP-55. */
  address: string;
  /** "Practice", "Base". */
  network: string;
  /** CAIP-2. */
  network_id: string;
  /** The asset's symbol. */
  asset: string;
  /** The asset's contract, EIP-55. */
  contract: string;
  /** What the treasury holds of the asset by the chain; absent when it does not answer. */
  balance: string | null;
  /** What it holds of the network's own coin, for gas, as an exact decimal. */
  coin: string | null;
  /** One sentence when there is something to know before sending anything. */
  note: string | null;
}

/** A network of the registry. */
export interface NetworkRow {
  /** "base-sepolia". */
  key: string;
  /** "Base Sepolia". */
  name: string;
  /** CAIP-2. */
  id: string;
  /** Whether its money is worth nothing. */
  practice: boolean;
  /** Whether this desk pays on it. */
  own: boolean;
  /** The symbols of its assets, the one that is paid in first. */
  assets: string[];
  /** The hosts of the nodes that are asked about it. */
  nodes: string[];
  /** Whether the last read succeeded; of the desk's own network only. */
  reachable: boolean;
}

/** A network and whether it answers. */
export interface NetworkView {
  /** "Practice", "Base". */
  name: string;
  /** CAIP-2. */
  id: string;
  /** The asset's symbol. */
  asset: string;
  /** The asset's contract. */
  contract: string;
  /** Whether the last read succeeded. */
  reachable: boolean;
  /** The newest block seen. */
  block: number | null;
  /** The treasury's address, once the vault exists. */
  treasury: string | null;
}

/** A new credential; the token is shown this once. */
export interface NewCredential {
  /** The agent. */
  agent: AgentRow;
  /** The bearer token. */
  token: string;
  /** Whether the keychain keeps it for the stdio bridge. */
  token_in_keychain: boolean;
  /** One sentence when it does not. */
  note: string | null;
  /** What is allowed in the agent's budget but may not be meant, one sentence each. */
  notes: string[];
}

/** What a new vault gives its owner once. */
export interface NewVault {
  /** The 24 recovery words. */
  words: string[];
  /** What opens it from now on: "strong" for keychain and passphrase together, "passphrase" for the passphrase alone. */
  way: string;
  /** The keychain that has its part, such as "Secret Service (GNOME)". */
  keychain: string | null;
}

/** The home screen. */
export interface Overview {
  /** The asset all figures are in. */
  asset: string;
  /** The desk's local date, `2026-11-22`. */
  date: string;
  /** Settled today, all agents. */
  spent_today: string;
  /** Reserved or signed and not yet settled, all agents. */
  in_flight: string;
  /** The most that could still be lost today: what is left of each agent's limits, bounded by its float. */
  at_worst_today: string;
  /** Limits that are nearly used, one sentence each: "Scout has used 82 % of today’s 5.00." */
  warnings: string[];
  /** Questions, oldest first. */
  approvals: ApprovalCard[];
  /** The latest decisions, newest first, at most 20. */
  live: ActivityRow[];
  /** Each agent's pace over its longest calendar window. */
  pace: Pace[];
}

/** How an agent spends against the month, or its longest window. */
export interface Pace {
  /** The agent's identifier. */
  agent_id: string;
  /** The agent's name. */
  agent: string;
  /** "day", "week", "month" or "lifetime". */
  window: string;
  /** Settled. */
  spent: string;
  /** In flight. */
  in_flight: string;
  /** The limit. */
  limit: string;
  /** Share of the limit settled, in thousandths. */
  spent_permille: number;
  /** Share of the limit in flight, in thousandths. */
  in_flight_permille: number;
  /** Share of the window's time gone, in thousandths. */
  elapsed_permille: number;
  /** Whether 80 % of the limit or more is used. */
  warn: boolean;
  /** One sentence: "Under pace. L3, asks above 0.25." */
  note: string;
}

/** An address a payee was paid at before. */
export interface PayeeAddressView {
  /** The address. */
  pay_to: string;
  /** Since when it is known, RFC 3339. */
  first_seen: string;
  /** When it was paid there last, RFC 3339. */
  last_seen: string;
}

/** Somebody who was paid, or whom the owner trusts. */
export interface PayeeView {
  /** Scheme, host and port, or "transfer:0x…" for an address that was sent money. */
  origin: string;
  /** The host, "Corner shop" for the practice shop, or the address. */
  name: string;
  /** Where it is paid now. */
  pay_to: string;
  /** Where it was paid before, the latest first. */
  earlier: PayeeAddressView[];
  /** Since when the present address is known, RFC 3339. */
  first_seen: string;
  /** When it was paid or named last, RFC 3339. */
  last_seen: string;
  /** The sum it has been paid, settled, as a decimal. */
  paid: string;
  /** What was paid last. */
  last_amount: string | null;
  /** What for, in the payee's words. */
  last_what: string | null;
  /** The asset's symbol. */
  asset: string;
  /** The lowest price lately, of whatever it sells. */
  low: string | null;
  /** The highest. */
  high: string | null;
  /** What its goods cost lately, by path. */
  prices: PriceBand[];
  /** How many open signals are about it. */
  signals: number;
}

/** What one thing cost lately, at most ten times. */
export interface PriceBand {
  /** The path that is fetched. */
  item: string;
  /** The lowest, as a decimal. */
  low: string;
  /** The highest. */
  high: string;
  /** The last. */
  last: string;
  /** How many prices these are. */
  times: number;
}

/** An error as it crosses: the window words the code, a terminal prints the sentences. */
export interface Problem {
  /** A closed set of words, see `desk::ErrorCode`. */
  code: string;
  /** What happened. */
  message: string;
  /** What to do. */
  recovery: string;
}

/** An agent program on this machine, and whose purse the desk opens to it. */
export interface ProgramRow {
  /** "claude-code". */
  program: string;
  /** "Claude Code". */
  title: string;
  /** The path of its settings. */
  settings: string;
  /** "connected", "free", "taken" where the desk's name is another server's, or "unreadable". */
  state: string;
  /** The agent that is connected, where it is one of this desk's that is not revoked. */
  agent_id: string | null;
  /** The agent's name; as it stands in the settings, where the desk does not know it. */
  agent: string | null;
  /** Why its settings cannot be read. */
  problem: string | null;
}

/** What a budget would have done with an agent's payments of the last days. */
export interface RehearsalView {
  /** How many days were looked at. */
  days: number;
  /** The asset all figures are in. */
  asset: string;
  /** How many payments were asked for, whatever became of them. */
  payments: number;
  /** Of these it would have paid unasked. */
  allowed: number;
  /** Of these the owner would have been asked. */
  asked: number;
  /** Of these it would have refused. */
  refused: number;
  /** The sum of those paid unasked. */
  amount_allowed: string;
  /** The sum of those asked about. */
  amount_asked: string;
  /** The sum of those refused. */
  amount_refused: string;
  /** The most that would have been spent in one calendar day. */
  most_in_a_day: string;
  /** That day, `2026-11-22`; absent when nothing would have been spent. */
  most_on: string | null;
  /** Which rules would have objected, the busiest first. */
  rules: RuleCount[];
  /** All of it in one sentence. */
  sentence: string;
}

/** How often a rule objected. */
export interface RuleCount {
  /** The rule's word, "over_per_day". */
  code: string;
  /** How many payments it objected to. */
  times: number;
}

/** A budget that several agents stay within together. */
export interface SharedView {
  /** Identifier. */
  id: string;
  /** Name. */
  name: string;
  /** Its limits. */
  budget: BudgetForm;
  /** Each limit over time, and how far along, all its agents together. */
  windows: WindowRow[];
  /** The names of the agents under it, revoked ones left out. */
  agents: string[];
  /** The budget as one sentence. */
  sentence: string;
  /** What is allowed in it but may not be meant, one sentence each. */
  notes: string[];
}

/** Something that looked odd, and what it does to trust. */
export interface SignalView {
  /** Its number in the log; what `acknowledge` names it by. */
  seq: number;
  /** When it was seen. */
  at: string;
  /** What was seen: "price_jumped", "pay_to_changed", "refusal_burst", … */
  kind: string;
  /** "wary", "guarded" or "halted": what it means while it is fresh. */
  level: string;
  /** Whom or what it is about: "the desk", "shop.example", "Scout". */
  subject: string;
  /** One sentence. */
  detail: string;
  /** Whether it still counts, or may count again. */
  open: boolean;
  /** Whether the owner's acknowledgement ends it. */
  needs_ack: boolean;
  /** How it ends, one sentence. */
  clears: string;
  /** When the owner acknowledged it, or what disagreed agreed again. */
  ack_at: string | null;
}

/** A receipt that a payee signed: its claim, which moves no money. */
export interface SignedReceiptView {
  /** The document as it came, JSON; a stranger's text. */
  document: string;
  /** Whose signature it bears, where the desk can check it. */
  signer: string | null;
  /** What speaks against it, one clause each; empty when nothing does. */
  faults: string[];
}

/** Whose key pays for refills. */
export interface TreasuryView {
  /** "own" for the vault's own account, "imported" for a key from elsewhere, "watched" for an address without its key, "device" for a Ledger device. */
  kind: string;
  /** Its address; absent for the own one while the vault is locked. */
  address: string | null;
}

/** What `verify` found. */
export interface Verified {
  /** How many events were read. */
  events: number;
  /** The head's hash, hex. */
  head: string;
  /** Whether chain and projections are whole. */
  whole: boolean;
  /** What is wrong, one sentence each. */
  faults: string[];
  /** Up to which event the vault has sealed the log; absent when it never has. */
  sealed: number | null;
  /** Whether the seal was checked with the vault's key, which takes an open vault. */
  seal_checked: boolean;
  /** Whether the log was compared with the copy of its head in the keychain. */
  copy_checked: boolean;
}

/** A way into the vault. */
export interface WayView {
  /** Its name, 32 hex digits; empty in a vault of an older form. */
  id: string;
  /** "strong" for keychain and passphrase together, "everyday" for the keychain alone, "passphrase" for the passphrase alone, "words" for the recovery words. */
  kind: string;
  /** The keychain that keeps its part, such as "Secret Service (GNOME)". */
  keychain: string | null;
  /** Whether that keychain is this session's; always so without one. */
  here: boolean;
}

/** A limit over time. */
export interface WindowRow {
  /** "hour", "day", "week", "month" or "lifetime"; an hour is any 60 minutes. */
  window: string;
  /** The limit. */
  limit: string;
  /** Settled; of an hour, all that was paid or reserved in the last 60 minutes. */
  spent: string;
  /** In flight; of an hour it is in `spent`. */
  in_flight: string;
  /** Left. */
  left: string;
  /** When the next one starts; an hour rolls and a lifetime never ends. */
  resets_at: string | null;
  /** Whether 80 % of the limit or more is used. */
  warn: boolean;
}

/** The recovery words again. */
export interface Words {
  /** All 24, in order. */
  words: string[];
}
