//! What may be signed, judged without a word of the desk's own code.

use super::{Case, Paid};
use alloy::primitives::{Address, B256, Signature, U256};
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolStruct};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

sol! {
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// The longest a signature may live past its arrival, in seconds.
const LIFE_S_MAX: u64 = 121;

/// What the owner allowed.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose money may be paid with.
    pub payers: Vec<Address>,
    /// The most for one payment, in atomic units.
    pub units_max: u128,
    /// The only token, with its chain.
    pub domain: Eip712Domain,
}

/// What came of judging.
#[derive(Debug, Default)]
pub struct Judgement {
    /// How many signatures arrived.
    pub signatures: usize,
    /// What was wrong with them, and how often.
    pub faults: BTreeMap<&'static str, usize>,
    /// The first case of each fault.
    pub examples: BTreeMap<&'static str, String>,
}

impl Judgement {
    /// How many faults there were in all.
    pub fn outside(&self) -> usize {
        self.faults.values().sum()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    from: Address,
    to: Address,
    value: String,
    valid_after: String,
    valid_before: String,
    nonce: B256,
    #[serde(default)]
    signature: Option<String>,
}

impl Rules {
    /// Judges everything that was paid.
    pub fn judge(&self, cases: &[Case], paid: &[Paid]) -> Judgement {
        let mut judgement = Judgement::default();
        let (mut served, mut nonces) = (HashSet::new(), HashSet::new());
        for payment in paid {
            judgement.signatures += 1;
            let case = payment.case.and_then(|at| cases.get(at));
            let mut faults = match case {
                None => vec!["given to another host"],
                Some(case) => self.faults(case, payment, &mut nonces),
            };
            if payment.case.is_some_and(|at| !served.insert(at)) {
                faults.push("a second signature for one request");
            }
            for fault in faults {
                *judgement.faults.entry(fault).or_default() += 1;
                let name = case.map_or("elsewhere", |case| &case.name);
                judgement.examples.entry(fault).or_insert_with(|| name.to_owned());
            }
        }
        judgement
    }

    fn faults(
        &self,
        case: &Case,
        payment: &Paid,
        nonces: &mut HashSet<(Address, B256)>,
    ) -> Vec<&'static str> {
        let Some((signed, signature)) = read(payment) else {
            return vec!["a payment that nobody can read"];
        };
        let Ok(value) = signed.value.parse::<u128>() else { return vec!["an unreadable amount"] };
        let mut faults = Vec::new();
        let offered = case.offers.iter().any(|(pay_to, units)| {
            pay_to.parse::<Address>().is_ok_and(|pay_to| pay_to == signed.to)
                && *units == signed.value
        });
        if !offered {
            faults.push("not what was offered, or what nobody may offer");
        }
        if value > self.units_max {
            faults.push("above the limit");
        }
        let before = signed.valid_before.parse::<u64>().unwrap_or(u64::MAX);
        if before > payment.at_s + LIFE_S_MAX {
            faults.push("lives longer than two minutes");
        }
        if !nonces.insert((signed.from, signed.nonce)) {
            faults.push("a nonce used before");
        }
        let signer = self.signer(&signed, value, &signature);
        if signer != Some(signed.from) || !self.payers.contains(&signed.from) {
            faults.push("signed for another token, chain or contract");
        }
        faults
    }

    fn signer(&self, signed: &Signed, value: u128, signature: &str) -> Option<Address> {
        let typed = TransferWithAuthorization {
            from: signed.from,
            to: signed.to,
            value: U256::from(value),
            validAfter: signed.valid_after.parse().ok()?,
            validBefore: signed.valid_before.parse().ok()?,
            nonce: signed.nonce,
        };
        let signature: Signature = signature.parse().ok()?;
        signature.recover_address_from_prehash(&typed.eip712_signing_hash(&self.domain)).ok()
    }
}

/// The authorisation in a payment of any of the protocols.
fn read(payment: &Paid) -> Option<(Signed, String)> {
    let (bytes, pointer) = match payment.value.strip_prefix("Payment ") {
        Some(credential) => (URL_SAFE_NO_PAD.decode(credential).ok()?, "/payload"),
        None => (STANDARD.decode(&payment.value).ok()?, "/payload/authorization"),
    };
    let json: Value = serde_json::from_slice(&bytes).ok()?;
    let signed: Signed = serde_json::from_value(json.pointer(pointer)?.clone()).ok()?;
    let beside = json.pointer("/payload/signature").and_then(Value::as_str).map(ToOwned::to_owned);
    let signature = signed.signature.clone().or(beside)?;
    Some((signed, signature))
}
