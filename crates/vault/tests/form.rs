//! The vault file can be read from its description alone.

mod reader;

use imprest_vault::{ImportedKey, KdfCost, NewTreasury, OwnerKey, SecretText, Vault};

#[test]
fn a_second_reader_finds_the_same_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.json");
    let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
    let passphrase = || SecretText::new("correct horse".into());
    let (vault, words) = Vault::create(&path, &passphrase(), cheap).expect("created");
    let imported = ImportedKey::from_hex(&SecretText::new("42".repeat(32))).expect("a key");
    vault
        .set_treasury(&OwnerKey::passphrase(passphrase()), NewTreasury::Import(imported))
        .expect("imported");
    let reader::Steps { stretched, slot_key, data_key, contents } =
        reader::open(&std::fs::read(&path).expect("reads"), "correct horse");
    assert!(stretched != slot_key && slot_key != data_key);
    let entropy = bip39::Mnemonic::parse(words.expose()).expect("words").to_entropy();
    assert_eq!(contents[..1], [1]);
    assert_eq!(contents[1..33], entropy[..]);
    // Two slots with their keys, then one imported key.
    assert_eq!(contents[33], 2);
    assert_eq!(contents[34 + 16..34 + 48], slot_key[..]);
    assert_eq!(contents[34 + 96], 1);
    assert_eq!(contents[34 + 97..34 + 129], [0x42; 32]);
    assert!(contents[34 + 129..].iter().all(|byte| *byte == 0));
}
