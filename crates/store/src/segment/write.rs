//! Writes a segment's two files: in the temporary folder first, then renamed into place.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use arrow::{array::RecordBatch, datatypes::DataType};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use vedette_event::ecs::{ORIGINAL, TIMESTAMP};

use crate::{
    GRANULE_ROWS, Granule, MAX_ROWS_SEALED, Options, Result,
    columns::{self, BATCH, ColumnSet, ECS_VERSION, RECEIVED, SCHEMA_ID, SEQ},
    error::{IoContext, ParquetContext},
    files::{self, Checked},
    granules,
    manifest::{Run, SegmentRow, join_runs},
    tokens::BatchEntry,
};

/// The key of what columns do not say all of their fields.
pub(super) const INEXACT: &str = "vedette.inexact";
/// The version of the Parquet files' layout: what is in the file's key-value metadata, and what a granule is.
const FORMAT_VERSION: u32 = 1;
/// A row group ends before this much of it waits in memory.
const MAX_GROUP_BYTES: usize = 128 << 20;
/// A page ends at this size even within a granule.
const MAX_PAGE_BYTES: usize = 16 << 20;

type Out = Checked<BufWriter<File>>;

/// What the rows of a segment to be written are.
pub(crate) struct Contents<'a> {
    pub(crate) hour: i64,
    pub(crate) granules: Vec<Granule>,
    pub(crate) batches: Vec<BatchEntry>,
    pub(crate) longest: u64,
    pub(crate) merges: u32,
    /// Columns that do not say all of their fields; none if that is not known.
    pub(crate) inexact: Option<ColumnSet>,
    /// The rows in order, in any pieces.
    pub(crate) rows: &'a mut dyn Iterator<Item = Result<RecordBatch>>,
}

/// Writes segments into a store's folder.
pub(crate) struct SegmentWriter<'a> {
    pub(crate) base: &'a Path,
    pub(crate) options: &'a Options,
    /// The last name that a segment got.
    pub(crate) last_id: &'a Mutex<Option<String>>,
}

impl SegmentWriter<'_> {
    /// Writes both files and puts them in place, durably; the manifest does not have them yet. `tokens` writes the
    /// sidecar.
    pub(crate) fn write(
        &self,
        contents: Contents<'_>,
        tokens: impl FnOnce(Out, &Path, &[BatchEntry]) -> Result<Out>,
    ) -> Result<SegmentRow> {
        let id = {
            let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
            let id = files::new_id(self.options.now(), last.as_deref());
            last.insert(id).clone()
        };
        let path = format!("{}/{id}.{}", files::partition(contents.hour), files::PARQUET);
        let temporary = self.base.join(files::TEMPORARY).join(&id);
        let temporary = [temporary.with_extension(files::PARQUET), temporary.with_extension(files::TOKENS)];
        let parquet = self.base.join(&path);
        let places = [parquet.with_extension(files::PARQUET), parquet.with_extension(files::TOKENS)];
        let result = self.write_files(contents, tokens, id, path, &temporary, &places);
        // After a fail point the files stay as a crash would leave them.
        if result.as_ref().is_err_and(|error| !matches!(error, crate::StoreError::Stopped(_))) {
            temporary.iter().chain(&places).filter_map(|path| files::remove(path).err()).for_each(|error| {
                tracing::warn!(%error, "an unfinished segment's file stays until the next start");
            });
        }
        result
    }

    fn write_files(
        &self,
        contents: Contents<'_>,
        tokens: impl FnOnce(Out, &Path, &[BatchEntry]) -> Result<Out>,
        id: String,
        path: String,
        temporary: &[PathBuf; 2],
        places: &[PathBuf; 2],
    ) -> Result<SegmentRow> {
        let Contents { hour, granules, batches, longest, merges, inexact, rows } = contents;
        let step = |name| self.options.step(name);
        let properties = properties(&granules, inexact);
        let (parquet_bytes, parquet_crc) = write_parquet(&temporary[0], &granules, properties, rows, &step)?;
        step("parquet-synced")?;
        let out = tokens(create(&temporary[1])?, &temporary[1], &batches)?;
        step("tokens-written")?;
        let (tokens_bytes, tokens_crc) = finish(out, &temporary[1])?;
        step("tokens-synced")?;
        if let Some(partition) = places[0].parent() {
            files::create_dirs(self.base, partition)?;
            fs::rename(&temporary[1], &places[1]).at(&places[1], "renaming")?;
            step("tokens-renamed")?;
            fs::rename(&temporary[0], &places[0]).at(&places[0], "renaming")?;
            step("parquet-renamed")?;
            files::sync_dir(partition)?;
            step("folder-synced")?;
        }
        Ok(SegmentRow {
            id,
            hour,
            path,
            schema: SCHEMA_ID,
            rows: granules.last().map_or(0, |granule| granule.rows.end),
            raw_bytes: granules.iter().map(|granule| granule.raw_bytes).sum(),
            longest,
            batches: batches.len() as u64,
            parquet_bytes,
            parquet_crc,
            tokens_bytes,
            tokens_crc,
            received: granules::span(granules.iter().map(|granule| granule.received)),
            time: granules::span(granules.iter().map(|granule| granule.time)),
            runs: runs(&batches),
            granules,
            merges,
        })
    }
}

/// The events of batches: per source, as few runs as possible, ascending.
fn runs(batches: &[BatchEntry]) -> Vec<Run> {
    let mut all: Vec<Run> = batches
        .iter()
        .map(|batch| Run {
            source: vedette_event::SourceId(batch.source),
            first_seq: batch.first_seq,
            last_seq: batch.first_seq + u64::from(batch.rows) - 1,
        })
        .collect();
    join_runs(&mut all);
    all
}

fn create(path: &Path) -> Result<Out> {
    Ok(Checked::new(BufWriter::with_capacity(1 << 18, File::create_new(path).at(path, "creating")?)))
}

/// Makes a file durable; its length and CRC.
fn finish(mut out: Out, path: &Path) -> Result<(u64, u32)> {
    out.flush().at(path, "writing")?;
    out.get().get_ref().sync_all().at(path, "syncing")?;
    Ok((out.bytes, out.crc))
}

fn write_parquet(
    path: &Path,
    granules: &[Granule],
    properties: WriterProperties,
    rows: &mut dyn Iterator<Item = Result<RecordBatch>>,
    step: &dyn Fn(&'static str) -> Result<()>,
) -> Result<(u64, u32)> {
    let mut writer = ArrowWriter::try_new(create(path)?, columns::schema(), Some(properties)).of(path)?;
    step("parquet-created")?;
    let mut ends = granules.iter().map(|granule| granule.rows.end as usize);
    let (mut row, mut end) = (0, ends.next().unwrap_or(0));
    for batch in rows {
        let batch = batch?;
        let mut offset = 0;
        while offset < batch.num_rows() {
            // A slice never crosses the end of a granule, so that pages and row groups end there too.
            let len = (batch.num_rows() - offset).min(end - row);
            if len == 0 {
                return Err(crate::StoreError::damaged(path, "more rows than the granules have"));
            }
            writer.write(&batch.slice(offset, len)).of(path)?;
            (offset, row) = (offset + len, row + len);
            if row == end {
                let next = ends.next().unwrap_or(end);
                let full = writer.in_progress_rows() + (next - end) > MAX_ROWS_SEALED as usize;
                if full || writer.in_progress_size() > MAX_GROUP_BYTES {
                    writer.flush().of(path)?;
                }
                end = next;
            }
        }
    }
    if row != granules.last().map_or(0, |granule| granule.rows.end as usize) {
        return Err(crate::StoreError::damaged(path, "fewer rows than the granules have"));
    }
    writer.finish().of(path)?;
    step("parquet-written")?;
    let out = writer.inner_mut();
    out.flush().at(path, "writing")?;
    out.get().get_ref().sync_all().at(path, "syncing")?;
    Ok((out.bytes, out.crc))
}

fn properties(granules: &[Granule], inexact: Option<ColumnSet>) -> WriterProperties {
    let rows: Vec<String> = granules.iter().map(|granule| granule.len().to_string()).collect();
    let metadata = [
        ("vedette.format", FORMAT_VERSION.to_string()),
        ("vedette.schema", SCHEMA_ID.to_string()),
        ("vedette.ecs", ECS_VERSION.to_owned()),
        ("vedette.writer", env!("CARGO_PKG_VERSION").to_owned()),
        ("vedette.granules", rows.join(",")),
    ];
    let inexact = inexact.map(|inexact| (INEXACT, inexact.to_text()));
    let metadata = metadata.into_iter().chain(inexact);
    let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("vedette version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(GRANULE_ROWS as usize)
        // A whole granule at a time, so that page limits are looked at where granules end.
        .set_write_batch_size(GRANULE_ROWS as usize * 4)
        .set_data_page_size_limit(MAX_PAGE_BYTES)
        .set_max_row_group_row_count(Some(MAX_ROWS_SEALED as usize))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in columns::schema().fields() {
        let path = || ColumnPath::from(field.name().as_str());
        if !matches!(field.data_type(), DataType::Utf8 | DataType::List(_) | DataType::Binary) {
            properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if [TIMESTAMP, SEQ, BATCH, RECEIVED].contains(&field.name().as_str()) {
            properties = properties
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    let original = || ColumnPath::from(ORIGINAL);
    properties
        .set_column_dictionary_enabled(original(), false)
        .set_column_encoding(original(), Encoding::PLAIN)
        .set_column_statistics_enabled(original(), EnabledStatistics::None)
        .build()
}
