//! Fluent forward, version 1
//! ([specification](https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1)), of Fluentd and Fluent Bit.
//!
//! A message is an array of MessagePack: a tag, and one event (Message mode), a list of them (Forward), or bytes that are a
//! sequence of them (PackedForward), perhaps compressed. Events are stored as they come; if the message's option names a
//! chunk, that is answered when all of them are durable.
//!
//! An event becomes a JSON object: its record, and before it `fluent.tag` and `fluent.time`.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use vedette_event::Time;

use super::{
    Dialogue, Next, Turn,
    inflate::{Compression, Inflater},
    msgpack::{self, Garbage, Head, Scanner},
};
use crate::receive::json_text;

/// Compressed bytes are taken apart in steps of this size.
const STEP: usize = 4 << 10;
/// The longest tag, option or greeting.
const MAX_TALK: usize = 64 << 10;

/// The longest time. Those that the protocol knows have eight bytes.
const MAX_TIME: usize = 64;

/// One connection.
pub struct Fluent {
    buffer: BytesMut,
    limit: usize,
    packed_limit: usize,
    entry: Entry,
    state: State,
    tag: Vec<u8>,
    greeting: Option<Greeting>,
}

/// The value at the front, as far as it was looked at.
struct Entry {
    scanner: Scanner,
    /// It is over the limit: what was passed is gone already.
    skipping: bool,
}

/// Who the client must be.
struct Greeting {
    shared_key: Arc<str>,
    nonce: [u8; 16],
}

/// Where in a message we are.
enum State {
    /// Before one, or before the client has shown that it knows the key.
    Outside,
    /// So many entries of Forward mode are to come.
    Entries { left: usize, option: bool },
    /// So many bytes of PackedForward mode are to come.
    Packed { left: usize, inflater: Option<Inflater>, is_finished: bool, option: bool },
    /// The event of Message mode is to come; its time has.
    Record { time: Vec<u8>, option: bool },
    /// The option.
    Option,
}

/// What one value gave.
enum Found {
    Whole(BytesMut),
    TooLarge,
    Yet,
}

impl Entry {
    fn new() -> Self {
        Entry { scanner: Scanner::new(), skipping: false }
    }

    /// Takes the value at the front of the buffer, if it is whole. Holds at most `limit` bytes of one.
    fn take(&mut self, buffer: &mut BytesMut, limit: usize) -> Result<Found, Garbage> {
        let from = if self.skipping { 0 } else { self.scanner.passed };
        let before = self.scanner.passed;
        let is_whole = self.scanner.advance(&buffer[from..])?;
        if self.skipping {
            buffer.advance(self.scanner.passed - before);
        }
        match is_whole {
            true => {
                let Entry { scanner, skipping } = std::mem::replace(self, Entry::new());
                match skipping {
                    true => Ok(Found::TooLarge),
                    false if scanner.passed > limit => {
                        buffer.advance(scanner.passed);
                        Ok(Found::TooLarge)
                    }
                    false => Ok(Found::Whole(buffer.split_to(scanner.passed))),
                }
            }
            false => {
                if !self.skipping && buffer.len() > limit {
                    buffer.advance(self.scanner.passed);
                    self.skipping = true;
                }
                Ok(Found::Yet)
            }
        }
    }
}

impl Fluent {
    /// Events of at most `limit` bytes, packed lists of at most `packed_limit`. With a shared key, clients must show that they know it.
    pub fn new(limit: usize, packed_limit: usize, shared_key: Option<Arc<str>>) -> Self {
        let greeting = shared_key.map(|shared_key| {
            let mut nonce = [0; 16];
            // Without random numbers nobody gets in: what a client answers to a nonce of zeros is refused below.
            if SystemRandom::new().fill(&mut nonce).is_err() {
                nonce = [0; 16];
            }
            Greeting { shared_key, nonce }
        });
        Fluent {
            buffer: BytesMut::new(),
            limit,
            packed_limit,
            entry: Entry::new(),
            state: State::Outside,
            tag: Vec::new(),
            greeting,
        }
    }

    fn step(&mut self, turn: &mut Turn) -> Result<Option<Next>, Garbage> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside if self.greeting.is_some() => return self.ping(turn),
            State::Outside => return self.begin(turn),
            State::Entries { left: 0, option } => self.close(option),
            State::Entries { left, option } => match self.entry.take(&mut self.buffer, self.limit)? {
                Found::Yet => {
                    self.state = State::Entries { left, option };
                    return Ok(Some(Next::Read));
                }
                found => {
                    take_entry(found, &self.tag, turn);
                    self.state = State::Entries { left: left - 1, option };
                }
            },
            State::Packed { left, inflater, is_finished, option } => {
                return self.packed(left, inflater, is_finished, option, turn);
            }
            State::Record { time, option } => match self.entry.take(&mut self.buffer, self.limit)? {
                Found::Yet => {
                    self.state = State::Record { time, option };
                    return Ok(Some(Next::Read));
                }
                Found::Whole(record) => {
                    match event(&self.tag, &time, &record) {
                        Ok(record) => turn.push(record),
                        Err(Garbage) => turn.malformed += 1,
                    }
                    self.close(option);
                }
                Found::TooLarge => {
                    turn.too_large += 1;
                    self.close(option);
                }
            },
            State::Option => match self.entry.take(&mut self.buffer, MAX_TALK)? {
                Found::Yet => {
                    self.state = State::Option;
                    return Ok(Some(Next::Read));
                }
                Found::TooLarge => return Err(Garbage),
                Found::Whole(option) => {
                    if let Some(chunk) = parsed(&option)?.get("chunk").and_then(Value::as_str) {
                        turn.reply.push(0x81);
                        write_str("ack", &mut turn.reply);
                        write_str(chunk, &mut turn.reply);
                    }
                }
            },
        }
        Ok(None)
    }

    fn close(&mut self, option: bool) {
        self.state = if option { State::Option } else { State::Outside };
    }

    /// A message's array, its tag, and the beginning of what comes then.
    fn begin(&mut self, turn: &mut Turn) -> Result<Option<Next>, Garbage> {
        let Some((head, mut at)) = Head::read(&self.buffer)? else { return Ok(Some(Next::Read)) };
        let count = match head {
            Head::Array(count @ 2..=4) => count,
            // Some clients send it to keep the connection.
            Head::Nil => {
                self.buffer.advance(at);
                return Ok(None);
            }
            _ => return Err(Garbage),
        };
        let Some((head, length)) = Head::read(&self.buffer[at..])? else { return Ok(Some(Next::Read)) };
        let (Head::Str(tag) | Head::Bin(tag)) = head else { return Err(Garbage) };
        if tag > MAX_TALK {
            return Err(Garbage);
        }
        let tag = at + length..at + length + tag;
        at = tag.end;
        let Some((head, length)) = Head::read(self.buffer.get(at..).unwrap_or_default())? else {
            return Ok(Some(Next::Read));
        };
        let option = match head {
            Head::Array(_) | Head::Str(_) | Head::Bin(_) => count == 3,
            _ => count == 4,
        };
        let expected = if matches!(head, Head::Array(_) | Head::Str(_) | Head::Bin(_)) { 2 } else { 3 };
        if count != expected && !option {
            return Err(Garbage);
        }
        let state = match head {
            Head::Array(left) => State::Entries { left, option },
            Head::Str(left) | Head::Bin(left) if left <= self.packed_limit => {
                // The option says so too, but comes behind: no entry begins with gzip's first byte.
                let compressed = match (left, self.buffer.get(at + length)) {
                    (0, _) => false,
                    (_, None) => return Ok(Some(Next::Read)),
                    (_, Some(first)) => *first == 0x1f,
                };
                let inflater = compressed.then(|| Inflater::new(Compression::Gzip));
                State::Packed { left, inflater, is_finished: false, option }
            }
            Head::Ext(_, size) if size > MAX_TIME => return Err(Garbage),
            Head::Int(_) | Head::Unsigned(_) | Head::Float(_) | Head::Ext(..) => {
                let mut scanner = Scanner::new();
                if !scanner.advance(&self.buffer[at..])? {
                    return Ok(Some(Next::Read));
                }
                let time = self.buffer[at..at + scanner.passed].to_vec();
                self.tag = self.buffer[tag].to_vec();
                self.buffer.advance(at + scanner.passed);
                self.state = State::Record { time, option };
                return Ok(None);
            }
            _ => {
                turn.too_large += u64::from(matches!(head, Head::Str(_) | Head::Bin(_)));
                return Err(Garbage);
            }
        };
        self.tag = self.buffer[tag].to_vec();
        self.buffer.advance(at + length);
        self.state = state;
        Ok(None)
    }

    fn packed(
        &mut self,
        left: usize,
        mut inflater: Option<Inflater>,
        is_finished: bool,
        option: bool,
        turn: &mut Turn,
    ) -> Result<Option<Next>, Garbage> {
        // What belongs to this message, and no more, may be looked at.
        let (found, left, is_finished, used_up) = match &mut inflater {
            None => {
                let mut rest = self.buffer.split_off(left.min(self.buffer.len()));
                let before = self.buffer.len();
                let found = self.entry.take(&mut self.buffer, self.limit);
                let left = left - (before - self.buffer.len());
                std::mem::swap(&mut self.buffer, &mut rest);
                rest.unsplit(std::mem::take(&mut self.buffer));
                self.buffer = rest;
                (found?, left, true, left == 0)
            }
            Some(inflater) => {
                let found = self.entry.take(inflater.output(), self.limit)?;
                let is_empty = inflater.output().is_empty() && !self.entry.skipping;
                (found, left, is_finished, left == 0 && is_finished && is_empty)
            }
        };
        match found {
            Found::Yet if used_up => {
                if self.entry.skipping || self.entry.scanner.passed > 0 {
                    return Err(Garbage);
                }
                self.close(option);
                return Ok(None);
            }
            Found::Yet => {}
            found => {
                take_entry(found, &self.tag, turn);
                self.state = State::Packed { left, inflater, is_finished, option };
                return Ok(None);
            }
        }
        let Some(inflating) = &mut inflater else {
            // An entry that goes on behind the list is none.
            if left > 0 && self.buffer.len() >= left {
                return Err(Garbage);
            }
            self.state = State::Packed { left, inflater, is_finished, option };
            return Ok(Some(Next::Read));
        };
        if left == 0 {
            if is_finished {
                return Err(Garbage);
            }
            inflating.finish().map_err(|_| Garbage)?;
            self.state = State::Packed { left, inflater, is_finished: true, option };
            return Ok(None);
        }
        let step = STEP.min(left).min(self.buffer.len());
        let next = if step == 0 { Some(Next::Read) } else { None };
        turn.inflated(inflating.feed(&self.buffer.split_to(step)).map_err(|_| Garbage)?);
        self.state = State::Packed { left: left - step, inflater, is_finished, option };
        Ok(next)
    }

    /// The client's answer to our greeting: `["PING", host, salt, digest, user, digest]`.
    fn ping(&mut self, turn: &mut Turn) -> Result<Option<Next>, Garbage> {
        let ping = match self.entry.take(&mut self.buffer, MAX_TALK)? {
            Found::Yet => return Ok(Some(Next::Read)),
            Found::TooLarge => return Err(Garbage),
            Found::Whole(ping) => ping,
        };
        let Some(greeting) = self.greeting.take() else { return Err(Garbage) };
        let parts = strings(&ping)?;
        let [kind, host, salt, shown, ..] = parts.as_slice() else { return Err(Garbage) };
        if *kind != b"PING" {
            return Err(Garbage);
        }
        let key = greeting.shared_key.as_bytes();
        let expected = hex_digest(&[salt, host, &greeting.nonce, key]);
        let fits = greeting.nonce != [0; 16] && bool::from(expected.as_bytes().ct_eq(shown));
        let answer = hex_digest(&[salt, b"vedette", &greeting.nonce, key]);
        let reply = &mut turn.reply;
        reply.push(0x95);
        write_str("PONG", reply);
        reply.push(if fits { 0xc3 } else { 0xc2 });
        write_str(if fits { "" } else { "shared_key mismatch" }, reply);
        write_str("vedette", reply);
        write_str(if fits { &answer } else { "" }, reply);
        Ok((!fits).then_some(Next::Close))
    }
}

fn take_entry(found: Found, tag: &[u8], turn: &mut Turn) {
    let entry = match found {
        Found::Whole(entry) => entry,
        _ => return turn.too_large += 1,
    };
    match split(&entry).and_then(|(time, record)| event(tag, time, record)) {
        Ok(record) => turn.push(record),
        Err(Garbage) => turn.malformed += 1,
    }
}

/// `[time, record]`.
fn split(entry: &[u8]) -> Result<(&[u8], &[u8]), Garbage> {
    let Some((Head::Array(2..), at)) = Head::read(entry)? else { return Err(Garbage) };
    let mut scanner = Scanner::new();
    match scanner.advance(&entry[at..])? {
        true => Ok(entry[at..].split_at(scanner.passed)),
        false => Err(Garbage),
    }
}

fn event(tag: &[u8], time: &[u8], record: &[u8]) -> Result<Bytes, Garbage> {
    let Some((Head::Map(count), at)) = Head::read(record)? else { return Err(Garbage) };
    let mut json = Vec::with_capacity(record.len() + record.len() / 4 + tag.len() + 80);
    json.extend_from_slice(b"{\"fluent.tag\":");
    json_text::text(tag, &mut json);
    json.extend_from_slice(b",\"fluent.time\":");
    match moment(time)? {
        Some(time) => json.extend_from_slice(format!("\"{time}\"").as_bytes()),
        None => drop(msgpack::to_json(time, &mut json)?),
    }
    if count > 0 {
        json.push(b',');
        msgpack::members(&record[at..], count, &mut json, 0)?;
    }
    json.push(b'}');
    Ok(json.into())
}

/// Seconds, or the extension type 0: seconds and nanoseconds.
fn moment(time: &[u8]) -> Result<Option<Time>, Garbage> {
    let micros = match Head::read(time)?.ok_or(Garbage)? {
        (Head::Int(seconds), _) => seconds.checked_mul(1_000_000),
        (Head::Ext(0, 8), at) => {
            let part = |from: usize| Some(u32::from_be_bytes(time.get(from..from + 4)?.try_into().ok()?));
            let (seconds, nanos) = (part(at).ok_or(Garbage)?, part(at + 4).ok_or(Garbage)?);
            Some(i64::from(seconds) * 1_000_000 + i64::from(nanos / 1000))
        }
        (Head::Float(seconds), _) if seconds.abs() < 1e11 => Some((seconds * 1e6) as i64),
        _ => None,
    };
    // Beyond the year 9999 nothing can be written as a date.
    Ok(micros.filter(|micros| micros.unsigned_abs() < 250_000_000_000_000_000).map(Time::from_micros))
}

fn parsed(value: &[u8]) -> Result<Value, Garbage> {
    let mut text = Vec::new();
    msgpack::to_json(value, &mut text)?;
    Ok(serde_json::from_slice(&text).unwrap_or_else(|_| json!({})))
}

/// The members of an array of texts.
fn strings(value: &[u8]) -> Result<Vec<&[u8]>, Garbage> {
    let Some((Head::Array(count @ 4..=8), mut at)) = Head::read(value)? else { return Err(Garbage) };
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((Head::Str(length) | Head::Bin(length), head)) = Head::read(&value[at..])? else {
            return Err(Garbage);
        };
        found.push(value.get(at + head..at + head + length).ok_or(Garbage)?);
        at += head + length;
    }
    Ok(found)
}

fn hex_digest(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA512);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_str(text: &str, to: &mut Vec<u8>) {
    let length = text.len();
    match length {
        0..32 => to.push(0xa0 | length as u8),
        _ => {
            to.push(0xdb);
            to.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    to.extend_from_slice(text.as_bytes());
}

impl Dialogue for Fluent {
    /// `["HELO", {"nonce": …, "auth": "", "keepalive": true}]`, where a key is asked for.
    fn greeting(&mut self) -> Vec<u8> {
        let Some(greeting) = &self.greeting else { return Vec::new() };
        let mut helo = vec![0x92];
        write_str("HELO", &mut helo);
        helo.push(0x83);
        write_str("nonce", &mut helo);
        helo.extend_from_slice(&[0xc4, 16]);
        helo.extend_from_slice(&greeting.nonce);
        write_str("auth", &mut helo);
        write_str("", &mut helo);
        write_str("keepalive", &mut helo);
        helo.push(0xc3);
        helo
    }

    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn take(&mut self, turn: &mut Turn) -> Next {
        while !turn.is_full() {
            match self.step(turn) {
                Ok(None) => {}
                Ok(Some(next)) => return next,
                Err(Garbage) => {
                    turn.malformed += 1;
                    return Next::Close;
                }
            }
        }
        Next::Again
    }

    fn is_inside(&mut self) -> bool {
        !matches!(self.state, State::Outside) || !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression as Level, write::GzEncoder};

    use super::*;

    /// `{"n": n}`
    fn record(n: u8) -> Vec<u8> {
        vec![0x81, 0xa1, b'n', n]
    }

    fn entry(n: u8) -> Vec<u8> {
        [&[0x92, 0xd7, 0, 0x69, 0, 0, n, 0, 0, 0, 0][..], &record(n)].concat()
    }

    fn option(chunk: &str) -> Vec<u8> {
        let mut option = vec![0x81];
        write_str("chunk", &mut option);
        write_str(chunk, &mut option);
        option
    }

    fn packed(bytes: &[u8], chunk: &str) -> Vec<u8> {
        [&[0x93, 0xa1, b't', 0xc5, (bytes.len() >> 8) as u8, bytes.len() as u8][..], bytes, &option(chunk)].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn talk(fluent: &mut Fluent, stream: &[u8], size: usize) -> (Vec<String>, Vec<u8>, Turn, Next) {
        let (mut turn, mut next) = (Turn::default(), Next::Read);
        let (mut records, mut reply) = (Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            fluent.buffer().extend_from_slice(piece);
            loop {
                next = fluent.take(&mut turn);
                records.extend(turn.records.drain(..).map(|record| String::from_utf8(record.to_vec()).unwrap()));
                reply.append(&mut turn.reply);
                if next != Next::Again {
                    break;
                }
            }
            if next == Next::Close {
                break;
            }
        }
        (records, reply, turn, next)
    }

    #[test]
    fn every_mode_however_it_is_cut() {
        let message = [&[0x93, 0xa1, b't', 0x05][..], &record(1)].concat();
        let message_acked = [&[0x94, 0xa1, b't', 0x05][..], &record(2), &option("c2")].concat();
        let forward = [&[0x92, 0xa1, b't', 0x92][..], &entry(3), &entry(4)].concat();
        let forward_acked = [&[0x93, 0xa1, b't', 0x91][..], &entry(5), &option("c5")].concat();
        let plain = packed(&[entry(6), entry(7)].concat(), "c7");
        let compressed = packed(&gzip(&[entry(8), entry(9)].concat()), "c9");
        let empty = [&[0x92, 0xa1, b't', 0x90][..], &[0x92, 0xa1, b't', 0xa0]].concat();
        let stream = [message, message_acked, forward, forward_acked, plain, compressed, empty].concat();
        for size in [1, 2, 5, 1 << 20] {
            let (records, reply, turn, next) = talk(&mut Fluent::new(1000, 10_000, None), &stream, size);
            assert_eq!(records[0], r#"{"fluent.tag":"t","fluent.time":"1970-01-01T00:00:05.000000Z","n":1}"#);
            assert_eq!(records[8], r#"{"fluent.tag":"t","fluent.time":"2025-10-27T23:28:09.000000Z","n":9}"#);
            assert_eq!(records.len(), 9);
            let acks: Vec<u8> = ["c2", "c5", "c7", "c9"].iter().fold(Vec::new(), |mut acks, chunk| {
                acks.push(0x81);
                write_str("ack", &mut acks);
                write_str(chunk, &mut acks);
                acks
            });
            assert_eq!(reply, acks);
            assert_eq!((turn.malformed, turn.too_large, next), (0, 0, Next::Read), "{size}");
        }
    }

    #[test]
    fn what_is_too_long_is_skipped() {
        let long = [&[0x92, 0x05, 0x81, 0xa1, b'n', 0xc5, 1, 0][..], &[b'x'; 256]].concat();
        let list = [entry(1), long, entry(2)].concat();
        let forward = [&[0x92, 0xa1, b't', 0x93][..], &list].concat();
        for stream in [forward, packed(&list, "c"), packed(&gzip(&list), "c")] {
            for size in [1, 10, 1 << 20] {
                let (records, _, turn, next) = talk(&mut Fluent::new(100, 10_000, None), &stream, size);
                assert_eq!((records.len(), turn.too_large, turn.malformed, next), (2, 1, 0, Next::Read), "{size}");
            }
        }
    }

    #[test]
    fn a_chunk_whose_compressed_stream_is_cut_off_is_not_answered() {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(&entry(1)).unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        let whole = encoder.finish().unwrap();
        for cut in [&flushed[..], &whole[..whole.len() - 1], &whole[..whole.len() - 8]] {
            let (_, reply, turn, next) = talk(&mut Fluent::new(1000, 10_000, None), &packed(cut, "c"), 1 << 20);
            assert_eq!((reply.len(), turn.malformed, next), (0, 1, Next::Close));
        }
    }

    #[test]
    fn a_turn_is_bounded() {
        let long = [&[0x92, 0x05, 0x81, 0xa1, b'n', 0xc5, 0x80, 0][..], &[b'x'; 32_768]].concat();
        // Values that are no events count as well.
        for list in [long.repeat(280), vec![7; 9 << 20]] {
            let list = gzip(&list);
            let mut fluent = Fluent::new(100_000, 1 << 20, None);
            let head = [&[0x92, 0xa1, b't', 0xc6][..], &(list.len() as u32).to_be_bytes()].concat();
            fluent.buffer().extend_from_slice(&[head, list].concat());
            let mut turns = 0;
            loop {
                let mut turn = Turn::default();
                let next = fluent.take(&mut turn);
                turns += 1;
                let held: usize = turn.records.iter().map(Bytes::len).sum();
                assert!(held < 2 << 20 && turn.malformed < 6 << 20, "{held}");
                if next == Next::Read {
                    break;
                }
            }
            assert!(turns > 2, "{turns}");
        }
    }

    /// Found while writing the fuzz target: whether so long a time was one depended on how it came.
    #[test]
    fn a_long_time_is_refused_however_it_is_cut() {
        let stream = [&[0x93, 0xa1, b't', 0xc7, 80, 9][..], &[b't'; 80], &record(1)].concat();
        for size in [1, 1 << 20] {
            let (records, _, turn, next) = talk(&mut Fluent::new(1000, 10_000, None), &stream, size);
            assert_eq!((records.len(), turn.malformed, next), (0, 1, Next::Close), "{size}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let cut_off = packed(&entry(1)[..8], "c");
        let list = [&[0x92, 0xa1, b't', 0x91][..], &[0x92, 0x05, 0x07]].concat();
        for (stream, next) in [
            (&b"GET / HTTP/1.1\r\n"[..], Next::Close),
            (&[0xc1], Next::Close),
            (&[0x91, 0xa1, b't'], Next::Close),
            (&[0x95, 0xa1, b't'], Next::Close),
            (&[0x93, 0xa1, b't', 0xc6, 0xff, 0xff, 0xff, 0xff], Next::Close),
            (&cut_off, Next::Close),
            // One entry that is none does not harm the others.
            (&list, Next::Read),
        ] {
            let (records, _, turn, went_on) = talk(&mut Fluent::new(1000, 10_000, None), stream, 1 << 20);
            assert_eq!((records.len(), turn.malformed, went_on), (0, 1, next), "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn a_shared_key_is_asked_for() {
        let ping = |fluent: &Fluent, key: &str| {
            let nonce = fluent.greeting.as_ref().unwrap().nonce;
            let digest = hex_digest(&[b"salt", b"host", &nonce, key.as_bytes()]);
            let mut ping = vec![0x96];
            ["PING", "host", "salt", &digest, "", ""].iter().for_each(|part| write_str(part, &mut ping));
            ping
        };
        let event = [&[0x93, 0xa1, b't', 0x05][..], &record(1)].concat();
        let mut right = Fluent::new(1000, 1000, Some("secret".into()));
        assert!(right.greeting().starts_with(b"\x92\xa4HELO\x83\xa5nonce\xc4\x10"));
        let stream = [ping(&right, "secret"), event.clone()].concat();
        let (records, reply, ..) = talk(&mut right, &stream, 3);
        assert_eq!(records.len(), 1);
        assert!(reply.starts_with(b"\x95\xa4PONG\xc3\xa0\xa7vedette"));
        let mut wrong = Fluent::new(1000, 1000, Some("secret".into()));
        let stream = [ping(&wrong, "guess"), event.clone()].concat();
        let (records, reply, _, next) = talk(&mut wrong, &stream, 1 << 20);
        assert_eq!((records.len(), next), (0, Next::Close));
        assert!(reply.starts_with(b"\x95\xa4PONG\xc2"));
        let (records, _, _, next) = talk(&mut Fluent::new(1000, 1000, Some("secret".into())), &event, 1 << 20);
        assert_eq!((records.len(), next), (0, Next::Close));
    }
}
