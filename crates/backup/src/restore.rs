//! Looking into a backup, and putting it back: unpacked into a scratch folder, proven there, and
//! only then moved into place.

use crate::container::{self, Look, Unpack};
use crate::envelope::{Opener, Passphrase};
use crate::error::{BackupError, Fault};
use crate::manifest::{Manifest, Part};
use crate::place::{self, MadeFolder};
use crate::progress::{Progress, Step, Tell};
use crate::prove::{Folder, prove};
use crate::scratch::Turn;
use imprest_vault::SecretText;
use jiff::Timestamp;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The most bytes a sealed file may have: the parts at their largest, and what tar and age add.
const SEALED_MAX_BYTES: u64 = (1 << 33) + (1 << 24);

/// Which backup to put back, and where.
#[derive(Debug, Clone)]
pub struct RestorePlan {
    from: PathBuf,
    into: PathBuf,
    now: Timestamp,
    replace: bool,
}

impl RestorePlan {
    /// The backup `from` becomes the data folder `into`, which is made when it is not there.
    pub fn new(from: impl Into<PathBuf>, into: impl Into<PathBuf>, now: Timestamp) -> RestorePlan {
        RestorePlan { from: from.into(), into: into.into(), now, replace: false }
    }

    /// Says that a desk's files which are there already may be moved aside, into a folder of their
    /// own named after the time. They are never deleted.
    pub fn replacing(self) -> RestorePlan {
        RestorePlan { replace: true, ..self }
    }
}

/// A backup that is in place. The desk pays nothing from it until the chain was read and its owner
/// has thawed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What it holds, and of which moment.
    pub manifest: Manifest,
    /// Where the files from before are, if there were any.
    pub moved_to: Option<PathBuf>,
}

/// Reads a backup to its end and says what it holds. Nothing is written anywhere.
///
/// The hashes of all parts are checked; whether the ledger is sound is for [`restore`] to find out.
///
/// # Errors
/// [`BackupError::WrongPassphrase`], [`BackupError::Damaged`] and the other refusals of a file.
pub async fn inspect(path: &Path, passphrase: &SecretText) -> Result<Manifest, BackupError> {
    let (path, passphrase) = (path.to_owned(), Passphrase::to_open(passphrase)?);
    crate::blocking(move || {
        let (file, bytes) = open_sealed(&path)?;
        read(file, bytes, passphrase, &mut Look, &mut Tell::to(|_| ()))
            .map_err(|fault| fault.of(&path))
    })
    .await
}

/// Puts a backup back. When this answers, its files are in place and on the disk, were proven
/// before they got there; the books say that they come out of a backup, which keeps the desk from
/// paying.
///
/// No desk may be open on the folder, not even by the caller; this takes the desk's own lock.
///
/// # Errors
/// The refusals of [`inspect`]; [`BackupError::Occupied`], [`BackupError::InUse`],
/// [`BackupError::Unsound`], a full disk. What was there before is then as it was.
pub async fn restore(
    plan: RestorePlan,
    passphrase: &SecretText,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Restored, BackupError> {
    let passphrase = Passphrase::to_open(passphrase)?;
    let mut tell = Tell::to(progress);
    let (unpacked, mut tell) = crate::blocking(move || {
        let unpacked = Unpacked::make(plan, passphrase, &mut tell)?;
        Ok((unpacked, tell))
    })
    .await?;
    tell.step(Step::Proving);
    prove(unpacked.scratch.path(), &unpacked.manifest, &unpacked.plan.from).await?;
    tell.step(Step::Placing);
    crate::blocking(move || unpacked.put_in_place()).await
}

/// A backup in a scratch folder. The turn comes late, so that it is given back late, and the
/// folder that was made for it last.
struct Unpacked {
    plan: RestorePlan,
    scratch: TempDir,
    manifest: Manifest,
    _turn: Turn,
    made: MadeFolder,
}

impl Unpacked {
    fn make(
        plan: RestorePlan,
        passphrase: Passphrase,
        tell: &mut Tell,
    ) -> Result<Unpacked, BackupError> {
        place::check_free(&plan.into, plan.replace)?;
        let (file, bytes) = open_sealed(&plan.from)?;
        let mut arriving = Arriving { plan: &plan, there: None };
        let manifest = read(file, bytes, passphrase, &mut arriving, tell)
            .map_err(|fault| fault.of(&plan.from))?;
        let Some(There { scratch, _turn, made, .. }) = arriving.there else {
            return Err(BackupError::internal("a backup without parts"));
        };
        Ok(Unpacked { plan, scratch, manifest, _turn, made })
    }

    fn put_in_place(self) -> Result<Restored, BackupError> {
        let Unpacked { plan, scratch, manifest, _turn, made } = self;
        let moved_to = place::put(scratch.path(), &plan.into, plan.replace, &manifest, plan.now)?;
        made.keep();
        Ok(Restored { manifest, moved_to })
    }
}

/// The place where the parts arrive; made only when the passphrase has opened the file and the
/// manifest was read, so that most refusals touch nothing.
struct Arriving<'p> {
    plan: &'p RestorePlan,
    there: Option<There>,
}

struct There {
    folder: Folder,
    scratch: TempDir,
    _turn: Turn,
    made: MadeFolder,
}

impl Unpack for Arriving<'_> {
    fn begin(&mut self, _: &Manifest) -> Result<(), Fault> {
        let into = &self.plan.into;
        let arrive = || {
            let made = MadeFolder::make(into)?;
            let turn = Turn::instead_of_the_desk(into)?;
            // Looked at again, now that nobody else can change it.
            place::check_free(into, self.plan.replace)?;
            let scratch = turn.scratch()?;
            Ok(There { folder: Folder::new(scratch.path()), scratch, _turn: turn, made })
        };
        self.there = Some(arrive().map_err(Fault::Beside)?);
        Ok(())
    }

    fn piece(&mut self, part: Part, bytes: &[u8]) -> Result<(), Fault> {
        self.there.as_mut().map_or(Ok(()), |there| there.folder.piece(part, bytes))
    }

    fn end(&mut self, part: Part) -> Result<(), Fault> {
        self.there.as_mut().map_or(Ok(()), |there| there.folder.end(part))
    }
}

fn read(
    file: File,
    bytes: u64,
    passphrase: Passphrase,
    into: &mut impl Unpack,
    tell: &mut Tell,
) -> Result<Manifest, Fault> {
    let progress = tell.counting(Step::Reading, bytes);
    let contents = Opener::new(passphrase).open(file)?;
    container::unpack(contents, bytes, into, progress)
}

/// Opens a backup for reading, if it is a plain file of a size that a backup can have.
fn open_sealed(path: &Path) -> Result<(File, u64), BackupError> {
    let missing = || BackupError::Missing { what: "backup", path: path.to_owned() };
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(BackupError::io("read", path)(error)),
    };
    // Looked at before it is opened: opening a pipe would wait for its other end.
    if !found.is_file() {
        let why = "it is not a plain file";
        return Err(BackupError::NotABackup { path: path.to_owned(), why });
    }
    let (bytes, max) = (found.len(), SEALED_MAX_BYTES);
    if bytes > max {
        return Err(BackupError::TooLarge { path: path.to_owned(), what: "a backup", bytes, max });
    }
    let file = File::open(path).map_err(BackupError::io("read", path))?;
    Ok((file, bytes))
}
