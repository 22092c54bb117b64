//! Keeping the desk in one sealed file and putting it back: `backup` and `restore`.

use crate::args::{BackupArgs, RestoreArgs};
use crate::fault::{End, Fault};
use crate::link::{Context, shaped, unlock};
use crate::screen::{Tone, local_time, one_line};
use imprest_desk::backup::{self, BackupContents};
use imprest_desk::owner::{self, OwnerError};
use imprest_desk::view::{BackupMade, BackupProgress, Problem};
use imprest_desk::{ErrorCode, PASSPHRASE_CHARS_MIN, SecretText};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::interval;

/// How long a backup may take; a ledger of gigabytes is read three times.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// How often a running desk is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// `imprest backup`: of the running desk, or of the books in the folder.
///
/// # Errors
/// What the desk says: a file that is there already, a short passphrase, a full disk.
pub async fn backup(context: &Context, args: &BackupArgs) -> Result<End, Fault> {
    let file = whole_path(&args.file)?;
    let path = file.to_str().ok_or_else(|| {
        Fault::input("The path is not UTF-8.", "Give a path whose name is plain text.")
    })?;
    let is_running = context.running().await.is_some();
    if !is_running && !context.has_books() {
        return Err(Fault::NoBooks { folder: context.folder.clone() });
    }
    // Whoever takes everything out shows first that they are the owner.
    let owner = context.passphrase.ask_for("Passphrase of the desk: ")?;
    let passphrase = context.passphrase.choose_as(&format!(
        "Passphrase for the backup, at least {PASSPHRASE_CHARS_MIN} characters: "
    ))?;
    let asked = json!({ "path": path, "passphrase": passphrase.expose(), "replace": args.replace });
    let answer = match is_running {
        true => by_the_desk(context, asked, &owner).await?,
        false => on_the_books(context, asked, &owner).await?,
    };
    let made: BackupMade = shaped("backup", &answer)?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&answer)?;
        return Ok(End::Done);
    }
    let done = "The backup is made, and was opened and proven.";
    screen.line(&screen.palette.paint(Tone::Good, done))?;
    screen.facts(
        0,
        &[
            ("file", made.path),
            ("bytes", made.bytes.to_string()),
            ("events", made.events.to_string()),
            ("made", local_time(&made.made_at)),
            ("sha-256", made.sha256),
        ],
    )?;
    screen.line("Keep it on another disk, and its passphrase where you will find it.")?;
    Ok(End::Done)
}

async fn by_the_desk(
    context: &Context,
    asked: Value,
    passphrase: &SecretText,
) -> Result<Value, Fault> {
    let given = Some(passphrase);
    let work = owner::call_within(BACKUP_TIMEOUT, &context.folder, "backup", asked, given);
    let look = async || -> Option<BackupProgress> {
        let none = json!({});
        let answer = owner::call(&context.folder, "backup_progress", none, None).await.ok()?;
        serde_json::from_value(answer).ok()
    };
    match told(context, work, look).await {
        Ok(answer) => Ok(answer),
        Err(OwnerError::Refused(problem)) => Err(problem.into()),
        Err(OwnerError::NotRunning) => Err(context.no_desk()),
    }
}

async fn on_the_books(
    context: &Context,
    asked: Value,
    passphrase: &SecretText,
) -> Result<Value, Fault> {
    let desk = context.books().await?;
    let look = async || desk.backup_progress().await.ok();
    let work = async {
        unlock(&desk, passphrase).await?;
        Ok(desk.call("backup", asked).await?)
    };
    let answer = told(context, work, look).await;
    desk.close().await;
    answer
}

/// Does the work, and tells a person at the terminal how far it is.
async fn told<T>(
    context: &Context,
    work: impl Future<Output = T>,
    look: impl AsyncFn() -> Option<BackupProgress>,
) -> T {
    let mut line = ProgressLine::of(context);
    let mut work = std::pin::pin!(work);
    let mut tick = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick(), if line.is_shown => if let Some(progress) = look().await {
                line.show(&progress);
            },
        }
    }
}

/// `imprest restore`: reads a backup, and puts it into the folder unless it is only looked into.
///
/// # Errors
/// A desk that runs on the folder, a wrong passphrase, a file that is damaged or no backup.
pub async fn restore(context: &Context, args: &RestoreArgs) -> Result<End, Fault> {
    let file = whole_path(&args.file)?;
    if args.inspect {
        let passphrase = context.passphrase.ask_for("Passphrase of the backup: ")?;
        let contents = backup::inspect(&file, &passphrase).await?;
        return show_contents(context, &file, &contents);
    }
    if context.running().await.is_some() {
        return Err(Fault::Desk(Problem::new(
            ErrorCode::InUse,
            format!("A desk is running on {}.", context.folder.display()),
            "Close it, then restore; or choose another folder with --data.",
        )));
    }
    let passphrase = context.passphrase.ask_for("Passphrase of the backup: ")?;
    let mut line = ProgressLine::of(context);
    let show = move |progress: BackupProgress| line.show(&progress);
    let restored = backup::restore(&file, &context.folder, &passphrase, args.replace, show).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.document(&restored)?;
        return Ok(End::Done);
    }
    screen.line(&screen.palette.paint(Tone::Good, "The backup is in place."))?;
    screen.facts(
        0,
        &[
            ("folder", restored.folder),
            ("made", local_time(&restored.contents.made_at)),
            ("events", restored.contents.events.to_string()),
            ("moved aside", restored.moved_to.unwrap_or_default()),
        ],
    )?;
    screen.line("")?;
    screen.line("Next: imprest serve, then imprest unlock")?;
    screen.line(
        "The desk is frozen. It reads the chain for what was spent since the backup, which takes some",
    )?;
    screen.line("minutes; `imprest status` says how far it is and what to do.")?;
    screen.line(
        "Limits, grades and revoked tokens are those of the backup: look at the agents, then thaw.",
    )?;
    Ok(End::Done)
}

fn show_contents(context: &Context, file: &Path, contents: &BackupContents) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(contents)?;
        return Ok(End::Done);
    }
    let chain = contents.chain_id.map(|id| format!("eip155:{id}")).unwrap_or_default();
    let mut facts = vec![
        ("backup", file.display().to_string()),
        ("made", local_time(&contents.made_at)),
        ("by version", contents.program.clone()),
        ("network", chain),
        ("events", contents.events.to_string()),
        ("head", contents.head.clone()),
    ];
    for part in &contents.files {
        facts.push(("holds", format!("{}, {} bytes", part.name, part.bytes)));
    }
    screen.facts(0, &facts)?;
    Ok(End::Done)
}

/// The desk may run in another folder than this command.
fn whole_path(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|source| Fault::File {
        what: format!("The path {} cannot be used", path.display()),
        source,
    })
}

/// One line on a person's terminal that says how far the work is, and goes when it is done.
struct ProgressLine {
    is_shown: bool,
    last: String,
}

impl ProgressLine {
    fn of(context: &Context) -> ProgressLine {
        let is_shown = io::stderr().is_terminal() && !context.screen.is_json();
        ProgressLine { is_shown, last: String::new() }
    }

    fn show(&mut self, progress: &BackupProgress) {
        let text = words(progress);
        if !self.is_shown || text == self.last {
            return;
        }
        self.write(&text);
        self.last = text;
    }

    /// That nobody may be reading is no reason to fail.
    fn write(&self, text: &str) {
        let before = self.last.chars().count();
        let _ = write!(io::stderr().lock(), "\r{:before$}\r{}", "", one_line(text));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if !self.last.is_empty() {
            self.write("");
        }
    }
}

fn words(progress: &BackupProgress) -> String {
    let step = match progress.step.as_str() {
        "copying" => "Copying the books",
        "sealing" => "Sealing",
        "reading" => "Reading it back",
        "proving" => "Proving the books",
        "placing" => "Putting it in place",
        _ => return String::new(),
    };
    match progress.permille {
        Some(permille) => format!("{step}, {} %", permille / 10),
        None => format!("{step} …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_said_in_words() {
        let at = |step: &str, permille| {
            words(&BackupProgress { running: true, step: step.into(), permille })
        };
        assert_eq!(at("sealing", Some(457)), "Sealing, 45 %");
        assert_eq!(at("proving", None), "Proving the books …");
        assert_eq!(at("", None), "");
    }
}
