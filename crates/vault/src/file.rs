//! The vault file: one JSON document, sealed, bounded and written whole or not at all.
//!
//! ```text
//! entropy ──sealed under──▶ data key ──wrapped under──▶ Argon2id(passphrase)
//!                                    └─wrapped under──▶ HKDF(entropy, "recovery slot")
//! ```
//!
//! All three seals are XChaCha20-Poly1305 and authenticate the same header: format, version,
//! vault, generation and key-stretching parameters, each under its own label, so that no part can
//! be exchanged for that of another vault, slot or generation. The data key is new at every
//! rewrite. The checksum tells damage from a wrong passphrase; it protects against nobody.

use crate::error::VaultError;
use crate::kdf::KdfCost;
use crate::secret::{Secret32, expand, random};
use crate::words::WordsError;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

const FORMAT: &str = "imprest-vault";
const VERSION: u64 = 1;
const MAX_BYTES: u64 = 64 * 1024;
/// 32 secret bytes and the 16-byte tag.
const SEALED: usize = 48;

/// A vault file in memory: everything in it may be read by anyone.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultFile {
    format: String,
    version: u64,
    body: Body,
    /// SHA-256 of the body as JSON.
    checksum: Hex<32>,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Body {
    vault: Hex<16>,
    /// Counts rewrites, so that an older copy can be told from a newer one.
    generation: u64,
    passphrase_slot: PassphraseSlot,
    recovery_slot: Seal,
    payload: Seal,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct PassphraseSlot {
    kdf: Kdf,
    wrapped: Seal,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: KdfName,
    m_kib: u32,
    t: u32,
    p: u32,
    salt: Hex<32>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum KdfName {
    #[serde(rename = "argon2id")]
    Argon2id,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Seal {
    nonce: Hex<24>,
    sealed: Hex<SEALED>,
}

/// What a seal is for; part of what it authenticates.
#[derive(Clone, Copy)]
enum Part {
    PassphraseSlot,
    RecoverySlot,
    Payload,
}

/// Exactly `N` bytes, in lower-case hex.
#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

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

impl VaultFile {
    /// Seals entropy for a vault that does not exist yet.
    pub(crate) fn new(
        entropy: &Secret32,
        passphrase: &str,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        Self::seal(Hex(random()?), 1, entropy, passphrase, cost)
    }

    /// Seals the same entropy under another passphrase: same vault, next generation.
    pub(crate) fn resealed(
        &self,
        entropy: &Secret32,
        passphrase: &str,
    ) -> Result<Self, VaultError> {
        let generation = self
            .body
            .generation
            .checked_add(1)
            .ok_or(VaultError::Internal { doing: "count the vault's generations" })?;
        Self::seal(self.body.vault, generation, entropy, passphrase, self.cost()?)
    }

    fn seal(
        vault: Hex<16>,
        generation: u64,
        entropy: &Secret32,
        passphrase: &str,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        let kdf = Kdf {
            name: KdfName::Argon2id,
            m_kib: cost.m_kib(),
            t: cost.t(),
            p: cost.p(),
            salt: Hex(random()?),
        };
        let header = |part| header(part, vault, generation, &kdf);
        let data_key = Secret32::random()?;
        let passphrase_key = cost.stretch(passphrase, &kdf.salt.0)?;
        let recovery_key = recovery_key(vault, entropy)?;
        let wrapped = seal(&passphrase_key, &data_key, &header(Part::PassphraseSlot))?;
        let recovery_slot = seal(&recovery_key, &data_key, &header(Part::RecoverySlot))?;
        let payload = seal(&data_key, entropy, &header(Part::Payload))?;
        let passphrase_slot = PassphraseSlot { kdf, wrapped };
        let body = Body { vault, generation, passphrase_slot, recovery_slot, payload };
        let checksum = Hex(body.checksum()?);
        Ok(Self { format: FORMAT.into(), version: VERSION, body, checksum })
    }

    /// The entropy, by the passphrase. Slow: one Argon2id.
    pub(crate) fn open(&self, path: &Path, passphrase: &str) -> Result<Secret32, VaultError> {
        let slot = &self.body.passphrase_slot;
        let key = self.cost()?.stretch(passphrase, &slot.kdf.salt.0)?;
        let data_key = open(&key, &slot.wrapped, &self.header(Part::PassphraseSlot))
            .ok_or(VaultError::WrongPassphrase)?;
        self.payload(path, &data_key)
    }

    /// Whether this entropy, from recovery words, is the one inside.
    pub(crate) fn admit(&self, path: &Path, entropy: &Secret32) -> Result<(), VaultError> {
        let key = recovery_key(self.body.vault, entropy)?;
        let data_key = open(&key, &self.body.recovery_slot, &self.header(Part::RecoverySlot))
            .ok_or(VaultError::WrongWords(WordsError::OtherVault))?;
        let inside = self.payload(path, &data_key)?;
        if bool::from(inside.bytes().ct_eq(entropy.bytes())) {
            Ok(())
        } else {
            Err(VaultError::damaged(path, "its recovery words belong to other keys"))
        }
    }

    fn payload(&self, path: &Path, data_key: &Secret32) -> Result<Secret32, VaultError> {
        open(data_key, &self.body.payload, &self.header(Part::Payload))
            .ok_or_else(|| VaultError::damaged(path, "its sealed keys do not open"))
    }

    fn header(&self, part: Part) -> Vec<u8> {
        header(part, self.body.vault, self.body.generation, &self.body.passphrase_slot.kdf)
    }

    fn cost(&self) -> Result<KdfCost, VaultError> {
        let kdf = &self.body.passphrase_slot.kdf;
        KdfCost::new(kdf.m_kib, kdf.t, kdf.p)
    }

    /// The vault's own random identifier, 32 hex digits.
    pub(crate) fn id(&self) -> String {
        hex::encode(self.body.vault.0)
    }

    /// How often the file has been written, from 1.
    pub(crate) fn generation(&self) -> u64 {
        self.body.generation
    }

    /// Reads bytes that must be exactly what [`VaultFile::to_bytes`] writes.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VaultError> {
        // Read alone first: a later format may look different in everything else.
        #[derive(Deserialize)]
        struct Probe {
            format: String,
            version: u64,
        }
        let damaged = |why| VaultError::damaged(path, why);
        let probe: Probe =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is not a vault file"))?;
        if probe.format != FORMAT {
            return Err(damaged("it is not a vault file"));
        }
        match probe.version {
            VERSION => {}
            found if found > VERSION => {
                let path = path.to_owned();
                return Err(VaultError::NewerVersion { path, found, known: VERSION });
            }
            _ => return Err(damaged("its format version does not exist")),
        }
        let file: Self =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is incomplete or altered"))?;
        if file.body.checksum()? != file.checksum.0 {
            return Err(damaged("its checksum does not match"));
        }
        // One content, one spelling: nothing can hide in white space, letter case or order.
        if file.to_bytes()? != bytes {
            return Err(damaged("it has been written by another program"));
        }
        file.cost().map_err(|_| damaged("its key-stretching cost is out of bounds"))?;
        Ok(file)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, VaultError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|_| VaultError::Internal { doing: "write the vault file" })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads and checks a vault file of at most 64 KiB.
    pub(crate) fn read(path: &Path) -> Result<Self, VaultError> {
        let not_read = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound => VaultError::NotFound { path: path.to_owned() },
            _ => VaultError::io("read the vault file", path)(source),
        };
        // Asked before opening, because opening a pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(not_read)?.is_file() {
            return Err(VaultError::damaged(path, "it is not a file"));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(not_read)?;
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(not_read)?;
        if read as u64 > MAX_BYTES {
            return Err(VaultError::damaged(path, "it is larger than any vault"));
        }
        Self::parse(path, &bytes)
    }

    /// Writes a new file, readable by its owner alone.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`] when there is anything at the path; it is left alone.
    pub(crate) fn write_new(&self, path: &Path) -> Result<(), VaultError> {
        let temp = self.write_beside(path)?;
        temp.persist_noclobber(path).map_err(|e| match e.error.kind() {
            ErrorKind::AlreadyExists => VaultError::AlreadyExists { path: path.to_owned() },
            _ => VaultError::io("make the vault file", path)(e.error),
        })?;
        sync_folder(path)
    }

    /// Puts this file in the place of the old one, in one step.
    pub(crate) fn replace(&self, path: &Path) -> Result<(), VaultError> {
        let temp = self.write_beside(path)?;
        temp.persist(path).map_err(|e| VaultError::io("replace the vault file", path)(e.error))?;
        sync_folder(path)
    }

    /// A durable copy in the same folder, mode 0600, that removes itself unless put in place.
    fn write_beside(&self, path: &Path) -> Result<tempfile::NamedTempFile, VaultError> {
        let io = |source| VaultError::io("write the vault file beside", path)(source);
        let bytes = self.to_bytes()?;
        let mut temp = tempfile::Builder::new()
            .prefix(".vault-")
            .suffix(".tmp")
            .tempfile_in(folder(path))
            .map_err(io)?;
        temp.write_all(&bytes).map_err(io)?;
        temp.as_file().sync_all().map_err(io)?;
        Ok(temp)
    }
}

impl Body {
    fn checksum(&self) -> Result<[u8; 32], VaultError> {
        let json = serde_json::to_vec(self)
            .map_err(|_| VaultError::Internal { doing: "write the vault file" })?;
        Ok(Sha256::digest(&json).into())
    }
}

/// What every seal authenticates. All fields have a fixed length, so no two headers share bytes.
fn header(part: Part, vault: Hex<16>, generation: u64, kdf: &Kdf) -> Vec<u8> {
    let KdfName::Argon2id = kdf.name;
    let part: &[u8; 16] = match part {
        Part::PassphraseSlot => b"passphrase slot ",
        Part::RecoverySlot => b"recovery slot   ",
        Part::Payload => b"payload         ",
    };
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(FORMAT.as_bytes());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(part);
    bytes.extend_from_slice(&vault.0);
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(b"argon2id");
    for figure in [kdf.m_kib, kdf.t, kdf.p] {
        bytes.extend_from_slice(&figure.to_be_bytes());
    }
    bytes.extend_from_slice(&kdf.salt.0);
    bytes
}

fn recovery_key(vault: Hex<16>, entropy: &Secret32) -> Result<Secret32, VaultError> {
    expand(entropy, &vault.0, b"imprest vault 1: recovery slot")
}

fn cipher(key: &Secret32) -> XChaCha20Poly1305 {
    // The cipher wipes its own copy; this one borrows.
    let key: &Key = key.bytes().into();
    XChaCha20Poly1305::new(key)
}

fn seal(key: &Secret32, secret: &Secret32, aad: &[u8]) -> Result<Seal, VaultError> {
    let failed = VaultError::Internal { doing: "seal the keys" };
    let nonce: [u8; 24] = random()?;
    let payload = Payload { msg: secret.bytes(), aad };
    let Ok(sealed) = cipher(key).encrypt(&XNonce::from(nonce), payload) else {
        return Err(failed);
    };
    let sealed = sealed.try_into().map_err(|_| failed)?;
    Ok(Seal { nonce: Hex(nonce), sealed: Hex(sealed) })
}

fn open(key: &Secret32, seal: &Seal, aad: &[u8]) -> Option<Secret32> {
    let payload = Payload { msg: &seal.sealed.0, aad };
    cipher(key).decrypt(&XNonce::from(seal.nonce.0), payload).ok().and_then(Secret32::take)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the new name itself durable; Windows has no such call and needs none.
fn sync_folder(path: &Path) -> Result<(), VaultError> {
    if cfg!(unix) {
        let folder = folder(path);
        File::open(&folder)
            .and_then(|opened| opened.sync_all())
            .map_err(VaultError::io("make durable the folder", &folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse";

    fn cheap() -> KdfCost {
        KdfCost::new(19 * 1024, 1, 1).expect("in bounds")
    }

    fn entropy() -> Secret32 {
        Secret32::take((0..32).collect()).expect("32 bytes")
    }

    fn file() -> VaultFile {
        VaultFile::new(&entropy(), PASSPHRASE, cheap()).expect("seals")
    }

    fn parse(bytes: &[u8]) -> Result<VaultFile, VaultError> {
        VaultFile::parse(Path::new("vault.json"), bytes)
    }

    fn try_all(file: &VaultFile) -> [Result<(), VaultError>; 2] {
        let path = Path::new("vault.json");
        let opened = file.open(path, PASSPHRASE).map(|got| {
            assert_eq!(got.bytes(), entropy().bytes(), "opened with other keys");
        });
        [opened, file.admit(path, &entropy())]
    }

    #[test]
    fn opens_by_either_slot() {
        let bytes = file().to_bytes().expect("writes");
        let read = parse(&bytes).expect("reads");
        assert!(try_all(&read).iter().all(Result::is_ok));
        assert!(!read.id().is_empty() && read.generation() == 1);
    }

    #[test]
    fn never_seals_twice_alike() {
        let (a, b) = (file(), file());
        assert_ne!(a.id(), b.id());
        assert_ne!(a.body.payload.sealed.0, b.body.payload.sealed.0);
        let again = a.resealed(&entropy(), PASSPHRASE).expect("seals");
        assert_eq!((again.id(), again.generation()), (a.id(), 2));
        assert_ne!(a.body.payload.sealed.0, again.body.payload.sealed.0);
        assert_ne!(a.body.passphrase_slot.kdf.salt.0, again.body.passphrase_slot.kdf.salt.0);
    }

    /// Chance damage: whatever is done to any one byte of the file, it is refused when read.
    #[test]
    fn every_altered_byte_is_refused_when_read() {
        let bytes = file().to_bytes().expect("writes");
        for at in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
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

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let bytes = file().to_bytes().expect("writes");
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes were accepted");
        }
        for more in [&b" "[..], b"\n", b"\0", b"{}"] {
            assert!(parse(&[&bytes[..], more].concat()).is_err(), "{more:?} was accepted");
        }
    }

    /// Deliberate alteration: one byte of each field changed and the checksum made to fit again.
    #[test]
    fn every_altered_field_is_refused_when_opened() {
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
        let sealed = file();
        let body = serde_json::to_string(&sealed.body).expect("writes");
        let spots = hex_spots(&body);
        assert_eq!(spots.len(), 2 * (16 + 32 + 3 * (24 + SEALED)));
        // Every byte of every field once; the low digit of each.
        for at in spots.into_iter().skip(1).step_by(2) {
            let mut altered = body.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            let body: Body = serde_json::from_slice(&altered).expect("still a body");
            refused(VaultFile { body, ..sealed.clone() }, at);
        }
    }

    fn refused(mut altered: VaultFile, at: usize) {
        altered.checksum = Hex(altered.body.checksum().expect("sums"));
        let read = parse(&altered.to_bytes().expect("writes")).expect("fits together");
        let [by_passphrase, by_words] = try_all(&read);
        assert!(by_passphrase.is_err() || by_words.is_err(), "byte {at} changed nothing");
        for refusal in [by_passphrase, by_words].into_iter().filter_map(Result::err) {
            assert!(
                matches!(
                    refusal,
                    VaultError::WrongPassphrase
                        | VaultError::WrongWords(WordsError::OtherVault)
                        | VaultError::Damaged { .. }
                ),
                "byte {at}: {refusal}"
            );
        }
    }

    #[test]
    fn the_header_is_part_of_every_seal() {
        let alter: [fn(&mut Body); 5] = [
            |b| b.vault.0[0] ^= 1,
            |b| b.generation += 1,
            |b| b.passphrase_slot.kdf.t = 2,
            |b| b.passphrase_slot.kdf.p = 2,
            |b| b.passphrase_slot.kdf.salt.0[31] ^= 1,
        ];
        for change in alter {
            let mut altered = file();
            change(&mut altered.body);
            assert!(try_all(&altered).iter().all(Result::is_err), "a header was not bound");
        }
    }

    #[test]
    fn parts_of_two_vaults_do_not_mix() {
        let (a, b) = (file(), file());
        let newer = a.resealed(&entropy(), PASSPHRASE).expect("seals");
        for other in [b, newer] {
            for swap in 0..3 {
                let mut mixed = a.clone();
                match swap {
                    0 => mixed.body.passphrase_slot = other.body.passphrase_slot.clone(),
                    1 => mixed.body.recovery_slot = other.body.recovery_slot.clone(),
                    _ => mixed.body.payload = other.body.payload.clone(),
                }
                assert!(try_all(&mixed).iter().any(Result::is_err), "swap {swap} was accepted");
            }
        }
        let mut swapped = a.clone();
        std::mem::swap(&mut swapped.body.recovery_slot, &mut swapped.body.payload);
        assert!(try_all(&swapped).iter().all(Result::is_err));
    }

    #[test]
    fn hostile_costs_and_unknown_fields_are_refused() {
        for (m, t, p) in [(u32::MAX, 3, 1), (8, 1, 1), (65_536, 17, 1), (1_048_576, 5, 1)] {
            let mut hostile = file();
            let kdf = &mut hostile.body.passphrase_slot.kdf;
            (kdf.m_kib, kdf.t, kdf.p) = (m, t, p);
            hostile.checksum = Hex(hostile.body.checksum().expect("sums"));
            let refused = parse(&hostile.to_bytes().expect("writes"));
            assert!(matches!(refused, Err(VaultError::Damaged { .. })), "{m} {t} {p}");
        }
        let text = String::from_utf8(file().to_bytes().expect("writes")).expect("text");
        for (from, to) in [
            ("\"generation\": 1,", "\"generation\": 1, \"more\": 1,"),
            ("\"generation\": 1,", "\"generation\": 1, \"generation\": 1,"),
            ("\"generation\": 1,", "\"generation\": 01,"),
            ("\"generation\": 1,", "\"generation\": -1,"),
            ("\"generation\": 1,", "\"generation\": 1.0,"),
            ("\"generation\": 1,", ""),
            ("argon2id", "argon2i"),
            ("\"version\": 1,", "\"version\": 1, \"version\": 1,"),
            ("\"version\": 1,", "\"version\": 0,"),
            ("\"version\": 1,", "\"version\": \"1\","),
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
        assert!(matches!(refused, VaultError::NewerVersion { found: 7, known: 1, .. }));
    }
}
