//! What was searched and found, for people and for programs.

use crate::Findings;
use imprest_model::{Action, Happening, Hunt, Invariant, Search};
use serde_json::{Value, json};

/// A count with its thousands apart: `13,868,784`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds with one place: `42.9`.
fn seconds(ms: u128) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}

fn states_per_s(search: &Search) -> usize {
    let ms = usize::try_from(search.took_ms.max(1)).unwrap_or(usize::MAX);
    search.unique_states.saturating_mul(1_000) / ms
}

/// The most memory this process ever had, in MiB, where the system tells.
fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024)
}

pub(crate) fn correct_heading() {
    println!("The correct design. In every state:");
    for invariant in Invariant::ALL {
        println!("  {invariant}  {}", invariant.says());
    }
    println!();
    println!(
        "{:>12} {:>13} {:>6} {:>7} {:>10}  setting",
        "states", "generated", "depth", "seconds", "states/s"
    );
}

pub(crate) fn correct_row(search: &Search) {
    println!(
        "{:>12} {:>13} {:>6} {:>7} {:>10}  {}{}",
        grouped(search.unique_states),
        grouped(search.total_states),
        search.depth_steps,
        seconds(search.took_ms),
        grouped(states_per_s(search)),
        search.setting.name,
        match (&search.breach, search.exhausted) {
            (Some(breach), _) => format!(": BREAKS {}", breach.broken),
            (None, true) => String::new(),
            (None, false) => ": not finished".to_owned(),
        }
    );
    if let Some(breach) = &search.breach {
        print_steps(&breach.steps);
    }
}

fn print_steps(steps: &[Action]) {
    for (number, step) in steps.iter().enumerate() {
        println!("{:>16}. {step:?}", number + 1);
    }
}

fn seen(happenings: &[(Happening, Option<Vec<Action>>)]) -> usize {
    happenings.iter().filter(|(_, way)| way.is_some()).count()
}

pub(crate) fn happenings(happenings: &[(Happening, Option<Vec<Action>>)], steps: bool) {
    println!();
    println!("What can happen, and after how many steps");
    for (happening, way) in happenings {
        let length = way.as_ref().map_or("NEVER".to_owned(), |way| way.len().to_string());
        println!("  {length:>5}  {}", happening.says());
        if let (true, Some(way)) = (steps, way) {
            print_steps(way);
        }
    }
}

pub(crate) fn hunt_heading() {
    println!();
    println!("Designs with one wrong step, searched until");
    println!("{:50} something breaks          the one thing it must break", "");
    println!(
        "{:50} {:<12} {:>6} {:>6}  {:<4} {:>8} {:>6}",
        "wrong step", "breaks", "states", "steps", "", "states", "steps"
    );
}

pub(crate) fn hunt_row(hunt: &Hunt, steps: bool) {
    let (first, meant) = (&hunt.first, &hunt.meant);
    let broken = |search: &Search| match &search.breach {
        Some(breach) => breach.broken.to_string(),
        None => "NOT FOUND".to_owned(),
    };
    let length = |search: &Search| search.breach.as_ref().map_or(0, |b| b.steps.len());
    println!(
        "{:<50} {:<12} {:>6} {:>6}  {:<4} {:>8} {:>6}{}",
        hunt.fault.says(),
        broken(first),
        grouped(first.unique_states),
        length(first),
        hunt.fault.breaks().to_string(),
        grouped(meant.unique_states),
        length(meant),
        if meant.breach.is_some() { "" } else { "  NOT FOUND" },
    );
    if let (true, Some(breach)) = (steps, &meant.breach) {
        print_steps(&breach.steps);
    }
}

pub(crate) fn summary(findings: &Findings, threads: usize, disappointments: &[String]) {
    let all = &findings.correct;
    let generated: usize = all.iter().map(|search| search.total_states).sum();
    let took_ms: u128 = all.iter().map(|search| search.took_ms).sum();
    let whole = all.iter().filter(|search| search.exhausted).map(|search| search.unique_states);
    println!();
    println!(
        "Correct design: {} states in {} settings ({} the largest that was finished), {} generated, \
         {} s on {threads} threads{}.",
        grouped(findings.unique_states()),
        all.len(),
        grouped(whole.max().unwrap_or_default()),
        grouped(generated),
        seconds(took_ms),
        peak_memory_mib().map_or_else(String::new, |mib| format!(", at most {mib} MiB of memory")),
    );
    let found = findings.hunts.iter().filter(|hunt| hunt.found()).count();
    let (seen, happenings) = (seen(&findings.happenings), findings.happenings.len());
    println!(
        "Happenings seen: {seen} of {happenings}. Wrong steps found: {found} of {}.",
        findings.hunts.len()
    );
    for disappointment in disappointments {
        println!("NOT AS PROMISED: {disappointment}");
    }
    if disappointments.is_empty() {
        println!("All as promised.");
    }
}

fn steps_json(steps: &[Action]) -> Vec<String> {
    steps.iter().map(|step| format!("{step:?}")).collect()
}

fn search_json(search: &Search) -> Value {
    json!({
        "setting": search.setting.name,
        "requests": search.setting.requests(),
        "unique_states": search.unique_states,
        "total_states": search.total_states,
        "depth_steps": search.depth_steps,
        "took_ms": u64::try_from(search.took_ms).unwrap_or(u64::MAX),
        "states_per_s": states_per_s(search),
        "exhausted": search.exhausted,
        "breach": search.breach.as_ref().map(|breach| json!({
            "breaks": breach.broken.iter().collect::<Vec<_>>(),
            "steps": steps_json(&breach.steps),
        })),
    })
}

pub(crate) fn json(findings: &Findings, threads: usize, disappointments: &[String]) {
    let hunts = findings.hunts.iter().map(|hunt| {
        json!({
            "fault": hunt.fault,
            "says": hunt.fault.says(),
            "must_break": hunt.fault.breaks(),
            "found": hunt.found(),
            "first": search_json(&hunt.first),
            "meant": search_json(&hunt.meant),
        })
    });
    let happenings = findings.happenings.iter().map(|(happening, way)| {
        json!({
            "happening": happening,
            "says": happening.says(),
            "steps": way.as_ref().map(|way| steps_json(way)),
        })
    });
    let document = json!({
        "as_promised": disappointments.is_empty(),
        "not_as_promised": disappointments,
        "threads": threads,
        "unique_states": findings.unique_states(),
        "peak_memory_mib": peak_memory_mib(),
        "correct": findings.correct.iter().map(search_json).collect::<Vec<_>>(),
        "happenings": happenings.collect::<Vec<_>>(),
        "faults": hunts.collect::<Vec<_>>(),
    });
    println!("{document}");
}
