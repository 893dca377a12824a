//! Indicators of compromise in force: feeds from files, reloaded when they change, and what is new looked for in history.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool, atomic::Ordering},
    time::SystemTime,
};

use anyhow::Context;
use bytes::Bytes;
use vedette_alert::Alerts;
use vedette_event::{Batch, Finding, Source};
use vedette_indicator::{
    Account, Builder, Feed, Format, Indicator, Indicators, Kind, Look, Observable, Options, Settled, read, searches,
};
use vedette_query::{Cancel, Engine, Passed, Progress, QueryError, Request};
use vedette_server::{IndicatorFeed, IndicatorServer, IndicatorStatus, IndicatorsView, KnownIndicator};
use vedette_spool::Spool;

use super::{
    findings,
    journal::SelfJournal,
    taxii::{self, Polls},
    whole_file,
};
use crate::config::IndicatorOptions;

/// The folder in the data folder with feeds of its own.
pub const OWN: &str = "indicators";
/// The file in the data folder that says which feeds history was searched for.
const SEARCHED: &str = "indicators_searched.json";
/// Up to so many new values are looked for by searches; beyond, all of history is read.
const MOST_SEARCHED: usize = 2_000;
/// Findings of history are made durable in portions.
const PORTION: usize = 500;
/// Enough of a file to tell its format.
const HEAD: usize = 16 << 10;
const DAY: i64 = 86_400 * 1_000_000;

/// Path, size, and when it was changed.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// What is looked for in events.
pub struct Watchlist {
    options: IndicatorOptions,
    dir: PathBuf,
    state: RwLock<Arc<InForce>>,
    /// The set that history was searched for.
    searched: Mutex<Arc<InForce>>,
    is_searching: AtomicBool,
}

/// A set, and how it came to be.
pub struct InForce {
    /// The set.
    pub set: Indicators,
    /// What each file came to; a reason where it could not be read to its end: what was read of it holds.
    pub files: Vec<(PathBuf, Result<Account, String>)>,
    /// What became of what was read.
    pub settled: Settled,
    stamp: Stamp,
}

impl Watchlist {
    /// Loads the configured feeds, and those of the data folder.
    ///
    /// # Errors
    /// The file of what was searched for is damaged.
    pub fn load(options: &IndicatorOptions, dir: &Path) -> anyhow::Result<Watchlist> {
        let (options, dir) = (options.clone(), dir.to_owned());
        let current = Arc::new(InForce::load(&options, &paths(&options, &dir)));
        let known: Option<Stamp> = whole_file::read_json(&dir.join(SEARCHED))?;
        let searched = match known {
            Some(stamp) if stamp == current.stamp => current.clone(),
            _ => Arc::new(InForce::nothing()),
        };
        let (state, searched) = (RwLock::new(current), Mutex::new(searched));
        Ok(Watchlist { options, dir, state, searched, is_searching: AtomicBool::new(false) })
    }

    /// What is in force.
    pub fn current(&self) -> Arc<InForce> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads again if a file changed, and swaps the set in one step. The new set, if there is one.
    pub fn reload_if_changed(&self) -> Option<Arc<InForce>> {
        let paths = paths(&self.options, &self.dir);
        if stamp(&paths) == self.current().stamp {
            return None;
        }
        let next = Arc::new(InForce::load(&self.options, &paths));
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        Some(next)
    }

    /// Searches history, on a thread of its own, for what is in force and was not searched for yet. One search at a time.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn search_history(self: &Arc<Self>, history: &Arc<History>) -> anyhow::Result<()> {
        let current = self.current();
        let searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if Arc::ptr_eq(&current, &searched) || self.is_searching.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (watchlist, history) = (self.clone(), history.clone());
        let search = move || {
            match history.search(&current, &searched) {
                Ok(()) => watchlist.was_searched(current),
                Err(error) => tracing::error!("history was not searched for new indicators, trying again: {error:#}"),
            }
            watchlist.is_searching.store(false, Ordering::Release);
        };
        let started = std::thread::Builder::new().name("indicators".into()).spawn(search);
        started
            .map(drop)
            .inspect_err(|_| self.is_searching.store(false, Ordering::Release))
            .context("cannot start a thread")
    }

    fn was_searched(&self, set: Arc<InForce>) {
        let written = serde_json::to_vec(&set.stamp).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|bytes| whole_file::replace(&self.dir.join(SEARCHED), &bytes)) {
            tracing::error!("cannot write {SEARCHED}: {error}");
        }
        *self.searched.lock().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

fn paths(options: &IndicatorOptions, dir: &Path) -> Vec<PathBuf> {
    let own = dir.join(OWN);
    let fetched = options.taxii.iter().map(|server| dir.join(taxii::FETCHED).join(&server.name));
    options.files.iter().cloned().chain(fetched).chain(own.is_dir().then_some(own)).collect()
}

/// A feed is named after its file; what was fetched from a server after that.
fn feed(path: &Path) -> String {
    let folder = path.parent().filter(|folder| folder.parent().is_some_and(|above| above.ends_with(taxii::FETCHED)));
    let named = folder.and_then(Path::file_name).or(path.file_stem()).unwrap_or(path.as_os_str());
    named.to_string_lossy().into_owned()
}

/// The files at these paths and in these folders, but for hidden ones, in name order.
fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        let Ok(entries) = std::fs::read_dir(path) else {
            files.push(path.clone());
            continue;
        };
        let inside = entries.flatten().map(|entry| entry.path());
        let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        files.extend(inside.filter(|path| path.is_file() && !is_hidden(path)));
    }
    files.sort();
    files.dedup();
    files
}

fn stamp(paths: &[PathBuf]) -> Stamp {
    let stamp = files(paths).into_iter().map(|path| {
        let metadata = std::fs::metadata(&path).ok();
        let (size, changed) = metadata.map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()));
        (path, size, changed)
    });
    stamp.collect()
}

/// Reads one feed, which is named after its file.
///
/// # Errors
/// It cannot be read to its end.
pub fn read_file(path: &Path, builder: &mut Builder) -> Result<Account, String> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let mut input = BufReader::with_capacity(HEAD, file);
    let format = Format::detect(input.fill_buf().map_err(|error| format!("{name}: {error}"))?);
    read(format, &Feed::new(&feed(path)), &name, input, &mut |item| builder.add(&item))
        .map_err(|broken| broken.to_string())
}

impl InForce {
    fn nothing() -> InForce {
        let (set, settled) = Builder::new(Options::default()).finish();
        InForce { set, files: Vec::new(), settled, stamp: Stamp::new() }
    }

    fn load(options: &IndicatorOptions, paths: &[PathBuf]) -> InForce {
        // The stamp is taken first: a file that changes while it is read is read again.
        let stamp = stamp(paths);
        let lookback = i64::from(options.lookback_days) * DAY;
        let mut builder = Builder::new(Options { lookback, ..Options::default() });
        let read = |path: PathBuf| {
            let account = read_file(&path, &mut builder);
            if let Err(error) = &account {
                tracing::error!("a feed of indicators is cut off: {error}");
            }
            (path, account)
        };
        let files = stamp.iter().map(|(path, ..)| path.clone()).map(read).collect();
        let (set, settled) = builder.finish();
        InForce { set, files, settled, stamp }
    }

    /// What was refused, over all files.
    pub fn refusals(&self) -> u64 {
        self.files.iter().map(|(_, account)| account.as_ref().map_or(1, Account::refusals)).sum()
    }
}

/// The watchlist as the server sees it.
pub struct WatchlistView {
    /// What is in force.
    pub watchlist: Arc<Watchlist>,
    /// How polls of servers went.
    pub polls: Polls,
}

impl IndicatorsView for WatchlistView {
    fn status(&self) -> IndicatorStatus {
        let current = self.watchlist.current();
        let feeds = current.files.iter().map(|(path, account)| {
            let known = IndicatorFeed { name: feed(path), file: path.display().to_string(), ..Default::default() };
            match account {
                Ok(account) => IndicatorFeed {
                    taken: account.taken,
                    withdrawn: account.withdrawn,
                    refused: account.refusals(),
                    refusals: account.shown.iter().map(ToString::to_string).collect(),
                    ..known
                },
                Err(failure) => IndicatorFeed { failure: Some(failure.clone()), ..known },
            }
        });
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = self.watchlist.options.taxii.iter().map(|server| {
            let polled = polls.get(&server.name).cloned().unwrap_or_default();
            IndicatorServer {
                name: server.name.clone(),
                url: server.url.clone(),
                every_minutes: server.every_minutes,
                last: polled.last,
                failure: polled.failure,
            }
        });
        IndicatorStatus {
            indicators: current.settled.indicators,
            values: current.set.len() as u64,
            bytes: current.set.bytes() as u64,
            left_out: current.settled.crowded + current.settled.over_limit,
            feeds: feeds.collect(),
            servers: servers.collect(),
        }
    }

    fn find(&self, value: &str) -> Result<Vec<KnownIndicator>, String> {
        let current = self.watchlist.current();
        Ok(known(&current.set, value)?
            .into_iter()
            .map(|(observable, indicator)| KnownIndicator {
                value: observable.to_string(),
                kind: observable.kind().to_string(),
                feed: indicator.feed.to_string(),
                name: indicator.name,
                confidence: indicator.confidence,
                from: indicator.valid_from,
                until: indicator.valid_until,
                reference: indicator.reference,
                labels: indicator.labels,
            })
            .collect())
    }
}

/// Everything that is known of a value.
///
/// # Errors
/// Why it is nothing that is looked for.
pub fn known(set: &Indicators, value: &str) -> Result<Vec<(Observable, Indicator)>, String> {
    let (observable, _) = Observable::guess(value).map_err(|unfit| format!("`{value}`: {unfit}"))?;
    let look = match observable.kind() {
        Kind::Address => Some(Look::Address),
        Kind::Network => None,
        Kind::Domain => Some(Look::Domain),
        Kind::Url => Some(Look::Url),
        Kind::Md5 | Kind::Sha1 | Kind::Sha256 | Kind::Sha512 => Some(Look::Hash),
        Kind::Mail => Some(Look::Mail),
    };
    let mut found = Vec::new();
    match look {
        Some(look) => set.look_up(look, &observable.to_string(), &mut found),
        None => found.extend(set.get(&observable)),
    }
    let indicators = found.iter().flat_map(|known| known.indicators().map(|indicator| (known.observable(), indicator)));
    Ok(indicators.collect())
}

/// Where new indicators are looked for.
pub struct History {
    /// What has it.
    pub engine: Engine,
    /// Where findings go.
    pub spool: Spool,
    /// Which findings are known.
    pub alerts: Alerts,
    /// Where searches are said.
    pub journal: SelfJournal,
    /// The source of findings.
    pub findings: Arc<Source>,
    /// Set when the monitor stops.
    pub cancel: Cancel,
}

impl History {
    fn search(&self, current: &InForce, searched: &InForce) -> anyhow::Result<()> {
        let new: Vec<Observable> = current.set.new_in(&searched.set).map(|known| known.observable()).collect();
        if new.is_empty() {
            return Ok(());
        }
        let details = vec![("indicators", new.len().to_string())];
        self.journal.write("indicators.search_history", None, details)?;
        let mut found = Vec::new();
        let (mut count, mut new) = (0, Some(new));
        let take = |batch: &Batch, found: &mut Vec<Finding>| -> anyhow::Result<usize> {
            // Vedette's own findings and searches name indicators, too.
            if &*batch.source().receiver != findings::RECEIVER {
                current.set.matches(batch, found);
            }
            if found.len() < PORTION { Ok(0) } else { self.report(found) }
        };
        match new.take().filter(|new| new.len() <= MOST_SEARCHED) {
            Some(new) => {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                for search in searches(new) {
                    count += runtime.block_on(self.run(&search, |batch| take(batch, &mut found)))?;
                }
            }
            None => {
                self.engine.history((None, None), None, &Progress::default(), &self.cancel, |passed| match passed {
                    Passed::Events(batch) => take(batch, &mut found).map(|more| count += more).map_err(Stopped::Failed),
                    Passed::Until(_) => Ok(()),
                })?
            }
        }
        count += self.report(&mut found)?;
        tracing::info!(findings = count, "history was searched for new indicators");
        Ok(())
    }

    async fn run(&self, search: &str, mut take: impl FnMut(&Batch) -> anyhow::Result<usize>) -> anyhow::Result<usize> {
        let request = Request { unordered: true, limit: usize::MAX, max_bytes: u64::MAX, ..Request::hunt(search) };
        let mut answer = self.engine.run(request, &Progress::default(), &self.cancel).await?;
        let mut count = 0;
        while let Some(rows) = answer.next().await? {
            for batch in answer.batches(&rows) {
                count += take(&batch)?;
            }
        }
        Ok(count)
    }

    /// Makes findings that are not known yet durable.
    fn report(&self, found: &mut Vec<Finding>) -> anyhow::Result<usize> {
        let mut records = Vec::new();
        for finding in found.drain(..) {
            if !self.alerts.has(finding.id)? {
                records.push(Bytes::from(findings::encode(&finding)));
            }
        }
        let count = records.len();
        if count > 0 {
            self.spool.append_own(&self.findings, records)?.wait_blocking()?;
        }
        Ok(count)
    }
}

/// Why reading history ended early.
#[derive(Debug)]
enum Stopped {
    Query(QueryError),
    Failed(anyhow::Error),
}

impl From<QueryError> for Stopped {
    fn from(error: QueryError) -> Self {
        Stopped::Query(error)
    }
}

impl From<Stopped> for anyhow::Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Query(error) => error.into(),
            Stopped::Failed(error) => error,
        }
    }
}
