//! What scans have learnt: granules of immutable segments in which no row passes a filter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use vedette_store::Granules;

/// Filters of at most this many segments are remembered.
const MAX_ENTRIES: usize = 8192;
/// Longer filters are not remembered.
const MAX_FILTER: usize = 4096;

/// Granules without a match, by filter and segment.
#[derive(Debug, Default)]
pub(crate) struct Misses {
    known: Mutex<HashMap<(Arc<str>, String), Granules>>,
}

impl Misses {
    /// The granules of a segment that are known to have no match.
    pub(crate) fn get(&self, filter: &Arc<str>, segment: &str) -> Option<Granules> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(filter.clone(), segment.to_owned())).cloned()
    }

    /// Remembers granules without a match.
    pub(crate) fn add(&self, filter: &Arc<str>, segment: &str, count: usize, granules: impl Iterator<Item = usize>) {
        if filter.len() > MAX_FILTER {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ENTRIES {
            // Rare and harmless: they are learnt again.
            known.clear();
        }
        let entry = known.entry((filter.clone(), segment.to_owned())).or_insert_with(|| Granules::none(count));
        granules.for_each(|granule| entry.insert(granule));
    }
}
