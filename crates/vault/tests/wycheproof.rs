//! Project Wycheproof's attacks, against the very crates that the vault seals and signs with.

use alloy::signers::k256::EncodedPoint;
use alloy::signers::k256::ecdsa::signature::hazmat::PrehashVerifier;
use alloy::signers::k256::ecdsa::{Signature, VerifyingKey};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use wycheproof::{aead, ecdsa};

/// Opens and seals every case; a case with a nonce of another length must be one that fails.
fn aead_cases<C: KeyInit + Aead>(name: aead::TestName, nonce_bytes: usize) -> usize {
    let set = aead::TestSet::load(name).expect("the test vectors");
    let mut ran = 0;
    for group in &set.test_groups {
        for case in &group.tests {
            let id = case.tc_id;
            if case.nonce.len() != nonce_bytes {
                assert!(case.result.must_fail(), "case {id}");
                ran += 1;
                continue;
            }
            let cipher = C::new_from_slice(&case.key).expect("32 bytes");
            let nonce: &chacha20poly1305::aead::Nonce<C> =
                case.nonce[..].try_into().expect("as long as checked");
            let sealed = [&case.ct[..], &case.tag].concat();
            let opened = cipher.decrypt(nonce, Payload { msg: &sealed, aad: &case.aad });
            if case.result.must_fail() {
                assert!(opened.is_err(), "case {id} was opened");
            } else {
                assert_eq!(opened.expect("opens"), case.pt[..], "case {id}");
                let again = cipher.encrypt(nonce, Payload { msg: &case.pt, aad: &case.aad });
                assert_eq!(again.expect("seals"), sealed, "case {id}");
            }
            ran += 1;
        }
    }
    ran
}

#[test]
fn xchacha20_poly1305() {
    let ran = aead_cases::<XChaCha20Poly1305>(aead::TestName::XChaCha20Poly1305, 24);
    println!("{ran} cases");
    assert!(ran >= 250, "only {ran} cases");
}

#[test]
fn chacha20_poly1305() {
    let ran = aead_cases::<ChaCha20Poly1305>(aead::TestName::ChaCha20Poly1305, 12);
    println!("{ran} cases");
    assert!(ran >= 250, "only {ran} cases");
}

/// Signatures in DER, and as the 64 bytes that Ethereum uses.
#[test]
fn ecdsa_secp256k1() {
    for (name, parse) in [
        (
            ecdsa::TestName::EcdsaSecp256k1Sha256,
            Signature::from_der as fn(&[u8]) -> Result<Signature, _>,
        ),
        (ecdsa::TestName::EcdsaSecp256k1Sha256P1363, Signature::from_slice),
    ] {
        let set = ecdsa::TestSet::load(name).expect("the test vectors");
        let mut ran = 0;
        for group in &set.test_groups {
            let point = EncodedPoint::from_bytes(&group.key.key).expect("a point");
            let key = VerifyingKey::from_encoded_point(&point).expect("a key");
            for case in &group.tests {
                let digest = Sha256::digest(&case.msg);
                // Ethereum takes the lower half of s only; both halves are good ECDSA.
                let good = parse(&case.sig)
                    .map(|signature| signature.normalize_s().unwrap_or(signature))
                    .and_then(|signature| key.verify_prehash(&digest, &signature));
                assert_eq!(good.is_ok(), !case.result.must_fail(), "case {}", case.tc_id);
                ran += 1;
            }
        }
        println!("{ran} cases");
        assert!(ran >= 200, "only {ran} cases");
    }
}
