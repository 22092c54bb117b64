//! Making a backup of a running desk, and having it back.

mod common;

use common::*;
use imprest_backup::{BackupError, Progress, Step, forget_note, inspect, pending};
use imprest_ledger::{HeadCopy, Ledger, PaymentFilter};
use imprest_vault::Vault;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_goes_on_paying_is_back_as_it_was_at_one_moment() {
    let desk = Desk::open().await;
    for _ in 0..150 {
        desk.pay().await;
    }
    let before = desk.ledger.head();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (ledger, agent, stop) = (desk.ledger.clone(), desk.agent.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::SeqCst) {
                pay(&ledger, &agent).await;
            }
        }
    });
    let written = desk.back_up("desk.age").await.expect("writes");
    stop.store(true, Ordering::SeqCst);
    writer.await.expect("wrote");
    let after = desk.ledger.head();
    let head = written.manifest.head;
    assert!(before.seq <= head.seq && head.seq < after.seq, "nothing was written meanwhile");

    let bytes = fs::read(&written.path).expect("is there");
    assert_eq!(bytes.len() as u64, written.bytes);
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&bytes)), written.sha256);
    assert_eq!(names(&desk.shelf()), ["desk.age"]);
    let seen = inspect(&written.path, &secret(PASSPHRASE)).await.expect("reads");
    assert_eq!(seen, written.manifest);
    assert_eq!((seen.chain_id, seen.next_account, seen.events()), (Some(402402), 2, head.seq));

    let into = desk.home.path().join("new machine/desk");
    let restored = restore(&written.path, &into).await.expect("restores");
    assert_eq!((restored.manifest, restored.moved_to), (seen, None));
    let ledger = Ledger::open(&into.join("ledger.db")).await.expect("opens");
    let found = ledger.verify(Some(HeadCopy::from(head))).await.expect("reads");
    assert_eq!((found.events, found.faults), (head.seq, Vec::new()));
    let says = ledger.restored().await.expect("reads").expect("says that it is a backup");
    assert_eq!((says.made_at(), says.is_pending()), (written.manifest.made_at, true));
    assert!(ledger.is_frozen().await.expect("reads"));
    assert_eq!(desk.ledger.restored().await.expect("reads"), None, "only the copy says so");
    let paid = ledger.count_payments(&PaymentFilter::default()).await.expect("reads");
    assert!((150..=head.seq).contains(&paid), "{paid} payments");
    // Up to there it is the log of the running desk, which went on otherwise.
    let going_on = desk.ledger.compare_copy(HeadCopy::from(head)).await.expect("reads");
    assert!(going_on.is_some());

    let vault = Vault::open(into.join("vault.json")).expect("opens");
    vault.unlock(&secret(VAULT_PASSPHRASE)).expect("unlocks");
    assert_eq!(vault.treasury_address().expect("is open"), desk.treasury);
    assert_eq!(fs::read_to_string(into.join("desk.json")).expect("is there"), SETTINGS);
    let note = pending(&into).expect("reads").expect("is there");
    assert_eq!((note.head, note.next_account, note.made_at), (head, 2, written.manifest.made_at));
    forget_note(&into).expect("removes");
    assert_eq!(pending(&into).expect("reads"), None);
    ledger.close().await;
    let left = ["backup.lock", "desk.json", "desk.lock", "ledger.db", "vault.json"];
    assert_eq!(names(&into), left);
}

#[tokio::test]
async fn a_closed_desk_and_one_that_was_killed_can_be_backed_up() {
    let desk = Desk::open().await;
    desk.pay().await;
    let head = desk.ledger.head();
    // A copy of the files while they are open is what a kill leaves: the write-ahead log is full.
    let killed = desk.home.path().join("killed");
    fs::create_dir(&killed).expect("makes it");
    for name in ["ledger.db", "ledger.db-wal", "vault.json"] {
        fs::copy(desk.folder.join(name), killed.join(name)).expect("copies");
    }
    assert!(fs::metadata(killed.join("ledger.db-wal")).expect("is there").len() > 0);
    let plan = imprest_backup::BackupPlan::new(
        &killed,
        desk.shelf().join("killed.age"),
        at("2026-11-22T17:11:01Z"),
    );
    let written = imprest_backup::write(plan.lightly_sealed(), &secret(PASSPHRASE), |_| ()).await;
    let manifest = written.expect("writes").manifest;
    assert_eq!(manifest.head.seq, head.seq + 1, "one more event says what the copy is");
    assert_eq!(manifest.files.len(), 2, "a desk without settings has none in its backup");
    desk.ledger.clone().close().await;
    let written = desk.back_up("closed.age").await.expect("writes");
    assert_eq!(written.manifest.head, manifest.head);
    let into = desk.home.path().join("back");
    restore(&desk.shelf().join("killed.age"), &into).await.expect("restores");
    assert!(!into.join("desk.json").exists());
}

#[tokio::test]
async fn a_backup_of_a_backup_is_one_too() {
    let desk = Desk::open().await;
    let first = desk.back_up("first.age").await.expect("writes");
    let into = desk.home.path().join("back");
    restore(&first.path, &into).await.expect("restores");
    let plan = imprest_backup::BackupPlan::new(
        &into,
        desk.shelf().join("second.age"),
        at("2027-01-01T00:00:00Z"),
    );
    let second = imprest_backup::write(plan.lightly_sealed(), &secret(PASSPHRASE), |_| ()).await;
    assert_eq!(second.expect("writes").manifest.head.seq, first.manifest.head.seq + 1);
    let ledger = Ledger::open(&into.join("ledger.db")).await.expect("opens");
    assert_eq!(ledger.head().seq, first.manifest.head.seq, "only the copy goes on");
}

#[tokio::test]
async fn progress_goes_through_every_step() {
    let desk = Desk::open().await;
    let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let listen = {
        let told = Arc::clone(&told);
        move |progress| told.lock().expect("is whole").push(progress)
    };
    let written = imprest_backup::write(desk.plan("desk.age"), &secret(PASSPHRASE), listen)
        .await
        .expect("writes");
    let told = told.lock().expect("is whole");
    let mut steps: Vec<Step> = told.iter().map(|progress| progress.step).collect();
    steps.dedup();
    assert_eq!(steps, [Step::Copying, Step::Sealing, Step::Reading, Step::Proving, Step::Placing]);
    for step in [Step::Sealing, Step::Reading] {
        let last = told.iter().rfind(|progress| progress.step == step).expect("was told");
        assert_eq!(last.done_bytes, written.manifest.total_bytes());
        assert_eq!(last.total_bytes, written.manifest.total_bytes());
    }
}

#[tokio::test]
async fn targets_that_are_taken_missing_or_among_the_books_are_refused() {
    let desk = Desk::open().await;
    let taken = desk.shelf().join("desk.age");
    fs::write(&taken, "something of the owner’s").expect("writes");
    let refused = desk.back_up("desk.age").await.expect_err("is taken");
    assert!(matches!(&refused, BackupError::AlreadyThere { path } if *path == taken), "{refused}");
    assert_eq!(fs::read_to_string(&taken).expect("is there"), "something of the owner’s");
    let replacing = async |passphrase: &str| {
        let plan = desk.plan("desk.age").replacing();
        imprest_backup::write(plan, &secret(passphrase), |_| ()).await
    };
    // Only an earlier backup that the same passphrase opens is ever replaced.
    let recipient = age::scrypt::Recipient::new(PASSPHRASE.to_owned().into());
    let other = age::encrypt(&recipient, b"no tar, and no backup").expect("seals");
    for something in [&b"something of the owner\xe2\x80\x99s"[..], b"", &other] {
        fs::write(&taken, something).expect("writes");
        let refused = replacing(PASSPHRASE).await.expect_err("is no backup");
        assert!(matches!(&refused, BackupError::NotReplaced { .. }), "{refused}");
        assert_eq!(fs::read(&taken).expect("is there"), something);
    }
    fs::remove_file(&taken).expect("removes");
    let first = desk.back_up("desk.age").await.expect("writes");
    let refused = replacing("another passphrase").await.expect_err("nobody can tell");
    assert!(matches!(&refused, BackupError::NotReplaced { .. }), "{refused}");
    desk.pay().await;
    let second = replacing(PASSPHRASE).await.expect("replaces");
    assert_ne!(first.sha256, second.sha256);
    let seen = inspect(&taken, &secret(PASSPHRASE)).await.expect("is the new one");
    assert_eq!(seen, second.manifest);

    let write = async |to: std::path::PathBuf| {
        let plan = imprest_backup::BackupPlan::new(&desk.folder, to, at("2026-11-22T17:11:01Z"));
        imprest_backup::write(plan.lightly_sealed().replacing(), &secret(PASSPHRASE), |_| ()).await
    };
    let gone = write(desk.home.path().join("nowhere/desk.age")).await;
    assert!(matches!(gone, Err(BackupError::Missing { what: "folder", .. })));
    let folder = write(desk.shelf()).await;
    assert!(matches!(folder, Err(BackupError::AlreadyThere { .. })));
    for to in ["ledger.db", "desk.age", "../desk/vault.json"] {
        let beside = write(desk.folder.join(to)).await;
        assert!(matches!(beside, Err(BackupError::BesideTheBooks { .. })), "{to}");
    }
    assert_eq!(names(&desk.shelf()), ["desk.age"]);
    desk.pay().await;
}

#[tokio::test]
async fn a_desk_that_lacks_something_or_whose_books_do_not_hold_up_gets_no_backup() {
    let desk = Desk::open().await;
    let weak = imprest_backup::write(desk.plan("a.age"), &secret("short"), |_| ()).await;
    assert!(matches!(weak, Err(BackupError::Passphrase { .. })));
    let vault = fs::read(desk.folder.join("vault.json")).expect("is there");
    fs::write(desk.folder.join("vault.json"), "{}").expect("writes");
    let odd = desk.back_up("a.age").await.expect_err("no vault");
    assert!(matches!(&odd, BackupError::NotVerified { why, .. } if why.contains("vault")), "{odd}");
    fs::write(desk.folder.join("vault.json"), vec![b' '; (1 << 20) + 1]).expect("writes");
    let large = desk.back_up("a.age").await.expect_err("no vault");
    assert!(matches!(large, BackupError::TooLarge { .. }), "{large}");
    fs::remove_file(desk.folder.join("vault.json")).expect("removes");
    let missing = desk.back_up("a.age").await.expect_err("no vault");
    assert!(matches!(missing, BackupError::Missing { what: "vault", .. }), "{missing}");
    fs::write(desk.folder.join("vault.json"), vault).expect("writes");

    fs::write(desk.folder.join("desk.json"), "[]").expect("writes");
    let odd = desk.back_up("a.age").await.expect_err("no settings");
    assert!(matches!(&odd, BackupError::NotVerified { why, .. } if why.contains("settings")));
    fs::write(desk.folder.join("desk.json"), SETTINGS).expect("writes");

    desk.ledger.clone().close().await;
    let sql = |sql: &str| {
        let conn = Connection::open(desk.folder.join("ledger.db")).expect("opens");
        conn.execute_batch(sql).expect("changes");
    };
    sql("UPDATE accounts SET units = units + 1 WHERE account LIKE 'float/%'");
    let unsound = desk.back_up("a.age").await.expect_err("the books do not add up");
    assert!(matches!(unsound, BackupError::NotVerified { .. }), "{unsound}");
    sql("UPDATE accounts SET units = units - 1 WHERE account LIKE 'float/%'");
    desk.back_up("b.age").await.expect("they do again");
    sql("PRAGMA user_version = 99");
    let newer = desk.back_up("a.age").await.expect_err("is newer");
    assert!(newer.to_string().contains("newer version"), "{newer}");
    fs::write(desk.folder.join("ledger.db"), "no ledger at all").expect("writes");
    let other = desk.back_up("a.age").await.expect_err("is no ledger");
    assert!(matches!(other, BackupError::Ledger { .. }), "{other}");
    fs::remove_file(desk.folder.join("ledger.db")).expect("removes");
    let missing = desk.back_up("a.age").await.expect_err("no ledger");
    assert!(matches!(missing, BackupError::Missing { what: "ledger", .. }), "{missing}");
    assert_eq!(names(&desk.shelf()), ["b.age"]);
    let left = names(&desk.folder);
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[tokio::test]
async fn two_at_once_do_not_get_in_each_others_way() {
    let desk = Desk::open().await;
    let (first, second) = tokio::join!(desk.back_up("a.age"), desk.back_up("b.age"));
    let made = [&first, &second].iter().filter(|written| written.is_ok()).count();
    assert!(made >= 1);
    for written in [first, second] {
        assert!(matches!(written, Ok(_) | Err(BackupError::InUse { .. })));
    }
    assert_eq!(names(&desk.shelf()).len(), made);
}

#[tokio::test]
async fn a_backup_that_is_given_up_leaves_nothing_behind() {
    let desk = Desk::open().await;
    let plan = desk.plan("desk.age");
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let passphrase = secret(PASSPHRASE);
    {
        let writing = imprest_backup::write(plan, &passphrase, move |progress: Progress| {
            let _ = told.send(progress.step);
        });
        tokio::pin!(writing);
        loop {
            tokio::select! {
                done = &mut writing => panic!("it was done before it was given up: {done:?}"),
                step = tell.recv() => if step == Some(Step::Proving) { break },
            }
        }
    }
    // Whoever listens is let go of last, with everything else.
    while tell.recv().await.is_some() {}
    desk.back_up("other.age").await.expect("the folder is free again");
    assert_eq!(names(&desk.shelf()), ["other.age"]);
}
