//! A second reader of the vault file, written from its description and sharing no code with the
//! first: what the description says must be enough to open a file.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde_json::Value;
use sha2::Sha256;

/// What opening by a passphrase alone computes on the way.
#[derive(PartialEq, Eq)]
pub struct Steps {
    pub stretched: Vec<u8>,
    pub slot_key: Vec<u8>,
    pub data_key: Vec<u8>,
    pub contents: Vec<u8>,
}

pub fn open(file: &[u8], passphrase: &str) -> Steps {
    let file: Value = serde_json::from_slice(file).expect("json");
    let body = &file["body"];
    let slots = body["slots"].as_array().expect("slots");
    let kind = |slot: &&Value| slot["opened_by"]["kind"] == "passphrase";
    let slot = slots.iter().find(kind).expect("a passphrase slot");
    let kdf = &slot["opened_by"]["kdf"];
    let figure = |name: &str| kdf[name].as_u64().expect("a figure") as u32;
    let params = Params::new(figure("m_kib"), figure("t"), figure("p"), Some(32)).expect("good");
    let mut stretched = vec![0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &bytes(&kdf["salt"]), &mut stretched)
        .expect("stretches");
    let mut slot_key = vec![0; 32];
    Hkdf::<Sha256>::new(Some(&bytes(&body["vault"])), &stretched)
        .expand(b"imprest vault 2: passphrase slot", &mut slot_key)
        .expect("expands");
    let header = header(&file);
    let data_key = unseal(&slot_key, &slot["wrapped"], &aad("slot    ", &slot["id"], &header));
    let none = Value::String("0".repeat(32));
    let contents = unseal(&data_key, &body["payload"], &aad("payload ", &none, &header));
    Steps { stretched, slot_key, data_key, contents }
}

/// The header's fields in their order, without white space.
fn header(file: &Value) -> String {
    let body = &file["body"];
    let text = |value: &Value| value.to_string();
    let kdf = |kdf: &Value| {
        format!(
            r#"{{"name":{},"m_kib":{},"t":{},"p":{},"salt":{}}}"#,
            kdf["name"], kdf["m_kib"], kdf["t"], kdf["p"], kdf["salt"]
        )
    };
    let slot = |slot: &Value| {
        let by = &slot["opened_by"];
        let mut opened_by = format!(r#""kind":{}"#, by["kind"]);
        if by["keychain"].is_string() {
            opened_by += &format!(r#","keychain":{}"#, by["keychain"]);
        }
        if by["kdf"].is_object() {
            opened_by += &format!(r#","kdf":{}"#, kdf(&by["kdf"]));
        }
        format!(r#"{{"id":{},"opened_by":{{{opened_by}}}}}"#, slot["id"])
    };
    let treasury = match body["treasury"]["address"].as_str() {
        Some(address) => {
            format!(r#"{{"kind":{},"address":"{address}"}}"#, body["treasury"]["kind"])
        }
        None => text(&body["treasury"]),
    };
    let slots: Vec<String> = body["slots"].as_array().expect("slots").iter().map(slot).collect();
    format!(
        r#"{{"format":{},"version":{},"vault":{},"generation":{},"treasury":{treasury},"slots":[{}]}}"#,
        file["format"],
        file["version"],
        body["vault"],
        body["generation"],
        slots.join(",")
    )
}

fn aad(part: &str, id: &Value, header: &str) -> Vec<u8> {
    [b"imprest vault 2 ", part.as_bytes(), &bytes(id), header.as_bytes()].concat()
}

fn unseal(key: &[u8], seal: &Value, aad: &[u8]) -> Vec<u8> {
    let nonce: [u8; 24] = bytes(&seal["nonce"]).try_into().expect("24 bytes");
    let payload = Payload { msg: &bytes(&seal["sealed"]), aad };
    let cipher = XChaCha20Poly1305::new_from_slice(key).expect("32 bytes");
    cipher.decrypt(&XNonce::from(nonce), payload).expect("opens")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hex")
}
