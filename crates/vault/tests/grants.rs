//! The vault under grants that a real ledger made.

mod desk;

use alloy_primitives::{Address, B256, Signature};
use desk::{Desk, desk, grant, units, usdc};
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
