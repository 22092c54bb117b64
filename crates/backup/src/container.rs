//! What lies inside the seal: a plain tar of known names in one order, so that any `tar` unpacks
//! it, and nothing but that is read back.

use crate::error::{BackupError, Fault};
use crate::manifest::{MANIFEST_MAX_BYTES, Manifest, Part};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use tar::{Archive, Builder, Entry, EntryType, Header};

/// The name of the first entry.
pub(crate) const MANIFEST_NAME: &str = "manifest.json";
/// How much is held in memory at a time.
const PIECE: usize = 64 * 1024;
/// The most that may follow the last entry: a tar ends with two empty blocks, and some programs
/// fill it up to twenty.
const TAIL_MAX_BYTES: u64 = 20 * 512;

/// Where the parts go on their way out of a container.
pub(crate) trait Unpack {
    /// Called once, before any part: what will come.
    fn begin(&mut self, _manifest: &Manifest) -> Result<(), Fault> {
        Ok(())
    }

    /// Takes the next bytes of a part.
    fn piece(&mut self, part: Part, bytes: &[u8]) -> Result<(), Fault>;

    /// The part is whole and its hash is right.
    fn end(&mut self, _part: Part) -> Result<(), Fault> {
        Ok(())
    }
}

/// Looks at everything and keeps nothing.
pub(crate) struct Look;

impl Unpack for Look {
    fn piece(&mut self, _: Part, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
}

/// Writes the manifest and the parts, each from its file, and answers the writer.
pub(crate) fn pack<W: Write>(
    out: W,
    manifest: &Manifest,
    source: impl Fn(Part) -> PathBuf,
    mut progress: impl FnMut(u64),
) -> Result<W, Fault> {
    let mtime = u64::try_from(manifest.made_at.as_second()).unwrap_or_default();
    let mut builder = Builder::new(out);
    let json = manifest.to_json().map_err(Fault::damaged)?;
    let head = header(MANIFEST_NAME, json.len() as u64, mtime).map_err(Fault::Sealing)?;
    builder.append(&head, json.as_slice()).map_err(Fault::Sealing)?;
    for file in &manifest.files {
        let path = source(file.name);
        let opened = std::fs::File::open(&path)
            .map_err(|error| Fault::Beside(BackupError::io("read", &path)(error)))?;
        let head = header(file.name.name(), file.bytes, mtime).map_err(Fault::Sealing)?;
        let mut counted = Counted { inner: opened.take(file.bytes), count: 0, tell: &mut progress };
        builder.append(&head, &mut counted).map_err(Fault::Sealing)?;
        if counted.count != file.bytes {
            return Err(Fault::damaged(format_args!("{} changed meanwhile", path.display())));
        }
    }
    builder.into_inner().map_err(Fault::Sealing)
}

fn header(name: &str, bytes: u64, mtime: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// A reader that tells how far it is.
struct Counted<'t, R, T> {
    inner: R,
    count: u64,
    tell: &'t mut T,
}

impl<R: Read, T: FnMut(u64)> Read for Counted<'_, R, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.count += read as u64;
        (self.tell)(read as u64);
        Ok(read)
    }
}

/// Reads a container to its very end, and hands out the parts. `sealed_bytes` is the size of the
/// file it came from: what it holds cannot be more.
///
/// The parts are to be used only after this has answered: until the end is seen, the file may still
/// turn out to be cut short.
pub(crate) fn unpack<R: Read>(
    input: R,
    sealed_bytes: u64,
    into: &mut impl Unpack,
    mut progress: impl FnMut(u64),
) -> Result<Manifest, Fault> {
    let mut archive = Archive::new(input);
    let manifest = {
        // Raw: extensions that rename, resize or pad the next entry are entries like any other
        // here, and so of an unknown name.
        let mut entries = archive.entries().map_err(Fault::reading)?.raw(true);
        let mut next = || entries.next().transpose().map_err(entry_fault);
        let manifest = read_manifest(next()?)?;
        if manifest.total_bytes() > sealed_bytes {
            return Err(Fault::damaged("its manifest promises more than the file can hold"));
        }
        into.begin(&manifest)?;
        for file in &manifest.files {
            let name = file.name.name();
            let mut entry = expect(next()?, name)?;
            if entry.size() != file.bytes {
                return Err(Fault::damaged(format_args!("{name} has not the size it should have")));
            }
            let sha256 = copy(&mut entry, file.bytes, |piece| {
                progress(piece.len() as u64);
                into.piece(file.name, piece)
            })?;
            if sha256 != file.sha256 {
                return Err(Fault::damaged(format_args!("{name} is not what was backed up")));
            }
            into.end(file.name)?;
        }
        if next()?.is_some() {
            return Err(Fault::damaged("it holds more than a backup has"));
        }
        manifest
    };
    read_tail(archive.into_inner())?;
    Ok(manifest)
}

/// Whether a container begins as a backup does: with a manifest that this program can read.
pub(crate) fn begins_as_one(input: impl Read) -> Result<(), Fault> {
    let mut archive = Archive::new(input);
    let mut entries = archive.entries().map_err(Fault::reading)?.raw(true);
    read_manifest(entries.next().transpose().map_err(entry_fault)?).map(drop)
}

fn read_manifest<R: Read>(entry: Option<Entry<'_, R>>) -> Result<Manifest, Fault> {
    let Some(entry) = entry else { return Err(Fault::NotABackup("it is empty")) };
    if *entry.path_bytes() != *MANIFEST_NAME.as_bytes() {
        return Err(Fault::NotABackup("it does not begin with a manifest"));
    }
    let mut entry = expect(Some(entry), MANIFEST_NAME)?;
    let bytes = entry.size();
    if bytes > MANIFEST_MAX_BYTES {
        return Err(Fault::damaged(format_args!("its manifest is to have {bytes} bytes")));
    }
    let mut json = Vec::with_capacity(PIECE.min(MANIFEST_MAX_BYTES as usize));
    copy(&mut entry, bytes, |piece| {
        json.extend_from_slice(piece);
        Ok(())
    })?;
    Manifest::parse(&json)
}

/// Takes an entry only if it is a plain file of the name that has to come now.
fn expect<'e, R: Read>(
    entry: Option<Entry<'e, R>>,
    name: &'static str,
) -> Result<Entry<'e, R>, Fault> {
    let Some(entry) = entry else {
        return Err(Fault::damaged(format_args!("{name} is missing")));
    };
    if *entry.path_bytes() != *name.as_bytes() {
        return Err(Fault::damaged(format_args!("something else stands where {name} should be")));
    }
    if entry.header().entry_type() != EntryType::Regular || entry.link_name_bytes().is_some() {
        return Err(Fault::damaged(format_args!("{name} is not a plain file")));
    }
    Ok(entry)
}

/// Hands on exactly so many bytes, and answers their SHA-256.
fn copy(
    input: &mut impl Read,
    bytes: u64,
    mut piece: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<[u8; 32], Fault> {
    let mut buffer = vec![0; PIECE];
    let mut sha = Sha256::new();
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let read = match input.read(&mut buffer[..most]) {
            Ok(0) => return Err(Fault::damaged("it is cut short")),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Fault::reading(error)),
        };
        sha.update(&buffer[..read]);
        piece(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(sha.finalize().into())
}

/// Reads on until the seal says that nothing is missing.
fn read_tail(mut rest: impl Read) -> Result<(), Fault> {
    let mut tail = Vec::with_capacity(TAIL_MAX_BYTES as usize);
    rest.by_ref().take(TAIL_MAX_BYTES + 1).read_to_end(&mut tail).map_err(Fault::reading)?;
    match tail.len() as u64 > TAIL_MAX_BYTES || tail.iter().any(|byte| *byte != 0) {
        true => Err(Fault::damaged("something follows the last part")),
        false => Ok(()),
    }
}

/// The library words what is wrong with a tar as an error of the kind “other”.
fn entry_fault(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::Other => Fault::damaged(format_args!("inside it, {error}")),
        _ => Fault::reading(error),
    }
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
