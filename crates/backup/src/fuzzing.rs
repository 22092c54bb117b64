//! What fuzzing feeds (`crates/fuzz`, and libFuzzer in `fuzz/`); not for use.
//!
//! Each takes any bytes, must not panic, checks what must hold of whatever is accepted, and
//! answers whether it was.

use crate::container::{Unpack, unpack};
use crate::envelope::{Opener, Passphrase};
use crate::error::Fault;
use crate::manifest::{Manifest, Part};
use imprest_vault::SecretText;
use std::io::Read;

/// What opens the sealed seeds, and what is in them.
const SEEDS_PASSPHRASE: &str = "fuzz";
const SEEDS_CONTENTS: &[u8] = b"the inside of a backup";

/// Counts what it is given.
struct Count(u64);

impl Unpack for Count {
    fn piece(&mut self, _: Part, bytes: &[u8]) -> Result<(), Fault> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

/// The inside of a backup: whatever is accepted gave out exactly what its manifest promises.
pub fn container(bytes: &[u8]) -> bool {
    let mut count = Count(0);
    let outcome = unpack(bytes, bytes.len() as u64, &mut count, |_| ());
    assert!(count.0 <= bytes.len() as u64, "more came out than went in");
    outcome.is_ok_and(|manifest| {
        assert_eq!(count.0, manifest.total_bytes());
        true
    })
}

/// A manifest: whatever is read means the same when it is written again.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(bytes) else { return false };
    let again = manifest.to_json().ok().and_then(|json| Manifest::parse(&json).ok());
    assert_eq!(again.as_ref(), Some(&manifest), "a manifest that does not survive writing");
    true
}

/// A sealed file, with a passphrase that opens the seeds and next to no stretching: whatever opens
/// to its end holds what was sealed.
pub fn envelope(bytes: &[u8]) -> bool {
    thread_local! {
        // Made once: making one measures the machine.
        static OPENER: Option<Opener> =
            Passphrase::to_open(&SecretText::new(SEEDS_PASSPHRASE.into())).ok().map(Opener::light);
    }
    OPENER.with(|opener| {
        let Some(Ok(mut inside)) = opener.as_ref().map(|opener| opener.open(bytes)) else {
            return false;
        };
        let mut contents = Vec::new();
        let whole = inside.read_to_end(&mut contents).is_ok();
        assert!(!whole || contents == SEEDS_CONTENTS, "it opened to something else");
        whole
    })
}
