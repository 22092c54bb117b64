//! The official seller and the official buyer, and a chain of their own to be proved on.

use crate::{Obstacle, Started, workspace_root};
use serde::Deserialize;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long Node.js and a chain may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tenth development account that every anvil knows. It relays the seller's settlements; the
/// desk's own practice shop uses lower ones, so their transaction numbers never clash.
const RELAYER_KEY: &str = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";

/// The chain and the asset that a seller is to be paid in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The chain's RPC address, on loopback.
    pub rpc_url: String,
    /// The chain's id.
    pub chain_id: u64,
    /// The USDC contract, `0x…`.
    pub usdc: String,
    /// The `name` of the contract's EIP-712 domain.
    pub usdc_name: String,
    /// The `version` of the contract's EIP-712 domain.
    pub usdc_version: String,
}

/// What a seller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// x402 version 2.
    X402V2,
    /// x402 version 1; the chain's id has to be [`OwnChain::V1_CHAIN_ID`].
    X402V1,
    /// The `Payment` scheme (MPP), an EVM charge.
    Mpp,
    /// x402 version 2 over MCP: a server of the tools `rates` (0.02 USDC), `broken` (0.01) and
    /// `hello` (free), at `/mcp` with sessions and at `/json` without.
    Tools,
}

/// What a buyer hears from a seller whose facilitator has timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// An error.
    Refuses,
    /// Nothing: the connection is cut.
    HangsUp,
}

impl Protocol {
    /// The seller's program.
    fn script(self) -> Result<Command, Obstacle> {
        match self {
            Protocol::X402V2 => script("merchant", "server.mjs"),
            Protocol::X402V1 => script("v1", "server.mjs"),
            Protocol::Mpp => script("merchant", "mpp.mjs"),
            Protocol::Tools => script("merchant", "tools.mjs"),
        }
    }
}

/// A running official seller of `GET /report` (0.02) and `GET /big` (0.75 USDC), and by x402 v2 of
/// `POST /echo` (0.03); `GET /served` counts its deliveries and is free.
#[derive(Debug)]
pub struct Merchant {
    process: Started,
    url: String,
}

impl Merchant {
    /// Who signs its offers of `/report` and the receipts for it, by x402 v2.
    pub const SIGNER: &str = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";

    /// Starts an x402 v2 seller that is paid at `pay_to` under `terms`.
    ///
    /// # Errors
    /// As [`Merchant::speaking`].
    pub fn start(terms: &Terms, pay_to: &str) -> Result<Merchant, Obstacle> {
        Merchant::speaking(Protocol::X402V2, terms, pay_to)
    }

    /// Starts an x402 v2 seller whose facilitator settles after its time-out: when somebody posts to
    /// `/settle-owed`.
    ///
    /// # Errors
    /// As [`Merchant::speaking`].
    pub fn settling_late(terms: &Terms, pay_to: &str, how: Late) -> Result<Merchant, Obstacle> {
        let mut command = Protocol::X402V2.script()?;
        command.env(
            "LATE",
            match how {
                Late::Refuses => "refuse",
                Late::HangsUp => "cut",
            },
        );
        Merchant::of(command, terms, pay_to)
    }

    /// Starts a seller that is paid at `pay_to` under `terms`, by this protocol.
    ///
    /// # Errors
    /// When Node.js or the packages of `tests` are missing, or the chain does not answer.
    pub fn speaking(protocol: Protocol, terms: &Terms, pay_to: &str) -> Result<Merchant, Obstacle> {
        Merchant::of(protocol.script()?, terms, pay_to)
    }

    fn of(mut command: Command, terms: &Terms, pay_to: &str) -> Result<Merchant, Obstacle> {
        command
            .env("RPC_URL", &terms.rpc_url)
            .env("CHAIN_ID", terms.chain_id.to_string())
            .env("USDC", &terms.usdc)
            .env("USDC_NAME", &terms.usdc_name)
            .env("USDC_VERSION", &terms.usdc_version)
            .env("RELAYER_KEY", RELAYER_KEY)
            .env("PAY_TO", pay_to);
        let process = Started::start(&mut command, None, PATIENCE)?;
        let url = process.ready_text("/url")?;
        Ok(Merchant { process, url })
    }

    /// The seller's origin, `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.url
    }

    /// The address of one good, such as `/report`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Takes the seller away at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// A chain with genuine USDC that needs no desk, for proving the seller itself.
#[derive(Debug)]
pub struct OwnChain {
    _process: Started,
    terms: Terms,
}

impl OwnChain {
    /// The id of Base Sepolia, which x402 version 1 has a name for.
    pub const V1_CHAIN_ID: u64 = 84_532;
    /// An id that no public chain bears.
    const CHAIN_ID: u64 = 402_499;

    /// As [`OwnChain::with_id`], with an id that no public chain bears.
    ///
    /// # Errors
    /// When the practice kit or Node.js is missing.
    pub fn start(buyer: &str) -> Result<OwnChain, Obstacle> {
        OwnChain::with_id(OwnChain::CHAIN_ID, buyer)
    }

    /// Starts anvil, deploys the genuine USDC contract and gives `buyer` 100 USDC.
    ///
    /// # Errors
    /// When the practice kit or Node.js is missing.
    pub fn with_id(chain_id: u64, buyer: &str) -> Result<OwnChain, Obstacle> {
        OwnChain::made_by(script("merchant", "chain.mjs")?, chain_id, buyer)
    }

    fn made_by(mut command: Command, chain_id: u64, buyer: &str) -> Result<OwnChain, Obstacle> {
        command.env("BUYER", buyer).env("CHAIN_ID", chain_id.to_string());
        let process = Started::start(&mut command, None, PATIENCE)?;
        let terms = Terms {
            rpc_url: process.ready_text("/rpc")?,
            chain_id,
            usdc: process.ready_text("/usdc")?,
            usdc_name: process.ready_text("/usdc_name")?,
            usdc_version: process.ready_text("/usdc_version")?,
        };
        Ok(OwnChain { _process: process, terms })
    }

    /// A chain as it is known under the id of Base Sepolia: the contract at its public address, and
    /// a block a second. `buyer` has 100 USDC.
    ///
    /// # Errors
    /// When the practice kit or Node.js is missing.
    pub fn like_base_sepolia(buyer: &str) -> Result<OwnChain, Obstacle> {
        let mut command = script("merchant", "chain.mjs")?;
        command
            .env("CONTRACT", "0x036CbD53842c5426634e7929541eC2318f3dCF7e")
            .env("NAME", "USDC")
            .env("BLOCKS", "1");
        OwnChain::made_by(command, OwnChain::V1_CHAIN_ID, buyer)
    }

    /// What a seller on this chain has to know.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// What the official buyer reports about one purchase.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// The HTTP status of the paid request.
    pub status: u16,
    /// The body of its answer.
    pub body: String,
    /// The decoded `PAYMENT-RESPONSE`, if there was one.
    pub settlement: Option<Settlement>,
    /// The HTTP status when the very same payment was presented a second time.
    pub replay_status: u16,
}

/// The seller's word that it has been paid.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Settlement {
    /// Whether it says so.
    pub success: bool,
    /// The transaction it names.
    pub transaction: String,
    /// The CAIP-2 network.
    pub network: String,
    /// Who paid.
    pub payer: String,
}

/// Buys once with the official client under the key `buyer_key`, then tries to pay the same again.
///
/// # Errors
/// When Node.js is missing or the client fails; the message carries what it said.
pub fn buy(terms: &Terms, method: &str, url: &str, buyer_key: &str) -> Result<Purchase, Obstacle> {
    let output = script("merchant", "pay.mjs")?
        .env("URL", url)
        .env("METHOD", method)
        .env("CHAIN_ID", terms.chain_id.to_string())
        .env("USDC", &terms.usdc)
        .env("BUYER_KEY", buyer_key)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Obstacle::io("starting node", &e))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        Obstacle::new(format!("The official client gave no answer ({error}). It said: {said}"))
    })
}

/// Has the official client fetch every address, paying at most `units_max` each time, and answers
/// how its fetches ended.
///
/// # Errors
/// When Node.js is missing or the client fails; the message carries what it said.
pub fn official_among(
    terms: &Terms,
    addresses: &[String],
    buyer_key: &str,
    units_max: u128,
) -> Result<String, Obstacle> {
    let mut client = script("merchant", "hostile.mjs")?
        .env("CHAIN_ID", terms.chain_id.to_string())
        .env("USDC", &terms.usdc)
        .env("BUYER_KEY", buyer_key)
        .env("UNITS_MAX", units_max.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Obstacle::io("starting node", &e))?;
    if let Some(mut stdin) = client.stdin.take() {
        let lines = addresses.join("\n");
        stdin.write_all(lines.as_bytes()).map_err(|e| Obstacle::io("telling node", &e))?;
    }
    let output = client.wait_with_output().map_err(|e| Obstacle::io("hearing node", &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Obstacle::new(format!("The official client failed. It said: {said}")))
}

fn script(folder: &str, name: &str) -> Result<Command, Obstacle> {
    let tests = workspace_root().join("tests");
    let installed = if folder == "v1" { tests.join(folder) } else { tests.clone() };
    if !installed.join("node_modules").is_dir() {
        return Err(Obstacle::new(
            "The packages of the journeys are not installed. Run `cargo xtask setup`.",
        ));
    }
    let mut command = Command::new("node");
    command.arg(tests.join(folder).join(name));
    Ok(command)
}
