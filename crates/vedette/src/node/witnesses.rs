//! Asks witnesses to cosign the ledger's checkpoints ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hyper::{StatusCode, Uri};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use vedette_event::Time;
use vedette_ledger::{
    Ledger,
    checkpoint::Checkpoint,
    note::{Note, Signature, VerifierKey},
    witness,
};

use super::{
    post,
    proof::{Complaint, Proof},
};

/// A witness that does not answer is asked again later.
const RETRY: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 << 10;

/// Asks one witness.
pub struct Client {
    /// Its place in the configuration.
    number: usize,
    url: Uri,
    key: VerifierKey,
    /// Size of the checkpoint that it cosigned last, as far as is known.
    last: Option<u64>,
    ledger: Ledger,
    proof: Arc<Proof>,
}

/// What a witness answered.
enum Answer {
    Cosigned(Vec<Signature>),
    /// It has cosigned a checkpoint of this size.
    OtherSize(u64),
    /// It has seen another history.
    Conflict(String),
}

impl Client {
    /// For the witness with this place in the configuration.
    pub fn new(number: usize, (url, key): (Uri, VerifierKey), ledger: Ledger, proof: Arc<Proof>) -> Client {
        Client { number, url, key, last: proof.size_cosigned_by(number), ledger, proof }
    }

    /// Has every new checkpoint cosigned until the node stops.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut moves = self.proof.moves();
        loop {
            let complaint = self.ask().await.err();
            let is_well = complaint.is_none();
            let what = complaint.as_ref().map(|complaint| complaint.what.clone());
            if self.proof.complains(self.number, complaint)
                && let Some(what) = what
            {
                tracing::error!(witness = self.key.name(), "checkpoints are not cosigned: {what}");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                // All witnesses are asked for the same checkpoint then, and cosign the same.
                moved = moves.changed(), if is_well => if moved.is_err() { return },
                () = tokio::time::sleep(RETRY), if !is_well => {}
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Complaint> {
        let note = self.ledger.newest().note;
        let checkpoint: Checkpoint = note.text.parse().context("our own checkpoint")?;
        if self.last == Some(checkpoint.size) {
            return Ok(());
        }
        let conflict = |what: String| Err(Complaint { what, is_conflict: true });
        // The first answer tells where the witness is, the second is to a proof from there.
        for _ in 0..2 {
            match self.post(self.last.unwrap_or(0), &note, &checkpoint).await? {
                Answer::Cosigned(signatures) => {
                    let cosigned = Note { signatures, text: note.text.clone() };
                    let time = self.key.verify(&cosigned).context("its answer")?;
                    let (ledger, quorum) = (self.ledger.clone(), self.proof.quorum());
                    spawn_blocking(move || ledger.cosign(&note, cosigned.signatures, quorum))
                        .await
                        .context("keeping a cosignature")?
                        .context("keeping a cosignature")?;
                    self.last = Some(checkpoint.size);
                    let time = time.and_then(|time| i64::try_from(time).ok()).unwrap_or_default();
                    self.proof.cosigned(self.number, checkpoint.size, Time::from_secs(time));
                    return Ok(());
                }
                Answer::OtherSize(size) if size > checkpoint.size => {
                    return conflict(format!(
                        "it has seen {size} entries of this log, which has {}: the data folder was set back",
                        checkpoint.size
                    ));
                }
                Answer::OtherSize(size) => self.last = Some(size),
                Answer::Conflict(what) => {
                    return conflict(format!("it has seen another history of this log ({what})"));
                }
            }
        }
        let what = "it cosigns another checkpoint each time; does another monitor use the same keys?";
        Err(Complaint { what: what.into(), is_conflict: false })
    }

    async fn post(&self, old: u64, note: &Note, checkpoint: &Checkpoint) -> anyhow::Result<Answer> {
        let (ledger, size) = (self.ledger.clone(), checkpoint.size);
        let proof = spawn_blocking(move || ledger.consistency_proof(old.min(size), size)).await??;
        let body = witness::Request { old, proof, note: note.clone(), checkpoint: checkpoint.clone() }.to_string();
        let path = format!("{}/add-checkpoint", self.url.path().trim_end_matches('/'));
        let (status, answer) = post::post(&self.url, &path, "text/plain", body.into_bytes(), MAX_ANSWER).await?;
        let text = String::from_utf8_lossy(&answer);
        let text = text.trim_end();
        match (status, text.parse::<u64>()) {
            (StatusCode::OK, _) => {
                let signatures = text.lines().map(str::parse).collect::<Result<_, _>>();
                Ok(Answer::Cosigned(signatures.context("its answer")?))
            }
            (StatusCode::CONFLICT, Ok(size)) => Ok(Answer::OtherSize(size)),
            (StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY, _) => {
                Ok(Answer::Conflict(format!("{status}: {text}")))
            }
            _ => anyhow::bail!("it says {status}: {text}"),
        }
    }
}
