//! What people do to cases.

use rusqlite::{OptionalExtension, params};
use vedette_event::Time;

use super::{Bundle, CaseId, EvidenceItem};
use crate::{
    AlertError, AlertId, Alerts, IncidentId, Verdict,
    history::{self, Subject},
    record::to_json,
    review::{MAX_NAME, MAX_NOTE, check_len},
    risk,
    schema::Writing,
};

/// There can be this many cases.
pub const MAX_CASES: i64 = 100_000;
/// A case can have this many notes, tasks, pieces of evidence, incidents and alerts, of each.
pub const MAX_PER_CASE: i64 = 1000;
/// And a history of so many lines: people do not get there, a script that has gone wrong does.
const MAX_HISTORY: u64 = 20_000;
const MAX_TITLE: usize = 1024;
const MAX_FILE_NAME: usize = 255;

impl Alerts {
    /// Opens a case.
    ///
    /// # Errors
    /// If it has no title, a text is too long, there are too many, or the file cannot be written.
    pub fn open_case(&self, title: &str, by: &str, now: Time) -> Result<CaseId, AlertError> {
        check_text("a title", title, MAX_TITLE)?;
        self.write(|writing| {
            let count: i64 = writing.tx.query_row("SELECT count(*) FROM cases", [], |row| row.get(0))?;
            if count >= MAX_CASES {
                return Err(AlertError::Case(format!("there are {MAX_CASES} of them; prune the closed ones first")));
            }
            writing.tx.execute(
                "INSERT INTO cases (title, state, opened, changed) VALUES (?1, 'open', ?2, ?2)",
                params![title, now.micros()],
            )?;
            let id = CaseId(writing.tx.last_insert_rowid());
            note_change(writing, id, now, by, "opened", Some(title))?;
            Ok(id)
        })
    }

    /// Gives a case another title.
    ///
    /// # Errors
    /// If there is no such case, it is closed, or it has no title or one that is too long.
    pub fn rename_case(&self, id: CaseId, title: &str, by: &str, now: Time) -> Result<(), AlertError> {
        check_text("a title", title, MAX_TITLE)?;
        self.change_case(id, by, now, "renamed", Some(title), |writing| {
            writing.tx.execute("UPDATE cases SET title = ?2 WHERE id = ?1", params![id.0, title])?;
            Ok(())
        })
    }

    /// Gives a case to somebody, or to nobody.
    ///
    /// # Errors
    /// If there is no such case, it is closed, or the name is too long.
    pub fn assign_case(&self, id: CaseId, to: Option<&str>, by: &str, now: Time) -> Result<(), AlertError> {
        check_len("the name", to.unwrap_or_default(), MAX_NAME)?;
        self.change_case(id, by, now, "assigned", to, |writing| {
            writing.tx.execute("UPDATE cases SET assignee = ?2 WHERE id = ?1", params![id.0, to])?;
            Ok(())
        })
    }

    /// Adds a note, also to a case that is closed.
    ///
    /// # Errors
    /// If there is no such case, the note is empty or too long, or there are too many.
    pub fn note_case(&self, id: CaseId, text: &str, by: &str, now: Time) -> Result<(), AlertError> {
        check_text("a note", text, MAX_NOTE)?;
        self.write(|writing| {
            is_closed(writing, id)?;
            check_room(writing, id, "case_notes")?;
            writing.tx.execute(
                "INSERT INTO case_notes (case_id, time, author, text) VALUES (?1, ?2, ?3, ?4)",
                params![id.0, now.micros(), by, text],
            )?;
            note_change(writing, id, now, by, "noted", None)
        })
    }

    /// Adds a task; returns its number.
    ///
    /// # Errors
    /// If there is no such case, it is closed, the text is empty or too long, or there are too many.
    pub fn add_task(&self, id: CaseId, text: &str, by: &str, now: Time) -> Result<i64, AlertError> {
        check_text("a task", text, MAX_TITLE)?;
        self.change_case(id, by, now, "task added", Some(text), |writing| {
            check_room(writing, id, "case_tasks")?;
            writing.tx.execute("INSERT INTO case_tasks (case_id, text) VALUES (?1, ?2)", params![id.0, text])?;
            Ok(writing.tx.last_insert_rowid())
        })
    }

    /// Says that a task is done, or after all not. A task that is so already stays as it is, with who did it.
    ///
    /// # Errors
    /// If there is no such case or task, or the case is closed.
    pub fn set_task(&self, id: CaseId, task: i64, done: bool, by: &str, now: Time) -> Result<(), AlertError> {
        self.write(|writing| {
            check_open(writing, id)?;
            let (text, was_done): (String, bool) = writing
                .tx
                .query_row(
                    "SELECT text, done_at IS NOT NULL FROM case_tasks WHERE case_id = ?1 AND id = ?2",
                    [id.0, task],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?
                .ok_or(AlertError::NoTask { case: id, task })?;
            if done == was_done {
                return Ok(());
            }
            let (who, when) = (done.then_some(by), done.then_some(now.micros()));
            writing
                .tx
                .execute("UPDATE case_tasks SET done_by = ?2, done_at = ?3 WHERE id = ?1", params![task, who, when])?;
            note_change(writing, id, now, by, if done { "task done" } else { "task undone" }, Some(&text))
        })
    }

    /// Adds evidence. What is there already stays as it is.
    ///
    /// # Errors
    /// If there is no such case, it is closed, a bundle's name or hash is none, or there is too much.
    pub fn add_evidence(
        &self,
        id: CaseId,
        item: &EvidenceItem,
        comment: Option<&str>,
        by: &str,
        now: Time,
    ) -> Result<(), AlertError> {
        check_len("the comment", comment.unwrap_or_default(), MAX_NOTE)?;
        if let EvidenceItem::Bundle(bundle) = item {
            check_bundle(bundle)?;
        }
        let json = to_json(item);
        self.write(|writing| {
            check_open(writing, id)?;
            let sql = "SELECT 1 FROM case_evidence WHERE case_id = ?1 AND item = ?2";
            if writing.tx.prepare(sql)?.exists(params![id.0, json])? {
                return Ok(());
            }
            check_room(writing, id, "case_evidence")?;
            writing.tx.execute(
                "INSERT INTO case_evidence (case_id, item, comment, added, added_by) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id.0, json, comment, now.micros(), by],
            )?;
            note_change(writing, id, now, by, "evidence added", Some(&json))
        })
    }

    /// Puts an incident into a case, or the one that it was merged into; true if it was not there.
    ///
    /// # Errors
    /// If there is no such case or incident, the case is closed, or has too many.
    pub fn add_incident_to_case(
        &self,
        id: CaseId,
        incident: IncidentId,
        by: &str,
        now: Time,
    ) -> Result<bool, AlertError> {
        self.write(|writing| {
            let incident = risk::followed(writing.tx, incident)?;
            add_member(writing, id, "incident", incident.0, by, now)
        })
    }

    /// Takes an incident out of a case; true if it was there.
    ///
    /// # Errors
    /// If there is no such case, or it is closed.
    pub fn remove_incident_from_case(
        &self,
        id: CaseId,
        incident: IncidentId,
        by: &str,
        now: Time,
    ) -> Result<bool, AlertError> {
        self.write(|writing| remove_member(writing, id, "incident", incident.0, by, now))
    }

    /// Puts an alert into a case; true if it was not there.
    ///
    /// # Errors
    /// If there is no such case or alert, the case is closed, or has too many.
    pub fn add_alert_to_case(&self, id: CaseId, alert: AlertId, by: &str, now: Time) -> Result<bool, AlertError> {
        self.write(|writing| match writing.tx.prepare("SELECT 1 FROM alerts WHERE id = ?1")?.exists([alert.0])? {
            true => add_member(writing, id, "alert", alert.0, by, now),
            false => Err(AlertError::Unknown(alert)),
        })
    }

    /// Takes an alert out of a case; true if it was there.
    ///
    /// # Errors
    /// If there is no such case, or it is closed.
    pub fn remove_alert_from_case(&self, id: CaseId, alert: AlertId, by: &str, now: Time) -> Result<bool, AlertError> {
        self.write(|writing| remove_member(writing, id, "alert", alert.0, by, now))
    }

    /// Judges a case, and with the same verdict its incidents that are open. Its alerts are left as they are.
    ///
    /// # Errors
    /// If there is no such case, it is closed, or the summary is empty or too long.
    pub fn close_case(
        &self,
        id: CaseId,
        verdict: Verdict,
        summary: &str,
        by: &str,
        now: Time,
    ) -> Result<(), AlertError> {
        check_text("a summary", summary, MAX_NOTE)?;
        self.write(|writing| {
            check_open(writing, id)?;
            let open: Vec<i64> = writing
                .tx
                .prepare(
                    "SELECT c.incident FROM case_incidents c JOIN incidents i ON i.id = c.incident
                     WHERE c.case_id = ?1 AND i.state = 'open' ORDER BY i.id",
                )?
                .query_map([id.0], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for incident in open {
                risk::close(writing, IncidentId(incident), verdict, by, now)?;
            }
            writing.tx.execute(
                "UPDATE cases SET state = 'closed', verdict = ?2, summary = ?3 WHERE id = ?1",
                params![id.0, verdict.as_str(), summary],
            )?;
            note_change(writing, id, now, by, "closed", Some(&format!("{verdict}: {summary}")))
        })
    }

    /// Opens a closed case again. Its incidents stay judged.
    ///
    /// # Errors
    /// If there is no such case, or it is not closed.
    pub fn reopen_case(&self, id: CaseId, by: &str, now: Time) -> Result<(), AlertError> {
        self.write(|writing| {
            if !is_closed(writing, id)? {
                return Err(AlertError::CaseState { id, closed: false });
            }
            writing.tx.execute("UPDATE cases SET state = 'open', verdict = NULL WHERE id = ?1", [id.0])?;
            note_change(writing, id, now, by, "reopened", None)
        })
    }

    /// Changes a case that is open, and says so in its history.
    fn change_case<T>(
        &self,
        id: CaseId,
        by: &str,
        now: Time,
        what: &str,
        detail: Option<&str>,
        change: impl FnOnce(&Writing<'_>) -> Result<T, AlertError>,
    ) -> Result<T, AlertError> {
        self.write(|writing| {
            check_open(writing, id)?;
            let changed = change(writing)?;
            note_change(writing, id, now, by, what, detail)?;
            Ok(changed)
        })
    }
}

/// `kind` is `incident` or `alert`: the column's name, and in the plural the end of the table's.
fn add_member(
    writing: &Writing<'_>,
    id: CaseId,
    kind: &str,
    member: i64,
    by: &str,
    now: Time,
) -> Result<bool, AlertError> {
    check_open(writing, id)?;
    let table = format!("case_{kind}s");
    let sql = format!("SELECT 1 FROM {table} WHERE case_id = ?1 AND {kind} = ?2");
    if writing.tx.prepare(&sql)?.exists([id.0, member])? {
        return Ok(false);
    }
    check_room(writing, id, &table)?;
    writing.tx.execute(&format!("INSERT INTO {table} (case_id, {kind}) VALUES (?1, ?2)"), [id.0, member])?;
    note_change(writing, id, now, by, &format!("{kind} added"), Some(&member.to_string()))?;
    Ok(true)
}

fn remove_member(
    writing: &Writing<'_>,
    id: CaseId,
    kind: &str,
    member: i64,
    by: &str,
    now: Time,
) -> Result<bool, AlertError> {
    check_open(writing, id)?;
    let sql = format!("DELETE FROM case_{kind}s WHERE case_id = ?1 AND {kind} = ?2");
    if writing.tx.execute(&sql, [id.0, member])? == 0 {
        return Ok(false);
    }
    note_change(writing, id, now, by, &format!("{kind} removed"), Some(&member.to_string()))?;
    Ok(true)
}

fn is_closed(writing: &Writing<'_>, id: CaseId) -> Result<bool, AlertError> {
    let state: Option<String> =
        writing.tx.query_row("SELECT state FROM cases WHERE id = ?1", [id.0], |row| row.get(0)).optional()?;
    Ok(state.ok_or(AlertError::NoCase(id))? == "closed")
}

fn check_open(writing: &Writing<'_>, id: CaseId) -> Result<(), AlertError> {
    if is_closed(writing, id)? {
        return Err(AlertError::CaseState { id, closed: true });
    }
    Ok(())
}

fn check_room(writing: &Writing<'_>, id: CaseId, table: &str) -> Result<(), AlertError> {
    let sql = format!("SELECT count(*) FROM {table} WHERE case_id = ?1");
    let count: i64 = writing.tx.query_row(&sql, [id.0], |row| row.get(0))?;
    if count >= MAX_PER_CASE {
        let what = table.trim_start_matches("case_");
        return Err(AlertError::Case(format!("case {id} has {MAX_PER_CASE} {what}, which is as many as it can have")));
    }
    Ok(())
}

fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), AlertError> {
    if text.trim().is_empty() {
        return Err(AlertError::Case(format!("{what} is needed")));
    }
    check_len(what, text, limit)
}

fn check_bundle(bundle: &Bundle) -> Result<(), AlertError> {
    check_text("a bundle's name", &bundle.name, MAX_FILE_NAME)?;
    if bundle.name.contains(['/', '\\', '\0']) {
        return Err(AlertError::Case(format!("`{}` is not a file's name without folders", bundle.name.escape_debug())));
    }
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if bundle.blake3.len() != 64 || !bundle.blake3.bytes().all(is_hex) {
        return Err(AlertError::Case("a bundle's hash has 64 hexadecimal digits in lower case".to_owned()));
    }
    Ok(())
}

/// Writes a line of a case's history, if it does not have too many.
fn note_change(
    writing: &Writing<'_>,
    id: CaseId,
    now: Time,
    who: &str,
    what: &str,
    detail: Option<&str>,
) -> Result<(), AlertError> {
    let subject = Subject::Case(id.0);
    if history::len(writing.tx, subject)? >= MAX_HISTORY && what != "closed" {
        return Err(AlertError::Case(format!("case {id} has changed {MAX_HISTORY} times; open another one")));
    }
    writing.tx.execute("UPDATE cases SET changed = max(changed, ?2) WHERE id = ?1", params![id.0, now.micros()])?;
    history::note_change(writing, subject, now, who, what, detail)
}
