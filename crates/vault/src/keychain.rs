//! The operating system's keychain: Keychain Services, Credential Manager or Secret Service.
//!
//! It keeps conveniences (agents' tokens for the stdio bridge, a copy of the ledger's head), never
//! the only copy of anything: it can be absent, locked or refused at any moment, and each of
//! those is its own answer, never a silent fallback to a file. Other programs of the same user can
//! usually read it.

mod bus;

use keyring_core::Error as Refusal;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

const SERVICE: &str = "app.imprest.desk";
const TIMEOUT: Duration = Duration::from_secs(5);
/// Windows keeps at most 2560 bytes, as UTF-16.
const MAX_SECRET_BYTES: usize = 1280;
const MAX_NAME_CHARS: usize = 128;
/// Written, read and removed to learn whether the keychain works.
const PROBE: &str = "probe";

/// Whether the keychain can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeychainState {
    /// It keeps and gives secrets.
    Ready,
    /// This system has none, or none is running.
    Absent,
    /// It waits to be unlocked by its owner.
    Locked,
    /// It was asked and refused, or its prompt was dismissed.
    Denied,
    /// It has not answered in time; most likely it is asking its owner something.
    TimedOut,
    /// It answered before, and has ended since.
    Gone,
}

/// Why the keychain did not do what was asked. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// There is none.
    #[error(
        "this system has no keychain to use. Start or create one (on Linux a Secret Service such as gnome-keyring), or go on without."
    )]
    Absent,
    /// It is locked.
    #[error("the system keychain is locked. Unlock it and try again.")]
    Locked,
    /// It refused.
    #[error("the system keychain refused access. Allow it when asked, and try again.")]
    Denied,
    /// It did not answer in time, most likely because it is asking its owner something.
    #[error("the system keychain did not answer within {} seconds. Look for its question on the screen, and try again.", TIMEOUT.as_secs())]
    TimedOut,
    /// It ended after it had answered. The session it had with us ended with it.
    #[error(
        "the system keychain has ended since it last answered. Start it again, then close the desk and open it."
    )]
    Gone,
    /// The namespace or name cannot name an entry.
    #[error(
        "a keychain name is 1 to 128 of the letters, digits, dots, colons, hyphens and underscores."
    )]
    BadName,
    /// The secret is empty or too long for every platform's keychain.
    #[error("a keychain secret has 1 to {MAX_SECRET_BYTES} bytes. Store a shorter one.")]
    BadSecret,
    /// What was stored cannot be read back as text, or is there more than once.
    #[error("the keychain entry is not one the desk wrote. Remove it there, and store it again.")]
    Damaged,
    /// Something else failed on the platform's side.
    #[error("the system keychain failed. Restart it and try again.")]
    Failed,
}

impl KeychainError {
    /// What the failure says of the keychain as a whole; nothing, when it was about one entry.
    fn state(&self) -> Option<KeychainState> {
        match self {
            Self::Absent => Some(KeychainState::Absent),
            Self::Locked => Some(KeychainState::Locked),
            Self::TimedOut => Some(KeychainState::TimedOut),
            Self::Gone => Some(KeychainState::Gone),
            Self::Denied | Self::Failed => Some(KeychainState::Denied),
            Self::BadName | Self::BadSecret | Self::Damaged => None,
        }
    }
}

/// One namespace in the keychain, such as one data folder's. Cheap to clone.
///
/// Calls run on a thread of their own, one at a time, and are given up after 5 seconds. The thread
/// is not one of the async runtime's: those are waited for at exit, and an unanswered prompt would
/// then keep the desk from closing.
#[derive(Clone)]
pub struct Keychain {
    namespace: Arc<str>,
    backend: Arc<Backend>,
    /// One call at a time, so that a keychain that hangs holds one thread, not many.
    turn: Arc<Semaphore>,
    /// What the last call showed of the keychain as a whole.
    known: Arc<Mutex<Option<Result<(), KeychainError>>>>,
    /// Whether it has ever answered: then it is not absent, but gone.
    has_answered: Arc<AtomicBool>,
    timeout: Duration,
}

enum Backend {
    System,
    Memory(Mutex<HashMap<String, Zeroizing<String>>>),
    None,
}

impl Keychain {
    /// The system's keychain, under a namespace of the caller's, such as the vault's id. It is
    /// first touched by the first call, so this never fails and never waits.
    pub fn open(namespace: &str) -> Self {
        Self::with(namespace, Backend::System)
    }

    /// A keychain that lasts as long as it is held: for tests and throwaway desks.
    pub fn in_memory() -> Self {
        Self::with("memory", Backend::Memory(Mutex::default()))
    }

    /// An in-memory keychain of another name, as another desktop's is.
    #[cfg(test)]
    pub(crate) fn in_memory_as(name: &str) -> Self {
        Self::with(name, Backend::Memory(Mutex::default()))
    }

    /// No keychain: every call answers [`KeychainError::Absent`].
    pub fn none() -> Self {
        Self::with("none", Backend::None)
    }

    fn with(namespace: &str, backend: Backend) -> Self {
        Self {
            namespace: namespace.into(),
            backend: Arc::new(backend),
            turn: Arc::new(Semaphore::new(1)),
            known: Arc::default(),
            has_answered: Arc::default(),
            timeout: TIMEOUT,
        }
    }

    /// The keychain's name for its owner, as a vault file records it: `Secret Service (GNOME)`,
    /// `macOS Keychain`, `Windows Credential Manager`. On Linux the desktop's name is part of it,
    /// because GNOME and KDE answer to the same name on the bus with different secrets.
    pub fn backend_name(&self) -> String {
        match &*self.backend {
            Backend::System => system_name(std::env::var("XDG_CURRENT_DESKTOP").ok().as_deref()),
            Backend::Memory(_) => format!("memory ({})", self.namespace),
            Backend::None => "no keychain".into(),
        }
    }

    /// What the last call showed; before any call, what [`Keychain::check`] finds.
    pub async fn state(&self) -> KeychainState {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(Ok(())) => KeychainState::Ready,
            Some(Err(refusal)) => refusal.state().unwrap_or(KeychainState::Denied),
            None => self.check().await,
        }
    }

    /// Why the last call about the keychain as a whole failed, in its own words; nothing when it
    /// was answered, or none was made yet.
    pub fn last_refusal(&self) -> Option<KeychainError> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()?.err()
    }

    /// Writes, reads and removes an entry of its own, and answers what that showed. The system
    /// may ask its owner to unlock. On Linux a Secret Service that starts after the first call is
    /// only found when the desk starts again.
    pub async fn check(&self) -> KeychainState {
        let outcome = self
            .call(PROBE, |backend, entry| {
                backend.store(entry, "probe")?;
                let found = backend.load(entry)?;
                backend.delete(entry)?;
                match found {
                    Some(text) if *text == "probe" => Ok(()),
                    _ => Err(KeychainError::Failed),
                }
            })
            .await;
        match outcome {
            Ok(()) => KeychainState::Ready,
            Err(error) => error.state().unwrap_or(KeychainState::Denied),
        }
    }

    /// Keeps a text of 1 to 1280 bytes under a name, in place of what was there.
    ///
    /// # Errors
    /// One of [`KeychainError`]; nothing is kept then.
    pub async fn store(&self, name: &str, secret: &str) -> Result<(), KeychainError> {
        if !(1..=MAX_SECRET_BYTES).contains(&secret.len()) {
            return Err(KeychainError::BadSecret);
        }
        let secret = Zeroizing::new(secret.to_owned());
        self.call(name, move |backend, entry| backend.store(entry, &secret)).await
    }

    /// The text under a name, or nothing when there is none.
    ///
    /// # Errors
    /// One of [`KeychainError`]; an absent or locked keychain is never "nothing".
    pub async fn load(&self, name: &str) -> Result<Option<Zeroizing<String>>, KeychainError> {
        self.call(name, |backend, entry| backend.load(entry)).await
    }

    /// Removes a name; it is no error if there was none.
    ///
    /// # Errors
    /// One of [`KeychainError`].
    pub async fn delete(&self, name: &str) -> Result<(), KeychainError> {
        self.call(name, |backend, entry| backend.delete(entry)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        name: &str,
        act: impl FnOnce(&Backend, &str) -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        let entry = entry_name(&self.namespace, name)?;
        let outcome = match tokio::time::timeout(self.timeout, self.on_own_thread(entry, act)).await
        {
            Ok(Err(KeychainError::Absent)) if self.has_answered.load(Ordering::SeqCst) => {
                Err(KeychainError::Gone)
            }
            Ok(outcome) => outcome,
            Err(_) => Err(KeychainError::TimedOut),
        };
        if outcome.is_ok() {
            self.has_answered.store(true, Ordering::SeqCst);
        }
        let shown = match &outcome {
            Ok(_) => Some(Ok(())),
            Err(error) => error.state().map(|_| Err(error.clone())),
        };
        if shown.is_some() {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        }
        outcome
    }

    async fn on_own_thread<T: Send + 'static>(
        &self,
        entry: String,
        act: impl FnOnce(&Backend, &str) -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        let turn: OwnedSemaphorePermit =
            self.turn.clone().acquire_owned().await.map_err(|_| KeychainError::Failed)?;
        let (reply, answer) = oneshot::channel();
        let backend = self.backend.clone();
        std::thread::Builder::new()
            .name("keychain".into())
            .spawn(move || {
                let outcome = act(&backend, &entry);
                if outcome.is_ok() && matches!(*backend, Backend::System) {
                    bus::note_answer();
                }
                // Ended before the answer is sent, so that the next caller finds its turn free.
                drop(turn);
                let _ = reply.send(outcome);
            })
            .map_err(|_| KeychainError::Failed)?;
        answer.await.map_err(|_| KeychainError::Failed)?
    }
}

impl Backend {
    fn store(&self, entry: &str, secret: &str) -> Result<(), KeychainError> {
        match self {
            Self::System => system(entry)?.set_password(secret).map_err(|e| reason(&e)),
            Self::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.insert(entry.to_owned(), Zeroizing::new(secret.to_owned()));
                Ok(())
            }
            Self::None => Err(KeychainError::Absent),
        }
    }

    fn load(&self, entry: &str) -> Result<Option<Zeroizing<String>>, KeychainError> {
        match self {
            Self::System => match system(entry)?.get_password() {
                Ok(text) => Ok(Some(Zeroizing::new(text))),
                Err(Refusal::NoEntry) => Ok(None),
                Err(error) => Err(reason(&error)),
            },
            Self::Memory(kept) => {
                Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).get(entry).cloned())
            }
            Self::None => Err(KeychainError::Absent),
        }
    }

    fn delete(&self, entry: &str) -> Result<(), KeychainError> {
        match self {
            Self::System => match system(entry)?.delete_credential() {
                Ok(()) | Err(Refusal::NoEntry) => Ok(()),
                Err(error) => Err(reason(&error)),
            },
            Self::Memory(kept) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).remove(entry);
                Ok(())
            }
            Self::None => Err(KeychainError::Absent),
        }
    }
}

fn system_name(desktop: Option<&str>) -> String {
    if cfg!(target_os = "macos") {
        return "macOS Keychain".into();
    }
    if cfg!(windows) {
        return "Windows Credential Manager".into();
    }
    // The variable is a list, and anybody may have set it.
    let desktop: String = desktop
        .unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(24)
        .collect();
    if desktop.is_empty() { "Secret Service".into() } else { format!("Secret Service ({desktop})") }
}

/// Whether a file may name this as a keychain: 1 to 160 printable ASCII characters, so that the
/// name can be shown as it is.
pub(crate) fn is_backend_name(name: &str) -> bool {
    (1..=160).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b" ().:-_".contains(&b))
}

fn system(entry: &str) -> Result<keyring::v1::Entry, KeychainError> {
    if bus::has_ended() {
        return Err(KeychainError::Gone);
    }
    keyring::v1::Entry::new(SERVICE, entry).map_err(|e| reason(&e))
}

/// Our word for a platform's refusal. Some refusals carry the stored bytes, so nothing of them is
/// kept; the platform's own message, which has no secret, goes to the log.
fn reason(refusal: &Refusal) -> KeychainError {
    match refusal {
        Refusal::NoDefaultStore | Refusal::NotSupportedByStore(_) => KeychainError::Absent,
        Refusal::NoStorageAccess(source) | Refusal::PlatformFailure(source) => {
            let said = source.to_string();
            tracing::debug!(said, "the system keychain refused");
            let platform = matches!(refusal, Refusal::PlatformFailure(_));
            match from_message(&said, platform) {
                // Dismissed without anybody having been asked: there is no screen to ask on.
                KeychainError::Denied if !bus::somebody_was_asked() => KeychainError::Locked,
                word => word,
            }
        }
        Refusal::BadEncoding(_)
        | Refusal::BadDataFormat(..)
        | Refusal::BadStoreFormat(_)
        | Refusal::Ambiguous(_) => KeychainError::Damaged,
        Refusal::TooLong(..) | Refusal::Invalid(..) => KeychainError::BadName,
        _ => KeychainError::Failed,
    }
}

/// What is said when nothing answers to the keychain's name, or the bus itself is not there.
const ABSENT: [&str; 6] = [
    "no secret service",
    "result not returned",
    "serviceunknown",
    "disconnected",
    "noreply",
    "broken pipe",
];

/// The stores tell locked from dismissed from gone only in words.
fn from_message(said: &str, platform: bool) -> KeychainError {
    let said = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["prompt", "denied", "cancel", "not permitted"]) {
        KeychainError::Denied
    } else if has(&["locked", "interaction"]) {
        KeychainError::Locked
    } else if has(&["unknownobject", "unknownmethod", "nosession", "no such"]) {
        // Another one answers in its place, and knows nothing of the session we had.
        KeychainError::Gone
    } else if has(&ABSENT) {
        KeychainError::Absent
    } else if platform {
        KeychainError::Failed
    } else {
        KeychainError::Locked
    }
}

/// `namespace/name`; neither may hold a slash, so no two pairs meet.
fn entry_name(namespace: &str, name: &str) -> Result<String, KeychainError> {
    let fits = |part: &str| {
        (1..=MAX_NAME_CHARS).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-_".contains(&b))
    };
    if fits(namespace) && fits(name) {
        Ok(format!("{namespace}/{name}"))
    } else {
        Err(KeychainError::BadName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_replaces_and_forgets() {
        let keychain = Keychain::in_memory();
        assert_eq!(keychain.load("token").await, Ok(None));
        keychain.store("token", "one").await.expect("kept");
        keychain.store("token", "two").await.expect("replaced");
        let same = keychain.clone();
        assert_eq!(same.load("token").await, Ok(Some(Zeroizing::new("two".into()))));
        keychain.delete("token").await.expect("removed");
        keychain.delete("token").await.expect("nothing to remove is no error");
        assert_eq!(keychain.load("token").await, Ok(None));
        assert_eq!(keychain.state().await, KeychainState::Ready);
    }

    #[tokio::test]
    async fn none_is_absent_and_never_nothing() {
        let keychain = Keychain::none();
        assert_eq!(keychain.state().await, KeychainState::Absent);
        assert_eq!(keychain.load("token").await, Err(KeychainError::Absent));
        assert_eq!(keychain.store("token", "x").await, Err(KeychainError::Absent));
        assert_eq!(keychain.delete("token").await, Err(KeychainError::Absent));
        assert_eq!(keychain.state().await, KeychainState::Absent);
    }

    #[test]
    fn a_keychains_name_can_always_be_recorded() {
        for (desktop, name) in [
            (None, "Secret Service"),
            (Some(""), "Secret Service"),
            (Some("KDE"), "Secret Service (KDE)"),
            (Some("ubuntu:GNOME"), "Secret Service (GNOME)"),
            (Some("X\u{202e}evil\n\"name\""), "Secret Service (Xevilname)"),
        ] {
            if cfg!(target_os = "linux") {
                assert_eq!(system_name(desktop), name);
            }
            assert!(is_backend_name(&system_name(desktop)));
        }
        assert!(is_backend_name(&system_name(Some(&"x".repeat(5_000)))));
        for keychain in [Keychain::in_memory(), Keychain::none(), Keychain::open("a")] {
            assert!(is_backend_name(&keychain.backend_name()));
        }
        for bad in ["", "a\n", "ä", "\u{202e}", "<b>", &"x".repeat(161)] {
            assert!(!is_backend_name(bad), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn names_and_secrets_are_bounded() {
        let keychain = Keychain::in_memory();
        let long = "a".repeat(MAX_NAME_CHARS + 1);
        for bad in ["", "a/b", "a b", "ä", "a\n", "a\0", long.as_str()] {
            assert_eq!(keychain.load(bad).await, Err(KeychainError::BadName), "{bad:?}");
            let elsewhere = Keychain::with(bad, Backend::None);
            assert_eq!(elsewhere.load("a").await, Err(KeychainError::BadName), "{bad:?}");
        }
        for bad in [String::new(), "x".repeat(MAX_SECRET_BYTES + 1)] {
            assert_eq!(keychain.store("a", &bad).await, Err(KeychainError::BadSecret));
        }
        keychain.store("agent-token:agt_1", &"x".repeat(MAX_SECRET_BYTES)).await.expect("fits");
    }

    #[test]
    fn two_namespaces_never_share() {
        let name = |namespace, name| entry_name(namespace, name).expect("good names");
        assert_ne!(name("one", "token"), name("two", "token"));
        assert_ne!(name("a", "b.c"), name("a.b", "c"));
    }

    #[tokio::test]
    async fn a_keychain_that_hangs_is_given_up() {
        let keychain = Keychain { timeout: Duration::from_millis(50), ..Keychain::in_memory() };
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let hung = keychain.call("a", move |_, _| {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(hung.await, Err(KeychainError::TimedOut));
        // The next call does not start a second thread; it waits its turn, and gives up too.
        assert_eq!(keychain.load("a").await, Err(KeychainError::TimedOut));
        assert_eq!(keychain.state().await, KeychainState::TimedOut);
        assert_eq!(keychain.last_refusal(), Some(KeychainError::TimedOut));
        release.send(()).expect("still waiting");
        let patient = Keychain { timeout: TIMEOUT, ..keychain.clone() };
        assert_eq!(patient.load("a").await, Ok(None));
        assert_eq!(keychain.state().await, KeychainState::Ready);
    }

    /// What no longer answers is told from what never did.
    #[tokio::test]
    async fn a_keychain_that_ends_is_gone_and_not_absent() {
        let keychain = Keychain::in_memory();
        let ended = || keychain.call("a", |_, _| Err::<(), _>(KeychainError::Absent));
        assert_eq!(ended().await, Err(KeychainError::Absent));
        assert_eq!(keychain.state().await, KeychainState::Absent);
        assert_eq!(keychain.load("a").await, Ok(None));
        assert_eq!(ended().await, Err(KeychainError::Gone));
        assert_eq!(keychain.state().await, KeychainState::Gone);
    }

    #[test]
    fn a_dismissed_question_is_a_refusal() {
        assert_eq!(from_message("SS error: prompt dismissed", false), KeychainError::Denied);
    }

    #[test]
    fn every_refusal_has_its_own_word_and_no_secret() {
        let said = |text: &str| Box::new(std::io::Error::other(text.to_owned()));
        for (refusal, word) in [
            (Refusal::NoDefaultStore, KeychainError::Absent),
            (Refusal::NoStorageAccess(said("SS Error: object locked")), KeychainError::Locked),
            (
                Refusal::NoStorageAccess(said("SS error: result not returned from SS API")),
                KeychainError::Absent,
            ),
            (
                Refusal::PlatformFailure(said("no secret service provider or dbus session found")),
                KeychainError::Absent,
            ),
            (
                Refusal::PlatformFailure(said(
                    "zbus error: org.freedesktop.Secret.Error.IsLocked: Cannot create an item in a locked collection",
                )),
                KeychainError::Locked,
            ),
            (
                Refusal::PlatformFailure(said(
                    "zbus error: org.freedesktop.DBus.Error.UnknownObject: No such object path",
                )),
                KeychainError::Gone,
            ),
            (Refusal::PlatformFailure(said("out of paper")), KeychainError::Failed),
            (Refusal::BadEncoding(b"hunter2".to_vec()), KeychainError::Damaged),
        ] {
            let found = reason(&refusal);
            assert_eq!(found, word);
            assert!(!format!("{found} {found:?}").contains("hunter2"));
        }
    }
}
