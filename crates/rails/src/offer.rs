//! One offer, checked against the desk's own registry: the same for every protocol.

use crate::RailsError;
use crate::json;
use crate::quote::{MAX_TIMEOUT_S, Quote};
use crate::x402::signed::SignedOffer;
use imprest_domain::{Address, Asset, AssetId, Units, plain_line};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most offers taken in one answer.
pub(crate) const OFFERS_MAX: usize = 32;

/// What terms come to.
#[derive(Debug)]
pub(crate) enum Terms {
    /// The first offer the desk can pay.
    Payable(Box<Quote>),
    /// None can be paid; one reason for each.
    Unpayable(Vec<String>),
}

/// What an offer asks, in the payee's own words.
pub(crate) struct Asked<'a> {
    /// CAIP-2, `eip155:8453`.
    pub(crate) network: String,
    pub(crate) chain_id: u64,
    pub(crate) amount: &'a str,
    pub(crate) asset: &'a str,
    pub(crate) pay_to: &'a str,
    pub(crate) max_timeout_s: u64,
}

/// What an offer comes to once every field has been read.
pub(crate) struct Payable {
    pub(crate) asset: AssetId,
    pub(crate) pay_to: Address,
    pub(crate) value: Units,
    pub(crate) max_timeout_s: u64,
    pub(crate) network: String,
    pub(crate) settles_first: bool,
}

/// What is shown of an offer, still in the payee's own words.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) description: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) resource_matches: bool,
    pub(crate) signed: Option<SignedOffer>,
}

/// What an x402 offer says about its token and its flow.
#[derive(Default, Deserialize)]
pub(crate) struct Extra {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default, rename = "assetTransferMethod")]
    transfer_method: Option<String>,
    #[serde(default, rename = "paymentFlow")]
    payment_flow: Option<String>,
}

impl Extra {
    pub(crate) fn read(raw: Option<&RawValue>) -> Result<Extra, String> {
        match raw {
            Some(raw) => json::object(raw.get()).map_err(|e| words(&e)),
            None => Ok(Extra::default()),
        }
    }

    /// Checks it against our own registry; true when the payee settles before it works.
    fn settles_first(&self, asset: &Asset) -> Result<bool, String> {
        if let Some(method) = self.transfer_method.as_deref().filter(|m| *m != "eip3009") {
            let method = named(method);
            return Err(format!("the transfer method “{method}” is not one the desk pays by"));
        }
        // The facilitator checks the signature with these; with any other it would refuse ours.
        for (what, theirs, ours) in [
            ("name", &self.name, &asset.eip712_name),
            ("version", &self.version, &asset.eip712_version),
        ] {
            if let Some(theirs) = theirs.as_deref().filter(|theirs| theirs != ours) {
                let theirs = named(theirs);
                return Err(format!("it gives the token the {what} “{theirs}”, which is “{ours}”"));
            }
        }
        match self.payment_flow.as_deref() {
            None | Some("authorization") => Ok(false),
            Some("upfront") => Ok(true),
            Some(flow) => {
                Err(format!("the payment flow “{}” is not one the desk pays", named(flow)))
            }
        }
    }
}

/// Reads one offer, or says why the desk does not pay it.
pub(crate) fn payable(
    asked: Asked<'_>,
    extra: &Extra,
    assets: &[Asset],
) -> Result<Payable, String> {
    let contract = address(asked.asset).map_err(|why| format!("the asset {why}"))?;
    let id = AssetId { chain_id: asked.chain_id, contract };
    let Some(asset) = assets.iter().find(|asset| asset.id == id) else {
        return Err(format!("the asset {contract} on {} is not in the desk's list", asked.network));
    };
    let pay_to = address(asked.pay_to).map_err(|why| format!("the address to pay {why}"))?;
    if pay_to == Address::ZERO || pay_to == contract {
        return Err("the address to pay is not one that anyone can hold money at".into());
    }
    // One to 78 digits without a leading zero is what the specification means by an amount.
    let value: Units = asked.amount.parse().map_err(|e| format!("its amount is refused: {e}"))?;
    if value.is_zero() {
        return Err("its amount is zero".into());
    }
    if !(1..=MAX_TIMEOUT_S).contains(&asked.max_timeout_s) {
        return Err(format!(
            "it wants a signature that lives {} s; the desk signs for 1 to {MAX_TIMEOUT_S} s",
            asked.max_timeout_s
        ));
    }
    Ok(Payable {
        asset: id,
        pay_to,
        value,
        max_timeout_s: asked.max_timeout_s,
        settles_first: extra.settles_first(asset)?,
        network: asked.network,
    })
}

/// `0x` and 40 hexadecimal digits; with letters of both cases, the EIP-55 checksum must hold.
pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    let malformed = "is not 0x with 40 hexadecimal digits";
    let digits = text.strip_prefix("0x").ok_or(malformed)?;
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    if mixed {
        Address::parse_checksummed(text, None).map_err(|_| "fails its own checksum (EIP-55)")
    } else {
        text.parse().map_err(|_| malformed)
    }
}

/// A stranger's word, short enough to stand in a sentence of ours.
pub(crate) fn named(text: &str) -> String {
    plain_line(text, 60)
}

pub(crate) fn bad(why: String) -> RailsError {
    RailsError::BadTerms { why }
}

/// A JSON error in bounded words; it can quote the document.
pub(crate) fn words(error: &serde_json::Error) -> String {
    plain_line(&error.to_string(), 120)
}
