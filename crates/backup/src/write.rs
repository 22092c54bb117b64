//! Making a backup: copied, sealed, read back and proven, and only then given its name.

use crate::container;
use crate::envelope::{self, Opener, Passphrase};
use crate::error::{BackupError, Fault};
use crate::hashed::{Hashed, hash_file};
use crate::manifest::{FileEntry, Made, Manifest, Part};
use crate::progress::{Progress, Step, Tell};
use crate::prove::{Folder, prove};
use crate::scratch::{self, Turn, parent};
use crate::snapshot;
use imprest_ledger::SealKey;
use imprest_vault::SecretText;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// What to back up, and where to.
#[derive(Debug, Clone)]
pub struct BackupPlan {
    folder: PathBuf,
    to: PathBuf,
    made_at: Timestamp,
    chain_id: Option<u64>,
    replace: bool,
    work_factor: u8,
    key: Key,
}

/// The key of the vault's seal, if there is one; never printed.
#[derive(Clone)]
struct Key(Option<SealKey>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "sealed" } else { "unsealed" })
    }
}

impl BackupPlan {
    /// The data folder of a desk, which may be running, goes into the new file `to`; `made_at` is
    /// the time now by the desk's clock.
    pub fn new(
        folder: impl Into<PathBuf>,
        to: impl Into<PathBuf>,
        made_at: Timestamp,
    ) -> BackupPlan {
        let (folder, to) = (folder.into(), to.into());
        let work_factor = envelope::WORK_FACTOR;
        let key = Key(None);
        BackupPlan { folder, to, made_at, chain_id: None, replace: false, work_factor, key }
    }

    /// Notes the chain that the desk pays on.
    pub fn on_chain(self, chain_id: u64) -> BackupPlan {
        BackupPlan { chain_id: Some(chain_id), ..self }
    }

    /// Puts what the copy says of itself, that it is a backup's, under the vault's seal, so that
    /// nobody can take it away unnoticed.
    pub fn sealed_with(self, key: SealKey) -> BackupPlan {
        BackupPlan { key: Key(Some(key)), ..self }
    }

    /// Says that an earlier backup which already has the name may be replaced, once the new one is
    /// proven. What is no backup, or was sealed with another passphrase, is never replaced.
    pub fn replacing(self) -> BackupPlan {
        BackupPlan { replace: true, ..self }
    }

    /// With next to no key stretching, so that tests need not wait for it.
    #[doc(hidden)]
    pub fn lightly_sealed(self) -> BackupPlan {
        BackupPlan { work_factor: 1, ..self }
    }
}

/// A backup that was made and proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// What it holds, and of which moment.
    pub manifest: Manifest,
}

/// Makes a backup. When this answers, the file is on the disk under its name, and has been opened
/// with the passphrase, unpacked and proven.
///
/// The desk may go on paying meanwhile: what the file holds is the ledger of one moment. It needs
/// room for two copies of the ledger, one in the data folder and one where it goes to. One backup
/// or restore works on a folder at a time. The data folder keeps the lock file `backup.lock`, and
/// beside a ledger that no desk has open SQLite's own empty files.
///
/// # Errors
/// Every refusal leaves what was there before and nothing else: a passphrase out of bounds; a
/// target that is taken, or beside the books; a full disk; [`BackupError::NotVerified`] when the
/// books do not hold up.
pub async fn write(
    plan: BackupPlan,
    passphrase: &SecretText,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Written, BackupError> {
    let passphrase = Passphrase::to_seal(passphrase)?;
    let mut tell = Tell::to(progress);
    let (sealed, mut tell) = crate::blocking(move || {
        let sealed = Sealed::make(plan, passphrase, &mut tell)?;
        Ok((sealed, tell))
    })
    .await?;
    tell.step(Step::Proving);
    let to = sealed.plan.to.clone();
    prove(sealed.restored.path(), &sealed.manifest, &to)
        .await
        .map_err(|error| error.of_a_new_backup(&to))?;
    tell.step(Step::Placing);
    crate::blocking(move || sealed.publish()).await
}

/// A backup that has no name yet. The turn comes last, so that it is given back last.
struct Sealed {
    plan: BackupPlan,
    partial: NamedTempFile,
    restored: TempDir,
    manifest: Manifest,
    bytes: u64,
    sha256: [u8; 32],
    _turn: Turn,
}

impl Sealed {
    fn make(
        plan: BackupPlan,
        passphrase: Passphrase,
        tell: &mut Tell,
    ) -> Result<Sealed, BackupError> {
        check_target(&plan)?;
        check_replaced(&plan.to, &passphrase)?;
        let turn = Turn::beside_the_desk(&plan.folder)?;
        let copies = turn.scratch()?;
        tell.step(Step::Copying);
        let manifest = collect(&plan, copies.path())?;
        let mut partial = turn.partial(parent(&plan.to))?;
        let (bytes, sha256) =
            seal(&plan, &passphrase, &manifest, copies.path(), &mut partial, tell)
                .map_err(|fault| fault.of(&plan.to))?;
        // Gone before the second copy is made: the disk needs room for one.
        drop(copies);
        let restored = turn.scratch()?;
        let sealed = Sealed { plan, partial, restored, manifest, bytes, sha256, _turn: turn };
        let to = &sealed.plan.to;
        sealed.read_back(passphrase, tell).map_err(|fault| fault.of(to).of_a_new_backup(to))?;
        Ok(sealed)
    }

    /// Opens what was written, as a restore would.
    fn read_back(&self, passphrase: Passphrase, tell: &mut Tell) -> Result<(), Fault> {
        let mut file = Hashed::new(self.partial.reopen().map_err(Fault::Reading)?);
        let contents = Opener::new(passphrase).open(&mut file)?;
        let progress = tell.counting(Step::Reading, self.manifest.total_bytes());
        let mut folder = Folder::new(self.restored.path());
        let found = container::unpack(contents, self.bytes, &mut folder, progress)?;
        if found != self.manifest || file.finish() != (self.bytes, self.sha256) {
            return Err(Fault::damaged("it is not what was written"));
        }
        Ok(())
    }

    fn publish(self) -> Result<Written, BackupError> {
        let Sealed { plan, partial, restored, manifest, bytes, sha256, _turn } = self;
        drop(restored);
        scratch::publish(partial, &plan.to, plan.replace)?;
        Ok(Written { path: plan.to, bytes, sha256, manifest })
    }
}

/// Refuses a target that is taken, has no name, or would be lost together with the books.
fn check_target(plan: &BackupPlan) -> Result<(), BackupError> {
    let (to, folder) = (&plan.to, &plan.folder);
    let target = parent(to);
    if to.file_name().is_none() || !target.is_dir() {
        return Err(BackupError::Missing { what: "folder", path: target.to_owned() });
    }
    let real = |path: &Path| path.canonicalize().map_err(BackupError::io("find", path));
    if real(target)?.starts_with(real(folder)?) {
        return Err(BackupError::BesideTheBooks { path: to.clone() });
    }
    match std::fs::symlink_metadata(to) {
        Ok(found) if !plan.replace || found.is_dir() => {
            Err(BackupError::AlreadyThere { path: to.clone() })
        }
        _ => Ok(()),
    }
}

/// Refuses to replace what cannot be shown to be an earlier backup: whoever asks for one at a path
/// must not be able to have any file overwritten.
fn check_replaced(to: &Path, passphrase: &Passphrase) -> Result<(), BackupError> {
    if std::fs::symlink_metadata(to).is_err() {
        return Ok(());
    }
    let refused = |why: String| BackupError::NotReplaced { path: to.to_owned(), why };
    let found = std::fs::symlink_metadata(to).map_err(BackupError::io("read", to))?;
    if !found.is_file() {
        return Err(refused("it is not a plain file".into()));
    }
    let file = std::fs::File::open(to).map_err(BackupError::io("read", to))?;
    let begins = Opener::new(passphrase.clone()).open(file).and_then(container::begins_as_one);
    begins.map_err(|fault| refused(fault.of(to).to_string()))
}

/// Copies everything that goes into the backup, and describes it.
fn collect(plan: &BackupPlan, copies: &Path) -> Result<Manifest, BackupError> {
    let ledger = copies.join(Part::Ledger.name());
    let moment = snapshot::take(
        &plan.folder.join(Part::Ledger.name()),
        &ledger,
        plan.key.0.clone(),
        plan.made_at,
    )?;
    // After the ledger: the vault then never knows less than the books do.
    let mut files = vec![
        copy_small(plan, Part::Vault, copies)?
            .ok_or_else(|| missing(plan, Part::Vault, "vault"))?,
    ];
    files.extend(copy_small(plan, Part::Settings, copies)?);
    let max = Part::Ledger.max_bytes();
    let (bytes, sha256) = hash_file(&ledger, max).map_err(BackupError::io("read", &ledger))?;
    if bytes > max {
        let path = plan.folder.join(Part::Ledger.name());
        return Err(BackupError::TooLarge { path, what: "a ledger", bytes, max });
    }
    files.push(FileEntry { name: Part::Ledger, bytes, sha256 });
    let made = Made {
        made_at: plan.made_at,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        chain_id: plan.chain_id,
        next_account: moment.next_account,
        head: moment.head,
    };
    Ok(Manifest::new(made, files))
}

fn missing(plan: &BackupPlan, part: Part, what: &'static str) -> BackupError {
    BackupError::Missing { what, path: plan.folder.join(part.name()) }
}

/// Copies a file that is always replaced whole; `None` when it is not there.
fn copy_small(
    plan: &BackupPlan,
    part: Part,
    copies: &Path,
) -> Result<Option<FileEntry>, BackupError> {
    let path = plan.folder.join(part.name());
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io("read", &path)(error)),
    };
    let max = part.max_bytes();
    let mut contents = Vec::new();
    file.take(max + 1).read_to_end(&mut contents).map_err(BackupError::io("read", &path))?;
    let bytes = contents.len() as u64;
    if bytes > max {
        return Err(BackupError::TooLarge { path, what: part.name(), bytes, max });
    }
    let to = copies.join(part.name());
    scratch::new_file(&to)?.write_all(&contents).map_err(BackupError::io("write", &to))?;
    Ok(Some(FileEntry { name: part, bytes, sha256: Sha256::digest(&contents).into() }))
}

/// Writes the sealed file through to the disk, and answers its size and SHA-256.
fn seal(
    plan: &BackupPlan,
    passphrase: &Passphrase,
    manifest: &Manifest,
    copies: &Path,
    partial: &mut NamedTempFile,
    tell: &mut Tell,
) -> Result<(u64, [u8; 32]), Fault> {
    let out = Hashed::new(partial.as_file_mut());
    let sealed = envelope::seal(passphrase, plan.work_factor, out)?;
    let progress = tell.counting(Step::Sealing, manifest.total_bytes());
    let sealed = container::pack(sealed, manifest, |part| copies.join(part.name()), progress)?;
    let written = envelope::finish(sealed)?.finish();
    partial.as_file().sync_all().map_err(Fault::Sealing)?;
    Ok(written)
}
