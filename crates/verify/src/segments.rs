//! The store's segments: every row against the batch that was signed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
};
use rusqlite::{Connection, OpenFlags};
use vedette_ledger::{
    Hash,
    batch::{BatchTree, Digest},
    entry::BatchRecord,
    salts::{Hidden, Salts},
    tiles::{self, WIDTH},
    tree::Frontier,
};

use crate::{Kind, Problem, Report, log::Log};

const COLUMNS: [&str; 6] =
    ["vedette.source", "vedette.seq", "vedette.batch", "vedette.received", "vedette.source_name", "event.original"];

const MANIFEST: &str = "store/manifest.sqlite";

/// A segment as the manifest names it.
struct Row {
    id: String,
    path: String,
    /// Its sources with their first and last sequence numbers.
    runs: Vec<(u32, u64, u64)>,
}

/// What the store says that it has.
#[derive(Default)]
pub(crate) struct Manifest {
    rows: Vec<Row>,
    /// Numbers and names of sources, and the sequence number after the last event that is not in the spool only.
    sources: Vec<(u32, String, u64)>,
    damage: Option<String>,
    is_absent: bool,
}

/// What the store has.
#[derive(Default)]
pub(crate) struct Found {
    /// The batches in segments.
    pub(crate) batches: HashSet<(u32, u64)>,
    /// By source: the sequence number after the last event that is not in the spool only, as the manifest says.
    pub(crate) next_seqs: HashMap<u32, u64>,
}

/// Checks every segment.
pub(crate) fn check(
    dir: &Path,
    manifest: Manifest,
    log: &Log,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Found {
    let mut found = Found::default();
    let mut problem = |kind, what: String| report.add(Problem::new(kind, what).file(MANIFEST));
    if manifest.is_absent && !log.segments.is_empty() {
        // Also where the spool still has all of its events: it said what retention, holds and searches go by.
        problem(Kind::Missing, "it is not there, and the log has segments".into());
    }
    if let Some(damage) = manifest.damage {
        problem(Kind::Damaged, damage);
    }
    for (source, name, next_seq) in manifest.sources {
        let is_known = log.sources.get(&source).is_some_and(|names| names.iter().any(|(known, _)| *known == name));
        if !is_known {
            problem(Kind::Changed, format!("source {source} is not named {name}"));
        }
        found.next_seqs.insert(source, next_seq);
    }
    let mut seeds = Seeds { dir, bundle: None };
    for row in &manifest.rows {
        let file = format!("store/{}", row.path);
        let path = dir.join(&file);
        if !path.exists() {
            let mut problem = Problem::new(Kind::Missing, "the segment is not there").file(file);
            if let [(source, first, last)] = row.runs[..] {
                problem = problem.events(source, first, last);
            }
            report.add(problem);
            continue;
        }
        check_hashes(row, &path, &file, log, report);
        let before = (report.problems.len(), report.facts.events);
        let mut reader = Rows {
            log,
            seeds: &mut seeds,
            report,
            found: &mut found.batches,
            file: &file,
            open: None,
            runs: BTreeMap::new(),
        };
        // The reader of Parquet is not ours, and damaged files have made it panic: then too, only this file is lost.
        let read = panic::catch_unwind(AssertUnwindSafe(|| reader.read(&path)));
        match read.unwrap_or_else(|_| Err("it is damaged so that it cannot be read at all".into())) {
            Ok(()) => {
                let runs = std::mem::take(&mut reader.runs);
                let mut stated: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
                for (source, first, last) in &row.runs {
                    let run = stated.entry(*source).or_insert((*first, *last));
                    *run = (run.0.min(*first), run.1.max(*last));
                }
                if runs != stated {
                    let what = format!("what it says of the events in {file} is not so");
                    report.add(Problem::new(Kind::Changed, what).file(MANIFEST));
                }
                report.facts.segments += u64::from(report.problems.len() == before.0);
            }
            Err(error) => report.add(Problem::new(Kind::Damaged, error).file(&file)),
        }
        progress(report.facts.events - before.1);
    }
    found
}

/// Reads the manifest; what cannot be read is damage.
pub(crate) fn manifest(dir: &Path) -> Manifest {
    let path = dir.join(MANIFEST);
    if !path.exists() {
        // Nothing was ever sealed, or it is gone: then its batches are missing.
        return Manifest { is_absent: true, ..Manifest::default() };
    }
    read_manifest(&path).unwrap_or_else(|error| Manifest { damage: Some(error.to_string()), ..Manifest::default() })
}

fn read_manifest(path: &Path) -> rusqlite::Result<Manifest> {
    let connection = open_read_only(path)?;
    // One snapshot, also while it is written to.
    connection.execute_batch("BEGIN")?;
    let damage: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    check_schema(&connection)?;
    let mut runs: HashMap<String, Vec<(u32, u64, u64)>> = HashMap::new();
    let mut statement = connection.prepare("SELECT segment, source, first_seq, last_seq FROM runs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let run = (row.get(1)?, row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
        runs.entry(row.get(0)?).or_default().push(run);
    }
    let mut statement = connection.prepare("SELECT source, name, next_seq FROM sources ORDER BY source")?;
    let sources = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)))?;
    let sources = sources.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT id, path FROM segments ORDER BY id")?;
    let segments = statement.query_map([], |row| {
        let (id, path): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Row { runs: runs.get(&id).cloned().unwrap_or_default(), id, path })
    })?;
    let rows = segments.collect::<rusqlite::Result<_>>()?;
    Ok(Manifest { rows, sources, damage: (damage != "ok").then_some(damage), is_absent: false })
}

/// Whether who writes the database can read its schema: of a database that is only read, SQLite leaves constraints unread.
fn check_schema(connection: &Connection) -> rusqlite::Result<()> {
    let tables = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(tables)?;
    let mut rows = statement.query([])?;
    let writable = Connection::open_in_memory()?;
    while let Some(row) = rows.next()? {
        // Only read, never carried out: the text is not ours.
        writable.prepare(&row.get::<_, String>(0)?)?;
    }
    Ok(())
}

/// Without changing anything: not even the files that SQLite makes beside a database.
fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let has_wal = std::fs::metadata(PathBuf::from(wal)).is_ok_and(|metadata| metadata.len() > 0);
    let encoded: String = path
        .to_string_lossy()
        .chars()
        .map(|char| match char {
            '?' | '#' | '%' => format!("%{:02x}", char as u32),
            char => char.to_string(),
        })
        .collect();
    let mode = if has_wal { "mode=ro" } else { "immutable=1" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{encoded}?{mode}"), flags)
}

/// The files themselves, with everything that was derived.
fn check_hashes(row: &Row, path: &Path, file: &str, log: &Log, report: &mut Report) {
    let Some((rows, tokens)) = log.segments.get(&row.id) else {
        let (kind, what) = if log.has_holes {
            (Kind::Missing, "the log's entry of this segment cannot be read")
        } else {
            (Kind::Extra, "the log has no such segment")
        };
        return report.add(Problem::new(kind, what).file(file));
    };
    let tokens_path = path.with_extension("tokens");
    let tokens_file = file.strip_suffix("parquet").map_or_else(|| file.to_owned(), |stem| format!("{stem}tokens"));
    for (path, file, expected) in [(path, file, rows), (&tokens_path, tokens_file.as_str(), tokens)] {
        match hash(path) {
            Ok(hash) if hash == *expected => {}
            Ok(_) => report.add(Problem::new(Kind::Changed, "the file is not the one that was signed").file(file)),
            Err(error) => report.add(Problem::new(Kind::Missing, error.to_string()).file(file)),
        }
    }
}

fn hash(path: &Path) -> std::io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Seeds, a bundle at a time.
pub(crate) struct Seeds<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) bundle: Option<(u64, Vec<u8>)>,
}

impl Seeds<'_> {
    pub(crate) fn get(&mut self, entry: u64) -> Option<Hash> {
        let index = entry / WIDTH;
        if self.bundle.as_ref().is_none_or(|(bundle, _)| *bundle != index) {
            let path = self.dir.join("ledger").join(tiles::seeds_path(index));
            self.bundle = Some((index, std::fs::read(path).unwrap_or_default()));
        }
        let at = (entry % WIDTH) as usize * 32;
        self.bundle.as_ref()?.1.get(at..at + 32)?.try_into().ok()
    }
}

/// A batch whose rows are being read.
struct Open {
    key: (u32, u64),
    entry: u64,
    record: Option<BatchRecord>,
    name: Option<Arc<[String]>>,
    /// None without a record.
    check: Option<Check>,
    next_seq: u64,
    has_problem: bool,
}

/// How the events of a batch are compared with what was signed.
enum Check {
    Digest(Digest),
    /// Events of the batch were erased: one by one.
    Leaves(Salts, Frontier),
    /// What hides the events is gone.
    NoSalts,
}

impl Check {
    fn new(record: &BatchRecord, seeds: &mut Seeds<'_>, entry: u64) -> Check {
        if let Some(seed) = seeds.get(entry).filter(|seed| *seed != [0; 32]) {
            return Check::Digest(Digest::new(record.algorithm, &seed, record.first_seq));
        }
        match Salts::read(&seeds.dir.join("ledger"), entry) {
            Ok(salts @ Salts::Each(_)) => Check::Leaves(salts, Frontier::new(record.algorithm)),
            _ => Check::NoSalts,
        }
    }

    /// Adds the next event. What is wrong with it, if the salts know that.
    fn add(
        &mut self,
        record: &BatchRecord,
        event: (u64, i64, &[u8]),
        erased: Option<&Hash>,
    ) -> Result<(), (Kind, &'static str)> {
        let (_, received, original) = event;
        let still_there = || Err((Kind::Extra, "the log says that the event was erased, and it is there"));
        match self {
            Check::NoSalts => Ok(()),
            Check::Digest(digest) => {
                digest.add(received, original);
                if erased.is_some() { still_there() } else { Ok(()) }
            }
            Check::Leaves(salts, tree) => {
                let index = tree.size();
                tree.push(salts.leaf(record.algorithm, index, event).unwrap_or_default());
                match (salts.hidden(record.algorithm, index), erased) {
                    (Some(Hidden::Leaf(leaf)), Some(signed)) if leaf == *signed && original.is_empty() => Ok(()),
                    (Some(Hidden::Leaf(leaf)), Some(signed)) if leaf == *signed => still_there(),
                    (Some(Hidden::Leaf(_)), _) => {
                        Err((Kind::Missing, "the event was erased, and the log does not say so"))
                    }
                    (_, Some(_)) => still_there(),
                    (_, None) => Ok(()),
                }
            }
        }
    }

    fn ends_right(self, record: &BatchRecord) -> bool {
        match self {
            Check::Digest(digest) => digest.finish() == record.digest,
            Check::Leaves(_, tree) => tree.root() == record.root,
            Check::NoSalts => false,
        }
    }
}

struct Rows<'a, 'b> {
    log: &'a Log,
    seeds: &'a mut Seeds<'b>,
    report: &'a mut Report,
    found: &'a mut HashSet<(u32, u64)>,
    file: &'a str,
    open: Option<Open>,
    runs: BTreeMap<u32, (u64, u64)>,
}

impl Rows<'_, '_> {
    fn read(&mut self, path: &Path) -> Result<(), String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        // Parquet's own types say enough; the Arrow schema beside them is one more thing that can be damaged.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| error.to_string())?;
        // Their names have dots in them, which are no paths.
        let roots = COLUMNS.iter().filter_map(|name| builder.schema().index_of(name).ok()).collect::<Vec<_>>();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder.with_projection(mask).with_batch_size(4096).build().map_err(|error| error.to_string())?;
        let result = (|| {
            for rows in reader {
                self.rows(&rows.map_err(|error| error.to_string())?)?;
            }
            Ok(())
        })();
        self.finish();
        result
    }

    fn rows(&mut self, rows: &RecordBatch) -> Result<(), String> {
        let column = |name: &str| rows.column_by_name(name).ok_or_else(|| format!("it has no column {name}"));
        let wrong = |name: &str| format!("the column {name} is of another type");
        let sources = column(COLUMNS[0])?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(COLUMNS[0]))?;
        let seqs = column(COLUMNS[1])?.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong(COLUMNS[1]))?;
        let batches = column(COLUMNS[2])?.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong(COLUMNS[2]))?;
        let received = column(COLUMNS[3])?;
        let received = received
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|times| times.values())
            .or_else(|| received.as_primitive_opt::<Int64Type>().map(|times| times.values()))
            .ok_or_else(|| wrong(COLUMNS[3]))?;
        let names = arrow::compute::cast(column(COLUMNS[4])?, &arrow::datatypes::DataType::Utf8)
            .map_err(|_| wrong(COLUMNS[4]))?;
        let names = names.as_string::<i32>();
        let originals = column(COLUMNS[5])?.as_binary_opt::<i32>().ok_or_else(|| wrong(COLUMNS[5]))?;
        for row in 0..rows.num_rows() {
            let key = (sources.value(row), batches.value(row));
            if self.open.as_ref().is_none_or(|open| open.key != key) {
                self.finish();
                self.begin(key);
            }
            let seq = seqs.value(row);
            let run = self.runs.entry(key.0).or_insert((seq, seq));
            *run = (run.0.min(seq), run.1.max(seq));
            let Some(open) = &mut self.open else { continue };
            if seq != open.next_seq && !open.has_problem {
                open.has_problem = true;
                let what = format!("event {}-{seq} stands where event {}-{} was signed", key.0, key.0, open.next_seq);
                self.report.add(Problem::new(Kind::Changed, what).file(self.file).entry(open.entry).events(
                    key.0,
                    open.next_seq,
                    open.next_seq,
                ));
            }
            let name = names.value(row);
            if !open.has_problem
                && let Some(known) = &open.name
                && !known.iter().any(|known| known == name)
            {
                open.has_problem = true;
                let what = format!("the source is named {name} here");
                self.report.add(Problem::new(Kind::Changed, what).file(self.file).events(key.0, seq, seq));
            }
            // The column is what the file says: no number is too high for it.
            open.next_seq = open.next_seq.saturating_add(1);
            if let (Some(check), Some(record)) = (&mut open.check, &open.record) {
                let erased = self.log.erased.get(&(key.0, seq));
                let is_under_way = self.log.erasing.contains(&(key.0, seq));
                match check.add(record, (seq, received[row], originals.value(row)), erased) {
                    Ok(()) => self.report.facts.erased += u64::from(erased.is_some()),
                    Err(_) if is_under_way => self.report.facts.erasing += 1,
                    Err((kind, what)) => {
                        let problem = Problem::new(kind, what).file(self.file).entry(open.entry);
                        self.report.add(problem.events(key.0, seq, seq));
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, key: (u32, u64)) {
        let known = self.log.batches.get(&key);
        let check = known.map(|(entry, record)| Check::new(record, self.seeds, *entry));
        let names = self.log.sources.get(&key.0);
        let name = names.map(|names| names.iter().map(|(name, _)| name.clone()).collect());
        self.open = Some(Open {
            key,
            entry: known.map_or(0, |(entry, _)| *entry),
            record: known.map(|(_, record)| record.clone()),
            name,
            check,
            next_seq: key.1,
            has_problem: false,
        });
    }

    fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (source, first) = open.key;
        let last = open.next_seq.saturating_sub(1).max(first);
        let mut problem = |kind, what: &str| {
            let mut problem = Problem::new(kind, what).file(self.file).events(source, first, last);
            problem.entry = open.record.as_ref().map(|_| open.entry);
            self.report.add(problem);
        };
        let Some(record) = &open.record else {
            return if self.log.has_holes {
                problem(Kind::Missing, "the log's entry of this batch cannot be read");
            } else {
                problem(Kind::Extra, "the log has no such batch");
            };
        };
        if !self.found.insert(open.key) {
            return problem(Kind::Extra, "the batch is there a second time");
        }
        let count = open.next_seq - first;
        match open.check {
            None | Some(Check::NoSalts) => problem(Kind::Missing, "the seed of the batch is gone"),
            _ if count < u64::from(record.count) => problem(Kind::Missing, "events at the end of the batch are gone"),
            _ if count > u64::from(record.count) => problem(Kind::Extra, "the batch has more events than were signed"),
            Some(check) => match check.ends_right(record) {
                true => self.report.facts.events += count,
                false => problem(Kind::Changed, "the events (or their seed) are not what was signed"),
            },
        }
    }
}

/// Whether events that are still in the spool are those of a batch.
pub(crate) fn is_batch(record: &BatchRecord, seed: &Hash, events: impl Iterator<Item = (i64, Vec<u8>)>) -> bool {
    let mut tree = BatchTree::new(record.algorithm, *seed, record.first_seq);
    events.for_each(|(received, original)| tree.add(received, &original));
    tree.len() == u64::from(record.count) && tree.finish() == (record.root, record.digest)
}
