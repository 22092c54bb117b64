//! One offer the desk can pay, by whichever protocol it was made.

use crate::Request;
use crate::offer::{Payable, Shown};
use crate::request::add;
use crate::x402::signed::SignedOffer;
use imprest_domain::{B256, Payee, Units, plain_line};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The longest time a payee may ask a signature to live, in seconds.
pub const MAX_TIMEOUT_S: u64 = 3600;

/// One offer the desk can pay, bound to the request it answers.
///
/// Nothing in it is the merchant's word except what must be: the price, the address to pay, and the
/// texts to echo. Decimals and the EIP-712 domain come from the desk's own registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quote {
    /// Who would be paid: the origin that really answered, the address it names, and the asset.
    pub payee: Payee,
    /// How much, in atomic units; at least one.
    pub value: Units,
    /// How long the payee asks the signature to live, in seconds; 1 to 3600.
    pub max_timeout_s: u64,
    /// CAIP-2 network, `eip155:8453`.
    pub network: String,
    /// Whether the payee takes the money before it does the work (`extra.paymentFlow`: `upfront`).
    pub settles_first: bool,
    /// What the payee calls it: a stranger's text, one line of at most 200 characters.
    pub description: String,
    /// What the payee says it delivers, at most 100 characters.
    pub mime: Option<String>,
    /// Whether the terms name a resource of the origin that was asked; false when they name
    /// another one, or name none although their protocol has a place for it, or bear a signature
    /// that was given for another.
    pub resource_matches: bool,
    /// The same offer under the payee's signature, where it signs its offers.
    #[serde(default)]
    pub signed: Option<SignedOffer>,
    /// [`Request::digest`] of the request that was answered with these terms.
    pub request_digest: [u8; 32],
    /// SHA-256 over the request's digest, the payee and the price: equal exactly if the same thing
    /// is asked for the same money. Texts that may differ each time are left out, and so is the
    /// protocol.
    pub digest: [u8; 32],
    /// How the payee wants to be answered.
    pub way: Way,
}

/// A protocol, with what it echoes: every byte as the payee wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Way {
    /// x402 version 2.
    X402V2 {
        /// The chosen offer.
        offer: Box<RawValue>,
        /// The terms' `resource`.
        resource: Option<Box<RawValue>>,
        /// The terms' `extensions`.
        extensions: Option<Box<RawValue>>,
    },
    /// x402 version 1.
    X402V1 {
        /// The chosen offer.
        offer: Box<RawValue>,
        /// The network by its short name, `base-sepolia`.
        network: String,
    },
    /// The `Payment` authentication scheme (MPP) with an EVM charge.
    Mpp {
        /// The challenge's parameters by name.
        challenge: BTreeMap<String, String>,
        /// The challenge's request, decoded: JSON.
        request: Box<RawValue>,
        /// The nonce that binds a signature to this challenge.
        nonce: B256,
    },
}

impl Quote {
    pub(crate) fn new(payable: Payable, shown: Shown, request: &Request, way: Way) -> Quote {
        let payee =
            Payee { origin: request.origin(), pay_to: payable.pay_to, asset: payable.asset };
        let request_digest = request.digest();
        Quote {
            digest: digest(&request_digest, &payee, payable.value),
            payee,
            value: payable.value,
            max_timeout_s: payable.max_timeout_s,
            network: payable.network,
            settles_first: payable.settles_first,
            description: plain_line(&shown.description.unwrap_or_default(), 200),
            mime: shown.mime.map(|mime| plain_line(&mime, 100)),
            resource_matches: shown.resource_matches
                && shown.signed.as_ref().is_none_or(|signed| signed.is_for_request),
            signed: shown.signed,
            request_digest,
            way,
        }
    }

    /// The chosen offer as it was received, JSON.
    pub fn offer(&self) -> &str {
        match &self.way {
            Way::X402V2 { offer, .. } | Way::X402V1 { offer, .. } => offer.get(),
            Way::Mpp { request, .. } => request.get(),
        }
    }

    /// What to keep of the offer: as it was received and, where the payee signed it, with the signed
    /// one and the address of whoever signed; JSON.
    pub fn evidence(&self) -> String {
        match &self.signed {
            None => self.offer().to_owned(),
            Some(signed) => {
                let by = signed.signer.map(|by| format!(r#","signed_by":"{by}""#));
                let (offer, raw, by) = (self.offer(), signed.raw.get(), by.unwrap_or_default());
                format!(r#"{{"accepted":{offer},"signed":{raw}{by}}}"#)
            }
        }
    }

    /// The nonce that the signature has to carry, where the protocol prescribes one; any other
    /// signature is free to take a random one.
    pub fn nonce(&self) -> Option<B256> {
        match &self.way {
            Way::Mpp { nonce, .. } => Some(*nonce),
            Way::X402V2 { .. } | Way::X402V1 { .. } => None,
        }
    }
}

fn digest(request: &[u8; 32], payee: &Payee, value: Units) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"imprest quote 1\n");
    add(&mut hash, request);
    add(&mut hash, payee.origin.as_bytes());
    add(&mut hash, payee.pay_to.as_slice());
    add(&mut hash, payee.asset.to_string().as_bytes());
    add(&mut hash, value.to_string().as_bytes());
    hash.finalize().into()
}
