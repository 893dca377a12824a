//! Walking JSON as it flows: one goes into the objects and arrays one knows, and takes or leaves each value as it comes.
//!
//! Only what is taken is held, and only up to a size. What is left is read over without being checked closely: its brackets must pair and its
//! strings end.

use std::io::{self, BufRead};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Longest key that can be one of those that are known.
const MAX_KEY: usize = 256;

/// Where and why the walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub line: u32,
    pub message: String,
}

pub(super) struct Json<R> {
    input: R,
    line: u32,
    /// How many objects and arrays the walk is in.
    depth: usize,
}

impl<R: BufRead> Json<R> {
    pub(super) fn new(input: R) -> Self {
        Json { input, line: 1, depth: 0 }
    }

    /// The line that the walk has reached, from 1.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { line: self.line, message: message.into() })
    }

    fn fill(&mut self) -> Result<&[u8], Fault> {
        // Asked twice, because a borrow that is returned from a loop would last through it.
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault { line: self.line, message: format!("cannot read: {error}") }),
            }
        }
        let line = self.line;
        self.input.fill_buf().map_err(|error| Fault { line, message: format!("cannot read: {error}") })
    }

    /// The next byte that is no blank; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let available = self.fill()?;
            if available.is_empty() {
                return Ok(None);
            }
            // A byte order mark is three bytes that are blank here.
            let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf);
            let blanks = available.iter().take_while(|byte| is_blank(byte)).count();
            let next = available.get(blanks).copied();
            let lines = memchr::memchr_iter(b'\n', &available[..blanks]).count();
            self.line = self.line.saturating_add(lines as u32);
            self.input.consume(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Goes into an object (`{`) or array (`[`) if that is what comes next.
    pub(super) fn enter(&mut self, open: u8) -> Result<bool, Fault> {
        if self.peek()? != Some(open) {
            return Ok(false);
        }
        if self.depth >= MAX_DEPTH {
            return self.fault("nested more than 64 deep");
        }
        self.depth += 1;
        self.input.consume(1);
        Ok(true)
    }

    /// Whether the array that was entered has another element; behind the last the walk has left the array. `first` is true before the first.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, Fault> {
        self.another(first, b']')
    }

    /// The next key of the object that was entered; behind the last the walk has left the object. A key too long to be known is empty.
    pub(super) fn key(&mut self, first: &mut bool) -> Result<Option<String>, Fault> {
        if !self.another(first, b'}')? {
            return Ok(None);
        }
        if self.peek()? != Some(b'"') {
            return self.fault("a key should be here");
        }
        let mut raw = Vec::new();
        let whole = self.take(&mut raw, MAX_KEY)?;
        let key = if whole { serde_json::from_slice(&raw).unwrap_or_default() } else { String::new() };
        if self.peek()? != Some(b':') {
            return self.fault("`:` should be here");
        }
        self.input.consume(1);
        Ok(Some(key))
    }

    fn another(&mut self, first: &mut bool, close: u8) -> Result<bool, Fault> {
        let next = self.peek()?;
        if next == Some(close) {
            self.input.consume(1);
            self.depth = self.depth.saturating_sub(1);
            return Ok(false);
        }
        if !std::mem::replace(first, false) {
            if next != Some(b',') {
                return self.fault(if next.is_none() { "ends too early" } else { "`,` should be here" });
            }
            self.input.consume(1);
        }
        match self.peek()? {
            None => self.fault("ends too early"),
            Some(_) => Ok(true),
        }
    }

    /// Takes the next value as it is written; false if it is longer than `most`, and was read over.
    pub(super) fn take(&mut self, value: &mut Vec<u8>, most: usize) -> Result<bool, Fault> {
        value.clear();
        self.read_over(Some((value, most)))
    }

    /// Reads over the next value.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        self.read_over(None).map(drop)
    }

    fn read_over(&mut self, mut into: Option<(&mut Vec<u8>, usize)>) -> Result<bool, Fault> {
        match self.peek()? {
            None => return self.fault("ends too early"),
            Some(byte @ (b',' | b':' | b']' | b'}')) => {
                return self.fault(format!("a value should be here, not `{}`", byte as char));
            }
            Some(_) => {}
        }
        // Bit n: the bracket at depth n is an object's.
        let (mut objects, mut depth) = (0_u64, 0_usize);
        let (mut in_string, mut escaped, mut in_scalar) = (false, false, false);
        let mut whole = true;
        loop {
            let (line, own_depth) = (self.line, self.depth);
            let available = self.fill()?;
            if available.is_empty() {
                // A number may end with the input.
                return if in_scalar && depth == 0 { Ok(whole) } else { self.fault("ends too early") };
            }
            let mut used = available.len();
            let mut done = false;
            let mut fault = None;
            let mut at = 0;
            while at < available.len() {
                let byte = available[at];
                at += 1;
                if in_string {
                    if escaped {
                        escaped = false;
                    } else if byte == b'\\' {
                        escaped = true;
                    } else if byte == b'"' {
                        in_string = false;
                        done = depth == 0;
                    } else {
                        at += memchr::memchr2(b'"', b'\\', &available[at..]).unwrap_or(available.len() - at);
                    }
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => {
                            if depth + own_depth >= MAX_DEPTH {
                                fault = Some("nested more than 64 deep");
                                break;
                            }
                            objects = objects & !(1 << depth) | u64::from(byte == b'{') << depth;
                            depth += 1;
                        }
                        b'}' | b']' if depth > 0 => {
                            depth -= 1;
                            if (objects >> depth & 1 == 1) != (byte == b'}') {
                                fault = Some("brackets do not pair");
                                break;
                            }
                            done = depth == 0;
                        }
                        b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                            // The end of a number or word, which does not belong to it.
                            at -= 1;
                            done = true;
                        }
                        _ => in_scalar |= depth == 0,
                    }
                }
                if done {
                    used = at;
                    break;
                }
            }
            if let Some(message) = fault {
                let line = line.saturating_add(memchr::memchr_iter(b'\n', &available[..at]).count() as u32);
                return Err(Fault { line, message: message.to_owned() });
            }
            let part = &available[..used];
            let lines = memchr::memchr_iter(b'\n', part).count();
            if let Some((value, most)) = &mut into {
                whole &= value.len() + part.len() <= *most;
                if whole {
                    value.extend_from_slice(part);
                } else {
                    value.clear();
                }
            }
            self.input.consume(used);
            self.line = self.line.saturating_add(lines as u32);
            if done {
                return Ok(whole);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// Goes through a document, into objects and arrays to a depth, and writes down what it meets.
    fn walk(text: &[u8], buffer: usize, into: usize) -> Result<String, Fault> {
        fn value<R: BufRead>(json: &mut Json<R>, into: usize, out: &mut String) -> Result<(), Fault> {
            if into > 0 && json.enter(b'{')? {
                out.push('{');
                let mut first = true;
                while let Some(key) = json.key(&mut first)? {
                    out.push_str(&serde_json::to_string(&key).unwrap());
                    out.push(':');
                    value(json, into - 1, out)?;
                    out.push(',');
                }
                out.push('}');
            } else if into > 0 && json.enter(b'[')? {
                out.push('[');
                let mut first = true;
                while json.element(&mut first)? {
                    value(json, into - 1, out)?;
                    out.push(',');
                }
                out.push(']');
            } else {
                let mut raw = Vec::new();
                assert!(json.take(&mut raw, usize::MAX)?);
                out.push_str(str::from_utf8(&raw).unwrap().trim());
            }
            Ok(())
        }
        let mut json = Json::new(BufReader::with_capacity(buffer, text));
        let mut out = String::new();
        value(&mut json, into, &mut out)?;
        if json.peek()?.is_some() {
            return json.fault("something is left");
        }
        Ok(out.replace(",}", "}").replace(",]", "]"))
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line, message) in [
            ("{\"a\": [1,\n2}", 2, "`,` should be here"),
            ("[1 2]", 1, "`,` should be here"),
            ("[1,\n\n", 3, "ends too early"),
            ("{a: 1}", 1, "a key should be here"),
            ("{\"a\" 1}", 1, "`:` should be here"),
            ("{\"a\": }", 1, "a value should be here, not `}`"),
            ("\"abc", 1, "ends too early"),
            ("", 1, "ends too early"),
            (&"[".repeat(100), 1, "nested more than 64 deep"),
        ] {
            for into in [1, 70] {
                let fault = walk(text.as_bytes(), 3, into).unwrap_err();
                assert_eq!((fault.line, fault.message.len() > 3), (line, true), "{text}: {fault:?}");
                if into == 70 {
                    assert_eq!(fault.message, message, "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_is_read_over() {
        let mut json = Json::new(&br#"[ "0123456789", {"a": [1, 2, 3]}, 5 ]"#[..]);
        assert!(json.enter(b'[').unwrap());
        let (mut first, mut value, mut got) = (true, Vec::new(), Vec::new());
        while json.element(&mut first).unwrap() {
            let whole = json.take(&mut value, 10).unwrap();
            got.push((whole, String::from_utf8(value.clone()).unwrap()));
        }
        assert_eq!(got, [(false, String::new()), (false, String::new()), (true, "5".to_owned())]);
    }

    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[a-z\\\\\"{}\\[\\], \n]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[a-c\"\\\\]{0,3}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_walk_meets_what_a_tree_holds(document in documents(), buffer in 1_usize..20, into in 0_usize..6, pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
            // A comma before a bracket within a string would be taken away by the walk's writer.
            prop_assume!(!text.contains(",}") && !text.contains(",]"));
            let walked = walk(text.as_bytes(), buffer, into).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&walked).unwrap(), document);
        }

        #[test]
        fn a_broken_document_ends_in_a_fault(text in "[\\[\\]{}\":,a1 \\\\]{0,40}", buffer in 1_usize..8) {
            // What serde reads, the walk reads; the walk may read more, since it does not look into words.
            let read = walk(text.as_bytes(), buffer, 70);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(read.is_ok(), "{read:?}");
            }
        }
    }
}
