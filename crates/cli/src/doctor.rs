//! A look at everything a desk needs, with what to do about what is missing.

use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Tone, one_line};
use imprest_desk::view::{Books, DeskStatus, Verified};
use imprest_practice::Kit;
use serde::Serialize;
use serde_json::json;
use std::io;

/// How a thing looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    /// As it should be.
    Good,
    /// Not wrong, and worth knowing.
    Note,
    /// In the way.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    health: Health,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Finding {
        Finding { what, health: Health::Good, found: found.into(), todo: None }
    }

    fn note(what: &'static str, found: impl Into<String>, todo: &str) -> Finding {
        Finding { what, health: Health::Note, found: found.into(), todo: Some(todo.to_owned()) }
    }

    fn bad(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding { what, health: Health::Bad, found: found.into(), todo: Some(todo.into()) }
    }

    fn fault(what: &'static str, fault: &Fault) -> Finding {
        Finding::bad(what, fault.to_string(), fault.recovery())
    }
}

/// `imprest doctor`: exits with 1 when something is in the way.
///
/// # Errors
/// [`Fault::Output`]; what is found to be wrong is a finding and no error.
pub async fn doctor(context: &Context) -> Result<End, Fault> {
    let mut findings = vec![folder(context), kit()];
    if context.has_books() {
        look_at_desk(context, &mut findings).await;
    } else {
        findings.push(Finding::note(
            "desk",
            "There is no desk in this folder.",
            "Make one with `imprest init`.",
        ));
    }
    let bad = findings.iter().filter(|finding| finding.health == Health::Bad).count();
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&json!({ "well": bad == 0, "findings": findings }))?;
    } else {
        show(context, &findings)?;
        let verdict = match bad {
            0 => screen.palette.paint(Tone::Good, "Nothing is in the way."),
            1 => screen.palette.paint(Tone::Bad, "One thing is in the way."),
            more => screen.palette.paint(Tone::Bad, &format!("{more} things are in the way.")),
        };
        screen.line("")?;
        screen.line(&verdict)?;
    }
    Ok(if bad == 0 { End::Done } else { End::Bad })
}

fn show(context: &Context, findings: &[Finding]) -> Result<(), Fault> {
    let screen = context.screen;
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or_default();
    for finding in findings {
        let (tone, word) = match finding.health {
            Health::Good => (Tone::Good, "good"),
            Health::Note => (Tone::Ask, "note"),
            Health::Bad => (Tone::Bad, "bad "),
        };
        let word = screen.palette.paint(tone, word);
        screen.line(&format!(
            "{word}   {:<width$}   {}",
            finding.what,
            one_line(&finding.found)
        ))?;
        if let Some(todo) = &finding.todo {
            screen.line(&format!("{:1$}{2}", "", width + 10, one_line(todo)))?;
        }
    }
    Ok(())
}

fn folder(context: &Context) -> Finding {
    let path = context.folder.display();
    match std::fs::read_dir(&context.folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::good("folder", format!("{path}, not made yet"))
        }
        Err(error) => Finding::bad(
            "folder",
            format!("{path} cannot be read: {error}."),
            "Make the folder yours, or choose another with --data.",
        ),
        Ok(_) => closed_to_others(context)
            .unwrap_or_else(|| Finding::good("folder", format!("{path}, yours alone"))),
    }
}

/// A folder that other users of the machine can look into.
#[cfg(unix)]
fn closed_to_others(context: &Context) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&context.folder).ok()?.permissions().mode() & 0o777;
    let path = context.folder.display();
    (mode & 0o077 != 0).then(|| {
        let found = format!("{path} is open to other users of this machine (mode {mode:o}).");
        Finding::bad("folder", found, format!("Run: chmod 700 '{path}'"))
    })
}

#[cfg(not(unix))]
fn closed_to_others(_context: &Context) -> Option<Finding> {
    None
}

fn kit() -> Finding {
    match Kit::find() {
        Ok(_) => Finding::good("practice kit", "anvil and the contracts are here"),
        Err(error) => {
            let text = error.to_string();
            let (found, todo) = text.split_once(". ").unwrap_or((
                text.as_str(),
                "Install the practice kit, or name its folder in IMPREST_PRACTICE_KIT.",
            ));
            Finding::bad("practice kit", found, todo)
        }
    }
}

async fn look_at_desk(context: &Context, findings: &mut Vec<Finding>) {
    let is_running = context.running().await;
    match &is_running {
        Some(running) => findings.push(Finding::good(
            "desk",
            format!(
                "runs as process {}, agents connect at {}",
                running.pid,
                running.http_url.as_deref().unwrap_or("no address")
            ),
        )),
        None => findings.push(Finding::note(
            "desk",
            "No desk is running on this folder.",
            "Start it with `imprest serve`.",
        )),
    }
    let is_running = is_running.is_some();
    match status(context, is_running).await {
        Ok(status) => judge_status(&status, is_running, findings),
        Err(fault) => findings.push(Finding::fault("status", &fault)),
    }
    match context.ask_for::<Verified>("verify", json!({})).await {
        Ok((verified, _)) if verified.whole => findings.push(Finding::good(
            "ledger",
            format!("{} events, whole, head {}", verified.events, verified.head),
        )),
        Ok((verified, _)) => findings.push(Finding::bad(
            "ledger",
            verified.faults.join(" "),
            "Run `imprest freeze`, keep a copy of the folder, then see `imprest verify`.",
        )),
        Err(fault) => findings.push(Finding::fault("ledger", &fault)),
    }
    if is_running {
        match context.ask_for::<Books>("books", json!({})).await {
            Ok((books, _)) if books.equal => findings.push(Finding::good(
                "books",
                format!("equal to the chain to the last unit at block {}", books.block),
            )),
            Ok((books, _)) => findings.push(Finding::bad(
                "books",
                format!("differ from the chain at block {}.", books.block),
                "Run `imprest freeze`, then `imprest books` to see which float.",
            )),
            Err(fault) => findings.push(Finding::fault("books", &fault)),
        }
    }
}

/// From the running desk, or from the books alone.
async fn status(context: &Context, is_running: bool) -> Result<DeskStatus, Fault> {
    if is_running {
        return Ok(context.ask_for("status", json!({})).await?.0);
    }
    let desk = context.books().await?;
    let status = desk.status().await;
    desk.close().await;
    Ok(status?)
}

fn judge_status(status: &DeskStatus, is_running: bool, findings: &mut Vec<Finding>) {
    if !status.practice {
        // A desk on a real network does without.
        findings.retain(|finding| finding.what != "practice kit" || finding.health != Health::Bad);
    }
    findings.push(match (status.stage.as_str(), is_running) {
        ("new", _) => Finding::bad(
            "vault",
            "There is none yet, so nothing can be paid.",
            "Make it with `imprest init`.",
        ),
        ("locked", true) => Finding::note(
            "vault",
            "Locked: reading works, and paying does not.",
            "Unlock it with `imprest unlock`.",
        ),
        ("locked", false) => Finding::good("vault", "there, and locked while no desk runs"),
        _ => Finding::good("vault", "open"),
    });
    if status.frozen {
        findings.push(Finding::note(
            "payments",
            "Frozen by the owner.",
            "Let them go on with `imprest thaw`.",
        ));
    }
    judge_trust(status, findings);
    if let Some(text) = &status.backup.note {
        let todo = "Make one with `imprest backup FILE`, best on another disk.";
        findings.push(Finding::note("backup", text, todo));
    }
    if is_running {
        findings.push(match (status.network.reachable, status.network.block) {
            (true, block) => Finding::good(
                "chain",
                format!(
                    "{} answers{}",
                    status.network.name,
                    block.map(|block| format!(", block {block}")).unwrap_or_default()
                ),
            ),
            (false, _) => Finding::bad(
                "chain",
                format!("{} does not answer.", status.network.name),
                "Close the desk and start it again.",
            ),
        });
    }
    findings.push(match status.keychain.as_str() {
        "ready" => Finding::good("keychain", "ready"),
        word => Finding::note(
            "keychain",
            status.keychain_note.clone().unwrap_or_else(|| format!("{word}.")),
            "The desk works without it; agents then need their token in IMPREST_TOKEN.",
        ),
    });
}

/// What keeps payments from going unasked, and what would not be noticed.
fn judge_trust(status: &DeskStatus, findings: &mut Vec<Finding>) {
    if let Some(behind_s) = status.clock_behind_s {
        findings.push(Finding::bad(
            "clock",
            format!("The computer’s clock stands {behind_s} s behind the books, so every payment is a question."),
            "Set it right, or run `imprest clock accept` if it is right now.",
        ));
    }
    let why = status.danger_why.as_deref().unwrap_or_default();
    match status.danger.as_str() {
        "calm" => {}
        "halted" => findings.push(Finding::bad(
            "trust",
            format!("Nothing is signed: {why}"),
            "See `imprest signals` and `imprest verify`.",
        )),
        danger => findings.push(Finding::note(
            "trust",
            format!("Danger is {danger}: {why}"),
            "See `imprest signals`.",
        )),
    }
    if let Some(text) = &status.copy_note {
        findings.push(Finding::note(
            "copy",
            text,
            "The ledger’s hashes and seal are checked all the same.",
        ));
    }
}
