//! What is not touched: settings that cannot be read, that are not the user's, or that changed.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, fixtures, server};
use imprest_connect::{ConnectError, FILE_MAX_BYTES, Plan, Program, Standing, standing};
use std::fs;

/// Plans on a file that is to be refused, and checks that it is as it was.
fn refused(program: Program, path: &str, bytes: &[u8]) -> ConnectError {
    let home = Home::new();
    let file = home.put(path, bytes);
    let error = home.plan(program).expect_err(&String::from_utf8_lossy(bytes));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert!(home.undo(program).is_err());
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(home.names("desk"), ["connections.json.lock"]);
    error
}

const JSON: (Program, &str) = (Program::ClaudeCode, ".claude.json");
const JSONC: (Program, &str) = (Program::VsCode, ".config/Code/User/mcp.json");
const TOML: (Program, &str) = (Program::Codex, ".codex/config.toml");
const YAML: (Program, &str) = (Program::Goose, ".config/goose/config.yaml");

/// Whose settings, what is in them, and the line and column that are named.
type Malformed = ((Program, &'static str), &'static [u8], usize, usize);

#[test]
fn malformed_settings_are_named_with_their_place() {
    let cases: [Malformed; 18] = [
        (JSON, b"{\n  \"a\": 1\n", 1, 1),
        (JSON, b"{\n  // a comment\n}", 2, 3),
        (JSON, b"{\"a\": 1,}", 1, 8),
        (JSON, b"{\"a\": x}", 1, 7),
        (JSON, b"{\"a\": 1} {}", 1, 10),
        (JSON, b"{\"a\": \"\\q\"}", 1, 8),
        (JSON, b"{\n\"\xc3\xa9\": \"\xff\"}", 2, 7),
        (JSONC, b"{'a': 1}", 1, 2),
        (JSONC, b"{a: 1}", 1, 2),
        (JSONC, b"{\"a\": 1 \"b\": 2}", 1, 8),
        (JSONC, b"{ /* no end }", 1, 3),
        (TOML, b"a = 1\nb = = 2\n", 2, 5),
        (TOML, b"a = 1\na = 2\n", 2, 1),
        (TOML, b"[mcp_servers.a]\n[mcp_servers.a]\n", 2, 14),
        (TOML, b"a = \"no end\n", 1, 12),
        (YAML, b"a: [1, 2\nb: 3\n", 2, 2),
        (YAML, b"a: 1\n\tb: 2\n", 1, 4),
        (YAML, b"a: 1\n---\nb: 2\n", 2, 1),
    ];
    let mut wrong = Vec::new();
    for ((program, path), bytes, line, column) in cases {
        match refused(program, path, bytes) {
            ConnectError::Malformed { line: l, column: c, why, .. } if (l, c) != (line, column) => {
                wrong.push(format!("{:?} at {l}:{c}: {why}", String::from_utf8_lossy(bytes)));
            }
            ConnectError::Malformed { .. } => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let text = refused(JSON.0, JSON.1, b"{\n  \"a\": sk-secret\n}").to_string();
    assert!(text.contains(".claude.json cannot be read at line 2, column 8"), "{text}");
    assert!(text.contains("left alone") && !text.contains("sk-"), "{text}");
}

#[test]
fn settings_of_another_shape_are_left_alone() {
    let deep = |open: &str, close: &str| {
        format!("{{\"a\": {}{}}}", open.repeat(100_000), close.repeat(100_000))
    };
    let cases: [((Program, &str), &str); 15] = [
        (JSON, "[]"),
        (JSON, "\"text\""),
        (JSON, "{\"mcpServers\": null}"),
        (JSON, "{\"mcpServers\": []}"),
        (JSON, "{\"mcpServers\": {}, \"mcpServers\": {}}"),
        (JSON, "{\"mcpServers\": {\"imprest\": {}, \"imprest\": {}}}"),
        (JSON, &deep("[", "]")),
        (TOML, "mcp_servers = 1\n"),
        (TOML, "[[mcp_servers]]\na = 1\n"),
        (TOML, &format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000))),
        (YAML, "- a\n"),
        (YAML, "extensions: ~\n"),
        (YAML, "extensions:\n- a\n"),
        (YAML, "x: &a {}\nextensions: *a\n"),
        (YAML, &format!("a: {}1\n", "- ".repeat(100_000))),
    ];
    for ((program, path), text) in cases {
        let error = refused(program, path, text.as_bytes());
        let named = matches!(error, ConnectError::Shape { .. } | ConnectError::Malformed { .. });
        assert!(named, "{}: {error}", &text[..text.len().min(60)]);
    }
}

#[test]
fn a_name_that_is_somebody_elses_is_refused_and_another_one_is_not() {
    let cases = [
        (
            JSON,
            r#"{"mcpServers": {"imprest": {"command": "npx", "args": ["mcp", "--agent", "scout"]}}}"#,
        ),
        (
            JSON,
            r#"{"mcpServers": {"imprest": {"command": "imprest", "args": ["mcp", "--agent", "scout", "--desk", "http://evil"]}}}"#,
        ),
        (JSON, r#"{"mcpServers": {"imprest": {"url": "http://127.0.0.1:4040/mcp"}}}"#),
        (JSON, r#"{"mcpServers": {"imprest": "imprest mcp --agent scout"}}"#),
        (JSON, r#"{"mcpServers": {"imprest": null}}"#),
        (TOML, "[mcp_servers.imprest]\ncommand = \"imprest\"\n"),
        (YAML, "extensions:\n  imprest:\n    cmd: imprest\n    args: [mcp, --agent, 7]\n"),
    ];
    for ((program, path), text) in cases {
        let error = refused(program, path, text.as_bytes());
        assert!(matches!(error, ConnectError::Taken { .. }), "{text}: {error}");
        let home = Home::new();
        home.put(path, text);
        let name = "imprest".parse().unwrap();
        assert_eq!(standing(&home.machine, program, &name).unwrap(), Standing::Taken);
        let other = Plan::new(&home.machine, program, server("desk", "scout")).unwrap();
        assert!(common::is_within(text, other.after()), "{}", other.after());
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let size = usize::try_from(FILE_MAX_BYTES).unwrap();
    let fits = format!("{{\"a\": \"{}\"}}", "x".repeat(size - 9));
    let home = Home::new();
    home.put(JSON.1, &fits);
    assert!(home.plan(JSON.0).is_ok());
    let error = refused(JSON.0, JSON.1, format!("{fits} ").as_bytes());
    assert!(matches!(error, ConnectError::TooLarge { bytes, .. } if bytes == FILE_MAX_BYTES + 1));
}

#[test]
fn a_file_that_changed_since_the_plan_is_refused() {
    for (program, path, bytes) in fixtures() {
        let home = Home::new();
        let file = home.put(path, &bytes);
        let plan = home.plan(program).unwrap();
        let mut changed = bytes.clone();
        changed.extend(b"\n");
        fs::write(&file, &changed).unwrap();
        let error = home.apply(&plan).unwrap_err();
        assert!(matches!(error, ConnectError::Changed { .. }), "{program}: {error}");
        assert_eq!(fs::read(&file).unwrap(), changed);
        fs::remove_file(&file).unwrap();
        assert!(matches!(home.apply(&plan), Err(ConnectError::Changed { .. })));
        assert!(!file.exists() && !home.record().exists());
    }
    // A file that was made since is not replaced either.
    let home = Home::new();
    let plan = home.plan(Program::Cursor).unwrap();
    let file = home.put(".cursor/mcp.json", "{}");
    assert!(matches!(home.apply(&plan), Err(ConnectError::Changed { .. })));
    assert_eq!(fs::read(file).unwrap(), b"{}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use rustix::fs::{Gid, Mode, Uid, chown};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    #[test]
    fn a_link_is_followed_and_stays_a_link() {
        let home = Home::new();
        let real = home.put("dotfiles/claude.json", "{}");
        symlink("dotfiles/claude.json", home.path(".claude.json")).unwrap();
        let plan = home.plan(Program::ClaudeCode).unwrap();
        let backup = home.apply(&plan).unwrap().backup.unwrap();
        assert!(home.path(".claude.json").symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), plan.after());
        // Beside the link: the folder it leads to may be one that is published.
        assert_eq!(backup.parent().unwrap(), home.machine.home);
        assert_eq!(home.names("dotfiles"), ["claude.json"]);
        home.undo(Program::ClaudeCode).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"{}");
        assert!(home.path(".claude.json").symlink_metadata().unwrap().is_symlink());
    }

    #[test]
    fn nothing_is_written_through_a_link_to_nothing() {
        let home = Home::new();
        symlink("nowhere.json", home.path(".claude.json")).unwrap();
        assert!(imprest_connect::found(&home.machine, Program::ClaudeCode).is_some());
        let error = home.plan(Program::ClaudeCode).unwrap_err();
        assert!(matches!(error, ConnectError::DanglingLink { .. }), "{error}");
        symlink("nowhere", home.path(".cursor")).unwrap();
        let error = home.plan(Program::Cursor).unwrap_err();
        assert!(matches!(error, ConnectError::DanglingLink { .. }), "{error}");
        assert_eq!(home.names(""), [".claude.json", ".cursor", "desk"]);
    }

    #[test]
    fn only_plain_files_of_this_user_are_taken() {
        let not_yours = |home: &Home, why: &str| {
            let error = home.plan(Program::ClaudeCode).unwrap_err();
            assert!(matches!(error, ConnectError::NotYours { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        };
        let home = Home::new();
        fs::create_dir(home.path(".claude.json")).unwrap();
        not_yours(&home, "no plain file");
        let home = Home::new();
        rustix::fs::mkfifoat(rustix::fs::CWD, home.path(".claude.json"), Mode::RWXU).unwrap();
        not_yours(&home, "no plain file");
        let home = Home::new();
        let file = home.put(".claude.json", "{}");
        fs::hard_link(&file, home.path("another")).unwrap();
        not_yours(&home, "hard links");
        // What belongs to the system belongs to another user, unless the system runs this.
        let home = Home::new();
        let other = if rustix::process::geteuid().is_root() {
            let other = home.put("other.json", "{}");
            chown(&other, Some(Uid::from_raw(65_534)), None).unwrap();
            other
        } else {
            Path::new("/etc/passwd").to_owned()
        };
        symlink(other, home.path(".claude.json")).unwrap();
        not_yours(&home, "another user");
    }

    #[test]
    fn mode_and_group_are_kept() {
        let home = Home::new();
        let file = home.put(".claude.json", "{}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&file, None, Some(Gid::from_raw(65_534))).unwrap();
        }
        let before = file.metadata().unwrap();
        let backup = home.apply(&home.plan(Program::ClaudeCode).unwrap()).unwrap().backup.unwrap();
        for path in [&file, &backup] {
            let after = path.metadata().unwrap();
            assert_eq!(
                (after.mode(), after.uid(), after.gid()),
                (before.mode(), before.uid(), before.gid())
            );
        }
        assert_eq!(home.record().metadata().unwrap().mode() & 0o777, 0o600);
    }

    /// Runs as a user who may not write there, also where the tests are run by root.
    fn as_nobody(work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                if rustix::process::geteuid().is_root() {
                    rustix::thread::set_thread_uid(Uid::from_raw(65_534)).unwrap();
                }
                work();
            });
            done.join().unwrap();
        });
    }

    fn give_away(path: &Path) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        chown(path, Some(Uid::from_raw(65_534)), None).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_the_file_as_it_was() {
        let home = Home::new();
        let file = home.put(".cursor/mcp.json", "{}");
        // The thread that is nobody has to get as far as the home.
        let top = home.machine.home.parent().unwrap();
        fs::set_permissions(top, fs::Permissions::from_mode(0o755)).unwrap();
        give_away(&home.machine.home);
        let folder = home.path(".cursor");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        as_nobody(|| {
            let plan = home.plan(Program::Cursor).unwrap();
            let error = home.apply(&plan).unwrap_err();
            assert!(matches!(error, ConnectError::Io { .. }), "{error}");
            assert!(error.to_string().contains("permissions"), "{error}");
        });
        assert_eq!(fs::read(&file).unwrap(), b"{}");
        assert_eq!(home.names(".cursor"), ["mcp.json"]);
        assert_eq!(home.names("desk"), ["connections.json.lock"]);
        // Neither can the list of connections be missing a folder.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(home.path("desk"), fs::Permissions::from_mode(0o555)).unwrap();
        as_nobody(|| {
            let plan = home.plan(Program::Cursor).unwrap();
            assert!(matches!(home.apply(&plan), Err(ConnectError::Io { .. })));
        });
        assert_eq!(fs::read(&file).unwrap(), b"{}");
        assert_eq!(home.names(".cursor"), ["mcp.json"]);
    }
}
