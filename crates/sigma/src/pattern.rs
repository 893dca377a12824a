//! Strings with wildcards: how Sigma writes them and what they match.

use memchr::memmem;

use crate::fold::fold;

/// The characters that Windows command lines take for a dash.
pub(crate) const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// A part of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    /// This text.
    Text(String),
    /// Any one character: `?`.
    One,
    /// Any characters, also none: `*`.
    Many,
    /// Any one of [`DASHES`], from the modifier `windash`.
    Dash,
}

/// What a whole value has to look like. Never two texts or two `*` in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
}

/// The pattern's form, where a value can be looked up instead of matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// Any value.
    Any,
    /// The whole value.
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Contains(&'a str),
    /// Anything else, with the longest text that a value must contain.
    Wild(&'a str),
}

impl Pattern {
    /// Exactly this text.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        let mut pattern = Pattern::default();
        pattern.push_text(&text.into());
        pattern
    }

    /// As a rule writes it: `*` and `?` are wildcards; `\*`, `\?` and `\\` are the plain characters; any other
    /// backslash is itself.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pattern = Pattern::default();
        let mut chars = text.chars().peekable();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\')),
                '*' | '?' => {
                    pattern.push_text(&std::mem::take(&mut plain));
                    pattern.push(if c == '*' { Token::Many } else { Token::One });
                }
                _ => plain.push(c),
            }
        }
        pattern.push_text(&plain);
        pattern
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(crate) fn push(&mut self, token: Token) {
        match token {
            Token::Text(text) => self.push_text(&text),
            Token::Many if self.tokens.last() == Some(&Token::Many) => {}
            token => self.tokens.push(token),
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.tokens.last_mut() {
            _ if text.is_empty() => {}
            Some(Token::Text(last)) => last.push_str(text),
            _ => self.tokens.push(Token::Text(text.to_owned())),
        }
    }

    /// The pattern with `*` before and/or after it.
    pub(crate) fn open(self, before: bool, after: bool) -> Self {
        let mut pattern = Pattern::default();
        if before {
            pattern.push(Token::Many);
        }
        self.tokens.into_iter().for_each(|token| pattern.push(token));
        if after {
            pattern.push(Token::Many);
        }
        pattern
    }

    /// A dash that begins a flag (nothing wordlike before it, a word after it) stands for any dash.
    pub(crate) fn windash(self) -> Self {
        let mut pattern = Pattern::default();
        for token in self.tokens {
            let Token::Text(text) = token else {
                pattern.push(token);
                continue;
            };
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let mut before = None;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let begins_flag =
                    DASHES.contains(&c) && !before.is_some_and(word) && chars.peek().copied().is_some_and(word);
                pattern.push(if begins_flag { Token::Dash } else { Token::Text(c.into()) });
                before = Some(c);
            }
        }
        pattern
    }

    /// Every literal that the pattern's [`Token::Dash`]es stand for; none if it has other wildcards or there
    /// would be more than `limit`.
    pub(crate) fn literals(&self, limit: usize) -> Option<Vec<String>> {
        let literal = |pattern: Pattern| match pattern.form() {
            Form::Exact(text) => Some(text.to_owned()),
            _ => None,
        };
        self.spellings(limit)?.into_iter().map(literal).collect()
    }

    /// The pattern with every [`Token::Dash`] spelled out; none if that would be more than `limit` patterns.
    pub(crate) fn spellings(&self, limit: usize) -> Option<Vec<Pattern>> {
        let mut spellings = vec![Pattern::default()];
        for token in &self.tokens {
            let Token::Dash = token else {
                spellings.iter_mut().for_each(|spelling| spelling.push(token.clone()));
                continue;
            };
            if spellings.len() * DASHES.len() > limit {
                return None;
            }
            let with = |spelling: &Pattern, dash: char| {
                let mut spelling = spelling.clone();
                spelling.push(Token::Text(dash.into()));
                spelling
            };
            spellings = spellings.iter().flat_map(|spelling| DASHES.iter().map(|dash| with(spelling, *dash))).collect();
        }
        Some(spellings)
    }

    /// The pattern that matches folded values.
    pub(crate) fn folded(self) -> Self {
        let fold_token = |token| match token {
            Token::Text(text) => Token::Text(fold(&text).into_owned()),
            token => token,
        };
        Pattern { tokens: self.tokens.into_iter().map(fold_token).collect() }
    }

    /// Its parts as they are shown, and which of them are wildcards.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.tokens.iter().map(|token| match token {
            Token::Text(text) => (text.as_str(), false),
            Token::One => ("?", true),
            Token::Many => ("*", true),
            Token::Dash => ("-", true),
        })
    }

    pub(crate) fn form(&self) -> Form<'_> {
        match self.tokens.as_slice() {
            [] => Form::Exact(""),
            [Token::Many] => Form::Any,
            [Token::Text(text)] => Form::Exact(text),
            [Token::Text(text), Token::Many] => Form::Prefix(text),
            [Token::Many, Token::Text(text)] => Form::Suffix(text),
            [Token::Many, Token::Text(text), Token::Many] => Form::Contains(text),
            tokens => {
                let texts = tokens.iter().filter_map(|token| match token {
                    Token::Text(text) => Some(text.as_str()),
                    _ => None,
                });
                Form::Wild(texts.max_by_key(|text| text.len()).unwrap_or(""))
            }
        }
    }

    /// Whether the whole of `value` matches. (Both folded, or both not.)
    pub(crate) fn matches(&self, value: &str) -> bool {
        // Between two `*` lies a chunk; each is taken where it first fits, the last at the very end.
        let mut chunks = self.tokens.split(|token| *token == Token::Many);
        let first = chunks.next().unwrap_or_default();
        let Some(mut rest) = strip(value, first) else { return false };
        let mut last = None;
        for chunk in chunks {
            if let Some(middle) = last.replace(chunk) {
                match find(rest, middle) {
                    Some(after) => rest = after,
                    None => return false,
                }
            }
        }
        match last {
            None => rest.is_empty(),
            Some(chunk) => ends(rest, chunk),
        }
    }
}

/// The rest of `value` after a chunk at its beginning.
fn strip<'a>(value: &'a str, chunk: &[Token]) -> Option<&'a str> {
    chunk.iter().try_fold(value, |rest, token| match token {
        Token::Text(text) => rest.strip_prefix(text.as_str()),
        Token::One | Token::Dash => {
            let mut chars = rest.chars();
            let c = chars.next()?;
            (*token == Token::One || DASHES.contains(&c)).then_some(chars.as_str())
        }
        Token::Many => unreachable!("chunks hold no `*`"),
    })
}

/// The rest of `value` after a chunk's first occurrence.
fn find<'a>(value: &'a str, chunk: &[Token]) -> Option<&'a str> {
    match chunk {
        [] => Some(value),
        [Token::Text(text)] => memmem::find(value.as_bytes(), text.as_bytes()).map(|at| &value[at + text.len()..]),
        [Token::Text(text), rest @ ..] => {
            // Every occurrence, overlapping ones too: the first that fits is the one to take.
            let finder = memmem::Finder::new(text);
            let step = text.chars().next().map_or(1, char::len_utf8);
            let mut from = 0;
            while let Some(found) = finder.find(&value.as_bytes()[from..]) {
                let at = from + found;
                if let Some(after) = strip(&value[at + text.len()..], rest) {
                    return Some(after);
                }
                from = at + step;
            }
            None
        }
        _ => value.char_indices().find_map(|(at, _)| strip(&value[at..], chunk)),
    }
}

/// Whether a chunk is at the end of `value`.
fn ends(value: &str, chunk: &[Token]) -> bool {
    chunk
        .iter()
        .rev()
        .try_fold(value, |rest, token| match token {
            Token::Text(text) => rest.strip_suffix(text.as_str()),
            Token::One | Token::Dash => {
                let mut chars = rest.chars();
                let c = chars.next_back()?;
                (*token == Token::One || DASHES.contains(&c)).then_some(chars.as_str())
            }
            Token::Many => unreachable!("chunks hold no `*`"),
        })
        .is_some()
}

/// A pattern as a rule would write it.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for token in &self.tokens {
            match token {
                Token::Text(text) => f.write_str(text)?,
                Token::One => f.write_str("?")?,
                Token::Many => f.write_str("*")?,
                Token::Dash => f.write_str("-")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_the_specification_says() {
        use Token::{Many, One, Text};
        let text = |text: &str| Text(text.into());
        for (written, want) in [
            ("", vec![]),
            (r"C:\Windows\cmd.exe", vec![text(r"C:\Windows\cmd.exe")]),
            (r"a*b?", vec![text("a"), Many, text("b"), One]),
            (r"a\*b\?", vec![text("a*b?")]),
            (r"a\\*b", vec![text(r"a\"), Many, text("b")]),
            (r"a\\\*b", vec![text(r"a\*b")]),
            (r"\\server\\share", vec![text(r"\server\share")]),
            (r"\\\\server", vec![text(r"\\server")]),
            (r"end\", vec![text(r"end\")]),
            ("a***b", vec![text("a"), Many, text("b")]),
        ] {
            assert_eq!(Pattern::parse(written).tokens, want, "{written}");
        }
    }

    #[test]
    fn matches_whole_values() {
        for (pattern, value, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "ü", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("a*a", "a", false),
            ("ab*ba", "aba", false),
            ("*a?c*", "abbabc", true),
            ("*aa?b*", "aaaab", true),
            ("*aab?", "aaabx", true),
            ("??", "aü", true),
            ("*?", "", false),
            (r"*\*", "a*", true),
            (r"*\*", "ab", false),
            (r"*\**", "a*b", true),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(value), want, "{pattern} on {value}");
        }
    }

    #[test]
    fn windash_changes_only_dashes_that_begin_a_flag() {
        for (pattern, value, want) in [
            (" -enc", " /enc", true),
            (" /enc", " —enc", true),
            ("-f", "–f", true),
            ("--long", "-/long", true),
            ("--long", "/-long", false),
            ("a-b", "a/b", false),
            ("- x", "/ x", false),
            ("-a -b", "/a ―b", true),
        ] {
            assert_eq!(Pattern::parse(pattern).windash().matches(value), want, "{pattern} on {value}");
        }
        assert_eq!(Pattern::parse("-a").windash().literals(10).unwrap().len(), 5);
        assert_eq!(Pattern::parse("-a -b").windash().literals(10), None);
        assert_eq!(Pattern::parse("a*").literals(10), None);
    }
}
