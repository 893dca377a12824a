//! The field names that a program knows, numbered.

use hashbrown::HashMap;
use vedette_event::{Batch, NameId};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// The number of all names that the program does not know.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// The names that rules, or the conditions of log sources, read.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: Map<Box<str>, u32>,
    /// Whether log sources are told apart by the field, by number.
    routing: Vec<bool>,
}

impl Names {
    /// Gives the name its number.
    pub(super) fn add(&mut self, name: &str) -> u32 {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let number = self.routing.len() as u32;
        self.numbers.insert(name.into(), number);
        self.routing.push(false);
        number
    }

    pub(super) fn add_routing(&mut self, name: &str) {
        let number = self.add(name);
        self.routing[number as usize] = true;
    }

    pub(super) fn is_routing(&self, number: u32) -> bool {
        self.routing.get(number as usize).is_some_and(|routing| *routing)
    }

    pub(super) fn len(&self) -> usize {
        self.routing.len()
    }

    /// A name's number.
    pub(super) fn of(&self, name: &str) -> u32 {
        self.numbers.get(name).copied().unwrap_or(UNKNOWN)
    }
}

/// The numbers of a batch's names.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<u32>);

impl Numbers {
    pub(super) fn read(&mut self, names: &Names, batch: &Batch) {
        self.0.clear();
        self.0.extend(batch.names().iter().map(|name| names.of(name)));
    }

    pub(super) fn of(&self, name: NameId) -> u32 {
        self.0[name.index()]
    }
}
