//! Wazuh's expressions: osmatch, osregex and pcre2.
//!
//! Each becomes alternatives that Sigma's modifiers say, and regular expressions where those cannot. osmatch and
//! osregex ignore the case of letters, pcre2 does not. `<` may be written `\<` in all of them.

use std::fmt::Write;

use regex::RegexBuilder;

/// Longest value of our engine; one is twice as long at most when all of it is escaped.
const MAX_VALUE_BYTES: usize = 16 << 10;
/// Longest expression.
const MAX_BYTES: usize = MAX_VALUE_BYTES / 2;
/// What our engine compiles at most.
const MAX_REGEX_BYTES: usize = 4 << 20;

/// How an expression is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    OsMatch,
    OsRegex,
    Pcre2,
    /// A plain text that is compared as a whole.
    Plain,
}

impl Syntax {
    pub(super) fn named(name: &str) -> Option<Syntax> {
        Some(match name {
            "osmatch" | "sregex" => Syntax::OsMatch,
            "osregex" | "regex" => Syntax::OsRegex,
            "pcre2" => Syntax::Pcre2,
            "string" => Syntax::Plain,
            _ => return None,
        })
    }
}

/// An expression, understood: any of its alternatives, or none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) negated: bool,
    pub(super) alternatives: Vec<Match>,
    /// Where the meaning is not quite the same.
    pub(super) notes: Vec<String>,
}

/// What a value must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Anything.
    Any,
    Exact(String),
    /// Exact, and case counts.
    Cased(String),
    Starts(String),
    Ends(String),
    Contains(String),
    /// A regular expression, with Sigma's modifiers for it.
    Regex(String, Vec<&'static str>),
}

/// Reads an expression, or says what in it has no counterpart.
pub(super) fn read(syntax: Syntax, text: &str) -> Result<Pattern, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("an expression longer than {MAX_BYTES} bytes"));
    }
    let pattern = match syntax {
        Syntax::OsMatch => osmatch(text),
        Syntax::OsRegex => osregex(text)?,
        Syntax::Pcre2 => pcre2(text)?,
        Syntax::Plain => Pattern { alternatives: vec![Match::Cased(text.to_owned())], ..Pattern::default() },
    };
    for alternative in &pattern.alternatives {
        if let Match::Regex(regex, modifiers) = alternative {
            check(regex, modifiers).map_err(|reason| format!("`{text}`: {reason}"))?;
        }
    }
    Ok(pattern)
}

/// Whether our engine compiles a regular expression.
pub(super) fn check(regex: &str, modifiers: &[&str]) -> Result<(), String> {
    if regex.len() > MAX_VALUE_BYTES {
        return Err(format!("a regular expression longer than {MAX_VALUE_BYTES} bytes"));
    }
    let mut built = RegexBuilder::new(regex);
    built.case_insensitive(modifiers.contains(&"i")).dot_matches_new_line(modifiers.contains(&"s"));
    match built.size_limit(MAX_REGEX_BYTES).nest_limit(64).build() {
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("invalid").trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// A text with its anchors.
fn anchored(text: String, begin: bool, end: bool) -> Match {
    match (begin, end) {
        (true, true) => Match::Exact(text),
        _ if text.is_empty() => Match::Any,
        (true, false) => Match::Starts(text),
        (false, true) => Match::Ends(text),
        (false, false) => Match::Contains(text),
    }
}

fn osmatch(text: &str) -> Pattern {
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let one = |alternative: &str| {
        let begin = alternative.starts_with('^');
        let rest = alternative.strip_prefix('^').unwrap_or(alternative);
        let end = rest.ends_with('$');
        anchored(rest.strip_suffix('$').unwrap_or(rest).to_owned(), begin, end)
    };
    Pattern { negated, alternatives: text.split('|').map(one).collect(), notes: Vec::new() }
}

/// A part of an osregex.
#[derive(Clone, Copy, PartialEq)]
enum Atom {
    Char(char),
    /// A character class as a regular expression says it, and whether it is repeated.
    Class(&'static str, Option<char>),
}

const WORD: &str = "[A-Za-z0-9_@-]";
const NOT_WORD: &str = "[^A-Za-z0-9_@-]";
const PUNCTUATION: &str = r#"[()*+,\-.:;<=>?\[\]!"'#$%&|{}]"#;

fn osregex(text: &str) -> Result<Pattern, String> {
    let mut pattern = Pattern::default();
    let mut atoms: Vec<Atom> = Vec::new();
    let mut begin = false;
    let mut group = false;
    let mut chars = text.chars().peekable();
    let mut first = true;
    loop {
        let next = chars.next();
        match next {
            None | Some('|') => {
                if group {
                    return Err(format!("`{text}`: osregex has no alternatives in a group"));
                }
                // An anchor is the last character, unless it was escaped.
                let end = atoms.last() == Some(&Atom::Char('\u{e001}'));
                if end {
                    atoms.pop();
                }
                if let Some(alternative) = osregex_alternative(&atoms, begin, end, &mut pattern.notes) {
                    pattern.alternatives.push(alternative);
                }
                if next.is_none() {
                    break;
                }
                (begin, first) = (false, true);
                atoms.clear();
                continue;
            }
            Some('^') if first => begin = true,
            Some('$') => {
                let last = matches!(chars.peek(), None | Some('|'));
                atoms.push(Atom::Char(if last { '\u{e001}' } else { '$' }));
            }
            Some('(') if !group => group = true,
            Some(')') if group => group = false,
            Some(c @ ('(' | ')')) => return Err(format!("`{text}`: osregex has no nested or open groups (`{c}`)")),
            Some('\\') => {
                let class = match chars.next() {
                    Some('w') => WORD,
                    Some('W') => NOT_WORD,
                    Some('d') => "[0-9]",
                    Some('D') => "[^0-9]",
                    Some('s') => " ",
                    Some('S') => "[^ ]",
                    Some('t') => r"\t",
                    Some('p') => PUNCTUATION,
                    Some('.') => ".",
                    Some('(') => r"\(",
                    Some(')') => r"\)",
                    Some('$') => r"\$",
                    Some('|') => r"\|",
                    Some('<') => "<",
                    Some('\\') => r"\\",
                    Some(other) => return Err(format!("`{text}`: osregex has no `\\{other}`")),
                    None => return Err(format!("`{text}`: osregex cannot end in a backslash")),
                };
                let repeated = chars.next_if(|c| matches!(c, '+' | '*'));
                let plain =
                    class.chars().last().filter(|_| matches!(class, " " | "<" | r"\(" | r"\)" | r"\$" | r"\|" | r"\\"));
                match (plain, repeated) {
                    (Some(plain), None) => atoms.push(Atom::Char(plain)),
                    _ => atoms.push(Atom::Class(class, repeated)),
                }
            }
            Some(c) => {
                if matches!(c, '+' | '*') {
                    let note = format!("`{c}` behind a plain character is that character in osregex");
                    if !pattern.notes.contains(&note) {
                        pattern.notes.push(note);
                    }
                }
                atoms.push(Atom::Char(c));
            }
        }
        first = false;
    }
    if pattern.alternatives.is_empty() {
        return Err(format!("`{text}` matches nothing"));
    }
    Ok(pattern)
}

/// None if it matches nothing: an empty alternative of osregex.
fn osregex_alternative(atoms: &[Atom], begin: bool, end: bool, notes: &mut Vec<String>) -> Option<Match> {
    if atoms.is_empty() && !(begin && end) {
        return None;
    }
    let plain: Option<String> =
        atoms.iter().map(|atom| if let Atom::Char(c) = atom { Some(*c) } else { None }).collect();
    if let Some(plain) = plain {
        return Some(anchored(plain, begin, end));
    }
    if atoms == [Atom::Class(".", Some('+'))] || atoms == [Atom::Class(".", Some('*'))] {
        return Some(Match::Any);
    }
    let mut regex = String::from(if begin { "^" } else { "" });
    for atom in atoms {
        match atom {
            Atom::Char(c) => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            Atom::Class(class, repeated) => {
                regex.push_str(class);
                regex.extend(*repeated);
            }
        }
    }
    if end {
        regex.push('$');
    }
    let repeated = |atom: &Atom| matches!(atom, Atom::Class(_, Some(_)));
    if atoms.windows(2).any(|pair| repeated(&pair[0]) && repeated(&pair[1])) {
        let note = "osregex does not go back in a repetition behind a repetition; the regular expression does".into();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let modifiers = if regex.contains('.') { vec!["re", "i", "s"] } else { vec!["re", "i"] };
    Some(Match::Regex(regex, modifiers))
}

/// PCRE2 with what Rust's regular expressions write otherwise; what they have not is refused by its name.
fn pcre2(text: &str) -> Result<Pattern, String> {
    let wrong = |what: &str| format!("`{text}`: {what} cannot be converted");
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut class = false;
    // Where a class began, and whether the last thing was a quantifier.
    let mut class_start = false;
    let mut quantified = false;
    while let Some(c) = chars.next() {
        let was_quantified = std::mem::take(&mut quantified);
        let starts = std::mem::take(&mut class_start);
        match c {
            '\\' => {
                let Some(next) = chars.next() else { return Err(wrong("a backslash at the end")) };
                match next {
                    '1'..='9' | 'g' | 'k' if !class => return Err(wrong("a backreference")),
                    'K' | 'G' | 'R' | 'X' | 'C' | 'N' | 'c' | 'o' | 'E' => return Err(wrong(&format!("`\\{next}`"))),
                    'Q' => {
                        let rest: String = chars.clone().collect();
                        let (quoted, _) = rest.split_once("\\E").unwrap_or((&rest, ""));
                        out.push_str(&regex::escape(quoted));
                        let skip = quoted.chars().count() + if rest.contains("\\E") { 2 } else { 0 };
                        chars.by_ref().take(skip).for_each(drop);
                    }
                    'Z' if !class => out.push_str(r"\n?\z"),
                    'h' => out.push_str(if class { r" \t" } else { r"[ \t]" }),
                    'H' if !class => out.push_str(r"[^ \t]"),
                    'e' => out.push_str(r"\x1B"),
                    '<' | '>' => out.push(next),
                    _ => {
                        out.push('\\');
                        out.push(next);
                    }
                }
            }
            '[' if class => match chars.peek() {
                Some(':') => {
                    out.push('[');
                }
                _ => out.push_str(r"\["),
            },
            '[' => {
                (class, class_start) = (true, true);
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            ']' if class && starts => out.push_str(r"\]"),
            ']' if class => {
                // The end of a POSIX class is not that of the class.
                class = posix_open(&out);
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            '-' if class && chars.peek() == Some(&'-') => out.push_str(r"\-"),
            _ if class => out.push(c),
            '(' if chars.peek() == Some(&'*') => return Err(wrong("a verb (`(*…)`)")),
            '(' if chars.peek() == Some(&'?') => {
                let ahead: String = chars.clone().take(3).collect();
                let named = [
                    ("?=", "a lookahead"),
                    ("?!", "a negative lookahead"),
                    ("?<=", "a lookbehind"),
                    ("?<!", "a negative lookbehind"),
                    ("?>", "an atomic group"),
                    ("?|", "a branch reset"),
                    ("?#", "a comment"),
                    ("?(", "a conditional group"),
                    ("?R", "recursion"),
                    ("?&", "recursion"),
                    ("?0", "recursion"),
                    ("?1", "recursion"),
                    ("?'", "a group named in quotes"),
                    ("?P=", "a backreference"),
                    ("?P>", "recursion"),
                ];
                if let Some((_, what)) = named.iter().find(|(start, _)| ahead.starts_with(start)) {
                    return Err(wrong(what));
                }
                out.push('(');
            }
            '+' if was_quantified => return Err(wrong("a possessive quantifier")),
            '*' | '+' | '}' => {
                quantified = true;
                out.push(c);
            }
            '?' => {
                // Behind a quantifier it makes that one lazy; else it is one itself, unless it follows `(`.
                quantified = !was_quantified && !out.ends_with('(');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    Ok(Pattern { alternatives: vec![Match::Regex(out, vec!["re"])], ..Pattern::default() })
}

/// Whether the text ends inside `[:…:`.
fn posix_open(out: &str) -> bool {
    out.ends_with(':') && out.rfind("[:").is_some_and(|at| at + 2 < out.len() && !out[at + 2..].contains(']'))
}

/// A literal as a Sigma value: its wildcards are plain characters.
pub(super) fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The pattern for values in which Wazuh's decoder doubles each backslash.
pub(super) fn undoubled(syntax: Syntax, text: &str) -> String {
    match syntax {
        Syntax::OsMatch | Syntax::Plain => text.replace(r"\\", r"\"),
        Syntax::OsRegex | Syntax::Pcre2 => text.replace(r"\\\\", r"\\"),
    }
}

/// As a rule's author reads it.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char(if self.negated { '!' } else { ' ' })?;
        write!(f, "{:?}", self.alternatives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{Any, Contains, Ends, Exact, Regex, Starts};

    #[test]
    fn osmatch_is_modifiers() {
        for (text, negated, want) in [
            ("a b", false, vec![Contains("a b".into())]),
            ("^a|b$|^c$", false, vec![Starts("a".into()), Ends("b".into()), Exact("c".into())]),
            ("!^a|b", true, vec![Starts("a".into()), Contains("b".into())]),
            ("a|", false, vec![Contains("a".into()), Any]),
            (r"a\d.*", false, vec![Contains(r"a\d.*".into())]),
        ] {
            let pattern = read(Syntax::OsMatch, text).unwrap();
            assert_eq!((pattern.negated, pattern.alternatives), (negated, want), "{text}");
        }
    }

    #[test]
    fn osregex_is_modifiers_or_regular_expressions() {
        let i = vec!["re", "i"];
        for (text, want) in [
            ("a.b", vec![Contains("a.b".into())]),
            ("^a|b$|^$", vec![Starts("a".into()), Ends("b".into()), Exact(String::new())]),
            (r"^a\d+b", vec![Regex("^a[0-9]+b".into(), i.clone())]),
            (r"port (\d+)$", vec![Regex("port [0-9]+$".into(), i.clone())]),
            (r"a\.+b", vec![Regex("a.+b".into(), vec!["re", "i", "s"])]),
            (r"\(\)\$\|\\\<", vec![Contains(r"()$|\<".into())]),
            (r"cost\$", vec![Contains("cost$".into())]),
            (r"a$b", vec![Contains("a$b".into())]),
            (r"\.+", vec![Any]),
            (r"\s+x", vec![Regex(" +x".into(), i.clone())]),
            ("a+b", vec![Contains("a+b".into())]),
            ("a||b", vec![Contains("a".into()), Contains("b".into())]),
        ] {
            assert_eq!(read(Syntax::OsRegex, text).unwrap().alternatives, want, "{text}");
        }
        for text in [r"\x", r"a\", "((a))", "(a", "(a|b)", "a)", ""] {
            assert!(read(Syntax::OsRegex, text).is_err(), "{text}");
        }
        assert_eq!(read(Syntax::OsRegex, r"\p*\d*:").unwrap().notes.len(), 1);
    }

    #[test]
    fn osregex_classes_are_wazuhs() {
        let holds = |text: &str, value: &str| match &read(Syntax::OsRegex, text).unwrap().alternatives[0] {
            Regex(regex, _) => regex::Regex::new(&format!("(?is){regex}")).unwrap().is_match(value),
            other => panic!("{other:?}"),
        };
        for c in "aZ09-@_".chars() {
            assert!(holds(r"^\w$", &c.to_string()) && !holds(r"^\W$", &c.to_string()), "{c}");
        }
        for c in "()*+,-.:;<=>?[]!\"'#$%&|{}".chars() {
            assert!(holds(r"^\p$", &c.to_string()), "{c}");
        }
        for c in " /\\^~`é".chars() {
            assert!(!holds(r"^\w$", &c.to_string()) && !holds(r"^\p$", &c.to_string()), "{c}");
        }
        assert!(holds(r"^\t$", "\t") && !holds(r"^\s*$", "\t") && holds(r"^\S$", "\t"));
    }

    #[test]
    fn pcre2_is_rewritten_or_refused_by_name() {
        for (text, value, want) in [
            (r"(?i)^power(shell|iso)\.exe$", "POWERSHELL.exe", true),
            (r"^\<a\>$", "<a>", true),
            (r"^[[a&&b]+$", "[&b", true),
            (r"^[]a]+$", "]a", true),
            (r"^[[:alpha:]\d]+$", "a1", true),
            (r"^[[:alpha:][:digit:]_]+$", "a1_", true),
            (r"^a\h+b\Z", "a \tb", true),
            (r"^\Qa.b\Ec$", "a.bc", true),
            (r"^\Qa.b\Ec$", "axbc", false),
            (r"^a+?b??$", "aab", true),
            (r"^(?<user>\w+)-(?P<id>\d{2,3})$", "bob-12", true),
            (r"\\\\x", r"a\\x", true),
        ] {
            let pattern = read(Syntax::Pcre2, text).unwrap_or_else(|why| panic!("{why}"));
            let Regex(regex, _) = &pattern.alternatives[0] else { panic!() };
            assert_eq!(regex::Regex::new(regex).unwrap().is_match(value), want, "{text} became {regex}");
        }
        for (text, why) in [
            ("a(?=b)", "a lookahead"),
            ("a(?!b)", "a negative lookahead"),
            ("(?<=a)b", "a lookbehind"),
            ("(?<!a)b", "a negative lookbehind"),
            ("(?>a)", "an atomic group"),
            ("a++", "a possessive quantifier"),
            ("a{2}+", "a possessive quantifier"),
            (r"(a)\1", "a backreference"),
            (r"a\Kb", r"`\K`"),
            ("(*UTF)a", "a verb"),
            ("(?R)", "recursion"),
            ("(?(1)a|b)", "a conditional group"),
            ("(a", "unclosed group"),
            (r"\", "a backslash at the end"),
        ] {
            let got = read(Syntax::Pcre2, text).unwrap_err();
            assert!(got.contains(why), "{text}: {got}");
        }
    }
}
