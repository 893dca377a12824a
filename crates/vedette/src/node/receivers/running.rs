//! What runs of it, and how that changes without a restart.

use std::{
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Mutex as AsyncMutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vedette_server::Receiver;
use vedette_spool::Spool;

use super::{
    Wanted, What,
    open::{Open, Opener, Senders},
    wanted,
};
use crate::config::Receivers;

/// The receivers that run.
pub struct Receiving {
    state: AsyncMutex<State>,
    listening: Mutex<Listening>,
    /// Receivers that ended by themselves, and why.
    ended: Arc<Mutex<Vec<String>>>,
}

struct State {
    opener: Opener,
    /// What they run with; nothing before the first change.
    config: Option<Receivers>,
    running: Vec<Running>,
    /// For good.
    is_stopped: bool,
}

struct Running {
    wanted: Wanted,
    listens: Option<Receiver>,
    follows: Vec<String>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What can be said of the receivers.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// What listens where.
    pub receivers: Vec<Receiver>,
    /// What is followed, for people.
    pub following: Vec<String>,
    /// Listeners that nobody asked for and that another program keeps from their ports, for people.
    pub left_out: Vec<String>,
}

impl Receiving {
    /// Nothing runs yet.
    pub fn new(dir: PathBuf, spool: Spool, senders: Senders) -> Receiving {
        let state =
            State { opener: Opener::new(dir, spool, senders), config: None, running: Vec::new(), is_stopped: false };
        Receiving { state: AsyncMutex::new(state), listening: Mutex::default(), ended: Arc::default() }
    }

    /// What listens and follows now.
    pub fn listening(&self) -> Listening {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Receivers that ended by themselves, and why.
    pub fn ended(&self) -> Vec<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs what a configuration asks for, and nothing else. What it asks for as before goes on undisturbed.
    ///
    /// # Errors
    /// An address is taken, a certificate cannot be read, a pattern is wrong. Then what ran before runs again.
    pub async fn change(&self, config: Receivers) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        anyhow::ensure!(!state.is_stopped, "Vedette is stopping");
        let changed = self.run(&mut state, &config).await;
        match (&changed, state.config.clone()) {
            (Ok(()), _) => state.config = Some(config),
            (Err(_), Some(before)) => {
                if let Err(error) = self.run(&mut state, &before).await {
                    tracing::error!("what was received before is not received any more: {error:#}");
                    self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
                }
            }
            (Err(_), None) => stop(mem::take(&mut state.running)).await,
        }
        changed
    }

    /// Stops everything for good; what was acknowledged is durable then.
    pub async fn stop(&self) {
        let mut state = self.state.lock().await;
        state.is_stopped = true;
        stop(mem::take(&mut state.running)).await;
    }

    async fn run(&self, state: &mut State, config: &Receivers) -> anyhow::Result<()> {
        let wanted = wanted(config);
        let mut free: Vec<String> = wanted.iter().filter(|wanted| wanted.can_stay()).map(Wanted::key).collect();
        let (mut stay, mut go) = (Vec::new(), Vec::new());
        for running in mem::take(&mut state.running) {
            let key = running.wanted.key();
            // One that ended by itself is opened again.
            match free.iter().position(|free| *free == key && !running.task.is_finished()) {
                Some(at) => {
                    free.swap_remove(at);
                    stay.push((key, running));
                }
                None => go.push(running),
            }
        }
        // They may be in the way of those that come.
        stop(go).await;
        // Ports of those that stay are as before; the routers behind them too, unless there are webhooks with secrets.
        let has_webhooks = |config: &Receivers| !config.webhooks.is_empty();
        if has_webhooks(config) || state.config.as_ref().is_some_and(has_webhooks) {
            state.opener.forget_routers();
        }
        let mut left_out = Vec::new();
        let mut result = Ok(());
        for wanted in wanted {
            let key = wanted.key();
            if let Some(at) = stay.iter().position(|(known, _)| *known == key) {
                state.running.push(stay.remove(at).1);
                continue;
            }
            match state.opener.open(&wanted).await {
                Ok(Ok(open)) => state.running.push(self.start(wanted, open)),
                Ok(Err(why)) => {
                    tracing::warn!("{why}");
                    left_out.push(why);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        state.running.extend(stay.into_iter().map(|(_, running)| running));
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Listening {
            receivers: state.running.iter().filter_map(|running| running.listens.clone()).collect(),
            following: state.running.iter().flat_map(|running| running.follows.clone()).collect(),
            left_out,
        };
        result
    }

    fn start(&self, wanted: Wanted, open: Open) -> Running {
        let is_tls = match &wanted.what {
            What::Stream(_, at) => at.certificate.is_some(),
            What::Fluent(fluent) => fluent.certificate.is_some(),
            What::Http(_, http, _) => http.certificate.is_some(),
            What::Datagrams(..) | What::Files { .. } | What::Journal => false,
        };
        let listens = open.address().map(|address| Receiver {
            kind: wanted.name.to_owned(),
            address: address.to_string(),
            tls: is_tls,
        });
        let (follows, stop) = (open.follows(), CancellationToken::new());
        let (name, ended) = (wanted.name, self.ended.clone());
        let task = tokio::spawn(open.run(stop.clone()));
        let task = tokio::spawn(async move {
            let why = match task.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::error!("the receiver {name} stopped: {why}");
            ended.lock().unwrap_or_else(PoisonError::into_inner).push(why);
        });
        Running { wanted, listens, follows, stop, task }
    }
}

/// Ends receivers, and waits for them.
async fn stop(all: Vec<Running>) {
    for running in &all {
        running.stop.cancel();
    }
    for running in all {
        if let Err(error) = running.task.await {
            tracing::error!("a receiver did not end as it should: {error}");
        }
    }
}
