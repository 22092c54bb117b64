//! Every program's settings, as they really look: the entry gets in, everything else stays.

#![allow(clippy::unwrap_used)]

mod common;

use common::{COMMAND, Home, SECRETS, fixtures, is_within, now, read, server};
use imprest_connect::{Plan, Program, Standing, Undone, standing};
use serde_json::{Value, json};
use std::fs;

/// Where an entry stands in the parsed settings.
fn pointer(program: Program, text: &str) -> &'static str {
    match program {
        Program::Codex => "/mcp_servers/imprest",
        Program::VsCode => "/servers/imprest",
        Program::OpenCode if text.contains("\"servers\"") => "/mcp/servers/imprest",
        Program::OpenCode => "/mcp/imprest",
        Program::Goose => "/extensions/imprest",
        _ => "/mcpServers/imprest",
    }
}

fn entry(program: Program, text: &str, agent: &str) -> Value {
    let args = json!(["mcp", "--agent", agent]);
    let line = json!([COMMAND, "mcp", "--agent", agent]);
    match program {
        Program::ClaudeCode | Program::VsCode => {
            json!({ "type": "stdio", "command": COMMAND, "args": args })
        }
        Program::OpenCode if text.contains("\"servers\"") => {
            json!({ "type": "local", "command": line })
        }
        Program::OpenCode => json!({ "type": "local", "command": line, "enabled": true }),
        Program::Goose => json!({
            "enabled": true, "type": "stdio", "name": "imprest", "cmd": COMMAND, "args": args,
            "description": "Pays for what this agent buys, within its budget",
            "envs": {}, "env_keys": [], "timeout": 300,
        }),
        _ => json!({ "command": COMMAND, "args": args }),
    }
}

/// Takes the entry, and the map it stood in if that is empty then, out of the parsed settings.
fn without_entry(mut value: Value, pointer: &str) -> Value {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    if let Some(map) = value.pointer_mut(above).and_then(Value::as_object_mut) {
        map.remove(name);
    }
    let top = &above[1..];
    if value.get(top).is_some_and(|map| map == &json!({})) {
        value.as_object_mut().unwrap().remove(top);
    }
    value
}

#[test]
fn the_entry_gets_in_and_everything_else_stays() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        let plan = home.plan(program).unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes, "{program}: a plan writes nothing");
        let before = std::str::from_utf8(&bytes).unwrap();
        let after = plan.after();
        assert!(is_within(before, after), "{program}:\n{after}");
        let changed = before.lines().filter(|line| !after.lines().any(|new| new == *line)).count();
        assert!(changed <= 1, "{program}: only a line that gets a comma changes\n{after}");
        assert_eq!(before.ends_with('\n'), after.ends_with('\n'), "{program}");
        let at = pointer(program, before);
        let value = read(program, after);
        assert_eq!(value.pointer(at), Some(&entry(program, before, "scout")), "{program}\n{after}");
        assert_eq!(without_entry(value, at), without_entry(read(program, before), at), "{program}");
        if before.contains("\r\n") {
            assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{program}");
        }
    }
}

#[test]
fn what_was_written_comes_back_byte_for_byte() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        let plan = home.plan(program).unwrap();
        let applied = home.apply(&plan).unwrap();
        assert!(applied.written);
        assert_eq!(fs::read_to_string(&file).unwrap(), plan.after(), "{program}");
        let backup = applied.backup.unwrap();
        assert_eq!(fs::read(&backup).unwrap(), bytes, "{program}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(backup.ends_with(format!("{name}.imprest-backup-20261123-102030")), "{backup:?}");
        let name = "imprest".parse().unwrap();
        let ours = Standing::Ours { agent: "scout".into() };
        assert_eq!(standing(&home.machine, program, &name).unwrap(), ours, "{program}");
        assert_eq!(home.undo(program).unwrap(), Undone::AsBefore { file: file.clone() });
        assert_eq!(fs::read(&file).unwrap(), bytes, "{program}");
    }
}

/// Without the list and the backup only the entry is cut out, and the fixtures still come back as
/// they were.
#[test]
fn the_entry_alone_can_be_cut_out_again() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        let applied = home.apply(&home.plan(program).unwrap()).unwrap();
        fs::remove_file(applied.backup.unwrap()).unwrap();
        let undone = home.undo(program).unwrap();
        assert!(matches!(undone, Undone::EntryRemoved { .. }), "{program}: {undone:?}");
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{program}");
    }
}

#[test]
fn a_second_time_changes_nothing_and_another_agent_only_its_name() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        let first = home.plan(program).unwrap();
        home.apply(&first).unwrap();
        let again = home.plan(program).unwrap();
        assert!(again.replaces() && !again.is_needed(), "{program}\n{}", again.after());
        assert!(!home.apply(&again).unwrap().written);
        let other = home.plan_for(program, "Night shift").unwrap();
        assert!(other.replaces() && other.is_needed());
        let by_hand = first.after().replace("\"scout\"", "\"Night shift\"");
        assert_eq!(other.after(), by_hand, "{program}");
        home.apply(&other).unwrap();
        // Both of ours are taken back at once: the older entry does not come to life again.
        assert_eq!(home.undo(program).unwrap(), Undone::AsBefore { file: file.clone() });
        assert_eq!(fs::read(&file).unwrap(), bytes, "{program}");
    }
}

#[test]
fn no_output_holds_anybodys_secret() {
    let mut shown = String::new();
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        home.put(path, &bytes);
        let plan = home.plan(program).unwrap();
        let applied = home.apply(&plan).unwrap();
        let second = home.plan_for(program, "other").unwrap();
        let connections = imprest_connect::connections(&home.record()).unwrap();
        let record = fs::read_to_string(home.record()).unwrap();
        let all =
            format!("{}{plan:?}{applied:?}{}{connections:?}{record}", plan.diff(), second.diff());
        for secret in SECRETS {
            assert!(!all.contains(secret), "{program}: {all}");
        }
        shown += &plan.diff().replace(home.machine.home.to_str().unwrap(), "~");
        shown += &second.diff().replace(home.machine.home.to_str().unwrap(), "~");
    }
    insta::assert_snapshot!("diffs", shown);
}

#[test]
fn a_program_without_a_config_gets_one_and_loses_it_again() {
    for program in Program::ALL {
        let home = Home::new();
        let plan = home.plan(program).unwrap();
        assert_eq!(plan.before(), None);
        let at = pointer(program, "");
        let value = read(program, plan.after());
        assert_eq!(value.pointer(at), Some(&entry(program, "", "scout")), "{program}");
        assert_eq!(without_entry(value, at), json!({}), "{program}");
        assert!(plan.after().ends_with('\n'));
        assert_eq!(home.apply(&plan).unwrap().backup, None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = plan.file().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{program}");
        }
        let file = plan.file().to_owned();
        assert_eq!(home.undo(program).unwrap(), Undone::FileRemoved { file: file.clone() });
        assert!(!file.exists(), "{program}");
    }
}

/// Odd but right settings, with what is to come out.
#[test]
fn odd_settings_keep_their_oddities() {
    let new =
        "{\"command\": \"/opt/Imprest desk/imprest\", \"args\": [\"mcp\", \"--agent\", \"scout\"]}";
    let inline = format!("\"imprest\": {new}");
    let cases = [
        (Program::Cursor, "{}", format!("{{\n  \"mcpServers\": {{\n    \"imprest\": {}\n  }}\n}}", spread("    "))),
        (Program::Cursor, "{\"a\":1}", format!("{{\"a\":1, \"mcpServers\": {{{inline}}}}}")),
        (Program::Cursor, "{\"mcpServers\":{ }}", format!("{{\"mcpServers\":{{{inline} }}}}")),
        (Program::Cursor, "{\"mcpServers\":{\"a\":{},}}", format!("{{\"mcpServers\":{{\"a\":{{}}, {inline},}}}}")),
        (Program::Cursor, "{\"mcpServers\":{\"a\":{} /* b */}}", format!("{{\"mcpServers\":{{\"a\":{{}}, /* b */ {inline}}}}}")),
        (Program::Cursor, "{\n\t\"a\": 1 // one\n}\n", format!("{{\n\t\"a\": 1, // one\n\t\"mcpServers\": {{\n\t\t\"imprest\": {}\n\t}}\n}}\n", spread_by("\t\t", "\t"))),
        (Program::Cursor, "{\n  \"mcpServers\": {}\n}", format!("{{\n  \"mcpServers\": {{\n    \"imprest\": {}\n  }}\n}}", spread("    "))),
        (Program::Cursor, "// nothing yet\n", format!("// nothing yet\n{{\n  \"mcpServers\": {{\n    \"imprest\": {}\n  }}\n}}\n", spread("    "))),
        (Program::Codex, "mcp_servers = { a = { command = \"a\" } } # all\n", "mcp_servers = { a = { command = \"a\" }, imprest = { command = \"/opt/Imprest desk/imprest\", args = [\"mcp\", \"--agent\", \"scout\"] } } # all\n".to_owned()),
        (Program::Codex, "mcp_servers.a.command = \"a\"\n", format!("mcp_servers.a.command = \"a\"\n\n{TABLE}\n")),
        (Program::Codex, "a = 1", format!("a = 1\n\n{TABLE}")),
        (Program::Codex, "# none\r\n", format!("# none\r\n\r\n{}\r\n", TABLE.replace('\n', "\r\n"))),
        (Program::Goose, "extensions: {} # none\n", "extensions: {\"imprest\": GOOSE} # none\n".to_owned()),
        (Program::Goose, "extensions:\n", "extensions:\n  imprest:\nLINES\n".to_owned()),
        (Program::Goose, "a: 1 # one", "a: 1 # one\nextensions:\n  imprest:\nLINES".to_owned()),
        (Program::Goose, "---\na: |+\n  text\n\n", "---\na: |+\n  text\n\nextensions:\n  imprest:\nLINES\n".to_owned()),
        (Program::Goose, "extensions:\n    a:\n        type: builtin\nb: 2\n", "extensions:\n    a:\n        type: builtin\n    imprest:\nDEEPER\nb: 2\n".to_owned()),
    ];
    for (program, before, after) in cases {
        let home = Home::new();
        let after = after
            .replace("GOOSE", GOOSE)
            .replace("LINES", &goose_lines("    "))
            .replace("DEEPER", &goose_lines("      "));
        let file = home.machine.home.clone();
        let made = home.plan(program).unwrap();
        fs::create_dir_all(made.file().parent().unwrap()).unwrap();
        fs::write(made.file(), before).unwrap();
        let plan = home.plan(program).unwrap_or_else(|error| panic!("{before:?}: {error}"));
        assert_eq!(plan.after(), after, "{program}: {before:?} in {file:?}");
        let applied = home.apply(&plan).unwrap();
        fs::remove_file(applied.backup.unwrap()).unwrap();
        home.undo(program).unwrap();
        let left = fs::read_to_string(plan.file()).unwrap();
        let same =
            |text: &str| text.replace("{ }", "{}").replace("extensions: {}\n", "extensions:\n");
        if before.trim_start().starts_with('{') || program != Program::Cursor {
            assert_eq!(same(&left), same(before), "{program}");
        }
    }
}

const TABLE: &str = "[mcp_servers.imprest]\ncommand = \"/opt/Imprest desk/imprest\"\nargs = [\"mcp\", \"--agent\", \"scout\"]";
const GOOSE: &str = "{\"enabled\": true, \"type\": \"stdio\", \"name\": \"imprest\", \"description\": \"Pays for what this agent buys, within its budget\", \"cmd\": \"/opt/Imprest desk/imprest\", \"args\": [\"mcp\", \"--agent\", \"scout\"], \"envs\": {}, \"env_keys\": [], \"timeout\": 300}";

fn spread(indent: &str) -> String {
    spread_by(indent, "  ")
}

fn spread_by(indent: &str, unit: &str) -> String {
    format!(
        "{{\n{indent}{unit}\"command\": \"/opt/Imprest desk/imprest\",\n{indent}{unit}\"args\": [\"mcp\", \"--agent\", \"scout\"]\n{indent}}}"
    )
}

fn goose_lines(indent: &str) -> String {
    let value: serde_json::Map<String, Value> = serde_json::from_str(GOOSE).unwrap();
    ["enabled", "type", "name", "description", "cmd", "args", "envs", "env_keys", "timeout"]
        .map(|key| format!("{indent}{key}: {}", value[key].to_string().replace(",\"", ", \"")))
        .join("\n")
}

/// What the owner put into our entry stays there.
#[test]
fn an_entry_of_ours_keeps_what_its_owner_added() {
    let cases = [
        (
            Program::Cursor,
            "{\"mcpServers\": {\"imprest\": {\"command\": \"imprest\", \"args\": [\"mcp\", \"--agent\", \"old\"], \"disabled\": true}}}",
        ),
        (
            Program::Codex,
            "[mcp_servers.imprest]\nargs = [\n  'mcp', # the bridge\n  '--agent', 'old'\n]\nstartup_timeout_sec = 20\ncommand = 'imprest'\n[mcp_servers.imprest.tools.fetch]\napproval_mode = \"approve\"\n",
        ),
        (
            Program::Goose,
            "extensions:\n  imprest:\n    cmd: imprest\n    args:\n    - mcp\n    - --agent\n    - old # was first\n    timeout: 20\n    type: stdio\n",
        ),
    ];
    for (program, before) in cases {
        let home = Home::new();
        let path = home.plan(program).unwrap().file().to_owned();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, before).unwrap();
        let quoted = format!("\"{COMMAND}\"");
        let expected = match program {
            Program::Codex => before.replace("'imprest'", &quoted).replace("'old'", "\"scout\""),
            Program::Goose => before
                .replace("cmd: imprest", &format!("cmd: {quoted}"))
                .replace("old #", "\"scout\" #"),
            _ => before
                .replace("command\": \"imprest\"", &format!("command\": {quoted}"))
                .replace("old", "scout"),
        };
        let plan = home.plan(program).unwrap();
        assert!(plan.replaces());
        assert_eq!(plan.after(), expected);
        // With a data folder the list of words gets longer.
        let longer = server("imprest", "scout").on_data(std::path::Path::new("/desk")).unwrap();
        let longer = Plan::new(&home.machine, program, longer).unwrap();
        let value = read(program, longer.after());
        let args = value.pointer(&format!("{}/args", pointer(program, ""))).unwrap();
        assert_eq!(args, &json!(["mcp", "--agent", "scout", "--data", "/desk"]));
        imprest_connect::apply(&longer, &home.record(), now()).unwrap();
    }
}
