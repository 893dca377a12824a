//! Lines of bounded length.

use std::io::{self, BufRead};

/// Longest line, in bytes.
pub(super) const MAX_LINE: usize = 64 << 10;

/// The lines of an input.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u32,
}

/// A line that was read.
pub(super) enum Line<'a> {
    /// Without its end; what is not UTF-8 is replaced.
    Text(std::borrow::Cow<'a, str>),
    /// Longer than [`MAX_LINE`]; it was read over.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines { input, line: Vec::new(), number: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                if length == 0 {
                    return Ok(None);
                }
                break;
            }
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            let room = (MAX_LINE + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            length += used;
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number = self.number.saturating_add(1);
        if self.line.len() > MAX_LINE {
            return Ok(Some(Line::TooLong));
        }
        let text = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        // A byte order mark in front of the first line.
        let text = if self.number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        Ok(Some(Line::Text(String::from_utf8_lossy(text))))
    }
}
