//! The agent programs the desk knows.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An agent program whose settings the desk can write into. Where each keeps them, and in which
/// shape, stands with its sources in the table of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Claude Code, Anthropic's program for the terminal.
    ClaudeCode,
    /// Claude Desktop, Anthropic's application.
    ClaudeDesktop,
    /// Codex, OpenAI's program for the terminal, its editor extension and its application.
    Codex,
    /// Cursor, the editor.
    Cursor,
    /// Visual Studio Code.
    #[serde(rename = "vscode")]
    VsCode,
    /// Gemini CLI, Google's program for the terminal.
    GeminiCli,
    /// opencode, for the terminal.
    #[serde(rename = "opencode")]
    OpenCode,
    /// goose, for the terminal and the desktop.
    Goose,
    /// Windsurf, the editor that is now also called Devin Desktop.
    Windsurf,
}

impl Program {
    /// Every program, in the order in which they are listed.
    pub const ALL: [Program; 9] = [
        Program::ClaudeCode,
        Program::ClaudeDesktop,
        Program::Codex,
        Program::Cursor,
        Program::VsCode,
        Program::GeminiCli,
        Program::OpenCode,
        Program::Goose,
        Program::Windsurf,
    ];

    /// The word for it on a command line and in files, such as `claude-code`.
    pub fn word(self) -> &'static str {
        match self {
            Program::ClaudeCode => "claude-code",
            Program::ClaudeDesktop => "claude-desktop",
            Program::Codex => "codex",
            Program::Cursor => "cursor",
            Program::VsCode => "vscode",
            Program::GeminiCli => "gemini-cli",
            Program::OpenCode => "opencode",
            Program::Goose => "goose",
            Program::Windsurf => "windsurf",
        }
    }

    /// The name by which its users know it.
    pub fn title(self) -> &'static str {
        match self {
            Program::ClaudeCode => "Claude Code",
            Program::ClaudeDesktop => "Claude Desktop",
            Program::Codex => "Codex",
            Program::Cursor => "Cursor",
            Program::VsCode => "VS Code",
            Program::GeminiCli => "Gemini CLI",
            Program::OpenCode => "opencode",
            Program::Goose => "goose",
            Program::Windsurf => "Windsurf",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// A word that is no program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the programs are claude-code, claude-desktop, codex, cursor, vscode, gemini-cli, opencode, goose and windsurf"
)]
pub struct UnknownProgram;

impl FromStr for Program {
    type Err = UnknownProgram;
    fn from_str(text: &str) -> Result<Self, UnknownProgram> {
        Program::ALL.into_iter().find(|program| program.word() == text).ok_or(UnknownProgram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_one_word_everywhere() {
        for program in Program::ALL {
            assert_eq!(program.word().parse(), Ok(program));
            assert_eq!(serde_json::to_value(program).unwrap(), program.word());
            assert!(UnknownProgram.to_string().contains(program.word()));
        }
        assert_eq!("emacs".parse::<Program>(), Err(UnknownProgram));
    }
}
