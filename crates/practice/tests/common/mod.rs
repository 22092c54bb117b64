//! A practice network for tests, and payers who sign on it.
#![allow(dead_code, reason = "each test file uses its own part")]

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolStruct};
use alloy_primitives::{Address, B256, U256};
use imprest_chain::usdc;
use imprest_domain::{Asset, Authorization, Units, ValidityWindow};
use imprest_practice::{Kit, Practice};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub fn units(units: u128) -> Units {
    Units::new(units).expect("fits the books")
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub async fn start(folder: &Path, treasury: Option<Address>) -> Practice {
    let kit = Kit::find().expect("the kit is installed: cargo xtask setup");
    Practice::start(&kit, folder, treasury).await.expect("the practice network starts")
}

/// A payer with practice money.
pub async fn payer(practice: &Practice, level: u128) -> PrivateKeySigner {
    let key = PrivateKeySigner::random();
    practice.fund_treasury(key.address(), units(level)).await.expect("funded");
    key
}

pub fn domain(asset: &Asset) -> Eip712Domain {
    Eip712Domain::new(
        Some(asset.eip712_name.clone().into()),
        Some(asset.eip712_version.clone().into()),
        Some(U256::from(asset.id.chain_id)),
        Some(asset.id.contract),
        None,
    )
}

pub fn authorization(asset: &Asset, from: Address, to: Address, value: Units) -> Authorization {
    Authorization {
        asset: asset.id,
        from,
        to,
        value,
        window: ValidityWindow { valid_after_s: 0, valid_before_s: now_s() + 60 },
        // A random key has the shape of a random nonce.
        nonce: PrivateKeySigner::random().to_bytes(),
    }
}

pub fn sign(key: &PrivateKeySigner, asset: &Asset, a: &Authorization) -> Vec<u8> {
    let message = usdc::TransferWithAuthorization {
        from: a.from,
        to: a.to,
        value: U256::from(a.value.get()),
        validAfter: U256::from(a.window.valid_after_s),
        validBefore: U256::from(a.window.valid_before_s),
        nonce: a.nonce,
    };
    let hash = message.eip712_signing_hash(&domain(asset));
    key.sign_hash_sync(&hash).expect("signed").as_bytes().to_vec()
}

pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < end, "waited 20 s for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Signs and sends a call to the asset by the terms the chain gives, and waits for it.
pub async fn send(practice: &Practice, key: &PrivateKeySigner, data: Vec<u8>) -> B256 {
    use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
    use alloy::eips::eip2718::Encodable2718;
    use alloy::network::TxSignerSync;
    let chain = practice.chain();
    let terms = chain.transaction_terms(key.address()).await.expect("terms");
    let mut transaction = TxEip1559 {
        chain_id: practice.network().chain_id,
        nonce: terms.nonce,
        gas_limit: chain.gas_for(key.address(), &data).await.expect("gas"),
        max_fee_per_gas: terms.max_fee_per_gas_wei,
        max_priority_fee_per_gas: terms.max_priority_fee_per_gas_wei,
        to: practice.asset().id.contract.into(),
        input: data.into(),
        ..TxEip1559::default()
    };
    let signature = key.sign_transaction_sync(&mut transaction).expect("signed");
    let signed = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    let hash = chain.send_raw(&signed).await.expect("sent");
    assert_eq!(chain.send_raw(&signed).await, Ok(hash), "sending again is harmless");
    let receipt = chain.wait_receipt(hash, Duration::from_secs(20)).await.expect("mined");
    assert!(receipt.ok && receipt.fee_wei > 0);
    hash
}
