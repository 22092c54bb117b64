//! On a failing disk the ledger keeps what it promised.

use imprest_domain::PaymentId;
use imprest_faults::{Class, Disk, Mount, Plan};
use imprest_ledger::{HeadCopy, Ledger, LedgerError, OpenOptions};
use imprest_soak::disk;
use std::path::Path;

/// Some dozen disks each.
const ROUNDS: u64 = 10;

#[test]
fn a_failing_disk_breaks_no_promise() {
    let figures = disk::run(1, ROUNDS).unwrap_or_else(|broken| panic!("{broken}"));
    for (name, count) in figures.all() {
        println!("{name:34} {count}");
    }
    assert_eq!(figures.get("rounds"), ROUNDS);
    assert!(figures.get("faults struck") > 0, "{figures:?}");
    assert!(figures.get("power cuts") >= 5 * ROUNDS, "{figures:?}");
    assert!(figures.get("grants found again") > 200, "{figures:?}");
}

async fn open(mount: &Mount) -> Result<Ledger, LedgerError> {
    let options = OpenOptions { clock: None, vfs: Some(mount.name().to_owned()) };
    Ledger::open_with(Path::new("/ledger.db"), options).await
}

/// Something too large for SQLite's memory is on its way to the disk when a write of it fails:
/// SQLite takes the transaction back at once, in the middle of the group. The power goes at each
/// moment after that.
#[tokio::test]
async fn a_group_that_sqlite_took_back_leaves_nothing() -> Result<(), LedgerError> {
    let mut taken_back = 0;
    for power_off in 5..60 {
        let disk = Disk::new();
        let mount = disk.mount();
        let ledger = open(&mount).await?;
        let copy = HeadCopy::from(ledger.head());
        disk.fail(Plan::nth(2).of(Class::Write));
        disk.fail(Plan::nth(power_off).power_off());
        let payment: PaymentId = "pay_1".parse().expect("an identifier");
        let answers = futures::join!(
            ledger.set_mark("a", 1),
            ledger.keep_response(&payment, vec![9; 4_500_000]),
            ledger.allow_host("127.0.0.1:4021".to_owned()),
            ledger.set_mark("b", 1),
        );
        taken_back += u32::from(answers.1.is_err() && answers.2.is_err());
        let left = disk.cut(power_off);
        ledger.close().await;
        let mount = left.mount();
        let ledger = open(&mount).await?;
        let found = ledger.verify(Some(copy)).await?;
        assert_eq!(found.faults, Vec::<String>::new(), "the power went at {power_off}");
        assert!(answers.2.is_err() || ledger.hosts().await?.len() == 1, "a promise was broken");
        ledger.close().await;
    }
    assert!(taken_back > 0, "the jobs never shared a group");
    Ok(())
}
