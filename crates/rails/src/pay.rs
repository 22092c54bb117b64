//! The paid leg: the header that pays, and what the answer to it means.

use crate::offer::address;
use crate::quote::Way;
use crate::response::BodyEnd;
use crate::x402::signed::SignedReceipt;
use crate::x402::{encode, v1, v2};
use crate::{Quote, Request, Response, mpp};
use imprest_domain::{Address, Authorization, B256, Units, plain_line};
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
const X_PAYMENT: HeaderName = HeaderName::from_static("x-payment");

/// What was signed, and the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The authorisation.
    pub authorization: Authorization,
    /// r, s and v over it, as EIP-3009's `transferWithAuthorization` takes them.
    pub signature: [u8; 65],
}

impl Payload {
    /// The signature as it travels: `0x` and 130 hexadecimal digits.
    pub(crate) fn signature_hex(&self) -> String {
        format!("0x{}", hex::encode(self.signature))
    }
}

/// The signature is money while it lives, so it is never printed.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}

/// What the payee says became of the payment: a claim until the chain agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether it says the payment went through.
    pub success: bool,
    /// The transaction it names.
    pub transaction: Option<B256>,
    /// The CAIP-2 network it names, the first 60 characters.
    pub network: Option<String>,
    /// Who it says paid.
    pub payer: Option<Address>,
    /// How much it says was taken, in atomic units.
    pub amount: Option<Units>,
    /// Its word for what went wrong, the first 120 characters.
    pub error: Option<String>,
    /// The receipt that it signed, if it did.
    #[serde(default)]
    pub signed: Option<SignedReceipt>,
}

/// What came of the one attempt to pay.
///
/// Whatever it is, the signature can be taken to the chain until its window ends, unless it was
/// used or, under [`Outcome::Unclear`], never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The payee answered with success and the whole answer is here.
    Delivered {
        /// The answer.
        response: Response,
        /// What the payee says of the payment; absent when it says nothing readable.
        receipt: Option<Receipt>,
    },
    /// The payee asked for payment again. The signature it holds stays live.
    Rejected {
        /// The answer.
        response: Response,
        /// The payee's word for why; a stranger's text, at most 120 characters.
        error: String,
    },
    /// What became of it cannot be told from the answer.
    Unclear {
        /// What happened, in a sentence.
        why: String,
        /// What arrived of the answer, if any did.
        response: Option<Response>,
        /// What the payee says of the payment, if anything readable.
        receipt: Option<Receipt>,
        /// Whether the signature may have left this machine. False is certain: it did not.
        sent: bool,
    },
}

/// Makes the header of the paid leg.
///
/// # Errors
/// A sentence, when what was signed is not what this quote of this request asks: such a signature
/// must not go out.
pub(crate) fn payment(
    request: &Request,
    quote: &Quote,
    payload: &Payload,
) -> Result<(HeaderName, HeaderValue), String> {
    check(request, quote, payload)?;
    match &quote.way {
        Way::X402V2 { offer, resource, extensions } => {
            let json = v2::payment(offer, resource.as_deref(), extensions.as_deref(), payload)?;
            Ok((PAYMENT_SIGNATURE, encode(&json)?))
        }
        Way::X402V1 { network, .. } => Ok((X_PAYMENT, v1::payment(network, payload)?)),
        Way::Mpp { challenge, .. } => mpp::payment(challenge, request, payload),
    }
}

/// Makes what the paid call of a tool carries in its `_meta`, JSON.
///
/// # Errors
/// As [`payment`].
pub(crate) fn meta(
    request: &Request,
    quote: &Quote,
    payload: &Payload,
) -> Result<Box<RawValue>, String> {
    check(request, quote, payload)?;
    match &quote.way {
        Way::X402V2 { offer, resource, extensions } => {
            v2::payment(offer, resource.as_deref(), extensions.as_deref(), payload)
        }
        Way::X402V1 { .. } | Way::Mpp { .. } => {
            Err("a tool is not paid in this way, so nothing was sent".into())
        }
    }
}

/// Whether what was signed is what the quote asks for this request.
fn check(request: &Request, quote: &Quote, payload: &Payload) -> Result<(), String> {
    let signed = &payload.authorization;
    let same = quote.request_digest == request.digest()
        && signed.to == quote.payee.pay_to
        && signed.value == quote.value
        && signed.asset == quote.payee.asset
        && quote.nonce().is_none_or(|nonce| nonce == signed.nonce);
    if !same {
        return Err("what was signed is not what the quote asks, so it was not sent".into());
    }
    Ok(())
}

/// What a payee says became of a payment, in its own words.
#[derive(Debug, Default)]
pub(crate) struct Claim<'a> {
    pub(crate) success: bool,
    pub(crate) transaction: Option<&'a str>,
    pub(crate) network: Option<&'a str>,
    pub(crate) payer: Option<&'a str>,
    pub(crate) amount: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

impl Claim<'_> {
    /// Keeps what can be read, bounded.
    pub(crate) fn read(self) -> Receipt {
        Receipt {
            success: self.success,
            transaction: self.transaction.and_then(transaction),
            network: self.network.map(|network| plain_line(network, 60)),
            payer: self.payer.and_then(|payer| address(payer).ok()),
            amount: self.amount.and_then(|amount| amount.parse().ok()),
            error: self.error.filter(|e| !e.is_empty()).map(|error| plain_line(error, 120)),
            signed: None,
        }
    }
}

/// `0x` and 64 hexadecimal digits.
pub(crate) fn transaction(text: &str) -> Option<B256> {
    let digits = text.strip_prefix("0x")?;
    if digits.len() == 64 { digits.parse().ok() } else { None }
}

/// What an answer to the paid leg says of itself.
pub(crate) enum Says {
    /// Here is what was paid for.
    Delivers,
    /// It is to be paid again, with the payee's word for why.
    AsksAgain(Option<String>),
    /// Anything else, in a sentence.
    Otherwise(String),
}

impl Says {
    /// What an HTTP status says; `word` is the payee's for asking again.
    pub(crate) fn of(status: u16, word: Option<String>) -> Says {
        match status {
            402 => Says::AsksAgain(word),
            200..=299 => Says::Delivers,
            300..=399 => Says::Otherwise(format!(
                "the payee answered with a redirect ({status}), which was not followed"
            )),
            _ => Says::Otherwise(format!("the payee answered with status {status}")),
        }
    }
}

/// An answer to the paid leg, as far as it arrived.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) end: BodyEnd,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) says: Says,
}

/// Says what an answer to the paid leg means. Anything that is not plainly one thing is unclear.
pub(crate) fn judge(answer: Answer) -> Outcome {
    let Answer { response, end, receipt, says } = answer;
    let claims = receipt.as_ref().map(|receipt| receipt.success);
    let word = receipt.as_ref().and_then(|receipt| receipt.error.clone());
    let why = match (says, claims) {
        (Says::AsksAgain(_), Some(true)) => {
            "the payee says it was paid and asks for payment again".into()
        }
        (Says::AsksAgain(_), _) if word.as_deref() == Some("settlement_pending") => {
            "the payee says the payment is on its way to the chain".into()
        }
        (Says::AsksAgain(again), _) => {
            let error = word.or(again).unwrap_or_else(|| "it gave no reason".into());
            return Outcome::Rejected { response, error };
        }
        (Says::Delivers, Some(false)) => match word {
            Some(word) => format!("the payee answered, but says the payment failed: {word}"),
            None => "the payee answered, but says the payment failed".into(),
        },
        (Says::Delivers, _) => match end {
            BodyEnd::Read => return Outcome::Delivered { response, receipt },
            BodyEnd::Cut(why) => format!("the answer broke off: {why}"),
        },
        (Says::Otherwise(why), _) => why,
    };
    Outcome::Unclear { why, response: Some(response), receipt, sent: true }
}
