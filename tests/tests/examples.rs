//! The examples of `docs/connect`, each run as it stands there: what they buy, what they are refused,
//! and that waiting for the owner is one purchase.

#![cfg(target_os = "linux")]

use imprest_tests::{Desk, Obstacle, PracticeAddresses, built_program, until, workspace_root};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the chain may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    workspace_root().join("docs/connect/examples").join(name)
}

/// Checks the TypeScript example as its users' compilers would, and answers what is run of it.
fn compiled(folder: &Path) -> PathBuf {
    let modules = workspace_root().join("ui/node_modules");
    fs::write(folder.join("package.json"), json!({ "type": "module" }).to_string())
        .expect("writes");
    let compiler = Command::new("node")
        .arg(modules.join("typescript/bin/tsc"))
        .args(["--strict", "--ignoreConfig", "--target", "es2022", "--module", "esnext"])
        .args(["--moduleResolution", "bundler", "--types", "node", "--typeRoots"])
        .arg(modules.join("@types"))
        .arg("--outDir")
        .arg(folder)
        .arg(example("buy.ts"))
        .output()
        .expect("node is here");
    assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stdout));
    folder.join("buy.js")
}

/// How each language's example is started.
fn programs(folder: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    vec![
        ("curl", vec!["sh".into(), example("buy.sh")]),
        ("Python", vec!["python3".into(), example("buy.py")]),
        ("TypeScript", vec!["node".into(), compiled(folder)]),
        ("Rust", vec![built_program("examples/buy").expect("examples are built with the tests")]),
    ]
}

struct Stand {
    desk: Desk,
    url: String,
    practice: PracticeAddresses,
    token: String,
    _folder: TempDir,
}

impl Stand {
    fn open() -> Result<Stand, Obstacle> {
        let folder = TempDir::new().expect("a folder");
        let desk = Desk::serve_practice(folder.path())?;
        let limits = ["--grade", "L3", "--per-payment", "0.25", "--per-day", "5"];
        let token = desk.add_agent("Scout", &limits)?;
        let ready = desk.ready()?.clone();
        let practice = ready.practice.ok_or_else(|| Obstacle::new("No practice network."))?;
        Ok(Stand { desk, url: ready.url, practice, token, _folder: folder })
    }

    fn command(&self, words: &[PathBuf], good: &str, token: &str) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(self.practice.good(good));
        command.env("IMPREST_URL", &self.url).env("IMPREST_TOKEN", token).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[PathBuf], good: &str, token: &str) -> (i32, String, String) {
        let Output { status, stdout, stderr } =
            self.command(words, good, token).output().expect("starts");
        let text = |bytes| String::from_utf8(bytes).expect("is text");
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// Waits until the chain has settled so many purchases; there are no others.
    fn settles(&self, purchases: usize) {
        let all = || self.desk.read(&["activity"]).expect("runs").documents;
        let settled = |rows: &[Value]| rows.iter().filter(|row| row["state"] == "settled").count();
        until(&format!("{purchases} settled purchases"), PATIENCE, || {
            Ok((settled(&all()) == purchases).then_some(()))
        })
        .expect("the chain settles");
        let rows = all();
        let open = rows.iter().filter(|row| row["state"] != "refused").count();
        assert_eq!(open, purchases, "{rows:?}");
    }
}

#[test]
fn each_language_buys_and_is_refused() -> Result<(), Obstacle> {
    let scratch = TempDir::new().expect("a folder");
    let stand = Stand::open()?;
    let programs = programs(scratch.path());
    for (bought, (language, words)) in programs.iter().enumerate() {
        let (code, stdout, stderr) = stand.run(words, "weather", &stand.token);
        assert!(code == 0 && stdout.contains("Rotterdam"), "{language}: {code} {stdout} {stderr}");
        stand.settles(bought + 1);
        let wrong = format!("imp_{}", "0".repeat(43));
        let (code, stdout, stderr) = stand.run(words, "weather", &wrong);
        assert!(code == 1 && stdout.is_empty(), "{language}: {code} {stdout} {stderr}");
        assert!(!stderr.is_empty() && !stderr.contains(&wrong), "{language}: {stderr}");
    }
    stand.desk.owner(&["freeze"])?.done()?;
    for (language, words) in &programs {
        let (code, stdout, stderr) = stand.run(words, "weather", &stand.token);
        let said = format!("{stdout}{stderr}");
        assert!(code == 3 && said.contains("frozen"), "{language}: {code} {said}");
    }
    stand.settles(programs.len());
    let payees = stand.desk.read(&["payees", "127.0.0.1"])?;
    let shop = payees.done()?;
    let told = ["name", "paid", "low", "high"].map(|fact| shop[fact].as_str());
    assert_eq!(told, ["Corner shop", "0.04", "0.01", "0.01"].map(Some), "{shop}");
    assert_eq!(stand.desk.read(&["payees", "elsewhere"])?.documents.len(), 0);
    let books = stand.desk.read(&["books"])?;
    assert_eq!(books.done()?["equal"], true, "{books:?}");
    Ok(())
}

/// The price list is dearer than the agent may pay at once, so its owner is asked.
#[test]
fn each_language_waits_for_the_owner() -> Result<(), Obstacle> {
    let scratch = TempDir::new().expect("a folder");
    let stand = Stand::open()?;
    for (language, words) in programs(scratch.path()) {
        let mut command = stand.command(&words, "supplier-prices", &stand.token);
        let mut buyer =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut said = BufReader::new(buyer.stderr.take().expect("is piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("reads");
        assert!(line.contains("The owner has been asked"), "{language}: {line}");
        let waiting = stand.desk.read(&["approvals"]).expect("runs");
        let [question] = &waiting.documents[..] else { panic!("{language}: {waiting:?}") };
        let id = question["id"].as_str().expect("a question has an identifier");
        stand.desk.owner(&["approve", id]).expect("runs").done().expect("approves");
        let (mut stdout, mut rest) = (String::new(), String::new());
        buyer.stdout.take().expect("is piped").read_to_string(&mut stdout).expect("reads");
        said.read_to_string(&mut rest).expect("reads");
        let ended = buyer.wait().expect("ends");
        assert!(ended.success() && stdout.contains("price"), "{language}: {stdout} {rest}");
    }
    // One purchase each, however often they asked.
    stand.settles(4);
    Ok(())
}
