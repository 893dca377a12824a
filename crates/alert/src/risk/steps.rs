//! A finding becomes part of a step.

use rusqlite::{OptionalExtension, params};
use vedette_event::{Entity, Finding, Time};

use super::{RISK_KINDS, incident, points};
use crate::{AlertError, Recorded, Sighting, record::cut_entity, schema::Writing};

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
    pub(super) id: i64,
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
    alert: i64,
    sighting: &Sighting<'_>,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let finding = sighting.finding;
    if writing.risk.points_of(finding.rule.level) == 0 {
        return Ok(());
    }
    let named = named(writing, sighting)?;
    if named.is_empty() {
        return Ok(());
    }
    if let Known::Yes = extend(writing, alert, finding, &named, now, recorded)? {
        return Ok(());
    }
    let hour = hour_of(finding.time);
    if named.len() > 1
        && let Some(crowded) = crowded(writing, &named, hour)?
    {
        note_cut(writing, "entities_beside_crowded", named.len() as u64 - 1)?;
        let alone = [crowded];
        return match extend(writing, alert, finding, &alone, now, recorded)? {
            Known::Yes => Ok(()),
            Known::No => open(writing, alert, finding, &alone, now, recorded),
        };
    }
    open(writing, alert, finding, &named, now, recorded)
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

enum Known {
    Yes,
    No,
}

/// Adds the finding to its step, if there is one.
fn extend(
    writing: &Writing<'_>,
    alert: i64,
    finding: &Finding,
    named: &[Entity],
    now: Time,
    recorded: &mut Recorded,
) -> Result<Known, AlertError> {
    let (tx, hour) = (writing.tx, hour_of(finding.time));
    let row = tx
        .prepare_cached(
            "SELECT id, incident, count, level, tactics FROM steps
             WHERE alert = ?1 AND hour = ?2 AND entities = ?3 AND sealed = 0",
        )?
        .query_row(params![alert, hour, set_key(named)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((id, incident, count, level, had)) = row else { return Ok(Known::No) };
    let (count, level, had): (i64, i64, u32) = (count, level, had);
    let tactics = points::tactics_of(&finding.rule.tactics);
    tx.prepare_cached(
        "UPDATE steps SET count = count + 1, level = max(level, ?2), tactics = tactics | ?3,
             first_time = min(first_time, ?4), last_time = max(last_time, ?4) WHERE id = ?1",
    )?
    .execute(params![id, finding.rule.level as i64, tactics, finding.time.micros()])?;
    match incident {
        Some(incident) => incident::extend(writing, incident, finding, now)?,
        // Of a step with as many findings as count, one more cannot change a score.
        None if count.unsigned_abs() >= points::MAX_REPEATS
            && finding.rule.level as i64 <= level
            && had | tactics == had => {}
        None => {
            // A worse level lifts what was there too.
            let findings = if finding.rule.level as i64 > level { points::MAX_REPEATS } else { 1 };
            let brings = findings * milli(writing, finding);
            let step = Step { id, hour, entities: entities_of(writing.tx, id)?, brings, tactics };
            incident::place(writing, &step, now, recorded)?;
        }
    }
    Ok(Known::Yes)
}

fn open(
    writing: &Writing<'_>,
    alert: i64,
    finding: &Finding,
    named: &[Entity],
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let (tx, hour, time) = (writing.tx, hour_of(finding.time), finding.time.micros());
    tx.prepare_cached(
        "INSERT INTO steps (alert, hour, entities, rule, level, tactics, count, first_time, last_time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
    )?
    .execute(params![
        alert,
        hour,
        set_key(named),
        rule_key(&finding.rule.id),
        finding.rule.level as i64,
        points::tactics_of(&finding.rule.tactics),
        time,
    ])?;
    let id = tx.last_insert_rowid();
    let mut entities = Vec::with_capacity(named.len());
    for entity in named {
        let number = match number_of(tx, entity)? {
            Some(number) => number,
            None => {
                tx.prepare_cached("INSERT INTO risk_entities (kind, value) VALUES (?1, ?2)")?
                    .execute(params![entity.kind, entity.value])?;
                tx.last_insert_rowid()
            }
        };
        tx.prepare_cached("INSERT INTO step_entities (entity, hour, step) VALUES (?1, ?2, ?3)")?
            .execute(params![number, hour, id])?;
        entities.push(number);
    }
    let (brings, tactics) = (milli(writing, finding), points::tactics_of(&finding.rule.tactics));
    incident::place(writing, &Step { id, hour, entities, brings, tactics }, now, recorded)
}

/// The first of the entities that has as many steps in the hour as it can have.
fn crowded(writing: &Writing<'_>, named: &[Entity], hour: i64) -> Result<Option<Entity>, AlertError> {
    let mut steps = writing.tx.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM step_entities WHERE entity = ?1 AND hour = ?2 LIMIT ?3)",
    )?;
    for entity in named {
        let Some(number) = number_of(writing.tx, entity)? else { continue };
        let count: i64 = steps.query_row([number, hour, MAX_STEPS_PER_ENTITY_HOUR], |row| row.get(0))?;
        if count >= MAX_STEPS_PER_ENTITY_HOUR {
            return Ok(Some(entity.clone()));
        }
    }
    Ok(None)
}

fn milli(writing: &Writing<'_>, finding: &Finding) -> u64 {
    u64::from(writing.risk.points_of(finding.rule.level)) * 1000
}

pub(super) fn entities_of(db: &rusqlite::Connection, step: i64) -> Result<Vec<i64>, AlertError> {
    let mut rows = db.prepare_cached("SELECT entity FROM step_entities WHERE step = ?1 ORDER BY entity")?;
    let rows = rows.query_map([step], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
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

fn set_key(named: &[Entity]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in named.iter().flat_map(|entity| [&entity.kind, &entity.value]) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

pub(super) fn rule_key(rule: &str) -> i64 {
    let mut key = [0; 8];
    key.copy_from_slice(&blake3::hash(rule.as_bytes()).as_bytes()[..8]);
    i64::from_le_bytes(key)
}
