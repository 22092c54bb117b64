//! What is sealed in the vault file, as bytes: always as many, whatever is in it.

use super::seal::{Hex, TAG};
use super::{MAX_IMPORTED, MAX_SLOTS, SlotId};
use crate::secret::Secret32;
use zeroize::Zeroizing;

const FORM: u8 = 1;
const SLOT_BYTES: usize = 16 + 32;
/// Form, entropy, slots and imported keys with a count before each.
const CONTENTS: usize = 1 + 32 + 1 + MAX_SLOTS * SLOT_BYTES + 1 + MAX_IMPORTED * 32;
/// With the tag. The length gives nothing away about how many keys are inside.
pub(super) const SEALED_CONTENTS: usize = CONTENTS + TAG;

/// The secrets of a vault.
pub(crate) struct Contents {
    /// What every key of the desk is derived from.
    pub(crate) entropy: Secret32,
    /// What wraps the data key in each slot, so that whoever opens one slot can put a new data
    /// key under all. It gives nothing away: who reads this has the entropy too.
    pub(crate) slot_keys: Vec<(SlotId, Secret32)>,
    /// Treasury keys that came from outside, the oldest first. None is ever dropped.
    pub(crate) imported: Vec<Secret32>,
}

impl Contents {
    /// Nothing when there are more slots or keys than fit.
    pub(super) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.slot_keys.len() > MAX_SLOTS || self.imported.len() > MAX_IMPORTED {
            return None;
        }
        // Sized once: growing would leave pieces behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(CONTENTS));
        bytes.push(FORM);
        bytes.extend_from_slice(self.entropy.bytes());
        bytes.push(u8::try_from(self.slot_keys.len()).ok()?);
        for (id, key) in &self.slot_keys {
            bytes.extend_from_slice(&id.0);
            bytes.extend_from_slice(key.bytes());
        }
        bytes.push(u8::try_from(self.imported.len()).ok()?);
        for key in &self.imported {
            bytes.extend_from_slice(key.bytes());
        }
        bytes.resize(CONTENTS, 0);
        Some(bytes)
    }

    /// Reads exactly what [`Contents::to_bytes`] writes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != CONTENTS {
            return None;
        }
        let mut rest = bytes;
        if take(&mut rest, 1)? != [FORM] {
            return None;
        }
        let entropy = Secret32::copied(take(&mut rest, 32)?)?;
        let mut slot_keys = Vec::new();
        for _ in 0..count(&mut rest, MAX_SLOTS)? {
            let id = Hex(take(&mut rest, 16)?.try_into().ok()?);
            slot_keys.push((id, Secret32::copied(take(&mut rest, 32)?)?));
        }
        let mut imported = Vec::new();
        for _ in 0..count(&mut rest, MAX_IMPORTED)? {
            imported.push(Secret32::copied(take(&mut rest, 32)?)?);
        }
        rest.iter().all(|byte| *byte == 0).then_some(Self { entropy, slot_keys, imported })
    }
}

fn count(rest: &mut &[u8], most: usize) -> Option<usize> {
    let count = usize::from(*take(rest, 1)?.first()?);
    (count <= most).then_some(count)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(byte: u8) -> Secret32 {
        Secret32::copied(&[byte; 32]).expect("32 bytes")
    }

    fn contents(slots: usize, imported: usize) -> Contents {
        Contents {
            entropy: secret(0xee),
            slot_keys: (0..slots).map(|n| (Hex([n as u8; 16]), secret(n as u8))).collect(),
            imported: (0..imported).map(|n| secret(0x80 + n as u8)).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (slots, imported) in [(0, 0), (2, 0), (3, 1), (MAX_SLOTS, MAX_IMPORTED)] {
            let bytes = contents(slots, imported).to_bytes().expect("fits");
            assert_eq!(bytes.len(), CONTENTS);
            let read = Contents::from_bytes(&bytes).expect("reads");
            assert_eq!((read.slot_keys.len(), read.imported.len()), (slots, imported));
            assert_eq!(read.to_bytes().expect("fits"), bytes);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(contents(MAX_SLOTS + 1, 0).to_bytes().is_none());
        assert!(contents(0, MAX_IMPORTED + 1).to_bytes().is_none());
        let good = contents(2, 1).to_bytes().expect("fits");
        for length in 0..CONTENTS {
            assert!(Contents::from_bytes(&good[..length]).is_none(), "{length} bytes");
        }
        assert!(Contents::from_bytes(&[&good[..], &[0]].concat()).is_none());
        for (at, byte) in [(0, 2), (33, MAX_SLOTS as u8 + 1), (CONTENTS - 1, 1)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(Contents::from_bytes(&bad).is_none(), "byte {at}");
        }
    }

    proptest! {
        /// Whatever is read is written the same: no two spellings of one content.
        #[test]
        fn any_bytes_are_refused_or_canonical(
            mut bytes in proptest::collection::vec(any::<u8>(), CONTENTS), slots in 0..20u8,
        ) {
            bytes[0] = FORM;
            bytes[33] = slots;
            if let Some(read) = Contents::from_bytes(&bytes) {
                prop_assert_eq!(&read.to_bytes().expect("fits")[..], &bytes[..]);
            }
        }
    }
}
