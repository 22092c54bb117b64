//! What a child says, one line each, and how it is heard and killed.

use super::Seen;
use imprest_domain::{PaymentId, PaymentState};
use imprest_ledger::HeadCopy;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The child's name, as Cargo builds it.
const PROGRAM: &str = "imprest-soak-child";
/// How long a child may say nothing before that is a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// `granted pay_… 7 k3 41:0x…`: a payment, its value, its key or `-`, and an end of the log
    /// that the payment is not behind.
    Granted { payment: PaymentId, value: u64, key: Option<String>, head: HeadCopy },
    /// `known pay_… k3`: the key had been used.
    Known { payment: PaymentId, key: String },
    /// `moved pay_… settled`
    Moved { payment: PaymentId, to: PaymentState },
    /// `closing`: all tasks have come to the limits, and the file is about to be closed.
    Closing,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Granted { payment, value, key, head } => {
                write!(f, "granted {payment} {value} {} {head}", key.as_deref().unwrap_or("-"))
            }
            Said::Known { payment, key } => write!(f, "known {payment} {key}"),
            Said::Moved { payment, to } => write!(f, "moved {payment} {}", to.word()),
            Said::Closing => f.write_str("closing"),
        }
    }
}

impl Said {
    /// Reads one whole line.
    fn read(line: &str) -> Option<Said> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words[..] {
            ["closing"] => Said::Closing,
            ["known", payment, key] => {
                Said::Known { payment: payment.parse().ok()?, key: key.to_owned() }
            }
            ["moved", payment, to] => {
                Said::Moved { payment: payment.parse().ok()?, to: PaymentState::from_word(to)? }
            }
            ["granted", payment, value, key, head] => Said::Granted {
                payment: payment.parse().ok()?,
                value: value.parse().ok()?,
                key: (key != "-").then(|| key.to_owned()),
                head: head.parse().ok()?,
            },
            _ => return None,
        })
    }
}

/// The child's program: beside this one, or, for a test, one folder up.
pub(super) fn program() -> Seen<PathBuf> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("there is no {PROGRAM} beside {}", own.display()))
}

/// Starts a child on a file, hears what it says, and kills it some microseconds after so many
/// lines; or after the line with which it ends by itself.
pub(super) fn pay_and_kill(
    program: &Path,
    file: &Path,
    seed: u64,
    lines: u64,
    last_us: u64,
) -> Seen<Vec<Said>> {
    let mut child = Command::new(program)
        .arg(file)
        .arg(seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("starting {}: {e}", program.display()))?;
    let Some(stdout) = child.stdout.take() else { return Err("no pipe".to_owned()) };
    let (listener, heard) = listen(stdout);
    let mut said = Vec::new();
    let waited = wait_for(&heard, lines, &mut said);
    // The moment is drawn; there is no condition to await.
    thread::sleep(Duration::from_micros(last_us));
    let ended = kill(&mut child)?;
    said.extend(heard.iter());
    listener.join().map_err(|_| "the listener failed".to_owned())?;
    waited?;
    let said = read_all(&said)?;
    match ended {
        // Nobody kills it but this process: it failed, or it was done.
        Some(fine) if !fine || said.last() != Some(&Said::Closing) => {
            Err("the child failed before it was killed".to_owned())
        }
        _ => Ok(said),
    }
}

fn listen(stdout: ChildStdout) -> (JoinHandle<()>, Receiver<Vec<u8>>) {
    let (hear, heard) = channel();
    let listener = thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if hear.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    (listener, heard)
}

fn wait_for(heard: &Receiver<Vec<u8>>, lines: u64, said: &mut Vec<Vec<u8>>) -> Seen {
    while (said.len() as u64) < lines {
        match heard.recv_timeout(PATIENCE) {
            Ok(line) => {
                let last = line == b"closing\n";
                said.push(line);
                if last {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => return Err("the child says nothing".to_owned()),
            // It is gone; how it ended tells why.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Kills it with SIGKILL; tells how it ended if it already had, and whether well.
fn kill(child: &mut Child) -> Seen<Option<bool>> {
    let ended = child.try_wait().map_err(|e| e.to_string())?;
    child.kill().map_err(|e| format!("killing: {e}"))?;
    child.wait().map_err(|e| format!("waiting: {e}"))?;
    Ok(ended.map(|status| status.success()))
}

fn read_all(lines: &[Vec<u8>]) -> Seen<Vec<Said>> {
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        // The kill may have cut the last line off; it was not said then.
        let Some(line) = line.strip_suffix(b"\n") else { continue };
        let line = String::from_utf8_lossy(line);
        all.push(Said::read(&line).ok_or_else(|| format!("the child said “{line}”"))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_said() {
        let payment: PaymentId = "pay_1".parse().unwrap();
        let head: HeadCopy = format!("41:0x{}", "ab".repeat(32)).parse().unwrap();
        for said in [
            Said::Granted { payment: payment.clone(), value: 7, key: None, head },
            Said::Granted { payment: payment.clone(), value: 7, key: Some("k3".into()), head },
            Said::Known { payment: payment.clone(), key: "k3".into() },
            Said::Moved { payment, to: PaymentState::Settled },
            Said::Closing,
        ] {
            assert_eq!(Said::read(&said.to_string()), Some(said));
        }
        for bad in ["", "granted", "closing x", "moved pay_1 paid", "granted pay_1 7 k3 41"] {
            assert_eq!(Said::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_was_not_said() {
        let lines = [b"closing\n".to_vec(), b"granted pay_1".to_vec()];
        assert_eq!(read_all(&lines), Ok(vec![Said::Closing]));
        assert!(read_all(&[b"granted pay_1\n".to_vec()]).is_err());
    }
}
