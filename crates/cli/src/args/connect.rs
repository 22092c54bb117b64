//! Agent programs on this machine, and the desk's entry in their settings.

use super::values::{agent_program, server_name, stored_agent};
use clap::{Args, Subcommand};
use imprest_connect::{Program, ServerName};
use imprest_domain::AgentName;

/// `imprest connect …`.
#[derive(Debug, Subcommand)]
pub enum ConnectCommand {
    /// Lists the agent programs on this machine and which of them are connected
    #[command(after_help = "Example:\n  imprest connect list")]
    List(ListProgramsArgs),
    /// Shows the change to a program's settings and makes it once you agree
    #[command(after_help = "\
Examples:
  imprest connect add claude-code --agent scout
  imprest connect add codex --agent \"Night shift\" --name imprest-night --yes

Programs: claude-code, claude-desktop, codex, cursor, vscode, gemini-cli, opencode, goose, windsurf.
The entry starts `imprest mcp --agent NAME` and holds no token. A copy of the settings is kept beside
them. In the change that is shown, values that are not part of it stand as … because they may be
secrets. Start the program again afterwards.")]
    Add(ConnectArgs),
    /// Takes the entry out of a program's settings again
    #[command(after_help = "\
Example:
  imprest connect remove claude-code

Settings that nobody else has changed become byte for byte what they were; otherwise the entry alone
is taken out.")]
    Remove(DisconnectArgs),
    /// Prints the entry for any other program
    #[command(after_help = "\
Examples:
  imprest connect snippet --agent scout
  imprest connect snippet --agent scout --http

The second one needs the agent's token in place of PUT-THE-TOKEN-HERE.")]
    Snippet(SnippetArgs),
}

/// `imprest connect list`.
#[derive(Debug, Args)]
pub struct ListProgramsArgs {
    /// The name of the entry that is looked for
    #[arg(long, value_name = "NAME", default_value = "imprest", value_parser = server_name)]
    pub name: ServerName,
}

/// `imprest connect add`.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Which program, as `imprest connect list` names it
    #[arg(value_name = "PROGRAM", value_parser = agent_program)]
    pub program: Program,
    /// The agent that the program is to be
    #[arg(long, value_name = "NAME", value_parser = stored_agent)]
    pub agent: AgentName,
    /// The name of the entry among the program's servers
    #[arg(long, value_name = "NAME", default_value = "imprest", value_parser = server_name)]
    pub name: ServerName,
    /// Makes the change without asking
    #[arg(long)]
    pub yes: bool,
}

/// `imprest connect remove`.
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// Which program, as `imprest connect list` names it
    #[arg(value_name = "PROGRAM", value_parser = agent_program)]
    pub program: Program,
    /// The name of the entry among the program's servers
    #[arg(long, value_name = "NAME", default_value = "imprest", value_parser = server_name)]
    pub name: ServerName,
}

/// `imprest connect snippet`.
#[derive(Debug, Args)]
pub struct SnippetArgs {
    /// The agent that the program is to be
    #[arg(long, value_name = "NAME", value_parser = stored_agent)]
    pub agent: AgentName,
    /// The name of the entry among the program's servers
    #[arg(long, value_name = "NAME", default_value = "imprest", value_parser = server_name)]
    pub name: ServerName,
    /// For a program that speaks streamable HTTP instead of starting a command
    #[arg(long)]
    pub http: bool,
}
