//! The morning after: what is left on the disk, beside what the ledger had promised.

use super::story::{MARK, Seen, Story};
use super::{PATH, open};
use crate::oracle::seal_key;
use imprest_domain::PaymentState;
use imprest_faults::{Disk, Mount};
use imprest_ledger::{Findings, HeadCopy, Ledger, LedgerError};
use rusqlite::{Connection, OpenFlags};

/// An error where there should be none.
fn unexpected(doing: &str) -> impl Fn(LedgerError) -> String + '_ {
    move |error| format!("{doing}, on a disk that works again: {error}")
}

/// Opens what is left on a disk, and compares it with everything that was promised.
pub(super) async fn compare(disk: &Disk, story: &mut Story) -> Seen {
    let mount = disk.mount();
    let ledger = look(&mount, story).await?;
    leave(ledger, &mount).await
}

/// The same; what was in doubt is decided by what is there.
pub(super) async fn compare_and_decide(disk: &Disk, story: &mut Story) -> Seen {
    let mount = disk.mount();
    let ledger = look(&mount, story).await?;
    decide(&ledger, story).await?;
    leave(ledger, &mount).await
}

/// Opens the books and compares them with everything that was promised.
pub(super) async fn look(mount: &Mount, story: &mut Story) -> Seen<Ledger> {
    let ledger = open(mount).await.map_err(unexpected("opening"))?;
    ledger.open_seal(seal_key(), story.sealed).await.map_err(unexpected("open_seal"))?;
    let found = whole(&ledger, story).await?;
    if !found.seal_checked {
        return Err(format!("verify did not look at the seal: {found:?}"));
    }
    kept(&ledger, story).await?;
    within(&ledger, story).await?;
    story.figures.count("disks compared");
    Ok(ledger)
}

/// They can be written to; closed, they are a sound file.
async fn leave(ledger: Ledger, mount: &Mount) -> Seen {
    ledger.set_mark("left", 1).await.map_err(unexpected("writing"))?;
    ledger.close().await;
    sound(mount)
}

/// The chain, the seal and every table fit, and nothing is missing at the end.
pub(super) async fn whole(ledger: &Ledger, story: &mut Story) -> Seen<Findings> {
    let copy = HeadCopy::from(story.head);
    let found = ledger.verify(Some(copy)).await.map_err(unexpected("verify"))?;
    if !found.faults.is_empty() {
        return Err(format!("verify found {found:?}"));
    }
    if found.head.seq < story.head.seq {
        return Err(format!("the log ends at {:?}; {:?} was promised", found.head, story.head));
    }
    story.figures.add("events proved", found.events);
    Ok(found)
}

/// Every payment, key, agent, mark and freeze that was promised is there.
async fn kept(ledger: &Ledger, story: &mut Story) -> Seen {
    for (payment, promise) in &story.payments {
        let record = ledger.payment(payment).await;
        let record = record.map_err(|e| format!("{payment} was promised: {e}"))?;
        if record.value != promise.value || record.agent != promise.agent {
            return Err(format!("{payment} was promised as {promise:?}: {record:?}"));
        }
        if !promise.may.contains(&record.state) {
            return Err(format!("{payment} is {:?}; {:?} was promised", record.state, promise.may));
        }
        if promise.may.first() == Some(&PaymentState::Held) {
            story.figures.count("grants found again");
        }
    }
    for ((agent, key), payment) in &story.keys {
        let found = ledger.payment_by_key(agent, key).await.map_err(unexpected("a key"))?;
        if found.as_ref().map(|record| &record.payment) != Some(payment) {
            return Err(format!("the key {key} stood for {payment}: {found:?}"));
        }
    }
    let mark = ledger.mark(MARK).await.map_err(unexpected("a mark"))?;
    if mark.unwrap_or(0) < story.mark {
        return Err(format!("the mark is {mark:?} and was {}", story.mark));
    }
    let frozen = ledger.is_frozen().await.map_err(unexpected("is_frozen"))?;
    if !story.frozen.contains(&frozen) {
        return Err(format!("frozen is {frozen}; {:?} was promised", story.frozen));
    }
    Ok(())
}

/// Nothing was spent above a limit, and no money came or went by itself.
async fn within(ledger: &Ledger, story: &Story) -> Seen {
    for (agent, account) in &story.accounts {
        let found = ledger.agent(agent).await.map_err(|e| format!("{agent} was promised: {e}"))?;
        let balance = ledger.balance(agent).await.map_err(unexpected("balance"))?;
        let spent = balance.paid.get() + balance.held.get();
        let limit = found.budget.limit_units_lifetime.map_or(0, |limit| limit.get());
        if spent > limit || limit > u128::from(account.limit) {
            return Err(format!("{agent} spent {spent} of {limit}; {account:?}"));
        }
        let all = spent + balance.free.get();
        let sure = u128::from(account.funds);
        if all < sure || all > sure + u128::from(account.funds_in_doubt) {
            return Err(format!("{agent} has {all} in all; {account:?}"));
        }
    }
    Ok(())
}

/// SQLite's own look at the file, its indexes included.
fn sound(mount: &Mount) -> Seen {
    let look = || {
        let file = Connection::open_with_flags_and_vfs(PATH, OpenFlags::default(), mount.name())?;
        file.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0))
    };
    match look() {
        Ok(fine) if fine == "ok" => Ok(()),
        Ok(broken) => Err(format!("SQLite finds the file broken: {broken}")),
        Err(error) => Err(format!("SQLite cannot look at the file: {error}")),
    }
}

/// Reads what became of everything that was in doubt, so that the story can go on from there.
pub(super) async fn decide(ledger: &Ledger, story: &mut Story) -> Seen {
    for (payment, promise) in &mut story.payments {
        let record = ledger.payment(payment).await.map_err(unexpected("a payment"))?;
        if promise.may.len() > 1 && promise.may.first() != Some(&record.state) {
            story.figures.count("failed writes that took effect");
        }
        promise.may = vec![record.state];
    }
    for agent in ledger.agents().await.map_err(unexpected("agents"))? {
        let balance = ledger.balance(&agent.id).await.map_err(unexpected("balance"))?;
        let account = story.accounts.entry(agent.id).or_default();
        let all = balance.free.get() + balance.held.get() + balance.paid.get();
        account.funds = u64::try_from(all).unwrap_or(u64::MAX);
        account.funds_in_doubt = 0;
        let limit = agent.budget.limit_units_lifetime.map_or(0, |limit| limit.get());
        account.limit = u64::try_from(limit).unwrap_or(u64::MAX);
    }
    story.frozen = vec![ledger.is_frozen().await.map_err(unexpected("is_frozen"))?];
    Ok(())
}
