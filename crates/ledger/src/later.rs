//! Values of an event that are read only when somebody asks.

use crate::error::LedgerError;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::marker::PhantomData;

/// A value whose JSON is kept as it was written and read only when somebody asks: a replay walks
/// over millions of verdicts and needs to look into few.
#[derive(Debug, Clone)]
pub struct Later<T> {
    /// Absent where it was left in the log ([`Later::left`]).
    json: Option<Box<RawValue>>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Later<T> {
    /// Writes a value down.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(value: &T) -> Result<Later<T>, LedgerError> {
        let json = serde_json::value::to_raw_value(value)
            .map_err(|e| LedgerError::damaged(format!("a value that cannot be written: {e}")))?;
        Ok(Later { json: Some(json), kind: PhantomData })
    }

    /// Reads the value.
    ///
    /// # Errors
    /// When the JSON is of another form, or was left in the log.
    pub fn read(&self) -> Result<T, LedgerError> {
        let left = || LedgerError::damaged("a value that was left in the log");
        let json = self.json.as_ref().ok_or_else(left)?;
        serde_json::from_str(json.get()).map_err(|e| LedgerError::damaged(e.to_string()))
    }
}

impl<T> Later<T> {
    /// Reads over a value that nobody needs who reads the event.
    pub(crate) fn left<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Later<T>, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Later { json: None, kind: PhantomData })
    }
}

impl<T> Serialize for Later<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What was left in the log is never written again.
        let left = || serde::ser::Error::custom("a value that was left in the log");
        self.json.as_ref().ok_or_else(left)?.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Later<T>, D::Error> {
        Ok(Later { json: Some(Box::deserialize(deserializer)?), kind: PhantomData })
    }
}
