//! What a correlation sees of a match: when, which event, and the fields that are grouped by or computed of.

use std::sync::Arc;

use vedette_event::{Entity, Event, EventId, Finding, Time};

use super::{Correlations, snapshot::Key};

/// Longest text of a field; a longer one is cut and ends in its hash.
const MAX_TEXT: usize = 1 << 10;
/// Most combinations of the values of several fields.
pub(super) const MAX_COMBINATIONS: usize = 64;
/// Most values of one field of one event: one more, so that it shows that there were too many.
const MAX_VALUES: usize = MAX_COMBINATIONS + 1;

/// A match of a rule that correlations are made of. [`Correlations::hit`] makes it.
#[derive(Clone, Debug)]
pub struct Hit {
    pub(super) rule: u32,
    pub(super) time: Time,
    pub(super) event: EventId,
    pub(super) carried: Arc<Carried>,
}

/// What of an event is kept with its hit, and goes on with a correlation's finding to the correlations over it.
#[derive(Debug, PartialEq)]
pub(super) struct Carried {
    /// Slot and text of each value, in the order of the slots.
    pub(super) fields: Box<[(u32, Box<str>)]>,
    pub(super) entities: Box<[Entity]>,
}

/// Where an event may have what one slot needs; first present wins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Need {
    pub(super) slot: u32,
    pub(super) names: Vec<Box<str>>,
}

impl Hit {
    /// The order in which hits are looked at.
    pub(super) fn key(&self) -> Key {
        (self.time.micros(), self.event, self.rule)
    }

    /// Bytes, about.
    pub(super) fn cost(&self) -> usize {
        200 + self.carried.cost()
    }
}

impl Carried {
    pub(super) fn cost(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, text)| 40 + text.len()).sum();
        let entities: usize = self.entities.iter().map(|entity| 96 + entity.kind.len() + entity.value.len()).sum();
        64 + fields + entities
    }

    pub(super) fn values(&self, slot: u32) -> impl Iterator<Item = &str> + Clone {
        let first = self.fields.partition_point(|(known, _)| *known < slot);
        self.fields[first..].iter().take_while(move |(known, _)| *known == slot).map(|(_, text)| &**text)
    }

    /// Every choice of one value for each slot; none if a slot has no value. True if there were too many.
    pub(super) fn combinations(&self, slots: &[u32]) -> (Vec<Vec<&str>>, bool) {
        let mut all: Vec<Vec<&str>> = vec![Vec::with_capacity(slots.len())];
        let mut cut = false;
        for slot in slots {
            let values = self.values(*slot);
            let count = values.clone().count();
            if count == 1 {
                all.iter_mut().for_each(|chosen| chosen.extend(values.clone()));
                continue;
            }
            cut |= all.len() * count > MAX_COMBINATIONS;
            all = all
                .iter()
                .flat_map(|chosen| {
                    values.clone().map(move |value| chosen.iter().copied().chain([value]).collect::<Vec<_>>())
                })
                .take(MAX_COMBINATIONS)
                .collect();
        }
        (all, cut)
    }
}

impl Correlations {
    /// The hit that a finding of a rule is; none if no correlation is made of that rule. `event` is the event that
    /// the finding is about.
    pub fn hit(&self, finding: &Finding, event: Event<'_>) -> Option<Hit> {
        let rule = *self.rule_numbers.get(&finding.rule.id)?;
        let mut fields = Vec::new();
        for need in &self.rules[rule as usize].needs {
            let texts = need.names.iter().find_map(|name| {
                let mut texts: Vec<Box<str>> = Vec::new();
                for value in event.all(name).filter(|value| *value != vedette_event::Value::Null) {
                    let text = shortened(&value.to_text());
                    if !texts.contains(&text) && texts.len() < MAX_VALUES {
                        texts.push(text);
                    }
                }
                (!texts.is_empty()).then_some(texts)
            });
            fields.extend(texts.into_iter().flatten().map(|text| (need.slot, text)));
        }
        let carried = Carried { fields: fields.into(), entities: finding.entities.clone().into() };
        Some(Hit { rule, time: event.time(), event: event.id(), carried: Arc::new(carried) })
    }
}

fn shortened(text: &str) -> Box<str> {
    if text.len() <= MAX_TEXT {
        return text.into();
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("{}…{}", &text[..text.floor_char_boundary(MAX_TEXT)], &hash[..32]).into()
}
