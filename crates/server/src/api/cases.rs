//! Cases: what somebody investigates, until a verdict.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vedette_alert::{
    AlertError, AlertId, Alerts, Bundle, Case, CaseDetail, CaseFilter, CaseId, CaseState, CaseStateName, Evidence,
    EvidenceItem, IncidentId, Note, Task, Verdict,
};
use vedette_event::{EventId, Time};

use super::{
    alerts::{Assign, Note as NewNote},
    incidents::{names, wrong},
    model::{ChangeModel, rfc3339, rfc3339_or_null},
    names::VerdictModel,
    risk::refused,
};
use crate::{
    Action, App, Problem,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// Where a case is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CaseState)]
pub(crate) enum CaseStateModel {
    /// It is worked on.
    Open,
    /// It was judged.
    Closed,
}

/// A case.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Case)]
pub(crate) struct CaseModel {
    /// Its number.
    id: i64,
    /// What it is about.
    title: String,
    /// Where it is on its way.
    state: CaseStateModel,
    /// Of a closed case: what it turned out to be.
    verdict: Option<VerdictModel>,
    /// The same in words; written when it was last closed.
    summary: Option<String>,
    /// Whose it is.
    assignee: Option<String>,
    /// Its incidents.
    incidents: Vec<i64>,
    /// Its alerts, but for those of its incidents.
    alerts: Vec<i64>,
    /// Tasks that are not done.
    open_tasks: u64,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened: Time,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    changed: Time,
}

impl From<Case> for CaseModel {
    fn from(case: Case) -> Self {
        let (state, verdict) = match case.state {
            CaseState::Open => (CaseStateModel::Open, None),
            CaseState::Closed(verdict) => (CaseStateModel::Closed, Some(verdict.into())),
        };
        CaseModel {
            id: case.id.0,
            title: case.title,
            state,
            verdict,
            summary: case.summary,
            assignee: case.assignee,
            incidents: case.incidents.into_iter().map(|id| id.0).collect(),
            alerts: case.alerts.into_iter().map(|id| id.0).collect(),
            open_tasks: case.open_tasks,
            opened: case.opened,
            changed: case.changed,
        }
    }
}

/// A note on a case. It is never changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CaseNote)]
pub(crate) struct CaseNoteModel {
    /// When it was written.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Who wrote it.
    author: String,
    /// The text.
    text: String,
}

impl From<Note> for CaseNoteModel {
    fn from(Note { time, author, text }: Note) -> Self {
        CaseNoteModel { time, author, text }
    }
}

/// Something to be done for a case.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CaseTask)]
pub(crate) struct CaseTaskModel {
    /// Its number, over all cases.
    id: i64,
    /// What is to be done.
    text: String,
    /// Who did it.
    done_by: Option<String>,
    /// When; null if it is not done.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    done_at: Option<Time>,
}

impl From<Task> for CaseTaskModel {
    fn from(Task { id, text, done_by, done_at }: Task) -> Self {
        CaseTaskModel { id, text, done_by, done_at }
    }
}

/// A file of evidence, as it was exported.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EvidenceBundle)]
pub(crate) struct BundleModel {
    /// The file's name, without folders.
    name: String,
    /// Its BLAKE3 hash, 64 hexadecimal digits in lower case.
    blake3: String,
}

/// What is evidence.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EvidenceItem)]
pub(crate) enum EvidenceItemModel {
    /// An event's id, such as `3-1042`; the ledger proves it.
    Event(String),
    /// A file that was exported.
    Bundle(BundleModel),
}

impl From<EvidenceItem> for EvidenceItemModel {
    fn from(item: EvidenceItem) -> Self {
        match item {
            EvidenceItem::Event(id) => EvidenceItemModel::Event(id.to_string()),
            EvidenceItem::Bundle(Bundle { name, blake3 }) => EvidenceItemModel::Bundle(BundleModel { name, blake3 }),
        }
    }
}

impl EvidenceItemModel {
    fn item(self) -> Result<EvidenceItem, Problem> {
        Ok(match self {
            EvidenceItemModel::Event(id) => {
                let id = id
                    .parse::<EventId>()
                    .map_err(|_| wrong(format!("`{id}` is not an event id, for example 3-1042")))?;
                EvidenceItem::Event(id)
            }
            EvidenceItemModel::Bundle(BundleModel { name, blake3 }) => EvidenceItem::Bundle(Bundle { name, blake3 }),
        })
    }
}

/// A piece of evidence in a case. It is never changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CaseEvidence)]
pub(crate) struct EvidenceModel {
    /// What.
    item: EvidenceItemModel,
    /// What it shows.
    comment: Option<String>,
    /// When it was added.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    added: Time,
    /// Who added it.
    added_by: String,
}

impl From<Evidence> for EvidenceModel {
    fn from(Evidence { item, comment, added, added_by }: Evidence) -> Self {
        EvidenceModel { item: item.into(), comment, added, added_by }
    }
}

/// A case with all that is in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CaseDetail)]
pub(crate) struct CaseDetailModel {
    /// The case.
    #[serde(flatten)]
    case: CaseModel,
    /// Notes, oldest first.
    notes: Vec<CaseNoteModel>,
    /// Tasks, in the order of their numbers.
    tasks: Vec<CaseTaskModel>,
    /// Evidence, oldest first.
    evidence: Vec<EvidenceModel>,
    /// What was done to it, oldest first.
    history: Vec<ChangeModel>,
}

impl From<CaseDetail> for CaseDetailModel {
    fn from(detail: CaseDetail) -> Self {
        CaseDetailModel {
            case: detail.case.into(),
            notes: detail.notes.into_iter().map(Into::into).collect(),
            tasks: detail.tasks.into_iter().map(Into::into).collect(),
            evidence: detail.evidence.into_iter().map(Into::into).collect(),
            history: detail.history.into_iter().map(Into::into).collect(),
        }
    }
}

/// Which cases.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseParams {
    /// States, separated by commas: `open`, `closed`. Default: both.
    state: Option<String>,
    /// Given to this person.
    assignee: Option<String>,
    /// With this incident.
    incident: Option<i64>,
    /// With this alert, itself or in one of its incidents.
    alert: Option<i64>,
    /// Skip so many.
    offset: Option<usize>,
    /// At most so many (default 100, most 1000).
    limit: Option<usize>,
}

/// One page of cases.
#[derive(Serialize, ToSchema)]
pub(crate) struct CasePage {
    /// Those that changed last come first.
    cases: Vec<CaseModel>,
    /// How many there are on all pages.
    total: u64,
}

/// Cases, those that changed last first.
#[utoipa::path(get, path = "/api/v1/cases", operation_id = "listCases", tag = "incidents", params(CaseParams),
    responses((status = 200, description = "A page", body = CasePage), (status = 401, body = Problem),
        (status = 422, description = "A parameter is wrong", body = Problem)))]
pub(crate) async fn list_cases(
    State(app): State<Arc<App>>,
    params: Result<Query<CaseParams>, QueryRejection>,
) -> Result<Json<CasePage>, Problem> {
    let Query(params) = params.map_err(refused)?;
    let filter = CaseFilter {
        states: names::<CaseStateName>(params.state.as_deref())?,
        assignee: params.assignee,
        incident: params.incident.map(IncidentId),
        alert: params.alert.map(AlertId),
        offset: params.offset.unwrap_or(0),
        limit: params.limit.unwrap_or(100),
    };
    let page = blocking(move || Ok(app.alerts.cases(&filter)?)).await?;
    Ok(Json(CasePage { cases: page.cases.into_iter().map(Into::into).collect(), total: page.total }))
}

/// A case with all that is in it.
#[utoipa::path(get, path = "/api/v1/cases/{id}", operation_id = "getCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")),
    responses((status = 200, description = "The case", body = CaseDetailModel), (status = 401, body = Problem),
        (status = 404, description = "No such case", body = Problem)))]
pub(crate) async fn get_case(State(app): State<Arc<App>>, Id(id): Id<i64>) -> Result<Json<CaseDetailModel>, Problem> {
    blocking(move || Ok(Json(app.alerts.case(CaseId(id))?.into()))).await
}

/// A case to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCase {
    /// What it is about.
    title: String,
}

/// Opens a case.
#[utoipa::path(post, path = "/api/v1/cases", operation_id = "openCase", tag = "incidents", request_body = NewCase,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, description = "It has no title", body = Problem)))]
pub(crate) async fn open_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(new): Body<NewCase>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.open", None);
    action.details.push(("title", new.title.clone()));
    let (who, now) = (action.who.clone(), action.time);
    act(&app, action, move |app| {
        let id = app.alerts.open_case(&new.title, &who, now)?;
        Ok(Json(app.alerts.case(id)?.into()))
    })
    .await
}

/// Journals and carries out one step on one case, which is told who acts and when; answers with the case as it is then.
async fn step<T>(
    app: &Arc<App>,
    action: Action,
    id: i64,
    f: impl FnOnce(&Alerts, CaseId, &str, Time) -> Result<T, AlertError> + Send + 'static,
) -> Result<Json<CaseDetailModel>, Problem> {
    let (who, now, id) = (action.who.clone(), action.time, CaseId(id));
    act(app, action, move |app| {
        f(&app.alerts, id, &who, now)?;
        Ok(Json(app.alerts.case(id)?.into()))
    })
    .await
}

/// Gives a case another title.
#[utoipa::path(post, path = "/api/v1/cases/{id}/rename", operation_id = "renameCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = NewCase,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is closed", body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn rename_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<NewCase>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.rename", Some(id.to_string()));
    action.details.push(("title", body.title.clone()));
    step(&app, action, id, move |alerts, id, who, now| alerts.rename_case(id, &body.title, who, now)).await
}

/// Gives a case to somebody.
#[utoipa::path(post, path = "/api/v1/cases/{id}/assign", operation_id = "assignCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = Assign,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is closed", body = Problem)))]
pub(crate) async fn assign_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Assign>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.assign", Some(id.to_string()));
    action.details.extend(body.to.clone().map(|to| ("assignee", to)));
    step(&app, action, id, move |alerts, id, who, now| alerts.assign_case(id, body.to.as_deref(), who, now)).await
}

/// Adds a note, also to a case that is closed.
#[utoipa::path(post, path = "/api/v1/cases/{id}/note", operation_id = "noteCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = NewNote,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, description = "It is empty, too long, or one too many", body = Problem)))]
pub(crate) async fn note_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<NewNote>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.note", Some(id.to_string()));
    action.details.push(("note", body.note.clone()));
    step(&app, action, id, move |alerts, id, who, now| alerts.note_case(id, &body.note, who, now)).await
}

/// An incident for a case.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseIncident {
    /// The incident's number.
    incident: i64,
}

/// Puts an incident into a case, or the one that it was merged into.
#[utoipa::path(post, path = "/api/v1/cases/{id}/incidents", operation_id = "addCaseIncident", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = CaseIncident,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, description = "No such case or incident", body = Problem),
        (status = 409, description = "The case is closed", body = Problem)))]
pub(crate) async fn add_case_incident(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<CaseIncident>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.add_incident", Some(id.to_string()));
    action.details.push(("incident", body.incident.to_string()));
    let incident = IncidentId(body.incident);
    step(&app, action, id, move |alerts, id, who, now| alerts.add_incident_to_case(id, incident, who, now)).await
}

/// Takes an incident out of a case.
#[utoipa::path(delete, path = "/api/v1/cases/{id}/incidents/{incident}", operation_id = "removeCaseIncident",
    tag = "incidents",
    params(("id" = i64, Path, description = "The case's number"),
        ("incident" = i64, Path, description = "The incident's number")),
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "The case is closed", body = Problem)))]
pub(crate) async fn remove_case_incident(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id((id, incident)): Id<(i64, i64)>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.remove_incident", Some(id.to_string()));
    action.details.push(("incident", incident.to_string()));
    let incident = IncidentId(incident);
    step(&app, action, id, move |alerts, id, who, now| alerts.remove_incident_from_case(id, incident, who, now)).await
}

/// An alert for a case.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseAlert {
    /// The alert's number.
    alert: i64,
}

/// Puts an alert into a case.
#[utoipa::path(post, path = "/api/v1/cases/{id}/alerts", operation_id = "addCaseAlert", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = CaseAlert,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, description = "No such case or alert", body = Problem),
        (status = 409, description = "The case is closed", body = Problem)))]
pub(crate) async fn add_case_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<CaseAlert>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.add_alert", Some(id.to_string()));
    action.details.push(("alert", body.alert.to_string()));
    let alert = AlertId(body.alert);
    step(&app, action, id, move |alerts, id, who, now| alerts.add_alert_to_case(id, alert, who, now)).await
}

/// Takes an alert out of a case.
#[utoipa::path(delete, path = "/api/v1/cases/{id}/alerts/{alert}", operation_id = "removeCaseAlert", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number"), ("alert" = i64, Path, description = "The alert's number")),
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "The case is closed", body = Problem)))]
pub(crate) async fn remove_case_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id((id, alert)): Id<(i64, i64)>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.remove_alert", Some(id.to_string()));
    action.details.push(("alert", alert.to_string()));
    let alert = AlertId(alert);
    step(&app, action, id, move |alerts, id, who, now| alerts.remove_alert_from_case(id, alert, who, now)).await
}

/// Evidence to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvidence {
    /// What.
    item: EvidenceItemModel,
    /// What it shows.
    comment: Option<String>,
}

/// Adds evidence: an event, or a bundle that was exported. What is there already stays as it is.
#[utoipa::path(post, path = "/api/v1/cases/{id}/evidence", operation_id = "addCaseEvidence", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = NewEvidence,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "The case is closed", body = Problem),
        (status = 422, description = "It is no event's id, no file's name or no hash", body = Problem)))]
pub(crate) async fn add_case_evidence(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<NewEvidence>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let item = body.item.item()?;
    let mut action = principal.action(app.now(), "case.add_evidence", Some(id.to_string()));
    action.details.push(match &item {
        EvidenceItem::Event(event) => ("event", event.to_string()),
        EvidenceItem::Bundle(bundle) => ("bundle", format!("{} {}", bundle.blake3, bundle.name)),
    });
    action.details.extend(body.comment.clone().map(|comment| ("comment", comment)));
    step(&app, action, id, move |alerts, id, who, now| {
        alerts.add_evidence(id, &item, body.comment.as_deref(), who, now)
    })
    .await
}

/// A task to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    /// What is to be done.
    text: String,
}

/// Adds a task.
#[utoipa::path(post, path = "/api/v1/cases/{id}/tasks", operation_id = "addCaseTask", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = NewTask,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "The case is closed", body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add_case_task(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<NewTask>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.add_task", Some(id.to_string()));
    action.details.push(("task", body.text.clone()));
    step(&app, action, id, move |alerts, id, who, now| alerts.add_task(id, &body.text, who, now)).await
}

/// Whether a task is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskDone {
    /// True if it is done, false if it is not after all.
    done: bool,
}

/// Says that a task is done, or after all not.
#[utoipa::path(put, path = "/api/v1/cases/{id}/tasks/{task}", operation_id = "setCaseTask", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number"), ("task" = i64, Path, description = "The task's number")),
    request_body = TaskDone,
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, description = "No such case or task", body = Problem),
        (status = 409, description = "The case is closed", body = Problem)))]
pub(crate) async fn set_case_task(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id((id, task)): Id<(i64, i64)>,
    Body(body): Body<TaskDone>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "case.set_task", Some(id.to_string()));
    action.details.push(("task", task.to_string()));
    action.details.push(("done", body.done.to_string()));
    step(&app, action, id, move |alerts, id, who, now| alerts.set_task(id, task, body.done, who, now)).await
}

/// A case's end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseCase {
    /// What it turned out to be.
    #[schema(value_type = VerdictModel)]
    verdict: String,
    /// The same in words; must be given.
    summary: String,
}

/// Judges a case, and with the same verdict its incidents that are open.
#[utoipa::path(post, path = "/api/v1/cases/{id}/close", operation_id = "closeCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")), request_body = CloseCase,
    responses((status = 200, description = "The closed case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is closed already", body = Problem),
        (status = 422, description = "No such verdict, or no summary", body = Problem)))]
pub(crate) async fn close_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<CloseCase>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let verdict: Verdict = body.verdict.parse().map_err(wrong)?;
    let mut action = principal.action(app.now(), "case.close", Some(id.to_string()));
    action.details.push(("verdict", verdict.to_string()));
    action.details.push(("summary", body.summary.clone()));
    step(&app, action, id, move |alerts, id, who, now| alerts.close_case(id, verdict, &body.summary, who, now)).await
}

/// Opens a closed case again. Its incidents stay judged.
#[utoipa::path(post, path = "/api/v1/cases/{id}/reopen", operation_id = "reopenCase", tag = "incidents",
    params(("id" = i64, Path, description = "The case's number")),
    responses((status = 200, description = "The case", body = CaseDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is not closed", body = Problem)))]
pub(crate) async fn reopen_case(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<CaseDetailModel>, Problem> {
    let action = principal.action(app.now(), "case.reopen", Some(id.to_string()));
    step(&app, action, id, move |alerts, id, who, now| alerts.reopen_case(id, who, now)).await
}
