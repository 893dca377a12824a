//! ArcSight Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value …`.

use crate::parse::{
    draft::{Draft, Span, Val},
    vocabulary::Vocabulary,
};

/// Reads a CEF record in `span` into `cef.*` fields; false, and nothing changed, if it is none.
pub(crate) fn read(draft: &mut Draft, vocabulary: &Vocabulary, span: Span) -> bool {
    let known = vocabulary.known;
    let text = draft.str(span);
    let Some(rest) = text.strip_prefix("CEF:") else { return false };
    let base = text.len() - rest.len();
    let mut parts = [Span::default(); 7];
    let mut start = base;
    let mut count = 0;
    let mut escaped = false;
    let mut end = text.len();
    for (at, byte) in text.bytes().enumerate().skip(base) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'|' => {
                parts[count] = span.part(start..at);
                count += 1;
                start = at + 1;
                if count == 7 {
                    end = at + 1;
                    break;
                }
            }
            _ => {}
        }
    }
    if count == 6 {
        // No extension and no last bar.
        parts[6] = span.part(start..text.len());
        end = text.len();
    } else if count != 7 {
        return false;
    }
    let extension = span.part(end..text.len());
    let names =
        [known.cef_vendor, known.cef_product, known.cef_version, known.cef_class, known.cef_name, known.cef_severity];
    for (sym, part) in names.into_iter().zip(&parts[1..]) {
        let value = plain(draft, *part);
        draft.push(crate::parse::draft::Name::Sym(sym), Val::Str(value), true);
    }
    for (key, value) in pairs(draft.str(extension)) {
        let key = draft.str(extension.part(key)).to_owned();
        let value = plain(draft, extension.part(value));
        let name = draft.name(vocabulary, &["cef.", &key]);
        draft.push(name, Val::Str(value), true);
    }
    true
}

pub(super) type Pair = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Values may hold spaces: one ends where the next ` key=` begins.
pub(super) fn pairs(text: &str) -> Vec<Pair> {
    let bytes = text.as_bytes();
    let mut keys: Vec<(usize, usize)> = Vec::new();
    for at in memchr::memchr_iter(b'=', bytes) {
        if at > 0 && bytes[at - 1] == b'\\' {
            continue;
        }
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-[]".contains(byte);
        let from = keys.last().map_or(0, |(_, equals)| equals + 1);
        let start = from + bytes[from..at].iter().rposition(|byte| !is_key(byte)).map_or(0, |found| found + 1);
        if start < at && (start == 0 || bytes[start - 1] == b' ') && keys.len() < 1024 {
            keys.push((start, at));
        }
    }
    keys.iter()
        .enumerate()
        .map(|(index, (start, equals))| {
            let end = keys.get(index + 1).map_or(text.len(), |(next, _)| next - 1);
            let value = *equals + 1..end.max(equals + 1);
            let trimmed = text[value.clone()].trim_end().len();
            (*start..*equals, value.start..value.start + trimmed)
        })
        .collect()
}

/// The value without its escapes.
fn plain(draft: &mut Draft, span: Span) -> Span {
    if !draft.str(span).contains('\\') {
        return span;
    }
    let mut plain = String::new();
    let mut chars = draft.str(span).chars();
    while let Some(char) = chars.next() {
        match (char, chars.clone().next()) {
            ('\\', Some(next @ ('|' | '=' | '\\' | 'n' | 'r'))) => {
                chars.next();
                plain.push(match next {
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => plain.push(char),
        }
    }
    draft.append(&plain)
}
