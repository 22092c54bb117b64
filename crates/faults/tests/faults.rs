//! Every single operation fails in turn, once or for ever: the books answer with an error or keep
//! what they promised, and never lie.

mod books;

use books::{Story, Style, Untrue, WAL_FULL, check, open};
use imprest_faults::{Class, Code, Disk, Ops, Plan};

/// What the books' keeper does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Writes nothing more, as the ledger does.
    Stops,
    /// Rolls back and goes on with the next transaction on the same connection.
    GoesOn,
}

/// Transactions of one day.
const DAY: usize = 14;

/// Power cuts tried after each day that went wrong.
const CUTS: u64 = 4;

const JOURNAL_EXTRA: Style = Style { journal: "DELETE", synchronous: "EXTRA" };

/// One day at the books, with everything in it: making them, commits, checkpoints, closing.
/// Returns the story and what the disk was asked.
fn day(disk: &Disk, style: Style, after: After) -> (Story, Ops) {
    let mut story = Story::default();
    let before = disk.ops();
    let mount = disk.mount();
    for part in 0..2 {
        let Ok(books) = open(&mount, style, 6) else {
            match after {
                After::Stops => break,
                After::GoesOn => continue,
            }
        };
        for n in 0..DAY / 2 {
            let failed = story.tell(&books).is_err()
                || (n == 3 && part == 1 && books.execute_batch("PRAGMA wal_checkpoint").is_err());
            if failed && after == After::Stops {
                return (story, disk.ops().since(&before));
            }
            if !books.is_autocommit() {
                let _ = books.execute_batch("ROLLBACK");
            }
        }
    }
    (story, disk.ops().since(&before))
}

/// Lets the day go wrong by the plan, and compares what is left, and what a power cut leaves of
/// it, with what was promised.
fn go_wrong(plan: &Plan, style: Style, after: After, seed: u64) -> Result<(Story, Ops), Untrue> {
    let disk = Disk::new();
    disk.fail(plan.clone());
    let (story, ops) = day(&disk, style, after);
    for cut in 0..CUTS {
        check(&disk.cut(seed ^ (cut << 32)), &story)?;
    }
    disk.heal();
    check(&disk, &story)?;
    Ok((story, ops))
}

/// What the disk is asked on a day without failures.
fn clean_day(style: Style) -> Ops {
    let disk = Disk::new();
    let (story, ops) = day(&disk, style, After::Stops);
    assert_eq!(story.promised.len(), DAY);
    assert_eq!(ops.failed(), 0);
    check(&disk, &story).expect("a clean day's books are true");
    ops
}

/// Lets the first, second, … last operation of the class fail, once and for ever, with each code
/// (the usual one where there is none), and returns the plans after which the books were untrue.
fn sweep(class: Class, codes: &[Option<Code>], style: Style, after: After) -> Vec<(Plan, Untrue)> {
    let n = clean_day(style).of(class);
    assert!(n > 0, "a day has no {class:?} in it");
    let (mut runs, mut cut_short, mut harm) = (0, 0, Vec::new());
    for nth in 1..=n {
        for code in codes {
            let once = Plan::nth(nth).of(class).seed(nth);
            let once = code.map_or(once.clone(), |code| once.with(code));
            for plan in [once.clone(), once.for_ever()] {
                runs += 1;
                match go_wrong(&plan, style, after, nth) {
                    Ok((story, ops)) => {
                        assert!(ops.failed() > 0, "{plan:?} never struck");
                        cut_short += usize::from(story.promised.len() < DAY);
                    }
                    Err(untrue) => harm.push((plan, untrue)),
                }
            }
        }
    }
    println!("{class:?} {after:?}: {n} operations, {runs} days, {cut_short} with an error");
    harm
}

/// The same for several classes in WAL mode, where nothing may be untrue whatever is done after
/// the error.
fn sweep_ledger(classes: &[Class], codes: &[Option<Code>]) {
    for class in classes {
        for after in [After::Stops, After::GoesOn] {
            let harm = sweep(*class, codes, WAL_FULL, after);
            assert!(harm.is_empty(), "{after:?}: {harm:?}");
        }
    }
}

#[test]
fn a_failing_write_is_an_error_or_no_harm() {
    sweep_ledger(&[Class::Write], &[None, Some(Code::FULL)]);
}

#[test]
fn a_failing_sync_is_an_error_or_no_harm() {
    sweep_ledger(&[Class::Sync], &[None]);
}

#[test]
fn a_failing_read_is_an_error_or_no_harm() {
    sweep_ledger(&[Class::Read], &[None, Some(Code::IOERR_NOMEM)]);
}

#[test]
fn a_failure_around_files_is_an_error_or_no_harm() {
    let classes = [Class::Truncate, Class::Open, Class::Delete, Class::Stat];
    sweep_ledger(&classes, &[None, Some(Code::IOERR_DIR_FSYNC)]);
}

#[test]
fn a_failing_lock_is_an_error_or_no_harm() {
    sweep_ledger(&[Class::Lock, Class::Shm], &[None]);
}

/// What Linux does with a failed sync, and why the ledger must stop after one: SQLite in WAL mode
/// writes the same frames again and so escapes, but a rollback journal does not.
#[test]
fn going_on_after_a_failed_sync_breaks_books_with_a_rollback_journal() {
    let stops = sweep(Class::Sync, &[None], JOURNAL_EXTRA, After::Stops);
    assert!(stops.is_empty(), "{stops:?}");
    let goes_on = sweep(Class::Sync, &[None], JOURNAL_EXTRA, After::GoesOn);
    assert!(!goes_on.is_empty(), "the syncs that succeeded after a failed one told the truth");
}

#[test]
fn the_power_may_go_at_any_operation() {
    let n = clean_day(WAL_FULL).all();
    for nth in 1..=n {
        let plan = Plan::nth(nth).power_off();
        if let Err(untrue) = go_wrong(&plan, WAL_FULL, After::Stops, nth) {
            panic!("{plan:?}: {untrue:?}");
        }
    }
    println!("{n} operations");
}
