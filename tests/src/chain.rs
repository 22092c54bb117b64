//! The chain as anyone can read it, without a word of the desk's own code.

use crate::Obstacle;
use serde_json::{Value, json};

/// What an address holds of a token, in atomic units, read by JSON-RPC at the newest block.
///
/// # Errors
/// When the chain does not answer with one word.
pub async fn token_balance(rpc_url: &str, token: &str, owner: &str) -> Result<u128, Obstacle> {
    let owner = owner.trim_start_matches("0x");
    // balanceOf(address), ERC-20.
    let data = format!("0x70a08231{owner:0>64}");
    let word = rpc(rpc_url, "eth_call", json!([{ "to": token, "data": data }, "latest"])).await?;
    let digits = word.as_str().unwrap_or_default();
    u128::from_str_radix(digits.trim_start_matches("0x"), 16)
        .map_err(|_| Obstacle::new(format!("The chain answered {word} instead of a balance.")))
}

/// Asks a chain one thing by JSON-RPC, and answers its result.
///
/// # Errors
/// When the chain does not answer, or answers with an error.
pub async fn rpc(rpc_url: &str, method: &str, params: Value) -> Result<Value, Obstacle> {
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let trouble = |e: &dyn std::fmt::Display| Obstacle::new(format!("Asking for {method}: {e}"));
    let answer = reqwest::Client::new().post(rpc_url).json(&ask).send().await;
    let answer: Value = answer.map_err(|e| trouble(&e))?.json().await.map_err(|e| trouble(&e))?;
    match (answer.get("error"), answer.get("result")) {
        (None, Some(result)) => Ok(result.clone()),
        _ => Err(trouble(&answer)),
    }
}
