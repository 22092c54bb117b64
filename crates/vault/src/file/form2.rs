//! The present form of the vault file: any number of slots over one data key.
//!
//! ```text
//! entropy, imported keys ──sealed under──▶ data key ──wrapped in──▶ slot, slot, … recovery slot
//! ```
//!
//! A slot's key is HKDF-SHA256 with the vault's id as salt and the slot's kind as label, of
//!
//! | slot | input |
//! |---|---|
//! | passphrase | Argon2id(passphrase) |
//! | everyday | the keychain's 32 bytes |
//! | strong | the keychain's 32 bytes, then Argon2id(passphrase) |
//! | recovery | the entropy itself, as the 24 words write it |
//!
//! Every seal is XChaCha20-Poly1305 and authenticates the label `imprest vault 2`, what it is for,
//! its slot's id, and the whole header as JSON: format, version, vault, generation, treasury, and
//! for each slot its id, kind, keychain and key-stretching figures. The data key is new at every
//! rewrite, and so is the generation; no part of one vault, slot or generation fits another.

use super::contents::{Contents, SEALED_CONTENTS};
use super::seal::{Hex, Kdf, Seal, TAG, checksum, not_written, to_bytes};
use super::{FORMAT, MAX_SLOTS, Opened, SlotId};
use crate::error::VaultError;
use crate::kdf::KdfCost;
use crate::keychain;
use crate::secret::{Secret32, expand, expand_both};
use crate::slots::{KeyRef, WayRef};
use crate::treasury::Treasury;
use crate::words::{self, WordsError};
use serde::{Deserialize, Serialize};
use std::path::Path;
use subtle::ConstantTimeEq;

pub(super) const VERSION: u64 = 2;
const WRAPPED: usize = 32 + TAG;

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) format: String,
    pub(super) version: u64,
    pub(super) body: Body,
    /// SHA-256 of the body as JSON.
    pub(super) checksum: Hex<32>,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) vault: Hex<16>,
    /// Counts rewrites, so that an older copy can be told from a newer one.
    pub(super) generation: u64,
    pub(super) treasury: Treasury,
    pub(super) slots: Vec<WrappedSlot>,
    pub(super) payload: Seal<SEALED_CONTENTS>,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct WrappedSlot {
    pub(super) id: SlotId,
    pub(super) opened_by: OpenedBy,
    pub(super) wrapped: Seal<WRAPPED>,
}

/// A slot without what it wraps: everything about it that is not sealed.
#[derive(Serialize, Clone)]
pub(crate) struct Slot {
    pub(crate) id: SlotId,
    pub(crate) opened_by: OpenedBy,
}

/// What opens a slot.
#[derive(Serialize, Deserialize, Clone)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum OpenedBy {
    Passphrase { kdf: Kdf },
    Everyday { keychain: String },
    Strong { keychain: String, kdf: Kdf },
    Recovery,
}

impl OpenedBy {
    pub(crate) fn keychain(&self) -> Option<&str> {
        match self {
            Self::Everyday { keychain } | Self::Strong { keychain, .. } => Some(keychain),
            Self::Passphrase { .. } | Self::Recovery => None,
        }
    }

    pub(super) fn kdf(&self) -> Option<&Kdf> {
        match self {
            Self::Passphrase { kdf } | Self::Strong { kdf, .. } => Some(kdf),
            Self::Everyday { .. } | Self::Recovery => None,
        }
    }
}

impl Slot {
    /// A slot for a way in, and its key. Slow when it takes a passphrase.
    pub(super) fn new(
        vault: Hex<16>,
        way: WayRef<'_>,
        cost: KdfCost,
    ) -> Result<(Self, Secret32), VaultError> {
        let (id, opened_by) = match way {
            WayRef::Passphrase(_) => {
                (SlotId::random()?, OpenedBy::Passphrase { kdf: Kdf::new(cost)? })
            }
            WayRef::Everyday(held) => {
                (held.id(), OpenedBy::Everyday { keychain: held.keychain().to_owned() })
            }
            WayRef::Strong(held, _) => {
                let keychain = held.keychain().to_owned();
                (held.id(), OpenedBy::Strong { keychain, kdf: Kdf::new(cost)? })
            }
        };
        let slot = Self { id, opened_by };
        let key = slot.key(vault, way)?;
        Ok((slot, key))
    }

    /// The passphrase slot of the first form, carried over with its own salt.
    pub(super) fn passphrase(
        vault: Hex<16>,
        kdf: Kdf,
        stretched: &Secret32,
    ) -> Result<(Self, Secret32), VaultError> {
        let slot = Self { id: SlotId::random()?, opened_by: OpenedBy::Passphrase { kdf } };
        Ok((slot, expand(stretched, &vault.0, b"imprest vault 2: passphrase slot")?))
    }

    pub(super) fn recovery() -> Result<Self, VaultError> {
        Ok(Self { id: SlotId::random()?, opened_by: OpenedBy::Recovery })
    }

    /// The slot's key, from a way in of the slot's own kind.
    fn key(&self, vault: Hex<16>, way: WayRef<'_>) -> Result<Secret32, VaultError> {
        let stretch = |passphrase| match self.opened_by.kdf() {
            Some(kdf) => kdf.stretch(passphrase),
            None => Err(VaultError::Internal { doing: "match a slot" }),
        };
        match way {
            WayRef::Passphrase(passphrase) => {
                expand(&stretch(passphrase)?, &vault.0, b"imprest vault 2: passphrase slot")
            }
            WayRef::Everyday(held) => {
                expand(held.secret(), &vault.0, b"imprest vault 2: everyday slot")
            }
            WayRef::Strong(held, passphrase) => {
                let stretched = stretch(passphrase)?;
                let info = b"imprest vault 2: strong slot";
                expand_both(held.secret(), &stretched, &vault.0, info)
            }
        }
    }
}

pub(super) fn recovery_key(vault: Hex<16>, entropy: &Secret32) -> Result<Secret32, VaultError> {
    expand(entropy, &vault.0, b"imprest vault 2: recovery slot")
}

impl File {
    /// Seals the next generation under a new data key.
    pub(super) fn seal(opened: &Opened, generation: u64) -> Result<Self, VaultError> {
        let Opened { vault, treasury, slots, contents, .. } = opened;
        let slots: Vec<&Slot> = slots.iter().collect();
        let header = header(*vault, generation, treasury, &slots)?;
        let data_key = Secret32::random()?;
        let wrap = |slot: &&Slot| {
            let found = contents.slot_keys.iter().find(|(id, _)| *id == slot.id);
            let (_, key) = found.ok_or(VaultError::Internal { doing: "wrap a slot" })?;
            let wrapped = Seal::new(key, data_key.bytes(), &aad(Some(slot.id), &header))?;
            Ok(WrappedSlot { id: slot.id, opened_by: slot.opened_by.clone(), wrapped })
        };
        let wrapped = slots.iter().map(wrap).collect::<Result<_, VaultError>>()?;
        let inside = contents.to_bytes().ok_or(VaultError::Internal { doing: "fit the keys" })?;
        let payload = Seal::new(&data_key, &inside, &aad(None, &header))?;
        let treasury = treasury.clone();
        let body = Body { vault: *vault, generation, treasury, slots: wrapped, payload };
        let checksum = checksum(&body)?;
        Ok(Self { format: FORMAT.into(), version: VERSION, body, checksum })
    }

    /// See [`super::VaultFile::with_checksum`].
    pub(super) fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut file: Self = serde_json::from_slice(bytes).ok()?;
        file.checksum = checksum(&file.body).ok()?;
        to_bytes(&file).ok()
    }

    /// Reads bytes that must be exactly what sealing wrote.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VaultError> {
        let damaged = |why| VaultError::damaged(path, why);
        let file: Self =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is incomplete or altered"))?;
        if checksum(&file.body)? != file.checksum {
            return Err(damaged("its checksum does not match"));
        }
        // Nothing can hide in white space, letter case or order.
        if to_bytes(&file)? != bytes {
            return Err(damaged("it has been written by another program"));
        }
        file.body.check().map_err(damaged)?;
        Ok(file)
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let bare = |s: &WrappedSlot| Slot { id: s.id, opened_by: s.opened_by.clone() };
        self.body.slots.iter().map(bare).collect()
    }

    /// The secrets, by a key of the owner's. Slow when it takes a passphrase.
    pub(super) fn open(&self, path: &Path, key: KeyRef<'_>) -> Result<Opened, VaultError> {
        match key {
            KeyRef::Way(way) => {
                let slot = self.slot_for(way)?;
                let bare = Slot { id: slot.id, opened_by: slot.opened_by.clone() };
                let slot_key = bare.key(self.body.vault, way)?;
                let opened = self.unwrap(path, slot, &slot_key)?;
                opened.ok_or_else(|| match slot.opened_by.keychain() {
                    Some(keychain) if slot.opened_by.kdf().is_none() => {
                        VaultError::WrongKeychainKey { keychain: keychain.to_owned() }
                    }
                    _ => VaultError::WrongPassphrase,
                })
            }
            KeyRef::Words(words) => self.by_words(path, words::parse(words)?),
        }
    }

    fn by_words(&self, path: &Path, entropy: Secret32) -> Result<Opened, VaultError> {
        let recovery = |slot: &&WrappedSlot| matches!(slot.opened_by, OpenedBy::Recovery);
        let slot = self.body.slots.iter().find(recovery);
        let slot = slot.ok_or_else(|| VaultError::damaged(path, "it has no recovery slot"))?;
        let key = recovery_key(self.body.vault, &entropy)?;
        let opened = self.unwrap(path, slot, &key)?;
        let opened = opened.ok_or(VaultError::WrongWords(WordsError::OtherVault))?;
        if bool::from(opened.contents.entropy.bytes().ct_eq(entropy.bytes())) {
            Ok(opened)
        } else {
            Err(VaultError::damaged(path, "its recovery words belong to other keys"))
        }
    }

    /// The one slot that a way in can be for.
    fn slot_for(&self, way: WayRef<'_>) -> Result<&WrappedSlot, VaultError> {
        let fits = |slot: &&WrappedSlot| match (way, &slot.opened_by) {
            (WayRef::Passphrase(_), OpenedBy::Passphrase { .. }) => true,
            (WayRef::Everyday(held), OpenedBy::Everyday { .. })
            | (WayRef::Strong(held, _), OpenedBy::Strong { .. }) => held.id() == slot.id,
            _ => false,
        };
        let all = &self.body.slots;
        let strong = all.iter().find(|s| matches!(s.opened_by, OpenedBy::Strong { .. }));
        all.iter().find(fits).ok_or_else(|| match (way, strong) {
            (WayRef::Passphrase(_), Some(slot)) => VaultError::KeychainNeeded {
                keychain: slot.opened_by.keychain().unwrap_or_default().to_owned(),
            },
            (WayRef::Passphrase(_), None) => VaultError::NoPassphraseSlot,
            (WayRef::Everyday(_) | WayRef::Strong(..), _) => VaultError::NoKeychainSlot,
        })
    }

    /// What a slot's key opens; nothing when it is not the slot's.
    fn unwrap(
        &self,
        path: &Path,
        slot: &WrappedSlot,
        slot_key: &Secret32,
    ) -> Result<Option<Opened>, VaultError> {
        let slots = self.slots();
        let Body { vault, generation, treasury, payload, .. } = &self.body;
        let bare: Vec<&Slot> = slots.iter().collect();
        let header = header(*vault, *generation, treasury, &bare)?;
        let Some(data_key) = slot.wrapped.open_key(slot_key, &aad(Some(slot.id), &header)) else {
            return Ok(None);
        };
        let broken = || VaultError::damaged(path, "its sealed keys do not open");
        let inside = payload.open(&data_key, &aad(None, &header)).ok_or_else(broken)?;
        let contents = Contents::from_bytes(&inside).ok_or_else(broken)?;
        let known = contents.slot_keys.iter().map(|(id, _)| *id);
        if !known.eq(slots.iter().map(|slot| slot.id)) {
            return Err(broken());
        }
        let treasury = treasury.clone();
        Ok(Some(Opened {
            vault: *vault,
            generation: *generation,
            treasury,
            slots,
            contents,
            is_whole: true,
        }))
    }
}

impl Body {
    /// What a hostile file could say in good form.
    fn check(&self) -> Result<(), &'static str> {
        let count = |kind: fn(&OpenedBy) -> bool| {
            self.slots.iter().filter(|slot| kind(&slot.opened_by)).count()
        };
        let recovery = count(|by| matches!(by, OpenedBy::Recovery));
        let passphrase = count(|by| matches!(by, OpenedBy::Passphrase { .. }));
        if self.slots.len() > MAX_SLOTS || recovery != 1 || passphrase > 1 || self.slots.len() < 2 {
            return Err("it has too many or too few ways in");
        }
        let mut ids: Vec<SlotId> = self.slots.iter().map(|slot| slot.id).collect();
        ids.sort();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two ways in have one name");
        }
        for slot in &self.slots {
            if slot.opened_by.kdf().is_some_and(|kdf| kdf.cost().is_err()) {
                return Err("its key-stretching cost is out of bounds");
            }
            if slot.opened_by.keychain().is_some_and(|name| !keychain::is_backend_name(name)) {
                return Err("it names an impossible keychain");
            }
        }
        Ok(())
    }
}

/// Everything in the file that is not sealed, as the JSON that every seal authenticates.
fn header(
    vault: Hex<16>,
    generation: u64,
    treasury: &Treasury,
    slots: &[&Slot],
) -> Result<Vec<u8>, VaultError> {
    #[derive(Serialize)]
    struct Header<'a> {
        format: &'a str,
        version: u64,
        vault: Hex<16>,
        generation: u64,
        treasury: &'a Treasury,
        slots: &'a [&'a Slot],
    }
    let header = Header { format: FORMAT, version: VERSION, vault, generation, treasury, slots };
    serde_json::to_vec(&header).map_err(not_written)
}

/// The header under a label of fixed length for what is sealed: a slot's copy of the data key, or
/// the payload.
fn aad(slot: Option<SlotId>, header: &[u8]) -> Vec<u8> {
    let (part, id): (&[u8; 8], SlotId) = match slot {
        Some(id) => (b"slot    ", id),
        None => (b"payload ", Hex([0; 16])),
    };
    [&b"imprest vault 2 "[..], part, &id.0, header].concat()
}
