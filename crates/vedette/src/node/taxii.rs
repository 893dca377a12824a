//! Fetches indicators from TAXII 2.1 servers into the data folder, where they are feeds like others.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    Uri,
    header::{self, HeaderName, HeaderValue},
};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use vedette_event::Time;
use vedette_indicator::taxii::{Answer, MAX_BODY, Poll, Request, Server, Step};

use super::{journal::SelfJournal, maintenance::now, web, whole_file};
use crate::config::TaxiiServer;

/// The folder in the data folder with what was fetched: a folder for each server, by its name.
pub const FETCHED: &str = "indicators_fetched";
/// In a server's folder: what was fetched from, and up to where.
const CURSOR: &str = ".cursor.json";
/// With so many pages, everything is fetched anew: most of them hold older versions of the same.
const MOST_PAGES: usize = 256;
/// A poll that failed is repeated after this, if the next is not due before.
const RETRY: Duration = Duration::from_secs(300);

/// Polls one server.
pub struct Fetcher {
    config: TaxiiServer,
    folder: PathBuf,
    tls: Arc<ClientConfig>,
    credentials: Option<HeaderValue>,
    journal: SelfJournal,
    polled: Polls,
}

/// How polls went, by the server's name.
pub type Polls = Arc<Mutex<std::collections::BTreeMap<String, Polled>>>;

/// How the polls of one server went.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// When the last one that went well ended.
    pub last: Option<Time>,
    /// Why the last one failed; none if it did not.
    pub failure: Option<String>,
}

/// Up to where objects were fetched.
#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    url: String,
    collection: String,
    added_after: Option<String>,
}

impl Fetcher {
    /// Reads its credentials and certificates.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn new(config: &TaxiiServer, dir: &Path, journal: SelfJournal, polled: Polls) -> anyhow::Result<Fetcher> {
        let what = || format!("detection.indicators.taxii: {}", config.name);
        let tls = vedette_notify::tls_client(config.ca.as_deref()).map_err(anyhow::Error::msg).with_context(what)?;
        let credentials = credentials(config).with_context(what)?;
        let folder = dir.join(FETCHED).join(&config.name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Fetcher { config: config.clone(), folder, tls, credentials, journal, polled })
    }

    /// Polls until the node stops.
    pub async fn run(self, shutdown: CancellationToken) {
        let every = Duration::from_secs(u64::from(self.config.every_minutes) * 60);
        loop {
            let polled = tokio::select! {
                polled = self.poll() => polled,
                () = shutdown.cancelled() => return,
            };
            let failure = polled.as_ref().err().map(|error| format!("{error:#}"));
            self.say(polled, failure.as_deref());
            let pause = if failure.is_some() { every.min(RETRY) } else { every };
            self.told(failure);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn told(&self, failure: Option<String>) {
        let mut all = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = all.entry(self.config.name.clone()).or_default();
        if failure.is_none() {
            polled.last = Some(now());
        }
        polled.failure = failure;
    }

    /// New objects, and the first of several failures, are events.
    fn say(&self, polled: anyhow::Result<usize>, failure: Option<&str>) {
        let known = self.polled.lock().unwrap_or_else(PoisonError::into_inner).get(&self.config.name).cloned();
        let was_failing = known.is_some_and(|known| known.failure.is_some());
        let details = match (polled, failure) {
            (Ok(0), _) => return,
            (Ok(pages), _) => vec![("pages", pages.to_string())],
            (Err(_), _) if was_failing => return,
            (Err(error), _) => {
                tracing::error!(server = self.config.name, "indicators were not fetched, trying again: {error:#}");
                vec![("failure", format!("{error:#}"))]
            }
        };
        if let Err(error) = self.journal.write("indicators.fetch", Some(self.config.name.clone()), details) {
            tracing::error!("{error:#}");
        }
    }

    /// Fetches what is new; the number of pages with something in them.
    async fn poll(&self) -> anyhow::Result<usize> {
        let TaxiiServer { url, collection, page, .. } = &self.config;
        let cursor: Cursor = whole_file::read_json(&self.folder.join(CURSOR))?.unwrap_or_default();
        let before = pages(&self.folder)?;
        let is_same = cursor.url == *url && cursor.collection == *collection;
        let goes_on = is_same && before.len() < MOST_PAGES;
        let begin = cursor.added_after.filter(|_| goes_on);
        let server = Server { url: url.clone(), collection: collection.clone(), page: *page };
        let mut poll = Poll::new(server, begin)?;
        let mut fetched = Vec::new();
        let unfinished = names(&self.folder)?.into_iter().filter(|name| name.ends_with(".new"));
        for name in unfinished {
            fs::remove_file(self.folder.join(name)).context("a page of a poll that failed")?;
        }
        let added_after = loop {
            let request = match poll.step() {
                Step::Done { cursor } => break cursor,
                Step::Get(request) => request,
                Step::Wait { seconds, request } => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    request
                }
            };
            let got = self.get(&request).await?;
            let header = |name: &str| got.headers.get(name).and_then(|value| value.to_str().ok());
            let answer = Answer {
                status: got.status,
                content_type: header("content-type").unwrap_or_default(),
                date_added_last: header("x-taxii-date-added-last"),
                retry_after: header("retry-after"),
                body: &got.body,
            };
            if let Some(page) = poll.answer(answer)?
                && !is_empty(page.body)
            {
                let path = self.folder.join(format!(".{:06}.new", fetched.len()));
                fs::write(&path, page.body).with_context(|| format!("cannot write {}", path.display()))?;
                fetched.push(path);
            }
        };
        // Pages count together, under names that come after those before them; only then is it known up to where they go.
        // What is fetched twice after a crash says the same again.
        let first = now().micros();
        for (number, path) in fetched.iter().enumerate() {
            let name = format!("{first:020}-{number:06}.json");
            fs::rename(path, self.folder.join(name)).context("a page of indicators")?;
        }
        if !goes_on {
            for path in &before {
                fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        let cursor = Cursor { url: url.clone(), collection: collection.clone(), added_after };
        whole_file::replace(&self.folder.join(CURSOR), &serde_json::to_vec(&cursor)?)?;
        Ok(fetched.len())
    }

    async fn get(&self, request: &Request) -> anyhow::Result<web::Got> {
        let uri: Uri = request.url.parse().with_context(|| format!("{} is no address", request.url))?;
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(header::ACCEPT, HeaderValue::from_static(request.accept))];
        headers.extend(self.credentials.clone().map(|credentials| (header::AUTHORIZATION, credentials)));
        web::get(&uri, &headers, &self.tls, MAX_BODY).await
    }
}

fn credentials(config: &TaxiiServer) -> anyhow::Result<Option<HeaderValue>> {
    let read = |secret: &vedette_notify::config::Secret| secret.read().map_err(anyhow::Error::msg);
    let text = match (&config.user, &config.password, &config.token) {
        (None, None, None) => return Ok(None),
        (Some(user), Some(password), None) => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{}", read(password)?)))
        }
        (None, None, Some(token)) => format!("Bearer {}", read(token)?),
        _ => anyhow::bail!("credentials are `user` and `password`, or a `token`"),
    };
    let mut value = HeaderValue::from_str(&text).context("the credentials do not fit into a header")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The pages in a server's folder.
fn pages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let pages = names(folder)?.into_iter().filter(|name| name.ends_with(".json") && !name.starts_with('.'));
    Ok(pages.map(|name| folder.join(name)).collect())
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// True for an envelope without objects.
fn is_empty(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        objects: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Envelope>(body).is_ok_and(|envelope| envelope.objects.is_empty())
}
