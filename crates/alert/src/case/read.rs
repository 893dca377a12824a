//! Reading cases.

use rusqlite::{Connection, Row, params_from_iter, types::Value};
use vedette_event::Time;

use super::{Case, CaseDetail, CaseId, CaseState, CaseStateName, Evidence, Note, Task};
use crate::{
    AlertError, AlertId, Alerts, IncidentId, MAX_PAGE,
    history::{self, Subject},
    list::to_i64,
};

/// Which cases, which page; those that changed last come first. The default is the first 100 of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFilter {
    /// In one of these states; empty means any.
    pub states: Vec<CaseStateName>,
    /// Given to this person.
    pub assignee: Option<String>,
    /// With this incident.
    pub incident: Option<IncidentId>,
    /// With this alert, itself or in one of its incidents.
    pub alert: Option<AlertId>,
    /// Skip so many.
    pub offset: usize,
    /// At most so many; capped at [`MAX_PAGE`].
    pub limit: usize,
}

impl Default for CaseFilter {
    fn default() -> Self {
        CaseFilter { states: Vec::new(), assignee: None, incident: None, alert: None, offset: 0, limit: 100 }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePage {
    /// The cases.
    pub cases: Vec<Case>,
    /// How many the filter lets through on all pages.
    pub total: u64,
}

const COLUMNS: &str = "id, title, state, verdict, summary, assignee, opened, changed";

impl Alerts {
    /// A page of cases.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn cases(&self, filter: &CaseFilter) -> Result<CasePage, AlertError> {
        let (condition, mut values) = condition(filter);
        self.read(|db| {
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM cases WHERE {condition}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.push(to_i64(filter.limit.min(MAX_PAGE)));
            values.push(to_i64(filter.offset));
            let cases = select(db, &format!("{condition} ORDER BY changed DESC, id DESC LIMIT ? OFFSET ?"), &values)?;
            Ok(CasePage { cases, total: total.unsigned_abs() })
        })
    }

    /// One case with all that is in it.
    ///
    /// # Errors
    /// If there is no such case, or the file cannot be read.
    pub fn case(&self, id: CaseId) -> Result<CaseDetail, AlertError> {
        self.read(|db| {
            let case = select(db, "id = ?", &[Value::Integer(id.0)])?.pop().ok_or(AlertError::NoCase(id))?;
            let notes =
                rows(db, "SELECT time, author, text FROM case_notes WHERE case_id = ?1 ORDER BY id", id, |row| {
                    Ok(Note { time: Time::from_micros(row.get(0)?), author: row.get(1)?, text: row.get(2)? })
                })?;
            let sql = "SELECT id, text, done_by, done_at FROM case_tasks WHERE case_id = ?1 ORDER BY id";
            let tasks = rows(db, sql, id, |row| {
                let done_at = row.get::<_, Option<i64>>(3)?.map(Time::from_micros);
                Ok(Task { id: row.get(0)?, text: row.get(1)?, done_by: row.get(2)?, done_at })
            })?;
            let sql = "SELECT item, comment, added, added_by FROM case_evidence WHERE case_id = ?1 ORDER BY id";
            let evidence = rows(db, sql, id, |row| {
                let item: String = row.get(0)?;
                Ok(Evidence {
                    item: serde_json::from_str(&item)
                        .map_err(|_| AlertError::Damaged { what: "case_evidence.item", found: item })?,
                    comment: row.get(1)?,
                    added: Time::from_micros(row.get(2)?),
                    added_by: row.get(3)?,
                })
            })?;
            let history = history::read(db, Subject::Case(id.0))?;
            Ok(CaseDetail { case, notes, tasks, evidence, history })
        })
    }
}

fn condition(filter: &CaseFilter) -> (String, Vec<Value>) {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    if !filter.states.is_empty() {
        // Names out of a fixed list, not text from outside.
        let names: Vec<String> = filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        parts.push(format!("state IN ({})", names.join(", ")));
    }
    if let Some(assignee) = &filter.assignee {
        parts.push("assignee = ?".to_owned());
        values.push(Value::Text(assignee.clone()));
    }
    if let Some(incident) = filter.incident {
        parts.push("id IN (SELECT case_id FROM case_incidents WHERE incident = ?)".to_owned());
        values.push(Value::Integer(incident.0));
    }
    if let Some(alert) = filter.alert {
        parts.push(
            "(id IN (SELECT case_id FROM case_alerts WHERE alert = ?) OR id IN (SELECT c.case_id FROM steps s
                 JOIN case_incidents c ON c.incident = s.incident WHERE s.alert = ?))"
                .to_owned(),
        );
        values.extend([Value::Integer(alert.0), Value::Integer(alert.0)]);
    }
    (parts.join(" AND "), values)
}

fn select(db: &Connection, condition: &str, values: &[Value]) -> Result<Vec<Case>, AlertError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM cases WHERE {condition}"))?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut cases = Vec::new();
    while let Some(row) = found.next()? {
        let (state, verdict): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let state = match (state.as_str(), verdict.as_deref().map(str::parse)) {
            ("open", None) => CaseState::Open,
            ("closed", Some(Ok(verdict))) => CaseState::Closed(verdict),
            _ => return Err(AlertError::Damaged { what: "cases.state", found: state }),
        };
        let id = CaseId(row.get(0)?);
        let sql = "SELECT count(*) FROM case_tasks WHERE case_id = ?1 AND done_at IS NULL";
        let open_tasks = rows(db, sql, id, |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))?;
        cases.push(Case {
            id,
            title: row.get(1)?,
            state,
            summary: row.get(4)?,
            assignee: row.get(5)?,
            incidents: rows(
                db,
                "SELECT incident FROM case_incidents WHERE case_id = ?1 ORDER BY incident",
                id,
                |row| Ok(IncidentId(row.get(0)?)),
            )?,
            alerts: rows(db, "SELECT alert FROM case_alerts WHERE case_id = ?1 ORDER BY alert", id, |row| {
                Ok(AlertId(row.get(0)?))
            })?,
            open_tasks: open_tasks.first().copied().unwrap_or_default(),
            opened: Time::from_micros(row.get(6)?),
            changed: Time::from_micros(row.get(7)?),
        });
    }
    Ok(cases)
}

fn rows<T>(
    db: &Connection,
    sql: &str,
    id: CaseId,
    mut read: impl FnMut(&Row<'_>) -> Result<T, AlertError>,
) -> Result<Vec<T>, AlertError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([id.0])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}
