//! Merges the dictionaries of several segments into that of the segment that replaces them.

use std::{cmp::Reverse, collections::BinaryHeap, io::Write, path::Path};

use super::{DictionaryWriter, TokenIndex};
use crate::{Result, error::IoContext};

/// A segment to be merged: its index, and for each of its granules the granule of the result that has its rows.
pub(crate) struct Input<'a> {
    pub(crate) index: &'a TokenIndex,
    pub(crate) granules: Vec<u32>,
}

/// Pushes every token of every input. A token that an input holds for common counts for all of the input's granules:
/// that can only add candidates.
pub(crate) fn merge<W: Write>(inputs: &[Input<'_>], out: &mut DictionaryWriter<W>, path: &Path) -> Result<()> {
    let mut streams = inputs.iter().map(|input| input.index.stream()).collect::<Result<Vec<_>>>()?;
    let mut heap = BinaryHeap::new();
    for (input, stream) in streams.iter_mut().enumerate() {
        heap.extend(stream.next()?.map(|(token, list)| Reverse((token, input, list))));
    }
    let mut merged: Vec<u32> = Vec::new();
    let mut current: Option<Vec<u8>> = None;
    while let Some(Reverse((token, input, list))) = heap.pop() {
        if current.as_ref() != Some(&token) {
            push(out, current.replace(token), &mut merged, path)?;
        }
        merged.extend(list.iter().filter_map(|granule| inputs[input].granules.get(*granule as usize)));
        heap.extend(streams[input].next()?.map(|(token, list)| Reverse((token, input, list))));
    }
    push(out, current, &mut merged, path)
}

fn push<W: Write>(
    out: &mut DictionaryWriter<W>,
    token: Option<Vec<u8>>,
    granules: &mut Vec<u32>,
    path: &Path,
) -> Result<()> {
    if let Some(token) = token {
        granules.sort_unstable();
        granules.dedup();
        out.push(&token, granules).at(path, "writing")?;
        granules.clear();
    }
    Ok(())
}
