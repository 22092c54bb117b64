//! Whether the books can be trusted: the vault's seal under them, the copy of their head in the
//! keychain, and what stops all signing for as long as this desk runs.

use crate::desk::{Desk, Inner};
use crate::problem::ErrorCode;
use crate::restored::{FROM_A_BACKUP, Reading};
use crate::view::Problem;
use imprest_domain::{AgentId, Danger, SignalKind, Subject};
use imprest_ledger::{Alarm, HeadCopy, LedgerError, Restored};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// The keychain entry of the copy.
const COPY_ENTRY: &str = "ledger-head";
/// How long after a change the copy is renewed; together with the keychain's own time that stays
/// under two seconds.
const COPY_AFTER: Duration = Duration::from_secs(1);
/// How old the last look at the chain may be before nothing is paid.
const STALE: Duration = Duration::from_secs(60);

/// Why nothing is signed when the log is not the one that the copy is of.
pub(crate) const ROLLED_BACK: &str =
    "the ledger is not the one whose end was copied to the keychain";
/// Why nothing is signed when the seal does not fit.
pub(crate) const FORGED: &str = "the ledger is not the one the vault sealed";
/// Why nothing is signed when the books do not add up.
pub(crate) const CONTRADICTS: &str = "the books contradict themselves";
/// Why nothing is signed while nobody knows yet.
const PROVING: &str = "the books are still being proven";
const STALE_WHY: &str = "the chain has not answered for a while";
const UNCONFIRMED: &str = "the asset’s contract has not been confirmed on the chain yet";

/// What is known of the copy of the log's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Copied {
    /// Nobody has looked.
    #[default]
    Unseen,
    /// The keychain does not answer, or there is none.
    Unreadable,
    /// There is none yet: the first is written once the vault has sealed the log.
    Missing,
    /// The log goes on from it.
    Agrees,
    /// The log does not. It stays as it is until the owner has acknowledged that.
    Differs,
}

/// What this process knows of the books' soundness.
#[derive(Default)]
pub(crate) struct Trust {
    /// Why nothing is signed until the desk starts again.
    broken: RwLock<Option<&'static str>>,
    /// Whether the whole proof is still under way in the background.
    pub(crate) proving: AtomicBool,
    /// How far the books are, if they came out of a backup and nobody has thawed the desk since.
    restored: RwLock<Option<Restored>>,
    /// How far the chain was read for them in this run. What is remembered of that in a file could
    /// be changed there, so a restart begins anew.
    pub(crate) reading: Mutex<Option<Reading>>,
    /// Whether the vault has sealed the log in this run.
    sealed: AtomicBool,
    copied: RwLock<Copied>,
    /// The number of the last event that was copied; one copy is written at a time.
    written: Mutex<u64>,
}

impl Trust {
    /// Of books that were put back from a backup, if they were.
    pub(crate) fn of(restored: Option<Restored>) -> Trust {
        Trust { restored: RwLock::new(restored), ..Trust::default() }
    }

    /// How far the books are, if they came out of a backup and nobody has thawed the desk since.
    pub(crate) fn restored(&self) -> Option<Restored> {
        *self.restored.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Trust::restored`], while the chain may know of something that the books do not.
    pub(crate) fn unreconciled(&self) -> Option<Restored> {
        self.restored().filter(Restored::is_pending)
    }

    /// The books are further now.
    pub(crate) fn note_restored(&self, restored: Option<Restored>) {
        *self.restored.write().unwrap_or_else(PoisonError::into_inner) = restored;
    }

    fn copied(&self) -> Copied {
        *self.copied.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_copied(&self, state: Copied) {
        *self.copied.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Why nothing is signed until the desk starts again, if so.
    pub(crate) fn broken(&self) -> Option<&'static str> {
        *self.broken.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// One sentence when no copy is kept.
    pub(crate) fn copy_note(&self) -> Option<&'static str> {
        match self.copied() {
            Copied::Unreadable => Some(
                "No copy of the ledger’s end can be kept in the system keychain, so an older ledger put in its place would not be noticed.",
            ),
            Copied::Missing if !self.sealed.load(Ordering::Relaxed) => Some(
                "No copy of the ledger’s end is in the system keychain yet. It is made when the vault is unlocked.",
            ),
            _ => None,
        }
    }
}

/// How suspicious the world looks, read once for a list of agents.
pub(crate) struct Mood {
    /// What holds for everyone.
    all: Danger,
    by_subject: BTreeMap<Subject, Danger>,
}

impl Mood {
    /// How suspicious the world looks to one agent's payments, whoever is paid.
    pub(crate) fn towards(&self, agent: &AgentId) -> Danger {
        let own = self.by_subject.get(&Subject::Agent { agent: agent.clone() });
        own.copied().unwrap_or_default().max(self.all)
    }
}

impl Inner {
    /// What only this process knows: books that cannot be trusted, a chain that does not answer.
    pub(crate) fn alarm(&self) -> Alarm {
        // Nothing is paid after a sleep before somebody has unlocked.
        self.lock_if_slept();
        let halted = |why| Alarm { danger: Danger::Halted, why: Some(why) };
        if let Some(why) = self.trust.broken() {
            halted(why)
        } else if self.trust.proving.load(Ordering::Relaxed) {
            halted(PROVING)
        } else if self.trust.unreconciled().is_some() {
            halted(FROM_A_BACKUP)
        } else if self.serves && !self.confirmed.load(Ordering::Relaxed) {
            halted(UNCONFIRMED)
        } else if self.serves && self.looked_ago() > STALE {
            halted(STALE_WHY)
        } else {
            Alarm::default()
        }
    }

    /// Stops all signing for as long as this desk runs.
    pub(crate) fn break_off(&self, why: &'static str) {
        {
            let mut broken = self.trust.broken.write().unwrap_or_else(PoisonError::into_inner);
            // The first reason is the one to look into.
            broken.get_or_insert(why);
        }
        if let Some(vault) = self.vault() {
            vault.halt();
        }
        self.changed(&["status", "overview", "agents"]);
    }

    /// Nothing that gives authority is written into books that cannot be trusted.
    pub(crate) fn need_sound_books(&self) -> Result<(), Problem> {
        let Some(why) = self.trust.broken() else { return Ok(()) };
        Err(Problem::new(
            ErrorCode::Disk,
            format!("Nothing that gives authority is done as long as {why}."),
            "See `imprest verify` and `imprest signals`, put the books in order, and start the desk again.",
        ))
    }

    /// What every payment here is exposed to, whoever asks and whoever is paid.
    fn everyones_subjects(&self) -> [Subject; 2] {
        let asset = self.asset.id;
        [Subject::Network { chain_id: asset.chain_id }, Subject::Token { asset }]
    }

    /// How suspicious the world looks, for a list of agents.
    pub(crate) async fn mood(&self) -> Mood {
        let alarm = self.alarm().danger;
        // A writer that has stopped can hold nothing, so nothing is paid.
        let Ok(by_subject) = self.ledger.dangers().await else {
            return Mood { all: Danger::Halted, by_subject: BTreeMap::new() };
        };
        let clock = match self.ledger.clock_behind() {
            Some(_) => SignalKind::ClockBehind.level(),
            None => Danger::Calm,
        };
        let of = |subject: &Subject| by_subject.get(subject).copied().unwrap_or_default();
        let shared = self.everyones_subjects().iter().map(of).max().unwrap_or_default();
        Mood { all: alarm.max(clock).max(shared).max(of(&Subject::Desk)), by_subject }
    }

    /// How suspicious the world looks to one agent's payments, or to all of them, and why.
    pub(crate) async fn danger_and_why(&self, agent: Option<&AgentId>) -> (Danger, Option<String>) {
        let alarm = self.alarm();
        let mut worst = (alarm.danger, alarm.why.map(str::to_owned));
        let own = agent.map(|agent| Subject::Agent { agent: agent.clone() });
        for subject in self.everyones_subjects().into_iter().chain(own) {
            match self.ledger.danger_of(subject).await {
                Ok(found) if found.0 > worst.0 => worst = found,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the books’ danger could not be read");
                    return (Danger::Halted, Some("the books cannot be written".into()));
                }
            }
        }
        worst
    }
}

impl Desk {
    /// The copy of the log's end, as the keychain has it.
    pub(crate) async fn head_copy(&self) -> Option<HeadCopy> {
        let kept = self.inner.keychain().load(COPY_ENTRY).await.ok().flatten()?;
        kept.parse().ok()
    }

    /// Compares the log with the copy of its end, and answers that. A log that is not the one it
    /// was is said, now and in every later run until the owner has acknowledged it, and nothing is
    /// signed.
    pub(crate) async fn check_copy(&self) -> Option<HeadCopy> {
        let inner = &self.inner;
        let (state, copy) = match inner.keychain().load(COPY_ENTRY).await {
            Err(_) => (Copied::Unreadable, None),
            Ok(None) => (Copied::Missing, None),
            Ok(Some(text)) => match text.parse::<HeadCopy>() {
                Ok(copy) => (self.compare_copy(copy).await, Some(copy)),
                Err(_) => {
                    let detail = "the copy of the ledger’s end in the keychain cannot be read";
                    (self.rolled_back(detail).await, None)
                }
            },
        };
        inner.trust.note_copied(state);
        copy
    }

    async fn compare_copy(&self, copy: HeadCopy) -> Copied {
        match self.inner.ledger.compare_copy(copy).await {
            Ok(None) => Copied::Agrees,
            Ok(Some(found)) => {
                tracing::error!(found, "the ledger is not the one that was copied");
                // In words that stay the same while the log goes on, so that it is said once.
                let seq = copy.seq;
                let detail = format!(
                    "the ledger is another than the one whose event {seq} was copied to the keychain"
                );
                self.rolled_back(&detail).await
            }
            Err(error) => {
                tracing::error!(%error, "the ledger could not be compared with its copy");
                self.inner.break_off(CONTRADICTS);
                Copied::Differs
            }
        }
    }

    async fn rolled_back(&self, detail: &str) -> Copied {
        let ledger = &self.inner.ledger;
        let said =
            ledger.raise_signal(SignalKind::RolledBack, Subject::Desk, detail.to_owned()).await;
        if let Err(error) = said {
            tracing::error!(%error, "a signal could not be written down");
        }
        self.inner.break_off(ROLLED_BACK);
        Copied::Differs
    }

    /// Lets the vault seal the log from here on, if the log is the one it sealed before.
    pub(crate) async fn open_seal(&self) {
        let inner = &self.inner;
        let Some(Ok(key)) = inner.vault().map(|vault| vault.seal_key()) else { return };
        self.check_copy().await;
        // A copy is only ever made of a log that had been sealed.
        let expected = matches!(inner.trust.copied(), Copied::Agrees | Copied::Differs);
        match inner.ledger.open_seal(key, expected).await {
            Ok(()) => {
                inner.trust.sealed.store(true, Ordering::Relaxed);
                self.write_copy().await;
            }
            Err(error) => {
                tracing::error!(%error, "the ledger’s seal is not in order; nothing is signed");
                match error {
                    LedgerError::Forged { what } => {
                        let detail = format!("the ledger is not the one the vault sealed: {what}");
                        self.books_broken(detail, FORGED).await;
                    }
                    other => self.books_broken(other.to_string(), CONTRADICTS).await,
                }
            }
        }
    }

    /// Stops all signing because of what is wrong with the books, and writes down that it was,
    /// unless something was wrong before: that is what the owner has to look into.
    pub(crate) async fn books_broken(&self, detail: String, why: &'static str) {
        if self.inner.trust.broken().is_some() {
            return;
        }
        self.inner.break_off(why);
        let ledger = &self.inner.ledger;
        if let Err(error) =
            ledger.raise_signal(SignalKind::BooksBroken, Subject::Desk, detail).await
        {
            tracing::error!(%error, "a signal could not be written down");
        }
    }

    /// The owner has seen what is wrong and says that these are the books: the vault seals them
    /// as they are. Whether they add up is proven at the next start as at every other.
    pub(crate) async fn adopt_log(&self) -> Result<(), Problem> {
        let inner = &self.inner;
        if inner.trust.sealed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = inner.need_vault()?.seal_key().map_err(Problem::from)?;
        inner.ledger.adopt(key).await?;
        inner.trust.sealed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the vault's key away from the log, and copies what was written.
    pub(crate) async fn close_seal(&self) {
        let inner = &self.inner;
        if inner.trust.copied() == Copied::Unseen && inner.ledger.head().seq != inner.opened_seq {
            // Written on the books alone: a freeze must not be undone by an older file either.
            self.check_copy().await;
        }
        if let Err(error) = self.inner.ledger.close_seal().await {
            tracing::debug!(%error, "the writer holds no key any more");
        }
        self.write_copy().await;
    }

    /// The owner has seen that the log is another one: it is the one from here on.
    pub(crate) async fn accept_log(&self) {
        self.inner.trust.note_copied(Copied::Agrees);
        self.write_copy().await;
    }

    /// Copies the log's end to the keychain, if it may stand for this log.
    pub(crate) async fn write_copy(&self) {
        let trust = &self.inner.trust;
        let mut written = trust.written.lock().await;
        let may = match trust.copied() {
            Copied::Agrees => true,
            Copied::Missing => trust.sealed.load(Ordering::Relaxed),
            // A keychain that refused once may ask its owner each time; once a run is enough.
            Copied::Unseen | Copied::Unreadable | Copied::Differs => false,
        };
        let head = self.inner.ledger.head();
        if !may || head.seq == *written || head.seq == 0 {
            return;
        }
        let copy = HeadCopy::from(head).to_string();
        match self.inner.keychain().store(COPY_ENTRY, &copy).await {
            Ok(()) => {
                *written = head.seq;
                trust.note_copied(Copied::Agrees);
            }
            Err(error) => {
                tracing::warn!(%error, "the end of the ledger could not be copied to the keychain");
                trust.note_copied(Copied::Unreadable);
                self.inner.changed(&["status"]);
            }
        }
    }
}

/// Renews the copy soon after every change, until the desk closes, which copies once more.
pub(crate) async fn keep_copy(desk: Desk) {
    let mut commits = desk.inner.ledger.watch();
    loop {
        let wait = async {
            let changed = commits.changed().await.is_ok();
            tokio::time::sleep(COPY_AFTER).await;
            changed
        };
        tokio::select! {
            () = desk.inner.closing.cancelled() => return,
            changed = wait => if !changed { return },
        }
        commits.borrow_and_update();
        desk.write_copy().await;
    }
}
