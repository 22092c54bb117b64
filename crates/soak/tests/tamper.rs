//! Whoever edits the file is noticed.

use imprest_soak::tamper;

#[test]
fn three_hundred_tamperings_are_all_noticed() {
    let figures = tamper::run(1, 300).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(figures.get("tamperings"), 300);
    assert!(figures.get("events in the books") >= 200, "{figures:?}");
    let by = |name: &str| name.starts_with("noticed by") || name == "noticed on opening";
    let noticed: u64 = figures.all().iter().filter(|(name, _)| by(name)).map(|(_, n)| n).sum();
    assert_eq!(noticed, 300);
    // Every kind was among them, and all but an older file is noticed without the copy too.
    let alone = figures.get("noticed without a copy of the end too");
    assert_eq!(alone + figures.get("older file restored"), 300);
    let said = |name: &str| name.starts_with("noticed") || name.starts_with("events in");
    let kinds = figures.all().iter().filter(|(name, _)| !said(name) && name != "tamperings");
    assert_eq!(kinds.count(), 26, "{figures:?}");
}
