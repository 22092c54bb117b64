//! `imprest-soak`: the long proofs, one after the other.

mod plan;
mod table;

use clap::Parser;
use imprest_soak::{Figures, Proof};
use plan::Size;
use std::process::ExitCode;
use std::time::Instant;

/// Proves the books for a long time: every state of a model, random stories beside an oracle,
/// kill −9, failing disks and forged files. Exits with 1 when a promise was not kept, and names
/// the seed that shows it again.
#[derive(Parser)]
#[command(name = "imprest-soak", version, about)]
struct Args {
    /// How long, about; 0 is the least that says anything.
    #[arg(long, value_name = "N", default_value_t = plan::FULL_MINUTES,
          value_parser = clap::value_parser!(u64).range(..=100_000))]
    minutes: u64,
    /// One JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Only this proof.
    #[arg(long, value_name = "PROOF", value_parser = proof)]
    only: Option<Proof>,
    /// Where the seeds begin; another place each time when it is not given.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// How many seeds, instead of as many as the minutes allow; for the model, states.
    #[arg(long, value_name = "N", requires = "only")]
    rounds: Option<u64>,
}

fn proof(word: &str) -> Result<Proof, String> {
    Proof::from_word(word).ok_or_else(|| {
        let words: Vec<_> = Proof::ALL.into_iter().map(Proof::word).collect();
        format!("one of {}", words.join(", "))
    })
}

/// What came of one proof.
struct Came {
    proof: Proof,
    took_s: u64,
    figures: Figures,
    broken: Option<imprest_soak::Broken>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(plan::any_seed);
    if !args.json {
        println!("Seeds from {seed} on.\n");
    }
    let mut results = Vec::new();
    for proof in Proof::ALL.into_iter().filter(|proof| args.only.is_none_or(|only| only == *proof))
    {
        let size = args.rounds.map_or(Size::of_minutes(proof, args.minutes), Size::exactly);
        if !args.json {
            println!("{} — {}", proof.word(), table::about(proof));
        }
        let began = Instant::now();
        let (figures, broken) = plan::prove(proof, seed, size);
        let result = Came { proof, took_s: began.elapsed().as_secs(), figures, broken };
        if !args.json {
            table::show(&result);
        }
        results.push(result);
    }
    if args.json {
        table::json(seed, args.minutes, &results);
    } else {
        table::end(&results);
    }
    match results.iter().all(|result| result.broken.is_none()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
