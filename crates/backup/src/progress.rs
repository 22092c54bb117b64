//! How far a backup or a restore is.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The ledger is copied as it is at this moment.
    Copying,
    /// The parts are sealed into the file.
    Sealing,
    /// The file is read, and its parts are put into a scratch folder.
    Reading,
    /// What was read is proven: the ledger's chain and every table, and the vault's file.
    Proving,
    /// The files are put in their places.
    Placing,
}

/// How far one step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which step.
    pub step: Step,
    /// How many bytes it has worked through.
    pub done_bytes: u64,
    /// How many there are; zero when nobody knows.
    pub total_bytes: u64,
}

/// Whom progress is told.
pub(crate) struct Tell(Box<dyn FnMut(Progress) + Send>);

impl Tell {
    pub(crate) fn to(whom: impl FnMut(Progress) + Send + 'static) -> Tell {
        Tell(Box::new(whom))
    }

    /// A step begins whose length nobody knows.
    pub(crate) fn step(&mut self, step: Step) {
        (self.0)(Progress { step, done_bytes: 0, total_bytes: 0 });
    }

    /// A step of so many bytes: answers what to call with the bytes of each piece.
    pub(crate) fn counting(&mut self, step: Step, total_bytes: u64) -> impl FnMut(u64) + '_ {
        let mut done_bytes = 0;
        (self.0)(Progress { step, done_bytes, total_bytes });
        move |bytes| {
            done_bytes += bytes;
            (self.0)(Progress { step, done_bytes, total_bytes });
        }
    }
}
