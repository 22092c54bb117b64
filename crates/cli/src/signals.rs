//! The owner's commands about trust: what looked odd, and whose clock is right.

use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Tone, cell, left, local_time, one_line, right, toned};
use imprest_desk::view::{DeskStatus, SignalView};
use serde_json::{Value, json};

/// `imprest signals`.
///
/// # Errors
/// What the desk says.
pub async fn signals(context: &Context) -> Result<End, Fault> {
    let (views, answer): (Vec<SignalView>, Value) = context.ask_for("signals", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    if views.is_empty() {
        screen.line("Nothing has looked odd.")?;
        return Ok(End::Done);
    }
    let columns = [right("signal"), left("when"), left("danger"), left("about"), left("what")];
    let rows: Vec<_> = views.iter().map(cells).collect();
    screen.table(&columns, &rows)?;
    for view in views.iter().filter(|view| view.open) {
        let how = match view.needs_ack {
            true => format!("{} imprest acknowledge {}", view.clears, view.seq),
            false => view.clears.clone(),
        };
        screen.line(&one_line(&format!("{}: {how}", view.seq)))?;
    }
    Ok(End::Done)
}

fn cells(view: &SignalView) -> Vec<crate::screen::Cell> {
    let (tone, level) = match (view.open, view.level.as_str()) {
        (false, _) => (Tone::Faint, "over"),
        (true, "halted") => (Tone::Bad, "halted"),
        (true, level) => (Tone::Ask, level),
    };
    vec![
        cell(view.seq.to_string()),
        cell(local_time(&view.at)),
        toned(tone, level),
        cell(&view.subject),
        cell(&view.detail),
    ]
}

/// `imprest acknowledge`.
///
/// # Errors
/// What the desk says.
pub async fn acknowledge(context: &Context, signal: u64) -> Result<End, Fault> {
    let (views, answer): (Vec<SignalView>, Value) =
        context.ask_for("acknowledge", json!({ "signal": signal })).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    let open = views.iter().filter(|view| view.open).count();
    screen.line(&match open {
        0 => format!("Signal {signal} is acknowledged, and none is open."),
        1 => format!("Signal {signal} is acknowledged, and one more is open."),
        more => format!("Signal {signal} is acknowledged, and {more} more are open."),
    })?;
    Ok(End::Done)
}

/// `imprest clock accept`.
///
/// # Errors
/// What the desk says.
pub async fn accept_clock(context: &Context) -> Result<End, Fault> {
    let (status, answer): (DeskStatus, Value) = context.ask_for("accept_clock", json!({})).await?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
    } else {
        let danger = match status.danger.as_str() {
            "calm" => "Payments go on as before.".to_owned(),
            danger => format!("Danger is still {danger}; see `imprest signals`."),
        };
        context.screen.line(&format!("The computer’s clock is taken as right. {danger}"))?;
    }
    Ok(End::Done)
}
