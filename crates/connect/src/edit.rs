//! Changing a text in a few places, and finding one's way in its lines.

use crate::tree::Span;

/// The mark with which some editors on Windows start a file.
pub(crate) const BOM: char = '\u{FEFF}';

/// Puts a text in the place of a span, which is empty where something is only put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    pub span: Span,
    pub text: String,
}

impl Splice {
    pub(crate) fn put(at: usize, text: impl Into<String>) -> Splice {
        Splice { span: at..at, text: text.into() }
    }

    pub(crate) fn cut(span: Span) -> Splice {
        Splice { span, text: String::new() }
    }
}

/// The text after the splices, and where in it the new pieces stand. `None` for splices that
/// overlap or that do not lie on the borders of characters; there should never be such.
pub(crate) fn spliced(text: &str, mut splices: Vec<Splice>) -> Option<(String, Vec<Span>)> {
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
    let mut new = String::with_capacity(text.len() + 256);
    let mut pieces = Vec::new();
    let mut done = 0;
    for splice in splices {
        new.push_str(text.get(done..splice.span.start)?);
        text.get(splice.span.clone())?;
        let start = new.len();
        new.push_str(&splice.text);
        pieces.push(start..new.len());
        done = splice.span.end;
    }
    new.push_str(text.get(done..)?);
    Some((new, pieces))
}

/// The line ending that the text uses first, or the plain one.
pub(crate) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where the line of a place starts.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the next line starts, or the text ends.
pub(crate) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The spaces and tabs with which the line of a place starts.
pub(crate) fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether only spaces and tabs stand before a place in its line.
pub(crate) fn is_first(text: &str, at: usize) -> bool {
    line_start(text, at) + indent(text, at).len() >= at
}

/// Line and column of a place, both from 1, the column in characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let line = text[..at].matches('\n').count() + 1;
    (line, text[line_start(text, at)..at].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_leave_the_rest() {
        let splices =
            vec![Splice::cut(4..5), Splice::put(1, "--"), Splice { span: 2..3, text: "C".into() }];
        assert_eq!(
            spliced("abcdef", splices),
            Some(("a--bCdf".to_owned(), vec![1..3, 4..5, 6..6]))
        );
        assert_eq!(spliced("abc", vec![Splice::cut(0..2), Splice::cut(1..3)]), None);
        assert_eq!(spliced("é", vec![Splice::put(1, "x")]), None);
    }

    #[test]
    fn lines_are_found() {
        let text = "a\r\n  é: 1\nlast";
        assert_eq!(newline(text), "\r\n");
        assert_eq!((line_start(text, 7), next_line(text, 7)), (3, 11));
        assert_eq!((indent(text, 8), is_first(text, 5), is_first(text, 7)), ("  ", true, false));
        assert_eq!(line_and_column(text, 7), (2, 4));
        assert_eq!(line_and_column(text, 999), (3, 5));
    }
}
