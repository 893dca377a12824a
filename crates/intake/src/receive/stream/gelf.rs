//! GELF over TCP: JSON objects, each ended by a NUL byte
//! ([Graylog Extended Log Format](https://go2docs.graylog.org/current/getting_in_log_data/gelf.html)). A line end ends one too,
//! as some clients can be told to send; JSON needs neither inside.

use bytes::{Buf, BytesMut};

use super::{Dialogue, Next, Turn};

/// One connection's framing.
pub struct Gelf {
    buffer: BytesMut,
    limit: usize,
    /// Bytes at the front of the buffer without an end.
    scanned: usize,
    /// Inside a message over the limit.
    skipping: bool,
}

impl Gelf {
    /// Messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Gelf { buffer: BytesMut::new(), limit, scanned: 0, skipping: false }
    }

    fn message(&mut self, mut message: BytesMut, turn: &mut Turn) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        // With its padding: how much of it that is must not depend on how it comes.
        if message.len() > self.limit {
            turn.too_large += 1;
            return;
        }
        let start = message.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        message.advance(start);
        let end = message.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |at| at + 1);
        message.truncate(end);
        if !message.is_empty() {
            turn.push(message.freeze());
        }
    }
}

impl Dialogue for Gelf {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn take(&mut self, turn: &mut Turn) -> Next {
        while !turn.is_full() {
            let Some(end) = memchr::memchr2(0, b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.buffer.len() > self.limit {
                    turn.too_large += u64::from(!self.skipping);
                    self.skipping = true;
                    self.buffer.clear();
                    self.scanned = 0;
                }
                return Next::Read;
            };
            let mut message = self.buffer.split_to(self.scanned + end + 1);
            self.scanned = 0;
            message.truncate(message.len() - 1);
            self.message(message, turn);
        }
        Next::Again
    }

    fn is_inside(&mut self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    fn end(&mut self, turn: &mut Turn) {
        // Only what ended is known to be whole; what follows the last end is one too if it is a JSON object.
        let rest = self.buffer.split();
        if rest.iter().all(|byte| byte.is_ascii_whitespace()) {
            return;
        }
        match serde_json::from_slice::<serde::de::IgnoredAny>(&rest) {
            Ok(_) => self.message(rest, turn),
            Err(_) => turn.truncated += u64::from(!std::mem::take(&mut self.skipping)),
        }
    }

    fn acknowledges(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(stream: &[u8], size: usize) -> (Vec<String>, u64) {
        let (mut gelf, mut turn) = (Gelf::new(10), Turn::default());
        for piece in stream.chunks(size) {
            gelf.buffer().extend_from_slice(piece);
            assert_eq!(gelf.take(&mut turn), Next::Read);
        }
        gelf.end(&mut turn);
        (turn.records.iter().map(|record| record.escape_ascii().to_string()).collect(), turn.too_large)
    }

    /// Found while writing the fuzz target: a message that only its padding made too long was one or none, by how it came.
    #[test]
    fn the_same_however_it_is_cut() {
        let stream = b" {} \0\0    {}       \n{\"a\":10}\0{\"a\":10000}\0           \n{}";
        for size in [1, 3, 7, stream.len()] {
            assert_eq!(
                talk(stream, size),
                (vec!["{}".to_owned(), "{\\\"a\\\":10}".to_owned(), "{}".to_owned()], 3),
                "{size}"
            );
        }
    }
}
