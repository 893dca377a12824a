//! The oracle: rules as a model that is written out as YAML for the engine and evaluated here by brute force, value by
//! value and character by character. It shares no code with the engine.

use std::fmt::Write;

/// A value of an event.
#[derive(Clone, Debug)]
pub enum Val {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
}

impl Val {
    fn text(&self) -> Option<String> {
        match self {
            Val::Null => None,
            Val::Int(int) => Some(int.to_string()),
            Val::Bool(bool) => Some(bool.to_string()),
            Val::Text(text) => Some(text.clone()),
        }
    }
}

/// An event: a log source number and, for each field number, its values.
#[derive(Clone, Debug)]
pub struct Event {
    pub source: usize,
    pub fields: Vec<Vec<Val>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
    Windash,
    Regex,
    Less,
    GreaterOrEqual,
    Exists,
    Cidr,
    FieldRef,
    FieldRefStartsWith,
    Base64,
    Base64Offset,
}

/// A value of a rule as it is written.
#[derive(Clone, Debug)]
pub enum Lit {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
}

impl Lit {
    fn written(&self) -> String {
        match self {
            Lit::Null => "null".into(),
            Lit::Int(int) => int.to_string(),
            Lit::Bool(bool) => bool.to_string(),
            Lit::Text(text) => format!("'{}'", text.replace('\'', "''")),
        }
    }
}

/// `F<field>|<op>|<all>|<neq>|<cased>: values`; a field of `None` is the whole event.
#[derive(Clone, Debug)]
pub struct Item {
    pub field: Option<usize>,
    pub op: Op,
    pub all: bool,
    pub neq: bool,
    pub cased: bool,
    pub values: Vec<Lit>,
}

#[derive(Clone, Debug)]
pub enum Selection {
    Map(Vec<Item>),
    List(Vec<Vec<Item>>),
}

#[derive(Clone, Debug)]
pub enum Condition {
    Selection(usize),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    /// `n of sel*`
    AtLeast(usize),
    AllOfThem,
}

#[derive(Clone, Debug)]
pub struct Rule {
    /// None is every source.
    pub source: Option<usize>,
    pub selections: Vec<Selection>,
    pub condition: Condition,
}

// ---- As YAML -------------------------------------------------------------------------------------------------------

impl Item {
    fn key(&self) -> String {
        let mut key = self.field.map_or(String::new(), |field| format!("F{field}"));
        key += match self.op {
            Op::Equals => "",
            Op::Contains => "|contains",
            Op::StartsWith => "|startswith",
            Op::EndsWith => "|endswith",
            Op::Windash => "|windash|contains",
            Op::Regex => "|re",
            Op::Less => "|lt",
            Op::GreaterOrEqual => "|gte",
            Op::Exists => "|exists",
            Op::Cidr => "|cidr",
            Op::FieldRef => "|fieldref",
            Op::FieldRefStartsWith => "|fieldref|startswith",
            Op::Base64 => "|base64|contains",
            Op::Base64Offset => "|base64offset|contains",
        };
        for (given, name) in [(self.all, "|all"), (self.neq, "|neq"), (self.cased, "|cased")] {
            if given {
                key += name;
            }
        }
        key
    }
}

impl Rule {
    pub fn yaml(&self, number: usize) -> String {
        let mut yaml = format!("title: Rule {number}\nid: r{number}\n");
        let source = self.source.map_or(String::new(), |source| format!(", category: c{source}"));
        write!(yaml, "logsource: {{product: p{source}}}\ndetection:\n").unwrap();
        for (number, selection) in self.selections.iter().enumerate() {
            writeln!(yaml, "  sel{number}:").unwrap();
            let items = |yaml: &mut String, indent: &str, first: &str, items: &[Item]| {
                for (number, item) in items.iter().enumerate() {
                    let lead = if number == 0 { first } else { indent };
                    writeln!(yaml, "{lead}'{}':", item.key()).unwrap();
                    for value in &item.values {
                        writeln!(yaml, "{indent}  - {}", value.written()).unwrap();
                    }
                }
            };
            match selection {
                Selection::Map(map) => items(&mut yaml, "    ", "    ", map),
                Selection::List(maps) => maps.iter().for_each(|map| items(&mut yaml, "      ", "    - ", map)),
            }
        }
        writeln!(yaml, "  condition: {}", self.condition.written()).unwrap();
        yaml
    }
}

impl Condition {
    fn written(&self) -> String {
        let join = |terms: &[Condition], glue: &str| {
            let terms: Vec<String> = terms.iter().map(|term| format!("({})", term.written())).collect();
            terms.join(glue)
        };
        match self {
            Condition::Selection(number) => format!("sel{number}"),
            Condition::And(terms) => join(terms, " and "),
            Condition::Or(terms) => join(terms, " or "),
            Condition::Not(term) => format!("not ({})", term.written()),
            Condition::AtLeast(least) => format!("{least} of sel*"),
            Condition::AllOfThem => "all of them".into(),
        }
    }
}

// ---- By brute force ------------------------------------------------------------------------------------------------

impl Rule {
    pub fn matches(&self, event: &Event) -> bool {
        self.source.is_none_or(|source| source == event.source) && self.condition(&self.condition, event)
    }

    fn condition(&self, condition: &Condition, event: &Event) -> bool {
        let selections = || self.selections.iter().filter(|selection| selection.matches(event)).count();
        match condition {
            Condition::Selection(number) => self.selections[*number].matches(event),
            Condition::And(terms) => terms.iter().all(|term| self.condition(term, event)),
            Condition::Or(terms) => terms.iter().any(|term| self.condition(term, event)),
            Condition::Not(term) => !self.condition(term, event),
            Condition::AtLeast(least) => selections() >= *least,
            Condition::AllOfThem => selections() == self.selections.len(),
        }
    }
}

impl Selection {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Selection::Map(items) => items.iter().all(|item| item.matches(event)),
            Selection::List(maps) => maps.iter().any(|items| items.iter().all(|item| item.matches(event))),
        }
    }
}

impl Item {
    fn matches(&self, event: &Event) -> bool {
        let truths: Vec<bool> = self.values.iter().map(|value| self.value(value, event)).collect();
        let combined = if self.all { truths.iter().all(|truth| *truth) } else { truths.contains(&true) };
        combined != self.neq
    }

    fn value(&self, lit: &Lit, event: &Event) -> bool {
        let Some(field) = self.field else {
            let everything = event.fields.iter().flatten().filter_map(Val::text);
            return everything.into_iter().any(|text| self.text(lit, &text));
        };
        let values = &event.fields[field];
        match (self.op, lit) {
            (Op::Exists, Lit::Bool(want)) => values.is_empty() != *want,
            (Op::Equals, Lit::Null) => values.is_empty() || values.iter().any(|value| matches!(value, Val::Null)),
            (Op::FieldRef | Op::FieldRefStartsWith, Lit::Text(other)) => {
                let other: usize = other[1..].parse().unwrap();
                let others: Vec<String> = event.fields[other].iter().filter_map(Val::text).collect();
                values.iter().filter_map(Val::text).any(|value| {
                    others.iter().any(|other| {
                        let (value, other) = (self.cases(&value), self.cases(other));
                        if self.op == Op::FieldRef { value == other } else { value.starts_with(&other) }
                    })
                })
            }
            _ => values.iter().filter_map(Val::text).any(|text| self.text(lit, &text)),
        }
    }

    /// The characters to compare.
    fn cases(&self, text: &str) -> Vec<char> {
        text.chars().map(|c| if self.cased { c } else { lower(c) }).collect()
    }

    fn text(&self, lit: &Lit, value: &str) -> bool {
        let written = match lit {
            Lit::Null => return false,
            Lit::Int(int) => int.to_string(),
            Lit::Bool(bool) => bool.to_string(),
            Lit::Text(text) => text.clone(),
        };
        let number = |text: &str| text.trim().parse::<f64>().ok();
        match self.op {
            Op::Regex => return regex::Regex::new(&written).unwrap().is_match(value),
            Op::Less => return number(value).is_some_and(|value| value < number(&written).unwrap()),
            Op::GreaterOrEqual => return number(value).is_some_and(|value| value >= number(&written).unwrap()),
            Op::Cidr => return in_network(value, &written),
            _ => {}
        }
        let mut parts = parts(&written);
        if self.op == Op::Windash {
            windash(&mut parts);
        }
        if matches!(self.op, Op::Base64 | Op::Base64Offset) {
            let plain: String = parts
                .iter()
                .map(|part| match part {
                    Part::Char(c) => *c,
                    _ => panic!("only plain text is encoded"),
                })
                .collect();
            let value: String = self.cases(value).into_iter().collect();
            return encodings(self.op, plain.as_bytes())
                .iter()
                .any(|encoded| value.contains(&self.cases(encoded).into_iter().collect::<String>()));
        }
        let keyword = self.field.is_none() && self.op == Op::Equals;
        if keyword || matches!(self.op, Op::Contains | Op::EndsWith | Op::Windash) {
            parts.insert(0, Part::Many);
        }
        if keyword || matches!(self.op, Op::Contains | Op::StartsWith | Op::Windash) {
            parts.push(Part::Many);
        }
        let value: Vec<char> = self.cases(value);
        if !self.cased {
            for part in &mut parts {
                if let Part::Char(c) = part {
                    *c = lower(*c);
                }
            }
        }
        fits(&parts, &value)
    }
}

fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Char(char),
    One,
    Many,
    Dash,
}

/// Backslash only escapes a wildcard or a backslash.
fn parts(written: &str) -> Vec<Part> {
    let chars: Vec<char> = written.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match (chars[at], next) {
            ('\\', Some(escaped @ ('*' | '?' | '\\'))) => {
                parts.push(Part::Char(escaped));
                at += 1;
            }
            ('*', _) => parts.push(Part::Many),
            ('?', _) => parts.push(Part::One),
            (c, _) => parts.push(Part::Char(c)),
        }
        at += 1;
    }
    parts
}

const DASHES: &str = "-/–—―";

fn windash(parts: &mut [Part]) {
    let word = |part: Option<&Part>| matches!(part, Some(Part::Char(c)) if c.is_alphanumeric() || *c == '_');
    let plain = parts.to_vec();
    for (at, part) in parts.iter_mut().enumerate() {
        let dash = matches!(plain[at], Part::Char(c) if DASHES.contains(c));
        let before = at.checked_sub(1).and_then(|before| plain.get(before));
        if dash && !word(before) && word(plain.get(at + 1)) {
            *part = Part::Dash;
        }
    }
}

fn fits(parts: &[Part], value: &[char]) -> bool {
    match (parts.first(), value.first()) {
        (None, None) => true,
        (Some(Part::Many), _) => fits(&parts[1..], value) || !value.is_empty() && fits(parts, &value[1..]),
        (Some(Part::One), Some(_)) => fits(&parts[1..], &value[1..]),
        (Some(Part::Dash), Some(c)) => DASHES.contains(*c) && fits(&parts[1..], &value[1..]),
        (Some(Part::Char(a)), Some(b)) => a == b && fits(&parts[1..], &value[1..]),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// IPv4 only; the model writes nothing else.
fn in_network(value: &str, network: &str) -> bool {
    let number = |text: &str| {
        let bytes: Vec<u32> =
            text.split('.').map(|byte| byte.parse().ok().filter(|byte| *byte < 256)).collect::<Option<_>>()?;
        (bytes.len() == 4).then(|| bytes.iter().fold(0_u64, |number, byte| number * 256 + u64::from(*byte)))
    };
    let (network, length) = network.split_once('/').unwrap();
    let size = 1_u64 << (32 - length.parse::<u32>().unwrap());
    number(value).is_some_and(|value| value / size == number(network).unwrap() / size)
}

/// What to look for: the Base64 of the text; or, at each offset, the digits that are the same whatever stands around.
fn encodings(op: Op, plain: &[u8]) -> Vec<String> {
    if op == Op::Base64 {
        return vec![base64(plain)];
    }
    (0..3)
        .map(|offset| {
            let around = |filler: u8| {
                let mut bytes = vec![filler; offset];
                bytes.extend_from_slice(plain);
                bytes.extend([filler; 3]);
                base64(&bytes).into_bytes()
            };
            let (zeros, ones) = (around(0), around(0xff));
            let first = (0..zeros.len()).find(|at| zeros[*at] == ones[*at]).unwrap();
            let same: Vec<u8> =
                (first..zeros.len()).take_while(|at| zeros[*at] == ones[*at]).map(|at| zeros[at]).collect();
            String::from_utf8(same).unwrap()
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().chain(&[0, 0]).take(3).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        for digit in 0..4 {
            let value = number >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { DIGITS[value as usize] as char } else { '=' });
        }
    }
    text
}
