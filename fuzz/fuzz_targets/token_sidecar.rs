//! The store's token sidecar. Its modules are included alone: Arrow, Parquet and SQLite are not needed to read it.
//!
//! By the first byte: the data is a sidecar file as it is; or it is the contents of its sections, which get
//! checksums and a footer; or it is rows of text, of which a sidecar is built. Reading damage is an error, never a
//! panic, and gives no granule that the segment does not have. Of a sidecar that was built, every look-up finds at
//! least the granules in which brute force finds the term; and merging reads all of it.

#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

use std::{fs, path::Path};

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::take;

#[path = "../../crates/store/src/granules.rs"]
mod granules;
#[path = "../../crates/store/src/tokens/mod.rs"]
mod tokens;
#[path = "../../crates/store/src/varint.rs"]
mod varint;

pub use error::{Result, StoreError};
pub use granules::{Granule, Granules};
use tokens::{BatchEntry, Term, TermQuery, TokenBuilder, TokenIndex, fold};

/// The crate's errors as far as these modules use them.
mod error {
    use std::{io, path::{Path, PathBuf}};

    #[derive(Debug)]
    pub enum StoreError {
        Io { path: PathBuf, action: &'static str, error: io::Error },
        Newer { path: PathBuf, what: &'static str, found: u64, known: u64 },
        Damaged { path: PathBuf, detail: String },
    }

    pub type Result<T, E = StoreError> = std::result::Result<T, E>;

    impl StoreError {
        pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
            StoreError::Damaged { path: path.to_owned(), detail: detail.into() }
        }
    }

    pub(crate) trait IoContext<T> {
        fn at(self, path: &Path, action: &'static str) -> Result<T>;
    }

    impl<T> IoContext<T> for io::Result<T> {
        fn at(self, path: &Path, action: &'static str) -> Result<T> {
            self.map_err(|error| StoreError::Io { path: path.to_owned(), action, error })
        }
    }
}

fn terms(text: &str) -> Vec<Term> {
    let text = || text.to_owned();
    vec![
        Term::Contains(text()),
        Term::Word(text()),
        Term::WordStart(text()),
        Term::WordEnd(text()),
        Term::Value(text()),
        Term::ValueStart(text()),
        Term::ValueEnd(text()),
    ]
}

/// Reads everything there is to read.
fn read(path: &Path, queries: &[&str]) -> Result<()> {
    let index = TokenIndex::open(path)?;
    // As `Segment::index` does: the manifest says how many granules a segment has, at most a few thousand.
    if index.granules() > 4096 {
        return Ok(());
    }
    index.batches().ok();
    for text in queries {
        for term in terms(text) {
            if let Ok(found) = index.candidates(&term.into()) {
                assert!(found.iter().all(|granule| granule < index.granules()));
                assert_eq!(found.universe(), index.granules());
            }
        }
    }
    let mut stream = index.stream()?;
    while let Some((token, granules)) = stream.next()? {
        assert!(token.len() < 1 << 20 && granules.iter().all(|granule| (*granule as usize) < index.granules()));
    }
    Ok(())
}

fn section(out: &mut Vec<u8>, directory: &mut Vec<u8>, raw: &[u8]) {
    let stored = zstd::bulk::compress(raw, 1).expect("memory");
    varint::put(directory, stored.len() as u64);
    varint::put(directory, raw.len() as u64);
    directory.extend(crc32c::crc32c(&stored).to_le_bytes());
    out.extend(stored);
}

/// A sidecar of one or two blocks with the given contents.
fn sections(mut data: &[u8]) -> Vec<u8> {
    let [granules, counts, first] = take(&mut data);
    let mut part = || {
        let [len] = take(&mut data);
        let (part, rest) = data.split_at(usize::from(len).min(data.len()));
        data = rest;
        part
    };
    let blocks = 1 + usize::from(counts >> 7);
    let mut out = b"VDTTOKEN".to_vec();
    let mut directory = Vec::new();
    varint::put(&mut directory, granules.into());
    varint::put(&mut directory, u64::from(counts & 0x7f) * blocks as u64);
    varint::put(&mut directory, blocks as u64);
    for block in 0..blocks {
        varint::put(&mut directory, 1);
        directory.push(first.wrapping_add(block as u8));
        varint::put(&mut directory, u64::from(counts & 0x7f));
        for _ in 0..2 {
            section(&mut out, &mut directory, part());
        }
    }
    section(&mut out, &mut directory, part());
    // What is left replaces the directory.
    let rest = part();
    let directory = if rest.is_empty() { &directory[..] } else { rest };
    let stored = zstd::bulk::compress(directory, 1).expect("memory");
    let offset = out.len() as u64;
    out.extend(&stored);
    out.extend(offset.to_le_bytes());
    out.extend((stored.len() as u32).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(crc32c::crc32c(&stored).to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(b"VDTTOKEN");
    out
}

/// Whether the folded text occurs; `left`, `right`: not beginning, not ending inside a word.
fn occurs(text: &str, term: &str, left: bool, right: bool) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    (0..=text.len()).filter(|at| text.is_char_boundary(*at) && text[*at..].starts_with(term)).any(|at| {
        let end = at + term.len();
        let inside = |at: usize| {
            text[..at].chars().next_back().is_some_and(is_word) && text[at..].chars().next().is_some_and(is_word)
        };
        !(left && inside(at)) && !(right && inside(end))
    })
}

/// Rows of text: lines; `\t` separates the original from its values. The first line's words are looked for.
fn build(path: &Path, data: &[u8]) {
    let Some((wanted, rows)) = data.split_first().and_then(|(_, data)| {
        let end = memchr::memchr(b'\n', data)?;
        Some((String::from_utf8_lossy(&data[..end]).into_owned(), &data[end + 1..]))
    }) else {
        return;
    };
    let per_granule = usize::from(data[0] % 7) + 1;
    let rows: Vec<Vec<&[u8]>> =
        rows.split(|byte| *byte == b'\n').take(per_granule * 32).map(|row| row.split(|byte| *byte == b'\t').collect()).collect();
    let mut builder = TokenBuilder::default();
    for (number, row) in rows.iter().enumerate() {
        builder.original((number / per_granule) as u32, row[0]);
        for value in &row[1..] {
            builder.value(&String::from_utf8_lossy(value));
        }
    }
    let granules = rows.len().div_ceil(per_granule) as u32;
    let batches = [BatchEntry { source: 3, first_seq: u64::from(data[0]), rows: rows.len() as u32 }];
    let file = fs::File::create(path).expect("a file can be made");
    drop(builder.write(file, granules, &batches).expect("a file can be written"));

    let folded: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|text| fold(&String::from_utf8_lossy(text)).into_owned()).collect())
        .collect();
    let index = TokenIndex::open(path).expect("what was written can be read");
    assert_eq!(index.granules(), granules as usize);
    assert_eq!(index.batches().expect("what was written can be read"), batches);
    for text in wanted.split(' ').take(6).chain([&wanted[..]]) {
        let want = fold(text).into_owned();
        for term in terms(text) {
            let found = index.candidates(&TermQuery::Term(term.clone())).expect("what was written can be read");
            for (number, row) in folded.iter().enumerate() {
                let holds = match &term {
                    Term::Contains(_) => row.iter().any(|text| occurs(text, &want, false, false)),
                    Term::Word(_) => row.iter().any(|text| occurs(text, &want, true, true)),
                    Term::WordStart(_) => row.iter().any(|text| occurs(text, &want, true, false)),
                    Term::WordEnd(_) => row.iter().any(|text| occurs(text, &want, false, true)),
                    Term::Value(_) => row[1..].contains(&want),
                    Term::ValueStart(_) => row[1..].iter().any(|text| text.starts_with(&want)),
                    Term::ValueEnd(_) => row[1..].iter().any(|text| text.ends_with(&want)),
                };
                assert!(!holds || found.contains(number / per_granule), "row {number} is missed by {term:?}");
            }
        }
    }
    read(path, &[&wanted]).expect("what was written can be read");
    let mut previous = None;
    let mut stream = index.stream().expect("what was written can be read");
    while let Some((token, granules)) = stream.next().expect("what was written can be read") {
        assert!(!granules.is_empty() && previous.as_ref() < Some(&token));
        previous = Some(token);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let folder = vedette_fuzz::folder();
    let path = folder.path().join("tokens");
    let bytes = match mode % 3 {
        0 => data.to_vec(),
        1 => sections(data),
        _ => return build(&path, data),
    };
    fs::write(&path, bytes).expect("a file can be written");
    read(&path, &["a", "root", "10.0.0.1", "x".repeat(200).as_str(), ""]).ok();
});
