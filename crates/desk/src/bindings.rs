//! Renders the window's TypeScript from the desk's shapes and its command table.
//!
//! `IMPREST_WRITE_BINDINGS=1 cargo test -p imprest-desk --lib bindings` writes the files; without
//! it the tests fail when the files are not what the desk would write.

use crate::view::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use ts_rs::{Config, TS};

/// Every integer crosses as a JSON number; the largest are event and block numbers, far below
/// 2^53. Money crosses as text.
fn config() -> Config {
    Config::new().with_large_int("number")
}

fn generated(file: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/src/lib/host/generated");
    PathBuf::from(folder).join(file)
}

fn check(file: &str, expected: &str) {
    let path = generated(file);
    if std::env::var_os("IMPREST_WRITE_BINDINGS").is_some() {
        std::fs::write(&path, expected).expect("a writable source tree");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, expected, "{file}: run again with IMPREST_WRITE_BINDINGS=1");
}

/// `Array<Row> | null` as `Row[] | null`; the desk nests no list in another.
fn with_brackets(name: &str) -> String {
    match name.split_once("Array<") {
        Some((before, rest)) => {
            let (item, after) = rest.split_once('>').expect("a closed list");
            assert!(!item.contains(['<', '|']), "{name} needs a shape of its own");
            format!("{before}{item}[]{after}")
        }
        None => name.to_owned(),
    }
}

fn type_name<T: TS>() -> String {
    with_brackets(&T::name(&config()))
}

/// A comment block as one line, `/** … */`.
fn one_line(comment: &str) -> String {
    let inner = comment.trim().trim_start_matches("/**").trim_end_matches("*/");
    let words: Vec<&str> =
        inner.lines().map(|line| line.trim().trim_start_matches("*").trim()).collect();
    format!("/** {} */", words.join(" ").trim())
}

/// One shape as an exported interface: comment, field, comment, field.
fn interface<T: TS>() -> String {
    let inline = T::inline(&config());
    let mut body =
        inline.trim().strip_prefix('{').and_then(|b| b.strip_suffix('}')).expect("a struct").trim();
    let comment = one_line(&T::docs().expect("every shape is described"));
    let mut text = format!("{comment}\nexport interface {} {{\n", T::name(&config()));
    while !body.is_empty() {
        let end = body.find("*/").expect("every field is described") + 2;
        let (comment, rest) = body.split_at(end);
        let (field, rest) = rest.split_once(',').expect("a field ends with a comma");
        let (name, kind) = field.trim().split_once(": ").expect("a field has a type");
        text += &format!("  {}\n  {name}: {};\n", one_line(comment), with_brackets(kind));
        body = rest.trim();
    }
    text + "}\n"
}

/// Every shape that crosses; the test below finds one that was forgotten.
fn interfaces() -> BTreeMap<String, String> {
    macro_rules! all {
        ($($shape:ident)*) => {
            BTreeMap::from([$((stringify!($shape).to_owned(), interface::<$shape>())),*])
        };
    }
    all! {
        ActivityFilter ActivityPage ActivityRow AgentPage AgentRow ApprovalCard BackupMade
        BackupProgress BackupView BookLine Books BudgetForm CancelView Changed ConnectionPlan DeskStatus EventView Evidence
        Exported ExportedKeyView Finding FundView NetworkRow NetworkView NewCredential NewVault Overview Pace PayeeAddressView PayeeView
        PriceBand Problem ProgramRow
        RehearsalView RuleCount SharedView SignalView SignedReceiptView TreasuryView Verified WayView WindowRow Words
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(1);
        text + &head.to_ascii_uppercase() + tail
    })
}

/// A command of the table: description, name, arguments with their types, answer.
struct Command {
    description: String,
    name: &'static str,
    args: Vec<(&'static str, String)>,
    answer: String,
}

macro_rules! commands {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        fn commands() -> Vec<Command> {
            vec![$(Command {
                description: concat!($($doc),*).trim().to_owned(),
                name: stringify!($name),
                args: vec![$((stringify!($arg), type_name::<$type>())),*],
                answer: type_name::<$answer>(),
            }),*]
        }
    };
}

crate::command_table!(commands);

fn client() -> String {
    let commands = commands();
    let shapes: BTreeMap<String, String> = interfaces();
    let mut used: Vec<&str> = commands
        .iter()
        .flat_map(|command| command.args.iter().map(|(_, kind)| kind).chain([&command.answer]))
        .map(|kind| kind.trim_end_matches("[]"))
        .filter(|kind| shapes.contains_key(*kind))
        .collect();
    used.sort_unstable();
    used.dedup();
    let mut text =
        String::from("// Generated from the desk's command table. Do not edit.\n\nimport type {\n");
    for name in used {
        text += &format!("  {name},\n");
    }
    text += "} from './types';\n\n";
    text += "/** Every command of the desk: what it takes and what it answers. */\n";
    text += "export interface Commands {\n";
    for Command { description, name, args, answer } in &commands {
        let args: Vec<String> =
            args.iter().map(|(arg, kind)| format!("{}: {kind}", camel(arg))).collect();
        let args = match &args[..] {
            [] => "Record<string, never>".to_owned(),
            args => format!("{{ {} }}", args.join("; ")),
        };
        text +=
            &format!("  /** {description} */\n  {name}: {{ args: {args}; answer: {answer} }};\n");
    }
    text + "}\n"
}

#[test]
fn the_shapes_are_the_windows() {
    let mut text = String::from("// Generated from the desk's shapes. Do not edit.\n");
    for interface in interfaces().values() {
        text += &format!("\n{interface}");
    }
    check("types.ts", &text);
}

#[test]
fn the_commands_are_the_windows() {
    check("commands.ts", &client());
}

#[test]
fn no_shape_is_forgotten() {
    let source = concat!(include_str!("view.rs"), include_str!("view/money.rs"));
    let declared = source.lines().filter_map(|line| line.trim().strip_prefix("pub struct "));
    let names: Vec<&str> = declared.filter_map(|rest| rest.strip_suffix(" {")).collect();
    let known = interfaces();
    let missing: Vec<_> =
        names.iter().filter(|name| !known.contains_key(**name) && !name.starts_with('$')).collect();
    assert!(missing.is_empty(), "not rendered: {missing:?}");
    assert_eq!(names.iter().filter(|name| !name.starts_with('$')).count(), known.len());
}

#[test]
fn names_cross_as_the_window_writes_them() {
    assert_eq!(camel("new_passphrase"), "newPassphrase");
    assert_eq!(camel("agent"), "agent");
    assert_eq!(with_brackets("Array<string> | null"), "string[] | null");
    assert_eq!(type_name::<Option<String>>(), "string | null");
    assert_eq!(type_name::<u64>(), "number");
}
