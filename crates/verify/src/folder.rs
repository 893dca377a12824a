//! A whole data folder.

use std::{cell::Cell, collections::HashMap, path::Path};

use crate::{
    Kind, Policy, Problem, Report,
    log::{self, last_seq},
    segments::{self, Seeds},
    spool,
};

/// What looks wrong in a folder that is in use is looked at so often before it is believed.
const LOOKS: u32 = 4;

/// Checks a data folder. `progress` is told how many more events were checked.
///
/// `is_live`: a monitor works on the folder. Then it is checked as it is at the newest checkpoint, and what looks wrong is
/// looked at again, for files come and go meanwhile.
pub fn verify(dir: &Path, policy: &Policy, is_live: bool, progress: &mut dyn FnMut(u64)) -> Report {
    let looks = if is_live { LOOKS } else { 1 };
    let mut report = Report::default();
    for _ in 0..looks {
        report = look(dir, policy, is_live, progress);
        if report.problems.is_empty() {
            break;
        }
    }
    report
}

fn look(dir: &Path, policy: &Policy, is_live: bool, progress: &mut dyn FnMut(u64)) -> Report {
    let mut report = Report::default();
    // What the manifest has is in a checkpoint before: read later, that is new enough.
    let manifest = segments::manifest(dir);
    let log = log::read(dir, policy, is_live, &mut report);
    let found = segments::check(dir, manifest, &log, &mut report, progress);

    // What is in no segment and was not deleted is still in the spool.
    let is_deleted = |source: u32, first: u64, last: u64| {
        log.deleted.iter().any(|run| run.0 == source && run.1 <= first && last <= run.2)
    };
    let mut unsealed = Vec::new();
    let mut next_seqs: HashMap<u32, u64> = HashMap::new();
    for (entry, record) in log.batches.values() {
        let (source, first, last) = (record.source, record.first_seq, last_seq(record));
        if found.batches.contains(&(source, first)) || is_deleted(source, first, last) {
            let next_seq = next_seqs.entry(source).or_default();
            *next_seq = (*next_seq).max(last + 1);
        } else if found.next_seqs.get(&source).is_some_and(|next_seq| first < *next_seq) {
            let what = "the events are in no segment";
            report.add(Problem::new(Kind::Missing, what).entry(*entry).events(source, first, last));
        } else {
            unsealed.push((entry, record));
        }
    }
    for (source, next_seq) in &found.next_seqs {
        let expected = next_seqs.get(source).copied().unwrap_or(0);
        if *next_seq != expected {
            let what =
                format!("events of source {source} are sealed before {next_seq}; the segments end with {expected}");
            report.add(Problem::new(Kind::Changed, what).file("store/manifest.sqlite"));
        }
    }
    // The spool is read even where nothing is wanted: it is checked as a whole.
    let mut wanted: HashMap<u32, u64> = HashMap::new();
    for (_, record) in &unsealed {
        let first = wanted.entry(record.source).or_insert(u64::MAX);
        *first = (*first).min(record.first_seq);
    }
    let mut logged: HashMap<u32, u64> = found.next_seqs.clone();
    for record in log.batches.values().map(|(_, record)| record) {
        let next_seq = logged.entry(record.source).or_default();
        *next_seq = (*next_seq).max(last_seq(record) + 1);
    }
    let waiting = Cell::new(0);
    let is_wanted = |source, seq| {
        if logged.get(&source).is_none_or(|next_seq| seq >= *next_seq) {
            waiting.set(waiting.get() + 1);
        }
        wanted.get(&source).is_some_and(|first| seq >= *first)
    };
    let mut events = spool::read(dir, is_wanted, &mut report);
    report.facts.waiting = waiting.get();
    let mut seeds = Seeds { dir, bundle: None };
    for (entry, record) in unsealed {
        let (first, count, last) = (record.first_seq, u64::from(record.count), last_seq(record));
        // What is there, not what is claimed: a forged count must not take for ever.
        let there: Vec<_> = events.range((record.source, first)..=(record.source, last)).map(|(id, _)| *id).collect();
        let events: Vec<_> = there.iter().filter_map(|id| events.remove(id)).collect();
        let problem = |kind, what: &str| Problem::new(kind, what).entry(*entry).events(record.source, first, last);
        if (events.len() as u64) < count {
            report.add(problem(Kind::Missing, "the events are in no segment and not in the spool"));
            continue;
        }
        match seeds.get(*entry) {
            Some(seed) if segments::is_batch(record, &seed, events.into_iter()) => {
                report.facts.events += count;
                report.facts.in_spool += count;
                progress(count);
            }
            Some(_) => report.add(problem(Kind::Changed, "the events in the spool are not what was signed")),
            None => report.add(problem(Kind::Missing, "the seed of the batch is gone")),
        }
    }
    report
}
