//! Putting a backup back: where it may go, what it may not do, and what it refuses.

mod common;

use common::*;
use imprest_backup::{BackupError, RestorePlan, inspect, pending};
use imprest_ledger::Ledger;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

async fn one() -> (Desk, PathBuf) {
    let desk = Desk::open().await;
    desk.pay().await;
    let written = desk.back_up("desk.age").await.expect("writes");
    (desk, written.path)
}

fn replacing(from: &Path, into: &Path) -> RestorePlan {
    RestorePlan::new(from, into, at("2026-11-23T08:00:00Z")).replacing()
}

#[tokio::test]
async fn a_desk_that_is_there_is_moved_aside_when_told_and_never_lost() {
    let (desk, backup) = one().await;
    desk.pay().await;
    let newer = desk.ledger.head();
    let refused = restore(&backup, &desk.folder).await.expect_err("a desk is there");
    assert!(matches!(refused, BackupError::Occupied { .. }), "{refused}");
    // A running desk holds its lock.
    let lock = fs::File::create(desk.folder.join("desk.lock")).expect("makes it");
    lock.lock().expect("takes it");
    let plan = replacing(&backup, &desk.folder);
    let in_use = imprest_backup::restore(plan.clone(), &secret(PASSPHRASE), |_| ()).await;
    assert!(matches!(in_use, Err(BackupError::InUse { .. })), "{in_use:?}");
    drop(lock);
    desk.ledger.clone().close().await;
    let vault = fs::read(desk.folder.join("vault.json")).expect("is there");
    let restored =
        imprest_backup::restore(plan, &secret(PASSPHRASE), |_| ()).await.expect("restores");
    let aside = restored.moved_to.expect("a desk was there");
    assert!(aside.starts_with(&desk.folder) && aside.ends_with("replaced-2026-11-23T08-00-00Z"));
    assert_eq!(names(&aside), ["desk.json", "ledger.db", "vault.json"]);
    assert_eq!(fs::read(aside.join("vault.json")).expect("is there"), vault);
    let old = Ledger::open(&aside.join("ledger.db")).await.expect("opens");
    assert_eq!(old.head(), newer, "what was there before is whole");
    let new = Ledger::open(&desk.folder.join("ledger.db")).await.expect("opens");
    assert_eq!(new.head().seq, restored.manifest.head.seq);
    assert!(new.head().seq < newer.seq);
    assert!(pending(&desk.folder).expect("reads").is_some());
}

#[tokio::test]
async fn a_refusal_touches_nothing() {
    let (desk, backup) = one().await;
    let into = desk.home.path().join("new/desk");
    let plan = || RestorePlan::new(&backup, &into, at("2026-11-23T08:00:00Z"));
    let wrong = imprest_backup::restore(plan(), &secret("another passphrase"), |_| ()).await;
    assert!(matches!(wrong, Err(BackupError::WrongPassphrase { .. })));
    assert!(!desk.home.path().join("new").exists());
    // The last byte only shows when all parts have been unpacked.
    let mut bytes = fs::read(&backup).expect("is there");
    *bytes.last_mut().expect("has bytes") ^= 1;
    let damaged = desk.shelf().join("damaged.age");
    fs::write(&damaged, &bytes).expect("writes");
    let refused = restore(&damaged, &into).await.expect_err("is damaged");
    assert!(matches!(&refused, BackupError::Damaged { path, .. } if *path == damaged), "{refused}");
    assert!(!into.exists());
    let plan = replacing(&damaged, &desk.folder);
    let before = names(&desk.folder);
    imprest_backup::restore(plan, &secret(PASSPHRASE), |_| ()).await.expect_err("is damaged");
    let left: Vec<_> = names(&desk.folder).into_iter().filter(|name| name != "desk.lock").collect();
    assert_eq!(left, before);
    assert!(pending(&desk.folder).expect("reads").is_none());
}

#[tokio::test]
async fn a_real_backup_is_refused_wherever_it_is_damaged_or_cut() {
    let (_desk, backup) = one().await;
    let whole = fs::read(&backup).expect("is there");
    let changed = backup.with_file_name("changed.age");
    let passphrase = secret(PASSPHRASE);
    // The whole header, both sides of every border between sealed pieces, and places in between.
    let piece = 64 * 1024 + 16;
    let header = whole.windows(4).position(|four| four == b"--- ").expect("has one") + 64;
    let mut places: Vec<usize> = (0..header).step_by(3).collect();
    places.extend((header..whole.len()).step_by(9_973));
    for border in (header..whole.len()).step_by(piece) {
        places.extend([border - 1, border, border + 1, border + 16]);
    }
    places.push(whole.len() - 1);
    for at in places.into_iter().filter(|at| *at < whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&changed, &bytes).expect("writes");
        let refused = inspect(&changed, &passphrase).await.expect_err("is damaged");
        let text = refused.to_string();
        assert!(text.contains("changed.age"), "byte {at}: {text}");
        fs::write(&changed, &whole[..at]).expect("writes");
        let refused = inspect(&changed, &passphrase).await.expect_err("is cut short");
        assert!(refused.to_string().contains("changed.age"), "{at} bytes: {refused}");
    }
    fs::write(&changed, &whole).expect("writes");
    inspect(&changed, &passphrase).await.expect("is whole again");
}

#[tokio::test]
async fn other_things_than_backups_are_refused_by_name() {
    let (desk, backup) = one().await;
    let refusal = async |path: &Path| {
        let refused = inspect(path, &secret(PASSPHRASE)).await.expect_err("is no backup");
        assert!(refused.to_string().contains(&*path.to_string_lossy()), "{refused}");
        refused
    };
    let missing = refusal(&desk.shelf().join("nothing.age")).await;
    assert!(matches!(missing, BackupError::Missing { what: "backup", .. }));
    assert!(matches!(refusal(&desk.shelf()).await, BackupError::NotABackup { .. }));
    let ledger = desk.folder.join("ledger.db");
    assert!(matches!(refusal(&ledger).await, BackupError::NotABackup { .. }));
    let huge = desk.shelf().join("huge.age");
    fs::File::create(&huge).and_then(|file| file.set_len(1 << 40)).expect("makes it");
    assert!(matches!(refusal(&huge).await, BackupError::TooLarge { .. }));
    #[cfg(unix)]
    {
        let pipe = desk.shelf().join("pipe.age");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("starts");
        assert!(made.success());
        assert!(matches!(refusal(&pipe).await, BackupError::NotABackup { .. }));
    }
    inspect(&backup, &secret(PASSPHRASE)).await.expect("is one");
}

/// Seals files as a backup would be, with whatever manifest.
fn seal(to: &Path, files: &[(&str, Vec<u8>)]) {
    let mut recipient = age::scrypt::Recipient::new(PASSPHRASE.to_owned().into());
    recipient.set_work_factor(1);
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .expect("seals");
    let file = fs::File::create(to).expect("makes it");
    let mut builder = tar::Builder::new(encryptor.wrap_output(file).expect("seals"));
    for (name, contents) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, contents.as_slice()).expect("packs");
    }
    let mut sealed = builder.into_inner().expect("packs");
    sealed.flush().expect("writes");
    sealed.finish().expect("seals");
}

/// What a backup holds, unpacked.
async fn parts(backup: &Path) -> Vec<(&'static str, Vec<u8>)> {
    use std::io::Read;
    let identity = age::scrypt::Identity::new(PASSPHRASE.to_owned().into());
    let file = fs::File::open(backup).expect("is there");
    let sealed = age::Decryptor::new(file).expect("is sealed");
    let inside = sealed.decrypt(std::iter::once(&identity as &dyn age::Identity)).expect("opens");
    let mut parts = Vec::new();
    for entry in tar::Archive::new(inside).entries().expect("is a tar") {
        let mut entry = entry.expect("is whole");
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).expect("reads");
        let name = entry.path().expect("has a name").to_string_lossy().into_owned();
        let name = ["manifest.json", "vault.json", "desk.json", "ledger.db"]
            .into_iter()
            .find(|known| *known == name)
            .expect("is a known one");
        parts.push((name, contents));
    }
    parts
}

/// Rewrites the manifest, and the hashes in it with what the parts are now.
fn relabel(parts: &mut [(&'static str, Vec<u8>)], change: impl FnOnce(&mut serde_json::Value)) {
    use sha2::Digest;
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&parts[0].1).expect("is a manifest");
    for (at, (_, contents)) in parts[1..].iter().enumerate() {
        manifest["files"][at]["bytes"] = contents.len().into();
        manifest["files"][at]["sha256"] = hex::encode(sha2::Sha256::digest(contents)).into();
    }
    change(&mut manifest);
    parts[0].1 = manifest.to_string().into_bytes();
}

#[tokio::test]
async fn whoever_has_the_passphrase_cannot_make_the_books_up() {
    let (desk, backup) = one().await;
    let made_up = desk.shelf().join("made-up.age");
    let into = desk.home.path().join("back");
    let refusal = async |parts: &[(&'static str, Vec<u8>)]| {
        seal(&made_up, parts);
        let refused = restore(&made_up, &into).await.expect_err("is made up");
        assert!(!into.exists(), "{refused}");
        refused
    };
    let whole = parts(&backup).await;
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut parts = whole.clone();
        relabel(&mut parts, change);
        parts
    };
    // Packed again by other means it is the same backup.
    seal(&made_up, &with(&|_| ()));
    restore(&made_up, &into).await.expect("restores");
    fs::remove_dir_all(&into).expect("removes");

    let lies: [&dyn Fn(&mut serde_json::Value); 5] = [
        &|manifest| manifest["head"]["seq"] = 2.into(),
        &|manifest| manifest["head"]["seq"] = 2_000.into(),
        &|manifest| manifest["head"]["hash"] = format!("0x{}", "07".repeat(32)).into(),
        &|manifest| manifest["head"]["at_ms"] = 7.into(),
        &|manifest| manifest["next_account"] = 1.into(),
    ];
    for lie in lies {
        let refused = refusal(&with(lie)).await;
        assert!(matches!(refused, BackupError::Unsound { .. }), "{refused}");
    }
    let newer = refusal(&with(&|manifest| manifest["version"] = 2.into())).await;
    assert!(matches!(newer, BackupError::Newer { found: 2, .. }), "{newer}");

    let ledger = |sql: &str| {
        let mut parts = whole.clone();
        let path = desk.shelf().join("forged.db");
        fs::write(&path, &parts[3].1).expect("writes");
        let conn = rusqlite::Connection::open(&path).expect("opens");
        conn.execute_batch(sql).expect("forges");
        drop(conn);
        parts[3].1 = fs::read(&path).expect("reads");
        relabel(&mut parts, |_| ());
        parts
    };
    for forged in [
        "UPDATE counters SET settled = 0",
        "UPDATE desk SET restored = NULL",
        "UPDATE desk SET frozen = 0",
        "DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq > 3",
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM counters; END",
        "PRAGMA user_version = 99",
    ] {
        let refused = refusal(&ledger(forged)).await;
        assert!(matches!(refused, BackupError::Unsound { .. }), "{forged}: {refused}");
    }
    for (at, text) in [(1, "{}"), (2, "[]"), (2, "{"), (3, "no ledger")] {
        let mut parts = whole.clone();
        parts[at].1 = text.into();
        relabel(&mut parts, |_| ());
        let refused = refusal(&parts).await;
        assert!(matches!(refused, BackupError::Unsound { .. }), "{text}: {refused}");
    }
}
