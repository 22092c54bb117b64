//! `imprest`: the desk for people at a terminal, for scripts and for agents. It links no webview.
//!
//! Answers go to standard output, everything else to standard error. An error is one line of what
//! happened and one line of what to do; the exit code tells its kind (see `imprest --help`).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agent;
mod args;
mod budget;
mod connect;
mod demo;
mod doctor;
mod fault;
mod fund;
mod keep;
mod link;
mod money;
mod networks;
mod owner;
mod passphrase;
mod payees;
mod read;
mod screen;
mod serve;
mod shared;
mod signals;
mod usage;
mod vault;

use args::{Cli, ClockCommand, Command, Global};
use clap::{CommandFactory, Parser};
use fault::{End, Fault};
use link::Context;
use passphrase::Source;
use screen::{Palette, Screen, Tone, note, one_line};
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let hardened = imprest_desk::harden_process();
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::answer(&error, &arguments),
    };
    log_to_stderr(&cli.global);
    if let Err(error) = hardened {
        tracing::warn!(%error, "this process could not be kept out of memory dumps");
    }
    let screen = Screen::new(cli.global.json);
    // Whoever read our output has seen enough, as `head` does. But a demo that was not told to its
    // end has not shown that every step does what it says.
    let cut_short = if matches!(cli.command, Command::Demo(_)) { End::Bad } else { End::Done };
    match run(screen, cli) {
        Ok(end) => ExitCode::from(end.code()),
        Err(fault) if fault.is_closed_pipe() => ExitCode::from(cut_short.code()),
        Err(fault) => ExitCode::from(complain(screen, &fault)),
    }
}

/// Says what happened and what to do, and answers the exit code.
fn complain(screen: Screen, fault: &Fault) -> u8 {
    if screen.is_json() {
        // The exit code and standard error tell as much if this cannot be written.
        let _ = screen.document(&fault.document());
    }
    let palette = Palette::of(io::stderr().is_terminal());
    note(&palette.paint(Tone::Bad, &one_line(&fault.to_string())));
    note(&one_line(&fault.recovery()));
    fault.exit_code()
}

fn run(screen: Screen, cli: Cli) -> Result<End, Fault> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "imprest", &mut script);
            screen.bytes(&script)?;
            return Ok(End::Done);
        }
        Command::Man { into } => return man(screen, into.as_deref()),
        _ => {}
    }
    let context = Context {
        folder: imprest_desk::data_dir(cli.global.data)?,
        screen,
        passphrase: Source::of(cli.global.passphrase_stdin),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|source| {
            Fault::File { what: "The program cannot start its threads".into(), source }
        })?;
    let end = runtime.block_on(carry_out(&context, cli.command));
    // A reader of standard input may still be blocked; it is not worth waiting for.
    runtime.shutdown_background();
    end
}

/// Manual pages, made from the same definition as `--help`.
fn man(screen: Screen, into: Option<&Path>) -> Result<End, Fault> {
    let failed = |source| Fault::File { what: "The manual page was not written".into(), source };
    match into {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
            screen.bytes(&page)?;
        }
    }
    Ok(End::Done)
}

async fn carry_out(context: &Context, command: Command) -> Result<End, Fault> {
    match command {
        Command::Init(args) => owner::init(context, &args).await,
        Command::Serve(args) => serve::serve(context, &args).await,
        Command::Demo(args) => demo::demo(context, &args).await,
        Command::Agent(command) => owner::agent(context, command).await,
        Command::Shared(command) => shared::shared(context, command).await,
        Command::Signals => signals::signals(context).await,
        Command::Acknowledge { signal } => signals::acknowledge(context, signal).await,
        Command::Clock(ClockCommand::Accept) => signals::accept_clock(context).await,
        Command::Approvals => owner::approvals(context).await,
        Command::Approve { approval } => {
            owner::answer(context, "approve", json!({ "approval": approval })).await
        }
        Command::Refuse { approval, reason } => {
            let args = json!({ "approval": approval, "reason": reason });
            owner::answer(context, "refuse", args).await
        }
        Command::Freeze => owner::switch(context, "freeze").await,
        Command::Thaw => owner::switch(context, "thaw").await,
        Command::Lock => owner::switch(context, "lock").await,
        Command::Unlock => owner::unlock(context).await,
        Command::Recover => vault::recover(context).await,
        Command::Vault(command) => vault::vault(context, command).await,
        Command::Treasury(command) => vault::treasury(context, command).await,
        Command::Key(command) => vault::key(context, command).await,
        Command::Refill { name, amount } => money::refill(context, &name, &amount).await,
        Command::Sweep { name, amount } => money::sweep(context, &name, amount.as_deref()).await,
        Command::Fund => fund::fund(context).await,
        Command::Cancel(args) => money::cancel(context, &args).await,
        Command::Hosts(command) => owner::hosts(context, command).await,
        Command::Networks(args) => networks::networks(context, args).await,
        Command::Status => read::status(context).await,
        Command::Activity(args) => read::activity(context, &args).await,
        Command::Payees(args) => payees::payees(context, args).await,
        Command::Evidence { payment } => read::evidence(context, &payment).await,
        Command::Books => read::books(context).await,
        Command::Export(args) => read::export(context, &args).await,
        Command::Verify => read::verify(context).await,
        Command::Backup(args) => keep::backup(context, &args).await,
        Command::Restore(args) => keep::restore(context, &args).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Connect(command) => connect::connect(context, command).await,
        Command::Mcp(args) => agent::mcp(context, &args).await,
        Command::Fetch(args) => agent::fetch(context, &args).await,
        Command::Call(args) => agent::call(context, &args).await,
        Command::Transfer(args) => agent::transfer(context, &args).await,
        Command::Quote(args) => agent::quote(context, &args).await,
        Command::Budget(args) => agent::budget(context, &args).await,
        Command::Payment(args) => agent::payment(context, &args).await,
        Command::Payments(args) => agent::payments(context, &args).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(End::Done),
    }
}

/// Warnings and worse of everything; with -v what the desk does, with more v more.
fn log_to_stderr(global: &Global) {
    let directives = match global.verbose {
        0 => "warn",
        1 => {
            "warn,imprest=info,imprest_desk=info,imprest_ledger=info,imprest_vault=info,\
             imprest_chain=info,imprest_rails=info,imprest_gateway=info,imprest_practice=info"
        }
        2 => {
            "info,imprest=debug,imprest_desk=debug,imprest_ledger=debug,imprest_vault=debug,\
             imprest_chain=debug,imprest_rails=debug,imprest_gateway=debug,imprest_practice=debug"
        }
        _ => "debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(global.verbose > 0)
        .init();
}
