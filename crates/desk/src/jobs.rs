//! What the desk does on its own: asking the chain, letting questions lapse, booking deposits.

use crate::compare::{Comparisons, Floats};
use crate::desk::Desk;
use crate::doubts::Doubts;
use crate::restored;
use crate::trust::{CONTRADICTS, keep_copy};
use crate::view::Problem;
use crate::watch::Watch;
use futures::StreamExt;
use imprest_chain::{Chain, ChainError, Contradiction, Finding, Look};
use imprest_domain::{Authorization, RELEASE_MARGIN_S, SignalKind, Subject};
use imprest_ledger::{HeadCopy, Ledger, LedgerError, OpenPayment, SettledPayment};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// How deep under the newest block a settlement lies before the books call it settled.
pub(crate) const SETTLED_DEPTH_BLOCKS: u64 = 2;
/// Up to how many events the log is proven whole before the door opens; a longer one is proven
/// while the desk already runs.
const PROVEN_FIRST_EVENTS: u64 = 50_000;
/// How many open payments are asked after at once.
pub(crate) const RECONCILE_AT_ONCE: usize = 8;
/// For how many comparisons the nodes may contradict each other before the owner is told: nodes lag.
const DOUBTED_FOR: u32 = 5;
/// How far before its hold an authorisation's use is looked for: clocks differ, blocks do not.
pub(crate) const SEARCH_BACK_BLOCKS: u64 = 300;
/// How often what is kept for a while is thinned out.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// How many of the newest paid responses stay for retries to find.
const RESPONSES_KEPT: u32 = 500;
/// The most blocks one look for deposits reads.
pub(crate) const DEPOSIT_BLOCKS_MAX: u64 = 2_000;

/// The name under which the last block searched for deposits is remembered.
pub(crate) const DEPOSITS_MARK: &str = "deposits_block";
/// How many blocks without deposits may lie behind that one before it is remembered anew.
const DEPOSITS_MARK_STEP: u64 = 60;

pub(crate) fn start(desk: &Desk) {
    let spawn = |job: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        desk.inner.tasks.spawn(job);
    };
    spawn(Box::pin(reconcile(desk.clone())));
    spawn(Box::pin(lapse(desk.clone())));
    spawn(Box::pin(keep_copy(desk.clone())));
}

/// Replays the books before the door opens: what contradicts itself, or cannot be read, must not
/// spend. A long log is replayed in the background, and nothing is spent until that is done: the
/// seal and the copy vouch for the log, but decisions are made on the tables.
pub(crate) async fn prove(desk: &Desk, copy: Option<HeadCopy>) {
    if desk.inner.ledger.head().seq <= PROVEN_FIRST_EVENTS {
        return prove_whole(desk, copy).await;
    }
    desk.inner.trust.proving.store(true, Ordering::Relaxed);
    let desk = desk.clone();
    let tasks = desk.inner.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = desk.inner.closing.cancelled() => return,
            () = prove_whole(&desk, copy) => {}
        }
        desk.inner.trust.proving.store(false, Ordering::Relaxed);
        desk.inner.changed(&["status", "overview", "agents"]);
    });
}

async fn prove_whole(desk: &Desk, copy: Option<HeadCopy>) {
    let why = match desk.faults(copy).await {
        Ok((_, faults)) => match faults.into_iter().next() {
            None => return,
            Some(fault) => fault,
        },
        Err(error) => error.to_string(),
    };
    tracing::error!(why, "the books contradict themselves; nothing is signed");
    desk.books_broken(why.trim_end_matches('.').to_owned(), CONTRADICTS).await;
}

/// Turns unanswered questions into refusals, when they are due, and watches the clock.
async fn lapse(desk: Desk) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied = Instant::now();
    loop {
        tokio::select! {
            () = desk.inner.closing.cancelled() => return,
            _ = tick.tick() => {}
        }
        match desk.inner.ledger.lapse().await {
            Ok(lapsed) if lapsed.is_empty() => {}
            Ok(lapsed) => {
                for payment in &lapsed {
                    let _ = desk.inner.ledger.forget_request(payment).await;
                }
                desk.inner.changed(&["overview", "activity", "status"]);
            }
            Err(error) => tracing::warn!(%error, "questions could not lapse"),
        }
        match desk.inner.clock.lock().await.look(&desk.inner.ledger).await {
            Ok(false) => {}
            Ok(true) => desk.inner.changed(&["status", "overview", "agents"]),
            Err(error) => tracing::warn!(%error, "the clock’s signal could not be written"),
        }
        if tidied.elapsed() >= TIDY_EVERY {
            tidied = Instant::now();
            if let Err(error) = desk.inner.ledger.prune_responses(RESPONSES_KEPT).await {
                tracing::warn!(%error, "old responses could not be forgotten");
            }
        }
    }
}

/// What was last said about the system's clock.
#[derive(Default)]
pub(crate) struct ClockWatch {
    /// Whether it was said to be behind; nothing yet right after the start.
    said: Option<bool>,
}

impl ClockWatch {
    /// Says once that the clock fell behind the books, and once that it agrees with them again;
    /// answers whether something was said.
    pub(crate) async fn look(&mut self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let behind = ledger.clock_behind().is_some();
        if self.said == Some(behind) {
            return Ok(false);
        }
        if behind {
            // Without the figure, which grows: the same thing is said once.
            let detail = "the computer’s clock was set back by more than two minutes".to_owned();
            ledger.raise_signal(SignalKind::ClockBehind, Subject::Desk, detail).await?;
        } else {
            ledger.agreed(SignalKind::ClockBehind, Subject::Desk).await?;
        }
        self.said = Some(behind);
        Ok(true)
    }
}

/// Compares open payments with the chain, about once a block and whenever something was sent.
async fn reconcile(desk: Desk) {
    // Nodes that serve everybody are not asked four times a second, however fast their chain is.
    let least_ms = if desk.inner.practice_mode { 250 } else { 2_000 };
    let block_time_ms = desk.inner.network.block_time_ms.clamp(least_ms, 15_000);
    let block_time = Duration::from_millis(block_time_ms);
    let (mut doubts, mut watch) = (Doubts::default(), Watch::default());
    let mut comparisons = Comparisons::default();
    let mut compared = Instant::now();
    loop {
        let started = Instant::now();
        // Asked for each time: the owner may have chosen other nodes.
        let Some(chain) = desk.inner.chain() else { return };
        // Books of a backup differ from the chain until they have caught up with it.
        let due = compared.elapsed() >= desk.inner.compare_every
            && desk.inner.trust.unreconciled().is_none();
        let floats = if due { floats(&desk).await } else { None };
        match confirmed_look(&desk, &chain, &mut doubts, &mut watch).await {
            Ok(block) => {
                note_reachable(&desk, true, Some(block));
                if let Some(floats) = floats {
                    compared = Instant::now();
                    let in_doubt = say_doubts(&desk, &doubts, &watch).await;
                    compare(&desk, &chain, block, &floats, &mut comparisons, in_doubt).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the chain could not be read");
                note_reachable(&desk, false, None);
            }
        }
        tokio::select! {
            () = desk.inner.closing.cancelled() => return,
            () = sleep_until(started + block_time) => {}
            () = desk.inner.reconcile_now.notified() => {
                // A moment for the payee's transaction to reach a block.
                sleep_until(started + block_time / 4).await;
            }
        }
    }
}

async fn floats(desk: &Desk) -> Option<Floats> {
    let floats = desk.floats().await;
    floats.inspect_err(|error| tracing::warn!(%error, "floats could not be read")).ok()
}

async fn compare(
    desk: &Desk,
    chain: &Chain,
    head: u64,
    floats: &Floats,
    comparisons: &mut Comparisons,
    in_doubt: bool,
) {
    let compared = desk.compare_floats(chain, head, floats, comparisons, in_doubt).await;
    if let Err(error) = compared {
        tracing::warn!(%error, "books and chain could not be compared");
    }
}

/// A look by way of a contract that is what the registry says; that is asked once.
async fn confirmed_look(
    desk: &Desk,
    chain: &Chain,
    doubts: &mut Doubts,
    watch: &mut Watch,
) -> Result<u64, ChainError> {
    if !desk.inner.confirmed.load(Ordering::Relaxed) {
        chain.confirm_asset().await?;
        desk.inner.confirmed.store(true, Ordering::Relaxed);
        desk.inner.changed(&["status", "overview"]);
    }
    look(desk, chain, doubts, watch).await
}

/// Tells the owner when the nodes have contradicted themselves or each other for long; answers
/// whether they do.
async fn say_doubts(desk: &Desk, doubts: &Doubts, watch: &Watch) -> bool {
    let patience = desk.inner.compare_every.saturating_mul(DOUBTED_FOR);
    let now = std::time::Instant::now();
    let open = doubts.lasting(patience, now).map(|why| (why, "stays held"));
    let settled = || watch.lasting(patience, now).map(|why| (why, "may be undone"));
    let Some((why, what)) = open.or_else(settled) else { return false };
    let subject = Subject::Network { chain_id: desk.inner.asset.id.chain_id };
    let detail = format!("a payment {what}, and {why}");
    let raised = desk.inner.ledger.raise_signal(SignalKind::BooksDiffer, subject, detail).await;
    if let Err(error) = raised {
        tracing::warn!(%error, "a contradiction could not be written down");
    }
    desk.inner.changed(&["status", "overview", "agents"]);
    true
}

/// One look at everything open; answers the newest block.
async fn look(
    desk: &Desk,
    chain: &Chain,
    doubts: &mut Doubts,
    watch: &mut Watch,
) -> Result<u64, ChainError> {
    let newest = chain.head().await?;
    let head = newest.number;
    if let Err(error) = watch.begin(desk, chain).await {
        tracing::warn!(%error, "it is not known yet which settlements are final");
    }
    let open = match desk.inner.ledger.open_payments().await {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(%error, "open payments could not be read");
            return Ok(head);
        }
    };
    doubts.retain(|payment| open.iter().any(|open| open.payment == *payment));
    let looks: Vec<_> = futures::stream::iter(open)
        .map(|open| {
            let from_block = match doubts.is_searched_deep(&open.payment) {
                true => head.saturating_sub(chain.search_blocks_max()),
                false => search_from(desk, chain, head, &open.authorization),
            };
            async move {
                let look = chain.look(&open.authorization, from_block, RELEASE_MARGIN_S).await;
                (open, look)
            }
        })
        .buffer_unordered(RECONCILE_AT_ONCE)
        .collect()
        .await;
    let mut last_error = None;
    for (open, look) in looks {
        match look {
            Ok(look) => {
                doubts.note(&open.payment, &look, std::time::Instant::now());
                match book(desk, &open, &look).await {
                    Ok(Some(settled)) => watch.add(settled),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(
                        %error, payment = %open.payment, "a finding could not be booked"
                    ),
                }
            }
            Err(error) => last_error = Some(error),
        }
    }
    if let Err(error) = watch.look(desk, chain, newest).await {
        tracing::warn!(%error, "settlements could not be asked after");
    }
    if let Err(error) = refills(desk, chain, head).await {
        tracing::warn!(%error, "refills could not be followed");
    }
    if let Err(error) = sweeps(desk, chain, head).await {
        tracing::warn!(%error, "sweeps could not be followed");
    }
    match desk.inner.trust.unreconciled() {
        // What arrived is booked there as well, in the chain's own order.
        Some(restored) => {
            if let Err(error) = restored::catch_up(desk, chain, restored).await {
                tracing::warn!(%error, "the books of a backup could not be brought up to the chain");
            }
        }
        None => {
            if let Err(error) = deposits(desk, chain, head).await {
                tracing::warn!(%error, "deposits could not be read");
            }
        }
    }
    last_error.map_or(Ok(head), Err)
}

/// The block to look for an authorisation's use from: about when its window began.
pub(crate) fn search_from(
    desk: &Desk,
    chain: &Chain,
    head: u64,
    authorization: &Authorization,
) -> u64 {
    let now_s = u64::try_from(desk.inner.ledger.now().as_second()).unwrap_or_default();
    let age_s = now_s.saturating_sub(authorization.window.valid_after_s);
    let blocks = age_s.saturating_mul(1_000) / chain.network().block_time_ms.max(1);
    head.saturating_sub(blocks).saturating_sub(SEARCH_BACK_BLOCKS)
}

/// Books what a look proves; answers a settlement whose block could still be undone.
async fn book(
    desk: &Desk,
    open: &OpenPayment,
    look: &Look,
) -> Result<Option<SettledPayment>, LedgerError> {
    let ledger = &desk.inner.ledger;
    let mut to_watch = None;
    match look.finding {
        Finding::Settled { tx, block } if is_deep(block, look.head) => {
            ledger.settle(&open.payment, tx, block).await?;
            let (payment, authorization) = (open.payment.clone(), open.authorization.clone());
            let settled = SettledPayment { payment, authorization, transaction: tx, block };
            to_watch = Some(settled).filter(|_| !look.is_final);
        }
        Finding::ExpiredUnused { block } | Finding::Cancelled { block, .. } => {
            ledger.expire(&open.payment, block).await?;
        }
        Finding::Settled { .. } | Finding::StillOpen | Finding::Inconsistent(_) => return Ok(None),
    }
    desk.inner.changed(&["overview", "activity", "agents"]);
    Ok(to_watch)
}

/// Books refills whose transaction reached the chain while nobody was waiting for it.
async fn refills(desk: &Desk, chain: &Chain, head: u64) -> Result<(), Problem> {
    // Whoever holds this is in the middle of a refill and books it itself.
    let Ok(_idle) = desk.inner.treasury.try_lock() else { return Ok(()) };
    for open in desk.inner.ledger.open_refills().await? {
        let Some(transaction) = open.transaction else {
            // The transaction is recorded before it is sent, so this one never was.
            let why = "the desk stopped before it was signed".to_owned();
            desk.inner.ledger.refill_failed(&open.refill, why).await?;
            continue;
        };
        let Some(receipt) = chain.receipt(transaction).await? else { continue };
        if !is_deep(receipt.block, head) {
            continue;
        }
        if receipt.ok {
            desk.inner.ledger.refill_settled(&open.refill, transaction, receipt.block).await?;
        } else {
            desk.inner.ledger.refill_failed(&open.refill, "the chain refused it".into()).await?;
        }
        desk.inner.changed(&["overview", "agents"]);
    }
    Ok(())
}

/// Books sweeps that reached the treasury, and gives back what never can any more. What was signed
/// for one is in a transaction that anybody can read, so only the chain ends it, as with a payment.
async fn sweeps(desk: &Desk, chain: &Chain, head: u64) -> Result<(), Problem> {
    let ledger = &desk.inner.ledger;
    for open in ledger.open_sweeps().await? {
        let from_block = search_from(desk, chain, head, &open.authorization);
        let mut found = chain.reconcile(&open.authorization, from_block, RELEASE_MARGIN_S).await?;
        if found == Finding::Inconsistent(Contradiction::UsedWithoutLog) {
            // The log may be older than it should be.
            let deep = head.saturating_sub(chain.search_blocks_max());
            found = chain.reconcile(&open.authorization, deep, RELEASE_MARGIN_S).await?;
        }
        match found {
            Finding::Settled { tx, block } if is_deep(block, head) => {
                ledger.settle_sweep(&open.sweep, tx, block).await?;
            }
            Finding::ExpiredUnused { block } | Finding::Cancelled { block, .. } => {
                ledger.expire_sweep(&open.sweep, block).await?;
            }
            Finding::Inconsistent(why) => {
                tracing::warn!(sweep = %open.sweep, %why, "the chain contradicts itself; the hold stays");
                continue;
            }
            Finding::Settled { .. } | Finding::StillOpen => continue,
        }
        desk.inner.changed(&["overview", "agents"]);
    }
    Ok(())
}

/// Books USDC that reached a float from elsewhere, once its block is deep enough.
async fn deposits(desk: &Desk, chain: &Chain, head: u64) -> Result<(), Problem> {
    let ledger = &desk.inner.ledger;
    let Some(last) = head.checked_sub(SETTLED_DEPTH_BLOCKS) else { return Ok(()) };
    let Some(mark) = ledger.mark(DEPOSITS_MARK).await? else {
        // A desk without agents has no floats; everything before the first one is not ours.
        return Ok(ledger.set_mark(DEPOSITS_MARK, last).await?);
    };
    let agents = ledger.agents().await?;
    let first = mark.saturating_add(1);
    let last = last.min(mark.saturating_add(DEPOSIT_BLOCKS_MAX));
    if first > last {
        return Ok(());
    }
    if !agents.is_empty() {
        let floats: Vec<_> = agents.iter().map(|agent| agent.address).collect();
        for log in chain.transfers(&floats, first, last).await? {
            let Some(agent) = agents.iter().find(|agent| agent.address == log.to) else { continue };
            let booked = ledger
                .float_received(&agent.id, log.from, log.value, log.tx, log.log_index, log.block)
                .await?;
            if booked {
                desk.inner.changed(&["overview", "agents"]);
            }
        }
    }
    // Blocks without deposits are remembered in steps, so that an idle desk writes little.
    if last >= mark.saturating_add(DEPOSITS_MARK_STEP)
        || last < head.saturating_sub(SETTLED_DEPTH_BLOCKS)
    {
        ledger.set_mark(DEPOSITS_MARK, last).await?;
    }
    Ok(())
}

/// Whether deposits up to a block have been looked for. While the desk catches up after a long
/// absence, they have not.
pub(crate) async fn deposits_reach(desk: &Desk, block: u64) -> Result<bool, LedgerError> {
    let mark = desk.inner.ledger.mark(DEPOSITS_MARK).await?;
    Ok(mark.is_some_and(|mark| mark.saturating_add(DEPOSITS_MARK_STEP) >= block))
}

fn note_reachable(desk: &Desk, reachable: bool, block: Option<u64>) {
    if let Some(block) = block {
        desk.inner.block.store(block, Ordering::Relaxed);
        desk.inner.note_look();
    }
    if desk.inner.reachable.swap(reachable, Ordering::Relaxed) != reachable {
        desk.inner.changed(&["status"]);
    }
}

/// Whether a block lies deep enough under the newest one for the books to rely on it. A block
/// number comes from the chain's node, which may say anything.
fn is_deep(block: u64, head: u64) -> bool {
    head.checked_sub(SETTLED_DEPTH_BLOCKS).is_some_and(|deep| block <= deep)
}

/// Waits until a block lies deep enough under the newest one; false when it takes too long.
pub(crate) async fn wait_depth(
    chain: &Chain,
    block: u64,
    patience: Duration,
) -> Result<bool, ChainError> {
    let pause = Duration::from_millis((chain.network().block_time_ms / 4).clamp(50, 2_000));
    let end = Instant::now() + patience;
    let mut tick = interval(pause);
    while Instant::now() < end {
        tick.tick().await;
        if is_deep(block, chain.head().await?.number) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_ledger::{Clock, OpenOptions};
    use jiff::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    /// The signals about the clock, oldest first: whether each is over.
    async fn signals(ledger: &Ledger) -> Vec<bool> {
        let mut found = ledger.signals(10).await.unwrap();
        found.reverse();
        assert!(found.iter().all(|it| it.signal.kind == SignalKind::ClockBehind));
        found.iter().map(|it| it.over).collect()
    }

    #[tokio::test]
    async fn a_clock_that_falls_behind_is_said_once_and_ends_once() {
        let folder = tempfile::TempDir::new().unwrap();
        let second = Arc::new(AtomicI64::new(1_800_000_000));
        let hands = Arc::clone(&second);
        let read = move || Timestamp::from_second(hands.load(Ordering::SeqCst)).unwrap();
        let options = OpenOptions { clock: Some(Clock::new(read)), vfs: None };
        let ledger = Ledger::open_with(&folder.path().join("ledger.db"), options).await.unwrap();
        ledger.freeze().await.unwrap();
        let mut watch = ClockWatch::default();
        assert!(watch.look(&ledger).await.unwrap(), "after a start it may have to be taken back");
        assert_eq!(signals(&ledger).await, [false; 0]);
        for (round, over) in [[false].as_slice(), &[true, false]].into_iter().enumerate() {
            second.fetch_sub(300, Ordering::SeqCst);
            assert!(watch.look(&ledger).await.unwrap());
            let seq = ledger.head().seq;
            for _ in 0..5 {
                second.fetch_add(1, Ordering::SeqCst);
                assert!(!watch.look(&ledger).await.unwrap());
            }
            assert_eq!((signals(&ledger).await.as_slice(), ledger.head().seq), (over, seq));
            // It catches up, and the next time the desk was started anew meanwhile.
            second.fetch_add(300, Ordering::SeqCst);
            if round == 1 {
                watch = ClockWatch::default();
            }
            assert!(watch.look(&ledger).await.unwrap());
            assert!(!watch.look(&ledger).await.unwrap());
            assert!(signals(&ledger).await.iter().all(|over| *over), "round {round}");
        }
        ledger.close().await;
    }

    #[test]
    fn no_block_number_is_too_large() {
        assert!(is_deep(0, 2) && is_deep(98, 100));
        assert!(!is_deep(0, 1) && !is_deep(99, 100));
        assert!(!is_deep(u64::MAX, u64::MAX) && !is_deep(u64::MAX - 1, 5));
        assert!(is_deep(u64::MAX - SETTLED_DEPTH_BLOCKS, u64::MAX));
    }
}
