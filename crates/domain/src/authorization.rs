//! What an agent's key signs: an EIP-3009 transfer authorisation.

use crate::{AssetId, Units};
use alloy_primitives::{Address, B256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a signature may be taken to the chain, in seconds since 1970 by the chain's clock:
/// `validAfter` and `validBefore` of EIP-3009, <https://eips.ethereum.org/EIPS/eip-3009>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidityWindow {
    /// Not at or before this second.
    pub valid_after_s: u64,
    /// Not at or after this second.
    pub valid_before_s: u64,
}

/// How far back a signature starts, in seconds, for chains whose clock is behind ours.
const BACK_S: u64 = 600;
/// The shortest a signature lives, in seconds: facilitators refuse what ends within 6.
const LENGTH_S_MIN: u64 = 10;
/// The longest a signature lives, in seconds, whatever the payee asks for.
pub const SIGNATURE_S_MAX: u64 = 120;

/// Seconds past a signature's end that the finalised chain clock must show before its hold is
/// given back. EIP-3009 takes an authorisation only while `block.timestamp < validBefore`, so none
/// would be enough; half a minute is for a node that answers from another block than it says.
pub const RELEASE_MARGIN_S: u64 = 30;

impl ValidityWindow {
    /// Chooses when a signature can be used: from ten minutes ago until 10 to 120 seconds from now.
    ///
    /// `now_s` is seconds since 1970, `wished_s` how long the payee would like it to live. It only
    /// has to outlive the handling of one request; what lives longer is money at risk for longer.
    pub fn clamped(now_s: u64, wished_s: u64) -> ValidityWindow {
        ValidityWindow {
            valid_after_s: now_s.saturating_sub(BACK_S),
            valid_before_s: now_s.saturating_add(wished_s.clamp(LENGTH_S_MIN, SIGNATURE_S_MAX)),
        }
    }

    /// From when on a hold under a signature that ends so can be given back, if it was never
    /// taken; nothing for an end that no clock shows.
    pub fn released_at(valid_before_s: u64) -> Option<Timestamp> {
        let released_s = valid_before_s.checked_add(RELEASE_MARGIN_S)?;
        Timestamp::from_second(i64::try_from(released_s).ok()?).ok()
    }
}

/// The fields of EIP-3009 `TransferWithAuthorization`, with the asset they bind.
///
/// Source: <https://eips.ethereum.org/EIPS/eip-3009>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The token whose contract verifies the signature.
    pub asset: AssetId,
    /// The agent's own address, which pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// How much, in atomic units.
    pub value: Units,
    /// When it can be used.
    pub window: ValidityWindow,
    /// Random, once; the chain refuses a second use.
    pub nonce: B256,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_short_whatever_is_wished() {
        for (wished_s, length_s) in [(0, 10), (1, 10), (60, 60), (120, 120), (u64::MAX, 120)] {
            let window = ValidityWindow::clamped(1_000_000, wished_s);
            assert_eq!(window.valid_before_s, 1_000_000 + length_s, "wished {wished_s}");
            assert_eq!(window.valid_after_s, 1_000_000 - 600);
        }
        let released = ValidityWindow::released_at(1_000_000).expect("a time");
        assert_eq!(released.as_second(), 1_000_030);
        assert_eq!(ValidityWindow::released_at(u64::MAX), None);
        assert_eq!(ValidityWindow::clamped(5, 60).valid_after_s, 0);
        assert_eq!(ValidityWindow::clamped(u64::MAX, 60).valid_before_s, u64::MAX);
    }
}
