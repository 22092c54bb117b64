//! The first form of the vault file: one passphrase slot, one recovery slot. It is read, and
//! becomes the present form at the next change.
//!
//! ```text
//! entropy ──sealed under──▶ data key ──wrapped under──▶ Argon2id(passphrase)
//!                                    └─wrapped under──▶ HKDF(entropy, "recovery slot")
//! ```

use super::contents::Contents;
use super::form2::{self, Slot};
use super::seal::{Hex, Kdf, Seal, TAG, checksum, to_bytes};
use super::{FORMAT, Opened};
use crate::error::VaultError;
use crate::secret::{Secret32, expand};
use crate::slots::{KeyRef, WayRef};
use crate::treasury::Treasury;
use crate::words::{self, WordsError};
use serde::{Deserialize, Serialize};
use std::path::Path;
use subtle::ConstantTimeEq;

pub(super) const VERSION: u64 = 1;
const SEALED: usize = 32 + TAG;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    format: String,
    version: u64,
    body: Body,
    checksum: Hex<32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    vault: Hex<16>,
    generation: u64,
    passphrase_slot: PassphraseSlot,
    recovery_slot: Seal<SEALED>,
    payload: Seal<SEALED>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassphraseSlot {
    kdf: Kdf,
    wrapped: Seal<SEALED>,
}

impl File {
    /// See [`super::VaultFile::with_checksum`].
    pub(super) fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut file: Self = serde_json::from_slice(bytes).ok()?;
        file.checksum = checksum(&file.body).ok()?;
        to_bytes(&file).ok()
    }

    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VaultError> {
        let damaged = |why| VaultError::damaged(path, why);
        let file: Self =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is incomplete or altered"))?;
        if checksum(&file.body)? != file.checksum {
            return Err(damaged("its checksum does not match"));
        }
        if to_bytes(&file)? != bytes {
            return Err(damaged("it has been written by another program"));
        }
        let cost = file.body.passphrase_slot.kdf.cost();
        cost.map_err(|_| damaged("its key-stretching cost is out of bounds"))?;
        Ok(file)
    }

    pub(super) fn vault(&self) -> Hex<16> {
        self.body.vault
    }

    pub(super) fn generation(&self) -> u64 {
        self.body.generation
    }

    pub(super) fn kdf(&self) -> &Kdf {
        &self.body.passphrase_slot.kdf
    }

    /// Opened by the words, the passphrase slot cannot be carried over: its key is not inside.
    pub(super) fn open(&self, path: &Path, key: KeyRef<'_>) -> Result<Opened, VaultError> {
        match key {
            KeyRef::Way(WayRef::Passphrase(passphrase)) => self.by_passphrase(path, passphrase),
            KeyRef::Words(words) => self.by_words(path, words::parse(words)?),
            KeyRef::Way(WayRef::Everyday(_) | WayRef::Strong(..)) => {
                Err(VaultError::NoKeychainSlot)
            }
        }
    }

    fn by_passphrase(&self, path: &Path, passphrase: &str) -> Result<Opened, VaultError> {
        let slot = &self.body.passphrase_slot;
        let stretched = slot.kdf.stretch(passphrase)?;
        let data_key = slot
            .wrapped
            .open_key(&stretched, &self.header(b"passphrase slot "))
            .ok_or(VaultError::WrongPassphrase)?;
        let entropy = self.payload(path, &data_key)?;
        let carried = Slot::passphrase(self.body.vault, slot.kdf.clone(), &stretched)?;
        self.opened(entropy, Some(carried))
    }

    fn by_words(&self, path: &Path, entropy: Secret32) -> Result<Opened, VaultError> {
        let recovery = expand(&entropy, &self.body.vault.0, b"imprest vault 1: recovery slot")?;
        let data_key = self
            .body
            .recovery_slot
            .open_key(&recovery, &self.header(b"recovery slot   "))
            .ok_or(VaultError::WrongWords(WordsError::OtherVault))?;
        let inside = self.payload(path, &data_key)?;
        if !bool::from(inside.bytes().ct_eq(entropy.bytes())) {
            return Err(VaultError::damaged(path, "its recovery words belong to other keys"));
        }
        self.opened(entropy, None)
    }

    fn payload(&self, path: &Path, data_key: &Secret32) -> Result<Secret32, VaultError> {
        self.body
            .payload
            .open_key(data_key, &self.header(b"payload         "))
            .ok_or_else(|| VaultError::damaged(path, "its sealed keys do not open"))
    }

    fn opened(
        &self,
        entropy: Secret32,
        carried: Option<(Slot, Secret32)>,
    ) -> Result<Opened, VaultError> {
        let vault = self.body.vault;
        let is_whole = carried.is_some();
        let recovery = (Slot::recovery()?, form2::recovery_key(vault, &entropy)?);
        let (slots, keys): (Vec<Slot>, Vec<Secret32>) =
            carried.into_iter().chain([recovery]).unzip();
        let slot_keys = slots.iter().map(|slot| slot.id).zip(keys).collect();
        Ok(Opened {
            vault,
            generation: self.body.generation,
            treasury: Treasury::Own,
            slots,
            contents: Contents { entropy, slot_keys, imported: Vec::new() },
            is_whole,
        })
    }

    /// What every seal of this form authenticates; all fields have a fixed length.
    fn header(&self, part: &[u8; 16]) -> Vec<u8> {
        let kdf = &self.body.passphrase_slot.kdf;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(FORMAT.as_bytes());
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(&self.body.vault.0);
        bytes.extend_from_slice(&self.body.generation.to_be_bytes());
        bytes.extend_from_slice(b"argon2id");
        for figure in [kdf.m_kib, kdf.t, kdf.p] {
            bytes.extend_from_slice(&figure.to_be_bytes());
        }
        bytes.extend_from_slice(&kdf.salt.0);
        bytes
    }
}
