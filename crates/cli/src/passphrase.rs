//! The owner's passphrase on its way in: typed on the terminal, or one line of standard input.
//! Never an argument and never an environment variable, which other programs can read.

use crate::fault::Fault;
use imprest_desk::{PASSPHRASE_CHARS_MIN, SecretText};
use std::io::{self, IsTerminal, Read};
use zeroize::{Zeroize, Zeroizing};

/// The longest line that is read, in bytes; longer than any passphrase the vault takes.
const MAX_LINE_BYTES: usize = 4096;

/// Where the passphrase comes from in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One line of standard input.
    Stdin,
    /// The terminal.
    Terminal,
    /// Nowhere: there is no terminal.
    None,
}

impl Source {
    /// What this run has.
    pub fn of(passphrase_stdin: bool) -> Source {
        match (passphrase_stdin, io::stdin().is_terminal()) {
            (true, _) => Source::Stdin,
            (false, true) => Source::Terminal,
            (false, false) => Source::None,
        }
    }

    /// The passphrase of an existing vault.
    ///
    /// # Errors
    /// [`Fault::NoTerminal`] when there is nobody to ask, and [`Fault::Input`] for an empty or
    /// unreadable line.
    pub fn ask(self) -> Result<SecretText, Fault> {
        self.ask_for("Passphrase: ")
    }

    /// As [`Source::ask`], saying on the terminal which passphrase is meant.
    ///
    /// # Errors
    /// As [`Source::ask`].
    pub fn ask_for(self, prompt: &str) -> Result<SecretText, Fault> {
        match self {
            Source::Stdin => line(),
            Source::Terminal => typed(prompt),
            Source::None => Err(Fault::NoTerminal),
        }
    }

    /// Another secret of the owner's: words, a key. The next line of standard input, if that is
    /// where secrets come from.
    ///
    /// # Errors
    /// As [`Source::ask`].
    pub fn secret(self, prompt: &str) -> Result<SecretText, Fault> {
        match self {
            Source::Stdin => line(),
            Source::Terminal => typed(prompt),
            Source::None => Err(Fault::NoTerminal),
        }
    }

    /// A new passphrase; typed twice on a terminal.
    ///
    /// # Errors
    /// As [`Source::ask`], and [`Fault::Input`] when the two differ.
    pub fn choose(self) -> Result<SecretText, Fault> {
        self.choose_as(&format!("New passphrase, at least {PASSPHRASE_CHARS_MIN} characters: "))
    }

    /// As [`Source::choose`], asked for in other words.
    ///
    /// # Errors
    /// As [`Source::choose`].
    pub fn choose_as(self, prompt: &str) -> Result<SecretText, Fault> {
        if self != Source::Terminal {
            return self.ask();
        }
        let first = typed(prompt)?;
        let again = typed("The same again: ")?;
        if first.expose() == again.expose() {
            Ok(first)
        } else {
            Err(Fault::input("The two passphrases differ.", "Run the command again."))
        }
    }
}

fn typed(prompt: &str) -> Result<SecretText, Fault> {
    let text = rpassword::prompt_password(prompt).map_err(|source| match source.kind() {
        io::ErrorKind::Interrupted => Fault::Stopped,
        _ => Fault::NoTerminal,
    })?;
    kept(text)
}

fn kept(mut text: String) -> Result<SecretText, Fault> {
    if text.is_empty() {
        text.zeroize();
        return Err(Fault::input("The passphrase is empty.", "Give it again, in one line."));
    }
    Ok(SecretText::new(text))
}

/// Reads one line straight from the descriptor: the standard library's buffer would keep a copy.
fn line() -> Result<SecretText, Fault> {
    let unreadable = |source| Fault::File { what: "Standard input cannot be read".into(), source };
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let owned = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        read_line(std::fs::File::from(owned)).map_err(unreadable)?
    }
    #[cfg(not(unix))]
    read_line(io::stdin().lock()).map_err(unreadable)?
}

/// One line without its end, byte by byte so that nothing behind it is taken.
fn read_line(mut input: impl Read) -> io::Result<Result<SecretText, Fault>> {
    // Exact capacity: a growing buffer would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
    let mut byte = Zeroizing::new([0u8; 1]);
    loop {
        match input.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if bytes.len() == MAX_LINE_BYTES => {
                return Ok(Err(Fault::input(
                    "The passphrase on standard input is too long.",
                    "Give one line of at most 1024 bytes.",
                )));
            }
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(match std::str::from_utf8(&bytes) {
        Ok(text) => kept(text.to_owned()),
        Err(_) => Err(Fault::input(
            "The passphrase on standard input is not text.",
            "Give one line of UTF-8.",
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<String, String> {
        let line = read_line(input).expect("memory can be read");
        line.map(|secret| secret.expose().to_owned()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn one_line_without_its_end() {
        assert_eq!(read(b"correct horse\nmore"), Ok("correct horse".into()));
        assert_eq!(read(b"correct horse\r\n"), Ok("correct horse".into()));
        assert_eq!(read(b"no end"), Ok("no end".into()));
        assert_eq!(read(b" spaces stay \n"), Ok(" spaces stay ".into()));
    }

    #[test]
    fn what_is_no_passphrase_is_said() {
        assert!(read(b"").expect_err("empty").contains("empty"));
        assert!(read(b"\n").expect_err("empty").contains("empty"));
        assert!(read(b"\xff\xfe\n").expect_err("not text").contains("not text"));
        let long = vec![b'a'; MAX_LINE_BYTES + 1];
        assert!(read(&long).expect_err("long").contains("too long"));
        assert_eq!(read(&long[..MAX_LINE_BYTES]).map(|text| text.len()), Ok(MAX_LINE_BYTES));
    }
}
