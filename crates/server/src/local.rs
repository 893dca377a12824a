//! The rooms of this process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::{runtime::Runtime, sync::mpsc};
use vedette_event::{Batch, Diagnostic, Losses, Source, Time};
use vedette_query::{Cancel, Engine, Export, FileFormat, QueryError, Request, TopValue};
use vedette_spool::Spool;
use vedette_store::Store;

use crate::{
    live,
    rooms::{Ask, Bins, Language, LiveFilter, Piece, Progress, Rooms, SearchError, SpoolStatus, StoreStatus, Summary},
};

/// How often a running query tells how far it is.
const TELL: Duration = Duration::from_millis(250);
/// A bounded answer has at most so many bytes; an unbounded one is streamed and never held.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
const BOUNDED_ROWS: usize = 100_000;

/// The spool, store and engine of this process. Queries run on two threads of their own, so that a heavy one does not
/// slow the answers to others.
pub struct Local {
    spool: Spool,
    store: Store,
    engine: Engine,
    threads: Mutex<Option<Runtime>>,
}

impl Local {
    /// Over these.
    pub fn new(spool: Spool, store: Store, engine: Engine) -> Self {
        Local { spool, store, engine, threads: Mutex::default() }
    }

    /// Starts a query on its own threads, which are made with the first one.
    fn spawn(&self, query: impl Future<Output = ()> + Send + 'static) -> Result<(), SearchError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_none() {
            let made =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("query").enable_all().build();
            *threads = Some(made.map_err(|error| SearchError::Failed(format!("cannot start query threads: {error}")))?);
        }
        if let Some(threads) = threads.as_ref() {
            threads.spawn(query);
        }
        Ok(())
    }
}

impl Local {
    /// What a query answers. Dropping the future cancels it.
    fn answer<T, Q>(
        &self,
        query: impl FnOnce(Engine, Cancel) -> Q + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SearchError>>
    where
        T: Send + 'static,
        Q: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        let mut answers = self.stream(|engine, cancel, sink| async move {
            let answer = query(engine, cancel).await?;
            sink.send(vec![answer]).await;
            Ok(())
        });
        let ended = || SearchError::Failed("the query ended without an answer".to_owned());
        async move { answers.next().await.unwrap_or_else(|| Err(ended())) }.boxed()
    }

    /// The items that a query sends, until it ends. Dropping the stream cancels the query.
    fn stream<T, Q>(
        &self,
        query: impl FnOnce(Engine, Cancel, Arc<Sink<T>>) -> Q,
    ) -> BoxStream<'static, Result<T, SearchError>>
    where
        T: Send + 'static,
        Q: Future<Output = Result<(), QueryError>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(4);
        let cancel = CancelOnDrop(Cancel::default());
        let sink = Arc::new(Sink(sender));
        let running = query(self.engine.clone(), cancel.0.clone(), sink.clone());
        let query = async move {
            if let Err(error) = running.await {
                sink.put(vec![Err(refusal(error))]).await;
            }
        };
        if let Err(error) = self.spawn(query) {
            return stream::iter([Err(error)]).boxed();
        }
        stream::unfold((receiver, VecDeque::new(), cancel), |(mut receiver, mut ready, cancel)| async move {
            loop {
                if let Some(item) = ready.pop_front() {
                    return Some((item, (receiver, ready, cancel)));
                }
                ready.extend(receiver.recv().await?);
            }
        })
        .boxed()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Not waiting: the last owner may be an async task, which must not block.
        if let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() {
            threads.shutdown_background();
        }
    }
}

impl Rooms for Local {
    fn ledger(&self) -> Vec<(Arc<Source>, Losses)> {
        self.spool.ledger()
    }

    fn spool(&self) -> SpoolStatus {
        let status = self.spool.status();
        SpoolStatus {
            unreleased_bytes: status.unreleased_bytes,
            queued_bytes: status.queued_bytes,
            segments: status.segments as u64,
            disk_free_bytes: status.disk_free_bytes,
            refusing: status.refusing.map(|reason| reason.to_string()),
        }
    }

    fn store(&self) -> StoreStatus {
        let stats = self.store.stats();
        StoreStatus {
            segments: stats.segments,
            events: stats.events.saturating_sub(stats.tail_events),
            tail_events: stats.tail_events,
            bytes: stats.bytes(),
            original_bytes: stats.raw_bytes,
            damaged_segments: stats.damaged_segments,
        }
    }

    fn search(&self, ask: Ask) -> BoxStream<'static, Result<Piece, SearchError>> {
        self.stream(move |engine, cancel, sink| async move { run(engine, ask, cancel, &sink).await })
    }

    fn events(&self, ask: Ask) -> BoxStream<'static, Result<Batch, SearchError>> {
        self.stream(move |engine, cancel, sink| async move {
            let request = Request { unordered: true, max_bytes: u64::MAX, ..request(ask) };
            let mut answer = engine.run(request, &vedette_query::Progress::default(), &cancel).await?;
            while let Some(rows) = answer.next().await? {
                sink.send(answer.batches(&rows)).await;
            }
            Ok(())
        })
    }

    fn histogram(&self, ask: Ask, bins: u32) -> BoxFuture<'static, Result<Option<Bins>, SearchError>> {
        self.answer(move |engine, cancel| async move {
            let progress = vedette_query::Progress::default();
            let asked = request(ask);
            let mut asked = Request { text: before_pipes(&asked.text)?, ..asked };
            if asked.from.is_none() || asked.to.is_none() {
                let Some((first, last)) = engine.bounds(&asked, &progress, &cancel).await? else { return Ok(None) };
                asked.from = asked.from.or(Some(first));
                asked.to = asked.to.or(Some(last.plus_micros(1)));
            }
            let (from, to) = (asked.from.unwrap_or(Time::MIN), asked.to.unwrap_or(Time::MAX));
            // A range that does not begin at a whole span has one more.
            let found = engine.histogram(&asked, bins.saturating_sub(1).max(1), &progress, &cancel).await?;
            let vedette_query::Histogram { start, step, counts } = found;
            Ok(Some(Bins { from, to, start, step, counts }))
        })
    }

    fn top_values(
        &self,
        ask: Ask,
        field: String,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<TopValue>, SearchError>> {
        self.answer(move |engine, cancel| async move {
            let (most, asked) = (ask.limit, request(ask));
            let asked = Request { text: before_pipes(&asked.text)?, ..asked };
            let progress = vedette_query::Progress::default();
            engine.top_values(&asked, &field, &prefix, most, &progress, &cancel).await
        })
    }

    fn export(
        &self,
        ask: Ask,
        columns: Option<Vec<String>>,
        format: FileFormat,
    ) -> BoxStream<'static, Result<Vec<u8>, SearchError>> {
        self.stream(move |engine, cancel, sink| async move {
            // Everything cannot be held to be sorted.
            let unordered = ask.limit > BOUNDED_ROWS;
            let request = Request { unordered, max_bytes: u64::MAX, ..request(ask) };
            let mut answer = engine.run(request, &vedette_query::Progress::default(), &cancel).await?;
            let mut export = Export::new(&answer, columns, format)?;
            sink.send(vec![export.head()]).await;
            while let Some(rows) = answer.next().await? {
                sink.send(vec![export.rows(&answer, &rows)?]).await;
            }
            sink.send(vec![export.end()?]).await;
            Ok(())
        })
    }

    fn live_filter(&self, query: &str) -> Result<LiveFilter, SearchError> {
        live::filter(query)
    }
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Where what a query finds goes, some at a time. If nobody takes it any more the query has been cancelled.
struct Sink<T>(mpsc::Sender<Vec<Result<T, SearchError>>>);

impl<T> Sink<T> {
    async fn send(&self, items: Vec<T>) {
        self.put(items.into_iter().map(Ok).collect()).await;
    }

    async fn put(&self, items: Vec<Result<T, SearchError>>) {
        // An error means that the reader has gone, and with him the query.
        drop(self.0.send(items).await);
    }
}

impl Sink<Piece> {
    /// Progress is worth nothing when the reader is behind.
    fn offer(&self, progress: Progress) {
        drop(self.0.try_send(vec![Ok(Piece::Progress(progress))]));
    }
}

fn request(ask: Ask) -> Request {
    let request = match ask.language {
        Language::Hunt => Request::hunt(ask.query),
        Language::Sql => Request::sql(ask.query),
    };
    Request { from: ask.from, to: ask.to, limit: ask.limit, ..request }
}

/// The part of a hunt before its first pipe.
fn before_pipes(text: &str) -> Result<String, QueryError> {
    let mut ast = vedette_query::parse(text).map_err(QueryError::Text)?;
    ast.stages.clear();
    Ok(ast.to_string())
}

async fn run(engine: Engine, ask: Ask, cancel: Cancel, sink: &Sink<Piece>) -> Result<(), QueryError> {
    let started = Instant::now();
    let progress = vedette_query::Progress::default();
    let limit = ask.limit;
    let max_bytes = if limit <= BOUNDED_ROWS { MAX_ANSWER_BYTES } else { u64::MAX };
    let request = Request { max_bytes, ..request(ask) };
    let mut answer = telling(&progress, sink, engine.run(request, &progress, &cancel)).await?;
    let columns = if answer.is_events() { Vec::new() } else { answer.columns() };
    sink.send(vec![Piece::Columns(columns)]).await;
    while let Some(batch) = telling(&progress, sink, answer.next()).await? {
        sink.send(answer.json(&batch).into_iter().map(Piece::Row).collect()).await;
    }
    let done = progress.read();
    let truncated = answer.truncated();
    let summary = Summary {
        rows: answer.rows(),
        truncated,
        note: truncated.then(|| format!("there are more rows than the limit of {limit}")),
        matched: done.matched,
        granules: done.granules,
        granules_read: done.scanned,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    sink.send(vec![Piece::Done(summary)]).await;
    Ok(())
}

/// Waits for `work` and meanwhile tells how far the query is.
async fn telling<T>(progress: &vedette_query::Progress, sink: &Sink<Piece>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TELL, TELL);
    loop {
        tokio::select! {
            done = work.as_mut() => return done,
            _ = tick.tick() => {
                let done = progress.read();
                sink.offer(Progress { done: done.scanned + done.skipped, total: done.wanted, matched: done.matched });
            }
        }
    }
}

fn refusal(error: QueryError) -> SearchError {
    match error {
        QueryError::Text(diagnostics) => SearchError::Refused(diagnostics.into_iter().map(diagnostic).collect()),
        QueryError::Memory(_) | QueryError::Bytes(_) => SearchError::Budget(error.to_string()),
        other => SearchError::Failed(other.to_string()),
    }
}

pub(crate) fn diagnostic(diagnostic: vedette_query::Diagnostic) -> Diagnostic {
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Diagnostic {
        file: String::new(),
        line: place(diagnostic.line),
        column: place(diagnostic.column),
        message: diagnostic.message,
        hint: diagnostic.hint,
    }
}
