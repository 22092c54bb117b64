//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Depends on next to nothing, so that the first command answers seconds after a fresh clone.

mod apt;
mod console;
mod kits;
mod open;
mod process;
mod setup;
mod stamp;
mod suite;
mod workspace;

use anyhow::Result;
use std::process::ExitCode;

/// One command of `cargo xtask`, as its help shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// The word after `cargo xtask`.
    pub name: &'static str,
    /// What may follow the word.
    pub arguments: &'static str,
    /// What it does, in one sentence.
    pub does: &'static str,
    /// The rest of its own help, a line each.
    pub details: &'static [&'static str],
}

/// Every command there is, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        arguments: "[-- ARGS]",
        does: "Builds the app and opens it with practice money.",
        details: &[
            "Installs what building needs first. Where there is no display, it says so and runs the demo.",
            "ARGS go to the app, after --practice.",
        ],
    },
    Command {
        name: "demo",
        arguments: "[--json]",
        does: "Runs the main job in a throwaway practice desk, told step by step.",
        details: &[
            "--json  one JSON document on standard output; progress stays on standard error.",
        ],
    },
    Command {
        name: "test",
        arguments: "[FILTER] [--keep-going]",
        does: "Runs every check and every test, and closes with a line of counts.",
        details: &[
            "FILTER        only the steps whose name contains it; if no step is called that, only the",
            "              Rust tests whose name contains it.",
            "--keep-going  goes on after a failed step instead of stopping there.",
        ],
    },
    Command {
        name: "soak",
        arguments: "[ARGS]",
        does: "Runs the long proofs of the books and prints their figures.",
        details: &[
            "--minutes N   how long, about; an hour when it is not given, 0 for the least that says",
            "              anything.",
            "--only PROOF  model, oracle, killed, disk or tampering.",
            "Further ARGS go to the program as they are; it names the seed of whatever it finds.",
        ],
    },
    Command {
        name: "fuzz",
        arguments: "[--runs N] [--seed N] [TARGET]",
        does: "Throws altered bytes at every parser of files and of what strangers send, and prints how many.",
        details: &[
            "--runs N  how many for each parser; a million when it is not given.",
            "--seed N  another number makes another run, the same number the same.",
            "TARGET    vault_file, keystore, recovery_words, container, envelope, manifest, x402_v2,",
            "          x402_v1, payment_charge, payment_challenge, receipt, fetch_body, transfer_body or",
            "          json_rpc.",
        ],
    },
    Command {
        name: "bench",
        arguments: "[FILTER] [ARGS]",
        does: "Measures the books beside the bare disk and the bare hash, as ratios.",
        details: &[
            "FILTER    only the measurements whose name contains it.",
            "--rows N  how long the long history is; ten million when it is not given.",
            "--json    one JSON document on standard output.",
        ],
    },
    Command {
        name: "setup",
        arguments: "",
        does: "Installs what is missing for building and testing, and nothing else.",
        details: &[
            "System packages through apt-get on Debian and Ubuntu (elsewhere it prints the list),",
            "npm packages from the lock files, the built web UI. A second run finds nothing to do.",
        ],
    },
    Command {
        name: "screens",
        arguments: "",
        does: "Writes every screen as a picture to target/screens.",
        details: &["Uses Chromium without a window, in the light and the dark."],
    },
];

/// Runs one command line and says how it ended: 0 done, 1 failed, 2 wrong usage.
pub fn run(arguments: Vec<String>) -> ExitCode {
    match Request::parse(&arguments) {
        Ok(request) => match request.perform() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                ExitCode::FAILURE
            }
        },
        Err(usage) => {
            eprintln!("{usage}");
            ExitCode::from(2)
        }
    }
}

/// A command line, understood.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Help(Option<&'static Command>),
    Run {
        arguments: Vec<String>,
    },
    Demo {
        json: bool,
    },
    Test {
        filter: Option<String>,
        keep_going: bool,
    },
    /// A program of the project's own, built for speed, with its own arguments.
    Program {
        package: &'static str,
        arguments: Vec<String>,
    },
    Setup,
    Screens,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Request, String> {
        let Some((first, rest)) = arguments.split_first() else {
            return Err(help());
        };
        if matches!(first.as_str(), "--help" | "-h" | "help") {
            return Ok(Request::Help(rest.first().and_then(|name| command(name))));
        }
        let Some(known) = command(first) else {
            return Err(format!("There is no command {first:?}.\n\n{}", help()));
        };
        let own = rest.iter().take_while(|word| *word != "--");
        if own.clone().any(|word| word == "--help" || word == "-h") {
            return Ok(Request::Help(Some(known)));
        }
        Request::of(known, rest)
    }

    fn of(known: &'static Command, rest: &[String]) -> Result<Request, String> {
        let mut words = rest.iter().map(String::as_str);
        let wrong = |word: &str| {
            format!("{} does not take {word:?}.\n\n{}", known.name, command_help(known))
        };
        match known.name {
            "run" => match words.next() {
                None => Ok(Request::Run { arguments: Vec::new() }),
                Some("--") => Ok(Request::Run { arguments: words.map(String::from).collect() }),
                Some(word) => Err(wrong(word)),
            },
            "demo" => {
                let mut json = false;
                for word in words {
                    match word {
                        "--json" => json = true,
                        other => return Err(wrong(other)),
                    }
                }
                Ok(Request::Demo { json })
            }
            "test" => {
                let (mut filter, mut keep_going) = (None, false);
                for word in words {
                    match word {
                        "--keep-going" => keep_going = true,
                        other if other.starts_with('-') || filter.is_some() => {
                            return Err(wrong(other));
                        }
                        other => filter = Some(other.to_owned()),
                    }
                }
                Ok(Request::Test { filter, keep_going })
            }
            "soak" => Ok(Request::Program { package: "imprest-soak", arguments: rest.to_vec() }),
            "fuzz" => Ok(Request::Program { package: "imprest-fuzz", arguments: rest.to_vec() }),
            "bench" => Ok(Request::Program { package: "imprest-bench", arguments: rest.to_vec() }),
            name => match words.next() {
                Some(word) => Err(wrong(word)),
                None if name == "screens" => Ok(Request::Screens),
                None => Ok(Request::Setup),
            },
        }
    }

    fn perform(self) -> Result<bool> {
        match self {
            Request::Help(None) => println!("{}", help()),
            Request::Help(Some(known)) => println!("{}", command_help(known)),
            Request::Setup => setup::everything()?,
            Request::Run { arguments } => return open::app(&arguments),
            Request::Demo { json } => return open::demo(json),
            Request::Screens => open::screens()?,
            Request::Program { package, arguments } => return open::program(package, &arguments),
            Request::Test { filter, keep_going } => {
                return Ok(suite::run(filter.as_deref(), keep_going));
            }
        }
        Ok(true)
    }
}

fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The help of all commands, as `cargo xtask --help` prints it.
pub fn help() -> String {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|Command { name, arguments, does, .. }| {
            format!("  {:<32}{does}", format!("{name} {arguments}").trim_end())
        })
        .collect();
    format!(
        "Usage: cargo xtask COMMAND\n\n{}\n\ncargo xtask COMMAND --help tells more about one of them.",
        lines.join("\n")
    )
}

fn command_help(Command { name, arguments, does, details }: &Command) -> String {
    let usage = format!("Usage: cargo xtask {name} {arguments}");
    format!("{}\n\n{does}\n{}", usage.trim_end(), details.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_is_understood_and_has_help() {
        for known in COMMANDS {
            assert!(parse(known.name).is_ok(), "{} is not understood", known.name);
            assert_eq!(parse(&format!("{} --help", known.name)), Ok(Request::Help(Some(known))));
            assert!(help().contains(&format!("  {}", known.name)), "{} has no help", known.name);
        }
    }

    #[test]
    fn arguments_are_strict() {
        assert_eq!(parse("demo --json"), Ok(Request::Demo { json: true }));
        assert_eq!(
            parse("test hold --keep-going"),
            Ok(Request::Test { filter: Some("hold".into()), keep_going: true })
        );
        assert_eq!(
            parse("run -- --help x"),
            Ok(Request::Run { arguments: vec!["--help".into(), "x".into()] })
        );
        assert_eq!(
            parse("soak --minutes 5"),
            Ok(Request::Program {
                package: "imprest-soak",
                arguments: vec!["--minutes".into(), "5".into()]
            })
        );
        for wrong in
            ["", "polish", "demo x", "test --fast", "test a b", "setup all", "run x", "screens x"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?} should be wrong usage");
        }
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_list() {
        let answer = parse("polish").expect_err("there is no such command");
        assert!(answer.contains("\"polish\"") && COMMANDS.iter().all(|c| answer.contains(c.name)));
    }
}
