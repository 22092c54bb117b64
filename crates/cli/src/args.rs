//! The words of the command line: what can be typed, and what `--help` says about it. Here is the
//! table of commands; what each takes lies in a module named after the one that carries it out.

mod agent;
mod connect;
mod keep;
mod owner;
mod read;
mod values;
mod vault;

pub use agent::*;
pub use connect::*;
pub use keep::*;
pub use owner::*;
pub use read::*;
pub use values::{amount, moment};
pub use vault::*;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use std::net::SocketAddr;
use std::path::PathBuf;
use values::{agent as agent_named, approval, payment};

/// Headings bold, the rest plain: help is read, not admired.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::White.on_default().bold())
    .usage(AnsiColor::White.on_default().bold())
    .literal(AnsiColor::Green.on_default());

/// The petty-cash desk for one person's AI agents: it keeps the keys, gives each agent a small float
/// with limits, pays for what agents buy, asks its owner when it should, and accounts for every unit
#[derive(Debug, Parser)]
#[command(
    name = "imprest",
    version,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Start here:
  imprest demo                          see the whole thing at work with practice money
  imprest init --practice               make a desk of your own
  imprest serve --practice              run it
  imprest agent add scout --per-day 5 --per-payment 0.25
  imprest fetch URL --agent scout       what the agent runs

Exit codes: 0 done · 1 failed · 2 wrong usage or bad input · 3 refused by the rules ·
4 waiting for the owner · 5 no desk is running · 6 locked or wrong passphrase"
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What applies to every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Answers in JSON: one document, or one a line for lists
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// The desk's data folder; else IMPREST_DATA, else the platform's own place
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, display_order = 901)]
    pub data: Option<PathBuf>,
    /// Reads the passphrase as one line from standard input instead of asking on the terminal
    #[arg(long, global = true, display_order = 902)]
    pub passphrase_stdin: bool,
    /// Tells more on standard error; -vv and -vvv still more
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 903)]
    pub verbose: u8,
}

/// Everything `imprest` can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a desk: its vault and its books; shows the 24 recovery words once
    #[command(after_help = "\
Examples:
  imprest init --practice
  imprest init --practice --data ~/desk --passphrase-stdin < passphrase.txt
  imprest init --network base-sepolia --data ~/real-desk
  imprest init --network base --rpc https://rpc.example/KEY --data ~/real-desk

Write the words on paper. They open the desk when the passphrase is lost, and nobody can give
them to you again.")]
    Init(InitArgs),
    /// Runs the desk without a window until it is told to stop
    #[command(after_help = "\
Examples:
  imprest serve --practice
  imprest serve --practice --listen 127.0.0.1:4040 --passphrase-stdin < passphrase.txt

When the desk is ready it prints one JSON line with its addresses. Ctrl-C or SIGTERM ends it in
order. Started without a passphrase it is locked: reading works, paying does not.")]
    Serve(ServeArgs),
    /// Shows the main job in a throwaway practice desk, step by step with real figures
    #[command(after_help = "\
Examples:
  imprest demo
  imprest demo --json --out activity.csv

Needs no account, no money and no network. Each step checks what it says against the practice
chain and the books; if one figure differs, the demo says which and exits with 1.")]
    Demo(DemoArgs),

    /// Adds agents and sets what they may spend
    #[command(subcommand, arg_required_else_help = true)]
    Agent(AgentCommand),
    /// Makes and sets budgets that several agents stay within together
    #[command(subcommand, arg_required_else_help = true)]
    Shared(SharedCommand),
    /// Lists the questions that wait for you, oldest first
    #[command(after_help = "\
Example:
  imprest approvals
  imprest approve apv_0192…

Doing nothing is a no: each question has its own time limit.")]
    Approvals,
    /// Says yes to exactly one payment
    #[command(after_help = "\
Example:
  imprest approve apv_0192…

Exits with 3 if the rules refuse the payment meanwhile, for example because the day is spent.")]
    Approve {
        /// The question, as `imprest approvals` names it
        #[arg(value_name = "APPROVAL", value_parser = approval)]
        approval: String,
    },
    /// Says no to one payment
    #[command(after_help = "\
Example:
  imprest refuse apv_0192… --reason \"not this supplier\"")]
    Refuse {
        /// The question, as `imprest approvals` names it
        #[arg(value_name = "APPROVAL", value_parser = approval)]
        approval: String,
        /// Why; the agent is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Stops all signing at once, across restarts; needs no passphrase and no running desk
    #[command(after_help = "Example:\n  imprest freeze")]
    Freeze,
    /// Lets payments go on after a freeze
    #[command(after_help = "Example:\n  imprest thaw")]
    Thaw,
    /// Lists what looked odd, newest first, and how each ends
    #[command(after_help = "\
Example:
  imprest signals
  imprest acknowledge 47

While a signal is open, agents may do less unasked: see the grade in force in `imprest agent list`.")]
    Signals,
    /// Ends a signal that waits for you to have seen it
    #[command(after_help = "Example:\n  imprest acknowledge 47")]
    Acknowledge {
        /// The signal's number, as `imprest signals` lists it
        #[arg(value_name = "SIGNAL")]
        signal: u64,
    },
    /// Says which clock is right when the computer's was set back
    #[command(subcommand, arg_required_else_help = true)]
    Clock(ClockCommand),
    /// Shows where money for the desk is sent to: the treasury's address, also as a QR code
    #[command(after_help = "\
Example:
  imprest fund

The code is drawn on a terminal only, and holds the plain address. Send the asset that is named, on
the network that is named, and some of the network's own coin for gas.")]
    Fund,
    /// Moves money from the treasury to an agent's float and waits for the chain
    #[command(after_help = "Example:\n  imprest refill scout 5.00")]
    Refill {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent_named)]
        name: String,
        /// How much, as a decimal in the desk's asset
        #[arg(value_name = "AMOUNT", value_parser = amount)]
        amount: String,
    },
    /// Moves money from an agent's float back to the treasury and waits for the chain
    #[command(after_help = "\
Examples:
  imprest sweep scout
  imprest sweep scout 5.00

Without an amount it is all that no payment has reserved. A revoked agent's float can be swept too.")]
    Sweep {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent_named)]
        name: String,
        /// How much, as a decimal in the desk's asset; all that is free if left out
        #[arg(value_name = "AMOUNT", value_parser = amount)]
        amount: Option<String>,
    },
    /// Burns what was signed for a payment, if the payee has not taken it yet
    #[command(after_help = "\
Examples:
  imprest cancel pay_0192…
  imprest cancel --all

It only lowers what can be spent, so it needs no passphrase; the vault has to be open, and a frozen
desk does it too. The treasury pays the gas. The money is free again once the block that says so is
final. Exits with 1 if a payee was faster.")]
    Cancel(CancelArgs),
    /// Names local addresses that agents may reach in spite of the private-address guard
    #[command(subcommand, arg_required_else_help = true)]
    Hosts(HostsCommand),
    /// Lists the networks, and chooses the nodes that are asked about the desk's own
    #[command(args_conflicts_with_subcommands = true)]
    Networks(NetworksArgs),
    /// Locks the vault: reading goes on, signing does not
    #[command(after_help = "Example:\n  imprest lock")]
    Lock,
    /// Unlocks the vault of the running desk
    #[command(after_help = "Example:\n  imprest unlock")]
    Unlock,
    /// Opens the vault with the 24 recovery words and sets a new passphrase
    #[command(after_help = "\
Examples:
  imprest recover
  imprest recover --passphrase-stdin < words-and-passphrase.txt

For a lost passphrase and for a lost keychain alike: the words need neither. From standard input the
first line is the 24 words, the second the new passphrase.")]
    Recover,
    /// Shows and changes the ways into the vault
    #[command(subcommand, arg_required_else_help = true)]
    Vault(VaultCommand),
    /// Says whose key pays for refills, and changes it
    #[command(subcommand, arg_required_else_help = true)]
    Treasury(TreasuryCommand),
    /// Writes a key to a file of its own
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyCommand),

    /// Says how the running desk is doing
    #[command(after_help = "Example:\n  imprest status")]
    Status,
    /// Lists what happened, newest first
    #[command(after_help = "\
Examples:
  imprest activity
  imprest activity --agent scout --state refused --limit 50
  imprest activity --from 2026-11-01T00:00:00Z --json")]
    Activity(ActivityArgs),
    /// Lists who was paid or is trusted: where, for how much, and what changed
    #[command(after_help = "Examples:\n  imprest payees\n  imprest payees shop.example")]
    Payees(PayeesArgs),
    /// Shows everything known about one payment
    #[command(after_help = "Example:\n  imprest evidence pay_0192…")]
    Evidence {
        /// The payment, as `imprest activity` names it
        #[arg(value_name = "PAYMENT", value_parser = payment)]
        payment: String,
    },
    /// Puts the books and the chain side by side; exits with 1 if they differ
    #[command(after_help = "Example:\n  imprest books")]
    Books,
    /// Writes activity as a CSV file
    #[command(after_help = "\
Examples:
  imprest export --csv november.csv --from 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z
  imprest export --csv scout.csv --agent scout")]
    Export(ExportArgs),
    /// Recomputes the hash chain and every figure from the log; exits with 1 on a fault
    #[command(after_help = "Example:\n  imprest verify")]
    Verify,
    /// Seals books, keys and settings into one file, opens it again and proves it
    #[command(after_help = "\
Examples:
  imprest backup /media/stick/imprest.age
  imprest backup imprest.age --replace --passphrase-stdin < passphrases.txt

It asks for the desk's passphrase, and then for the backup's own; standard input has one in each
line. Payments go on meanwhile; a desk need not run. The file is a
plain age file: `age --decrypt imprest.age | tar x` opens it without this program.")]
    Backup(BackupArgs),
    /// Puts a backup back, or says what is in it
    #[command(after_help = "\
Examples:
  imprest restore /media/stick/imprest.age --inspect
  imprest restore /media/stick/imprest.age
  imprest restore /media/stick/imprest.age --replace --data ~/desk

No desk may run on the folder. The file is proven before anything is put in place, and what lies
there is moved aside, never deleted. The desk comes up frozen, reads the chain for what was spent
since, and counts it: an older backup never refills a budget. Then it is for you to thaw it.")]
    Restore(RestoreArgs),
    /// Looks at folder, vault, books, chain and keychain, and says what to do
    #[command(after_help = "Example:\n  imprest doctor")]
    Doctor,

    /// Connects agent programs on this machine by an entry in their settings
    #[command(subcommand, arg_required_else_help = true)]
    Connect(ConnectCommand),
    /// Speaks MCP on standard input and output, as a bridge to the running desk
    #[command(after_help = "\
In an agent program's settings:
  { \"mcpServers\": { \"imprest\": { \"command\": \"imprest\", \"args\": [\"mcp\", \"--agent\", \"scout\"] } } }

Standard output carries the protocol and nothing else.")]
    Mcp(DoorArgs),
    /// Fetches an address as an agent, paying for it if the rules allow
    #[command(after_help = "\
Examples:
  imprest fetch https://example.com/report --agent scout --max 0.05 --purpose \"weekly report\"
  imprest fetch https://example.com/echo -X POST -H 'content-type: application/json' --body '{\"a\":1}'
  IMPREST_TOKEN=imp_… imprest fetch https://example.com/report --key report-47 > report.json

The answer's body goes to standard output, one line about the money to standard error. Exits with
3 when refused, 4 when it waits for the owner; then ask `imprest payment ID --wait 60000`.")]
    Fetch(FetchArgs),
    /// Calls a tool of an MCP server as an agent, paying for it if the rules allow
    #[command(after_help = "\
Example:
  imprest call https://example.com/mcp get_weather --arguments '{\"city\":\"Oslo\"}' --agent scout

The tool's result goes to standard output as JSON, one line about the money to standard error. Exits
as fetch does: 0 got it, 3 refused, 4 waiting for the owner.")]
    Call(CallArgs),
    /// Sends money to an address as an agent, if the rules allow; the treasury pays the gas
    #[command(after_help = "\
Example:
  imprest transfer 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 2.50 --key rent-11 --agent scout

It cannot be taken back. Exits as fetch does: 0 sent, 3 refused, 4 waiting for the owner.")]
    Transfer(TransferArgs),
    /// Says what a fetch would cost and what the rules would say; pays nothing
    #[command(after_help = "Example:\n  imprest quote https://example.com/report --agent scout")]
    Quote(QuoteArgs),
    /// Shows the agent's own limits, what is spent and what is left
    #[command(after_help = "Example:\n  imprest budget --agent scout")]
    Budget(DoorArgs),
    /// Says what became of one of the agent's own payments
    #[command(after_help = "\
Example:
  imprest payment pay_0192… --agent scout --wait 60000

Exits as fetch does: 0 paid, 3 refused, 4 still waiting for the owner.")]
    Payment(PaymentArgs),
    /// Lists the agent's own payments, newest first
    #[command(after_help = "Example:\n  imprest payments --agent scout --limit 10")]
    Payments(PaymentsArgs),

    /// Prints a completion script for a shell
    #[command(
        after_help = "Example:\n  imprest completions bash > ~/.local/share/bash-completion/completions/imprest"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Prints the manual page, or writes one for every command into a folder
    #[command(
        after_help = "Examples:\n  imprest man | man -l -\n  imprest man --into ~/.local/share/man/man1"
    )]
    Man {
        /// Writes the pages of all commands into this folder, which has to be there
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
}

/// `imprest payees`.
#[derive(Debug, Args)]
pub struct PayeesArgs {
    /// Only those whose origin or address contains this
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,
}

/// `imprest init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Makes a desk for the practice network, whose money is worth nothing; so it is without this
    #[arg(long, conflicts_with = "network")]
    pub practice: bool,
    /// Makes a desk for a real network, by the name that `imprest networks` gives it
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// A node of that network to ask instead of the usual ones; may be given up to four times
    #[arg(long, value_name = "URL", requires = "network")]
    pub rpc: Vec<String>,
}

impl InitArgs {
    /// The network that was asked for, if one was.
    pub fn network(&self) -> Option<String> {
        self.practice.then(|| PRACTICE.to_owned()).or_else(|| self.network.clone())
    }
}

/// The practice network's name in the registry.
pub const PRACTICE: &str = "practice";

/// `imprest serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Runs on the practice network, which is started along with the desk; a folder whose desk is on
    /// another one is refused
    #[arg(long)]
    pub practice: bool,
    /// Where agents connect; on this machine only
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// `imprest demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the CSV file goes; a new folder under the system's temporary one if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_words_is_consistent() {
        Cli::command().debug_assert();
    }
}
