//! The words of the command line: what can be typed, and what `--help` says about it.

use crate::budget::Limits;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use imprest_domain::{AgentName, ApprovalId, Asset, AssetId, Grade, PaymentId, SharedId};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Moves money from the treasury to an agent's float and waits for the chain
    #[command(after_help = "Example:\n  imprest refill scout 5.00")]
    Refill {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent)]
        name: String,
        /// How much, as a decimal in the desk's asset
        #[arg(value_name = "AMOUNT", value_parser = amount)]
        amount: String,
    },
    /// Names local addresses that agents may reach in spite of the private-address guard
    #[command(subcommand, arg_required_else_help = true)]
    Hosts(HostsCommand),
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
}

/// `imprest init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Makes a desk for the practice network, whose money is worth nothing
    #[arg(long)]
    pub practice: bool,
}

/// `imprest serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Runs on the practice network, which is started along with the desk
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

/// `imprest agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Makes an agent with its own address, budget and token; shows the token once
    #[command(after_help = "\
Examples:
  imprest agent add scout --per-day 5 --per-payment 0.25
  imprest agent add \"Night shift\" --grade L2 --lifetime 20 --zone Europe/Amsterdam

At least one limit per day, week, month or in all is needed. A limit left out does not limit; 0
allows nothing.
Grades: L0 nothing · L1 looks · L2 asks for every payment · L3 pays known payees within its limits
· L4 also pays new payees where --new-payee allow says so.")]
    Add(AddArgs),
    /// Lists all agents
    #[command(after_help = "Example:\n  imprest agent list")]
    List,
    /// Shows one agent: limits, what is spent, float, how to connect it
    #[command(after_help = "Example:\n  imprest agent show scout")]
    Show {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent)]
        name: String,
    },
    /// Changes an agent's limits or grade; what is not named stays
    #[command(after_help = "\
Examples:
  imprest agent set scout --per-day 2.50
  imprest agent set scout --per-week none --grade L2
  imprest agent set scout --hours 09:00-18:00 --max-count-hour 20 --shared team

`none` takes a limit away; 0 allows nothing.")]
    Set(SetArgs),
    /// Tells what limits would have done with an agent's last days; changes nothing
    #[command(after_help = "\
Examples:
  imprest agent rehearse scout --per-day 2.50
  imprest agent rehearse scout --per-payment 0.10 --days 7

Limits left out are the agent's present ones; `none` leaves one away.")]
    Rehearse(RehearseArgs),
    /// Replaces an agent's token; the old one stops at once
    #[command(after_help = "Example:\n  imprest agent rotate scout")]
    Rotate {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent)]
        name: String,
    },
    /// Takes an agent's token away for good; needs no passphrase
    #[command(after_help = "Example:\n  imprest agent revoke scout")]
    Revoke {
        /// The agent's name
        #[arg(value_name = "NAME", value_parser = agent)]
        name: String,
    },
}

/// `imprest agent add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// 1 to 32 letters, digits, spaces, dots, hyphens or underscores
    #[arg(value_name = "NAME", value_parser = agent_name)]
    pub name: String,
    /// What it may do unasked, L0 to L4
    #[arg(long, value_name = "GRADE", default_value = "L3", value_parser = grade)]
    pub grade: String,
    /// The shared budget it is put under
    #[arg(long, value_name = "NAME", value_parser = shared)]
    pub shared: Option<String>,
    /// Its budget.
    #[command(flatten)]
    pub limits: Limits,
}

/// `imprest agent set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The agent's name
    #[arg(value_name = "NAME", value_parser = agent)]
    pub name: String,
    /// What is to be changed.
    #[command(flatten)]
    pub changes: Changes,
}

/// What `imprest agent set` can change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Changes {
    /// What it may do unasked, L0 to L4
    #[arg(long, value_name = "GRADE", value_parser = grade)]
    pub grade: Option<String>,
    /// The shared budget it is put under, or none
    #[arg(long, value_name = "NAME", value_parser = shared)]
    pub shared: Option<String>,
    /// Its budget.
    #[command(flatten)]
    pub limits: Limits,
}

/// `imprest agent rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// The agent's name
    #[arg(value_name = "NAME", value_parser = agent)]
    pub name: String,
    /// How many days back
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// The budget to rehearse.
    #[command(flatten)]
    pub limits: Limits,
}

/// `imprest shared …`.
#[derive(Debug, Subcommand)]
pub enum SharedCommand {
    /// Makes a budget for several agents to share
    #[command(after_help = "\
Examples:
  imprest shared add team --per-day 10
  imprest agent set scout --shared team

What an agent pays counts against its own limits and against the shared ones; both must hold.")]
    Add(SharedArgs),
    /// Lists all shared budgets
    #[command(after_help = "Example:\n  imprest shared list")]
    List,
    /// Shows one shared budget: limits, what is spent, whose it is
    #[command(after_help = "Example:\n  imprest shared show team")]
    Show {
        /// The shared budget's name
        #[arg(value_name = "NAME", value_parser = shared)]
        name: String,
    },
    /// Changes a shared budget's limits; what is not named stays
    #[command(after_help = "\
Example:
  imprest shared set team --per-day 5 --per-week none

`none` takes a limit away; 0 allows nothing.")]
    Set(SharedArgs),
}

/// `imprest shared add` and `imprest shared set`.
#[derive(Debug, Args)]
pub struct SharedArgs {
    /// 1 to 32 letters, digits, spaces, dots, hyphens or underscores
    #[arg(value_name = "NAME", value_parser = shared)]
    pub name: String,
    /// Its limits.
    #[command(flatten)]
    pub limits: Limits,
}

/// `imprest clock …`.
#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Takes the computer's clock as right; time goes on from there
    #[command(after_help = "\
Example:
  imprest clock accept

Needed only when the clock stands behind the books: until then every payment is a question. What was
spent in days that now lie ahead stays spent.")]
    Accept,
}

/// `imprest vault …`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Lists the ways in; needs no passphrase
    #[command(after_help = "Example:\n  imprest vault slots")]
    Slots,
    /// Adds a way in
    #[command(after_help = "\
Examples:
  imprest vault add passphrase
  imprest vault add everyday

`strong` takes passphrase and keychain together, `passphrase` the passphrase alone, `everyday` the
keychain alone. With everyday the desk opens by itself, and every program that runs as you can open
the vault as well; what raises limits still asks for the passphrase.")]
    Add {
        /// Which: strong, everyday or passphrase
        #[arg(value_name = "WAY", value_parser = ["strong", "everyday", "passphrase"])]
        kind: String,
    },
    /// Removes a way in; one that takes the passphrase always stays, and so do the words
    #[command(after_help = "Example:\n  imprest vault remove 5f1c…")]
    Remove {
        /// The slot, as `imprest vault slots` lists it
        #[arg(value_name = "SLOT")]
        slot: String,
    },
    /// Sets a new passphrase in place of the present one
    #[command(after_help = "\
Examples:
  imprest vault passwd
  imprest vault passwd --passphrase-stdin < old-and-new.txt

From standard input the first line is the present passphrase, the second the new one. An older copy
of the vault file still opens with the old one.")]
    Passwd,
    /// Moves the vault to this session's keychain, with the passphrase
    #[command(after_help = "\
Example:
  imprest vault rewrap

Passphrase and this keychain together become the only way in beside the 24 words: after a change of
desktop, or when a keychain was lost.")]
    Rewrap,
    /// Shows the 24 recovery words again
    #[command(after_help = "Example:\n  imprest vault words")]
    Words,
}

/// `imprest treasury …`.
#[derive(Debug, Subcommand)]
pub enum TreasuryCommand {
    /// Says whose key pays for refills
    #[command(after_help = "Example:\n  imprest treasury show")]
    Show,
    /// Makes a key from elsewhere the treasury's; the vault keeps it for good
    #[command(after_help = "\
Examples:
  imprest treasury import UTC--2026-01-09--keystore.json
  imprest treasury import --raw-stdin --passphrase-stdin < passphrase-and-key.txt

A file is a Web3 keystore of version 3, or 64 hex digits. The 24 words do not bring such a key back:
keep a backup of the data folder, or the keystore.")]
    Import(ImportArgs),
    /// Makes an address the treasury that is only looked at
    #[command(after_help = "Example:\n  imprest treasury watch 0xf39F…2266")]
    Watch {
        /// The address
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Makes the vault's own account the treasury again
    #[command(after_help = "Example:\n  imprest treasury own")]
    Own,
}

/// `imprest treasury import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The keystore, or a file with the key
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "raw_stdin")]
    pub file: Option<PathBuf>,
    /// Asks for the key on the terminal, or reads it as the next line of standard input
    #[arg(long, conflicts_with = "file")]
    pub raw_stdin: bool,
}

/// `imprest key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Writes a key as a Web3 keystore under a passphrase of its own
    #[command(after_help = "\
Examples:
  imprest key export treasury treasury.json
  imprest key export scout scout.json --passphrase-stdin < both-passphrases.txt

From standard input the first line is the desk's passphrase, the second the file's. A file that is
there is not replaced.")]
    Export(ExportKeyArgs),
}

/// `imprest key export`.
#[derive(Debug, Args)]
pub struct ExportKeyArgs {
    /// Whose: an agent's name, or treasury
    #[arg(value_name = "AGENT|treasury", value_parser = agent)]
    pub whose: String,
    /// Where it goes
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `imprest hosts …`.
#[derive(Debug, Subcommand)]
pub enum HostsCommand {
    /// Lets agents reach one local address
    #[command(after_help = "Example:\n  imprest hosts allow 127.0.0.1:8402")]
    Allow {
        /// Host and port, such as 127.0.0.1:8402
        #[arg(value_name = "HOST:PORT", value_parser = host_and_port)]
        host: String,
    },
    /// Lists the local addresses that agents may reach
    #[command(after_help = "Example:\n  imprest hosts list")]
    List,
    /// Takes that leave back
    #[command(after_help = "Example:\n  imprest hosts remove 127.0.0.1:8402")]
    Remove {
        /// Host and port, as listed
        #[arg(value_name = "HOST:PORT", value_parser = host_and_port)]
        host: String,
    },
}

/// Which activity is meant.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// One agent's only
    #[arg(long, value_name = "NAME", value_parser = agent)]
    pub agent: Option<String>,
    /// One state's only
    #[arg(long, value_name = "STATE", value_parser = [
        "refused", "waiting", "held", "delivered", "unknown", "settled", "void", "expired",
    ])]
    pub state: Option<String>,
    /// Whose payee, address, purpose or task contains this
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// At or after, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<String>,
    /// Before, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<String>,
}

/// `imprest activity`.
#[derive(Debug, Args)]
pub struct ActivityArgs {
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// At most this many rows
    #[arg(long, value_name = "ROWS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// `imprest export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write
    #[arg(long, value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub csv: PathBuf,
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `imprest backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; best on another disk, and named .age
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replaces an earlier backup of that name and passphrase once the new one is proven
    #[arg(long)]
    pub replace: bool,
}

/// `imprest restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Moves the files of a desk that lies in the folder aside
    #[arg(long)]
    pub replace: bool,
    /// Only says what the backup holds; writes nothing
    #[arg(long, conflicts_with = "replace")]
    pub inspect: bool,
}

/// How an agent's command finds its desk and says who it is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Agent")]
pub struct DoorArgs {
    /// Takes this agent's token from the keychain; without it, IMPREST_TOKEN holds the token
    #[arg(long, value_name = "NAME", value_parser = agent)]
    pub agent: Option<String>,
    /// The running desk's address, such as http://127.0.0.1:4040; else IMPREST_URL, else found by
    /// the data folder
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub desk: Option<String>,
}

/// A request to a payee.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The address to fetch
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub url: String,
    /// HTTP method; GET if left out, POST if there is a body
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub method: Option<String>,
    /// A request header, `name: value`; may be given again
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// The request's body
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,
    /// A file with the request's body
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body_file: Option<PathBuf>,
    /// The most to pay, as a decimal in the budget's asset
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub max: Option<String>,
}

/// `imprest fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// What to fetch.
    #[command(flatten)]
    pub request: RequestArgs,
    /// What it is for; shown to the owner as the agent's own words
    #[arg(long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// The task it serves
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Idempotency key: the same key with the same request never pays twice
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// How long to wait for the owner or the chain, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: Option<u64>,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest quote`.
#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// What to ask the price of.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest payment`.
#[derive(Debug, Args)]
pub struct PaymentArgs {
    /// The payment, as fetch named it
    #[arg(value_name = "PAYMENT", value_parser = payment)]
    pub payment: String,
    /// How long to wait for an end, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub wait: u64,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// `imprest payments`.
#[derive(Debug, Args)]
pub struct PaymentsArgs {
    /// At most this many
    #[arg(long, value_name = "ROWS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Who asks.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// An amount's form: plain digits with a point. Whether the asset has so many decimals is the
/// desk's to say, so the text's own number of decimals is taken as the scale here.
pub fn amount(text: &str) -> Result<String, String> {
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let decimals = u8::try_from(decimals).ok().filter(|count| *count <= 24);
    let decimals = decimals.ok_or("no asset has that many digits after the point")?;
    let id = AssetId { chain_id: 0, contract: imprest_domain::Address::ZERO };
    let scale = Asset {
        id,
        symbol: String::new(),
        decimals,
        eip712_name: String::new(),
        eip712_version: String::new(),
    };
    scale.parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A moment with its zone.
pub fn moment(text: &str) -> Result<String, String> {
    text.parse::<jiff::Timestamp>()
        .map(|moment| moment.to_string())
        .map_err(|_| "a time is written as 2026-12-31T23:00:00Z, with its zone".to_owned())
}

fn grade(text: &str) -> Result<String, String> {
    text.parse::<Grade>().map(|grade| grade.to_string()).map_err(|error| error.to_string())
}

fn agent_name(text: &str) -> Result<String, String> {
    text.parse::<AgentName>().map(String::from).map_err(|error| error.to_string())
}

/// An agent that exists: by name, or by identifier.
fn agent(text: &str) -> Result<String, String> {
    if text.parse::<imprest_domain::AgentId>().is_ok() {
        return Ok(text.to_owned());
    }
    agent_name(text)
}

/// A shared budget: by name, or by identifier.
fn shared(text: &str) -> Result<String, String> {
    if text.parse::<SharedId>().is_ok() {
        return Ok(text.to_owned());
    }
    agent_name(text)
}

fn approval(text: &str) -> Result<String, String> {
    text.parse::<ApprovalId>().map(String::from).map_err(|error| error.to_string())
}

fn payment(text: &str) -> Result<String, String> {
    text.parse::<PaymentId>().map(String::from).map_err(|error| error.to_string())
}

fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || "write host and port, such as 127.0.0.1:8402".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port_fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    let host_fits = !host.is_empty() && host.len() <= 253 && !host.contains(['/', '@', ' ']);
    if port_fits && host_fits { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err("write a header as 'name: value'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_words_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn amounts_are_plain_digits() {
        for good in ["0", "0.25", "5", "1000000", "0.000001"] {
            assert_eq!(amount(good).as_deref(), Ok(good));
        }
        let long = format!("0.{}", "1".repeat(25));
        for bad in ["", "-1", "+1", "1,50", "1e3", ".5", "5.", "0x1", "none", " 1", &long] {
            assert!(amount(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn other_words_are_checked_before_a_desk_is_asked() {
        assert!(moment("2026-12-31").is_err());
        assert!(moment("2026-12-31T23:00:00Z").is_ok());
        assert_eq!(grade("l2").as_deref(), Ok("L2"));
        assert!(grade("L5").is_err());
        assert!(agent("../x").is_err());
        assert!(approval("pay_1").is_err());
        assert!(payment("pay_../1").is_err());
        for bad in ["localhost", "localhost:0", ":80", "a/b:80", "http://a:80", "a:99999"] {
            assert!(host_and_port(bad).is_err(), "{bad} was accepted");
        }
        for good in ["127.0.0.1:8402", "localhost:80", "[::1]:80"] {
            assert!(host_and_port(good).is_ok(), "{good} was refused");
        }
        assert_eq!(header("A:  b: c"), Ok(("a".to_owned(), "b: c".to_owned())));
        assert!(header("nothing").is_err() && header(": x").is_err());
    }
}
