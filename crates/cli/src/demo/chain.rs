//! The demo's own eyes on the chain: plain JSON-RPC, past the desk, so that what the desk says
//! can be held against what is there.

use super::story::Halt;
use imprest_domain::{Address, Asset, AssetId, Units};
use serde_json::{Value, json};
use std::time::Duration;

/// `balanceOf(address)` (ERC-20).
const BALANCE_OF: &str = "70a08231";
/// `decimals()` (ERC-20).
const DECIMALS: &str = "313ce567";
/// The chain runs on this very machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A chain and one token on it, as anyone can see them.
pub struct Chain {
    client: reqwest::Client,
    rpc: String,
    /// The token, with its scale as the contract says it.
    pub asset: Asset,
}

/// What became of a transaction.
pub struct Receipt {
    /// Whether it did what it was to do.
    pub ok: bool,
    /// The block it is in.
    pub block: u128,
}

impl Chain {
    /// Looks at a chain and reads the token's scale from its contract.
    pub async fn look(
        rpc: &str,
        chain_id: u64,
        contract: &str,
        symbol: &str,
    ) -> Result<Chain, Halt> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Halt::differs(format!("no HTTP client can be made: {error}")))?;
        let contract: Address = contract.parse().map_err(|_| {
            Halt::differs(format!("the asset’s contract “{contract}” is no address"))
        })?;
        let mut chain = Chain {
            client,
            rpc: rpc.to_owned(),
            asset: Asset {
                id: AssetId { chain_id, contract },
                symbol: symbol.to_owned(),
                decimals: 0,
                eip712_name: String::new(),
                eip712_version: String::new(),
            },
        };
        let decimals = chain.read(DECIMALS).await?;
        chain.asset.decimals = u8::try_from(decimals)
            .ok()
            .filter(|decimals| *decimals <= 24)
            .ok_or_else(|| Halt::differs(format!("the contract says {decimals} decimals")))?;
        Ok(chain)
    }

    /// What an address holds of the token.
    pub async fn balance(&self, address: &str) -> Result<Units, Halt> {
        let owner: Address =
            address.parse().map_err(|_| Halt::differs(format!("“{address}” is no address")))?;
        let owner = format!("{owner:#x}");
        let padded = owner.trim_start_matches("0x");
        let units = self.read(&format!("{BALANCE_OF}{padded:0>64}")).await?;
        Units::new(units).map_err(|error| Halt::differs(format!("the balance {units}: {error}")))
    }

    /// The receipt of a transaction that is in a block.
    pub async fn receipt(&self, transaction: &str) -> Result<Receipt, Halt> {
        let receipt = self.rpc("eth_getTransactionReceipt", json!([transaction])).await?;
        match (quantity(&receipt["status"]), quantity(&receipt["blockNumber"])) {
            (Some(status), Some(block)) => Ok(Receipt { ok: status == 1, block }),
            _ => Err(Halt::differs(format!("the chain knows no transaction {transaction}"))),
        }
    }

    /// Calls a view of the token that answers one number.
    async fn read(&self, data: &str) -> Result<u128, Halt> {
        let contract = format!("{:#x}", self.asset.id.contract);
        let call = json!([{ "to": contract, "data": format!("0x{data}") }, "latest"]);
        let answer = self.rpc("eth_call", call).await?;
        quantity(&answer).ok_or_else(|| Halt::differs(format!("the contract answered {answer}")))
    }

    async fn rpc(&self, method: &str, params: Value) -> Result<Value, Halt> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let silent = |error| Halt::differs(format!("the chain did not answer {method}: {error}"));
        let response = self.client.post(&self.rpc).json(&body).send().await.map_err(silent)?;
        let mut answer: Value = response.json().await.map_err(silent)?;
        match answer.get_mut("result").map(Value::take) {
            Some(result) => Ok(result),
            None => Err(Halt::differs(format!("the chain refused {method}: {}", answer["error"]))),
        }
    }
}

/// A hexadecimal number as JSON-RPC writes it, or a 32-byte word.
fn quantity(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { Some(0) } else { u128::from_str_radix(digits, 16).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        let read = |text: &str| quantity(&json!(text));
        assert_eq!(read("0x0"), Some(0));
        assert_eq!(read("0x1f"), Some(31));
        assert_eq!(read(&format!("0x{:064x}", 610_000)), Some(610_000));
        for bad in ["", "0x", "1f", "0xg", "0x+1", &format!("0x{}", "f".repeat(64)), "0x "] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(quantity(&json!(7)), None);
        assert_eq!(quantity(&Value::Null), None);
    }
}
