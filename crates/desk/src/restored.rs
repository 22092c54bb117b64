//! Books that came out of a backup: nothing is paid before everything is in them that the chain
//! knows since, and that a signature made meanwhile could still move.
//!
//! The chain is read from where the books had read it to, float by float: what left one without
//! the books knowing counts as spent, so that an older backup never refills a budget.

use crate::desk::Desk;
use crate::jobs::{DEPOSIT_BLOCKS_MAX, DEPOSITS_MARK};
use crate::problem::ErrorCode;
use crate::view::Problem;
use imprest_backup::{FROM_BACKUP, Pending};
use imprest_chain::{Chain, ChainError};
use imprest_domain::{Address, SIGNATURE_S_MAX};
use imprest_ledger::{Agent, CLOCK_TOLERANCE, FoundSpend, Ledger, LedgerError};
use jiff::{SignedDuration, Timestamp};

/// Why nothing is signed until the chain was read.
pub(crate) const FROM_A_BACKUP: &str =
    "the books come from a backup and are being compared with the chain";
/// Which restore the next mark is about: when it was, milliseconds since 1970.
const RESTORED_MARK: &str = "restored_ms";
/// The newest block's time when the chain was first asked after a restore, seconds since 1970.
const FIRST_LOOK_MARK: &str = "restored_look_s";

/// How long a signature that no book knows can be good for, with room for clocks that differ.
fn validity() -> SignedDuration {
    let longest = i64::try_from(SIGNATURE_S_MAX).unwrap_or(i64::MAX);
    SignedDuration::from_secs(longest).saturating_add(CLOCK_TOLERANCE)
}

/// What the chain has to be read for, by the note beside the books or by what they say themselves.
pub(crate) async fn of(
    note: Option<Pending>,
    ledger: &Ledger,
) -> Result<Option<Pending>, LedgerError> {
    if note.is_some() || ledger.mark(FROM_BACKUP).await?.unwrap_or_default() == 0 {
        return Ok(note);
    }
    let next_account = ledger.next_account().await?;
    Ok(Some(Pending::without_a_note(ledger.head(), next_account, ledger.now())))
}

/// Reads on in the chain, up to what is final, and lets payments go on once that is enough.
pub(crate) async fn catch_up(desk: &Desk, chain: &Chain, pending: &Pending) -> Result<(), Problem> {
    let ledger = &desk.inner.ledger;
    let first_look = first_look(ledger, chain, pending).await?;
    let finalized = chain.finalized().await?;
    let mark = match ledger.mark(DEPOSITS_MARK).await? {
        Some(mark) => mark,
        // The desk had never looked at the chain when the backup was made.
        None => last_block_before(chain, finalized.number, pending.made_at).await?,
    };
    let first = mark.saturating_add(1);
    let last = finalized.number.min(mark.saturating_add(DEPOSIT_BLOCKS_MAX));
    if first <= last {
        book_moves(desk, chain, first, last).await?;
        ledger.set_mark(DEPOSITS_MARK, last).await?;
    }
    if last < finalized.number {
        // There is more to read at once.
        desk.inner.reconcile_now.notify_one();
        return Ok(());
    }
    if pending.is_all_on_chain(first_look, at_s(finalized.timestamp_s)?, validity()) {
        finish(desk).await?;
    }
    Ok(())
}

/// When the chain was first asked after this restore, by its own clock; remembered, so that a
/// restart does not make the wait begin anew.
async fn first_look(
    ledger: &Ledger,
    chain: &Chain,
    pending: &Pending,
) -> Result<Timestamp, Problem> {
    let restored_ms = u64::try_from(pending.restored_at.as_millisecond()).unwrap_or_default();
    if ledger.mark(RESTORED_MARK).await? == Some(restored_ms)
        && let Some(look_s) = ledger.mark(FIRST_LOOK_MARK).await?
    {
        return at_s(look_s);
    }
    let look_s = chain.head().await?.timestamp_s;
    let look = at_s(look_s)?;
    ledger.set_mark(FIRST_LOOK_MARK, look_s).await?;
    ledger.set_mark(RESTORED_MARK, restored_ms).await?;
    Ok(look)
}

/// A time of the chain's. A node that shows one which no clock does is not believed.
fn at_s(second: u64) -> Result<Timestamp, Problem> {
    let at = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    at.ok_or_else(|| {
        Problem::new(
            ErrorCode::ChainUnreachable,
            "The chain’s node shows a time that no clock does.",
            "Use another RPC endpoint if this stays.",
        )
    })
}

/// The last block before a moment, by halving; the first one where the node does not have them all.
async fn last_block_before(chain: &Chain, last: u64, at: Timestamp) -> Result<u64, ChainError> {
    let at_s = u64::try_from(at.as_second()).unwrap_or_default();
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match chain.block_at(middle).await {
            Ok(block) if block.timestamp_s < at_s => low = middle,
            Ok(_) => high = middle - 1,
            Err(ChainError::Unexpected { .. }) => return Ok(0),
            Err(error) => return Err(error),
        }
    }
    Ok(low)
}

/// Books everything that reached or left a float in a range of final blocks, in the chain's order,
/// so that no float is ever below what it held.
async fn book_moves(desk: &Desk, chain: &Chain, first: u64, last: u64) -> Result<(), Problem> {
    let ledger = &desk.inner.ledger;
    let agents = ledger.agents().await?;
    if agents.is_empty() {
        return Ok(());
    }
    let floats: Vec<Address> = agents.iter().map(|agent| agent.address).collect();
    let whose = |address: Address| agents.iter().find(|agent: &&Agent| agent.address == address);
    let mut news = false;
    for moved in chain.moves(&floats, first, last).await? {
        let log = moved.transfer;
        if log.from == log.to {
            continue;
        }
        if let Some(agent) = whose(log.to) {
            news |= ledger
                .float_received(&agent.id, log.from, log.value, log.tx, log.log_index, log.block)
                .await?;
        }
        if let Some(agent) = whose(log.from) {
            let found = FoundSpend {
                agent: agent.id.clone(),
                pay_to: log.to,
                value: log.value,
                nonce: moved.nonce,
                transaction: log.tx,
                log_index: log.log_index,
                block: log.block,
                at: at_s(chain.block_at(log.block).await?.timestamp_s)?,
            };
            if ledger.spend_found(found).await? {
                news = true;
                tracing::warn!(block = log.block, value = %log.value, "found on the chain what the backup did not know");
            }
        }
    }
    if news {
        desk.inner.changed(&["overview", "activity", "agents"]);
    }
    Ok(())
}

/// The mark goes before the note: a stop in between makes the next start look once more.
async fn finish(desk: &Desk) -> Result<(), Problem> {
    let inner = &desk.inner;
    inner.ledger.set_mark(FROM_BACKUP, 0).await?;
    imprest_backup::reconciled(inner.place.dir())?;
    inner.trust.note_reconciled();
    tracing::info!("the books of the backup agree with the chain; payments go on");
    inner.changed(&["status", "overview", "agents"]);
    Ok(())
}
