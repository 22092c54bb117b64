use super::*;
use proptest::prelude::*;

/// From the definition of the format, with PBKDF2; its passphrase is "testpassword".
/// Source: <https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/>.
const SPEC_PBKDF2: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;

/// A cheap one, by ethers' own tests (its key is 0x42, 32 times); its passphrase is "foo".
const CHEAP: &str = r#"{"address":"17c5185167401ed00cf5f5b2fc97d9bbfdb7d025","id":"01234567-8901-4345-a789-012345678901","version":3,"Crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"deadbeef1deadbeef2deadbeef301234"},"ciphertext":"cea502df4b9405fa2b6d8d19ec4e2953c5ce08e0e01d4c0292512ce62baef8f3","kdf":"scrypt","kdfparams":{"salt":"abcd1abcd2abcd3abcd4abcd5abcd6ef","n":1024,"dklen":32,"p":2,"r":4},"mac":"6e0a8e2409261d464e35a251f4b1fddd6ad0f7045a18d3957c127387f1c0de72"}}"#;

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn refusal(file: &str) -> KeystoreError {
    match Keystore::parse(file) {
        Err(VaultError::Keystore(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was read"),
    }
}

#[test]
fn opens_the_formats_own_example() {
    let keystore = Keystore::parse(SPEC_PBKDF2).expect("reads");
    assert_eq!(keystore.named_address(), None);
    let key = keystore.open(&text("testpassword")).expect("opens");
    assert_eq!(
        hex::encode(key.key.bytes()),
        "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
    );
}

#[test]
fn what_is_written_is_read_and_has_the_cost_it_should() {
    let key = Secret32::copied(&[0x42; 32]).expect("32 bytes");
    let file = write(&key, &text("battery staple")).expect("writes");
    let json: serde_json::Value = serde_json::from_str(&file).expect("json");
    let params = &json["crypto"]["kdfparams"];
    assert_eq!(
        (params["n"].as_u64(), params["r"].as_u64(), params["p"].as_u64()),
        (Some(131_072), Some(8), Some(1))
    );
    assert_eq!(json["id"].as_str().map(|id| (id.len(), &id[14..15])), Some((36, "4")));
    let keystore = Keystore::parse(&file).expect("reads");
    let opened = keystore.open(&text("battery staple")).expect("opens");
    assert_eq!(opened.key.bytes(), &[0x42; 32]);
    assert_eq!(keystore.named_address(), Some(opened.address()));
    assert!(!file.contains(&hex::encode([0x42; 32])));
}

#[test]
fn wrong_passphrases_and_altered_files_open_nothing() {
    for wrong in ["", "fo", "Foo", "foo "] {
        let refused = Keystore::parse(CHEAP).expect("reads").open(&text(wrong)).err();
        assert!(
            matches!(refused, Some(VaultError::Keystore(KeystoreError::WrongPassphrase))),
            "{wrong:?}"
        );
    }
    let long = Keystore::parse(CHEAP).expect("reads").open(&text(&"x".repeat(5_000))).err();
    assert!(matches!(long, Some(VaultError::Keystore(KeystoreError::WrongPassphrase))));
    for (from, to) in [
        ("cea502df", "cea502de"),
        ("abcd1abc", "abcd1abd"),
        ("\"n\":1024", "\"n\":2048"),
        ("\"r\":4", "\"r\":5"),
        ("\"p\":2", "\"p\":3"),
        ("6e0a8e24", "6e0a8e25"),
    ] {
        assert!(CHEAP.contains(from), "{from}");
        let keystore = Keystore::parse(&CHEAP.replacen(from, to, 1)).expect("reads");
        let refused = keystore.open(&text("foo")).err();
        assert!(
            matches!(refused, Some(VaultError::Keystore(KeystoreError::WrongPassphrase))),
            "{to}"
        );
    }
}

/// The MAC does not cover the initial value; the address does, where the file names it.
#[test]
fn another_initial_value_is_noticed_by_the_address() {
    let altered = CHEAP.replacen("deadbeef1", "deadbeef2", 1);
    let refused = Keystore::parse(&altered).expect("reads").open(&text("foo")).err();
    assert!(matches!(refused, Some(VaultError::Keystore(KeystoreError::WrongAddress))));
}

/// Costs are refused by what the file says, before any of it is paid.
#[test]
fn costs_are_bounded_before_any_work() {
    let scrypt = |n: &str, r: &str, p: &str| {
        CHEAP
            .replacen("\"n\":1024", &format!("\"n\":{n}"), 1)
            .replacen("\"r\":4", &format!("\"r\":{r}"), 1)
            .replacen("\"p\":2", &format!("\"p\":{p}"), 1)
    };
    let started = std::time::Instant::now();
    for (n, r, p, expected) in [
        ("18446744073709551615", "8", "1", KeystoreError::NotKeystore),
        ("9223372036854775808", "8", "1", KeystoreError::TooDear),
        ("2097152", "8", "1", KeystoreError::TooDear),
        ("262144", "8", "9", KeystoreError::TooDear),
        ("1024", "8388608", "1", KeystoreError::TooDear),
        ("2", "1", "16777216", KeystoreError::TooDear),
        ("2", "4294967296", "4294967296", KeystoreError::TooDear),
        ("1000", "8", "1", KeystoreError::NotKeystore),
        ("0", "8", "1", KeystoreError::NotKeystore),
        ("1", "8", "1", KeystoreError::NotKeystore),
        ("1024", "0", "1", KeystoreError::NotKeystore),
        ("1024", "8", "0", KeystoreError::NotKeystore),
        ("-1024", "8", "1", KeystoreError::NotKeystore),
        ("1024.0", "8", "1", KeystoreError::NotKeystore),
    ] {
        assert_eq!(refusal(&scrypt(n, r, p)), expected, "{n} {r} {p}");
    }
    for (c, expected) in [
        ("0", KeystoreError::NotKeystore),
        ("4194305", KeystoreError::TooDear),
        ("4294967296", KeystoreError::TooDear),
        ("18446744073709551615", KeystoreError::TooDear),
    ] {
        let file = SPEC_PBKDF2.replacen("262144", c, 1);
        assert_eq!(refusal(&file), expected, "{c}");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "work was done");
    // What common wallets write is in bounds.
    for (n, r, p) in [("262144", "8", "1"), ("131072", "8", "1"), ("262144", "1", "8")] {
        Keystore::parse(&scrypt(n, r, p)).expect("in bounds");
    }
}

#[test]
fn what_is_no_keystore_is_refused() {
    use KeystoreError::{NotKeystore, TooLarge, UnknownScheme};
    for (from, to, expected) in [
        ("\"version\": 3", "\"version\": 4", NotKeystore),
        ("\"version\": 3", "\"version\": \"3\"", NotKeystore),
        ("\"version\": 3", "\"version\": 3, \"version\": 3", NotKeystore),
        ("\"version\": 3", "\"version\": 3, \"address\": \"00\"", NotKeystore),
        ("\"version\": 3", "\"version\": 3, \"Crypto\": {}", NotKeystore),
        ("aes-128-ctr", "aes-128-cbc", UnknownScheme),
        ("hmac-sha256", "hmac-sha1", UnknownScheme),
        ("\"pbkdf2\"", "\"argon2id\"", UnknownScheme),
        ("\"pbkdf2\"", "\"scrypt\"", NotKeystore),
        ("\"dklen\": 32", "\"dklen\": 16", NotKeystore),
        ("\"dklen\": 32", "\"dklen\": 32, \"n\": 2", NotKeystore),
        ("\"dklen\": 32", "\"dklen\": 32, \"more\": 2", NotKeystore),
        ("6087dab2", "6087dab", NotKeystore),
        ("6087dab2", "0x087dab2", NotKeystore),
        ("5318b4d5", "5318b4d5aa", NotKeystore),
        ("517ead92", "", NotKeystore),
        ("ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd", "00", NotKeystore),
    ] {
        assert!(SPEC_PBKDF2.contains(from), "{from}");
        assert_eq!(refusal(&SPEC_PBKDF2.replacen(from, to, 1)), expected, "{to}");
    }
    for bad in ["", "{}", "[]", "null", "\u{feff}{}"] {
        assert_eq!(refusal(bad), NotKeystore, "{bad:?}");
    }
    assert_eq!(refusal(&"[".repeat(60_000)), NotKeystore);
    assert_eq!(refusal(&" ".repeat(70_000)), TooLarge);
    let padded = format!("{SPEC_PBKDF2}{}", " ".repeat(1_000));
    Keystore::parse(&padded).expect("white space is no harm");
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..CHEAP.len() {
        assert_eq!(refusal(&CHEAP[..length]), KeystoreError::NotKeystore, "{length}");
    }
}

#[test]
fn no_error_shows_what_was_in_the_file() {
    let file = SPEC_PBKDF2.replacen("\"pbkdf2\"", "\"hunter2\"", 1);
    let refused = Keystore::parse(&file).err().expect("refused");
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        prop_assert!(Keystore::parse(&text).is_err());
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(at in 0..CHEAP.len(), byte: u8) {
        let mut bytes = CHEAP.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Keystore::parse(&text);
        }
    }
}
