//! Following the alerts: what happened to them since we looked last, from their history.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use vedette_alert::{AlertDetail, AlertError, Alerts, State};
use vedette_event::{SourceId, Time};

use crate::{Happened, Notice, Notifier, NotifyError, notice::decade, queue::Followed};

/// The name of a source, if it is known.
pub type SourceNames = dyn Fn(SourceId) -> Option<String> + Send + Sync;

/// Alerts that are read at once.
const PAGE: usize = 100;
/// How often alerts are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// An alert that did not change for so long is forgotten; what is older is no news then.
const HORIZON: i64 = 30 * 86_400 * 1_000_000;

impl Notifier {
    /// Offers what happened to the alerts since the last call, also one of an earlier process. The first call ever
    /// begins with what happens from `now` on: alerts that are there already are no news. Blocks.
    ///
    /// # Errors
    /// If alerts or queue cannot be read or written. What was offered until then is; the next call goes on there.
    pub fn follow(&self, alerts: &Alerts, sources: &SourceNames, now: Time) -> Result<u64, NotifyError> {
        let (since, mut position) = self.queue().position(alerts.revision(), now)?;
        if alerts.revision() < position {
            tracing::warn!("the alert file was made anew: its alerts are followed from the beginning");
            position = 0;
        }
        let horizon = Time::from_micros(now.micros().saturating_sub(HORIZON));
        let mut offered = 0;
        loop {
            let page = alerts.changed_since(position, PAGE)?;
            let Some(last) = page.last() else { return Ok(offered) };
            position = last.revision;
            let (mut notices, mut known) = (Vec::new(), Vec::new());
            for alert in &page {
                let detail = match alerts.get(alert.id) {
                    Ok(detail) => detail,
                    // Pruned between the two looks.
                    Err(AlertError::Unknown(_)) => continue,
                    Err(error) => return Err(error.into()),
                };
                let before = self.queue().followed(alert.id.0)?;
                let (news, now_known) = news(&detail, before, since.max(horizon), sources);
                notices.extend(news);
                known.push(now_known);
            }
            // In this order: a crash between the two offers the same again, which changes nothing.
            offered += self.offer_all(&notices, now)?;
            self.queue().follow(&known, position, horizon)?;
        }
    }

    /// Follows the alerts until the end.
    pub async fn watch(self, alerts: Alerts, sources: Arc<SourceNames>, shutdown: CancellationToken) {
        let mut seen = None;
        let mut complaint = String::new();
        loop {
            let revision = alerts.revision();
            if seen != Some(revision) {
                let (notifier, alerts, sources) = (self.clone(), alerts.clone(), sources.clone());
                let followed =
                    tokio::task::spawn_blocking(move || notifier.follow(&alerts, &*sources, crate::notifier::now()))
                        .await;
                let error = match followed {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                match error {
                    None => {
                        seen = Some(revision);
                        complaint.clear();
                    }
                    Some(error) if error != complaint => {
                        tracing::error!("alerts are not followed, so nobody is told of them: {error}");
                        complaint = error;
                    }
                    Some(_) => {}
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
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
    let grown = known.is_some_and(|known| decade(alert.count) > known.decade);
    if grown && !matches!(alert.state, State::Closed(_)) {
        notices.push(notice(Happened::Grew, alert.changed).bounded());
    }
    let now_known = Followed {
        alert: alert.id.0,
        opened: alert.opened,
        changes: detail.history.len() as u64,
        decade: decade(alert.count).max(known.map_or(0, |known| known.decade)),
        changed: alert.changed,
    };
    (notices, now_known)
}
