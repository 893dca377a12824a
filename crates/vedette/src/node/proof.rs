//! How far the history is proved: what signed checkpoints have, and what witnesses have cosigned of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vedette_event::{SourceId, Time};
use vedette_intake::receive::http::{Acknowledge, Level};
use vedette_ledger::{Ledger, checkpoint::Checkpoint, note::VerifierKey};
use vedette_server::{Check, Cosigned, LedgerStatus, Status, WitnessStatus, Witnessed};

use super::{journal::SelfJournal, maintenance::now};

/// A checkpoint that is older and not cosigned by the required witnesses is a failure.
const OVERDUE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of the proofs. One for all who ask and wait.
pub struct Proof {
    ledger: Ledger,
    required: usize,
    seen: Mutex<Seen>,
    /// Wakes whoever waits for a checkpoint or a cosignature.
    moved: watch::Sender<()>,
    /// Nobody waits any longer.
    shutdown: CancellationToken,
}

struct Seen {
    witnesses: Vec<Witness>,
    /// The size of a checkpoint that too few have cosigned, and since when it is known.
    behind: Option<(u64, Instant)>,
}

struct Witness {
    name: String,
    /// Size of the newest checkpoint that it cosigned, and when.
    cosigned: Option<(u64, Time)>,
    complaint: Option<Complaint>,
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// For people.
    pub what: String,
    /// It has seen another history of this log.
    pub is_conflict: bool,
}

impl From<anyhow::Error> for Complaint {
    fn from(error: anyhow::Error) -> Self {
        Complaint { what: format!("{error:#}"), is_conflict: false }
    }
}

/// What has been journalled and is not over.
#[derive(Default)]
struct Told {
    overdue: bool,
    /// By witness.
    conflicts: Vec<bool>,
}

impl Proof {
    /// Of a ledger with these witnesses, of which `required` must cosign.
    pub fn new(ledger: Ledger, keys: &[VerifierKey], required: usize, shutdown: CancellationToken) -> Arc<Proof> {
        let before = ledger.witnessed();
        let witness = |key: &VerifierKey| {
            let cosigned = before.as_ref().and_then(|note| {
                let checkpoint: Checkpoint = note.text.parse().ok()?;
                let time = i64::try_from(key.verify(note).ok()??).ok()?;
                Some((checkpoint.size, Time::from_secs(time)))
            });
            Witness { name: key.name().to_owned(), cosigned, complaint: None }
        };
        let seen = Seen { witnesses: keys.iter().map(witness).collect(), behind: None };
        let moved = watch::Sender::new(());
        let wake = moved.clone();
        ledger.on_checkpoint(move || wake.send_modify(|()| {}));
        Arc::new(Proof { ledger, required, seen: Mutex::new(seen), moved, shutdown })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many must have cosigned what is called witnessed.
    pub fn quorum(&self) -> usize {
        self.required.max(1)
    }

    /// Changes whenever there is a checkpoint or a cosignature.
    pub fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// The size of the newest checkpoint that a witness has cosigned, as far as is known.
    pub fn size_cosigned_by(&self, witness: usize) -> Option<u64> {
        self.seen().witnesses.get(witness)?.cosigned.map(|(size, _)| size)
    }

    /// A witness, by its place in the configuration, has cosigned a checkpoint.
    pub fn cosigned(&self, witness: usize, size: u64, time: Time) {
        if let Some(witness) = self.seen().witnesses.get_mut(witness) {
            witness.cosigned = Some((size, time));
        }
        self.moved.send_modify(|()| {});
    }

    /// What a witness has to complain of, if anything. Whether that is new.
    pub fn complains(&self, witness: usize, complaint: Option<Complaint>) -> bool {
        let mut seen = self.seen();
        let Some(witness) = seen.witnesses.get_mut(witness) else { return false };
        let is_new = witness.complaint != complaint;
        witness.complaint = complaint;
        is_new
    }

    /// Looks whether the witnesses keep up, and journals what begins and ends, until the node stops.
    pub async fn run(self: Arc<Self>, journal: SelfJournal) {
        let mut told = Told { overdue: false, conflicts: vec![false; self.seen().witnesses.len()] };
        while !self.shutdown.is_cancelled() {
            let proof = self.clone();
            let journal = journal.clone();
            let looked = tokio::task::spawn_blocking(move || {
                proof.look();
                if let Err(error) = proof.tell(&mut told, &journal) {
                    tracing::error!("{error:#}");
                }
                told
            });
            told = match looked.await {
                Ok(told) => told,
                Err(error) => return tracing::error!("nobody looks after the witnesses: {error}"),
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn look(&self) {
        let newest = self.ledger.newest().size;
        let mut seen = self.seen();
        if self.required == 0 {
            return;
        }
        let witnessed = seen.witnessed(self.required).map_or(0, |(size, ..)| size);
        seen.behind = match seen.behind {
            Some((size, since)) if size > witnessed => Some((size, since)),
            _ => (newest > witnessed).then(|| (newest, Instant::now())),
        };
    }

    fn tell(&self, told: &mut Told, journal: &SelfJournal) -> anyhow::Result<()> {
        let overdue = self.seen().overdue(self.required);
        if told.overdue != overdue.is_some() {
            let details = vec![("required_witnesses", self.required.to_string())];
            match &overdue {
                Some(why) => {
                    tracing::error!("{why}");
                    journal.write("ledger.unwitnessed", None, [details, vec![("reason", why.clone())]].concat())?;
                }
                None => journal.write("ledger.witnessed", None, details)?,
            }
            told.overdue = overdue.is_some();
        }
        let conflicts: Vec<(String, Option<String>)> = {
            let conflict = |complaint: &Complaint| complaint.is_conflict.then(|| complaint.what.clone());
            let seen = self.seen();
            seen.witnesses.iter().map(|w| (w.name.clone(), w.complaint.as_ref().and_then(conflict))).collect()
        };
        for (told, (name, conflict)) in told.conflicts.iter_mut().zip(conflicts) {
            if let Some(what) = conflict.clone().filter(|_| !*told) {
                journal.write("ledger.conflict", Some(name), vec![("reason", what)])?;
            }
            *told = conflict.is_some();
        }
        Ok(())
    }

    /// The check `witnesses`; none where there are none.
    pub fn check(&self) -> Option<Check> {
        let seen = self.seen();
        let complaints = |only_conflicts: bool| {
            let complaint = |witness: &Witness| {
                let complaint = witness.complaint.as_ref().filter(|it| it.is_conflict || !only_conflicts)?;
                Some(format!("{}: {}", witness.name, complaint.what))
            };
            seen.witnesses.iter().filter_map(complaint).collect::<Vec<_>>()
        };
        let (conflicts, complaints) = (complaints(true), complaints(false));
        let (status, detail) = match seen.overdue(self.required) {
            _ if seen.witnesses.is_empty() => return None,
            _ if !conflicts.is_empty() => (Status::Fail, Some(conflicts.join("; "))),
            Some(why) => (Status::Fail, Some(why)),
            None if complaints.is_empty() => (Status::Ok, None),
            None => (Status::Warn, Some(complaints.join("; "))),
        };
        Some(Check { name: "witnesses".into(), status, detail })
    }

    /// All of it, for the server.
    pub fn status(&self) -> LedgerStatus {
        let (now, newest) = (now(), self.ledger.newest());
        let ago = |time: Time| u64::try_from((now.micros() - time.micros()) / 1_000_000).unwrap_or(0);
        let seen = self.seen();
        let witness = |witness: &Witness| WitnessStatus {
            name: witness.name.clone(),
            cosigned: witness.cosigned.map(|(entries, time)| Cosigned { entries, time, seconds_ago: ago(time) }),
            complaint: witness.complaint.as_ref().map(|complaint| complaint.what.clone()),
        };
        LedgerStatus {
            entries: newest.size,
            sealed_seconds_ago: ago(Time::from_micros(newest.time)),
            required_witnesses: self.required as u64,
            witnessed: seen.witnessed(self.quorum()).map(|(entries, time, by)| Witnessed {
                entries,
                seconds_ago: ago(time),
                by,
            }),
            witnesses: seen.witnesses.iter().map(witness).collect(),
        }
    }
}

impl Seen {
    /// The newest size that `quorum` witnesses have cosigned; since when so many have; and how many it is by now.
    fn witnessed(&self, quorum: usize) -> Option<(u64, Time, u64)> {
        let last = quorum.checked_sub(1)?;
        let cosigned = || self.witnesses.iter().filter_map(|witness| witness.cosigned);
        let mut sizes: Vec<u64> = cosigned().map(|(size, _)| size).collect();
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        let size = *sizes.get(last)?;
        let mut times: Vec<Time> = cosigned().filter(|(of, _)| *of >= size).map(|(_, time)| time).collect();
        times.sort_unstable();
        Some((size, *times.get(last)?, times.len() as u64))
    }

    /// That the required witnesses do not keep up, for people.
    fn overdue(&self, required: usize) -> Option<String> {
        let (size, since) = self.behind.filter(|(_, since)| since.elapsed() > OVERDUE)?;
        let by = self.witnesses.iter().filter(|witness| witness.cosigned.is_some_and(|(of, _)| of >= size)).count();
        let complaint = |witness: &Witness| Some(format!("; {}: {}", witness.name, witness.complaint.as_ref()?.what));
        let complaints: String = self.witnesses.iter().filter_map(complaint).collect();
        let seconds = since.elapsed().as_secs();
        Some(format!(
            "a checkpoint of {size} entries is cosigned by {by} of {required} required witnesses after {seconds} s{complaints}"
        ))
    }
}

/// For receivers: what is sealed and witnessed, and when.
pub struct Acknowledgements(pub Arc<Proof>);

impl Acknowledge for Acknowledgements {
    fn offers(&self, level: Level) -> Result<(), String> {
        if level == Level::Witnessed && self.0.seen().witnesses.is_empty() {
            return Err(
                "ack: nothing is `witnessed` here: no witness is configured (ledger.witnesses); there is `sealed`"
                    .into(),
            );
        }
        Ok(())
    }

    fn wait(&self, source: SourceId, next_seq: u64, level: Level, patience: Duration) -> BoxFuture<'static, Level> {
        let proof = self.0.clone();
        async move {
            let mut moves = proof.moves();
            let deadline = tokio::time::sleep(patience);
            tokio::pin!(deadline);
            // The first checkpoint that was seen to have the records.
            let mut sealed = None;
            loop {
                sealed = sealed.or_else(|| proof.ledger.size_with(source.0, next_seq));
                let witnessed = proof.seen().witnessed(proof.quorum()).map_or(0, |(size, ..)| size);
                let reached = match sealed {
                    None => Level::Stored,
                    Some(size) if size > witnessed => Level::Sealed,
                    Some(_) => Level::Witnessed,
                };
                if reached >= level {
                    return level;
                }
                tokio::select! {
                    moved = moves.changed() => if moved.is_err() { return reached },
                    () = &mut deadline => return reached,
                    () = proof.shutdown.cancelled() => return reached,
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(cosigned: &[Option<(u64, i64)>]) -> Seen {
        let witness = |(number, cosigned): (usize, &Option<(u64, i64)>)| Witness {
            name: format!("w{number}"),
            cosigned: cosigned.map(|(size, seconds)| (size, Time::from_secs(seconds))),
            complaint: None,
        };
        Seen { witnesses: cosigned.iter().enumerate().map(witness).collect(), behind: None }
    }

    #[test]
    fn witnessed_is_what_a_quorum_has_cosigned() {
        let (a, b, c) = (Some((100, 7)), Some((90, 9)), Some((90, 8)));
        for (cosigned, quorum, expected) in [
            (&[][..], 1, None),
            (&[None, None], 1, None),
            (&[a, None], 1, Some((100, 7, 1))),
            (&[a, None], 2, None),
            (&[b, a], 1, Some((100, 7, 1))),
            (&[b, a], 2, Some((90, 9, 2))),
            (&[c, a, b], 2, Some((90, 8, 3))),
            (&[c, a, b], 3, Some((90, 9, 3))),
            (&[a], 0, None),
        ] {
            let expected = expected.map(|(size, seconds, by)| (size, Time::from_secs(seconds), by));
            assert_eq!(seen(cosigned).witnessed(quorum), expected, "{cosigned:?} {quorum}");
        }
    }

    #[test]
    fn a_minute_without_the_required_witnesses_is_too_long() {
        let long_ago = Instant::now().checked_sub(OVERDUE * 2).expect("the machine runs for longer");
        let mut seen = seen(&[Some((100, 7)), None]);
        assert_eq!(seen.overdue(2), None);
        seen.behind = Some((90, Instant::now()));
        assert_eq!(seen.overdue(2), None);
        seen.behind = Some((90, long_ago));
        seen.witnesses[1].complaint = Some(Complaint { what: "it does not answer".into(), is_conflict: false });
        expect_test::expect![
            "a checkpoint of 90 entries is cosigned by 1 of 2 required witnesses after 120 s; w1: it does not answer"
        ]
        .assert_eq(&seen.overdue(2).unwrap_or_default());
    }
}
