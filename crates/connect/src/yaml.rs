//! YAML: block mappings by their lines, flow mappings by their braces.

use crate::edit::{Splice, indent, is_first, line_start, newline, next_line};
use crate::form::Bad;
use crate::render::{Layout, yaml_lines};
use crate::server::Content;
use crate::tree::{DEPTH_MAX, Kind, Node, Pair, Span};
use saphyr_parser::{Event, Parser, ScalarStyle};

/// What a deeper line starts with.
const UNIT: &str = "  ";

/// Reads YAML of one document; `None` for a text without any value.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Bad> {
    let bytes = Bytes::of(text);
    let mut reader = Reader { text, frames: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| Bad::new(bytes.at(error.marker().index()), error.info().to_owned()))?;
        let span = bytes.at(span.start.index())..bytes.at(span.end.index());
        reader.take(event, span)?;
    }
    Ok(reader.root.filter(|root| !(matches!(root.kind, Kind::Null) && root.span.is_empty())))
}

/// From the parser's places, in characters, to places in bytes.
struct Bytes {
    /// `None` where both are the same.
    starts: Option<Vec<usize>>,
    len: usize,
}

impl Bytes {
    fn of(text: &str) -> Bytes {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Bytes { starts, len: text.len() }
    }

    fn at(&self, index: usize) -> usize {
        match &self.starts {
            None => index.min(self.len),
            Some(starts) => starts.get(index).copied().unwrap_or(self.len),
        }
    }
}

/// A collection that has not ended.
enum Frame {
    Map { start: usize, pairs: Vec<Pair>, key: Option<(String, Span)> },
    List { start: usize, items: Vec<Node> },
}

struct Reader<'a> {
    text: &'a str,
    frames: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Bad> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Bad::new(span.start, "a second document starts here".to_owned()));
                }
                Ok(())
            }
            Event::MappingStart(..) => {
                self.open(Frame::Map { start: span.start, pairs: Vec::new(), key: None })
            }
            Event::SequenceStart(..) => {
                self.open(Frame::List { start: span.start, items: Vec::new() })
            }
            // The parser lets the closing brace's span run on into a comment behind it.
            Event::MappingEnd | Event::SequenceEnd => self.close(span.start + 1),
            Event::Scalar(value, style, _, tag) => {
                let kind = scalar(&value, style, tag.is_some());
                let span = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => self.block(span, &value),
                    // The parser tells an empty value's place by where the next thing starts.
                    _ if value.is_empty() && matches!(kind, Kind::Null) => span.start..span.start,
                    _ => span,
                };
                self.put(Node { span, kind })
            }
            Event::Alias(anchor) => {
                self.put(Node { span, kind: Kind::Other(format!("*{anchor}")) })
            }
            _ => Ok(()),
        }
    }

    /// A block scalar's own lines. The parser ends it where the next thing starts; empty lines
    /// behind it belong to it only where its value keeps them.
    fn block(&self, span: Span, value: &str) -> Span {
        let text = &self.text[span.clone()];
        let lines = text.trim_end_matches([' ', '\t']);
        let lines = if lines.ends_with('\n') { lines } else { text };
        let content = text.trim_end();
        let end = match text[content.len()..].find('\n') {
            Some(newline) if !value.ends_with("\n\n") => content.len() + newline + 1,
            _ => lines.len(),
        };
        span.start..span.start + end
    }

    fn open(&mut self, frame: Frame) -> Result<(), Bad> {
        let (Frame::Map { start, .. } | Frame::List { start, .. }) = frame;
        if self.frames.len() >= DEPTH_MAX {
            return Err(Bad::new(start, "it is nested too deep".to_owned()));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Bad> {
        let (start, kind) = match self.frames.pop() {
            Some(Frame::Map { start, pairs, .. }) => (start, Kind::Map(pairs)),
            Some(Frame::List { start, items }) => (start, Kind::List(items)),
            None => return Ok(()),
        };
        let is_braced = self.text[start..].starts_with(['{', '[']);
        let mut node = Node { span: start..end.min(self.text.len()).max(start), kind };
        if !is_braced {
            // Where a block ends is where its last value does.
            node.span.end = end_of(&node).max(start);
        }
        self.put(node)
    }

    fn put(&mut self, node: Node) -> Result<(), Bad> {
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { pairs, key, .. }) => match key.take() {
                Some((key, mut key_span)) => {
                    let mut value = node;
                    if value.span.is_empty() {
                        // The value was left away: its place is behind the colon.
                        let rest = &self.text[key_span.end..];
                        let colon = rest.find(':').map_or(0, |colon| colon + 1);
                        let at = key_span.end + colon;
                        value.span = at..at;
                    }
                    key_span.end = key_span.end.max(key_span.start);
                    pairs.push(Pair { key, key_span, value });
                }
                None => match node.kind {
                    Kind::Text(text) | Kind::Other(text) => *key = Some((text, node.span)),
                    Kind::Null => *key = Some(("null".to_owned(), node.span)),
                    Kind::Map(_) | Kind::List(_) => {
                        let why = "a key is a collection".to_owned();
                        return Err(Bad::new(node.span.start, why));
                    }
                },
            },
        }
        Ok(())
    }
}

/// What a scalar is in YAML's core schema, as far as text has to be told from the rest.
fn scalar(value: &str, style: ScalarStyle, is_tagged: bool) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Text(value.to_owned());
    }
    let is_number = value.parse::<f64>().is_ok()
        || value.starts_with("0x")
        || value.starts_with("0o")
        || value.trim_start_matches(['+', '-']).starts_with(".inf");
    match value {
        "" | "~" | "null" | "Null" | "NULL" if !is_tagged => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Other(value.to_owned()),
        _ if is_number || is_tagged => Kind::Other(value.to_owned()),
        _ => Kind::Text(value.to_owned()),
    }
}

/// Where the last thing of a value stands.
fn end_of(node: &Node) -> usize {
    match &node.kind {
        Kind::Map(pairs) => {
            pairs.last().map_or(node.span.end, |pair| pair.value.span.end.max(pair.key_span.end))
        }
        Kind::List(items) => items.last().map_or(node.span.end, |item| item.span.end),
        _ => node.span.end,
    }
}

/// Where the lines of something that ends at `end` are over.
fn lines_end(text: &str, end: usize) -> usize {
    // A block scalar ends at the start of a line already.
    if text[..end].ends_with('\n') { end } else { next_line(text, end) }
}

/// Puts a member behind the last one of a block mapping, or below the key of an empty value.
/// `None` where the mapping does not stand in lines of its own.
pub(crate) fn add_lines(
    text: &str,
    above: &Block<'_>,
    key: &str,
    entry: &Content,
) -> Option<Splice> {
    let (end, margin) = match above {
        Block::Of(map) => {
            let first = map.as_map()?.first()?;
            if !is_first(text, first.key_span.start) {
                return None;
            }
            (map.span.end, indent(text, first.key_span.start).to_owned())
        }
        Block::Under(pair) => {
            if !is_first(text, pair.key_span.start) {
                return None;
            }
            (pair.value.span.end, format!("{}{UNIT}", indent(text, pair.key_span.start)))
        }
        Block::Nothing => (text.len(), String::new()),
    };
    let layout = Layout { newline: newline(text), indent: margin, unit: UNIT.to_owned() };
    let lines = yaml_lines(key, entry, &layout);
    let at = lines_end(text, end);
    let is_open = at > 0 && !text[..at].ends_with('\n');
    Some(if is_open {
        Splice::put(at, format!("{}{lines}", layout.newline))
    } else {
        Splice::put(at, format!("{lines}{}", layout.newline))
    })
}

/// Where lines are put.
pub(crate) enum Block<'a> {
    /// Behind the last member of a block mapping.
    Of(&'a Node),
    /// Below a key that has no value.
    Under(&'a Pair),
    /// At the end of a text that holds nothing.
    Nothing,
}

/// Takes a member of a block mapping out with its lines. The last one leaves `{}` behind, so that
/// the key above keeps a mapping. `None` where it does not stand in lines of its own.
pub(crate) fn cut_lines(
    text: &str,
    above: Option<&Pair>,
    map: &Node,
    index: usize,
) -> Option<Vec<Splice>> {
    let pairs = map.as_map()?;
    let pair = pairs.get(index)?;
    if !is_first(text, pair.key_span.start) {
        return None;
    }
    let end = pair.value.span.end.max(pair.key_span.end);
    let mut span = line_start(text, pair.key_span.start)..lines_end(text, end);
    if span.end == text.len() && !text.ends_with('\n') {
        span.start = text[..span.start].trim_end_matches(['\r', '\n']).len();
    }
    let mut splices = vec![Splice::cut(span)];
    if let Some(above) = above.filter(|_| pairs.len() == 1) {
        let colon = text[above.key_span.end..].find(':')?;
        splices.push(Splice::put(above.key_span.end + colon + 1, " {}"));
    }
    Some(splices)
}

/// Puts a list of words in the place of a block list, behind the key it belongs to.
pub(crate) fn replace_list(text: &str, pair: &Pair, list: String) -> Option<Splice> {
    let colon = text[pair.key_span.end..].find(':')?;
    let start = pair.key_span.end + colon + 1;
    let end = pair.value.span.end;
    let tail = if text[..end].ends_with('\n') { newline(text) } else { "" };
    Some(Splice { span: start..end, text: format!(" {list}{tail}") })
}
