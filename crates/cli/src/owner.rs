//! The owner's commands: agents and their budgets, questions and answers, freeze, hosts.

use crate::args::{AddArgs, AgentCommand, Changes, HostsCommand, InitArgs, RehearseArgs, SetArgs};
use crate::budget::NONE;
use crate::fault::{End, Fault};
use crate::link::{Context, unlock_running};
use crate::screen::{
    Tone, WindowCells, cell, left, local_time, note, one_line, right, tone_of, toned,
};
use imprest_desk::owner::{self, OwnerError};
use imprest_desk::view::{
    ActivityRow, AgentPage, AgentRow, ApprovalCard, DeskStatus, NetworkRow, NewCredential,
    NewVault, RehearsalView, WindowRow,
};
use imprest_desk::{Desk, DeskOptions};
use serde_json::{Value, json};

/// `imprest init`: the vault and the books, and the words once.
///
/// # Errors
/// What the desk says: a vault that exists, a short passphrase, a folder that cannot be used.
pub async fn init(context: &Context, args: &InitArgs) -> Result<End, Fault> {
    let (vault, status) = match context.running().await {
        Some(_) => init_running(context, args).await?,
        None => init_folder(context, args).await?,
    };
    let folder = context.folder.display().to_string();
    if context.screen.is_json() {
        let document = json!({
            "words": vault.words,
            "way": vault.way,
            "keychain": vault.keychain,
            "data_dir": folder,
            "practice": status.practice,
            "network": status.network.id,
            "treasury": status.network.treasury,
        });
        context.screen.document(&document)?;
        return Ok(End::Done);
    }
    let screen = context.screen;
    screen.line(&screen.palette.paint(Tone::Strong, "Your desk is made."))?;
    screen.line("")?;
    screen.line("These 24 words open it when the passphrase is lost. They are shown this once:")?;
    screen.line("write them on paper, in this order.")?;
    screen.line("")?;
    show_words(context, &vault.words)?;
    screen.line("")?;
    screen.line(&match &vault.keychain {
        Some(keychain) => format!(
            "Every day it opens with your passphrase and its key in {} together.",
            one_line(keychain)
        ),
        None => "Every day it opens with your passphrase alone: no keychain works here.".to_owned(),
    })?;
    let facts = [
        ("folder", folder),
        ("network", status.network.name),
        ("treasury", status.network.treasury.unwrap_or_default()),
    ];
    screen.facts(0, &facts)?;
    screen.line("")?;
    screen.line("Next: imprest serve")?;
    Ok(End::Done)
}

async fn init_running(context: &Context, args: &InitArgs) -> Result<(NewVault, DeskStatus), Fault> {
    let (networks, _): (Vec<NetworkRow>, _) = context.ask_for("networks", json!({})).await?;
    let own = networks.into_iter().find(|network| network.own);
    if let (Some(own), Some(wished)) = (own, args.network())
        && (own.key != wished || !args.rpc.is_empty())
    {
        return Err(Fault::input(
            format!("A desk is running on this folder already, and it is on {}.", own.name),
            "Close it first, or make this desk in another folder with --data.",
        ));
    }
    let passphrase = context.passphrase.choose()?;
    let args = json!({ "passphrase": passphrase.expose() });
    let answer = match owner::call(&context.folder, "create_vault", args, None).await {
        Ok(answer) => answer,
        Err(OwnerError::Refused(problem)) => return Err(problem.into()),
        Err(OwnerError::NotRunning) => return Err(context.no_desk()),
    };
    let vault = crate::link::shaped("create_vault", &answer)?;
    let (status, _) = context.ask_for("status", json!({})).await?;
    Ok((vault, status))
}

async fn init_folder(context: &Context, args: &InitArgs) -> Result<(NewVault, DeskStatus), Fault> {
    let mut options = DeskOptions::new(context.folder.clone());
    options.network = args.network();
    options.serve = false;
    let desk = Desk::open(options).await?;
    let made = make_vault(context, &desk, &args.rpc).await;
    desk.close().await;
    made
}

async fn make_vault(
    context: &Context,
    desk: &Desk,
    rpc: &[String],
) -> Result<(NewVault, DeskStatus), Fault> {
    let status = desk.status().await?;
    if status.stage != "new" {
        return Err(Fault::input(
            format!("There is a desk in {} already.", context.folder.display()),
            "Run it with `imprest serve`, or choose another folder with --data.",
        ));
    }
    let passphrase = context.passphrase.choose()?;
    let vault = desk.create_vault(passphrase.expose().to_owned()).await?;
    let status = desk.status().await?;
    if !rpc.is_empty()
        && let Some(network) = desk.networks().await?.into_iter().find(|row| row.own)
        && let Err(problem) = desk.set_nodes(network.key.clone(), rpc.to_vec()).await
    {
        // The desk is made and its words have to be shown; its nodes can be chosen again.
        note(&problem.message);
        note(&format!(
            "The usual nodes are asked. Choose others with: imprest networks set-rpc {} URL",
            network.key
        ));
    }
    Ok((vault, status))
}

/// The words in columns, read downwards as one writes them down.
///
/// # Errors
/// [`Fault::Output`].
pub fn show_words(context: &Context, words: &[String]) -> Result<(), Fault> {
    let rows = words.len().div_ceil(4);
    for row in 0..rows {
        let cells: Vec<String> = (row..words.len())
            .step_by(rows)
            .map(|at| format!("{:>4}  {:<10}", at + 1, words[at]))
            .collect();
        context.screen.line(cells.concat().trim_end())?;
    }
    Ok(())
}

/// `imprest agent …`.
///
/// # Errors
/// What the desk says.
pub async fn agent(context: &Context, command: AgentCommand) -> Result<End, Fault> {
    match command {
        AgentCommand::Add(args) => add_agent(context, &args).await,
        AgentCommand::List => list_agents(context).await,
        AgentCommand::Show { name } => {
            let (page, answer) = context.ask_for("agent", json!({ "agent": name })).await?;
            show_agent(context, &page, &answer)
        }
        AgentCommand::Set(args) => set_agent(context, &args).await,
        AgentCommand::Rehearse(args) => rehearse(context, &args).await,
        AgentCommand::Rotate { name } => {
            let (credential, answer) =
                context.ask_for("rotate_token", json!({ "agent": name })).await?;
            show_credential(context, &credential, &answer, "has a new token; the old one is dead")
        }
        AgentCommand::Revoke { name } => {
            let (row, answer): (AgentRow, _) =
                context.ask_for("revoke_agent", json!({ "agent": name })).await?;
            if context.screen.is_json() {
                context.screen.document(&answer)?;
            } else {
                let left = format!("{} {} stay at {}.", row.float, row.asset, row.address);
                context.screen.line(&format!("{} is revoked. {left}", one_line(&row.name)))?;
            }
            Ok(End::Done)
        }
    }
}

async fn add_agent(context: &Context, args: &AddArgs) -> Result<End, Fault> {
    let shared = args.shared.as_ref().filter(|shared| *shared != NONE);
    let args = json!({
        "name": args.name,
        "grade": args.grade,
        "budget": args.limits.form(),
        "shared": shared,
    });
    let (credential, answer) = context.ask_for("add_agent", args).await?;
    show_credential(context, &credential, &answer, "is made")
}

/// Budget, grade and shared budget are three commands of the desk, and each wants the passphrase
/// if it raises anything; it is asked for at most once and kept for all.
async fn set_agent(context: &Context, args: &SetArgs) -> Result<End, Fault> {
    if args.changes == Changes::default() {
        return Err(Fault::input(
            "It is not said what should change.",
            "Name a limit or a grade, such as --per-day 2.50; see `imprest agent set --help`.",
        ));
    }
    let name = json!({ "agent": args.name });
    if context.running().await.is_none() {
        return Err(context.no_desk());
    }
    let (before, mut answer): (AgentPage, Value) = context.ask_for("agent", name).await?;
    let budget = args.changes.limits.applied_to(&before.budget);
    let budget = Some(budget).filter(|budget| *budget != before.budget);
    let grade = args.changes.grade.as_ref().filter(|grade| **grade != before.row.grade);
    let shared = args.changes.shared.as_ref();
    if budget.is_some() || grade.is_some() || shared.is_some() {
        let mut passphrase = context.passphrase_for("set_budget")?;
        let mut call = async |command: &'static str, args: Value| {
            context.call_asking(command, args, &mut passphrase).await
        };
        if let Some(budget) = budget {
            let args = json!({ "agent": before.row.id, "budget": budget });
            answer = call("set_budget", args).await?;
        }
        if let Some(grade) = grade {
            answer = call("set_grade", json!({ "agent": before.row.id, "grade": grade })).await?;
        }
        if let Some(shared) = shared {
            let shared = Some(shared).filter(|shared| *shared != NONE);
            let args = json!({ "agent": before.row.id, "shared": shared });
            answer = call("join_shared", args).await?;
        }
    }
    let page = crate::link::shaped("agent", &answer)?;
    show_agent(context, &page, &answer)
}

/// `imprest agent rehearse`: what limits would have done; limits that are not named are the
/// agent's own.
async fn rehearse(context: &Context, args: &RehearseArgs) -> Result<End, Fault> {
    let (page, _): (AgentPage, Value) =
        context.ask_for("agent", json!({ "agent": args.name })).await?;
    let budget = args.limits.applied_to(&page.budget);
    let args = json!({ "agent": page.row.id, "budget": budget, "days": args.days });
    let (it, answer): (RehearsalView, Value) = context.ask_for("rehearse", args).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(End::Done);
    }
    screen.line(&one_line(&it.sentence))?;
    let sum = |count: u32, amount: &str| format!("{count}, {amount} {}", it.asset);
    let most = match &it.most_on {
        Some(day) => format!("{} {} on {day}", it.most_in_a_day, it.asset),
        None => String::new(),
    };
    screen.line("")?;
    screen.facts(
        0,
        &[
            ("paid", sum(it.allowed, &it.amount_allowed)),
            ("asked about", sum(it.asked, &it.amount_asked)),
            ("refused", sum(it.refused, &it.amount_refused)),
            ("most in a day", most),
        ],
    )?;
    if !it.rules.is_empty() {
        screen.line("")?;
        let rows: Vec<_> = it
            .rules
            .iter()
            .map(|rule| vec![cell(&rule.code), cell(rule.times.to_string())])
            .collect();
        screen.table(&[left("rule"), right("objected")], &rows)?;
    }
    Ok(End::Done)
}

async fn list_agents(context: &Context) -> Result<End, Fault> {
    let (rows, answer): (Vec<AgentRow>, Value) = context.ask_for("agents", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    if rows.is_empty() {
        screen.line("No agents yet. Add one: imprest agent add scout --per-day 5")?;
        return Ok(End::Done);
    }
    let columns = [left("name"), left("grade"), right("float"), left("budget"), left("last seen")];
    let rows: Vec<_> = rows.iter().map(agent_cells).collect();
    screen.table(&columns, &rows)?;
    Ok(End::Done)
}

fn agent_cells(row: &AgentRow) -> Vec<crate::screen::Cell> {
    let grade = match (row.revoked, row.grade == row.grade_in_force) {
        (true, _) => toned(Tone::Bad, "revoked"),
        (false, true) => cell(&row.grade),
        (false, false) => toned(Tone::Ask, format!("{}, now {}", row.grade, row.grade_in_force)),
    };
    vec![
        toned(Tone::Strong, &row.name),
        grade,
        cell(format!("{} {}", row.float, row.asset)),
        cell(&row.sentence),
        cell(row.last_seen.as_deref().map_or("never".to_owned(), local_time)),
    ]
}

fn show_credential(
    context: &Context,
    credential: &NewCredential,
    answer: &Value,
    what: &str,
) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(answer)?;
        return Ok(End::Done);
    }
    let agent = &credential.agent;
    let name = one_line(&agent.name);
    screen.line(&screen.palette.paint(Tone::Strong, &format!("{name} {what}.")))?;
    screen.line(&one_line(&agent.sentence))?;
    screen.line("")?;
    let keychain = match credential.token_in_keychain {
        true => format!(
            "kept; agents started with `imprest mcp --agent {}` need nothing else",
            agent.name
        ),
        false => "not kept; put the token in IMPREST_TOKEN".to_owned(),
    };
    screen.facts(
        0,
        &[
            ("token", credential.token.clone()),
            ("", "shown this once".to_owned()),
            ("keychain", keychain),
            ("address", agent.address.clone()),
            ("grade", agent.grade.clone()),
            ("float", format!("{} {}", agent.float, agent.asset)),
        ],
    )?;
    if let Some(text) = &credential.note {
        note(&one_line(text));
    }
    credential.notes.iter().for_each(|text| note(&one_line(text)));
    Ok(End::Done)
}

fn show_agent(context: &Context, page: &AgentPage, answer: &Value) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(answer)?;
        return Ok(End::Done);
    }
    let row = &page.row;
    screen.line(&screen.palette.paint(Tone::Strong, &one_line(&row.name)))?;
    screen.line(&one_line(&row.sentence))?;
    screen.line("")?;
    let on_chain = match &page.float_on_chain {
        Some(chain) if *chain == row.float => "the chain says the same".to_owned(),
        Some(chain) => format!("the chain says {chain}"),
        None => "the chain was not asked".to_owned(),
    };
    screen.facts(
        0,
        &[
            ("grade", format!("{}: {}", row.grade_in_force, page.grade_reason)),
            ("float", format!("{} {}, {on_chain}", row.float, row.asset)),
            ("address", row.address.clone()),
            ("worst case", page.worst_case.clone()),
            ("new payees", page.budget.new_payee.clone()),
            ("shared", row.shared.clone().unwrap_or_default()),
            ("zone", page.budget.zone.clone()),
            ("ends", page.budget.expires_at.as_deref().map(local_time).unwrap_or_default()),
            ("id", row.id.clone()),
        ],
    )?;
    show_windows(context, &page.windows)?;
    if let Some(shared) = &page.shared {
        screen.line("")?;
        screen.line(&one_line(&shared.sentence))?;
        show_windows(context, &shared.windows)?;
    }
    for text in row.warnings.iter().chain(&page.notes) {
        note(&one_line(text));
    }
    if !page.activity.is_empty() {
        screen.line("")?;
        crate::read::activity_table(context, &page.activity)?;
    }
    show_connection(context, page)?;
    Ok(End::Done)
}

/// Limits over time as a table.
///
/// # Errors
/// [`Fault::Output`].
pub fn show_windows(context: &Context, windows: &[WindowRow]) -> Result<(), Fault> {
    context.screen.windows(windows.iter().map(|w| WindowCells {
        limits: [&w.window, &w.limit, &w.spent, &w.in_flight, &w.left],
        resets_at: w.resets_at.as_deref(),
    }))
}

/// How to connect an agent's program.
fn show_connection(context: &Context, page: &AgentPage) -> Result<(), Fault> {
    let screen = context.screen;
    screen.line("")?;
    // Without a keychain the stdio bridge finds no token, and pasting its entry would fail later.
    let (how, snippet) = match page.token_in_keychain {
        true => ("For the agent program’s MCP settings:", &page.mcp_snippet),
        false => (
            "For the agent program’s MCP settings, with its token in place of the placeholder:",
            &page.http_snippet,
        ),
    };
    screen.line(&screen.palette.paint(Tone::Faint, how))?;
    screen.line(&crate::screen::terminal_text(snippet))
}

/// `imprest approvals`.
///
/// # Errors
/// What the desk says.
pub async fn approvals(context: &Context) -> Result<End, Fault> {
    let (cards, answer): (Vec<ApprovalCard>, Value) =
        context.ask_for("approvals", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    if cards.is_empty() {
        screen.line("Nothing waits for you.")?;
    }
    for (at, card) in cards.iter().enumerate() {
        if at > 0 {
            screen.line("")?;
        }
        show_card(context, card)?;
    }
    Ok(End::Done)
}

fn show_card(context: &Context, card: &ApprovalCard) -> Result<(), Fault> {
    let screen = context.screen;
    let title =
        format!("{} wants to pay {} {} for {}", card.agent, card.amount, card.asset, card.what);
    screen.line(&screen.palette.paint(Tone::Strong, &one_line(&title)))?;
    let mut facts = vec![("to", format!("{}  {}", card.origin, card.pay_to))];
    facts.push(("address", card.url.clone()));
    facts.extend(card.reasons.iter().map(|reason| ("asked because", reason.clone())));
    facts.extend(card.changes.iter().map(|change| ("changed", change.clone())));
    facts.push(("left after", card.left_after.clone().unwrap_or_default()));
    facts.push(("its words", card.purpose.as_ref().map(|p| format!("“{p}”")).unwrap_or_default()));
    facts.push(("task", card.task.clone().unwrap_or_default()));
    facts.push(("silence is no", local_time(&card.expires_at)));
    facts.push(("answer", format!("imprest approve {}", card.id)));
    screen.facts(2, &facts)
}

/// `imprest approve` and `imprest refuse`.
///
/// # Errors
/// What the desk says.
pub async fn answer(context: &Context, command: &str, args: Value) -> Result<End, Fault> {
    let (row, answer): (ActivityRow, Value) = context.ask_for(command, args).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
    } else {
        let state = screen.palette.paint(tone_of(&row.state), &one_line(&row.outcome));
        let what = format!("{} {} to {}", row.amount, row.asset, row.payee);
        screen.line(&format!("{}: {state}", one_line(&what)))?;
        screen.line(&format!("Evidence: imprest evidence {}", row.payment_id))?;
    }
    // A yes that the rules turned down meanwhile is a refusal; the owner's own no is done.
    Ok(if command == "approve" && row.state == "refused" { End::Refused } else { End::Done })
}

/// `imprest freeze`, `thaw` and `lock`.
///
/// # Errors
/// What the desk says.
pub async fn switch(context: &Context, command: &str) -> Result<End, Fault> {
    let (status, answer): (DeskStatus, Value) = context.ask_for(command, json!({})).await?;
    let end = show_switched(context, &status, &answer)?;
    if command == "freeze" && status.http_url.is_some() && !context.screen.is_json() {
        crate::money::offer_to_cancel(context).await?;
    }
    Ok(end)
}

/// `imprest unlock`.
///
/// # Errors
/// What the desk says.
pub async fn unlock(context: &Context) -> Result<End, Fault> {
    let answer = unlock_running(context).await?;
    let status = crate::link::shaped("unlock", &answer)?;
    show_switched(context, &status, &answer)
}

fn show_switched(context: &Context, status: &DeskStatus, answer: &Value) -> Result<End, Fault> {
    if context.screen.is_json() {
        context.screen.document(answer)?;
        return Ok(End::Done);
    }
    let frozen = match status.frozen {
        true => "Frozen: nothing is signed until `imprest thaw`.",
        false => "Not frozen.",
    };
    // On the books alone the vault is open only for as long as this command takes.
    let stage = match status.stage.as_str() {
        _ if status.http_url.is_none() => "No desk is running.",
        "open" => "The vault is open.",
        "locked" => "The vault is locked.",
        _ => "There is no vault yet.",
    };
    context.screen.line(&format!("{frozen} {stage}"))?;
    Ok(End::Done)
}

/// `imprest hosts …`.
///
/// # Errors
/// What the desk says.
pub async fn hosts(context: &Context, command: HostsCommand) -> Result<End, Fault> {
    let (command, args) = match command {
        HostsCommand::List => ("hosts", json!({})),
        HostsCommand::Allow { host } => ("allow_host", json!({ "host": host })),
        HostsCommand::Remove { host } => ("remove_host", json!({ "host": host })),
    };
    let (hosts, answer): (Vec<String>, Value) = context.ask_for(command, args).await?;
    if context.screen.is_json() {
        context.screen.documents(answer.as_array().into_iter().flatten())?;
    } else if hosts.is_empty() {
        context.screen.line("Agents may reach no local address.")?;
    } else {
        hosts.iter().try_for_each(|host| context.screen.line(&one_line(host)))?;
    }
    Ok(End::Done)
}
