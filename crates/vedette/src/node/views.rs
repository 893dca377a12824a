//! What the server sees of the node.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use vedette_event::{SourceId, Time};
use vedette_notify::{ChannelStatus, Notifier};
use vedette_server::{Activity, AlertBudget, Check, DiskStatus, HealthView, LedgerStatus, Status};
use vedette_spool::Spool;

use super::{
    activity::Activities, budget::Budget, maintenance::now, pipeline::Counters, proof::Proof, quiet::Quiet,
    receivers::Receiving, rules::Rules,
};

/// The node's own health.
pub struct NodeHealth {
    /// The data folder.
    pub dir: PathBuf,
    /// How busy the sources are.
    pub activities: Arc<Activities>,
    /// For its status.
    pub spool: Spool,
    /// For refused rules.
    pub rules: Arc<Rules>,
    /// Parsers that did not load.
    pub refused_parsers: usize,
    /// The pipeline's figures.
    pub counters: Arc<Counters>,
    /// How far the history is proved.
    pub proof: Arc<Proof>,
    /// Where records come in.
    pub receiving: Arc<Receiving>,
    /// Sources that have gone quiet.
    pub quiet: Arc<Quiet>,
    /// Who is told of alerts.
    pub notifier: Notifier,
    /// How many alerts a day people can look at.
    pub budget: Arc<Budget>,
}

impl HealthView for NodeHealth {
    fn checks(&self) -> Vec<Check> {
        let check = |name: &str, status, detail: Option<String>| Check { name: name.into(), status, detail };
        let spool = match self.spool.status().refusing {
            None => check("spool", Status::Ok, None),
            Some(reason) => check("spool", Status::Fail, Some(format!("refuses new records: {reason}"))),
        };
        let pipeline = if self.counters.failed.load(Ordering::Relaxed) {
            let detail = "stopped on an error; records are kept in the spool: see the log, then restart";
            check("pipeline", Status::Fail, Some(detail.into()))
        } else {
            check("pipeline", Status::Ok, None)
        };
        let ledger = match &*self.counters.unsealed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => check("ledger", Status::Ok, None),
            Some(why) => check("ledger", Status::Fail, Some(format!("no new checkpoints: {why}"))),
        };
        let refused = Rules::refused(&self.rules).len();
        let rules = match refused {
            0 => check("rules", Status::Ok, None),
            n => {
                let refused = are(n, "rule is", "rules are");
                check("rules", Status::Warn, Some(format!("{refused} refused; the rules page says why")))
            }
        };
        let parsers = match self.refused_parsers {
            0 => check("parsers", Status::Ok, None),
            n => {
                let refused = are(n, "parser file is", "parser files are");
                check("parsers", Status::Warn, Some(format!("{refused} refused; the log says why")))
            }
        };
        let mut checks = vec![spool, pipeline, ledger, rules, parsers];
        checks.extend(self.proof.check());
        let (ended, left_out) = (self.receiving.ended(), self.receiving.listening().left_out);
        checks.extend(ended.into_iter().map(|why| check("receiver", Status::Fail, Some(why))));
        checks.extend(left_out.into_iter().map(|why| check("receiver", Status::Warn, Some(why))));
        match self.quiet.count() {
            0 => {}
            n => {
                let quiet = are(n, "source has", "sources have");
                let detail = format!("{quiet} gone quiet; the list of sources says since when");
                checks.push(check("sources", Status::Warn, Some(detail)));
            }
        }
        checks.push(match self.notifier.status() {
            Err(error) => check("notifications", Status::Fail, Some(error.to_string())),
            Ok(status) => {
                let wrong = |channel: &ChannelStatus| {
                    let error = channel.error.as_ref().map(|error| format!("{}: {error}", channel.name));
                    let dead = (channel.dead > 0).then(|| format!("{}: {} given up", channel.name, channel.dead));
                    error.or(dead)
                };
                let wrong: Vec<String> = status.channels.iter().filter_map(wrong).collect();
                match wrong.is_empty() {
                    true => check("notifications", Status::Ok, None),
                    false => check("notifications", Status::Warn, Some(wrong.join("; "))),
                }
            }
        });
        checks.extend(self.budget.warning().map(|why| check("alert_budget", Status::Warn, Some(why))));
        checks
    }

    fn alert_budget(&self) -> AlertBudget {
        self.budget.status()
    }

    fn quiet(&self, source: SourceId) -> (Option<Time>, Option<Time>) {
        self.quiet.of(source)
    }

    fn ledger(&self) -> LedgerStatus {
        self.proof.status()
    }

    fn disk(&self) -> DiskStatus {
        let disk = match rustix::fs::statvfs(&self.dir) {
            Ok(disk) => disk,
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "cannot ask how full the disk is");
                return DiskStatus::default();
            }
        };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let (free, total) = (bytes(disk.f_bavail), bytes(disk.f_blocks));
        DiskStatus { free_bytes: free, total_bytes: total, used_bytes: total.saturating_sub(bytes(disk.f_bfree)) }
    }

    fn activity(&self, source: SourceId) -> Activity {
        self.activities.of(source, now())
    }
}

/// A number with what it is of.
fn are(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
