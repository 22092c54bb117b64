//! When the vault and the window lock themselves: when idle, when the computer sleeps, and when
//! the session is locked.

use crate::desk::{Desk, Inner};
use crate::place::Settings;
use crate::problem::bad_input;
use crate::view::{DeskStatus, Problem};
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// How long a lock may be made to wait: a week.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// How long nobody has to touch the window before it locks, unless the owner chose otherwise.
const WINDOW_IDLE_MIN: u32 = 15;

/// When vault and window lock themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Locks {
    /// After so many minutes without a signature the vault locks. Not by itself when absent: the
    /// usual, because agents work while their owner is away.
    pub(crate) signing_idle_min: Option<u32>,
    /// After so many minutes in which nobody touched the window it locks.
    pub(crate) window_idle_min: Option<u32>,
    /// Whether the vault locks with the desktop session.
    pub(crate) with_session: bool,
}

impl Default for Locks {
    fn default() -> Locks {
        Locks { signing_idle_min: None, window_idle_min: Some(WINDOW_IDLE_MIN), with_session: true }
    }
}

impl Locks {
    fn new(signing: Option<u32>, window: Option<u32>, session: bool) -> Result<Locks, Problem> {
        for (field, minutes) in [("Signing", signing), ("Window", window)] {
            if minutes.is_some_and(|minutes| !(1..=MINUTES_MAX).contains(&minutes)) {
                return Err(bad_input(field, "write 1 to 10080 minutes, or leave it out"));
            }
        }
        let (signing_idle_min, window_idle_min) = (signing, window);
        Ok(Locks { signing_idle_min, window_idle_min, with_session: session })
    }

    /// Whether anything stays open for longer than before.
    fn keeps_open_longer_than(self, before: Locks) -> bool {
        let longer = |now: Option<u32>, before: Option<u32>| match (now, before) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(now), Some(before)) => now > before,
        };
        longer(self.signing_idle_min, before.signing_idle_min)
            || longer(self.window_idle_min, before.window_idle_min)
            || (before.with_session && !self.with_session)
    }

    pub(crate) fn window_after(self) -> Option<Duration> {
        self.window_idle_min.map(minutes)
    }

    /// How long until the vault locks, when it last signed so long ago.
    fn signing_left(self, idle: Duration) -> Option<Duration> {
        self.signing_idle_min.map(|after| minutes(after).saturating_sub(idle))
    }
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
    pub(crate) fn locks(&self) -> Locks {
        *self.locks.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until the vault locks itself; nothing when it does not, or is locked.
    pub(crate) fn locks_in(&self) -> Option<Duration> {
        let used = self.vault()?.last_used()?;
        self.locks().signing_left(Instant::now().saturating_duration_since(used))
    }

    /// One sentence when the system does not tell of sleep and of locked sessions.
    pub(crate) fn system_locks_note(&self) -> Option<String> {
        self.system_locks_note.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_system_locks(&self, note: Option<&str>) {
        *self.system_locks_note.write().unwrap_or_else(PoisonError::into_inner) =
            note.map(str::to_owned);
        self.changed(&["status"]);
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
        let locks = Locks::new(signing_idle_min, window_idle_min, with_session)?;
        let _alone = inner.setting.lock().await;
        if locks.keeps_open_longer_than(inner.locks()) {
            inner.need_presence()?;
        }
        let settings = inner.place.load_settings()?.unwrap_or(Settings {
            version: 1,
            practice: inner.practice_mode,
            asset: Some(inner.asset.clone()),
            port: None,
            locks,
        });
        inner.place.save_settings(&Settings { locks, ..settings })?;
        *inner.locks.write().unwrap_or_else(PoisonError::into_inner) = locks;
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
        desk.lock_if_idle().await;
        let now = seen(&desk.inner);
        if now != before {
            before = now;
            desk.inner.changed(&["status"]);
        }
    }
}

/// Said where nobody tells of sleep and of locked sessions.
const DEAF: &str = "This system does not tell Imprest when it sleeps or when its screen is locked, so the vault stays open then. Lock it yourself, or set a time after which it locks.";

#[cfg(target_os = "linux")]
async fn listen(desk: &Desk) {
    if let Err(error) = crate::logind::follow(desk).await {
        tracing::debug!(%error, "the system’s session manager does not answer");
        desk.inner.note_system_locks(Some(DEAF));
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
    fn longer_is_what_stays_open_longer() {
        let usual = Locks::default();
        let with = |signing, window, session| Locks::new(signing, window, session).unwrap();
        for (locks, longer) in [
            (usual, false),
            (with(Some(60), Some(15), true), false),
            (with(Some(60), Some(5), true), false),
            (with(None, Some(16), true), true),
            (with(None, None, true), true),
            (with(None, Some(15), false), true),
        ] {
            assert_eq!(locks.keeps_open_longer_than(usual), longer, "{locks:?}");
        }
        let strict = with(Some(5), Some(5), true);
        assert!(usual.keeps_open_longer_than(strict));
        assert!(with(Some(6), Some(5), true).keeps_open_longer_than(strict));
    }

    #[test]
    fn minutes_have_bounds() {
        for minutes in [0, MINUTES_MAX + 1, u32::MAX] {
            assert!(Locks::new(Some(minutes), None, true).is_err());
            assert!(Locks::new(None, Some(minutes), true).is_err());
        }
        assert!(Locks::new(Some(1), Some(MINUTES_MAX), true).is_ok());
    }

    /// A desk on its books alone, with its vault open.
    async fn open_desk(folder: &std::path::Path) -> Desk {
        let mut options = crate::DeskOptions::new(folder.to_owned());
        options.serve = false;
        options.kdf = Some(crate::KdfCost::FLOOR);
        options.keychain = crate::KeychainChoice::Given(crate::Keychain::in_memory());
        let desk = Desk::open(options).await.unwrap();
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

    #[test]
    fn idleness_counts_down_to_nothing() {
        let locks = Locks { signing_idle_min: Some(1), ..Locks::default() };
        assert_eq!(locks.signing_left(Duration::ZERO), Some(minutes(1)));
        assert_eq!(locks.signing_left(Duration::from_secs(59)), Some(Duration::from_secs(1)));
        assert_eq!(locks.signing_left(minutes(9)), Some(Duration::ZERO));
        assert_eq!(Locks::default().signing_left(minutes(9)), None);
    }
}
