//! Real sockets on the loopback address: payees, kind and hostile.
#![allow(dead_code, reason = "each test file uses its own part")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Address, Asset, AssetId, Authorization, B256, ValidityWindow};
use imprest_rails::{AddressGuard, Options, Payload, Quote, Rails, Request};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// USDC on Base Sepolia.
pub fn usdc() -> Asset {
    Asset {
        id: AssetId { chain_id: 84532, contract: TOKEN.parse().expect("an address") },
        symbol: "USDC".into(),
        decimals: 6,
        eip712_name: "USDC".into(),
        eip712_version: "2".into(),
    }
}

pub fn offer() -> Value {
    json!({
        "scheme": "exact",
        "network": "eip155:84532",
        "amount": "10000",
        "asset": TOKEN,
        "payTo": PAYEE,
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"}
    })
}

pub fn terms(offers: Vec<Value>) -> Value {
    json!({
        "x402Version": 2,
        "error": "Payment required",
        "resource": {"url": "http://127.0.0.1:1/report", "description": "A report"},
        "accepts": offers
    })
}

pub fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

pub fn get(url: &str) -> Request {
    Request::new("GET", url, [], bytes::Bytes::new()).expect("a good request")
}

/// What the desk would have had signed for a quote. The signature is bytes: nobody here checks it.
pub fn signed(quote: &Quote) -> Payload {
    Payload {
        authorization: Authorization {
            asset: quote.payee.asset,
            from: Address::repeat_byte(0xaa),
            to: quote.payee.pay_to,
            value: quote.value,
            window: ValidityWindow::clamped(1_795_000_000, quote.max_timeout_s),
            nonce: B256::repeat_byte(0x11),
        },
        signature: [0x5a; 65],
    }
}

/// Rails that may reach the given sockets and the public internet, with short time limits.
pub fn rails(listed: &[SocketAddr]) -> Rails {
    let guard = AddressGuard::default();
    for address in listed {
        guard.allow(address.to_string().parse().expect("a host and port"));
    }
    Rails::new(Options {
        quote_timeout_ms: 1_500,
        deliver_timeout_ms: 1_500,
        ..Options::new(guard, vec![usdc()])
    })
    .expect("rails")
}

/// A payee that reads one request head and body-less request, then does as told on the raw socket.
pub struct RawPayee {
    pub address: SocketAddr,
    seen: Arc<AtomicUsize>,
    signatures: Arc<AtomicUsize>,
}

impl RawPayee {
    /// Answers each request with bytes, unpaid ones with `unpaid` and paid ones with `paid`.
    pub async fn answering(unpaid: Vec<u8>, paid: Script) -> RawPayee {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (seen, signatures) = (Arc::default(), Arc::default());
        let payee =
            RawPayee { address, seen: Arc::clone(&seen), signatures: Arc::clone(&signatures) };
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::SeqCst);
                let head = read_head(&mut socket).await;
                if is_paid(&head) {
                    signatures.fetch_add(1, Ordering::SeqCst);
                    let script = paid.clone();
                    tokio::spawn(async move { script.run(socket).await });
                } else {
                    let _ = socket.write_all(&unpaid).await;
                }
            }
        });
        payee
    }

    pub fn url(&self) -> String {
        format!("http://{}/report", self.address)
    }

    /// How many connections were made.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// How many requests carried a payment.
    pub fn signatures(&self) -> usize {
        self.signatures.load(Ordering::SeqCst)
    }
}

/// What a raw payee does once it has been paid.
#[derive(Clone)]
pub enum Script {
    /// Writes these bytes and closes.
    Say(Vec<u8>),
    /// Writes these bytes, then holds the connection open in silence.
    SayAndHang(Vec<u8>),
    /// Closes without a word.
    Cut,
}

impl Script {
    async fn run(self, mut socket: TcpStream) {
        match self {
            Script::Say(bytes) => {
                let _ = socket.write_all(&bytes).await;
            }
            Script::SayAndHang(bytes) => {
                let _ = socket.write_all(&bytes).await;
                // Ends when the other side gives up.
                let _ = socket.read(&mut [0; 1]).await;
            }
            Script::Cut => {}
        }
    }
}

/// Whether a request carries a payment, by any of the protocols.
fn is_paid(head: &str) -> bool {
    let head = head.to_ascii_lowercase();
    ["\npayment-signature:", "\nx-payment:", "\nauthorization: payment "]
        .iter()
        .any(|header| head.contains(header))
}

async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(n) => head.extend_from_slice(&chunk[..n]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A whole answer with the given status line, headers and body.
pub fn http(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A 402 with the given terms.
pub fn asks(terms: &Value) -> Vec<u8> {
    http("402 Payment Required", &[("payment-required", &base64(terms.to_string()))], b"{}")
}

/// gzip of `length` zero bytes or a little more, written by hand: a thousandth of their size.
pub fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u32, 0);
    let mut bits = |value: u32, width: u32| {
        // Huffman codes go in with their most significant bit first.
        for at in (0..width).rev() {
            held |= ((value >> at) & 1) << count;
            count += 1;
            if count == 8 {
                out.push(held as u8);
                (held, count) = (0, 0);
            }
        }
    };
    bits(0b1, 1); // the last block,
    bits(0b10, 2); // with fixed codes (01, least significant bit first)
    bits(0b0011_0000, 8); // a zero
    for _ in 0..length / 258 {
        bits(0b1100_0101, 8); // 258 times
        bits(0b0_0000, 5); // what is one byte back
    }
    bits(0, 7); // the end
    bits(0, 7); // padding
    out.extend_from_slice(&[0; 8]);
    out
}
