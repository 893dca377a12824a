//! Findings become alerts.

use rusqlite::{OptionalExtension, params};
use vedette_event::{Entity, EventId, Finding, FindingId, Matched, Time};

use crate::{
    AlertError, AlertId, Alerts, IncidentId, exception, group,
    history::{Subject, note_change},
    risk::{self, Memory},
    schema::Writing,
};

/// An alert shows this many of its latest findings.
pub const MAX_HITS: usize = 100;
/// An alert keeps this many entities.
pub const MAX_ENTITIES: usize = 64;
const MAX_EVENTS_PER_HIT: usize = 100;
const MAX_MATCHED_PER_HIT: usize = 64;
const MAX_TEXT: usize = 4096;

/// A finding and where it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The host its events name; groups findings without an entity.
    pub host: Option<&'a str>,
    /// The source its events came from; groups findings without entity and host.
    pub source: Option<&'a str>,
}

impl<'a> From<&'a Finding> for Sighting<'a> {
    fn from(finding: &'a Finding) -> Self {
        Sighting { finding, host: None, source: None }
    }
}

/// What a call of [`Alerts::record`] changed. An alert is in one of its two lists at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Alerts that this call opened.
    pub opened: Vec<AlertId>,
    /// Alerts that were open and took a further finding.
    pub updated: Vec<AlertId>,
    /// Incidents that this call opened, but for those that it also merged into others.
    pub incidents: Vec<IncidentId>,
}

impl Recorded {
    /// True if every finding was known.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.updated.is_empty()
    }
}

impl Alerts {
    /// Puts findings into their alerts, in one transaction. `now` is when this happens.
    ///
    /// A finding that was recorded before changes nothing, whatever became of its alert. The result does not depend
    /// on the order of the findings, except for the numbers of the alerts and incidents that they open.
    ///
    /// # Errors
    /// If the file cannot be written; then nothing was recorded.
    pub fn record(&self, sightings: &[Sighting<'_>], now: Time) -> Result<Recorded, AlertError> {
        if sightings.is_empty() {
            return Ok(Recorded::default());
        }
        self.write_remembering(|writing, memory| {
            let mut recorded = Recorded::default();
            for sighting in sightings {
                record_one(writing, memory, sighting, now, &mut recorded)?;
            }
            Ok(recorded)
        })
    }

    /// True if the finding was recorded.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn has(&self, finding: FindingId) -> Result<bool, AlertError> {
        self.read(|db| {
            let id = id_bytes(finding);
            let mut known = db.prepare_cached("SELECT 1 FROM findings WHERE id = ?1")?;
            Ok(known.exists([id])? || exception::is_hidden(db, &id)?)
        })
    }

    /// Deletes closed alerts whose last finding and last change are older than `before`, with their findings and history;
    /// returns how many. Findings so forgotten would open new alerts if they were recorded again. What a case has, itself or in
    /// its incidents, is kept; other incidents lose these findings from their time lines, and say how many.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn prune(&self, before: Time) -> Result<usize, AlertError> {
        let old = "SELECT id FROM alerts WHERE state = 'closed' AND max(last_time, changed) < ?1
             AND id NOT IN (SELECT alert FROM case_alerts)
             AND id NOT IN (SELECT s.alert FROM case_incidents c JOIN steps s ON s.incident = c.incident)";
        self.write(|writing| {
            let gone = format!(
                "UPDATE incidents SET steps = incidents.steps - gone.steps, pruned = pruned + gone.findings
                 FROM (SELECT incident, count(*) AS steps, sum(count) AS findings FROM steps
                       WHERE incident IS NOT NULL AND alert IN ({old}) GROUP BY incident) AS gone
                 WHERE incidents.id = gone.incident"
            );
            writing.tx.execute(&gone, [before.micros()])?;
            Ok(writing.tx.execute(&format!("DELETE FROM alerts WHERE id IN ({old})"), [before.micros()])?)
        })
    }
}

fn record_one(
    writing: &Writing<'_>,
    memory: &mut Memory,
    sighting: &Sighting<'_>,
    now: Time,
    recorded: &mut Recorded,
) -> Result<(), AlertError> {
    let (tx, finding) = (&writing.tx, sighting.finding);
    let id = id_bytes(finding.id);
    if tx.prepare_cached("SELECT 1 FROM findings WHERE id = ?1")?.exists([&id])? || exception::is_hidden(tx, &id)? {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO fired (rule_id, count, last_time) VALUES (?1, 1, ?2)
         ON CONFLICT DO UPDATE SET count = count + 1, last_time = max(last_time, excluded.last_time)",
    )?
    .execute(params![finding.rule.id, finding.time.micros()])?;
    if exception::hide(writing, finding, now)? {
        return Ok(());
    }
    let entity = cut_entity(&group::entity(finding, sighting.host, sighting.source));
    let key = group::key(&finding.rule.id, &entity);
    let open: Option<i64> = tx
        .prepare_cached("SELECT id FROM alerts WHERE group_key = ?1 AND state <> 'closed'")?
        .query_row([&key], |row| row.get(0))
        .optional()?;
    let alert = match open {
        Some(alert) => {
            extend(writing, alert, finding, now)?;
            let id = AlertId(alert);
            if !recorded.opened.contains(&id) && !recorded.updated.contains(&id) {
                recorded.updated.push(id);
            }
            alert
        }
        None => {
            let alert = open_alert(writing, &key, &entity, finding, now)?;
            recorded.opened.push(AlertId(alert));
            alert
        }
    };
    tx.prepare_cached("INSERT INTO findings (id, alert) VALUES (?1, ?2)")?.execute(params![id, alert])?;
    keep_hit(writing, alert, finding)?;
    keep_entities(writing, alert, &entity, finding)?;
    if writing.keeps_risk {
        risk::add(writing, memory, alert, sighting, now, recorded)?;
    }
    Ok(())
}

fn open_alert(
    writing: &Writing<'_>,
    key: &[u8; 16],
    entity: &Entity,
    finding: &Finding,
    now: Time,
) -> Result<i64, AlertError> {
    let (tx, time) = (&writing.tx, finding.time.micros());
    tx.prepare_cached(
        "INSERT INTO alerts (revision, group_key, rule_id, rule, rule_time, rule_finding, level, entity_kind,
             entity_value, count, first_time, last_time, state, opened, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?5, ?5, 'new', ?10, ?10)",
    )?
    .execute(params![
        writing.next_revision()?,
        key,
        finding.rule.id,
        rule_json(finding),
        time,
        id_bytes(finding.id),
        finding.rule.level as i64,
        entity.kind,
        entity.value,
        now.micros(),
    ])?;
    let alert = tx.last_insert_rowid();
    note_change(writing, Subject::Alert(alert), now, "vedette", "opened", None)?;
    Ok(alert)
}

fn extend(writing: &Writing<'_>, alert: i64, finding: &Finding, now: Time) -> Result<(), AlertError> {
    let (tx, time) = (&writing.tx, finding.time.micros());
    tx.prepare_cached(
        "UPDATE alerts SET revision = ?2, count = count + 1, first_time = min(first_time, ?3),
             last_time = max(last_time, ?3), changed = max(changed, ?4) WHERE id = ?1",
    )?
    .execute(params![alert, writing.next_revision()?, time, now.micros()])?;
    // The rule may have been edited in between: the latest finding's words count, in whatever order they come.
    tx.prepare_cached(
        "UPDATE alerts SET rule = ?2, level = ?3, rule_time = ?4, rule_finding = ?5
         WHERE id = ?1 AND (rule_time, rule_finding) < (?4, ?5)",
    )?
    .execute(params![alert, rule_json(finding), finding.rule.level as i64, time, id_bytes(finding.id)])?;
    Ok(())
}

fn keep_hit(writing: &Writing<'_>, alert: i64, finding: &Finding) -> Result<(), AlertError> {
    let events: Vec<EventId> = finding.events.iter().take(MAX_EVENTS_PER_HIT).copied().collect();
    let matched: Vec<Matched> = finding
        .matched
        .iter()
        .take(MAX_MATCHED_PER_HIT)
        .map(|matched| Matched { field: cut(&matched.field), value: cut(&matched.value) })
        .collect();
    writing
        .tx
        .prepare_cached("INSERT INTO hits (alert, time, finding, events, matched) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![alert, finding.time.micros(), id_bytes(finding.id), to_json(&events), to_json(&matched)])?;
    writing
        .tx
        .prepare_cached(
            "DELETE FROM hits WHERE alert = ?1 AND (time, finding) <
                 (SELECT time, finding FROM hits WHERE alert = ?1 ORDER BY time DESC, finding DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![alert, MAX_HITS as i64 - 1])?;
    Ok(())
}

/// Keeps the group's entity and of the others the first by name, so that the order of arrival does not matter.
fn keep_entities(writing: &Writing<'_>, alert: i64, group: &Entity, finding: &Finding) -> Result<(), AlertError> {
    let tx = &writing.tx;
    let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO entities (alert, kind, value) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![alert, group.kind, group.value])?;
    for entity in finding.entities.iter().map(cut_entity) {
        insert.execute(params![alert, entity.kind, entity.value])?;
    }
    let dropped = tx
        .prepare_cached(
            "DELETE FROM entities WHERE alert = ?1 AND (kind, value) IN (
                 SELECT kind, value FROM entities WHERE alert = ?1 AND NOT (kind = ?2 AND value = ?3)
                 ORDER BY kind, value LIMIT -1 OFFSET ?4)",
        )?
        .execute(params![alert, group.kind, group.value, MAX_ENTITIES as i64 - 1])?;
    if dropped > 0 {
        tx.prepare_cached("UPDATE alerts SET entities_truncated = 1 WHERE id = ?1")?.execute([alert])?;
    }
    Ok(())
}

pub(crate) fn id_bytes(finding: FindingId) -> [u8; 16] {
    let text = finding.to_string();
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
        *byte = digit(digits[0]) << 4 | digit(digits[1]);
    }
    id
}

fn rule_json(finding: &Finding) -> String {
    to_json(&finding.rule)
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("text, numbers and lists of them always have a JSON form")
}

pub(crate) fn cut_entity(entity: &Entity) -> Entity {
    Entity { kind: cut(&entity.kind), value: cut(&entity.value) }
}

/// Attackers choose these texts; the event's original keeps what is cut here.
fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}…", &text[..end])
}
