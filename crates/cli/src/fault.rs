//! What can go wrong at the command line: what happened, what to do, and the exit code.

use imprest_connect::ConnectError;
use imprest_desk::view::Problem;
use imprest_gateway::{DoorError, Failure, FailureCode};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;

/// How a command ended when nothing failed; becomes the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Done.
    Done,
    /// It was done, and what it found is bad: books that differ, a fault in the log.
    Bad,
    /// The rules or the owner said no.
    Refused,
    /// The owner has been asked.
    Waiting,
}

impl End {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            End::Done => 0,
            End::Bad => 1,
            End::Refused => 3,
            End::Waiting => 4,
        }
    }
}

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The command line cannot be understood.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// How it is written.
        recovery: String,
    },
    /// What was given is no good.
    #[error("{message}")]
    Input {
        /// What is wrong with it.
        message: String,
        /// What to give instead.
        recovery: String,
    },
    /// No desk runs on the data folder.
    #[error("No desk is running on {}.", folder.display())]
    NoDesk {
        /// The data folder.
        folder: PathBuf,
    },
    /// No desk answers at the address given.
    #[error("No desk is running at {url}.")]
    NoDeskAt {
        /// The address.
        url: String,
    },
    /// There is neither a running desk nor a folder to read.
    #[error("No desk is running, and {} holds no books.", folder.display())]
    NoBooks {
        /// The data folder.
        folder: PathBuf,
    },
    /// The desk did not do it.
    #[error("{}", .0.message)]
    Desk(Problem),
    /// The agents' door did not do it.
    #[error("{}", .0.message)]
    Door(Failure),
    /// Another program's settings were left alone.
    #[error("{}", sentences(.0).0)]
    Settings(ConnectError),
    /// The agent's token cannot be used.
    #[error("{what}")]
    Token {
        /// Why.
        what: &'static str,
    },
    /// A passphrase is needed, and there is no way to ask for it.
    #[error("This command needs the passphrase, and there is no terminal to ask on.")]
    NoTerminal,
    /// Something was read that should not have failed.
    #[error("{what}: {source}.")]
    File {
        /// What was being done, with the path.
        what: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The desk answered in a form this program does not know.
    #[error("The desk's answer to `{command}` was not understood.")]
    Answer {
        /// The desk's command.
        command: String,
    },
    /// A step of the demo did not do what it says.
    #[error("Step {step} of the demo, “{title}”, did not do what it says: {differed}")]
    Demo {
        /// Which step.
        step: usize,
        /// Its title.
        title: &'static str,
        /// What differed.
        differed: String,
    },
    /// The person stopped it.
    #[error("It was stopped before its end.")]
    Stopped,
    /// Standard output cannot be written.
    #[error("The answer could not be written: {0}.")]
    Output(io::Error),
}

impl Fault {
    /// Input that is no good, with what to give instead.
    pub fn input(message: impl Into<String>, recovery: impl Into<String>) -> Fault {
        Fault::Input { message: message.into(), recovery: recovery.into() }
    }

    /// Whether the reader of our output has simply gone away, as `head` does.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Fault::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The kind, for programs: a closed set of words.
    pub fn code(&self) -> &str {
        match self {
            Fault::Usage { .. } => "usage",
            Fault::Input { .. } => "bad_input",
            Fault::NoDesk { .. } | Fault::NoDeskAt { .. } | Fault::NoBooks { .. } => "no_desk",
            Fault::Desk(problem) => &problem.code,
            Fault::Door(failure) => failure.code.word(),
            Fault::Settings(_) => "settings",
            Fault::Token { .. } => "bad_token",
            Fault::NoTerminal => "no_terminal",
            Fault::File { .. } => "file",
            Fault::Answer { .. } => "bad_answer",
            Fault::Demo { .. } => "demo",
            Fault::Stopped => "stopped",
            Fault::Output(_) => "output",
        }
    }

    /// What to do about it, in one line.
    pub fn recovery(&self) -> String {
        let fixed = match self {
            Fault::Settings(error) => return sentences(error).1,
            Fault::Usage { recovery, .. } | Fault::Input { recovery, .. } => recovery,
            Fault::Desk(problem) => &problem.recovery,
            Fault::Door(failure) => &failure.recovery,
            Fault::NoDesk { .. } => "Start one with `imprest serve`.",
            Fault::NoDeskAt { .. } => {
                "Start it with `imprest serve`, or correct --desk or IMPREST_URL."
            }
            Fault::NoBooks { .. } => {
                "Make one with `imprest init`, or name its folder with --data."
            }
            Fault::Token { .. } => {
                "Put the whole token in IMPREST_TOKEN, or name an agent with --agent; \
                 `imprest agent rotate NAME` gives a new one."
            }
            Fault::NoTerminal => "Run it in a terminal, or give --passphrase-stdin and one line.",
            Fault::File { .. } => "Check the path and its permissions, then try again.",
            Fault::Answer { .. } => "Make sure the running desk and this program are as new.",
            Fault::Demo { .. } => "Run it again with -v; if it fails again, please report it.",
            Fault::Stopped => "Run it again to see it through.",
            Fault::Output(_) => "Check where the output goes; the disk may be full.",
        };
        fixed.to_owned()
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Fault::Usage { .. } | Fault::Input { .. } | Fault::Token { .. } => 2,
            Fault::NoDesk { .. } | Fault::NoDeskAt { .. } | Fault::NoBooks { .. } => 5,
            Fault::Desk(problem) => problem.exit_code(),
            Fault::NoTerminal => 6,
            Fault::Settings(error) => match error {
                ConnectError::Io { .. }
                | ConnectError::DiskFull { .. }
                | ConnectError::Changed { .. }
                | ConnectError::Busy { .. } => 1,
                _ => 2,
            },
            Fault::Door(failure) => match failure.code {
                FailureCode::BadRequest | FailureCode::KeyReused | FailureCode::TooLarge => 2,
                FailureCode::Locked => 6,
                _ => 1,
            },
            _ => 1,
        }
    }

    /// The error as a document.
    pub fn document(&self) -> Value {
        json!({ "error": {
            "code": self.code(),
            "message": self.to_string(),
            "recovery": self.recovery(),
        }})
    }
}

/// What happened and what to do, of an error whose text carries both: the last sentence says what
/// to do.
fn sentences(error: &impl ToString) -> (String, String) {
    let text = error.to_string();
    let at = text.trim_end_matches('.').rfind(". ").map_or(text.len(), |at| at + 1);
    let (message, recovery) = text.split_at(at);
    let mut rest = message.chars();
    let first: String = rest.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    (first + rest.as_str(), recovery.trim_start().to_owned())
}

impl From<ConnectError> for Fault {
    fn from(error: ConnectError) -> Fault {
        Fault::Settings(error)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Fault {
        Fault::Desk(problem)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Door(failure)
    }
}

impl From<DoorError> for Fault {
    fn from(error: DoorError) -> Fault {
        match &error {
            DoorError::MalformedToken => Fault::Token { what: "IMPREST_TOKEN holds no token." },
            DoorError::NotADesk { url } => Fault::input(
                format!("“{url}” is not the address of a desk on this machine."),
                "Give an address such as http://127.0.0.1:4040.",
            ),
            other => {
                let (message, recovery) = sentences(other);
                Fault::Door(Failure::new(FailureCode::Internal, message, recovery))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_two_lines() {
        let faults = [
            Fault::input("It is wrong.", "Give another."),
            Fault::NoDesk { folder: "/a".into() },
            Fault::NoDeskAt { url: "http://127.0.0.1:1".into() },
            Fault::NoBooks { folder: "/a".into() },
            Fault::Door(Failure::new(FailureCode::Locked, "It is locked.", "Unlock it.")),
            Fault::Token { what: "IMPREST_TOKEN holds no token." },
            Fault::NoTerminal,
            Fault::Stopped,
            Fault::Answer { command: "status".into() },
            Fault::from(DoorError::NoEntropy),
            Fault::from(ConnectError::Taken { path: "/a".into(), name: "imprest".into() }),
            Fault::from(ConnectError::DiskFull { path: "/a".into() }),
            Fault::from(ConnectError::NoPlace { program: "Cursor" }),
        ];
        for fault in faults {
            for line in [fault.to_string(), fault.recovery()] {
                assert!(!line.is_empty() && !line.contains('\n'), "{fault:?}: {line:?}");
            }
            assert!((1..=6).contains(&fault.exit_code()), "{fault:?}");
            assert_ne!(fault.code(), "", "{fault:?}");
        }
    }

    #[test]
    fn a_door_fault_is_split_into_its_sentences() {
        let fault = Fault::from(DoorError::Conversation { reason: "odd. very".into() });
        assert_eq!(fault.to_string(), "The MCP conversation broke: odd. very.");
        assert!(fault.recovery().starts_with("Start the bridge again"), "{}", fault.recovery());
    }
}
