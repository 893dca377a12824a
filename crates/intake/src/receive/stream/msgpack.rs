//! MessagePack ([specification](https://github.com/msgpack/msgpack/blob/master/spec.md)): where a value ends in a stream that comes in
//! pieces, and the value as JSON.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::receive::json_text::{number, text};

/// Nesting of one value.
const MAX_DEPTH: usize = 32;

/// This is not MessagePack, or nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// The beginning of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head {
    Nil,
    Bool(bool),
    Int(i64),
    /// Beyond `i64`.
    Unsigned(u64),
    Float(f64),
    /// So many bytes of text follow.
    Str(usize),
    /// So many bytes follow.
    Bin(usize),
    /// So many bytes of an application's type follow.
    Ext(i8, usize),
    /// So many values follow.
    Array(usize),
    /// So many keys and values follow.
    Map(usize),
}

impl Head {
    /// The head at the front, and its length; `None` when more bytes are needed.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, Garbage> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let uint = |size: usize| -> Option<u64> {
            Some(bytes.get(1..1 + size)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
        };
        let length = |size: usize| Some(uint(size)? as usize);
        let ext = |size: usize| Some((*bytes.get(1 + size)? as i8, length(size)?));
        let fixed = |size: usize| bytes.get(1).map(|kind| (Head::Ext(*kind as i8, size), 2));
        let head = match first {
            0x00..=0x7f => Some((Head::Int(i64::from(first)), 1)),
            0x80..=0x8f => Some((Head::Map(usize::from(first & 0x0f)), 1)),
            0x90..=0x9f => Some((Head::Array(usize::from(first & 0x0f)), 1)),
            0xa0..=0xbf => Some((Head::Str(usize::from(first & 0x1f)), 1)),
            0xc0 => Some((Head::Nil, 1)),
            0xc1 => return Err(Garbage),
            0xc2 | 0xc3 => Some((Head::Bool(first == 0xc3), 1)),
            0xc4 => length(1).map(|n| (Head::Bin(n), 2)),
            0xc5 => length(2).map(|n| (Head::Bin(n), 3)),
            0xc6 => length(4).map(|n| (Head::Bin(n), 5)),
            0xc7 => ext(1).map(|(kind, n)| (Head::Ext(kind, n), 3)),
            0xc8 => ext(2).map(|(kind, n)| (Head::Ext(kind, n), 4)),
            0xc9 => ext(4).map(|(kind, n)| (Head::Ext(kind, n), 6)),
            0xca => uint(4).map(|bits| (Head::Float(f64::from(f32::from_bits(bits as u32))), 5)),
            0xcb => uint(8).map(|bits| (Head::Float(f64::from_bits(bits)), 9)),
            0xcc => uint(1).map(|n| (Head::Int(n as i64), 2)),
            0xcd => uint(2).map(|n| (Head::Int(n as i64), 3)),
            0xce => uint(4).map(|n| (Head::Int(n as i64), 5)),
            0xcf => uint(8).map(|n| (i64::try_from(n).map_or(Head::Unsigned(n), Head::Int), 9)),
            0xd0 => uint(1).map(|n| (Head::Int(i64::from(n as u8 as i8)), 2)),
            0xd1 => uint(2).map(|n| (Head::Int(i64::from(n as u16 as i16)), 3)),
            0xd2 => uint(4).map(|n| (Head::Int(i64::from(n as u32 as i32)), 5)),
            0xd3 => uint(8).map(|n| (Head::Int(n as i64), 9)),
            0xd4..=0xd8 => fixed(1 << (first - 0xd4)),
            0xd9 => length(1).map(|n| (Head::Str(n), 2)),
            0xda => length(2).map(|n| (Head::Str(n), 3)),
            0xdb => length(4).map(|n| (Head::Str(n), 5)),
            0xdc => length(2).map(|n| (Head::Array(n), 3)),
            0xdd => length(4).map(|n| (Head::Array(n), 5)),
            0xde => length(2).map(|n| (Head::Map(n), 3)),
            0xdf => length(4).map(|n| (Head::Map(n), 5)),
            0xe0..=0xff => Some((Head::Int(i64::from(first as i8)), 1)),
        };
        Ok(head)
    }

    /// Bytes that follow the head and are no values.
    fn payload(self) -> usize {
        match self {
            Head::Str(length) | Head::Bin(length) | Head::Ext(_, length) => length,
            _ => 0,
        }
    }

    /// Values that follow the head.
    fn children(self) -> u64 {
        match self {
            Head::Array(count) => count as u64,
            Head::Map(count) => 2 * count as u64,
            _ => 0,
        }
    }
}

/// Finds where one value ends; goes on where it stopped when more bytes have come.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Bytes of the value that were passed.
    pub(super) passed: usize,
    /// Payload that is still to come.
    payload: usize,
    /// By depth, values that are still to come.
    left: Vec<u64>,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Scanner { passed: 0, payload: 0, left: vec![1] }
    }

    /// Looks at the bytes from [`Scanner::passed`] on; true when the value is whole.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) -> Result<bool, Garbage> {
        loop {
            let skipped = self.payload.min(bytes.len());
            bytes = &bytes[skipped..];
            self.payload -= skipped;
            self.passed += skipped;
            if self.payload > 0 {
                return Ok(false);
            }
            while self.left.last() == Some(&0) {
                self.left.pop();
            }
            let Some(left) = self.left.last_mut() else { return Ok(true) };
            let Some((head, length)) = Head::read(bytes)? else { return Ok(false) };
            *left -= 1;
            bytes = &bytes[length..];
            self.passed += length;
            self.payload = head.payload();
            if head.children() > 0 {
                if self.left.len() > MAX_DEPTH {
                    return Err(Garbage);
                }
                self.left.push(head.children());
            }
        }
    }
}

/// The value at the front of `bytes`, which is whole, as JSON text behind `json`; the bytes behind the value.
pub(super) fn to_json<'a>(bytes: &'a [u8], json: &mut Vec<u8>) -> Result<&'a [u8], Garbage> {
    value(bytes, json, 0)
}

fn value<'a>(bytes: &'a [u8], json: &mut Vec<u8>, depth: usize) -> Result<&'a [u8], Garbage> {
    let (head, length) = Head::read(bytes)?.ok_or(Garbage)?;
    if depth > MAX_DEPTH {
        return Err(Garbage);
    }
    let rest = &bytes[length..];
    let (payload, mut rest) = rest.split_at_checked(head.payload()).ok_or(Garbage)?;
    match head {
        Head::Nil => json.extend_from_slice(b"null"),
        Head::Bool(value) => json.extend_from_slice(if value { b"true" } else { b"false" }),
        Head::Int(value) => json.extend_from_slice(value.to_string().as_bytes()),
        Head::Unsigned(value) => json.extend_from_slice(value.to_string().as_bytes()),
        Head::Float(value) => number(value, json),
        Head::Str(_) => text(payload, json),
        // Older clients send text so.
        Head::Bin(_) if std::str::from_utf8(payload).is_ok() => text(payload, json),
        Head::Bin(_) => text(STANDARD.encode(payload).as_bytes(), json),
        Head::Ext(kind, _) => {
            json.extend_from_slice(format!("{{\"type\":{kind},\"data\":").as_bytes());
            text(STANDARD.encode(payload).as_bytes(), json);
            json.push(b'}');
        }
        Head::Array(count) => {
            json.push(b'[');
            for index in 0..count {
                if index > 0 {
                    json.push(b',');
                }
                rest = value(rest, json, depth + 1)?;
            }
            json.push(b']');
        }
        Head::Map(count) => {
            json.push(b'{');
            rest = members(rest, count, json, depth)?;
            json.push(b'}');
        }
    }
    Ok(rest)
}

/// So many keys and values, without braces.
pub(super) fn members<'a>(
    mut rest: &'a [u8],
    count: usize,
    json: &mut Vec<u8>,
    depth: usize,
) -> Result<&'a [u8], Garbage> {
    for index in 0..count {
        if index > 0 {
            json.push(b',');
        }
        rest = match Head::read(rest)?.ok_or(Garbage)?.0 {
            Head::Str(_) => value(rest, json, depth + 1)?,
            _ => {
                // A name is text, whatever the key was.
                let mut key = Vec::new();
                let after = value(rest, &mut key, depth + 1)?;
                match key.first() {
                    Some(b'"') => json.append(&mut key),
                    _ => text(&key, json),
                }
                after
            }
        };
        json.push(b':');
        rest = value(rest, json, depth + 1)?;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(bytes: &[u8]) -> Result<String, Garbage> {
        let mut json = Vec::new();
        let rest = to_json(bytes, &mut json)?;
        assert!(rest.is_empty());
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn values() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x07", "7"),
            (b"\xff", "-1"),
            (b"\xd0\x80", "-128"),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", "1.5"),
            (b"\xca\x7f\xc0\0\0", "\"NaN\""),
            (b"\xa3a\"\n", "\"a\\\"\\n\""),
            (b"\xc4\x02\xff\xfe", "\"//4=\""),
            (b"\xc4\x02ab", "\"ab\""),
            (b"\x93\x01\xc0\xc3", "[1,null,true]"),
            (b"\x82\xa1a\x01\x02\x91\xc2", "{\"a\":1,\"2\":[false]}"),
            (b"\xd7\x00\0\0\0\x01\0\0\0\x02", "{\"type\":0,\"data\":\"AAAAAQAAAAI=\"}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(json(bytes).as_deref(), Ok(*expected));
            for cut in 0..bytes.len() {
                let mut scanner = Scanner::new();
                assert_eq!(scanner.advance(&bytes[..cut]), Ok(false));
                assert_eq!(scanner.advance(&bytes[scanner.passed..]), Ok(true));
                assert_eq!(scanner.passed, bytes.len());
            }
        }
        assert_eq!(json(&[0x91; 40]), Err(Garbage));
        assert_eq!(Scanner::new().advance(&[0x91; 40]), Err(Garbage));
        assert_eq!(Scanner::new().advance(b"\xc1"), Err(Garbage));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_scanned_and_written_alike(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut scanner = Scanner::new();
            let mut json = Vec::new();
            match scanner.advance(&bytes) {
                Ok(true) => {
                    let rest = to_json(&bytes, &mut json).unwrap();
                    prop_assert_eq!(bytes.len() - rest.len(), scanner.passed);
                }
                Ok(false) => prop_assert!(to_json(&bytes, &mut json).is_err()),
                Err(Garbage) => {}
            }
        }
    }
}
