//! The process that `imprest_soak::killed` kills.

use std::process::ExitCode;

fn main() -> ExitCode {
    imprest_soak::killed::child(std::env::args().skip(1))
}
