//! From the values of the fields that tell log sources apart to the partitions of an event.

use std::sync::Arc;

use hashbrown::HashMap;
use vedette_event::{Event, Field, Value};

use super::names::Numbers;

/// Most remembered ways from an event's log source fields to its partitions, and the longest that is remembered.
const MAX_ROUTES: usize = 16_384;
const MAX_ROUTE_BYTES: usize = 512;

/// The ways that events went before.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: HashMap<Box<[u8]>, Arc<[u32]>, foldhash::fast::RandomState>,
    key: Vec<u8>,
    last: Option<(Vec<u8>, Arc<[u32]>)>,
}

impl Routes {
    /// The partitions of an event, given the places of the fields that tell log sources apart; `find` says which they
    /// are.
    pub(super) fn of(
        &mut self,
        numbers: &Numbers,
        event: Event<'_>,
        places: &[u32],
        find: impl FnOnce() -> Arc<[u32]>,
    ) -> Arc<[u32]> {
        self.key.clear();
        for place in places {
            let Field { id, value, .. } = event.field_at(*place as usize);
            self.add(numbers.of(id), value);
        }
        if let Some((key, partitions)) = &self.last
            && *key == self.key
        {
            return partitions.clone();
        }
        let partitions = match self.known.get(self.key.as_slice()) {
            Some(partitions) => partitions.clone(),
            None => {
                let partitions = find();
                if self.key.len() <= MAX_ROUTE_BYTES {
                    if self.known.len() >= MAX_ROUTES {
                        self.known.clear();
                    }
                    self.known.insert(self.key.as_slice().into(), partitions.clone());
                }
                partitions
            }
        };
        let (key, last) = self.last.get_or_insert_with(|| (Vec::new(), partitions.clone()));
        key.clone_from(&self.key);
        *last = partitions.clone();
        partitions
    }

    fn add(&mut self, number: u32, value: Value<'_>) {
        let mut text = |kind: u8, text: &str| {
            self.key.push(kind);
            self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.key.extend_from_slice(text.as_bytes());
        };
        match value {
            Value::Null => text(0, ""),
            Value::Str(value) => text(1, value),
            Value::Int(int) => {
                self.key.push(2);
                self.key.extend_from_slice(&int.to_le_bytes());
            }
            other => text(3, &other.to_text()),
        }
        self.key.extend_from_slice(&number.to_le_bytes());
    }
}
