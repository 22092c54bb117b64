//! The vault: opening it, and what a signature costs beside viem's.

use crate::live::Desk;
use crate::progress;
use crate::sample::{median, timed};
use crate::store::Store;
use crate::table::{Bar, Line, Report, fact, time};
use anyhow::{Context, Result, ensure};
use imprest_vault::{KdfCost, SecretText, Vault};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many signatures viem makes before the first that counts: its code is compiled by then.
const WARM_UP: u64 = 300;
/// How many rounds, and how many signatures of each in a round.
const ROUNDS: usize = 40;
const EACH: usize = 10;
/// How often the vault is opened.
const UNLOCKS: usize = 5;
/// How many accounts sign for the first time.
const FIRSTS: usize = 20;

/// Opens a vault of this machine's own cost.
///
/// # Errors
/// When the vault cannot be made.
pub fn unlock(store: &Store<'_>, report: &mut Report) -> Result<()> {
    let folder = TempDir::new_in(store.folder())?;
    let passphrase = SecretText::new("measured in public".into());
    let cost = KdfCost::calibrate();
    let (vault, _words) = Vault::create(folder.path().join("vault"), &passphrase, cost)?;
    let mut times = Vec::with_capacity(UNLOCKS);
    for _ in 0..UNLOCKS {
        vault.lock();
        let (took, opened) = timed(|| vault.unlock(&passphrase));
        opened?;
        times.push(took);
    }
    let took = median(times)?;
    // Half a second to a second: less is easier to guess, more is a nuisance.
    let (half, whole) = (Duration::from_millis(500), Duration::from_secs(1));
    report.lines.push(Line::slower("opening the vault / 0.5 s", (took, half), Bar::AtLeast(100)));
    report.lines.push(Line::slower("opening the vault / 1 s", (took, whole), Bar::AtMost(100)));
    let (mib, passes) = (cost.m_kib() / 1024, cost.t());
    report.facts.push(fact("calibrated key stretching", format!("{mib} MiB, {passes} passes")));
    Ok(())
}

/// EIP-712 hash and signature beside viem's `signTypedData`, and the slowest of them.
///
/// # Errors
/// When the desk refuses what it should grant, or there is no Node to run viem.
pub fn signing(store: &Store<'_>, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let folder = TempDir::new_in(store.folder())?;
    let desk = runtime.block_on(Desk::open(&folder))?;
    let mut viem = Viem::start()?;
    viem.sign(WARM_UP)?;
    let (mut ours, mut beside) = (Vec::new(), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        let mut held = Vec::with_capacity(EACH);
        for _ in 0..EACH {
            let grant = runtime.block_on(desk.reserve())?;
            let (took, payment) = timed(|| desk.sign(grant));
            ours.push(took);
            held.push(payment?);
        }
        beside.push(viem.sign(EACH as u64)? / EACH as u32);
        runtime.block_on(desk.settle(held))?;
    }
    let slowest = ours.iter().max().copied().unwrap_or_default();
    let pair = (median(ours)?, median(beside)?);
    let what = "EIP-712 hash and signature / viem’s signTypedData";
    report.lines.push(Line::slower(what, pair, Bar::AtMost(20)));
    let many = ROUNDS * EACH;
    report.facts.push(fact(format!("slowest of {many} signatures"), time(slowest)));
    first_signatures(&desk, runtime, report)?;
    runtime.block_on(desk.close());
    Ok(())
}

/// An account's first signature after the vault was opened, which derives its key, beside the
/// millisecond that nothing is to take longer than.
fn first_signatures(desk: &Desk, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let mut firsts = Vec::with_capacity(FIRSTS);
    for _ in 0..FIRSTS {
        let grant = runtime.block_on(desk.reserve())?;
        desk.forget_accounts()?;
        let (took, payment) = timed(|| desk.sign(grant));
        firsts.push(took);
        runtime.block_on(desk.settle(vec![payment?]))?;
    }
    let slowest = firsts.iter().max().copied().unwrap_or_default();
    let pair = (median(firsts)?, Duration::from_millis(1));
    let what = "first signature of a new account / 1 ms";
    report.lines.push(Line::slower(what, pair, Bar::AtMost(100)));
    report.facts.push(fact(format!("slowest of {FIRSTS} first signatures"), time(slowest)));
    Ok(())
}

/// viem in a program of its own, that signs when it is told to.
struct Viem {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Viem {
    fn start() -> Result<Viem> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        install(&tests)?;
        let mut child = Command::new("node")
            .arg(PathBuf::from("bench").join("viem.mjs"))
            .current_dir(&tests)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("running node, which viem needs")?;
        let asks = child.stdin.take().context("node’s standard input")?;
        let answers = BufReader::new(child.stdout.take().context("node’s standard output")?);
        Ok(Viem { child, asks, answers })
    }

    /// So many signatures; answers how long all of them took.
    fn sign(&mut self, count: u64) -> Result<Duration> {
        writeln!(self.asks, "{count}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(Duration::from_nanos(line.trim().parse().context("viem did not answer")?))
    }
}

impl Drop for Viem {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fetches viem, as the lock file names it, if it is not there.
fn install(tests: &Path) -> Result<()> {
    if tests.join("node_modules/viem").is_dir() {
        return Ok(());
    }
    let step = progress::begin("viem, to be compared with");
    let done = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--silent"])
        .current_dir(tests)
        .stdout(Stdio::null())
        .status()
        .context("running npm")?;
    ensure!(done.success(), "`npm ci` in {} failed", tests.display());
    step.done();
    Ok(())
}
