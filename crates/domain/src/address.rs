//! Addresses as people and programs write them, and addresses that are made to be mistaken.

use alloy_primitives::Address;

/// A text that is no address, or not the one that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has another form.
    #[error("write 0x and 40 hex digits")]
    Form,
    /// Its capitals are not those of the checksum.
    #[error("its capitals do not fit, so a digit is wrong; copy it again")]
    Checksum,
}

/// Reads an address with `0x`. Letters that are all small or all capital carry no checksum; mixed
/// ones have to be the checksum's (EIP-55, <https://eips.ethereum.org/EIPS/eip-55>).
///
/// # Errors
/// [`AddressError`] for any other text.
pub fn read_address(text: &str) -> Result<Address, AddressError> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(AddressError::Form);
    }
    let has = |is: fn(&u8) -> bool| digits.as_bytes().iter().any(is);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let address: Address = text.parse().map_err(|_| AddressError::Form)?;
    if mixed && address.to_checksum(None) != text {
        return Err(AddressError::Checksum);
    }
    Ok(address)
}

/// Whether two addresses are different and look the same to who compares their ends: the first four
/// and the last four hex digits are equal. Such addresses are cheap to make, and are sent dust from
/// so that they stand in a history (address poisoning).
pub fn looks_like(one: Address, other: Address) -> bool {
    let ends = |address: &Address| (address[..2].to_vec(), address[18..].to_vec());
    one != other && ends(&one) == ends(&other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;
    use proptest::prelude::*;

    /// The examples of EIP-55, and how each may be written.
    #[test]
    fn the_checksum_is_that_of_the_eip() {
        for good in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            assert!(read_address(good).is_ok(), "{good}");
            assert!(read_address(&good.to_lowercase()).is_ok(), "{good}");
            let turned: String = good
                .chars()
                .map(|c| {
                    if c == 'x' {
                        c
                    } else if c.is_lowercase() {
                        c.to_ascii_uppercase()
                    } else {
                        c.to_ascii_lowercase()
                    }
                })
                .collect();
            let mixed = good[2..].chars().any(char::is_lowercase)
                && good[2..].chars().any(char::is_uppercase);
            assert_eq!(read_address(&turned) == Err(AddressError::Checksum), mixed, "{turned}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let good = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        for bad in [
            "",
            "0x",
            &good[2..],
            &good[..41],
            &format!("{good}0"),
            &format!(" {good}"),
            &format!("{good}\n"),
            &good.replace("0x", "0X"),
            &good.replace('f', "g"),
            "scout.eth",
            "0x𝟶𝟶𝟶𝟶𝟶𝟶𝟶𝟶𝟶𝟶",
        ] {
            assert_eq!(read_address(bad), Err(AddressError::Form), "{bad:?}");
        }
        assert_eq!(read_address(&good.replace("f39", "f49")), Err(AddressError::Checksum));
    }

    #[test]
    fn only_another_address_with_the_same_ends_is_a_lookalike() {
        let known = address!("1234aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcd");
        assert!(looks_like(address!("1234bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbabcd"), known));
        for other in [
            known,
            address!("1234bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbabce"),
            address!("1235aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcd"),
        ] {
            assert!(!looks_like(other, known), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = read_address(&text);
        }

        #[test]
        fn every_address_reads_back(bytes: [u8; 20]) {
            let address = Address::from(bytes);
            prop_assert_eq!(read_address(&address.to_checksum(None)), Ok(address));
            prop_assert_eq!(read_address(&format!("{address:#x}")), Ok(address));
        }
    }
}
