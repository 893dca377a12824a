//! RELP, Lumberjack, Fluent forward and GELF (TCP, and the chunks of UDP). The modules are included alone, so that this target
//! builds without the rest of the intake crate.
//!
//! The first byte chooses the protocol, and whether the bytes are the stream itself or messages that the target writes down rightly.
//! However the stream is cut into reads, the records, answers and losses are the same; what waits for more bytes, and what is
//! stored at a time, is bounded, also when it was compressed; a record is a piece of the stream, or JSON; a refused connection is
//! closed; and of messages that were written rightly each one becomes its record, in order, and is answered as the protocol
//! says, with its own number and not before it was given out.

#![no_main]

use std::{
    collections::HashSet,
    io::Write,
    net::{IpAddr, Ipv4Addr},
};

use bytes::Bytes;
use dialogue::{Dialogue, Next, Turn};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vedette_event::Reason;
use vedette_fuzz::{pieces, take};

#[path = "../../crates/intake/src/receive/datagram/chunks.rs"]
mod chunks;
#[path = "../../crates/intake/src/receive/deflate.rs"]
mod deflate;
#[allow(dead_code)]
#[path = "../../crates/intake/src/receive/stream/dialogue.rs"]
mod dialogue;
#[path = "../../crates/intake/src/receive/stream/fluent.rs"]
mod fluent;
#[path = "../../crates/intake/src/receive/stream/gelf.rs"]
mod gelf;
#[path = "../../crates/intake/src/receive/stream/inflate.rs"]
mod inflate;
#[allow(dead_code)]
#[path = "../../crates/intake/src/receive/json_text.rs"]
mod json_text;
#[path = "../../crates/intake/src/receive/stream/lumberjack.rs"]
mod lumberjack;
#[path = "../../crates/intake/src/receive/stream/msgpack.rs"]
mod msgpack;
#[path = "../../crates/intake/src/receive/stream/relp.rs"]
mod relp;

/// Where the modules look for each other.
mod receive {
    pub(crate) use crate::{deflate, json_text};

    pub mod deliver {
        /// Fewer than the receivers have, so that an input of some messages has several turns.
        pub const MAX_PORTION: usize = 8;
    }
}

/// What the chunks of a datagram give.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Record(Bytes),
    Nothing,
    Lost(Reason),
}

/// The longest tag, option or command.
const TALK: usize = 64 << 10;
/// A turn's records, and its reply, before the one that fills it.
const TURN: usize = 1 << 20;
const REPLY: usize = 64 << 10;
const PACKED: usize = 1 << 20;

#[derive(Debug, Default, PartialEq)]
struct Heard {
    records: Vec<Bytes>,
    reply: Vec<u8>,
    too_large: u64,
    malformed: u64,
    truncated: u64,
    closed: bool,
    /// A part of the stream may be compressed.
    has_compressed: bool,
}

fn talk(dialogue: &mut dyn Dialogue, limit: usize, pieces: &[&[u8]]) -> Heard {
    let mut heard = Heard::default();
    for piece in pieces {
        dialogue.buffer().extend_from_slice(piece);
        loop {
            let mut turn = Turn::default();
            let next = dialogue.take(&mut turn);
            assert!(next != Next::Again || turn.is_full());
            assert!(turn.truncated == 0, "only an end cuts off");
            heard.add(turn, limit);
            match next {
                Next::Again => {}
                Next::Read => break,
                Next::Close => {
                    heard.closed = true;
                    return heard;
                }
            }
        }
        assert!(dialogue.buffer().len() <= limit.max(TALK) + 128, "{} bytes wait", dialogue.buffer().len());
        assert!(dialogue.is_inside() || dialogue.buffer().is_empty());
    }
    let mut turn = Turn::default();
    dialogue.end(&mut turn);
    heard.add(turn, limit);
    heard
}

impl Heard {
    fn add(&mut self, turn: Turn, limit: usize) {
        // Control characters and bytes are longer in JSON, and every event has its tag.
        let longest = 6 * (limit + TALK) + 128;
        let held: usize = turn.records.iter().map(Bytes::len).sum();
        assert!(held < TURN + longest, "{held} bytes in a turn");
        assert!(turn.records.len() <= receive::deliver::MAX_PORTION);
        assert!(turn.reply.len() < REPLY + longest, "{} bytes are answered at a time", turn.reply.len());
        self.records.extend(turn.records);
        self.reply.extend(turn.reply);
        self.too_large += turn.too_large;
        self.malformed += turn.malformed;
        self.truncated += turn.truncated;
    }
}

/// The same whatever a read gives. Only when a compressed part is damaged it depends on the reads how far it was taken apart
/// before that shows.
fn assert_same(one: &Heard, other: &Heard) {
    let is_damaged = |heard: &Heard| heard.closed && heard.malformed > 0 && heard.has_compressed;
    if is_damaged(one) && is_damaged(other) {
        let both = one.records.len().min(other.records.len());
        assert_eq!(one.records[..both], other.records[..both]);
        let both = one.reply.len().min(other.reply.len());
        assert_eq!(one.reply[..both], other.reply[..both]);
    } else {
        assert_eq!(one, other);
    }
}

fn heard(limit: usize, stream: &[u8], cuts: &[u8; 2], mut new: impl FnMut() -> Box<dyn Dialogue>) -> Heard {
    let has_compressed = memchr::memmem::find(stream, b"2C").or(memchr::memmem::find(stream, b"1C")).is_some();
    let mut talk = |pieces: &[&[u8]]| Heard { has_compressed, ..talk(&mut *new(), limit, pieces) };
    let whole = talk(&[stream]);
    assert_same(&talk(&pieces(stream, cuts)), &whole);
    if stream.len() < 1024 {
        assert_same(&talk(&pieces(stream, &[1])), &whole);
    }
    whole
}

fn is_json(record: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok() && record.first() == Some(&b'{')
}

/// Records are pieces of the stream, in its order.
fn assert_pieces(records: &[Bytes], mut stream: &[u8], limit: usize) {
    for record in records {
        assert!(!record.is_empty() && record.len() <= limit);
        let at = memchr::memmem::find(stream, record).expect("a record is a piece of the stream");
        stream = &stream[at + record.len()..];
    }
}

/// Messages: each has its length before it.
fn messages(mut data: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !data.is_empty() && messages.len() < 600 {
        let [length] = take(&mut data);
        // Now and then a long one.
        let length = if length >= 0xf0 { usize::from(length & 0xf) << 10 } else { usize::from(length) };
        let (message, rest) = data.split_at(length.min(data.len()));
        messages.push(message);
        data = rest;
    }
    messages
}

/// More than an input is long, by the factor that the flags say; a little more than a turn takes at most.
fn repeated(content: &[u8], flags: u8) -> Vec<u8> {
    let most = (9 << 17) / content.len().max(1);
    content.repeat((1 << (2 * flags)).min(most).max(1))
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn relp_stream(stream: &[u8], limit: usize, cuts: &[u8; 2]) {
    let heard = heard(limit, stream, cuts, || Box::new(relp::Relp::new(limit)));
    assert_pieces(&heard.records, stream, limit);
    assert!(heard.malformed == u64::from(heard.closed && heard.malformed > 0), "what is no RELP closes");
    let answered = memchr::memmem::find_iter(&heard.reply, b" rsp 6 200 OK\n").count();
    assert!(answered >= heard.records.len());
    if heard.closed {
        assert!(heard.reply.ends_with(b"0 serverclose 0\n"));
    }
}

fn relp_messages(messages: &[&[u8]], limit: usize, cuts: &[u8; 2]) {
    let offers = "200 OK\nrelp_version=0\nrelp_software=vedette\ncommands=syslog";
    let mut stream = b"1 open 0\n".to_vec();
    let mut expected = Heard { closed: true, ..Heard::default() };
    expected.reply = format!("1 rsp {} {offers}\n", offers.len()).into();
    let mut number = 1;
    for message in messages {
        number += 1;
        stream.extend(format!("{number} syslog {} ", message.len()).into_bytes());
        stream.extend_from_slice(message);
        stream.push(b'\n');
        let answer = if message.len() > limit { "200 OK, but longer than the limit" } else { "200 OK" };
        expected.reply.extend(format!("{number} rsp {} {answer}\n", answer.len()).into_bytes());
        expected.message(message, limit);
    }
    stream.extend(format!("{} close 0\n", number + 1).into_bytes());
    expected.reply.extend(format!("{} rsp 0\n0 serverclose 0\n", number + 1).into_bytes());
    let heard = heard(limit, &stream, cuts, || Box::new(relp::Relp::new(limit)));
    assert_eq!(Heard { has_compressed: false, ..heard }, expected);
}

impl Heard {
    fn message(&mut self, message: &[u8], limit: usize) {
        match message.len() {
            0 => {}
            length if length > limit => self.too_large += 1,
            _ => self.records.push(Bytes::copy_from_slice(message)),
        }
    }
}

fn lumberjack_stream(stream: &[u8], limit: usize, cuts: &[u8; 2]) {
    let heard = heard(limit, stream, cuts, || Box::new(lumberjack::Lumberjack::new(limit, PACKED)));
    assert_eq!(heard.closed, heard.malformed > 0);
    assert_eq!(heard.reply.len() % 6, 0);
    for answer in heard.reply.chunks(6) {
        assert!(matches!(answer[0], b'1' | b'2') && answer[1] == b'A');
    }
}

/// Version 2 with windows of a size, each in one compressed frame, or as it is.
fn lumberjack_messages(messages: &[&[u8]], limit: usize, cuts: &[u8; 2], size: usize, is_compressed: bool) {
    let mut stream = Vec::new();
    let mut expected = Heard::default();
    let mut number = 0_u32;
    for window in messages.chunks(size) {
        stream.extend_from_slice(b"2W");
        stream.extend((window.len() as u32).to_be_bytes());
        let mut events = Vec::new();
        for message in window {
            number += 1;
            events.extend_from_slice(b"2J");
            events.extend(number.to_be_bytes());
            events.extend((message.len() as u32).to_be_bytes());
            events.extend_from_slice(message);
            expected.message(message, limit);
        }
        if is_compressed {
            let compressed = zlib(&events);
            stream.extend_from_slice(b"2C");
            stream.extend((compressed.len() as u32).to_be_bytes());
            stream.extend(compressed);
        } else {
            stream.extend(events);
        }
        expected.reply.extend_from_slice(b"2A");
        expected.reply.extend(number.to_be_bytes());
    }
    let heard = heard(limit, &stream, cuts, || Box::new(lumberjack::Lumberjack::new(limit, PACKED)));
    assert_eq!(Heard { has_compressed: false, ..heard }, expected);
}

/// One frame whose content inflates to more than an input is long.
fn lumberjack_inflated(content: &[u8], limit: usize, cuts: &[u8; 2]) {
    let compressed = zlib(content);
    let stream = [&b"2C"[..], &(compressed.len() as u32).to_be_bytes(), &compressed].concat();
    lumberjack_stream(&stream, limit, cuts);
}

fn gelf_stream(stream: &[u8], limit: usize, cuts: &[u8; 2]) {
    let heard = heard(limit, stream, cuts, || Box::new(gelf::Gelf::new(limit)));
    assert_pieces(&heard.records, stream, limit);
    assert!(!heard.closed && heard.reply.is_empty() && heard.malformed == 0 && heard.truncated <= 1);
    let is_framing = |byte: &u8| matches!(byte, 0 | b'\n');
    for record in &heard.records {
        assert!(!record.iter().any(is_framing) && !record[0].is_ascii_whitespace());
    }
    // What has an end is a record or a loss.
    let ended = stream.split_inclusive(is_framing).filter(|message| message.last().is_some_and(is_framing));
    let long = ended.clone().filter(|message| message.len() - 1 > limit).count();
    let whole =
        ended.filter(|message| message.len() - 1 <= limit && !message[..message.len() - 1].trim_ascii().is_empty());
    let rest = stream.iter().rposition(is_framing).map_or(stream, |at| &stream[at + 1..]);
    let lost = u64::from(rest.len() > limit);
    assert_eq!(heard.too_large, long as u64 + lost);
    let last = heard.records.len() - whole.count();
    assert!(last as u64 + lost + heard.truncated <= 1);
}

/// Fluent forward as it is. `with_key` asks for a shared key, which the client shows, or (`is_wrong`) does not.
fn fluent_stream(stream: &[u8], limit: usize, cuts: &[u8; 2], with_key: bool, is_wrong: bool) -> Heard {
    let run = |cuts: Option<&[u8]>| {
        let cut = |stream| cuts.map_or_else(|| vec![stream], |cuts| pieces(stream, cuts));
        let mut fluent = fluent::Fluent::new(limit, PACKED, with_key.then(|| "key".into()));
        let greeting = fluent.greeting();
        let mut heard;
        if with_key {
            let client = [&ping(&greeting, is_wrong)[..], stream].concat();
            heard = talk(&mut fluent, limit, &cut(&client));
            // The answer to the greeting is another one each time.
            assert!(heard.reply.starts_with(b"\x95\xa4PONG"));
            let answer = if is_wrong { 2 + 4 + 1 + 20 + 8 + 1 } else { 2 + 4 + 1 + 1 + 8 + 5 + 128 };
            heard.reply.drain(..answer);
        } else {
            assert!(greeting.is_empty());
            heard = talk(&mut fluent, limit, &cut(stream));
        }
        Heard { has_compressed: stream.contains(&0x1f), ..heard }
    };
    let whole = run(None);
    assert_same(&run(Some(cuts)), &whole);
    if stream.len() < 1024 {
        assert_same(&run(Some(&[1])), &whole);
    }
    for record in &whole.records {
        assert!(record.starts_with(b"{\"fluent.tag\":") && is_json(record), "{}", record.escape_ascii());
    }
    if with_key && is_wrong {
        assert_eq!(whole, Heard { closed: true, has_compressed: whole.has_compressed, ..Heard::default() });
    }
    whole
}

/// What a client answers to our greeting.
fn ping(greeting: &[u8], is_wrong: bool) -> Vec<u8> {
    let at = memchr::memmem::find(greeting, b"\xc4\x10").expect("the greeting has a nonce") + 2;
    let key: &[u8] = if is_wrong { b"guess" } else { b"key" };
    let shown = [b"salt", b"host", &greeting[at..at + 16], key].concat();
    let shown = ring::digest::digest(&ring::digest::SHA512, &shown);
    let shown: String = shown.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    [&b"\x96\xa4PING\xa4host\xa4salt\xd9\x80"[..], shown.as_bytes(), b"\xa0\xa0"].concat()
}

/// One message of Message mode each, or all in one of another mode. Each asks for its answer.
fn fluent_messages(messages: &[&[u8]], limit: usize, cuts: &[u8; 2], mode: u8) {
    let mut stream = Vec::new();
    let mut expected = Heard::default();
    let mut taken = Vec::new();
    let record = |message: &[u8]| [&b"\x81\xa1m\xdb"[..], &(message.len() as u32).to_be_bytes(), message].concat();
    let option = |number: usize| [&b"\x81\xa5chunk\xa8"[..], format!("{number:08}").as_bytes()].concat();
    let answer = |number: usize| [&b"\x81\xa3ack\xa8"[..], format!("{number:08}").as_bytes()].concat();
    let entries: Vec<_> = messages.iter().map(|message| [&b"\x92\x07"[..], &record(message)].concat()).collect();
    let mut judge = |length: usize, message: &[u8]| match length > limit {
        true => expected.too_large += 1,
        false => taken.push(message.to_vec()),
    };
    if mode == 0 {
        for (number, message) in messages.iter().enumerate() {
            stream.extend_from_slice(b"\x94\xa1t\x07");
            stream.extend(record(message));
            stream.extend(option(number));
            expected.reply.extend(answer(number));
            match record(message).len() > limit {
                true => expected.too_large += 1,
                false => taken.push(message.to_vec()),
            }
        }
    } else {
        for (entry, message) in entries.iter().zip(messages) {
            judge(entry.len(), message);
        }
        stream.extend_from_slice(b"\x93\xa1t");
        let packed = match mode {
            2 => entries.concat(),
            _ => gzip(&entries.concat()),
        };
        match mode {
            1 => {
                stream.push(0xdd);
                stream.extend((entries.len() as u32).to_be_bytes());
                stream.extend(entries.concat());
            }
            _ => {
                stream.push(0xc6);
                stream.extend((packed.len() as u32).to_be_bytes());
                stream.extend(packed);
            }
        }
        stream.extend(option(1));
        expected.reply.extend(answer(1));
    }
    let heard = fluent_stream(&stream, limit, cuts, false, false);
    assert_eq!((heard.too_large, heard.malformed, heard.closed), (expected.too_large, 0, false));
    assert_eq!(heard.reply, expected.reply);
    assert_eq!(heard.records.len(), taken.len());
    for (record, message) in heard.records.iter().zip(taken) {
        if let Ok(message) = String::from_utf8(message) {
            let record: Value = serde_json::from_slice(record).expect("the text is UTF-8");
            assert_eq!(record["m"], message);
            assert_eq!(
                (&record["fluent.tag"], &record["fluent.time"]),
                (&"t".into(), &"1970-01-01T00:00:07.000000Z".into())
            );
        }
    }
}

const PEERS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))];

/// Datagrams as they are.
fn datagrams(datagrams: &[&[u8]], limit: usize) {
    let mut gelf = chunks::Gelf::new(limit);
    let mut waiting = HashSet::new();
    for (at, datagram) in datagrams.iter().enumerate() {
        let peer = PEERS[at % 3 / 2];
        if datagram.starts_with(b"\x1e\x0f") && datagram.len() >= 12 {
            waiting.insert((peer, datagram[2..10].to_vec()));
        }
        match gelf.take(peer, Bytes::copy_from_slice(datagram)) {
            Found::Record(record) => {
                let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
                assert!(!record.is_empty() && record.len() <= limit);
                assert!(!is_padding(&record[0]) && !is_padding(&record[record.len() - 1]));
            }
            Found::Nothing | Found::Lost(Reason::TooLarge | Reason::Malformed | Reason::Busy) => {}
            Found::Lost(reason) => panic!("lost by {reason}"),
        }
    }
    let late = gelf.late(true);
    assert!(late.len() <= waiting.len());
    assert!(gelf.late(true).is_empty(), "what was given up is gone");
}

/// Each message in chunks of its own, those of two messages mixed, backwards.
fn chunked(messages: &[&[u8]], limit: usize, cuts: &[u8; 2], is_compressed: bool) {
    let mut gelf = chunks::Gelf::new(limit);
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    for (pair, messages) in messages.chunks(2).enumerate() {
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for (of, message) in messages.iter().enumerate() {
            // What begins like another form is not told from it.
            let message = if is_compressed { zlib(message) } else { [b"{", *message].concat() };
            let size = usize::from(cuts[of]).max(message.len().div_ceil(128)).max(1);
            let pieces: Vec<_> = message.chunks(size).collect();
            for (number, piece) in pieces.iter().enumerate() {
                let id = [pair as u8, (pair >> 8) as u8, of as u8, 0, 0, 0, 0, 0];
                let head = [&[0x1e, 0x0f][..], &id, &[number as u8, pieces.len() as u8]].concat();
                parts.push((of, [&head, *piece].concat()));
            }
        }
        parts.sort_by_key(|(_, part)| std::cmp::Reverse(part[10]));
        let mut found = [None, None];
        for (of, part) in &parts {
            let outcome = gelf.take(PEERS[*of], Bytes::copy_from_slice(part));
            if outcome != Found::Nothing {
                assert!(found[*of].is_none() || outcome == Found::Lost(Reason::TooLarge));
                found[*of] = Some(outcome);
            }
        }
        for (of, message) in messages.iter().enumerate() {
            let whole = if is_compressed { message.to_vec() } else { [b"{", *message].concat() };
            let sent = if is_compressed { zlib(message).len() } else { whole.len() };
            if whole.len() > limit {
                assert_eq!(found[of], Some(Found::Lost(Reason::TooLarge)));
            } else if sent <= limit {
                let start = whole.iter().take_while(|byte| is_padding(byte)).count();
                let end = whole.iter().rposition(|byte| !is_padding(byte)).map_or(0, |at| at + 1);
                let record = whole.get(start..end).filter(|record| !record.is_empty());
                assert_eq!(found[of], record.map(|record| Found::Record(Bytes::copy_from_slice(record))));
            }
        }
        let is_lost = found.contains(&Some(Found::Lost(Reason::TooLarge)));
        assert!(gelf.late(true).is_empty() || is_lost, "what is left is of a message that was given up");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut stream = data;
    let [mode, limit, first, second] = take(&mut stream);
    let cuts = &[first, second];
    // A number or a head is not longer than that; and with large ones a turn is full before it has its number of records.
    let scale = if mode & 0x80 != 0 { 10 } else { 0 };
    let limit = (usize::from(limit) + 16) << scale;
    let flags = mode >> 4 & 7;
    match mode & 0xf {
        0 => relp_stream(stream, limit, cuts),
        1 => relp_messages(&messages(stream), limit, cuts),
        2 => lumberjack_stream(stream, limit, cuts),
        3 => lumberjack_messages(&messages(stream), limit, cuts, usize::from(second).max(1), flags & 1 != 0),
        4 => lumberjack_inflated(&repeated(stream, flags), limit, cuts),
        5 => gelf_stream(stream, limit, cuts),
        6 => drop(fluent_stream(stream, limit, cuts, flags & 1 != 0, flags & 2 != 0)),
        7 => fluent_messages(&messages(stream), limit, cuts, flags & 3),
        8 => {
            // A list that inflates to more than an input is long.
            let packed = gzip(&repeated(stream, flags));
            let message = [&b"\x92\xa1t\xc6"[..], &(packed.len() as u32).to_be_bytes(), &packed].concat();
            fluent_stream(&message, limit, cuts, false, false);
        }
        9 => datagrams(&messages(stream), limit),
        _ => chunked(&messages(stream), limit, cuts, flags & 1 != 0),
    }
});
