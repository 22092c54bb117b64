//! What a proof answers: figures, or what was broken and how to see it again.

use std::fmt;

/// Which proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The model of the money path, every state of it.
    Model,
    /// The ledger beside an oracle.
    Oracle,
    /// The ledger under kill −9.
    Killed,
    /// The ledger on a disk that fails and loses power.
    Disk,
    /// The ledger after somebody edited its file.
    Tampering,
}

impl Proof {
    /// All of them, in the order in which they run.
    pub const ALL: [Proof; 5] =
        [Proof::Model, Proof::Oracle, Proof::Killed, Proof::Disk, Proof::Tampering];

    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Proof::Model => "model",
            Proof::Oracle => "oracle",
            Proof::Killed => "killed",
            Proof::Disk => "disk",
            Proof::Tampering => "tampering",
        }
    }

    /// Reads [`Proof::word`] back.
    pub fn from_word(word: &str) -> Option<Proof> {
        Proof::ALL.into_iter().find(|proof| proof.word() == word)
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which proof saw it.
    pub proof: Proof,
    /// The seed that leads to it again.
    pub seed: u64,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.proof.word();
        write!(
            f,
            "{word}: {}\nTo see it again: imprest-soak --only {word} --seed {} --rounds 1",
            self.what, self.seed
        )
    }
}

impl std::error::Error for Broken {}

/// What a proof counted, in the order in which it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(Vec<(String, u64)>);

impl Figures {
    /// Adds to a figure, or begins it.
    pub fn add(&mut self, name: &str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((name.to_owned(), count)),
        }
    }

    /// Counts one more.
    pub fn count(&mut self, name: &str) {
        self.add(name, 1);
    }

    /// A figure; 0 when nothing of the kind was counted.
    pub fn get(&self, name: &str) -> u64 {
        self.0.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    }

    /// All of them.
    pub fn all(&self) -> &[(String, u64)] {
        &self.0
    }

    /// Adds those of another run of the same proof.
    pub fn merge(&mut self, other: &Figures) {
        for (name, count) in &other.0 {
            self.add(name, *count);
        }
    }
}
