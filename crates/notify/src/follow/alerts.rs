//! What happened to alerts.

use std::collections::BTreeSet;

use vedette_alert::{AlertDetail, AlertError, Alerts, State};
use vedette_event::{SourceId, Time};

use super::{PAGE, Page, SourceNames};
use crate::{
    Happened, Notice, NotifyError, Subject,
    notice::decade,
    queue::{Followed, Queue},
};

/// Alerts that changed after a revision.
pub(super) fn after(
    alerts: &Alerts,
    queue: &Queue,
    sources: &SourceNames,
    revision: u64,
    since: Time,
) -> Result<Option<Page>, NotifyError> {
    let changed = alerts.changed_since(revision, PAGE)?;
    let Some(last) = changed.last() else { return Ok(None) };
    let (mut notices, mut known) = (Vec::new(), Vec::new());
    for alert in &changed {
        let detail = match alerts.get(alert.id) {
            Ok(detail) => detail,
            // Pruned between the two looks.
            Err(AlertError::Unknown(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let before = queue.followed(Subject::Alert(alert.id))?;
        let (news, now_known) = news(&detail, before, since, sources);
        notices.extend(news);
        known.push(now_known);
    }
    Ok(Some(Page { notices, known, revision: last.revision }))
}

/// What happened to an alert since it was known so. Pure.
fn news(detail: &AlertDetail, known: Option<Followed>, since: Time, sources: &SourceNames) -> (Vec<Notice>, Followed) {
    let alert = &detail.alert;
    let known = known.filter(|known| known.opened == alert.opened);
    let names: BTreeSet<SourceId> = detail.hits.iter().flat_map(|hit| &hit.events).map(|event| event.source).collect();
    let names: Vec<String> = names.into_iter().take(16).filter_map(sources).collect();
    let notice = |what, time| Notice { sources: names.clone(), ..Notice::of(alert, what, time) };

    let seen = known.map_or(0, |known| usize::try_from(known.changes).unwrap_or(usize::MAX));
    let mut notices = Vec::new();
    for change in detail.history.iter().skip(seen).filter(|change| known.is_some() || change.time >= since) {
        let what = match change.what.as_str() {
            "opened" => Happened::Opened,
            "acknowledged" => Happened::Acknowledged,
            "closed" => Happened::Closed,
            "reopened" => Happened::Reopened,
            _ => continue,
        };
        let verdict = change.detail.as_deref().filter(|_| what == Happened::Closed);
        notices.push(
            Notice {
                who: (change.who != "vedette").then(|| change.who.clone()),
                verdict: verdict.and_then(|verdict| verdict.parse().ok()),
                ..notice(what, change.time)
            }
            .bounded(),
        );
    }
    let grown = known.is_some_and(|known| decade(alert.count) > known.reach);
    if grown && !matches!(alert.state, State::Closed(_)) {
        notices.push(notice(Happened::Grew, alert.changed).bounded());
    }
    let now_known = Followed {
        subject: Subject::Alert(alert.id),
        opened: alert.opened,
        changes: detail.history.len() as u64,
        reach: decade(alert.count).max(known.map_or(0, |known| known.reach)),
        changed: alert.changed,
    };
    (notices, now_known)
}
