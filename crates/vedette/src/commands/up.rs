//! `vedette up`: everything on this machine.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use vedette_intake::receive::http::presented_token;
use vedette_query::Cancel;
use vedette_server::{
    App, Console, Counters, Gates, LiveTail, Local, Searches,
    accounts::{Accounts, Scope},
    listen::{self, Certificate, Limits},
    system_clock,
};

use crate::{
    Outcome, Usage,
    cli::UpArgs,
    client,
    config::{self, Config},
    node::{
        Node,
        activity::Activities,
        anchors::Authority,
        budget::Budget,
        content,
        custody::Keeper,
        findings,
        indicators::{History, WatchlistView},
        journal::SelfJournal,
        local_backup, local_import,
        local_replay::{self, Replays},
        maintenance::{Maintenance, now},
        own_parsers::OwnParsers,
        proof::{Acknowledgements, Proof},
        quiet::Quiet,
        receivers::{self, Listening, Receiving},
        retrohunt::Hunts,
        taxii::{Fetcher, Polls},
        views::NodeHealth,
        witnesses,
    },
};

/// Runs the command until SIGTERM or SIGINT.
pub fn run(args: UpArgs) -> anyhow::Result<Outcome> {
    let mut config = Config::load(args.data.config.as_deref())?;
    config.console.dir = args.console_dir.or(config.console.dir);
    let dir = config::data_dir(args.data.data.as_deref(), Some(&config));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let node = Node::open(&dir, &config)?;
    config::remember(&dir, args.data.config.as_deref())?;
    runtime.block_on(up(config, node))?;
    Ok(Outcome::Fine)
}

async fn up(config: Config, node: Node) -> anyhow::Result<()> {
    for refused in node.rules.refused().iter() {
        tracing::warn!("rule refused: {refused}");
    }
    for refused in &node.refused_parsers {
        tracing::warn!("parser refused: {refused}");
    }
    for name in receivers::unknown_parsers(&node.receivers, &node.parsers) {
        tracing::warn!("there is no parser `{name}`: the files that it is named for are parsed by their content");
    }
    let files = match &config.console.dir {
        Some(dir) => Console::folder(dir).map_err(Usage)?,
        None => Console::embedded(content::CONSOLE),
    };
    let witnesses = config.ledger.witnesses.iter().map(config::Witness::parse).collect::<Result<Vec<_>, _>>();
    let witnesses = witnesses.map_err(Usage)?;
    let shutdown = CancellationToken::new();
    let keys: Vec<_> = witnesses.iter().map(|(_, key)| key.clone()).collect();
    let proof = Proof::new(node.ledger.clone(), &keys, config.ledger.required_witnesses, shutdown.clone());
    let authorities = Authority::configured(&config.ledger.anchors)?;
    let journal = SelfJournal::new(&node.spool)?;
    let polls = Polls::default();
    let servers = config.detection.indicators.taxii.iter();
    let fetchers = servers.map(|server| Fetcher::new(server, &node.dir, journal.clone(), polls.clone()));
    let fetchers = fetchers.collect::<anyhow::Result<Vec<_>>>()?;
    let mut started = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    started.extend(config.file.iter().flat_map(|file| {
        [("configuration", file.path.display().to_string()), ("configuration_blake3", file.hash.clone())]
    }));
    journal.write("vedette.start", None, started)?;
    let live = LiveTail::default();
    let mut pipeline = node.pipeline()?;
    pipeline.watch(live.clone());
    let before = node.store.stats().sources.into_iter().filter_map(|(source, stats)| Some((source, stats.received?)));
    let activities = Arc::new(Activities::new(now(), before));
    pipeline.note(activities.clone());
    let counters = pipeline.counters();
    let over = (node.engine.clone(), node.rules.clone(), &*node.parsers);
    let hunts = Arc::new(Hunts::open(&node.dir, &config.detection.retrohunt, over, journal.clone())?);
    let stop = Arc::new(AtomicBool::new(false));
    let failed = CancellationToken::new();
    let pipeline = {
        let (stop, failed) = (stop.clone(), failed.clone());
        thread::Builder::new().name("pipeline".into()).spawn(move || {
            let result = pipeline.run(&stop);
            if let Err(error) = &result {
                tracing::error!("the pipeline stopped: {error:#}");
                failed.cancel();
            }
            result
        })?
    };
    let patience = config.detection.quiet_sources.patience();
    let quiet = Arc::new(Quiet::open(&node.dir, patience, &node.spool, &node.alerts, &journal, now())?);
    let hunting = {
        let hunts = hunts.clone();
        thread::Builder::new().name("retrohunt".into()).spawn(move || hunts.run())?
    };
    let budget = config.detection.alerts_per_day;
    let budget = Arc::new(Budget::new(budget, node.alerts.clone(), journal.clone()));
    let maintenance = Maintenance {
        budget: budget.clone(),
        hunts: hunts.clone(),
        spool: node.spool.clone(),
        ledger: node.ledger.clone(),
        store: node.store.clone(),
        alerts: node.alerts.clone(),
        settings: node.settings.clone(),
        rules: node.rules.clone(),
        indicators: node.indicators.clone(),
        history: Arc::new(History {
            engine: node.engine.clone(),
            spool: node.spool.clone(),
            alerts: node.alerts.clone(),
            journal: journal.clone(),
            findings: node.spool.source(findings::SOURCE, findings::RECEIVER, None)?,
            cancel: Cancel::default(),
        }),
        journal: journal.clone(),
        sealer: node.sealer.clone(),
        quiet: quiet.clone(),
        ages: node.ages.clone(),
    };
    let maintenance = {
        let stop = stop.clone();
        thread::Builder::new().name("maintenance".into()).spawn(move || maintenance.run(&stop))?
    };

    let accounts = Accounts::open(&node.dir.join("users.db"))?;
    let token_accounts = accounts.clone();
    let authorize = move |headers: &axum::http::HeaderMap, _: Option<SocketAddr>| {
        let token = presented_token(headers).and_then(|token| token_accounts.token(&token, now()).ok().flatten());
        token.is_some_and(|token| token.scopes.allows(Scope::Ingest))
    };
    let acknowledge = Arc::new(Acknowledgements(proof.clone()));
    let senders = receivers::Senders { authorize: Arc::new(authorize), acknowledge };
    let receiving = Arc::new(Receiving::new(node.dir.clone(), node.spool.clone(), senders));
    let rooms = Arc::new(Local::new(node.spool.clone(), node.store.clone(), node.engine.clone()));
    let keeper = Arc::new(Keeper::new(&node, rooms.clone(), journal.clone(), Handle::current()));
    // Sealing, which it waits for, goes on meanwhile.
    let unfinished = keeper.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = unfinished.finish_erasure() {
            tracing::error!("{error:#}");
        }
    });
    let app = Arc::new(App {
        alerts: node.alerts.clone(),
        notifier: node.notifier.clone(),
        accounts: accounts.clone(),
        searches: Searches::open(&node.dir.join("searches.db"))?,
        rooms,
        custody: keeper.clone(),
        rules: node.rules.clone(),
        indicators: Arc::new(WatchlistView { watchlist: node.indicators.clone(), polls }),
        retrohunts: hunts.clone(),
        parsers: Arc::new(OwnParsers::new(&node.dir, &config.detection.parsers)),
        settings: Arc::new(node.settings.view(&node.store, &node.notifier, receiving.clone())),
        journal: Arc::new(journal.clone()),
        health: Arc::new(NodeHealth {
            dir: node.dir.clone(),
            activities,
            spool: node.spool.clone(),
            rules: node.rules.clone(),
            refused_parsers: node.refused_parsers.len(),
            counters,
            proof: proof.clone(),
            receiving: receiving.clone(),
            quiet,
            notifier: node.notifier.clone(),
            budget,
        }),
        console: files,
        live,
        clock: system_clock(),
        version: env!("CARGO_PKG_VERSION"),
        counters: Counters::default(),
        gates: Gates::default(),
    });

    let listener = TcpListener::bind(config.console.listen)
        .await
        .with_context(|| format!("cannot listen on {} for the console", config.console.listen))?;
    let console = listener.local_addr()?;
    let certificate = certificate(&config, &node)?;
    let router = vedette_server::router(app.clone());
    let tls = tokio::spawn(listen::tls(
        listener,
        certificate.server_config()?,
        router.clone(),
        Limits::default(),
        shutdown.clone(),
    ));
    let socket = node.dir.join(client::SOCKET);
    let local = router
        .merge(local_import::router(node.spool.clone(), config.storage.max_record_bytes))
        .merge(local_backup::router(keeper))
        .merge(local_replay::router(Replays {
            engine: node.engine.clone(),
            rules: node.rules.clone(),
            journal: journal.clone(),
        }));
    // Before `ready` is said, or a command that follows it would find nobody.
    let unix = listen::unix(&socket, local, Limits::default(), shutdown.clone())
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let unix = tokio::spawn(unix);

    receiving.change(node.receivers.clone()).await?;
    // Before `ready` is said: whoever reads that may stop it at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    announce(console, &receiving.listening(), &accounts, &certificate)?;
    let sources = node.source_names();
    let watch = node.notifier.clone().watch(node.alerts.clone(), Arc::new(sources), shutdown.clone());
    let notifying = [tokio::spawn(watch), tokio::spawn(node.notifier.clone().run(shutdown.clone()))];
    for fetcher in fetchers {
        tokio::spawn(fetcher.run(shutdown.clone()));
    }
    if !witnesses.is_empty() {
        tokio::spawn(proof.clone().run(journal.clone()));
    }
    for (number, witness) in witnesses.into_iter().enumerate() {
        let client = witnesses::Client::new(number, witness, node.ledger.clone(), proof.clone());
        tokio::spawn(client.run(shutdown.clone()));
    }
    for authority in authorities {
        tokio::spawn(authority.run(node.ledger.clone(), shutdown.clone()));
    }

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = failed.cancelled() => {}
    }
    // Intake first, then what it acknowledged is processed and sealed.
    tracing::info!("stopping: receivers end, what is acknowledged is sealed");
    shutdown.cancel();
    receiving.stop().await;
    for task in notifying {
        task.await.context("notifications failed")?;
    }
    tls.await.context("the console's listener failed")?;
    unix.await.context("the local socket's listener failed")??;
    // The journal takes the last word before the pipeline drains.
    if let Err(error) = journal.write("vedette.stop", None, Vec::new()) {
        tracing::error!("{error:#}");
    }
    stop.store(true, Ordering::Relaxed);
    hunts.stop();
    let drained = tokio::task::spawn_blocking(move || {
        hunting.join().map_err(|_| anyhow::anyhow!("a retro-hunt panicked"))?;
        maintenance.join().map_err(|_| anyhow::anyhow!("maintenance panicked"))?;
        pipeline.join().map_err(|_| anyhow::anyhow!("the pipeline panicked"))?
    });
    drained.await.context("stopping failed")??;
    node.spool.close();
    Ok(())
}

fn certificate(config: &Config, node: &Node) -> anyhow::Result<Certificate> {
    let certificate = match (&config.console.certificate, &config.console.key) {
        (Some(chain), Some(key)) => Certificate::load(chain, key)?,
        _ => Certificate::own(&node.dir, &[], now())?,
    };
    Ok(certificate)
}

/// Says where everything is. Scripts wait for `ready`.
fn announce(
    console: SocketAddr,
    receivers: &Listening,
    accounts: &Accounts,
    certificate: &Certificate,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "console https://{console}/")?;
    writeln!(out, "certificate {}", certificate.fingerprint())?;
    if let Some(secret) = accounts.setup_link(now())? {
        writeln!(out, "set-up https://{console}/setup?token={}", secret.reveal())?;
    }
    for receiver in &receivers.receivers {
        writeln!(out, "listening {} {}", receiver.kind, receiver.address)?;
    }
    for what in &receivers.following {
        writeln!(out, "following {what}")?;
    }
    for why in &receivers.left_out {
        writeln!(out, "note {why}")?;
    }
    writeln!(out, "ready")?;
    out.flush()?;
    Ok(())
}
