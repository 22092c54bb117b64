//! Bytes counted and hashed on their way, so that nothing has to be read twice.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes on their way, counted and hashed.
pub(crate) struct Hashed<T> {
    inner: T,
    bytes: u64,
    sha: Sha256,
}

impl<T> Hashed<T> {
    pub(crate) fn new(inner: T) -> Hashed<T> {
        Hashed { inner, bytes: 0, sha: Sha256::new() }
    }

    /// How many bytes went through, and their SHA-256.
    pub(crate) fn finish(self) -> (u64, [u8; 32]) {
        (self.bytes, self.sha.finalize().into())
    }

    fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha.update(bytes);
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.note(&buf[..read]);
        Ok(read)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.note(&buf[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The size and the SHA-256 of a file, read up to one byte past `max`.
pub(crate) fn hash_file(path: &Path, max: u64) -> io::Result<(u64, [u8; 32])> {
    let mut hashed = Hashed::new(io::sink());
    io::copy(&mut File::open(path)?.take(max.saturating_add(1)), &mut hashed)?;
    Ok(hashed.finish())
}
