//! Whole terminal sessions of `imprest connect` in a home of their own, without a desk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SETTINGS: &str = "{\n  // mine\n  \"mcpServers\": {\n    \"files\": { \"command\": \"npx\", \"env\": { \"KEY\": \"sk-a-secret-of-mine\" } }, // all\n  },\n}\n";

/// An empty home with agent programs in it.
struct Home(TempDir);

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Home {
        Home(TempDir::new().expect("a home"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(&path, text).expect("it is written");
        path
    }

    fn run(&self, line: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprest"));
        // Nothing of the person who runs the tests is found: neither home, nor path, nor variables.
        command.env_clear().env("PATH", self.path("bin"));
        for variable in ["HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_RUNTIME_DIR"] {
            command.env(variable, self.0.path());
        }
        command.env("IMPREST_DATA", self.path("desk")).arg("connect").args(line);
        let output = command.stdin(Stdio::null()).output().expect("imprest runs");
        let text = |bytes: &[u8]| self.tidied(&String::from_utf8_lossy(bytes));
        Answer {
            code: output.status.code().expect("it ends by itself"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The text without what differs from run to run.
    fn tidied(&self, text: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_imprest")).canonicalize().expect("its path");
        let text = text
            .replace(&self.0.path().display().to_string(), "HOME")
            .replace(&program.display().to_string(), "/opt/imprest")
            .replace(env!("CARGO_BIN_EXE_imprest"), "/opt/imprest");
        let mut parts = text.split(".imprest-backup-");
        let mut tidy = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let stamp = part.len().min("20261123-102030".len());
            tidy += &format!(".imprest-backup-NOW{}", &part[stamp..]);
        }
        tidy
    }

    fn session(&self, lines: &[&[&str]]) -> String {
        let answers = lines.iter().map(|line| {
            let Answer { code, stdout, stderr } = self.run(line);
            format!("$ imprest connect {}\n{stdout}{stderr}[{code}]\n\n", line.join(" "))
        });
        answers.collect()
    }
}

#[test]
fn a_program_is_connected_and_taken_back() {
    let home = Home::new();
    let file = home.put(".cursor/mcp.json", SETTINGS);
    let session = home.session(&[
        &["list"],
        &["add", "cursor", "--agent", "Night shift"],
        &["add", "cursor", "--agent", "Night shift", "--yes"],
        &["list"],
        &["add", "cursor", "--agent", "night-shift", "--yes"],
        &["snippet", "--agent", "scout"],
        &["snippet", "--agent", "scout", "--http", "--name", "desk"],
    ]);
    insta::assert_snapshot!("connect", session);
    assert!(!session.contains("sk-a-secret"));
    let written = fs::read_to_string(&file).expect("the settings");
    assert!(written.contains("\"mcp\", \"--agent\", \"night-shift\", \"--data\""), "{written}");
    let back = home.run(&["remove", "cursor"]);
    assert_eq!((back.code, back.stderr.as_str()), (0, ""), "{}", back.stdout);
    assert_eq!(fs::read_to_string(&file).expect("the settings"), SETTINGS);
    let again = home.run(&["remove", "cursor"]);
    assert_eq!((again.code, again.stderr.lines().count()), (2, 2), "{}", again.stderr);
}

#[test]
fn programs_get_documents() {
    let home = Home::new();
    assert_eq!(home.run(&["list", "--json"]).stdout, "");
    home.put(".codex/auth.json", "{}");
    home.put(".claude.json", "{ no");
    let list = home.run(&["list", "--json"]);
    let documents: Vec<serde_json::Value> =
        list.stdout.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    assert_eq!(documents.len(), 2, "{}", list.stdout);
    assert_eq!(documents[0]["state"], "unreadable");
    assert!(documents[0]["problem"].as_str().is_some_and(|text| text.contains("line 1")));
    assert_eq!(
        (&documents[1]["program"], &documents[1]["state"]),
        (&"codex".into(), &"free".into())
    );
    assert_eq!(documents[1]["has_settings"], false);

    let unasked = home.run(&["add", "codex", "--agent", "scout", "--json"]);
    assert_eq!(unasked.code, 2, "{}", unasked.stderr);
    assert!(unasked.stderr.contains("+[mcp_servers.imprest]"), "the change is shown");
    assert!(!home.path(".codex/config.toml").exists());
    let added = home.run(&["add", "codex", "--agent", "scout", "--yes", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&added.stdout).expect("a document");
    assert_eq!((added.code, &document["written"]), (0, &true.into()), "{}", added.stderr);
    assert_eq!(document["settings"], "HOME/.codex/config.toml");
    let removed = home.run(&["remove", "codex", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&removed.stdout).expect("a document");
    assert_eq!(document["outcome"], "file_removed");
    assert!(!home.path(".codex/config.toml").exists());
}

#[test]
fn what_is_refused_is_said_in_two_lines() {
    let home = Home::new();
    home.put(".claude.json", "{ no");
    home.put(".cursor/mcp.json", "{\"mcpServers\": {\"imprest\": {\"command\": \"theirs\"}}}");
    let lines: [&[&str]; 8] = [
        &["add", "emacs", "--agent", "scout"],
        &["add", "cursor"],
        &["add", "cursor", "--agent", "../scout"],
        &["add", "cursor", "--agent", "scout", "--name", "Imprest"],
        &["add", "goose", "--agent", "scout", "--yes"],
        &["add", "claude-code", "--agent", "scout", "--yes"],
        &["add", "cursor", "--agent", "scout", "--yes"],
        &["remove", "codex"],
    ];
    let mut sessions = String::new();
    for line in lines {
        let answer = home.run(line);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{line:?}: {}", answer.stderr);
        let said: Vec<&str> =
            answer.stderr.lines().filter(|line| !line.contains("no desk in")).collect();
        assert_eq!(said.len(), 2, "{line:?}: {}", answer.stderr);
        sessions += &format!("$ imprest connect {}\n{}\n\n", line.join(" "), said.join("\n"));
    }
    insta::assert_snapshot!("connect_refused", sessions);
}
