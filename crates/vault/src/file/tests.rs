use super::form2::{Body, WrappedSlot};
use super::*;
use crate::secret::SecretText;
use crate::slots::{KeychainSecret, OwnerKey, WayIn};
use crate::words::WordsError;
use proptest::prelude::*;

const PASSPHRASE: &str = "correct horse";
const FIRST_FORM: &[u8] = include_bytes!("../../tests/fixtures/vault-form-1.json");
const FIRST_FORM_WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title";

fn cheap() -> KdfCost {
    KdfCost::new(19 * 1024, 1, 1).expect("in bounds")
}

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn entropy() -> Secret32 {
    let bytes: Vec<u8> = (0..32).collect();
    Secret32::copied(&bytes).expect("32 bytes")
}

fn words() -> OwnerKey {
    let written = crate::words::phrase(&entropy()).expect("writes");
    OwnerKey::Words(text(&written))
}

fn everyday() -> OwnerKey {
    OwnerKey::everyday(KeychainSecret::for_tests(1, 0xa1))
}

fn strong() -> OwnerKey {
    OwnerKey::strong(KeychainSecret::for_tests(2, 0xa2), text(PASSPHRASE))
}

fn passphrase() -> OwnerKey {
    OwnerKey::passphrase(text(PASSPHRASE))
}

fn way(key: &OwnerKey) -> WayRef<'_> {
    match key {
        OwnerKey::Way(way) => way.as_ref(),
        OwnerKey::Words(_) => panic!("words are no way for every day"),
    }
}

fn made(first: &OwnerKey) -> (VaultFile, Opened) {
    VaultFile::new(entropy(), way(first), cheap()).expect("seals")
}

/// One of each kind of slot.
fn full() -> VaultFile {
    let (_, mut opened) = made(&everyday());
    opened.put_way(way(&strong()), cheap()).expect("fits");
    opened.put_way(way(&passphrase()), cheap()).expect("fits");
    opened.seal().expect("seals")
}

fn parse(bytes: &[u8]) -> Result<VaultFile, VaultError> {
    VaultFile::parse(Path::new("vault.json"), bytes)
}

fn try_key(file: &VaultFile, key: &OwnerKey) -> Result<(), VaultError> {
    let opened = file.open(Path::new("vault.json"), key.as_ref())?;
    assert_eq!(opened.contents.entropy.bytes(), entropy().bytes(), "opened with other keys");
    Ok(())
}

fn body(file: &VaultFile) -> Body {
    match &file.0 {
        Form::Present(file) => file.body.clone(),
        Form::First(_) => panic!("of the first form"),
    }
}

/// The file with another body, and everything that is not secret made to fit again.
fn rewritten(file: &VaultFile, body: Body) -> VaultFile {
    match &file.0 {
        Form::Present(file) => {
            let checksum = seal::checksum(&body).expect("sums");
            VaultFile(Form::Present(Box::new(form2::File { body, checksum, ..(**file).clone() })))
        }
        Form::First(_) => panic!("of the first form"),
    }
}

#[test]
fn opens_by_every_slot() {
    let read = parse(&full().to_bytes().expect("writes")).expect("reads");
    for key in [everyday(), strong(), passphrase(), words()] {
        try_key(&read, &key).expect("opens");
    }
    assert_eq!((read.id().len(), read.generation(), read.slots().len()), (32, 1, 4));
}

#[test]
fn half_of_a_strong_slot_opens_nothing() {
    let (file, _) = made(&strong());
    let other_keychain = OwnerKey::strong(KeychainSecret::for_tests(2, 0xff), text(PASSPHRASE));
    let other_passphrase = OwnerKey::strong(KeychainSecret::for_tests(2, 0xa2), text("wrong one"));
    for key in [other_keychain, other_passphrase] {
        assert!(matches!(try_key(&file, &key), Err(VaultError::WrongPassphrase)));
    }
    match try_key(&file, &passphrase()) {
        Err(VaultError::KeychainNeeded { keychain }) => {
            assert_eq!(keychain, "Secret Service (GNOME)");
        }
        other => panic!("{other:?}"),
    }
    // The keychain's part alone is no everyday slot.
    let alone = OwnerKey::everyday(KeychainSecret::for_tests(2, 0xa2));
    assert!(matches!(try_key(&file, &alone), Err(VaultError::NoKeychainSlot)));
    try_key(&file, &words()).expect("the words need neither");
}

#[test]
fn every_refusal_has_its_own_word() {
    let (file, _) = made(&everyday());
    let wrong = OwnerKey::everyday(KeychainSecret::for_tests(1, 0));
    assert!(matches!(try_key(&file, &wrong), Err(VaultError::WrongKeychainKey { .. })));
    let other_slot = OwnerKey::everyday(KeychainSecret::for_tests(9, 0xa1));
    assert!(matches!(try_key(&file, &other_slot), Err(VaultError::NoKeychainSlot)));
    assert!(matches!(try_key(&file, &passphrase()), Err(VaultError::NoPassphraseSlot)));
    assert!(matches!(try_key(&file, &strong()), Err(VaultError::NoKeychainSlot)));
    let wrong = OwnerKey::Words(text(&format!("{} vote", ["zoo"; 23].join(" "))));
    assert!(matches!(try_key(&file, &wrong), Err(VaultError::WrongWords(WordsError::OtherVault))));
}

#[test]
fn never_seals_twice_alike() {
    let (first, opened) = made(&everyday());
    let again = opened.seal().expect("seals");
    assert_eq!(first.id(), again.id());
    let (a, b) = (body(&first), body(&again));
    assert_ne!(a.payload.sealed.0, b.payload.sealed.0);
    for (a, b) in a.slots.iter().zip(&b.slots) {
        assert_ne!(a.wrapped.sealed.0, b.wrapped.sealed.0);
    }
    assert_ne!(made(&everyday()).0.id(), first.id());
}

#[test]
fn the_words_and_the_last_way_in_stay() {
    let (_, mut opened) = made(&everyday());
    let [first, recovery] = [0, 1].map(|at| opened.slots[at].id);
    assert!(matches!(opened.remove_way(recovery), Err(VaultError::RecoverySlot)));
    assert!(matches!(opened.remove_way(first), Err(VaultError::LastWayIn)));
    assert!(matches!(opened.remove_way(Hex([9; 16])), Err(VaultError::NoSuchSlot)));
    opened.put_way(way(&passphrase()), cheap()).expect("fits");
    opened.remove_way(first).expect("another way in is left");
    let file = opened.seal().expect("seals");
    assert!(matches!(try_key(&file, &everyday()), Err(VaultError::NoKeychainSlot)));
    try_key(&file, &passphrase()).expect("opens");
    try_key(&file, &words()).expect("opens");
}

#[test]
fn slots_are_bounded_and_a_passphrase_replaces_the_one_before() {
    let (_, mut opened) = made(&passphrase());
    opened.put_way(WayRef::Passphrase("battery staple"), cheap()).expect("replaces");
    assert_eq!(opened.slots.len(), 2);
    let file = opened.seal().expect("seals");
    assert!(matches!(try_key(&file, &passphrase()), Err(VaultError::WrongPassphrase)));
    for n in 0..6 {
        let more = KeychainSecret::for_tests(10 + n, n);
        opened.put_way(WayRef::Everyday(&more), cheap()).expect("fits");
    }
    let one_more = KeychainSecret::for_tests(99, 0);
    let refused = opened.put_way(WayRef::Everyday(&one_more), cheap());
    assert!(matches!(refused, Err(VaultError::TooManySlots { most: 8 })));
    let full = parse(&opened.seal().expect("seals").to_bytes().expect("writes")).expect("reads");
    assert_eq!(full.slots().len(), MAX_SLOTS);
}

/// The file's length says nothing of what is inside.
#[test]
fn an_imported_key_does_not_show_in_the_length() {
    let (file, mut opened) = made(&everyday());
    opened.contents.imported.push(entropy());
    let more = opened.seal().expect("seals");
    assert_eq!(file.to_bytes().expect("writes").len(), more.to_bytes().expect("writes").len());
}

/// Chance damage: whatever is done to any one byte of the file, it is refused when read.
#[test]
fn every_altered_byte_is_refused_when_read() {
    for bytes in [full().to_bytes().expect("writes"), FIRST_FORM.to_vec()] {
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                match parse(&altered) {
                    Err(VaultError::Damaged { .. } | VaultError::NewerVersion { .. }) => {}
                    Err(other) => panic!("byte {at} ^ {flip:#x}: {other}"),
                    Ok(_) => panic!("byte {at} ^ {flip:#x} was accepted"),
                }
            }
        }
    }
}

#[test]
fn every_truncation_and_addition_is_refused() {
    for bytes in [full().to_bytes().expect("writes"), FIRST_FORM.to_vec()] {
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes were accepted");
        }
        for more in [&b" "[..], b"\n", b"\0", b"{}"] {
            assert!(parse(&[&bytes[..], more].concat()).is_err(), "{more:?} was accepted");
        }
    }
}

/// Deliberate alteration: each hex digit of each field changed, and the checksum made to fit
/// again. One slot's copy of the data key may be ruined without touching the other's; nothing may
/// open to other keys.
#[test]
fn every_altered_field_is_refused_when_opened() {
    let (sealed, _) = made(&everyday());
    let json = serde_json::to_string(&body(&sealed)).expect("writes");
    let spots = hex_spots(&json);
    // Vault, two slots' ids, three nonces, two wrapped keys, the payload.
    assert_eq!(spots.len(), 2 * (16 + 2 * 16 + 3 * 24 + 2 * 48 + contents::SEALED_CONTENTS));
    let mut opened_by_one = 0;
    for at in &spots {
        let mut altered = json.clone().into_bytes();
        altered[*at] = if altered[*at] == b'0' { b'1' } else { b'0' };
        let body: Body = serde_json::from_slice(&altered).expect("still a body");
        let file = rewritten(&sealed, body);
        let outcomes = [try_key(&file, &everyday()), try_key(&file, &words())];
        opened_by_one += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(outcomes.iter().any(Result::is_err), "digit {at} changed nothing");
        for refusal in outcomes.into_iter().filter_map(Result::err) {
            assert!(is_clean(&refusal), "digit {at}: {refusal}");
        }
    }
    // Exactly the digits of one slot's own seal leave the other slot good.
    assert_eq!(opened_by_one, 2 * 2 * (24 + 48));
}

fn is_clean(refusal: &VaultError) -> bool {
    matches!(
        refusal,
        VaultError::WrongPassphrase
            | VaultError::WrongKeychainKey { .. }
            | VaultError::NoKeychainSlot
            | VaultError::WrongWords(WordsError::OtherVault)
            | VaultError::Damaged { .. }
    )
}

fn hex_spots(text: &str) -> Vec<usize> {
    let mut spots = Vec::new();
    let mut start = 0;
    for piece in text.split('"') {
        if piece.len() >= 32 && piece.bytes().all(|b| b.is_ascii_hexdigit()) {
            spots.extend(start..start + piece.len());
        }
        start += piece.len() + 1;
    }
    spots
}

#[test]
fn the_whole_header_is_part_of_every_seal() {
    fn kdf(slot: &mut WrappedSlot) -> &mut seal::Kdf {
        match &mut slot.opened_by {
            OpenedBy::Strong { kdf, .. } | OpenedBy::Passphrase { kdf } => kdf,
            _ => panic!("no passphrase"),
        }
    }
    let alter: [fn(&mut Body); 10] = [
        |b| b.vault.0[0] ^= 1,
        |b| b.generation += 1,
        |b| b.treasury = Treasury::Watched { address: Default::default() },
        |b| kdf(&mut b.slots[0]).t = 2,
        |b| kdf(&mut b.slots[0]).p = 2,
        |b| kdf(&mut b.slots[0]).salt.0[31] ^= 1,
        |b| b.slots.swap(0, 1),
        |b| b.slots.last_mut().expect("recovery").id.0[0] ^= 1,
        |b| drop(b.slots.remove(0)),
        |b| {
            for slot in &mut b.slots {
                if let OpenedBy::Strong { keychain, .. } = &mut slot.opened_by {
                    *keychain = "Secret Service (KDE)".into();
                }
            }
        },
    ];
    let sealed = full();
    for (number, change) in alter.into_iter().enumerate() {
        let mut body = body(&sealed);
        change(&mut body);
        let altered = rewritten(&sealed, body);
        for key in [everyday(), strong(), passphrase(), words()] {
            assert!(try_key(&altered, &key).is_err(), "change {number} was not bound");
        }
    }
}

#[test]
fn parts_of_two_vaults_or_generations_do_not_mix() {
    let (first, opened) = made(&everyday());
    let mut newer = opened;
    newer.generation = 1;
    let newer = newer.seal().expect("seals");
    assert_eq!(newer.generation(), 2);
    for other in [body(&made(&everyday()).0), body(&newer)] {
        for swap in 0..3 {
            let mut mixed = body(&first);
            match swap {
                0 => mixed.slots[0].wrapped = other.slots[0].wrapped.clone(),
                1 => mixed.slots[1].wrapped = other.slots[1].wrapped.clone(),
                _ => mixed.payload = other.payload.clone(),
            }
            let mixed = rewritten(&first, mixed);
            let outcomes = [try_key(&mixed, &everyday()), try_key(&mixed, &words())];
            let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            assert_eq!(refused, if swap == 2 { 2 } else { 1 }, "swap {swap}");
        }
    }
    let mut swapped = body(&first);
    let (a, b) = swapped.slots.split_at_mut(1);
    std::mem::swap(&mut a[0].wrapped, &mut b[0].wrapped);
    let swapped = rewritten(&first, swapped);
    assert!(try_key(&swapped, &everyday()).is_err() && try_key(&swapped, &words()).is_err());
}

#[test]
fn a_hostile_body_in_good_form_is_refused() {
    let alter: [fn(&mut Body); 9] = [
        |b| b.slots.clear(),
        |b| drop(b.slots.pop()),
        |b| b.slots.retain(|s| matches!(s.opened_by, OpenedBy::Recovery)),
        |b| b.slots.push(b.slots[3].clone()),
        |b| b.slots.push(b.slots[0].clone()),
        |b| b.slots[1].id = b.slots[0].id,
        |b| {
            for n in 0..9 {
                let mut more = b.slots[2].clone();
                more.id = Hex([n; 16]);
                b.slots.insert(0, more);
            }
        },
        |b| b.slots[2].opened_by = OpenedBy::Everyday { keychain: "\u{202e}".into() },
        |b| b.slots[2].opened_by = OpenedBy::Everyday { keychain: "x".repeat(5_000) },
    ];
    for (number, change) in alter.into_iter().enumerate() {
        let sealed = full();
        let mut hostile = body(&sealed);
        change(&mut hostile);
        let bytes = rewritten(&sealed, hostile).to_bytes().expect("writes");
        assert!(matches!(parse(&bytes), Err(VaultError::Damaged { .. })), "change {number}");
    }
}

#[test]
fn hostile_costs_and_unknown_fields_are_refused() {
    for (m, t, p) in [(u32::MAX, 3, 1), (8, 1, 1), (65_536, 17, 1), (1_048_576, 5, 1)] {
        let sealed = full();
        let mut hostile = body(&sealed);
        for slot in &mut hostile.slots {
            if let OpenedBy::Passphrase { kdf } = &mut slot.opened_by {
                (kdf.m_kib, kdf.t, kdf.p) = (m, t, p);
            }
        }
        let refused = parse(&rewritten(&sealed, hostile).to_bytes().expect("writes"));
        assert!(matches!(refused, Err(VaultError::Damaged { .. })), "{m} {t} {p}");
    }
    let text = String::from_utf8(full().to_bytes().expect("writes")).expect("text");
    for (from, to) in [
        ("\"generation\": 1,", "\"generation\": 1, \"more\": 1,"),
        ("\"generation\": 1,", "\"generation\": 1, \"generation\": 1,"),
        ("\"generation\": 1,", "\"generation\": 01,"),
        ("\"generation\": 1,", "\"generation\": -1,"),
        ("\"generation\": 1,", "\"generation\": 1.0,"),
        ("\"generation\": 1,", ""),
        ("\"recovery\"", "\"recovery\", \"more\": 1"),
        ("\"own\"", "\"own\", \"more\": 1"),
        ("\"own\"", "\"theirs\""),
        ("argon2id", "argon2i"),
        ("\"version\": 2,", "\"version\": 2, \"version\": 2,"),
        ("\"version\": 2,", "\"version\": 1,"),
        ("\"version\": 2,", "\"version\": 0,"),
        ("\"version\": 2,", "\"version\": \"2\","),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(parse(text.replacen(from, to, 1).as_bytes()).is_err(), "{to} was accepted");
    }
    assert!(parse(text.to_uppercase().as_bytes()).is_err());
    assert!(parse(&[b'['; 60_000]).is_err());
}

#[test]
fn a_later_format_is_named() {
    let later = br#"{"format":"imprest-vault","version":7,"anything":{"else":[1]}}"#;
    let refused = parse(later).err().expect("refused");
    assert!(matches!(refused, VaultError::NewerVersion { found: 7, known: 2, .. }));
}

fn first_form_words() -> OwnerKey {
    OwnerKey::Words(text(FIRST_FORM_WORDS))
}

/// The fixture was written by the first release of this crate.
#[test]
fn a_file_of_the_first_form_opens_and_takes_the_present_form() {
    let path = Path::new("vault.json");
    let old = parse(FIRST_FORM).expect("reads");
    assert!(old.is_first_form() && old.slots().is_empty());
    assert_eq!((old.id(), old.generation()), ("32ae857469630ab32608ee372ac0da9c".into(), 1));
    let mut opened = old.open(path, passphrase().as_ref()).expect("opens");
    assert_eq!(opened.contents.entropy.bytes(), &[0x7f; 32]);
    let everyday = everyday();
    opened.put_way(way(&everyday), cheap()).expect("fits");
    let new = parse(&opened.seal().expect("seals").to_bytes().expect("writes")).expect("reads");
    assert!(!new.is_first_form());
    assert_eq!((new.id(), new.generation()), (old.id(), 2));
    // The old passphrase was carried over with its own salt and cost.
    for key in [passphrase(), everyday, first_form_words()] {
        let opened = new.open(path, key.as_ref()).expect("opens");
        assert_eq!(opened.contents.entropy.bytes(), &[0x7f; 32]);
    }
}

#[test]
fn words_alone_do_not_change_a_file_of_the_first_form_by_halves() {
    let old = parse(FIRST_FORM).expect("reads");
    let open = || old.open(Path::new("vault.json"), first_form_words().as_ref()).expect("opens");
    let everyday = everyday();
    assert!(matches!(open().put_way(way(&everyday), cheap()), Err(VaultError::OldForm)));
    assert!(matches!(open().seal(), Err(VaultError::OldForm)));
    let mut opened = open();
    opened.replace_ways(way(&everyday), cheap()).expect("replaces");
    let new = opened.seal().expect("seals");
    assert!(new.open(Path::new("vault.json"), passphrase().as_ref()).is_err());
    new.open(Path::new("vault.json"), everyday.as_ref()).expect("opens");
}

#[test]
fn a_file_of_the_first_form_refuses_what_is_not_its_own() {
    let old = parse(FIRST_FORM).expect("reads");
    for (key, word) in [
        (OwnerKey::passphrase(text("wrong one")), "WrongPassphrase"),
        (words(), "WrongWords"),
        (everyday(), "NoKeychainSlot"),
        (strong(), "NoKeychainSlot"),
    ] {
        let refused = old.open(Path::new("vault.json"), key.as_ref()).err().expect("refused");
        assert!(format!("{refused:?}").starts_with(word), "{refused:?}");
    }
}

/// Deliberate alteration of a file of the first form.
#[test]
fn every_altered_field_of_the_first_form_is_refused_when_opened() {
    let json: serde_json::Value = serde_json::from_slice(FIRST_FORM).expect("json");
    let compact = String::from_utf8(FIRST_FORM.to_vec()).expect("text");
    let checksum = json["checksum"].as_str().expect("text").to_owned();
    for at in hex_spots(&compact).into_iter().step_by(16) {
        let mut altered = compact.clone().into_bytes();
        altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
        let altered = String::from_utf8(altered).expect("text");
        let body: serde_json::Value = serde_json::from_str(&altered).expect("json");
        if body["checksum"] != json["checksum"] {
            continue;
        }
        let fitting = altered.replace(&checksum, &first_form_checksum(&altered));
        let read = parse(fitting.as_bytes()).expect("fits together");
        let outcomes = [passphrase(), first_form_words()]
            .map(|key| read.open(Path::new("vault.json"), key.as_ref()));
        assert!(outcomes.iter().any(Result::is_err), "digit {at} changed nothing");
        for outcome in outcomes {
            match outcome {
                Ok(opened) => assert_eq!(opened.contents.entropy.bytes(), &[0x7f; 32]),
                Err(refusal) => assert!(is_clean(&refusal), "digit {at}: {refusal}"),
            }
        }
    }
}

/// SHA-256 of the body without white space, the body being the last but one field.
fn first_form_checksum(file: &str) -> String {
    use sha2::{Digest, Sha256};
    let tight: String = file.chars().filter(|c| !c.is_whitespace()).collect();
    let start = tight.find("\"body\":").expect("a body") + 7;
    let end = tight.find(",\"checksum\"").expect("a checksum");
    hex::encode(Sha256::digest(&tight[start..end]))
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse(&bytes).is_err());
    }

    /// Pieces of good files put together in other orders.
    #[test]
    fn no_mixture_of_good_pieces_is_read(cuts in proptest::collection::vec((0..3000usize, 0..3000usize), 1..6)) {
        let good = FIRST_FORM;
        let mixed: Vec<u8> = cuts
            .iter()
            .flat_map(|(from, to)| good.get(*from..*to).unwrap_or_default().to_vec())
            .collect();
        prop_assert!(mixed == good || parse(&mixed).is_err());
    }
}

#[test]
fn ways_in_tell_nothing_but_their_kind() {
    // Every secret type is without Debug; what a slot shows is its kind, name and keychain.
    let shown = format!("{:?}", full().slots().iter().map(crate::SlotInfo::of).collect::<Vec<_>>());
    assert!(shown.contains("Strong") && shown.contains("Secret Service (GNOME)"), "{shown}");
    let way = WayIn::Passphrase(text(PASSPHRASE));
    assert_eq!(way.as_ref().passphrase_text(), Some(PASSPHRASE));
}
