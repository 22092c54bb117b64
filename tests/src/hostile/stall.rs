//! The sockets behind which the cheats stand.

use super::{Case, PAYING, base64, http};
use crate::Obstacle;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The most of a request's head that a stall reads.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How much a stall that never stops talking says, in bytes.
const FLOOD_BYTES: usize = 64 << 20;

/// What a stall answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes, and the end.
    Say(Vec<u8>),
    /// These bytes, and then silence.
    SayAndHang(Vec<u8>),
    /// These bytes, and then the same letter for as long as anybody listens.
    Flood(Vec<u8>),
    /// The price of something at the stall itself, by these terms.
    Ask(Value),
    /// Nothing.
    Cut,
}

/// A payment that reached a stall.
#[derive(Debug, Clone)]
pub struct Paid {
    /// Which case's address it came to; none for one that was led elsewhere.
    pub case: Option<usize>,
    /// The header's name, lower case.
    pub header: String,
    /// Its value.
    pub value: String,
    /// When it came, seconds since 1970.
    pub at_s: u64,
}

/// A street of stalls, each with an origin of its own, and the place where redirects lead.
#[derive(Debug)]
pub struct Market {
    stalls: Vec<SocketAddr>,
    elsewhere: SocketAddr,
    cases: Arc<Mutex<Vec<Case>>>,
    paid: Arc<Mutex<Vec<Paid>>>,
    _open: JoinSet<()>,
}

impl Market {
    /// Opens so many stalls; they sell nothing yet.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub async fn open(stalls: usize) -> Result<Market, Obstacle> {
        let cases: Arc<Mutex<Vec<Case>>> = Arc::default();
        let paid: Arc<Mutex<Vec<Paid>>> = Arc::default();
        let mut open = JoinSet::new();
        let mut addresses = Vec::new();
        for _ in 0..=stalls {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.map_err(|e| Obstacle::io("opening a stall", &e))?;
            addresses.push(listener.local_addr().map_err(|e| Obstacle::io("opening a stall", &e))?);
            let (cases, paid) = (Arc::clone(&cases), Arc::clone(&paid));
            open.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (cases, paid) = (Arc::clone(&cases), Arc::clone(&paid));
                    // A buyer that hangs up is no concern of the stall's.
                    tokio::spawn(async move { drop(serve(stream, &cases, &paid).await) });
                }
            });
        }
        let elsewhere = addresses.remove(0);
        Ok(Market { stalls: addresses, elsewhere, cases, paid, _open: open })
    }

    /// Puts the cases up, and answers the address of each.
    pub fn put_up(&self, cases: Vec<Case>) -> Vec<String> {
        let addresses = (0..cases.len()).map(|at| {
            let stall = self.stalls[at % self.stalls.len()];
            format!("http://{stall}/c/{at}")
        });
        let addresses = addresses.collect();
        *self.cases.lock().unwrap_or_else(PoisonError::into_inner) = cases;
        addresses
    }

    /// `host:port` of every stall, and of the place where redirects lead.
    pub fn hosts(&self) -> Vec<String> {
        self.stalls.iter().chain([&self.elsewhere]).map(ToString::to_string).collect()
    }

    /// Where redirects lead.
    pub fn elsewhere(&self) -> SocketAddr {
        self.elsewhere
    }

    /// Takes everything that was paid so far.
    pub fn take_paid(&self) -> Vec<Paid> {
        std::mem::take(&mut *self.paid.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(
    mut stream: TcpStream,
    cases: &Mutex<Vec<Case>>,
    paid: &Mutex<Vec<Paid>>,
) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let case = path.strip_prefix("/c/").and_then(|digits| digits.parse::<usize>().ok());
    let payment = payment_in(&head);
    if let Some((header, value)) = &payment {
        let at_s = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let arrived = Paid { case, header: header.clone(), value: value.clone(), at_s };
        paid.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
    }
    let reply = {
        let cases = cases.lock().unwrap_or_else(PoisonError::into_inner);
        let case = case.and_then(|at| cases.get(at));
        case.map_or(Reply::Cut, |case| {
            if payment.is_some() { &case.paid } else { &case.unpaid }.clone()
        })
    };
    match reply {
        Reply::Cut => Ok(()),
        Reply::Ask(mut terms) => {
            terms["resource"]["url"] = format!("http://{}{path}", stream.local_addr()?).into();
            let header = base64(&terms.to_string());
            let asks = [("PAYMENT-REQUIRED", header.as_str())];
            stream.write_all(&http("402 Payment Required", &asks, b"{}")).await
        }
        Reply::Say(bytes) => stream.write_all(&bytes).await,
        Reply::SayAndHang(bytes) => {
            stream.write_all(&bytes).await?;
            // Ends when the buyer gives up.
            stream.read(&mut [0; 1]).await.map(drop)
        }
        Reply::Flood(bytes) => {
            stream.write_all(&bytes).await?;
            let chunk = vec![b'x'; 64 * 1024];
            for _ in 0..FLOOD_BYTES / chunk.len() {
                stream.write_all(&chunk).await?;
            }
            Ok(())
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn payment_in(head: &str) -> Option<(String, String)> {
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.to_ascii_lowercase();
        PAYING.contains(&name.as_str()).then(|| (name, value.trim().to_owned()))
    })
}
