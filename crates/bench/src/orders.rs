//! What the agents of the bench order: the same under the same number, every time.

use alloy_primitives::{Address, B256};
use anyhow::Result;
use imprest_domain::{AgentId, Asset, AssetId, Budget, Intent, OverPayment, Payee, Units};
use imprest_ledger::Order;
use serde::{Deserialize, Serialize};

/// How much of its story an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// As real ones: an offer of some 600 bytes, a purpose, a key, and every rule's finding.
    Full,
    /// As short as a genuine one can be, so that ten million of them lie on a usual disk.
    Lean,
}

/// What each payee sells, and the words a search finds it by.
const GOODS: [(&str, &str); 16] = [
    ("Weather forecast", "weather"),
    ("Exchange rates", "rates"),
    ("Map tiles", "tiles"),
    ("Train times", "trains"),
    ("Company records", "companies"),
    ("Patent search", "patents"),
    ("Image captions", "captions"),
    ("Speech to text", "speech"),
    ("Address check", "addresses"),
    ("Flight status", "flights"),
    ("News digest", "news"),
    ("Tide tables", "tides"),
    ("Route planning", "routes"),
    ("Stock quotes", "quotes"),
    ("Translation", "translation"),
    ("Legal texts", "law"),
];

/// A word that only [`Order`]s made to be rare carry.
pub const RARE_WORD: &str = "sextant";
/// A word that one order in sixteen carries.
pub const USUAL_WORD: &str = "weather";

/// The token everything is priced in.
pub fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 8453, contract: Address::repeat_byte(0xA5) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

/// What an order costs that is paid, and what one costs that the hour's limit refuses.
pub const PRICE_UNITS: u128 = 2_500;
/// Above the limit of an hour, and of nothing else.
pub const DEAR_UNITS: u128 = 500_000_000_000;

/// A budget in which every limit is set, and an order at [`PRICE_UNITS`] reaches none.
///
/// # Errors
/// When a figure is no amount, which none is.
pub fn budget() -> Result<Budget> {
    let units = |n: u128| Units::new(n).map(Some);
    Ok(Budget {
        limit_units_per_payment: units(1_000_000_000_000)?,
        limit_units_per_hour: units(400_000_000_000)?,
        limit_units_per_day: units(1_000_000_000_000)?,
        limit_units_per_week: units(7_000_000_000_000)?,
        limit_units_per_month: units(30_000_000_000_000)?,
        limit_units_lifetime: units(900_000_000_000_000)?,
        limit_units_per_payee_day: units(1_000_000_000_000)?,
        limit_units_per_new_payee_day: units(1_000_000)?,
        limit_units_exposure: units(1_000_000_000_000)?,
        limit_count_per_hour: Some(u32::MAX),
        over_payment: OverPayment::Deny,
        zone: "Europe/Amsterdam".into(),
        ..Budget::blank(usdc().id)
    })
}

/// How many payees there are.
pub const PAYEES: u64 = GOODS.len() as u64;

/// One of the payees.
pub fn payee(number: u64) -> Payee {
    let (_, name) = goods(number);
    Payee {
        origin: format!("https://{name}.example"),
        pay_to: Address::from_word(scrambled(number % PAYEES, 1)),
        asset: usdc().id,
    }
}

fn goods(number: u64) -> (&'static str, &'static str) {
    // The remainder of 16 always is an index.
    GOODS[(number % PAYEES) as usize]
}

/// The order with a number, at a price.
pub fn order(agent: &AgentId, number: u64, value: Units, body: Body, rare: bool) -> Order {
    let (what, name) = goods(number);
    let payee = payee(number);
    let full = body == Body::Full;
    let url = match body {
        Body::Full => format!("{}/v1/{name}?place=Utrecht&day={}", payee.origin, number % 365),
        Body::Lean => format!("{}/v1", payee.origin),
    };
    Order {
        client_key: full.then(|| format!("trip-{number:012x}")),
        request_sha256: scrambled(number, 2),
        method: "GET".into(),
        what: if rare { format!("{what} {RARE_WORD}") } else { what.to_owned() },
        purpose: full.then(|| format!("planning the trip of day {}", number % 365)),
        task: full.then(|| format!("task-{}", number / 50)),
        offer: if full { offer(&payee, &url, what) } else { "{}".into() },
        max_timeout_s: 60,
        nonce: None,
        gas: None,
        kept_request: None,
        credential: None,
        url,
        intent: Intent {
            agent: agent.clone(),
            payee,
            value,
            agent_max: None,
            for_other_resource: false,
        },
    }
}

/// An offer as x402 servers write it.
fn offer(payee: &Payee, url: &str, what: &str) -> String {
    let (pay_to, contract) = (payee.pay_to, payee.asset.contract);
    format!(
        r#"{{"scheme":"exact","network":"eip155:8453","amount":"{PRICE_UNITS}","maxAmountRequired":"{PRICE_UNITS}","asset":"{contract}","payTo":"{pay_to}","resource":"{url}","description":"{what}, one answer","mimeType":"application/json","maxTimeoutSeconds":60,"outputSchema":{{"input":{{"type":"http","method":"GET","queryParams":{{"place":{{"type":"string"}},"day":{{"type":"integer"}}}}}},"output":{{"type":"object","properties":{{"place":{{"type":"string"}},"values":{{"type":"array"}}}}}}}},"extra":{{"name":"USD Coin","version":"2"}}}}"#
    )
}

/// 32 bytes that look random and are the same for the same numbers (SplitMix64).
pub fn scrambled(number: u64, salt: u64) -> B256 {
    let mut bytes = [0_u8; 32];
    let mut state = number ^ salt.rotate_left(48);
    for chunk in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    }
    B256::from(bytes)
}
