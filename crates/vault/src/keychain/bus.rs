//! What the session bus knows of the keychain and of the program that asks its owner.
//!
//! On Linux the platform's store keeps one session with the keychain for as long as this process
//! lives. When the keychain's program ends, the bus may start another, which knows nothing of that
//! session and whose collections are locked: it must not be taken for a keychain that has lost
//! what was in it.

#[cfg(target_os = "linux")]
mod on_linux {
    use std::sync::OnceLock;
    use zbus::blocking::Connection;
    use zbus::blocking::fdo::DBusProxy;
    use zbus::names::BusName;

    /// The program that first answered, by the name the bus gave it; never used twice.
    static ANSWERED: OnceLock<String> = OnceLock::new();

    fn ask<T>(
        name: &'static str,
        question: impl FnOnce(&DBusProxy<'_>, BusName<'static>) -> zbus::fdo::Result<T>,
    ) -> Option<T> {
        let bus = Connection::session().ok()?;
        let bus = DBusProxy::new(&bus).ok()?;
        question(&bus, BusName::try_from(name).ok()?).ok()
    }

    fn owner() -> Option<String> {
        let owner = ask("org.freedesktop.secrets", |bus, name| bus.get_name_owner(name));
        owner.map(|owner| owner.to_string())
    }

    /// Remembers the program that answers, the first time.
    pub(in crate::keychain) fn note_answer() {
        if ANSWERED.get().is_none()
            && let Some(owner) = owner()
        {
            // Another thread's answer was the same program's.
            let _ = ANSWERED.set(owner);
        }
    }

    /// Whether the program that answered is not there any more. Starts none.
    pub(in crate::keychain) fn has_ended() -> bool {
        ANSWERED.get().is_some_and(|answered| owner().as_ref() != Some(answered))
    }

    /// Whether the program that asks for GNOME's keyring is there. It stays for some seconds after
    /// a question; where it cannot start, every question is dismissed unasked. Other keychains ask
    /// for themselves, and to be told that one is locked is right for them too: dismissing leaves
    /// it so.
    pub(in crate::keychain) fn somebody_was_asked() -> bool {
        let asked = ask("org.gnome.keyring.SystemPrompter", |bus, name| bus.name_has_owner(name));
        asked.unwrap_or(false)
    }
}

#[cfg(target_os = "linux")]
pub(super) use on_linux::{has_ended, note_answer, somebody_was_asked};

/// Elsewhere there is no session to lose.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_ended() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn note_answer() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn somebody_was_asked() -> bool {
    true
}
