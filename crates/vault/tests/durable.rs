//! A change that is in its place while the disk does not confirm it: nothing that opens the file
//! before it, or the file itself, is thrown away.
//!
//! The failure is a real one. A folder that may be written to and not read takes the new file, and
//! refuses to be opened for its sync.

#![cfg(target_os = "linux")]

use imprest_vault::{
    KdfCost, Keychain, KeychainSecret, OwnerKey, SecretText, SlotKind, Vault, VaultError, WayIn,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const INSIDE: &str = "IMPREST_TEST_WITHOUT_OVERRIDE";

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn cheap() -> KdfCost {
    KdfCost::new(19 * 1024, 1, 1).expect("in bounds")
}

/// Runs one test of this binary again as somebody whom permissions bind, which root is not.
fn bound_by_permissions(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() || !rustix::process::geteuid().is_root() {
        return true;
    }
    let output = Command::new("setpriv")
        .args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--"])
        .arg(std::env::current_exe().expect("this test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("setpriv starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "the test did not run: {said}");
    false
}

fn set_mode(folder: &Path, mode: u32) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("permitted");
}

async fn strong(keychain: &Keychain, passphrase: &str) -> WayIn {
    let secret = KeychainSecret::create(keychain).await.expect("kept");
    WayIn::Strong { keychain: secret, passphrase: text(passphrase) }
}

/// Opens a file as a desk that starts anew does, with the part its keychain keeps.
async fn opens(path: &Path, keychain: &Keychain, passphrase: &str) -> Result<(), VaultError> {
    let vault = Vault::open(path).expect("reads");
    let part = vault.keychain_secret_for(keychain, SlotKind::Strong).await?;
    vault.unlock_with(&OwnerKey::strong(part, text(passphrase)))
}

async fn key(vault: &Vault, keychain: &Keychain, passphrase: &str) -> OwnerKey {
    let part = vault.keychain_secret_for(keychain, SlotKind::Strong).await.expect("kept");
    OwnerKey::strong(part, text(passphrase))
}

#[test]
fn a_change_that_the_disk_does_not_confirm_keeps_both_files_openable() {
    if !bound_by_permissions("a_change_that_the_disk_does_not_confirm_keeps_both_files_openable") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vault.json");
        let before = folder.path().join("before.json");
        let keychain = Keychain::in_memory();
        let way = strong(&keychain, "correct horse").await;
        let (vault, _words) = Vault::create_with(&path, &way, cheap()).expect("created");
        let old_slot = vault.slots()[0].id.expect("a name");
        std::fs::copy(&path, &before).expect("copied");
        assert_eq!((vault.unconfirmed(), vault.confirmed_generation()), (None, 1));

        set_mode(folder.path(), 0o300);
        let owner = key(&vault, &keychain, "correct horse").await;
        let new = strong(&keychain, "battery staple").await;
        vault.replace_ways(&owner, &new).expect("the new file is in its place");
        set_mode(folder.path(), 0o700);
        let new_slot = vault.slots()[0].id.expect("a name");
        let said = vault.unconfirmed().expect("the owner is told");
        for part in ["did not confirm", "power cut", "keep the old passphrase", "Permission denied"]
        {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!((vault.generation(), vault.confirmed_generation()), (2, 1));
        assert!(vault.take_superseded().is_empty(), "the old file may come back");
        for slot in [old_slot, new_slot] {
            assert!(vault.may_need(slot));
            let refused = vault.forget_in_keychain(&keychain, slot).await.expect_err("needed");
            assert!(matches!(refused, VaultError::LastWayIn), "{refused}");
        }
        // Whichever of the two a power cut leaves.
        opens(&path, &keychain, "battery staple").await.expect("the new one");
        opens(&before, &keychain, "correct horse").await.expect("the old one");
        Vault::open(&before)
            .expect("reads")
            .refuse_older_than(vault.confirmed_generation())
            .expect("it may come back");

        // The next change that is confirmed ends the doubt, and what only the old file needs goes.
        let owner = key(&vault, &keychain, "battery staple").await;
        vault.change_passphrase_with(&owner, None, &text("third passphrase")).expect("changes");
        assert_eq!((vault.unconfirmed(), vault.confirmed_generation()), (None, 3));
        assert_eq!(vault.take_superseded(), [old_slot]);
        vault.forget_in_keychain(&keychain, old_slot).await.expect("forgotten");
        opens(&path, &keychain, "third passphrase").await.expect("the last one");
        let gone = opens(&before, &keychain, "correct horse").await.expect_err("forgotten");
        assert!(matches!(gone, VaultError::KeychainKeyMissing { .. }), "{gone}");
    });
}

#[test]
fn a_new_vault_that_the_disk_does_not_confirm_is_made_and_shows_its_words() {
    let name = "a_new_vault_that_the_disk_does_not_confirm_is_made_and_shows_its_words";
    if !bound_by_permissions(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    set_mode(folder.path(), 0o300);
    let made = Vault::create(&path, &text("correct horse"), cheap());
    set_mode(folder.path(), 0o700);
    let (vault, words) = made.expect("the file is there, and nobody else will show its words");
    assert_eq!(words.words().count(), 24);
    assert_eq!(vault.confirmed_generation(), 0);
    assert!(vault.unconfirmed().is_some_and(|said| said.contains("did not confirm")));
    Vault::open(&path).expect("reads").unlock(&text("correct horse")).expect("opens");
}
