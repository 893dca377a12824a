//! Grok-class patterns: `Failed password for %{USER:user.name} from %{IP:source.ip}`.
//!
//! Text between `%{…}` is a regular expression. A pattern must match the whole text; it is compiled to one
//! `regex` (linear time whatever the input), guarded by the longest literal that every match must contain.

use std::collections::BTreeMap;

use memchr::memmem;
use regex::{CaptureLocations, Regex, RegexBuilder};

use super::{
    draft::{Draft, Span, Val},
    vocabulary::{Sym, Vocabulary},
};

/// How deep patterns may refer to patterns.
const MAX_NESTING: usize = 16;

/// Named patterns, from `patterns.yml`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library(pub BTreeMap<String, String>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Int,
    Float,
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// For every capture group its field.
    captures: Vec<(Sym, Type)>,
    guard: Guard,
}

#[derive(Debug)]
enum Guard {
    None,
    Prefix(Box<str>),
    Inside(Box<memmem::Finder<'static>>),
}

/// Turns a pattern's text into a regular expression with one group per field.
struct Expansion<'a> {
    library: &'a Library,
    regex: String,
    fields: Vec<(String, Type)>,
}

impl Expansion<'_> {
    fn expand(&mut self, pattern: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING || self.regex.len() > 64 << 10 {
            return Err("the pattern refers to itself, or is too large".into());
        }
        let mut rest = pattern;
        let mut class = false;
        while let Some(char) = rest.chars().next() {
            if !class && let Some(inner) = rest.strip_prefix("%{") {
                let (inside, behind) = inner.split_once('}').ok_or("`%{` without `}`")?;
                self.reference(inside, depth)?;
                rest = behind;
                continue;
            }
            let mut len = char.len_utf8();
            match char {
                '\\' => len += rest[1..].chars().next().map_or(0, char::len_utf8),
                '[' => class = true,
                ']' => class = false,
                // Only `%{…:field}` captures.
                '(' if !class && !rest.starts_with("(?") => {
                    self.regex.push_str("(?:");
                    rest = &rest[1..];
                    continue;
                }
                '(' if !class && (rest.starts_with("(?P<") || rest.starts_with("(?<")) => {
                    return Err("name a field with %{PATTERN:field}, not with (?<name>…)".into());
                }
                _ => {}
            }
            self.regex.push_str(&rest[..len]);
            rest = &rest[len..];
        }
        Ok(())
    }

    fn reference(&mut self, inside: &str, depth: usize) -> Result<(), String> {
        let mut parts = inside.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let field = parts.next();
        let kind = match parts.next() {
            None | Some("text") => Type::Text,
            Some("int") => Type::Int,
            Some("float") => Type::Float,
            Some(other) => return Err(format!("`{other}` is not a capture type (text, int or float)")),
        };
        let pattern =
            self.library.0.get(name).cloned().ok_or_else(|| format!("no pattern `{name}` in the pattern library"))?;
        match field {
            Some(field) => {
                if depth > 0 {
                    return Err(format!("library pattern names a field: %{{{inside}}}"));
                }
                self.fields.push((field.to_owned(), kind));
                self.regex.push('(');
            }
            None => self.regex.push_str("(?:"),
        }
        self.expand(&pattern, depth + 1)?;
        self.regex.push(')');
        Ok(())
    }
}

impl Pattern {
    /// Compiles a pattern.
    pub fn compile(text: &str, library: &Library, vocabulary: &mut Vocabulary) -> Result<Pattern, String> {
        let mut expansion = Expansion { library, regex: String::from(r"\A(?:"), fields: Vec::new() };
        expansion.expand(text, 0)?;
        expansion.regex.push_str(r")\z");
        let regex = RegexBuilder::new(&expansion.regex)
            .size_limit(4 << 20)
            .dot_matches_new_line(true)
            .build()
            .map_err(|error| format!("not a pattern: {}", error.to_string().replace('\n', " ")))?;
        let captures = expansion.fields.iter().map(|(name, kind)| (vocabulary.intern(name), *kind)).collect();
        Ok(Pattern { regex, captures, guard: guard(text) })
    }

    /// Room for a match.
    pub fn locations(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    /// Cheap check whether it could match.
    pub fn may_match(&self, text: &str) -> bool {
        match &self.guard {
            Guard::None => true,
            Guard::Prefix(prefix) => text.starts_with(&**prefix),
            Guard::Inside(finder) => finder.find(text.as_bytes()).is_some(),
        }
    }

    /// Adds a field per named capture if the text matches.
    pub fn run(&self, draft: &mut Draft, span: Span) -> bool {
        if !self.may_match(draft.str(span)) {
            return false;
        }
        let mut locations = self.locations();
        if self.regex.captures_read(&mut locations, draft.str(span)).is_none() {
            return false;
        }
        for (group, (sym, kind)) in self.captures.iter().enumerate() {
            let Some((start, end)) = locations.get(group + 1).filter(|(start, end)| start < end) else { continue };
            let part = span.part(start..end);
            let value = match kind {
                Type::Text => Val::Str(part),
                Type::Int => draft.str(part).parse().map_or(Val::Str(part), Val::Int),
                Type::Float => draft.str(part).parse().map_or(Val::Str(part), Val::Float),
            };
            draft.add(*sym, value);
        }
        true
    }
}

/// The literal that every match begins with, or else the longest one that it must contain.
fn guard(pattern: &str) -> Guard {
    if pattern.contains("(?i") {
        return Guard::None;
    }
    let mut literals: Vec<(bool, String)> = vec![(true, String::new())];
    let mut chars = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(char) = chars.next() {
        let mut literal = None;
        match char {
            '|' if depth == 0 => return Guard::None,
            '%' if chars.peek() == Some(&'{') => {
                for inside in chars.by_ref() {
                    if inside == '}' {
                        break;
                    }
                }
                // A quantifier may follow; the reference is no literal anyway.
            }
            '\\' => match chars.next() {
                Some(escaped) if !escaped.is_alphanumeric() => literal = Some(escaped),
                _ => {}
            },
            '[' => {
                while let Some(inside) = chars.next() {
                    match inside {
                        '\\' => drop(chars.next()),
                        ']' => break,
                        _ => {}
                    }
                }
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '{' => drop(chars.by_ref().find(|inside| *inside == '}')),
            '.' | '^' | '$' | '?' | '*' | '+' => {}
            plain => literal = Some(plain),
        }
        // A character that may be absent or repeated ends the literal before it.
        let quantified = matches!(chars.peek(), Some('?' | '*' | '{'));
        let last = literals.last_mut().expect("starts with one");
        match literal {
            Some(char) if depth == 0 && !quantified => last.1.push(char),
            _ => literals.push((false, String::new())),
        }
    }
    if literals[0].1.len() >= 3 {
        return Guard::Prefix(std::mem::take(&mut literals[0].1).into());
    }
    match literals.into_iter().map(|(_, literal)| literal).max_by_key(String::len) {
        Some(literal) if literal.len() >= 3 => Guard::Inside(Box::new(memmem::Finder::new(&literal).into_owned())),
        _ => Guard::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards() {
        for (pattern, expected) in [
            ("Failed %{WORD:a} for", "prefix Failed "),
            ("%{WORD} session opened for user %{USER:u}", "inside  session opened for user "),
            ("(a|b) from x?y", "inside  from "),
            ("abc+ d", "prefix abc"),
            ("abcd? e", "prefix abc"),
            ("foo|bar", "none"),
            (r"a\.b\[c\]", "prefix a.b[c]"),
        ] {
            let guard = match guard(pattern) {
                Guard::None => "none".into(),
                Guard::Prefix(prefix) => format!("prefix {prefix}"),
                Guard::Inside(finder) => format!("inside {}", String::from_utf8_lossy(finder.needle())),
            };
            assert_eq!(guard, expected, "{pattern}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let library = Library(BTreeMap::from([
            ("WORD".to_owned(), r"\w+".to_owned()),
            ("LOOP".to_owned(), "%{LOOP}".to_owned()),
        ]));
        for (pattern, expected) in [
            ("%{NOPE:a}", "no pattern `NOPE`"),
            ("%{WORD:a:date}", "not a capture type"),
            ("%{LOOP}", "refers to itself"),
            ("(", "not a pattern"),
            ("%{WORD", "`%{` without `}`"),
            ("(?P<x>a)", "not with (?<name>"),
        ] {
            let error = Pattern::compile(pattern, &library, &mut Vocabulary::new()).unwrap_err();
            assert!(error.contains(expected), "{pattern}: {error}");
        }
    }
}
