//! One file's bytes: what is on the platter, and what is only on its way there.

use crate::dice::Dice;

/// What the disk writes as one piece. A sector is written whole or not at all, and a write never
/// touches bytes of the sector that it did not mean (SQLite's `POWERSAFE_OVERWRITE`).
pub(crate) const SECTOR_BYTES: usize = 512;

/// One change to a file, in the order in which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    /// Makes the file this long, shorter or longer.
    Truncate {
        len: usize,
    },
}

/// What is known of a change that is not part of the platter yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// No sync was asked for since; a power cut may keep, drop or tear it.
    Unsynced,
    /// Its sync failed. No later sync brings it to the platter any more, whatever that sync says;
    /// a power cut shows whether it arrived.
    Unknown,
    /// A sync brought it to the platter; it only waits for an older `Unknown` one to be decided,
    /// which lies below it.
    Synced,
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => write_over(image, *at, bytes),
            Change::Truncate { len } => image.resize(*len, 0),
        }
    }

    /// The change as a power cut leaves it when it was half done: some sectors of a write, at
    /// times with the length already grown; a change of length is whole in any case.
    fn apply_torn(&self, image: &mut Vec<u8>, dice: &mut Dice) {
        let Change::Write { at, bytes } = self else { return self.apply(image) };
        if dice.coin() {
            image.resize(image.len().max(at + bytes.len()), 0);
        }
        for (at, piece) in sectors(*at, bytes) {
            if dice.coin() {
                write_over(image, at, piece);
            }
        }
    }
}

/// Writes bytes into the image; a gap before them reads as zeros.
fn write_over(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

/// The pieces of a write, cut where the disk's sectors end, each with its own offset.
fn sectors(mut at: usize, mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::with_capacity(bytes.len() / SECTOR_BYTES + 2);
    while !bytes.is_empty() {
        let left_in_sector = SECTOR_BYTES - at % SECTOR_BYTES;
        let (piece, rest) = bytes.split_at(left_in_sector.min(bytes.len()));
        pieces.push((at, piece));
        (at, bytes) = (at + piece.len(), rest);
    }
    pieces
}

/// The bytes of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// What survives any power cut, except where an `Unknown` change lies over it.
    platter: Vec<u8>,
    /// Everything after that, oldest first.
    changes: Vec<(Change, Fate)>,
    /// What a reader sees: all of it applied, as the page cache has it.
    seen: Vec<u8>,
}

impl Content {
    /// A file that lies on the platter as it is.
    pub(crate) fn on_platter(bytes: Vec<u8>) -> Content {
        Content { seen: bytes.clone(), platter: bytes, changes: Vec::new() }
    }

    /// What a reader sees.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.change(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.change(Change::Truncate { len });
    }

    /// A write that fails: nothing of it may be in the file, or all, or some of its sectors.
    pub(crate) fn write_failing(&mut self, at: usize, bytes: &[u8], dice: &mut Dice) {
        match dice.below(3) {
            0 => {}
            1 => self.write(at, bytes),
            _ => {
                for (at, piece) in sectors(at, bytes) {
                    if dice.coin() {
                        self.write(at, piece);
                    }
                }
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push((change, Fate::Unsynced));
    }

    /// Brings every unsynced change to the platter.
    pub(crate) fn sync(&mut self) {
        self.settle(Fate::Synced);
        let ripe = self.changes.iter().take_while(|(_, fate)| *fate == Fate::Synced).count();
        for (change, _) in self.changes.drain(..ripe) {
            change.apply(&mut self.platter);
        }
    }

    /// A sync that fails: what it was to bring to the platter is unknown for ever.
    pub(crate) fn sync_failing(&mut self) {
        self.settle(Fate::Unknown);
    }

    fn settle(&mut self, settled: Fate) {
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Unsynced {
                *fate = settled;
            }
        }
    }

    /// What is certain to survive: the platter and everything synced since.
    pub(crate) fn durable(&self) -> Vec<u8> {
        let mut image = self.platter.clone();
        for (change, fate) in &self.changes {
            if *fate == Fate::Synced {
                change.apply(&mut image);
            }
        }
        image
    }

    /// What a power cut leaves.
    ///
    /// How much is kept and how much of the rest is torn differs from file to file, so that the
    /// rare extremes (all of one file and nothing of the other) come up as well.
    pub(crate) fn after_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let keep_percent = [0, 10, 33, 67, 90, 100][dice.below(6)];
        let torn_percent = [0, 50, 100][dice.below(3)];
        let mut image = self.platter.clone();
        let mut unsynced = Vec::new();
        // Unsynced changes are always the youngest, so the others can be applied at once.
        for (change, fate) in &self.changes {
            match fate {
                Fate::Synced => change.apply(&mut image),
                Fate::Unknown if dice.coin() => change.apply(&mut image),
                Fate::Unknown => {}
                Fate::Unsynced => unsynced.push(change),
            }
        }
        if dice.coin() {
            dice.shuffle(&mut unsynced);
        }
        for change in unsynced {
            if dice.percent(keep_percent) {
                change.apply(&mut image);
            } else if dice.percent(torn_percent) {
                change.apply_torn(&mut image, dice);
            }
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The platter after the first `n` seeds' power cuts.
    fn cuts(content: &Content, n: u64) -> Vec<Vec<u8>> {
        (0..n).map(|seed| content.after_cut(&mut Dice::new(seed))).collect()
    }

    #[test]
    fn what_is_synced_survives_every_cut() {
        let mut content = Content::on_platter(b"old".to_vec());
        content.write(0, b"new and longer");
        content.truncate(7);
        content.sync();
        assert!(cuts(&content, 200).iter().all(|image| image == b"new and"));
        assert_eq!(content.durable(), b"new and");
    }

    #[test]
    fn what_is_not_synced_may_be_kept_dropped_torn_and_turned_round() {
        let mut content = Content::on_platter(vec![0; 2 * SECTOR_BYTES]);
        content.write(0, &[1; 2 * SECTOR_BYTES]);
        content.write(SECTOR_BYTES, &[2; SECTOR_BYTES]);
        let images = cuts(&content, 500);
        let seen = |a: u8, b: u8| {
            images.iter().any(|image| image[0] == a && image[2 * SECTOR_BYTES - 1] == b)
        };
        assert!(seen(0, 0) && seen(1, 2), "all dropped, all kept");
        assert!(seen(0, 2) && seen(1, 1), "only the second, only the first");
        assert!(seen(1, 0) && seen(0, 1), "torn");
        assert_eq!(content.durable(), vec![0; 2 * SECTOR_BYTES]);
        assert_eq!(content.seen()[2 * SECTOR_BYTES - 1], 2);
    }

    #[test]
    fn an_unsynced_change_of_length_may_be_kept_or_dropped() {
        let mut content = Content::on_platter(b"0123456789".to_vec());
        content.truncate(4);
        let lengths: Vec<usize> = cuts(&content, 100).iter().map(Vec::len).collect();
        assert!(lengths.contains(&4) && lengths.contains(&10));
        assert!(lengths.iter().all(|len| [4, 10].contains(len)));
    }

    #[test]
    fn a_sync_after_a_failed_one_is_no_help_to_the_older_writes() {
        let mut content = Content::default();
        content.write(0, b"first");
        content.sync_failing();
        content.sync();
        let images = cuts(&content, 100);
        assert!(images.iter().any(|image| image == b"first"));
        assert!(images.iter().any(|image| image.is_empty()), "the sync that succeeded lied");
        assert!(content.durable().is_empty());
        assert_eq!(content.seen(), b"first");
    }

    #[test]
    fn writing_again_after_a_failed_sync_makes_it_durable() {
        let mut content = Content::default();
        content.write(0, b"first");
        content.sync_failing();
        content.write(0, b"again");
        content.sync();
        assert!(cuts(&content, 100).iter().all(|image| image == b"again"));
        assert_eq!(content.durable(), b"again");
    }

    #[test]
    fn a_write_that_fails_is_there_not_at_all_wholly_or_in_part() {
        let outcomes: Vec<Vec<u8>> = (0..100)
            .map(|seed| {
                let mut content = Content::on_platter(vec![0; 2 * SECTOR_BYTES]);
                content.write_failing(0, &[1; 2 * SECTOR_BYTES], &mut Dice::new(seed));
                content.seen().to_vec()
            })
            .collect();
        let sum = |image: &Vec<u8>| image.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        let sums: Vec<usize> = outcomes.iter().map(sum).collect();
        for expected in [0, SECTOR_BYTES, 2 * SECTOR_BYTES] {
            assert!(sums.contains(&expected), "{expected} never came up");
        }
    }

    #[test]
    fn a_write_is_cut_at_the_sectors_of_the_disk() {
        let pieces = sectors(500, &[0; 1100]);
        let shape: Vec<(usize, usize)> = pieces.iter().map(|(at, p)| (*at, p.len())).collect();
        assert_eq!(shape, [(500, 12), (512, 512), (1024, 512), (1536, 64)]);
        assert!(sectors(9, &[]).is_empty());
    }

    /// One thing done to a file.
    #[derive(Debug, Clone)]
    enum Step {
        Write(usize, u8, usize),
        Truncate(usize),
        Sync,
        SyncFailing,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..4000_usize, 1..=255_u8, 1..1500_usize)
                .prop_map(|(at, byte, len)| Step::Write(at, byte, len)),
            1 => (0..5000_usize).prop_map(Step::Truncate),
            2 => Just(Step::Sync),
            1 => Just(Step::SyncFailing),
        ];
        proptest::collection::vec(step, 0..24)
    }

    fn run(steps: &[Step]) -> Content {
        let mut content = Content::default();
        for step in steps {
            match *step {
                Step::Write(at, byte, len) => content.write(at, &vec![byte; len]),
                Step::Truncate(len) => content.truncate(len),
                Step::Sync => content.sync(),
                Step::SyncFailing => content.sync_failing(),
            }
        }
        content
    }

    /// The file as a plain array would have it.
    fn plain(steps: &[Step]) -> Vec<u8> {
        let mut image = Vec::new();
        for step in steps {
            match *step {
                Step::Write(at, byte, len) => write_over(&mut image, at, &vec![byte; len]),
                Step::Truncate(len) => image.resize(len, 0),
                Step::Sync | Step::SyncFailing => {}
            }
        }
        image
    }

    proptest! {
        #[test]
        fn a_reader_sees_every_change(steps in steps()) {
            let content = run(&steps);
            prop_assert_eq!(content.seen(), plain(&steps));
        }

        #[test]
        fn a_cut_after_a_sync_loses_nothing(steps in steps(), seed: u64) {
            let steps: Vec<Step> =
                steps.into_iter().filter(|step| !matches!(step, Step::SyncFailing)).collect();
            let mut content = run(&steps);
            content.sync();
            prop_assert_eq!(content.after_cut(&mut Dice::new(seed)), plain(&steps));
            prop_assert_eq!(content.durable(), plain(&steps));
        }

        #[test]
        fn a_cut_is_a_function_of_its_seed(steps in steps(), seed: u64) {
            let content = run(&steps);
            let cut = || content.after_cut(&mut Dice::new(seed));
            prop_assert_eq!(cut(), cut());
        }

        /// No byte comes from nowhere: it is a zero, or was once written at that very place.
        #[test]
        fn a_cut_invents_nothing(steps in steps(), seed: u64) {
            let image = run(&steps).after_cut(&mut Dice::new(seed));
            for (place, byte) in image.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                let written = steps.iter().any(|step| match step {
                    Step::Write(at, value, len) => value == byte && (*at..at + len).contains(&place),
                    _ => false,
                });
                prop_assert!(written, "{byte} at {place}");
            }
        }
    }
}
