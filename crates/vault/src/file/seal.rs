//! The parts every form of the vault file is made of: hex fields, key-stretching figures, seals.

use crate::error::VaultError;
use crate::kdf::KdfCost;
use crate::secret::{Secret32, random};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a tag adds to what it seals, in bytes.
pub(super) const TAG: usize = 16;

/// Exactly `N` bytes, in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Hex<N> {
    /// Fresh public random bytes.
    pub(crate) fn random() -> Result<Self, VaultError> {
        random().map(Self)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// How a passphrase is stretched.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kdf {
    name: KdfName,
    pub(super) m_kib: u32,
    pub(super) t: u32,
    pub(super) p: u32,
    pub(super) salt: Hex<32>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum KdfName {
    #[serde(rename = "argon2id")]
    Argon2id,
}

impl Kdf {
    /// This cost, with a salt of its own.
    pub(super) fn new(cost: KdfCost) -> Result<Self, VaultError> {
        Ok(Self {
            name: KdfName::Argon2id,
            m_kib: cost.m_kib(),
            t: cost.t(),
            p: cost.p(),
            salt: Hex::random()?,
        })
    }

    /// # Errors
    /// [`VaultError::KdfOutOfBounds`].
    pub(super) fn cost(&self) -> Result<KdfCost, VaultError> {
        KdfCost::new(self.m_kib, self.t, self.p)
    }

    pub(super) fn stretch(&self, passphrase: &str) -> Result<Secret32, VaultError> {
        self.cost()?.stretch(passphrase, &self.salt.0)
    }
}

/// `N` sealed bytes: those of the secret and the tag.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal<const N: usize> {
    pub(super) nonce: Hex<24>,
    pub(super) sealed: Hex<N>,
}

impl<const N: usize> Seal<N> {
    /// Seals `N` - 16 bytes under a fresh nonce.
    pub(super) fn new(key: &Secret32, secret: &[u8], aad: &[u8]) -> Result<Self, VaultError> {
        let failed = || VaultError::Internal { doing: "seal the keys" };
        let nonce: [u8; 24] = random()?;
        let payload = Payload { msg: secret, aad };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
        let sealed = sealed.try_into().map_err(|_| failed())?;
        Ok(Self { nonce: Hex(nonce), sealed: Hex(sealed) })
    }

    /// What was sealed; nothing when the key is another or any bit has changed.
    pub(super) fn open(&self, key: &Secret32, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: &self.sealed.0, aad };
        cipher(key).decrypt(&XNonce::from(self.nonce.0), payload).ok().map(Zeroizing::new)
    }

    pub(super) fn open_key(&self, key: &Secret32, aad: &[u8]) -> Option<Secret32> {
        self.open(key, aad).and_then(|bytes| Secret32::copied(&bytes))
    }
}

fn cipher(key: &Secret32) -> XChaCha20Poly1305 {
    // The cipher wipes its own copy; this one borrows.
    let key: &Key = key.bytes().into();
    XChaCha20Poly1305::new(key)
}

/// Tells damage from a wrong passphrase; it protects against nobody.
pub(super) fn checksum(body: &impl Serialize) -> Result<Hex<32>, VaultError> {
    let json = serde_json::to_vec(body).map_err(not_written)?;
    Ok(Hex(Sha256::digest(&json).into()))
}

/// One content, one spelling: the only bytes that are read again.
pub(super) fn to_bytes(file: &impl Serialize) -> Result<Vec<u8>, VaultError> {
    let mut bytes = serde_json::to_vec_pretty(file).map_err(not_written)?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(super) fn not_written(_: serde_json::Error) -> VaultError {
    VaultError::Internal { doing: "write the vault file" }
}
