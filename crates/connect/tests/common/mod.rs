//! A user's home that is not the user's, and agent programs in it.

#![allow(dead_code)]

use imprest_connect::{
    Applied, ConnectError, Machine, Os, Plan, Program, Server, Undone, apply, undo,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What no output may hold; it stands in the fixtures as other people's secrets do.
pub const SECRETS: [&str; 2] = ["SecretOfAda1234567890", "SecretOfAda0987654321"];

/// The command of every entry that is made here.
pub const COMMAND: &str = "/opt/Imprest desk/imprest";

/// A fake home.
pub struct Home {
    folder: TempDir,
    pub machine: Machine,
}

impl Home {
    pub fn new() -> Home {
        let folder = TempDir::new().expect("a home");
        // The system's own temporary folder may be a link.
        let home = folder.path().canonicalize().expect("its path").join("ada");
        fs::create_dir_all(home.join("desk")).expect("a data folder");
        let machine = Machine { os: Os::Linux, home, path: Vec::new(), variables: BTreeMap::new() };
        Home { folder, machine }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.machine.home.join(path)
    }

    pub fn record(&self) -> PathBuf {
        self.path("desk/connections.json")
    }

    /// Writes a file and the folders above it.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(&path, bytes).expect("it is written");
        path
    }

    pub fn plan(&self, program: Program) -> Result<Plan, ConnectError> {
        self.plan_for(program, "scout")
    }

    pub fn plan_for(&self, program: Program, agent: &str) -> Result<Plan, ConnectError> {
        Plan::new(&self.machine, program, server("imprest", agent))
    }

    pub fn apply(&self, plan: &Plan) -> Result<Applied, ConnectError> {
        apply(plan, &self.record(), now())
    }

    pub fn undo(&self, program: Program) -> Result<Undone, ConnectError> {
        let name = "imprest".parse().expect("a name");
        undo(&self.machine, program, &name, &self.record(), now())
    }

    /// Names of all files in a folder of the home, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub fn server(name: &str, agent: &str) -> Server {
    let name = name.parse().expect("a name");
    Server::new(name, Path::new(COMMAND), agent.parse().expect("an agent")).expect("an entry")
}

pub fn now() -> Timestamp {
    "2026-11-23T10:20:30Z".parse().expect("a moment")
}

/// Each program with a realistic settings file and its place in a home on Linux.
pub fn fixtures() -> Vec<(Program, &'static str, Vec<u8>)> {
    let fixture = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        fs::read(folder.join(name)).expect("a fixture")
    };
    vec![
        (Program::ClaudeCode, ".claude.json", fixture("claude-code.json")),
        (
            Program::ClaudeDesktop,
            ".config/Claude/claude_desktop_config.json",
            fixture("claude-desktop.json"),
        ),
        (Program::Codex, ".codex/config.toml", fixture("codex.toml")),
        (Program::Cursor, ".cursor/mcp.json", fixture("cursor.json")),
        (Program::VsCode, ".config/Code/User/mcp.json", fixture("vscode.jsonc")),
        (Program::GeminiCli, ".gemini/settings.json", fixture("gemini-cli.json")),
        (Program::OpenCode, ".config/opencode/opencode.jsonc", fixture("opencode.jsonc")),
        (Program::OpenCode, ".config/opencode/opencode.json", fixture("opencode-2.jsonc")),
        (Program::Goose, ".config/goose/config.yaml", fixture("goose.yaml")),
        (Program::Windsurf, ".codeium/windsurf/mcp_config.json", fixture("windsurf.json")),
    ]
}

/// Whether the bytes of `whole` are those of `part` with more put in between.
pub fn is_within(part: &str, whole: &str) -> bool {
    let mut rest = whole.bytes();
    part.bytes().all(|byte| rest.any(|other| other == byte))
}

/// The settings as another parser than ours reads them.
pub fn read(program: Program, text: &str) -> serde_json::Value {
    let text = text.trim_start_matches('\u{feff}');
    match program {
        Program::Codex => {
            let table: toml::Table = toml::from_str(text).expect("TOML");
            serde_json::to_value(table).expect("a value")
        }
        Program::Goose => serde_yaml_ng::from_str(text).expect("YAML"),
        Program::ClaudeCode | Program::ClaudeDesktop => serde_json::from_str(text).expect("JSON"),
        _ => serde_json::from_str(&without_comments(text)).expect("JSON with comments"),
    }
}

/// JSON without its comments and without commas before a closing brace.
fn without_comments(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if next == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c: char| {
                let is_end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                is_end
            });
            end.expect("the text ends") + 2
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        } else if rest.starts_with("/*") {
            rest = &rest[rest.find("*/").expect("the comment ends") + 2..];
            continue;
        } else {
            next.len_utf8()
        };
        if matches!(next, '}' | ']') {
            let trimmed = plain.trim_end().len();
            if plain[..trimmed].ends_with(',') {
                plain.truncate(trimmed - 1);
            }
        }
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    plain
}
