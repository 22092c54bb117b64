//! The vault in use: locked or unlocked, frozen or not, and the one place that signs.

use crate::derive::{Keys, TREASURY};
use crate::error::{NotSigned, VaultError};
use crate::file::VaultFile;
use crate::kdf::{self, KdfCost};
use crate::secret::{Secret32, SecretText, scrub_stack};
use crate::sign::{self, SignedAuthorization, SignedTransaction, Transfer};
use crate::words::{self, RecoveryWords};
use alloy_primitives::Address;
use imprest_domain::{Asset, Authorization};
use imprest_ledger::{Grant, TreasuryGrant};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The desk's keys. Share it as `Arc<Vault>`; every method takes `&self`.
///
/// The methods that take a passphrase stretch it, which needs up to a second and a quarter of a
/// gigabyte; they run one at a time, and belong on `spawn_blocking`. The others take microseconds
/// (the first use of an account, a few milliseconds) and never wait for a passphrase.
pub struct Vault {
    path: PathBuf,
    halted: AtomicBool,
    /// Held through key stretching and rewriting, so both happen one at a time.
    file: Mutex<VaultFile>,
    /// Held for microseconds; never while key stretching runs.
    open: Mutex<Open>,
}

struct Open {
    keys: Option<Keys>,
    /// Counts locks, so that an unlock that was already under way does not undo one.
    locks: u64,
}

/// Construction and the state of the file.
impl Vault {
    /// Makes a new vault with new random keys, and answers it unlocked, with the words that are
    /// the only way back when the passphrase is lost.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`]; a passphrase under 8 characters or over 1024 bytes; no
    /// memory or random bytes; the disk.
    pub fn create(
        path: impl Into<PathBuf>,
        passphrase: &SecretText,
        cost: KdfCost,
    ) -> Result<(Self, RecoveryWords), VaultError> {
        let entropy = Secret32::random()?;
        let words = RecoveryWords::of(&entropy)?;
        Ok((Self::make(path.into(), entropy, passphrase, cost)?, words))
    }

    /// Makes a vault from its 24 words alone, when the file is lost; answers it unlocked, with
    /// the same keys and addresses as before.
    ///
    /// # Errors
    /// As [`Vault::create`], and [`VaultError::WrongWords`].
    pub fn restore(
        path: impl Into<PathBuf>,
        words: &SecretText,
        passphrase: &SecretText,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        Self::make(path.into(), words::parse(words)?, passphrase, cost)
    }

    fn make(
        path: PathBuf,
        entropy: Secret32,
        passphrase: &SecretText,
        cost: KdfCost,
    ) -> Result<Self, VaultError> {
        kdf::check_new(passphrase.expose())?;
        // Asked first only to spare the owner the wait; `write_new` is what decides.
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(VaultError::AlreadyExists { path });
        }
        let file = VaultFile::new(&entropy, passphrase.expose(), cost)?;
        file.write_new(&path)?;
        scrub_stack();
        Ok(Self::with(path, file, Some(Keys::new(entropy))))
    }

    /// Reads a vault file, and answers it locked.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Damaged`], [`VaultError::NewerVersion`] or
    /// [`VaultError::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, VaultError> {
        let path = path.into();
        let file = VaultFile::read(&path)?;
        Ok(Self::with(path, file, None))
    }

    fn with(path: PathBuf, file: VaultFile, keys: Option<Keys>) -> Self {
        Self {
            path,
            halted: AtomicBool::new(false),
            file: Mutex::new(file),
            open: Mutex::new(Open { keys, locks: 0 }),
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

    // A poisoned lock still guards whole values: every change below is one assignment.
    fn file(&self) -> MutexGuard<'_, VaultFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locking, unlocking and the passphrase.
impl Vault {
    /// Brings the keys into memory.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`]; [`VaultError::Damaged`];
    /// [`VaultError::LockedMeanwhile`] when [`Vault::lock`] was called while this worked.
    pub fn unlock(&self, passphrase: &SecretText) -> Result<(), VaultError> {
        let locks = self.open_state().locks;
        let entropy = self.file().open(&self.path, passphrase.expose())?;
        self.install(entropy, locks)
    }

    /// Brings the keys into memory by the recovery words, and sets a new passphrase; the old one
    /// no longer opens the file.
    ///
    /// # Errors
    /// [`VaultError::WrongWords`]; a new passphrase out of bounds; the disk, in which case the
    /// old passphrase still holds; [`VaultError::LockedMeanwhile`] as in [`Vault::unlock`], with
    /// the new passphrase set.
    pub fn unlock_with_words(
        &self,
        words: &SecretText,
        new_passphrase: &SecretText,
    ) -> Result<(), VaultError> {
        kdf::check_new(new_passphrase.expose())?;
        let entropy = words::parse(words)?;
        let locks = self.open_state().locks;
        let mut file = self.file();
        file.admit(&self.path, &entropy)?;
        self.rewrite(&mut file, &entropy, new_passphrase)?;
        drop(file);
        self.install(entropy, locks)
    }

    /// Checks a passphrase and changes nothing; works locked and unlocked. For acts that ask the
    /// owner again.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`] or [`VaultError::Damaged`].
    pub fn verify_passphrase(&self, passphrase: &SecretText) -> Result<(), VaultError> {
        let outcome = self.file().open(&self.path, passphrase.expose()).map(drop);
        scrub_stack();
        outcome
    }

    /// Sets a new passphrase; a locked vault stays locked, an unlocked one unlocked.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`] for the old one; the new one out of bounds; the disk, in
    /// which case the old one still holds.
    pub fn change_passphrase(&self, old: &SecretText, new: &SecretText) -> Result<(), VaultError> {
        kdf::check_new(new.expose())?;
        let mut file = self.file();
        let entropy = file.open(&self.path, old.expose())?;
        self.rewrite(&mut file, &entropy, new)
    }

    /// Wipes the keys from memory; when it returns, no signature is being made. Reading the books
    /// still works, signing does not.
    pub fn lock(&self) {
        let mut open = self.open_state();
        open.locks = open.locks.wrapping_add(1);
        open.keys = None;
    }

    /// Whether the keys are in memory.
    pub fn is_unlocked(&self) -> bool {
        self.open_state().keys.is_some()
    }

    fn install(&self, entropy: Secret32, locks_before: u64) -> Result<(), VaultError> {
        scrub_stack();
        let mut open = self.open_state();
        if open.locks != locks_before {
            return Err(VaultError::LockedMeanwhile);
        }
        open.keys = Some(Keys::new(entropy));
        Ok(())
    }

    fn rewrite(
        &self,
        file: &mut VaultFile,
        entropy: &Secret32,
        passphrase: &SecretText,
    ) -> Result<(), VaultError> {
        let new = file.resealed(entropy, passphrase.expose())?;
        new.replace(&self.path)?;
        *file = new;
        scrub_stack();
        Ok(())
    }
}

/// The owner's freeze.
impl Vault {
    /// Stops all signing; when it returns, no signature is being made or will be. It is the
    /// desk's part to remember it over a restart.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        // Waits out a signature that was past its last check; it is discarded by `not_halted`.
        drop(self.open_state());
    }

    /// Allows signing again.
    pub fn resume(&self) {
        self.halted.store(false, Ordering::SeqCst);
    }

    /// Whether signing is stopped.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    fn not_halted(&self) -> Result<(), VaultError> {
        if self.is_halted() { Err(VaultError::Halted) } else { Ok(()) }
    }
}

/// What the keys are used for.
impl Vault {
    /// The address of an account: 0 is the treasury, agents have 1 to 2147483647.
    ///
    /// # Errors
    /// [`VaultError::Locked`] or [`VaultError::AccountOutOfRange`].
    pub fn address(&self, account: u32) -> Result<Address, VaultError> {
        self.with_keys(|keys| Ok(keys.signer(account)?.address()))
    }

    /// The owner's own address, which refills floats.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn treasury_address(&self) -> Result<Address, VaultError> {
        self.address(TREASURY)
    }

    /// The 256-bit key that authenticates the ledger's head: derived from the entropy under its
    /// own label, so it is the same after a change of passphrase and after a restore.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn seal_key(&self) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        self.with_keys(|keys| keys.seal_key().map(|key| Zeroizing::new(*key.bytes())))
    }

    /// Signs the EIP-3009 authorisation of a grant with its agent's key. The same grant fields
    /// give the same signature (RFC 6979).
    ///
    /// # Errors
    /// The grant comes back with [`VaultError::Halted`], [`VaultError::Locked`], or a sign of a
    /// grant that does not fit its account: [`VaultError::WrongPayer`],
    /// [`VaultError::WrongAsset`], [`VaultError::TreasuryAccount`].
    pub fn sign(&self, grant: Grant) -> Result<SignedAuthorization, Box<NotSigned>> {
        match self.sign_authorization(grant.asset(), grant.authorization(), grant.account()) {
            Ok(signature) => Ok(SignedAuthorization {
                payment: grant.payment().clone(),
                authorization: grant.authorization().clone(),
                signature,
            }),
            Err(error) => Err(Box::new(NotSigned { grant, error })),
        }
    }

    /// Signs an ERC-20 transfer from the treasury, as an EIP-1559 transaction on the asset's
    /// chain that is worth no ether.
    ///
    /// # Errors
    /// The grant comes back with [`VaultError::Halted`] or [`VaultError::Locked`].
    pub fn sign_treasury(
        &self,
        grant: TreasuryGrant,
    ) -> Result<SignedTransaction, Box<NotSigned<TreasuryGrant>>> {
        self.sign_transfer(Transfer::of(&grant))
            .map_err(|error| Box::new(NotSigned { grant, error }))
    }

    fn sign_authorization(
        &self,
        asset: &Asset,
        authorization: &Authorization,
        account: u32,
    ) -> Result<[u8; 65], VaultError> {
        self.not_halted()?;
        if account == TREASURY {
            return Err(VaultError::TreasuryAccount);
        }
        if authorization.asset != asset.id {
            return Err(VaultError::WrongAsset);
        }
        let digest = sign::digest(asset, authorization);
        self.with_keys(|keys| {
            let signer = keys.signer(account)?;
            let (own, named) = (signer.address(), authorization.from);
            if own != named {
                return Err(VaultError::WrongPayer { account, own, named });
            }
            self.unless_halted(|| sign::sign_digest(signer, &digest))
        })
    }

    fn sign_transfer(&self, transfer: Transfer) -> Result<SignedTransaction, VaultError> {
        self.not_halted()?;
        self.with_keys(|keys| {
            let signer = keys.signer(TREASURY)?;
            self.unless_halted(|| transfer.sign(signer))
        })
    }

    /// Makes a signature between two looks at the freeze: one that was under way when the owner
    /// froze the desk is thrown away.
    fn unless_halted<T>(
        &self,
        make: impl FnOnce() -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.not_halted()?;
        let made = make()?;
        self.not_halted()?;
        Ok(made)
    }

    fn with_keys<T>(
        &self,
        act: impl FnOnce(&mut Keys) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let outcome = act(self.open_state().keys.as_mut().ok_or(VaultError::Locked)?);
        scrub_stack();
        outcome
    }
}

#[cfg(test)]
mod tests;
