//! Where a zlib or bare deflate stream ends.

use std::io::{self, Write};

/// Whether a stream has ended, or is cut off.
///
/// flate2's writers say nothing of it: `try_finish` takes what has come for the whole. But a stream that has ended takes no byte
/// more, and one that has not does.
pub(crate) fn ended(decoder: &mut impl Write) -> io::Result<()> {
    match decoder.write(&[0])? {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream is cut off")),
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateDecoder, DeflateEncoder, ZlibDecoder, ZlibEncoder},
    };

    use super::*;

    fn fed(mut decoder: impl Write, stream: &[u8], step: usize) -> bool {
        stream.chunks(step).all(|piece| decoder.write_all(piece).is_ok()) && ended(&mut decoder).is_ok()
    }

    #[test]
    fn only_whole_streams_have_ended() {
        for text in [vec![], b"hello".to_vec(), vec![b'x'; 300_000], (0..9000_u32).flat_map(u32::to_le_bytes).collect()]
        {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
            zlib.write_all(&text).unwrap();
            zlib.flush().unwrap();
            let flushed = zlib.get_ref().clone();
            let zlib = zlib.finish().unwrap();
            let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
            bare.write_all(&text).unwrap();
            let bare = bare.finish().unwrap();
            for step in [1, 7, 1 << 20] {
                assert!(fed(ZlibDecoder::new(Vec::new()), &zlib, step));
                assert!(fed(DeflateDecoder::new(Vec::new()), &bare, step));
                assert!(!fed(ZlibDecoder::new(Vec::new()), &flushed, step), "all of the text, and no end");
                for missing in (1..zlib.len().min(10)).chain([zlib.len() / 2, zlib.len()]) {
                    assert!(!fed(ZlibDecoder::new(Vec::new()), &zlib[..zlib.len() - missing], step), "{missing}");
                }
                for missing in (1..bare.len().min(10)).chain([bare.len()]) {
                    assert!(!fed(DeflateDecoder::new(Vec::new()), &bare[..bare.len() - missing], step), "{missing}");
                }
            }
        }
    }
}
