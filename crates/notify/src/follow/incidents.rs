//! What happened to incidents.

use std::collections::BTreeSet;

use vedette_alert::{
    AlertError, AlertId, Alerts, Change, Incident, IncidentDetail, IncidentId, IncidentState, TimelineStep,
};
use vedette_event::{SourceId, Time};

use super::{PAGE, Page, SourceNames};
use crate::{
    Happened, Notice, NotifyError, Subject,
    notice::reach,
    queue::{Followed, Queue},
};

/// The sources of an incident are those of its latest alerts, so many of them.
const ALERTS: usize = 32;

/// Incidents that changed after a revision.
pub(super) fn after(
    alerts: &Alerts,
    queue: &Queue,
    sources: &SourceNames,
    revision: u64,
    since: Time,
) -> Result<Option<Page>, NotifyError> {
    let changed = alerts.incidents_changed_since(revision, PAGE)?;
    let Some(last) = changed.last() else { return Ok(None) };
    let (mut notices, mut known) = (Vec::new(), Vec::new());
    for incident in &changed {
        let subject = Subject::Incident(incident.id);
        let before = queue.followed(subject)?.filter(|known| known.opened == incident.opened);
        let history = alerts.incident_history(incident.id)?;
        let (news, now_known) = news(incident, &history, before, since);
        known.push(now_known);
        // Of one that is part of another before anybody has heard of it, nobody need hear.
        let is_merged = matches!(incident.state, IncidentState::Merged(_));
        let opening = || subject.identity(incident.opened, Happened::Opened, 0);
        if news.is_empty() || (is_merged && before.is_none() && !queue.is_told(opening())?) {
            continue;
        }
        let Some(contents) = contents_of(alerts, incident)? else { continue };
        let names = source_names(alerts, &contents.timeline, sources)?;
        notices.extend(news.iter().map(|news| news.notice(incident, &contents, &names)));
    }
    Ok(Some(Page { notices, known, revision: last.revision }))
}

/// Something that happened to an incident.
#[derive(Debug, PartialEq, Eq)]
struct News<'a> {
    what: Happened,
    time: Time,
    who: Option<&'a str>,
    /// Whose it has become.
    assignee: Option<&'a str>,
}

impl News<'_> {
    fn notice(&self, incident: &Incident, contents: &IncidentDetail, sources: &[String]) -> Notice {
        let notice = Notice::of_incident(incident, contents, self.what, self.time);
        Notice {
            sources: sources.to_vec(),
            who: self.who.map(str::to_owned),
            assignee: self.assignee.map_or(notice.assignee, |name| Some(name.to_owned())),
            ..notice
        }
        .bounded()
    }
}

/// What happened to an incident since it was known so. Pure.
fn news<'a>(
    incident: &Incident,
    history: &'a [Change],
    known: Option<Followed>,
    since: Time,
) -> (Vec<News<'a>>, Followed) {
    let seen = known.map_or(0, |known| usize::try_from(known.changes).unwrap_or(usize::MAX));
    let mut news = Vec::new();
    for change in history.iter().skip(seen).filter(|change| known.is_some() || change.time >= since) {
        let assignee = change.detail.as_deref().filter(|name| change.what == "assigned" && !name.is_empty());
        let what = match change.what.as_str() {
            "opened" => Happened::Opened,
            "assigned" if assignee.is_some() => Happened::Acknowledged,
            "closed" | "merged into" => Happened::Closed,
            _ => continue,
        };
        let who = Some(change.who.as_str()).filter(|who| *who != "vedette");
        news.push(News { what, time: change.time, who, assignee });
    }
    let reach = reach(incident.tactics.len(), incident.level, incident.entities.len());
    let grown = known.is_some_and(|known| reach > known.reach);
    if grown && incident.state == IncidentState::Open {
        news.push(News { what: Happened::Grew, time: incident.changed, who: None, assignee: None });
    }
    let now_known = Followed {
        subject: Subject::Incident(incident.id),
        opened: incident.opened,
        changes: history.len() as u64,
        reach: reach.max(known.map_or(0, |known| known.reach)),
        changed: incident.changed,
    };
    (news, now_known)
}

/// The incident with all that is in it; of one that was merged, the one that has it now. None if it has just been pruned.
fn contents_of(alerts: &Alerts, incident: &Incident) -> Result<Option<IncidentDetail>, NotifyError> {
    let into = match incident.state {
        IncidentState::Merged(into) => into,
        IncidentState::Open | IncidentState::Closed(_) => incident.id,
    };
    let read = |id: IncidentId| match alerts.incident(id) {
        Ok(detail) => Ok(Some(detail)),
        Err(AlertError::NoIncident(_)) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match read(into)? {
        Some(detail) => Some(detail),
        None => read(incident.id)?,
    })
}

/// The sources of the events of an incident's latest alerts, where they are known.
fn source_names(alerts: &Alerts, timeline: &[TimelineStep], sources: &SourceNames) -> Result<Vec<String>, NotifyError> {
    let (mut looked_at, mut found) = (BTreeSet::<AlertId>::new(), BTreeSet::<SourceId>::new());
    for step in timeline.iter().rev() {
        if looked_at.len() < ALERTS && looked_at.insert(step.alert) {
            match alerts.get(step.alert) {
                Ok(detail) => found.extend(detail.hits.iter().flat_map(|hit| &hit.events).map(|event| event.source)),
                Err(AlertError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(found.into_iter().take(16).filter_map(sources).collect())
}
