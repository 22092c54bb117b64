//! `imprest-fuzz [--runs N] [--seed N] [TARGET]`: altered bytes at the parsers, with figures.

use imprest_fuzz::{TARGETS, run};
use std::process::ExitCode;

/// How often each parser is called when nothing else is said.
const RUNS: u64 = 1_000_000;

struct Wanted {
    runs: u64,
    seed: u64,
    target: Option<String>,
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("{why}\nimprest-fuzz [--runs N] [--seed N] [{}]", names.join(" | "));
            return ExitCode::from(2);
        }
    };
    println!(
        "{:<16}{:>12}{:>12}{:>10}{:>12}",
        "target", "runs", "accepted", "seconds", "per second"
    );
    let chosen = |name: &str| wanted.target.as_deref().is_none_or(|target| target == name);
    for target in TARGETS.iter().filter(|target| chosen(target.name)) {
        match run(target, wanted.runs, wanted.seed) {
            Ok(tally) => {
                let (millis, runs) = (tally.took.as_millis().max(1), u128::from(tally.runs));
                println!(
                    "{:<16}{:>12}{:>12}{:>10}{:>12}",
                    target.name,
                    tally.runs,
                    tally.accepted,
                    millis.div_ceil(1000),
                    runs * 1000 / millis,
                );
            }
            Err(error) => {
                eprintln!("{}: its seeds: {error}", target.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn wanted(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { runs: RUNS, seed: 1, target: None };
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|text| text.parse().ok());
            number.ok_or_else(|| format!("{word} takes a whole number."))
        };
        match word.as_str() {
            "--runs" => wanted.runs = number()?,
            "--seed" => wanted.seed = number()?,
            name if TARGETS.iter().any(|target| target.name == name) => {
                wanted.target = Some(word);
            }
            _ => return Err(format!("There is no target {word:?}.")),
        }
    }
    Ok(wanted)
}
