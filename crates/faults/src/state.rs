//! The disk itself: files, names, open handles, and the failures that wait for them.

use crate::content::Content;
use crate::dice::Dice;
use crate::directory::{Directory, FileId};
use crate::locks::{Busy, FileLock, HandleId, ShmLocks};
use crate::plan::{Class, Code, Plans, Strike};
use libsqlite3_sys as ffi;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// One region of shared memory. SQLite reads and writes it through a raw pointer, so it is made of
/// cells that may change behind a shared reference.
pub(crate) type Region = Arc<[AtomicU64]>;

/// How a file is to be opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) writable: bool,
    pub(crate) delete_on_close: bool,
    /// The first sync of this handle syncs the folder as well.
    pub(crate) sync_folder: bool,
}

#[derive(Debug, Default)]
struct File {
    content: Content,
    lock: FileLock,
    shm: Shm,
}

/// The shared memory that goes with a database in WAL mode; gone when nobody uses it.
#[derive(Debug, Default)]
struct Shm {
    regions: Vec<Region>,
    locks: ShmLocks,
}

#[derive(Debug)]
struct Handle {
    file: FileId,
    /// Nothing for a temporary file, which no name leads to.
    name: Option<String>,
    mode: Mode,
}

/// What a [`crate::Disk`] holds behind its lock.
///
/// Failures are SQLite's result codes, because SQLite is the only one that asks.
#[derive(Debug, Default)]
pub(crate) struct State {
    files: BTreeMap<FileId, File>,
    pub(crate) directory: Directory,
    handles: BTreeMap<HandleId, Handle>,
    pub(crate) plans: Plans,
    last_id: u64,
}

/// The failure of asking for a handle that is not open; SQLite never does.
const MISUSE: c_int = ffi::SQLITE_MISUSE;

impl From<Busy> for Code {
    fn from(_: Busy) -> Code {
        Code::BUSY
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn make_file(&mut self, content: Content) -> FileId {
        let id = self.next_id();
        self.files.insert(id, File { content, ..File::default() });
        id
    }

    /// The file behind a handle.
    fn file(&mut self, handle: HandleId) -> Result<&mut File, c_int> {
        let id = self.handles.get(&handle).ok_or(MISUSE)?.file;
        self.files.get_mut(&id).ok_or(MISUSE)
    }

    /// The file behind a handle that may change it.
    fn writable(&mut self, handle: HandleId) -> Result<&mut File, c_int> {
        if !self.handles.get(&handle).ok_or(MISUSE)?.mode.writable {
            return Err(Code::READONLY.get());
        }
        self.file(handle)
    }

    /// Counts an operation that has no effect of its own when it fails.
    fn tick(&mut self, class: Class, usual: Code) -> Result<(), c_int> {
        match self.plans.tick(class) {
            None => Ok(()),
            Some(strike) => Err(strike.code(usual)),
        }
    }

    /// Opens the file of this name, or a nameless one.
    pub(crate) fn open(&mut self, name: Option<&str>, mode: Mode) -> Result<HandleId, c_int> {
        let strike = self.plans.tick(Class::Open);
        let found = name.and_then(|name| self.directory.find(name));
        match strike {
            Some(Strike::PowerGoes) if found.is_none() && mode.create => {
                self.make_named(name);
            }
            _ => {}
        }
        if let Some(strike) = strike {
            return Err(strike.code(Code::CANTOPEN));
        }
        let file = match found {
            Some(_) if mode.exclusive => return Err(Code::CANTOPEN.get()),
            Some(file) => file,
            None if mode.create || name.is_none() => self.make_named(name),
            None => return Err(Code::CANTOPEN.get()),
        };
        let handle = self.next_id();
        self.handles.insert(handle, Handle { file, name: name.map(str::to_owned), mode });
        Ok(handle)
    }

    fn make_named(&mut self, name: Option<&str>) -> FileId {
        let file = self.make_file(Content::default());
        if let Some(name) = name {
            self.directory.link(name.to_owned(), file);
        }
        file
    }

    /// Closes a handle; everything it held is given back.
    pub(crate) fn close(&mut self, handle: HandleId) {
        let Some(closed) = self.handles.remove(&handle) else { return };
        if let Some(file) = self.files.get_mut(&closed.file) {
            file.lock.unlock(handle, ffi::SQLITE_LOCK_NONE);
            file.leave_shm(handle);
        }
        if let Some(name) = closed.name.filter(|_| closed.mode.delete_on_close)
            && self.directory.find(&name) == Some(closed.file)
            && !self.plans.is_power_gone()
        {
            self.directory.unlink(&name);
        }
        self.sweep();
    }

    /// Forgets the files that neither a name nor a handle leads to.
    fn sweep(&mut self) {
        let mut kept = self.directory.reachable();
        kept.extend(self.handles.values().map(|handle| handle.file));
        self.files.retain(|id, _| kept.contains(id));
    }

    /// Fills `out` from offset `at`; what lies behind the end reads as zeros.
    pub(crate) fn read(
        &mut self,
        handle: HandleId,
        at: usize,
        out: &mut [u8],
    ) -> Result<(), c_int> {
        let strike = self.plans.tick(Class::Read);
        let seen = self.file(handle)?.content.seen();
        let there = seen.get(at..).unwrap_or_default();
        let mut len = there.len().min(out.len());
        let answer = match strike {
            None if len < out.len() => Err(Code::IOERR_SHORT_READ.get()),
            None => Ok(()),
            Some(Strike::Fail { code: Some(Code::IOERR_SHORT_READ), mut dice }) => {
                len = dice.below(len);
                Err(Code::IOERR_SHORT_READ.get())
            }
            Some(strike) => {
                len = 0;
                Err(strike.code(Code::IOERR_READ))
            }
        };
        let (filled, rest) = out.split_at_mut(len);
        filled.copy_from_slice(&there[..len]);
        rest.fill(0);
        answer
    }

    pub(crate) fn write(&mut self, handle: HandleId, at: usize, bytes: &[u8]) -> Result<(), c_int> {
        self.writable(handle)?;
        let strike = self.plans.tick(Class::Write);
        let content = &mut self.writable(handle)?.content;
        let code = strike.as_ref().map(|strike| strike.code(Code::IOERR_WRITE));
        match strike {
            None | Some(Strike::PowerGoes) => content.write(at, bytes),
            Some(Strike::Fail { mut dice, .. }) => content.write_failing(at, bytes, &mut dice),
            Some(Strike::PowerGone) => {}
        }
        code.map_or(Ok(()), Err)
    }

    pub(crate) fn truncate(&mut self, handle: HandleId, len: usize) -> Result<(), c_int> {
        self.writable(handle)?;
        let strike = self.plans.tick(Class::Truncate);
        let content = &mut self.writable(handle)?.content;
        let code = strike.as_ref().map(|strike| strike.code(Code::IOERR_TRUNCATE));
        let happens = match strike {
            None | Some(Strike::PowerGoes) => true,
            Some(Strike::Fail { mut dice, .. }) => dice.coin(),
            Some(Strike::PowerGone) => false,
        };
        if happens {
            content.truncate(len);
        }
        code.map_or(Ok(()), Err)
    }

    pub(crate) fn sync(&mut self, handle: HandleId) -> Result<(), c_int> {
        let handle = self.handles.get_mut(&handle).ok_or(MISUSE)?;
        let strike = self.plans.tick(Class::Sync);
        let content = &mut self.files.get_mut(&handle.file).ok_or(MISUSE)?.content;
        let code = strike.as_ref().map(|strike| strike.code(Code::IOERR_FSYNC));
        match strike {
            None => {
                content.sync();
                self.directory.sync_name_of(handle.file);
                if let Some(name) = handle.name.as_ref().filter(|_| handle.mode.sync_folder) {
                    self.directory.sync_folder_of(name);
                }
                handle.mode.sync_folder = false;
                self.sweep();
            }
            Some(Strike::Fail { .. }) => content.sync_failing(),
            Some(Strike::PowerGoes | Strike::PowerGone) => {}
        }
        code.map_or(Ok(()), Err)
    }

    /// The file's length, in bytes.
    pub(crate) fn len(&mut self, handle: HandleId) -> Result<usize, c_int> {
        self.tick(Class::Stat, Code::IOERR_FSTAT)?;
        Ok(self.file(handle)?.content.seen().len())
    }

    /// Whether there is such a file. An empty one does not count, as with SQLite's own layer,
    /// where an empty journal is no journal.
    pub(crate) fn is_there(&mut self, name: &str) -> Result<bool, c_int> {
        self.tick(Class::Stat, Code::IOERR_ACCESS)?;
        Ok(self.seen(name).is_some_and(|bytes| !bytes.is_empty()))
    }

    /// Takes a name away; with `sync_folder`, durably.
    pub(crate) fn delete(&mut self, name: &str, sync_folder: bool) -> Result<(), c_int> {
        let strike = self.plans.tick(Class::Delete);
        if self.directory.find(name).is_none() {
            let code = strike.map(|strike| strike.code(Code::IOERR_DELETE));
            return Err(code.unwrap_or(ffi::SQLITE_IOERR_DELETE_NOENT));
        }
        match strike {
            None => {
                self.directory.unlink(name);
                if sync_folder {
                    self.directory.sync_folder_of(name);
                }
                self.sweep();
                Ok(())
            }
            Some(strike) => {
                let code = strike.code(Code::IOERR_DELETE);
                if matches!(strike, Strike::PowerGoes) || code == Code::IOERR_DIR_FSYNC.get() {
                    self.directory.unlink(name);
                }
                Err(code)
            }
        }
    }

    pub(crate) fn lock(&mut self, handle: HandleId, level: c_int) -> Result<(), c_int> {
        self.tick(Class::Lock, Code::IOERR_LOCK)?;
        self.file(handle)?.lock.lock(handle, level).map_err(|busy| Code::from(busy).get())
    }

    pub(crate) fn unlock(&mut self, handle: HandleId, level: c_int) -> Result<(), c_int> {
        self.file(handle)?.lock.unlock(handle, level);
        Ok(())
    }

    pub(crate) fn is_reserved(&mut self, handle: HandleId) -> Result<bool, c_int> {
        self.tick(Class::Lock, Code::IOERR_CHECKRESERVEDLOCK)?;
        Ok(self.file(handle)?.lock.is_reserved())
    }

    /// A region of the shared memory; nothing when it is not there and not to be made.
    pub(crate) fn shm_map(
        &mut self,
        handle: HandleId,
        index: usize,
        region_bytes: usize,
        make: bool,
    ) -> Result<Option<Region>, c_int> {
        self.tick(Class::Shm, Code::IOERR_SHMMAP)?;
        let shm = &mut self.file(handle)?.shm;
        shm.locks.enter(handle);
        while make && shm.regions.len() <= index {
            let words = region_bytes.div_ceil(size_of::<u64>());
            shm.regions.push((0..words).map(|_| AtomicU64::new(0)).collect());
        }
        Ok(shm.regions.get(index).cloned())
    }

    pub(crate) fn shm_lock(
        &mut self,
        handle: HandleId,
        mask: u8,
        exclusive: bool,
    ) -> Result<(), c_int> {
        self.tick(Class::Shm, Code::IOERR_SHMLOCK)?;
        let locks = &mut self.file(handle)?.shm.locks;
        if !locks.is_user(handle) {
            return Err(Code::IOERR_SHMLOCK.get());
        }
        locks.lock(handle, mask, exclusive).map_err(|busy| Code::from(busy).get())
    }

    pub(crate) fn shm_unlock(&mut self, handle: HandleId, mask: u8) -> Result<(), c_int> {
        self.file(handle)?.shm.locks.unlock(handle, mask);
        Ok(())
    }

    pub(crate) fn shm_unmap(&mut self, handle: HandleId) -> Result<(), c_int> {
        self.file(handle)?.leave_shm(handle);
        Ok(())
    }

    /// What a reader of the file sees.
    pub(crate) fn seen(&self, name: &str) -> Option<&[u8]> {
        let id = self.directory.find(name)?;
        Some(self.files.get(&id)?.content.seen())
    }

    /// What of the file is certain to survive.
    pub(crate) fn durable(&self, name: &str) -> Option<Vec<u8>> {
        let id = self.directory.find_durable(name)?;
        Some(self.files.get(&id)?.content.durable())
    }

    /// Lays a file on the platter.
    pub(crate) fn put(&mut self, name: String, bytes: Vec<u8>) {
        let file = self.make_file(Content::on_platter(bytes));
        self.directory.link(name, file);
        self.directory.sync_name_of(file);
        self.sweep();
    }

    /// The disk that a power cut leaves: closed, and all of it on the platter.
    pub(crate) fn after_cut(&self, seed: u64) -> State {
        let mut dice = Dice::new(seed);
        let names = self.directory.after_cut(&mut dice);
        let mut files = BTreeMap::new();
        for id in names.values() {
            if let (Some(file), false) = (self.files.get(id), files.contains_key(id)) {
                let content = Content::on_platter(file.content.after_cut(&mut dice));
                files.insert(*id, File { content, ..File::default() });
            }
        }
        State {
            files,
            directory: Directory::on_platter(names),
            last_id: self.last_id,
            ..State::default()
        }
    }
}

impl File {
    fn leave_shm(&mut self, handle: HandleId) {
        if self.shm.locks.leave(handle) {
            self.shm.regions.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const MODE: Mode = Mode {
        create: true,
        exclusive: false,
        writable: true,
        delete_on_close: false,
        sync_folder: false,
    };

    /// A disk with the one open file `/f`, which reads `0123456789` and is on the platter.
    fn with_file() -> (State, HandleId) {
        let mut state = State::default();
        state.put("/f".into(), b"0123456789".to_vec());
        let handle = state.open(Some("/f"), MODE).unwrap();
        (state, handle)
    }

    fn read(state: &mut State, handle: HandleId, at: usize, len: usize) -> (Vec<u8>, c_int) {
        let mut out = vec![b'x'; len];
        let code = state.read(handle, at, &mut out).err().unwrap_or(ffi::SQLITE_OK);
        (out, code)
    }

    #[test]
    fn behind_the_end_there_are_zeros() {
        let (mut state, handle) = with_file();
        assert_eq!(read(&mut state, handle, 2, 3), (b"234".to_vec(), ffi::SQLITE_OK));
        let short = Code::IOERR_SHORT_READ.get();
        assert_eq!(read(&mut state, handle, 8, 4), (b"89\0\0".to_vec(), short));
        assert_eq!(read(&mut state, handle, 99, 2), (b"\0\0".to_vec(), short));
    }

    #[test]
    fn a_failing_read_shows_nothing_and_a_short_one_a_part() {
        let (mut state, handle) = with_file();
        state.plans.add(Plan::nth(1).of(Class::Read));
        let failed = Code::IOERR_READ.get();
        assert_eq!(read(&mut state, handle, 0, 3), (vec![0; 3], failed));
        state.plans.add(Plan::nth(1).of(Class::Read).with(Code::IOERR_SHORT_READ).seed(5));
        let (bytes, code) = read(&mut state, handle, 0, 10);
        let there = bytes.iter().take_while(|byte| **byte != 0).count();
        assert_eq!(code, Code::IOERR_SHORT_READ.get());
        assert!(there < 10 && bytes[..there] == b"0123456789"[..there], "{bytes:?}");
        assert!(bytes[there..].iter().all(|byte| *byte == 0));
        assert_eq!(read(&mut state, handle, 0, 2), (b"01".to_vec(), ffi::SQLITE_OK));
    }

    #[test]
    fn a_handle_for_reading_cannot_write() {
        let (mut state, _) = with_file();
        let reader = state.open(Some("/f"), Mode { writable: false, ..MODE }).unwrap();
        assert_eq!(state.write(reader, 0, b"no"), Err(Code::READONLY.get()));
        assert_eq!(state.truncate(reader, 0), Err(Code::READONLY.get()));
        assert_eq!(state.seen("/f"), Some(&b"0123456789"[..]));
    }

    #[test]
    fn what_is_not_there_is_not_opened() {
        let (mut state, _) = with_file();
        let cant = Err(Code::CANTOPEN.get());
        assert_eq!(state.open(Some("/g"), Mode { create: false, ..MODE }), cant);
        assert_eq!(state.open(Some("/f"), Mode { exclusive: true, ..MODE }), cant);
        assert_eq!(state.delete("/g", false), Err(ffi::SQLITE_IOERR_DELETE_NOENT));
        state.open(Some("/g"), MODE).unwrap();
        assert_eq!(state.is_there("/g"), Ok(false), "an empty file does not count");
        assert_eq!(state.is_there("/f"), Ok(true));
    }

    #[test]
    fn a_file_lives_as_long_as_a_name_or_a_handle_leads_to_it() {
        let (mut state, handle) = with_file();
        assert_eq!(state.delete("/f", true), Ok(()));
        assert_eq!(read(&mut state, handle, 0, 2).0, b"01");
        state.close(handle);
        assert!(state.files.is_empty());
        let nameless = state.open(None, Mode { delete_on_close: true, ..MODE }).unwrap();
        assert_eq!(state.write(nameless, 0, b"sorting"), Ok(()));
        assert_eq!(read(&mut state, nameless, 0, 7).0, b"sorting");
        state.close(nameless);
        assert!(state.files.is_empty());
        let named = state.open(Some("/t"), Mode { delete_on_close: true, ..MODE }).unwrap();
        state.close(named);
        assert_eq!(state.seen("/t"), None);
    }

    #[test]
    fn a_deletion_that_fails_leaves_the_file_or_only_its_durable_name() {
        let (mut state, _) = with_file();
        state.plans.add(Plan::nth(1).of(Class::Delete));
        assert_eq!(state.delete("/f", true), Err(Code::IOERR_DELETE.get()));
        assert!(state.seen("/f").is_some());
        state.plans.add(Plan::nth(1).of(Class::Delete).with(Code::IOERR_DIR_FSYNC));
        assert_eq!(state.delete("/f", true), Err(Code::IOERR_DIR_FSYNC.get()));
        assert!(state.seen("/f").is_none() && state.durable("/f").is_some());
    }

    #[test]
    fn the_first_sync_of_a_journal_makes_older_deletions_durable() {
        let (mut state, _) = with_file();
        state.put("/journal".into(), Vec::new());
        let journal = state.open(Some("/journal"), Mode { sync_folder: true, ..MODE }).unwrap();
        assert_eq!(state.delete("/f", false), Ok(()));
        assert!(state.durable("/f").is_some());
        assert_eq!(state.sync(journal), Ok(()));
        assert!(state.durable("/f").is_none());
    }

    #[test]
    fn the_operation_under_way_when_the_power_goes_may_be_found_or_not() {
        let (mut state, handle) = with_file();
        state.plans.add(Plan::nth(1).of(Class::Write).power_off());
        assert_eq!(state.write(handle, 0, b"ABC"), Err(Code::IOERR_WRITE.get()));
        assert_eq!(state.write(handle, 0, b"XYZ"), Err(Code::IOERR_WRITE.get()));
        assert_eq!(state.sync(handle), Err(Code::IOERR_FSYNC.get()));
        assert_eq!(state.delete("/f", true), Err(Code::IOERR_DELETE.get()));
        assert_eq!(state.open(Some("/g"), MODE), Err(Code::CANTOPEN.get()));
        let mut left: Vec<Vec<u8>> =
            (0..50).filter_map(|seed| state.after_cut(seed).durable("/f")).collect();
        left.sort();
        left.dedup();
        assert_eq!(left, [b"0123456789".to_vec(), b"ABC3456789".to_vec()]);
    }

    #[test]
    fn a_change_of_length_that_fails_may_have_happened() {
        let lengths: Vec<usize> = (0..20)
            .map(|seed| {
                let (mut state, handle) = with_file();
                state.plans.add(Plan::nth(1).of(Class::Truncate).seed(seed));
                assert_eq!(state.truncate(handle, 4), Err(Code::IOERR_TRUNCATE.get()));
                state.len(handle).unwrap()
            })
            .collect();
        assert!(lengths.contains(&4) && lengths.contains(&10), "{lengths:?}");
    }

    #[test]
    fn shared_memory_lasts_while_somebody_uses_it() {
        let (mut state, one) = with_file();
        let two = state.open(Some("/f"), MODE).unwrap();
        assert_eq!(state.shm_lock(one, 1, true), Err(Code::IOERR_SHMLOCK.get()));
        assert!(state.shm_map(one, 0, 32_768, false).unwrap().is_none());
        let region = state.shm_map(one, 1, 32_768, true).unwrap().unwrap();
        let same = state.shm_map(two, 1, 32_768, false).unwrap().unwrap();
        assert!(Arc::ptr_eq(&region, &same));
        assert_eq!((region.len() * 8, region.as_ptr().addr() % 8), (32_768, 0));
        state.shm_unmap(one).unwrap();
        assert!(state.shm_map(two, 1, 32_768, false).unwrap().is_some());
        state.close(two);
        assert!(state.shm_map(one, 1, 32_768, false).unwrap().is_none());
    }
}
