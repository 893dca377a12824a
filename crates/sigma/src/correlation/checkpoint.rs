//! All state as bytes, and back.
//!
//! ```text
//! "VdtCorr\0", version u16, hash of the key, clock
//! slots: (correlation, field)…   rules: id…   hits that wait: (rule, time, event, carried)…
//! arrivals: (second, (source, greatest time)…, hits)…
//! correlations: (id, digest, counts, sweep_at, number of groups, bytes of them, (group, state)…)…
//! ```
//! Numbers are little-endian; carried fields name slots by their place in the list. A correlation that is not the same
//! any more has another digest, and its part is passed over.

use std::{collections::HashMap, sync::Arc};

use vedette_event::{Entity, Time};

use super::{
    Correlations, Counts, Hit,
    arrivals::Arrivals,
    clock::Clock,
    groups::{Group, Groups},
    hit::Carried,
    snapshot::{MAGIC, Reader, RestoreError, Snapshot, VERSION, Writer},
    state::State,
};

/// What came back from a snapshot, and what did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Groups that were restored.
    pub groups: usize,
    /// Hits that wait again.
    pub hits: usize,
    /// Hits of rules that no correlation is made of any more.
    pub hits_forgotten: usize,
    /// Ids of correlations that are gone or changed; their groups are forgotten.
    pub forgotten: Vec<String>,
}

/// Says whether it is the same key without saying which.
fn key_hash(key: &[u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(key, b"vedette correlations").as_bytes()
}

impl Correlations {
    /// All state as bytes. With them and the hits of what came after, findings are the same as without a stop.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(MAGIC);
        out.bytes(&VERSION.to_le_bytes());
        out.bytes(&key_hash(&self.options.key));
        self.clock.write(&mut out);
        out.count(self.slots.len());
        for (correlation, field) in &self.slots {
            out.text(correlation);
            out.text(field);
        }
        out.count(self.rules.len());
        self.rules.iter().for_each(|rule| out.text(&rule.id));
        out.count(self.pending.len());
        self.pending.values().for_each(|hit| write_hit(&mut out, hit));
        self.arrivals.write(&mut out);
        out.count(self.compiled.len());
        for ((compiled, groups), counts) in self.compiled.iter().zip(&self.groups).zip(&self.counts) {
            out.text(&compiled.reference.id);
            out.bytes(&compiled.digest);
            counts_list(counts).iter().for_each(|count| out.u64(*count));
            out.count(groups.sweep_at);
            out.count(groups.len());
            let mut states = Writer::default();
            for group in groups.iter() {
                let Some(state) = &group.state else { continue };
                states.bytes(&group.id.to_le_bytes());
                state.write(&mut states, &mut write_carried);
            }
            out.count(states.0.len());
            out.bytes(&states.0);
        }
        out.0
    }

    /// Takes the state of a snapshot in the place of its own. Correlations that are the same as those the snapshot was
    /// made by go on where they were.
    ///
    /// # Errors
    /// The bytes are no snapshot, or are damaged; then nothing has changed.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<Restored, RestoreError> {
        let mut from = Reader::new(bytes);
        if from.take(MAGIC.len()).ok() != Some(MAGIC) {
            return Err(RestoreError::Foreign);
        }
        let version = u16::from_le_bytes(from.array()?);
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        if from.array::<32>()? != key_hash(&self.options.key) {
            return Err(RestoreError::Key);
        }
        let clock = Clock::read(&mut from)?;
        let slots = self.read_slots(&mut from)?;
        let mut rules = Vec::new();
        for _ in 0..from.count(8)? {
            rules.push(self.rule_numbers.get(from.text()?).copied());
        }
        let mut restored = Restored::default();
        let (mut pending, mut pending_bytes) = (std::collections::BTreeMap::new(), 0);
        for _ in 0..from.count(40)? {
            let Some(hit) = read_hit(&mut from, &slots, &rules)? else {
                restored.hits_forgotten += 1;
                continue;
            };
            let cost = hit.cost();
            if pending.insert(hit.key(), hit).is_none() {
                pending_bytes += cost;
            }
        }
        let arrivals = Arrivals::read(&mut from, &slots, &rules, &mut restored.hits_forgotten)?;
        let numbers: HashMap<&str, usize> =
            self.compiled.iter().enumerate().map(|(number, one)| (one.reference.id.as_str(), number)).collect();
        let mut all: Vec<Groups> = self.compiled.iter().map(|_| Groups::new()).collect();
        let mut counts = vec![Counts::default(); self.compiled.len()];
        let (mut timers, mut total) = (std::collections::BTreeSet::new(), 0);
        for _ in 0..from.count(8 + 16 + 48 + 24)? {
            let id = from.text()?;
            let digest: [u8; 16] = from.array()?;
            let mut list = [0; 6];
            for count in &mut list {
                *count = from.u64()?;
            }
            let sweep_at = from.u64()?;
            let count = from.count(17)?;
            let size = from.count(1)?;
            let known = numbers.get(id).copied().filter(|number| self.compiled[*number].digest == digest);
            let Some(number) = known else {
                from.take(size)?;
                restored.forgotten.push(id.to_owned());
                continue;
            };
            counts[number] = counts_of(list);
            let compiled = &self.compiled[number];
            for _ in 0..count {
                let id = u128::from_le_bytes(from.array()?);
                let mut carry = |from: &mut Reader<'_>| read_carried(from, &slots);
                let state = State::read(&mut from, &compiled.plan, compiled.members, &mut carry)?;
                if let Some(timer) = state.timer(compiled.timespan) {
                    timers.insert((timer, number as u32, id));
                }
                let group: &mut Group = all[number].get(id);
                if group.state.is_some() {
                    return from.damaged();
                }
                group.state = Some(state);
                total += group.cost();
            }
            restored.groups += count;
            all[number].sweep_at = usize::try_from(sweep_at).unwrap_or(usize::MAX).max(1_024);
        }
        from.end()?;
        restored.hits = pending.len();
        self.clock = clock;
        self.arrivals = arrivals;
        self.pending = pending;
        self.pending_bytes = pending_bytes;
        self.groups = all;
        self.timers = timers;
        self.counts = counts;
        self.bytes = total;
        self.keep_within();
        Ok(restored)
    }

    /// For each slot of the snapshot, the own one.
    fn read_slots(&self, from: &mut Reader<'_>) -> Snapshot<Vec<Option<u32>>> {
        let known: HashMap<(&str, &str), u32> = self
            .slots
            .iter()
            .enumerate()
            .map(|(slot, (correlation, field))| ((correlation.as_str(), field.as_str()), slot as u32))
            .collect();
        let count = from.count(16)?;
        (0..count).map(|_| Ok(known.get(&(from.text()?, from.text()?)).copied())).collect()
    }
}

fn counts_list(counts: &Counts) -> [u64; 6] {
    let Counts { late, ahead, unusable, evicted, hurried, cut } = *counts;
    [late, ahead, unusable, evicted, hurried, cut]
}

fn counts_of([late, ahead, unusable, evicted, hurried, cut]: [u64; 6]) -> Counts {
    Counts { late, ahead, unusable, evicted, hurried, cut }
}

pub(super) fn write_hit(out: &mut Writer, hit: &Hit) {
    out.u32(hit.rule);
    out.i64(hit.time.micros());
    out.event(hit.event);
    write_carried(out, &hit.carried);
}

/// None for a hit of a rule that no correlation is made of any more.
pub(super) fn read_hit(from: &mut Reader<'_>, slots: &[Option<u32>], rules: &[Option<u32>]) -> Snapshot<Option<Hit>> {
    let rule = from.u32()?;
    let (time, event) = (Time::from_micros(from.i64()?), from.event()?);
    let carried = read_carried(from, slots)?;
    let Some(known) = rules.get(rule as usize) else { return from.damaged() };
    Ok(known.map(|rule| Hit { rule, time, event, carried }))
}

fn write_carried(out: &mut Writer, carried: &Arc<Carried>) {
    out.count(carried.fields.len());
    for (slot, text) in &carried.fields {
        out.u32(*slot);
        out.text(text);
    }
    out.count(carried.entities.len());
    for entity in &carried.entities {
        out.text(&entity.kind);
        out.text(&entity.value);
    }
}

fn read_carried(from: &mut Reader<'_>, slots: &[Option<u32>]) -> Snapshot<Arc<Carried>> {
    let mut fields: Vec<(u32, Box<str>)> = Vec::new();
    for _ in 0..from.count(12)? {
        let slot = from.u32()?;
        let text = from.text()?;
        let Some(slot) = slots.get(slot as usize) else { return from.damaged() };
        fields.extend(slot.map(|slot| (slot, text.into())));
    }
    fields.sort_by_key(|(slot, _)| *slot);
    let mut entities = Vec::new();
    for _ in 0..from.count(16)? {
        entities.push(Entity { kind: from.text()?.to_owned(), value: from.text()?.to_owned() });
    }
    Ok(Arc::new(Carried { fields: fields.into(), entities: entities.into() }))
}
