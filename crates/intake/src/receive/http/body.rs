//! Request bodies: read in pieces within time, decompressed, and bounded at both ends.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures::StreamExt;
use tokio::time::Instant;
use zstd::stream::{raw::DParameter, zio};

use crate::receive::{Limits, deflate::ended};

/// Compressed bytes are fed in steps of this size, with a rest for other tasks in between.
const STEP: usize = 8 << 10;
/// The largest zstd window, 8 MiB: what RFC 8878 asks every decoder to take.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {0} bytes; send smaller requests")]
    TooLarge(usize),
    #[error("the body decompresses to more than {0} bytes; send smaller requests")]
    Bomb(usize),
    #[error("the body cannot be decompressed: {0}")]
    Corrupt(String),
    #[error("content encoding `{0}` is not supported; use gzip, deflate, zstd or none")]
    Encoding(String),
    #[error("the body did not come within {0:?}")]
    TooSlow(Duration),
    #[error("the body broke off: {0}")]
    BrokenOff(String),
    #[error("the request's state was lost; please report this")]
    Lost,
}

impl BodyError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge(_) | BodyError::Bomb(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            BodyError::Corrupt(_) | BodyError::BrokenOff(_) => StatusCode::BAD_REQUEST,
            BodyError::Lost => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The compressed side: pieces as they come from the network.
pub(super) struct Incoming {
    stream: BodyDataStream,
    limits: Limits,
    deadline: Instant,
    received: usize,
}

impl Incoming {
    pub(super) fn new(body: Body, headers: &HeaderMap, limits: &Limits) -> Result<Self, BodyError> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limits.body_bytes) {
            return Err(BodyError::TooLarge(limits.body_bytes));
        }
        let deadline = Instant::now() + limits.body_time;
        Ok(Incoming { stream: body.into_data_stream(), limits: limits.clone(), deadline, received: 0 })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let patience = self.deadline.min(Instant::now() + self.limits.message_time);
        let piece = match tokio::time::timeout_at(patience, self.stream.next()).await {
            Err(_) if patience == self.deadline => return Err(BodyError::TooSlow(self.limits.body_time)),
            Err(_) => return Err(BodyError::TooSlow(self.limits.message_time)),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(BodyError::BrokenOff(error.to_string())),
            Ok(Some(Ok(piece))) => piece,
        };
        self.received = self.received.saturating_add(piece.len());
        match self.received > self.limits.body_bytes {
            true => Err(BodyError::TooLarge(self.limits.body_bytes)),
            false => Ok(Some(piece)),
        }
    }
}

/// Takes decompressed bytes.
pub(super) trait Sink {
    fn take(&mut self, bytes: &[u8]);
}

/// Counts what passes and stops at the limit.
struct Bounded<S> {
    /// Gone once it was taken out.
    sink: Option<S>,
    left: usize,
    exceeded: bool,
}

impl<S: Sink> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => {
                self.exceeded = true;
                return Err(io::Error::other("limit exceeded"));
            }
        }
        match &mut self.sink {
            Some(sink) => sink.take(bytes),
            None => return Err(io::Error::other("the sink was taken out")),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder<S: Sink> {
    Plain(Bounded<S>),
    Gzip(MultiGzDecoder<Bounded<S>>),
    Zlib(ZlibDecoder<Bounded<S>>),
    Deflate(DeflateDecoder<Bounded<S>>),
    Zstd(zio::Writer<Bounded<S>, zstd::stream::raw::Decoder<'static>>),
    /// `deflate` may mean zlib (as specified) or a bare stream (as some send): the first byte tells.
    Undecided(Option<Bounded<S>>),
}

/// The decompressed side: feeds a sink.
pub(super) struct Decompressor<S: Sink> {
    decoder: Decoder<S>,
    limit: usize,
}

impl<S: Sink> Decompressor<S> {
    pub(super) fn new(headers: &HeaderMap, limit: usize, sink: S) -> Result<Self, BodyError> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
        let bounded = Bounded { sink: Some(sink), left: limit, exceeded: false };
        let decoder = match encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity") => Decoder::Plain(bounded),
            Some("gzip" | "x-gzip") => Decoder::Gzip(MultiGzDecoder::new(bounded)),
            // Some clients name every compression that they know, and use one of them.
            Some("deflate" | "gzip,deflate" | "gzip, deflate") => Decoder::Undecided(Some(bounded)),
            Some("zstd") => {
                let mut raw =
                    zstd::stream::raw::Decoder::new().map_err(|error| BodyError::Corrupt(error.to_string()))?;
                raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .map_err(|error| BodyError::Corrupt(error.to_string()))?;
                Decoder::Zstd(zio::Writer::new(bounded, raw))
            }
            Some(other) => return Err(BodyError::Encoding(other.to_owned())),
        };
        Ok(Decompressor { decoder, limit })
    }

    /// Feeds one piece.
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        for step in piece.chunks(STEP) {
            self.step(step)?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn step(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        if let Decoder::Undecided(waiting) = &mut self.decoder
            && let Some(bounded) = waiting.take()
        {
            // zlib: compression method 8, and a header that is a multiple of 31.
            let is_zlib = match bytes {
                [first, second, ..] => first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0,
                [first] => *first == 0x78,
                [] => true,
            };
            self.decoder = match (bytes.starts_with(&[0x1f]), is_zlib) {
                (true, _) => Decoder::Gzip(MultiGzDecoder::new(bounded)),
                (false, true) => Decoder::Zlib(ZlibDecoder::new(bounded)),
                (false, false) => Decoder::Deflate(DeflateDecoder::new(bounded)),
            };
        }
        let written = match &mut self.decoder {
            Decoder::Plain(sink) => sink.write_all(bytes),
            Decoder::Gzip(decoder) => decoder.write_all(bytes),
            Decoder::Zlib(decoder) => decoder.write_all(bytes),
            Decoder::Deflate(decoder) => decoder.write_all(bytes),
            Decoder::Zstd(decoder) => decoder.write_all(bytes),
            Decoder::Undecided(_) => Ok(()),
        };
        written.map_err(|error| self.failed(&error))
    }

    /// The body has ended; a compressed stream must have ended too.
    pub(super) fn finish(&mut self) -> Result<(), BodyError> {
        let finished = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zlib(decoder) => ended(decoder),
            Decoder::Deflate(decoder) => ended(decoder),
            Decoder::Zstd(decoder) => decoder.finish(),
            Decoder::Plain(_) | Decoder::Undecided(_) => Ok(()),
        };
        finished.map_err(|error| self.failed(&error))
    }

    /// What was fed so far.
    pub(super) fn sink(&mut self) -> Option<&mut S> {
        self.bounded()?.sink.as_mut()
    }

    /// Takes the sink out, at the end; `None` the second time.
    pub(super) fn take_sink(&mut self) -> Option<S> {
        self.bounded()?.sink.take()
    }

    fn bounded(&mut self) -> Option<&mut Bounded<S>> {
        match &mut self.decoder {
            Decoder::Plain(sink) => Some(sink),
            Decoder::Undecided(sink) => sink.as_mut(),
            Decoder::Gzip(decoder) => Some(decoder.get_mut()),
            Decoder::Zlib(decoder) => Some(decoder.get_mut()),
            Decoder::Deflate(decoder) => Some(decoder.get_mut()),
            Decoder::Zstd(decoder) => Some(decoder.writer_mut()),
        }
    }

    fn failed(&mut self, error: &io::Error) -> BodyError {
        match self.bounded().is_some_and(|bounded| bounded.exceeded) {
            true => BodyError::Bomb(self.limit),
            false => BodyError::Corrupt(error.to_string()),
        }
    }
}
