//! The vault in use: making it, opening it, and what its owner may change.

use crate::derive::{Keys, TREASURY};
use crate::error::VaultError;
use crate::file::{MAX_IMPORTED, Opened, VaultFile};
use crate::kdf::{self, KdfCost};
use crate::keychain::Keychain;
use crate::keystore;
use crate::presence::Presence;
use crate::secret::{Secret32, SecretText, scrub_stack};
use crate::slots::{
    self, KeyRef, KeychainSecret, OwnerKey, SlotId, SlotInfo, SlotKind, WayIn, WayRef,
};
use crate::treasury::{ImportedKey, Treasury};
use crate::words::{self, RecoveryWords};
use alloy_primitives::Address;
use disk::OnDisk;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use zeroize::Zeroizing;

/// The desk's keys. Share it as `Arc<Vault>`; every method takes `&self`.
///
/// The methods that take a passphrase or an [`OwnerKey`] stretch it, which needs up to a second
/// and a quarter of a gigabyte; they run one at a time, and belong on `spawn_blocking`. The others
/// take less than a millisecond, an account's first use too, and never wait for a passphrase.
pub struct Vault {
    path: PathBuf,
    halted: AtomicBool,
    /// Held through key stretching and rewriting, so both happen one at a time.
    turn: Mutex<()>,
    /// Held for microseconds: what is on disk.
    disk: Mutex<OnDisk>,
    /// Held for microseconds; never while key stretching runs.
    open: Mutex<Open>,
    /// Counts locks, so that an unlock that was already under way does not undo one, and the
    /// owner's presence ends with one. Changed only while `open` is held.
    locks: Arc<AtomicU64>,
}

struct Open {
    keys: Option<Keys>,
    /// When the keys last came into memory or signed.
    used: Option<Instant>,
}

/// What [`Vault::set_treasury`] takes. It has no `Debug` and no `Clone`.
pub enum NewTreasury {
    /// The vault's own account 0.
    Own,
    /// A key from elsewhere, which the vault then keeps for good.
    Import(ImportedKey),
    /// A key that was imported before.
    Imported {
        /// Its address.
        address: Address,
    },
    /// An address to look at only.
    Watch {
        /// The address.
        address: Address,
    },
    /// An account on a Ledger device.
    Device {
        /// Its address, as the device told it.
        address: Address,
        /// The account on the device, at `m/44'/60'/account'/0/0`.
        account: u32,
    },
}

/// Which key an export is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportedKey {
    /// The treasury's.
    Treasury,
    /// That of an agent's account, from 1.
    Account(u32),
}

/// Construction and the state of the file.
impl Vault {
    /// Makes a new vault that the passphrase alone opens, on a machine without a keychain: see
    /// [`Vault::create_with`].
    ///
    /// # Errors
    /// As [`Vault::create_with`].
    pub fn create(
        path: impl Into<PathBuf>,
        passphrase: &SecretText,
        cost: KdfCost,
    ) -> Result<(Self, RecoveryWords), VaultError> {
        Self::create_way(path.into(), WayRef::Passphrase(passphrase.expose()), cost)
    }

    /// Makes a new vault with new random keys and one way in, and answers it unlocked, with the
    /// words that are the only way back when that is lost.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`]; a passphrase under 10 characters or over 1024 bytes; no
    /// memory or random bytes; the disk.
    pub fn create_with(
        path: impl Into<PathBuf>,
        way: &WayIn,
        cost: KdfCost,
    ) -> Result<(Self, RecoveryWords), VaultError> {
        Self::create_way(path.into(), way.as_ref(), cost)
    }

    fn create_way(
        path: PathBuf,
        way: WayRef<'_>,
        cost: KdfCost,
    ) -> Result<(Self, RecoveryWords), VaultError> {
        let entropy = Secret32::random()?;
        let words = RecoveryWords::of(&entropy)?;
        Ok((Self::make(path, entropy, way, cost)?, words))
    }

    /// Makes a vault from its 24 words that the passphrase alone opens: see
    /// [`Vault::restore_with`].
    ///
    /// # Errors
    /// As [`Vault::restore_with`].
    pub fn restore(
        path: impl Into<PathBuf>,
        words: &SecretText,
        passphrase: &SecretText,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        let way = WayRef::Passphrase(passphrase.expose());
        Self::make(path.into(), words::parse(words)?, way, cost)
    }

    /// Makes a vault from its 24 words alone, when the file is lost, with one way in; answers it
    /// unlocked, with the same keys and addresses as before. A treasury key that was imported is
    /// not in the words.
    ///
    /// # Errors
    /// As [`Vault::create_with`], and [`VaultError::WrongWords`].
    pub fn restore_with(
        path: impl Into<PathBuf>,
        words: &SecretText,
        way: &WayIn,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        Self::make(path.into(), words::parse(words)?, way.as_ref(), cost)
    }

    fn make(
        path: PathBuf,
        entropy: Secret32,
        way: WayRef<'_>,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        check_way(way)?;
        // Asked first only to spare the owner the wait; `write_new` is what decides.
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(VaultError::AlreadyExists { path });
        }
        let (file, opened) = VaultFile::new(entropy, way, cost)?;
        let written = file.write_new(&path)?;
        let vault = Self::with(path, OnDisk::made(file, written));
        vault.install(opened, 0)?;
        Ok(vault)
    }

    /// Reads a vault file, and answers it locked.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Damaged`], [`VaultError::NewerVersion`] or
    /// [`VaultError::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, VaultError> {
        let path = path.into();
        let file = VaultFile::read(&path)?;
        let written = crate::file::sync_folder(&path);
        Ok(Self::with(path, OnDisk::found(file, written)))
    }

    fn with(path: PathBuf, disk: OnDisk) -> Self {
        Self {
            path,
            halted: AtomicBool::new(false),
            turn: Mutex::new(()),
            disk: Mutex::new(disk),
            open: Mutex::new(Open { keys: None, used: None }),
            locks: Arc::default(),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The vault's random identifier, 32 hex digits; not secret, and new for every vault made.
    pub fn id(&self) -> String {
        self.file().id()
    }

    /// How often the file has been rewritten, from 1. A smaller figure than one seen before means
    /// that an older copy was put in its place, with an older passphrase.
    pub fn generation(&self) -> u64 {
        self.file().generation()
    }

    /// Refuses a file that is older than one seen before; `seen` is a [`Vault::generation`] that
    /// was remembered elsewhere, such as in the keychain.
    ///
    /// # Errors
    /// [`VaultError::OlderCopy`].
    pub fn refuse_older_than(&self, seen: u64) -> Result<(), VaultError> {
        let found = self.generation();
        if found < seen { Err(VaultError::OlderCopy { found, seen }) } else { Ok(()) }
    }

    /// The ways in, the newest first and the words last; known while locked.
    pub fn slots(&self) -> Vec<SlotInfo> {
        let file = self.file();
        if file.is_first_form() {
            return SlotInfo::of_first_form();
        }
        file.slots().iter().map(SlotInfo::of).collect()
    }

    /// Whose key pays for refills; known while locked, and proven by unlocking.
    pub fn treasury(&self) -> Treasury {
        self.file().treasury()
    }

    // A poisoned lock still guards whole values: every change below is one assignment.
    fn file(&self) -> Arc<VaultFile> {
        self.disk().file()
    }

    fn disk(&self) -> MutexGuard<'_, OnDisk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locking and unlocking.
impl Vault {
    /// Brings the keys into memory by the passphrase alone.
    ///
    /// # Errors
    /// As [`Vault::unlock_with`].
    pub fn unlock(&self, passphrase: &SecretText) -> Result<(), VaultError> {
        self.unlock_by(KeyRef::Way(WayRef::Passphrase(passphrase.expose())))
    }

    /// Brings the keys into memory.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`], [`VaultError::WrongKeychainKey`] or
    /// [`VaultError::WrongWords`]; [`VaultError::KeychainNeeded`],
    /// [`VaultError::NoPassphraseSlot`] or [`VaultError::NoKeychainSlot`] when this vault has no
    /// such way in; [`VaultError::Damaged`]; [`VaultError::LockedMeanwhile`] when
    /// [`Vault::lock`] was called while this worked.
    pub fn unlock_with(&self, key: &OwnerKey) -> Result<(), VaultError> {
        self.unlock_by(key.as_ref())
    }

    /// Brings the keys into memory, and answers the owner's presence when `key` shows it, which a
    /// keychain alone does not. `now` is the steady clock's.
    ///
    /// # Errors
    /// As [`Vault::unlock_with`].
    pub fn unlock_as_owner(
        &self,
        key: &OwnerKey,
        now: Instant,
    ) -> Result<Option<Presence>, VaultError> {
        let locks = self.locks.load(Ordering::SeqCst);
        let opened = self.opened(key.as_ref())?;
        self.install(opened, locks)?;
        let shows_owner = !matches!(key, OwnerKey::Way(WayIn::Everyday(_)));
        Ok(shows_owner.then(|| Presence::new(&self.locks, locks, now)))
    }

    fn unlock_by(&self, key: KeyRef<'_>) -> Result<(), VaultError> {
        let locks = self.locks.load(Ordering::SeqCst);
        let opened = self.opened(key)?;
        self.install(opened, locks)
    }

    /// Brings the keys into memory by the recovery words, and makes a new passphrase the only way
    /// in beside them: whatever opened the file before no longer does.
    ///
    /// # Errors
    /// [`VaultError::WrongWords`]; a new passphrase out of bounds; the disk, in which case the
    /// old ways in still hold; [`VaultError::LockedMeanwhile`] as in [`Vault::unlock_with`], with
    /// the new passphrase set.
    pub fn unlock_with_words(
        &self,
        words: &SecretText,
        new_passphrase: &SecretText,
    ) -> Result<(), VaultError> {
        let locks = self.locks.load(Ordering::SeqCst);
        let way = WayRef::Passphrase(new_passphrase.expose());
        let opened = self.replace(KeyRef::Words(words), way)?;
        self.install(opened, locks)
    }

    /// The keychain's part of the key, for the slot that this keychain is recorded for.
    ///
    /// # Errors
    /// [`VaultError::NoKeychainSlot`] when no way in takes a keychain;
    /// [`VaultError::Keychain`] with the keychain's own reason (absent, locked, denied, timed out);
    /// [`VaultError::KeychainKeyMissing`] when it answered and has nothing;
    /// [`VaultError::OtherKeychain`] when, moreover, it is not the one that is recorded. None of
    /// these is the end: the words still open the vault.
    pub async fn keychain_secret(&self, keychain: &Keychain) -> Result<KeychainSecret, VaultError> {
        self.keychain_secret_among(keychain, |_| true).await
    }

    /// As [`Vault::keychain_secret`], for the ways in of one kind only: a vault that opens with the
    /// keychain alone and also with keychain and passphrase has one secret for each.
    ///
    /// # Errors
    /// As [`Vault::keychain_secret`].
    pub async fn keychain_secret_for(
        &self,
        keychain: &Keychain,
        kind: SlotKind,
    ) -> Result<KeychainSecret, VaultError> {
        self.keychain_secret_among(keychain, |slot| slot.kind == kind).await
    }

    async fn keychain_secret_among(
        &self,
        keychain: &Keychain,
        wanted: impl Fn(&SlotInfo) -> bool,
    ) -> Result<KeychainSecret, VaultError> {
        let found = keychain.backend_name();
        let slots: Vec<(SlotId, String)> = self
            .slots()
            .into_iter()
            .filter(|slot| wanted(slot))
            .filter_map(|slot| Some((slot.id?, slot.keychain?)))
            .collect();
        for (id, recorded) in &slots {
            if let Some(secret) = KeychainSecret::load(keychain, id.0, recorded).await? {
                return Ok(secret);
            }
        }
        if slots.iter().any(|(_, recorded)| *recorded == found) {
            return Err(VaultError::KeychainKeyMissing { keychain: found });
        }
        match slots.into_iter().next() {
            Some((_, recorded)) => Err(VaultError::OtherKeychain { recorded, found }),
            None => Err(VaultError::NoKeychainSlot),
        }
    }

    /// Wipes the keys from memory and ends the owner's [`Presence`]; when it returns, no signature
    /// is being made. Reading the books still works, signing does not.
    pub fn lock(&self) {
        let mut open = self.open_state();
        self.locks.fetch_add(1, Ordering::SeqCst);
        open.keys = None;
        open.used = None;
    }

    /// Whether the keys are in memory.
    pub fn is_unlocked(&self) -> bool {
        self.open_state().keys.is_some()
    }

    /// When the vault was unlocked or last signed, whichever was later, for a lock on idle;
    /// nothing while it is locked. Reading an address is no use.
    pub fn last_used(&self) -> Option<Instant> {
        self.open_state().used
    }

    fn install(&self, opened: Opened, locks_before: u64) -> Result<(), VaultError> {
        let Opened { treasury, contents, .. } = opened;
        let keys = Keys::new(contents.entropy, treasury, &contents.imported);
        scrub_stack();
        let keys = keys?;
        let mut open = self.open_state();
        if self.locks.load(Ordering::SeqCst) != locks_before {
            return Err(VaultError::LockedMeanwhile);
        }
        open.keys = Some(keys);
        open.used = Some(Instant::now());
        Ok(())
    }

    fn opened(&self, key: KeyRef<'_>) -> Result<Opened, VaultError> {
        let _turn = self.turn();
        let outcome = self.file().open(&self.path, key);
        scrub_stack();
        outcome
    }
}

/// The owner's presence, and what asks for it.
impl Vault {
    /// Checks a passphrase that opens the vault alone, and changes nothing; works locked and
    /// unlocked.
    ///
    /// # Errors
    /// As [`Vault::unlock_with`].
    pub fn verify_passphrase(&self, passphrase: &SecretText) -> Result<(), VaultError> {
        self.opened(KeyRef::Way(WayRef::Passphrase(passphrase.expose()))).map(drop)
    }

    /// Checks that the owner is here, and answers what acts that raise authority ask for. `now`
    /// is the steady clock's.
    ///
    /// # Errors
    /// [`VaultError::NoProofOfPresence`] for a keychain alone, which any program of the same user
    /// can ask; otherwise as [`Vault::unlock_with`].
    pub fn verify_owner(&self, key: &OwnerKey, now: Instant) -> Result<Presence, VaultError> {
        if let OwnerKey::Way(WayIn::Everyday(_)) = key {
            return Err(VaultError::NoProofOfPresence);
        }
        let locks = self.locks.load(Ordering::SeqCst);
        self.opened(key.as_ref()).map(drop)?;
        Ok(Presence::new(&self.locks, locks, now))
    }

    /// Lets an act go on that only a present owner may do.
    ///
    /// # Errors
    /// [`VaultError::OwnerNotPresent`] when the presence is over, void, or another vault's.
    pub fn require(&self, presence: &Presence, now: Instant) -> Result<(), VaultError> {
        if presence.is_of(&self.locks) && presence.is_current(now) {
            Ok(())
        } else {
            Err(VaultError::OwnerNotPresent)
        }
    }

    /// The 24 words again, for an owner who is present.
    ///
    /// # Errors
    /// [`VaultError::OwnerNotPresent`] or [`VaultError::Locked`].
    pub fn reveal_words(
        &self,
        presence: &Presence,
        now: Instant,
    ) -> Result<RecoveryWords, VaultError> {
        self.require(presence, now)?;
        self.with_keys(|keys| RecoveryWords::of(keys.entropy()))
    }

    /// A key as a Web3 keystore of version 3 under a passphrase of its own (10 characters to 1024
    /// bytes), scrypt with N = 2^17, for an owner who is present. Takes about half a second and
    /// 128 MiB.
    ///
    /// # Errors
    /// [`VaultError::OwnerNotPresent`] or [`VaultError::Locked`]; a passphrase out of bounds;
    /// [`VaultError::TreasuryAccount`] for account 0, which is asked for as the treasury; a
    /// treasury whose key is not here.
    pub fn export_keystore(
        &self,
        which: ExportedKey,
        passphrase: &SecretText,
        presence: &Presence,
        now: Instant,
    ) -> Result<String, VaultError> {
        self.require(presence, now)?;
        kdf::check_new(passphrase.expose())?;
        let key = self.with_keys(|keys| {
            let signer = match which {
                ExportedKey::Treasury => keys.treasury()?,
                ExportedKey::Account(TREASURY) => return Err(VaultError::TreasuryAccount),
                ExportedKey::Account(account) => keys.signer(account)?,
            };
            let bytes = Zeroizing::new(signer.to_bytes().0);
            Secret32::copied(&bytes[..]).ok_or(VaultError::Internal { doing: "export a key" })
        })?;
        let _turn = self.turn();
        keystore::write(&key, passphrase)
    }
}

/// Changes to the file. Each is one rewrite, whole or not at all, under a new data key and the
/// next generation; a locked vault stays locked, an unlocked one unlocked. An error means that the
/// file is as it was; whether the disk confirmed what did not fail, [`Vault::unconfirmed`] says.
///
/// An older copy of the file still opens with what opened it then.
impl Vault {
    /// Sets a new passphrase in place of the one that opens the vault alone.
    ///
    /// # Errors
    /// As [`Vault::change_passphrase_with`].
    pub fn change_passphrase(&self, old: &SecretText, new: &SecretText) -> Result<(), VaultError> {
        self.set_passphrase(KeyRef::Way(WayRef::Passphrase(old.expose())), None, new)
    }

    /// Sets a new passphrase in every slot that takes one: alone, or together with a keychain. `old`
    /// opens one of them; `part` is the keychain's for another, where `old` does not carry it.
    ///
    /// # Errors
    /// [`VaultError::NoPassphraseSlot`] when `old` has none; [`VaultError::OtherKeychain`] for a
    /// slot whose keychain gave no part, because it would go on opening with the old passphrase; the
    /// old one wrong; the new one out of bounds; the disk. The old one still holds then.
    pub fn change_passphrase_with(
        &self,
        old: &OwnerKey,
        part: Option<&KeychainSecret>,
        new: &SecretText,
    ) -> Result<(), VaultError> {
        let part = match old {
            OwnerKey::Way(WayIn::Passphrase(_)) => part,
            OwnerKey::Way(WayIn::Strong { keychain, .. }) => Some(keychain),
            OwnerKey::Way(WayIn::Everyday(_)) | OwnerKey::Words(_) => {
                return Err(VaultError::NoPassphraseSlot);
            }
        };
        self.set_passphrase(old.as_ref(), part, new)
    }

    fn set_passphrase(
        &self,
        old: KeyRef<'_>,
        part: Option<&KeychainSecret>,
        new: &SecretText,
    ) -> Result<(), VaultError> {
        check_way(WayRef::Passphrase(new.expose()))?;
        let cost = self.cost();
        self.change(old, |opened| opened.set_passphrase(part, new.expose(), cost)).map(drop)
    }

    /// Adds a way in. A passphrase takes the place of the passphrase there was.
    ///
    /// # Errors
    /// `key` wrong, as in [`Vault::unlock_with`]; a new passphrase out of bounds;
    /// [`VaultError::TooManySlots`]; [`VaultError::OldForm`] for a file of the first form and
    /// words; the disk, in which case nothing has changed.
    pub fn put_way(&self, key: &OwnerKey, way: &WayIn) -> Result<(), VaultError> {
        self.put(key.as_ref(), way.as_ref())
    }

    /// Makes this the only way in beside the words: to move to another keychain, or after a
    /// keychain was lost. The keychain's old entry can then be forgotten.
    ///
    /// # Errors
    /// As [`Vault::put_way`].
    pub fn replace_ways(&self, key: &OwnerKey, way: &WayIn) -> Result<(), VaultError> {
        self.replace(key.as_ref(), way.as_ref()).map(drop)
    }

    /// Removes a way in.
    ///
    /// # Errors
    /// [`VaultError::RecoverySlot`], [`VaultError::LastWayIn`], [`VaultError::NoSuchSlot`];
    /// otherwise as [`Vault::put_way`].
    pub fn remove_way(&self, key: &OwnerKey, slot: SlotId) -> Result<(), VaultError> {
        self.change(key.as_ref(), |opened| opened.remove_way(slot.0)).map(drop)
    }

    /// Removes a slot's entry from a keychain, after the slot itself is gone.
    ///
    /// # Errors
    /// [`VaultError::LastWayIn`] while [`Vault::may_need`] says so; [`VaultError::Keychain`].
    pub async fn forget_in_keychain(
        &self,
        keychain: &Keychain,
        slot: SlotId,
    ) -> Result<(), VaultError> {
        if self.may_need(slot) {
            return Err(VaultError::LastWayIn);
        }
        slots::forget(keychain, slot.0).await
    }

    /// Chooses whose key pays for refills. A key that is imported stays in the vault for good,
    /// also when another treasury is chosen later.
    ///
    /// # Errors
    /// [`VaultError::TooManyKeys`]; [`VaultError::WatchOnly`] for an address that was never
    /// imported; otherwise as [`Vault::put_way`].
    pub fn set_treasury(&self, key: &OwnerKey, new: NewTreasury) -> Result<(), VaultError> {
        let opened = self.change(key.as_ref(), |opened| {
            opened.treasury = choose(new, &mut opened.contents.imported)?;
            Ok(())
        })?;
        match self.open_state().keys.as_mut() {
            Some(keys) => keys.set_treasury(opened.treasury, &opened.contents.imported),
            None => Ok(()),
        }
    }

    fn put(&self, key: KeyRef<'_>, way: WayRef<'_>) -> Result<(), VaultError> {
        check_way(way)?;
        let cost = self.cost();
        self.change(key, |opened| opened.put_way(way, cost)).map(drop)
    }

    fn replace(&self, key: KeyRef<'_>, way: WayRef<'_>) -> Result<Opened, VaultError> {
        check_way(way)?;
        let cost = self.cost();
        self.change(key, |opened| opened.replace_ways(way, cost))
    }

    /// What was measured when a passphrase was first set, or what is measured now.
    fn cost(&self) -> KdfCost {
        self.file().cost().unwrap_or_else(KdfCost::calibrate)
    }

    fn change(
        &self,
        key: KeyRef<'_>,
        alter: impl FnOnce(&mut Opened) -> Result<(), VaultError>,
    ) -> Result<Opened, VaultError> {
        let _turn = self.turn();
        let outcome = self.file().open(&self.path, key).and_then(|mut opened| {
            alter(&mut opened)?;
            let new = opened.seal()?;
            let written = new.replace(&self.path)?;
            self.disk().replaced(new, written);
            Ok(opened)
        });
        scrub_stack();
        outcome
    }
}

fn check_way(way: WayRef<'_>) -> Result<(), VaultError> {
    way.passphrase_text().map_or(Ok(()), kdf::check_new)
}

fn choose(new: NewTreasury, imported: &mut Vec<Secret32>) -> Result<Treasury, VaultError> {
    let known = |imported: &[Secret32], address| {
        imported
            .iter()
            .any(|key| crate::treasury::signer_of(key).is_ok_and(|own| own.address() == address))
    };
    match new {
        NewTreasury::Own => Ok(Treasury::Own),
        NewTreasury::Watch { address } => Ok(Treasury::Watched { address }),
        NewTreasury::Device { address, account } => Ok(Treasury::Device { address, account }),
        NewTreasury::Imported { address } if known(imported, address) => {
            Ok(Treasury::Imported { address })
        }
        NewTreasury::Imported { address } => Err(VaultError::WatchOnly { address }),
        NewTreasury::Import(key) => {
            let address = key.address();
            if !known(imported, address) {
                if imported.len() == MAX_IMPORTED {
                    return Err(VaultError::TooManyKeys { most: MAX_IMPORTED });
                }
                imported.push(key.key);
            }
            Ok(Treasury::Imported { address })
        }
    }
}

mod disk;
mod signing;
#[cfg(test)]
mod tests;
