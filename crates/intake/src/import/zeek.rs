//! Zeek's tab-separated logs: rows become the JSON that Zeek's JSON writer gives, with `_path`.
//!
//! The header is `#separator`, `#set_separator`, `#empty_field`, `#unset_field`, `#path`, `#fields` and
//! `#types` (Zeek manual, "Log Formats"); it may come again where logs were joined.

use serde_json::{Map, Value};

/// Longest header line; Zeek's own are some hundred bytes. Every row repeats the names, so that a long header and
/// short rows would make very much out of little.
const MAX_HEADER: usize = 8 << 10;

/// The header's state.
pub(super) struct Table {
    separator: Vec<u8>,
    set_separator: Vec<u8>,
    empty_field: Vec<u8>,
    unset_field: Vec<u8>,
    path: String,
    fields: Vec<String>,
    types: Vec<Type>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Bool,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Type {
    kind: Kind,
    is_list: bool,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            separator: b"\t".to_vec(),
            set_separator: b",".to_vec(),
            empty_field: b"(empty)".to_vec(),
            unset_field: b"-".to_vec(),
            path: String::new(),
            fields: Vec::new(),
            types: Vec::new(),
        }
    }
}

impl Table {
    /// Takes a line; header lines give nothing.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Result<Vec<u8>, String>> {
        match line.strip_prefix(b"#") {
            Some(header) => {
                self.header(header);
                None
            }
            None => Some(self.row(line)),
        }
    }

    fn header(&mut self, header: &[u8]) {
        if header.len() > MAX_HEADER {
            // The rows that follow are refused for want of it.
            self.fields.clear();
            return;
        }
        if let Some(separator) = header.strip_prefix(b"separator ") {
            *self = Table { separator: unescaped(separator), ..Table::default() };
            return;
        }
        let mut parts = split(header, &self.separator);
        let Some(name) = parts.next() else { return };
        let texts = |parts: &mut dyn Iterator<Item = &[u8]>| -> Vec<String> {
            parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
        };
        match name {
            b"set_separator" => self.set_separator = parts.next().unwrap_or(b",").to_vec(),
            b"empty_field" => self.empty_field = parts.next().unwrap_or(b"(empty)").to_vec(),
            b"unset_field" => self.unset_field = parts.next().unwrap_or(b"-").to_vec(),
            b"path" => self.path = texts(&mut parts).concat(),
            b"fields" => self.fields = texts(&mut parts),
            b"types" => self.types = parts.map(Type::of).collect(),
            // `open` and `close` say when the file was.
            _ => {}
        }
    }

    fn row(&self, line: &[u8]) -> Result<Vec<u8>, String> {
        if self.fields.is_empty() || self.fields.len() != self.types.len() {
            return Err("a row without a valid #fields and #types header before it".to_owned());
        }
        let columns = split(line, &self.separator).count();
        if columns != self.fields.len() {
            return Err(format!("{columns} columns where the header names {}", self.fields.len()));
        }
        let mut record = Map::new();
        if !self.path.is_empty() {
            record.insert("_path".to_owned(), Value::from(self.path.as_str()));
        }
        for ((field, kind), text) in self.fields.iter().zip(&self.types).zip(split(line, &self.separator)) {
            if text != self.unset_field {
                record.insert(field.clone(), self.value(*kind, text));
            }
        }
        serde_json::to_vec(&record).map_err(|error| error.to_string())
    }

    fn value(&self, kind: Type, text: &[u8]) -> Value {
        if !kind.is_list {
            return if text == self.empty_field { Value::from("") } else { scalar(kind.kind, text) };
        }
        if text == self.empty_field {
            return Value::Array(Vec::new());
        }
        let elements = split(text, &self.set_separator);
        elements.map(|text| if text == self.unset_field { Value::Null } else { scalar(kind.kind, text) }).collect()
    }
}

impl Type {
    fn of(name: &[u8]) -> Type {
        let inner = [&b"set["[..], b"vector["].iter().find_map(|list| name.strip_prefix(*list)?.strip_suffix(b"]"));
        let kind = match inner.unwrap_or(name) {
            b"time" | b"interval" | b"double" | b"count" | b"int" | b"port" => Kind::Number,
            b"bool" => Kind::Bool,
            _ => Kind::Text,
        };
        Type { kind, is_list: inner.is_some() }
    }
}

fn scalar(kind: Kind, text: &[u8]) -> Value {
    let as_text = || Value::from(String::from_utf8_lossy(&unescaped(text)).into_owned());
    match (kind, text) {
        (Kind::Bool, b"T") => Value::Bool(true),
        (Kind::Bool, b"F") => Value::Bool(false),
        (Kind::Number, _) => number(text).unwrap_or_else(as_text),
        _ => as_text(),
    }
}

/// A number in JSON's form; `nan`, `0x10` and the like are none.
fn number(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok().filter(Value::is_number)
}

fn split<'a>(text: &'a [u8], separator: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = if separator.is_empty() { None } else { memchr::memmem::find(text, separator) };
        match end {
            Some(end) => {
                rest = Some(&text[end + separator.len()..]);
                Some(&text[..end])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// Zeek writes bytes that are not printable, and separators inside values, as `\xHH`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .strip_prefix(b"x")
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits.get(..2)?).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let mut table = Table::default();
        let rows: Vec<String> = text
            .lines()
            .filter_map(|line| table.line(line.as_bytes()))
            .map(|row| row.map_or_else(|error| format!("error: {error}"), |row| String::from_utf8(row).unwrap()))
            .collect();
        expected.assert_eq(&rows.join("\n"));
    }

    #[test]
    fn rows_become_typed_json() {
        check(
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2026-11-21-04-11-52\n\
             #fields\tts\tuid\tid.orig_h\tid.orig_p\tservice\tlocal\tduration\ttunnel_parents\tnote\tvec\n\
             #types\ttime\tstring\taddr\tport\tstring\tbool\tinterval\tset[string]\tstring\tvector[count]\n\
             1300475167.096535\tCXWv6p3\t141.142.220.202\t5353\tdns\tT\t-\t(empty)\ta\\x09b \\xc3\\xa9\t1,2\n\
             1300475168.9\tC2\tfe80::1\t80\t-\tF\t0.000100\tCa,Cb\t(empty)\t-\n\
             too\tfew\n\
             x\tC3\t::\tnan\t-\t-\t-\t-\t-\t-\n\
             #close\t2026-11-21-04-12-00",
            expect![[r#"
                {"_path":"conn","ts":1300475167.096535,"uid":"CXWv6p3","id.orig_h":"141.142.220.202","id.orig_p":5353,"service":"dns","local":true,"tunnel_parents":[],"note":"a\tb é","vec":[1,2]}
                {"_path":"conn","ts":1300475168.9,"uid":"C2","id.orig_h":"fe80::1","id.orig_p":80,"local":false,"duration":0.0001,"tunnel_parents":["Ca","Cb"],"note":""}
                error: 2 columns where the header names 10
                {"_path":"conn","ts":"x","uid":"C3","id.orig_h":"::","id.orig_p":"nan"}"#]],
        );
        let long = format!("#fields\ta\n#types\tstring\nx\n#path\t{}\nx", "p".repeat(MAX_HEADER));
        check(
            &long,
            expect![[r#"
                {"a":"x"}
                error: a row without a valid #fields and #types header before it"#]],
        );
        check("1\t2", expect!["error: a row without a valid #fields and #types header before it"]);
    }
}
