//! What a copy of the whole memory of a locked desk holds: no key.
//!
//! A second process unlocks a vault, signs, locks and waits; this one reads its memory as a
//! debugger would, and searches it.

#![cfg(target_os = "linux")]

mod desk;
mod reader;

use alloy::signers::local::{MnemonicBuilder, coins_bip39::English};
use desk::{desk, grant};
use imprest_vault::{ImportedKey, KdfCost, NewTreasury, OwnerKey, SecretText, Vault};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const INSIDE: &str = "IMPREST_TEST_MEMORY_VAULT";
const PASSPHRASE: &str = "canary passphrase 7391";
/// A treasury key from elsewhere, in hex.
const IMPORTED: &str = "6b8cdd1e25b35a7f8e0f5a3c5b0d6c4f7e2a91d35c8b4470a1c2f6e9d0b37a58";

/// The second process: tells each step on standard output, and goes on at a line of input.
fn inside(path: &Path) {
    let vault = Vault::open(path).expect("opens");
    let passphrase = std::fs::read_to_string(path.with_file_name("passphrase")).expect("reads");
    vault.unlock(&SecretText::new(passphrase.clone())).expect("unlocks");
    vault.treasury_address().expect("unlocked");
    vault.sign_statement(b"a statement").expect("signs");
    let owner = OwnerKey::passphrase(SecretText::new(passphrase));
    let now = std::time::Instant::now();
    let presence = vault.verify_owner(&owner, now).expect("here");
    drop(vault.reveal_words(&presence, now).expect("shown"));
    drop(owner);
    let float = vault.address(1).expect("unlocked");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (desk, leave) = runtime.block_on(async {
        let desk = desk(vault, float).await;
        let leave = grant(&desk).await;
        (desk, leave)
    });
    std::thread::scope(|scope| {
        // Each of the two threads touches a key last, and then leaves its stack as it is.
        let (done, derived) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let vault = &desk.vault;
        scope.spawn(move || {
            vault.address(7).expect("unlocked");
            done.send(()).expect("waited for");
            let _ = ended.recv();
        });
        derived.recv().expect("derived");
        vault.sign(leave).expect("signs");
        pause("unlocked");
        vault.lock();
        pause("locked");
        drop(end);
    });
}

fn pause(step: &str) {
    println!("step {step}");
    std::io::stdout().flush().expect("told");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
}

#[test]
fn a_locked_desk_has_no_key_in_memory() {
    if let Some(path) = std::env::var_os(INSIDE) {
        return inside(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
    let passphrase = || SecretText::new(PASSPHRASE.into());
    let (vault, words) = Vault::create(&path, &passphrase(), cheap).expect("created");
    let imported = ImportedKey::from_hex(&SecretText::new(IMPORTED.into())).expect("a key");
    vault
        .set_treasury(&OwnerKey::passphrase(passphrase()), NewTreasury::Import(imported))
        .expect("imported");
    let steps = reader::open(&std::fs::read(&path).expect("reads"), PASSPHRASE);
    let imported = hex::decode(IMPORTED).expect("hex");
    assert!(steps.contents.windows(32).any(|window| window == imported));
    let mut statement = vec![0; 32];
    std::fs::write(path.with_file_name("passphrase"), PASSPHRASE).expect("written");
    let entropy = bip39::Mnemonic::parse(words.expose()).expect("words").to_entropy();
    let key = |account| {
        MnemonicBuilder::<English>::from_phrase(words.expose())
            .derivation_path(format!("m/44'/60'/{account}'/0/0"))
            .and_then(|builder| builder.build())
            .expect("derives")
            .to_bytes()
            .to_vec()
    };
    // A key in use is a number in machine order; its bytes as written are the other way round.
    let reversed = |mut bytes: Vec<u8>| {
        bytes.reverse();
        bytes
    };
    let seed = bip39::Mnemonic::parse(words.expose()).expect("words").to_seed("").to_vec();
    hkdf::Hkdf::<sha2::Sha256>::new(Some(b"imprest"), &entropy)
        .expand(b"imprest vault 2: statements, Ed25519", &mut statement)
        .expect("expands");
    let secrets = [
        ("the entropy", entropy),
        ("the data key", steps.data_key),
        ("the stretched passphrase", steps.stretched),
        ("the slot's key", steps.slot_key),
        ("the statement key", statement),
        ("the imported key", imported.clone()),
        ("the imported key in use", reversed(imported)),
        ("the words", words.expose().as_bytes().to_vec()),
        ("the seed", seed),
        ("the passphrase", PASSPHRASE.as_bytes().to_vec()),
        ("the treasury's key", key(0)),
        ("the treasury's key in use", reversed(key(0))),
        ("an agent's key", key(1)),
        ("an agent's key in use", reversed(key(1))),
        ("another agent's key", key(7)),
        ("another agent's key in use", reversed(key(7))),
    ];
    let mut other = start(&path);
    let mut said = BufReader::new(other.stdout.take().expect("a pipe"));
    wait_for(&mut said, "step unlocked");
    let unlocked = found(other.id(), &secrets);
    assert!(unlocked.contains(&"the entropy"), "the search finds nothing: {unlocked:?}");
    for key in ["an agent's key in use", "the imported key in use"] {
        assert!(unlocked.contains(&key), "the search finds no key: {unlocked:?}");
    }
    // What only unlocking needs is gone as soon as it is done.
    for passing in ["the data key", "the stretched passphrase", "the slot's key", "the passphrase"]
    {
        assert!(!unlocked.contains(&passing), "still in memory while unlocked: {unlocked:?}");
    }
    other.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("told");
    wait_for(&mut said, "step locked");
    let locked = found(other.id(), &secrets);
    other.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("told");
    std::io::copy(&mut said, &mut std::io::sink()).expect("read to the end");
    assert!(other.wait().expect("ends").success());
    assert!(locked.is_empty(), "still in memory after lock: {locked:?} (unlocked: {unlocked:?})");
}

fn start(vault: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test binary"))
        .args(["--exact", "a_locked_desk_has_no_key_in_memory", "--nocapture"])
        .env(INSIDE, vault)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn wait_for(said: &mut impl BufRead, step: &str) {
    let mut line = String::new();
    while !line.contains(step) {
        line.clear();
        assert!(said.read_line(&mut line).expect("reads") > 0, "ended before: {step}");
    }
}

/// The names of the secrets that are somewhere in a process's readable memory.
fn found<'a>(process: u32, secrets: &[(&'a str, Vec<u8>)]) -> Vec<&'a str> {
    let mut maps = String::new();
    File::open(format!("/proc/{process}/maps"))
        .and_then(|mut maps_file| maps_file.read_to_string(&mut maps))
        .expect("the memory map");
    let memory = File::open(format!("/proc/{process}/mem"))
        .expect("this process may read the other's memory, as its parent");
    // By their first two bytes, because there is much memory to go through.
    let mut begins = vec![false; 1 << 16];
    for (_, secret) in secrets {
        begins[usize::from(u16::from_be_bytes([secret[0], secret[1]]))] = true;
    }
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().and_then(|r| r.split_once('-')).expect("a range");
        let start = u64::from_str_radix(start, 16).expect("an address");
        let end = u64::from_str_radix(end, 16).expect("an address");
        let mut bytes = vec![0; usize::try_from(end - start).expect("a size")];
        // Guard pages and the like cannot be read; they hold nothing.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        for (at, pair) in bytes.windows(2).enumerate() {
            if !begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            for (name, secret) in secrets {
                if bytes[at..].starts_with(secret) && !found.contains(name) {
                    found.push(name);
                }
            }
        }
    }
    found
}
