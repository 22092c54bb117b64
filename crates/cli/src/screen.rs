//! What is written where: answers on standard output, everything else on standard error.

use crate::fault::Fault;
use imprest_domain::plain_line;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// The longest cell of a table, in characters.
const MAX_CELL_CHARS: usize = 90;
/// The longest line shown of a stranger's text, in characters.
const MAX_LINE_CHARS: usize = 400;

/// How a piece of text is meant; a colour on a terminal and nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
    /// It went well.
    Good,
    /// It needs a look.
    Ask,
    /// It was refused or went wrong.
    Bad,
}

/// Whether colours are written to a stream.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    coloured: bool,
}

impl Palette {
    /// Colours for a terminal that has not been asked to do without (NO_COLOR, TERM=dumb).
    pub fn of(is_terminal: bool) -> Palette {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Palette { coloured: is_terminal && !set("NO_COLOR") && !dumb }
    }

    /// The text in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Ask => "33",
            Tone::Bad => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.coloured && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The terminal, or whatever stands in its place.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    json: bool,
    /// For standard output.
    pub palette: Palette,
}

impl Screen {
    /// The screen of this run.
    pub fn new(json: bool) -> Screen {
        Screen { json, palette: Palette::of(io::stdout().is_terminal()) }
    }

    /// Whether answers are JSON.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person looks at standard output.
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Writes one line to standard output.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn line(self, text: &str) -> Result<(), Fault> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Fault> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(Fault::Output)
    }

    /// Writes one JSON document on one line.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn document(self, document: &impl Serialize) -> Result<(), Fault> {
        let text = serde_json::to_string(document)
            .map_err(|error| Fault::Output(io::Error::other(error)))?;
        self.line(&text)
    }

    /// Writes a list as one JSON document a line.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn documents<'a>(self, list: impl IntoIterator<Item = &'a Value>) -> Result<(), Fault> {
        list.into_iter().try_for_each(|item| self.document(item))
    }

    /// Writes label and value pairs, aligned; empty values are left out.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn facts(self, indent: usize, facts: &[(&str, String)]) -> Result<(), Fault> {
        let width = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        for (label, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let label = self.palette.paint(Tone::Faint, &format!("{label:<width$}"));
            self.line(&format!("{:indent$}{label}   {}", "", one_line(value)))?;
        }
        Ok(())
    }

    /// Writes rows under a heading, in columns as wide as they need to be.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn table(self, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), Fault> {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| plain_line(&cell.text, MAX_CELL_CHARS)).collect())
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let widest = cells.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count());
                widest.chain([column.title.chars().count()]).max().unwrap_or_default()
            })
            .collect();
        let titles = columns.iter().map(|column| (column.title, Tone::Faint));
        self.line(&self.row(columns, &widths, titles))?;
        for (row, texts) in rows.iter().zip(&cells) {
            let toned = texts.iter().map(String::as_str).zip(row.iter().map(|cell| cell.tone));
            self.line(&self.row(columns, &widths, toned))?;
        }
        Ok(())
    }

    /// Writes limits over time under an empty line, if there are any.
    ///
    /// # Errors
    /// [`Fault::Output`].
    pub fn windows<'a>(self, windows: impl Iterator<Item = WindowCells<'a>>) -> Result<(), Fault> {
        let rows: Vec<Vec<Cell>> = windows
            .map(|window| {
                let again = window.resets_at.map_or("never".to_owned(), local_time);
                window.limits.into_iter().map(cell).chain([cell(again)]).collect()
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.line("")?;
        let columns = [
            left("window"),
            right("limit"),
            right("spent"),
            right("in flight"),
            right("left"),
            left("starts again"),
        ];
        self.table(&columns, &rows)
    }

    fn row<'a>(
        self,
        columns: &[Column],
        widths: &[usize],
        cells: impl Iterator<Item = (&'a str, Tone)>,
    ) -> String {
        let mut line = String::new();
        for (at, ((text, tone), (column, width))) in
            cells.zip(columns.iter().zip(widths)).enumerate()
        {
            if at > 0 {
                line.push_str("   ");
            }
            let padding = " ".repeat(width.saturating_sub(text.chars().count()));
            let text = self.palette.paint(tone, text);
            match column.right {
                true => line.extend([padding.as_str(), &text]),
                false => line.extend([&text, padding.as_str()]),
            }
        }
        line.trim_end().to_owned()
    }
}

/// One limit over time, as the desk words it.
pub struct WindowCells<'a> {
    /// Window, limit, spent, in flight, left.
    pub limits: [&'a String; 5],
    /// When the next window starts; a lifetime never ends.
    pub resets_at: Option<&'a str>,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    right: bool,
}

/// A column of words.
pub const fn left(title: &'static str) -> Column {
    Column { title, right: false }
}

/// A column of figures.
pub const fn right(title: &'static str) -> Column {
    Column { title, right: true }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// A plain cell.
pub fn cell(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), tone: Tone::Plain }
}

/// A cell with a tone.
pub fn toned(tone: Tone, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), tone }
}

/// Writes a line to standard error. That nobody may be reading there is no reason to fail.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// One line of text that cannot move the cursor or hide anything.
pub fn one_line(text: &str) -> String {
    plain_line(text, MAX_LINE_CHARS)
}

/// A body on a terminal: line breaks and tabs stay, every other control character is shown, so
/// that a payee cannot write to the person's terminal.
pub fn terminal_text(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let cells: Vec<String> =
            line.trim_end_matches('\r').split('\t').map(|c| plain_line(c, usize::MAX)).collect();
        cells.join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A moment in the person's own time zone, to the second; the text itself if it is none.
pub fn local_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => {
            let zone = jiff::tz::TimeZone::system();
            moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
        }
        Err(_) => one_line(text),
    }
}

/// The tone of a payment's state or a finding's effect.
pub fn tone_of(word: &str) -> Tone {
    match word {
        "settled" | "delivered" | "free" | "allow" | "pass" | "approved" | "open" => Tone::Good,
        "waiting" | "held" | "pending" | "ask" | "unknown" | "locked" => Tone::Ask,
        "refused" | "deny" | "failed" | "void" | "expired" => Tone::Bad,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payee_cannot_move_the_cursor() {
        assert_eq!(terminal_text("a\r\n\tb\x1b[2Jc"), "a\n\tb⟨U+001B⟩[2Jc");
        assert_eq!(one_line("a\nb"), "a⟨U+000A⟩b");
    }

    #[test]
    fn colours_are_for_terminals() {
        let plain = Palette { coloured: false };
        assert_eq!(plain.paint(Tone::Bad, "no"), "no");
        assert_eq!(Palette { coloured: true }.paint(Tone::Bad, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(Palette { coloured: true }.paint(Tone::Bad, ""), "");
    }

    #[test]
    fn rows_are_aligned() {
        let screen = Screen { json: false, palette: Palette { coloured: false } };
        let columns = [left("name"), right("left")];
        let row =
            screen.row(&columns, &[6, 5], [("a", Tone::Plain), ("1.00", Tone::Plain)].into_iter());
        assert_eq!(row, "a         1.00");
    }
}
