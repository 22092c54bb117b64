//! The parsers, and a run of one of them.

use crate::dice::Dice;
use crate::{alter, tar};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

/// A parser, and what is thrown at it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its seeds' folder.
    pub name: &'static str,
    /// The crate whose `fuzz` folder has its seeds.
    of: &'static str,
    alter: fn(&[u8], &mut Dice) -> Vec<u8>,
    /// Whether the bytes are accepted. Panics when what must hold of accepted bytes does not.
    parse: fn(&[u8]) -> bool,
}

/// Every parser of what comes from a file, from a payee or from an agent.
pub const TARGETS: &[Target] = &[
    Target {
        name: "vault_file",
        of: "vault",
        alter: vault_file,
        parse: imprest_vault::fuzzing::vault_file,
    },
    Target {
        name: "keystore",
        of: "vault",
        alter: json_or_bytes,
        parse: imprest_vault::fuzzing::keystore,
    },
    Target {
        name: "recovery_words",
        of: "vault",
        alter: words_or_bytes,
        parse: imprest_vault::fuzzing::recovery_words,
    },
    Target {
        name: "container",
        of: "backup",
        alter: tar::altered,
        parse: imprest_backup::fuzzing::container,
    },
    Target {
        name: "envelope",
        of: "backup",
        alter: alter::bytes,
        parse: imprest_backup::fuzzing::envelope,
    },
    Target {
        name: "manifest",
        of: "backup",
        alter: json_or_bytes,
        parse: imprest_backup::fuzzing::manifest,
    },
    Target {
        name: "x402_v2",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::x402_v2,
    },
    Target {
        name: "x402_v1",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::x402_v1,
    },
    Target {
        name: "payment_charge",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::payment_charge,
    },
    Target {
        name: "payment_challenge",
        of: "rails",
        alter: alter::bytes,
        parse: imprest_rails::fuzzing::payment_challenge,
    },
    Target {
        name: "receipt",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::receipt,
    },
    Target {
        name: "fetch_body",
        of: "gateway",
        alter: json_or_bytes,
        parse: imprest_gateway::fuzzing::fetch_body,
    },
    Target {
        name: "transfer_body",
        of: "gateway",
        alter: json_or_bytes,
        parse: imprest_gateway::fuzzing::transfer_body,
    },
    Target {
        name: "json_rpc",
        of: "gateway",
        alter: json_or_bytes,
        parse: imprest_gateway::fuzzing::json_rpc,
    },
    Target {
        name: "signed",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::signed,
    },
    Target {
        name: "tool_result",
        of: "rails",
        alter: json_or_bytes,
        parse: imprest_rails::fuzzing::tool_result,
    },
    Target {
        name: "tool_stream",
        of: "rails",
        alter: alter::bytes,
        parse: imprest_rails::fuzzing::tool_stream,
    },
];

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How often the parser was called.
    pub runs: u64,
    /// How often it accepted what it was given.
    pub accepted: u64,
    /// How long all of it took.
    pub took: Duration,
}

/// Calls a parser with its seeds and then with so many altered ones.
///
/// # Errors
/// When the seeds cannot be read, or one is not accepted.
pub fn run(target: &Target, runs: u64, seed: u64) -> io::Result<Tally> {
    let seeds = seeds(target)?;
    let mut dice = Dice::new(seed);
    let (started, mut accepted) = (Instant::now(), 0);
    for _ in 0..runs {
        let bytes = (target.alter)(&seeds[dice.roll(seeds.len())], &mut dice);
        accepted += u64::from((target.parse)(&bytes));
    }
    Ok(Tally { runs, accepted, took: started.elapsed() })
}

/// The seeds that libFuzzer starts from, too.
fn seeds(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = crates.join(target.of).join("fuzz/seeds").join(target.name);
    let paths = fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    let seeds = paths.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    match seeds.iter().position(|seed| !(target.parse)(seed)) {
        Some(bad) => {
            let why = format!("{} is not accepted", paths[bad].display());
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        None if seeds.is_empty() => Err(io::ErrorKind::NotFound.into()),
        None => Ok(seeds),
    }
}

fn json_or_bytes(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(3) { alter::bytes(seed, dice) } else { alter::json(seed, dice) }
}

fn words_or_bytes(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(4) { alter::bytes(seed, dice) } else { alter::words(seed, dice) }
}

/// Most often in what the file says, under a checksum that fits: it stops whoever made a mistake,
/// not whoever meant harm.
fn vault_file(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let altered = json_or_bytes(seed, dice);
    match imprest_vault::fuzzing::with_checksum(&altered) {
        Some(repaired) if !dice.once_in(8) => repaired,
        _ => altered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short, so that every test run has it; `cargo xtask fuzz` is the long one.
    fn short(name: &str) -> Tally {
        let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
        let tally = run(target, 3_000, 7).expect("seeds");
        println!("{name}: {tally:?}");
        assert_eq!(tally.runs, 3_000);
        tally
    }

    #[test]
    fn vault_files() {
        assert!(short("vault_file").accepted > 30, "nothing gets past the checksum");
    }

    #[test]
    fn keystores() {
        assert!(short("keystore").accepted > 30);
    }

    #[test]
    fn recovery_words() {
        assert!(short("recovery_words").accepted > 30);
    }

    #[test]
    fn containers() {
        assert!(short("container").accepted > 3, "nothing gets past the sums");
    }

    #[test]
    fn envelopes() {
        short("envelope");
    }

    #[test]
    fn manifests() {
        assert!(short("manifest").accepted > 30);
    }

    #[test]
    fn offers_of_x402() {
        assert!(short("x402_v2").accepted > 30);
        assert!(short("x402_v1").accepted > 30);
    }

    #[test]
    fn payment_challenges() {
        assert!(short("payment_charge").accepted > 30);
        assert!(short("payment_challenge").accepted > 30);
    }

    #[test]
    fn receipts() {
        assert!(short("receipt").accepted > 30);
        assert!(short("signed").accepted > 30);
    }

    #[test]
    fn answers_of_tools() {
        assert!(short("tool_result").accepted > 30);
        assert!(short("tool_stream").accepted > 30);
    }

    #[test]
    fn bodies_of_agents() {
        assert!(short("fetch_body").accepted > 30);
        assert!(short("transfer_body").accepted > 30);
        assert!(short("json_rpc").accepted > 30);
    }

    #[test]
    fn the_same_number_makes_the_same_run() {
        let target = TARGETS[0];
        let first = run(&target, 300, 3).expect("seeds");
        assert_eq!(run(&target, 300, 3).expect("seeds").accepted, first.accepted);
    }
}
