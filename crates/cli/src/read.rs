//! Reading: how the desk does, what happened, the evidence behind it, the books and their proof.

use crate::args::{ActivityArgs, ExportArgs, FilterArgs};
use crate::fault::{End, Fault};
use crate::link::{Context, shaped};
use crate::screen::{Tone, cell, left, local_time, note, one_line, right, tone_of, toned};
use imprest_desk::view::{
    ActivityFilter, ActivityPage, ActivityRow, AgentPage, BackupView, Books, DeskStatus, Evidence,
    Exported, Finding, SignedReceiptView, Verified,
};
use serde_json::{Value, json};

/// The most rows the desk gives at once.
const PAGE_ROWS: u32 = 200;

/// `imprest status`.
///
/// # Errors
/// What the desk says.
pub async fn status(context: &Context) -> Result<End, Fault> {
    let (status, answer): (DeskStatus, Value) = context.ask_for("status", json!({})).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(End::Done);
    }
    let stage = match status.locks_in_s {
        Some(left_s) if status.stage == "open" => format!("open, locks itself in {left_s} s"),
        _ => status.stage.clone(),
    };
    let block = status.network.block.map(|block| format!(", block {block}")).unwrap_or_default();
    let reach = if status.network.reachable { "reachable" } else { "not reachable" };
    let keychain = status.keychain_note.map(|n| format!(": {n}")).unwrap_or_default();
    let why = status.danger_why.map(|why| format!(": {why}")).unwrap_or_default();
    let clock = status.clock_behind_s.map(|behind_s| {
        format!("{behind_s} s behind the books; if it is right now, `imprest clock accept`")
    });
    screen.facts(
        0,
        &[
            (
                "desk",
                format!("{} {}", if status.practice { "practice" } else { "real" }, status.version),
            ),
            ("vault", stage),
            ("vault file", status.vault_note.unwrap_or_default()),
            ("window", if status.window_locked { "locked".into() } else { String::new() }),
            ("locks", locks_in_words(status.signing_idle_min, status.lock_with_session)),
            ("sleep", status.system_locks_note.unwrap_or_default()),
            ("payments", if status.frozen { "frozen".into() } else { "go on".into() }),
            ("danger", format!("{}{why}", status.danger)),
            (
                "signals",
                if status.signals > 0 { format!("{} open", status.signals) } else { String::new() },
            ),
            ("clock", clock.unwrap_or_default()),
            ("restored", status.restored_note.unwrap_or_default()),
            ("backup", backup_words(&status.backup)),
            ("waiting", status.waiting.to_string()),
            ("agents", status.agents.to_string()),
            ("network", format!("{} ({}), {reach}{block}", status.network.name, status.network.id)),
            ("asset", format!("{}  {}", status.network.asset, status.network.contract)),
            ("treasury", status.network.treasury.unwrap_or_default()),
            ("keychain", format!("{}{keychain}", status.keychain)),
            ("copy", status.copy_note.unwrap_or_default()),
            ("http", status.http_url.unwrap_or_default()),
            ("mcp", status.mcp_url.unwrap_or_default()),
            ("shop", status.shop_url.unwrap_or_default()),
            ("folder", status.data_dir),
        ],
    )?;
    Ok(End::Done)
}

/// When the last backup was made, or that one is due.
fn backup_words(backup: &BackupView) -> String {
    let last = backup.last_at.as_deref().map(|at| format!("made {}", local_time(at)));
    match (&backup.note, last) {
        (Some(note), _) => format!("{note} `imprest backup FILE` makes one."),
        (None, Some(last)) => last,
        (None, None) => String::new(),
    }
}

/// When the vault locks itself.
fn locks_in_words(idle_min: Option<u32>, with_session: bool) -> String {
    let idle = match idle_min {
        Some(1) => "after 1 idle minute".to_owned(),
        Some(minutes) => format!("after {minutes} idle minutes"),
        None => "not when idle".to_owned(),
    };
    let session = if with_session { "when the screen is locked" } else { "not with the screen" };
    format!("{idle}, {session}, when the computer sleeps")
}

/// The filter as the desk takes it: it wants an agent's identifier where a person gives a name.
async fn filter(context: &Context, args: &FilterArgs) -> Result<ActivityFilter, Fault> {
    let agent_id = match &args.agent {
        Some(name) => {
            let (page, _): (AgentPage, _) =
                context.ask_for("agent", json!({ "agent": name })).await?;
            Some(page.row.id)
        }
        None => None,
    };
    Ok(ActivityFilter {
        agent_id,
        state: args.state.clone(),
        text: args.text.clone(),
        from: args.from.clone(),
        until: args.until.clone(),
    })
}

/// `imprest activity`.
///
/// # Errors
/// What the desk says.
pub async fn activity(context: &Context, args: &ActivityArgs) -> Result<End, Fault> {
    let filter = filter(context, &args.filter).await?;
    let (mut rows, mut answers, mut cursor) = (Vec::new(), Vec::new(), None);
    let (mut total, mut is_exact) = (0, true);
    while rows.len() < args.limit as usize {
        let limit = (args.limit - rows.len() as u32).min(PAGE_ROWS);
        let wanted = json!({ "filter": filter, "cursor": cursor, "limit": limit });
        let (page, answer): (ActivityPage, Value) = context.ask_for("activity", wanted).await?;
        (total, is_exact) = (page.total, page.total_is_exact);
        let got_some = !page.rows.is_empty();
        rows.extend(page.rows);
        answers.extend(answer["rows"].as_array().into_iter().flatten().cloned());
        cursor = page.next_cursor;
        if cursor.is_none() || !got_some {
            break;
        }
    }
    if context.screen.is_json() {
        context.screen.documents(&answers)?;
        return Ok(End::Done);
    }
    if rows.is_empty() {
        context.screen.line("Nothing happened yet.")?;
        return Ok(End::Done);
    }
    activity_table(context, &rows)?;
    if (rows.len() as u64) < total {
        note(&match is_exact {
            true => format!("{} of {total} rows; --limit {total} shows all.", rows.len()),
            false => format!("{} of {total} or more rows; --limit shows more.", rows.len()),
        });
    }
    Ok(End::Done)
}

/// Activity as a table.
///
/// # Errors
/// [`Fault::Output`].
pub fn activity_table(context: &Context, rows: &[ActivityRow]) -> Result<(), Fault> {
    let columns = [
        left("when"),
        left("agent"),
        right("amount"),
        left("what"),
        left("outcome"),
        left("payment"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                cell(local_time(&row.at)),
                cell(&row.agent),
                cell(format!("{} {}", row.amount, row.asset)),
                cell(format!("{}, {}", row.what, row.payee)),
                toned(tone_of(&row.state), &row.outcome),
                toned(Tone::Faint, &row.payment_id),
            ]
        })
        .collect();
    context.screen.table(&columns, &rows)
}

/// `imprest evidence`.
///
/// # Errors
/// What the desk says.
pub async fn evidence(context: &Context, payment: &str) -> Result<End, Fault> {
    let (evidence, answer): (Evidence, Value) =
        context.ask_for("evidence", json!({ "payment": payment })).await?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
    } else {
        show_evidence(context, &evidence)?;
    }
    Ok(End::Done)
}

fn show_evidence(context: &Context, it: &Evidence) -> Result<(), Fault> {
    let screen = context.screen;
    let row = &it.row;
    let title = format!("{} {} from {} to {}", row.amount, row.asset, row.agent, row.payee);
    screen.line(&screen.palette.paint(Tone::Strong, &one_line(&title)))?;
    screen.line(&screen.palette.paint(tone_of(&row.state), &one_line(&row.outcome)))?;
    screen.line("")?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let time = |value: &Option<String>| value.as_deref().map(local_time).unwrap_or_default();
    let window = match (&it.valid_after, &it.valid_before) {
        (Some(_), Some(_)) => format!("{} to {}", time(&it.valid_after), time(&it.valid_before)),
        _ => String::new(),
    };
    screen.facts(
        0,
        &[
            ("payment", row.payment_id.clone()),
            ("asked", local_time(&row.at)),
            ("request", format!("{} {}", it.method, it.url)),
            ("its words", it.purpose.as_ref().map(|p| format!("“{p}”")).unwrap_or_default()),
            ("from", it.from.clone()),
            ("pay to", it.pay_to.clone()),
            ("asset", format!("{} {} on {}", row.asset, it.contract, it.network)),
            ("verdict", format!("{}, grade {}", it.verdict, it.grade)),
            ("answered by", text(&it.answered_by)),
            ("nonce", text(&it.nonce)),
            ("valid", window),
            ("transaction", text(&it.transaction)),
            ("block", it.block.map(|block| block.to_string()).unwrap_or_default()),
            ("answer", it.response_status.map(|s| format!("HTTP {s}")).unwrap_or_default()),
            ("its sha-256", text(&it.response_sha256)),
            ("receipt", it.receipt.as_ref().map(receipt_line).unwrap_or_default()),
            ("offer", it.offer.clone()),
        ],
    )?;
    show_findings(context, &it.findings)?;
    if !it.events.is_empty() {
        screen.line("")?;
        let rows: Vec<_> = it
            .events
            .iter()
            .map(|event| {
                let hash: String = event.hash.chars().take(16).collect();
                let hash = toned(Tone::Faint, hash);
                vec![
                    cell(event.seq.to_string()),
                    cell(local_time(&event.at)),
                    cell(&event.kind),
                    hash,
                ]
            })
            .collect();
        screen.table(&[right("event"), left("when"), left("what"), left("hash")], &rows)?;
    }
    Ok(())
}

/// What a signed receipt is worth, in one line.
fn receipt_line(receipt: &SignedReceiptView) -> String {
    let by = receipt.signer.as_deref().unwrap_or("nobody that can be told");
    match receipt.faults.is_empty() {
        true => format!("signed by {by}"),
        false => format!("signed by {by}, and not believed: {}", receipt.faults.join("; ")),
    }
}

/// What every rule found, as a table.
fn show_findings(context: &Context, findings: &[Finding]) -> Result<(), Fault> {
    if findings.is_empty() {
        return Ok(());
    }
    let screen = context.screen;
    screen.line("")?;
    let rows: Vec<_> = findings
        .iter()
        .map(|f| {
            let message = match &f.note {
                Some(note) => format!("{}. {note}", f.message),
                None => f.message.clone(),
            };
            vec![cell(&f.code), toned(tone_of(&f.effect), &f.effect), cell(message)]
        })
        .collect();
    screen.table(&[left("rule"), left("says"), left("because")], &rows)
}

/// `imprest books`.
///
/// # Errors
/// What the desk says.
pub async fn books(context: &Context) -> Result<End, Fault> {
    let (books, answer): (Books, Value) = context.ask_for("books", json!({})).await?;
    let end = if books.equal { End::Done } else { End::Bad };
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(end);
    }
    let rows: Vec<_> = books
        .floats
        .iter()
        .map(|line| {
            let (tone, word) =
                if line.equal { (Tone::Good, "equal") } else { (Tone::Bad, "differ") };
            vec![
                cell(&line.agent),
                cell(&line.ledger),
                cell(&line.chain),
                toned(tone, word),
                cell(&line.address),
            ]
        })
        .collect();
    if !rows.is_empty() {
        screen.table(
            &[left("float"), right("ledger"), right("chain"), left(""), left("address")],
            &rows,
        )?;
        screen.line("")?;
    }
    let verdict = match books.equal {
        true => screen.palette.paint(Tone::Good, "Books and chain are equal to the last unit"),
        false => screen.palette.paint(Tone::Bad, "Books and chain differ"),
    };
    let flight = format!("{} {} in flight", books.in_flight, books.asset);
    screen.line(&format!("{verdict} at block {}; {flight}.", books.block))?;
    if !books.equal {
        note("Books and chain differ, and the desk pays nothing it cannot account for.");
        note("Run `imprest freeze`, then `imprest verify`.");
    }
    Ok(end)
}

/// `imprest export`.
///
/// # Errors
/// What the desk says, and [`Fault::File`] for a path that cannot be made absolute.
pub async fn export(context: &Context, args: &ExportArgs) -> Result<End, Fault> {
    let filter = filter(context, &args.filter).await?;
    // The desk may run in another folder than this command.
    let path = std::path::absolute(&args.csv).map_err(|source| Fault::File {
        what: format!("The path {} cannot be used", args.csv.display()),
        source,
    })?;
    let path = path.to_str().ok_or_else(|| {
        Fault::input("The path is not UTF-8.", "Give a path whose name is plain text.")
    })?;
    let (exported, answer): (Exported, Value) =
        context.ask_for("export_csv", json!({ "path": path, "filter": filter })).await?;
    if context.screen.is_json() {
        context.screen.document(&answer)?;
    } else {
        let Exported { path, rows, sha256 } = exported;
        context
            .screen
            .facts(0, &[("file", path), ("rows", rows.to_string()), ("sha-256", sha256)])?;
    }
    Ok(End::Done)
}

/// `imprest verify`.
///
/// # Errors
/// What the desk says.
pub async fn verify(context: &Context) -> Result<End, Fault> {
    let answer = context.ask("verify", json!({})).await?;
    let verified: Verified = shaped("verify", &answer)?;
    let end = if verified.whole { End::Done } else { End::Bad };
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(end);
    }
    let verdict = match verified.whole {
        true => screen.palette.paint(Tone::Good, "Whole"),
        false => screen.palette.paint(Tone::Bad, "Damaged"),
    };
    screen.line(&format!("{verdict}: {} events, head {}", verified.events, verified.head))?;
    verified.faults.iter().try_for_each(|fault| screen.line(&format!("  {}", one_line(fault))))?;
    screen.line(&format!("Seal: {}", seal_words(&verified)))?;
    screen.line(match verified.copy_checked {
        true => "Copy: compared with the copy of its end in the system keychain.",
        false => "Copy: there is none in the system keychain to compare with.",
    })?;
    if !verified.whole {
        note("The log or what it adds up to was changed outside of the desk.");
        note("Run `imprest freeze`, keep a copy of the folder, and look at the faults above.");
    }
    Ok(end)
}

/// What the vault's seal says about the log.
fn seal_words(verified: &Verified) -> String {
    match (verified.sealed, verified.seal_checked) {
        (None, _) => "the vault has not sealed it yet; that takes an open vault.".to_owned(),
        (Some(seq), true) => format!("the vault sealed it up to event {seq}; that was checked."),
        (Some(seq), false) => format!(
            "the vault sealed it up to event {seq}; that it was this vault is checked while it is open."
        ),
    }
}
