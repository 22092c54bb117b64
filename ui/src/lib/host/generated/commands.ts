// Generated from the desk's command table. Do not edit.

import type {
  ActivityFilter,
  ActivityPage,
  ActivityRow,
  AgentPage,
  AgentRow,
  ApprovalCard,
  BackupMade,
  BackupProgress,
  Books,
  BudgetForm,
  CancelView,
  ConnectionPlan,
  DeskStatus,
  Evidence,
  Exported,
  ExportedKeyView,
  FundView,
  NetworkRow,
  NewCredential,
  NewVault,
  Overview,
  PayeeView,
  ProgramRow,
  RehearsalView,
  SharedView,
  SignalView,
  TreasuryView,
  Verified,
  WayView,
  Words,
} from './types';

/** Every command of the desk: what it takes and what it answers. */
export interface Commands {
  /** How the desk is doing. */
  status: { args: Record<string, never>; answer: DeskStatus };
  /** The home screen. */
  overview: { args: Record<string, never>; answer: Overview };
  /** All agents, newest last. */
  agents: { args: Record<string, never>; answer: AgentRow[] };
  /** One agent's page, by identifier or name. */
  agent: { args: { agent: string }; answer: AgentPage };
  /** Questions that wait, oldest first. */
  approvals: { args: Record<string, never>; answer: ApprovalCard[] };
  /** What happened, newest first; at most 200 rows a page. */
  activity: { args: { filter: ActivityFilter; cursor: string | null; limit: number }; answer: ActivityPage };
  /** Everything known about one payment. */
  evidence: { args: { payment: string }; answer: Evidence };
  /** Ledger and chain, side by side. */
  books: { args: Record<string, never>; answer: Books };
  /** Recomputes the hash chain and the projections. */
  verify: { args: Record<string, never>; answer: Verified };
  /** Writes activity as CSV to a path the owner chose. */
  export_csv: { args: { path: string; filter: ActivityFilter }; answer: Exported };
  /** Seals books, keys and settings into one file at a path the owner chose, with a passphrase of its own. */
  backup: { args: { path: string; passphrase: string; replace: boolean }; answer: BackupMade };
  /** How far the backup that is being made is. */
  backup_progress: { args: Record<string, never>; answer: BackupProgress };
  /** The networks of the registry, the desk's own first. */
  networks: { args: Record<string, never>; answer: NetworkRow[] };
  /** The agent programs on this machine, and whether an agent is connected in them. */
  programs: { args: Record<string, never>; answer: ProgramRow[] };
  /** What connecting an agent would change in a program's settings; changes nothing. */
  connection_plan: { args: { agent: string; program: string }; answer: ConnectionPlan };
  /** Who was paid or is trusted, the latest first; with a text, those that contain it. */
  payees: { args: { text: string | null }; answer: PayeeView[] };
  /** Local addresses that agents may reach. */
  hosts: { args: Record<string, never>; answer: string[] };
  /** Budgets that several agents share, oldest first. */
  shared_budgets: { args: Record<string, never>; answer: SharedView[] };
  /** What looked odd, newest first: all that is open, and the last that is over. */
  signals: { args: Record<string, never>; answer: SignalView[] };
  /** What a budget would have done with an agent's last days; changes nothing. */
  rehearse: { args: { agent: string; budget: BudgetForm; days: number }; answer: RehearsalView };
  /** The ways into the vault, the newest first and the words last. */
  ways: { args: Record<string, never>; answer: WayView[] };
  /** Whose key pays for refills. */
  treasury: { args: Record<string, never>; answer: TreasuryView };
  /** Where money for the desk is sent to: the treasury's address, and what it holds. */
  fund: { args: Record<string, never>; answer: FundView };
  /** Says that somebody is at the window; answers whether it is still open. Opens nothing. */
  here: { args: Record<string, never>; answer: boolean };
  /** Makes the vault and the ledger; answers the recovery words once. */
  create_vault: { args: { passphrase: string }; answer: NewVault };
  /** Opens the vault. */
  unlock: { args: { passphrase: string }; answer: DeskStatus };
  /** Sets a new passphrase with the recovery words. */
  recover: { args: { words: string; newPassphrase: string }; answer: DeskStatus };
  /** Opens the vault with the keychain alone, where the owner has chosen that it may. */
  unlock_with_keychain: { args: Record<string, never>; answer: DeskStatus };
  /** Forgets the keys until the passphrase comes again. */
  lock: { args: Record<string, never>; answer: DeskStatus };
  /** Takes the passphrase as a sign that the owner is here, for two minutes. */
  confirm: { args: { passphrase: string }; answer: DeskStatus };
  /** Ends the owner's presence and locks the window; agents go on being served. */
  leave: { args: Record<string, never>; answer: DeskStatus };
  /** Sets after how many idle minutes vault and window lock; later than before needs the owner. */
  set_locks: { args: { signingIdleMin: number | null; windowIdleMin: number | null; withSession: boolean }; answer: DeskStatus };
  /** Sets a new passphrase in place of the one given. */
  change_passphrase: { args: { passphrase: string; newPassphrase: string }; answer: WayView[] };
  /** Adds a way into the vault: strong, everyday or passphrase. */
  add_way: { args: { passphrase: string; kind: string }; answer: WayView[] };
  /** Removes a way into the vault. */
  remove_way: { args: { passphrase: string; way: string }; answer: WayView[] };
  /** Makes passphrase and this session's keychain the only way in beside the words. */
  move_to_keychain: { args: { passphrase: string }; answer: WayView[] };
  /** The 24 recovery words again. */
  reveal_words: { args: Record<string, never>; answer: Words };
  /** Writes a key as a keystore file with a passphrase of its own. */
  export_key: { args: { whose: string; path: string; keystorePassphrase: string }; answer: ExportedKeyView };
  /** Makes a key from elsewhere the treasury's. */
  import_treasury: { args: { passphrase: string; key: string; keystorePassphrase: string | null }; answer: TreasuryView };
  /** Makes an address the treasury that is only looked at. */
  watch_treasury: { args: { passphrase: string; address: string }; answer: TreasuryView };
  /** Makes the vault's own account the treasury again. */
  own_treasury: { args: { passphrase: string }; answer: TreasuryView };
  /** Makes an agent with its own address, budget and credential, under a shared budget if one is named. */
  add_agent: { args: { name: string; grade: string; budget: BudgetForm; shared: string | null }; answer: NewCredential };
  /** Sets an agent's limits; more than before needs the owner. */
  set_budget: { args: { agent: string; budget: BudgetForm }; answer: AgentPage };
  /** Sets an agent's grade. */
  set_grade: { args: { agent: string; grade: string }; answer: AgentPage };
  /** Replaces an agent's credential; the old one stops at once. */
  rotate_token: { args: { agent: string }; answer: NewCredential };
  /** Takes an agent's credential away for good. */
  revoke_agent: { args: { agent: string }; answer: AgentRow };
  /** Connects an agent in a program on this machine, if the change is still the one shown. */
  connect_program: { args: { agent: string; program: string; diff: string }; answer: ProgramRow[] };
  /** Takes the desk's entry out of a program's settings again. */
  disconnect_program: { args: { program: string }; answer: ProgramRow[] };
  /** Makes a budget for several agents to share. */
  add_shared: { args: { name: string; budget: BudgetForm }; answer: SharedView };
  /** Sets a shared budget's limits. */
  set_shared: { args: { shared: string; budget: BudgetForm }; answer: SharedView };
  /** Puts an agent under a shared budget, or takes it out. */
  join_shared: { args: { agent: string; shared: string | null }; answer: AgentPage };
  /** Moves money from the treasury to an agent's float and waits for the chain. */
  refill: { args: { agent: string; amount: string }; answer: AgentPage };
  /** Moves money from an agent's float back to the treasury and waits for the chain; all that no payment has reserved, if no amount is given. */
  sweep: { args: { agent: string; amount: string | null }; answer: AgentPage };
  /** Burns the signature of one payment that nobody has taken yet. */
  cancel: { args: { payment: string }; answer: CancelView };
  /** Burns the signatures of all payments that nobody has taken yet, oldest first. */
  cancel_all: { args: Record<string, never>; answer: CancelView[] };
  /** Says yes to exactly one payment. */
  approve: { args: { approval: string }; answer: ActivityRow };
  /** Says no. */
  refuse: { args: { approval: string; reason: string | null }; answer: ActivityRow };
  /** Stops all signing at once, across restarts. */
  freeze: { args: Record<string, never>; answer: DeskStatus };
  /** Lets payments go on. */
  thaw: { args: Record<string, never>; answer: DeskStatus };
  /** Ends a signal that waits for the owner to have seen it. */
  acknowledge: { args: { signal: number }; answer: SignalView[] };
  /** Takes the computer's clock as right where it stands behind the books. */
  accept_clock: { args: Record<string, never>; answer: DeskStatus };
  /** Lets agents reach a local address in spite of the private-address guard. */
  allow_host: { args: { host: string }; answer: string[] };
  /** Chooses the nodes that are asked about the desk's own network; none stands for the registry's. */
  set_nodes: { args: { network: string; urls: string[] }; answer: NetworkRow[] };
  /** Takes that leave back. */
  remove_host: { args: { host: string }; answer: string[] };
}
