//! Holds table, handlers, permissions, capability, content policy and TypeScript client together.
//!
//! `IMPREST_WRITE_BINDINGS=1 cargo test -p imprest --lib` writes the permissions anew.

use crate::ipc::{CHANGED, SHELL_COMMANDS, TABLE, WITHHELD};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CORE: &[&str] = &[
    // The one event, and zooming by keyboard.
    "core:event:allow-listen",
    "core:event:allow-unlisten",
    "core:webview:allow-set-webview-zoom",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionFile {
    permission: Vec<Permission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    identifier: String,
    description: String,
    commands: Allowed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    allow: Vec<String>,
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(root().join(folder)).expect(folder);
    listed.map(|entry| entry.expect("a readable entry").path()).collect()
}

fn permissions() -> Vec<Permission> {
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("a readable file");
    let parse = |text: String| toml::from_str::<PermissionFile>(&text).expect("a permission file");
    files_in("src-tauri/permissions")
        .into_iter()
        .map(read)
        .flat_map(|t| parse(t).permission)
        .collect()
}

fn allow(command: &str) -> String {
    format!("allow-{}", command.replace('_', "-"))
}

fn commands() -> BTreeSet<&'static str> {
    TABLE.iter().map(|(name, _)| *name).chain(SHELL_COMMANDS.iter().copied()).collect()
}

/// The permissions of the table's commands, as the file has them.
fn table_permissions() -> String {
    let mut text = String::from("# Generated from the desk's command table. Do not edit.\n");
    for (name, description) in TABLE {
        let (id, description) = (allow(name), description.trim());
        text += &format!(
            "\n[[permission]]\nidentifier = \"{id}\"\ndescription = {description:?}\n\
             commands.allow = [\"{name}\"]\n"
        );
    }
    text
}

#[test]
fn the_permissions_are_those_of_the_table() {
    let path = root().join("src-tauri/permissions/desk.toml");
    if std::env::var_os("IMPREST_WRITE_BINDINGS").is_some() {
        std::fs::write(&path, table_permissions()).expect("a writable source tree");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, table_permissions(), "run again with IMPREST_WRITE_BINDINGS=1");
}

#[test]
fn each_command_has_one_permission_and_each_permission_one_command() {
    let mut permitted = BTreeSet::new();
    for permission in permissions() {
        let [command] = &permission.commands.allow[..] else {
            panic!("{} allows not one command", permission.identifier);
        };
        assert_eq!(permission.identifier, allow(command));
        assert!(!permission.description.is_empty(), "{command} is not described");
        assert!(commands().contains(command.as_str()), "{command} does not exist");
        assert!(permitted.insert(command.clone()), "{command} is permitted twice");
    }
    let permitted: BTreeSet<_> = permitted.iter().map(String::as_str).collect();
    assert_eq!(permitted, commands());
}

#[test]
fn only_the_main_window_on_this_machine_may_ask() {
    let files = files_in("src-tauri/capabilities");
    assert_eq!(files, [root().join("src-tauri/capabilities/main.json")]);
    let capability: serde_json::Value =
        serde_json::from_str(&read("src-tauri/capabilities/main.json")).expect("a capability");
    assert_eq!(capability["identifier"], "main");
    assert_eq!(capability["windows"], serde_json::json!([crate::windows::MAIN]));
    assert_eq!(capability["local"], true);
    for absent in ["remote", "webviews", "platforms"] {
        assert!(capability.get(absent).is_none(), "{absent} is set");
    }
    let given: Vec<&str> = serde_json::from_value::<Vec<String>>(capability["permissions"].clone())
        .expect("a plain list, without scopes")
        .leak()
        .iter()
        .map(String::as_str)
        .collect();
    let expected: BTreeSet<String> = commands()
        .into_iter()
        .filter(|name| !WITHHELD.contains(name))
        .map(allow)
        .chain(CORE.iter().map(|id| (*id).to_owned()))
        .collect();
    assert_eq!(given.len(), expected.len(), "something is given twice");
    assert_eq!(given.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_typescript_client_knows_the_same_commands() {
    let client = read("ui/src/lib/host/generated/commands.ts");
    let known: Vec<&str> = client
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(": { args: ").map(|(name, _)| name))
        .collect();
    assert_eq!(known, TABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let host = read("ui/src/lib/host/tauri.ts");
    for name in SHELL_COMMANDS {
        assert!(host.contains(&format!("invoke('{name}'")), "the window never asks for {name}");
    }
    assert!(host.contains(&format!("listen<Changed>('{CHANGED}'")), "the window never listens");
    for name in WITHHELD {
        assert!(!host.contains(&format!("'{name}'")), "{name} is not for the window");
    }
}

#[test]
fn the_content_policy_lets_nothing_in() {
    let config: serde_json::Value =
        serde_json::from_str(&read("tauri.conf.json")).expect("a configuration");
    let app = &config["app"];
    assert_eq!(app["withGlobalTauri"], false);
    assert_eq!(app["windows"], serde_json::json!([]), "windows are made in windows.rs");
    let security = app["security"].as_object().expect("security settings");
    assert_eq!(security.keys().collect::<Vec<_>>(), ["capabilities", "csp"]);
    assert_eq!(security["capabilities"], serde_json::json!(["main"]));
    let expected = serde_json::json!({
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "ipc: http://ipc.localhost",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    });
    assert_eq!(security["csp"], expected);
}

#[test]
fn the_page_fits_the_content_policy() {
    let page = read("ui/index.html");
    for inline in ["<style", " style=", " onload=", "javascript:", "http:", "https:"] {
        assert!(!page.contains(inline), "index.html has {inline}");
    }
}
