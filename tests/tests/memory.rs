//! What the real program leaves in its memory when it locks, and who may read that memory at all.
//!
//! `cargo xtask test` runs these twice: on the build that all journeys use, and on one that is
//! optimised and hardened as what is shipped.

#![cfg(target_os = "linux")]

#[path = "../../crates/vault/tests/reader/mod.rs"]
mod reader;

use alloy::signers::local::{MnemonicBuilder, coins_bip39::English};
use imprest_tests::{Desk, Obstacle, PASSPHRASE, Secret, built_program, found_in_memory, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A treasury key from elsewhere, in hex.
const IMPORTED: &str = "6b8cdd1e25b35a7f8e0f5a3c5b0d6c4f7e2a91d35c8b4470a1c2f6e9d0b37a58";
/// A user who owns nothing else.
const NOBODY: u32 = 65534;

/// Whether the program is the build of everyday development, which a debugger may look into.
fn is_debug_build() -> Result<bool, Obstacle> {
    let program = built_program("imprest")?;
    Ok(program.parent().is_some_and(|folder| folder.ends_with("debug")))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn the_locked_program_has_no_secret_in_memory() -> Result<(), Obstacle> {
    let folder = TempDir::new().expect("a folder");
    let mut desk = Desk::at(folder.path())?;
    let words = words(desk.owner(&["init", "--practice"])?.done()?);
    desk.serve()?;
    let token = desk.add_agent("Scout", &["--grade", "L3", "--per-day", "5"])?;
    desk.stop()?;
    let lines = format!("{PASSPHRASE}\n{IMPORTED}");
    desk.owner_with(&lines, &["treasury", "import", "--raw-stdin"])?.done()?;
    let file = fs::read(folder.path().join("vault.json")).expect("the vault's file");
    let secrets = secrets(&words, &file);

    // From here on the program knows of the passphrase what its standard input gave it.
    let good = desk.serve()?.practice.as_ref().expect("practice").good("weather");
    let bought = desk.agent(&token, &["fetch", &good, "--wait", "30000"])?;
    assert_eq!(bought.done()?["status"], "settled", "{bought:?}");
    let unlocked = match found_in_memory(desk.process()?, &secrets) {
        Ok(found) => found,
        // Whoever is not root cannot look into a hardened build; that is what hardening is for.
        Err(_) if !is_root() && !is_debug_build()? => return Ok(()),
        Err(refused) => return Err(refused),
    };
    for name in ["the entropy", "the seed", "the agent's key in use", "the imported key in use"] {
        assert!(unlocked.contains(&name), "the search does not find {name}: {unlocked:?}");
    }
    for passing in ["the passphrase", "the stretched passphrase", "the slot's key", "the data key"]
    {
        assert!(!unlocked.contains(&passing), "still in memory after unlocking: {passing}");
    }
    desk.read(&["lock"])?.done()?;
    let locked = found_in_memory(desk.process()?, &secrets)?;
    assert!(locked.is_empty(), "still in memory after the lock: {locked:?}");

    // The same after the owner's programs have sent the passphrase and were shown the words.
    desk.owner(&["unlock"])?.done()?;
    assert_eq!(desk.owner(&["vault", "words"])?.done()?["words"][0], first_word(&words));
    desk.read(&["lock"])?.done()?;
    let locked = found_in_memory(desk.process()?, &secrets)?;
    assert!(locked.is_empty(), "still in memory after they were sent and shown: {locked:?}");
    desk.stop()
}

fn words(made: &Value) -> String {
    let words: Vec<&str> =
        made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    assert_eq!(words.len(), 24);
    words.join(" ")
}

fn first_word(words: &str) -> &str {
    words.split(' ').next().expect("24 words")
}

fn secrets(words: &str, file: &[u8]) -> Vec<Secret> {
    let mnemonic = bip39::Mnemonic::parse(words).expect("words");
    let entropy = mnemonic.to_entropy();
    let steps = reader::open(file, PASSPHRASE);
    let derived = |info: &[u8]| {
        let mut key = vec![0; 32];
        hkdf::Hkdf::<sha2::Sha256>::new(Some(b"imprest"), &entropy)
            .expand(info, &mut key)
            .expect("expands");
        key
    };
    let account = |account: u32| {
        MnemonicBuilder::<English>::from_phrase(words)
            .derivation_path(format!("m/44'/60'/{account}'/0/0"))
            .and_then(|builder| builder.build())
            .expect("derives")
            .to_bytes()
            .to_vec()
    };
    let imported = hex::decode(IMPORTED).expect("hex");
    vec![
        Secret::new("the passphrase", PASSPHRASE),
        Secret::new("the stretched passphrase", steps.stretched),
        Secret::new("the slot's key", steps.slot_key),
        Secret::new("the data key", steps.data_key),
        Secret::new("the words", words),
        Secret::new("the words as a list", words.replace(' ', "\",\"")),
        Secret::new("the seed", mnemonic.to_seed("")),
        Secret::new("the statement key", derived(b"imprest vault 2: statements, Ed25519")),
        Secret::new("the ledger's seal", derived(b"imprest vault 1: ledger head")),
        Secret::new("the treasury's key", account(0)),
        Secret::reversed("the treasury's key in use", account(0)),
        Secret::new("the agent's key", account(1)),
        Secret::reversed("the agent's key in use", account(1)),
        Secret::new("the imported key", imported.clone()),
        Secret::reversed("the imported key in use", imported),
        Secret::new("the imported key in hex", IMPORTED),
        Secret::new("the entropy", entropy),
    ]
}

/// A hardened program's memory belongs to root, so that programs of the same user, as agents are,
/// cannot read it; and it leaves no core behind, however it ends.
///
/// Every command hardens itself before it does anything else; this one then waits for its words.
#[test]
fn memory_is_closed_to_programs_of_the_same_user() -> Result<(), Obstacle> {
    let home = TempDir::new().expect("a folder");
    // As somebody who owns no more than the desk; root could read everything.
    let program = home.path().join("imprest");
    fs::copy(built_program("imprest")?, &program).expect("copied");
    let user = if is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
    for path in [home.path(), program.as_path()] {
        chown(path, Some(user), None).expect("given away");
    }
    let mut command = as_user(user, &program);
    command.args(["recover", "--passphrase-stdin", "--data"]).arg(home.path());
    command.current_dir(home.path()).env("HOME", home.path()).stdin(Stdio::piped());
    let is_debug = is_debug_build()?;
    let mut desk = command.spawn().expect("it starts");
    let process = desk.id();
    let of = |name: &str| format!("/proc/{process}/{name}");
    let is_closed = || fs::metadata(of("mem")).is_ok_and(|memory| memory.uid() == 0);
    let has_no_core = || {
        let limits = fs::read_to_string(of("limits")).unwrap_or_default();
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        core.is_some_and(|core| core.split_whitespace().skip(4).take(2).eq(["0", "0"]))
    };
    // Before it is this program, it is the one that changes the user.
    let is_it = || fs::read_to_string(of("comm")).is_ok_and(|name| name.trim() == "imprest");
    let hardened = until("the program is hardened", Duration::from_secs(30), || {
        Ok((is_it() && has_no_core() && (is_debug || is_closed())).then_some(()))
    });
    let read = as_user(user, Path::new("cat")).arg(of("maps")).output();
    let closed = is_closed();
    let ended = desk.kill().and_then(|()| desk.wait());
    hardened?;
    ended.expect("it ran until it was ended");
    let read = read.expect("cat starts");
    if is_debug {
        assert_eq!((closed, read.status.success()), (false, true), "a debugger has to work");
    } else {
        assert_eq!((read.status.success(), read.stdout.len()), (false, 0), "it can be read");
    }
    Ok(())
}

fn as_user(user: u32, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
    command.args(["--clear-groups", "--"]).arg(program);
    command
}
