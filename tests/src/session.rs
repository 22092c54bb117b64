//! A desktop session of a test's own: session bus, unlocked keychain, display, window manager.
//!
//! The person's own session, keychain, home folder and desk are out of its reach.

use crate::Obstacle;
use crate::window::target;
use rustix::process::{self, Pid, Signal, WaitOptions};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};
use tempfile::TempDir;

/// Carries the session's folder to the test that runs inside.
const INSIDE: &str = "IMPREST_TEST_SESSION";

/// What a session is made of, and the packages that bring it.
const NEEDED: &[(&str, &str)] = &[
    ("dbus-run-session", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("Xvfb", "xvfb"),
    ("openbox", "openbox"),
    ("xdotool", "xdotool"),
    ("import", "imagemagick"),
    ("WebKitWebDriver", "webkit2gtk-driver"),
];

/// Opens the keychain with a password from standard input, and becomes the test.
const SCRIPT: &str = "printf 'test keyring' | \
    gnome-keyring-daemon --unlock --components=secrets >/dev/null && \
    exec \"$0\" --exact \"$1\" --nocapture";

/// How long everything in a session may take together.
const SESSION_PATIENCE: Duration = Duration::from_secs(240);
/// How long the programs of a session may take to end once it is over.
const PARTING: Duration = Duration::from_secs(10);
/// How long a program of the session may take to get ready.
const PATIENCE: Duration = Duration::from_secs(20);
/// The size of the display, in pixels.
const SCREEN: &str = "1280x900x24";

/// A desktop session with nobody in front of it.
#[derive(Debug)]
pub struct DesktopSession {
    folder: PathBuf,
    display: String,
    display_server: Child,
    window_manager: Child,
}

impl DesktopSession {
    /// Runs the test of this name again in a session of its own; answers that session inside, and
    /// nothing to the test outside, which then is done.
    ///
    /// # Errors
    /// When a program is missing, the test fails inside, or it leaves a process behind.
    pub fn enter(test: &str) -> Result<Option<DesktopSession>, Obstacle> {
        match env::var_os(INSIDE) {
            Some(folder) => Self::begin(PathBuf::from(folder)).map(Some),
            None => run_inside(test).map(|()| None),
        }
    }

    fn begin(folder: PathBuf) -> Result<DesktopSession, Obstacle> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]);
        let log = log_file(&folder, "display")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut display_server = command.spawn().map_err(|e| Obstacle::io("starting Xvfb", &e))?;
        // It says its number once it takes clients, and hangs up when it cannot start.
        let mut number = String::new();
        if let Some(stdout) = display_server.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut number);
            read.map_err(|e| Obstacle::io("reading from Xvfb", &e))?;
        }
        let display = format!(":{}", number.trim());
        let mut command = Command::new("openbox");
        command.arg("--sm-disable").env("DISPLAY", &display);
        let log = log_file(&folder, "window-manager")?;
        let window_manager = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let window_manager = window_manager.map_err(|e| {
            end(&mut display_server);
            Obstacle::io("starting openbox", &e)
        })?;
        let session = DesktopSession { folder, display, display_server, window_manager };
        // Only a window manager keeps track of desktops.
        until("a window manager", PATIENCE, || Ok(session.xdotool(&["get_desktop"])?.map(drop)))?;
        Ok(session)
    }

    /// A folder that ends with the session; home and temporary folder of everything in it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program on this display, away from the person's own desk.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("DISPLAY", &self.display);
        command
    }

    /// A file in the session's folder for what a program says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn log(&self, name: &str) -> Result<File, Obstacle> {
        log_file(&self.folder, name)
    }

    /// What a program has said so far; empty if nothing.
    pub fn said(&self, name: &str) -> String {
        fs::read_to_string(log_path(&self.folder, name)).unwrap_or_default()
    }

    /// Presses keys such as `alt+F4`, as a person does.
    ///
    /// # Errors
    /// When xdotool fails.
    pub fn press(&self, keys: &str) -> Result<(), Obstacle> {
        self.must(&["key", "--clearmodifiers", keys])
    }

    /// Types text, as a person does.
    ///
    /// # Errors
    /// When xdotool fails.
    pub fn write(&self, text: &str) -> Result<(), Obstacle> {
        self.must(&["type", "--clearmodifiers", "--delay", "4", text])
    }

    /// The one window that can be seen under this title.
    ///
    /// # Errors
    /// When there is none after a while, or more than one.
    pub fn window(&self, title: &str) -> Result<String, Obstacle> {
        until(&format!("the window “{title}”"), PATIENCE, || match &self.windows(title)?[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            many => Err(Obstacle::new(format!("{} windows are called “{title}”", many.len()))),
        })
    }

    /// Waits until no window can be seen under this title.
    ///
    /// # Errors
    /// When one stays.
    pub fn no_window(&self, title: &str) -> Result<(), Obstacle> {
        until(&format!("the window “{title}” to go"), PATIENCE, || {
            Ok(self.windows(title)?.is_empty().then_some(()))
        })
    }

    /// Waits until a window has the keyboard.
    ///
    /// # Errors
    /// When it does not get it.
    pub fn has_keyboard(&self, window: &str) -> Result<(), Obstacle> {
        until("a window to get the keyboard", PATIENCE, || {
            let active = self.xdotool(&["getactivewindow"])?;
            Ok(active.filter(|active| active.trim() == window).map(drop))
        })
    }

    /// Writes what the display shows to `target/screens/window-NAME.png`.
    ///
    /// # Errors
    /// When it cannot be taken or written.
    pub fn picture(&self, name: &str) -> Result<PathBuf, Obstacle> {
        let folder = target()?.join("screens");
        fs::create_dir_all(&folder).map_err(|e| Obstacle::io("making a folder", &e))?;
        let path = folder.join(format!("window-{name}.png"));
        let mut command = self.command("import");
        let output = command.args(["-window", "root"]).arg(&path).output();
        let output = output.map_err(|e| Obstacle::io("taking a picture", &e))?;
        if output.status.success() {
            return Ok(path);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Obstacle::new(format!("No picture could be taken: {said}")))
    }

    fn windows(&self, title: &str) -> Result<Vec<String>, Obstacle> {
        let pattern = format!("^{title}$");
        let found = self.xdotool(&["search", "--onlyvisible", "--name", &pattern])?;
        Ok(found.unwrap_or_default().lines().map(str::to_owned).collect())
    }

    fn must(&self, arguments: &[&str]) -> Result<(), Obstacle> {
        let done = self.xdotool(arguments)?.map(drop);
        done.ok_or_else(|| Obstacle::new(format!("xdotool {arguments:?} failed")))
    }

    /// What xdotool answers; nothing when it finds nothing or fails.
    fn xdotool(&self, arguments: &[&str]) -> Result<Option<String>, Obstacle> {
        let mut command = self.command("xdotool");
        let output = command.args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|e| Obstacle::io("running xdotool", &e))?;
        let text = || String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(output.status.success().then(text))
    }
}

impl Drop for DesktopSession {
    fn drop(&mut self) {
        end(&mut self.window_manager);
        end(&mut self.display_server);
    }
}

/// Looks every few milliseconds until there is something to see.
///
/// # Errors
/// When looking fails, or there is nothing within `patience`.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Obstacle>,
) -> Result<T, Obstacle> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Obstacle::new(format!("Waited {} s for {what}.", patience.as_secs())));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// As [`until`], for looking that takes a while itself.
///
/// # Errors
/// When looking fails, or it is not so within `patience`.
pub async fn comes_true(
    what: &str,
    patience: Duration,
    mut is_so: impl AsyncFnMut() -> Result<bool, Obstacle>,
) -> Result<(), Obstacle> {
    let end = Instant::now() + patience;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while !is_so().await? {
        if Instant::now() > end {
            let waited_s = patience.as_secs();
            return Err(Obstacle::new(format!("It does not come to this in {waited_s} s: {what}")));
        }
        tick.tick().await;
    }
    Ok(())
}

/// Asks a program to end, as a shutting-down system does, and ends it if it does not.
pub(crate) fn end(child: &mut Child) {
    if let Some(id) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Fails only if it is gone already.
        let _ = process::kill_process(id, Signal::TERM);
    }
    let ended = || Ok(child.try_wait().ok().flatten());
    if until("a program to end", Duration::from_secs(3), ended).is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn run_inside(test: &str) -> Result<(), Obstacle> {
    everything_is_installed()?;
    let folder = TempDir::new().map_err(|e| Obstacle::io("making a session's folder", &e))?;
    let this = env::current_exe().map_err(|e| Obstacle::io("this test's own path", &e))?;
    // Whatever the session leaves behind becomes a child of this process and can be seen.
    process::set_child_subreaper(Some(process::getpid()))
        .map_err(|e| Obstacle::io("adopting the session's processes", &e.into()))?;
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", SCRIPT]).arg(this).arg(test);
    private(&mut command, folder.path());
    command.stdin(Stdio::null());
    command.stdout(log_file(folder.path(), "test")?).stderr(log_file(folder.path(), "session")?);
    let mut session = command.spawn().map_err(|e| Obstacle::io("starting dbus-run-session", &e))?;
    let ended = until("the test in its session", SESSION_PATIENCE, || {
        session.try_wait().map_err(|e| Obstacle::io("waiting for the session", &e))
    });
    let left = left_behind(if ended.is_ok() { PARTING } else { Duration::ZERO });
    let said = |name| fs::read_to_string(log_path(folder.path(), name)).unwrap_or_default();
    let told = || format!("{}\n{}", said("test"), said("session"));
    match ended {
        Err(late) => Err(Obstacle::new(format!("{late}\n{}", told()))),
        Ok(status) if !status.success() => {
            Err(Obstacle::new(format!("The session ended with {status}.\n{}", told())))
        }
        // A test that was not found would pass, too.
        Ok(_) if !said("test").contains("1 passed") => {
            Err(Obstacle::new(format!("No test is called {test}.\n{}", told())))
        }
        Ok(_) if !left.is_empty() => {
            Err(Obstacle::new(format!("The session left processes behind: {left:?}")))
        }
        Ok(_) => Ok(()),
    }
}

fn everything_is_installed() -> Result<(), Obstacle> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let is_missing = |program: &str| !folders.iter().any(|folder| folder.join(program).is_file());
    let missing = NEEDED.iter().filter(|(program, _)| is_missing(program));
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    Err(Obstacle::new(format!(
        "The real window cannot be tested: install {}. `cargo xtask setup` does it.",
        packages.join(", ")
    )))
}

/// Gives a session its own folders, and nothing of the person's.
fn private(command: &mut Command, folder: &Path) {
    for variable in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", INSIDE] {
        command.env(variable, folder);
    }
    for (variable, name) in [
        ("XDG_DATA_HOME", "share"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
    ] {
        command.env(variable, folder.join(name));
    }
    // Plain pixels, English, and no desktop parts besides what is started here.
    for (variable, value) in [
        ("WEBKIT_DISABLE_COMPOSITING_MODE", "1"),
        ("LC_ALL", "C.UTF-8"),
        ("GSETTINGS_BACKEND", "memory"),
        ("GIO_USE_VFS", "local"),
    ] {
        command.env(variable, value);
    }
    for variable in [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "DBUS_SESSION_BUS_ADDRESS",
        "GTK_THEME",
        "GTK_USE_PORTAL",
        "IMPREST_DATA",
        "IMPREST_TOKEN",
        "IMPREST_URL",
        "IMPREST_LOG",
    ] {
        command.env_remove(variable);
    }
}

/// Waits until every process of the session is gone, ends those that stay, and names them.
fn left_behind(patience: Duration) -> Vec<String> {
    let deadline = Instant::now() + patience;
    let mut left = BTreeMap::new();
    loop {
        match process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => {
                for (id, name) in own_children() {
                    let _ = process::kill_process(id, Signal::KILL);
                    left.insert(id.as_raw_nonzero(), name);
                }
            }
            // There are no children any more.
            Err(_) => return left.into_values().collect(),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The children of this process, with their names.
fn own_children() -> Vec<(Pid, String)> {
    let own = process::getpid();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let child = |entry: fs::DirEntry| {
        let id = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        // proc(5): number, name in parentheses, state, parent.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let parent: i32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (parent == own.as_raw_nonzero().get()).then(|| (id, name.to_owned()))
    };
    entries.filter_map(Result::ok).filter_map(child).collect()
}

fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn log_file(folder: &Path, name: &str) -> Result<File, Obstacle> {
    File::create(log_path(folder, name)).map_err(|e| Obstacle::io("making a log file", &e))
}
