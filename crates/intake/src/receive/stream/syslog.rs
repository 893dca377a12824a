//! Syslog over TCP (RFC 6587) and TLS (RFC 5425).
//!
//! The protocol has no acknowledgement: what a client has sent and we have not read is lost when the connection breaks.
//! What was read is stored, however long the spool makes us wait.

use bytes::BytesMut;

use super::{Dialogue, Next, Turn};
use crate::receive::framing::{Framed, Framer};

/// One connection's framing.
pub struct Syslog(Framer);

impl Syslog {
    /// Messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Syslog(Framer::new(limit))
    }
}

impl Turn {
    fn framed(&mut self, framed: Framed) {
        match framed {
            Framed::Record(record) => self.push(record),
            Framed::TooLarge => self.too_large += 1,
            Framed::Truncated => self.truncated += 1,
        }
    }
}

impl Dialogue for Syslog {
    fn buffer(&mut self) -> &mut BytesMut {
        self.0.buffer()
    }

    fn take(&mut self, turn: &mut Turn) -> Next {
        while !turn.is_full() {
            let Some(framed) = self.0.next_frame() else { return Next::Read };
            turn.framed(framed);
        }
        Next::Again
    }

    fn is_inside(&mut self) -> bool {
        self.0.is_inside()
    }

    fn end(&mut self, turn: &mut Turn) {
        if let Some(framed) = self.0.finish() {
            turn.framed(framed);
        }
    }

    fn acknowledges(&self) -> bool {
        false
    }
}
