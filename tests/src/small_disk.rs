//! A disk that can be filled to the last byte without harm to anyone else.

use crate::{Obstacle, Started};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A disk of its own, in memory, that only programs started through it can see.
///
/// It is mounted in a mount namespace inside a user namespace, so that no rights of the machine
/// are needed but the one to make such namespaces.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Started,
    mounted_at: TempDir,
}

impl SmallDisk {
    /// Mounts an empty disk of so many mebibytes.
    ///
    /// # Errors
    /// When the system does not let a user make namespaces.
    pub fn mount(mebibytes: u32) -> Result<SmallDisk, Obstacle> {
        let mounted_at = TempDir::new().map_err(|e| Obstacle::io("making a mount point", &e))?;
        let script = "mount -t tmpfs -o \"size=$2m\" tmpfs \"$1\" && \
                      echo '{\"ready\":true}' && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.arg(mounted_at.path()).arg(mebibytes.to_string());
        let holder = Started::start(&mut command, None, Duration::from_secs(20))?;
        Ok(SmallDisk { holder, mounted_at })
    }

    /// Where programs started through it find it.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    /// What a program is started with to see the disk: the command and its first arguments.
    pub fn through(&self) -> Vec<OsString> {
        let target = self.holder.id().to_string();
        let words = ["nsenter", "--target", &target, "--user", "--mount", "--preserve-credentials"];
        words.into_iter().map(OsString::from).collect()
    }

    /// Fills it until not one byte more fits.
    ///
    /// # Errors
    /// When there is room left afterwards.
    pub fn fill(&self) -> Result<(), Obstacle> {
        // cat ends in failure when the disk is full, which is what is wanted.
        let script = "cat /dev/zero > \"$1/filler\" 2>&1; \
                      test \"$(df --output=avail \"$1\" | tail -n 1 | tr -d ' ')\" = 0";
        self.run(script)
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> Result<(), Obstacle> {
        self.run("rm \"$1/filler\"")
    }

    fn run(&self, script: &str) -> Result<(), Obstacle> {
        let through = self.through();
        let (first, rest) =
            through.split_first().ok_or_else(|| Obstacle::new("There is no way in."))?;
        let output = Command::new(first)
            .args(rest)
            .args(["sh", "-c", script, "sh"])
            .arg(self.path())
            .output()
            .map_err(|e| Obstacle::io("starting nsenter", &e))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Obstacle::new(format!("`{script}` ended with {}: {said}", output.status)))
    }
}
