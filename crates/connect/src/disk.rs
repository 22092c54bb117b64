//! Settings files on the disk: what may be read, and how one is replaced without a moment in which
//! it is not whole.

use crate::error::ConnectError;
use jiff::Timestamp;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The largest settings file that is taken, in bytes.
pub const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How many backups of the same second there may be.
const SAME_SECOND_MAX: u32 = 1_000;

/// What comes next in a change. Tests stop here, or put something in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Backup,
    Temporary,
    Record,
    Place,
}

/// Is told each step before it is taken.
pub(crate) type Watch<'a> = &'a dyn Fn(Step) -> io::Result<()>;

/// A settings file as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Where it really lies, links followed.
    pub real: PathBuf,
    /// What is in it; `None` where there is no file.
    pub text: Option<String>,
    pub metadata: Option<Metadata>,
}

impl Seen {
    /// Whether the same file with the same bytes is there.
    pub(crate) fn is_still(&self, path: &Path) -> Result<bool, ConnectError> {
        let now = look(path)?;
        Ok(now.real == self.real && now.text == self.text)
    }
}

/// Reads a settings file, if there is one, and refuses whatever is no plain file of this user.
///
/// # Errors
/// See [`ConnectError`].
pub(crate) fn look(path: &Path) -> Result<Seen, ConnectError> {
    match fs::symlink_metadata(path) {
        Err(error) if is_nothing(&error) => {
            check_folder(path)?;
            return Ok(Seen { real: path.to_owned(), text: None, metadata: None });
        }
        Err(error) => return Err(ConnectError::io("look at", path)(error)),
        Ok(_) => {}
    }
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ConnectError::DanglingLink { path: path.to_owned() },
        _ => ConnectError::io("follow the link", path)(error),
    })?;
    let file = open(&real).map_err(ConnectError::io("read", path))?;
    let metadata = file.metadata().map_err(ConnectError::io("look at", path))?;
    check(path, &metadata)?;
    let text = read(file, path)?;
    Ok(Seen { real, text: Some(text), metadata: Some(metadata) })
}

fn is_nothing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// The first folder above a missing file that is there has to be a folder of this user.
fn check_folder(path: &Path) -> Result<(), ConnectError> {
    for folder in path.ancestors().skip(1) {
        match fs::symlink_metadata(folder) {
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(ConnectError::io("look at", folder)(error)),
            Ok(_) => {
                let metadata = fs::metadata(folder).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => {
                        ConnectError::DanglingLink { path: folder.to_owned() }
                    }
                    _ => ConnectError::io("look at", folder)(error),
                })?;
                let not_yours = |why| ConnectError::NotYours { path: folder.to_owned(), why };
                return match metadata.is_dir() {
                    false => Err(not_yours("is no folder")),
                    true if !is_mine(&metadata) => Err(not_yours("belongs to another user")),
                    true => Ok(()),
                };
            }
        }
    }
    Ok(())
}

/// Opens without waiting for the other end of a pipe, and without following a link that was put
/// there after the path was looked at.
fn open(real: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(real)
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), ConnectError> {
    let not_yours = |why| Err(ConnectError::NotYours { path: path.to_owned(), why });
    if !metadata.is_file() {
        return not_yours("is no plain file");
    }
    if !is_mine(metadata) {
        return not_yours("belongs to another user");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Replacing one name would leave the others with the old contents.
        if metadata.nlink() > 1 {
            return not_yours("is one file under several names (hard links)");
        }
    }
    if metadata.len() > FILE_MAX_BYTES {
        return Err(too_large(path, metadata.len()));
    }
    Ok(())
}

fn too_large(path: &Path, bytes: u64) -> ConnectError {
    ConnectError::TooLarge { path: path.to_owned(), bytes, max: FILE_MAX_BYTES }
}

#[cfg(unix)]
fn is_mine(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Windows decides by the folder's own permissions.
#[cfg(not(unix))]
fn is_mine(_: &Metadata) -> bool {
    true
}

fn read(file: File, path: &Path) -> Result<String, ConnectError> {
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(ConnectError::io("read", path))?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(too_large(path, bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let (line, column) = crate::edit::line_and_column(&before, before.len());
        let why = "it is not UTF-8 text".to_owned();
        ConnectError::Malformed { path: path.to_owned(), line, column, why }
    })
}

/// Writes a copy of what was seen beside the settings, under a name that nothing has; answers it.
pub(crate) fn back_up(path: &Path, seen: &Seen, now: Timestamp) -> Result<PathBuf, ConnectError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stamp = now.strftime("%Y%m%d-%H%M%S");
    let base = format!("{name}.imprest-backup-{stamp}");
    let folder = folder_of(path);
    for number in 0..SAME_SECOND_MAX {
        let ending = if number == 0 { String::new() } else { format!("-{number}") };
        let backup = folder.join(format!("{base}{ending}"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&backup) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ConnectError::io("make", &backup)(error)),
            Ok(file) => {
                let written = fill(file, seen.text.as_deref().unwrap_or_default(), seen);
                return match written.and_then(|()| sync_folder(folder)) {
                    Ok(()) => Ok(backup),
                    Err(error) => {
                        let _ = fs::remove_file(&backup);
                        Err(ConnectError::io("write", &backup)(error))
                    }
                };
            }
        }
    }
    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(ConnectError::io("make a backup of", path)(taken))
}

fn fill(mut file: File, text: &str, like: &Seen) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    if let Some(metadata) = &like.metadata {
        take_after(&file, metadata)?;
    }
    file.sync_all()
}

/// Gives a new file the owner, the group and the mode of another.
fn take_after(file: &File, like: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Gid, Uid, fchown};
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata()?;
        // Owner before mode: a change of owner takes bits of the mode away.
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())))?;
        }
    }
    file.set_permissions(like.permissions())
}

/// A text on the disk under a name of its own, to be put in the place of a settings file.
pub(crate) struct Ready {
    file: NamedTempFile,
    target: PathBuf,
}

/// Writes a text beside its place, complete and on the disk.
pub(crate) fn prepare(like: &Seen, text: &str) -> Result<Ready, ConnectError> {
    let target = like.real.clone();
    let folder = folder_of(&target);
    if like.metadata.is_none() {
        make_folder(folder)?;
    }
    let failed = || ConnectError::io("write into", folder);
    let file = tempfile::Builder::new()
        .prefix(".imprest-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(failed())?;
    let handle = file.as_file().try_clone().map_err(failed())?;
    fill(handle, text, like).map_err(failed())?;
    Ok(Ready { file, target })
}

impl Ready {
    /// Puts the text in its place in one step; a file that is not known of is never replaced.
    pub(crate) fn place(self, replaces: bool) -> Result<(), ConnectError> {
        let Ready { file, target } = self;
        let placed = if replaces { file.persist(&target) } else { file.persist_noclobber(&target) };
        placed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ConnectError::Changed { path: target.clone() },
            _ => ConnectError::io("replace", &target)(error.error),
        })?;
        // The name is in place; that the folder could not be flushed changes nothing of that.
        let _ = sync_folder(folder_of(&target));
        Ok(())
    }
}

/// Makes a folder that only its owner can read; one that is there stays as it is.
pub(crate) fn make_folder(folder: &Path) -> Result<(), ConnectError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(ConnectError::io("make", folder))
}

/// Removes a settings file.
pub(crate) fn remove(real: &Path) -> Result<(), ConnectError> {
    fs::remove_file(real).map_err(ConnectError::io("remove", real))?;
    let _ = sync_folder(folder_of(real));
    Ok(())
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
