//! Secrets in memory: wiped when dropped, never printed, never copied by accident.

use crate::error::VaultError;
use crate::locked::{Locked32, Locked64};
use zeroize::{Zeroize, Zeroizing};

/// Text that must not be seen: a passphrase or recovery words on their way in.
///
/// It has no `Debug`, `Display`, `Clone` or `Serialize`, and is wiped when dropped.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text; the given string's own memory becomes the secret's.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the moment it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// 256 secret bits on a locked page, so that moving the owner leaves no copy behind.
pub(crate) struct Secret32(Locked32);

impl Secret32 {
    /// Zeros, to be filled in place.
    pub(crate) fn blank() -> Self {
        Self(Locked32::new([0; 32]))
    }

    /// 256 bits from the operating system.
    pub(crate) fn random() -> Result<Self, VaultError> {
        let mut secret = Self::blank();
        getrandom::fill(secret.bytes_mut()).map_err(|_| VaultError::NoRandom)?;
        Ok(secret)
    }

    /// Copies exactly 32 bytes; the source stays its owner's to wipe.
    pub(crate) fn copied(source: &[u8]) -> Option<Self> {
        if source.len() != 32 {
            return None;
        }
        let mut secret = Self::blank();
        secret.bytes_mut().copy_from_slice(source);
        Some(secret)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.get()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        self.0.get_mut()
    }
}

impl Drop for Secret32 {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
    }
}

/// 512 secret bits on a locked page, such as a BIP-39 seed.
pub(crate) struct Secret64(Locked64);

impl Secret64 {
    /// Zeros, to be filled in place.
    pub(crate) fn blank() -> Self {
        Self(Locked64::new([0; 64]))
    }

    pub(crate) fn bytes(&self) -> &[u8; 64] {
        self.0.get()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 64] {
        self.0.get_mut()
    }
}

impl Drop for Secret64 {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
    }
}

/// Overwrites the part of the stack that calls made from here have used and left.
///
/// Libraries pass keys about by value, and a value that moved away stays in its old place until
/// something else happens to be written there. 64 KiB is more than derivation and signing reach
/// down, and takes about a microsecond; `tests/memory.rs` shows that it is enough.
#[inline(never)]
pub(crate) fn scrub_stack() {
    std::hint::black_box(&mut [0u8; 64 * 1024]);
}

/// Public random bytes: salts, nonces, identifiers.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::NoRandom)?;
    Ok(bytes)
}

/// HKDF-SHA256 (RFC 5869) to one 256-bit key.
pub(crate) fn expand(ikm: &Secret32, salt: &[u8], info: &[u8]) -> Result<Secret32, VaultError> {
    expand_from(ikm.bytes(), salt, info)
}

/// The same of two secrets, one after the other: whoever lacks either learns nothing of the key.
/// Both have a fixed length, so no other two secrets give the same bytes.
pub(crate) fn expand_both(
    first: &Secret32,
    second: &Secret32,
    salt: &[u8],
    info: &[u8],
) -> Result<Secret32, VaultError> {
    let mut both = Zeroizing::new([0; 64]);
    both[..32].copy_from_slice(first.bytes());
    both[32..].copy_from_slice(second.bytes());
    expand_from(&both[..], salt, info)
}

fn expand_from(ikm: &[u8], salt: &[u8], info: &[u8]) -> Result<Secret32, VaultError> {
    let mut out = Secret32::blank();
    hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), ikm)
        .expand(info, out.bytes_mut())
        .map_err(|_| VaultError::Internal { doing: "derive a key" })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile for a type that can be printed, copied or written out: the two
    /// implementations are then both possible, and the compiler cannot tell which is meant.
    macro_rules! has_none_of {
        ($type:ty: $($trait:path),+) => {
            $({
                trait Unless<Which> {
                    fn holds() {}
                }
                impl<T: ?Sized> Unless<()> for T {}
                struct Implemented;
                impl<T: ?Sized + $trait> Unless<Implemented> for T {}
                <$type as Unless<_>>::holds();
            })+
        };
    }

    #[test]
    fn secrets_are_not_printed_copied_or_written_out() {
        macro_rules! secret {
            ($($type:ty),+) => {
                $(has_none_of!(
                    $type: std::fmt::Debug, std::fmt::Display, Clone, serde::Serialize
                );)+
            };
        }
        secret!(SecretText, Secret32, Secret64, Locked32, crate::RecoveryWords, crate::Vault);
        secret!(crate::WayIn, crate::OwnerKey, crate::KeychainSecret, crate::ImportedKey);
        secret!(crate::NewTreasury, crate::Presence, crate::derive::Keys);
        secret!(crate::locked::LockedSigner, crate::Keystore, crate::file::Opened);
    }

    #[test]
    fn takes_exactly_32_bytes() {
        assert!(Secret32::copied(&[1; 31]).is_none());
        assert!(Secret32::copied(&[1; 33]).is_none());
        assert_eq!(Secret32::copied(&[7; 32]).expect("32 bytes").bytes(), &[7; 32]);
    }

    /// RFC 5869, test case 1, cut to the 32 bytes used here, has 22 bytes of input; this is the
    /// same construction checked against HMAC written out by hand.
    #[test]
    fn expands_as_rfc_5869_says() {
        use sha2::{Digest, Sha256};
        let hmac = |key: &[u8], message: &[u8]| {
            let mut block = [0u8; 64];
            block[..key.len()].copy_from_slice(key);
            let pad = |with: u8| block.map(|b| b ^ with);
            let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
            Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize()
        };
        let ikm = Secret32::copied(&[0x0b; 32]).expect("32 bytes");
        let prk = hmac(b"salt", ikm.bytes());
        let okm = hmac(&prk, b"info\x01");
        assert_eq!(expand(&ikm, b"salt", b"info").expect("expands").bytes()[..], okm[..]);
    }
}
