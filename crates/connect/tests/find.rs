//! Programs are found where they are, on every system, and nowhere else.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, fixtures};
use imprest_connect::{Found, Machine, Os, Plan, Program, Standing, find, found, standing};
use std::fs;
use std::path::PathBuf;

#[test]
fn an_empty_home_has_none() {
    assert_eq!(find(&Home::new().machine), []);
}

#[test]
fn each_is_found_by_its_config() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, bytes);
        assert_eq!(find(&home.machine), [Found { program, file, has_config: true }]);
        let name = "imprest".parse().unwrap();
        assert_eq!(standing(&home.machine, program, &name).unwrap(), Standing::Free);
    }
}

#[test]
fn each_is_found_by_its_folder_without_a_config_yet() {
    let folders = [
        (Program::ClaudeCode, ".claude"),
        (Program::ClaudeDesktop, ".config/Claude"),
        (Program::Codex, ".codex"),
        (Program::Cursor, ".cursor"),
        (Program::VsCode, ".config/Code"),
        (Program::GeminiCli, ".gemini"),
        (Program::OpenCode, ".config/opencode"),
        (Program::Goose, ".config/goose"),
        (Program::Windsurf, ".codeium/windsurf"),
    ];
    for (program, folder) in folders {
        let home = Home::new();
        fs::create_dir_all(home.path(folder)).unwrap();
        let all = find(&home.machine);
        assert_eq!(all.len(), 1, "{program}: {all:?}");
        assert_eq!((all[0].program, all[0].has_config), (program, false));
    }
}

#[test]
#[cfg(unix)]
fn each_is_found_by_its_command_on_the_path() {
    use std::os::unix::fs::PermissionsExt;
    let mut home = Home::new();
    home.machine.path = vec![home.path("nowhere"), home.path("bin")];
    let command = home.put("bin/codex", "#!/bin/sh\n");
    home.put("bin/goose/not-a-command", "");
    assert_eq!(find(&home.machine), [], "it cannot be run yet");
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
    let file = home.path(".codex/config.toml");
    let codex = Found { program: Program::Codex, file, has_config: false };
    assert_eq!(find(&home.machine), [codex]);
}

#[test]
fn variables_move_the_settings() {
    let cases = [
        (Program::ClaudeCode, "CLAUDE_CONFIG_DIR", ".claude.json", ".claude.json"),
        (Program::Codex, "CODEX_HOME", "config.toml", ".codex/config.toml"),
        (Program::GeminiCli, "GEMINI_CLI_HOME", ".gemini/settings.json", ".gemini/settings.json"),
        (Program::Goose, "GOOSE_PATH_ROOT", "config/config.yaml", ".config/goose/config.yaml"),
        (
            Program::OpenCode,
            "XDG_CONFIG_HOME",
            "opencode/opencode.json",
            ".config/opencode/opencode.json",
        ),
        (Program::VsCode, "XDG_CONFIG_HOME", "Code/User/mcp.json", ".config/Code/User/mcp.json"),
    ];
    for (program, variable, there, usual) in cases {
        let mut home = Home::new();
        let usual = home.put(usual, "");
        let moved = home.put(&format!("moved/{there}"), "");
        assert_eq!(found(&home.machine, program).unwrap().file, usual, "{program}");
        let set = |machine: &mut Machine, value: PathBuf| {
            machine.variables.insert(variable.to_owned(), value.into());
        };
        let folder = home.path("moved");
        set(&mut home.machine, folder);
        assert_eq!(found(&home.machine, program).unwrap().file, moved, "{program}");
        set(&mut home.machine, "relative".into());
        assert_eq!(found(&home.machine, program).unwrap().file, usual, "{program}");
    }
}

/// Where settings are made on the other systems, as the programs' documentation has it.
#[test]
fn other_systems_have_other_places() {
    let windows = [
        (Program::ClaudeCode, ".claude.json"),
        (Program::ClaudeDesktop, "AppData/Roaming/Claude/claude_desktop_config.json"),
        (Program::Codex, ".codex/config.toml"),
        (Program::Cursor, ".cursor/mcp.json"),
        (Program::VsCode, "AppData/Roaming/Code/User/mcp.json"),
        (Program::GeminiCli, ".gemini/settings.json"),
        (Program::OpenCode, ".config/opencode/opencode.jsonc"),
        (Program::Goose, "AppData/Roaming/Block/goose/config/config.yaml"),
        (Program::Windsurf, ".codeium/windsurf/mcp_config.json"),
    ];
    let mac = windows.map(|(program, path)| match program {
        Program::Goose => (program, ".config/goose/config.yaml".to_owned()),
        _ => (program, path.replace("AppData/Roaming", "Library/Application Support")),
    });
    for (os, places) in
        [(Os::Windows, windows.map(|(p, path)| (p, path.to_owned()))), (Os::MacOs, mac)]
    {
        for (program, path) in places {
            let mut home = Home::new();
            home.machine.os = os;
            let plan = home.plan(program).unwrap();
            assert_eq!(plan.file(), home.path(&path), "{program} on {os:?}");
        }
    }
}

/// A Claude Desktop that came as a package reads another file than one that did not.
#[test]
fn a_packaged_claude_desktop_is_told_apart() {
    let mut home = Home::new();
    home.machine.os = Os::Windows;
    let package = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude";
    fs::create_dir_all(home.path(package)).unwrap();
    let found = found(&home.machine, Program::ClaudeDesktop).unwrap();
    assert_eq!(found.file, home.path(package).join("claude_desktop_config.json"));
    assert!(!found.has_config);
}

/// A server of opencode's first version that is called “servers” is not the second version's map.
#[test]
fn opencodes_two_versions_are_told_apart() {
    let home = Home::new();
    let path = ".config/opencode/opencode.json";
    let first = r#"{"mcp": {"servers": {"type": "local", "command": ["a"]}}}"#;
    home.put(path, first);
    let after = home.plan(Program::OpenCode).unwrap().after().to_owned();
    assert!(after.starts_with(&first[..first.len() - 2]) && after.contains("\"enabled\": true"));
    home.put(path, r#"{"mcp": {"servers": {}}}"#);
    let plan = home.plan(Program::OpenCode).unwrap();
    assert!(plan.after().starts_with(r#"{"mcp": {"servers": {"imprest": {"type": "local""#));
    assert!(!plan.after().contains("enabled"));
    let reserved = Plan::new(&home.machine, Program::OpenCode, common::server("timeout", "scout"));
    assert!(reserved.unwrap_err().to_string().contains("Choose another name"));
}
