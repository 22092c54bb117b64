//! What fuzzing feeds (`crates/fuzz`, and libFuzzer in `fuzz/`); not for use.
//!
//! Each takes any bytes, must not panic, checks what must hold of whatever is accepted, and
//! answers whether it was.

use crate::file::VaultFile;
use crate::keystore::Keystore;
use crate::secret::SecretText;
use crate::slots::KeyRef;
use crate::words;
use std::path::Path;

/// The words of every vault among the seeds: 256 bits of ones.
const SEEDS_WORDS: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo \
                           zoo zoo zoo zoo zoo vote";

/// A vault file: whatever is read is written again byte for byte, and no words but its own open it.
pub fn vault_file(bytes: &[u8]) -> bool {
    let path = Path::new("vault.json");
    let Ok(file) = VaultFile::parse(path, bytes) else { return false };
    let again = file.to_bytes();
    assert!(again.is_ok_and(|again| again == bytes), "two spellings of one vault file");
    let ways_in = file.slots().len();
    assert!(ways_in <= crate::file::MAX_SLOTS && (ways_in >= 2 || file.is_first_form()));
    // Opening by words stretches nothing, and reads everything that is sealed.
    let words = SecretText::new(SEEDS_WORDS.to_owned());
    if let Ok(opened) = file.open(path, KeyRef::Words(&words)) {
        assert_eq!(opened.contents.entropy.bytes(), &[0xff; 32], "it holds other keys");
    }
    true
}

/// A vault file with the checksum that fits what it says, if it says anything.
pub fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    VaultFile::with_checksum(bytes)
}

/// A keystore file from elsewhere; its key stretching is not run.
pub fn keystore(bytes: &[u8]) -> bool {
    let keystore = std::str::from_utf8(bytes).ok().map(Keystore::parse);
    let Some(Ok(keystore)) = keystore else { return false };
    assert!(keystore.is_in_bounds(), "a cost out of bounds was accepted");
    true
}

/// Recovery words: whatever is read is written again as the same words.
pub fn recovery_words(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(entropy) = words::parse(&SecretText::new(text.to_owned())) else { return false };
    let written = words::phrase(&entropy).map(|words| words.to_string()).unwrap_or_default();
    let given: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    assert_eq!(written, given.join(" "));
    true
}
