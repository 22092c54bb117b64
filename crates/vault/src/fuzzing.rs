//! What the fuzz targets in `fuzz/` run, and a short run of the same over altered seeds.
//!
//! Each takes any bytes, must not panic, and checks what must hold of whatever is accepted.

use crate::file::VaultFile;
use crate::keystore::Keystore;
use crate::secret::SecretText;
use crate::words;
use std::path::Path;

/// A vault file: whatever is read is written again byte for byte.
pub fn vault_file(bytes: &[u8]) {
    if let Ok(file) = VaultFile::parse(Path::new("vault.json"), bytes) {
        let again = file.to_bytes();
        assert!(again.is_ok_and(|again| again == bytes), "two spellings of one vault file");
        let ways_in = file.slots().len();
        assert!(ways_in <= crate::file::MAX_SLOTS && (ways_in >= 2 || file.is_first_form()));
    }
}

/// A keystore file from elsewhere; its key stretching is not run.
pub fn keystore(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(keystore) = Keystore::parse(text)
    {
        assert!(keystore.is_in_bounds(), "a cost out of bounds was accepted");
    }
}

/// Recovery words: whatever is read is written again as the same words.
pub fn recovery_words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(entropy) = words::parse(&SecretText::new(text.to_owned())) {
        let written = words::phrase(&entropy).map(|words| words.to_string()).unwrap_or_default();
        let given: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        assert_eq!(written, given.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A small generator (SplitMix64), so that every run tries the same.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % below.max(1) as u64) as usize
        }
    }

    /// One to four of: a byte changed, removed, doubled, a piece cut, a piece of the seed put in.
    fn altered(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(bytes.len());
            match dice.roll(6) {
                _ if bytes.is_empty() => bytes.extend_from_slice(seed),
                0 => bytes[at] = dice.roll(256) as u8,
                1 => bytes[at] ^= 1 << dice.roll(8),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, b"\"{}[],:0919\\ \n"[dice.roll(14)]),
                4 => {
                    let end = (at + dice.roll(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let from = dice.roll(seed.len());
                    let to = (from + dice.roll(60)).min(seed.len());
                    let piece = seed[from..to].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }

    fn run(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>]) {
        let started = Instant::now();
        let mut dice = Dice(7);
        let mut ran = 0;
        seeds.iter().for_each(|seed| target(seed));
        // Bounded by time as well, for machines that are busy.
        while ran < 4_000 && started.elapsed() < Duration::from_secs(2) {
            let seed = &seeds[dice.roll(seeds.len())];
            target(&altered(seed, &mut dice));
            ran += 1;
        }
        println!("{name}: {ran} cases in {:?}", started.elapsed());
        assert!(ran >= 500, "only {ran} cases");
    }

    /// The seeds that the fuzz targets start from, too.
    fn seeds(folder: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(folder);
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .expect("the seeds")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).expect("reads")).collect()
    }

    #[test]
    fn vault_files() {
        run("vault_file", vault_file, &seeds("vault_file"));
    }

    #[test]
    fn keystores() {
        run("keystore", keystore, &seeds("keystore"));
    }

    #[test]
    fn words() {
        run("recovery_words", recovery_words, &seeds("recovery_words"));
    }
}
