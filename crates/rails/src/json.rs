//! JSON from strangers: bounded, and without the same key twice.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

/// The deepest nesting taken.
const DEPTH_MAX: u8 = 24;
/// The most values taken in one document.
const VALUES_MAX: u32 = 8192;

/// Walks a whole document and refuses what two readers could read differently.
///
/// # Errors
/// On malformed JSON, trailing text, nesting deeper than 24, more than 8192 values, and a key that
/// appears twice in one object, however it is escaped.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let values_left = Cell::new(VALUES_MAX);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Walk { depth_left: DEPTH_MAX, values_left: &values_left }.deserialize(&mut json)?;
    json.end()
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    depth_left: u8,
    values_left: &'a Cell<u32>,
}

impl Walk<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Walk { depth_left, ..self }),
            None => Err(E::custom("it is nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.values_left.get().checked_sub(1) {
            Some(left) => self.values_left.set(left),
            None => return Err(D::Error::custom("it holds too many values")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom("a key appears twice in one object"));
            }
            seen.insert(key);
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// Reads an object into a struct. Serde alone would also take a list for one, by position.
///
/// # Errors
/// When it is no object, or not this one.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text),
        false => Err(serde_json::Error::custom("it is no object")),
    }
}

/// The members of one object, in their order, each value as it was written.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl Members {
    /// Writes the object again; untouched values keep every byte.
    pub(crate) fn write(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let mut text = String::from("{");
        for (at, (key, value)) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(key)?);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        RawValue::from_string(text)
    }

    /// The value of one key.
    pub(crate) fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| &**value)
    }

    /// Sets one key, in its place or at the end.
    pub(crate) fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_documents_pass() {
        for good in ["{}", "[]", "null", r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":{}}}"#] {
            check(good.as_bytes()).expect(good);
        }
        check(format!("{}{}", "[".repeat(24), "]".repeat(24)).as_bytes()).expect("24 deep");
    }

    #[test]
    fn ambiguous_or_huge_documents_are_refused() {
        let deep = format!("{}{}", "[".repeat(25), "]".repeat(25));
        let endless = "[".repeat(100_000);
        let wide = format!("[{}0]", "0,".repeat(8192));
        for bad in [
            "",
            "{",
            "{} {}",
            "{}x",
            r#"{"a":1,"a":1}"#,
            r#"{"amount":"1","\u0061mount":"2"}"#,
            r#"[{"b":{"c":1,"c":2}}]"#,
            r#"{"a":1,}"#,
            "{'a':1}",
            "NaN",
            "01",
            "\u{feff}{}",
            &deep,
            &endless,
            &wide,
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{:?} was accepted", bad.get(..40));
        }
        assert!(check(b"\"\xff\"").is_err(), "broken UTF-8 was accepted");
    }

    #[test]
    fn members_keep_their_bytes() {
        let text = r#"{"z": [1.50, 2e3],"a":{"k":"\u0041"}}"#;
        let mut members: Members = serde_json::from_str(text).expect("an object");
        members.set("new", RawValue::from_string("1".into()).expect("JSON"));
        assert_eq!(
            members.write().expect("writes").get(),
            r#"{"z":[1.50, 2e3],"a":{"k":"\u0041"},"new":1}"#
        );
        assert!(serde_json::from_str::<Members>("[]").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
