//! How seeds are altered: as bytes, as JSON, as words.

use crate::dice::Dice;
use serde_json::{Map, Value};

/// What stands between the parts of a text that is parsed.
const MARKS: &[u8] = b"\"{}[],:0919\\ \n";
/// Numbers at the edges of what is accepted, and past them.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    3,
    8,
    9,
    1 << 10,
    (1 << 18) + 1,
    1 << 20,
    (1 << 20) + 1,
    u32::MAX as u64,
    u32::MAX as u64 + 1,
    i64::MAX as u64,
    u64::MAX,
];

/// One to four of: a byte changed, removed, doubled, a piece cut, a piece of the seed put in.
pub fn bytes(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(6) {
            _ if bytes.is_empty() => bytes.extend_from_slice(seed),
            0 => bytes[at] = dice.roll(256) as u8,
            1 => bytes[at] ^= 1 << dice.roll(8),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, MARKS[dice.roll(MARKS.len())]),
            4 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let from = dice.roll(seed.len());
                let to = (from + dice.roll(60)).min(seed.len());
                let piece = seed[from..to].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// One to three changes of what a JSON document says, which stays JSON; a text that is none is
/// altered as bytes.
pub fn json(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(seed) else { return bytes(seed, dice) };
    for _ in 0..=dice.roll(3) {
        let places = count(&document);
        let other = nth(&mut document.clone(), &mut dice.roll(places)).cloned();
        if let Some(place) = nth(&mut document, &mut dice.roll(places)) {
            change(place, other, dice);
        }
    }
    document.to_string().into_bytes()
}

/// How many values a document has, itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value that is so many further on, in the order they are written.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, left)),
        _ => None,
    }
}

fn change(place: &mut Value, other: Option<Value>, dice: &mut Dice) {
    match place {
        _ if dice.once_in(8) => *place = other.unwrap_or(Value::Null),
        Value::Number(number) => {
            let near = number.as_u64().unwrap_or_default();
            let new = match dice.roll(4) {
                0 => near.wrapping_add(1),
                1 => near.wrapping_sub(1),
                2 => dice.bits() >> dice.roll(64),
                _ => NUMBERS[dice.roll(NUMBERS.len())],
            };
            *place = Value::from(new);
        }
        Value::String(text) => change_text(text, dice),
        Value::Array(items) => change_list(items, other, dice),
        Value::Object(fields) => change_fields(fields, other, dice),
        Value::Bool(_) | Value::Null => *place = other.unwrap_or(Value::Bool(true)),
    }
}

/// Mostly what keeps hex digits hex digits, so that it gets past the first look.
fn change_text(text: &mut String, dice: &mut Dice) {
    let mut letters: Vec<char> = text.chars().collect();
    let at = dice.roll(letters.len());
    match dice.roll(6) {
        _ if letters.is_empty() => letters.push('0'),
        0..=2 => letters[at] = ['0', '7', 'a', 'f'][dice.roll(4)],
        3 => letters[at] = ['g', 'A', ' ', '\u{202e}', '\0', 'ß'][dice.roll(6)],
        4 => letters.truncate(at),
        _ => letters.extend_from_within(at..),
    }
    *text = letters.into_iter().collect();
}

fn change_list(items: &mut Vec<Value>, other: Option<Value>, dice: &mut Dice) {
    let at = dice.roll(items.len());
    match dice.roll(4) {
        _ if items.is_empty() => items.extend(other),
        0 => drop(items.remove(at)),
        1 => items.extend_from_within(at..=at),
        2 => {
            let second = dice.roll(items.len());
            items.swap(at, second);
        }
        _ => items.extend(other),
    }
}

fn change_fields(fields: &mut Map<String, Value>, other: Option<Value>, dice: &mut Dice) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let Some(name) = names.get(dice.roll(names.len())) else { return };
    match dice.roll(3) {
        0 => drop(fields.remove(name)),
        1 => {
            let value = fields.remove(name).unwrap_or_default();
            let mut renamed = name.clone();
            change_text(&mut renamed, dice);
            fields.insert(renamed, value);
        }
        _ => drop(fields.insert("more".to_owned(), other.unwrap_or_default())),
    }
}

/// Words swapped, doubled, dropped, misspelt, or only spaced and written otherwise.
pub fn words(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let text = String::from_utf8_lossy(seed);
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    for _ in 0..dice.roll(3) {
        let (at, second) = (dice.roll(words.len()), dice.roll(words.len()));
        match dice.roll(5) {
            _ if words.is_empty() => words.push("zoo".into()),
            0 => words.swap(at, second),
            1 => words[at] = words[second].clone(),
            2 => drop(words.remove(at)),
            3 => words.push(words[at].clone()),
            _ => change_text(&mut words[at], dice),
        }
    }
    let spaces = [" ", "  ", "\n", "\t ", "\r\n", "\u{a0}"];
    let mut written = String::new();
    for word in words {
        written.push_str(if dice.once_in(3) { spaces[dice.roll(spaces.len())] } else { " " });
        match dice.once_in(6) {
            true => written.push_str(&word.to_uppercase()),
            false => written.push_str(&word),
        }
    }
    written.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dice_alter_the_same() {
        let seed = br#"{"a":[1,"00ff",null],"b":{"c":true}}"#;
        for alter in [bytes, json, words] {
            let altered: Vec<_> = (0..50).map(|n| alter(seed, &mut Dice::new(n))).collect();
            let again: Vec<_> = (0..50).map(|n| alter(seed, &mut Dice::new(n))).collect();
            assert_eq!(altered, again);
            assert!(altered.iter().any(|one| one != seed));
        }
    }

    #[test]
    fn altered_json_stays_json() {
        let seed = br#"{"a":[1,"00ff",null],"b":{"c":true}}"#;
        for n in 0..500 {
            let altered = json(seed, &mut Dice::new(n));
            serde_json::from_slice::<Value>(&altered).expect("JSON");
        }
    }

    #[test]
    fn nothing_is_altered_without_a_panic() {
        for n in 0..500 {
            for alter in [bytes, json, words] {
                alter(b"", &mut Dice::new(n));
            }
        }
    }
}
