//! How often each source sends, by the hour of the day, and which sources are silent for longer than they ever were.
//!
//! Of every source the longest silence is kept that began in each hour of the day, fading by a tenth a day. So a source that is
//! busy at day and quiet at night is missed within minutes at day, and not at night. A silence is unusual when it lasts three
//! times as long as the longest one that began in that hour or the hours beside it. On its first day a source has shown no night
//! yet, and more patience is had with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vedette_event::{SourceId, Time};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const HOURS: usize = 24;
/// So many times the longest silence is unusual.
const FACTOR: f64 = 3.0;
/// What is left of a longest silence after a day.
const FADING: f64 = 0.9;

/// How much patience is had with silent sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// No silence shorter than this is unusual, in microseconds.
    pub shortest: i64,
    /// The same on a source's first day.
    pub first_day: i64,
    /// A source is only missed if it sent something in so many different minutes.
    pub active_minutes: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { shortest: 5 * MINUTE, first_day: HOUR, active_minutes: 20 }
    }
}

/// What is known of all sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythms {
    sources: BTreeMap<u32, Rhythm>,
}

/// What is known of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rhythm {
    /// Receive time of the first record, in microseconds.
    first: i64,
    /// Of the latest.
    last: i64,
    /// The latest record's number.
    last_seq: u64,
    /// Minutes in which anything came.
    active_minutes: u32,
    /// By the hour (UTC) in which it began: the longest silence in microseconds, and when it was noted.
    longest: [(i64, i64); HOURS],
    /// From when on silence counts: later than `last` if nobody watched in between.
    watched: i64,
}

/// A source that is silent for unusually long.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Which.
    pub source: SourceId,
    /// Number of its latest record.
    pub last_seq: u64,
    /// When that came.
    pub since: Time,
    /// When it would have been usual, at the latest, that the next came.
    pub expected: Time,
    /// From when on the silence is unusual.
    pub unusual: Time,
}

impl Rhythms {
    /// Records of a source came: receive time of the first and the latest of them, and the latest one's number. What is older
    /// than what came before is not news.
    pub fn observe(&mut self, source: SourceId, first: Time, last: Time, last_seq: u64) {
        let (first, last) = (first.micros(), last.micros().max(first.micros()));
        let rhythm = self.sources.entry(source.0).or_insert_with(|| Rhythm {
            first,
            last: first,
            last_seq,
            active_minutes: 1,
            longest: [(0, first); HOURS],
            watched: first,
        });
        if last < rhythm.last || last_seq < rhythm.last_seq {
            return;
        }
        rhythm.silence(first);
        let minutes = last.div_euclid(MINUTE) - rhythm.last.div_euclid(MINUTE);
        rhythm.active_minutes = rhythm.active_minutes.saturating_add(minutes.clamp(0, 1) as u32);
        (rhythm.last, rhythm.last_seq, rhythm.watched) = (last, last_seq, last);
    }

    /// Nobody watched until now: silences count from here.
    pub fn watch_from(&mut self, now: Time) {
        for rhythm in self.sources.values_mut() {
            rhythm.watched = rhythm.watched.max(now.micros());
        }
    }

    /// Forgets sources that are not told apart any more.
    pub fn keep(&mut self, is_known: impl Fn(SourceId) -> bool) {
        self.sources.retain(|source, _| is_known(SourceId(*source)));
    }

    /// The sources that are silent for unusually long, by their number.
    pub fn silences(&self, now: Time, patience: &Patience) -> Vec<Silence> {
        let silent = |(source, rhythm): (&u32, &Rhythm)| {
            let silence = rhythm.expectation(SourceId(*source), patience)?;
            (now >= silence.unusual).then_some(silence)
        };
        self.sources.iter().filter_map(silent).collect()
    }

    /// When a source's next record is expected at the latest, if enough is known of it.
    pub fn expectation(&self, source: SourceId, patience: &Patience) -> Option<Silence> {
        self.sources.get(&source.0)?.expectation(source, patience)
    }
}

impl Rhythm {
    /// A silence ended.
    fn silence(&mut self, now: i64) {
        let length = now.saturating_sub(self.watched);
        if length <= 0 {
            return;
        }
        let hour = hour_of(self.watched);
        let faded = self.faded(hour, now);
        self.longest[hour] = (length.max(faded as i64), now);
    }

    /// The longest silence that began in an hour, as it counts now.
    fn faded(&self, hour: usize, now: i64) -> f64 {
        let (longest, noted) = self.longest[hour];
        let days = now.saturating_sub(noted).max(0) as f64 / DAY as f64;
        longest as f64 * FADING.powf(days)
    }

    fn expectation(&self, source: SourceId, patience: &Patience) -> Option<Silence> {
        if self.active_minutes < patience.active_minutes {
            return None;
        }
        // Every hour on the first day, afterwards those around.
        let first_day = self.last - self.first < DAY;
        let (from, hours) = if first_day { (0, HOURS) } else { (hour_of(self.watched) + HOURS - 1, 3) };
        let longest = (from..from + hours).map(|hour| self.faded(hour % HOURS, self.last)).fold(0.0, f64::max);
        let shortest = if first_day { patience.first_day } else { patience.shortest };
        let unusual = (longest * FACTOR).max(shortest as f64) as i64;
        Some(Silence {
            source,
            last_seq: self.last_seq,
            since: Time::from_micros(self.last),
            expected: Time::from_micros(self.watched.saturating_add(longest as i64)),
            unusual: Time::from_micros(self.watched.saturating_add(unusual)),
        })
    }
}

fn hour_of(micros: i64) -> usize {
    micros.div_euclid(HOUR).rem_euclid(HOURS as i64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCE: SourceId = SourceId(1);
    /// Midnight.
    const START: i64 = 1_795_219_200 * SECOND;

    /// Sends every `gap` from `from` to `to`; the next number.
    fn send(rhythms: &mut Rhythms, from: i64, to: i64, gap: i64, mut seq: u64) -> u64 {
        let mut at = from;
        while at < to {
            rhythms.observe(SOURCE, Time::from_micros(at), Time::from_micros(at), seq);
            (at, seq) = (at + gap, seq + 1);
        }
        seq
    }

    fn is_silent(rhythms: &Rhythms, at: i64) -> bool {
        !rhythms.silences(Time::from_micros(at), &Patience::default()).is_empty()
    }

    #[test]
    fn a_steady_source_is_missed_within_minutes() {
        let mut rhythms = Rhythms::default();
        send(&mut rhythms, START, START + 2 * DAY, 10 * SECOND, 0);
        let end = START + 2 * DAY;
        assert!(!is_silent(&rhythms, end + 4 * MINUTE));
        assert!(is_silent(&rhythms, end + 5 * MINUTE));
    }

    #[test]
    fn nights_are_learnt() {
        let mut rhythms = Rhythms::default();
        let mut seq = 0;
        for day in 0..3 {
            let from = START + day * DAY + 8 * HOUR;
            seq = send(&mut rhythms, from, from + 10 * HOUR, MINUTE, seq);
        }
        // 18:00 on the third day: the night is 14 hours long.
        let evening = START + 2 * DAY + 18 * HOUR;
        assert!(!is_silent(&rhythms, evening + 14 * HOUR));
        assert!(!is_silent(&rhythms, evening + 20 * HOUR));
        // But at day it is missed soon.
        let from = START + 3 * DAY + 8 * HOUR;
        send(&mut rhythms, from, from + 2 * HOUR, MINUTE, seq);
        assert!(is_silent(&rhythms, from + 2 * HOUR + 5 * MINUTE));
    }

    #[test]
    fn a_new_source_is_given_time() {
        let mut rhythms = Rhythms::default();
        send(&mut rhythms, START, START + 10 * MINUTE, SECOND, 0);
        assert!(!is_silent(&rhythms, START + DAY), "ten minutes are no rhythm");
        send(&mut rhythms, START, START + 30 * MINUTE, SECOND, 600);
        assert!(!is_silent(&rhythms, START + 80 * MINUTE));
        assert!(is_silent(&rhythms, START + 91 * MINUTE));
    }

    #[test]
    fn what_nobody_watched_is_no_silence() {
        let mut rhythms = Rhythms::default();
        send(&mut rhythms, START, START + 2 * DAY, 10 * SECOND, 0);
        let back = START + 3 * DAY;
        rhythms.watch_from(Time::from_micros(back));
        assert!(!is_silent(&rhythms, back + 4 * MINUTE));
        assert!(is_silent(&rhythms, back + 5 * MINUTE));
        // Nor is it learnt as one.
        let seq = send(&mut rhythms, back + MINUTE, back + 2 * MINUTE, 10 * SECOND, 20_000);
        assert!(seq > 20_000);
        assert!(is_silent(&rhythms, back + 8 * MINUTE));
    }

    #[test]
    fn an_outage_is_forgotten_with_time() {
        let mut rhythms = Rhythms::default();
        let seq = send(&mut rhythms, START, START + 2 * DAY, 10 * SECOND, 0);
        let seq = send(&mut rhythms, START + 2 * DAY + 2 * HOUR, START + 4 * DAY, 10 * SECOND, seq);
        assert!(!is_silent(&rhythms, START + 4 * DAY + 30 * MINUTE), "two hours were seen to pass");
        send(&mut rhythms, START + 4 * DAY, START + 40 * DAY, 10 * SECOND, seq);
        assert!(is_silent(&rhythms, START + 40 * DAY + 30 * MINUTE));
    }

    proptest! {
        #[test]
        fn any_times_are_borne(times in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..50), now in any::<i64>()) {
            let mut rhythms = Rhythms::default();
            for (time, seq) in times {
                let time = Time::from_micros(time / 4);
                rhythms.observe(SOURCE, time, time, seq);
            }
            rhythms.silences(Time::from_micros(now / 4), &Patience::default());
            let text = serde_json::to_string(&rhythms).unwrap();
            let again: Rhythms = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(again, rhythms);
        }
    }
}
