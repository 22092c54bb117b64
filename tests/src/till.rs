//! A seller whose price and address change while it is open. It takes the money like an honest one:
//! what was signed goes to the chain, by an account that the practice chain lets anyone use.

use crate::{Obstacle, PracticeAddresses, chain::rpc};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Who brings the signatures to the chain; it holds nothing but gas.
const BEARER: &str = "0x00000000000000000000000000000000000b0055";
/// `transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)`,
/// EIP-3009.
const TAKE: &str = "0xe3ee160e";

/// What the till says at the moment.
#[derive(Debug, Clone)]
struct Sign {
    pay_to: String,
    units: u64,
    /// Whether the chain is told of what was signed.
    takes: bool,
}

/// An open till on 127.0.0.1 that sells one thing at `/thing`.
#[derive(Debug)]
pub struct Till {
    address: SocketAddr,
    sign: Arc<Mutex<Sign>>,
    open: JoinHandle<()>,
}

impl Till {
    /// Opens a till that asks for `units` to be paid to `pay_to`.
    ///
    /// # Errors
    /// When it has no port, or the practice chain does not answer.
    pub async fn open(
        practice: &PracticeAddresses,
        pay_to: &str,
        units: u64,
    ) -> Result<Till, Obstacle> {
        let gas = json!([BEARER, "0x56bc75e2d63100000"]);
        rpc(&practice.rpc, "anvil_setBalance", gas).await?;
        rpc(&practice.rpc, "anvil_impersonateAccount", json!([BEARER])).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|e| Obstacle::io("opening a till", &e))?;
        let address = listener.local_addr().map_err(|e| Obstacle::io("opening a till", &e))?;
        let sign = Sign { pay_to: pay_to.to_owned(), units, takes: true };
        let sign = Arc::new(Mutex::new(sign));
        let (says, practice) = (sign.clone(), practice.clone());
        let open = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, practice) = (says.clone(), practice.clone());
                tokio::spawn(async move {
                    // A client that hangs up in the middle is no concern of the till's.
                    let _ = serve(stream, address, &says, &practice).await;
                });
            }
        });
        Ok(Till { address, sign, open })
    }

    /// Host and port, as the desk's list of local addresses wants them.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address of what is sold.
    pub fn thing(&self) -> String {
        format!("http://{}/thing", self.address)
    }

    /// From now on the money goes to another address.
    pub fn pay_to(&self, address: &str) {
        self.change(|sign| sign.pay_to = address.to_owned());
    }

    /// From now on it costs so much.
    pub fn ask(&self, units: u64) {
        self.change(|sign| sign.units = units);
    }

    /// From now on signatures are kept, and nothing is delivered.
    pub fn deliver_nothing(&self) {
        self.change(|sign| sign.takes = false);
    }

    fn change(&self, change: impl FnOnce(&mut Sign)) {
        change(&mut self.sign.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        self.open.abort();
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    sign: &Mutex<Sign>,
    practice: &PracticeAddresses,
) -> Result<(), Obstacle> {
    let io = |e: std::io::Error| Obstacle::io("serving", &e);
    let mut stream = BufReader::new(stream);
    let mut signature = None;
    let mut line = String::new();
    loop {
        line.clear();
        let read = (&mut stream).take(64 * 1024).read_line(&mut line).await.map_err(io)?;
        if read <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("payment-signature")
        {
            signature = Some(value.trim().to_owned());
        }
    }
    let sign = sign.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answer = match signature {
        None => required(address, &sign, practice),
        Some(_) if !sign.takes => "HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Some(signature) => {
            take(&signature, practice).await?;
            let body = json!({ "thing": true }).to_string();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
    };
    stream.write_all(answer.as_bytes()).await.map_err(io)
}

fn required(address: SocketAddr, sign: &Sign, practice: &PracticeAddresses) -> String {
    let terms = json!({
        "x402Version": 2,
        "resource": { "url": format!("http://{address}/thing"), "description": "A thing" },
        "accepts": [{
            "scheme": "exact",
            "network": format!("eip155:{}", practice.chain_id),
            "amount": sign.units.to_string(),
            "asset": practice.usdc,
            "payTo": sign.pay_to,
            "maxTimeoutSeconds": 60,
            "extra": { "name": "USD Coin", "version": "2" },
        }],
    });
    format!(
        "HTTP/1.1 402 Payment Required\r\nPAYMENT-REQUIRED: {}\r\nContent-Length: 2\r\n\
         Connection: close\r\n\r\n{{}}",
        STANDARD.encode(terms.to_string())
    )
}

/// Brings what was signed to the chain.
async fn take(signature: &str, practice: &PracticeAddresses) -> Result<(), Obstacle> {
    let odd = |what: &str| Obstacle::new(format!("The signature has {what}."));
    let decoded = STANDARD.decode(signature).map_err(|_| odd("no base64"))?;
    let payment: Value = serde_json::from_slice(&decoded).map_err(|_| odd("no JSON"))?;
    let text = |pointer: &str| {
        let text = payment.pointer(pointer).and_then(Value::as_str);
        text.ok_or_else(|| odd(&format!("no {pointer}")))
    };
    let word = |digits: &str| format!("{:0>64}", digits.trim_start_matches("0x"));
    let number = |pointer: &str| -> Result<String, Obstacle> {
        let number: u128 = text(pointer)?.parse().map_err(|_| odd("no number"))?;
        Ok(word(&format!("{number:x}")))
    };
    let signed = text("/payload/signature")?.trim_start_matches("0x").to_owned();
    let part = |from: usize, to: usize| signed.get(from..to).ok_or_else(|| odd("no 65 bytes"));
    let data = [
        TAKE.to_owned(),
        word(text("/payload/authorization/from")?),
        word(text("/payload/authorization/to")?),
        number("/payload/authorization/value")?,
        number("/payload/authorization/validAfter")?,
        number("/payload/authorization/validBefore")?,
        word(text("/payload/authorization/nonce")?),
        word(part(128, 130)?),
        word(part(0, 64)?),
        word(part(64, 128)?),
    ];
    let call = json!([{
        "from": BEARER, "to": practice.usdc, "data": data.concat(), "gas": "0x493e0",
        // In a hurry: far more than anybody else pays here, so that it comes first in its block.
        "maxFeePerGas": "0xba43b7400", "maxPriorityFeePerGas": "0x2540be400",
    }]);
    rpc(&practice.rpc, "eth_sendTransaction", call).await.map(drop)
}
