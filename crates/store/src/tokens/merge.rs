//! Merges the dictionaries of several segments into that of the segment that replaces them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, btree_map},
    io::Write,
    path::Path,
};

use super::{
    DictionaryWriter, TokenIndex,
    index::{Posted, TokenStream},
};
use crate::{Result, error::IoContext};

/// In [`Input::granules`]: what the index says of this granule is not taken over.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// A segment to be merged: its index, and for each of its granules the granule of the result that has its rows.
pub(crate) struct Input<'a> {
    pub(crate) index: &'a TokenIndex,
    pub(crate) granules: Vec<u32>,
}

enum Stream<'a> {
    Index(TokenStream<'a>, &'a [u32]),
    More(btree_map::IntoIter<Vec<u8>, Vec<u32>>),
}

impl Stream<'_> {
    /// The next token, with granules of the result.
    fn next(&mut self) -> Result<Option<Posted>> {
        match self {
            Stream::More(more) => Ok(more.next()),
            Stream::Index(stream, granules) => Ok(stream.next()?.map(|(token, list)| {
                let place =
                    |granule: u32| granules.get(granule as usize).copied().filter(|granule| *granule != NOWHERE);
                (token, list.into_iter().filter_map(place).collect())
            })),
        }
    }
}

/// Pushes every token of every input, and `more`. A token that an input holds for common counts for all of the input's
/// granules: that can only add candidates.
pub(crate) fn merge<W: Write>(
    inputs: &[Input<'_>],
    more: BTreeMap<Vec<u8>, Vec<u32>>,
    out: &mut DictionaryWriter<W>,
    path: &Path,
) -> Result<()> {
    let streams = inputs.iter().map(|input| Ok(Stream::Index(input.index.stream()?, &input.granules)));
    let mut streams = streams.collect::<Result<Vec<_>>>()?;
    streams.push(Stream::More(more.into_iter()));
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
        merged.extend(list);
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
    if let Some(token) = token.filter(|_| !granules.is_empty()) {
        granules.sort_unstable();
        granules.dedup();
        out.push(&token, granules).at(path, "writing")?;
        granules.clear();
    }
    Ok(())
}
