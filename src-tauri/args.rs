//! What the desk is told when it starts.

use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;

/// The desk with its window: keeps the keys, hands agents small floats, asks its owner.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "imprest-desk", version)]
pub struct Args {
    /// Run on practice money. The only mode so far, and so what happens without it too.
    #[arg(long)]
    pub practice: bool,
    /// Keep everything in this folder instead of IMPREST_DATA or the platform's own place.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Args {
    /// Reads the process's arguments; on bad ones, or when help is asked for, says so and exits.
    pub fn from_process() -> Self {
        Self::parse_from(without_launcher(std::env::args_os()))
    }
}

/// Old macOS launchers add a `-psn_…` of their own that is nobody's option.
fn without_launcher(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    args.filter(|arg| !arg.to_string_lossy().starts_with("-psn_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Args, clap::Error> {
        let all = std::iter::once("imprest-desk").chain(args.iter().copied()).map(OsString::from);
        Args::try_parse_from(without_launcher(all))
    }

    #[test]
    fn reads_folder_and_mode() {
        let args =
            read(&["--practice", "--data", "/tmp/desk", "-psn_0_77"]).expect("both are known");
        assert_eq!(args, Args { practice: true, data: Some("/tmp/desk".into()) });
        assert_eq!(read(&[]).expect("nothing is needed"), Args { practice: false, data: None });
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bad in [&["--data"][..], &["--real"], &["imprest://approve/1"], &["--data", "a", "b"]] {
            assert!(read(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
