//! Cutting a file's bytes into records. Pure: the same bytes give the same records.

use std::ops::Range;

/// How lines are joined into records, such as stack traces.
#[derive(Clone, Debug)]
pub struct Multiline {
    /// A line that matches begins a record; the lines after it that do not match belong to it.
    pub start: regex::bytes::Regex,
    /// A record is split when it has this many lines.
    pub max_lines: usize,
}

impl Multiline {
    /// Up to 1,000 lines to a record.
    ///
    /// # Errors
    /// When the pattern is no regular expression.
    pub fn new(start: &str) -> Result<Self, regex::Error> {
        Ok(Multiline { start: regex::bytes::Regex::new(start)?, max_lines: 1000 })
    }
}

/// What a window of a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Where the records are, without their line ends. Blank lines are none.
    pub(super) records: Vec<Range<usize>>,
    /// Lines over the limit.
    pub(super) too_long: u64,
    /// How many bytes are done with.
    pub(super) consumed: usize,
    /// The consumed bytes end inside an over-long line.
    pub(super) skipping: bool,
}

/// The smallest window that always makes progress: a joined record and an unfinished line after it.
pub(super) const fn smallest_window(limit: usize) -> usize {
    2 * limit + 4
}

/// Cuts a window. `skipping`: it begins inside an over-long line. `is_final`: what is left at its end is a
/// record though no LF follows.
pub(super) fn cut(window: &[u8], skipping: bool, is_final: bool, limit: usize, join: Option<&Multiline>) -> Cut {
    let mut cutter = Cutter { window, limit, join, group: None, lines: 0, cut: Cut::default() };
    let mut at = 0;
    if skipping {
        match memchr::memchr(b'\n', window) {
            Some(end) => at = end + 1,
            None => return Cut { consumed: window.len(), skipping: true, ..Cut::default() },
        }
    }
    while let Some(end) = memchr::memchr(b'\n', &window[at..]).map(|end| at + end) {
        cutter.line(at..end);
        at = end + 1;
    }
    let rest = at..window.len();
    if is_final {
        if !rest.is_empty() {
            cutter.line(rest);
        }
        cutter.end_group();
        cutter.cut.consumed = window.len();
    } else if rest.len() > limit + 1 {
        // One byte over the limit may still be the CR of a CRLF.
        cutter.end_group();
        cutter.cut.too_long += 1;
        cutter.cut.skipping = true;
        cutter.cut.consumed = window.len();
    } else {
        cutter.cut.consumed = cutter.group.as_ref().map_or(at, |group| group.start);
    }
    cutter.cut
}

struct Cutter<'a> {
    window: &'a [u8],
    limit: usize,
    join: Option<&'a Multiline>,
    /// The record that further lines may join.
    group: Option<Range<usize>>,
    lines: usize,
    cut: Cut,
}

impl Cutter<'_> {
    fn line(&mut self, range: Range<usize>) {
        let text = &self.window[range.clone()];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let range = range.start..range.start + text.len();
        if text.len() > self.limit {
            self.end_group();
            self.cut.too_long += 1;
            return;
        }
        let Some(join) = self.join else {
            if !text.is_empty() {
                self.cut.records.push(range);
            }
            return;
        };
        match &mut self.group {
            Some(group)
                if !join.start.is_match(text)
                    && range.end - group.start <= self.limit
                    && self.lines < join.max_lines =>
            {
                group.end = range.end;
                self.lines += 1;
            }
            _ => {
                self.end_group();
                if !text.is_empty() {
                    self.group = Some(range);
                    self.lines = 1;
                }
            }
        }
    }

    fn end_group(&mut self) {
        if let Some(group) = self.group.take() {
            // Blank lines at its end say nothing.
            let text = &self.window[group.clone()];
            let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
            self.cut.records.push(group.start..group.start + end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, is_final: bool, join: Option<&str>, expected: &[&str], consumed: usize, too_long: u64) {
        let join = join.map(|start| Multiline { max_lines: 3, ..Multiline::new(start).unwrap() });
        let cut = cut(text.as_bytes(), false, is_final, 12, join.as_ref());
        let records: Vec<&str> = cut.records.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!((records.as_slice(), cut.consumed, cut.too_long), (expected, consumed, too_long), "{text:?}");
    }

    #[test]
    fn table() {
        check("one\ntwo\r\n\nthr", false, None, &["one", "two"], 10, 0);
        check("one\nthr", true, None, &["one", "thr"], 7, 0);
        check("0123456789abc\nok\n", false, None, &["ok"], 17, 1);
        check("ok\n0123456789abcd", false, None, &["ok"], 17, 1);
        check("0123456789ab\r\n", false, None, &["0123456789ab"], 14, 0);
        check("E a\n at\nE b\n at\n", false, Some("^E"), &["E a\n at"], 8, 0);
        check("E a\n at\nE b\n at\n", true, Some("^E"), &["E a\n at", "E b\n at"], 16, 0);
        check(" at\nE b\n", true, Some("^E"), &[" at", "E b"], 8, 0);
        check("E\n1\n2\n3\n4\n", true, Some("^E"), &["E\n1\n2", "3\n4"], 10, 0);
        check("E 456\n 89abc\nE\n", true, Some("^E"), &["E 456\n 89abc", "E"], 15, 0);
        check("E 456\n 89abcd\nE\n", true, Some("^E"), &["E 456", " 89abcd", "E"], 16, 0);
        check("E a\n\n\nE b\n", true, Some("^E"), &["E a", "E b"], 10, 0);
    }

    #[test]
    fn skips_to_the_next_line() {
        assert_eq!(cut(b"still long", true, false, 4, None), Cut { consumed: 10, skipping: true, ..Cut::default() });
        let found = cut(b"end\nok\n", true, false, 4, None);
        assert_eq!((found.records.first(), found.consumed, found.skipping), (Some(&(4..6)), 7, false));
    }

    proptest! {
        /// However far the file has grown at each look, the records are the same.
        #[test]
        fn growth_changes_nothing(text in "[E a\n\r]{0,200}", step in 1usize..40, joined: bool) {
            let join = joined.then(|| Multiline { max_lines: 3, ..Multiline::new("^E").unwrap() });
            let bytes = text.as_bytes();
            let whole = cut(bytes, false, true, 12, join.as_ref());
            let expected: Vec<&[u8]> = whole.records.iter().map(|range| &bytes[range.clone()]).collect();
            let (mut found, mut too_long, mut offset, mut skipping, mut size) = (Vec::new(), 0, 0, false, 0);
            loop {
                size = (size + step).min(bytes.len());
                let is_final = size == bytes.len();
                let window = &bytes[offset..size];
                let cut = cut(window, skipping, is_final, 12, join.as_ref());
                found.extend(cut.records.iter().map(|range| window[range.clone()].to_vec()));
                too_long += cut.too_long;
                offset += cut.consumed;
                skipping = cut.skipping;
                if is_final {
                    break;
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(too_long, whole.too_long);
        }
    }
}
