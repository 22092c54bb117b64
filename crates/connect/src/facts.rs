//! Where each agent program keeps its MCP servers and in which shape, as data, with the sources.
//! Read for this table in November 2026.

use crate::form::Format;
use crate::machine::Os;
use crate::program::Program;
use crate::server::Shape;

/// A folder from which a path is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// The user's home folder.
    Home,
    /// `XDG_CONFIG_HOME`, or `.config` in the home folder.
    Config,
    /// macOS: `Library/Application Support` in the home folder.
    AppSupport,
    /// Windows: `%APPDATA%`.
    AppData,
    /// Windows: `%LOCALAPPDATA%`.
    LocalAppData,
    /// The folder a variable names. A program that has one looks nowhere else while it is set.
    Variable(&'static str),
}

/// A path on some systems, its parts divided by `/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub on: &'static [Os],
    pub base: Base,
    pub path: &'static str,
}

const ALL: &[Os] = &[Os::Linux, Os::MacOs, Os::Windows];
const LINUX: &[Os] = &[Os::Linux];
const MAC: &[Os] = &[Os::MacOs];
const UNIX: &[Os] = &[Os::Linux, Os::MacOs];
const WINDOWS: &[Os] = &[Os::Windows];

const fn at(on: &'static [Os], base: Base, path: &'static str) -> Place {
    Place { on, base, path }
}

/// What is known of one program.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Settings files. The first that is there is used; else the first whose folder is there, else
    /// the last, would be made.
    pub files: &'static [Place],
    /// Folders whose presence says that the program is here.
    pub folders: &'static [Place],
    /// Commands whose presence on the path says the same.
    pub commands: &'static [&'static str],
    pub format: Format,
    /// The keys, from the top, under which servers stand.
    pub keys: &'static [&'static str],
    pub shape: Shape,
    /// Names under those keys that are no servers.
    pub reserved: &'static [&'static str],
}

/// Claude Code keeps the servers of a user in `~/.claude.json`, JSON without comments, under
/// `mcpServers`, as `{type: "stdio", command, args, env}`; with `CLAUDE_CONFIG_DIR` set, in that
/// folder. Servers under `projects` are other scopes and are not touched.
///
/// Sources: <https://code.claude.com/docs/en/mcp> (scopes); for the variable, reports at
/// <https://github.com/anthropics/claude-code/issues/48448>, no page of the documentation.
const CLAUDE_CODE: Facts = Facts {
    files: &[
        at(ALL, Base::Variable("CLAUDE_CONFIG_DIR"), ".claude.json"),
        at(ALL, Base::Home, ".claude.json"),
    ],
    folders: &[at(ALL, Base::Variable("CLAUDE_CONFIG_DIR"), ""), at(ALL, Base::Home, ".claude")],
    commands: &["claude"],
    format: Format::Json,
    keys: &["mcpServers"],
    shape: Shape::Typed,
    reserved: &[],
};

/// Claude Desktop reads `claude_desktop_config.json`, JSON without comments, `mcpServers`, entries
/// `{command, args, env}`: on macOS and Windows as documented. Installed as an MSIX package on
/// Windows it reads the copy that the package sees. On Linux the builds that others made of it read
/// `~/.config/Claude`; there is no word of Anthropic's on that.
///
/// Sources: <https://modelcontextprotocol.io/quickstart/user>; for MSIX
/// <https://github.com/anthropics/claude-code/issues/29100>; for Linux
/// <https://github.com/aaddrick/claude-desktop-debian>.
const CLAUDE_DESKTOP: Facts = Facts {
    files: &[
        at(
            WINDOWS,
            Base::LocalAppData,
            "Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
        ),
        at(MAC, Base::AppSupport, "Claude/claude_desktop_config.json"),
        at(WINDOWS, Base::AppData, "Claude/claude_desktop_config.json"),
        at(LINUX, Base::Config, "Claude/claude_desktop_config.json"),
    ],
    folders: &[
        at(WINDOWS, Base::LocalAppData, "Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude"),
        at(MAC, Base::AppSupport, "Claude"),
        at(WINDOWS, Base::AppData, "Claude"),
        at(LINUX, Base::Config, "Claude"),
    ],
    commands: &["claude-desktop"],
    format: Format::Json,
    keys: &["mcpServers"],
    shape: Shape::Plain,
    reserved: &[],
};

/// Codex reads `config.toml` in `CODEX_HOME` or `~/.codex`, one table `[mcp_servers.NAME]` a server
/// with `command`, `args` and `env`; its editor extension and application read the same file.
///
/// Source: <https://developers.openai.com/codex/mcp>.
const CODEX: Facts = Facts {
    files: &[
        at(ALL, Base::Variable("CODEX_HOME"), "config.toml"),
        at(ALL, Base::Home, ".codex/config.toml"),
    ],
    folders: &[at(ALL, Base::Variable("CODEX_HOME"), ""), at(ALL, Base::Home, ".codex")],
    commands: &["codex"],
    format: Format::Toml,
    keys: &["mcp_servers"],
    shape: Shape::Plain,
    reserved: &[],
};

/// Cursor reads `~/.cursor/mcp.json` for all projects, `mcpServers`, entries `{command, args, env}`
/// whose kind it tells from their fields. That it takes comments in the file is not documented; a
/// file that has them is taken as it is, and none is added.
///
/// Source: <https://cursor.com/docs/mcp>.
const CURSOR: Facts = Facts {
    files: &[at(ALL, Base::Home, ".cursor/mcp.json")],
    folders: &[at(ALL, Base::Home, ".cursor")],
    commands: &["cursor", "cursor-agent"],
    format: Format::Jsonc,
    keys: &["mcpServers"],
    shape: Shape::Plain,
    reserved: &[],
};

/// VS Code reads `mcp.json` in the folder of the default profile, JSON with comments, under
/// `servers`, as `{type: "stdio", command, args, env}`. Other profiles, Insiders and forks have files
/// of their own, which are not looked for.
///
/// Sources: <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>; the folders are
/// those of <https://code.visualstudio.com/docs/configure/settings>.
const VSCODE: Facts = Facts {
    files: &[
        at(LINUX, Base::Config, "Code/User/mcp.json"),
        at(MAC, Base::AppSupport, "Code/User/mcp.json"),
        at(WINDOWS, Base::AppData, "Code/User/mcp.json"),
    ],
    folders: &[
        at(LINUX, Base::Config, "Code"),
        at(MAC, Base::AppSupport, "Code"),
        at(WINDOWS, Base::AppData, "Code"),
    ],
    commands: &["code"],
    format: Format::Jsonc,
    keys: &["servers"],
    shape: Shape::Typed,
    reserved: &[],
};

/// Gemini CLI reads `~/.gemini/settings.json`, JSON with comments, `mcpServers`, entries `{command,
/// args, env}`; `GEMINI_CLI_HOME` stands for the home folder where it is set.
///
/// Sources: <https://geminicli.com/docs/tools/mcp-server/> and
/// <https://geminicli.com/docs/cli/configuration>; the variable is in its source, `homedir()` of
/// `packages/core/src/utils/paths.ts`.
const GEMINI_CLI: Facts = Facts {
    files: &[
        at(ALL, Base::Variable("GEMINI_CLI_HOME"), ".gemini/settings.json"),
        at(ALL, Base::Home, ".gemini/settings.json"),
    ],
    folders: &[
        at(ALL, Base::Variable("GEMINI_CLI_HOME"), ".gemini"),
        at(ALL, Base::Home, ".gemini"),
    ],
    commands: &["gemini"],
    format: Format::Jsonc,
    keys: &["mcpServers"],
    shape: Shape::Plain,
    reserved: &[],
};

/// opencode reads `opencode.json` or `opencode.jsonc` in `~/.config/opencode`, on every system, as
/// JSON with comments. Version 1 has the servers under `mcp`, as `{type: "local", command: [...],
/// enabled}`; version 2 reads that as well, and has a place of its own, `mcp.servers`, without
/// `enabled`. A file that has the second is kept in it, any other gets the first, which both read.
///
/// Sources: <https://opencode.ai/docs/mcp-servers>, <https://opencode.ai/v2/docs/mcp-servers> and
/// <https://opencode.ai/v2/docs/migrate-v1>.
const OPENCODE: Facts = Facts {
    files: &[
        at(ALL, Base::Config, "opencode/opencode.json"),
        at(ALL, Base::Config, "opencode/opencode.jsonc"),
    ],
    folders: &[at(ALL, Base::Config, "opencode")],
    commands: &["opencode", "opencode2"],
    format: Format::Jsonc,
    keys: &["mcp"],
    shape: Shape::Listed,
    // Version 2 has settings of these names there.
    reserved: &["servers", "timeout"],
};

/// goose reads `config.yaml`, and has MCP servers under `extensions`, as `{type: "stdio", name,
/// enabled, cmd, args, envs, env_keys, timeout}`. The key is the name in lower case.
///
/// Sources: <https://goose-docs.ai/docs/guides/config-files> (the file `config-files.md` of
/// <https://github.com/aaif-goose/goose>); `GOOSE_PATH_ROOT` and the key are in its source,
/// `crates/goose/src/config`.
const GOOSE: Facts = Facts {
    files: &[
        at(ALL, Base::Variable("GOOSE_PATH_ROOT"), "config/config.yaml"),
        at(UNIX, Base::Config, "goose/config.yaml"),
        at(WINDOWS, Base::AppData, "Block/goose/config/config.yaml"),
    ],
    folders: &[
        at(ALL, Base::Variable("GOOSE_PATH_ROOT"), "config"),
        at(UNIX, Base::Config, "goose"),
        at(WINDOWS, Base::AppData, "Block/goose"),
    ],
    commands: &["goose"],
    format: Format::Yaml,
    keys: &["extensions"],
    shape: Shape::Extension,
    reserved: &[],
};

/// Windsurf reads `~/.codeium/windsurf/mcp_config.json`, with the schema of Claude Desktop's file.
/// Since it is called Devin Desktop its new local agent may read another file as well; that is not
/// confirmed. Nor is it whether comments are taken: a file that has them is taken as it is.
///
/// Source: <https://docs.windsurf.com/windsurf/cascade/mcp>.
const WINDSURF: Facts = Facts {
    files: &[at(ALL, Base::Home, ".codeium/windsurf/mcp_config.json")],
    folders: &[at(ALL, Base::Home, ".codeium/windsurf")],
    commands: &["windsurf"],
    format: Format::Jsonc,
    keys: &["mcpServers"],
    shape: Shape::Plain,
    reserved: &[],
};

impl Program {
    /// What is known of the program.
    pub(crate) fn facts(self) -> &'static Facts {
        match self {
            Program::ClaudeCode => &CLAUDE_CODE,
            Program::ClaudeDesktop => &CLAUDE_DESKTOP,
            Program::Codex => &CODEX,
            Program::Cursor => &CURSOR,
            Program::VsCode => &VSCODE,
            Program::GeminiCli => &GEMINI_CLI,
            Program::OpenCode => &OPENCODE,
            Program::Goose => &GOOSE,
            Program::Windsurf => &WINDSURF,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_place_on_every_system() {
        for program in Program::ALL {
            let facts = program.facts();
            for os in ALL {
                let has = |places: &[Place]| places.iter().any(|place| place.on.contains(os));
                assert!(has(facts.files) && has(facts.folders), "{program} on {os:?}");
            }
            assert!(!facts.commands.is_empty() && !facts.keys.is_empty());
        }
    }
}
