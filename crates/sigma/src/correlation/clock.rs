//! How far event time has come.
//!
//! A source's clock is its greatest event time minus the allowed lateness; the watermark is that of the slowest
//! active source. Nothing here reads a clock: what time it is, the caller says.

use std::collections::BTreeMap;

use vedette_event::SourceId;

use super::snapshot::{Reader, Snapshot, Writer};

/// No time yet.
pub(super) const NEVER: i64 = i64::MIN;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clock {
    sources: BTreeMap<SourceId, Source>,
    /// What the caller said last.
    now: i64,
    /// Every hit before it has been looked at.
    pub(super) watermark: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Source {
    greatest: i64,
    /// What time it was when it was heard of last; none if it has been since the last [`Clock::advance`].
    heard: Option<i64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock { sources: BTreeMap::new(), now: NEVER, watermark: NEVER }
    }

    /// True for a time that lies too far ahead of the present to be believed.
    pub(super) fn is_ahead(&self, time: i64, skew: i64) -> bool {
        self.now != NEVER && time > self.now.saturating_add(skew)
    }

    pub(super) fn observe(&mut self, source: SourceId, time: i64) {
        let source = self.sources.entry(source).or_insert(Source { greatest: time, heard: None });
        source.greatest = source.greatest.max(time);
        source.heard = None;
    }

    /// Moves the present and with it the watermark; neither ever goes back.
    pub(super) fn advance(&mut self, now: i64, lateness: i64, idle: i64, skew: i64) {
        self.now = self.now.max(now);
        let now = self.now;
        self.sources.retain(|_, source| now.saturating_sub(*source.heard.get_or_insert(now)) <= idle);
        // A host whose clock is hours behind, or an import, must not hold up everybody else.
        let waited_for =
            self.sources.values().map(|source| source.greatest).filter(|time| *time >= now.saturating_sub(skew));
        let slowest = waited_for.min().unwrap_or(now);
        if slowest != NEVER {
            self.watermark = self.watermark.max(slowest.saturating_sub(lateness));
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.i64(self.now);
        out.i64(self.watermark);
        out.count(self.sources.len());
        for (id, source) in &self.sources {
            out.u32(id.0);
            out.i64(source.greatest);
            out.u8(u8::from(source.heard.is_some()));
            out.i64(source.heard.unwrap_or(0));
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Snapshot<Self> {
        let mut clock = Clock { now: from.i64()?, watermark: from.i64()?, ..Clock::new() };
        for _ in 0..from.count(21)? {
            let id = SourceId(from.u32()?);
            let greatest = from.i64()?;
            let heard = from.u8()? != 0;
            let time = from.i64()?;
            clock.sources.insert(id, Source { greatest, heard: heard.then_some(time) });
        }
        Ok(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_active_source_decides() {
        let (a, b) = (SourceId(1), SourceId(2));
        let mut clock = Clock::new();
        clock.observe(a, 1_000);
        clock.observe(b, 500);
        clock.advance(1_000, 10, 100, 1_000);
        assert_eq!(clock.watermark, 490);
        // B says nothing more: it holds A up for as long as it may be idle, and no longer.
        for (now, want) in [(1_050, 490), (1_100, 490), (1_101, 1_091), (1_150, 1_140)] {
            clock.observe(a, now);
            clock.advance(now, 10, 100, 1_000);
            assert_eq!(clock.watermark, want, "at {now}");
        }
        // It comes back; the watermark waits for it, but never goes back.
        clock.observe(b, 600);
        clock.advance(1_160, 10, 100, 1_000);
        assert_eq!(clock.watermark, 1_140);
        // All are idle: the present itself decides.
        clock.advance(2_000, 10, 100, 1_000);
        assert_eq!(clock.watermark, 1_990);
        // One whose clock is far behind is not waited for.
        clock.observe(a, 2_100);
        clock.observe(b, 1_099);
        clock.advance(2_100, 10, 100, 1_000);
        assert_eq!(clock.watermark, 2_090);
    }

    #[test]
    fn extreme_times_do_no_harm() {
        let mut clock = Clock::new();
        clock.observe(SourceId(1), i64::MIN);
        clock.observe(SourceId(2), i64::MAX);
        clock.advance(i64::MAX, i64::MAX, i64::MAX, i64::MAX);
        clock.advance(i64::MIN, 0, 0, 0);
        assert!(!clock.is_ahead(i64::MAX, i64::MAX));
    }
}
