//! A data folder with everything that works on it.

pub mod activity;
pub mod anchors;
pub mod attended;
pub mod budget;
pub mod content;
pub mod correlator;
pub mod custody;
pub mod findings;
pub mod indicators;
pub mod journal;
pub mod ledger;
pub mod local_backup;
pub mod local_import;
pub mod local_replay;
pub mod logsources;
pub mod maintenance;
pub mod own_files;
pub mod own_parsers;
pub mod pipeline;
pub mod post;
pub mod proof;
pub mod quiet;
pub mod receivers;
pub mod replay;
pub mod retrohunt;
pub mod rules;
pub mod rules_view;
pub mod ruleset;
pub mod sealer;
pub mod settings;
pub mod taxii;
pub mod views;
pub mod web;
pub mod whole_file;
pub mod witnesses;

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use anyhow::Context;
use vedette_alert::Alerts;
use vedette_event::{Derive, Diagnostic, SourceId};
use vedette_intake::parse::Parsers;
use vedette_ledger::Ledger;
use vedette_notify::Notifier;
use vedette_query::{Engine, SourceLookup};
use vedette_spool::Spool;
use vedette_store::{NewSegment, Store};

use self::{
    indicators::Watchlist, maintenance::Clock, own_parsers::OwnParsers, pipeline::Pipeline, rules::Rules, sealer::News,
    settings::Settings,
};
use crate::config::{Config, Receivers};

/// An open data folder: spool, store, alerts, parsers, rules and the query engine over them. Holds the
/// spool's lock, so there is one per folder.
pub struct Node {
    /// The data folder.
    pub dir: PathBuf,
    /// The durable batch log.
    pub spool: Spool,
    /// What proves the history.
    pub ledger: Ledger,
    /// The searchable history.
    pub store: Store,
    /// The inbox.
    pub alerts: Alerts,
    /// Who is told of it.
    pub notifier: Notifier,
    /// What derives fields.
    pub parsers: Arc<Parsers>,
    /// What detects.
    pub rules: Arc<Rules>,
    /// What is looked for in events.
    pub indicators: Arc<Watchlist>,
    /// What answers questions.
    pub engine: Engine,
    /// Parsers that did not load.
    pub refused_parsers: Vec<Diagnostic>,
    /// What can be changed while it runs.
    pub settings: Settings,
    /// Where records come in, as the settings say.
    pub receivers: Receivers,
    /// The clock that the store counts ages by.
    pub ages: Clock,
    /// What happened to the sealer's process.
    pub sealer: News,
}

impl Node {
    /// Opens, and creates where needed, a data folder.
    ///
    /// # Errors
    /// Another process holds it; a part is damaged or newer than this binary.
    pub fn open(dir: &Path, config: &Config) -> anyhow::Result<Node> {
        make_private_dir(dir)?;
        let (settings, config) = Settings::load(dir, config)?;
        let config = &config;
        let spool = Spool::open(&dir.join("spool"), spool_options(config))
            .with_context(|| format!("cannot open the data folder {}", dir.display()))?;
        let (ledger, sealer) = ledger::open(dir, config)?;
        let ages = maintenance::steady_clock();
        let store = Store::open(&dir.join("store"), store_options(config, &settings, &ages, &ledger))
            .context("cannot open the store")?;
        let alerts = open_alerts(dir, config)?;
        let notifier = Notifier::open(&dir.join("notify.db"), config.notifications.clone())
            .context("cannot open the notifications")?;
        let (parsers, refused_parsers) = parsers(config, Some(dir));
        let parsers = Arc::new(parsers);
        let rules = Arc::new(Rules::load(&config.detection, dir)?);
        let indicators = Arc::new(Watchlist::load(&config.detection.indicators, dir)?);
        let derive: Arc<dyn Derive> = parsers.clone();
        let engine = Engine::new(
            store.clone(),
            derive,
            vedette_query::Options { sources: Some(sources(&spool)), ..Default::default() },
        )?;
        let dir = dir.to_owned();
        Ok(Node {
            dir,
            spool,
            ledger,
            store,
            alerts,
            notifier,
            parsers,
            rules,
            indicators,
            engine,
            refused_parsers,
            settings,
            receivers: config.receivers.clone(),
            ages,
            sealer,
        })
    }

    /// A pipeline over this folder.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn pipeline(&self) -> anyhow::Result<Pipeline> {
        Pipeline::new(self)
    }

    /// The names of sources by their numbers.
    pub fn source_names(&self) -> impl Fn(SourceId) -> Option<String> + Send + Sync + 'static {
        let lookup = sources(&self.spool);
        move |id| Some(lookup(id, "")?.name.to_string())
    }

    /// Brings everything that is durable in the spool into the store, and seals it. Imports have ended.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn catch_up(&self) -> anyhow::Result<()> {
        let mut pipeline = self.pipeline()?;
        pipeline.end_imports();
        pipeline.run(&AtomicBool::new(true))
    }
}

/// Sources as the spool knows them, with their configured parsers: what is derived again must be derived alike.
pub(super) fn sources(spool: &Spool) -> SourceLookup {
    let (spool, known) = (spool.clone(), Mutex::new(HashMap::new()));
    Arc::new(move |id, _| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains_key(&id) {
            known.extend(spool.ledger().into_iter().map(|(source, _)| (source.id, source)));
        }
        known.get(&id).cloned()
    })
}

fn open_alerts(dir: &Path, config: &Config) -> anyhow::Result<Alerts> {
    let alerts = Alerts::open(&dir.join("alerts.db")).context("cannot open the alerts")?;
    let risk = &config.detection.risk;
    let alerts = alerts.with_risk(risk.options())?;
    Ok(if risk.on { alerts } else { alerts.without_risk() })
}

/// The configured parsers over the built-in ones, and over all those of the data folder.
pub fn parsers(config: &Config, dir: Option<&Path>) -> (Parsers, Vec<Diagnostic>) {
    let configured = config.detection.parsers.clone();
    match dir.map_or(configured.clone(), |dir| OwnParsers::new(dir, &configured).folders()) {
        folders if folders.is_empty() => (Parsers::builtin(), Vec::new()),
        folders => Parsers::load(&folders),
    }
}

fn spool_options(config: &Config) -> vedette_spool::Options {
    vedette_spool::Options {
        max_record_bytes: config.storage.max_record_bytes,
        min_free_bytes: config.storage.min_free_bytes,
        ..Default::default()
    }
}

fn store_options(config: &Config, settings: &Settings, ages: &Clock, ledger: &Ledger) -> vedette_store::Options {
    let ((keep, budget), ledger) = (settings.kept(), ledger.clone());
    // What the manifest has is in a signed checkpoint before: the events, and the files with what was derived of them.
    let seal = move |new: &[NewSegment]| ledger::seal_segments(&ledger, new).map_err(|error| format!("{error:#}"));
    vedette_store::Options {
        seal_age: config.storage.seal_after(),
        keep,
        budget,
        clock: ages.clone(),
        before_commit: Some(Arc::new(seal)),
        ..Default::default()
    }
}

/// A folder that only its owner can enter: it holds everybody's secrets.
fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot create the data folder {}", dir.display()))?;
    let permissions = fs::metadata(dir)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        tracing::warn!(dir = %dir.display(), "the data folder is open to others; closing it");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
