//! What is known of the file on disk, and what a power cut may still bring back.
//!
//! A new file takes the old one's place in one step, and the step is durable once the folder was
//! synced. When that sync fails, the new file is there and holds, but after a power cut the old one
//! may be back. Until a later change is confirmed, both have to stay openable: neither file's part
//! in a keychain is forgotten, and the count that older copies are told by is not moved on.

use super::Vault;
use crate::error::VaultError;
use crate::file::{self, VaultFile, Written};
use crate::slots::SlotId;
use std::sync::Arc;

/// The file on disk.
pub(super) struct OnDisk {
    file: Arc<VaultFile>,
    /// The count of rewrites up to the last file that the disk confirmed; 0 for none.
    confirmed: u64,
    /// What keychains keep for files that a power cut may bring back, beside the file itself.
    may_return: Vec<file::SlotId>,
    /// The same, of files that cannot come back any more.
    superseded: Vec<file::SlotId>,
    /// Why the file is not confirmed.
    doubt: Option<VaultError>,
}

impl OnDisk {
    /// A file that was read, and whether the disk confirms now that it stays: the program before
    /// may have ended before it did.
    pub(super) fn found(file: VaultFile, written: Written) -> Self {
        let (may_return, superseded) = (Vec::new(), Vec::new());
        let file = Arc::new(file);
        let mut disk = Self { file, confirmed: 0, may_return, superseded, doubt: None };
        disk.note(written);
        disk
    }

    /// A file where there was none.
    pub(super) fn made(file: VaultFile, written: Written) -> Self {
        Self::found(file, written)
    }

    pub(super) fn file(&self) -> Arc<VaultFile> {
        self.file.clone()
    }

    /// Takes over a file that is in the place of the one before.
    pub(super) fn replaced(&mut self, new: VaultFile, written: Written) {
        let kept = self.file.slots().into_iter().filter(|slot| slot.opened_by.keychain().is_some());
        self.may_return.extend(kept.map(|slot| slot.id));
        self.file = Arc::new(new);
        self.note(written);
    }

    fn note(&mut self, written: Written) {
        match written {
            Written::Confirmed => {
                self.confirmed = self.file.generation();
                self.superseded.append(&mut self.may_return);
                self.doubt = None;
            }
            Written::Unconfirmed(why) => {
                tracing::error!(%why, "the vault file was written and is not confirmed");
                self.doubt = Some(why);
            }
        }
    }

    fn has_slot(&self, id: file::SlotId) -> bool {
        self.file.slots().iter().any(|slot| slot.id == id)
    }
}

/// Whether the disk confirmed the last change.
impl Vault {
    /// One sentence when the last change is in the file but a power cut may undo it, because the
    /// disk did not confirm it; nothing after the next change that it confirms.
    pub fn unconfirmed(&self) -> Option<String> {
        self.disk().doubt.as_ref().map(|why| {
            format!(
                "The vault was changed, but the disk did not confirm it, and a power cut may bring \
                 back what was there before: keep the old passphrase beside the new one. The desk \
                 {why} Then change the vault once more."
            )
        })
    }

    /// [`Vault::generation`] of the last file that the disk confirmed, to be remembered elsewhere;
    /// 0 while it has confirmed none.
    pub fn confirmed_generation(&self) -> u64 {
        self.disk().confirmed
    }

    /// Whether what a keychain keeps for a slot opens the file, or one that a power cut may bring
    /// back.
    pub fn may_need(&self, slot: SlotId) -> bool {
        let disk = self.disk();
        disk.has_slot(slot.0) || disk.may_return.contains(&slot.0)
    }

    /// The slots of which a keychain kept something and which are gone for good, since this was
    /// last asked, for [`Vault::forget_in_keychain`].
    pub fn take_superseded(&self) -> Vec<SlotId> {
        let mut disk = self.disk();
        let gone = std::mem::take(&mut disk.superseded);
        gone.into_iter().filter(|id| !disk.has_slot(*id)).map(SlotId).collect()
    }
}
