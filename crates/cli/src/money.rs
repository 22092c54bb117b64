//! The owner's commands that move money between treasury and floats, or burn what would.

use crate::args::CancelArgs;
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Tone, cell, left, one_line, right, toned};
use imprest_desk::view::{AgentPage, CancelView, Overview};
use serde_json::{Value, json};

/// `imprest refill`.
///
/// # Errors
/// What the desk says.
pub async fn refill(context: &Context, name: &str, amount: &str) -> Result<End, Fault> {
    moved(context, "refill", json!({ "agent": name, "amount": amount })).await
}

/// `imprest sweep`.
///
/// # Errors
/// What the desk says.
pub async fn sweep(context: &Context, name: &str, amount: Option<&str>) -> Result<End, Fault> {
    moved(context, "sweep", json!({ "agent": name, "amount": amount })).await
}

async fn moved(context: &Context, command: &str, args: Value) -> Result<End, Fault> {
    let (page, answer): (AgentPage, Value) = context.ask_for(command, args).await?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
    } else {
        let chain = page.float_on_chain.as_deref().unwrap_or("not known");
        context.screen.line(&format!(
            "{}’s float holds {} {}; on chain: {chain}.",
            one_line(&page.row.name),
            page.row.float,
            page.row.asset,
        ))?;
    }
    Ok(End::Done)
}

/// `imprest cancel`.
///
/// # Errors
/// What the desk says.
pub async fn cancel(context: &Context, args: &CancelArgs) -> Result<End, Fault> {
    let (views, answers): (Vec<CancelView>, Vec<Value>) = match &args.payment {
        Some(payment) => {
            let (view, answer) = context.ask_for("cancel", json!({ "payment": payment })).await?;
            (vec![view], vec![answer])
        }
        None => {
            let (views, answer) = context.ask_for("cancel_all", json!({})).await?;
            (views, answer.as_array().cloned().unwrap_or_default())
        }
    };
    show_cancels(context, &views, &answers)?;
    // What is burnt, or on its way, is done; a payee that was faster is told as what it is.
    let done = views.iter().all(|view| matches!(view.end.as_str(), "burnt" | "over" | "sent"));
    Ok(if done { End::Done } else { End::Bad })
}

fn show_cancels(context: &Context, views: &[CancelView], answers: &[Value]) -> Result<(), Fault> {
    let screen = context.screen;
    if screen.is_json() {
        return screen.documents(answers);
    }
    if views.is_empty() {
        return screen.line("Nothing is signed that could still be paid.");
    }
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            let tone = match view.end.as_str() {
                "burnt" | "over" => Tone::Good,
                "sent" => Tone::Ask,
                _ => Tone::Bad,
            };
            vec![
                cell(&view.payment_id),
                cell(&view.agent),
                cell(&view.payee),
                cell(format!("{} {}", view.amount, view.asset)),
                toned(tone, &view.end),
            ]
        })
        .collect();
    let columns = [left("payment"), left("agent"), left("payee"), right("amount"), left("end")];
    screen.table(&columns, &rows)?;
    let mut said: Vec<&str> = views.iter().map(|view| view.sentence.as_str()).collect();
    said.dedup();
    said.iter().try_for_each(|sentence| screen.line(&one_line(sentence)))
}

/// After a freeze: what is signed and could still be paid, and how to burn it.
///
/// # Errors
/// [`Fault::Output`]; a desk that does not tell is no fault of the freeze.
pub async fn offer_to_cancel(context: &Context) -> Result<(), Fault> {
    let asked = context.ask_for::<Overview>("overview", json!({})).await;
    let Ok((overview, _)) = asked else { return Ok(()) };
    if overview.in_flight.chars().all(|c| matches!(c, '0' | '.')) {
        return Ok(());
    }
    context.screen.line(&format!(
        "{} {} is signed and could still be paid. To burn it, oldest first: imprest cancel --all",
        one_line(&overview.in_flight),
        one_line(&overview.asset),
    ))
}
