//! Running other programs.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program to run in the root of the workspace.
///
/// Cargo describes *this* package to the programs it runs, in variables that some build scripts
/// watch; passed on, they would rebuild those crates each time, so they are taken out.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(workspace::root());
    if std::env::var_os("CARGO_TARGET_DIR").is_some() {
        // The same folder as ours, even where it was given relative to another place.
        command.env("CARGO_TARGET_DIR", workspace::target());
    }
    for (key, _) in std::env::vars_os() {
        let Some(word) = key.to_str() else { continue };
        if word.starts_with("CARGO_PKG_")
            || word.starts_with("CARGO_MANIFEST_")
            || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&word)
        {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that started this program.
pub fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// npm in a folder.
pub fn npm(folder: &Path) -> Command {
    let mut command = program(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder);
    command
}

/// Runs a program whose output belongs on the terminal, and says whether it went well.
///
/// # Errors
/// When the program cannot be started at all.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| start_failure(command))?;
    Ok(status.success())
}

/// Runs a program that must go well.
///
/// # Errors
/// When it cannot be started or ends badly; the message is the command line.
pub fn run(command: &mut Command) -> Result<()> {
    if succeeds(command)? {
        return Ok(());
    }
    bail!("This command failed: {}", line(command))
}

/// Runs a program quietly, and shows what it said only if it ends badly.
///
/// # Errors
/// When it cannot be started or ends badly; the message carries its output.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| start_failure(command))?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "This command failed: {}\n{}{}",
        line(command),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a program prints, whether it ends well or badly; `None` if there is no such program.
pub fn says(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there and answers `--version`.
pub fn answers(name: &str, arguments: &[&str]) -> bool {
    let mut command = program(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command line as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn start_failure(command: &Command) -> String {
    format!("{} could not be started. Is it installed?", command.get_program().to_string_lossy())
}
