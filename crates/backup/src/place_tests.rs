//! Stops and failures between two moves.

use super::*;
use crate::manifest::tests::{entry, manifest};
use crate::note::pending;
use std::collections::BTreeMap;
use tempfile::TempDir;

const NEW: [(&str, &str); 3] =
    [("vault.json", "new vault"), ("desk.json", "new desk"), ("ledger.db", "new ledger")];
const OLD: [(&str, &str); 4] = [
    ("vault.json", "old vault"),
    ("ledger.db", "old ledger"),
    ("ledger.db-wal", "old log"),
    ("agents.txt", "nothing of ours"),
];

fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn whole() -> Manifest {
    manifest(vec![entry(Part::Vault, 1), entry(Part::Settings, 1), entry(Part::Ledger, 1)])
}

fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn contents(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn texts(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn an_empty_folder_gets_the_files_and_the_note() {
    let (scratch, into) = (folder_of(&NEW), folder_of(&[]));
    assert_eq!(put(scratch.path(), into.path(), false, &whole(), now()).unwrap(), None);
    let mut found = contents(into.path());
    assert!(found.remove(NOTE_NAME).is_some());
    assert_eq!(found, texts(&NEW));
    let note = pending(into.path()).unwrap().unwrap();
    assert_eq!((note.head, note.restored_at), (whole().head, now()));
    crate::note::forget_note(into.path()).unwrap();
    assert_eq!(pending(into.path()).unwrap(), None);
    crate::note::forget_note(into.path()).unwrap();
}

#[test]
fn what_was_there_is_kept_aside_and_only_when_told() {
    let (scratch, into) = (folder_of(&NEW), folder_of(&OLD));
    let refused = put(scratch.path(), into.path(), false, &whole(), now()).unwrap_err();
    assert!(matches!(refused, BackupError::Occupied { found: "ledger.db", .. }), "{refused}");
    assert_eq!(contents(into.path()), texts(&OLD));
    let aside = put(scratch.path(), into.path(), true, &whole(), now()).unwrap().unwrap();
    assert!(aside.ends_with("replaced-2026-11-23T08-00-00Z"));
    assert_eq!(contents(&aside), texts(&OLD[..3]));
    let found = contents(into.path());
    assert_eq!(found["ledger.db"], "new ledger");
    assert_eq!(found["agents.txt"], "nothing of ours");
    assert!(!found.contains_key("ledger.db-wal"), "it would be taken for the new ledger’s");
    // Once more in the same second: nothing of the first time is touched.
    let again = put(folder_of(&NEW).path(), into.path(), true, &whole(), now()).unwrap().unwrap();
    assert!(again.ends_with("replaced-2026-11-23T08-00-00Z-2"));
    assert!(contents(&again).contains_key(NOTE_NAME));
    assert_eq!(contents(&aside), texts(&OLD[..3]));
}

#[test]
fn a_move_that_fails_is_undone() {
    // The ledger, which comes last, is missing: everything before it has been moved by then.
    let scratch = folder_of(&NEW[..2]);
    let into = folder_of(&OLD);
    let refused = put(scratch.path(), into.path(), true, &whole(), now()).unwrap_err();
    assert!(matches!(refused, BackupError::Io { doing: "put in place", .. }), "{refused}");
    assert_eq!(contents(into.path()), texts(&OLD));
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), OLD.len(), "no folder is left");
    assert_eq!(contents(scratch.path()), texts(&NEW[..2]));
    // The note of an earlier restore comes back, too.
    crate::note::save(into.path(), &whole(), now(), Restoring::Placed).unwrap();
    let before = contents(into.path());
    put(scratch.path(), into.path(), true, &whole(), now()).unwrap_err();
    assert_eq!(contents(into.path()), before);
    assert!(pending(into.path()).unwrap().is_some());
}

#[test]
fn a_stop_between_any_two_moves_is_known_and_loses_nothing() {
    let all = [texts(&OLD[..3]), texts(&NEW)];
    for stop in 0..=6 {
        let (scratch, into) = (folder_of(&NEW), folder_of(&OLD));
        let aside = make_aside(into.path(), now()).unwrap();
        crate::note::save(into.path(), &whole(), now(), Restoring::Placing).unwrap();
        let olds = OLD[..3].iter().map(|(name, _)| (into.path().join(name), aside.join(name)));
        let news = NEW.iter().map(|(name, _)| (scratch.path().join(name), into.path().join(name)));
        for (from, to) in olds.chain(news).take(stop) {
            fs::rename(from, to).unwrap();
        }
        // The program is gone here. A desk does not open the folder.
        let refused = pending(into.path()).unwrap_err();
        assert!(matches!(refused, BackupError::Interrupted { .. }), "{refused}");
        let without = check_free(into.path(), false).unwrap_err();
        assert!(matches!(without, BackupError::Occupied { .. }), "a new desk is not made here");
        put(folder_of(&NEW).path(), into.path(), true, &whole(), now()).unwrap();
        assert!(pending(into.path()).unwrap().is_some());
        let asides = fs::read_dir(into.path()).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<String> = asides
            .filter(|path| path.is_dir())
            .flat_map(|aside| contents(&aside).into_values())
            .collect();
        for old in all[0].values() {
            assert!(kept.contains(old), "stopped after {stop} moves, “{old}” is lost");
        }
        let found = contents(into.path());
        assert!(all[1].iter().all(|(name, text)| found[name] == *text));
    }
}

#[test]
fn a_note_that_cannot_be_read_is_never_taken_for_none() {
    let folder = folder_of(&[]);
    assert_eq!(pending(folder.path()).unwrap(), None);
    crate::note::save(folder.path(), &whole(), now(), Restoring::Placed).unwrap();
    let good = fs::read(folder.path().join(NOTE_NAME)).unwrap();
    let write = |bytes: &[u8]| fs::write(folder.path().join(NOTE_NAME), bytes).unwrap();
    for length in 0..good.len() {
        write(&good[..length]);
        assert!(matches!(pending(folder.path()), Err(BackupError::BadNote { .. })), "{length}");
    }
    write(&vec![b' '; 20_000]);
    assert!(matches!(pending(folder.path()), Err(BackupError::BadNote { .. })));
    let newer =
        String::from_utf8(good.clone()).unwrap().replace("\"version\": 1", "\"version\": 2");
    write(newer.as_bytes());
    assert!(matches!(pending(folder.path()), Err(BackupError::BadNote { .. })));
    write(&good);
    assert!(pending(folder.path()).unwrap().is_some());
    let deep = "[".repeat(10_000);
    write(deep.as_bytes());
    assert!(matches!(pending(folder.path()), Err(BackupError::BadNote { .. })));
}

#[test]
fn a_folder_that_was_made_for_nothing_goes_again() {
    let above = folder_of(&[]);
    let into = above.path().join("a/desk");
    let made = MadeFolder::make(&into).unwrap();
    fs::write(into.join("desk.lock"), "").unwrap();
    drop(made);
    assert!(!into.exists());
    let made = MadeFolder::make(&into).unwrap();
    fs::write(into.join("other"), "").unwrap();
    drop(made);
    assert!(into.join("other").exists(), "what is not ours stays");
    drop(MadeFolder::make(&into).unwrap());
    assert!(into.exists(), "one that was there stays");
}
