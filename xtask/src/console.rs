//! What the person at the terminal reads: one line a step, with its time.
//!
//! Progress goes to standard error, so that a command's own output can be piped.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A step that has been announced and not yet closed.
pub struct Step {
    name: String,
    began: Instant,
}

/// Announces a step that takes long enough to be worth a line before it ends.
pub fn begin(name: impl Into<String>) -> Step {
    let name = name.into();
    eprintln!("{} {name}", paint("→", 36));
    Step { name, began: Instant::now() }
}

impl Step {
    /// Closes the step well and tells its time.
    pub fn done(self) -> Duration {
        let took = self.began.elapsed();
        eprintln!("{} {} ({})", paint("✓", 32), self.name, elapsed(took));
        took
    }

    /// Closes the step badly and tells its time.
    pub fn failed(self) -> Duration {
        let took = self.began.elapsed();
        eprintln!("{} {} failed ({})", paint("✗", 31), self.name, elapsed(took));
        took
    }
}

/// Says one line.
pub fn note(line: impl AsRef<str>) {
    eprintln!("  {}", line.as_ref());
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn elapsed(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0..=9 => format!("{seconds}.{} s", took.subsec_millis() / 100),
        10..=119 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Colours text for a terminal, and leaves it plain elsewhere.
fn paint(text: &str, colour: u8) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(elapsed(Duration::from_millis(440)), "0.4 s");
        assert_eq!(elapsed(Duration::from_millis(9_990)), "9.9 s");
        assert_eq!(elapsed(Duration::from_secs(119)), "119 s");
        assert_eq!(elapsed(Duration::from_secs(185)), "3 min 05 s");
    }
}
