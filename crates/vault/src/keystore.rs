//! Web3 Secret Storage, version 3: the file other wallets keep a key in.
//!
//! A file from elsewhere is bounded before any work is done for it: its size, every length in it,
//! and what its key stretching would cost. Its passphrase is taken byte for byte, as other wallets
//! do. Source: <https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/>.

use crate::error::VaultError;
use crate::secret::{Secret32, SecretText, random, scrub_stack};
use crate::treasury::{ImportedKey, signer_of};
use aes::Aes128;
use alloy_primitives::{Address, keccak256};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const MAX_BYTES: usize = 64 * 1024;
const MAX_PASSPHRASE_BYTES: usize = 1024;
/// scrypt's memory is 128 bytes times N times r: at most 1 GiB.
const MAX_N_R: u64 = 1 << 23;
/// scrypt's work: eight times what geth writes, some seconds.
const MAX_N_R_P: u64 = 1 << 24;
const MAX_R_P: u64 = 1 << 10;
/// Sixteen times what geth's PBKDF2 files have, some seconds.
const MAX_PBKDF2_ROUNDS: u64 = 1 << 22;
/// What is written: scrypt with N = 2^17, r = 8, p = 1; 128 MiB.
const EXPORT_LOG_N: u8 = 17;

/// Why a keystore file was refused. It repeats nothing of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// More than any keystore needs.
    #[error("a keystore file has at most 65536 bytes, and this is longer. Choose another file.")]
    TooLarge,
    /// Not the JSON of a keystore, or something in it has an impossible form.
    #[error("that is not a keystore file of version 3. Export the key again as one.")]
    NotKeystore,
    /// Encrypted in a way that is not read here.
    #[error(
        "that keystore is not encrypted with AES-128-CTR under scrypt or PBKDF2. Export the key again with one of these."
    )]
    UnknownScheme,
    /// Opening it would cost more time or memory than a keystore should.
    #[error(
        "that keystore asks for more work than 1 GiB and some seconds. Export the key again at a usual cost."
    )]
    TooDear,
    /// The key-stretching memory could not be had.
    #[error(
        "there is not enough memory to open that keystore. Close other programs and try again."
    )]
    OutOfMemory,
    /// The passphrase is not the file's, or the file was altered.
    #[error("the passphrase does not open that keystore. Try again.")]
    WrongPassphrase,
    /// It names another address than its key has.
    #[error("the key in that keystore is not that of the address it names. Export it again.")]
    WrongAddress,
}

/// A keystore file that was read and found to be in bounds, still closed.
pub struct Keystore {
    named: Option<Address>,
    kdf: Kdf,
    salt: Vec<u8>,
    iv: [u8; 16],
    ciphertext: [u8; 32],
    mac: [u8; 32],
}

enum Kdf {
    Scrypt(scrypt::Params),
    Pbkdf2 { rounds: u32 },
}

#[derive(Deserialize)]
struct Document {
    version: u64,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KdfParams {
    dklen: u64,
    salt: String,
    n: Option<u64>,
    r: Option<u64>,
    p: Option<u64>,
    c: Option<u64>,
    prf: Option<String>,
}

impl Keystore {
    /// Reads a file, which takes microseconds whatever is in it.
    ///
    /// # Errors
    /// [`VaultError::Keystore`] for anything that is not a keystore within bounds.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        Ok(Self::read(text)?)
    }

    fn read(text: &str) -> Result<Self, KeystoreError> {
        if text.len() > MAX_BYTES {
            return Err(KeystoreError::TooLarge);
        }
        let bad = KeystoreError::NotKeystore;
        let document: Document = serde_json::from_str(text).map_err(|_| bad)?;
        if document.version != 3 {
            return Err(bad);
        }
        let Crypto { cipher, cipherparams, ciphertext, kdf, kdfparams, mac } = document.crypto;
        if cipher != "aes-128-ctr" {
            return Err(KeystoreError::UnknownScheme);
        }
        if kdfparams.dklen != 32 {
            return Err(bad);
        }
        let salt = hex::decode(&kdfparams.salt).map_err(|_| bad)?;
        if !(8..=64).contains(&salt.len()) {
            return Err(bad);
        }
        Ok(Self {
            named: document.address.map(|text| address_of(&text).ok_or(bad)).transpose()?,
            kdf: Kdf::of(&kdf, &kdfparams)?,
            salt,
            iv: bytes_of(&cipherparams.iv).ok_or(bad)?,
            ciphertext: bytes_of(&ciphertext).ok_or(bad)?,
            mac: bytes_of(&mac).ok_or(bad)?,
        })
    }

    /// The address the file names, which is not proven until it is open.
    pub fn named_address(&self) -> Option<Address> {
        self.named
    }

    /// The key inside. Slow on purpose, by what the file asks for, at most some seconds and 1 GiB:
    /// keep it off the async runtime's threads.
    ///
    /// # Errors
    /// [`VaultError::Keystore`]; [`VaultError::BadKey`] when what is inside is no key.
    pub fn open(&self, passphrase: &SecretText) -> Result<ImportedKey, VaultError> {
        let opened = self.decrypt(passphrase.expose().as_bytes());
        scrub_stack();
        let key = ImportedKey::checked(opened?)?;
        match self.named {
            Some(named) if named != key.address() => Err(KeystoreError::WrongAddress.into()),
            _ => Ok(key),
        }
    }

    /// Whether what opening would cost is within what is accepted.
    pub(crate) fn is_in_bounds(&self) -> bool {
        match &self.kdf {
            Kdf::Scrypt(params) => params.n() * u64::from(params.r()) <= MAX_N_R,
            Kdf::Pbkdf2 { rounds } => u64::from(*rounds) <= MAX_PBKDF2_ROUNDS,
        }
    }

    fn decrypt(&self, passphrase: &[u8]) -> Result<Secret32, KeystoreError> {
        if passphrase.len() > MAX_PASSPHRASE_BYTES {
            return Err(KeystoreError::WrongPassphrase);
        }
        let stretched = self.kdf.stretch(passphrase, &self.salt)?;
        let expected = mac(&stretched, &self.ciphertext);
        if !bool::from(expected.ct_eq(&self.mac)) {
            return Err(KeystoreError::WrongPassphrase);
        }
        let mut key = Secret32::blank();
        key.bytes_mut().copy_from_slice(&self.ciphertext);
        apply_cipher(&stretched, &self.iv, key.bytes_mut());
        Ok(key)
    }
}

impl Kdf {
    fn of(name: &str, params: &KdfParams) -> Result<Self, KeystoreError> {
        match (name, params) {
            (
                "scrypt",
                KdfParams { n: Some(n), r: Some(r), p: Some(p), c: None, prf: None, .. },
            ) => Self::scrypt(*n, *r, *p),
            ("pbkdf2", KdfParams { n: None, r: None, p: None, c: Some(c), prf: Some(prf), .. }) => {
                if prf != "hmac-sha256" {
                    return Err(KeystoreError::UnknownScheme);
                }
                match u32::try_from(*c) {
                    Ok(0) => Err(KeystoreError::NotKeystore),
                    Ok(rounds) if *c <= MAX_PBKDF2_ROUNDS => Ok(Self::Pbkdf2 { rounds }),
                    _ => Err(KeystoreError::TooDear),
                }
            }
            ("scrypt" | "pbkdf2", _) => Err(KeystoreError::NotKeystore),
            _ => Err(KeystoreError::UnknownScheme),
        }
    }

    fn scrypt(n: u64, r: u64, p: u64) -> Result<Self, KeystoreError> {
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(KeystoreError::NotKeystore);
        }
        let memory = n.checked_mul(r).filter(|n_r| *n_r <= MAX_N_R);
        let work = memory.and_then(|n_r| n_r.checked_mul(p)).filter(|work| *work <= MAX_N_R_P);
        let lanes = r.checked_mul(p).filter(|r_p| *r_p <= MAX_R_P);
        if work.is_none() || lanes.is_none() {
            return Err(KeystoreError::TooDear);
        }
        let small = |figure| u32::try_from(figure).map_err(|_| KeystoreError::TooDear);
        let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| KeystoreError::TooDear)?;
        let params = scrypt::Params::new(log_n, small(r)?, small(p)?);
        params.map(Self::Scrypt).map_err(|_| KeystoreError::NotKeystore)
    }

    fn stretch(&self, passphrase: &[u8], salt: &[u8]) -> Result<Secret32, KeystoreError> {
        let mut key = Secret32::blank();
        match self {
            Self::Scrypt(params) => {
                let bytes = params.n().saturating_mul(u64::from(params.r())).saturating_mul(128);
                // scrypt itself would end the process if it could not have its memory.
                let room = usize::try_from(bytes).map_err(|_| KeystoreError::OutOfMemory)?;
                let has_room = Vec::<u8>::new().try_reserve_exact(room).is_ok();
                if !has_room {
                    return Err(KeystoreError::OutOfMemory);
                }
                scrypt::scrypt(passphrase, salt, params, key.bytes_mut())
                    .map_err(|_| KeystoreError::NotKeystore)?;
            }
            Self::Pbkdf2 { rounds } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, *rounds, key.bytes_mut());
            }
        }
        Ok(key)
    }
}

/// Writes a key as a keystore of version 3. Slow on purpose, half a second and 128 MiB.
pub(crate) fn write(key: &Secret32, passphrase: &SecretText) -> Result<String, VaultError> {
    let address = signer_of(key)?.address();
    let (salt, iv): ([u8; 32], [u8; 16]) = (random()?, random()?);
    let kdf = Kdf::scrypt(1 << EXPORT_LOG_N, 8, 1)?;
    let stretched = kdf.stretch(passphrase.expose().as_bytes(), &salt)?;
    let mut ciphertext = Zeroizing::new(*key.bytes());
    apply_cipher(&stretched, &iv, &mut ciphertext);
    let mac = mac(&stretched, &ciphertext);
    scrub_stack();
    let text = serde_json::json!({
        "version": 3,
        "id": random_uuid()?,
        "address": hex::encode(address),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": hex::encode(iv) },
            "ciphertext": hex::encode(&ciphertext[..]),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 1u32 << EXPORT_LOG_N,
                "p": 1,
                "r": 8,
                "salt": hex::encode(salt),
            },
            "mac": hex::encode(mac),
        },
    });
    serde_json::to_string_pretty(&text)
        .map_err(|_| VaultError::Internal { doing: "write a keystore" })
}

/// keccak-256 of the second half of the stretched key, and the ciphertext.
fn mac(stretched: &Secret32, ciphertext: &[u8; 32]) -> [u8; 32] {
    let mut input = Zeroizing::new([0; 48]);
    input[..16].copy_from_slice(&stretched.bytes()[16..]);
    input[16..].copy_from_slice(ciphertext);
    keccak256(&input[..]).0
}

/// AES-128-CTR under the first half of the stretched key; the same both ways.
fn apply_cipher(stretched: &Secret32, iv: &[u8; 16], bytes: &mut [u8; 32]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&stretched.bytes()[..16]);
    Ctr128BE::<Aes128>::new((&*key).into(), iv.into()).apply_keystream(bytes);
}

/// A UUID of version 4 (RFC 9562).
fn random_uuid() -> Result<String, VaultError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    let part = |from, to| text.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn address_of(text: &str) -> Option<Address> {
    bytes_of::<20>(text.strip_prefix("0x").unwrap_or(text)).map(Address::from)
}

#[cfg(test)]
mod tests;
