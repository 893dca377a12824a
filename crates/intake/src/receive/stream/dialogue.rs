//! What a protocol makes of one connection's bytes: the one thing that each of them is.

use bytes::{Bytes, BytesMut};

use crate::receive::deliver::MAX_PORTION;

/// A turn ends with the record, the answer or the compressed bytes that come to so much.
const MAX_BYTES: usize = 1 << 20;
const MAX_REPLY: usize = 64 << 10;

/// What a protocol makes of one connection's bytes.
pub trait Dialogue: Send {
    /// What the server says first.
    fn greeting(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Where to read more bytes into.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Cuts what was read into records, until the turn is full or more bytes are needed.
    fn take(&mut self, turn: &mut Turn) -> Next;

    /// Whether a message has begun and is not complete.
    fn is_inside(&mut self) -> bool {
        !self.buffer().is_empty()
    }

    /// The peer has ended its stream: what is left may be a record.
    fn end(&mut self, _turn: &mut Turn) {}

    /// What keeps a peer waiting while its records are being stored.
    fn keep_alive(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether the peer is told what is stored, and so keeps what is not.
    fn acknowledges(&self) -> bool {
        true
    }
}

/// Records that are stored together, and what is answered then.
#[derive(Debug, Default)]
pub struct Turn {
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// What they hold together, and what was taken apart for them.
    bytes: usize,
    /// Records over a limit; their bytes are skipped.
    pub too_large: u64,
    /// Records that are not what the protocol says.
    pub malformed: u64,
    /// Records that the stream ended in.
    pub truncated: u64,
    /// What is sent once the records are durable.
    pub reply: Vec<u8>,
}

impl Turn {
    /// Takes a record.
    pub fn push(&mut self, record: Bytes) {
        self.bytes += record.len();
        self.records.push(record);
    }

    /// So many bytes were taken apart, whatever comes of them.
    pub fn inflated(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether the records should be stored, and the reply sent, before more are cut. What was read is no bound for either: a
    /// compressed kilobyte becomes a megabyte of records, or of empty ones that are only answered.
    pub fn is_full(&self) -> bool {
        self.records.len() >= MAX_PORTION || self.bytes >= MAX_BYTES || self.reply.len() >= MAX_REPLY
    }
}

/// How a dialogue goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes are needed.
    Read,
    /// There is more to cut; the turn is full.
    Again,
    /// The connection ends after the reply: the peer is done, or does not speak the protocol.
    Close,
}
