//! How the story is told: aligned lines for people, one document for programs.

use super::story::Halt;
use crate::fault::Fault;
use crate::screen::{Palette, Screen, Tone, note, one_line};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The width of a step's title; its time stands behind it.
const TITLE_CHARS: usize = 72;
/// The width of a fact's label.
const LABEL_CHARS: usize = 13;

/// One figure of a step: its key for programs, its label and words for people.
pub struct Fact {
    key: &'static str,
    label: &'static str,
    value: Value,
    words: String,
}

/// A figure whose value is shown as it is.
pub fn fact(key: &'static str, label: &'static str, value: impl Into<Value>) -> Fact {
    let value = value.into();
    let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Fact { key, label, value, words }
}

/// A figure that people read in other words than programs.
pub fn told(
    key: &'static str,
    label: &'static str,
    value: impl Into<Value>,
    words: impl Into<String>,
) -> Fact {
    Fact { key, label, value: value.into(), words: words.into() }
}

/// Tells steps and keeps them for the document.
pub struct Teller {
    screen: Screen,
    started: Instant,
    steps: Vec<Value>,
}

impl Teller {
    /// A teller whose total time counts from `started`.
    pub fn new(screen: Screen, started: Instant) -> Teller {
        Teller { screen, started, steps: Vec::new() }
    }

    /// Says what this is.
    pub fn opening(&self) -> Result<(), Fault> {
        if self.screen.is_json() {
            return Ok(());
        }
        let screen = self.screen;
        screen.line("")?;
        screen
            .line(&screen.palette.paint(Tone::Strong, "Imprest, the petty-cash desk for agents"))?;
        screen.line(
            "A throwaway desk with practice money. Every figure below is read back from the",
        )?;
        screen.line("chain or the books, and checked.")?;
        screen.line("")
    }

    /// Does one step and tells it, or says what differed.
    pub async fn step<A>(
        &mut self,
        title: &'static str,
        work: impl Future<Output = Result<(A, Vec<Fact>), Halt>>,
    ) -> Result<A, Fault> {
        let number = self.steps.len() + 1;
        let begun = Instant::now();
        let waiting = Waiting::begin(title);
        let outcome = work.await;
        waiting.end();
        let (answer, facts) = outcome.map_err(|halt| halt.at(number, title))?;
        let took = begun.elapsed();
        if !self.screen.is_json() {
            self.show(number, title, took, &facts)?;
        }
        let facts: Map<String, Value> =
            facts.into_iter().map(|fact| (fact.key.to_owned(), fact.value)).collect();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(json!({
            "step": number, "title": title, "took_ms": took_ms, "facts": facts,
        }));
        Ok(answer)
    }

    fn show(
        &self,
        number: usize,
        title: &str,
        took: Duration,
        facts: &[Fact],
    ) -> Result<(), Fault> {
        let screen = self.screen;
        let mark = screen.palette.paint(Tone::Good, "✓");
        let padding = " ".repeat(TITLE_CHARS.saturating_sub(title.chars().count()));
        let title = screen.palette.paint(Tone::Strong, title);
        let time = screen.palette.paint(Tone::Faint, &format!("{:>7}", seconds(took)));
        screen.line(&format!("{number:>3}  {title}{padding}{mark} {time}"))?;
        for fact in facts.iter().filter(|fact| !fact.words.is_empty()) {
            let label = screen.palette.paint(Tone::Faint, &format!("{:<LABEL_CHARS$}", fact.label));
            screen.line(&format!("     {label}  {}", one_line(&fact.words)))?;
        }
        screen.line("")
    }

    /// Says how it ended, or writes the document.
    pub fn ending(self) -> Result<(), Fault> {
        let took = self.started.elapsed();
        if self.screen.is_json() {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let document = json!({ "done": true, "took_ms": took_ms, "steps": self.steps });
            return self.screen.document(&document);
        }
        let screen = self.screen;
        let line =
            format!("All {} steps did what they say, in {}.", self.steps.len(), seconds(took));
        screen.line(&screen.palette.paint(Tone::Good, &line))?;
        screen.line("Your own desk: imprest init --practice, then imprest serve --practice")
    }
}

/// `0.9 s`.
fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// A line on standard error while something takes its time; gone when it is done.
pub struct Waiting {
    is_terminal: bool,
}

impl Waiting {
    /// Says what is being waited for. Without a terminal only the first wait is worth a line.
    pub fn begin(what: &str) -> Waiting {
        let is_terminal = io::stderr().is_terminal();
        if is_terminal {
            let text = Palette::of(true).paint(Tone::Faint, &format!("     {what} …"));
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r{text}").and_then(|()| stderr.flush());
        } else if what.starts_with("starting") {
            note(&format!("{what} …"));
        }
        Waiting { is_terminal }
    }

    /// Takes the line away again.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_terminal {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K").and_then(|()| stderr.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_tenths() {
        assert_eq!(seconds(Duration::from_millis(49)), "0.0 s");
        assert_eq!(seconds(Duration::from_millis(950)), "1.0 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
    }

    #[test]
    fn a_fact_is_a_value_and_its_words() {
        assert_eq!(fact("block", "block", 12).words, "12");
        assert_eq!(fact("state", "state", "settled").words, "settled");
    }
}
