//! A bounded YAML tree that knows where each node stands.
//!
//! Built from `saphyr-parser`'s events rather than from `saphyr`'s own tree, because rules are hostile input:
//! aliases are charged for what they expand to, nesting and size are limited, and a key given twice is refused
//! instead of the last one winning quietly.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 32;
/// Most nodes of one file, aliases expanded.
const MAX_NODES: usize = 250_000;
/// Most documents of one file.
const MAX_DOCUMENTS: usize = 10_000;

/// Where a node begins: line and column from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
}

/// Something wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub place: Place,
    pub reason: String,
}

impl Problem {
    pub(crate) fn new(place: Place, reason: impl Into<String>) -> Self {
        Problem { place, reason: reason.into() }
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A map's key: always text.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub place: Place,
    pub text: String,
}

/// A scalar, typed by YAML's core schema; numbers keep the text they were written as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Scalar {
    fn plain(text: &str) -> Scalar {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
            "true" | "True" | "TRUE" => return Scalar::Bool(true),
            "false" | "False" | "FALSE" => return Scalar::Bool(false),
            _ => {}
        }
        let starts_like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
        if starts_like_a_number {
            let radix =
                |prefix, radix| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
            if let Some(int) = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| text.parse().ok()) {
                return Scalar::Int(int);
            }
            let float_letters =
                text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
            if float_letters && let Ok(float) = text.parse::<f64>() {
                return Scalar::Float(float);
            }
        }
        Scalar::Text(text.to_owned())
    }

    /// As people write it; null is empty.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Scalar::Null => String::new(),
            Scalar::Bool(bool) => bool.to_string(),
            Scalar::Int(int) => int.to_string(),
            Scalar::Float(float) => float.to_string(),
            Scalar::Text(text) => text.clone(),
        }
    }
}

impl Node {
    pub(crate) fn map(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<String> {
        self.scalar().filter(|scalar| **scalar != Scalar::Null).map(Scalar::to_text)
    }

    /// The children of a list, or the node itself.
    pub(crate) fn one_or_many(&self) -> &[Node] {
        match &self.data {
            Data::List(nodes) => nodes,
            _ => std::slice::from_ref(self),
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(Scalar::Null) => "nothing",
            Data::Scalar(_) => "a value",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// A number for what some entries of a map say, whatever their layout, comments and places.
    pub(crate) fn fingerprint(&self, keys: &[&str]) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for key in keys {
            match self.get(key) {
                Some(node) => node.hash_into(&mut hasher),
                None => drop(hasher.update(b"-")),
            }
        }
        first_word(&hasher)
    }

    /// A number for what it says, whatever its layout, comments and places.
    pub(crate) fn whole_fingerprint(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        self.hash_into(&mut hasher);
        first_word(&hasher)
    }

    fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let text = |hasher: &mut blake3::Hasher, kind: u8, text: &str| {
            hasher.update(&[kind]).update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        match &self.data {
            Data::Scalar(Scalar::Null) => text(hasher, b'n', ""),
            Data::Scalar(Scalar::Text(value)) => text(hasher, b't', value),
            Data::Scalar(scalar) => text(hasher, b's', &scalar.to_text()),
            Data::List(nodes) => {
                hasher.update(b"[").update(&(nodes.len() as u64).to_le_bytes());
                nodes.iter().for_each(|node| node.hash_into(hasher));
            }
            Data::Map(entries) => {
                hasher.update(b"{").update(&(entries.len() as u64).to_le_bytes());
                for (key, node) in entries {
                    text(hasher, b'k', &key.text);
                    node.hash_into(hasher);
                }
            }
        }
    }

    /// A map without one of its keys.
    pub(crate) fn without(mut self, key: &str) -> Node {
        if let Data::Map(entries) = &mut self.data {
            entries.retain(|(known, _)| known.text != key);
        }
        self
    }

    /// `other`'s entries over this map's: maps are merged, anything else is replaced.
    pub(crate) fn merged(&self, other: &Node) -> Node {
        let (Data::Map(base), Data::Map(over)) = (&self.data, &other.data) else { return other.clone() };
        let mut entries = base.clone();
        for (key, node) in over {
            match entries.iter_mut().find(|(known, _)| known.text == key.text) {
                Some((_, known)) => *known = known.merged(node),
                None => entries.push((key.clone(), node.clone())),
            }
        }
        Node { place: other.place, data: Data::Map(entries) }
    }
}

/// One number for two.
pub(crate) fn combined(first: u64, second: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&first.to_le_bytes()).update(&second.to_le_bytes());
    first_word(&hasher)
}

fn first_word(hasher: &blake3::Hasher) -> u64 {
    let mut word = [0; 8];
    hasher.finalize_xof().fill(&mut word);
    u64::from_le_bytes(word)
}

/// The documents of a file, in order; the last may be what was wrong with the rest of it.
pub(crate) fn documents(text: &str) -> Vec<Result<Node, Problem>> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(node)) if documents.len() < MAX_DOCUMENTS => documents.push(Ok(node)),
            Ok(Some(node)) => {
                documents
                    .push(Err(Problem::new(node.place, format!("more than {MAX_DOCUMENTS} documents in one file"))));
                break;
            }
            Ok(None) => break,
            Err(problem) => {
                documents.push(Err(problem));
                break;
            }
        }
    }
    documents
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Each anchor's node and how many nodes it is made of.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A list or map that is still open.
struct Open {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    data: Data,
    key: Option<Key>,
}

impl<'a> Reader<'a> {
    fn event(&mut self) -> Result<Option<(Event<'a>, Place)>, Problem> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, place(span)))),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = Place { line: marker.line() as u32, column: marker.col() as u32 + 1 };
                Err(Problem::new(place, format!("not valid YAML: {}", error.info())))
            }
        }
    }

    /// The next document that holds anything.
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        while let Some((event, place)) = self.event()? {
            let (node, anchor, nodes_before) = match event {
                Event::DocumentEnd => match root.take() {
                    Some(Node { data: Data::Scalar(Scalar::Null), .. }) | None => continue,
                    Some(root) => return Ok(Some(root)),
                },
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::Nothing => continue,
                Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                    if open.len() == MAX_DEPTH {
                        return Err(Problem::new(place, format!("nested deeper than {MAX_DEPTH} levels")));
                    }
                    let nodes_before = self.nodes;
                    self.charge(1, place)?;
                    let data = match event {
                        Event::SequenceStart(..) => Data::List(Vec::new()),
                        _ => Data::Map(Vec::new()),
                    };
                    open.push(Open { place, anchor, nodes_before, data, key: None });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let done = open.pop().ok_or_else(|| Problem::new(place, "not valid YAML: nothing to end here"))?;
                    (Node { place: done.place, data: done.data }, done.anchor, done.nodes_before)
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let nodes_before = self.nodes;
                    self.charge(1, place)?;
                    let as_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                    let scalar = if as_text { Scalar::Text(text.into_owned()) } else { Scalar::plain(&text) };
                    (Node { place, data: Data::Scalar(scalar) }, anchor, nodes_before)
                }
                Event::Alias(anchor) => {
                    let Some((node, size)) = self.anchors.get(&anchor) else {
                        return Err(Problem::new(place, "an alias to itself or to nothing"));
                    };
                    let (node, size) = (Node { place, ..node.clone() }, *size);
                    let nodes_before = self.nodes;
                    self.charge(size, place)?;
                    (node, 0, nodes_before)
                }
            };
            if anchor != 0 {
                self.anchors.insert(anchor, (node.clone(), self.nodes - nodes_before));
            }
            match open.last_mut() {
                None => root = Some(node),
                Some(parent) => parent.add(node)?,
            }
        }
        Ok(root)
    }

    fn charge(&mut self, nodes: usize, place: Place) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(place, format!("more than {MAX_NODES} values in one file")));
        }
        Ok(())
    }
}

impl Open {
    fn add(&mut self, node: Node) -> Result<(), Problem> {
        match (&mut self.data, self.key.take()) {
            (Data::List(nodes), _) => nodes.push(node),
            (Data::Map(entries), Some(key)) => entries.push((key, node)),
            (Data::Map(entries), None) => {
                let Some(text) = node.scalar().map(Scalar::to_text) else {
                    return Err(Problem::new(node.place, "a key must be text"));
                };
                if text == "<<" {
                    return Err(Problem::new(node.place, "merge keys (`<<`) are not supported"));
                }
                // A map's keys are few; only a hostile file has many, and it is bounded.
                let seen = if entries.len() < 1_000 { entries.iter().any(|(key, _)| key.text == text) } else { true };
                if seen {
                    return Err(Problem::new(
                        node.place,
                        format!("key `{text}` is given twice, or its map is too long"),
                    ));
                }
                self.key = Some(Key { place: node.place, text });
            }
            (Data::Scalar(_), _) => unreachable!("only lists and maps are open"),
        }
        Ok(())
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line() as u32, column: span.start.col() as u32 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str) -> Vec<String> {
        documents(text).into_iter().map(|document| document.map_or_else(|p| p.reason, |_| "ok".into())).collect()
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, want) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("True", Scalar::Bool(true)),
            ("4688", Scalar::Int(4688)),
            ("-1", Scalar::Int(-1)),
            ("0x10", Scalar::Int(16)),
            ("1.5", Scalar::Float(1.5)),
            ("yes", Scalar::Text("yes".into())),
            ("-e", Scalar::Text("-e".into())),
            (".e", Scalar::Text(".e".into())),
            ("2026-11-21", Scalar::Text("2026-11-21".into())),
            ("10.0.0.0/8", Scalar::Text("10.0.0.0/8".into())),
        ] {
            assert_eq!(Scalar::plain(text), want, "{text}");
        }
    }

    #[test]
    fn documents_are_bounded_and_placed() {
        let docs = documents("a: 1\n---\n---\nb:\n  - x\n  - 'y'\n");
        assert_eq!(docs.len(), 2);
        let second = docs[1].as_ref().unwrap();
        assert_eq!(second.get("b").unwrap().one_or_many()[1].place, Place { line: 6, column: 5 });

        assert_eq!(reasons("a: 1\na: 2"), ["key `a` is given twice, or its map is too long"]);
        assert_eq!(reasons(&"[".repeat(100)), ["nested deeper than 32 levels"]);
        assert_eq!(reasons(&"- ".repeat(100)), ["nested deeper than 32 levels"]);
        assert_eq!(reasons("a: &x [1, 2]\nb: *x\n"), ["ok"]);
        assert_eq!(reasons("{? [a] : b}"), ["a key must be text"]);
        let bomb: String = (1..40).fold("a0: &a0 [x,x,x,x,x,x,x,x]\n".into(), |text, n| {
            let before = n - 1;
            text + &format!("a{n}: &a{n} [*a{before},*a{before},*a{before},*a{before}]\n")
        });
        assert_eq!(reasons(&bomb), ["more than 250000 values in one file"]);
    }
}
