//! Whatever kills the program, what was granted is in the books.

use imprest_soak::killed;

/// A folder, a child and a proof of the whole each: few enough for half a minute on a busy machine.
const ROUNDS: u64 = 20;

#[test]
fn what_was_granted_survives_kill_nine() {
    let figures = killed::run(1, ROUNDS).unwrap_or_else(|broken| panic!("{broken}"));
    for (name, count) in figures.all() {
        println!("{name:42} {count}");
    }
    assert_eq!(figures.get("rounds in memory") + figures.get("rounds on the disk"), ROUNDS);
    assert!(figures.get("children killed") >= ROUNDS);
    assert!(figures.get("grants said") > 300, "{figures:?}");
    assert!(figures.get("grants found again") >= figures.get("grants said"), "{figures:?}");
}
