//! The vault file: one JSON document, sealed, bounded and written whole or not at all.
//!
//! [`form2`] says what is in it; files of the form before are read too, and take the present form
//! at the next change. The checksum tells damage from a wrong passphrase; it protects against
//! nobody.

mod contents;
mod form1;
mod form2;
mod seal;

use crate::error::VaultError;
use crate::kdf::KdfCost;
use crate::secret::Secret32;
use crate::slots::{KeyRef, KeychainSecret, WayRef};
use crate::treasury::Treasury;
use contents::Contents;
pub(crate) use form2::{OpenedBy, Slot};
pub(crate) use seal::Hex;
use serde::Deserialize;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const FORMAT: &str = "imprest-vault";
const MAX_BYTES: u64 = 64 * 1024;
/// The most ways in, with the recovery slot.
pub(crate) const MAX_SLOTS: usize = 8;
/// The most treasury keys from outside, over the vault's whole life.
pub(crate) const MAX_IMPORTED: usize = 8;

/// What the disk said of a file that is in its place.
pub(crate) enum Written {
    /// It outlasts a power cut.
    Confirmed,
    /// It is there, but its name was not made durable: a power cut may bring back what was there
    /// before, or leave the new file. Both have to stay openable.
    Unconfirmed(VaultError),
}

/// A slot's random name.
pub(crate) type SlotId = Hex<16>;

/// A vault file in memory: everything in it may be read by anyone.
pub(crate) struct VaultFile(Form);

enum Form {
    First(Box<form1::File>),
    Present(Box<form2::File>),
}

/// A vault file with its secrets open, to be changed and sealed again.
pub(crate) struct Opened {
    vault: Hex<16>,
    generation: u64,
    pub(crate) treasury: Treasury,
    slots: Vec<Slot>,
    pub(crate) contents: Contents,
    /// Whether every way into the file is also here; not so after a file of the first form was
    /// opened by the words, which do not give away the passphrase slot's key.
    is_whole: bool,
}

impl Opened {
    /// A vault that does not exist yet, with one way in beside the words.
    fn new(entropy: Secret32, way: WayRef<'_>, cost: KdfCost) -> Result<Self, VaultError> {
        let mut opened = Self {
            vault: Hex::random()?,
            generation: 0,
            treasury: Treasury::Own,
            slots: Vec::new(),
            contents: Contents { entropy, slot_keys: Vec::new(), imported: Vec::new() },
            is_whole: false,
        };
        opened.replace_ways(way, cost)?;
        Ok(opened)
    }

    /// Adds a way in; in place of the one that has the same name, or is also a passphrase.
    pub(crate) fn put_way(&mut self, way: WayRef<'_>, cost: KdfCost) -> Result<(), VaultError> {
        if !self.is_whole {
            return Err(VaultError::OldForm);
        }
        self.insert(way, cost)
    }

    /// Sets a new passphrase wherever one is taken, `part` being what a keychain keeps for its slot.
    /// All or nothing: one that kept the old passphrase would still open the vault.
    pub(crate) fn set_passphrase(
        &mut self,
        part: Option<&KeychainSecret>,
        new: &str,
        cost: KdfCost,
    ) -> Result<(), VaultError> {
        let taking: Vec<(SlotId, Option<String>)> = self
            .slots
            .iter()
            .filter(|slot| slot.opened_by.kdf().is_some())
            .map(|slot| (slot.id, slot.opened_by.keychain().map(str::to_owned)))
            .collect();
        // The list is the newest first, and each is put before the others.
        for (slot, keychain) in taking.into_iter().rev() {
            let way = match (keychain, part) {
                (None, _) => WayRef::Passphrase(new),
                (Some(_), Some(part)) if part.slot().0 == slot => WayRef::Strong(part, new),
                (Some(recorded), part) => {
                    let found = part.map_or("none that answers", KeychainSecret::keychain);
                    return Err(VaultError::OtherKeychain { recorded, found: found.to_owned() });
                }
            };
            self.put_way(way, cost)?;
        }
        Ok(())
    }

    /// Makes this the only way in beside the words.
    pub(crate) fn replace_ways(
        &mut self,
        way: WayRef<'_>,
        cost: KdfCost,
    ) -> Result<(), VaultError> {
        let recovery = Slot::recovery()?;
        let key = form2::recovery_key(self.vault, &self.contents.entropy)?;
        self.contents.slot_keys = vec![(recovery.id, key)];
        self.slots = vec![recovery];
        self.is_whole = true;
        self.insert(way, cost)
    }

    fn insert(&mut self, way: WayRef<'_>, cost: KdfCost) -> Result<(), VaultError> {
        let (slot, key) = Slot::new(self.vault, way, cost)?;
        let also_passphrase = |other: &Slot| {
            matches!(
                (&slot.opened_by, &other.opened_by),
                (OpenedBy::Passphrase { .. }, OpenedBy::Passphrase { .. })
            )
        };
        let replaced = |other: &&Slot| other.id == slot.id || also_passphrase(other);
        if let Some(gone) = self.slots.iter().find(replaced).map(|slot| slot.id) {
            self.drop_slot(gone);
        }
        if self.slots.len() == MAX_SLOTS {
            return Err(VaultError::TooManySlots { most: MAX_SLOTS });
        }
        self.contents.slot_keys.insert(0, (slot.id, key));
        self.slots.insert(0, slot);
        Ok(())
    }

    /// Removes a way in, but never the words and never the last one beside them.
    pub(crate) fn remove_way(&mut self, id: SlotId) -> Result<(), VaultError> {
        let slot = self.slots.iter().find(|slot| slot.id == id).ok_or(VaultError::NoSuchSlot)?;
        if matches!(slot.opened_by, OpenedBy::Recovery) {
            return Err(VaultError::RecoverySlot);
        }
        if !self.is_whole {
            return Err(VaultError::OldForm);
        }
        if self.slots.len() <= 2 {
            return Err(VaultError::LastWayIn);
        }
        self.drop_slot(id);
        Ok(())
    }

    fn drop_slot(&mut self, id: SlotId) {
        self.slots.retain(|slot| slot.id != id);
        self.contents.slot_keys.retain(|(other, _)| *other != id);
    }

    /// The next generation of the file, under a new data key.
    pub(crate) fn seal(&self) -> Result<VaultFile, VaultError> {
        if !self.is_whole {
            return Err(VaultError::OldForm);
        }
        let next = self.generation.checked_add(1);
        let next = next.ok_or(VaultError::Internal { doing: "count the vault's generations" })?;
        Ok(VaultFile(Form::Present(Box::new(form2::File::seal(self, next)?))))
    }
}

impl VaultFile {
    /// Seals entropy for a vault that does not exist yet; answers what is inside, too.
    pub(crate) fn new(
        entropy: Secret32,
        way: WayRef<'_>,
        cost: KdfCost,
    ) -> Result<(Self, Opened), VaultError> {
        let opened = Opened::new(entropy, way, cost)?;
        Ok((opened.seal()?, opened))
    }

    /// The secrets, by a key of the owner's. Slow, one Argon2id, when it takes a passphrase.
    pub(crate) fn open(&self, path: &Path, key: KeyRef<'_>) -> Result<Opened, VaultError> {
        match &self.0 {
            Form::First(file) => file.open(path, key),
            Form::Present(file) => file.open(path, key),
        }
    }

    /// The vault's own random identifier, 32 hex digits.
    pub(crate) fn id(&self) -> String {
        let vault = match &self.0 {
            Form::First(file) => file.vault(),
            Form::Present(file) => file.body.vault,
        };
        hex::encode(vault.0)
    }

    /// How often the file has been written, from 1.
    pub(crate) fn generation(&self) -> u64 {
        match &self.0 {
            Form::First(file) => file.generation(),
            Form::Present(file) => file.body.generation,
        }
    }

    /// Whose key pays for refills, as the file says; proven only once the file is open.
    pub(crate) fn treasury(&self) -> Treasury {
        match &self.0 {
            Form::First(_) => Treasury::Own,
            Form::Present(file) => file.body.treasury.clone(),
        }
    }

    /// The ways in; none for a file of the first form, which has a passphrase and the words.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        match &self.0 {
            Form::First(_) => Vec::new(),
            Form::Present(file) => file.slots(),
        }
    }

    /// Whether it is of the first form.
    pub(crate) fn is_first_form(&self) -> bool {
        matches!(self.0, Form::First(_))
    }

    /// The cost chosen when a passphrase was first set, if one ever was.
    pub(crate) fn cost(&self) -> Option<KdfCost> {
        match &self.0 {
            Form::First(file) => file.kdf().cost().ok(),
            Form::Present(file) => {
                file.body.slots.iter().find_map(|slot| slot.opened_by.kdf()?.cost().ok())
            }
        }
    }

    /// Reads bytes that must be exactly what was written, in either form.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VaultError> {
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
            form1::VERSION => Ok(Self(Form::First(Box::new(form1::File::parse(path, bytes)?)))),
            form2::VERSION => Ok(Self(Form::Present(Box::new(form2::File::parse(path, bytes)?)))),
            found if found > form2::VERSION => {
                let path = path.to_owned();
                Err(VaultError::NewerVersion { path, found, known: form2::VERSION })
            }
            _ => Err(damaged("its format version does not exist")),
        }
    }

    /// For fuzzing: the same file, in the spelling and with the checksum that a parser wants first.
    pub(crate) fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
        form2::File::with_checksum(bytes).or_else(|| form1::File::with_checksum(bytes))
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, VaultError> {
        match &self.0 {
            Form::First(file) => seal::to_bytes(file),
            Form::Present(file) => seal::to_bytes(file),
        }
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
    pub(crate) fn write_new(&self, path: &Path) -> Result<Written, VaultError> {
        let temp = self.write_beside(path)?;
        temp.persist_noclobber(path).map_err(|e| match e.error.kind() {
            ErrorKind::AlreadyExists => VaultError::AlreadyExists { path: path.to_owned() },
            _ => VaultError::io("make the vault file", path)(e.error),
        })?;
        Ok(sync_folder(path))
    }

    /// Puts this file in the place of the old one, in one step. An error means that the old one is
    /// still there.
    pub(crate) fn replace(&self, path: &Path) -> Result<Written, VaultError> {
        let temp = self.write_beside(path)?;
        temp.persist(path).map_err(|e| VaultError::io("replace the vault file", path)(e.error))?;
        Ok(sync_folder(path))
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

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the new name itself durable; Windows has no such call and needs none. The file is in its
/// place already, so that a failure here undoes nothing.
pub(crate) fn sync_folder(path: &Path) -> Written {
    if cfg!(unix) {
        let folder = folder(path);
        let synced = File::open(&folder).and_then(|opened| opened.sync_all());
        if let Err(source) = synced {
            return Written::Unconfirmed(VaultError::io("make durable the folder", &folder)(
                source,
            ));
        }
    }
    Written::Confirmed
}

#[cfg(test)]
mod tests;
