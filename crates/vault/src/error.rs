//! What can go wrong with keys, in words for the owner.

use crate::keychain::KeychainError;
use crate::keystore::KeystoreError;
use crate::words::WordsError;
use alloy_primitives::Address;
use imprest_ledger::Grant;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why the vault refused. No variant holds any part of a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault file.
    #[error("there is no vault at {}. Make one first, or restore one from its 24 words.", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a file already where a new vault was to be made.
    #[error("there is already a vault at {}. Unlock it, or choose another folder.", path.display())]
    AlreadyExists {
        /// Where it is.
        path: PathBuf,
    },
    /// The file is not what the desk wrote.
    #[error("the vault file {} is damaged: {why}. Put a backup copy in its place, or restore from the 24 words.", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file was written by a later version of the desk.
    #[error("the vault file {} has format {found}, and this desk knows formats up to {known}. Use a newer desk.", path.display())]
    NewerVersion {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format understood here.
        known: u64,
    },
    /// The file is older than one seen before.
    #[error(
        "the vault file is an older copy: it was written {found} times, and one written {seen} times was here before. Put the newer one back, or unlock with the 24 recovery words and set a new passphrase."
    )]
    OlderCopy {
        /// How often this one was written.
        found: u64,
        /// How often the one remembered was written.
        seen: u64,
    },
    /// The operating system refused a file operation.
    #[error("could not {doing} {}: {source}. Check the disk and the folder's permissions.", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The passphrase does not open this vault.
    #[error("the passphrase is wrong. Try again, or set a new one with the 24 recovery words.")]
    WrongPassphrase,
    /// A new passphrase is too short to withstand guessing.
    #[error("a passphrase needs at least {min_chars} characters. Choose a longer one.")]
    PassphraseTooShort {
        /// The least number of characters.
        min_chars: usize,
    },
    /// A passphrase is longer than is taken.
    #[error("a passphrase has at most {max_bytes} bytes. Choose a shorter one.")]
    PassphraseTooLong {
        /// The most bytes in UTF-8.
        max_bytes: usize,
    },
    /// The recovery words do not open this vault.
    #[error(transparent)]
    WrongWords(#[from] WordsError),
    /// The keys are not in memory.
    #[error("the vault is locked. Unlock it with the passphrase.")]
    Locked,
    /// The vault was locked while an unlock was still working.
    #[error("the vault was locked again while it was being unlocked. Unlock it once more.")]
    LockedMeanwhile,
    /// The keychain that has its part of the key did not give it.
    #[error(
        "this vault's key is kept in {keychain}, which gave nothing. {source} The 24 recovery words open the vault without it."
    )]
    Keychain {
        /// The keychain the vault file names.
        keychain: String,
        /// What it said.
        source: KeychainError,
    },
    /// The keychain works, and has no key for this vault.
    #[error(
        "{keychain} no longer has this vault's key. Unlock with the 24 recovery words, then choose a keychain again."
    )]
    KeychainKeyMissing {
        /// The keychain the vault file names.
        keychain: String,
    },
    /// This session's keychain is another one than the vault was made with.
    #[error(
        "this vault's key is in {recorded}, and this session has {found}. Log in to the desktop where the first one is, or unlock with the 24 recovery words and choose this keychain."
    )]
    OtherKeychain {
        /// The keychain the vault file names.
        recorded: String,
        /// The keychain that was asked.
        found: String,
    },
    /// What the keychain gave does not open this vault.
    #[error(
        "what {keychain} has under this vault's name is not its key. Unlock with the 24 recovery words, then choose a keychain again."
    )]
    WrongKeychainKey {
        /// The keychain the vault file names.
        keychain: String,
    },
    /// The passphrase opens this vault only together with its keychain.
    #[error(
        "this vault opens with the passphrase and its key in {keychain} together. Unlock that keychain, or use the 24 recovery words."
    )]
    KeychainNeeded {
        /// The keychain the vault file names.
        keychain: String,
    },
    /// No way into this vault takes a passphrase.
    #[error(
        "no passphrase is set for this vault. Unlock it with its keychain or the 24 recovery words, and set one."
    )]
    NoPassphraseSlot,
    /// No way into this vault takes this key from a keychain.
    #[error(
        "this vault does not open with that key from a keychain. Use the passphrase, or the 24 recovery words."
    )]
    NoKeychainSlot,
    /// The words cannot be given up.
    #[error("the 24 recovery words always stay a way into the vault. Remove another way instead.")]
    RecoverySlot,
    /// Something besides the words must open the vault.
    #[error("this is the last way in besides the 24 recovery words. Add another one first.")]
    LastWayIn,
    /// There is no way in of that name.
    #[error("this vault has no such way in. Look at the list of its ways in again.")]
    NoSuchSlot,
    /// The file holds no more ways in.
    #[error("a vault has at most {most} ways in. Remove one first.")]
    TooManySlots {
        /// The most, with the recovery words.
        most: usize,
    },
    /// A file of the first form cannot be changed by words alone without losing its passphrase.
    #[error(
        "this vault file is of an older form. Give its passphrase, or set a new one with the 24 recovery words, and try again."
    )]
    OldForm,
    /// An act needs the owner, who did not show up just before.
    #[error(
        "this needs you, and your passphrase has not been given in the last two minutes. Give it and try again."
    )]
    OwnerNotPresent,
    /// The keychain alone does not show that the owner is there.
    #[error(
        "a keychain alone does not show that you are here. Give the passphrase, or the 24 recovery words."
    )]
    NoProofOfPresence,
    /// A text or number that is no private key.
    #[error("that is not a private key. One has 64 hex digits.")]
    BadKey,
    /// A keystore file that cannot be read or opened.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// No more treasury keys fit.
    #[error(
        "a vault keeps at most {most} treasury keys from elsewhere, and none is ever dropped. Send the money to a treasury it has."
    )]
    TooManyKeys {
        /// The most.
        most: usize,
    },
    /// The treasury's key is not in the vault.
    #[error(
        "the treasury {address} is only watched here. Sign where its key is, or choose another treasury."
    )]
    WatchOnly {
        /// Its address.
        address: Address,
    },
    /// The treasury's key is on a hardware device.
    #[error("the treasury {address} is on a Ledger device. Connect it, and confirm there.")]
    OnDevice {
        /// Its address.
        address: Address,
    },
    /// The hardware device did not sign.
    #[cfg(feature = "ledger-device")]
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// The owner froze the desk.
    #[error("the desk is frozen and signs nothing. Thaw it first.")]
    Halted,
    /// The key-stretching cost is outside what the desk accepts.
    #[error(
        "a key-stretching cost of {m_kib} KiB, {t} passes, {p} lanes is out of bounds. Use 19456 to 1048576 KiB, 1 to 16 passes, 1 to 8 lanes, and at most 4194304 KiB in all passes together."
    )]
    KdfOutOfBounds {
        /// Memory in KiB.
        m_kib: u32,
        /// Passes.
        t: u32,
        /// Lanes.
        p: u32,
    },
    /// Key stretching could not get its memory.
    #[error(
        "{m_kib} KiB of memory for the passphrase could not be had. Close other programs and try again."
    )]
    OutOfMemory {
        /// Memory asked for, in KiB.
        m_kib: u32,
    },
    /// An account index past what BIP-32 can harden.
    #[error("account {account} is past the last one, 2147483647. Use a smaller index.")]
    AccountOutOfRange {
        /// The index asked for.
        account: u32,
    },
    /// A payment's grant names the treasury's account.
    #[error("a payment may not be signed by the treasury's key. Nothing was signed; report this.")]
    TreasuryAccount,
    /// The payer in a grant is not the account's own address.
    #[error(
        "the payment names {named} as payer, but account {account} is {own}. Nothing was signed; report this."
    )]
    WrongPayer {
        /// The account index of the grant.
        account: u32,
        /// The address derived for it.
        own: Address,
        /// The address in the authorisation.
        named: Address,
    },
    /// The payee in a sweep is not the treasury.
    #[error(
        "the sweep names {named} as payee, but the treasury is {own}. Nothing was signed; report this."
    )]
    WrongPayee {
        /// The treasury's address.
        own: Address,
        /// The address in the authorisation.
        named: Address,
    },
    /// A transaction would cost more than its grant allows, or its grant allows none.
    #[error(
        "taking the transfer to the chain costs more than was granted. Nothing was signed; try again."
    )]
    OverFee,
    /// The asset of a grant is not the one its authorisation binds.
    #[error("the payment names another token than its grant. Nothing was signed; report this.")]
    WrongAsset,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes. Restart the computer and try again.")]
    NoRandom,
    /// A library refused an operation that cannot fail for the values the vault gives it.
    #[error("the vault could not {doing}. Nothing was signed or written; report this.")]
    Internal {
        /// What was being done.
        doing: &'static str,
    },
    /// The process could not be hardened.
    #[error(
        "memory dumps could not be switched off: {source}. The desk works, but a crash may write keys to disk."
    )]
    NotHardened {
        /// What the system said.
        source: std::io::Error,
    },
}

impl VaultError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: &Path, why: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), why }
    }
}

/// A refusal to sign, with the grant, so that the ledger can void the hold.
#[derive(Debug)]
pub struct NotSigned<G = Grant> {
    /// The grant, unsigned and unspent.
    pub grant: G,
    /// Why nothing was signed.
    pub error: VaultError,
}

impl<G> fmt::Display for NotSigned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<G: fmt::Debug> std::error::Error for NotSigned<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}
