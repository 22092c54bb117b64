//! The command as people and scripts call it.

use serde_json::Value;
use std::process::{Command, Output};

fn imprest_model(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imprest-model")).args(args).output().expect("it starts")
}

#[test]
fn json_says_what_was_searched_and_found() {
    let output = imprest_model(&["--states", "20000", "--threads", "2", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(found["as_promised"], true);
    assert!(found["unique_states"].as_u64() >= Some(20_000), "{}", found["unique_states"]);
    assert_eq!(found["correct"][0]["exhausted"], true);
    assert_eq!(found["correct"][0]["breach"], Value::Null);
    let faults = found["faults"].as_array().expect("a list");
    assert!(faults.len() >= 10 && faults.iter().all(|fault| fault["found"] == true));
    for fault in faults {
        let steps = fault["meant"]["breach"]["steps"].as_array().expect("the way there");
        assert!(steps.len() >= 2, "{}: {steps:?}", fault["fault"]);
    }
    let happenings = found["happenings"].as_array().expect("a list");
    assert!(happenings.iter().all(|happening| happening["steps"].is_array()));
}

#[test]
fn a_table_names_every_fault_and_how_it_was_found() {
    let output = imprest_model(&["--states", "1"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    for fault in imprest_model::Fault::ALL {
        let row = text.lines().find(|line| line.starts_with(fault.says()));
        let row = row.expect("a row for each fault");
        assert!(row.contains(&fault.breaks().to_string()), "{row}");
        assert!(!row.contains("NOT FOUND"), "{row}");
    }
    assert!(text.ends_with("All as promised.\n"), "{text}");
}

#[test]
fn what_it_does_not_know_is_wrong_usage() {
    for args in [&["--threads", "0"][..], &["--states", "many"], &["--fast"]] {
        assert_eq!(imprest_model(args).status.code(), Some(2), "{args:?}");
    }
}
