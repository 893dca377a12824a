//! From the values of the fields that tell log sources apart to the partitions of an event.

use std::sync::Arc;

use hashbrown::HashMap;
use vedette_event::{Event, Value};

use super::{Program, names::Numbers};

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
    /// The partitions of an event; `find` says which they are.
    pub(super) fn of(
        &mut self,
        program: &Program,
        numbers: &Numbers,
        event: Event<'_>,
        find: impl FnOnce() -> Arc<[u32]>,
    ) -> Arc<[u32]> {
        self.key.clear();
        for (place, (name, _)) in event.outline().enumerate() {
            let number = numbers.of(name);
            if program.names.is_routing(number) {
                self.add(number, event.value_at(place));
            }
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
        self.key.extend_from_slice(&number.to_le_bytes());
        self.key.push(u8::from(value == Value::Null));
        let text = value.to_text();
        self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.key.extend_from_slice(text.as_bytes());
    }
}
