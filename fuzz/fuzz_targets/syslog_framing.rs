//! Syslog over a byte stream, RFC 6587. The module is included alone, so that this target builds without the rest of
//! the intake crate.
//!
//! However the stream is cut into reads, the frames are the same; a frame is within the limit, has no framing
//! at its ends and is a piece of the stream; frames come in the stream's order and do not overlap; the framer
//! holds no more than a message and a read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::{pieces, take};

#[allow(dead_code)]
#[path = "../../crates/intake/src/receive/framing.rs"]
mod framing;

use framing::{Framed, Framer};

fn frames(limit: usize, pieces: &[&[u8]]) -> Vec<Framed> {
    let mut framer = Framer::new(limit);
    let mut found = Vec::new();
    for piece in pieces {
        framer.buffer().extend_from_slice(piece);
        found.extend(std::iter::from_fn(|| framer.next_frame()));
        assert!(framer.buffer().len() <= limit, "{} bytes held", framer.buffer().len());
        assert!(framer.is_inside() || framer.buffer().is_empty());
    }
    found.extend(framer.finish());
    assert_eq!(framer.next_frame(), None);
    assert!(!framer.is_inside());
    found
}

fuzz_target!(|data: &[u8]| {
    let mut stream = data;
    let [limit, first, second, third] = take(&mut stream);
    // What could still become an octet count is kept, and is a message when the stream ends: ten bytes at most.
    let limit = usize::from(limit) + 10;
    let whole = frames(limit, &[stream]);
    assert_eq!(frames(limit, &pieces(stream, &[first, second, third])), whole);
    assert_eq!(frames(limit, &pieces(stream, &[1])), whole);

    let is_framing = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let mut rest = stream;
    for frame in &whole {
        if let Framed::Record(record) = frame {
            assert!(!record.is_empty() && record.len() <= limit);
            assert!(!is_framing(&record[0]) && !is_framing(&record[record.len() - 1]));
            let at = memchr::memmem::find(rest, record).expect("a record is a piece of the stream");
            rest = &rest[at + record.len()..];
        }
    }
});
