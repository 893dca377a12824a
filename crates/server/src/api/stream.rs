//! Streams: the plumbing, and the alert stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};
use utoipa::IntoParams;

use super::{model::AlertModel, search::event};
use crate::{
    App, Problem,
    auth::{Principal, blocking},
    problem::Params,
};

/// How often the server looks for changed alerts.
const ALERT_TICK: Duration = Duration::from_millis(200);
/// How often it looks whether the session or token still holds.
pub(super) const RECHECK: Duration = Duration::from_secs(15);

/// Where a stream's maker puts its events. Ends when the reader has gone or may no longer read.
pub(super) struct Outlet {
    sender: mpsc::Sender<Event>,
    app: Arc<App>,
    principal: Principal,
    checked: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Outlet {
    /// Sends an event; false if the stream is over.
    pub(super) async fn send(&mut self, event: Event) -> bool {
        self.may_go_on().await && self.sender.send(event).await.is_ok()
    }

    /// False if the reader has gone or may no longer read.
    pub(super) async fn may_go_on(&mut self) -> bool {
        if self.checked.elapsed() >= RECHECK {
            self.checked = Instant::now();
            let (app, principal) = (self.app.clone(), self.principal.clone());
            if !blocking(move || Ok(principal.still_valid(&app))).await.unwrap_or(false) {
                return false;
            }
        }
        !self.sender.is_closed()
    }

    /// Returns when the reader has gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// Starts a stream whose events `make` puts into its outlet.
pub(super) fn open<F>(app: &Arc<App>, principal: Principal, make: impl FnOnce(Outlet) -> F) -> Result<Response, Problem>
where
    F: Future<Output = ()> + Send + 'static,
{
    let permit = app.gates.streams.clone().try_acquire_owned().map_err(|_| Problem {
        retry_after: Some(30),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many open streams").hint("close another view")
    })?;
    let (sender, receiver) = mpsc::channel(64);
    // The head goes out with the first of the body: whoever connects is to know at once that it is heard.
    let is_put = sender.try_send(Event::default().comment("open"));
    debug_assert!(is_put.is_ok(), "the channel is new");
    tokio::spawn(make(Outlet { sender, app: app.clone(), principal, checked: Instant::now(), _permit: permit }));
    let events = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Where to begin.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamParams {
    /// Send alerts changed after this revision; default: from now on. The `Last-Event-ID` header goes before it.
    since: Option<u64>,
}

/// Alerts as they are opened and changed: server-sent events `alert` whose id is the alert's revision. A client that
/// comes back with `Last-Event-ID` misses nothing; one that is slow gets each alert in its latest state.
#[utoipa::path(get, path = "/api/v1/alerts/stream", operation_id = "streamAlerts", tag = "alerts",
    params(StreamParams, ("Last-Event-ID" = Option<u64>, Header, description = "The last revision seen")),
    responses((status = 200, description = "Events `alert`", body = AlertModel, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 503, description = "Too many streams", body = Problem)))]
pub(crate) async fn stream_alerts(
    State(app): State<Arc<App>>,
    principal: Principal,
    headers: HeaderMap,
    Params(params): Params<StreamParams>,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let since = last.or(params.since).unwrap_or_else(|| app.alerts.revision());
    open(&app.clone(), principal, move |outlet| follow_alerts(app, outlet, since))
}

async fn follow_alerts(app: Arc<App>, mut outlet: Outlet, mut since: u64) {
    let mut tick = tokio::time::interval(ALERT_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while outlet.may_go_on().await {
        tokio::select! {
            _ = tick.tick() => {}
            () = outlet.closed() => return,
        }
        if app.alerts.revision() == since {
            continue;
        }
        let alerts = app.alerts.clone();
        let Ok(changed) = blocking(move || Ok(alerts.changed_since(since, 100)?)).await else { return };
        for alert in changed {
            since = alert.revision;
            let event = event("alert", &AlertModel::from(alert)).id(since.to_string());
            if !outlet.send(event).await {
                return;
            }
        }
    }
}
