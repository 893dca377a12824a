//! Keeping within the budget, visibly.
//!
//! Groups that are over are taken out first. If that is not enough, groups whose last hit is the longest ago are
//! given up, each counted, until an eighth of the budget is free. Which they are depends on the hits alone, not on
//! the order in which they came. Hits that wait have a room of their own; when there are more, the earliest are looked
//! at before their time.

use super::{Correlations, compile::Plan, groups::GroupId};

/// Parts of the time between the oldest and the newest group.
const PARTS: usize = 4_096;

impl Correlations {
    /// Takes out groups of a correlation that no hit from `now` on can complete.
    pub(super) fn sweep(&mut self, number: u32, now: i64) {
        let compiled = &self.compiled[number as usize];
        let groups = &mut self.groups[number as usize];
        if matches!(compiled.plan, Plan::Window { .. } | Plan::Waiting { .. }) {
            // Their timers take them out.
            return groups.retain(|_| true);
        }
        let since = now.saturating_sub(compiled.timespan);
        let bytes = &mut self.bytes;
        groups.retain(|group| {
            let keep = group.last() >= since;
            if !keep {
                *bytes = bytes.saturating_sub(group.cost());
            }
            keep
        });
    }

    /// Gives up groups if all together take too many bytes.
    pub(super) fn keep_within(&mut self) {
        if self.bytes <= self.options.budget {
            return;
        }
        let now = self.groups.iter().flat_map(|groups| groups.iter().map(|group| group.last())).max();
        let Some(now) = now else { return };
        for number in 0..self.compiled.len() {
            self.sweep(number as u32, now);
        }
        let goal = self.options.budget / 8 * 7;
        if self.bytes > goal {
            self.give_up(self.bytes - goal);
        }
    }

    /// Gives up groups of so many bytes, those with the oldest last hits; among those of the same part of time, those
    /// with the least hashes.
    fn give_up(&mut self, bytes: usize) {
        let all = || self.groups.iter().flat_map(|groups| groups.iter());
        let oldest = all().map(|group| group.last()).min().unwrap_or(0);
        let newest = all().map(|group| group.last()).max().unwrap_or(0);
        let span = (i128::from(newest) - i128::from(oldest)).max(1);
        let part = |last: i64| ((i128::from(last) - i128::from(oldest)) * (PARTS as i128 - 1) / span) as usize;
        let mut sizes = vec![0_usize; PARTS];
        for group in all() {
            sizes[part(group.last())] += group.cost();
        }
        let mut left = bytes;
        let mut last_part = 0;
        while last_part < PARTS - 1 && sizes[last_part] < left {
            left -= sizes[last_part];
            last_part += 1;
        }
        let share = (left as f64 / sizes[last_part].max(1) as f64).min(1.0);
        let below = (share * u64::MAX as f64) as u64;
        let gone = |id: GroupId, last: i64| {
            let part = part(last);
            part < last_part || part == last_part && (id as u64) <= below
        };
        let (all_bytes, timers) = (&mut self.bytes, &mut self.timers);
        for (number, (groups, counts)) in self.groups.iter_mut().zip(&mut self.counts).enumerate() {
            let timespan = self.compiled[number].timespan;
            groups.retain(|group| {
                let gone = gone(group.id, group.last());
                if gone {
                    counts.evicted += 1;
                    *all_bytes = all_bytes.saturating_sub(group.cost());
                    if let Some(timer) = group.state.as_ref().and_then(|state| state.timer(timespan)) {
                        timers.remove(&(timer, number as u32, group.id));
                    }
                }
                !gone
            });
        }
    }

    /// With too many hits that wait, the watermark moves to the earliest ones: they are looked at next, and what comes
    /// before them is late.
    pub(super) fn hurry(&mut self) {
        let room = self.options.waiting;
        if self.pending_bytes <= room {
            return;
        }
        let goal = room / 8 * 7;
        let mut left = self.pending_bytes;
        for ((time, ..), hit) in &self.pending {
            if left <= goal {
                break;
            }
            left = left.saturating_sub(hit.cost());
            for (number, _) in &self.rules[hit.rule as usize].above {
                self.counts[*number as usize].hurried += 1;
            }
            self.clock.watermark = self.clock.watermark.max(time.saturating_add(1));
        }
    }
}
