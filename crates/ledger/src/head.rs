//! The log's end: how far the chain of hashes reaches.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// The hash chain's end: how many events there are, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last event's number; zero for an empty log.
    pub seq: u64,
    /// The last event's hash; all zeros for an empty log.
    pub hash: B256,
    /// The last event's time, milliseconds since 1970: the clock's high-water mark.
    pub at_ms: i64,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Head = Head { seq: 0, hash: B256::ZERO, at_ms: 0 };

    /// The head after one more event: SHA-256 (FIPS 180-4) over the hash before, number, time and
    /// body.
    pub fn next(&self, at_ms: i64, body: &str) -> Head {
        let seq = self.seq + 1;
        let mut sha = Sha256::new();
        sha.update(b"imprest event v1\0");
        sha.update(self.hash);
        sha.update(seq.to_be_bytes());
        sha.update(at_ms.to_be_bytes());
        sha.update((body.len() as u64).to_be_bytes());
        sha.update(body);
        Head { seq, hash: B256::from_slice(&sha.finalize()), at_ms }
    }
}
