//! What verdicts, exceptions and age do to risk.

use rusqlite::{OptionalExtension, params};
use vedette_event::Time;

use super::{IncidentId, steps::hour_of};
use crate::{
    AlertError, Alerts, State, Verdict,
    history::{Subject, note_change},
    review::{MAX_NAME, MAX_NOTE, check_len},
    schema::Writing,
};

/// What [`Alerts::prune_risk`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiskPruned {
    /// Steps that were in no incident.
    pub steps: usize,
    /// Incidents, closed or merged into others, with their steps.
    pub incidents: usize,
    /// Closed cases.
    pub cases: usize,
    /// Entities of which nothing was left.
    pub entities: usize,
}

/// An alert has a new state: points of one that was a false alarm or allowed are taken back, of one reopened given back.
pub(crate) fn judge(writing: &Writing<'_>, alert: i64, state: State) -> Result<(), AlertError> {
    match state {
        State::Closed(Verdict::FalsePositive | Verdict::Benign) => take_back(writing, alert),
        State::Closed(Verdict::TruePositive) => Ok(()),
        State::New | State::Acknowledged => give_back(writing, alert),
    }
}

/// The alert's steps add no points any more and link nothing; in the incidents that have them they stay to be seen.
pub(crate) fn take_back(writing: &Writing<'_>, alert: i64) -> Result<(), AlertError> {
    set_void(writing, alert, true)
}

fn give_back(writing: &Writing<'_>, alert: i64) -> Result<(), AlertError> {
    set_void(writing, alert, false)
}

fn set_void(writing: &Writing<'_>, alert: i64, void: bool) -> Result<(), AlertError> {
    writing
        .tx
        .prepare_cached("UPDATE steps SET void = ?2 WHERE alert = ?1 AND void <> ?2")?
        .execute(params![alert, void])?;
    Ok(())
}

/// A case that had the loser has the winner.
pub(crate) fn merge_in_cases(writing: &Writing<'_>, winner: i64, loser: i64, now: Time) -> Result<(), AlertError> {
    let tx = writing.tx;
    tx.prepare_cached(
        "INSERT INTO history (case_id, time, who, what, detail)
         SELECT case_id, ?3, 'vedette', 'incidents merged', ?2 || ' into ' || ?1 FROM case_incidents WHERE incident = ?2",
    )?
    .execute(params![winner, loser, now.micros()])?;
    tx.prepare_cached(
        "INSERT OR IGNORE INTO case_incidents (case_id, incident)
         SELECT case_id, ?1 FROM case_incidents WHERE incident = ?2",
    )?
    .execute([winner, loser])?;
    tx.prepare_cached("DELETE FROM case_incidents WHERE incident = ?1")?.execute([loser])?;
    Ok(())
}

impl Alerts {
    /// Judges an incident. Its findings are spent: they add no points any more, and what happens from now on to its
    /// entities can open another incident. Its alerts are left as they are.
    ///
    /// # Errors
    /// If there is no such incident, it is not open, or the note is too long.
    pub fn close_incident(
        &self,
        id: IncidentId,
        verdict: Verdict,
        by: &str,
        note: Option<&str>,
        now: Time,
    ) -> Result<(), AlertError> {
        check_len("the note", note.unwrap_or_default(), MAX_NOTE)?;
        self.write(|writing| {
            close(writing, id, verdict, by, now)?;
            match note {
                Some(note) if !note.is_empty() => {
                    note_change(writing, Subject::Incident(id.0), now, by, "noted", Some(note))
                }
                _ => Ok(()),
            }
        })
    }

    /// Gives an incident that is open to somebody, or to nobody.
    ///
    /// # Errors
    /// If there is no such incident, it is not open, or the name is too long.
    pub fn assign_incident(&self, id: IncidentId, to: Option<&str>, by: &str, now: Time) -> Result<(), AlertError> {
        check_len("the name", to.unwrap_or_default(), MAX_NAME)?;
        self.write(|writing| {
            check_open(writing, id)?;
            writing.tx.execute(
                "UPDATE incidents SET assignee = ?2, changed = max(changed, ?3), revision = ?4 WHERE id = ?1",
                params![id.0, to, now.micros(), writing.next_incidents_revision()?],
            )?;
            note_change(writing, Subject::Incident(id.0), now, by, "assigned", to)
        })
    }

    /// Writes a note into an incident's history, in any state.
    ///
    /// # Errors
    /// If there is no such incident or the note is too long.
    pub fn note_incident(&self, id: IncidentId, note: &str, by: &str, now: Time) -> Result<(), AlertError> {
        check_len("the note", note, MAX_NOTE)?;
        self.write(|writing| {
            let sql = "UPDATE incidents SET changed = max(changed, ?2), revision = ?3 WHERE id = ?1";
            match writing.tx.execute(sql, params![id.0, now.micros(), writing.next_incidents_revision()?])? {
                0 => Err(AlertError::NoIncident(id)),
                _ => note_change(writing, Subject::Incident(id.0), now, by, "noted", Some(note)),
            }
        })
    }

    /// Deletes what is older than `before`: closed cases (by their last change), incidents that are closed or merged and
    /// in no case (by their last finding and their last change), steps in no incident (by their hour, if their alert was
    /// opened before too: an import is of old events, and new). Call it before [`prune`](Self::prune), so that closed
    /// cases no longer keep their alerts.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn prune_risk(&self, before: Time) -> Result<RiskPruned, AlertError> {
        self.write(|writing| {
            let (tx, before, hour) = (writing.tx, before.micros(), hour_of(before));
            let cases = tx.execute("DELETE FROM cases WHERE state = 'closed' AND changed < ?1", [before])?;
            let old = "SELECT id FROM incidents WHERE state <> 'open' AND max(last_time, changed) < ?1
                 AND id NOT IN (SELECT incident FROM case_incidents)
                 AND id NOT IN (SELECT merged_into FROM incidents
                     WHERE merged_into IS NOT NULL AND max(last_time, changed) >= ?1)";
            tx.execute(&format!("DELETE FROM steps WHERE incident IN ({old})"), [before])?;
            let incidents = tx.execute(&format!("DELETE FROM incidents WHERE id IN ({old})"), [before])?;
            let steps = tx.execute(
                "DELETE FROM steps WHERE incident IS NULL AND hour < ?1
                     AND (SELECT opened FROM alerts WHERE id = steps.alert) < ?2",
                [hour, before],
            )?;
            let entities = tx.execute(
                "DELETE FROM risk_entities WHERE NOT EXISTS (SELECT 1 FROM step_entities WHERE entity = risk_entities.id)
                     AND NOT EXISTS (SELECT 1 FROM incidents WHERE entity = risk_entities.id)",
                [],
            )?;
            Ok(RiskPruned { steps, incidents, cases, entities })
        })
    }
}

/// Judges an incident that is open.
pub(crate) fn close(
    writing: &Writing<'_>,
    id: IncidentId,
    verdict: Verdict,
    by: &str,
    now: Time,
) -> Result<(), AlertError> {
    check_open(writing, id)?;
    let tx = writing.tx;
    tx.execute(
        "UPDATE incidents SET state = 'closed', verdict = ?2, changed = max(changed, ?3), revision = ?4 WHERE id = ?1",
        params![id.0, verdict.as_str(), now.micros(), writing.next_incidents_revision()?],
    )?;
    tx.execute("UPDATE steps SET sealed = ?1 WHERE incident = ?1", [id.0])?;
    note_change(writing, Subject::Incident(id.0), now, by, "closed", Some(verdict.as_str()))
}

fn check_open(writing: &Writing<'_>, id: IncidentId) -> Result<(), AlertError> {
    let (state, into): (String, Option<i64>) = writing
        .tx
        .query_row("SELECT state, merged_into FROM incidents WHERE id = ?1", [id.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
        .ok_or(AlertError::NoIncident(id))?;
    match (state.as_str(), into) {
        ("open", _) => Ok(()),
        (_, Some(into)) => Err(AlertError::NotOpen { id, state: format!("merged into {into}") }),
        _ => Err(AlertError::NotOpen { id, state }),
    }
}
