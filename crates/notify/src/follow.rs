//! Following alerts and incidents: what happened to them since we looked last, from their history.

mod alerts;
mod incidents;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use vedette_alert::Alerts;
use vedette_event::{SourceId, Time};

use crate::{About, Notice, Notifier, NotifyError, queue::Followed};

/// The name of a source, if it is known.
pub type SourceNames = dyn Fn(SourceId) -> Option<String> + Send + Sync;

/// Alerts or incidents that are read at once.
const PAGE: usize = 100;
/// How often they are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// What did not change for so long is forgotten; what is older is no news then.
const HORIZON: i64 = 30 * 86_400 * 1_000_000;

/// What has changed, up to a revision.
struct Page {
    notices: Vec<Notice>,
    known: Vec<Followed>,
    revision: u64,
}

impl Notifier {
    /// Offers what happened to alerts and incidents since the last call, also one of an earlier process. The first call ever
    /// begins with what happens from `now` on: what is there already is no news. Blocks.
    ///
    /// # Errors
    /// If alerts or queue cannot be read or written. What was offered until then is; the next call goes on there.
    pub fn follow(&self, alerts: &Alerts, sources: &SourceNames, now: Time) -> Result<u64, NotifyError> {
        let last = (alerts.revision(), alerts.incidents_revision());
        let mut of_alerts = self.queue().position(About::Alert, last.0, now)?;
        let mut of_incidents = self.queue().position(About::Incident, last.1, now)?;
        if last.0 < of_alerts.1 || last.1 < of_incidents.1 {
            tracing::warn!("the alert file was made anew: what is in it is followed from the beginning");
            self.queue().start_over()?;
            (of_alerts.1, of_incidents.1) = (0, 0);
        }
        let queue = self.queue();
        let offered = self.go_on(About::Alert, of_alerts, now, |revision, since| {
            alerts::after(alerts, queue, sources, revision, since)
        })?;
        let more = self.go_on(About::Incident, of_incidents, now, |revision, since| {
            incidents::after(alerts, queue, sources, revision, since)
        })?;
        Ok(offered + more)
    }

    /// Follows from a revision on. `after` reads what has changed after one, if anything has; what happened before the time it
    /// is given is no news.
    fn go_on(
        &self,
        about: About,
        (since, mut revision): (Time, u64),
        now: Time,
        after: impl Fn(u64, Time) -> Result<Option<Page>, NotifyError>,
    ) -> Result<u64, NotifyError> {
        let horizon = Time::from_micros(now.micros().saturating_sub(HORIZON));
        let mut offered = 0;
        while let Some(page) = after(revision, since.max(horizon))? {
            revision = page.revision;
            // In this order: a crash between the two offers the same again, which changes nothing.
            offered += self.offer_all(&page.notices, now)?;
            self.queue().follow(about, &page.known, revision, horizon)?;
        }
        Ok(offered)
    }

    /// Follows alerts and incidents until the end.
    pub async fn watch(self, alerts: Alerts, sources: Arc<SourceNames>, shutdown: CancellationToken) {
        let mut seen = None;
        let mut complaint = String::new();
        loop {
            let revision = (alerts.revision(), alerts.incidents_revision());
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
                        tracing::error!("alerts and incidents are not followed, so nobody is told of them: {error}");
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
