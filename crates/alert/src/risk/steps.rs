//! A finding becomes part of a step.

use rusqlite::{OptionalExtension, params};
use vedette_event::{Entity, Finding, Time};

use super::{
    RISK_KINDS,
    linking::{self, Joins},
    memory::{Loose, Memory},
    points::{self, Dose, MAX_REPEATS},
};
use crate::{
    AlertError, Recorded, Sighting,
    record::{cut_entity, to_json},
    schema::Writing,
};

/// A finding adds points to this many entities, the first that it names.
pub const MAX_RISK_ENTITIES: usize = 8;
/// So many steps an entity can have in an hour. What goes beyond is kept without the other entities that it names.
pub const MAX_STEPS_PER_ENTITY_HOUR: i64 = 256;

const HOUR: i64 = 3_600_000_000;

/// The hour of a time, since 1970.
pub(crate) fn hour_of(time: Time) -> i64 {
    time.micros().div_euclid(HOUR)
}

/// A step that may belong to an incident.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) hour: i64,
    pub(super) entities: Vec<i64>,
    /// Thousandths of points by which its new finding can raise a score at most.
    pub(super) brings: u64,
    /// The tactics that its new finding has.
    pub(super) tactics: u32,
}

/// Adds a finding, which is new and was put into `alert`, to the steps; it may join, link or open incidents.
pub(crate) fn add(
    writing: &Writing<'_>,
    memory: &mut Memory,
    alert: i64,
    sighting: &Sighting<'_>,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    if memory.is_full() {
        memory.write(writing)?;
        memory.forget_stale(writing)?;
    }
    let finding = sighting.finding;
    if writing.risk.points_of(finding.rule.level) == 0 {
        return Ok(());
    }
    let named = named(writing, sighting)?;
    if named.is_empty() {
        return Ok(());
    }
    let mut known = Vec::with_capacity(named.len());
    for entity in &named {
        known.extend(memory.number(writing, entity)?);
    }
    let all_known = known.len() == named.len();
    if all_known && extend(writing, memory, alert, finding, &known, now, recorded)? {
        return Ok(());
    }
    if named.len() > 1
        && let Some(crowded) = first_crowded(writing, memory, &known, hour_of(finding.time))?
    {
        note_cut(writing, "entities_beside_crowded", named.len() as u64 - 1)?;
        let alone = [crowded];
        return match extend(writing, memory, alert, finding, &alone, now, recorded)? {
            true => Ok(()),
            false => open(writing, memory, alert, finding, &alone, now, recorded),
        };
    }
    if !all_known {
        known.clear();
        for entity in &named {
            known.push(memory.new_number(writing, entity)?);
        }
    }
    open(writing, memory, alert, finding, &known, now, recorded)
}

/// The entities that carry risk, as a set.
fn named(writing: &Writing<'_>, sighting: &Sighting<'_>) -> Result<Vec<Entity>, AlertError> {
    let mut named: Vec<Entity> = Vec::new();
    let of_events = sighting.host.map(|host| Entity { kind: "host".to_owned(), value: host.to_owned() });
    let mut cut = 0;
    for entity in &sighting.finding.entities {
        if !RISK_KINDS.contains(&entity.kind.as_str()) || entity.value.is_empty() {
            continue;
        }
        let entity = cut_entity(entity);
        if named.contains(&entity) {
            continue;
        }
        match named.len() < MAX_RISK_ENTITIES {
            true => named.push(entity),
            false => cut += 1,
        }
    }
    if named.is_empty() {
        named.extend(of_events.filter(|host| !host.value.is_empty()).as_ref().map(cut_entity));
    }
    if cut > 0 {
        note_cut(writing, "entities_of_finding", cut)?;
    }
    named.sort();
    Ok(named)
}

/// Adds the finding to its step; false if there is none.
fn extend(
    writing: &Writing<'_>,
    memory: &mut Memory,
    alert: i64,
    finding: &Finding,
    entities: &[i64],
    now: Time,
    recorded: &mut Recorded,
) -> Result<bool, AlertError> {
    let (tx, hour) = (writing.tx, hour_of(finding.time));
    let row = tx
        .prepare_cached(
            "SELECT id, incident, count, level, tactics, void FROM steps
             WHERE alert = ?1 AND hour = ?2 AND entities = ?3 AND sealed = 0",
        )?
        .query_row(params![alert, hour, set_of(entities)], |row| {
            let had = Dose {
                hour,
                rule: 0,
                count: row.get::<_, i64>(2)?.unsigned_abs(),
                level: row.get::<_, i64>(3)?.unsigned_abs() as usize,
                tactics: row.get(4)?,
            };
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, had, row.get::<_, bool>(5)?))
        })
        .optional()?;
    let Some((id, incident, had, is_void)) = row else { return Ok(false) };
    let (level, tactics) = (finding.rule.level as usize, points::tactics_of(&finding.rule.tactics));
    tx.prepare_cached(
        "UPDATE steps SET count = count + 1, level = max(level, ?2), tactics = tactics | ?3,
             first_time = min(first_time, ?4), last_time = max(last_time, ?4) WHERE id = ?1",
    )?
    .execute(params![id, level as i64, tactics, finding.time.micros()])?;
    if let Some(incident) = incident {
        memory.incident(writing, incident)?.extend(finding, now);
        return Ok(true);
    }
    memory.extend_loose(id, finding, tactics);
    // Of a step with as many findings as count, one more cannot change a score.
    let is_repeated = had.count >= MAX_REPEATS && level <= had.level && had.tactics | tactics == had.tactics;
    if is_repeated || is_void {
        return Ok(true);
    }
    // A worse level lifts what was there too.
    let findings = if level > had.level { MAX_REPEATS } else { 1 };
    let step = Step { hour, entities: sorted(entities), brings: findings * milli(writing, finding), tactics };
    if let Some(joins) = linking::seek(writing, memory, &step, now, recorded)? {
        linking::assign(writing, memory, joins.incident(), id, now)?;
        linking::gather(writing, memory, joins, &step, now, recorded)?;
    }
    Ok(true)
}

fn open(
    writing: &Writing<'_>,
    memory: &mut Memory,
    alert: i64,
    finding: &Finding,
    entities: &[i64],
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let (tx, hour, time) = (writing.tx, hour_of(finding.time), finding.time.micros());
    let (brings, tactics) = (milli(writing, finding), points::tactics_of(&finding.rule.tactics));
    let step = Step { hour, entities: sorted(entities), brings, tactics };
    for entity in &step.entities {
        memory.near(writing, *entity, hour)?;
    }
    let (id, rule) = (memory.next_step(writing)?, rule_key(&finding.rule.id));
    let dose = Dose { hour, rule, level: finding.rule.level as usize, tactics, count: 1 };
    memory.add(writing, id, Loose { entities: step.entities.clone(), dose, first: time, last: time });
    let joins = linking::seek(writing, memory, &step, now, recorded)?;
    let incident = joins.map(Joins::incident);
    tx.prepare_cached(
        "INSERT INTO steps (id, alert, hour, entities, rule, level, tactics, count, first_time, last_time, incident)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8, ?9)",
    )?
    .execute(params![id, alert, hour, set_of(entities), rule, dose.level as i64, tactics, time, incident])?;
    let mut link = tx.prepare_cached("INSERT INTO step_entities (entity, hour, step) VALUES (?1, ?2, ?3)")?;
    for entity in &step.entities {
        link.execute([*entity, hour, id])?;
    }
    if let Some(joins) = joins {
        memory.put(writing, joins.incident(), id, now)?;
        linking::gather(writing, memory, joins, &step, now, recorded)?;
    }
    Ok(())
}

/// The first of the entities that has as many steps in the hour as it can have.
fn first_crowded(
    writing: &Writing<'_>,
    memory: &mut Memory,
    known: &[i64],
    hour: i64,
) -> Result<Option<i64>, AlertError> {
    for entity in known {
        if memory.steps_in(writing, *entity, hour)? >= MAX_STEPS_PER_ENTITY_HOUR {
            return Ok(Some(*entity));
        }
    }
    Ok(None)
}

fn milli(writing: &Writing<'_>, finding: &Finding) -> u64 {
    u64::from(writing.risk.points_of(finding.rule.level)) * 1000
}

/// The number of an entity, if it ever had points.
pub(super) fn number_of(db: &rusqlite::Connection, entity: &Entity) -> Result<Option<i64>, AlertError> {
    let number = db
        .prepare_cached("SELECT id FROM risk_entities WHERE kind = ?1 AND value = ?2")?
        .query_row([&entity.kind, &entity.value], |row| row.get(0))
        .optional()?;
    Ok(number)
}

/// Counts what a limit has cut.
pub(super) fn note_cut(writing: &Writing<'_>, what: &str, count: u64) -> Result<(), AlertError> {
    writing
        .tx
        .prepare_cached(
            "INSERT INTO risk_cut (what, count) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![what, count as i64])?;
    Ok(())
}

fn sorted(entities: &[i64]) -> Vec<i64> {
    let mut sorted = entities.to_vec();
    sorted.sort_unstable();
    sorted
}

/// What is kept of a step's entities: a JSON list of their numbers, in their order.
fn set_of(entities: &[i64]) -> String {
    to_json(&sorted(entities))
}

pub(super) fn numbers_from(json: String) -> Result<Vec<i64>, AlertError> {
    serde_json::from_str(&json).map_err(|_| AlertError::Damaged { what: "steps.entities", found: json })
}

pub(super) fn rule_key(rule: &str) -> i64 {
    let mut key = [0; 8];
    key.copy_from_slice(&blake3::hash(rule.as_bytes()).as_bytes()[..8]);
    i64::from_le_bytes(key)
}
