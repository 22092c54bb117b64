//! What the owner says of agents, shared budgets, the clock and local addresses.

use super::values::{agent, agent_name, grade, host_and_port, payment, shared};
use crate::budget::Limits;
use clap::{Args, Subcommand};

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

/// `imprest cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The payment, as `imprest activity` names it
    #[arg(value_name = "PAYMENT", value_parser = payment, required_unless_present = "all")]
    pub payment: Option<String>,
    /// All payments that are signed and not settled, oldest first
    #[arg(long, conflicts_with = "payment")]
    pub all: bool,
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

/// `imprest networks`.
#[derive(Debug, Args)]
pub struct NetworksArgs {
    /// What to do; lists the networks when left out
    #[command(subcommand)]
    pub command: Option<NetworksCommand>,
}

/// `imprest networks …`.
#[derive(Debug, Subcommand)]
pub enum NetworksCommand {
    /// Chooses the nodes that are asked about the desk's network, the preferred first
    #[command(after_help = "\
Examples:
  imprest networks set-rpc base https://rpc.example/KEY https://other.example
  imprest networks set-rpc base              back to the usual ones

Each node is asked first whether it is of this network and has the asset's contract. With two or
more, nothing that was reserved is given back before all of them say the same.")]
    SetRpc {
        /// The desk's network, as listed
        #[arg(value_name = "NETWORK")]
        network: String,
        /// Up to four addresses, http or https; none stands for the usual ones
        #[arg(value_name = "URL", num_args = 0..=4)]
        urls: Vec<String>,
    },
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
