//! Settings in any format: read, an entry looked up, put in, brought up to date, taken out. Whatever
//! was changed is read again and compared before it counts.

use crate::edit::{Splice, spliced};
use crate::flow::{self, Marks, Style};
use crate::render::{Layout, json_lines, json_member, quoted, quoted_list, toml_member};
use crate::server::{CommandLine, Content, Server, Shape};
use crate::tree::{Kind, Node, Span};
use crate::{json, toml, yaml};

/// A format of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON as RFC 8259 has it.
    Json,
    /// JSON with comments and trailing commas.
    Jsonc,
    /// TOML.
    Toml,
    /// YAML 1.2.
    Yaml,
}

/// Where a text cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub at: usize,
    pub why: String,
}

impl Bad {
    pub(crate) fn new(at: usize, why: String) -> Bad {
        Bad { at, why }
    }
}

/// Why settings are left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Bad(Bad),
    /// The keys hold something else than they should.
    Shape(String, &'static str),
    /// The entry is somebody else's.
    Taken,
    /// No entry is there, or none of ours.
    Absent,
    /// It cannot be done without touching something else.
    Unsafe,
}

/// Settings that were changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edited {
    pub text: String,
    /// What may be shown of `text`: what is new, and the entry's command line.
    pub new: Vec<Span>,
    /// The same of the text before.
    pub old: Vec<Span>,
    /// How many maps were made around the entry.
    pub made: usize,
}

impl Format {
    pub(crate) fn marks(self) -> Marks {
        match self {
            Format::Json | Format::Jsonc => Marks::Slashes,
            Format::Toml | Format::Yaml => Marks::Hash,
        }
    }

    fn parse(self, text: &str) -> Result<Option<Node>, Bad> {
        match self {
            Format::Json => json::parse(text, false),
            Format::Jsonc => json::parse(text, true),
            Format::Toml => toml::parse(text).map(Some),
            Format::Yaml => yaml::parse(text),
        }
    }

    /// Where keys and where values stand, for showing a text without its values.
    pub(crate) fn outline(self, text: &str) -> (Vec<Span>, Vec<Span>) {
        if self == Format::Toml {
            let outline = toml::outline(text);
            return (outline.keys, outline.scalars);
        }
        let (mut keys, mut scalars) = (Vec::new(), Vec::new());
        if let Ok(Some(root)) = self.parse(text) {
            gather(&root, &mut keys, &mut scalars);
        }
        (keys, scalars)
    }
}

fn gather(node: &Node, keys: &mut Vec<Span>, scalars: &mut Vec<Span>) {
    match &node.kind {
        Kind::Map(pairs) => {
            for pair in pairs {
                keys.push(pair.key_span.clone());
                gather(&pair.value, keys, scalars);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| gather(item, keys, scalars)),
        _ => scalars.push(node.span.clone()),
    }
}

/// A settings text, and where and in which shape an entry stands in it.
#[derive(Debug)]
pub(crate) struct Form<'a> {
    text: &'a str,
    format: Format,
    /// The keys from the top down to the entry.
    keys: Vec<&'a str>,
    shape: Shape,
    root: Option<Node>,
}

impl<'a> Form<'a> {
    /// Reads a text without its byte order mark. `keys` lead to the servers, `name` is the entry's.
    pub(crate) fn read(
        text: &'a str,
        format: Format,
        keys: &[&'a str],
        shape: Shape,
        name: &'a str,
    ) -> Result<Form<'a>, Refusal> {
        let root = format.parse(text).map_err(Refusal::Bad)?;
        let mut keys = keys.to_vec();
        let mut shape = shape;
        if shape == Shape::Listed && has_second_map(root.as_ref()) {
            keys.push("servers");
            shape = Shape::ListedOnly;
        }
        keys.push(name);
        let form = Form { text, format, keys, shape, root };
        form.check()?;
        Ok(form)
    }

    /// Every key on the way to the entry is there once at most and holds a map, the top as well.
    fn check(&self) -> Result<(), Refusal> {
        let mut node = self.root.as_ref();
        for (depth, key) in self.keys.iter().enumerate() {
            let Some(here) = node else { return Ok(()) };
            let above = || match depth {
                0 => "the top".to_owned(),
                _ => self.keys[..depth].join("."),
            };
            let left_away = matches!(here.kind, Kind::Null) && here.span.is_empty();
            if left_away && self.format == Format::Yaml {
                return Ok(());
            }
            let Some(pairs) = here.as_map() else {
                return Err(Refusal::Shape(above(), "does not hold named values"));
            };
            if pairs.iter().filter(|pair| pair.key == *key).count() > 1 {
                let twice = self.keys[..=depth].join(".");
                return Err(Refusal::Shape(twice, "is there twice"));
            }
            node = here.get(key);
        }
        Ok(())
    }

    fn entry(&self) -> Option<&Node> {
        self.root.as_ref()?.at(&self.keys)
    }

    /// The agent of the entry, if it is a desk's; an error if it is somebody else's.
    pub(crate) fn agent(&self) -> Result<Option<&str>, Refusal> {
        match self.entry() {
            None => Ok(None),
            Some(entry) => {
                self.shape.line(entry).and_then(|line| line.agent()).map(Some).ok_or(Refusal::Taken)
            }
        }
    }

    /// The text with the entry in it: put in, or brought up to date if one of ours is there.
    pub(crate) fn with(&self, server: &Server) -> Result<Edited, Refusal> {
        let (splices, made) = match self.agent()? {
            Some(_) => (self.update(server)?, 0),
            None => self.put(server)?,
        };
        let mut edited = self.edited(splices, made)?;
        let text = edited.text.clone();
        let after = self.again(&text)?;
        let line = after.entry().and_then(|entry| self.shape.line(entry)).ok_or(Refusal::Unsafe)?;
        if line.texts() != server.words() || !self.same_rest(&after) {
            return Err(Refusal::Unsafe);
        }
        let spans =
            |line: &CommandLine<'_>| line.words.iter().map(|word| word.span.clone()).collect();
        edited.new.extend::<Vec<Span>>(spans(&line));
        if let Some(line) = self.entry().and_then(|entry| self.shape.line(entry)) {
            edited.old.extend::<Vec<Span>>(spans(&line));
        }
        Ok(edited)
    }

    /// The text without the entry, which has to be ours, and without up to `made` maps around it
    /// that are empty then.
    pub(crate) fn without(&self, made: usize) -> Result<Edited, Refusal> {
        if self.agent()?.is_none() {
            return Err(Refusal::Absent);
        }
        let mut edited = self.edited(self.cut(self.keys.len())?, 0)?;
        for depth in (1..self.keys.len()).rev().take(made) {
            let inner = self.again(&edited.text)?;
            let emptied = inner.root.as_ref().and_then(|root| root.at(&inner.keys[..depth]));
            let Some(map) = emptied else { break };
            if !map.is_empty() || self.format == Format::Toml && !map.is_braced(inner.text) {
                break;
            }
            let splices = inner.cut(depth)?;
            edited = inner.edited(splices, 0)?;
        }
        let after = self.again(&edited.text)?;
        if after.entry().is_none() && self.same_rest(&after) {
            Ok(edited)
        } else {
            Err(Refusal::Unsafe)
        }
    }

    /// Whether nothing is in the settings at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.as_ref().is_none_or(Node::is_empty)
    }

    fn again<'b>(&'b self, text: &'b str) -> Result<Form<'b>, Refusal> {
        let root = self.format.parse(text).map_err(|_| Refusal::Unsafe)?;
        let keys = self.keys.iter().map(|key| &**key).collect();
        Ok(Form { text, format: self.format, keys, shape: self.shape, root })
    }

    fn edited(&self, splices: Vec<Splice>, made: usize) -> Result<Edited, Refusal> {
        let old = splices.iter().map(|splice| splice.span.clone()).collect();
        let (text, new) = spliced(self.text, splices).ok_or(Refusal::Unsafe)?;
        Ok(Edited { text, new, old, made })
    }

    /// Whether both say the same but for the entry.
    fn same_rest(&self, other: &Form<'_>) -> bool {
        let rest = |form: &Form<'_>| {
            let mut root =
                form.root.clone().unwrap_or(Node { span: 0..0, kind: Kind::Map(Vec::new()) });
            root.prune(&self.keys);
            if root.is_empty() {
                root.kind = Kind::Null;
            }
            root
        };
        rest(self).same(&rest(other))
    }

    /// Changes the words of an entry of ours that differ, and nothing else of it.
    fn update(&self, server: &Server) -> Result<Vec<Splice>, Refusal> {
        let entry = self.entry().ok_or(Refusal::Absent)?;
        let line = self.shape.line(entry).ok_or(Refusal::Taken)?;
        let words = server.words();
        let texts = line.texts();
        let differing = |(node, word): (&&Node, &String)| {
            (node.as_text() != Some(word))
                .then(|| Splice { span: node.span.clone(), text: quoted(word) })
        };
        if texts.len() == words.len() {
            return Ok(line.words.iter().zip(&words).filter_map(differing).collect());
        }
        let outside = outside_list(&line);
        let mut splices: Vec<Splice> =
            line.words.iter().zip(&words).take(outside).filter_map(differing).collect();
        let list = quoted_list(&words[outside..]);
        if self.format == Format::Yaml && !line.list.is_braced(self.text) {
            let key = if outside == 0 { "command" } else { "args" };
            let pair = entry.pair(key).ok_or(Refusal::Unsafe)?;
            splices.push(yaml::replace_list(self.text, pair, list).ok_or(Refusal::Unsafe)?);
        } else {
            splices.push(Splice { span: line.list.span.clone(), text: list });
        }
        Ok(splices)
    }

    /// Puts a new entry behind the others; answers how many maps had to be made around it.
    fn put(&self, server: &Server) -> Result<(Vec<Splice>, usize), Refusal> {
        let entry = self.shape.entry(server);
        // The deepest map that is there.
        let root = self.root.as_ref();
        let deepest = (0..self.keys.len())
            .rev()
            .find(|depth| root.is_some_and(|root| root.at(&self.keys[..*depth]).is_some()));
        let depth = deepest.unwrap_or(0);
        let made = self.keys.len() - 1 - depth;
        let key = self.keys[depth];
        let content = self.keys[depth + 1..]
            .iter()
            .rev()
            .fold(entry.clone(), |inner, key| Content::Map(vec![((*key).to_owned(), inner)]));
        let map = root.and_then(|root| root.at(&self.keys[..depth]));
        let splices = match (self.format, map) {
            (Format::Json | Format::Jsonc, None) => vec![self.whole_json(key, &content)],
            (Format::Toml, Some(map)) if !map.is_braced(self.text) => {
                vec![toml::add_table(self.text, &self.keys, &entry)]
            }
            (Format::Toml, None) => vec![toml::add_table(self.text, &self.keys, &entry)],
            (Format::Yaml, None) => self.yaml(&yaml::Block::Nothing, key, &content)?,
            (Format::Yaml, Some(map)) if matches!(map.kind, Kind::Null) => {
                let above = root.and_then(|root| root.at(&self.keys[..depth.checked_sub(1)?]));
                let pair = above.and_then(|above| above.pair(self.keys[depth - 1]));
                let pair = pair.ok_or(Refusal::Unsafe)?;
                self.yaml(&yaml::Block::Under(pair), key, &content)?
            }
            (Format::Yaml, Some(map)) if !map.is_braced(self.text) => {
                self.yaml(&yaml::Block::Of(map), key, &content)?
            }
            (_, Some(map)) => self.braced(map, depth, key, &content),
        };
        Ok((splices, made))
    }

    fn yaml(
        &self,
        block: &yaml::Block<'_>,
        key: &str,
        content: &Content,
    ) -> Result<Vec<Splice>, Refusal> {
        let splice = yaml::add_lines(self.text, block, key, content).ok_or(Refusal::Unsafe)?;
        Ok(vec![splice])
    }

    /// A whole JSON text behind one that holds no value.
    fn whole_json(&self, key: &str, content: &Content) -> Splice {
        let newline = crate::edit::newline(self.text);
        let unit = "  ".to_owned();
        let layout = Layout { newline, indent: unit.clone(), unit: unit.clone() };
        let member = json_lines(key, content, &layout);
        let is_open = !self.text.is_empty() && !self.text.ends_with('\n');
        let before = if is_open { newline } else { "" };
        Splice::put(
            self.text.len(),
            format!("{before}{{{newline}{unit}{member}{newline}}}{newline}"),
        )
    }

    fn braced(&self, map: &Node, depth: usize, key: &str, content: &Content) -> Vec<Splice> {
        let is_json = matches!(self.format, Format::Json | Format::Jsonc);
        let member = |layout: Option<&Layout>| match (self.format, layout) {
            (Format::Json | Format::Jsonc, Some(layout)) => json_lines(key, content, layout),
            (Format::Toml, _) => toml_member(key, content),
            _ => json_member(key, content),
        };
        let style = Style {
            marks: self.format.marks(),
            spread_empty: is_json && (depth == 0 || self.text.trim().contains('\n')),
            unit: self.unit(),
            member: &member,
        };
        flow::add(self.text, map, &style)
    }

    /// What the first indented line starts with, or two spaces.
    fn unit(&self) -> String {
        let mut lines = self.text.lines();
        let blank = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let found = lines.find_map(|line| {
            let blank = blank(line);
            (blank > 0 && blank < line.len()).then(|| line[..blank].to_owned())
        });
        found.unwrap_or_else(|| "  ".to_owned())
    }

    /// Takes out what stands under the first `depth` keys.
    fn cut(&self, depth: usize) -> Result<Vec<Splice>, Refusal> {
        let keys = &self.keys[..depth];
        let (key, above) = keys.split_last().ok_or(Refusal::Unsafe)?;
        let root = self.root.as_ref().ok_or(Refusal::Absent)?;
        let map = root.at(above).ok_or(Refusal::Absent)?;
        let pairs = map.as_map().ok_or(Refusal::Absent)?;
        let index = pairs.iter().position(|pair| pair.key == *key).ok_or(Refusal::Absent)?;
        if map.is_braced(self.text) {
            return Ok(flow::cut(self.text, map, index, self.format.marks()));
        }
        match self.format {
            Format::Toml => toml::cut_table(self.text, keys),
            Format::Yaml => {
                let over = above.split_last().and_then(|(key, over)| root.at(over)?.pair(key));
                yaml::cut_lines(self.text, over, map, index)
            }
            Format::Json | Format::Jsonc => None,
        }
        .ok_or(Refusal::Unsafe)
    }
}

/// How many words of a command line stand before its list.
fn outside_list(line: &CommandLine<'_>) -> usize {
    let Kind::List(items) = &line.list.kind else { return 0 };
    line.words.len().saturating_sub(items.len())
}

/// Whether an opencode file has the servers where version 2 has them. A server of version 1 that is
/// called “servers” has a kind; a map of servers has none.
fn has_second_map(root: Option<&Node>) -> bool {
    root.and_then(|root| root.at(&["mcp", "servers"])).is_some_and(|servers| {
        servers.as_map().is_some()
            && servers.get("type").is_none_or(|kind| kind.as_map().is_some())
            && servers.get("enabled").is_none_or(|flag| flag.as_map().is_some())
    })
}
