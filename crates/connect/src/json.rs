//! JSON, with comments and trailing commas where the program that reads it takes them.

use crate::form::Bad;
use crate::tree::{Kind, Node, Pair, Span};
use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// Reads JSON; `None` for a text in which no value stands.
pub(crate) fn parse(text: &str, with_comments: bool) -> Result<Option<Node>, Bad> {
    let options = ParseOptions {
        allow_comments: with_comments,
        allow_trailing_commas: with_comments,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| Bad::new(error.range().start, lower(&error.kind().to_string())))?;
    Ok(parsed.value.map(|value| node(text, &value)))
}

/// The parser's messages start like sentences and are put behind a colon here.
fn lower(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn node(text: &str, value: &Value<'_>) -> Node {
    let span = value.start()..value.end();
    let kind = match value {
        Value::StringLit(text) => Kind::Text(text.value.to_string()),
        Value::NullKeyword(_) => Kind::Null,
        Value::Array(array) => {
            Kind::List(array.elements.iter().map(|value| node(text, value)).collect())
        }
        Value::Object(object) => Kind::Map(
            object
                .properties
                .iter()
                .map(|property| Pair {
                    key: key(&property.name),
                    key_span: span_of(&property.name),
                    value: node(text, &property.value),
                })
                .collect(),
        ),
        Value::NumberLit(_) | Value::BooleanLit(_) => {
            Kind::Other(text.get(span.clone()).unwrap_or_default().to_owned())
        }
    };
    Node { span, kind }
}

fn key(name: &ObjectPropName<'_>) -> String {
    match name {
        ObjectPropName::String(text) => text.value.to_string(),
        ObjectPropName::Word(word) => word.value.to_owned(),
    }
}

fn span_of(name: &ObjectPropName<'_>) -> Span {
    match name {
        ObjectPropName::String(text) => text.range.start..text.range.end,
        ObjectPropName::Word(word) => word.range.start..word.range.end,
    }
}
