//! The vault under grants that a real ledger made.

mod desk;

use alloy_primitives::{Address, B256, Signature};
use desk::{Desk, desk, grant, grant_with_gas, units, usdc};
use imprest_domain::PaymentState;
use imprest_ledger::TransactionTerms;
use imprest_vault::{KdfCost, SecretText, Vault, VaultError};

/// A new unlocked vault in a folder that is removed with the guard.
fn new_vault() -> (Vault, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let cheap = KdfCost::new(19 * 1024, 1, 1).expect("in bounds");
    let passphrase = SecretText::new("correct horse".into());
    let path = folder.path().join("vault.json");
    let (vault, _words) = Vault::create(path, &passphrase, cheap).expect("created");
    (vault, folder)
}

/// A desk whose books have the agent's own address.
async fn honest_desk() -> (Desk, tempfile::TempDir) {
    let (vault, folder) = new_vault();
    let float = vault.address(1).expect("unlocked");
    (desk(vault, float).await, folder)
}

/// What the books say of a payment.
async fn state_of(desk: &Desk, payment: &imprest_domain::PaymentId) -> PaymentState {
    desk.ledger.payment(payment).await.expect("there").state
}

#[tokio::test]
async fn a_grant_becomes_the_agents_signature() {
    let (desk, _folder) = honest_desk().await;
    let grant = grant(&desk).await;
    let (payment, authorization) = (grant.payment().clone(), grant.authorization().clone());
    let signed = desk.vault.sign(grant).expect("signs");
    assert_eq!(signed.payment, payment);
    assert_eq!(signed.authorization, authorization);
    let hex = signed.signature_hex();
    assert!(hex.starts_with("0x") && hex.len() == 132, "{hex}");

    let digest = eip712_digest(&authorization);
    let signature = Signature::from_raw_array(&signed.signature).expect("r, s, v");
    let payer = signature.recover_address_from_prehash(&digest).expect("recovers");
    assert_eq!(payer, authorization.from);
    assert_eq!(payer, desk.vault.address(1).expect("unlocked"));
}

/// EIP-712 by hand, so that the vault's digest is not its own witness.
fn eip712_digest(a: &imprest_domain::Authorization) -> B256 {
    use alloy_primitives::{U256, keccak256};
    let word = |n: u128| U256::from(n).to_be_bytes::<32>();
    let domain = keccak256(
        [
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)").0,
            keccak256("USD Coin").0,
            keccak256("2").0,
            word(31_337),
            Address::repeat_byte(7).into_word().0,
        ]
        .concat(),
    );
    let message = keccak256(
        [
            keccak256("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)").0,
            a.from.into_word().0,
            a.to.into_word().0,
            word(a.value.get()),
            word(a.window.valid_after_s.into()),
            word(a.window.valid_before_s.into()),
            a.nonce.0,
        ]
        .concat(),
    );
    keccak256([&[0x19, 0x01], &domain[..], &message[..]].concat())
}

#[tokio::test]
async fn a_refused_grant_comes_back_and_frees_its_hold() {
    let (desk, _folder) = honest_desk().await;
    for stop in [Vault::halt as fn(&Vault), Vault::lock] {
        let grant = grant(&desk).await;
        let payment = grant.payment().clone();
        stop(&desk.vault);
        let refused = *desk.vault.sign(grant).expect_err("refused");
        assert!(matches!(refused.error, VaultError::Halted | VaultError::Locked));
        assert_eq!(refused.to_string(), refused.error.to_string());
        assert_eq!(refused.grant.payment(), &payment);
        assert_ne!(state_of(&desk, &payment).await, PaymentState::Void);
        desk.ledger.void(refused.grant, "not signed".into()).await.expect("voided");
        assert_eq!(state_of(&desk, &payment).await, PaymentState::Void);
        desk.vault.resume();
    }
}

#[tokio::test]
async fn a_book_entry_with_another_address_is_not_signed() {
    let (vault, _folder) = new_vault();
    let desk = desk(vault, Address::repeat_byte(0x66)).await;
    let refused = desk.vault.sign(grant(&desk).await).expect_err("refused");
    let own = desk.vault.address(1).expect("unlocked");
    match refused.error {
        VaultError::WrongPayer { account: 1, own: found, named } => {
            assert_eq!((found, named), (own, Address::repeat_byte(0x66)));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_refill_is_the_treasurys_transaction() {
    let (desk, _folder) = honest_desk().await;
    let terms = TransactionTerms {
        nonce: 3,
        gas_limit: 80_000,
        max_fee_per_gas_wei: 2_000_000_000,
        max_priority_fee_per_gas_wei: 1_000_000,
    };
    let refill = async || {
        let begun = desk.ledger.begin_refill(&desk.agent, units(1_000_000), usdc(), terms).await;
        begun.expect("granted")
    };
    let signed = desk.vault.sign_treasury(refill().await).expect("signs");
    assert_eq!(signed.hash, alloy_primitives::keccak256(&signed.raw));
    assert_eq!(signed.raw[0], 2, "not an EIP-1559 envelope");
    let float = desk.vault.address(1).expect("unlocked");
    assert!(signed.raw.windows(20).any(|bytes| bytes == float.as_slice()));

    let grant = refill().await;
    let id = grant.refill().clone();
    desk.vault.halt();
    let refused = desk.vault.sign_treasury(grant).expect_err("frozen");
    assert!(matches!(refused.error, VaultError::Halted));
    assert_eq!(refused.grant.refill(), &id);
}

const RELAY: TransactionTerms = TransactionTerms {
    nonce: 5,
    gas_limit: 200_000,
    max_fee_per_gas_wei: 2_000_000_000,
    max_priority_fee_per_gas_wei: 1_000_000,
};

/// The call in a signed transaction, once its payer has been found to be the treasury.
fn call_by_the_treasury(desk: &Desk, raw: &[u8]) -> Vec<u8> {
    use alloy::consensus::TxEnvelope;
    use alloy::eips::eip2718::Decodable2718;
    let envelope = TxEnvelope::decode_2718_exact(raw).expect("an envelope");
    let TxEnvelope::Eip1559(signed) = envelope else { panic!("not EIP-1559") };
    let payer = signed.signature().recover_address_from_prehash(&signed.signature_hash());
    assert_eq!(payer.expect("recovers"), desk.vault.treasury_address().expect("unlocked"));
    let call = signed.tx();
    assert_eq!((call.nonce, call.gas_limit, call.value.is_zero()), (5, 200_000, true));
    assert_eq!(call.to.to(), Some(&usdc().id.contract));
    call.input.to_vec()
}

/// The one `bytes` at the end of a call.
fn last_bytes(input: &[u8]) -> [u8; 65] {
    input[input.len() - 96..][..65].try_into().expect("65 bytes")
}

#[tokio::test]
async fn a_cancellation_is_signed_by_both_keys_even_in_a_frozen_desk() {
    let (desk, _folder) = honest_desk().await;
    let held = grant(&desk).await;
    let (payment, signed) = (held.payment().clone(), held.authorization().clone());
    let cancel = async || {
        let begun = desk.ledger.begin_cancel(&payment, usdc(), RELAY).await;
        begun.expect("granted")
    };
    desk.vault.halt();
    let transaction = desk.vault.sign_cancel(cancel().await).expect("signs");
    assert_eq!(transaction.hash, alloy_primitives::keccak256(&transaction.raw));
    let input = call_by_the_treasury(&desk, &transaction.raw);
    // cancelAuthorization(address,bytes32,bytes), by hand.
    let selector = alloy_primitives::keccak256("cancelAuthorization(address,bytes32,bytes)");
    assert_eq!(input[..4], selector[..4]);
    assert_eq!(input[4..36], signed.from.into_word()[..]);
    assert_eq!(input[36..68], signed.nonce[..]);
    let digest = cancel_digest(signed.from, signed.nonce);
    let signature = Signature::from_raw_array(&last_bytes(&input)).expect("r, s, v");
    assert_eq!(signature.recover_address_from_prehash(&digest).expect("recovers"), signed.from);
    assert!(desk.vault.sign(held).is_err(), "the desk is frozen all the same");

    desk.vault.lock();
    let refused = *desk.vault.sign_cancel(cancel().await).expect_err("locked");
    assert!(matches!(refused.error, VaultError::Locked));
    assert_eq!(refused.grant.payment(), &payment);
}

/// EIP-712 by hand, as [`eip712_digest`].
fn cancel_digest(authorizer: Address, nonce: B256) -> B256 {
    use alloy_primitives::{U256, keccak256};
    let domain = keccak256(
        [
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)").0,
            keccak256("USD Coin").0,
            keccak256("2").0,
            U256::from(31_337).to_be_bytes::<32>(),
            Address::repeat_byte(7).into_word().0,
        ]
        .concat(),
    );
    let kind = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    let message = keccak256([kind.0, authorizer.into_word().0, nonce.0].concat());
    keccak256([&[0x19, 0x01], &domain[..], &message[..]].concat())
}

#[tokio::test]
async fn a_cancellation_for_another_address_is_not_signed() {
    let (vault, _folder) = new_vault();
    let desk = desk(vault, Address::repeat_byte(0x66)).await;
    let payment = grant(&desk).await.payment().clone();
    let begun = desk.ledger.begin_cancel(&payment, usdc(), RELAY).await.expect("granted");
    let refused = desk.vault.sign_cancel(begun).expect_err("refused");
    assert!(matches!(refused.error, VaultError::WrongPayer { account: 1, .. }), "{refused}");
}

#[tokio::test]
async fn a_sweep_pays_the_treasury_and_nobody_else() {
    let (desk, _folder) = honest_desk().await;
    let treasury = desk.vault.treasury_address().expect("unlocked");
    let sweep = async |to: Address| {
        let (agent, all) = (&desk.agent, units(5_000_000));
        let begun = desk.ledger.begin_sweep(agent, Some(units(7)), all, to, usdc(), RELAY).await;
        begun.expect("granted")
    };
    let granted = sweep(treasury).await;
    let authorization = granted.authorization().clone();
    let transaction = desk.vault.sign_sweep(granted).expect("signs");
    let input = call_by_the_treasury(&desk, &transaction.raw);
    let signature = Signature::from_raw_array(&last_bytes(&input)).expect("r, s, v");
    let payer = signature.recover_address_from_prehash(&eip712_digest(&authorization));
    assert_eq!(payer.expect("recovers"), authorization.from);
    assert_eq!(input[36..68], treasury.into_word()[..]);

    let elsewhere = desk.vault.sign_sweep(sweep(Address::repeat_byte(5)).await);
    match elsewhere.expect_err("refused").error {
        VaultError::WrongPayee { own, named } => {
            assert_eq!((own, named), (treasury, Address::repeat_byte(5)));
        }
        other => panic!("{other}"),
    }
    for stop in [Vault::halt as fn(&Vault), Vault::lock] {
        let granted = sweep(treasury).await;
        stop(&desk.vault);
        let refused = *desk.vault.sign_sweep(granted).expect_err("refused");
        assert!(matches!(refused.error, VaultError::Halted | VaultError::Locked));
        desk.ledger.void_sweep(refused.grant, "not signed".into()).await.expect("gives back");
        desk.vault.resume();
    }
}

#[tokio::test]
async fn a_transfer_is_relayed_within_the_fee_that_its_grant_allows() {
    let (desk, _folder) = honest_desk().await;
    let granted = async |fee_max_wei: Option<u128>| grant_with_gas(&desk, fee_max_wei).await;
    // 200 000 gas at 2 gwei.
    let most = 400_000_000_000_000;
    let leave = granted(Some(most)).await;
    let authorization = leave.authorization().clone();
    let transaction = desk.vault.sign_relayed(leave, RELAY).expect("signs");
    let input = call_by_the_treasury(&desk, &transaction.raw);
    let signature = Signature::from_raw_array(&last_bytes(&input)).expect("r, s, v");
    let payer = signature.recover_address_from_prehash(&eip712_digest(&authorization));
    assert_eq!(payer.expect("recovers"), authorization.from);
    assert_eq!(input[36..68], authorization.to.into_word()[..]);

    let endless = TransactionTerms { max_fee_per_gas_wei: u128::MAX, ..RELAY };
    for (fee_max_wei, terms) in [(None, RELAY), (Some(most - 1), RELAY), (Some(most), endless)] {
        let refused =
            *desk.vault.sign_relayed(granted(fee_max_wei).await, terms).expect_err("dear");
        assert!(matches!(refused.error, VaultError::OverFee), "{refused}");
        desk.ledger.void(refused.grant, "not signed".into()).await.expect("gives back");
    }
    desk.vault.halt();
    let frozen = desk.vault.sign_relayed(granted(Some(most)).await, RELAY).expect_err("frozen");
    assert!(matches!(frozen.error, VaultError::Halted));
}
