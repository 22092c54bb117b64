//! The rules of the desk, pure: money, budgets, verdicts, grades and the life of a payment.
//!
//! Nothing here reads a clock, a file or a socket. Time and facts are passed in, so that a
//! verdict can be replayed later from what was recorded beside it.

mod authorization;
mod budget;
mod decide;
mod grade;
mod ids;
mod money;
mod payee;
mod payment;
mod text;

pub use authorization::{Authorization, ValidityWindow};
pub use budget::{Budget, BudgetError, NewPayeeRule, OverPayment, Window, WindowSpan};
pub use decide::{
    AgentStanding, Case, Effect, Intent, Outcome, Reason, ReasonCode, Remedy, Usage, Verdict,
    decide,
};
pub use grade::{Danger, Grade};
pub use ids::{AgentId, ApprovalId, IdError, PaymentId, RefillId};
pub use money::{AmountError, Asset, AssetId, Units};
pub use payee::{Payee, PayeeStanding};
pub use payment::{PaymentState, TransitionError};
pub use text::{AgentName, NameError, plain, plain_line};

pub use alloy_primitives::{Address, B256};
