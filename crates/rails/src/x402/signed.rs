//! Offers and receipts that a payee signs (extension `offer-receipt`).
//!
//! Where offers are signed, the one that is paid has to be among them: a payee, or somebody between,
//! that asks for other terms than were signed is not paid. A signed receipt is checked and kept with
//! what speaks against it; it moves no money, whatever it says.
//!
//! The form `eip712` is checked whole. Of a `jws` the terms are compared and the signature is not:
//! its keys are found by asking other hosts.
//!
//! Source: x402 specification, `extensions/extension-offer-and-receipt.md`, and npm
//! `@x402/extensions` 2.27.

use crate::json;
use crate::offer::{OFFERS_MAX, Payable, address, bad, named, words};
use crate::pay::transaction;
use crate::{Payload, Quote, RailsError, Request};
use alloy_primitives::{Signature, U256, keccak256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use imprest_domain::{Address, B256, Units, plain};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The one version of both payloads that there is.
const VERSION: u64 = 1;
/// The longest signed document that is kept, in characters.
const KEPT_CHARS_MAX: usize = 8 * 1024;
/// How long before the payment's answer a receipt may have been issued, in seconds.
const RECEIPT_AGE_S_MAX: u64 = 3600;
/// How far a payee's clock may be ahead, in seconds.
const AHEAD_S_MAX: u64 = 300;
const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId)";
const OFFER_TYPE: &str = "Offer(uint256 version,string resourceUrl,string scheme,string network,\
                          string asset,string payTo,string amount,uint256 validUntil)";
const RECEIPT_TYPE: &str = "Receipt(uint256 version,string network,string resourceUrl,\
                            string payer,uint256 issuedAt,string transaction)";

/// An offer that the payee signed, and that is the one to be paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedOffer {
    /// The whole of it as it came, JSON.
    pub raw: Box<RawValue>,
    /// Whose signature it is; absent where its form is not one that the desk checks.
    pub signer: Option<Address>,
    /// Whether it was signed for the resource that was asked for.
    pub is_for_request: bool,
}

/// A receipt that the payee signed: a claim, with what checking it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// The whole of it as it came, JSON; the first 8192 characters.
    pub raw: String,
    /// Whose signature it is; absent where it has none that the desk can check.
    pub signer: Option<Address>,
    /// The transaction it names, if it names one.
    pub transaction: Option<B256>,
    /// What speaks against it, one clause each; empty when it says what happened and is signed by
    /// the address that was paid, or by whoever signed the offer.
    pub faults: Vec<String>,
}

/// What both artifacts look like from outside.
#[derive(Deserialize)]
struct Envelope<'a> {
    format: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferTerms {
    version: u64,
    resource_url: String,
    scheme: String,
    network: String,
    asset: String,
    pay_to: String,
    amount: String,
    #[serde(default)]
    valid_until: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptTerms {
    version: u64,
    network: String,
    resource_url: String,
    payer: String,
    issued_at: u64,
    #[serde(default)]
    transaction: Option<String>,
}

/// The forms of signature.
enum Form {
    /// Checked.
    Eip712(Signature),
    /// Read, and not checked; with the algorithm it names.
    Jws(String),
}

/// What came of reading a signed document.
enum Opened<T> {
    Read(Form, T),
    /// Of a form or a version that the desk does not know.
    Unknown(String),
}

/// The offers that a payee signed, as they came.
pub(crate) struct SignedOffers<'a>(Vec<(&'a RawValue, Opened<OfferTerms>)>);

impl<'a> SignedOffers<'a> {
    /// Reads them from the terms' `extensions`; none where the extension is not used.
    ///
    /// # Errors
    /// [`RailsError::BadTerms`] when there are some and they cannot be read.
    pub(crate) fn read(extensions: Option<&'a RawValue>) -> Result<SignedOffers<'a>, RailsError> {
        #[derive(Deserialize)]
        struct Info<'a> {
            #[serde(borrow, default)]
            offers: Option<Vec<&'a RawValue>>,
        }
        let unreadable = |why: String| bad(format!("their signed offers are unreadable: {why}"));
        let info = extensions.map(|raw| info(raw.get())).transpose().map_err(unreadable)?.flatten();
        let Some(info) = info else { return Ok(SignedOffers(Vec::new())) };
        let info: Info<'a> = json::object(info).map_err(|e| unreadable(words(&e)))?;
        let offers = info.offers.unwrap_or_default();
        if offers.len() > OFFERS_MAX {
            return Err(bad(format!("they sign more than {OFFERS_MAX} offers")));
        }
        let read = |raw: &'a RawValue| Ok((raw, open::<OfferTerms>(raw.get())?));
        offers.into_iter().map(read).collect::<Result<_, _>>().map(SignedOffers).map_err(unreadable)
    }

    /// Finds the signed offer that is this one; none when nothing is signed.
    ///
    /// They are matched by what they say, never by the index beside them, which nobody signed.
    ///
    /// # Errors
    /// A sentence, when offers are signed and none of them is this one, or it has run out.
    pub(crate) fn of(
        &self,
        payable: &Payable,
        request: &Request,
        now_s: u64,
    ) -> Result<Option<SignedOffer>, String> {
        let (mut difference, mut unknown) = (None, None);
        for (raw, opened) in &self.0 {
            match opened {
                Opened::Unknown(_) => drop(unknown.get_or_insert(raw)),
                Opened::Read(form, terms) => match terms.signer(form, payable, now_s) {
                    Ok(signer) => {
                        let is_for_request = request.is_for(&terms.resource_url);
                        let raw = (*raw).to_owned();
                        return Ok(Some(SignedOffer { raw, signer, is_for_request }));
                    }
                    Err(why) => drop(difference.get_or_insert(why)),
                },
            }
        }
        match (unknown, difference) {
            // What nobody here can read may be the one.
            (Some(raw), _) => {
                let raw = (*raw).to_owned();
                Ok(Some(SignedOffer { raw, signer: None, is_for_request: true }))
            }
            (None, Some(why)) => Err(why),
            (None, None) => Ok(None),
        }
    }
}

impl OfferTerms {
    /// Whose signature it is, if it is this offer and holds.
    fn signer(
        &self,
        form: &Form,
        payable: &Payable,
        now_s: u64,
    ) -> Result<Option<Address>, String> {
        let said = |what: &str, text: &str| {
            Err(format!("the payee signed other terms: {what} “{}”", named(text)))
        };
        if address(&self.pay_to) != Ok(payable.pay_to) {
            return said("the address to pay", &self.pay_to);
        }
        if self.amount.parse::<Units>() != Ok(payable.value) {
            return said("the amount", &self.amount);
        }
        if address(&self.asset) != Ok(payable.asset.contract) {
            return said("the asset", &self.asset);
        }
        if self.network != payable.network {
            return said("the network", &self.network);
        }
        if self.scheme != "exact" {
            return said("the scheme", &self.scheme);
        }
        // Zero stands for no end, because the signed form has no optional fields.
        if self.valid_until.is_some_and(|end_s| end_s != 0 && end_s <= now_s) {
            return Err("the payee’s signature under this offer has run out".into());
        }
        let Form::Eip712(signature) = form else { return Ok(None) };
        let digest = digest(
            "x402 offer",
            OFFER_TYPE,
            &[
                number(self.version),
                keccak256(&self.resource_url),
                keccak256(&self.scheme),
                keccak256(&self.network),
                keccak256(&self.asset),
                keccak256(&self.pay_to),
                keccak256(&self.amount),
                number(self.valid_until.unwrap_or(0)),
            ],
        );
        match signature.recover_address_from_prehash(&digest) {
            Ok(signer) => Ok(Some(signer)),
            Err(_) => Err("the payee’s signature under this offer is broken".into()),
        }
    }
}

/// What a receipt is held against.
pub(crate) struct Paid<'a> {
    pub(crate) request: &'a Request,
    pub(crate) quote: &'a Quote,
    pub(crate) payload: &'a Payload,
    /// The transaction that the answer around it names.
    pub(crate) transaction: Option<B256>,
    /// When the answer came, in seconds since 1970.
    pub(crate) now_s: u64,
}

/// Takes the signed receipt out of a settlement's JSON, checked; nothing when it has none.
pub(crate) fn receipt_in(settlement: &str, paid: &Paid<'_>) -> Option<SignedReceipt> {
    #[derive(Deserialize)]
    struct Settled<'a> {
        #[serde(borrow, default)]
        extensions: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(borrow, default)]
        receipt: Option<&'a RawValue>,
    }
    let settled: Settled<'_> = json::object(settlement).ok()?;
    let info: Info<'_> = json::object(info(settled.extensions?.get()).ok()??).ok()?;
    let raw = info.receipt?.get();
    let mut receipt = SignedReceipt {
        raw: plain(raw, KEPT_CHARS_MAX),
        signer: None,
        transaction: None,
        faults: Vec::new(),
    };
    match open::<ReceiptTerms>(raw) {
        Err(why) => receipt.faults.push(format!("it cannot be read: {why}")),
        Ok(Opened::Unknown(what)) => receipt.faults.push(format!("it is of {what}")),
        Ok(Opened::Read(form, terms)) => terms.hold_against(&form, paid, &mut receipt),
    }
    Some(receipt)
}

impl ReceiptTerms {
    /// Writes down everything that speaks against it.
    fn hold_against(&self, form: &Form, paid: &Paid<'_>, receipt: &mut SignedReceipt) {
        let faults = &mut receipt.faults;
        let mut differs = |what: &str, theirs: &str| {
            faults.push(format!("it names {what} “{}”", named(theirs)));
        };
        if self.network != paid.quote.network {
            differs("the network", &self.network);
        }
        if address(&self.payer) != Ok(paid.payload.authorization.from) {
            differs("the payer", &self.payer);
        }
        if !paid.request.is_for(&self.resource_url) {
            differs("the resource", &self.resource_url);
        }
        let oldest_s = paid.now_s.saturating_sub(RECEIPT_AGE_S_MAX);
        if !(oldest_s..=paid.now_s.saturating_add(AHEAD_S_MAX)).contains(&self.issued_at) {
            differs("the time, in seconds since 1970,", &self.issued_at.to_string());
        }
        // Leaving it out is the payee's right; an empty text is how the signed form does that.
        if let Some(text) = self.transaction.as_deref().filter(|text| !text.is_empty()) {
            receipt.transaction = transaction(text);
            let claimed = paid.transaction;
            if receipt.transaction.is_none()
                || claimed.is_some_and(|claimed| receipt.transaction != Some(claimed))
            {
                differs("the transaction", text);
            }
        }
        match form {
            Form::Jws(algorithm) => faults
                .push(format!("its signature ({}) is not one the desk checks", named(algorithm))),
            Form::Eip712(signature) => {
                match signature.recover_address_from_prehash(&self.digest()) {
                    Err(_) => faults.push("its signature is broken".into()),
                    Ok(signer) => {
                        let offers = paid.quote.signed.as_ref().and_then(|offer| offer.signer);
                        if signer != paid.quote.payee.pay_to && offers != Some(signer) {
                            faults.push(
                                "its signer is neither who was paid nor who signed the offer"
                                    .into(),
                            );
                        }
                        receipt.signer = Some(signer);
                    }
                }
            }
        }
    }

    fn digest(&self) -> B256 {
        digest(
            "x402 receipt",
            RECEIPT_TYPE,
            &[
                number(self.version),
                keccak256(&self.network),
                keccak256(&self.resource_url),
                keccak256(&self.payer),
                number(self.issued_at),
                keccak256(self.transaction.as_deref().unwrap_or_default()),
            ],
        )
    }
}

/// What says which version of a payload follows.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

/// The extension's `info`, as it was written; nothing where the extension or its info is absent.
fn info(extensions: &str) -> Result<Option<&str>, String> {
    #[derive(Deserialize)]
    struct Extension<'a> {
        #[serde(borrow, default)]
        info: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Extensions<'a> {
        #[serde(borrow, default, rename = "offer-receipt")]
        signed: Option<&'a RawValue>,
    }
    let extensions: Extensions<'_> = json::object(extensions).map_err(|e| words(&e))?;
    let Some(extension) = extensions.signed else { return Ok(None) };
    let extension: Extension<'_> = json::object(extension.get()).map_err(|e| words(&e))?;
    Ok(extension.info.map(RawValue::get))
}

/// Opens a signed document.
///
/// # Errors
/// A clause, when it is of a form the desk knows and cannot be read.
fn open<T: for<'de> Deserialize<'de>>(raw: &str) -> Result<Opened<T>, String> {
    let envelope: Envelope<'_> = json::object(raw).map_err(|e| words(&e))?;
    let (form, payload) = match envelope.format.as_str() {
        "eip712" => {
            let payload = envelope.payload.ok_or("it has no payload")?.get().to_owned();
            (Form::Eip712(signature(&envelope.signature)?), payload)
        }
        // A payload beside the signed one could say something else.
        "jws" if envelope.payload.is_some() => return Err("it has two payloads".into()),
        "jws" => jws(&envelope.signature)?,
        other => return Ok(Opened::Unknown(format!("the form “{}”", named(other)))),
    };
    let head: Head = json::object(&payload).map_err(|e| words(&e))?;
    if head.version != VERSION {
        return Ok(Opened::Unknown(format!("version {}", head.version)));
    }
    let terms = json::object(&payload).map_err(|e| words(&e))?;
    Ok(Opened::Read(form, terms))
}

/// `0x` and r, s and v in 130 hexadecimal digits.
fn signature(text: &str) -> Result<Signature, String> {
    let malformed = || "its signature is not 65 bytes in hexadecimal digits".to_owned();
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 130);
    let bytes = hex::decode(digits.ok_or_else(malformed)?).map_err(|_| malformed())?;
    match bytes.last() {
        Some(0 | 1 | 27 | 28) => Signature::from_raw(&bytes).map_err(|_| malformed()),
        _ => Err(malformed()),
    }
}

/// The algorithm and the payload of a JWS in its compact form (RFC 7515 §3.1).
fn jws(compact: &str) -> Result<(Form, String), String> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let malformed = || "it is no compact JWS".to_owned();
    let text = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed())?;
        json::check(&bytes).map_err(|e| words(&e))?;
        String::from_utf8(bytes).map_err(|_| malformed())
    };
    let parts: Vec<&str> = compact.split('.').collect();
    let [header, payload, _] = parts[..] else { return Err(malformed()) };
    let header: Header = json::object(&text(header)?).map_err(|e| words(&e))?;
    Ok((Form::Jws(header.alg), text(payload)?))
}

fn number(number: u64) -> B256 {
    U256::from(number).into()
}

/// The digest of typed data whose domain is an off-chain one: a name, version 1 and chain id 1.
/// Source: <https://eips.ethereum.org/EIPS/eip-712>, and §3.2 of the extension.
fn digest(domain: &str, kind: &str, words: &[B256]) -> B256 {
    let hash = |kind: &str, words: &[B256]| {
        let mut bytes = keccak256(kind).to_vec();
        words.iter().for_each(|word| bytes.extend_from_slice(word.as_slice()));
        keccak256(bytes)
    };
    let domain = hash(DOMAIN_TYPE, &[keccak256(domain), keccak256("1"), number(1)]);
    let mut bytes = vec![0x19, 0x01];
    bytes.extend_from_slice(domain.as_slice());
    bytes.extend_from_slice(hash(kind, words).as_slice());
    keccak256(bytes)
}

#[cfg(test)]
mod tests;
