//! IBM's Log Event Extended Format: `LEEF:1.0|vendor|product|version|event|key=value⇥key=value …`, and
//! `LEEF:2.0|vendor|product|version|event|delimiter|key=value^key=value …`.
//!
//! Source: IBM, "Log Event Extended Format (LEEF) version 2".

use std::ops::Range;

use super::cef;
use crate::parse::{
    draft::{Draft, Name, Span, Val},
    vocabulary::Vocabulary,
};

/// Most attributes of one record.
const MAX_ATTRIBUTES: usize = 1024;

/// Reads a LEEF record in `span` into `leef.*` fields; false, and nothing changed, if it is none.
pub(crate) fn read(draft: &mut Draft, vocabulary: &Vocabulary, span: Span) -> bool {
    let known = vocabulary.known;
    let text = draft.str(span);
    let Some(rest) = text.strip_prefix("LEEF:") else { return false };
    let mut at = text.len() - rest.len();
    let mut header: [Range<usize>; 5] = std::array::from_fn(|_| 0..0);
    for part in &mut header {
        let Some(len) = memchr::memchr(b'|', &text.as_bytes()[at..]) else { return false };
        *part = at..at + len;
        at += len + 1;
    }
    let version = &text[header[0].clone()];
    if !version.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let mut delimiter = '\t';
    // Some that call themselves 2.0 leave the delimiter out.
    if !version.starts_with('1')
        && let Some((given, behind)) = text[at..].split_once('|')
        && let Some(known) = delimiter_of(given)
    {
        delimiter = known;
        at = text.len() - behind.len();
    }
    let attributes = attributes(&text[at..], delimiter);
    let names =
        [known.leef_version, known.leef_vendor, known.leef_product, known.leef_product_version, known.leef_event];
    for (sym, part) in names.into_iter().zip(header) {
        draft.push(Name::Sym(sym), Val::Str(span.part(part)), true);
    }
    let base = span.part(at..span.len as usize);
    for (key, value) in attributes {
        let key = draft.str(base.part(key)).to_owned();
        let name = draft.name(vocabulary, &["leef.", &key]);
        draft.push(name, Val::Str(base.part(value)), true);
    }
    true
}

/// A character, or its code as `x5E` or `0x5E`; nothing stands for the tab of version 1.
fn delimiter_of(text: &str) -> Option<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Some('\t'),
        (Some(char), None) => Some(char),
        _ => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'))?;
            u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= 4).and_then(char::from_u32)
        }
    }
}

/// The attributes' keys and values.
fn attributes(text: &str, delimiter: char) -> Vec<cef::Pair> {
    // Tabs that became spaces on the way: a value ends where the next ` key=` begins, as in CEF.
    if delimiter == ' ' || delimiter == '\t' && !text.contains('\t') {
        return cef::pairs(text);
    }
    let mut found = Vec::new();
    let mut at = 0;
    for part in text.split(delimiter) {
        if let Some(equals) = part.find('=') {
            let key = part[..equals].trim();
            if !key.is_empty() && found.len() < MAX_ATTRIBUTES {
                let start = at + equals - part[..equals].trim_start().len();
                let value = at + equals + 1..at + part.trim_end().len().max(equals + 1);
                found.push((start..start + key.len(), value));
            }
        }
        at += part.len() + delimiter.len_utf8();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        for (text, expected) in [
            ("", Some('\t')),
            ("^", Some('^')),
            ("x5E", Some('^')),
            ("0x7c", Some('|')),
            (" ", Some(' ')),
            ("src=192.0.2.7", None),
            ("xD800", None),
            ("0x", None),
        ] {
            assert_eq!(delimiter_of(text), expected, "{text}");
        }
    }

    #[test]
    fn attributes_by_delimiter() {
        for (text, delimiter, expected) in [
            ("src=192.0.2.7\tmsg=a = b\tusr=", '\t', "src:192.0.2.7|msg:a = b|usr:"),
            ("a=1^ b =2^noise^c=ä ", '^', "a:1|b:2|c:ä"),
            ("src=192.0.2.7 msg=two words dst=198.51.100.1", '\t', "src:192.0.2.7|msg:two words|dst:198.51.100.1"),
            ("", '^', ""),
            ("=^=x^", '^', ""),
        ] {
            let found: Vec<String> = attributes(text, delimiter)
                .into_iter()
                .map(|(key, value)| format!("{}:{}", &text[key], &text[value]))
                .collect();
            assert_eq!(found.join("|"), expected, "{text}");
        }
    }
}
