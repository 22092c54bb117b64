//! The main job in a throwaway practice desk, told step by step with figures that are read back
//! from the chain and the books. A step that is told has been checked.

mod chain;
mod story;
mod tell;

use crate::args::DemoArgs;
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::Screen;
use crate::serve::told_to_stop;
use imprest_desk::{Desk, DeskOptions, KdfCost, KeychainChoice};
use std::path::{Path, PathBuf};
use std::time::Instant;
use story::Story;
use tell::{Teller, Waiting};

/// `imprest demo`.
///
/// # Errors
/// [`Fault::Demo`] for a step that did not do what it says, and what the desk says when the
/// practice network does not start.
pub async fn demo(context: &Context, args: &DemoArgs) -> Result<End, Fault> {
    let started = Instant::now();
    let stopped = told_to_stop()?;
    tokio::pin!(stopped);
    let csv = csv_path(args)?;
    let folder = tempfile::Builder::new().prefix("imprest-demo-").tempdir().map_err(no_folder)?;
    let waiting = Waiting::begin("starting the practice network: a chain, genuine USDC, a shop");
    let desk = tokio::select! {
        desk = open(folder.path()) => desk,
        () = &mut stopped => Err(Fault::Stopped),
    };
    waiting.end();
    let desk = desk?;
    let told = tokio::select! {
        told = tell_all(context.screen, &desk, csv, started) => told,
        () = &mut stopped => Err(Fault::Stopped),
    };
    desk.close().await;
    told.map(|()| End::Done)
}

async fn open(folder: &Path) -> Result<Desk, Fault> {
    let mut options = DeskOptions::new(folder.join("desk"));
    options.keychain = KeychainChoice::None;
    // It guards practice money for a minute: the least that a real vault would use.
    options.kdf = Some(KdfCost::FLOOR);
    Ok(Desk::open(options).await?)
}

async fn tell_all(
    screen: Screen,
    desk: &Desk,
    csv: Option<PathBuf>,
    started: Instant,
) -> Result<(), Fault> {
    let mut teller = Teller::new(screen, started);
    teller.opening()?;
    let story = Story::begin(desk.clone(), csv).await?;
    story.tell(&mut teller).await?;
    teller.ending()
}

/// The file named for the CSV, made absolute.
fn csv_path(args: &DemoArgs) -> Result<Option<PathBuf>, Fault> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|source| Fault::File {
            what: format!("The path {} cannot be used", path.display()),
            source,
        })
    };
    args.out.as_ref().map(absolute).transpose()
}

fn no_folder(source: std::io::Error) -> Fault {
    Fault::File { what: "A temporary folder cannot be made".into(), source }
}
