//! The owner's commands about budgets that several agents share.

use crate::args::{SharedArgs, SharedCommand};
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::owner::show_windows;
use crate::screen::{Tone, cell, left, local_time, note, one_line, toned};
use imprest_desk::ErrorCode;
use imprest_desk::view::{Problem, SharedView};
use serde_json::{Value, json};

/// `imprest shared …`.
///
/// # Errors
/// What the desk says.
pub async fn shared(context: &Context, command: SharedCommand) -> Result<End, Fault> {
    match command {
        SharedCommand::Add(SharedArgs { name, limits }) => {
            let args = json!({ "name": name, "budget": limits.form() });
            let (view, answer) = context.ask_for("add_shared", args).await?;
            show(context, &view, &answer)
        }
        SharedCommand::List => list(context).await,
        SharedCommand::Show { name } => {
            let (view, answer) = find(context, &name).await?;
            show(context, &view, &answer)
        }
        SharedCommand::Set(SharedArgs { name, limits }) => {
            if context.running().await.is_none() {
                return Err(context.no_desk());
            }
            let (before, answer) = find(context, &name).await?;
            let budget = limits.applied_to(&before.budget);
            if budget == before.budget {
                return show(context, &before, &answer);
            }
            let args = json!({ "shared": before.id, "budget": budget });
            let (view, answer) = context.ask_for("set_shared", args).await?;
            show(context, &view, &answer)
        }
    }
}

/// One of them, by name without regard to case, or by identifier.
async fn find(context: &Context, name: &str) -> Result<(SharedView, Value), Fault> {
    let (views, answers): (Vec<SharedView>, Value) =
        context.ask_for("shared_budgets", json!({})).await?;
    let key = |text: &str| text.to_ascii_lowercase().replace(' ', "-");
    let at = views.iter().position(|view| view.id == name || key(&view.name) == key(name));
    let found = at.and_then(|at| Some((views.into_iter().nth(at)?, answers.get(at)?.clone())));
    found.ok_or_else(|| {
        Fault::Desk(Problem::new(
            ErrorCode::NotFound,
            format!("There is no shared budget “{}” at this desk.", one_line(name)),
            "`imprest shared list` says what there is.",
        ))
    })
}

async fn list(context: &Context) -> Result<End, Fault> {
    let (views, answer): (Vec<SharedView>, Value) =
        context.ask_for("shared_budgets", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    if views.is_empty() {
        screen.line("No shared budgets yet. Add one: imprest shared add team --per-day 10")?;
        return Ok(End::Done);
    }
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            let agents = match &view.agents[..] {
                [] => "nobody".to_owned(),
                agents => agents.join(", "),
            };
            vec![toned(Tone::Strong, &view.name), cell(agents), cell(&view.sentence)]
        })
        .collect();
    screen.table(&[left("name"), left("agents"), left("budget")], &rows)?;
    Ok(End::Done)
}

fn show(context: &Context, view: &SharedView, answer: &Value) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(answer)?;
        return Ok(End::Done);
    }
    screen.line(&screen.palette.paint(Tone::Strong, &one_line(&view.name)))?;
    screen.line(&one_line(&view.sentence))?;
    screen.line("")?;
    screen.facts(
        0,
        &[
            ("agents", view.agents.join(", ")),
            ("new payees", view.budget.new_payee.clone()),
            ("zone", view.budget.zone.clone()),
            ("ends", view.budget.expires_at.as_deref().map(local_time).unwrap_or_default()),
            ("id", view.id.clone()),
        ],
    )?;
    show_windows(context, &view.windows)?;
    view.notes.iter().for_each(|text| note(&one_line(text)));
    Ok(End::Done)
}
