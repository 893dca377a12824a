//! The names of one batch's fields, and the orders that they come in.

use std::hash::BuildHasher;

use hashbrown::HashTable;

/// A field name's number within its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u32);

impl NameId {
    /// As an index into [`Batch::names`](crate::Batch::names).
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The number, within a batch, of an event's shape: the names of its fields in their order, and which are null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(u32);

impl ShapeId {
    /// Less than [`Batch::shapes`](crate::Batch::shapes).
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The names of one batch. Per batch, so that a sender who invents names fills nothing but his own batch.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    list: Vec<Box<str>>,
    /// The numbers, found by the hash of their names; the hash is seeded per process.
    index: HashTable<NameId>,
    hasher: foldhash::fast::RandomState,
    /// The fields of all events as a tree: each step is a field that came after those of its parent. The first is where
    /// events begin.
    steps: Vec<Step>,
    /// The steps, found by the hash of their parent, name and nullness.
    by_parent: HashTable<u32>,
    /// The current event's last step.
    at: u32,
    shapes: u32,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    parent: u32,
    name: NameId,
    is_null: bool,
    /// The step that came after it last time; the first if none did.
    likely: u32,
    /// That of events that end here.
    shape: Option<ShapeId>,
}

impl Step {
    /// What no other step has.
    fn key(&self) -> (u32, u32, bool) {
        (self.parent, self.name.0, self.is_null)
    }
}

impl Default for Names {
    fn default() -> Self {
        let start = Step { parent: 0, name: NameId(0), is_null: false, likely: 0, shape: None };
        let (list, index, hasher, by_parent) = Default::default();
        Names { list, index, hasher, steps: vec![start], by_parent, at: 0, shapes: 0 }
    }
}

impl Names {
    pub(crate) fn list(&self) -> &[Box<str>] {
        &self.list
    }

    #[inline]
    pub(crate) fn name(&self, id: NameId) -> &str {
        &self.list[id.index()]
    }

    pub(crate) fn find(&self, name: &str) -> Option<NameId> {
        self.index.find(self.hasher.hash_one(name), |id| *self.list[id.index()] == *name).copied()
    }

    pub(crate) fn shapes(&self) -> usize {
        self.shapes as usize
    }

    /// The number of the current event's next name. Events of one source mostly have the same fields in the same
    /// order, so the name that came here last time is compared before anything is hashed.
    pub(crate) fn intern(&mut self, name: &str, is_null: bool) -> NameId {
        let likely = self.steps[self.at as usize].likely;
        if likely != 0 {
            let step = &self.steps[likely as usize];
            if step.is_null == is_null && *self.list[step.name.index()] == *name {
                self.at = likely;
                return step.name;
            }
        }
        let id = self.find(name).unwrap_or_else(|| self.add(name));
        let next = self.step(id, is_null);
        self.steps[self.at as usize].likely = next;
        self.at = next;
        id
    }

    /// Ends the current event, and gives its shape.
    pub(crate) fn end(&mut self) -> ShapeId {
        let step = &mut self.steps[std::mem::take(&mut self.at) as usize];
        *step.shape.get_or_insert_with(|| {
            self.shapes += 1;
            ShapeId(self.shapes - 1)
        })
    }

    fn add(&mut self, name: &str) -> NameId {
        // At most one name per field, and the fields of a batch are bounded well below 2^32.
        let id = NameId(self.list.len() as u32);
        self.list.push(name.into());
        let Names { list, hasher, .. } = self;
        self.index.insert_unique(hasher.hash_one(name), id, |id| hasher.hash_one(&*list[id.index()]));
        id
    }

    /// The step after the current one.
    fn step(&mut self, name: NameId, is_null: bool) -> u32 {
        let Names { steps, by_parent, hasher, at, .. } = self;
        let step = Step { parent: *at, name, is_null, likely: 0, shape: None };
        let hash = hasher.hash_one(step.key());
        if let Some(known) = by_parent.find(hash, |known| steps[*known as usize].key() == step.key()) {
            return *known;
        }
        let number = steps.len() as u32;
        steps.push(step);
        by_parent.insert_unique(hash, number, |number| hasher.hash_one(steps[*number as usize].key()));
        number
    }
}
