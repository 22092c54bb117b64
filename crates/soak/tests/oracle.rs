//! The real ledger and the oracle agree.

use imprest_soak::{Figures, oracle};

/// How many steps each story has here.
const STEPS: usize = 600;

fn told(seeds: std::ops::Range<u64>) -> Figures {
    let mut all = Figures::default();
    for seed in seeds {
        all.merge(&oracle::run(seed, STEPS).unwrap_or_else(|broken| panic!("{broken}")));
    }
    for (name, count) in all.all() {
        println!("{name:30} {count}");
    }
    all
}

#[test]
fn the_ledger_says_what_plain_lists_say() {
    let figures = told(1..6);
    assert_eq!(figures.get("steps"), 5 * STEPS as u64);
    // Enough came about to say something, every kind of end and every rule among it.
    for (what, at_least) in [
        ("granted", 100),
        ("asked", 50),
        ("refused", 200),
        ("approved", 5),
        ("settled", 50),
        ("expired", 10),
        ("reopened", 10),
        ("voided", 3),
        ("same key again", 50),
        ("limits changed", 30),
        ("proofs of the whole", 10),
        ("rule over_per_hour", 5),
        ("rule over_per_day", 5),
        ("rule over_payee_day", 5),
        ("rule over_exposure", 5),
        ("rule over_per_payment", 50),
        ("rule grade_asks", 50),
        ("rule frozen", 5),
    ] {
        assert!(figures.get(what) >= at_least, "{what}: {figures:?}");
    }
}
