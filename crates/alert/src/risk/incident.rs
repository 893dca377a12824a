//! Which steps are one incident.
//!
//! Two steps are linked if they share an entity that is no hub and are no further apart than the window. An incident is
//! what is linked in this way, over any number of links, once one of its entities has passed the threshold. Without
//! hubs, limits and verdicts in between, the order in which findings come in makes no difference to which steps are
//! together.
//!
//! A hub links nothing, but it can be in trouble itself: then its incident is **lone**, of its own steps only, and is
//! never merged with another.

use std::collections::{BTreeSet, HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension, params};
use vedette_event::{Finding, Time};

use super::{
    IncidentId, calm, merge_in_cases,
    steps::{Step, entities_of, note_cut},
};
use crate::{AlertError, Recorded, RiskOptions, schema::Writing};

/// An incident takes this many steps; each may be any number of findings. What goes on then can open another one.
pub const MAX_STEPS_PER_INCIDENT: i64 = 2000;

/// A further finding of a step that is in an incident.
pub(super) fn extend(writing: &Writing<'_>, incident: i64, finding: &Finding, now: Time) -> Result<(), AlertError> {
    writing
        .tx
        .prepare_cached(
            "UPDATE incidents SET findings = findings + 1, level = max(level, ?2), first_time = min(first_time, ?3),
                 last_time = max(last_time, ?3), changed = max(changed, ?4) WHERE id = ?1",
        )?
        .execute(params![incident, finding.rule.level as i64, finding.time.micros(), now.micros()])?;
    Ok(())
}

/// Finds the incident of a step that is in none, opening one if an entity is over the threshold.
pub(super) fn place(writing: &Writing<'_>, step: &Step, now: Time, recorded: &mut Recorded) -> Result<(), AlertError> {
    let mut hubs = Vec::with_capacity(step.entities.len());
    for entity in &step.entities {
        hubs.push(is_hub(writing.tx, writing.risk, *entity, step.hour)?);
    }
    if let Some(incident) = linked_incident(writing, step, &hubs)? {
        assign(writing, incident, step.id, now)?;
        return gather(writing, incident, step, now, recorded);
    }
    let mut hot_hub = None;
    for (entity, hub) in step.entities.iter().zip(hubs) {
        if hub && let Some(incident) = incident_opened_by(writing, *entity, step.hour)? {
            return assign(writing, incident, step.id, now).map(drop);
        }
        if hub && hot_hub.is_some() {
            continue;
        }
        if !calm::is_over(writing, *entity, step)? {
            continue;
        }
        if hub {
            hot_hub = Some(*entity);
            continue;
        }
        let incident = open(writing, *entity, false, now, recorded)?;
        assign(writing, incident, step.id, now)?;
        return gather(writing, incident, step, now, recorded);
    }
    let Some(hub) = hot_hub else { return Ok(()) };
    let incident = open(writing, hub, true, now, recorded)?;
    assign(writing, incident, step.id, now)?;
    let own: Vec<i64> = {
        let (from, to) = writing.risk.window(step.hour);
        let mut rows = writing.tx.prepare_cached(
            "SELECT s.id FROM step_entities e JOIN steps s ON s.id = e.step
             WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0 AND s.incident IS NULL
             ORDER BY s.hour, s.first_time, s.entities",
        )?;
        rows.query_map([hub, from, to], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for (at, id) in own.iter().enumerate() {
        if !assign(writing, incident, *id, now)? {
            return note_cut(writing, "steps_of_incident", (own.len() - at) as u64);
        }
    }
    Ok(())
}

/// An open incident that the step is linked with; [`gather`] finds the others, if there are more.
fn linked_incident(writing: &Writing<'_>, step: &Step, hubs: &[bool]) -> Result<Option<i64>, AlertError> {
    let (from, to) = writing.risk.window(step.hour);
    let mut near = writing.tx.prepare_cached(
        "SELECT i.id FROM step_entities e JOIN steps s ON s.id = e.step JOIN incidents i ON i.id = s.incident
         WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0 AND i.lone = 0 AND i.is_full = 0
         ORDER BY e.hour DESC LIMIT 1",
    )?;
    for (entity, hub) in step.entities.iter().zip(hubs) {
        if *hub {
            continue;
        }
        let found = near.query_row([*entity, from, to], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The open incident that an entity opened: it takes that entity's steps also when the entity has become a hub.
fn incident_opened_by(writing: &Writing<'_>, entity: i64, hour: i64) -> Result<Option<i64>, AlertError> {
    let (from, to) = writing.risk.window(hour);
    let hours = |hour: i64| hour.saturating_mul(3_600_000_000);
    let incident = writing
        .tx
        .prepare_cached(
            "SELECT id FROM incidents WHERE entity = ?1 AND state = 'open' AND is_full = 0
                 AND last_time >= ?2 AND first_time < ?3 ORDER BY id LIMIT 1",
        )?
        .query_row([entity, hours(from), hours(to + 1)], |row| row.get(0))
        .optional()?;
    Ok(incident)
}

/// Whether an entity is named together with too many others around an hour.
pub(super) fn is_hub(db: &Connection, options: &RiskOptions, entity: i64, hour: i64) -> Result<bool, AlertError> {
    let (from, to) = options.window(hour);
    let limit = i64::from(options.hub_links) + 1;
    let others: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM (SELECT DISTINCT o.entity FROM step_entities e JOIN step_entities o ON o.step = e.step
                 WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND o.entity <> ?1 LIMIT ?4)",
        )?
        .query_row([entity, from, to, limit], |row| row.get(0))?;
    Ok(others >= limit)
}

fn open(writing: &Writing<'_>, entity: i64, lone: bool, now: Time, recorded: &mut Recorded) -> Result<i64, AlertError> {
    writing
        .tx
        .prepare_cached(
            "INSERT INTO incidents (state, entity, lone, first_time, last_time, opened, changed)
             VALUES ('open', ?1, ?2, ?3, ?4, ?5, ?5)",
        )?
        .execute(params![entity, lone, i64::MAX, i64::MIN, now.micros()])?;
    let incident = writing.tx.last_insert_rowid();
    note_change(writing, incident, now, "vedette", "opened", None)?;
    recorded.incidents.push(IncidentId(incident));
    Ok(incident)
}

/// Puts a step that is in no incident into one; false if that one is full.
fn assign(writing: &Writing<'_>, incident: i64, step: i64, now: Time) -> Result<bool, AlertError> {
    let taken = writing
        .tx
        .prepare_cached(
            "UPDATE steps SET incident = ?1 WHERE id = ?2 AND incident IS NULL
             AND (SELECT is_full FROM incidents WHERE id = ?1) = 0",
        )?
        .execute([incident, step])?;
    if taken == 0 {
        return Ok(false);
    }
    writing
        .tx
        .prepare_cached(
            "UPDATE incidents SET steps = steps + 1, is_full = steps + 1 >= ?3, findings = findings + s.count,
                 level = max(incidents.level, s.level), first_time = min(incidents.first_time, s.first_time),
                 last_time = max(incidents.last_time, s.last_time), changed = max(changed, ?4)
             FROM (SELECT count, level, first_time, last_time FROM steps WHERE id = ?2) AS s WHERE incidents.id = ?1",
        )?
        .execute(params![incident, step, MAX_STEPS_PER_INCIDENT, now.micros()])?;
    Ok(true)
}

/// Brings everything into the incident that a step, just put into it, links.
fn gather(
    writing: &Writing<'_>,
    mut incident: i64,
    first: &Step,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let mut near = writing.tx.prepare_cached(
        "SELECT s.id, s.hour, s.incident FROM step_entities e JOIN steps s ON s.id = e.step
         WHERE e.entity = ?1 AND e.hour BETWEEN ?2 AND ?3 AND s.sealed = 0 AND s.void = 0 AND s.incident IS NOT ?4
         ORDER BY s.hour, s.first_time, s.entities",
    )?;
    let mut looked_at: HashMap<i64, (i64, i64)> = HashMap::new();
    let mut others = BTreeSet::new();
    let mut queue = VecDeque::from([(first.hour, first.entities.clone())]);
    'steps: while let Some((hour, entities)) = queue.pop_front() {
        let (from, to) = writing.risk.window(hour);
        for entity in &entities {
            let seen = looked_at.get(entity).copied();
            if seen == Some((from, to)) || is_hub(writing.tx, writing.risk, *entity, hour)? {
                continue;
            }
            looked_at.insert(*entity, (from, to));
            let found: Vec<(i64, i64, Option<i64>)> = near
                .query_map([*entity, from, to, incident], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            for (at, (id, hour, of)) in found.iter().enumerate() {
                match of {
                    Some(other) => {
                        others.insert(*other);
                    }
                    None if assign(writing, incident, *id, now)? => {
                        queue.push_back((*hour, entities_of(writing.tx, *id)?));
                    }
                    None => {
                        note_cut(writing, "steps_of_incident", (found.len() - at) as u64)?;
                        break 'steps;
                    }
                }
            }
        }
    }
    for other in others {
        incident = merge(writing, incident, other, now, recorded)?;
    }
    Ok(())
}

/// Makes two incidents one, the one with the lower number, if neither is lone and they are not too large together.
fn merge(writing: &Writing<'_>, one: i64, other: i64, now: Time, recorded: &mut Recorded) -> Result<i64, AlertError> {
    let tx = writing.tx;
    let (winner, loser) = (one.min(other), one.max(other));
    let (lone, steps): (bool, i64) = tx
        .prepare_cached("SELECT max(lone), sum(steps) FROM incidents WHERE id IN (?1, ?2)")?
        .query_row([winner, loser], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if lone {
        return Ok(one);
    }
    if steps > MAX_STEPS_PER_INCIDENT {
        note_cut(writing, "merges_of_incidents", 1)?;
        return Ok(one);
    }
    tx.prepare_cached("UPDATE steps SET incident = ?1 WHERE incident = ?2")?.execute([winner, loser])?;
    tx.prepare_cached(
        "UPDATE incidents SET steps = incidents.steps + o.steps, findings = incidents.findings + o.findings,
             pruned = incidents.pruned + o.pruned,
             is_full = incidents.steps + o.steps >= ?3, level = max(incidents.level, o.level),
             first_time = min(incidents.first_time, o.first_time), last_time = max(incidents.last_time, o.last_time),
             changed = max(incidents.changed, ?4)
         FROM (SELECT * FROM incidents WHERE id = ?2) AS o WHERE incidents.id = ?1",
    )?
    .execute(params![winner, loser, MAX_STEPS_PER_INCIDENT, now.micros()])?;
    tx.prepare_cached(
        "UPDATE incidents SET state = 'merged', merged_into = ?1, steps = 0, findings = 0, pruned = 0, changed = max(changed, ?3)
         WHERE id = ?2",
    )?
    .execute(params![winner, loser, now.micros()])?;
    // Who follows an old number arrives at once.
    tx.prepare_cached("UPDATE incidents SET merged_into = ?1 WHERE merged_into = ?2")?.execute([winner, loser])?;
    note_change(writing, winner, now, "vedette", "merged", Some(&loser.to_string()))?;
    note_change(writing, loser, now, "vedette", "merged into", Some(&winner.to_string()))?;
    merge_in_cases(writing, winner, loser, now)?;
    recorded.incidents.retain(|opened| opened.0 != loser);
    Ok(winner)
}

pub(super) fn note_change(
    writing: &Writing<'_>,
    incident: i64,
    now: Time,
    who: &str,
    what: &str,
    detail: Option<&str>,
) -> Result<(), AlertError> {
    writing
        .tx
        .prepare_cached("INSERT INTO incident_history (incident, time, who, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![incident, now.micros(), who, what, detail])?;
    Ok(())
}
