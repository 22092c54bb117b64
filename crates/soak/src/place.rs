//! Where the proofs lay their files, and what runs their tasks.

use std::io;
use std::path::Path;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder that is gone afterwards: in memory where there is such a place, because what is proved
/// there is not the disk.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    match memory
        .is_dir()
        .then(|| tempfile::Builder::new().prefix("imprest-soak").tempdir_in(memory))
    {
        Some(Ok(folder)) => Ok(folder),
        _ => tempfile::Builder::new().prefix("imprest-soak").tempdir(),
    }
}

/// A runtime on this thread.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
