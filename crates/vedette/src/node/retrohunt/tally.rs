//! What rules would have found, in numbers and examples.

use std::collections::HashMap;

use vedette_event::{Entity, Finding, RuleRef, Time};
use vedette_server::{HuntedEntity, HuntedField, HuntedFinding, HuntedRule};

/// So many findings of each rule are shown.
const SAMPLES: usize = 20;
/// So many entities of each rule are shown, …
const ENTITIES: usize = 10;
/// … and so many are told apart.
const MAX_ENTITIES: usize = 10_000;
/// A matched value is shown up to here.
const MAX_VALUE: usize = 1024;

/// Counts findings by rule.
#[derive(Debug, Default)]
pub struct Tally {
    order: Vec<String>,
    rules: HashMap<String, Counted>,
}

#[derive(Debug)]
struct Counted {
    rule: RuleRef,
    findings: u64,
    first: Option<Time>,
    last: Option<Time>,
    entities: HashMap<Entity, u64>,
    /// The latest, in no order.
    samples: Vec<HuntedFinding>,
}

impl Tally {
    /// For these rules; findings of others are not counted.
    pub fn of<'a>(rules: impl Iterator<Item = &'a RuleRef>) -> Tally {
        let mut tally = Tally::default();
        for rule in rules {
            tally.order.push(rule.id.clone());
            let counted = Counted {
                rule: rule.clone(),
                findings: 0,
                first: None,
                last: None,
                entities: HashMap::new(),
                samples: Vec::new(),
            };
            tally.rules.insert(rule.id.clone(), counted);
        }
        tally
    }

    /// Counts a finding.
    pub fn add(&mut self, finding: &Finding) {
        let Some(counted) = self.rules.get_mut(&finding.rule.id) else { return };
        counted.findings += 1;
        counted.first = Some(counted.first.map_or(finding.time, |first| first.min(finding.time)));
        counted.last = Some(counted.last.map_or(finding.time, |last| last.max(finding.time)));
        counted.about(finding);
        counted.sample(finding);
    }

    /// What it came to, in the order of the rules.
    pub fn told(&self) -> Vec<HuntedRule> {
        self.order.iter().filter_map(|id| self.rules.get(id)).map(Counted::told).collect()
    }
}

impl Counted {
    /// An alert is of a rule and an entity.
    fn about(&mut self, finding: &Finding) {
        let entity = vedette_alert::entity(finding, None, None);
        if self.entities.len() < MAX_ENTITIES || self.entities.contains_key(&entity) {
            *self.entities.entry(entity).or_default() += 1;
        }
    }

    fn sample(&mut self, finding: &Finding) {
        if self.samples.len() >= SAMPLES {
            let oldest = self.samples.iter().enumerate().min_by_key(|(_, sample)| sample.time);
            match oldest.filter(|(_, oldest)| oldest.time < finding.time).map(|(at, _)| at) {
                Some(at) => drop(self.samples.swap_remove(at)),
                None => return,
            }
        }
        let field = |matched: &vedette_event::Matched| HuntedField {
            field: matched.field.clone(),
            value: matched.value.chars().take(MAX_VALUE).collect(),
        };
        self.samples.push(HuntedFinding {
            event_id: finding.events.last().map(ToString::to_string).unwrap_or_default(),
            time: finding.time,
            matched: finding.matched.iter().map(field).collect(),
        });
    }

    fn told(&self) -> HuntedRule {
        let mut entities: Vec<HuntedEntity> = self
            .entities
            .iter()
            .map(|(Entity { kind, value }, findings)| HuntedEntity {
                kind: kind.clone(),
                value: value.clone(),
                findings: *findings,
            })
            .collect();
        entities
            .sort_by(|a, b| b.findings.cmp(&a.findings).then_with(|| (&a.kind, &a.value).cmp(&(&b.kind, &b.value))));
        entities.truncate(ENTITIES);
        let mut samples = self.samples.clone();
        samples.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.event_id.cmp(&a.event_id)));
        HuntedRule {
            id: self.rule.id.clone(),
            title: self.rule.title.clone(),
            level: self.rule.level,
            findings: self.findings,
            alerts: self.entities.len() as u64,
            first: self.first,
            last: self.last,
            entities,
            samples,
        }
    }
}
