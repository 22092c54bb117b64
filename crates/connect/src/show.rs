//! A change as its owner sees it: what is new in full, and of the rest only keys and structure.
//!
//! Settings hold other people's secrets: a token in another server's environment may stand on the
//! very line that gets a comma. So values and comments outside of the change are shown as `…`.

use crate::edit::line_start;
use crate::form::{Edited, Format};
use crate::tree::Span;
use similar::TextDiff;
use std::path::Path;

/// How much of a line is shown, in characters; settings may be one line of a megabyte.
const LINE_MAX_CHARS: usize = 200;
/// How much of it is shown before the change, where it is cut.
const LEAD_CHARS: usize = 60;

/// A unified diff between two texts of a format, without values that are not part of the change.
pub(crate) fn diff(format: Format, path: &Path, before: &str, edited: &Edited) -> String {
    let old = masked(format, before, &edited.old);
    let new = masked(format, &edited.text, &edited.new);
    let name = path.display().to_string();
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().context_radius(3).header(&name, &name).to_string();
    let lead = column_of_change(&old, &new);
    text.lines().map(|line| clipped(line, lead) + "\n").collect()
}

/// Where in its line the first difference stands, in characters.
fn column_of_change(old: &str, new: &str) -> usize {
    let same: usize =
        old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    new[line_start(new, same)..same].chars().count()
}

/// A line of the diff, cut to what can be read around the change.
fn clipped(line: &str, column: usize) -> String {
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= LINE_MAX_CHARS {
        return line.to_owned();
    }
    let start = if line.starts_with(['+', '-']) { column.saturating_sub(LEAD_CHARS) } else { 0 };
    let start = start.min(chars.len() - LINE_MAX_CHARS);
    let end = start + LINE_MAX_CHARS;
    let mut shown = String::from(chars[0]);
    if start > 0 {
        shown.push('…');
    }
    shown.extend(&chars[(start + 1).min(end)..end]);
    if end < chars.len() {
        shown.push('…');
    }
    shown
}

/// The text with `…` for every value and comment that does not lie in `kept`.
pub(crate) fn masked(format: Format, text: &str, kept: &[Span]) -> String {
    let (keys, scalars) = format.outline(text);
    let outside = |span: &Span| {
        kept.iter().all(|kept| span.end <= kept.start || kept.end <= span.start || kept.is_empty())
    };
    let mut pieces: Vec<(Span, bool)> = Vec::new();
    pieces.extend(kept.iter().filter(|span| !span.is_empty()).map(|span| (span.clone(), true)));
    pieces.extend(keys.into_iter().filter(outside).map(|span| (span, true)));
    pieces.extend(scalars.into_iter().filter(outside).map(|span| (span, false)));
    pieces.sort_by_key(|(span, _)| (span.start, span.end));
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for (span, in_full) in pieces {
        // Pieces that overlap would show what is to be hidden.
        if span.start < done {
            continue;
        }
        shown.push_str(&structure(format, &text[done..span.start]));
        let piece = &text[span.clone()];
        if in_full || matches!(piece, "true" | "false" | "null") {
            shown.push_str(piece);
        } else {
            shown.push_str(&hidden(piece));
        }
        done = span.end;
    }
    shown.push_str(&structure(format, &text[done..]));
    shown.replace('\r', "")
}

/// A value without what it says: its quotes and its lines.
fn hidden(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    if let Some(quote) = quote.filter(|_| !value.contains('\n')) {
        return format!("{quote}…{quote}");
    }
    let lines = value.split('\n').map(|line| if line.trim().is_empty() { "" } else { "…" });
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands between keys and values: braces, commas and spaces; of comments only that there is
/// one.
fn structure(format: Format, text: &str) -> String {
    let mut shown = String::new();
    let mut at = 0;
    let mut in_word = false;
    while let Some(next) = text[at..].chars().next() {
        if let Some(end) = format.marks().comment_end(text, at) {
            let mark = if text[at..].starts_with('#') { "#" } else { &text[at..at + 2] };
            let breaks = text[at..end].matches('\n').count();
            shown.push_str(&format!("{mark} …{}", "\n".repeat(breaks)));
            (at, in_word) = (end, false);
            continue;
        }
        let is_structure = next.is_whitespace() || "{}[]:,=-.".contains(next);
        if is_structure {
            shown.push(next);
        } else if !in_word {
            shown.push('…');
        }
        in_word = !is_structure;
        at += next.len_utf8();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;
    use crate::server::{Server, Shape};

    fn change(format: Format, text: &str) -> String {
        let command = Path::new(if cfg!(windows) { r"C:\imprest.exe" } else { "/imprest" });
        let name = "imprest".parse().unwrap();
        let server = Server::new(name, command, "scout".parse().unwrap()).unwrap();
        let form = Form::read(text, format, &["servers"], Shape::Plain, "imprest").unwrap();
        diff(format, Path::new("settings"), text, &form.with(&server).unwrap())
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_around_the_change() {
        let long = "secret ".repeat(100_000);
        let ballast: Vec<String> = (0..9_000).map(|i| format!("\"k{i}\":{i}")).collect();
        let text = format!("{{\"a\":\"{long}\",{},\"servers\":{{}},\"b\":1}}", ballast.join(","));
        let shown = change(Format::Json, &text);
        assert!(shown.lines().all(|line| line.chars().count() <= LINE_MAX_CHARS + 2), "{shown}");
        assert!(shown.contains("\"mcp\", \"--agent\", \"scout\"") && !shown.contains("secret"));
    }

    #[test]
    fn values_and_comments_of_others_are_not_shown() {
        let jsonc = "{ // s3cret, {\n /* s3cret\n s3cret */ \"servers\": {\"a\": [\"s3cret\", 53.3, true]}}";
        let toml =
            "a = 's3cret' # s3cret\nb = \"\"\"\ns3cret\n\"\"\"\n[servers.x]\nc = [ \"s3cret\" ]";
        let yaml = "a: s3cret # s3cret\nb: |\n  s3cret\n  s3cret\nc: !s3cret &s3cret \"s3cret\"\nd: [s3cret, {e: s3cret}]\nservers:\n  f: >\n    s3cret";
        for (format, text) in [(Format::Jsonc, jsonc), (Format::Toml, toml), (Format::Yaml, yaml)] {
            let (masked, shown) = (masked(format, text, &[]), change(format, text));
            assert!(!masked.contains("3cret") && !shown.contains("3cret"), "{masked}\n{shown}");
            assert_eq!(masked.lines().count(), text.lines().count(), "{masked}");
            assert!(!masked.contains("53.3") && masked.contains("servers"), "{masked}");
        }
        assert!(masked(Format::Jsonc, jsonc, &[]).contains("true"), "a truth value is no secret");
    }
}
