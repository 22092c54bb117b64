//! The machine that measured: its cores, its disk, its memory.

use crate::sample::{median, timed};
use crate::table::{Fact, fact, time};
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// One page, as a bare append writes it.
const PAGE: [u8; 4096] = [0x5A; 4096];

/// A file that grows by a page at a time, each brought to the disk: the least that any durable
/// write costs.
pub struct Appending(File);

impl Appending {
    /// A new file in a folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &Path) -> Result<Appending> {
        let path = folder.join("appended");
        Ok(Appending(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Appends 4 KiB and waits until they are on the disk (fdatasync).
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn append(&mut self) -> Result<Duration> {
        let (took, done) = timed(|| {
            self.0.write_all(&PAGE)?;
            self.0.sync_data()
        });
        done?;
        Ok(took)
    }
}

/// What there is to know about the machine.
///
/// # Errors
/// When the disk does not take a file.
pub fn facts(folder: &Path) -> Result<Vec<Fact>> {
    let mut file = Appending::new(folder)?;
    let times = (0..200).map(|_| file.append()).collect::<Result<Vec<_>>>()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(vec![
        fact("cores", cores.to_string()),
        fact("4 KiB append + fdatasync, p50", time(median(times)?)),
        fact("SQLite", rusqlite::version()),
    ])
}

/// The most memory this process had resident since [`forget_peak`], in bytes; only Linux tells.
pub fn peak_bytes() -> Option<u64> {
    resident("VmHWM:")
}

/// What it has resident now, in bytes; only Linux tells.
pub fn resident_bytes() -> Option<u64> {
    resident("VmRSS:")
}

fn resident(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|l| l.strip_prefix(line))?;
    kib.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Forgets the peak so far.
pub fn forget_peak() {
    // Where it is not Linux there is no peak to read either.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Asks the system to forget what it has cached of a file, so that the next reader meets the disk.
///
/// # Errors
/// When the file is not there.
pub fn forget_cached(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.sync_all()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}
