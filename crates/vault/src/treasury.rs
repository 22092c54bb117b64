//! Whose key refills floats.

use crate::error::VaultError;
use crate::secret::Secret32;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// Whose key pays for refills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Treasury {
    /// The vault's own account 0.
    Own,
    /// A key from elsewhere, sealed in the vault. The 24 words alone do not bring it back; the
    /// vault file and the words do.
    Imported {
        /// Its address.
        address: Address,
    },
    /// An address that is looked at, and whose key is not here: nothing is signed for it.
    Watched {
        /// The address.
        address: Address,
    },
    /// An account on a Ledger device, which shows and confirms every transaction.
    Device {
        /// Its address, as the device told it.
        address: Address,
        /// The account on the device, at `m/44'/60'/account'/0/0`.
        account: u32,
    },
}

impl Treasury {
    /// Its address; none for the vault's own, which takes the keys to know.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Own => None,
            Self::Imported { address }
            | Self::Watched { address }
            | Self::Device { address, .. } => Some(*address),
        }
    }
}

/// A private key from outside, on its way into the vault.
///
/// It has no `Debug`, `Display` or `Clone`, and is wiped when dropped.
pub struct ImportedKey {
    pub(crate) key: Secret32,
    address: Address,
}

impl ImportedKey {
    /// Reads 64 hex digits, with or without `0x`, with white space around.
    ///
    /// # Errors
    /// [`VaultError::BadKey`] for any other text, and for the numbers that are no secp256k1 key:
    /// zero, and the group's order and above.
    pub fn from_hex(text: &crate::SecretText) -> Result<Self, VaultError> {
        let text = text.expose().trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let mut key = Secret32::blank();
        hex::decode_to_slice(digits, key.bytes_mut()).map_err(|_| VaultError::BadKey)?;
        Self::checked(key)
    }

    pub(crate) fn checked(key: Secret32) -> Result<Self, VaultError> {
        let address = signer_of(&key)?.address();
        Ok(Self { key, address })
    }

    /// The address it signs for.
    pub fn address(&self) -> Address {
        self.address
    }
}

pub(crate) fn signer_of(key: &Secret32) -> Result<PrivateKeySigner, VaultError> {
    PrivateKeySigner::from_slice(key.bytes()).map_err(|_| VaultError::BadKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretText;
    use alloy_primitives::address;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Address, VaultError> {
        ImportedKey::from_hex(&SecretText::new(text.to_owned())).map(|key| key.address())
    }

    /// The first key of every development chain.
    #[test]
    fn reads_a_key_as_people_paste_it() {
        let digits = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let expected = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for text in
            [digits.to_owned(), format!("0x{digits}"), format!(" 0X{}\n", digits.to_uppercase())]
        {
            assert_eq!(read(&text).expect("a key"), expected);
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let zero = "0".repeat(64);
        for bad in
            ["", "0x", "0x0x", order, &zero, &"1".repeat(63), &"1".repeat(66), &"g".repeat(64)]
        {
            assert!(matches!(read(bad), Err(VaultError::BadKey)), "{bad:?}");
        }
        assert!(read(&order.replace("4141", "4140")).is_ok(), "the last key there is");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            let _ = read(&text);
        }
    }
}
