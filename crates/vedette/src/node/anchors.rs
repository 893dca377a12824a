//! Has authorities put their time on the ledger's checkpoints ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)).

use std::{fs, time::Duration};

use anyhow::Context;
use hyper::{StatusCode, Uri};
use tokio_util::sync::CancellationToken;
use vedette_ledger::{
    Algorithm, Ledger, Newest,
    anchors::authority_name,
    timestamp::{self, MAX_REPLY_BYTES, Roots, Stamp, Token},
};

use super::{maintenance::now, post};
use crate::{Usage, config};

/// An authority that does not answer is asked again after so long, or after its interval.
const RETRY: Duration = Duration::from_secs(60);

/// An authority that is asked for tokens.
pub struct Authority {
    url: Uri,
    /// In the names of its files.
    name: String,
    roots: Roots,
    every: Duration,
}

impl Authority {
    /// The configured ones.
    ///
    /// # Errors
    /// An address is none, or a file has no certificates.
    pub fn configured(anchors: &[config::Anchor]) -> Result<Vec<Authority>, Usage> {
        anchors.iter().map(|anchor| Authority::new(anchor).map_err(|error| Usage(format!("{error:#}")))).collect()
    }

    fn new(config: &config::Anchor) -> anyhow::Result<Authority> {
        let url = post::address("ledger.anchors", &config.url)?;
        let shown = config.ca.display();
        let pem = fs::read(&config.ca).with_context(|| format!("ledger.anchors: cannot read {shown}"))?;
        let roots = Roots::from_pem(&pem).with_context(|| format!("ledger.anchors: {shown}"))?;
        let every = Duration::from_secs(config.every_seconds);
        Ok(Authority { url, name: authority_name(&config.url), roots, every })
    }

    /// Has a checkpoint stamped at every interval in which the log grew, until the node stops.
    pub async fn run(self, ledger: Ledger, shutdown: CancellationToken) {
        let newest = ledger.newest_anchor(&self.name).unwrap_or_else(|error| {
            tracing::warn!("cannot read the anchors: {error}");
            None
        });
        let (mut size, mut wait) = newest.map_or((0, Duration::ZERO), |(size, time)| (size, self.due(time)));
        let mut complaint = String::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match self.anchor(&ledger, size).await {
                Ok(anchored) => {
                    complaint.clear();
                    (size, wait) = (anchored, self.every);
                }
                Err(error) => {
                    let new = format!("{error:#}");
                    if new != complaint {
                        tracing::error!(authority = %self.url, "checkpoints are not anchored: {new}");
                        complaint = new;
                    }
                    wait = RETRY.min(self.every);
                }
            }
        }
    }

    /// How long until the anchor after one of this time. The clock may have been set meanwhile.
    fn due(&self, time: i64) -> Duration {
        let age = u64::try_from(now().micros().saturating_sub(time)).unwrap_or(0);
        self.every.saturating_sub(Duration::from_micros(age))
    }

    /// Has the newest checkpoint stamped, if it is larger than `last`. The size that is anchored then.
    async fn anchor(&self, ledger: &Ledger, last: u64) -> anyhow::Result<u64> {
        let Newest { note, size, .. } = ledger.newest();
        if size <= last {
            return Ok(last);
        }
        let imprint = Algorithm::Sha256.hash(&[note.to_string().as_bytes()]);
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).context("no random numbers")?;
        let nonce = u64::from_be_bytes(nonce);
        let request = timestamp::request(&imprint, nonce)?;
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let asked = post::post(&self.url, path, "application/timestamp-query", request, MAX_REPLY_BYTES);
        let (status, reply) = asked.await?;
        anyhow::ensure!(status == StatusCode::OK, "it says {status}");
        let stamp = self.check(&reply, &imprint, nonce).context("its answer")?;
        let (ledger, name) = (ledger.clone(), self.name.clone());
        tokio::task::spawn_blocking(move || ledger.anchor(&note, &name, &reply))
            .await
            .context("keeping an anchor")??;
        tracing::info!(authority = %self.url, tsa = stamp.tsa, size, "the checkpoint is anchored");
        Ok(size)
    }

    fn check(&self, reply: &[u8], imprint: &[u8; 32], nonce: u64) -> anyhow::Result<Stamp> {
        let token = Token::read(reply)?;
        anyhow::ensure!(token.answers(nonce), "it answers another request (the nonce is not ours)");
        let stamp = token.verify(imprint)?;
        token.certify(&self.roots)?;
        Ok(stamp)
    }
}
