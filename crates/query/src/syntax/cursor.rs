//! The reader of query text: characters for the search box, tokens for the stages.

use super::{Diagnostic, MAX_DEPTH, MAX_NODES, Span};

/// A token of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare or `['quoted']` name. Bare ones may be keywords.
    Word {
        text: String,
        quoted: bool,
    },
    Text(String),
    Int(i64),
    Float(f64),
    Timespan(i64),
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "==", "=~", "!=", "!~", "<=", ">=", "..", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "|",
    "!", ":", ";",
];

pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// End of the last token or word taken.
    pub(super) last: usize,
    peeked: Option<(Token, Span)>,
    depth: usize,
    nodes: usize,
    pub(super) errors: Vec<Diagnostic>,
}

pub(super) type Parsed<T> = Result<T, Diagnostic>;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0, last: 0, peeked: None, depth: 0, nodes: 0, errors: Vec::new() }
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.text, span.range(), message)
    }

    /// Counts one more node of the tree.
    pub(super) fn node(&mut self) -> Parsed<()> {
        self.nodes += 1;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(self
            .error(Span::new(self.at, self.at), format!("the query has more than {MAX_NODES} terms and operators"))
            .hint("put long lists into a table and use `lookup`"))
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let span = Span::new(self.at, self.at);
            return Err(self.error(span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    // Characters.

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes `prefix` if the text goes on with it.
    pub(super) fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
            self.last = self.at;
        }
        found
    }

    /// The text between quotes at the cursor. `escapes`: `\"` and so on are read as in Kusto and an unknown one is
    /// refused; otherwise only `\\` and the quote itself are escaped and any other backslash is a backslash.
    pub(super) fn quoted(&mut self, escapes: bool) -> Parsed<String> {
        let start = self.at;
        let quote = self.char().unwrap_or('"');
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at += offset + c.len_utf8();
                self.last = self.at;
                return Ok(out);
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some((_, next)) if next == quote || next == '\\' => out.push(next),
                Some((_, 'n')) if escapes => out.push('\n'),
                Some((_, 'r')) if escapes => out.push('\r'),
                Some((_, 't')) if escapes => out.push('\t'),
                Some((_, '"')) if escapes => out.push('"'),
                Some((_, '\'')) if escapes => out.push('\''),
                Some((at, next)) if escapes => {
                    let span = Span::new(start + at - 1, start + at + next.len_utf8());
                    return Err(self
                        .error(span, format!("`\\{next}` is not an escape"))
                        .hint("write `\\\\` for a backslash, or @\"…\" for text without escapes"));
                }
                Some((_, next)) => {
                    out.push('\\');
                    out.push(next);
                }
                None => break,
            }
        }
        self.at = self.text.len();
        Err(self.error(Span::new(start, start + 1), "the quote is not closed").hint(format!("add a closing {quote}")))
    }

    // Tokens.

    pub(super) fn peek(&mut self) -> Parsed<&Token> {
        if self.peeked.is_none() {
            let (before, last) = (self.at, self.last);
            let token = self.lex()?;
            // The cursor stays before a peeked token, so that a search can be read from here.
            let end = self.at;
            (self.at, self.last) = (before, last);
            self.peeked = Some((token.0, Span::new(token.1, end)));
        }
        Ok(self.peeked.as_ref().map_or(&Token::End, |(token, _)| token))
    }

    /// The place of the next token.
    pub(super) fn next_span(&mut self) -> Parsed<Span> {
        self.peek()?;
        Ok(self.peeked.as_ref().map(|(_, span)| *span).unwrap_or_default())
    }

    pub(super) fn bump(&mut self) -> Parsed<(Token, Span)> {
        self.peek()?;
        let (token, span) = self.peeked.take().unwrap_or((Token::End, Span::new(self.at, self.at)));
        self.at = span.end;
        self.last = span.end;
        Ok((token, span))
    }

    /// Forgets a peeked token; reading goes on before it.
    pub(super) fn unpeek(&mut self) {
        self.peeked = None;
    }

    pub(super) fn is(&mut self, symbol: &str) -> Parsed<bool> {
        Ok(matches!(self.peek()?, Token::Symbol(found) if *found == symbol))
    }

    pub(super) fn eat(&mut self, symbol: &str) -> Parsed<bool> {
        let found = self.is(symbol)?;
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &str, after: &str) -> Parsed<()> {
        if self.eat(symbol)? {
            return Ok(());
        }
        let (found, span) = self.describe_next()?;
        Err(self.error(span, format!("expected `{symbol}` {after}, found {found}")))
    }

    /// True if the next token is this bare word, in any case.
    pub(super) fn is_word(&mut self, word: &str) -> Parsed<bool> {
        Ok(matches!(self.peek()?, Token::Word { text, quoted: false } if text.eq_ignore_ascii_case(word)))
    }

    pub(super) fn eat_word(&mut self, word: &str) -> Parsed<bool> {
        let found = self.is_word(word)?;
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    /// The next token for a message, and its place.
    pub(super) fn describe_next(&mut self) -> Parsed<(String, Span)> {
        let span = self.next_span()?;
        let text = match self.peek()? {
            Token::End => "the end of the query".to_owned(),
            _ => format!("`{}`", &self.text[span.range()]),
        };
        Ok((text, span))
    }

    fn lex(&mut self) -> Parsed<(Token, usize)> {
        loop {
            self.skip_space();
            if !self.rest().starts_with("//") {
                break;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok((Token::End, start)) };
        if first == '"' || first == '\'' {
            return Ok((Token::Text(self.quoted(true)?), start));
        }
        if let Some(quote @ ('"' | '\'')) = rest.strip_prefix('@').and_then(|rest| rest.chars().next()) {
            let Some(length) = rest[2..].find(quote) else {
                let span = Span::new(start, start + 2);
                self.at = self.text.len();
                return Err(self.error(span, "the quote is not closed").hint(format!("add a closing {quote}")));
            };
            self.at += length + 3;
            return Ok((Token::Text(rest[2..][..length].to_owned()), start));
        }
        if rest.starts_with("['") || rest.starts_with("[\"") {
            self.at += 1;
            let text = self.quoted(true)?;
            if !self.take("]") {
                return Err(self.error(Span::new(start, self.at), "expected `]` after the quoted name"));
            }
            return Ok((Token::Word { text, quoted: true }, start));
        }
        if first.is_ascii_digit() {
            return Ok((self.number()?, start));
        }
        if first.is_alphabetic() || matches!(first, '_' | '@' | '$') {
            let length = word_length(rest);
            self.at += length;
            return Ok((Token::Word { text: rest[..length].to_owned(), quoted: false }, start));
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok((Token::Symbol(symbol), start));
        }
        self.at += first.len_utf8();
        Err(self.error(Span::new(start, self.at), format!("`{first}` has no meaning here")))
    }

    fn number(&mut self) -> Parsed<Token> {
        let start = self.at;
        let rest = self.rest();
        if let Some(hex) = rest.strip_prefix("0x") {
            let length = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
            self.at += 2 + length;
            return i64::from_str_radix(&hex[..length], 16)
                .map(Token::Int)
                .map_err(|_| self.error(Span::new(start, self.at), "not a hexadecimal number of at most 63 bits"));
        }
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(rest);
        let mut float = false;
        if rest[length..].starts_with('.') && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            length += 1 + digits(&rest[length + 1..]);
            float = true;
        }
        let number = &rest[..length];
        let unit_length =
            rest[length..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum();
        let unit = &rest[length..][..unit_length];
        self.at += length + unit_length;
        self.last = self.at;
        let span = Span::new(start, self.at);
        if unit.is_empty() {
            let parsed =
                if float { number.parse().ok().map(Token::Float) } else { number.parse().ok().map(Token::Int) };
            return parsed.ok_or_else(|| self.error(span, "the number is out of range"));
        }
        timespan(number, unit).map(Token::Timespan).ok_or_else(|| {
            self.error(span, format!("`{number}{unit}` is not a number or timespan"))
                .hint("timespans are written 10us, 500ms, 30s, 5m, 1h, 7d; quote other text")
        })
    }
}

/// Microseconds of `number` in `unit`.
pub(crate) fn timespan(number: &str, unit: &str) -> Option<i64> {
    let micros: i64 = match unit {
        "us" | "microsecond" | "microseconds" => 1,
        "ms" | "millis" | "milliseconds" => 1_000,
        "s" | "sec" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        "w" | "week" | "weeks" => 7 * 86_400_000_000,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(micros);
    }
    let value = number.parse::<f64>().ok()? * micros as f64;
    (value.abs() < 9e18).then_some(value.round() as i64)
}

/// The length of a bare name: letters, digits, `_`, `@`, `$`, and dots (or hyphens of stage names) between them.
fn word_length(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '$');
    let mut length = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joined = c == '.' && chars.peek().is_some_and(|(_, next)| is_word(*next));
        let stage =
            c == '-' && matches!(&text[..at], "project" | "mv") && chars.peek().is_some_and(|(_, next)| is_word(*next));
        if !is_word(c) && !joined && !stage {
            break;
        }
        length = at + c.len_utf8();
    }
    length
}
