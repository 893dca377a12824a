//! The groups of one correlation.

use hashbrown::HashTable;

use super::state::State;

/// A group's name: 128 bits of keyed BLAKE3 over its values, so that nobody can choose values that collide.
pub(super) type GroupId = u128;

/// Tables a correlation's groups are in, so that one that grows does not need much room for that.
const SHARDS: usize = 64;
/// Bytes that a group takes at worst, where the table has just grown: 40 and a control byte, at 7/16 of the places.
pub(super) const GROUP_BYTES: usize = 41 * 16 / 7 + 1;
/// Fewest groups that are looked through for those that are over.
const LEAST_SWEEP: usize = 1_024;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) state: Option<State>,
}

impl Group {
    /// Bytes it takes, about.
    pub(super) fn cost(&self) -> usize {
        GROUP_BYTES + self.state.as_ref().map_or(0, State::cost)
    }

    pub(super) fn last(&self) -> i64 {
        self.state.as_ref().map_or(i64::MIN, State::last)
    }
}

#[derive(Debug)]
pub(super) struct Groups {
    shards: Vec<HashTable<Group>>,
    len: usize,
    /// With so many groups, those that are over are taken out.
    pub(super) sweep_at: usize,
}

fn hash(id: GroupId) -> u64 {
    (id >> 64) as u64
}

fn shard(id: GroupId) -> usize {
    id as usize % SHARDS
}

impl Groups {
    pub(super) fn new() -> Self {
        Groups { shards: Vec::new(), len: 0, sweep_at: LEAST_SWEEP }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.shards.iter().flatten()
    }

    /// The group, a new one if there is none; see [`Groups::settle`].
    pub(super) fn get(&mut self, id: GroupId) -> &mut Group {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let entry = self.shards[shard(id)].entry(hash(id), |group| group.id == id, |group| hash(group.id));
        if matches!(entry, hashbrown::hash_table::Entry::Vacant(_)) {
            self.len += 1;
        }
        entry.or_insert(Group { id, state: None }).into_mut()
    }

    /// The group, if there is one.
    pub(super) fn find(&mut self, id: GroupId) -> Option<&mut Group> {
        self.shards.get_mut(shard(id))?.find_mut(hash(id), |group| group.id == id)
    }

    /// Takes a group out if nothing is kept of it.
    pub(super) fn settle(&mut self, id: GroupId) {
        let Some(shard) = self.shards.get_mut(shard(id)) else { return };
        if let Ok(found) = shard.find_entry(hash(id), |group| group.id == id)
            && found.get().state.is_none()
        {
            found.remove();
            self.len -= 1;
        }
    }

    /// Takes out groups that `keep` does not want.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Group) -> bool) {
        let mut len = 0;
        for shard in &mut self.shards {
            shard.retain(|group| keep(group));
            len += shard.len();
            // A table does not shrink by itself; what a flood took is given back.
            if shard.capacity() > 8 * shard.len().max(16) {
                shard.shrink_to(2 * shard.len(), |group| hash(group.id));
            }
        }
        self.len = len;
        self.sweep_at = (2 * len).max(LEAST_SWEEP);
    }
}
