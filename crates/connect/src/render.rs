//! Writing an entry in each format.

use crate::server::Content;

/// How lines are laid out around a place.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub newline: &'static str,
    /// What the line starts with.
    pub indent: String,
    /// What each deeper line starts with beside that.
    pub unit: String,
}

impl Layout {
    fn deeper(&self) -> Layout {
        Layout { indent: format!("{}{}", self.indent, self.unit), ..self.clone() }
    }
}

/// A text in double quotes, in a form that JSON, YAML and TOML read the same.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of texts in one line, in a form that JSON, YAML and TOML read the same.
pub(crate) fn quoted_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A value that takes one line and is the same in every format; `None` for a map.
fn scalar(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(quoted(text)),
        Content::Words(words) => Some(quoted_list(words)),
        Content::Flag(flag) => Some(flag.to_string()),
        Content::Number(number) => Some(number.to_string()),
        Content::Map(_) => None,
    }
}

/// A member of a JSON object over several lines, the first of which is indented already.
pub(crate) fn json_lines(key: &str, content: &Content, layout: &Layout) -> String {
    let value = match content {
        Content::Map(fields) if !fields.is_empty() => {
            let deeper = layout.deeper();
            let lines: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}{}", deeper.indent, json_lines(key, value, &deeper)))
                .collect();
            let newline = layout.newline;
            let between = format!(",{newline}");
            format!("{{{newline}{}{newline}{}}}", lines.join(&between), layout.indent)
        }
        other => json_line(other),
    };
    format!("{}: {value}", quoted(key))
}

/// A JSON value in one line, which YAML takes as well.
fn json_line(content: &Content) -> String {
    scalar(content).unwrap_or_else(|| match content {
        Content::Map(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| json_member(key, value)).collect();
            format!("{{{}}}", fields.join(", "))
        }
        _ => String::new(),
    })
}

/// A member of a JSON object in one line, which YAML takes as well.
pub(crate) fn json_member(key: &str, content: &Content) -> String {
    format!("{}: {}", quoted(key), json_line(content))
}

/// A member of a TOML inline table.
pub(crate) fn toml_member(key: &str, content: &Content) -> String {
    let value = scalar(content).unwrap_or_else(|| match content {
        Content::Map(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| toml_member(key, value)).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        _ => String::new(),
    });
    format!("{key} = {value}")
}

/// A TOML table with its header; the last line has no end.
pub(crate) fn toml_table(header: &str, content: &Content, newline: &str) -> String {
    let mut lines = vec![format!("[{header}]")];
    if let Content::Map(fields) = content {
        lines.extend(fields.iter().map(|(key, value)| toml_member(key, value)));
    }
    lines.join(newline)
}

/// A key in YAML: plain unless it would be taken for something else than text.
fn yaml_key(key: &str) -> String {
    let odd = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&key);
    if odd { quoted(key) } else { key.to_owned() }
}

/// A member of a YAML block mapping with each line's indent; the last line has no end.
pub(crate) fn yaml_lines(key: &str, content: &Content, layout: &Layout) -> String {
    let start = format!("{}{}:", layout.indent, yaml_key(key));
    match content {
        Content::Map(fields) if !fields.is_empty() => {
            let deeper = layout.deeper();
            let lines = fields.iter().map(|(key, value)| yaml_lines(key, value, &deeper));
            std::iter::once(start).chain(lines).collect::<Vec<_>>().join(layout.newline)
        }
        other => format!("{start} {}", json_line(other)),
    }
}
