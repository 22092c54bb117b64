//! Being somebody whom the permissions of files bind.

use crate::Obstacle;
use std::env;
use std::process::Command;

const INSIDE: &str = "IMPREST_TEST_WITHOUT_OVERRIDE";

/// Runs one test of the calling binary again without root's right to pass over permissions, and
/// answers whether it did; `false` for somebody who has no such right, and has to run it here.
///
/// # Errors
/// When `setpriv` cannot be started, or the test failed.
pub fn not_bound_by_permissions(test: &str) -> Result<bool, Obstacle> {
    if env::var_os(INSIDE).is_some() || !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    let this = env::current_exe().map_err(|e| Obstacle::io("this test's own path", &e))?;
    let output = Command::new("setpriv")
        .args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--"])
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .map_err(|e| Obstacle::io("starting setpriv", &e))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("1 passed") {
        return Ok(true);
    }
    Err(Obstacle::new(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr))))
}
