//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    // xtask/ sits directly under the root, and always has a parent.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` if set, else `target` under the root.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        // A relative folder is meant from where the person stands.
        Some(dir) => env::current_dir().unwrap_or_else(|_| root()).join(dir),
        None => root().join("target"),
    }
}

/// The folder of the built programs `imprest` and `imprest-desk`.
pub fn programs() -> PathBuf {
    target().join("debug")
}

/// One built program, with the platform's ending.
pub fn program(name: &str) -> PathBuf {
    programs().join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// The WebDriver server for the window tests.
pub fn tauri_driver() -> PathBuf {
    target().join("tools/bin").join(format!("tauri-driver{}", env::consts::EXE_SUFFIX))
}

/// What calls the API as its description says.
pub fn schemathesis() -> PathBuf {
    let inside = if cfg!(windows) { "Scripts/st.exe" } else { "bin/st" };
    target().join("tools/schemathesis").join(inside)
}
