//! Containers that are not what was written: every byte, every length, and every trick with a tar.

use super::*;
use crate::envelope::Opener;
use crate::envelope::tests::{passphrase, sealed};
use crate::manifest::FileEntry;
use crate::manifest::tests::manifest;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const VAULT: &[u8] = br#"{"format":"imprest-vault"}"#;
const SETTINGS: &[u8] = br#"{"version":1}"#;
const LEDGER: &[u8] = &[0x5A; 1500];

fn file(name: Part, contents: &[u8]) -> FileEntry {
    FileEntry { name, bytes: contents.len() as u64, sha256: Sha256::digest(contents).into() }
}

fn small() -> Manifest {
    let parts = [(Part::Vault, VAULT), (Part::Settings, SETTINGS), (Part::Ledger, LEDGER)];
    manifest(parts.map(|(name, contents)| file(name, contents)).to_vec())
}

/// What `pack` makes of the three small parts.
fn packed() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in [("vault.json", VAULT), ("desk.json", SETTINGS), ("ledger.db", LEDGER)]
    {
        fs::write(folder.path().join(name), contents).unwrap();
    }
    let source = |part: Part| folder.path().join(part.name());
    let mut told = 0;
    let bytes = pack(Vec::new(), &small(), source, |bytes| told += bytes).unwrap();
    assert_eq!(told, small().total_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Result<Manifest, Fault> {
    unpack(bytes, bytes.len() as u64, &mut Look, |_| ())
}

/// A tar of exactly these entries.
fn tar_of(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (header, contents) in entries {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn plain(name: &str, bytes: u64) -> Header {
    header(name, bytes, 0).unwrap()
}

fn manifest_entry() -> (Header, Vec<u8>) {
    let json = small().to_json().unwrap();
    (plain(MANIFEST_NAME, json.len() as u64), json)
}

/// The whole small container with one entry changed by `change`.
fn with(change: impl FnOnce(&mut Vec<(Header, Vec<u8>)>)) -> Vec<u8> {
    let mut entries = vec![manifest_entry()];
    for (name, contents) in [("vault.json", VAULT), ("desk.json", SETTINGS), ("ledger.db", LEDGER)]
    {
        entries.push((plain(name, contents.len() as u64), contents.to_vec()));
    }
    change(&mut entries);
    let entries: Vec<_> = entries.iter().map(|(head, body)| (head.clone(), &body[..])).collect();
    tar_of(&entries)
}

fn retyped(mut header: Header, kind: EntryType, link: &str) -> Header {
    header.set_entry_type(kind);
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    header.set_cksum();
    header
}

#[test]
fn reads_back_what_it_wrote() {
    let bytes = packed();
    assert_eq!(read(&bytes).unwrap(), small());
    assert_eq!(
        bytes,
        with(|entries| {
            let mtime = u64::try_from(small().made_at.as_second()).unwrap();
            for (header, _) in entries {
                header.set_mtime(mtime);
                header.set_cksum();
            }
        })
    );
}

#[test]
fn every_byte_of_a_sealed_container_counts() {
    let whole = sealed("correct horse", &packed());
    let opener = Opener::new(passphrase("correct horse"));
    let read = |bytes: &[u8]| {
        let contents = opener.open(bytes)?;
        unpack(contents, bytes.len() as u64, &mut Look, |_| ())
    };
    assert_eq!(read(&whole).unwrap(), small());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(read(&flipped).is_err(), "byte {at} does not count");
        assert!(read(&whole[..at]).is_err(), "{at} bytes are enough");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(read(&longer).is_err(), "a byte more is not noticed");
}

#[test]
fn names_kinds_and_places_have_to_be_the_known_ones() {
    let link = |kind| {
        move |entries: &mut Vec<(Header, Vec<u8>)>| {
            entries[3] = (retyped(plain("ledger.db", 0), kind, "/etc/passwd"), Vec::new());
        }
    };
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("a path out of the folder", with(|e| e[1].0 = out_of_the_folder("../../x"))),
        ("an absolute path", with(|e| e[1].0 = out_of_the_folder("/etc/cron.d/x"))),
        ("a path with a dot", with(|e| e[1].0 = out_of_the_folder("./vault.json"))),
        ("an unknown name", with(|e| e[1].0 = plain("vault.bak", VAULT.len() as u64))),
        ("a name twice", with(|e| e.insert(2, e[1].clone()))),
        ("the last name twice", with(|e| e.push(e[3].clone()))),
        ("another order", with(|e| e.swap(1, 3))),
        ("one too few", with(|e| drop(e.remove(2)))),
        ("no last one", with(|e| drop(e.pop()))),
        ("one too many", with(|e| e.push((plain("more.txt", 0), Vec::new())))),
        ("a link", with(link(EntryType::Symlink))),
        ("a hard link", with(link(EntryType::Link))),
        ("a folder", with(link(EntryType::Directory))),
        ("a device", with(link(EntryType::Block))),
        ("a pipe", with(link(EntryType::Fifo))),
        ("a plain file with a link name", with(link(EntryType::Regular))),
        ("a sparse file", with(link(EntryType::GNUSparse))),
        ("a contiguous file", with(link(EntryType::Continuous))),
        ("a longer name", with(|e| e.insert(1, extension(EntryType::GNULongName)))),
        ("a longer link", with(|e| e.insert(1, extension(EntryType::GNULongLink)))),
        ("an extension", with(|e| e.insert(1, extension(EntryType::XHeader)))),
        ("a global extension", with(|e| e.insert(0, extension(EntryType::XGlobalHeader)))),
        ("another size", with(|e| e[3].0 = plain("ledger.db", LEDGER.len() as u64 - 1))),
        ("other contents", with(|e| e[3].1[700] ^= 1)),
        ("no manifest", with(|e| drop(e.remove(0)))),
        ("a manifest at the end", with(|e| e.rotate_left(1))),
        ("nothing", tar_of(&[])),
        ("no bytes", Vec::new()),
        ("something behind", [with(|_| ()), vec![1]].concat()),
        ("a second archive behind", [with(|_| ()), with(|_| ())].concat()),
        ("too much nothing behind", [with(|_| ()), vec![0; 20 * 512]].concat()),
    ];
    for (what, bytes) in bad {
        assert!(read(&bytes).is_err(), "{what} is taken");
    }
}

/// A header whose name no writer would set.
fn out_of_the_folder(name: &str) -> Header {
    let mut header = plain("vault.json", VAULT.len() as u64);
    let field = &mut header.as_old_mut().name;
    field.fill(0);
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn extension(kind: EntryType) -> (Header, Vec<u8>) {
    let body = b"18 path=ledger.db\n".to_vec();
    (retyped(plain("./././@LongLink", body.len() as u64), kind, ""), body)
}

/// Zeros without end, and a count of how many were taken.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0 += buf.len() as u64;
        buf.fill(0);
        Ok(buf.len())
    }
}

#[test]
fn sizes_are_bounded_before_anything_is_read() {
    const HUGE: u64 = 10 << 30;
    // An entry that says 10 GiB where the manifest says 1500 bytes.
    let (head, json) = manifest_entry();
    let vault = plain("vault.json", HUGE);
    let begun = [head.as_bytes(), &json[..], &vec![0; 1024 - json.len() % 512 - 512]].concat();
    let mut endless = Endless(0);
    let input = begun.chain(&vault.as_bytes()[..]).chain(&mut endless);
    assert!(matches!(unpack(input, u64::MAX, &mut Look, |_| ()), Err(Fault::Damaged(_))));
    assert!(endless.0 < 1 << 16, "{} bytes were read", endless.0);

    // A manifest that is itself 10 GiB.
    let mut endless = Endless(0);
    let head = plain(MANIFEST_NAME, HUGE);
    let input = head.as_bytes().chain(&mut endless);
    assert!(matches!(unpack(input, u64::MAX, &mut Look, |_| ()), Err(Fault::Damaged(_))));
    assert!(endless.0 < 1 << 16, "{} bytes were read", endless.0);

    // A manifest that promises a ledger larger than the file it is in.
    let mut lying = small();
    lying.files[2].bytes = 5 << 30;
    let json = lying.to_json().unwrap();
    let bytes = tar_of(&[(plain(MANIFEST_NAME, json.len() as u64), &json)]);
    let refused = read(&bytes).unwrap_err();
    assert!(matches!(&refused, Fault::Damaged(why) if why.contains("promises")), "{refused:?}");

    // A size that no number holds.
    let mut header = plain(MANIFEST_NAME, 0);
    header.as_old_mut().size = *b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    header.set_cksum();
    assert!(read(&tar_of(&[(header, &[])])).is_err());
}

#[test]
fn a_million_entries_are_refused_at_the_first() {
    struct Entries {
        header: Vec<u8>,
        at: usize,
        read: u64,
    }
    impl Read for Entries {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.read >= 1_000_000 * 512 {
                return Ok(0);
            }
            let most = buf.len().min(512 - self.at);
            buf[..most].copy_from_slice(&self.header[self.at..self.at + most]);
            self.at = (self.at + most) % 512;
            self.read += most as u64;
            Ok(most)
        }
    }
    let endless =
        |name: &str| Entries { header: plain(name, 0).as_bytes().to_vec(), at: 0, read: 0 };
    for name in ["x", "manifest.json", "vault.json"] {
        let mut alone = endless(name);
        assert!(unpack(&mut alone, u64::MAX, &mut Look, |_| ()).is_err());
        let mut behind = endless(name);
        let whole = with(|_| ());
        let input = whole[..whole.len() - 1024].chain(&mut behind);
        assert!(unpack(input, u64::MAX, &mut Look, |_| ()).is_err());
        assert!(alone.read < 1 << 16 && behind.read < 1 << 16);
    }
}

/// A disk with room for so many bytes.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.0.min(buf.len());
        self.0 -= room;
        if room == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(room)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_fills_up_anywhere_is_said_to_be_full() {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in [("vault.json", VAULT), ("desk.json", SETTINGS), ("ledger.db", LEDGER)]
    {
        fs::write(folder.path().join(name), contents).unwrap();
    }
    let source = |part: Part| folder.path().join(part.name());
    let whole = packed().len();
    for room in (0..whole).step_by(1_499) {
        let sealed = crate::envelope::seal(&passphrase("correct horse"), 1, Room(room));
        let done = sealed
            .and_then(|sealed| pack(sealed, &small(), source, |_| ()))
            .and_then(crate::envelope::finish);
        let refused = done.err().expect("there was no room").of(Path::new("desk.age"));
        assert!(matches!(refused, BackupError::DiskFull { .. }), "{refused}");
    }
    assert!(pack(Room(whole), &small(), source, |_| ()).is_ok());
}

#[test]
fn a_source_that_shrinks_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["vault.json", "desk.json", "ledger.db"] {
        fs::write(folder.path().join(name), b"x").unwrap();
    }
    let source = |part: Part| folder.path().join(part.name());
    assert!(matches!(pack(Vec::new(), &small(), source, |_| ()), Err(Fault::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(Manifest::parse(&bytes).is_err());
    }

    /// Several bytes of a container changed before it was sealed: whatever is taken then, its parts
    /// are those that its manifest names.
    #[test]
    fn changed_containers_are_refused_or_the_same(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = with(|_| ());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(found) = read(&bytes) {
            prop_assert_eq!(found.files, small().files);
        }
    }
}
