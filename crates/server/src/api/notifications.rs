//! Notifications: channels, what became of every notice, dead letters.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vedette_event::Time;
use vedette_notify::{Counts, Letter, NotifyError, Suppressed};

use super::{
    model::{rfc3339, rfc3339_or_null},
    names::LevelModel,
};
use crate::{
    App, Problem,
    auth::{Principal, act, blocking, write_down},
    problem::{Id, Params},
};

/// What became of deliveries: offered = sent + suppressed + queued + dead.
#[derive(Serialize, ToSchema)]
pub(crate) struct CountsModel {
    /// Offered.
    offered: u64,
    /// The other side said that it has them.
    sent: u64,
    /// Not sent, by reason.
    suppressed: BTreeMap<String, u64>,
    /// Waiting now.
    queued: u64,
    /// Given up.
    dead: u64,
    /// Of all: that were held back, by why.
    held: BTreeMap<String, u64>,
}

impl From<Counts> for CountsModel {
    fn from(counts: Counts) -> Self {
        CountsModel {
            offered: counts.offered,
            sent: counts.sent,
            suppressed: counts.suppressed.iter().map(|(why, n)| (why.as_str().to_owned(), *n)).collect(),
            queued: counts.queued,
            dead: counts.dead,
            held: counts.held.iter().map(|(why, n)| (why.as_str().to_owned(), *n)).collect(),
        }
    }
}

/// A channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelModel {
    /// Its name.
    name: String,
    /// What it speaks.
    kind: String,
    /// Deliveries that wait.
    queued: u64,
    /// Deliveries that were given up.
    dead: u64,
    /// When something was sent last, since the start.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_sent: Option<Time>,
    /// When an attempt failed last, since the start.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_failure: Option<Time>,
    /// Why the last attempt failed, if it did.
    error: Option<String>,
    /// Until when nothing is tried.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    rests_until: Option<Time>,
}

/// The account of one channel and route.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotificationAccount {
    /// The channel; empty where no route led to one.
    channel: String,
    /// The route; empty where none fitted.
    route: String,
    /// What happened to its deliveries.
    #[serde(flatten)]
    counts: CountsModel,
}

/// How notifications are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Notifications {
    /// Every configured channel.
    channels: Vec<ChannelModel>,
    /// What became of every delivery.
    accounts: Vec<NotificationAccount>,
    /// The sum of all.
    total: CountsModel,
}

/// Channels, and what became of every notice.
#[utoipa::path(get, path = "/api/v1/notifications", operation_id = "getNotifications", tag = "notifications",
    responses((status = 200, description = "Channels and accounts", body = Notifications),
        (status = 401, body = Problem)))]
pub(crate) async fn get_notifications(State(app): State<Arc<App>>) -> Result<Json<Notifications>, Problem> {
    let status = blocking(move || Ok(app.notifier.status()?)).await?;
    let channel = |channel: vedette_notify::ChannelStatus| ChannelModel {
        name: channel.name,
        kind: channel.kind.to_owned(),
        queued: channel.queued,
        dead: channel.dead,
        last_sent: channel.last_sent,
        last_failure: channel.last_failure,
        error: channel.error,
        rests_until: channel.rests_until,
    };
    let account = |account: vedette_notify::Account| NotificationAccount {
        channel: account.channel,
        route: account.route,
        counts: account.counts.into(),
    };
    Ok(Json(Notifications {
        channels: status.channels.into_iter().map(channel).collect(),
        accounts: status.accounts.into_iter().map(account).collect(),
        total: status.total.into(),
    }))
}

/// How many.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LimitParams {
    /// At most so many (default 100, most 1000).
    limit: Option<usize>,
}

impl LimitParams {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(1000)
    }
}

/// A notice that was not sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressedModel {
    /// When that was decided.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// The channel; empty where no route led to one.
    channel: String,
    /// The route; empty where none fitted.
    route: String,
    /// Why.
    reason: String,
    /// The alert's number; 0 if it is about an incident.
    alert: i64,
    /// The incident's number; 0 if it is about an alert.
    incident: i64,
    /// What happened to it.
    what: String,
    /// Its level.
    level: LevelModel,
    /// The alert's rule, or the incident's number and entity.
    title: String,
}

impl From<Suppressed> for SuppressedModel {
    fn from(notice: Suppressed) -> Self {
        SuppressedModel {
            time: notice.time,
            channel: notice.channel,
            route: notice.route,
            reason: notice.reason.as_str().to_owned(),
            alert: notice.subject.alert(),
            incident: notice.subject.incident(),
            what: notice.what.as_str().to_owned(),
            level: notice.level.into(),
            title: notice.title,
        }
    }
}

/// Notices that were not sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressedNotices {
    /// The latest first.
    suppressed: Vec<SuppressedModel>,
}

/// The latest notices that were not sent, and why.
#[utoipa::path(get, path = "/api/v1/notifications/suppressed", operation_id = "listSuppressedNotices",
    tag = "notifications", params(LimitParams),
    responses((status = 200, description = "The notices", body = SuppressedNotices), (status = 401, body = Problem)))]
pub(crate) async fn list_suppressed(
    State(app): State<Arc<App>>,
    Params(params): Params<LimitParams>,
) -> Result<Json<SuppressedNotices>, Problem> {
    let suppressed = blocking(move || Ok(app.notifier.suppressed(params.limit())?)).await?;
    Ok(Json(SuppressedNotices { suppressed: suppressed.into_iter().map(Into::into).collect() }))
}

/// A message that was given up after the last try.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterModel {
    /// Its number.
    id: i64,
    /// The channel.
    channel: String,
    /// The route of its first notice.
    route: String,
    /// Its notices.
    notices: u64,
    /// The alert of its first notice; 0 if that is about an incident.
    alert: i64,
    /// The incident of its first notice; 0 if that is about an alert.
    incident: i64,
    /// What happened to it.
    what: String,
    /// Its level.
    level: LevelModel,
    /// The alert's rule, or the incident's number and entity.
    title: String,
    /// How often it was tried.
    attempts: u32,
    /// What the other side said last.
    error: String,
    /// When the notice was offered.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    offered: Time,
    /// When it was given up.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    given_up: Time,
}

impl From<Letter> for DeadLetterModel {
    fn from(letter: Letter) -> Self {
        DeadLetterModel {
            id: letter.id,
            channel: letter.channel,
            route: letter.route,
            notices: letter.notices,
            alert: letter.subject.alert(),
            incident: letter.subject.incident(),
            what: letter.what.as_str().to_owned(),
            level: letter.level.into(),
            title: letter.title,
            attempts: letter.attempts,
            error: letter.error,
            offered: letter.offered,
            given_up: letter.given_up,
        }
    }
}

/// Messages that were given up.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// The latest first.
    dead_letters: Vec<DeadLetterModel>,
}

/// Messages that were given up after the last try.
#[utoipa::path(get, path = "/api/v1/notifications/dead-letters", operation_id = "listDeadLetters",
    tag = "notifications", params(LimitParams),
    responses((status = 200, description = "The messages", body = DeadLetters), (status = 401, body = Problem)))]
pub(crate) async fn list_dead_letters(
    State(app): State<Arc<App>>,
    Params(params): Params<LimitParams>,
) -> Result<Json<DeadLetters>, Problem> {
    let letters = blocking(move || Ok(app.notifier.dead_letters(params.limit())?)).await?;
    Ok(Json(DeadLetters { dead_letters: letters.into_iter().map(Into::into).collect() }))
}

/// The number of a dead letter.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterId {
    /// Its number.
    id: i64,
}

/// Tries a dead letter again.
#[utoipa::path(post, path = "/api/v1/notifications/dead-letters/{id}/retry", operation_id = "retryDeadLetter",
    tag = "notifications", params(("id" = i64, Path, description = "The letter's number")),
    responses((status = 200, description = "It waits to be sent", body = DeadLetterId),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn retry_dead_letter(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<DeadLetterId>, Problem> {
    let now = app.now();
    let action = principal.action(now, "notification.retry", Some(id.to_string()));
    act(&app, action, move |app| {
        app.notifier.retry(id, now)?;
        Ok(Json(DeadLetterId { id }))
    })
    .await
}

/// Discards a dead letter; it stays counted.
#[utoipa::path(delete, path = "/api/v1/notifications/dead-letters/{id}", operation_id = "discardDeadLetter",
    tag = "notifications", params(("id" = i64, Path, description = "The letter's number")),
    responses((status = 200, description = "It is gone", body = DeadLetterId),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn discard_dead_letter(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<DeadLetterId>, Problem> {
    let now = app.now();
    let action = principal.action(now, "notification.discard", Some(id.to_string()));
    act(&app, action, move |app| {
        app.notifier.discard(id, now)?;
        Ok(Json(DeadLetterId { id }))
    })
    .await
}

/// What a test of a channel came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelTest {
    /// The other side has it.
    sent: bool,
    /// The HTTP status or SMTP code, if there was one.
    status: Option<u16>,
    /// What the other side said, word for word.
    answer: String,
    /// What went wrong.
    error: Option<String>,
    /// How long it took, in milliseconds.
    millis: u64,
}

/// Sends a test message over a channel, and says what the other side answered.
#[utoipa::path(post, path = "/api/v1/notifications/channels/{name}/test", operation_id = "testChannel",
    tag = "notifications", params(("name" = String, Path, description = "The channel's name")),
    responses((status = 200, description = "What came of it", body = ChannelTest),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn test_channel(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
) -> Result<Json<ChannelTest>, Problem> {
    let action = principal.action(app.now(), "notification.test", Some(name.clone()));
    let journal = app.clone();
    blocking(move || write_down(&journal, &action)).await?;
    let tested = app.notifier.send_test(&name).await?;
    Ok(Json(ChannelTest {
        sent: tested.is_sent,
        status: tested.status,
        answer: tested.answer,
        error: tested.error,
        millis: tested.millis,
    }))
}

impl From<NotifyError> for Problem {
    fn from(error: NotifyError) -> Self {
        match error {
            NotifyError::UnknownChannel(_) | NotifyError::UnknownLetter(_) => {
                Problem::new(axum::http::StatusCode::NOT_FOUND, error.to_string())
            }
            _ => Problem::internal(&error),
        }
    }
}
