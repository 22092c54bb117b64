//! Taking an entry back when more happened than that it was made.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, fixtures, is_within, now, read, server};
use imprest_connect::{ConnectError, Plan, Program, Undone, apply, connections, undo};
use std::fs;

/// Something another program might write into the settings meanwhile.
fn changed(program: Program, text: &str) -> String {
    match program {
        Program::Codex => format!("{text}\n[tui]\nnotifications = true\n"),
        Program::Goose => format!("{text}\nGOOSE_MAX_TURNS: 10\n"),
        _ => {
            let end = text.rfind('}').unwrap();
            let comma = if text[..end].trim_end().ends_with([',', '{']) { "" } else { "," };
            format!("{}{comma}\n\"numStartups2\": 42\n{}", &text[..end], &text[end..])
        }
    }
}

#[test]
fn only_the_entry_goes_when_others_changed_the_file() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        home.apply(&home.plan(program).unwrap()).unwrap();
        let with = changed(program, &fs::read_to_string(&file).unwrap());
        let without = changed(program, std::str::from_utf8(&bytes).unwrap());
        fs::write(&file, &with).unwrap();
        let undone = home.undo(program).unwrap();
        let Undone::EntryRemoved { backup, .. } = undone else { panic!("{program}: {undone:?}") };
        assert_eq!(fs::read_to_string(backup).unwrap(), with);
        let left = fs::read_to_string(&file).unwrap();
        assert!(is_within(&left, &with), "{program}:\n{left}");
        assert_eq!(read(program, &left), read(program, &without), "{program}:\n{left}");
        assert!(connections(&home.record()).unwrap().is_empty());
    }
}

#[test]
fn a_server_behind_ours_stays() {
    let cases = [
        (
            Program::Cursor,
            "{\n  \"mcpServers\": {\n    OURS,\n    // theirs\n    \"b\": {}\n  }\n}\n",
            "{\n  \"mcpServers\": {\n    // theirs\n    \"b\": {}\n  }\n}\n",
        ),
        (
            Program::Cursor,
            "{\"mcpServers\": {\"a\": {}, OURS, \"b\": {}}}",
            "{\"mcpServers\": {\"a\": {}, \"b\": {}}}",
        ),
        (
            Program::Cursor,
            "{\"mcpServers\": { OURS /* ours */, \"b\": {} }}",
            "{\"mcpServers\": { \"b\": {} }}",
        ),
    ];
    for (program, text, left) in cases {
        let home = Home::new();
        let ours =
            "\"imprest\": {\"command\": \"imprest\", \"args\": [\"mcp\", \"--agent\", \"scout\"]}";
        let file = home.put(".cursor/mcp.json", text.replace("OURS", ours));
        // Nothing is known of it but what it says.
        assert!(matches!(home.undo(program), Ok(Undone::EntryRemoved { .. })));
        assert_eq!(fs::read_to_string(file).unwrap(), left);
    }
    let home = Home::new();
    let text = "[mcp_servers.imprest]\ncommand = \"imprest\"\n# the agent\nargs = [\"mcp\", \"--agent\", \"scout\"]\n\n[mcp_servers.imprest.env] # none\nA = \"b\"\n\n# theirs\n[mcp_servers.b]\ncommand = \"b\"\n\n[mcp_servers.imprest.tools.fetch]\napproval_mode = \"approve\"\n";
    let file = home.put(".codex/config.toml", text);
    home.undo(Program::Codex).unwrap();
    let left = fs::read_to_string(file).unwrap();
    assert_eq!(left.trim_start(), "# theirs\n[mcp_servers.b]\ncommand = \"b\"\n");
    let home = Home::new();
    let text = "[mcp_servers]\na = { command = \"a\" } # a\nimprest.command = \"imprest\"\nimprest.args = [\n  \"mcp\", \"--agent\", \"scout\"\n]\n";
    let file = home.put(".codex/config.toml", text);
    home.undo(Program::Codex).unwrap();
    let left = fs::read_to_string(file).unwrap();
    assert_eq!(left, "[mcp_servers]\na = { command = \"a\" } # a\n");
    let home = Home::new();
    let text = "extensions:\n  imprest: # ours\n    cmd: imprest\n    args: [mcp, --agent, scout]\n    description: |\n      pays\n\n  b:\n    type: builtin\nz: 1\n";
    let file = home.put(".config/goose/config.yaml", text);
    home.undo(Program::Goose).unwrap();
    let left = fs::read_to_string(file).unwrap();
    assert_eq!(left, "extensions:\n\n  b:\n    type: builtin\nz: 1\n");
}

#[test]
fn an_entry_that_became_somebody_elses_stays() {
    let home = Home::new();
    let file = home.put(".cursor/mcp.json", "{}");
    home.apply(&home.plan(Program::Cursor).unwrap()).unwrap();
    let theirs = fs::read_to_string(&file).unwrap().replace("\"mcp\"", "\"other\"");
    fs::write(&file, &theirs).unwrap();
    assert!(matches!(home.undo(Program::Cursor), Err(ConnectError::Taken { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
    assert_eq!(connections(&home.record()).unwrap().len(), 1);
}

#[test]
fn what_is_gone_already_is_forgotten() {
    let home = Home::new();
    let file = home.put(".cursor/mcp.json", "{}");
    assert!(matches!(home.undo(Program::Cursor), Err(ConnectError::NotConnected { .. })));
    for gone in [Some("{\"mcpServers\": {}}"), None] {
        fs::write(&file, "{}").unwrap();
        home.apply(&home.plan(Program::Cursor).unwrap()).unwrap();
        match gone {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert_eq!(home.undo(Program::Cursor).unwrap(), Undone::AlreadyGone { file: file.clone() });
        assert!(connections(&home.record()).unwrap().is_empty());
    }
}

#[test]
fn a_file_of_ours_that_others_use_now_is_not_removed() {
    let home = Home::new();
    let plan = home.plan(Program::Cursor).unwrap();
    home.apply(&plan).unwrap();
    let file = plan.file().to_owned();
    let shared = plan.after().replacen('{', "{\n  \"theirs\": 1,", 1);
    fs::write(&file, &shared).unwrap();
    // Ours once more, upon theirs: what was written is known again, what was before is not.
    home.apply(&home.plan_for(Program::Cursor, "other").unwrap()).unwrap();
    assert!(matches!(home.undo(Program::Cursor), Ok(Undone::EntryRemoved { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"theirs\": 1\n}\n");
    // One that holds nothing but blanks beside ours is.
    fs::remove_file(&file).unwrap();
    home.apply(&home.plan(Program::Cursor).unwrap()).unwrap();
    fs::write(&file, format!("{}\n", fs::read_to_string(&file).unwrap())).unwrap();
    assert_eq!(home.undo(Program::Cursor).unwrap(), Undone::FileRemoved { file: file.clone() });
    assert!(!file.exists());
}

#[test]
fn two_entries_in_one_file_go_one_by_one() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        for name in ["imprest", "second"] {
            let plan = Plan::new(&home.machine, program, server(name, "scout")).unwrap();
            apply(&plan, &home.record(), now()).unwrap();
        }
        assert_eq!(connections(&home.record()).unwrap().len(), 2);
        let names = home.names(path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let backups = names.iter().filter(|name| name.contains("imprest-backup")).count();
        assert_eq!(backups, 2, "no backup is written over: {names:?}");
        for name in ["imprest", "second"] {
            let name = name.parse().unwrap();
            undo(&home.machine, program, &name, &home.record(), now()).unwrap();
        }
        let left = fs::read_to_string(&file).unwrap();
        let before = std::str::from_utf8(&bytes).unwrap();
        let mut value = read(program, &left);
        // The second one's collection was not its own to take away.
        if let Some(map) = value.as_object_mut()
            && read(program, before).get("mcpServers").is_none()
        {
            map.remove("mcpServers");
        }
        assert_eq!(value, read(program, before), "{program}:\n{left}");
    }
}

#[test]
fn a_list_that_cannot_be_read_stops_everything() {
    let home = Home::new();
    home.put(".cursor/mcp.json", "{}");
    let plan = home.plan(Program::Cursor).unwrap();
    let deep = "[".repeat(100_000);
    for bad in
        ["", "{", "[]", "{\"version\": 2}", "{\"version\": 1}", &deep, &" ".repeat(2_000_000)]
    {
        home.put("desk/connections.json", bad);
        assert!(matches!(home.apply(&plan), Err(ConnectError::Record { .. })), "{bad:.20}");
        assert!(matches!(connections(&home.record()), Err(ConnectError::Record { .. })));
    }
    assert_eq!(home.names(".cursor"), ["mcp.json"]);
}
