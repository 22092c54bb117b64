//! The C interface: SQLite's file layer (<https://sqlite.org/c3ref/vfs.html>) over a [`State`].
//!
//! This is the one module of the crate with unsafe code, because SQLite calls a VFS through C
//! function pointers and gives it raw memory. It rests on what SQLite promises: a `sqlite3_file`
//! has `szOsFile` bytes, one connection uses it at a time, and nothing is asked of it after
//! `xClose`. Each function turns its pointers into safe values and hands them on.
//!
//! A registered `sqlite3_vfs` is never freed. A connection keeps a pointer to it for as long as it
//! lives, at times without a file open (a database in memory), and nobody can know when the last
//! of them is gone. That is some 300 bytes for each mount; the disk itself is freed.

#![allow(unsafe_code)]

use crate::directory::full_path;
use crate::locks::HandleId;
use crate::state::{Mode, State};
use libsqlite3_sys as ffi;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest path, in bytes, with the NUL at its end.
const PATH_BYTES_MAX: c_int = 1024;

/// The files with whose first sync SQLite's unix layer syncs the folder too, if they were opened
/// so that they may have been made (`UNIXFILE_DIRSYNC` in `unixOpen`). Without it a rollback
/// journal that was deleted before the change to WAL mode could come back and undo commits.
const JOURNALS: c_int =
    ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;

/// A disk that several mounts and connections share.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub(crate) fn new(state: State) -> Arc<Shared> {
        Arc::new(Shared(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

/// Locks it, also after a test that panicked while holding it: nothing is ever half done inside.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a registered VFS leads to.
#[derive(Debug)]
pub(crate) struct Registration {
    name: String,
    vfs: AtomicPtr<ffi::sqlite3_vfs>,
    seat: Mutex<Seat>,
}

#[derive(Debug)]
struct Seat {
    /// Nothing once it is unmounted.
    disk: Option<Arc<Shared>>,
    open_files: usize,
    leaving: bool,
}

impl Registration {
    /// Registers a VFS of this name over the disk.
    ///
    /// # Errors
    /// SQLite's result code; `SQLITE_MISUSE` for a name that is taken or has a NUL in it.
    pub(crate) fn new(name: &str, disk: Arc<Shared>) -> Result<&'static Registration, c_int> {
        // One at a time, so that two of the same name do not both find it free.
        static REGISTERING: Mutex<()> = Mutex::new(());
        let _alone = lock(&REGISTERING);
        let c_name = CString::new(name).map_err(|_| ffi::SQLITE_MISUSE)?;
        // SAFETY: the name is a C string; SQLite initialises itself when it must.
        if !unsafe { ffi::sqlite3_vfs_find(c_name.as_ptr()) }.is_null() {
            return Err(ffi::SQLITE_MISUSE);
        }
        let seat = Mutex::new(Seat { disk: Some(disk), open_files: 0, leaving: false });
        let registration: &'static Registration = Box::leak(Box::new(Registration {
            name: name.to_owned(),
            vfs: AtomicPtr::new(ptr::null_mut()),
            seat,
        }));
        let vfs = Box::into_raw(Box::new(description(c_name.into_raw(), registration)));
        registration.vfs.store(vfs, Ordering::Release);
        // SAFETY: the description is complete and is never freed.
        match unsafe { ffi::sqlite3_vfs_register(vfs, 0) } {
            ffi::SQLITE_OK => Ok(registration),
            code => Err(code),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Unregisters it now, or when the last file is closed.
    pub(crate) fn leave(&self) {
        lock(&self.seat).leaving = true;
        self.unregister_when_empty();
    }

    fn unregister_when_empty(&self) {
        let disk = {
            let mut seat = lock(&self.seat);
            if !seat.leaving || seat.open_files > 0 {
                return;
            }
            seat.disk.take()
        };
        if disk.is_some() {
            // SAFETY: the pointer came from `sqlite3_vfs_register`, and only the one who took the
            // disk comes here. No lock of ours is held while SQLite takes its own.
            unsafe { ffi::sqlite3_vfs_unregister(self.vfs.load(Ordering::Acquire)) };
        }
    }
}

/// Fills in what SQLite wants to know of a VFS.
fn description(name: *const c_char, registration: &'static Registration) -> ffi::sqlite3_vfs {
    ffi::sqlite3_vfs {
        // Version 2 has xCurrentTimeInt64 and none of the system call table.
        iVersion: 2,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: PATH_BYTES_MAX,
        pNext: ptr::null_mut(),
        zName: name,
        pAppData: ptr::from_ref(registration).cast_mut().cast(),
        xOpen: Some(x_open),
        xDelete: Some(x_delete),
        xAccess: Some(x_access),
        xFullPathname: Some(x_full_pathname),
        xDlOpen: Some(x_dl_open),
        xDlError: Some(x_dl_error),
        xDlSym: Some(x_dl_sym),
        xDlClose: Some(x_dl_close),
        xRandomness: Some(x_randomness),
        xSleep: Some(x_sleep),
        xCurrentTime: Some(x_current_time),
        xGetLastError: Some(x_get_last_error),
        xCurrentTimeInt64: Some(x_current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

/// Version 2 has shared memory and none of the memory-mapped reading, so every read is seen here.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// What SQLite's file memory holds while a file is open.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    inner: *mut Inner,
}

struct Inner {
    disk: Arc<Shared>,
    handle: HandleId,
    registration: &'static Registration,
}

impl Inner {
    /// Does one thing under the disk's lock and answers in SQLite's words.
    fn run(&self, act: impl FnOnce(&mut State, HandleId) -> Result<(), c_int>) -> c_int {
        answer(act(&mut self.disk.state(), self.handle))
    }
}

fn answer(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

/// # Safety
/// `file` is one that [`x_open`] opened and [`x_close`] has not closed.
unsafe fn inner<'a>(file: *mut ffi::sqlite3_file) -> &'a Inner {
    // SAFETY: x_open wrote a pointer from Box::into_raw there, and it lives until x_close.
    unsafe { &*(*file.cast::<OpenFile>()).inner }
}

/// # Safety
/// `vfs` is one that [`Registration::new`] registered.
unsafe fn registration(vfs: *mut ffi::sqlite3_vfs) -> &'static Registration {
    // SAFETY: pAppData was made from a leaked Registration.
    unsafe { &*(*vfs).pAppData.cast::<Registration>() }
}

/// A path from SQLite in this disk's form; nothing when it is no UTF-8.
///
/// # Safety
/// `name` is a C string that lives during the call.
unsafe fn path(name: *const c_char) -> Option<String> {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(name) }.to_str().ok().map(full_path)
}

/// Opens the file of this name and writes down where it is to be found.
fn open_file(
    registration: &'static Registration,
    name: Option<&str>,
    flags: c_int,
) -> Result<*mut Inner, c_int> {
    let has = |flag| flags & flag != 0;
    let mode = Mode {
        create: has(ffi::SQLITE_OPEN_CREATE),
        exclusive: has(ffi::SQLITE_OPEN_EXCLUSIVE),
        writable: has(ffi::SQLITE_OPEN_READWRITE),
        delete_on_close: has(ffi::SQLITE_OPEN_DELETEONCLOSE),
        sync_folder: has(ffi::SQLITE_OPEN_CREATE) && has(JOURNALS),
    };
    let mut seat = lock(&registration.seat);
    let disk = Arc::clone(seat.disk.as_ref().ok_or(ffi::SQLITE_CANTOPEN)?);
    let handle = disk.state().open(name, mode)?;
    seat.open_files += 1;
    Ok(Box::into_raw(Box::new(Inner { disk, handle, registration })))
}

unsafe extern "C" fn x_open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives the VFS it found, a C string or nothing, szOsFile bytes for the file,
    // and a place for the flags or nothing. Without methods it calls no xClose.
    unsafe {
        (*file).pMethods = ptr::null();
        let name = match name.is_null() {
            true => None,
            false => match path(name) {
                Some(name) => Some(name),
                None => return ffi::SQLITE_CANTOPEN,
            },
        };
        match open_file(registration(vfs), name.as_deref(), flags) {
            Ok(inner) => {
                let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
                file.cast::<OpenFile>().write(OpenFile { base, inner });
                if !out_flags.is_null() {
                    *out_flags = flags;
                }
                ffi::SQLITE_OK
            }
            Err(code) => code,
        }
    }
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once, and this takes its Box back.
    let inner = unsafe {
        (*file).pMethods = ptr::null();
        Box::from_raw((*file.cast::<OpenFile>()).inner)
    };
    inner.disk.state().close(inner.handle);
    lock(&inner.registration.seat).open_files -= 1;
    inner.registration.unregister_when_empty();
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    len: c_int,
    at: i64,
) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), usize::try_from(at)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite gives room for `len` bytes; they are set first, as a slice may not have
    // unset ones.
    let (inner, out) = unsafe {
        out.cast::<u8>().write_bytes(0, len);
        (inner(file), std::slice::from_raw_parts_mut(out.cast::<u8>(), len))
    };
    inner.run(|state, handle| state.read(handle, at, out))
}

unsafe extern "C" fn x_write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), usize::try_from(at)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite gives `len` bytes.
    let (inner, bytes) =
        unsafe { (inner(file), std::slice::from_raw_parts(bytes.cast::<u8>(), len)) };
    inner.run(|state, handle| state.write(handle, at, bytes))
}

unsafe extern "C" fn x_truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    let Ok(len) = usize::try_from(len) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(|state, handle| state.truncate(handle, len))
}

unsafe extern "C" fn x_sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(State::sync)
}

unsafe extern "C" fn x_file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, and `out` has room for the answer.
    unsafe {
        inner(file).run(|state, handle| {
            *out = state.len(handle)? as i64;
            Ok(())
        })
    }
}

unsafe extern "C" fn x_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(|state, handle| state.lock(handle, level))
}

unsafe extern "C" fn x_unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(|state, handle| state.unlock(handle, level))
}

unsafe extern "C" fn x_check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and `out` has room for the answer.
    unsafe {
        inner(file).run(|state, handle| {
            *out = c_int::from(state.is_reserved(handle)?);
            Ok(())
        })
    }
}

/// Knows none of the extras: SQLite then does what it does without them.
unsafe extern "C" fn x_file_control(
    _file: *mut ffi::sqlite3_file,
    _what: c_int,
    _arg: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn x_sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    crate::content::SECTOR_BYTES as c_int
}

unsafe extern "C" fn x_device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn x_shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    region_bytes: c_int,
    make: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let (Ok(index), Ok(bytes)) = (usize::try_from(index), usize::try_from(region_bytes)) else {
        return ffi::SQLITE_IOERR_SHMMAP;
    };
    // SAFETY: the file is open, and `out` has room for the answer. The region lives as long as a
    // handle has it mapped, and its cells may be written through a shared pointer.
    unsafe {
        *out = ptr::null_mut();
        inner(file).run(|state, handle| {
            if let Some(region) = state.shm_map(handle, index, bytes, make != 0)? {
                *out = region.as_ptr().cast_mut().cast();
            }
            Ok(())
        })
    }
}

unsafe extern "C" fn x_shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    n: c_int,
    flags: c_int,
) -> c_int {
    if first < 0 || n < 1 || first + n > ffi::SQLITE_SHM_NLOCK {
        return ffi::SQLITE_IOERR_SHMLOCK;
    }
    let mask = (((1_u16 << n) - 1) << first) as u8;
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(|state, handle| {
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            state.shm_unlock(handle, mask)
        } else {
            state.shm_lock(handle, mask, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0)
        }
    })
}

unsafe extern "C" fn x_shm_barrier(file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
    // Through the lock as well, as SQLite's own layer does.
    // SAFETY: the file is open.
    drop(unsafe { inner(file) }.disk.state());
}

unsafe extern "C" fn x_shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { inner(file) }.run(State::shm_unmap)
}

/// The disk behind a VFS, for what is asked without a file.
///
/// # Safety
/// `vfs` is one that [`Registration::new`] registered.
unsafe fn disk(vfs: *mut ffi::sqlite3_vfs) -> Option<Arc<Shared>> {
    // SAFETY: as the caller promises.
    lock(&unsafe { registration(vfs) }.seat).disk.clone()
}

unsafe extern "C" fn x_delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite gives the VFS it found and a C string.
    let (Some(disk), Some(name)) = (unsafe { (disk(vfs), path(name)) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    answer(disk.state().delete(&name, sync_folder != 0))
}

unsafe extern "C" fn x_access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives the VFS it found, a C string and room for the answer.
    unsafe {
        let (Some(disk), Some(name)) = (disk(vfs), path(name)) else {
            return ffi::SQLITE_IOERR_ACCESS;
        };
        let there = disk.state().is_there(&name);
        answer(there.map(|there| *out = c_int::from(there)))
    }
}

unsafe extern "C" fn x_full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room_bytes: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string and room for `room_bytes` bytes.
    unsafe {
        let full = path(name).and_then(|full| CString::new(full).ok());
        match full.as_ref().map(|full| full.as_bytes_with_nul()) {
            Some(bytes) if usize::try_from(room_bytes).is_ok_and(|room| bytes.len() <= room) => {
                ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
                ffi::SQLITE_OK
            }
            _ => ffi::SQLITE_CANTOPEN,
        }
    }
}

/// Loads no extensions.
unsafe extern "C" fn x_dl_open(_vfs: *mut ffi::sqlite3_vfs, _name: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn x_dl_error(_vfs: *mut ffi::sqlite3_vfs, room_bytes: c_int, out: *mut c_char) {
    if room_bytes > 0 {
        // SAFETY: SQLite gives room for that many bytes.
        unsafe { *out = 0 };
    }
}

unsafe extern "C" fn x_dl_sym(
    _vfs: *mut ffi::sqlite3_vfs,
    _library: *mut c_void,
    _name: *const c_char,
) -> Option<unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char)> {
    None
}

unsafe extern "C" fn x_dl_close(_vfs: *mut ffi::sqlite3_vfs, _library: *mut c_void) {}

/// SQLite's own layer, for what a disk has no part in: chance, sleep and the time of day.
fn own_layer() -> *mut ffi::sqlite3_vfs {
    // SAFETY: no name asks for the default, which a build of SQLite always has.
    unsafe { ffi::sqlite3_vfs_find(ptr::null()) }
}

unsafe extern "C" fn x_randomness(
    _vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    let own = own_layer();
    // SAFETY: a registered VFS, and the caller's own room.
    unsafe { (*own).xRandomness.map_or(0, |ask| ask(own, bytes, out)) }
}

unsafe extern "C" fn x_sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    let own = own_layer();
    // SAFETY: a registered VFS.
    unsafe { (*own).xSleep.map_or(0, |ask| ask(own, microseconds)) }
}

unsafe extern "C" fn x_current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    let own = own_layer();
    // SAFETY: a registered VFS, and the caller's own room.
    unsafe { (*own).xCurrentTime.map_or(ffi::SQLITE_ERROR, |ask| ask(own, out)) }
}

unsafe extern "C" fn x_current_time_int64(_vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    let own = own_layer();
    // SAFETY: a registered VFS of version 2 or above has it, and the caller's own room.
    unsafe {
        if (*own).iVersion < 2 {
            return ffi::SQLITE_ERROR;
        }
        (*own).xCurrentTimeInt64.map_or(ffi::SQLITE_ERROR, |ask| ask(own, out))
    }
}

unsafe extern "C" fn x_get_last_error(
    _vfs: *mut ffi::sqlite3_vfs,
    _room_bytes: c_int,
    _out: *mut c_char,
) -> c_int {
    0
}
