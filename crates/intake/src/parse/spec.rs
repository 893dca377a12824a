//! What a parser file says, as YAML.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

/// A mapping in the order of the file; a key that occurs twice is refused.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<T>(pub Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Pairs(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs: Vec<(String, T)> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// One value or a list of values.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// As a list.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Literal {
    /// As people write it.
    pub fn to_text(&self) -> String {
        match self {
            Literal::Bool(bool) => bool.to_string(),
            Literal::Int(int) => int.to_string(),
            Literal::Float(float) => float.to_string(),
            Literal::Text(text) => text.clone(),
        }
    }
}

/// Fields and their constants.
pub(crate) type Constants = Pairs<OneOrMany<Literal>>;

/// A parser file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParserFile {
    pub parser: String,
    pub version: u32,
    #[serde(rename = "about")]
    pub _about: String,
    pub module: Option<String>,
    pub dataset: Option<String>,
    #[serde(default)]
    pub select: Select,
    /// The fields of which the first that is there is a record of its own.
    pub carries: Option<OneOrMany<String>>,
    #[serde(default)]
    pub steps: Vec<StepSpec>,
    #[serde(default)]
    pub samples: Vec<Sample>,
}

/// Which records a parser is tried on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Select {
    /// Syslog tags, app names, journald identifiers; `(pam_unix)` for a module in parentheses.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Groups of dotted JSON names; all of a group must be there.
    #[serde(default)]
    pub json: Vec<Vec<String>>,
    /// Pieces of text, one of which must be in the line.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Globs over the source's name (`file:/var/log/nginx/*.log`).
    #[serde(default)]
    pub sources: Vec<String>,
    /// A built-in recognition: `xml-event`, `cef` or `leef`.
    #[serde(default)]
    pub formats: Vec<Format>,
}

/// Content that the engine recognises itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    XmlEvent,
    Cef,
    Leef,
    /// Any JSON object that no other parser claims.
    AnyJson,
    /// Any message in a syslog or journald envelope that no other parser understands.
    AnySyslog,
}

/// A sample record and the fields that must come out of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub raw: String,
    /// When it was received; decides a missing year.
    pub received: Option<String>,
    /// The source's name.
    pub source: Option<String>,
    /// The parser that must claim it; this file's if absent, `none` for none.
    pub parser: Option<String>,
    /// The expected `@timestamp`.
    pub time: Option<String>,
    /// Expected fields; null means: must not be there.
    #[serde(default)]
    pub fields: Pairs<Option<OneOrMany<Literal>>>,
}

/// One step: exactly one action, and perhaps a condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepSpec {
    pub when: Option<When>,
    pub grok: Option<Grok>,
    pub kv: Option<KeyValue>,
    pub json: Option<From>,
    pub csv: Option<Csv>,
    pub cef: Option<From>,
    pub leef: Option<From>,
    pub entries: Option<Entries>,
    pub windows: Option<Nothing>,
    pub auditd: Option<Nothing>,
    pub date: Option<Date>,
    pub address: Option<Address>,
    pub lowercase: Option<OneOrMany<String>>,
    pub basename: Option<Pairs<String>>,
    pub rename: Option<Pairs<String>>,
    pub copy: Option<Pairs<OneOrMany<String>>>,
    pub set: Option<Constants>,
    pub default: Option<Constants>,
    pub compose: Option<Pairs<String>>,
    pub remove: Option<OneOrMany<String>>,
    pub lookup: Option<Lookup>,
    pub convert: Option<Pairs<Type>>,
    pub split: Option<Split>,
    pub prefix: Option<String>,
    pub lift: Option<OneOrMany<String>>,
    pub require: Option<When>,
    pub steps: Option<Vec<StepSpec>>,
}

/// An action without settings: `{}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// A condition; everything that is given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    pub field: Option<String>,
    pub exists: Option<bool>,
    pub equals: Option<OneOrMany<Literal>>,
    pub matches: Option<String>,
    pub starts: Option<OneOrMany<String>>,
    pub contains: Option<OneOrMany<String>>,
    pub all: Option<Vec<When>>,
    pub any: Option<Vec<When>>,
    pub not: Option<Box<When>>,
}

/// `grok`: the first pattern that matches wins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grok {
    #[serde(default = "message")]
    pub field: String,
    #[serde(rename = "match")]
    pub patterns: Vec<Alternative>,
    /// Without a match: this parser does not understand the record. Default true.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A pattern, perhaps with constants for its matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Alternative {
    Plain(String),
    With { pattern: String, set: Constants },
}

/// `kv`: `key=value key="value"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyValue {
    #[serde(default = "message")]
    pub field: String,
    #[serde(default)]
    pub prefix: String,
    /// Between pairs; white space if absent.
    pub pairs: Option<String>,
    /// Between key and value.
    #[serde(default = "equals")]
    pub separator: String,
    /// Within quotes, `\"` stands for `"`, `\\` for `\`, and `\n`, `\r`, `\t` for what they stand for in C.
    #[serde(default)]
    pub escapes: bool,
}

/// `json`, `cef` and `leef`: the field that holds it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    #[serde(default = "message")]
    pub field: String,
    #[serde(default)]
    pub prefix: String,
    #[serde(default = "yes")]
    pub required: bool,
}

/// `entries`: a JSON list of names and values, `[{"name":"a","value":1},…]`, as fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entries {
    /// The list's name.
    pub list: String,
    /// Within an element: what becomes the field's name.
    pub key: String,
    /// Within an element: what becomes its value; the first of these that is there.
    pub value: OneOrMany<String>,
    /// Before every name.
    pub to: String,
}

/// `csv`: columns by position.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Csv {
    #[serde(default = "message")]
    pub field: String,
    #[serde(default = "comma")]
    pub separator: char,
    /// Names in order; an empty name skips the column.
    pub columns: Vec<String>,
}

/// `date`: the event's time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Date {
    pub field: String,
    pub formats: OneOrMany<String>,
    /// Where the text names no zone: `UTC`, `+02:00`, `Europe/Berlin`.
    pub zone: Option<String>,
    /// Keeps the field; default false.
    #[serde(default)]
    pub keep: bool,
}

/// `address`: takes `ip`, `ip:port` or `host` apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    pub field: String,
    pub ip: Option<String>,
    pub port: Option<String>,
    pub domain: Option<String>,
}

/// `lookup`: a table from a field's value to other fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub field: String,
    /// The field that gets the row's value, where rows are plain values.
    pub to: Option<String>,
    pub table: Pairs<Row>,
    pub default: Option<Row>,
    /// Compare without regard to case.
    #[serde(default)]
    pub ignore_case: bool,
}

/// A row: a value for `to`, or fields with their values.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Row {
    Value(OneOrMany<Literal>),
    Fields(Constants),
}

/// `split`: one text into several values, or into named parts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Split {
    pub field: String,
    pub separator: String,
    /// All parts become values of this field.
    pub into: Option<String>,
    /// Part by part; the last takes the rest.
    #[serde(default)]
    pub to: Vec<String>,
}

/// `convert`: a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Type {
    Int,
    Float,
    Bool,
    Text,
}

fn message() -> String {
    "message".into()
}

fn equals() -> String {
    "=".into()
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}
