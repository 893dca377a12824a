//! A pattern's words.

use super::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or keyword: letters, digits, `-`, `_`; also a number.
    Word(String),
    /// `'text'`, with `\'` and `\\` undone.
    Text(String),
    /// `t'…'`, `h'…'`, `b'…'`.
    Typed(String),
    /// `= != > < >= <= [ ] ( ) : . , *`
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["!=", ">=", "<=", "==", "=", ">", "<", "[", "]", "(", ")", ":", ".", ","];

/// The words of a pattern, each with its place in characters from 1.
pub(super) fn lex(pattern: &str) -> Result<Vec<(Token, usize)>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    let mut at = 1;
    loop {
        let trimmed = rest.trim_start();
        at += rest[..rest.len() - trimmed.len()].chars().count();
        rest = trimmed;
        if rest.is_empty() {
            return Ok(tokens);
        }
        let (token, length) = token(rest).map_err(|message| Refusal::Syntax(message.to_owned(), at))?;
        if let Some(token) = token {
            tokens.push((token, at));
        }
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
}

/// The first token of a text that does not begin with a blank, and its length; none for a comment.
fn token(text: &str) -> Result<(Option<Token>, usize), &'static str> {
    if text.starts_with("/*") {
        let end = text.find("*/").ok_or("a comment that does not end")?;
        return Ok((None, end + 2));
    }
    if text.starts_with("//") {
        return Ok((None, text.find('\n').unwrap_or(text.len())));
    }
    if text.starts_with('\'') {
        let (value, length) = quoted(text)?;
        return Ok((Some(Token::Text(value)), length));
    }
    if text.starts_with(['t', 'h', 'b']) && text[1..].starts_with('\'') {
        let (value, length) = quoted(&text[1..])?;
        return Ok((Some(Token::Typed(value)), length + 1));
    }
    if let Some(sign) = SIGNS.iter().find(|sign| text.starts_with(**sign)) {
        return Ok((Some(Token::Sign(sign)), sign.len()));
    }
    if text.starts_with('*') {
        return Ok((Some(Token::Sign("*")), 1));
    }
    let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '+');
    let length = text.find(|char| !is_word(char)).unwrap_or(text.len());
    if length == 0 {
        return Err("a character that patterns do not have");
    }
    Ok((Some(Token::Word(text[..length].to_owned())), length))
}

fn quoted(text: &str) -> Result<(String, usize), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, char)) = chars.next() {
        match char {
            '\'' => return Ok((value, place + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('\'' | '\\'))) => value.push(escaped),
                // Not allowed, but written: the backslash is meant.
                Some((_, other)) => value.extend(['\\', other]),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("a quote that does not end")
}
