//! Asks witnesses to cosign the ledger's checkpoints ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).

use std::time::Duration;

use anyhow::Context;
use hyper::{StatusCode, Uri};
use tokio_util::sync::CancellationToken;
use vedette_ledger::{
    Ledger,
    checkpoint::Checkpoint,
    note::{Note, Signature, VerifierKey},
    witness,
};

use super::post;
use crate::config;

/// Between two looks whether the log grew.
const EVERY: Duration = Duration::from_secs(1);
/// A witness that does not answer is asked again later.
const RETRY: Duration = Duration::from_secs(15);
const MAX_ANSWER: usize = 64 << 10;

/// A witness and what is known of it.
pub struct Witness {
    url: Uri,
    key: VerifierKey,
    /// Size of the checkpoint that it cosigned last; none before it said so.
    last: Option<u64>,
}

/// What a witness answered.
enum Answer {
    Cosigned(Vec<Signature>),
    /// It has cosigned a checkpoint of this size.
    OtherSize(u64),
}

impl Witness {
    /// A configured witness.
    ///
    /// # Errors
    /// The address or the key is none.
    pub fn new(config: &config::Witness) -> anyhow::Result<Witness> {
        let url = post::address("ledger.witnesses", &config.url)?;
        let key = config.key.parse().map_err(|error| anyhow::anyhow!("ledger.witnesses: {}: {error}", config.url))?;
        Ok(Witness { url, key, last: None })
    }

    /// Has every new checkpoint cosigned until the node stops.
    pub async fn run(mut self, ledger: Ledger, shutdown: CancellationToken) {
        let mut complaint = String::new();
        loop {
            let asked = self.ask(&ledger).await;
            let wait = if asked.is_ok() { EVERY } else { RETRY };
            match asked {
                Ok(()) => complaint.clear(),
                Err(error) => {
                    let new = format!("{error:#}");
                    if new != complaint {
                        tracing::error!(witness = self.key.name(), "checkpoints are not cosigned: {new}");
                        complaint = new;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn ask(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        let note = ledger.newest();
        let checkpoint: Checkpoint = note.text.parse().context("our own checkpoint")?;
        if self.last == Some(checkpoint.size) {
            return Ok(());
        }
        // The first answer tells where the witness is, the second is to a proof from there.
        for _ in 0..2 {
            match self.post(ledger, self.last.unwrap_or(0), &note, &checkpoint).await? {
                Answer::Cosigned(signatures) => {
                    let cosigned = Note { signatures, text: note.text.clone() };
                    self.key.verify(&cosigned).context("its answer")?;
                    let ledger = ledger.clone();
                    tokio::task::spawn_blocking(move || ledger.cosign(&note, cosigned.signatures))
                        .await
                        .context("keeping a cosignature")??;
                    self.last = Some(checkpoint.size);
                    return Ok(());
                }
                Answer::OtherSize(size) if size > checkpoint.size => anyhow::bail!(
                    "it has seen {size} entries of this log, which has {}: the data folder was set back",
                    checkpoint.size
                ),
                Answer::OtherSize(size) => self.last = Some(size),
            }
        }
        anyhow::bail!("it cosigns another checkpoint each time; does another monitor use the same keys?")
    }

    async fn post(&self, ledger: &Ledger, old: u64, note: &Note, checkpoint: &Checkpoint) -> anyhow::Result<Answer> {
        let proof = ledger.consistency_proof(old.min(checkpoint.size), checkpoint.size)?;
        let body = witness::Request { old, proof, note: note.clone(), checkpoint: checkpoint.clone() }.to_string();
        let path = format!("{}/add-checkpoint", self.url.path().trim_end_matches('/'));
        let (status, answer) = post::post(&self.url, &path, "text/plain", body.into_bytes(), MAX_ANSWER).await?;
        let text = String::from_utf8_lossy(&answer);
        match status {
            StatusCode::OK => {
                let signatures = text.lines().map(str::parse).collect::<Result<_, _>>();
                Ok(Answer::Cosigned(signatures.context("its answer")?))
            }
            StatusCode::CONFLICT if text.trim_end().parse::<u64>().is_ok() => {
                Ok(Answer::OtherSize(text.trim_end().parse()?))
            }
            status => anyhow::bail!("it says {status}: {}", text.trim_end()),
        }
    }
}
