//! The one table of everything the owner can ask of the desk.
//!
//! Window, command line and tests read the same table: the shell makes its Tauri commands from
//! it, the owner's socket dispatches by it, and a test holds permissions and the TypeScript
//! client to it. `read` changes nothing, `lower` only takes authority away, `raise` can give
//! some and therefore needs an unlocked vault and the owner's presence: the passphrase, given
//! within the last two minutes in the window, and with the command itself from outside it.

/// Hands the table to a macro: `name(argument: Type, …) -> Answer, kind;` a line.
#[macro_export]
macro_rules! command_table {
    ($with:path) => {
        $with! {
            /// How the desk is doing.
            read status() -> DeskStatus;
            /// The home screen.
            read overview() -> Overview;
            /// All agents, newest last.
            read agents() -> Vec<AgentRow>;
            /// One agent's page, by identifier or name.
            read agent(agent: String) -> AgentPage;
            /// Questions that wait, oldest first.
            read approvals() -> Vec<ApprovalCard>;
            /// What happened, newest first; at most 200 rows a page.
            read activity(filter: ActivityFilter, cursor: Option<String>, limit: u32) -> ActivityPage;
            /// Everything known about one payment.
            read evidence(payment: String) -> Evidence;
            /// Ledger and chain, side by side.
            read books() -> Books;
            /// Recomputes the hash chain and the projections.
            read verify() -> Verified;
            /// Writes activity as CSV to a path the owner chose.
            read export_csv(path: String, filter: ActivityFilter) -> Exported;
            /// Seals books, keys and settings into one file at a path the owner chose, with a
            /// passphrase of its own.
            raise backup(path: String, passphrase: String, replace: bool) -> BackupMade;
            /// How far the backup that is being made is.
            read backup_progress() -> BackupProgress;
            /// The networks of the registry, the desk's own first.
            read networks() -> Vec<NetworkRow>;
            /// The agent programs on this machine, and whether an agent is connected in them.
            read programs() -> Vec<ProgramRow>;
            /// What connecting an agent would change in a program's settings; changes nothing.
            read connection_plan(agent: String, program: String) -> ConnectionPlan;
            /// Who was paid or is trusted, the latest first; with a text, those that contain it.
            read payees(text: Option<String>) -> Vec<PayeeView>;
            /// Local addresses that agents may reach.
            read hosts() -> Vec<String>;
            /// Budgets that several agents share, oldest first.
            read shared_budgets() -> Vec<SharedView>;
            /// What looked odd, newest first: all that is open, and the last that is over.
            read signals() -> Vec<SignalView>;
            /// What a budget would have done with an agent's last days; changes nothing.
            read rehearse(agent: String, budget: BudgetForm, days: u32) -> RehearsalView;

            /// The ways into the vault, the newest first and the words last.
            read ways() -> Vec<WayView>;
            /// Whose key pays for refills.
            read treasury() -> TreasuryView;
            /// Where money for the desk is sent to: the treasury's address, and what it holds.
            read fund() -> FundView;
            /// Says that somebody is at the window; answers whether it is still open. Opens nothing.
            read here() -> bool;

            /// Makes the vault and the ledger; answers the recovery words once.
            raise create_vault(passphrase: String) -> NewVault;
            /// Opens the vault.
            raise unlock(passphrase: String) -> DeskStatus;
            /// Sets a new passphrase with the recovery words.
            raise recover(words: String, new_passphrase: String) -> DeskStatus;
            /// Opens the vault with the keychain alone, where the owner has chosen that it may.
            raise unlock_with_keychain() -> DeskStatus;
            /// Forgets the keys until the passphrase comes again.
            lower lock() -> DeskStatus;
            /// Takes the passphrase as a sign that the owner is here, for two minutes.
            raise confirm(passphrase: String) -> DeskStatus;
            /// Ends the owner's presence and locks the window; agents go on being served.
            lower leave() -> DeskStatus;
            /// Sets after how many idle minutes vault and window lock; later than before needs the owner.
            raise set_locks(signing_idle_min: Option<u32>, window_idle_min: Option<u32>, with_session: bool) -> DeskStatus;

            /// Sets a new passphrase in place of the one given.
            raise change_passphrase(passphrase: String, new_passphrase: String) -> Vec<WayView>;
            /// Adds a way into the vault: strong, everyday or passphrase.
            raise add_way(passphrase: String, kind: String) -> Vec<WayView>;
            /// Removes a way into the vault.
            raise remove_way(passphrase: String, way: String) -> Vec<WayView>;
            /// Makes passphrase and this session's keychain the only way in beside the words.
            raise move_to_keychain(passphrase: String) -> Vec<WayView>;
            /// The 24 recovery words again.
            raise reveal_words() -> Words;
            /// Writes a key as a keystore file with a passphrase of its own.
            raise export_key(whose: String, path: String, keystore_passphrase: String) -> ExportedKeyView;
            /// Makes a key from elsewhere the treasury's.
            raise import_treasury(passphrase: String, key: String, keystore_passphrase: Option<String>) -> TreasuryView;
            /// Makes an address the treasury that is only looked at.
            raise watch_treasury(passphrase: String, address: String) -> TreasuryView;
            /// Makes the vault's own account the treasury again.
            raise own_treasury(passphrase: String) -> TreasuryView;

            /// Makes an agent with its own address, budget and credential, under a shared budget if
            /// one is named.
            raise add_agent(name: String, grade: String, budget: BudgetForm, shared: Option<String>) -> NewCredential;
            /// Sets an agent's limits; more than before needs the owner.
            raise set_budget(agent: String, budget: BudgetForm) -> AgentPage;
            /// Sets an agent's grade.
            raise set_grade(agent: String, grade: String) -> AgentPage;
            /// Replaces an agent's credential; the old one stops at once.
            raise rotate_token(agent: String) -> NewCredential;
            /// Takes an agent's credential away for good.
            lower revoke_agent(agent: String) -> AgentRow;
            /// Connects an agent in a program on this machine, if the change is still the one shown.
            raise connect_program(agent: String, program: String, diff: String) -> Vec<ProgramRow>;
            /// Takes the desk's entry out of a program's settings again.
            lower disconnect_program(program: String) -> Vec<ProgramRow>;
            /// Makes a budget for several agents to share.
            raise add_shared(name: String, budget: BudgetForm) -> SharedView;
            /// Sets a shared budget's limits.
            raise set_shared(shared: String, budget: BudgetForm) -> SharedView;
            /// Puts an agent under a shared budget, or takes it out.
            raise join_shared(agent: String, shared: Option<String>) -> AgentPage;
            /// Moves money from the treasury to an agent's float and waits for the chain.
            raise refill(agent: String, amount: String) -> AgentPage;
            /// Moves money from an agent's float back to the treasury and waits for the chain; all
            /// that no payment has reserved, if no amount is given.
            raise sweep(agent: String, amount: Option<String>) -> AgentPage;
            /// Burns the signature of one payment that nobody has taken yet.
            lower cancel(payment: String) -> CancelView;
            /// Burns the signatures of all payments that nobody has taken yet, oldest first.
            lower cancel_all() -> Vec<CancelView>;

            /// Says yes to exactly one payment.
            raise approve(approval: String) -> ActivityRow;
            /// Says no.
            lower refuse(approval: String, reason: Option<String>) -> ActivityRow;
            /// Stops all signing at once, across restarts.
            lower freeze() -> DeskStatus;
            /// Lets payments go on.
            raise thaw() -> DeskStatus;
            /// Ends a signal that waits for the owner to have seen it.
            raise acknowledge(signal: u64) -> Vec<SignalView>;
            /// Takes the computer's clock as right where it stands behind the books.
            raise accept_clock() -> DeskStatus;

            /// Lets agents reach a local address in spite of the private-address guard.
            raise allow_host(host: String) -> Vec<String>;
            /// Chooses the nodes that are asked about the desk's own network; none stands for the
            /// registry's.
            raise set_nodes(network: String, urls: Vec<String>) -> Vec<NetworkRow>;
            /// Takes that leave back.
            lower remove_host(host: String) -> Vec<String>;
        }
    };
}
