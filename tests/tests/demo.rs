//! `imprest demo` as a newcomer runs it: every step's figures are looked at again here, and the
//! home folder it runs in stays as it was.

use imprest_tests::{Answer, Desk, Obstacle};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// How many steps the story has.
const STEPS: usize = 12;

#[test]
fn the_demo_does_what_it_says_and_leaves_the_home_alone() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    // Lends its home folder and a data folder; this desk itself never runs.
    let desk = Desk::at(&folder.path().join("data"))?;
    let xdg = folder.path().join("xdg");
    fs::create_dir(&xdg).expect("makes a folder");
    fs::write(desk.home().join("diary"), "mine").expect("writes to the home folder");
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).expect("makes a folder");
    let csv = folder.path().join("activity.csv");

    let mut command = desk.command()?;
    command.args(["demo", "--json", "--out"]).arg(&csv);
    // The desk's own place, were it looked for by mistake.
    command.env("XDG_DATA_HOME", &xdg).env("IMPREST_DATA", desk.data()).env("TMPDIR", &scratch);
    let told = Answer::of(command, "")?;
    let told = told.done()?;

    assert_eq!(told["done"], true);
    let steps = told["steps"].as_array().expect("steps");
    let titles: BTreeSet<&str> = steps.iter().filter_map(|step| step["title"].as_str()).collect();
    assert_eq!((steps.len(), titles.len()), (STEPS, STEPS), "{titles:?}");
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], at + 1, "{step}");
        assert!(step["took_ms"].as_u64() <= told["took_ms"].as_u64(), "{step}");
    }
    let facts: Vec<&Value> = steps.iter().map(|step| &step["facts"]).collect();
    money_adds_up(&facts);
    purchases_are_told_apart(&facts);
    the_file_is_what_was_told(facts[11], &csv);

    assert_eq!(names(desk.home()), BTreeSet::from(["diary".to_owned()]));
    assert_eq!(fs::read_to_string(desk.home().join("diary")).expect("still there"), "mine");
    assert_eq!(names(&xdg), BTreeSet::new());
    assert_eq!(names(desk.data()), BTreeSet::new());
    assert_eq!(names(&scratch), BTreeSet::new(), "the throwaway desk is thrown away");
    Ok(())
}

/// Follows the float from step to step: what is paid is what is missing, and nothing else.
fn money_adds_up(facts: &[&Value]) {
    assert_eq!(facts[0]["words"], 24);
    assert_eq!(facts[0]["treasury_balance"], "250.00");
    let filled = units(&facts[2]["float"]);
    let mut float = filled;
    for (step, price) in [(3, "0.01"), (6, "0.60")] {
        assert_eq!(facts[step]["amount"], price, "{}", facts[step]);
        float -= units(&facts[step]["amount"]);
        assert_eq!(units(&facts[step]["float"]), float, "after {}", facts[step]);
    }
    // Neither the refusal nor the freeze cost anything.
    assert_eq!(units(&facts[7]["float"]), float);
    assert_eq!(units(&facts[8]["float"]), float);
    // After the thaw the weather was bought once more.
    float -= 10_000;
    assert_eq!(units(&facts[9]["ledger"]), float);
    assert_eq!(units(&facts[9]["chain"]), float);
    assert_eq!(units(&facts[9]["spent_today"]), filled - float);
    assert_eq!(facts[4]["shop_balance"], "0.01", "the repetition paid nothing");
}

fn purchases_are_told_apart(facts: &[&Value]) {
    assert_eq!(facts[4]["payment"], facts[3]["payment"], "a repetition is the same payment");
    let ids = [&facts[3]["payment"], &facts[6]["payment"], &facts[7]["payment"]];
    let ids: BTreeSet<&str> =
        ids.into_iter().chain([&facts[8]["after_thaw"]]).filter_map(Value::as_str).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("pay_")), "{ids:?}");

    let weather: Value = serde_json::from_str(facts[3]["got"].as_str().expect("a body"))
        .expect("the weather is JSON");
    assert!(weather["temperature_c"].is_object(), "{weather}");
    for step in [3, 6] {
        let transaction = facts[step]["transaction"].as_str().expect("a transaction");
        assert!(transaction.starts_with("0x") && transaction.len() == 66, "{transaction}");
    }
    assert!(facts[3]["block"].as_u64() < facts[6]["block"].as_u64());
    assert_eq!(facts[5]["reason"], "over_per_payment");
    assert_eq!(facts[5]["amount"], "0.60");
    assert!(facts[5]["approval"].as_str().is_some_and(|id| id.starts_with("apv_")));
    assert_eq!(facts[7]["reason"], "over_per_day");
    assert_eq!(facts[7]["observed"], "1.21");
    assert!(facts[7]["resets_at"].as_str().is_some_and(|at| at.ends_with("T00:00:00Z")));
    assert_eq!(facts[8]["reason"], "frozen");
    assert!(facts[10]["events"].as_u64() > Some(10), "{}", facts[10]);
    assert_eq!(facts[10]["head"].as_str().map(str::len), Some(64), "{}", facts[10]);
}

fn the_file_is_what_was_told(facts: &Value, csv: &Path) {
    assert_eq!(facts["csv"].as_str(), csv.to_str());
    let bytes = fs::read(csv).expect("the file is there");
    assert_eq!(facts["sha256"], hex::encode(Sha256::digest(&bytes)));
    // Four purchases asked for and one refused twice: the day's limit and the freeze.
    assert_eq!(facts["rows"], 5);
    let text = String::from_utf8(bytes).expect("the file is text");
    assert!(text.matches("pay_").count() >= 5, "{text}");
}

/// An amount of USDC in atomic units.
fn units(amount: &Value) -> u128 {
    let text = amount.as_str().unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<6}").parse().unwrap_or_else(|_| panic!("no amount: {amount}"))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("can be read").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}
