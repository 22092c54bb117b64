//! What is signed, built from a grant's own fields and nothing else.

use crate::error::VaultError;
use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct};
use alloy_primitives::{Address, B256, TxKind, U256};
use imprest_domain::{Asset, Authorization, PaymentId, Units};
use imprest_ledger::{CancelGrant, TransactionTerms, TreasuryGrant};

/// A signed EIP-3009 authorisation: money spent until the chain says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAuthorization {
    /// The payment it pays.
    pub payment: PaymentId,
    /// What was signed.
    pub authorization: Authorization,
    /// r (32 bytes), s (32 bytes, the lower half), v (27 or 28).
    pub signature: [u8; 65],
}

impl SignedAuthorization {
    /// The signature as x402 carries it: `0x` and 130 hex digits.
    pub fn signature_hex(&self) -> String {
        format!("0x{}", hex::encode(self.signature))
    }
}

/// A signed EIP-1559 transaction, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The EIP-2718 envelope, as `eth_sendRawTransaction` takes it.
    pub raw: Vec<u8>,
    /// The transaction's hash.
    pub hash: B256,
}

mod abi {
    #![allow(missing_docs)]
    alloy::sol! {
        /// EIP-3009.
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }

        /// EIP-3009.
        struct CancelAuthorization {
            address authorizer;
            bytes32 nonce;
        }

        /// ERC-20.
        function transfer(address to, uint256 value) external returns (bool);

        /// EIP-3009, in Circle's form that takes a signature as one `bytes`.
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, bytes signature
        ) external;

        /// EIP-3009, in Circle's form that takes a signature as one `bytes`.
        function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature) external;
    }
}

/// The EIP-712 digest of an authorisation under the asset's own domain.
///
/// Source: <https://eips.ethereum.org/EIPS/eip-3009>, <https://eips.ethereum.org/EIPS/eip-712>.
pub(crate) fn digest(asset: &Asset, authorization: &Authorization) -> B256 {
    abi::TransferWithAuthorization {
        from: authorization.from,
        to: authorization.to,
        value: U256::from(authorization.value.get()),
        validAfter: U256::from(authorization.window.valid_after_s),
        validBefore: U256::from(authorization.window.valid_before_s),
        nonce: authorization.nonce,
    }
    .eip712_signing_hash(&domain(asset))
}

/// The EIP-712 digest of a cancellation under the asset's own domain.
///
/// Source: <https://eips.ethereum.org/EIPS/eip-3009>, <https://eips.ethereum.org/EIPS/eip-712>.
pub(crate) fn cancel_digest(asset: &Asset, authorizer: Address, nonce: B256) -> B256 {
    abi::CancelAuthorization { authorizer, nonce }.eip712_signing_hash(&domain(asset))
}

fn domain(asset: &Asset) -> Eip712Domain {
    Eip712Domain {
        name: Some(asset.eip712_name.clone().into()),
        version: Some(asset.eip712_version.clone().into()),
        chain_id: Some(U256::from(asset.id.chain_id)),
        verifying_contract: Some(asset.id.contract),
        salt: None,
    }
}

/// Signs a digest, deterministically (RFC 6979).
pub(crate) fn sign_digest(
    signer: &PrivateKeySigner,
    digest: &B256,
) -> Result<[u8; 65], VaultError> {
    signer
        .sign_hash_sync(digest)
        .map(|signature| signature.as_bytes())
        .map_err(|_| VaultError::Internal { doing: "sign" })
}

/// A call of the asset's contract by the treasury, worth no ether: an ERC-20 `transfer` of its own
/// tokens, or what an agent's key signed, taken to the chain.
pub(crate) struct TreasuryCall {
    transaction: TxEip1559,
}

impl TreasuryCall {
    pub(crate) fn of(grant: &TreasuryGrant) -> Self {
        Self::new(grant.asset(), grant.to(), grant.value(), grant.terms())
    }

    fn new(asset: &Asset, to: Address, value: Units, terms: TransactionTerms) -> Self {
        Self::with_input(
            asset,
            abi::transferCall { to, value: U256::from(value.get()) }.abi_encode(),
            terms,
        )
    }

    /// Burns what a grant names, by the agent's own signature.
    pub(crate) fn cancel(grant: &CancelGrant, signature: [u8; 65]) -> Self {
        let input = abi::cancelAuthorizationCall {
            authorizer: grant.authorizer(),
            nonce: grant.nonce(),
            signature: signature.into(),
        };
        Self::with_input(grant.asset(), input.abi_encode(), grant.terms())
    }

    /// Takes an agent's signed authorisation to the chain.
    pub(crate) fn relay(
        asset: &Asset,
        authorization: &Authorization,
        signature: [u8; 65],
        terms: TransactionTerms,
    ) -> Self {
        let input = abi::transferWithAuthorizationCall {
            from: authorization.from,
            to: authorization.to,
            value: U256::from(authorization.value.get()),
            validAfter: U256::from(authorization.window.valid_after_s),
            validBefore: U256::from(authorization.window.valid_before_s),
            nonce: authorization.nonce,
            signature: signature.into(),
        };
        Self::with_input(asset, input.abi_encode(), terms)
    }

    fn with_input(asset: &Asset, input: Vec<u8>, terms: TransactionTerms) -> Self {
        Self {
            transaction: TxEip1559 {
                chain_id: asset.id.chain_id,
                nonce: terms.nonce,
                gas_limit: terms.gas_limit,
                max_fee_per_gas: terms.max_fee_per_gas_wei,
                max_priority_fee_per_gas: terms.max_priority_fee_per_gas_wei,
                to: TxKind::Call(asset.id.contract),
                value: U256::ZERO,
                access_list: Default::default(),
                input: input.into(),
            },
        }
    }

    /// Nothing, to nobody, for tests of what must refuse it.
    #[cfg(test)]
    pub(crate) fn for_tests(asset: &Asset, terms: TransactionTerms) -> Self {
        Self::new(asset, Address::ZERO, Units::ZERO, terms)
    }

    /// The unsigned transaction, as a device shows and signs it.
    #[cfg(feature = "ledger-device")]
    pub(crate) fn encoded(&self) -> Vec<u8> {
        self.transaction.encoded_for_signing()
    }

    /// The transaction with a signature from elsewhere; nothing when another key made it.
    #[cfg(feature = "ledger-device")]
    pub(crate) fn signed_by(
        self,
        signature: alloy_primitives::Signature,
        payer: Address,
    ) -> Option<SignedTransaction> {
        let signer = signature.recover_address_from_prehash(&self.transaction.signature_hash());
        if signer.ok()? != payer {
            return None;
        }
        let signed = self.transaction.into_signed(signature);
        Some(SignedTransaction { raw: signed.encoded_2718(), hash: *signed.hash() })
    }

    pub(crate) fn sign(self, signer: &PrivateKeySigner) -> Result<SignedTransaction, VaultError> {
        let signature = signer
            .sign_hash_sync(&self.transaction.signature_hash())
            .map_err(|_| VaultError::Internal { doing: "sign" })?;
        let signed = self.transaction.into_signed(signature);
        Ok(SignedTransaction { raw: signed.encoded_2718(), hash: *signed.hash() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::consensus::TxEnvelope;
    use alloy::eips::eip2718::Decodable2718;
    use alloy_primitives::{Signature, address, b256, keccak256};
    use imprest_domain::{AssetId, ValidityWindow};
    use proptest::prelude::*;

    fn usdc() -> Asset {
        let contract = address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");
        Asset {
            id: AssetId { chain_id: 8453, contract },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USD Coin".into(),
            eip712_version: "2".into(),
        }
    }

    fn authorization(value: u128, after: u64, before: u64, nonce: [u8; 32]) -> Authorization {
        Authorization {
            asset: usdc().id,
            from: Address::repeat_byte(0x11),
            to: Address::repeat_byte(0x22),
            value: Units::new(value).expect("fits"),
            window: ValidityWindow { valid_after_s: after, valid_before_s: before },
            nonce: nonce.into(),
        }
    }

    fn signer() -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&B256::repeat_byte(0x46)).expect("a key")
    }

    fn word(n: u128) -> [u8; 32] {
        U256::from(n).to_be_bytes()
    }

    fn address_word(address: Address) -> [u8; 32] {
        address.into_word().0
    }

    fn domain_separator(asset: &Asset) -> B256 {
        keccak256(
            [
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
                )
                .0,
                keccak256(&asset.eip712_name).0,
                keccak256(&asset.eip712_version).0,
                word(asset.id.chain_id.into()),
                address_word(asset.id.contract),
            ]
            .concat(),
        )
    }

    /// The digest by hand, from the texts of EIP-712 and EIP-3009.
    fn by_hand(asset: &Asset, a: &Authorization) -> B256 {
        let fields = keccak256(
            [
                // keccak256 of the type's text, as EIP-3009 states it.
                b256!("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267").0,
                address_word(a.from),
                address_word(a.to),
                word(a.value.get()),
                word(a.window.valid_after_s.into()),
                word(a.window.valid_before_s.into()),
                a.nonce.0,
            ]
            .concat(),
        );
        keccak256([&[0x19, 0x01], &domain_separator(asset)[..], &fields[..]].concat())
    }

    /// What the contract answers to `DOMAIN_SEPARATOR()` on Base.
    #[test]
    fn the_domain_is_the_contracts_own() {
        let on_chain = b256!("02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f");
        assert_eq!(domain_separator(&usdc()), on_chain);
    }

    proptest! {
        #[test]
        fn the_digest_is_that_of_the_eips(
            value in 0..=i64::MAX as u128, after: u64, before: u64, nonce: [u8; 32],
            chain_id: u64, name in "\\PC{0,40}", version in "\\PC{0,8}",
        ) {
            let mut asset = usdc();
            asset.id.chain_id = chain_id;
            (asset.eip712_name, asset.eip712_version) = (name, version);
            let signed = authorization(value, after, before, nonce);
            prop_assert_eq!(digest(&asset, &signed), by_hand(&asset, &signed));
        }
    }

    #[test]
    fn a_signature_is_the_payers_and_always_the_same() {
        let digest = digest(&usdc(), &authorization(250_000, 0, 1_900_000_000, [9; 32]));
        let signature = sign_digest(&signer(), &digest).expect("signs");
        assert_eq!(signature, sign_digest(&signer(), &digest).expect("signs"));
        assert!(matches!(signature[64], 27 | 28));
        let read = Signature::from_raw_array(&signature).expect("r, s, v");
        assert!(read.normalize_s().is_none(), "s is in the upper half");
        assert_eq!(
            read.recover_address_from_prehash(&digest).expect("recovers"),
            signer().address()
        );
    }

    #[cfg(feature = "ledger-device")]
    #[test]
    fn a_signature_from_elsewhere_must_be_the_payers() {
        let terms = TransactionTerms {
            nonce: 7,
            gas_limit: 80_000,
            max_fee_per_gas_wei: 2_000_000_000,
            max_priority_fee_per_gas_wei: 1_000_000,
        };
        let transfer = || TreasuryCall::for_tests(&usdc(), terms);
        assert_eq!(keccak256(transfer().encoded()), transfer().transaction.signature_hash());
        let hash = transfer().transaction.signature_hash();
        let signature = signer().sign_hash_sync(&hash).expect("signs");
        let signed = transfer().signed_by(signature, signer().address()).expect("the payer's");
        assert_eq!(signed, transfer().sign(&signer()).expect("signs"));
        assert!(transfer().signed_by(signature, Address::repeat_byte(1)).is_none());
    }

    /// A document of one type under the token's domain, as EIP-712 writes it in JSON.
    fn document(
        name: &str,
        fields: &[(&str, &str)],
        message: serde_json::Value,
    ) -> alloy::dyn_abi::TypedData {
        let typed = |fields: &[(&str, &str)]| {
            let field =
                |(name, kind): &(&str, &str)| serde_json::json!({ "name": name, "type": kind });
            fields.iter().map(field).collect::<Vec<_>>()
        };
        let domain = [
            ("name", "string"),
            ("version", "string"),
            ("chainId", "uint256"),
            ("verifyingContract", "address"),
        ];
        serde_json::from_value(serde_json::json!({
            "types": { "EIP712Domain": typed(&domain), name: typed(fields) },
            "primaryType": name,
            "domain": {
                "name": "USD Coin",
                "version": "2",
                "chainId": 8453,
                "verifyingContract": usdc().id.contract,
            },
            "message": message,
        }))
        .expect("typed data")
    }

    /// The generic implementation of EIP-712 over a document, which shares no code with the
    /// typed one that signs.
    #[test]
    fn the_digest_agrees_with_typed_data_written_as_json() {
        let a = authorization(250_000, 5, 1_900_000_000, [9; 32]);
        let fields = [
            ("from", "address"),
            ("to", "address"),
            ("value", "uint256"),
            ("validAfter", "uint256"),
            ("validBefore", "uint256"),
            ("nonce", "bytes32"),
        ];
        let message = serde_json::json!({
            "from": a.from,
            "to": a.to,
            "value": "250000",
            "validAfter": "5",
            "validBefore": "1900000000",
            "nonce": a.nonce,
        });
        let typed = document("TransferWithAuthorization", &fields, message);
        assert_eq!(typed.eip712_signing_hash().expect("hashes"), digest(&usdc(), &a));
    }

    /// As the EIP states the type, by hand and by the generic implementation over a document.
    #[test]
    fn the_digest_of_a_cancellation_is_that_of_the_eips() {
        let (authorizer, nonce) = (Address::repeat_byte(0x11), B256::repeat_byte(9));
        let found = cancel_digest(&usdc(), authorizer, nonce);
        let fields = keccak256(
            [
                // keccak256 of the type's text, as EIP-3009 states it.
                b256!("158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429").0,
                address_word(authorizer),
                nonce.0,
            ]
            .concat(),
        );
        let by_hand = [&[0x19, 0x01], &domain_separator(&usdc())[..], &fields[..]].concat();
        assert_eq!(found, keccak256(by_hand));
        let message = serde_json::json!({ "authorizer": authorizer, "nonce": nonce });
        let fields = [("authorizer", "address"), ("nonce", "bytes32")];
        let typed = document("CancelAuthorization", &fields, message);
        assert_eq!(typed.eip712_signing_hash().expect("hashes"), found);
    }

    /// What the treasury takes to the chain for an agent carries its signature, and no ether.
    #[test]
    fn a_relayed_authorisation_is_the_contracts_own_call() {
        let terms = TransactionTerms {
            nonce: 8,
            gas_limit: 200_000,
            max_fee_per_gas_wei: 2_000_000_000,
            max_priority_fee_per_gas_wei: 1_000_000,
        };
        let signed = authorization(250_000, 5, 1_900_000_000, [9; 32]);
        let call = TreasuryCall::relay(&usdc(), &signed, [7; 65], terms).transaction;
        let selector = &keccak256(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
        )[..4];
        let input = [
            selector,
            &address_word(signed.from),
            &address_word(signed.to),
            &word(250_000),
            &word(5),
            &word(1_900_000_000),
            &[9; 32],
            // Where the bytes begin, how many there are, and the bytes in whole words.
            &word(7 * 32),
            &word(65),
            &[7; 65],
            &[0; 31],
        ]
        .concat();
        assert_eq!(call.input[..], input[..]);
        assert_eq!((call.to, call.value), (TxKind::Call(usdc().id.contract), U256::ZERO));
        assert_eq!((call.chain_id, call.nonce, call.gas_limit), (8453, 8, 200_000));
    }

    #[test]
    fn a_transfer_moves_tokens_and_no_ether() {
        let terms = TransactionTerms {
            nonce: 7,
            gas_limit: 80_000,
            max_fee_per_gas_wei: 2_000_000_000,
            max_priority_fee_per_gas_wei: 1_000_000,
        };
        let to = Address::repeat_byte(0x33);
        let value = Units::new(5_000_000).expect("fits");
        let signed = TreasuryCall::new(&usdc(), to, value, terms).sign(&signer()).expect("signs");
        assert_eq!(signed.hash, keccak256(&signed.raw));
        let read = TxEnvelope::decode_2718_exact(&signed.raw).expect("an envelope");
        let TxEnvelope::Eip1559(read) = read else { panic!("not EIP-1559") };
        let payer = read.signature().recover_address_from_prehash(&read.signature_hash());
        assert_eq!(payer.expect("recovers"), signer().address());
        let read = read.tx();
        assert_eq!((read.chain_id, read.nonce, read.gas_limit), (8453, 7, 80_000));
        assert_eq!(
            (read.max_fee_per_gas, read.max_priority_fee_per_gas),
            (2_000_000_000, 1_000_000)
        );
        assert_eq!((read.to, read.value), (TxKind::Call(usdc().id.contract), U256::ZERO));
        // transfer(address,uint256), by hand.
        let input = [&[0xa9, 0x05, 0x9c, 0xbb][..], &address_word(to), &word(5_000_000)].concat();
        assert_eq!(read.input[..], input[..]);
        assert!(read.access_list.is_empty());
    }
}
