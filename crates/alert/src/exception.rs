//! Exceptions: findings of a rule that shall not become alerts, under which conditions, until when, and why.
//!
//! A finding that an exception hides is still an event, and is counted here: nothing disappears in silence.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use vedette_event::{Entity, Finding, Matched, Time};

use crate::{AlertError, Alerts, record::id_bytes, risk, schema::Writing};

const MAX_CONDITIONS: usize = 32;
const MAX_TEXT: usize = 4096;
const MAX_REASON: usize = 16 << 10;
/// Exceptions that can be in force at a time.
const MAX_EXCEPTIONS: usize = 10_000;

/// A field and the value that it must have. `*` stands for any text; case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// A matched field, or the field of an entity (`host.name`, `user.name`, `source.ip`, …).
    pub field: String,
    /// The value.
    pub value: String,
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its number.
    pub id: i64,
    /// The rule whose findings it hides.
    pub rule_id: String,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub created: Time,
    /// Until when it holds; none for ever.
    pub expires: Option<Time>,
    /// Findings that it has hidden.
    pub hidden: u64,
    /// The latest of them, by event time.
    pub last_hidden: Option<Time>,
}

/// What an exception would have hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Findings.
    pub findings: u64,
    /// Alerts of which no finding would be left.
    pub alerts: u64,
    /// Of these alerts, those that were judged to be what the rule says.
    pub true_positives: u64,
}

/// The field that an entity is known by.
fn field_of(kind: &str) -> &str {
    match kind {
        "host" => "host.name",
        "user" => "user.name",
        "ip" => "source.ip",
        "process" => "process.name",
        "file" => "file.path",
        "domain" => "url.domain",
        "source" => "vedette.source.name",
        other => other,
    }
}

impl Condition {
    fn holds(&self, matched: &[Matched], entities: &[Entity]) -> bool {
        let by_match = matched.iter().any(|found| found.field == self.field && fits(&self.value, &found.value));
        by_match
            || entities.iter().any(|entity| field_of(&entity.kind) == self.field && fits(&self.value, &entity.value))
    }
}

/// Whether a pattern with `*` fits a whole text.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn check_conditions(rule: &str, conditions: &[Condition]) -> Result<(), AlertError> {
    let wrong = |what: String| Err(AlertError::Exception(what));
    if rule.is_empty() || rule.len() > MAX_TEXT {
        return wrong("it names no rule".into());
    }
    if conditions.is_empty() {
        return wrong("without a condition it would hide the whole rule; turn the rule off instead".into());
    }
    if conditions.len() > MAX_CONDITIONS {
        return wrong(format!("more than {MAX_CONDITIONS} conditions"));
    }
    for condition in conditions {
        if condition.field.is_empty() || condition.value.is_empty() {
            return wrong("a condition needs a field and a value".into());
        }
        if condition.value.chars().all(|char| char == '*') {
            return wrong(format!("the condition on {} holds always", condition.field));
        }
        if condition.field.len() > MAX_TEXT || condition.value.len() > MAX_TEXT {
            return wrong(format!("a condition is longer than {MAX_TEXT} bytes"));
        }
    }
    Ok(())
}

fn check_reason(reason: &str) -> Result<(), AlertError> {
    let wrong = |what: String| Err(AlertError::Exception(what));
    match reason.trim().is_empty() {
        true => wrong("it needs a reason: who reads it in a year must understand".into()),
        false if reason.len() > MAX_REASON => wrong(format!("the reason is longer than {MAX_REASON} bytes")),
        false => Ok(()),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Exception> {
    let conditions: String = row.get(2)?;
    Ok(Exception {
        id: row.get(0)?,
        rule_id: row.get(1)?,
        conditions: serde_json::from_str(&conditions).unwrap_or_default(),
        reason: row.get(3)?,
        author: row.get(4)?,
        created: Time::from_micros(row.get(5)?),
        expires: row.get::<_, Option<i64>>(6)?.map(Time::from_micros),
        hidden: row.get::<_, i64>(7)?.unsigned_abs(),
        last_hidden: row.get::<_, Option<i64>>(8)?.map(Time::from_micros),
    })
}

const COLUMNS: &str = "id, rule_id, conditions, reason, author, created, expires, hidden, last_hidden";

impl Alerts {
    /// Makes an exception for what comes from now on. Alerts that are there stay, but those of which it would have hidden
    /// every finding add no points to their entities any more.
    ///
    /// # Errors
    /// It has no condition or no reason, or the file cannot be written.
    pub fn except(
        &self,
        rule: &str,
        conditions: &[Condition],
        reason: &str,
        expires: Option<Time>,
        by: &str,
        now: Time,
    ) -> Result<Exception, AlertError> {
        check_conditions(rule, conditions)?;
        check_reason(reason)?;
        if expires.is_some_and(|expires| expires <= now) {
            return Err(AlertError::Exception("it would have expired already".into()));
        }
        self.write(|writing| {
            let count: i64 = writing.tx.query_row("SELECT count(*) FROM exceptions", [], |row| row.get(0))?;
            if count as usize >= MAX_EXCEPTIONS {
                return Err(AlertError::Exception(format!("there are {MAX_EXCEPTIONS} exceptions; remove some first")));
            }
            let json = serde_json::to_string(conditions).expect("texts always have a JSON form");
            writing.tx.execute(
                "INSERT INTO exceptions (rule_id, conditions, reason, author, created, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![rule, json, reason, by, now.micros(), expires.map(Time::micros)],
            )?;
            let id = writing.tx.last_insert_rowid();
            let mut whole = Vec::new();
            each_alert(writing.tx, rule, conditions, Time::MIN, |alert, _, is_whole, _| {
                whole.extend(is_whole.then_some(alert));
            })?;
            whole.into_iter().try_for_each(|alert| risk::take_back(writing, alert))?;
            Ok(writing.tx.query_row(&format!("SELECT {COLUMNS} FROM exceptions WHERE id = ?1"), [id], read)?)
        })
    }

    /// Every exception, also those that have expired, the newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn exceptions(&self) -> Result<Vec<Exception>, AlertError> {
        self.read(|db| {
            let mut all = db.prepare_cached(&format!("SELECT {COLUMNS} FROM exceptions ORDER BY id DESC"))?;
            Ok(all.query_map([], read)?.collect::<Result<_, _>>()?)
        })
    }

    /// Takes an exception back; what it has hidden stays hidden.
    ///
    /// # Errors
    /// If there is none of that number, or the file cannot be written.
    pub fn remove_exception(&self, id: i64) -> Result<(), AlertError> {
        self.write(|writing| match writing.tx.execute("DELETE FROM exceptions WHERE id = ?1", [id])? {
            0 => Err(AlertError::NoException(id)),
            _ => Ok(()),
        })
    }

    /// What an exception would have hidden of the findings since a time that the alerts still show.
    ///
    /// # Errors
    /// It has no condition, or the file cannot be read.
    pub fn preview_exception(&self, rule: &str, conditions: &[Condition], since: Time) -> Result<Preview, AlertError> {
        check_conditions(rule, conditions)?;
        self.read(|db| {
            let mut preview = Preview::default();
            each_alert(db, rule, conditions, since, |_, hidden, is_whole, verdict| {
                preview.findings += hidden;
                preview.alerts += u64::from(is_whole);
                preview.true_positives += u64::from(is_whole && verdict == Some("true_positive"));
            })?;
            Ok(preview)
        })
    }
}

/// Tells for each alert of a rule how many of its findings since a time the conditions hold for, and whether for all.
fn each_alert(
    db: &rusqlite::Connection,
    rule: &str,
    conditions: &[Condition],
    since: Time,
    mut tell: impl FnMut(i64, u64, bool, Option<&str>),
) -> Result<(), AlertError> {
    let mut alerts =
        db.prepare_cached("SELECT id, count, verdict FROM alerts WHERE rule_id = ?1 AND last_time >= ?2")?;
    let mut entities = db.prepare_cached("SELECT kind, value FROM entities WHERE alert = ?1")?;
    let mut hits = db.prepare_cached("SELECT matched FROM hits WHERE alert = ?1 AND time >= ?2")?;
    let rows = alerts.query_map(params![rule, since.micros()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    for row in rows {
        let (alert, count, verdict) = row?;
        let entities: Vec<Entity> = entities
            .query_map([alert], |row| Ok(Entity { kind: row.get(0)?, value: row.get(1)? }))?
            .collect::<Result<_, _>>()?;
        let (mut all, mut hidden) = (0, 0);
        for matched in hits.query_map(params![alert, since.micros()], |row| row.get::<_, String>(0))? {
            let matched: Vec<Matched> = serde_json::from_str(&matched?).unwrap_or_default();
            all += 1;
            hidden += u64::from(conditions.iter().all(|condition| condition.holds(&matched, &entities)));
        }
        // Of an alert with more findings than are kept, nobody knows whether all would be hidden.
        let is_whole = hidden == all && hidden > 0 && count.unsigned_abs() == all;
        tell(alert, hidden, is_whole, verdict.as_deref());
    }
    Ok(())
}

/// Whether an exception that is in force hides a finding; it is counted then, once.
pub(crate) fn hide(writing: &Writing<'_>, finding: &Finding, now: Time) -> Result<bool, AlertError> {
    let tx = &writing.tx;
    let id = id_bytes(finding.id);
    let mut of_rule = tx.prepare_cached(
        "SELECT id, conditions FROM exceptions WHERE rule_id = ?1 AND (expires IS NULL OR expires > ?2) ORDER BY id",
    )?;
    let exceptions: Vec<(i64, String)> = of_rule
        .query_map(params![finding.rule.id, now.micros()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (exception, conditions) in exceptions {
        let conditions: Vec<Condition> = serde_json::from_str(&conditions)
            .map_err(|_| AlertError::Damaged { what: "exceptions.conditions", found: conditions.clone() })?;
        if conditions.iter().all(|condition| condition.holds(&finding.matched, &finding.entities)) {
            tx.prepare_cached("INSERT INTO hidden (finding, time) VALUES (?1, ?2)")?
                .execute(params![id, finding.time.micros()])?;
            tx.prepare_cached(
                "UPDATE exceptions SET hidden = hidden + 1, last_hidden = max(coalesce(last_hidden, ?2), ?2) WHERE id = ?1",
            )?
            .execute(params![exception, finding.time.micros()])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a finding was hidden before.
pub(crate) fn is_hidden(db: &rusqlite::Connection, finding: &[u8; 16]) -> Result<bool, AlertError> {
    let known: Option<i64> = db
        .prepare_cached("SELECT 1 FROM hidden WHERE finding = ?1")?
        .query_row([finding], |row| row.get(0))
        .optional()?;
    Ok(known.is_some())
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("root", "ROOT", true),
            ("root", "roots", false),
            ("10.0.*", "10.0.0.7", true),
            ("*\\backup.exe", "C:\\tools\\backup.exe", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
