//! The books that are tampered with: a few hundred events, of every kind.

use imprest_domain::{
    Address, AgentId, Asset, AssetId, B256, Budget, Danger, Grade, Intent, Payee, Units,
};
use imprest_ledger::{
    Delivery, HeadCopy, Ledger, LedgerError, NewAgent, Order, Reserved, SealKey, TransactionTerms,
};
use jiff::SignedDuration;
use std::fs;
use std::path::Path;

/// How many days' worth of business the books hold.
const ROUNDS: u64 = 28;

/// A closed ledger, older states of it, and another history of the same length.
pub(super) struct Books {
    pub(super) file: Vec<u8>,
    pub(super) older: Vec<Vec<u8>>,
    pub(super) other_history: Vec<u8>,
    pub(super) key: SealKey,
    pub(super) copy: HeadCopy,
}

impl Books {
    /// Does a few days' business in a folder.
    pub(super) async fn write(folder: &Path) -> Result<Books, String> {
        let key = SealKey::new([0x5E; 32]);
        let (mut older, mut file, mut copy) = (Vec::new(), Vec::new(), None);
        let path = folder.join("ledger.db");
        for round in 0..ROUNDS {
            let head = business(&path, &key, 100, round).await.map_err(|e| e.to_string())?;
            if !file.is_empty() {
                older.push(std::mem::take(&mut file));
            }
            file = fs::read(&path).map_err(|e| e.to_string())?;
            copy = Some(head);
        }
        // The same business with a limit a thousand times as high, as an intruder would like it.
        let path = folder.join("other.db");
        for round in 0..ROUNDS {
            business(&path, &key, 100_000, round).await.map_err(|e| e.to_string())?;
        }
        let other_history = fs::read(&path).map_err(|e| e.to_string())?;
        let copy = copy.ok_or("no business")?;
        Ok(Books { file, older, other_history, key, copy })
    }
}

fn asset() -> Asset {
    Asset {
        id: AssetId { chain_id: 402_402, contract: Address::repeat_byte(0xA5) },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USD Coin".into(),
        eip712_version: "2".into(),
    }
}

fn units(n: u64) -> Units {
    Units::new(u128::from(n)).unwrap_or(Units::MAX)
}

fn payee(n: u64) -> Payee {
    Payee {
        origin: format!("https://shop-{n}.example"),
        pay_to: Address::repeat_byte(0x5A + n as u8),
        asset: asset().id,
    }
}

/// One day: opens the books, does something of every kind, and closes them.
async fn business(
    path: &Path,
    key: &SealKey,
    day: u64,
    round: u64,
) -> Result<HeadCopy, LedgerError> {
    let ledger = Ledger::open(path).await?;
    ledger.open_seal(key.clone(), round > 0).await?;
    let agents = ledger.agents().await?;
    let agent = match agents.first() {
        Some(agent) => agent.id.clone(),
        None => begin(&ledger, day).await?,
    };
    for n in 0..4 {
        let key = format!("k{round}-{n}");
        pay(&ledger, &agent, 2 + n, &key, round + n).await?;
    }
    pay(&ledger, &agent, day * 2, &format!("big{round}"), 0).await?;
    let mut ask = order(&agent, 1, &format!("ask{round}"));
    ask.intent.payee.origin = format!("https://stranger-{round}.example");
    ask.kept_request = Some(vec![1, 2, 3]);
    let asked = ledger.reserve(ask.clone(), asset(), Danger::Calm, SignedDuration::from_mins(9));
    if let Reserved::Asked { approval, .. } = asked.await? {
        match round % 3 {
            0 => drop(ledger.refuse(&approval, Some("no".into())).await?),
            1 => drop(ledger.approve(&approval, ask, asset(), Danger::Calm).await?),
            _ => {}
        }
    }
    if round % 4 == 1 {
        ledger.freeze().await?;
        ledger.thaw().await?;
        ledger.allow_host(format!("127.0.0.1:{}", 4000 + round)).await?;
    }
    let copy = HeadCopy::from(ledger.head());
    ledger.close().await;
    Ok(copy)
}

async fn begin(ledger: &Ledger, day: u64) -> Result<AgentId, LedgerError> {
    let agent = ledger
        .add_agent(NewAgent {
            name: "Scout".parse().map_err(|_| LedgerError::ClockAgrees)?,
            account: ledger.next_account().await?,
            address: Address::repeat_byte(0x11),
            grade: Grade::L3,
            budget: Budget {
                limit_units_per_payment: Some(units(10)),
                limit_units_per_day: Some(units(day)),
                ..Budget::blank(asset().id)
            },
            shared: None,
            token_sha256: "aa".into(),
        })
        .await?;
    let terms = TransactionTerms {
        nonce: 0,
        gas_limit: 0,
        max_fee_per_gas_wei: 0,
        max_priority_fee_per_gas_wei: 0,
    };
    let grant = ledger.begin_refill(&agent.id, units(1_000_000), asset(), terms).await?;
    let (refill, tx) = (grant.refill().clone(), B256::repeat_byte(9));
    ledger.refill_sent(&refill, tx).await?;
    ledger.refill_settled(&refill, tx, 1).await?;
    ledger
        .float_received(&agent.id, Address::repeat_byte(3), units(5), B256::repeat_byte(4), 0, 2)
        .await?;
    for n in 0..3 {
        ledger.trust_payee(payee(n)).await?;
    }
    let team = ledger
        .add_shared(
            "Team".parse().map_err(|_| LedgerError::ClockAgrees)?,
            Budget { limit_units_lifetime: Some(units(1_000_000)), ..Budget::blank(asset().id) },
        )
        .await?;
    ledger.join_shared(&agent.id, Some(team.id)).await?;
    ledger.credential_used(&agent.id, "user 1000".into()).await?;
    Ok(agent.id)
}

async fn pay(
    ledger: &Ledger,
    agent: &AgentId,
    value: u64,
    key: &str,
    end: u64,
) -> Result<(), LedgerError> {
    let order = order(agent, value, key);
    let reserved =
        ledger.reserve(order, asset(), Danger::Calm, SignedDuration::from_mins(9)).await?;
    let Reserved::Granted { grant, payment, .. } = reserved else { return Ok(()) };
    match end % 5 {
        0 => ledger.void(grant, "locked".into()).await,
        1 => ledger.expire(&payment, 7).await,
        2 => {
            let unknown = Delivery::Unknown { status: None, why: "cut".into() };
            ledger.record_delivery(&payment, unknown).await
        }
        _ => {
            let answer = Delivery::Delivered {
                status: 200,
                response_sha256: B256::repeat_byte(8),
                claimed_transaction: None,
            };
            ledger.record_delivery(&payment, answer).await?;
            ledger.settle(&payment, B256::repeat_byte(7), 5).await
        }
    }
}

fn order(agent: &AgentId, value: u64, key: &str) -> Order {
    Order {
        intent: Intent {
            agent: agent.clone(),
            payee: payee(value % 3),
            value: units(value),
            agent_max: None,
            for_other_resource: false,
        },
        client_key: Some(key.to_owned()),
        request_sha256: B256::repeat_byte(1),
        url: format!("https://shop-{}.example/weather?k={key}", value % 3),
        method: "GET".into(),
        what: "Weather".into(),
        purpose: Some("a forecast".into()),
        task: None,
        offer: "{\"scheme\":\"exact\"}".into(),
        max_timeout_s: 60,
        nonce: None,
        gas: None,
        kept_request: None,
        credential: None,
    }
}
