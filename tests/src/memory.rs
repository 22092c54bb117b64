//! Another process's memory, read as a debugger reads it.

use crate::Obstacle;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Bytes that are looked for, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is.
    pub name: &'static str,
    /// At least two bytes.
    pub bytes: Vec<u8>,
}

impl Secret {
    /// A secret of so many bytes.
    pub fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Secret {
        Secret { name, bytes: bytes.into() }
    }

    /// A key as it is in use: a number in machine order, its bytes the other way round.
    pub fn reversed(name: &'static str, bytes: impl Into<Vec<u8>>) -> Secret {
        let mut bytes: Vec<u8> = bytes.into();
        bytes.reverse();
        Secret { name, bytes }
    }
}

/// The names of the secrets that are somewhere in what a process can write to.
///
/// # Errors
/// When this process may not read the other's memory.
pub fn found_in_memory(process: u32, secrets: &[Secret]) -> Result<Vec<&'static str>, Obstacle> {
    let unreadable = |e| Obstacle::io(format!("reading the memory of {process}"), &e);
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).map_err(unreadable)?;
    let memory = File::open(format!("/proc/{process}/mem")).map_err(unreadable)?;
    // By their first two bytes, because there is much memory to go through.
    let mut begins = vec![false; 1 << 16];
    for secret in secrets {
        begins[usize::from(u16::from_be_bytes([secret.bytes[0], secret.bytes[1]]))] = true;
    }
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let Some((start, end)) = range(line) else { continue };
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or_default()];
        // Guard pages and the like cannot be read; they hold nothing.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        for (at, pair) in bytes.windows(2).enumerate() {
            if !begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            for secret in secrets {
                if bytes[at..].starts_with(&secret.bytes) && !found.contains(&secret.name) {
                    found.push(secret.name);
                }
            }
        }
    }
    Ok(found)
}

fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}
