//! Settings as a tree that remembers where in the text everything stands.

use std::ops::Range;

/// Where something stands, in bytes.
pub(crate) type Span = Range<usize>;

/// How deep settings may be nested; JSON, TOML and YAML have bounds of their own beside it.
pub(crate) const DEPTH_MAX: usize = 200;

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Map(Vec<Pair>),
    List(Vec<Node>),
    Text(String),
    /// A number, a date, a truth value, as written.
    Other(String),
    /// Nothing, in words or by leaving the value away.
    Null,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    pub(crate) fn as_map(&self) -> Option<&[Pair]> {
        if let Kind::Map(pairs) = &self.kind { Some(pairs) } else { None }
    }

    pub(crate) fn pair(&self, key: &str) -> Option<&Pair> {
        self.as_map()?.iter().find(|pair| pair.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.pair(key).map(|pair| &pair.value)
    }

    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Whether the value is written in `{}` or `[]`, which YAML and TOML can do without.
    pub(crate) fn is_braced(&self, text: &str) -> bool {
        text.get(self.span.clone()).is_some_and(|text| text.starts_with(['{', '[']))
    }

    /// Whether both say the same, wherever it stands.
    pub(crate) fn same(&self, other: &Node) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Map(a), Kind::Map(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| a.key == b.key && a.value.same(&b.value))
            }
            (Kind::List(a), Kind::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Kind::Text(a), Kind::Text(b)) | (Kind::Other(a), Kind::Other(b)) => a == b,
            (Kind::Null, Kind::Null) => true,
            _ => false,
        }
    }

    /// Takes what stands under the keys out of the tree, and then each map above it that is left
    /// empty; what is left is what has to be the same before and after a change. A map that was left
    /// away counts as empty.
    pub(crate) fn prune(&mut self, keys: &[&str]) {
        let Some((key, below)) = keys.split_first() else { return };
        let Kind::Map(pairs) = &mut self.kind else { return };
        if below.is_empty() {
            pairs.retain(|pair| pair.key != *key);
            return;
        }
        for pair in pairs.iter_mut().filter(|pair| pair.key == *key) {
            pair.value.prune(below);
        }
        pairs.retain(|pair| pair.key != *key || !pair.value.is_empty());
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Map(pairs) => pairs.is_empty(),
            Kind::Null => true,
            _ => false,
        }
    }
}
