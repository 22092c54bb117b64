//! Whether a served desk locks its vault before the computer sleeps, and with its owner's screen,
//! told by a session manager of the journey's own on a bus of its own.
#![cfg(target_os = "linux")]

use imprest_tests::{Desk, Obstacle, until};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Connection;
use zbus::zvariant::{ObjectPath, OwnedFd, OwnedObjectPath, Value};

const LOGIND: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const OWN_SESSION: &str = "/org/freedesktop/login1/session/_31";
const PATIENCE: Duration = Duration::from_secs(10);

/// A message bus that ends with the journey.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn start() -> Bus {
        Bus::start_with(&[])
    }

    /// One that is where it was before.
    fn start_at(address: &str) -> Bus {
        Bus::start_with(&[format!("--address={address}")])
    }

    fn start_with(more: &[String]) -> Bus {
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = command.spawn().expect("dbus-daemon, of the package dbus");
        let mut address = String::new();
        let said = daemon.stdout.take().expect("its standard output");
        BufReader::new(said).read_line(&mut address).expect("it says where it is");
        Bus { daemon, address: address.trim().to_owned() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The other ends of the locks that delay sleep: at its end when the desk has let go.
type Delays = Arc<Mutex<Vec<PipeReader>>>;

struct Manager(Delays);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> OwnedFd {
        assert_eq!((what, who, mode), ("sleep", "Imprest", "delay"), "{why}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        self.0.lock().expect("nobody panicked").push(reader);
        std::os::fd::OwnedFd::from(writer).into()
    }
}

struct Session;

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn user(&self) -> (u32, OwnedObjectPath) {
        let path = ObjectPath::try_from("/org/freedesktop/login1/user/self").expect("a path");
        (rustix::process::getuid().as_raw(), path.into())
    }
}

async fn manager(bus: &Bus, delays: &Delays) -> zbus::Result<Connection> {
    zbus::connection::Builder::address(bus.address.as_str())?
        .name(LOGIND)?
        .serve_at(PATH, Manager(delays.clone()))?
        .serve_at(OWN_SESSION, Session)?
        .build()
        .await
}

/// What a desktop that locks by itself has its session say.
async fn changes(manager: &Connection, property: &str, value: bool) {
    let changed = HashMap::from([(property, Value::from(value))]);
    let body = ("org.freedesktop.login1.Session", changed, Vec::<&str>::new());
    let told = manager
        .emit_signal(
            None::<&str>,
            OWN_SESSION,
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            &body,
        )
        .await;
    told.expect("the bus takes it");
}

async fn tell(manager: &Connection, path: &str, interface: &str, member: &str) {
    let told = match member {
        "Lock" => manager.emit_signal(None::<&str>, path, interface, member, &()).await,
        _ => manager.emit_signal(None::<&str>, path, interface, member, &(true,)).await,
    };
    told.expect("the bus takes it");
}

fn stage(desk: &Desk) -> Result<String, Obstacle> {
    let status = desk.read(&["status"])?;
    Ok(status.done()?["stage"].as_str().unwrap_or_default().to_owned())
}

fn becomes(desk: &Desk, wanted: &str) -> Result<(), Obstacle> {
    until(&format!("the vault to be {wanted}"), PATIENCE, || {
        Ok((stage(desk)? == wanted).then_some(()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vault_locks_before_the_computer_sleeps_and_with_the_screen() -> Result<(), Obstacle> {
    let (bus, delays) = (Bus::start(), Delays::default());
    let manager = manager(&bus, &delays).await.expect("a session manager");
    let folder = TempDir::new().expect("a folder");
    let mut desk = Desk::init_practice(&folder.path().join("desk"))?;
    desk.listen_on(&bus.address);
    desk.serve()?;
    // It delays sleep from the moment on from which it listens.
    let delay = until("the desk to listen", PATIENCE, || {
        Ok(delays.lock().expect("nobody panicked").pop())
    })?;
    assert_eq!(stage(&desk)?, "open");

    tell(&manager, PATH, "org.freedesktop.login1.Manager", "PrepareForSleep").await;
    // Once the desk lets the computer sleep, it is locked already.
    let let_go = tokio::task::spawn_blocking(move || {
        let mut delay = delay;
        delay.read_to_end(&mut Vec::new())
    });
    let let_go = tokio::time::timeout(PATIENCE, let_go).await.expect("it lets go");
    assert_eq!(let_go.expect("it is read").expect("to its end"), 0);
    assert_eq!(stage(&desk)?, "locked");

    desk.owner(&["unlock"])?.done()?;
    assert_eq!(stage(&desk)?, "open");
    tell(&manager, OWN_SESSION, "org.freedesktop.login1.Session", "Lock").await;
    becomes(&desk, "locked")?;

    for (property, value) in [("LockedHint", true), ("Active", false)] {
        desk.owner(&["unlock"])?.done()?;
        assert_eq!(stage(&desk)?, "open");
        changes(&manager, property, value).await;
        becomes(&desk, "locked")?;
    }
    // Coming back unlocks nothing, and locks nothing that the owner has opened since.
    desk.owner(&["unlock"])?.done()?;
    changes(&manager, "LockedHint", false).await;
    changes(&manager, "Active", true).await;
    assert_eq!(stage(&desk)?, "open");
    drop(manager);
    Ok(())
}

fn is_said(desk: &Desk, deaf: bool) -> Result<(), Obstacle> {
    let what = if deaf { "the desk to say that it hears nothing" } else { "the desk to hear" };
    until(what, Duration::from_secs(30), || {
        let status = desk.read(&["status"])?;
        Ok((status.done()?["system_locks_note"].is_string() == deaf).then_some(()))
    })
}

/// A bus that comes up late, or a session manager that is gone for a while, is heard again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_manager_that_comes_back_is_heard_again() -> Result<(), Obstacle> {
    let folder = TempDir::new().expect("a folder");
    let address = format!("unix:path={}", folder.path().join("bus").display());
    let mut desk = Desk::init_practice(&folder.path().join("desk"))?;
    desk.listen_on(&address);
    desk.serve()?;
    is_said(&desk, true)?;
    for _ in 0..2 {
        let (bus, delays) = (Bus::start_at(&address), Delays::default());
        let manager = manager(&bus, &delays).await.expect("a session manager");
        is_said(&desk, false)?;
        assert_eq!(stage(&desk)?, "open");
        tell(&manager, OWN_SESSION, "org.freedesktop.login1.Session", "Lock").await;
        becomes(&desk, "locked")?;
        desk.owner(&["unlock"])?.done()?;
        drop(manager);
        drop(bus);
        is_said(&desk, true)?;
    }
    Ok(())
}

#[test]
fn without_a_session_manager_it_is_said() -> Result<(), Obstacle> {
    let folder = TempDir::new().expect("a folder");
    let desk = Desk::serve_practice(&folder.path().join("desk"))?;
    until("the desk to say so", PATIENCE, || {
        let status = desk.read(&["status"])?;
        let note = status.done()?["system_locks_note"].as_str().map(str::to_owned);
        Ok(note.filter(|note| note.contains("does not tell Imprest when it sleeps")))
    })?;
    Ok(())
}
