//! Several connections on one file at the same time, and the disk as the rest of the world sees it.

#![allow(clippy::unwrap_used)]

mod books;

use books::{PATH, Story, WAL_FULL, check, check_open, commit, open};
use imprest_faults::{Class, Code, Disk, Plan};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

fn count(books: &Connection) -> i64 {
    books.query_row("SELECT count(*) FROM log", (), |row| row.get(0)).unwrap()
}

#[test]
fn two_connections_see_each_others_commits() {
    let disk = Disk::new();
    let mount = disk.mount();
    let (one, two) = (open(&mount, WAL_FULL, 0).unwrap(), open(&mount, WAL_FULL, 0).unwrap());
    commit(&one, 1).unwrap();
    assert_eq!(count(&two), 1);
    commit(&two, 2).unwrap();
    assert_eq!(count(&one), 2);
    assert!(disk.bytes("/desk/books.db-wal").is_some_and(|wal| !wal.is_empty()));

    // A reader inside a transaction keeps what it began with.
    one.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&one), 2);
    commit(&two, 3).unwrap();
    assert_eq!(count(&one), 2);
    one.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&one), 3);
}

#[test]
fn there_is_one_writer_at_a_time() {
    for style in [WAL_FULL, books::Style { journal: "DELETE", synchronous: "FULL" }] {
        let disk = Disk::new();
        let mount = disk.mount();
        let (one, two) = (open(&mount, style, 0).unwrap(), open(&mount, style, 0).unwrap());
        two.busy_timeout(Duration::ZERO).unwrap();
        one.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = two.execute_batch("BEGIN IMMEDIATE").unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        one.execute_batch("COMMIT").unwrap();
        two.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    }
}

#[test]
fn the_last_to_close_leaves_one_file() {
    let disk = Disk::new();
    let mount = disk.mount();
    let (one, two) = (open(&mount, WAL_FULL, 0).unwrap(), open(&mount, WAL_FULL, 0).unwrap());
    commit(&one, 1).unwrap();
    drop(one);
    assert_eq!(disk.paths(), [PATH, "/desk/books.db-wal"]);
    assert_eq!(count(&two), 1);
    drop(two);
    assert_eq!(disk.paths(), [PATH]);
}

#[test]
fn writers_and_readers_of_many_threads_agree() {
    const WRITERS: u32 = 3;
    const EACH: u32 = 60;
    let disk = Disk::new();
    let mount = disk.mount();
    drop(open(&mount, WAL_FULL, 8).unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mount = &mount;
                scope.spawn(move || {
                    let books = open(mount, WAL_FULL, 8).unwrap();
                    books.busy_timeout(Duration::from_secs(60)).unwrap();
                    (0..EACH).for_each(|n| commit(&books, 1 + writer + n * WRITERS).unwrap());
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                let books = open(&mount, WAL_FULL, 8).unwrap();
                let mut seen = 0;
                while !done.load(Ordering::Acquire) {
                    let now = count(&books);
                    assert!(now >= seen, "{now} commits after {seen}");
                    seen = now;
                    // A power cut in the midst of it leaves whole books.
                    let mount = disk.cut(now.unsigned_abs()).mount();
                    let left = open(&mount, WAL_FULL, 8).unwrap();
                    assert!(count(&left) >= seen, "a commit that a reader saw is lost");
                }
            });
        }
        let joined: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Release);
        assert!(joined.iter().all(Result::is_ok));
    });
    let books = open(&mount, WAL_FULL, 8).unwrap();
    assert_eq!(count(&books), i64::from(WRITERS * EACH));
    let integrity: String =
        books.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_readers_sees_what_the_writer_commits() {
    let disk = Disk::new();
    let mount = disk.mount();
    let writer = open(&mount, WAL_FULL, 4).unwrap();
    let options = SqliteConnectOptions::new()
        .filename(PATH)
        .vfs(mount.name().to_owned())
        .read_only(true)
        .pragma("query_only", "ON");
    let pool = SqlitePoolOptions::new().max_connections(3).connect_with(options).await.unwrap();
    for tx in 1..=40 {
        commit(&writer, tx).unwrap();
        let (a, b) = tokio::join!(
            sqlx::query_scalar::<_, i64>("SELECT max(tx) FROM log").fetch_one(&pool),
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM log").fetch_one(&pool),
        );
        assert_eq!((a.unwrap(), b.unwrap()), (i64::from(tx), i64::from(tx)));
    }
    disk.fail(Plan::nth(1).of(Class::Read).for_ever().with(Code::IOERR_READ));
    commit(&writer, 41).ok();
    let blind = sqlx::query_scalar::<_, i64>("SELECT sum(length(body)) FROM cells");
    assert!(blind.fetch_one(&pool).await.is_err(), "a disk that cannot be read was read");
    disk.heal();
    pool.close().await;
    drop(writer);
    assert_eq!(disk.paths(), [PATH], "the last connection put the log away");
}

#[test]
fn what_a_cut_leaves_can_be_opened_from_a_real_folder() {
    let disk = Disk::new();
    let mount = disk.mount();
    let books = open(&mount, WAL_FULL, 5).unwrap();
    let mut story = Story::default();
    for seed in 0..12 {
        story.tell(&books).unwrap();
        let folder = tempfile::tempdir().unwrap();
        disk.cut(seed).export(folder.path()).unwrap();
        let real = Connection::open(folder.path().join("desk/books.db")).unwrap();
        assert_eq!(check_open(&real, &story), Ok(()));
    }
}

#[test]
fn a_file_that_is_put_there_can_be_opened() {
    let disk = Disk::new();
    let mut story = Story::default();
    {
        let mount = disk.mount();
        let books = open(&mount, WAL_FULL, 0).unwrap();
        story.tell(&books).unwrap();
    }
    let copy = Disk::new();
    copy.put("desk/new.db", disk.bytes(PATH).unwrap());
    assert!(copy.rename("desk/new.db", PATH));
    assert_eq!(check(&copy, &story), Ok(()));
    assert_eq!(copy.durable(PATH), None, "the new name is not synced yet");
    assert_eq!(copy.durable("/desk/new.db"), disk.bytes(PATH));
}

#[test]
fn the_same_seed_leaves_the_same_disk() {
    let disk = Disk::new();
    let mount = disk.mount();
    let books = open(&mount, books::Style { synchronous: "OFF", ..WAL_FULL }, 3).unwrap();
    (1..20).for_each(|tx| commit(&books, tx).unwrap());
    let image = |seed| {
        let cut = disk.cut(seed);
        cut.paths().into_iter().map(|path| (cut.bytes(&path), path)).collect::<Vec<_>>()
    };
    assert_eq!(image(7), image(7));
    assert!((0..20).any(|seed| image(seed) != image(7)));
}

#[test]
fn a_mount_is_forgotten_when_it_is_dropped_and_nothing_is_open() {
    let disk = Disk::new();
    let mount = disk.mount();
    let name = mount.name().to_owned();
    let again = || Connection::open_with_flags_and_vfs(PATH, OpenFlags::default(), name.as_str());
    let books = open(&mount, WAL_FULL, 0).unwrap();
    drop(mount);
    // Still at work, and still reachable: a connection is open.
    commit(&books, 1).unwrap();
    assert_eq!(count(&again().unwrap()), 1);
    drop(books);
    assert!(again().unwrap_err().to_string().contains("no such vfs"));
}

#[test]
fn a_connection_that_outlives_its_mount_does_no_harm() {
    let disk = Disk::new();
    let mount = disk.mount();
    let flags = OpenFlags::default();
    let memory = Connection::open_with_flags_and_vfs(":memory:", flags, mount.name()).unwrap();
    drop(mount);
    memory.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
    assert!(memory.execute_batch("ATTACH '/other.db' AS other").is_err());
}

#[test]
fn a_name_is_taken_once() {
    let disk = Disk::new();
    let first = disk.mount_as("a-disk-of-its-own").unwrap();
    assert_eq!(first.name(), "a-disk-of-its-own");
    let refused = disk.mount_as("a-disk-of-its-own").unwrap_err();
    assert!(refused.to_string().contains("a-disk-of-its-own"));
    assert!(disk.mount_as("nul\0").is_err());
    drop(first);
    assert!(disk.mount_as("a-disk-of-its-own").is_ok());
}
