//! How dear a guess at the passphrase is: Argon2id and its bounds.

use crate::error::VaultError;
use crate::secret::Secret32;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::borrow::Cow;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

const MIN_M_KIB: u32 = 19 * 1024;
const MAX_M_KIB: u32 = 1024 * 1024;
const MAX_T: u32 = 16;
const MAX_P: u32 = 8;
/// Memory times passes: what a hostile file could make an unlock cost, about five seconds.
const MAX_TOTAL_KIB: u32 = 4 * 1024 * 1024;
/// The most bytes of passphrase that are hashed, after normalisation.
pub(crate) const MAX_PASSPHRASE_BYTES: usize = 1024;
/// The fewest characters of a new passphrase, of a vault's, a keystore's or a backup's; an older one
/// that is shorter still opens what it opens.
pub const PASSPHRASE_CHARS_MIN: usize = 10;

/// The cost of Argon2id (RFC 9106): memory in KiB, passes, lanes. Always within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfCost {
    m_kib: u32,
    t: u32,
    p: u32,
}

impl KdfCost {
    /// The least a new vault should use: 64 MiB, 3 passes, 1 lane.
    pub const FLOOR: KdfCost = KdfCost { m_kib: 64 * 1024, t: 3, p: 1 };
    /// What a new vault uses where the machine can do it in a second: 256 MiB, 3 passes, 1 lane.
    pub const TARGET: KdfCost = KdfCost { m_kib: 256 * 1024, t: 3, p: 1 };

    /// Checks a cost. Tests use the cheapest there is, `KdfCost::new(19 * 1024, 1, 1)`.
    ///
    /// # Errors
    /// [`VaultError::KdfOutOfBounds`] outside 19 MiB–1 GiB, 1–16 passes, 1–8 lanes, or when
    /// memory times passes is above 4 GiB.
    pub fn new(m_kib: u32, t: u32, p: u32) -> Result<Self, VaultError> {
        let fits = (MIN_M_KIB..=MAX_M_KIB).contains(&m_kib)
            && (1..=MAX_T).contains(&t)
            && (1..=MAX_P).contains(&p)
            && m_kib.checked_mul(t).is_some_and(|total| total <= MAX_TOTAL_KIB);
        if fits {
            Ok(Self { m_kib, t, p })
        } else {
            Err(VaultError::KdfOutOfBounds { m_kib, t, p })
        }
    }

    /// Measures this machine and answers a cost that is expected to take 0.5 to 1 s: as much memory
    /// as fits, from [`KdfCost::FLOOR`] to [`KdfCost::TARGET`], and on a machine that does the
    /// target in less, more passes. Takes about 0.2 s; the floor is the answer when it fails.
    pub fn calibrate() -> Self {
        let started = Instant::now();
        let Ok(_) = Self::FLOOR.stretch("calibration", &[0; 32]) else { return Self::FLOOR };
        Self::fitting(started.elapsed())
    }

    /// Time goes in proportion to memory times passes.
    fn fitting(floor_took: Duration) -> Self {
        let target_takes = floor_took.saturating_mul(Self::TARGET.m_kib / Self::FLOOR.m_kib);
        if target_takes < Duration::from_millis(500) {
            let enough = |t: &u32| {
                target_takes.saturating_mul(*t) / Self::TARGET.t >= Duration::from_millis(500)
            };
            let t = (Self::TARGET.t..=MAX_T).find(enough).unwrap_or(MAX_T);
            return Self { t, ..Self::TARGET };
        }
        [256, 224, 192, 160, 128, 96]
            .map(|mib| Self { m_kib: mib * 1024, ..Self::FLOOR })
            .into_iter()
            .find(|cost| {
                let expected =
                    floor_took.saturating_mul(cost.m_kib / 1024) / (Self::FLOOR.m_kib / 1024);
                expected <= Duration::from_secs(1)
            })
            .unwrap_or(Self::FLOOR)
    }

    /// Memory in KiB.
    pub fn m_kib(self) -> u32 {
        self.m_kib
    }

    /// Passes over the memory.
    pub fn t(self) -> u32 {
        self.t
    }

    /// Lanes.
    pub fn p(self) -> u32 {
        self.p
    }

    /// Turns a passphrase into a key. Slow on purpose: keep it off the async runtime's threads.
    ///
    /// The passphrase is brought to Unicode NFKD first, so that the same letters typed on another
    /// system open the vault.
    pub(crate) fn stretch(self, passphrase: &str, salt: &[u8]) -> Result<Secret32, VaultError> {
        let too_long = VaultError::PassphraseTooLong { max_bytes: MAX_PASSPHRASE_BYTES };
        if passphrase.len() > MAX_PASSPHRASE_BYTES {
            return Err(too_long);
        }
        let text = normal(passphrase);
        let params = Params::new(self.m_kib, self.t, self.p, Some(32))
            .map_err(|_| VaultError::Internal { doing: "set the key-stretching cost" })?;
        let mut memory = Memory::of(params.block_count())
            .ok_or(VaultError::OutOfMemory { m_kib: self.m_kib })?;
        let mut key = Secret32::blank();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                text.as_bytes(),
                salt,
                key.bytes_mut(),
                memory.0.as_mut_slice(),
            )
            .map_err(|_| VaultError::Internal { doing: "stretch the passphrase" })?;
        Ok(key)
    }
}

/// Argon2's working memory, wiped afterwards because its last blocks give the key away.
struct Memory(Vec<Block>);

impl Memory {
    fn of(blocks: usize) -> Option<Self> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).ok()?;
        memory.resize(blocks, Block::default());
        Some(Self(memory))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

fn normal(passphrase: &str) -> Zeroizing<String> {
    let mut text = Cow::Borrowed(passphrase);
    bip39::Mnemonic::normalize_utf8_cow(&mut text);
    Zeroizing::new(text.into_owned())
}

/// Holds a new passphrase to its length.
pub(crate) fn check_new(passphrase: &str) -> Result<(), VaultError> {
    if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
        return Err(VaultError::PassphraseTooShort { min_chars: PASSPHRASE_CHARS_MIN });
    }
    if passphrase.len() > MAX_PASSPHRASE_BYTES {
        return Err(VaultError::PassphraseTooLong { max_bytes: MAX_PASSPHRASE_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_bounds() {
        for (m, t, p) in [
            (0, 3, 1),
            (19 * 1024 - 1, 3, 1),
            (MAX_M_KIB + 1, 1, 1),
            (u32::MAX, 16, 8),
            (65_536, 0, 1),
            (65_536, 17, 1),
            (65_536, 3, 0),
            (65_536, 3, 9),
            (MAX_M_KIB, 5, 1),
        ] {
            let refused = KdfCost::new(m, t, p);
            assert!(matches!(refused, Err(VaultError::KdfOutOfBounds { .. })), "{m} {t} {p}");
        }
        for (m, t, p) in [(19 * 1024, 1, 1), (MAX_M_KIB, 4, 8), (262_144, 16, 1)] {
            assert!(KdfCost::new(m, t, p).is_ok(), "{m} {t} {p}");
        }
    }

    #[test]
    fn chooses_by_the_time_the_floor_took() {
        let mib = |ms| KdfCost::fitting(Duration::from_millis(ms)).m_kib() / 1024;
        let passes = |ms| KdfCost::fitting(Duration::from_millis(ms)).t();
        assert_eq!(mib(250), 256);
        // A fast machine passes over the memory more often, within what is read again.
        assert_eq!([1, 60, 100, 124, 125, 250, 667].map(passes), [16, 7, 4, 4, 3, 3, 3]);
        for ms in [0, 1, 60, 124, 1_000, 60_000] {
            let cost = KdfCost::fitting(Duration::from_millis(ms));
            assert_eq!(KdfCost::new(cost.m_kib(), cost.t(), cost.p()).expect("in bounds"), cost);
        }
        assert_eq!(mib(251), 224);
        assert_eq!(mib(500), 128);
        assert_eq!(mib(667), 64);
        assert_eq!(mib(60_000), 64);
        let measured = KdfCost::calibrate();
        assert!((KdfCost::FLOOR.m_kib()..=KdfCost::TARGET.m_kib()).contains(&measured.m_kib()));
        assert!((3..=16).contains(&measured.t()) && measured.p() == 1);
    }

    /// Source: the Argon2id cases of the reference implementation,
    /// <https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c>.
    #[test]
    fn agrees_with_the_reference_implementation() {
        for (t, expected) in [
            (2, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
            (1, "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98"),
        ] {
            let cost = KdfCost::new(65_536, t, 1).expect("in bounds");
            let key = cost.stretch("password", b"somesalt").expect("stretches");
            assert_eq!(hex::encode(key.bytes()), expected, "{t} passes");
        }
    }

    #[test]
    fn every_input_counts() {
        let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
        let key = cheap.stretch("correct horse", &[1; 32]).expect("stretches");
        for other in [
            cheap.stretch("correct horsf", &[1; 32]),
            cheap.stretch("correct horse", &[2; 32]),
            KdfCost::new(19 * 1024, 2, 1).expect("in bounds").stretch("correct horse", &[1; 32]),
            KdfCost::new(19 * 1024, 1, 2).expect("in bounds").stretch("correct horse", &[1; 32]),
        ] {
            assert_ne!(other.expect("stretches").bytes(), key.bytes());
        }
    }

    #[test]
    fn the_same_letters_are_the_same_passphrase() {
        let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
        let composed = cheap.stretch("gr\u{00FC}n blau", &[1; 32]).expect("stretches");
        let decomposed = cheap.stretch("gru\u{0308}n blau", &[1; 32]).expect("stretches");
        assert_eq!(composed.bytes(), decomposed.bytes());
    }

    #[test]
    fn bounds_a_passphrase() {
        assert!(matches!(check_new("nine char"), Err(VaultError::PassphraseTooShort { .. })));
        assert!(check_new("ten chars!").is_ok());
        let long = "x".repeat(MAX_PASSPHRASE_BYTES + 1);
        assert!(matches!(check_new(&long), Err(VaultError::PassphraseTooLong { .. })));
        let refused = KdfCost::FLOOR.stretch(&long, &[0; 32]);
        assert!(matches!(refused, Err(VaultError::PassphraseTooLong { .. })));
    }
}
