//! Sellers that cheat: a thousand ways to ask for money and to take it, over real sockets, and what
//! they were given for it.
//!
//! Whoever buys is told nothing but addresses. Every payment that arrives anywhere is kept, and
//! judged by rules that know nothing of the desk: what a signature may be for is read off the very
//! terms the seller made, and whose money it is off the signature itself.

mod cases;
mod judge;
mod stall;

pub use cases::{Case, UNITS_MAX, cases};
pub use judge::{Judgement, Rules};
pub use stall::{Market, Paid};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Headers that carry a payment.
const PAYING: [&str; 4] =
    ["payment-signature", "x-payment", "authorization", "payment-authorization"];

/// Where the money of every honest offer goes.
pub const PAY_TO: &str = "0x00000000000000000000000000000000000000bb";

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn base64url(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// A whole answer.
fn http(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
