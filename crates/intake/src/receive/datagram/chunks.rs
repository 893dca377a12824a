//! GELF over UDP ([Graylog Extended Log Format](https://go2docs.graylog.org/current/getting_in_log_data/gelf.html)): a message is
//! JSON, plain or compressed (gzip, zlib), in one datagram or in up to 128 chunks that come in any order within five seconds.
//!
//! A chunk is `1e 0f`, eight bytes of message id, its number, their count, and its bytes.

use std::{
    collections::HashMap,
    io::Read,
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use vedette_event::Reason;

use super::Found;

const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEAD: usize = 12;
const MAX_CHUNKS: u8 = 128;
/// All chunks of a message must come within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a message and a chunk take besides their bytes.
const OF_MESSAGE: usize = 256;
const OF_CHUNK: usize = size_of::<Option<Bytes>>();
/// What unfinished messages may take together, and how many there may be of one peer.
const MAX_WAITING_BYTES: usize = 16 << 20;
const MAX_WAITING_OF_PEER: usize = 256;

/// Messages that are not whole yet.
pub(super) struct Gelf {
    limit: usize,
    waiting: HashMap<(IpAddr, [u8; 8]), Waiting>,
    of_peer: HashMap<IpAddr, usize>,
    bytes: usize,
}

struct Waiting {
    since: Instant,
    chunks: Vec<Option<Bytes>>,
    missing: usize,
    bytes: usize,
}

impl Waiting {
    /// What it takes. Addresses can be made up, so that many messages of one empty chunk would be cheap to send.
    fn size(&self) -> usize {
        OF_MESSAGE + self.chunks.len() * OF_CHUNK + self.bytes
    }
}

impl Gelf {
    pub(super) fn new(limit: usize) -> Self {
        Gelf { limit, waiting: HashMap::new(), of_peer: HashMap::new(), bytes: 0 }
    }

    pub(super) fn take(&mut self, peer: IpAddr, datagram: Bytes) -> Found {
        match datagram.starts_with(&MAGIC) {
            true => self.chunk(peer, &datagram),
            false => self.message(&datagram),
        }
    }

    fn chunk(&mut self, peer: IpAddr, datagram: &Bytes) -> Found {
        let Some((head, _)) = datagram.split_first_chunk::<HEAD>() else { return Found::Lost(Reason::Malformed) };
        let [_, _, id @ .., number, count] = *head;
        if count == 0 || count > MAX_CHUNKS || number >= count {
            return Found::Lost(Reason::Malformed);
        }
        let bytes = datagram.slice(HEAD..);
        let key = (peer, id);
        if !self.waiting.contains_key(&key) {
            let of_peer = self.of_peer.entry(peer).or_default();
            if *of_peer >= MAX_WAITING_OF_PEER {
                return Found::Lost(Reason::Busy);
            }
            *of_peer += 1;
            let chunks = vec![None; usize::from(count)];
            let waiting = Waiting { since: Instant::now(), chunks, missing: usize::from(count), bytes: 0 };
            self.bytes += waiting.size();
            self.waiting.insert(key, waiting);
        }
        let Some(waiting) = self.waiting.get_mut(&key) else { return Found::Nothing };
        if waiting.chunks.len() != usize::from(count) {
            self.forget(key);
            return Found::Lost(Reason::Malformed);
        }
        let place = &mut waiting.chunks[usize::from(number)];
        if place.is_some() {
            // Sent twice.
            return Found::Nothing;
        }
        waiting.bytes += bytes.len();
        self.bytes += bytes.len();
        waiting.missing -= 1;
        // A copy: a slice would keep the whole buffer that datagrams are received into.
        *place = Some(Bytes::copy_from_slice(&bytes));
        if waiting.missing == 0 {
            let Some(whole) = self.forget(key) else { return Found::Nothing };
            let message: Vec<u8> = whole.chunks.iter().flatten().flat_map(|chunk| chunk.iter().copied()).collect();
            return self.message(&message);
        }
        // The compressed message is smaller than the message.
        let (is_long, is_full) = (waiting.bytes > self.limit, self.bytes > MAX_WAITING_BYTES);
        if is_long || is_full {
            self.forget(key);
            return Found::Lost(if is_long { Reason::TooLarge } else { Reason::Busy });
        }
        Found::Nothing
    }

    fn forget(&mut self, key: (IpAddr, [u8; 8])) -> Option<Waiting> {
        let waiting = self.waiting.remove(&key)?;
        self.bytes -= waiting.size();
        if let Some(of_peer) = self.of_peer.get_mut(&key.0) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.of_peer.remove(&key.0);
            }
        }
        Some(waiting)
    }

    /// Whose messages did not become whole in time, or (`all`) are not whole now; they are given up.
    pub(super) fn late(&mut self, all: bool) -> Vec<IpAddr> {
        let is_late = |waiting: &Waiting| all || waiting.since.elapsed() > PATIENCE;
        let late: Vec<_> = self.waiting.iter().filter(|(_, waiting)| is_late(waiting)).map(|(key, _)| *key).collect();
        for key in &late {
            self.forget(*key);
        }
        late.into_iter().map(|(peer, _)| peer).collect()
    }

    /// A whole message, perhaps compressed.
    fn message(&self, bytes: &[u8]) -> Found {
        let message = match bytes {
            [0x1f, 0x8b, ..] => inflated(MultiGzDecoder::new(bytes), self.limit + 1),
            [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0 => {
                inflated(ZlibDecoder::new(bytes), self.limit + 1)
            }
            _ => Some(bytes.to_vec()),
        };
        let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        match message {
            None => Found::Lost(Reason::Malformed),
            Some(message) if message.len() > self.limit => Found::Lost(Reason::TooLarge),
            Some(message) => {
                let message = &message[message.iter().take_while(|byte| is_padding(byte)).count()..];
                match message.iter().rposition(|byte| !is_padding(byte)) {
                    None => Found::Nothing,
                    Some(last) => Found::Record(Bytes::copy_from_slice(&message[..=last])),
                }
            }
        }
    }
}

/// What a stream inflates to, or the first `most` bytes of that; `None` if it is damaged or cut off.
fn inflated(stream: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    stream.take(most as u64).read_to_end(&mut inflated).ok().map(|_| inflated)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::Ipv4Addr};

    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn chunk(id: u8, number: u8, count: u8, bytes: &[u8]) -> Bytes {
        [&MAGIC[..], &[id; 8], &[number, count], bytes].concat().into()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed() {
        let text = b"{\"version\":\"1.1\"}";
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(text).unwrap();
        let mut gelf = Gelf::new(100);
        for datagram in [text.to_vec(), gzip.finish().unwrap(), zlib(text), [&text[..], b"\n\0"].concat()] {
            assert_eq!(gelf.take(PEER, datagram.into()), Found::Record(Bytes::from_static(text)));
        }
        assert_eq!(gelf.take(PEER, zlib(&[b'x'; 101]).into()), Found::Lost(Reason::TooLarge));
        assert_eq!(gelf.take(PEER, vec![b'x'; 101].into()), Found::Lost(Reason::TooLarge));
        assert_eq!(gelf.take(PEER, zlib(text)[..10].to_vec().into()), Found::Lost(Reason::Malformed));
        let whole = zlib(text);
        for end in 2..whole.len() {
            assert_eq!(gelf.take(PEER, whole[..end].to_vec().into()), Found::Lost(Reason::Malformed), "{end}");
        }
        assert_eq!(gelf.take(PEER, Bytes::new()), Found::Nothing);
    }

    #[test]
    fn chunks_in_any_order() {
        let mut gelf = Gelf::new(100);
        assert_eq!(gelf.take(PEER, chunk(1, 2, 3, b"c")), Found::Nothing);
        assert_eq!(gelf.take(PEER, chunk(2, 0, 2, b"x")), Found::Nothing);
        assert_eq!(gelf.take(PEER, chunk(1, 0, 3, b"a")), Found::Nothing);
        assert_eq!(gelf.take(PEER, chunk(1, 0, 3, b"a")), Found::Nothing);
        assert_eq!(gelf.take(PEER, chunk(1, 1, 3, b"b")), Found::Record(Bytes::from_static(b"abc")));
        assert_eq!(gelf.take(PEER, chunk(2, 0, 3, b"x")), Found::Lost(Reason::Malformed));
        assert_eq!((gelf.waiting.len(), gelf.of_peer.len(), gelf.bytes), (0, 0, 0));
        for (number, count) in [(0, 0), (3, 3), (0, 129)] {
            assert_eq!(gelf.take(PEER, chunk(3, number, count, b"x")), Found::Lost(Reason::Malformed));
        }
        assert_eq!(gelf.take(PEER, Bytes::from_static(b"\x1e\x0fshort")), Found::Lost(Reason::Malformed));
    }

    #[test]
    fn what_waits_is_bounded_and_given_up() {
        let mut gelf = Gelf::new(10);
        assert_eq!(gelf.take(PEER, chunk(1, 0, 2, b"0123456789a")), Found::Lost(Reason::TooLarge));
        for id in 0..=255 {
            assert_eq!(gelf.take(PEER, chunk(id, 0, 2, b"a")), Found::Nothing);
        }
        let more = [&MAGIC[..], &[1, 2, 3, 4, 5, 6, 7, 8, 0, 2], b"x"].concat();
        assert_eq!(gelf.take(PEER, more.into()), Found::Lost(Reason::Busy));
        assert!(gelf.late(false).is_empty());
        assert_eq!(gelf.late(true).len(), 256);
        assert_eq!((gelf.waiting.len(), gelf.of_peer.len(), gelf.bytes), (0, 0, 0));
    }

    #[test]
    fn messages_of_made_up_addresses_are_bounded_too() {
        let mut gelf = Gelf::new(10);
        let busy = (0..10_000_u32)
            .filter(|n| gelf.take(IpAddr::V4((*n).into()), chunk(1, 0, 128, b"")) == Found::Lost(Reason::Busy))
            .count();
        assert!(gelf.waiting.len() < 4096 && gelf.waiting.len() + busy == 10_000, "{}", gelf.waiting.len());
        assert_eq!(gelf.late(true).len() + busy, 10_000);
        assert_eq!((gelf.waiting.len(), gelf.of_peer.len(), gelf.bytes), (0, 0, 0));
    }
}
