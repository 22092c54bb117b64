//! What each command needs before it can start; only what is missing is done.

use crate::{apt, console, kits};
use anyhow::Result;
use std::time::Instant;

/// Prepares for everything: building, running and testing.
///
/// # Errors
/// When a part cannot be installed; the message says which and what the installer said.
pub fn everything() -> Result<()> {
    let began = Instant::now();
    apt::for_building()?;
    apt::for_testing()?;
    for folder in ["assets/practice", "ui", "tests", "tests/v1", "tests/mcp"] {
        kits::npm_packages(folder)?;
    }
    kits::web_ui()?;
    kits::tauri_driver()?;
    kits::schemathesis()?;
    console::note(format!("Set up ({}).", console::elapsed(began.elapsed())));
    Ok(())
}

/// Prepares for building and running the window.
///
/// # Errors
/// As [`everything`].
pub fn for_window() -> Result<()> {
    apt::for_building()?;
    kits::npm_packages("assets/practice")?;
    kits::npm_packages("ui")?;
    kits::web_ui()
}

/// Prepares for the demo, which needs no window.
///
/// # Errors
/// As [`everything`].
pub fn for_demo() -> Result<()> {
    kits::npm_packages("assets/practice")
}

/// Prepares for taking pictures of the screens.
///
/// # Errors
/// As [`everything`].
pub fn for_screens() -> Result<()> {
    apt::for_testing()?;
    kits::npm_packages("ui")
}
