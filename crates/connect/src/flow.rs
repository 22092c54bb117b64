//! Members put into and taken out of `{ … }`, which JSON objects, YAML flow mappings and TOML inline
//! tables have in common, without touching commas, comments and line breaks that are there.

use crate::edit::{Splice, indent, is_first, line_start, newline, next_line};
use crate::render::Layout;
use crate::tree::{Node, Span};

/// How comments start in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `//` to the end of the line, and `/* … */`.
    Slashes,
    /// `#` to the end of the line.
    Hash,
}

impl Marks {
    /// Where a comment that starts at `at` ends, if one does.
    pub(crate) fn comment_end(self, text: &str, at: usize) -> Option<usize> {
        let rest = &text[at..];
        let line = || {
            at + rest.find('\n').map_or(rest.len(), |end| rest[..end].trim_end_matches('\r').len())
        };
        match self {
            Marks::Hash => rest.starts_with('#').then(line),
            Marks::Slashes if rest.starts_with("/*") => {
                Some(rest[2..].find("*/").map_or(text.len(), |end| at + 2 + end + 2))
            }
            Marks::Slashes => rest.starts_with("//").then(line),
        }
    }
}

/// What stands between two values: spaces, comments, at most one comma.
struct Gap {
    comma: Option<usize>,
    /// Where the last comment or the comma ends.
    end: usize,
}

fn gap(text: &str, span: Span, marks: Marks) -> Gap {
    let mut gap = Gap { comma: None, end: span.start };
    let mut at = span.start;
    while let Some(next) = text.get(at..span.end).and_then(|rest| rest.chars().next()) {
        if let Some(end) = marks.comment_end(text, at) {
            at = end.min(span.end);
            gap.end = at;
            continue;
        }
        at += next.len_utf8();
        if next == ',' && gap.comma.is_none() {
            gap.comma = Some(at - 1);
        }
        if !next.is_whitespace() {
            gap.end = at;
        }
    }
    gap
}

/// How a member is to be written into a map.
pub(crate) struct Style<'a> {
    pub marks: Marks,
    /// Whether a map that is written in one line and empty is written out over several.
    pub spread_empty: bool,
    /// What a deeper line starts with, where the map's own lines do not tell.
    pub unit: String,
    /// Writes the member over several lines as laid out, or in one.
    pub member: &'a dyn Fn(Option<&Layout>) -> String,
}

/// Puts a member behind the last one of a map.
pub(crate) fn add(text: &str, map: &Node, style: &Style<'_>) -> Vec<Splice> {
    let pairs = map.as_map().unwrap_or_default();
    let open = map.span.start + 1;
    let close = map.span.end.saturating_sub(1).max(open);
    let last = pairs.last().map(|pair| pair.value.span.end.max(pair.key_span.end));
    let gap = gap(text, last.unwrap_or(open)..close, style.marks);
    let needs_comma = last.is_some() && gap.comma.is_none();
    let comma_after = if gap.comma.is_some() { "," } else { "" };
    let mut splices = Vec::new();
    if let Some(last) = last.filter(|_| needs_comma) {
        splices.push(Splice::put(last, ","));
    }
    let own_line = text[gap.end..close].contains('\n');
    let spread = own_line || (pairs.is_empty() && gap.end == open && style.spread_empty);
    let new = if spread {
        let layout = layout(text, map, style);
        let member = (style.member)(Some(&layout));
        let outer = indent(text, map.span.start);
        let close_line =
            if own_line { String::new() } else { format!("{}{outer}", layout.newline) };
        format!("{}{}{member}{comma_after}{close_line}", layout.newline, layout.indent)
    } else {
        let space = if gap.end == open { "" } else { " " };
        format!("{space}{}{comma_after}", (style.member)(None))
    };
    splices.push(Splice::put(gap.end, new));
    splices
}

/// The layout of the members of a map that is written over several lines.
fn layout(text: &str, map: &Node, style: &Style<'_>) -> Layout {
    let outer = indent(text, map.span.start);
    let first_on_line = |pair: &&crate::tree::Pair| is_first(text, pair.key_span.start);
    let own = map
        .as_map()
        .unwrap_or_default()
        .iter()
        .rfind(first_on_line)
        .map(|pair| indent(text, pair.key_span.start));
    let unit = own
        .and_then(|own| own.strip_prefix(outer))
        .filter(|unit| !unit.is_empty())
        .map_or_else(|| style.unit.clone(), str::to_owned);
    let indent = own.map_or_else(|| format!("{outer}{unit}"), str::to_owned);
    Layout { newline: newline(text), indent, unit }
}

/// Takes the member at `index` out of a map; what `add` put in goes without a trace.
pub(crate) fn cut(text: &str, map: &Node, index: usize, marks: Marks) -> Vec<Splice> {
    let pairs = map.as_map().unwrap_or_default();
    let Some(pair) = pairs.get(index) else { return Vec::new() };
    let open = map.span.start + 1;
    let close = map.span.end.saturating_sub(1).max(open);
    let end_of = |pair: &crate::tree::Pair| pair.value.span.end.max(pair.key_span.end);
    if let Some(next) = pairs.get(index + 1) {
        return vec![Splice::cut(cut_before_another(
            text,
            pair.key_span.start,
            next,
            end_of(pair),
            marks,
        ))];
    }
    let before = index.checked_sub(1).and_then(|index| pairs.get(index)).map(end_of);
    let left = gap(text, before.unwrap_or(open)..pair.key_span.start, marks);
    let right = gap(text, end_of(pair)..close, marks);
    let mut end = right.comma.map_or(end_of(pair), |comma| comma + 1);
    let mut splices = Vec::new();
    // The comma before stays where one stood behind: the file closes its lists with one.
    if let Some(comma) = left.comma.filter(|_| right.comma.is_none()) {
        splices.push(Splice::cut(comma..comma + 1));
    }
    if before.is_none()
        && text[left.end..pair.key_span.start].trim().is_empty()
        && text[end..close].trim().is_empty()
    {
        end = close;
    }
    // The comma may be the last thing before the member; then both cuts are one.
    match splices.last_mut() {
        Some(comma) if comma.span.end == left.end => comma.span.end = end,
        _ => splices.push(Splice::cut(left.end..end)),
    }
    splices
}

/// What to cut of a member behind which another one comes: its own lines where it has lines of its
/// own, else up to the next one.
fn cut_before_another(
    text: &str,
    start: usize,
    next: &crate::tree::Pair,
    end: usize,
    marks: Marks,
) -> Span {
    let between = gap(text, end..next.key_span.start, marks);
    let comma = between.comma.map_or(end, |comma| comma + 1);
    let line_end = next_line(text, comma);
    let has_own_lines = is_first(text, start)
        && line_end <= next.key_span.start
        && text[comma..line_end].trim().is_empty();
    if has_own_lines {
        return line_start(text, start)..line_end;
    }
    let blank = text[comma..next.key_span.start].len()
        - text[comma..next.key_span.start].trim_start_matches([' ', '\t']).len();
    start..comma + blank
}
