//! Money: whole atomic units of a named asset, checked at every step.

use alloy_primitives::Address;
use serde::de::Visitor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The identity of a token: chain and contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetId {
    /// The chain id of EIP-155, <https://eips.ethereum.org/EIPS/eip-155>.
    pub chain_id: u64,
    /// The token's contract; for a proxy, the proxy.
    pub contract: Address,
}

impl AssetId {
    /// The chain in CAIP-2 form, `eip155:84532`: <https://chainagnostic.org/CAIPs/caip-2>.
    pub fn network(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }
}

/// CAIP-19, `eip155:84532/erc20:0x…` with the EIP-55 checksum:
/// <https://chainagnostic.org/CAIPs/caip-19>, <https://eips.ethereum.org/EIPS/eip-55>.
impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}/erc20:{}", self.chain_id, self.contract)
    }
}

/// Why a text is no [`AssetId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an asset is written eip155:CHAIN/erc20:ADDRESS")]
pub struct AssetIdError;

/// Exactly what [`AssetId`]'s `Display` writes.
impl FromStr for AssetId {
    type Err = AssetIdError;
    fn from_str(text: &str) -> Result<AssetId, AssetIdError> {
        let rest = text.strip_prefix("eip155:").ok_or(AssetIdError)?;
        let (chain_id, contract) = rest.split_once("/erc20:").ok_or(AssetIdError)?;
        let id = AssetId {
            chain_id: chain_id.parse().map_err(|_| AssetIdError)?,
            contract: contract.parse().map_err(|_| AssetIdError)?,
        };
        // One text for one asset: no leading zeros, and the checksum in its place.
        if id.to_string() == text { Ok(id) } else { Err(AssetIdError) }
    }
}

/// What the desk's own registry says of a token. Merchants never supply any of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Chain and contract.
    pub id: AssetId,
    /// What people call it, `USDC`.
    pub symbol: String,
    /// Digits after the point: one whole is `10^decimals` units. At most 24.
    pub decimals: u8,
    /// The EIP-712 domain's `name`, <https://eips.ethereum.org/EIPS/eip-712>.
    pub eip712_name: String,
    /// The EIP-712 domain's `version`.
    pub eip712_version: String,
}

/// Atomic units of one asset: a count, never negative, never a fraction.
///
/// The ledger stores units in SQLite's signed 64-bit integers, so [`Units::MAX`] is `i64::MAX`
/// (9.2 million million USDC); arithmetic past it fails instead of wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(u64);

impl Units {
    /// Nothing at all. As a limit it allows nothing.
    pub const ZERO: Units = Units(0);
    /// The most the books can hold in one figure.
    pub const MAX: Units = Units(i64::MAX as u64);

    /// Takes a count of units.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] above [`Units::MAX`].
    pub fn new(units: u128) -> Result<Units, AmountError> {
        match u64::try_from(units) {
            Ok(units) if units <= Units::MAX.0 => Ok(Units(units)),
            _ => Err(AmountError::TooLarge),
        }
    }

    /// The count.
    pub fn get(self) -> u128 {
        u128::from(self.0)
    }

    /// The count as the ledger stores it; always ≥ 0.
    pub fn as_i64(self) -> i64 {
        // `new` and the checked operations keep the value inside i64.
        self.0 as i64
    }

    /// The sum, or nothing past [`Units::MAX`].
    pub fn checked_add(self, other: Units) -> Option<Units> {
        self.0.checked_add(other.0).map(Units).filter(|sum| *sum <= Units::MAX)
    }

    /// The difference, or nothing below zero.
    pub fn checked_sub(self, other: Units) -> Option<Units> {
        self.0.checked_sub(other.0).map(Units)
    }

    /// What is left of a limit: the difference, or zero.
    pub fn saturating_sub(self, other: Units) -> Units {
        Units(self.0.saturating_sub(other.0))
    }

    /// The sum, or [`Units::MAX`] where it does not fit; for figures that are only shown or that
    /// a limit is compared with, never for what is paid.
    pub(crate) fn saturating_add(self, other: Units) -> Units {
        self.checked_add(other).unwrap_or(Units::MAX)
    }

    /// Half, rounded down.
    pub fn half(self) -> Units {
        Units(self.0 / 2)
    }

    /// Whether nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<i64> for Units {
    type Error = AmountError;
    fn try_from(units: i64) -> Result<Units, AmountError> {
        u64::try_from(units).map(Units).map_err(|_| AmountError::Negative)
    }
}

/// A decimal count of units; use [`Asset::format`] for what a person reads.
impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Strict atomic units as x402 writes them: `0` or digits without a leading zero.
impl FromStr for Units {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Units, AmountError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotANumber);
        }
        // A uint256 has at most 78 digits.
        if text.len() > 78 {
            return Err(AmountError::TooLarge);
        }
        if text.len() > 1 && text.starts_with('0') {
            return Err(AmountError::NotANumber);
        }
        text.parse::<u128>().map_err(|_| AmountError::TooLarge).and_then(Units::new)
    }
}

impl Serialize for Units {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Units, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

/// Reads units where they lie, without copying their digits.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = Units;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Units, E> {
        text.parse().map_err(E::custom)
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not plain digits with at most one point: a sign, exponent, hex, space or comma.
    #[error("an amount is plain digits with a point, such as 0.25")]
    NotANumber,
    /// More digits after the point than the asset has.
    #[error("{asset_decimals} digits after the point are the most this asset has")]
    TooPrecise {
        /// The asset's own scale.
        asset_decimals: u8,
    },
    /// More than [`Units::MAX`].
    #[error("the amount is larger than the books can hold")]
    TooLarge,
    /// Below zero, in a stored figure.
    #[error("an amount cannot be negative")]
    Negative,
}

impl Asset {
    /// Reads a decimal such as `0.25` exactly.
    ///
    /// # Errors
    /// On anything but digits with at most one point between digits, on more decimals than the
    /// asset has, and past [`Units::MAX`]. Commas are refused, not guessed at: `1,50` is 1.5 to
    /// one reader and 150 to another.
    pub fn parse(&self, text: &str) -> Result<Units, AmountError> {
        if text.len() > 80 {
            return Err(AmountError::TooLarge);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(AmountError::NotANumber),
            None => (text, ""),
        };
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(AmountError::NotANumber);
        }
        let scale = usize::from(self.decimals);
        if fraction.len() > scale {
            return Err(AmountError::TooPrecise { asset_decimals: self.decimals });
        }
        let all = format!("{whole}{fraction}{}", "0".repeat(scale - fraction.len()));
        let all = all.trim_start_matches('0');
        if all.is_empty() { Ok(Units::ZERO) } else { all.parse() }
    }

    /// Writes units as an exact decimal with at least two places: `0.60`, `0.0042`, `5.00`.
    pub fn format(&self, units: Units) -> String {
        let scale = usize::from(self.decimals);
        let digits = format!("{:0>width$}", units.0, width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let kept = fraction.trim_end_matches('0').len().max(scale.min(2));
        match &fraction[..kept] {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }

    /// The exact decimal with the symbol: `0.60 USDC`.
    pub fn format_with_symbol(&self, units: Units) -> String {
        format!("{} {}", self.format(units), self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usdc() -> Asset {
        Asset {
            id: AssetId { chain_id: 8453, contract: Address::repeat_byte(7) },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USD Coin".into(),
            eip712_version: "2".into(),
        }
    }

    #[test]
    fn an_asset_and_its_network_are_written_as_caip() {
        let id = usdc().id;
        assert_eq!(id.network(), "eip155:8453");
        assert_eq!(id.to_string(), format!("eip155:8453/erc20:{}", id.contract));
    }

    #[test]
    fn reads_exact_decimals() {
        for (text, units) in
            [("0.25", 250_000), ("5", 5_000_000), ("0.000001", 1), ("0", 0), ("007.5", 7_500_000)]
        {
            assert_eq!(usdc().parse(text).map(Units::get), Ok(units), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        for bad in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "0x10", "1,50", " 1", "1 ", "1_000", "1.2.3",
            "٣", "NaN", "inf", "½",
        ] {
            assert!(usdc().parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(usdc().parse("0.0000001"), Err(AmountError::TooPrecise { asset_decimals: 6 }));
        assert_eq!(usdc().parse("9223372036855"), Err(AmountError::TooLarge));
        assert_eq!(usdc().parse(&"9".repeat(79)), Err(AmountError::TooLarge));
    }

    #[test]
    fn refuses_atomic_units_that_are_not_canonical() {
        for bad in ["", "-1", "+1", "01", "00", "1e6", "0x1", " 1", "1.0", "٣"] {
            assert_eq!(bad.parse::<Units>(), Err(AmountError::NotANumber), "{bad:?}");
        }
        assert_eq!("9223372036854775807".parse(), Ok(Units::MAX));
        assert_eq!("9223372036854775808".parse::<Units>(), Err(AmountError::TooLarge));
    }

    #[test]
    fn a_text_longer_than_any_amount_is_too_large_whatever_its_digits() {
        let atomic = |text: &str| text.parse::<Units>();
        // 78 digits are read as digits, and these are not written as they should be.
        assert_eq!(atomic(&"0".repeat(78)), Err(AmountError::NotANumber));
        assert_eq!(atomic(&"0".repeat(79)), Err(AmountError::TooLarge));
        assert_eq!(atomic(&"9".repeat(78)), Err(AmountError::TooLarge));
        assert_eq!(atomic(&"9".repeat(79)), Err(AmountError::TooLarge));
        // A person's zeros before a decimal do no harm, up to 80 characters in all.
        let decimal = |zeros| usdc().parse(&format!("{}5", "0".repeat(zeros))).map(Units::get);
        assert_eq!(decimal(79), Ok(5_000_000));
        assert_eq!(decimal(80), Err(AmountError::TooLarge));
        assert_eq!(decimal(81), Err(AmountError::TooLarge));
    }

    #[test]
    fn what_is_no_number_is_not_called_too_precise() {
        for bad in ["1.-123456", "1.123456x", "1,500.1234567", "x.1234567", "1.2.345678"] {
            assert_eq!(usdc().parse(bad), Err(AmountError::NotANumber), "{bad:?}");
        }
    }

    #[test]
    fn only_text_is_read_as_units() {
        assert_eq!(serde_json::from_str(r#""250000""#).map(Units::get).ok(), Some(250_000));
        let error = serde_json::from_str::<Units>("250000").expect_err("a number");
        assert!(error.to_string().contains("expected a string"), "{error}");
    }

    #[test]
    fn the_ledger_stores_a_count_and_reads_the_same_back() {
        for stored in [0, 1, 2, 250_000, i64::MAX] {
            let units = Units::try_from(stored).expect("not negative");
            assert_eq!((units.as_i64(), units.get()), (stored, stored as u128));
        }
        assert_eq!(Units::try_from(i64::MAX), Ok(Units::MAX));
        for below in [-1, i64::MIN] {
            assert_eq!(Units::try_from(below), Err(AmountError::Negative), "{below}");
        }
    }

    #[test]
    fn a_difference_is_never_below_zero() {
        let units = |n| Units::new(n).expect("fits");
        assert_eq!(units(7).checked_sub(units(5)), Some(units(2)));
        assert_eq!(units(7).checked_sub(units(7)), Some(Units::ZERO));
        assert_eq!(units(7).checked_sub(units(8)), None);
        assert_eq!(units(7).saturating_sub(units(5)), units(2));
        assert_eq!(units(7).saturating_sub(units(8)), Units::ZERO);
    }

    #[test]
    fn an_asset_has_one_text() {
        let id = AssetId { chain_id: 84532, contract: Address::repeat_byte(0xab) };
        let text = "eip155:84532/erc20:0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB";
        assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
        for bad in [
            "",
            "eip155:84532",
            "eip155:084532/erc20:0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
            "eip155:84532/erc20:0xabababababababababababababababababababab",
            "eip155:84532/erc20:0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB ",
            "eip155:84532/erc721:0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
        ] {
            assert_eq!(bad.parse::<AssetId>(), Err(AssetIdError), "{bad:?}");
        }
    }

    #[test]
    fn half_is_rounded_down() {
        let half = |n| Units::new(n).map(|units| units.half().get());
        assert_eq!([half(0), half(1), half(25)], [Ok(0), Ok(0), Ok(12)]);
        assert_eq!(Units::MAX.half().get(), (i64::MAX / 2) as u128);
        assert_eq!(Units::MAX.saturating_add(Units::MAX), Units::MAX);
    }

    #[test]
    fn writes_sub_cent_amounts_exactly() {
        let show = |units| usdc().format(Units::new(units).expect("fits"));
        assert_eq!(show(4_200), "0.0042");
        assert_eq!(show(600_000), "0.60");
        assert_eq!(show(5_000_000), "5.00");
        assert_eq!(show(1), "0.000001");
        let sum = Units::new(4_200).expect("fits");
        assert_eq!(usdc().format_with_symbol(sum), "0.0042 USDC");
    }

    proptest! {
        #[test]
        fn every_amount_survives_being_written_and_read(units in 0..=i64::MAX as u128) {
            let units = Units::new(units).expect("in range");
            prop_assert_eq!(usdc().parse(&usdc().format(units)), Ok(units));
            prop_assert_eq!(units.to_string().parse(), Ok(units));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            let _ = usdc().parse(&text);
            let _ = text.parse::<Units>();
        }
    }
}
