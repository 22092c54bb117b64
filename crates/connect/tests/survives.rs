//! Whatever else stands in the settings: it survives the entry coming and going.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, is_within, read};
use imprest_connect::{Program, Undone};
use proptest::prelude::*;
use std::fs;

/// Spaces, line breaks and, where they are taken, comments.
fn blank(comments: bool) -> impl Strategy<Value = String> {
    let plain = prop_oneof!["", " ", "\n", "\r\n", "\n  ", "\t", "\n\n\t"];
    if !comments {
        return plain.boxed();
    }
    prop_oneof![4 => plain, 1 => Just(" // one, {two}\n".to_owned()), 1 => Just("/* \"a\": { */".to_owned())]
        .boxed()
}

fn json_scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,30}\\.[0-9]{1,20}([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#""\ud83d\ude00 \/ é ☂ }, //""#.to_owned()),
    ]
}

fn json_list(open: char, close: char, items: Vec<(String, String, String)>, comma: &str) -> String {
    let count = items.len();
    let items: Vec<String> =
        items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
    let comma = if count == 0 { "" } else { comma };
    format!("{open}{}{comma}{close}", items.join(","))
}

fn json_value(comments: bool) -> impl Strategy<Value = String> {
    json_scalar().prop_recursive(3, 24, 4, move |inner| {
        let item = (blank(comments), inner.clone(), blank(comments));
        prop_oneof![
            proptest::collection::vec(item, 0..4).prop_map(|items| json_list('[', ']', items, "")),
            json_object(comments, inner.boxed(), None),
        ]
    })
}

/// An object with numbered keys, and with one more member where it is told to.
fn json_object(
    comments: bool,
    value: BoxedStrategy<String>,
    more: Option<BoxedStrategy<String>>,
) -> impl Strategy<Value = String> {
    let member = (blank(comments), blank(comments), value, blank(comments));
    let more = more.unwrap_or_else(|| Just(String::new()).boxed());
    let comma = if comments { prop_oneof!["", ","].boxed() } else { Just(String::new()).boxed() };
    (proptest::collection::vec(member, 0..4), more, any::<prop::sample::Index>(), comma).prop_map(
        |(members, more, at, comma)| {
            let mut items: Vec<(String, String, String)> = members
                .into_iter()
                .enumerate()
                .map(|(i, (a, b, value, c))| (a, format!("\"k{i} é\":{b}{value}"), c))
                .collect();
            if !more.is_empty() {
                let at = at.index(items.len() + 1);
                items.insert(at, (String::new(), more, String::new()));
            }
            json_list('{', '}', items, &comma)
        },
    )
}

fn json_settings(comments: bool, key: &'static str) -> impl Strategy<Value = String> {
    let value = json_value(comments).boxed();
    let servers = json_object(comments, value.clone(), None)
        .prop_map(move |servers| format!("\"{key}\": {servers}"));
    let more = prop_oneof![2 => servers, 1 => Just(String::new())].boxed();
    (
        prop_oneof!["", "\u{feff}"],
        blank(comments),
        json_object(comments, value, Some(more)),
        blank(comments),
    )
        .prop_map(|(mark, a, object, b)| format!("{mark}{a}{object}{b}"))
}

fn toml_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<bool>().prop_map(|flag| flag.to_string()),
        "[1-9][0-9_]{0,4}[0-9]",
        Just("1979-05-27T07:32:00Z".to_owned()),
        "'[^'\\x00-\\x1f\\x7f]{0,9}'",
        Just("\"\"\"\n[mcp_servers.imprest]\n\"\"\"".to_owned()),
        Just("[ 1, # one\n  2,\n]".to_owned()),
        Just("{ a = 1, b.c = '}' }".to_owned()),
    ]
}

fn toml_settings() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => toml_value().prop_map(|value| format!("KEY = {value}")),
        1 => Just("KEY.a.\"b c\"   =   0x1F # [c]".to_owned()),
        1 => Just("# comment = \"".to_owned()),
        1 => Just(String::new()),
        1 => Just("  \t".to_owned()),
        1 => Just("[table.KEY]".to_owned()),
        1 => Just("  [ mcp_servers . KEY ]  # spaced".to_owned()),
        1 => Just("[mcp_servers.\"KEY x\"]\ncommand = 'a'".to_owned()),
        1 => Just("[[list.KEY]]".to_owned()),
    ];
    let breaks = prop_oneof!["\n", "\r\n"];
    (proptest::collection::vec(line, 0..9), breaks, any::<bool>()).prop_map(
        |(lines, end, closed)| {
            let lines: Vec<String> = lines
                .into_iter()
                .enumerate()
                .map(|(i, line)| line.replace("KEY", &format!("k{i}")).replace('\n', &end))
                .collect();
            let last = if closed { end.as_str() } else { "" };
            lines.join(&end) + last
        },
    )
}

fn yaml_settings() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(" 1".to_owned()),
        Just(" text with: colon-less words # no".replace(": ", "-")),
        Just(" 'it''s'".to_owned()),
        Just(" \"a\\n\\u00e9 ☂\" # said".to_owned()),
        Just(" [a, {b: c}, 'd']".to_owned()),
        Just(" {a: 1,\n    b: 2 }".to_owned()),
        Just("".to_owned()),
        Just(" ~".to_owned()),
        Just(" |\n    kept: lines\n\n    [more]".to_owned()),
        Just(" >-\n    folded\n    lines".to_owned()),
        Just(" |+\n    with what follows\n".to_owned()),
        Just(" plain\n    over lines".to_owned()),
        Just("\n    deeper: 1\n    yet:\n      - a\n      - b: c".to_owned()),
        Just("\n    - a\n    -\n      - b".to_owned()),
        Just(" &anchor x".to_owned()),
    ];
    let gap = prop_oneof![3 => Just(""), 1 => Just("\n"), 1 => Just("# note: {\n"), 1 => Just("  # note\n")];
    let member = || (gap.clone(), value.clone());
    let members = proptest::collection::vec(member(), 0..5);
    let extensions = proptest::collection::vec(member(), 0..4);
    (members, prop::option::of(extensions), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(members, extensions, first, windows, closed)| {
            let line = |indent: &str, i: usize, (gap, value): (&str, String)| {
                format!("{gap}{indent}k{i}:{value}\n")
            };
            let others: String =
                members.into_iter().enumerate().map(|(i, member)| line("", i, member)).collect();
            let ours = extensions.map_or_else(String::new, |members| {
                let lines: String = members
                    .into_iter()
                    .enumerate()
                    .map(|(i, member)| line("  ", i, member))
                    .collect();
                format!("extensions:\n{lines}")
            });
            let text = if first { ours + &others } else { others + &ours };
            let text = if closed { text } else { text.trim_end_matches('\n').to_owned() };
            if windows { text.replace('\n', "\r\n") } else { text }
        },
    )
}

/// Connects and takes back twice: once with what is known of the file, once by cutting.
fn comes_and_goes(program: Program, path: &str, text: &str) -> Result<(), TestCaseError> {
    let home = Home::new();
    let file = home.put(path, text);
    let plan =
        home.plan(program).map_err(|error| TestCaseError::fail(format!("{error}\n{text:?}")))?;
    prop_assert!(is_within(text, plan.after()), "{text:?}\n{:?}", plan.after());
    let backup = home.apply(&plan).unwrap().backup.unwrap();
    prop_assert_eq!(home.undo(program).unwrap(), Undone::AsBefore { file: file.clone() });
    prop_assert_eq!(fs::read_to_string(&file).unwrap(), text);
    home.apply(&home.plan(program).unwrap()).unwrap();
    fs::remove_file(&backup).unwrap();
    for entry in home.names(path.rsplit_once('/').unwrap().0) {
        if entry.contains("imprest-backup") {
            fs::remove_file(file.with_file_name(entry)).unwrap();
        }
    }
    let undone = home.undo(program).unwrap();
    prop_assert!(matches!(undone, Undone::EntryRemoved { .. }), "{undone:?}");
    let left = fs::read_to_string(&file).unwrap();
    let blank = |text: &str| text.trim_start_matches('\u{feff}').trim().is_empty();
    if !blank(text) {
        // A key without a value is left with an empty collection, which says the same.
        let mut before = read(program, text);
        if let Some(extensions) = before.get_mut("extensions").filter(|value| value.is_null()) {
            *extensions = serde_json::json!({});
        }
        prop_assert_eq!(read(program, &left), before, "{:?}\n{:?}", text, left);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn other_json_survives(text in json_settings(false, "mcpServers")) {
        comes_and_goes(Program::ClaudeDesktop, ".config/Claude/claude_desktop_config.json", &text)?;
    }

    #[test]
    fn other_json_with_comments_survives(text in json_settings(true, "servers")) {
        comes_and_goes(Program::VsCode, ".config/Code/User/mcp.json", &text)?;
    }

    #[test]
    fn other_toml_survives(text in toml_settings()) {
        prop_assume!(toml::from_str::<toml::Table>(&text).is_ok());
        comes_and_goes(Program::Codex, ".codex/config.toml", &text)?;
    }

    #[test]
    fn other_yaml_survives(text in yaml_settings()) {
        prop_assume!(serde_yaml_ng::from_str::<serde_json::Value>(&text).is_ok());
        comes_and_goes(Program::Goose, ".config/goose/config.yaml", &text)?;
    }

    /// Anything at all is either refused or left within the result.
    #[test]
    fn no_text_is_damaged(
        text in prop_oneof![
            any::<String>(),
            "[ \\n\\t{}\\[\\]:,#\"'a&*!|>?%@`=.-]{0,40}",
            "(extensions|mcp_servers|servers|mcpServers|\\[|\\]|\\{|\\}|:|=|,|\"| |\\n|  |- |#|a|1){0,24}",
        ],
    ) {
        let places = [
            (Program::Cursor, ".cursor/mcp.json"),
            (Program::Codex, ".codex/config.toml"),
            (Program::Goose, ".config/goose/config.yaml"),
        ];
        for (program, path) in places {
            let home = Home::new();
            home.put(path, &text);
            if let Ok(plan) = home.plan(program) {
                prop_assert!(is_within(&text, plan.after()), "{program}: {text:?}");
            }
        }
    }
}
