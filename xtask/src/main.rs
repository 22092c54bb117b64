//! `cargo xtask`: the project's own commands. All of it lives in the library beside this file.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(std::env::args().skip(1).collect())
}
