//! The vault in use. Its ways in, and what only a present owner may do, are in files of their own.

mod owner;
mod ways;

use super::*;
use crate::WordsError;
use crate::sign::{self, TreasuryCall};
use alloy_primitives::{B256, Signature};
use imprest_domain::{Asset, AssetId, Authorization, Units, ValidityWindow};
use imprest_ledger::TransactionTerms;
use std::sync::Arc;

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn cheap() -> KdfCost {
    KdfCost::new(19 * 1024, 1, 1).expect("in bounds")
}

struct Made {
    vault: Vault,
    words: SecretText,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn made() -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let (vault, words) = Vault::create(&path, &text("correct horse"), cheap()).expect("created");
    Made { vault, words: text(words.expose()), path, _folder: folder }
}

fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 8453, contract: Address::repeat_byte(7) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

fn authorization(from: Address) -> Authorization {
    Authorization {
        asset: usdc().id,
        from,
        to: Address::repeat_byte(9),
        value: Units::new(250_000).expect("fits"),
        window: ValidityWindow { valid_after_s: 0, valid_before_s: 1_900_000_000 },
        nonce: B256::repeat_byte(3),
    }
}

fn refusal<T>(result: Result<T, VaultError>) -> VaultError {
    result.err().expect("refused")
}

#[test]
fn it_can_be_shared_between_tasks() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Vault>();
}

#[test]
fn a_new_vault_is_unlocked_and_opens_again_locked() {
    let Made { vault, path, .. } = &made();
    assert!(vault.is_unlocked());
    let treasury = vault.treasury_address().expect("unlocked");
    let again = Vault::open(path).expect("opens");
    assert!(!again.is_unlocked());
    assert!(matches!(refusal(again.treasury_address()), VaultError::Locked));
    assert!(matches!(refusal(again.seal_key()), VaultError::Locked));
    again.unlock(&text("correct horse")).expect("unlocks");
    assert_eq!(again.treasury_address().expect("unlocked"), treasury);
    assert_eq!((again.id(), again.generation()), (vault.id(), 1));
    assert_eq!(again.seal_key().expect("unlocked"), vault.seal_key().expect("unlocked"));
    again.lock();
    assert!(!again.is_unlocked());
    assert!(matches!(refusal(again.address(1)), VaultError::Locked));
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let Made { path, .. } = &made();
    let vault = Vault::open(path).expect("opens");
    for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
        assert!(matches!(refusal(vault.unlock(&text(wrong))), VaultError::WrongPassphrase));
        assert!(matches!(
            refusal(vault.verify_passphrase(&text(wrong))),
            VaultError::WrongPassphrase
        ));
    }
    assert!(!vault.is_unlocked());
    vault.verify_passphrase(&text("correct horse")).expect("is right");
    assert!(!vault.is_unlocked(), "verifying unlocked the vault");
    let long = "x".repeat(5_000);
    assert!(matches!(refusal(vault.unlock(&text(&long))), VaultError::PassphraseTooLong { .. }));
}

#[test]
fn an_existing_file_is_never_written_over() {
    let Made { path, .. } = &made();
    let before = std::fs::read(path).expect("reads");
    let refused = Vault::create(path, &text("another one"), cheap());
    assert!(matches!(refused.err().expect("refused"), VaultError::AlreadyExists { .. }));
    // And where the look before missed it, the write itself refuses.
    let way = WayRef::Passphrase("another one");
    let (file, _) = VaultFile::new(Secret32::blank(), way, cheap()).expect("seals");
    assert!(matches!(refusal(file.write_new(path)), VaultError::AlreadyExists { .. }));
    assert_eq!(std::fs::read(path).expect("reads"), before);
}

#[test]
fn a_bad_passphrase_makes_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let refused = Vault::create(&path, &text("short"), cheap());
    assert!(matches!(refused.err().expect("refused"), VaultError::PassphraseTooShort { .. }));
    assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0);
    assert!(matches!(refusal(Vault::open(&path)), VaultError::NotFound { .. }));
}

#[test]
fn the_passphrase_can_be_changed() {
    let Made { vault, path, words, _folder } = &made();
    let treasury = vault.treasury_address().expect("unlocked");
    let seal_key = vault.seal_key().expect("unlocked");
    let wrong = vault.change_passphrase(&text("wrong one"), &text("battery staple"));
    assert!(matches!(refusal(wrong), VaultError::WrongPassphrase));
    let short = vault.change_passphrase(&text("correct horse"), &text("short"));
    assert!(matches!(refusal(short), VaultError::PassphraseTooShort { .. }));
    vault.lock();
    vault.change_passphrase(&text("correct horse"), &text("battery staple")).expect("changes");
    assert!(!vault.is_unlocked(), "changing the passphrase unlocked the vault");
    for vault in [vault, &Vault::open(path).expect("opens")] {
        assert!(matches!(
            refusal(vault.unlock(&text("correct horse"))),
            VaultError::WrongPassphrase
        ));
        vault.unlock(&text("battery staple")).expect("unlocks");
        assert_eq!(vault.treasury_address().expect("unlocked"), treasury);
        assert_eq!(vault.seal_key().expect("unlocked"), seal_key);
        assert_eq!(vault.generation(), 2);
    }
    vault.unlock_with_words(words, &text("third passphrase")).expect("the words still work");
    assert_eq!(std::fs::read_dir(_folder.path()).expect("reads").count(), 1, "a file was left");
}

#[test]
fn the_words_bring_it_back() {
    let Made { vault, path, words, _folder } = &made();
    let treasury = vault.treasury_address().expect("unlocked");
    let lost = Vault::open(path).expect("opens");
    lost.unlock_with_words(words, &text("battery staple")).expect("the words open it");
    assert_eq!(lost.treasury_address().expect("unlocked"), treasury);
    let again = Vault::open(path).expect("opens");
    assert!(matches!(refusal(again.unlock(&text("correct horse"))), VaultError::WrongPassphrase));
    again.unlock(&text("battery staple")).expect("the new passphrase opens it");

    let elsewhere = _folder.path().join("restored.json");
    let restored =
        Vault::restore(&elsewhere, words, &text("third passphrase"), cheap()).expect("restores");
    assert_eq!(restored.treasury_address().expect("unlocked"), treasury);
    assert_eq!(restored.seal_key().expect("unlocked"), vault.seal_key().expect("unlocked"));
    assert_ne!(restored.id(), vault.id());
}

#[test]
fn wrong_words_open_nothing() {
    let Made { path, words, .. } = &made();
    let vault = Vault::open(path).expect("opens");
    let before = std::fs::read(path).expect("reads");
    let new = text("battery staple");
    let vote = format!("{} vote", ["zoo"; 23].join(" "));
    let zoo = ["zoo"; 24].join(" ");
    let first_23 = words.expose().rsplit_once(' ').expect("24 words").0;
    for (bad, why) in [
        (vote.as_str(), WordsError::OtherVault),
        (zoo.as_str(), WordsError::Checksum),
        (first_23, WordsError::NotTwentyFour { found: 23 }),
    ] {
        match refusal(vault.unlock_with_words(&text(bad), &new)) {
            VaultError::WrongWords(error) => assert_eq!(error, why),
            other => panic!("{other}"),
        }
    }
    assert!(matches!(
        refusal(vault.unlock_with_words(words, &text("short"))),
        VaultError::PassphraseTooShort { .. }
    ));
    assert!(!vault.is_unlocked());
    assert_eq!(std::fs::read(path).expect("reads"), before);
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let Made { vault, path, .. } = &made();
    let mode = || std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    vault.change_passphrase(&text("correct horse"), &text("battery staple")).expect("changes");
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_damaged_or_foreign_file_is_refused() {
    let Made { path, _folder, .. } = &made();
    let bytes = std::fs::read(path).expect("reads");
    let other = _folder.path().join("other.json");
    for (name, content) in [
        ("empty", Vec::new()),
        ("half", bytes[..bytes.len() / 2].to_vec()),
        ("json", b"{}".to_vec()),
        ("binary", vec![0xff; 300]),
        ("large", [bytes.clone(), vec![b' '; 70_000]].concat()),
    ] {
        std::fs::write(&other, content).expect("writes");
        assert!(matches!(refusal(Vault::open(&other)), VaultError::Damaged { .. }), "{name}");
    }
    let folder = refusal(Vault::open(_folder.path()));
    assert!(matches!(folder, VaultError::Damaged { .. }), "{folder}");
}

#[test]
fn a_failed_write_keeps_the_old_passphrase() {
    let Made { vault, path, _folder, .. } = made();
    // The folder is gone, so the new file cannot be written beside the old one.
    drop(_folder);
    assert!(!path.exists());
    let refused = vault.change_passphrase(&text("correct horse"), &text("battery staple"));
    assert!(matches!(refusal(refused), VaultError::Io { .. }));
    vault.verify_passphrase(&text("correct horse")).expect("the old one still holds");
    assert_eq!(vault.generation(), 1);
}

#[test]
fn a_signature_is_the_agents_and_always_the_same() {
    let Made { vault, .. } = &made();
    let from = vault.address(1).expect("unlocked");
    let signature = vault.sign_authorization(&usdc(), &authorization(from), 1).expect("signs");
    assert_eq!(
        vault.sign_authorization(&usdc(), &authorization(from), 1).expect("signs"),
        signature
    );
    let digest = sign::digest(&usdc(), &authorization(from));
    let read = Signature::from_raw_array(&signature).expect("r, s, v");
    assert_eq!(read.recover_address_from_prehash(&digest).expect("recovers"), from);
    vault.lock();
    vault.unlock(&text("correct horse")).expect("unlocks");
    assert_eq!(
        vault.sign_authorization(&usdc(), &authorization(from), 1).expect("signs"),
        signature
    );
}

#[test]
fn a_grant_that_does_not_fit_is_refused() {
    let Made { vault, .. } = &made();
    let from = vault.address(1).expect("unlocked");
    let treasury = vault.treasury_address().expect("unlocked");
    let sign = |authorization: &Authorization, account| {
        refusal(vault.sign_authorization(&usdc(), authorization, account))
    };
    assert!(matches!(sign(&authorization(from), 2), VaultError::WrongPayer { account: 2, .. }));
    assert!(matches!(sign(&authorization(treasury), 1), VaultError::WrongPayer { .. }));
    assert!(matches!(sign(&authorization(treasury), 0), VaultError::TreasuryAccount));
    assert!(matches!(sign(&authorization(from), u32::MAX), VaultError::AccountOutOfRange { .. }));
    for change in [|a: &mut AssetId| a.chain_id = 1, |a: &mut AssetId| a.contract = Address::ZERO] {
        let mut other = authorization(from);
        change(&mut other.asset);
        assert!(matches!(sign(&other, 1), VaultError::WrongAsset));
    }
}

fn transfer() -> TreasuryCall {
    TreasuryCall::for_tests(
        &usdc(),
        TransactionTerms {
            nonce: 0,
            gas_limit: 80_000,
            max_fee_per_gas_wei: 1,
            max_priority_fee_per_gas_wei: 1,
        },
    )
}

#[test]
fn a_locked_or_frozen_vault_signs_nothing() {
    let Made { vault, .. } = &made();
    let from = vault.address(1).expect("unlocked");
    let both = || {
        [
            vault.sign_authorization(&usdc(), &authorization(from), 1).map(drop),
            vault.sign_transfer(transfer()).map(drop),
        ]
    };
    vault.halt();
    assert!(vault.is_halted() && vault.is_unlocked());
    assert!(both().into_iter().all(|r| matches!(r, Err(VaultError::Halted))));
    vault.lock();
    assert!(both().into_iter().all(|r| matches!(r, Err(VaultError::Halted))));
    // Unlocking is not thawing.
    vault.unlock(&text("correct horse")).expect("unlocks");
    assert!(both().into_iter().all(|r| matches!(r, Err(VaultError::Halted))));
    vault.resume();
    assert!(both().into_iter().all(|r| r.is_ok()));
    vault.lock();
    assert!(both().into_iter().all(|r| matches!(r, Err(VaultError::Locked))));
}

#[test]
fn a_freeze_in_the_middle_throws_the_signature_away() {
    let Made { vault, .. } = &made();
    let made = vault.unless_halted(|| {
        vault.halted.store(true, Ordering::SeqCst);
        Ok("signature")
    });
    assert!(matches!(made, Err(VaultError::Halted)));
    let made = vault.unless_halted(|| -> Result<(), VaultError> { panic!("it was made") });
    assert!(matches!(made, Err(VaultError::Halted)));
}

#[test]
fn no_signature_follows_a_freeze() {
    let Made { vault, .. } = made();
    let vault = Arc::new(vault);
    let from = vault.address(1).expect("unlocked");
    let (frozen, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let signers: Vec<_> = (0..4)
        .map(|_| {
            let (vault, frozen, signed) = (vault.clone(), frozen.clone(), signed.clone());
            std::thread::spawn(move || {
                loop {
                    let was_frozen = frozen.load(Ordering::SeqCst);
                    match vault.sign_authorization(&usdc(), &authorization(from), 1) {
                        Ok(_) => assert!(!was_frozen, "signed after the freeze"),
                        Err(VaultError::Halted) => return,
                        Err(other) => panic!("{other}"),
                    }
                    signed.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    // Until signing is well under way, however busy the machine is.
    while signed.load(Ordering::SeqCst) < 40 && !signers.iter().any(|s| s.is_finished()) {
        std::thread::yield_now();
    }
    vault.halt();
    frozen.store(true, Ordering::SeqCst);
    signers.into_iter().for_each(|s| s.join().expect("no panic"));
}

#[test]
fn a_lock_wins_over_an_unlock_under_way() {
    let Made { vault, .. } = &made();
    vault.lock();
    let before = vault.locks.load(Ordering::SeqCst);
    let opened = vault.opened(KeyRef::Way(WayRef::Passphrase("correct horse"))).expect("opens");
    vault.lock();
    assert!(matches!(refusal(vault.install(opened, before)), VaultError::LockedMeanwhile));
    assert!(!vault.is_unlocked());
}

#[test]
fn many_unlocks_at_once_agree() {
    let Made { path, .. } = &made();
    let vault = Vault::open(path).expect("opens");
    std::thread::scope(|scope| {
        for n in 0..6 {
            let vault = &vault;
            scope.spawn(move || {
                let right = n % 2 == 0;
                let given = if right { "correct horse" } else { "wrong horse" };
                assert_eq!(vault.unlock(&text(given)).is_ok(), right);
            });
        }
    });
    assert!(vault.is_unlocked());
}

#[test]
fn no_file_and_no_error_shows_a_secret() {
    let Made { vault, path, words, .. } = &made();
    let entropy = words::parse(words).expect("words");
    let file = std::fs::read_to_string(path).expect("text");
    let mut shown = file;
    for error in [
        refusal(vault.unlock(&text("hunter2 hunter2"))),
        refusal(vault.change_passphrase(&text("hunter2 hunter2"), &text("hunter2"))),
        refusal(vault.unlock_with_words(
            &text(&words.expose().replacen(' ', " hunter2 ", 1)),
            &text("hunter2hunter2"),
        )),
        refusal(Vault::open(path.with_file_name("missing"))),
        refusal(vault.address(u32::MAX)),
    ] {
        shown.push_str(&format!("{error} {error:?}"));
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains("correct"), "{shown}");
    assert!(!shown.contains(&hex::encode(entropy.bytes())));
    let words: Vec<&str> = words.expose().split(' ').collect();
    assert!(words.windows(2).all(|pair| !shown.contains(&pair.join(" "))));
}
