//! Compressed parts of a stream, taken apart as they come.

use std::io::Write;

use bytes::BytesMut;
use flate2::write::{MultiGzDecoder, ZlibDecoder};

use crate::receive::deflate::ended;

/// What one compressed part may become: more is a bomb.
const MAX_INFLATED: u64 = 1 << 30;

/// The compression of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Gzip,
}

/// A part that is being taken apart. Holds what was taken apart and not yet used.
pub(super) struct Inflater {
    decoder: Decoder,
    inflated: u64,
}

enum Decoder {
    Zlib(Box<ZlibDecoder<Output>>),
    Gzip(Box<MultiGzDecoder<Output>>),
}

#[derive(Default)]
struct Output(BytesMut);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The part is damaged, or a bomb.
#[derive(Debug)]
pub(super) struct Damaged;

impl Inflater {
    pub(super) fn new(compression: Compression) -> Self {
        let decoder = match compression {
            Compression::Zlib => Decoder::Zlib(Box::new(ZlibDecoder::new(Output::default()))),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(Output::default()))),
        };
        Inflater { decoder, inflated: 0 }
    }

    /// Takes compressed bytes, and says how many they became; feed little at a time, since a kilobyte may become a megabyte.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Damaged> {
        let before = self.output().len();
        let fed = match &mut self.decoder {
            Decoder::Zlib(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Decoder::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
        };
        let became = self.output().len() - before;
        self.inflated += became as u64;
        match fed {
            Ok(()) if self.inflated <= MAX_INFLATED => Ok(became),
            _ => Err(Damaged),
        }
    }

    /// The part has ended.
    pub(super) fn finish(&mut self) -> Result<(), Damaged> {
        let before = self.output().len();
        let finished = match &mut self.decoder {
            Decoder::Zlib(decoder) => ended(decoder),
            Decoder::Gzip(decoder) => decoder.try_finish(),
        };
        self.inflated += (self.output().len() - before) as u64;
        finished.map_err(|_| Damaged)
    }

    /// What was taken apart and not yet used.
    pub(super) fn output(&mut self) -> &mut BytesMut {
        match &mut self.decoder {
            Decoder::Zlib(decoder) => &mut decoder.get_mut().0,
            Decoder::Gzip(decoder) => &mut decoder.get_mut().0,
        }
    }
}
