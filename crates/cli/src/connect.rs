//! Agent programs on this machine: `connect list`, `add`, `remove` and `snippet`.

use crate::args::{ConnectArgs, ConnectCommand, DisconnectArgs, ListProgramsArgs, SnippetArgs};
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Tone, cell, left, note, one_line, terminal_text, toned};
use imprest_connect::{
    Found, Machine, Plan, Program, Server, ServerName, Standing, Undone, apply, find, found,
    http_snippet, standing, stdio_snippet, undo,
};
use imprest_desk::view::AgentPage;
use imprest_desk::{connections_file, mcp_server};
use imprest_domain::AgentName;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// The address in a snippet when no desk runs that could tell its own.
const MCP_URL: &str = "http://127.0.0.1:4020/mcp";

/// `imprest connect …`.
///
/// # Errors
/// [`Fault::Settings`] for settings that are left alone, and what the desk says of the agent.
pub async fn connect(context: &Context, command: ConnectCommand) -> Result<End, Fault> {
    match command {
        ConnectCommand::List(args) => list(context, &args),
        ConnectCommand::Add(args) => add(context, args).await,
        ConnectCommand::Remove(args) => remove(context, &args),
        ConnectCommand::Snippet(args) => snippet(context, args).await,
    }
}

fn machine() -> Result<Machine, Fault> {
    Machine::here().ok_or_else(|| {
        Fault::input("This user's home folder is not known.", "Set HOME, then try again.")
    })
}

fn list(context: &Context, args: &ListProgramsArgs) -> Result<End, Fault> {
    let machine = machine()?;
    let all: Vec<(Found, Row)> = find(&machine)
        .into_iter()
        .map(|found| {
            let row = Row::of(&machine, &found, &args.name);
            (found, row)
        })
        .collect();
    let screen = context.screen;
    if screen.is_json() {
        let documents: Vec<Value> = all.iter().map(|(found, row)| row.document(found)).collect();
        screen.documents(&documents)?;
        return Ok(End::Done);
    }
    if all.is_empty() {
        screen.line(
            "No agent program was found. For any other: imprest connect snippet --agent NAME",
        )?;
        return Ok(End::Done);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|(found, row)| {
            let (tone, words) = row.words(found);
            vec![
                cell(found.program.word()),
                cell(found.program.title()),
                toned(tone, words),
                cell(found.file.display().to_string()),
            ]
        })
        .collect();
    screen.table(&[left("program"), left("name"), left("state"), left("settings")], &rows)?;
    Ok(End::Done)
}

/// How a program stands to the desk, or why that cannot be told.
struct Row(Result<Standing, Fault>);

impl Row {
    fn of(machine: &Machine, found: &Found, name: &ServerName) -> Row {
        Row(standing(machine, found.program, name).map_err(Fault::from))
    }

    fn words(&self, found: &Found) -> (Tone, String) {
        match &self.0 {
            Ok(Standing::Ours { agent }) => (Tone::Good, format!("connected as {agent}")),
            Ok(Standing::Free) if found.has_config => (Tone::Plain, "not connected".to_owned()),
            Ok(Standing::Free) => (Tone::Plain, "no settings yet".to_owned()),
            Ok(Standing::Taken) => (Tone::Ask, "the name is another server's".to_owned()),
            Err(fault) => (Tone::Bad, fault.to_string()),
        }
    }

    fn document(&self, found: &Found) -> Value {
        let (state, agent, problem) = match &self.0 {
            Ok(Standing::Ours { agent }) => ("connected", Some(agent), None),
            Ok(Standing::Free) => ("free", None, None),
            Ok(Standing::Taken) => ("taken", None, None),
            Err(fault) => ("unreadable", None, Some(fault.to_string())),
        };
        json!({
            "program": found.program,
            "title": found.program.title(),
            "settings": found.file.display().to_string(),
            "has_settings": found.has_config,
            "state": state,
            "agent": agent,
            "problem": problem,
        })
    }
}

async fn add(context: &Context, args: ConnectArgs) -> Result<End, Fault> {
    let machine = machine()?;
    if found(&machine, args.program).is_none() {
        return Err(Fault::input(
            format!("{} was not found on this machine.", args.program),
            "`imprest connect list` says what is here; `imprest connect snippet` is for the rest.",
        ));
    }
    let server = server(context, args.name, args.agent).await?;
    let plan = Plan::new(&machine, args.program, server)?;
    if plan.is_needed() && !agreed(context, &plan, args.yes)? {
        return Err(Fault::Stopped);
    }
    let applied = apply(&plan, &connections_file(&context.folder), Timestamp::now())?;
    let screen = context.screen;
    let backup = applied.backup.map(|backup| backup.display().to_string());
    let file = applied.file.display().to_string();
    if screen.is_json() {
        screen.document(&json!({
            "program": plan.program(),
            "settings": file,
            "name": plan.server().name().as_str(),
            "agent": plan.server().agent().as_str(),
            "written": applied.written,
            "backup": backup,
            "diff": plan.diff(),
        }))?;
        return Ok(End::Done);
    }
    let done = match applied.written {
        true => format!("{} is connected. Start it again.", args.program),
        false => format!("{} was connected already.", args.program),
    };
    screen.line(&screen.palette.paint(Tone::Good, &done))?;
    let facts = [("settings", file), ("copy before", backup.unwrap_or_default())];
    screen.facts(0, &facts)?;
    screen.line(&format!("To take it back: imprest connect remove {}", undoing(&plan)))?;
    Ok(End::Done)
}

fn undoing(plan: &Plan) -> String {
    let name = plan.server().name();
    match name == &ServerName::default() {
        true => plan.program().word().to_owned(),
        false => format!("{} --name {name}", plan.program().word()),
    }
}

/// Shows the change; on standard error where standard output is for programs.
fn agreed(context: &Context, plan: &Plan, yes: bool) -> Result<bool, Fault> {
    let screen = context.screen;
    for line in plan.diff().lines() {
        let line = terminal_text(line);
        if screen.is_json() {
            if !yes {
                note(&line);
            }
            continue;
        }
        let tone = match line.as_bytes().first() {
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            _ => Tone::Faint,
        };
        screen.line(&screen.palette.paint(tone, &line))?;
    }
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Fault::Usage {
            message: "There is no terminal to ask on, so nothing was changed.".into(),
            recovery: "Look at the change above, then run it again with --yes.".into(),
        });
    }
    ask("Make this change? [y/N] ")
}

fn ask(question: &str) -> Result<bool, Fault> {
    // That the question cannot be seen is no reason to fail: no answer is a no.
    let _ = write!(io::stderr().lock(), "{question}");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|source| Fault::File { what: "The answer could not be read".into(), source })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn remove(context: &Context, args: &DisconnectArgs) -> Result<End, Fault> {
    let undone = undo(
        &machine()?,
        args.program,
        &args.name,
        &connections_file(&context.folder),
        Timestamp::now(),
    )?;
    let screen = context.screen;
    let (what, file, backup) = outcome(args.program, undone);
    let backup = backup.map(|backup| backup.display().to_string());
    let file = file.display().to_string();
    if screen.is_json() {
        screen.document(&json!({
            "program": args.program,
            "settings": file,
            "name": args.name.as_str(),
            "outcome": what.0,
            "backup": backup,
        }))?;
        return Ok(End::Done);
    }
    screen.line(&screen.palette.paint(Tone::Good, &what.1))?;
    screen.facts(0, &[("settings", file), ("copy before", backup.unwrap_or_default())])?;
    Ok(End::Done)
}

/// The outcome as a word and as a sentence, with the files it is about.
fn outcome(program: Program, undone: Undone) -> ((&'static str, String), PathBuf, Option<PathBuf>) {
    let title = program.title();
    match undone {
        Undone::AsBefore { file } => (
            ("as_before", format!("{title}'s settings are byte for byte what they were.")),
            file,
            None,
        ),
        Undone::EntryRemoved { file, backup } => {
            let said = format!("The entry is out of {title}'s settings; the rest stayed.");
            (("entry_removed", said), file, Some(backup))
        }
        Undone::FileRemoved { file } => {
            let said = format!("{title} had no settings before, and has none now.");
            (("file_removed", said), file, None)
        }
        Undone::AlreadyGone { file } => (
            ("already_gone", format!("The entry was gone from {title}'s settings already.")),
            file,
            None,
        ),
    }
}

async fn snippet(context: &Context, args: SnippetArgs) -> Result<End, Fault> {
    let server = server(context, args.name, args.agent).await?;
    let url = context.running().await.and_then(|running| running.mcp_url);
    let url = url.filter(|url| !url.is_empty()).unwrap_or_else(|| MCP_URL.to_owned());
    let text = if args.http { http_snippet(&server, &url) } else { stdio_snippet(&server) };
    // A snippet is JSON, with --json or without.
    context.screen.bytes(text.as_bytes())?;
    Ok(End::Done)
}

/// The entry for an agent that the desk knows; where there is no desk yet its name is taken as it is.
async fn server(context: &Context, name: ServerName, agent: AgentName) -> Result<Server, Fault> {
    let command = std::env::current_exe().map_err(|source| Fault::File {
        what: "The place of this program is not known".into(),
        source,
    })?;
    let key = known_agent(context, &agent).await?;
    Ok(mcp_server(name, &command, key, &context.folder)?)
}

/// The form of an agent's name in which the keychain knows it.
async fn known_agent(context: &Context, agent: &AgentName) -> Result<AgentName, Fault> {
    let key = agent.key().parse().unwrap_or_else(|_| agent.clone());
    if context.running().await.is_none() && !context.has_books() {
        note(&format!(
            "There is no desk in {} yet.",
            one_line(&context.folder.display().to_string())
        ));
        return Ok(key);
    }
    let (page, _): (AgentPage, Value) =
        context.ask_for("agent", json!({ "agent": agent.as_str() })).await?;
    if page.row.revoked {
        return Err(Fault::input(
            format!("{} is revoked.", one_line(&page.row.name)),
            "Choose an agent that `imprest agent list` shows as active.",
        ));
    }
    if !page.token_in_keychain {
        note("The keychain holds no token for it. `imprest agent rotate` puts a new one there.");
    }
    Ok(page
        .row
        .name
        .parse::<AgentName>()
        .ok()
        .and_then(|name| name.key().parse().ok())
        .unwrap_or(key))
}
