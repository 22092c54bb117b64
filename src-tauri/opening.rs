//! The desk while it opens: commands wait for it, and a failed opening can be tried again.

use imprest_desk::view::Problem;
use imprest_desk::{Desk, DeskOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A failure younger than this is answered as it is: a window that asks five things at once
/// must not open the desk five times.
const RETRY_AFTER: Duration = Duration::from_millis(1_000);
/// How long leaving waits for the desk to put everything away.
const CLOSING: Duration = Duration::from_secs(10);

#[derive(Clone)]
enum Opening {
    Pending,
    Ready(Desk),
    Failed { problem: Problem, at: Instant },
}

/// The place where the one desk of this process is, or will be.
#[derive(Clone)]
pub struct DeskSlot(Arc<Inner>);

struct Inner {
    data_dir: PathBuf,
    opening: watch::Sender<Opening>,
}

impl DeskSlot {
    /// Starts opening the desk of a data folder in the background.
    pub fn open(data_dir: PathBuf) -> Self {
        let slot =
            Self(Arc::new(Inner { data_dir, opening: watch::Sender::new(Opening::Pending) }));
        slot.start();
        slot
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.0.data_dir
    }

    /// The desk, once it is open.
    ///
    /// # Errors
    /// The problem that kept it from opening. Asking again after a second tries again.
    pub async fn desk(&self) -> Result<Desk, Problem> {
        self.retry();
        match self.when(|opening| !matches!(opening, Opening::Pending)).await {
            Some(Opening::Ready(desk)) => Ok(desk),
            Some(Opening::Failed { problem, .. }) => Err(problem),
            Some(Opening::Pending) | None => Err(broken("The desk is closing.")),
        }
    }

    /// The desk, however many attempts that takes.
    pub async fn opened(&self) -> Option<Desk> {
        match self.when(|opening| matches!(opening, Opening::Ready(_))).await {
            Some(Opening::Ready(desk)) => Some(desk),
            _ => None,
        }
    }

    /// Closes the desk if it is open or about to be; waits ten seconds at most.
    pub async fn close(&self) {
        let closing = async {
            let settled = self.when(|opening| !matches!(opening, Opening::Pending)).await;
            if let Some(Opening::Ready(desk)) = settled {
                desk.close().await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("the desk did not close within {} s; leaving anyway", CLOSING.as_secs());
        }
    }

    /// Waits for a state, and copies it so that nothing stays locked.
    async fn when(&self, reached: impl FnMut(&Opening) -> bool) -> Option<Opening> {
        let mut seen = self.0.opening.subscribe();
        seen.wait_for(reached).await.ok().map(|opening| opening.clone())
    }

    fn retry(&self) {
        let starts = self.0.opening.send_if_modified(|opening| match opening {
            Opening::Failed { at, .. } if at.elapsed() >= RETRY_AFTER => {
                *opening = Opening::Pending;
                true
            }
            _ => false,
        });
        if starts {
            self.start();
        }
    }

    fn start(&self) {
        let slot = self.clone();
        tauri::async_runtime::spawn(async move {
            let options = DeskOptions::new(slot.0.data_dir.clone());
            let started = Instant::now();
            // A task of its own, so that a panic while opening is an answer and not a window
            // that waits for ever.
            let opening = match tokio::spawn(Desk::open(options)).await {
                Ok(Ok(desk)) => {
                    tracing::info!(after_ms = started.elapsed().as_millis(), "the desk is open");
                    Opening::Ready(desk)
                }
                Ok(Err(problem)) => {
                    tracing::error!(code = problem.code, "{}", problem.message);
                    Opening::Failed { problem, at: Instant::now() }
                }
                Err(error) => {
                    tracing::error!(%error, "opening the desk broke off");
                    let problem = broken("The desk broke off while it was opening.");
                    Opening::Failed { problem, at: Instant::now() }
                }
            };
            slot.0.opening.send_replace(opening);
        });
    }
}

fn broken(message: &str) -> Problem {
    Problem {
        code: "internal".into(),
        message: message.into(),
        recovery: "Quit Imprest and start it again; nothing is signed meanwhile.".into(),
    }
}
