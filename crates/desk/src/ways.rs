//! The ways into the vault: made, opened, changed and moved to another keychain.

use crate::desk::{Desk, Inner};
use crate::owner_acts::blocking;
use crate::problem::{ErrorCode, bad_input, sentence};
use crate::view::{DeskStatus, NewVault, Problem, WayView};
use imprest_vault::{
    KdfCost, KeychainSecret, KeychainState, OwnerKey, Presence, SecretText, SlotId, SlotKind,
    Vault, VaultError, WayIn,
};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// The keychain entry that remembers how often the vault file has been written.
const GENERATION_ENTRY: &str = "vault-generation";

impl Desk {
    /// Makes the vault and answers the recovery words, this once. With a keychain that works it
    /// opens with keychain and passphrase together, otherwise with the passphrase alone.
    ///
    /// # Errors
    /// `vault_exists`, or when the passphrase is too short or the file cannot be written.
    pub async fn create_vault(&self, passphrase: String) -> Result<NewVault, Problem> {
        let passphrase = SecretText::new(passphrase);
        let (path, kdf) = (self.inner.place.vault(), self.inner.kdf);
        if let Some(vault) = self.inner.vault() {
            return Err(VaultError::AlreadyExists { path: vault.path().to_owned() }.into());
        }
        // Before there is a vault: one whose network is not known could not be opened.
        if !self.inner.practice_mode && self.inner.place.load_settings()?.is_none() {
            self.inner.place.save_settings(&self.inner.settings(None))?;
        }
        let way = self.default_way(passphrase).await;
        let kept = secret_slot(&way);
        let (way_word, keychain) = describe(&way);
        let made = blocking(move || {
            let cost = kdf.unwrap_or_else(KdfCost::calibrate);
            Vault::create_with(&path, &way, cost)
        })
        .await;
        let (vault, words) = match made {
            Ok(made) => made,
            Err(problem) => {
                self.drop_unused(kept).await;
                return Err(problem);
            }
        };
        self.inner.adopt_vault(vault);
        // From here on nothing may fail: the words are shown this once.
        let list: Vec<String> = words.words().map(str::to_owned).collect();
        self.owner_made_it(&list);
        self.accept_generation().await;
        self.after_opening().await;
        Ok(NewVault { words: list, way: way_word.into(), keychain })
    }

    /// Whoever just made the vault is here; the words show it without stretching a passphrase
    /// again.
    fn owner_made_it(&self, words: &[String]) {
        let Some(vault) = self.inner.vault() else { return };
        let words = OwnerKey::Words(SecretText::new(words.join(" ")));
        match vault.verify_owner(&words, Instant::now()) {
            Ok(presence) => self.inner.note_presence(presence),
            Err(error) => tracing::warn!(%error, "the owner’s presence could not be noted"),
        }
    }

    /// Keychain and passphrase where there is a keychain that works, otherwise the passphrase.
    async fn default_way(&self, passphrase: SecretText) -> WayIn {
        let keychain = &self.inner.slot_keychain;
        if keychain.check().await == KeychainState::Ready {
            match KeychainSecret::create(keychain).await {
                Ok(secret) => return WayIn::Strong { keychain: secret, passphrase },
                Err(error) => tracing::warn!(%error, "the vault is made without a keychain"),
            }
        }
        WayIn::Passphrase(passphrase)
    }

    /// Opens the vault with the passphrase, and with the keychain where it takes one.
    ///
    /// # Errors
    /// `wrong_passphrase`, `no_vault`, `keychain` when the vault's keychain does not answer, or
    /// when the file is an older copy or cannot be read.
    pub async fn unlock(&self, passphrase: String) -> Result<DeskStatus, Problem> {
        let passphrase = SecretText::new(passphrase);
        let vault = self.inner.need_vault()?;
        self.refuse_older_vault(&vault).await?;
        let keys = self.keys_of(&vault, &passphrase).await?;
        let presence = blocking(move || {
            first_that_fits(keys, |key| vault.unlock_as_owner(key, Instant::now()))
                .map(|(_, presence)| presence)
        })
        .await?;
        if let Some(presence) = presence {
            self.inner.note_presence(presence);
        }
        self.remember_generation().await;
        self.opened().await
    }

    /// Opens the vault with the keychain alone, if the owner has chosen that it may.
    ///
    /// # Errors
    /// `conflict` when the owner has not, `keychain` when it does not answer, or `no_vault`.
    pub async fn unlock_with_keychain(&self) -> Result<DeskStatus, Problem> {
        let vault = self.inner.need_vault()?;
        self.refuse_older_vault(&vault).await?;
        let keychain = &self.inner.slot_keychain;
        let secret = vault.keychain_secret_for(keychain, SlotKind::Everyday).await?;
        let key = OwnerKey::everyday(secret);
        blocking(move || vault.unlock_with(&key)).await?;
        self.opened().await
    }

    /// Opens the vault at the start of the desk, where the keychain alone may.
    pub(crate) async fn open_by_itself(&self) {
        let Some(vault) = self.inner.vault() else { return };
        if !vault.slots().iter().any(|slot| slot.kind == SlotKind::Everyday) {
            return;
        }
        if let Err(problem) = self.unlock_with_keychain().await {
            tracing::warn!(%problem, "the keychain did not open the vault");
        }
    }

    /// Sets a new passphrase with the recovery words, and opens the vault. The words need no
    /// keychain, and afterwards the passphrase alone opens it.
    ///
    /// # Errors
    /// `wrong_passphrase` when the words are not this vault's, `bad_input` for the new passphrase.
    pub async fn recover(
        &self,
        words: String,
        new_passphrase: String,
    ) -> Result<DeskStatus, Problem> {
        let vault = self.inner.need_vault()?;
        let (words, new) = (SecretText::new(words), SecretText::new(new_passphrase));
        let presence = blocking(move || {
            vault.unlock_with_words(&words, &new)?;
            vault.verify_owner(&OwnerKey::Words(words), Instant::now())
        })
        .await?;
        self.inner.note_presence(presence);
        // The owner has said by the words that this is the vault, older copy or not.
        self.accept_generation().await;
        self.opened().await
    }

    /// The ways into the vault, the newest first and the words last.
    ///
    /// # Errors
    /// `no_vault`.
    pub async fn ways(&self) -> Result<Vec<WayView>, Problem> {
        let vault = self.inner.need_vault()?;
        let here = self.inner.slot_keychain.backend_name();
        let view = |slot: imprest_vault::SlotInfo| WayView {
            id: slot.id.map(|id| id.to_string()).unwrap_or_default(),
            kind: kind_word(slot.kind).into(),
            here: slot.keychain.as_ref().is_none_or(|keychain| *keychain == here),
            keychain: slot.keychain,
        };
        Ok(vault.slots().into_iter().map(view).collect())
    }

    /// Sets a new passphrase in place of the one given, wherever the vault takes it.
    ///
    /// # Errors
    /// `wrong_passphrase`, `keychain` also for a way in whose keychain is not here, `bad_input` for
    /// the new one, or the disk; the old one holds then.
    pub async fn change_passphrase(
        &self,
        passphrase: String,
        new_passphrase: String,
    ) -> Result<Vec<WayView>, Problem> {
        let (vault, key) = self.owner_key(&SecretText::new(passphrase)).await?;
        let new = SecretText::new(new_passphrase);
        let keychain = &self.inner.slot_keychain;
        let part = vault.keychain_secret_for(keychain, SlotKind::Strong).await.ok();
        blocking(move || vault.change_passphrase_with(&key, part.as_ref(), &new)).await?;
        self.ways_changed().await
    }

    /// Adds a way into the vault: "strong", "everyday" or "passphrase".
    ///
    /// # Errors
    /// `wrong_passphrase`, `bad_input` for another word, `conflict` when there is such a way,
    /// `keychain` when it keeps nothing.
    pub async fn add_way(&self, passphrase: String, kind: String) -> Result<Vec<WayView>, Problem> {
        let kind = way_kind(&kind)?;
        let passphrase = SecretText::new(passphrase);
        let (vault, key) = self.owner_key(&passphrase).await?;
        let here = self.inner.slot_keychain.backend_name();
        let is_there = vault
            .slots()
            .iter()
            .any(|slot| slot.kind == kind && slot.keychain.as_ref().is_none_or(|at| *at == here));
        if is_there {
            return Err(Problem::new(
                ErrorCode::Conflict,
                "The vault has this way in already.",
                "Change its passphrase, or look at the list of ways in.",
            ));
        }
        let way = self.way_of(kind, passphrase).await?;
        let kept = secret_slot(&way);
        if let Err(problem) = blocking(move || vault.put_way(&key, &way)).await {
            self.drop_unused(kept).await;
            return Err(problem);
        }
        self.ways_changed().await
    }

    /// Removes a way into the vault. One that takes a passphrase always stays, because nothing
    /// else but the words shows that the owner is here.
    ///
    /// # Errors
    /// `wrong_passphrase`, `not_found`, or `conflict` for one that has to stay.
    pub async fn remove_way(
        &self,
        passphrase: String,
        way: String,
    ) -> Result<Vec<WayView>, Problem> {
        let slot: SlotId = way.parse().map_err(Problem::from)?;
        let (vault, key) = self.owner_key(&SecretText::new(passphrase)).await?;
        let stays = vault
            .slots()
            .iter()
            .any(|other| other.id != Some(slot) && takes_passphrase(other.kind));
        if !stays && vault.slots().iter().any(|known| known.id == Some(slot)) {
            return Err(VaultError::LastWayIn.into());
        }
        blocking(move || vault.remove_way(&key, slot)).await?;
        self.ways_changed().await
    }

    /// Makes the passphrase and this session's keychain together the only way in beside the words:
    /// to move to another keychain. The present ways must still open; once the old keychain is
    /// lost, [`Desk::recover`] comes first.
    ///
    /// # Errors
    /// `wrong_passphrase`, or `keychain` when there is none that works; nothing has changed then.
    pub async fn move_to_keychain(&self, passphrase: String) -> Result<Vec<WayView>, Problem> {
        let passphrase = SecretText::new(passphrase);
        let (vault, key) = self.owner_key(&passphrase).await?;
        let way = self.way_of(SlotKind::Strong, passphrase).await?;
        let kept = secret_slot(&way);
        if let Err(problem) = blocking(move || vault.replace_ways(&key, &way)).await {
            self.drop_unused(kept).await;
            return Err(problem);
        }
        self.ways_changed().await
    }

    async fn way_of(&self, kind: SlotKind, passphrase: SecretText) -> Result<WayIn, Problem> {
        let keychain = &self.inner.slot_keychain;
        let takes_keychain = matches!(kind, SlotKind::Everyday | SlotKind::Strong);
        if takes_keychain && keychain.check().await != KeychainState::Ready {
            let why = keychain.last_refusal().map(|refusal| sentence(&refusal.to_string()));
            return Err(Problem::new(
                ErrorCode::Keychain,
                "No keychain works here, so nothing has changed.",
                why.unwrap_or_else(|| {
                    "Start or unlock the system’s keychain and try again.".into()
                }),
            ));
        }
        Ok(match kind {
            SlotKind::Everyday => WayIn::Everyday(KeychainSecret::create(keychain).await?),
            SlotKind::Strong => {
                WayIn::Strong { keychain: KeychainSecret::create(keychain).await?, passphrase }
            }
            SlotKind::Passphrase | SlotKind::Recovery => WayIn::Passphrase(passphrase),
        })
    }

    async fn ways_changed(&self) -> Result<Vec<WayView>, Problem> {
        self.remember_generation().await;
        self.inner.changed(&["status"]);
        self.ways().await
    }

    /// What this passphrase may open the vault with: alone, or with the keychain.
    async fn keys_of(
        &self,
        vault: &Vault,
        passphrase: &SecretText,
    ) -> Result<Vec<OwnerKey>, Problem> {
        let copy = || SecretText::new(passphrase.expose().to_owned());
        let (slots, mut keys) = (vault.slots(), Vec::new());
        if slots.iter().any(|slot| slot.kind == SlotKind::Passphrase) {
            keys.push(OwnerKey::passphrase(copy()));
        }
        if slots.iter().any(|slot| slot.kind == SlotKind::Strong) {
            let keychain = &self.inner.slot_keychain;
            match vault.keychain_secret_for(keychain, SlotKind::Strong).await {
                Ok(secret) => keys.push(OwnerKey::strong(secret, copy())),
                // The passphrase alone may do, so the keychain is not missed yet.
                Err(error) if keys.is_empty() => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "the keychain is not asked for its part"),
            }
        }
        if keys.is_empty() { Err(VaultError::NoPassphraseSlot.into()) } else { Ok(keys) }
    }

    /// Finds what this passphrase opens the vault with, and notes that the owner is here.
    pub(crate) async fn owner_key(
        &self,
        passphrase: &SecretText,
    ) -> Result<(Arc<Vault>, OwnerKey), Problem> {
        let (vault, key, presence) = self.prove_owner(passphrase).await?;
        self.inner.note_presence(presence);
        Ok((vault, key))
    }

    /// Finds what this passphrase opens the vault with. The presence it proves is the caller's.
    pub(crate) async fn prove_owner(
        &self,
        passphrase: &SecretText,
    ) -> Result<(Arc<Vault>, OwnerKey, Presence), Problem> {
        let vault = self.inner.need_vault()?;
        self.refuse_older_vault(&vault).await?;
        let keys = self.keys_of(&vault, passphrase).await?;
        let verifying = vault.clone();
        let (key, presence) = blocking(move || {
            first_that_fits(keys, |key| verifying.verify_owner(key, Instant::now()))
        })
        .await?;
        Ok((vault, key, presence))
    }

    /// Removes what the keychain keeps for slots that are gone for good. It opens nothing any more,
    /// so that it stays behind is no failure.
    async fn forget_superseded(&self, vault: &Vault) {
        for slot in vault.take_superseded() {
            if let Err(error) = vault.forget_in_keychain(&self.inner.slot_keychain, slot).await {
                tracing::debug!(%error, "an entry that opens nothing stays in a keychain");
                return;
            }
        }
    }

    /// Removes what the keychain keeps for a slot that was never written.
    async fn drop_unused(&self, slot: Option<SlotId>) {
        let Some(slot) = slot else { return };
        if self.inner.vault().is_some_and(|vault| vault.may_need(slot)) {
            return;
        }
        let keychain = &self.inner.slot_keychain;
        if let Err(error) = KeychainSecret::forget(keychain, slot).await {
            tracing::debug!(%error, "an entry that opens nothing stays in a keychain");
        }
    }
}

/// How often the file was written, remembered beside the copy of the ledger's end: an older file
/// opens with an older passphrase.
impl Desk {
    /// Refuses a vault file that is older than the one remembered. A keychain that does not answer
    /// remembers nothing, and `copy_note` says so.
    async fn refuse_older_vault(&self, vault: &Vault) -> Result<(), Problem> {
        let kept = self.inner.keychain().load(GENERATION_ENTRY).await.ok().flatten();
        let Some(seen) = kept.and_then(|text| text.parse().ok()) else { return Ok(()) };
        Ok(vault.refuse_older_than(seen)?)
    }

    /// Says at the start that the vault file is an older copy; it stays locked until the words say
    /// that it is the right one.
    pub(crate) async fn look_for_older_vault(&self) {
        let Some(vault) = self.inner.vault() else { return };
        let note = self.refuse_older_vault(&vault).await.err().map(|problem| problem.to_string());
        if let Some(note) = &note {
            tracing::error!(note, "the vault is not opened with a passphrase");
        }
        *self.inner.vault_note.write().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Remembers how often the file has been written. A keychain that answers only now, and knows of
    /// a later file than this one, keeps what it knows.
    pub(crate) async fn remember_generation(&self) {
        let Some(vault) = self.inner.vault() else { return };
        match self.refuse_older_vault(&vault).await {
            Ok(()) => self.accept_generation().await,
            Err(problem) => {
                tracing::error!(%problem, "this is not remembered as the last vault file")
            }
        }
    }

    /// Remembers this file as the last one, whatever was known; one that the disk has not
    /// confirmed is not, because the one before it may come back.
    async fn accept_generation(&self) {
        let Some(vault) = self.inner.vault() else { return };
        *self.inner.vault_note.write().unwrap_or_else(PoisonError::into_inner) =
            vault.unconfirmed();
        let generation = vault.confirmed_generation().to_string();
        if let Err(error) = self.inner.keychain().store(GENERATION_ENTRY, &generation).await {
            tracing::debug!(%error, "an older vault file would not be noticed");
        }
        self.forget_superseded(&vault).await;
    }
}

impl Inner {
    /// One sentence about a vault file that is not the last one, or may not stay it.
    pub(crate) fn vault_note(&self) -> Option<String> {
        self.vault_note.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tries keys in turn; only a wrong passphrase leads to the next.
fn first_that_fits<T>(
    keys: Vec<OwnerKey>,
    open: impl Fn(&OwnerKey) -> Result<T, VaultError>,
) -> Result<(OwnerKey, T), VaultError> {
    let mut last = VaultError::NoPassphraseSlot;
    for key in keys {
        match open(&key) {
            Ok(found) => return Ok((key, found)),
            Err(VaultError::WrongPassphrase) => last = VaultError::WrongPassphrase,
            Err(other) => return Err(other),
        }
    }
    Err(last)
}

fn secret_slot(way: &WayIn) -> Option<SlotId> {
    match way {
        WayIn::Passphrase(_) => None,
        WayIn::Everyday(secret) | WayIn::Strong { keychain: secret, .. } => Some(secret.slot()),
    }
}

fn describe(way: &WayIn) -> (&'static str, Option<String>) {
    match way {
        WayIn::Passphrase(_) => (kind_word(SlotKind::Passphrase), None),
        WayIn::Everyday(secret) => {
            (kind_word(SlotKind::Everyday), Some(secret.keychain().to_owned()))
        }
        WayIn::Strong { keychain, .. } => {
            (kind_word(SlotKind::Strong), Some(keychain.keychain().to_owned()))
        }
    }
}

fn takes_passphrase(kind: SlotKind) -> bool {
    matches!(kind, SlotKind::Passphrase | SlotKind::Strong)
}

fn kind_word(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Passphrase => "passphrase",
        SlotKind::Everyday => "everyday",
        SlotKind::Strong => "strong",
        SlotKind::Recovery => "words",
    }
}

fn way_kind(word: &str) -> Result<SlotKind, Problem> {
    match word {
        "passphrase" => Ok(SlotKind::Passphrase),
        "everyday" => Ok(SlotKind::Everyday),
        "strong" => Ok(SlotKind::Strong),
        _ => Err(bad_input("Way", "write strong, everyday or passphrase")),
    }
}
