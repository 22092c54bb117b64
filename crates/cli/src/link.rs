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
const ON_BOOKS: [&str; 27] = [
    "agents",
    "agent",
    "activity",
    "approvals",
    "evidence",
    "verify",
    "export_csv",
    "hosts",
    "networks",
    "set_nodes",
    "shared_budgets",
    "signals",
    "rehearse",
    "freeze",
    "thaw",
    "ways",
    "treasury",
    "recover",
    "change_passphrase",
    "add_way",
    "remove_way",
    "move_to_keychain",
    "reveal_words",
    "export_key",
    "import_treasury",
    "own_treasury",
    "watch_treasury",
];

/// The code of a command that raises and came without the passphrase.
const NEEDED: &str = "presence_needed";

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
        // First the desk, then the passphrase: nobody likes to type one for nothing.
        if self.running().await.is_some() {
            let mut passphrase = self.passphrase_for(command)?;
            return self.call_asking(command, args, &mut passphrase).await;
        }
        self.on_closed_books(command, args, None).await
    }

    /// As [`Context::ask`], with a passphrase that was asked for already.
    ///
    /// # Errors
    /// As [`Context::ask`].
    pub async fn ask_with(
        &self,
        command: &str,
        args: Value,
        passphrase: SecretText,
    ) -> Result<Value, Fault> {
        if self.running().await.is_some() {
            return self.call_asking(command, args, &mut Some(passphrase)).await;
        }
        self.on_closed_books(command, args, Some(passphrase)).await
    }

    /// Has the desk do a command whose arguments carry the secrets it needs.
    ///
    /// # Errors
    /// As [`Context::ask`].
    pub async fn carry(&self, command: &str, args: Value) -> Result<Value, Fault> {
        if self.running().await.is_some() {
            return match owner::call(&self.folder, command, args, None).await {
                Ok(answer) => Ok(answer),
                Err(OwnerError::Refused(problem)) => Err(for_a_shell(problem)),
                Err(OwnerError::NotRunning) => Err(self.no_desk()),
            };
        }
        if !ON_BOOKS.contains(&command) {
            return Err(self.no_desk());
        }
        let desk = self.books().await?;
        let answer = desk.call(command, args).await;
        desk.close().await;
        answer.map_err(for_a_shell)
    }

    /// The passphrase for a command that raises; nothing yet for one that may only lower, unless it
    /// comes from standard input, where it waits already.
    ///
    /// # Errors
    /// As [`Source::ask`].
    pub fn passphrase_for(&self, command: &str) -> Result<Option<SecretText>, Fault> {
        let raises = owner::kind(command) == Some(Kind::Raise);
        let may_lower = owner::MAY_LOWER.contains(&command) && self.passphrase != Source::Stdin;
        if raises && !may_lower { self.passphrase.ask().map(Some) } else { Ok(None) }
    }

    /// Asks the running desk, and for the passphrase if it turns out to need the owner; that is
    /// kept for the next command.
    ///
    /// # Errors
    /// As [`Context::ask`].
    pub async fn call_asking(
        &self,
        command: &str,
        args: Value,
        passphrase: &mut Option<SecretText>,
    ) -> Result<Value, Fault> {
        loop {
            let called = owner::call(&self.folder, command, args.clone(), passphrase.as_ref());
            match called.await {
                Ok(answer) => return Ok(answer),
                Err(OwnerError::Refused(problem))
                    if problem.code == NEEDED && passphrase.is_none() =>
                {
                    *passphrase = Some(self.passphrase.ask()?);
                }
                Err(OwnerError::Refused(problem)) => return Err(for_a_shell(problem)),
                Err(OwnerError::NotRunning) => return Err(self.no_desk()),
            }
        }
    }

    async fn on_closed_books(
        &self,
        command: &str,
        args: Value,
        passphrase: Option<SecretText>,
    ) -> Result<Value, Fault> {
        if !ON_BOOKS.contains(&command) {
            return Err(self.no_desk());
        }
        let desk = self.books().await?;
        let raises = owner::kind(command) == Some(Kind::Raise);
        let answer = async {
            if raises {
                let passphrase = passphrase.map_or_else(|| self.passphrase.ask(), Ok)?;
                unlock(&desk, &passphrase).await?;
            }
            Ok(desk.call(command, args).await?)
        };
        let answer: Result<Value, Fault> = answer.await;
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
        "keychain" if problem.recovery.contains("recovery words") => {
            let recovery = format!("{} With the words: imprest recover.", problem.recovery);
            Problem { recovery, ..problem }
        }
        // A way into the vault, not an agent, a payment or a question.
        "not_found" if problem.message.contains("way in") => problem,
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
