//! Steps that take text apart: grok, key=value, CSV.

use super::{Assignments, NotMine, assign};
use crate::parse::{
    draft::{Draft, Name, Span, Val},
    grok::Pattern,
    vocabulary::{Sym, Vocabulary},
};

/// Most pairs or columns that one step makes.
const MAX_PARTS: usize = 1024;

pub(super) fn grok(
    draft: &mut Draft,
    field: Sym,
    patterns: &[(Pattern, Assignments)],
    required: bool,
) -> Result<(), NotMine> {
    // Mostly one value; of several, the first that matches counts.
    let mut at = draft.position(field);
    while let Some(position) = at {
        if let Val::Str(span) = draft.slots[position].value {
            let span = draft.cut(span);
            for (pattern, set) in patterns {
                if pattern.run(draft, span) {
                    assign(draft, set);
                    return Ok(());
                }
            }
        }
        at = draft.next_position(field, position);
    }
    if required { Err(NotMine) } else { Ok(()) }
}

/// A key and its value within a text, without quotes.
pub(crate) type Pair = (std::ops::Range<usize>, std::ops::Range<usize>);

/// The pairs of `key=value key="quoted value"`. With `between`, values run up to it; otherwise to white space.
pub(crate) fn pairs(text: &str, between: Option<&str>, separator: &str) -> Vec<Pair> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() && found.len() < MAX_PARTS {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        let trimmed = match between.map(str::trim) {
            Some(between) if !between.is_empty() => trimmed.trim_start_matches(between).trim_start(),
            _ => trimmed,
        };
        at = text.len() - trimmed.len();
        let Some(found_at) = find(trimmed, separator) else { break };
        // The key is the last word before the separator.
        let key_end = at + found_at;
        let key_start = match between {
            Some(between) => text[at..key_end].rfind(between).map_or(at, |found| at + found + between.len()),
            None => text[at..key_end]
                .rfind(char::is_whitespace)
                .map_or(at, |found| at + found + text[at + found..].chars().next().map_or(1, char::len_utf8)),
        };
        let key_start = key_end - text[key_start..key_end].trim_start().len();
        let value = key_end + separator.len();
        let (end, next) = match text[value..].chars().next() {
            Some(quote @ ('"' | '\'')) => match closing(&text[value + 1..], quote) {
                Some(len) if ends(&text[value + len + 2..], between) => {
                    found.push((key_start..key_end, value + 1..value + 1 + len));
                    at = value + len + 2;
                    continue;
                }
                // Not the whole value is quoted: the quotes belong to it.
                Some(_) => {
                    let end = match between {
                        Some(between) => find(&text[value..], between).map_or(text.len(), |found| value + found),
                        None => text.len(),
                    };
                    (end, end)
                }
                None => (text.len(), text.len()),
            },
            _ => {
                let end = match between {
                    Some(between) => find(&text[value..], between).map_or(text.len(), |found| value + found),
                    None => text[value..].find(char::is_whitespace).map_or(text.len(), |found| value + found),
                };
                (end, end)
            }
        };
        if key_start < key_end {
            found.push((key_start..key_end, value..end));
        }
        at = next.max(value);
    }
    found
}

/// True if a quoted value may end before `rest`: always, unless a separator of its own ends values.
fn ends(rest: &str, between: Option<&str>) -> bool {
    between.is_none_or(|between| rest.trim_start().is_empty() || rest.trim_start().starts_with(between.trim_start()))
}

/// Where `piece`, mostly a single character, is in `text`.
fn find(text: &str, piece: &str) -> Option<usize> {
    match piece.as_bytes() {
        [byte] => memchr::memchr(*byte, text.as_bytes()),
        piece => memchr::memmem::find(text.as_bytes(), piece),
    }
}

/// Where the quote ends that `text` is within.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, char)| {
        if escaped {
            escaped = false;
            return None;
        }
        escaped = char == '\\';
        (char == quote).then_some(at)
    })
}

pub(super) fn key_value(
    draft: &mut Draft,
    vocabulary: &Vocabulary,
    field: Sym,
    prefix: &str,
    between: Option<&str>,
    separator: &str,
    escapes: bool,
) {
    let Some(span) = draft.text_of(field) else { return };
    let span = draft.cut(span);
    for (key, value) in pairs(draft.str(span), between, separator) {
        let key = draft.str(span.part(key)).to_owned();
        let name = draft.name(vocabulary, &[prefix, &key]);
        let is_quoted = value.start > 0 && matches!(draft.str(span).as_bytes()[value.start - 1], b'"' | b'\'');
        let mut value = span.part(value);
        if escapes && is_quoted && draft.str(value).contains('\\') {
            let plain = unescape(draft.str(value));
            value = draft.append(&plain);
        }
        draft.push(name, Val::Str(value), true);
    }
}

/// Without the escapes of a quoted value; a backslash before any other character stays.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let escaped = match chars.clone().next() {
            Some(next @ ('"' | '\'' | '\\')) => Some(next),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            _ => None,
        };
        match escaped.filter(|_| char == '\\') {
            Some(escaped) => {
                chars.next();
                plain.push(escaped);
            }
            None => plain.push(char),
        }
    }
    plain
}

pub(super) fn csv(draft: &mut Draft, field: Sym, separator: char, columns: &[Option<Sym>]) -> Result<(), NotMine> {
    let span = draft.text_of(field).ok_or(NotMine)?;
    let span = draft.cut(span);
    let text = draft.str(span);
    let mut cells: Vec<(std::ops::Range<usize>, bool)> = Vec::new();
    let mut at = 0;
    while cells.len() < MAX_PARTS {
        if text[at..].starts_with('"') {
            let mut end = at + 1;
            let mut doubled = false;
            loop {
                match text[end..].find('"') {
                    None => return Err(NotMine),
                    Some(found) if text[end + found + 1..].starts_with('"') => {
                        doubled = true;
                        end += found + 2;
                    }
                    Some(found) => {
                        end += found;
                        break;
                    }
                }
            }
            cells.push((at + 1..end, doubled));
            at = end + 1;
            match text[at..].chars().next() {
                None => break,
                Some(char) if char == separator => at += char.len_utf8(),
                Some(_) => return Err(NotMine),
            }
        } else {
            let end = text[at..].find(separator).map_or(text.len(), |found| at + found);
            cells.push((at..end, false));
            if end == text.len() {
                break;
            }
            at = end + separator.len_utf8();
        }
    }
    if cells.len() < 2 {
        return Err(NotMine);
    }
    for (column, (cell, doubled)) in columns.iter().zip(cells) {
        let Some(column) = column else { continue };
        let mut cell: Span = span.part(cell);
        if cell.len == 0 {
            continue;
        }
        if doubled {
            let plain = draft.str(cell).replace("\"\"", "\"");
            cell = draft.append(&plain);
        }
        draft.push(Name::Sym(*column), Val::Str(cell), true);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_value_pairs() {
        for (text, between, separator, expected) in [
            (r#"a=1 b="x y" c='z'"#, None, "=", "a:1|b:x y|c:z"),
            ("logname= uid=0 rhost=192.0.2.7  user=root", None, "=", "logname:|uid:0|rhost:192.0.2.7|user:root"),
            ("noise words a=1", None, "=", "a:1"),
            (
                "TTY=pts/0 ; PWD=/a b ; USER=root ; COMMAND=/bin/ls -l",
                Some(" ; "),
                "=",
                "TTY:pts/0|PWD:/a b|USER:root|COMMAND:/bin/ls -l",
            ),
            (r#"a="unclosed"#, None, "=", "a:\"unclosed"),
            ("a: 1, b: 2", Some(", "), ": ", "a:1|b:2"),
            (r#"a="x", b="y, z", c="#, Some(", "), "=", "a:x|b:y, z|c:"),
            (r#"a="x" y; b=1"#, Some(";"), "=", r#"a:"x" y|b:1"#),
            ("a=\"x\"\tb=1", Some("\t"), "=", "a:x|b:1"),
            ("===", None, "=", ""),
            ("ä=ö", None, "=", "ä:ö"),
        ] {
            let found: Vec<String> = pairs(text, between, separator)
                .into_iter()
                .map(|(key, value)| format!("{}:{}", &text[key], &text[value]))
                .collect();
            assert_eq!(found.join("|"), expected, "{text}");
        }
    }

    #[test]
    fn escapes_within_quotes() {
        for (text, expected) in [
            (r#"say \"no\""#, r#"say "no""#),
            (r"C:\dir", r"C:\dir"),
            (r"C:\new", "C:\new"),
            (r"a\\b\x", r"a\b\x"),
            ("ends with \\", "ends with \\"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
