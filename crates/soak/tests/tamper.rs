//! Whoever edits the file is noticed.

use imprest_soak::tamper;

#[test]
fn three_hundred_tamperings_are_all_noticed() {
    let figures = tamper::run(1, 300).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(figures.get("tamperings"), 300);
    let noticed: u64 = ["noticed on opening", "noticed by the seal", "noticed by verify"]
        .into_iter()
        .map(|by| figures.get(by))
        .sum();
    assert_eq!(noticed, 300);
    // Every kind was among them.
    let kinds = figures.all().iter().filter(|(name, _)| !name.starts_with("noticed")).count();
    assert!(kinds >= 17, "{figures:?}");
}
