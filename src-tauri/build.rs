//! Checks the shell's configuration and permissions, and embeds the window.

use std::path::Path;
use tauri_build::{AppManifest, Attributes};

/// Everything here is embedded, so a change to it must build the shell again.
const EMBEDDED: &[&str] =
    &["src-tauri/permissions", "src-tauri/capabilities", "assets/icons", "ui/dist"];

fn main() {
    for path in EMBEDDED {
        println!("cargo:rerun-if-changed={path}");
    }
    let embeds_window = std::env::var_os("CARGO_FEATURE_CUSTOM_PROTOCOL").is_some();
    if embeds_window && !Path::new("ui/dist/index.html").exists() {
        fail("ui/dist is missing: run `npm ci` and `npm run build` in ui/ first");
    }
    let permissions = AppManifest::new().permissions_path_pattern("./src-tauri/permissions/*.toml");
    let attributes = Attributes::new()
        .capabilities_path_pattern("./src-tauri/capabilities/*.json")
        .app_manifest(permissions);
    if let Err(error) = tauri_build::try_build(attributes) {
        fail(&format!("{error:#}"));
    }
}

fn fail(what: &str) -> ! {
    eprintln!("{what}");
    std::process::exit(1)
}
