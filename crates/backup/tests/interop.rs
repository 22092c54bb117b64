//! A backup without this program: `age` and `tar` open it. Debian's package is named `age`.
#![cfg(unix)]

mod common;

use common::*;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command that asks for its passphrase at a terminal, and types it.
fn at_a_terminal(command: &str, folder: &Path, typed: &str) {
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script starts; it is part of util-linux");
    let mut stdin = script.stdin.take().expect("has one");
    writeln!(stdin, "{typed}").expect("types");
    let done = script.wait_with_output().expect("ends");
    drop(stdin);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "`{command}` failed: {said}");
}

#[tokio::test]
async fn age_and_tar_open_it() {
    assert!(
        Command::new("age").arg("--version").output().is_ok(),
        "the program `age` is missing; `cargo xtask setup` installs it"
    );
    let desk = Desk::open().await;
    desk.pay().await;
    let plan = desk.plan("desk.age");
    let written = imprest_backup::write(plan, &secret(PASSPHRASE), |_| ()).await.expect("writes");
    let shelf = desk.shelf();
    at_a_terminal("age --decrypt --output desk.tar desk.age", &shelf, PASSPHRASE);
    let unpacked = Command::new("tar").args(["-xf", "desk.tar"]).current_dir(&shelf).status();
    assert!(unpacked.expect("tar starts").success());
    let vault = fs::read(shelf.join("vault.json")).expect("is there");
    assert_eq!(vault, fs::read(desk.folder.join("vault.json")).expect("is there"));
    assert_eq!(fs::read_to_string(shelf.join("desk.json")).expect("is there"), SETTINGS);
    for file in &written.manifest.files {
        use sha2::Digest;
        let bytes = fs::read(shelf.join(file.name.name())).expect("is there");
        assert_eq!(<[u8; 32]>::from(sha2::Sha256::digest(&bytes)), file.sha256);
    }
    let manifest = fs::read(shelf.join("manifest.json")).expect("is there");
    let manifest: imprest_backup::Manifest = serde_json::from_slice(&manifest).expect("reads");
    assert_eq!(manifest, written.manifest);
}
