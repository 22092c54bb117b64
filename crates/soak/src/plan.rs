//! How much of each proof a soak of so many minutes is.

use imprest_model::{ENDLESS_SETTING, Fault, Happening, LONG_SETTINGS, SHORT_SETTINGS, Search};
use imprest_model::{find, hunt, search, search_until};
use imprest_soak::{Broken, Figures, Proof, disk, killed, oracle, tamper};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the sizes below are for.
pub const FULL_MINUTES: u64 = 60;
/// How many threads search the model and tell stories.
const THREADS: u64 = 2;

/// How many rounds a proof has: states of the model, ledgers of the oracle, kills, disks, files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// As many as this.
    pub fn exactly(rounds: u64) -> Size {
        Size(rounds)
    }

    /// As many as about so many minutes allow, and never fewer than say something.
    pub fn of_minutes(proof: Proof, minutes: u64) -> Size {
        let (least, full) = match proof {
            Proof::Model => (1, 10_000_000),
            // Some more than a million steps.
            Proof::Oracle => (4, 520),
            Proof::Killed => (20, 2_000),
            Proof::Disk => (20, 2_500),
            Proof::Tampering => (300, 10_000),
        };
        Size((full * minutes / FULL_MINUTES).max(least))
    }
}

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    u64::from(now.subsec_nanos()) % 1_000_000 * 1_000
}

/// Runs one proof.
pub fn prove(proof: Proof, seed: u64, Size(rounds): Size) -> (Figures, Option<Broken>) {
    let told = match proof {
        Proof::Model => return prove_model(seed, rounds),
        Proof::Oracle => return tell_stories(seed, rounds),
        Proof::Killed => killed::run(seed, rounds),
        Proof::Disk => disk::run(seed, rounds),
        Proof::Tampering => tamper::run(seed, rounds),
    };
    match told {
        Ok(figures) => (figures, None),
        Err(broken) => (Figures::default(), Some(broken)),
    }
}

/// So many ledgers, shared among a few threads.
fn tell_stories(seed: u64, ledgers: u64) -> (Figures, Option<Broken>) {
    let each = |thread: u64| {
        let mut figures = Figures::default();
        for number in (thread..ledgers).step_by(THREADS as usize) {
            match oracle::run(seed.wrapping_add(number), oracle::STEPS) {
                Ok(told) => figures.merge(&told),
                Err(broken) => return (figures, Some(broken)),
            }
        }
        (figures, None)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || each(thread))).collect();
        let (mut figures, mut broken) = (Figures::default(), None);
        for thread in threads {
            let failed = || {
                let what = "a thread failed; what it said is above".to_owned();
                (Figures::default(), Some(Broken { proof: Proof::Oracle, seed, what }))
            };
            let (told, seen) = thread.join().unwrap_or_else(|_| failed());
            figures.merge(&told);
            broken = broken.or(seen);
        }
        (figures, broken)
    })
}

/// Growing settings of the correct design until there are enough states, then every fault.
fn prove_model(seed: u64, states: u64) -> (Figures, Option<Broken>) {
    let mut figures = Figures::default();
    let broken = |what: String| Some(Broken { proof: Proof::Model, seed, what });
    let short = SHORT_SETTINGS.into_iter();
    for setting in short.chain(LONG_SETTINGS.into_iter().filter(|s| !SHORT_SETTINGS.contains(s))) {
        let known = figures.get("states");
        if known >= states {
            break;
        }
        if let Some(what) = count(&mut figures, &search(setting, THREADS as usize)) {
            return (figures, broken(what));
        }
    }
    let known = figures.get("states");
    if known < states {
        let more = usize::try_from(states - known).unwrap_or(usize::MAX);
        let endless = search_until(ENDLESS_SETTING, THREADS as usize, more);
        if let Some(what) = count(&mut figures, &endless) {
            return (figures, broken(what));
        }
    }
    for happening in Happening::ALL {
        if find(happening).is_none() {
            return (figures, broken(format!("this never happens: {}", happening.says())));
        }
        figures.count("happenings found");
    }
    for fault in Fault::ALL {
        if !hunt(fault).found() {
            return (figures, broken(format!("a fault was not found: {}", fault.says())));
        }
        figures.count("seeded faults found");
    }
    (figures, None)
}

/// Counts a search; says what it broke.
fn count(figures: &mut Figures, search: &Search) -> Option<String> {
    figures.add("states", search.unique_states as u64);
    figures.add("states, those met again included", search.total_states as u64);
    figures.count("settings");
    figures.add("settings visited whole", u64::from(search.exhausted));
    let breach = search.breach.as_ref()?;
    Some(format!("{} breaks {}: {:?}", search.setting.name, breach.broken, breach.steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_what_was_promised_and_nothing_is_still_something() {
        let rounds = |proof, minutes| Size::of_minutes(proof, minutes).0;
        assert!(rounds(Proof::Oracle, 60) * oracle::STEPS as u64 >= 1_000_000);
        assert!(rounds(Proof::Killed, 60) >= 2_000);
        assert!(rounds(Proof::Disk, 60) >= 2_000);
        assert!(rounds(Proof::Tampering, 60) >= 10_000);
        assert!(rounds(Proof::Model, 60) >= 10_000_000);
        for proof in Proof::ALL {
            assert!(rounds(proof, 0) > 0);
            assert!(rounds(proof, 30) <= rounds(proof, 60));
            assert_eq!(Proof::from_word(proof.word()), Some(proof));
        }
    }
}
