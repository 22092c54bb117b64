//! How the words of the domain lie in SQLite's cells, and how they are read back strictly.

use crate::error::LedgerError;
use alloy_primitives::{Address, B256};
use imprest_domain::{
    AgentId, ApprovalId, Grade, PaymentId, PaymentState, RefillId, SharedId, SignalKind, Subject,
    SweepId, Units, Window,
};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::HashMap;

/// A value that has its own form in a cell.
pub(crate) trait Cell: Sized + PartialEq {
    /// The cell.
    fn cell(&self) -> ToSqlOutput<'_>;
    /// Reads it back; `None` for anything this program would not have written.
    fn from_cell(value: ValueRef<'_>) -> Option<Self>;
    /// Whether a cell holds this value.
    fn is(&self, value: ValueRef<'_>) -> bool {
        Self::from_cell(value).as_ref() == Some(self)
    }
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
    fn is(&self, value: ValueRef<'_>) -> bool {
        match self {
            None => value == ValueRef::Null,
            Some(own) => own.is(value),
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
    fn is(&self, value: ValueRef<'_>) -> bool {
        value == ValueRef::Text(self.as_bytes())
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
                // One value has one text: another spelling of it would be found under no key.
                let text = text(value)?;
                text.parse::<$type>().ok().filter(|read| read.to_string() == text)
            }
        }
    )*};
}
written_cells!(AgentId, PaymentId, ApprovalId, RefillId, SweepId, SharedId, B256, Grade, Subject);

/// How many addresses' texts are remembered; a desk knows few.
const CHECKSUMS_KEPT: usize = 1_000;

/// The EIP-55 text of an address. It takes a hash to write one, and the same few come again.
fn checksum<T>(address: &Address, with: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        static KNOWN: RefCell<HashMap<Address, String>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= CHECKSUMS_KEPT {
            known.clear();
        }
        with(known.entry(*address).or_insert_with(|| address.to_string()))
    })
}

impl Cell for Address {
    fn cell(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Text(checksum(self, str::to_owned)))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        let text = text(value)?;
        text.parse().ok().filter(|address| checksum(address, |known| known == text))
    }
}

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

impl<T: Serialize + DeserializeOwned + PartialEq> Cell for Json<T> {
    fn cell(&self) -> ToSqlOutput<'_> {
        // Only plain structs of numbers and texts lie here, which always can be written.
        let text = serde_json::to_string(&self.0).unwrap_or_default();
        ToSqlOutput::Owned(Value::Text(text))
    }
    fn from_cell(value: ValueRef<'_>) -> Option<Self> {
        serde_json::from_str(text(value)?).ok().map(Json)
    }
    fn is(&self, value: ValueRef<'_>) -> bool {
        // The same text is the same value; another text may still be.
        let text = serde_json::to_vec(&self.0).unwrap_or_default();
        value == ValueRef::Text(&text) || Self::from_cell(value).as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Cell>(text: &str) -> Option<T> {
        T::from_cell(ValueRef::Text(text.as_bytes()))
    }

    /// Money that came in is booked once because its transaction is known again, by its text.
    #[test]
    fn another_spelling_is_something_else() {
        let address: Address = Address::repeat_byte(0xA5);
        let hash = B256::repeat_byte(0xA5);
        assert_eq!(read(&address.to_string()), Some(address));
        assert_eq!(read(&hash.to_string()), Some(hash));
        assert_eq!(read("L3"), Some(Grade::L3));
        for text in [address.to_string(), hash.to_string()] {
            let bare = text.trim_start_matches("0x").to_owned();
            for other in [text.to_uppercase(), text.to_lowercase(), bare] {
                assert_eq!(read::<Address>(&other), None, "{other}");
                assert_eq!(read::<B256>(&other).filter(|_| other != hash.to_string()), None);
            }
        }
        assert_eq!(read::<Grade>("l3"), None);
    }

    #[test]
    fn a_cell_is_the_value_it_holds_and_no_other() {
        let is = |own: &String, text: &str| own.is(ValueRef::Text(text.as_bytes()));
        let own = "Weather".to_owned();
        assert!(is(&own, "Weather"));
        assert!(!is(&own, "weather") && !is(&own, "") && !own.is(ValueRef::Null));
        assert!(None::<String>.is(ValueRef::Null) && !Some(own).is(ValueRef::Null));
    }

    /// An older desk may have written the same value with other spaces.
    #[test]
    fn json_is_its_value_however_it_was_written() {
        let own = Json(vec![1_i64, 2]);
        let is = |text: &str| own.is(ValueRef::Text(text.as_bytes()));
        assert!(is("[1,2]") && is("[1, 2]"));
        for other in ["[1,3]", "[1, 3]", "[2,1]", "[1,2", ""] {
            assert!(!is(other), "{other}");
        }
        assert!(!own.is(ValueRef::Null));
    }
}
