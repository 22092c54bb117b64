//! Ways in: keychain, passphrase and words, and what happens when one is lost.

use super::*;
use crate::keychain::KeychainError;
use crate::slots::SlotKind;

/// A vault that opens with keychain and passphrase together.
async fn strong(keychain: &Keychain) -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let part = KeychainSecret::create(keychain).await.expect("kept");
    let way = WayIn::Strong { keychain: part, passphrase: text("correct horse") };
    let (vault, words) = Vault::create_with(&path, &way, cheap()).expect("created");
    Made { vault, words: text(words.expose()), path, _folder: folder }
}

async fn strong_key(vault: &Vault, keychain: &Keychain, passphrase: &str) -> OwnerKey {
    let part = vault.keychain_secret(keychain).await.expect("given");
    OwnerKey::strong(part, text(passphrase))
}

fn words_key(words: &SecretText) -> OwnerKey {
    OwnerKey::Words(text(words.expose()))
}

fn kinds(vault: &Vault) -> Vec<SlotKind> {
    vault.slots().iter().map(|slot| slot.kind).collect()
}

#[tokio::test]
async fn a_strong_vault_needs_both_halves() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, .. } = &strong(&keychain).await;
    let treasury = vault.treasury_address().expect("unlocked");
    let again = Vault::open(path).expect("opens");
    assert_eq!(kinds(&again), [SlotKind::Strong, SlotKind::Recovery]);
    assert_eq!(again.slots()[0].keychain.as_deref(), Some("memory (memory)"));
    let by_passphrase = refusal(again.unlock(&text("correct horse")));
    assert!(matches!(by_passphrase, VaultError::KeychainNeeded { .. }), "{by_passphrase}");
    let by_keychain = OwnerKey::everyday(again.keychain_secret(&keychain).await.expect("given"));
    assert!(matches!(refusal(again.unlock_with(&by_keychain)), VaultError::NoKeychainSlot));
    let wrong = strong_key(&again, &keychain, "wrong horse").await;
    assert!(matches!(refusal(again.unlock_with(&wrong)), VaultError::WrongPassphrase));
    assert!(!again.is_unlocked());
    again.unlock_with(&strong_key(&again, &keychain, "correct horse").await).expect("unlocks");
    assert_eq!(again.treasury_address().expect("unlocked"), treasury);
}

/// Every state of a keychain that does not give its part has its own words, and none is the end.
#[tokio::test]
async fn a_keychain_that_fails_is_explained_and_never_fatal() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, words, .. } = &strong(&keychain).await;
    let treasury = vault.treasury_address().expect("unlocked");
    let lost = Vault::open(path).expect("opens");

    let refused = refusal(lost.keychain_secret(&Keychain::none()).await);
    let said = refused.to_string();
    assert!(
        matches!(refused, VaultError::Keychain { source: KeychainError::Absent, .. }),
        "{said}"
    );
    assert!(said.contains("memory (memory)") && said.contains("24 recovery words"), "{said}");

    let emptied = refusal(lost.keychain_secret(&Keychain::in_memory()).await);
    assert!(matches!(emptied, VaultError::KeychainKeyMissing { .. }), "{emptied}");

    let kde = refusal(lost.keychain_secret(&Keychain::in_memory_as("kde")).await);
    match &kde {
        VaultError::OtherKeychain { recorded, found } => {
            assert_eq!((recorded.as_str(), found.as_str()), ("memory (memory)", "memory (kde)"));
        }
        other => panic!("{other}"),
    }
    assert!(kde.to_string().contains("24 recovery words"), "{kde}");

    lost.unlock_with(&words_key(words)).expect("the words alone open it");
    assert_eq!(lost.treasury_address().expect("unlocked"), treasury);
    assert_eq!(lost.generation(), 1, "opening by words changed the file");
}

/// The keychain is lost and the passphrase known: the words bring the owner back, and a new
/// keychain takes the place of the old one.
#[tokio::test]
async fn a_lost_keychain_is_replaced_by_words() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, words, .. } = &strong(&keychain).await;
    let treasury = vault.treasury_address().expect("unlocked");
    let old_slot = vault.slots()[0].id.expect("of the present form");
    let old_key = strong_key(vault, &keychain, "correct horse").await;
    let other = Keychain::in_memory_as("kde");

    let lost = Vault::open(path).expect("opens");
    let part = KeychainSecret::create(&other).await.expect("kept");
    let way = WayIn::Strong { keychain: part, passphrase: text("battery staple") };
    lost.replace_ways(&words_key(words), &way).expect("replaced");
    assert!(!lost.is_unlocked(), "replacing the way in unlocked the vault");
    assert_eq!(lost.slots()[0].keychain.as_deref(), Some("memory (kde)"));

    let back = Vault::open(path).expect("opens");
    assert_eq!(back.generation(), 2);
    assert!(matches!(refusal(back.unlock_with(&old_key)), VaultError::NoKeychainSlot));
    back.unlock_with(&strong_key(&back, &other, "battery staple").await).expect("unlocks");
    assert_eq!(back.treasury_address().expect("unlocked"), treasury);
    back.forget_in_keychain(&keychain, old_slot).await.expect("the old entry is no use any more");
    assert!(matches!(
        refusal(back.keychain_secret(&keychain).await),
        VaultError::OtherKeychain { .. }
    ));
    let needed = back.slots()[0].id.expect("of the present form");
    assert!(matches!(
        refusal(back.forget_in_keychain(&other, needed).await),
        VaultError::LastWayIn
    ));
}

#[tokio::test]
async fn ways_in_are_added_and_removed() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, words, .. } = &strong(&keychain).await;
    let key = || strong_key(vault, &keychain, "correct horse");
    let strong_slot = vault.slots()[0].id.expect("of the present form");
    let recovery = vault.slots()[1].id.expect("of the present form");
    for (slot, expected) in [(recovery, "RecoverySlot"), (strong_slot, "LastWayIn")] {
        let refused = refusal(vault.remove_way(&key().await, slot));
        assert_eq!(format!("{refused:?}"), expected);
    }
    let everyday = KeychainSecret::create(&keychain).await.expect("kept");
    vault.put_way(&key().await, &WayIn::Everyday(everyday)).expect("added");
    vault
        .put_way(&words_key(words), &WayIn::Passphrase(text("passphrase alone")))
        .expect("added by the words");
    assert_eq!(
        kinds(vault),
        [SlotKind::Passphrase, SlotKind::Everyday, SlotKind::Strong, SlotKind::Recovery]
    );
    vault.remove_way(&words_key(words), strong_slot).expect("removed");
    let again = Vault::open(path).expect("opens");
    assert_eq!(again.generation(), 4);
    let everyday = OwnerKey::everyday(again.keychain_secret(&keychain).await.expect("given"));
    again.unlock_with(&everyday).expect("the keychain alone");
    again.lock();
    again.unlock(&text("passphrase alone")).expect("the passphrase alone");
    let gone = refusal(again.remove_way(&words_key(words), strong_slot));
    assert!(matches!(gone, VaultError::NoSuchSlot));
}

#[tokio::test]
async fn the_passphrase_of_a_strong_slot_changes_with_its_keychain_kept() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, .. } = &strong(&keychain).await;
    let old = strong_key(vault, &keychain, "correct horse").await;
    vault.change_passphrase_with(&old, None, &text("battery staple")).expect("changes");
    let again = Vault::open(path).expect("opens");
    assert_eq!(kinds(&again), [SlotKind::Strong, SlotKind::Recovery]);
    assert!(matches!(refusal(again.unlock_with(&old)), VaultError::WrongPassphrase));
    again.unlock_with(&strong_key(&again, &keychain, "battery staple").await).expect("unlocks");
    let short = refusal(again.change_passphrase_with(
        &strong_key(&again, &keychain, "battery staple").await,
        None,
        &text("short"),
    ));
    assert!(matches!(short, VaultError::PassphraseTooShort { .. }));
    let part = again.keychain_secret(&keychain).await.expect("given");
    let no_passphrase =
        again.change_passphrase_with(&OwnerKey::everyday(part), None, &text("battery staple"));
    assert!(matches!(refusal(no_passphrase), VaultError::NoPassphraseSlot));
}

/// A slot that kept the old passphrase would make the change worth nothing.
#[tokio::test]
async fn a_new_passphrase_is_the_only_one_from_then_on() {
    let keychain = Keychain::in_memory();
    let Made { vault, path, .. } = &strong(&keychain).await;
    let old = async |vault: &Vault| strong_key(vault, &keychain, "correct horse").await;
    let alone = WayIn::Passphrase(text("correct horse"));
    vault.put_way(&old(vault).await, &alone).expect("added");
    let by_passphrase = OwnerKey::passphrase(text("correct horse"));
    let unreached = vault.change_passphrase_with(&by_passphrase, None, &text("battery staple"));
    assert!(matches!(refusal(unreached), VaultError::OtherKeychain { .. }));
    vault.unlock(&text("correct horse")).expect("nothing has changed");
    let part = vault.keychain_secret(&keychain).await.expect("given");
    vault
        .change_passphrase_with(&by_passphrase, Some(&part), &text("battery staple"))
        .expect("changes");
    let again = Vault::open(path).expect("opens");
    assert_eq!(kinds(&again), [SlotKind::Passphrase, SlotKind::Strong, SlotKind::Recovery]);
    for old in [by_passphrase, old(&again).await] {
        assert!(matches!(refusal(again.unlock_with(&old)), VaultError::WrongPassphrase));
    }
    again.unlock(&text("battery staple")).expect("alone");
    again.lock();
    again.unlock_with(&strong_key(&again, &keychain, "battery staple").await).expect("both");
}

#[tokio::test]
async fn an_altered_keychain_entry_is_named() {
    let keychain = Keychain::in_memory();
    let Made { vault, .. } = &strong(&keychain).await;
    let slot = vault.slots()[0].id.expect("of the present form");
    for bad in ["", "00", "not hex at all", &"00".repeat(33)] {
        if !bad.is_empty() {
            keychain.store(&format!("vault-slot.{slot}"), bad).await.expect("kept");
            let refused = refusal(vault.keychain_secret(&keychain).await);
            assert!(matches!(refused, VaultError::WrongKeychainKey { .. }), "{refused}");
        }
    }
    keychain.store(&format!("vault-slot.{slot}"), &"00".repeat(32)).await.expect("kept");
    let key = strong_key(vault, &keychain, "correct horse").await;
    assert!(matches!(refusal(vault.unlock_with(&key)), VaultError::WrongPassphrase));
}

#[tokio::test]
async fn a_vault_is_restored_from_words_into_any_way_in() {
    let keychain = Keychain::in_memory();
    let Made { vault, words, _folder, .. } = &strong(&keychain).await;
    let elsewhere = _folder.path().join("restored.json");
    let way = WayIn::Everyday(KeychainSecret::create(&keychain).await.expect("kept"));
    let restored = Vault::restore_with(&elsewhere, words, &way, cheap()).expect("restores");
    assert_eq!(
        restored.treasury_address().expect("unlocked"),
        vault.treasury_address().expect("unlocked")
    );
    assert_eq!(
        restored.statement_key().expect("unlocked"),
        vault.statement_key().expect("unlocked")
    );
}

#[tokio::test]
async fn a_failed_write_keeps_every_way_in() {
    let keychain = Keychain::in_memory();
    let Made { vault, words, _folder, .. } = strong(&keychain).await;
    let key = strong_key(&vault, &keychain, "correct horse").await;
    drop(_folder);
    let way = WayIn::Passphrase(text("battery staple"));
    for refused in [
        vault.put_way(&key, &way),
        vault.replace_ways(&words_key(&words), &way),
        vault.set_treasury(&key, NewTreasury::Watch { address: Address::ZERO }),
    ] {
        assert!(matches!(refusal(refused), VaultError::Io { .. }));
    }
    assert_eq!((vault.generation(), kinds(&vault).len()), (1, 2));
    assert_eq!(vault.treasury(), Treasury::Own);
    vault.unlock_with(&key).expect("still opens");
}

#[test]
fn an_older_copy_of_the_file_is_noticed() {
    let Made { vault, path, .. } = &made();
    let old = std::fs::read(path).expect("reads");
    vault.change_passphrase(&text("correct horse"), &text("battery staple")).expect("changes");
    let seen = vault.generation();
    std::fs::write(path, old).expect("put back");
    let older = Vault::open(path).expect("opens");
    match older.refuse_older_than(seen) {
        Err(VaultError::OlderCopy { found: 1, seen: 2 }) => {}
        other => panic!("{other:?}"),
    }
    vault.refuse_older_than(seen).expect("not older");
}

/// Written by the first release of this crate, with the words of all 0x7f.
#[test]
fn a_vault_of_the_first_form_keeps_its_addresses() {
    use alloy_primitives::address;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let fixture = include_bytes!("../../../tests/fixtures/vault-form-1.json");
    std::fs::write(&path, fixture).expect("writes");
    let vault = Vault::open(&path).expect("opens");
    assert_eq!(kinds(&vault), [SlotKind::Passphrase, SlotKind::Recovery]);
    let as_before = |vault: &Vault| {
        let seal_key = "02367e3564947c927fcefac55c664beed9c9123c438a2c7e67ffc7d6fb249305";
        let expected = hex::decode(seal_key).expect("hex").try_into().expect("32 bytes");
        let expected = imprest_ledger::SealKey::new(expected);
        assert!(vault.seal_key().expect("unlocked") == expected);
        for (account, address) in [
            (0, address!("2f826cb22E80a2c40f149Ecb92b2Fa5ecBf67170")),
            (1, address!("D61E267d40e3Ab92f6B7480daa9e051462e4c2eA")),
            (7, address!("9E64E14AA7A873e561e3d55CE5C3d1C77C2679d0")),
        ] {
            assert_eq!(vault.address(account).expect("unlocked"), address);
        }
    };
    vault.unlock(&text("correct horse")).expect("unlocks");
    as_before(&vault);
    assert_eq!(std::fs::read(&path).expect("reads"), fixture, "unlocking rewrote the file");
    vault.change_passphrase(&text("correct horse"), &text("battery staple")).expect("changes");
    let again = Vault::open(&path).expect("opens");
    assert!(again.slots().iter().all(|slot| slot.id.is_some()), "still of the first form");
    again.unlock(&text("battery staple")).expect("unlocks");
    as_before(&again);
}
