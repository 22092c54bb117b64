//! The ledger on a disk that fails and loses power.
//!
//! A fixed story is told on a disk in memory (`imprest-faults`) and one operation of it fails, once
//! or from there on; and drawn stories are told until the power goes at a drawn moment. What the
//! ledger said yes to has to be there whatever the disk did: under any power cut, after a mere
//! restart of the program, and once the program went on after the failure. What it answered with
//! an error may be there or not, but whole.

mod morning;
mod story;
pub(crate) mod world;

use crate::chance::Chance;
use crate::proof::{Broken, Figures, Proof};
use imprest_faults::{Class, Code, Disk, Mount, Ops, Plan};
use imprest_ledger::{Ledger, LedgerError, OpenOptions};
use std::fmt;
use std::path::Path;
use story::{Seen, Story};

/// Where the ledger is on the disk.
const PATH: &str = "/desk/ledger.db";
/// The seed of the story in which each operation fails in turn.
const FIXED: u64 = 7;
/// How many steps each of its two sessions has.
const FIXED_STEPS: u32 = 9;
/// How many operations fail in one round, each in a telling of its own.
const FAULTS_A_ROUND: u64 = 2;
/// How many sessions end with a power cut, one after the other.
const NIGHTS: u64 = 3;
/// The most steps of a drawn session.
const STEPS_MAX: u64 = 30;

/// Lets two operations of the fixed story fail, and tells one drawn story under power cuts, for each
/// of so many seeds; as many rounds as [`every_fault`] says let each operation fail in each way.
///
/// # Errors
/// [`Broken`] when a promise was not kept.
pub fn run(seed: u64, rounds: u64) -> Result<Figures, Broken> {
    let broken = |seed: u64, what: String| Broken { proof: Proof::Disk, seed, what };
    let runtime = crate::place::runtime().map_err(|e| broken(seed, e.to_string()))?;
    let (clean, faults) = runtime.block_on(learn()).map_err(|what| broken(seed, what))?;
    let mut figures = Figures::default();
    figures.add("operations of the fixed story", clean.all());
    figures.add("ways in which one of them fails", faults.len() as u64);
    for seed in seed..seed.saturating_add(rounds) {
        for number in 0..FAULTS_A_ROUND {
            let fault = &faults[place(seed.wrapping_mul(FAULTS_A_ROUND) + number, faults.len())];
            let told = runtime.block_on(failing(seed, fault));
            figures.merge(&told.map_err(|what| broken(seed, format!("{fault}: {what}")))?);
        }
        let told = runtime.block_on(nights(seed, clean.all()));
        figures.merge(&told.map_err(|what| broken(seed, what))?);
        figures.count("rounds");
    }
    Ok(figures)
}

/// In how many rounds each operation of the fixed story fails in each way.
///
/// # Errors
/// [`Broken`] when the story goes wrong on a disk that works.
pub fn every_fault() -> Result<u64, Broken> {
    let broken = |what: String| Broken { proof: Proof::Disk, seed: FIXED, what };
    let runtime = crate::place::runtime().map_err(|e| broken(e.to_string()))?;
    let (_, faults) = runtime.block_on(learn()).map_err(broken)?;
    Ok((faults.len() as u64).div_ceil(FAULTS_A_ROUND))
}

/// Which of so many faults a number stands for: neighbours lie far apart, and as many numbers in a
/// row as there are faults meet each of them once.
fn place(number: u64, len: usize) -> usize {
    // A prime that does not divide any number of faults there will be.
    const STRIDE: u128 = 1_000_003;
    (u128::from(number) * STRIDE % len.max(1) as u128) as usize
}

/// One operation that fails.
struct Fault {
    class: Class,
    nth: u64,
    code: Option<(Code, &'static str)>,
    for_ever: bool,
}

impl Fault {
    fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::nth(self.nth).of(self.class).seed(seed);
        let plan = if self.for_ever { plan.for_ever() } else { plan };
        match self.code {
            Some((code, _)) => plan.with(code),
            None => plan,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasting = if self.for_ever { "from there on" } else { "once" };
        let code = self.code.map_or("an I/O error", |(_, word)| word);
        write!(f, "{:?} number {} fails with {code} {lasting}", self.class, self.nth)
    }
}

/// Tells the fixed story on a disk that works: how many operations it takes, and all the ways in
/// which one of them can fail.
async fn learn() -> Seen<(Ops, Vec<Fault>)> {
    let disk = Disk::new();
    let mount = disk.mount();
    let mut story = Story::new(FIXED);
    for _ in 0..2 {
        let ledger = session(&mount, &mut story, FIXED_STEPS).await?;
        ledger.ok_or("a disk that works was not opened")?.close().await;
    }
    no_errors(&story)?;
    let ops = disk.ops();
    let mut faults = Vec::new();
    for class in Class::ALL {
        // A full disk is told of where something is written; a sync that says so is rare, but
        // some file systems wait that long.
        let full = matches!(class, Class::Write | Class::Sync | Class::Truncate);
        let codes = [None, full.then_some((Code::FULL, "a full disk"))];
        for nth in 1..=ops.of(class) {
            for code in codes.into_iter().take(1 + usize::from(full)) {
                for for_ever in [false, true] {
                    faults.push(Fault { class, nth, code, for_ever });
                }
            }
        }
    }
    Ok((ops, faults))
}

fn no_errors(story: &Story) -> Seen {
    let errors = story.figures.all().iter().find(|(name, _)| name.starts_with("errors"));
    match errors {
        None => Ok(()),
        Some((name, count)) => Err(format!("{count} {name}, on a disk that works")),
    }
}

async fn open(mount: &Mount) -> Result<Ledger, LedgerError> {
    let options = OpenOptions { clock: None, vfs: Some(mount.name().to_owned()) };
    Ledger::open_with(Path::new(PATH), options).await
}

/// Opens the books and takes so many steps; nothing when the disk would not let them be opened.
async fn session(mount: &Mount, story: &mut Story, steps: u32) -> Seen<Option<Ledger>> {
    story.figures.count("sessions");
    match open(mount).await {
        Ok(ledger) => {
            story.begin(&ledger).await?;
            story.tell(&ledger, steps).await?;
            Ok(Some(ledger))
        }
        Err(
            LedgerError::Unreadable { .. }
            | LedgerError::DiskFull
            | LedgerError::Unsound(_)
            | LedgerError::Database(_),
        ) => {
            story.figures.count("openings refused");
            Ok(None)
        }
        Err(other) => Err(format!("opening: {other}")),
    }
}

/// The disk as it is after the program, but not the machine, has died.
fn killed(disk: &Disk) -> Disk {
    let copy = Disk::new();
    for path in disk.paths() {
        copy.put(&path, disk.bytes(&path).unwrap_or_default());
    }
    copy
}

/// Tells the fixed story with one fault in it, and looks at what is left in every way.
async fn failing(seed: u64, fault: &Fault) -> Seen<Figures> {
    let disk = Disk::new();
    let mount = disk.mount();
    let mut story = Story::new(FIXED);
    disk.fail(fault.plan(seed));
    for _ in 0..2 {
        let ledger = session(&mount, &mut story, FIXED_STEPS).await?;
        let struck = disk.ops().failed() > 0;
        if struck {
            left_behind(&disk, seed, &mut story).await?;
        }
        if let Some(ledger) = ledger {
            if struck {
                disk.heal();
                goes_on_or_says_so(&ledger, &mut story).await?;
            }
            ledger.close().await;
        }
        if struck || disk.ops().failed() > 0 {
            break;
        }
    }
    let word = if disk.ops().failed() > 0 { "faults struck" } else { "faults not reached" };
    story.figures.count(word);
    disk.heal();
    cut(&disk, seed ^ 0xC105ED, &mut story).await.map_err(|what| format!("closed, {what}"))?;
    restart(&disk, &mount, seed, &mut story).await?;
    Ok(story.figures)
}

/// The end of the program alone, and power cuts at this moment.
async fn left_behind(disk: &Disk, seed: u64, story: &mut Story) -> Seen {
    let compared = morning::compare(&killed(disk), story).await;
    compared.map_err(|what| format!("after the end of the program: {what}"))?;
    cut(disk, seed, story).await?;
    cut(disk, !seed, story).await
}

/// One power cut at this moment.
async fn cut(disk: &Disk, seed: u64, story: &mut Story) -> Seen {
    let left = disk.cut(seed);
    story.figures.count("power cuts");
    let compared = morning::compare(&left, story).await;
    compared.map_err(|what| format!("after power cut {seed}: {what}"))
}

/// A writer that said it has stopped goes on saying so, though the disk works again; any other
/// writes.
async fn goes_on_or_says_so(ledger: &Ledger, story: &mut Story) -> Seen {
    let stopped = story.stopped;
    let answer = ledger.set_mark("healed", 1).await;
    let written = story.wrote(ledger, "writing on a healed disk", answer)?.is_some();
    if stopped {
        story.figures.count("writers stopped");
        return Ok(());
    }
    // It may have stopped in the last moment, and only say so now.
    story.figures.count(if written { "writers that went on" } else { "writers stopped" });
    morning::whole(ledger, story).await.map_err(|what| format!("on a healed disk: {what}"))?;
    Ok(())
}

/// The program starts again on the same machine, and pays on; then the power goes.
async fn restart(disk: &Disk, mount: &Mount, seed: u64, story: &mut Story) -> Seen {
    let again = |what: String| format!("started again: {what}");
    let ledger = morning::look(mount, story).await.map_err(again)?;
    morning::decide(&ledger, story).await.map_err(again)?;
    ledger.close().await;
    let before = std::mem::take(&mut story.figures);
    let ledger = session(mount, story, FIXED_STEPS).await.map_err(again)?;
    let ledger = ledger.ok_or("started again, and not opened")?;
    no_errors(story).map_err(again)?;
    story.figures.merge(&before);
    cut(disk, seed ^ 0xA9A1, story).await.map_err(again)?;
    ledger.close().await;
    Ok(())
}

/// Several sessions, each ended by a power cut at a drawn operation, each on what the last left.
async fn nights(seed: u64, usual: u64) -> Seen<Figures> {
    let mut chance = Chance::new(seed);
    let mut story = Story::new(chance.any());
    story.large = chance.percent(10);
    let mut disk = Disk::new();
    for night in 0..NIGHTS {
        let at = |what: String| format!("night {night}: {what}");
        let nth = 1 + chance.below(usual * 2);
        disk.fail(Plan::nth(nth).power_off().seed(chance.any()));
        if chance.percent(50) {
            // A disk that is about to die at times says so first.
            let class = *chance.one_of(&[Class::Write, Class::Write, Class::Sync, Class::Read]);
            disk.fail(Plan::nth(1 + chance.below(nth / 3 + 1)).of(class).seed(chance.any()));
        }
        let mount = disk.mount();
        let steps = chance.between(1, STEPS_MAX) as u32;
        let ledger = session(&mount, &mut story, steps).await.map_err(at)?;
        let left = disk.cut(chance.any());
        story.figures.count("power cuts");
        if let Some(ledger) = ledger {
            ledger.close().await;
        }
        // A disk that is closed is cut to itself: this is a copy, and the next night's stays.
        let copy = left.cut(0);
        let compared = morning::compare_and_decide(&copy, &mut story).await;
        compared.map_err(|what| at(format!("power off at operation {nth}: {what}")))?;
        disk = left;
    }
    Ok(story.figures)
}
