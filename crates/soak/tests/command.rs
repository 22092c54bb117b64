//! The command as people and scripts call it.

use serde_json::Value;
use std::process::{Command, Output};

fn imprest_soak(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imprest-soak")).args(args).output().expect("it starts")
}

#[test]
fn json_says_what_was_proved() {
    let args = ["--only", "oracle", "--rounds", "1", "--seed", "7", "--json"];
    let output = imprest_soak(&args);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&said["as_promised"], &said["seed"]), (&Value::Bool(true), &Value::from(7)));
    let proof = &said["proofs"][0];
    assert_eq!((&proof["proof"], &proof["broken"]), (&Value::from("oracle"), &Value::Null));
    assert!(proof["figures"]["steps"].as_u64() >= Some(1_000), "{proof}");
}

#[test]
fn a_table_ends_with_what_it_comes_to() {
    let output = imprest_soak(&["--only", "tampering", "--rounds", "10"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with("Seeds from ") && text.ends_with("All as promised.\n"), "{text}");
}

#[test]
fn what_it_does_not_know_is_wrong_usage() {
    for args in [&["--minutes", "many"][..], &["--only", "luck"], &["--rounds", "3"], &["--fast"]] {
        assert_eq!(imprest_soak(args).status.code(), Some(2), "{args:?}");
    }
}
