//! System packages on Debian and Ubuntu.

use crate::{console, process};
use anyhow::Result;
use std::process::Command;

/// What building the window needs: a compiler and the headers of WebKitGTK and the tray.
const BUILDING: &[&str] = &[
    "build-essential",
    "pkg-config",
    "libwebkit2gtk-4.1-dev",
    "libayatana-appindicator3-dev",
    "librsvg2-dev",
    "libssl-dev",
    "libxdo-dev",
];

/// What the tests need besides: a display, a session bus, a keyring, browsers without a person, a
/// network of their own, and a Python for packages of its own.
const TESTING: &[&str] = &[
    "webkit2gtk-driver",
    "xvfb",
    "xauth",
    "openbox",
    "xdotool",
    "dbus",
    "dbus-x11",
    "gnome-keyring",
    "libsecret-tools",
    "chromium",
    "fonts-dejavu-core",
    "imagemagick",
    "age",
    "iproute2",
    "python3-venv",
];

/// Installs the packages for building that are missing.
///
/// # Errors
/// When apt-get fails.
pub fn for_building() -> Result<()> {
    install(BUILDING, "the window is built with them")
}

/// Installs the packages for testing that are missing.
///
/// # Errors
/// When apt-get fails.
pub fn for_testing() -> Result<()> {
    install(TESTING, "the tests of the real window and of the web UI run with them")
}

fn install(wanted: &[&str], why: &str) -> Result<()> {
    if !cfg!(target_os = "linux") {
        // Windows and macOS bring their own web view and compiler tools.
        return Ok(());
    }
    let Some(listing) = process::says(
        process::program("dpkg-query")
            .args(["--show", "--showformat", "${Package} ${db:Status-Status}\\n"])
            .args(wanted)
            // dpkg-query complains on standard error about each one it does not know.
            .stderr(std::process::Stdio::null()),
    ) else {
        console::note(format!("This is not Debian or Ubuntu. Please install what matches: {why}."));
        console::note(wanted.join(" "));
        return Ok(());
    };
    let missing = missing(wanted, &listing);
    if missing.is_empty() {
        return Ok(());
    }
    console::note(format!("Missing system packages ({why}): {}", missing.join(" ")));
    let Some(privilege) = Privilege::find() else {
        console::note("Neither root nor sudo is at hand. Please have them installed:");
        console::note(format!("apt-get install --no-install-recommends {}", missing.join(" ")));
        return Ok(());
    };
    let step = console::begin("system packages");
    process::run_quietly(privilege.apt_get().args(["update", "--quiet"]))?;
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        missing.into_iter().partition(|name| on_offer(name));
    if !unknown.is_empty() {
        console::note(format!("Not offered by this system, so left out: {}", unknown.join(" ")));
    }
    if !known.is_empty() {
        let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
        process::run_quietly(privilege.apt_get().args(install).args(&known))?;
    }
    step.done();
    Ok(())
}

/// Which of the wanted packages a listing of `name status` lines does not call installed.
fn missing<'a>(wanted: &[&'a str], listing: &str) -> Vec<&'a str> {
    let installed: Vec<&str> =
        listing.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    wanted.iter().copied().filter(|name| !installed.contains(name)).collect()
}

/// Whether apt has a version of a package that it could install.
fn on_offer(name: &str) -> bool {
    process::says(process::program("apt-cache").args(["policy", name]))
        .is_some_and(|policy| candidate(&policy))
}

/// Whether the answer of `apt-cache policy` names a version to install.
fn candidate(policy: &str) -> bool {
    let found = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    found.is_some_and(|version| version != "(none)")
}

/// By what right packages are installed.
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    fn find() -> Option<Privilege> {
        let id = process::says(process::program("id").arg("-u"))?;
        if id.trim() == "0" {
            return Some(Privilege::Root);
        }
        process::answers("sudo", &["--version"]).then_some(Privilege::Sudo)
    }

    fn apt_get(&self) -> Command {
        let quiet = "DEBIAN_FRONTEND=noninteractive";
        let (first, rest): (&str, &[&str]) = match self {
            Privilege::Root => ("env", &[quiet, "apt-get"]),
            Privilege::Sudo => ("sudo", &["env", quiet, "apt-get"]),
        };
        let mut command = process::program(first);
        command.args(rest);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts_as_there() {
        let listing = "xvfb installed\nchromium config-files\nopenbox not-installed\n";
        assert_eq!(
            missing(&["xvfb", "chromium", "openbox", "dbus"], listing),
            ["chromium", "openbox", "dbus"]
        );
        assert!(missing(&["xvfb"], listing).is_empty());
    }

    #[test]
    fn a_package_without_a_candidate_is_not_on_offer() {
        assert!(candidate("xvfb:\n  Installed: (none)\n  Candidate: 2:21.1\n"));
        assert!(!candidate("chromium:\n  Installed: (none)\n  Candidate: (none)\n"));
        assert!(!candidate(""));
    }
}
