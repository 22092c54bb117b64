//! Vectors that others published, against what the vault really uses.
//!
//! `ethers.json` is a selection of the npm package `@ethersproject/testcases` 5.8.0 (MIT; the
//! licence is beside it): BIP-39 words, BIP-32 keys, Web3 keystores, EIP-712 digests.

use crate::derive::{at_path, seed_of, stretched};
use crate::keystore::Keystore;
use crate::secret::{Secret32, SecretText};
use crate::words;
use alloy::dyn_abi::TypedData;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Signature};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Vectors {
    bip39: Vec<Words>,
    bip32: Vec<Node>,
    keystores: Vec<Wallet>,
    eip712: Vec<Typed>,
}

#[derive(Deserialize)]
struct Words {
    entropy: String,
    mnemonic: String,
    seed: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    mnemonic: String,
    path: String,
    private_key: B256,
    address: Address,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wallet {
    name: String,
    password: String,
    address: Address,
    private_key: B256,
    json: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    name: String,
    domain: Value,
    primary_type: String,
    types: Value,
    data: Value,
    digest: B256,
    private_key: Option<B256>,
    signature: Option<String>,
}

fn vectors() -> Vectors {
    let text = include_str!("../tests/fixtures/ethers.json");
    serde_json::from_str(text).expect("the fixture")
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.trim_start_matches("0x")).expect("hex")
}

#[test]
fn bip39_words() {
    let cases = vectors().bip39;
    for Words { entropy, mnemonic, seed, password } in &cases {
        let expected = Secret32::copied(&bytes(entropy)).expect("32 bytes");
        assert_eq!(words::phrase(&expected).expect("writes").as_str(), mnemonic);
        let read = words::parse(&SecretText::new(mnemonic.clone())).expect("reads");
        assert_eq!(read.bytes(), expected.bytes());
        // The vault never has a passphrase of BIP-39's; the vectors do.
        let mut password = std::borrow::Cow::from(password);
        bip39::Mnemonic::normalize_utf8_cow(&mut password);
        let salt = format!("mnemonic{password}");
        assert_eq!(stretched(mnemonic, salt.as_bytes()).bytes()[..], bytes(seed)[..], "{mnemonic}");
    }
    assert_eq!(cases.len(), 120);
}

#[test]
fn bip32_keys() {
    let cases = vectors().bip32;
    for Node { mnemonic, path, private_key, address } in &cases {
        let signer = at_path(&seed_of(mnemonic), path).expect("derives");
        assert_eq!((signer.to_bytes(), signer.address()), (*private_key, *address), "{path}");
    }
    assert_eq!(cases.len(), 200);
}

#[test]
fn web3_keystores() {
    let cases = vectors().keystores;
    for Wallet { name, password, address, private_key, json } in &cases {
        let keystore = Keystore::parse(json).expect("reads");
        let key = keystore.open(&SecretText::new(password.clone())).expect("opens");
        assert_eq!((key.address(), key.key.bytes()), (*address, &private_key.0), "{name}");
    }
    assert_eq!(cases.len(), 7);
}

/// The EIP's own example is among them, with its key and signature.
#[test]
fn eip712_digests() {
    let cases = vectors().eip712;
    let mut signed = 0;
    for case in &cases {
        let typed: TypedData = serde_json::from_value(serde_json::json!({
            "types": case.types,
            "primaryType": case.primary_type,
            "domain": case.domain,
            "message": case.data,
        }))
        .expect("typed data");
        let digest = typed.eip712_signing_hash().expect("hashes");
        assert_eq!(digest, case.digest, "{}", case.name);
        if let (Some(key), Some(signature)) = (case.private_key, &case.signature) {
            let signer = PrivateKeySigner::from_bytes(&key).expect("a key");
            let made = signer.sign_hash_sync(&digest).expect("signs");
            let expected = Signature::from_raw(&bytes(signature)).expect("r, s, v");
            assert_eq!(made, expected, "{}", case.name);
            signed += 1;
        }
    }
    assert_eq!((cases.len(), signed), (114, 1));
}
