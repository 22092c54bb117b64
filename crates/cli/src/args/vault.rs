//! The vault: its ways in, whose key refills, and a key in a file of its own.

use super::values::agent;
use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

/// `imprest vault …`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Lists the ways in; needs no passphrase
    #[command(after_help = "Example:\n  imprest vault slots")]
    Slots,
    /// Adds a way in
    #[command(after_help = "\
Examples:
  imprest vault add passphrase
  imprest vault add everyday

`strong` takes passphrase and keychain together, `passphrase` the passphrase alone, `everyday` the
keychain alone. With everyday the desk opens by itself, and every program that runs as you can open
the vault as well; what raises limits still asks for the passphrase.")]
    Add {
        /// Which: strong, everyday or passphrase
        #[arg(value_name = "WAY", value_parser = ["strong", "everyday", "passphrase"])]
        kind: String,
    },
    /// Removes a way in; one that takes the passphrase always stays, and so do the words
    #[command(after_help = "Example:\n  imprest vault remove 5f1c…")]
    Remove {
        /// The slot, as `imprest vault slots` lists it
        #[arg(value_name = "SLOT")]
        slot: String,
    },
    /// Sets a new passphrase in place of the present one
    #[command(after_help = "\
Examples:
  imprest vault passwd
  imprest vault passwd --passphrase-stdin < old-and-new.txt

From standard input the first line is the present passphrase, the second the new one. An older copy
of the vault file still opens with the old one.")]
    Passwd,
    /// Moves the vault to this session's keychain, with the passphrase
    #[command(after_help = "\
Example:
  imprest vault rewrap

Passphrase and this keychain together become the only way in beside the 24 words: after a change of
desktop. The present ways in must still open; when a keychain was lost, `imprest recover` comes first.")]
    Rewrap,
    /// Shows the 24 recovery words again
    #[command(after_help = "Example:\n  imprest vault words")]
    Words,
}

/// `imprest treasury …`.
#[derive(Debug, Subcommand)]
pub enum TreasuryCommand {
    /// Says whose key pays for refills
    #[command(after_help = "Example:\n  imprest treasury show")]
    Show,
    /// Makes a key from elsewhere the treasury's; the vault keeps it for good
    #[command(after_help = "\
Examples:
  imprest treasury import UTC--2026-01-09--keystore.json
  imprest treasury import --raw-stdin --passphrase-stdin < passphrase-and-key.txt

A file is a Web3 keystore of version 3, or 64 hex digits. The 24 words do not bring such a key back:
keep a backup of the data folder, or the keystore.")]
    Import(ImportArgs),
    /// Makes an address the treasury that is only looked at
    #[command(after_help = "Example:\n  imprest treasury watch 0xf39F…2266")]
    Watch {
        /// The address
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Makes the vault's own account the treasury again
    #[command(after_help = "Example:\n  imprest treasury own")]
    Own,
}

/// `imprest treasury import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The keystore, or a file with the key
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "raw_stdin")]
    pub file: Option<PathBuf>,
    /// Asks for the key on the terminal, or reads it as the next line of standard input
    #[arg(long, conflicts_with = "file")]
    pub raw_stdin: bool,
}

/// `imprest key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Writes a key as a Web3 keystore under a passphrase of its own
    #[command(after_help = "\
Examples:
  imprest key export treasury treasury.json
  imprest key export scout scout.json --passphrase-stdin < both-passphrases.txt

From standard input the first line is the desk's passphrase, the second the file's. A file that is
there is not replaced.")]
    Export(ExportKeyArgs),
}

/// `imprest key export`.
#[derive(Debug, Args)]
pub struct ExportKeyArgs {
    /// Whose: an agent's name, or treasury
    #[arg(value_name = "AGENT|treasury", value_parser = agent)]
    pub whose: String,
    /// Where it goes
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}
