//! What a frame says: definitions of sources, their totals, and runs of records.

use bytes::Bytes;
use vedette_event::{Reason, Source, SourceId, Time};

use super::Bad;

/// The number that stands for a reason in the file. A new reason needs a new format version.
const fn code(reason: Reason) -> u8 {
    match reason {
        Reason::TooLarge => 1,
        Reason::Busy => 2,
        Reason::DiskFull => 3,
        Reason::WriteFailed => 4,
        Reason::Malformed => 5,
        Reason::TooManySources => 6,
        Reason::Truncated => 7,
        Reason::KernelDrop => 8,
    }
}

/// A source's account as of the end of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) source: SourceId,
    /// The next record's sequence number, which is the number of records stored.
    pub(crate) next_seq: u64,
    /// No later record is stamped before it.
    pub(crate) last_received: Time,
    pub(crate) refused: Vec<(Reason, u64)>,
    pub(crate) shed: Vec<(Reason, u64)>,
}

/// Consecutive records of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) source: SourceId,
    pub(crate) first_seq: u64,
    pub(crate) records: Vec<(Time, Bytes)>,
}

/// A payload, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) definitions: Vec<Source>,
    pub(crate) totals: Vec<Total>,
    pub(crate) runs: Vec<Run>,
}

/// Writes a payload: definitions, then totals, then runs.
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn new(capacity: usize) -> Self {
        Encoder(Vec::with_capacity(capacity))
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }

    /// How many definitions, totals or runs follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    pub(crate) fn definition(&mut self, source: &Source) {
        self.varint(source.id.0.into());
        self.text(&source.name);
        self.text(&source.receiver);
        match &source.parser {
            None => self.0.push(0),
            Some(parser) => {
                self.0.push(1);
                self.text(parser);
            }
        }
    }

    pub(crate) fn total(&mut self, total: &Total) {
        self.varint(total.source.0.into());
        self.varint(total.next_seq);
        self.0.extend_from_slice(&total.last_received.micros().to_le_bytes());
        for counts in [&total.refused, &total.shed] {
            self.count(counts.len());
            for (reason, count) in counts {
                self.0.push(code(*reason));
                self.varint(*count);
            }
        }
    }

    /// A run's times must not go backwards.
    pub(crate) fn run<'a>(
        &mut self,
        source: SourceId,
        first_seq: u64,
        records: impl Iterator<Item = (Time, &'a Bytes)> + Clone,
    ) {
        let first = records.clone().next().map_or(Time::default(), |(received, _)| received);
        self.varint(source.0.into());
        self.varint(first_seq);
        self.0.extend_from_slice(&first.micros().to_le_bytes());
        self.count(records.clone().count());
        let mut before = first;
        for (received, raw) in records.clone() {
            self.varint(received.micros().wrapping_sub(before.micros()) as u64);
            self.varint(raw.len() as u64);
            before = received;
        }
        for (_, raw) in records {
            self.0.extend_from_slice(raw);
        }
    }

    fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// LEB128.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Reads a payload; the records share its memory.
pub(crate) fn decode(payload: &Bytes) -> Result<Payload, Bad> {
    let mut decoder = Decoder { payload, at: 0 };
    let mut read = Payload::default();
    for _ in 0..decoder.count()? {
        read.definitions.push(decoder.definition()?);
    }
    for _ in 0..decoder.count()? {
        read.totals.push(decoder.total()?);
    }
    for _ in 0..decoder.count()? {
        read.runs.push(decoder.run()?);
    }
    if decoder.at != payload.len() {
        return Err(Bad::new("the frame's content is longer than it says"));
    }
    Ok(read)
}

struct Decoder<'a> {
    payload: &'a Bytes,
    at: usize,
}

impl Decoder<'_> {
    fn take(&mut self, len: u64) -> Result<std::ops::Range<usize>, Bad> {
        let rest = self.payload.len() - self.at;
        if len > rest as u64 {
            return Err(Bad::new("the frame's content is shorter than it says"));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(start..self.at)
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        let range = self.take(1)?;
        Ok(self.payload[range.start])
    }

    fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Bad::new("a number in the frame is too large"))
    }

    /// A number of things, each of which takes a byte at least: so it also bounds what is allocated.
    fn count(&mut self) -> Result<usize, Bad> {
        let count = self.varint()?;
        let rest = self.payload.len() - self.at;
        if count > rest as u64 {
            return Err(Bad::new("the frame's content is shorter than it says"));
        }
        Ok(count as usize)
    }

    fn source(&mut self) -> Result<SourceId, Bad> {
        match u32::try_from(self.varint()?) {
            Ok(id) if id > 0 => Ok(SourceId(id)),
            _ => Err(Bad::new("a source's number is out of range")),
        }
    }

    fn time(&mut self) -> Result<Time, Bad> {
        let range = self.take(8)?;
        Ok(Time::from_micros(super::u64_at(self.payload, range.start) as i64))
    }

    fn text(&mut self) -> Result<&str, Bad> {
        let len = self.varint()?;
        let range = self.take(len)?;
        std::str::from_utf8(&self.payload[range]).map_err(|_| Bad::new("a source's name is not UTF-8"))
    }

    fn definition(&mut self) -> Result<Source, Bad> {
        Ok(Source {
            id: self.source()?,
            name: self.text()?.into(),
            receiver: self.text()?.into(),
            parser: match self.byte()? {
                0 => None,
                1 => Some(self.text()?.into()),
                _ => return Err(Bad::new("a source's parser is neither there nor absent")),
            },
        })
    }

    fn total(&mut self) -> Result<Total, Bad> {
        Ok(Total {
            source: self.source()?,
            next_seq: self.varint()?,
            last_received: self.time()?,
            refused: self.losses()?,
            shed: self.losses()?,
        })
    }

    fn losses(&mut self) -> Result<Vec<(Reason, u64)>, Bad> {
        let count = self.count()?;
        let mut losses = Vec::new();
        for _ in 0..count {
            let number = self.byte()?;
            let reason = Reason::ALL.into_iter().find(|reason| code(*reason) == number);
            let reason = reason.ok_or_else(|| Bad::new(format!("loss reason {number} is not known")))?;
            losses.push((reason, self.varint()?));
        }
        Ok(losses)
    }

    fn run(&mut self) -> Result<Run, Bad> {
        let source = self.source()?;
        let first_seq = self.varint()?;
        let mut received = self.time()?;
        let count = self.count()?;
        let mut heads = Vec::with_capacity(count.min(1 << 16));
        for _ in 0..count {
            let later = received.micros().checked_add_unsigned(self.varint()?);
            received = Time::from_micros(later.ok_or_else(|| Bad::new("a receive time is out of range"))?);
            heads.push((received, self.varint()?));
        }
        let mut records = Vec::with_capacity(heads.len());
        for (received, len) in heads {
            let range = self.take(len)?;
            records.push((received, self.payload.slice(range)));
        }
        Ok(Run { source, first_seq, records })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(payload: &Payload) -> Bytes {
        let mut encoder = Encoder::new(0);
        encoder.count(payload.definitions.len());
        payload.definitions.iter().for_each(|source| encoder.definition(source));
        encoder.count(payload.totals.len());
        payload.totals.iter().for_each(|total| encoder.total(total));
        encoder.count(payload.runs.len());
        for run in &payload.runs {
            encoder.run(run.source, run.first_seq, run.records.iter().map(|(time, raw)| (*time, raw)));
        }
        encoder.finish()
    }

    fn example() -> Payload {
        let id = SourceId(300);
        let time = |micros| Time::from_micros(micros);
        Payload {
            definitions: vec![
                Source { id, name: "file:/ä".into(), receiver: "file".into(), parser: None },
                Source { id: SourceId(1), name: "b".into(), receiver: "".into(), parser: Some("sshd".into()) },
            ],
            totals: vec![Total {
                source: id,
                next_seq: u64::MAX,
                last_received: time(-5),
                refused: vec![(Reason::Busy, 1), (Reason::KernelDrop, u64::MAX)],
                shed: vec![],
            }],
            runs: vec![
                Run {
                    source: id,
                    first_seq: 128,
                    records: vec![
                        (Time::MIN, "a".into()),
                        (time(-1), "".into()),
                        (time(-1), "\0\u{ff}".into()),
                        (Time::MAX, "d".into()),
                    ],
                },
                Run { source: SourceId(1), first_seq: 0, records: vec![(time(0), "x".into())] },
            ],
        }
    }

    #[test]
    fn round_trip() {
        for payload in [Payload::default(), example()] {
            assert_eq!(decode(&encode(&payload)).unwrap(), payload);
        }
    }

    #[test]
    fn cut_and_longer_payloads_are_refused() {
        let bytes = encode(&example());
        for len in 0..bytes.len() {
            assert!(decode(&bytes.slice(..len)).is_err(), "cut at {len}");
        }
        assert!(decode(&[&bytes[..], b"\0"].concat().into()).is_err());
    }

    #[test]
    fn every_reason_has_its_own_code() {
        let mut codes: Vec<u8> = Reason::ALL.into_iter().map(code).collect();
        codes.dedup();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    proptest! {
        #[test]
        fn hostile_payloads_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes.into()).ok();
        }

        #[test]
        fn changed_payloads_do_not_panic(at in 0usize..200, value in any::<u8>()) {
            let mut bytes = encode(&example()).to_vec();
            let at = at % bytes.len();
            bytes[at] = value;
            decode(&bytes.into()).ok();
        }
    }
}
