//! The ways into a vault, as the owner holds them.

use crate::error::VaultError;
use crate::file::{self, OpenedBy};
use crate::keychain::Keychain;
use crate::secret::{Secret32, SecretText};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A way in for every day. It has no `Debug` and no `Clone`.
pub enum WayIn {
    /// The passphrase alone; for machines without a keychain.
    Passphrase(SecretText),
    /// The keychain alone. Every program that runs as the same user can then open the vault, so
    /// it is for those who chose that knowingly.
    Everyday(KeychainSecret),
    /// Keychain and passphrase together; the default. A copy of the file and the passphrase
    /// without the keychain open nothing, and neither does the keychain without the passphrase.
    Strong {
        /// The keychain's part.
        keychain: KeychainSecret,
        /// The owner's part.
        passphrase: SecretText,
    },
}

impl WayIn {
    pub(crate) fn as_ref(&self) -> WayRef<'_> {
        match self {
            Self::Passphrase(passphrase) => WayRef::Passphrase(passphrase.expose()),
            Self::Everyday(keychain) => WayRef::Everyday(keychain),
            Self::Strong { keychain, passphrase } => WayRef::Strong(keychain, passphrase.expose()),
        }
    }
}

/// What an owner opens a vault with. It has no `Debug` and no `Clone`.
pub enum OwnerKey {
    /// One of the ways for every day.
    Way(WayIn),
    /// The 24 recovery words, which need no keychain and no passphrase.
    Words(SecretText),
}

impl OwnerKey {
    /// The passphrase alone.
    pub fn passphrase(passphrase: SecretText) -> Self {
        Self::Way(WayIn::Passphrase(passphrase))
    }

    /// The keychain alone.
    pub fn everyday(keychain: KeychainSecret) -> Self {
        Self::Way(WayIn::Everyday(keychain))
    }

    /// Keychain and passphrase together.
    pub fn strong(keychain: KeychainSecret, passphrase: SecretText) -> Self {
        Self::Way(WayIn::Strong { keychain, passphrase })
    }

    pub(crate) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Way(way) => KeyRef::Way(way.as_ref()),
            Self::Words(words) => KeyRef::Words(words),
        }
    }
}

/// [`WayIn`], borrowed.
#[derive(Clone, Copy)]
pub(crate) enum WayRef<'a> {
    Passphrase(&'a str),
    Everyday(&'a KeychainSecret),
    Strong(&'a KeychainSecret, &'a str),
}

impl<'a> WayRef<'a> {
    pub(crate) fn passphrase_text(self) -> Option<&'a str> {
        match self {
            Self::Passphrase(text) | Self::Strong(_, text) => Some(text),
            Self::Everyday(_) => None,
        }
    }
}

/// [`OwnerKey`], borrowed.
#[derive(Clone, Copy)]
pub(crate) enum KeyRef<'a> {
    Way(WayRef<'a>),
    Words(&'a SecretText),
}

/// 256 random bits that the system's keychain keeps for one slot of the vault.
///
/// It has no `Debug` and no `Clone`, and is wiped when dropped.
pub struct KeychainSecret {
    id: file::SlotId,
    keychain: String,
    secret: Secret32,
}

impl KeychainSecret {
    /// Makes one, stores it in the keychain, and reads it back to see that it is there.
    ///
    /// The vault file knows nothing of it yet: hand it to [`Vault::create_with`] or
    /// [`Vault::put_way`], and to [`KeychainSecret::discard`] should that fail.
    ///
    /// # Errors
    /// [`VaultError::Keychain`] with the keychain's own reason; no random bytes.
    ///
    /// [`Vault::create_with`]: crate::Vault::create_with
    /// [`Vault::put_way`]: crate::Vault::put_way
    pub async fn create(keychain: &Keychain) -> Result<Self, VaultError> {
        let name = keychain.backend_name();
        let made =
            Self { id: file::SlotId::random()?, keychain: name, secret: Secret32::random()? };
        let text = Zeroizing::new(hex::encode(made.secret.bytes()));
        let refused = |source| VaultError::Keychain { keychain: made.keychain.clone(), source };
        keychain.store(&entry(made.id), &text).await.map_err(refused)?;
        match Self::load(keychain, made.id, &made.keychain).await? {
            Some(found) if bool::from(found.secret.bytes().ct_eq(made.secret.bytes())) => Ok(made),
            _ => Err(VaultError::WrongKeychainKey { keychain: made.keychain }),
        }
    }

    /// Removes it from the keychain again.
    ///
    /// # Errors
    /// [`VaultError::Keychain`]; what stays behind opens nothing that does not know it.
    pub async fn discard(self, keychain: &Keychain) -> Result<(), VaultError> {
        forget(keychain, self.id).await
    }

    /// Removes from a keychain what was made for a slot that the vault file never came to know.
    ///
    /// # Errors
    /// [`VaultError::Keychain`].
    pub async fn forget(keychain: &Keychain, slot: SlotId) -> Result<(), VaultError> {
        forget(keychain, slot.0).await
    }

    /// The keychain that keeps it, as the vault file will name it.
    pub fn keychain(&self) -> &str {
        &self.keychain
    }

    /// The slot it is for.
    pub fn slot(&self) -> SlotId {
        SlotId(self.id)
    }

    pub(crate) fn id(&self) -> file::SlotId {
        self.id
    }

    pub(crate) fn secret(&self) -> &Secret32 {
        &self.secret
    }

    /// One that no keychain keeps, for tests of the file.
    #[cfg(test)]
    pub(crate) fn for_tests(id: u8, secret: u8) -> Self {
        let mut held = Secret32::blank();
        held.bytes_mut().fill(secret);
        Self { id: file::Hex([id; 16]), keychain: "Secret Service (GNOME)".into(), secret: held }
    }

    /// The secret of a slot, or nothing when the keychain has none under its name.
    pub(crate) async fn load(
        keychain: &Keychain,
        id: file::SlotId,
        recorded: &str,
    ) -> Result<Option<Self>, VaultError> {
        let refused = |source| VaultError::Keychain { keychain: recorded.to_owned(), source };
        let Some(text) = keychain.load(&entry(id)).await.map_err(refused)? else {
            return Ok(None);
        };
        let mut secret = Secret32::blank();
        hex::decode_to_slice(text.as_bytes(), secret.bytes_mut())
            .map_err(|_| VaultError::WrongKeychainKey { keychain: recorded.to_owned() })?;
        Ok(Some(Self { id, keychain: recorded.to_owned(), secret }))
    }
}

/// Removes a slot's secret from a keychain.
pub(crate) async fn forget(keychain: &Keychain, id: file::SlotId) -> Result<(), VaultError> {
    let name = keychain.backend_name();
    let refused = |source| VaultError::Keychain { keychain: name, source };
    keychain.delete(&entry(id)).await.map_err(refused)
}

/// The keychain's name for a slot's secret. The id is random and never used again, so a secret
/// that was left behind is never taken for another slot's.
fn entry(id: file::SlotId) -> String {
    format!("vault-slot.{}", hex::encode(id.0))
}

/// The name of a way in: 32 hex digits, random, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub(crate) file::SlotId);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.0))
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotId({self})")
    }
}

impl FromStr for SlotId {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| VaultError::NoSuchSlot)?;
        Ok(Self(file::Hex(bytes)))
    }
}

/// The kinds of ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// The passphrase alone.
    Passphrase,
    /// The keychain alone.
    Everyday,
    /// Keychain and passphrase together.
    Strong,
    /// The 24 words alone.
    Recovery,
}

/// What may be known of a way in while the vault is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// Its name; none in a vault file of the first form, until the next change.
    pub id: Option<SlotId>,
    /// Its kind.
    pub kind: SlotKind,
    /// The keychain that keeps its secret, such as `Secret Service (GNOME)`.
    pub keychain: Option<String>,
}

impl SlotInfo {
    pub(crate) fn of(slot: &file::Slot) -> Self {
        let kind = match &slot.opened_by {
            OpenedBy::Passphrase { .. } => SlotKind::Passphrase,
            OpenedBy::Everyday { .. } => SlotKind::Everyday,
            OpenedBy::Strong { .. } => SlotKind::Strong,
            OpenedBy::Recovery => SlotKind::Recovery,
        };
        let keychain = slot.opened_by.keychain().map(str::to_owned);
        Self { id: Some(SlotId(slot.id)), kind, keychain }
    }

    /// The two ways into a file of the first form.
    pub(crate) fn of_first_form() -> Vec<Self> {
        [SlotKind::Passphrase, SlotKind::Recovery]
            .map(|kind| Self { id: None, kind, keychain: None })
            .into()
    }
}
