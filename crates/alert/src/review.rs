//! What people do to alerts.

use rusqlite::{OptionalExtension, params};
use vedette_event::Time;

use crate::{
    AlertError, AlertId, Alerts, State, Verdict,
    history::{Subject, note_change},
    risk,
    schema::Writing,
};

pub(crate) const MAX_NAME: usize = 256;
pub(crate) const MAX_NOTE: usize = 16 << 10;

impl Alerts {
    /// Somebody takes a new alert: it becomes theirs.
    ///
    /// # Errors
    /// If there is no such alert, or it is not new.
    pub fn acknowledge(&self, id: AlertId, by: &str, now: Time) -> Result<(), AlertError> {
        self.write(|writing| {
            let (state, assignee) = state_of(writing, id)?;
            if state != State::New {
                return Err(AlertError::Transition { id, wanted: "acknowledged", state, by: assignee });
            }
            set(writing, id, State::Acknowledged, now)?;
            assign(writing, id, Some(by))?;
            note_change(writing, Subject::Alert(id.0), now, by, "acknowledged", None)
        })
    }

    /// Gives an alert that is not closed to somebody, or to nobody.
    ///
    /// # Errors
    /// If there is no such alert, or it is closed.
    pub fn assign(&self, id: AlertId, to: Option<&str>, by: &str, now: Time) -> Result<(), AlertError> {
        check_len("the name", to.unwrap_or_default(), MAX_NAME)?;
        self.write(|writing| {
            let (state, assignee) = state_of(writing, id)?;
            if let State::Closed(_) = state {
                return Err(AlertError::Transition { id, wanted: "assigned", state, by: assignee });
            }
            set(writing, id, state, now)?;
            assign(writing, id, to)?;
            note_change(writing, Subject::Alert(id.0), now, by, "assigned", to)
        })
    }

    /// Judges an alert that is new or acknowledged. Further findings of its group open a new one. If it was a false alarm
    /// or allowed, its findings' points are taken back.
    ///
    /// # Errors
    /// If there is no such alert, it is closed already, or the note is too long.
    pub fn close(
        &self,
        id: AlertId,
        verdict: Verdict,
        by: &str,
        note: Option<&str>,
        now: Time,
    ) -> Result<(), AlertError> {
        check_len("the note", note.unwrap_or_default(), MAX_NOTE)?;
        self.write(|writing| {
            let (state, assignee) = state_of(writing, id)?;
            if let State::Closed(_) = state {
                return Err(AlertError::Transition { id, wanted: "closed", state, by: assignee });
            }
            set(writing, id, State::Closed(verdict), now)?;
            assign(writing, id, Some(by))?;
            risk::judge(writing, id.0, State::Closed(verdict))?;
            note_change(writing, Subject::Alert(id.0), now, by, "closed", Some(verdict.as_str()))?;
            match note {
                Some(note) if !note.is_empty() => write_note(writing, id, note, by, now),
                _ => Ok(()),
            }
        })
    }

    /// Makes a closed alert new again; its findings have their points again.
    ///
    /// # Errors
    /// If there is no such alert, it is not closed, or another alert of its group has been opened since.
    pub fn reopen(&self, id: AlertId, by: &str, now: Time) -> Result<(), AlertError> {
        self.write(|writing| {
            let (state, assignee) = state_of(writing, id)?;
            let State::Closed(_) = state else {
                return Err(AlertError::Transition { id, wanted: "reopened", state, by: assignee });
            };
            let open: Option<i64> = writing
                .tx
                .query_row(
                    "SELECT id FROM alerts WHERE state <> 'closed'
                         AND group_key = (SELECT group_key FROM alerts WHERE id = ?1)",
                    [id.0],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(open) = open {
                return Err(AlertError::GroupOpen { id, open: AlertId(open) });
            }
            set(writing, id, State::New, now)?;
            assign(writing, id, None)?;
            risk::judge(writing, id.0, State::New)?;
            note_change(writing, Subject::Alert(id.0), now, by, "reopened", None)
        })
    }

    /// Writes a note on an alert, in any state. The history keeps the earlier ones.
    ///
    /// # Errors
    /// If there is no such alert or the note is too long.
    pub fn note(&self, id: AlertId, note: &str, by: &str, now: Time) -> Result<(), AlertError> {
        check_len("the note", note, MAX_NOTE)?;
        self.write(|writing| {
            let (state, _) = state_of(writing, id)?;
            set(writing, id, state, now)?;
            write_note(writing, id, note, by, now)
        })
    }
}

fn state_of(writing: &Writing<'_>, id: AlertId) -> Result<(State, Option<String>), AlertError> {
    let row = writing
        .tx
        .query_row("SELECT state, verdict, assignee FROM alerts WHERE id = ?1", [id.0], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get(2)?))
        })
        .optional()?;
    let (state, verdict, assignee) = row.ok_or(AlertError::Unknown(id))?;
    Ok((State::from_row(&state, verdict.as_deref())?, assignee))
}

fn set(writing: &Writing<'_>, id: AlertId, state: State, now: Time) -> Result<(), AlertError> {
    writing.tx.execute(
        "UPDATE alerts SET revision = ?2, state = ?3, verdict = ?4, changed = max(changed, ?5) WHERE id = ?1",
        params![id.0, writing.next_revision()?, state.as_str(), state.verdict().map(Verdict::as_str), now.micros()],
    )?;
    Ok(())
}

fn assign(writing: &Writing<'_>, id: AlertId, to: Option<&str>) -> Result<(), AlertError> {
    writing.tx.execute("UPDATE alerts SET assignee = ?2 WHERE id = ?1", params![id.0, to])?;
    Ok(())
}

fn write_note(writing: &Writing<'_>, id: AlertId, note: &str, by: &str, now: Time) -> Result<(), AlertError> {
    writing.tx.execute("UPDATE alerts SET note = ?2 WHERE id = ?1", params![id.0, note])?;
    note_change(writing, Subject::Alert(id.0), now, by, "noted", Some(note))
}

pub(crate) fn check_len(what: &'static str, text: &str, limit: usize) -> Result<(), AlertError> {
    if text.len() > limit {
        return Err(AlertError::TooLong { what, bytes: text.len(), limit });
    }
    Ok(())
}
