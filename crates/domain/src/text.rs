//! Text from outsiders: bounded, and with nothing hidden in it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bounds a stranger's text and makes control and bidirectional characters visible.
///
/// Line breaks stay; every other control character, and every character that reorders or hides
/// text (Unicode TR 9 and zero-width), becomes `⟨U+XXXX⟩`. At most `max_chars` characters are
/// kept, then `…`.
pub fn plain(text: &str, max_chars: usize) -> String {
    shown(text, max_chars, true)
}

/// As [`plain`], but line breaks are made visible too, for what must stay on one line.
pub fn plain_line(text: &str, max_chars: usize) -> String {
    shown(text, max_chars, false)
}

fn shown(text: &str, max_chars: usize, keep_breaks: bool) -> String {
    let mut out = String::new();
    for (taken, c) in text.chars().enumerate() {
        if taken == max_chars {
            out.push('…');
            break;
        }
        if (c == '\n' && keep_breaks) || !hides(c) {
            out.push(c);
        } else {
            out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
        }
    }
    out
}

fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// An agent's name: 1–32 of letters, digits, space, `-`, `_`, `.`; compared without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(String);

impl AgentName {
    /// The name as its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the agent of a rehearsal.
    pub(crate) fn of_rehearsal() -> AgentName {
        AgentName("Rehearsal".to_owned())
    }

    /// The form names are compared by: lower case, spaces as `-`.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase().replace(' ', "-")
    }
}

/// A text that cannot be an agent's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to 32 letters, digits, spaces, dots, hyphens or underscores, and starts with a letter or digit"
)]
pub struct NameError;

impl FromStr for AgentName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !text.ends_with(' ')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_.".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

impl TryFrom<String> for AgentName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> String {
        name.0
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_hide() {
        assert_eq!(plain_line("pay\u{202E}tsil", 40), "pay⟨U+202E⟩tsil");
        assert_eq!(plain_line("a\nb\u{0}", 40), "a⟨U+000A⟩b⟨U+0000⟩");
        assert_eq!(plain("a\nb", 40), "a\nb");
        assert_eq!(plain("abcdef", 3), "abc…");
    }

    #[test]
    fn names_are_plain() {
        let nobody = AgentName::of_rehearsal();
        assert_eq!(nobody.as_str().parse(), Ok(nobody));
        assert_eq!("Night shift".parse::<AgentName>().map(|n| n.key()), Ok("night-shift".into()));
        for bad in ["", " a", "a ", "a/b", "a\u{202E}", "ünï", &"a".repeat(33)] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_name_is_written_as_its_owner_wrote_it() {
        let name: AgentName = "Night shift".parse().expect("a name");
        assert_eq!(name.to_string(), "Night shift");
        let json = serde_json::to_string(&name).expect("written");
        assert_eq!(json, r#""Night shift""#);
        assert_eq!(serde_json::from_str::<AgentName>(&json).expect("read"), name);
        assert!(serde_json::from_str::<AgentName>(r#"" Night""#).is_err());
    }
}
