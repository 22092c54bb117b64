//! What the asset's contract logged: uses and cancellations of authorisations, and transfers.

use crate::abi::usdc;
use crate::calls::to_units;
use crate::client::{At, Chain};
use crate::error::ChainError;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256};
use futures::future::try_join_all;
use imprest_domain::Units;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most pages of [`crate::Network::log_range_blocks`] one search reads.
const MAX_PAGES: u64 = 512;

/// Most logs one search keeps.
const MAX_LOGS: usize = 10_000;

/// Most addresses one search names; nodes refuse longer lists of topics.
const MAX_ADDRESSES: usize = 500;

/// A transfer made by using one authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The transaction that used it.
    pub transaction: B256,
    /// The block that transaction is in.
    pub block: u64,
    /// Who got the money.
    pub to: Address,
    /// How much, in atomic units.
    pub value: Units,
}

/// An authorisation burnt by its signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// The transaction that cancelled it.
    pub transaction: B256,
    /// The block that transaction is in.
    pub block: u64,
}

/// How an authorisation's nonce was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AuthorizationEnd {
    /// It moved money.
    Used(Settlement),
    /// It can never move money.
    Cancelled(Cancellation),
}

impl AuthorizationEnd {
    /// The block in which it was consumed.
    pub fn block(&self) -> u64 {
        match self {
            AuthorizationEnd::Used(settlement) => settlement.block,
            AuthorizationEnd::Cancelled(gone) => gone.block,
        }
    }
}

/// One transfer of the asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLog {
    /// The transaction it is part of.
    pub tx: B256,
    /// Its place among the logs of the block.
    pub log_index: u64,
    /// The block's number.
    pub block: u64,
    /// Who paid.
    pub from: Address,
    /// Who was paid.
    pub to: Address,
    /// How much, in atomic units.
    pub value: Units,
}

/// A transfer, and the authorisation that made it where it was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The transfer.
    pub transfer: TransferLog,
    /// The nonce that was used for it (EIP-3009), when the payer had signed an authorisation.
    pub nonce: Option<B256>,
}

impl Chain {
    /// Looks for the transfer an authorisation made, from a block to the newest.
    ///
    /// # Errors
    /// As [`Chain::find_end`].
    pub async fn find_settlement(
        &self,
        from: Address,
        nonce: B256,
        from_block: u64,
    ) -> Result<Option<Settlement>, ChainError> {
        Ok(match self.find_end(from, nonce, from_block).await? {
            Some(AuthorizationEnd::Used(settlement)) => Some(settlement),
            Some(AuthorizationEnd::Cancelled(_)) | None => None,
        })
    }

    /// Looks for what consumed an authorisation's nonce, from a block to the newest: the
    /// `AuthorizationUsed` event with the `Transfer` right after it, or `AuthorizationCanceled`.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read; [`ChainError::Unexpected`] for logs that contradict each
    /// other or what was asked, and for a range of more than 512 pages.
    pub async fn find_end(
        &self,
        from: Address,
        nonce: B256,
        from_block: u64,
    ) -> Result<Option<AuthorizationEnd>, ChainError> {
        const CALL: &str = "eth_getLogs for an authorisation";
        let events = vec![
            usdc::AuthorizationUsed::SIGNATURE_HASH,
            usdc::AuthorizationCanceled::SIGNATURE_HASH,
        ];
        let filter = Filter::new().event_signature(events).topic1(from.into_word()).topic2(nonce);
        let last = self.head().await?.number;
        let logs = self.logs(CALL, filter, from_block, last).await?;
        let [log] = logs.as_slice() else {
            return match logs.len() {
                0 => Ok(None),
                // A nonce is consumed once: the contract refuses the second time.
                n => Err(ChainError::unexpected(CALL, format!("one nonce was consumed {n} times"))),
            };
        };
        if log.topic1 != Some(from.into_word()) || log.topic2 != Some(nonce) {
            return Err(ChainError::unexpected(CALL, "it is about another authorisation"));
        }
        if log.topic0 == Some(usdc::AuthorizationCanceled::SIGNATURE_HASH) {
            let gone = Cancellation { transaction: log.transaction, block: log.block };
            return Ok(Some(AuthorizationEnd::Cancelled(gone)));
        }
        self.transfer_after(from, log).await.map(|done| Some(AuthorizationEnd::Used(done)))
    }

    /// The transfer that belongs to an `AuthorizationUsed`: the contract logs it right after.
    async fn transfer_after(&self, from: Address, used: &Found) -> Result<Settlement, ChainError> {
        const CALL: &str = "eth_getLogs for a transfer";
        let filter =
            Filter::new().event_signature(usdc::Transfer::SIGNATURE_HASH).topic1(from.into_word());
        let logs = self.logs(CALL, filter, used.block, used.block).await?;
        let transfer = logs
            .iter()
            .filter(|log| log.transaction == used.transaction && log.index > used.index)
            .min_by_key(|log| log.index)
            .ok_or_else(|| ChainError::unexpected(CALL, "the authorisation moved nothing"))?;
        let transfer = transfer.as_transfer(CALL)?;
        if transfer.from != from {
            return Err(ChainError::unexpected(CALL, "it is about another payer"));
        }
        Ok(Settlement {
            transaction: used.transaction,
            block: used.block,
            to: transfer.to,
            value: transfer.value,
        })
    }

    /// All transfers from or to the addresses in a range of blocks, both ends included, in the
    /// chain's order and each once.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read; [`ChainError::Unexpected`] for a range of more than 512
    /// pages or more than 10 000 transfers. Ask for fewer blocks then.
    pub async fn transfers(
        &self,
        addresses: &[Address],
        from_block: u64,
        to_block: u64,
    ) -> Result<Vec<TransferLog>, ChainError> {
        const CALL: &str = "eth_getLogs for transfers";
        let mut found = BTreeMap::new();
        for part in addresses.chunks(MAX_ADDRESSES) {
            let words: Vec<B256> = part.iter().map(|address| address.into_word()).collect();
            let all = Filter::new().event_signature(usdc::Transfer::SIGNATURE_HASH);
            for filter in [all.clone().topic1(words.clone()), all.topic2(words)] {
                for log in self.logs(CALL, filter, from_block, to_block).await? {
                    let transfer = log.as_transfer(CALL)?;
                    if !addresses.contains(&transfer.from) && !addresses.contains(&transfer.to) {
                        return Err(ChainError::unexpected(CALL, "it is about other addresses"));
                    }
                    found.insert((transfer.block, transfer.log_index), transfer);
                }
            }
            if found.len() > MAX_LOGS {
                return Err(ChainError::TooMany { call: CALL });
            }
        }
        Ok(found.into_values().collect())
    }

    /// As [`Chain::transfers`], and for each that used an authorisation of one of the addresses
    /// which one: the contract logs the use right before the transfer. Of several nodes every one
    /// has to name the same: books that came out of a backup rest on this.
    ///
    /// # Errors
    /// As [`Chain::transfers`]; [`ChainError::Unexpected`] also for a use that moved nothing;
    /// [`ChainError::SourcesDisagree`].
    pub async fn moves(
        &self,
        addresses: &[Address],
        from_block: u64,
        to_block: u64,
    ) -> Result<Vec<Moved>, ChainError> {
        let sources = self.sources();
        let of_each = sources.iter().map(|one| one.moves_by_one(addresses, from_block, to_block));
        let mut told = try_join_all(of_each).await?.into_iter();
        let first = told.next().unwrap_or_default();
        if told.all(|other| other == first) {
            Ok(first)
        } else {
            Err(ChainError::SourcesDisagree { what: "the transfers in a range of blocks" })
        }
    }

    async fn moves_by_one(
        &self,
        addresses: &[Address],
        from_block: u64,
        to_block: u64,
    ) -> Result<Vec<Moved>, ChainError> {
        const CALL: &str = "eth_getLogs for authorisations";
        let transfers = self.transfers(addresses, from_block, to_block).await?;
        let mut moves: Vec<Moved> =
            transfers.into_iter().map(|transfer| Moved { transfer, nonce: None }).collect();
        for part in addresses.chunks(MAX_ADDRESSES) {
            let words: Vec<B256> = part.iter().map(|address| address.into_word()).collect();
            let filter = Filter::new()
                .event_signature(usdc::AuthorizationUsed::SIGNATURE_HASH)
                .topic1(words.clone());
            for used in self.logs(CALL, filter, from_block, to_block).await? {
                let payer = used.topic1.filter(|payer| words.contains(payer));
                let (Some(payer), Some(nonce)) = (payer, used.topic2) else {
                    return Err(ChainError::unexpected(CALL, "it is about other addresses"));
                };
                let made = moves
                    .iter_mut()
                    .filter(|made| made.transfer.tx == used.transaction)
                    .find(|made| made.transfer.log_index > used.index)
                    .filter(|made| made.transfer.from.into_word() == payer);
                let made = made.ok_or_else(|| {
                    ChainError::unexpected(CALL, "an authorisation moved nothing")
                })?;
                made.nonce = Some(nonce);
            }
        }
        Ok(moves)
    }

    /// How far back one search for logs can begin, in blocks, with room for blocks that are added
    /// meanwhile.
    pub fn search_blocks_max(&self) -> u64 {
        self.network().log_range_blocks.saturating_mul(MAX_PAGES - 1)
    }

    /// Logs of the asset's contract, read page by page.
    async fn logs(
        &self,
        call: &'static str,
        filter: Filter,
        from_block: u64,
        to_block: u64,
    ) -> Result<Vec<Found>, ChainError> {
        let page_blocks = self.network().log_range_blocks.max(1);
        if to_block.saturating_sub(from_block) / page_blocks >= MAX_PAGES {
            return Err(ChainError::unexpected(call, "the range of blocks is too long to search"));
        }
        let contract = self.asset().id.contract;
        let filter = filter.address(contract);
        let mut found = Vec::new();
        let mut first = from_block;
        while first <= to_block {
            let last = to_block.min(first.saturating_add(page_blocks - 1));
            let page = filter.clone().from_block(first).to_block(last);
            let ask = |node: RootProvider| {
                let page = page.clone();
                async move { node.get_logs(&page).await }
            };
            let logs = self.ask(call, ask).await?;
            if found.len() + logs.len() > MAX_LOGS {
                return Err(ChainError::TooMany { call });
            }
            for log in logs {
                let log = Found::check(call, log, contract, first, last)?;
                found.extend(log);
            }
            let Some(next) = last.checked_add(1) else { break };
            first = next;
        }
        Ok(found)
    }

    /// Whether the contract has any code; a fresh chain has none.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read.
    pub async fn has_code(&self) -> Result<bool, ChainError> {
        Ok(!self.code_at(At::Latest).await?.is_empty())
    }
}

/// A mined log whose frame has been checked.
struct Found {
    transaction: B256,
    block: u64,
    index: u64,
    topic0: Option<B256>,
    topic1: Option<B256>,
    topic2: Option<B256>,
    log: alloy_primitives::Log,
}

impl Found {
    /// Keeps a mined log of the right contract and range; drops one that a reorganisation took
    /// back; refuses what was not asked for.
    fn check(
        call: &'static str,
        log: Log,
        contract: Address,
        first: u64,
        last: u64,
    ) -> Result<Option<Found>, ChainError> {
        if log.removed {
            return Ok(None);
        }
        let (Some(transaction), Some(block), Some(index)) =
            (log.transaction_hash, log.block_number, log.log_index)
        else {
            return Err(ChainError::unexpected(call, "a log does not say where it is from"));
        };
        if log.address() != contract || !(first..=last).contains(&block) {
            return Err(ChainError::unexpected(
                call,
                "a log is not of the contract and range asked",
            ));
        }
        let topic = |n: usize| log.topics().get(n).copied();
        let (topic0, topic1, topic2) = (topic(0), topic(1), topic(2));
        Ok(Some(Found { transaction, block, index, topic0, topic1, topic2, log: log.inner }))
    }

    fn as_transfer(&self, call: &'static str) -> Result<TransferLog, ChainError> {
        let event = usdc::Transfer::decode_log_validate(&self.log)
            .map_err(|why| ChainError::unexpected(call, why))?;
        Ok(TransferLog {
            tx: self.transaction,
            log_index: self.index,
            block: self.block,
            from: event.from,
            to: event.to,
            value: to_units(call, event.value)?,
        })
    }
}
