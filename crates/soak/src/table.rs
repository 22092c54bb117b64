//! What a soak shows: figures a person can read, or one document for a program.

use crate::Came;
use imprest_soak::Proof;
use serde_json::{Map, Value, json};

/// A proof in a few words.
pub fn about(proof: Proof) -> &'static str {
    match proof {
        Proof::Model => "every state of the money path, and every seeded fault found",
        Proof::Oracle => "the real ledger beside plain lists",
        Proof::Killed => "kill −9 while it pays",
        Proof::Disk => "disks that fail and lose power",
        Proof::Tampering => "files that somebody edited",
    }
}

/// The figures of one proof.
pub fn show(result: &Came) {
    let wide = result.figures.all().iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, count) in result.figures.all() {
        let gap = wide - name.chars().count();
        println!("  {name}{:gap$}  {:>15}", "", grouped(*count));
    }
    match &result.broken {
        None => println!("  kept every promise, in {}\n", lasted(result.took_s)),
        Some(broken) => println!("  BROKEN after {}\n{broken}\n", lasted(result.took_s)),
    }
}

/// All proofs, one line each.
pub fn end(results: &[Came]) {
    for result in results {
        let word = if result.broken.is_none() { "kept" } else { "BROKEN" };
        println!("{:12} {:8} {:>10}", result.proof.word(), word, lasted(result.took_s));
    }
    let broken: Vec<_> = results.iter().filter_map(|result| result.broken.as_ref()).collect();
    match broken.as_slice() {
        [] => println!("\nAll as promised."),
        broken => {
            println!();
            broken.iter().for_each(|broken| println!("{broken}"));
        }
    }
}

/// Everything as one document.
pub fn json(seed: u64, minutes: u64, results: &[Came]) {
    let proofs: Vec<Value> = results
        .iter()
        .map(|result| {
            let figures: Map<String, Value> =
                result.figures.all().iter().map(|(name, n)| (name.clone(), json!(n))).collect();
            let broken = result
                .broken
                .as_ref()
                .map(|broken| json!({ "seed": broken.seed, "what": broken.what }));
            json!({
                "proof": result.proof.word(),
                "took_s": result.took_s,
                "figures": figures,
                "broken": broken,
            })
        })
        .collect();
    let kept = results.iter().all(|result| result.broken.is_none());
    let document = json!({
        "seed": seed,
        "minutes": minutes,
        "as_promised": kept,
        "proofs": proofs,
    });
    println!("{document:#}");
}

fn lasted(seconds: u64) -> String {
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([lasted(59), lasted(61)], ["59 s", "1 min 1 s"]);
    }
}
