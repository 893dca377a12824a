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

use rusqlite::params;
use vedette_event::Time;

use super::{
    IncidentId, calm,
    memory::Memory,
    merge_in_cases,
    steps::{Step, note_cut},
};
use crate::{AlertError, Recorded, history::Subject, history::note_change, schema::Writing};

/// An incident takes this many steps; each may be any number of findings. What goes on then can open another one.
pub const MAX_STEPS_PER_INCIDENT: i64 = 2000;

/// The incident that a step comes into, and what comes with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Joins {
    /// Everything that the step links.
    Linked(i64),
    /// Nothing: it is the one that a hub opened, or opened before it became one.
    Own(i64),
    /// The hub's other steps: it has just been opened.
    Lone { incident: i64, hub: i64 },
}

impl Joins {
    pub(super) fn incident(self) -> i64 {
        match self {
            Joins::Linked(incident) | Joins::Own(incident) | Joins::Lone { incident, .. } => incident,
        }
    }
}

/// Finds the incident of a step that is in none, opening one if an entity is over the threshold.
pub(super) fn seek(
    writing: &Writing<'_>,
    memory: &mut Memory,
    step: &Step,
    now: Time,
    recorded: &mut Recorded,
) -> Result<Option<Joins>, AlertError> {
    let mut hubs = Vec::with_capacity(step.entities.len());
    for entity in &step.entities {
        hubs.push(memory.is_hub(writing, *entity, step.hour)?);
    }
    if let Some(incident) = linked_incident(writing, memory, step, &hubs)? {
        return Ok(Some(Joins::Linked(incident)));
    }
    let mut hot_hub = None;
    for (entity, hub) in step.entities.iter().zip(hubs) {
        if hub && let Some(incident) = memory.opened_by(writing, *entity, step.hour)? {
            return Ok(Some(Joins::Own(incident)));
        }
        if hub && hot_hub.is_some() {
            continue;
        }
        if !calm::is_over(writing, memory, *entity, step)? {
            continue;
        }
        if hub {
            hot_hub = Some(*entity);
            continue;
        }
        return Ok(Some(Joins::Linked(open(writing, memory, *entity, false, now, recorded)?)));
    }
    let Some(hub) = hot_hub else { return Ok(None) };
    Ok(Some(Joins::Lone { incident: open(writing, memory, hub, true, now, recorded)?, hub }))
}

/// Brings into the incident what comes with a step that was just put into it.
pub(super) fn gather(
    writing: &Writing<'_>,
    memory: &mut Memory,
    joins: Joins,
    step: &Step,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    match joins {
        Joins::Own(_) => Ok(()),
        Joins::Linked(incident) => gather_linked(writing, memory, incident, step, now, recorded),
        Joins::Lone { incident, hub } => {
            let (_, loose) = memory.around(writing, hub, step.hour)?;
            for (at, id) in loose.iter().enumerate() {
                if !assign(writing, memory, incident, *id, now)? {
                    return note_cut(writing, "steps_of_incident", (loose.len() - at) as u64);
                }
            }
            Ok(())
        }
    }
}

/// An open incident that the step is linked with; [`gather_linked`] finds the others, if there are more.
fn linked_incident(
    writing: &Writing<'_>,
    memory: &mut Memory,
    step: &Step,
    hubs: &[bool],
) -> Result<Option<i64>, AlertError> {
    for (entity, hub) in step.entities.iter().zip(hubs) {
        if *hub {
            continue;
        }
        // The latest first.
        for id in memory.around(writing, *entity, step.hour)?.0.into_iter().rev() {
            let incident = memory.incident(writing, id)?;
            if !incident.lone && !incident.is_full {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

fn open(
    writing: &Writing<'_>,
    memory: &mut Memory,
    entity: i64,
    lone: bool,
    now: Time,
    recorded: &mut Recorded,
) -> Result<i64, AlertError> {
    writing
        .tx
        .prepare_cached(
            "INSERT INTO incidents (state, entity, lone, first_time, last_time, opened, changed, revision)
             VALUES ('open', ?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        )?
        .execute(params![entity, lone, i64::MAX, i64::MIN, now.micros(), writing.next_incidents_revision()?])?;
    let incident = writing.tx.last_insert_rowid();
    note_change(writing, Subject::Incident(incident), now, "vedette", "opened", None)?;
    memory.keep_opened(entity, incident);
    recorded.incidents.push(IncidentId(incident));
    Ok(incident)
}

/// Puts a step that is in no incident into one; false if that one is full.
pub(super) fn assign(
    writing: &Writing<'_>,
    memory: &mut Memory,
    incident: i64,
    step: i64,
    now: Time,
) -> Result<bool, AlertError> {
    if memory.incident(writing, incident)?.is_full {
        return Ok(false);
    }
    writing.tx.prepare_cached("UPDATE steps SET incident = ?1 WHERE id = ?2")?.execute([incident, step])?;
    memory.put(writing, incident, step, now)?;
    Ok(true)
}

/// Brings everything into the incident that a step, just put into it, links.
fn gather_linked(
    writing: &Writing<'_>,
    memory: &mut Memory,
    mut incident: i64,
    first: &Step,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let mut looked_at: HashMap<i64, i64> = HashMap::new();
    let mut others = BTreeSet::new();
    let mut queue = VecDeque::from([(first.hour, first.entities.clone())]);
    'steps: while let Some((hour, entities)) = queue.pop_front() {
        for entity in entities {
            if looked_at.get(&entity) == Some(&hour) || memory.is_hub(writing, entity, hour)? {
                continue;
            }
            looked_at.insert(entity, hour);
            let (incidents, loose) = memory.around(writing, entity, hour)?;
            others.extend(incidents.into_iter().filter(|other| *other != incident));
            for (at, id) in loose.iter().enumerate() {
                let Some(step) = memory.loose(*id).cloned() else { continue };
                if !assign(writing, memory, incident, *id, now)? {
                    note_cut(writing, "steps_of_incident", (loose.len() - at) as u64)?;
                    break 'steps;
                }
                queue.push_back((step.dose.hour, step.entities));
            }
        }
    }
    for other in others {
        incident = merge(writing, memory, incident, other, now, recorded)?;
    }
    Ok(())
}

/// Makes two incidents one, the one with the lower number, if neither is lone and they are not too large together.
fn merge(
    writing: &Writing<'_>,
    memory: &mut Memory,
    one: i64,
    other: i64,
    now: Time,
    recorded: &mut Recorded,
) -> Result<i64, AlertError> {
    let tx = writing.tx;
    let (winner, loser) = (one.min(other), one.max(other));
    let mut steps = 0;
    for id in [winner, loser] {
        let incident = memory.incident(writing, id)?;
        if incident.lone {
            return Ok(one);
        }
        steps += incident.steps;
    }
    if steps > MAX_STEPS_PER_INCIDENT {
        note_cut(writing, "merges_of_incidents", 1)?;
        return Ok(one);
    }
    let (level, first, last) = memory.merge(writing, winner, loser, now)?;
    tx.prepare_cached("UPDATE steps SET incident = ?1 WHERE incident = ?2")?.execute([winner, loser])?;
    tx.prepare_cached(
        "UPDATE incidents SET state = 'merged', merged_into = ?1, steps = 0, findings = 0, pruned = 0,
             level = ?4, first_time = ?5, last_time = ?6, changed = max(changed, ?3), revision = ?7 WHERE id = ?2",
    )?
    .execute(params![winner, loser, now.micros(), level, first, last, writing.next_incidents_revision()?])?;
    // Who follows an old number arrives at once.
    tx.prepare_cached("UPDATE incidents SET merged_into = ?1 WHERE merged_into = ?2")?.execute([winner, loser])?;
    let (to, from) = (Subject::Incident(winner), Subject::Incident(loser));
    note_change(writing, to, now, "vedette", "merged", Some(&loser.to_string()))?;
    note_change(writing, from, now, "vedette", "merged into", Some(&winner.to_string()))?;
    merge_in_cases(writing, winner, loser, now)?;
    recorded.incidents.retain(|opened| opened.0 != loser);
    Ok(winner)
}
