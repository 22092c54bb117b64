//! The real ledger beside an oracle that keeps plain lists and works out every sum from scratch.
//!
//! A story is drawn from a seed: orders, answers, deliveries, settlements, changes of limits and
//! zones, clocks that jump, restarts. After each step both have to agree on the answer, on every
//! figure a rule compared, on balances and windows and on the number of events; and no limit may
//! be passed at any grant. A story that fails is cut down to the steps that matter.

mod books;
mod check;
mod desk;
mod limits;
mod owner;
mod payments;
mod peek;
mod rules;
mod step;
mod world;

pub use desk::seal_key;
pub use world::usdc;

use crate::chance::Chance;
use crate::proof::{Broken, Figures, Proof};
use desk::{Desk, Seen};
use std::path::Path;
use std::time::{Duration, Instant};
use step::Step;

/// How many steps a story has.
pub const STEPS: usize = 2_000;
/// After how many steps the books are proved and opened again.
const PROVE_EVERY: usize = 500;
/// How long a story that fails is cut down; it is told either way.
const SHORTEN_FOR: Duration = Duration::from_secs(60);
/// Begins shortly before clocks change somewhere.
const STARTS: [&str; 6] = [
    "2026-03-07T20:00:00Z",
    "2026-03-28T18:00:00Z",
    "2026-04-04T08:00:00Z",
    "2026-10-24T15:00:00Z",
    "2026-10-31T22:00:00Z",
    "2026-12-31T06:00:00Z",
];

/// Runs the story of one seed.
///
/// # Errors
/// [`Broken`] with the steps that matter, when the two books disagree or a promise is not kept.
pub fn run(seed: u64, steps: usize) -> Result<Figures, Broken> {
    let (story, start_ms) = draw(seed, steps);
    tell(seed, start_ms, &story).map_err(|(at, what)| {
        let short = shorten(seed, start_ms, story[..=at.min(steps - 1)].to_vec());
        let what = match tell(seed, start_ms, &short) {
            Err((_, shorter)) => {
                let steps: Vec<String> = short.iter().map(|step| format!("  {step:?}")).collect();
                format!("{shorter}\nafter the steps\n{}", steps.join("\n"))
            }
            Ok(_) => format!("{what}\nafter {at} steps; it does not happen each time"),
        };
        Broken { proof: Proof::Oracle, seed, what }
    })
}

fn draw(seed: u64, steps: usize) -> (Vec<Step>, i64) {
    let mut chance = Chance::new(seed);
    let start: jiff::Timestamp = chance.one_of(&STARTS[..]).parse().unwrap_or_default();
    let start_ms = start.as_millisecond() + chance.below(60_000) as i64;
    (Step::story(&mut chance, steps, start_ms), start_ms)
}

/// Tells a story to both books; an error comes with the number of the step.
fn tell(seed: u64, start_ms: i64, story: &[Step]) -> Result<Figures, (usize, String)> {
    let at_start = |what: String| (0, what);
    let folder = crate::place::folder().map_err(|e| at_start(e.to_string()))?;
    let runtime = crate::place::runtime().map_err(|e| at_start(e.to_string()))?;
    runtime.block_on(tell_in(folder.path(), seed, start_ms, story))
}

async fn tell_in(
    folder: &Path,
    seed: u64,
    start_ms: i64,
    story: &[Step],
) -> Result<Figures, (usize, String)> {
    let mut desk = Desk::open(folder, seed, start_ms).await.map_err(|what| (0, what))?;
    for (number, step) in story.iter().enumerate() {
        let told = tell_one(&mut desk, number, step).await;
        told.map_err(|what| (number, format!("{what}\nat step {number}: {step:?}")))?;
    }
    let end = story.len().saturating_sub(1);
    prove(&mut desk).await.map_err(|what| (end, what))?;
    desk.figures.add("steps", story.len() as u64);
    desk.figures.add("events", desk.books.events);
    desk.figures.count("ledgers");
    let figures = desk.figures.clone();
    desk.ledger.close().await;
    Ok(figures)
}

async fn tell_one(desk: &mut Desk, number: usize, step: &Step) -> Seen {
    desk.take(step).await?;
    desk.look().await?;
    if number % PROVE_EVERY == PROVE_EVERY - 1 { prove(desk).await } else { Ok(()) }
}

async fn prove(desk: &mut Desk) -> Seen {
    desk.verify().await?;
    desk.saw("proofs of the whole");
    desk.restart().await
}

/// Leaves out whatever is not needed for the story to fail, the largest pieces first.
fn shorten(seed: u64, start_ms: i64, mut story: Vec<Step>) -> Vec<Step> {
    let mut piece = story.len().div_ceil(2);
    let until = Instant::now() + SHORTEN_FOR;
    while piece > 0 && Instant::now() < until {
        let mut from = 0;
        while from < story.len() && Instant::now() < until {
            let mut without = story.clone();
            without.drain(from..(from + piece).min(story.len()));
            match tell(seed, start_ms, &without) {
                Err((at, _)) => {
                    without.truncate(at + 1);
                    story = without;
                }
                Ok(_) => from += piece,
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    story
}
