//! The way to the desk: the running one over its owner's socket, or the books in the folder.

use crate::fault::Fault;
use crate::passphrase::Source;
use crate::screen::Screen;
use imprest_desk::owner::{self, Kind, OwnerError, Running};
use imprest_desk::view::Problem;
use imprest_desk::{Desk, DeskOptions, KeychainChoice, SecretText};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What every command has at hand.
#[derive(Debug)]
pub struct Context {
    /// The data folder.
    pub folder: PathBuf,
    /// Where answers go.
    pub screen: Screen,
    /// Where the passphrase comes from.
    pub passphrase: Source,
}

/// Commands that work on the books alone when no desk runs. Freezing is among them because
/// whoever wants less may always have it, and thawing so that nobody is stuck with a freeze.
const ON_BOOKS: [&str; 13] = [
    "agents",
    "agent",
    "activity",
    "approvals",
    "evidence",
    "verify",
    "export_csv",
    "hosts",
    "shared_budgets",
    "signals",
    "rehearse",
    "freeze",
    "thaw",
];

impl Context {
    /// The running desk, if there is one.
    pub async fn running(&self) -> Option<Running> {
        owner::running(&self.folder).await
    }

    /// Whether the folder holds a desk at all, running or not.
    pub fn has_books(&self) -> bool {
        ["ledger.db", "vault.json"].iter().any(|name| self.folder.join(name).exists())
    }

    /// Opens the books without running a desk on them.
    ///
    /// # Errors
    /// [`Fault::NoBooks`] for a folder without any, and what the desk says.
    pub async fn books(&self) -> Result<Desk, Fault> {
        if !self.has_books() {
            // A folder that cannot be looked into is not an empty one.
            if let Err(source) = std::fs::read_dir(&self.folder)
                && source.kind() != std::io::ErrorKind::NotFound
            {
                let what = format!("The folder {} cannot be read", self.folder.display());
                return Err(Fault::File { what, source });
            }
            return Err(Fault::NoBooks { folder: self.folder.clone() });
        }
        let mut options = DeskOptions::new(self.folder.clone());
        options.serve = false;
        options.keychain = KeychainChoice::System;
        Ok(Desk::open(options).await?)
    }

    /// Has the desk do one command of its table, on the running desk or on the books.
    ///
    /// # Errors
    /// [`Fault::NoDesk`] when it takes a running desk, and what the desk says.
    pub async fn ask(&self, command: &str, args: Value) -> Result<Value, Fault> {
        let raises = owner::kind(command) == Some(Kind::Raise);
        // First the desk, then the passphrase: nobody likes to type one for nothing.
        if self.running().await.is_some() {
            let passphrase = if raises { Some(self.passphrase.ask()?) } else { None };
            return match owner::call(&self.folder, command, args.clone(), passphrase.as_ref()).await
            {
                Ok(answer) => Ok(answer),
                Err(OwnerError::Refused(problem)) => Err(for_a_shell(problem)),
                Err(OwnerError::NotRunning) => Err(self.no_desk()),
            };
        }
        if !ON_BOOKS.contains(&command) {
            return Err(self.no_desk());
        }
        let desk = self.books().await?;
        let answer = on_books(&desk, raises.then_some(self.passphrase), command, args).await;
        desk.close().await;
        answer.map_err(|fault| match fault {
            Fault::Desk(problem) => for_a_shell(problem),
            other => other,
        })
    }

    /// As [`Context::ask`], with the answer in its shape, and as it came for `--json`.
    ///
    /// # Errors
    /// As [`Context::ask`], and [`Fault::Answer`] when the shape is another.
    pub async fn ask_for<A: DeserializeOwned>(
        &self,
        command: &str,
        args: Value,
    ) -> Result<(A, Value), Fault> {
        let answer = self.ask(command, args).await?;
        Ok((shaped(command, &answer)?, answer))
    }

    /// That no desk runs on the folder.
    pub fn no_desk(&self) -> Fault {
        Fault::NoDesk { folder: self.folder.clone() }
    }
}

/// What is not there cannot be tried again; in a shell there are commands that say what is.
fn for_a_shell(problem: Problem) -> Fault {
    let recovery =
        "`imprest agent list`, `imprest activity` and `imprest approvals` say what there is.";
    Fault::Desk(match problem.code.as_str() {
        "not_found" => Problem { recovery: recovery.to_owned(), ..problem },
        _ => problem,
    })
}

/// The answer in its shape.
///
/// # Errors
/// [`Fault::Answer`].
pub fn shaped<A: DeserializeOwned>(command: &str, answer: &Value) -> Result<A, Fault> {
    A::deserialize(answer).map_err(|error| {
        tracing::warn!(%error, command, "the desk's answer has another shape");
        Fault::Answer { command: command.to_owned() }
    })
}

async fn on_books(
    desk: &Desk,
    passphrase: Option<Source>,
    command: &str,
    args: Value,
) -> Result<Value, Fault> {
    if let Some(source) = passphrase {
        unlock(desk, &source.ask()?).await?;
    }
    Ok(desk.call(command, args).await?)
}

/// Opens the vault of a desk in this process.
///
/// # Errors
/// What the desk says, a wrong passphrase first of all.
pub async fn unlock(desk: &Desk, passphrase: &SecretText) -> Result<(), Fault> {
    desk.unlock(passphrase.expose().to_owned()).await?;
    Ok(())
}

/// Has the running desk open its vault. The passphrase is what this command is about, so it goes as
/// its argument and not beside it.
///
/// # Errors
/// What the desk says.
pub async fn unlock_running(context: &Context) -> Result<Value, Fault> {
    if context.running().await.is_none() {
        return Err(context.no_desk());
    }
    let passphrase = context.passphrase.ask()?;
    let args = json!({ "passphrase": passphrase.expose() });
    match owner::call(&context.folder, "unlock", args, None).await {
        Ok(answer) => Ok(answer),
        Err(OwnerError::Refused(problem)) => Err(problem.into()),
        Err(OwnerError::NotRunning) => Err(context.no_desk()),
    }
}
