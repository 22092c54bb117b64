//! TOML: tables may be written as headers, with dotted keys or inline.

use crate::edit::{Splice, line_start, newline, next_line};
use crate::form::Bad;
use crate::render::toml_table;
use crate::server::Content;
use crate::tree::{Kind, Node, Pair, Span};
use std::ops::Range;
use toml_edit::{Document, Item, TableLike, Value};
use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, RecursionGuard, parse_document};
use toml_parser::{ErrorSink, Raw, Source};

/// How deep tables may lie within each other.
const DEPTH_MAX: u32 = 80;

/// Reads TOML; a text without any value is an empty table.
pub(crate) fn parse(text: &str) -> Result<Node, Bad> {
    let document = Document::parse(text).map_err(|error| {
        // Only the message: the error's own form quotes the line.
        Bad::new(error.span().map_or(0, |span| span.start), error.message().to_owned())
    })?;
    let root = document.as_table();
    Ok(Node { span: 0..0, kind: table(text, root) })
}

fn table(text: &str, table: &dyn TableLike) -> Kind {
    let pairs = table.iter().map(|(key, item)| Pair {
        key: key.to_owned(),
        key_span: table.key(key).and_then(toml_edit::Key::span).unwrap_or_default(),
        value: item_node(text, item),
    });
    Kind::Map(pairs.collect())
}

fn item_node(text: &str, item: &Item) -> Node {
    match item {
        Item::None => Node { span: 0..0, kind: Kind::Null },
        Item::Value(value) => value_node(text, value),
        // A header's place tells nothing about the places of its values.
        Item::Table(inner) => Node { span: 0..0, kind: table(text, inner) },
        Item::ArrayOfTables(tables) => Node {
            span: 0..0,
            kind: Kind::List(
                tables.iter().map(|inner| Node { span: 0..0, kind: table(text, inner) }).collect(),
            ),
        },
    }
}

fn value_node(text: &str, value: &Value) -> Node {
    let span = value.span().unwrap_or_default();
    let kind = match value {
        Value::String(string) => Kind::Text(string.value().clone()),
        Value::Array(array) => {
            Kind::List(array.iter().map(|value| value_node(text, value)).collect())
        }
        Value::InlineTable(inner) => table(text, inner),
        _ => Kind::Other(text.get(span.clone()).unwrap_or_default().to_owned()),
    };
    Node { span, kind }
}

/// Puts a table at the end of the text.
pub(crate) fn add_table(text: &str, keys: &[&str], entry: &Content) -> Splice {
    let newline = newline(text);
    let table = toml_table(&keys.join("."), entry, newline);
    let is_closed = text.is_empty() || text.ends_with('\n');
    let has_gap = text.lines().next_back().is_none_or(|line| line.trim().is_empty());
    let before =
        format!("{}{}", if is_closed { "" } else { newline }, if has_gap { "" } else { newline });
    let after = if is_closed { newline } else { "" };
    Splice::put(text.len(), format!("{before}{table}{after}"))
}

/// Takes every header and every key that lies under `keys` out, with the lines they stand in.
/// `None` if one shares its line with something else.
pub(crate) fn cut_table(text: &str, keys: &[&str]) -> Option<Vec<Splice>> {
    let outline = outline(text);
    let mut splices: Vec<Span> = Vec::new();
    for block in outline.blocks.iter().filter(|block| block.is_under(keys)) {
        let mut span = line_start(text, block.span.start)..next_line(text, block.span.end);
        let alone = text[span.start..block.span.start].trim().is_empty();
        let rest = text[block.span.end..span.end].trim();
        if !alone || !(rest.is_empty() || rest.starts_with('#')) {
            return None;
        }
        match splices.last_mut() {
            // Comments and empty lines between two lines of the entry go with it.
            Some(last) if block.joins_previous => last.end = span.end,
            _ => {
                if block.is_header {
                    span.start = without_gap(text, span.start);
                }
                splices.push(span);
            }
        }
    }
    for span in &mut splices {
        // A file that ended without a line break does so again.
        if span.end == text.len() && !text.ends_with('\n') {
            span.start = text[..span.start].trim_end_matches(['\r', '\n']).len();
        }
    }
    Some(splices.into_iter().map(Splice::cut).collect())
}

/// Steps back over one empty line.
fn without_gap(text: &str, start: usize) -> usize {
    let above =
        text[..start].strip_suffix('\n').map_or(start, |above| line_start(above, above.len()));
    if text[above..start].trim().is_empty() { above } else { start }
}

/// A header, or a key with its value.
#[derive(Debug)]
struct Block {
    path: Vec<String>,
    span: Span,
    is_header: bool,
    /// Whether the line before it that is no comment is under the same header.
    joins_previous: bool,
}

impl Block {
    fn is_under(&self, keys: &[&str]) -> bool {
        self.path.len() >= keys.len() && self.path.iter().zip(keys).all(|(a, b)| a == b)
    }
}

/// What stands where: headers and keys in order, and all keys and values for showing them.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    blocks: Vec<Block>,
    pub keys: Vec<Span>,
    pub scalars: Vec<Span>,
    header: Vec<String>,
    path: Vec<String>,
    /// How deep in arrays and inline tables.
    depth: usize,
    /// Where a key or a header started that has not ended.
    start: Option<usize>,
    in_header: bool,
}

/// Walks through a text that is known to be TOML.
pub(crate) fn outline(text: &str) -> Outline {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut walker = Walker { source, outline: Outline::default() };
    let mut receiver = RecursionGuard::new(&mut walker, DEPTH_MAX);
    parse_document(&tokens, &mut receiver, &mut ());
    walker.outline
}

struct Walker<'a> {
    source: Source<'a>,
    outline: Outline,
}

impl Walker<'_> {
    fn open_header(&mut self, at: usize) {
        let outline = &mut self.outline;
        (outline.in_header, outline.start, outline.depth) = (true, Some(at), 0);
        outline.header.clear();
    }

    fn close_header(&mut self, end: usize) {
        let outline = &mut self.outline;
        outline.in_header = false;
        outline.path.clear();
        let start = outline.start.take().unwrap_or(end);
        outline.blocks.push(Block {
            path: outline.header.clone(),
            span: start..end,
            is_header: true,
            joins_previous: false,
        });
    }

    fn key(&mut self, span: toml_parser::Span, encoding: Option<Encoding>) {
        let outline = &mut self.outline;
        outline.keys.push(range(span));
        if outline.depth > 0 {
            return;
        }
        let mut name = std::borrow::Cow::Borrowed("");
        if let Some(raw) = self.source.get(span) {
            Raw::new_unchecked(raw.as_str(), encoding, span).decode_key(&mut name, &mut ());
        }
        if outline.in_header {
            outline.header.push(name.into_owned());
        } else {
            outline.start.get_or_insert(span.start());
            outline.path.push(name.into_owned());
        }
    }

    /// The value of a key at the top of its table has ended.
    fn value_end(&mut self, end: usize) {
        let outline = &mut self.outline;
        if outline.depth > 0 {
            return;
        }
        let Some(start) = outline.start.take() else { return };
        let mut path = outline.header.clone();
        path.append(&mut outline.path);
        outline.blocks.push(Block {
            path,
            span: start..end,
            is_header: false,
            joins_previous: outline.blocks.last().is_some_and(|block| {
                block.path.starts_with(&outline.header) && !outline.header.is_empty()
            }),
        });
    }
}

fn range(span: toml_parser::Span) -> Range<usize> {
    span.start()..span.end()
}

impl EventReceiver for Walker<'_> {
    fn std_table_open(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.open_header(span.start());
    }
    fn std_table_close(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.close_header(span.end());
    }
    fn array_table_open(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.open_header(span.start());
    }
    fn array_table_close(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.close_header(span.end());
    }
    fn inline_table_open(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) -> bool {
        self.outline.depth += 1;
        true
    }
    fn inline_table_close(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.outline.depth = self.outline.depth.saturating_sub(1);
        self.value_end(span.end());
    }
    fn array_open(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) -> bool {
        self.outline.depth += 1;
        true
    }
    fn array_close(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.outline.depth = self.outline.depth.saturating_sub(1);
        self.value_end(span.end());
    }
    fn simple_key(
        &mut self,
        span: toml_parser::Span,
        encoding: Option<Encoding>,
        _: &mut dyn ErrorSink,
    ) {
        self.key(span, encoding);
    }
    fn scalar(&mut self, span: toml_parser::Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.outline.scalars.push(range(span));
        self.value_end(span.end());
    }
}
