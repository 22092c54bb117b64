//! The statement key: what makes a statement the owner's, and spends nothing.
//!
//! It is Ed25519 and not secp256k1, because a statement is signed in OpenSSH's format and
//! `ssh-keygen -Y verify`, which is on most machines already, then checks it without this
//! software; OpenSSH knows no secp256k1. It is derived from the entropy under a label of its own,
//! so that the words bring it back, it is no account's key, and nothing it signs is money.
//!
//! Source: <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>.

use crate::error::VaultError;
use crate::secret::Secret32;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};

/// What a statement's signature is for; `ssh-keygen -Y verify -n` wants the same name.
pub const STATEMENT_NAMESPACE: &str = "statement@imprest";
const KIND: &[u8] = b"ssh-ed25519";
const LINE: usize = 70;

/// The public half of the statement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementKey([u8; 32]);

impl StatementKey {
    /// The 32 bytes of RFC 8032.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// One line for an `allowed_signers` file or a web page: `ssh-ed25519 AAAA…`.
    pub fn openssh(&self) -> String {
        format!("ssh-ed25519 {}", STANDARD.encode(self.blob()))
    }

    fn blob(&self) -> Vec<u8> {
        [field(KIND), field(&self.0)].concat()
    }
}

pub(crate) fn public_key(seed: &Secret32) -> StatementKey {
    StatementKey(SigningKey::from_bytes(seed.bytes()).verifying_key().to_bytes())
}

/// Signs a document's bytes; the same bytes give the same signature.
pub(crate) fn sign(seed: &Secret32, document: &[u8]) -> Result<String, VaultError> {
    let key = SigningKey::from_bytes(seed.bytes());
    let digest = Sha512::digest(document);
    let namespace = STATEMENT_NAMESPACE.as_bytes();
    let signed =
        [b"SSHSIG".to_vec(), field(namespace), field(b""), field(b"sha512"), field(&digest)]
            .concat();
    let signature =
        key.try_sign(&signed).map_err(|_| VaultError::Internal { doing: "sign a statement" })?;
    let public = StatementKey(key.verifying_key().to_bytes());
    let blob = [
        b"SSHSIG".to_vec(),
        1u32.to_be_bytes().to_vec(),
        field(&public.blob()),
        field(namespace),
        field(b""),
        field(b"sha512"),
        field(&[field(KIND), field(&signature.to_bytes())].concat()),
    ]
    .concat();
    Ok(armored(&blob))
}

/// A length in four bytes, and the bytes (RFC 4251, section 5). All are shorter than 200 bytes.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

fn armored(blob: &[u8]) -> String {
    let text = STANDARD.encode(blob);
    let mut lines = String::from("-----BEGIN SSH SIGNATURE-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines.push_str("\n-----END SSH SIGNATURE-----\n");
    lines
}
