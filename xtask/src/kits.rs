//! npm packages, the built web UI, the WebDriver server and the caller of the API.

use crate::{console, process, stamp, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;

/// The oldest Node.js that all packages run on.
const NODE_AT_LEAST: (u32, u32) = (20, 19);

/// The WebDriver server in use. It belongs to the same generation as the `tauri` crate.
const TAURI_DRIVER: &str = "2.1.0";

/// Installs the npm packages of one folder from its lock file, unless that has been done.
///
/// No package's own install script is run.
///
/// # Errors
/// When Node.js is missing or too old, or npm fails.
pub fn npm_packages(folder: &str) -> Result<()> {
    let folder_path = workspace::root().join(folder);
    let lock = stamp::of_file(&folder_path.join("package-lock.json"))?;
    let mark = folder_path.join("node_modules/.imprest-lock");
    if stamp::is(&mark, &lock) {
        return Ok(());
    }
    node()?;
    let step = console::begin(format!("npm packages of {folder}"));
    process::run_quietly(process::npm(&folder_path).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]))?;
    stamp::write(&mark, &lock)?;
    step.done();
    Ok(())
}

/// Builds the web UI into `ui/dist`, unless it has been built from the same sources.
///
/// # Errors
/// When the build fails.
pub fn web_ui() -> Result<()> {
    let sources = ui_sources()?;
    let built = workspace::root().join("ui/dist");
    let mark = built.join(".imprest-sources");
    if stamp::is(&mark, &sources) && built.join("index.html").exists() {
        return Ok(());
    }
    let step = console::begin("web UI");
    let ui = workspace::root().join("ui");
    process::run_quietly(process::npm(&ui).args(["run", "build"]))?;
    // The build empties the folder, so an old mark never outlives what it was for.
    stamp::write(&mark, &sources)?;
    step.done();
    Ok(())
}

fn ui_sources() -> Result<String> {
    let left_out = ["node_modules", "dist", "dist-standin", "test-results", "coverage"];
    stamp::of_folder(&workspace::root().join("ui"), &left_out)
}

/// Installs the WebDriver server under `target/tools`, unless that version is there.
///
/// # Errors
/// When cargo cannot install it.
pub fn tauri_driver() -> Result<()> {
    if cfg!(target_os = "macos") {
        // WebKit on macOS has no WebDriver for embedded views.
        return Ok(());
    }
    let tools: PathBuf = workspace::target().join("tools");
    let installed = fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    if workspace::tauri_driver().exists()
        && installed.contains(&format!("\"tauri-driver {TAURI_DRIVER} "))
    {
        return Ok(());
    }
    let step = console::begin(format!("tauri-driver {TAURI_DRIVER}, for the tests of the window"));
    let install = ["install", "tauri-driver", "--locked", "--version", TAURI_DRIVER, "--root"];
    // Outside of the workspace, so that its own lock file and profiles apply.
    process::run_quietly(
        process::cargo().args(install).arg(&tools).current_dir(std::env::temp_dir()),
    )?;
    step.done();
    Ok(())
}

/// Installs schemathesis, which calls the desk's API as its description says, into a Python of its own
/// under `target/tools`, unless those versions are there.
///
/// # Errors
/// When Python is missing, or pip fails.
pub fn schemathesis() -> Result<()> {
    let list = workspace::root().join("tests/openapi/requirements.txt");
    let wanted = stamp::of_file(&list)?;
    let folder = workspace::target().join("tools/schemathesis");
    let mark = folder.join(".imprest-requirements");
    if stamp::is(&mark, &wanted) {
        return Ok(());
    }
    let step = console::begin("schemathesis, for the tests of the HTTP API");
    let python = if cfg!(windows) { "python" } else { "python3" };
    process::run_quietly(process::program(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let own = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    // Wheels only: nothing that is installed runs code of its own meanwhile.
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"];
    process::run_quietly(
        process::program(folder.join(own)).args(install).arg("--requirement").arg(&list),
    )?;
    stamp::write(&mark, &wanted)?;
    step.done();
    Ok(())
}

fn node() -> Result<()> {
    let version = process::says(process::program("node").arg("--version"))
        .context("Node.js was not found. Please install version 20.19 or newer.")?;
    match parse_version(&version) {
        Some(found) if found >= NODE_AT_LEAST => Ok(()),
        _ => bail!("Node.js {} is too old. Please install 20.19 or newer.", version.trim()),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_by_number() {
        assert_eq!(parse_version("v20.20.2\n"), Some((20, 20)));
        assert!(parse_version("v20.9.0").expect("is a version") < NODE_AT_LEAST);
        assert!(parse_version("v22.1.0").expect("is a version") > NODE_AT_LEAST);
        assert_eq!(parse_version("20"), None);
        assert_eq!(parse_version(""), None);
    }
}
