//! Reading incidents and their time lines.

use std::{fmt, str::FromStr};

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use vedette_event::{Entity, Level, RuleRef, Time};

use super::{RISK_KINDS, points};
use crate::{
    AlertError, AlertId, Alerts, Change, MAX_PAGE, Sort, Verdict,
    history::{self, Subject},
    list::{level_from, to_i64},
    model::rfc3339,
};

/// An incident in a list shows this many of its entities, those with the most findings.
pub const MAX_ENTITIES_SHOWN: usize = 64;
/// An incident's number: stable, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub i64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IncidentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(id) if id > 0 => Ok(IncidentId(id)),
            _ => Err(format!("`{text}` is not an incident's number, for example 17")),
        }
    }
}

/// Where an incident is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncidentState {
    /// It takes further findings.
    Open,
    /// Somebody has judged it.
    Closed(Verdict),
    /// It came to be linked with another incident, which has all that was in it.
    Merged(IncidentId),
}

impl IncidentState {
    /// Its name, alone.
    pub const fn name(self) -> IncidentStateName {
        match self {
            IncidentState::Open => IncidentStateName::Open,
            IncidentState::Closed(_) => IncidentStateName::Closed,
            IncidentState::Merged(_) => IncidentStateName::Merged,
        }
    }
}

impl Serialize for IncidentState {
    /// As the fields `state`, `verdict` and `merged_into`, which [`Incident`] has among its own.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (verdict, into) = match self {
            IncidentState::Open => (None, None),
            IncidentState::Closed(verdict) => (Some(verdict), None),
            IncidentState::Merged(into) => (None, Some(into)),
        };
        let mut fields = serializer.serialize_struct("IncidentState", 3)?;
        fields.serialize_field("state", self.name().as_str())?;
        fields.serialize_field("verdict", &verdict)?;
        fields.serialize_field("merged_into", &into)?;
        fields.end()
    }
}

/// An incident's state without more, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentStateName {
    /// See [`IncidentState::Open`].
    Open,
    /// See [`IncidentState::Closed`].
    Closed,
    /// See [`IncidentState::Merged`].
    Merged,
}

impl IncidentStateName {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            IncidentStateName::Open => "open",
            IncidentStateName::Closed => "closed",
            IncidentStateName::Merged => "merged",
        }
    }
}

impl FromStr for IncidentStateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [IncidentStateName::Open, IncidentStateName::Closed, IncidentStateName::Merged]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not an incident's state: open, closed or merged"))
    }
}

/// Which incidents, in which order, which page. The default is the newest 100 that are open or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentFilter {
    /// In one of these states; empty means any.
    pub states: Vec<IncidentStateName>,
    /// With a finding of this level or worse.
    pub min_level: Option<Level>,
    /// Naming this entity, of any kind.
    pub entity: Option<String>,
    /// Of that kind: one of [`RISK_KINDS`].
    pub entity_kind: Option<String>,
    /// Given to this person.
    pub assignee: Option<String>,
    /// With findings of this alert.
    pub alert: Option<AlertId>,
    /// With findings at or after this event time.
    pub from: Option<Time>,
    /// With findings before this event time.
    pub to: Option<Time>,
    /// The order.
    pub sort: Sort,
    /// Skip so many.
    pub offset: usize,
    /// At most so many; capped at [`MAX_PAGE`].
    pub limit: usize,
}

impl Default for IncidentFilter {
    fn default() -> Self {
        IncidentFilter {
            states: vec![IncidentStateName::Open, IncidentStateName::Closed],
            min_level: None,
            entity: None,
            entity_kind: None,
            assignee: None,
            alert: None,
            from: None,
            to: None,
            sort: Sort::Newest,
            offset: 0,
            limit: 100,
        }
    }
}

/// Findings that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Counts up over all incidents with every change, but for what retention takes from it; see
    /// [`Alerts::incidents_changed_since`]. 0 if it last changed before version 6 of the file. Not in its JSON.
    #[serde(skip)]
    pub revision: u64,
    /// Where it is on its way.
    #[serde(flatten)]
    pub state: IncidentState,
    /// Whose it is.
    pub assignee: Option<String>,
    /// The entity whose points opened it.
    pub entity: Entity,
    /// The entities that its findings name, those with the most findings first; at most [`MAX_ENTITIES_SHOWN`].
    pub entities: Vec<Entity>,
    /// True if there are more.
    pub entities_truncated: bool,
    /// The worst level of its findings.
    pub level: Level,
    /// The ATT&CK tactics of its findings.
    pub tactics: Vec<&'static str>,
    /// Number of findings.
    pub findings: u64,
    /// Of these, those that the time line no longer shows, because their alerts have been pruned.
    pub pruned: u64,
    /// Rows of its time line; at most [`MAX_STEPS_PER_INCIDENT`](super::MAX_STEPS_PER_INCIDENT).
    pub steps: u64,
    /// True if it takes no further steps.
    pub is_full: bool,
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    pub first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    pub last: Time,
    /// When it was opened (the recorder's clock).
    #[serde(serialize_with = "rfc3339")]
    pub opened: Time,
    /// When it last changed (the recorder's clock).
    #[serde(serialize_with = "rfc3339")]
    pub changed: Time,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentPage {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// How many the filter lets through on all pages.
    pub total: u64,
}

/// A row of an incident's time line: the findings of one alert in one hour about the same entities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineStep {
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    pub first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    pub last: Time,
    /// The alert; it has the findings themselves.
    pub alert: AlertId,
    /// The alert's rule.
    pub rule: RuleRef,
    /// Users, hosts and addresses.
    pub entities: Vec<Entity>,
    /// Number of findings.
    pub findings: u64,
    /// True if the alert was judged to be no risk.
    pub is_void: bool,
}

/// An incident with its time line and its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncidentDetail {
    /// The incident.
    #[serde(flatten)]
    pub incident: Incident,
    /// What happened, in the order of event time.
    pub timeline: Vec<TimelineStep>,
    /// What was done to it, oldest first: `opened`, `merged`, `merged into`, `assigned`, `noted`, `closed`.
    pub history: Vec<Change>,
}

const COLUMNS: &str =
    "i.id, i.state, i.verdict, i.merged_into, e.kind, e.value, i.level, i.findings, i.steps, i.is_full,
     i.first_time, i.last_time, i.opened, i.changed, i.pruned, i.assignee, i.revision";

impl Alerts {
    /// A page of incidents.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn incidents(&self, filter: &IncidentFilter) -> Result<IncidentPage, AlertError> {
        let (condition, mut values) = condition(filter);
        let order = match filter.sort {
            Sort::Newest => "i.last_time DESC, i.id DESC",
            Sort::Worst => "i.level DESC, i.last_time DESC, i.id DESC",
        };
        self.read(|db| {
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM incidents i WHERE {condition}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.push(to_i64(filter.limit.min(MAX_PAGE)));
            values.push(to_i64(filter.offset));
            let incidents = select(db, &format!("{condition} ORDER BY {order} LIMIT ? OFFSET ?"), &values)?;
            Ok(IncidentPage { incidents, total: total.unsigned_abs() })
        })
    }

    /// One incident with its time line and its history.
    ///
    /// # Errors
    /// If there is no such incident, or the file cannot be read.
    pub fn incident(&self, id: IncidentId) -> Result<IncidentDetail, AlertError> {
        self.read(|db| {
            let incident = select(db, "i.id = ?", &[Value::Integer(id.0)])?.pop().ok_or(AlertError::NoIncident(id))?;
            let history = history::read(db, Subject::Incident(id.0))?;
            Ok(IncidentDetail { incident, timeline: timeline(db, id)?, history })
        })
    }

    /// Incidents changed after `revision`, also those that were merged, in the order of their latest change; at most
    /// `limit`. Start with 0 or with [`incidents_revision`](Self::incidents_revision), go on with the last one's `revision`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn incidents_changed_since(&self, revision: u64, limit: usize) -> Result<Vec<Incident>, AlertError> {
        let revision = Value::Integer(i64::try_from(revision).unwrap_or(i64::MAX));
        let limit = to_i64(limit.min(MAX_PAGE));
        self.read(|db| select(db, "i.revision > ? ORDER BY i.revision LIMIT ?", &[revision, limit]))
    }

    /// What was done to an incident, oldest first; nothing if there is no such incident.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn incident_history(&self, id: IncidentId) -> Result<Vec<Change>, AlertError> {
        self.read(|db| history::read(db, Subject::Incident(id.0)))
    }
}

fn condition(filter: &IncidentFilter) -> (String, Vec<Value>) {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    if !filter.states.is_empty() {
        // Names out of a fixed list, not text from outside.
        let names: Vec<String> = filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        parts.push(format!("i.state IN ({})", names.join(", ")));
    }
    let mut part = |sql: &str, bound: &[Value]| {
        parts.push(sql.to_owned());
        values.extend_from_slice(bound);
    };
    if let Some(level) = filter.min_level {
        part("i.level >= ?", &[Value::Integer(level as i64)]);
    }
    if let Some(entity) = &filter.entity {
        // Each kind by itself, for which there is an index.
        let kinds = RISK_KINDS.map(|kind| format!("'{kind}'")).join(", ");
        part(
            &format!(
                "i.id IN (SELECT s.incident FROM step_entities e JOIN steps s ON s.id = e.step
                     WHERE e.entity IN (SELECT id FROM risk_entities WHERE kind IN ({kinds}) AND value = ?
                         AND kind = coalesce(?, kind)))"
            ),
            &[Value::Text(entity.clone()), filter.entity_kind.clone().into()],
        );
    } else if let Some(kind) = &filter.entity_kind {
        part(
            "i.id IN (SELECT s.incident FROM risk_entities r JOIN step_entities e ON e.entity = r.id
                 JOIN steps s ON s.id = e.step WHERE r.kind = ?)",
            &[Value::Text(kind.clone())],
        );
    }
    if let Some(assignee) = &filter.assignee {
        part("i.assignee = ?", &[Value::Text(assignee.clone())]);
    }
    if let Some(alert) = filter.alert {
        part("i.id IN (SELECT incident FROM steps WHERE alert = ?)", &[Value::Integer(alert.0)]);
    }
    if let Some(from) = filter.from {
        part("i.last_time >= ?", &[Value::Integer(from.micros())]);
    }
    if let Some(to) = filter.to {
        part("i.first_time < ?", &[Value::Integer(to.micros())]);
    }
    (parts.join(" AND "), values)
}

fn select(db: &Connection, condition: &str, values: &[Value]) -> Result<Vec<Incident>, AlertError> {
    let sql = format!("SELECT {COLUMNS} FROM incidents i JOIN risk_entities e ON e.id = i.entity WHERE {condition}");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut incidents = Vec::new();
    while let Some(row) = rows.next()? {
        let mut incident = incident(row)?;
        incident.entities = entities(db, incident.id)?;
        incident.entities_truncated = incident.entities.len() > MAX_ENTITIES_SHOWN;
        incident.entities.truncate(MAX_ENTITIES_SHOWN);
        incident.tactics = points::tactic_names(tactics(db, incident.id)?);
        incidents.push(incident);
    }
    Ok(incidents)
}

fn incident(row: &Row<'_>) -> Result<Incident, AlertError> {
    let time = |at| Ok::<_, rusqlite::Error>(Time::from_micros(row.get(at)?));
    let count = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
    let (state, verdict, into): (String, Option<String>, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let state = match (state.as_str(), verdict.as_deref().map(str::parse), into) {
        ("open", None, None) => IncidentState::Open,
        ("closed", Some(Ok(verdict)), None) => IncidentState::Closed(verdict),
        ("merged", None, Some(into)) => IncidentState::Merged(IncidentId(into)),
        _ => return Err(AlertError::Damaged { what: "incidents.state", found: state }),
    };
    Ok(Incident {
        id: IncidentId(row.get(0)?),
        revision: count(16)?,
        state,
        assignee: row.get(15)?,
        entity: Entity { kind: row.get(4)?, value: row.get(5)? },
        entities: Vec::new(),
        entities_truncated: false,
        level: level_from(row.get(6)?)?,
        tactics: Vec::new(),
        findings: count(7)?,
        pruned: count(14)?,
        steps: count(8)?,
        is_full: row.get(9)?,
        first: time(10)?,
        last: time(11)?,
        opened: time(12)?,
        changed: time(13)?,
    })
}

/// One more than are shown, if there are.
fn entities(db: &Connection, id: IncidentId) -> Result<Vec<Entity>, AlertError> {
    let mut rows = db.prepare_cached(
        "SELECT e.kind, e.value FROM steps s JOIN json_each(s.entities) o JOIN risk_entities e ON e.id = o.value
         WHERE s.incident = ?1 GROUP BY e.id ORDER BY sum(s.count) DESC, e.kind, e.value LIMIT ?2",
    )?;
    let rows = rows
        .query_map([id.0, MAX_ENTITIES_SHOWN as i64 + 1], |row| Ok(Entity { kind: row.get(0)?, value: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn tactics(db: &Connection, id: IncidentId) -> Result<u32, AlertError> {
    let mut rows = db.prepare_cached("SELECT DISTINCT tactics FROM steps WHERE incident = ?1")?;
    let sets = rows.query_map([id.0], |row| row.get::<_, u32>(0))?;
    Ok(sets.collect::<Result<Vec<_>, _>>()?.into_iter().fold(0, |all, set| all | set))
}

fn timeline(db: &Connection, id: IncidentId) -> Result<Vec<TimelineStep>, AlertError> {
    let mut steps = db.prepare_cached(
        "SELECT s.entities, s.first_time, s.last_time, s.alert, a.rule, s.count, s.void
         FROM steps s JOIN alerts a ON a.id = s.alert WHERE s.incident = ?1",
    )?;
    let mut entities = db.prepare_cached(
        "SELECT e.kind, e.value FROM json_each(?1) o JOIN risk_entities e ON e.id = o.value ORDER BY e.kind, e.value",
    )?;
    let mut rows = steps.query([id.0])?;
    let mut timeline = Vec::new();
    while let Some(row) = rows.next()? {
        let rule: String = row.get(4)?;
        timeline.push(TimelineStep {
            first: Time::from_micros(row.get(1)?),
            last: Time::from_micros(row.get(2)?),
            alert: AlertId(row.get(3)?),
            rule: serde_json::from_str(&rule).map_err(|_| AlertError::Damaged { what: "alerts.rule", found: rule })?,
            entities: entities
                .query_map([row.get::<_, String>(0)?], |row| Ok(Entity { kind: row.get(0)?, value: row.get(1)? }))?
                .collect::<Result<_, _>>()?,
            findings: row.get::<_, i64>(5)?.unsigned_abs(),
            is_void: row.get(6)?,
        });
    }
    // The numbers in the file are of the order of arrival, which is not to be seen.
    timeline.sort_by(|a, b| {
        let place = |step: &TimelineStep| (step.first, step.last);
        place(a).cmp(&place(b)).then_with(|| (&a.rule.id, &a.entities).cmp(&(&b.rule.id, &b.entities)))
    });
    Ok(timeline)
}

/// Where an incident's findings are now: in itself, or in the one that it was merged into.
pub(crate) fn followed(db: &Connection, id: IncidentId) -> Result<IncidentId, AlertError> {
    let row = db
        .query_row("SELECT coalesce(merged_into, id) FROM incidents WHERE id = ?1", [id.0], |row| row.get(0))
        .optional()?;
    row.map(IncidentId).ok_or(AlertError::NoIncident(id))
}
