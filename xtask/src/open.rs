//! Opening the app, running the demo, taking pictures.

use crate::{console, process, setup, workspace};
use anyhow::Result;
use std::env;

/// Builds the app and opens it in practice mode; `true` if it ended well.
///
/// # Errors
/// When something is missing that cannot be installed, or a build fails.
pub fn app(arguments: &[String]) -> Result<bool> {
    if !has_display() {
        console::note("There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set).");
        console::note("The demo shows the same desk at work without a window:");
        return demo(false);
    }
    setup::for_window()?;
    let step = console::begin("building imprest-desk and imprest (a first build takes minutes)");
    process::run(process::cargo().args(["build", "-p", "imprest", "-p", "imprest-cli", "--bins"]))?;
    step.done();
    let mut window = process::program(workspace::program("imprest-desk"));
    process::succeeds(window.arg("--practice").args(arguments))
}

/// Builds the command line program and runs its demo; `true` if every step did what it says.
///
/// # Errors
/// When something is missing that cannot be installed, or the build fails.
pub fn demo(json: bool) -> Result<bool> {
    setup::for_demo()?;
    let step = console::begin("building imprest (a first build takes minutes)");
    process::run(process::cargo().args(["build", "-p", "imprest-cli", "--bin", "imprest"]))?;
    step.done();
    let mut demo = process::program(workspace::program("imprest"));
    demo.arg("demo");
    if json {
        demo.arg("--json");
    }
    process::succeeds(&mut demo)
}

/// Writes every screen as a picture to `target/screens`.
///
/// # Errors
/// When Chromium or an npm package is missing, or a picture cannot be taken.
pub fn screens() -> Result<()> {
    setup::for_screens()?;
    let step = console::begin("pictures of every screen");
    process::run(process::npm(&workspace::root().join("ui")).args(["run", "screens"]))?;
    step.done();
    console::note("The pictures are in target/screens.");
    Ok(())
}

/// Builds one of the project's own programs for speed and hands it its arguments; `true` if it
/// ended well.
///
/// # Errors
/// When something is missing that cannot be installed, or the build fails.
pub fn program(package: &str, arguments: &[String]) -> Result<bool> {
    setup::for_demo()?;
    let step = console::begin(format!("building {package} (a first build takes many minutes)"));
    process::run(process::cargo().args(["build", "--release", "-p", package, "--bins"]))?;
    step.done();
    let built = workspace::target().join("release").join(package);
    process::succeeds(process::program(built).args(arguments))
}

fn has_display() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
