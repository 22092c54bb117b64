//! The desk without a window: opened, announced in one line, and closed in order when told to.

use crate::args::{PRACTICE, ServeArgs};
use crate::fault::{End, Fault};
use crate::link::{Context, unlock};
use crate::passphrase::Source;
use crate::screen::note;
use imprest_desk::{Desk, DeskOptions};
use serde::Serialize;
use std::future::Future;
use std::io;

/// How often the passphrase may be typed before the desk gives up.
const TRIES: usize = 3;

/// `imprest serve`.
///
/// # Errors
/// What the desk says: a folder in use, a port that is taken, a wrong passphrase on standard input.
pub async fn serve(context: &Context, args: &ServeArgs) -> Result<End, Fault> {
    // Before anything starts, so that no signal is missed meanwhile.
    let stopped = told_to_stop()?;
    tokio::pin!(stopped);
    let mut options = DeskOptions::new(context.folder.clone());
    options.network = args.practice.then(|| PRACTICE.to_owned());
    options.listen = args.listen;
    let desk = tokio::select! {
        desk = Desk::open(options) => desk?,
        () = &mut stopped => return Err(Fault::Stopped),
    };
    let ready = async {
        open_vault(context, &desk).await?;
        context.screen.document(&Ready::of(&desk))
    };
    let outcome = tokio::select! {
        ready = ready => ready,
        () = &mut stopped => {
            desk.close().await;
            return Ok(End::Done);
        }
    };
    if outcome.is_ok() {
        stopped.await;
    }
    desk.close().await;
    outcome.map(|()| End::Done)
}

/// Unlocks the vault if there is anything to unlock it with.
async fn open_vault(context: &Context, desk: &Desk) -> Result<(), Fault> {
    let stage = desk.status().await?.stage;
    if stage == "open" {
        // The owner has chosen that the keychain alone opens it.
        return Ok(());
    }
    if stage == "new" {
        note("This desk has no vault yet, so it cannot pay.");
        note("Make one while it runs: imprest init, with the same data folder.");
        return Ok(());
    }
    match context.passphrase {
        Source::Stdin => unlock(desk, &context.passphrase.ask()?).await,
        Source::Terminal => {
            for tries_left in (0..TRIES).rev() {
                match unlock(desk, &context.passphrase.ask()?).await {
                    Ok(()) => return Ok(()),
                    Err(fault) if tries_left == 0 || fault.code() != "wrong_passphrase" => {
                        return Err(fault);
                    }
                    Err(fault) => note(&fault.to_string()),
                }
            }
            Ok(())
        }
        Source::None => {
            note("The desk is locked: reading works, and paying does not.");
            note("Unlock it with `imprest unlock`, or start it with --passphrase-stdin.");
            Ok(())
        }
    }
}

/// The one line that says where everything is; its names are part of the interface.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    url: Option<String>,
    mcp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    practice: Option<ReadyPractice>,
}

/// The practice network's part of it.
#[derive(Debug, Serialize)]
struct ReadyPractice {
    rpc: String,
    shop: String,
    usdc: String,
    chain_id: u64,
}

impl Ready {
    fn of(desk: &Desk) -> Ready {
        let endpoints = desk.endpoints();
        // Origins, so that a path can simply be put behind them.
        let origin = |url: String| url.trim_end_matches('/').to_owned();
        Ready {
            ready: true,
            url: endpoints.http_url,
            mcp: endpoints.mcp_url,
            practice: endpoints.practice.map(|practice| ReadyPractice {
                rpc: origin(practice.rpc),
                shop: origin(practice.shop),
                usdc: practice.usdc,
                chain_id: practice.chain_id,
            }),
        }
    }
}

/// Ends when the person or the system says so: Ctrl-C, SIGTERM, or a terminal that is closed.
///
/// # Errors
/// [`Fault::File`] when the system lets nobody listen for signals.
pub fn told_to_stop() -> Result<impl Future<Output = ()>, Fault> {
    let deaf = |source: io::Error| Fault::File { what: "Signals cannot be heard".into(), source };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(deaf)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(deaf)?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
