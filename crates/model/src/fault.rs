//! Designs with one wrong step each, which the checker has to find.

use crate::invariant::Invariant;
use serde::Serialize;

/// One wrong step in an otherwise correct design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The signer gets to work before the hold is committed.
    SignsBeforeCommit,
    /// The commit answers when the hold is in the cache, not on the disk.
    AnswersBeforeDisk,
    /// Limits are looked at in one transaction, and the hold is written in another.
    LooksThenHolds,
    /// The client key is looked up in one transaction, and the hold is written in another.
    KeyLookedUpOutside,
    /// A retry of an open payment gets a signature with a nonce of its own.
    NewNonceOnRetry,
    /// The limit is compared with what is settled, without the open holds.
    ForgetsOpenHolds,
    /// The shared limit is looked at when the hold is there already.
    SharedLimitAfterHold,
    /// The owner's yes is carried out without looking at the limits again.
    YesLiftsLimit,
    /// A restart voids every hold whose outcome it does not know.
    VoidsOnRestart,
    /// A payment without a clear answer is given up and its hold given back.
    ReleasesOnUnknown,
    /// A hold is given back when its time is over by the desk's own clock.
    ReleasesOnDeskClock,
    /// A hold is given back without a margin between the time and the state of the nonce.
    NoMargin,
    /// A payment counts as settled in the newest block, and is given back if that is undone.
    SettlesAtOnce,
    /// A settlement that the chain took back is open again, and nothing is held for it.
    ReopensForFree,
    /// A cancellation counts in the newest block.
    BelievesCancelAtOnce,
    /// A hold is given back whatever its payment has become meanwhile.
    ReleasesTwice,
    /// The freeze is looked at when an order is decided, and not when it is signed.
    FreezeAtTheDoorOnly,
    /// The freeze is kept in memory, so a restart forgets it.
    FreezeForgotten,
    /// A thaw opens the signer's latch and reads the books afterwards, whoever froze in between.
    ThawRacesFreeze,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 19] = [
        Fault::SignsBeforeCommit,
        Fault::AnswersBeforeDisk,
        Fault::LooksThenHolds,
        Fault::KeyLookedUpOutside,
        Fault::NewNonceOnRetry,
        Fault::ForgetsOpenHolds,
        Fault::SharedLimitAfterHold,
        Fault::YesLiftsLimit,
        Fault::VoidsOnRestart,
        Fault::ReleasesOnUnknown,
        Fault::ReleasesOnDeskClock,
        Fault::NoMargin,
        Fault::SettlesAtOnce,
        Fault::ReopensForFree,
        Fault::BelievesCancelAtOnce,
        Fault::ReleasesTwice,
        Fault::FreezeAtTheDoorOnly,
        Fault::FreezeForgotten,
        Fault::ThawRacesFreeze,
    ];

    /// What is wrong, as a table says it.
    pub fn says(self) -> &'static str {
        match self {
            Fault::SignsBeforeCommit => "signs before the hold is committed",
            Fault::AnswersBeforeDisk => "commit answers before the disk has it",
            Fault::LooksThenHolds => "looks at limits, then holds (two transactions)",
            Fault::KeyLookedUpOutside => "looks up the client key outside the transaction",
            Fault::NewNonceOnRetry => "signs a new nonce on a retry",
            Fault::ForgetsOpenHolds => "window counts settled money only",
            Fault::SharedLimitAfterHold => "looks at the shared limit after the hold",
            Fault::YesLiftsLimit => "the owner's yes lifts the limit",
            Fault::VoidsOnRestart => "voids open holds on restart",
            Fault::ReleasesOnUnknown => "gives back on an unclear answer",
            Fault::ReleasesOnDeskClock => "gives back by the desk's clock",
            Fault::NoMargin => "gives back without a margin",
            Fault::SettlesAtOnce => "settles in the newest block, gives back if undone",
            Fault::ReopensForFree => "opens an undone settlement and holds nothing",
            Fault::BelievesCancelAtOnce => "believes a cancellation in the newest block",
            Fault::ReleasesTwice => "gives back what was given back already",
            Fault::FreezeAtTheDoorOnly => "looks at the freeze at the door only",
            Fault::FreezeForgotten => "forgets the freeze in a restart",
            Fault::ThawRacesFreeze => "a thaw may overtake a freeze",
        }
    }

    /// The promise it is there to break. Others may fall on the way.
    pub fn breaks(self) -> Invariant {
        match self {
            Fault::SignsBeforeCommit | Fault::AnswersBeforeDisk => Invariant::HeldBeforeSigned,
            Fault::LooksThenHolds
            | Fault::ForgetsOpenHolds
            | Fault::SharedLimitAfterHold
            | Fault::YesLiftsLimit => Invariant::NoOverspend,
            Fault::KeyLookedUpOutside | Fault::NewNonceOnRetry => Invariant::PaidOnce,
            Fault::VoidsOnRestart
            | Fault::ReleasesOnUnknown
            | Fault::ReleasesOnDeskClock
            | Fault::SettlesAtOnce
            | Fault::BelievesCancelAtOnce => Invariant::ReleasedOnEvidence,
            Fault::NoMargin | Fault::ReleasesTwice => Invariant::BooksNeverTooRich,
            Fault::ReopensForFree => Invariant::CountersAddUp,
            Fault::FreezeAtTheDoorOnly | Fault::FreezeForgotten | Fault::ThawRacesFreeze => {
                Invariant::FreezeStops
            }
        }
    }
}
