//! The rules of the desk, pure: money, budgets, verdicts, grades and the life of a payment.
//!
//! Nothing here reads a clock, a file or a socket. Time and facts are passed in, so that a
//! verdict can be replayed later from what was recorded beside it.

mod address;
mod authorization;
mod budget;
mod decide;
mod grade;
mod hours;
mod ids;
mod money;
mod notes;
mod payee;
mod payment;
mod rehearse;
mod signal;
mod text;
mod usage;
mod verdict;
mod window;

pub use address::{AddressError, looks_like, read_address};
pub use authorization::{Authorization, RELEASE_MARGIN_S, SIGNATURE_S_MAX, ValidityWindow};
pub use budget::{Budget, BudgetError, NewPayeeRule, OverPayment};
pub use decide::{AgentStanding, Case, Gas, Intent, Shared, decide, reaches_80_percent};
pub use grade::{Danger, Grade};
pub use hours::{HoursError, HoursOfDay};
pub use ids::{AgentId, ApprovalId, IdError, PaymentId, RefillId, SharedId, SweepId};
pub use money::{AmountError, Asset, AssetId, AssetIdError, Units};
pub use notes::BudgetNote;
pub use payee::{Payee, PayeeStanding};
pub use payment::{PaymentState, TransitionError};
pub use rehearse::{PastOrder, Rehearsal, rehearse};
pub use signal::{
    Ack, Clears, Lowers, Signal, SignalKind, Subject, SubjectError, danger_for, fold, is_over,
    lowers_at, median, price_signal,
};
pub use text::{AgentName, NameError, plain, plain_line};
pub use usage::{HourUse, HourUseError, Minute, Usage};
pub use verdict::{Effect, Outcome, Reason, ReasonCode, Remedy, Verdict};
pub use window::{Counted, Window, WindowSpan, minute_of};

pub use alloy_primitives::{Address, B256};
