//! What only a present owner may do, and whose key the treasury is.

use super::*;
use alloy_primitives::address;
use std::process::{Command, Stdio};
use std::time::Duration;

fn passphrase_key() -> OwnerKey {
    OwnerKey::passphrase(text("correct horse"))
}

fn imported() -> ImportedKey {
    let digits = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    ImportedKey::from_hex(&text(digits)).expect("a key")
}

const IMPORTED: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

#[test]
fn presence_is_short_and_ends_with_a_lock() {
    let Made { vault, words, .. } = &made();
    let now = Instant::now();
    let wrong = vault.verify_owner(&OwnerKey::passphrase(text("wrong horse")), now);
    assert!(matches!(refusal(wrong), VaultError::WrongPassphrase));
    for key in [passphrase_key(), OwnerKey::Words(text(words.expose()))] {
        let presence = vault.verify_owner(&key, now).expect("here");
        vault.require(&presence, now).expect("here");
        let late = vault.require(&presence, now + Duration::from_secs(120));
        assert!(matches!(refusal(late), VaultError::OwnerNotPresent));
        vault.lock();
        assert!(matches!(refusal(vault.require(&presence, now)), VaultError::OwnerNotPresent));
        vault.unlock(&text("correct horse")).expect("unlocks");
        assert!(matches!(refusal(vault.require(&presence, now)), VaultError::OwnerNotPresent));
    }
    let elsewhere = made();
    let presence = elsewhere.vault.verify_owner(&passphrase_key(), now).expect("here");
    assert!(matches!(refusal(vault.require(&presence, now)), VaultError::OwnerNotPresent));
}

#[tokio::test]
async fn a_keychain_alone_is_no_owner() {
    let Made { vault, .. } = &made();
    let keychain = Keychain::in_memory();
    let part = || KeychainSecret::create(&keychain);
    vault.put_way(&passphrase_key(), &WayIn::Everyday(part().await.expect("kept"))).expect("added");
    let key = OwnerKey::everyday(vault.keychain_secret(&keychain).await.expect("given"));
    vault.unlock_with(&key).expect("unlocks");
    let refused = refusal(vault.verify_owner(&key, Instant::now()));
    assert!(matches!(refused, VaultError::NoProofOfPresence));
}

#[tokio::test]
async fn an_unlock_by_the_owner_shows_that_the_owner_is_here() {
    let Made { vault, words, .. } = &made();
    let keychain = Keychain::in_memory();
    let part = || KeychainSecret::create(&keychain);
    let strong =
        WayIn::Strong { keychain: part().await.expect("kept"), passphrase: text("battery staple") };
    vault.put_way(&passphrase_key(), &strong).expect("added");
    vault.put_way(&passphrase_key(), &WayIn::Everyday(part().await.expect("kept"))).expect("added");
    // Each kind has a secret of its own in the same keychain.
    let secret = async |kind| vault.keychain_secret_for(&keychain, kind).await.expect("given");
    let strong = OwnerKey::strong(secret(SlotKind::Strong).await, text("battery staple"));
    let everyday = OwnerKey::everyday(secret(SlotKind::Everyday).await);
    let none = vault.keychain_secret_for(&keychain, SlotKind::Passphrase).await;
    assert!(matches!(refusal(none), VaultError::NoKeychainSlot));
    for (key, shows) in
        [(strong, true), (OwnerKey::Words(text(words.expose())), true), (everyday, false)]
    {
        vault.lock();
        let now = Instant::now();
        let presence = vault.unlock_as_owner(&key, now).expect("unlocks");
        assert!(vault.is_unlocked());
        assert_eq!(presence.is_some_and(|presence| presence.is_current(now)), shows);
    }
    let unused = part().await.expect("kept");
    KeychainSecret::forget(&keychain, unused.slot()).await.expect("removed");
}

#[test]
fn the_words_are_shown_to_a_present_owner_alone() {
    let Made { vault, words, .. } = &made();
    let now = Instant::now();
    let presence = vault.verify_owner(&passphrase_key(), now).expect("here");
    let shown = vault.reveal_words(&presence, now).expect("shown");
    assert_eq!(shown.expose(), words.expose());
    let late = vault.reveal_words(&presence, now + Presence::WINDOW);
    assert!(matches!(refusal(late), VaultError::OwnerNotPresent));
}

#[test]
fn an_idle_vault_can_be_told_from_one_in_use() {
    let Made { vault, .. } = &made();
    let unlocked = vault.last_used().expect("just unlocked");
    vault.address(1).expect("unlocked");
    vault.treasury_address().expect("unlocked");
    assert_eq!(vault.last_used(), Some(unlocked), "reading an address is no use");
    let from = vault.address(1).expect("unlocked");
    vault.sign_authorization(&usdc(), &authorization(from), 1).expect("signs");
    assert!(vault.last_used().expect("used") > unlocked);
    vault.lock();
    assert_eq!(vault.last_used(), None);
}

#[test]
fn an_imported_key_is_the_treasury_and_stays() {
    let Made { vault, path, words, .. } = &made();
    let own = vault.treasury_address().expect("unlocked");
    vault.set_treasury(&passphrase_key(), NewTreasury::Import(imported())).expect("imported");
    assert_eq!(vault.treasury(), Treasury::Imported { address: IMPORTED });
    assert_eq!(vault.treasury_address().expect("unlocked"), IMPORTED);
    assert_eq!(payer(vault), IMPORTED);
    assert_eq!(vault.address(0).expect("unlocked"), own, "account 0 is the vault's own");

    let again = Vault::open(path).expect("opens");
    assert!(matches!(refusal(again.treasury_address()), VaultError::Locked));
    // By the words, too: the file and the words bring an imported key back.
    again.unlock_with(&OwnerKey::Words(text(words.expose()))).expect("unlocks");
    assert_eq!(payer(&again), IMPORTED);

    again.set_treasury(&passphrase_key(), NewTreasury::Own).expect("chosen");
    assert_eq!((again.treasury(), payer(&again)), (Treasury::Own, own));
    let known = NewTreasury::Imported { address: IMPORTED };
    again.set_treasury(&passphrase_key(), known).expect("it was kept");
    assert_eq!(payer(&again), IMPORTED);
    let unknown = NewTreasury::Imported { address: Address::repeat_byte(5) };
    let refused = refusal(again.set_treasury(&passphrase_key(), unknown));
    assert!(matches!(refused, VaultError::WatchOnly { .. }));
    again.unlock_with_words(words, &text("battery staple")).expect("unlocks");
    assert_eq!(payer(&again), IMPORTED, "new words, old treasury");
}

/// Whose key signed a refill.
fn payer(vault: &Vault) -> Address {
    use alloy::consensus::TxEnvelope;
    use alloy::eips::eip2718::Decodable2718;
    let signed = vault.sign_transfer(transfer()).expect("signs");
    let read = TxEnvelope::decode_2718_exact(&signed.raw).expect("an envelope");
    let TxEnvelope::Eip1559(read) = read else { panic!("not EIP-1559") };
    read.signature().recover_address_from_prehash(&read.signature_hash()).expect("recovers")
}

#[test]
fn imported_keys_are_bounded_and_not_kept_twice() {
    let Made { vault, .. } = &made();
    for n in 1..=MAX_IMPORTED {
        for _ in 0..2 {
            let key = ImportedKey::from_hex(&text(&format!("{n:064x}"))).expect("a key");
            vault.set_treasury(&passphrase_key(), NewTreasury::Import(key)).expect("fits");
        }
    }
    let refused = vault.set_treasury(&passphrase_key(), NewTreasury::Import(imported()));
    assert!(matches!(refusal(refused), VaultError::TooManyKeys { most: 8 }));
}

#[test]
fn a_treasury_whose_key_is_elsewhere_signs_nothing() {
    let Made { vault, .. } = &made();
    let address = Address::repeat_byte(0x44);
    let now = Instant::now();
    vault.set_treasury(&passphrase_key(), NewTreasury::Watch { address }).expect("chosen");
    assert_eq!(vault.treasury_address().expect("unlocked"), address);
    assert!(matches!(refusal(vault.sign_transfer(transfer())), VaultError::WatchOnly { .. }));
    let presence = vault.verify_owner(&passphrase_key(), now).expect("here");
    let export = vault.export_keystore(ExportedKey::Treasury, &text("export pass"), &presence, now);
    assert!(matches!(refusal(export), VaultError::WatchOnly { .. }));
    let device = NewTreasury::Device { address, account: 3 };
    vault.set_treasury(&passphrase_key(), device).expect("chosen");
    assert_eq!(vault.treasury(), Treasury::Device { address, account: 3 });
    assert!(matches!(refusal(vault.sign_transfer(transfer())), VaultError::OnDevice { .. }));
    // Agents are not affected.
    let from = vault.address(1).expect("unlocked");
    vault.sign_authorization(&usdc(), &authorization(from), 1).expect("signs");
}

#[test]
fn an_exported_key_is_the_accounts_and_asks_for_the_owner() {
    let Made { vault, .. } = &made();
    let now = Instant::now();
    let presence = vault.verify_owner(&passphrase_key(), now).expect("here");
    let export = |which, passphrase: &str, now| {
        vault.export_keystore(which, &text(passphrase), &presence, now)
    };
    let late = export(ExportedKey::Account(1), "export pass", now + Presence::WINDOW);
    assert!(matches!(refusal(late), VaultError::OwnerNotPresent));
    let short = export(ExportedKey::Account(1), "short", now);
    assert!(matches!(refusal(short), VaultError::PassphraseTooShort { .. }));
    let zero = export(ExportedKey::Account(0), "export pass", now);
    assert!(matches!(refusal(zero), VaultError::TreasuryAccount));
    let file = export(ExportedKey::Account(1), "export pass", now).expect("exports");
    let keystore = crate::Keystore::parse(&file).expect("reads");
    let address = vault.address(1).expect("unlocked");
    assert_eq!(keystore.named_address(), Some(address));
    assert_eq!(keystore.open(&text("export pass")).expect("opens").address(), address);
    vault.lock();
    let locked = export(ExportedKey::Account(1), "export pass", now);
    assert!(matches!(refusal(locked), VaultError::OwnerNotPresent));
}

/// The programs that people have check a statement; this one is not asked.
#[test]
fn openssh_verifies_a_statement() {
    let Made { vault, _folder, .. } = &made();
    let key = vault.statement_key().expect("unlocked");
    let document = b"{\"closing\":\"1250000\"}\n";
    let signature = vault.sign_statement(document).expect("signs");
    assert_eq!(signature, vault.sign_statement(document).expect("signs"));
    let signers = _folder.path().join("allowed_signers");
    let signature_file = _folder.path().join("statement.json.sig");
    std::fs::write(&signers, format!("owner@imprest {}\n", key.openssh())).expect("writes");
    std::fs::write(&signature_file, signature).expect("writes");
    let verified = |document: &[u8], namespace: &str| {
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-I", "owner@imprest", "-n", namespace, "-f"])
            .arg(&signers)
            .arg("-s")
            .arg(&signature_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-keygen is installed; install the package openssh-client");
        std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), document).expect("told");
        child.wait_with_output().expect("ends").status.success()
    };
    assert!(verified(document, crate::STATEMENT_NAMESPACE));
    assert!(!verified(b"{\"closing\":\"9250000\"}\n", crate::STATEMENT_NAMESPACE));
    assert!(!verified(document, "file"));
    vault.lock();
    assert!(matches!(refusal(vault.sign_statement(document)), VaultError::Locked));
    assert!(matches!(refusal(vault.statement_key()), VaultError::Locked));
}

#[test]
fn the_statement_key_is_no_spending_key() {
    let Made { vault, .. } = &made();
    let mut open = vault.open_state();
    let keys = open.keys.as_mut().expect("unlocked");
    let statement = *keys.statement_seed().expect("derives").bytes();
    assert_ne!(statement, *keys.seal_key().expect("derives").bytes());
    for account in 0..8 {
        assert_ne!(statement, keys.signer(account).expect("derives").to_bytes().0);
    }
}

#[cfg(feature = "ledger-device")]
#[test]
fn a_device_signs_only_for_its_own_treasury_and_an_open_vault() {
    let Made { vault, .. } = &made();
    let address = Address::repeat_byte(0x44);
    let is_other =
        |result| matches!(result, Err(VaultError::Device(crate::DeviceError::OtherDevice)));
    assert!(is_other(vault.may_use(address)), "the treasury is the vault's own");
    let device = NewTreasury::Device { address, account: 3 };
    vault.set_treasury(&passphrase_key(), device).expect("chosen");
    vault.may_use(address).expect("its own");
    assert!(is_other(vault.may_use(Address::ZERO)));
    vault.halt();
    assert!(matches!(vault.may_use(address), Err(VaultError::Halted)));
    vault.resume();
    vault.lock();
    assert!(matches!(vault.may_use(address), Err(VaultError::Locked)));
}
