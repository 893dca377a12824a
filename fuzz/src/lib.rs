//! What several fuzz targets need.

pub mod spooled;

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};
use vedette_spool::{Options, Spool};

/// An empty folder in memory, where there is one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::Builder::new().prefix("vedette-fuzz-").tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary folder can be made")
}

/// An empty spool of small limits, in its folder.
pub fn spool() -> (TempDir, Spool) {
    let folder = folder();
    let options = Options {
        min_free_bytes: 0,
        commit_interval: Duration::ZERO,
        max_record_bytes: 200,
        queue_bytes: 1 << 20,
        ..Options::default()
    };
    let spool = Spool::open(folder.path(), options).expect("an empty folder");
    (folder, spool)
}

/// `data` in pieces whose lengths `lengths` gives, over and over; each at least one byte.
pub fn pieces<'a>(data: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = data;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            return pieces;
        }
        let (piece, behind) = rest.split_at(usize::from(*length).max(1).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    vec![data]
}

/// Takes the first `N` bytes off the data; zeros where they are missing.
pub fn take<const N: usize>(data: &mut &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    let len = data.len().min(N);
    taken[..len].copy_from_slice(&data[..len]);
    *data = &data[len..];
    taken
}

/// A batch from text: a line `name=value` is a field, a blank line ends an event. `name:=value` is a number,
/// `name==` a null.
pub fn batch(text: &str) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for event in text.split("\n\n").take(64) {
        batch.begin(batch.len() as u64, Time::from_secs(1_795_000_000), event.as_bytes());
        for line in event.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            match (name.strip_suffix(':'), value) {
                (Some(name), number) => match (number.parse::<i64>(), number.parse::<f64>()) {
                    (Ok(int), _) => batch.push(name, Value::Int(int)),
                    (_, Ok(float)) => batch.push(name, Value::Float(float)),
                    _ => batch.push(name, Value::Bool(number == "true")),
                },
                (None, "=") => batch.push(name, Value::Null),
                (None, text) => batch.push(name, Value::Str(text)),
            }
        }
    }
    batch.finish()
}
