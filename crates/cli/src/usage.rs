//! Command lines that cannot be understood, said in the house's two lines.

use crate::args::Cli;
use crate::complain;
use crate::fault::Fault;
use crate::screen::Screen;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory};
use std::ffi::OsString;
use std::process::ExitCode;

/// Prints help where help was asked for, and otherwise says what is wrong with the command line.
pub fn answer(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away has seen enough.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            let json = arguments.iter().any(|argument| argument == "--json");
            let path = command_path(&Cli::command(), arguments);
            let fault = in_two_lines(&error.render().to_string(), &path);
            ExitCode::from(complain(Screen::new(json), &fault))
        }
    }
}

/// The words that chose the command: `imprest agent add`.
fn command_path(root: &Command, arguments: &[OsString]) -> String {
    let mut path = vec![root.get_name().to_owned()];
    let mut here = root;
    for argument in arguments.iter().skip(1).filter_map(|argument| argument.to_str()) {
        if let Some(next) = here.find_subcommand(argument) {
            path.push(next.get_name().to_owned());
            here = next;
        }
    }
    path.join(" ")
}

/// The parser's own words, which come in paragraphs: what is wrong, perhaps a tip, the usage.
fn in_two_lines(text: &str, path: &str) -> Fault {
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let mut message = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    message = match message.chars().next() {
        Some(initial) => format!("{}{}", initial.to_uppercase(), &message[initial.len_utf8()..]),
        None => "This command line cannot be understood".to_owned(),
    };
    if !message.ends_with(['.', '!', '?', ']']) {
        message.push('.');
    }
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let tip = tip.map(|tip| {
        let initial = tip.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        format!("{initial}{}. ", tip.chars().skip(1).collect::<String>())
    });
    let recovery = format!("{}See `{path} --help`.", tip.unwrap_or_default());
    Fault::Usage { message, recovery }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn said(line: &str) -> (String, String) {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&arguments).map(drop).expect_err(line);
        let path = command_path(&Cli::command(), &arguments);
        let fault = in_two_lines(&error.render().to_string(), &path);
        (fault.to_string(), fault.recovery())
    }

    #[test]
    fn wrong_usage_is_two_lines() {
        for line in [
            "imprest frobnicate",
            "imprest freez",
            "imprest --colour",
            "imprest agent add",
            "imprest agent add scout --per-dya 5",
            "imprest refill scout 1,50",
            "imprest fetch http://a/ --wait 70000",
            "imprest serve --listen nowhere",
            "imprest export",
        ] {
            let (message, recovery) = said(line);
            assert!(!message.contains('\n') && !recovery.contains('\n'), "{line}: {message}");
            assert!(recovery.contains("--help"), "{line}: {recovery}");
        }
        let (message, recovery) = said("imprest refill scout 1,50");
        assert!(message.contains("plain digits"), "{message}");
        assert_eq!(recovery, "See `imprest refill --help`.");
        let (_, recovery) = said("imprest agent add scout --per-dya 5");
        assert!(recovery.contains("'--per-day'") && recovery.contains("imprest agent add --help"));
    }
}
