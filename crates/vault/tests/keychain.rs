//! The real Secret Service: gnome-keyring on a private D-Bus session.
//!
//! Each test starts itself again inside a session of its own, with its own home, so the user's
//! keychain is never touched.

#![cfg(target_os = "linux")]

mod prompter;

use imprest_vault::{
    KdfCost, Keychain, KeychainError, KeychainSecret, KeychainState, OwnerKey, SecretText,
    SlotKind, Vault, VaultError, WayIn,
};
use prompter::Owner;
use std::process::Command;

const INSIDE: &str = "IMPREST_TEST_KEYCHAIN_SESSION";
const NEEDED: [&str; 3] = ["dbus-run-session", "dbus-send", "gnome-keyring-daemon"];

fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs one test of this binary again, on a private bus, after a shell line.
fn in_session(test: &str, prepare: &str) {
    for program in NEEDED {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        assert!(
            found,
            "{program} is not installed; install the packages dbus, dbus-bin and gnome-keyring"
        );
    }
    let home = tempfile::tempdir().expect("a folder");
    let this = std::env::current_exe().expect("this test binary");
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c"])
        .arg(format!("{prepare}\nexec \"$0\" --exact \"$1\" --nocapture"))
        .arg(this)
        .arg(test)
        .env(INSIDE, "1")
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .env("XDG_CACHE_HOME", home.path().join("cache"))
        .env("XDG_RUNTIME_DIR", home.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .output()
        .expect("dbus-run-session starts");
    assert!(
        output.status.success(),
        "inside the session: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

const UNLOCKED: &str =
    "printf 'test keyring' | gnome-keyring-daemon --unlock --components=secrets >/dev/null";

#[test]
fn an_unlocked_keychain_keeps_secrets() {
    if !inside() {
        return in_session("an_unlocked_keychain_keeps_secrets", UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let one = Keychain::open("folder-one");
        let two = Keychain::open("folder-two");
        assert_eq!(one.state().await, KeychainState::Ready);
        assert_eq!(one.load("token").await, Ok(None));
        one.store("token", "first").await.expect("kept");
        one.store("token", "second").await.expect("replaced");
        assert_eq!(two.load("token").await, Ok(None), "namespaces share");
        two.store("token", "other").await.expect("kept");
        let found = Keychain::open("folder-one").load("token").await.expect("read");
        assert_eq!(found.as_deref().map(String::as_str), Some("second"));
        one.delete("token").await.expect("removed");
        assert_eq!(one.load("token").await, Ok(None));
        let kept = two.load("token").await.expect("read");
        assert_eq!(kept.as_deref().map(String::as_str), Some("other"));
        assert_eq!(one.check().await, KeychainState::Ready);
        assert_eq!(one.load("probe").await, Ok(None), "the probe was left behind");
    });
}

#[test]
fn a_keychain_that_is_locked_says_so() {
    if !inside() {
        return in_session("a_keychain_that_is_locked_says_so", UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        keychain.store("token", "secret").await.expect("kept while unlocked");
        lock_collection();
        // With no program to ask its owner, the question is dismissed unasked.
        refuses_everything(&keychain, KeychainError::Locked, KeychainState::Locked).await;
    });
}

#[test]
fn a_keychain_whose_owner_says_no_is_denied() {
    if !inside() {
        return in_session("a_keychain_whose_owner_says_no_is_denied", UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        keychain.store("token", "secret").await.expect("kept while unlocked");
        lock_collection();
        prompter::start(Owner::SaysNo);
        refuses_everything(&keychain, KeychainError::Denied, KeychainState::Denied).await;
    });
}

#[test]
fn a_keychain_that_waits_for_its_owner_is_late() {
    if !inside() {
        return in_session("a_keychain_that_waits_for_its_owner_is_late", UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        keychain.store("token", "secret").await.expect("kept while unlocked");
        lock_collection();
        prompter::start(Owner::IsAway);
        assert_eq!(keychain.load("token").await, Err(KeychainError::TimedOut));
        assert_eq!(keychain.state().await, KeychainState::TimedOut);
        assert!(KeychainError::TimedOut.to_string().contains("within 5 seconds"));
    });
    // The call that hangs has a thread of its own, which is not waited for.
    runtime.shutdown_background();
}

async fn refuses_everything(keychain: &Keychain, error: KeychainError, state: KeychainState) {
    assert_eq!(keychain.load("token").await, Err(error.clone()));
    assert_eq!(keychain.state().await, state);
    assert_eq!(keychain.store("token", "other").await, Err(error.clone()));
    assert_eq!(keychain.state().await, state);
    assert_eq!(keychain.check().await, state);
    assert_eq!(keychain.last_refusal(), Some(error));
}

/// What a screen lock or a logout does: the owner's keyring closes while the desk runs.
fn lock_collection() {
    let output = Command::new("dbus-send")
        .args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            "array:objpath:/org/freedesktop/secrets/collection/login",
        ])
        .output()
        .expect("dbus-send starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("collection/login"), "{said}");
}

#[test]
fn a_new_account_without_a_keyring_has_no_keychain() {
    if !inside() {
        return in_session("a_new_account_without_a_keyring_has_no_keychain", "true");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        let refused = keychain.store("token", "secret").await.expect_err("there is no keyring");
        assert_eq!(refused, KeychainError::Absent);
        assert_eq!(keychain.state().await, KeychainState::Absent);
    });
}

#[test]
fn no_bus_is_no_keychain() {
    if !inside() {
        let nowhere = "export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/bus";
        return in_session("no_bus_is_no_keychain", nowhere);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        assert_eq!(keychain.state().await, KeychainState::Absent);
        assert_eq!(keychain.load("token").await, Err(KeychainError::Absent));
    });
}

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

/// A vault that opens with the real keychain and a passphrase together.
async fn strong_vault(keychain: &Keychain) -> (Vault, SecretText, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let part = KeychainSecret::create(keychain).await.expect("kept");
    let way = WayIn::Strong { keychain: part, passphrase: text("correct horse") };
    let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
    let path = folder.path().join("vault.json");
    let (vault, words) = Vault::create_with(path, &way, cheap).expect("created");
    (vault, text(words.expose()), folder)
}

/// What the owner is told, whatever the keychain's reason is, and that the words still work.
async fn is_explained_and_not_fatal(vault: &Vault, keychain: &Keychain, words: &SecretText) {
    let closed = Vault::open(vault.path()).expect("opens");
    match closed.keychain_secret(keychain).await {
        Err(VaultError::Keychain { keychain, source }) => {
            assert!(keychain.starts_with("Secret Service"), "{keychain}");
            assert_ne!(source, KeychainError::Damaged);
        }
        Err(VaultError::KeychainKeyMissing { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the keychain gave its part"),
    }
    let words = OwnerKey::Words(text(words.expose()));
    closed.unlock_with(&words).expect("the words alone open it");
    assert_eq!(
        closed.treasury_address().expect("unlocked"),
        vault.treasury_address().expect("still unlocked")
    );
}

#[test]
fn a_vault_opens_with_the_real_keychain_and_says_when_it_is_locked() {
    if !inside() {
        return in_session(
            "a_vault_opens_with_the_real_keychain_and_says_when_it_is_locked",
            UNLOCKED,
        );
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        let (vault, words, _folder) = strong_vault(&keychain).await;
        let closed = Vault::open(vault.path()).expect("opens");
        let part = closed.keychain_secret(&keychain).await.expect("given");
        closed.unlock_with(&OwnerKey::strong(part, text("correct horse"))).expect("unlocks");
        lock_collection();
        is_explained_and_not_fatal(&vault, &keychain, &words).await;
        assert!(keychain.last_refusal().is_some());
    });
}

/// The keychain's program dies in the middle: what is unlocked stays so, nothing is lost.
#[test]
fn a_keychain_that_is_killed_midway_loses_nothing() {
    if !inside() {
        return in_session("a_keychain_that_is_killed_midway_loses_nothing", UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        let (vault, words, _folder) = strong_vault(&keychain).await;
        kill_keychain();
        assert_eq!(keychain.load("token").await, Err(KeychainError::Gone));
        assert_eq!(keychain.state().await, KeychainState::Gone);
        is_explained_and_not_fatal(&vault, &keychain, &words).await;
        assert!(vault.is_unlocked(), "losing the keychain locked the vault");
        vault.address(1).expect("still derives");
        refuses_everything(&keychain, KeychainError::Gone, KeychainState::Gone).await;
    });
}

/// What a desktop does that starts it again: the new one knows nothing of the session it had.
#[test]
fn a_keychain_that_was_started_again_is_gone_for_whoever_knew_the_old_one() {
    let name = "a_keychain_that_was_started_again_is_gone_for_whoever_knew_the_old_one";
    if !inside() {
        return in_session(name, UNLOCKED);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        keychain.store("token", "secret").await.expect("kept");
        kill_keychain();
        let again = Command::new("sh").args(["-c", UNLOCKED]).status().expect("sh starts");
        assert!(again.success());
        assert_eq!(keychain.load("token").await, Err(KeychainError::Gone));
        assert_eq!(keychain.state().await, KeychainState::Gone);
    });
}

/// The keychain is gone and the passphrase forgotten: the words alone bring everything back.
#[test]
fn without_keychain_and_passphrase_the_words_bring_the_owner_back() {
    if !inside() {
        return in_session(
            "without_keychain_and_passphrase_the_words_bring_the_owner_back",
            UNLOCKED,
        );
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let keychain = Keychain::open("folder");
        let (vault, words, _folder) = strong_vault(&keychain).await;
        let addresses =
            |vault: &Vault| [0, 1, 2].map(|account| vault.address(account).expect("unlocked"));
        let before = addresses(&vault);
        vault.lock();
        kill_keychain();
        let data = std::env::var_os("XDG_DATA_HOME").expect("the session's own");
        let kept = std::path::Path::new(&data).join("keyrings");
        std::fs::remove_dir_all(kept).expect("the keychain's files are lost");

        let back = Vault::open(vault.path()).expect("opens");
        back.unlock_with_words(&words, &text("battery staple")).expect("the words open it");
        assert_eq!(addresses(&back), before);
        let again = Vault::open(vault.path()).expect("opens");
        assert_eq!(again.slots()[0].kind, SlotKind::Passphrase);
        again.unlock(&text("battery staple")).expect("the new passphrase opens it");
        assert_eq!(addresses(&again), before);
    });
}

/// Ends the program that answers for the keychain on this session's own bus.
fn kill_keychain() {
    let output = Command::new("dbus-send")
        .args([
            "--session",
            "--print-reply=literal",
            "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.GetConnectionUnixProcessID",
            "string:org.freedesktop.secrets",
        ])
        .output()
        .expect("dbus-send starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let id = said.split_whitespace().last().and_then(|id| id.parse().ok()).expect("a process");
    let process = rustix::process::Pid::from_raw(id).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("killed");
}
