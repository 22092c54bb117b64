//! From entropy to keys: one hardened account for the treasury and for each agent.
//!
//! An account's index is never used twice, and that is the ledger's promise: its books hold every
//! agent there ever was, under an index that is unique and one past the highest, and an event log
//! that is only ever added to rebuilds them. An archived agent therefore keeps its index and its
//! address. The vault adds that a grant is signed only when the payer in it is the address that
//! its account derives, so books that mix up two indexes get no signature.

use crate::error::VaultError;
use crate::locked::LockedSigner;
use crate::secret::{Secret32, Secret64, expand};
use crate::treasury::{Treasury, signer_of};
use crate::words;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use coins_bip32::path::DerivationPath;
use coins_bip32::xkeys::XPriv;
use sha2::Sha512;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The account that holds the owner's own money; agents have 1 and up.
pub(crate) const TREASURY: u32 = 0;
/// BIP-32 can harden indices below 2^31.
const LAST_ACCOUNT: u32 = (1 << 31) - 1;

/// The keys of an unlocked vault, on locked pages. Wiped when dropped: the entropy here, each
/// signer by itself.
pub(crate) struct Keys {
    entropy: Secret32,
    /// Stretched once, when the vault opens: it takes milliseconds, and an account's first
    /// signature must not.
    seed: Secret64,
    signers: BTreeMap<u32, LockedSigner>,
    treasury: Treasury,
    /// The treasury's key when it is not derived from the entropy.
    imported: Option<LockedSigner>,
}

impl Keys {
    pub(crate) fn new(
        entropy: Secret32,
        treasury: Treasury,
        imported: &[Secret32],
    ) -> Result<Self, VaultError> {
        let seed = seed_of(&words::phrase(&entropy)?);
        let (signers, own) = (BTreeMap::new(), Treasury::Own);
        let mut keys = Self { entropy, seed, signers, treasury: own, imported: None };
        keys.set_treasury(treasury, imported)?;
        Ok(keys)
    }

    /// Takes another treasury; one that was imported must be among the imported keys.
    pub(crate) fn set_treasury(
        &mut self,
        treasury: Treasury,
        imported: &[Secret32],
    ) -> Result<(), VaultError> {
        self.imported = match &treasury {
            Treasury::Imported { address } => Some(LockedSigner::new(find(imported, *address)?)),
            Treasury::Own | Treasury::Watched { .. } | Treasury::Device { .. } => None,
        };
        self.treasury = treasury;
        Ok(())
    }

    /// The account's signer, derived at first use and kept until the vault is locked.
    pub(crate) fn signer(&mut self, account: u32) -> Result<&PrivateKeySigner, VaultError> {
        use std::collections::btree_map::Entry;
        let kept = match self.signers.entry(account) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(LockedSigner::new(derive(&self.seed, account)?)),
        };
        Ok(kept.get())
    }

    /// The signer of refills.
    ///
    /// # Errors
    /// [`VaultError::WatchOnly`] and [`VaultError::OnDevice`] when its key is not here.
    pub(crate) fn treasury(&mut self) -> Result<&PrivateKeySigner, VaultError> {
        match self.treasury {
            Treasury::Own => self.signer(TREASURY),
            Treasury::Imported { address } => self
                .imported
                .as_ref()
                .map(LockedSigner::get)
                .ok_or(VaultError::WatchOnly { address }),
            Treasury::Watched { address } => Err(VaultError::WatchOnly { address }),
            Treasury::Device { address, .. } => Err(VaultError::OnDevice { address }),
        }
    }

    /// The treasury's address, wherever its key is.
    pub(crate) fn treasury_address(&mut self) -> Result<Address, VaultError> {
        match self.treasury.address() {
            Some(address) => Ok(address),
            None => Ok(self.signer(TREASURY)?.address()),
        }
    }

    pub(crate) fn entropy(&self) -> &Secret32 {
        &self.entropy
    }

    /// The key of the ledger's head; the same for ever, also after a restore from words.
    pub(crate) fn seal_key(&self) -> Result<Secret32, VaultError> {
        expand(&self.entropy, b"imprest", b"imprest vault 1: ledger head")
    }

    /// The seed of the key that signs statements; the same for ever, and no spending key.
    pub(crate) fn statement_seed(&self) -> Result<Secret32, VaultError> {
        expand(&self.entropy, b"imprest", b"imprest vault 2: statements, Ed25519")
    }
}

fn find(imported: &[Secret32], address: Address) -> Result<PrivateKeySigner, VaultError> {
    for key in imported {
        let signer = signer_of(key)?;
        if signer.address() == address {
            return Ok(signer);
        }
    }
    Err(VaultError::Internal { doing: "find the treasury's key" })
}

/// BIP-39's seed of words with single spaces, with no BIP-39 passphrase. Some milliseconds.
pub(crate) fn seed_of(phrase: &str) -> Secret64 {
    stretched(phrase, b"mnemonic")
}

pub(crate) fn stretched(phrase: &str, salt: &[u8]) -> Secret64 {
    let mut seed = Secret64::blank();
    pbkdf2::pbkdf2_hmac::<Sha512>(phrase.as_bytes(), salt, 2048, seed.bytes_mut());
    seed
}

/// The key at `m/44'/60'/account'/0/0` (BIP-44).
fn derive(seed: &Secret64, account: u32) -> Result<PrivateKeySigner, VaultError> {
    if account > LAST_ACCOUNT {
        return Err(VaultError::AccountOutOfRange { account });
    }
    at_path(seed, &format!("m/44'/60'/{account}'/0/0"))
}

pub(crate) fn at_path(seed: &Secret64, path: &str) -> Result<PrivateKeySigner, VaultError> {
    let failed = |_| VaultError::Internal { doing: "derive a key" };
    let path: DerivationPath = path.parse().map_err(failed)?;
    let node = XPriv::root_from_seed(seed.bytes(), None).map_err(failed)?;
    let node = node.derive_path(path).map_err(failed)?;
    let key: &coins_bip32::ecdsa::SigningKey = node.as_ref();
    let bytes = Zeroizing::new(key.to_bytes());
    PrivateKeySigner::from_slice(&bytes).map_err(|_| VaultError::Internal { doing: "derive a key" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    fn keys(entropy: Secret32) -> Keys {
        Keys::new(entropy, Treasury::Own, &[]).expect("the vault's own treasury")
    }

    /// The first account of every development chain, published with anvil and Hardhat.
    #[test]
    fn the_path_is_the_one_other_wallets_use() {
        let phrase = "test test test test test test test test test test test junk";
        let signer = derive(&seed_of(phrase), 0).expect("derives");
        assert_eq!(signer.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    }

    /// Computed with BIP-39, BIP-32 and secp256k1 written out in another language.
    #[test]
    fn agrees_with_an_independent_derivation() {
        let junk = "test test test test test test test test test test test junk";
        let second = derive(&seed_of(junk), 1).expect("derives").address();
        assert_eq!(second, address!("8C8d35429F74ec245F8Ef2f4Fd1e551cFF97d650"));
        // All ones: "zoo", 23 times, and "vote".
        let mut keys = keys(Secret32::copied(&[0xff; 32]).expect("32 bytes"));
        for (account, expected) in [
            (0, address!("1959f5f4979c5cd87d5cb75c678c770515cb5e0e")),
            (1, address!("bcd02d8f6eac6528546ce07e3f636cb7cdec9259")),
            (7, address!("f5f6dce7401dbd2967fd0f65f444b33243538024")),
            (LAST_ACCOUNT, address!("b655fd1ea70443780dd8509477bd3cdadd1c12ce")),
        ] {
            assert_eq!(keys.signer(account).expect("derives").address(), expected, "{account}");
        }
    }

    /// Accounts never share an address, and indices that BIP-32 cannot harden are refused.
    #[test]
    fn every_account_is_its_own() {
        let entropy = Secret32::copied(&[0x7f; 32]).expect("32 bytes");
        let mut keys = keys(entropy);
        let mut seen = std::collections::BTreeSet::new();
        for account in [0, 1, 2, 3, 1000, LAST_ACCOUNT] {
            assert!(seen.insert(keys.signer(account).expect("derives").address()));
        }
        for account in [LAST_ACCOUNT + 1, u32::MAX] {
            let refused = keys.signer(account).expect_err("past the last");
            assert!(matches!(refused, VaultError::AccountOutOfRange { .. }), "{refused}");
        }
    }

    #[test]
    fn the_seal_key_depends_on_the_entropy_alone() {
        let key = |byte| {
            let entropy = Secret32::copied(&[byte; 32]).expect("32 bytes");
            *keys(entropy).seal_key().expect("derives").bytes()
        };
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), [1; 32]);
    }
}
