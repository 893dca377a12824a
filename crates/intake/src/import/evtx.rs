//! Windows event logs, by the `evtx` crate.

use std::{
    collections::VecDeque,
    io::{Read, Seek},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use evtx::{EvtxChunkData, EvtxParser, IntoIterChunks, ParserSettings, err::EvtxError};
use vedette_event::Reason;

use super::{ImportError, Item, Place};

const CHUNK: u64 = 64 << 10;

/// The records of the log in the order they were written, and what is damaged.
pub(super) fn records<R: Read + Seek + Send + 'static>(
    source: R,
    name: &str,
    read: Arc<AtomicU64>,
) -> Result<Box<dyn Iterator<Item = Item> + Send>, String> {
    let parser =
        EvtxParser::from_read_seek(source).map_err(|error| format!("is no readable event log: {}", chain(&error)))?;
    let settings = ParserSettings::new().indent(false).separate_json_attributes(false).num_threads(1);
    let chunks = parser.with_configuration(settings.clone()).into_chunks();
    Ok(Box::new(Records { chunks, settings: Arc::new(settings), name: name.to_owned(), read, ready: VecDeque::new() }))
}

struct Records<R: Read + Seek> {
    chunks: IntoIterChunks<R>,
    settings: Arc<ParserSettings>,
    name: String,
    read: Arc<AtomicU64>,
    ready: VecDeque<Item>,
}

impl<R: Read + Seek> Iterator for Records<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match self.chunks.next()? {
                Ok(chunk) => self.render(chunk),
                Err(error) => {
                    let place = match &error {
                        EvtxError::FailedToParseChunk { chunk_id, .. } => Place::Chunk(*chunk_id),
                        _ => Place::File,
                    };
                    self.ready.push_back(Err(self.error(place, chain(&error))));
                }
            }
            self.read.fetch_add(CHUNK, Relaxed);
        }
    }
}

impl<R: Read + Seek> Records<R> {
    fn render(&mut self, mut chunk: EvtxChunkData) {
        let place = chunk.number.map_or(Place::File, Place::Chunk);
        if !chunk.validate_checksum() {
            let message = "the chunk's checksum is wrong; its records are read as far as they can be".to_owned();
            self.ready.push_back(Err(self.error(place, message)));
        }
        let mut parsed = match chunk.parse(self.settings.clone()) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = chain(&error);
                self.ready.push_back(Err(self.error(place, message)));
                return;
            }
        };
        let mut rendered = Vec::new();
        for record in parsed.iter() {
            rendered.push(record.and_then(|record| record.into_json_bytes()).map_err(|error| chain(&error)));
        }
        for record in rendered {
            let item = record.and_then(|record| json_object(record.data)).map_err(|message| self.error(place, message));
            self.ready.push_back(item);
        }
    }

    fn error(&self, place: Place, message: String) -> ImportError {
        ImportError { file: self.name.clone(), place, reason: Reason::Malformed, message }
    }
}

/// A rendered record as JSON: the renderer writes the names of elements as they are, whatever characters they have.
fn json_object(mut record: Vec<u8>) -> Result<Vec<u8>, String> {
    if record.iter().any(|byte| *byte < b' ') {
        let escape = |byte: u8| if byte < b' ' { format!("\\u{byte:04x}").into_bytes() } else { vec![byte] };
        record = record.into_iter().flat_map(escape).collect();
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&record) {
        Ok(_) if record.starts_with(b"{") => Ok(record),
        Ok(_) => Err("a record is no object".to_owned()),
        Err(error) => Err(format!("a record does not give JSON: {error}")),
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string().trim_end_matches('.').to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(error.to_string().trim_end_matches('.'));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::json_object;

    #[test]
    fn names_with_any_characters_give_json_or_an_error() {
        let object = |text: &str| json_object(text.as_bytes().to_vec());
        assert_eq!(object("{\"Event\":1}"), Ok(b"{\"Event\":1}".to_vec()));
        assert_eq!(object("{\"Securit\u{14}\":1}"), Ok(br#"{"Securit\u0014":1}"#.to_vec()));
        assert!(object("{\"a\"b\":1}").is_err());
        assert!(object("[1]").is_err());
    }
}
