//! Faults at every step of a change: each leaves the settings as they were and nothing beside them.

use crate::act::apply_watched;
use crate::disk::Step;
use crate::machine::{Machine, Os};
use crate::record::{Turn, connections};
use crate::{ConnectError, Plan, Program, Server, ServerName, apply};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const STEPS: [Step; 4] = [Step::Backup, Step::Temporary, Step::Record, Step::Place];

struct Home {
    _folder: TempDir,
    machine: Machine,
}

impl Home {
    fn new(settings: Option<&str>) -> Home {
        let folder = TempDir::new().unwrap();
        let home = folder.path().canonicalize().unwrap();
        fs::create_dir(home.join("desk")).unwrap();
        fs::create_dir(home.join(".cursor")).unwrap();
        if let Some(text) = settings {
            fs::write(home.join(".cursor/mcp.json"), text).unwrap();
        }
        let machine = Machine { os: Os::Linux, home, path: Vec::new(), variables: BTreeMap::new() };
        Home { _folder: folder, machine }
    }

    fn file(&self) -> PathBuf {
        self.machine.home.join(".cursor/mcp.json")
    }

    fn record(&self) -> PathBuf {
        self.machine.home.join("desk/connections.json")
    }

    fn plan(&self, agent: &str) -> Plan {
        let command = if cfg!(windows) { r"C:\imprest.exe" } else { "/opt/imprest" };
        let server =
            Server::new(ServerName::default(), Path::new(command), agent.parse().unwrap()).unwrap();
        Plan::new(&self.machine, Program::Cursor, server).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.machine.home.join(".cursor")).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn now() -> Timestamp {
    "2026-11-23T10:20:30Z".parse().unwrap()
}

#[test]
fn a_full_disk_at_any_step_leaves_no_trace() {
    for at in STEPS {
        for settings in [Some("{ }"), None] {
            if settings.is_none() && at == Step::Backup {
                continue;
            }
            let home = Home::new(settings);
            let fail = |step| match step == at {
                true => Err(io::Error::from(io::ErrorKind::StorageFull)),
                false => Ok(()),
            };
            let error =
                apply_watched(&home.plan("scout"), &home.record(), now(), &fail).unwrap_err();
            assert!(matches!(error, ConnectError::DiskFull { .. }), "{at:?}: {error}");
            assert_eq!(fs::read_to_string(home.file()).ok().as_deref(), settings, "{at:?}");
            assert_eq!(home.names().len(), usize::from(settings.is_some()), "{:?}", home.names());
            assert_eq!(connections(&home.record()).unwrap(), [], "{at:?}");
        }
    }
}

/// A fault while ours replaces ours leaves the note of the earlier one.
#[test]
fn a_fault_keeps_the_earlier_note() {
    let home = Home::new(Some("{}"));
    apply(&home.plan("scout"), &home.record(), now()).unwrap();
    let before = (fs::read(home.file()).unwrap(), connections(&home.record()).unwrap());
    for at in STEPS {
        let fail = |step| match step == at {
            true => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            false => Ok(()),
        };
        let error = apply_watched(&home.plan("other"), &home.record(), now(), &fail).unwrap_err();
        assert!(matches!(error, ConnectError::Io { .. }), "{error}");
        let after = (fs::read(home.file()).unwrap(), connections(&home.record()).unwrap());
        assert_eq!(after, before, "{at:?}");
    }
}

/// What another program writes up to the last moment is kept.
#[test]
fn a_change_between_two_steps_is_seen() {
    for at in STEPS {
        for settings in [Some("{}"), None] {
            if settings.is_none() && at == Step::Backup {
                continue;
            }
            let home = Home::new(settings);
            let write = |step| match step == at {
                true => fs::write(home.file(), "{\"theirs\": 1}"),
                false => Ok(()),
            };
            let error =
                apply_watched(&home.plan("scout"), &home.record(), now(), &write).unwrap_err();
            assert!(matches!(error, ConnectError::Changed { .. }), "{at:?}: {error}");
            assert_eq!(fs::read_to_string(home.file()).unwrap(), "{\"theirs\": 1}");
            assert_eq!(home.names(), ["mcp.json"], "{at:?}");
            assert_eq!(connections(&home.record()).unwrap(), []);
        }
    }
}

#[test]
fn one_at_a_time() {
    let home = Home::new(Some("{}"));
    let turn = Turn::take(&home.record()).unwrap();
    let busy = apply(&home.plan("scout"), &home.record(), now());
    assert!(matches!(busy, Err(ConnectError::Busy { .. })));
    drop(turn);
    assert!(apply(&home.plan("scout"), &home.record(), now()).unwrap().written);
}
