//! The 24 recovery words (BIP-39, English).

use crate::error::VaultError;
use crate::secret::{Secret32, SecretText};
use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

/// More than 24 of the longest words (8 letters) with generous spacing.
const MAX_BYTES: usize = 1024;

/// The words that bring the vault back without its passphrase, to be shown to the owner once.
///
/// It has no `Debug`, `Display` or `Clone`, and is wiped when dropped.
pub struct RecoveryWords(Zeroizing<String>);

impl RecoveryWords {
    /// The 24 words with single spaces.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The 24 words, in order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    pub(crate) fn of(entropy: &Secret32) -> Result<Self, VaultError> {
        phrase(entropy).map(Self)
    }
}

/// Why a text is not the vault's recovery words. It never repeats any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Another number of words than 24.
    #[error("there are {found} recovery words, and 24 are needed. Check that none is missing.")]
    NotTwentyFour {
        /// How many were given; 0 when the text was far too long.
        found: usize,
    },
    /// A word that is not in the list.
    #[error("recovery word {position} is not in the list. Check its spelling.")]
    UnknownWord {
        /// Which one, from 1 to 24.
        position: usize,
    },
    /// Words of the list that do not fit together.
    #[error(
        "the recovery words do not fit together. Check their order and that each one is right."
    )]
    Checksum,
    /// Good words of another vault.
    #[error("these recovery words are not this vault's. Check that you have the right paper.")]
    OtherVault,
}

/// Reads words as a person writes them: any case, any white space between.
pub(crate) fn parse(text: &SecretText) -> Result<Secret32, WordsError> {
    let text = text.expose();
    if text.len() > MAX_BYTES {
        return Err(WordsError::NotTwentyFour { found: 0 });
    }
    let count = text.split_whitespace().count();
    if count != 24 {
        return Err(WordsError::NotTwentyFour { found: count });
    }
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|e| match e {
            bip39::Error::UnknownWord(index) => WordsError::UnknownWord { position: index + 1 },
            _ => WordsError::Checksum,
        })?;
    // 24 words carry 32 bytes; the array's last byte belongs to no word count.
    let (bytes, length) = mnemonic.to_entropy_array();
    let bytes = Zeroizing::new(bytes);
    let mut entropy = Secret32::blank();
    match bytes.get(..length) {
        Some(all) if all.len() == 32 => entropy.bytes_mut().copy_from_slice(all),
        _ => return Err(WordsError::Checksum),
    }
    Ok(entropy)
}

/// Writes entropy as words with single spaces.
pub(crate) fn phrase(entropy: &Secret32) -> Result<Zeroizing<String>, VaultError> {
    let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy.bytes())
        .map_err(|_| VaultError::Internal { doing: "write the recovery words" })?;
    // Sized once: growing would leave pieces of the phrase behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
    for word in mnemonic.words() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<[u8; 32], WordsError> {
        parse(&SecretText::new(text.to_owned())).map(|e| *e.bytes())
    }

    /// The 24-word vectors of the BIP-39 reference implementation.
    /// Source: <https://github.com/trezor/python-mnemonic/blob/master/vectors.json>.
    #[test]
    fn agrees_with_the_reference_vectors() {
        let vectors = [
            (
                "0000000000000000000000000000000000000000000000000000000000000000",
                "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
            ),
            (
                "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
                "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
            ),
            (
                "8080808080808080808080808080808080808080808080808080808080808080",
                "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
            ),
            (
                "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
            ),
            (
                "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
                "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
            ),
            (
                "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863",
                "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside",
            ),
            (
                "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad",
                "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass reopen famous sing advance salt reform",
            ),
            (
                "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
                "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold",
            ),
        ];
        for (entropy, words) in vectors {
            let bytes = hex::decode(entropy).expect("hex");
            let secret = Secret32::copied(&bytes).expect("32 bytes");
            assert_eq!(phrase(&secret).expect("writes").as_str(), words);
            assert_eq!(read(words).expect("reads")[..], bytes[..]);
        }
    }

    #[test]
    fn reads_what_a_person_types() {
        let words = "ZOO zoo zoo\tzoo zoo  zoo\nzoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo Vote\n";
        assert_eq!(read(words), Ok([0xff; 32]));
    }

    #[test]
    fn refuses_what_is_not_24_good_words() {
        let twenty_three = ["zoo"; 23].join(" ");
        assert_eq!(read(""), Err(WordsError::NotTwentyFour { found: 0 }));
        assert_eq!(read(&twenty_three), Err(WordsError::NotTwentyFour { found: 23 }));
        assert_eq!(read(&format!("{twenty_three} zoo")), Err(WordsError::Checksum));
        assert_eq!(
            read(&format!("{twenty_three} zooo")),
            Err(WordsError::UnknownWord { position: 24 })
        );
        // A good 12-word phrase is still not ours.
        let twelve = "test test test test test test test test test test test junk";
        assert_eq!(read(twelve), Err(WordsError::NotTwentyFour { found: 12 }));
        assert_eq!(read(&"zoo ".repeat(300)), Err(WordsError::NotTwentyFour { found: 0 }));
    }

    #[test]
    fn an_error_repeats_no_word() {
        let refused = read(&format!("{} hunter2", ["zoo"; 23].join(" "))).expect_err("unknown");
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("zoo"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_entropy_survives_its_words(entropy: [u8; 32]) {
            let secret = Secret32::copied(&entropy).expect("32 bytes");
            let words = phrase(&secret).expect("writes");
            prop_assert_eq!(read(&words), Ok(entropy));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,300}") {
            let _ = read(&text);
        }
    }
}
