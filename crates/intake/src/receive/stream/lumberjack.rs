//! Lumberjack, version 2, of Beats and Logstash (version 1 of logstash-forwarder is understood too;
//! [protocol](https://github.com/elastic/logstash-forwarder/blob/master/PROTOCOL.md)).
//!
//! A peer announces a window of so many events, sends them, perhaps compressed, and waits until the last one's number is
//! answered. That is sent when all of them are durable.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Dialogue, Next, Turn,
    inflate::{Compression, Inflater},
};

/// Compressed bytes are taken apart in steps of this size.
const STEP: usize = 4 << 10;
/// Taken apart and not yet cut, at most, before events are stored.
const MAX_WAITING: usize = 1 << 20;
/// Fields of one event of version 1.
const MAX_PAIRS: u32 = 2048;

/// One connection.
pub struct Lumberjack {
    buffer: BytesMut,
    limit: usize,
    compressed_limit: usize,
    window: Window,
    compressed: Option<Compressed>,
    skipping: Skipping,
}

/// What is still to come of an event over the limit.
#[derive(Default)]
struct Skipping {
    /// Bytes.
    bytes: u64,
    /// Texts after them, each with its length before it.
    texts: u64,
}

impl Skipping {
    fn is_over(&self) -> bool {
        self.bytes == 0 && self.texts == 0
    }

    /// Takes off the front what is of it; true once it is over.
    fn take(&mut self, buffer: &mut BytesMut) -> bool {
        loop {
            let skipped = usize::try_from(self.bytes).unwrap_or(usize::MAX).min(buffer.len());
            buffer.advance(skipped);
            self.bytes -= skipped as u64;
            if self.is_over() {
                return true;
            }
            if self.bytes > 0 || buffer.len() < 4 {
                return false;
            }
            (self.bytes, self.texts) = (u64::from(buffer.get_u32()), self.texts - 1);
        }
    }
}

/// The events that are answered together.
struct Window {
    version: u8,
    size: u32,
    seen: u32,
}

/// A compressed frame.
struct Compressed {
    /// Compressed bytes that are still to come.
    left: usize,
    inflater: Inflater,
    is_finished: bool,
}

/// What was cut.
enum Cut {
    /// Something; look again.
    Done,
    /// More bytes are needed.
    Yet,
    /// A compressed frame of so many bytes begins.
    Compressed(usize),
    /// This is not Lumberjack.
    Garbage,
}

impl Lumberjack {
    /// Events of at most `limit` bytes, compressed frames of at most `compressed_limit`.
    pub fn new(limit: usize, compressed_limit: usize) -> Self {
        let window = Window { version: b'2', size: 0, seen: 0 };
        Lumberjack {
            buffer: BytesMut::new(),
            limit,
            compressed_limit,
            window,
            compressed: None,
            skipping: Skipping::default(),
        }
    }

    /// Goes on with the compressed frame; true once it is used up.
    fn compressed(&mut self, turn: &mut Turn) -> Result<Option<Next>, ()> {
        let Some(compressed) = &mut self.compressed else { return Ok(None) };
        loop {
            while !turn.is_full() {
                match cut(compressed.inflater.output(), self.limit, &mut self.window, &mut self.skipping, turn) {
                    Cut::Done => {}
                    Cut::Yet => break,
                    Cut::Compressed(_) | Cut::Garbage => return Err(()),
                }
            }
            if turn.is_full() {
                return Ok(Some(Next::Again));
            }
            if compressed.is_finished {
                let whole = compressed.inflater.output().is_empty() && self.skipping.is_over();
                self.compressed = None;
                return if whole { Ok(None) } else { Err(()) };
            }
            if compressed.left == 0 {
                compressed.inflater.finish().map_err(|_| ())?;
                compressed.is_finished = true;
                continue;
            }
            let step = STEP.min(compressed.left).min(self.buffer.len());
            if step == 0 {
                return Ok(Some(Next::Read));
            }
            // An event that does not fit is skipped by its length, so what waits is bounded by the limit and one step.
            if compressed.inflater.output().len() > self.limit.max(MAX_WAITING) + MAX_WAITING {
                return Err(());
            }
            turn.inflated(compressed.inflater.feed(&self.buffer.split_to(step)).map_err(|_| ())?);
            compressed.left -= step;
        }
    }
}

/// Cuts one frame off the front.
fn cut(buffer: &mut BytesMut, limit: usize, window: &mut Window, skipping: &mut Skipping, turn: &mut Turn) -> Cut {
    if !skipping.is_over() {
        return if skipping.take(buffer) { Cut::Done } else { Cut::Yet };
    }
    let (Some(version @ (b'1' | b'2')), Some(kind)) = (buffer.first().copied(), buffer.get(1).copied()) else {
        return if buffer.is_empty() || buffer[..] == *b"1" || buffer[..] == *b"2" { Cut::Yet } else { Cut::Garbage };
    };
    let number = |at: usize| Some(u32::from_be_bytes(buffer.get(at..at + 4)?.try_into().ok()?));
    match kind {
        b'W' => {
            let Some(size) = number(2) else { return Cut::Yet };
            *window = Window { version, size, seen: 0 };
            buffer.advance(6);
            Cut::Done
        }
        b'C' => {
            let Some(length) = number(2) else { return Cut::Yet };
            buffer.advance(6);
            Cut::Compressed(length as usize)
        }
        b'J' => {
            let (Some(seq), Some(length)) = (number(2), number(6)) else { return Cut::Yet };
            let length = length as usize;
            if length > limit {
                buffer.advance(10);
                skipping.bytes = length as u64;
                turn.too_large += 1;
                window.saw(seq, turn);
                return Cut::Done;
            }
            if buffer.len() < 10 + length {
                return Cut::Yet;
            }
            let mut frame = buffer.split_to(10 + length);
            frame.advance(10);
            if !frame.is_empty() {
                turn.push(frame.freeze());
            }
            window.saw(seq, turn);
            Cut::Done
        }
        b'D' => match pairs(buffer, limit) {
            Pairs::Yet => Cut::Yet,
            // It counts as seen: whoever is not told so would send it again for ever.
            Pairs::TooLarge { seq, count } => {
                buffer.advance(10);
                skipping.texts = 2 * u64::from(count);
                turn.too_large += 1;
                window.saw(seq, turn);
                Cut::Done
            }
            Pairs::Event { seq, record, length } => {
                buffer.advance(length);
                turn.push(record);
                window.saw(seq, turn);
                Cut::Done
            }
        },
        _ => Cut::Garbage,
    }
}

impl Window {
    /// An event has come. The last one of the window is answered.
    fn saw(&mut self, seq: u32, turn: &mut Turn) {
        self.seen = self.seen.saturating_add(1);
        if self.seen >= self.size {
            turn.reply.extend_from_slice(&[self.version, b'A']);
            turn.reply.extend_from_slice(&seq.to_be_bytes());
            self.seen = 0;
        }
    }
}

/// An event of version 1.
enum Pairs {
    Yet,
    TooLarge { seq: u32, count: u32 },
    Event { seq: u32, record: Bytes, length: usize },
}

/// Reads key-value pairs into a JSON object.
fn pairs(buffer: &[u8], limit: usize) -> Pairs {
    let number = |at: usize| Some(u32::from_be_bytes(buffer.get(at..at + 4)?.try_into().ok()?));
    let (Some(seq), Some(count)) = (number(2), number(6)) else { return Pairs::Yet };
    if count > MAX_PAIRS {
        return Pairs::TooLarge { seq, count };
    }
    let mut object = serde_json::Map::new();
    let mut at = 10;
    for _ in 0..count {
        let mut texts = [String::new(), String::new()];
        for text in &mut texts {
            let Some(length) = number(at) else { return Pairs::Yet };
            let end = at + 4 + length as usize;
            if end > limit {
                return Pairs::TooLarge { seq, count };
            }
            let Some(bytes) = buffer.get(at + 4..end) else { return Pairs::Yet };
            *text = String::from_utf8_lossy(bytes).into_owned();
            at = end;
        }
        let [key, value] = texts;
        object.insert(key, value.into());
    }
    let record = Bytes::from(serde_json::Value::Object(object).to_string());
    Pairs::Event { seq, record, length: at }
}

impl Dialogue for Lumberjack {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn take(&mut self, turn: &mut Turn) -> Next {
        while !turn.is_full() {
            match self.compressed(turn) {
                Ok(None) => {}
                Ok(Some(next)) => return next,
                Err(()) => return refuse(turn),
            }
            match cut(&mut self.buffer, self.limit, &mut self.window, &mut self.skipping, turn) {
                Cut::Done => {}
                Cut::Yet => return Next::Read,
                Cut::Compressed(length) if length <= self.compressed_limit => {
                    let inflater = Inflater::new(Compression::Zlib);
                    self.compressed = Some(Compressed { left: length, inflater, is_finished: false });
                }
                Cut::Compressed(_) | Cut::Garbage => return refuse(turn),
            }
        }
        Next::Again
    }

    fn is_inside(&mut self) -> bool {
        !self.skipping.is_over() || self.compressed.is_some() || !self.buffer.is_empty()
    }

    fn keep_alive(&self) -> Option<Vec<u8>> {
        Some([&[self.window.version, b'A'][..], &0_u32.to_be_bytes()].concat())
    }
}

fn refuse(turn: &mut Turn) -> Next {
    turn.malformed += 1;
    Next::Close
}

#[cfg(test)]
mod tests {
    use flate2::{Compression as Level, write::ZlibEncoder};
    use std::io::Write;

    use super::*;

    fn window(size: u32) -> Vec<u8> {
        [b"2W".as_slice(), &size.to_be_bytes()].concat()
    }

    fn json(seq: u32, text: &str) -> Vec<u8> {
        [b"2J".as_slice(), &seq.to_be_bytes(), &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
    }

    fn compressed(frames: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(frames).unwrap();
        let bytes = encoder.finish().unwrap();
        [b"2C".as_slice(), &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
    }

    fn talk(stream: &[u8], size: usize) -> (Vec<String>, Vec<u8>, Turn, Next) {
        let mut lumberjack = Lumberjack::new(100, 1 << 20);
        let (mut turn, mut next) = (Turn::default(), Next::Read);
        let (mut records, mut reply) = (Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            lumberjack.buffer().extend_from_slice(piece);
            loop {
                next = lumberjack.take(&mut turn);
                records.extend(turn.records.drain(..).map(|record| record.escape_ascii().to_string()));
                reply.append(&mut turn.reply);
                if next != Next::Again {
                    break;
                }
            }
        }
        (records, reply, turn, next)
    }

    #[test]
    fn windows_are_answered_when_they_are_whole() {
        let inner = [json(1, "{\"a\":1}"), json(2, "{\"a\":2}")].concat();
        let stream = [window(2), compressed(&inner), window(1), json(3, "{}"), window(2), json(4, "{}")].concat();
        for size in [1, 3, 1 << 20] {
            let (records, reply, turn, next) = talk(&stream, size);
            assert_eq!(records, ["{\\\"a\\\":1}", "{\\\"a\\\":2}", "{}", "{}"]);
            assert_eq!(reply, b"2A\0\0\0\x022A\0\0\0\x03");
            assert_eq!((turn.malformed, next), (0, Next::Read));
        }
    }

    #[test]
    fn thousands_of_events_in_one_frame() {
        let inner: Vec<u8> = (1..=5000).flat_map(|seq| json(seq, &format!("{{\"n\":{seq}}}"))).collect();
        let (records, reply, ..) = talk(&[window(5000), compressed(&inner)].concat(), 1000);
        assert_eq!(records.len(), 5000);
        assert_eq!(reply, [b"2A".as_slice(), &5000_u32.to_be_bytes()].concat());
    }

    #[test]
    fn what_is_too_long_is_skipped_and_counted_in_the_window() {
        let long = "x".repeat(500);
        for stream in [
            [window(2), json(1, &long), json(2, "{}")].concat(),
            [window(2), compressed(&[json(1, &long), json(2, "{}")].concat())].concat(),
        ] {
            let (records, reply, turn, _) = talk(&stream, 7);
            assert_eq!((records, turn.too_large), (vec!["{}".to_owned()], 1));
            assert_eq!(reply, b"2A\0\0\0\x02");
        }
    }

    /// What a small frame becomes is bounded in each turn, also if it is nothing but answers.
    #[test]
    fn a_turn_is_bounded() {
        let (empty, large) = (json(1, ""), json(1, &"x".repeat(100)));
        for inner in [empty.repeat(900_000), large.repeat(80_000), window(1).repeat(1_500_000)] {
            let mut lumberjack = Lumberjack::new(100, 1 << 20);
            lumberjack.buffer().extend_from_slice(&compressed(&inner));
            let mut turns = 0;
            loop {
                let mut turn = Turn::default();
                let next = lumberjack.take(&mut turn);
                turns += 1;
                assert!(turn.reply.len() < 65 << 10, "{}", turn.reply.len());
                if next == Next::Read {
                    break;
                }
                assert_eq!(next, Next::Again);
            }
            assert!(turns > 2, "{turns}");
        }
    }

    #[test]
    fn version_1_pairs() {
        let mut stream = b"1W\0\0\0\x011D\0\0\0\x09\0\0\0\x01".to_vec();
        stream.extend(b"\0\0\0\x04line\0\0\0\x05hello");
        let (records, reply, ..) = talk(&stream, 2);
        assert_eq!(records, ["{\\\"line\\\":\\\"hello\\\"}"]);
        assert_eq!(reply, b"1A\0\0\0\x09");
    }

    #[test]
    fn an_event_of_version_1_that_is_too_large_is_answered_like_the_others() {
        let event = |seq: u32, pairs: &[(&str, &str)]| {
            let mut frame = [b"1D".as_slice(), &seq.to_be_bytes(), &(pairs.len() as u32).to_be_bytes()].concat();
            for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
                frame.extend([&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat());
            }
            frame
        };
        let long = "x".repeat(500);
        let small = event(2, &[("line", "hello")]);
        // A long value, with more behind it; a long key; more pairs than are taken.
        let many = vec![("k", ""); MAX_PAIRS as usize + 1];
        let large: [&[(&str, &str)]; 4] =
            [&[("line", &long), ("", "behind")], &[(&long, "")], &[("a", "b"), ("c", &long)], &many];
        for pairs in large {
            let frames = [event(1, pairs), small.clone()].concat();
            let window = b"1W\0\0\0\x02";
            let mut packed = compressed(&frames);
            packed[0] = b'1';
            for stream in [[&window[..], &frames].concat(), [&window[..], &packed].concat()] {
                for size in [1, 7, 1 << 20] {
                    let (records, reply, turn, next) = talk(&stream, size);
                    assert_eq!((records, turn.too_large), (vec!["{\\\"line\\\":\\\"hello\\\"}".to_owned()], 1));
                    assert_eq!((&reply[..], turn.malformed, next), (&b"1A\0\0\0\x02"[..], 0, Next::Read));
                }
            }
        }
    }

    #[test]
    fn a_frame_whose_compressed_stream_is_cut_off_is_not_answered() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(&json(1, "{}")).unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        let whole = encoder.finish().unwrap();
        for cut in [&flushed[..], &whole[..whole.len() - 1], &whole[..whole.len() - 4]] {
            let frame = [b"2C".as_slice(), &(cut.len() as u32).to_be_bytes(), cut].concat();
            let (_, reply, turn, next) = talk(&[window(2), frame, json(2, "{}")].concat(), 1 << 20);
            assert_eq!((reply.len(), turn.malformed, next), (0, 1, Next::Close));
        }
    }

    #[test]
    fn garbage_is_refused() {
        let bomb = compressed(&[0; 100]);
        let nested = compressed(&compressed(&json(1, "{}")));
        for stream in [&b"GET / HTTP/1.1\r\n"[..], b"2X\0\0", b"3W\0\0\0\x01", &bomb, &nested, b"2C\xff\xff\xff\xff"] {
            let (records, _, turn, next) = talk(stream, 1 << 20);
            assert_eq!((records.len(), turn.malformed, next), (0, 1, Next::Close));
        }
    }
}
