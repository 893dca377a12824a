//! Wazuh's rule files: almost XML.
//!
//! They have several top-level elements, `\<` for a plain `<`, and `&` as itself. There is no document type here, so
//! there are no entities to expand; size, depth and number of elements are bounded.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

/// Largest file.
pub(super) const MAX_FILE_BYTES: usize = 8 << 20;
/// Deepest nesting: group, rule, mitre, id.
const MAX_DEPTH: usize = 8;
/// Most elements of a file.
const MAX_ELEMENTS: usize = 200_000;
/// Most attributes of an element.
const MAX_ATTRIBUTES: usize = 32;
/// Stands for `\<` while XML is read.
const ESCAPED: char = '\u{e000}';

/// An element with what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    /// The line it begins at, from 1.
    pub(super) line: u32,
    pub(super) attributes: Vec<(String, String)>,
    /// Its own text, without that of its children.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the top-level elements of a file, or says in which line it is no rule file.
pub(super) fn read(text: &str) -> Result<Vec<Element>, (u32, String)> {
    if text.len() > MAX_FILE_BYTES {
        return Err((0, format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    if let Some(at) = text.find(ESCAPED) {
        return Err((line(text, at), "the character U+E000 is not supported".into()));
    }
    let text = escape(text);
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.expand_empty_elements = true;
    let mut lines = Lines { text: &text, at: 0, line: 1 };
    let mut top = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    loop {
        let place = lines.of(reader.buffer_position());
        let event = reader.read_event();
        let wrong = |reason: String| (place, reason);
        match event.map_err(|error| (place, format!("not well-formed: {error}")))? {
            Event::Start(start) => {
                elements += 1;
                if open.len() == MAX_DEPTH {
                    return Err(wrong(format!("nested deeper than {MAX_DEPTH} elements")));
                }
                if elements > MAX_ELEMENTS {
                    return Err(wrong(format!("more than {MAX_ELEMENTS} elements")));
                }
                open.push(element(&start, place).map_err(wrong)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { return Err(wrong("an end without a beginning".into())) };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => top.push(done),
                }
            }
            Event::Text(text) => add(&mut open, &text.into_inner()),
            Event::CData(text) => add(&mut open, &text.into_inner()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(char)) => add(&mut open, char.encode_utf8(&mut [0; 4])),
                Ok(None) => {
                    let name = reference.into_inner();
                    match resolve_predefined_entity(&name) {
                        Some(text) => add(&mut open, text),
                        // To Wazuh an ampersand is a character like any other.
                        None => add(&mut open, &format!("&{name};")),
                    }
                }
                Err(_) => return Err(wrong("a reference to no character".into())),
            },
            Event::DocType(_) => return Err(wrong("a document type: rule files have none".into())),
            Event::Eof => break,
            _ => {}
        }
    }
    match open.last() {
        Some(element) => Err((element.line, format!("`<{}>` is not closed", element.name))),
        None => Ok(top),
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.extend(text.chars().map(unescape));
    }
}

fn element(start: &BytesStart<'_>, line: u32) -> Result<Element, String> {
    let mut element = Element { name: start.name().as_ref().to_owned(), line, ..Element::default() };
    for attribute in start.html_attributes() {
        let attribute = attribute.map_err(|error| format!("not well-formed: {error}"))?;
        if element.attributes.len() == MAX_ATTRIBUTES {
            return Err(format!("more than {MAX_ATTRIBUTES} attributes"));
        }
        let raw = attribute.value.as_ref();
        let value = quick_xml::escape::unescape(raw).map_or_else(|_| raw.to_owned(), std::borrow::Cow::into_owned);
        element.attributes.push((attribute.key.as_ref().to_owned(), value.chars().map(unescape).collect()));
    }
    Ok(element)
}

fn unescape(c: char) -> char {
    if c == ESCAPED { '<' } else { c }
}

/// `\<` is a plain `<`, unless it ends a value whose last character is a backslash.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\<") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        escaped.push_str(before);
        let ends = after
            .strip_prefix('/')
            .and_then(|tag| tag.split_once('>'))
            .is_some_and(|(name, _)| super::rule::ELEMENTS.contains(&name.trim_end()));
        let comment = after.starts_with("!--");
        if ends || comment {
            escaped.push_str("\\<");
        } else {
            escaped.push(ESCAPED);
        }
        rest = after;
    }
    escaped.push_str(rest);
    escaped
}

fn line(text: &str, at: usize) -> u32 {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() as u32
}

/// Line numbers of places that only move forward.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    fn of(&mut self, at: u64) -> u32 {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.text.len());
        let passed = self.text.as_bytes().get(self.at..at).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u32;
        self.at = self.at.max(at);
        self.line
    }
}

/// Reads any text and says how many elements it has: what the fuzz target calls.
#[doc(hidden)]
pub fn probe(text: &str) -> Result<usize, (u32, String)> {
    fn count(elements: &[Element]) -> usize {
        elements.iter().map(|element| 1 + count(&element.children)).sum()
    }
    read(text).map(|elements| count(&elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, u32, String)> {
        read(text).unwrap().into_iter().map(|e| (e.name, e.line, e.text)).collect()
    }

    #[test]
    fn reads_what_wazuh_reads() {
        let text = "<!-- a --- comment -->\n<var name=\"X\">a&b</var>\n\n<match>\\<script> &lt;&#65;&amp;&nbsp; \\d\\\\</match>";
        assert_eq!(
            texts(text),
            [("var".into(), 2, "a&b".into()), ("match".into(), 4, "<script> <A&&nbsp; \\d\\\\".into())]
        );
        assert_eq!(texts("<match>a\\</match>")[0].2, "a\\");
        assert_eq!(texts("<match>\\</script></match>")[0].2, "</script>");
        let rule = &read("<rule id='1' noalert level=\"3\"><if_sid>7</if_sid><same_user /></rule>").unwrap()[0];
        assert_eq!((rule.attribute("id"), rule.attribute("noalert")), (Some("1"), Some("")));
        assert_eq!(rule.children.iter().map(|child| child.name.as_str()).collect::<Vec<_>>(), ["if_sid", "same_user"]);
    }

    #[test]
    fn hostile_files_are_refused() {
        for (text, line, reason) in [
            ("<!DOCTYPE x [<!ENTITY a \"b\">]>\n<x>&a;</x>", 1, "a document type"),
            ("<rule>\n<match>", 2, "`<match>` is not closed"),
            ("<a>\n</b>", 1, "not well-formed"),
            ("<a>&#xd800;</a>", 1, "a reference to no character"),
            ("\n\u{e000}", 2, "U+E000"),
        ] {
            let (at, why) = read(text).unwrap_err();
            assert!(at >= line && at <= line + 1 && why.contains(reason), "{text}: {at} {why}");
        }
        let deep = "<a>".repeat(100_000);
        assert!(read(&deep).unwrap_err().1.contains("nested deeper"));
        let many = "<a/>".repeat(MAX_ELEMENTS + 1);
        assert!(read(&many).unwrap_err().1.contains("more than 200000 elements"));
        assert!(read(&" ".repeat(MAX_FILE_BYTES + 1)).unwrap_err().1.contains("larger than"));
    }
}
