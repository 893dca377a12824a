//! What recording has in mind: of the entities that findings name, the steps in the hours around, and the incidents that
//! take them. It is read from the file once, changed with it, and forgotten whenever anybody else changes the file.
//!
//! Without it every finding would have to look through the hours of each of its entities, which a busy entity has
//! thousands of steps in.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
};

use rusqlite::{OptionalExtension, params};
use vedette_event::{Entity, Finding, Time};

use super::{MAX_STEPS_PER_INCIDENT, points::Dose, steps};
use crate::{AlertError, RiskOptions, schema::Writing};

/// So many bytes are kept, about; then all is forgotten and read again as it is needed. An entity that is a hub in every
/// hour takes a hundred kilobytes.
const MAX_BYTES: usize = 64 << 20;
/// What an entry takes with the map that it is in.
const ENTRY: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    options: RiskOptions,
    /// SQLite's count of what other connections have written.
    data_version: i64,
    numbers: HashMap<Entity, i64>,
    nearby: HashMap<i64, Nearby>,
    loose: HashMap<i64, Loose>,
    /// In their order, so that their changes are counted in the same one each time.
    incidents: BTreeMap<i64, Running>,
    last_step: Option<i64>,
    /// Taken since all was forgotten; what was given back since is not subtracted.
    bytes: usize,
}

/// An entity's steps from one hour to another.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    from: i64,
    pub(super) to: i64,
    hours: BTreeMap<i64, Hour>,
    /// The open incidents that it opened, in the order of their numbers.
    opened: Vec<i64>,
    /// An hour in which it is known to be a hub: further steps do not change that.
    hub_at: Option<i64>,
    pub(super) calm: Option<super::calm::Calm>,
}

#[derive(Debug, Default)]
struct Hour {
    steps: i64,
    /// Who is named beside the entity; one more than makes a hub are enough.
    others: Vec<i64>,
    /// The incidents of its steps that count.
    incidents: Vec<i64>,
    /// Its steps that count and are in no incident.
    loose: Vec<i64>,
}

/// A step that counts and is in no incident.
#[derive(Clone, Debug)]
pub(super) struct Loose {
    pub(super) entities: Vec<i64>,
    pub(super) dose: Dose,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// An open incident.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) lone: bool,
    pub(super) is_full: bool,
    pub(super) steps: i64,
    findings: i64,
    pruned: i64,
    level: i64,
    first: i64,
    last: i64,
    changed: i64,
    /// The file does not have this yet.
    is_changed: bool,
}

impl Memory {
    /// Forgets what may not hold: it was about other numbers, another process has written to the file, or it has become
    /// much. What is not in the file yet must have been [written](Self::write).
    pub(crate) fn forget_stale(&mut self, writing: &Writing<'_>) -> Result<(), AlertError> {
        let data_version = writing.tx.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.options != *writing.risk || self.data_version != data_version || self.is_full() {
            *self = Memory { options: *writing.risk, data_version, ..Memory::default() };
        }
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes > MAX_BYTES
    }

    /// Brings the incidents' numbers into the file.
    pub(crate) fn write(&mut self, writing: &Writing<'_>) -> Result<(), AlertError> {
        let mut update = writing.tx.prepare_cached(
            "UPDATE incidents SET is_full = ?2, steps = ?3, findings = ?4, pruned = ?5, level = ?6, first_time = ?7,
                 last_time = ?8, changed = ?9, revision = ?10 WHERE id = ?1",
        )?;
        for (id, of) in &mut self.incidents {
            if mem::take(&mut of.is_changed) {
                let (span, changed) = ((of.first, of.last), of.changed);
                let (counts, revision) = ((of.steps, of.findings, of.pruned), writing.next_incidents_revision()?);
                update.execute(params![
                    id, of.is_full, counts.0, counts.1, counts.2, of.level, span.0, span.1, changed, revision
                ])?;
            }
        }
        Ok(())
    }

    /// The number of an entity, if it ever had points.
    pub(super) fn number(&mut self, writing: &Writing<'_>, entity: &Entity) -> Result<Option<i64>, AlertError> {
        if let Some(number) = self.numbers.get(entity) {
            return Ok(Some(*number));
        }
        let number = steps::number_of(writing.tx, entity)?;
        if let Some(number) = number {
            self.keep_number(entity, number);
        }
        Ok(number)
    }

    /// Its number, given to it if it has none.
    pub(super) fn new_number(&mut self, writing: &Writing<'_>, entity: &Entity) -> Result<i64, AlertError> {
        if let Some(number) = self.number(writing, entity)? {
            return Ok(number);
        }
        writing
            .tx
            .prepare_cached("INSERT INTO risk_entities (kind, value) VALUES (?1, ?2)")?
            .execute(params![entity.kind, entity.value])?;
        let number = writing.tx.last_insert_rowid();
        self.keep_number(entity, number);
        // What has just got a number has no steps.
        let nothing = Nearby { from: i64::MIN, to: i64::MAX, ..Nearby::default() };
        self.nearby.insert(number, nothing);
        Ok(number)
    }

    fn keep_number(&mut self, entity: &Entity, number: i64) {
        self.bytes += 2 * ENTRY + entity.value.len();
        self.numbers.insert(entity.clone(), number);
    }

    /// A number for a new step.
    pub(super) fn next_step(&mut self, writing: &Writing<'_>) -> Result<i64, AlertError> {
        let last = match self.last_step {
            Some(last) => last,
            None => writing.tx.query_row("SELECT coalesce(max(id), 0) FROM steps", [], |row| row.get(0))?,
        };
        self.last_step = Some(last + 1);
        Ok(last + 1)
    }

    /// An entity's steps, at least those of the hour's window.
    pub(super) fn near(&mut self, writing: &Writing<'_>, entity: i64, hour: i64) -> Result<&mut Nearby, AlertError> {
        let (from, to) = writing.risk.window(hour);
        let known = self.nearby.get(&entity).is_some_and(|nearby| nearby.from <= from && to <= nearby.to);
        if !known {
            // Further than is asked for, so that time can go on for a while.
            let nearby = self.read(writing, entity, from - (hour - from), to + (to - hour))?;
            self.nearby.insert(entity, nearby);
        }
        Ok(self.nearby.get_mut(&entity).expect("it was just put there"))
    }

    fn read(&mut self, writing: &Writing<'_>, entity: i64, from: i64, to: i64) -> Result<Nearby, AlertError> {
        let mut rows = writing.tx.prepare_cached(
            "SELECT s.id, s.hour, s.entities, s.incident, s.sealed = 0 AND s.void = 0, s.rule, s.level, s.tactics,
                 s.count, s.first_time, s.last_time
             FROM step_entities e JOIN steps s ON s.id = e.step WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3",
        )?;
        let mut rows = rows.query([entity, from, to])?;
        let mut hours: BTreeMap<i64, Hour> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, hour, incident): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(3)?);
            let entities = steps::numbers_from(row.get(2)?)?;
            let in_hour = hours.entry(hour).or_default();
            self.bytes += in_hour.name(entity, &entities, writing.risk);
            match (row.get(4)?, incident) {
                (true, Some(incident)) => in_hour.keep_incident(incident),
                (true, None) => {
                    in_hour.loose.push(id);
                    self.bytes += ENTRY;
                    let dose = dose(row, 5, hour)?;
                    self.loose.insert(id, Loose { entities, dose, first: row.get(9)?, last: row.get(10)? });
                }
                (false, _) => {}
            }
        }
        let mut opened =
            writing.tx.prepare_cached("SELECT id FROM incidents WHERE entity = ?1 AND state = 'open' ORDER BY id")?;
        let opened = opened.query_map([entity], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Nearby { from, to, hours, opened, hub_at: None, calm: None })
    }

    /// Whether an entity is named together with too many others around an hour.
    pub(super) fn is_hub(&mut self, writing: &Writing<'_>, entity: i64, hour: i64) -> Result<bool, AlertError> {
        let (from, to) = writing.risk.window(hour);
        let limit = writing.risk.hub_links as usize;
        let nearby = self.near(writing, entity, hour)?;
        if nearby.hub_at == Some(hour) {
            return Ok(true);
        }
        let mut others: HashSet<i64> = HashSet::new();
        for of in nearby.hours.range(from..=to).rev().map(|(_, of)| of) {
            others.extend(&of.others);
            if others.len() > limit {
                nearby.hub_at = Some(hour);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many steps an entity has in an hour.
    pub(super) fn steps_in(&mut self, writing: &Writing<'_>, entity: i64, hour: i64) -> Result<i64, AlertError> {
        Ok(self.near(writing, entity, hour)?.hours.get(&hour).map_or(0, |of| of.steps))
    }

    /// What counts of an entity and is in no incident, from one hour to another.
    pub(super) fn doses(&self, entity: i64, from: i64, to: i64) -> Vec<Dose> {
        let Some(nearby) = self.nearby.get(&entity) else { return Vec::new() };
        let loose = nearby.hours.range(from..=to).flat_map(|(_, of)| &of.loose);
        loose.filter_map(|id| self.loose.get(id)).map(|step| step.dose).collect()
    }

    /// The incidents and the loose steps that an entity is in around an hour, by the hour; those of an hour in the order
    /// in which they happened.
    pub(super) fn around(
        &mut self,
        writing: &Writing<'_>,
        entity: i64,
        hour: i64,
    ) -> Result<(Vec<i64>, Vec<i64>), AlertError> {
        let (from, to) = writing.risk.window(hour);
        self.near(writing, entity, hour)?;
        let Some(nearby) = self.nearby.get(&entity) else { return Ok(Default::default()) };
        let (mut incidents, mut loose): (Vec<i64>, Vec<i64>) = Default::default();
        for of in nearby.hours.range(from..=to).map(|(_, of)| of) {
            for incident in &of.incidents {
                if !incidents.contains(incident) {
                    incidents.push(*incident);
                }
            }
            let begin = loose.len();
            loose.extend(&of.loose);
            loose[begin..].sort_unstable_by_key(|id| (self.loose.get(id).map(|step| step.first), *id));
        }
        Ok((incidents, loose))
    }

    /// The step, if it counts and is in no incident.
    pub(super) fn loose(&self, step: i64) -> Option<&Loose> {
        self.loose.get(&step)
    }

    /// A new step, of entities that are all [near](Self::near).
    pub(super) fn add(&mut self, writing: &Writing<'_>, id: i64, step: Loose) {
        for entity in &step.entities {
            let Some(nearby) = self.nearby.get_mut(entity) else { continue };
            let in_hour = nearby.hours.entry(step.dose.hour).or_default();
            self.bytes += in_hour.name(*entity, &step.entities, writing.risk);
            in_hour.loose.push(id);
        }
        self.bytes += ENTRY;
        self.loose.insert(id, step);
    }

    /// A further finding of a step that is in no incident.
    pub(super) fn extend_loose(&mut self, id: i64, finding: &Finding, tactics: u32) {
        let Some(step) = self.loose.get_mut(&id) else { return };
        step.dose.count += 1;
        step.dose.level = step.dose.level.max(finding.rule.level as usize);
        step.dose.tactics |= tactics;
        step.first = step.first.min(finding.time.micros());
        step.last = step.last.max(finding.time.micros());
    }

    /// A step has been put into an incident.
    pub(super) fn put(
        &mut self,
        writing: &Writing<'_>,
        incident: i64,
        id: i64,
        now: Time,
    ) -> Result<Option<Loose>, AlertError> {
        let Some(step) = self.loose.remove(&id) else { return Ok(None) };
        for entity in &step.entities {
            let in_hour = self.nearby.get_mut(entity).and_then(|nearby| nearby.hours.get_mut(&step.dose.hour));
            if let Some(in_hour) = in_hour {
                in_hour.loose.retain(|loose| *loose != id);
                in_hour.keep_incident(incident);
            }
        }
        let into = self.incident(writing, incident)?;
        into.steps += 1;
        into.is_full = into.steps >= MAX_STEPS_PER_INCIDENT;
        into.findings = into.findings.saturating_add_unsigned(step.dose.count);
        into.level = into.level.max(step.dose.level as i64);
        into.first = into.first.min(step.first);
        into.last = into.last.max(step.last);
        into.change(now);
        Ok(Some(step))
    }

    /// An open incident.
    pub(super) fn incident(&mut self, writing: &Writing<'_>, id: i64) -> Result<&mut Running, AlertError> {
        if !self.incidents.contains_key(&id) {
            let read = writing
                .tx
                .prepare_cached(
                    "SELECT lone, is_full, steps, findings, pruned, level, first_time, last_time, changed
                     FROM incidents WHERE id = ?1",
                )?
                .query_row([id], |row| {
                    Ok(Running {
                        lone: row.get(0)?,
                        is_full: row.get(1)?,
                        steps: row.get(2)?,
                        findings: row.get(3)?,
                        pruned: row.get(4)?,
                        level: row.get(5)?,
                        first: row.get(6)?,
                        last: row.get(7)?,
                        changed: row.get(8)?,
                        is_changed: false,
                    })
                })
                .optional()?
                .ok_or_else(|| AlertError::Damaged { what: "steps.incident", found: id.to_string() })?;
            self.bytes += ENTRY;
            self.incidents.insert(id, read);
        }
        Ok(self.incidents.get_mut(&id).expect("it was just put there"))
    }

    /// An incident was opened.
    pub(super) fn keep_opened(&mut self, entity: i64, incident: i64) {
        if let Some(nearby) = self.nearby.get_mut(&entity) {
            nearby.opened.push(incident);
        }
    }

    /// The open incident that an entity opened, if it reaches to the hour's window and takes further steps.
    pub(super) fn opened_by(
        &mut self,
        writing: &Writing<'_>,
        entity: i64,
        hour: i64,
    ) -> Result<Option<i64>, AlertError> {
        let (from, to) = writing.risk.window(hour);
        let opened = self.near(writing, entity, hour)?.opened.len();
        for at in 0..opened {
            let Some(id) = self.nearby.get(&entity).and_then(|nearby| nearby.opened.get(at)).copied() else { break };
            let incident = self.incident(writing, id)?;
            let hours = |micros: i64| steps::hour_of(Time::from_micros(micros));
            if !incident.is_full && hours(incident.last) >= from && hours(incident.first) <= to {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// One incident has become part of another; gives back its level and its first and last time.
    pub(super) fn merge(
        &mut self,
        writing: &Writing<'_>,
        winner: i64,
        loser: i64,
        now: Time,
    ) -> Result<(i64, i64, i64), AlertError> {
        let lost = self.incident(writing, loser)?.clone();
        self.incidents.remove(&loser);
        let won = self.incident(writing, winner)?;
        won.steps += lost.steps;
        won.is_full = won.steps >= MAX_STEPS_PER_INCIDENT;
        won.findings += lost.findings;
        won.pruned += lost.pruned;
        won.level = won.level.max(lost.level);
        won.first = won.first.min(lost.first);
        won.last = won.last.max(lost.last);
        won.change(now);
        for nearby in self.nearby.values_mut() {
            nearby.opened.retain(|opened| *opened != loser);
            for of in nearby.hours.values_mut() {
                if let Some(at) = of.incidents.iter().position(|incident| *incident == loser) {
                    of.incidents.swap_remove(at);
                    of.keep_incident(winner);
                }
            }
        }
        Ok((lost.level, lost.first, lost.last))
    }
}

impl Running {
    /// A further finding of one of its steps.
    pub(super) fn extend(&mut self, finding: &Finding, now: Time) {
        self.findings += 1;
        self.level = self.level.max(finding.rule.level as i64);
        self.first = self.first.min(finding.time.micros());
        self.last = self.last.max(finding.time.micros());
        self.change(now);
    }

    fn change(&mut self, now: Time) {
        self.changed = self.changed.max(now.micros());
        self.is_changed = true;
    }
}

impl Hour {
    /// Counts a step of an entity, with who is named beside it; gives back what that takes.
    fn name(&mut self, entity: i64, entities: &[i64], options: &RiskOptions) -> usize {
        let before = self.others.len();
        for other in entities {
            let is_enough = self.others.len() > options.hub_links as usize;
            if !is_enough && *other != entity && !self.others.contains(other) {
                self.others.push(*other);
            }
        }
        self.steps += 1;
        let is_new = self.steps == 1;
        (self.others.len() - before) * size_of::<i64>() + if is_new { ENTRY } else { 0 }
    }

    fn keep_incident(&mut self, incident: i64) {
        if !self.incidents.contains(&incident) {
            self.incidents.push(incident);
        }
    }
}

/// Rule, level, tactics and count of a row, from a column on.
pub(super) fn dose(row: &rusqlite::Row<'_>, at: usize, hour: i64) -> rusqlite::Result<Dose> {
    Ok(Dose {
        hour,
        rule: row.get(at)?,
        level: row.get::<_, i64>(at + 1)?.unsigned_abs() as usize,
        tactics: row.get(at + 2)?,
        count: row.get::<_, i64>(at + 3)?.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use vedette_event::{EventId, FindingId, Level, RuleRef, SourceId};

    use super::*;
    use crate::{Alerts, IncidentFilter, IncidentId, Recorded, Sighting, risk};

    #[test]
    fn what_was_in_mind_is_in_the_file_before_it_is_forgotten() {
        let alerts = Alerts::in_memory().unwrap();
        let findings = ["a", "b", "c", "d"].map(|rule| Finding {
            id: FindingId::of(rule, &[EventId { source: SourceId(1), seq: 1 }]),
            rule: RuleRef {
                id: rule.into(),
                title: rule.into(),
                level: Level::High,
                author: None,
                techniques: vec![],
                tactics: vec![],
            }
            .into(),
            time: Time::from_secs(i64::from(rule.as_bytes()[0]) * 3600),
            events: vec![],
            entities: vec![Entity { kind: "host".into(), value: "web".into() }],
            matched: vec![],
        });
        alerts.record(&[Sighting::from(&findings[0])], Time::from_secs(1)).unwrap();
        let opened = alerts.write_remembering(|writing, memory| {
            let mut recorded = Recorded::default();
            for finding in &findings[1..] {
                memory.bytes = MAX_BYTES + 1;
                risk::add(writing, memory, 1, &Sighting::from(finding), Time::from_secs(2), &mut recorded)?;
                assert!(memory.bytes < 10 * ENTRY, "{memory:?}");
            }
            Ok(recorded.incidents)
        });
        // 40 points of each of the first three, a little decayed.
        assert_eq!(opened.unwrap(), [IncidentId(1)]);
        let page = alerts.incidents(&IncidentFilter::default()).unwrap();
        assert_eq!((page.total, page.incidents[0].findings, page.incidents[0].steps), (1, 4, 4));
        assert_eq!((page.incidents[0].first, page.incidents[0].last), (findings[0].time, findings[3].time));
    }
}
