//! Statements of what happened, in formats other programs read.

mod activity_csv;

pub use activity_csv::{ActivityLine, ReportError, write_activity_csv};
