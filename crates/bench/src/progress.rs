//! What the person at the terminal reads while it works; on standard error.

use crate::table::{grouped, time};
use std::time::Instant;

/// A step that takes long enough to be worth a line before it ends.
pub struct Step {
    name: String,
    began: Instant,
}

/// Announces a step.
pub fn begin(name: impl Into<String>) -> Step {
    let name = name.into();
    eprintln!("→ {name}");
    Step { name, began: Instant::now() }
}

impl Step {
    /// Says how far a long step has come.
    pub fn at(&self, done: u64, all: u64) {
        eprintln!("  {}: {} of {}", self.name, grouped(done), grouped(all));
    }

    /// Closes the step.
    pub fn done(self) {
        eprintln!("✓ {} ({})", self.name, time(self.began.elapsed()));
    }
}
