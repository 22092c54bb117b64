//! How the words of the domain lie in SQLite's cells, and how they are read back strictly.

use crate::error::LedgerError;
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, ApprovalId, Grade, PaymentId, PaymentState, RefillId, SharedId, SignalKind, Subject,
    Units, Window,
};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that has its own form in a cell.
pub(crate) trait Cell: Sized {
    /// The cell.
    fn cell(&self) -> ToSqlOutput<'_>;
    /// Reads it back; `None` for anything this program would not have written.
    fn from_cell(value: ValueRef<'_>) -> Option<Self>;
}

/// Reads one column.
pub(crate) fn column<T: Cell>(
    row: &rusqlite::Row<'_>,
    at: usize,
    name: &'static str,
) -> Result<T, LedgerError> {
    T::from_cell(row.get_ref(at)?)
        .ok_or_else(|| LedgerError::damaged(format!("the column {name} holds something else")))
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok()
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> ToSqlOutput<'_> {
        self.as_ref().map_or(ToSqlOutput::Owned(Value::Null), Cell::cell)
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::from_cell(value).map(Some),
        }
    }
}

impl Cell for String {
    fn cell(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        text(value).map(str::to_owned)
    }
}

impl Cell for bool {
    fn cell(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Integer(i64::from(*self)))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Integer(0) => Some(false),
            ValueRef::Integer(1) => Some(true),
            _ => None,
        }
    }
}

macro_rules! integer_cells {
    ($($type:ty),*) => {$(
        impl Cell for $type {
            fn cell(&self) -> ToSqlOutput<'_> {
                // Heights, counts and times stay far below 2^63; what does not is shown as the
                // greatest number rather than as a negative one.
                ToSqlOutput::Owned(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
            fn from_cell(value: ValueRef<'_>) -> Option<Self> {
                match value {
                    ValueRef::Integer(number) => Self::try_from(number).ok(),
                    _ => None,
                }
            }
        }
    )*};
}
integer_cells!(i64, u64, u32, u16);

impl Cell for Units {
    fn cell(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Integer(self.as_i64()))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().and_then(|units| Units::try_from(units).ok())
    }
}

macro_rules! written_cells {
    ($($type:ty),*) => {$(
        impl Cell for $type {
            fn cell(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Owned(Value::Text(self.to_string()))
            }
            fn from_cell(value: ValueRef<'_>) -> Option<Self> {
                text(value)?.parse().ok()
            }
        }
    )*};
}
written_cells!(AgentId, PaymentId, ApprovalId, RefillId, SharedId, Address, B256, Grade, Subject);

macro_rules! word_cells {
    ($($type:ty),*) => {$(
        impl Cell for $type {
            fn cell(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Borrowed(ValueRef::Text(self.word().as_bytes()))
            }
            fn from_cell(value: ValueRef<'_>) -> Option<Self> {
                Self::from_word(text(value)?)
            }
        }
    )*};
}
word_cells!(PaymentState, Window, SignalKind);

/// A value that lies in its cell as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize + DeserializeOwned> Cell for Json<T> {
    fn cell(&self) -> ToSqlOutput<'_> {
        // Only plain structs of numbers and texts lie here, which always can be written.
        let text = serde_json::to_string(&self.0).unwrap_or_default();
        ToSqlOutput::Owned(Value::Text(text))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        serde_json::from_str(text(value)?).ok().map(Json)
    }
}
