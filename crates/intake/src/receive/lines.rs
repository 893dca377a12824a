//! Lines out of a stream that comes in pieces.

/// One line, or the news that it was too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Without its LF or CRLF.
    Whole(&'a [u8]),
    /// Longer than the limit; its bytes are skipped.
    TooLong,
}

/// Cuts pieces into lines; holds at most one unfinished line of `limit` bytes.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    unfinished: Vec<u8>,
    skipping: bool,
}

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Lines { limit, unfinished: Vec::new(), skipping: false }
    }

    /// Calls `each` for every line that the piece completes.
    pub(crate) fn push<E>(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (head, rest) = (&piece[..end], &piece[end + 1..]);
            piece = rest;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.unfinished.is_empty() {
                each(self.judge(head))?;
                continue;
            }
            if self.unfinished.len() + head.len() <= self.limit + 1 {
                self.unfinished.extend_from_slice(head);
                let line = std::mem::take(&mut self.unfinished);
                let outcome = each(self.judge(&line));
                self.unfinished = line;
                self.unfinished.clear();
                outcome?;
            } else {
                self.unfinished.clear();
                each(Line::TooLong)?;
            }
        }
        if self.skipping {
            return Ok(());
        }
        // One byte more than the limit may still be the CR of a CRLF.
        if self.unfinished.len() + piece.len() > self.limit + 1 {
            self.unfinished = Vec::new();
            self.skipping = true;
            return each(Line::TooLong);
        }
        self.unfinished.extend_from_slice(piece);
        Ok(())
    }

    /// The stream has ended: what is left is a line too.
    pub(crate) fn finish<E>(&mut self, mut each: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = std::mem::take(&mut self.unfinished);
        match line.is_empty() {
            true => Ok(()),
            false => each(self.judge(&line)),
        }
    }

    fn judge<'a>(&self, line: &'a [u8]) -> Line<'a> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.limit { Line::TooLong } else { Line::Whole(line) }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn cut(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        let mut each = |line: Line<'_>| {
            found.push(match line {
                Line::Whole(line) => line.escape_ascii().to_string(),
                Line::TooLong => "TooLong".to_owned(),
            });
            Ok::<(), Infallible>(())
        };
        for piece in pieces {
            let Ok(()) = lines.push(piece, &mut each);
        }
        let Ok(()) = lines.finish(&mut each);
        found
    }

    #[test]
    fn table() {
        assert_eq!(cut(4, &[b"one\ntwo\r\n\nthree\nfour\r\nlast"]), ["one", "two", "", "TooLong", "four", "last"]);
        assert_eq!(cut(4, &[b"on", b"e\nlong", b"er", b"rest\nok"]), ["one", "TooLong", "ok"]);
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "[ab\r\n]{0,60}", size in 1usize..7) {
            let whole = cut(4, &[text.as_bytes()]);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(cut(4, &pieces), whole);
        }
    }
}
