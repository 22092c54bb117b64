//! `imprest-bench`: how fast the books and the vault are, each figure beside what it is compared with.
//!
//! Everything is timed in turns with its counterpart, in one run, on the disk that holds the
//! folder; what is shown is the middle of many and their ratio. A ratio that misses its bar is
//! said so and is no failure: machines differ, and a busy one measures itself.

mod history;
mod keys;
mod live;
mod machine;
mod orders;
mod progress;
mod proof;
mod reading;
mod sample;
mod store;
mod sums;
mod table;

use anyhow::Result;
use clap::Parser;
use reading::Pair;
use std::path::PathBuf;
use std::process::ExitCode;
use store::Store;
use table::Report;
use tokio::runtime::Runtime;

/// How fast the books and the vault are, each figure beside what it is compared with
#[derive(Debug, Parser)]
#[command(name = "imprest-bench", version)]
struct Args {
    /// Only what has this in its name: authorise, payers, limits, activity, opening, verify,
    /// signing or unlock
    filter: Option<String>,
    /// How many payments the long history has
    #[arg(long, value_name = "N", default_value_t = 10_000_000,
          value_parser = clap::value_parser!(u64).range(10_000..))]
    rows: u64,
    /// Where histories are written and kept; the disk of this folder is the one that is measured
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    folder: PathBuf,
    /// One JSON document on standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// The measurements, in order, and whether each reads a long history.
const MEASUREMENTS: [(&str, bool); 8] = [
    ("authorise", false),
    ("payers", false),
    ("limits", true),
    ("activity", true),
    ("opening", true),
    ("verify", false),
    ("signing", false),
    ("unlock", false),
];

fn main() -> ExitCode {
    let args = Args::parse();
    let wanted = |name: &str| args.filter.as_deref().is_none_or(|word| name.contains(word));
    if !MEASUREMENTS.iter().any(|(name, _)| wanted(name)) {
        let names = MEASUREMENTS.map(|(name, _)| name).join(", ");
        eprintln!("imprest-bench: nothing is called so; there are {names}");
        return ExitCode::from(2);
    }
    match measure(&args, &wanted).and_then(|report| print(&report, args.json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imprest-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args, wanted: &dyn Fn(&str) -> bool) -> Result<Report> {
    let runtime = Runtime::new()?;
    let store = Store::open(&args.folder, &runtime)?;
    let mut report = Report::default();
    let scratch = tempfile::TempDir::new_in(&args.folder)?;
    report.facts = machine::facts(scratch.path())?;
    let pair = match MEASUREMENTS.iter().any(|(name, long)| *long && wanted(name)) {
        true => Some(Pair::open(&store, args.rows)?),
        false => None,
    };
    for (name, _) in MEASUREMENTS.iter().filter(|(name, _)| wanted(name)) {
        let step = progress::begin(*name);
        match (*name, &pair) {
            ("authorise", _) => live::authorise(&store, &runtime, &mut report)?,
            ("payers", _) => live::payers(&store, &runtime, &mut report)?,
            ("limits", Some(pair)) => reading::limits(&store, pair, &runtime, &mut report)?,
            ("activity", Some(pair)) => reading::activity(pair, &runtime, &mut report)?,
            ("opening", Some(pair)) => reading::opening(pair, &runtime, &mut report)?,
            ("signing", _) => keys::signing(&store, &runtime, &mut report)?,
            ("unlock", _) => keys::unlock(&store, &mut report)?,
            _ => proof::verify(&store, (args.rows / 10).min(1_000_000), &runtime, &mut report)?,
        }
        step.done();
    }
    report.facts.extend(pair.map(|pair| pair.long.fact()));
    Ok(report)
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", report.text());
        let missed = report.missed().count();
        let all = report.lines.iter().filter(|line| line.bar.is_some()).count();
        println!("\n{} of {all} bars met.", all - missed);
    }
    Ok(())
}
