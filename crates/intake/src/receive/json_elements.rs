//! The elements of a JSON array, or JSON values one after another, out of a stream that comes in pieces.
//!
//! This finds where elements begin and end without understanding them; whoever takes an element checks it.

/// One element, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Element<'a> {
    /// Its bytes, without white space around them.
    Whole(&'a [u8]),
    /// Longer than the limit; its bytes are skipped.
    TooLong,
    /// Bytes where no JSON value can be.
    Garbage,
}

/// Where the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[a, b, c]`
    Array,
    /// `{"Records": [a, b, c]}`; the scanner starts after the array's bracket.
    InsideArray,
    /// `a b c`, separated by white space or nothing.
    Sequence,
}

/// Cuts pieces into elements; holds at most one unfinished element of `limit` bytes.
#[derive(Debug)]
pub(crate) struct Elements {
    limit: usize,
    layout: Layout,
    state: State,
    element: Vec<u8>,
    too_long: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BeforeArray,
    Between,
    /// In an object, array or string.
    Nested,
    /// In a number, `true`, `false` or `null`.
    Scalar,
    /// Skipping what cannot be JSON up to the next separator.
    Garbage,
    AfterArray,
}

impl Elements {
    pub(crate) fn new(layout: Layout, limit: usize) -> Self {
        let state = if layout == Layout::Array { State::BeforeArray } else { State::Between };
        Elements {
            limit,
            layout,
            state,
            element: Vec::new(),
            too_long: false,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Calls `each` for every element that the piece completes.
    pub(crate) fn push<E>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(Element<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            match self.state {
                State::BeforeArray => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                    b'[' => {
                        self.state = State::Between;
                        at += 1;
                    }
                    _ => {
                        self.state = State::AfterArray;
                        each(Element::Garbage)?;
                    }
                },
                State::Between => {
                    at += 1;
                    match byte {
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        b',' if self.layout != Layout::Sequence => {}
                        b']' if self.layout != Layout::Sequence => self.state = State::AfterArray,
                        b'{' | b'[' | b'"' => {
                            self.begin(State::Nested, byte);
                            self.depth = usize::from(byte != b'"');
                            self.in_string = byte == b'"';
                        }
                        b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.begin(State::Scalar, byte),
                        _ => {
                            self.state = State::Garbage;
                            each(Element::Garbage)?;
                        }
                    }
                }
                State::Nested => {
                    let end = self.nested_end(&piece[at..]);
                    let taken = end.unwrap_or(piece.len() - at);
                    self.keep(&piece[at..at + taken]);
                    at += taken;
                    if end.is_some() {
                        self.emit(&mut each)?;
                    }
                }
                State::Scalar => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'{' | b'[' | b'"' => self.emit(&mut each)?,
                    _ => {
                        self.keep(&[byte]);
                        at += 1;
                    }
                },
                State::Garbage => {
                    match byte {
                        b'\n' | b',' => self.state = State::Between,
                        b'{' | b'[' => {
                            self.state = State::Between;
                            continue;
                        }
                        _ => {}
                    }
                    at += 1;
                }
                // The closing brace of the object around an array, and what other keys it has, are no records.
                State::AfterArray => return Ok(()),
            }
        }
        Ok(())
    }

    /// The stream has ended.
    pub(crate) fn finish<E>(&mut self, mut each: impl FnMut(Element<'_>) -> Result<(), E>) -> Result<(), E> {
        match self.state {
            State::Scalar => self.emit(&mut each),
            State::Nested => {
                self.element = Vec::new();
                each(Element::Garbage)
            }
            State::Between if self.layout != Layout::Sequence => each(Element::Garbage),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, state: State, byte: u8) {
        self.state = state;
        self.element.clear();
        self.too_long = false;
        self.escaped = false;
        self.keep(&[byte]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        if self.element.len() + bytes.len() > self.limit {
            self.too_long = true;
            self.element = Vec::new();
            return;
        }
        self.element.extend_from_slice(bytes);
    }

    fn emit<E>(&mut self, each: &mut impl FnMut(Element<'_>) -> Result<(), E>) -> Result<(), E> {
        self.state = State::Between;
        match self.too_long {
            true => each(Element::TooLong),
            false => each(Element::Whole(&self.element)),
        }
    }

    /// How many of these bytes belong to the nested value, when it ends among them.
    fn nested_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn cut(layout: Layout, pieces: &[&[u8]]) -> Vec<String> {
        let mut elements = Elements::new(layout, 20);
        let mut found = Vec::new();
        let mut each = |element: Element<'_>| {
            found.push(match element {
                Element::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}"),
            });
            Ok::<(), Infallible>(())
        };
        for piece in pieces {
            let Ok(()) = elements.push(piece, &mut each);
        }
        let Ok(()) = elements.finish(&mut each);
        found
    }

    #[test]
    fn table() {
        let cases: &[(Layout, &str, &[&str])] = &[
            (
                Layout::Array,
                r#" [ {"a":1}, {"b":[1,{"c":2}]} ,3,"x]" ] "#,
                &[r#"{"a":1}"#, r#"{"b":[1,{"c":2}]}"#, "3", r#""x]""#],
            ),
            (Layout::Array, r#"[{"a":"}\"]"}]"#, &[r#"{"a":"}\"]"}"#]),
            (Layout::Array, "[]", &[]),
            (Layout::Array, r#"[{"a":1},{"a""#, &[r#"{"a":1}"#, "Garbage"]),
            (Layout::Array, r#"[{"a":"0123456789012345"},{"b":1}]"#, &["TooLong", r#"{"b":1}"#]),
            (Layout::Array, "x", &["Garbage"]),
            (Layout::InsideArray, r#"{"a":1},{"b":1}],"other":[{"c":1}]}"#, &[r#"{"a":1}"#, r#"{"b":1}"#]),
            (Layout::Sequence, "{\n \"a\": 1\n}{\"b\":2}\n7 true", &["{\n \"a\": 1\n}", r#"{"b":2}"#, "7", "true"]),
            (Layout::Sequence, "{\"a\":1}\n?? oops\n{\"b\":2}", &[r#"{"a":1}"#, "Garbage", r#"{"b":2}"#]),
        ];
        for (layout, text, expected) in cases {
            assert_eq!(cut(*layout, &[text.as_bytes()]), *expected, "{text}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(cut(*layout, &bytes), *expected, "{text}, byte by byte");
        }
    }
}
