//! What is left after a power cut: with the ledger's settings everything that was promised, with
//! weaker ones not; the latter shows that the disk is worth testing on.

mod books;

use books::{Style, Untrue, WAL_FULL, three_nights};
use std::collections::BTreeMap;

/// How the books came through the nights of the first `seeds` seeds.
#[derive(Debug, Default)]
struct Nights {
    fine: usize,
    /// Promises that were still kept in the morning.
    kept: usize,
    lost: usize,
    broken: usize,
    /// Each kind of harm with the first seed that did it.
    first: BTreeMap<&'static str, (u64, Untrue)>,
}

fn nights(style: Style, seeds: u64) -> Nights {
    let mut nights = Nights::default();
    for seed in 0..seeds {
        let kind = match three_nights(style, seed) {
            Ok(kept) => {
                nights.fine += 1;
                nights.kept += kept;
                continue;
            }
            Err(harm @ Untrue::Lost(_)) => {
                nights.lost += 1;
                ("lost", harm)
            }
            Err(harm @ Untrue::Broken(_)) => {
                nights.broken += 1;
                ("broken", harm)
            }
        };
        nights.first.entry(kind.0).or_insert((seed, kind.1));
    }
    println!("{style:?}: {nights:?}");
    nights
}

#[test]
fn what_the_ledger_commits_survives_every_power_cut() {
    let nights = nights(WAL_FULL, 2_000);
    assert_eq!(nights.fine, 2_000, "{nights:?}");
    assert!(nights.kept > 20_000, "too little was promised to prove anything: {nights:?}");
}

#[test]
fn without_syncs_commits_are_lost_and_books_broken() {
    let nights = nights(Style { synchronous: "OFF", ..WAL_FULL }, 300);
    assert!(nights.lost > 0, "the disk never lost a commit that nobody synced: {nights:?}");
    assert!(nights.broken > 0, "the disk never broke books that nobody synced: {nights:?}");
}

#[test]
fn with_fewer_syncs_commits_are_lost_but_books_stay_whole() {
    let nights = nights(Style { synchronous: "NORMAL", ..WAL_FULL }, 600);
    assert!(nights.lost > 0, "{nights:?}");
    assert_eq!(nights.broken, 0, "{nights:?}");
}

#[test]
fn a_rollback_journal_with_the_folder_synced_loses_nothing() {
    let nights = nights(Style { journal: "DELETE", synchronous: "EXTRA" }, 600);
    assert_eq!(nights.fine, 600, "{nights:?}");
}

#[test]
fn a_rollback_journal_whose_deletion_is_not_synced_comes_back() {
    let nights = nights(Style { journal: "DELETE", synchronous: "FULL" }, 600);
    assert!(nights.lost > 0, "{nights:?}");
    assert_eq!(nights.broken, 0, "{nights:?}");
}
