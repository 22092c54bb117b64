//! What was measured, as a table for people and a document for programs.

use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// What a ratio has to be, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// So much at most.
    AtMost(u64),
    /// So much at least.
    AtLeast(u64),
}

/// One thing beside another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What is measured.
    pub what: String,
    /// Ours, for people.
    pub ours: String,
    /// What it is compared with, for people.
    pub beside: String,
    /// The ratio, in hundredths.
    pub ratio_hundredths: u64,
    /// What it has to be; absent where a figure only tells.
    pub bar: Option<Bar>,
    /// Whether it is.
    pub met: Option<bool>,
}

impl Line {
    /// How many times as long ours takes.
    pub fn slower(what: impl Into<String>, (ours, beside): (Duration, Duration), bar: Bar) -> Line {
        let ratio = hundredths(ours.as_nanos(), beside.as_nanos());
        Line::new(what.into(), time(ours), time(beside), ratio, Some(bar))
    }

    /// How many times as fast ours is.
    pub fn faster(what: impl Into<String>, (ours, beside): (Duration, Duration), bar: Bar) -> Line {
        let ratio = hundredths(beside.as_nanos(), ours.as_nanos());
        Line::new(what.into(), time(ours), time(beside), ratio, Some(bar))
    }

    /// How many times as many a second; both are how long `count` of each took.
    pub fn more_a_second(
        what: impl Into<String>,
        (ours, our_count): (Duration, u64),
        (beside, their_count): (Duration, u64),
        bar: Bar,
    ) -> Line {
        let (mine, other) = (a_second(ours, our_count), a_second(beside, their_count));
        let ratio = hundredths(u128::from(mine), u128::from(other));
        Line::new(what.into(), rate(mine), rate(other), ratio, Some(bar))
    }

    fn new(what: String, ours: String, beside: String, ratio: u64, bar: Option<Bar>) -> Line {
        let met = bar.map(|bar| match bar {
            Bar::AtMost(most) => ratio <= most,
            Bar::AtLeast(least) => ratio >= least,
        });
        Line { what, ours, beside, ratio_hundredths: ratio, bar, met }
    }

    /// The same line with nothing to meet.
    pub fn only_told(self) -> Line {
        Line { bar: None, met: None, ..self }
    }
}

/// Something worth knowing that is compared with nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub what: String,
    /// The figure, for people.
    pub figure: String,
}

/// A fact.
pub fn fact(what: impl Into<String>, figure: impl Into<String>) -> Fact {
    Fact { what: what.into(), figure: figure.into() }
}

/// Everything that was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Side by side.
    pub lines: Vec<Line>,
    /// And what else there is to know.
    pub facts: Vec<Fact>,
}

impl Report {
    /// The table as text, aligned.
    pub fn text(&self) -> String {
        let head = ["what", "ours", "beside", "ratio", "bar", "met"].map(str::to_owned);
        let rows = std::iter::once(head).chain(self.lines.iter().map(cells)).collect::<Vec<_>>();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &rows {
            let mut line = format!("{:<1$}", row[0], width(0));
            for (at, cell) in row.iter().enumerate().skip(1) {
                // Writing to a string cannot fail.
                let _ = write!(line, "  {:>1$}", cell, width(at));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let label = self.facts.iter().map(|fact| fact.what.chars().count()).max().unwrap_or(0);
        for Fact { what, figure } in &self.facts {
            let _ = write!(text, "\n{what:<label$}  {figure}");
        }
        text.push('\n');
        text
    }

    /// The bars that were not met.
    pub fn missed(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.met == Some(false))
    }
}

fn cells(line: &Line) -> [String; 6] {
    let bar = match line.bar {
        None => String::new(),
        Some(Bar::AtMost(most)) => format!("≤ {}", times(most)),
        Some(Bar::AtLeast(least)) => format!("≥ {}", times(least)),
    };
    let met = match line.met {
        None => "",
        Some(true) => "yes",
        Some(false) => "NO",
    };
    let ratio = times(line.ratio_hundredths);
    [line.what.clone(), line.ours.clone(), line.beside.clone(), ratio, bar, met.to_owned()]
}

fn hundredths(a: u128, b: u128) -> u64 {
    u64::try_from((a * 100 + b / 2) / b.max(1)).unwrap_or(u64::MAX)
}

/// A ratio for people: `2.41×`, `15×`, `1 340×`.
fn times(hundredths: u64) -> String {
    match hundredths {
        0..=999 if !hundredths.is_multiple_of(100) => {
            format!("{}.{:02}×", hundredths / 100, hundredths % 100)
        }
        _ => format!("{}×", grouped(hundredths / 100)),
    }
}

fn a_second(took: Duration, count: u64) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / took.as_nanos().max(1)).unwrap_or(u64::MAX)
}

/// So many a second, for people.
pub fn rate(a_second: u64) -> String {
    format!("{}/s", grouped(a_second))
}

/// How many a second that is, for people.
pub fn rate_of(took: Duration, count: u64) -> String {
    rate(a_second(took, count))
}

/// A duration for people: `812 ns`, `43.1 µs`, `2.05 ms`, `1.30 s`.
pub fn time(took: Duration) -> String {
    let ns = took.as_nanos();
    let shown = |unit: u128, name: &str| {
        let (whole, rest) = (ns / unit, ns % unit);
        match whole {
            0..=9 => format!("{whole}.{:02} {name}", rest * 100 / unit),
            10..=99 => format!("{whole}.{} {name}", rest * 10 / unit),
            _ => format!("{whole} {name}"),
        }
    };
    match ns {
        0..=999 => format!("{ns} ns"),
        1_000..=999_999 => shown(1_000, "µs"),
        1_000_000..=999_999_999 => shown(1_000_000, "ms"),
        _ => shown(1_000_000_000, "s"),
    }
}

/// Bytes for people: `34 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..=999_999 => format!("{} kB", grouped(bytes / 1_000)),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}

/// A number with its thousands apart: `10 000 000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_or_not() {
        let times = |a, b| (Duration::from_micros(a), Duration::from_micros(b));
        let met = |line: Line| (line.ratio_hundredths, line.met);
        assert_eq!(met(Line::slower("", times(30, 10), Bar::AtMost(300))), (300, Some(true)));
        assert_eq!(met(Line::slower("", times(31, 10), Bar::AtMost(300))), (310, Some(false)));
        assert_eq!(met(Line::faster("", times(2, 30), Bar::AtLeast(1500))), (1500, Some(true)));
        let (ours, one) = ((Duration::from_secs(1), 1_400), (Duration::from_secs(1), 100));
        let line = Line::more_a_second("", ours, one, Bar::AtLeast(1500));
        assert_eq!(met(line.clone()), (1400, Some(false)));
        assert_eq!(line.only_told().met, None);
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(time(Duration::from_nanos(812)), "812 ns");
        assert_eq!(time(Duration::from_nanos(43_190)), "43.1 µs");
        assert_eq!(time(Duration::from_micros(2_059)), "2.05 ms");
        assert_eq!(time(Duration::from_millis(130_400)), "130 s");
        assert_eq!([times(241), times(1_500), times(134_000)], ["2.41×", "15×", "1\u{202f}340×"]);
        assert_eq!(
            (grouped(999), grouped(10_000_000)),
            ("999".into(), "10\u{202f}000\u{202f}000".into())
        );
        assert_eq!(size(34_500_000), "34 MB");
        assert_eq!(rate_of(Duration::from_millis(500), 60), "120/s");
    }

    #[test]
    fn the_table_is_aligned_and_says_what_was_missed() {
        let pair = (Duration::from_micros(31), Duration::from_micros(10));
        let report = Report {
            lines: vec![
                Line::slower("short", pair, Bar::AtMost(300)),
                Line::slower("a longer name", pair, Bar::AtMost(400)).only_told(),
            ],
            facts: vec![fact("cores", "2")],
        };
        let text = report.text();
        let ends: Vec<usize> = text
            .lines()
            .filter_map(|line| line.find("31").map(|at| line[..at].chars().count()))
            .collect();
        assert_eq!(ends.len(), 2, "{text}");
        assert_eq!(ends[0], ends[1], "{text}");
        assert!(text.contains("≤ 3×   NO"), "{text}");
        assert_eq!(report.missed().count(), 1);
    }
}
