//! What a file is: decompression and detection.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use flate2::bufread::MultiGzDecoder;
use serde::de::IgnoredAny;
use vedette_event::Diagnostic;

use super::{Format, Import, Options, evtx, text};

/// Detection looks at this much of a file.
const HEAD: u64 = 64 << 10;
const ZSTD_WINDOW_LOG: u32 = 27;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const EVTX: &[u8] = b"ElfFile\0";

/// Counts what is read of the file itself.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

pub(super) type Input = Box<dyn Read + Send>;

pub(super) fn open(path: &Path, options: &Options) -> Result<Import, Diagnostic> {
    let name = path.display().to_string();
    let failed = |error: io::Error| Diagnostic::new(&name, 0, 0, format!("cannot be read: {error}"));
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(
            Diagnostic::new(&name, 0, 0, "is not a file").hint("name the files, for example with a shell pattern")
        );
    }
    let (read, total) = (Arc::new(AtomicU64::new(0)), metadata.len());
    let mut magic = Vec::new();
    (&mut file).take(8).read_to_end(&mut magic).map_err(failed)?;
    io::Seek::rewind(&mut file).map_err(failed)?;

    if magic.starts_with(EVTX) {
        let items =
            evtx::records(file, &name, read.clone()).map_err(|message| Diagnostic::new(&name, 0, 0, message))?;
        return Ok(Import { format: Format::Evtx, read, total, items });
    }
    for (known, kind, tool) in
        [(&b"\xfd7zXZ\0"[..], "xz", "xz -d"), (b"BZh", "bzip2", "bunzip2"), (b"PK\x03\x04", "zip", "unzip")]
    {
        if magic.starts_with(known) {
            return Err(Diagnostic::new(&name, 0, 0, format!("{kind} files are not supported"))
                .hint(format!("unpack it first, with {tool}")));
        }
    }
    let counted = BufReader::new(Counted { file, read: read.clone() });
    let is_compressed = magic.starts_with(GZIP) || magic.starts_with(ZSTD);
    let mut input: Input = if magic.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(counted))
    } else if magic.starts_with(ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(counted).map_err(failed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(failed)?;
        Box::new(decoder)
    } else {
        Box::new(counted)
    };
    let mut head = Vec::new();
    // What cannot be decompressed further on is reported when it is reached.
    if let Err(error) = (&mut input).take(HEAD).read_to_end(&mut head)
        && head.is_empty()
    {
        return Err(failed(error));
    }
    if is_compressed && head.starts_with(EVTX) {
        let mut whole = head;
        (&mut input).take(options.compressed_evtx_bytes + 1).read_to_end(&mut whole).map_err(failed)?;
        if whole.len() as u64 > options.compressed_evtx_bytes {
            return Err(Diagnostic::new(
                &name,
                0,
                0,
                "is a compressed event log that is too large to be read in memory",
            )
            .hint("decompress it first"));
        }
        let items = evtx::records(Cursor::new(whole), &name, Arc::default())
            .map_err(|message| Diagnostic::new(&name, 0, 0, message))?;
        return Ok(Import { format: Format::Evtx, read, total, items });
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(
            Diagnostic::new(&name, 0, 0, "is UTF-16 text").hint("convert it first, with iconv -f UTF-16 -t UTF-8")
        );
    }
    let (format, skip) = detect(&head);
    head.drain(..skip);
    let input: Input = Box::new(Cursor::new(head).chain(input));
    let items = text::records(input, &name, format, options.record_bytes);
    Ok(Import { format, read, total, items })
}

/// The format, and how many bytes lie before its first record.
fn detect(head: &[u8]) -> (Format, usize) {
    let bom = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = &head[bom..];
    let blank = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let text = &text[blank..];
    if text.starts_with(b"#separator ") {
        return (Format::ZeekTsv, bom + blank);
    }
    match text.first() {
        Some(b'[') => {
            let next = text[1..].iter().find(|byte| !byte.is_ascii_whitespace());
            // Apache's error log begins with a bracket too.
            let is_array = matches!(next, Some(b'{' | b']'));
            (if is_array { Format::JsonArray } else { Format::Lines }, bom)
        }
        Some(b'{') => match records_array(text) {
            Some(inside) => (Format::CloudTrail, bom + blank + inside),
            None => (json(text), bom),
        },
        _ => (Format::Lines, bom),
    }
}

/// Where the elements begin in `{"Records": [`.
fn records_array(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for token in [&b"{"[..], b"\"Records\"", b":", b"["] {
        at += text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if !text[at..].starts_with(token) {
            return None;
        }
        at += token.len();
    }
    Some(at)
}

fn json(text: &[u8]) -> Format {
    let Some(end) = memchr::memchr(b'\n', text) else { return Format::Ndjson };
    match serde_json::from_slice::<IgnoredAny>(&text[..end]) {
        Err(error) if error.is_eof() => Format::Json,
        // A damaged first line, or a line of something else.
        Err(_) if !text[1..].trim_ascii_start().starts_with(b"\"") => Format::Lines,
        _ => Format::Ndjson,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection() {
        let cases: &[(&str, Format, usize)] = &[
            ("{\"a\":1}\n{\"a\":2}\n", Format::Ndjson, 0),
            ("\u{feff}{\"a\":1}\n", Format::Ndjson, 3),
            ("{\"a\":1}", Format::Ndjson, 0),
            ("{\"a\":nonsense}\n{\"a\":2}\n", Format::Ndjson, 0),
            ("{\n  \"a\": 1\n}\n", Format::Json, 0),
            (" {\n \"Records\" : [ {}]}", Format::CloudTrail, 17),
            ("{\"Records\":[{}]}", Format::CloudTrail, 12),
            ("{\"Records\":7}\n", Format::Ndjson, 0),
            ("[\n {\"a\":1}]", Format::JsonArray, 0),
            ("[Fri Nov 21 04:11:52 2026] [error] x", Format::Lines, 0),
            ("{curly} brace\n", Format::Lines, 0),
            ("#separator \\x09\n", Format::ZeekTsv, 0),
            ("Nov 21 04:11:52 host sshd[811]: x\n", Format::Lines, 0),
            ("", Format::Lines, 0),
        ];
        for (text, format, skip) in cases {
            assert_eq!(detect(text.as_bytes()), (*format, *skip), "{text:?}");
        }
    }
}
