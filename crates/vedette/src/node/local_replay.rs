//! Replays, over the local socket: the history is this process's.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use vedette_event::{Finding, Time};
use vedette_query::{Cancel, Engine, Progress, QueryError};
use vedette_server::{Action, Journal, Peer, Problem};
use vedette_sigma::Documents;

use super::{
    journal::SelfJournal,
    maintenance::now,
    replay::{Replay, Replayed},
    rules::Rules,
    ruleset::Ruleset,
};

/// The route.
pub const PATH: &str = "/local/replay";
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What to replay.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Only what was received from this time on.
    pub from: Option<Time>,
    /// Only what was received before this time.
    pub to: Option<Time>,
    /// Name and text of rule files; without them the rules in force, compared with what is recorded.
    pub rules: Option<Vec<(String, String)>>,
}

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Granules read, of how many.
    Progress(u64, u64),
    /// A rule is not run, and why.
    Refused(String),
    /// What other rules find.
    Finding(Box<Finding>),
    /// It is over.
    Done(Replayed),
    /// It ended early.
    Failed(String),
}

/// What replays work with.
#[derive(Clone)]
pub struct Replays {
    /// What has the history.
    pub engine: Engine,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// Where replays are said.
    pub journal: SelfJournal,
}

/// Why lines end before the replay does.
enum Ended {
    Gone,
    Failed(QueryError),
}

impl From<QueryError> for Ended {
    fn from(error: QueryError) -> Self {
        Ended::Failed(error)
    }
}

/// A router for the local socket.
pub fn router(replays: Replays) -> Router {
    Router::new().route(PATH, post(replay)).with_state(replays)
}

async fn replay(
    State(replays): State<Replays>,
    Extension(peer): Extension<Peer>,
    Json(ask): Json<Ask>,
) -> Result<Response, Problem> {
    let Peer::Local { uid } = peer else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only for processes of this machine"));
    };
    let span = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let details = vec![("from", span(ask.from)), ("to", span(ask.to))];
    let who = format!("local:{uid}");
    let action = Action { time: now(), who, address: None, what: "replay.run", target: None, details, failure: None };
    replays.journal.record(&action).map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    let (sender, receiver) = mpsc::channel(64);
    tokio::task::spawn_blocking(move || run(&replays, ask, &sender));
    let lines = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Line>| async {
        let mut line = serde_json::to_vec(&receiver.recv().await?).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), receiver))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

fn run(replays: &Replays, ask: Ask, sender: &mpsc::Sender<Line>) {
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let (telling, shown) = (sender.clone(), progress.clone());
    let told = tokio::spawn(async move {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            let done = shown.read();
            if telling.send(Line::Progress(done.scanned, done.wanted)).await.is_err() {
                return;
            }
        }
    });
    let last = replays.replay(ask, &progress, &cancel, |line| sender.blocking_send(line).map_err(|_| Ended::Gone));
    told.abort();
    let last = match last {
        Ok(replayed) => Line::Done(replayed),
        Err(Ended::Failed(error)) => Line::Failed(error.to_string()),
        Err(Ended::Gone) => return,
    };
    // Whoever has gone needs no end.
    drop(sender.blocking_send(last));
}

impl Replays {
    fn replay(
        &self,
        ask: Ask,
        progress: &Progress,
        cancel: &Cancel,
        mut tell: impl FnMut(Line) -> Result<(), Ended>,
    ) -> Result<Replayed, Ended> {
        let correlations = self.rules.detection().correlations.clone();
        let replay = |rules| Replay { rules, correlations, from: ask.from, to: ask.to };
        let Some(texts) = ask.rules else {
            return Ok(replay(self.rules.current()).compare(&self.engine, progress, cancel)?);
        };
        let mut documents = Documents::through(self.rules.pipelines());
        texts.iter().for_each(|(name, text)| documents.text(name, text));
        let (rules, refused) = Ruleset::compile(documents.link(), &self.rules.mapping);
        refused.iter().try_for_each(|refused| tell(Line::Refused(refused.to_string())))?;
        replay(Arc::new(rules))
            .run(&self.engine, progress, cancel, |finding| tell(Line::Finding(Box::new(finding.clone()))))
    }
}
