//! Memory pages that hold one secret each and stay out of swap where the system allows it.

use alloy::signers::local::PrivateKeySigner;

/// Not smaller than a page of most systems this runs on, so that two secrets never share one.
/// Where pages are larger still (64 KiB kernels on ARM), a neighbour may be locked along or
/// unlocked early, which weakens the best effort and nothing else.
#[cfg(target_arch = "aarch64")]
const PAGE: usize = 16384;
#[cfg(not(target_arch = "aarch64"))]
const PAGE: usize = 4096;

/// 256 bits on a page of their own.
pub(crate) type Locked32 = Locked<[u8; 32], { PAGE - 32 }>;
/// 512 bits on a page of their own.
pub(crate) type Locked64 = Locked<[u8; 64], { PAGE - 64 }>;
/// A key in use on a page of its own.
pub(crate) type LockedSigner = Locked<PrivateKeySigner, { PAGE - size_of::<PrivateKeySigner>() }>;

/// A value and zeros to the page's end. The zeros are written and not left to the compiler as
/// padding, because padding takes whatever the stack held where the value was put together, and
/// that can be another key.
#[cfg_attr(target_arch = "aarch64", repr(C, align(16384)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(C, align(4096)))]
struct Page<T, const REST: usize> {
    value: T,
    _zeros: [u8; REST],
}

/// A value on a page of its own, locked into memory as a best effort: the system's limit on locked
/// memory (`ulimit -l`, often 8 MiB, a page per secret) may be smaller than what is held.
///
/// The lock is the `region` crate's, because its call needs no unsafe code here and covers
/// Windows too. It has no `Debug` and no `Clone`; what it holds wipes itself when dropped.
pub(crate) struct Locked<T, const REST: usize> {
    // Dropped first: the page must still be there when it is unlocked.
    _lock: Option<region::LockGuard>,
    page: Box<Page<T, REST>>,
}

impl<T, const REST: usize> Locked<T, REST> {
    pub(crate) fn new(value: T) -> Self {
        const { assert!(size_of::<Page<T, REST>>() == PAGE, "it does not fill its page") };
        let page = Box::new(Page { value, _zeros: [0; REST] });
        let lock = region::lock(std::ptr::from_ref(&*page), PAGE);
        if lock.is_err() {
            tracing::debug!("the system did not lock a page of memory; it could be swapped out");
        }
        Self { _lock: lock.ok(), page }
    }

    pub(crate) fn get(&self) -> &T {
        &self.page.value
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.page.value
    }

    /// Whether the system promised to keep it out of swap.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self._lock.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_pages_of_its_own() {
        let (one, two) = (Locked32::new([1; 32]), Locked32::new([2; 32]));
        let page = |locked: &Locked32| locked.get().as_ptr() as usize / PAGE;
        assert_ne!(page(&one), page(&two));
        assert_eq!((one.get()[0], two.get()[31]), (1, 2));
    }

    /// What the kernel says of the page, not what the call answered.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_locked_page_is_locked_in_the_kernels_eyes() {
        let locked_kib = |address: usize| {
            let maps = std::fs::read_to_string("/proc/self/smaps").expect("the memory map");
            let mut here = false;
            let mut kib = None;
            for line in maps.lines() {
                let range = line.split(' ').next().and_then(|first| first.split_once('-'));
                let bounds = range.and_then(|(start, end)| {
                    let parse = |text| usize::from_str_radix(text, 16).ok();
                    Some(parse(start)?..parse(end)?)
                });
                match (bounds, line.strip_prefix("Locked:")) {
                    (Some(bounds), _) => here = bounds.contains(&address),
                    (None, Some(size)) if here => {
                        kib = size.trim().trim_end_matches(" kB").parse::<u64>().ok();
                    }
                    _ => {}
                }
            }
            kib.expect("the page is in the map")
        };
        let secret = Locked32::new([7; 32]);
        if secret.is_locked() {
            assert!(locked_kib(secret.get().as_ptr() as usize) >= 4);
        }
    }
}
