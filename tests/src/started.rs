//! A program that says in one JSON line when it is ready, and ends when its owner does.

use crate::Obstacle;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a program's standard error is kept for a failure's message, in bytes.
const COMPLAINTS_KEPT: usize = 16 * 1024;

/// How long a program may take to end once its standard input is closed.
const PARTING: Duration = Duration::from_secs(3);

/// A running program whose ready line has been read.
#[derive(Debug)]
pub struct Started {
    child: Child,
    /// Held open: the programs of the journeys end when their standard input closes.
    stdin: Option<ChildStdin>,
    ready: Value,
    complaints: Arc<Mutex<String>>,
    /// Hangs up when standard error has been read to its end.
    complaints_end: mpsc::Receiver<()>,
}

impl Started {
    /// Starts a program, writes `first_input` to it if any, and waits for its ready line.
    ///
    /// Lines before it that are not JSON with `"ready":true` are passed over.
    ///
    /// # Errors
    /// When it cannot be started, ends early, or is not ready within `patience`; the message
    /// carries what it wrote to standard error.
    pub fn start(
        command: &mut Command,
        first_input: Option<&str>,
        patience: Duration,
    ) -> Result<Started, Obstacle> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| Obstacle::io(format!("starting {name}"), &e))?;
        let complaints = Arc::new(Mutex::new(String::new()));
        let (reading, complaints_end) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            keep_complaints(stderr, complaints.clone(), reading);
        }
        let lines = child.stdout.take().map(ready_line);
        let stdin = child.stdin.take();
        // From here on the child ends with this value, whatever goes wrong.
        let mut started = Started { child, stdin, ready: Value::Null, complaints, complaints_end };
        if let (Some(text), Some(stdin)) = (first_input, started.stdin.as_mut()) {
            writeln!(stdin, "{text}")
                .map_err(|e| Obstacle::io(format!("writing to {name}"), &e))?;
        }
        match lines.and_then(|lines| lines.recv_timeout(patience).ok()) {
            Some(ready) => {
                started.ready = ready;
                Ok(started)
            }
            None => Err(started.not_ready(&name)),
        }
    }

    /// The ready line.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// One text of the ready line, found by a JSON pointer such as `/practice/rpc`.
    ///
    /// # Errors
    /// When it is not there or is no text.
    pub fn ready_text(&self, pointer: &str) -> Result<String, Obstacle> {
        let found = self.ready.pointer(pointer).and_then(Value::as_str);
        found.map(String::from).ok_or_else(|| {
            Obstacle::new(format!("The ready line has no text at {pointer}: {}", self.ready))
        })
    }

    /// The process identifier, for journeys that pull the plug.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the program at once, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if it is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the program to end in order, as a system that shuts down does, and waits until it has.
    ///
    /// # Errors
    /// When it has not ended within `patience`.
    #[cfg(unix)]
    pub fn terminate(&mut self, patience: Duration) -> Result<(), Obstacle> {
        let gone = || Obstacle::new("The program is gone already.");
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.ok_or_else(gone)?, rustix::process::Signal::TERM)
            .map_err(|e| Obstacle::io("asking a program to end", &e.into()))?;
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) => return Ok(()),
                Err(error) => return Err(Obstacle::io("waiting for a program", &error)),
            }
        }
        Err(Obstacle::new(format!("The program does not end. It said: {}", self.complaints())))
    }

    /// Closes the program's standard input and waits a little for it to end by itself, so that it
    /// can take its own children along; one that does not is killed.
    pub fn end(&mut self) {
        self.stdin = None;
        let until = Instant::now() + PARTING;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
        self.kill();
    }

    /// What the program has written to standard error so far, the latest part of it.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn not_ready(&mut self, name: &str) -> Obstacle {
        let how = match self.child.try_wait() {
            Ok(Some(status)) => format!("ended with {status}"),
            _ => "did not get ready in time".to_owned(),
        };
        self.end();
        // A grandchild may hold the pipe open, so this wait has an end of its own.
        let _ = self.complaints_end.recv_timeout(Duration::from_secs(1));
        Obstacle::new(format!("{name} {how}. It said: {}", self.complaints()))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads standard output to its end in a thread of its own, so that the program never blocks on
/// a full pipe, and sends the ready line on.
fn ready_line(stdout: impl Read + Send + 'static) -> mpsc::Receiver<Value> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut send = Some(send);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
            if value["ready"] == Value::Bool(true)
                && let Some(send) = send.take()
            {
                let _ = send.send(value);
            }
        }
    });
    receive
}

fn keep_complaints(
    stderr: impl Read + Send + 'static,
    kept: Arc<Mutex<String>>,
    reading: mpsc::Sender<()>,
) {
    thread::spawn(move || {
        let _reading = reading;
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(&line);
            kept.push('\n');
            if kept.len() > COMPLAINTS_KEPT {
                let mut from = kept.len() - COMPLAINTS_KEPT;
                while !kept.is_char_boundary(from) {
                    from += 1;
                }
                kept.drain(..from);
            }
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_ready_line_is_found_behind_other_lines() {
        let script = "read word; echo starting; echo \"{\\\"ready\\\":true,\\\"url\\\":\\\"$word\\\"}\"; cat";
        let started = Started::start(&mut shell(script), Some("here"), Duration::from_secs(20))
            .expect("the script gets ready");
        assert_eq!(started.ready_text("/url").expect("has an address"), "here");
        assert!(started.ready_text("/mcp").is_err());
    }

    #[test]
    fn an_early_end_is_told_with_what_was_said() {
        let error = Started::start(
            &mut shell("echo the disk is full >&2; exit 3"),
            None,
            Duration::from_secs(20),
        )
        .expect_err("it never gets ready");
        assert!(error.to_string().contains("the disk is full"), "{error}");
    }

    #[test]
    fn a_program_may_take_its_children_along_when_it_ends() {
        // What it does after its input has ended stands for taking its children along.
        let folder = tempfile::tempdir().expect("makes a folder");
        let farewell = folder.path().join("farewell");
        let script = format!("echo '{{\"ready\":true}}'; cat; echo bye > {}", farewell.display());
        let started =
            Started::start(&mut shell(&script), None, Duration::from_secs(20)).expect("gets ready");
        drop(started);
        assert_eq!(std::fs::read_to_string(farewell).expect("it had time to tidy up"), "bye\n");
    }

    #[test]
    fn patience_has_an_end() {
        let error = Started::start(&mut shell("cat"), None, Duration::from_millis(50))
            .expect_err("it never gets ready");
        assert!(error.to_string().contains("did not get ready in time"), "{error}");
    }
}
