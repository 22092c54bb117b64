//! A disk that is really full. It is a small one in memory, mounted where only a child of this
//! test sees it: in a mount namespace inside a user namespace, which takes no rights.
#![cfg(target_os = "linux")]

mod common;

use common::*;
use imprest_backup::{BackupError, BackupPlan, RestorePlan};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where the child finds the small disk; not set in the parent.
const SMALL: &str = "IMPREST_TEST_SMALL_DISK";

/// Runs the test `name` of this file again, with a disk of so many KiB.
fn on_a_small_disk(name: &str, kibibytes: u32) {
    let mounted_at = TempDir::new().expect("a folder");
    let script =
        "mount -t tmpfs -o \"size=$2k\" tmpfs \"$1\" && exec \"$3\" --exact \"$4\" --nocapture";
    let child = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(mounted_at.path())
        .arg(kibibytes.to_string())
        .arg(std::env::current_exe().expect("has a path"))
        .arg(name)
        .env(SMALL, mounted_at.path())
        .output()
        .expect("unshare starts; it is part of util-linux");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

fn small_disk() -> Option<PathBuf> {
    std::env::var_os(SMALL).map(PathBuf::from)
}

fn is_empty(folder: &Path) -> bool {
    names(folder).is_empty()
}

#[tokio::test]
async fn a_target_without_room_is_left_as_it_was() {
    let Some(small) = small_disk() else {
        return on_a_small_disk("a_target_without_room_is_left_as_it_was", 64);
    };
    let desk = Desk::open().await;
    let to = small.join("desk.age");
    let plan = BackupPlan::new(&desk.folder, &to, at("2026-11-22T17:11:01Z")).lightly_sealed();
    let full = imprest_backup::write(plan, &secret(PASSPHRASE), |_| ()).await;
    assert!(matches!(&full, Err(BackupError::DiskFull { path }) if *path == to), "{full:?}");
    assert!(is_empty(&small));
    desk.pay().await;
}

#[tokio::test]
async fn a_data_folder_without_room_for_the_copy_is_left_as_it_was() {
    let Some(small) = small_disk() else {
        return on_a_small_disk("a_data_folder_without_room_for_the_copy_is_left_as_it_was", 512);
    };
    let desk = Desk::open().await;
    desk.ledger.clone().close().await;
    for name in ["ledger.db", "vault.json"] {
        fs::copy(desk.folder.join(name), small.join(name)).expect("there is room for these");
    }
    // Room for a part of the copy only.
    let ledger = fs::metadata(small.join("ledger.db")).expect("is there").len();
    let filler = vec![0; usize::try_from(512 * 1024 - ledger - ledger / 2).expect("fits")];
    fs::write(small.join("filler"), &filler[..filler.len().saturating_sub(8 * 1024)])
        .expect("fits");
    let to = desk.shelf().join("desk.age");
    let plan = BackupPlan::new(&small, &to, at("2026-11-22T17:11:01Z")).lightly_sealed();
    let full = imprest_backup::write(plan, &secret(PASSPHRASE), |_| ()).await;
    assert!(matches!(full, Err(BackupError::DiskFull { .. })), "{full:?}");
    assert!(is_empty(&desk.shelf()));
    // SQLite leaves its own empty files beside a ledger that was only read.
    let left: Vec<_> =
        names(&small).into_iter().filter(|name| !name.starts_with("ledger.db-")).collect();
    assert_eq!(left, ["backup.lock", "filler", "ledger.db", "vault.json"]);
}

#[tokio::test]
async fn a_restore_without_room_leaves_nothing() {
    let Some(small) = small_disk() else {
        return on_a_small_disk("a_restore_without_room_leaves_nothing", 64);
    };
    let desk = Desk::open().await;
    let written = desk.back_up("desk.age").await.expect("writes");
    let into = small.join("desk");
    let plan = RestorePlan::new(&written.path, &into, at("2026-11-23T08:00:00Z"));
    let full = imprest_backup::restore(plan, &secret(PASSPHRASE), |_| ()).await;
    assert!(matches!(full, Err(BackupError::DiskFull { .. })), "{full:?}");
    assert!(is_empty(&small));
}
