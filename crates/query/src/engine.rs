//! Runs queries over a store.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use datafusion::{
    datasource::TableProvider,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{FairSpillPool, GreedyMemoryPool, MemoryPool},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::LogicalPlan,
    physical_plan::execute_stream,
    prelude::{SessionConfig, SessionContext},
};
use tokio::sync::watch;
use vedette_event::{Derive, Time};
use vedette_store::Store;

use crate::{
    Answer, QueryError,
    compile::{Compiler, fields},
    lookup, sql,
    syntax::{self, Ast, Diagnostic},
    table::{Deriver, EventsTable, Misses, SourceLookup, TableColumns},
};

/// The stack on which queries are planned. Only what is used of it becomes memory.
const PLAN_STACK: usize = 64 << 20;

/// The caller's wish to stop a query. Clones share it.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(Arc::new(watch::Sender::new(false)))
    }
}

impl Cancel {
    /// Stops the query; it answers with [`QueryError::Cancelled`].
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// True once [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn cancelled(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        if self.0.subscribe().wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The error with which a cancelled scan ends.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(crate) struct Cancelled;

/// How far a query is. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU64,
    wanted: AtomicU64,
    scanned: AtomicU64,
    skipped: AtomicU64,
    matched: AtomicU64,
}

/// A reading of [`Progress`]. A batch of the hot tail counts as a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Granules that the store has.
    pub granules: u64,
    /// Those that time bounds, the token index and earlier scans left to be read.
    pub wanted: u64,
    /// Those that were read.
    pub scanned: u64,
    /// Those that turned out not to be needed while the query ran.
    pub skipped: u64,
    /// Rows that passed the filters.
    pub matched: u64,
}

impl Progress {
    /// The numbers now.
    pub fn read(&self) -> Done {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &*self.0;
        Done {
            granules: get(&counts.total),
            wanted: get(&counts.wanted),
            scanned: get(&counts.scanned),
            skipped: get(&counts.skipped),
            matched: get(&counts.matched),
        }
    }

    pub(crate) fn planned(&self, total: u64, wanted: u64) {
        self.0.total.fetch_add(total, Ordering::Relaxed);
        self.0.wanted.fetch_add(wanted, Ordering::Relaxed);
    }

    pub(crate) fn scanned(&self, granules: u64, matched: u64) {
        self.0.scanned.fetch_add(granules, Ordering::Relaxed);
        self.0.matched.fetch_add(matched, Ordering::Relaxed);
    }

    pub(crate) fn skipped(&self, granules: u64) {
        self.0.skipped.fetch_add(granules, Ordering::Relaxed);
    }
}

/// What an engine may use.
#[derive(Clone)]
pub struct Options {
    /// Memory for sorting, grouping and joining, over all queries.
    pub memory_bytes: usize,
    /// Threads that one query uses.
    pub threads: usize,
    /// Where large sorts and groups may be put; `None` ends such a query instead.
    pub spill_dir: Option<PathBuf>,
    /// Knows sources better than the store does; see [`SourceLookup`].
    pub sources: Option<SourceLookup>,
}

impl Default for Options {
    fn default() -> Self {
        Options { memory_bytes: 128 << 20, threads: 2, spill_dir: None, sources: None }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("memory_bytes", &self.memory_bytes)
            .field("threads", &self.threads)
            .field("spill_dir", &self.spill_dir)
            .finish_non_exhaustive()
    }
}

/// Which language a query is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Search box and pipes.
    #[default]
    Hunt,
    /// SQL.
    Sql,
}

/// A query and its limits.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text.
    pub text: String,
    /// Its language.
    pub language: Language,
    /// Events at or after this time.
    pub from: Option<Time>,
    /// Events before this time.
    pub to: Option<Time>,
    /// What `now()` is; without it `to`, or the clock.
    pub now: Option<Time>,
    /// Rows need no order: they come as they are found, newest segments first, and nothing is held to sort them.
    pub unordered: bool,
    /// The most rows of the answer (`usize::MAX`: all); whether there were more is told by [`Answer::truncated`].
    pub limit: usize,
    /// The most bytes of the answer, as Arrow holds it.
    pub max_bytes: u64,
    /// Tables for `lookup` and `join`, and for SQL: a name, and CSV with a header line, a JSON array of objects, or
    /// one JSON object per line.
    pub tables: BTreeMap<String, String>,
}

impl Request {
    /// A hunt over all times, with at most 1,000 rows and 64 MiB.
    pub fn hunt(text: impl Into<String>) -> Self {
        Request {
            text: text.into(),
            language: Language::Hunt,
            from: None,
            to: None,
            now: None,
            unordered: false,
            limit: 1000,
            max_bytes: 64 << 20,
            tables: BTreeMap::new(),
        }
    }

    /// SQL, with the same limits.
    pub fn sql(text: impl Into<String>) -> Self {
        Request { language: Language::Sql, ..Request::hunt(text) }
    }

    /// One row more than the limit, to know whether there are more; none for a limit that nothing can reach, because
    /// the planner adds to it.
    pub(crate) fn fetch(&self) -> Option<usize> {
        const UNREACHABLE: usize = 1 << 40;
        (self.limit < UNREACHABLE).then(|| self.limit + 1)
    }

    pub(crate) fn now(&self) -> Time {
        self.now.or(self.to).unwrap_or_else(|| Time::from_micros(jiff::Timestamp::now().as_microsecond()))
    }
}

/// Answers queries over one store. Cheap to clone. It owns no threads of its own: call it within a tokio runtime.
#[derive(Clone)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) deriver: Deriver,
    misses: Arc<Misses>,
    runtime: Arc<RuntimeEnv>,
    threads: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({} threads)", self.threads)
    }
}

impl Engine {
    /// An engine over `store`. `derive` gives fields that the store does not keep; it should be what the events
    /// were parsed with.
    ///
    /// # Errors
    /// If the spill folder cannot be used.
    pub fn new(store: Store, derive: Arc<dyn Derive>, options: Options) -> Result<Engine, QueryError> {
        let (pool, disk): (Arc<dyn MemoryPool>, DiskManagerMode) = match options.spill_dir {
            Some(dir) => (Arc::new(FairSpillPool::new(options.memory_bytes)), DiskManagerMode::Directories(vec![dir])),
            None => (Arc::new(GreedyMemoryPool::new(options.memory_bytes)), DiskManagerMode::Disabled),
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()?;
        let deriver = Deriver { derive, sources: options.sources };
        Ok(Engine { store, deriver, misses: Arc::default(), runtime, threads: options.threads.max(1) })
    }

    /// Runs a query. Rows are computed as the answer is read.
    ///
    /// # Errors
    /// If the text is wrong, or planning fails; failures while rows are computed come from [`Answer::next`].
    pub async fn run(&self, request: Request, progress: &Progress, cancel: &Cancel) -> Result<Answer, QueryError> {
        let ast = match request.language {
            Language::Hunt => Some(syntax::parse(&request.text).map_err(QueryError::Text)?),
            Language::Sql => None,
        };
        self.plan(ast, request, progress, cancel).await
    }

    /// Plans a hunt, or SQL without a tree, on a thread of its own: DataFusion's planner recurses with the depth of
    /// the query, and the caller's threads may have small stacks.
    pub(crate) async fn plan(
        &self,
        ast: Option<Ast>,
        request: Request,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        let (engine, progress, cancel) = (self.clone(), progress.clone(), cancel.clone());
        let runtime = tokio::runtime::Handle::current();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let plan = move || {
            let answer = runtime.block_on(async {
                match &ast {
                    Some(ast) => engine.run_ast(ast, &request, &progress, &cancel).await,
                    None => engine.run_sql(&request, &progress, &cancel).await,
                }
            });
            // A caller who has gone needs no answer.
            drop(sender.send(answer));
        };
        std::thread::Builder::new()
            .name("query-plan".to_owned())
            .stack_size(PLAN_STACK)
            .spawn(plan)
            .map_err(|error| QueryError::Failed(format!("no thread to plan on: {error}")))?;
        receiver.await.map_err(|_| QueryError::Failed("planning ended without an answer".to_owned()))?
    }

    async fn run_ast(
        &self,
        ast: &Ast,
        request: &Request,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        let context = self.context();
        let tables = tables(request)?;
        let table_columns = |name: &str| -> Vec<String> {
            let columns = tables.get(name).map(|table| table.schema());
            columns.iter().flat_map(|schema| schema.fields()).map(|field| field.name().clone()).collect()
        };
        let events = self.events(&fields(ast, &table_columns), request, progress, cancel);
        let compiler = Compiler { text: &request.text, events, tables: &tables, now: request.now() };
        let flow = match request.unordered {
            true => compiler.unordered(ast, request.fetch())?,
            false => compiler.query(ast, request.fetch())?,
        };
        let extended = flow.events.then_some(flow.extended);
        self.answer(&context, flow.plan, extended, request, cancel).await
    }

    async fn run_sql(&self, request: &Request, progress: &Progress, cancel: &Cancel) -> Result<Answer, QueryError> {
        let context = self.context();
        let mut statement = sql::parse(&request.text)?;
        let tables = tables(request)?;
        let names = sql::prepare(&mut statement, &request.text, tables.keys().map(String::as_str))?;
        let events: Arc<dyn TableProvider> = self.events(&names, request, progress, cancel);
        context.register_table("events", events)?;
        for (name, table) in &tables {
            context.register_table(datafusion::common::TableReference::bare(name.as_str()), table.clone())?;
        }
        let plan = sql::plan(&context, statement, &request.text, request.fetch()).await?;
        self.answer(&context, plan, None, request, cancel).await
    }

    fn context(&self) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.threads)
            .with_information_schema(false)
            .with_batch_size(4096);
        // Text columns are plain text, as the store reads them.
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        SessionContext::new_with_config_rt(config, self.runtime.clone())
    }

    fn events(
        &self,
        names: &std::collections::BTreeSet<String>,
        request: &Request,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Arc<EventsTable> {
        Arc::new(EventsTable {
            snapshot: Arc::new(self.store.snapshot()),
            columns: TableColumns::new(names),
            range: (request.from, request.to),
            deriver: self.deriver.clone(),
            misses: self.misses.clone(),
            progress: progress.clone(),
            cancel: cancel.clone(),
            partitions: self.threads,
        })
    }

    async fn answer(
        &self,
        context: &SessionContext,
        plan: LogicalPlan,
        extended: Option<Vec<String>>,
        request: &Request,
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        let state = context.state();
        let physical = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(QueryError::Cancelled),
            physical = state.create_physical_plan(&plan) => physical?,
        };
        let stream = execute_stream(physical, context.task_ctx())?;
        Ok(Answer::new(stream, extended, self.deriver.clone(), request, cancel.clone()))
    }
}

fn tables(request: &Request) -> Result<HashMap<String, Arc<dyn TableProvider>>, QueryError> {
    request.tables.iter().map(|(name, text)| Ok((name.clone(), lookup::table(name, text)?))).collect()
}

/// Reads a query without running it, for editors.
///
/// # Errors
/// See [`syntax::parse`].
pub fn parse(text: &str) -> Result<Ast, Vec<Diagnostic>> {
    syntax::parse(text)
}

/// Reads a time as the language writes it: `2026-11-21`, `2026-11-21 04:11`, RFC 3339, `now`, `now-15m`.
pub fn parse_time(text: &str, now: Time) -> Option<Time> {
    crate::compile::parse_time(text, now).map(|(time, _)| time)
}
