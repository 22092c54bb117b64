//! The owner's keys: the words again, a key as a keystore file, and whose key is the treasury.

use crate::desk::Desk;
use crate::owner_acts::blocking;
use crate::place::write_private;
use crate::problem::bad_input;
use crate::view::{ExportedKeyView, Problem, TreasuryView, Words};
use imprest_domain::Address;
use imprest_vault::{ExportedKey, ImportedKey, Keystore, NewTreasury, SecretText, Treasury};
use std::path::PathBuf;
use std::time::Instant;

/// The longest text that is read as a key or a keystore, in bytes.
const KEY_BYTES_MAX: usize = 64 * 1024;

impl Desk {
    /// The 24 recovery words again.
    ///
    /// # Errors
    /// `presence_needed`, `locked` or `no_vault`.
    pub async fn reveal_words(&self) -> Result<Words, Problem> {
        let presence = self.inner.need_presence()?;
        let words = self.inner.need_vault()?.reveal_words(&presence, Instant::now())?;
        Ok(Words { words: words.words().map(str::to_owned).collect() })
    }

    /// Writes a key as a Web3 keystore of version 3, under a passphrase of its own: the treasury's,
    /// or that of an agent. A file that is there is not replaced.
    ///
    /// # Errors
    /// `presence_needed`, `locked`, `not_found`, `conflict` when the key is not here, `bad_input`
    /// for the passphrase, or the disk.
    pub async fn export_key(
        &self,
        whose: String,
        path: String,
        keystore_passphrase: String,
    ) -> Result<ExportedKeyView, Problem> {
        let presence = self.inner.need_presence()?;
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(bad_input("File", "give the whole path, from the root on"));
        }
        let vault = self.inner.need_vault()?;
        let (which, address) = match whose.as_str() {
            "treasury" => (ExportedKey::Treasury, vault.treasury_address()?),
            agent => {
                let agent = self.inner.ledger.find_agent(agent).await?;
                (ExportedKey::Account(agent.account), agent.address)
            }
        };
        let passphrase = SecretText::new(keystore_passphrase);
        let keystore =
            blocking(move || vault.export_keystore(which, &passphrase, &presence, Instant::now()))
                .await?;
        write_private(&path, keystore.as_bytes())?;
        Ok(ExportedKeyView { path: path.display().to_string(), address: address.to_string() })
    }

    /// Whose key pays for refills.
    ///
    /// # Errors
    /// `no_vault`.
    pub async fn treasury(&self) -> Result<TreasuryView, Problem> {
        let vault = self.inner.need_vault()?;
        let treasury = vault.treasury();
        let address = treasury.address().or_else(|| vault.treasury_address().ok());
        Ok(TreasuryView {
            kind: treasury_word(&treasury).into(),
            address: address.map(|address| address.to_string()),
        })
    }

    /// Makes a key from elsewhere the treasury's: 64 hex digits, or a keystore with its own
    /// passphrase. The vault keeps it for good.
    ///
    /// # Errors
    /// `wrong_passphrase`, `keychain`, or `bad_input` for a key or keystore that cannot be used.
    pub async fn import_treasury(
        &self,
        passphrase: String,
        key: String,
        keystore_passphrase: Option<String>,
    ) -> Result<TreasuryView, Problem> {
        let (passphrase, key) = (SecretText::new(passphrase), SecretText::new(key));
        let keystore_passphrase = keystore_passphrase.map(SecretText::new);
        if key.expose().len() > KEY_BYTES_MAX {
            return Err(bad_input("Key", "it is too long to be a key or a keystore"));
        }
        // The owner first: whoever is not must not have keystores opened for them.
        let (vault, owner) = self.owner_key(&passphrase).await?;
        blocking(move || {
            let imported = read_key(&key, keystore_passphrase.as_ref())?;
            vault.set_treasury(&owner, NewTreasury::Import(imported))
        })
        .await?;
        self.treasury_changed().await
    }

    /// Makes an address the treasury that is only looked at: refills are sent from elsewhere.
    ///
    /// # Errors
    /// `wrong_passphrase`, `keychain`, or `bad_input` for what is no address.
    pub async fn watch_treasury(
        &self,
        passphrase: String,
        address: String,
    ) -> Result<TreasuryView, Problem> {
        let address = read_address(&address)?;
        self.set_treasury(passphrase, NewTreasury::Watch { address }).await
    }

    /// Makes the vault's own account the treasury again.
    ///
    /// # Errors
    /// `wrong_passphrase` or `keychain`.
    pub async fn own_treasury(&self, passphrase: String) -> Result<TreasuryView, Problem> {
        self.set_treasury(passphrase, NewTreasury::Own).await
    }

    async fn set_treasury(
        &self,
        passphrase: String,
        new: NewTreasury,
    ) -> Result<TreasuryView, Problem> {
        let (vault, owner) = self.owner_key(&SecretText::new(passphrase)).await?;
        blocking(move || vault.set_treasury(&owner, new)).await?;
        self.treasury_changed().await
    }

    async fn treasury_changed(&self) -> Result<TreasuryView, Problem> {
        self.remember_generation().await;
        self.inner.changed(&["status"]);
        self.treasury().await
    }
}

/// A key as people have it: digits, or a keystore file's text.
fn read_key(
    text: &SecretText,
    passphrase: Option<&SecretText>,
) -> Result<ImportedKey, imprest_vault::VaultError> {
    match passphrase {
        Some(passphrase) => Keystore::parse(text.expose())?.open(passphrase),
        None => ImportedKey::from_hex(text),
    }
}

/// An address as the owner typed it.
fn read_address(text: &str) -> Result<Address, Problem> {
    imprest_domain::read_address(text.trim()).map_err(|error| bad_input("Address", error))
}

fn treasury_word(treasury: &Treasury) -> &'static str {
    match treasury {
        Treasury::Own => "own",
        Treasury::Imported { .. } => "imported",
        Treasury::Watched { .. } => "watched",
        Treasury::Device { .. } => "device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_one_wrong_digit_is_noticed() {
        let good = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert!(read_address(good).is_ok());
        assert!(read_address(&good.to_lowercase()).is_ok());
        for bad in ["", "0x", "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266", &good[..41]] {
            assert_eq!(read_address(bad).expect_err(bad).code, "bad_input");
        }
        let typo = good.replace("0xf3", "0xf4");
        assert!(read_address(&typo).expect_err("a typo").message.contains("capitals"));
    }
}
