//! Syslog over a byte stream, RFC 6587: octet-counted frames (§3.4.1) and lines (§3.4.2), told apart per
//! message.
//!
//! A frame is octet-counted when it begins with a number, a space and `<`, or, after another octet-counted
//! frame, with a number and a space; so a line that begins with a number ("10 packets dropped") stays a
//! line. A line ends with LF only: a NUL inside a message must not let an attacker begin a new one. NUL, CR
//! and LF at the ends of a message are framing and not part of the record; empty messages are framing too.

use bytes::{Buf, Bytes, BytesMut};

/// Longest number that is taken for an octet count.
const MAX_COUNT_DIGITS: usize = 9;

/// What the framer found next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message without its framing.
    Record(Bytes),
    /// A message over the limit; its bytes are skipped.
    TooLarge,
    /// An octet-counted message that the stream ended in.
    Truncated,
}

/// Cuts a stream into messages; gives the same ones however the stream is cut into reads. Holds at most
/// one unfinished message.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that are known to hold no LF.
    scanned: usize,
    state: State,
    last_was_counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Line,
    Counted(usize),
    SkipLine,
    SkipCounted(usize),
}

/// What a message's first bytes say.
enum Head {
    Unclear,
    Line,
    Counted { digits: usize, count: usize },
}

impl Framer {
    /// A framer that refuses messages longer than `limit` bytes (for lines: without LF).
    pub fn new(limit: usize) -> Self {
        Framer { limit, buffer: BytesMut::new(), scanned: 0, state: State::Start, last_was_counted: false }
    }

    /// Where to read more bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.state != State::Start || !self.buffer.is_empty()
    }

    /// The next message, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Framed> {
        loop {
            match self.state {
                State::Start => {
                    let framing = self.buffer.iter().take_while(|byte| is_framing(**byte)).count();
                    self.buffer.advance(framing);
                    self.scanned = 0;
                    match self.head() {
                        Head::Unclear => return None,
                        Head::Line => self.state = State::Line,
                        Head::Counted { digits, count } => {
                            self.buffer.advance(digits + 1);
                            self.last_was_counted = true;
                            if count > self.limit {
                                self.state = State::SkipCounted(count);
                                return Some(Framed::TooLarge);
                            }
                            self.state = State::Counted(count);
                        }
                    }
                }
                State::Line => {
                    let end = memchr::memchr(b'\n', &self.buffer[self.scanned..]).map(|at| at + self.scanned);
                    match end {
                        Some(end) => {
                            let mut line = self.buffer.split_to(end + 1);
                            line.truncate(end);
                            self.state = State::Start;
                            self.last_was_counted = false;
                            if end > self.limit {
                                return Some(Framed::TooLarge);
                            }
                            if let Some(record) = trimmed(line) {
                                return Some(record);
                            }
                        }
                        None if self.buffer.len() > self.limit => {
                            self.state = State::SkipLine;
                            return Some(Framed::TooLarge);
                        }
                        None => {
                            self.scanned = self.buffer.len();
                            return None;
                        }
                    }
                }
                State::Counted(count) => {
                    if self.buffer.len() < count {
                        return None;
                    }
                    let message = self.buffer.split_to(count);
                    self.state = State::Start;
                    if let Some(record) = trimmed(message) {
                        return Some(record);
                    }
                }
                State::SkipLine => {
                    let Some(end) = memchr::memchr(b'\n', &self.buffer) else {
                        self.buffer.clear();
                        return None;
                    };
                    self.buffer.advance(end + 1);
                    self.state = State::Start;
                    self.last_was_counted = false;
                }
                State::SkipCounted(left) => {
                    let skipped = left.min(self.buffer.len());
                    self.buffer.advance(skipped);
                    if skipped < left {
                        self.state = State::SkipCounted(left - skipped);
                        return None;
                    }
                    self.state = State::Start;
                }
            }
        }
    }

    /// The stream has ended: a line without LF is a message, an incomplete octet-counted one is not.
    /// Call [`Framer::next_frame`] first until it returns `None`.
    pub fn finish(&mut self) -> Option<Framed> {
        let rest = self.buffer.split();
        match std::mem::replace(&mut self.state, State::Start) {
            State::Start if rest.is_empty() => None,
            // Only a number, and perhaps a space, leaves the start undecided.
            State::Start if self.last_was_counted => Some(Framed::Truncated),
            State::Start | State::Line => trimmed(rest),
            State::Counted(_) => Some(Framed::Truncated),
            State::SkipLine | State::SkipCounted(_) => None,
        }
    }

    fn head(&self) -> Head {
        self.head_of(&self.buffer)
    }

    fn head_of(&self, bytes: &[u8]) -> Head {
        let digits = bytes.iter().take(MAX_COUNT_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
        match (bytes.first(), bytes.get(digits), bytes.get(digits + 1)) {
            (None, ..) => Head::Unclear,
            (Some(b'1'..=b'9'), None, _) if digits <= MAX_COUNT_DIGITS => Head::Unclear,
            (Some(b'1'..=b'9'), Some(b' '), next) if digits <= MAX_COUNT_DIGITS => match next {
                None if !self.last_was_counted => Head::Unclear,
                Some(byte) if *byte != b'<' && !self.last_was_counted => Head::Line,
                _ => {
                    let count = bytes[..digits].iter().fold(0, |count, digit| count * 10 + usize::from(digit - b'0'));
                    Head::Counted { digits, count }
                }
            },
            _ => Head::Line,
        }
    }
}

fn is_framing(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// The message without framing bytes at its ends; nothing when nothing is left.
fn trimmed(mut message: BytesMut) -> Option<Framed> {
    let end = message.iter().rposition(|byte| !is_framing(*byte))? + 1;
    message.truncate(end);
    let start = message.iter().take_while(|byte| is_framing(**byte)).count();
    message.advance(start);
    Some(Framed::Record(message.freeze()))
}

/// A datagram without framing bytes at its ends; `None` when nothing is left.
pub(crate) fn trim_datagram(datagram: BytesMut) -> Option<Bytes> {
    match trimmed(datagram) {
        Some(Framed::Record(record)) => Some(record),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::new(limit);
        let mut found = Vec::new();
        for piece in pieces {
            framer.buffer().extend_from_slice(piece);
            found.extend(std::iter::from_fn(|| framer.next_frame()));
        }
        found.extend(framer.finish());
        found
            .into_iter()
            .map(|framed| match framed {
                Framed::Record(record) => record.escape_ascii().to_string(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn table() {
        let cases: &[(&str, &[u8], &[&str])] = &[
            ("lines", b"<13>one\n<13>two\n", &["<13>one", "<13>two"]),
            ("CRLF and NUL are framing", b"<13>one\r\n<13>two\0\n\0<13>three\n", &["<13>one", "<13>two", "<13>three"]),
            ("NUL inside stays", b"<13>a\0<13>b\n", &["<13>a\\x00<13>b"]),
            ("empty lines are framing", b"\n\r\n<13>one\n\n", &["<13>one"]),
            ("counted", b"7 <13>one8 <13>four", &["<13>one", "<13>four"]),
            ("counted with LF in and after the count", b"8 <13>one\n7 <13>two\n7 <13>six", &["<13>one", "<13>two", "<13>six"]),
            ("LF inside a counted message stays", b"9 <13>a\nb\nc7 <13>two", &["<13>a\\nb\\nc", "<13>two"]),
            ("mixed per message", b"7 <13>one<14>line\n7 <13>two<15>last", &["<13>one", "<14>line", "<13>two", "<15>last"]),
            ("a line that begins with a number", b"10 packets dropped\n2026-11-21 up\n", &["10 packets dropped", "2026-11-21 up"]),
            ("counted without priority after counted", b"7 <13>one5 plain", &["<13>one", "plain"]),
            ("counted as rsyslog sends it", b"88 <38>1 2026-11-21T04:11:52.000000+00:00 host sshd 811 - - Failed password for root from x", &["<38>1 2026-11-21T04:11:52.000000+00:00 host sshd 811 - - Failed password for root from x"]),
            ("last line without LF", b"<13>one\n<13>two", &["<13>one", "<13>two"]),
            ("closed inside a counted message", b"7 <13>one20 <13>half", &["<13>one", "Truncated"]),
            ("closed inside the first counted message", b"20 <13>half", &["Truncated"]),
            ("closed after a count", b"7 <13>one20 ", &["<13>one", "Truncated"]),
            ("digits only", b"12", &["12"]),
            ("zero is no count", b"0 <13>x\n", &["0 <13>x"]),
            ("invalid UTF-8 is kept", b"<13>\xff\xfe\n", &["<13>\\xff\\xfe"]),
            ("a long line is skipped up to its LF", b"<13>0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\n<13>next\n", &["TooLarge", "<13>next"]),
            ("a long counted message is skipped by count", b"109 <13>012345678901234567890123456789\n123456789012345678901234567890123456789012345678901234567890123456789012347 <13>two", &["TooLarge", "<13>two"]),
            ("an absurd count skips the rest", b"999999999 <13>x\n<13>y\n", &["TooLarge"]),
            ("too many digits make a line", b"9999999999 <13>x\n<13>y\n", &["9999999999 <13>x", "<13>y"]),
        ];
        for (name, stream, expected) in cases {
            assert_eq!(frames(100, &[stream]), *expected, "{name}");
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(frames(100, &bytes), *expected, "{name}, byte by byte");
        }
    }

    #[test]
    fn memory_stays_bounded_in_a_long_line() {
        let mut framer = Framer::new(1000);
        for _ in 0..10_000 {
            framer.buffer().extend_from_slice(&[b'x'; 1024]);
            while framer.next_frame().is_some() {}
            assert!(framer.buffer().len() <= 1000);
        }
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            messages in proptest::collection::vec(("[ -~]{1,40}", any::<bool>()), 0..12),
            noise in proptest::collection::vec(any::<u8>(), 0..60),
            cuts in proptest::collection::vec(1usize..9, 1..200),
        ) {
            let mut stream = Vec::new();
            for (text, counted) in messages {
                let message = format!("<13>{text}");
                stream.extend(match counted {
                    true => format!("{} {message}", message.len()),
                    false => format!("{message}\n"),
                }.into_bytes());
            }
            stream.extend(noise);
            let mut rest = stream.as_slice();
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(frames(30, &pieces), frames(30, &[stream.as_slice()]));
        }

        #[test]
        fn what_was_framed_comes_out(messages in proptest::collection::vec(("[ -~]{0,40}[!-~]", any::<bool>()), 0..20)) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (text, counted) in messages {
                let message = format!("<13>{text}");
                stream.extend(match counted {
                    true => format!("{} {message}", message.len()),
                    false => format!("{message}\n"),
                }.into_bytes());
                expected.push(message.escape_default().to_string().replace("\\'", "'").replace("\\\"", "\""));
            }
            let found: Vec<String> =
                frames(100, &[stream.as_slice()]).into_iter().map(|record| record.replace("\\'", "'").replace("\\\"", "\"")).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
