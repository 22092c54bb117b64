//! What can go wrong between the desk and a node.

use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use imprest_domain::{AmountError, plain_line};

/// Why a node's answer cannot be used. No message carries the node's full URL, whose path may
/// hold an access key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No answer in time, or none that HTTP calls a success.
    #[error(
        "The node at {host} could not be reached: {why}. Check the connection, or set another RPC endpoint for this network."
    )]
    Unreachable {
        /// The node's host, without path or credentials.
        host: String,
        /// A short reason.
        why: String,
    },
    /// The node serves another chain than the registry says.
    #[error(
        "The node at {host} serves chain {found}, not {expected}. Set an RPC endpoint that belongs to this network."
    )]
    WrongChain {
        /// The node's host.
        host: String,
        /// The registry's EIP-155 chain id.
        expected: u64,
        /// What the node answered.
        found: u64,
    },
    /// The list of a network's nodes cannot be used.
    #[error("The RPC endpoints of this network cannot be used: {why}. Set them anew.")]
    Endpoints {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nodes that have to agree do not.
    #[error(
        "The nodes of this network do not say the same about {what}. Wait until they do, or set RPC endpoints that can be relied on."
    )]
    SourcesDisagree {
        /// About what.
        what: &'static str,
    },
    /// The node understood and said no: a revert, a bad nonce, a range too long.
    #[error(
        "The node refused {call}: {message} (code {code}). Read the reason before trying again."
    )]
    Refused {
        /// What was asked.
        call: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words, cut to 200 characters and made visible.
        message: String,
    },
    /// The answer does not have the form or the size the protocol gives it.
    #[error(
        "The node's answer to {call} makes no sense: {why}. Use another RPC endpoint if this stays."
    )]
    Unexpected {
        /// What was asked.
        call: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// There is more in a range of blocks than is read at once.
    #[error(
        "There is more to read in the answer to {call} than fits at once. Ask for fewer blocks."
    )]
    TooMany {
        /// What was asked.
        call: &'static str,
    },
    /// No contract lives at the asset's address.
    #[error(
        "There is no contract at {contract} on chain {chain_id}. Check the network and the asset in the registry."
    )]
    NoCode {
        /// Where the asset should be.
        contract: alloy_primitives::Address,
        /// On which chain.
        chain_id: u64,
    },
    /// The contract and the registry disagree on what the asset is.
    #[error(
        "The contract says its {field} is “{found}”, the registry says “{expected}”. Do not pay with this asset until the registry is right."
    )]
    AssetDiffers {
        /// `name`, `version`, `decimals` or `DOMAIN_SEPARATOR`.
        field: &'static str,
        /// The registry's value.
        expected: String,
        /// The contract's value, cut and made visible.
        found: String,
    },
    /// Gas costs more than the registry lets the desk pay.
    #[error(
        "The node asks {max_fee_per_gas_wei} wei per gas, more than the limit of {limit_wei}. Wait, or raise max_fee_per_gas_wei for this network."
    )]
    FeeTooHigh {
        /// What the node asks.
        max_fee_per_gas_wei: u128,
        /// The registry's limit.
        limit_wei: u128,
    },
    /// A transaction was sent and is not in a block yet.
    #[error(
        "Transaction {transaction} is in no block after {timeout_ms} ms. It may still be mined; look again later."
    )]
    NotMined {
        /// Its hash.
        transaction: alloy_primitives::B256,
        /// How long was waited.
        timeout_ms: u64,
    },
}

impl ChainError {
    /// Whether another node may answer where this one did not.
    pub(crate) fn is_another_nodes_turn(&self) -> bool {
        matches!(self, ChainError::Unreachable { .. } | ChainError::WrongChain { .. })
    }

    /// An answer of the wrong form.
    pub(crate) fn unexpected(call: &'static str, why: impl std::fmt::Display) -> ChainError {
        ChainError::Unexpected { call, why: plain_line(&why.to_string(), 200) }
    }

    /// A figure on chain that does not fit the books.
    pub(crate) fn amount(call: &'static str, why: AmountError) -> ChainError {
        ChainError::unexpected(call, why)
    }

    /// Sorts a transport's error by what the caller can do about it.
    pub(crate) fn from_transport(call: &'static str, host: &str, error: TransportError) -> Self {
        let unreachable =
            |why: String| ChainError::Unreachable { host: host.into(), why: plain_line(&why, 200) };
        match error {
            RpcError::ErrorResp(payload) => ChainError::Refused {
                call,
                code: payload.code,
                message: plain_line(&payload.message, 200),
            },
            RpcError::NullResp => ChainError::unexpected(call, "null where a value belongs"),
            RpcError::DeserError { err, .. } => ChainError::unexpected(call, err),
            RpcError::Transport(kind) => match kind {
                TransportErrorKind::HttpError(http) => unreachable(format!("HTTP {}", http.status)),
                TransportErrorKind::HttpErrorWithRetryAfter { error, .. } => {
                    unreachable(format!("HTTP {}", error.status))
                }
                TransportErrorKind::NonRetryable(why) => ChainError::unexpected(call, why),
                other => unreachable(other.to_string()),
            },
            other => ChainError::unexpected(call, other),
        }
    }
}
