//! The credential of one agent: 256 random bits, shown once, kept only as a hash.

use crate::error::DoorError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every token starts with, so that secret scanners and people can recognise one.
const PREFIX: &str = "imp_";
/// Bytes of randomness in a token.
const SECRET_BYTES: usize = 32;
/// Base64url characters that carry them.
const SECRET_CHARS: usize = 43;

/// An agent's bearer token: `imp_` and 43 characters of base64url, 256 random bits.
///
/// The text is wiped from memory when dropped and never appears in `Debug`.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Makes a new token from the operating system's randomness.
    ///
    /// # Errors
    /// [`DoorError::NoEntropy`] when the system gives none.
    pub fn generate() -> Result<Token, DoorError> {
        let mut secret = Zeroizing::new([0u8; SECRET_BYTES]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| DoorError::NoEntropy)?;
        // Exact capacity: a growing string would leave unwiped copies behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + SECRET_CHARS));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Ok(Token(text))
    }

    /// Reads a token strictly: the prefix, 43 characters, canonical base64url, nothing around it.
    ///
    /// # Errors
    /// [`DoorError::MalformedToken`], which never repeats what was given.
    pub fn parse(text: &str) -> Result<Token, DoorError> {
        let secret = text.strip_prefix(PREFIX).ok_or(DoorError::MalformedToken)?;
        if secret.len() != SECRET_CHARS {
            return Err(DoorError::MalformedToken);
        }
        let mut bytes = Zeroizing::new([0u8; SECRET_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(secret, bytes.as_mut_slice()) {
            Ok(SECRET_BYTES) => Ok(Token(Zeroizing::new(text.to_owned()))),
            Ok(_) | Err(_) => Err(DoorError::MalformedToken),
        }
    }

    /// The token as text, to show once to the owner or to send in `Authorization`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the token's text in lower-case hex: the only form that is stored.
    ///
    /// A plain hash is right here: the token has 256 random bits, so there is nothing to guess
    /// that a slow password hash would protect, and every request has to be checked quickly.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }

    /// Whether a stored hash is this token's, compared in constant time.
    pub fn matches_hash(&self, stored: &str) -> bool {
        self.hash().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(imp_…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_has_the_promised_form_and_is_read_back() {
        let token = Token::generate().expect("the system has randomness");
        assert_eq!(token.expose().len(), 47);
        assert!(token.expose().starts_with("imp_"));
        let again = Token::parse(token.expose()).expect("its own form is accepted");
        assert_eq!(again.hash(), token.hash());
        assert!(token.matches_hash(&again.hash()));
        let other = Token::generate().expect("the system has randomness");
        assert_ne!(other.expose(), token.expose());
        assert!(!other.matches_hash(&token.hash()));
    }

    #[test]
    fn the_hash_is_sha256_of_the_whole_text() {
        let token = Token::parse("imp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            .expect("zero is a token like any other");
        let expected = hex::encode(Sha256::digest(token.expose()));
        assert_eq!(token.hash(), expected);
        assert_eq!(token.hash().len(), 64);
    }

    #[test]
    fn other_forms_are_refused_without_repeating_them() {
        let good = "imp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for bad in [
            "",
            "imp_",
            "imp",
            &good[4..],
            &good[..46],
            &format!("{good}A"),
            &format!("{good}="),
            &format!(" {good}"),
            &format!("{good}\n"),
            &good.replace("imp_", "IMP_"),
            &good.replace("AAA", "AA+"),
            &good.replace("AAA", "AA/"),
            // Not canonical: the last character carries bits beyond 256.
            &format!("{}B", &good[..46]),
            &good.replace("AAA", "Aä"),
        ] {
            let error = Token::parse(bad).expect_err("a malformed token was accepted");
            assert!(!error.to_string().contains("AAAA"), "the error repeats the secret");
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let token = Token::generate().expect("the system has randomness");
        assert_eq!(format!("{token:?}"), "Token(imp_…)");
    }
}
