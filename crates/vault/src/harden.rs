//! Keeping keys out of memory dumps.

use crate::error::VaultError;

/// Switches off core dumps and, in release builds on Linux, reading this process's memory by
/// other programs of the same user (`ptrace`, `/proc/PID/mem`).
///
/// Call it first thing in `main`, before any secret is read. Debug builds stay readable so that a
/// debugger works. On Windows there is nothing to switch off.
///
/// # Errors
/// [`VaultError::NotHardened`] when the system refuses; the desk can go on, and should say so.
pub fn harden_process() -> Result<(), VaultError> {
    harden().map_err(|source| VaultError::NotHardened { source })
}

#[cfg(unix)]
fn harden() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(all(target_os = "linux", not(debug_assertions)))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn harden() -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn core_dumps_are_off_for_good() {
        use rustix::process::{Resource, getrlimit};
        super::harden_process().expect("hardens");
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        super::harden_process().expect("hardens again");
    }
}
