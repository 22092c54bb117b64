//! `imprest payees`: who was paid or is trusted, and what is known of them.

use crate::args::PayeesArgs;
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Cell, Tone, cell, left, local_time, one_line, toned};
use imprest_desk::view::PayeeView;
use serde_json::{Value, json};

/// `imprest payees [TEXT]`.
///
/// # Errors
/// What the desk says.
pub async fn payees(context: &Context, args: PayeesArgs) -> Result<End, Fault> {
    let (views, answer): (Vec<PayeeView>, Value) =
        context.ask_for("payees", json!({ "text": args.text })).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    if views.is_empty() {
        screen.line(match args.text {
            Some(_) => "No payee contains that.",
            None => "Nobody has been paid yet.",
        })?;
        return Ok(End::Done);
    }
    let rows: Vec<_> = views.iter().map(row).collect();
    screen.table(
        &[left("payee"), left("paid"), left("prices"), left("last"), left("address")],
        &rows,
    )?;
    for view in views.iter().filter(|view| !view.earlier.is_empty()) {
        screen.line("")?;
        screen.line(
            &screen
                .palette
                .paint(Tone::Ask, &format!("{} was paid before at", one_line(&view.name))),
        )?;
        let addresses: Vec<_> = view
            .earlier
            .iter()
            .map(|at| vec![cell(&at.pay_to), cell(format!("until {}", local_time(&at.last_seen)))])
            .collect();
        screen.table(&[left(""), left("")], &addresses)?;
    }
    Ok(End::Done)
}

fn row(view: &PayeeView) -> Vec<Cell> {
    let tone = if view.signals > 0 { Tone::Bad } else { Tone::Strong };
    vec![
        toned(tone, &view.name),
        cell(format!("{} {}", view.paid, view.asset)),
        cell(prices(view)),
        cell(local_time(&view.last_seen)),
        cell(&view.pay_to),
    ]
}

/// “0.01”, “0.01 to 0.60” or nothing: what its goods cost lately, all together.
fn prices(view: &PayeeView) -> String {
    match (&view.low, &view.high) {
        (Some(low), Some(high)) if low == high => low.clone(),
        (Some(low), Some(high)) => format!("{low} to {high}"),
        _ => String::new(),
    }
}
