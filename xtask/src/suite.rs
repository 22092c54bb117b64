//! Every check and every test, each step announced and timed.

use crate::{console, kits, process, setup, workspace};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// One step of the suite.
struct Check {
    name: &'static str,
    /// Does it, and says whether it went well.
    perform: fn(&Words) -> Result<bool>,
}

/// What the person asked for beyond the choice of steps.
struct Words {
    /// Only Rust tests whose name contains this.
    test_name: Option<String>,
}

/// How one step ended.
enum Ending {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

/// Comes before every choice of steps, because each of them builds on it.
const SET_UP: Check = Check { name: "set-up", perform: |_| setup::everything().map(|()| true) };

const CHECKS: &[Check] = &[
    Check { name: "rust-format", perform: |_| cargo(&["fmt", "--all", "--check"]) },
    Check {
        name: "rust-clippy",
        perform: |_| cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Check { name: "rust-test", perform: rust_tests },
    Check { name: "memory", perform: memory_tests },
    Check { name: "ledger-device", perform: |_| cargo(&DEVICE_TESTS) },
    Check { name: "rust-doc-test", perform: |_| cargo(&["test", "--doc", "--workspace"]) },
    Check { name: "ui-check", perform: |_| ui("check") },
    Check { name: "ui-lint", perform: |_| ui("lint") },
    Check { name: "ui-test", perform: |_| ui("test") },
    // Not built a second time from the same sources: the app embeds the result, and would be
    // built anew as well.
    Check { name: "ui-build", perform: |_| kits::web_ui().map(|()| true) },
    Check { name: "ui-e2e", perform: |_| ui("e2e") },
];

/// What is behind the feature for hardware, which nothing else builds.
const DEVICE_TESTS: [&str; 7] =
    ["test", "--package", "imprest-vault", "--features", "ledger-device", "--lib", "device"];

/// Sets everything up, runs the suite and closes with a line of counts; `true` if all passed.
pub fn run(filter: Option<&str>, keep_going: bool) -> bool {
    let (chosen, words) = choose(filter);
    let steps: Vec<&Check> = std::iter::once(&SET_UP).chain(chosen).collect();
    let mut endings = Vec::new();
    let mut stopped = false;
    for (index, check) in steps.iter().enumerate() {
        let ending = if stopped {
            Ending::NotRun
        } else {
            let title = format!("[{}/{}] {}", index + 1, steps.len(), check.name);
            timed(check, title, &words)
        };
        stopped |= matches!(ending, Ending::Failed(_)) && !keep_going;
        endings.push((check.name, ending));
    }
    print!("{}", summary(&endings));
    endings.iter().all(|(_, ending)| matches!(ending, Ending::Passed(_)))
}

fn timed(check: &Check, title: String, words: &Words) -> Ending {
    let step = console::begin(title);
    let well = (check.perform)(words).unwrap_or_else(|error| {
        console::note(format!("{error:#}"));
        false
    });
    if well { Ending::Passed(step.done()) } else { Ending::Failed(step.failed()) }
}

/// The steps that a filter means: those called so, else the Rust tests called so.
fn choose(filter: Option<&str>) -> (Vec<&'static Check>, Words) {
    let Some(word) = filter else {
        return (CHECKS.iter().collect(), Words { test_name: None });
    };
    let named: Vec<&Check> = CHECKS.iter().filter(|check| check.name.contains(word)).collect();
    if !named.is_empty() {
        return (named, Words { test_name: None });
    }
    let tests = CHECKS.iter().filter(|check| check.name == "rust-test").collect();
    (tests, Words { test_name: Some(word.to_owned()) })
}

/// The built programs first, because the journeys start them; then every test of the workspace.
fn rust_tests(words: &Words) -> Result<bool> {
    if !cargo(&["build", "--workspace", "--bins"])? {
        return Ok(false);
    }
    let mut tests = process::cargo();
    if process::answers("cargo-nextest", &["nextest", "--version"]) {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        tests.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    tests.args(&words.test_name);
    tests.env("IMPREST_BIN_DIR", workspace::programs());
    tests.env("IMPREST_TAURI_DRIVER", workspace::tauri_driver());
    tests.env("IMPREST_SCHEMATHESIS", workspace::schemathesis());
    told(&mut tests)
}

/// What a locked desk leaves in its memory, and who may read that, once more on a program that is
/// optimised and hardened as what is shipped.
fn memory_tests(_: &Words) -> Result<bool> {
    if !cfg!(target_os = "linux") {
        // Other systems show no program another one's memory.
        return Ok(true);
    }
    if !cargo(&["build", "--profile", "proof", "--package", "imprest-cli"])? {
        return Ok(false);
    }
    let mut tests = process::cargo();
    if process::answers("cargo-nextest", &["nextest", "--version"]) {
        let these = "package(imprest-tests) and binary(memory)";
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast", "-E", these]);
    } else {
        tests.args(["test", "--workspace", "--test", "memory"]);
    }
    tests.env("IMPREST_BIN_DIR", workspace::target().join("proof"));
    // Only the everyday build knows by itself where the sources are.
    let kit = workspace::root().join("assets/practice/node_modules");
    tests.env("IMPREST_PRACTICE_KIT", kit);
    told(&mut tests)
}

fn cargo(arguments: &[&str]) -> Result<bool> {
    told(process::cargo().args(arguments))
}

fn ui(script: &str) -> Result<bool> {
    told(process::npm(&workspace::root().join("ui")).args(["run", script]))
}

/// Shows the command line, so that a step can be run again by hand, and runs it.
fn told(command: &mut Command) -> Result<bool> {
    console::note(process::line(command));
    process::succeeds(command)
}

/// A line a step, and the counts on the last line.
fn summary(endings: &[(&str, Ending)]) -> String {
    let mut text = String::from("\n");
    let (mut passed, mut failed) = (0, 0);
    for (name, ending) in endings {
        let told = match ending {
            Ending::Passed(took) => {
                passed += 1;
                format!("passed  {}", console::elapsed(*took))
            }
            Ending::Failed(took) => {
                failed += 1;
                format!("FAILED  {}", console::elapsed(*took))
            }
            Ending::NotRun => "not run".to_owned(),
        };
        text.push_str(&format!("{name:<16}{told}\n"));
    }
    text.push_str(&format!("{passed} passed, {failed} failed\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_means_steps_first_and_rust_tests_otherwise() {
        let names = |filter| choose(filter).0.iter().map(|check| check.name).collect::<Vec<_>>();
        assert_eq!(names(None).len(), CHECKS.len());
        assert_eq!(names(Some("ui-")), ["ui-check", "ui-lint", "ui-test", "ui-build", "ui-e2e"]);
        assert_eq!(names(Some("overspend")), ["rust-test"]);
        assert_eq!(choose(Some("overspend")).1.test_name.as_deref(), Some("overspend"));
        assert_eq!(choose(Some("clippy")).1.test_name, None);
    }

    #[test]
    fn the_last_line_counts_and_steps_not_run_are_neither() {
        let text = summary(&[
            ("a", Ending::Passed(Duration::from_secs(1))),
            ("b", Ending::Failed(Duration::from_secs(2))),
            ("c", Ending::NotRun),
        ]);
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
        assert!(text.contains("not run"));
    }
}
