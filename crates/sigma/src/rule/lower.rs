//! From items and modifiers to checks.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use regex::RegexBuilder;

use super::{
    Detection, Selection,
    item::{Item, Modifier},
};
use crate::{
    check::{Check, Compare, Expression, Number, Relation, Test, Tree},
    cidr::Cidr,
    instant::Part,
    pattern::Pattern,
    yaml::{Place, Problem, Scalar},
};

/// Largest compiled regular expression.
const MAX_REGEX_BYTES: usize = 4 << 20;
/// Longest pattern or regular expression.
const MAX_VALUE_BYTES: usize = 16 << 10;
/// Most values that one value may become (placeholders, dashes).
const MAX_EXPANSION: usize = 10_000;
/// Most dash spellings of one encoded value: three dashes.
const MAX_DASHES: usize = 125;

/// Values for `%placeholders%`, as Sigma strings.
pub(crate) type Placeholders = HashMap<String, Vec<String>>;

impl Detection {
    /// True if it needs values for placeholders.
    pub(crate) fn has_placeholders(&self) -> bool {
        self.selections.iter().flat_map(|(_, selection)| selection.items()).any(|item| item.has(Modifier::Expand))
    }

    /// The whole detection as a tree of checks.
    pub(crate) fn lower(&self, placeholders: &Placeholders) -> Result<Tree<Check>, Problem> {
        let selections: Vec<Tree<Check>> = self
            .selections
            .iter()
            .map(|(_, selection)| lower_selection(selection, placeholders))
            .collect::<Result<_, _>>()?;
        Ok(replace(&self.condition, &selections))
    }
}

/// The condition with the selections in the place of their numbers.
fn replace(condition: &Tree<usize>, selections: &[Tree<Check>]) -> Tree<Check> {
    let each = |children: &[Tree<usize>]| children.iter().map(|child| replace(child, selections)).collect();
    match condition {
        Tree::Leaf(selection) => selections[*selection].clone(),
        Tree::All(children) => Tree::All(each(children)),
        Tree::Any(children) => Tree::Any(each(children)),
        Tree::AtLeast(least, children) => Tree::AtLeast(*least, each(children)),
        Tree::Not(child) => replace(child, selections).not(),
    }
}

/// A selection as a tree of checks.
pub(crate) fn lower_selection(selection: &Selection, placeholders: &Placeholders) -> Result<Tree<Check>, Problem> {
    match selection {
        Selection::All(items) => {
            let items = items.iter().map(|item| lower_item(item, placeholders)).collect::<Result<_, _>>()?;
            Ok(Tree::all(items))
        }
        Selection::Any(alternatives) => {
            let alternatives =
                alternatives.iter().map(|each| lower_selection(each, placeholders)).collect::<Result<_, _>>()?;
            Ok(Tree::any(alternatives))
        }
    }
}

/// How an item's values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Regex,
    Cidr,
    Exists,
    Field,
    Number(Compare),
    Part(Part, Compare),
}

impl Kind {
    fn of(item: &Item) -> Result<Kind, Problem> {
        let mut kind = Kind::Text;
        for modifier in &item.modifiers {
            let next = match (modifier, kind) {
                (Modifier::Re, Kind::Text) => Kind::Regex,
                (Modifier::Cidr, Kind::Text) => Kind::Cidr,
                (Modifier::Exists, Kind::Text) => Kind::Exists,
                (Modifier::FieldRef, Kind::Text) => Kind::Field,
                (Modifier::Compare(compare), Kind::Text) => Kind::Number(*compare),
                (Modifier::Compare(compare), Kind::Part(part, Compare::Equal)) => Kind::Part(part, *compare),
                (Modifier::Part(part), Kind::Text) => Kind::Part(*part, Compare::Equal),
                (Modifier::ReIgnoreCase | Modifier::ReMultiLine | Modifier::ReDotAll, Kind::Text) => {
                    return Err(Problem::new(item.place, "modifiers `i`, `m` and `s` come after `re`"));
                }
                (Modifier::Re | Modifier::Cidr | Modifier::Exists | Modifier::FieldRef, _)
                | (Modifier::Compare(_) | Modifier::Part(_), _) => {
                    return Err(Problem::new(item.place, "two modifiers that exclude each other"));
                }
                _ => kind,
            };
            kind = next;
        }
        let allowed = |modifier: &Modifier| match modifier {
            Modifier::Re | Modifier::Cidr | Modifier::Exists | Modifier::FieldRef => true,
            Modifier::Compare(_) | Modifier::Part(_) => true,
            Modifier::ReIgnoreCase | Modifier::ReMultiLine | Modifier::ReDotAll => kind == Kind::Regex,
            Modifier::All | Modifier::Neq => kind != Kind::Exists,
            Modifier::Expand => !matches!(kind, Kind::Exists | Kind::Field),
            Modifier::Cased => matches!(kind, Kind::Text | Kind::Field),
            Modifier::StartsWith | Modifier::EndsWith | Modifier::Contains => matches!(kind, Kind::Text | Kind::Field),
            Modifier::Windash
            | Modifier::Base64
            | Modifier::Base64Offset
            | Modifier::Utf16Le
            | Modifier::Utf16Be
            | Modifier::Utf16 => kind == Kind::Text,
        };
        if let Some(modifier) = item.modifiers.iter().find(|modifier| !allowed(modifier)) {
            let name = format!("{modifier:?}").to_lowercase();
            return Err(Problem::new(item.place, format!("modifier `{name}` cannot be combined with the others here")));
        }
        if item.field.is_none() && !matches!(kind, Kind::Text | Kind::Regex) {
            return Err(Problem::new(item.place, "only text and regular expressions can be searched without a field"));
        }
        Ok(kind)
    }
}

/// What a value of an item comes to.
pub(crate) struct Meant {
    /// What it stands for, where it has placeholders.
    pub(crate) values: Vec<Scalar>,
    /// Tests of a field, any of which is enough.
    pub(crate) tests: Tree<Test>,
}

fn lower_item(item: &Item, placeholders: &Placeholders) -> Result<Tree<Check>, Problem> {
    let meant = item.meant(placeholders)?;
    let of_field = |field: Option<&Box<str>>| -> Vec<Tree<Check>> {
        let mut check = |test: &Test| Check { field: field.cloned(), test: test.clone() };
        meant.iter().map(|value| value.tests.map(&mut check)).collect()
    };
    Ok(item.combine(item.fields().map(of_field).collect()))
}

impl Item {
    /// The fields it may pass in; one that is none is the whole event.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Option<&Box<str>>> {
        [self.field.as_ref()].into_iter().chain(self.also.iter().map(Some))
    }

    /// What its values mean, one by one.
    pub(crate) fn meant(&self, placeholders: &Placeholders) -> Result<Vec<Meant>, Problem> {
        let kind = Kind::of(self)?;
        let mut meant = Vec::with_capacity(self.values.len());
        for (place, value) in &self.values {
            let values = expand(self, value, *place, placeholders)?;
            let mut tests = Vec::new();
            for value in &values {
                match lower_value(self, kind, value).map_err(|reason| Problem::new(*place, reason))? {
                    Lowered::Tests(lowered) => tests.extend(lowered.into_iter().map(Tree::Leaf)),
                    Lowered::Not(test) => tests.push(Tree::Leaf(test).not()),
                }
            }
            meant.push(Meant { values, tests: Tree::any(tests) });
        }
        Ok(meant)
    }

    /// Its truth from that of its values, field by field.
    pub(crate) fn combine<L>(&self, fields: Vec<Vec<Tree<L>>>) -> Tree<L> {
        let of_field = |values| if self.has(Modifier::All) { Tree::all(values) } else { Tree::any(values) };
        let combined = Tree::any(fields.into_iter().map(of_field).collect());
        if self.has(Modifier::Neq) { combined.not() } else { combined }
    }
}

/// The values that a value with placeholders stands for.
fn expand(item: &Item, value: &Scalar, place: Place, table: &Placeholders) -> Result<Vec<Scalar>, Problem> {
    let (true, Scalar::Text(text)) = (item.has(Modifier::Expand), value) else { return Ok(vec![value.clone()]) };
    let mut texts = vec![String::new()];
    let mut rest = text.as_str();
    while let Some((before, name, after)) = placeholder(rest) {
        let values = table.get(name).ok_or_else(|| {
            Problem::new(
                place,
                format!(
                    "placeholder `%{name}%` has no values; name them under `placeholders` in the log source mapping"
                ),
            )
        })?;
        if texts.len() * values.len() > MAX_EXPANSION {
            return Err(Problem::new(place, format!("placeholders that make more than {MAX_EXPANSION} values")));
        }
        texts =
            texts.iter().flat_map(|text| values.iter().map(move |value| format!("{text}{before}{value}"))).collect();
        rest = after;
    }
    Ok(texts.into_iter().map(|text| Scalar::Text(text + rest)).collect())
}

/// The first `%name%` with what stands before and after it.
pub(crate) fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('%').map(|at| from + at) {
        let (name, after) = text[open + 1..].split_once('%')?;
        if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Some((&text[..open], name, after));
        }
        from = open + 1;
    }
    None
}

enum Lowered {
    /// Any of them.
    Tests(Vec<Test>),
    Not(Test),
}

fn lower_value(item: &Item, kind: Kind, value: &Scalar) -> Result<Lowered, String> {
    let text = value.to_text();
    if text.len() > MAX_VALUE_BYTES {
        return Err(format!("a value longer than {MAX_VALUE_BYTES} bytes"));
    }
    if *value == Scalar::Null && !(kind == Kind::Text && item.field.is_some()) {
        return Err("null can only be compared with a field as it is".into());
    }
    let test = match kind {
        Kind::Text => return lower_text(item, value).map(Lowered::Tests),
        Kind::Regex => Test::Regex(expression(item, &text)?),
        Kind::Cidr => {
            Test::Cidr(Cidr::parse(&text).ok_or_else(|| format!("`{text}` is not a network, for example 10.0.0.0/8"))?)
        }
        Kind::Exists => match value {
            Scalar::Bool(true) => Test::Exists,
            Scalar::Bool(false) => return Ok(Lowered::Not(Test::Exists)),
            _ => return Err("`exists` takes true or false".into()),
        },
        Kind::Field => Test::Field { other: text.into(), relation: relation(item)?, cased: item.has(Modifier::Cased) },
        Kind::Number(compare) => {
            let number = Number::parse(&text).ok_or_else(|| format!("`{text}` is not a number"))?;
            Test::Number(compare, number)
        }
        Kind::Part(part, compare) => {
            Test::Part(part, compare, text.parse().map_err(|_| format!("`{text}` is not a whole number"))?)
        }
    };
    Ok(Lowered::Tests(vec![test]))
}

fn relation(item: &Item) -> Result<Relation, String> {
    let relations = [
        (Modifier::StartsWith, Relation::StartsWith),
        (Modifier::EndsWith, Relation::EndsWith),
        (Modifier::Contains, Relation::Contains),
    ];
    let mut named = relations.into_iter().filter(|(modifier, _)| item.has(*modifier)).map(|(_, relation)| relation);
    match (named.next(), named.next()) {
        (None, _) => Ok(Relation::Equals),
        (Some(relation), None) => Ok(relation),
        _ => Err("`fieldref` takes one of `startswith`, `endswith` and `contains`".into()),
    }
}

fn expression(item: &Item, text: &str) -> Result<Expression, String> {
    let flags: String = [(Modifier::ReIgnoreCase, 'i'), (Modifier::ReMultiLine, 'm'), (Modifier::ReDotAll, 's')]
        .into_iter()
        .filter(|(modifier, _)| item.has(*modifier))
        .map(|(_, flag)| flag)
        .collect();
    // The flags are written into the text, so that equal texts mean equal expressions.
    let written = if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
    RegexBuilder::new(&written)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .nest_limit(64)
        .build()
        .map(Expression)
        .map_err(|error| format!("regular expression `{text}`: {}", summary(&error)))
}

/// The one line of a regex error that says what is wrong.
fn summary(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("compiles to more than {limit} bytes"),
        other => {
            let text = other.to_string();
            let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("invalid").trim();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    }
}

/// A value on its way through the modifiers.
enum Form {
    Pattern(Pattern),
    /// Encoded, but not text yet.
    Bytes(Vec<Vec<u8>>),
}

fn lower_text(item: &Item, value: &Scalar) -> Result<Vec<Test>, String> {
    let changes =
        |modifier: &&Modifier| !matches!(modifier, Modifier::All | Modifier::Neq | Modifier::Cased | Modifier::Expand);
    let mut forms = vec![match value {
        Scalar::Null => match item.modifiers.iter().find(changes) {
            None => return Ok(vec![Test::Null]),
            Some(_) => return Err("null cannot be changed by a modifier".into()),
        },
        Scalar::Text(text) => Form::Pattern(Pattern::parse(text)),
        other => Form::Pattern(Pattern::literal(other.to_text())),
    }];
    for modifier in item.modifiers.iter().filter(changes) {
        let mut next = Vec::new();
        for form in forms {
            apply(*modifier, form, &mut next)?;
        }
        forms = next;
    }
    let cased = item.has(Modifier::Cased);
    let mut tests = Vec::new();
    for form in forms {
        for mut pattern in patterns(form)? {
            if item.field.is_none() {
                if pattern == Pattern::default() {
                    return Err("an empty keyword would match every event".into());
                }
                let anchored = item.has(Modifier::StartsWith) || item.has(Modifier::EndsWith);
                pattern = pattern.open(!anchored, !anchored);
            }
            tests.push(Test::Text { pattern: if cased { pattern } else { pattern.folded() }, cased });
        }
    }
    Ok(tests)
}

fn apply(modifier: Modifier, form: Form, out: &mut Vec<Form>) -> Result<(), String> {
    match modifier {
        Modifier::StartsWith => out.extend(patterns(form)?.into_iter().map(|p| Form::Pattern(p.open(false, true)))),
        Modifier::EndsWith => out.extend(patterns(form)?.into_iter().map(|p| Form::Pattern(p.open(true, false)))),
        Modifier::Contains => out.extend(patterns(form)?.into_iter().map(|p| Form::Pattern(p.open(true, true)))),
        Modifier::Windash => out.extend(patterns(form)?.into_iter().map(|p| Form::Pattern(p.windash()))),
        Modifier::Utf16Le => out.push(encoded(form, |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect())?),
        Modifier::Utf16Be => out.push(encoded(form, |text| text.encode_utf16().flat_map(u16::to_be_bytes).collect())?),
        Modifier::Utf16 => out.push(encoded(form, |text| {
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        })?),
        Modifier::Base64 => {
            out.extend(bytes(form)?.iter().map(|bytes| Form::Pattern(Pattern::literal(BASE64.encode(bytes)))));
        }
        Modifier::Base64Offset => {
            for bytes in bytes(form)? {
                let found: Vec<String> = (0..3).map(|offset| base64_at(&bytes, offset)).collect();
                if found.iter().any(String::is_empty) {
                    return Err("too short for `base64offset`: nothing of it is the same at every offset".into());
                }
                out.extend(found.into_iter().map(|digits| Form::Pattern(Pattern::literal(digits))));
            }
        }
        _ => unreachable!("only modifiers that change text come here"),
    }
    Ok(())
}

/// What stays of the Base64 of a text that contains `bytes` at an offset of 0, 1 or 2 modulo 3: the digits
/// that no neighbouring byte has a part in.
fn base64_at(bytes: &[u8], offset: usize) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let digits = BASE64.encode(&shifted);
    let start = [0, 2, 3][offset];
    let end = digits.len() - [0, 3, 2][shifted.len() % 3];
    digits[start.min(end)..end].to_owned()
}

fn encoded(form: Form, encode: impl Fn(&str) -> Vec<u8>) -> Result<Form, String> {
    match form {
        Form::Pattern(pattern) => Ok(Form::Bytes(literals(&pattern)?.iter().map(|text| encode(text)).collect())),
        Form::Bytes(_) => Err("a value cannot be encoded as UTF-16 twice".into()),
    }
}

fn bytes(form: Form) -> Result<Vec<Vec<u8>>, String> {
    match form {
        Form::Pattern(pattern) => Ok(literals(&pattern)?.into_iter().map(String::into_bytes).collect()),
        Form::Bytes(bytes) => Ok(bytes),
    }
}

fn literals(pattern: &Pattern) -> Result<Vec<String>, String> {
    let literals = pattern
        .literals(MAX_DASHES)
        .ok_or("a value with wildcards, or with more than three dashes under `windash`, cannot be encoded")?;
    match literals.iter().any(String::is_empty) {
        true => Err("nothing to encode".into()),
        false => Ok(literals),
    }
}

fn patterns(form: Form) -> Result<Vec<Pattern>, String> {
    match form {
        Form::Pattern(pattern) => Ok(vec![pattern]),
        Form::Bytes(bytes) => bytes
            .into_iter()
            .map(|bytes| String::from_utf8(bytes).map(Pattern::literal))
            .collect::<Result<_, _>>()
            .map_err(|_| "this UTF-16 is not text; it needs `base64` or `base64offset` after it".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_at_every_offset() {
        for text in ["a", "ab", "abc", "abcd", "/bin/sh", "http://evil.example/päth"] {
            for before in 0..6 {
                for after in 0..4 {
                    let whole = format!("{}{text}{}", "x".repeat(before), "y".repeat(after));
                    let found = base64_at(text.as_bytes(), before % 3);
                    assert!(BASE64.encode(&whole).contains(&found), "{text} in {whole}: {found}");
                }
            }
        }
        assert_eq!(base64_at(b"http://", 0), "aHR0cDovL");
        assert_eq!(base64_at(b"http://", 1), "h0dHA6Ly");
        assert_eq!(base64_at(b"http://", 2), "odHRwOi8v");
    }

    #[test]
    fn placeholders_are_found() {
        assert_eq!(placeholder("%a%"), Some(("", "a", "")));
        assert_eq!(placeholder("100% of %users%x"), Some(("100% of ", "users", "x")));
        assert_eq!(placeholder("%%"), None);
        assert_eq!(placeholder("50%"), None);
    }
}
