//! When the vault and the window lock themselves: when idle, when the computer sleeps, and when
//! the session is locked.

use crate::desk::{Desk, Inner};
use crate::place::Settings;
use crate::problem::bad_input;
use crate::view::{DeskStatus, Problem};
use imprest_ledger::{LOCK_MINUTES, Ledger, LedgerError, Locks};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// When vault and window lock themselves, by the log. Earlier programs kept that in the settings,
/// where any program of the same user could change it: as long as the log says nothing, what is
/// stricter than the usual is taken over from there, and nothing afterwards.
pub(crate) async fn of(ledger: &Ledger, settings: Option<&Settings>) -> Result<Locks, LedgerError> {
    let said = ledger.locks_said().await?;
    let Some(kept) = settings.and_then(|settings| settings.locks) else {
        return Ok(said.unwrap_or_default());
    };
    match said {
        Some(locks) => {
            if kept != locks {
                tracing::warn!("desk.json says when vault and window lock; it has no say");
            }
            Ok(locks)
        }
        None => {
            ledger.set_locks(kept.stricter(Locks::default())).await?;
            ledger.locks().await
        }
    }
}

/// Locks as the owner wrote them, within bounds.
fn read(signing: Option<u32>, window: Option<u32>, session: bool) -> Result<Locks, Problem> {
    for (field, minutes) in [("Signing", signing), ("Window", window)] {
        if minutes.is_some_and(|minutes| !LOCK_MINUTES.contains(&minutes)) {
            return Err(bad_input(field, "write 1 to 10080 minutes, or leave it out"));
        }
    }
    let (signing_idle_min, window_idle_min) = (signing, window);
    Ok(Locks { signing_idle_min, window_idle_min, with_session: session })
}

/// How long until the vault locks, when it last signed so long ago.
fn signing_left(locks: Locks, idle: Duration) -> Option<Duration> {
    locks.signing_idle_min.map(|after| minutes(after).saturating_sub(idle))
}

fn minutes(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 60)
}

/// What the computer is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SystemEvent {
    /// It goes to sleep.
    Sleeps,
    /// The owner's desktop session was locked.
    SessionLocked,
}

impl Inner {
    /// When vault and window lock. Books that cannot be trusted, or are not proven yet, may hold
    /// anything: then at the latest as usual.
    pub(crate) fn locks(&self) -> Locks {
        let set = *self.locks.read().unwrap_or_else(PoisonError::into_inner);
        let doubted = self.trust.broken().is_some() || self.trust.proving.load(Ordering::Relaxed);
        if doubted { set.stricter(Locks::default()) } else { set }
    }

    /// After how long without a touch the window locks.
    pub(crate) fn window_after(&self) -> Option<Duration> {
        self.locks().window_idle_min.map(minutes)
    }

    /// Locks vault and window if the computer slept since anybody looked, told of it or not. The
    /// keys are gone when this answers; the books let go of the seal's key within a second.
    pub(crate) fn lock_if_slept(&self) {
        if !self.sleeper.has_slept() {
            return;
        }
        tracing::info!("the computer slept; the vault is locked");
        self.end_presence();
        if let Some(vault) = self.vault() {
            vault.lock();
        }
        self.seal_to_close.store(true, Ordering::Relaxed);
    }

    /// How long until the vault locks itself; nothing when it does not, or is locked.
    pub(crate) fn locks_in(&self) -> Option<Duration> {
        let used = self.vault()?.last_used()?;
        signing_left(self.locks(), Instant::now().saturating_duration_since(used))
    }

    /// One sentence when the system does not tell of sleep and of locked sessions.
    pub(crate) fn system_locks_note(&self) -> Option<String> {
        self.system_locks_note.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_system_locks(&self, note: Option<&str>) {
        let note = note.map(str::to_owned);
        let mut said = self.system_locks_note.write().unwrap_or_else(PoisonError::into_inner);
        if *said != note {
            *said = note;
            drop(said);
            self.changed(&["status"]);
        }
    }
}

impl Desk {
    /// Sets after how many idle minutes the vault and the window lock themselves, never when left
    /// out, and whether the vault locks with the desktop session. Later than before needs the owner.
    ///
    /// # Errors
    /// `bad_input` for minutes out of bounds, `presence_needed`, or the disk.
    pub async fn set_locks(
        &self,
        signing_idle_min: Option<u32>,
        window_idle_min: Option<u32>,
        with_session: bool,
    ) -> Result<DeskStatus, Problem> {
        let inner = &self.inner;
        let locks = read(signing_idle_min, window_idle_min, with_session)?;
        let _alone = inner.setting.lock().await;
        if locks.keeps_open_longer_than(inner.locks()) {
            inner.need_sound_books()?;
            inner.need_presence()?;
        }
        inner.ledger.set_locks(locks).await?;
        *inner.locks.write().unwrap_or_else(PoisonError::into_inner) = inner.ledger.locks().await?;
        inner.changed(&["status"]);
        self.status().await
    }

    /// Locks what has to be locked when the computer sleeps or its session is locked.
    pub(crate) async fn on_system_event(&self, event: SystemEvent) {
        self.inner.end_presence();
        let locks_vault = event == SystemEvent::Sleeps || self.inner.locks().with_session;
        if locks_vault && self.inner.vault().is_some_and(|vault| vault.is_unlocked()) {
            tracing::info!(?event, "the vault is locked");
            self.lock_vault().await;
        }
        self.inner.changed(&["status"]);
    }

    /// Locks the vault if it has signed nothing for as long as the owner allows.
    pub(crate) async fn lock_if_idle(&self) -> bool {
        let idle = self.inner.locks_in().is_some_and(|left| left.is_zero());
        if idle {
            tracing::info!("nothing was signed for a while; the vault is locked");
            self.lock_vault().await;
        }
        idle
    }
}

pub(crate) fn start(desk: &Desk) {
    desk.inner.tasks.spawn(watch_idleness(desk.clone()));
    let desk = desk.clone();
    let tasks = desk.inner.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = desk.inner.closing.cancelled() => {}
            () = listen(&desk) => {}
        }
    });
}

/// Looks every second; tells whoever watches when the window locks or the owner's presence ends.
async fn watch_idleness(desk: Desk) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let seen = |inner: &Inner| (inner.window_is_locked(), inner.presence_left().is_zero());
    let mut before = seen(&desk.inner);
    loop {
        tokio::select! {
            () = desk.inner.closing.cancelled() => return,
            _ = tick.tick() => {}
        }
        desk.inner.lock_if_slept();
        if desk.inner.seal_to_close.swap(false, Ordering::Relaxed) {
            desk.lock_vault().await;
        }
        desk.lock_if_idle().await;
        let now = seen(&desk.inner);
        if now != before {
            before = now;
            desk.inner.changed(&["status"]);
        }
    }
}

/// Said where nobody tells of sleep and of locked sessions.
const DEAF: &str = "This system does not tell Imprest when it sleeps or when its screen is locked. The vault locks once the computer has slept, not before; and with a locked screen it stays open, unless you lock it yourself or set a time after which it locks.";

/// How long after the session manager fell silent it is looked for again; twice as long each time.
#[cfg(target_os = "linux")]
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long at most.
#[cfg(target_os = "linux")]
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A session manager that restarts, or a bus that comes up late, is heard again.
#[cfg(target_os = "linux")]
async fn listen(desk: &Desk) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let hears = || desk.inner.note_system_locks(None);
        if let Err(error) = crate::logind::follow(desk, hears).await {
            tracing::debug!(%error, "the system’s session manager does not answer");
        }
        desk.inner.note_system_locks(Some(DEAF));
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

#[cfg(not(target_os = "linux"))]
async fn listen(desk: &Desk) {
    desk.inner.note_system_locks(Some(DEAF));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_have_bounds() {
        for minutes in [0, LOCK_MINUTES.end() + 1, u32::MAX] {
            assert!(read(Some(minutes), None, true).is_err());
            assert!(read(None, Some(minutes), true).is_err());
        }
        assert!(read(Some(1), Some(*LOCK_MINUTES.end()), true).is_ok());
    }

    fn on_the_books(folder: &std::path::Path) -> crate::DeskOptions {
        let mut options = crate::DeskOptions::new(folder.to_owned());
        options.serve = false;
        options.kdf = Some(crate::KdfCost::FLOOR);
        options.keychain = crate::KeychainChoice::Given(crate::Keychain::in_memory());
        options
    }

    /// A desk on its books alone, with its vault open.
    async fn open_desk(folder: &std::path::Path) -> Desk {
        let desk = Desk::open(on_the_books(folder)).await.unwrap();
        desk.create_vault("seven grey herons".into()).await.unwrap();
        desk
    }

    fn set(desk: &Desk, locks: Locks) {
        *desk.inner.locks.write().unwrap() = locks;
    }

    #[tokio::test]
    async fn a_vault_that_signs_nothing_locks_when_its_owner_says_so() {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = open_desk(folder.path()).await;
        assert!(!desk.lock_if_idle().await, "not by itself");
        assert_eq!(desk.status().await.unwrap().locks_in_s, None);
        let status = desk.set_locks(Some(1), Some(15), true).await.unwrap();
        assert!(status.locks_in_s.is_some_and(|left| (1..=60).contains(&left)), "{status:?}");
        assert!(!desk.lock_if_idle().await);
        set(&desk, Locks { signing_idle_min: Some(0), ..Locks::default() });
        assert!(desk.lock_if_idle().await);
        let status = desk.status().await.unwrap();
        assert_eq!((status.stage.as_str(), status.locks_in_s), ("locked", None));
        assert_eq!(status.presence_left_s, None, "a lock ends it");
        assert!(!desk.lock_if_idle().await, "it is locked already");
        desk.close().await;
    }

    #[tokio::test]
    async fn sleep_locks_both_and_a_locked_screen_what_the_owner_chose() {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = open_desk(folder.path()).await;
        set(&desk, Locks { with_session: false, ..Locks::default() });
        desk.on_system_event(SystemEvent::SessionLocked).await;
        let status = desk.status().await.unwrap();
        assert_eq!((status.stage.as_str(), status.window_locked), ("open", true));
        desk.confirm("seven grey herons".into()).await.unwrap();
        set(&desk, Locks::default());
        desk.on_system_event(SystemEvent::SessionLocked).await;
        assert_eq!(desk.status().await.unwrap().stage, "locked");
        desk.unlock("seven grey herons".into()).await.unwrap();
        assert!(!desk.inner.window_is_locked());
        set(&desk, Locks { with_session: false, ..Locks::default() });
        desk.on_system_event(SystemEvent::Sleeps).await;
        let status = desk.status().await.unwrap();
        assert_eq!((status.stage.as_str(), status.window_locked), ("locked", true));
        desk.close().await;
    }

    #[tokio::test]
    async fn what_was_set_survives_a_restart() {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = open_desk(folder.path()).await;
        desk.set_locks(Some(60), Some(5), true).await.unwrap();
        desk.close().await;
        let mut options = crate::DeskOptions::new(folder.path().to_owned());
        options.serve = false;
        options.keychain = crate::KeychainChoice::None;
        let desk = Desk::open(options).await.unwrap();
        let status = desk.status().await.unwrap();
        assert_eq!((status.signing_idle_min, status.window_idle_min), (Some(60), Some(5)));
        let longer = desk.set_locks(None, Some(5), true).await.unwrap_err();
        assert_eq!(longer.code, "locked", "{longer}");
        desk.close().await;
    }

    /// A file that anybody can edit loosens nothing, and what it tightens stays tight.
    #[tokio::test]
    async fn an_edited_settings_file_opens_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = open_desk(folder.path()).await;
        desk.set_locks(Some(60), Some(5), true).await.unwrap();
        desk.close().await;
        let file = folder.path().join("desk.json");
        let edit = |locks: &str| {
            let text =
                format!(r#"{{"version":1,"practice":true,"asset":null,"port":1,"locks":{locks}}}"#);
            std::fs::write(&file, text).unwrap();
        };
        let said = async || {
            let desk = Desk::open(on_the_books(folder.path())).await.unwrap();
            let status = desk.status().await.unwrap();
            desk.close().await;
            (status.signing_idle_min, status.window_idle_min, status.lock_with_session)
        };
        edit(r#"{"signing_idle_min":null,"window_idle_min":null,"with_session":false}"#);
        assert_eq!(said().await, (Some(60), Some(5), true));
        edit(r#"{"signing_idle_min":30,"window_idle_min":null,"with_session":false}"#);
        assert_eq!(said().await, (Some(60), Some(5), true));
        edit(r#"{"signing_idle_min":0,"window_idle_min":0,"with_session":true}"#);
        assert_eq!(said().await, (Some(60), Some(5), true));
    }

    /// The log's table is a file too; what it says without the log is found out, and until then
    /// and after it the usual locks hold.
    #[tokio::test]
    async fn locks_that_the_log_does_not_say_are_not_believed() {
        let folder = tempfile::TempDir::new().unwrap();
        let desk = open_desk(folder.path()).await;
        desk.close().await;
        let file = rusqlite::Connection::open(folder.path().join("ledger.db")).unwrap();
        let loose = r#"{"signing_idle_min":null,"window_idle_min":null,"with_session":false}"#;
        let changed = file.execute("INSERT INTO desk VALUES (1, 0, 0, NULL, 0, ?, NULL)", [loose]);
        assert_eq!(changed.unwrap(), 1);
        drop(file);
        let desk = Desk::open(on_the_books(folder.path())).await.unwrap();
        crate::jobs::prove(&desk, None).await;
        let status = desk.status().await.unwrap();
        assert_eq!(status.danger, "halted", "{status:?}");
        assert_eq!((status.window_idle_min, status.lock_with_session), (Some(15), true));
        desk.close().await;
    }

    /// Nobody tells this desk of sleep, and the clock of its timers stands still meanwhile.
    #[tokio::test]
    async fn a_computer_that_slept_finds_its_desk_locked() {
        use crate::awake::{SleepClock, TwoClocks};
        use std::sync::Arc;
        use std::sync::atomic::AtomicU64;
        let folder = tempfile::TempDir::new().unwrap();
        let slept_s = Arc::new(AtomicU64::new(0));
        let (begun, dial) = (Instant::now(), slept_s.clone());
        let mut options = on_the_books(folder.path());
        options.sleep_clock = Some(SleepClock::new(move || {
            let awake = begun.elapsed();
            TwoClocks { awake, all: awake + Duration::from_secs(dial.load(Ordering::SeqCst)) }
        }));
        let desk = Desk::open(options).await.unwrap();
        desk.create_vault("seven grey herons".into()).await.unwrap();
        assert!(desk.inner.need_presence().is_ok() && !desk.inner.window_is_locked());
        slept_s.store(8 * 3600, Ordering::SeqCst);
        // Whoever asks first locks it, not only the job that looks each second.
        assert_eq!(desk.inner.need_presence().err().unwrap().code, "locked");
        assert!(desk.inner.window_is_locked());
        desk.unlock("seven grey herons".into()).await.unwrap();
        assert!(!desk.inner.window_is_locked());
        slept_s.fetch_add(60, Ordering::SeqCst);
        desk.inner.alarm();
        let status = desk.status().await.unwrap();
        assert_eq!((status.stage.as_str(), status.window_locked), ("locked", true));
        assert_eq!(status.presence_left_s, None);
        desk.close().await;
    }

    #[test]
    fn idleness_counts_down_to_nothing() {
        let locks = Locks { signing_idle_min: Some(1), ..Locks::default() };
        assert_eq!(signing_left(locks, Duration::ZERO), Some(minutes(1)));
        assert_eq!(signing_left(locks, Duration::from_secs(59)), Some(Duration::from_secs(1)));
        assert_eq!(signing_left(locks, minutes(9)), Some(Duration::ZERO));
        assert_eq!(signing_left(Locks::default(), minutes(9)), None);
    }
}
