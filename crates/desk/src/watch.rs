//! Settlements in blocks that are not final yet. Each is watched until its block is, and opened again
//! when the chain has undone it (docs/decisions/0019).
//!
//! A look costs one question more while anything is watched: whether the newest block of the last
//! look is still there. Only when it is not, or when a block has become final, are the payments
//! themselves asked after.

use crate::desk::Desk;
use crate::doubts::Doubts;
use crate::jobs::{RECONCILE_AT_ONCE, SEARCH_BACK_BLOCKS, SETTLED_DEPTH_BLOCKS};
use crate::view::Problem;
use futures::StreamExt;
use imprest_chain::{Block, Chain, ChainError, Contradiction, Finding, Look};
use imprest_domain::{B256, PaymentId, RELEASE_MARGIN_S, SignalKind, Subject};
use imprest_ledger::{LedgerError, SettledPayment};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The name under which it is remembered up to which block every settlement is known to be final.
const FINAL_MARK: &str = "settled_final_block";

/// How many blocks may go by before that block is remembered anew: so many are asked after again at the
/// next start, and an idle desk writes little.
const FINAL_MARK_STEP: u64 = 60;

/// How often one settlement is taken back while the desk runs. A chain does it once or twice; a node that
/// plays with the desk would fill the log, and gets nothing for it.
const REOPENINGS_MAX: u32 = 8;

/// The settlements that are watched, for as long as the desk runs.
#[derive(Default)]
pub(crate) struct Watch {
    /// Nothing until the books have been read.
    settled: Option<BTreeMap<PaymentId, Watched>>,
    /// The block up to which every settlement is known to be final, as it is remembered.
    mark: u64,
    /// The newest block when what is final was last asked for only to be remembered.
    asked_at: u64,
    /// The newest block at the last look.
    seen: Option<Block>,
    doubts: Doubts,
    /// How often each payment was opened again.
    reopened: BTreeMap<PaymentId, u32>,
}

struct Watched {
    booked: SettledPayment,
    /// Whether it was seen on the chain as that is now.
    is_seen: bool,
}

/// Where a settlement stands by one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In a block that cannot be undone.
    Final { transaction: B256, block: u64 },
    /// On the chain, and not final.
    There,
    /// Not on the chain any more, by every node's word.
    Undone,
    /// Nobody can say.
    Unclear,
}

/// Judges a settlement that the books have in a block. A node that is behind that block, or not
/// further than a settlement has to lie deep, has no word in this.
fn standing(look: &Look, booked_block: u64) -> Standing {
    let is_there_yet = look.head >= booked_block.saturating_add(SETTLED_DEPTH_BLOCKS);
    match look.finding {
        Finding::Settled { tx, block } if look.is_final => {
            Standing::Final { transaction: tx, block }
        }
        Finding::Settled { .. } => Standing::There,
        Finding::StillOpen | Finding::ExpiredUnused { .. } | Finding::Cancelled { .. }
            if look.is_unanimous && is_there_yet =>
        {
            Standing::Undone
        }
        _ => Standing::Unclear,
    }
}

impl Watch {
    /// Reads once from the books what is not known to be final.
    pub(crate) async fn begin(&mut self, desk: &Desk, chain: &Chain) -> Result<(), Problem> {
        if self.settled.is_some() {
            return Ok(());
        }
        let ledger = &desk.inner.ledger;
        let mark = match ledger.mark(FINAL_MARK).await? {
            Some(mark) => mark,
            None => {
                // Books of an earlier program, or none yet: what is final now was so before.
                let finalized = chain.finalized().await?.number;
                ledger.set_mark(FINAL_MARK, finalized).await?;
                finalized
            }
        };
        let settled = ledger.settled_after(mark).await?.into_iter();
        let watched =
            |booked: SettledPayment| (booked.payment.clone(), Watched { booked, is_seen: false });
        (self.settled, self.mark) = (Some(settled.map(watched).collect()), mark);
        Ok(())
    }

    /// Watches a payment that was just booked.
    pub(crate) fn add(&mut self, booked: SettledPayment) {
        if let Some(settled) = &mut self.settled {
            settled.insert(booked.payment.clone(), Watched { booked, is_seen: true });
        }
    }

    /// Why the nodes contradict themselves or each other about a settlement, and have for so long.
    pub(crate) fn lasting(&self, patience: Duration, now: Instant) -> Option<Contradiction> {
        self.doubts.lasting(patience, now)
    }

    /// Asks after what may have been undone, and after what may have become final.
    pub(crate) async fn look(
        &mut self,
        desk: &Desk,
        chain: &Chain,
        head: Block,
    ) -> Result<(), Problem> {
        let Some(settled) = &mut self.settled else { return Ok(()) };
        if settled.is_empty() {
            self.seen = None;
            if head.number.saturating_sub(self.asked_at) < FINAL_MARK_STEP {
                return Ok(());
            }
            self.asked_at = head.number;
            let finalized = chain.finalized().await?.number;
            return Ok(self.remember(desk, finalized).await?);
        }
        if was_undone(chain, self.seen, head).await? {
            tracing::warn!(block = head.number, "the chain has undone blocks");
            settled.values_mut().for_each(|watched| watched.is_seen = false);
        }
        self.seen = Some(head);
        let finalized = chain.finalized().await?.number;
        let due = settled.values().filter(|it| !it.is_seen || it.booked.block <= finalized);
        let due: Vec<SettledPayment> = due.map(|watched| watched.booked.clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let looks: Vec<_> = futures::stream::iter(due)
            .map(|booked| async move {
                let from_block = booked.block.saturating_sub(SEARCH_BACK_BLOCKS);
                let look = chain.look(&booked.authorization, from_block, RELEASE_MARGIN_S).await;
                (booked, look)
            })
            .buffer_unordered(RECONCILE_AT_ONCE)
            .collect()
            .await;
        let mut trouble = None;
        for (booked, look) in looks {
            match look {
                Ok(look) => self.take_in(desk, &booked, &look).await?,
                Err(error) => trouble = Some(error),
            }
        }
        self.remember(desk, finalized).await?;
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Does what one look asks for.
    async fn take_in(
        &mut self,
        desk: &Desk,
        booked: &SettledPayment,
        look: &Look,
    ) -> Result<(), LedgerError> {
        let payment = &booked.payment;
        self.doubts.note(payment, look, Instant::now());
        let is_over = match standing(look, booked.block) {
            Standing::Unclear => return Ok(()),
            Standing::There => false,
            Standing::Final { transaction, block } => {
                let is_as_booked = (transaction, block) == (booked.transaction, booked.block);
                is_as_booked || rebook(desk, payment, transaction, block).await?
            }
            Standing::Undone => self.reopen(desk, payment, look.head).await?,
        };
        if is_over && let Some(settled) = &mut self.settled {
            settled.remove(payment);
            self.doubts.retain(|other| other != payment);
        } else if let Some(watched) = self.settled.as_mut().and_then(|all| all.get_mut(payment)) {
            watched.is_seen = matches!(standing(look, booked.block), Standing::There);
        }
        Ok(())
    }

    /// Opens a payment again that was undone, unless that happened too often. Answers whether it did.
    async fn reopen(
        &mut self,
        desk: &Desk,
        payment: &PaymentId,
        head: u64,
    ) -> Result<bool, LedgerError> {
        let times = self.reopened.get(payment).copied().unwrap_or_default();
        if times >= REOPENINGS_MAX || !reopen(desk, payment, head).await? {
            return Ok(false);
        }
        if times + 1 == REOPENINGS_MAX {
            tracing::error!(%payment, "it was settled and undone again and again; the next time it stays settled");
        }
        self.reopened.insert(payment.clone(), times + 1);
        Ok(true)
    }

    /// Remembers up to which block nothing is watched any more, for the next start.
    async fn remember(&mut self, desk: &Desk, finalized: u64) -> Result<(), LedgerError> {
        let Some(settled) = &self.settled else { return Ok(()) };
        let first = settled.values().map(|watched| watched.booked.block).min();
        let mark = first.map_or(finalized, |first| finalized.min(first.saturating_sub(1)));
        if mark > self.mark {
            desk.inner.ledger.set_mark(FINAL_MARK, mark).await?;
            self.mark = mark;
        }
        Ok(())
    }
}

/// Whether the newest block of the last look is not on the chain any more.
async fn was_undone(chain: &Chain, seen: Option<Block>, head: Block) -> Result<bool, ChainError> {
    let Some(seen) = seen else { return Ok(false) };
    if seen.number > head.number {
        return Ok(true);
    }
    match chain.block_at(seen.number).await {
        Ok(block) => Ok(block.hash != seen.hash),
        Err(ChainError::Unexpected { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens a payment again whose block was undone, and tells the owner. Answers whether it did: books
/// that are locked or in doubt keep it settled, which gives nothing back, until they are not.
async fn reopen(desk: &Desk, payment: &PaymentId, head: u64) -> Result<bool, LedgerError> {
    let inner = &desk.inner;
    if inner.trust.broken().is_some() {
        return Ok(false);
    }
    match inner.ledger.reopen(payment, head).await {
        Ok(()) => {}
        Err(LedgerError::Locked) => return Ok(false),
        Err(error) => return Err(error),
    }
    tracing::warn!(%payment, head, "the chain took back a settlement");
    let subject = Subject::Network { chain_id: inner.asset.id.chain_id };
    let detail = "the chain took back a payment that the books called settled".to_owned();
    inner.ledger.raise_signal(SignalKind::BooksDiffer, subject, detail).await?;
    inner.changed(&["overview", "activity", "agents", "status"]);
    Ok(true)
}

/// Corrects where a payment was settled, now that this cannot change again.
async fn rebook(
    desk: &Desk,
    payment: &PaymentId,
    transaction: B256,
    block: u64,
) -> Result<bool, LedgerError> {
    let ledger = &desk.inner.ledger;
    if desk.inner.trust.broken().is_some() {
        return Ok(false);
    }
    match ledger.reopen(payment, block).await {
        Ok(()) => {}
        Err(LedgerError::Locked) => return Ok(false),
        Err(error) => return Err(error),
    }
    ledger.settle(payment, transaction, block).await?;
    desk.inner.changed(&["activity"]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(finding: Finding, head: u64) -> Look {
        let is_unanimous = !matches!(finding, Finding::Inconsistent(_));
        Look { finding, head, is_final: false, is_unanimous, doubts: Vec::new() }
    }

    #[test]
    fn a_settlement_is_undone_when_all_say_so_and_none_is_behind() {
        let transaction = B256::repeat_byte(9);
        let paid = Finding::Settled { tx: transaction, block: 50 };
        let gone = [
            Finding::StillOpen,
            Finding::ExpiredUnused { block: 52 },
            Finding::Cancelled { tx: transaction, block: 50 },
        ];
        for finding in gone {
            assert_eq!(standing(&look(finding, 52), 50), Standing::Undone, "{finding}");
            assert_eq!(standing(&look(finding, 51), 50), Standing::Unclear, "it may be behind");
            let alone = Look { is_unanimous: false, ..look(finding, 52) };
            assert_eq!(standing(&alone, 50), Standing::Unclear, "one is not heard");
        }
        let odd = Finding::Inconsistent(Contradiction::SourcesDisagree);
        assert_eq!(standing(&look(odd, 99), 50), Standing::Unclear);
        assert_eq!(standing(&look(paid, 51), 50), Standing::There);
        let last = Look { is_final: true, ..look(paid, 60) };
        assert_eq!(standing(&last, 50), Standing::Final { transaction, block: 50 });
        assert_eq!(standing(&look(Finding::StillOpen, u64::MAX), u64::MAX), Standing::Undone);
    }
}
