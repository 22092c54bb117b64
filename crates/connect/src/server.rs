//! The entry: what the desk is called in another program's settings, and what starts it.

use crate::error::ConnectError;
use crate::tree::{Kind, Node};
use imprest_domain::AgentName;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most bytes of a path in an entry.
const PATH_MAX_BYTES: usize = 4_096;

/// The name of an entry among a program's servers: 1 to 32 lower-case letters, digits, hyphens or
/// underscores, starting with a letter. Every program takes that, whatever else it takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

/// A text that cannot be a server's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a server's name is 1 to 32 lower-case letters, digits, hyphens or underscores, and starts with a letter"
)]
pub struct ServerNameError;

impl ServerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServerName {
    fn default() -> Self {
        ServerName("imprest".to_owned())
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;
    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let fits = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if fits { Ok(ServerName(text.to_owned())) } else { Err(ServerNameError) }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry says: start `imprest mcp --agent NAME`. It has no room for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    name: ServerName,
    command: String,
    agent: AgentName,
    data: Option<String>,
}

impl Server {
    /// The entry `name` that starts `command` for `agent`.
    ///
    /// # Errors
    /// [`ConnectError::Command`] for a path that is not absolute, not plain text or over-long.
    pub fn new(name: ServerName, command: &Path, agent: AgentName) -> Result<Server, ConnectError> {
        Ok(Server { name, command: plain_path(command)?, agent, data: None })
    }

    /// The same for a desk whose data folder is not the usual one; it is put after the agent's name
    /// as `--data`.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn on_data(mut self, folder: &Path) -> Result<Server, ConnectError> {
        self.data = Some(plain_path(folder)?);
        Ok(self)
    }

    /// The name among the program's servers.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// The agent whose purse it opens.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// The absolute path of `imprest`.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// What follows the command.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args: Vec<String> =
            ["mcp", "--agent", self.agent.as_str()].map(str::to_owned).into();
        args.extend(self.data.iter().flat_map(|folder| ["--data".to_owned(), folder.clone()]));
        args
    }

    /// The command and what follows it.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![self.command.clone()];
        words.extend(self.args());
        words
    }
}

fn plain_path(path: &Path) -> Result<String, ConnectError> {
    let refuse = |why| ConnectError::Command { path: PathBuf::from(path), why };
    let text = path.to_str().ok_or_else(|| refuse("it is not UTF-8"))?;
    if !path.is_absolute() {
        return Err(refuse("it is not absolute"));
    }
    if text.len() > PATH_MAX_BYTES {
        return Err(refuse("it is too long"));
    }
    // The replacement character would be there for bytes that were lost; bidirectional marks make a
    // path look like another one.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{FFFD}' | '\u{FEFF}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if text.chars().any(odd) {
        return Err(refuse("it has control characters"));
    }
    Ok(text.to_owned())
}

/// How a program writes a server that it starts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `command`, `args`.
    Plain,
    /// `type: "stdio"`, `command`, `args`.
    Typed,
    /// `type: "local"`, `command: [...]`, `enabled: true`.
    Listed,
    /// `type: "local"`, `command: [...]`.
    ListedOnly,
    /// goose's extension.
    Extension,
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Text(String),
    Words(Vec<String>),
    Flag(bool),
    Number(u32),
    Map(Vec<(String, Content)>),
}

impl Shape {
    /// The entry in this shape.
    pub(crate) fn entry(self, server: &Server) -> Content {
        let text = |text: &str| Content::Text(text.to_owned());
        let command = || text(server.command());
        let args = || Content::Words(server.args());
        let local = ("type", text("local"));
        let fields = match self {
            Shape::Plain => vec![("command", command()), ("args", args())],
            Shape::Typed => {
                vec![("type", text("stdio")), ("command", command()), ("args", args())]
            }
            Shape::Listed => vec![
                local,
                ("command", Content::Words(server.words())),
                ("enabled", Content::Flag(true)),
            ],
            Shape::ListedOnly => vec![local, ("command", Content::Words(server.words()))],
            Shape::Extension => vec![
                ("enabled", Content::Flag(true)),
                ("type", text("stdio")),
                ("name", text(server.name.as_str())),
                ("description", text("Pays for what this agent buys, within its budget")),
                ("cmd", command()),
                ("args", args()),
                ("envs", Content::Map(Vec::new())),
                ("env_keys", Content::Words(Vec::new())),
                ("timeout", Content::Number(300)),
            ],
        };
        Content::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The values of an entry that hold its command line, in order: one list, or a text and a list.
    fn parts(self, entry: &Node) -> Option<(Option<&Node>, &Node)> {
        match self {
            Shape::Plain | Shape::Typed => Some((Some(entry.get("command")?), entry.get("args")?)),
            Shape::Listed | Shape::ListedOnly => Some((None, entry.get("command")?)),
            Shape::Extension => Some((Some(entry.get("cmd")?), entry.get("args")?)),
        }
    }

    /// The command line of an entry, if it has one.
    pub(crate) fn line(self, entry: &Node) -> Option<CommandLine<'_>> {
        let (command, list) = self.parts(entry)?;
        let Kind::List(items) = &list.kind else { return None };
        let words: Vec<&Node> = command.into_iter().chain(items).collect();
        words.iter().all(|word| word.as_text().is_some()).then_some(CommandLine { words, list })
    }
}

/// The command line that stands in an entry.
pub(crate) struct CommandLine<'a> {
    /// Each word, all of them text.
    pub words: Vec<&'a Node>,
    /// The list that holds all words, or all but the first.
    pub list: &'a Node,
}

impl<'a> CommandLine<'a> {
    pub(crate) fn texts(&self) -> Vec<&'a str> {
        self.words.iter().filter_map(|word| word.as_text()).collect()
    }

    /// The agent it is for, if the entry is a desk's: `imprest mcp --agent NAME`, wherever the
    /// program lies, with no more after it than a data folder.
    pub(crate) fn agent(&self) -> Option<&'a str> {
        match self.texts()[..] {
            [command, "mcp", "--agent", agent]
            | [command, "mcp", "--agent", agent, "--data", _] => {
                is_imprest(command).then_some(agent)
            }
            _ => None,
        }
    }
}

fn is_imprest(command: &str) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    name == "imprest" || name.eq_ignore_ascii_case("imprest.exe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_program_takes() {
        for good in ["imprest", "a", "imprest-2", "my_desk"] {
            assert_eq!(good.parse::<ServerName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(33);
        for bad in ["", "Imprest", "2nd", "-a", "__proto__", "a b", "a.b", "a\"", "é", &long] {
            assert_eq!(bad.parse::<ServerName>(), Err(ServerNameError), "{bad}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_command_is_a_plain_absolute_path() {
        let make = |path: &str| {
            Server::new(ServerName::default(), Path::new(path), "scout".parse().unwrap())
        };
        assert_eq!(make("/opt/my desk/imprest").unwrap().words()[0], "/opt/my desk/imprest");
        for bad in
            ["imprest", "./imprest", "/a\nb", "/a\u{202e}b", &format!("/{}", "a".repeat(5000))]
        {
            assert!(matches!(make(bad), Err(ConnectError::Command { .. })), "{bad:?}");
        }
        let on = make("/imprest").unwrap().on_data(Path::new("/desk")).unwrap();
        assert_eq!(on.words(), ["/imprest", "mcp", "--agent", "scout", "--data", "/desk"]);
    }

    #[test]
    fn a_desk_is_known_by_its_command() {
        assert!(is_imprest("/usr/bin/imprest") && is_imprest("imprest"));
        assert!(is_imprest(r"C:\Program Files\Imprest\IMPREST.EXE"));
        assert!(!is_imprest("/usr/bin/imprest-evil") && !is_imprest("npx") && !is_imprest(""));
    }

    /// A token is 47 characters, so none can stand where the agent's name does.
    #[test]
    fn a_token_is_no_agents_name() {
        assert!(format!("imp_{}", "A".repeat(43)).parse::<AgentName>().is_err());
    }
}
