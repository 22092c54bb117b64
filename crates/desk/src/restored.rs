//! Books that came out of a backup: nothing is paid before everything is in them that the chain
//! knows since, and that a signature made meanwhile could still move; and not before the owner, who
//! has looked at the limits, thaws the desk.
//!
//! The chain is read from before the backup was made, float by float, and for the addresses that
//! the vault would have given to agents made since. What left one without the books knowing counts
//! as spent, so that an older backup never refills a budget. That the books wait, since when, and
//! that the wait is over, are events under the vault's seal; so the chain is read once the vault is
//! open, which the addresses of unknown agents take as well.

use crate::desk::Desk;
use crate::jobs::{DEPOSIT_BLOCKS_MAX, DEPOSITS_MARK};
use crate::problem::ErrorCode;
use crate::view::Problem;
use imprest_backup::{FROM_BACKUP, Pending};
use imprest_chain::{Chain, ChainError, Moved};
use imprest_domain::{Address, SIGNATURE_S_MAX};
use imprest_ledger::{
    Agent, CLOCK_TOLERANCE, FoundSpend, Ledger, LedgerError, Restored, StrangerSpend,
};
use imprest_vault::Vault;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;

/// Why nothing is signed until the chain was read.
pub(crate) const FROM_A_BACKUP: &str =
    "the books come from a backup and are being compared with the chain";
/// How far before the backup the search begins: far more than clocks differ.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(1);
/// How many accounts behind the last used one are looked at: agents are made one after the other,
/// and so many of them never stay without money in a row.
const ACCOUNTS_AHEAD: u32 = 32;

/// How long a signature that no book knows can be good for, with room for clocks that differ.
fn validity() -> SignedDuration {
    let longest = i64::try_from(SIGNATURE_S_MAX).unwrap_or(i64::MAX);
    SignedDuration::from_secs(longest).saturating_add(CLOCK_TOLERANCE)
}

/// Has the books say that they came out of a backup, where so far only the note of a restore does, or
/// the mark of an earlier program; answers how far they are.
pub(crate) async fn of(
    folder: &Path,
    note: Option<Pending>,
    ledger: &Ledger,
) -> Result<Option<Restored>, Problem> {
    let is_marked = ledger.mark(FROM_BACKUP).await?.unwrap_or_default() > 0;
    let is_news = match &note {
        Some(note) => !ledger.is_from_backup_at(note.head.seq).await?,
        None => false,
    };
    if is_marked || is_news {
        ledger.came_from_backup().await?;
        ledger.set_mark(FROM_BACKUP, 0).await?;
    }
    // From here on the log says it, which nobody can take away as they can a file.
    if note.is_some() {
        imprest_backup::forget_note(folder)?;
    }
    Ok(ledger.restored().await?)
}

/// How far the chain was read.
pub(crate) struct Reading {
    first: u64,
    next: u64,
    /// The newest final block when it was last looked at.
    last: u64,
    /// The addresses of accounts that no agent here has, and the accounts.
    strangers: BTreeMap<Address, u32>,
    /// The last account that was ever used, by the books or on the chain.
    used: u32,
}

impl Reading {
    async fn begin(
        ledger: &Ledger,
        chain: &Chain,
        made_at: Timestamp,
        last: u64,
    ) -> Result<Reading, Problem> {
        let before = made_at.saturating_sub(LOOK_BACK).unwrap_or_default();
        // The mark lies beside the log, where it can be changed: it may only have the search begin
        // sooner. It does where the desk had not looked at the chain for long.
        let mark = ledger.mark(DEPOSITS_MARK).await?.unwrap_or(u64::MAX);
        let mut first = mark;
        // Where the nodes differ, the search begins where the first of them says.
        for node in chain.sources() {
            first = first.min(last_block_before(&node, last, before).await?);
        }
        let first = first.saturating_add(1);
        let used = ledger.next_account().await?.saturating_sub(1);
        Ok(Reading { first, next: first, last, strangers: BTreeMap::new(), used })
    }

    /// Takes in the accounts behind the last used one. They may have been used in blocks that were
    /// read already, so reading begins anew.
    fn look_ahead(&mut self, vault: &Vault) -> Result<(), Problem> {
        let wanted = self.used.saturating_add(ACCOUNTS_AHEAD);
        let known = self.strangers.values().max().copied().unwrap_or(self.used);
        for account in known.saturating_add(1)..=wanted {
            let address = vault.address(account)?;
            self.strangers.insert(address, account);
            self.next = self.first;
        }
        Ok(())
    }

    /// Reads some blocks, and books what they hold; answers whether all final ones are read.
    async fn read_on(
        &mut self,
        desk: &Desk,
        vault: &Vault,
        chain: &Chain,
    ) -> Result<bool, Problem> {
        self.look_ahead(vault)?;
        if self.next > self.last {
            return Ok(true);
        }
        let agents = desk.inner.ledger.agents().await?;
        let floats = agents.iter().map(|agent| agent.address);
        let watched: Vec<Address> = floats.chain(self.strangers.keys().copied()).collect();
        let (moves, last) = self.moves(chain, &watched).await?;
        let used = self.book_moves(desk, chain, &agents, moves).await?;
        if used > self.used {
            self.used = used;
            return Ok(false);
        }
        self.next = last.saturating_add(1);
        Ok(self.next > self.last)
    }

    /// What the next final blocks hold, and the last of these blocks. Anybody can fill blocks with
    /// dust: then fewer are read at once, down to one, which has room for less than is read.
    async fn moves(
        &self,
        chain: &Chain,
        watched: &[Address],
    ) -> Result<(Vec<Moved>, u64), ChainError> {
        let mut last = self.last.min(self.next.saturating_add(DEPOSIT_BLOCKS_MAX - 1));
        loop {
            match chain.moves(watched, self.next, last).await {
                Err(ChainError::TooMany { .. }) if last > self.next => {
                    last = self.next + (last - self.next) / 2;
                }
                read => return Ok((read?, last)),
            }
        }
    }

    /// Books everything that reached or left a float, or an address that no agent here has, in the
    /// chain's order, so that no float is ever below what it held. Answers the last account that
    /// was used.
    async fn book_moves(
        &self,
        desk: &Desk,
        chain: &Chain,
        agents: &[Agent],
        moves: Vec<Moved>,
    ) -> Result<u32, Problem> {
        let ledger = &desk.inner.ledger;
        let (mut used, mut news) = (self.used, false);
        for moved in moves {
            let log = moved.transfer;
            for end in [log.from, log.to] {
                used = used.max(self.strangers.get(&end).copied().unwrap_or_default());
            }
            if log.from == log.to {
                continue;
            }
            let whose = |end: Address| agents.iter().find(|agent: &&Agent| agent.address == end);
            if let Some(agent) = whose(log.to) {
                news |= ledger
                    .float_received(
                        &agent.id,
                        log.from,
                        log.value,
                        log.tx,
                        log.log_index,
                        log.block,
                    )
                    .await?;
            }
            let agent = whose(log.from);
            let stranger = self.strangers.get(&log.from).copied();
            if agent.is_some() || stranger.is_some() {
                let at = time_of(chain, log.block).await?;
                news |= book_spend(desk, &moved, agent, stranger, at).await?;
            }
        }
        if news {
            desk.inner.changed(&["overview", "activity", "agents", "status"]);
        }
        Ok(used)
    }
}

/// Books what left the float of an agent, or an address that no agent here has.
async fn book_spend(
    desk: &Desk,
    moved: &Moved,
    agent: Option<&Agent>,
    stranger: Option<u32>,
    at: Timestamp,
) -> Result<bool, LedgerError> {
    let (ledger, log) = (&desk.inner.ledger, &moved.transfer);
    let (pay_to, value, transaction) = (log.to, log.value, log.tx);
    let (log_index, block) = (log.log_index, log.block);
    let mut news = false;
    if let Some(agent) = agent {
        let (agent, nonce) = (agent.id.clone(), moved.nonce);
        let found = FoundSpend { agent, pay_to, value, nonce, transaction, log_index, block, at };
        news |= ledger.spend_found(found).await?;
    }
    if let Some(account) = stranger {
        let asset = desk.inner.asset.id;
        let found =
            StrangerSpend { account, asset, pay_to, value, transaction, log_index, block, at };
        news |= ledger.stranger_spent(found).await?;
    }
    if news {
        tracing::warn!(block, %value, "found on the chain what the backup did not know");
    }
    Ok(news)
}

/// Reads on in the chain, up to what is final, and ends the wait once that is enough.
pub(crate) async fn catch_up(
    desk: &Desk,
    chain: &Chain,
    restored: Restored,
) -> Result<(), Problem> {
    let inner = &desk.inner;
    let Some(vault) = inner.vault().filter(|vault| vault.is_unlocked()) else { return Ok(()) };
    // Nothing that gives authority is written into books that cannot be trusted.
    if inner.trust.broken().is_some() {
        return Ok(());
    }
    let restored = match restored.waits_from() {
        Some(_) => restored,
        None => {
            let look = at_s(chain.head().await?.timestamp_s)?;
            let seen = inner.ledger.restore_seen(look).await?;
            inner.trust.note_restored(Some(seen));
            seen
        }
    };
    let finalized = chain.finalized().await?;
    let mut reading = inner.trust.reading.lock().await;
    let mut at_work = match reading.take() {
        Some(begun) => begun,
        None => {
            let made_at = restored.made_at();
            Reading::begin(&inner.ledger, chain, made_at, finalized.number).await?
        }
    };
    at_work.last = finalized.number;
    let read = at_work.read_on(desk, &vault, chain).await;
    let at_work = reading.insert(at_work);
    if !read? {
        // There is more to read at once.
        inner.reconcile_now.notify_one();
        inner.changed(&["status"]);
        return Ok(());
    }
    if restored.is_all_on_chain(at_s(finalized.timestamp_s)?, validity()) {
        finish(desk, finalized.number, at_work.used).await?;
    }
    Ok(())
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

/// A block's time; of several nodes' the latest, which counts in the windows that matter.
async fn time_of(chain: &Chain, block: u64) -> Result<Timestamp, Problem> {
    let mut latest_s = 0;
    for node in chain.sources() {
        latest_s = latest_s.max(node.block_at(block).await?.timestamp_s);
    }
    at_s(latest_s)
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

/// The log first: a stop in between has deposits looked for once more, which changes nothing.
async fn finish(desk: &Desk, block: u64, used: u32) -> Result<(), Problem> {
    let inner = &desk.inner;
    inner.ledger.reconciled(block, used).await?;
    inner.ledger.set_mark(DEPOSITS_MARK, block).await?;
    inner.trust.note_restored(inner.ledger.restored().await?);
    tracing::info!("the books of the backup agree with the chain; the owner may thaw the desk");
    inner.changed(&["status", "overview", "agents"]);
    Ok(())
}

/// What the owner has to know of a restore.
enum Wait {
    /// No desk runs, so nobody asks the chain.
    NotRunning,
    Locked,
    /// The books cannot be trusted for another reason.
    Doubted,
    /// Blocks are being read: up to which, and how many there are.
    Reading(Option<(u64, u64)>),
    /// All are read, and a signature may still be good: until when.
    Signatures(Timestamp),
    /// The chain was read up to a block; so many agents were found that the books do not know.
    Over(u64, u64),
}

impl Desk {
    /// For books out of a backup, until the owner thaws: what the desk still has to learn, and what
    /// the owner should do.
    pub(crate) async fn restored_note(&self) -> Result<Option<String>, Problem> {
        let inner = &self.inner;
        let Some(restored) = inner.trust.restored() else { return Ok(None) };
        let wait = match restored.read_to() {
            Some(block) => Wait::Over(block, inner.ledger.strangers().await?),
            None if inner.trust.broken().is_some() => Wait::Doubted,
            None if !inner.serves => Wait::NotRunning,
            None if !inner.vault().is_some_and(|vault| vault.is_unlocked()) => Wait::Locked,
            None => self.wait_for_the_chain(restored),
        };
        Ok(Some(sentence(restored.made_at(), &wait)))
    }

    fn wait_for_the_chain(&self, restored: Restored) -> Wait {
        // Whoever holds it is reading just now.
        let reading = self.inner.trust.reading.try_lock().ok();
        let Some(reading) = reading.as_ref().and_then(|reading| reading.as_ref()) else {
            return Wait::Reading(None);
        };
        match restored.waits_from().map(|from| from.saturating_add(validity())) {
            Some(Ok(until)) if reading.next > reading.last => Wait::Signatures(until),
            _ => Wait::Reading(Some((reading.next.saturating_sub(1), reading.last))),
        }
    }
}

fn sentence(made_at: Timestamp, wait: &Wait) -> String {
    let short = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let frozen =
        format!("These books come from a backup of {}, and the desk is frozen.", short(made_at));
    let next = match wait {
        Wait::NotRunning => "Start the desk and unlock the vault: the chain is read then for what was spent since.".to_owned(),
        Wait::Locked => "Unlock the vault: the chain is read then for what was spent since, also by agents that this backup does not know.".to_owned(),
        Wait::Doubted => "Something else is to be put right first: see `imprest signals`.".to_owned(),
        Wait::Reading(None) => "The chain is being read for what was spent since. Wait.".to_owned(),
        Wait::Reading(Some((next, last))) => {
            format!("The chain is being read for what was spent since: block {next} of {last}. Wait.")
        }
        Wait::Signatures(until) => format!(
            "The chain was read. A signature of which this backup does not know could still be used until its final blocks are later than {}. Wait.",
            short(*until)
        ),
        Wait::Over(block, strangers) => {
            let unknown = match strangers {
                0 => String::new(),
                1 => " An agent that was made after it spent money too; that counts in every shared budget.".to_owned(),
                many => format!(" {many} agents that were made after it spent money too; that counts in every shared budget."),
            };
            format!("What was spent since is counted, up to block {block}.{unknown} Look at limits, grades, shared budgets and revoked agents, which are those of the backup; then thaw the desk.")
        }
    };
    format!("{frozen} {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_what_is_missing_and_what_to_do() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let say = |wait: &Wait| sentence(at("2026-11-22T17:11:01Z"), wait);
        for (wait, words) in [
            (Wait::NotRunning, "Start the desk"),
            (Wait::Locked, "Unlock the vault"),
            (Wait::Doubted, "imprest signals"),
            (Wait::Reading(None), "is being read"),
            (Wait::Reading(Some((7, 90))), "block 7 of 90"),
            (Wait::Signatures(at("2026-11-22T18:00:00Z")), "later than 2026-11-22 18:00 UTC"),
            (Wait::Over(90, 0), "up to block 90. Look at limits"),
            (Wait::Over(90, 1), "An agent that was made after it"),
            (Wait::Over(90, 3), "3 agents that were made after it"),
        ] {
            let said = say(&wait);
            assert!(said.starts_with("These books come from a backup of 2026-11-22 17:11 UTC"));
            assert!(said.contains(words), "{said}");
        }
    }
}
