//! The inbox: listing, one alert, counts, changes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};
use vedette_event::{Entity, FindingId, Level, RuleRef, Time};

use crate::{
    Alert, AlertDetail, AlertError, AlertId, Alerts, Fired, Hit, State, Verdict,
    history::{self, Subject},
};

/// A page holds at most this many alerts.
pub const MAX_PAGE: usize = 1000;

/// A state without its verdict, for filters and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// See [`State::New`].
    New,
    /// See [`State::Acknowledged`].
    Acknowledged,
    /// See [`State::Closed`].
    Closed,
}

impl StateName {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            StateName::New => "new",
            StateName::Acknowledged => "acknowledged",
            StateName::Closed => "closed",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [StateName::New, StateName::Acknowledged, StateName::Closed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a state: new, acknowledged or closed"))
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By the latest finding's event time, latest first.
    #[default]
    Newest,
    /// By level, then by time.
    Worst,
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "newest" => Ok(Sort::Newest),
            "worst" => Ok(Sort::Worst),
            _ => Err(format!("`{text}` is not an order: newest or worst")),
        }
    }
}

/// Which alerts, in which order, which page. The default is the newest 100 of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; empty means any.
    pub states: Vec<StateName>,
    /// Closed with this verdict.
    pub verdict: Option<Verdict>,
    /// Of this level or worse.
    pub min_level: Option<Level>,
    /// Of this rule (id, or title in any case).
    pub rule: Option<String>,
    /// Naming this entity, of any kind.
    pub entity: Option<String>,
    /// Of that kind.
    pub entity_kind: Option<String>,
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

impl Default for Filter {
    fn default() -> Self {
        Filter {
            states: Vec::new(),
            verdict: None,
            min_level: None,
            rule: None,
            entity: None,
            entity_kind: None,
            from: None,
            to: None,
            sort: Sort::Newest,
            offset: 0,
            limit: 100,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// How many the filter lets through on all pages.
    pub total: u64,
}

/// How many alerts there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By state and level; a pair with no alerts is absent.
    pub by: BTreeMap<(StateName, Level), u64>,
}

impl Counts {
    /// All in one state.
    pub fn state(&self, state: StateName) -> u64 {
        self.by.iter().filter(|((of, _), _)| *of == state).map(|(_, count)| count).sum()
    }

    /// All of one level that are not closed.
    pub fn open(&self, level: Level) -> u64 {
        self.by.iter().filter(|((of, at), _)| *of != StateName::Closed && *at == level).map(|(_, count)| count).sum()
    }
}

const COLUMNS: &str = "id, revision, rule, entity_kind, entity_value, entities_truncated, count, first_time, last_time,
     state, verdict, assignee, note, opened, changed";

impl Alerts {
    /// A page of alerts.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Page, AlertError> {
        let (condition, mut values) = condition(filter);
        let order = match filter.sort {
            Sort::Newest => "last_time DESC, id DESC",
            Sort::Worst => "level DESC, last_time DESC, id DESC",
        };
        self.read(|db| {
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM alerts WHERE {condition}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.push(to_i64(filter.limit.min(MAX_PAGE)));
            values.push(to_i64(filter.offset));
            let sql = format!("SELECT {COLUMNS} FROM alerts WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?");
            Ok(Page { alerts: select(db, &sql, &values)?, total: total.unsigned_abs() })
        })
    }

    /// One alert with its findings and its history.
    ///
    /// # Errors
    /// If there is no such alert, or the file cannot be read.
    pub fn get(&self, id: AlertId) -> Result<AlertDetail, AlertError> {
        self.read(|db| {
            let alerts = select(db, &format!("SELECT {COLUMNS} FROM alerts WHERE id = ?"), &[Value::Integer(id.0)])?;
            let alert = alerts.into_iter().next().ok_or(AlertError::Unknown(id))?;
            Ok(AlertDetail { alert, hits: hits(db, id)?, history: history::read(db, Subject::Alert(id.0))? })
        })
    }

    /// The alert that a finding is in, if it was recorded.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn alert_of(&self, finding: FindingId) -> Result<Option<AlertId>, AlertError> {
        self.read(|db| {
            let alert = db
                .query_row("SELECT alert FROM findings WHERE id = ?1", [crate::record::id_bytes(finding)], |row| {
                    row.get(0).map(AlertId)
                })
                .optional()?;
            Ok(alert)
        })
    }

    /// The ids of all findings of an alert, also those it no longer shows.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn findings_of(&self, id: AlertId) -> Result<Vec<FindingId>, AlertError> {
        self.read(|db| {
            let mut rows = db.prepare_cached("SELECT lower(hex(id)) FROM findings WHERE alert = ?1 ORDER BY id")?;
            let ids = rows.query_map([id.0], |row| row.get::<_, String>(0))?;
            ids.map(|id| finding_id("findings.id", &id?)).collect()
        })
    }

    /// Alerts changed after `revision`, in the order of their latest change; at most `limit`. Start with 0 or with
    /// [`revision`](Self::revision), go on with the last one's `revision`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn changed_since(&self, revision: u64, limit: usize) -> Result<Vec<Alert>, AlertError> {
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE revision > ? ORDER BY revision LIMIT ?");
        let revision = Value::Integer(i64::try_from(revision).unwrap_or(i64::MAX));
        self.read(|db| select(db, &sql, &[revision, to_i64(limit.min(MAX_PAGE))]))
    }

    /// How often each rule has fired, by its id.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn fired_by_rule(&self) -> Result<BTreeMap<String, Fired>, AlertError> {
        self.read(|db| {
            let mut rows = db.prepare_cached("SELECT rule_id, count, last_time FROM fired")?;
            let rows = rows.query_map([], |row| {
                let fired = Fired { count: row.get::<_, i64>(1)?.unsigned_abs(), last: Time::from_micros(row.get(2)?) };
                Ok((row.get(0)?, fired))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The rules of the alerts that were opened at or after a time, with how many each opened; the most first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn opened_since(&self, since: Time) -> Result<Vec<(RuleRef, u64)>, AlertError> {
        self.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT rule, count(*) AS alerts FROM alerts WHERE opened >= ?1 GROUP BY rule_id ORDER BY alerts DESC, rule_id",
            )?;
            let rows = rows.query_map([since.micros()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let mut opened = Vec::new();
            for row in rows {
                let (rule, alerts) = row?;
                let quoted = serde_json::from_str(&rule);
                let rule = quoted.map_err(|_| AlertError::Damaged { what: "alerts.rule", found: rule })?;
                opened.push((rule, alerts.unsigned_abs()));
            }
            Ok(opened)
        })
    }

    /// How many alerts there are, by state and level.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn counts(&self) -> Result<Counts, AlertError> {
        self.read(|db| {
            let mut rows = db.prepare_cached("SELECT state, level, count(*) FROM alerts GROUP BY state, level")?;
            let rows =
                rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
            let mut counts = Counts::default();
            for row in rows {
                let (state, level, count) = row?;
                let state =
                    state.parse().map_err(|_| AlertError::Damaged { what: "alerts.state", found: state.clone() })?;
                counts.by.insert((state, level_from(level)?), count.unsigned_abs());
            }
            Ok(counts)
        })
    }
}

fn condition(filter: &Filter) -> (String, Vec<Value>) {
    let mut parts = vec!["1"];
    let mut values: Vec<Value> = Vec::new();
    let states: String;
    if !filter.states.is_empty() {
        // Names out of a fixed list, not text from outside.
        let names: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
        states = format!("state IN ({})", names.join(", "));
        parts.push(&states);
    }
    if let Some(verdict) = filter.verdict {
        parts.push("verdict = ?");
        values.push(Value::Text(verdict.as_str().to_owned()));
    }
    if let Some(level) = filter.min_level {
        parts.push("level >= ?");
        values.push(Value::Integer(level as i64));
    }
    if let Some(rule) = &filter.rule {
        parts.push("(rule_id = ? OR lower(rule ->> 'title') = lower(?))");
        values.extend([Value::Text(rule.clone()), Value::Text(rule.clone())]);
    }
    if let Some(entity) = &filter.entity {
        parts.push("id IN (SELECT alert FROM entities WHERE value = ? AND kind = coalesce(?, kind))");
        values.extend([Value::Text(entity.clone()), filter.entity_kind.clone().into()]);
    } else if let Some(kind) = &filter.entity_kind {
        parts.push("id IN (SELECT alert FROM entities WHERE kind = ?)");
        values.push(Value::Text(kind.clone()));
    }
    if let Some(from) = filter.from {
        parts.push("last_time >= ?");
        values.push(Value::Integer(from.micros()));
    }
    if let Some(to) = filter.to {
        parts.push("first_time < ?");
        values.push(Value::Integer(to.micros()));
    }
    (parts.join(" AND "), values)
}

fn select(db: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Alert>, AlertError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        let mut alert = alert(row)?;
        alert.entities = entities(db, &alert)?;
        alerts.push(alert);
    }
    Ok(alerts)
}

fn alert(row: &Row<'_>) -> Result<Alert, AlertError> {
    let time = |index| Ok::<_, rusqlite::Error>(Time::from_micros(row.get(index)?));
    let rule: String = row.get("rule")?;
    let rule: RuleRef =
        serde_json::from_str(&rule).map_err(|_| AlertError::Damaged { what: "alerts.rule", found: rule })?;
    let state: String = row.get("state")?;
    let verdict: Option<String> = row.get("verdict")?;
    Ok(Alert {
        id: AlertId(row.get("id")?),
        revision: row.get::<_, i64>("revision")?.unsigned_abs(),
        rule,
        entity: Entity { kind: row.get("entity_kind")?, value: row.get("entity_value")? },
        entities: Vec::new(),
        entities_truncated: row.get("entities_truncated")?,
        count: row.get::<_, i64>("count")?.unsigned_abs(),
        first: time("first_time")?,
        last: time("last_time")?,
        state: State::from_row(&state, verdict.as_deref())?,
        assignee: row.get("assignee")?,
        note: row.get("note")?,
        opened: time("opened")?,
        changed: time("changed")?,
    })
}

fn entities(db: &Connection, alert: &Alert) -> Result<Vec<Entity>, AlertError> {
    let mut entities = vec![alert.entity.clone()];
    let mut rows = db.prepare_cached("SELECT kind, value FROM entities WHERE alert = ?1 ORDER BY kind, value")?;
    for entity in rows.query_map([alert.id.0], |row| Ok(Entity { kind: row.get(0)?, value: row.get(1)? }))? {
        let entity = entity?;
        if entity != alert.entity {
            entities.push(entity);
        }
    }
    Ok(entities)
}

fn hits(db: &Connection, id: AlertId) -> Result<Vec<Hit>, AlertError> {
    let mut rows = db.prepare_cached(
        "SELECT lower(hex(finding)), time, events, matched FROM hits WHERE alert = ?1
         ORDER BY time DESC, finding DESC",
    )?;
    let rows = rows.query_map([id.0], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    rows.map(|row| {
        let (finding, time, events, matched) = row?;
        Ok(Hit {
            finding: finding_id("hits.finding", &finding)?,
            time: Time::from_micros(time),
            events: serde_json::from_str(&events)
                .map_err(|_| AlertError::Damaged { what: "hits.events", found: events })?,
            matched: serde_json::from_str(&matched)
                .map_err(|_| AlertError::Damaged { what: "hits.matched", found: matched })?,
        })
    })
    .collect()
}

fn finding_id(what: &'static str, text: &str) -> Result<FindingId, AlertError> {
    text.parse().map_err(|_| AlertError::Damaged { what, found: text.to_owned() })
}

pub(crate) fn level_from(level: i64) -> Result<Level, AlertError> {
    Ok(match level {
        0 => Level::Informational,
        1 => Level::Low,
        2 => Level::Medium,
        3 => Level::High,
        4 => Level::Critical,
        _ => return Err(AlertError::Damaged { what: "alerts.level", found: level.to_string() }),
    })
}

pub(crate) fn to_i64(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
