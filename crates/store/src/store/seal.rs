//! Sealing: the tail becomes segments.

use std::{collections::BTreeMap, sync::Arc};

use vedette_event::SourceId;

use super::{Part, SegmentSummary, Store, lock};
use crate::{
    NewSegment, Result, Segment, StoreError,
    error::IoContext,
    files,
    manifest::{self, Manifest, SegmentRow, SourceRow},
    segment::Contents,
};

/// What was sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The new segments.
    pub segments: Vec<SegmentSummary>,
    /// Everything that was appended with a spool position up to this one is sealed. A caller that still holds records
    /// back (in a batch that is not full) releases no more than what it has appended.
    pub spool_position: u64,
}

impl Store {
    /// Seals if the tail has reached one of its limits ([`crate::Options`]); else does nothing.
    pub fn seal_if_due(&self) -> Result<Option<Sealed>> {
        let options = &self.inner.options;
        let due = {
            let writer = lock(&self.inner.writer);
            let age = writer.since().map_or(0, |since| options.now().micros().saturating_sub(since.micros()));
            writer.raw_bytes() >= options.seal_bytes
                || writer.rows() >= options.seal_rows
                || !writer.parts.is_empty() && u128::try_from(age).unwrap_or(0) >= options.seal_age.as_micros()
        };
        if due { self.seal() } else { Ok(None) }
    }

    /// Seals the whole tail on this thread. Appending and reading go on meanwhile. `None` if there was nothing to do.
    ///
    /// # Errors
    /// The tail is as before then, and sealing can be tried again; except [`StoreError::Broken`].
    pub fn seal(&self) -> Result<Option<Sealed>> {
        let inner = &*self.inner;
        let mut manifest = lock(&inner.manifest);
        let manifest = manifest.as_mut().ok_or(StoreError::ReadOnly)?;
        let (parts, sources, spool_position) = {
            let mut writer = lock(&inner.writer);
            writer.usable()?;
            if writer.parts.is_empty() && writer.spool_position == writer.sealed_position {
                return Ok(None);
            }
            let unsealed = std::mem::take(&mut writer.unsealed);
            let sources: BTreeMap<SourceId, SourceRow> =
                unsealed.iter().filter_map(|id| Some((*id, writer.sources.get(id)?.clone()))).collect();
            (std::mem::take(&mut writer.parts), sources, writer.spool_position)
        };
        match self.write_parts(manifest, &parts, &sources, spool_position) {
            Ok(rows) => {
                let segments: Vec<_> = rows.into_iter().map(|row| Arc::new(Segment::new(&inner.dir, row))).collect();
                let summaries = segments.iter().map(|segment| SegmentSummary::of(segment)).collect();
                lock(&inner.shown).seal(&parts, segments);
                lock(&inner.writer).sealed_position = spool_position;
                inner.options.step("shown")?;
                Ok(Some(Sealed { segments: summaries, spool_position }))
            }
            Err(error) => {
                // Readers still see the parts; only appending and the next sealing have to get them back.
                let mut writer = lock(&inner.writer);
                let newer = std::mem::replace(&mut writer.parts, parts);
                writer.parts.extend(newer);
                writer.unsealed.extend(sources.into_keys());
                if let StoreError::Broken(why) = &error {
                    writer.broken = Some(why.clone());
                }
                Err(error)
            }
        }
    }

    fn write_parts(
        &self,
        manifest: &mut Manifest,
        parts: &[Part],
        sources: &BTreeMap<SourceId, SourceRow>,
        spool_position: u64,
    ) -> Result<Vec<SegmentRow>> {
        let inner = &*self.inner;
        let writer = self.segment_writer();
        let mut rows: Vec<SegmentRow> = Vec::with_capacity(parts.len());
        for part in parts {
            let contents = Contents {
                hour: part.hour,
                granules: part.granules.clone(),
                batches: part.batches.clone(),
                longest: part.longest,
                merges: 0,
                inexact: Some(part.inexact),
                rows: &mut part.records.iter().map(|records| Ok((**records).clone())),
            };
            let written = writer.write(contents, |out, path, batches| match &part.tokens {
                Some(tokens) => tokens.write(out, part.granules.len() as u32, batches).at(path, "writing"),
                None => Err(StoreError::ReadOnly),
            });
            match written {
                Ok(row) => rows.push(row),
                Err(error) => return Err(self.undo(rows, error)),
            }
        }
        if let Err(error) = self.announce(&rows) {
            return Err(self.undo(rows, error));
        }
        let committed = manifest.write(|transaction| {
            rows.iter().try_for_each(|row| manifest::insert_segment(transaction, row))?;
            manifest::set_sealed(transaction, sources, spool_position)
        });
        if let Err(error) = committed
            && !self.is_committed(manifest, &rows, &error)?
        {
            return Err(self.undo(rows, error));
        }
        inner.options.step("committed")?;
        Ok(rows)
    }

    /// Tells of segments that are about to be committed.
    pub(super) fn announce(&self, rows: &[SegmentRow]) -> Result<()> {
        let Some(gate) = &self.inner.options.before_commit else { return Ok(()) };
        let new = rows.iter().map(|row| {
            let rows = self.inner.dir.join(&row.path);
            NewSegment { id: row.id.clone(), tokens: rows.with_extension(files::TOKENS), rows }
        });
        gate(&new.collect::<Vec<_>>()).map_err(StoreError::NotYet)?;
        self.inner.options.step("announced")
    }

    /// After a failed transaction: whether it is in the manifest all the same.
    pub(super) fn is_committed(&self, manifest: &Manifest, rows: &[SegmentRow], error: &StoreError) -> Result<bool> {
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        manifest.has(&row.id).map_err(|second| {
            StoreError::Broken(format!("writing the manifest failed ({error}), and so did reading it back ({second})"))
        })
    }

    /// Removes the files of segments that did not get into the manifest.
    pub(super) fn undo(&self, rows: Vec<SegmentRow>, error: StoreError) -> StoreError {
        if !matches!(error, StoreError::Stopped(_)) {
            self.remove_files(rows);
        }
        error
    }

    pub(super) fn remove_files(&self, rows: Vec<SegmentRow>) {
        rows.into_iter().for_each(|row| Segment::new(&self.inner.dir, row).drop_files());
    }
}
