//! The rooms of this process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::{runtime::Runtime, sync::mpsc};
use vedette_event::{Batch, Diagnostic, Losses, Source};
use vedette_query::{Cancel, Engine, QueryError, Request};
use vedette_spool::Spool;
use vedette_store::Store;

use crate::{
    live,
    rooms::{Ask, Language, LiveFilter, Piece, Progress, Rooms, SearchError, SpoolStatus, StoreStatus, Summary},
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
