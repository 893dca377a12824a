//! How busy each source is: when it last sent, and how much lately.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use vedette_event::{SourceId, Time};
use vedette_server::Activity;

/// Records are counted in spans of this length, over so many of them.
const SPAN_SECS: i64 = 10;
const SPANS: i64 = 30;

/// What was seen of every source. Small: a few numbers for each.
#[derive(Debug)]
pub struct Activities {
    since: Time,
    sources: Mutex<HashMap<SourceId, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Time>,
    /// Span and records, the oldest span first.
    spans: VecDeque<(i64, u64)>,
}

impl Activities {
    /// Nothing yet, but when the sources were last seen before.
    pub fn new(since: Time, before: impl IntoIterator<Item = (SourceId, Time)>) -> Self {
        let seen = |(source, last)| (source, Seen { last: Some(last), spans: VecDeque::new() });
        Activities { since, sources: Mutex::new(before.into_iter().map(seen).collect()) }
    }

    /// A source sent records, the last of them at this time.
    pub fn saw(&self, source: SourceId, records: u64, last: Time) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = sources.entry(source).or_default();
        seen.last = seen.last.max(Some(last));
        let span = last.secs().div_euclid(SPAN_SECS);
        match seen.spans.iter().rposition(|(known, _)| *known <= span) {
            Some(at) if seen.spans[at].0 == span => seen.spans[at].1 += records,
            Some(at) => seen.spans.insert(at + 1, (span, records)),
            // The clock was set back: what counts is that the records came.
            None => match seen.spans.front_mut() {
                Some((_, count)) => *count += records,
                None => seen.spans.push_back((span, records)),
            },
        }
        while seen.spans.len() > SPANS as usize {
            seen.spans.pop_front();
        }
    }

    /// How busy a source is.
    pub fn of(&self, source: SourceId, now: Time) -> Activity {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = sources.get(&source) else { return Activity::default() };
        let oldest = now.secs().div_euclid(SPAN_SECS) - SPANS;
        let records: u64 = seen.spans.iter().filter(|(span, _)| *span > oldest).map(|(_, records)| records).sum();
        let watched = now.secs().saturating_sub(self.since.secs()).clamp(SPAN_SECS, SPANS * SPAN_SECS);
        Activity { last_seen: seen.last, rate_per_minute: records as f64 * 60.0 / watched as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_five_minutes() {
        let (one, two) = (SourceId(1), SourceId(2));
        let at = Time::from_secs;
        let activities = Activities::new(at(1000), [(two, at(10))]);
        assert_eq!(activities.of(one, at(1000)), Activity::default());
        assert_eq!(activities.of(two, at(1000)), Activity { last_seen: Some(at(10)), rate_per_minute: 0.0 });
        activities.saw(one, 10, at(1003));
        activities.saw(one, 20, at(1055));
        let rate = |now| activities.of(one, at(now)).rate_per_minute;
        assert_eq!((rate(1060), rate(1120)), (30.0, 15.0));
        assert_eq!((rate(1300), rate(1360)), (4.0, 0.0));
        assert_eq!(activities.of(one, at(1400)).last_seen, Some(at(1055)));
        // A clock that is set back loses nothing, and many spans do not add up.
        activities.saw(one, 1, at(500));
        (0..1000).for_each(|n| activities.saw(one, 1, at(2000 + n * 10)));
        assert_eq!(activities.sources.lock().map(|sources| sources[&one].spans.len()).ok(), Some(SPANS as usize));
        assert_eq!(activities.of(one, at(11_995)).rate_per_minute, 6.0);
    }
}
