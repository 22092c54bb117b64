//! Problems: how every error of every layer reaches the owner, as a code and two sentences.

use crate::view::Problem;
use imprest_backup::BackupError;
use imprest_chain::ChainError;
use imprest_connect::ConnectError;
use imprest_domain::{AmountError, BudgetError};
use imprest_gateway::{Failure, FailureCode};
use imprest_ledger::LedgerError;
use imprest_practice::PracticeError;
use imprest_rails::RailsError;
use imprest_vault::VaultError;
use std::fmt;

/// The closed set of codes the window words. A code exists because something branches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// What was typed or sent cannot be used.
    BadInput,
    /// The passphrase, or the recovery words, are wrong.
    WrongPassphrase,
    /// The vault is locked.
    Locked,
    /// This raises authority, and the owner has not just shown to be here.
    PresenceNeeded,
    /// The keychain that has its part of the vault's key did not give it.
    Keychain,
    /// There is no vault yet.
    NoVault,
    /// There is one already.
    VaultExists,
    /// No such agent, payment or question.
    NotFound,
    /// Another agent has the name.
    NameTaken,
    /// The thing is no longer in the state this needs.
    Conflict,
    /// Another desk is open on the folder.
    InUse,
    /// The chain does not answer.
    ChainUnreachable,
    /// The practice network cannot be started.
    NoPracticeKit,
    /// The disk is full, unreadable, or failing.
    Disk,
    /// The desk cannot do this now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// The word it crosses as.
    pub fn word(self) -> &'static str {
        match self {
            ErrorCode::BadInput => "bad_input",
            ErrorCode::WrongPassphrase => "wrong_passphrase",
            ErrorCode::Locked => "locked",
            ErrorCode::PresenceNeeded => "presence_needed",
            ErrorCode::Keychain => "keychain",
            ErrorCode::NoVault => "no_vault",
            ErrorCode::VaultExists => "vault_exists",
            ErrorCode::NotFound => "not_found",
            ErrorCode::NameTaken => "name_taken",
            ErrorCode::Conflict => "conflict",
            ErrorCode::InUse => "in_use",
            ErrorCode::ChainUnreachable => "chain_unreachable",
            ErrorCode::NoPracticeKit => "no_practice_kit",
            ErrorCode::Disk => "disk",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::Internal => "internal",
        }
    }
}

impl ErrorCode {
    /// What to do when the error itself does not say.
    fn usual_recovery(self) -> &'static str {
        match self {
            ErrorCode::BadInput => "Correct it and try again.",
            ErrorCode::NotFound => "Look at what there is, and use its name or identifier.",
            ErrorCode::Conflict => "Look at how things stand now, then decide again.",
            _ => "Try again; if it happens again, run `imprest doctor`.",
        }
    }
}

impl Problem {
    /// A problem with its two sentences.
    pub fn new(code: ErrorCode, message: impl Into<String>, recovery: impl Into<String>) -> Self {
        Problem { code: code.word().into(), message: message.into(), recovery: recovery.into() }
    }

    /// A problem whose text already says what happened and what to do, sentence by sentence.
    fn told(code: ErrorCode, text: impl fmt::Display) -> Self {
        let text = sentence(&text.to_string());
        match text.split_once(". ") {
            Some((what, next)) => Problem::new(code, format!("{what}."), sentence(next)),
            None => Problem::new(code, text, code.usual_recovery()),
        }
    }

    /// What the terminal exits with.
    pub fn exit_code(&self) -> u8 {
        match self.code.as_str() {
            "bad_input" | "name_taken" => 2,
            "wrong_passphrase" | "locked" | "no_vault" | "presence_needed" | "keychain" => 6,
            _ => 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.message, self.recovery)
    }
}

impl std::error::Error for Problem {}

/// Starts with a capital and ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first_word = text.split(' ').next().unwrap_or_default();
    let mut out = if first_word.contains(['.', ':', '/']) {
        // A host or a path stays as it is written.
        text.to_owned()
    } else {
        let mut chars = text.chars();
        let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
        format!("{first}{}", chars.as_str())
    };
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Problem {
        let code = match &error {
            LedgerError::NoAgent { .. }
            | LedgerError::NoPayment { .. }
            | LedgerError::NoShared { .. }
            | LedgerError::NoSignal { .. } => ErrorCode::NotFound,
            LedgerError::NameTaken { .. } => ErrorCode::NameTaken,
            LedgerError::KeyReused { .. }
            | LedgerError::Revoked { .. }
            | LedgerError::NotWaiting { .. }
            | LedgerError::OtherAsset
            | LedgerError::ClockBehind
            | LedgerError::Unreconciled
            | LedgerError::NothingToCancel { .. }
            | LedgerError::NotInFloat { .. }
            | LedgerError::ForeignAsset
            | LedgerError::AgentClash { .. }
            | LedgerError::Transition(_) => ErrorCode::Conflict,
            LedgerError::Budget(error) => return error.clone().into(),
            LedgerError::ClockAgrees => ErrorCode::BadInput,
            LedgerError::Locked => ErrorCode::Locked,
            LedgerError::OldSqlite { .. } => ErrorCode::Internal,
            _ => ErrorCode::Disk,
        };
        Problem::told(code, error)
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Problem {
        let code = match &error {
            VaultError::WrongPassphrase | VaultError::WrongWords(_) => ErrorCode::WrongPassphrase,
            VaultError::OwnerNotPresent | VaultError::NoProofOfPresence => {
                ErrorCode::PresenceNeeded
            }
            VaultError::Keychain { .. }
            | VaultError::KeychainKeyMissing { .. }
            | VaultError::OtherKeychain { .. }
            | VaultError::WrongKeychainKey { .. }
            | VaultError::KeychainNeeded { .. } => ErrorCode::Keychain,
            VaultError::Locked | VaultError::LockedMeanwhile => ErrorCode::Locked,
            VaultError::NotFound { .. } => ErrorCode::NoVault,
            VaultError::AlreadyExists { .. } => ErrorCode::VaultExists,
            VaultError::PassphraseTooShort { .. }
            | VaultError::PassphraseTooLong { .. }
            | VaultError::BadKey
            | VaultError::Keystore(_) => ErrorCode::BadInput,
            VaultError::NoSuchSlot => ErrorCode::NotFound,
            VaultError::Halted
            | VaultError::NoPassphraseSlot
            | VaultError::NoKeychainSlot
            | VaultError::RecoverySlot
            | VaultError::LastWayIn
            | VaultError::TooManySlots { .. }
            | VaultError::OldForm
            | VaultError::TooManyKeys { .. }
            | VaultError::WatchOnly { .. }
            | VaultError::OnDevice { .. } => ErrorCode::Conflict,
            VaultError::OutOfMemory { .. } => ErrorCode::Unavailable,
            VaultError::Io { .. }
            | VaultError::Damaged { .. }
            | VaultError::NewerVersion { .. }
            | VaultError::OlderCopy { .. } => ErrorCode::Disk,
            _ => ErrorCode::Internal,
        };
        Problem::told(code, error)
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Problem {
        let code = match &error {
            BackupError::WrongPassphrase { .. } => ErrorCode::WrongPassphrase,
            BackupError::InUse { .. } => ErrorCode::InUse,
            BackupError::AlreadyThere { .. }
            | BackupError::BesideTheBooks { .. }
            | BackupError::Missing { .. }
            | BackupError::NotABackup { .. }
            | BackupError::TooMuchWork { .. }
            | BackupError::Newer { .. }
            | BackupError::TooLarge { .. }
            | BackupError::Occupied { .. }
            | BackupError::NotReplaced { .. }
            | BackupError::Passphrase { .. } => ErrorCode::BadInput,
            BackupError::Internal { .. } => ErrorCode::Internal,
            _ => ErrorCode::Disk,
        };
        Problem::told(code, error)
    }
}

impl From<ChainError> for Problem {
    fn from(error: ChainError) -> Problem {
        Problem::told(ErrorCode::ChainUnreachable, error)
    }
}

impl From<PracticeError> for Problem {
    fn from(error: PracticeError) -> Problem {
        let code = match &error {
            PracticeError::NoKit { .. } | PracticeError::BadArtifact { .. } => {
                ErrorCode::NoPracticeKit
            }
            PracticeError::File { .. } => ErrorCode::Disk,
            _ => ErrorCode::ChainUnreachable,
        };
        Problem::told(code, error)
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Problem {
        let code = match &error {
            ConnectError::NotConnected { .. } => ErrorCode::NotFound,
            ConnectError::Changed { .. }
            | ConnectError::Busy { .. }
            | ConnectError::Taken { .. }
            | ConnectError::Reserved { .. }
            | ConnectError::NotYours { .. }
            | ConnectError::Unsafe { .. } => ErrorCode::Conflict,
            _ => ErrorCode::Unavailable,
        };
        Problem::told(code, error)
    }
}

impl From<BudgetError> for Problem {
    fn from(error: BudgetError) -> Problem {
        let field = match &error {
            BudgetError::UnknownZone { .. } => "Zone",
            BudgetError::ExpiresInThePast => "Ends",
            BudgetError::Unbounded => "Limits",
        };
        Problem { recovery: "Change the limits and save again.".into(), ..bad_input(field, error) }
    }
}

/// A malformed field, by name.
pub(crate) fn bad_input(field: &str, why: impl fmt::Display) -> Problem {
    Problem::new(
        ErrorCode::BadInput,
        sentence(&format!("{field}: {why}")),
        "Correct it and try again.",
    )
}

/// As [`bad_input`], for JSON that is not what was asked for. What stands in its place is not
/// repeated: it may be a passphrase, and this is shown and logged.
pub(crate) fn bad_form(field: &str, error: &serde_json::Error) -> Problem {
    let why = match error.classify() {
        serde_json::error::Category::Data => {
            "a part is missing, is not known, or is of another kind than it has to be".to_owned()
        }
        _ => error.to_string(),
    };
    bad_input(field, why)
}

pub(crate) fn bad_amount(field: &str, error: AmountError) -> Problem {
    bad_input(field, error)
}

/// What an agent is told of the books' trouble.
pub(crate) fn ledger_failure(error: LedgerError) -> Failure {
    let code = match &error {
        LedgerError::KeyReused { .. } => FailureCode::KeyReused,
        LedgerError::NoPayment { .. } => FailureCode::NotFound,
        LedgerError::NoAgent { .. } => FailureCode::Unauthorized,
        LedgerError::Locked => FailureCode::Locked,
        _ => FailureCode::Unavailable,
    };
    let problem = Problem::from(error);
    Failure::new(code, problem.message, problem.recovery)
}

/// What an agent is told of a payee's trouble.
pub(crate) fn rails_failure(error: RailsError) -> Failure {
    let code = match &error {
        RailsError::BadUrl { .. }
        | RailsError::BadHeader { .. }
        | RailsError::BadMethod { .. }
        | RailsError::BadCall { .. }
        | RailsError::AddressRefused { .. } => FailureCode::BadRequest,
        _ => FailureCode::PayeeFailed,
    };
    let text = sentence(&error.to_string());
    match text.split_once("; ") {
        Some((what, next)) => Failure::new(code, format!("{what}."), sentence(next)),
        None => Failure::new(code, text, "Correct the request, or ask the payee."),
    }
}

/// What the owner is told of a payee's trouble.
pub(crate) fn failure_problem(failure: Failure) -> Problem {
    let code = match failure.code {
        FailureCode::BadRequest => ErrorCode::BadInput,
        FailureCode::Locked => ErrorCode::Locked,
        FailureCode::NotFound => ErrorCode::NotFound,
        _ => ErrorCode::Unavailable,
    };
    Problem::new(code, failure.message, failure.recovery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_domain::Units;

    #[test]
    fn the_books_errors_have_their_codes() {
        let name = || "team".to_owned();
        for (error, code) in [
            (LedgerError::Locked, "locked"),
            (LedgerError::NoShared { name: name() }, "not_found"),
            (LedgerError::NoSignal { signal: 7 }, "not_found"),
            (LedgerError::OtherAsset, "conflict"),
            (LedgerError::ClockAgrees, "bad_input"),
            (LedgerError::ClockBehind, "conflict"),
            (LedgerError::Unreconciled, "conflict"),
            (LedgerError::ForeignAsset, "conflict"),
            (LedgerError::NotInFloat { movable: Units::ZERO }, "conflict"),
            (LedgerError::AgentClash { what: "token" }, "conflict"),
            (LedgerError::Forged { what: name() }, "disk"),
            (LedgerError::Budget(BudgetError::Unbounded), "bad_input"),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.code, code, "{problem}");
            for text in [&problem.message, &problem.recovery] {
                assert!(text.ends_with('.') && !text.contains('\n'), "{problem}");
            }
        }
        assert_eq!(ledger_failure(LedgerError::Locked).code, FailureCode::Locked);
        let behind = Problem::from(LedgerError::ClockBehind);
        assert!(behind.recovery.contains("`imprest clock accept`"), "{behind}");
    }

    #[test]
    fn the_vaults_errors_have_their_codes_and_say_what_to_do() {
        let keychain = || "Secret Service (GNOME)".to_owned();
        let source = imprest_vault::KeychainError::Locked;
        for (error, code, exit) in [
            (VaultError::OwnerNotPresent, "presence_needed", 6),
            (VaultError::NoProofOfPresence, "presence_needed", 6),
            (VaultError::Keychain { keychain: keychain(), source }, "keychain", 6),
            (VaultError::KeychainKeyMissing { keychain: keychain() }, "keychain", 6),
            (VaultError::OtherKeychain { recorded: keychain(), found: keychain() }, "keychain", 6),
            (VaultError::KeychainNeeded { keychain: keychain() }, "keychain", 6),
            (VaultError::WrongPassphrase, "wrong_passphrase", 6),
            (VaultError::OlderCopy { found: 3, seen: 4 }, "disk", 1),
            (VaultError::LastWayIn, "conflict", 1),
            (VaultError::OldForm, "conflict", 1),
            (VaultError::WatchOnly { address: imprest_domain::Address::ZERO }, "conflict", 1),
            (VaultError::OnDevice { address: imprest_domain::Address::ZERO }, "conflict", 1),
            (VaultError::BadKey, "bad_input", 2),
            (VaultError::NoSuchSlot, "not_found", 1),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.code.as_str(), problem.exit_code()), (code, exit), "{problem}");
            for text in [&problem.message, &problem.recovery] {
                assert!(text.ends_with('.') && !text.contains('\n'), "{problem}");
            }
            if code == "keychain" {
                assert!(problem.recovery.contains("24 recovery words"), "{problem}");
            }
        }
    }

    #[test]
    fn a_budget_that_is_none_names_the_field() {
        for (error, field) in [
            (BudgetError::UnknownZone { zone: "Mars".into() }, "Zone: "),
            (BudgetError::ExpiresInThePast, "Ends: "),
            (BudgetError::Unbounded, "Limits: "),
        ] {
            let problem = Problem::from(error);
            assert!(problem.message.starts_with(field), "{problem}");
            assert_eq!(problem.exit_code(), 2);
        }
    }
}
